/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/virtio.h"

#include "vmm/vm.h"

/*
 * The PCI transport, virtio section 4.1: capabilities that say where things are, the register BAR, the notification
 * BAR, interrupts.
 *
 * BAR 0 holds common configuration, ISR and device configuration, under the device lock. BAR 1 is the MSI-X table.
 * BAR 2 is for notifications alone: it has no lock, because a notification only signals kick_fd, and the accelerator
 * may signal it in our place. Vector 0 is meant for the configuration, one more for each queue; the driver may share
 * them.
 */
#define BAR_REGISTERS 0u
#define BAR_MSIX 1u
#define BAR_NOTIFY 2u

#define COMMON_OFFSET 0x0000u
#define COMMON_LEN 0x3cu
#define ISR_OFFSET 0x1000u
#define ISR_LEN 1u
#define DEVICE_OFFSET 0x2000u
#define REGISTERS_SIZE 0x4000u
#define NOTIFY_SIZE 0x1000u
#define NOTIFY_MULTIPLIER 4u

#define ISR_QUEUE 1u
#define ISR_CONFIG 2u

G_STATIC_ASSERT(VIRTIO_MAX_QUEUES * NOTIFY_MULTIPLIER <= NOTIFY_SIZE);
G_STATIC_ASSERT(VIRTIO_MAX_QUEUES + 1 <= PCI_MSIX_MAX);

/* Common configuration, virtio section 4.1.4.3. 64-bit addresses are two 32-bit registers. */
enum {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	DEVICE_STATUS = 0x14,
	CONFIG_GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	QUEUE_NOTIFY_DATA = 0x38,
	QUEUE_RESET = 0x3a,
};

/* The driver must use a register's own width (section 4.1.3.1); what is not in here is not answered. */
/* clang-format off */
static const uint8_t common_width[COMMON_LEN] = {
	[DEVICE_FEATURE_SELECT] = 4,
	[DEVICE_FEATURE] = 4,
	[DRIVER_FEATURE_SELECT] = 4,
	[DRIVER_FEATURE] = 4,
	[CONFIG_VECTOR] = 2,
	[NUM_QUEUES] = 2,
	[DEVICE_STATUS] = 1,
	[CONFIG_GENERATION] = 1,
	[QUEUE_SELECT] = 2,
	[QUEUE_SIZE] = 2,
	[QUEUE_VECTOR] = 2,
	[QUEUE_ENABLE] = 2,
	[QUEUE_NOTIFY_OFF] = 2,
	[QUEUE_DESC] = 4,
	[QUEUE_DESC + 4] = 4,
	[QUEUE_DRIVER] = 4,
	[QUEUE_DRIVER + 4] = 4,
	[QUEUE_DEVICE] = 4,
	[QUEUE_DEVICE + 4] = 4,
	[QUEUE_NOTIFY_DATA] = 2,
	[QUEUE_RESET] = 2,
};
/* clang-format on */

static struct virtio_device *virtio_of_pci(struct pci_device *pci)
{
	return (struct virtio_device *)(void *)pci;
}

/* --- interrupts --- */

static void raise_isr(struct virtio_device *vdev, uint8_t bit, bool line)
{
	g_mutex_lock(&vdev->isr_lock);
	vdev->isr |= bit;
	if (line)
		pci_intx(&vdev->pci, true);
	g_mutex_unlock(&vdev->isr_lock);
}

static uint8_t take_isr(struct virtio_device *vdev)
{
	uint8_t isr;

	g_mutex_lock(&vdev->isr_lock);
	isr = vdev->isr;
	vdev->isr = 0;
	pci_intx(&vdev->pci, false);
	g_mutex_unlock(&vdev->isr_lock);
	return isr;
}

void virtio_pci_notify_queue(struct virtio_device *vdev, const struct virtqueue *vq)
{
	if (pci_msix_enabled(&vdev->pci))
		pci_msix_notify(&vdev->pci, __atomic_load_n(&vq->vector, __ATOMIC_RELAXED));
	else
		raise_isr(vdev, ISR_QUEUE, true);
}

void virtio_pci_notify_config(struct virtio_device *vdev)
{
	bool msix = pci_msix_enabled(&vdev->pci);

	raise_isr(vdev, ISR_CONFIG, !msix);
	if (msix)
		pci_msix_notify(&vdev->pci, __atomic_load_n(&vdev->config_vector, __ATOMIC_RELAXED));
}

void virtio_pci_reset(struct virtio_device *vdev)
{
	take_isr(vdev);
}

