/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"

static void null_destroy(struct chardev *chardev)
{
	g_free(chardev);
}

static const struct chardev_class null_class = {
	.name = "null",
	.destroy = null_destroy,
};

struct chardev *chardev_new_null(void)
{
	struct chardev *chardev = g_new0(struct chardev, 1);

	chardev_init(chardev, &null_class, NULL);
	return chardev;
}
