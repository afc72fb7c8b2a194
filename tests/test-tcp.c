/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/mux.h"
#include "console/telnet.h"
#include "core/base/error.h"
#include "core/base/fd.h"

#define IAC "\xff"
#define GREETING IAC "\xfb\1" IAC "\xfb\3" IAC "\xfb\0" IAC "\xfd\0"

struct fixture {
	GMainContext *context;
	struct chardev *chardev;
	GString *received; /* by the guest */
	unsigned breaks, n_connected, n_disconnected;
};

static size_t receive(void *opaque, const uint8_t *data, size_t len)
{
	g_string_append_len(((struct fixture *)opaque)->received, (const char *)data, (gssize)len);
	return len;
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

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->context = g_main_context_new();
	f->received = g_string_new("");
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	chardev_free(f->chardev);
	g_string_free(f->received, TRUE);
	g_main_context_unref(f->context);
}

static void open_chardev(struct fixture *f, const char *service, bool listening, bool telnet, unsigned reconnect_s)
{
	g_autoptr(GError) err = NULL;

	f->chardev = chardev_new_tcp(f->context, "127.0.0.1", service, listening, telnet, reconnect_s, &err);
	g_assert_no_error(err);
	chardev_set_client(f->chardev, &client, f);
}

static void wait_until(struct fixture *f, const unsigned *count, unsigned n)
{
	while (*count < n)
		g_main_context_iteration(f->context, TRUE);
}

static void wait_received(struct fixture *f, const char *text, size_t len)
{
	while (f->received->len < len)
		g_main_context_iteration(f->context, TRUE);
	g_assert_cmpmem(f->received->str, f->received->len, text, len);
	g_string_truncate(f->received, 0);
}

static void put(struct fixture *f, const char *text, size_t len)
{
	chardev_write(f->chardev, (const uint8_t *)text, len);
}

/* --- the peer --- */

static struct sockaddr_in loopback(unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

/* The number behind the last colon of "tcp:127.0.0.1:4555". */
static unsigned port_of(const struct chardev *chardev)
{
	const char *path = chardev_path(chardev);

	g_assert_nonnull(path);
	return (unsigned)atoi(strrchr(path, ':') + 1);
}

static int connect_to(unsigned port)
{
	struct sockaddr_in addr = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
	return fd;
}

/* port 0: any; where it really is comes back in *port. */
static int listen_at(unsigned *port)
{
	struct sockaddr_in addr = loopback(*port);
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), ==, 0);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
	g_assert_cmpint(listen(fd, 1), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&addr, &len), ==, 0);
	*port = ntohs(addr.sin_port);
	return fd;
}

static void say(int fd, const char *data, size_t len)
{
	g_assert_cmpint(send(fd, data, len, MSG_NOSIGNAL), ==, len);
}

/* Reads what has to come, the loop running meanwhile. */
static void hear(struct fixture *f, int fd, const char *data, size_t len)
{
	g_autofree char *got = g_malloc(len + 1);
	size_t n = 0;

	while (n < len) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t part;

		g_main_context_iteration(f->context, FALSE);
		if (poll(&pfd, 1, 1) == 0)
			continue;
		part = recv(fd, got + n, len - n, 0);
		g_assert_cmpint(part, >, 0);
		n += (size_t)part;
	}
	g_assert_cmpmem(got, n, data, len);
}

static void hear_end(struct fixture *f, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char byte;

	while (poll(&pfd, 1, 1) == 0)
		g_main_context_iteration(f->context, FALSE);
	g_assert_cmpint(recv(fd, &byte, 1, 0), ==, 0);
}

/* --- the protocol --- */

struct heard {
	GString *data, *replies;
	unsigned breaks;
};

static void heard_data(void *opaque, const uint8_t *data, size_t len)
{
	g_string_append_len(((struct heard *)opaque)->data, (const char *)data, (gssize)len);
}

static void heard_break(void *opaque)
{
	((struct heard *)opaque)->breaks++;
}

static void heard_reply(void *opaque, const uint8_t *data, size_t len)
{
	g_string_append_len(((struct heard *)opaque)->replies, (const char *)data, (gssize)len);
}

#define ROW(in, out, answer, n) \
	{ \
		in, sizeof(in) - 1, out, sizeof(out) - 1, answer, sizeof(answer) - 1, n \
	}

