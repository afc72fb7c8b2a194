/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/lifecycle.h"

#include <string.h>

#include "core/base/error.h"

static const char *const state_names[] = {
	[DOMAIN_NOSTATE] = "no state",	  [DOMAIN_RUNNING] = "running",	 [DOMAIN_BLOCKED] = "idle",
	[DOMAIN_PAUSED] = "paused",	  [DOMAIN_SHUTDOWN] = "in shutdown", [DOMAIN_SHUTOFF] = "shut off",
	[DOMAIN_CRASHED] = "crashed",	  [DOMAIN_PMSUSPENDED] = "pmsuspended",
};
G_STATIC_ASSERT(G_N_ELEMENTS(state_names) == DOMAIN_N_STATES);

static const char *const none_reasons[] = { "unknown" };
static const char *const running_reasons[] = {
	[DOMAIN_RUNNING_UNKNOWN] = "unknown",
	[DOMAIN_RUNNING_BOOTED] = "booted",
	[DOMAIN_RUNNING_MIGRATED] = "migrated",
	[DOMAIN_RUNNING_RESTORED] = "restored",
	[DOMAIN_RUNNING_FROM_SNAPSHOT] = "from snapshot",
	[DOMAIN_RUNNING_UNPAUSED] = "unpaused",
	[DOMAIN_RUNNING_MIGRATION_CANCELED] = "migration canceled",
	[DOMAIN_RUNNING_SAVE_CANCELED] = "save canceled",
	[DOMAIN_RUNNING_WAKEUP] = "event wakeup",
	[DOMAIN_RUNNING_CRASHED] = "crashed",
	[DOMAIN_RUNNING_POSTCOPY] = "post-copy",
};
static const char *const paused_reasons[] = {
	[DOMAIN_PAUSED_UNKNOWN] = "unknown",
	[DOMAIN_PAUSED_USER] = "user",
	[DOMAIN_PAUSED_MIGRATION] = "migrating",
	[DOMAIN_PAUSED_SAVE] = "saving",
	[DOMAIN_PAUSED_DUMP] = "dumping",
	[DOMAIN_PAUSED_IOERROR] = "I/O error",
	[DOMAIN_PAUSED_WATCHDOG] = "watchdog",
	[DOMAIN_PAUSED_FROM_SNAPSHOT] = "from snapshot",
	[DOMAIN_PAUSED_SHUTTING_DOWN] = "shutting down",
	[DOMAIN_PAUSED_SNAPSHOT] = "creating snapshot",
	[DOMAIN_PAUSED_CRASHED] = "crashed",
	[DOMAIN_PAUSED_STARTING_UP] = "starting up",
	[DOMAIN_PAUSED_POSTCOPY] = "post-copy",
	[DOMAIN_PAUSED_POSTCOPY_FAILED] = "post-copy failed",
};
static const char *const shutdown_reasons[] = {
	[DOMAIN_SHUTDOWN_UNKNOWN] = "unknown",
	[DOMAIN_SHUTDOWN_USER] = "user",
};
static const char *const shutoff_reasons[] = {
	[DOMAIN_SHUTOFF_UNKNOWN] = "unknown",
	[DOMAIN_SHUTOFF_SHUTDOWN] = "shutdown",
	[DOMAIN_SHUTOFF_DESTROYED] = "destroyed",
	[DOMAIN_SHUTOFF_CRASHED] = "crashed",
	[DOMAIN_SHUTOFF_MIGRATED] = "migrated",
	[DOMAIN_SHUTOFF_SAVED] = "saved",
	[DOMAIN_SHUTOFF_FAILED] = "failed",
	[DOMAIN_SHUTOFF_FROM_SNAPSHOT] = "from snapshot",
	[DOMAIN_SHUTOFF_DAEMON] = "daemon",
};
static const char *const crashed_reasons[] = {
	[DOMAIN_CRASHED_UNKNOWN] = "unknown",
	[DOMAIN_CRASHED_PANICKED] = "panicked",
};

