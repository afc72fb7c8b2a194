/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "vmm/memory.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct memory *new_memory(uint64_t size)
{
	g_autoptr(GError) err = NULL;
	struct memory *mem = memory_new(size, &err);

	g_assert_no_error(err);
	g_assert_nonnull(mem);
	return mem;
}

static void test_bad_sizes(void)
{
	static const uint64_t sizes[] = { 0, 1, 4096, MIB - 4096, MIB + 1, 64 * MIB + 2048, UINT64_MAX };

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GError) err = NULL;

		g_assert_null(memory_new(sizes[i], &err));
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	}
}

static void test_too_large(void)
{
	static const uint64_t sizes[] = { UINT64_C(1) << 41, UINT64_C(1) << 62, UINT64_MAX - 4095 };

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GError) err = NULL;

		g_assert_null(memory_new(sizes[i], &err));
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_SYSTEM);
		g_assert_nonnull(strstr(err->message, "iB"));
	}
}

/* A file size limit must be an error, not SIGXFSZ. */
static void test_file_size_limit(void)
{
	g_autoptr(GError) err = NULL;
	struct rlimit saved, tight;

	g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &saved), ==, 0);
	tight = saved;
	tight.rlim_cur = MIN(saved.rlim_max, 8 * MIB);
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &tight), ==, 0);
	g_assert_null(memory_new(64 * MIB, &err));
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &saved), ==, 0);
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_SYSTEM);
}

static void test_layout(void)
{
	static const struct {
		uint64_t size, low, top;
		size_t n_slots;
	} rows[] = {
		{ MIB, MIB, 4 * GIB, 1 },
		{ 2 * GIB, 2 * GIB, 4 * GIB, 1 },
		{ 2 * GIB + 4096, 2 * GIB, 4 * GIB + 4096, 2 },
		{ 5 * GIB, 2 * GIB, 7 * GIB, 2 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		autoptr(memory) mem = new_memory(rows[i].size);
		const struct memory_slot *slots;
		size_t n;

		g_assert_cmpuint(memory_size(mem), ==, rows[i].size);
		g_assert_cmpuint(memory_low_size(mem), ==, rows[i].low);
		g_assert_cmpuint(memory_top(mem), ==, rows[i].top);
		slots = memory_slots(mem, &n);
		g_assert_cmpuint(n, ==, rows[i].n_slots);
		g_assert_cmpuint(slots[0].gpa, ==, 0);
		g_assert_cmpuint(slots[0].size, ==, rows[i].low);
		if (n > 1) {
			g_assert_cmpuint(slots[1].gpa, ==, 4 * GIB);
			g_assert_true(slots[1].host == slots[0].host + slots[0].size);
			g_assert_true(slots[1].page_flags == slots[0].page_flags + slots[0].size / MEMORY_PAGE_SIZE);
		}
	}
}

/*
 * The host gives pages only when they are used, and nobody who holds the descriptor can shrink the file under the
 * mapping.
 */
static void test_backing(void)
{
	autoptr(memory) mem = new_memory(GIB);
	struct stat st;

	g_assert_cmpint(fstat(memory_fd(mem), &st), ==, 0);
	g_assert_cmpint(st.st_size, ==, GIB);
	g_assert_cmpint(st.st_blocks, ==, 0);
	g_assert_cmpint(ftruncate(memory_fd(mem), 0), ==, -1);
	g_assert_cmpint(errno, ==, EPERM);
	g_assert_true(memory_store32(mem, GIB / 2, 1));
	g_assert_cmpint(fstat(memory_fd(mem), &st), ==, 0);
	g_assert_cmpint(st.st_blocks * 512, >=, 4096);
	g_assert_cmpint(st.st_blocks * 512, <=, 4 * (gint64)MIB);
}

static void test_ranges_refused(void)
{
	autoptr(memory) mem = new_memory(2 * GIB + MIB);
	static const struct {
		uint64_t gpa;
		size_t len;
	} rows[] = {
		{ 2 * GIB, 1 },
		{ 2 * GIB - 1, 2 },
		{ 4 * GIB - 1, 1 },
		{ 4 * GIB - 1, 2 },
		{ 4 * GIB + MIB, 1 },
		{ 4 * GIB + MIB - 7, 8 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 3, 8 },
		{ 0, SIZE_MAX },
		{ 4096, SIZE_MAX - 4095 },
		{ 4 * GIB, SIZE_MAX },
	};
	uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct iovec iov[8];

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		size_t n = 3;

		g_assert_false(memory_read(mem, rows[i].gpa, buf, rows[i].len));
		g_assert_cmpuint(buf[0], ==, 1);
		g_assert_false(memory_write(mem, rows[i].gpa, buf, rows[i].len));
		g_assert_false(memory_fill(mem, rows[i].gpa, 0xff, rows[i].len));
		g_assert_false(memory_iov(mem, rows[i].gpa, rows[i].len, false, iov, G_N_ELEMENTS(iov), &n));
		g_assert_cmpuint(n, ==, 3);
	}
	g_assert_true(memory_read(mem, 2 * GIB - 1, buf, 1));
	g_assert_cmpuint(buf[0], ==, 0); /* a refused write wrote nothing */
	g_assert_true(memory_read(mem, UINT64_MAX, buf, 0));
	g_assert_null(memory_find(mem, 2 * GIB));
	g_assert_null(memory_find(mem, UINT64_MAX));
	g_assert_cmpuint(memory_find(mem, 4 * GIB)->gpa, ==, 4 * GIB);
}

