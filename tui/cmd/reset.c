/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/operate.h"
#include "tui/cmd/life.h"

static bool reset(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (!operate_reset(session->home, dom, err))
		return life_failed(err, "reset", dom->name);
	session_say(session, "Domain '%s' was reset\n", dom->name);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	ARG_END,
};

const struct command cmd_reset = {
	.name = "reset",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "press the reset button of a running domain",
	.about =
		"The guest is not asked and loses what it has not written. Devices and CPUs start anew, in the same VM process.",
	.args = args,
	.run = reset,
};
