/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * A listening socket with one client at a time. Without a client the ring keeps the latest output, which the next
 * client is shown first. A client that only shuts down its sending side stays and keeps reading.
 */
struct unix_chardev {
	struct chardev base;
	char *path;
	int listener, client;
	GSource *accepting;
	dev_t dev; /* of the socket file, to unlink no other */
	ino_t ino;
};

static bool fill_address(struct sockaddr_un *addr, const char *path, GError **err)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || strlen(path) >= sizeof(addr->sun_path))
		return fail(err, LODGE_ERROR_INPUT, "%s: the path of a socket has 1 to %zu bytes", path,
			    sizeof(addr->sun_path) - 1);
	memcpy(addr->sun_path, path, strlen(path));
	return true;
}

/* A socket file nobody listens on any more is removed; anything else at path stays. */
static void remove_stale(const struct sockaddr_un *addr)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0 || lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) && errno == ECONNREFUSED)
		unlink(addr->sun_path);
}

static int listen_at(const char *path, GError **err)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;

	if (!fill_address(&addr, path, err))
		return -1;
	if (fd < 0) {
		fail_errno(err, "%s: no socket", path);
		return -1;
	}
	remove_stale(&addr);
	/*
	 * The mode of an unbound socket is the one bind() creates the file with: it is never open to others, not even
	 * for a moment.
	 */
	if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4)) {
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

static const struct chardev_class unix_class = {
	.name = "unix",
	.hangup = unix_hangup,
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
