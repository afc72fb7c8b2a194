/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/host.h"
#include "tui/command.h"

static bool run(struct session *session, const struct args *args G_GNUC_UNUSED, GError **err)
{
	g_autofree char *xml = host_sysinfo(NULL, err);

	if (!xml)
		return false;
	fputs(xml, session->out);
	return true;
}

static const struct arg_row args_sysinfo[] = { ARG_END };

const struct command cmd_sysinfo = {
	.name = "sysinfo",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show what the host's firmware says about the machine, as XML",
	.args = args_sysinfo,
	.run = run,
};
