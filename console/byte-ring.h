/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_BYTE_RING_H
#define LODGE_CONSOLE_BYTE_RING_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The latest bytes of a stream, at most max of them. Memory is taken as bytes come, by doubling, and never beyond max.
 * All zero but max is an empty ring. Not locked.
 */
struct byte_ring {
	uint8_t *data;
	size_t cap, max, start, len;
};

/* Appends, dropping the oldest bytes beyond max; returns how many were dropped. */
size_t byte_ring_put(struct byte_ring *ring, const uint8_t *data, size_t len);

/* Copies at most len bytes from off bytes behind the oldest one; returns how many there were. */
size_t byte_ring_copy(const struct byte_ring *ring, size_t off, uint8_t *data, size_t len);

/* Copies and drops the oldest bytes, at most len; returns how many there were. */
size_t byte_ring_take(struct byte_ring *ring, uint8_t *data, size_t len);

/* Empty, and without memory. */
void byte_ring_clear(struct byte_ring *ring);

#endif