/* --- common configuration --- */

static uint32_t half(uint64_t val, unsigned off)
{
	return (uint32_t)(off & 4 ? val >> 32 : val);
}

static void set_half(uint64_t *reg, unsigned off, uint32_t val)
{
	if (off & 4)
		*reg = (uint32_t)*reg | (uint64_t)val << 32;
	else
		*reg = (*reg & ~UINT64_C(0xffffffff)) | val;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select > 1 ? 0 : half(features, select * 4);
}

static struct virtqueue *selected(struct virtio_device *vdev)
{
	return vdev->queue_select < vdev->n_queues ? &vdev->queues[vdev->queue_select] : NULL;
}

static uint32_t queue_read(struct virtio_device *vdev, unsigned off)
{
	const struct virtqueue *vq = selected(vdev);

	if (!vq)
		return off == QUEUE_VECTOR ? VIRTIO_NO_VECTOR : 0;
	switch (off) {
	case QUEUE_SIZE:
		return vq->size;
	case QUEUE_VECTOR:
		return vq->vector;
	case QUEUE_ENABLE:
		return vq->enabled;
	case QUEUE_NOTIFY_OFF:
	case QUEUE_NOTIFY_DATA:
		return vq->index;
	case QUEUE_DESC:
	case QUEUE_DESC + 4:
		return half(vq->desc, off);
	case QUEUE_DRIVER:
	case QUEUE_DRIVER + 4:
		return half(vq->driver, off);
	case QUEUE_DEVICE:
	case QUEUE_DEVICE + 4:
		return half(vq->device, off);
	default:
		return 0;
	}
}

static uint32_t common_read(struct virtio_device *vdev, unsigned off, unsigned size)
{
	if (off >= COMMON_LEN || common_width[off] != size)
		return UINT32_MAX;
	switch (off) {
	case DEVICE_FEATURE_SELECT:
		return vdev->device_feature_select;
	case DEVICE_FEATURE:
		return feature_word(vdev->offered, vdev->device_feature_select);
	case DRIVER_FEATURE_SELECT:
		return vdev->driver_feature_select;
	case DRIVER_FEATURE:
		return feature_word(vdev->driver_features, vdev->driver_feature_select);
	case CONFIG_VECTOR:
		return vdev->config_vector;
	case NUM_QUEUES:
		return vdev->n_queues;
	case DEVICE_STATUS:
		return __atomic_load_n(&vdev->status, __ATOMIC_RELAXED);
	case CONFIG_GENERATION:
		return vdev->generation;
	case QUEUE_SELECT:
		return vdev->queue_select;
	default:
		return queue_read(vdev, off);
	}
}

/* A vector that does not exist reads back as none: that is how the driver learns (section 4.1.5.1.2). */
static void set_vector(const struct virtio_device *vdev, uint16_t *reg, uint32_t val)
{
	__atomic_store_n(reg, (uint16_t)(val < vdev->pci.msix_count ? val : VIRTIO_NO_VECTOR), __ATOMIC_RELAXED);
}

/* Ring size and addresses are fixed once the queue is enabled. */
static void queue_setup_write(struct virtqueue *vq, unsigned off, uint32_t val)
{
	if (vq->enabled)
		return;
	switch (off) {
	case QUEUE_SIZE:
		vq->size = (uint16_t)val;
		break;
	case QUEUE_DESC:
	case QUEUE_DESC + 4:
		set_half(&vq->desc, off, val);
		break;
	case QUEUE_DRIVER:
	case QUEUE_DRIVER + 4:
		set_half(&vq->driver, off, val);
		break;
	case QUEUE_DEVICE:
	case QUEUE_DEVICE + 4:
		set_half(&vq->device, off, val);
		break;
	default:
		break;
	}
}

static void queue_write(struct virtio_device *vdev, unsigned off, uint32_t val)
{
	struct virtqueue *vq = selected(vdev);

	if (!vq)
		return;
	switch (off) {
	case QUEUE_VECTOR:
		set_vector(vdev, &vq->vector, val);
		break;
	case QUEUE_ENABLE:
		if (val == 1)
			virtio_queue_enable(vdev, vq);
		break;
	case QUEUE_RESET:
		if (val == 1)
			virtio_queue_reset(vdev, vq);
		break;
	default:
		queue_setup_write(vq, off, val);
	}
}

