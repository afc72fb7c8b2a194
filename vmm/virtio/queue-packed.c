/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/virtio.h"

/*
 * The packed layout, virtio section 2.8: one ring of descriptors that both sides write, and an event suppression word
 * pair for each side. A descriptor is available when its AVAIL bit equals the device's wrap counter and its USED bit
 * does not. A chain lies in consecutive ring entries and is given back in one entry, at the device's own position,
 * with the buffer id; that position then moves on by the entries the chain took.
 */
#define DESC(vq, i) ((vq)->desc + VIRTQ_DESC_SIZE * (uint64_t)(i))
#define DESC_LEN 8
#define DESC_ID 12
#define DESC_FLAGS 14
#define DESC_F_AVAIL 0x0080u
#define DESC_F_USED 0x8000u

#define EVENT_DESC(area) (area)
#define EVENT_FLAGS(area) ((area) + 2)
#define EVENT_ENABLE 0u
#define EVENT_DISABLE 1u
#define EVENT_AT_DESC 2u
#define EVENT_WRAP 0x8000u

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

static bool packed_check(const struct virtqueue *vq)
{
	return vq->desc % 16 == 0 && vq->driver % 4 == 0 && vq->device % 4 == 0 &&
	       virtqueue_range_ok(vq, vq->desc, (size_t)16 * vq->size, true) &&
	       virtqueue_range_ok(vq, vq->driver, 4, false) && virtqueue_range_ok(vq, vq->device, 4, true);
}

static bool read_desc(const struct virtqueue *vq, uint64_t gpa, struct packed_desc *desc)
{
	if (!memory_read(vq->mem, gpa, desc, VIRTQ_DESC_SIZE))
		return false;
	desc->addr = GUINT64_FROM_LE(desc->addr);
	desc->len = GUINT32_FROM_LE(desc->len);
	desc->id = GUINT16_FROM_LE(desc->id);
	desc->flags = GUINT16_FROM_LE(desc->flags);
	return true;
}

static bool packed_has_work(struct virtqueue *vq)
{
	uint16_t raw, flags;

	if (!memory_load16(vq->mem, DESC(vq, vq->avail_idx) + DESC_FLAGS, &raw))
		return false;
	flags = GUINT16_FROM_LE(raw);
	return !!(flags & DESC_F_AVAIL) == vq->avail_wrap && !!(flags & DESC_F_USED) != vq->avail_wrap;
}

/* virtio section 2.8.7: the entries of the table in order; of their flags only WRITE means something. */
static bool walk_indirect(struct virtqueue *vq, struct virtqueue_chain *chain, const struct packed_desc *head)
{
	uint32_t count = head->len / VIRTQ_DESC_SIZE;

	if (!vq->indirect || chain->slots > 1 || (head->flags & VIRTQ_DESC_F_NEXT))
		return virtqueue_fail(vq, "indirect descriptor where none may be");
	if (count == 0 || head->len % VIRTQ_DESC_SIZE)
		return virtqueue_fail(vq, "indirect table with a bad length");
	if (count > VIRTQUEUE_MAX_STEPS)
		return virtqueue_fail(vq, "descriptor chain is too long or has no end");
	for (uint32_t i = 0; i < count; i++) {
		struct packed_desc desc;

		if (head->addr > UINT64_MAX - VIRTQ_DESC_SIZE * (uint64_t)i ||
		    !read_desc(vq, head->addr + VIRTQ_DESC_SIZE * (uint64_t)i, &desc))
			return virtqueue_fail(vq, "descriptor table outside guest memory");
		if (desc.flags & VIRTQ_DESC_F_INDIRECT)
			return virtqueue_fail(vq, "indirect table inside an indirect table");
		if (!virtqueue_chain_add(vq, chain, desc.addr, desc.len, desc.flags & VIRTQ_DESC_F_WRITE))
			return false;
	}
	return true;
}

