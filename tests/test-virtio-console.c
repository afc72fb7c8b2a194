/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "console/chardev.h"
#include "tests/virtio-driver.h"
#include "vmm/virtio/devices.h"

#define RAM (UINT64_C(4) << 20)
#define RX 0
#define TX 1

/* The host's end, in memory: input waits in pending until the device takes it. */
struct chardev {
	const struct chardev_client *client;
	void *opaque;
	GString *written;
	uint64_t n_written;
	char last[4];
	GString *pending;
	unsigned n_accepts;
};

void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque)
{
	chardev->client = client;
	chardev->opaque = opaque;
}

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	chardev->n_written += len;
	if (len >= sizeof(chardev->last))
		memcpy(chardev->last, data + len - sizeof(chardev->last), sizeof(chardev->last));
	if (chardev->written->len < 65536)
		g_string_append_len(chardev->written, (const char *)data, (gssize)MIN(len, 65536));
}

static void offer(struct chardev *chardev)
{
	size_t taken = 0;

	if (chardev->client && chardev->pending->len)
		taken = chardev->client->receive(chardev->opaque, (const uint8_t *)chardev->pending->str,
						 chardev->pending->len);
	g_assert_cmpuint(taken, <=, chardev->pending->len);
	g_string_erase(chardev->pending, 0, (gssize)taken);
}

void chardev_accept_input(struct chardev *chardev)
{
	chardev->n_accepts++;
	offer(chardev);
}

static void type(struct chardev *chardev, const char *text)
{
	g_string_append(chardev->pending, text);
	offer(chardev);
}

struct fixture {
	struct board *board;
	struct driver driver;
	struct chardev chardev;
	struct device *dev;
	uint64_t page;
};

static void set_up(struct fixture *f, const void *data)
{
	g_autoptr(GError) err = NULL;

	(void)data;
	f->board = board_new(RAM);
	f->chardev.written = g_string_new("");
	f->chardev.pending = g_string_new("");
	f->dev = virtio_console_new(&f->board->vm, &f->chardev, "console0", &err);
	g_assert_no_error(err);
	driver_open(&f->driver, f->board, f->dev);
	f->page = driver_alloc(&f->driver, 0x10000);
}

static void tear_down(struct fixture *f, const void *data)
{
	(void)data;
	board_free(f->board);
	g_assert_null(f->chardev.client);
	g_string_free(f->chardev.written, TRUE);
	g_string_free(f->chardev.pending, TRUE);
}

static void start(struct fixture *f, const void *data)
{
	driver_start(&f->driver, data ? *(const uint64_t *)data : 0, 2, 8);
}

static void turn_loop(struct fixture *f)
{
	while (g_main_context_iteration(f->board->vm.context, FALSE))
		;
}

static void give_room(struct fixture *f, unsigned i, uint32_t len)
{
	struct ring_buf buf = { f->page + 0x1000 * i, len, true };

	driver_send(&f->driver, RX, &buf, 1, 0);
}

static char *taken(struct fixture *f, unsigned i, uint32_t len)
{
	char *text = g_malloc0(len + 1);

	board_get(f->board, f->page + 0x1000 * i, text, len);
	return text;
}

static void test_hostile(struct fixture *f, const void *data)
{
	struct ring_buf outside = { RAM, 1, false };

	start(f, data);
	driver_send(&f->driver, TX, &outside, 1, 0);
	driver_wait_broken(&f->driver);
	g_assert_cmpuint(board_messages(f->board, DRIVER_VECTOR_DATA(0)), ==, 1);
	/* input stays on the host side */
	type(&f->chardev, "x");
	g_assert_cmpuint(f->chardev.pending->len, ==, 1);
	/* nor does a broken receive queue take any */
	start(f, data);
	turn_loop(f);
	give_room(f, 0, 1);
	ring_put_desc(&f->driver.rings[RX], f->driver.rings[RX].desc, 1, RAM, 1,
		      2 | (f->driver.rings[RX].packed ? 0x80 : 0), 1);
	if (!f->driver.rings[RX].packed)
		ring_publish(&f->driver.rings[RX], 1);
	type(&f->chardev, "yz");
	turn_loop(f);
	g_assert_cmphex(driver_status(&f->driver) & VIRTIO_STATUS_NEEDS_RESET, !=, 0);
	g_assert_cmpuint(f->chardev.pending->len, >, 0);
}

