/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>

#include "core/base/error.h"
#include "core/base/fd.h"

bool socket_unix_address(struct socket_address *address, const char *path, GError **err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return fail(err, LODGE_ERROR_INPUT, "%s: the path of a socket has 1 to %zu bytes", path,
			    sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path));
	memcpy(&address->addr, &addr, sizeof(addr));
	address->len = sizeof(addr);
	return true;
}

int socket_begin_connect(const struct socket_address *address)
{
	int family = address->addr.ss_family;
	auto_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	/* A key at a time must not wait for the next one. */
	if (family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (connect(fd, (const struct sockaddr *)&address->addr, address->len) && errno != EINPROGRESS)
		return -1;
	return fd_steal(&fd);
}

bool socket_connected(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return false;
	errno = error;
	return !error;
}
