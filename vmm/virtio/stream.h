/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_VIRTIO_STREAM_H
#define LODGE_VMM_VIRTIO_STREAM_H

#include "vmm/virtio/virtio.h"

struct chardev;

/*
 * Bytes between a chardev and a pair of virtqueues, for the console devices. Loop thread, device lock held, queues
 * running. chain: the device's scratch. A guest that keeps the queues full has its turn, then the loop looks elsewhere
 * (virtio_kick() brings it back).
 */

/* The guest's output, all of it: a chardev takes everything. False: the turn is over and there may be more. */
bool virtio_stream_output(struct virtio_device *vdev, struct virtqueue *vq, struct virtqueue_chain *chain,
			  struct chardev *chardev);

/* Input into the buffers the guest has queued; returns how much there was room for. */
size_t virtio_stream_input(struct virtio_device *vdev, struct virtqueue *vq, struct virtqueue_chain *chain,
			   const uint8_t *data, size_t len);

#endif
