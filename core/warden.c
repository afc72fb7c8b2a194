/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/wire.h"
#include "core/domains-cleanup.h"
#include "core/events.h"
#include "core/launch.h"
#include "core/model/lifecycle.h"
#include "core/monitor.h"
#include "core/rundir.h"
#include "core/spawn.h"
#include "core/store.h"
#include "core/tune.h"
#include "core/warden-events.h"
#include "core/warden-private.h"

/*
 * Role "warden": parent of one VM process for as long as the domain runs, over restarts by its policies. One thread,
 * one poll(), no time-out but while a VM that was told to end has not.
 *
 *   front   the front end that starts the domain: gets one answer. Its end ends the domain only when that was asked
 *           for (autodestroy).
 *   vm      messages of core/launch.h
 *   signals SIGCHLD: the VM process is reaped, and only that is its end. SIGTERM: power button, later "quit", later
 *           SIGKILL. SIGUSR1: "quit" at once, later SIGKILL, and no policy starts it again; SIGUSR2: the same, and
 *           it is never killed (core/operate.c)
 *
 * What the VM said last ("stopped", "held"), else what the statistics page shows, else how the process ended decides
 * what happens next: a new VM process in the same run directory, or the end.
 */
#define POWERDOWN_MS 60000
#define QUIT_MS 10000

static const char *const policy_names[] = { [ON_POWEROFF] = "poweroff", [ON_REBOOT] = "reboot", [ON_CRASH] = "crash" };
G_STATIC_ASSERT(G_N_ELEMENTS(policy_names) == N_POLICIES);

void warden_say(const char *format, ...)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	fprintf(stderr, "%s warden: %s\n", time, text);
}

void warden_say_error(const char *what, GError *error_consume)
{
	warden_say("%s: %s", what, error_consume ? error_consume->message : "?");
	g_clear_error(&error_consume);
}

