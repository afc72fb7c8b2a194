/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/help.h"

#include <string.h>

#include "tui/args.h"
#include "tui/globals.h"

bool help_shows(const struct command *command, bool as_virsh)
{
	if (command->flags & (COMMAND_HIDDEN | COMMAND_ALIAS))
		return false;
	return !as_virsh || !(command->flags & COMMAND_LODGE);
}

/* --- one command --- */

static const char *value_of(const struct arg_row *row)
{
	return row->type == ARG_STRING || row->type == ARG_DATA || row->type == ARG_REST ? "<string>" : "<number>";
}

static void append_arg_synopsis(GString *out, const struct arg_row *row)
{
	bool required = row->flags & ARG_REQUIRED;

	if (row->type == ARG_FLAG)
		g_string_append_printf(out, required ? " --%s" : " [--%s]", row->name);
	else if (row->type == ARG_REST)
		g_string_append_printf(out, required ? " {[--%s] %s}..." : " [[--%s] %s]...", row->name, value_of(row));
	else if (arg_is_positional(row))
		g_string_append_printf(out, required ? " <%s>" : " [<%s>]", row->name);
	else
		g_string_append_printf(out, required ? " --%s %s" : " [--%s %s]", row->name, value_of(row));
}

void help_append_synopsis(GString *out, const struct command *command)
{
	g_string_append(out, command->name);
	if (command->run_raw) {
		options_append_synopsis(out, command->raw_options, command->n_raw_options);
		if (command->raw_operands)
			g_string_append_printf(out, " %s", command->raw_operands);
		return;
	}
	for (const struct arg_row *row = command->args; row && row->name; row++) {
		if (!(row->flags & ARG_HIDDEN))
			append_arg_synopsis(out, row);
	}
}

static void append_arg_line(GString *out, const struct arg_row *row)
{
	g_autofree char *left = NULL;

	if (row->type == ARG_FLAG)
		left = g_strdup_printf("--%s", row->name);
	else
		left = g_strdup_printf(arg_is_positional(row) ? "[--%s] %s" : "--%s %s", row->name, value_of(row));
	g_string_append_printf(out, "    %-15s  %s", left, row->help ? row->help : "");
	if (row->complete == COMPLETE_WORDS && row->values)
		g_string_append_printf(out, ": %s", row->values);
	g_string_append_c(out, '\n');
}

/* Commands of Lodge's own kind, with their own option rows. */
static void append_raw_command(GString *out, const struct command *command)
{
	g_string_append(out, "Usage: lodge ");
	help_append_synopsis(out, command);
	g_string_append_printf(out, "\n\n%c%s.\n", g_ascii_toupper(command->help[0]), command->help + 1);
	if (command->about)
		g_string_append_printf(out, "\n%s\n", command->about);
	if (command->append_about)
		command->append_about(out);
	g_string_append(out, "\nOptions:\n");
	options_append_help(out, command->raw_options, command->n_raw_options);
}

static void append_paragraphs(GString *out, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line; line++)
		g_string_append_printf(out, "%s%s\n", (*line)[0] ? "    " : "", *line);
}

void help_append_command(GString *out, const struct command *command)
{
	bool any = false;

	if (command->run_raw) {
		append_raw_command(out, command);
		return;
	}
	g_string_append_printf(out, "  NAME\n    %s - %s\n\n  SYNOPSIS\n    ", command->name, command->help);
	help_append_synopsis(out, command);
	g_string_append_c(out, '\n');
	if (command->about) {
		g_string_append(out, "\n  DESCRIPTION\n");
		append_paragraphs(out, command->about);
	}
	for (const struct arg_row *row = command->args; row && row->name; row++) {
		if (row->flags & ARG_HIDDEN)
			continue;
		if (!any)
			g_string_append(out, "\n  OPTIONS\n");
		any = true;
		append_arg_line(out, row);
	}
	g_string_append_c(out, '\n');
}

/* --- all of them --- */

void help_append_group(GString *out, enum command_group group, bool as_virsh)
{
	bool any = false;

	for (size_t i = 0; commands[i]; i++) {
		if (commands[i]->group != group || !help_shows(commands[i], as_virsh))
			continue;
		if (!any)
			g_string_append_printf(out, " %s:\n", command_group_name(group));
		any = true;
		g_string_append_printf(out, "    %-30s %s\n", commands[i]->name, commands[i]->help);
	}
}

static void append_groups(GString *out, bool as_virsh)
{
	for (unsigned group = 0; group < N_GROUPS; group++) {
		gsize before = out->len;

		help_append_group(out, group, as_virsh);
		if (out->len > before)
			g_string_append_c(out, '\n');
	}
}

void help_append_overview(GString *out, bool as_virsh)
{
	g_string_append(out, "Grouped commands:\n\n");
	append_groups(out, as_virsh);
}

void help_append_usage(GString *out, bool as_virsh)
{
	const char *name = as_virsh ? "virsh" : "lodge";

	g_string_append_printf(out, "\n%s [options]... [<command_string>]\n%s [options]... <command> [args...]\n", name,
			       name);
	if (!as_virsh)
		g_string_append(out,
				"lodge [options]... --batch [--keep-going] [<command_string> | <command> [args...]]\n");
	g_string_append(out, "\n  options:\n");
	globals_append_help(out, as_virsh);
	g_string_append(out, "\n  commands:\n\n");
	append_groups(out, as_virsh);
	g_string_append_printf(out, "  \"%s help <group>\" and \"%s help <command>\" tell more.\n\n", name, name);
}
