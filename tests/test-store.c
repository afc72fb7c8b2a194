/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Definitions on disk. The main thing: whatever happens at whichever step of a change, afterwards the store holds all
 * of the old or all of the new, an acknowledged change holds, and the next change leaves nothing lying about.
 */
#include "core/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/wire.h"
#include "tests/fault.h"
#include "tests/one-home.h"

#define UUID "8e6f0b5e-5a1c-4b8e-9e62-2d5f3c1a7b90"

static bool write_one(const struct home *home, const char *name, const char *text)
{
	auto_fd int lock = store_lock(home, NULL);

	return lock >= 0 && store_write(home, STORE_VM, name, text, NULL);
}

static void must_write(const struct home *home, const char *name, const char *text)
{
	g_assert_true(write_one(home, name, text));
}

static bool remember_one(const struct home *home, const char *name, int value)
{
	auto_json json_t *memory = json_pack("{s:i}", "value", value);
	auto_fd int lock = store_lock(home, NULL);

	return lock >= 0 && store_remember(home, STORE_VM, name, memory, NULL);
}

/* --- refusals, and the plain ways --- */

static void test_bad_names(void)
{
	static const char *const names[] = { "", ".", "..", "a/b", "../x" };
	autoptr(one_home) one = one_home_new();

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autoptr(GError) error = NULL, read_error = NULL;

		g_assert_false(store_write(one->home, STORE_VM, names[i], "x", &error));
		g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
		g_assert_null(store_read(one->home, STORE_VM, names[i], NULL, &read_error));
		g_assert_false(store_exists(one->home, STORE_VM, names[i]));
		g_assert_false(store_autostart(one->home, STORE_VM, names[i]));
	}
}

static void test_missing(void)
{
	autoptr(one_home) one = one_home_new();
	auto_fd int lock = store_lock(one->home, NULL);
	g_autoptr(GError) read_error = NULL, remove_error = NULL, rename_error = NULL, start_error = NULL;
	auto_json json_t *memory = store_memory(one->home, STORE_VM, "x");
	g_autoptr(GPtrArray) names = store_names(one->home, STORE_VM, NULL);

	g_assert_cmpint(lock, >=, 0);
	g_assert_null(store_read(one->home, STORE_VM, "x", NULL, &read_error));
	g_assert_error(read_error, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_false(store_remove(one->home, STORE_VM, "x", &remove_error));
	g_assert_error(remove_error, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_false(store_rename(one->home, STORE_VM, "x", "y", "t", &rename_error));
	g_assert_error(rename_error, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_false(store_set_autostart(one->home, STORE_VM, "x", true, &start_error));
	g_assert_error(start_error, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_cmpuint(json_object_size(memory), ==, 0);
	g_assert_cmpuint(names->len, ==, 0);
}

static void test_long_names(void)
{
	autoptr(one_home) one = one_home_new();
	g_autofree char *longest = g_strnfill(250, 'n'), *longer = g_strnfill(255, 'n');
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;

	must_write(one->home, longest, "<a/>");
	text = store_read(one->home, STORE_VM, longest, NULL, NULL);
	g_assert_cmpstr(text, ==, "<a/>");
	g_assert_false(store_write(one->home, STORE_VM, longer, "<a/>", &error));
	g_assert_nonnull(error);
	g_assert_false(store_exists(one->home, STORE_VM, longer));
}

static void test_order_and_kinds(void)
{
	autoptr(one_home) one = one_home_new();
	g_autoptr(GPtrArray) names = NULL, networks = NULL;
	struct stat st;
	g_autofree char *path = store_path(one->home, STORE_VM, "b");

	must_write(one->home, "b", "<b/>");
	must_write(one->home, "A", "<a/>");
	must_write(one->home, "c d", "<c/>");
	names = store_names(one->home, STORE_VM, NULL);
	g_assert_cmpuint(names->len, ==, 3);
	g_assert_cmpstr(names->pdata[0], ==, "A");
	g_assert_cmpstr(names->pdata[2], ==, "c d");
	networks = store_names(one->home, STORE_NETWORK, NULL);
	g_assert_cmpuint(networks->len, ==, 0);
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
}

static void test_peek_uuid(void)
{
	static const char *const good[] = {
		"<domain><name>x</name><uuid>" UUID "</uuid></domain>",
		"<domain type='a>b'><!-- <uuid>no</uuid> --><x><uuid>1</uuid></x><y/><uuid>\n " UUID
		" </uuid></domain>",
		"<?xml version='1.0'?><domain><![CDATA[<uuid>]]><uuid>8E6F0B5E-5A1C-4B8E-9E62-2D5F3C1A7B90</uuid></domain>",
	};
	static const char *const bad[] = {
		"",
		"<",
		"<domain",
		"<domain>",
		"<uuid>" UUID "</uuid>",
		"<d><x><uuid>" UUID "</uuid></x></d>",
		"<d><uuid>1</uuid></d>",
		"<d><uuid>" UUID,
		"<d><!-- <uuid>" UUID "</uuid></d>",
		"<d><uuidx>" UUID "</uuidx></d>",
		"</d></d><uuid>" UUID "</uuid>",
	};
	char uuid[37];

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(store_peek_uuid(bad[i], uuid));
	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		g_assert_true(store_peek_uuid(good[i], uuid));
		g_assert_cmpstr(uuid, ==, UUID);
	}
}

/* --- changes under faults --- */

/* Everything a reader can learn, as one text. */
static char *snapshot(const struct home *home)
{
	g_autoptr(GPtrArray) names = store_names(home, STORE_VM, NULL);
	GString *text = g_string_new(NULL);

	g_assert_nonnull(names);
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		g_autofree char *definition = store_read(home, STORE_VM, name, NULL, NULL);
		auto_json json_t *memory = store_memory(home, STORE_VM, name);

		g_assert_nonnull(definition);
		g_string_append_printf(text, "%s=%s auto=%d value=%d\n", name, definition,
				       store_autostart(home, STORE_VM, name),
				       (int)json_integer_value(json_object_get(memory, "value")));
	}
	return g_string_free(text, FALSE);
}

static void add_files(GString *text, const char *path, const char *below)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			g_ptr_array_add(names, g_strdup(entry->d_name));
	}
	if (dir)
		closedir(dir);
	g_ptr_array_sort(names, (GCompareFunc)(void *)g_ascii_strcasecmp);
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *child = g_build_filename(path, names->pdata[i], NULL);
		g_autofree char *shown = g_strconcat(below, names->pdata[i], NULL);
		g_autofree char *deeper = g_strconcat(shown, "/", NULL);

		if (g_file_test(child, G_FILE_TEST_IS_DIR))
			add_files(text, child, deeper);
		else
			g_string_append_printf(text, "%s ", shown);
	}
}

