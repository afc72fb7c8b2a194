/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MONITOR_H
#define LODGE_CORE_MONITOR_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/base/wire.h"
#include "core/domains.h"

/*
 * A front end's connection to a running VM's control socket: QMP, capabilities already negotiated. One thread. Events
 * that arrive while an answer is waited for are queued.
 */
struct monitor;

struct monitor *monitor_open(const struct home *home, const char *vm_name, GError **err);
void monitor_free(struct monitor *monitor);
DEFINE_AUTOPTR(monitor, monitor_free)

#define MONITOR_TIMEOUT_MS 30000

/*
 * Executes one command and waits for its answer. arguments: stolen, may be NULL. Returns "return" (new reference). An
 * error object becomes a GError: QMP class GenericError by its "lodge-kind" member when there is one. fds: sent along.
 */
json_t *monitor_execute(struct monitor *monitor, const char *command, json_t *arguments, GError **err);
json_t *monitor_execute_fds(struct monitor *monitor, const char *command, json_t *arguments, const int *fds,
			    size_t n_fds, GError **err);

/* For what takes long (a dump): timeout_ms -1 waits for ever. */
json_t *monitor_execute_long(struct monitor *monitor, const char *command, json_t *arguments, const int *fds,
			     size_t n_fds, int timeout_ms, GError **err);
/* A request object as the user wrote it; the whole answer, "return" or "error" with it. New reference. */
json_t *monitor_execute_raw(struct monitor *monitor, const json_t *request, GError **err);
int monitor_fd(const struct monitor
		       *monitor); /* readable when something came: then monitor_next_event(monitor, 0) until NULL */

/* A descriptor that came with the last answer, or -1 (console attach). */
int monitor_take_fd(struct monitor *monitor);

/* The next event object, waiting at most timeout_ms; NULL without an error when the time is over, or after a signal. */
json_t *monitor_next_event(struct monitor *monitor, int timeout_ms, GError **err);

/* open, execute, close: for commands that need one thing. */
json_t *monitor_once(const struct home *home, const char *vm_name, const char *command, json_t *arguments,
		     GError **err);

#endif
