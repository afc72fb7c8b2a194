/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/life.h"
#include "tui/cmd/show.h"
#include "tui/report.h"
#include "tui/text.h"

/* domid, domname and domuuid: one of a domain's three names into another. */

static bool run_domid(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	struct report *report;

	if (!dom)
		return false;
	if (session->format == REPORT_TABLE && dom->id >= 0) {
		fprintf(session->out, "%d\n", dom->id);
	} else if (session->format == REPORT_TABLE) {
		fputs("-\n", session->out);
	} else {
		report = report_record(session, "domain");
		if (dom->id >= 0)
			report_field_number(report, "id", "Id", (uint64_t)dom->id, NULL);
		else
			report_field(report, "id", "Id", NULL);
		report_end(report);
	}
	return true;
}

/* As virsh: the name itself is not an answer to the question. */
static bool names_itself(const struct home *home, const struct dom *dom, const char *key)
{
	g_autofree char *id = g_strdup_printf("%d", dom->id);
	char uuid[37];

	return strcmp(key, id) && !(dom_uuid(home, dom, uuid, NULL) && !g_ascii_strcasecmp(uuid, key)) &&
	       !strcmp(key, dom->name);
}

static bool run_domname(struct session *session, const struct args *args, GError **err)
{
	const char *key = args_string(args, "domain");
	autoptr(dom) dom = life_find(session, args, err);
	g_autofree char *name = dom ? text_message(dom->name) : NULL;

	if (!dom)
		return false;
	if (names_itself(session->home, dom, key))
		return fail(err, LODGE_ERROR_STATE, "failed to get domain '%s'", key);
	show_text(session, "name", name);
	return true;
}

static bool run_domuuid(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	char uuid[37];

	if (!dom || !dom_uuid(session->home, dom, uuid, err))
		return false;
	show_text(session, "uuid", uuid);
	return true;
}

static const struct arg_row domid_args[] = {
	{ .name = "domain",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "its name or UUID",
	  .complete = COMPLETE_DOMAIN_ACTIVE },
	ARG_END,
};

static const struct arg_row domname_args[] = {
	{ .name = "domain", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "its id or UUID" },
	ARG_END,
};

static const struct arg_row domuuid_args[] = {
	{ .name = "domain",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "its id or name",
	  .complete = COMPLETE_DOMAIN },
	ARG_END,
};

const struct command cmd_domid = {
	.name = "domid",
	.group = GROUP_DOMAIN,
	.help = "show the id of a domain",
	.about = "A domain that does not run has none: \"-\".",
	.args = domid_args,
	.run = run_domid,
};

const struct command cmd_domname = {
	.name = "domname",
	.group = GROUP_DOMAIN,
	.help = "show the name of a domain",
	.args = domname_args,
	.run = run_domname,
};

const struct command cmd_domuuid = {
	.name = "domuuid",
	.group = GROUP_DOMAIN,
	.help = "show the UUID of a domain",
	.args = domuuid_args,
	.run = run_domuuid,
};
