/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "core/base/error.h"
#include "tests/virtio-driver.h"
#include "vmm/block/block.h"
#include "vmm/virtio/devices.h"

#define RAM (UINT64_C(8) << 20)
#define DISK (1u << 20)
#define SECTORS (DISK / 512)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2 };

#define F_RO VIRTIO_BIT(5)
#define F_FLUSH VIRTIO_BIT(9)
#define F_MQ VIRTIO_BIT(12)
#define F_DISCARD VIRTIO_BIT(13)
#define F_ZEROES VIRTIO_BIT(14)
#define ALL_TYPES (F_FLUSH | F_DISCARD | F_ZEROES)

/* A disk in memory that can be told to fail, or to hold a read until it is let go. */
struct ram_disk {
	struct block_node node;
	uint8_t *bytes;
	int fail; /* negative errno for the next calls */
	unsigned n_flushes, n_discards;
	uint64_t discarded;
	bool closed, *closed_flag;
	GMutex lock;
	GCond cond;
	bool hold, entered;
	bool left; /* a held read is over */
};

static struct ram_disk *disk_of(struct block_node *node)
{
	return (struct ram_disk *)(void *)node;
}

static int move(struct ram_disk *disk, uint64_t offset, const struct iovec *iov, int n, bool write)
{
	int result = disk->fail ? disk->fail : block_check_iov(&disk->node, offset, iov, n);

	for (int i = 0; i < n && result == 0; i++) {
		if (write)
			memcpy(disk->bytes + offset, iov[i].iov_base, iov[i].iov_len);
		else
			memcpy(iov[i].iov_base, disk->bytes + offset, iov[i].iov_len);
		offset += iov[i].iov_len;
	}
	return result;
}

static int ram_readv(struct block_node *node, uint64_t offset, const struct iovec *iov, int n)
{
	struct ram_disk *disk = disk_of(node);

	g_mutex_lock(&disk->lock);
	disk->entered = true;
	g_cond_broadcast(&disk->cond);
	while (disk->hold)
		g_cond_wait(&disk->cond, &disk->lock);
	disk->left = true;
	g_mutex_unlock(&disk->lock);
	return move(disk, offset, iov, n, false);
}

static int ram_writev(struct block_node *node, uint64_t offset, const struct iovec *iov, int n)
{
	return move(disk_of(node), offset, iov, n, true);
}

static int ram_flush(struct block_node *node)
{
	disk_of(node)->n_flushes++;
	return disk_of(node)->fail;
}

static int ram_discard(struct block_node *node, uint64_t offset, uint64_t len)
{
	g_assert_cmpint(block_check_range(node, offset, len), ==, 0);
	disk_of(node)->n_discards++;
	disk_of(node)->discarded += len;
	return disk_of(node)->fail;
}

static int ram_zeroes(struct block_node *node, uint64_t offset, uint64_t len, bool may_unmap)
{
	(void)may_unmap;
	g_assert_cmpint(block_check_range(node, offset, len), ==, 0);
	memset(disk_of(node)->bytes + offset, 0, len);
	return disk_of(node)->fail;
}

static void ram_close(struct block_node *node)
{
	struct ram_disk *disk = disk_of(node);

	*disk->closed_flag = true;
	g_mutex_clear(&disk->lock);
	g_cond_clear(&disk->cond);
	g_free(disk->bytes);
	g_free(disk);
}

static const struct block_class ram_class = {
	.name = "ram",
	.readv = ram_readv,
	.writev = ram_writev,
	.flush = ram_flush,
	.discard = ram_discard,
	.write_zeroes = ram_zeroes,
	.close = ram_close,
};

static struct ram_disk *ram_disk_new(bool *closed_flag)
{
	struct ram_disk *disk = g_new0(struct ram_disk, 1);

	disk->node = (struct block_node){ .class = &ram_class, .size = DISK, .block_size = 512, .can_discard = true };
	disk->bytes = g_malloc(DISK);
	disk->closed_flag = closed_flag;
	g_mutex_init(&disk->lock);
	g_cond_init(&disk->cond);
	for (size_t i = 0; i < DISK; i++)
		disk->bytes[i] = (uint8_t)(i / 512 + i);
	return disk;
}

