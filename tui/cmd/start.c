/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/operate.h"
#include "tui/cmd/life.h"

static bool start(struct session *session, const struct args *args, GError **err)
{
	g_autoptr(GPtrArray) notices = g_ptr_array_new_with_free_func(g_free);
	struct launch_options options;
	autoptr(dom) dom = NULL;

	if (!life_launch_options(args, &options, err))
		return false;
	options.force_boot = args_flag(args, "force-boot");
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (operate_start(session->home, dom, &options, notices, err) < 0)
		return life_failed(err, "start", dom->name);
	life_show_notices(session, notices);
	session_say(session, "Domain '%s' started\n", dom->name);
	return life_attach_console(session, args, dom->name, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_INACTIVE),
	{ .name = "console", .type = ARG_FLAG, .help = "attach to the console at once: no boot message is missed" },
	{ .name = "paused", .type = ARG_FLAG, .help = "leave the guest paused" },
	{ .name = "autodestroy", .type = ARG_FLAG, .help = "end the guest when this program ends" },
	{ .name = "bypass-cache", .type = ARG_FLAG, .help = "read a saved state past the host's page cache" },
	{ .name = "force-boot", .type = ARG_FLAG, .help = "boot afresh: a saved state is discarded" },
	{ .name = "pass-fds", .type = ARG_STRING, .help = "descriptors N,M,... for a container's init: refused" },
	{ .name = "reset-nvram", .type = ARG_FLAG, .help = "firmware variables from their template" },
	ARG_END,
};

const struct command cmd_start = {
	.name = "start",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "start a defined domain",
	.about =
		"The domain goes on from its saved state when there is one, otherwise it boots. It runs on when this program ends.\n\n"
		"What the definition asks for and Lodge does not have is named on standard error, a line each; where doing without "
		"would betray you (a disk, a host device, an isolation setting), the start is refused.",
	.args = args,
	.run = start,
};
