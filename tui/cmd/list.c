/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/domains.h"
#include "core/home.h"
#include "core/model/xml.h"
#include "core/store.h"
#include "tui/command.h"
#include "tui/report.h"

/*
 * Filters of one kind are alternatives, those of different kinds must all hold. What of a domain a filter looks at.
 */
enum filter_kind {
	FILTER_PERSISTENCE,
	FILTER_AUTOSTART,
	FILTER_STATE,
	FILTER_SNAPSHOT,
	FILTER_CHECKPOINT,
	FILTER_SAVED,
	N_FILTERS
};

static bool is_persistent(const struct home *home, const struct dom *dom)
{
	(void)home;
	return dom->persistent;
}

static bool is_autostart(const struct home *home, const struct dom *dom)
{
	(void)home;
	return dom->autostart;
}

static bool is_running(const struct home *home, const struct dom *dom)
{
	(void)home;
	return dom->state.state == DOMAIN_RUNNING || dom->state.state == DOMAIN_BLOCKED;
}

static bool is_paused(const struct home *home, const struct dom *dom)
{
	(void)home;
	return dom->state.state == DOMAIN_PAUSED;
}

static bool is_shutoff(const struct home *home, const struct dom *dom)
{
	(void)home;
	return dom->state.state == DOMAIN_SHUTOFF;
}

static bool is_other(const struct home *home, const struct dom *dom)
{
	return !is_running(home, dom) && !is_paused(home, dom) && !is_shutoff(home, dom);
}

/* Nothing makes snapshots, checkpoints or saved states here, so no domain has one. */
static bool has_none(const struct home *home, const struct dom *dom)
{
	(void)home;
	(void)dom;
	return false;
}

static const struct filter {
	const char *option;
	enum filter_kind kind;
	bool want;
	bool (*test)(const struct home *home, const struct dom *dom);
} filters[] = {
	{ "persistent", FILTER_PERSISTENCE, true, is_persistent },
	{ "transient", FILTER_PERSISTENCE, false, is_persistent },
	{ "autostart", FILTER_AUTOSTART, true, is_autostart },
	{ "no-autostart", FILTER_AUTOSTART, false, is_autostart },
	{ "state-running", FILTER_STATE, true, is_running },
	{ "state-paused", FILTER_STATE, true, is_paused },
	{ "state-shutoff", FILTER_STATE, true, is_shutoff },
	{ "state-other", FILTER_STATE, true, is_other },
	{ "with-snapshot", FILTER_SNAPSHOT, true, has_none },
	{ "without-snapshot", FILTER_SNAPSHOT, false, has_none },
	{ "with-checkpoint", FILTER_CHECKPOINT, true, has_none },
	{ "without-checkpoint", FILTER_CHECKPOINT, false, has_none },
	{ "with-managed-save", FILTER_SAVED, true, has_none },
	{ "without-managed-save", FILTER_SAVED, false, has_none },
};

static bool matches(const struct home *home, const struct dom *dom, const struct args *args)
{
	bool asked[N_FILTERS] = { false }, holds[N_FILTERS] = { false };

	for (size_t i = 0; i < G_N_ELEMENTS(filters); i++) {
		if (!args_flag(args, filters[i].option))
			continue;
		asked[filters[i].kind] = true;
		holds[filters[i].kind] |= filters[i].test(home, dom) == filters[i].want;
	}
	for (unsigned kind = 0; kind < N_FILTERS; kind++) {
		if (asked[kind] && !holds[kind])
			return false;
	}
	return true;
}

static unsigned which(const struct args *args)
{
	if (args_flag(args, "all"))
		return DOMAINS_ACTIVE | DOMAINS_INACTIVE;
	return args_flag(args, "inactive") || args_flag(args, "state-shutoff") ? DOMAINS_INACTIVE : DOMAINS_ACTIVE;
}

/* --- script forms --- */

/* "UUID ID NAME" of what was asked for. A definition that went away meanwhile is a line less. */
static void print_line(struct session *session, const struct home *home, const struct dom *dom, const struct args *args)
{
	g_autoptr(GString) line = g_string_new(NULL);
	char uuid[37];

	if (args_flag(args, "uuid")) {
		if (!dom_uuid(home, dom, uuid, NULL))
			return;
		g_string_append(line, uuid);
	}
	if (args_flag(args, "id") && dom->id >= 0)
		g_string_append_printf(line, "%s%d", line->len ? " " : "", dom->id);
	else if (args_flag(args, "id"))
		g_string_append_printf(line, "%s-", line->len ? " " : "");
	if (args_flag(args, "name"))
		g_string_append_printf(line, "%s%s", line->len ? " " : "", dom->name);
	fprintf(session->out, "%s\n", line->str);
}

