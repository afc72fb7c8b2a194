/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/mux.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "console/chardev-private.h"
#include "console/log-file.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/model/stats-page.h"
#include "core/model/vm-config.h"

/*
 * One ring, many readers. The guest's thread only appends to the ring (base.lock), so a flood costs it a copy and the
 * host one ring. Each reader, a stream or the log, has a position in the endless sequence of the guest's bytes and is
 * fed from the ring by the loop; one that has fallen behind the oldest byte kept is told how many it lost and goes on
 * from there. The loop looks again PACE after a round with output, so writers wake it at most once in that time.
 *
 * The back end has a ring of its own, fed under base.lock while somebody is connected to it. Who connects gets our ring
 * first; under the lock, so that nothing comes twice or not at all.
 *
 * Input is left in a stream's socket until the device takes it: it is looked at with MSG_PEEK and taken out as far as
 * the device took it. A stream whose user has left with input still in the socket waits detached until that is gone.
 */
#define PACE_USEC 1000
#define CHUNK 16384u
#define ROUNDS 8	  /* chunks for one reader before the next one has its turn */
#define LAST_WORDS_MS 200 /* at the end: how long a reader may make no progress */
#define MAX_STREAMS 64u
#define MAX_LEFT 8u /* streams whose users have left input behind */

struct stream {
	int fd;
	void *tag;    /* NULL: its user has left */
	uint64_t pos; /* of the next byte it gets */
	bool writer, notices;
	bool blocked;	 /* the socket takes no more */
	bool input_held; /* the device takes no more */
	char notice[80];
	size_t notice_pos, notice_len;
};

struct mux {
	struct chardev base;
	GMainContext *context;
	GSource *source;
	struct chardev *backend;
	struct stats_port *stats;
	struct stats_page *tail;
	atomic_bool scheduled;	   /* the loop will look at the ring */
	atomic_bool has_readers;   /* there is a reason to wake it */
	atomic_bool input_waiting; /* the device has not taken all input */

	/* base.lock */
	struct byte_ring ring;
	uint64_t head; /* bytes the guest has written */
	bool backend_live;

	/* loop thread */
	GPtrArray *streams;
	struct log_file *log;
	uint64_t log_pos;
};

struct mux_source {
	GSource base;
	struct mux *mux;
};

static struct mux *mux_of(struct chardev *chardev)
{
	return (struct mux *)(void *)chardev;
}

static void wake(struct mux *mux)
{
	g_source_set_ready_time(mux->source, 0);
}

/* --- the guest's side, any thread --- */

static void mux_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	struct mux *mux = mux_of(chardev);

	if (!len)
		return;
	g_mutex_lock(&mux->base.lock);
	byte_ring_put(&mux->ring, data, len);
	mux->head += len;
	if (mux->stats)
		stats_add(&mux->stats->out_bytes, len);
	if (mux->tail)
		stats_tail_write(mux->tail, data, len);
	if (mux->backend_live)
		chardev_write(mux->backend, data, len);
	g_mutex_unlock(&mux->base.lock);
	if (atomic_load(&mux->has_readers) && !atomic_exchange(&mux->scheduled, true))
		wake(mux);
}

static void mux_accept_input(struct chardev *chardev)
{
	struct mux *mux = mux_of(chardev);

	if (mux->backend)
		chardev_accept_input(mux->backend);
	if (atomic_load(&mux->input_waiting))
		wake(mux);
}

/*
 * Copies from the ring at *pos, which may have been overtaken: then *lost says by how much, and *pos is the oldest
 * byte there is.
 */
static size_t ring_read(struct mux *mux, uint64_t *pos, uint64_t *lost, uint8_t *data, size_t len)
{
	uint64_t oldest;
	size_t n;

	g_mutex_lock(&mux->base.lock);
	oldest = mux->head - mux->ring.len;
	*lost = *pos < oldest ? oldest - *pos : 0;
	*pos += *lost;
	n = byte_ring_copy(&mux->ring, (size_t)(*pos - oldest), data, len);
	mux->base.lost += *lost;
	if (mux->stats)
		stats_add(&mux->stats->lost_bytes, *lost);
	g_mutex_unlock(&mux->base.lock);
	return n;
}

