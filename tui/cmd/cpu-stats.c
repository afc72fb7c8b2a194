/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "core/base/error.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

#define NS_PER_S UINT64_C(1000000000)

static bool run(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom_stats) stats = NULL;
	struct report *report;
	uint64_t ignored;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (!dom->page)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	if (args_uint(args, "start", &ignored) || args_uint(args, "count", &ignored))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "the kernel does not count a VM's time by host CPU here; only --total can be had");
	stats = dom_stats_read(session->home, dom, DOM_STATS_CPU);
	if (!stats->timed)
		return fail(err, LODGE_ERROR_STATE, "the VM process of '%s' is not there any more", dom->name);
	const struct {
		const char *key;
		uint64_t ns;
	} rows[] = { { "cpu_time", stats->cpu_ns },
		     { "user_time", stats->user_ns },
		     { "system_time", stats->system_ns } };

	if (session->format == REPORT_TABLE) {
		fprintf(session->out, "Total:\n");
		for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
			fprintf(session->out, "\t%-12s %9" PRIu64 ".%09" PRIu64 " seconds\n", rows[i].key,
				rows[i].ns / NS_PER_S, rows[i].ns % NS_PER_S);
		return true;
	}
	report = report_record(session, "cpu-stats");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		report_field_number(report, rows[i].key, rows[i].key, rows[i].ns, NULL);
	report_end(report);
	return true;
}

static const struct arg_row args_cpu_stats[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "total", .type = ARG_FLAG, .help = "only the sum over all host CPUs" },
	{ .name = "start", .type = ARG_UINT, .help = "first host CPU to show" },
	{ .name = "count", .type = ARG_UINT, .help = "host CPUs to show at most" },
	ARG_END,
};

const struct command cmd_cpu_stats = {
	.name = "cpu-stats",
	.group = GROUP_DOMAIN,
	.help = "show the host CPU time a running domain has taken",
	.about = "The time of all threads of the VM process. JSON has nanoseconds.",
	.args = args_cpu_stats,
	.run = run,
};