static bool is_script_form(const struct args *args)
{
	return args_flag(args, "uuid") || args_flag(args, "id") || args_flag(args, "name");
}

/* --- table --- */

static const struct report_column columns[] = {
	{ .key = "id", .title = "Id" },
	{ .key = "name", .title = "Name" },
	{ .key = "state", .title = "State" },
	{ .key = "reason", .title = "Reason", .hidden = true },
	{ .key = "uuid", .title = "UUID", .hidden = true },
	{ .key = "persistent", .title = "Persistent", .hidden = true },
	{ .key = "autostart", .title = "Autostart", .hidden = true },
	{ .key = NULL },
};

static const struct report_column columns_with_title[] = {
	{ .key = "id", .title = "Id" },
	{ .key = "name", .title = "Name" },
	{ .key = "state", .title = "State" },
	{ .key = "title", .title = "Title" },
	{ .key = "reason", .title = "Reason", .hidden = true },
	{ .key = "uuid", .title = "UUID", .hidden = true },
	{ .key = "persistent", .title = "Persistent", .hidden = true },
	{ .key = "autostart", .title = "Autostart", .hidden = true },
	{ .key = NULL },
};

static char *title_of(const struct home *home, const struct dom *dom)
{
	autoptr(domain) domain = dom_definition(home, dom, dom->id >= 0, NULL);
	char *title = domain ? xml_get(domain->root, "title") : NULL;

	return title ? title : g_strdup("");
}

static void add_row(struct report *report, const struct session *session, const struct dom *dom, bool with_title)
{
	/* What a table does not show is not looked for. */
	bool hidden = session->format != REPORT_TABLE;
	char uuid[37];

	if (dom->id >= 0)
		report_number(report, (uint64_t)dom->id, NULL);
	else
		report_absent(report);
	report_text(report, dom->name);
	report_text(report, domain_state_name(dom->state.state));
	if (with_title) {
		g_autofree char *title = title_of(session->home, dom);

		report_text(report, title);
	}
	report_text(report, domain_reason_name(dom->state.state, dom->state.reason));
	report_text(report, hidden && dom_uuid(session->home, dom, uuid, NULL) ? uuid : NULL);
	report_bool(report, dom->persistent, "yes", "no");
	report_bool(report, dom->autostart, "yes", "no");
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	struct home *home = session_home(session, err);
	g_autoptr(GPtrArray) list = home ? domains_list(home, which(args), err) : NULL;
	bool with_title = args_flag(args, "title"), lines = is_script_form(args);
	struct report *report;

	if (!list)
		return false;
	report = report_list(session, "domains", "domain", with_title ? columns_with_title : columns);
	for (unsigned i = 0; i < list->len; i++) {
		if (!matches(home, list->pdata[i], args))
			continue;
		if (lines)
			print_line(session, home, list->pdata[i], args);
		else
			add_row(report, session, list->pdata[i], with_title);
	}
	if (lines)
		report_free(report);
	else
		report_end(report);
	return true;
}

#define FLAG(option, text) \
	{ \
		.name = option, .type = ARG_FLAG, .help = text \
	}

static const struct arg_row list_args[] = {
	FLAG("inactive", "those that do not run"),
	FLAG("all", "those that run and those that do not"),
	FLAG("transient", "those without a stored definition"),
	FLAG("persistent", "those with a stored definition"),
	FLAG("with-snapshot", "those that have a snapshot"),
	FLAG("without-snapshot", "those that have none"),
	FLAG("with-checkpoint", "those that have a checkpoint"),
	FLAG("without-checkpoint", "those that have none"),
	FLAG("state-running", "those in state running"),
	FLAG("state-paused", "those in state paused"),
	FLAG("state-shutoff", "those in state shut off; looks at those that do not run"),
	FLAG("state-other", "those in any other state"),
	FLAG("autostart", "those that start with the host"),
	FLAG("no-autostart", "those that do not"),
	FLAG("with-managed-save", "those with a saved state"),
	FLAG("without-managed-save", "those without one"),
	FLAG("uuid", "UUIDs alone, a line each"),
	FLAG("name", "names alone, a line each"),
	FLAG("id", "ids alone, a line each"),
	FLAG("table", "the table, which is the default"),
	FLAG("managed-save", "show the state \"saved\" for those with a saved state"),
	FLAG("title", "with the titles"),
	ARG_END,
};

const struct command cmd_list = {
	.name = "list",
	.group = GROUP_MONITOR,
	.help = "show the domains and their states",
	.about = "Lists running domains, or those that the options choose. Options of one kind (--persistent and "
		 "--transient) are\n"
		 "alternatives, options of different kinds must all hold.\n"
		 "\n"
		 "--name, --uuid and --id print bare lines for scripts, whatever the format is.",
	.args = list_args,
	.exclusive = "table|name, table|uuid, table|id",
	.run = run,
};
