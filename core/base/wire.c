/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * Input: bytes wait in `in` until a scanner that only knows strings and brackets has seen the end of an object; it
 * never looks at a byte twice, and refuses what is too long or too deep before a parser sees it. An error leaves the
 * stream out of step: broken stays set, and every later call fails.
 *
 * Output: a queue of messages; descriptors go with the first byte of theirs, duplicated while they wait.
 */
#define READ_SIZE 16384u

struct message {
	char *text;
	size_t len, done;
	int fds[WIRE_MAX_FDS];
	size_t n_fds; /* 0 once they have gone */
};

struct scan {
	size_t pos;	/* bytes of the input looked at */
	unsigned depth; /* 0: between objects */
	bool in_string, escaped;
};

struct wire {
	int fd;
	GByteArray *in;
	struct scan scan;
	bool broken;
	GQueue out; /* struct message */
	size_t pending;
	int fds[WIRE_MAX_FDS]; /* that came, oldest first */
	size_t n_fds;
};

struct wire *wire_new(int fd_consume)
{
	struct wire *wire = g_new0(struct wire, 1);

	wire->fd = fd_consume;
	wire->in = g_byte_array_new();
	g_queue_init(&wire->out);
	return wire;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void message_free(gpointer data)
{
	struct message *message = data;

	close_all(message->fds, message->n_fds);
	free(message->text);
	g_free(message);
}

void wire_free(struct wire *wire)
{
	if (!wire)
		return;
	g_queue_clear_full(&wire->out, message_free);
	close_all(wire->fds, wire->n_fds);
	g_byte_array_unref(wire->in);
	fd_close(&wire->fd);
	g_free(wire);
}

int wire_fd(const struct wire *wire)
{
	return wire->fd;
}

/* --- output --- */

bool wire_pending(const struct wire *wire)
{
	return wire->out.length > 0;
}

static ssize_t send_some(struct wire *wire, struct message *message)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * WIRE_MAX_FDS)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { message->text + message->done, message->len - message->done };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (message->n_fds) {
		size_t size = sizeof(int) * message->n_fds;
		struct cmsghdr *cmsg;

		header.msg_control = control.space;
		header.msg_controllen = CMSG_SPACE(size);
		cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(cmsg), message->fds, size);
	}
	return sendmsg(wire->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool wire_flush(struct wire *wire, GError **err)
{
	struct message *message;

	while ((message = g_queue_peek_head(&wire->out))) {
		ssize_t n = send_some(wire, message);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
			return fail_errno(err, "cannot send");
		close_all(message->fds, message->n_fds);
		message->n_fds = 0;
		message->done += (size_t)n;
		wire->pending -= (size_t)n;
		if (message->done == message->len)
			message_free(g_queue_pop_head(&wire->out));
	}
	return true;
}

static bool take_copies(struct message *message, const int *fds, size_t n_fds, GError **err)
{
	for (size_t i = 0; i < n_fds; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (copy < 0)
			return fail_errno(err, "cannot send a descriptor");
		message->fds[message->n_fds++] = copy;
	}
	return true;
}

static struct message *message_new(const json_t *object, const int *fds, size_t n_fds, GError **err)
{
	struct message *message;
	char *text;

	if (n_fds > WIRE_MAX_FDS)
		return fail_null(err, LODGE_ERROR_INTERNAL, "%zu descriptors are too many for one message", n_fds);
	text = json_dumps(object, JSON_COMPACT);
	if (!text)
		return fail_null(err, LODGE_ERROR_INTERNAL, "a message that is not JSON");
	message = g_new0(struct message, 1);
	message->text = text;
	message->len = strlen(text) + 1;
	/* The terminating zero's place is the new line's. */
	message->text[message->len - 1] = '\n';
	if (message->len > WIRE_MAX_MESSAGE)
		fail(err, LODGE_ERROR_INPUT, "a message of %zu bytes is too long: at most %u", message->len,
		     WIRE_MAX_MESSAGE);
	else if (take_copies(message, fds, n_fds, err))
		return message;
	message_free(message);
	return NULL;
}

bool wire_send(struct wire *wire, const json_t *message, const int *fds, size_t n_fds, GError **err)
{
	struct message *entry = message_new(message, fds, n_fds, err);

	if (!entry)
		return false;
	if (entry->len > WIRE_MAX_PENDING - wire->pending) {
		message_free(entry);
		return fail(err, LODGE_ERROR_STATE, "the other side does not read: %zu bytes wait for it",
			    wire->pending);
	}
	wire->pending += entry->len;
	g_queue_push_tail(&wire->out, entry);
	return wire_flush(wire, err);
}

/* --- input --- */

static bool refuse(struct wire *wire, GError **err, const char *why)
{
	wire->broken = true;
	return fail(err, LODGE_ERROR_INPUT, "%s", why);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void scan_string(struct scan *scan, char c)
{
	if (scan->escaped)
		scan->escaped = false;
	else if (c == '\\')
		scan->escaped = true;
	else if (c == '"')
		scan->in_string = false;
}

/* One byte inside an object. True: it was the object's last. */
static bool scan_byte(struct scan *scan, char c)
{
	if (scan->in_string)
		scan_string(scan, c);
	else if (c == '"')
		scan->in_string = true;
	else if (c == '{' || c == '[')
		scan->depth++;
	else if (c == '}' || c == ']')
		return !--scan->depth;
	return false;
}

static void drop_input(struct wire *wire, size_t n)
{
	g_byte_array_remove_range(wire->in, 0, (guint)n);
	wire->scan = (struct scan){ 0 };
}

/*
 * Between objects only white space is allowed. 1: an object begins at the front; 0: nothing there; -1: something else.
 */
static int find_begin(struct wire *wire, GError **err)
{
	size_t n = 0;

	if (wire->scan.depth)
		return 1;
	while (n < wire->in->len && is_blank((char)wire->in->data[n]))
		n++;
	if (n)
		drop_input(wire, n);
	if (!wire->in->len)
		return 0;
	if (wire->in->data[0] == '{')
		return 1;
	refuse(wire, err, "not JSON: an object is expected");
	return -1;
}

/* 1: *len is the length of the object at the front; 0: not there yet; -1: refused. */
static int find_object(struct wire *wire, size_t *len, GError **err)
{
	struct scan *scan = &wire->scan;
	int begin = find_begin(wire, err);

	if (begin <= 0)
		return begin;
	while (scan->pos < wire->in->len) {
		if (scan_byte(scan, (char)wire->in->data[scan->pos++])) {
			*len = scan->pos;
			return 1;
		}
		if (scan->depth > WIRE_MAX_DEPTH) {
			refuse(wire, err, "the message is nested too deep");
			return -1;
		}
		if (scan->pos >= WIRE_MAX_MESSAGE) {
			refuse(wire, err, "the message is too long");
			return -1;
		}
	}
	return 0;
}

static int take_object(struct wire *wire, json_t **message, GError **err)
{
	json_error_t why;
	size_t len;
	int found = wire->broken ? -1 : find_object(wire, &len, err);
	json_t *object;

	if (found <= 0)
		return found;
	object = json_loadb((const char *)wire->in->data, len, JSON_REJECT_DUPLICATES, &why);
	drop_input(wire, len);
	if (!object) {
		wire->broken = true;
		fail(err, LODGE_ERROR_INPUT, "not JSON: %s", why.text);
		return -1;
	}
	*message = object;
	return 1;
}

static bool take_control(struct wire *wire, struct msghdr *header, GError **err)
{
	bool full = header->msg_flags & MSG_CTRUNC;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (wire->n_fds < WIRE_MAX_FDS) {
				wire->fds[wire->n_fds++] = fd;
			} else {
				close(fd);
				full = true;
			}
		}
	}
	return !full || refuse(wire, err, "too many descriptors with a message");
}

