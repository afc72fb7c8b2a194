/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_ROLE_VM_H
#define LODGE_VMM_ROLE_VM_H

/*
 * Role "vm": one VM of a warden, in a process of its own. fd: the socketpair to the warden (core/launch.h says what travels on it).
 * Everything that is opened by name is opened before "ready"; then the loop runs until the VM has stopped. Prints nothing; its log is
 * descriptor 2. Returns the exit status: 0 stopped (the reason was sent and is in the statistics page), 1 never ran.
 */
int vm_role_main(int fd);

#endif
