/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * A replacement is written to one file per directory, TEMP_NAME, whose lock its writer holds. So writers in one
 * directory take turns, a killed one leaves at most this one file, and the next one writes over it. Who got the lock of
 * a file that has been renamed away in the meantime tries again.
 */
#define TEMP_NAME ".new"
#define MAX_DEPTH 64u /* of a directory that is removed */

/* The directory a path is in; *base is set to its last part. */
static int open_parent(int dirfd, const char *path, const char **base, GError **err)
{
	const char *slash = strrchr(path, '/');
	g_autofree char *parent = slash ? g_strndup(path, slash == path ? 1 : (gsize)(slash - path)) : g_strdup(".");
	int fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*base = slash ? slash + 1 : path;
	if (fd < 0)
		fail_errno(err, "%s: cannot open its directory", path);
	return fd;
}

bool dir_sync_parent(int dirfd, const char *path, GError **err)
{
	const char *base;
	auto_fd int dir = open_parent(dirfd, path, &base, err);

	if (dir < 0)
		return false;
	return !fsync(dir) || fail_errno(err, "%s: cannot write its directory", path);
}

/* --- reading --- */

static bool read_all(int fd, const char *path, char *data, size_t size, size_t *len, GError **err)
{
	*len = 0;
	while (*len < size) {
		ssize_t n = read(fd, data + *len, size - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "%s: cannot read", path);
		if (!n)
			break;
		*len += (size_t)n;
	}
	return true;
}

char *file_read(int dirfd, const char *path, size_t max, size_t *len, GError **err)
{
	/* Not to wait for a writer of what turns out to be a FIFO. */
	auto_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	g_autofree char *data = NULL;
	struct stat st;
	size_t got;

	if (fd < 0 || fstat(fd, &st))
		return fail_errno_null(err, "%s: cannot open", path);
	if (!S_ISREG(st.st_mode))
		return fail_null(err, LODGE_ERROR_INPUT, "%s: not a regular file", path);
	if (st.st_size < 0 || (uintmax_t)st.st_size > max)
		return fail_null(err, LODGE_ERROR_INPUT, "%s: larger than %zu bytes", path, max);
	data = g_try_malloc((size_t)st.st_size + 1);
	if (!data)
		return fail_null(err, LODGE_ERROR_SYSTEM, "%s: not enough memory", path);
	if (!read_all(fd, path, data, (size_t)st.st_size, &got, err))
		return NULL;
	data[got] = '\0';
	if (len)
		*len = got;
	return g_steal_pointer(&data);
}

/* --- replacing --- */

static bool same_file(int fd, int dir, const char *name)
{
	struct stat a, b;

	return !fstat(fd, &a) && !fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int lock_fd(int fd, int operation)
{
	int result;

	do
		result = flock(fd, operation);
	while (result && errno == EINTR);
	return result;
}

static int open_temp(int dir, const char *path, GError **err)
{
	for (;;) {
		auto_fd int fd = openat(dir, TEMP_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0 || lock_fd(fd, LOCK_EX)) {
			fail_errno(err, "%s: cannot write", path);
			return -1;
		}
		if (same_file(fd, dir, TEMP_NAME))
			return fd_steal(&fd);
	}
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool fill_temp(int fd, const void *data, size_t len, mode_t mode, bool durable)
{
	return !ftruncate(fd, 0) && !fchmod(fd, mode) && write_all(fd, data, len) && (!durable || !fsync(fd));
}

static bool replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode, bool durable, GError **err)
{
	const char *base;
	auto_fd int dir = open_parent(dirfd, path, &base, err);
	auto_fd int fd = dir < 0 ? -1 : open_temp(dir, path, err);

	if (fd < 0)
		return false;
	if (!fill_temp(fd, data, len, mode, durable) || renameat(dir, TEMP_NAME, dir, base)) {
		fail_errno(err, "%s: cannot write", path);
		unlinkat(dir, TEMP_NAME, 0);
		return false;
	}
	return !durable || !fsync(dir) || fail_errno(err, "%s: cannot write its directory", path);
}

bool file_replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode, GError **err)
{
	return replace(dirfd, path, data, len, mode, true, err);
}

