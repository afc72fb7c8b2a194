/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "core/base/error.h"
#include "vmm/block/block.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/virtio.h"
#include "vmm/vm.h"

/*
 * Block device, virtio section 5.2, over a block node.
 *
 * One I/O thread per device sleeps on kick_fd and serves all queues, one request at a time, data moving straight
 * between guest RAM and the node. It works with io_lock held and looks at active before every request. Whoever wants
 * the device at rest clears active and takes io_lock once: then the request in flight is complete and no other will
 * begin. The thread never takes the device lock, so that may be done while holding it.
 *
 * Whatever the outcome, every writable byte of a request has been written when it is given back: data the guest did
 * not get reads as zeros.
 */
#define BLK_ID 2
#define SECTOR 512u
#define SECTOR_SHIFT 9
#define ID_BYTES 20u

#define F_SEG_MAX VIRTIO_BIT(2)
#define F_RO VIRTIO_BIT(5)
#define F_BLK_SIZE VIRTIO_BIT(6)
#define F_FLUSH VIRTIO_BIT(9)
#define F_TOPOLOGY VIRTIO_BIT(10)
#define F_MQ VIRTIO_BIT(12)
#define F_DISCARD VIRTIO_BIT(13)
#define F_WRITE_ZEROES VIRTIO_BIT(14)

/* Configuration, section 5.2.4 */
enum {
	CONFIG_CAPACITY = 0,
	CONFIG_SEG_MAX = 12,
	CONFIG_BLK_SIZE = 20,
	CONFIG_PHYSICAL_EXP = 24,
	CONFIG_MIN_IO = 26,
	CONFIG_NUM_QUEUES = 34,
	CONFIG_MAX_DISCARD_SECTORS = 36,
	CONFIG_MAX_DISCARD_SEG = 40,
	CONFIG_DISCARD_ALIGNMENT = 44,
	CONFIG_MAX_ZEROES_SECTORS = 48,
	CONFIG_MAX_ZEROES_SEG = 52,
	CONFIG_ZEROES_MAY_UNMAP = 56,
	CONFIG_LEN = 60,
};

#define SEG_MAX (VIRTIO_QUEUE_SIZE - 2) /* header and status take two */
#define PHYSICAL_BLOCK 4096u
#define MAX_RANGES 16u
#define MAX_RANGE_SECTORS (1u << 22) /* 2 GiB: bounds the time one request can take */

/* Section 5.2.6: request types, status values, discard and write-zeroes ranges. */
enum { REQ_IN = 0, REQ_OUT = 1, REQ_FLUSH = 4, REQ_GET_ID = 8, REQ_DISCARD = 11, REQ_WRITE_ZEROES = 13 };
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPP = 2 };

#define RANGE_UNMAP 1u

struct request_header {
	uint32_t type, reserved;
	uint64_t sector;
};

struct request_range {
	uint64_t sector;
	uint32_t n_sectors, flags;
};

G_STATIC_ASSERT(sizeof(struct request_header) == 16 && sizeof(struct request_range) == 16);

/* Chains of one queue served before the next queue has its turn. */
#define BATCH 16u

struct virtio_blk {
	struct virtio_device vdev;
	struct block_node *node;
	char id[ID_BYTES];
	GThread *thread;
	GMutex io_lock;
	bool active; /* atomic; set under io_lock */
	bool quit;   /* atomic */
	struct stats_disk own_stats, *stats;
	/* the I/O thread's */
	struct virtqueue_chain chain;
	struct iovec iov[VIRTQUEUE_MAX_SEGMENTS];
};

static struct virtio_blk *blk_of(struct device *dev)
{
	return (struct virtio_blk *)(void *)dev;
}

/* --- one request; I/O thread, io_lock held --- */

static uint8_t status_of(int result)
{
	return result == 0 ? STATUS_OK : result == -EOPNOTSUPP ? STATUS_UNSUPP : STATUS_IOERR;
}

static bool byte_offset(const struct virtio_blk *blk, uint64_t sector, uint64_t *offset)
{
	if (sector > blk->node->size >> SECTOR_SHIFT)
		return false;
	*offset = sector << SECTOR_SHIFT;
	return true;
}

/* len: bytes of the writable part before the status byte. */
static uint8_t do_in(struct virtio_blk *blk, const struct request_header *header, uint32_t len)
{
	uint64_t offset;
	unsigned n;

	if (len % SECTOR || !byte_offset(blk, header->sector, &offset))
		return STATUS_IOERR;
	n = virtqueue_chain_slice(&blk->chain, true, 0, len, blk->iov);
	return status_of(blk->node->class->readv(blk->node, offset, blk->iov, (int)n));
}

