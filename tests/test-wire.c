/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON objects and descriptors on a socket: limits and framing first, then the plain way. */
#include "core/base/wire.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"

struct ends {
	struct wire *wire;
	int peer;
};

static struct ends open_ends(void)
{
	int pair[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
	return (struct ends){ wire_new(pair[0]), pair[1] };
}

static void close_ends(struct ends *ends)
{
	wire_free(ends->wire);
	if (ends->peer >= 0)
		close(ends->peer);
}

static void say(const struct ends *ends, const char *text)
{
	g_assert_cmpint(send(ends->peer, text, strlen(text), MSG_NOSIGNAL), ==, (ssize_t)strlen(text));
}

static void assert_broken(struct ends *ends, const char *words)
{
	g_autoptr(GError) error = NULL;
	json_t *message;

	g_assert_cmpint(wire_receive(ends->wire, &message, &error), ==, -1);
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_nonnull(strstr(error->message, words));
	/* It stays so, whatever comes. */
	say(ends, "{}");
	g_assert_cmpint(wire_receive(ends->wire, &message, NULL), ==, -1);
}

static void test_no_objects(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "x", "object is expected" },	       { "[1]", "object is expected" },
		{ "\"{}\"", "object is expected" },    { "1 {}", "object is expected" },
		{ "{} }", "object is expected" },      { "{\"a\":nope}", "not JSON" },
		{ "{\"a\":1,\"a\":2}", "not JSON" },   { "{\"a\":[}]", "not JSON" },
		{ "{\"a\":\"\\u0000\"}", "not JSON" }, { "{\"a\":\"\xff\"}", "not JSON" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct ends ends = open_ends();
		json_t *message;

		say(&ends, cases[i].text);
		if (g_str_has_prefix(cases[i].text, "{}")) {
			g_assert_cmpint(wire_receive(ends.wire, &message, NULL), ==, 1);
			json_decref(message);
		}
		assert_broken(&ends, cases[i].says);
		close_ends(&ends);
	}
}

static void test_too_deep(void)
{
	struct ends ends = open_ends();
	GString *text = g_string_new("{\"a\":");
	json_t *message;

	for (unsigned i = 0; i < WIRE_MAX_DEPTH - 1; i++)
		g_string_append_c(text, '[');
	say(&ends, text->str);
	g_assert_cmpint(wire_receive(ends.wire, &message, NULL), ==, 0);
	say(&ends, "[");
	assert_broken(&ends, "nested too deep");
	close_ends(&ends);
	g_string_free(text, TRUE);
}

/* A client that never ends its object costs a bounded amount of memory. */
static void test_too_long(void)
{
	struct ends ends = open_ends();
	char block[4096];
	size_t sent = 6;
	g_autoptr(GError) error = NULL;
	json_t *message;
	int result = 0;

	memset(block, 'x', sizeof(block));
	say(&ends, "{\"a\":\"");
	while (!result && sent < 2 * WIRE_MAX_MESSAGE) {
		g_assert_cmpint(send(ends.peer, block, sizeof(block), MSG_NOSIGNAL), ==, sizeof(block));
		sent += sizeof(block);
		result = wire_receive(ends.wire, &message, &error);
	}
	g_assert_cmpint(result, ==, -1);
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_cmpuint(sent, <=, WIRE_MAX_MESSAGE + 2 * sizeof(block));
	close_ends(&ends);
}

