/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/tune.h"

static bool add_change(GArray *values, const char *text, GError **err)
{
	const char *sign = strchr(text, '=');
	g_autofree char *name = sign ? g_strndup(text, (gsize)(sign - text)) : NULL;
	struct tune_change change = { .param = name ? tune_find(name) : NULL };

	if (!sign)
		return fail(err, LODGE_ERROR_USAGE, "'%s': expected parameter=value", text);
	if (!change.param || strcmp(change.param->group, "schedinfo"))
		return fail(err, LODGE_ERROR_INPUT, "invalid scheduler option: %s", name);
	if (!g_ascii_string_to_signed(sign + 1, 10, INT64_MIN, INT64_MAX, &change.value, NULL))
		return fail(err, LODGE_ERROR_INPUT, "%s: '%s' is not a number", name, sign + 1);
	g_array_append_val(values, change);
	return true;
}

static bool read_changes(const struct args *args, GArray *values, GError **err)
{
	const char *const *rest = args_rest(args);

	if (args_string(args, "weight") || args_string(args, "cap"))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "--weight and --cap are the Xen scheduler's; use cpu_shares and vcpu_quota");
	for (size_t i = 0; rest[i]; i++) {
		if (!add_change(values, rest[i], err))
			return false;
	}
	return true;
}

static bool schedinfo(struct session *session, const struct args *args, GError **err)
{
	g_autoptr(GArray) values = g_array_new(FALSE, FALSE, sizeof(struct tune_change));
	struct tune_changes changes = { values };
	autoptr(report) report = NULL;
	autoptr(domain) domain = NULL;
	struct scope scope;
	autoptr(dom) dom = read_changes(args, values, err) ? life_find(session, args, err) : NULL;

	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	if (values->len && !scope_change(session, dom, &scope, tune_change_domain, tune_apply_live, &changes, err))
		return false;
	domain = scope_definition(session, dom, &scope, err);
	if (!domain)
		return false;
	report = report_record(session, "schedinfo");
	tune_show(session, report, "Scheduler", "posix");
	tune_show_params(session, report, domain, "schedinfo");
	if (session->format != REPORT_TABLE)
		report_end(g_steal_pointer(&report));
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "weight", .type = ARG_STRING, .help = "of Xen's credit scheduler: refused" },
	{ .name = "cap", .type = ARG_STRING, .help = "of Xen's credit scheduler: refused" },
	SCOPE_ARGS,
	{ .name = "set",
	  .type = ARG_REST,
	  .help = "parameter=value: cpu_shares (2 to 262144), vcpu_, emulator_ and global_period (1000 to 1000000 us), "
		  "vcpu_, emulator_ and global_quota (at least 1000 us a period, -1: no limit)" },
	ARG_END,
};

const struct command cmd_schedinfo = {
	.name = "schedinfo",
	.group = GROUP_DOMAIN,
	.help = "show or set how much CPU time a domain gets",
	.about =
		"Done by the host's control groups (cpu): shares count when CPUs are short, a quota is a hard limit a period for each vCPU thread, "
		"for all other threads (emulator) or for all together (global).",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = schedinfo,
};