/* Files that a reader could not explain: what is neither a definition, nor a link or memory of one. */
static void assert_no_strays(const struct one_home *one)
{
	GString *text = g_string_new(NULL);
	g_auto(GStrv) files = NULL;

	add_files(text, one->dir, "");
	files = g_strsplit(text->str, " ", -1);
	for (size_t i = 0; files[i]; i++) {
		g_autofree char *base = g_path_get_basename(files[i]);
		char *dot = strrchr(base, '.');
		bool plain = !*files[i] || !strcmp(files[i], "state/lock");

		if (dot)
			*dot = '\0';
		if (!plain && !(dot && *base && store_exists(one->home, STORE_VM, base)))
			g_error("stray file %s among: %s", files[i], text->str);
	}
	g_string_free(text, TRUE);
}

static void prepare(const struct home *home)
{
	auto_fd int lock = -1;

	must_write(home, "old", "<old/>");
	must_write(home, "other", "<other/>");
	g_assert_true(remember_one(home, "old", 7));
	lock = store_lock(home, NULL);
	g_assert_true(store_set_autostart(home, STORE_VM, "old", true, NULL));
}

static bool do_define(const struct home *home)
{
	return write_one(home, "new", "<new/>");
}

static bool do_replace(const struct home *home)
{
	return write_one(home, "old", "<old>and much longer than it was before</old>");
}

static bool do_rename(const struct home *home)
{
	auto_fd int lock = store_lock(home, NULL);

	return lock >= 0 && store_rename(home, STORE_VM, "old", "new", "<new/>", NULL);
}

static bool do_remove(const struct home *home)
{
	auto_fd int lock = store_lock(home, NULL);

	return lock >= 0 && store_remove(home, STORE_VM, "old", NULL);
}

static bool do_autostart(const struct home *home)
{
	auto_fd int lock = store_lock(home, NULL);

	return lock >= 0 && store_set_autostart(home, STORE_VM, "other", true, NULL);
}

static bool do_no_autostart(const struct home *home)
{
	auto_fd int lock = store_lock(home, NULL);

	return lock >= 0 && store_set_autostart(home, STORE_VM, "old", false, NULL);
}

static bool do_remember(const struct home *home)
{
	return remember_one(home, "old", 8);
}

static bool do_first_remember(const struct home *home)
{
	return remember_one(home, "other", 9);
}

static const struct {
	const char *name;
	bool (*run)(const struct home *home);
} changes[] = {
	{ "define", do_define },       { "replace", do_replace },
	{ "rename", do_rename },       { "remove", do_remove },
	{ "autostart", do_autostart }, { "no-autostart", do_no_autostart },
	{ "remember", do_remember },   { "first-remember", do_first_remember },
};

enum outcome { OUTCOME_DONE, OUTCOME_REFUSED, OUTCOME_KILLED, OUTCOME_NO_FAULT };

/* The change in a process of its own. OUTCOME_NO_FAULT: it was done before the nth call came. */
static enum outcome run_faulty(const struct home *home, size_t change, enum fault mode, unsigned nth)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		bool done;

		fault_arm(mode, nth);
		done = changes[change].run(home);
		_exit(fault_disarm() < nth ? 2 : done ? 0 : 1);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFEXITED(status));
	switch (WEXITSTATUS(status)) {
	case 0:
		return OUTCOME_DONE;
	case 1:
		return OUTCOME_REFUSED;
	case 2:
		return OUTCOME_NO_FAULT;
	default:
		g_assert_cmpint(WEXITSTATUS(status), ==, FAULT_STATUS);
		return OUTCOME_KILLED;
	}
}

