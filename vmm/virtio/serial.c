/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "console/chardev.h"
#include "core/base/error.h"
#include "vmm/virtio/devices.h"
#include "vmm/virtio/stream.h"
#include "vmm/virtio/virtio.h"
#include "vmm/vm.h"

/*
 * Console device with several ports, virtio section 5.3. Port 0 has queues 0 (input) and 1 (output), then come the two
 * control queues, then a pair for each further port.
 *
 * What the guest has to be told about a port is not a queue of messages but a set of facts that are due, a bit each;
 * so a guest that gives no buffers, or asks again and again, costs nothing. A fact is sent as it is at that time.
 * Between DEVICE_READY and PORT_ADD, PORT_READY and the rest the driver sets the pace.
 *
 * Input of a port goes to the guest only while a program there has it open; until then it stays with the chardev. A
 * driver without VIRTIO_CONSOLE_F_MULTIPORT sees port 0 alone, always open.
 *
 * Runs on the loop thread under the device lock; on_open and chardev_accept_input() are called without it.
 */
#define CONSOLE_ID 3
#define F_SIZE VIRTIO_BIT(0) /* Linux heeds CONTROL_RESIZE only with it */
#define F_MULTIPORT VIRTIO_BIT(1)
#define F_EMERG_WRITE VIRTIO_BIT(2)

#define CONFIG_COLS 0u
#define CONFIG_ROWS 2u
#define CONFIG_MAX_PORTS 4u
#define CONFIG_EMERG_WRITE 8u
#define CONFIG_LEN 12u
#define DEFAULT_COLS 80u
#define DEFAULT_ROWS 25u

#define QUEUE_CONTROL_IN 2u  /* to the guest */
#define QUEUE_CONTROL_OUT 3u /* from the guest */

/* Section 5.3.6.2 */
enum control {
	CONTROL_DEVICE_READY,
	CONTROL_PORT_ADD,
	CONTROL_PORT_REMOVE,
	CONTROL_PORT_READY,
	CONTROL_CONSOLE_PORT,
	CONTROL_RESIZE,
	CONTROL_PORT_OPEN,
	CONTROL_PORT_NAME,
};

#define CONTROL_LEN 8u
#define CONTROL_MAX (CONTROL_LEN + VIRTIO_SERIAL_MAX_NAME + 1)
#define CONTROL_TURN 256u /* messages of the guest's looked at before the loop looks elsewhere */

#define DUE(event) (1u << (event))

/* In the order in which they are sent. */
static const enum control facts[] = {
	CONTROL_PORT_ADD, CONTROL_CONSOLE_PORT, CONTROL_PORT_NAME, CONTROL_PORT_OPEN, CONTROL_RESIZE,
};

struct port {
	struct virtio_serial *serial;
	unsigned number;
	struct chardev *chardev; /* NULL: no such port */
	char *name;
	bool console, host_open, told_open;
	uint16_t cols, rows; /* 0: not known */
};

struct virtio_serial {
	struct virtio_device vdev;
	unsigned max_ports;
	struct port ports[VIRTIO_SERIAL_MAX_PORTS];
	/* the guest's view, saved */
	uint8_t due[VIRTIO_SERIAL_MAX_PORTS];
	bool guest_ready[VIRTIO_SERIAL_MAX_PORTS], guest_open[VIRTIO_SERIAL_MAX_PORTS];
	void (*changed)(void *opaque, unsigned number, bool open);
	void *changed_opaque;
	struct virtqueue_chain chain;
};

static struct virtio_serial *serial_of(struct virtio_device *vdev)
{
	return (struct virtio_serial *)(void *)vdev;
}

static struct virtqueue *input_queue(struct virtio_serial *serial, unsigned number)
{
	return &serial->vdev.queues[number ? 2 + 2 * number : 0];
}

static struct virtqueue *output_queue(struct virtio_serial *serial, unsigned number)
{
	return input_queue(serial, number) + 1;
}

