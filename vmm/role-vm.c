/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/role-vm.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <link.h>
#include <libxml/parser.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/wire.h"
#include "core/model/domain.h"
#include "core/model/lifecycle.h"
#include "core/model/stats-page.h"
#include "vmm/control.h"
#include "vmm/machine.h"
#include "vmm/ports.h"

/*
 * The process of one VM, from the warden's first message to its own last one. The messages are described in
 * core/launch.h.
 *
 * Order: the statistics page, ports, machine and control socket exist before "ready" is said, and everything that is
 * opened by name has been opened. What only the start needed (the definition, the XML library's tables) is given back
 * before the loop runs, so that an idle VM is small and nothing in this process wakes up by itself. Taken down in
 * reverse; the warden hears "stopped" when nothing of the guest is left that could still change.
 */
#define START_TIMEOUT_MS 60000

enum { FD_CONTROL, FD_STATS, FD_LOCK, FD_LOG, N_FDS };

struct role {
	GMainContext *context;
	struct wire *warden;
	GSource *warden_in, *warden_out, *signals;
	int signal_fd;
	int fds[N_FDS];
	struct stats_page *page;
	json_t *start; /* the message's contents */
	char *name, *why;
	struct vm_config *config;
	GPtrArray *ports;
	struct machine *machine;
	struct vm *vm;
	struct control *control;
	unsigned quit_reason; /* DOMAIN_SHUTOFF_ */
};

/* --- to the warden --- */

static gboolean warden_writable(gint fd, GIOCondition condition, gpointer data)
{
	struct role *role = data;

	(void)fd;
	(void)condition;
	if (wire_flush(role->warden, NULL) && wire_pending(role->warden))
		return G_SOURCE_CONTINUE;
	g_clear_pointer(&role->warden_out, g_source_unref);
	return G_SOURCE_REMOVE;
}

/* False: the warden has gone. Once the VM is ready that is no reason for anything. */
static bool tell_warden(struct role *role, const char *what, json_t *contents_consume)
{
	auto_json json_t *message = json_pack("{s:o}", what, contents_consume);

	if (!wire_send(role->warden, message, NULL, 0, NULL))
		return false;
	if (!wire_pending(role->warden) || role->warden_out)
		return true;
	role->warden_out = g_unix_fd_source_new(wire_fd(role->warden), G_IO_OUT);
	g_source_set_callback(role->warden_out, G_SOURCE_FUNC(warden_writable), role, NULL);
	g_source_attach(role->warden_out, role->context);
	return true;
}

static json_t *text_or_null(const char *text)
{
	g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;

	return valid ? json_string(valid) : json_null();
}

static void on_event(void *opaque, const json_t *event)
{
	tell_warden(opaque, "event", json_incref((json_t *)(uintptr_t)event));
}

/* The kernel's own words are better than ours, and a reboot after a panic is a panic. */
static const char *panic_words(struct role *role, enum vm_stop *why, const char *text)
{
	const char *panic = machine_panic(role->machine);

	if (!panic || (*why != VM_STOP_RESET && *why != VM_STOP_PANIC))
		return text;
	*why = VM_STOP_PANIC;
	return panic;
}

static void guest_held(struct role *role, const char *text)
{
	enum vm_stop why = vm_held(role->vm);
	struct stats_state state;

	text = panic_words(role, &why, text);
	stats_page_get_state(role->page, &state);
	stats_page_set_state(role->page, state.state, state.reason, text);
	tell_warden(role, "held",
		    json_pack("{s:s, s:i, s:o}", "why", vm_stop_name(why), "reason", (int)state.reason, "text",
			      text_or_null(text)));
}

static void on_vm_event(void *opaque, const struct vm_event_info *info)
{
	struct role *role = opaque;

	control_vm_event(role->control, info);
	if (info->event == VM_EVENT_HELD)
		guest_held(role, info->text);
}

static void tell_stopped(struct role *role)
{
	const char *text;
	enum vm_stop why = vm_stop_reason(role->vm, &text);
	struct stats_state state;
	unsigned reason;

	text = panic_words(role, &why, text);
	stats_page_get_state(role->page, &state);
	reason = why == VM_STOP_QUIT ? role->quit_reason : why == VM_STOP_PANIC ? DOMAIN_SHUTOFF_CRASHED : state.reason;
	stats_page_set_state(role->page, DOMAIN_SHUTOFF, reason, text);
	tell_warden(role, "stopped",
		    json_pack("{s:s, s:i, s:o}", "why", vm_stop_name(why), "reason", (int)reason, "text",
			      text_or_null(text)));
	(void)wire_flush(role->warden, NULL);
}

/* --- from the warden, and signals --- */

static void obey(struct role *role, const json_t *message)
{
	const json_t *quit = json_object_get(message, "quit"), *reason = json_object_get(quit, "reason");

	if (json_object_get(message, "powerdown"))
		vm_power_button(role->vm);
	if (!quit)
		return;
	if (json_is_integer(reason))
		role->quit_reason = (unsigned)json_integer_value(reason);
	vm_request_stop(role->vm, VM_STOP_QUIT, NULL);
}

