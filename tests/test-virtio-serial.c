/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "console/chardev.h"
#include "core/base/error.h"
#include "tests/virtio-driver.h"
#include "vmm/virtio/devices.h"

#define RAM (UINT64_C(4) << 20)
#define QUEUE_SIZE 16
#define N_PORTS 3 /* the last one has no back end */
#define CONSOLE 0
#define CHANNEL 1
#define ABSENT 2
#define NAME "org.qemu.guest_agent.0"

#define F_SIZE (UINT64_C(1) << 0)
#define F_MULTIPORT (UINT64_C(1) << 1)
#define CONTROL_IN 2
#define CONTROL_OUT 3

/* virtio 1.2, section 5.3.6.2 */
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

/* The host's end, in memory: input waits in pending until the device takes it. */
struct chardev {
	const struct chardev_client *client;
	void *opaque;
	bool connected;
	GString *written, *pending;
};

void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque)
{
	chardev->client = client;
	chardev->opaque = opaque;
}

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	g_string_append_len(chardev->written, (const char *)data, (gssize)len);
}

bool chardev_is_connected(struct chardev *chardev)
{
	return chardev->connected;
}

void chardev_accept_input(struct chardev *chardev)
{
	size_t taken = 0;

	if (chardev->client && chardev->pending->len)
		taken = chardev->client->receive(chardev->opaque, (const uint8_t *)chardev->pending->str,
						 chardev->pending->len);
	g_assert_cmpuint(taken, <=, chardev->pending->len);
	g_string_erase(chardev->pending, 0, (gssize)taken);
}

static void type(struct chardev *chardev, const char *text)
{
	g_string_append(chardev->pending, text);
	chardev_accept_input(chardev);
}

struct fixture {
	struct board *board;
	struct driver driver;
	struct chardev chardevs[2];
	struct device *dev;
	uint64_t page;
	uint64_t addrs[QUEUE_SIZE]; /* of the buffer with this id in the queue that is read */
	unsigned n_buffers;
	/* what the owner was told about a port */
	unsigned n_opened[N_PORTS], n_closed[N_PORTS];
};

static void on_changed(void *opaque, unsigned number, bool open)
{
	struct fixture *f = opaque;

	g_assert_cmpuint(number, <, N_PORTS);
	if (open)
		f->n_opened[number]++;
	else
		f->n_closed[number]++;
}

static void find_device(struct fixture *f)
{
	driver_open(&f->driver, f->board, f->dev);
	f->page = driver_alloc(&f->driver, 0x40000);
}

static void set_up(struct fixture *f, const void *data)
{
	g_autoptr(GError) err = NULL;

	(void)data;
	f->board = board_new(RAM);
	for (size_t i = 0; i < G_N_ELEMENTS(f->chardevs); i++) {
		f->chardevs[i].written = g_string_new("");
		f->chardevs[i].pending = g_string_new("");
	}
	f->dev = virtio_serial_new(&f->board->vm, N_PORTS, "virtio-serial0", &err);
	g_assert_no_error(err);
	g_assert_true(virtio_serial_add_port(f->dev, &f->chardevs[CONSOLE], CONSOLE, NULL, true, &err));
	g_assert_true(virtio_serial_add_port(f->dev, &f->chardevs[CHANNEL], CHANNEL, NAME, false, &err));
	g_assert_no_error(err);
	virtio_serial_set_notify(f->dev, on_changed, f);
	find_device(f);
}

static void tear_down(struct fixture *f, const void *data)
{
	(void)data;
	board_free(f->board);
	for (size_t i = 0; i < G_N_ELEMENTS(f->chardevs); i++) {
		g_assert_null(f->chardevs[i].client);
		g_string_free(f->chardevs[i].written, TRUE);
		g_string_free(f->chardevs[i].pending, TRUE);
	}
}

static void turn_loop(struct fixture *f)
{
	while (g_main_context_iteration(f->board->vm.context, FALSE))
		;
}

