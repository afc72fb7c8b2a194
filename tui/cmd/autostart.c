/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/wire.h"
#include "core/operate.h"
#include "core/store.h"
#include "tui/cmd/life.h"

/*
 * Marking domains, and starting the marked ones at boot (--once-all): by order, smaller first, those without an order last, then by
 * name; after each start its delay passes before the next. What fails is said and does not keep the others from starting.
 */
#define MAX_ORDER 1000000u
#define MAX_DELAY 86400u /* seconds */

struct candidate {
	struct dom *dom; /* not owned */
	uint64_t order;	 /* UINT64_MAX: none */
	uint64_t delay;
};

static uint64_t remembered(const json_t *memory, const char *key, uint64_t otherwise)
{
	const json_t *value = json_object_get(memory, key);

	return json_is_integer(value) && json_integer_value(value) >= 0 ? (uint64_t)json_integer_value(value) :
									  otherwise;
}

static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return strcmp(x->dom->name, y->dom->name);
}

static GArray *candidates(const struct home *home, const GPtrArray *doms)
{
	GArray *list = g_array_new(FALSE, FALSE, sizeof(struct candidate));

	for (guint i = 0; i < doms->len; i++) {
		struct dom *dom = doms->pdata[i];
		auto_json json_t *memory = NULL;
		struct candidate candidate = { .dom = dom };

		if (!dom->autostart)
			continue;
		memory = store_memory(home, STORE_VM, dom->name);
		candidate.order = remembered(memory, "autostart-order", UINT64_MAX);
		candidate.delay = remembered(memory, "autostart-delay", 0);
		g_array_append_val(list, candidate);
	}
	g_array_sort(list, compare);
	return list;
}

static bool start_one(struct session *session, const struct dom *dom)
{
	g_autoptr(GPtrArray) notices = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	struct launch_options options = { 0 };

	if (operate_start(session->home, dom, &options, notices, &error) < 0) {
		fprintf(session->err_out, "error: Failed to start domain '%s': %s\n", dom->name, error->message);
		return false;
	}
	life_show_notices(session, notices);
	session_say(session, "Domain '%s' started\n", dom->name);
	return true;
}

static bool start_all(struct session *session, GError **err)
{
	struct home *home = session_home(session, err);
	g_autoptr(GPtrArray) doms = NULL;
	g_autoptr(GArray) list = NULL;
	guint failed = 0;

	if (!home || !home_writable(home, "start domains", err))
		return false;
	doms = domains_list(home, DOMAINS_INACTIVE, err);
	if (!doms)
		return false;
	list = candidates(home, doms);
	for (guint i = 0; i < list->len; i++) {
		const struct candidate *candidate = &g_array_index(list, struct candidate, i);

		failed += !start_one(session, candidate->dom);
		if (candidate->delay && i + 1 < list->len)
			poll(NULL, 0, (int)candidate->delay * 1000);
	}
	return !failed || fail(err, LODGE_ERROR_STATE, "%u of %u domains could not be started", failed, list->len);
}

static bool remember(struct session *session, const struct dom *dom, const char *key, bool given, uint64_t value,
		     GError **err)
{
	auto_json json_t *memory = NULL;

	if (!given)
		return true;
	memory = store_memory(session->home, STORE_VM, dom->name);
	json_object_set_new(memory, key, json_integer((json_int_t)value));
	return store_remember(session->home, STORE_VM, dom->name, memory, err);
}

static bool check_numbers(bool has_order, uint64_t order, bool has_delay, uint64_t delay, GError **err)
{
	if (has_order && order > MAX_ORDER)
		return fail(err, LODGE_ERROR_USAGE, "--order: 0 to %u", MAX_ORDER);
	return !has_delay || delay <= MAX_DELAY || fail(err, LODGE_ERROR_USAGE, "--delay: 0 to %u seconds", MAX_DELAY);
}

static bool mark(struct session *session, const struct dom *dom, const struct args *args, GError **err)
{
	bool on = !args_flag(args, "disable");
	uint64_t order = 0, delay = 0;
	bool has_order = args_uint(args, "order", &order), has_delay = args_uint(args, "delay", &delay);
	auto_fd int lock = -1;

	if (!home_writable(session->home, "change autostart", err) ||
	    !check_numbers(has_order, order, has_delay, delay, err))
		return false;
	if (!dom->persistent)
		return fail(err, LODGE_ERROR_STATE, "cannot set autostart for transient domain");
	lock = store_lock(session->home, err);
	return lock >= 0 && store_set_autostart(session->home, STORE_VM, dom->name, on, err) &&
	       remember(session, dom, "autostart-order", has_order, order, err) &&
	       remember(session, dom, "autostart-delay", has_delay, delay, err);
}

static bool autostart(struct session *session, const struct args *args, GError **err)
{
	bool on = !args_flag(args, "disable");
	autoptr(dom) dom = NULL;

	if (args_flag(args, "once-all"))
		return args_string(args, "domain") ? fail(err, LODGE_ERROR_USAGE, "--once-all takes no domain") :
						     start_all(session, err);
	if (!args_string(args, "domain"))
		return fail(err, LODGE_ERROR_USAGE, "command 'autostart' requires <domain> option");
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (!mark(session, dom, args, err)) {
		g_prefix_error(err, "Failed to %s domain '%s' as autostarted\n", on ? "mark" : "unmark", dom->name);
		return false;
	}
	session_say(session, "Domain '%s' %s as autostarted\n", dom->name, on ? "marked" : "unmarked");
	return true;
}

static const struct arg_row args[] = {
	{ .name = "domain", .type = ARG_DATA, .help = "domain name, id or uuid", .complete = COMPLETE_DOMAIN },
	{ .name = "disable", .type = ARG_FLAG, .help = "do not start it at boot" },
	{ .name = "order", .type = ARG_UINT, .help = "smaller numbers are started first, domains without one last" },
	{ .name = "delay", .type = ARG_UINT, .help = "seconds to wait after its start before the next one's" },
	{ .name = "once-all",
	  .type = ARG_FLAG,
	  .help = "start every marked domain that does not run: what happens at boot" },
	ARG_END,
};

const struct command cmd_autostart = {
	.name = "autostart",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "have a domain started when the host boots",
	.about =
		"Marked domains are started by `lodge autostart --once-all`, which lodge-guests.service does at boot (see the guests command).",
	.args = args,
	.exclusive = "disable|order, disable|delay, disable|once-all",
	.run = autostart,
};
