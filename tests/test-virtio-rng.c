/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "tests/virtio-driver.h"
#include "vmm/virtio/devices.h"

#define RAM (UINT64_C(4) << 20)
#define PERIOD_MS 100u

static struct board *board_with_rng(struct driver *driver, unsigned bytes, unsigned period_ms)
{
	struct board *board = board_new(RAM);
	g_autoptr(GError) err = NULL;
	struct device *dev = virtio_rng_new(&board->vm, bytes, period_ms, "rng0", &err);

	g_assert_no_error(err);
	driver_open(driver, board, dev);
	return board;
}

static void ask(struct driver *driver, uint64_t gpa, uint32_t len)
{
	struct ring_buf buf = { gpa, len, true };

	driver_send(driver, 0, &buf, 1, 0);
}

static void turn_loop(struct board *board)
{
	while (g_main_context_iteration(board->vm.context, FALSE))
		;
}

static bool nothing_used(struct driver *driver)
{
	uint16_t id;
	uint32_t len;

	turn_loop(driver->board);
	return !ring_take(&driver->rings[0], &id, &len);
}

static void test_odd_buffers(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver, 0, 0);
	struct ring_buf readable[] = { { 0x100, 64, false } };
	struct ring_buf split[] = { { 0x100, 1, true }, { 0x200, 0, true }, { 0x300, 2, true } };
	uint8_t before[64], after[64];

	driver_start(&driver, 0, 1, 8);
	/* a buffer that is not for writing is given back untouched */
	board_get(board, 0x100, before, 64);
	driver_send(&driver, 0, readable, 1, 0);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 0);
	board_get(board, 0x100, after, 64);
	g_assert_cmpmem(before, 64, after, 64);
	driver_send(&driver, 0, split, 3, 0);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 3);
	/* a huge buffer may be used in part */
	ask(&driver, 0, (uint32_t)RAM);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), >, 0);
}

static void test_hostile(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver, 0, 0);

	driver_start(&driver, 0, 1, 8);
	ask(&driver, RAM - 1, 2);
	driver_wait_broken(&driver);
	g_assert_cmpuint(board_messages(board, DRIVER_VECTOR_DATA(0)), ==, 1);
}

static void test_bytes(const void *data)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver, 0, 0);
	uint64_t gpa;
	uint8_t bytes[2][256];

	driver_start(&driver, *(const uint64_t *)data, 1, 8);
	gpa = driver_alloc(&driver, 4096);
	for (unsigned i = 0; i < 2; i++) {
		ask(&driver, gpa, 256);
		g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 256);
		board_get(board, gpa, bytes[i], 256);
	}
	g_assert_cmpint(memcmp(bytes[0], bytes[1], 256), !=, 0);
	/* nothing beyond the buffer */
	board_get(board, gpa + 256, bytes[0], 16);
	memset(bytes[1], 0, 16);
	g_assert_cmpmem(bytes[0], 16, bytes[1], 16);
}

/* A guest that asks for very much: all of it comes, over several turns of the loop. */
static void test_greedy(void)
{
	struct driver driver;
	autoptr(board) board G_GNUC_UNUSED = board_with_rng(&driver, 0, 0);
	uint64_t gpa, total = 0;

	driver_start(&driver, VIRTIO_F_EVENT_IDX, 1, 128);
	gpa = driver_alloc(&driver, 4096);
	for (unsigned i = 0; i < 128; i++)
		ask(&driver, gpa, 4096);
	for (unsigned i = 0; i < 128; i++)
		total += driver_wait(&driver, 0, NULL);
	g_assert_cmpuint(total, ==, 128 * 4096);
}

static void test_rate(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver, 100, PERIOD_MS);
	uint64_t gpa;

	driver_start(&driver, VIRTIO_F_RING_PACKED, 1, 8);
	gpa = driver_alloc(&driver, 4096);
	for (unsigned i = 0; i < 4; i++)
		ask(&driver, gpa, 64);
	/* 64 and what is left of 100; then nothing until the period is over */
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 36);
	g_assert_true(nothing_used(&driver));
	driver_kick(&driver, 0);
	g_assert_true(nothing_used(&driver));
	timers_advance(board->vm.timers, (PERIOD_MS - 1) * NS_PER_MS);
	g_assert_true(nothing_used(&driver));
	timers_advance(board->vm.timers, NS_PER_MS);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 36);
	/* an idle period brings one budget, not two */
	timers_advance(board->vm.timers, 10 * PERIOD_MS * NS_PER_MS);
	for (unsigned i = 0; i < 4; i++)
		ask(&driver, gpa, 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 36);
	g_assert_true(nothing_used(&driver));
}

static void test_rate_reset(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver, 64, PERIOD_MS);

	driver_start(&driver, 0, 1, 8);
	ask(&driver, 0x100, 64);
	ask(&driver, 0x100, 64);
	driver_wait(&driver, 0, NULL);
	g_assert_true(nothing_used(&driver));
	device_reset(board->vm.devices->pdata[board->vm.devices->len - 1]);
	driver_open(&driver, board, board->vm.devices->pdata[board->vm.devices->len - 1]);
	driver_start(&driver, 0, 1, 8);
	ask(&driver, 0x100, 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

static void test_rate_save_load(void)
{
	struct driver driver, other;
	autoptr(board) from = board_with_rng(&driver, 64, PERIOD_MS);
	autoptr(board) to = board_with_rng(&other, 64, PERIOD_MS);
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autofree uint8_t *ram = g_malloc(RAM);
	size_t used;

	driver_start(&driver, 0, 1, 8);
	ask(&driver, 0x100, 64);
	ask(&driver, 0x100, 64);
	driver_wait(&driver, 0, NULL);
	g_assert_true(nothing_used(&driver));
	device_pause(from->vm.devices->pdata[1]);
	device_save(from->vm.devices->pdata[1], state);
	device_pause(to->vm.devices->pdata[1]);
	g_assert_true(device_load(to->vm.devices->pdata[1], state->data, state->len, &used, NULL));
	board_get(from, 0, ram, RAM);
	board_put(to, 0, ram, RAM);
	device_resume(to->vm.devices->pdata[1]);
	driver.board = to;
	driver.rings[0].mem = to->vm.mem;
	/* the period that had begun goes on */
	g_assert_true(nothing_used(&driver));
	timers_advance(to->vm.timers, PERIOD_MS * NS_PER_MS);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

int main(int argc, char **argv)
{
	static const uint64_t split, packed = VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/virtio-rng/hostile", test_hostile);
	g_test_add_func("/virtio-rng/odd-buffers", test_odd_buffers);
	g_test_add_data_func("/virtio-rng/bytes/split", &split, test_bytes);
	g_test_add_data_func("/virtio-rng/bytes/packed", &packed, test_bytes);
	g_test_add_func("/virtio-rng/greedy", test_greedy);
	g_test_add_func("/virtio-rng/rate/limit", test_rate);
	g_test_add_func("/virtio-rng/rate/reset", test_rate_reset);
	g_test_add_func("/virtio-rng/rate/save-load", test_rate_save_load);
	return g_test_run();
}
