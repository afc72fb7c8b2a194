/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_LIFECYCLE_H
#define LODGE_CORE_MODEL_LIFECYCLE_H

#include <glib.h>
#include <stdbool.h>

/*
 * States of a domain, with libvirt's numbers (domstats shows them) and virsh's words, and what may be done in each.
 *
 *   SHUTOFF      a definition only                              start
 *   RUNNING      vCPUs run, time passes                         suspend, shutdown, reboot, reset, destroy, ...
 *   BLOCKED      "idle": every vCPU waits in HLT; as RUNNING
 *   PAUSED       vCPUs parked, time stands still                resume, reset, destroy, ...
 *   SHUTDOWN     "in shutdown": the guest was asked to power off and runs on until it does; as RUNNING
 *   CRASHED      panicked and kept by on_crash=preserve         destroy, dump, reset
 *   PMSUSPENDED  the guest sleeps (S3)                          dompmwakeup, destroy
 */
enum domain_state {
	DOMAIN_NOSTATE,
	DOMAIN_RUNNING,
	DOMAIN_BLOCKED,
	DOMAIN_PAUSED,
	DOMAIN_SHUTDOWN,
	DOMAIN_SHUTOFF,
	DOMAIN_CRASHED,
	DOMAIN_PMSUSPENDED,
	DOMAIN_N_STATES
};

enum domain_action {
	DOMAIN_DO_START,
	DOMAIN_DO_SUSPEND,
	DOMAIN_DO_RESUME,
	DOMAIN_DO_SHUTDOWN,
	DOMAIN_DO_REBOOT,
	DOMAIN_DO_RESET,
	DOMAIN_DO_DESTROY,
	DOMAIN_DO_SAVE,
	DOMAIN_DO_DUMP,
	DOMAIN_DO_INJECT, /* keys, NMI */
	DOMAIN_DO_MIGRATE,
	DOMAIN_DO_PMSUSPEND,
	DOMAIN_DO_PMWAKEUP,
	DOMAIN_DO_CHANGE, /* live changes of devices and tuning */
	DOMAIN_DO_UNDEFINE,
	DOMAIN_DO_RENAME,
	DOMAIN_N_ACTIONS
};

/* Reasons, numbered per state as in libvirt; the text is what `domstate --reason` prints. */
enum { DOMAIN_RUNNING_UNKNOWN, DOMAIN_RUNNING_BOOTED, DOMAIN_RUNNING_MIGRATED, DOMAIN_RUNNING_RESTORED, DOMAIN_RUNNING_FROM_SNAPSHOT,
       DOMAIN_RUNNING_UNPAUSED, DOMAIN_RUNNING_MIGRATION_CANCELED, DOMAIN_RUNNING_SAVE_CANCELED, DOMAIN_RUNNING_WAKEUP,
       DOMAIN_RUNNING_CRASHED, DOMAIN_RUNNING_POSTCOPY };
enum { DOMAIN_PAUSED_UNKNOWN, DOMAIN_PAUSED_USER, DOMAIN_PAUSED_MIGRATION, DOMAIN_PAUSED_SAVE, DOMAIN_PAUSED_DUMP, DOMAIN_PAUSED_IOERROR,
       DOMAIN_PAUSED_WATCHDOG, DOMAIN_PAUSED_FROM_SNAPSHOT, DOMAIN_PAUSED_SHUTTING_DOWN, DOMAIN_PAUSED_SNAPSHOT, DOMAIN_PAUSED_CRASHED,
       DOMAIN_PAUSED_STARTING_UP, DOMAIN_PAUSED_POSTCOPY, DOMAIN_PAUSED_POSTCOPY_FAILED };
enum { DOMAIN_SHUTDOWN_UNKNOWN, DOMAIN_SHUTDOWN_USER };
enum { DOMAIN_SHUTOFF_UNKNOWN, DOMAIN_SHUTOFF_SHUTDOWN, DOMAIN_SHUTOFF_DESTROYED, DOMAIN_SHUTOFF_CRASHED, DOMAIN_SHUTOFF_MIGRATED,
       DOMAIN_SHUTOFF_SAVED, DOMAIN_SHUTOFF_FAILED, DOMAIN_SHUTOFF_FROM_SNAPSHOT, DOMAIN_SHUTOFF_DAEMON };
enum { DOMAIN_CRASHED_UNKNOWN, DOMAIN_CRASHED_PANICKED };

const char *domain_state_name(enum domain_state state); /* "running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended" */
const char *domain_reason_name(enum domain_state state, unsigned reason); /* "unknown" for numbers out of range */

bool domain_state_active(enum domain_state state); /* there is a VM process */

/* The one table of what is possible when. False: LODGE_ERROR_STATE with the reason in virsh's words ("domain is not running"). */
bool domain_allows(enum domain_state state, enum domain_action action, GError **err);

#endif
