/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_ARGS_H
#define LODGE_TUI_ARGS_H

#include "tui/command.h"

/*
 * argv: the words behind the command's name; the result points into them. Every refusal is LODGE_ERROR_USAGE, in
 * virsh's words where virsh has some. split: which word belongs to which option, and nothing is missing; check: values
 * are what their rows say, and none excludes another; parse: both.
 */
struct args *args_split(const struct command *command, int argc, char **argv, GError **err);
bool args_check(struct args *args, GError **err);
struct args *args_parse(const struct command *command, int argc, char **argv, GError **err);
void args_free(struct args *args);
DEFINE_AUTOPTR(args, args_free)

/* --help was there; nothing else may be taken from args then. */
bool args_help(const struct args *args);

const struct arg_row *args_row(const struct command *command, const char *name); /* NULL: none */

/* What kind of row it is. */
bool arg_is_positional(const struct arg_row *row);
bool arg_takes_value(const struct arg_row *row);

/* For completion, which meets unfinished lines: takes what can be taken. Never NULL. */
struct args *args_parse_some(const struct command *command, int argc, char **argv);

/*
 * For the same: the row whose value the word behind argv would be; NULL when none is left for
 * it. *only: it must be this value (an option waits for it), so no option's name may stand there.
 */
const struct arg_row *args_next_row(const struct command *command, int argc, char **argv, bool *only);

#endif
