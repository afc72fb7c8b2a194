/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_LIFE_H
#define LODGE_TUI_CMD_LIFE_H

#include "core/domains.h"
#include "core/launch.h"
#include "tui/command.h"

/* What the life-cycle commands share. */

/* The domain that --domain names; opens the connection. */
struct dom *life_find(struct session *session, const struct args *args, GError **err);

/* The text of a definition: a file, a pipe, or "-" for standard input; at most XML_MAX_SIZE bytes. g_free(). */
char *life_read_file(const char *path, GError **err);

/* "Failed to start domain 'x'" before the reason, as a line of its own. Returns false. */
bool life_failed(GError **err, const char *verb, const char *name);

/*
 * What start and create do alike: --paused, --autodestroy and the rest into options, the notices of what has no effect to
 * the user, --console afterwards.
 */
bool life_launch_options(const struct args *args, struct launch_options *options, GError **err);
void life_show_notices(struct session *session, const GPtrArray *notices);
bool life_attach_console(struct session *session, const struct args *args, const char *name, GError **err);

#endif
