/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_CLIENT_H
#define LODGE_CONSOLE_CLIENT_H

#include <glib.h>

#include "console/socket.h"

/*
 * The side of a connection that connects, now or, with reconnect_s, again and again until somebody listens. Loop
 * thread.
 */
struct client {
	GMainContext *context;
	struct socket_address address;
	unsigned reconnect_s; /* 0: a lost connection stays lost */
	void (*ready)(void *opaque, int fd_consume);
	void *opaque;
	/* own */
	int connecting;
	GSource *waiting; /* for the connection, or for the next attempt */
};

/*
 * Fills in and begins. Without reconnect_s the connection is there when true comes back (ready() has been called), or
 * not to be had. what: for errors.
 */
bool client_start(struct client *client, const char *what, GError **err);

/* The connection was lost. */
void client_restart(struct client *client);

void client_stop(struct client *client);

#endif
