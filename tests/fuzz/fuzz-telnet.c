/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a telnet peer sends: the first byte says where the rest is cut in two. The guest gets the same bytes and breaks
 * however it is cut, never more bytes than came, and every answer is a whole option of three.
 */
#include <glib.h>

#include "console/telnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	GByteArray *guest;
	unsigned breaks;
};

static void take_data(void *opaque, const uint8_t *data, size_t len)
{
	g_byte_array_append(((struct result *)opaque)->guest, data, (guint)len);
}

static void take_break(void *opaque)
{
	((struct result *)opaque)->breaks++;
}

static void take_reply(void *opaque, const uint8_t *data, size_t len)
{
	(void)opaque;
	g_assert_cmpuint(len, ==, 3);
	g_assert_cmpuint(data[0], ==, 255);
	g_assert_cmpuint(data[1], >=, 251);
}

static const struct telnet_events events = { .data = take_data, .send_break = take_break, .reply = take_reply };

static struct result run(const uint8_t *data, size_t len, size_t cut)
{
	struct result result = { .guest = g_byte_array_new() };
	struct telnet telnet = { 0 };

	telnet_receive(&telnet, data, cut, &events, &result);
	telnet_receive(&telnet, data + cut, len - cut, &events, &result);
	g_assert_cmpuint(result.guest->len, <=, len);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, cut;

	if (!size)
		return 0;
	whole = run(data + 1, size - 1, 0);
	cut = run(data + 1, size - 1, MIN(data[0], size - 1));
	g_assert_cmpmem(whole.guest->data, whole.guest->len, cut.guest->data, cut.guest->len);
	g_assert_cmpuint(whole.breaks, ==, cut.breaks);
	g_byte_array_unref(whole.guest);
	g_byte_array_unref(cut.guest);
	return 0;
}
