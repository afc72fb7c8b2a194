/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/device.h"

#include <string.h>

#include "core/base/error.h"

/*
 * A saved device is one section, all numbers little-endian:
 *
 *	u32 magic "LDEV", u32 length of what follows
 *	string id, string class, u16 class version, u16 number of fields
 *	per field: string name, u8 type, u32 count, count elements of the type's width
 *
 * A string is one length byte and its bytes, without a zero. A section is read through a cursor that is never past its
 * end; nothing from it is used before it has been compared with the class.
 */

#define SECTION_MAGIC 0x5645444cu /* "LDEV" */
#define SECTION_HEADER 8u

static const uint8_t type_widths[] = {
	[DEVICE_FIELD_BOOL] = 1,
	[DEVICE_FIELD_U8] = 1,
	[DEVICE_FIELD_U16] = 2,
	[DEVICE_FIELD_U32] = 4,
	[DEVICE_FIELD_U64] = 8,
};

G_STATIC_ASSERT(G_N_ELEMENTS(type_widths) == DEVICE_N_FIELD_TYPES);
G_STATIC_ASSERT(sizeof(bool) == 1);

void device_init(struct device *dev, const struct device_class *class, struct vm *vm, const char *id)
{
	dev->class = class;
	dev->vm = vm;
	dev->id = g_strdup(id);
	g_mutex_init(&dev->lock);
}

void device_fini(struct device *dev)
{
	g_mutex_clear(&dev->lock);
	g_clear_pointer(&dev->id, g_free);
}

static void call_locked(struct device *dev, void (*hook)(struct device *dev))
{
	if (!hook)
		return;
	g_mutex_lock(&dev->lock);
	hook(dev);
	g_mutex_unlock(&dev->lock);
}

void device_reset(struct device *dev)
{
	if (dev)
		call_locked(dev, dev->class->reset);
}

void device_pause(struct device *dev)
{
	if (dev)
		call_locked(dev, dev->class->pause);
}

void device_resume(struct device *dev)
{
	if (dev)
		call_locked(dev, dev->class->resume);
}

void device_destroy(struct device *dev)
{
	if (dev && dev->class->destroy)
		dev->class->destroy(dev);
}

/* All fields of a class are numbered through: those of the extended struct first. */
static size_t n_base_fields(const struct device_class *class)
{
	return class->base_fields ? *class->n_base_fields : 0;
}

static size_t n_all_fields(const struct device_class *class)
{
	return n_base_fields(class) + class->n_fields;
}

static const struct device_field *field_at(const struct device_class *class, size_t i)
{
	size_t n_base = n_base_fields(class);

	return i < n_base ? &class->base_fields[i] : &class->fields[i - n_base];
}

static uint64_t load_element(const void *from, unsigned width)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (width) {
	case 1:
		return *(const uint8_t *)from;
	case 2:
		memcpy(&v16, from, sizeof(v16));
		return v16;
	case 4:
		memcpy(&v32, from, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, from, sizeof(v64));
		return v64;
	}
}

static void store_element(void *to, unsigned width, uint64_t val)
{
	uint16_t v16 = (uint16_t)val;
	uint32_t v32 = (uint32_t)val;

	switch (width) {
	case 1:
		*(uint8_t *)to = (uint8_t)val;
		break;
	case 2:
		memcpy(to, &v16, sizeof(v16));
		break;
	case 4:
		memcpy(to, &v32, sizeof(v32));
		break;
	default:
		memcpy(to, &val, sizeof(val));
		break;
	}
}

static void put_number(GByteArray *out, uint64_t val, unsigned width)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < width; i++)
		bytes[i] = (uint8_t)(val >> 8 * i);
	g_byte_array_append(out, bytes, width);
}

static void put_string(GByteArray *out, const char *text)
{
	size_t len = strlen(text);

	g_assert(len <= UINT8_MAX);
	put_number(out, len, 1);
	g_byte_array_append(out, (const uint8_t *)text, (guint)len);
}

static void put_field(GByteArray *out, const struct device *dev, const struct device_field *field)
{
	const uint8_t *from = (const uint8_t *)dev + field->offset;
	unsigned width = type_widths[field->type];

	put_string(out, field->name);
	put_number(out, field->type, 1);
	put_number(out, field->count, 4);
	for (uint32_t i = 0; i < field->count; i++)
		put_number(out, load_element(from + (size_t)i * width, width), width);
}

void device_save(struct device *dev, GByteArray *out)
{
	const struct device_class *class = dev->class;
	size_t n = n_all_fields(class);
	guint start = out->len;
	uint32_t length;

	g_mutex_lock(&dev->lock);
	if (class->pre_save)
		class->pre_save(dev);
	put_number(out, SECTION_MAGIC, 4);
	put_number(out, 0, 4);
	put_string(out, dev->id);
	put_string(out, class->name);
	put_number(out, class->version, 2);
	put_number(out, n, 2);
	for (size_t i = 0; i < n; i++)
		put_field(out, dev, field_at(class, i));
	g_mutex_unlock(&dev->lock);

	length = GUINT32_TO_LE(out->len - start - SECTION_HEADER);
	memcpy(out->data + start + 4, &length, sizeof(length));
}

/* The unread part of a section. */
struct cursor {
	const uint8_t *data;
	size_t len;
};

static bool get_bytes(struct cursor *from, size_t len, const uint8_t **bytes)
{
	if (len > from->len)
		return false;
	*bytes = from->data;
	from->data += len;
	from->len -= len;
	return true;
}

static bool get_number(struct cursor *from, unsigned width, uint64_t *val)
{
	const uint8_t *bytes;

	if (!get_bytes(from, width, &bytes))
		return false;
	*val = 0;
	for (unsigned i = 0; i < width; i++)
		*val |= (uint64_t)bytes[i] << 8 * i;
	return true;
}

