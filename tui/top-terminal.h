/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_TOP_TERMINAL_H
#define LODGE_TUI_TOP_TERMINAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"

/*
 * A terminal that shows one screen of text at a time and gives single keys back: standard input and output while they are one. It
 * is put back as it was when it is freed, also after SIGINT, SIGTERM and SIGHUP, which arrive as TOP_KEY_END.
 */
struct top_terminal;

enum { TOP_KEY_NONE = 0, TOP_KEY_END = -1, TOP_KEY_RESIZE = -2 };

struct top_terminal *top_terminal_open(GError **err);
void top_terminal_free(struct top_terminal *terminal);
DEFINE_AUTOPTR(top_terminal, top_terminal_free)

void top_terminal_size(const struct top_terminal *terminal, unsigned *columns, unsigned *rows);
void top_terminal_show(struct top_terminal *terminal, const char *text);

/* A byte from the keyboard, one of the above; TOP_KEY_NONE when the time (us) is over. ^Z stops the program and comes back as RESIZE. */
int top_terminal_key(struct top_terminal *terminal, int64_t timeout_us);

/* A question in the last line; the answer, or NULL when it was empty or given up. g_free(). */
char *top_terminal_ask(struct top_terminal *terminal, const char *question);

#endif
