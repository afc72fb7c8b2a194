/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/short-options.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/error.h"

struct shorts {
	const struct args *args;
	GHashTable *given; /* long name -> value, "" for a flag; both borrowed */
};

void shorts_free(struct shorts *shorts)
{
	g_hash_table_unref(shorts->given);
	g_free(shorts);
}

static const char *long_name(const struct short_row *rows, char letter)
{
	for (; rows->letter; rows++)
		if (rows->letter == letter)
			return rows->name;
	return NULL;
}

static bool is_flag(const struct command *command, const char *name)
{
	for (const struct arg_row *row = command->args; row->name; row++)
		if (!strcmp(row->name, name))
			return row->type == ARG_FLAG;
	return true;
}

/* One word of letters; the value of the last one may be its rest or the next word. */
static bool parse_word(struct shorts *shorts, const struct command *command, const struct short_row *rows,
		       const char *const **word, GError **err)
{
	const char *at = **word + 1;

	for (; *at; at++) {
		const char *name = long_name(rows, *at);

		if (!name)
			return fail(err, LODGE_ERROR_USAGE, "command '%s' doesn't support option -%c", command->name,
				    g_ascii_isprint(*at) ? *at : '?');
		if (is_flag(command, name)) {
			g_hash_table_insert(shorts->given, (gpointer)(uintptr_t)name, (gpointer)(uintptr_t) "");
			continue;
		}
		if (!at[1] && !*++*word)
			return fail(err, LODGE_ERROR_USAGE, "expected syntax: -%c <value>, as --%s", *at, name);
		g_hash_table_insert(shorts->given, (gpointer)(uintptr_t)name,
				    (gpointer)(uintptr_t)(at[1] ? at + 1 : **word));
		return true;
	}
	return true;
}

struct shorts *shorts_parse(const struct command *command, const struct short_row *rows, const struct args *args,
			    GError **err)
{
	autoptr(shorts) shorts = g_new0(struct shorts, 1);

	shorts->args = args;
	shorts->given = g_hash_table_new(g_str_hash, g_str_equal);
	for (const char *const *word = args_rest(args); *word; word++) {
		if ((*word)[0] != '-' || !(*word)[1])
			return fail_null(err, LODGE_ERROR_USAGE, "unexpected data '%s'", *word);
		if (!parse_word(shorts, command, rows, &word, err))
			return NULL;
	}
	return g_steal_pointer(&shorts);
}

bool shorts_flag(const struct shorts *shorts, const char *name)
{
	return g_hash_table_contains(shorts->given, name) || args_flag(shorts->args, name);
}

const char *shorts_string(const struct shorts *shorts, const char *name)
{
	const char *value = g_hash_table_lookup(shorts->given, name);

	return value ? value : args_string(shorts->args, name);
}

bool shorts_uint(const struct shorts *shorts, const char *name, uint64_t min, uint64_t *value, GError **err)
{
	const char *text = shorts_string(shorts, name);

	return !text || g_ascii_string_to_unsigned(text, 10, min, UINT64_MAX, value, NULL) ||
	       fail(err, LODGE_ERROR_USAGE, "--%s '%s': a number, at least %" PRIu64, name, text, min);
}

bool shorts_seconds(const struct shorts *shorts, const char *name, int64_t *us, GError **err)
{
	const char *text = shorts_string(shorts, name);
	double seconds;
	char *end;

	if (!text)
		return true;
	seconds = g_ascii_strtod(text, &end);
	if (end == text || *end || !(seconds >= 0.1 && seconds <= 86400))
		return fail(err, LODGE_ERROR_USAGE, "--%s '%s': seconds, from 0.1 to 86400", name, text);
	*us = (int64_t)(seconds * G_USEC_PER_SEC);
	return true;
}
