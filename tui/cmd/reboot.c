/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/operate.h"
#include "tui/cmd/life.h"

static bool reboot(struct session *session, const struct args *args, GError **err)
{
	const char *mode = args_string(args, "mode");
	autoptr(dom) dom = NULL;
	unsigned modes = 0;

	if (mode && !operate_parse_modes(mode, &modes, err))
		return false;
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (!operate_reboot(session->home, dom, modes, err))
		return life_failed(err, "reboot", dom->name);
	session_say(session, "Domain '%s' is being rebooted\n", dom->name);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "mode", .type = ARG_STRING, .help = "how the guest is asked: acpi, agent, or both in that order" },
	ARG_END,
};

const struct command cmd_reboot = {
	.name = "reboot",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "ask a guest to reboot",
	.about =
		"The guest is asked to shut down as by shutdown, and started again when it has; on_reboot counts. The command does not wait.",
	.args = args,
	.run = reboot,
};
