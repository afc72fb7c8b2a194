/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/store-journal.h"

/*
 * A change of one file is file_replace(), file_remove() or one symbolic link: done or not done. What takes several
 * (remove, rename) first says so in the journal (core/store-journal.h): from then on it has happened, and whoever comes
 * next finishes it, the next reader included.
 */
#define MAX_DEFINITION (16u << 20)
#define MAX_MEMORY (1u << 20)

static const char *const kind_dirs[] = {
	[STORE_VM] = "vms",	    [STORE_NETWORK] = "networks",
	[STORE_POOL] = "pools",	    [STORE_NWFILTER] = "nwfilters",
	[STORE_SECRET] = "secrets", [STORE_INTERFACE] = "interfaces",
};
G_STATIC_ASSERT(G_N_ELEMENTS(kind_dirs) == STORE_N_KINDS);

/* --- where things are --- */

static char *kind_file(const char *dir, enum store_kind kind, const char *folder, const char *name, const char *suffix)
{
	g_autofree char *file = g_strconcat(name, suffix, NULL);

	return g_build_filename(dir, kind_dirs[kind], folder, file, NULL);
}

char *store_path(const struct home *home, enum store_kind kind, const char *name)
{
	return kind_file(home->config_dir, kind, "", name, ".xml");
}

static char *link_path(const struct home *home, enum store_kind kind, const char *name)
{
	return kind_file(home->config_dir, kind, "autostart", name, ".xml");
}

static char *memory_path(const struct home *home, enum store_kind kind, const char *name)
{
	return kind_file(home->state_dir, kind, "", name, ".json");
}

static bool name_ok(const char *name, GError **err)
{
	if (*name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/'))
		return true;
	return fail(err, LODGE_ERROR_INPUT, "'%s' cannot be a name", name);
}

static bool make_kind_dirs(const struct home *home, enum store_kind kind, GError **err)
{
	g_autofree char *links = g_build_filename(home->config_dir, kind_dirs[kind], "autostart", NULL);
	g_autofree char *memories = g_build_filename(home->state_dir, kind_dirs[kind], NULL);

	return dir_make(links, 0700, err) && dir_make(memories, 0700, err);
}

/* --- lock --- */

static int lock_store(const struct home *home, bool wait, GError **err)
{
	g_autofree char *path = g_build_filename(home->state_dir, "lock", NULL);
	auto_fd int fd = -1;

	if (!dir_make(home->config_dir, 0700, err) || !dir_make(home->state_dir, 0700, err))
		return -1;
	fd = wait ? file_lock(AT_FDCWD, path, true, err) : file_try_lock(AT_FDCWD, path, err);
	if (fd < 0 || !journal_finish(home, err))
		return -1;
	return fd_steal(&fd);
}

int store_lock(const struct home *home, GError **err)
{
	return lock_store(home, true, err);
}

int store_try_lock(const struct home *home)
{
	return lock_store(home, false, NULL);
}

/* Readers see a change whose maker was killed half-way as what it is: done. */
static void settle(const struct home *home)
{
	if (!home->readonly && journal_exists(home)) {
		int fd = store_lock(home, NULL);

		fd_close(&fd);
	}
}

/* --- reading --- */

static int compare_names(gconstpointer a, gconstpointer b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	int order = g_ascii_strcasecmp(x, y);

	return order ? order : strcmp(x, y);
}

/* The names of the files in a directory that end with suffix, without it; none when there is no directory. */
static GPtrArray *list_dir(const char *path, const char *suffix, GError **err)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir && errno == ENOENT)
		return g_steal_pointer(&names);
	if (!dir)
		return fail_errno_null(err, "%s: cannot open", path);
	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), tail = strlen(suffix);

		if (len > tail && !strcmp(entry->d_name + len - tail, suffix) && entry->d_type != DT_DIR)
			g_ptr_array_add(names, g_strndup(entry->d_name, len - tail));
	}
	closedir(dir);
	return g_steal_pointer(&names);
}

GPtrArray *store_names(const struct home *home, enum store_kind kind, GError **err)
{
	g_autofree char *path = g_build_filename(home->config_dir, kind_dirs[kind], NULL);
	GPtrArray *names;

	settle(home);
	names = list_dir(path, ".xml", err);
	if (names)
		g_ptr_array_sort(names, compare_names);
	return names;
}

static GHashTable *list_set(const char *path, const char *suffix)
{
	GHashTable *set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) names = list_dir(path, suffix, NULL);

	for (guint i = 0; names && i < names->len; i++)
		g_hash_table_add(set, g_strdup(names->pdata[i]));
	return set;
}

GHashTable *store_autostart_set(const struct home *home, enum store_kind kind)
{
	g_autofree char *path = g_build_filename(home->config_dir, kind_dirs[kind], "autostart", NULL);

	return list_set(path, ".xml");
}