/* --- a board with one disk --- */

struct fixture {
	struct board *board;
	struct ram_disk *disk;
	struct device *dev;
	struct driver driver;
	bool closed;
	uint64_t header, status, table, data; /* guest memory */
};

static void set_up_with(struct fixture *f, const char *serial, unsigned n_queues, bool readonly, uint32_t block_size)
{
	g_autoptr(GError) err = NULL;

	f->board = board_new(RAM);
	f->disk = ram_disk_new(&f->closed);
	f->disk->node.readonly = readonly;
	f->disk->node.can_discard = !readonly;
	f->disk->node.block_size = block_size;
	f->dev = virtio_blk_new(&f->board->vm, &f->disk->node, serial, n_queues, "disk0", &err);
	g_assert_no_error(err);
	driver_open(&f->driver, f->board, f->dev);
	f->header = driver_alloc(&f->driver, 4096);
	f->status = driver_alloc(&f->driver, 4096);
	f->table = driver_alloc(&f->driver, 8192);
	f->data = driver_alloc(&f->driver, 2 << 20);
}

static void set_up(struct fixture *f, const void *data)
{
	(void)data;
	set_up_with(f, "serial-0", 1, false, 512);
}

static void set_up_readonly(struct fixture *f, const void *data)
{
	(void)data;
	set_up_with(f, NULL, 1, true, 512);
}

static void set_up_queues(struct fixture *f, const void *data)
{
	(void)data;
	set_up_with(f, "12345678901234567890", 3, false, 4096);
}

static void tear_down(struct fixture *f, const void *data)
{
	(void)data;
	board_free(f->board);
	g_assert_true(f->closed);
}

static void start(struct fixture *f, uint64_t features)
{
	driver_start(&f->driver, features, 1, 64);
}

static void put_header(struct fixture *f, uint32_t type, uint64_t sector)
{
	uint32_t words[4] = { GUINT32_TO_LE(type), 0, GUINT32_TO_LE((uint32_t)sector),
			      GUINT32_TO_LE((uint32_t)(sector >> 32)) };
	uint8_t none = 0xff;

	board_put(f->board, f->header, words, sizeof(words));
	board_put(f->board, f->status, &none, 1);
}

static uint8_t status_byte(struct fixture *f)
{
	uint8_t status;

	board_get(f->board, f->status, &status, 1);
	return status;
}

/* header, one data buffer unless len is 0, status; waits and returns the status byte. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
	struct ring_buf bufs[3] = { { f->header, 16, false }, { f->data, len, device_writes } };
	unsigned n = len ? 2 : 1;
	uint32_t used;

	bufs[n++] = (struct ring_buf){ f->status, 1, true };
	put_header(f, type, sector);
	driver_send(&f->driver, 0, bufs, n, f->driver.features & VIRTIO_F_INDIRECT_DESC ? f->table : 0);
	used = driver_wait(&f->driver, 0, NULL);
	g_assert_cmpuint(used, ==, (device_writes ? len : 0) + 1);
	return status_byte(f);
}

static void check_data(struct fixture *f, const void *expected, size_t len)
{
	g_autofree uint8_t *data = g_malloc(len);

	board_get(f->board, f->data, data, len);
	g_assert_cmpmem(data, len, expected, len);
}

/* --- construction --- */

