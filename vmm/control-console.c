/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control-private.h"

#include <string.h>

#include "console/mux.h"
#include "core/base/error.h"

/* Methods around the guest's ports, and descriptors. */
#define RINGBUF_MAX (256u << 10)

static struct vm_port *find_port(struct control_call *call, const char *name, GError **err)
{
	struct vm_port *port = vm_ports_find(call->host->ports, name);

	if (!port && name && *name)
		return fail_null(err, LODGE_ERROR_INPUT, "the guest has no serial port, console or channel '%s'", name);
	return port ? port : fail_null(err, LODGE_ERROR_STATE, "the guest has no serial port or console");
}

static json_t *query_chardev(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	json_t *list = json_array();

	for (guint i = 0; i < call->host->ports->len; i++) {
		struct vm_port *port = call->host->ports->pdata[i];
		const char *path = chardev_path(port->mux);
		bool open = port->target == VM_PORT_CHANNEL ? port->open : true;

		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b, s:i}", "label", port->alias, "filename",
						      path ? path : "null", "frontend-open", open, "x-lodge-writer",
						      mux_has_writer(port->mux), "x-lodge-viewers",
						      (int)mux_viewers(port->mux)));
	}
	return list;
}

static bool attach_flags(struct control_call *call, unsigned *flags, GError **err)
{
	const char *mode = control_string(call, "mode");

	if (mode && strcmp(mode, "rw") != 0 && strcmp(mode, "ro") != 0)
		return fail(err, LODGE_ERROR_INPUT, "mode '%s': rw or ro is expected", mode);
	*flags = mode && strcmp(mode, "ro") == 0 ? MUX_READONLY : 0;
	*flags |= control_bool(call, "force", false) ? MUX_FORCE : 0;
	*flags |= control_bool(call, "safe", false) ? MUX_SAFE : 0;
	*flags |= control_bool(call, "replay", true) ? 0 : MUX_NO_REPLAY;
	*flags |= control_bool(call, "notices", true) ? 0 : MUX_NO_NOTICES;
	return true;
}

static json_t *console_attach(struct control_call *call, GError **err)
{
	struct vm_port *port = find_port(call, control_string(call, "port"), err);
	unsigned flags = 0;

	if (!port || !attach_flags(call, &flags, err))
		return NULL;
	call->reply_fd = mux_attach(port->mux, flags, err);
	return call->reply_fd < 0 ? NULL : json_pack("{s:s}", "port", port->alias);
}

static json_t *console_break(struct control_call *call, GError **err)
{
	struct vm_port *port = find_port(call, control_string(call, "port"), err);

	if (!port)
		return NULL;
	mux_send_break(port->mux);
	return json_object();
}

/* The size of the terminal of who writes: a serial port has no way to tell its guest, and nothing happens. */
static json_t *console_resize(struct control_call *call, GError **err)
{
	struct vm_port *port = find_port(call, control_string(call, "port"), err);
	uint64_t cols = control_int(call, "cols", 0), rows = control_int(call, "rows", 0);

	if (!port)
		return NULL;
	if (!cols || cols > UINT16_MAX || !rows || rows > UINT16_MAX)
		return fail_null(err, LODGE_ERROR_INPUT, "a terminal has 1 to %u columns and rows", UINT16_MAX);
	mux_resize(port->mux, (uint16_t)cols, (uint16_t)rows);
	return json_object();
}

/* Control characters but for line ends would make a mess of a terminal, and bytes that are not UTF-8 no JSON. */
static json_t *ring_text(const uint8_t *data, size_t len)
{
	g_autofree char *text = g_utf8_make_valid((const char *)data, (gssize)len);

	for (char *p = text; *p; p++) {
		if (*p == '\0')
			*p = ' ';
	}
	return json_string(text);
}

static json_t *ringbuf_read(struct control_call *call, GError **err)
{
	struct vm_port *port = find_port(call, control_string(call, "device"), err);
	const char *format = control_string(call, "format");
	uint64_t size = MIN(control_int(call, "size", 0), RINGBUF_MAX);
	g_autofree uint8_t *data = NULL;
	g_autofree char *base64 = NULL;
	size_t len;

	if (!port)
		return NULL;
	if (!size)
		return fail_null(err, LODGE_ERROR_INPUT, "size must be greater than zero");
	if (format && strcmp(format, "utf8") != 0 && strcmp(format, "base64") != 0)
		return fail_null(err, LODGE_ERROR_INPUT, "format '%s': utf8 or base64 is expected", format);
	data = g_malloc(size + 1);
	len = mux_tail(port->mux, data, size);
	if (!format || strcmp(format, "utf8") == 0)
		return ring_text(data, len);
	base64 = g_base64_encode(data, len);
	return json_string(base64);
}

static json_t *getfd(struct control_call *call, GError **err)
{
	return control_keep_fd(call, control_string(call, "fdname"), err) ? json_object() : NULL;
}

static json_t *closefd(struct control_call *call, GError **err)
{
	return control_drop_fd(call, control_string(call, "fdname"), err) ? json_object() : NULL;
}

const struct control_method control_console_methods[] = {
	CONTROL_METHOD("query-chardev", "serial ports, consoles and channels, and where they lead", query_chardev),
	CONTROL_METHOD("x-lodge-console-attach", "a stream to and from a port; the answer brings a descriptor",
		       console_attach, { "port", CONTROL_STRING, false }, { "mode", CONTROL_STRING, false },
		       { "force", CONTROL_BOOL, false }, { "safe", CONTROL_BOOL, false },
		       { "replay", CONTROL_BOOL, false }, { "notices", CONTROL_BOOL, false }),
	CONTROL_METHOD("x-lodge-console-break", "send a break to the guest", console_break,
		       { "port", CONTROL_STRING, false }),
	CONTROL_METHOD("x-lodge-console-resize", "the terminal on a port has another size", console_resize,
		       { "port", CONTROL_STRING, false }, { "cols", CONTROL_INT, true }, { "rows", CONTROL_INT, true }),
	CONTROL_METHOD("ringbuf-read", "the last output of a port", ringbuf_read, { "device", CONTROL_STRING, true },
		       { "size", CONTROL_INT, true }, { "format", CONTROL_STRING, false }),
	CONTROL_METHOD("getfd", "keep the descriptor that came along under a name", getfd,
		       { "fdname", CONTROL_STRING, true }),
	CONTROL_METHOD("closefd", "close a descriptor that was kept", closefd, { "fdname", CONTROL_STRING, true }),
	CONTROL_END,
};
