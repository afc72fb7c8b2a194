/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/base/wire.h"
#include "core/monitor.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

/* The only job a VM has is a memory dump. */

#define KIB 1024.0

static void show(struct session *session, struct report *report, const char *key, const char *title, const char *text)
{
	if (session->format == REPORT_TABLE)
		fprintf(session->out, "%-17s %-12s\n", title, text);
	else
		report_field(report, key, title, text);
}

static void show_size(struct session *session, struct report *report, const char *key, const char *title, json_int_t bytes)
{
	g_autofree char *text = g_strdup_printf("%-12.3f KiB", (double)bytes / KIB);

	if (session->format == REPORT_TABLE)
		fprintf(session->out, "%-17s %s\n", title, text);
	else
		report_field_number(report, key, title, (uint64_t)bytes, NULL);
}

static void show_job(struct session *session, struct report *report, const json_t *dump)
{
	const char *status = json_string_value(json_object_get(dump, "status"));
	json_int_t done = json_integer_value(json_object_get(dump, "completed"));
	json_int_t total = json_integer_value(json_object_get(dump, "total"));

	if (g_strcmp0(status, "active")) {
		show(session, report, "type", "Job type:", "None");
		return;
	}
	show(session, report, "type", "Job type:", "Bounded");
	show(session, report, "operation", "Operation:", "Dump");
	show_size(session, report, "data_processed", "Data processed:", done);
	show_size(session, report, "data_remaining", "Data remaining:", total - done);
	show_size(session, report, "data_total", "Data total:", total);
}

static bool domjobinfo(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = NULL;
	auto_json json_t *dump = NULL;
	struct report *report;

	if (args_flag(args, "completed") || args_flag(args, "anystats") || args_flag(args, "rawstats"))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "Lodge keeps no statistics of jobs that have ended");
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (dom->id < 0)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	dump = monitor_once(session->home, dom->name, "query-dump", NULL, err);
	if (!dump)
		return false;
	report = report_record(session, "job");
	show_job(session, report, dump);
	if (session->format == REPORT_TABLE) {
		fputc('\n', session->out);
		report_free(report);
	} else {
		report_end(report);
	}
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "completed", .type = ARG_FLAG, .help = "of the last job that ended: refused, Lodge keeps none" },
	{ .name = "keep-completed", .type = ARG_FLAG, .help = "keep those statistics" },
	{ .name = "anystats", .type = ARG_FLAG, .help = "also of a job that failed: refused" },
	{ .name = "rawstats", .type = ARG_FLAG, .help = "libvirt's raw numbers: refused" },
	ARG_END,
};

const struct command cmd_domjobinfo = {
	.name = "domjobinfo",
	.group = GROUP_DOMAIN,
	.help = "show how far a domain's job is",
	.about = "A memory dump (see dump) is the one kind of job there is.",
	.args = args,
	.run = domjobinfo,
};
