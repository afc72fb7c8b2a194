/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_LATER_H
#define LODGE_TUI_LATER_H

/*
 * Why one of virsh's commands is not here: a clause for a message, "it has no saved states yet". NULL: virsh has no such
 * command either, or Lodge has it.
 */
const char *later_reason(const char *name);

#endif
