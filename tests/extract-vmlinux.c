/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extract-vmlinux BZIMAGE OUT: writes the ELF kernel that is compressed inside a bzImage. Knows LZ4's legacy frames, which Debian's
 * cloud kernels use, and payloads that are not compressed; exits with 77 for any other.
 *
 * Where the payload is: the boot protocol's fields setup_sects, payload_offset and payload_length. Its last four bytes are its
 * size uncompressed. LZ4: the "Block Format" and "Frame Format" descriptions of the lz4 project, section "Legacy frame".
 */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SETUP_SECTS 0x1f1u
#define HEADER_MAGIC 0x202u
#define PAYLOAD_OFFSET 0x248u
#define PAYLOAD_LENGTH 0x24cu
#define HEADER_END 0x250u
#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_MIN_MATCH 4u
#define EXIT_UNKNOWN 77

struct bytes {
	const uint8_t *data;
	size_t size;
};

static uint32_t get_le32(const uint8_t *data)
{
	return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

/* The first len bytes of in, which has them no more. */
static bool take(struct bytes *in, size_t len, struct bytes *part)
{
	if (len > in->size)
		return false;
	*part = (struct bytes){ in->data, len };
	in->data += len;
	in->size -= len;
	return true;
}

/* A length of 15 in the token goes on in bytes, the last of which is not 255. */
static bool take_length(struct bytes *in, size_t *len)
{
	struct bytes more;

	if (*len < 15)
		return true;
	do {
		if (!take(in, 1, &more))
			return false;
		*len += more.data[0];
	} while (more.data[0] == 255);
	return true;
}

/* What is copied may overlap what it makes: then it repeats itself. */
static bool copy_match(GByteArray *out, size_t start, size_t distance, size_t len)
{
	guint from = out->len;

	if (distance == 0 || distance > from - start)
		return false;
	g_byte_array_set_size(out, from + (guint)len);
	for (size_t i = 0; i < len; i++)
		out->data[from + i] = out->data[from + i - distance];
	return true;
}

static bool inflate_block(struct bytes in, GByteArray *out)
{
	size_t start = out->len;

	while (in.size > 0) {
		struct bytes token, literals, distance;
		size_t n_literals, match;

		take(&in, 1, &token);
		n_literals = token.data[0] >> 4;
		match = token.data[0] & 15;
		if (!take_length(&in, &n_literals) || !take(&in, n_literals, &literals))
			return false;
		g_byte_array_append(out, literals.data, (guint)literals.size);
		/* The last sequence is literals only. */
		if (in.size == 0)
			return true;
		if (!take(&in, 2, &distance) || !take_length(&in, &match) ||
		    !copy_match(out, start, distance.data[0] | (size_t)distance.data[1] << 8, match + LZ4_MIN_MATCH))
			return false;
	}
	return true;
}

static bool inflate_lz4(struct bytes in, GByteArray *out)
{
	struct bytes head, block;

	while (in.size > 0) {
		if (!take(&in, 4, &head) || !take(&in, get_le32(head.data), &block) || !inflate_block(block, out))
			return false;
	}
	return true;
}

static bool find_payload(struct bytes image, struct bytes *payload)
{
	size_t setup, offset, length;

	if (image.size < HEADER_END || memcmp(image.data + HEADER_MAGIC, "HdrS", 4))
		return false;
	setup = (image.data[SETUP_SECTS] + (size_t)1) * 512;
	offset = setup + get_le32(image.data + PAYLOAD_OFFSET);
	length = get_le32(image.data + PAYLOAD_LENGTH);
	if (length < 8 || offset > image.size || length > image.size - offset)
		return false;
	*payload = (struct bytes){ image.data + offset, length };
	return true;
}

static int extract(struct bytes image, GByteArray *out)
{
	struct bytes payload, head;
	size_t size;

	if (!find_payload(image, &payload))
		return EXIT_UNKNOWN;
	size = get_le32(payload.data + payload.size - 4);
	if (!memcmp(payload.data, "\177ELF", 4)) {
		g_byte_array_append(out, payload.data, (guint)payload.size);
		return 0;
	}
	if (get_le32(payload.data) != LZ4_LEGACY_MAGIC)
		return EXIT_UNKNOWN;
	payload.size -= 4;
	take(&payload, 4, &head);
	return inflate_lz4(payload, out) && out->len == size && !memcmp(out->data, "\177ELF", 4) ? 0 : 1;
}

int main(int argc, char **argv)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *data = NULL;
	gsize size;
	int status;

	if (argc != 3) {
		fprintf(stderr, "usage: extract-vmlinux BZIMAGE OUT\n");
		return 2;
	}
	if (!g_file_get_contents(argv[1], &data, &size, &error)) {
		fprintf(stderr, "error: %s\n", error->message);
		return 1;
	}
	status = extract((struct bytes){ (const uint8_t *)data, size }, out);
	if (status) {
		fprintf(stderr, "error: %s: %s\n", argv[1],
			status == EXIT_UNKNOWN ? "no bzImage with an LZ4 payload" : "the payload is damaged");
		return status;
	}
	if (!g_file_set_contents(argv[2], (const char *)out->data, (gssize)out->len, &error)) {
		fprintf(stderr, "error: %s\n", error->message);
		return 1;
	}
	return 0;
}
