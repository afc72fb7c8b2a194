/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/client.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>

#include "core/base/error.h"
#include "core/base/fd.h"

#define CONNECT_MS 10000 /* how long the start of a VM waits for a peer it needs */

static void stop_waiting(struct client *client)
{
	if (!client->waiting)
		return;
	g_source_destroy(client->waiting);
	g_clear_pointer(&client->waiting, g_source_unref);
}

static void wait_for(struct client *client, GSource *source_consume, GSourceFunc fn)
{
	stop_waiting(client);
	client->waiting = source_consume;
	g_source_set_callback(client->waiting, fn, client, NULL);
	g_source_attach(client->waiting, client->context);
}

static gboolean try_again(gpointer data);

static void try_later(struct client *client)
{
	fd_close(&client->connecting);
	if (client->reconnect_s)
		wait_for(client, g_timeout_source_new_seconds(client->reconnect_s), try_again);
	else
		stop_waiting(client);
}

static gboolean on_connected(gint fd, GIOCondition condition, gpointer data)
{
	struct client *client = data;

	(void)condition;
	if (!socket_connected(fd)) {
		try_later(client);
		return G_SOURCE_REMOVE;
	}
	stop_waiting(client);
	client->ready(client->opaque, fd_steal(&client->connecting));
	return G_SOURCE_REMOVE;
}

static void begin(struct client *client)
{
	client->connecting = socket_begin_connect(&client->address);
	if (client->connecting < 0)
		try_later(client);
	else
		wait_for(client, g_unix_fd_source_new(client->connecting, G_IO_OUT), G_SOURCE_FUNC(on_connected));
}

static gboolean try_again(gpointer data)
{
	begin(data);
	return G_SOURCE_REMOVE;
}

static bool connect_now(struct client *client, const char *what, GError **err)
{
	auto_fd int fd = socket_begin_connect(&client->address);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	if (fd < 0)
		return fail_errno(err, "%s: cannot connect", what);
	if (poll(&pfd, 1, CONNECT_MS) <= 0)
		return fail(err, LODGE_ERROR_SYSTEM, "%s: cannot connect: no answer", what);
	if (!socket_connected(fd))
		return fail_errno(err, "%s: cannot connect", what);
	client->ready(client->opaque, fd_steal(&fd));
	return true;
}

bool client_start(struct client *client, const char *what, GError **err)
{
	client->connecting = -1;
	if (!client->reconnect_s)
		return connect_now(client, what, err);
	begin(client);
	return true;
}

void client_restart(struct client *client)
{
	try_later(client);
}

void client_stop(struct client *client)
{
	stop_waiting(client);
	fd_close(&client->connecting);
}
