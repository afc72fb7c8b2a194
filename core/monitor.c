/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/monitor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "core/base/error.h"
#include "core/rundir.h"

#define MAX_EVENTS 10000u /* that wait to be asked for; then the oldest go */

struct monitor {
	struct wire *wire;
	GQueue events; /* json_t */
	json_int_t last_id;
};

static void unref_event(gpointer data)
{
	json_decref(data);
}

void monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return;
	g_queue_clear_full(&monitor->events, unref_event);
	wire_free(monitor->wire);
	g_free(monitor);
}

/* --- answers --- */

static enum lodge_error error_code(const json_t *error)
{
	static const struct {
		const char *name;
		enum lodge_error code;
	} classes[] = {
		{ "CommandNotFound", LODGE_ERROR_UNSUPPORTED },
		{ "DeviceNotFound", LODGE_ERROR_INPUT },
		{ "DeviceNotActive", LODGE_ERROR_STATE },
		{ "KVMMissingCap", LODGE_ERROR_UNSUPPORTED },
	};
	const char *kind = json_string_value(json_object_get(error, "lodge-kind"));
	const char *class = json_string_value(json_object_get(error, "class"));

	for (int code = 0; kind && code < LODGE_N_ERRORS; code++) {
		if (!strcmp(kind, lodge_error_name((enum lodge_error)code)))
			return (enum lodge_error)code;
	}
	for (size_t i = 0; class && i < G_N_ELEMENTS(classes); i++) {
		if (!strcmp(class, classes[i].name))
			return classes[i].code;
	}
	return LODGE_ERROR_STATE;
}

static json_t *take_result(const json_t *answer, GError **err)
{
	const json_t *error = json_object_get(answer, "error");
	const char *desc = json_string_value(json_object_get(error, "desc"));

	if (error)
		return fail_null(err, error_code(error), "%s", desc ? desc : "the VM refused without a reason");
	return json_incref(json_object_get(answer, "return"));
}

static void keep_event(struct monitor *monitor, json_t *event_consume)
{
	if (monitor->events.length >= MAX_EVENTS)
		json_decref(g_queue_pop_head(&monitor->events));
	g_queue_push_tail(&monitor->events, event_consume);
}

/* An answer without an id is one to a message the other side could not read at all. */
static bool is_answer(const json_t *message, json_int_t id)
{
	const json_t *got = json_object_get(message, "id");

	if (!json_object_get(message, "return") && !json_object_get(message, "error"))
		return false;
	return got ? json_integer_value(got) == id : json_object_get(message, "error") != NULL;
}

static json_t *wait_answer(struct monitor *monitor, json_int_t id, int timeout_ms, GError **err)
{
	int64_t end = timeout_ms < 0 ? -1 : g_get_monotonic_time() + (int64_t)timeout_ms * 1000;

	for (;;) {
		int64_t left = end < 0 ? -1 : MAX(0, (end - g_get_monotonic_time()) / 1000);
		json_t *message = wire_wait(monitor->wire, (int)left, err);

		if (!message)
			return NULL;
		if (is_answer(message, id))
			return message;
		if (json_object_get(message, "event"))
			keep_event(monitor, message);
		else
			json_decref(message);
	}
}

json_t *monitor_execute_long(struct monitor *monitor, const char *command, json_t *arguments, const int *fds,
			     size_t n_fds, int timeout_ms, GError **err)
{
	auto_json json_t *request = json_pack("{s:s, s:I}", "execute", command, "id", ++monitor->last_id);
	auto_json json_t *answer = NULL;

	if (arguments)
		json_object_set_new(request, "arguments", arguments);
	if (wire_send(monitor->wire, request, fds, n_fds, err))
		answer = wait_answer(monitor, monitor->last_id, timeout_ms, err);
	return answer ? take_result(answer, err) : NULL;
}

json_t *monitor_execute_fds(struct monitor *monitor, const char *command, json_t *arguments, const int *fds,
			    size_t n_fds, GError **err)
{
	return monitor_execute_long(monitor, command, arguments, fds, n_fds, MONITOR_TIMEOUT_MS, err);
}

