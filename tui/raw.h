/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_RAW_H
#define LODGE_TUI_RAW_H

#include "tui/command.h"

/*
 * For commands with run_raw: parses argv with the command's own option rows. -1: go on; otherwise the exit status to
 * return at once, everything said. Operands are refused unless the command takes them.
 */
int raw_parse(struct session *session, const struct command *command, void *target, int argc, char **argv,
	      struct options_result *result);

#endif
