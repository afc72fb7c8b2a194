/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/life.h"
#include "tui/console-session.h"

static bool console(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	unsigned flags = 0;

	if (!dom)
		return false;
	if (dom->id < 0)
		return fail(err, LODGE_ERROR_STATE, "The domain is not running");
	/* A connection without rights to change anything can still look. */
	flags |= args_flag(args, "readonly") || session->readonly ? CONSOLE_SESSION_READONLY : 0;
	flags |= args_flag(args, "force") ? CONSOLE_SESSION_FORCE : 0;
	flags |= args_flag(args, "safe") ? CONSOLE_SESSION_SAFE : 0;
	flags |= args_flag(args, "resume") ? CONSOLE_SESSION_RESUME : 0;
	flags |= args_flag(args, "no-replay") ? CONSOLE_SESSION_NO_REPLAY : 0;
	if (session->readonly && (flags & CONSOLE_SESSION_FORCE))
		return fail(err, LODGE_ERROR_DENIED, "a read-only connection cannot take a console over");
	return console_session(session, dom->name, args_string(args, "devname"), flags, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "devname",
	  .type = ARG_DATA,
	  .help = "alias of a serial port, console or channel; the first console" },
	{ .name = "force", .type = ARG_FLAG, .help = "take the console over from whoever has it" },
	{ .name = "safe", .type = ARG_FLAG, .help = "only when nobody else is attached" },
	{ .name = "resume", .type = ARG_FLAG, .help = "let a paused guest go on once the console is there" },
	{ .name = "readonly", .type = ARG_FLAG, .help = "watch only: any number may" },
	{ .name = "no-replay", .type = ARG_FLAG, .help = "without what the guest has said before" },
	ARG_END,
};

const struct command cmd_console = {
	.name = "console",
	.group = GROUP_DOMAIN,
	.help = "connect to the console of a running domain",
	.about =
		"One session may type, any number may watch. What the guest has said before is shown first (256 KiB of it are kept). "
		"The session stays through a reboot of the guest and ends with the domain.\n\n"
		"Ctrl+] leaves. Directly followed by another key: ? shows the keys, Ctrl+] sends a Ctrl+] to the guest, b sends a "
		"break, Ctrl+Z suspends this program; any other key leaves too.\n\n"
		"Where standard input is no terminal it is passed to the guest, and the command ends with it.",
	.args = args,
	.run = console,
};