size_t mux_tail(struct chardev *chardev, uint8_t *data, size_t len)
{
	struct mux *mux = mux_of(chardev);
	size_t n;

	g_mutex_lock(&mux->base.lock);
	n = byte_ring_copy(&mux->ring, mux->ring.len - MIN(len, mux->ring.len), data, len);
	g_mutex_unlock(&mux->base.lock);
	return n;
}

/* --- streams, loop thread --- */

static void stream_free(void *data)
{
	struct stream *stream = data;

	fd_close(&stream->fd);
	g_free(stream);
}

/* What depends on who is there. */
static void readers_changed(struct mux *mux)
{
	unsigned viewers = mux_viewers(&mux->base);

	atomic_store(&mux->has_readers, viewers || mux->log);
	if (mux->stats) {
		__atomic_store_n(&mux->stats->viewers, viewers, __ATOMIC_RELAXED);
		__atomic_store_n(&mux->stats->writers, mux_has_writer(&mux->base), __ATOMIC_RELAXED);
	}
	chardev_set_connected(&mux->base, viewers || (mux->backend && chardev_is_connected(mux->backend)));
}

static void watch(struct mux *mux, struct stream *stream)
{
	GIOCondition condition = (stream->input_held ? 0 : G_IO_IN) | (stream->blocked ? G_IO_OUT : 0);

	if (stream->tag)
		g_source_modify_unix_fd(mux->source, stream->tag, condition);
}

