/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/agent.h"

static json_t *mountpoints(const struct args *args)
{
	const char *const *rest = args_rest(args);
	json_t *list = rest[0] ? json_array() : NULL;

	for (size_t i = 0; rest[i]; i++)
		json_array_append_new(list, json_string(rest[i]));
	return list ? json_pack("{s:o}", "mountpoints", list) : NULL;
}

static bool domfsfreeze(struct session *session, const struct args *args, GError **err)
{
	json_t *which = mountpoints(args);
	auto_json json_t *answer =
		agent_ask(session, args, which ? "guest-fsfreeze-freeze-list" : "guest-fsfreeze-freeze", which, err);

	if (answer)
		session_say(session, "Froze %" JSON_INTEGER_FORMAT " filesystem(s)\n", json_integer_value(answer));
	return answer != NULL;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "mountpoint", .type = ARG_REST, .help = "only these, as the guest names them" },
	ARG_END,
};

const struct command cmd_domfsfreeze = {
	.name = "domfsfreeze",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "write out and stop the guest's file systems",
	.about = "The guest's agent does it, for a consistent copy of the disks. They stand still until domfsthaw.",
	.args = args,
	.run = domfsfreeze,
};
