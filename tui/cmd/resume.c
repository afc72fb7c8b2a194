/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/operate.h"
#include "tui/cmd/life.h"

static bool resume(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (!operate_resume(session->home, dom, err))
		return life_failed(err, "resume", dom->name);
	session_say(session, "Domain '%s' resumed\n", dom->name);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	ARG_END,
};

const struct command cmd_resume = {
	.name = "resume",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "let a paused domain run on",
	.about = "Also for a domain that was started with --paused.",
	.args = args,
	.run = resume,
};
