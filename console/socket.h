/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_SOCKET_H
#define LODGE_CONSOLE_SOCKET_H

#include <glib.h>
#include <stdbool.h>
#include <sys/socket.h>

/* What the chardevs on sockets share. Every descriptor is non-blocking and closed on exec. */
struct socket_address {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* A UNIX socket's; LODGE_ERROR_INPUT when the path does not fit. */
bool socket_unix_address(struct socket_address *address, const char *path, GError **err);

/* Begins to connect: a descriptor that becomes writable when it is done, or -1 (errno). */
int socket_begin_connect(const struct socket_address *address);

/* Whether a connection that was begun is there; errno says why not. */
bool socket_connected(int fd);

#endif
