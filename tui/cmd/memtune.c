/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/model/vm-config.h"
#include "tui/cmd/tune.h"

#define KIB UINT64_C(1024)

static const struct {
	const char *option, *param;
} limits[] = {
	{ "hard-limit", "hard_limit" },
	{ "soft-limit", "soft_limit" },
	{ "swap-hard-limit", "swap_hard_limit" },
	{ "min-guarantee", "min_guarantee" },
};

/* "-1" is no limit; a bare number is KiB. */
static bool read_change(const char *option, const char *text, struct tune_change *change, GError **err)
{
	uint64_t bytes;

	if (!strcmp(text, "-1")) {
		change->value = -1;
		return true;
	}
	if (!parse_size(text, KIB, &bytes, err)) {
		g_prefix_error(err, "--%s: ", option);
		return false;
	}
	change->value = (int64_t)(bytes / KIB);
	return true;
}

static bool read_changes(const struct args *args, GArray *values, GError **err)
{
	for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
		const char *text = args_string(args, limits[i].option);
		struct tune_change change = { .param = tune_find(limits[i].param) };

		if (!text)
			continue;
		if (!strcmp(limits[i].option, "min-guarantee"))
			return fail(err, LODGE_ERROR_UNSUPPORTED,
				    "min_guarantee: the host's kernel has no such guarantee; use soft_limit");
		if (!read_change(limits[i].option, text, &change, err))
			return false;
		g_array_append_val(values, change);
	}
	return true;
}

static bool memtune(struct session *session, const struct args *args, GError **err)
{
	g_autoptr(GArray) values = g_array_new(FALSE, FALSE, sizeof(struct tune_change));
	struct tune_changes changes = { values };
	autoptr(report) report = NULL;
	autoptr(domain) domain = NULL;
	struct scope scope;
	autoptr(dom) dom = read_changes(args, values, err) ? life_find(session, args, err) : NULL;

	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	if (values->len)
		return scope_change(session, dom, &scope, tune_change_domain, tune_apply_live, &changes, err);
	domain = scope_definition(session, dom, &scope, err);
	if (!domain)
		return false;
	report = report_record(session, "memtune");
	tune_show_params(session, report, domain, "memtune");
	if (session->format != REPORT_TABLE)
		report_end(g_steal_pointer(&report));
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "hard-limit",
	  .type = ARG_STRING,
	  .help = "most memory the VM process may use (KiB without a unit; -1: no limit)" },
	{ .name = "soft-limit", .type = ARG_STRING, .help = "the limit when the host is short of memory" },
	{ .name = "swap-hard-limit", .type = ARG_STRING, .help = "most memory and swap together" },
	{ .name = "min-guarantee", .type = ARG_STRING, .help = "a guarantee that Linux does not have: refused" },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_memtune = {
	.name = "memtune",
	.group = GROUP_DOMAIN,
	.help = "show or set limits for a domain's memory",
	.about =
		"Done by the host's control groups (memory). The limits count for the whole VM process: guest RAM and what the VMM needs beside it. "
		"One that is too low ends the VM.",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = memtune,
};