static uint8_t do_flush(struct virtio_blk *blk)
{
	return status_of(blk->node->class->flush(blk->node));
}

/* Without FLUSH the driver counts on a completed write being safe (section 5.2.5.2). */
static uint8_t after_write(struct virtio_blk *blk, int result)
{
	if (result == 0 && !(blk->vdev.features & F_FLUSH))
		return do_flush(blk);
	return status_of(result);
}

static uint8_t do_out(struct virtio_blk *blk, const struct request_header *header)
{
	uint32_t len = blk->chain.out_len - (uint32_t)sizeof(*header);
	uint64_t offset;
	unsigned n;

	if (len % SECTOR || !byte_offset(blk, header->sector, &offset))
		return STATUS_IOERR;
	n = virtqueue_chain_slice(&blk->chain, false, sizeof(*header), len, blk->iov);
	return after_write(blk, blk->node->class->writev(blk->node, offset, blk->iov, (int)n));
}

static uint8_t check_range(const struct virtio_blk *blk, const struct request_range *range, uint32_t known_flags)
{
	uint64_t sectors = blk->node->size >> SECTOR_SHIFT;

	if (range->flags & ~known_flags)
		return STATUS_UNSUPP;
	if (range->n_sectors > MAX_RANGE_SECTORS || range->sector > sectors ||
	    range->n_sectors > sectors - range->sector)
		return STATUS_IOERR;
	return STATUS_OK;
}

static int apply_range(struct virtio_blk *blk, uint32_t type, const struct request_range *range)
{
	const struct block_class *class = blk->node->class;
	uint64_t offset = range->sector << SECTOR_SHIFT, len = (uint64_t)range->n_sectors << SECTOR_SHIFT;

	if (type == REQ_DISCARD)
		return class->discard(blk->node, offset, len);
	return class->write_zeroes(blk->node, offset, len, range->flags & RANGE_UNMAP);
}

/* All ranges are checked before the first is applied. */
static uint8_t do_ranges(struct virtio_blk *blk, uint32_t type)
{
	struct request_range ranges[MAX_RANGES];
	size_t len = blk->chain.out_len - sizeof(struct request_header);
	size_t n = len / sizeof(ranges[0]);
	int result = 0;

	if (n == 0 || n > MAX_RANGES || len % sizeof(ranges[0]))
		return STATUS_IOERR;
	virtqueue_chain_read(&blk->chain, sizeof(struct request_header), ranges, len);
	for (size_t i = 0; i < n; i++) {
		uint8_t status;

		ranges[i].sector = GUINT64_FROM_LE(ranges[i].sector);
		ranges[i].n_sectors = GUINT32_FROM_LE(ranges[i].n_sectors);
		ranges[i].flags = GUINT32_FROM_LE(ranges[i].flags);
		status = check_range(blk, &ranges[i], type == REQ_WRITE_ZEROES ? RANGE_UNMAP : 0);
		if (status != STATUS_OK)
			return status;
	}
	for (size_t i = 0; i < n && result == 0; i++)
		result = apply_range(blk, type, &ranges[i]);
	return after_write(blk, result);
}