static void test_read_write(void)
{
	autoptr(memory) mem = new_memory(2 * GIB + MIB);
	uint8_t out[5000], in[5000];

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + 1);
	g_assert_true(memory_write(mem, 0xffd, out, sizeof(out)));
	g_assert_true(memory_read(mem, 0xffd, in, sizeof(in)));
	g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
	g_assert_true(memory_write(mem, 4 * GIB + MIB - sizeof(out), out, sizeof(out)));
	g_assert_true(memory_read(mem, 4 * GIB + MIB - sizeof(out), in, sizeof(in)));
	g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
	g_assert_true(memory_fill(mem, 0xffe, 0xa5, 4));
	g_assert_true(memory_read(mem, 0xffd, in, 6));
	g_assert_cmpuint(in[0], ==, out[0]);
	g_assert_cmpuint(in[1], ==, 0xa5);
	g_assert_cmpuint(in[4], ==, 0xa5);
	g_assert_cmpuint(in[5], ==, out[5]);
}

static void test_words(void)
{
	autoptr(memory) mem = new_memory(MIB);
	uint8_t bytes[8] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	g_assert_false(memory_load16(mem, 1, &v16));
	g_assert_false(memory_load32(mem, 2, &v32));
	g_assert_false(memory_load64(mem, 4, &v64));
	g_assert_false(memory_store64(mem, 12, 0));
	g_assert_false(memory_load16(mem, MIB, &v16));
	g_assert_false(memory_store32(mem, UINT64_MAX - 3, 0));
	g_assert_true(memory_write(mem, 8, bytes, 8));
	g_assert_true(memory_load16(mem, 10, &v16));
	g_assert_cmphex(v16, ==, 0x4433);
	g_assert_true(memory_load32(mem, 12, &v32));
	g_assert_cmphex(v32, ==, 0x88776655);
	g_assert_true(memory_load64(mem, 8, &v64));
	g_assert_cmphex(v64, ==, UINT64_C(0x8877665544332211));
	g_assert_true(memory_store16(mem, 8, 0xbeef));
	g_assert_true(memory_store32(mem, 12, 0x01020304));
	g_assert_true(memory_load64(mem, 8, &v64));
	g_assert_cmphex(v64, ==, UINT64_C(0x010203044433beef));
	g_assert_true(memory_store64(mem, MIB - 8, 5));
	g_assert_true(memory_load64(mem, MIB - 8, &v64));
	g_assert_cmphex(v64, ==, 5);
}

static void refuse_rom(struct memory *mem, uint64_t gpa, size_t size)
{
	g_autoptr(GError) err = NULL;
	uint8_t data[3 * MEMORY_PAGE_SIZE] = { 0 };

	g_assert_false(memory_add_rom(mem, gpa, data, size, &err));
	g_assert_nonnull(err);
}

