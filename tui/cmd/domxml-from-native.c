/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/life.h"

static bool from_native(struct session *session, const struct args *args, GError **err)
{
	const char *format = args_string(args, "format");
	g_autofree char *text = NULL;
	g_autofree char *xml = NULL;
	autoptr(domain) domain = NULL;

	if (strcmp(format, "qemu-argv") != 0)
		return fail(err, LODGE_ERROR_INPUT, "unsupported config type %s: there is qemu-argv", format);
	text = life_read_file(args_string(args, "config"), err);
	domain = text ? domain_from_argv(text, err) : NULL;
	if (!domain)
		return false;
	xml = domain_format(domain, DOMAIN_SECRET | DOMAIN_INACTIVE);
	fprintf(session->out, "%s\n", xml);
	return true;
}

static const struct arg_row args[] = {
	{
		.name = "format",
		.type = ARG_DATA,
		.flags = ARG_REQUIRED,
		.help = "what the file holds: qemu-argv",
		.complete = COMPLETE_NONE,
	},
	{ .name = "config",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "file with a QEMU command line, - for standard input",
	  .complete = COMPLETE_FILE },
	ARG_END,
};

const struct command cmd_domxml_from_native = {
	.name = "domxml-from-native",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_NO_CONNECT,
	.help = "turn a QEMU command line into a definition",
	.about = "Quotes, backslashes and variables before the program's name are as in a shell. Options that "
		 "have no element are kept below "
		 "<qemu:commandline>. Nothing is defined: the definition is printed.",
	.args = args,
	.run = from_native,
};
