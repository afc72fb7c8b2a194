/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/mman.h>

#include "core/model/stats-page.h"
#include "vmm/timer.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/virtio.h"
#include "vmm/vm.h"

/*
 * Memory balloon device, virtio section 5.5: the driver gives pages away (inflate), takes them back (deflate), and
 * tells how it is doing (statistics). With free page reporting (section 5.5.6.7) it also lends pages that nobody uses
 * at the moment.
 *
 * Runs on the loop thread under the device lock. A page that is given away goes back to the host at once and reads as
 * zeros when the guest uses it again, which it may do without asking. So it must really be RAM, and the software CPU
 * must be told that its contents have changed.
 *
 * The statistics queue works the other way round: the driver offers one buffer, which the device keeps until it wants
 * new figures. They are asked for only while somebody wants them, so an idle guest is not woken.
 */
#define BALLOON_ID 5

#define F_STATS_VQ VIRTIO_BIT(1)
#define F_DEFLATE_ON_OOM VIRTIO_BIT(2)
#define F_PAGE_REPORTING VIRTIO_BIT(5)

#define CONFIG_NUM_PAGES 0u
#define CONFIG_ACTUAL 4u
#define CONFIG_LEN 16u /* with free_page_hint_cmd_id and poison_val, unused */

#define PAGE_SHIFT 12
#define MAX_POLL_SECONDS 86400u
/* A driver changes its balloon a megabyte at a time: those who listen hear of where that led to. */
#define TELL_NS (200 * NS_PER_MS)

/* Work done for the guest before the loop thread looks elsewhere: pages, or chains. */
#define TURN_COST 16384u
#define CHAIN_PAGES 256u /* page numbers of a chain looked at at a time */

/* Queues in the order of their numbers when every one of their features is on; section 5.5.2. */
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTING, N_QUEUES };

struct stat_entry {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed));
#define MAX_STATS 32u

struct virtio_balloon {
	struct virtio_device vdev;
	struct timer *poll_timer;
	struct timer *tell_timer; /* armed: a change is to be told of */
	uint32_t poll_seconds;	  /* 0: not regularly */
	bool poll_now;		  /* the next buffer goes back at once */
	bool stats_held;	  /* stats_chain is ours */
	uint64_t actual;	  /* bytes left to the guest; atomic */
	struct virtqueue_chain chain, stats_chain;
};

static struct virtio_balloon *balloon_of(struct device *dev)
{
	return (struct virtio_balloon *)(void *)dev;
}

static uint64_t ram_size(const struct virtio_balloon *balloon)
{
	return memory_size(balloon->vdev.mem);
}

/* --- pages to the host --- */

/* Only RAM, and only where the whole range is: anything else is the driver's mistake and stays as it is. */
static void give_back(struct virtio_balloon *balloon, uint64_t gpa, uint64_t len)
{
	const struct memory_slot *slot = memory_find(balloon->vdev.mem, gpa);

	if (!slot || slot->readonly || len > slot->size - (gpa - slot->gpa))
		return;
	/* It stays as it was where the host cannot punch holes; the guest must not rely on either. */
	if (madvise(slot->host + (gpa - slot->gpa), len, MADV_REMOVE) == 0)
		memory_note_write(balloon->vdev.mem, gpa, len);
}

/* Neighbouring pages go back together: drivers give them away in runs. */
static size_t inflate_chain(struct virtio_balloon *balloon)
{
	uint32_t pfns[CHAIN_PAGES];
	size_t total = balloon->chain.out_len / sizeof(pfns[0]);

	for (size_t done = 0; done < total;) {
		size_t n = MIN(total - done, CHAIN_PAGES), run = 1;

		virtqueue_chain_read(&balloon->chain, done * sizeof(pfns[0]), pfns, n * sizeof(pfns[0]));
		for (size_t i = 0; i < n; i += run) {
			uint64_t first = GUINT32_FROM_LE(pfns[i]);

			for (run = 1; i + run < n && GUINT32_FROM_LE(pfns[i + run]) == first + run;)
				run++;
			give_back(balloon, first << PAGE_SHIFT, (uint64_t)run << PAGE_SHIFT);
		}
		done += n;
	}
	return total;
}

