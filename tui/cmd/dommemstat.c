/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "core/base/error.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/cmd/scope.h"
#include "tui/report.h"

/* What domstats says of the balloon, under the names of this command. */
struct output {
	struct session *session;
	struct report *report; /* NULL: a table */
};

static void put(void *opaque, const char *key, uint64_t value)
{
	struct output *output = opaque;
	const char *name = key + strlen("balloon.");

	if (!strcmp(name, "maximum"))
		return;
	if (!strcmp(name, "current"))
		name = "actual";
	else if (!strcmp(name, "last-update"))
		name = "last_update";
	if (output->report)
		report_field_number(output->report, name, name, value, NULL);
	else
		fprintf(output->session->out, "%s %" PRIu64 "\n", name, value);
}

static void put_nothing(void *opaque, const char *key, const char *value)
{
	(void)opaque;
	(void)key;
	(void)value;
}

static bool set_period(struct domain *domain, void *opaque, GError **err)
{
	const uint64_t *period = opaque;
	xmlNode *balloon = xml_find(domain->root, "devices/memballoon");

	if (!balloon || xml_is(balloon, "@model", "none"))
		return fail(err, LODGE_ERROR_STATE, "memory balloon is not enabled for the domain");
	if (*period)
		xml_setf(domain->root, "devices/memballoon/stats/@period", "%" PRIu64, *period);
	else
		xml_set(domain->root, "devices/memballoon/stats", NULL);
	return true;
}

static bool change_period(struct session *session, const struct args *args, const struct dom *dom, uint64_t period,
			  GError **err)
{
	struct scope scope;

	if (period > G_MAXINT)
		return fail(err, LODGE_ERROR_USAGE, "Invalid collection period value '%" PRIu64 "'", period);
	if (!scope_of(args, dom, &scope, err))
		return false;
	if (scope.live)
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "the period of a running domain's memory statistics cannot be changed: use --config");
	return scope_change(session, dom, &scope, set_period, NULL, &period, err);
}

static bool dommemstat(struct session *session, const struct args *args, GError **err)
{
	struct output output = { .session = session };
	const struct stats_sink sink = { put, put_nothing, &output };
	autoptr(dom_stats) stats = NULL;
	autoptr(dom) dom = life_find(session, args, err);
	uint64_t period;

	if (!dom)
		return false;
	if (args_uint(args, "period", &period))
		return change_period(session, args, dom, period, err);
	if (!dom->page)
		return fail(err, LODGE_ERROR_STATE,
			    "Failed to get memory statistics for domain '%s'\ndomain is not running", dom->name);
	stats = dom_stats_read(session->home, dom, dom_stats_want(STATS_GROUP_BALLOON));
	if (session->format != REPORT_TABLE)
		output.report = report_record(session, "memory");
	dom_stats_report(stats, STATS_GROUP_BALLOON, false, &sink);
	if (output.report)
		report_end(output.report);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "period", .type = ARG_UINT, .help = "how often the guest tells, in seconds; 0: never" },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_dommemstat = {
	.name = "dommemstat",
	.group = GROUP_MONITOR,
	.help = "show statistics of a running domain's memory",
	.about =
		"In KiB, as the guest's balloon driver tells: without one only what the host sees, actual (what the guest "
		"was given) and rss (what of it takes host memory).",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = dommemstat,
};