static bool has_input(const struct stream *stream)
{
	uint8_t byte;

	return stream->writer && recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void drop(struct mux *mux, struct stream *stream)
{
	if (stream->tag)
		g_source_remove_unix_fd(mux->source, stream->tag);
	stream->tag = NULL;
	g_ptr_array_remove(mux->streams, stream);
	readers_changed(mux);
}

static void drop_oldest_left(struct mux *mux)
{
	unsigned left = mux->streams->len - mux_viewers(&mux->base);

	for (guint i = 0; left > MAX_LEFT && i < mux->streams->len; i++) {
		struct stream *stream = g_ptr_array_index(mux->streams, i);

		if (!stream->tag) {
			drop(mux, stream);
			return;
		}
	}
}

/* Its user has gone. Returns whether the stream has. */
static bool leave(struct mux *mux, struct stream *stream)
{
	if (!has_input(stream)) {
		drop(mux, stream);
		return true;
	}
	if (stream->tag) {
		g_source_remove_unix_fd(mux->source, stream->tag);
		stream->tag = NULL;
		drop_oldest_left(mux);
		readers_changed(mux);
		wake(mux);
	}
	return false;
}

static bool any_held(const struct mux *mux)
{
	for (guint i = 0; i < mux->streams->len; i++) {
		if (((const struct stream *)g_ptr_array_index(mux->streams, i))->input_held)
			return true;
	}
	return false;
}

static void give_input(struct mux *mux, struct stream *stream, uint8_t *data, size_t len)
{
	const struct chardev_client *client = mux->base.client;
	size_t taken;

	/* Before the device is asked: it may say that it has room between its answer and our looking at it. */
	atomic_store(&mux->input_waiting, true);
	taken = client ? client->receive(mux->base.opaque, data, len) : 0;
	taken = MIN(taken, len);
	stream->input_held = taken < len;
	/* Taken out of the socket; the bytes are those that were looked at. */
	if (taken && recv(stream->fd, data, taken, MSG_DONTWAIT) < 0)
		stream->input_held = true;
	if (!any_held(mux))
		atomic_store(&mux->input_waiting, false);
	if (mux->stats)
		stats_add(&mux->stats->in_bytes, taken);
}

/* As much as the device takes. Returns false when there is no more and never will be. */
static bool take_input(struct mux *mux, struct stream *stream)
{
	uint8_t data[CHARDEV_CHUNK];
	ssize_t n = recv(stream->fd, data, sizeof(data), MSG_DONTWAIT | (stream->writer ? MSG_PEEK : 0));

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	/* What a viewer types goes nowhere. */
	if (stream->writer)
		give_input(mux, stream, data, (size_t)n);
	/* There may be more of what somebody left behind, and nothing will tell. */
	if (!stream->tag && !stream->input_held)
		wake(mux);
	return true;
}

static void dispatch_input(struct mux *mux)
{
	bool retry = atomic_exchange(&mux->input_waiting, false);

	/* Backwards: streams go meanwhile. */
	for (guint i = mux->streams->len; i-- > 0;) {
		struct stream *stream = g_ptr_array_index(mux->streams, i);
		GIOCondition ready = stream->tag ? g_source_query_unix_fd(mux->source, stream->tag) : G_IO_IN;
		bool more = true;

		if (retry)
			stream->input_held = false;
		if (!stream->input_held && (retry || ready))
			more = take_input(mux, stream);
		if ((!more || !stream->tag || (ready & (G_IO_HUP | G_IO_ERR))) && leave(mux, stream))
			continue;
		watch(mux, stream);
	}
}

static void set_notice(struct stream *stream, uint64_t lost)
{
	if (!stream->notices || stream->notice_pos < stream->notice_len)
		return;
	stream->notice_pos = 0;
	stream->notice_len = (size_t)g_snprintf(stream->notice, sizeof(stream->notice),
						"\r\n[lodge: %" G_GUINT64_FORMAT " bytes lost]\r\n", lost);
}

/* Bytes sent; 0: not now (blocked) or never again (the loop will see the hang-up). */
static size_t send_some(struct stream *stream, const void *data, size_t len)
{
	ssize_t n = send(stream->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	stream->blocked = n < 0 ? errno == EAGAIN || errno == EWOULDBLOCK : (size_t)n < len;
	return n > 0 ? (size_t)n : 0;
}

static bool send_notice(struct stream *stream)
{
	size_t left = stream->notice_len - stream->notice_pos;

	if (left)
		stream->notice_pos += send_some(stream, stream->notice + stream->notice_pos, left);
	return stream->notice_pos == stream->notice_len;
}

/* Returns whether it got anything. */
static bool feed_stream(struct mux *mux, struct stream *stream)
{
	uint8_t data[CHUNK];
	bool fed = false;

	for (unsigned i = 0; i < ROUNDS && !stream->blocked; i++) {
		uint64_t lost;
		size_t n, sent;

		if (!send_notice(stream))
			return fed;
		n = ring_read(mux, &stream->pos, &lost, data, sizeof(data));
		if (lost) {
			set_notice(stream, lost);
			continue;
		}
		sent = n ? send_some(stream, data, n) : 0;
		if (!sent)
			return fed;
		stream->pos += sent;
		fed = true;
	}
	return fed;
}

static bool feed_log(struct mux *mux)
{
	uint8_t data[CHUNK];
	bool fed = false;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t lost;
		size_t n = ring_read(mux, &mux->log_pos, &lost, data, sizeof(data));

		if (lost) {
			g_autofree char *text = g_strdup_printf("\n[lodge: %" G_GUINT64_FORMAT " bytes lost]\n", lost);

			log_file_write(mux->log, (const uint8_t *)text, strlen(text));
		}
		if (!n)
			break;
		log_file_write(mux->log, data, n);
		mux->log_pos += n;
		fed = true;
	}
	return fed;
}

/* Somebody who can be fed is behind. */
static bool is_behind(struct mux *mux)
{
	bool behind;

	g_mutex_lock(&mux->base.lock);
	behind = mux->log && mux->log_pos < mux->head;
	for (guint i = 0; i < mux->streams->len; i++) {
		const struct stream *stream = g_ptr_array_index(mux->streams, i);

		behind |= stream->tag && !stream->blocked && stream->pos < mux->head;
	}
	g_mutex_unlock(&mux->base.lock);
	return behind;
}

static void dispatch_output(struct mux *mux)
{
	bool fed = mux->log && feed_log(mux);

	for (guint i = 0; i < mux->streams->len; i++) {
		struct stream *stream = g_ptr_array_index(mux->streams, i);

		if (!stream->tag)
			continue;
		if (stream->blocked && (g_source_query_unix_fd(mux->source, stream->tag) & G_IO_OUT))
			stream->blocked = false;
		fed |= feed_stream(mux, stream);
		watch(mux, stream);
	}
	if (fed) {
		atomic_store(&mux->scheduled, true);
		g_source_set_ready_time(mux->source, g_get_monotonic_time() + PACE_USEC);
		return;
	}
	atomic_store(&mux->scheduled, false);
	if (is_behind(mux) && !atomic_exchange(&mux->scheduled, true))
		wake(mux);
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
	struct mux *mux = ((struct mux_source *)source)->mux;

	(void)fn;
	(void)data;
	/* First of all: a wake-up from another thread after this line stays in force. */
	g_source_set_ready_time(source, -1);
	dispatch_input(mux);
	dispatch_output(mux);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { .dispatch = source_dispatch };

/* --- attaching --- */

unsigned mux_viewers(const struct chardev *chardev)
{
	const struct mux *mux = (const struct mux *)(const void *)chardev;
	unsigned n = 0;

	for (guint i = 0; i < mux->streams->len; i++)
		n += ((const struct stream *)g_ptr_array_index(mux->streams, i))->tag != NULL;
	return n;
}

static struct stream *find_writer(const struct mux *mux)
{
	for (guint i = 0; i < mux->streams->len; i++) {
		struct stream *stream = g_ptr_array_index(mux->streams, i);

		if (stream->tag && stream->writer)
			return stream;
	}
	return NULL;
}

bool mux_has_writer(const struct chardev *chardev)
{
	return find_writer((const struct mux *)(const void *)chardev) != NULL;
}

/* The user of a stream that is put out is told when he still listens. */
static void put_out(struct mux *mux, struct stream *stream)
{
	static const char notice[] = "\r\n[lodge: another session has taken this console over]\r\n";

	if (stream->notices)
		send_some(stream, notice, sizeof(notice) - 1);
	drop(mux, stream);
}

static bool may_attach(struct mux *mux, unsigned flags, GError **err)
{
	struct stream *writer = find_writer(mux);

	/* Somebody who has just been killed is no reason to refuse, even before the loop has seen it. */
	if (writer && !(flags & MUX_FORCE)) {
		struct pollfd pfd = { .fd = writer->fd };

		if (poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLHUP | POLLERR))) {
			leave(mux, writer);
			writer = NULL;
		}
	}
	if ((flags & MUX_SAFE) && !(flags & MUX_FORCE) && mux_viewers(&mux->base))
		return fail(err, LODGE_ERROR_STATE, "somebody else is attached to this console");
	if (writer && !(flags & (MUX_READONLY | MUX_FORCE)))
		return fail(
			err, LODGE_ERROR_STATE,
			"an active console session exists for this domain: --force takes it over, --readonly watches it");
	if (mux_viewers(&mux->base) >= MAX_STREAMS)
		return fail(err, LODGE_ERROR_STATE, "%u sessions are attached to this console already", MAX_STREAMS);
	return true;
}