static void test_odd_output(struct fixture *f, const void *data)
{
	struct ring_buf writable = { f->page, 16, true };
	struct ring_buf large = { 0, (uint32_t)RAM, false };

	start(f, data);
	driver_send(&f->driver, TX, &writable, 1, 0);
	g_assert_cmpuint(driver_wait(&f->driver, TX, NULL), ==, 0);
	g_assert_cmpuint(f->chardev.n_written, ==, 0);
	/* of a buffer larger than any console needs the end is kept */
	board_put(f->board, RAM - 4, "end!", 4);
	driver_send(&f->driver, TX, &large, 1, 0);
	driver_wait(&f->driver, TX, NULL);
	g_assert_cmpuint(f->chardev.n_written, ==, 1 << 20);
	g_assert_cmpmem(f->chardev.last, 4, "end!", 4);
}

static void test_output(struct fixture *f, const void *data)
{
	struct ring_buf bufs[] = { { f->page, 5, false }, { f->page + 0x1000, 7, false } };

	start(f, data);
	board_put(f->board, f->page, "hello", 5);
	board_put(f->board, f->page + 0x1000, ", world", 7);
	for (unsigned i = 0; i < 20; i++) {
		driver_send(&f->driver, TX, bufs, 2, 0);
		driver_wait(&f->driver, TX, NULL);
	}
	g_assert_cmpuint(f->chardev.written->len, ==, 20 * 12);
	g_assert_true(g_str_has_prefix(f->chardev.written->str, "hello, worldhello, world"));
	g_assert_cmpuint(board_messages(f->board, DRIVER_VECTOR_DATA(TX + 1)), >=, 1);
}

static void test_input(struct fixture *f, const void *data)
{
	g_autofree char *text = NULL;

	/* typed before there is a driver: kept, and delivered when it gives room */
	type(&f->chardev, "early ");
	start(f, data);
	turn_loop(f);
	g_assert_cmpuint(f->chardev.pending->len, ==, 6);
	give_room(f, 0, 64);
	g_assert_cmpuint(driver_wait(&f->driver, RX, NULL), ==, 6);
	text = taken(f, 0, 6);
	g_assert_cmpstr(text, ==, "early ");
	g_assert_cmpuint(board_messages(f->board, DRIVER_VECTOR_DATA(RX + 1)), >=, 1);
	for (unsigned i = 0; i < 20; i++) {
		give_room(f, i % 8, 64);
		type(&f->chardev, "key");
		g_assert_cmpuint(driver_wait(&f->driver, RX, NULL), ==, 3);
	}
}

static void test_back_pressure(struct fixture *f, const void *data)
{
	g_autofree char *first = NULL, *second = NULL, *third = NULL;

	start(f, data);
	turn_loop(f);
	give_room(f, 0, 4);
	give_room(f, 1, 4);
	type(&f->chardev, "abcdefghijk");
	turn_loop(f);
	g_assert_cmpuint(driver_wait(&f->driver, RX, NULL), ==, 4);
	g_assert_cmpuint(driver_wait(&f->driver, RX, NULL), ==, 4);
	g_assert_cmpstr(f->chardev.pending->str, ==, "ijk");
	/* room again: the driver is asked to say so, and the rest comes without another key */
	give_room(f, 2, 4);
	g_assert_cmpuint(driver_wait(&f->driver, RX, NULL), ==, 3);
	first = taken(f, 0, 4);
	second = taken(f, 1, 4);
	third = taken(f, 2, 3);
	g_assert_cmpstr(first, ==, "abcd");
	g_assert_cmpstr(second, ==, "efgh");
	g_assert_cmpstr(third, ==, "ijk");
}

static void test_pause(struct fixture *f, const void *data)
{
	start(f, data);
	turn_loop(f);
	give_room(f, 0, 8);
	turn_loop(f);
	device_pause(f->dev);
	type(&f->chardev, "later");
	turn_loop(f);
	g_assert_cmpuint(f->chardev.pending->len, ==, 5);
	device_resume(f->dev);
	g_assert_cmpuint(driver_wait(&f->driver, RX, NULL), ==, 5);
}

static uint32_t config(struct fixture *f, unsigned off, unsigned size)
{
	return (uint32_t)board_mmio_read(f->board, f->driver.config + off, size);
}

