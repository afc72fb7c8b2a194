/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/monitor.h"

/*
 * The agent reads JSON objects and answers each with a line. It does not know who asked: an answer to somebody who has
 * given up waiting comes to the next one. Hence one front end at a time (a lock in the run directory), and the greeting
 * guest-sync-delimited with a random number: the agent answers it behind a byte 0xff, which no JSON has in it;
 * everything before that is somebody else's. A 0xff of ours makes the agent drop half a command somebody left behind.
 */
#define SENTINEL 0xff
#define SHUTDOWN_MS 1000 /* how long a refusal may take; a guest that goes down says nothing */
#define LOCK_POLL_US 20000

struct agent {
	char *name;
	int fd, lock;
	GByteArray *input;
};

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	fd_close(&agent->fd);
	fd_close(&agent->lock);
	g_byte_array_unref(agent->input);
	g_free(agent->name);
	g_free(agent);
}

/* --- bytes --- */

static int64_t deadline(int timeout_ms)
{
	return g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
}

/* 1: ready; 0: the time is over; -1: an error. */
static int wait_for(struct agent *agent, short events, int64_t end, GError **err)
{
	struct pollfd pfd = { .fd = agent->fd, .events = events };
	int64_t left = MAX(0, (end - g_get_monotonic_time() + 999) / 1000);
	int n;

	do
		n = poll(&pfd, 1, (int)MIN(left, G_MAXINT));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		fail_errno(err, "cannot wait for the guest agent");
	return n;
}

static bool no_answer(const struct agent *agent, GError **err)
{
	return fail(err, LODGE_ERROR_STATE, "Guest agent is not responding: domain '%s': no answer in time",
		    agent->name);
}

static bool send_bytes(struct agent *agent, const char *data, size_t len, int64_t end, GError **err)
{
	while (len) {
		int ready = wait_for(agent, POLLOUT, end, err);
		ssize_t n;

		if (ready <= 0)
			return ready < 0 ? false : no_answer(agent, err);
		n = send(agent->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail_errno(err, "domain '%s': the channel to the guest agent is closed", agent->name);
		data += MAX(n, 0);
		len -= (size_t)MAX(n, 0);
	}
	return true;
}

static bool send_json(struct agent *agent, const json_t *message, int64_t end, GError **err)
{
	g_autofree char *copy = NULL;
	char *text = json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);
	bool sent;

	if (!text)
		return fail(err, LODGE_ERROR_INPUT, "the command is no JSON object");
	copy = g_strdup_printf("%s\n", text);
	free(text);
	sent = send_bytes(agent, copy, strlen(copy), end, err);
	return sent;
}

/* 1: something came; 0: the time is over; -1: an error. */
static int receive(struct agent *agent, int64_t end, GError **err)
{
	uint8_t data[65536];
	int ready = wait_for(agent, POLLIN, end, err);
	ssize_t n;

	if (ready <= 0)
		return ready;
	n = recv(agent->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n <= 0) {
		fail(err, LODGE_ERROR_STATE, "domain '%s': the channel to the guest agent is closed", agent->name);
		return -1;
	}
	if (agent->input->len + (size_t)n > AGENT_MAX_ANSWER) {
		fail(err, LODGE_ERROR_GUEST, "domain '%s': the guest agent's answer is larger than %u MiB", agent->name,
		     AGENT_MAX_ANSWER >> 20);
		return -1;
	}
	g_byte_array_append(agent->input, data, (guint)n);
	return 1;
}

/* Takes the next whole line out of the input; NULL: there is none yet. g_free(). */
static char *take_line(struct agent *agent)
{
	const uint8_t *end = agent->input->len ? memchr(agent->input->data, '\n', agent->input->len) : NULL;
	size_t len = end ? (size_t)(end - agent->input->data) : 0;
	char *line;

	if (!end)
		return NULL;
	line = g_strndup((const char *)agent->input->data, len);
	g_byte_array_remove_range(agent->input, 0, (guint)len + 1);
	return line;
}

/* The next JSON object. NULL with an error; without one when the time is over. */
static json_t *receive_json(struct agent *agent, int64_t end, GError **err)
{
	for (;;) {
		g_autofree char *line = take_line(agent);
		json_t *message = line ? json_loads(line, JSON_REJECT_DUPLICATES, NULL) : NULL;

		if (json_is_object(message))
			return message;
		json_decref(message);
		if (line && *g_strstrip(line))
			return fail_null(err, LODGE_ERROR_GUEST,
					 "domain '%s': the guest agent's answer is no JSON object", agent->name);
		if (!line && receive(agent, end, err) <= 0)
			return NULL;
	}
}

/* --- greeting --- */

static bool is_return(const json_t *message, json_int_t id)
{
	const json_t *value = json_object_get(message, "return");

	return json_is_integer(value) && json_integer_value(value) == id;
}

