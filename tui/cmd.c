/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd.h"

#include <stdio.h>
#include <string.h>

#include "core/base/error.h"

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

int command_fail(const GError *error)
{
	g_autofree char *line = g_strdup(error->message);

	/* Names of files and options may hold anything; the message stays one line and moves no cursor. */
	for (char *p = line; *p; p++) {
		if (g_ascii_iscntrl(*p))
			*p = '?';
	}
	fprintf(stderr, "error: %s\n", line);
	return g_error_matches(error, LODGE_ERROR, LODGE_ERROR_USAGE) ? EXIT_USAGE : EXIT_FAILED;
}

void command_append_help(GString *out, const struct command *command)
{
	g_string_append_printf(out, "Usage: lodge %s", command->name);
	options_append_synopsis(out, command->options, command->n_options);
	if (command->operands)
		g_string_append_printf(out, " %s", command->operands);
	g_string_append_printf(out, "\n\n%s.\n", command->summary);
	if (command->about)
		g_string_append_printf(out, "\n%s\n", command->about);
	if (command->append_about)
		command->append_about(out);
	g_string_append(out, "\nOptions:\n");
	options_append_help(out, command->options, command->n_options);
}

static int show_help(const struct command *command)
{
	g_autoptr(GString) text = g_string_new(NULL);

	command_append_help(text, command);
	fputs(text->str, stdout);
	return EXIT_DONE;
}

int command_parse(const struct command *command, void *target, int argc, char **argv, struct options_result *result)
{
	g_autoptr(GError) error = NULL;

	if (!options_parse(command->options, command->n_options, target, argc, argv, result, &error))
		return command_fail(error);
	if (result->help)
		return show_help(command);
	if (result->n_operands && !command->operands) {
		fail(&error, LODGE_ERROR_USAGE, "%s: unexpected argument %s", command->name, result->operands[0]);
		return command_fail(error);
	}
	return -1;
}