GHashTable *store_memory_set(const struct home *home, enum store_kind kind)
{
	g_autofree char *path = g_build_filename(home->state_dir, kind_dirs[kind], NULL);

	return list_set(path, ".json");
}

bool store_exists(const struct home *home, enum store_kind kind, const char *name)
{
	g_autofree char *path = store_path(home, kind, name);

	settle(home);
	return name_ok(name, NULL) && !access(path, F_OK);
}

char *store_read(const struct home *home, enum store_kind kind, const char *name, size_t *len, GError **err)
{
	g_autofree char *path = store_path(home, kind, name);

	if (!name_ok(name, err))
		return NULL;
	settle(home);
	if (access(path, F_OK) && (errno == ENOENT || errno == ENAMETOOLONG))
		return fail_null(err, LODGE_ERROR_STATE, "'%s' is not defined", name);
	return file_read(AT_FDCWD, path, MAX_DEFINITION, len, err);
}

/* --- changing --- */

bool store_write(const struct home *home, enum store_kind kind, const char *name, const char *text, GError **err)
{
	g_autofree char *path = store_path(home, kind, name);

	return name_ok(name, err) && make_kind_dirs(home, kind, err) &&
	       file_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
}

static void fill_steps(const struct home *home, struct journal *journal, enum store_kind kind, const char *from,
		       const char *to)
{
	journal_add(journal, store_path(home, kind, from), to ? store_path(home, kind, to) : NULL);
	journal_add(journal, link_path(home, kind, from), to ? link_path(home, kind, to) : NULL);
	journal_add(journal, memory_path(home, kind, from), to ? memory_path(home, kind, to) : NULL);
}

bool store_remove(const struct home *home, enum store_kind kind, const char *name, GError **err)
{
	autoptr(journal) journal = journal_new();

	if (!name_ok(name, err))
		return false;
	if (!store_exists(home, kind, name))
		return fail(err, LODGE_ERROR_STATE, "'%s' is not defined", name);
	fill_steps(home, journal, kind, name, NULL);
	return journal_commit(home, journal, err);
}

bool store_rename(const struct home *home, enum store_kind kind, const char *from, const char *to, const char *new_text,
		  GError **err)
{
	g_autofree char *target = g_strdup_printf("../%s.xml", to);
	autoptr(journal) journal = journal_new();

	if (!name_ok(from, err) || !name_ok(to, err))
		return false;
	if (!store_exists(home, kind, from))
		return fail(err, LODGE_ERROR_STATE, "'%s' is not defined", from);
	if (store_exists(home, kind, to))
		return fail(err, LODGE_ERROR_STATE, "'%s' is defined already", to);
	fill_steps(home, journal, kind, from, to);
	journal_set_content(journal, 0, new_text);
	journal_set_link(journal, 1, target);
	return journal_commit(home, journal, err);
}

/* --- autostart --- */

bool store_autostart(const struct home *home, enum store_kind kind, const char *name)
{
	g_autofree char *path = link_path(home, kind, name);

	settle(home);
	/* Follows the link: one that leads nowhere starts nothing. */
	return name_ok(name, NULL) && !access(path, F_OK);
}

bool store_set_autostart(const struct home *home, enum store_kind kind, const char *name, bool on, GError **err)
{
	g_autofree char *path = link_path(home, kind, name);
	g_autofree char *target = g_strdup_printf("../%s.xml", name);

	if (!name_ok(name, err) || !make_kind_dirs(home, kind, err))
		return false;
	if (!on)
		return file_remove(AT_FDCWD, path, err);
	if (!store_exists(home, kind, name))
		return fail(err, LODGE_ERROR_STATE, "'%s' is not defined", name);
	if (symlink(target, path))
		return errno == EEXIST || fail_errno(err, "%s: cannot make this link", path);
	return dir_sync_parent(AT_FDCWD, path, err);
}

/* --- memory --- */

json_t *store_memory(const struct home *home, enum store_kind kind, const char *name)
{
	g_autofree char *path = memory_path(home, kind, name);
	g_autofree char *text = NULL;
	json_t *memory;
	size_t len;

	settle(home);
	text = name_ok(name, NULL) ? file_read(AT_FDCWD, path, MAX_MEMORY, &len, NULL) : NULL;
	memory = text ? json_loadb(text, len, 0, NULL) : NULL;
	if (json_is_object(memory))
		return memory;
	json_decref(memory);
	return json_object();
}

bool store_remember(const struct home *home, enum store_kind kind, const char *name, json_t *memory, GError **err)
{
	g_autofree char *path = memory_path(home, kind, name);
	char *text = json_dumps(memory, JSON_COMPACT | JSON_SORT_KEYS);
	bool done;

	if (!text)
		return fail(err, LODGE_ERROR_INTERNAL, "'%s': nothing to remember", name);
	done = name_ok(name, err) && make_kind_dirs(home, kind, err) &&
	       file_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
	free(text);
	return done;
}