json_t *monitor_execute(struct monitor *monitor, const char *command, json_t *arguments, GError **err)
{
	return monitor_execute_fds(monitor, command, arguments, NULL, 0, err);
}

json_t *monitor_execute_raw(struct monitor *monitor, const json_t *request, GError **err)
{
	auto_json json_t *copy = json_copy((json_t *)(uintptr_t)request);
	const json_t *id = json_object_get(request, "id");
	json_t *answer;

	json_object_set_new(copy, "id", json_integer(++monitor->last_id));
	if (!wire_send(monitor->wire, copy, NULL, 0, err))
		return NULL;
	answer = wait_answer(monitor, monitor->last_id, MONITOR_TIMEOUT_MS, err);
	/* The user's own comes back, if there was one. */
	if (answer && id)
		json_object_set(answer, "id", (json_t *)(uintptr_t)id);
	else if (answer)
		json_object_set_new(answer, "id", json_sprintf("lodge-%" JSON_INTEGER_FORMAT, monitor->last_id));
	return answer;
}

int monitor_take_fd(struct monitor *monitor)
{
	return wire_take_fd(monitor->wire);
}

int monitor_fd(const struct monitor *monitor)
{
	return wire_fd(monitor->wire);
}

/* --- events --- */

/* 1: *event is the next one; 0: nothing yet; -1: error. */
static int receive_event(struct monitor *monitor, json_t **event, GError **err)
{
	GError *error = NULL;
	json_t *message;
	int result;

	while ((result = wire_receive(monitor->wire, &message, &error)) > 0) {
		if (json_object_get(message, "event")) {
			*event = message;
			return 1;
		}
		json_decref(message);
	}
	if (error)
		g_propagate_error(err, error);
	else if (result < 0)
		fail(err, LODGE_ERROR_STATE, "the VM has ended");
	return result;
}

json_t *monitor_next_event(struct monitor *monitor, int timeout_ms, GError **err)
{
	int64_t end = timeout_ms < 0 ? -1 : g_get_monotonic_time() + (int64_t)timeout_ms * 1000;

	while (!monitor->events.length) {
		struct pollfd poll_fd = { .fd = wire_fd(monitor->wire), .events = POLLIN };
		int64_t left = end < 0 ? -1 : MAX(0, (end - g_get_monotonic_time() + 999) / 1000);
		json_t *event;
		int result = receive_event(monitor, &event, err);

		if (result)
			return result > 0 ? event : NULL;
		result = poll(&poll_fd, 1, (int)MIN(left, G_MAXINT));
		if (!result || (result < 0 && errno == EINTR))
			return NULL;
		if (result < 0)
			return fail_errno_null(err, "cannot wait for events");
	}
	return g_queue_pop_head(&monitor->events);
}

/* --- connection --- */

static bool negotiate(struct monitor *monitor, GError **err)
{
	auto_json json_t *greeting = wire_wait(monitor->wire, MONITOR_TIMEOUT_MS, err);
	auto_json json_t *answer = NULL;

	if (!greeting)
		return false;
	if (!json_object_get(greeting, "QMP"))
		return fail(err, LODGE_ERROR_INPUT, "the control socket does not speak QMP");
	answer = monitor_execute(monitor, "qmp_capabilities", NULL, err);
	return answer != NULL;
}

struct monitor *monitor_open(const struct home *home, const char *vm_name, GError **err)
{
	g_autofree char *dir = home_vm_path(home, vm_name, NULL);
	int fd = rundir_connect(dir, "control", err);
	autoptr(monitor) monitor = NULL;

	if (fd < 0)
		return NULL;
	monitor = g_new0(struct monitor, 1);
	monitor->wire = wire_new(fd);
	g_queue_init(&monitor->events);
	if (!negotiate(monitor, err)) {
		g_prefix_error(err, "domain '%s': ", vm_name);
		return NULL;
	}
	return g_steal_pointer(&monitor);
}

json_t *monitor_once(const struct home *home, const char *vm_name, const char *command, json_t *arguments, GError **err)
{
	autoptr(monitor) monitor = monitor_open(home, vm_name, err);

	if (!monitor) {
		json_decref(arguments);
		return NULL;
	}
	return monitor_execute(monitor, command, arguments, err);
}
