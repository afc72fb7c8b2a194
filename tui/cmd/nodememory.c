/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nodememstats, freecell, freepages, allocpages, node-memory-tune: the host's memory. */
#include <inttypes.h>
#include <string.h>

#include "core/base/error.h"
#include "core/host.h"
#include "tui/command.h"
#include "tui/report.h"

/* --NAME as the number of a NUMA cell; -1: not given. */
static bool cell_option(const struct args *args, const char *name, int *cell, GError **err)
{
	uint64_t value;

	*cell = -1;
	if (!args_uint(args, name, &value))
		return true;
	if (value > G_MAXINT)
		return fail(err, LODGE_ERROR_INPUT, "invalid argument: there is no NUMA cell %" PRIu64, value);
	*cell = (int)value;
	return true;
}

static bool nodememstats(struct session *session, const struct args *args, GError **err)
{
	struct host_memory memory;
	struct report *report;
	int cell;

	if (!cell_option(args, "cell", &cell, err) || !host_memory_read(NULL, cell, &memory, err))
		return false;
	const struct {
		const char *key;
		uint64_t kib;
		bool of_cell;
	} rows[] = {
		{ "total", memory.total, true },
		{ "free", memory.free, true },
		{ "buffers", memory.buffers, false },
		{ "cached", memory.cached, false },
	};

	report = session->format == REPORT_TABLE ? NULL : report_record(session, "memstats");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (cell >= 0 && !rows[i].of_cell)
			continue;
		if (report)
			report_field_number(report, rows[i].key, rows[i].key, rows[i].kib, NULL);
		else
			fprintf(session->out, "%-7s: %20" PRIu64 " KiB\n", rows[i].key, rows[i].kib);
	}
	if (report)
		report_end(report);
	return true;
}

static const struct arg_row args_nodememstats[] = {
	{ .name = "cell", .type = ARG_DATA_UINT, .help = "only this NUMA cell" },
	ARG_END,
};

const struct command cmd_nodememstats = {
	.name = "nodememstats",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show how the host's memory is used",
	.args = args_nodememstats,
	.run = nodememstats,
};

static void freecell_all(struct session *session)
{
	static const struct report_column columns[] = {
		{ .key = "cell", .title = "Cell" },
		{ .key = "free_kib", .title = "Free" },
		{ .key = NULL },
	};
	autoptr(host) host = host_read(NULL);
	struct report *report = session->format == REPORT_TABLE ? NULL : report_list(session, "cells", "cell", columns);
	uint64_t total = 0;

	for (unsigned i = 0; i < host->cells->len; i++) {
		const struct host_cell *cell = host->cells->pdata[i];

		total += cell->free;
		if (report) {
			report_number(report, cell->id, NULL);
			report_number(report, cell->free, NULL);
		} else {
			fprintf(session->out, "%5u: %10" PRIu64 " KiB\n", cell->id, cell->free);
		}
	}
	if (report)
		report_end(report);
	else
		fprintf(session->out, "--------------------\n%5s: %10" PRIu64 " KiB\n", "Total", total);
}

static bool freecell(struct session *session, const struct args *args, GError **err)
{
	struct host_memory memory;
	struct report *report;
	int cell;

	if (!cell_option(args, "cellno", &cell, err))
		return false;
	if (args_flag(args, "all")) {
		freecell_all(session);
		return true;
	}
	if (!host_memory_read(NULL, cell, &memory, err))
		return false;
	if (session->format != REPORT_TABLE) {
		report = report_record(session, "cell");
		report_field_number(report, "free_kib", "Free", memory.free, NULL);
		report_end(report);
	} else if (cell >= 0) {
		fprintf(session->out, "%d: %" PRIu64 " KiB\n", cell, memory.free);
	} else {
		fprintf(session->out, "Total: %" PRIu64 " KiB\n", memory.free);
	}
	return true;
}