static const struct {
	const char *in;
	size_t in_len;
	const char *data;
	size_t data_len;
	const char *replies;
	size_t replies_len;
	unsigned breaks;
} exchanges[] = {
	ROW("", "", "", 0),
	ROW("plain", "plain", "", 0),
	ROW("a" IAC IAC "b",
	    "a\xff"
	    "b",
	    "", 0),
	ROW(IAC "\xf3", "", "", 1),
	ROW("a" IAC "\xf3"
	    "b" IAC "\xf3",
	    "ab", "", 2),
	/* NOP, AYT, GA and codes nobody has heard of */
	ROW(IAC "\xf1"
		"a" IAC "\xf6"
		"b" IAC "\xf9" IAC "\x01"
		"c",
	    "abc", "", 0),
	/* the end of a line, and a bare CR */
	ROW("a\r\nb\r\0c\rd\n", "a\rb\rc\rd\n", "", 0),
	/* binary: nothing is padding; and back */
	ROW(IAC "\xfb\0\r\n\r\0", "\r\n\r\0", "", 0),
	ROW(IAC "\xfb\0" IAC "\xfc\0\r\n", "\r", "", 0),
	/* answers to what we asked for need none */
	ROW(IAC "\xfd\1" IAC "\xfd\3" IAC "\xfd\0" IAC "\xfb\0", "", "", 0),
	ROW(IAC "\xfe\1" IAC "\xfe\3" IAC "\xfc\0", "", "", 0),
	/* everything else is refused: LINEMODE, NAWS, an option nobody has heard of */
	ROW(IAC "\xfb\x22", "", IAC "\xfe\x22", 0),
	ROW(IAC "\xfd\x1f"
		"x",
	    "x", IAC "\xfc\x1f", 0),
	ROW(IAC "\xfb" IAC "y", "y", IAC "\xfe" IAC, 0),
	ROW(IAC "\xfc\x22" IAC "\xfe\x1f", "", "", 0),
	/* a sub-negotiation with everything in it, and one that never ends */
	ROW("a" IAC "\xfa\x1f" IAC IAC "\0P" IAC "\xf3"
	    "q" IAC "\xf0"
	    "b",
	    "ab", "", 0),
	ROW("a" IAC "\xfa\x18 for ever", "a", "", 0),
};

static void check_exchange(size_t row, size_t first, size_t second)
{
	static const struct telnet_events events = { heard_data, heard_break, heard_reply };
	struct heard heard = { .data = g_string_new(""), .replies = g_string_new("") };
	const uint8_t *in = (const uint8_t *)exchanges[row].in;
	struct telnet telnet = { 0 };

	telnet_receive(&telnet, in, first, &events, &heard);
	telnet_receive(&telnet, in + first, second - first, &events, &heard);
	telnet_receive(&telnet, in + second, exchanges[row].in_len - second, &events, &heard);
	g_assert_cmpmem(heard.data->str, heard.data->len, exchanges[row].data, exchanges[row].data_len);
	g_assert_cmpmem(heard.replies->str, heard.replies->len, exchanges[row].replies, exchanges[row].replies_len);
	g_assert_cmpuint(heard.breaks, ==, exchanges[row].breaks);
	g_string_free(heard.data, TRUE);
	g_string_free(heard.replies, TRUE);
}

/* Each as it is, and cut in three in all ways there are. */
static void test_telnet(void)
{
	for (size_t row = 0; row < G_N_ELEMENTS(exchanges); row++) {
		for (size_t first = 0; first <= exchanges[row].in_len; first++) {
			for (size_t second = first; second <= exchanges[row].in_len; second++)
				check_exchange(row, first, second);
		}
	}
}

/* --- connections --- */

static void must_fail(struct fixture *f, const char *host, const char *service, bool listening, int code)
{
	g_autoptr(GError) err = NULL;

	g_assert_null(chardev_new_tcp(f->context, host, service, listening, false, 0, &err));
	g_assert_error(err, LODGE_ERROR, code);
}

static void test_refused(struct fixture *f, gconstpointer data)
{
	g_autofree char *service = NULL;
	unsigned port = 0;
	auto_fd int fd = listen_at(&port);

	(void)data;
	service = g_strdup_printf("%u", port);
	must_fail(f, "127.0.0.1", "no-such-service-name", true, LODGE_ERROR_INPUT);
	must_fail(f, "300.1.2.3.4.5", "1", true, LODGE_ERROR_INPUT);
	must_fail(f, "127.0.0.1", service, true, LODGE_ERROR_SYSTEM);
	fd_close(&fd);
	must_fail(f, "127.0.0.1", service, false, LODGE_ERROR_SYSTEM);
}

