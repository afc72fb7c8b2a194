/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/stats-page.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>

#define ROUNDS 20000u

static struct stats_page *page_new(void)
{
	struct stats_page *page = g_new(struct stats_page, 1);

	memset(page, 0xff, sizeof(*page));
	stats_page_init(page);
	return page;
}

static void test_not_a_page(void)
{
	g_autofree struct stats_page *page = page_new();
	static const uint8_t zeros[sizeof(struct stats_page)];

	g_assert_false(stats_page_valid(zeros, sizeof(zeros)));
	g_assert_false(stats_page_valid(page, sizeof(*page) - 1));
	g_assert_false(stats_page_valid(page, 0));
	g_assert_true(stats_page_valid(page, sizeof(*page)));
	page->version = STATS_PAGE_VERSION + 1;
	g_assert_false(stats_page_valid(page, sizeof(*page)));
	page->version = STATS_PAGE_VERSION;
	page->size = 16;
	g_assert_false(stats_page_valid(page, sizeof(*page)));
}

static void test_new(void)
{
	g_autofree struct stats_page *page = page_new();

	g_assert_cmpuint(page->balloon.unused, ==, UINT64_MAX);
	g_assert_cmpuint(page->balloon.last_update, ==, UINT64_MAX);
	g_assert_cmpuint(page->vcpu[STATS_MAX_VCPUS - 1].halt_ns, ==, 0);
	g_assert_cmpuint(page->state.state, ==, 0);
}

static void test_state(void)
{
	g_autofree struct stats_page *page = page_new();
	struct stats_state state;
	int64_t before = g_get_real_time();

	stats_add(&page->state.resets, 3);
	stats_page_set_state(page, 5, 2, "killed");
	stats_page_get_state(page, &state);
	g_assert_cmpuint(state.state, ==, 5);
	g_assert_cmpuint(state.reason, ==, 2);
	g_assert_cmpuint(state.resets, ==, 3);
	g_assert_cmpint(state.since_us, >=, before);
	g_assert_cmpstr(state.text, ==, "killed");
	g_assert_cmpuint(page->seq % 2, ==, 0);
	stats_page_set_state(page, 1, 1, NULL);
	stats_page_get_state(page, &state);
	g_assert_cmpstr(state.text, ==, "");
	g_assert_cmpuint(state.resets, ==, 3);
}

/* Whatever a guest said: UTF-8 comes out, also where it is cut. */
static void test_text(void)
{
	g_autofree struct stats_page *page = page_new();
	g_autofree char *repeated = g_strnfill(600, 'x'), *wide = NULL;
	GString *euros = g_string_new("x");
	struct stats_state state;

	stats_page_set_state(page, 1, 1,
			     "a\xff\xfe"
			     "b");
	stats_page_get_state(page, &state);
	g_assert_true(g_utf8_validate(state.text, -1, NULL));
	stats_page_set_state(page, 1, 1, repeated);
	stats_page_get_state(page, &state);
	g_assert_cmpuint(strlen(state.text), ==, sizeof(state.text) - 1);
	for (unsigned i = 0; i < 300; i++)
		g_string_append(euros, "\xe2\x82\xac");
	wide = g_string_free(euros, FALSE);
	stats_page_set_state(page, 1, 1, wide);
	stats_page_get_state(page, &state);
	g_assert_true(g_utf8_validate(state.text, -1, NULL));
	g_assert_cmpuint(strlen(state.text), >, 500);
}

/* A writer that was killed in between: readers come back, and the next writer puts it right. */
static void test_killed_writer(void)
{
	g_autofree struct stats_page *page = page_new();
	struct stats_state state;

	stats_page_set_state(page, 3, 1, "x");
	page->seq++;
	stats_page_get_state(page, &state);
	g_assert_cmpuint(state.state, ==, 3);
	stats_page_set_state(page, 5, 3, "y");
	g_assert_cmpuint(page->seq % 2, ==, 0);
	stats_page_get_state(page, &state);
	g_assert_cmpuint(state.state, ==, 5);
}

static void *write_states(void *data)
{
	struct stats_page *page = data;

	for (unsigned i = 1; i <= ROUNDS; i++) {
		g_autofree char *text = g_strdup_printf("%u", i);

		stats_page_set_state(page, i, i, text);
	}
	return NULL;
}

/* What is read belongs together. */
static void test_concurrent(void)
{
	g_autofree struct stats_page *page = page_new();
	GThread *writer = g_thread_new("writer", write_states, page);
	struct stats_state state;

	do {
		stats_page_get_state(page, &state);
		g_assert_cmpuint(state.state, ==, state.reason);
		if (state.state)
			g_assert_cmpuint(g_ascii_strtoull(state.text, NULL, 10), ==, state.state);
	} while (state.state < ROUNDS);
	g_thread_join(writer);
}

/* The page's layout is a contract between processes of different builds. */
static void test_layout(void)
{
	g_assert_cmpuint(G_STRUCT_OFFSET(struct stats_page, seq), ==, 16);
	g_assert_cmpuint(G_STRUCT_OFFSET(struct stats_page, pid), ==, 24);
	g_assert_cmpuint(sizeof(struct stats_state), ==, 536);
	g_assert_cmpuint(sizeof(struct stats_vcpu) % 8, ==, 0);
	g_assert_cmpuint(G_STRUCT_OFFSET(struct stats_page, vcpu) % 8, ==, 0);
	g_assert_cmpuint(sizeof(struct stats_page), <, 65536);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/stats-page/not-a-page", test_not_a_page);
	g_test_add_func("/stats-page/new", test_new);
	g_test_add_func("/stats-page/state", test_state);
	g_test_add_func("/stats-page/text", test_text);
	g_test_add_func("/stats-page/killed-writer", test_killed_writer);
	g_test_add_func("/stats-page/concurrent", test_concurrent);
	g_test_add_func("/stats-page/layout", test_layout);
	return g_test_run();
}
