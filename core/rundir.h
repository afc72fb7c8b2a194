/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_RUNDIR_H
#define LODGE_CORE_RUNDIR_H

#include <glib.h>
#include <stdbool.h>

#include "core/base/cleanup.h"
#include "core/home.h"
#include "core/model/stats-page.h"

/*
 * runtime_dir/vm/NAME, what there is of a running VM, for core/ itself.
 *
 * Its owners (the warden and the VM process; before them, the front end that starts it) hold the exclusive lock of its
 * file "lock". Everybody else only ever tests that lock, shared and without waiting, so testers do not disturb one
 * another. A directory is made, and removed, under store_lock(): with that lock held, a directory whose lock nobody has
 * is left over and nobody's.
 *
 * Lock order: store_lock() first. Owners take it for moments only; nobody waits for an owner with it held.
 */
enum rundir_state {
	RUNDIR_NONE, /* no such directory */
	RUNDIR_OWNED,
	RUNDIR_STALE, /* left over; only certain under store_lock() */
};
enum rundir_state rundir_probe(const struct home *home, const char *name);

GPtrArray *rundir_names(const struct home *home); /* char *, unsorted; g_ptr_array_unref() */

/* Under store_lock(): makes the directory and takes its lock. A left-over must be gone. -1 with an error. */
int rundir_make(const struct home *home, const char *name, GError **err);
bool rundir_remove(const struct home *home, const char *name, GError **err);

/* The next id, never given before in this runtime directory. Under store_lock(). -1 with an error. */
int rundir_next_id(const struct home *home, GError **err);

/* The statistics page; NULL when there is none (yet). */
const struct stats_page *rundir_map_page(const struct home *home, const char *name);
void rundir_unmap_page(const struct stats_page *page);

/*
 * A directory's path is often longer than a socket's address may be; binds and connects go through /proc/self/fd.
 * Non-blocking listening socket, mode 0600; or a connected, non-blocking one. -1 with an error.
 */
int rundir_listen(const char *dir, const char *file, GError **err);
int rundir_connect(const char *dir, const char *file, GError **err);

#endif
