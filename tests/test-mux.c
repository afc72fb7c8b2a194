/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/byte-ring.h"
#include "console/chardev-private.h"
#include "console/log-file.h"
#include "console/mux.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/model/stats-page.h"
#include "core/model/vm-config.h"

#define RING 4096u

struct fixture {
	GMainContext *context;
	struct chardev *mux;
	GString *received;
	size_t room; /* what the guest's receiver still takes */
	unsigned breaks, n_connected, n_disconnected;
	char *dir, *path;
};

/* --- the guest's side --- */

static size_t receive(void *opaque, const uint8_t *data, size_t len)
{
	struct fixture *f = opaque;
	size_t taken = MIN(len, f->room);

	g_string_append_len(f->received, (const char *)data, (gssize)taken);
	f->room -= taken;
	return taken;
}

static void take_break(void *opaque)
{
	((struct fixture *)opaque)->breaks++;
}

static void take_connected(void *opaque, bool connected)
{
	struct fixture *f = opaque;

	if (connected)
		f->n_connected++;
	else
		f->n_disconnected++;
}

static const struct chardev_client client = {
	.receive = receive,
	.send_break = take_break,
	.connected = take_connected,
};

static void put(struct fixture *f, const char *text)
{
	chardev_write(f->mux, (const uint8_t *)text, strlen(text));
}

/* --- the host's side --- */

static void make_mux(struct fixture *f, size_t ring, struct chardev *backend, const struct mux_log *log)
{
	g_autoptr(GError) err = NULL;

	f->mux = mux_new(f->context, ring, backend, log, &err);
	g_assert_no_error(err);
	chardev_set_client(f->mux, &client, f);
}

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->context = g_main_context_new();
	f->received = g_string_new(NULL);
	f->room = SIZE_MAX;
	f->dir = g_dir_make_tmp("lodge-mux-XXXXXX", NULL);
	g_assert_nonnull(f->dir);
	f->path = g_build_filename(f->dir, "log", NULL);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_clear_pointer(&f->mux, chardev_free);
	for (int i = -1; i < 5; i++) {
		g_autofree char *path = i < 0 ? g_strdup(f->path) : g_strdup_printf("%s.%d", f->path, i);

		g_unlink(path);
	}
	g_assert_cmpint(g_rmdir(f->dir), ==, 0);
	g_free(f->path);
	g_free(f->dir);
	g_string_free(f->received, TRUE);
	g_main_context_unref(f->context);
}

/* Runs the loop until the condition holds; the harness ends a test that waits in vain. */
#define WAIT_UNTIL(f, condition) \
	do { \
		while (!(condition)) \
			g_main_context_iteration((f)->context, TRUE); \
	} while (0)

static void run_ready(struct fixture *f)
{
	while (g_main_context_iteration(f->context, FALSE))
		;
}

static int attach(struct fixture *f, unsigned flags)
{
	g_autoptr(GError) err = NULL;
	int fd = mux_attach(f->mux, flags, &err);

	g_assert_no_error(err);
	g_assert_cmpint(fd, >=, 0);
	return fd;
}

static void refused(struct fixture *f, unsigned flags)
{
	g_autoptr(GError) err = NULL;

	g_assert_cmpint(mux_attach(f->mux, flags, &err), ==, -1);
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_STATE);
}

/* Reads, the loop running, until what came ends with want or the stream has ended. */
static char *read_until(struct fixture *f, int fd, const char *want)
{
	GString *got = g_string_new(NULL);
	char buf[4096];

	while (!want || !g_str_has_suffix(got->str, want)) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n > 0)
			g_string_append_len(got, buf, n);
		else if (n == 0 || errno != EAGAIN)
			break;
		else
			g_main_context_iteration(f->context, FALSE);
	}
	return g_string_free(got, FALSE);
}

static void expect(struct fixture *f, int fd, const char *want)
{
	g_autofree char *got = read_until(f, fd, want);

	g_assert_cmpstr(got, ==, want);
}

