/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/host.h"
#include "tui/command.h"

static bool run(struct session *session G_GNUC_UNUSED, const struct args *args, GError **err)
{
	uint64_t seconds = 0;

	args_uint(args, "duration", &seconds);
	return host_suspend(NULL, args_string(args, "target"), seconds, err);
}

static const struct arg_row args_nodesuspend[] = {
	{ .name = "target",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "mem (RAM), disk or hybrid (both)",
	  .complete = COMPLETE_WORDS,
	  .values = "mem|disk|hybrid" },
	{ .name = "duration",
	  .type = ARG_DATA_UINT,
	  .flags = ARG_REQUIRED,
	  .help = "seconds until the host wakes, at least 60" },
	ARG_END,
};

const struct command cmd_nodesuspend = {
	.name = "nodesuspend",
	.group = GROUP_HOST,
	.flags = COMMAND_CHANGES | COMMAND_NO_CONNECT,
	.help = "put the host to sleep for a while",
	.args = args_nodesuspend,
	.run = run,
};
