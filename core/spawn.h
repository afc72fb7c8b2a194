/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_SPAWN_H
#define LODGE_CORE_SPAWN_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* The descriptor a role finds its socket at. */
#define SPAWN_FD 3

/*
 * Executes this program again as a role: {"lodge", "--role", role, name}. It has socket as descriptor SPAWN_FD,
 * /dev/null as 0, log as 1 and 2 and nothing else, no signal blocked or ignored. own_session: away from our terminal.
 * Both descriptors stay ours. The caller waits for the process. -1 with an error.
 */
pid_t spawn_role(const char *role, const char *name, int socket, int log, bool own_session, GError **err);

/* A connected pair: ours is non-blocking. */
bool spawn_pair(int *ours, int *theirs, GError **err);

/* state_dir/log/NAME.log for appending; one that has grown large is renamed to NAME.log.1 first. -1 with an error. */
struct home;
int spawn_open_log(const struct home *home, const char *name, GError **err);
char *spawn_log_path(const struct home *home, const char *name);

#endif
