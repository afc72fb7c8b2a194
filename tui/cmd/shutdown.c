/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/operate.h"
#include "tui/cmd/life.h"

static bool shutdown(struct session *session, const struct args *args, GError **err)
{
	const char *mode = args_string(args, "mode");
	autoptr(dom) dom = NULL;
	unsigned modes = 0;

	if (mode && !operate_parse_modes(mode, &modes, err))
		return false;
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (!operate_shutdown(session->home, dom, modes, err))
		return life_failed(err, "shutdown", dom->name);
	session_say(session, "Domain '%s' is being shutdown\n", dom->name);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "mode", .type = ARG_STRING, .help = "how the guest is asked: acpi, agent, or both in that order" },
	ARG_END,
};

const struct command cmd_shutdown = {
	.name = "shutdown",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "ask a guest to power itself off",
	.about =
		"The guest agent is asked when its channel is connected, otherwise the ACPI power button is pressed. The command does not wait; what happens when the guest has "
		"powered off is the definition's on_poweroff.",
	.args = args,
	.run = shutdown,
};