/* The reported pages are the writable buffers themselves (section 5.5.6.7). */
static size_t report_chain(struct virtio_balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->chain;
	size_t pages = 0;

	for (unsigned i = 0; i < chain->n_segments; i++) {
		uint64_t gpa = chain->segments[i].gpa, len = chain->segments[i].len;

		if ((gpa | len) & (MEMORY_PAGE_SIZE - 1))
			continue;
		give_back(balloon, gpa, len);
		pages += len >> PAGE_SHIFT;
	}
	return pages;
}

/* A turn's worth of one queue. */
static void serve(struct virtio_balloon *balloon, unsigned index, size_t (*take)(struct virtio_balloon *balloon))
{
	struct virtqueue *vq = &balloon->vdev.queues[index];
	size_t cost = 0;

	virtio_silence(&balloon->vdev, vq);
	do {
		while (cost < TURN_COST && virtio_pop(&balloon->vdev, vq, &balloon->chain)) {
			cost += 16 + (take ? take(balloon) : 0);
			virtio_complete(&balloon->vdev, vq, &balloon->chain, 0);
		}
		if (cost >= TURN_COST) {
			virtio_kick(&balloon->vdev);
			return;
		}
	} while (virtio_rearm(&balloon->vdev, vq));
}

/* --- statistics --- */

/* Section 5.5.6.3: tags in the order of struct stats_balloon's members; the unit is bytes or a count. */
static uint64_t *stats_member(struct stats_balloon *stats, uint16_t tag, bool *bytes)
{
	static const struct {
		size_t offset;
		bool bytes;
	} rows[] = {
		{ G_STRUCT_OFFSET(struct stats_balloon, swap_in), true },
		{ G_STRUCT_OFFSET(struct stats_balloon, swap_out), true },
		{ G_STRUCT_OFFSET(struct stats_balloon, major_fault), false },
		{ G_STRUCT_OFFSET(struct stats_balloon, minor_fault), false },
		{ G_STRUCT_OFFSET(struct stats_balloon, unused), true },
		{ G_STRUCT_OFFSET(struct stats_balloon, available), true },
		{ G_STRUCT_OFFSET(struct stats_balloon, usable), true },
		{ G_STRUCT_OFFSET(struct stats_balloon, disk_caches), true },
		{ G_STRUCT_OFFSET(struct stats_balloon, hugetlb_pgalloc), false },
		{ G_STRUCT_OFFSET(struct stats_balloon, hugetlb_pgfail), false },
	};

	if (tag >= G_N_ELEMENTS(rows))
		return NULL;
	*bytes = rows[tag].bytes;
	return (uint64_t *)(void *)((uint8_t *)stats + rows[tag].offset);
}

static void take_stats(struct virtio_balloon *balloon)
{
	struct stats_balloon *stats = &balloon->vdev.pci.dev.vm->stats->balloon;
	struct stat_entry entries[MAX_STATS];
	size_t len = virtqueue_chain_read(&balloon->stats_chain, 0, entries, sizeof(entries));
	bool bytes = false;

	for (size_t i = 0; i < len / sizeof(entries[0]); i++) {
		uint64_t *member = stats_member(stats, GUINT16_FROM_LE(entries[i].tag), &bytes);
		uint64_t value = GUINT64_FROM_LE(entries[i].value);

		if (member)
			__atomic_store_n(member, bytes && value != UINT64_MAX ? value >> 10 : value, __ATOMIC_RELAXED);
	}
	if (len)
		__atomic_store_n(&stats->last_update, (uint64_t)(g_get_real_time() / G_USEC_PER_SEC), __ATOMIC_RELAXED);
}

/* The buffer goes back: the driver fills it and offers it again. */
static void ask_for_stats(struct virtio_balloon *balloon)
{
	if (!balloon->stats_held) {
		balloon->poll_now = true;
		return;
	}
	balloon->poll_now = false;
	balloon->stats_held = false;
	virtio_complete(&balloon->vdev, &balloon->vdev.queues[QUEUE_STATS], &balloon->stats_chain, 0);
}

