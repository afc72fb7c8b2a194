/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/stats-page.h"

#include <glib.h>
#include <string.h>

/*
 * struct stats_state under its sequence lock. The fields are moved word by word with relaxed atomics, so that a reader
 * in another process that comes in between reads old and new words, never undefined ones, and the count tells it so.
 */
#define READ_TRIES 1000u

G_STATIC_ASSERT(sizeof(struct stats_state) % sizeof(uint64_t) == 0);
G_STATIC_ASSERT(G_STRUCT_OFFSET(struct stats_page, state) % sizeof(uint64_t) == 0);
G_STATIC_ASSERT(G_STRUCT_OFFSET(struct stats_page, vcpu) % sizeof(uint64_t) == 0);
G_STATIC_ASSERT(G_STRUCT_OFFSET(struct stats_page, disk) % sizeof(uint64_t) == 0);
G_STATIC_ASSERT(G_STRUCT_OFFSET(struct stats_page, port) % sizeof(uint64_t) == 0);

#define STATE_WORDS (sizeof(struct stats_state) / sizeof(uint64_t))

union state_words {
	struct stats_state state;
	uint64_t word[STATE_WORDS];
};

static void load_words(const struct stats_page *page, union state_words *to)
{
	const uint64_t *from = (const uint64_t *)(const void *)&page->state;

	for (size_t i = 0; i < STATE_WORDS; i++)
		to->word[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void store_words(struct stats_page *page, const union state_words *from)
{
	uint64_t *to = (uint64_t *)(void *)&page->state;

	for (size_t i = 0; i < STATE_WORDS; i++)
		__atomic_store_n(&to[i], from->word[i], __ATOMIC_RELAXED);
}

void stats_page_init(struct stats_page *page)
{
	memset(page, 0, sizeof(*page));
	page->version = STATS_PAGE_VERSION;
	page->size = sizeof(*page);
	for (size_t i = 0; i < sizeof(page->balloon) / sizeof(uint64_t); i++)
		((uint64_t *)(void *)&page->balloon)[i] = UINT64_MAX;
	__atomic_store_n(&page->magic, STATS_PAGE_MAGIC, __ATOMIC_RELEASE);
}

/* What a guest said may be anything; readers are promised UTF-8, also where it is cut off. */
static void copy_text(char *to, size_t size, const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
	const char *end;

	g_strlcpy(to, valid, size);
	if (!g_utf8_validate(to, -1, &end))
		to[end - to] = '\0';
}

void stats_page_set_state(struct stats_page *page, unsigned state, unsigned reason, const char *text)
{
	union state_words words = { 0 };
	/* A writer that was killed may have left it odd. */
	uint32_t seq = __atomic_load_n(&page->seq, __ATOMIC_RELAXED) & ~1u;

	words.state.resets = page->state.resets;
	words.state.state = state;
	words.state.reason = reason;
	words.state.since_us = g_get_real_time();
	copy_text(words.state.text, sizeof(words.state.text), text);
	__atomic_store_n(&page->seq, seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	store_words(page, &words);
	__atomic_store_n(&page->seq, seq + 2, __ATOMIC_RELEASE);
}

bool stats_page_valid(const void *data, size_t size)
{
	const struct stats_page *page = data;

	return size >= sizeof(*page) && __atomic_load_n(&page->magic, __ATOMIC_ACQUIRE) == STATS_PAGE_MAGIC &&
	       page->version == STATS_PAGE_VERSION && page->size >= sizeof(*page);
}

void stats_page_get_state(const struct stats_page *page, struct stats_state *state)
{
	union state_words words;

	for (unsigned i = 0; i < READ_TRIES; i++) {
		uint32_t before = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);

		load_words(page, &words);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(before & 1) && before == __atomic_load_n(&page->seq, __ATOMIC_RELAXED))
			break;
	}
	*state = words.state;
	state->text[sizeof(state->text) - 1] = '\0';
}
