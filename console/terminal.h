/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_TERMINAL_H
#define LODGE_CONSOLE_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The process's terminal in raw mode, and the promise that it comes back: on terminal_leave(), when the process is
 * stopped, and when it dies of any signal that can be caught. One terminal at a time. Main thread.
 */

/* Remembers the modes of fd and makes it raw. False when it is no terminal or another program has it now. */
bool terminal_enter(int fd);

/* Gives the terminal back as it was. Harmless when it is not ours. Async-signal-safe. */
void terminal_leave(void);

/*
 * Stops the process as ^Z does, with the terminal given back; returns when it has been continued, with the terminal
 * raw again.
 */
void terminal_suspend(void);

/*
 * Takes back what a guest may have left behind on the screen fd leads to: colours, a hidden cursor, mouse and paste
 * reports, the alternate screen; and ends its last line. seen_escape: it has used control sequences. last: its last byte,
 * 0 for none.
 */
void terminal_tidy(int fd, bool seen_escape, uint8_t last);

/* After SIGCONT: raw again if it was raw and this process is in the foreground. */
void terminal_resume(void);

#endif
