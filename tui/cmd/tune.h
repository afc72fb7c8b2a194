/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_TUNE_H
#define LODGE_TUI_CMD_TUNE_H

#include "core/tune.h"
#include "tui/cmd/life.h"
#include "tui/cmd/scope.h"
#include "tui/report.h"

/* What the tuning commands share. */

/* The live() of scope_change(): all of the definition's tuning is applied again. */
bool tune_apply_live(const struct dom *dom, const struct domain *domain, void *opaque, GError **err);

/* "cpu_shares     : 1024" or, in the other formats, a field of the record. */
void tune_show(struct session *session, struct report *report, const char *key, const char *value);
/* Every parameter of one command. */
void tune_show_params(struct session *session, struct report *report, const struct domain *domain, const char *group);

/* What one call changes: a value a parameter. */
struct tune_changes {
	GArray *values; /* struct tune_change */
};
struct tune_change {
	const struct tune_param *param;
	int64_t value;
};
bool tune_change_domain(struct domain *domain, void *changes, GError **err);

#endif
