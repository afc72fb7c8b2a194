/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_FUZZ_BOARD_H
#define LODGE_TESTS_FUZZ_BOARD_H

#include "console/chardev.h"
#include "tests/virtio-driver.h"

/* A console nobody reads, for the fuzz targets of whole boards. */
void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque)
{
	(void)chardev;
	(void)client;
	(void)opaque;
}

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	(void)chardev;
	/* every byte is looked at, so that a sanitizer sees what is handed over */
	for (size_t i = 0; i < len; i++)
		__asm__ volatile("" : : "r"(data[i]));
}

void chardev_accept_input(struct chardev *chardev)
{
	(void)chardev;
}

static inline uint16_t fuzz_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t fuzz_u32(const uint8_t *p)
{
	return fuzz_u16(p) | (uint32_t)fuzz_u16(p + 2) << 16;
}

#endif