static void test_config(struct fixture *f, const void *data)
{
	uint32_t generation = (uint32_t)board_mmio_read(f->board, f->driver.common + 0x15, 1);

	g_assert_cmpuint(f->driver.config_len, ==, 12);
	g_assert_cmphex(driver_offered(&f->driver) & 0xff, ==, 0x5);
	g_assert_cmpuint(config(f, 0, 2), ==, 80);
	g_assert_cmpuint(config(f, 2, 2), ==, 25);
	g_assert_cmpuint(config(f, 4, 4), ==, 1);
	g_assert_cmphex(config(f, 12, 1), ==, 0xff);
	g_assert_cmphex(config(f, 10, 4), ==, 0xffffffff);
	/* fields are the device's */
	board_mmio_write(f->board, f->driver.config, 0xffff, 2);
	g_assert_cmpuint(config(f, 0, 2), ==, 80);
	start(f, data);
	virtio_console_resize(f->dev, 132, 43);
	g_assert_cmphex(config(f, 0, 4), ==, 43 << 16 | 132);
	g_assert_cmpuint(board_mmio_read(f->board, f->driver.common + 0x15, 1), ==, generation + 1);
	g_assert_cmpuint(board_messages(f->board, DRIVER_VECTOR_DATA(0)), ==, 1);
	/* the same size again is nothing to tell */
	virtio_console_resize(f->dev, 132, 43);
	g_assert_cmpuint(board_messages(f->board, DRIVER_VECTOR_DATA(0)), ==, 1);
}

static unsigned n_told(struct fixture *f)
{
	return board_messages(f->board, DRIVER_VECTOR_DATA(0));
}

/* A driver that does not look at the size by itself is told, more than once; one without a terminal is left alone. */
static void test_size_told(struct fixture *f, const void *data)
{
	start(f, data);
	timers_advance(f->board->vm.timers, 10 * NS_PER_SEC);
	g_assert_cmpuint(n_told(f), ==, 0);
	driver_set_status(&f->driver, 0);
	virtio_console_resize(f->dev, 100, 30);
	timers_advance(f->board->vm.timers, 10 * NS_PER_SEC);
	g_assert_cmpuint(n_told(f), ==, 0);
	start(f, data);
	g_assert_cmpuint(n_told(f), ==, 0);
	timers_advance(f->board->vm.timers, 10 * NS_PER_MS);
	g_assert_cmpuint(n_told(f), ==, 1);
	/* not while it is stopped, and again when it goes on */
	device_pause(f->dev);
	timers_advance(f->board->vm.timers, 10 * NS_PER_SEC);
	g_assert_cmpuint(n_told(f), ==, 1);
	device_resume(f->dev);
	timers_advance(f->board->vm.timers, 10 * NS_PER_SEC);
	g_assert_cmpuint(n_told(f), ==, 7);
	timers_advance(f->board->vm.timers, 10 * NS_PER_SEC);
	g_assert_cmpuint(n_told(f), ==, 7);
	driver_set_status(&f->driver, 0);
	start(f, data);
	timers_advance(f->board->vm.timers, 15 * NS_PER_MS);
	g_assert_cmpuint(n_told(f), ==, 8);
	device_reset(f->dev);
	timers_advance(f->board->vm.timers, 10 * NS_PER_SEC);
	g_assert_cmpuint(n_told(f), ==, 8);
}

static void test_emergency(struct fixture *f, const void *data)
{
	(void)data;
	/* no driver, no queue */
	board_mmio_write(f->board, f->driver.config + 8, 'O', 4);
	board_mmio_write(f->board, f->driver.config + 8, 0xffffff00 | 'h', 4);
	board_mmio_write(f->board, f->driver.config + 8, '!', 1);
	board_mmio_write(f->board, f->driver.config + 9, '?', 1);
	g_assert_cmpstr(f->chardev.written->str, ==, "Oh!");
}

static const uint64_t split, packed = VIRTIO_F_RING_PACKED, split_event = VIRTIO_F_EVENT_IDX,
			     packed_event = VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX;

static void add(const char *name, void (*test)(struct fixture *f, const void *data))
{
	static const struct {
		const char *name;
		const uint64_t *features;
	} layouts[] = { { "split", &split },
			{ "split-event", &split_event },
			{ "packed", &packed },
			{ "packed-event", &packed_event } };

	for (unsigned i = 0; i < G_N_ELEMENTS(layouts); i++) {
		g_autofree char *path = g_strdup_printf("/virtio-console/%s/%s", name, layouts[i].name);

		g_test_add(path, struct fixture, layouts[i].features, set_up, test, tear_down);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	add("hostile", test_hostile);
	add("odd-output", test_odd_output);
	add("output", test_output);
	add("input", test_input);
	add("back-pressure", test_back_pressure);
	add("pause", test_pause);
	g_test_add("/virtio-console/config", struct fixture, NULL, set_up, test_config, tear_down);
	g_test_add("/virtio-console/size-told", struct fixture, NULL, set_up, test_size_told, tear_down);
	g_test_add("/virtio-console/emergency", struct fixture, NULL, set_up, test_emergency, tear_down);
	return g_test_run();
}
