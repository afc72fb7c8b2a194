/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/store.h"

#include <string.h>

/*
 * Finds <uuid> in a definition the store holds, which is canonical and well-formed, without building a tree: tags are
 * counted, comments, CDATA and processing instructions are jumped over. Whatever the text is, each step goes forward or
 * ends.
 */

/* Behind the next end, or NULL. */
static const char *skip_to(const char *at, const char *end)
{
	const char *found = strstr(at, end);

	return found ? found + strlen(end) : NULL;
}

static const char *skip_tag(const char *at)
{
	char quote = 0;

	for (; *at; at++) {
		if (quote)
			quote = *at == quote ? 0 : quote;
		else if (*at == '"' || *at == '\'')
			quote = *at;
		else if (*at == '>')
			return at + 1;
	}
	return NULL;
}

static const char *skip_special(const char *at)
{
	if (g_str_has_prefix(at, "<!--"))
		return skip_to(at + 4, "-->");
	if (g_str_has_prefix(at, "<![CDATA["))
		return skip_to(at, "]]>");
	return at[1] == '?' ? skip_to(at, "?>") : skip_tag(at);
}

static bool is_uuid_tag(const char *tag)
{
	return !strncmp(tag, "<uuid", 5) && (tag[5] == '>' || g_ascii_isspace(tag[5]));
}

static bool copy_uuid(const char *text, char uuid[37])
{
	const char *end = strchr(text, '<');
	g_autofree char *value = end ? g_strndup(text, (gsize)(end - text)) : g_strdup("");

	g_strstrip(value);
	if (!g_uuid_string_is_valid(value))
		return false;
	for (size_t i = 0; i < 37; i++)
		uuid[i] = g_ascii_tolower(value[i]);
	return true;
}

bool store_peek_uuid(const char *text, char uuid[37])
{
	unsigned depth = 0;

	for (const char *at = strchr(text, '<'); at; at = strchr(at, '<')) {
		const char *next;

		if (at[1] == '!' || at[1] == '?') {
			at = skip_special(at);
			if (!at)
				return false;
			continue;
		}
		next = skip_tag(at);
		if (!next)
			return false;
		if (depth == 1 && is_uuid_tag(at))
			return copy_uuid(next, uuid);
		if (at[1] == '/')
			depth -= depth > 0;
		else if (next[-2] != '/')
			depth++;
		at = next;
	}
	return false;
}