static bool multiport(const struct virtio_serial *serial)
{
	return serial->vdev.features & F_MULTIPORT;
}

static bool guest_listens(const struct virtio_serial *serial, unsigned number)
{
	return serial->vdev.running && (multiport(serial) ? serial->guest_open[number] : number == 0);
}

/* --- control, to the guest --- */

/*
 * One message as it goes out; returns its length. A size is columns first, as section 5.3.6.2 has it and Linux since
 * 6.15 and its stable branches of that time; those before took it the other way round.
 */
static size_t format_fact(const struct port *port, enum control event, uint8_t msg[CONTROL_MAX])
{
	size_t len = CONTROL_LEN;
	uint16_t value = 1;

	if (event == CONTROL_PORT_OPEN)
		value = port->host_open;
	pci_put32(msg, port->number);
	pci_put16(msg + 4, (uint16_t)event);
	pci_put16(msg + 6, value);
	if (event == CONTROL_RESIZE) {
		pci_put16(msg + len, port->cols);
		pci_put16(msg + len + 2, port->rows);
		len += 4;
	} else if (event == CONTROL_PORT_NAME) {
		memcpy(msg + len, port->name, strlen(port->name) + 1);
		len += strlen(port->name) + 1;
	}
	return len;
}

/* False: the guest has given no buffer. One that is too small gets what fits, which the driver has to live with. */
static bool send_fact(struct virtio_serial *serial, unsigned number, enum control event)
{
	struct virtqueue *vq = &serial->vdev.queues[QUEUE_CONTROL_IN];
	uint8_t msg[CONTROL_MAX];
	size_t len;

	while (!virtio_pop(&serial->vdev, vq, &serial->chain)) {
		if (!virtio_rearm(&serial->vdev, vq))
			return false;
	}
	len = virtqueue_chain_write(&serial->chain, 0, msg, format_fact(&serial->ports[number], event, msg));
	virtio_complete(&serial->vdev, vq, &serial->chain, (uint32_t)len);
	serial->due[number] &= (uint8_t)~DUE(event);
	return true;
}

static void send_due(struct virtio_serial *serial)
{
	if (!serial->vdev.running || !multiport(serial))
		return;
	/* All are added before the first is described, so that hvc numbers follow port numbers. */
	for (size_t i = 0; i < G_N_ELEMENTS(facts); i++) {
		for (unsigned n = 0; n < serial->max_ports; n++) {
			if ((serial->due[n] & DUE(facts[i])) && !send_fact(serial, n, facts[i]))
				return;
		}
	}
}

static void set_due(struct virtio_serial *serial, unsigned number, enum control event)
{
	if (serial->guest_ready[number])
		serial->due[number] |= (uint8_t)DUE(event);
}

/* --- control, from the guest --- */

static void on_device_ready(struct virtio_serial *serial, bool ok)
{
	for (unsigned n = 0; ok && n < serial->max_ports; n++) {
		if (serial->ports[n].chardev)
			serial->due[n] |= DUE(CONTROL_PORT_ADD);
	}
}

static void on_port_ready(struct virtio_serial *serial, const struct port *port, bool ok)
{
	serial->guest_ready[port->number] = ok;
	serial->due[port->number] = 0;
	if (!ok)
		return;
	if (port->console)
		set_due(serial, port->number, CONTROL_CONSOLE_PORT);
	if (port->console && port->cols)
		set_due(serial, port->number, CONTROL_RESIZE);
	if (port->name)
		set_due(serial, port->number, CONTROL_PORT_NAME);
	if (port->host_open)
		set_due(serial, port->number, CONTROL_PORT_OPEN);
}

