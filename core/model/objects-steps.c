/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/objects-steps.h"

#include <string.h>

#include "core/model/xml.h"

bool object_has(xmlNode *from, const char *path)
{
	g_autofree char *value = xml_get(from, path);

	return value != NULL;
}

void object_default(xmlNode *from, const char *path, const char *value)
{
	if (!object_has(from, path))
		xml_set(from, path, value);
}

void object_drop(xmlNode *from, const char *path)
{
	while (object_has(from, path))
		xml_set(from, path, NULL);
}

void object_drop_value(xmlNode *from, const char *path, const char *value)
{
	if (xml_is(from, path, value))
		xml_set(from, path, NULL);
}

/* --- identifiers --- */

void object_fill_uuid(xmlNode *from, const char *path, bool add)
{
	g_autofree char *text = xml_get(from, path);
	g_autofree char *lower = NULL;
	GString *out;

	if (!text) {
		g_autofree char *uuid = add ? g_uuid_string_random() : NULL;

		if (uuid)
			xml_set(from, path, uuid);
		return;
	}
	lower = g_ascii_strdown(text, -1);
	out = g_string_new(NULL);
	for (const char *p = lower; *p; p++) {
		if (*p == '-')
			continue;
		if (out->len == 8 || out->len == 13 || out->len == 18 || out->len == 23)
			g_string_append_c(out, '-');
		g_string_append_c(out, *p);
	}
	if (strcmp(out->str, text))
		xml_set(from, path, out->str);
	g_string_free(out, TRUE);
}

void object_fill_mac(xmlNode *from, const char *path, bool add)
{
	g_autofree char *text = xml_get(from, path);
	g_auto(GStrv) parts = text ? g_strsplit(text, ":", 0) : NULL;
	guint32 random;

	if (parts && g_strv_length(parts) == 6) {
		unsigned b[6];

		for (unsigned i = 0; i < 6; i++)
			b[i] = (unsigned)g_ascii_strtoull(parts[i], NULL, 16);
		xml_setf(from, path, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	} else if (!text && add) {
		random = g_random_int();
		xml_setf(from, path, "52:54:00:%02x:%02x:%02x", random & 0xff, random >> 8 & 0xff, random >> 16 & 0xff);
	}
}

/* --- sizes --- */

static bool unit_factor(const char *unit, uint64_t *factor)
{
	const char *letters = "kmgtpe", *at;
	unsigned power;

	*factor = 1;
	if (!unit || !*unit || !g_ascii_strcasecmp(unit, "b") || !g_ascii_strcasecmp(unit, "byte") ||
	    !g_ascii_strcasecmp(unit, "bytes"))
		return true;
	at = strchr(letters, g_ascii_tolower(*unit));
	if (!at || !*at)
		return false;
	power = (unsigned)(at - letters) + 1;
	if (!unit[1] || !g_ascii_strcasecmp(unit + 1, "ib")) {
		*factor = UINT64_C(1) << 10 * power;
		return true;
	}
	while (power--)
		*factor *= 1000;
	return !g_ascii_strcasecmp(unit + 1, "b");
}

bool object_bytes(const char *number, const char *unit, uint64_t *bytes)
{
	bool hex = g_str_has_prefix(number, "0x") || g_str_has_prefix(number, "0X");
	uint64_t value, factor;

	return g_ascii_string_to_unsigned(hex ? number + 2 : number, hex ? 16 : 10, 0, UINT64_MAX, &value, NULL) &&
	       unit_factor(unit, &factor) && !__builtin_mul_overflow(value, factor, bytes);
}

void object_fill_size(xmlNode *from, const char *path, const char *unit)
{
	xmlNode *node = xml_find(from, path);
	g_autofree char *number = node ? xml_get(node, ".") : NULL;
	g_autofree char *old = node ? xml_get(node, "@unit") : NULL;
	uint64_t bytes;

	/* What does not fit stays as it is, for the check to refuse. */
	if (!node || !object_bytes(number, old, &bytes))
		return;
	xml_setf(node, ".", "%" G_GUINT64_FORMAT, bytes);
	xml_set(node, "@unit", unit);
}

/* --- permissions and paths --- */

void object_fill_permissions(xmlNode *parent)
{
	static const char *const ids[] = { "owner", "group" };
	xmlNode *node = xml_find(parent, "permissions");
	g_autofree char *mode = node ? xml_get(node, "mode") : NULL;

	if (!node)
		return;
	if (mode && *mode && object_made_of(mode, "01234567") && strlen(mode) <= 8)
		xml_setf(node, "mode", "0%o", (unsigned)g_ascii_strtoull(mode, NULL, 8));
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		g_autofree char *id = xml_get(node, ids[i]);
		gint64 value;

		if (!id || !g_ascii_string_to_signed(id, 10, -1, UINT32_MAX, &value, NULL))
			continue;
		/* -1, also as the 32 bits of it: whoever makes the file. */
		if (value == -1 || value == UINT32_MAX)
			object_drop(node, ids[i]);
		else
			xml_setf(node, ids[i], "%" G_GINT64_FORMAT, value);
	}
	if (!xml_child(node))
		xml_remove(node);
}

bool object_check_permissions(xmlNode *parent, GError **err)
{
	xmlNode *node = xml_find(parent, "permissions/mode");
	g_autofree char *mode = node ? xml_get(node, ".") : NULL;

	if (mode && (!*mode || !object_made_of(mode, "01234567") || g_ascii_strtoull(mode, NULL, 8) > 07777))
		return fail_xml(err, node, NULL, "'%s' is not an octal mode from 0 to 07777", mode);
	return true;
}

void object_fill_path(xmlNode *from, const char *path)
{
	g_autofree char *text = xml_get(from, path);
	GString *out = g_string_new(NULL);

	for (const char *p = text; p && *p; p++) {
		if (*p != '/' || !out->len || out->str[out->len - 1] != '/')
			g_string_append_c(out, *p);
	}
	if (out->len > 1 && out->str[out->len - 1] == '/')
		g_string_truncate(out, out->len - 1);
	if (text && *text == '/' && strcmp(out->str, text))
		xml_set(from, path, out->str);
	g_string_free(out, TRUE);
}

/* --- rules --- */

bool object_check_one_of(xmlNode *node, const char *a, const char *b, GError **err)
{
	g_autofree char *a_path = g_strconcat("@", a, NULL);
	g_autofree char *b_path = g_strconcat("@", b, NULL);

	if (object_has(node, a_path) == object_has(node, b_path))
		return fail_xml(err, node, NULL, "needs one of the attributes %s and %s", a, b);
	return true;
}

bool object_check_unique(xmlNode *first, const char *attr, GError **err)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *path = g_strconcat("@", attr, NULL);

	for (xmlNode *node = first; node; node = xml_next(node)) {
		char *value = xml_get(node, path);

		if (value && !g_hash_table_add(seen, value))
			return fail_xml(err, node, attr, "'%s' stands in an earlier <%s> already", value,
					(const char *)node->name);
	}
	return true;
}

bool object_in_list(const char *word, const char *list)
{
	g_auto(GStrv) words = g_strsplit(list, "|", 0);

	return g_strv_contains((const char *const *)words, word);
}

char *object_list_text(const char *list)
{
	g_auto(GStrv) words = g_strsplit(list, "|", 0);

	return g_strjoinv(", ", words);
}

bool object_made_of(const char *text, const char *characters)
{
	return !text[strspn(text, characters)];
}
