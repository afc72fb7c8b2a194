/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_ONE_HOME_H
#define LODGE_TESTS_ONE_HOME_H

#include <fcntl.h>
#include <glib.h>

#include "core/base/cleanup.h"
#include "core/base/file.h"
#include "core/home.h"

/* A home of a test's own in a temporary directory, which goes with it. */
struct one_home {
	char *dir;
	struct home *home;
};

static inline struct one_home *one_home_new(void)
{
	struct one_home *one = g_new0(struct one_home, 1);

	one->dir = g_dir_make_tmp("lodge-test-XXXXXX", NULL);
	g_assert_nonnull(one->dir);
	g_setenv("LODGE_HOME", one->dir, TRUE);
	one->home = home_open(NULL, false, NULL);
	g_assert_nonnull(one->home);
	return one;
}

static inline void one_home_free(struct one_home *one)
{
	home_free(one->home);
	dir_remove(AT_FDCWD, one->dir, NULL);
	g_free(one->dir);
	g_free(one);
}
DEFINE_AUTOPTR(one_home, one_home_free)

#endif
