/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_EVENTS_H
#define LODGE_CORE_EVENTS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/home.h"

/*
 * Life-cycle and other events without a daemon: every listener has a FIFO in runtime_dir/events; who has something to
 * say writes it to each of them, without waiting (a listener that does not read loses events and is told so by the
 * "lost" member of the next one).
 *
 *   {"event": "lifecycle", "kind": "domain", "name": ..., "uuid": ..., "time_us": ..., "type": "Started",
 *    "detail": "Booted"}
 *
 * event is virsh's event name ("lifecycle", "reboot", "rtc-change", "watchdog", "io-error", "graphics", "block-job",
 * "device-removed", "balloon-change", "metadata-change", ...); type and detail are virsh's words for life-cycle events:
 *   Defined: Added Updated Renamed; Undefined: Removed Renamed; Started: Booted Migrated Restored Snapshot Wakeup;
 *   Suspended: Paused ...; Resumed: Unpaused ...;
 *   Stopped: Shutdown Destroyed Crashed Migrated Saved Failed Snapshot;
 *   Shutdown: Finished, "Finished after guest request", "Finished after host request"; PMSuspended: Memory Disk;
 *   Crashed: Panicked.
 * More members as the event needs. "monitor" events are what a VM's QMP clients see, as it is: {"event": "monitor",
 * ..., "qmp": {"event": "STOP", ...}} ("qmp" null and "truncated" true when it was longer than 4 KiB).
 */
void events_emit(const struct home *home, json_t *event); /* not stolen; never fails */
void events_emit_lifecycle(const struct home *home, const char *name, const char *uuid, const char *type,
			   const char *detail);

struct events;
struct events *events_listen(const struct home *home, GError **err);
void events_free(struct events *events);
DEFINE_AUTOPTR(events, events_free)
int events_fd(const struct events *events); /* readable when something came: then events_next(events, 0) until NULL */
json_t *events_next(struct events *events, int timeout_ms,
		    GError **err); /* NULL without an error: time over, or a signal */

#endif
