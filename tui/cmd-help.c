/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd.h"

#include <stdio.h>

#include "core/base/error.h"

struct help_options {
	bool man;
};

static const struct option_row help_options[] = {
	{ .name = "man",
	  .type = OPTION_FLAG,
	  .offset = G_STRUCT_OFFSET(struct help_options, man),
	  .help = "write the manual page, in roff, to standard output" },
};

static void append_preformatted(GString *out, const char *text)
{
	g_string_append(out, ".PP\n.nf\n");
	man_append_text(out, text);
	g_string_append(out, ".fi\n");
}

/* Paragraphs are filled, and what came from a table keeps its columns. */
static void append_man_about(GString *out, const struct command *command)
{
	g_autoptr(GString) more = g_string_new(NULL);

	if (command->about) {
		g_auto(GStrv) paragraphs = g_strsplit(command->about, "\n\n", -1);

		for (char **p = paragraphs; *p; p++) {
			g_string_append(out, ".PP\n");
			man_append_text(out, *p);
			g_string_append_c(out, '\n');
		}
	}
	if (command->append_about) {
		command->append_about(more);
		append_preformatted(out, more->str[0] == '\n' ? more->str + 1 : more->str);
	}
}

static void append_man_command(GString *out, const struct command *command)
{
	g_autoptr(GString) synopsis = g_string_new(NULL);

	options_append_synopsis(synopsis, command->options, command->n_options);
	if (command->operands)
		g_string_append_printf(synopsis, " %s", command->operands);
	g_string_append_printf(out, ".SS lodge %s\n\\fBlodge %s\\fR", command->name, command->name);
	man_append_text(out, synopsis->str);
	g_string_append(out, "\n.PP\n");
	man_append_text(out, command->summary);
	g_string_append(out, ".\n");
	append_man_about(out, command);
	options_append_man(out, command->options, command->n_options);
}

static void append_man(GString *out)
{
	g_string_append(out, ".\\\" Written by lodge help --man.\n.TH LODGE 1 \"\" \"lodge " PACKAGE_VERSION "\"\n"
			     ".SH NAME\nlodge \\- terminal manager of virtual machines\n"
			     ".SH SYNOPSIS\n\\fBlodge\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.br\n"
			     "\\fBlodge\\fR \\-\\-help | \\-\\-version\n"
			     ".SH DESCRIPTION\n"
			     "Lodge runs virtual machines from a terminal with a virtual machine monitor of its own,\n"
			     "on hardware virtualization where the host has it and on its own software x86\\-64 CPU\n"
			     "everywhere else.\n"
			     ".SH COMMANDS\n");
	for (size_t i = 0; commands[i]; i++)
		append_man_command(out, commands[i]);
	g_string_append(out, ".SH EXIT STATUS\n"
			     ".TP\n0\nDone.\n.TP\n1\nThe command failed; one line on standard error says why.\n"
			     ".TP\n2\nThe command line is wrong.\n.TP\n128 + n\nEnded by signal n.\n");
}

static void append_overview(GString *out)
{
	g_string_append(out, "Usage: lodge COMMAND [OPTION]...\n       lodge --help | --version\n\nCommands:\n");
	for (size_t i = 0; commands[i]; i++)
		g_string_append_printf(out, "  %-8s%s\n", commands[i]->name, commands[i]->summary);
	g_string_append(out, "\n\"lodge help COMMAND\" tells more about one of them.\n");
}

static bool append_asked(GString *out, const struct help_options *options, const struct options_result *parsed,
			 GError **err)
{
	const struct command *about;

	if (parsed->n_operands > 1)
		return fail(err, LODGE_ERROR_USAGE, "help: unexpected argument %s", parsed->operands[1]);
	if (options->man) {
		append_man(out);
		return true;
	}
	if (!parsed->n_operands) {
		append_overview(out);
		return true;
	}
	about = command_find(parsed->operands[0]);
	if (!about)
		return fail(err, LODGE_ERROR_USAGE, "unknown command %s", parsed->operands[0]);
	command_append_help(out, about);
	return true;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct help_options options = { 0 };
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GError) error = NULL;
	struct options_result parsed;
	int status = command_parse(command, &options, argc, argv, &parsed);

	if (status >= 0)
		return status;
	if (!append_asked(text, &options, &parsed, &error))
		return command_fail(error);
	fputs(text->str, stdout);
	return EXIT_DONE;
}

const struct command cmd_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.summary = "Show the commands, or all about one of them",
	.options = help_options,
	.n_options = G_N_ELEMENTS(help_options),
	.run = run,
};