static void on_control(struct virtio_serial *serial)
{
	uint8_t msg[CONTROL_LEN];
	const struct port *port;
	uint32_t number;
	bool value;

	if (virtqueue_chain_read(&serial->chain, 0, msg, sizeof(msg)) < sizeof(msg))
		return;
	number = pci_get32(msg);
	value = pci_get16(msg + 6);
	if (pci_get16(msg + 4) == CONTROL_DEVICE_READY) {
		on_device_ready(serial, value);
		return;
	}
	if (number >= serial->max_ports || !serial->ports[number].chardev)
		return;
	port = &serial->ports[number];
	if (pci_get16(msg + 4) == CONTROL_PORT_READY)
		on_port_ready(serial, port, value);
	else if (pci_get16(msg + 4) == CONTROL_PORT_OPEN)
		serial->guest_open[number] = value;
}

static void process_control(struct virtio_serial *serial)
{
	struct virtio_device *vdev = &serial->vdev;
	struct virtqueue *vq = &vdev->queues[QUEUE_CONTROL_OUT];
	unsigned n = 0;

	virtio_silence(vdev, vq);
	do {
		while (n++ < CONTROL_TURN && virtio_pop(vdev, vq, &serial->chain)) {
			on_control(serial);
			virtio_complete(vdev, vq, &serial->chain, 0);
		}
		if (n >= CONTROL_TURN) {
			virtio_kick(vdev);
			return;
		}
	} while (virtio_rearm(vdev, vq));
}

/* --- the queues --- */

static void serial_process(struct virtio_device *vdev)
{
	struct virtio_serial *serial = serial_of(vdev);

	if (multiport(serial))
		process_control(serial);
	send_due(serial);
	for (unsigned n = 0; n < (multiport(serial) ? serial->max_ports : 1); n++) {
		if (serial->ports[n].chardev)
			virtio_stream_output(vdev, output_queue(serial, n), &serial->chain, serial->ports[n].chardev);
	}
}

/* A bit for each port that a program in the guest has opened or closed since this was asked last. */
static uint32_t take_changes(struct virtio_serial *serial, uint32_t *open)
{
	uint32_t changed = 0;

	*open = 0;
	g_mutex_lock(&serial->vdev.pci.dev.lock);
	for (unsigned n = 0; n < serial->max_ports; n++) {
		bool now = serial->guest_open[n];

		*open |= (uint32_t)now << n;
		changed |= (uint32_t)(now != serial->ports[n].told_open) << n;
		serial->ports[n].told_open = now;
	}
	g_mutex_unlock(&serial->vdev.pci.dev.lock);
	return changed;
}

static void serial_processed(struct virtio_device *vdev)
{
	struct virtio_serial *serial = serial_of(vdev);
	uint32_t open, changed = take_changes(serial, &open);

	for (unsigned n = 0; n < serial->max_ports; n++) {
		if ((changed >> n & 1) && serial->changed)
			serial->changed(serial->changed_opaque, n, open >> n & 1);
		if (serial->ports[n].chardev)
			chardev_accept_input(serial->ports[n].chardev);
	}
}

static size_t port_receive(void *opaque, const uint8_t *data, size_t len)
{
	struct port *port = opaque;
	struct virtio_serial *serial = port->serial;
	size_t taken = 0;

	g_mutex_lock(&serial->vdev.pci.dev.lock);
	if (guest_listens(serial, port->number))
		taken = virtio_stream_input(&serial->vdev, input_queue(serial, port->number), &serial->chain, data,
					    len);
	g_mutex_unlock(&serial->vdev.pci.dev.lock);
	return taken;
}

static void port_connected(void *opaque, bool connected)
{
	struct port *port = opaque;
	struct virtio_serial *serial = port->serial;

	/* A console is there whether anybody watches or not. */
	if (port->console)
		return;
	g_mutex_lock(&serial->vdev.pci.dev.lock);
	port->host_open = connected;
	set_due(serial, port->number, CONTROL_PORT_OPEN);
	send_due(serial);
	g_mutex_unlock(&serial->vdev.pci.dev.lock);
}

