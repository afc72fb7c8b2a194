/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/virtio.h"

/*
 * The split layout, virtio section 2.7: a descriptor table, an available ring the driver writes, a used ring the
 * device writes. Indices run free modulo 2^16 and a ring position is the index modulo the size, a power of two.
 */
#define AVAIL_FLAGS(vq) ((vq)->driver)
#define AVAIL_IDX(vq) ((vq)->driver + 2)
#define AVAIL_RING(vq, i) ((vq)->driver + 4 + UINT64_C(2) * ((i) & ((vq)->size - 1u)))
#define USED_EVENT(vq) ((vq)->driver + 4 + UINT64_C(2) * (vq)->size)
#define USED_FLAGS(vq) ((vq)->device)
#define USED_IDX(vq) ((vq)->device + 2)
#define USED_RING(vq, i) ((vq)->device + 4 + UINT64_C(8) * ((i) & ((vq)->size - 1u)))
#define AVAIL_EVENT(vq) ((vq)->device + 4 + UINT64_C(8) * (vq)->size)

#define AVAIL_F_NO_INTERRUPT 1u
#define USED_F_NO_NOTIFY 1u

struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static bool split_check(const struct virtqueue *vq)
{
	return (vq->size & (vq->size - 1)) == 0 && vq->desc % 16 == 0 && vq->driver % 2 == 0 && vq->device % 4 == 0 &&
	       virtqueue_range_ok(vq, vq->desc, (size_t)16 * vq->size, false) &&
	       virtqueue_range_ok(vq, vq->driver, 6 + (size_t)2 * vq->size, false) &&
	       virtqueue_range_ok(vq, vq->device, 6 + (size_t)8 * vq->size, true);
}

static bool load_le16(const struct virtqueue *vq, uint64_t gpa, uint16_t *val)
{
	uint16_t raw;

	if (!memory_load16(vq->mem, gpa, &raw))
		return false;
	*val = GUINT16_FROM_LE(raw);
	return true;
}

static bool read_desc(const struct virtqueue *vq, uint64_t gpa, struct split_desc *desc)
{
	if (!memory_read(vq->mem, gpa, desc, VIRTQ_DESC_SIZE))
		return false;
	desc->addr = GUINT64_FROM_LE(desc->addr);
	desc->len = GUINT32_FROM_LE(desc->len);
	desc->flags = GUINT16_FROM_LE(desc->flags);
	desc->next = GUINT16_FROM_LE(desc->next);
	return true;
}

/*
 * Follows the chain that starts at entry i of a table of count entries. Ends at the first descriptor without NEXT, or
 * at one that refers to an indirect table, which is handed to the caller.
 */
static bool walk_table(struct virtqueue *vq, struct virtqueue_chain *chain, uint64_t table, uint32_t count, uint16_t i,
		       struct split_desc *indirect)
{
	struct split_desc desc;

	for (unsigned steps = 0; steps < MIN(count, VIRTQUEUE_MAX_STEPS); steps++) {
		if (i >= count)
			return virtqueue_fail(vq, "descriptor index outside the table");
		if (table > UINT64_MAX - VIRTQ_DESC_SIZE * (uint64_t)i ||
		    !read_desc(vq, table + VIRTQ_DESC_SIZE * (uint64_t)i, &desc))
			return virtqueue_fail(vq, "descriptor table outside guest memory");
		if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
			*indirect = desc;
			return true;
		}
		if (!virtqueue_chain_add(vq, chain, desc.addr, desc.len, desc.flags & VIRTQ_DESC_F_WRITE))
			return false;
		if (!(desc.flags & VIRTQ_DESC_F_NEXT))
			return true;
		i = desc.next;
	}
	return virtqueue_fail(vq, "descriptor chain is too long or has no end");
}

/* virtio section 2.7.5.3: one table, last in the chain, not nested. */
static bool walk_indirect(struct virtqueue *vq, struct virtqueue_chain *chain, const struct split_desc *head)
{
	struct split_desc nested = { .flags = 0 };

	if (!vq->indirect || (head->flags & VIRTQ_DESC_F_NEXT))
		return virtqueue_fail(vq, "indirect descriptor where none may be");
	if (head->len == 0 || head->len % VIRTQ_DESC_SIZE)
		return virtqueue_fail(vq, "indirect table with a bad length");
	if (!walk_table(vq, chain, head->addr, head->len / VIRTQ_DESC_SIZE, 0, &nested))
		return false;
	return !(nested.flags & VIRTQ_DESC_F_INDIRECT) || virtqueue_fail(vq, "indirect table inside an indirect table");
}

static bool split_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct split_desc indirect = { .flags = 0 };
	uint16_t avail, head;

	if (!load_le16(vq, AVAIL_IDX(vq), &avail))
		return virtqueue_fail(vq, "available ring outside guest memory");
	if (avail == vq->avail_idx)
		return false;
	if ((uint16_t)(avail - vq->avail_idx) > vq->size)
		return virtqueue_fail(vq, "available index ran ahead of the ring");
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!load_le16(vq, AVAIL_RING(vq, vq->avail_idx), &head))
		return virtqueue_fail(vq, "available ring outside guest memory");
	if (!walk_table(vq, chain, vq->desc, vq->size, head, &indirect))
		return false;
	if ((indirect.flags & VIRTQ_DESC_F_INDIRECT) && !walk_indirect(vq, chain, &indirect))
		return false;
	chain->id = head;
	vq->avail_idx++;
	return true;
}

static bool split_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t len)
{
	uint64_t entry = USED_RING(vq, vq->used_idx);

	if (!memory_store32(vq->mem, entry, GUINT32_TO_LE(chain->id)) ||
	    !memory_store32(vq->mem, entry + 4, GUINT32_TO_LE(len)))
		return false;
	vq->used_idx++;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return memory_store16(vq->mem, USED_IDX(vq), GUINT16_TO_LE(vq->used_idx));
}

static bool split_wants_signal(struct virtqueue *vq)
{
	uint16_t word;

	if (!load_le16(vq, vq->event_idx ? USED_EVENT(vq) : AVAIL_FLAGS(vq), &word))
		return false;
	if (vq->event_idx)
		return virtqueue_event_passed(vq, word);
	return !(word & AVAIL_F_NO_INTERRUPT);
}

static bool split_silence(struct virtqueue *vq)
{
	/* With event indices an avail_event that is left behind says the same. */
	return vq->event_idx || memory_store16(vq->mem, USED_FLAGS(vq), GUINT16_TO_LE(USED_F_NO_NOTIFY));
}

static bool split_rearm(struct virtqueue *vq)
{
	if (vq->event_idx)
		return memory_store16(vq->mem, AVAIL_EVENT(vq), GUINT16_TO_LE(vq->avail_idx));
	return memory_store16(vq->mem, USED_FLAGS(vq), 0);
}

static bool split_has_work(struct virtqueue *vq)
{
	uint16_t avail;

	return load_le16(vq, AVAIL_IDX(vq), &avail) && avail != vq->avail_idx;
}

const struct virtqueue_ops virtqueue_split_ops = {
	.check = split_check,
	.pop = split_pop,
	.push = split_push,
	.wants_signal = split_wants_signal,
	.silence = split_silence,
	.rearm = split_rearm,
	.has_work = split_has_work,
};
