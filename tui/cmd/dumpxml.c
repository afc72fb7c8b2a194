/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/life.h"
#include "tui/select.h"

static unsigned format_flags(const struct args *args, const struct dom *dom)
{
	unsigned flags = 0;

	if (args_flag(args, "inactive") || dom->id < 0)
		flags |= DOMAIN_INACTIVE;
	if (args_flag(args, "security-info"))
		flags |= DOMAIN_SECRET;
	if (args_flag(args, "migratable"))
		flags |= DOMAIN_MIGRATABLE;
	return flags;
}

/* A model that is the host's would have to become the features it has. */
static bool check_cpu(const struct args *args, const struct domain *domain, GError **err)
{
	if (!args_flag(args, "update-cpu") || !xml_is(domain->root, "cpu/@mode", "host-model"))
		return true;
	return fail(err, LODGE_ERROR_UNSUPPORTED,
		    "--update-cpu: Lodge does not spell out what host-model stands for yet");
}

static bool check_secret(const struct session *session, const struct args *args, GError **err)
{
	return !session->readonly || !args_flag(args, "security-info") ||
	       fail(err, LODGE_ERROR_DENIED, "operation forbidden: read only access prevents dumpxml --security-info");
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = check_secret(session, args, err) ? life_find(session, args, err) : NULL;
	autoptr(domain) domain = NULL;
	g_autofree char *xml = NULL;

	if (dom)
		domain = dom_definition(session->home, dom, dom->id >= 0 && !args_flag(args, "inactive"), err);
	if (!domain || !check_cpu(args, domain, err))
		return false;
	xml = domain_format(domain, format_flags(args, dom));
	return select_print(session, args, xml, err);
}

static const struct arg_row dumpxml_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "inactive", .type = ARG_FLAG, .help = "the stored definition, also while it runs" },
	{ .name = "security-info", .type = ARG_FLAG, .help = "with passwords and other secrets" },
	{ .name = "update-cpu", .type = ARG_FLAG, .help = "spell out what the CPU model stands for on this host" },
	{ .name = "migratable", .type = ARG_FLAG, .help = "without what another host would not understand" },
	SELECT_ARGS,
	ARG_END,
};

const struct command cmd_dumpxml = {
	.name = "dumpxml",
	.group = GROUP_DOMAIN,
	.help = "print the XML of a domain",
	.about = "Prints what the domain runs with, or its definition when it does not run. Passwords are left out "
		 "unless --security-info\n"
		 "asks for them.",
	.args = dumpxml_args,
	.run = run,
};