static void port_resized(void *opaque, uint16_t cols, uint16_t rows)
{
	const struct port *port = opaque;

	virtio_serial_resize(&port->serial->vdev.pci.dev, port->number, cols, rows);
}

static const struct chardev_client port_client = {
	.receive = port_receive,
	.connected = port_connected,
	.resized = port_resized,
};

/* Section 5.3.6.1: a character without any queue, for a guest in trouble. */
static void serial_config_write(struct virtio_device *vdev, unsigned off, uint32_t val, unsigned size)
{
	struct chardev *chardev = serial_of(vdev)->ports[0].chardev;
	uint8_t byte = (uint8_t)val;

	(void)size;
	if (off == CONFIG_EMERG_WRITE && !vdev->paused && chardev)
		chardev_write(chardev, &byte, 1);
}

/* --- life --- */

/* A driver that begins again knows nothing; what it had open is closed. */
static void serial_sync_driver(struct virtio_serial *serial)
{
	if (serial->vdev.status & VIRTIO_STATUS_DRIVER_OK)
		return;
	memset(serial->due, 0, sizeof(serial->due));
	memset(serial->guest_ready, 0, sizeof(serial->guest_ready));
	memset(serial->guest_open, 0, sizeof(serial->guest_open));
	virtio_kick(&serial->vdev); /* processed() tells who wants to know */
}

static void serial_stop(struct virtio_device *vdev)
{
	serial_sync_driver(serial_of(vdev));
}

static void serial_reset(struct device *dev)
{
	virtio_device_reset(dev);
	serial_sync_driver(serial_of((struct virtio_device *)(void *)dev));
}

static void serial_destroy(struct device *dev)
{
	struct virtio_serial *serial = serial_of((struct virtio_device *)(void *)dev);

	for (unsigned n = 0; n < serial->max_ports; n++) {
		if (serial->ports[n].chardev)
			chardev_set_client(serial->ports[n].chardev, NULL, NULL);
		g_free(serial->ports[n].name);
	}
	virtio_device_fini(&serial->vdev);
	g_free(serial);
}

static const struct device_field serial_fields[] = {
	DEVICE_FIELD_ARRAY(U8, virtio_serial, due),
	DEVICE_FIELD_ARRAY(BOOL, virtio_serial, guest_ready),
	DEVICE_FIELD_ARRAY(BOOL, virtio_serial, guest_open),
};

static const struct device_class serial_device_class = {
	.name = "virtio-serial",
	.version = 1,
	.fields = serial_fields,
	.n_fields = G_N_ELEMENTS(serial_fields),
	.base_fields = virtio_device_fields,
	.n_base_fields = &virtio_n_device_fields,
	.reset = serial_reset,
	.pause = virtio_device_pause,
	.resume = virtio_device_resume,
	.pre_save = virtio_device_pre_save,
	.post_load = virtio_device_post_load,
	.destroy = serial_destroy,
};

static const struct virtio_class serial_class = {
	.device = &serial_device_class,
	.id = CONSOLE_ID,
	.pci_class = 0x078000,
	.stop = serial_stop,
	.process = serial_process,
	.processed = serial_processed,
	.config_write = serial_config_write,
};

struct device *virtio_serial_new(struct vm *vm, unsigned max_ports, const char *id, GError **err)
{
	struct virtio_serial *serial;
	struct virtio_device *vdev;

	if (!max_ports || max_ports > VIRTIO_SERIAL_MAX_PORTS)
		return fail_null(err, LODGE_ERROR_UNSUPPORTED,
				 "%s: a virtio-serial controller has 1 to %u ports, not %u", id,
				 VIRTIO_SERIAL_MAX_PORTS, max_ports);
	serial = g_new0(struct virtio_serial, 1);
	vdev = &serial->vdev;
	serial->max_ports = max_ports;
	virtio_device_init(vdev, &serial_class, vm, id);
	pci_put16(vdev->device_config + CONFIG_COLS, DEFAULT_COLS);
	pci_put16(vdev->device_config + CONFIG_ROWS, DEFAULT_ROWS);
	pci_put32(vdev->device_config + CONFIG_MAX_PORTS, max_ports);
	if (!virtio_device_setup(vdev, F_SIZE | F_MULTIPORT | F_EMERG_WRITE, 2 + 2 * max_ports, CONFIG_LEN, err)) {
		serial_destroy(&vdev->pci.dev);
		return NULL;
	}
	vm_add_device(vm, &vdev->pci.dev);
	return &vdev->pci.dev;
}

