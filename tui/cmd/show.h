/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_SHOW_H
#define LODGE_TUI_CMD_SHOW_H

#include "tui/command.h"

/* The whole answer of a command that is one text: a line as virsh prints it, or in the other formats a record with this one field. */
void show_text(struct session *session, const char *key, const char *text);

/* Such an answer of several lines that are alike: an array, an object a line. plural and key name them. */
void show_texts(struct session *session, const char *plural, const char *key, const char *const *texts);

#endif
