/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The framing of the control socket. The first byte says in which pieces the rest arrives; whatever it is, the same
 * objects come out as when it arrives in one, every object is one within the limits, and an error stays one.
 */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Objects that came, as text; "!" for an error at the end. */
static GString *feed(const uint8_t *data, size_t size, size_t piece)
{
	GString *out = g_string_new(NULL);
	autoptr(wire) wire = NULL;
	int pair[2], result = 0;
	size_t at = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	wire = wire_new(pair[0]);
	while (result >= 0 && at < size) {
		ssize_t n = send(pair[1], data + at, MIN(piece, size - at), MSG_NOSIGNAL);
		json_t *message;

		if (n <= 0)
			abort();
		at += (size_t)n;
		while ((result = wire_receive(wire, &message, NULL)) > 0) {
			char *text = json_dumps(message, JSON_COMPACT);

			if (!json_is_object(message) || !text)
				abort();
			g_string_append(out, text);
			free(text);
			json_decref(message);
		}
	}
	if (result < 0) {
		json_t *message;

		if (wire_receive(wire, &message, NULL) != -1)
			abort();
		g_string_append_c(out, '!');
	}
	close(pair[1]);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GString *whole, *pieces;

	if (size < 2 || size > 65536)
		return 0;
	whole = feed(data + 1, size - 1, 65536);
	pieces = feed(data + 1, size - 1, (size_t)(data[0] % 64) + 1);
	if (strcmp(whole->str, pieces->str))
		abort();
	g_string_free(whole, TRUE);
	g_string_free(pieces, TRUE);
	return 0;
}
