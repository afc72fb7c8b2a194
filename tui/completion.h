/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_COMPLETION_H
#define LODGE_TUI_COMPLETION_H

#include "tui/command.h"

/*
 * What the last of words may become: command and option names, domains, disks, files and an option's own words, each
 * beginning with it, sorted. words: a command line from the command's name on. A domain that cannot be looked up is not
 * offered; no error is. char *; free with g_ptr_array_unref().
 */
GPtrArray *completion_candidates(struct session *session, const GPtrArray *words);

#endif
