/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sys/random.h>

#include "vmm/timer.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/virtio.h"
#include "vmm/vm.h"

/*
 * Entropy device, virtio section 5.4: one queue of buffers to fill from the host's getrandom().
 *
 * Runs on the loop thread. One turn gives at most TURN_BYTES, then kicks itself, so a greedy guest does not keep the
 * loop from its other work. With a rate limit, budget is what is left of this period; when it runs out buffers wait
 * in the ring until the timer opens the next period.
 */
#define RNG_ID 4
#define CHAIN_BYTES 4096u /* more than any driver asks for at once; a buffer may be used in part */
#define TURN_BYTES 65536u

struct virtio_rng {
	struct virtio_device vdev;
	unsigned bytes_per_period; /* 0: no limit */
	uint64_t period;	   /* ns */
	struct timer *timer;
	uint32_t budget;
	uint64_t period_end; /* ns; 0: no period is running */
	uint8_t bytes[CHAIN_BYTES];
	struct virtqueue_chain chain;
};

static struct virtio_rng *rng_of(struct device *dev)
{
	return (struct virtio_rng *)(void *)dev;
}

static size_t random_bytes(uint8_t *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom(buf + done, len - done, 0);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	return done;
}

/* The first byte given in a period starts its clock. */
static void spend(struct virtio_rng *rng, size_t len)
{
	if (!rng->bytes_per_period)
		return;
	rng->budget -= (uint32_t)len;
	if (rng->period_end)
		return;
	rng->period_end = timers_now(rng->vdev.pci.dev.vm->timers) + rng->period;
	timer_set(rng->timer, rng->period_end);
}

static uint32_t fill_chain(struct virtio_rng *rng)
{
	size_t len = MIN(rng->chain.in_len, CHAIN_BYTES);

	if (rng->bytes_per_period)
		len = MIN(len, rng->budget);
	len = random_bytes(rng->bytes, len);
	virtqueue_chain_write(&rng->chain, 0, rng->bytes, len);
	spend(rng, len);
	return (uint32_t)len;
}

static void rng_process(struct virtio_device *vdev)
{
	struct virtio_rng *rng = (struct virtio_rng *)(void *)vdev;
	struct virtqueue *vq = &vdev->queues[0];
	size_t given = 0;

	virtio_silence(vdev, vq);
	do {
		while (given < TURN_BYTES && (!rng->bytes_per_period || rng->budget) &&
		       virtio_pop(vdev, vq, &rng->chain)) {
			uint32_t len = fill_chain(rng);

			/* A chain costs something even when it asks for nothing. */
			given += MAX(len, 64u);
			virtio_complete(vdev, vq, &rng->chain, len);
		}
		if (given >= TURN_BYTES) {
			virtio_kick(vdev);
			return;
		}
		/* Out of budget: the timer comes back to the ring, no notification is needed. */
		if (rng->bytes_per_period && !rng->budget)
			return;
	} while (virtio_rearm(vdev, vq));
}

static void rng_period_over(void *opaque)
{
	struct virtio_rng *rng = opaque;

	rng->period_end = 0;
	rng->budget = rng->bytes_per_period;
	virtio_kick(&rng->vdev);
}

static void rng_reset(struct device *dev)
{
	struct virtio_rng *rng = rng_of(dev);

	virtio_device_reset(dev);
	timer_cancel(rng->timer);
	rng->period_end = 0;
	rng->budget = rng->bytes_per_period;
}

static bool rng_post_load(struct device *dev, GError **err)
{
	struct virtio_rng *rng = rng_of(dev);

	if (!virtio_device_post_load(dev, err))
		return false;
	rng->budget = MIN(rng->budget, rng->bytes_per_period);
	timer_cancel(rng->timer);
	if (rng->bytes_per_period && !rng->period_end)
		rng->budget = rng->bytes_per_period;
	else if (rng->period_end)
		timer_set(rng->timer, rng->period_end);
	return true;
}

static void rng_destroy(struct device *dev)
{
	struct virtio_rng *rng = rng_of(dev);

	timer_free(rng->timer);
	virtio_device_fini(&rng->vdev);
	g_free(rng);
}

static const struct device_field rng_fields[] = {
	DEVICE_FIELD(U32, virtio_rng, budget),
	DEVICE_FIELD(U64, virtio_rng, period_end),
};

static const struct device_class rng_device_class = {
	.name = "virtio-rng",
	.version = 1,
	.base_fields = virtio_device_fields,
	.n_base_fields = &virtio_n_device_fields,
	.fields = rng_fields,
	.n_fields = G_N_ELEMENTS(rng_fields),
	.reset = rng_reset,
	.pause = virtio_device_pause,
	.resume = virtio_device_resume,
	.pre_save = virtio_device_pre_save,
	.post_load = rng_post_load,
	.destroy = rng_destroy,
};

static const struct virtio_class rng_class = {
	.device = &rng_device_class,
	.id = RNG_ID,
	.pci_class = 0x00ff00,
	.process = rng_process,
};

struct device *virtio_rng_new(struct vm *vm, unsigned bytes_per_period, unsigned period_ms, const char *id,
			      GError **err)
{
	struct virtio_rng *rng = g_new0(struct virtio_rng, 1);
	struct device *dev = &rng->vdev.pci.dev;

	virtio_device_init(&rng->vdev, &rng_class, vm, id);
	rng->period = MAX(period_ms, 1u) * NS_PER_MS;
	rng->bytes_per_period = rng->budget = bytes_per_period;
	rng->timer = timer_new(vm->timers, &dev->lock, rng_period_over, rng);
	if (!virtio_device_setup(&rng->vdev, 0, 1, 0, err)) {
		rng_destroy(dev);
		return NULL;
	}
	vm_add_device(vm, dev);
	return dev;
}
