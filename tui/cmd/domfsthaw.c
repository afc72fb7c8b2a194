/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/agent.h"

static bool domfsthaw(struct session *session, const struct args *args, GError **err)
{
	auto_json json_t *answer = NULL;

	if (args_rest(args)[0])
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "specifying mountpoints is not supported: the agent thaws them all");
	answer = agent_ask(session, args, "guest-fsfreeze-thaw", NULL, err);
	if (answer)
		session_say(session, "Thawed %" JSON_INTEGER_FORMAT " filesystem(s)\n", json_integer_value(answer));
	return answer != NULL;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "mountpoint", .type = ARG_REST, .help = "only these: no agent can" },
	ARG_END,
};

const struct command cmd_domfsthaw = {
	.name = "domfsthaw",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "let the guest's file systems go on after domfsfreeze",
	.about = "The guest's agent does it.",
	.args = args,
	.run = domfsthaw,
};