static void test_send_too_long(void)
{
	struct ends ends = open_ends();
	g_autofree char *text = g_strnfill(WIRE_MAX_MESSAGE, 'x');
	auto_json json_t *message = json_pack("{s:s}", "a", text);
	g_autoptr(GError) error = NULL;

	g_assert_false(wire_send(ends.wire, message, NULL, 0, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_false(wire_pending(ends.wire));
	close_ends(&ends);
}

/* Who does not read is waited for only up to a limit. */
static void test_reader_asleep(void)
{
	struct ends ends = open_ends();
	g_autofree char *text = g_strnfill(WIRE_MAX_MESSAGE / 2, 'x');
	auto_json json_t *message = json_pack("{s:s}", "a", text);
	g_autoptr(GError) error = NULL;
	unsigned sent = 0;

	while (wire_send(ends.wire, message, NULL, 0, &error))
		sent++;
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_STATE);
	g_assert_cmpuint(sent, <, 2 * WIRE_MAX_PENDING / (WIRE_MAX_MESSAGE / 2));
	g_assert_true(wire_pending(ends.wire));
	close_ends(&ends);
}

static void test_end(void)
{
	struct ends ends = open_ends(), cut = open_ends();
	GError *error = NULL;
	json_t *message;

	say(&ends, "{\"a\":1} ");
	close(ends.peer);
	ends.peer = -1;
	g_assert_cmpint(wire_receive(ends.wire, &message, &error), ==, 1);
	json_decref(message);
	g_assert_cmpint(wire_receive(ends.wire, &message, &error), ==, -1);
	g_assert_no_error(error);
	g_assert_null(wire_wait(ends.wire, -1, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_STATE);
	g_clear_error(&error);
	say(&cut, "{\"a\":");
	close(cut.peer);
	cut.peer = -1;
	while (!wire_receive(cut.wire, &message, &error))
		;
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_clear_error(&error);
	close_ends(&ends);
	close_ends(&cut);
}

static void test_timeout(void)
{
	struct ends ends = open_ends();
	g_autoptr(GError) error = NULL;

	say(&ends, "{\"a\":");
	g_assert_null(wire_wait(ends.wire, 1, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_STATE);
	close_ends(&ends);
}

static void test_split(void)
{
	static const char text[] = " \r\n{\"a\":\"}{\\\"\\\\\",\"b\":[{}]}\n\n{\"c\":2}";
	struct ends ends = open_ends();
	json_t *message;
	unsigned n = 0;

	for (size_t i = 0; i < strlen(text); i++) {
		g_assert_cmpint(send(ends.peer, &text[i], 1, MSG_NOSIGNAL), ==, 1);
		if (wire_receive(ends.wire, &message, NULL) <= 0)
			continue;
		g_assert_nonnull(json_object_get(message, n++ ? "c" : "a"));
		json_decref(message);
	}
	g_assert_cmpuint(n, ==, 2);
	/* And all at once: the second waits inside. */
	say(&ends, text);
	g_assert_cmpint(wire_receive(ends.wire, &message, NULL), ==, 1);
	json_decref(message);
	g_assert_cmpint(wire_receive(ends.wire, &message, NULL), ==, 1);
	json_decref(message);
	g_assert_cmpint(wire_receive(ends.wire, &message, NULL), ==, 0);
	close_ends(&ends);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static void test_descriptors(void)
{
	int pair[2], pipes[2], fds[3], got;
	autoptr(wire) one = NULL;
	autoptr(wire) two = NULL;
	auto_json json_t *message = json_pack("{s:i}", "a", 1);
	json_t *answer;

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
	g_assert_cmpint(pipe(pipes), ==, 0);
	one = wire_new(pair[0]);
	two = wire_new(pair[1]);
	fds[0] = pipes[0];
	fds[1] = pipes[1];
	fds[2] = pipes[0];
	g_assert_true(wire_send(one, message, fds, 3, NULL));
	g_assert_true(wire_send(one, message, fds, 1, NULL));
	answer = wire_wait(two, -1, NULL);
	json_decref(answer);
	for (size_t i = 0; i < 3; i++) {
		got = wire_take_fd(two);
		g_assert_true(same_file(got, fds[i]));
		g_assert_cmpint(fcntl(got, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
		close(got);
	}
	answer = wire_wait(two, -1, NULL);
	json_decref(answer);
	/* Not taken: closed with the wire. */
	close(pipes[0]);
	close(pipes[1]);
}

/* Descriptors that wait in the output are copies: the sender may close his. */
static void test_descriptors_wait(void)
{
	int pair[2], pipes[2], got;
	autoptr(wire) one = NULL;
	autoptr(wire) two = NULL;
	g_autofree char *text = g_strnfill(WIRE_MAX_MESSAGE / 2, 'x');
	auto_json json_t *large = json_pack("{s:s}", "a", text), *small = json_pack("{s:i}", "b", 1);
	json_t *message;

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
	one = wire_new(pair[0]);
	two = wire_new(pair[1]);
	while (!wire_pending(one))
		g_assert_true(wire_send(one, large, NULL, 0, NULL));
	g_assert_cmpint(pipe(pipes), ==, 0);
	g_assert_true(wire_send(one, small, pipes, 1, NULL));
	close(pipes[0]);
	for (;;) {
		int result = wire_receive(two, &message, NULL);

		g_assert_cmpint(result, >=, 0);
		g_assert_true(wire_flush(one, NULL));
		if (!result)
			continue;
		if (json_object_get(message, "b"))
			break;
		json_decref(message);
	}
	json_decref(message);
	got = wire_take_fd(two);
	g_assert_true(same_file(got, pipes[1]));
	close(got);
	close(pipes[1]);
}

static void test_too_many_descriptors(void)
{
	struct ends ends = open_ends();
	char space[CMSG_SPACE(sizeof(int) * (WIRE_MAX_FDS + 4))] __attribute__((aligned(16))) = { 0 };
	struct iovec iov = { (char[]){ '{' }, 1 };
	struct msghdr header = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * (WIRE_MAX_FDS + 4));
	for (size_t i = 0; i < WIRE_MAX_FDS + 4; i++) {
		int fd = STDERR_FILENO;

		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(fd));
	}
	g_assert_cmpint(sendmsg(ends.peer, &header, MSG_NOSIGNAL), ==, 1);
	assert_broken(&ends, "too many descriptors");
	close_ends(&ends);
}

static void test_peer_gone(void)
{
	struct ends ends = open_ends();
	auto_json json_t *message = json_object();
	g_autoptr(GError) error = NULL;

	close(ends.peer);
	ends.peer = -1;
	g_assert_false(wire_send(ends.wire, message, NULL, 0, &error));
	g_assert_nonnull(error);
	close_ends(&ends);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/wire/no-objects", test_no_objects);
	g_test_add_func("/wire/too-deep", test_too_deep);
	g_test_add_func("/wire/too-long", test_too_long);
	g_test_add_func("/wire/send-too-long", test_send_too_long);
	g_test_add_func("/wire/reader-asleep", test_reader_asleep);
	g_test_add_func("/wire/end", test_end);
	g_test_add_func("/wire/timeout", test_timeout);
	g_test_add_func("/wire/split", test_split);
	g_test_add_func("/wire/descriptors", test_descriptors);
	g_test_add_func("/wire/descriptors-wait", test_descriptors_wait);
	g_test_add_func("/wire/too-many-descriptors", test_too_many_descriptors);
	g_test_add_func("/wire/peer-gone", test_peer_gone);
	return g_test_run();
}