static void test_bad_arguments(void)
{
	autoptr(board) board = board_new(1 << 20);
	g_autoptr(GError) err = NULL;
	bool closed[3] = { false };

	g_assert_null(
		virtio_blk_new(&board->vm, &ram_disk_new(&closed[0])->node, "123456789012345678901", 1, "disk0", &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_true(closed[0]);
	g_clear_error(&err);
	g_assert_null(virtio_blk_new(&board->vm, &ram_disk_new(&closed[1])->node, NULL, 0, "disk0", &err));
	g_assert_true(closed[1]);
	g_clear_error(&err);
	g_assert_null(virtio_blk_new(&board->vm, &ram_disk_new(&closed[2])->node, NULL, VIRTIO_MAX_QUEUES + 1, "disk0",
				     &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_true(closed[2]);
	g_assert_cmpuint(board->vm.devices->len, ==, 1);
}

static void test_no_slot(void)
{
	autoptr(board) board = board_new(1 << 20);
	g_autoptr(GError) err = NULL;
	bool closed[32] = { false };

	for (unsigned i = 1; i < 32; i++)
		g_assert_nonnull(virtio_blk_new(&board->vm, &ram_disk_new(&closed[i])->node, NULL, 1, "disk", NULL));
	g_assert_null(virtio_blk_new(&board->vm, &ram_disk_new(&closed[0])->node, NULL, 1, "disk", &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_true(closed[0]);
}

static uint32_t config(struct fixture *f, unsigned off, unsigned size)
{
	return (uint32_t)board_mmio_read(f->board, f->driver.config + off, size);
}

static void test_config(struct fixture *f, const void *data)
{
	uint64_t offered = driver_offered(&f->driver);

	(void)data;
	g_assert_cmphex(offered & (F_RO | ALL_TYPES | F_MQ), ==, ALL_TYPES | F_MQ);
	g_assert_cmpuint(config(f, 0, 4), ==, SECTORS);
	g_assert_cmpuint(config(f, 4, 4), ==, 0);
	g_assert_cmpuint(config(f, 12, 4), ==, 254);
	g_assert_cmpuint(config(f, 20, 4), ==, 4096);
	g_assert_cmpuint(config(f, 24, 1), ==, 0);
	g_assert_cmpuint(config(f, 34, 2), ==, 3);
	g_assert_cmpuint(config(f, 36, 4), >, 0);
	g_assert_cmpuint(config(f, 40, 4), ==, 16);
	g_assert_cmpuint(config(f, 52, 4), ==, 16);
	g_assert_cmpuint(config(f, 56, 1), ==, 1);
	g_assert_cmphex(config(f, 60, 1), ==, 0xff);
}

/* --- requests that must fail, and only they --- */

static void test_bad_requests(struct fixture *f, const void *data)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t len;
		bool device_writes;
		uint8_t status;
	} bad[] = {
		{ T_IN, 0, 511, true, IOERR },
		{ T_IN, 0, 513, true, IOERR },
		{ T_IN, SECTORS, 512, true, IOERR },
		{ T_IN, SECTORS - 1, 1024, true, IOERR },
		{ T_IN, UINT64_MAX, 512, true, IOERR },
		{ T_IN, UINT64_C(1) << 55, 512, true, IOERR },
		{ T_IN, UINT64_MAX / 512 + 1, 512, true, IOERR },
		{ T_OUT, 0, 100, false, IOERR },
		{ T_OUT, SECTORS, 512, false, IOERR },
		{ T_OUT, SECTORS - 1, 1024, false, IOERR },
		{ T_OUT, UINT64_MAX, 512, false, IOERR },
		{ T_DISCARD, 0, 15, false, IOERR },
		{ T_DISCARD, 0, 17 * 16, false, IOERR },
		{ T_DISCARD, 0, 0, false, IOERR },
		{ T_ZEROES, 0, 24, false, IOERR },
		{ 2, 0, 512, true, UNSUPP },
		{ 5, 0, 0, false, UNSUPP },
		{ 14, 0, 16, false, UNSUPP },
		{ 0xffffffff, 0, 16, true, UNSUPP },
	};
	g_autofree uint8_t *before = g_memdup2(f->disk->bytes, DISK);
	uint8_t zeros[1024] = { 0 };

	start(f, ALL_TYPES | *(const uint64_t *)data);
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_test_message("request %u", i);
		g_assert_true(memory_fill(f->board->vm.mem, f->data, 0x5a, 4096));
		g_assert_cmpuint(request(f, bad[i].type, bad[i].sector, bad[i].len, bad[i].device_writes), ==,
				 bad[i].status);
		/* no stale bytes for the guest */
		if (bad[i].device_writes)
			check_data(f, zeros, bad[i].len);
	}
	g_assert_cmpmem(before, DISK, f->disk->bytes, DISK);
	g_assert_cmpuint(request(f, T_IN, SECTORS - 1, 512, true), ==, OK);
	check_data(f, f->disk->bytes + DISK - 512, 512);
}

static void put_range(struct fixture *f, unsigned i, uint64_t sector, uint32_t n, uint32_t flags)
{
	uint32_t words[4] = { GUINT32_TO_LE((uint32_t)sector), GUINT32_TO_LE((uint32_t)(sector >> 32)),
			      GUINT32_TO_LE(n), GUINT32_TO_LE(flags) };

	board_put(f->board, f->data + 16 * i, words, sizeof(words));
}

static void test_bad_ranges(struct fixture *f, const void *data)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t n, flags;
		uint8_t status;
	} bad[] = {
		{ T_DISCARD, 0, 1, 1, UNSUPP },		{ T_DISCARD, 0, 1, 2, UNSUPP },
		{ T_ZEROES, 0, 1, 2, UNSUPP },		{ T_ZEROES, 0, 1, 0x80000001, UNSUPP },
		{ T_DISCARD, SECTORS, 1, 0, IOERR },	{ T_DISCARD, SECTORS - 1, 2, 0, IOERR },
		{ T_DISCARD, UINT64_MAX, 1, 0, IOERR }, { T_DISCARD, UINT64_MAX / 512 + 1, 1, 0, IOERR },
		{ T_ZEROES, 0, UINT32_MAX, 0, IOERR },	{ T_ZEROES, SECTORS - 1, 2, 1, IOERR },
	};
	g_autofree uint8_t *before = g_memdup2(f->disk->bytes, DISK);

	start(f, ALL_TYPES | *(const uint64_t *)data);
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		/* a good range before it is not applied either */
		put_range(f, 0, 8, 8, 0);
		put_range(f, 1, bad[i].sector, bad[i].n, bad[i].flags);
		g_assert_cmpuint(request(f, bad[i].type, 0, 32, false), ==, bad[i].status);
	}
	g_assert_cmpuint(f->disk->n_discards, ==, 0);
	g_assert_cmpmem(before, DISK, f->disk->bytes, DISK);
	/* types the driver did not agree to */
	start(f, *(const uint64_t *)data);
	put_range(f, 0, 8, 8, 0);
	g_assert_cmpuint(request(f, T_DISCARD, 0, 16, false), ==, UNSUPP);
	g_assert_cmpuint(request(f, T_ZEROES, 0, 16, false), ==, UNSUPP);
}

