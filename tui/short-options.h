/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_SHORT_OPTIONS_H
#define LODGE_TUI_SHORT_OPTIONS_H

#include "core/base/cleanup.h"
#include "tui/command.h"

/*
 * One-letter options for commands whose users know them from other programs (top, kvmstat). The letters arrive among the words
 * of an ARG_REST row, which such a command has last; each stands for one of its long options.
 */
struct short_row {
	char letter;
	const char *name; /* the long option */
};

struct shorts;

/* rows: the last one has letter 0. Words that are no such options are LODGE_ERROR_USAGE. "-bn2" is "-b -n 2". */
struct shorts *shorts_parse(const struct command *command, const struct short_row *rows, const struct args *args,
			    GError **err);
void shorts_free(struct shorts *shorts);
DEFINE_AUTOPTR(shorts, shorts_free)

/* In either form. */
bool shorts_flag(const struct shorts *shorts, const char *name);
const char *shorts_string(const struct shorts *shorts, const char *name);
/* A decimal number at least min; *value stays when it is not given. */
bool shorts_uint(const struct shorts *shorts, const char *name, uint64_t min, uint64_t *value, GError **err);
/* Seconds, with a fraction, from 0.1 to a day, as microseconds. */
bool shorts_seconds(const struct shorts *shorts, const char *name, int64_t *us, GError **err);

#endif