static bool check_port(const struct virtio_serial *serial, unsigned number, const char *name, bool is_console,
		       GError **err)
{
	const char *id = serial->vdev.pci.dev.id;

	if (number >= serial->max_ports)
		return fail(err, LODGE_ERROR_INPUT, "%s: port %u: the controller has ports 0 to %u", id, number,
			    serial->max_ports - 1);
	if (serial->ports[number].chardev)
		return fail(err, LODGE_ERROR_INPUT, "%s: port %u is in use already", id, number);
	if (!number && !is_console)
		return fail(err, LODGE_ERROR_INPUT, "%s: port 0 is for a console", id);
	if (name && strlen(name) > VIRTIO_SERIAL_MAX_NAME)
		return fail(err, LODGE_ERROR_INPUT, "%s: port %u: a name has at most %u bytes", id, number,
			    VIRTIO_SERIAL_MAX_NAME);
	return true;
}

bool virtio_serial_add_port(struct device *dev, struct chardev *chardev, unsigned number, const char *name,
			    bool is_console, GError **err)
{
	struct virtio_serial *serial = serial_of((struct virtio_device *)(void *)dev);
	struct port *port;

	if (!check_port(serial, number, name, is_console, err))
		return false;
	port = &serial->ports[number];
	port->serial = serial;
	port->number = number;
	port->name = g_strdup(name);
	port->console = is_console;
	port->chardev = chardev;
	port->host_open = is_console || chardev_is_connected(chardev);
	chardev_set_client(chardev, &port_client, port);
	return true;
}

/* Where a driver that knows nothing of ports finds the size of the first one's terminal. */
static void set_config_size(struct virtio_device *vdev, const struct port *port)
{
	pci_put16(vdev->device_config + CONFIG_COLS, port->cols);
	pci_put16(vdev->device_config + CONFIG_ROWS, port->rows);
	if (!multiport(serial_of(vdev)))
		virtio_config_changed(vdev);
}

void virtio_serial_resize(struct device *dev, unsigned number, uint16_t cols, uint16_t rows)
{
	struct virtio_serial *serial = serial_of((struct virtio_device *)(void *)dev);
	struct port *port;

	if (number >= serial->max_ports || !serial->ports[number].console)
		return;
	port = &serial->ports[number];
	g_mutex_lock(&dev->lock);
	if (port->cols != cols || port->rows != rows) {
		port->cols = cols;
		port->rows = rows;
		set_due(serial, number, CONTROL_RESIZE);
		if (!number)
			set_config_size(&serial->vdev, port);
		/* On the loop thread, where the queues belong. */
		virtio_kick(&serial->vdev);
	}
	g_mutex_unlock(&dev->lock);
}

bool virtio_serial_is_open(struct device *dev, unsigned number)
{
	struct virtio_serial *serial = serial_of((struct virtio_device *)(void *)dev);
	bool open;

	g_mutex_lock(&dev->lock);
	open = number < serial->max_ports && serial->guest_open[number];
	g_mutex_unlock(&dev->lock);
	return open;
}

void virtio_serial_set_notify(struct device *dev, void (*changed)(void *opaque, unsigned number, bool open),
			      void *opaque)
{
	struct virtio_serial *serial = serial_of((struct virtio_device *)(void *)dev);

	serial->changed = changed;
	serial->changed_opaque = opaque;
}
