/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Front end, warden and VM process, with a VM process of our own: this program executed again as role "vm" keeps to
 * core/launch.h and does what the definition's title says. So every way a VM can end, and the death of each process in
 * each phase, can be had without a guest.
 */
#include "core/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/wire.h"
#include "core/domains.h"
#include "core/events.h"
#include "core/monitor.h"
#include "core/rundir.h"
#include "core/store.h"
#include "tests/one-home.h"

/* --- the VM process --- */

struct fake {
	struct wire *warden;
	struct stats_page *page;
	int control;
	char *title;
};

static void fake_send(struct fake *fake, json_t *message_consume)
{
	auto_json json_t *message = message_consume;

	if (!wire_send(fake->warden, message, NULL, 0, NULL))
		_exit(9);
}

static void fake_stop(struct fake *fake, const char *why, unsigned reason, const char *text)
{
	stats_page_set_state(fake->page, DOMAIN_SHUTOFF, reason, text);
	fake_send(fake, json_pack("{s:{s:s, s:i, s:s}}", "stopped", "why", why, "reason", (int)reason, "text", text));
	_exit(0);
}

/* One QMP client at a time is enough; "quit", "dump-guest-memory", and what the tests want to make happen. */
static void fake_command(struct fake *fake, struct wire *client, json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "execute"));
	auto_json json_t *answer = json_pack("{s:{}, s:O?}", "return", "id", json_object_get(request, "id"));

	if (!strcmp(command, "dump-guest-memory")) {
		int fd = wire_take_fd(client);

		if (fd < 0 || write(fd, "core", 4) != 4)
			_exit(8);
		close(fd);
	}
	if (!strcmp(command, "fail"))
		json_object_set_new(answer, "error",
				    json_pack("{s:s, s:s, s:s}", "class", "GenericError", "desc", "no way",
					      "lodge-kind", "denied"));
	if (!strcmp(command, "hold"))
		stats_page_set_state(fake->page, DOMAIN_CRASHED, DOMAIN_CRASHED_PANICKED, "not syncing");
	wire_send(client, answer, NULL, 0, NULL);
	if (!strcmp(command, "quit"))
		fake_stop(fake, "quit", DOMAIN_SHUTOFF_DESTROYED, "");
	if (!strcmp(command, "poweroff"))
		fake_stop(fake, "poweroff", DOMAIN_SHUTOFF_SHUTDOWN, "");
	if (!strcmp(command, "panic"))
		fake_stop(fake, "panic", DOMAIN_SHUTOFF_CRASHED, "not syncing");
	if (!strcmp(command, "hold")) {
		fake_send(fake, json_pack("{s:{s:s, s:i, s:s}}", "held", "why", "panic", "reason",
					  DOMAIN_SHUTOFF_CRASHED, "text", "not syncing"));
	}
	if (!strcmp(command, "event"))
		fake_send(fake, json_pack("{s:{s:s, s:{}}}", "event", "event", "STOP", "data"));
}

static void fake_client(struct fake *fake, struct wire *client)
{
	auto_json json_t *greeting = json_pack("{s:{}}", "QMP");
	json_t *request;

	wire_send(client, greeting, NULL, 0, NULL);
	while ((request = wire_wait(client, -1, NULL))) {
		fake_command(fake, client, request);
		json_decref(request);
	}
	wire_free(client);
}

static void fake_warden_says(struct fake *fake)
{
	json_t *message, *quit;
	int result = wire_receive(fake->warden, &message, NULL);

	if (result <= 0)
		return;
	quit = json_object_get(message, "quit");
	if (quit && strcmp(fake->title, "stubborn")) {
		json_t *reason = json_object_get(quit, "reason");

		fake_stop(fake, "quit", reason ? (unsigned)json_integer_value(reason) : DOMAIN_SHUTOFF_DESTROYED, "");
	}
	if (json_object_get(message, "powerdown"))
		fake_stop(fake, "poweroff", DOMAIN_SHUTOFF_SHUTDOWN, "");
	json_decref(message);
}

