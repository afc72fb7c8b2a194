/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/batch.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "tui/script.h"
#include "tui/session.h"

#define MAX_COMMAND (1u << 20) /* bytes of one command in a stream */

struct batch {
	struct session *session;
	bool keep_going;
	int status; /* of the first command that failed */
	GPtrArray *words;
};

static struct batch *batch_new(struct session *session, bool keep_going)
{
	struct batch *batch = g_new0(struct batch, 1);

	batch->session = session;
	batch->keep_going = keep_going;
	batch->words = g_ptr_array_new_with_free_func(g_free);
	return batch;
}

static void batch_free(struct batch *batch)
{
	g_ptr_array_unref(batch->words);
	g_free(batch);
}
DEFINE_AUTOPTR(batch, batch_free)

static void note_status(struct batch *batch, int status)
{
	if (batch->session->as_virsh || batch->status == EXIT_DONE)
		batch->status = status;
}

/* Whether another command may follow. */
static bool goes_on(const struct batch *batch)
{
	if (batch->session->quit)
		return false;
	return batch->status == EXIT_DONE || batch->keep_going || batch->session->as_virsh;
}

static void run_words(struct batch *batch)
{
	note_status(batch, command_run(batch->session, (int)batch->words->len, (char **)batch->words->pdata));
}

/*
 * Runs the complete commands of *text and moves it behind them. SCRIPT_BAD: the rest needs more text; *error says what
 * is wrong with it so far.
 */
static enum script_result run_text(struct batch *batch, const char **text, GError **err)
{
	enum script_result result = SCRIPT_END;

	while (goes_on(batch) && (result = script_next(text, batch->words, err)) == SCRIPT_COMMAND)
		run_words(batch);
	return result;
}

static bool check_text(struct session *session, const char *text)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	enum script_result result;

	while ((result = script_next(&text, words, &error)) == SCRIPT_COMMAND) {
		if (!command_check(session, (int)words->len, (char **)words->pdata))
			return false;
	}
	if (result == SCRIPT_BAD)
		session_fail(session, error);
	return result != SCRIPT_BAD;
}

int batch_text(struct session *session, const char *text, bool keep_going)
{
	autoptr(batch) batch = batch_new(session, keep_going);
	g_autoptr(GError) error = NULL;

	if (session->as_virsh && (!text[0] || !check_text(session, text)))
		return EXIT_FAILED;
	if (run_text(batch, &text, &error) == SCRIPT_BAD)
		note_status(batch, session_fail(session, error));
	return batch->status;
}

/* A line may be the beginning of a command only: then it waits in pending for the next one. */
static void run_line(struct batch *batch, GString *pending, GError **err)
{
	const char *text = pending->str;

	if (pending->len > MAX_COMMAND) {
		g_string_truncate(pending, 0);
		fail(err, LODGE_ERROR_USAGE, "a command of more than %u bytes", MAX_COMMAND);
		return;
	}
	if (run_text(batch, &text, NULL) == SCRIPT_BAD)
		g_string_erase(pending, 0, text - pending->str);
	else
		g_string_truncate(pending, 0);
}

int batch_stream(struct session *session, FILE *in, bool keep_going)
{
	autoptr(batch) batch = batch_new(session, keep_going);
	g_autoptr(GString) pending = g_string_new(NULL);
	g_autoptr(GError) error = NULL;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while (!error && goes_on(batch) && (len = getline(&line, &size, in)) >= 0) {
		g_string_append_len(pending, line, len);
		if (memchr(line, '\0', (size_t)len))
			fail(&error, LODGE_ERROR_USAGE, "a NUL byte among the commands");
		else
			run_line(batch, pending, &error);
	}
	free(line);
	if (!error && ferror(in))
		fail_errno(&error, "standard input");
	if (!error && goes_on(batch) && pending->len) {
		const char *text = pending->str;

		run_text(batch, &text, &error);
	}
	if (error)
		note_status(batch, session_fail(session, error));
	return batch->status;
}
