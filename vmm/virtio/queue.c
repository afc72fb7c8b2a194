/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/virtio.h"

#include <string.h>

/*
 * What split and packed virtqueues share: the life of a queue and the chains taken from it.
 *
 * A chain is built from descriptors that were each copied out of guest memory exactly once; addresses go through
 * memory_iov(), so an iovec never reaches outside guest RAM. Work per chain is bounded three ways: descriptors looked
 * at, host ranges, and total bytes (virtio section 2.7.5: 2^32). The first rule a driver breaks stops the queue: pop,
 * push and the rest do nothing while error is set.
 */
void virtqueue_reset(struct virtqueue *vq)
{
	*vq = (struct virtqueue){
		.index = vq->index,
		.max_size = vq->max_size,
		.size = vq->max_size,
		.vector = VIRTIO_NO_VECTOR,
	};
}

bool virtqueue_fail(struct virtqueue *vq, const char *why)
{
	vq->error = why;
	return false;
}

bool virtqueue_range_ok(const struct virtqueue *vq, uint64_t gpa, size_t len, bool write)
{
	struct iovec iov[2];
	size_t n = 0;

	return memory_iov(vq->mem, gpa, len, write, iov, G_N_ELEMENTS(iov), &n);
}

bool virtqueue_start(struct virtqueue *vq, struct memory *mem, uint64_t features)
{
	vq->ops = features & VIRTIO_F_RING_PACKED ? &virtqueue_packed_ops : &virtqueue_split_ops;
	vq->mem = mem;
	vq->indirect = features & VIRTIO_F_INDIRECT_DESC;
	vq->event_idx = features & VIRTIO_F_EVENT_IDX;
	vq->avail_idx = vq->used_idx = 0;
	vq->avail_wrap = vq->used_wrap = true;
	vq->silent = false;
	vq->force_signal = true;
	vq->unsignalled = 0;
	vq->error = NULL;
	if (vq->size == 0 || vq->size > vq->max_size || !vq->ops->check(vq))
		return virtqueue_fail(vq, "virtqueue set up with a bad size or addresses");
	return true;
}

bool virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if (vq->error)
		return false;
	chain->slots = 1;
	chain->n_out = chain->n_in = chain->n_segments = 0;
	chain->out_len = chain->in_len = 0;
	return vq->ops->pop(vq, chain);
}

bool virtqueue_chain_add(struct virtqueue *vq, struct virtqueue_chain *chain, uint64_t gpa, uint32_t len, bool write)
{
	uint64_t total = (uint64_t)chain->out_len + chain->in_len + len;
	size_t n = chain->n_out + chain->n_in;

	if (len == 0)
		return true;
	if (!write && chain->n_in)
		return virtqueue_fail(vq, "readable descriptor after a writable one");
	if (total > UINT32_MAX)
		return virtqueue_fail(vq, "descriptor chain of 4 GiB or more");
	if (!memory_iov(vq->mem, gpa, len, write, chain->iov, G_N_ELEMENTS(chain->iov), &n))
		return virtqueue_fail(vq, "descriptor outside guest memory, or too many of them in one chain");
	if (!write) {
		chain->n_out = (unsigned)n;
		chain->out_len += len;
		return true;
	}
	chain->n_in = (unsigned)n - chain->n_out;
	chain->in_len += len;
	chain->segments[chain->n_segments++] = (struct virtqueue_segment){ gpa, len };
	return true;
}

static void note_written(const struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t len)
{
	for (unsigned i = 0; i < chain->n_segments && len; i++) {
		uint32_t part = MIN(len, chain->segments[i].len);

		memory_note_write(vq->mem, chain->segments[i].gpa, part);
		len -= part;
	}
}

void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t len)
{
	note_written(vq, chain, len);
	if (vq->error)
		return;
	if (vq->ops->push(vq, chain, len))
		vq->unsignalled += chain->slots;
	else
		virtqueue_fail(vq, "used ring outside guest memory");
}

bool virtqueue_wants_signal(struct virtqueue *vq)
{
	bool wanted;

	if (vq->error || vq->unsignalled == 0)
		return false;
	/* The entries just used must be visible before the driver's wish is read; the driver does the opposite. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wanted = vq->ops->wants_signal(vq);
	vq->force_signal = false;
	vq->unsignalled = 0;
	return wanted;
}

void virtqueue_silence(struct virtqueue *vq)
{
	if (vq->error || vq->silent)
		return;
	vq->silent = true;
	if (!vq->ops->silence(vq))
		virtqueue_fail(vq, "device area outside guest memory");
}

bool virtqueue_rearm(struct virtqueue *vq)
{
	if (vq->error)
		return false;
	vq->silent = false;
	if (!vq->ops->rearm(vq))
		return virtqueue_fail(vq, "device area outside guest memory");
	/* Either the driver sees the wish, or the chain it added before is seen here. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return vq->ops->has_work(vq);
}

/* --- bytes of a chain --- */

unsigned virtqueue_chain_slice(const struct virtqueue_chain *chain, bool write, size_t off, size_t len,
			       struct iovec *iov)
{
	const struct iovec *from = chain->iov + (write ? chain->n_out : 0);
	unsigned n_from = write ? chain->n_in : chain->n_out;
	unsigned n = 0;

	for (unsigned i = 0; i < n_from && len; i++) {
		size_t part;

		if (off >= from[i].iov_len) {
			off -= from[i].iov_len;
			continue;
		}
		part = MIN(len, from[i].iov_len - off);
		iov[n++] = (struct iovec){ .iov_base = (uint8_t *)from[i].iov_base + off, .iov_len = part };
		len -= part;
		off = 0;
	}
	return n;
}

typedef void (*chunk_fn)(void *host, size_t done, size_t len, void *opaque);

/* Calls fn for each host range of [off, off + len); returns the bytes covered. */
static size_t for_each_chunk(const struct iovec *iov, unsigned n, size_t off, size_t len, chunk_fn fn, void *opaque)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		part = MIN(len - done, iov[i].iov_len - off);
		fn((uint8_t *)iov[i].iov_base + off, done, part, opaque);
		done += part;
		off = 0;
	}
	return done;
}

static void copy_out(void *host, size_t done, size_t len, void *opaque)
{
	memcpy((uint8_t *)opaque + done, host, len);
}

static void copy_in(void *host, size_t done, size_t len, void *opaque)
{
	memcpy(host, *(const uint8_t *const *)opaque + done, len);
}

static void fill_in(void *host, size_t done, size_t len, void *opaque)
{
	(void)done;
	memset(host, *(const uint8_t *)opaque, len);
}

size_t virtqueue_chain_read(const struct virtqueue_chain *chain, size_t off, void *buf, size_t len)
{
	return for_each_chunk(chain->iov, chain->n_out, off, len, copy_out, buf);
}

size_t virtqueue_chain_write(const struct virtqueue_chain *chain, size_t off, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	return for_each_chunk(chain->iov + chain->n_out, chain->n_in, off, len, copy_in, &from);
}

size_t virtqueue_chain_fill(const struct virtqueue_chain *chain, size_t off, uint8_t byte, size_t len)
{
	return for_each_chunk(chain->iov + chain->n_out, chain->n_in, off, len, fill_in, &byte);
}
