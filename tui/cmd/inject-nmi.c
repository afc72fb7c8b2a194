/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/monitor.h"
#include "tui/cmd/life.h"

static bool inject_nmi(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	auto_json json_t *answer = NULL;

	if (!dom || !home_writable(session->home, "inject an NMI", err) ||
	    !domain_allows((enum domain_state)dom->state.state, DOMAIN_DO_INJECT, err))
		return false;
	answer = monitor_once(session->home, dom->name, "inject-nmi", NULL, err);
	return answer != NULL;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	ARG_END,
};

const struct command cmd_inject_nmi = {
	.name = "inject-nmi",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "raise a non-maskable interrupt in a running domain",
	.about = "Every vCPU gets it. What happens then is up to the guest: Linux says so in its log, or "
		 "panics where kernel.unknown_nmi_panic is set.",
	.args = args,
	.run = inject_nmi,
};
