/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_BASE_WIRE_H
#define LODGE_CORE_BASE_WIRE_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/cleanup.h"

/*
 * JSON objects on a stream socket, one after the other, as QMP frames them (a line each when written, any white space
 * between them when read), with file descriptors beside them. Both ends of the control socket and the socketpairs
 * between front end, warden and VM use it. One thread at a time.
 */
#define WIRE_MAX_MESSAGE (1u << 20) /* bytes; more is LODGE_ERROR_INPUT */
#define WIRE_MAX_DEPTH 32u
#define WIRE_MAX_FDS 16u /* with one message */

static inline void wire_json_unref(json_t **json)
{
	json_decref(*json);
}
/* A local `auto_json json_t *x = NULL;` owns a reference. */
#define auto_json __attribute__((cleanup(wire_json_unref)))

struct wire;

struct wire *wire_new(int fd_consume); /* a connected socket; blocking or not */
void wire_free(struct wire *wire);     /* closes it, and descriptors that came and were not taken */
DEFINE_AUTOPTR(wire, wire_free)

int wire_fd(const struct wire *wire);

/*
 * Appends to the output and writes what the socket takes; the rest waits for wire_flush(). fds (not consumed) travel
 * with the message. False: the peer is gone, or more than WIRE_MAX_PENDING bytes wait for it.
 */
#define WIRE_MAX_PENDING (4u << 20)
bool wire_send(struct wire *wire, const json_t *message, const int *fds, size_t n_fds, GError **err);
bool wire_flush(struct wire *wire, GError **err); /* writes until done or the socket would block */
bool wire_pending(const struct wire *wire);	  /* output waits: poll for POLLOUT */

/*
 * Reads what is there (once, and only when no complete object waits) and takes one object out. Returns 1: *message is a
 * new reference, and more may wait: call again; 0: none complete yet; -1: end of stream (no error set), or an error,
 * after which the stream is out of step and every call fails. Never blocks on a non-blocking socket.
 */
int wire_receive(struct wire *wire, json_t **message, GError **err);

/*
 * Waits for the next object at most timeout_ms (-1: for ever). NULL with an error; LODGE_ERROR_STATE: timed out, or the
 * peer closed.
 */
json_t *wire_wait(struct wire *wire, int timeout_ms, GError **err);

/* The oldest descriptor that came along, or -1. The caller closes it. */
int wire_take_fd(struct wire *wire);

#endif
