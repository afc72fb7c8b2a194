/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_FAULT_H
#define LODGE_TESTS_FAULT_H

/*
 * A host that fails: tests/fault.c, linked into a test program, stands between it and the C library's calls that change
 * files. Armed, it counts them, and at the nth
 *   FAULT_KILL  ends the process, a write half done
 *   FAULT_ONCE  has this call fail with ENOSPC, a write half done before
 *   FAULT_FULL  as FAULT_ONCE, and from then on every call that needs space fails; what only removes does not
 */
enum fault { FAULT_NONE, FAULT_KILL, FAULT_ONCE, FAULT_FULL };

void fault_arm(enum fault mode, unsigned nth); /* nth counts from 1 */
unsigned fault_disarm(void);		       /* how many calls there were */

#define FAULT_STATUS 137

#endif