static const struct arg_row args_freecell[] = {
	{ .name = "cellno", .type = ARG_DATA_UINT, .help = "only this NUMA cell" },
	{ .name = "all", .type = ARG_FLAG, .help = "each NUMA cell and the sum" },
	ARG_END,
};

const struct command cmd_freecell = {
	.name = "freecell",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show the free memory of the host or its NUMA cells",
	.args = args_freecell,
	.exclusive = "cellno|all",
	.run = freecell,
};

static const struct report_column page_columns[] = {
	{ .key = "cell", .title = "Cell" },
	{ .key = "size_kib", .title = "Size" },
	{ .key = "free", .title = "Free" },
	{ .key = "total", .title = "Total" },
	{ .key = NULL },
};

/* size 0: every size. Returns how many there were. */
static unsigned show_pages(struct session *session, struct report *report, const struct host_cell *cell, uint64_t size)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cell->pages->len; i++) {
		const struct host_pages *pages = &g_array_index(cell->pages, struct host_pages, i);

		if (size && pages->size != size)
			continue;
		n++;
		if (report) {
			report_number(report, cell->id, NULL);
			report_number(report, pages->size, NULL);
			report_number(report, pages->free, NULL);
			report_number(report, pages->total, NULL);
		} else {
			fprintf(session->out, "%" PRIu64 "KiB: %" PRIu64 "\n", pages->size, pages->free);
		}
	}
	return n;
}

static bool freepages(struct session *session, const struct args *args, GError **err)
{
	bool all = args_flag(args, "all"), table = session->format == REPORT_TABLE;
	autoptr(host) host = NULL;
	struct report *report;
	uint64_t size = 0;
	unsigned found = 0, cells = 0;
	int only;

	if (!cell_option(args, "cellno", &only, err))
		return false;
	if (!all && only < 0)
		return fail(err, LODGE_ERROR_USAGE, "missing cellno argument");
	args_uint(args, "pagesize", &size);
	size /= 1024;
	host = host_read(NULL);
	report = table ? NULL : report_list(session, "pages", "page", page_columns);
	for (unsigned i = 0; i < host->cells->len; i++) {
		const struct host_cell *cell = host->cells->pdata[i];

		if (!all && cell->id != (unsigned)only)
			continue;
		cells++;
		if (all && table)
			fprintf(session->out, "%sNode %u:\n", cells > 1 ? "\n" : "", cell->id);
		found += show_pages(session, report, cell, size);
	}
	if (report)
		report_end(report);
	if (!cells)
		return fail(err, LODGE_ERROR_INPUT, "invalid argument: there is no NUMA cell %d", only);
	return found ||
	       fail(err, LODGE_ERROR_INPUT, "invalid argument: this host has no pages of %" PRIu64 " KiB", size);
}

static const struct arg_row args_freepages[] = {
	{ .name = "cellno", .type = ARG_DATA_UINT, .help = "NUMA cell" },
	{ .name = "pagesize", .type = ARG_DATA_SIZE, .help = "only this page size, in KiB", .unit = 1024 },
	{ .name = "all", .type = ARG_FLAG, .help = "every NUMA cell" },
	ARG_END,
};

const struct command cmd_freepages = {
	.name = "freepages",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show how many pages of each size are free",
	.args = args_freepages,
	.exclusive = "cellno|all",
	.run = freepages,
};

static bool allocpages(struct session *session, const struct args *args, GError **err)
{
	autoptr(host) host = NULL;
	uint64_t size = 0, count = 0, got = 0;
	int cell;

	if (!cell_option(args, "cellno", &cell, err))
		return false;
	args_uint(args, "pagesize", &size);
	args_uint(args, "pagecount", &count);
	size /= 1024;
	host = host_read(NULL);
	for (unsigned i = 0; args_flag(args, "all") && i < host->cells->len; i++) {
		const struct host_cell *one = host->cells->pdata[i];

		if (!host_pages_set(NULL, host->cells->len > 1 ? (int)one->id : -1, size, count, args_flag(args, "add"),
				    &got, err))
			return false;
	}
	if (!args_flag(args, "all") && !host_pages_set(NULL, cell, size, count, args_flag(args, "add"), &got, err))
		return false;
	if (got < count)
		return fail(err, LODGE_ERROR_SYSTEM, "the kernel found memory for %" PRIu64 " of %" PRIu64 " pages",
			    got, count);
	session_say(session, "%" PRIu64 " pages of %" PRIu64 " KiB\n", got, size);
	return true;
}

