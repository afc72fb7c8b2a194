/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/virtio.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/vm.h"

/*
 * The life of a virtio device, virtio sections 2.1 to 2.4 and 3.1, independent of the bus it sits on.
 *
 * One bit decides whether the device may touch guest memory: running. virtio_sync_run() is the only place that
 * changes it, under the device lock, and brackets every change by the class's start() and stop(); so between stop()
 * and start() registers and ring positions belong to whoever holds the device lock. A driver that breaks the rules
 * makes the device broken instead (any thread may find out); a broken device finishes nothing and starts nothing
 * until the driver writes 0 to the status register.
 */
#define STATUS_BY_DRIVER \
	(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK | \
	 VIRTIO_STATUS_FAILED)

#define RING_FEATURES \
	(VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_RING_RESET)

static struct virtio_device *virtio_of(struct device *dev)
{
	return (struct virtio_device *)(void *)dev;
}

static uint8_t status_of(const struct virtio_device *vdev)
{
	return __atomic_load_n(&vdev->status, __ATOMIC_RELAXED);
}

/* --- running or not --- */

void virtio_kick(struct virtio_device *vdev)
{
	/* The only failure is a counter about to overflow: the reader has more than enough to wake for. */
	(void)eventfd_write(vdev->kick_fd, 1);
}

bool virtio_is_broken(const struct virtio_device *vdev)
{
	return __atomic_load_n(&vdev->broken, __ATOMIC_ACQUIRE) != NULL;
}

void virtio_sync_run(struct virtio_device *vdev)
{
	bool run = (status_of(vdev) & VIRTIO_STATUS_DRIVER_OK) && !vdev->paused && pci_bus_master(&vdev->pci);
	void (*change)(struct virtio_device * vdev) = run ? vdev->class->start : vdev->class->stop;

	if (run == vdev->running)
		return;
	if (change)
		change(vdev);
	vdev->running = run;
	virtio_pci_sync_notify(vdev);
	/* What the driver queued while nobody looked. */
	if (run)
		virtio_kick(vdev);
}

static void with_queues_stopped(struct virtio_device *vdev,
				void (*fn)(struct virtio_device *vdev, struct virtqueue *vq), struct virtqueue *vq)
{
	if (vdev->running && vdev->class->stop)
		vdev->class->stop(vdev);
	vdev->running = false;
	fn(vdev, vq);
	virtio_sync_run(vdev);
}

static gboolean on_kick(int fd, GIOCondition condition, gpointer opaque)
{
	struct virtio_device *vdev = opaque;
	eventfd_t count;

	(void)condition;
	if (eventfd_read(fd, &count) < 0)
		return G_SOURCE_CONTINUE;
	g_mutex_lock(&vdev->pci.dev.lock);
	if (vdev->running && !virtio_is_broken(vdev))
		vdev->class->process(vdev);
	g_mutex_unlock(&vdev->pci.dev.lock);
	if (vdev->class->processed)
		vdev->class->processed(vdev);
	return G_SOURCE_CONTINUE;
}

/* --- status, features, queues --- */