static void test_readonly(struct fixture *f, const void *data)
{
	g_autofree uint8_t *before = g_memdup2(f->disk->bytes, DISK);

	(void)data;
	g_assert_cmphex(driver_offered(&f->driver) & (F_RO | F_DISCARD | F_ZEROES), ==, F_RO);
	start(f, F_RO | F_FLUSH);
	g_assert_cmpuint(request(f, T_OUT, 0, 512, false), ==, IOERR);
	put_range(f, 0, 8, 8, 0);
	g_assert_cmpuint(request(f, T_DISCARD, 0, 16, false), ==, IOERR);
	g_assert_cmpuint(request(f, T_ZEROES, 0, 16, false), ==, IOERR);
	g_assert_cmpmem(before, DISK, f->disk->bytes, DISK);
	g_assert_cmpuint(request(f, T_IN, 0, 512, true), ==, OK);
	check_data(f, f->disk->bytes, 512);
	g_assert_cmpuint(request(f, T_FLUSH, 0, 0, false), ==, OK);
	/* without a serial the id is empty */
	g_assert_cmpuint(request(f, T_GET_ID, 0, 20, true), ==, OK);
	check_data(f, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
}

static void test_host_errors(struct fixture *f, const void *data)
{
	uint8_t zeros[512] = { 0 };

	start(f, ALL_TYPES | *(const uint64_t *)data);
	f->disk->fail = -EIO;
	g_assert_cmpuint(request(f, T_IN, 0, 512, true), ==, IOERR);
	check_data(f, zeros, 512);
	f->disk->fail = -ENOSPC;
	g_assert_cmpuint(request(f, T_OUT, 0, 512, false), ==, IOERR);
	g_assert_cmpuint(request(f, T_FLUSH, 0, 0, false), ==, IOERR);
	f->disk->fail = -EOPNOTSUPP;
	put_range(f, 0, 8, 8, 0);
	g_assert_cmpuint(request(f, T_DISCARD, 0, 16, false), ==, UNSUPP);
	f->disk->fail = 0;
	g_assert_cmpuint(request(f, T_IN, 0, 512, true), ==, OK);
}

static void broken_by(struct fixture *f, const struct ring_buf *bufs, unsigned n, uint64_t features)
{
	unsigned before = board_messages(f->board, DRIVER_VECTOR_DATA(0));

	start(f, features);
	put_header(f, T_IN, 0);
	driver_send(&f->driver, 0, bufs, n, 0);
	driver_wait_broken(&f->driver);
	g_assert_cmphex(driver_status(&f->driver), ==, 0x4f);
	/* the interrupt follows the status bit */
	while (board_messages(f->board, DRIVER_VECTOR_DATA(0)) == before)
		g_main_context_iteration(f->board->vm.context, TRUE);
	g_assert_cmpuint(status_byte(f), ==, 0xff);
}

static void test_broken(struct fixture *f, const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	struct ring_buf no_status[] = { { f->header, 16, false }, { f->data, 512, false } };
	struct ring_buf no_header[] = { { f->data, 512, true }, { f->status, 1, true } };
	struct ring_buf short_header[] = { { f->header, 15, false }, { f->status, 1, true } };
	struct ring_buf outside[] = { { f->header, 16, false }, { RAM - 256, 512, true }, { f->status, 1, true } };

	broken_by(f, no_status, 2, features);
	broken_by(f, no_header, 2, features);
	broken_by(f, short_header, 2, features);
	broken_by(f, outside, 3, features);
	start(f, features);
	g_assert_cmpuint(request(f, T_IN, 0, 512, true), ==, OK);
}

/* --- requests that work --- */

static void test_requests(struct fixture *f, const void *data)
{
	uint8_t bytes[1024];

	start(f, ALL_TYPES | *(const uint64_t *)data);
	memset(bytes, 0xa5, sizeof(bytes));
	board_put(f->board, f->data, bytes, sizeof(bytes));
	g_assert_cmpuint(request(f, T_OUT, 5, 1024, false), ==, OK);
	g_assert_cmpmem(f->disk->bytes + 5 * 512, 1024, bytes, 1024);
	g_assert_cmpuint(f->disk->n_flushes, ==, 0);
	g_assert_cmpuint(request(f, T_FLUSH, 0, 0, false), ==, OK);
	g_assert_cmpuint(f->disk->n_flushes, ==, 1);
	g_assert_cmpuint(request(f, T_IN, 4, 2048, true), ==, OK);
	check_data(f, f->disk->bytes + 4 * 512, 2048);
	g_assert_cmpuint(request(f, T_IN, 0, 0, false), ==, OK);
	g_assert_cmpuint(request(f, T_GET_ID, 0, 20, true), ==, OK);
	check_data(f, "serial-0\0\0\0\0\0\0\0\0\0\0\0", 20);
	g_assert_cmpuint(request(f, T_GET_ID, 0, 4, true), ==, OK);
	check_data(f, "seri", 4);
	put_range(f, 0, 16, 8, 0);
	put_range(f, 1, 32, 16, 0);
	g_assert_cmpuint(request(f, T_DISCARD, 0, 32, false), ==, OK);
	g_assert_cmpuint(f->disk->n_discards, ==, 2);
	g_assert_cmpuint(f->disk->discarded, ==, 24 * 512);
	put_range(f, 0, 5, 1, 1);
	g_assert_cmpuint(request(f, T_ZEROES, 0, 16, false), ==, OK);
	g_assert_cmpuint(f->disk->bytes[5 * 512], ==, 0);
	g_assert_cmpuint(f->disk->bytes[6 * 512 - 1], ==, 0);
	g_assert_cmpuint(f->disk->bytes[6 * 512], ==, 0xa5);
}

/* A driver that does not flush counts on every completed write. */
static void test_write_through(struct fixture *f, const void *data)
{
	start(f, *(const uint64_t *)data);
	g_assert_cmpuint(request(f, T_OUT, 0, 512, false), ==, OK);
	g_assert_cmpuint(f->disk->n_flushes, ==, 1);
	g_assert_cmpuint(request(f, T_IN, 0, 512, true), ==, OK);
	g_assert_cmpuint(f->disk->n_flushes, ==, 1);
}

/* The same request cut into descriptors in every odd way. */
static void test_framing(struct fixture *f, const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	struct ring_buf bufs[40];
	unsigned n = 0;

	start(f, features);
	put_header(f, T_IN, 3);
	for (unsigned i = 0; i < 16; i++)
		bufs[n++] = (struct ring_buf){ f->header + i, 1, false };
	bufs[n++] = (struct ring_buf){ f->data, 1, true };
	bufs[n++] = (struct ring_buf){ f->data + 1, 510, true };
	bufs[n++] = (struct ring_buf){ f->data + 511, 2, true }; /* last data byte and status in one */
	driver_send(&f->driver, 0, bufs, n, features & VIRTIO_F_INDIRECT_DESC ? f->table : 0);
	g_assert_cmpuint(driver_wait(&f->driver, 0, NULL), ==, 513);
	check_data(f, f->disk->bytes + 3 * 512, 512);
	/* status went behind the data, not where status usually is */
	g_assert_cmpuint(status_byte(f), ==, 0xff);

	put_header(f, T_OUT, 7);
	board_put(f->board, f->header + 16, f->disk->bytes + 512, 512);
	n = 0;
	bufs[n++] = (struct ring_buf){ f->header, 200, false };
	bufs[n++] = (struct ring_buf){ f->header + 200, 328, false };
	bufs[n++] = (struct ring_buf){ f->status, 1, true };
	driver_send(&f->driver, 0, bufs, n, 0);
	g_assert_cmpuint(driver_wait(&f->driver, 0, NULL), ==, 1);
	g_assert_cmpuint(status_byte(f), ==, OK);
	g_assert_cmpmem(f->disk->bytes + 7 * 512, 512, f->disk->bytes + 512, 512);
}

/* Many requests in flight at once, beside a copy of the disk; the rings wrap many times. */
static void test_random(struct fixture *f, const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	g_autofree uint8_t *model = g_memdup2(f->disk->bytes, DISK), *buf = g_malloc(8192);
	enum { DEPTH = 8 };

	start(f, ALL_TYPES | features);
	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < DEPTH; i++) {
			/* each slot of a round has its own stretch of the disk, so that their order does not matter */
			uint64_t sector = SECTORS / DEPTH * i +
					  (uint64_t)g_test_rand_int_range(0, SECTORS / DEPTH - 16);
			uint32_t len = (uint32_t)g_test_rand_int_range(1, 17) * 512;
			uint64_t header = f->header + 32 * i, page = f->data + 8192 * i;
			bool write = (round + i) % 2;
			struct ring_buf bufs[4] = { { header, 16, false },
						    { page, 512, !write },
						    { page + 512, len - 512, !write },
						    { f->status + i, 1, true } };
			uint32_t words[4] = { GUINT32_TO_LE(write ? T_OUT : T_IN), 0, GUINT32_TO_LE((uint32_t)sector),
					      0 };

			board_put(f->board, header, words, sizeof(words));
			board_put(f->board, f->status + i, "\xff", 1);
			if (write) {
				memset(buf, (int)(round + i), len);
				board_put(f->board, page, buf, len);
				memcpy(model + sector * 512, buf, len);
			}
			driver_send(&f->driver, 0, bufs, 4, features & VIRTIO_F_INDIRECT_DESC ? f->table + 64 * i : 0);
		}
		for (unsigned i = 0; i < DEPTH; i++)
			driver_wait(&f->driver, 0, NULL);
		for (unsigned i = 0; i < DEPTH; i++) {
			uint32_t words[4];
			uint8_t status;

			board_get(f->board, f->status + i, &status, 1);
			g_assert_cmpuint(status, ==, OK);
			board_get(f->board, f->header + 32 * i, words, sizeof(words));
			if (words[0] == T_IN) {
				board_get(f->board, f->data + 8192 * i, buf, 512);
				g_assert_cmpmem(buf, 512, model + (uint64_t)words[2] * 512, 512);
			}
		}
	}
	g_assert_cmpmem(model, DISK, f->disk->bytes, DISK);
}

