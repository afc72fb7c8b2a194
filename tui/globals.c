/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/globals.h"

#include <string.h>

#include "tui/options.h"

const struct global_row global_rows[] = {
	{ 'c', "connect", "URI", .help = "work on this connection: lodge:///session or lodge:///system" },
	{ 'd', "debug", "NUM", .help = "how much the log holds, 0 (all) to 4 (errors)" },
	{ 'e', "escape", "KEY", .help = "key that leaves a console, ^] unless given" },
	{ 'f', "format", "FORMAT", .lodge = true,
	  .help = "table, json, csv or xml for lists and records; \",noheader\" may follow" },
	{ 'h', "help", NULL, .help = "show the options and the commands" },
	{ 'k', "keepalive-interval", "NUM", .help = "taken, and without effect: there is no daemon" },
	{ 'K', "keepalive-count", "NUM", .help = "the same" },
	{ 'l', "log", "FILE", .help = "append errors to a file, and commands with a --debug below 4" },
	{ 'q', "quiet", NULL, .help = "no headers and no sentences, only what was asked for" },
	{ 'r', "readonly", NULL, .help = "refuse every command that would change something" },
	{ 't', "timing", NULL, .help = "say how long each command took" },
	{ 'v', "version", "TYPE", .optional = true, .help = "show the version; type long: more about it" },
	{ 'V', NULL, NULL, .help = "the same as --version=long" },
	{ GLOBAL_BATCH, "batch", NULL, .lodge = true,
	  .help = "take commands from the argument, or from standard input; a terminal there gets a shell" },
	{ GLOBAL_KEEP_GOING, "keep-going", NULL, .lodge = true, .help = "go on behind a command that failed" },
};

const size_t n_global_rows = G_N_ELEMENTS(global_rows);

/* "-c", "--connect=URI" with what stands between them. */
static char *spell(const struct global_row *row, const char *between)
{
	GString *out = g_string_new(NULL);

	if (row->letter < GLOBAL_BATCH)
		g_string_append_printf(out, "-%c%s", row->letter, row->name ? between : "");
	if (row->name)
		g_string_append_printf(out, "--%s", row->name);
	if (row->arg)
		g_string_append_printf(out, row->optional ? "[=%s]" : "=%s", row->arg);
	return g_string_free(out, FALSE);
}

void globals_append_help(GString *out, bool as_virsh)
{
	for (size_t i = 0; i < n_global_rows; i++) {
		g_autofree char *left = spell(&global_rows[i], " | ");

		if (!as_virsh || !global_rows[i].lodge)
			g_string_append_printf(out, "    %-30s %s\n", left, global_rows[i].help);
	}
}

void globals_append_man(GString *out)
{
	for (size_t i = 0; i < n_global_rows; i++) {
		g_autofree char *left = spell(&global_rows[i], ", ");

		g_string_append(out, ".TP\n.B ");
		man_append_text(out, left);
		g_string_append_c(out, '\n');
		man_append_text(out, global_rows[i].help);
		g_string_append(out, ".\n");
	}
}

const struct global_row *globals_find(const char *word)
{
	for (size_t i = 0; i < n_global_rows; i++) {
		const struct global_row *row = &global_rows[i];

		if (row->name && g_str_has_prefix(word, "--") && !strcmp(word + 2, row->name))
			return row;
		if (word[0] == '-' && word[1] == row->letter && !word[2])
			return row;
	}
	return NULL;
}
