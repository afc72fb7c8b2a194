/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/byte-ring.h"

#include <string.h>

#define FIRST_CAP 4096u

static void grow(struct byte_ring *ring, size_t need)
{
	size_t cap = MAX(ring->cap, MIN(FIRST_CAP, ring->max));
	uint8_t *data;

	while (cap < need)
		cap = cap > ring->max / 2 ? ring->max : cap * 2;
	if (cap == ring->cap)
		return;
	data = g_malloc(cap);
	byte_ring_copy(ring, 0, data, ring->len);
	g_free(ring->data);
	ring->data = data;
	ring->cap = cap;
	ring->start = 0;
}

static size_t make_room(struct byte_ring *ring, size_t len)
{
	size_t excess;

	grow(ring, MIN(ring->max, ring->len + len));
	if (len <= ring->cap - ring->len)
		return 0;
	excess = len - (ring->cap - ring->len);
	ring->start = (ring->start + excess) % ring->cap;
	ring->len -= excess;
	return excess;
}

size_t byte_ring_put(struct byte_ring *ring, const uint8_t *data, size_t len)
{
	size_t dropped = 0;

	if (len > ring->max) {
		dropped = len - ring->max;
		data += dropped;
		len = ring->max;
	}
	if (!len)
		return dropped;
	dropped += make_room(ring, len);
	for (size_t done = 0; done < len;) {
		size_t end = (ring->start + ring->len) % ring->cap;
		size_t part = MIN(len - done, ring->cap - end);

		memcpy(ring->data + end, data + done, part);
		ring->len += part;
		done += part;
	}
	return dropped;
}

size_t byte_ring_copy(const struct byte_ring *ring, size_t off, uint8_t *data, size_t len)
{
	size_t done = 0;

	if (off >= ring->len)
		return 0;
	len = MIN(len, ring->len - off);
	while (done < len) {
		size_t from = (ring->start + off + done) % ring->cap;
		size_t part = MIN(len - done, ring->cap - from);

		memcpy(data + done, ring->data + from, part);
		done += part;
	}
	return len;
}

size_t byte_ring_take(struct byte_ring *ring, uint8_t *data, size_t len)
{
	len = byte_ring_copy(ring, 0, data, len);
	ring->len -= len;
	/* Starting over at 0 keeps a ring that is drained in time in its first pages. */
	ring->start = ring->len ? (ring->start + len) % ring->cap : 0;
	return len;
}

void byte_ring_clear(struct byte_ring *ring)
{
	g_clear_pointer(&ring->data, g_free);
	ring->cap = ring->start = ring->len = 0;
}