static void type(int fd, const char *text)
{
	g_assert_cmpint(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, (ssize_t)strlen(text));
}

/* --- ring --- */

static void test_ring(void)
{
	struct byte_ring ring = { .max = 10000 };
	uint8_t data[10000], got[10000];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	g_assert_cmpuint(byte_ring_copy(&ring, 0, got, 10), ==, 0);
	g_assert_cmpuint(byte_ring_put(&ring, data, 10), ==, 0);
	g_assert_cmpuint(ring.cap, ==, 4096);
	g_assert_cmpuint(byte_ring_take(&ring, got, 4), ==, 4);
	g_assert_cmpuint(byte_ring_put(&ring, data + 10, 5000), ==, 0);
	g_assert_cmpuint(ring.cap, ==, 8192);
	g_assert_cmpuint(byte_ring_copy(&ring, 1, got, sizeof(got)), ==, 5005);
	g_assert_cmpmem(got, 5005, data + 5, 5005);
	/* wraps, grows while wrapped, and stops at its limit */
	g_assert_cmpuint(byte_ring_take(&ring, got, 5000), ==, 5000);
	g_assert_cmpuint(byte_ring_put(&ring, data, 8000), ==, 0);
	g_assert_cmpuint(byte_ring_put(&ring, data, 1000), ==, 0);
	g_assert_cmpuint(ring.cap, ==, 10000);
	g_assert_cmpuint(byte_ring_put(&ring, data, 9000), ==, 8006);
	g_assert_cmpuint(byte_ring_copy(&ring, 1000, got, 9000), ==, 9000);
	g_assert_cmpmem(got, 9000, data, 9000);
	g_assert_cmpuint(byte_ring_put(&ring, data, 10000), ==, 10000);
	g_assert_cmpuint(byte_ring_take(&ring, got, 10000), ==, 10000);
	g_assert_cmpmem(got, 10000, data, 10000);
	byte_ring_clear(&ring);
	g_assert_null(ring.data);
	ring.max = 100;
	g_assert_cmpuint(byte_ring_put(&ring, data, 150), ==, 50);
	g_assert_cmpuint(ring.cap, ==, 100);
	byte_ring_clear(&ring);
}

/* --- who may attach --- */

static void test_refusals(struct fixture *f, gconstpointer data)
{
	auto_fd int writer = -1, viewer = -1, other = -1;

	(void)data;
	make_mux(f, RING, NULL, NULL);
	g_assert_false(mux_has_writer(f->mux));
	writer = attach(f, 0);
	g_assert_true(mux_has_writer(f->mux));
	refused(f, 0);
	refused(f, MUX_SAFE);
	viewer = attach(f, MUX_READONLY);
	g_assert_cmpuint(mux_viewers(f->mux), ==, 2);
	refused(f, MUX_READONLY | MUX_SAFE);
	/* one that has gone is in nobody's way, even before the loop has seen it */
	fd_close(&writer);
	other = attach(f, 0);
	g_assert_cmpuint(mux_viewers(f->mux), ==, 2);
	fd_close(&viewer);
	fd_close(&other);
	WAIT_UNTIL(f, mux_viewers(f->mux) == 0);
	writer = attach(f, MUX_SAFE);
}

