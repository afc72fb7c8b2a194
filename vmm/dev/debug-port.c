/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"

/*
 * Two ports for which nobody waits: firmware's debug console, and the power-on self test's, which kernels write to when
 * they want to let a microsecond pass. Neither takes a lock: the first hands its byte on, the second is one atomic
 * byte.
 */

#define PORT_POST 0x80u
#define PORT_DEBUG 0x402u
#define DEBUG_PRESENT 0xe9u

struct debug_port {
	struct device dev;
	struct chardev *chardev; /* may be NULL */
	uint8_t post;
};

static uint64_t debug_read(G_GNUC_UNUSED void *opaque, G_GNUC_UNUSED uint64_t off, G_GNUC_UNUSED unsigned size)
{
	return DEBUG_PRESENT;
}

static void debug_write(void *opaque, G_GNUC_UNUSED uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct debug_port *port = opaque;
	uint8_t byte = (uint8_t)val;

	if (port->chardev)
		chardev_write(port->chardev, &byte, 1);
}

static uint64_t post_read(void *opaque, G_GNUC_UNUSED uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct debug_port *port = opaque;

	return __atomic_load_n(&port->post, __ATOMIC_RELAXED);
}

static void post_write(void *opaque, G_GNUC_UNUSED uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct debug_port *port = opaque;

	__atomic_store_n(&port->post, (uint8_t)val, __ATOMIC_RELAXED);
}

static const struct bus_ops debug_ops = { .read = debug_read, .write = debug_write, .max_size = 1 };
static const struct bus_ops post_ops = { .read = post_read, .write = post_write, .max_size = 1 };

static void debug_port_reset(struct device *dev)
{
	struct debug_port *port = (struct debug_port *)dev;

	port->post = 0;
}

static void debug_port_destroy(struct device *dev)
{
	device_fini(dev);
	g_free(dev);
}

static const struct device_field debug_port_fields[] = {
	DEVICE_FIELD(U8, debug_port, post),
};

static const struct device_class debug_port_class = {
	.name = "debug-port",
	.version = 1,
	.fields = debug_port_fields,
	.n_fields = G_N_ELEMENTS(debug_port_fields),
	.reset = debug_port_reset,
	.destroy = debug_port_destroy,
};

struct device *debug_port_new(struct vm *vm, struct bus *pio, struct chardev *chardev)
{
	struct debug_port *port = g_new0(struct debug_port, 1);

	device_init(&port->dev, &debug_port_class, vm, "debug-port");
	port->chardev = chardev;
	bus_add(pio, "debug-port", PORT_DEBUG, 1, true, &debug_ops, port, NULL);
	bus_add(pio, "post-port", PORT_POST, 1, true, &post_ops, port, NULL);
	return &port->dev;
}