static void test_raw(struct fixture *f, gconstpointer data)
{
	auto_fd int fd = -1;

	(void)data;
	open_chardev(f, "0", true, false, 0);
	g_assert_true(g_str_has_prefix(chardev_path(f->chardev), "tcp:127.0.0.1:"));
	g_assert_cmpuint(port_of(f->chardev), !=, 0);
	g_assert_false(chardev_is_connected(f->chardev));
	fd = connect_to(port_of(f->chardev));
	wait_until(f, &f->n_connected, 1);
	say(fd, "a\xff\xf3\r\n", 5);
	wait_received(f, "a\xff\xf3\r\n", 5);
	g_assert_cmpuint(f->breaks, ==, 0);
	put(f, "\xff\r\n", 3);
	hear(f, fd, "\xff\r\n", 3);
}

static void test_telnet_server(struct fixture *f, gconstpointer data)
{
	auto_fd int fd = -1;

	(void)data;
	open_chardev(f, "0", true, true, 0);
	fd = connect_to(port_of(f->chardev));
	hear(f, fd, GREETING, sizeof(GREETING) - 1);
	/* Cut where it hurts. */
	say(fd, "x" IAC, 2);
	wait_received(f, "x", 1);
	say(fd, "\xf3" IAC, 2);
	wait_until(f, &f->breaks, 1);
	say(fd, IAC "y", 2);
	wait_received(f, "\xffy", 2);
	say(fd, IAC "\xfd\x1f", 3);
	hear(f, fd, IAC "\xfc\x1f", 3);
	put(f, "a" IAC "b", 3);
	hear(f, fd, "a" IAC IAC "b", 4);
}

/* Half an option of the one who left is not the next one's. */
static void test_next_peer(struct fixture *f, gconstpointer data)
{
	auto_fd int first = -1, second = -1, third = -1;

	(void)data;
	open_chardev(f, "0", true, true, 0);
	first = connect_to(port_of(f->chardev));
	hear(f, first, GREETING, sizeof(GREETING) - 1);
	second = connect_to(port_of(f->chardev));
	hear(f, second, "lodge: this console is in use\r\n", 31);
	hear_end(f, second);
	say(first, IAC "\xfb", 2);
	fd_close(&first);
	wait_until(f, &f->n_disconnected, 1);
	third = connect_to(port_of(f->chardev));
	hear(f, third, GREETING, sizeof(GREETING) - 1);
	say(third, "ok", 2);
	wait_received(f, "ok", 2);
}

static void test_client(struct fixture *f, gconstpointer data)
{
	unsigned port = 0;
	auto_fd int listener = listen_at(&port), fd = -1;
	g_autofree char *service = g_strdup_printf("%u", port);

	(void)data;
	open_chardev(f, service, false, false, 0);
	fd = accept(listener, NULL, NULL);
	g_assert_cmpint(fd, >=, 0);
	g_assert_true(chardev_is_connected(f->chardev));
	put(f, "hello", 5);
	hear(f, fd, "hello", 5);
	say(fd, "you", 3);
	wait_received(f, "you", 3);
	/* It does not come back. */
	fd_close(&fd);
	wait_until(f, &f->n_disconnected, 1);
	g_assert_false(chardev_is_connected(f->chardev));
}

/* Nobody is there yet, then somebody, who goes and comes back. */
static void test_reconnect(struct fixture *f, gconstpointer data)
{
	unsigned port = 0;
	auto_fd int listener = listen_at(&port), fd = -1;
	g_autofree char *service = g_strdup_printf("%u", port);

	(void)data;
	fd_close(&listener);
	open_chardev(f, service, false, false, 1);
	g_assert_false(chardev_is_connected(f->chardev));
	for (unsigned i = 1; i <= 2; i++) {
		listener = listen_at(&port);
		wait_until(f, &f->n_connected, i);
		fd = accept(listener, NULL, NULL);
		g_assert_cmpint(fd, >=, 0);
		put(f, "again", 5);
		hear(f, fd, "again", 5);
		fd_close(&listener);
		fd_close(&fd);
		wait_until(f, &f->n_disconnected, i);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*test)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/tcp/refused", test_refused },      { "/tcp/raw", test_raw },
		{ "/tcp/telnet", test_telnet_server }, { "/tcp/next-peer", test_next_peer },
		{ "/tcp/client", test_client },	       { "/tcp/reconnect", test_reconnect },
	};

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/telnet/exchanges", test_telnet);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].test, tear_down);
	return g_test_run();
}
