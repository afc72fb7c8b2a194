/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "tui/cmd/life.h"

static bool define(struct session *session, const struct args *args, GError **err)
{
	const char *path = args_string(args, "file");
	unsigned flags = args_flag(args, "validate") ? DOMAIN_VALIDATE : 0;
	struct home *home = session_home(session, err);
	g_autofree char *text = home && home_writable(home, "define a domain", err) ? life_read_file(path, err) : NULL;
	autoptr(domain) domain = text ? domain_parse(text, strlen(text), path, flags, err) : NULL;

	if (!domain || !domains_define(home, domain, err)) {
		g_prefix_error(err, "Failed to define domain from %s\n", path);
		return false;
	}
	session_say(session, "Domain '%s' defined from %s\n", domain->name, path);
	return true;
}

static const struct arg_row args[] = {
	{ .name = "file",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "file with a domain definition; - is standard input",
	  .complete = COMPLETE_FILE },
	{ .name = "validate", .type = ARG_FLAG, .help = "refuse elements and attributes that are not in the schema" },
	ARG_END,
};

const struct command cmd_define = {
	.name = "define",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "define a domain from an XML file, or change one",
	.about =
		"The domain is not started. A definition with the name and UUID of a defined domain replaces that one; a running VM "
		"goes on unchanged until its next start. What the file leaves out (UUID, MAC addresses, controllers, device addresses) "
		"is filled in and stays as it is from then on.",
	.args = args,
	.run = define,
};