/* The end of the stream is the warden's end, not ours. */
static gboolean warden_readable(gint fd, GIOCondition condition, gpointer data)
{
	struct role *role = data;
	json_t *message = NULL;
	int got;

	(void)fd;
	(void)condition;
	while ((got = wire_receive(role->warden, &message, NULL)) > 0) {
		obey(role, message);
		json_decref(message);
	}
	return got == 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean signal_ready(gint fd, GIOCondition condition, gpointer data)
{
	struct role *role = data;
	struct signalfd_siginfo info;

	(void)condition;
	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM)
			vm_request_stop(role->vm, VM_STOP_QUIT, "SIGTERM");
	}
	return G_SOURCE_CONTINUE;
}

/* A terminal's signals are not for a VM that outlives the terminal; SIGTERM is the host shutting down. */
static bool take_signals(struct role *role, GError **err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTSTP);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL))
		return fail_errno(err, "cannot block signals");
	signal(SIGPIPE, SIG_IGN);
	role->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return role->signal_fd >= 0 || fail_errno(err, "no descriptor for signals");
}

static GSource *watch_fd(struct role *role, int fd, GUnixFDSourceFunc fn)
{
	GSource *source = g_unix_fd_source_new(fd, G_IO_IN);

	g_source_set_callback(source, G_SOURCE_FUNC(fn), role, NULL);
	g_source_attach(source, role->context);
	return source;
}

/* --- start --- */

static bool receive_start(struct role *role, GError **err)
{
	auto_json json_t *message = wire_wait(role->warden, START_TIMEOUT_MS, err);

	if (!message)
		return false;
	for (size_t i = 0; i < N_FDS; i++) {
		role->fds[i] = wire_take_fd(role->warden);
		if (role->fds[i] < 0)
			return fail(err, LODGE_ERROR_INTERNAL, "the start message lacks descriptor %zu", i);
		(void)fcntl(role->fds[i], F_SETFD, FD_CLOEXEC);
	}
	role->start = json_incref(json_object_get(message, "start"));
	if (!json_is_object(role->start) || !json_is_string(json_object_get(role->start, "xml")))
		return fail(err, LODGE_ERROR_INTERNAL, "the start message lacks the definition");
	return true;
}

/* Field 22 of /proc/self/stat; the name in field 2 may hold anything but ends with the last ')'. */
static uint64_t start_ticks(void)
{
	g_autofree char *text = NULL;
	const char *p;
	char *end;
	uint64_t ticks = 0;

	if (!g_file_get_contents("/proc/self/stat", &text, NULL, NULL) || !(p = strrchr(text, ')')))
		return 0;
	for (unsigned field = 2; field < 22 && p; field++)
		p = strchr(p + 1, ' ');
	if (p)
		ticks = g_ascii_strtoull(p, &end, 10);
	return ticks;
}

static bool map_page(struct role *role, GError **err)
{
	struct stat st;
	void *map;

	if (fstat(role->fds[FD_STATS], &st) || (uint64_t)st.st_size < sizeof(struct stats_page))
		return fail(err, LODGE_ERROR_INTERNAL, "the statistics page is too small");
	map = mmap(NULL, sizeof(struct stats_page), PROT_READ | PROT_WRITE, MAP_SHARED, role->fds[FD_STATS], 0);
	if (map == MAP_FAILED)
		return fail_errno(err, "cannot map the statistics page");
	role->page = map;
	if (!stats_page_valid(map, sizeof(struct stats_page)))
		return fail(err, LODGE_ERROR_INTERNAL, "the statistics page has no header");
	role->page->pid = getpid();
	role->page->pid_start = start_ticks();
	role->page->started_us = g_get_real_time();
	return true;
}

static bool read_definition(struct role *role, GError **err)
{
	const json_t *xml = json_object_get(role->start, "xml");
	autoptr(domain) domain = domain_parse(json_string_value(xml), json_string_length(xml), "live definition",
					      DOMAIN_STORED, err);

	if (!domain)
		return false;
	role->config = domain_vm_config(domain, NULL, err);
	role->name = g_strdup(domain->name);
	return role->config && vm_config_check(role->config, err);
}

static bool policy_is(const struct role *role, const char *event, const char *word)
{
	const char *policy = json_string_value(json_object_get(json_object_get(role->start, "on"), event));

	return policy && strcmp(policy, word) == 0;
}

static bool policy_holds(const struct role *role, const char *event)
{
	return policy_is(role, event, "preserve") || policy_is(role, event, "coredump-destroy") ||
	       policy_is(role, event, "coredump-restart");
}

/* What happens to a guest that stops: the warden decides over everything but a hold and a reboot. */
static void apply_policies(struct role *role)
{
	struct vm *vm = role->vm;

	vm->no_reboot = !policy_is(role, "reboot", "restart");
	vm->reset_on_fault = true;
	if (policy_holds(role, "crash") || role->config->crash_preserve)
		vm->hold_stops |= 1u << VM_STOP_PANIC | 1u << VM_STOP_TRIPLE_FAULT;
	if (policy_holds(role, "poweroff"))
		vm->hold_stops |= 1u << VM_STOP_POWEROFF;
	if (policy_holds(role, "reboot"))
		vm->hold_stops |= 1u << VM_STOP_RESET;
}

