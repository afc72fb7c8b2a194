/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/model/schema.h"
#include "tui/args.h"
#include "tui/globals.h"
#include "tui/help.h"
#include "tui/options.h"

/* lodge(1) from the tables: a section a group, a subsection a command. */

static void append_escaped_lines(GString *out, const char *text)
{
	g_string_append(out, ".PP\n.nf\n");
	man_append_text(out, text);
	g_string_append(out, ".fi\n");
}

/* Paragraphs are filled, and what came from a table keeps its columns. */
static void append_about(GString *out, const struct command *command)
{
	g_auto(GStrv) paragraphs = g_strsplit(command->about ? command->about : "", "\n\n", -1);

	for (char **p = paragraphs; *p && (*p)[0]; p++) {
		g_string_append(out, ".PP\n");
		man_append_text(out, g_strchomp(*p));
		g_string_append_c(out, '\n');
	}
	if (command->append_about) {
		g_autoptr(GString) more = g_string_new(NULL);

		command->append_about(more);
		append_escaped_lines(out, more->str[0] == '\n' ? more->str + 1 : more->str);
	}
}

static void append_arg(GString *out, const struct arg_row *row)
{
	g_string_append(out, ".TP\n");
	g_string_append(out, arg_is_positional(row) ? "[\\fB\\-\\-" : "\\fB\\-\\-");
	man_append_text(out, row->name);
	g_string_append(out, arg_is_positional(row) ? "\\fR]" : "\\fR");
	if (arg_takes_value(row)) {
		g_string_append(out, " \\fI");
		man_append_text(out, row->name);
		g_string_append(out, "\\fR");
	}
	g_string_append_c(out, '\n');
	man_append_text(out, row->help);
	if (row->complete == COMPLETE_WORDS && row->values) {
		g_auto(GStrv) words = g_strsplit(row->values, "|", -1);
		g_autofree char *list = g_strjoinv(", ", words);

		g_string_append(out, ": ");
		man_append_text(out, list);
	}
	g_string_append(out, ".\n");
}

static void append_command(GString *out, const struct command *command)
{
	g_autoptr(GString) synopsis = g_string_new(NULL);

	help_append_synopsis(synopsis, command);
	g_string_append(out, ".SS ");
	man_append_text(out, command->name);
	g_string_append(out, "\n\\fBlodge ");
	man_append_text(out, command->name);
	g_string_append(out, "\\fR");
	man_append_text(out, synopsis->str + strlen(command->name));
	g_string_append(out, "\n.PP\n");
	man_append_text(out, (char[]){ g_ascii_toupper(command->help[0]), '\0' });
	man_append_text(out, command->help + 1);
	g_string_append(out, ".\n");
	append_about(out, command);
	for (const struct arg_row *row = command->args; row && row->name; row++) {
		if (!(row->flags & ARG_HIDDEN))
			append_arg(out, row);
	}
	if (command->run_raw)
		options_append_man(out, command->raw_options, command->n_raw_options);
}

/* "Domain Management": the title without the keyword. */
static void append_group(GString *out, enum command_group group)
{
	const char *title = command_group_name(group), *end = strstr(title, " (");
	bool any = false;

	for (size_t i = 0; commands[i]; i++) {
		if (commands[i]->group != group || !help_shows(commands[i], false))
			continue;
		if (!any)
			g_string_append_printf(out, ".SH %.*s\n", end ? (int)(end - title) : (int)strlen(title), title);
		any = true;
		append_command(out, commands[i]);
	}
}

