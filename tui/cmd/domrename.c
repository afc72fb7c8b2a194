/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/domain.h"
#include "tui/cmd/life.h"

static bool domrename(struct session *session, const struct args *args, GError **err)
{
	const char *name = args_string(args, "new-name");
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom || !home_writable(session->home, "rename a domain", err))
		return false;
	if (!domain_allows(dom->state.state, DOMAIN_DO_RENAME, err) || !domain_name_check(name, err) ||
	    !domains_rename(session->home, dom->name, name, err))
		return life_failed(err, "rename", dom->name);
	session_say(session, "Domain successfully renamed\n");
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_INACTIVE),
	{ .name = "new-name", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "the new name" },
	ARG_END,
};

const struct command cmd_domrename = {
	.name = "domrename",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "give an inactive domain another name",
	.about = "UUID, disks, autostart and everything else stay.",
	.args = args,
	.run = domrename,
};
