/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/agent.h"
#include "tui/cmd/show.h"
#include "tui/text.h"

static bool domhostname(struct session *session, const struct args *args, GError **err)
{
	const char *source = args_string(args, "source");
	auto_json json_t *answer = NULL;
	g_autofree char *name = NULL;

	if (source && !strcmp(source, "lease"))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "no address leases are known: use --source agent");
	answer = agent_ask(session, args, "guest-get-host-name", NULL, err);
	if (!answer)
		return false;
	if (!agent_string(answer, "host-name"))
		return fail(err, LODGE_ERROR_GUEST, "no hostname found: the guest agent gives none");
	name = text_message(agent_string(answer, "host-name"));
	show_text(session, "hostname", name);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "source",
	  .type = ARG_STRING,
	  .help = "who is asked: agent (the default) or lease",
	  .values = "agent|lease",
	  .complete = COMPLETE_WORDS },
	ARG_END,
};

const struct command cmd_domhostname = {
	.name = "domhostname",
	.group = GROUP_DOMAIN,
	.help = "the guest's host name",
	.about = "As the guest's agent gives it.",
	.args = args,
	.run = domhostname,
};
