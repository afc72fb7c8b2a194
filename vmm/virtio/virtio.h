/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_VIRTIO_VIRTIO_H
#define LODGE_VMM_VIRTIO_VIRTIO_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/device.h"
#include "vmm/memory.h"
#include "vmm/pci.h"

/*
 * Between the virtio devices and what they share: virtqueues (queue*.c), the device's life (device.c) and its PCI
 * transport (pci.c). Sections named "virtio" are those of Virtual I/O Device (VIRTIO) version 1.2.
 */
#define VIRTIO_BIT(n) (UINT64_C(1) << (n))

/* virtio chapter 6 */
#define VIRTIO_F_INDIRECT_DESC VIRTIO_BIT(28)
#define VIRTIO_F_EVENT_IDX VIRTIO_BIT(29)
#define VIRTIO_F_VERSION_1 VIRTIO_BIT(32)
#define VIRTIO_F_RING_PACKED VIRTIO_BIT(34)
#define VIRTIO_F_RING_RESET VIRTIO_BIT(40)

/* Device status, virtio section 2.1 */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01u
#define VIRTIO_STATUS_DRIVER 0x02u
#define VIRTIO_STATUS_DRIVER_OK 0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u
#define VIRTIO_STATUS_FAILED 0x80u

#define VIRTIO_NO_VECTOR 0xffffu

#define VIRTIO_MAX_QUEUES 32u
#define VIRTIO_QUEUE_SIZE 256u	    /* largest ring offered */
#define VIRTQUEUE_MAX_SEGMENTS 256u /* host ranges of one chain */
#define VIRTQUEUE_MAX_STEPS 1024u   /* descriptors looked at for one chain */

/* --- virtqueues --- */

struct virtqueue_segment {
	uint64_t gpa;
	uint32_t len;
};

/*
 * One buffer of the driver: iov[0 .. n_out) is what the device may read, iov[n_out .. n_out + n_in) what it may
 * write. The descriptors have been copied and checked; the bytes behind them are shared with the running guest.
 * Large: one per queue user, never on a stack.
 */
struct virtqueue_chain {
	uint16_t id;	/* split: head descriptor; packed: buffer id */
	uint16_t slots; /* packed: ring entries the chain takes */
	unsigned n_out, n_in;
	uint32_t out_len, in_len; /* bytes */
	unsigned n_segments;
	struct iovec iov[VIRTQUEUE_MAX_SEGMENTS];
	struct virtqueue_segment segments[VIRTQUEUE_MAX_SEGMENTS]; /* the writable part again, by guest address */
};

struct virtqueue_ops;

/*
 * One queue, split or packed. The registers belong to the device lock. Ring state belongs to the thread that runs the
 * queue, and to the device lock while the device is stopped. error: what the driver did wrong (static text); the
 * queue then does nothing more until it is started again.
 */
struct virtqueue {
	uint16_t index, max_size;
	/* registers */
	uint16_t size;
	uint16_t vector; /* atomic */
	bool enabled;
	uint64_t desc, driver, device; /* descriptor area, driver area, device area */
	/* ring state */
	const struct virtqueue_ops *ops;
	struct memory *mem;
	bool indirect, event_idx;
	uint16_t avail_idx, used_idx; /* split: free running; packed: ring positions */
	bool avail_wrap, used_wrap;   /* packed */
	bool silent;		      /* the driver has been asked not to notify */
	bool force_signal;	      /* the next decision is yes: what was signalled before is not known */
	uint32_t unsignalled;	      /* ring entries used since the last decision */
	const char *error;
};

/* The two ring layouts, virtio sections 2.7 and 2.8. */
struct virtqueue_ops {
	bool (*check)(const struct virtqueue *vq); /* size, alignment, rings in RAM */
	bool (*pop)(struct virtqueue *vq, struct virtqueue_chain *chain);
	bool (*push)(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t len);
	bool (*wants_signal)(struct virtqueue *vq);
	bool (*silence)(struct virtqueue *vq);
	bool (*rearm)(struct virtqueue *vq); /* false on error only */
	bool (*has_work)(struct virtqueue *vq);
};

extern const struct virtqueue_ops virtqueue_split_ops;
extern const struct virtqueue_ops virtqueue_packed_ops;