static bool build(struct role *role, GError **err)
{
	struct machine_host host = { .context = role->context, .stats = role->page };
	struct control_host control = { .on_event = on_event, .opaque = role };

	role->ports = vm_ports_new(role->config, role->context, role->page, err);
	if (!role->ports)
		return false;
	host.ports = role->ports;
	role->machine = machine_new_for(role->config, &host, &role->why, err);
	if (!role->machine)
		return false;
	role->vm = machine_vm(role->machine);
	apply_policies(role);
	control.machine = role->machine;
	control.name = role->name;
	control.uuid = role->config->uuid;
	control.ports = role->ports;
	role->control = control_new(role->context, role->fds[FD_CONTROL], &control, err);
	if (!role->control)
		return false;
	vm_on_event(role->vm, on_vm_event, role);
	return true;
}

static bool run_guest(struct role *role, GError **err)
{
	bool paused = json_is_true(json_object_get(role->start, "paused"));
	const json_t *reason = json_object_get(role->start, "reason");

	if (!vm_start(role->vm, paused, err))
		return false;
	if (!paused && json_is_integer(reason))
		stats_page_set_state(role->page, DOMAIN_RUNNING, (unsigned)json_integer_value(reason), NULL);
	return true;
}

static bool start(struct role *role, GError **err)
{
	if (!receive_start(role, err) || !map_page(role, err))
		return false;
	if (dup2(role->fds[FD_LOG], STDERR_FILENO) < 0)
		return fail_errno(err, "cannot use the log");
	fd_close(&role->fds[FD_LOG]);
	return take_signals(role, err) && read_definition(role, err) && build(role, err) && run_guest(role, err);
}

/* --- the whole --- */

/* Its pages are clean copies of a file's: what is needed again comes back from the page cache. */
static int forget_pages(struct dl_phdr_info *object, size_t size, void *opaque)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)opaque;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t start = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t end = object->dlpi_addr + segment->p_vaddr + segment->p_filesz;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

/* The VM lives long: what only its start needed, code of libraries and of ours included, is not to stay resident. */
static void forget_start(struct role *role)
{
	json_decref(role->start);
	role->start = NULL;
	g_clear_pointer(&role->config, vm_config_free);
	xmlCleanupParser();
	malloc_trim(0);
	dl_iterate_phdr(forget_pages, NULL);
}

static void role_clear(struct role *role)
{
	GSource **sources[] = { &role->warden_in, &role->warden_out, &role->signals };

	if (role->vm)
		vm_on_event(role->vm, NULL, NULL);
	g_clear_pointer(&role->control, control_free);
	g_clear_pointer(&role->machine, machine_free);
	g_clear_pointer(&role->ports, g_ptr_array_unref);
	for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
		if (*sources[i])
			g_source_destroy(*sources[i]);
		g_clear_pointer(sources[i], g_source_unref);
	}
	json_decref(role->start);
	g_clear_pointer(&role->config, vm_config_free);
	if (role->page)
		munmap(role->page, sizeof(struct stats_page));
	for (size_t i = 0; i < N_FDS; i++)
		fd_close(&role->fds[i]);
	fd_close(&role->signal_fd);
	g_clear_pointer(&role->warden, wire_free);
	g_clear_pointer(&role->context, g_main_context_unref);
	g_free(role->name);
	g_free(role->why);
}

static void tell_error(struct role *role, const GError *error)
{
	enum lodge_error code = error->domain == LODGE_ERROR ? (enum lodge_error)error->code : LODGE_ERROR_INTERNAL;

	tell_warden(role, "error",
		    json_pack("{s:s, s:o}", "code", lodge_error_name(code), "message", text_or_null(error->message)));
}

/* False: nobody is left who wanted this VM. */
static bool run(struct role *role)
{
	(void)fcntl(wire_fd(role->warden), F_SETFL, O_RDWR | O_NONBLOCK);
	role->warden_in = watch_fd(role, wire_fd(role->warden), warden_readable);
	role->signals = watch_fd(role, role->signal_fd, signal_ready);
	if (!tell_warden(role, "ready",
			 json_pack("{s:i, s:s, s:o}", "pid", (int)getpid(), "why", role->why ? role->why : "", "ports",
				   vm_ports_paths(role->ports))))
		return false;
	forget_start(role);
	vm_run(role->vm);
	tell_stopped(role);
	return true;
}

int vm_role_main(int fd)
{
	struct role role = { .signal_fd = -1, .fds = { -1, -1, -1, -1 }, .quit_reason = DOMAIN_SHUTOFF_DESTROYED };
	g_autoptr(GError) error = NULL;
	bool ran;

	role.context = g_main_context_new();
	role.warden = wire_new(fd);
	ran = start(&role, &error);
	if (ran)
		ran = run(&role);
	else
		tell_error(&role, error);
	role_clear(&role);
	return ran ? 0 : 1;
}
