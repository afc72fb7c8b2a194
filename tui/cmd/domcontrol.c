/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/monitor.h"
#include "tui/cmd/life.h"
#include "tui/cmd/show.h"

/* A VM that answers is all right; there is no state between that and an error. */
static bool run(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	autoptr(monitor) monitor = NULL;
	auto_json json_t *status = NULL;

	if (!dom)
		return false;
	if (dom->id < 0)
		return fail(err, LODGE_ERROR_STATE, "Requested operation is not valid: domain is not running");
	monitor = monitor_open(session->home, dom->name, err);
	status = monitor ? monitor_execute(monitor, "query-status", NULL, err) : NULL;
	if (!status)
		return false;
	show_text(session, "state", "ok");
	return true;
}

static const struct arg_row domcontrol_args[] = { ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE), ARG_END };

const struct command cmd_domcontrol = {
	.name = "domcontrol",
	.group = GROUP_MONITOR,
	.help = "show whether the process of a running domain answers",
	.about = "Asks the VM's process something: \"ok\" when it answers.",
	.args = domcontrol_args,
	.run = run,
};