/* Registers back to their power-on values. */
void virtqueue_reset(struct virtqueue *vq);

/*
 * The driver enables the queue: checks the registers and starts at ring position 0. False (and error set) when they
 * make no sense.
 */
bool virtqueue_start(struct virtqueue *vq, struct memory *mem, uint64_t features);

/* The next chain. False when there is none, or the driver broke the rules (then error is set). */
bool virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

/* Gives the chain back. len: bytes written, from the start of its writable part. */
void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t len);

/* After push: must the driver be interrupted? Forgets what it has decided about. */
bool virtqueue_wants_signal(struct virtqueue *vq);

/*
 * Asks the driver not to notify while the queue is being worked on, and to notify again: true when a chain has come
 * meanwhile.
 */
void virtqueue_silence(struct virtqueue *vq);
bool virtqueue_rearm(struct virtqueue *vq);

/*
 * Copies between the chain and buf, from byte off of its readable / writable part; return how many bytes there were,
 * at most len.
 */
size_t virtqueue_chain_read(const struct virtqueue_chain *chain, size_t off, void *buf, size_t len);
size_t virtqueue_chain_write(const struct virtqueue_chain *chain, size_t off, const void *buf, size_t len);
size_t virtqueue_chain_fill(const struct virtqueue_chain *chain, size_t off, uint8_t byte, size_t len);

/*
 * [off, off + len) of the readable (write false) or writable part as host ranges in iov[VIRTQUEUE_MAX_SEGMENTS];
 * returns their number.
 */
unsigned virtqueue_chain_slice(const struct virtqueue_chain *chain, bool write, size_t off, size_t len,
			       struct iovec *iov);

/* For the layouts: sets error, returns false. */
bool virtqueue_fail(struct virtqueue *vq, const char *why);
bool virtqueue_chain_add(struct virtqueue *vq, struct virtqueue_chain *chain, uint64_t gpa, uint32_t len, bool write);
bool virtqueue_range_ok(const struct virtqueue *vq, uint64_t gpa, size_t len, bool write);

#define VIRTQ_DESC_SIZE 16u
#define VIRTQ_DESC_F_NEXT 1u
#define VIRTQ_DESC_F_WRITE 2u
#define VIRTQ_DESC_F_INDIRECT 4u

/* With event indices: does the driver's event position lie in the entries just used? All modulo 2^16. */
static inline bool virtqueue_event_passed(const struct virtqueue *vq, uint16_t event)
{
	return vq->force_signal || vq->unsignalled >= vq->size ||
	       (uint16_t)(vq->used_idx - event - 1u) < vq->unsignalled;
}

/* --- devices --- */

struct virtio_device;

struct virtio_class {
	const struct device_class *device;
	uint16_t id;	    /* virtio chapter 5 */
	uint32_t pci_class; /* 0xCCSSPP */
	/*
	 * The queues may be used from start() on and must be left alone once stop() has returned. Device lock held;
	 * may be NULL. The thread that runs the queues must not need the device lock to come to rest.
	 */
	void (*start)(struct virtio_device *vdev);
	void (*stop)(struct virtio_device *vdev);
	/*
	 * Devices without a thread of their own: called on the loop thread after a notification, device lock held,
	 * only while the queues may be used. Then processed(), without the lock. NULL: the device reads kick_fd
	 * itself.
	 */
	void (*process)(struct virtio_device *vdev);
	void (*processed)(struct virtio_device *vdev);
	/* The driver wrote val to the device configuration at off. Device lock held; NULL: read-only. */
	void (*config_write)(struct virtio_device *vdev, unsigned off, uint32_t val, unsigned size);
};

/* Queue registers and ring positions as a saved state has them. */
struct virtio_saved {
	uint16_t size[VIRTIO_MAX_QUEUES], vector[VIRTIO_MAX_QUEUES], avail_idx[VIRTIO_MAX_QUEUES],
		used_idx[VIRTIO_MAX_QUEUES];
	uint64_t desc[VIRTIO_MAX_QUEUES], driver[VIRTIO_MAX_QUEUES], device[VIRTIO_MAX_QUEUES];
	bool enabled[VIRTIO_MAX_QUEUES], avail_wrap[VIRTIO_MAX_QUEUES], used_wrap[VIRTIO_MAX_QUEUES];
	bool broken;
};