/* --- threads --- */

static void test_queues(struct fixture *f, const void *data)
{
	(void)data;
	driver_start(&f->driver, F_MQ | F_FLUSH, 3, 16);
	for (unsigned i = 0; i < 60; i++) {
		unsigned queue = i % 3;
		struct ring_buf bufs[] = { { f->header, 16, false }, { f->data, 512, true }, { f->status, 1, true } };

		put_header(f, T_IN, i);
		driver_send(&f->driver, queue, bufs, 3, 0);
		g_assert_cmpuint(driver_wait(&f->driver, queue, NULL), ==, 513);
		check_data(f, f->disk->bytes + 512 * i, 512);
	}
	for (unsigned queue = 0; queue < 3; queue++)
		g_assert_cmpuint(board_messages(f->board, DRIVER_VECTOR_DATA(queue + 1)), >, 0);
}

static void wait_entered(struct ram_disk *disk)
{
	g_mutex_lock(&disk->lock);
	while (!disk->entered)
		g_cond_wait(&disk->cond, &disk->lock);
	g_mutex_unlock(&disk->lock);
}

static void let_go(struct ram_disk *disk)
{
	g_mutex_lock(&disk->lock);
	disk->hold = false;
	g_cond_broadcast(&disk->cond);
	g_mutex_unlock(&disk->lock);
}