static const char *text_of(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static void emit(const struct warden *warden, const char *type, const char *detail)
{
	events_emit_lifecycle(&warden->home, warden->name, warden->uuid, type, detail);
}

/* --- what the front end asked for --- */

static bool take_text(const json_t *object, const char *member, char **value, GError **err)
{
	*value = g_strdup(text_of(object, member));
	return *value || fail(err, LODGE_ERROR_INPUT, "no %s in the message", member);
}

static bool take_home(struct warden *warden, const json_t *home, GError **err)
{
	return take_text(home, "uri", &warden->home.uri, err) &&
	       take_text(home, "config_dir", &warden->home.config_dir, err) &&
	       take_text(home, "state_dir", &warden->home.state_dir, err) &&
	       take_text(home, "runtime_dir", &warden->home.runtime_dir, err);
}

static bool take_start(struct warden *warden, const json_t *start, GError **err)
{
	if (!take_home(warden, json_object_get(start, "home"), err) || !take_text(start, "name", &warden->name, err) ||
	    !take_text(start, "uuid", &warden->uuid, err))
		return false;
	for (size_t i = 0; i < N_POLICIES; i++) {
		if (!take_text(json_object_get(start, "on"), policy_names[i], &warden->on[i], err))
			return false;
	}
	warden->id = (int)json_integer_value(json_object_get(start, "id"));
	warden->paused = json_is_true(json_object_get(start, "paused"));
	warden->autodestroy = json_is_true(json_object_get(start, "autodestroy"));
	warden->dir = home_vm_path(&warden->home, warden->name, NULL);
	warden->tune = json_incref(json_object_get(start, "tune"));
	warden->lock = wire_take_fd(warden->front);
	return warden->lock >= 0 || fail(err, LODGE_ERROR_INPUT, "no lock came with the message");
}

void warden_answer_front(struct warden *warden, json_t *answer_consume)
{
	auto_json json_t *answer = answer_consume;

	if (warden->front && answer)
		wire_send(warden->front, answer, NULL, 0, NULL);
	if (!warden->autodestroy)
		g_clear_pointer(&warden->front, wire_free);
}

/* --- the VM process --- */

/* The page keeps its place over restarts: front ends have it mapped. */
static void reset_page(struct warden *warden)
{
	struct stats_page *page = warden->page;

	stats_page_init(page);
	page->id = (uint32_t)warden->id;
	page->warden_pid = (int32_t)getpid();
	g_strlcpy(page->uuid, warden->uuid, sizeof(page->uuid));
}

static bool make_page(struct warden *warden, GError **err)
{
	g_autofree char *path = home_vm_path(&warden->home, warden->name, "stats");
	void *page;

	warden->stats = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (warden->stats < 0 || ftruncate(warden->stats, sizeof(struct stats_page)))
		return fail_errno(err, "%s: cannot make the statistics page", path);
	page = mmap(NULL, sizeof(struct stats_page), PROT_READ | PROT_WRITE, MAP_SHARED, warden->stats, 0);
	if (page == MAP_FAILED)
		return fail_errno(err, "%s: cannot map the statistics page", path);
	warden->page = page;
	return true;
}

static json_t *vm_message(const struct warden *warden, const char *xml, unsigned reason)
{
	g_autofree char *log = spawn_log_path(&warden->home, warden->name);

	return json_pack("{s:{s:s, s:s, s:i, s:b, s:i, s:s, s:s, s:s, s:{s:s, s:s, s:s}}}", "start", "name",
			 warden->name, "uuid", warden->uuid, "id", warden->id, "paused", warden->paused, "reason",
			 (int)reason, "vm_dir", warden->dir, "log", log, "xml", xml, "on", "poweroff",
			 warden->on[ON_POWEROFF], "reboot", warden->on[ON_REBOOT], "crash", warden->on[ON_CRASH]);
}

static bool spawn_vm(struct warden *warden, GError **err)
{
	auto_fd int ours = -1, theirs = -1;

	if (!spawn_pair(&ours, &theirs, err) || !tune_prepare(warden->uuid, warden->tune, err) ||
	    !tune_set_memory(warden->tune, err))
		return false;
	/*
	 * A process inherits where its memory comes from. Limits come before its first message, so before it has any to
	 * speak of.
	 */
	warden->pid = spawn_role("vm", warden->name, theirs, STDERR_FILENO, false, err);
	tune_set_memory(NULL, NULL);
	if (warden->pid < 0)
		return false;
	warden->vm = wire_new(fd_steal(&ours));
	return tune_enter(warden->uuid, warden->tune, warden->pid, err);
}

bool warden_start_vm(struct warden *warden, const char *xml, unsigned reason, GError **err)
{
	int fds[] = { warden->control, warden->stats, warden->lock, STDERR_FILENO };
	auto_json json_t *message = NULL;

	reset_page(warden);
	warden->ready = false;
	warden->ending = ENDING_NOT;
	message = vm_message(warden, xml, reason);
	if (!message)
		return fail(err, LODGE_ERROR_INPUT, "the definition or a path is not UTF-8");
	return spawn_vm(warden, err) && wire_send(warden->vm, message, fds, G_N_ELEMENTS(fds), err);
}

/* --- ending it --- */

static void send_vm(struct warden *warden, json_t *message_consume)
{
	auto_json json_t *message = message_consume;

	if (warden->vm && message)
		wire_send(warden->vm, message, NULL, 0, NULL);
}

void warden_begin_ending(struct warden *warden, enum ending ending, unsigned reason)
{
	if (warden->ending >= ending)
		return;
	warden->ending = ending;
	switch (ending) {
	case ENDING_POWERDOWN:
		send_vm(warden, json_pack("{s:{}}", "powerdown"));
		break;
	case ENDING_QUIT:
		send_vm(warden, json_pack("{s:{s:i}}", "quit", "reason", (int)reason));
		break;
	default:
		kill(warden->pid, SIGKILL);
		break;
	}
	warden->deadline = g_get_monotonic_time() +
			   (ending == ENDING_POWERDOWN ? POWERDOWN_MS : QUIT_MS) * INT64_C(1000);
}

static void ending_not_obeyed(struct warden *warden)
{
	warden_say("the VM does not obey; next: %s", warden->ending == ENDING_POWERDOWN ? "quit" : "kill");
	warden_begin_ending(warden, warden->ending + 1, DOMAIN_SHUTOFF_DESTROYED);
}

static void take_signal(struct warden *warden, uint32_t sig)
{
	struct stats_state state;

	if (sig == SIGCHLD)
		return;
	warden->end_wanted = true;
	if (sig == SIGUSR1 || sig == SIGUSR2) {
		warden->patient = sig == SIGUSR2;
		warden_begin_ending(warden, ENDING_QUIT, DOMAIN_SHUTOFF_DESTROYED);
		return;
	}
	stats_page_get_state(warden->page, &state);
	warden_say("asked to end");
	/* A guest that does not run cannot power itself off. */
	warden_begin_ending(warden, warden->ready && state.state == DOMAIN_RUNNING ? ENDING_POWERDOWN : ENDING_QUIT,
			    DOMAIN_SHUTOFF_DESTROYED);
}

/* --- messages of the VM --- */

static void write_facts(struct warden *warden, const json_t *message)
{
	g_autofree char *path = home_vm_path(&warden->home, warden->name, "start.json");
	auto_json json_t *facts = json_object();
	json_t *ports = json_object_get(message, "ports");
	g_autoptr(GError) error = NULL;
	char *text;

	if (ports)
		json_object_set(facts, "ports", ports);
	text = json_dumps(facts, JSON_COMPACT);
	if (text && !file_publish(AT_FDCWD, path, text, strlen(text), 0600, &error))
		warden_say_error("start.json", g_steal_pointer(&error));
	free(text);
}

static void take_ready(struct warden *warden, const json_t *ready)
{
	const char *why = text_of(ready, "why");
	g_autoptr(GError) error = NULL;

	warden->ready = true;
	if (!tune_threads(warden->uuid, warden->tune, warden->pid, warden->page, &error)) {
		warden_answer_front(warden, json_pack("{s:{s:s, s:s}}", "error", "code",
						      lodge_error_name((enum lodge_error)error->code), "message",
						      error->message));
		warden_begin_ending(warden, ENDING_QUIT, DOMAIN_SHUTOFF_FAILED);
		return;
	}
	write_facts(warden, ready);
	warden_say("started as %d, process %d: %s", warden->id, (int)warden->pid, why ? why : "");
	emit(warden, "Started", "Booted");
	warden_answer_front(warden, json_pack("{s:{s:i, s:i, s:s}}", "ready", "id", warden->id, "pid", (int)warden->pid,
					      "why", why ? why : ""));
	malloc_trim(0);
}

static void take_message(struct warden *warden, const json_t *message)
{
	json_t *body;

	if ((body = json_object_get(message, "event"))) {
		/* A kept guest was reset and runs again. */
		if (!g_strcmp0(text_of(body, "event"), "RESUME"))
			g_clear_pointer(&warden->held, g_free);
		warden_pass_event(&warden->home, warden->name, warden->uuid, body);
	} else if ((body = json_object_get(message, "ready"))) {
		take_ready(warden, body);
	} else if ((body = json_object_get(message, "live"))) {
		write_facts(warden, body);
	} else if ((body = json_object_get(message, "held"))) {
		warden_take_held(warden, body);
	} else if ((body = json_object_get(message, "stopped"))) {
		json_decref(warden->stopped);
		warden->stopped = json_incref(body);
	} else if ((body = json_object_get(message, "error"))) {
		json_decref(warden->error);
		warden->error = json_incref(body);
	}
}

/* Everything that has come. */
static void read_vm(struct warden *warden)
{
	g_autoptr(GError) error = NULL;
	json_t *message;
	int result;

	while (warden->vm && (result = wire_receive(warden->vm, &message, &error))) {
		if (result > 0) {
			take_message(warden, message);
			json_decref(message);
			continue;
		}
		/* Its end comes with SIGCHLD; a VM that talks nonsense may go on running. */
		if (error)
			warden_say_error("message from the VM", g_steal_pointer(&error));
		g_clear_pointer(&warden->vm, wire_free);
	}
}

/* --- the loop --- */

enum { POLL_SIGNALS, POLL_VM, POLL_FRONT, N_POLLS };

static void read_signals(struct warden *warden)
{
	struct signalfd_siginfo info;

	while (read(warden->signals, &info, sizeof(info)) == sizeof(info))
		take_signal(warden, info.ssi_signo);
}

/* Only its end means something: the last leash is gone. */
static void read_front(struct warden *warden)
{
	json_t *message;
	int result;

	while ((result = wire_receive(warden->front, &message, NULL)) > 0)
		json_decref(message);
	if (!result)
		return;
	g_clear_pointer(&warden->front, wire_free);
	if (warden->autodestroy) {
		warden_say("the program that started it has ended");
		warden->end_wanted = true;
		warden_begin_ending(warden, ENDING_QUIT, DOMAIN_SHUTOFF_DESTROYED);
	}
}

/* True: the VM process has ended, *status says how, and its last words have been read. */
static bool reap(struct warden *warden, int *status)
{
	if (waitpid(warden->pid, status, WNOHANG) != warden->pid)
		return false;
	read_vm(warden);
	return true;
}

static int time_left(const struct warden *warden)
{
	int64_t left = (warden->deadline - g_get_monotonic_time() + 999) / 1000;

	return warden->ending == ENDING_NOT || warden->ending == ENDING_KILL || warden->patient ? -1 :
												  (int)MAX(0, left);
}

static void watch(struct warden *warden)
{
	for (;;) {
		struct pollfd fds[N_POLLS] = {
			[POLL_SIGNALS] = { .fd = warden->signals, .events = POLLIN },
			[POLL_VM] = { .fd = warden->vm ? wire_fd(warden->vm) : -1, .events = POLLIN },
			[POLL_FRONT] = { .fd = warden->front ? wire_fd(warden->front) : -1, .events = POLLIN },
		};
		int ready, status;

		if (warden->vm && wire_pending(warden->vm))
			fds[POLL_VM].events |= POLLOUT;
		ready = poll(fds, N_POLLS, time_left(warden));
		if (!ready)
			ending_not_obeyed(warden);
		if (ready <= 0)
			continue;
		if (fds[POLL_VM].revents & POLLOUT)
			wire_flush(warden->vm, NULL);
		if (fds[POLL_VM].revents)
			read_vm(warden);
		if (fds[POLL_FRONT].revents && warden->front)
			read_front(warden);
		if (fds[POLL_SIGNALS].revents)
			read_signals(warden);
		if (reap(warden, &status) && !warden_take_end(warden, status))
			return;
	}
}

/* --- the beginning --- */

static bool take_signals(struct warden *warden)
{
	sigset_t set;

	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return false;
	warden->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return warden->signals >= 0;
}

/* "start" from the front end, or its end. */
static bool begin(struct warden *warden, GError **err)
{
	auto_json json_t *message = wire_wait(warden->front, -1, err);
	const json_t *start = json_object_get(message, "start");
	const char *xml = text_of(start, "xml");

	if (!message)
		return false;
	if (!xml)
		return fail(err, LODGE_ERROR_INPUT, "the first message is no start");
	if (!take_start(warden, start, err) || !make_page(warden, err))
		return false;
	warden->control = rundir_listen(warden->dir, "control", err);
	return warden->control >= 0 && warden_start_vm(warden, xml, DOMAIN_RUNNING_BOOTED, err);
}

/* Before there is a VM process: nothing runs, and the front end removes the directory. */
static int refuse(struct warden *warden, GError *error_consume)
{
	const char *text = error_consume ? error_consume->message : "?";

	warden_say("not started: %s", text);
	if (warden->pid > 0)
		kill(warden->pid, SIGKILL);
	fd_close(&warden->lock);
	warden_answer_front(warden, json_pack("{s:{s:s, s:s}}", "error", "code",
					      lodge_error_name(error_consume ? (enum lodge_error)error_consume->code :
									       LODGE_ERROR_SYSTEM),
					      "message", text));
	g_clear_error(&error_consume);
	return EXIT_FAILURE;
}

int warden_main(int fd)
{
	struct warden warden = { .lock = -1, .control = -1, .stats = -1, .signals = -1 };
	GError *error = NULL;

	/* Our first process ends at once, so that the front end has no child to wait for. */
	switch (fork()) {
	case 0:
		break;
	case -1:
		return EXIT_FAILURE;
	default:
		_exit(EXIT_SUCCESS);
	}
	umask(077);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) || chdir("/") || !take_signals(&warden))
		return EXIT_FAILURE;
	warden.front = wire_new(fd);
	if (!begin(&warden, &error))
		return refuse(&warden, error);
	watch(&warden);
	return EXIT_SUCCESS;
}