static uint64_t next_buffer(struct fixture *f)
{
	return f->page + 0x1000 * (f->n_buffers++ % 64);
}

static void give_room(struct fixture *f, unsigned queue, unsigned n, uint32_t len)
{
	for (unsigned i = 0; i < n; i++) {
		struct ring_buf buf = { next_buffer(f), len, true };

		f->addrs[driver_send(&f->driver, queue, &buf, 1, 0)] = buf.addr;
	}
}

/* The guest's bytes, taken by the device when this returns. */
static void send_out(struct fixture *f, unsigned queue, const void *data, size_t len)
{
	struct ring_buf buf = { next_buffer(f), (uint32_t)len, false };

	board_put(f->board, buf.addr, data, len);
	driver_send(&f->driver, queue, &buf, 1, 0);
	driver_wait(&f->driver, queue, NULL);
	turn_loop(f);
}

static void tell(struct fixture *f, uint32_t port, uint16_t event, uint16_t value)
{
	uint8_t msg[8] = { 0 };

	memcpy(msg, &(uint32_t){ GUINT32_TO_LE(port) }, 4);
	memcpy(msg + 4, &(uint16_t){ GUINT16_TO_LE(event) }, 2);
	memcpy(msg + 6, &(uint16_t){ GUINT16_TO_LE(value) }, 2);
	send_out(f, CONTROL_OUT, msg, sizeof(msg));
}

struct told {
	uint32_t port;
	uint16_t event, value;
	char rest[256];
	size_t rest_len;
};

/* The next control message; false when there is none. */
static bool hear(struct fixture *f, struct told *told)
{
	uint8_t msg[264] = { 0 };
	uint32_t len;
	uint16_t id;

	turn_loop(f);
	if (!ring_take(&f->driver.rings[CONTROL_IN], &id, &len))
		return false;
	g_assert_cmpuint(len, >=, 8);
	g_assert_cmpuint(len, <=, sizeof(msg));
	board_get(f->board, f->addrs[id], msg, len);
	told->port = msg[0] | msg[1] << 8 | msg[2] << 16;
	told->event = (uint16_t)(msg[4] | msg[5] << 8);
	told->value = (uint16_t)(msg[6] | msg[7] << 8);
	told->rest_len = len - 8;
	memset(told->rest, 0, sizeof(told->rest));
	memcpy(told->rest, msg + 8, len - 8);
	return true;
}

static struct told must_hear(struct fixture *f, uint32_t port, uint16_t event, uint16_t value)
{
	struct told told = { 0 };

	g_assert_true(hear(f, &told));
	g_assert_cmpuint(told.port, ==, port);
	g_assert_cmpuint(told.event, ==, event);
	g_assert_cmpuint(told.value, ==, value);
	return told;
}

static void hear_nothing(struct fixture *f)
{
	struct told told;

	g_assert_false(hear(f, &told));
}

static void start(struct fixture *f, const void *data)
{
	driver_start(&f->driver, F_MULTIPORT | *(const uint64_t *)data, 2 + 2 * N_PORTS, QUEUE_SIZE);
}

/* A driver as Linux's: everything is known at the end. */
static void introduce(struct fixture *f, const void *data)
{
	struct told told;

	start(f, data);
	give_room(f, CONTROL_IN, 12, 256);
	tell(f, 0xffffffff, DEVICE_READY, 1);
	tell(f, CONSOLE, PORT_READY, 1);
	tell(f, CHANNEL, PORT_READY, 1);
	while (hear(f, &told))
		;
}

static char *read_input(struct fixture *f, unsigned queue)
{
	uint16_t id;
	uint32_t len;
	char *text;

	turn_loop(f);
	if (!ring_take(&f->driver.rings[queue], &id, &len))
		return NULL;
	text = g_malloc0(len + 1);
	board_get(f->board, f->addrs[id], text, len);
	return text;
}

