/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_CGROUP_H
#define LODGE_CORE_CGROUP_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/base/cleanup.h"

/*
 * Control groups of one VM, version 1 or 2 of the kernel's interface, whichever has the controller that is needed.
 *
 *   v1   CONTROLLER/<own group>/lodge/ID/          and below it emulator/, vcpu0/, ...: threads are moved one by one
 *   v2   <own group>/lodge/ID/                     the same, the lower ones of type "threaded" (cpu and cpuset only)
 *
 * <own group>: the one this process is in, so that a user with a delegated subtree needs no rights. Groups are made
 * when a limit needs them and removed when the VM is gone; an empty one that a killed warden left is used again.
 */
enum cgroup_controller { CGROUP_CPU, CGROUP_MEMORY, CGROUP_BLKIO, CGROUP_N_CONTROLLERS };

struct cgroup;

/* root: "/sys/fs/cgroup" (tests have others). id: the VM's UUID. Touches nothing yet. */
struct cgroup *cgroup_new(const char *root, const char *id);
void cgroup_free(struct cgroup *cgroup);
DEFINE_AUTOPTR(cgroup, cgroup_free)

/*
 * Makes the VM's group for the controller. LODGE_ERROR_DENIED or UNSUPPORTED with the fix in one line. *v2: which
 * interface it has.
 */
bool cgroup_make(struct cgroup *cgroup, enum cgroup_controller controller, bool *v2, GError **err);

/* sub: NULL for the VM's own group, or "vcpu0", "emulator" (made when missing). Writes one value into one file. */
bool cgroup_write(struct cgroup *cgroup, enum cgroup_controller controller, const char *sub, const char *file,
		  const char *value, GError **err);
/* NULL: there is no such group or file. g_free(). */
char *cgroup_read(struct cgroup *cgroup, enum cgroup_controller controller, const char *sub, const char *file);
bool cgroup_has(struct cgroup *cgroup, enum cgroup_controller controller, const char *file);

/* Moves a whole process into every group that was made, or a thread into a lower one. */
bool cgroup_add_process(struct cgroup *cgroup, pid_t pid, GError **err);
bool cgroup_add_thread(struct cgroup *cgroup, enum cgroup_controller controller, const char *sub, pid_t tid,
		       GError **err);

/* Removes every group of the VM that is empty. */
void cgroup_remove(struct cgroup *cgroup);

#endif
