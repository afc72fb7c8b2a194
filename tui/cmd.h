/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_H
#define LODGE_TUI_CMD_H

#include <glib.h>
#include <stddef.h>

#include "tui/options.h"

/*
 * A command of the program: `lodge NAME ...`. It lives in tui/cmd-NAME.c and is listed in tui/main.c.
 *
 * Exit status: 0 done, 1 the command failed, 2 the command line is wrong, 128 + n ended by signal n. A failure is one
 * line on standard error, "error: ...".
 */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

struct command {
	const char *name;
	const char *operands;		    /* "[COMMAND]", or NULL when it takes none */
	const char *summary;		    /* one line, no full stop */
	const char *about;		    /* more, in paragraphs separated by an empty line; NULL */
	void (*append_about)(GString *out); /* further text made from a table, or NULL */
	const struct option_row *options;
	size_t n_options;
	/* argv: what follows the command's name. Returns the exit status. */
	int (*run)(const struct command *command, int argc, char **argv);
};

extern const struct command cmd_help, cmd_host, cmd_run;

/* Every command, in the order help shows them; NULL-terminated. */
extern const struct command *const commands[];

const struct command *command_find(const char *name);

/*
 * Parses argv with the command's rows. -1: go on; otherwise the exit status to return at once, everything said.
 * Operands are refused unless the command takes them.
 */
int command_parse(const struct command *command, void *target, int argc, char **argv, struct options_result *result);

/* "error: ..." in one line on standard error; returns the exit status that goes with the error. */
int command_fail(const GError *error);

/* The text of `lodge help COMMAND`. */
void command_append_help(GString *out, const struct command *command);

#endif
