/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/stats-page.h"

#include <string.h>

/*
 * The ring of a guest's last words. head counts every byte ever written, so a reader knows how much of the ring is
 * filled without a second counter.
 */

static void put(struct stats_tail *tail, uint64_t head, const char *data, size_t len)
{
	size_t at = head % STATS_TAIL_SIZE, first = MIN(len, STATS_TAIL_SIZE - at);

	memcpy(tail->data + at, data, first);
	memcpy(tail->data, data + first, len - first);
}

void stats_tail_write(struct stats_page *page, const void *data, size_t len)
{
	struct stats_tail *tail = &page->tail;
	uint64_t head = __atomic_load_n(&tail->head, __ATOMIC_RELAXED);
	size_t kept = MIN(len, STATS_TAIL_SIZE);

	put(tail, head + (len - kept), (const char *)data + (len - kept), kept);
	__atomic_store_n(&tail->head, head + len, __ATOMIC_RELEASE);
}

/* What a terminal does not show: control characters and escape sequences ("\033[1;31m", "\033]0;title\a", "\033c"). */
enum strip { STRIP_TEXT, STRIP_ESCAPE, STRIP_CSI, STRIP_STRING };

static enum strip strip_step(enum strip state, char c, GString *line)
{
	switch (state) {
	case STRIP_ESCAPE:
		return c == '['		      ? STRIP_CSI :
		       c == ']'		      ? STRIP_STRING :
		       (c >= ' ' && c <= '/') ? STRIP_ESCAPE :
						STRIP_TEXT;
	case STRIP_CSI:
		return c >= '@' && c <= '~' ? STRIP_TEXT : STRIP_CSI;
	case STRIP_STRING:
		return c == '\a' ? STRIP_TEXT : c == '\033' ? STRIP_ESCAPE : STRIP_STRING;
	default:
		if (c == '\033')
			return STRIP_ESCAPE;
		if (c == '\t' || (unsigned char)c >= ' ')
			g_string_append_c(line, c == '\t' ? ' ' : c);
		return STRIP_TEXT;
	}
}

static char *strip_line(const char *text, size_t len)
{
	GString *line = g_string_sized_new(len);
	enum strip state = STRIP_TEXT;
	char *valid;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != 0x7f)
			state = strip_step(state, text[i], line);
	}
	valid = g_utf8_make_valid(line->str, (gssize)line->len);
	g_string_free(line, TRUE);
	return g_strchomp(valid);
}

static void add_lines(GPtrArray *lines, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline ? newline : end;
		char *line = strip_line(text, (size_t)(stop - text));

		if (*line)
			g_ptr_array_add(lines, line);
		else
			g_free(line);
		text = stop + 1;
	}
}

GPtrArray *stats_tail_lines(const struct stats_page *page, unsigned max)
{
	GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
	uint64_t head = __atomic_load_n(&page->tail.head, __ATOMIC_ACQUIRE);
	size_t len = (size_t)MIN(head, STATS_TAIL_SIZE), at = (head - len) % STATS_TAIL_SIZE;
	char text[STATS_TAIL_SIZE];
	size_t first = MIN(len, STATS_TAIL_SIZE - at);

	memcpy(text, page->tail.data + at, first);
	memcpy(text + first, page->tail.data, len - first);
	/* A full ring begins in the middle of a line. */
	if (head > STATS_TAIL_SIZE) {
		const char *newline = memchr(text, '\n', len);
		size_t skip = newline ? (size_t)(newline + 1 - text) : 0;

		add_lines(lines, text + skip, len - skip);
	} else {
		add_lines(lines, text, len);
	}
	if (lines->len > max)
		g_ptr_array_remove_range(lines, 0, lines->len - max);
	return lines;
}
