/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "tui/cmd/life.h"

static struct domain *read_definition(const struct args *args, GError **err)
{
	const char *path = args_string(args, "file");
	g_autofree char *text = life_read_file(path, err);

	return text ? domain_parse(text, strlen(text), path, args_flag(args, "validate") ? DOMAIN_VALIDATE : 0, err) :
		      NULL;
}

static bool create(struct session *session, const struct args *args, GError **err)
{
	g_autoptr(GPtrArray) notices = g_ptr_array_new_with_free_func(g_free);
	const char *path = args_string(args, "file");
	struct launch_options options;
	autoptr(domain) domain = NULL;
	struct home *home;

	if (!life_launch_options(args, &options, err))
		return false;
	options.transient = true;
	home = session_home(session, err);
	domain = home && home_writable(home, "create a domain", err) ? read_definition(args, err) : NULL;
	if (!domain || launch(home, domain, &options, notices, err) < 0) {
		g_prefix_error(err, "Failed to create domain from %s\n", path);
		return false;
	}
	life_show_notices(session, notices);
	session_say(session, "Domain '%s' created from %s\n", domain->name, path);
	return life_attach_console(session, args, domain->name, err);
}

static const struct arg_row args[] = {
	{ .name = "file",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "file with a domain definition; - is standard input",
	  .complete = COMPLETE_FILE },
	{ .name = "console", .type = ARG_FLAG, .help = "attach to the console at once" },
	{ .name = "paused", .type = ARG_FLAG, .help = "leave the guest paused" },
	{ .name = "autodestroy", .type = ARG_FLAG, .help = "end the guest when this program ends" },
	{ .name = "pass-fds", .type = ARG_STRING, .help = "descriptors N,M,... for a container's init: refused" },
	{ .name = "validate", .type = ARG_FLAG, .help = "refuse elements and attributes that are not in the schema" },
	{ .name = "reset-nvram", .type = ARG_FLAG, .help = "firmware variables from their template" },
	ARG_END,
};

const struct command cmd_create = {
	.name = "create",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "create and start a domain from an XML file",
	.about =
		"The domain is transient: nothing of it is left when it stops. A domain of the same name and UUID that is defined and not "
		"running is started with the file's contents instead, and stays defined.",
	.args = args,
	.run = create,
};
