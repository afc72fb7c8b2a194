/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/life.h"
#include "tui/cmd/scope.h"

struct action_change {
	const char *type, *action;
};

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	const struct action_change *change = opaque;
	g_autofree char *path = g_strconcat("on_", change->type, NULL);

	(void)err;
	xml_set(domain->root, path, change->action);
	return true;
}

/* The warden was told at the start what to do. */
static bool refuse_live(const struct dom *dom, const struct domain *domain, void *opaque, GError **err)
{
	(void)dom;
	(void)domain;
	(void)opaque;
	return fail(err, LODGE_ERROR_UNSUPPORTED, "the actions of a running domain cannot be changed; use --config");
}

static bool set_lifecycle_action(struct session *session, const struct args *args, GError **err)
{
	struct action_change change = { args_string(args, "type"), args_string(args, "action") };
	struct scope scope;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom || !scope_of(args, dom, &scope, err) ||
	    !scope_change(session, dom, &scope, change_domain, refuse_live, &change, err))
		return false;
	session_say(session, "Domain '%s': on_%s is now %s\n", dom->name, change.type, change.action);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "type", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "what happens: poweroff, reboot or crash",
	  .complete = COMPLETE_WORDS, .values = "poweroff|reboot|crash" },
	{ .name = "action", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "what is done then",
	  .complete = COMPLETE_WORDS,
	  .values = "destroy|restart|rename-restart|preserve|coredump-destroy|coredump-restart" },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_set_lifecycle_action = {
	.name = "set-lifecycle-action",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "change what is done when the guest powers off, reboots or crashes",
	.about = "The dump actions are for a crash. They count from the next start on.",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = set_lifecycle_action,
};