static const struct arg_row args_allocpages[] = {
	{ .name = "pagesize", .type = ARG_DATA_SIZE, .flags = ARG_REQUIRED, .help = "page size, in KiB", .unit = 1024 },
	{ .name = "pagecount", .type = ARG_DATA_UINT, .flags = ARG_REQUIRED, .help = "how many pages" },
	{ .name = "cellno", .type = ARG_DATA_UINT, .help = "NUMA cell; without it, the host" },
	{ .name = "add", .type = ARG_FLAG, .help = "so many more, instead of so many" },
	{ .name = "all", .type = ARG_FLAG, .help = "in each NUMA cell" },
	ARG_END,
};

const struct command cmd_allocpages = {
	.name = "allocpages",
	.group = GROUP_HOST,
	.flags = COMMAND_CHANGES | COMMAND_NO_CONNECT,
	.help = "set the size of a pool of huge pages",
	.args = args_allocpages,
	.exclusive = "cellno|all",
	.run = allocpages,
};

/* "shm_pages_to_scan" is --shm-pages-to-scan. */
static char *option_name(const char *row)
{
	return g_strdelimit(g_strdup(row), "_", '-');
}

static bool ksm_set(const struct session *session, const struct args *args, bool *changed, GError **err)
{
	*changed = false;
	for (size_t i = 0; i < host_n_ksm_rows; i++) {
		g_autofree char *option = option_name(host_ksm_rows[i].name);
		uint64_t value;

		if (!host_ksm_rows[i].settable || !args_uint(args, option, &value))
			continue;
		if (session->readonly)
			return fail(err, LODGE_ERROR_DENIED,
				    "operation forbidden: read only access prevents node-memory-tune --%s", option);
		if (!host_ksm_write(NULL, i, value, err))
			return false;
		*changed = true;
	}
	return true;
}

static bool node_memory_tune(struct session *session, const struct args *args, GError **err)
{
	struct report *report;
	uint64_t value;
	bool changed, any = false;

	if (!ksm_set(session, args, &changed, err))
		return false;
	if (changed)
		return true;
	if (!host_ksm_read(NULL, 0, &value, err))
		return false;
	report = session->format == REPORT_TABLE ? NULL : report_record(session, "memory");
	for (size_t i = 0; i < host_n_ksm_rows; i++) {
		/* Without NUMA the kernel has no merge_across_nodes. */
		if (!host_ksm_read(NULL, i, &value, NULL))
			continue;
		if (report)
			report_field_number(report, host_ksm_rows[i].name, host_ksm_rows[i].name, value, NULL);
		else
			fprintf(session->out, "%s\t%-15s %" PRIu64 "\n", any ? "" : "Shared memory:\n",
				host_ksm_rows[i].name, value);
		any = true;
	}
	if (report)
		report_end(report);
	return true;
}

static const struct arg_row args_node_memory_tune[] = {
	{ .name = "shm-pages-to-scan",
	  .type = ARG_DATA_UINT,
	  .help = "pages to look at before the merging thread sleeps" },
	{ .name = "shm-sleep-millisecs", .type = ARG_DATA_UINT, .help = "how long it sleeps" },
	{ .name = "shm-merge-across-nodes",
	  .type = ARG_DATA_UINT,
	  .help = "1: also merge pages of different NUMA cells" },
	ARG_END,
};

const struct command cmd_node_memory_tune = {
	.name = "node-memory-tune",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show or set how the kernel merges equal pages (KSM)",
	.args = args_node_memory_tune,
	.run = node_memory_tune,
};