static void poll_due(void *opaque)
{
	struct virtio_balloon *balloon = opaque;

	if (balloon->vdev.running)
		ask_for_stats(balloon);
	if (balloon->poll_seconds)
		timer_set(balloon->poll_timer,
			  timers_now(balloon->vdev.pci.dev.vm->timers) + balloon->poll_seconds * NS_PER_SEC);
}

static void serve_stats(struct virtio_balloon *balloon)
{
	struct virtqueue *vq = &balloon->vdev.queues[QUEUE_STATS];

	if (balloon->stats_held || !virtio_pop(&balloon->vdev, vq, &balloon->stats_chain))
		return;
	balloon->stats_held = true;
	take_stats(balloon);
	if (balloon->poll_now)
		ask_for_stats(balloon);
}

static void balloon_process(struct virtio_device *vdev)
{
	struct virtio_balloon *balloon = (struct virtio_balloon *)(void *)vdev;

	serve(balloon, QUEUE_INFLATE, inflate_chain);
	serve(balloon, QUEUE_DEFLATE, NULL);
	serve_stats(balloon);
	serve(balloon, QUEUE_REPORTING, report_chain);
}

/* --- size --- */

static void set_actual(struct virtio_balloon *balloon, uint64_t given)
{
	struct vm *vm = balloon->vdev.pci.dev.vm;
	uint64_t actual = ram_size(balloon) - MIN(given, ram_size(balloon));

	__atomic_store_n(&vm->stats->balloon.actual, actual >> 10, __ATOMIC_RELAXED);
	if (__atomic_exchange_n(&balloon->actual, actual, __ATOMIC_RELAXED) != actual &&
	    !timer_armed(balloon->tell_timer))
		timer_set(balloon->tell_timer, timers_now(vm->timers) + TELL_NS);
}

static void tell_change(void *opaque)
{
	struct virtio_balloon *balloon = opaque;

	vm_post_value(balloon->vdev.pci.dev.vm, VM_EVENT_BALLOON, (int64_t)balloon->actual);
}

/* The driver says in "actual" how many pages it has given away. */
static void balloon_config_write(struct virtio_device *vdev, unsigned off, uint32_t val, unsigned size)
{
	if (off != CONFIG_ACTUAL || size != 4)
		return;
	pci_put32(vdev->device_config + CONFIG_ACTUAL, val);
	set_actual((struct virtio_balloon *)(void *)vdev, (uint64_t)val << PAGE_SHIFT);
}

bool virtio_balloon_set_target(struct device *dev, uint64_t target)
{
	struct virtio_balloon *balloon = balloon_of(dev);
	uint64_t size = ram_size(balloon);
	bool listens;

	g_mutex_lock(&dev->lock);
	listens = balloon->vdev.running || balloon->vdev.status & VIRTIO_STATUS_DRIVER_OK;
	pci_put32(balloon->vdev.device_config + CONFIG_NUM_PAGES, (uint32_t)((size - MIN(target, size)) >> PAGE_SHIFT));
	virtio_config_changed(&balloon->vdev);
	g_mutex_unlock(&dev->lock);
	return listens;
}

uint64_t virtio_balloon_actual(struct device *dev)
{
	return __atomic_load_n(&balloon_of(dev)->actual, __ATOMIC_RELAXED);
}

void virtio_balloon_poll_stats(struct device *dev, unsigned seconds)
{
	struct virtio_balloon *balloon = balloon_of(dev);

	g_mutex_lock(&dev->lock);
	balloon->poll_seconds = MIN(seconds, MAX_POLL_SECONDS);
	timer_cancel(balloon->poll_timer);
	poll_due(balloon);
	g_mutex_unlock(&dev->lock);
}

/* --- construction --- */

/* A driver that resets the device takes its buffers with it: then the status is 0 already. */
static void balloon_stop(struct virtio_device *vdev)
{
	if (!vdev->status)
		((struct virtio_balloon *)(void *)vdev)->stats_held = false;
}

