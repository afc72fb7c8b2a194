/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_LAUNCH_H
#define LODGE_CORE_LAUNCH_H

#include <glib.h>
#include <stdbool.h>

#include "core/home.h"
#include "core/model/domain.h"

/*
 * Starting VMs. Front end -> warden -> VM, each by exec of this program (/proc/self/exe) with the arguments {"lodge",
 * "--role", "warden" or "vm", NAME} and one socketpair as descriptor 3. Descriptor 0 is /dev/null, 1 and 2 are the VM's
 * log; nothing else is inherited. The messages are JSON objects (core/base/wire.h), each with one member that names it:
 *
 * front end -> warden
 *   {"start": {"name", "uuid", "id", "xml", "paused", "autodestroy", "on", "tune", "home": {"uri", "config_dir", "state_dir", "runtime_dir"}}}
 *                            tune: core/tune.h. Descriptors: the run directory's lock (held)
 * warden -> front end, one of
 *   {"ready": {"id": n, "pid": n, "why": text}}
 *   {"error": {"code": lodge_error_name(), "message": text}}     nothing runs, nothing is left behind
 *
 * warden -> VM, first
 *   {"start": {"name": s, "uuid": s, "id": n, "paused": bool, "reason": n, "vm_dir": path, "log": path, "xml": text,
 *              "on": {"poweroff": s, "reboot": s, "crash": s}}}
 *                            xml is the live definition (domain_make_live() was called); reason is the DOMAIN_RUNNING_ one to show once it runs
 *                            (booted, or crashed after a restart by on_crash); "on" has the policies' words of the definition.
 *                            descriptors, in this order: 0 control socket (listening, non-blocking), 1 statistics page (a file of
 *                            sizeof(struct stats_page) bytes, already initialised with id, uuid and warden_pid: the VM fills in the
 *                            rest and must not stats_page_init() it), 2 the run directory's lock (only to be kept open while the
 *                            process lives), 3 the log (appending)
 * warden -> VM, later
 *   {"powerdown": {}}        press the power button
 *   {"quit": {}}             stop now; "reason": n is the DOMAIN_SHUTOFF_ one, destroyed when it is missing
 *
 * VM -> warden, first one of
 *   {"ready": {"pid": n, "why": text, "ports": {alias: path}}}
 *                            the statistics page shows the state; why: accelerator and why it was chosen; ports: what only the
 *                            running VM knows, "serial0": "/dev/pts/3"
 *   {"error": {"code": lodge_error_name(), "message": text}}     then it exits with 1
 * VM -> warden, later
 *   {"event": {"event": NAME, "data": {...}, "timestamp": {...}}}     each event as QMP clients get it
 *   {"live": {"ports": {alias: path}}}                                 all ports again, after one has changed
 *   {"held": {"why": vm_stop_name(), "reason": n, "text": s or null}} the guest has stopped and the policy for that is "preserve",
 *                            "coredump-destroy" or "coredump-restart": vCPUs are parked, state is CRASHED (PANICKED) for crash, else PAUSED
 *                            (SHUTTING_DOWN); memory and control socket stay until "quit" comes from here or from a client
 *   {"stopped": {"why": vm_stop_name(), "reason": n, "text": s or null}}   last; the page shows SHUTOFF with this DOMAIN_SHUTOFF_ reason.
 *                            Then it exits with 0. Power-off: shutdown; a reboot that is not to be one: shutdown; panic and triple
 *                            fault: crashed; quit: destroyed or what was asked for; VMM error: failed
 *
 * The VM does reboots itself when on.reboot is "restart" (any other word: it stops with why "reset"). Restarts for
 * other reasons are made by the warden with a new process in the same run directory under the same id. End of stream
 * from the warden before "ready" was sent: the VM ends. Later: it runs on, and ignores that nobody listens.
 *
 * The warden is its own session and process group, holds no terminal, and is the parent of the VM process; it applies
 * on_poweroff, on_reboot and on_crash, passes events on to listeners, remembers why the VM stopped and removes the run
 * directory. A VM whose warden is gone runs on; what it leaves is found by the next command (core/domains.h).
 */
struct launch_options {
	bool paused;
	bool autodestroy; /* ends with the front end: it keeps the descriptor */
	bool transient;	  /* no definition in the store (create) */
	bool force_boot;  /* ignore a saved state */
};

/*
 * Returns the id, or -1 with an error: the VM's own words when it could not start. notices: lines about what has no
 * effect; may be NULL.
 */
int launch(const struct home *home, const struct domain *domain, const struct launch_options *options,
	   GPtrArray *notices, GError **err);

/* What main() runs when it was executed as a role; never return to it. The VM's is vmm/role-vm.h. */
int warden_main(int fd);

#endif
