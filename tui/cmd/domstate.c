/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/lifecycle.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

static void show_record(struct session *session, const struct dom *dom)
{
	struct report *report = report_record(session, "domain");

	report_field(report, "name", "Name", dom->name);
	report_field(report, "state", "State", domain_state_name(dom->state.state));
	report_field(report, "reason", "Reason", domain_reason_name(dom->state.state, dom->state.reason));
	report_field(report, "text", "Text", dom->state.text[0] ? dom->state.text : NULL);
	report_end(report);
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (session->format != REPORT_TABLE)
		show_record(session, dom);
	else if (args_flag(args, "reason"))
		fprintf(session->out, "%s (%s)\n", domain_state_name(dom->state.state),
			domain_reason_name(dom->state.state, dom->state.reason));
	else
		fprintf(session->out, "%s\n", domain_state_name(dom->state.state));
	return true;
}

static const struct arg_row domstate_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "reason", .type = ARG_FLAG, .help = "with the reason, in parentheses" },
	ARG_END,
};

const struct command cmd_domstate = {
	.name = "domstate",
	.group = GROUP_MONITOR,
	.help = "show the state of a domain",
	.about = "One of running, idle, paused, in shutdown, shut off, crashed and pmsuspended.",
	.args = domstate_args,
	.run = run,
};