static void test_rom(void)
{
	autoptr(memory) mem = new_memory(2 * GIB + MIB);
	g_autoptr(GError) err = NULL;
	uint8_t data[MEMORY_PAGE_SIZE + 1], buf[2 * MEMORY_PAGE_SIZE];
	const struct memory_slot *slots;
	struct iovec iov[2];
	size_t n = 0;
	uint16_t v16;

	memset(data, 0x5a, sizeof(data));
	refuse_rom(mem, 2 * GIB + 1, 16);
	refuse_rom(mem, 3 * GIB, 0);
	refuse_rom(mem, 0, 16);
	refuse_rom(mem, 4 * GIB - 4096, 4097);
	refuse_rom(mem, 4 * GIB + MIB - 4096, 16);
	refuse_rom(mem, UINT64_MAX - 4095, 16);

	g_assert_true(memory_add_rom(mem, 4 * GIB - 8192, data, sizeof(data), &err));
	g_assert_no_error(err);
	refuse_rom(mem, 4 * GIB - 4096, 16);
	refuse_rom(mem, 4 * GIB - 12288, 8192);
	g_assert_true(memory_add_rom(mem, 8 * GIB, data, 16, &err));
	g_assert_true(memory_add_rom(mem, 2 * GIB, data, 16, &err));
	slots = memory_slots(mem, &n);
	g_assert_cmpuint(n, ==, 5);
	for (size_t i = 1; i < n; i++)
		g_assert_cmpuint(slots[i - 1].gpa + slots[i - 1].size, <=, slots[i].gpa);
	g_assert_true(slots[1].readonly);
	g_assert_null(slots[1].page_flags);

	g_assert_true(memory_read(mem, 4 * GIB - 8192, buf, 8192));
	g_assert_cmpmem(buf, sizeof(data), data, sizeof(data));
	g_assert_cmpuint(buf[sizeof(data)], ==, 0);
	g_assert_false(memory_write(mem, 4 * GIB - 1, buf, 1));
	g_assert_false(memory_store16(mem, 4 * GIB - 2, 1));
	g_assert_true(memory_load16(mem, 4 * GIB - 8192, &v16));
	g_assert_cmphex(v16, ==, 0x5a5a);

	/* From RAM into the ROM behind it: readable as one range, not writable. */
	g_assert_true(memory_fill(mem, 2 * GIB - 4, 0x11, 4));
	g_assert_true(memory_read(mem, 2 * GIB - 4, buf, 8));
	g_assert_cmphex(buf[3], ==, 0x11);
	g_assert_cmphex(buf[4], ==, 0x5a);
	g_assert_false(memory_fill(mem, 2 * GIB - 4, 0x22, 8));
	g_assert_true(memory_read(mem, 2 * GIB - 4, buf, 1));
	g_assert_cmphex(buf[0], ==, 0x11);

	n = 0;
	g_assert_false(memory_iov(mem, 2 * GIB - 4, 8, true, iov, 2, &n));
	g_assert_false(memory_iov(mem, 2 * GIB - 4, 8, false, iov, 1, &n));
	g_assert_cmpuint(n, ==, 0);
	g_assert_true(memory_iov(mem, 2 * GIB - 4, 8, false, iov, 2, &n));
	g_assert_cmpuint(n, ==, 2);
	g_assert_cmpuint(iov[0].iov_len, ==, 4);
	g_assert_cmpuint(iov[1].iov_len, ==, 4);
	g_assert_cmphex(*(const uint8_t *)iov[1].iov_base, ==, 0x5a);
	g_assert_false(memory_iov(mem, 0, 8, false, iov, 2, &n));
	g_assert_cmpuint(n, ==, 2);
}

static void log_write(void *opaque, uint64_t gpa, size_t len)
{
	GString *log = opaque;

	g_string_append_printf(log, "%" G_GINT64_MODIFIER "x+%zx ", gpa, len);
}

static void test_notify(void)
{
	autoptr(memory) mem = new_memory(2 * GIB + MIB);
	g_autoptr(GString) log = g_string_new(NULL);
	const struct memory_slot *low = memory_find(mem, 0), *high = memory_find(mem, 4 * GIB);
	uint8_t buf[4 * MEMORY_PAGE_SIZE] = { 0 };

	memory_note_write(mem, 0, sizeof(buf)); /* no listener yet */
	memory_set_listener(mem, log_write, log);
	g_assert_true(memory_write(mem, 0x1000, buf, sizeof(buf)));
	g_assert_cmpstr(log->str, ==, "");

	low->page_flags[2] = MEMORY_PAGE_CODE;
	low->page_flags[3] = MEMORY_PAGE_CLEAN;
	low->page_flags[5] = MEMORY_PAGE_CODE;
	g_assert_true(memory_write(mem, 0x1ffe, buf, 2));
	g_assert_cmpstr(log->str, ==, "");
	g_assert_true(memory_write(mem, 0x1ffe, buf, sizeof(buf)));
	g_assert_cmpstr(log->str, ==, "2000+2000 5000+ffe ");

	g_string_truncate(log, 0);
	g_assert_true(memory_store16(mem, 0x2ffe, 1));
	g_assert_true(memory_fill(mem, 0x3004, 1, 8));
	memory_note_write(mem, 0x5fff, 1);
	memory_note_write(mem, 0x6000, 1);
	g_assert_cmpstr(log->str, ==, "2ffe+2 3004+8 5fff+1 ");

	g_string_truncate(log, 0);
	high->page_flags[high->size / MEMORY_PAGE_SIZE - 1] = MEMORY_PAGE_CLEAN;
	g_assert_true(memory_fill(mem, 4 * GIB, 1, MIB));
	memory_note_write(mem, 4 * GIB + MIB - 1, 100); /* what lies outside RAM is nobody's */
	memory_note_write(mem, UINT64_MAX, SIZE_MAX);
	g_assert_cmpstr(log->str, ==, "1000ff000+1000 1000fffff+1 ");

	g_string_truncate(log, 0);
	memory_set_listener(mem, NULL, NULL);
	g_assert_true(memory_fill(mem, 4 * GIB, 1, MIB));
	g_assert_cmpstr(log->str, ==, "");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/memory/bad-sizes", test_bad_sizes);
	g_test_add_func("/memory/too-large", test_too_large);
	g_test_add_func("/memory/file-size-limit", test_file_size_limit);
	g_test_add_func("/memory/layout", test_layout);
	g_test_add_func("/memory/backing", test_backing);
	g_test_add_func("/memory/ranges-refused", test_ranges_refused);
	g_test_add_func("/memory/read-write", test_read_write);
	g_test_add_func("/memory/words", test_words);
	g_test_add_func("/memory/rom", test_rom);
	g_test_add_func("/memory/notify", test_notify);
	return g_test_run();
}
