/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/virtio-driver.h"
#include "vmm/virtio/devices.h"

#define RAM (UINT64_C(8) << 20)
#define PAGE 4096u
#define F_STATS VIRTIO_BIT(1)
#define F_REPORTING VIRTIO_BIT(5)

enum { INFLATE, DEFLATE, STATS, REPORTING, N_QUEUES };

static struct device *device;

static struct board *board_with_balloon(struct driver *driver, uint64_t target)
{
	struct board *board = board_new(RAM);
	g_autoptr(GError) err = NULL;

	device = virtio_balloon_new(&board->vm, target, "balloon0", &err);
	g_assert_no_error(err);
	driver_open(driver, board, device);
	return board;
}

static uint32_t config_read(struct driver *driver, unsigned off)
{
	return (uint32_t)board_mmio_read(driver->board, driver->config + off, 4);
}

static void put_pfns(struct driver *driver, uint64_t gpa, const uint32_t *pfns, size_t n)
{
	uint32_t le[64];

	for (size_t i = 0; i < n; i++)
		le[i] = GUINT32_TO_LE(pfns[i]);
	board_put(driver->board, gpa, le, n * sizeof(le[0]));
}

static void send_pfns(struct driver *driver, unsigned queue, const uint32_t *pfns, size_t n)
{
	uint64_t gpa = driver_alloc(driver, PAGE);
	struct ring_buf buf = { gpa, (uint32_t)(n * sizeof(*pfns)), false };

	put_pfns(driver, gpa, pfns, n);
	driver_send(driver, queue, &buf, 1, 0);
	driver_wait(driver, queue, NULL);
}

static uint8_t byte_at(struct driver *driver, uint64_t gpa)
{
	uint8_t byte;

	board_get(driver->board, gpa, &byte, 1);
	return byte;
}

static void mark(struct driver *driver, uint64_t gpa)
{
	board_put(driver->board, gpa, "x", 1);
}

static void turn_loop(struct board *board)
{
	while (g_main_context_iteration(board->vm.context, FALSE))
		;
}

/*
 * Page numbers beyond memory, half a number, nothing at all, bytes to write: nothing happens, and the next page goes.
 */
static void test_hostile(void)
{
	struct driver driver;
	autoptr(board) board G_GNUC_UNUSED = board_with_balloon(&driver, RAM);
	const uint32_t bad[] = { UINT32_MAX, (uint32_t)(RAM / PAGE), 0x80000000, 0xfee00 }, good[] = { 0x700 };
	struct ring_buf odd[] = { { 0x100, 3, false } }, writable[] = { { 0x100, 64, true } };

	driver_start(&driver, F_STATS | F_REPORTING, N_QUEUES, 8);
	send_pfns(&driver, INFLATE, bad, G_N_ELEMENTS(bad));
	driver_send(&driver, INFLATE, odd, 1, 0);
	driver_wait(&driver, INFLATE, NULL);
	driver_send(&driver, INFLATE, writable, 1, 0);
	driver_wait(&driver, INFLATE, NULL);
	mark(&driver, 0x700 * PAGE);
	send_pfns(&driver, INFLATE, good, 1);
	g_assert_cmpuint(byte_at(&driver, 0x700 * PAGE), ==, 0);
}

static void test_pages(const void *data)
{
	struct driver driver;
	autoptr(board) board G_GNUC_UNUSED = board_with_balloon(&driver, RAM);
	const uint32_t pfns[] = { 0x600, 0x601, 0x602, 0x610, 0x60f };
	unsigned char resident[1];
	const struct memory_slot *slot;

	driver_start(&driver, *(const uint64_t *)data | F_STATS | F_REPORTING, N_QUEUES, 8);
	for (size_t i = 0; i < G_N_ELEMENTS(pfns); i++)
		mark(&driver, (uint64_t)pfns[i] * PAGE);
	mark(&driver, 0x603 * PAGE);
	send_pfns(&driver, INFLATE, pfns, G_N_ELEMENTS(pfns));
	slot = memory_find(board->vm.mem, 0x601 * PAGE);
	g_assert_no_errno(mincore(slot->host + 0x601 * PAGE, PAGE, resident));
	g_assert_cmpuint(resident[0] & 1, ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(pfns); i++)
		g_assert_cmpuint(byte_at(&driver, (uint64_t)pfns[i] * PAGE), ==, 0);
	g_assert_cmpuint(byte_at(&driver, 0x603 * PAGE), ==, 'x');
	send_pfns(&driver, DEFLATE, pfns, G_N_ELEMENTS(pfns));
}

