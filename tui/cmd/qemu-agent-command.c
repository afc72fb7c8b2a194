/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/agent.h"

/* A message as it is, with the words of the command line joined by blanks. */
static json_t *parse_words(const struct args *args, GError **err)
{
	g_autofree char *text = g_strjoinv(" ", (char **)(uintptr_t)args_rest(args));
	json_error_t error;
	json_t *message = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!message)
		return fail_null(err, LODGE_ERROR_INPUT, "the command is not JSON: %s", error.text);
	if (agent_string(message, "execute"))
		return message;
	json_decref(message);
	return fail_null(err, LODGE_ERROR_INPUT, "the command is no object with a member 'execute'");
}

static bool parse_timeout(const struct args *args, int *timeout_ms, GError **err)
{
	uint64_t seconds;

	*timeout_ms = args_flag(args, "block") ? G_MAXINT : args_flag(args, "async") ? 0 : -1;
	if (!args_uint(args, "timeout", &seconds))
		return true;
	if (!seconds || seconds > G_MAXINT / 1000)
		return fail(err, LODGE_ERROR_USAGE, "timeout must be positive and at most %d seconds", G_MAXINT / 1000);
	*timeout_ms = (int)seconds * 1000;
	return true;
}

static bool qemu_agent_command(struct session *session, const struct args *args, GError **err)
{
	auto_json json_t *message = parse_words(args, err);
	auto_json json_t *answer = NULL;
	autoptr(agent) agent = NULL;
	GError *error = NULL;
	int timeout_ms;
	char *text;

	if (!message || !parse_timeout(args, &timeout_ms, err))
		return false;
	agent = agent_connect(session, args, NULL, err);
	if (!agent)
		return false;
	answer = agent_execute_raw(agent, message, timeout_ms, &error);
	if (error) {
		g_propagate_error(err, error);
		return false;
	}
	if (!answer)
		return true;
	if (json_object_get(answer, "error"))
		return fail(err, LODGE_ERROR_GUEST, "the guest agent refused: %s",
			    agent_string(json_object_get(answer, "error"), "desc"));
	text = json_dumps(answer, args_flag(args, "pretty") ? JSON_INDENT(2) : JSON_COMPACT);
	fprintf(session->out, "%s\n", text);
	free(text);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "timeout", .type = ARG_UINT, .help = "seconds to wait for the answer" },
	{ .name = "async", .type = ARG_FLAG, .help = "do not wait for the answer" },
	{ .name = "block", .type = ARG_FLAG, .help = "wait for ever" },
	{ .name = "pretty", .type = ARG_FLAG, .help = "indent the answer" },
	{ .name = "cmd", .type = ARG_REST, .flags = ARG_REQUIRED, .help = "{\"execute\": NAME, \"arguments\": {...}}" },
	ARG_END,
};

const struct command cmd_qemu_agent_command = {
	.name = "qemu-agent-command",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "send a command to the guest's agent as it is",
	.about =
		"Without --timeout, --async and --block the answer may take 30 seconds. \"guest-info\" lists what the agent knows.",
	.args = args,
	.exclusive = "timeout|async|block",
	.run = qemu_agent_command,
};