/* --- refusals --- */

static void test_refuses_ports(struct fixture *f, const void *data)
{
	static const struct {
		unsigned number;
		bool console;
		const char *name, *words;
	} bad[] = {
		{ N_PORTS, false, "a", "0 to 2" },
		{ CHANNEL, false, "a", "in use" },
		{ 0xffffffff, false, "a", "0 to 2" },
	};
	g_autofree char *long_name = g_strnfill(VIRTIO_SERIAL_MAX_NAME + 1, 'x');
	struct chardev chardev = { 0 };
	g_autoptr(GError) err = NULL;

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_false(
			virtio_serial_add_port(f->dev, &chardev, bad[i].number, bad[i].name, bad[i].console, &err));
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
		g_assert_nonnull(strstr(err->message, bad[i].words));
		g_clear_error(&err);
	}
	g_assert_false(virtio_serial_add_port(f->dev, &chardev, ABSENT, long_name, false, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_clear_error(&err);
	g_assert_null(virtio_serial_new(&f->board->vm, 0, "none", &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED);
	g_clear_error(&err);
	g_assert_null(virtio_serial_new(&f->board->vm, VIRTIO_SERIAL_MAX_PORTS + 1, "many", &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED);
}

/* Messages that make no sense change nothing, and the device goes on. */
static void test_hostile_messages(struct fixture *f, const void *data)
{
	static const uint32_t ports[] = { ABSENT, N_PORTS, 31, 0x80000000, 0xffffffff };
	struct told told;

	start(f, data);
	give_room(f, CONTROL_IN, 4, 256);
	send_out(f, CONTROL_OUT, "\0\0\0\0\6\0\1", 7); /* a byte short */
	send_out(f, CONTROL_OUT, "\0", 1);
	for (size_t i = 0; i < G_N_ELEMENTS(ports); i++) {
		for (uint16_t event = PORT_ADD; event < 12; event++)
			tell(f, ports[i], event, 1);
	}
	tell(f, CONSOLE, PORT_ADD, 1);
	tell(f, CONSOLE, PORT_NAME, 1);
	tell(f, CONSOLE, 0xffff, 0xffff);
	tell(f, 0, DEVICE_READY, 0); /* it could not */
	hear_nothing(f);
	for (unsigned n = 0; n < N_PORTS; n++)
		g_assert_cmpuint(f->n_opened[n], ==, 0);
	g_assert_false(virtio_serial_is_open(f->dev, 0xffffffff));
	tell(f, 0, DEVICE_READY, 1);
	must_hear(f, CONSOLE, PORT_ADD, 1);
	must_hear(f, CHANNEL, PORT_ADD, 1);
	g_assert_false(hear(f, &told));
}

/* A chain outside of memory breaks the device, and nothing else. */
static void test_hostile_chain(struct fixture *f, const void *data)
{
	struct ring_buf outside = { RAM, 8, false };

	start(f, data);
	driver_send(&f->driver, CONTROL_OUT, &outside, 1, 0);
	driver_wait_broken(&f->driver);
	introduce(f, data);
	tell(f, CHANNEL, PORT_OPEN, 1);
	g_assert_true(virtio_serial_is_open(f->dev, CHANNEL));
}

/* Who asks for ever and takes no answers costs nothing, and gets each fact once. */
static void test_asks_for_ever(struct fixture *f, const void *data)
{
	start(f, data);
	for (unsigned i = 0; i < 1000; i++) {
		tell(f, 0, DEVICE_READY, 1);
		tell(f, CHANNEL, PORT_OPEN, i & 1);
	}
	give_room(f, CONTROL_IN, 8, 256);
	must_hear(f, CONSOLE, PORT_ADD, 1);
	must_hear(f, CHANNEL, PORT_ADD, 1);
	hear_nothing(f);
	g_assert_true(virtio_serial_is_open(f->dev, CHANNEL));
}

/* A buffer that is too small gets what fits. */
static void test_small_buffers(struct fixture *f, const void *data)
{
	uint16_t id;
	uint32_t len;

	start(f, data);
	give_room(f, CONTROL_IN, 2, 4);
	tell(f, 0, DEVICE_READY, 1);
	for (unsigned i = 0; i < 2; i++) {
		turn_loop(f);
		g_assert_true(ring_take(&f->driver.rings[CONTROL_IN], &id, &len));
		g_assert_cmpuint(len, ==, 4);
	}
	hear_nothing(f);
}

/* --- what drivers see --- */

static void test_config(struct fixture *f, const void *data)
{
	(void)data;
	g_assert_true(driver_offered(&f->driver) & F_MULTIPORT);
	g_assert_cmpuint(board_mmio_read(f->board, f->driver.config + 4, 4), ==, N_PORTS);
	board_mmio_write(f->board, f->driver.config + 8, 'E', 4);
	g_assert_cmpstr(f->chardevs[CONSOLE].written->str, ==, "E");
}

static void test_introduction(struct fixture *f, const void *data)
{
	struct told told;

	start(f, data);
	give_room(f, CONTROL_IN, 12, 256);
	tell(f, 0, DEVICE_READY, 1);
	must_hear(f, CONSOLE, PORT_ADD, 1);
	must_hear(f, CHANNEL, PORT_ADD, 1);
	hear_nothing(f);
	tell(f, CONSOLE, PORT_READY, 1);
	must_hear(f, CONSOLE, CONSOLE_PORT, 1);
	must_hear(f, CONSOLE, PORT_OPEN, 1);
	hear_nothing(f);
	tell(f, CHANNEL, PORT_READY, 1);
	told = must_hear(f, CHANNEL, PORT_NAME, 1);
	g_assert_cmpstr(told.rest, ==, NAME);
	hear_nothing(f);
	/* A driver that could not make the port is told nothing more about it. */
	tell(f, CHANNEL, PORT_READY, 0);
	f->chardevs[CHANNEL].client->connected(f->chardevs[CHANNEL].opaque, true);
	hear_nothing(f);
}

static void host_connects(struct fixture *f, bool connected)
{
	const struct chardev *chardev = &f->chardevs[CHANNEL];

	chardev->client->connected(chardev->opaque, connected);
}

static void test_host_opens(struct fixture *f, const void *data)
{
	introduce(f, data);
	host_connects(f, true);
	must_hear(f, CHANNEL, PORT_OPEN, 1);
	host_connects(f, false);
	must_hear(f, CHANNEL, PORT_OPEN, 0);
	/* Connected before the driver came: it learns that when it is ready. */
	host_connects(f, true);
	must_hear(f, CHANNEL, PORT_OPEN, 1);
	tell(f, CHANNEL, PORT_READY, 1);
	must_hear(f, CHANNEL, PORT_NAME, 1);
	must_hear(f, CHANNEL, PORT_OPEN, 1);
	/* A console is there whoever watches. */
	f->chardevs[CONSOLE].client->connected(f->chardevs[CONSOLE].opaque, false);
	hear_nothing(f);
}

/* Without room in the queue only the last state is left to tell. */
static void test_host_opens_and_closes(struct fixture *f, const void *data)
{
	struct told told;

	start(f, data);
	give_room(f, CONTROL_IN, 3, 256);
	tell(f, 0, DEVICE_READY, 1);
	tell(f, CHANNEL, PORT_READY, 1);
	while (hear(f, &told))
		;
	for (unsigned i = 0; i < 5; i++)
		host_connects(f, !(i & 1));
	hear_nothing(f);
	give_room(f, CONTROL_IN, 8, 256);
	must_hear(f, CHANNEL, PORT_OPEN, 1);
	hear_nothing(f);
}

static void test_guest_opens(struct fixture *f, const void *data)
{
	introduce(f, data);
	g_assert_false(virtio_serial_is_open(f->dev, CHANNEL));
	tell(f, CHANNEL, PORT_OPEN, 1);
	g_assert_true(virtio_serial_is_open(f->dev, CHANNEL));
	g_assert_cmpuint(f->n_opened[CHANNEL], ==, 1);
	tell(f, CHANNEL, PORT_OPEN, 1);
	g_assert_cmpuint(f->n_opened[CHANNEL], ==, 1);
	tell(f, CHANNEL, PORT_OPEN, 0);
	g_assert_cmpuint(f->n_closed[CHANNEL], ==, 1);
	g_assert_false(virtio_serial_is_open(f->dev, CHANNEL));
	g_assert_cmpuint(f->n_opened[CONSOLE], ==, 0);
}

static void test_data(struct fixture *f, const void *data)
{
	g_autofree char *held = NULL, *got = NULL, *console = NULL;

	introduce(f, data);
	give_room(f, 4, 2, 64);
	type(&f->chardevs[CHANNEL], "early");
	held = read_input(f, 4);
	g_assert_null(held);
	tell(f, CHANNEL, PORT_OPEN, 1);
	got = read_input(f, 4);
	g_assert_cmpstr(got, ==, "early");
	g_assert_cmpuint(f->chardevs[CHANNEL].pending->len, ==, 0);
	/* Each port has its own. */
	tell(f, CONSOLE, PORT_OPEN, 1);
	give_room(f, 0, 1, 64);
	type(&f->chardevs[CONSOLE], "keys");
	console = read_input(f, 0);
	g_assert_cmpstr(console, ==, "keys");
	send_out(f, 1, "console", 7);
	send_out(f, 5, "channel", 7);
	g_assert_cmpstr(f->chardevs[CONSOLE].written->str, ==, "console");
	g_assert_cmpstr(f->chardevs[CHANNEL].written->str, ==, "channel");
	/* After the program in the guest has gone input waits for the next one. */
	tell(f, CHANNEL, PORT_OPEN, 0);
	type(&f->chardevs[CHANNEL], "late");
	g_assert_cmpstr(f->chardevs[CHANNEL].pending->str, ==, "late");
}

/* What is written to a port nobody is at the other end of is nobody's, and the queue goes on. */
static void test_absent_port(struct fixture *f, const void *data)
{
	struct ring_buf buf = { next_buffer(f), 4, false };

	introduce(f, data);
	driver_send(&f->driver, 7, &buf, 1, 0);
	turn_loop(f);
	send_out(f, 5, "on", 2);
	g_assert_cmpstr(f->chardevs[CHANNEL].written->str, ==, "on");
}

static void test_resize(struct fixture *f, const void *data)
{
	struct told told;

	virtio_serial_resize(f->dev, CONSOLE, 80, 24);
	start(f, data);
	give_room(f, CONTROL_IN, 12, 256);
	tell(f, 0, DEVICE_READY, 1);
	tell(f, CONSOLE, PORT_READY, 1);
	must_hear(f, CONSOLE, PORT_ADD, 1);
	must_hear(f, CHANNEL, PORT_ADD, 1);
	must_hear(f, CONSOLE, CONSOLE_PORT, 1);
	must_hear(f, CONSOLE, PORT_OPEN, 1);
	told = must_hear(f, CONSOLE, RESIZE, 1);
	g_assert_cmpmem(told.rest, told.rest_len, "\x50\0\x18\0", 4);
	f->chardevs[CONSOLE].client->resized(f->chardevs[CONSOLE].opaque, 132, 43);
	told = must_hear(f, CONSOLE, RESIZE, 1);
	g_assert_cmpmem(told.rest, told.rest_len, "\x84\0\x2b\0", 4);
	g_assert_cmphex(board_mmio_read(f->board, f->driver.config, 4), ==, 43 << 16 | 132);
	g_assert_true(driver_offered(&f->driver) & F_SIZE);
	virtio_serial_resize(f->dev, CONSOLE, 132, 43);
	virtio_serial_resize(f->dev, CHANNEL, 1, 1);
	virtio_serial_resize(f->dev, 0xffffffff, 1, 1);
	hear_nothing(f);
}

/* --- life --- */

static void test_reset(struct fixture *f, const void *data)
{
	introduce(f, data);
	tell(f, CHANNEL, PORT_OPEN, 1);
	device_reset(f->dev);
	turn_loop(f);
	g_assert_false(virtio_serial_is_open(f->dev, CHANNEL));
	g_assert_cmpuint(f->n_closed[CHANNEL], ==, 1);
	type(&f->chardevs[CHANNEL], "for the next one");
	find_device(f);
	introduce(f, data);
	give_room(f, 4, 1, 64);
	tell(f, CHANNEL, PORT_OPEN, 1);
	g_assert_cmpuint(f->n_opened[CHANNEL], ==, 2);
	g_assert_cmpuint(f->chardevs[CHANNEL].pending->len, ==, 0);
}

static void test_driver_leaves(struct fixture *f, const void *data)
{
	introduce(f, data);
	tell(f, CHANNEL, PORT_OPEN, 1);
	driver_set_status(&f->driver, 0);
	turn_loop(f);
	g_assert_cmpuint(f->n_closed[CHANNEL], ==, 1);
	g_assert_false(virtio_serial_is_open(f->dev, CHANNEL));
}

static void test_pause(struct fixture *f, const void *data)
{
	introduce(f, data);
	device_pause(f->dev);
	host_connects(f, true);
	device_resume(f->dev);
	must_hear(f, CHANNEL, PORT_OPEN, 1);
}

/* A driver that knows nothing of ports has a console at once. */
static void test_single(struct fixture *f, const void *data)
{
	g_autofree char *got = NULL;

	driver_start(&f->driver, *(const uint64_t *)data, 2, QUEUE_SIZE);
	give_room(f, 0, 1, 64);
	type(&f->chardevs[CONSOLE], "keys");
	got = read_input(f, 0);
	g_assert_cmpstr(got, ==, "keys");
	send_out(f, 1, "text", 4);
	g_assert_cmpstr(f->chardevs[CONSOLE].written->str, ==, "text");
	type(&f->chardevs[CHANNEL], "nobody");
	g_assert_cmpuint(f->chardevs[CHANNEL].pending->len, ==, 6);
}

static const struct {
	const char *name;
	void (*test)(struct fixture *f, const void *data);
} tests[] = {
	{ "refuses-ports", test_refuses_ports },
	{ "hostile-messages", test_hostile_messages },
	{ "hostile-chain", test_hostile_chain },
	{ "asks-for-ever", test_asks_for_ever },
	{ "small-buffers", test_small_buffers },
	{ "config", test_config },
	{ "introduction", test_introduction },
	{ "host-opens", test_host_opens },
	{ "host-opens-and-closes", test_host_opens_and_closes },
	{ "guest-opens", test_guest_opens },
	{ "data", test_data },
	{ "absent-port", test_absent_port },
	{ "resize", test_resize },
	{ "reset", test_reset },
	{ "driver-leaves", test_driver_leaves },
	{ "pause", test_pause },
	{ "single", test_single },
};

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint64_t features;
	} layouts[] = { { "split", 0 }, { "packed", VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX } };

	g_test_init(&argc, &argv, NULL);
	for (size_t l = 0; l < G_N_ELEMENTS(layouts); l++) {
		for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
			g_autofree char *path = g_strdup_printf("/virtio-serial/%s/%s", tests[i].name, layouts[l].name);

			g_test_add(path, struct fixture, &layouts[l].features, set_up, tests[i].test, tear_down);
		}
	}
	return g_test_run();
}
