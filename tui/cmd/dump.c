/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/monitor.h"
#include "core/operate.h"
#include "tui/cmd/life.h"

/*
 * The core is written beside its final name and renamed when it is whole, so a file of that name is never half a dump.
 * The VM writes it through a descriptor of this program, with this program's rights.
 */
#define POLL_MS 200

static void show_progress(struct session *session, uint64_t completed, uint64_t total)
{
	double percent = total ? 100.0 * (double)completed / (double)total : 0;

	fprintf(session->err_out, "\rDump: [%6.2f %%]", percent);
	fflush(session->err_out);
}

/* 1: done, 0: not yet, -1: failed. */
static int look(struct session *session, struct monitor *monitor, bool verbose, GError **err)
{
	auto_json json_t *status = monitor_execute(monitor, "query-dump", NULL, err);
	const char *state = json_string_value(json_object_get(status, "status"));

	if (!state)
		return -1;
	if (verbose)
		show_progress(session, (uint64_t)json_integer_value(json_object_get(status, "completed")),
			      (uint64_t)json_integer_value(json_object_get(status, "total")));
	return strcmp(state, "active") == 0 ? 0 : 1;
}

/* The event has the VM's words; the state alone only says "failed". */
static bool check_event(const json_t *event, GError **err)
{
	const char *error = json_string_value(json_object_get(json_object_get(event, "data"), "error"));

	return !error || fail(err, LODGE_ERROR_SYSTEM, "%s", error);
}

static bool is_end(const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));

	return name && strcmp(name, "DUMP_COMPLETED") == 0;
}

static bool await_end(struct session *session, struct monitor *monitor, bool verbose, GError **err)
{
	int state = 0;

	for (;;) {
		g_autoptr(GError) error = NULL;
		auto_json json_t *event = monitor_next_event(monitor, state > 0 ? -1 : POLL_MS, &error);

		if (error) {
			g_propagate_error(err, g_steal_pointer(&error));
			return false;
		}
		if (event && is_end(event))
			return check_event(event, err);
		if (!event && state == 0)
			state = look(session, monitor, verbose, err);
		if (state < 0)
			return false;
	}
}

static bool write_core(struct session *session, const struct dom *dom, int fd, bool verbose, GError **err)
{
	autoptr(monitor) monitor = monitor_open(session->home, dom->name, err);
	auto_json json_t *answer = NULL;
	bool done;

	if (!monitor)
		return false;
	answer = monitor_execute_fds(monitor, "dump-guest-memory",
				     json_pack("{s:b, s:s, s:b}", "paging", 0, "protocol", "fd:dump", "detach", 1), &fd,
				     1, err);
	done = answer && await_end(session, monitor, verbose, err);
	if (done && verbose)
		show_progress(session, 1, 1);
	if (verbose)
		fputc('\n', session->err_out);
	return done;
}

static bool write_file(struct session *session, const struct dom *dom, const char *path, bool verbose, GError **err)
{
	g_autofree char *part = g_strdup_printf("%s.part", path);
	auto_fd int fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);

	if (fd < 0)
		return fail_errno(err, "%s: cannot create", part);
	if (write_core(session, dom, fd, verbose, err)) {
		if (rename(part, path) == 0)
			return true;
		fail_errno(err, "%s: cannot rename", part);
	}
	unlink(part);
	return false;
}

static bool finish(struct session *session, const struct args *args, const struct dom *dom, GError **err)
{
	if (args_flag(args, "crash"))
		return operate_destroy(session->home, dom, false, err);
	return !args_flag(args, "reset") || operate_reset(session->home, dom, err);
}

static bool check_format(const struct args *args, GError **err)
{
	const char *format = args_string(args, "format");

	if (format && !args_flag(args, "memory-only"))
		return fail(err, LODGE_ERROR_USAGE, "--format only works with --memory-only");
	if (format && strcmp(format, "elf") != 0)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "dump format '%s' is not supported by Lodge: elf is", format);
	return true;
}

static bool dump(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = NULL;
	const char *path = args_string(args, "file");

	if (!check_format(args, err))
		return false;
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (!home_writable(session->home, "dump a domain's memory", err) ||
	    !domain_allows((enum domain_state)dom->state.state, DOMAIN_DO_DUMP, err) ||
	    !write_file(session, dom, path, args_flag(args, "verbose"), err) || !finish(session, args, dom, err)) {
		g_prefix_error(err, "Failed to core dump domain '%s' to %s\n", dom->name, path);
		return false;
	}
	session_say(session, "\nDomain '%s' dumped to %s\n", dom->name, path);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "file",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "where the core goes",
	  .complete = COMPLETE_FILE },
	{ .name = "live",
	  .type = ARG_FLAG,
	  .help = "let the guest go on afterwards (it does; it stands still meanwhile)" },
	{ .name = "crash", .type = ARG_FLAG, .help = "end the domain afterwards" },
	{ .name = "bypass-cache", .type = ARG_FLAG, .help = "accepted for virsh's sake, without effect" },
	{ .name = "reset", .type = ARG_FLAG, .help = "reset the domain afterwards" },
	{ .name = "verbose", .type = ARG_FLAG, .help = "show the progress" },
	{ .name = "memory-only", .type = ARG_FLAG, .help = "only memory and registers; Lodge writes nothing else" },
	{ .name = "format", .type = ARG_STRING, .help = "of a memory-only dump: elf" },
	ARG_END,
};

const struct command cmd_dump = {
	.name = "dump",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "write a domain's memory and registers to a core file",
	.about = "The file is an ELF core for crash and gdb: one PT_LOAD segment for each range of memory, one "
		 "NT_PRSTATUS note for each vCPU. "
		 "Memory the guest has never used takes no room in it. The guest stands still until the file is whole.",
	.args = args,
	.exclusive = "live|crash, live|reset, crash|reset",
	.run = dump,
};
