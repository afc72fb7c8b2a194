/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>
#include <string.h>

#include "core/stats.h"

/* A page no VM process wrote: what is wrong in it must not lead outside of it. */
struct fixture {
	struct stats_page *page;
	struct dom dom;
	GHashTable *values; /* key: number as text, or text */
};

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->page = g_new0(struct stats_page, 1);
	stats_page_init(f->page);
	f->page->n_vcpus = 1;
	f->page->max_memory = 16 << 20;
	f->dom.name = g_strdup("one");
	f->dom.id = 1;
	f->dom.page = f->page;
	f->dom.state.state = DOMAIN_RUNNING;
	f->values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_hash_table_unref(f->values);
	g_free(f->dom.name);
	g_free(f->page);
}

static void keep_number(void *opaque, const char *key, uint64_t value)
{
	g_assert_true(g_hash_table_insert(opaque, g_strdup(key), g_strdup_printf("%" G_GUINT64_FORMAT, value)));
}

static void keep_text(void *opaque, const char *key, const char *value)
{
	g_assert_true(g_hash_table_insert(opaque, g_strdup(key), g_strdup(value)));
}

static void report(struct fixture *f, unsigned groups)
{
	const struct stats_sink sink = { keep_number, keep_text, f->values };
	autoptr(dom_stats) stats = dom_stats_new(&f->dom, NULL, dom_stats_want(groups) & ~DOM_STATS_DEFINITION, NULL);

	dom_stats_report(stats, groups, false, &sink);
}

static const char *value(const struct fixture *f, const char *key)
{
	return g_hash_table_lookup(f->values, key);
}

static void test_counts_too_large(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->page->n_vcpus = f->page->n_disks = f->page->n_nics = UINT32_MAX;
	memset(f->page->disk[0].name, 'x', sizeof(f->page->disk[0].name));
	memset(f->page->nic[0].name, 'y', sizeof(f->page->nic[0].name));
	report(f, STATS_GROUP_VCPU | STATS_GROUP_BLOCK | STATS_GROUP_INTERFACE);
	g_assert_cmpstr(value(f, "vcpu.current"), ==, "64");
	g_assert_cmpstr(value(f, "block.count"), ==, "32");
	g_assert_cmpstr(value(f, "net.count"), ==, "16");
	g_assert_cmpuint(strlen(value(f, "block.0.name")), ==, 32);
	g_assert_cmpuint(strlen(value(f, "net.0.name")), ==, 32);
}

static void test_balloon(struct fixture *f, gconstpointer data)
{
	(void)data;
	memset(&f->page->balloon, 0xff, sizeof(f->page->balloon));
	f->page->balloon.actual = 8192;
	f->page->balloon.unused = 100;
	report(f, STATS_GROUP_BALLOON);
	g_assert_cmpstr(value(f, "balloon.current"), ==, "8192");
	g_assert_cmpstr(value(f, "balloon.maximum"), ==, "16384");
	g_assert_cmpstr(value(f, "balloon.unused"), ==, "100");
	g_assert_null(value(f, "balloon.swap_in"));
}

static void test_groups_without_data(struct fixture *f, gconstpointer data)
{
	(void)data;
	report(f, STATS_GROUPS_NONE);
	g_assert_cmpuint(g_hash_table_size(f->values), ==, 0);
}

static void test_idle(struct fixture *f, gconstpointer data)
{
	autoptr(dom_stats) stats = NULL;

	(void)data;
	f->page->vcpu[0].halted = 1;
	stats = dom_stats_new(&f->dom, NULL, 0, NULL);
	g_assert_cmpint(dom_stats_state(stats), ==, DOMAIN_BLOCKED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/stats/counts-too-large", struct fixture, NULL, set_up, test_counts_too_large, tear_down);
	g_test_add("/stats/balloon", struct fixture, NULL, set_up, test_balloon, tear_down);
	g_test_add("/stats/groups-without-data", struct fixture, NULL, set_up, test_groups_without_data, tear_down);
	g_test_add("/stats/idle", struct fixture, NULL, set_up, test_idle, tear_down);
	return g_test_run();
}
