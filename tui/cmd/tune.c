/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/tune.h"

#include <string.h>

bool tune_apply_live(const struct dom *dom, const struct domain *domain, void *opaque, GError **err)
{
	(void)opaque;
	return tune_live(domain, dom->pid, dom->page, err);
}

void tune_show(struct session *session, struct report *report, const char *key, const char *value)
{
	if (session->format == REPORT_TABLE)
		fprintf(session->out, "%-15s: %s\n", key, value);
	else
		report_field(report, key, key, value);
}

void tune_show_params(struct session *session, struct report *report, const struct domain *domain, const char *group)
{
	const struct tune_param *param;

	for (size_t i = 0; (param = tune_param(i)); i++) {
		g_autofree char *text = NULL;
		int64_t value;

		if (strcmp(param->group, group) || !param->shown)
			continue;
		if (tune_get(domain, param, &value))
			text = g_strdup_printf("%" G_GINT64_FORMAT, value);
		tune_show(session, report, param->name, text ? text : param->shown);
	}
}

bool tune_change_domain(struct domain *domain, void *opaque, GError **err)
{
	const struct tune_changes *changes = opaque;

	for (guint i = 0; i < changes->values->len; i++) {
		const struct tune_change *change = &g_array_index(changes->values, struct tune_change, i);

		if (!tune_check(change->param, change->value, err))
			return false;
		tune_put(domain, change->param, change->value);
	}
	return true;
}
