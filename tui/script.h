/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_SCRIPT_H
#define LODGE_TUI_SCRIPT_H

#include <glib.h>
#include <stdbool.h>

/*
 * Command lines as text, in virsh's way: words are separated by blanks, commands by ';' and newlines; '...' takes
 * everything as it is, "..." and bare words know \ before any character; # where a word could begin is a comment up to
 * the end of the line.
 */
enum script_result {
	SCRIPT_COMMAND, /* words has one or more */
	SCRIPT_END,	/* nothing is left */
	SCRIPT_BAD,	/* a quote without its other half, or \ at the end: more text could mend it */
};

/* The next command; *text moves behind it, and stays where it was when it is bad. words: char *, emptied first. */
enum script_result script_next(const char **text, GPtrArray *words, GError **err);

/*
 * For completion: words of the last command in text, which may end anywhere. The last of words is the one that is being
 * typed, "" behind a blank; *start: where it begins in text, with its quote.
 */
void script_unfinished(const char *text, GPtrArray *words, size_t *start);

#endif
