/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_STORE_H
#define LODGE_CORE_STORE_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/home.h"

/*
 * Definitions on disk: one file an object, replaced atomically. The store knows names and text, not what the text
 * means. Changes are made under store_lock(); reading needs no lock. The lock is not recursive: domains_define() and
 * the like take it themselves.
 */
enum store_kind { STORE_VM, STORE_NETWORK, STORE_POOL, STORE_NWFILTER, STORE_SECRET, STORE_INTERFACE, STORE_N_KINDS };

/*
 * Exclusive among all front ends of this home; waits. Returns a descriptor: fd_close() gives it up. Makes the
 * directories.
 */
int store_lock(const struct home *home, GError **err);
int store_try_lock(const struct home *home); /* -1: somebody has it, or it cannot be had */

GPtrArray *store_names(const struct home *home, enum store_kind kind,
		       GError **err); /* char *, sorted, capitals as small letters; free with g_ptr_array_unref() */
bool store_exists(const struct home *home, enum store_kind kind, const char *name);
/* LODGE_ERROR_STATE when there is none. *len may be NULL. */
char *store_read(const struct home *home, enum store_kind kind, const char *name, size_t *len, GError **err);
char *store_path(const struct home *home, enum store_kind kind, const char *name);

bool store_write(const struct home *home, enum store_kind kind, const char *name, const char *text, GError **err);
bool store_remove(const struct home *home, enum store_kind kind, const char *name,
		  GError **err); /* with autostart and memory */
bool store_rename(const struct home *home, enum store_kind kind, const char *from, const char *to, const char *new_text,
		  GError **err);

bool store_autostart(const struct home *home, enum store_kind kind, const char *name);
bool store_set_autostart(const struct home *home, enum store_kind kind, const char *name, bool on, GError **err);

/* The names that are marked, or about which something is remembered, read at once; for lists. g_hash_table_unref(). */
GHashTable *store_autostart_set(const struct home *home, enum store_kind kind);
GHashTable *store_memory_set(const struct home *home, enum store_kind kind);

/* What is remembered beside the definition; a JSON object, an empty one when there is nothing. New reference. */
json_t *store_memory(const struct home *home, enum store_kind kind, const char *name);
bool store_remember(const struct home *home, enum store_kind kind, const char *name, json_t *memory, GError **err);

/* The text of the first <uuid> child in a stored definition without parsing it all; false: none. */
bool store_peek_uuid(const char *text, char uuid[37]);

#endif
