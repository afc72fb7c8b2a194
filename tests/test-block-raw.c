/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/block/block.h"

#define SIZE (1u << 20)

struct fixture {
	char *dir, *path;
};

static void set_up(struct fixture *f, const void *data)
{
	auto_fd int fd = -1;

	(void)data;
	f->dir = g_dir_make_tmp("lodge-raw-XXXXXX", NULL);
	f->path = g_build_filename(f->dir, "disk.img", NULL);
	fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	g_assert_cmpint(ftruncate(fd, SIZE), ==, 0);
}

static void tear_down(struct fixture *f, const void *data)
{
	(void)data;
	g_unlink(f->path);
	g_assert_cmpint(g_rmdir(f->dir), ==, 0);
	g_free(f->path);
	g_free(f->dir);
}

static void refused(const char *path, bool readonly, enum lodge_error code, const char *text)
{
	g_autoptr(GError) err = NULL;
	struct block_node *node = block_open_raw(path, readonly, &err);

	g_assert_null(node);
	g_assert_error(err, LODGE_ERROR, (int)code);
	g_assert_nonnull(strstr(err->message, path));
	if (!strstr(err->message, text))
		g_error("'%s' does not say '%s'", err->message, text);
}

static struct block_node *open_ok(const char *path, bool readonly)
{
	g_autoptr(GError) err = NULL;
	struct block_node *node = block_open_raw(path, readonly, &err);

	g_assert_no_error(err);
	return node;
}

static int read_at(struct block_node *node, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = { buf, len };

	return node->class->readv(node, offset, &iov, 1);
}

static int write_at(struct block_node *node, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = { buf, len };

	return node->class->writev(node, offset, &iov, 1);
}

static void test_refusals(struct fixture *f, const void *data)
{
	g_autofree char *fifo = g_build_filename(f->dir, "fifo", NULL);
	g_autofree char *missing = g_build_filename(f->dir, "missing", NULL);

	(void)data;
	refused(missing, false, LODGE_ERROR_SYSTEM, "No such file");
	refused(f->dir, false, LODGE_ERROR_INPUT, "directory");
	refused(f->dir, true, LODGE_ERROR_INPUT, "neither a regular file nor a block device");
	refused("/dev/null", true, LODGE_ERROR_INPUT, "neither a regular file nor a block device");
	g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
	refused(fifo, true, LODGE_ERROR_INPUT, "neither a regular file nor a block device");
	g_unlink(fifo);
	g_assert_cmpint(truncate(f->path, 0), ==, 0);
	refused(f->path, false, LODGE_ERROR_INPUT, "empty");
	g_assert_cmpint(truncate(f->path, 1000), ==, 0);
	refused(f->path, false, LODGE_ERROR_INPUT, "truncate -s %512");
	refused(f->path, true, LODGE_ERROR_INPUT, "not a multiple of 512");
}

static void test_locks(struct fixture *f, const void *data)
{
	(void)data;
	{
		autoptr(block_node) writer G_GNUC_UNUSED = open_ok(f->path, false);

		refused(f->path, false, LODGE_ERROR_STATE, "already in use");
		refused(f->path, true, LODGE_ERROR_STATE, "already in use for writing");
	}
	{
		autoptr(block_node) a G_GNUC_UNUSED = open_ok(f->path, true);
		autoptr(block_node) b G_GNUC_UNUSED = open_ok(f->path, true);

		refused(f->path, false, LODGE_ERROR_STATE, "already in use");
	}
	block_close(open_ok(f->path, false));
	block_close(NULL);
}

static void test_ranges(struct fixture *f, const void *data)
{
	autoptr(block_node) node = open_ok(f->path, false);
	uint8_t buf[1024] = { 0 };
	struct iovec huge[] = { { buf, 512 }, { buf, SIZE_MAX - 511 } };

	(void)data;
	g_assert_cmpint(read_at(node, SIZE - 512, buf, 1024), ==, -EINVAL);
	g_assert_cmpint(write_at(node, SIZE - 512, buf, 1024), ==, -EINVAL);
	g_assert_cmpint(read_at(node, SIZE + 512, buf, 0), ==, -EINVAL);
	g_assert_cmpint(read_at(node, UINT64_MAX - 511, buf, 512), ==, -EINVAL);
	g_assert_cmpint(node->class->readv(node, 0, huge, 2), ==, -EINVAL);
	g_assert_cmpint(node->class->discard(node, SIZE, 512), ==, -EINVAL);
	g_assert_cmpint(node->class->discard(node, 512, UINT64_MAX), ==, -EINVAL);
	g_assert_cmpint(node->class->write_zeroes(node, UINT64_MAX, 512, false), ==, -EINVAL);
	g_assert_cmpint(read_at(node, SIZE, buf, 0), ==, 0);
	g_assert_cmpint(node->class->discard(node, SIZE, 0), ==, 0);
}

static void test_readonly(struct fixture *f, const void *data)
{
	autoptr(block_node) node = open_ok(f->path, true);
	uint8_t buf[512] = { 1 };

	(void)data;
	g_assert_true(node->readonly);
	g_assert_false(node->can_discard);
	g_assert_cmpint(write_at(node, 0, buf, 512), ==, -EROFS);
	g_assert_cmpint(node->class->discard(node, 0, 512), ==, -EROFS);
	g_assert_cmpint(node->class->write_zeroes(node, 0, 512, true), ==, -EROFS);
	g_assert_cmpint(node->class->flush(node), ==, 0);
	g_assert_cmpint(read_at(node, 0, buf, 512), ==, 0);
	g_assert_cmpint(buf[0], ==, 0);
}

