/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chain walks over rings that hold anything. Input: byte 0 bit 0 packed, bit 1 event indices, bit 2 indirect; byte 1
 * ring size; then steps: u16 address, u8 length, bytes: put into guest memory; a length of 0: let the device work on
 * the queue. Rings lie at 0, 0x1000 and 0x2000.
 */
#include <glib.h>
#include <string.h>

#include "vmm/virtio/virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (UINT64_C(1) << 20)
#define REACH 0x10000u /* what a step's address can reach */

static bool inside_ram(const struct memory *mem, const struct iovec *iov)
{
	const struct memory_slot *slot = memory_find(mem, 0);
	const uint8_t *from = iov->iov_base;

	return from >= slot->host && iov->iov_len <= slot->size &&
	       (size_t)(from - slot->host) <= slot->size - iov->iov_len;
}

static void check_chain(const struct memory *mem, const struct virtqueue_chain *chain)
{
	uint64_t out = 0, in = 0;

	g_assert_cmpuint(chain->n_out + chain->n_in, <=, VIRTQUEUE_MAX_SEGMENTS);
	for (unsigned i = 0; i < chain->n_out + chain->n_in; i++) {
		g_assert_true(inside_ram(mem, &chain->iov[i]));
		*(i < chain->n_out ? &out : &in) += chain->iov[i].iov_len;
	}
	g_assert_cmpuint(out, ==, chain->out_len);
	g_assert_cmpuint(in, ==, chain->in_len);
}

static void work(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	uint8_t buf[64];

	virtqueue_silence(vq);
	for (unsigned i = 0; i < 2u * VIRTIO_QUEUE_SIZE && virtqueue_pop(vq, chain); i++) {
		check_chain(vq->mem, chain);
		virtqueue_chain_read(chain, 3, buf, sizeof(buf));
		virtqueue_chain_fill(chain, 0, 0x11, 32);
		virtqueue_push(vq, chain, MIN(chain->in_len, 32));
		virtqueue_wants_signal(vq);
	}
	virtqueue_rearm(vq);
	if (vq->ops == &virtqueue_packed_ops) {
		g_assert_cmpuint(vq->avail_idx, <, vq->size);
		g_assert_cmpuint(vq->used_idx, <, vq->size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory *mem;
	static struct virtqueue_chain chain;
	struct virtqueue vq = { .max_size = VIRTIO_QUEUE_SIZE, .desc = 0, .driver = 0x1000, .device = 0x2000 };
	size_t pos = 2;

	if (size < 2)
		return 0;
	if (!mem)
		mem = memory_new(RAM, NULL);
	if (!memory_fill(mem, 0, 0, REACH + 256))
		return 0;
	vq.size = (uint16_t)(data[1] + 1);
	if (!virtqueue_start(&vq, mem,
			     (data[0] & 1 ? VIRTIO_F_RING_PACKED : 0) | (data[0] & 2 ? VIRTIO_F_EVENT_IDX : 0) |
				     (data[0] & 4 ? VIRTIO_F_INDIRECT_DESC : 0)))
		return 0;
	while (size - pos >= 3) {
		uint64_t gpa = data[pos] | (uint64_t)data[pos + 1] << 8;
		size_t len = MIN(data[pos + 2], size - pos - 3);

		if (data[pos + 2] == 0)
			work(&vq, &chain);
		else
			g_assert_true(memory_write(mem, gpa, data + pos + 3, len));
		pos += 3 + len;
	}
	work(&vq, &chain);
	return 0;
}
