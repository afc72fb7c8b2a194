/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/operate.h"
#include "tui/cmd/life.h"

static bool destroy(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = NULL;

	if (args_flag(args, "remove-logs"))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "--remove-logs: logs are the files that the definition names, and they stay");
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (!operate_destroy(session->home, dom, args_flag(args, "graceful"), err))
		return life_failed(err, "destroy", dom->name);
	session_say(session, "Domain '%s' destroyed\n", dom->name);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "graceful",
	  .type = ARG_FLAG,
	  .help = "never kill the VM process: fail when it does not end by itself" },
	{ .name = "remove-logs",
	  .type = ARG_FLAG,
	  .help = "refused: a domain's logs are where its definition says, and stay" },
	ARG_END,
};

const struct command cmd_destroy = {
	.name = "destroy",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "end a running domain at once",
	.about =
		"As pulling the plug: the guest is not asked and loses what it has not written. The definition and the disks stay.",
	.args = args,
	.run = destroy,
};
