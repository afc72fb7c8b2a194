/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_OPERATE_H
#define LODGE_CORE_OPERATE_H

#include <glib.h>
#include <stdbool.h>

#include "core/domains.h"
#include "core/launch.h"

/*
 * What a user does to a domain as a whole, for every front end: each checks the connection's rights and the table of
 * states (core/model/lifecycle.h) first. dom is a row as it was read; its state may have changed since: what then fails
 * says so.
 */

/* Starts a defined domain. Returns the id, or -1 with an error. notices: as launch(). */
int operate_start(const struct home *home, const struct dom *dom, const struct launch_options *options,
		  GPtrArray *notices, GError **err);

/*
 * How a guest is asked to power off or reboot. Several bits: in this order until one is accepted. 0: the agent when its
 * channel is connected, else ACPI.
 */
enum { OPERATE_AGENT = 1 << 0, OPERATE_ACPI = 1 << 1 };
/*
 * "acpi,agent": LODGE_ERROR_USAGE for unknown words; LODGE_ERROR_UNSUPPORTED for a container's modes (initctl, signal,
 * paravirt).
 */
bool operate_parse_modes(const char *text, unsigned *modes, GError **err);
bool operate_shutdown(const struct home *home, const struct dom *dom, unsigned modes, GError **err);
bool operate_reboot(const struct home *home, const struct dom *dom, unsigned modes, GError **err);
bool operate_reset(const struct home *home, const struct dom *dom, GError **err);
bool operate_suspend(const struct home *home, const struct dom *dom, GError **err);
bool operate_resume(const struct home *home, const struct dom *dom, GError **err);

/*
 * Ends the VM process and waits for that: asked first, killed when it does not answer (graceful: LODGE_ERROR_STATE
 * instead).
 */
bool operate_destroy(const struct home *home, const struct dom *dom, bool graceful, GError **err);

/* Waits until the VM that dom shows runs no more. False: the time is over (no error), or an error. -1: for ever. */
bool operate_wait(const struct dom *dom, int timeout_ms, GError **err);

/* Removes the definition; a running domain becomes transient. */
bool operate_undefine(const struct home *home, const struct dom *dom, GError **err);

#endif