static void *let_go_when_stopping(void *opaque)
{
	struct fixture *f = opaque;

	/* Whoever stops the device takes its lock and keeps it while waiting; the read is let go only then. */
	for (;;) {
		if (!g_mutex_trylock(&f->dev->lock))
			break;
		g_mutex_unlock(&f->dev->lock);
		g_thread_yield();
	}
	let_go(f->disk);
	return NULL;
}

typedef void (*stop_fn)(struct fixture *f);

static void stop_by_pause(struct fixture *f)
{
	device_pause(f->dev);
}

static void stop_by_reset(struct fixture *f)
{
	device_reset(f->dev);
}

static void stop_by_status(struct fixture *f)
{
	driver_set_status(&f->driver, 0);
}

/*
 * Stopping waits for the request in flight, and nothing starts afterwards. Returns how many of four requests were
 * served.
 */
static unsigned stop_in_flight(struct fixture *f, stop_fn stop)
{
	struct ring_buf bufs[] = { { f->header, 16, false }, { f->data, 512, true }, { f->status, 1, true } };
	unsigned used = 0;
	GThread *helper;
	uint16_t id;
	uint32_t len;

	start(f, 0);
	f->disk->hold = true;
	put_header(f, T_IN, 1);
	for (unsigned i = 0; i < 4; i++)
		driver_send(&f->driver, 0, bufs, 3, 0);
	driver_kick(&f->driver, 0);
	wait_entered(f->disk);
	helper = g_thread_new("let-go", let_go_when_stopping, f);
	stop(f);
	g_assert_true(f->disk->left);
	while (ring_take(&f->driver.rings[0], &id, &len))
		used++;
	g_assert_cmpuint(used, >=, 1);
	g_thread_join(helper);
	/* at rest now: a kick does nothing, and nothing of the rest is touched */
	driver_kick(&f->driver, 0);
	g_assert_false(ring_take(&f->driver.rings[0], &id, &len));
	return used;
}

