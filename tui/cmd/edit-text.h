/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_EDIT_TEXT_H
#define LODGE_TUI_CMD_EDIT_TEXT_H

#include <glib.h>

/* The text as the user left it in $VISUAL, $EDITOR or vi; g_free(). NULL with an error when the editor failed. */
char *edit_text(const char *text, GError **err);

#endif
