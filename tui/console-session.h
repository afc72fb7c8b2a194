/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CONSOLE_SESSION_H
#define LODGE_TUI_CONSOLE_SESSION_H

#include <glib.h>
#include <stdbool.h>

#include "tui/command.h"

/*
 * This process's terminal on a console of a running VM, until the user leaves (^]), the input ends (where it is no
 * terminal) or the VM has gone. Used by `console`, `start --console` and `create --console`.
 */
enum {
	CONSOLE_SESSION_FORCE = 1 << 0,
	CONSOLE_SESSION_SAFE = 1 << 1,
	CONSOLE_SESSION_READONLY = 1 << 2,
	CONSOLE_SESSION_NO_REPLAY = 1 << 3,
	CONSOLE_SESSION_RESUME = 1 << 4, /* a paused guest goes on once the console is there */
};

/*
 * devname: alias of a port ("serial0", "console1"); NULL: the first console. True also when the VM went away meanwhile
 * (a line says so). The terminal is as it was in any case, also when this process is killed by a signal that can be
 * caught.
 */
bool console_session(struct session *session, const char *vm_name, const char *devname, unsigned flags, GError **err);

#endif
