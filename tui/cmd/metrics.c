/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/metrics.h"
#include "tui/cmd/stats.h"
#include "tui/command.h"

static bool run(struct session *session, const struct args *args G_GNUC_UNUSED, GError **err)
{
	struct home *home = session_home(session, err);
	g_autoptr(GPtrArray) stats = g_ptr_array_new_with_free_func(stats_free_pointer);
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(GPtrArray) doms = home ? domains_list(home, DOMAINS_ACTIVE | DOMAINS_INACTIVE, err) : NULL;
	autoptr(host) host = NULL;

	if (!doms)
		return false;
	for (unsigned i = 0; i < doms->len; i++)
		g_ptr_array_add(stats, dom_stats_read(home, doms->pdata[i], DOM_STATS_ALL));
	host = host_read(NULL);
	metrics_append(out, stats, host);
	fputs(out->str, session->out);
	return true;
}

static const struct arg_row args_metrics[] = { ARG_END };

const struct command cmd_metrics = {
	.name = "metrics",
	.group = GROUP_LODGE,
	.flags = COMMAND_LODGE,
	.help = "print statistics of all domains for Prometheus",
	.about =
		"The text exposition format, version 0.0.4. For the node exporter's textfile collector, or behind any HTTP server:\n"
		"lodge metrics >/var/lib/node_exporter/lodge.prom.tmp && mv ...",
	.args = args_metrics,
	.run = run,
};