static G_GNUC_NORETURN void fake_loop(struct fake *fake, bool ready)
{
	bool alone = false;

	for (;;) {
		struct pollfd fds[] = { { .fd = fake->control, .events = POLLIN },
					{ .fd = alone ? -1 : wire_fd(fake->warden), .events = POLLIN } };

		poll(fds, 2, -1);
		if (fds[1].revents & POLLHUP && !ready)
			_exit(1);
		if (fds[1].revents & POLLHUP)
			alone = true;
		else if (fds[1].revents)
			fake_warden_says(fake);
		if (fds[0].revents) {
			int fd = accept(fake->control, NULL, NULL);

			if (fd >= 0)
				fake_client(fake, wire_new(fd));
		}
	}
}

static int fake_vm(void)
{
	static const char words[] = "hello\r\n\033[1mlast words\033[0m\n";
	struct fake fake = { .warden = wire_new(3) };
	json_t *message = wire_wait(fake.warden, -1, NULL);
	json_t *start = json_object_get(message, "start");
	const char *xml = json_string_value(json_object_get(start, "xml"));
	int stats, reason = (int)json_integer_value(json_object_get(start, "reason"));

	if (!xml)
		return 1;
	fake.title = strstr(xml, "<title>") ?
			     g_strndup(strstr(xml, "<title>") + 7, strcspn(strstr(xml, "<title>") + 7, "<")) :
			     g_strdup("");
	fake.control = wire_take_fd(fake.warden);
	stats = wire_take_fd(fake.warden);
	fake.page = mmap(NULL, sizeof(*fake.page), PROT_READ | PROT_WRITE, MAP_SHARED, stats, 0);
	if (!strcmp(fake.title, "die-early"))
		raise(SIGKILL);
	if (!strcmp(fake.title, "refuse")) {
		fake_send(&fake,
			  json_pack("{s:{s:s, s:s}}", "error", "code", "unsupported", "message", "no such device"));
		return 1;
	}
	if (!strcmp(fake.title, "hang-early"))
		fake_loop(&fake, false);
	fake.page->pid = (int32_t)getpid();
	stats_tail_write(fake.page, words, strlen(words));
	stats_page_set_state(fake.page, DOMAIN_RUNNING, (unsigned)reason, "");
	fake_send(&fake, json_pack("{s:{s:i, s:s, s:{s:s}}}", "ready", "pid", (int)getpid(), "why", "fake", "ports",
				   "serial0", "/dev/pts/77"));
	fake_loop(&fake, true);
}

/* --- tests --- */

static struct domain *make_domain(const char *name, const char *title, const char *more)
{
	g_autofree char *text =
		g_strdup_printf("<domain type='qemu'><name>%s</name>"
				"<uuid>00000000-0000-4000-8000-%012x</uuid><title>%s</title><memory>65536</memory>"
				"<os><type arch='x86_64' machine='q35'>hvm</type><kernel>/dev/null</kernel></os>%s"
				"<devices><serial type='pty'><target port='0'/></serial></devices></domain>",
				name, g_str_hash(name), title, more);
	g_autoptr(GError) error = NULL;
	struct domain *domain = domain_parse(text, strlen(text), name, 0, &error);

	g_assert_no_error(error);
	return domain;
}

static int start_with(const struct one_home *one, const char *name, const char *title, const char *more,
		      const struct launch_options *options, GError **err)
{
	autoptr(domain) domain = make_domain(name, title, more);
	GError *error = NULL;

	domains_define(one->home, domain, &error);
	g_assert_no_error(error);
	return launch(one->home, domain, options, NULL, err);
}

static int start(const struct one_home *one, const char *name, const char *more)
{
	struct launch_options options = { 0 };
	GError *error = NULL;
	int id = start_with(one, name, "", more, &options, &error);

	g_assert_no_error(error);
	g_assert_cmpint(id, >, 0);
	return id;
}

static void command(const struct one_home *one, const char *name, const char *what)
{
	GError *error = NULL;
	json_t *answer = monitor_once(one->home, name, what, NULL, &error);

	g_assert_no_error(error);
	json_decref(answer);
}

/* The lock is given up when the last owner has gone. */
static void wait_gone(const struct one_home *one, const char *name)
{
	g_autofree char *path = home_vm_path(one->home, name, "lock");
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_SH);
}

static struct dom *find(const struct one_home *one, const char *name)
{
	GError *error = NULL;
	struct dom *dom = domains_find(one->home, name, &error);

	g_assert_no_error(error);
	return dom;
}

