/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_SHELL_H
#define LODGE_TUI_SHELL_H

#include "tui/command.h"

/*
 * "virsh # ": reads commands until quit or the end of the input, with readline's editing, history and completion. Failures do not end
 * it. The exit status is 0.
 */
int shell_run(struct session *session);

#endif
