/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/model/cpuset.h"
#include "tui/cmd/tune.h"

struct numa_change {
	const char *mode, *nodes; /* NULL: as it is */
};

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	const struct numa_change *change = opaque;
	struct cpuset set;

	if (change->nodes && !cpuset_parse(&set, change->nodes, err))
		return false;
	if (change->mode)
		xml_set(domain->root, "numatune/memory/@mode", change->mode);
	if (change->nodes)
		xml_set(domain->root, "numatune/memory/@nodeset", change->nodes);
	return true;
}

/* The memory a process already has does not move by its policy. */
static bool refuse_live(const struct dom *dom, const struct domain *domain, void *opaque, GError **err)
{
	(void)dom;
	(void)domain;
	(void)opaque;
	return fail(err, LODGE_ERROR_UNSUPPORTED,
		    "the NUMA policy of a running domain cannot be changed; use --config");
}

static bool show(struct session *session, const struct dom *dom, const struct scope *scope, GError **err)
{
	autoptr(domain) domain = scope_definition(session, dom, scope, err);
	g_autofree char *mode = domain ? xml_get(domain->root, "numatune/memory/@mode") : NULL;
	g_autofree char *nodes = domain ? xml_get(domain->root, "numatune/memory/@nodeset") : NULL;
	autoptr(report) report = NULL;

	if (!domain)
		return false;
	report = report_record(session, "numatune");
	tune_show(session, report, "numa_mode", mode ? mode : "strict");
	tune_show(session, report, "numa_nodeset", nodes ? nodes : "");
	if (session->format != REPORT_TABLE)
		report_end(g_steal_pointer(&report));
	return true;
}

/* virsh also takes the number of libvirt's enumeration. */
static const char *mode_name(const char *text)
{
	static const char *const names[] = { "strict", "preferred", "interleave", "restrictive" };

	for (size_t i = 0; text && i < G_N_ELEMENTS(names); i++) {
		if (text[0] == (char)('0' + i) && !text[1])
			return names[i];
		if (!strcmp(text, names[i]))
			return names[i];
	}
	return NULL;
}

static bool numatune(struct session *session, const struct args *args, GError **err)
{
	const char *mode = args_string(args, "mode");
	struct numa_change change = { .mode = mode_name(mode), .nodes = args_string(args, "nodeset") };
	struct scope scope;
	autoptr(dom) dom = NULL;

	if (mode && !change.mode)
		return fail(err, LODGE_ERROR_USAGE,
			    "Invalid mode: %s; allowed: strict, preferred, interleave, restrictive", mode);
	dom = life_find(session, args, err);
	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	if (!change.mode && !change.nodes)
		return show(session, dom, &scope, err);
	return scope_change(session, dom, &scope, change_domain, refuse_live, &change, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "mode", .type = ARG_STRING, .help = "strict, preferred, interleave or restrictive" },
	{ .name = "nodeset", .type = ARG_STRING, .help = "host NUMA nodes: 0,2-3,^1" },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_numatune = {
	.name = "numatune",
	.group = GROUP_DOMAIN,
	.help = "show or set which host nodes a domain's memory comes from",
	.about = "Counts from the next start on: memory that a running VM has stays where it is.",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = numatune,
};
