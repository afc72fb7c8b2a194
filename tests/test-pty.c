/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "console/mux.h"
#include "core/base/error.h"
#include "core/base/fd.h"

struct fixture {
	GMainContext *context;
	struct chardev *chardev;
	GString *received; /* by the guest */
	size_t room;
	unsigned n_connected, n_disconnected;
};

static size_t receive(void *opaque, const uint8_t *data, size_t len)
{
	struct fixture *f = opaque;
	size_t taken = MIN(len, f->room);

	g_string_append_len(f->received, (const char *)data, (gssize)taken);
	f->room -= taken;
	return taken;
}

static void take_connected(void *opaque, bool connected)
{
	struct fixture *f = opaque;

	if (connected)
		f->n_connected++;
	else
		f->n_disconnected++;
}

static const struct chardev_client client = { .receive = receive, .connected = take_connected };

static void set_up(struct fixture *f, gconstpointer data)
{
	g_autoptr(GError) err = NULL;

	(void)data;
	f->context = g_main_context_new();
	f->received = g_string_new("");
	f->room = 1u << 20;
	f->chardev = chardev_new_pty(f->context, &err);
	g_assert_no_error(err);
	chardev_set_client(f->chardev, &client, f);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	chardev_free(f->chardev);
	g_string_free(f->received, TRUE);
	g_main_context_unref(f->context);
}

static int open_path(struct fixture *f)
{
	int fd = open(chardev_path(f->chardev), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	g_assert_cmpint(fd, >=, 0);
	return fd;
}

static void wait_until(struct fixture *f, const unsigned *count, unsigned n)
{
	while (*count < n)
		g_main_context_iteration(f->context, TRUE);
}

static void put(struct fixture *f, const char *text)
{
	chardev_write(f->chardev, (const uint8_t *)text, strlen(text));
}

static void wait_readable(struct fixture *f, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	do
		g_main_context_iteration(f->context, FALSE);
	while (poll(&pfd, 1, 1) == 0);
}

static void hear(struct fixture *f, int fd, const char *text)
{
	g_autofree char *got = g_malloc0(strlen(text) + 1);
	size_t n = 0;

	while (n < strlen(text)) {
		ssize_t part;

		wait_readable(f, fd);
		part = read(fd, got + n, strlen(text) - n);
		g_assert_cmpint(part, >, 0);
		n += (size_t)part;
	}
	g_assert_cmpstr(got, ==, text);
}

static void type(struct fixture *f, int fd, const char *text)
{
	g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
	while (f->received->len < strlen(text))
		g_main_context_iteration(f->context, TRUE);
	g_assert_cmpstr(f->received->str, ==, text);
	g_string_truncate(f->received, 0);
}

static void test_path(struct fixture *f, gconstpointer data)
{
	struct stat st;

	(void)data;
	g_assert_true(g_str_has_prefix(chardev_path(f->chardev), "/dev/pts/"));
	g_assert_cmpint(stat(chardev_path(f->chardev), &st), ==, 0);
	g_assert_true(S_ISCHR(st.st_mode));
	g_assert_cmphex(st.st_mode & 07, ==, 0);
	g_assert_false(chardev_is_connected(f->chardev));
}

/* Every byte as it is, both ways: none is a key of the terminal's, and nothing is echoed. */
static void test_raw(struct fixture *f, gconstpointer data)
{
	auto_fd int fd = open_path(f);

	(void)data;
	wait_until(f, &f->n_connected, 1);
	type(f, fd, "a\r\n\3\4\x11\x13\x1a\x1c\x7f\xff~");
	put(f, "b\n\r\t\xff");
	hear(f, fd, "b\n\r\t\xff");
}

static void test_comes_and_goes(struct fixture *f, gconstpointer data)
{
	auto_fd int fd = open_path(f), other = -1;
	struct termios modes;

	(void)data;
	wait_until(f, &f->n_connected, 1);
	other = open_path(f);
	fd_close(&other);
	put(f, "one");
	hear(f, fd, "one");
	g_assert_cmpuint(f->n_disconnected, ==, 0);
	/* He leaves it cooked, and with something unread. */
	put(f, "unread");
	wait_readable(f, fd);
	g_assert_cmpint(tcgetattr(fd, &modes), ==, 0);
	modes.c_lflag |= ECHO | ICANON | ISIG;
	modes.c_iflag |= ICRNL;
	g_assert_cmpint(tcsetattr(fd, TCSANOW, &modes), ==, 0);
	fd_close(&fd);
	wait_until(f, &f->n_disconnected, 1);
	g_assert_false(chardev_is_connected(f->chardev));
	fd = open_path(f);
	wait_until(f, &f->n_connected, 2);
	put(f, "two");
	hear(f, fd, "two");
	type(f, fd, "\3\r");
}

/* The guest takes nothing: it waits in the terminal, and comes whole. */
static void test_back_pressure(struct fixture *f, gconstpointer data)
{
	auto_fd int fd = open_path(f);
	size_t total = 0;

	(void)data;
	wait_until(f, &f->n_connected, 1);
	f->room = 3;
	for (unsigned i = 0; i < 3; i++) {
		g_assert_cmpint(write(fd, "0123456789", 10), ==, 10);
		total += 10;
	}
	while (f->received->len < 3)
		g_main_context_iteration(f->context, TRUE);
	f->room = 1u << 20;
	chardev_accept_input(f->chardev);
	while (f->received->len < total)
		g_main_context_iteration(f->context, TRUE);
	g_assert_cmpstr(f->received->str, ==, "012345678901234567890123456789");
}

/* A reader who does not read costs the oldest output only. */
static void test_slow_reader(struct fixture *f, gconstpointer data)
{
	auto_fd int fd = open_path(f);
	g_autofree char *line = g_strnfill(4096, 'x');

	(void)data;
	wait_until(f, &f->n_connected, 1);
	for (unsigned i = 0; i < 512; i++) {
		put(f, line);
		g_main_context_iteration(f->context, FALSE);
	}
	g_assert_cmpuint(chardev_lost(f->chardev), >, 1u << 20);
	type(f, fd, "still heard");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/pty/path", test_path },
		{ "/pty/raw", test_raw },
		{ "/pty/comes-and-goes", test_comes_and_goes },
		{ "/pty/back-pressure", test_back_pressure },
		{ "/pty/slow-reader", test_slow_reader },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].test, tear_down);
	return g_test_run();
}
