/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/domains.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/wire.h"
#include "core/domains-cleanup.h"
#include "core/rundir.h"
#include "core/store.h"

void dom_free(struct dom *dom)
{
	if (!dom)
		return;
	rundir_unmap_page(dom->page);
	g_free(dom->name);
	g_free(dom);
}

/* --- rows --- */

static struct dom *dom_new(const char *name)
{
	struct dom *dom = g_new0(struct dom, 1);

	dom->name = g_strdup(name);
	dom->id = -1;
	dom->state.state = DOMAIN_SHUTOFF;
	return dom;
}

/*
 * A VM that has stopped and whose warden is not done yet, or one that is just being started, is neither running nor
 * shut off.
 */
static void show_between(struct dom *dom)
{
	if (dom->state.state == DOMAIN_SHUTOFF) {
		dom->state.state = DOMAIN_SHUTDOWN;
		dom->state.reason = DOMAIN_SHUTDOWN_UNKNOWN;
	} else if (dom->state.state == DOMAIN_NOSTATE) {
		dom->state.state = DOMAIN_PAUSED;
		dom->state.reason = DOMAIN_PAUSED_STARTING_UP;
	}
}

/* The row of a run directory: active, or (what is left over is cleaned up) NULL with the state to show. */
static struct dom *active_row(const struct home *home, const char *name, struct stats_state *stale)
{
	const struct stats_page *page;
	struct dom *dom;

	switch (rundir_probe(home, name)) {
	case RUNDIR_STALE:
		cleanup_stale(home, name, false, stale);
		return NULL;
	case RUNDIR_NONE:
		return NULL;
	default:
		break;
	}
	page = rundir_map_page(home, name);
	if (!page)
		return NULL;
	dom = dom_new(name);
	dom->page = page;
	dom->id = (int)page->id;
	dom->pid = page->pid;
	stats_page_get_state(page, &dom->state);
	show_between(dom);
	return dom;
}

static gint by_id(gconstpointer a, gconstpointer b)
{
	const struct dom *x = *(const struct dom *const *)a, *y = *(const struct dom *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* stale (may be NULL) gets the states of those that were found dead: name -> struct stats_state. */
static GPtrArray *active_rows(const struct home *home, GHashTable *stale)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)dom_free);
	g_autoptr(GPtrArray) names = rundir_names(home);

	for (guint i = 0; i < names->len; i++) {
		struct stats_state state = { .state = DOMAIN_NOSTATE };
		struct dom *dom = active_row(home, names->pdata[i], &state);

		if (dom)
			g_ptr_array_add(rows, dom);
		else if (stale && state.state == DOMAIN_SHUTOFF)
			g_hash_table_insert(stale, g_strdup(names->pdata[i]), g_memdup2(&state, sizeof(state)));
	}
	g_ptr_array_sort(rows, by_id);
	return rows;
}

/* What lists know about all definitions at once. */
struct known {
	GPtrArray *names; /* sorted */
	GHashTable *defined, *autostart, *remembered;
	GHashTable *stale; /* what may not have been remembered yet */
};

static void known_clear(struct known *known)
{
	g_clear_pointer(&known->defined, g_hash_table_unref);
	g_clear_pointer(&known->autostart, g_hash_table_unref);
	g_clear_pointer(&known->remembered, g_hash_table_unref);
	g_clear_pointer(&known->stale, g_hash_table_unref);
	g_clear_pointer(&known->names, g_ptr_array_unref);
}

static bool known_fill(const struct home *home, struct known *known, GError **err)
{
	known->names = store_names(home, STORE_VM, err);
	if (!known->names)
		return false;
	known->defined = g_hash_table_new(g_str_hash, g_str_equal);
	for (guint i = 0; i < known->names->len; i++)
		g_hash_table_add(known->defined, known->names->pdata[i]);
	known->autostart = store_autostart_set(home, STORE_VM);
	known->remembered = store_memory_set(home, STORE_VM);
	return true;
}

static void fill_stored(const struct known *known, struct dom *dom)
{
	dom->persistent = g_hash_table_contains(known->defined, dom->name);
	dom->autostart = dom->persistent && g_hash_table_contains(known->autostart, dom->name);
}

static void add_inactive(const struct home *home, const struct known *known, GPtrArray *rows, guint n_active)
{
	g_autoptr(GHashTable) active = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < n_active; i++) {
		const struct dom *dom = rows->pdata[i];

		g_hash_table_add(active, dom->name);
	}
	for (guint i = 0; i < known->names->len; i++) {
		const char *name = known->names->pdata[i];
		const struct stats_state *stale = g_hash_table_lookup(known->stale, name);
		struct dom *dom;

		if (g_hash_table_contains(active, name))
			continue;
		dom = dom_new(name);
		fill_stored(known, dom);
		if (stale)
			dom->state = *stale;
		else if (g_hash_table_contains(known->remembered, name))
			cleanup_recall(home, name, &dom->state);
		g_ptr_array_add(rows, dom);
	}
}

