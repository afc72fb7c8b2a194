/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"

#include <fcntl.h>

#include "core/base/error.h"
#include "core/base/fd.h"

static void file_destroy(struct chardev *chardev)
{
	fd_close(&chardev->out_fd);
	g_free(chardev);
}

static const struct chardev_class file_class = {
	.name = "file",
	.destroy = file_destroy,
};

struct chardev *chardev_new_file(GMainContext *context, const char *path, GError **err)
{
	/* A FIFO nobody reads answers ENXIO instead of waiting. */
	auto_fd int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	struct chardev *chardev;

	if (fd < 0)
		return fail_errno_null(err, "%s: cannot open for the console's output", path);
	chardev = g_new0(struct chardev, 1);
	chardev_init(chardev, &file_class, context);
	chardev_set_fds(chardev, -1, fd_steal(&fd));
	return chardev;
}
