/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/shell.h"

#include <stdio.h> /* before readline's headers, which want FILE */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "core/base/file.h"
#include "tui/completion.h"
#include "tui/script.h"
#include "tui/session.h"
#include "tui/text.h"

/*
 * readline calls back without a context, so the session whose shell runs is the one file-level variable here; there is
 * one shell in a process.
 */
static struct session *shell_session;

/* --- completion --- */

/* Words that need no quotes in tui/script.h; others are put between single quotes, unless they are already. */
static char *quote(const char *word)
{
	if (rl_completion_quote_character)
		return g_strdup(word);
	return word[0] && !strpbrk(word, " \t\n;#'\"\\") ? g_strdup(word) : text_shell_quote(word);
}

/* readline frees what it gets with free(). */
static char **to_readline(const GPtrArray *candidates)
{
	char **list = calloc((size_t)candidates->len + 2, sizeof(char *));
	size_t common;

	if (!list || !candidates->len) {
		free(list);
		return NULL;
	}
	/* The first entry is what replaces the word: what all have in common. */
	common = strlen(candidates->pdata[0]);
	for (unsigned i = 0; i < candidates->len; i++) {
		const char *text = candidates->pdata[i], *first = candidates->pdata[0];
		size_t same = 0;

		while (same < common && text[same] == first[same])
			same++;
		common = same;
		if (candidates->len > 1)
			list[i + 1] = strdup(text);
	}
	list[0] = strndup(candidates->pdata[0], common);
	return list;
}

/* A folder's name goes on, an option's value too. */
static void set_append(const GPtrArray *candidates)
{
	const char *only = candidates->len == 1 ? candidates->pdata[0] : "";

	rl_completion_append_character = g_str_has_suffix(only, "/") || g_str_has_suffix(only, "=") ? '\0' : ' ';
}

static char **complete(const char *text, int start, int end)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free), found = NULL;
	g_autoptr(GPtrArray) quoted = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *line = g_strndup(rl_line_buffer, (gsize)end);
	size_t word_start = 0;

	(void)text;
	(void)start;
	rl_attempted_completion_over = 1; /* never file names by itself */
	script_unfinished(line, words, &word_start);
	found = completion_candidates(shell_session, words);
	for (unsigned i = 0; i < found->len; i++)
		g_ptr_array_add(quoted, quote(found->pdata[i]));
	set_append(quoted);
	return to_readline(quoted);
}

/* --- history --- */

#define HISTORY_LINES 500

static int history_lines(void)
{
	const char *text = g_getenv("LODGE_HISTSIZE") ? g_getenv("LODGE_HISTSIZE") : g_getenv("VIRSH_HISTSIZE");
	guint64 n;

	return text && g_ascii_string_to_unsigned(text, 10, 0, 100000, &n, NULL) ? (int)n : HISTORY_LINES;
}

/* NULL: no history is kept. */
static char *open_history(struct session *session)
{
	struct home *home = session_home(session, NULL);
	g_autofree char *path = home ? g_build_filename(home->state_dir, "history", NULL) : NULL;

	if (!home || !history_lines() || !dir_make(home->state_dir, 0700, NULL))
		return NULL;
	stifle_history(history_lines());
	read_history(path);
	return g_steal_pointer(&path);
}

/* At once: a shell that is killed has lost nothing, and two shells do not overwrite each other's. */
static void remember(const char *path, const char *line)
{
	HIST_ENTRY *last = history_length ? history_get(history_base + history_length - 1) : NULL;
	mode_t mask;

	if (!line[0] || (last && !strcmp(last->line, line)))
		return;
	add_history(line);
	if (!path)
		return;
	mask = umask(077);
	if (append_history(1, path))
		write_history(path);
	umask(mask);
}

/* --- lines --- */

static void greet(const struct session *session)
{
	if (session->quiet)
		return;
	fprintf(session->out, "Welcome to %s\n\nType:  'help' for help with commands\n       'quit' to quit\n\n",
		session->as_virsh ? "virsh, the virtualization interactive terminal." :
				    "lodge, the terminal manager of virtual machines.");
}

static void run_line(struct session *session, const char *line)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	enum script_result result = SCRIPT_END;

	while (!session->quit && (result = script_next(&line, words, &error)) == SCRIPT_COMMAND)
		command_run(session, (int)words->len, (char **)words->pdata);
	if (result == SCRIPT_BAD)
		session_fail(session, error);
}

static char *prompt_of(const struct session *session)
{
	return g_strdup_printf("%s %c ", session->as_virsh ? "virsh" : "lodge", session->readonly ? '>' : '#');
}

int shell_run(struct session *session)
{
	g_autofree char *history = NULL;

	session->interactive = true;
	shell_session = session;
	rl_readline_name = session->as_virsh ? "virsh" : "lodge";
	rl_attempted_completion_function = complete;
	rl_completer_quote_characters = "'\"";
	rl_completer_word_break_characters = (char[]){ " \t\n;" };
	history = open_history(session);
	greet(session);
	while (!session->quit) {
		g_autofree char *prompt = prompt_of(session);
		char *line;

		fflush(session->out);
		line = readline(prompt);
		if (!line) {
			fputc('\n', session->out);
			break;
		}
		remember(history, line);
		run_line(session, line);
		free(line);
	}
	if (history)
		history_truncate_file(history, history_lines());
	return EXIT_DONE;
}
