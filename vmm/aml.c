/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks are written without their length; aml_end() knows the length and opens a gap for it. Open blocks are a small
 * stack of where that gap goes. Inner blocks are closed first, so a gap never moves the start of a block that is
 * still open.
 */
#include "vmm/aml.h"

#include <stdbool.h>
#include <string.h>

#define MAX_DEPTH 16u

#define OP_ZERO 0x00
#define OP_ONE 0x01
#define OP_NAME 0x08
#define OP_BYTE 0x0a
#define OP_WORD 0x0b
#define OP_DWORD 0x0c
#define OP_STRING 0x0d
#define OP_QWORD 0x0e
#define OP_SCOPE 0x10
#define OP_BUFFER 0x11
#define OP_PACKAGE 0x12
#define OP_METHOD 0x14
#define OP_DUAL_NAME 0x2e
#define OP_MULTI_NAME 0x2f
#define OP_EXT 0x5b
#define OP_EXT_DEVICE 0x82
#define OP_LOCAL0 0x60
#define OP_ARG0 0x68
#define OP_CREATE_DWORD_FIELD 0x8a
#define OP_IF 0xa0
#define OP_ELSE 0xa1
#define METHOD_SERIALIZED 0x08

/* Resource descriptor tags and flags: ACPI 6.4 section 6.4.2 and 6.4.3. */
#define TAG_IRQ 0x22
#define TAG_IO 0x47
#define TAG_END 0x79
#define TAG_MEMORY32_FIXED 0x86
#define TAG_SPACE32 0x87
#define TAG_SPACE16 0x88
#define TAG_SPACE64 0x8a
#define SPACE_MEMORY 0
#define SPACE_IO 1
#define SPACE_BUS 2
#define SPACE_FIXED 0x0c /* minimum and maximum are fixed; producer, positive decode */
#define SPACE_IO_ENTIRE 0x03
#define SPACE_MEMORY_WRITABLE 0x01

struct block {
	guint start;	/* first byte after the length */
	bool resources; /* a buffer: its size is written before the bytes */
};

struct aml {
	GByteArray *bytes;
	struct block blocks[MAX_DEPTH];
	unsigned depth;
};

struct aml *aml_new(void)
{
	struct aml *aml = g_new0(struct aml, 1);

	aml->bytes = g_byte_array_new();
	return aml;
}

void aml_free(struct aml *aml)
{
	if (!aml)
		return;
	g_byte_array_unref(aml->bytes);
	g_free(aml);
}

const GByteArray *aml_bytes(const struct aml *aml)
{
	g_assert(aml->depth == 0);
	return aml->bytes;
}

static void put8(struct aml *aml, uint8_t val)
{
	g_byte_array_append(aml->bytes, &val, 1);
}

static void put(struct aml *aml, uint64_t val, unsigned size)
{
	val = GUINT64_TO_LE(val);
	g_byte_array_append(aml->bytes, (const uint8_t *)&val, size);
}

static void put_segment(struct aml *aml, const char *name, size_t len)
{
	g_assert(len >= 1 && len <= 4);
	for (size_t i = 0; i < 4; i++)
		put8(aml, i < len ? (uint8_t)name[i] : '_');
}

/* NameString: section 20.2.2 */
static void put_name(struct aml *aml, const char *name)
{
	g_auto(GStrv) segments = NULL;
	guint n;

	while (*name == '\\' || *name == '^')
		put8(aml, (uint8_t)*name++);
	segments = g_strsplit(name, ".", -1);
	n = g_strv_length(segments);
	if (n == 0)
		put8(aml, 0);
	else if (n == 2)
		put8(aml, OP_DUAL_NAME);
	else if (n > 2) {
		put8(aml, OP_MULTI_NAME);
		put8(aml, (uint8_t)n);
	}
	for (guint i = 0; i < n; i++)
		put_segment(aml, segments[i], strlen(segments[i]));
}

static void begin(struct aml *aml, bool resources)
{
	g_assert(aml->depth < MAX_DEPTH);
	aml->blocks[aml->depth++] = (struct block){ .start = aml->bytes->len, .resources = resources };
}

static void insert(struct aml *aml, guint at, const uint8_t *data, guint len)
{
	guint old = aml->bytes->len;

	g_byte_array_set_size(aml->bytes, old + len);
	memmove(aml->bytes->data + at + len, aml->bytes->data + at, old - at);
	memcpy(aml->bytes->data + at, data, len);
}

