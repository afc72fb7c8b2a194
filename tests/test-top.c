/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>
#include <string.h>

#include "tui/top-screen.h"

/*
 * One domain that ran on one of two processors for half of the second between two samples, and an inactive one, which is
 * counted as that alone.
 */
struct fixture {
	struct top_host host;
	struct top_options options;
	struct sample *before, *now;
	struct top_frame frame;
};

static void add(struct sample *sample, const char *name, int id, enum domain_state state, uint64_t cpu_ns,
		uint64_t rd_req)
{
	struct sample_dom *dom = g_new0(struct sample_dom, 1);

	dom->name = g_strdup(name);
	dom->id = id;
	dom->pid = id < 0 ? 0 : 100 + id;
	dom->state = state;
	dom->cpu_ns = cpu_ns;
	dom->memory = 16384;
	dom->n_disks = 1;
	dom->disks = g_new0(struct sample_disk, 1);
	g_strlcpy(dom->disks[0].name, "vda", sizeof(dom->disks[0].name));
	dom->disks[0].rd_req = rd_req;
	g_ptr_array_add(sample->doms, dom);
}

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->host = (struct top_host){
		.name = "host", .arch = "x86_64", .cpus = 2, .online = 2, .mhz = 2000, .memory = 163840
	};
	f->options = (struct top_options){
		.sort = TOP_BY_CPU,
		.csv_cpu = true,
		.csv_mem = true,
		.csv_block = true,
		.csv_net = true,
	};
	f->before = sample_new(0);
	f->now = sample_new(G_USEC_PER_SEC);
	add(f->before, "one", 1, DOMAIN_RUNNING, 1000, 3);
	add(f->now, "one", 1, DOMAIN_RUNNING, 500001000, 10);
	add(f->now, "off", -1, DOMAIN_SHUTOFF, 0, 0);
	f->frame = (struct top_frame){
		.host = &f->host, .options = &f->options, .before = f->before, .now = f->now, .clock = "13:40:19"
	};
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	sample_free(f->before);
	sample_free(f->now);
}

static void test_sort_names(struct fixture *f, gconstpointer data)
{
	enum top_sort sort = TOP_BY_ID;

	(void)f;
	(void)data;
	g_assert_false(top_sort_parse("", &sort));
	g_assert_false(top_sort_parse("beauty", &sort));
	for (unsigned i = 0; i < TOP_N_SORTS; i++) {
		g_assert_true(top_sort_parse(top_sort_name((enum top_sort)i), &sort));
		g_assert_cmpuint(sort, ==, i);
	}
}

static void test_csv(struct fixture *f, gconstpointer data)
{
	g_autofree char *line = top_csv_line(&f->frame);

	(void)data;
	g_assert_cmpstr(line, ==,
			"host,13:40:19,x86_64,2,2,1,0,0,0,0,0,1,1,25.0,163840,16384,16384,500001000,"
			"1,one,500000000,25.0,16777216,10.0,7,0,0,0\n");
}

static void test_csv_columns(struct fixture *f, gconstpointer data)
{
	g_autofree char *all = top_csv_header(&f->options), *none = NULL;

	(void)data;
	g_assert_true(g_str_has_suffix(all, "Domain name,CPU (ns),%CPU,Mem (bytes),%Mem,"
					    "Block RDRQ,Block WRRQ,Net RXBY,Net TXBY\n"));
	f->options = (struct top_options){ 0 };
	none = top_csv_header(&f->options);
	g_assert_true(g_str_has_suffix(none, ",Domain ID,Domain name\n"));
}

static void test_screen_is_bounded(struct fixture *f, gconstpointer data)
{
	g_autofree char *text = top_screen(&f->frame, 40, 6);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	(void)data;
	g_assert_cmpuint(g_strv_length(lines), <=, 7);
	for (unsigned i = 0; lines[i]; i++)
		g_assert_cmpuint(strlen(lines[i]), <=, 40);
}

static void test_every_view(struct fixture *f, gconstpointer data)
{
	(void)data;
	for (unsigned view = 0; view < TOP_N_VIEWS; view++) {
		g_autofree char *text = NULL;

		f->options.view = (enum top_view)view;
		text = top_screen(&f->frame, 200, 0);
		g_assert_nonnull(strstr(text, "13:40:19"));
	}
}

static void test_first_sample(struct fixture *f, gconstpointer data)
{
	g_autofree char *text = NULL;

	(void)data;
	f->frame.before = NULL;
	text = top_stream(&f->frame);
	g_assert_nonnull(strstr(text, " one\n"));
	g_assert_cmpfloat(top_cpu_percent(&f->frame), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/top/sort-names", struct fixture, NULL, set_up, test_sort_names, tear_down);
	g_test_add("/top/csv", struct fixture, NULL, set_up, test_csv, tear_down);
	g_test_add("/top/csv-columns", struct fixture, NULL, set_up, test_csv_columns, tear_down);
	g_test_add("/top/screen-bounded", struct fixture, NULL, set_up, test_screen_is_bounded, tear_down);
	g_test_add("/top/every-view", struct fixture, NULL, set_up, test_every_view, tear_down);
	g_test_add("/top/first-sample", struct fixture, NULL, set_up, test_first_sample, tear_down);
	return g_test_run();
}
