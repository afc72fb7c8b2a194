/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/operate.h"
#include "tui/cmd/life.h"

static bool suspend(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (!operate_suspend(session->home, dom, err))
		return life_failed(err, "suspend", dom->name);
	session_say(session, "Domain '%s' suspended\n", dom->name);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	ARG_END,
};

const struct command cmd_suspend = {
	.name = "suspend",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "pause a running domain",
	.about = "The guest keeps its memory and uses no CPU; its clock stands still. Go on with resume.",
	.args = args,
	.run = suspend,
};