/* Collects the chain at the ring's position; chain->slots counts its entries. The buffer id is the last entry's. */
static bool walk_ring(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct packed_desc desc;
	uint16_t i = vq->avail_idx;

	for (chain->slots = 1; chain->slots <= vq->size; chain->slots++) {
		if (!read_desc(vq, DESC(vq, i), &desc))
			return virtqueue_fail(vq, "descriptor ring outside guest memory");
		chain->id = desc.id;
		if (desc.flags & VIRTQ_DESC_F_INDIRECT)
			return walk_indirect(vq, chain, &desc);
		if (!virtqueue_chain_add(vq, chain, desc.addr, desc.len, desc.flags & VIRTQ_DESC_F_WRITE))
			return false;
		if (!(desc.flags & VIRTQ_DESC_F_NEXT))
			return true;
		i = i + 1u == vq->size ? 0 : (uint16_t)(i + 1);
	}
	return virtqueue_fail(vq, "descriptor chain is too long or has no end");
}

static void advance(const struct virtqueue *vq, uint16_t *idx, bool *wrap, uint16_t slots)
{
	uint32_t next = (uint32_t)*idx + slots;

	if (next >= vq->size) {
		next -= vq->size;
		*wrap = !*wrap;
	}
	*idx = (uint16_t)next;
}

static bool packed_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if (!packed_has_work(vq))
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!walk_ring(vq, chain))
		return false;
	advance(vq, &vq->avail_idx, &vq->avail_wrap, chain->slots);
	return true;
}

static bool packed_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t len)
{
	uint64_t entry = DESC(vq, vq->used_idx);
	uint16_t flags = (uint16_t)((vq->used_wrap ? DESC_F_AVAIL | DESC_F_USED : 0) | (len ? VIRTQ_DESC_F_WRITE : 0));

	if (!memory_store32(vq->mem, entry + DESC_LEN, GUINT32_TO_LE(len)) ||
	    !memory_store16(vq->mem, entry + DESC_ID, GUINT16_TO_LE(chain->id)))
		return false;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	advance(vq, &vq->used_idx, &vq->used_wrap, chain->slots);
	return memory_store16(vq->mem, entry + DESC_FLAGS, GUINT16_TO_LE(flags));
}

static bool packed_wants_signal(struct virtqueue *vq)
{
	uint16_t raw_flags, raw_event, event;

	if (!memory_load16(vq->mem, EVENT_FLAGS(vq->driver), &raw_flags))
		return false;
	switch (GUINT16_FROM_LE(raw_flags) & 3) {
	case EVENT_DISABLE:
		return false;
	case EVENT_AT_DESC:
		break;
	default:
		return true;
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!vq->event_idx || !memory_load16(vq->mem, EVENT_DESC(vq->driver), &raw_event))
		return true;
	event = GUINT16_FROM_LE(raw_event);
	/* A position of the previous round counts from one ring size below this round's 0. */
	if (!!(event & EVENT_WRAP) == vq->used_wrap)
		event &= EVENT_WRAP - 1;
	else
		event = (uint16_t)((event & (EVENT_WRAP - 1)) - vq->size);
	return virtqueue_event_passed(vq, event);
}

static bool packed_silence(struct virtqueue *vq)
{
	return memory_store16(vq->mem, EVENT_FLAGS(vq->device), GUINT16_TO_LE(EVENT_DISABLE));
}

static bool packed_rearm(struct virtqueue *vq)
{
	uint16_t position = (uint16_t)(vq->avail_idx | (vq->avail_wrap ? EVENT_WRAP : 0));

	if (!vq->event_idx)
		return memory_store16(vq->mem, EVENT_FLAGS(vq->device), GUINT16_TO_LE(EVENT_ENABLE));
	if (!memory_store16(vq->mem, EVENT_DESC(vq->device), GUINT16_TO_LE(position)))
		return false;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return memory_store16(vq->mem, EVENT_FLAGS(vq->device), GUINT16_TO_LE(EVENT_AT_DESC));
}

const struct virtqueue_ops virtqueue_packed_ops = {
	.check = packed_check,
	.pop = packed_pop,
	.push = packed_push,
	.wants_signal = packed_wants_signal,
	.silence = packed_silence,
	.rearm = packed_rearm,
	.has_work = packed_has_work,
};