static void assert_off(const struct one_home *one, const char *name, unsigned reason)
{
	autoptr(dom) dom = find(one, name);
	g_autofree char *dir = home_vm_path(one->home, name, NULL);

	g_assert_cmpint(dom->id, ==, -1);
	g_assert_cmpuint(dom->state.state, ==, DOMAIN_SHUTOFF);
	g_assert_cmpstr(domain_reason_name(DOMAIN_SHUTOFF, dom->state.reason), ==,
			domain_reason_name(DOMAIN_SHUTOFF, reason));
	g_assert_false(g_file_test(dir, G_FILE_TEST_EXISTS));
}

static json_t *next_lifecycle(struct events *events)
{
	json_t *event;

	while ((event = events_next(events, 20000, NULL))) {
		if (!strcmp(json_string_value(json_object_get(event, "event")), "lifecycle"))
			return event;
		json_decref(event);
	}
	g_assert_not_reached();
}

static void expect(struct events *events, const char *name, const char *type, const char *detail)
{
	auto_json json_t *event = next_lifecycle(events);

	g_assert_cmpstr(json_string_value(json_object_get(event, "name")), ==, name);
	g_assert_cmpstr(json_string_value(json_object_get(event, "type")), ==, type);
	g_assert_cmpstr(json_string_value(json_object_get(event, "detail")), ==, detail);
}

static void test_refusals(void)
{
	autoptr(one_home) one = one_home_new();
	struct launch_options options = { 0 };
	g_autoptr(GError) error = NULL, dead = NULL, again = NULL;
	g_autoptr(GPtrArray) notices = NULL;

	g_assert_cmpint(start_with(one, "a", "refuse", "", &options, &error), ==, -1);
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED);
	g_assert_cmpstr(error->message, ==, "no such device");
	assert_off(one, "a", DOMAIN_SHUTOFF_UNKNOWN);
	g_assert_cmpint(start_with(one, "b", "die-early", "", &options, &dead), ==, -1);
	g_assert_nonnull(strstr(dead->message, "killed by signal 9"));
	assert_off(one, "b", DOMAIN_SHUTOFF_UNKNOWN);
	start(one, "c", "");
	g_assert_cmpint(start_with(one, "c", "", "", &options, &again), ==, -1);
	g_assert_error(again, LODGE_ERROR, LODGE_ERROR_STATE);
	command(one, "c", "quit");
	wait_gone(one, "c");
	/* Nothing of this was a crash. */
	notices = domains_notices();
	g_assert_cmpuint(notices->len, ==, 0);
}

static void test_life(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	autoptr(domain) live = NULL;
	autoptr(dom) dom = NULL;
	g_autofree char *tty = NULL;
	int id = start(one, "vm", "");

	expect(events, "vm", "Defined", "Added");
	expect(events, "vm", "Started", "Booted");
	dom = find(one, "vm");
	g_assert_cmpint(dom->id, ==, id);
	g_assert_cmpint(dom->pid, >, 0);
	g_assert_cmpuint(dom->state.state, ==, DOMAIN_RUNNING);
	g_assert_true(dom->persistent);
	live = dom_definition(one->home, dom, true, NULL);
	tty = xml_get(live->root, "devices/serial/source/@path");
	g_assert_cmpstr(tty, ==, "/dev/pts/77");
	command(one, "vm", "event");
	expect(events, "vm", "Suspended", "Paused");
	command(one, "vm", "poweroff");
	expect(events, "vm", "Stopped", "Shutdown");
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_SHUTDOWN);
	g_assert_cmpint(start(one, "vm", ""), ==, id + 1);
	command(one, "vm", "quit");
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_DESTROYED);
}

static void test_monitor_errors(void)
{
	autoptr(one_home) one = one_home_new();
	g_autoptr(GError) denied = NULL, gone = NULL;

	start(one, "vm", "");
	g_assert_null(monitor_once(one->home, "vm", "fail", NULL, &denied));
	g_assert_error(denied, LODGE_ERROR, LODGE_ERROR_DENIED);
	g_assert_cmpstr(denied->message, ==, "no way");
	command(one, "vm", "quit");
	wait_gone(one, "vm");
	g_assert_null(monitor_once(one->home, "vm", "quit", json_object(), &gone));
	g_assert_error(gone, LODGE_ERROR, LODGE_ERROR_STATE);
}

