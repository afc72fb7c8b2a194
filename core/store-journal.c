/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/store-journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/wire.h"

#define MAX_JOURNAL (32u << 20)

struct journal {
	json_t *steps; /* array of {"from", "to", "text", "link"} */
};

struct journal *journal_new(void)
{
	struct journal *journal = g_new0(struct journal, 1);

	journal->steps = json_array();
	return journal;
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	json_decref(journal->steps);
	g_free(journal);
}

/* Paths are bytes; JSON is not. */
static json_t *encode(const char *bytes)
{
	g_autofree char *escaped = g_uri_escape_string(bytes, "/", FALSE);

	return json_string(escaped);
}

static char *decode(const json_t *step, const char *member)
{
	const char *escaped = json_string_value(json_object_get(step, member));

	return escaped ? g_uri_unescape_string(escaped, NULL) : NULL;
}

void journal_add(struct journal *journal, char *from_consume, char *to_consume)
{
	json_t *step = json_object();

	json_object_set_new(step, "from", encode(from_consume));
	if (to_consume)
		json_object_set_new(step, "to", encode(to_consume));
	json_array_append_new(journal->steps, step);
	g_free(from_consume);
	g_free(to_consume);
}

void journal_set_content(struct journal *journal, size_t step, const char *text)
{
	json_object_set_new(json_array_get(journal->steps, step), "text", encode(text));
}

void journal_set_link(struct journal *journal, size_t step, const char *target)
{
	json_object_set_new(json_array_get(journal->steps, step), "link", encode(target));
}

/* --- carrying out --- */

static bool there(const char *path)
{
	return !faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

static bool make_link(const char *target, const char *path, GError **err)
{
	return !symlink(target, path) || errno == EEXIST || fail_errno(err, "%s: cannot make this link", path);
}

/* from goes last: as long as it is there, the step is not done. */
static bool do_step(const json_t *step, GError **err)
{
	g_autofree char *from = decode(step, "from");
	g_autofree char *to = decode(step, "to");
	g_autofree char *text = decode(step, "text");
	g_autofree char *link = decode(step, "link");

	if (!from || !there(from))
		return true;
	if (!to)
		return file_remove(AT_FDCWD, from, err);
	if (text)
		return file_replace(AT_FDCWD, to, text, strlen(text), 0600, err) && file_remove(AT_FDCWD, from, err);
	if (link)
		return make_link(link, to, err) && dir_sync_parent(AT_FDCWD, to, err) &&
		       file_remove(AT_FDCWD, from, err);
	/* A left-over of the new name, which nobody owns, is in the way of nothing. */
	return !there(to) ? file_rename(AT_FDCWD, from, to, err) :
			    file_remove(AT_FDCWD, to, err) && file_rename(AT_FDCWD, from, to, err);
}

static char *journal_path(const struct home *home)
{
	return g_build_filename(home->state_dir, "journal", NULL);
}

bool journal_exists(const struct home *home)
{
	g_autofree char *path = journal_path(home);

	return there(path);
}

static bool do_steps(const json_t *steps, GError **err)
{
	for (size_t i = 0; i < json_array_size(steps); i++) {
		if (!do_step(json_array_get(steps, i), err))
			return false;
	}
	return true;
}

bool journal_finish(const struct home *home, GError **err)
{
	g_autofree char *path = journal_path(home);
	g_autofree char *text = NULL;
	auto_json json_t *steps = NULL;
	size_t len;

	if (!there(path)) {
		/* A journal that was not finished when its writer was killed: the change was never made. */
		g_autofree char *draft = g_build_filename(home->state_dir, ".new", NULL);

		unlink(draft);
		return true;
	}
	text = file_read(AT_FDCWD, path, MAX_JOURNAL, &len, err);
	if (!text)
		return false;
	steps = json_loadb(text, len, 0, NULL);
	if (!steps)
		return fail(err, LODGE_ERROR_INPUT, "%s: damaged; remove it to go on without the change it stands for",
			    path);
	return do_steps(steps, err) && file_remove(AT_FDCWD, path, err);
}

/* Not even the first step has shown any effect. */
static bool untouched(const json_t *steps)
{
	const json_t *first = json_array_get(steps, 0);
	g_autofree char *from = decode(first, "from");
	g_autofree char *to = decode(first, "to");

	return from && there(from) && (!to || !there(to));
}

bool journal_commit(const struct home *home, const struct journal *journal, GError **err)
{
	g_autofree char *path = journal_path(home);
	char *text = json_dumps(journal->steps, JSON_COMPACT);
	g_autoptr(GError) unfinished = NULL;
	bool written = text && file_replace(AT_FDCWD, path, text, strlen(text), 0600, err);

	free(text);
	if (!written) {
		/* When only the last sync failed it is there; it must not come true later. */
		unlink(path);
		return false;
	}
	if (journal_finish(home, &unfinished))
		return true;
	/* A host that refuses the first step may go on refusing: better the old state and the reason. */
	if (there(path) && untouched(journal->steps) && !unlink(path)) {
		g_propagate_error(err, g_steal_pointer(&unfinished));
		return false;
	}
	g_debug("left to the next change: %s", unfinished->message);
	return true;
}
