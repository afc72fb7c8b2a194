/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"
#include "console/mux.h"

#include <errno.h>
#include <glib-unix.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "console/client.h"
#include "console/telnet.h"
#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * A TCP connection, raw or telnet, one peer at a time: one that connects to us, or one that we connect to. Names are
 * looked up once, at the start. Telnet's answers to the peer go out at once and past the ring; one that finds no room
 * is lost, which costs an option, not the console.
 */
struct tcp_chardev {
	struct chardev base;
	struct client client;
	int listener, fd;
	GSource *accepting;
	bool telnet;
	struct telnet state;
	char *path;
};

static struct tcp_chardev *tcp_of(struct chardev *chardev)
{
	return (struct tcp_chardev *)(void *)chardev;
}

static void on_data(void *opaque, const uint8_t *data, size_t len)
{
	chardev_push_input(opaque, data, len);
}

static void on_break(void *opaque)
{
	chardev_push_break(opaque);
}

static void on_reply(void *opaque, const uint8_t *data, size_t len)
{
	struct tcp_chardev *self = opaque;

	if (send(self->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* see above */
}

static const struct telnet_events events = { .data = on_data, .send_break = on_break, .reply = on_reply };

static void telnet_input(struct chardev *chardev, const uint8_t *data, size_t len)
{
	telnet_receive(&tcp_of(chardev)->state, data, len, &events, chardev);
}

static size_t encode(struct chardev *chardev, const uint8_t *data, size_t len, uint8_t *out)
{
	(void)chardev;
	return telnet_encode(data, len, out);
}

static void ready(void *opaque, int fd_consume)
{
	struct tcp_chardev *self = opaque;

	self->fd = fd_consume;
	self->state = (struct telnet){ 0 };
	/* Who connects to a telnet port waits for the server to begin; a server we connect to does it itself. */
	if (self->telnet && self->listener >= 0)
		on_reply(self, telnet_greeting, telnet_greeting_len);
	chardev_set_fds(&self->base, self->fd, self->fd);
}

static void tcp_hangup(struct chardev *chardev)
{
	struct tcp_chardev *self = tcp_of(chardev);

	chardev_set_fds(chardev, -1, -1);
	fd_close(&self->fd);
	if (self->listener < 0)
		client_restart(&self->client);
}

static gboolean on_accept(gint listener, GIOCondition condition, gpointer data)
{
	static const char busy[] = "lodge: this console is in use\r\n";
	struct tcp_chardev *self = data;
	auto_fd int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)condition;
	if (fd < 0)
		return G_SOURCE_CONTINUE;
	if (self->fd >= 0) {
		send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL);
		return G_SOURCE_CONTINUE;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	ready(self, fd_steal(&fd));
	return G_SOURCE_CONTINUE;
}

static const char *tcp_path(const struct chardev *chardev)
{
	return ((const struct tcp_chardev *)(const void *)chardev)->path;
}

static void tcp_destroy(struct chardev *chardev)
{
	struct tcp_chardev *self = tcp_of(chardev);

	if (self->accepting) {
		g_source_destroy(self->accepting);
		g_source_unref(self->accepting);
	}
	client_stop(&self->client);
	fd_close(&self->listener);
	fd_close(&self->fd);
	g_free(self->path);
	g_free(self);
}

static const struct chardev_class raw_class = {
	.name = "tcp",
	.end_is_hangup = true,
	.hangup = tcp_hangup,
	.path = tcp_path,
	.destroy = tcp_destroy,
};

static const struct chardev_class telnet_class = {
	.name = "telnet",
	.end_is_hangup = true,
	.input = telnet_input,
	.encode = encode,
	.hangup = tcp_hangup,
	.path = tcp_path,
	.destroy = tcp_destroy,
};

/* --- starting --- */

static int listen_at(const struct addrinfo *info)
{
	auto_fd int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, 4))
		return -1;
	return fd_steal(&fd);
}

static char *describe(const char *kind, const struct sockaddr_storage *addr, socklen_t len)
{
	char host[NI_MAXHOST], service[NI_MAXSERV];
	bool v6 = addr->ss_family == AF_INET6;

	if (getnameinfo((const struct sockaddr *)addr, len, host, sizeof(host), service, sizeof(service),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return g_strdup(kind);
	return g_strdup_printf(v6 ? "%s:[%s]:%s" : "%s:%s:%s", kind, host, service);
}

static bool start_listening(struct tcp_chardev *self, const struct addrinfo *info, const char *what, GError **err)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);

	for (; info && self->listener < 0; info = info->ai_next)
		self->listener = listen_at(info);
	if (self->listener < 0 || getsockname(self->listener, (struct sockaddr *)&addr, &len))
		return fail_errno(err, "%s: cannot listen", what);
	self->path = describe(self->base.class->name, &addr, len);
	self->accepting = g_unix_fd_source_new(self->listener, G_IO_IN);
	g_source_set_callback(self->accepting, G_SOURCE_FUNC(on_accept), self, NULL);
	g_source_attach(self->accepting, self->base.context);
	return true;
}

/* Each of a name's addresses, until one answers; who comes back again and again needs only the first. */
static bool start_connecting(struct tcp_chardev *self, const struct addrinfo *info, const char *what, GError **err)
{
	for (; info; info = info->ai_next) {
		bool last = !info->ai_next || self->client.reconnect_s;

		memcpy(&self->client.address.addr, info->ai_addr,
		       MIN(info->ai_addrlen, sizeof(self->client.address.addr)));
		self->client.address.len = info->ai_addrlen;
		g_free(self->path);
		self->path = describe(self->base.class->name, &self->client.address.addr, info->ai_addrlen);
		if (client_start(&self->client, what, last ? err : NULL))
			return true;
		if (last)
			break;
	}
	return false;
}

static struct addrinfo *look_up(const char *host, const char *service, bool listening, const char *what, GError **err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = listening ? AI_PASSIVE : 0 }, *info = NULL;
	int error = getaddrinfo(host && *host ? host : NULL, service, &hints, &info);

	if (error)
		return fail_null(err, LODGE_ERROR_INPUT, "%s: %s", what, gai_strerror(error));
	return info;
}

struct chardev *chardev_new_tcp(GMainContext *context, const char *host, const char *service, bool listening,
				bool telnet, unsigned reconnect_s, GError **err)
{
	g_autofree char *what = g_strdup_printf("%s:%s", host && *host ? host : "*", service ? service : "");
	struct addrinfo *info = look_up(host, service, listening, what, err);
	struct tcp_chardev *self;
	bool ok;

	if (!info)
		return NULL;
	self = g_new0(struct tcp_chardev, 1);
	self->listener = self->fd = self->client.connecting = -1;
	self->telnet = telnet;
	self->client.context = context;
	self->client.reconnect_s = reconnect_s;
	self->client.ready = ready;
	self->client.opaque = self;
	chardev_init(&self->base, telnet ? &telnet_class : &raw_class, context);
	ok = listening ? start_listening(self, info, what, err) : start_connecting(self, info, what, err);
	freeaddrinfo(info);
	if (!ok) {
		chardev_free(&self->base);
		return NULL;
	}
	return &self->base;
}
