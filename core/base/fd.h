/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_BASE_FD_H
#define LODGE_CORE_BASE_FD_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* A local `auto_fd int fd = -1;` owns its descriptor: closed once at the end of the scope. */
#define auto_fd __attribute__((cleanup(fd_close)))

/* Closes *fd unless it is -1, and sets it to -1. Never retried: on Linux the descriptor is gone even after EINTR. */
static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Hands the descriptor over: returns it and leaves -1 behind. */
static inline int fd_steal(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