/* A file somebody cut short: an error, not stale bytes and not an endless loop. */
static void test_shrunk(struct fixture *f, const void *data)
{
	autoptr(block_node) node = open_ok(f->path, false);
	uint8_t buf[1024];

	(void)data;
	g_assert_cmpint(truncate(f->path, 512), ==, 0);
	g_assert_cmpint(read_at(node, 0, buf, 1024), ==, -EIO);
	g_assert_cmpint(read_at(node, 0, buf, 512), ==, 0);
}

/* More ranges than one system call takes, ranges of odd lengths and of none. */
static void test_many_ranges(struct fixture *f, const void *data)
{
	autoptr(block_node) node = open_ok(f->path, false);
	unsigned n = 3 * IOV_MAX;
	g_autofree struct iovec *iov = g_new0(struct iovec, n);
	g_autofree uint8_t *out = g_malloc(SIZE), *in = g_malloc0(SIZE);
	size_t pos = 0;

	(void)data;
	for (size_t i = 0; i < SIZE; i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	for (unsigned i = 0; i < n; i++) {
		size_t len = i % 5 == 0 ? 0 : i % 97;

		iov[i] = (struct iovec){ out + pos, len };
		pos += len;
	}
	g_assert_cmpint(node->class->writev(node, 512, iov, (int)n), ==, 0);
	g_assert_cmpint(read_at(node, 512, in, pos), ==, 0);
	g_assert_cmpmem(in, pos, out, pos);
	memset(in, 0, SIZE);
	for (unsigned i = 0; i < n; i++)
		iov[i].iov_base = in + ((uint8_t *)iov[i].iov_base - out);
	g_assert_cmpint(node->class->readv(node, 512, iov, (int)n), ==, 0);
	g_assert_cmpmem(in, pos, out, pos);
	g_assert_cmpint(node->class->readv(node, 512, iov, 0), ==, 0);
	g_assert_cmpint(node->class->flush(node), ==, 0);
}

static void check_hole(struct block_node *node, uint64_t offset, uint64_t len)
{
	g_autofree uint8_t *buf = g_malloc(SIZE);

	g_assert_cmpint(read_at(node, 0, buf, SIZE), ==, 0);
	for (uint64_t i = 0; i < SIZE; i++)
		if (buf[i] != (i >= offset && i - offset < len ? 0 : 0xee))
			g_error("byte %" G_GUINT64_FORMAT " is %#x", i, buf[i]);
}

static void test_zeroes(struct fixture *f, const void *data)
{
	autoptr(block_node) node = open_ok(f->path, false);
	g_autofree uint8_t *full = g_malloc(SIZE);
	struct stat st;

	(void)data;
	memset(full, 0xee, SIZE);
	for (unsigned may_unmap = 0; may_unmap < 2; may_unmap++) {
		g_assert_cmpint(write_at(node, 0, full, SIZE), ==, 0);
		g_assert_cmpint(node->class->write_zeroes(node, 1024, 200 * 1024 + 512, may_unmap), ==, 0);
		check_hole(node, 1024, 200 * 1024 + 512);
	}
	/* to the last byte, and the file keeps its size */
	g_assert_cmpint(write_at(node, 0, full, SIZE), ==, 0);
	g_assert_cmpint(node->class->write_zeroes(node, SIZE - 512, 512, true), ==, 0);
	check_hole(node, SIZE - 512, 512);
	g_assert_cmpint(node->class->discard(node, 0, SIZE), ==, 0);
	g_assert_cmpint(stat(f->path, &st), ==, 0);
	g_assert_cmpint(st.st_size, ==, SIZE);
}

/* Random reads and writes beside a copy in memory. */
static void test_random(struct fixture *f, const void *data)
{
	autoptr(block_node) node = open_ok(f->path, false);
	g_autofree uint8_t *model = g_malloc0(SIZE), *buf = g_malloc(SIZE);

	(void)data;
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t offset = (uint64_t)g_test_rand_int_range(0, SIZE / 512) * 512;
		size_t len = (size_t)g_test_rand_int_range(0, (gint32)MIN(64, (SIZE - offset) / 512) + 1) * 512;

		switch (i % 3) {
		case 0:
			memset(buf, (int)i, len);
			memcpy(model + offset, buf, len);
			g_assert_cmpint(write_at(node, offset, buf, len), ==, 0);
			break;
		case 1:
			memset(model + offset, 0, len);
			g_assert_cmpint(node->class->write_zeroes(node, offset, len, i % 2), ==, 0);
			break;
		default:
			g_assert_cmpint(read_at(node, offset, buf, len), ==, 0);
			g_assert_cmpmem(buf, len, model + offset, len);
		}
	}
	g_assert_cmpint(read_at(node, 0, buf, SIZE), ==, 0);
	g_assert_cmpmem(buf, SIZE, model, SIZE);
}

static void test_shape(struct fixture *f, const void *data)
{
	autoptr(block_node) node = open_ok(f->path, false);

	(void)data;
	g_assert_cmpuint(node->size, ==, SIZE);
	g_assert_cmpuint(node->block_size, ==, 512);
	g_assert_cmpstr(node->name, ==, f->path);
	g_assert_cmpstr(node->class->name, ==, "raw");
	g_assert_false(node->readonly);
}

#define ADD(path, test) g_test_add("/block-raw/" path, struct fixture, NULL, set_up, test, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("refusals", test_refusals);
	ADD("locks", test_locks);
	ADD("ranges", test_ranges);
	ADD("readonly", test_readonly);
	ADD("shrunk", test_shrunk);
	ADD("shape", test_shape);
	ADD("many-ranges", test_many_ranges);
	ADD("zeroes", test_zeroes);
	ADD("random", test_random);
	return g_test_run();
}
