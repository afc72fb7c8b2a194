/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/agent.h"

#define NS_PER_S INT64_C(1000000000)

static bool show(struct session *session, const struct args *args, GError **err)
{
	auto_json json_t *answer = agent_ask(session, args, "guest-get-time", NULL, err);
	g_autoptr(GDateTime) time = NULL;
	g_autofree char *text = NULL;
	int64_t seconds;

	if (!answer)
		return false;
	if (!json_is_integer(answer))
		return fail(err, LODGE_ERROR_GUEST, "the guest agent's answer is no time");
	seconds = json_integer_value(answer) / NS_PER_S;
	if (args_flag(args, "pretty")) {
		time = g_date_time_new_from_unix_utc(seconds);
		text = time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : NULL;
	}
	if (text)
		fprintf(session->out, "Time: %s\n", text);
	else
		fprintf(session->out, "Time: %" G_GINT64_FORMAT "\n", seconds);
	return true;
}

/* seconds < 0: the guest reads its hardware clock. */
static bool set(struct session *session, const struct args *args, int64_t ns, GError **err)
{
	auto_json json_t *answer = NULL;
	struct home *home = session_home(session, err);

	if (!home || !home_writable(home, "set a guest's time", err))
		return false;
	answer = agent_ask(session, args, "guest-set-time", ns < 0 ? NULL : json_pack("{s:I}", "time", (json_int_t)ns),
			   err);
	return answer != NULL;
}

static bool domtime(struct session *session, const struct args *args, GError **err)
{
	int64_t seconds;

	if (args_flag(args, "now"))
		return set(session, args, g_get_real_time() * 1000, err);
	if (args_flag(args, "sync"))
		return set(session, args, -1, err);
	if (!args_int(args, "time", &seconds))
		return show(session, args, err);
	if (seconds < 0 || seconds > G_MAXINT64 / NS_PER_S)
		return fail(err, LODGE_ERROR_USAGE, "--time takes seconds since 1970");
	return set(session, args, seconds * NS_PER_S, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "now", .type = ARG_FLAG, .help = "set it to this host's time" },
	{ .name = "pretty", .type = ARG_FLAG, .help = "show date and time (UTC) instead of seconds" },
	{ .name = "sync", .type = ARG_FLAG, .help = "set it to the guest's hardware clock" },
	{ .name = "time", .type = ARG_INT, .help = "set it: seconds since 1970" },
	ARG_END,
};

const struct command cmd_domtime = {
	.name = "domtime",
	.group = GROUP_DOMAIN,
	.help = "show or set the guest's system time",
	.about = "The guest's agent does it. Without an option that sets it the time is shown.",
	.args = args,
	.exclusive = "now|sync|time|pretty",
	.run = domtime,
};
