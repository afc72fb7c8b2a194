/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/agent.h"
#include "core/base/error.h"
#include "tui/cmd/life.h"
#include "tui/cmd/scope.h"

struct change {
	unsigned count;
	bool maximum;
};

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	const struct change *change = opaque;
	unsigned max = domain_max_vcpus(domain), now = domain_vcpus(domain);

	if (!change->maximum && change->count > max)
		return fail(err, LODGE_ERROR_INPUT, "requested cpu amount exceeds maximum (%u > %u)", change->count,
			    max);
	if (change->maximum) {
		max = change->count;
		now = MIN(now, max);
	} else {
		now = change->count;
	}
	/* A list of single vCPUs says the old numbers. */
	if (xml_find(domain->root, "vcpus"))
		xml_remove(xml_find(domain->root, "vcpus"));
	xml_setf(domain->root, "vcpu", "%u", max);
	if (now < max)
		xml_setf(domain->root, "vcpu/@current", "%u", now);
	else
		xml_set(domain->root, "vcpu/@current", NULL);
	return true;
}

static bool refuse_live(const struct dom *dom, G_GNUC_UNUSED const struct domain *domain, G_GNUC_UNUSED void *opaque,
			GError **err)
{
	return fail(err, LODGE_ERROR_UNSUPPORTED,
		    "domain '%s' runs: vCPUs cannot be added or taken away before its next start; use --config, or "
		    "--guest to turn them off inside",
		    dom->name);
}

static bool set_guest(struct session *session, const struct dom *dom, unsigned count, GError **err)
{
	autoptr(domain) live = NULL;

	if (!home_writable(session->home, "change a domain", err))
		return false;
	if (dom->id < 0)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	live = dom_definition(session->home, dom, true, err);
	if (!live)
		return false;
	if (count > domain_vcpus(live))
		return fail(err, LODGE_ERROR_INPUT,
			    "requested vcpu count is greater than the count of enabled vcpus in the domain: %u > %u",
			    count, domain_vcpus(live));
	return agent_set_vcpus(session->home, dom->name, count, err);
}

static bool setvcpus(struct session *session, const struct args *args, GError **err)
{
	struct change change = { .maximum = args_flag(args, "maximum") };
	struct scope scope;
	autoptr(dom) dom = NULL;
	uint64_t count = 0;

	args_uint(args, "count", &count);
	if (!count || count > UINT16_MAX)
		return fail(err, LODGE_ERROR_INPUT, "can't set %" G_GUINT64_FORMAT " processors for a VM", count);
	change.count = (unsigned)count;
	if (change.maximum && !args_flag(args, "config"))
		return fail(err, LODGE_ERROR_USAGE, "--maximum must be used with --config only");
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	if (args_flag(args, "guest"))
		return set_guest(session, dom, change.count, err);
	return scope_of(args, dom, &scope, err) &&
	       scope_change(session, dom, &scope, change_domain, refuse_live, &change, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "count", .type = ARG_DATA_UINT, .flags = ARG_REQUIRED, .help = "number of virtual CPUs" },
	{ .name = "maximum", .type = ARG_FLAG, .help = "the most there can be, from the next start" },
	SCOPE_ARGS,
	{ .name = "guest", .type = ARG_FLAG, .help = "turn them on or off inside the guest, by its agent" },
	{ .name = "hotpluggable", .type = ARG_FLAG, .help = "let the added ones be taken away again" },
	ARG_END,
};

const struct command cmd_setvcpus = {
	.name = "setvcpus",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "change the number of a domain's virtual CPUs",
	.about = "At most as many as the definition's <vcpu> says; --maximum --config changes that number. "
		 "Virtual CPUs of a running domain are "
		 "turned off and on inside the guest with --guest, which lasts until it reboots.",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE ", guest|config, maximum|live, maximum|guest, maximum|current",
	.run = setvcpus,
};