void virtio_break(struct virtio_device *vdev, const char *why)
{
	const char *expected = NULL;
	uint8_t old;

	if (!__atomic_compare_exchange_n(&vdev->broken, &expected, why, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return;
	old = __atomic_fetch_or(&vdev->status, VIRTIO_STATUS_NEEDS_RESET, __ATOMIC_RELAXED);
	if (old & VIRTIO_STATUS_DRIVER_OK)
		virtio_pci_notify_config(vdev);
}

static void reset_registers(struct virtio_device *vdev)
{
	__atomic_store_n(&vdev->status, 0, __ATOMIC_RELAXED);
	virtio_sync_run(vdev);
	__atomic_store_n(&vdev->broken, NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&vdev->config_vector, VIRTIO_NO_VECTOR, __ATOMIC_RELAXED);
	vdev->device_feature_select = vdev->driver_feature_select = 0;
	vdev->driver_features = vdev->features = 0;
	vdev->queue_select = 0;
	for (unsigned i = 0; i < vdev->n_queues; i++)
		virtqueue_reset(&vdev->queues[i]);
	virtio_pci_reset(vdev);
}

static bool features_acceptable(const struct virtio_device *vdev)
{
	return !(vdev->driver_features & ~vdev->offered) && (vdev->driver_features & VIRTIO_F_VERSION_1);
}

void virtio_set_status(struct virtio_device *vdev, uint8_t val)
{
	uint8_t old = status_of(vdev);

	if (val == 0) {
		reset_registers(vdev);
		return;
	}
	val &= STATUS_BY_DRIVER;
	if ((val & ~old & VIRTIO_STATUS_FEATURES_OK) && features_acceptable(vdev))
		vdev->features = vdev->driver_features;
	else if (!(old & VIRTIO_STATUS_FEATURES_OK))
		val &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	if (!((val | old) & VIRTIO_STATUS_FEATURES_OK))
		val &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
	/* Only a reset takes bits back. */
	__atomic_fetch_or(&vdev->status, val, __ATOMIC_RELAXED);
	if ((val & ~old & VIRTIO_STATUS_DRIVER_OK))
		virtio_sync_run(vdev);
}

static void enable_stopped(struct virtio_device *vdev, struct virtqueue *vq)
{
	vq->enabled = virtqueue_start(vq, vdev->mem, vdev->features);
	if (!vq->enabled)
		virtio_break(vdev, vq->error);
}

void virtio_queue_enable(struct virtio_device *vdev, struct virtqueue *vq)
{
	if (vq->enabled || virtio_is_broken(vdev))
		return;
	if (status_of(vdev) & VIRTIO_STATUS_FEATURES_OK)
		with_queues_stopped(vdev, enable_stopped, vq);
	else
		virtio_break(vdev, "virtqueue enabled before the features were agreed on");
}

static void reset_stopped(struct virtio_device *vdev, struct virtqueue *vq)
{
	(void)vdev;
	virtqueue_reset(vq);
}

void virtio_queue_reset(struct virtio_device *vdev, struct virtqueue *vq)
{
	if (vdev->features & VIRTIO_F_RING_RESET)
		with_queues_stopped(vdev, reset_stopped, vq);
}

void virtio_config_changed(struct virtio_device *vdev)
{
	vdev->generation++;
	if (status_of(vdev) & VIRTIO_STATUS_DRIVER_OK)
		virtio_pci_notify_config(vdev);
}

/* --- queues as the devices use them --- */

bool virtio_pop(struct virtio_device *vdev, struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if (!vq->enabled || virtio_is_broken(vdev))
		return false;
	if (virtqueue_pop(vq, chain))
		return true;
	if (vq->error)
		virtio_break(vdev, vq->error);
	return false;
}

void virtio_complete(struct virtio_device *vdev, struct virtqueue *vq, const struct virtqueue_chain *chain,
		     uint32_t len)
{
	virtqueue_push(vq, chain, len);
	if (virtqueue_wants_signal(vq))
		virtio_pci_notify_queue(vdev, vq);
	if (vq->error)
		virtio_break(vdev, vq->error);
}

void virtio_silence(struct virtio_device *vdev, struct virtqueue *vq)
{
	if (!vq->enabled || virtio_is_broken(vdev))
		return;
	virtqueue_silence(vq);
	if (vq->error)
		virtio_break(vdev, vq->error);
}

bool virtio_rearm(struct virtio_device *vdev, struct virtqueue *vq)
{
	bool more;

	if (!vq->enabled || virtio_is_broken(vdev))
		return false;
	more = virtqueue_rearm(vq);
	if (vq->error)
		virtio_break(vdev, vq->error);
	return more;
}

/* --- device class hooks --- */

void virtio_device_reset(struct device *dev)
{
	struct virtio_device *vdev = virtio_of(dev);

	reset_registers(vdev);
	pci_device_reset(&vdev->pci);
}

void virtio_device_pause(struct device *dev)
{
	struct virtio_device *vdev = virtio_of(dev);

	vdev->paused = true;
	virtio_sync_run(vdev);
}

void virtio_device_resume(struct device *dev)
{
	struct virtio_device *vdev = virtio_of(dev);

	vdev->paused = false;
	virtio_sync_run(vdev);
}

const struct device_field virtio_device_fields[] = {
	PCI_DEVICE_FIELDS,
	DEVICE_FIELD(U32, virtio_device, device_feature_select),
	DEVICE_FIELD(U32, virtio_device, driver_feature_select),
	DEVICE_FIELD(U64, virtio_device, driver_features),
	DEVICE_FIELD(U64, virtio_device, features),
	DEVICE_FIELD(U16, virtio_device, queue_select),
	DEVICE_FIELD(U8, virtio_device, generation),
	DEVICE_FIELD_ARRAY(U8, virtio_device, device_config),
	DEVICE_FIELD(U8, virtio_device, status),
	DEVICE_FIELD(U16, virtio_device, config_vector),
	DEVICE_FIELD(U8, virtio_device, isr),
	DEVICE_FIELD_ARRAY(U16, virtio_device, saved.size),
	DEVICE_FIELD_ARRAY(U16, virtio_device, saved.vector),
	DEVICE_FIELD_ARRAY(U16, virtio_device, saved.avail_idx),
	DEVICE_FIELD_ARRAY(U16, virtio_device, saved.used_idx),
	DEVICE_FIELD_ARRAY(U64, virtio_device, saved.desc),
	DEVICE_FIELD_ARRAY(U64, virtio_device, saved.driver),
	DEVICE_FIELD_ARRAY(U64, virtio_device, saved.device),
	DEVICE_FIELD_ARRAY(BOOL, virtio_device, saved.enabled),
	DEVICE_FIELD_ARRAY(BOOL, virtio_device, saved.avail_wrap),
	DEVICE_FIELD_ARRAY(BOOL, virtio_device, saved.used_wrap),
	DEVICE_FIELD(BOOL, virtio_device, saved.broken),
};
const size_t virtio_n_device_fields = G_N_ELEMENTS(virtio_device_fields);

void virtio_device_pre_save(struct device *dev)
{
	struct virtio_device *vdev = virtio_of(dev);
	struct virtio_saved *saved = &vdev->saved;

	pci_device_pre_save(&vdev->pci);
	memset(saved, 0, sizeof(*saved));
	saved->broken = virtio_is_broken(vdev);
	for (unsigned i = 0; i < vdev->n_queues; i++) {
		const struct virtqueue *vq = &vdev->queues[i];

		saved->size[i] = vq->size;
		saved->vector[i] = vq->vector;
		saved->enabled[i] = vq->enabled;
		saved->desc[i] = vq->desc;
		saved->driver[i] = vq->driver;
		saved->device[i] = vq->device;
		saved->avail_idx[i] = vq->avail_idx;
		saved->used_idx[i] = vq->used_idx;
		saved->avail_wrap[i] = vq->avail_wrap;
		saved->used_wrap[i] = vq->used_wrap;
	}
}

static bool load_queue(struct virtio_device *vdev, unsigned i)
{
	const struct virtio_saved *saved = &vdev->saved;
	struct virtqueue *vq = &vdev->queues[i];
	bool packed = vdev->features & VIRTIO_F_RING_PACKED;

	virtqueue_reset(vq);
	vq->size = saved->size[i];
	vq->vector = saved->vector[i];
	vq->desc = saved->desc[i];
	vq->driver = saved->driver[i];
	vq->device = saved->device[i];
	if (!saved->enabled[i])
		return vq->size <= vq->max_size;
	if (!virtqueue_start(vq, vdev->mem, vdev->features))
		return false;
	vq->enabled = true;
	vq->avail_idx = saved->avail_idx[i];
	vq->used_idx = saved->used_idx[i];
	vq->avail_wrap = saved->avail_wrap[i];
	vq->used_wrap = saved->used_wrap[i];
	return !packed || (vq->avail_idx < vq->size && vq->used_idx < vq->size);
}

bool virtio_device_post_load(struct device *dev, GError **err)
{
	struct virtio_device *vdev = virtio_of(dev);

	if ((vdev->features & ~vdev->offered) || (vdev->status & ~(STATUS_BY_DRIVER | VIRTIO_STATUS_NEEDS_RESET)))
		return fail(err, LODGE_ERROR_INPUT,
			    "%s: saved state has virtio features or status this device does not know", dev->id);
	for (unsigned i = 0; i < vdev->n_queues; i++)
		if (!load_queue(vdev, i))
			return fail(err, LODGE_ERROR_INPUT, "%s: saved state of virtqueue %u makes no sense", dev->id,
				    i);
	vdev->broken = vdev->saved.broken ? "broken before its state was saved" : NULL;
	return pci_device_post_load(&vdev->pci, err);
}

/* --- construction --- */

void virtio_device_init(struct virtio_device *vdev, const struct virtio_class *class, struct vm *vm, const char *id)
{
	/* virtio section 4.1.2: vendor 1af4, device 1040 + type, revision at least 1 */
	pci_device_init(&vdev->pci, class->device, vm, id, 0x1af4, (uint16_t)(0x1040 + class->id), class->pci_class, 1,
			0x1af4, (uint16_t)(0x40 + class->id));
	g_mutex_init(&vdev->isr_lock);
	vdev->class = class;
	vdev->mem = vm->mem;
	vdev->kick_fd = -1;
}

bool virtio_device_setup(struct virtio_device *vdev, uint64_t features, unsigned n_queues, unsigned config_len,
			 GError **err)
{
	g_assert(n_queues <= VIRTIO_MAX_QUEUES && config_len <= G_N_ELEMENTS(vdev->device_config));
	vdev->offered = features | RING_FEATURES;
	vdev->config_len = config_len;
	vdev->n_queues = n_queues;
	for (unsigned i = 0; i < n_queues; i++) {
		vdev->queues[i].index = (uint16_t)i;
		vdev->queues[i].max_size = VIRTIO_QUEUE_SIZE;
	}
	vdev->kick_fd = eventfd(0, EFD_CLOEXEC | (vdev->class->process ? EFD_NONBLOCK : 0));
	if (vdev->kick_fd < 0)
		return fail_errno(err, "%s: eventfd", vdev->pci.dev.id);
	if (!virtio_pci_setup(vdev, err))
		return false;
	reset_registers(vdev);
	if (vdev->class->process) {
		vdev->source = g_unix_fd_source_new(vdev->kick_fd, G_IO_IN);
		g_source_set_callback(vdev->source, G_SOURCE_FUNC(on_kick), vdev, NULL);
		g_source_attach(vdev->source, vdev->pci.dev.vm->context);
	}
	return true;
}

void virtio_device_fini(struct virtio_device *vdev)
{
	if (vdev->running) {
		vdev->running = false;
		virtio_pci_sync_notify(vdev);
	}
	if (vdev->source) {
		g_source_destroy(vdev->source);
		g_clear_pointer(&vdev->source, g_source_unref);
	}
	fd_close(&vdev->kick_fd);
	g_mutex_clear(&vdev->isr_lock);
	pci_device_fini(&vdev->pci);
}