bool file_publish(int dirfd, const char *path, const void *data, size_t len, mode_t mode, GError **err)
{
	return replace(dirfd, path, data, len, mode, false, err);
}

/* --- removing and renaming --- */

bool file_remove(int dirfd, const char *path, GError **err)
{
	if (unlinkat(dirfd, path, 0))
		return errno == ENOENT || fail_errno(err, "%s: cannot remove", path);
	return dir_sync_parent(dirfd, path, err);
}

bool file_rename(int dirfd, const char *from, const char *to, GError **err)
{
	int result = renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE);

	/* A file system that cannot promise it. */
	if (result && errno == EINVAL) {
		if (!faccessat(dirfd, to, F_OK, AT_SYMLINK_NOFOLLOW))
			return fail(err, LODGE_ERROR_STATE, "%s: exists already", to);
		result = renameat(dirfd, from, dirfd, to);
	}
	if (result && errno == EEXIST)
		return fail(err, LODGE_ERROR_STATE, "%s: exists already", to);
	if (result)
		return fail_errno(err, "%s: cannot rename to %s", from, to);
	return dir_sync_parent(dirfd, to, err) && dir_sync_parent(dirfd, from, err);
}

/* --- directories --- */

bool dir_make(const char *path, mode_t mode, GError **err)
{
	const char *slash = strrchr(path, '/');

	if (!mkdir(path, mode))
		return dir_sync_parent(AT_FDCWD, path, err);
	if (errno == EEXIST)
		return g_file_test(path, G_FILE_TEST_IS_DIR) ||
		       fail(err, LODGE_ERROR_INPUT, "%s: not a directory", path);
	if (errno == ENOENT && slash && slash != path) {
		g_autofree char *parent = g_strndup(path, (gsize)(slash - path));

		if (!dir_make(parent, mode, err))
			return false;
		/* Somebody else may have been faster. */
		if (!mkdir(path, mode) || errno == EEXIST)
			return dir_sync_parent(AT_FDCWD, path, err);
	}
	return fail_errno(err, "%s: cannot make this directory", path);
}

static bool remove_below(int parent, const char *name, unsigned depth);

static bool remove_entries(DIR *dir, unsigned depth)
{
	const struct dirent *entry;

	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!unlinkat(dirfd(dir), entry->d_name, 0) || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM)
			return false;
		if (!remove_below(dirfd(dir), entry->d_name, depth + 1))
			return false;
	}
	return true;
}

static bool remove_below(int parent, const char *name, unsigned depth)
{
	auto_fd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool done;
	DIR *dir;

	if (fd < 0)
		return errno == ENOENT;
	if (depth > MAX_DEPTH) {
		errno = ELOOP;
		return false;
	}
	dir = fdopendir(fd);
	if (!dir)
		return false;
	fd_steal(&fd);
	done = remove_entries(dir, depth);
	closedir(dir);
	return done && (!unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT);
}

bool dir_remove(int dirfd, const char *path, GError **err)
{
	return remove_below(dirfd, path, 0) || fail_errno(err, "%s: cannot remove this directory", path);
}

/* --- locks --- */

static int lock_file(int dirfd, const char *path, int operation, GError **err)
{
	auto_fd int fd = openat(dirfd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && !lock_fd(fd, operation))
		return fd_steal(&fd);
	if (fd < 0 || errno != EWOULDBLOCK)
		fail_errno(err, "%s: cannot lock", path);
	return -1;
}

int file_lock(int dirfd, const char *path, bool exclusive, GError **err)
{
	return lock_file(dirfd, path, exclusive ? LOCK_EX : LOCK_SH, err);
}

int file_try_lock(int dirfd, const char *path, GError **err)
{
	return lock_file(dirfd, path, LOCK_EX | LOCK_NB, err);
}
