/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/host.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

/* virsh's words, by libvirt's numbers. */
static const char *const state_names[] = {
	[DOM_VCPU_OFFLINE] = "offline",
	[DOM_VCPU_RUNNING] = "running",
	[DOM_VCPU_BLOCKED] = "blocked",
};

struct line {
	unsigned number, cpus;
	int cpu;	   /* -1: not running */
	const char *state; /* NULL */
	bool timed;
	uint64_t run_ns;
	struct cpuset affinity;
};

static char *format_affinity(const struct line *line, bool pretty)
{
	g_autofree char *list = NULL;

	if (!pretty)
		return cpuset_mask(&line->affinity, line->cpus);
	list = cpuset_format(&line->affinity);
	return g_strdup_printf("%s (out of %u)", list, line->cpus);
}

static void print_line(FILE *out, const struct line *line, bool pretty)
{
	g_autofree char *affinity = format_affinity(line, pretty);

	fprintf(out, "%-15s %u\n", "VCPU:", line->number);
	if (line->cpu >= 0)
		fprintf(out, "%-15s %d\n", "CPU:", line->cpu);
	else
		fprintf(out, "%-15s %s\n", "CPU:", "N/A");
	fprintf(out, "%-15s %s\n", "State:", line->state ? line->state : "N/A");
	if (line->timed)
		fprintf(out, "%-15s %.1fs\n", "CPU time:", (double)line->run_ns / 1e9);
	else
		fprintf(out, "%-15s %s\n", "CPU time", "N/A");
	fprintf(out, "%-15s %s\n", "CPU Affinity:", affinity);
}

static void report_line(struct report *report, const struct line *line)
{
	g_autofree char *affinity = cpuset_format(&line->affinity);

	report_number(report, line->number, NULL);
	if (line->cpu >= 0)
		report_number(report, (uint64_t)line->cpu, NULL);
	else
		report_absent(report);
	report_text(report, line->state);
	if (line->timed)
		report_number(report, line->run_ns, NULL);
	else
		report_absent(report);
	report_text(report, affinity);
}

/* Where a vCPU of a domain that does not run may go: as the definition pins it. */
static void configured_affinity(const struct domain *definition, unsigned vcpu, const struct cpuset *online,
				struct cpuset *affinity)
{
	g_autofree char *common = definition ? xml_get(definition->root, "vcpu/@cpuset") : NULL;

	*affinity = *online;
	if (common)
		cpuset_parse(affinity, common, NULL);
	for (xmlNode *pin = definition ? xml_first(definition->root, "cputune/vcpupin") : NULL; pin;
	     pin = xml_next(pin)) {
		g_autofree char *list = xml_get(pin, "@cpuset");
		uint64_t number;

		if (list && xml_get_uint(pin, "@vcpu", &number) && number == vcpu)
			cpuset_parse(affinity, list, NULL);
	}
}

static void fill_line(struct line *line, const struct dom_stats *stats, const struct domain *definition,
		      const struct cpuset *online)
{
	const struct dom_vcpu *vcpu = stats->page ? &stats->vcpu[line->number] : NULL;

	line->cpu = -1;
	if (!vcpu) {
		configured_affinity(definition, line->number, online, &line->affinity);
		return;
	}
	line->cpu = vcpu->cpu;
	line->state = state_names[vcpu->state];
	line->timed = vcpu->timed;
	line->run_ns = vcpu->run_ns;
	if (!proc_read_affinity(NULL, stats->dom->pid, vcpu->tid, &line->affinity))
		line->affinity = *online;
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	static const struct report_column columns[] = {
		{ .key = "vcpu", .title = "VCPU" },
		{ .key = "cpu", .title = "CPU" },
		{ .key = "state", .title = "State" },
		{ .key = "time_ns", .title = "CPU time" },
		{ .key = "affinity", .title = "CPU Affinity" },
		{ .key = NULL },
	};
	autoptr(domain) definition = NULL;
	struct report *report = NULL;
	autoptr(dom_stats) stats = NULL;
	struct cpuset online;
	autoptr(dom) dom = life_find(session, args, err);
	unsigned cpus;

	if (!dom)
		return false;
	stats = dom_stats_read(session->home, dom, DOM_STATS_VCPUS | DOM_STATS_DEFINITION);
	if (!stats->page)
		definition = dom_definition(session->home, dom, false, NULL);
	cpus = host_online_cpus(NULL, &online);
	if (session->format != REPORT_TABLE)
		report = report_list(session, "vcpus", "vcpu", columns);
	for (unsigned i = 0; i < stats->vcpus; i++) {
		struct line line = { .number = i, .cpus = cpus };

		fill_line(&line, stats, definition, &online);
		if (report) {
			report_line(report, &line);
			continue;
		}
		fputs(i ? "\n" : "", session->out);
		print_line(session->out, &line, args_flag(args, "pretty"));
	}
	if (report)
		report_end(report);
	return true;
}

static const struct arg_row args_vcpuinfo[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "pretty", .type = ARG_FLAG, .help = "affinity as a list" },
	ARG_END,
};

const struct command cmd_vcpuinfo = {
	.name = "vcpuinfo",
	.group = GROUP_DOMAIN,
	.help = "show where a domain's virtual CPUs run and may run",
	.about = "A virtual CPU is \"blocked\" while it waits in HLT.",
	.args = args_vcpuinfo,
	.run = run,
};
