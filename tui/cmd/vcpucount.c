/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>

#include "core/agent.h"
#include "core/base/error.h"
#include "core/base/wire.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

/* The four numbers there are; 0: not there. */
struct counts {
	unsigned max_config, max_live, now_config, now_live;
};

static bool read_counts(struct session *session, const struct dom *dom, struct counts *counts, GError **err)
{
	autoptr(dom_stats) live = NULL;

	if (dom->page) {
		live = dom_stats_read(session->home, dom, DOM_STATS_DEFINITION);
		counts->max_live = live->max_vcpus;
		counts->now_live = live->vcpus;
	}
	if (dom->persistent) {
		autoptr(domain) definition = dom_definition(session->home, dom, false, err);

		if (!definition)
			return false;
		counts->max_config = domain_max_vcpus(definition);
		counts->now_config = domain_vcpus(definition);
	}
	return true;
}

static void show_all(struct session *session, const struct counts *counts)
{
	const struct {
		const char *what, *of, *key;
		unsigned n;
	} rows[] = {
		{ "maximum", "config", "maximum.config", counts->max_config },
		{ "maximum", "live", "maximum.live", counts->max_live },
		{ "current", "config", "current.config", counts->now_config },
		{ "current", "live", "current.live", counts->now_live },
	};
	struct report *report = session->format == REPORT_TABLE ? NULL : report_record(session, "vcpucount");

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (!rows[i].n)
			continue;
		if (report)
			report_field_number(report, rows[i].key, rows[i].key, rows[i].n, NULL);
		else
			fprintf(session->out, "%-12s %-12s %3u\n", rows[i].what, rows[i].of, rows[i].n);
	}
	if (report)
		report_end(report);
}

static bool show_one(struct session *session, const struct args *args, const struct dom *dom,
		     const struct counts *counts, GError **err)
{
	bool live = args_flag(args, "live"), maximum = args_flag(args, "maximum");
	unsigned n;

	if (args_flag(args, "current") || (!live && !args_flag(args, "config")))
		live = dom->page != NULL;
	if (live && !dom->page)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	if (!live && !dom->persistent)
		return fail(err, LODGE_ERROR_STATE, "domain is transient");
	if (live)
		n = maximum ? counts->max_live : counts->now_live;
	else
		n = maximum ? counts->max_config : counts->now_config;
	fprintf(session->out, "%u\n", n);
	return true;
}

static bool show_guest(struct session *session, const struct dom *dom, GError **err)
{
	auto_json json_t *list = NULL;
	json_t *vcpu;
	unsigned online = 0;
	size_t i;

	if (!dom->page)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	list = agent_once(session->home, dom->name, "guest-get-vcpus", NULL, err);
	if (!list)
		return false;
	json_array_foreach(list, i, vcpu) online += json_is_true(json_object_get(vcpu, "online"));
	fprintf(session->out, "%u\n", online);
	return true;
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	static const char *const selectors[] = { "maximum", "active", "live", "config", "current" };
	struct counts counts = { 0 };
	bool selected = false;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (args_flag(args, "guest"))
		return show_guest(session, dom, err);
	for (size_t i = 0; i < G_N_ELEMENTS(selectors); i++)
		selected |= args_flag(args, selectors[i]);
	if (!read_counts(session, dom, &counts, err))
		return false;
	if (selected)
		return show_one(session, args, dom, &counts, err);
	show_all(session, &counts);
	return true;
}

static const struct arg_row args_vcpucount[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "maximum", .type = ARG_FLAG, .help = "how many there can be" },
	{ .name = "active", .type = ARG_FLAG, .help = "how many there are" },
	{ .name = "live", .type = ARG_FLAG, .help = "in the running domain" },
	{ .name = "config", .type = ARG_FLAG, .help = "at the next start" },
	{ .name = "current", .type = ARG_FLAG, .help = "in the running domain if it runs, else at the next start" },
	{ .name = "guest", .type = ARG_FLAG, .help = "on line in the guest, as its agent says" },
	ARG_END,
};

const struct command cmd_vcpucount = {
	.name = "vcpucount",
	.group = GROUP_DOMAIN,
	.help = "show how many virtual CPUs a domain has",
	.args = args_vcpucount,
	.exclusive = "maximum|active|guest, live|config|current",
	.run = run,
};
