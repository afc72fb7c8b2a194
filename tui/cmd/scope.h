/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_SCOPE_H
#define LODGE_TUI_CMD_SCOPE_H

#include "core/domains.h"
#include "tui/command.h"

/*
 * --live, --config and --current as every command has them: live is the running VM and lost at its end, config the next start, current (also when
 * nothing is said) whichever of the two is there now.
 */
struct scope {
	bool live, config;
};

#define SCOPE_ARGS \
	{ .name = "config", .type = ARG_FLAG, .help = "for the next start" }, \
		{ .name = "live", .type = ARG_FLAG, .help = "for the running domain" }, \
	{ \
		.name = "current", .type = ARG_FLAG, \
		.help = "for the running domain when it runs, else for the next start" \
	}
#define SCOPE_EXCLUSIVE "current|live, current|config"

/* LODGE_ERROR_STATE when the domain does not run, or has no definition. */
bool scope_of(const struct args *args, const struct dom *dom, struct scope *scope, GError **err);

/* The definition a query shows: the live one with live, otherwise the persistent one. */
struct domain *scope_definition(struct session *session, const struct dom *dom, const struct scope *scope,
				GError **err);

/*
 * Changes a copy of each definition in scope with change(), checks it, lets live() (may be NULL) carry it out on the running VM, and stores
 * what was changed. Nothing is stored when anything is refused before live() was called.
 */
bool scope_change(struct session *session, const struct dom *dom, const struct scope *scope,
		  bool (*change)(struct domain *domain, void *opaque, GError **err),
		  bool (*live)(const struct dom *dom, const struct domain *domain, void *opaque, GError **err),
		  void *opaque, GError **err);

#endif
