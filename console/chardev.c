/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Output: writers append to the ring under the lock and wake the loop unless it is awake already. The loop takes a
 * chunk out of the ring, writes it without the lock, and after a round with output looks again PACE later by itself:
 * a guest that prints byte by byte costs one wake-up a millisecond, and its first byte appears at once.
 *
 * Input: what the client does not take waits in input[]. input_waiting is set before the client is asked, so that a
 * chardev_accept_input() that comes between the client's answer and our looking at it is never lost.
 */
#define PACE_USEC 1000
#define DRAIN_ROUNDS 16	      /* chunks written before other sources have their turn */
#define RING_KEEP (16u << 10) /* memory an empty ring may keep */
#define DRAIN_PATIENCE_MS 200 /* at the end: how long a reader may make no progress */

struct chardev_source {
	GSource base;
	struct chardev *chardev;
};

static void wake(struct chardev *chardev)
{
	g_source_set_ready_time(chardev->source, 0);
}

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	size_t dropped;

	if (chardev->tap)
		chardev->tap(chardev->tap_opaque, data, len);
	if (chardev->class->write)
		chardev->class->write(chardev, data, len);
	if (!chardev->source || !len)
		return;
	g_mutex_lock(&chardev->lock);
	dropped = byte_ring_put(&chardev->ring, data, len);
	if (chardev->connected)
		chardev->lost += dropped;
	g_mutex_unlock(&chardev->lock);
	if (!atomic_exchange(&chardev->scheduled, true))
		wake(chardev);
}

void chardev_set_tap(struct chardev *chardev, void (*tap)(void *opaque, const uint8_t *data, size_t len), void *opaque)
{
	chardev->tap = tap;
	chardev->tap_opaque = opaque;
}

void chardev_accept_input(struct chardev *chardev)
{
	if (chardev->class->accept_input)
		chardev->class->accept_input(chardev);
	else if (chardev->source && atomic_load(&chardev->input_waiting))
		wake(chardev);
}

bool chardev_is_connected(struct chardev *chardev)
{
	bool connected;

	g_mutex_lock(&chardev->lock);
	connected = chardev->connected;
	g_mutex_unlock(&chardev->lock);
	return connected;
}

void chardev_set_connected(struct chardev *chardev, bool connected)
{
	bool was;

	g_mutex_lock(&chardev->lock);
	was = chardev->connected;
	chardev->connected = connected;
	g_mutex_unlock(&chardev->lock);
	if (was != connected && chardev->client && chardev->client->connected)
		chardev->client->connected(chardev->opaque, connected);
}

const char *chardev_path(const struct chardev *chardev)
{
	return chardev->class->path ? chardev->class->path(chardev) : NULL;
}

uint64_t chardev_lost(struct chardev *chardev)
{
	uint64_t lost;

	g_mutex_lock(&chardev->lock);
	lost = chardev->lost;
	g_mutex_unlock(&chardev->lock);
	return lost;
}

bool chardev_has_keys(const struct chardev *chardev)
{
	return chardev->class->keys;
}

bool chardev_terminal_size(const struct chardev *chardev, uint16_t *cols, uint16_t *rows)
{
	return chardev->class->size && chardev->class->size(chardev, cols, rows);
}

/*
 * Brings the descriptors the loop polls in line with what is wanted. One that is not wanted is not polled: POLLHUP
 * cannot be masked.
 */
static void watch(struct chardev *chardev, void **tag, int fd, bool wanted, GIOCondition condition)
{
	if (*tag && !wanted) {
		g_source_remove_unix_fd(chardev->source, *tag);
		*tag = NULL;
	} else if (!*tag && wanted) {
		*tag = g_source_add_unix_fd(chardev->source, fd, condition);
	} else if (*tag) {
		g_source_modify_unix_fd(chardev->source, *tag, condition);
	}
}

static void watch_input(struct chardev *chardev)
{
	bool room = chardev->class->keys || chardev->input_len < sizeof(chardev->input);

	if (chardev->in_ended)
		watch(chardev, &chardev->in_tag, chardev->in_fd, chardev->in_fd >= 0 && chardev->class->hangup, 0);
	else
		watch(chardev, &chardev->in_tag, chardev->in_fd, chardev->in_fd >= 0 && room, G_IO_IN);
}

static void watch_output(struct chardev *chardev, bool blocked)
{
	watch(chardev, &chardev->out_tag, chardev->out_fd, chardev->out_fd >= 0 && blocked, G_IO_OUT);
}

