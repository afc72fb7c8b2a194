/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static enum fault mode;
static unsigned count, limit;

void fault_arm(enum fault new_mode, unsigned nth)
{
	mode = new_mode;
	limit = nth;
	count = 0;
}

unsigned fault_disarm(void)
{
	mode = FAULT_NONE;
	return count;
}

/* True: this call fails. */
static bool strike(bool needs_space)
{
	if (mode == FAULT_NONE)
		return false;
	count++;
	if (count == limit && mode == FAULT_KILL)
		_exit(FAULT_STATUS);
	if (count == limit || (mode == FAULT_FULL && count > limit && needs_space)) {
		errno = ENOSPC;
		return true;
	}
	return false;
}

#define REAL(name) ((__typeof__(&name))(void *)dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t len)
{
	ssize_t (*real)(int, const void *, size_t) = REAL(write);

	if (fd <= 2 || mode == FAULT_NONE)
		return real(fd, data, len);
	/* Half of it gets there. */
	if (count + 1 == limit && len > 1 && real(fd, data, len / 2) < 0)
		return -1;
	return strike(true) ? -1 : real(fd, data, len);
}

int fsync(int fd)
{
	return strike(true) ? -1 : REAL(fsync)(fd);
}

int ftruncate(int fd, off_t length)
{
	return strike(true) ? -1 : REAL(ftruncate)(fd, length);
}

int fchmod(int fd, mode_t bits)
{
	return strike(false) ? -1 : REAL(fchmod)(fd, bits);
}

int openat(int dir, const char *path, int flags, ...)
{
	mode_t bits = 0;

	if (flags & O_CREAT) {
		va_list ap;

		va_start(ap, flags);
		bits = va_arg(ap, mode_t);
		va_end(ap);
		if (strike(true))
			return -1;
	}
	return REAL(openat)(dir, path, flags, bits);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return strike(true) ? -1 : REAL(renameat)(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return strike(true) ? -1 : REAL(renameat2)(from_dir, from, to_dir, to, flags);
}

int unlink(const char *path)
{
	return strike(false) ? -1 : REAL(unlink)(path);
}

int unlinkat(int dir, const char *path, int flags)
{
	return strike(false) ? -1 : REAL(unlinkat)(dir, path, flags);
}

int symlink(const char *target, const char *path)
{
	return strike(true) ? -1 : REAL(symlink)(target, path);
}

int mkdir(const char *path, mode_t bits)
{
	return strike(true) ? -1 : REAL(mkdir)(path, bits);
}
