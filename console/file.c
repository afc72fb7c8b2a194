/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"

#include <fcntl.h>

#include "console/mux.h"
#include "core/base/error.h"
#include "core/base/fd.h"

struct file_chardev {
	struct chardev base;
	char *path;
};

static const char *file_path(const struct chardev *chardev)
{
	return ((const struct file_chardev *)(const void *)chardev)->path;
}

static void file_destroy(struct chardev *chardev)
{
	struct file_chardev *self = (struct file_chardev *)(void *)chardev;

	fd_close(&chardev->out_fd);
	g_free(self->path);
	g_free(self);
}

static const struct chardev_class file_class = {
	.name = "file",
	.path = file_path,
	.destroy = file_destroy,
};

static struct chardev *open_file(GMainContext *context, const char *path, int flags, GError **err)
{
	/* A FIFO nobody reads answers ENXIO instead of waiting. */
	auto_fd int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags, 0600);
	struct file_chardev *self;

	if (fd < 0)
		return fail_errno_null(err, "%s: cannot open for the console's output", path);
	self = g_new0(struct file_chardev, 1);
	self->path = g_strdup(path);
	chardev_init(&self->base, &file_class, context);
	chardev_set_fds(&self->base, -1, fd_steal(&fd));
	return &self->base;
}

struct chardev *chardev_new_file(GMainContext *context, const char *path, GError **err)
{
	return open_file(context, path, 0, err);
}

struct chardev *chardev_new_file_truncated(GMainContext *context, const char *path, GError **err)
{
	return open_file(context, path, O_TRUNC, err);
}