static void test_pause_in_flight(struct fixture *f, const void *data)
{
	unsigned used = stop_in_flight(f, stop_by_pause);

	(void)data;
	device_resume(f->dev);
	for (unsigned i = used; i < 4; i++)
		g_assert_cmpuint(driver_wait(&f->driver, 0, NULL), ==, 513);
}

static void test_reset_in_flight(struct fixture *f, const void *data)
{
	(void)data;
	stop_in_flight(f, stop_by_reset);
	driver_open(&f->driver, f->board, f->dev);
	start(f, 0);
	g_assert_cmpuint(request(f, T_IN, 0, 512, true), ==, OK);
}

static void test_status_in_flight(struct fixture *f, const void *data)
{
	(void)data;
	stop_in_flight(f, stop_by_status);
	start(f, 0);
	g_assert_cmpuint(request(f, T_IN, 0, 512, true), ==, OK);
}

/* Freed with requests queued and a kick on its way. */
static void test_destroy_busy(struct fixture *f, const void *data)
{
	struct ring_buf bufs[] = { { f->header, 16, false }, { f->data, 512, true }, { f->status, 1, true } };

	(void)data;
	start(f, 0);
	put_header(f, T_IN, 1);
	for (unsigned i = 0; i < 16; i++)
		driver_send(&f->driver, 0, bufs, 3, 0);
}

