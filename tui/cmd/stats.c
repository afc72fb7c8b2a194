/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/counters.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

/* What a people's table has room for; the other formats have every counter. */
static const char *const shown[] = { "exits",	     "io_exits",   "mmio_exits",     "halt_exits",  "irq_injections",
				     "instructions", "tlb_misses", "blocks_decoded", "code_flushes" };
static const char *const titles[] = { "Exits",	      "I/O",	    "MMIO",   "Halts",	"Interrupts",
				      "Instructions", "TLB misses", "Blocks", "Flushes" };

/* Columns: domain, accelerator, vcpu, then a counter each. Owned by the caller with g_free(). */
static struct report_column *make_columns(void)
{
	struct report_column *columns = g_new0(struct report_column, n_counters + 4);

	columns[0] = (struct report_column){ .key = "domain", .title = "Domain" };
	columns[1] = (struct report_column){ .key = "accel", .title = "Accel" };
	columns[2] = (struct report_column){ .key = "vcpu", .title = "VCPU", .right = true };
	for (size_t i = 0; i < n_counters; i++) {
		columns[3 + i] = (struct report_column){
			.key = counters[i].name, .title = counters[i].name, .right = true, .hidden = true
		};
		for (size_t k = 0; k < G_N_ELEMENTS(shown); k++) {
			if (strcmp(shown[k], counters[i].name))
				continue;
			columns[3 + i].title = titles[k];
			columns[3 + i].hidden = false;
		}
	}
	return columns;
}

static void add_vcpus(struct report *report, const struct dom_stats *stats)
{
	g_autofree char *accel = g_strndup(stats->page->accel, sizeof(stats->page->accel));

	for (unsigned v = 0; v < stats->vcpus; v++) {
		report_text(report, stats->dom->name);
		report_text(report, accel);
		report_number(report, v, NULL);
		for (size_t i = 0; i < n_counters; i++)
			report_number(report, counter_read(&counters[i], stats->vcpu[v].counters), NULL);
	}
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	g_autofree struct report_column *columns = make_columns();
	g_autoptr(GPtrArray) doms = NULL;
	autoptr(dom) one = NULL;
	struct report *report;

	if (args_string(args, "domain")) {
		one = life_find(session, args, err);
		if (!one)
			return false;
		if (!one->page)
			return fail(err, LODGE_ERROR_STATE, "domain is not running");
	} else {
		struct home *home = session_home(session, err);

		doms = home ? domains_list(home, DOMAINS_ACTIVE, err) : NULL;
		if (!doms)
			return false;
	}
	report = report_list(session, "vcpus", "vcpu", columns);
	for (unsigned i = 0; i < (one ? 1 : doms->len); i++) {
		const struct dom *dom = one ? one : doms->pdata[i];
		autoptr(dom_stats) stats = dom_stats_new(dom, NULL, 0, NULL);

		if (stats->page)
			add_vcpus(report, stats);
	}
	report_end(report);
	return true;
}

static const struct arg_row args_stats[] = {
	{ .name = "domain",
	  .type = ARG_DATA,
	  .help = "domain name, id or uuid; without it, all that run",
	  .complete = COMPLETE_DOMAIN_ACTIVE },
	ARG_END,
};

const struct command cmd_stats = {
	.name = "stats",
	.group = GROUP_LODGE,
	.flags = COMMAND_LODGE,
	.help = "show what the accelerator counts for each virtual CPU",
	.about =
		"Instructions, TLB misses, blocks and flushes are the software CPU's: blocks is how much guest code it had to decode, flushes\n"
		"how often decoded code was thrown away. JSON, CSV and XML have every counter of kvmstat.",
	.args = args_stats,
	.run = run,
};