GPtrArray *domains_list(const struct home *home, unsigned flags, GError **err)
{
	struct known known = { .stale = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free) };
	/* First, because what is left over is cleaned up there. */
	g_autoptr(GPtrArray) rows = active_rows(home, known.stale);
	guint n_active = rows->len;

	if (!known_fill(home, &known, err)) {
		known_clear(&known);
		return NULL;
	}
	for (guint i = 0; i < n_active; i++)
		fill_stored(&known, rows->pdata[i]);
	if (flags & DOMAINS_INACTIVE)
		add_inactive(home, &known, rows, n_active);
	if (!(flags & DOMAINS_ACTIVE) && n_active)
		g_ptr_array_remove_range(rows, 0, n_active);
	known_clear(&known);
	return g_steal_pointer(&rows);
}

/* --- one --- */

static void *not_found(GError **err, const char *key)
{
	return fail_null(err, LODGE_ERROR_STATE, "failed to get domain '%s'", key);
}

/* NULL without an error: there is none. */
static struct dom *find_name(const struct home *home, const char *name)
{
	struct stats_state state = { .state = DOMAIN_NOSTATE };
	bool persistent;
	struct dom *dom;

	if (!domain_name_check(name, NULL))
		return NULL;
	dom = active_row(home, name, &state);
	persistent = store_exists(home, STORE_VM, name);
	if (!dom && !persistent)
		return NULL;
	if (!dom) {
		dom = dom_new(name);
		if (state.state == DOMAIN_SHUTOFF)
			dom->state = state;
		else
			cleanup_recall(home, name, &dom->state);
	}
	dom->persistent = persistent;
	dom->autostart = persistent && store_autostart(home, STORE_VM, name);
	return dom;
}

struct dom *domains_find_name(const struct home *home, const char *name, GError **err)
{
	struct dom *dom = find_name(home, name);

	return dom ? dom : not_found(err, name);
}

static bool has_id(const struct dom *dom, const void *id)
{
	return dom->id == *(const int *)id;
}

static bool has_uuid(const struct dom *dom, const void *uuid)
{
	return !g_ascii_strcasecmp(dom->page->uuid, uuid);
}

/* The first running one that matches; its name, or NULL. */
static char *find_active(const struct home *home, bool (*matches)(const struct dom *dom, const void *data),
			 const void *data)
{
	g_autoptr(GPtrArray) rows = active_rows(home, NULL);

	for (guint i = 0; i < rows->len; i++) {
		const struct dom *dom = rows->pdata[i];

		if (matches(dom, data))
			return g_strdup(dom->name);
	}
	return NULL;
}

static char *find_running_id(const struct home *home, const char *key)
{
	guint64 number;
	int id;

	if (!g_ascii_string_to_unsigned(key, 10, 0, G_MAXINT, &number, NULL))
		return NULL;
	id = (int)number;
	return find_active(home, has_id, &id);
}

static bool stored_uuid(const struct home *home, const char *name, char uuid[37])
{
	g_autofree char *text = store_read(home, STORE_VM, name, NULL, NULL);

	return text && store_peek_uuid(text, uuid);
}

static char *find_stored_uuid(const struct home *home, const char *wanted)
{
	g_autoptr(GPtrArray) names = store_names(home, STORE_VM, NULL);

	for (guint i = 0; names && i < names->len; i++) {
		char uuid[37];

		if (stored_uuid(home, names->pdata[i], uuid) && !g_ascii_strcasecmp(uuid, wanted))
			return g_strdup(names->pdata[i]);
	}
	return NULL;
}

static char *find_uuid(const struct home *home, const char *key)
{
	g_autofree char *dashed = NULL;
	char *name;

	/* virsh takes them without dashes, too. */
	if (strlen(key) == 32 && strspn(key, "0123456789abcdefABCDEF") == 32)
		dashed = g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%s", key, key + 8, key + 12, key + 16, key + 20);
	if (!g_uuid_string_is_valid(dashed ? dashed : key))
		return NULL;
	name = find_active(home, has_uuid, dashed ? dashed : key);
	return name ? name : find_stored_uuid(home, dashed ? dashed : key);
}

struct dom *domains_find(const struct home *home, const char *key, GError **err)
{
	g_autofree char *name = find_running_id(home, key);
	struct dom *dom;

	if (!name)
		name = find_uuid(home, key);
	dom = name ? find_name(home, name) : NULL;
	if (!dom)
		dom = find_name(home, key);
	return dom ? dom : not_found(err, key);
}

bool dom_uuid(const struct home *home, const struct dom *dom, char uuid[37], GError **err)
{
	if (dom->page) {
		g_strlcpy(uuid, dom->page->uuid, 37);
		return true;
	}
	return stored_uuid(home, dom->name, uuid) ||
	       fail(err, LODGE_ERROR_INPUT, "domain '%s': its definition has no UUID", dom->name);
}