#define REASONS(table) { table, G_N_ELEMENTS(table) }
static const struct {
	const char *const *names;
	size_t n;
} reasons[] = {
	[DOMAIN_NOSTATE] = REASONS(none_reasons),
	[DOMAIN_RUNNING] = REASONS(running_reasons),
	[DOMAIN_BLOCKED] = REASONS(none_reasons),
	[DOMAIN_PAUSED] = REASONS(paused_reasons),
	[DOMAIN_SHUTDOWN] = REASONS(shutdown_reasons),
	[DOMAIN_SHUTOFF] = REASONS(shutoff_reasons),
	[DOMAIN_CRASHED] = REASONS(crashed_reasons),
	[DOMAIN_PMSUSPENDED] = REASONS(none_reasons),
};
G_STATIC_ASSERT(G_N_ELEMENTS(reasons) == DOMAIN_N_STATES);

#define IN(state) (1u << DOMAIN_##state)
#define IN_LIVE (IN(RUNNING) | IN(BLOCKED) | IN(SHUTDOWN))
#define IN_ACTIVE (IN_LIVE | IN(PAUSED) | IN(CRASHED) | IN(PMSUSPENDED))

static const struct action {
	unsigned in;	      /* states it is possible in */
	const char *inactive; /* what is said when there is no VM process; NULL: otherwise */
	const char *otherwise;
	const char *live; /* and when the guest runs; NULL: otherwise */
} actions[] = {
	[DOMAIN_DO_START] = { IN(SHUTOFF), NULL, "domain is already running", NULL },
	[DOMAIN_DO_SUSPEND] = { IN_LIVE | IN(PAUSED), "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_RESUME] = { IN(PAUSED), "domain is not running", "domain is %s", "domain is already running" },
	[DOMAIN_DO_SHUTDOWN] = { IN_LIVE, "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_REBOOT] = { IN_LIVE, "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_RESET] = { IN_LIVE | IN(PAUSED) | IN(CRASHED), "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_DESTROY] = { IN_ACTIVE, "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_SAVE] = { IN_LIVE | IN(PAUSED), "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_DUMP] = { IN_LIVE | IN(PAUSED) | IN(CRASHED), "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_INJECT] = { IN_LIVE, "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_MIGRATE] = { IN_LIVE | IN(PAUSED), "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_PMSUSPEND] = { IN_LIVE, "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_PMWAKEUP] = { IN(PMSUSPENDED), "domain is not running", "domain is not suspended by its guest",
				 NULL },
	[DOMAIN_DO_CHANGE] = { IN_LIVE | IN(PAUSED), "domain is not running", "domain is %s", NULL },
	[DOMAIN_DO_UNDEFINE] = { IN_ACTIVE | IN(SHUTOFF), NULL, "domain is %s", NULL },
	[DOMAIN_DO_RENAME] = { IN(SHUTOFF), NULL, "cannot rename active domain", NULL },
};
G_STATIC_ASSERT(G_N_ELEMENTS(actions) == DOMAIN_N_ACTIONS);

const char *domain_state_name(enum domain_state state)
{
	return (size_t)state < G_N_ELEMENTS(state_names) ? state_names[state] : state_names[DOMAIN_NOSTATE];
}

const char *domain_reason_name(enum domain_state state, unsigned reason)
{
	if ((size_t)state >= G_N_ELEMENTS(reasons) || reason >= reasons[state].n)
		return none_reasons[0];
	return reasons[state].names[reason];
}

bool domain_state_active(enum domain_state state)
{
	return (size_t)state < DOMAIN_N_STATES && IN_ACTIVE & 1u << state;
}

static bool refuse(const char *text, enum domain_state state, GError **err)
{
	const char *blank = strstr(text, "%s");

	if (!blank)
		return fail(err, LODGE_ERROR_STATE, "%s", text);
	return fail(err, LODGE_ERROR_STATE, "%.*s%s", (int)(blank - text), text, domain_state_name(state));
}

bool domain_allows(enum domain_state state, enum domain_action action, GError **err)
{
	const struct action *row;

	if ((size_t)action >= G_N_ELEMENTS(actions) || (size_t)state >= DOMAIN_N_STATES)
		return fail(err, LODGE_ERROR_INTERNAL, "no such state or action");
	row = &actions[action];
	if (row->in & 1u << state)
		return true;
	if (row->inactive && !domain_state_active(state))
		return refuse(row->inactive, state, err);
	return refuse(row->live && IN_LIVE & 1u << state ? row->live : row->otherwise, state, err);
}
