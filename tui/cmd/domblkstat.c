/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/base/error.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

#define HUMAN_WIDTH 31 /* virsh's */

static const struct {
	const char *key, *human;
	enum stats_op op;
	enum { REQUESTS, BYTES, TIMES, ERRORS } what; /* ERRORS: of all operations */
} rows[] = {
	{ "rd_req", "number of read operations:", STATS_READ, REQUESTS },
	{ "rd_bytes", "number of bytes read:", STATS_READ, BYTES },
	{ "wr_req", "number of write operations:", STATS_WRITE, REQUESTS },
	{ "wr_bytes", "number of bytes written:", STATS_WRITE, BYTES },
	{ "errs", "error count:", STATS_READ, ERRORS },
	{ "flush_operations", "number of flush operations:", STATS_FLUSH, REQUESTS },
	{ "rd_total_times", "total duration of reads (ns):", STATS_READ, TIMES },
	{ "wr_total_times", "total duration of writes (ns):", STATS_WRITE, TIMES },
	{ "flush_total_times", "total duration of flushes (ns):", STATS_FLUSH, TIMES },
};

static uint64_t value_of(const struct stats_disk *disk, size_t row)
{
	uint64_t errors = 0;

	switch (rows[row].what) {
	case REQUESTS:
		return stats_get(&disk->op[rows[row].op].requests);
	case BYTES:
		return stats_get(&disk->op[rows[row].op].bytes);
	case TIMES:
		return stats_get(&disk->op[rows[row].op].time_ns);
	case ERRORS:
		break;
	}
	for (unsigned op = 0; op < STATS_N_OPS; op++)
		errors += stats_get(&disk->op[op].errors);
	return errors;
}

/* One disk, or the sum of all when there is no name. */
static void show(struct session *session, const char *name, const uint64_t *values, bool human)
{
	struct report *report;

	if (session->format != REPORT_TABLE) {
		report = report_record(session, "block");
		report_field(report, "device", "Device", name);
		for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
			report_field_number(report, rows[i].key, rows[i].key, values[i], NULL);
		report_end(report);
		return;
	}
	if (human)
		fprintf(session->out, "Device: %s\n", name ? name : "");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (human)
			fprintf(session->out, " %-*s %" PRIu64 "\n", HUMAN_WIDTH, rows[i].human, values[i]);
		else
			fprintf(session->out, "%s %s %" PRIu64 "\n", name ? name : "", rows[i].key, values[i]);
	}
}

static bool domblkstat(struct session *session, const struct args *args, GError **err)
{
	const char *device = args_string(args, "device");
	uint64_t values[G_N_ELEMENTS(rows)] = { 0 };
	const struct dom_disk *one = NULL;
	autoptr(dom_stats) stats = NULL;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (!dom->page)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	stats = dom_stats_read(session->home, dom, DOM_STATS_DEFINITION);
	if (device && *device) {
		one = dom_stats_disk(stats, device);
		if (!one)
			return fail(err, LODGE_ERROR_INPUT, "invalid argument: invalid path: %s", device);
		if (!one->counters)
			return fail(err, LODGE_ERROR_STATE, "disk '%s' has no statistics in the running domain",
				    device);
	}
	for (unsigned d = 0; d < stats->disks->len; d++) {
		const struct dom_disk *disk = stats->disks->pdata[d];

		for (size_t i = 0; disk->counters && (!one || one == disk) && i < G_N_ELEMENTS(rows); i++)
			values[i] += value_of(disk->counters, i);
	}
	show(session, one ? one->target : NULL, values, args_flag(args, "human"));
	return true;
}

static const struct arg_row args_domblkstat[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "device",
	  .type = ARG_DATA,
	  .flags = ARG_EMPTY_OK,
	  .help = "target or image path; without it, the sum of all disks",
	  .complete = COMPLETE_DISK },
	{ .name = "human", .type = ARG_FLAG, .help = "in words" },
	ARG_END,
};

const struct command cmd_domblkstat = {
	.name = "domblkstat",
	.group = GROUP_MONITOR,
	.help = "show counters of a running domain's disks",
	.args = args_domblkstat,
	.run = domblkstat,
};

static bool domblkerror(struct session *session, const struct args *args, GError **err)
{
	static const struct report_column columns[] = {
		{ .key = "device", .title = "Device" },
		{ .key = "error", .title = "Error" },
		{ .key = NULL },
	};
	bool table = session->format == REPORT_TABLE, any = false;
	struct report *report = NULL;
	autoptr(dom_stats) stats = NULL;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (!dom->page)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	stats = dom_stats_read(session->home, dom, DOM_STATS_DEFINITION);
	if (!table)
		report = report_list(session, "disks", "disk", columns);
	for (unsigned d = 0; d < stats->disks->len; d++) {
		const struct dom_disk *disk = stats->disks->pdata[d];
		uint64_t errors = 0;

		for (unsigned op = 0; disk->counters && op < STATS_N_OPS; op++)
			errors += stats_get(&disk->counters->op[op].errors);
		if (!errors)
			continue;
		any = true;
		if (table) {
			fprintf(session->out, "%s: unspecified error\n", disk->target);
		} else {
			report_text(report, disk->target);
			report_text(report, "unspecified error");
		}
	}
	if (report)
		report_end(report);
	else if (!any)
		fprintf(session->out, "No errors found\n");
	return true;
}

static const struct arg_row args_domblkerror[] = { ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE), ARG_END };

const struct command cmd_domblkerror = {
	.name = "domblkerror",
	.group = GROUP_MONITOR,
	.help = "show disks of a running domain on which requests failed",
	.args = args_domblkerror,
	.run = domblkerror,
};
