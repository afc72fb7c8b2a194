/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/raw.h"

#include "core/base/error.h"
#include "tui/help.h"
#include "tui/session.h"

int raw_parse(struct session *session, const struct command *command, void *target, int argc, char **argv,
	      struct options_result *result)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) text = g_string_new(NULL);

	if (!options_parse(command->raw_options, command->n_raw_options, target, argc, argv, result, &error))
		return session_fail(session, error);
	if (result->help) {
		help_append_command(text, command);
		fputs(text->str, session->out);
		return EXIT_DONE;
	}
	if (result->n_operands && !command->raw_operands) {
		fail(&error, LODGE_ERROR_USAGE, "%s: unexpected argument %s", command->name, result->operands[0]);
		return session_fail(session, error);
	}
	return -1;
}
