/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/model/xml.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

/* domblklist, domiflist and domif-getlink: what a definition says about disks and interfaces. */

/* The first of these that an element has; NULL: none. */
static char *get_first(xmlNode *node, const char *const *paths)
{
	for (; *paths; paths++) {
		char *value = xml_get(node, *paths);

		if (value)
			return value;
	}
	return NULL;
}

static struct domain *read_definition(struct session *session, const struct args *args, const char *stored_option,
				      GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return NULL;
	return dom_definition(session->home, dom, dom->id >= 0 && !args_flag(args, stored_option), err);
}

/* --- disks --- */

static const struct report_column disk_columns[] = {
	{ .key = "target", .title = "Target" },
	{ .key = "source", .title = "Source" },
	{ .key = "type", .title = "Type", .hidden = true },
	{ .key = "device", .title = "Device", .hidden = true },
	{ .key = NULL },
};

static const struct report_column disk_columns_details[] = {
	{ .key = "type", .title = "Type" },
	{ .key = "device", .title = "Device" },
	{ .key = "target", .title = "Target" },
	{ .key = "source", .title = "Source" },
	{ .key = NULL },
};

static const char *const disk_sources[] = { "source/@file",   "source/@dev",  "source/@dir", "source/@name",
					    "source/@volume", "source/@path", NULL };

static void add_disk(struct report *report, xmlNode *disk, bool details)
{
	g_autofree char *type = xml_get(disk, "@type"), *device = xml_get(disk, "@device");
	g_autofree char *target = xml_get(disk, "target/@dev"), *source = get_first(disk, disk_sources);

	if (details) {
		report_text(report, type);
		report_text(report, device ? device : "disk");
	}
	report_text(report, target);
	report_text(report, source);
	if (!details) {
		report_text(report, type);
		report_text(report, device ? device : "disk");
	}
}

static bool run_domblklist(struct session *session, const struct args *args, GError **err)
{
	autoptr(domain) domain = read_definition(session, args, "inactive", err);
	bool details = args_flag(args, "details");
	struct report *report;

	if (!domain)
		return false;
	report = report_list(session, "disks", "disk", details ? disk_columns_details : disk_columns);
	for (xmlNode *disk = xml_first(domain->root, "devices/disk"); disk; disk = xml_next(disk))
		add_disk(report, disk, details);
	report_end(report);
	return true;
}

/* --- interfaces --- */

static const struct report_column interface_columns[] = {
	{ .key = "interface", .title = "Interface" },
	{ .key = "type", .title = "Type" },
	{ .key = "source", .title = "Source" },
	{ .key = "model", .title = "Model" },
	{ .key = "mac", .title = "MAC" },
	{ .key = NULL },
};

static const char *const interface_sources[] = { "source/@bridge", "source/@dev",  "source/@network",
						 "source/@name",   "source/@path", NULL };

static void add_interface(struct report *report, xmlNode *interface)
{
	g_autofree char *target = xml_get(interface, "target/@dev"), *type = xml_get(interface, "@type");
	g_autofree char *source = get_first(interface, interface_sources), *model = xml_get(interface, "model/@type");
	g_autofree char *mac = xml_get(interface, "mac/@address");

	report_text(report, target);
	report_text(report, type);
	report_text(report, source);
	report_text(report, model);
	report_text(report, mac);
}

static bool run_domiflist(struct session *session, const struct args *args, GError **err)
{
	autoptr(domain) domain = read_definition(session, args, "inactive", err);
	struct report *report;

	if (!domain)
		return false;
	report = report_list(session, "interfaces", "interface", interface_columns);
	for (xmlNode *n = xml_first(domain->root, "devices/interface"); n; n = xml_next(n))
		add_interface(report, n);
	report_end(report);
	return true;
}

/* By the host side's name or by its address. */
static xmlNode *find_interface(const struct domain *domain, const char *key)
{
	for (xmlNode *n = xml_first(domain->root, "devices/interface"); n; n = xml_next(n)) {
		g_autofree char *mac = xml_get(n, "mac/@address");

		if (xml_is(n, "target/@dev", key) || (mac && !g_ascii_strcasecmp(mac, key)))
			return n;
	}
	return NULL;
}

static bool run_getlink(struct session *session, const struct args *args, GError **err)
{
	const char *key = args_string(args, "interface");
	autoptr(domain) domain = read_definition(session, args, "config", err);
	xmlNode *interface = domain ? find_interface(domain, key) : NULL;
	g_autofree char *state = interface ? xml_get(interface, "link/@state") : NULL;
	struct report *report;

	if (!domain)
		return false;
	if (!interface)
		return fail(err, LODGE_ERROR_STATE, "Interface '%s' not found.", key);
	if (session->format != REPORT_TABLE) {
		report = report_record(session, "interface");
		report_field(report, "interface", "Interface", key);
		report_field(report, "link", "Link", state ? state : "up");
		report_end(report);
		return true;
	}
	/* As virsh the end of the line is the blank line behind every command. */
	fprintf(session->out, "%s %s%s", key, state ? state : "up", session->as_virsh ? "" : "\n");
	return true;
}

/* --- rows --- */

static const struct arg_row domblklist_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "inactive", .type = ARG_FLAG, .help = "of the stored definition, also while it runs" },
	{ .name = "details", .type = ARG_FLAG, .help = "with type and kind of device" },
	ARG_END,
};

static const struct arg_row domiflist_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "inactive", .type = ARG_FLAG, .help = "of the stored definition, also while it runs" },
	ARG_END,
};

static const struct arg_row getlink_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "interface",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "the host's side or the MAC address",
	  .complete = COMPLETE_INTERFACE },
	{ .name = "config", .type = ARG_FLAG, .help = "of the stored definition" },
	{ .name = "persistent", .type = ARG_FLAG, .flags = ARG_HIDDEN, .help = "the same as --config" },
	ARG_END,
};

const struct command cmd_domblklist = {
	.name = "domblklist",
	.group = GROUP_MONITOR,
	.help = "show the disks of a domain",
	.about = "Target is the name that other commands know the disk by; \"-\" is a drive without a medium.",
	.args = domblklist_args,
	.run = run_domblklist,
};

const struct command cmd_domiflist = {
	.name = "domiflist",
	.group = GROUP_MONITOR,
	.help = "show the network interfaces of a domain",
	.about = "Interface is the host's side, \"-\" while there is none.",
	.args = domiflist_args,
	.run = run_domiflist,
};

const struct command cmd_domif_getlink = {
	.name = "domif-getlink",
	.group = GROUP_MONITOR,
	.help = "show whether the link of a network interface is up",
	.about = "Prints what the definition says about the link.",
	.args = getlink_args,
	.run = run_getlink,
};