static void put_out_others(struct mux *mux, unsigned flags)
{
	for (guint i = mux->streams->len; i-- > 0;) {
		struct stream *stream = g_ptr_array_index(mux->streams, i);

		if (stream->writer ? !(flags & MUX_READONLY) || (flags & MUX_SAFE) : flags & MUX_SAFE)
			put_out(mux, stream);
	}
}

static void add_stream(struct mux *mux, int fd_consume, unsigned flags)
{
	struct stream *stream = g_new0(struct stream, 1);

	stream->fd = fd_consume;
	stream->writer = !(flags & MUX_READONLY);
	stream->notices = !(flags & MUX_NO_NOTICES);
	g_mutex_lock(&mux->base.lock);
	stream->pos = flags & MUX_NO_REPLAY ? mux->head : mux->head - mux->ring.len;
	g_mutex_unlock(&mux->base.lock);
	stream->tag = g_source_add_unix_fd(mux->source, stream->fd, G_IO_IN);
	g_ptr_array_add(mux->streams, stream);
	readers_changed(mux);
	atomic_store(&mux->scheduled, true);
	wake(mux);
}

int mux_attach(struct chardev *chardev, unsigned flags, GError **err)
{
	struct mux *mux = mux_of(chardev);
	int fds[2];

	if (!may_attach(mux, flags, err))
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		fail_errno(err, "no socket for the console");
		return -1;
	}
	if (flags & MUX_FORCE)
		put_out_others(mux, flags);
	add_stream(mux, fds[0], flags);
	return fds[1];
}

void mux_send_break(struct chardev *chardev)
{
	chardev_push_break(chardev);
}

void mux_resize(struct chardev *chardev, uint16_t cols, uint16_t rows)
{
	if (chardev->client && chardev->client->resized)
		chardev->client->resized(chardev->opaque, cols, rows);
}

/* --- the back end --- */

static size_t backend_receive(void *opaque, const uint8_t *data, size_t len)
{
	struct mux *mux = opaque;
	size_t taken = mux->base.client ? mux->base.client->receive(mux->base.opaque, data, len) : 0;

	if (mux->stats)
		stats_add(&mux->stats->in_bytes, MIN(taken, len));
	return taken;
}

