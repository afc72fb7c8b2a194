/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/home.h"

#define LOG_LIMIT (1 << 20) /* bytes; then a new one is begun */

static bool fill_attributes(posix_spawnattr_t *attributes, bool own_session)
{
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	if (own_session)
		flags |= POSIX_SPAWN_SETSID;
	return !posix_spawnattr_setsigmask(attributes, &none) && !posix_spawnattr_setsigdefault(attributes, &all) &&
	       !posix_spawnattr_setflags(attributes, flags);
}

/* socket and log are above SPAWN_FD, so that no copy is written over before it is made. */
static bool fill_actions(posix_spawn_file_actions_t *actions, int socket, int log)
{
	return !posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0) &&
	       !posix_spawn_file_actions_adddup2(actions, log, 1) &&
	       !posix_spawn_file_actions_adddup2(actions, log, 2) &&
	       !posix_spawn_file_actions_adddup2(actions, socket, SPAWN_FD) &&
	       !posix_spawn_file_actions_addclosefrom_np(actions, SPAWN_FD + 1);
}

static int spawn_with(pid_t *pid, const char *role, const char *name, int socket, int log, bool own_session)
{
	char *argv[] = { (char *)(uintptr_t) "lodge", (char *)(uintptr_t) "--role", (char *)(uintptr_t)role,
			 (char *)(uintptr_t)name, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int result = ENOMEM;

	if (posix_spawn_file_actions_init(&actions))
		return ENOMEM;
	if (!posix_spawnattr_init(&attributes)) {
		if (fill_attributes(&attributes, own_session) && fill_actions(&actions, socket, log))
			result = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return result;
}

pid_t spawn_role(const char *role, const char *name, int socket, int log, bool own_session, GError **err)
{
	auto_fd int high_socket = fcntl(socket, F_DUPFD_CLOEXEC, SPAWN_FD + 1);
	auto_fd int high_log = fcntl(log, F_DUPFD_CLOEXEC, SPAWN_FD + 1);
	pid_t pid = -1;

	if (high_socket >= 0 && high_log >= 0) {
		errno = spawn_with(&pid, role, name, high_socket, high_log, own_session);
		if (!errno)
			return pid;
	}
	fail_errno(err, "cannot start a process for role %s", role);
	return -1;
}

bool spawn_pair(int *ours, int *theirs, GError **err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return fail_errno(err, "no pair of sockets");
	*ours = pair[0];
	*theirs = pair[1];
	return true;
}

char *spawn_log_path(const struct home *home, const char *name)
{
	g_autofree char *file = g_strconcat(name, ".log", NULL);

	return g_build_filename(home->state_dir, "log", file, NULL);
}

int spawn_open_log(const struct home *home, const char *name, GError **err)
{
	g_autofree char *dir = g_build_filename(home->state_dir, "log", NULL);
	g_autofree char *path = spawn_log_path(home, name);
	g_autofree char *old = g_strconcat(path, ".1", NULL);
	struct stat st;
	int fd;

	if (!dir_make(dir, 0700, err))
		return -1;
	if (!stat(path, &st) && st.st_size > LOG_LIMIT)
		rename(path, old);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		fail_errno(err, "%s: cannot open", path);
	return fd;
}
