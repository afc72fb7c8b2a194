/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns a fuzz target into an ordinary test: main() gives it the empty input and then each file of its corpus, in the order of their
 * names, one TAP point each. The corpus of fuzz-NAME is tests/fuzz/corpus/NAME/ of the source tree; a file named on the command line
 * is replayed instead, to look into a crash.
 */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gint compare_paths(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a folder in the order of their names; none when there is no folder. */
static GPtrArray *list_corpus(const char *folder)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
	g_ptr_array_sort(paths, compare_paths);
	return g_steal_pointer(&paths);
}

static bool replay(const char *path)
{
	g_autofree char *data = NULL;
	g_autoptr(GError) err = NULL;
	gsize size;

	if (!g_file_get_contents(path, &data, &size, &err)) {
		printf("# %s\n", err->message);
		return false;
	}
	/* A copy of exactly this size, so that a sanitizer sees a read past its end. */
	g_autofree uint8_t *exact = g_memdup2(data, size);
	LLVMFuzzerTestOneInput(exact ? exact : (const uint8_t *)"", size);
	return true;
}

int main(int argc, char **argv)
{
	const char *source = g_getenv("LODGE_SRCDIR");
	g_autofree char *program = g_path_get_basename(argv[0]);
	const char *name = g_str_has_prefix(program, "fuzz-") ? program + strlen("fuzz-") : program;
	g_autofree char *folder = g_build_filename(source ? source : ".", "tests", "fuzz", "corpus", name, NULL);
	g_autoptr(GPtrArray) paths = NULL;
	int failed = 0;

	if (argc > 1 && argv[1][0] != '-') {
		paths = g_ptr_array_new_with_free_func(g_free);
		for (int i = 1; i < argc; i++)
			g_ptr_array_add(paths, g_strdup(argv[i]));
	} else {
		paths = list_corpus(folder);
	}

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%u\n", paths->len + 1);
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	puts("ok 1 - nothing");
	for (guint i = 0; i < paths->len; i++) {
		const char *path = g_ptr_array_index(paths, i);
		g_autofree char *base = g_path_get_basename(path);
		bool ok = replay(path);

		printf("%s %u - %s\n", ok ? "ok" : "not ok", i + 2, base);
		failed += !ok;
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