static void backend_break(void *opaque)
{
	chardev_push_break(&((struct mux *)opaque)->base);
}

/* Who comes gets what the ring has; what he left behind unread is not for the next one. */
static void backend_connected(void *opaque, bool connected)
{
	struct mux *mux = opaque;
	uint8_t data[CHUNK];
	size_t n;

	g_mutex_lock(&mux->base.lock);
	mux->backend_live = connected;
	for (size_t off = 0; connected && (n = byte_ring_copy(&mux->ring, off, data, sizeof(data))); off += n)
		chardev_write(mux->backend, data, n);
	g_mutex_unlock(&mux->base.lock);
	if (!connected) {
		g_mutex_lock(&mux->backend->lock);
		byte_ring_clear(&mux->backend->ring);
		g_mutex_unlock(&mux->backend->lock);
	}
	readers_changed(mux);
}

static const struct chardev_client backend_client = {
	.receive = backend_receive,
	.send_break = backend_break,
	.connected = backend_connected,
};

/* --- life --- */

static void mux_client_changed(struct chardev *chardev)
{
	struct mux *mux = mux_of(chardev);

	mux_accept_input(chardev);
	wake(mux);
}

static const char *mux_path(const struct chardev *chardev)
{
	const struct mux *mux = (const struct mux *)(const void *)chardev;

	return mux->backend ? chardev_path(mux->backend) : NULL;
}

/* The guest's last words, for those who keep reading. */
static void mux_drain(struct chardev *chardev)
{
	struct mux *mux = mux_of(chardev);

	if (mux->backend)
		chardev_set_client(mux->backend, NULL, NULL);
	while (mux->log && feed_log(mux))
		;
	for (guint i = 0; i < mux->streams->len; i++) {
		struct stream *stream = g_ptr_array_index(mux->streams, i);
		struct pollfd pfd = { .fd = stream->fd, .events = POLLOUT };

		while (stream->tag && poll(&pfd, 1, LAST_WORDS_MS) > 0 && (pfd.revents & POLLOUT)) {
			stream->blocked = false;
			if (!feed_stream(mux, stream) && !stream->blocked)
				break;
		}
	}
}

static void mux_destroy(struct chardev *chardev)
{
	struct mux *mux = mux_of(chardev);

	chardev_free(mux->backend);
	g_source_destroy(mux->source);
	g_source_unref(mux->source);
	g_ptr_array_unref(mux->streams);
	log_file_free(mux->log);
	g_main_context_unref(mux->context);
	byte_ring_clear(&mux->ring);
	g_free(mux);
}

static const struct chardev_class mux_class = {
	.name = "mux",
	.path = mux_path,
	.write = mux_write,
	.accept_input = mux_accept_input,
	.client_changed = mux_client_changed,
	.drain = mux_drain,
	.destroy = mux_destroy,
};

struct chardev *mux_new(GMainContext *context, size_t ring_size, struct chardev *backend_consume,
			const struct mux_log *log, GError **err)
{
	autoptr(log_file) log_file = NULL;
	struct mux *mux;

	if (log && log->path) {
		log_file = log_file_new(log, err);
		if (!log_file) {
			chardev_free(backend_consume);
			return NULL;
		}
	}
	mux = g_new0(struct mux, 1);
	chardev_init(&mux->base, &mux_class, NULL);
	mux->context = g_main_context_ref(context);
	mux->ring.max = ring_size;
	mux->streams = g_ptr_array_new_with_free_func(stream_free);
	mux->log = g_steal_pointer(&log_file);
	mux->source = g_source_new(&source_funcs, sizeof(struct mux_source));
	((struct mux_source *)mux->source)->mux = mux;
	g_source_set_static_name(mux->source, "mux");
	g_source_attach(mux->source, context);
	mux->backend = backend_consume;
	if (mux->backend) {
		mux->backend_live = chardev_is_connected(mux->backend);
		chardev_set_client(mux->backend, &backend_client, mux);
	}
	readers_changed(mux);
	return &mux->base;
}

void mux_set_stats(struct chardev *chardev, struct stats_port *stats)
{
	mux_of(chardev)->stats = stats;
	readers_changed(mux_of(chardev));
}

void mux_set_tail(struct chardev *chardev, struct stats_page *page)
{
	mux_of(chardev)->tail = page;
}