static void driver_feature_write(struct virtio_device *vdev, uint32_t val)
{
	bool agreed = __atomic_load_n(&vdev->status, __ATOMIC_RELAXED) & VIRTIO_STATUS_FEATURES_OK;

	if (!agreed && vdev->driver_feature_select <= 1)
		set_half(&vdev->driver_features, vdev->driver_feature_select * 4, val);
}

static void common_write(struct virtio_device *vdev, unsigned off, uint32_t val, unsigned size)
{
	if (off >= COMMON_LEN || common_width[off] != size)
		return;
	switch (off) {
	case DEVICE_FEATURE_SELECT:
		vdev->device_feature_select = val;
		break;
	case DRIVER_FEATURE_SELECT:
		vdev->driver_feature_select = val;
		break;
	case DRIVER_FEATURE:
		driver_feature_write(vdev, val);
		break;
	case CONFIG_VECTOR:
		set_vector(vdev, &vdev->config_vector, val);
		break;
	case DEVICE_STATUS:
		virtio_set_status(vdev, (uint8_t)val);
		break;
	case QUEUE_SELECT:
		vdev->queue_select = (uint16_t)val;
		break;
	default:
		queue_write(vdev, off, val);
	}
}

/* --- device configuration --- */

static uint32_t device_read(const struct virtio_device *vdev, unsigned off, unsigned size)
{
	uint32_t val = 0;

	if (off >= vdev->config_len || size > vdev->config_len - off)
		return UINT32_MAX;
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)vdev->device_config[off + i] << (8 * i);
	return val;
}

static void device_write(struct virtio_device *vdev, unsigned off, uint32_t val, unsigned size)
{
	if (vdev->class->config_write && off < vdev->config_len && size <= vdev->config_len - off)
		vdev->class->config_write(vdev, off, val, size);
}

/* --- the BARs --- */

static uint64_t registers_read(void *opaque, uint64_t off, unsigned size)
{
	struct virtio_device *vdev = opaque;

	if (off < ISR_OFFSET)
		return common_read(vdev, (unsigned)off, size);
	if (off < DEVICE_OFFSET)
		return off == ISR_OFFSET ? take_isr(vdev) : UINT64_MAX;
	return device_read(vdev, (unsigned)off - DEVICE_OFFSET, size);
}

static void registers_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct virtio_device *vdev = opaque;

	if (off < COMMON_LEN)
		common_write(vdev, (unsigned)off, (uint32_t)val, size);
	else if (off >= DEVICE_OFFSET)
		device_write(vdev, (unsigned)off - DEVICE_OFFSET, (uint32_t)val, size);
}

static uint64_t notify_read(void *opaque, uint64_t off, unsigned size)
{
	(void)opaque;
	(void)off;
	(void)size;
	return 0;
}

static void notify_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	(void)off;
	(void)val;
	(void)size;
	virtio_kick(opaque);
}

static const struct bus_ops registers_ops = { .read = registers_read, .write = registers_write, .max_size = 4 };
static const struct bus_ops notify_ops = { .read = notify_read, .write = notify_write, .max_size = 4 };

void virtio_pci_sync_notify(struct virtio_device *vdev)
{
	const struct vm *vm = vdev->pci.dev.vm;
	uint64_t addr = 0;

	if (!vm->accel || !vm->accel_class->ioeventfd)
		return;
	if (!vdev->running || !pci_bar_address(&vdev->pci, BAR_NOTIFY, &addr))
		addr = 0;
	if (addr == vdev->notify_addr)
		return;
	for (unsigned i = 0; vdev->notify_addr && i < vdev->n_queues; i++)
		vm->accel_class->ioeventfd(vm->accel, vdev->notify_addr + i * NOTIFY_MULTIPLIER, 2, vdev->kick_fd,
					   false);
	for (unsigned i = 0; addr && i < vdev->n_queues; i++)
		vm->accel_class->ioeventfd(vm->accel, addr + i * NOTIFY_MULTIPLIER, 2, vdev->kick_fd, true);
	vdev->notify_addr = addr;
}

/* --- capabilities, section 4.1.4 --- */

#define CAP_VENDOR 0x09
#define CAP_BAR 4u
#define CAP_OFFSET 8u
#define CAP_LENGTH 12u
#define CAP_EXTRA 16u /* notify multiplier, or the window of the PCI configuration access capability */

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4, CFG_PCI = 5 };

