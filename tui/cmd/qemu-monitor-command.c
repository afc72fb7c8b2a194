/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/monitor.h"
#include "tui/cmd/life.h"
#include "tui/text.h"

/* A line of the human monitor; what it prints ends its own lines. */
static bool run_human(struct session *session, const char *vm_name, const char *line, GError **err)
{
	auto_json json_t *answer = monitor_once(session->home, vm_name, "human-monitor-command",
						json_pack("{s:s}", "command-line", line), err);
	const char *text = json_string_value(answer);
	g_autofree char *safe = NULL;

	if (!answer)
		return false;
	safe = text_lines(text ? text : "");
	fprintf(session->out, "%s\n", safe);
	return true;
}

static json_t *parse_request(const char *line, GError **err)
{
	json_error_t why;
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, &why);

	if (!request)
		return fail_null(err, LODGE_ERROR_USAGE, "cannot parse the command as JSON: %s", why.text);
	if (json_is_string(json_object_get(request, "execute")))
		return request;
	json_decref(request);
	return fail_null(err, LODGE_ERROR_USAGE, "a QMP command is an object with the member \"execute\"");
}

/* --return-value: an error answer is an error, too. */
static bool take_value(json_t *answer, json_t **value, GError **err)
{
	const char *desc = json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));

	*value = json_object_get(answer, "return");
	return *value || fail(err, LODGE_ERROR_STATE, "the VM refused: %s", desc ? desc : "no reason given");
}

static bool run_json(struct session *session, const char *vm_name, const char *line, const struct args *args,
		     GError **err)
{
	size_t flags = JSON_ENCODE_ANY | JSON_ENSURE_ASCII |
		       (args_flag(args, "pretty") ? JSON_INDENT(2) : JSON_COMPACT);
	auto_json json_t *request = parse_request(line, err);
	autoptr(monitor) monitor = request ? monitor_open(session->home, vm_name, err) : NULL;
	auto_json json_t *answer = monitor ? monitor_execute_raw(monitor, request, err) : NULL;
	json_t *value = answer;
	char *text;

	if (!answer || (args_flag(args, "return-value") && !take_value(answer, &value, err)))
		return false;
	text = json_dumps(value, flags);
	fprintf(session->out, "%s\n", text ? text : "null");
	free(text);
	return true;
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	const char *const *words = args_rest(args);
	g_autofree char *line = g_strjoinv(" ", (char **)(uintptr_t)words);
	autoptr(dom) dom = NULL;

	if (args_string(args, "pass-fds"))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "--pass-fds: this program's descriptors are not passed on");
	if (!*line)
		return fail(err, LODGE_ERROR_USAGE, "command 'qemu-monitor-command' requires <cmd> option");
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (dom->id < 0)
		return fail(err, LODGE_ERROR_STATE, "Requested operation is not valid: domain is not running");
	return args_flag(args, "hmp") ? run_human(session, dom->name, line, err) :
					run_json(session, dom->name, line, args, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "hmp", .type = ARG_FLAG, .help = "a line of the human monitor instead of JSON" },
	{ .name = "pretty", .type = ARG_FLAG, .help = "JSON on several lines" },
	{ .name = "return-value", .type = ARG_FLAG, .help = "only the value of \"return\"" },
	{ .name = "pass-fds", .type = ARG_STRING, .help = "descriptors to send along: refused" },
	{ .name = "cmd", .type = ARG_REST, .flags = ARG_REQUIRED, .help = "the command; several words are one line" },
	ARG_END,
};

const struct command cmd_qemu_monitor_command = {
	.name = "qemu-monitor-command",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "execute a command of the VM's control socket (QMP) and print the answer",
	.about = "The command is a JSON object, as {\"execute\": \"query-status\"}; query-commands lists what "
		 "there is. With --hmp it is a line for people, as \"info status\".",
	.args = args,
	.exclusive = "hmp|pretty, hmp|return-value",
	.run = run,
};