struct virtio_device {
	struct pci_device pci;
	const struct virtio_class *class;
	/* constant after virtio_device_setup() */
	struct memory *mem;
	uint64_t offered; /* feature bits */
	unsigned n_queues, config_len;
	unsigned pci_cfg_cap; /* offset of the PCI configuration access capability */
	int kick_fd;	      /* eventfd: the driver notified some queue */
	GSource *source;      /* kick_fd on the loop thread, or NULL */
	/* device lock */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features, features; /* as written; as accepted with FEATURES_OK */
	uint16_t queue_select;
	uint8_t generation;
	uint8_t device_config[64]; /* device-specific configuration, little-endian */
	bool paused, running;
	uint64_t notify_addr; /* where the accelerator signals kick_fd; 0: nowhere */
	struct virtio_saved saved;
	/* atomic */
	uint8_t status;
	uint16_t config_vector;
	const char *broken; /* what the driver did; NULL: nothing wrong */
	/* isr_lock: inside the device lock and a device's I/O lock */
	GMutex isr_lock;
	uint8_t isr;
	struct virtqueue queues[VIRTIO_MAX_QUEUES];
};

/* .base_fields of every virtio device's class */
extern const struct device_field virtio_device_fields[];
extern const size_t virtio_n_device_fields;

/*
 * In a constructor: init() on the zeroed instance, then device_config[] and what start() needs, then setup(), which
 * puts the device on vm->pci. After init() fini() is due in any case. features: the device type's own bits; those of
 * the rings are added.
 */
void virtio_device_init(struct virtio_device *vdev, const struct virtio_class *class, struct vm *vm, const char *id);
bool virtio_device_setup(struct virtio_device *vdev, uint64_t features, unsigned n_queues, unsigned config_len,
			 GError **err);
void virtio_device_fini(struct virtio_device *vdev);

/* Hooks for the device_class of a virtio device; a device with state of its own calls them from its own hooks. */
void virtio_device_reset(struct device *dev);
void virtio_device_pause(struct device *dev);
void virtio_device_resume(struct device *dev);
void virtio_device_pre_save(struct device *dev);
bool virtio_device_post_load(struct device *dev, GError **err);

/* Wakes whoever reads kick_fd. Any thread. */
void virtio_kick(struct virtio_device *vdev);

/*
 * The driver broke the rules: NEEDS_RESET, a configuration interrupt, and nothing more until it resets. why: static
 * text. Any thread.
 */
void virtio_break(struct virtio_device *vdev, const char *why);
bool virtio_is_broken(const struct virtio_device *vdev);

/* A queue of a device that has been started; a driver's mistake breaks the device. Queue's own thread. */
bool virtio_pop(struct virtio_device *vdev, struct virtqueue *vq, struct virtqueue_chain *chain);
void virtio_complete(struct virtio_device *vdev, struct virtqueue *vq, const struct virtqueue_chain *chain,
		     uint32_t len);
void virtio_silence(struct virtio_device *vdev, struct virtqueue *vq);
bool virtio_rearm(struct virtio_device *vdev, struct virtqueue *vq);

/* device_config[] has changed under the driver's feet. Device lock held. */
void virtio_config_changed(struct virtio_device *vdev);

/* --- between device.c and pci.c --- */

void virtio_set_status(struct virtio_device *vdev, uint8_t val);
void virtio_queue_enable(struct virtio_device *vdev, struct virtqueue *vq);
void virtio_queue_reset(struct virtio_device *vdev, struct virtqueue *vq);
/* Starts or stops the queues as status, pause and bus mastering say. */
void virtio_sync_run(struct virtio_device *vdev);

bool virtio_pci_setup(struct virtio_device *vdev, GError **err);
void virtio_pci_sync_notify(struct virtio_device *vdev);
void virtio_pci_notify_queue(struct virtio_device *vdev, const struct virtqueue *vq); /* any thread */
void virtio_pci_notify_config(struct virtio_device *vdev);			      /* any thread */
void virtio_pci_reset(struct virtio_device *vdev); /* interrupt state of the transport */

#endif
