/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/base/error.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

static const struct {
	const char *key;
	size_t offset;
} rows[] = {
	{ "rx_bytes", offsetof(struct stats_nic, rx_bytes) }, { "rx_packets", offsetof(struct stats_nic, rx_packets) },
	{ "rx_errs", offsetof(struct stats_nic, rx_errors) }, { "rx_drop", offsetof(struct stats_nic, rx_drops) },
	{ "tx_bytes", offsetof(struct stats_nic, tx_bytes) }, { "tx_packets", offsetof(struct stats_nic, tx_packets) },
	{ "tx_errs", offsetof(struct stats_nic, tx_errors) }, { "tx_drop", offsetof(struct stats_nic, tx_drops) },
};

static uint64_t value_of(const struct stats_nic *nic, size_t row)
{
	return stats_get((const uint64_t *)(const void *)((const char *)nic + rows[row].offset));
}

static const struct stats_nic *find_name(const struct dom_stats *stats, const char *name)
{
	for (unsigned i = 0; i < stats->n_nics; i++)
		if (strncmp(stats->page->nic[i].name, name, sizeof(stats->page->nic[i].name)) == 0)
			return &stats->page->nic[i];
	return NULL;
}

/* The page counts interfaces in the definition's order, so a MAC address of the definition leads to its counters. */
static const struct stats_nic *find_mac(const struct home *home, const struct dom_stats *stats, const char *mac)
{
	autoptr(domain) definition = dom_definition(home, stats->dom, true, NULL);
	unsigned i = 0;

	if (!definition)
		return NULL;
	for (xmlNode *node = xml_first(definition->root, "devices/interface"); node; node = xml_next(node), i++) {
		g_autofree char *address = xml_get(node, "mac/@address");

		if (address && g_ascii_strcasecmp(address, mac) == 0)
			return i < stats->n_nics ? &stats->page->nic[i] : NULL;
	}
	return NULL;
}

static void show(struct session *session, const char *name, const struct stats_nic *nic)
{
	struct report *report = NULL;

	if (session->format != REPORT_TABLE) {
		report = report_record(session, "interface");
		report_field(report, "interface", "Interface", name);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (report)
			report_field_number(report, rows[i].key, rows[i].key, value_of(nic, i), NULL);
		else
			fprintf(session->out, "%s %s %" PRIu64 "\n", name, rows[i].key, value_of(nic, i));
	}
	if (report)
		report_end(report);
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	const char *name = args_string(args, "interface");
	autoptr(dom_stats) stats = NULL;
	const struct stats_nic *nic;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom)
		return false;
	if (!dom->page)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	stats = dom_stats_read(session->home, dom, 0);
	nic = find_name(stats, name);
	if (!nic)
		nic = find_mac(session->home, stats, name);
	if (!nic)
		return fail(err, LODGE_ERROR_INPUT,
			    "Failed to get interface stats %s %s: '%s' is not a known interface", dom->name, name,
			    name);
	show(session, name, nic);
	return true;
}

static const struct arg_row args_domifstat[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "interface",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "interface by name or MAC address",
	  .complete = COMPLETE_INTERFACE },
	ARG_END,
};

const struct command cmd_domifstat = {
	.name = "domifstat",
	.group = GROUP_MONITOR,
	.help = "show counters of a running domain's network interface",
	.about = "As the guest sees it: rx is what it received.",
	.args = args_domifstat,
	.run = run,
};