struct name {
	const uint8_t *text;
	uint64_t len;
};

static bool get_name(struct cursor *from, struct name *name)
{
	return get_number(from, 1, &name->len) && get_bytes(from, name->len, &name->text);
}

static bool name_is(const struct name *name, const char *text)
{
	return name->len == strlen(text) && !memcmp(name->text, text, name->len);
}

static bool corrupt(const struct device *dev, const char *what, GError **err)
{
	return fail(err, LODGE_ERROR_INPUT, "saved state of %s: %s", dev->id, what);
}

/* Index of the named field, or -1. */
static gssize find_field(const struct device_class *class, const struct name *name)
{
	for (size_t i = 0; i < n_all_fields(class); i++)
		if (name_is(name, field_at(class, i)->name))
			return (gssize)i;
	return -1;
}

static bool load_elements(struct device *dev, const struct device_field *field, struct cursor *from, GError **err)
{
	uint8_t *to = (uint8_t *)dev + field->offset;
	unsigned width = type_widths[field->type];
	uint64_t val;

	for (uint32_t i = 0; i < field->count; i++) {
		if (!get_number(from, width, &val))
			return corrupt(dev, "cut short", err);
		if (field->type == DEVICE_FIELD_BOOL && val > 1)
			return fail(err, LODGE_ERROR_INPUT, "saved state of %s: field %s is neither true nor false",
				    dev->id, field->name);
		store_element(to + (size_t)i * width, width, val);
	}
	return true;
}

static bool load_field(struct device *dev, struct cursor *from, bool *seen, GError **err)
{
	const struct device_field *field;
	uint64_t type, count;
	struct name name;
	gssize i;

	if (!get_name(from, &name) || !get_number(from, 1, &type) || !get_number(from, 4, &count))
		return corrupt(dev, "cut short", err);
	i = find_field(dev->class, &name);
	if (i < 0)
		return corrupt(dev, "it has a field this version of Lodge does not know", err);
	field = field_at(dev->class, (size_t)i);
	if (seen[i])
		return fail(err, LODGE_ERROR_INPUT, "saved state of %s: field %s comes twice", dev->id, field->name);
	if (type != field->type || count != field->count)
		return fail(err, LODGE_ERROR_INPUT, "saved state of %s: field %s has another type or size", dev->id,
			    field->name);
	seen[i] = true;
	return load_elements(dev, field, from, err);
}

static bool load_fields(struct device *dev, struct cursor *from, uint64_t version, uint64_t n, GError **err)
{
	const struct device_class *class = dev->class;
	g_autofree bool *seen = g_new0(bool, n_all_fields(class) + 1);

	for (uint64_t i = 0; i < n; i++)
		if (!load_field(dev, from, seen, err))
			return false;
	for (size_t i = 0; i < n_all_fields(class); i++)
		if (!seen[i] && field_at(class, i)->since <= version)
			return fail(err, LODGE_ERROR_INPUT, "saved state of %s: field %s is missing", dev->id,
				    field_at(class, i)->name);
	if (from->len)
		return corrupt(dev, "there is more in it than its fields", err);
	return true;
}

static bool load_section(struct device *dev, struct cursor section, GError **err)
{
	uint64_t version, n_fields;
	struct name id, class;

	if (!get_name(&section, &id) || !get_name(&section, &class) || !get_number(&section, 2, &version) ||
	    !get_number(&section, 2, &n_fields))
		return corrupt(dev, "cut short", err);
	if (!name_is(&id, dev->id) || !name_is(&class, dev->class->name))
		return corrupt(dev, "the next section belongs to another device", err);
	if (!load_fields(dev, &section, version, n_fields, err))
		return false;
	return !dev->class->post_load || dev->class->post_load(dev, err);
}

/* The bytes of all fields, one after the other. */
static GByteArray *remember_fields(const struct device *dev)
{
	GByteArray *bytes = g_byte_array_new();

	for (size_t i = 0; i < n_all_fields(dev->class); i++) {
		const struct device_field *field = field_at(dev->class, i);

		g_byte_array_append(bytes, (const uint8_t *)dev + field->offset,
				    field->count * type_widths[field->type]);
	}
	return bytes;
}

static void restore_fields(struct device *dev, const GByteArray *bytes)
{
	size_t pos = 0;

	for (size_t i = 0; i < n_all_fields(dev->class); i++) {
		const struct device_field *field = field_at(dev->class, i);
		size_t size = (size_t)field->count * type_widths[field->type];

		memcpy((uint8_t *)dev + field->offset, bytes->data + pos, size);
		pos += size;
	}
}

/* What has been refused must not stay: a reset, and the device's other hooks, rely on what post_load() checks. */
static bool load_or_restore(struct device *dev, const struct cursor *section, GError **err)
{
	g_autoptr(GByteArray) before = remember_fields(dev);

	if (load_section(dev, *section, err))
		return true;
	restore_fields(dev, before);
	return false;
}

bool device_load(struct device *dev, const uint8_t *data, size_t len, size_t *used, GError **err)
{
	struct cursor from = { data, len };
	struct cursor section = { 0 };
	uint64_t magic, length;
	bool loaded;

	if (!get_number(&from, 4, &magic) || !get_number(&from, 4, &length))
		return corrupt(dev, "cut short", err);
	if (magic != SECTION_MAGIC)
		return corrupt(dev, "no device section here", err);
	if (!get_bytes(&from, length, &section.data))
		return corrupt(dev, "cut short", err);
	section.len = length;

	g_mutex_lock(&dev->lock);
	loaded = load_or_restore(dev, &section, err);
	g_mutex_unlock(&dev->lock);
	if (loaded)
		*used = SECTION_HEADER + (size_t)length;
	return loaded;
}
