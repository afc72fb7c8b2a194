/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_GLOBALS_H
#define LODGE_TUI_GLOBALS_H

#include <glib.h>
#include <stdbool.h>

/*
 * The program's own options, which stand before the command: parsing, help, the man page and completion come from the
 * rows.
 */
struct global_row {
	int letter;	  /* 'c'; beyond 255: it has none */
	const char *name; /* "connect"; NULL: a letter only */
	const char *arg;  /* "URI"; NULL: takes none */
	bool optional;	  /* the argument, which then needs '=' */
	bool lodge;	  /* not as virsh */
	const char *help; /* one line, no full stop */
};

enum { GLOBAL_BATCH = 256, GLOBAL_KEEP_GOING };

extern const struct global_row global_rows[];
extern const size_t n_global_rows;

/* "-c | --connect URI   work on ...", a line each. */
void globals_append_help(GString *out, bool as_virsh);
/* .TP paragraphs. */
void globals_append_man(GString *out);
/* The row of "-c" or "--connect"; NULL: none. */
const struct global_row *globals_find(const char *word);

#endif