/* Drops everything up to and with the sentinel. False: it has not come yet. */
static bool pass_sentinel(struct agent *agent)
{
	const uint8_t *at = agent->input->len ? memchr(agent->input->data, SENTINEL, agent->input->len) : NULL;

	if (!at) {
		g_byte_array_set_size(agent->input, 0);
		return false;
	}
	g_byte_array_remove_range(agent->input, 0, (guint)(at - agent->input->data) + 1);
	return true;
}

static bool not_responding(const struct agent *agent, GError **err)
{
	if (err && *err)
		return false;
	return fail(err, LODGE_ERROR_STATE,
		    "Guest agent is not responding: domain '%s': no agent answers on channel " AGENT_CHANNEL,
		    agent->name);
}

static bool synchronise(struct agent *agent, int64_t end, GError **err)
{
	static const char sentinel = (char)SENTINEL;
	json_int_t id = g_random_int();
	auto_json json_t *greeting = json_pack("{s:s, s:{s:I}}", "execute", "guest-sync-delimited", "arguments", "id",
					       id);

	if (!send_bytes(agent, &sentinel, 1, end, err) || !send_json(agent, greeting, end, err))
		return false;
	for (;;) {
		auto_json json_t *answer = NULL;

		while (!pass_sentinel(agent)) {
			if (receive(agent, end, err) <= 0)
				return not_responding(agent, err);
		}
		answer = receive_json(agent, end, err);
		if (!answer)
			return not_responding(agent, err);
		if (is_return(answer, id))
			return true;
	}
}

/* --- connecting --- */

static bool take_lock(struct agent *agent, const struct home *home, int64_t end, GError **err)
{
	g_autofree char *path = home_vm_path(home, agent->name, "agent.lock");
	GError *error = NULL;

	while ((agent->lock = file_try_lock(AT_FDCWD, path, &error)) < 0 && !error && g_get_monotonic_time() < end)
		g_usleep(LOCK_POLL_US);
	if (error) {
		g_propagate_error(err, error);
		return false;
	}
	return agent->lock >= 0 ||
	       fail(err, LODGE_ERROR_STATE, "domain '%s': somebody else is talking to the guest agent", agent->name);
}

static bool is_open_in_guest(const json_t *ports, const char *label)
{
	size_t i;
	const json_t *port;

	json_array_foreach(ports, i, port)
	{
		if (!g_strcmp0(json_string_value(json_object_get(port, "label")), label))
			return json_is_true(json_object_get(port, "frontend-open"));
	}
	return false;
}

/* Nobody waits for an agent that is not there. */
static bool check_open(const struct agent *agent, struct monitor *monitor, const json_t *attached, GError **err)
{
	const char *label = json_string_value(json_object_get(attached, "port"));
	auto_json json_t *ports = monitor_execute(monitor, "query-chardev", NULL, err);

	if (!ports)
		return false;
	if (is_open_in_guest(ports, label))
		return true;
	return fail(err, LODGE_ERROR_STATE,
		    "Guest agent is not responding: domain '%s': no guest agent is connected "
		    "(is qemu-guest-agent installed and started in the guest?)",
		    agent->name);
}

static bool attach(struct agent *agent, const struct home *home, GError **err)
{
	autoptr(monitor) monitor = monitor_open(home, agent->name, err);
	g_autoptr(GError) error = NULL;
	auto_json json_t *attached = NULL;

	if (!monitor)
		return false;
	attached = monitor_execute(monitor, "x-lodge-console-attach",
				   json_pack("{s:s, s:b, s:b}", "port", AGENT_CHANNEL, "replay", 0, "notices", 0),
				   &error);
	if (g_error_matches(error, LODGE_ERROR, LODGE_ERROR_INPUT))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "domain '%s' has no guest agent: its definition has no channel " AGENT_CHANNEL,
			    agent->name);
	if (!attached) {
		g_propagate_error(err, g_steal_pointer(&error));
		return false;
	}
	agent->fd = monitor_take_fd(monitor);
	if (agent->fd < 0)
		return fail(err, LODGE_ERROR_INTERNAL, "domain '%s': the VM sent no descriptor for the guest agent",
			    agent->name);
	return check_open(agent, monitor, attached, err);
}

struct agent *agent_open(const struct home *home, const char *vm_name, int timeout_ms, GError **err)
{
	int64_t end = deadline(timeout_ms < 0 ? AGENT_SYNC_MS : timeout_ms);
	autoptr(agent) agent = g_new0(struct agent, 1);

	agent->fd = agent->lock = -1;
	agent->name = g_strdup(vm_name);
	agent->input = g_byte_array_new();
	if (!take_lock(agent, home, end, err) || !attach(agent, home, err) || !synchronise(agent, end, err))
		return NULL;
	return g_steal_pointer(&agent);
}

/* --- commands --- */

