/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines as text, as the shell and scripts get them: the words that come out are the same every time, end, and
 * every command of the table takes them or refuses them with a sentence. The line the user is still typing always has a
 * last word.
 */
#include <string.h>

#include "core/base/error.h"
#include "tui/args.h"
#include "tui/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_TEXT 4096u

static void try_command(const struct command *command, GPtrArray *words)
{
	int argc = (int)words->len - 1;
	char **argv = (char **)words->pdata + 1;
	g_autoptr(GError) err = NULL;
	autoptr(args) args = NULL;
	bool only;

	if (!command->run)
		return;
	args = args_parse(command, argc, argv, &err);
	if (!args) {
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_USAGE);
		g_assert_true(*err->message);
	}
	(void)args_next_row(command, argc, argv, &only);
	for (const struct arg_row *row = command->args; args && row && row->name; row++) {
		if ((row->flags & ARG_REQUIRED) && row->type == ARG_DATA && !args_help(args))
			g_assert_nonnull(args_string(args, row->name));
	}
}

static void try_text(const char *text)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	const char *p = text;
	enum script_result result;
	g_autoptr(GError) err = NULL;

	while ((result = script_next(&p, words, &err)) == SCRIPT_COMMAND) {
		g_assert_cmpuint(words->len, >, 0);
		g_assert_true(p > text && p <= text + strlen(text));
		for (size_t i = 0; commands[i]; i++)
			try_command(commands[i], words);
	}
	g_assert_true((result == SCRIPT_BAD) == (err != NULL));
	if (result == SCRIPT_END)
		g_assert_true(!*p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, MIN(size, MAX_TEXT));
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	size_t start = 0;

	try_text(text);
	script_unfinished(text, words, &start);
	g_assert_cmpuint(words->len, >, 0);
	g_assert_cmpuint(start, <=, strlen(text));
	return 0;
}
