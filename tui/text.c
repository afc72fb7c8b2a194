/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/text.h"

#include <string.h>

/* The character at *p, or 0 when its bytes must not reach a terminal; *len: bytes it takes. */
static gunichar printable_at(const char *p, size_t *len)
{
	gunichar c = g_utf8_get_char_validated(p, -1);

	if (c == (gunichar)-1 || c == (gunichar)-2) {
		*len = 1;
		return 0;
	}
	*len = (size_t)(text_next(p) - p);
	return g_unichar_isprint(c) ? c : 0;
}

static char *replace_unprintable(const char *text, const char *keep)
{
	GString *out = g_string_new(NULL);
	size_t len;

	for (const char *p = text; *p; p += len) {
		if (printable_at(p, &len) || strchr(keep, *p))
			g_string_append_len(out, p, (gssize)len);
		else
			g_string_append_c(out, '?');
	}
	return g_string_free(out, FALSE);
}

char *text_message(const char *text)
{
	return replace_unprintable(text, "");
}

char *text_lines(const char *text)
{
	return replace_unprintable(text, "\n\t");
}

char *text_cell(const char *text)
{
	GString *out = g_string_new(NULL);
	size_t len;

	for (const char *p = text; *p; p += len) {
		/* A name that looks like an escape is one, so that no two names look the same. */
		if (printable_at(p, &len) && !(p[0] == '\\' && p[1] == 'x')) {
			g_string_append_len(out, p, (gssize)len);
			continue;
		}
		for (size_t i = 0; i < len; i++)
			g_string_append_printf(out, "\\x%02x", (unsigned char)p[i]);
	}
	return g_string_free(out, FALSE);
}

unsigned text_width(const char *text)
{
	unsigned width = 0;

	for (const char *p = text; *p; p = text_next(p)) {
		gunichar c = g_utf8_get_char(p);

		if (!g_unichar_iszerowidth(c))
			width += g_unichar_iswide(c) ? 2 : 1;
	}
	return width;
}

char *text_shell_quote(const char *text)
{
	static const char plain[] = "%+,-./:=@_";
	const char *p = text;

	while (*p && (g_ascii_isalnum(*p) || strchr(plain, *p)))
		p++;
	return *p || !text[0] ? g_shell_quote(text) : g_strdup(text);
}

char *text_xml_escape(const char *text)
{
	GString *out = g_string_new(NULL);

	for (const char *p = text; *p; p++) {
		switch (*p) {
		case '&':
			g_string_append(out, "&amp;");
			break;
		case '<':
			g_string_append(out, "&lt;");
			break;
		case '>':
			g_string_append(out, "&gt;");
			break;
		case '"':
			g_string_append(out, "&quot;");
			break;
		case '\'':
			g_string_append(out, "&apos;");
			break;
		default:
			g_string_append_c(out, *p);
		}
	}
	return g_string_free(out, FALSE);
}
