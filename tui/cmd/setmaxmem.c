/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tui/cmd/life.h"
#include "tui/cmd/scope.h"

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	const uint64_t *kib = opaque;

	if (xml_find(domain->root, "cpu/numa/cell"))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "the memory of a domain with NUMA cells is their sum: change <cell memory=...> with edit");
	xml_setf(domain->root, "memory", "%" G_GUINT64_FORMAT, *kib);
	xml_set(domain->root, "memory/@unit", "KiB");
	if (domain_memory(domain) > *kib)
		xml_setf(domain->root, "currentMemory", "%" G_GUINT64_FORMAT, *kib);
	return true;
}

static bool setmaxmem(struct session *session, const struct args *args, GError **err)
{
	struct scope scope;
	autoptr(dom) dom = NULL;
	uint64_t bytes, kib;

	if (!args_uint(args, "kilobytes", &bytes) && !args_uint(args, "size", &bytes))
		return fail(err, LODGE_ERROR_USAGE, "command 'setmaxmem' requires <size> option");
	kib = bytes / 1024 + (bytes % 1024 != 0);
	if (!kib)
		return fail(err, LODGE_ERROR_INPUT, "memory size has to be greater than 0");
	dom = life_find(session, args, err);
	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	if (scope.live)
		return fail(err, LODGE_ERROR_STATE,
			    "cannot resize the maximum memory on an active domain: use --config");
	return scope_change(session, dom, &scope, change_domain, NULL, &kib, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "size", .type = ARG_DATA_SIZE, .help = "new size; KiB without a unit", .unit = 1024 },
	{ .name = "kilobytes", .type = ARG_SIZE, .flags = ARG_HIDDEN, .help = "the same as size", .unit = 1024 },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_setmaxmem = {
	.name = "setmaxmem",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "change the most memory a domain can have",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE ", size|kilobytes",
	.run = setmaxmem,
};
