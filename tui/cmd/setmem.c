/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>

#include "core/base/error.h"
#include "core/monitor.h"
#include "tui/cmd/life.h"
#include "tui/cmd/scope.h"

struct change {
	const struct home *home;
	uint64_t kib;
};

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	const struct change *change = opaque;

	if (change->kib > domain_max_memory(domain))
		return fail(err, LODGE_ERROR_INPUT, "cannot set memory higher than max memory");
	xml_setf(domain->root, "currentMemory", "%" G_GUINT64_FORMAT, change->kib);
	xml_set(domain->root, "currentMemory/@unit", "KiB");
	return true;
}

static bool set_balloon(const struct dom *dom, const struct domain *domain, void *opaque, GError **err)
{
	const struct change *change = opaque;
	json_t *answer;

	if (xml_is(domain->root, "devices/memballoon/@model", "none"))
		return fail(
			err, LODGE_ERROR_UNSUPPORTED,
			"domain '%s' has no memory balloon: its memory can be changed with --config for the next start",
			dom->name);
	answer = monitor_once(change->home, dom->name, "balloon",
			      json_pack("{s:I}", "value", (json_int_t)(change->kib << 10)), err);
	if (!answer)
		return false;
	json_decref(answer);
	return true;
}

static bool setmem(struct session *session, const struct args *args, GError **err)
{
	struct change change = { 0 };
	struct scope scope;
	autoptr(dom) dom = NULL;
	uint64_t bytes;

	if (!args_uint(args, "kilobytes", &bytes) && !args_uint(args, "size", &bytes))
		return fail(err, LODGE_ERROR_USAGE, "command 'setmem' requires <size> option");
	change.kib = bytes / 1024 + (bytes % 1024 != 0);
	if (!change.kib)
		return fail(err, LODGE_ERROR_INPUT, "memory size has to be greater than 0");
	dom = life_find(session, args, err);
	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	change.home = session->home;
	return scope_change(session, dom, &scope, change_domain, set_balloon, &change, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "size", .type = ARG_DATA_SIZE, .help = "new size; KiB without a unit", .unit = 1024 },
	{ .name = "kilobytes", .type = ARG_SIZE, .flags = ARG_HIDDEN, .help = "the same as size", .unit = 1024 },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_setmem = {
	.name = "setmem",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "change the memory that is left to a domain",
	.about = "A running guest gives memory back to the host, or gets it again, through its balloon. The most "
		 "it can have is changed with setmaxmem.",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE ", size|kilobytes",
	.run = setmem,
};