json_t *agent_execute_raw(struct agent *agent, const json_t *message, int timeout_ms, GError **err)
{
	int64_t end = deadline(timeout_ms > 0 ? timeout_ms : AGENT_TIMEOUT_MS);
	GError *error = NULL;
	json_t *answer;

	if (!send_json(agent, message, end, err) || !timeout_ms)
		return NULL;
	answer = receive_json(agent, end, &error);
	if (error)
		g_propagate_error(err, error);
	else if (!answer)
		no_answer(agent, err);
	return answer;
}

static json_t *take_return(const struct agent *agent, const json_t *answer, GError **err)
{
	const json_t *error = json_object_get(answer, "error");
	const char *desc = json_string_value(json_object_get(error, "desc"));
	json_t *value = json_object_get(answer, "return");

	if (error)
		return fail_null(err, LODGE_ERROR_GUEST, "domain '%s': the guest agent refused: %s", agent->name,
				 desc ? desc : "it does not say why");
	if (!value)
		return fail_null(err, LODGE_ERROR_GUEST, "domain '%s': the guest agent's answer makes no sense",
				 agent->name);
	return json_incref(value);
}

static json_t *make_command(const char *command, json_t *arguments)
{
	json_t *message = json_pack("{s:s}", "execute", command);

	if (arguments)
		json_object_set_new(message, "arguments", arguments);
	return message;
}

json_t *agent_execute(struct agent *agent, const char *command, json_t *arguments, int timeout_ms, GError **err)
{
	auto_json json_t *message = make_command(command, arguments);
	auto_json json_t *answer = agent_execute_raw(agent, message, timeout_ms, err);

	return answer ? take_return(agent, answer, err) : NULL;
}

json_t *agent_once(const struct home *home, const char *vm_name, const char *command, json_t *arguments, GError **err)
{
	autoptr(agent) agent = agent_open(home, vm_name, -1, err);

	if (!agent) {
		json_decref(arguments);
		return NULL;
	}
	return agent_execute(agent, command, arguments, -1, err);
}

bool agent_shutdown(const struct home *home, const char *vm_name, const char *mode, GError **err)
{
	autoptr(agent) agent = agent_open(home, vm_name, -1, err);
	auto_json json_t *message = make_command("guest-shutdown", json_pack("{s:s}", "mode", mode));
	auto_json json_t *answer = NULL, *result = NULL;

	if (!agent || !send_json(agent, message, deadline(AGENT_TIMEOUT_MS), err))
		return false;
	answer = receive_json(agent, deadline(SHUTDOWN_MS), NULL);
	if (!answer || !json_object_get(answer, "error"))
		return true;
	result = take_return(agent, answer, err);
	return false;
}

/* --- vCPUs --- */

/* [{logical-id, online}] of those that have to change so that want are on line; NULL: cannot be done. */
static json_t *plan_vcpus(const json_t *vcpus, unsigned want)
{
	json_t *changes = json_array();
	unsigned online = 0;
	size_t i;
	const json_t *vcpu;

	json_array_foreach(vcpus, i, vcpu) online += json_is_true(json_object_get(vcpu, "online"));
	/* Off from the end, on from the beginning. */
	for (size_t n = json_array_size(vcpus); n-- > 0 && online > want;) {
		vcpu = json_array_get(vcpus, n);
		if (!json_is_true(json_object_get(vcpu, "online")) ||
		    !json_is_true(json_object_get(vcpu, "can-offline")))
			continue;
		json_array_append_new(changes, json_pack("{s:O, s:b}", "logical-id",
							 json_object_get(vcpu, "logical-id"), "online", 0));
		online--;
	}
	json_array_foreach(vcpus, i, vcpu)
	{
		if (online >= want || json_is_true(json_object_get(vcpu, "online")))
			continue;
		json_array_append_new(changes, json_pack("{s:O, s:b}", "logical-id",
							 json_object_get(vcpu, "logical-id"), "online", 1));
		online++;
	}
	if (online == want)
		return changes;
	json_decref(changes);
	return NULL;
}

bool agent_set_vcpus(const struct home *home, const char *vm_name, unsigned online, GError **err)
{
	autoptr(agent) agent = agent_open(home, vm_name, -1, err);
	auto_json json_t *vcpus = agent ? agent_execute(agent, "guest-get-vcpus", NULL, -1, err) : NULL;
	auto_json json_t *changes = NULL, *result = NULL;

	if (!vcpus)
		return false;
	changes = plan_vcpus(vcpus, online);
	if (!changes)
		return fail(err, LODGE_ERROR_STATE, "domain '%s': the guest cannot bring %u of its %zu vCPUs on line",
			    vm_name, online, json_array_size(vcpus));
	if (!json_array_size(changes))
		return true;
	result = agent_execute(agent, "guest-set-vcpus", json_pack("{s:O}", "vcpus", changes), -1, err);
	if (result && json_is_integer(result) && (size_t)json_integer_value(result) < json_array_size(changes))
		return fail(err, LODGE_ERROR_GUEST, "domain '%s': the guest changed only some of the vCPUs", vm_name);
	return result != NULL;
}