static void hang_up(struct chardev *chardev)
{
	int in_fd = chardev->in_fd;

	if (chardev->class->hangup)
		chardev->class->hangup(chardev);
	else
		chardev_set_fds(chardev, in_fd, -1);
}

/* Fills output[] from the ring; false when there is nothing to write. */
static bool stage_output(struct chardev *chardev)
{
	uint8_t data[CHARDEV_CHUNK];
	bool encoded = chardev->class->encode;

	if (chardev->output_pos < chardev->output_len)
		return true;
	g_mutex_lock(&chardev->lock);
	chardev->output_pos = 0;
	chardev->output_len = byte_ring_take(&chardev->ring, encoded ? data : chardev->output, CHARDEV_CHUNK);
	if (!chardev->ring.len && chardev->ring.cap > RING_KEEP)
		byte_ring_clear(&chardev->ring);
	g_mutex_unlock(&chardev->lock);
	if (encoded && chardev->output_len)
		chardev->output_len = chardev->class->encode(chardev, data, chardev->output_len, chardev->output);
	return chardev->output_len > 0;
}

static void note_written(struct chardev *chardev, size_t len)
{
	const uint8_t *data = chardev->output + chardev->output_pos;

	chardev->last_output = data[len - 1];
	chardev->seen_escape |= memchr(data, '\033', len) != NULL;
	chardev->output_pos += len;
}

static void drop_staged(struct chardev *chardev)
{
	g_mutex_lock(&chardev->lock);
	chardev->lost += chardev->output_len - chardev->output_pos;
	g_mutex_unlock(&chardev->lock);
	chardev->output_pos = chardev->output_len;
}

/* Writes part of what is staged, waiting at most timeout ms. 0: not now; -1: the reader is gone. */
static int write_staged(struct chardev *chardev, int timeout)
{
	struct pollfd pfd = { .fd = chardev->out_fd, .events = POLLOUT };
	ssize_t n;

	/* Asked first even where the descriptor does not block: chardev_reopen() could not always get such a one. */
	if (poll(&pfd, 1, timeout) <= 0 || !pfd.revents)
		return 0;
	n = write(chardev->out_fd, chardev->output + chardev->output_pos, chardev->output_len - chardev->output_pos);
	if (n > 0) {
		note_written(chardev, (size_t)n);
		return 1;
	}
	if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
		drop_staged(chardev);
		return 1;
	}
	return n == 0 || errno == EAGAIN || errno == EINTR ? 0 : -1;
}

enum drain { DRAIN_EMPTY, DRAIN_WROTE, DRAIN_BLOCKED };

static enum drain drain(struct chardev *chardev)
{
	enum drain result = DRAIN_EMPTY;

	for (unsigned round = 0; round < DRAIN_ROUNDS && chardev->out_fd >= 0 && stage_output(chardev); round++) {
		int wrote = write_staged(chardev, 0);

		if (!wrote)
			return DRAIN_BLOCKED;
		if (wrote < 0)
			hang_up(chardev);
		result = DRAIN_WROTE;
	}
	return result;
}

/* With nobody there to take it, output is kept for the next client, or let go when no client can come. */
static bool ring_is_stuck(struct chardev *chardev)
{
	bool stuck;

	g_mutex_lock(&chardev->lock);
	if (chardev->out_fd < 0 && !chardev->class->hangup)
		byte_ring_clear(&chardev->ring);
	stuck = chardev->out_fd < 0 || !chardev->ring.len;
	g_mutex_unlock(&chardev->lock);
	return stuck;
}

static void dispatch_output(struct chardev *chardev)
{
	enum drain result = drain(chardev);

	watch_output(chardev, result == DRAIN_BLOCKED);
	if (result == DRAIN_BLOCKED)
		return; /* still scheduled: the descriptor will wake us, writers need not */
	if (result == DRAIN_WROTE) {
		g_source_set_ready_time(chardev->source, g_get_monotonic_time() + PACE_USEC);
		return;
	}
	atomic_store(&chardev->scheduled, false);
	if (!ring_is_stuck(chardev) && !atomic_exchange(&chardev->scheduled, true))
		wake(chardev);
}

static void offer_input(struct chardev *chardev)
{
	size_t taken;

	if (!chardev->client || !chardev->input_len)
		return;
	atomic_store(&chardev->input_waiting, true);
	taken = chardev->client->receive(chardev->opaque, chardev->input, chardev->input_len);
	taken = MIN(taken, chardev->input_len);
	chardev->input_len -= taken;
	memmove(chardev->input, chardev->input + taken, chardev->input_len);
	if (!chardev->input_len)
		atomic_store(&chardev->input_waiting, false);
}

