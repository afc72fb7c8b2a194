/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/script.h"

#include <string.h>

#include "core/base/error.h"

/* A word from p on, which is no blank. Returns where it ends; NULL: it does not, *missing says what would end it. */
static const char *read_word(const char *p, GString *word, char *missing)
{
	char quote = '\0';

	for (; *p; p++) {
		if (!quote && (g_ascii_isspace(*p) || *p == ';'))
			return p;
		if (quote && *p == quote) {
			quote = '\0';
		} else if (!quote && (*p == '\'' || *p == '"')) {
			quote = *p;
		} else if (*p == '\\' && quote != '\'') {
			/* Also a line that would go on behind the text's end. */
			if (!p[1] || (p[1] == '\n' && !p[2])) {
				*missing = '\\';
				return NULL;
			}
			if (*++p != '\n')
				g_string_append_c(word, *p);
		} else {
			g_string_append_c(word, *p);
		}
	}
	*missing = quote;
	return quote ? NULL : p;
}

static const char *skip_blanks(const char *p)
{
	for (;;) {
		if (*p == '#')
			p += strcspn(p, "\n");
		else if (p[0] == '\\' && p[1] == '\n' && p[2])
			p += 2;
		else if (*p != '\n' && g_ascii_isspace(*p))
			p++;
		else
			return p;
	}
}

static bool ends_command(char c)
{
	return c == ';' || c == '\n' || c == '\0';
}

enum script_result script_next(const char **text, GPtrArray *words, GError **err)
{
	const char *p = *text;

	g_ptr_array_set_size(words, 0);
	for (;;) {
		g_autoptr(GString) word = g_string_new(NULL);
		char missing = '\0';

		p = skip_blanks(p);
		if (ends_command(*p)) {
			if (!*p || words->len)
				break;
			p++;
			continue;
		}
		p = read_word(p, word, &missing);
		if (!p) {
			fail(err, LODGE_ERROR_USAGE, missing == '\\' ? "dangling %c" : "missing %c", missing);
			return SCRIPT_BAD;
		}
		g_ptr_array_add(words, g_strdup(word->str));
	}
	*text = *p ? p + 1 : p;
	return words->len ? SCRIPT_COMMAND : SCRIPT_END;
}

void script_unfinished(const char *text, GPtrArray *words, size_t *start)
{
	const char *p = text;

	g_ptr_array_set_size(words, 0);
	for (;;) {
		g_autoptr(GString) word = g_string_new(NULL);
		char missing = '\0';

		p = skip_blanks(p);
		if (*p && ends_command(*p)) {
			g_ptr_array_set_size(words, 0);
			p++;
			continue;
		}
		*start = (size_t)(p - text);
		if (*p)
			p = read_word(p, word, &missing);
		g_ptr_array_add(words, g_strdup(word->str));
		if (!p || !*p)
			return;
	}
}