static void test_policies(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	autoptr(dom) dom = NULL;
	int first, id = start(one, "vm", "<on_poweroff>restart</on_poweroff><on_crash>coredump-restart</on_crash>");

	expect(events, "vm", "Defined", "Added");
	expect(events, "vm", "Started", "Booted");
	dom = find(one, "vm");
	first = dom->pid;
	g_clear_pointer(&dom, dom_free);
	command(one, "vm", "poweroff");
	expect(events, "vm", "Stopped", "Shutdown");
	expect(events, "vm", "Started", "Booted");
	dom = find(one, "vm");
	g_assert_cmpint(dom->id, ==, id);
	g_assert_cmpint(dom->pid, !=, first);
	command(one, "vm", "hold");
	expect(events, "vm", "Stopped", "Crashed");
	expect(events, "vm", "Started", "Booted");
	command(one, "vm", "quit");
	expect(events, "vm", "Stopped", "Destroyed");
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_DESTROYED);
	g_clear_pointer(&dom, dom_free);
	g_autofree char *dumps = g_build_filename(one->home->state_dir, "dump", NULL);
	g_autoptr(GDir) dir = g_dir_open(dumps, 0, NULL);
	g_assert_nonnull(dir);
	g_assert_nonnull(g_dir_read_name(dir));
}

static void test_rename_restart(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	autoptr(dom) dom = NULL;

	start(one, "vm", "<on_crash>rename-restart</on_crash>");
	command(one, "vm", "panic");
	expect(events, "vm", "Defined", "Added");
	expect(events, "vm", "Started", "Booted");
	expect(events, "vm", "Stopped", "Crashed");
	expect(events, "vm-1", "Started", "Booted");
	assert_off(one, "vm", DOMAIN_SHUTOFF_CRASHED);
	dom = find(one, "vm-1");
	g_assert_false(dom->persistent);
	g_assert_cmpuint(dom->state.reason, ==, DOMAIN_RUNNING_CRASHED);
	command(one, "vm-1", "quit");
	wait_gone(one, "vm-1");
	g_assert_null(domains_find(one->home, "vm-1", NULL));
}

static void test_preserve(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(dom) dom = NULL;

	start(one, "vm", "<on_crash>preserve</on_crash>");
	command(one, "vm", "hold");
	dom = find(one, "vm");
	g_assert_cmpuint(dom->state.state, ==, DOMAIN_CRASHED);
	g_assert_cmpstr(dom->state.text, ==, "not syncing");
	command(one, "vm", "quit");
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_DESTROYED);
}

/* The VM process is killed: its warden writes it down. */
static void test_kill_vm(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	autoptr(dom) dom = NULL;
	auto_json json_t *memory = NULL;
	g_autoptr(GPtrArray) notices = NULL, none = NULL;
	const json_t *stopped;

	start(one, "vm", "<on_crash>restart</on_crash>");
	expect(events, "vm", "Defined", "Added");
	expect(events, "vm", "Started", "Booted");
	dom = find(one, "vm");
	kill(dom->pid, SIGKILL);
	expect(events, "vm", "Stopped", "Crashed");
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_CRASHED);
	memory = store_memory(one->home, STORE_VM, "vm");
	stopped = json_object_get(memory, "stopped");
	g_assert_nonnull(strstr(json_string_value(json_object_get(stopped, "text")), "signal 9"));
	g_assert_cmpstr(json_string_value(json_array_get(json_object_get(stopped, "console"), 1)), ==, "last words");
	/* The first command after it says so, the second no more. */
	notices = domains_notices();
	g_assert_cmpuint(notices->len, ==, 3);
	g_assert_nonnull(strstr(notices->pdata[0], "signal 9"));
	assert_off(one, "vm", DOMAIN_SHUTOFF_CRASHED);
	none = domains_notices();
	g_assert_cmpuint(none->len, ==, 0);
}