static unsigned add_capability(struct pci_device *pci, uint8_t type, unsigned bar, uint32_t offset, uint32_t length,
			       unsigned cap_len)
{
	unsigned cap = pci_add_capability(pci, CAP_VENDOR, cap_len);
	uint8_t *p = pci->config + cap;

	p[2] = (uint8_t)cap_len;
	p[3] = type;
	p[CAP_BAR] = (uint8_t)bar;
	pci_put32(p + CAP_OFFSET, offset);
	pci_put32(p + CAP_LENGTH, length);
	return cap;
}

static void add_capabilities(struct virtio_device *vdev)
{
	struct pci_device *pci = &vdev->pci;
	unsigned cap;

	add_capability(pci, CFG_COMMON, BAR_REGISTERS, COMMON_OFFSET, COMMON_LEN, CAP_EXTRA);
	add_capability(pci, CFG_ISR, BAR_REGISTERS, ISR_OFFSET, ISR_LEN, CAP_EXTRA);
	if (vdev->config_len)
		add_capability(pci, CFG_DEVICE, BAR_REGISTERS, DEVICE_OFFSET, vdev->config_len, CAP_EXTRA);
	cap = add_capability(pci, CFG_NOTIFY, BAR_NOTIFY, 0, NOTIFY_MULTIPLIER * vdev->n_queues, CAP_EXTRA + 4);
	pci_put32(pci->config + cap + CAP_EXTRA, NOTIFY_MULTIPLIER);

	cap = add_capability(pci, CFG_PCI, 0, 0, 0, CAP_EXTRA + 4);
	pci->writable[cap + CAP_BAR] = 0xff;
	pci_put32(pci->writable + cap + CAP_OFFSET, UINT32_MAX);
	pci_put32(pci->writable + cap + CAP_LENGTH, UINT32_MAX);
	vdev->pci_cfg_cap = cap;
}

/*
 * An access through the window, section 4.1.4.9: what the BAR would have answered. Device lock held, as the BAR's own
 * dispatcher does.
 */
static uint32_t window_access(struct virtio_device *vdev, bool write, uint32_t val)
{
	const uint8_t *cap = vdev->pci.config + vdev->pci_cfg_cap;
	uint32_t offset = pci_get32(cap + CAP_OFFSET), length = pci_get32(cap + CAP_LENGTH);
	const struct bus_ops *ops = cap[CAP_BAR] == BAR_REGISTERS ? &registers_ops : &notify_ops;
	uint32_t size = cap[CAP_BAR] == BAR_REGISTERS ? REGISTERS_SIZE : NOTIFY_SIZE;

	if ((length != 1 && length != 2 && length != 4) || offset % length || offset >= size ||
	    (cap[CAP_BAR] != BAR_REGISTERS && cap[CAP_BAR] != BAR_NOTIFY))
		return UINT32_MAX;
	if (!write)
		return (uint32_t)ops->read(vdev, offset, length);
	ops->write(vdev, offset, val & (UINT32_MAX >> (32 - 8 * length)), length);
	return 0;
}

static bool on_config_access(struct pci_device *pci, bool write, unsigned off, unsigned size, uint32_t *val)
{
	struct virtio_device *vdev = virtio_of_pci(pci);
	uint32_t result;

	if (off != vdev->pci_cfg_cap + CAP_EXTRA)
		return false;
	result = window_access(vdev, write, *val);
	if (!write)
		*val = result & (UINT32_MAX >> (32 - 8 * size));
	return true;
}

static void on_config_written(struct pci_device *pci, unsigned off, unsigned size)
{
	struct virtio_device *vdev = virtio_of_pci(pci);
	bool run = vdev->running;

	(void)size;
	if (off >= 0x28)
		return;
	/* Command register or a BAR: bus mastering and the place of the notification BAR. */
	virtio_sync_run(vdev);
	if (run == vdev->running)
		virtio_pci_sync_notify(vdev);
}

static const struct pci_device_ops pci_ops = { .config_written = on_config_written, .config_access = on_config_access };

bool virtio_pci_setup(struct virtio_device *vdev, GError **err)
{
	struct pci_device *pci = &vdev->pci;

	pci->ops = &pci_ops;
	pci_add_bar(pci, BAR_REGISTERS, REGISTERS_SIZE, false, false, &registers_ops, vdev, &pci->dev.lock);
	pci_add_msix(pci, BAR_MSIX, vdev->n_queues + 1);
	pci_add_bar(pci, BAR_NOTIFY, NOTIFY_SIZE, false, false, &notify_ops, vdev, NULL);
	add_capabilities(vdev);
	return pci_add(pci->dev.vm->pci, pci, -1, err);
}
