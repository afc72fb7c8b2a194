/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "core/model/xml.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

static char *kib(uint64_t value)
{
	return g_strdup_printf("%" G_GUINT64_FORMAT " KiB", value);
}

static void add_identity(struct report *report, const struct dom *dom, const struct dom_stats *stats,
			 const struct domain *domain)
{
	g_autofree char *os_type = domain ? xml_get(domain->root, "os/type") : NULL;

	if (dom->id >= 0)
		report_field_number(report, "id", "Id", (uint64_t)dom->id, NULL);
	else
		report_field(report, "id", "Id", NULL);
	report_field(report, "name", "Name", dom->name);
	report_field(report, "uuid", "UUID", stats->uuid[0] ? stats->uuid : NULL);
	report_field(report, "os_type", "OS Type", os_type ? os_type : "hvm");
	report_field(report, "state", "State", domain_state_name(dom->state.state));
}

/* Keys are those of domstats where it knows the same. */
static void add_resources(struct report *report, const struct dom_stats *stats)
{
	g_autofree char *max = kib(stats->max_memory), *used = kib(stats->memory);
	g_autofree char *seconds = g_strdup_printf("%.1fs", (double)stats->cpu_ns / 1e9);

	report_field_number(report, "vcpu.current", "CPU(s)", stats->vcpus, NULL);
	if (stats->timed)
		report_field_number(report, "cpu.time", "CPU time", stats->cpu_ns, seconds);
	report_field_number(report, "balloon.maximum", "Max memory", stats->max_memory, max);
	report_field_number(report, "balloon.current", "Used memory", stats->memory, used);
}

static void add_management(struct report *report, const struct dom *dom)
{
	report_field_bool(report, "persistent", "Persistent", dom->persistent, "yes", "no");
	report_field_bool(report, "autostart", "Autostart", dom->autostart, "enable", "disable");
	report_field_bool(report, "managed_save", "Managed save", false, "yes", "no");
	report_field(report, "security_model", "Security model", "none");
	report_field_number(report, "security_doi", "Security DOI", 0, NULL);
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	autoptr(domain) domain = dom ? dom_definition(session->home, dom, dom->id >= 0, err) : NULL;
	autoptr(dom_stats) stats = NULL;
	struct report *report;

	if (!domain)
		return false;
	stats = dom_stats_new(dom, domain, DOM_STATS_CPU | DOM_STATS_DEFINITION, NULL);
	report = report_record(session, "domain");
	add_identity(report, dom, stats, domain);
	add_resources(report, stats);
	add_management(report, dom);
	report_end(report);
	return true;
}

static const struct arg_row dominfo_args[] = { ARG_DOMAIN(COMPLETE_DOMAIN), ARG_END };

const struct command cmd_dominfo = {
	.name = "dominfo",
	.group = GROUP_MONITOR,
	.help = "show the main facts of a domain",
	.about = "CPU time is that of the whole VM process since it started. Used memory is what the balloon leaves "
		 "to the guest.",
	.args = dominfo_args,
	.run = run,
};
