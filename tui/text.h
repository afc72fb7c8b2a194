/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_TEXT_H
#define LODGE_TUI_TEXT_H

#include <glib.h>

/*
 * Names come from files, guests and peers and may hold anything: what a terminal would obey (control characters, format
 * characters, bytes that are no UTF-8) never gets to it as it is.
 */
char *text_message(const char *text); /* one line: everything of that kind becomes '?'; g_free() */
char *text_lines(const char *text);   /* the same, but newlines stay */
char *text_cell(const char *text);    /* a table's cell: "\x1b", byte for byte, as virsh; g_free() */
/* g_utf8_next_char() for const text. */
static inline const char *text_next(const char *p)
{
	return p + g_utf8_skip[(unsigned char)*p];
}

unsigned text_width(const char *text); /* columns it takes on a terminal; text is printable UTF-8 */

/* Words of a shell: quoted when they need it. */
char *text_shell_quote(const char *text);
char *text_xml_escape(const char *text); /* & < > " ' */

#endif
