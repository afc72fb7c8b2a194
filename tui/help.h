/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_HELP_H
#define LODGE_TUI_HELP_H

#include "tui/command.h"

/* The text of `help COMMAND`. */
void help_append_command(GString *out, const struct command *command);

/* "dominfo <domain> [--x <string>]": what follows "lodge ". */
void help_append_synopsis(GString *out, const struct command *command);

/* A group's title and a line for each of its commands; nothing when it has none. */
void help_append_group(GString *out, enum command_group group, bool as_virsh);

/* All groups, with the last words about more help. */
void help_append_overview(GString *out, bool as_virsh);

/* What `lodge --help` and `virsh --help` say about the program itself. */
void help_append_usage(GString *out, bool as_virsh);

/* Whether a list may show the command. */
bool help_shows(const struct command *command, bool as_virsh);

/*
 * tui/man.c: in roff, lodge(1), and lodge-NAME-xml(5) of a kind of document ("domain"); false: there is no such kind.
 */
void man_append_page(GString *out);
bool man_append_schema(GString *out, const char *name);

#endif
