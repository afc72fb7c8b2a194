/* SPDX-License-Identifier: GPL-2.0-or-later */
/* capabilities, domcapabilities: what host and program can do, as XML. */
#include "tui/command.h"
#include "tui/host-cpus.h"
#include "tui/select.h"

static bool capabilities(struct session *session, const struct args *args, GError **err)
{
	autoptr(host_cpus) cpus = host_cpus_read(err);
	g_autofree char *xml = cpus ? capabilities_format(&cpus->caps) : NULL;

	return xml && select_print(session, args, xml, err);
}

static const struct arg_row args_capabilities[] = { SELECT_ARGS, ARG_END };

const struct command cmd_capabilities = {
	.name = "capabilities",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show the host's processor, memory cells and the domains it can run, as XML",
	.args = args_capabilities,
	.run = capabilities,
};

static bool domcapabilities(struct session *session, const struct args *args, GError **err)
{
	struct capabilities_request request = {
		.virttype = args_string(args, "virttype"),
		.emulator = args_string(args, "emulatorbin"),
		.arch = args_string(args, "arch"),
		.machine = args_string(args, "machine"),
	};
	autoptr(host_cpus) cpus = host_cpus_read(err);
	g_autofree char *xml = NULL;

	if (!cpus || !host_cpus_request(cpus, &request, err))
		return false;
	xml = capabilities_format_domain(&cpus->caps, &request);
	return select_print(session, args, xml, err);
}

static const struct arg_row args_domcapabilities[] = {
	{ .name = "virttype", .type = ARG_STRING, .help = "kvm or qemu; otherwise the faster one that works" },
	{ .name = "emulatorbin",
	  .type = ARG_STRING,
	  .help = "path of the emulator; there is only this program",
	  .complete = COMPLETE_FILE },
	{ .name = "arch", .type = ARG_STRING, .help = "architecture of the guest, x86_64" },
	{ .name = "machine", .type = ARG_STRING, .help = "machine type; otherwise q35" },
	SELECT_ARGS,
	ARG_END,
};

const struct command cmd_domcapabilities = {
	.name = "domcapabilities",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show what may stand in a domain's definition here: CPU models, devices, features, as XML",
	.args = args_domcapabilities,
	.run = domcapabilities,
};