static void read_input(struct chardev *chardev)
{
	uint8_t data[CHARDEV_CHUNK];
	size_t room = chardev->class->keys ? sizeof(data) : sizeof(chardev->input) - chardev->input_len;
	ssize_t n = read(chardev->in_fd, data, MIN(room, sizeof(data)));

	if (n > 0 && chardev->class->input)
		chardev->class->input(chardev, data, (size_t)n);
	else if (n > 0)
		chardev_push_input(chardev, data, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		chardev->in_ended = true;
}

static void dispatch_input(struct chardev *chardev)
{
	GIOCondition ready = chardev->in_tag ? g_source_query_unix_fd(chardev->source, chardev->in_tag) : 0;

	if (ready && !chardev->in_ended) {
		read_input(chardev);
		if (chardev->in_ended && chardev->class->end_is_hangup)
			hang_up(chardev);
	} else if (ready & (G_IO_HUP | G_IO_ERR)) {
		hang_up(chardev);
	}
	offer_input(chardev);
	watch_input(chardev);
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
	struct chardev *chardev = ((struct chardev_source *)source)->chardev;

	(void)fn;
	(void)data;
	/* First of all: a wake-up from another thread after this line stays in force. */
	g_source_set_ready_time(source, -1);
	if (!chardev->started) {
		chardev->started = true;
		if (chardev->class->start)
			chardev->class->start(chardev);
	}
	dispatch_input(chardev);
	dispatch_output(chardev);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { .dispatch = source_dispatch };

void chardev_init(struct chardev *chardev, const struct chardev_class *class, GMainContext *context)
{
	chardev->class = class;
	chardev->in_fd = -1;
	chardev->out_fd = -1;
	chardev->ring.max = CHARDEV_RING_SIZE;
	g_mutex_init(&chardev->lock);
	if (!context)
		return;
	chardev->context = g_main_context_ref(context);
	chardev->source = g_source_new(&source_funcs, sizeof(struct chardev_source));
	((struct chardev_source *)chardev->source)->chardev = chardev;
	g_source_set_static_name(chardev->source, class->name);
	g_source_set_ready_time(chardev->source, 0);
	g_source_attach(chardev->source, context);
}

void chardev_set_fds(struct chardev *chardev, int in_fd, int out_fd)
{
	watch(chardev, &chardev->in_tag, -1, false, 0);
	watch(chardev, &chardev->out_tag, -1, false, 0);
	chardev->in_fd = in_fd;
	chardev->out_fd = out_fd;
	chardev->in_ended = false;
	/* Half of a chunk belongs to the reader that got the other half. */
	chardev->output_pos = chardev->output_len = 0;
	chardev_set_connected(chardev, out_fd >= 0);
	atomic_store(&chardev->scheduled, true);
	wake(chardev);
}

void chardev_push_input(struct chardev *chardev, const uint8_t *data, size_t len)
{
	size_t room = sizeof(chardev->input) - chardev->input_len;

	len = MIN(len, room);
	memcpy(chardev->input + chardev->input_len, data, len);
	chardev->input_len += len;
}

void chardev_push_break(struct chardev *chardev)
{
	if (chardev->client && chardev->client->send_break)
		chardev->client->send_break(chardev->opaque);
}

void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque)
{
	chardev->client = client;
	chardev->opaque = opaque;
	if (chardev->class->client_changed)
		chardev->class->client_changed(chardev);
	if (chardev->source)
		wake(chardev);
}

/* The guest's last words: for as long as the reader keeps reading. */
static void drain_all(struct chardev *chardev)
{
	while (chardev->out_fd >= 0 && stage_output(chardev)) {
		if (write_staged(chardev, DRAIN_PATIENCE_MS) <= 0)
			break;
	}
}

void chardev_free(struct chardev *chardev)
{
	if (!chardev)
		return;
	if (chardev->class->drain)
		chardev->class->drain(chardev);
	if (chardev->source) {
		drain_all(chardev);
		g_source_destroy(chardev->source);
		g_source_unref(chardev->source);
		g_main_context_unref(chardev->context);
	}
	byte_ring_clear(&chardev->ring);
	g_mutex_clear(&chardev->lock);
	chardev->class->destroy(chardev);
}

int chardev_reopen(int fd, int mode)
{
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	int copy = -1;
	struct stat st;

	if (!fstat(fd, &st) && (S_ISFIFO(st.st_mode) || isatty(fd)))
		copy = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return copy >= 0 ? copy : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}
