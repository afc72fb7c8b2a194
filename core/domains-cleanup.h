/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_DOMAINS_CLEANUP_H
#define LODGE_CORE_DOMAINS_CLEANUP_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/home.h"
#include "core/model/stats-page.h"

/*
 * The end of a VM, written down: by its warden, or by the first command that finds the run directory without an owner.
 * For core/ itself.
 *
 * state_dir/vms/NAME.json gets the member "stopped": {"reason": DOMAIN_SHUTOFF_..., "text": s, "time_us": n, "console":
 * [last lines]}.
 */
#define CLEANUP_CONSOLE_LINES 10u

/*
 * Under store_lock(). Nothing is remembered about what is not defined. console may be NULL. untold: no front end has
 * heard of it; the next one that recalls it adds a notice.
 */
void cleanup_remember(const struct home *home, const char *name, const struct stats_state *state,
		      const GPtrArray *console, bool untold);

/* What was remembered; DOMAIN_SHUTOFF_UNKNOWN when nothing was. */
void cleanup_recall(const struct home *home, const char *name, struct stats_state *state);

/*
 * How the run directory's last state is to be told once its owners are gone: shut off, and crashed unless it says
 * otherwise.
 */
void cleanup_judge(const struct stats_page *page, struct stats_state *state);

/*
 * Removes the run directory when nobody owns it any more, and says what happened: memory, event, notice. locked:
 * store_lock() is held; otherwise it is tried, and what somebody else is about to change is left to a later command.
 * *state (may be NULL) gets the state to show in any case.
 */
void cleanup_stale(const struct home *home, const char *name, bool locked, struct stats_state *state);

/* "Stopped" and its detail for a DOMAIN_SHUTOFF_ reason. */
const char *cleanup_event_detail(unsigned reason);

#endif
