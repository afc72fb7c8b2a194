/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver that does anything to a console: common configuration, device configuration, notifications, the window in
 * configuration space, ring memory, and in between pause, resume, reset, save and load. Input: operations of 8 bytes:
 * u8 kind, u8 size, u16 where, u32 value. Starts with a driver that has come as far as DRIVER_OK, so that the rings
 * are in reach.
 */
#include <string.h>

#include "console/chardev.h"
#include "tests/virtio-driver.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (UINT64_C(1) << 20)

enum { COMMON_READ, COMMON_WRITE, CONFIG, ISR, KICK, WINDOW, MEMORY, LOOP, STATE, INPUT, CONFIG_SPACE, N_KINDS };

/* The host's end: looks at every byte, so that a sanitizer sees what is handed over. */
struct chardev {
	const struct chardev_client *client;
	void *opaque;
	uint8_t sum;
};

void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque)
{
	chardev->client = client;
	chardev->opaque = opaque;
}

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		chardev->sum ^= data[i];
}

void chardev_accept_input(struct chardev *chardev)
{
	(void)chardev;
}

static void window(struct driver *driver, unsigned where, uint32_t val, unsigned width)
{
	board_config_write(driver->board, driver->slot, driver->pci_cfg + 4 + where % 16, val, width);
	board_config_read(driver->board, driver->slot, driver->pci_cfg + 16, width);
}

static void change_state(struct board *board, struct device *dev, uint32_t val)
{
	g_autoptr(GByteArray) state = g_byte_array_new();
	size_t used;

	switch (val % 4) {
	case 0:
		device_pause(dev);
		break;
	case 1:
		device_resume(dev);
		break;
	case 2:
		device_reset(dev);
		board_config_write(board, ((struct pci_device *)(void *)dev)->slot, 4, 6, 2);
		break;
	default:
		device_pause(dev);
		device_save(dev, state);
		/* a saved state is a file: something in it may have changed */
		if (val >> 8)
			state->data[(val >> 8) % state->len] ^= (uint8_t)(val >> 2 | 1);
		if (!device_load(dev, state->data, state->len, &used, NULL))
			device_reset(dev);
		device_resume(dev);
	}
}

static void operate(struct driver *driver, struct device *dev, struct chardev *chardev, const uint8_t *op)
{
	struct board *board = driver->board;
	unsigned width = 1u << (op[1] & 3);
	uint16_t where = pci_get16(op + 2);
	uint32_t val = pci_get32(op + 4);

	switch (op[0] % N_KINDS) {
	case COMMON_READ:
		board_mmio_read(board, driver->common + where % 64, width);
		break;
	case COMMON_WRITE:
		board_mmio_write(board, driver->common + where % 64, val, width);
		break;
	case CONFIG:
		board_mmio_read(board, driver->config + where % 16, width);
		board_mmio_write(board, driver->config + where % 16, val, width);
		break;
	case ISR:
		board_mmio_read(board, driver->isr, width);
		break;
	case KICK:
		driver_kick(driver, where % 4);
		break;
	case WINDOW:
		window(driver, where, val, width);
		break;
	case MEMORY:
		board_put(board, 0x10000 + where % 0x8000, &val, sizeof(val));
		break;
	case LOOP:
		break;
	case STATE:
		change_state(board, dev, val);
		break;
	case INPUT:
		g_assert_cmpuint(chardev->client->receive(chardev->opaque, op, 8), <=, 8);
		virtio_console_resize(dev, where, (uint16_t)val);
		break;
	default:
		board_config_write(board, driver->slot, where % 256, val, width);
	}
	for (unsigned turns = 0; turns < 4 && g_main_context_iteration(board->vm.context, FALSE); turns++)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chardev chardev = { .client = NULL };
	autoptr(board) board = board_new(RAM);
	struct driver driver;
	struct device *dev = virtio_console_new(&board->vm, &chardev, "console0", NULL);
	uint64_t features = 0;

	if (size)
		features = (data[0] & 0x10 ? VIRTIO_F_RING_PACKED : 0) | (data[0] & 0x20 ? VIRTIO_F_EVENT_IDX : 0) |
			   (data[0] & 0x40 ? VIRTIO_F_INDIRECT_DESC : 0) | (data[0] & 0x80 ? VIRTIO_F_RING_RESET : 0);
	driver_open(&driver, board, dev);
	driver_start(&driver, features, 2, 8);
	for (size_t pos = 0; size - pos >= 8; pos += 8)
		operate(&driver, dev, &chardev, data + pos);
	/* whatever happened, a reset makes it a working device again */
	device_reset(dev);
	device_resume(dev);
	driver_open(&driver, board, dev);
	driver_start(&driver, 0, 2, 8);
	driver_send(&driver, 1, &(struct ring_buf){ 0x100, 16, false }, 1, 0);
	driver_wait(&driver, 1, NULL);
	return 0;
}
