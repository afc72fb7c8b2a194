/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/stream.h"

#include "console/chardev.h"

/* Work done for the guest before the loop thread looks elsewhere, in bytes; a chain counts as some of them. */
#define TURN_COST (1u << 20)
#define CHAIN_COST 1024u

/* Returns what it cost. Of a chain larger than a turn only the end is kept, as the chardev's own buffer would. */
static size_t write_chain(const struct virtqueue_chain *chain, struct chardev *chardev)
{
	size_t skip = chain->out_len > TURN_COST ? chain->out_len - TURN_COST : 0;

	for (unsigned i = 0; i < chain->n_out; i++) {
		const struct iovec *iov = &chain->iov[i];
		size_t off = MIN(skip, iov->iov_len);

		skip -= off;
		if (off < iov->iov_len)
			chardev_write(chardev, (const uint8_t *)iov->iov_base + off, iov->iov_len - off);
	}
	return CHAIN_COST + MIN(chain->out_len, TURN_COST);
}

bool virtio_stream_output(struct virtio_device *vdev, struct virtqueue *vq, struct virtqueue_chain *chain,
			  struct chardev *chardev)
{
	size_t cost = 0;

	virtio_silence(vdev, vq);
	do {
		while (cost < TURN_COST && virtio_pop(vdev, vq, chain)) {
			cost += write_chain(chain, chardev);
			virtio_complete(vdev, vq, chain, 0);
		}
		if (cost >= TURN_COST) {
			virtio_kick(vdev);
			return false;
		}
	} while (virtio_rearm(vdev, vq));
	return true;
}

size_t virtio_stream_input(struct virtio_device *vdev, struct virtqueue *vq, struct virtqueue_chain *chain,
			   const uint8_t *data, size_t len)
{
	size_t taken = 0, cost = 0;

	do {
		while (taken < len && cost < TURN_COST && virtio_pop(vdev, vq, chain)) {
			size_t part = virtqueue_chain_write(chain, 0, data + taken, len - taken);

			taken += part;
			cost += CHAIN_COST + part;
			virtio_complete(vdev, vq, chain, (uint32_t)part);
		}
		if (cost >= TURN_COST) {
			virtio_kick(vdev);
			break;
		}
		/* The ring is empty: ask to be told, and look once more. */
	} while (taken < len && virtio_rearm(vdev, vq));
	return taken;
}
