/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_EDITOR_H
#define LODGE_TUI_CMD_EDITOR_H

#include <glib.h>
#include <stdbool.h>

/* The user's editor: $VISUAL, $EDITOR or vi. */

/* A new file of the user's own with the text in it, mode 0600; suffix: ".xml". Its path, g_free(); NULL with an error. */
char *editor_file(const char *text, const char *suffix, GError **err);

/* Runs the editor on the file and waits for its end. */
bool editor_run(const char *path, GError **err);

/* The text as the user left it; g_free(). NULL with an error when the editor failed. */
char *editor_text(const char *text, GError **err);

#endif