static void test_target(void)
{
	struct driver driver;
	autoptr(board) board = board_with_balloon(&driver, RAM / 2);

	g_assert_cmpuint(config_read(&driver, 0), ==, RAM / 2 / PAGE);
	g_assert_false(virtio_balloon_set_target(device, RAM / 4));
	driver_start(&driver, F_STATS | F_REPORTING, N_QUEUES, 8);
	g_assert_cmpuint(config_read(&driver, 0), ==, RAM / 4 * 3 / PAGE);
	g_assert_true(virtio_balloon_set_target(device, 2 * RAM));
	g_assert_cmpuint(config_read(&driver, 0), ==, 0);
	g_assert_cmpuint(virtio_balloon_actual(device), ==, RAM);
	board_mmio_write(board, driver.config + 4, 256, 4);
	g_assert_cmpuint(virtio_balloon_actual(device), ==, RAM - 256 * PAGE);
	g_assert_cmpuint(board->stats.balloon.actual, ==, (RAM - 256 * PAGE) >> 10);
	/* the change is told of after a moment, once */
	g_assert_cmpint(board->posted[VM_EVENT_BALLOON], ==, -1);
	board_mmio_write(board, driver.config + 4, 512, 4);
	timers_advance(board->vm.timers, NS_PER_SEC);
	g_assert_cmpint(board->posted[VM_EVENT_BALLOON], ==, RAM - 512 * PAGE);
	/* more than there is */
	board_mmio_write(board, driver.config + 4, UINT32_MAX, 4);
	g_assert_cmpuint(virtio_balloon_actual(device), ==, 0);
	device_reset(device);
	g_assert_cmpuint(virtio_balloon_actual(device), ==, RAM);
}

static void test_reporting(void)
{
	struct driver driver;
	autoptr(board) board G_GNUC_UNUSED = board_with_balloon(&driver, RAM);
	struct ring_buf bufs[] = { { 0x400000, 2 * PAGE, true }, { 0x500100, PAGE, true } };

	driver_start(&driver, F_STATS | F_REPORTING, N_QUEUES, 8);
	mark(&driver, 0x401000);
	mark(&driver, 0x500100);
	driver_send(&driver, REPORTING, bufs, 2, 0);
	driver_wait(&driver, REPORTING, NULL);
	g_assert_cmpuint(byte_at(&driver, 0x401000), ==, 0);
	g_assert_cmpuint(byte_at(&driver, 0x500100), ==, 'x'); /* no whole page */
}

struct stat {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed));

static void offer_stats(struct driver *driver, uint64_t gpa, uint64_t unused)
{
	struct stat stats[] = { { 4, GUINT64_TO_LE(unused) }, { 2, GUINT64_TO_LE(7) }, { 999, 1 } };
	struct ring_buf buf = { gpa, sizeof(stats), false };

	board_put(driver->board, gpa, stats, sizeof(stats));
	driver_send(driver, STATS, &buf, 1, 0);
	turn_loop(driver->board);
}

static bool stats_asked(struct driver *driver)
{
	uint16_t id;
	uint32_t len;

	turn_loop(driver->board);
	return ring_take(&driver->rings[STATS], &id, &len);
}

/* The buffer stays with the device until somebody wants to know; nobody is woken in between. */
static void test_stats(const void *data)
{
	struct driver driver;
	autoptr(board) board = board_with_balloon(&driver, RAM);
	uint64_t gpa;

	driver_start(&driver, *(const uint64_t *)data | F_STATS | F_REPORTING, N_QUEUES, 8);
	gpa = driver_alloc(&driver, PAGE);
	offer_stats(&driver, gpa, 5 << 20);
	g_assert_false(stats_asked(&driver));
	timers_advance(board->vm.timers, 1000 * NS_PER_SEC);
	g_assert_false(stats_asked(&driver));
	g_assert_cmpuint(board->stats.balloon.unused, ==, 5 << 10);
	g_assert_cmpuint(board->stats.balloon.major_fault, ==, 7);
	g_assert_cmpuint(board->stats.balloon.last_update, >, 0);
	virtio_balloon_poll_stats(device, 0);
	g_assert_true(stats_asked(&driver));
	offer_stats(&driver, gpa, 6 << 20);
	g_assert_false(stats_asked(&driver));
	g_assert_cmpuint(board->stats.balloon.unused, ==, 6 << 10);
	virtio_balloon_poll_stats(device, 2);
	g_assert_true(stats_asked(&driver));
	offer_stats(&driver, gpa, 7 << 20);
	timers_advance(board->vm.timers, 2 * NS_PER_SEC);
	g_assert_true(stats_asked(&driver));
}

/* What is kept for later survives a save and a load. */
static void test_saved(const void *data)
{
	struct driver driver;
	autoptr(board) board = board_with_balloon(&driver, RAM);
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;

	driver_start(&driver, *(const uint64_t *)data | F_STATS | F_REPORTING, N_QUEUES, 8);
	offer_stats(&driver, driver_alloc(&driver, PAGE), 5 << 20);
	device_pause(device);
	device_save(device, state);
	device_reset(device);
	device_pause(device);
	g_assert_true(device_load(device, state->data, state->len, &used, &err));
	g_assert_no_error(err);
	device_resume(device);
	turn_loop(board);
	virtio_balloon_poll_stats(device, 0);
	g_assert_true(stats_asked(&driver));
}

int main(int argc, char **argv)
{
	static const uint64_t split = 0, packed = VIRTIO_F_RING_PACKED;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/balloon/hostile", test_hostile);
	g_test_add_data_func("/balloon/pages/split", &split, test_pages);
	g_test_add_data_func("/balloon/pages/packed", &packed, test_pages);
	g_test_add_func("/balloon/target", test_target);
	g_test_add_func("/balloon/reporting", test_reporting);
	g_test_add_data_func("/balloon/stats/split", &split, test_stats);
	g_test_add_data_func("/balloon/stats/packed", &packed, test_stats);
	g_test_add_data_func("/balloon/saved/split", &split, test_saved);
	g_test_add_data_func("/balloon/saved/packed", &packed, test_saved);
	return g_test_run();
}
