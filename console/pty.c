/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"
#include "console/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <termios.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * A pseudo-terminal that any terminal program can open. We keep its slave side open ourselves, so that the master side
 * never hangs up (which would have to be polled); who else opens and closes it inotify tells. While nobody has it open
 * nothing is written to it. A host that gives no inotify instance (there is a limit for each user) costs only that:
 * then somebody seems to be there always, and who comes first sees a few kilobytes of old output.
 */
struct pty_chardev {
	struct chardev base;
	int master, slave, watcher;
	GSource *watching;
	unsigned n_open; /* by others */
	char path[64];
};

/* Raw, as a line of bytes should be, whatever the last program did with it. */
static void make_raw(struct pty_chardev *self)
{
	struct termios modes;

	if (tcgetattr(self->slave, &modes))
		return;
	cfmakeraw(&modes);
	tcsetattr(self->slave, TCSANOW, &modes);
}

static void on_opened(struct pty_chardev *self)
{
	if (self->n_open++ == 0)
		chardev_set_fds(&self->base, self->master, self->master);
}

static void on_closed(struct pty_chardev *self)
{
	if (!self->n_open || --self->n_open)
		return;
	chardev_set_fds(&self->base, -1, -1);
	/* What he did not read is not for the next one. */
	tcflush(self->master, TCIOFLUSH);
	tcflush(self->slave, TCIOFLUSH);
	make_raw(self);
}

static gboolean on_watch(gint fd, GIOCondition condition, gpointer data)
{
	_Alignas(struct inotify_event) char buf[4096];
	struct pty_chardev *self = data;
	ssize_t len = read(fd, buf, sizeof(buf));

	(void)condition;
	for (ssize_t off = 0; off + (ssize_t)sizeof(struct inotify_event) <= len;) {
		struct inotify_event event;

		memcpy(&event, buf + off, sizeof(event));
		off += (ssize_t)(sizeof(event) + event.len);
		if (event.mask & IN_OPEN)
			on_opened(self);
		else if (event.mask & IN_CLOSE)
			on_closed(self);
	}
	return G_SOURCE_CONTINUE;
}

/* False: the host does not tell. */
static bool watch_users(struct pty_chardev *self, GMainContext *context)
{
	self->watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (self->watcher < 0 || inotify_add_watch(self->watcher, self->path, IN_OPEN | IN_CLOSE) < 0) {
		fd_close(&self->watcher);
		return false;
	}
	self->watching = g_unix_fd_source_new(self->watcher, G_IO_IN);
	g_source_set_callback(self->watching, G_SOURCE_FUNC(on_watch), self, NULL);
	g_source_attach(self->watching, context);
	return true;
}

static void pty_hangup(struct chardev *chardev)
{
	/* The slave side is open: this is an error of the host's, and there is nothing to wait for. */
	chardev_set_fds(chardev, -1, -1);
}

static const char *pty_path(const struct chardev *chardev)
{
	return ((const struct pty_chardev *)(const void *)chardev)->path;
}

static void pty_destroy(struct chardev *chardev)
{
	struct pty_chardev *self = (struct pty_chardev *)(void *)chardev;

	if (self->watching) {
		g_source_destroy(self->watching);
		g_source_unref(self->watching);
	}
	fd_close(&self->watcher);
	fd_close(&self->master);
	fd_close(&self->slave);
	g_free(self);
}

static const struct chardev_class pty_class = {
	.name = "pty",
	.hangup = pty_hangup,
	.path = pty_path,
	.destroy = pty_destroy,
};

static bool open_pair(struct pty_chardev *self, GError **err)
{
	self->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (self->master < 0 || grantpt(self->master) || unlockpt(self->master) ||
	    ptsname_r(self->master, self->path, sizeof(self->path)))
		return fail_errno(err, "no pseudo-terminal");
	self->slave = open(self->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (self->slave < 0)
		return fail_errno(err, "%s: cannot open the pseudo-terminal", self->path);
	make_raw(self);
	return true;
}

struct chardev *chardev_new_pty(GMainContext *context, GError **err)
{
	struct pty_chardev *self = g_new0(struct pty_chardev, 1);

	self->master = self->slave = self->watcher = -1;
	if (!open_pair(self, err)) {
		fd_close(&self->master);
		g_free(self);
		return NULL;
	}
	chardev_init(&self->base, &pty_class, context);
	if (!watch_users(self, context))
		chardev_set_fds(&self->base, self->master, self->master);
	return &self->base;
}
