/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_EVENT_H
#define LODGE_TUI_CMD_EVENT_H

#include <jansson.h>

#include "tui/command.h"

/*
 * What event and qemu-monitor-event share: waiting for events until one came, the time is over, or the user interrupts;
 * with --loop until one of the latter. show prints an event and returns true, or returns false when it is not one that
 * was asked for.
 */
struct event_wait {
	struct session *session;
	bool loop;
	bool has_timeout;
	uint64_t timeout_s;
	char uuid[37]; /* of the only domain that counts; empty: all */
	bool (*show)(void *opaque, json_t *event);
	void *opaque;
};

/* --domain, --loop and --timeout. */
bool event_wait_args(struct event_wait *wait, const struct args *args, GError **err);
bool event_wait(const struct event_wait *wait, GError **err);

/* "2026-11-21 03:15:42.123+0000: " */
void event_print_time(FILE *out, int64_t time_us);

#endif