/* PkgLength, which counts itself: section 20.2.4. Returns how many bytes were written to out. */
static unsigned encode_length(guint body, uint8_t out[4])
{
	unsigned n = body + 1 <= 0x3f ? 1 : body + 2 <= 0xfff ? 2 : body + 3 <= 0xfffff ? 3 : 4;
	guint total = body + n;

	g_assert(total < 1u << 28);
	if (n == 1) {
		out[0] = (uint8_t)total;
		return n;
	}
	out[0] = (uint8_t)((n - 1) << 6 | (total & 0xf));
	for (unsigned i = 1; i < n; i++)
		out[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
	return n;
}

/* The end tag, without checksum, and in front of all the buffer's size as an integer constant. */
static void end_resources(struct aml *aml, guint start)
{
	guint len;

	put8(aml, TAG_END);
	put8(aml, 0);
	len = aml->bytes->len - start;
	if (len <= UINT8_MAX) {
		insert(aml, start, (const uint8_t[]){ OP_BYTE, (uint8_t)len }, 2);
		return;
	}
	g_assert(len <= UINT16_MAX);
	insert(aml, start, (const uint8_t[]){ OP_WORD, (uint8_t)len, (uint8_t)(len >> 8) }, 3);
}

void aml_end(struct aml *aml)
{
	struct block block;
	uint8_t length[4];

	g_assert(aml->depth > 0);
	block = aml->blocks[--aml->depth];
	if (block.resources)
		end_resources(aml, block.start);
	insert(aml, block.start, length, encode_length(aml->bytes->len - block.start, length));
}

void aml_begin_scope(struct aml *aml, const char *name)
{
	put8(aml, OP_SCOPE);
	begin(aml, false);
	put_name(aml, name);
}

void aml_begin_device(struct aml *aml, const char *name)
{
	put8(aml, OP_EXT);
	put8(aml, OP_EXT_DEVICE);
	begin(aml, false);
	put_name(aml, name);
}

void aml_begin_method(struct aml *aml, const char *name, unsigned n_args)
{
	g_assert(n_args <= 7);
	put8(aml, OP_METHOD);
	begin(aml, false);
	put_name(aml, name);
	put8(aml, (uint8_t)(METHOD_SERIALIZED | n_args));
}

void aml_begin_package(struct aml *aml, unsigned n_elements)
{
	g_assert(n_elements <= UINT8_MAX);
	put8(aml, OP_PACKAGE);
	begin(aml, false);
	put8(aml, (uint8_t)n_elements);
}

void aml_begin_if(struct aml *aml)
{
	put8(aml, OP_IF);
	begin(aml, false);
}

void aml_begin_else(struct aml *aml)
{
	put8(aml, OP_ELSE);
	begin(aml, false);
}

void aml_begin_resources(struct aml *aml)
{
	put8(aml, OP_BUFFER);
	begin(aml, true);
}

void aml_name(struct aml *aml, const char *name)
{
	put8(aml, OP_NAME);
	put_name(aml, name);
}

void aml_name_int(struct aml *aml, const char *name, uint64_t val)
{
	aml_name(aml, name);
	aml_int(aml, val);
}

void aml_name_eisaid(struct aml *aml, const char *name, const char *id)
{
	aml_name(aml, name);
	aml_eisaid(aml, id);
}

void aml_int(struct aml *aml, uint64_t val)
{
	if (val <= 1) {
		put8(aml, val ? OP_ONE : OP_ZERO);
	} else if (val <= UINT8_MAX) {
		put8(aml, OP_BYTE);
		put(aml, val, 1);
	} else if (val <= UINT16_MAX) {
		put8(aml, OP_WORD);
		put(aml, val, 2);
	} else if (val <= UINT32_MAX) {
		put8(aml, OP_DWORD);
		put(aml, val, 4);
	} else {
		put8(aml, OP_QWORD);
		put(aml, val, 8);
	}
}

void aml_string(struct aml *aml, const char *text)
{
	put8(aml, OP_STRING);
	g_byte_array_append(aml->bytes, (const uint8_t *)text, (guint)strlen(text) + 1);
}

/* Three letters of five bits and four hexadecimal digits, stored big-endian: section 19.6.36. */
void aml_eisaid(struct aml *aml, const char *id)
{
	uint32_t val = 0;

	g_assert(strlen(id) == 7);
	for (unsigned i = 0; i < 3; i++)
		val = val << 5 | (uint32_t)(id[i] - 'A' + 1);
	for (unsigned i = 3; i < 7; i++)
		val = val << 4 | (uint32_t)g_ascii_xdigit_value(id[i]);
	put8(aml, OP_DWORD);
	put(aml, GUINT32_SWAP_LE_BE(val), 4);
}

void aml_uuid(struct aml *aml, const char *text)
{
	/* Where each byte of the buffer stands in the text: section 19.6.142. */
	static const uint8_t digits[16] = { 6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34 };

	g_assert(strlen(text) == 36);
	put8(aml, OP_BUFFER);
	begin(aml, false);
	aml_int(aml, G_N_ELEMENTS(digits));
	for (size_t i = 0; i < G_N_ELEMENTS(digits); i++) {
		const char *pair = text + digits[i];

		put8(aml, (uint8_t)(g_ascii_xdigit_value(pair[0]) << 4 | g_ascii_xdigit_value(pair[1])));
	}
	aml_end(aml);
}

void aml_ref(struct aml *aml, const char *name)
{
	put_name(aml, name);
}

void aml_arg(struct aml *aml, unsigned n)
{
	g_assert(n <= 6);
	put8(aml, (uint8_t)(OP_ARG0 + n));
}

void aml_local(struct aml *aml, unsigned n)
{
	g_assert(n <= 7);
	put8(aml, (uint8_t)(OP_LOCAL0 + n));
}

void aml_operator(struct aml *aml, enum aml_operator op)
{
	static const uint8_t codes[] = {
		[AML_STORE] = 0x70, [AML_AND] = 0x7b, [AML_OR] = 0x7d,
		[AML_EQUAL] = 0x93, [AML_NOT] = 0x92, [AML_RETURN] = 0xa4,
	};

	G_STATIC_ASSERT(G_N_ELEMENTS(codes) == AML_N_OPERATORS);
	put8(aml, codes[op]);
}

void aml_no_target(struct aml *aml)
{
	put8(aml, 0);
}

void aml_create_dword_field(struct aml *aml, unsigned arg, unsigned index, const char *name)
{
	put8(aml, OP_CREATE_DWORD_FIELD);
	aml_arg(aml, arg);
	aml_int(aml, index);
	put_name(aml, name);
}

void aml_io(struct aml *aml, uint16_t base, uint8_t len)
{
	put8(aml, TAG_IO);
	put8(aml, 1); /* decodes 16 bits */
	put(aml, base, 2);
	put(aml, base, 2);
	put8(aml, 1);
	put8(aml, len);
}

void aml_irq(struct aml *aml, unsigned irq)
{
	g_assert(irq < 16);
	put8(aml, TAG_IRQ);
	put(aml, 1u << irq, 2);
}

void aml_memory32(struct aml *aml, uint32_t base, uint32_t len)
{
	put8(aml, TAG_MEMORY32_FIXED);
	put(aml, 9, 2);
	put8(aml, SPACE_MEMORY_WRITABLE);
	put(aml, base, 4);
	put(aml, len, 4);
}

/* Address space descriptor with numbers of width bytes: granularity, minimum, maximum, translation, length. */
static void put_window(struct aml *aml, uint8_t tag, unsigned width, uint8_t type, uint8_t flags, uint64_t base,
		       uint64_t len)
{
	g_assert(len != 0);
	put8(aml, tag);
	put(aml, 3 + 5 * width, 2);
	put8(aml, type);
	put8(aml, SPACE_FIXED);
	put8(aml, flags);
	put(aml, 0, width);
	put(aml, base, width);
	put(aml, base + (len - 1), width);
	put(aml, 0, width);
	put(aml, len, width);
}

void aml_bus_window(struct aml *aml, uint16_t first, uint16_t len)
{
	put_window(aml, TAG_SPACE16, 2, SPACE_BUS, 0, first, len);
}

void aml_io_window(struct aml *aml, uint16_t base, uint32_t len)
{
	g_assert(len <= UINT16_MAX);
	put_window(aml, TAG_SPACE16, 2, SPACE_IO, SPACE_IO_ENTIRE, base, len);
}

void aml_memory32_window(struct aml *aml, uint32_t base, uint32_t len)
{
	put_window(aml, TAG_SPACE32, 4, SPACE_MEMORY, SPACE_MEMORY_WRITABLE, base, len);
}

void aml_memory64_window(struct aml *aml, uint64_t base, uint64_t len)
{
	put_window(aml, TAG_SPACE64, 8, SPACE_MEMORY, SPACE_MEMORY_WRITABLE, base, len);
}
