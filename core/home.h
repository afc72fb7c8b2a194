/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_HOME_H
#define LODGE_CORE_HOME_H

#include <glib.h>
#include <stdbool.h>

#include "core/base/cleanup.h"

/*
 * Where everything of one "connection" lives.
 *
 *                 lodge:///session                       lodge:///system        LODGE_HOME=D
 *   config_dir    $XDG_CONFIG_HOME/lodge                 /etc/lodge             D/config
 *   state_dir     $XDG_STATE_HOME/lodge                  /var/lib/lodge         D/state
 *   runtime_dir   $XDG_RUNTIME_DIR/lodge, else           /run/lodge             D/run
 *                 state_dir/run
 *
 *   config_dir/KIND/NAME.xml           definitions; KIND: vms, networks, pools, ... (core/store.h)
 *   config_dir/KIND/autostart/NAME.xml symbolic link
 *   state_dir/KIND/NAME.json           what is remembered about it: why it stopped last, autostart order
 *   state_dir/log/NAME.log             warden's and VM's log; consoles' logs where the XML says
 *   state_dir/lock                     serialises changes of definitions
 *   runtime_dir/vm/NAME/               one running VM: lock, control, stats, live.xml, start.json (core/domains.h)
 *   runtime_dir/events/                one socket a listener (core/events.h)
 *
 * Root gets the system's, everybody else the session's, unless a URI says otherwise.
 */
struct home {
	char *uri;
	bool system, readonly;
	char *config_dir, *state_dir, *runtime_dir;
};

/* uri: NULL (the default; LODGE_DEFAULT_URI counts), "lodge:///session", "lodge:///system". Makes no directories. */
struct home *home_open(const char *uri, bool readonly, GError **err);
void home_free(struct home *home);
DEFINE_AUTOPTR(home, home_free)

/* LODGE_ERROR_DENIED when the connection is read-only; what: "start a domain". Every change begins with it. */
bool home_writable(const struct home *home, const char *what, GError **err);

/* runtime_dir/vm/NAME/FILE; g_free(). file may be NULL. */
char *home_vm_path(const struct home *home, const char *name, const char *file);

#endif
