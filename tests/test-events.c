/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events between processes that do not know each other. */
#include "core/events.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/wire.h"
#include "core/warden-events.h"
#include "tests/one-home.h"

static const char *text_of(const json_t *event, const char *member)
{
	return json_string_value(json_object_get(event, member));
}

static unsigned count_files(const struct one_home *one)
{
	g_autofree char *path = g_build_filename(one->home->runtime_dir, "events", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	unsigned n = 0;

	while (dir && g_dir_read_name(dir))
		n++;
	return n;
}

static void test_nobody_listens(void)
{
	autoptr(one_home) one = one_home_new();

	events_emit_lifecycle(one->home, "vm", "u", "Started", "Booted");
	g_assert_cmpuint(count_files(one), ==, 0);
}

/* A listener that was killed is forgotten by the next sender. */
static void test_dead_listener(void)
{
	autoptr(one_home) one = one_home_new();
	int status, pair[2];
	char c;
	pid_t pid;

	g_assert_cmpint(pipe(pair), ==, 0);
	pid = fork();
	if (!pid) {
		events_listen(one->home, NULL);
		if (write(pair[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	g_assert_cmpint(read(pair[0], &c, 1), ==, 1);
	g_assert_cmpuint(count_files(one), ==, 2);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	events_emit_lifecycle(one->home, "vm", "u", "Started", "Booted");
	g_assert_cmpuint(count_files(one), ==, 0);
	close(pair[0]);
	close(pair[1]);
}

/* Who does not read loses events, learns how many, and holds nobody up. */
static void test_lost(void)
{
	enum { SENT = 20000 };
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	json_int_t lost = 0;
	unsigned got = 0;
	json_t *event;

	for (int i = 0; i < SENT; i++)
		events_emit_lifecycle(one->home, "vm", "00000000-0000-4000-8000-000000000000", "Started", "Booted");
	while ((event = events_next(events, 0, NULL))) {
		lost += json_integer_value(json_object_get(event, "lost"));
		got++;
		json_decref(event);
	}
	g_assert_cmpint(lost, >, 0);
	g_assert_cmpuint(got, >, 100);
	g_assert_cmpint(lost + got, ==, SENT);
	/* Only once. */
	events_emit_lifecycle(one->home, "vm", "u", "Stopped", "Shutdown");
	event = events_next(events, -1, NULL);
	g_assert_null(json_object_get(event, "lost"));
	json_decref(event);
}

static void test_nonsense(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	g_autofree char *path = g_build_filename(one->home->runtime_dir, "events", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;
	json_t *event;

	while ((name = g_dir_read_name(dir))) {
		g_autofree char *file = g_build_filename(path, name, NULL);
		int fd = g_str_has_suffix(name, ".lost") ? -1 : open(file, O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		g_assert_cmpint(write(fd, "nonsense\n[1]\n{\n", 15), ==, 15);
		close(fd);
	}
	events_emit_lifecycle(one->home, "vm", "u", "Started", "Booted");
	event = events_next(events, -1, NULL);
	g_assert_cmpstr(text_of(event, "type"), ==, "Started");
	json_decref(event);
	g_assert_null(events_next(events, 0, NULL));
}

static void test_two_listeners(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) a = events_listen(one->home, NULL);
	autoptr(events) b = events_listen(one->home, NULL);
	struct events *const all[] = { a, b };
	struct pollfd fd = { .fd = events_fd(b), .events = POLLIN };

	g_assert_cmpint(poll(&fd, 1, 0), ==, 0);
	events_emit_lifecycle(one->home, "vm \"x\"", "u-1", "Defined", "Added");
	g_assert_cmpint(poll(&fd, 1, 0), ==, 1);
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
		auto_json json_t *event = events_next(all[i], -1, NULL);

		g_assert_cmpstr(text_of(event, "event"), ==, "lifecycle");
		g_assert_cmpstr(text_of(event, "kind"), ==, "domain");
		g_assert_cmpstr(text_of(event, "name"), ==, "vm \"x\"");
		g_assert_cmpstr(text_of(event, "uuid"), ==, "u-1");
		g_assert_cmpstr(text_of(event, "type"), ==, "Defined");
		g_assert_cmpstr(text_of(event, "detail"), ==, "Added");
		g_assert_cmpint(json_integer_value(json_object_get(event, "time_us")), >, INT64_C(1000000000000000));
	}
	g_assert_null(events_next(a, 0, NULL));
	g_clear_pointer(&a, events_free);
	g_clear_pointer(&b, events_free);
	g_assert_cmpuint(count_files(one), ==, 0);
}

/* --- what a VM's events become --- */

static void pass(const struct one_home *one, const char *name, const char *data)
{
	auto_json json_t *qmp = json_pack("{s:s, s:o}", "event", name, "data", json_loads(data, 0, NULL));

	warden_pass_event(one->home, "vm", "u", qmp);
}

static void expect(struct events *events, const char *name, const char *member, const char *value)
{
	auto_json json_t *event = events_next(events, 0, NULL);
	auto_json json_t *raw = events_next(events, 0, NULL);
	char *got = json_dumps(json_object_get(event, member), JSON_ENCODE_ANY);

	g_assert_cmpstr(text_of(event, "event"), ==, name);
	g_assert_cmpstr(got, ==, value);
	free(got);
	g_assert_cmpstr(text_of(raw, "event"), ==, "monitor");
	g_assert_true(json_is_object(json_object_get(raw, "qmp")));
}

static void test_translation(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	auto_json json_t *unknown = NULL;

	pass(one, "STOP", "{}");
	expect(events, "lifecycle", "type", "\"Suspended\"");
	pass(one, "GUEST_PANICKED", "{}");
	expect(events, "lifecycle", "detail", "\"Panicked\"");
	pass(one, "SHUTDOWN", "{\"guest\":true,\"reason\":\"guest-shutdown\"}");
	expect(events, "lifecycle", "detail", "\"Finished after guest request\"");
	pass(one, "RESET", "{\"guest\":true}");
	expect(events, "reboot", "name", "\"vm\"");
	pass(one, "RTC_CHANGE", "{\"offset\":-7}");
	expect(events, "rtc-change", "utcoffset", "-7");
	pass(one, "BALLOON_CHANGE", "{\"actual\":1048576}");
	expect(events, "balloon-change", "actual", "1024");
	pass(one, "DEVICE_TRAY_MOVED", "{\"device\":\"sda\",\"tray-open\":true}");
	expect(events, "tray-change", "reason", "\"opened\"");
	pass(one, "VSERPORT_CHANGE", "{\"id\":\"channel0\",\"open\":false}");
	expect(events, "agent-lifecycle", "state", "\"disconnected\"");
	/* Nothing but the event itself for these two. */
	pass(one, "SHUTDOWN", "{\"guest\":false,\"reason\":\"host-qmp-quit\"}");
	json_decref(events_next(events, 0, NULL));
	pass(one, "X_UNHEARD_OF", "{}");
	unknown = events_next(events, 0, NULL);
	g_assert_cmpstr(text_of(unknown, "event"), ==, "monitor");
	g_assert_null(events_next(events, 0, NULL));
}

/* Longer than a line may be: the fact remains. */
static void test_long(void)
{
	autoptr(one_home) one = one_home_new();
	autoptr(events) events = events_listen(one->home, NULL);
	g_autofree char *text = g_strnfill(10000, 'x');
	g_autofree char *data = g_strdup_printf("{\"text\":\"%s\"}", text);
	auto_json json_t *event = NULL;

	pass(one, "X_LONG", data);
	event = events_next(events, 0, NULL);
	g_assert_true(json_is_true(json_object_get(event, "truncated")));
	g_assert_true(json_is_null(json_object_get(event, "qmp")));
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/events/nobody-listens", test_nobody_listens);
	g_test_add_func("/events/dead-listener", test_dead_listener);
	g_test_add_func("/events/lost", test_lost);
	g_test_add_func("/events/nonsense", test_nonsense);
	g_test_add_func("/events/two-listeners", test_two_listeners);
	g_test_add_func("/events/translation", test_translation);
	g_test_add_func("/events/long", test_long);
	return g_test_run();
}
