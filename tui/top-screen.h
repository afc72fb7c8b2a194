/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_TOP_SCREEN_H
#define LODGE_TUI_TOP_SCREEN_H

#include <glib.h>
#include <stdbool.h>

#include "core/sample.h"

/*
 * What top shows, as text made from two samples: the same function serves the terminal, batch mode and the tests. Columns, sort keys
 * and CSV fields are virt-top's.
 */
enum top_view { TOP_DOMAINS, TOP_CPUS, TOP_NICS, TOP_DISKS, TOP_N_VIEWS };

enum top_sort {
	TOP_BY_CPU,
	TOP_BY_MEM,
	TOP_BY_TIME,
	TOP_BY_ID,
	TOP_BY_NAME,
	TOP_BY_RX,
	TOP_BY_TX,
	TOP_BY_RD,
	TOP_BY_WR,
	TOP_N_SORTS
};

struct top_options {
	enum top_view view;
	enum top_sort sort;
	bool reverse;
	bool bytes; /* of disks, instead of requests */
	bool csv_cpu, csv_mem, csv_block, csv_net;
};

struct top_host {
	const char *name, *arch;
	unsigned cpus, online, mhz;
	uint64_t memory; /* KiB */
};

struct top_frame {
	const struct top_host *host;
	const struct top_options *options;
	const struct sample *before, *now; /* before: NULL at first */
	const char *clock;		   /* "13:40:19" */
	const double *history;		   /* earlier CPU percentages, newest first */
	unsigned n_history;
};

const char *top_sort_name(enum top_sort sort); /* "cpu", "mem", ... as --sort takes them */
bool top_sort_parse(const char *name, enum top_sort *sort);

/* Lines of at most columns characters, at most rows of them (0: no limit); g_free(). */
char *top_screen(const struct top_frame *frame, unsigned columns, unsigned rows);
/* --stream: a line about the host, titles, a line for each domain. clock has the date too. */
char *top_stream(const struct top_frame *frame);

/* CSV: a header for so many domains, and one line a sample. */
char *top_csv_header(const struct top_options *options);
char *top_csv_line(const struct top_frame *frame);

/* All domains together, per cent of all processors. */
double top_cpu_percent(const struct top_frame *frame);

#endif