/* With the memory empty after a reset nothing is given away; what is asked for stays. */
static void balloon_reset(struct device *dev)
{
	struct virtio_balloon *balloon = balloon_of(dev);

	virtio_device_reset(dev);
	balloon->stats_held = balloon->poll_now = false;
	pci_put32(balloon->vdev.device_config + CONFIG_ACTUAL, 0);
	set_actual(balloon, 0);
}

static void balloon_start(struct virtio_device *vdev)
{
	if (!vdev->queues[QUEUE_STATS].enabled)
		((struct virtio_balloon *)(void *)vdev)->stats_held = false;
}

/* The buffer that is kept goes back into the ring, so that a loaded device finds it again. */
static void balloon_pre_save(struct device *dev)
{
	struct virtio_balloon *balloon = balloon_of(dev);
	struct virtio_saved *saved = &balloon->vdev.saved;
	uint16_t slots = balloon->stats_chain.slots;

	virtio_device_pre_save(dev);
	if (!balloon->stats_held)
		return;
	if (!(balloon->vdev.features & VIRTIO_F_RING_PACKED)) {
		saved->avail_idx[QUEUE_STATS]--;
		return;
	}
	if (saved->avail_idx[QUEUE_STATS] < slots) {
		saved->avail_idx[QUEUE_STATS] += saved->size[QUEUE_STATS];
		saved->avail_wrap[QUEUE_STATS] = !saved->avail_wrap[QUEUE_STATS];
	}
	saved->avail_idx[QUEUE_STATS] -= slots;
}

static bool balloon_post_load(struct device *dev, GError **err)
{
	struct virtio_balloon *balloon = balloon_of(dev);

	if (!virtio_device_post_load(dev, err))
		return false;
	balloon->stats_held = false;
	set_actual(balloon, (uint64_t)pci_get32(balloon->vdev.device_config + CONFIG_ACTUAL) << PAGE_SHIFT);
	return true;
}

static void balloon_destroy(struct device *dev)
{
	struct virtio_balloon *balloon = balloon_of(dev);

	timer_free(balloon->poll_timer);
	timer_free(balloon->tell_timer);
	virtio_device_fini(&balloon->vdev);
	g_free(balloon);
}

static const struct device_class balloon_device_class = {
	.name = "virtio-balloon",
	.version = 1,
	.base_fields = virtio_device_fields,
	.n_base_fields = &virtio_n_device_fields,
	.reset = balloon_reset,
	.pause = virtio_device_pause,
	.resume = virtio_device_resume,
	.pre_save = balloon_pre_save,
	.post_load = balloon_post_load,
	.destroy = balloon_destroy,
};

static const struct virtio_class balloon_class = {
	.device = &balloon_device_class,
	.id = BALLOON_ID,
	.pci_class = 0x00ff00,
	.start = balloon_start,
	.stop = balloon_stop,
	.process = balloon_process,
	.config_write = balloon_config_write,
};

struct device *virtio_balloon_new(struct vm *vm, uint64_t target, const char *id, GError **err)
{
	struct virtio_balloon *balloon = g_new0(struct virtio_balloon, 1);
	struct device *dev = &balloon->vdev.pci.dev;
	uint64_t size = memory_size(vm->mem);

	virtio_device_init(&balloon->vdev, &balloon_class, vm, id);
	balloon->poll_timer = timer_new(vm->timers, &dev->lock, poll_due, balloon);
	balloon->tell_timer = timer_new(vm->timers, &dev->lock, tell_change, balloon);
	balloon->actual = size;
	__atomic_store_n(&vm->stats->balloon.actual, size >> 10, __ATOMIC_RELAXED);
	pci_put32(balloon->vdev.device_config + CONFIG_NUM_PAGES, (uint32_t)((size - MIN(target, size)) >> PAGE_SHIFT));
	if (!virtio_device_setup(&balloon->vdev, F_STATS_VQ | F_DEFLATE_ON_OOM | F_PAGE_REPORTING, N_QUEUES, CONFIG_LEN,
				 err)) {
		balloon_destroy(dev);
		return NULL;
	}
	vm_add_device(vm, dev);
	return dev;
}