static void test_log_refused(struct fixture *f, gconstpointer data)
{
	g_autofree char *path = g_build_filename(f->dir, "missing", "log", NULL);
	struct mux_log log = { .path = path };
	g_autoptr(GError) err = NULL;

	(void)data;
	g_assert_null(mux_new(f->context, RING, chardev_new_null(), &log, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_SYSTEM);
	g_clear_error(&err);
	log.path = f->dir;
	g_assert_null(mux_new(f->context, RING, NULL, &log, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_SYSTEM);
}

static void test_port_refused(struct fixture *f, gconstpointer data)
{
	autoptr(vm_port_config) port = vm_port_config_new();
	g_autoptr(GError) err = NULL;

	(void)data;
	port->alias = g_strdup("serial0");
	port->kind = VM_PORT_FILE;
	g_assert_null(mux_new_port(f->context, port, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_clear_error(&err);
	port->kind = VM_PORT_UNIX;
	port->path = g_build_filename(f->dir, "nobody", NULL);
	g_assert_null(mux_new_port(f->context, port, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_SYSTEM);
	g_assert_true(g_str_has_prefix(err->message, "serial0: "));
	g_clear_error(&err);
	port->kind = VM_N_PORT_KINDS;
	g_assert_null(mux_new_port(f->context, port, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED);
	g_clear_error(&err);
	port->kind = VM_PORT_NULL;
	f->mux = mux_new_port(f->context, port, &err);
	g_assert_no_error(err);
	g_assert_null(chardev_path(f->mux));
}

static void test_force(struct fixture *f, gconstpointer data)
{
	auto_fd int first = -1, second = -1, third = -1;
	g_autofree char *last = NULL;

	(void)data;
	make_mux(f, RING, NULL, NULL);
	first = attach(f, 0);
	third = attach(f, MUX_READONLY);
	second = attach(f, MUX_FORCE);
	last = read_until(f, first, NULL);
	g_assert_nonnull(strstr(last, "another session"));
	type(second, "mine");
	WAIT_UNTIL(f, f->received->len == 4);
	g_assert_cmpuint(mux_viewers(f->mux), ==, 2);
	/* with --safe nobody else stays */
	fd_close(&first);
	first = attach(f, MUX_FORCE | MUX_SAFE);
	g_assert_cmpuint(mux_viewers(f->mux), ==, 1);
	put(f, "alone");
	expect(f, first, "alone");
}

/* --- output --- */

static void test_replay(struct fixture *f, gconstpointer data)
{
	auto_fd int first = -1, second = -1, third = -1;
	uint8_t tail[4];

	(void)data;
	make_mux(f, RING, NULL, NULL);
	put(f, "before ");
	first = attach(f, 0);
	expect(f, first, "before ");
	put(f, "both ");
	expect(f, first, "both ");
	second = attach(f, MUX_READONLY);
	third = attach(f, MUX_READONLY | MUX_NO_REPLAY);
	put(f, "all");
	expect(f, first, "all");
	expect(f, second, "before both all");
	expect(f, third, "all");
	/* left and joined again */
	fd_close(&first);
	first = attach(f, 0);
	expect(f, first, "before both all");
	g_assert_cmpuint(mux_tail(f->mux, tail, sizeof(tail)), ==, 4);
	g_assert_cmpmem(tail, 4, " all", 4);
}

/* The last words reach those who are still there when the VM ends. */
static void test_last_words(struct fixture *f, gconstpointer data)
{
	auto_fd int fd = -1;
	g_autofree char *got = NULL;

	(void)data;
	make_mux(f, RING, NULL, NULL);
	fd = attach(f, 0);
	put(f, "good");
	expect(f, fd, "good");
	put(f, "bye");
	g_clear_pointer(&f->mux, chardev_free);
	got = read_until(f, fd, NULL);
	g_assert_cmpstr(got, ==, "bye");
}

/* Adds up what the notices in text say, and takes them out. */
static uint64_t take_notices(GString *text)
{
	static const char begin[] = "\r\n[lodge: ", end[] = " bytes lost]\r\n";
	uint64_t lost = 0;
	const char *at;

	while ((at = strstr(text->str, begin))) {
		char *rest;

		lost += g_ascii_strtoull(at + strlen(begin), &rest, 10);
		g_assert_true(g_str_has_prefix(rest, end));
		g_string_erase(text, at - text->str, rest + strlen(end) - at);
	}
	return lost;
}

/*
 * 64 MiB past viewers who do not read, and a log: nobody waits, the ring stays what it is, and who was slow is told how
 * much he missed.
 */
static void test_flood(struct fixture *f, gconstpointer data)
{
	const size_t total = 64u << 20;
	const struct mux_log log = { .path = f->path, .max_size = 1 << 20, .keep = 2 };
	auto_fd int slow = -1, plain = -1;
	g_autofree char *got = NULL, *bare = NULL;
	g_autoptr(GString) text = NULL;
	struct stats_port stats = { 0 };
	char block[1024];
	uint64_t lost;

	(void)data;
	make_mux(f, MUX_RING_DEFAULT, NULL, &log);
	mux_set_stats(f->mux, &stats);
	slow = attach(f, 0);
	plain = attach(f, MUX_READONLY | MUX_NO_NOTICES);
	memset(block, 'x', sizeof(block));
	block[sizeof(block) - 1] = '\n';
	for (size_t i = 0; i < total / sizeof(block); i++) {
		chardev_write(f->mux, (const uint8_t *)block, sizeof(block));
		if (i % 64 == 0)
			g_main_context_iteration(f->context, FALSE);
	}
	g_assert_cmpuint(stats_get(&stats.out_bytes), ==, total);
	put(f, "the end");
	got = read_until(f, slow, "the end");
	text = g_string_new(got);
	lost = take_notices(text);
	g_assert_cmpuint(lost, >, total / 2);
	g_assert_cmpuint(text->len + lost, ==, total + strlen("the end"));
	bare = read_until(f, plain, "the end");
	g_assert_null(strstr(bare, "lodge"));
	g_assert_cmpuint(chardev_lost(f->mux), >=, lost + total - strlen(bare));
	g_assert_cmpuint(stats_get(&stats.lost_bytes), ==, chardev_lost(f->mux));
}

/* Written to from another thread all the time; whoever keeps up gets every byte in order. */
static void *writer_thread(void *opaque)
{
	for (unsigned i = 0; i < 20000; i++) {
		g_autofree char *text = g_strdup_printf("%u\n", i);

		chardev_write(opaque, (const uint8_t *)text, strlen(text));
	}
	chardev_write(opaque, (const uint8_t *)"end", 3);
	return NULL;
}

static void test_threads(struct fixture *f, gconstpointer data)
{
	g_autoptr(GString) want = g_string_new(NULL);
	auto_fd int fd = -1;
	GThread *thread;

	(void)data;
	make_mux(f, 1 << 20, NULL, NULL);
	fd = attach(f, 0);
	for (unsigned i = 0; i < 20000; i++)
		g_string_append_printf(want, "%u\n", i);
	g_string_append(want, "end");
	thread = g_thread_new("writer", writer_thread, f->mux);
	expect(f, fd, want->str);
	g_thread_join(thread);
}

static void test_tail(struct fixture *f, gconstpointer data)
{
	struct stats_page *page = g_new0(struct stats_page, 1);
	g_autoptr(GPtrArray) lines = NULL;

	(void)data;
	make_mux(f, RING, NULL, NULL);
	mux_set_tail(f->mux, page);
	put(f, "first\r\nKernel panic\r\n");
	lines = stats_tail_lines(page, 1);
	g_assert_cmpuint(lines->len, ==, 1);
	g_assert_cmpstr(g_ptr_array_index(lines, 0), ==, "Kernel panic");
	g_free(page);
}

/* --- input --- */

static void test_input(struct fixture *f, gconstpointer data)
{
	auto_fd int writer = -1, viewer = -1;
	struct stats_port stats = { 0 };

	(void)data;
	make_mux(f, RING, NULL, NULL);
	mux_set_stats(f->mux, &stats);
	writer = attach(f, 0);
	viewer = attach(f, MUX_READONLY);
	type(viewer, "nothing");
	type(writer, "keys");
	WAIT_UNTIL(f, f->received->len >= 4);
	run_ready(f);
	g_assert_cmpstr(f->received->str, ==, "keys");
	g_assert_cmpuint(stats_get(&stats.in_bytes), ==, 4);
	g_assert_cmpuint(stats_get(&stats.viewers), ==, 2);
	g_assert_cmpuint(stats_get(&stats.writers), ==, 1);
	mux_send_break(f->mux);
	g_assert_cmpuint(f->breaks, ==, 1);
}

/* A device that is full is not asked again until it says so, and nothing is lost. */
static void test_back_pressure(struct fixture *f, gconstpointer data)
{
	auto_fd int fd = -1;

	(void)data;
	make_mux(f, RING, NULL, NULL);
	fd = attach(f, 0);
	f->room = 3;
	type(fd, "abcdefgh");
	WAIT_UNTIL(f, f->received->len == 3);
	run_ready(f);
	g_assert_cmpstr(f->received->str, ==, "abc");
	f->room = 2;
	chardev_accept_input(f->mux);
	WAIT_UNTIL(f, f->received->len == 5);
	run_ready(f);
	f->room = SIZE_MAX;
	chardev_accept_input(f->mux);
	WAIT_UNTIL(f, f->received->len == 8);
	g_assert_cmpstr(f->received->str, ==, "abcdefgh");
	type(fd, "i");
	WAIT_UNTIL(f, f->received->len == 9);
}

/* `echo command | lodge console`: the user is gone before the guest has taken it all. */
static void test_left_behind(struct fixture *f, gconstpointer data)
{
	g_autofree char *text = g_strnfill(10000, 'k');
	auto_fd int fd = -1, next = -1;

	(void)data;
	make_mux(f, RING, NULL, NULL);
	fd = attach(f, 0);
	f->room = 10;
	type(fd, text);
	fd_close(&fd);
	WAIT_UNTIL(f, f->received->len == 10);
	run_ready(f);
	g_assert_cmpuint(mux_viewers(f->mux), ==, 0);
	/* the next writer comes in at once, and after it */
	next = attach(f, 0);
	f->room = SIZE_MAX;
	chardev_accept_input(f->mux);
	WAIT_UNTIL(f, f->received->len == 10000);
	type(next, "n");
	WAIT_UNTIL(f, f->received->len == 10001);
}

static void test_connected(struct fixture *f, gconstpointer data)
{
	auto_fd int first = -1, second = -1;

	(void)data;
	make_mux(f, RING, NULL, NULL);
	g_assert_false(chardev_is_connected(f->mux));
	first = attach(f, MUX_READONLY);
	second = attach(f, 0);
	g_assert_true(chardev_is_connected(f->mux));
	fd_close(&first);
	WAIT_UNTIL(f, mux_viewers(f->mux) == 1);
	g_assert_cmpuint(f->n_disconnected, ==, 0);
	fd_close(&second);
	WAIT_UNTIL(f, f->n_disconnected == 1);
	g_assert_cmpuint(f->n_connected, ==, 1);
}

/* --- the back end beside those who attach --- */

static void test_backend(struct fixture *f, gconstpointer data)
{
	g_autofree char *path = g_build_filename(f->dir, "socket", NULL);
	auto_fd int viewer = -1;
	struct chardev *other;
	g_autoptr(GError) err = NULL;

	(void)data;
	make_mux(f, RING, chardev_new_unix(f->context, path, NULL), NULL);
	g_assert_cmpstr(chardev_path(f->mux), ==, path);
	put(f, "early ");
	viewer = attach(f, 0);
	expect(f, viewer, "early ");
	/* a chardev that connects: its own output is our input */
	other = chardev_new_unix_connect(f->context, path, 0, &err);
	g_assert_no_error(err);
	chardev_write(other, (const uint8_t *)"keys", 4);
	WAIT_UNTIL(f, f->received->len == 4);
	put(f, "late");
	expect(f, viewer, "late");
	chardev_free(other);
	WAIT_UNTIL(f, !chardev_is_connected(f->mux) || mux_viewers(f->mux) == 1);
}

static void test_backend_replay(struct fixture *f, gconstpointer data)
{
	g_autofree char *path = g_build_filename(f->dir, "out", NULL);
	g_autofree char *text = NULL;
	struct chardev *file = chardev_new_file_truncated(f->context, path, NULL);

	(void)data;
	g_assert_nonnull(file);
	make_mux(f, RING, file, NULL);
	put(f, "one ");
	put(f, "two");
	g_clear_pointer(&f->mux, chardev_free);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "one two");
	g_unlink(path);
}

/* --- the log --- */

static int64_t fixed_time(void)
{
	return INT64_C(1795232142123456); /* 2026-11-21T03:35:42.123456Z */
}

static char *contents(const char *path)
{
	char *text = NULL;

	g_file_get_contents(path, &text, NULL, NULL);
	return text;
}

static void test_log(struct fixture *f, gconstpointer data)
{
	const struct mux_log log = { .path = f->path, .append = true };
	g_autofree char *text = NULL;

	(void)data;
	g_assert_true(g_file_set_contents(f->path, "old\n", -1, NULL));
	make_mux(f, RING, NULL, &log);
	put(f, "new\n");
	g_clear_pointer(&f->mux, chardev_free);
	text = contents(f->path);
	g_assert_cmpstr(text, ==, "old\nnew\n");
}

static void test_log_times(struct fixture *f, gconstpointer data)
{
	const struct mux_log how = { .path = f->path, .timestamps = true };
	struct log_file *log = log_file_new(&how, NULL);
	g_autofree char *text = NULL;

	(void)data;
	log_file_set_clock(log, fixed_time);
	log_file_write(log, (const uint8_t *)"one\ntw", 6);
	log_file_write(log, (const uint8_t *)"o\n\n", 3);
	log_file_free(log);
	text = contents(f->path);
	g_assert_cmpstr(text, ==,
			"2026-11-21T03:35:42.123Z one\n2026-11-21T03:35:42.123Z two\n2026-11-21T03:35:42.123Z \n");
}

static void test_log_rotation(struct fixture *f, gconstpointer data)
{
	const struct mux_log how = { .path = f->path, .max_size = 8, .keep = 2 };
	g_autofree char *zero = g_strconcat(f->path, ".0", NULL), *one = g_strconcat(f->path, ".1", NULL),
			*two = g_strconcat(f->path, ".2", NULL), *text = NULL, *text0 = NULL, *text1 = NULL;
	struct log_file *log = log_file_new(&how, NULL);

	(void)data;
	log_file_write(log, (const uint8_t *)"aaaa", 4);
	log_file_write(log, (const uint8_t *)"bbbb", 4);
	g_assert_false(g_file_test(zero, G_FILE_TEST_EXISTS));
	log_file_write(log, (const uint8_t *)"cccccccccccc", 12);
	log_file_write(log, (const uint8_t *)"d", 1);
	log_file_write(log, (const uint8_t *)"eeeeeeee", 8);
	log_file_free(log);
	text = contents(f->path);
	text0 = contents(zero);
	text1 = contents(one);
	g_assert_cmpstr(text, ==, "eeeeeeee");
	g_assert_cmpstr(text0, ==, "d");
	g_assert_cmpstr(text1, ==, "cccccccccccc");
	g_assert_false(g_file_test(two, G_FILE_TEST_EXISTS));
}

static void add(const char *name, void (*test)(struct fixture *f, gconstpointer data))
{
	g_autofree char *path = g_strdup_printf("/mux/%s", name);

	g_test_add(path, struct fixture, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/mux/ring", test_ring);
	add("refusals", test_refusals);
	add("log/refused", test_log_refused);
	add("port/refused", test_port_refused);
	add("force", test_force);
	add("replay", test_replay);
	add("last-words", test_last_words);
	add("flood", test_flood);
	add("threads", test_threads);
	add("tail", test_tail);
	add("input", test_input);
	add("back-pressure", test_back_pressure);
	add("left-behind", test_left_behind);
	add("connected", test_connected);
	add("backend", test_backend);
	add("backend/replay", test_backend_replay);
	add("log/plain", test_log);
	add("log/times", test_log_times);
	add("log/rotation", test_log_rotation);
	return g_test_run();
}
