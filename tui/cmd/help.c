/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/help.h"

#include <string.h>

#include "core/base/error.h"
#include "tui/later.h"

static bool append_group_named(GString *out, const char *keyword, bool as_virsh)
{
	for (unsigned group = 0; group < N_GROUPS; group++) {
		if (strcmp(command_group_keyword(group), keyword))
			continue;
		if (out->len)
			g_string_append_c(out, '\n');
		help_append_group(out, group, as_virsh);
		return true;
	}
	return false;
}

/* "host" is a command of Lodge's and a group: both are shown, as virsh only what virsh has. */
static bool append_asked(GString *out, const char *what, bool as_virsh, GError **err)
{
	const struct command *command = command_find(what);
	bool is_shown = command && !(as_virsh && (command->flags & COMMAND_LODGE));

	if (is_shown)
		help_append_command(out, command);
	if (append_group_named(out, what, as_virsh) || is_shown)
		return true;
	if (later_reason(what))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "command '%s' is not in this version of Lodge: %s", what,
			    later_reason(what));
	return fail(err, LODGE_ERROR_USAGE, "command or command group '%s' doesn't exist", what);
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	const char *what = args_string(args, "command");
	g_autoptr(GString) text = g_string_new(NULL);

	if (args_flag(args, "man")) {
		if (!what)
			man_append_page(text);
		else if (!man_append_schema(text, what))
			return fail(err, LODGE_ERROR_USAGE, "there is no manual page for '%s'", what);
	} else if (!what) {
		help_append_overview(text, session->as_virsh);
	} else if (!append_asked(text, what, session->as_virsh, err)) {
		return false;
	}
	fputs(text->str, session->out);
	return true;
}

static const struct arg_row help_args[] = {
	{ .name = "command",
	  .type = ARG_DATA,
	  .help = "a command or the keyword of a group; all of them unless given",
	  .complete = COMPLETE_COMMAND },
	{ .name = "man",
	  .type = ARG_FLAG,
	  .flags = ARG_HIDDEN,
	  .help = "write the manual page, in roff, to standard output" },
	ARG_END,
};

const struct command cmd_help = {
	.name = "help",
	.group = GROUP_SHELL,
	.flags = COMMAND_NO_CONNECT,
	.help = "tell about the commands",
	.about = "A list of all commands by group, of one group's, or everything about one command.",
	.args = help_args,
	.run = run,
};
