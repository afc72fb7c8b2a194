/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"

#define CONNECT_TIMEOUT_S 10

enum rundir_state rundir_probe(const struct home *home, const char *name)
{
	g_autofree char *path = home_vm_path(home, name, "lock");
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	g_autofree char *dir = NULL;

	if (fd >= 0)
		return flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK ? RUNDIR_OWNED : RUNDIR_STALE;
	if (errno != ENOENT)
		return RUNDIR_NONE;
	/* Its maker was killed before it came to the lock, or has not come to it yet. */
	dir = home_vm_path(home, name, NULL);
	return access(dir, F_OK) ? RUNDIR_NONE : RUNDIR_STALE;
}

GPtrArray *rundir_names(const struct home *home)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *path = g_build_filename(home->runtime_dir, "vm", NULL);
	const struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			g_ptr_array_add(names, g_strdup(entry->d_name));
	}
	if (dir)
		closedir(dir);
	return names;
}

int rundir_make(const struct home *home, const char *name, GError **err)
{
	g_autofree char *parent = g_build_filename(home->runtime_dir, "vm", NULL);
	g_autofree char *path = home_vm_path(home, name, NULL);
	g_autofree char *lock = home_vm_path(home, name, "lock");
	int fd;

	if (!dir_make(parent, 0700, err))
		return -1;
	if (mkdir(path, 0700)) {
		fail_errno(err, "%s: cannot make this directory", path);
		return -1;
	}
	/* A tester may have it for a moment. */
	fd = file_lock(AT_FDCWD, lock, true, err);
	if (fd < 0)
		dir_remove(AT_FDCWD, path, NULL);
	return fd;
}

bool rundir_remove(const struct home *home, const char *name, GError **err)
{
	g_autofree char *path = home_vm_path(home, name, NULL);

	return dir_remove(AT_FDCWD, path, err);
}

/* --- ids --- */

static int highest_running(const struct home *home)
{
	g_autoptr(GPtrArray) names = rundir_names(home);
	int highest = 0;

	for (guint i = 0; i < names->len; i++) {
		const struct stats_page *page = rundir_map_page(home, names->pdata[i]);

		if (page)
			highest = MAX(highest, (int)MIN(page->id, (uint32_t)G_MAXINT - 1));
		rundir_unmap_page(page);
	}
	return highest;
}

int rundir_next_id(const struct home *home, GError **err)
{
	g_autofree char *path = g_build_filename(home->runtime_dir, "last-id", NULL);
	g_autofree char *text = file_read(AT_FDCWD, path, 32, NULL, NULL);
	char number[16];
	guint64 last;

	if (!text || !g_ascii_string_to_unsigned(g_strchomp(text), 10, 0, G_MAXINT - 1, &last, NULL))
		last = (guint64)highest_running(home);
	g_snprintf(number, sizeof(number), "%d\n", (int)last + 1);
	return file_publish(AT_FDCWD, path, number, strlen(number), 0600, err) ? (int)last + 1 : -1;
}

/* --- statistics page --- */

const struct stats_page *rundir_map_page(const struct home *home, const char *name)
{
	g_autofree char *path = home_vm_path(home, name, "stats");
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	void *page;

	if (fd < 0 || fstat(fd, &st) || st.st_size < (off_t)sizeof(struct stats_page))
		return NULL;
	page = mmap(NULL, sizeof(struct stats_page), PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return NULL;
	if (stats_page_valid(page, sizeof(struct stats_page)))
		return page;
	munmap(page, sizeof(struct stats_page));
	return NULL;
}

void rundir_unmap_page(const struct stats_page *page)
{
	if (page)
		munmap((void *)(uintptr_t)page, sizeof(*page));
}

/* --- sockets --- */

static bool fill_address(struct sockaddr_un *addr, int dir, const char *file)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return g_snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", dir, file) <
	       (int)sizeof(addr->sun_path);
}

int rundir_listen(const char *dir, const char *file, GError **err)
{
	auto_fd int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;

	/* The mode an unbound socket has is the one its file is made with. */
	if (dir_fd < 0 || fd < 0 || !fill_address(&addr, dir_fd, file) || fchmod(fd, 0600) ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 64)) {
		fail_errno(err, "%s/%s: cannot listen", dir, file);
		return -1;
	}
	return fd_steal(&fd);
}

int rundir_connect(const char *dir, const char *file, GError **err)
{
	auto_fd int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* A VM that accepts nobody any more must not hold us for ever. */
	struct timeval limit = { .tv_sec = CONNECT_TIMEOUT_S };
	struct sockaddr_un addr;

	if (dir_fd >= 0 && fd >= 0 && fill_address(&addr, dir_fd, file) &&
	    !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) &&
	    !connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) && !fcntl(fd, F_SETFL, O_NONBLOCK))
		return fd_steal(&fd);
	if (errno == ENOENT || errno == ECONNREFUSED)
		fail(err, LODGE_ERROR_STATE, "domain is not running");
	else
		fail_errno(err, "%s/%s: cannot connect", dir, file);
	return -1;
}
