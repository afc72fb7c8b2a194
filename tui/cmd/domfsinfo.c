/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/model/xml.h"
#include "tui/cmd/agent.h"
#include "tui/report.h"

/*
 * The definition's target for a disk as the guest's agent describes it: by its serial number, or when the guest's name
 * for it is the definition's. g_free(); NULL: cannot be told.
 */
static char *disk_target(const struct domain *domain, const json_t *disk)
{
	const char *serial = agent_string(disk, "serial"), *dev = agent_string(disk, "dev");
	g_autofree char *base = dev ? g_path_get_basename(dev) : NULL;

	for (xmlNode *n = xml_first(domain->root, "devices/disk"); n; n = xml_next(n)) {
		g_autofree char *target = xml_get(n, "target/@dev");

		if (!target)
			continue;
		if (serial && *serial && xml_is(n, "serial", serial))
			return g_steal_pointer(&target);
		/* A partition: "vda1" is on "vda". */
		if (base && g_str_has_prefix(base, target) &&
		    !base[strlen(target) + strspn(base + strlen(target), "0123456789")])
			return g_steal_pointer(&target);
	}
	return NULL;
}

static char *targets(const struct domain *domain, const json_t *disks)
{
	GString *text = g_string_new(NULL);
	const json_t *disk;
	size_t i;

	json_array_foreach(disks, i, disk)
	{
		g_autofree char *target = disk_target(domain, disk);

		if (target)
			g_string_append_printf(text, "%s%s", text->len ? "," : "", target);
	}
	return g_string_free(text, FALSE);
}

static const struct report_column columns[] = {
	{ .key = "mountpoint", .title = "Mountpoint" },
	{ .key = "name", .title = "Name" },
	{ .key = "type", .title = "Type" },
	{ .key = "target", .title = "Target" },
	{ .key = NULL },
};

static void show(struct session *session, const struct domain *domain, const json_t *list)
{
	struct report *report = report_list(session, "filesystems", "filesystem", columns);
	const json_t *fs;
	size_t i;

	json_array_foreach(list, i, fs)
	{
		g_autofree char *target = targets(domain, json_object_get(fs, "disk"));

		report_text(report, agent_string(fs, "mountpoint"));
		report_text(report, agent_string(fs, "name"));
		report_text(report, agent_string(fs, "type"));
		report_text(report, *target ? target : NULL);
	}
	report_end(report);
}

static bool domfsinfo(struct session *session, const struct args *args, GError **err)
{
	g_autofree char *name = NULL;
	autoptr(agent) agent = agent_connect(session, args, &name, err);
	autoptr(dom) dom = NULL;
	autoptr(domain) domain = NULL;
	auto_json json_t *list = agent ? agent_execute(agent, "guest-get-fsinfo", NULL, -1, err) : NULL;

	if (!list)
		return false;
	dom = domains_find_name(session->home, name, err);
	domain = dom ? dom_definition(session->home, dom, true, err) : NULL;
	if (!domain)
		return false;
	if (!json_array_size(list) && session->format == REPORT_TABLE)
		session_say(session, "No filesystems are mounted in the domain\n");
	else
		show(session, domain, list);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	ARG_END,
};

const struct command cmd_domfsinfo = {
	.name = "domfsinfo",
	.group = GROUP_MONITOR,
	.help = "file systems the guest has mounted",
	.about = "As the guest's agent tells, with the definition's disk behind each where that can be told.",
	.args = args,
	.run = domfsinfo,
};
