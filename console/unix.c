/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console/client.h"
#include "console/mux.h"
#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * A listening socket with one client at a time, or a connection to somebody else's. Without a client the ring keeps the
 * latest output, which the next client is shown first. A client that only shuts down its sending side stays and keeps
 * reading.
 */
struct unix_chardev {
	struct chardev base;
	char *path;
	int listener, client;
	GSource *accepting;
	dev_t dev; /* of the socket file, to unlink no other */
	ino_t ino;
};

/* A socket file nobody listens on any more is removed; anything else at path stays. */
static void remove_stale(const char *path, const struct socket_address *addr)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0 || lstat(path, &st) || !S_ISSOCK(st.st_mode))
		return;
	if (connect(fd, (const struct sockaddr *)&addr->addr, addr->len) && errno == ECONNREFUSED)
		unlink(path);
}

static int listen_at(const char *path, GError **err)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct socket_address addr;

	if (!socket_unix_address(&addr, path, err))
		return -1;
	if (fd < 0) {
		fail_errno(err, "%s: no socket", path);
		return -1;
	}
	remove_stale(path, &addr);
	/*
	 * The mode of an unbound socket is the one bind() creates the file with: it is never open to others, not even
	 * for a moment.
	 */
	if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&addr.addr, addr.len) || listen(fd, 4)) {
		fail_errno(err, "%s: cannot listen", path);
		return -1;
	}
	return fd_steal(&fd);
}

static void unix_hangup(struct chardev *chardev)
{
	struct unix_chardev *self = (struct unix_chardev *)chardev;

	chardev_set_fds(chardev, -1, -1);
	fd_close(&self->client);
}

static gboolean unix_accept(gint listener, GIOCondition condition, gpointer data)
{
	static const char busy[] = "lodge: this console is in use\r\n";
	struct unix_chardev *self = data;
	auto_fd int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)condition;
	if (fd < 0)
		return G_SOURCE_CONTINUE;
	if (self->client >= 0) {
		send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL);
		return G_SOURCE_CONTINUE;
	}
	self->client = fd_steal(&fd);
	chardev_set_fds(&self->base, self->client, self->client);
	return G_SOURCE_CONTINUE;
}

static void unlink_own(struct unix_chardev *self)
{
	struct stat st;

	if (!lstat(self->path, &st) && st.st_dev == self->dev && st.st_ino == self->ino)
		unlink(self->path);
}

static void unix_destroy(struct chardev *chardev)
{
	struct unix_chardev *self = (struct unix_chardev *)chardev;

	g_source_destroy(self->accepting);
	g_source_unref(self->accepting);
	unlink_own(self);
	fd_close(&self->client);
	fd_close(&self->listener);
	g_free(self->path);
	g_free(self);
}

static const char *unix_path(const struct chardev *chardev)
{
	return ((const struct unix_chardev *)(const void *)chardev)->path;
}

static const struct chardev_class unix_class = {
	.name = "unix",
	.hangup = unix_hangup,
	.path = unix_path,
	.destroy = unix_destroy,
};

struct chardev *chardev_new_unix(GMainContext *context, const char *path, GError **err)
{
	int listener = listen_at(path, err);
	struct unix_chardev *self;
	struct stat st;

	if (listener < 0)
		return NULL;
	self = g_new0(struct unix_chardev, 1);
	self->listener = listener;
	self->client = -1;
	self->path = g_strdup(path);
	if (!lstat(path, &st)) {
		self->dev = st.st_dev;
		self->ino = st.st_ino;
	}
	chardev_init(&self->base, &unix_class, context);
	self->accepting = g_unix_fd_source_new(listener, G_IO_IN);
	g_source_set_callback(self->accepting, G_SOURCE_FUNC(unix_accept), self, NULL);
	g_source_attach(self->accepting, context);
	return &self->base;
}

/* --- the side that connects --- */

struct unix_client {
	struct chardev base;
	struct client client;
	char *path;
	int fd;
};

static void client_ready(void *opaque, int fd_consume)
{
	struct unix_client *self = opaque;

	self->fd = fd_consume;
	chardev_set_fds(&self->base, self->fd, self->fd);
}

static void client_hangup(struct chardev *chardev)
{
	struct unix_client *self = (struct unix_client *)(void *)chardev;

	chardev_set_fds(chardev, -1, -1);
	fd_close(&self->fd);
	client_restart(&self->client);
}

static const char *client_path(const struct chardev *chardev)
{
	return ((const struct unix_client *)(const void *)chardev)->path;
}

static void client_destroy(struct chardev *chardev)
{
	struct unix_client *self = (struct unix_client *)(void *)chardev;

	client_stop(&self->client);
	fd_close(&self->fd);
	g_free(self->path);
	g_free(self);
}

static const struct chardev_class unix_client_class = {
	.name = "unix",
	.hangup = client_hangup,
	.path = client_path,
	.destroy = client_destroy,
};

struct chardev *chardev_new_unix_connect(GMainContext *context, const char *path, unsigned reconnect_s, GError **err)
{
	struct unix_client *self = g_new0(struct unix_client, 1);

	self->fd = self->client.connecting = -1;
	self->path = g_strdup(path);
	self->client.context = context;
	self->client.reconnect_s = reconnect_s;
	self->client.ready = client_ready;
	self->client.opaque = self;
	chardev_init(&self->base, &unix_client_class, context);
	if (!socket_unix_address(&self->client.address, path, err) || !client_start(&self->client, path, err)) {
		chardev_free(&self->base);
		return NULL;
	}
	return &self->base;
}