static void test_save_load(struct fixture *f, const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	struct fixture other = { 0 };
	struct ring_buf bufs[] = { { f->header, 16, false }, { f->data, 512, true }, { f->status, 1, true } };
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	g_autofree uint8_t *ram = g_malloc(RAM);
	size_t used;
	bool ok;

	start(f, features);
	for (unsigned i = 0; i < 30; i++)
		g_assert_cmpuint(request(f, T_IN, i, 512, true), ==, OK);
	device_pause(f->dev);
	put_header(f, T_IN, 9);
	driver_send(&f->driver, 0, bufs, 3, features & VIRTIO_F_INDIRECT_DESC ? f->table : 0);
	device_save(f->dev, state);
	set_up_with(&other, NULL, 1, false, 512);
	device_pause(other.dev);
	ok = device_load(other.dev, state->data, state->len, &used, &err);
	g_assert_no_error(err);
	g_assert_true(ok);
	board_get(f->board, 0, ram, RAM);
	board_put(other.board, 0, ram, RAM);
	other.driver = f->driver;
	other.driver.board = other.board;
	other.driver.rings[0].mem = other.board->vm.mem;
	device_resume(other.dev);
	g_assert_cmpuint(driver_wait(&other.driver, 0, NULL), ==, 513);
	check_data(&other, other.disk->bytes + 9 * 512, 512);
	for (unsigned i = 0; i < 80; i++)
		g_assert_cmpuint(request(&other, T_IN, i, 512, true), ==, OK);
	tear_down(&other, NULL);
}

static const struct layout {
	const char *name;
	uint64_t features;
} layouts[] = {
	{ "split", 0 },
	{ "split-event-indirect", VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC },
	{ "packed", VIRTIO_F_RING_PACKED },
	{ "packed-event-indirect", VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC },
};

static void add(const char *name, void (*test)(struct fixture *f, const void *data))
{
	for (unsigned i = 0; i < G_N_ELEMENTS(layouts); i++) {
		g_autofree char *path = g_strdup_printf("/virtio-blk/%s/%s", name, layouts[i].name);

		g_test_add(path, struct fixture, &layouts[i].features, set_up, test, tear_down);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/virtio-blk/bad-arguments", test_bad_arguments);
	g_test_add_func("/virtio-blk/no-slot", test_no_slot);
	add("bad-requests", test_bad_requests);
	add("bad-ranges", test_bad_ranges);
	add("broken", test_broken);
	add("host-errors", test_host_errors);
	g_test_add("/virtio-blk/readonly", struct fixture, NULL, set_up_readonly, test_readonly, tear_down);
	g_test_add("/virtio-blk/config", struct fixture, NULL, set_up_queues, test_config, tear_down);
	add("requests", test_requests);
	add("write-through", test_write_through);
	add("framing", test_framing);
	add("random", test_random);
	g_test_add("/virtio-blk/queues", struct fixture, NULL, set_up_queues, test_queues, tear_down);
	g_test_add("/virtio-blk/in-flight/pause", struct fixture, NULL, set_up, test_pause_in_flight, tear_down);
	g_test_add("/virtio-blk/in-flight/reset", struct fixture, NULL, set_up, test_reset_in_flight, tear_down);
	g_test_add("/virtio-blk/in-flight/status", struct fixture, NULL, set_up, test_status_in_flight, tear_down);
	g_test_add("/virtio-blk/destroy-busy", struct fixture, NULL, set_up, test_destroy_busy, tear_down);
	add("save-load", test_save_load);
	return g_test_run();
}