static char *wanted_after(size_t change)
{
	autoptr(one_home) one = one_home_new();

	prepare(one->home);
	g_assert_true(changes[change].run(one->home));
	assert_no_strays(one);
	return snapshot(one->home);
}

/* One step of one change fails; true while there are more steps. */
static bool check_step(size_t change, enum fault mode, unsigned nth, const char *after)
{
	autoptr(one_home) one = one_home_new();
	g_autofree char *before = NULL;
	g_autofree char *now = NULL;
	g_autofree char *then = NULL;
	enum outcome outcome;

	prepare(one->home);
	before = snapshot(one->home);
	outcome = run_faulty(one->home, change, mode, nth);
	now = snapshot(one->home);
	if (strcmp(now, before) && strcmp(now, after))
		g_error("%s, step %u, fault %d: neither old nor new:\n%s", changes[change].name, nth, mode, now);
	if ((outcome == OUTCOME_DONE || outcome == OUTCOME_NO_FAULT) && strcmp(now, after))
		g_error("%s, step %u, fault %d: acknowledged and lost:\n%s", changes[change].name, nth, mode, now);
	/* And it stays so, whoever changes something next; nothing is left over from before then. */
	must_write(one->home, "zz", "<zz/>");
	g_assert_true(remember_one(one->home, "zz", 0));
	then = snapshot(one->home);
	g_assert_true(g_str_has_prefix(then, now));
	assert_no_strays(one);
	return outcome != OUTCOME_NO_FAULT;
}

static void test_faults(gconstpointer data)
{
	enum fault mode = (enum fault)GPOINTER_TO_INT(data);

	for (size_t change = 0; change < G_N_ELEMENTS(changes); change++) {
		g_autofree char *after = wanted_after(change);
		unsigned nth = 1;

		while (check_step(change, mode, nth, after))
			nth++;
		g_test_message("%s: %u steps", changes[change].name, nth - 1);
		g_assert_cmpuint(nth, >, 3);
	}
}

/*
 * A change that was interrupted after it had been made is seen as made by the next reader, before anybody changes
 * anything.
 */
static void test_reader_settles(void)
{
	unsigned finished = 0;

	for (unsigned nth = 1;; nth++) {
		autoptr(one_home) one = one_home_new();
		g_autofree char *journal = g_build_filename(one->dir, "state", "journal", NULL);

		prepare(one->home);
		if (run_faulty(one->home, 2, FAULT_KILL, nth) == OUTCOME_NO_FAULT)
			break;
		if (!g_file_test(journal, G_FILE_TEST_EXISTS))
			continue;
		finished++;
		g_assert_true(store_exists(one->home, STORE_VM, "new"));
		g_assert_false(store_exists(one->home, STORE_VM, "old"));
		g_assert_true(store_autostart(one->home, STORE_VM, "new"));
		g_assert_false(g_file_test(journal, G_FILE_TEST_EXISTS));
	}
	g_assert_cmpuint(finished, >, 2);
}

/* Many writers of one name: each reader sees the whole of one of them. */
static void test_concurrent(void)
{
	enum { WRITERS = 4, ROUNDS = 25 };
	autoptr(one_home) one = one_home_new();
	pid_t pids[WRITERS];

	must_write(one->home, "vm", "0000000000");
	for (int w = 0; w < WRITERS; w++) {
		pids[w] = fork();
		if (!pids[w]) {
			g_autofree char *text = g_strnfill(10 + (gsize)w * 5000, (char)('a' + w));

			for (int i = 0; i < ROUNDS; i++) {
				if (!write_one(one->home, "vm", text))
					_exit(1);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 200; i++) {
		g_autofree char *text = store_read(one->home, STORE_VM, "vm", NULL, NULL);

		g_assert_nonnull(text);
		g_assert_cmpuint(strspn(text, (char[]){ text[0], 0 }), ==, strlen(text));
		g_assert_cmpuint(strlen(text), >=, 10);
	}
	for (int w = 0; w < WRITERS; w++) {
		int status;

		g_assert_cmpint(waitpid(pids[w], &status, 0), ==, pids[w]);
		g_assert_cmpint(status, ==, 0);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/store/bad-names", test_bad_names);
	g_test_add_func("/store/missing", test_missing);
	g_test_add_func("/store/long-names", test_long_names);
	g_test_add_func("/store/order-and-kinds", test_order_and_kinds);
	g_test_add_func("/store/peek-uuid", test_peek_uuid);
	g_test_add_data_func("/store/killed", GINT_TO_POINTER(FAULT_KILL), test_faults);
	g_test_add_data_func("/store/one-failure", GINT_TO_POINTER(FAULT_ONCE), test_faults);
	g_test_add_data_func("/store/disk-full", GINT_TO_POINTER(FAULT_FULL), test_faults);
	g_test_add_func("/store/reader-settles", test_reader_settles);
	g_test_add_func("/store/concurrent", test_concurrent);
	return g_test_run();
}
