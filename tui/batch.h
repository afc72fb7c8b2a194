/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_BATCH_H
#define LODGE_TUI_BATCH_H

#include <stdio.h>

#include "tui/command.h"

/*
 * Scripts: commands one after the other. The first one that fails ends the script, and its exit status is the script's;
 * with keep_going all are run and the first failure's status comes back.
 *
 * As virsh a text is checked as a whole before any of it runs; all of it is run, and the status is that of the last
 * command.
 */
int batch_text(struct session *session, const char *text, bool keep_going);

/* Commands are run as soon as they were read. name stands in errors. */
int batch_stream(struct session *session, FILE *in, bool keep_going);

#endif