/* Section 5.2.6.1: 20 bytes, padded with zeros when shorter. */
static uint8_t do_get_id(struct virtio_blk *blk, uint32_t len)
{
	size_t done = virtqueue_chain_write(&blk->chain, 0, blk->id, MIN(len, ID_BYTES));

	virtqueue_chain_fill(&blk->chain, done, 0, len - done);
	return STATUS_OK;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Bucket i holds what took less than 2^i * 16 us. */
static unsigned latency_bucket(uint64_t ns)
{
	return MIN((unsigned)g_bit_storage(ns / (16 * NS_PER_US)), STATS_LATENCY_BUCKETS - 1);
}

static bool op_of(uint32_t type, enum stats_op *op)
{
	switch (type) {
	case REQ_IN:
		*op = STATS_READ;
		return true;
	case REQ_OUT:
		*op = STATS_WRITE;
		return true;
	case REQ_FLUSH:
		*op = STATS_FLUSH;
		return true;
	case REQ_DISCARD:
	case REQ_WRITE_ZEROES:
		*op = STATS_DISCARD;
		return true;
	default:
		return false;
	}
}

static void count(struct virtio_blk *blk, uint32_t type, uint8_t status, uint64_t bytes, uint64_t ns)
{
	enum stats_op op;

	if (!op_of(type, &op))
		return;
	stats_add(&blk->stats->op[op].requests, 1);
	stats_add(&blk->stats->op[op].time_ns, ns);
	stats_add(&blk->stats->op[op].latency[latency_bucket(ns)], 1);
	if (status == STATUS_OK)
		stats_add(&blk->stats->op[op].bytes, bytes);
	else
		stats_add(&blk->stats->op[op].errors, 1);
}

static uint8_t execute(struct virtio_blk *blk, const struct request_header *header, uint32_t in_len)
{
	bool changes = header->type == REQ_OUT || header->type == REQ_DISCARD || header->type == REQ_WRITE_ZEROES;

	if (changes && blk->node->readonly)
		return STATUS_IOERR;
	switch (header->type) {
	case REQ_IN:
		return do_in(blk, header, in_len);
	case REQ_OUT:
		return do_out(blk, header);
	case REQ_FLUSH:
		return do_flush(blk);
	case REQ_GET_ID:
		return do_get_id(blk, in_len);
	case REQ_DISCARD:
	case REQ_WRITE_ZEROES:
		return blk->vdev.features & (header->type == REQ_DISCARD ? F_DISCARD : F_WRITE_ZEROES) ?
			       do_ranges(blk, header->type) :
			       STATUS_UNSUPP;
	default:
		return STATUS_UNSUPP;
	}
}

/*
 * Drivers may cut a request into descriptors as they like (section 2.7.4): header first, status byte last, the data
 * between.
 */
static void serve(struct virtio_blk *blk, struct virtqueue *vq)
{
	struct virtqueue_chain *chain = &blk->chain;
	struct request_header header;
	uint32_t data_len;
	uint64_t since;
	uint8_t status;

	if (chain->out_len < sizeof(header) || chain->in_len < 1) {
		virtio_break(&blk->vdev, "block request without room for header and status");
		return;
	}
	virtqueue_chain_read(chain, 0, &header, sizeof(header));
	header.type = GUINT32_FROM_LE(header.type);
	header.sector = GUINT64_FROM_LE(header.sector);
	data_len = chain->in_len - 1;
	since = now_ns();
	status = execute(blk, &header, data_len);
	count(blk, header.type, status,
	      header.type == REQ_IN ? data_len : header.type == REQ_OUT ? chain->out_len - sizeof(header) : 0,
	      now_ns() - since);
	if (status != STATUS_OK || (header.type != REQ_IN && header.type != REQ_GET_ID))
		virtqueue_chain_fill(chain, 0, 0, data_len);
	virtqueue_chain_write(chain, data_len, &status, 1);
	virtio_complete(&blk->vdev, vq, chain, chain->in_len);
}

/* --- the I/O thread --- */

static bool is_active(const struct virtio_blk *blk)
{
	return __atomic_load_n(&blk->active, __ATOMIC_ACQUIRE);
}

/* True when there may be more to do. */
static bool serve_queue(struct virtio_blk *blk, struct virtqueue *vq)
{
	virtio_silence(&blk->vdev, vq);
	for (unsigned i = 0; i < BATCH; i++) {
		if (!is_active(blk))
			return false;
		if (!virtio_pop(&blk->vdev, vq, &blk->chain))
			return virtio_rearm(&blk->vdev, vq);
		serve(blk, vq);
	}
	return true;
}

static void serve_queues(struct virtio_blk *blk)
{
	bool more = true;

	while (more && is_active(blk)) {
		more = false;
		for (unsigned i = 0; i < blk->vdev.n_queues && is_active(blk); i++)
			if (serve_queue(blk, &blk->vdev.queues[i]))
				more = true;
	}
}

static void *io_thread(void *opaque)
{
	struct virtio_blk *blk = opaque;
	eventfd_t count;

	while (!__atomic_load_n(&blk->quit, __ATOMIC_ACQUIRE)) {
		if (eventfd_read(blk->vdev.kick_fd, &count) < 0 && errno != EINTR)
			break;
		g_mutex_lock(&blk->io_lock);
		serve_queues(blk);
		g_mutex_unlock(&blk->io_lock);
	}
	return NULL;
}

static void blk_start(struct virtio_device *vdev)
{
	struct virtio_blk *blk = (struct virtio_blk *)(void *)vdev;

	g_mutex_lock(&blk->io_lock);
	__atomic_store_n(&blk->active, true, __ATOMIC_RELEASE);
	g_mutex_unlock(&blk->io_lock);
}

static void blk_stop(struct virtio_device *vdev)
{
	struct virtio_blk *blk = (struct virtio_blk *)(void *)vdev;

	__atomic_store_n(&blk->active, false, __ATOMIC_RELEASE);
	/* Wait for the request in flight. */
	g_mutex_lock(&blk->io_lock);
	g_mutex_unlock(&blk->io_lock);
}

/* --- construction --- */

static void blk_destroy(struct device *dev)
{
	struct virtio_blk *blk = blk_of(dev);

	if (blk->thread) {
		__atomic_store_n(&blk->quit, true, __ATOMIC_RELEASE);
		blk_stop(&blk->vdev);
		virtio_kick(&blk->vdev);
		g_thread_join(blk->thread);
	}
	block_close(blk->node);
	g_mutex_clear(&blk->io_lock);
	virtio_device_fini(&blk->vdev);
	g_free(blk);
}

static const struct device_class blk_device_class = {
	.name = "virtio-blk",
	.version = 1,
	.base_fields = virtio_device_fields,
	.n_base_fields = &virtio_n_device_fields,
	.reset = virtio_device_reset,
	.pause = virtio_device_pause,
	.resume = virtio_device_resume,
	.pre_save = virtio_device_pre_save,
	.post_load = virtio_device_post_load,
	.destroy = blk_destroy,
};

static const struct virtio_class blk_class = {
	.device = &blk_device_class,
	.id = BLK_ID,
	.pci_class = 0x010000,
	.start = blk_start,
	.stop = blk_stop,
};

static unsigned log2_of(uint32_t power)
{
	return (unsigned)g_bit_storage(power) - 1;
}

static uint64_t describe(struct virtio_blk *blk, unsigned n_queues)
{
	const struct block_node *node = blk->node;
	uint32_t physical = MAX(PHYSICAL_BLOCK, node->block_size);
	uint64_t sectors = node->size >> SECTOR_SHIFT;
	uint8_t *config = blk->vdev.device_config;
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_MQ;

	pci_put32(config + CONFIG_CAPACITY, (uint32_t)sectors);
	pci_put32(config + CONFIG_CAPACITY + 4, (uint32_t)(sectors >> 32));
	pci_put32(config + CONFIG_SEG_MAX, SEG_MAX);
	pci_put32(config + CONFIG_BLK_SIZE, node->block_size);
	config[CONFIG_PHYSICAL_EXP] = (uint8_t)(log2_of(physical) - log2_of(node->block_size));
	pci_put16(config + CONFIG_MIN_IO, (uint16_t)(physical / node->block_size));
	pci_put16(config + CONFIG_NUM_QUEUES, (uint16_t)n_queues);
	if (node->readonly)
		return features | F_RO;
	pci_put32(config + CONFIG_MAX_ZEROES_SECTORS, MAX_RANGE_SECTORS);
	pci_put32(config + CONFIG_MAX_ZEROES_SEG, MAX_RANGES);
	config[CONFIG_ZEROES_MAY_UNMAP] = node->can_discard;
	if (!node->can_discard)
		return features | F_WRITE_ZEROES;
	pci_put32(config + CONFIG_MAX_DISCARD_SECTORS, MAX_RANGE_SECTORS);
	pci_put32(config + CONFIG_MAX_DISCARD_SEG, MAX_RANGES);
	pci_put32(config + CONFIG_DISCARD_ALIGNMENT, physical >> SECTOR_SHIFT);
	return features | F_WRITE_ZEROES | F_DISCARD;
}

static bool blk_set_up(struct virtio_blk *blk, const char *serial, unsigned n_queues, GError **err)
{
	const char *id = blk->vdev.pci.dev.id;

	if (serial && strlen(serial) > ID_BYTES)
		return fail(err, LODGE_ERROR_INPUT, "%s: serial '%s' is longer than %u bytes", id, serial, ID_BYTES);
	if (n_queues < 1 || n_queues > VIRTIO_MAX_QUEUES)
		return fail(err, LODGE_ERROR_INPUT, "%s: %u queues asked for, possible are 1 to %u", id, n_queues,
			    VIRTIO_MAX_QUEUES);
	if (serial)
		memcpy(blk->id, serial, strlen(serial));
	if (!virtio_device_setup(&blk->vdev, describe(blk, n_queues), n_queues, CONFIG_LEN, err))
		return false;
	blk->thread = g_thread_try_new("virtio-blk", io_thread, blk, NULL);
	return blk->thread || fail(err, LODGE_ERROR_SYSTEM, "%s: the host has no thread left for it", id);
}

void virtio_blk_use_stats(struct device *dev, struct stats_disk *stats)
{
	blk_of(dev)->stats = stats;
}

struct device *virtio_blk_new(struct vm *vm, struct block_node *node_consume, const char *serial, unsigned n_queues,
			      const char *id, GError **err)
{
	struct virtio_blk *blk = g_new0(struct virtio_blk, 1);
	struct device *dev = &blk->vdev.pci.dev;

	virtio_device_init(&blk->vdev, &blk_class, vm, id);
	g_mutex_init(&blk->io_lock);
	blk->node = node_consume;
	blk->stats = &blk->own_stats;
	if (!blk_set_up(blk, serial, n_queues, err)) {
		blk_destroy(dev);
		return NULL;
	}
	vm_add_device(vm, dev);
	return dev;
}
