/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev.h"
#include "vmm/timer.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/stream.h"
#include "vmm/virtio/virtio.h"
#include "vmm/vm.h"

/*
 * Console device, virtio section 5.3, with one port: queue 0 carries input to the guest, queue 1 its output.
 *
 * Runs on the loop thread under the device lock. Output never waits: the chardev takes it all. Input is taken from
 * the chardev only into buffers the guest has queued; what does not fit stays there until the guest queues more,
 * which processed() tells the chardev without the device lock held.
 *
 * Linux reads the size only when it is told of a change, and listens only some time after DRIVER_OK. So a size that is
 * known then is told as a change, several times, further and further apart.
 */
#define CONSOLE_ID 3
#define F_SIZE VIRTIO_BIT(0)
#define F_EMERG_WRITE VIRTIO_BIT(2)

#define CONFIG_COLS 0u
#define CONFIG_ROWS 2u
#define CONFIG_MAX_PORTS 4u
#define CONFIG_EMERG_WRITE 8u
#define CONFIG_LEN 12u

#define DEFAULT_COLS 80
#define DEFAULT_ROWS 25

enum { QUEUE_RX, QUEUE_TX, N_QUEUES };

#define TELL_COUNT 6u
#define TELL_FIRST_NS (10 * NS_PER_MS)

struct virtio_console {
	struct virtio_device vdev;
	struct chardev *chardev;
	bool attached; /* to the chardev */
	bool sized;    /* somebody has said what the size is */
	struct timer *tell_timer;
	unsigned n_told; /* times, since the queues were started */
	struct virtqueue_chain chain;
};

static struct virtio_console *console_of(struct device *dev)
{
	return (struct virtio_console *)(void *)dev;
}

static void console_process(struct virtio_device *vdev)
{
	struct virtio_console *con = (struct virtio_console *)(void *)vdev;

	virtio_stream_output(vdev, &vdev->queues[QUEUE_TX], &con->chain, con->chardev);
}

static void console_processed(struct virtio_device *vdev)
{
	chardev_accept_input(((struct virtio_console *)(void *)vdev)->chardev);
}

static size_t console_receive(void *opaque, const uint8_t *data, size_t len)
{
	struct virtio_console *con = opaque;
	size_t taken = 0;

	g_mutex_lock(&con->vdev.pci.dev.lock);
	if (con->vdev.running)
		taken = virtio_stream_input(&con->vdev, &con->vdev.queues[QUEUE_RX], &con->chain, data, len);
	g_mutex_unlock(&con->vdev.pci.dev.lock);
	return taken;
}

static void tell_size_later(struct virtio_console *con)
{
	timer_set(con->tell_timer, timers_now(con->vdev.pci.dev.vm->timers) + (TELL_FIRST_NS << con->n_told));
}

static void tell_size(void *opaque)
{
	struct virtio_console *con = opaque;

	virtio_config_changed(&con->vdev);
	if (++con->n_told < TELL_COUNT)
		tell_size_later(con);
}

static void console_start(struct virtio_device *vdev)
{
	struct virtio_console *con = (struct virtio_console *)(void *)vdev;

	con->n_told = 0;
	if (con->sized)
		tell_size_later(con);
}

static void console_stop(struct virtio_device *vdev)
{
	timer_cancel(((struct virtio_console *)(void *)vdev)->tell_timer);
}

static const struct chardev_client console_client = { .receive = console_receive };

/* Section 5.3.6.1: a character without any queue, for a guest in trouble. */
static void console_config_write(struct virtio_device *vdev, unsigned off, uint32_t val, unsigned size)
{
	uint8_t byte = (uint8_t)val;

	(void)size;
	if (off == CONFIG_EMERG_WRITE && !vdev->paused)
		chardev_write(((struct virtio_console *)(void *)vdev)->chardev, &byte, 1);
}

static void console_destroy(struct device *dev)
{
	struct virtio_console *con = console_of(dev);

	if (con->attached)
		chardev_set_client(con->chardev, NULL, NULL);
	timer_free(con->tell_timer);
	virtio_device_fini(&con->vdev);
	g_free(con);
}

static const struct device_class console_device_class = {
	.name = "virtio-console",
	.version = 1,
	.base_fields = virtio_device_fields,
	.n_base_fields = &virtio_n_device_fields,
	.reset = virtio_device_reset,
	.pause = virtio_device_pause,
	.resume = virtio_device_resume,
	.pre_save = virtio_device_pre_save,
	.post_load = virtio_device_post_load,
	.destroy = console_destroy,
};

static const struct virtio_class console_class = {
	.device = &console_device_class,
	.id = CONSOLE_ID,
	.pci_class = 0x078000,
	.start = console_start,
	.stop = console_stop,
	.process = console_process,
	.processed = console_processed,
	.config_write = console_config_write,
};

void virtio_console_resize(struct device *dev, uint16_t cols, uint16_t rows)
{
	struct virtio_console *con = console_of(dev);
	struct virtio_device *vdev = &con->vdev;
	uint8_t *config = vdev->device_config;

	g_mutex_lock(&dev->lock);
	con->sized = true;
	if (pci_get16(config + CONFIG_COLS) != cols || pci_get16(config + CONFIG_ROWS) != rows) {
		pci_put16(config + CONFIG_COLS, cols);
		pci_put16(config + CONFIG_ROWS, rows);
		virtio_config_changed(vdev);
	}
	g_mutex_unlock(&dev->lock);
}

struct device *virtio_console_new(struct vm *vm, struct chardev *chardev, const char *id, GError **err)
{
	struct virtio_console *con = g_new0(struct virtio_console, 1);
	struct virtio_device *vdev = &con->vdev;

	con->chardev = chardev;
	virtio_device_init(vdev, &console_class, vm, id);
	con->tell_timer = timer_new(vm->timers, &vdev->pci.dev.lock, tell_size, con);
	pci_put16(vdev->device_config + CONFIG_COLS, DEFAULT_COLS);
	pci_put16(vdev->device_config + CONFIG_ROWS, DEFAULT_ROWS);
	pci_put32(vdev->device_config + CONFIG_MAX_PORTS, 1);
	if (!virtio_device_setup(vdev, F_SIZE | F_EMERG_WRITE, N_QUEUES, CONFIG_LEN, err)) {
		console_destroy(&vdev->pci.dev);
		return NULL;
	}
	con->attached = true;
	chardev_set_client(chardev, &console_client, con);
	vm_add_device(vm, &vdev->pci.dev);
	return &vdev->pci.dev;
}