/* The warden first, then the VM: the next command finds it, once. */
static void test_kill_both(void)
{
	autoptr(one_home) one = one_home_new();
	g_autoptr(GPtrArray) notices = NULL, none = NULL;
	autoptr(dom) dom = NULL;
	autoptr(dom) again = NULL;
	int warden, pid;

	start(one, "vm", "");
	dom = find(one, "vm");
	warden = dom->page->warden_pid;
	pid = dom->pid;
	kill(warden, SIGKILL);
	/* Runs on without it. */
	again = find(one, "vm");
	g_assert_cmpuint(again->state.state, ==, DOMAIN_RUNNING);
	command(one, "vm", "event");
	kill(pid, SIGKILL);
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_CRASHED);
	notices = domains_notices();
	g_assert_cmpuint(notices->len, ==, 3);
	g_assert_nonnull(strstr(notices->pdata[0], "domain 'vm' has crashed"));
	g_assert_cmpstr(notices->pdata[2], ==, "vm console: last words");
	assert_off(one, "vm", DOMAIN_SHUTOFF_CRASHED);
	none = domains_notices();
	g_assert_cmpuint(none->len, ==, 0);
	start(one, "vm", "");
	command(one, "vm", "quit");
	wait_gone(one, "vm");
}

/* A VM without a warden that ends in good order has not crashed. */
static void test_kill_warden(void)
{
	autoptr(one_home) one = one_home_new();
	g_autoptr(GPtrArray) notices = NULL;
	autoptr(dom) dom = NULL;
	struct pollfd end;
	auto_fd int client = -1;
	g_autofree char *dir = home_vm_path(one->home, "vm", NULL);

	start(one, "vm", "");
	dom = find(one, "vm");
	kill(dom->page->warden_pid, SIGKILL);
	client = rundir_connect(dir, "control", NULL);
	end = (struct pollfd){ .fd = client, .events = POLLIN };
	/* The greeting: the VM talks to us, so it is not in between two things. */
	poll(&end, 1, -1);
	g_assert_cmpint(write(client, "{\"execute\":\"poweroff\"}", 22), ==, 22);
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_SHUTDOWN);
	notices = domains_notices();
	g_assert_cmpuint(notices->len, ==, 0);
}

/* Runs fn in a process of its own, which is killed when it has said what it has to. */
static pid_t in_process(const struct one_home *one, void (*fn)(const struct one_home *one), bool wait)
{
	int pair[2];
	char c;
	pid_t pid;

	g_assert_cmpint(pipe(pair), ==, 0);
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	fcntl(pair[1], F_SETFD, FD_CLOEXEC);
	pid = fork();
	if (!pid) {
		close(pair[0]);
		fn(one);
		if (write(pair[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	close(pair[1]);
	if (wait)
		g_assert_cmpint(read(pair[0], &c, 1), ==, 1);
	close(pair[0]);
	return pid;
}

static void start_autodestroy(const struct one_home *one)
{
	struct launch_options options = { .autodestroy = true };

	if (start_with(one, "vm", "", "", &options, NULL) < 0)
		_exit(1);
}

static void test_autodestroy(void)
{
	autoptr(one_home) one = one_home_new();
	pid_t pid = in_process(one, start_autodestroy, true);
	autoptr(dom) dom = find(one, "vm");

	g_assert_cmpuint(dom->state.state, ==, DOMAIN_RUNNING);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_DESTROYED);
}

static void start_hanging(const struct one_home *one)
{
	struct launch_options options = { 0 };

	start_with(one, "vm", "hang-early", "", &options, NULL);
}

/* The front end is killed while the VM is being started, then warden and VM in that phase too. */
static void test_kill_while_starting(void)
{
	autoptr(one_home) one = one_home_new();
	g_autoptr(GPtrArray) notices = NULL;
	autoptr(events) events = events_listen(one->home, NULL);
	pid_t pid = in_process(one, start_hanging, false);
	const struct stats_page *page = NULL;
	g_autofree char *path = home_vm_path(one->home, "vm", "control");

	expect(events, "vm", "Defined", "Added");
	/* No event tells about what is not started yet: the control socket is the last thing before the VM process. */
	while (!g_file_test(path, G_FILE_TEST_EXISTS))
		g_thread_yield();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (!page)
		page = rundir_map_page(one->home, "vm");
	g_assert_cmpint(page->warden_pid, >, 0);
	kill(page->warden_pid, SIGTERM);
	rundir_unmap_page(page);
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_UNKNOWN);
	notices = domains_notices();
	g_assert_cmpuint(notices->len, ==, 0);
	start(one, "vm", "");
	command(one, "vm", "quit");
	wait_gone(one, "vm");
}

/* SIGTERM to a warden: the guest is asked to power off. */
static void test_sigterm(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(dom) dom = NULL;

	start(one, "vm", "<on_poweroff>restart</on_poweroff>");
	dom = find(one, "vm");
	kill(dom->page->warden_pid, SIGHUP);
	kill(dom->page->warden_pid, SIGINT);
	kill(dom->page->warden_pid, SIGTERM);
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_SHUTDOWN);
}

/* A front end's wish ends what a policy would start again, and what does not answer. */
static void test_destroy_signals(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(dom) dom = NULL;
	autoptr(dom) kept = NULL;

	start(one, "vm", "<on_poweroff>restart</on_poweroff>");
	dom = find(one, "vm");
	kill(dom->page->warden_pid, SIGUSR1);
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_DESTROYED);
	start(one, "kept", "<on_crash>coredump-restart</on_crash>");
	kept = find(one, "kept");
	/* Both wait for the warden when it goes on: the dump's restart must not win. */
	kill(kept->page->warden_pid, SIGSTOP);
	command(one, "kept", "hold");
	kill(kept->page->warden_pid, SIGUSR1);
	kill(kept->page->warden_pid, SIGCONT);
	wait_gone(one, "kept");
	g_clear_pointer(&kept, dom_free);
	kept = find(one, "kept");
	g_assert_cmpuint(kept->state.state, ==, DOMAIN_SHUTOFF);
}

