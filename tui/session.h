/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_SESSION_H
#define LODGE_TUI_SESSION_H

#include "tui/command.h"

/* Standard output and error, no connection. */
void session_init(struct session *session);
void session_clear(struct session *session); /* closes the connection */

/* The next command connects there; uri NULL: the default. What was open is closed. */
void session_connect(struct session *session, const char *uri, bool readonly);

/* "table", "json", "csv", "xml", each with ",noheader". */
bool session_set_format(struct session *session, const char *text, GError **err);

/*
 * "error: ..." in one line; the exit status that goes with it. A newline in the message parts what failed from the
 * reason: as virsh they are two lines.
 */
int session_fail(struct session *session, const GError *error);

/* A line in the file of --log; nothing without it. level: "ERROR", "COMMAND". */
void session_log(struct session *session, const char *level, const char *text);

/* Lines about VMs that were found dead. */
void session_notices(struct session *session);

#endif
