/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_MUX_H
#define LODGE_CONSOLE_MUX_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console/chardev.h"

struct vm_port_config;
struct stats_port;
struct stats_page;

/*
 * The multiplexer of one guest port: a chardev to the device, and behind it a ring buffer of what the guest said, an
 * optional log file, an optional back end (the XML's: pty, unix, tcp, file, stdio), and people who attach and leave.
 *
 * One attached stream may write to the guest; any number may read. A stream that attaches gets the ring buffer first
 * ("replay"), then what comes. A slow stream loses the oldest output and is told so once ("[lodge: N bytes lost]");
 * nobody ever waits for it. The back end counts as a stream that reads and writes beside the writer.
 */
#define MUX_RING_DEFAULT (256u << 10)
#define MUX_LOG_SIZE_DEFAULT (2u << 20) /* max_size and keep of a log the definition says nothing more about */
#define MUX_LOG_KEEP_DEFAULT 3u

struct mux_log {
	const char *path; /* NULL: no log */
	bool append;
	bool timestamps;   /* each line begins with UTC time, "2026-11-21T03:15:42.123Z " */
	uint64_t max_size; /* bytes; then it is renamed to PATH.0, that to PATH.1 ...; 0: it grows for ever */
	unsigned keep;	   /* how many old ones */
};

/*
 * A chardev: chardev_free() ends it, after those who keep reading have got the last words. backend_consume (may be
 * NULL) is a chardev of its own, gone also on failure. log may be NULL. The ring grows with what is printed, up to
 * ring_size bytes.
 */
struct chardev *mux_new(GMainContext *context, size_t ring_size, struct chardev *backend_consume,
			const struct mux_log *log, GError **err);

/* mux_new() with everything as the port's configuration says: what vmm/ports.c calls for each port. */
struct chardev *mux_new_port(GMainContext *context, const struct vm_port_config *port, GError **err);

enum {
	MUX_READONLY = 1 << 0,
	MUX_FORCE = 1 << 1, /* the present writer is told and put out */
	MUX_SAFE = 1 << 2,  /* refuse when anybody else is attached */
	MUX_NO_REPLAY = 1 << 3,
	MUX_NO_NOTICES = 1 << 4, /* nothing but the guest's bytes: for programs */
};

/*
 * A new stream: returns the user's end, a socket (raw bytes both ways). -1: LODGE_ERROR_STATE, somebody writes. Loop
 * thread.
 */
int mux_attach(struct chardev *mux, unsigned flags, GError **err);

/* Loop thread. The writer's terminal has this size: a device that can tell the guest does. */
void mux_resize(struct chardev *mux, uint16_t cols, uint16_t rows);

/* Loop thread. A break to the guest; whether anybody writes; how many are attached. */
void mux_send_break(struct chardev *mux);
bool mux_has_writer(const struct chardev *mux);
unsigned mux_viewers(const struct chardev *mux);

/* Copies the last at most len bytes of the ring; returns how many. Any thread. */
size_t mux_tail(struct chardev *mux, uint8_t *data, size_t len);

/*
 * Where the counters and the last output go, in the statistics page (core/model/stats-page.h); NULL: nowhere. They must
 * live as long as the mux. Set before the guest runs.
 */
void mux_set_stats(struct chardev *mux, struct stats_port *stats);
void mux_set_tail(struct chardev *mux, struct stats_page *page); /* stats_tail_write() */

/*
 * The chardev a definition's port leads to by itself, beside those who attach. *backend is NULL for type null. stdio
 * is the process's own log (descriptor 2), without input. All names are opened or bound here and now.
 */
bool chardev_new_backend(GMainContext *context, const struct vm_port_config *port, struct chardev **backend,
			 GError **err);

/*
 * Further back ends. pty: makes one; its path by chardev_path(). tcp: raw or telnet (RFC 854: negotiation stripped,
 * BREAK understood), listening or connecting (reconnects when reconnect_s is not 0). unix_connect: the same to a
 * socket somebody else listens at. file_truncated: as chardev_new_file(), starting empty.
 */
struct chardev *chardev_new_pty(GMainContext *context, GError **err);
struct chardev *chardev_new_tcp(GMainContext *context, const char *host, const char *service, bool listen, bool telnet,
				unsigned reconnect_s, GError **err);
struct chardev *chardev_new_unix_connect(GMainContext *context, const char *path, unsigned reconnect_s, GError **err);
struct chardev *chardev_new_file_truncated(GMainContext *context, const char *path, GError **err);

#endif
