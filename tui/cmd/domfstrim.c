/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/agent.h"

static bool domfstrim(struct session *session, const struct args *args, GError **err)
{
	auto_json json_t *answer = NULL;
	uint64_t minimum = 0;

	if (args_string(args, "mountpoint"))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "the agent trims every file system: --mountpoint is not possible");
	args_uint(args, "minimum", &minimum);
	answer = agent_ask(session, args, "guest-fstrim",
			   minimum ? json_pack("{s:I}", "minimum", (json_int_t)minimum) : NULL, err);
	return answer != NULL;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "minimum", .type = ARG_SIZE, .help = "smaller free ranges may be left alone, bytes", .unit = 1 },
	{ .name = "mountpoint", .type = ARG_STRING, .help = "only this file system: no agent can" },
	ARG_END,
};

const struct command cmd_domfstrim = {
	.name = "domfstrim",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "let the guest give back what its file systems do not use",
	.about = "The guest's agent does it.",
	.args = args,
	.run = domfstrim,
};
