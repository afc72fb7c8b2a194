/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "tui/cmd/agent.h"

static bool set_user_password(struct session *session, const struct args *args, GError **err)
{
	const char *user = args_string(args, "user"), *password = args_string(args, "password");
	g_autofree char *name = NULL, *base64 = g_base64_encode((const guchar *)password, strlen(password));
	autoptr(agent) agent = agent_connect(session, args, &name, err);
	auto_json json_t *answer = NULL;

	if (!agent)
		return false;
	answer = agent_execute(agent, "guest-set-user-password",
			       json_pack("{s:s, s:s, s:b}", "username", user, "password", base64, "crypted",
					 args_flag(args, "encrypted")),
			       -1, err);
	if (!answer)
		return false;
	session_say(session, "Password set successfully for %s in %s\n", user, name);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "user", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "the account's name" },
	{ .name = "password", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "the new password" },
	{ .name = "encrypted", .type = ARG_FLAG, .help = "it is encrypted already, as crypt(3) does it" },
	ARG_END,
};

const struct command cmd_set_user_password = {
	.name = "set-user-password",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "set the password of an account in the guest",
	.about = "The guest's agent does it.",
	.args = args,
	.run = set_user_password,
};