static const char head[] =
	".\\\" Written by lodge help --man.\n.TH LODGE 1 \"\" \"lodge " PACKAGE_VERSION "\"\n"
	".SH NAME\nlodge \\- terminal manager of virtual machines\n"
	".SH SYNOPSIS\n\\fBlodge\\fR [\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n.br\n"
	"\\fBlodge\\fR [\\fIOPTION\\fR]... \\fB\\-\\-batch\\fR [\\fICOMMANDS\\fR]\n.br\n"
	"\\fBvirsh\\fR [\\fIOPTION\\fR]... [\\fICOMMAND\\fR [\\fIARGUMENT\\fR]...]\n"
	".SH DESCRIPTION\n"
	"Lodge runs virtual machines from a terminal with a virtual machine monitor of its own, on hardware\n"
	"virtualization where the host has it and on its own software x86\\-64 CPU everywhere else. There is no "
	"daemon:\n"
	"each running VM is a process of its own, and every command finds it.\n"
	".PP\n"
	"The commands are those of virsh, with its options, its tables and its words. Installed or linked as "
	"\\fBvirsh\\fR,\n"
	"the program answers as virsh does, in its messages and exit statuses too; without a command it is a shell "
	"then.\n"
	".PP\n"
	"A domain is given by its name, its UUID, or while it runs its id. \\fB\\-\\-option value\\fR and\n"
	"\\fB\\-\\-option=value\\fR mean the same; words without dashes fill a command's operands in order, which "
	"also go\n"
	"by their names; \\fB\\-\\-\\fR ends the options; \\fB\\-\\-help\\fR behind any command shows its help.\n"
	".SH OPTIONS\n";

static const char scripts[] =
	".PP\n"
	"Without \\fB\\-\\-connect\\fR root works on the host's VMs, everybody else on their own, unless "
	"LODGE_DEFAULT_URI says\n"
	"otherwise. Lines of CSV end with a newline alone.\n"
	".SH SCRIPTS\n"
	"The first command that fails ends a script, and its exit status is the script's; \\fB\\-\\-keep\\-going\\fR "
	"runs the\n"
	"others too. Commands are separated by ; and newlines, words by blanks. A # where a word could begin starts "
	"a comment up to the end of the\n"
	"line. Single quotes take everything as it is; a backslash in double quotes or in bare text takes the next "
	"character as it is, and\n"
	"at the end of a line joins the next one. One argument that holds several commands is such a script too. As "
	"virsh a script is\n"
	"checked before any of it runs, then all of it is run, and the last command gives the exit status.\n";

static const char tail[] =
	".SH EXIT STATUS\n"
	".TP\n0\nDone.\n.TP\n1\nThe command failed; one line on standard error says why.\n"
	".TP\n2\nThe command line is wrong; 1 as virsh.\n.TP\n128 + n\nEnded by signal n.\n"
	".SH ENVIRONMENT\n"
	".TP\nLODGE_HOME\nthe folder that holds everything: definitions, state and what belongs to running VMs.\n"
	".TP\nLODGE_DEFAULT_URI\nthe connection when \\fB\\-\\-connect\\fR does not name one.\n"
	".TP\nLODGE_HISTSIZE\nlines of the shell's history that are kept, 500 unless set; VIRSH_HISTSIZE counts too.\n"
	".TP\nVISUAL, EDITOR\nthe editor of \\fBedit\\fR and its like.\n";

void man_append_page(GString *out)
{
	g_string_append(out, head);
	globals_append_man(out);
	g_string_append(out, scripts);
	for (unsigned group = 0; group < N_GROUPS; group++)
		append_group(out, group);
	g_string_append(out, tail);
}

/* Text for the page of one kind of document, before its table. */
static const char schema_about[] =
	"Every element and attribute of the document, in the order in which it is written. Paths are relative to the "
	"root element; @ marks an attribute. "
	"What Lodge does not know is kept and written back as it was. \"Kept\" means accepted, written back and "
	"without effect: a start says so in a line. "
	"\"Refused\" means that a start is refused, because doing without would betray you.";

bool man_append_schema(GString *out, const char *name)
{
	for (unsigned kind = 0; kind < XML_N_KINDS; kind++) {
		const struct schema *schema = schema_of(kind);
		g_autofree char *upper = g_ascii_strup(schema->name, -1);

		if (strcmp(schema->name, name))
			continue;
		g_string_append_printf(
			out,
			".\\\" Written by lodge help --man %s.\n.TH LODGE-%s-XML 5 \"\" \"lodge " PACKAGE_VERSION
			"\"\n.SH NAME\nlodge\\-%s\\-xml \\- the XML of a %s\n.SH DESCRIPTION\n",
			name, upper, name, name);
		man_append_text(out, schema_about);
		g_string_append_printf(out, "\n.SH ELEMENTS\nThe root element is <%s>.\n", schema->root);
		schema_append_man(out, schema);
		g_string_append(out, ".SH SEE ALSO\n.BR lodge (1)\n");
		return true;
	}
	return false;
}