/* What neither a warden nor a VM came to own: any stage of a front end that was killed at once. */
static void test_left_over_directory(void)
{
	autoptr(one_home) one = one_home_new();
	g_autofree char *dir = home_vm_path(one->home, "vm", NULL);
	g_autofree char *lock = home_vm_path(one->home, "vm", "lock");
	g_autofree char *stats = home_vm_path(one->home, "vm", "stats");
	autoptr(domain) domain = make_domain("vm", "", "");

	g_assert_true(domains_define(one->home, domain, NULL));
	g_assert_true(dir_make(dir, 0700, NULL));
	assert_off(one, "vm", DOMAIN_SHUTOFF_UNKNOWN);
	g_assert_true(dir_make(dir, 0700, NULL));
	g_assert_true(g_file_set_contents(lock, "", 0, NULL));
	g_assert_true(g_file_set_contents(stats, "short", 5, NULL));
	start(one, "vm", "");
	command(one, "vm", "quit");
	wait_gone(one, "vm");
	assert_off(one, "vm", DOMAIN_SHUTOFF_DESTROYED);
}

static void test_processes(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(dom) dom = NULL;
	g_autofree char *fds = NULL;
	g_autoptr(GDir) dir = NULL;
	unsigned n = 0;
	struct stat st;
	g_autofree char *control = home_vm_path(one->home, "vm", "control");

	start(one, "vm", "");
	dom = find(one, "vm");
	g_assert_cmpint(getsid(dom->page->warden_pid), !=, getsid(0));
	fds = g_strdup_printf("/proc/%d/fd", dom->pid);
	dir = g_dir_open(fds, 0, NULL);
	while (g_dir_read_name(dir))
		n++;
	/* 0 to 3, and the four that came; nothing that was not meant for it. */
	g_assert_cmpuint(n, ==, 8);
	g_assert_cmpint(stat(control, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
	/* We have no child that is still there, or was not waited for. */
	g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
	command(one, "vm", "quit");
	wait_gone(one, "vm");
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "--role"))
		return strcmp(argv[2], "vm") ? warden_main(3) : fake_vm();
	signal(SIGPIPE, SIG_IGN);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/launch/refusals", test_refusals);
	g_test_add_func("/launch/life", test_life);
	g_test_add_func("/launch/monitor-errors", test_monitor_errors);
	g_test_add_func("/launch/policies", test_policies);
	g_test_add_func("/launch/rename-restart", test_rename_restart);
	g_test_add_func("/launch/preserve", test_preserve);
	g_test_add_func("/launch/kill-vm", test_kill_vm);
	g_test_add_func("/launch/kill-both", test_kill_both);
	g_test_add_func("/launch/kill-warden", test_kill_warden);
	g_test_add_func("/launch/autodestroy", test_autodestroy);
	g_test_add_func("/launch/kill-while-starting", test_kill_while_starting);
	g_test_add_func("/launch/sigterm", test_sigterm);
	g_test_add_func("/launch/destroy-signals", test_destroy_signals);
	g_test_add_func("/launch/left-over-directory", test_left_over_directory);
	g_test_add_func("/launch/processes", test_processes);
	return g_test_run();
}