/* 1: something came; 0: nothing yet; -1: the end, or an error. */
static int read_some(struct wire *wire, int flags, GError **err)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * WIRE_MAX_FDS)];
		struct cmsghdr align;
	} control;
	uint8_t bytes[READ_SIZE];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr header = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)
	};
	ssize_t n = recvmsg(wire->fd, &header, MSG_CMSG_CLOEXEC | flags);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (n < 0) {
		/* As good as the end: the peer went with our words unread. */
		if (errno != ECONNRESET)
			fail_errno(err, "cannot receive");
		return -1;
	}
	if (!take_control(wire, &header, err))
		return -1;
	if (!n) {
		if (wire->in->len)
			refuse(wire, err, "the connection ended in the middle of a message");
		return -1;
	}
	g_byte_array_append(wire->in, bytes, (guint)n);
	return 1;
}

static int receive(struct wire *wire, int flags, json_t **message, GError **err)
{
	int result;

	if (wire->broken) {
		refuse(wire, err, "the connection is out of step");
		return -1;
	}
	result = take_object(wire, message, err);
	if (result)
		return result;
	result = read_some(wire, flags, err);
	return result > 0 ? take_object(wire, message, err) : result;
}

int wire_receive(struct wire *wire, json_t **message, GError **err)
{
	return receive(wire, 0, message, err);
}

/* Until the socket is ready or the time is over. */
static bool wait_ready(struct wire *wire, int64_t end, GError **err)
{
	struct pollfd poll_fd = { .fd = wire->fd, .events = (short)(POLLIN | (wire_pending(wire) ? POLLOUT : 0)) };
	int64_t left = end < 0 ? -1 : MAX(0, (end - g_get_monotonic_time() + 999) / 1000);
	int ready = poll(&poll_fd, 1, (int)MIN(left, G_MAXINT));

	if (ready < 0 && errno != EINTR)
		return fail_errno(err, "cannot wait");
	if (!ready && left >= 0)
		return fail(err, LODGE_ERROR_STATE, "no answer in time");
	return !wire_pending(wire) || wire_flush(wire, err);
}

json_t *wire_wait(struct wire *wire, int timeout_ms, GError **err)
{
	int64_t end = timeout_ms < 0 ? -1 : g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
	GError *error = NULL;
	json_t *message;
	int result;

	while (!(result = receive(wire, MSG_DONTWAIT, &message, &error))) {
		if (!wait_ready(wire, end, err))
			return NULL;
	}
	if (result > 0)
		return message;
	if (!error)
		return fail_null(err, LODGE_ERROR_STATE, "the connection was closed");
	g_propagate_error(err, error);
	return NULL;
}

int wire_take_fd(struct wire *wire)
{
	int fd;

	if (!wire->n_fds)
		return -1;
	fd = wire->fds[0];
	wire->n_fds--;
	memmove(wire->fds, wire->fds + 1, wire->n_fds * sizeof(wire->fds[0]));
	return fd;
}
