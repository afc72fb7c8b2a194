/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/mux.h"

#include <fcntl.h>
#include <unistd.h>

#include "console/chardev-private.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/model/vm-config.h"

/* From a definition's words to the chardevs: one row for each kind. */

static struct chardev *open_null(GMainContext *context, const struct vm_port_config *port, GError **err)
{
	(void)context;
	(void)port;
	(void)err;
	return NULL;
}

static struct chardev *open_pty(GMainContext *context, const struct vm_port_config *port, GError **err)
{
	(void)port;
	return chardev_new_pty(context, err);
}

static struct chardev *open_unix(GMainContext *context, const struct vm_port_config *port, GError **err)
{
	return port->listen ? chardev_new_unix(context, port->path, err) :
			      chardev_new_unix_connect(context, port->path, port->reconnect_s, err);
}

static struct chardev *open_tcp(GMainContext *context, const struct vm_port_config *port, GError **err)
{
	return chardev_new_tcp(context, port->host, port->service, port->listen, port->telnet, port->reconnect_s, err);
}

static struct chardev *open_file(GMainContext *context, const struct vm_port_config *port, GError **err)
{
	return port->append ? chardev_new_file(context, port->path, err) :
			      chardev_new_file_truncated(context, port->path, err);
}

/* A VM without a terminal: its log gets the output, and there is no input. */
static struct chardev *open_stdio(GMainContext *context, const struct vm_port_config *port, GError **err)
{
	auto_fd int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)port;
	return chardev_new_streams(context, in, STDERR_FILENO, NULL, NULL, err);
}

static const struct {
	struct chardev *(*open)(GMainContext *context, const struct vm_port_config *port, GError **err);
	bool path, service; /* needed */
} kinds[VM_N_PORT_KINDS] = {
	[VM_PORT_NULL] = { .open = open_null },
	[VM_PORT_PTY] = { .open = open_pty },
	[VM_PORT_UNIX] = { .open = open_unix, .path = true },
	[VM_PORT_TCP] = { .open = open_tcp, .service = true },
	[VM_PORT_FILE] = { .open = open_file, .path = true },
	[VM_PORT_STDIO] = { .open = open_stdio },
};

bool chardev_new_backend(GMainContext *context, const struct vm_port_config *port, struct chardev **backend,
			 GError **err)
{
	const char *who = port->alias ? port->alias : "port";
	GError *error = NULL;

	if ((unsigned)port->kind >= VM_N_PORT_KINDS || !kinds[port->kind].open)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "%s: this kind of back end is not supported", who);
	if ((kinds[port->kind].path && !port->path) || (kinds[port->kind].service && !port->service))
		return fail(err, LODGE_ERROR_INPUT, "%s: the back end has no %s", who, port->path ? "service" : "path");
	*backend = kinds[port->kind].open(context, port, &error);
	if (!error)
		return true;
	g_propagate_prefixed_error(err, error, "%s: ", who);
	return false;
}

struct chardev *mux_new_port(GMainContext *context, const struct vm_port_config *port, GError **err)
{
	const struct mux_log log = {
		.path = port->log_path,
		.append = port->log_append,
		.max_size = MUX_LOG_SIZE_DEFAULT,
		.keep = MUX_LOG_KEEP_DEFAULT,
	};
	struct chardev *backend = NULL;

	if (!chardev_new_backend(context, port, &backend, err))
		return NULL;
	return mux_new(context, MUX_RING_DEFAULT, backend, &log, err);
}
