/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A document against its table. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/schema-private.h"

#define MAX_LISTED 24u /* names of a list of what is allowed */

struct check {
	bool strict;
	GError **err;
};

/* What was met below one element, by slot. */
struct seen {
	uint64_t bits[SCHEMA_MAX_SIBLINGS / 64];
};

static unsigned slot_of(const struct schema_place *place)
{
	return MIN(place->first_slot + schema_place_item(place)->slot, SCHEMA_MAX_SIBLINGS - 1);
}

static bool seen_before(struct seen *seen, unsigned slot)
{
	uint64_t bit = UINT64_C(1) << (slot % 64);
	bool before = seen->bits[slot / 64] & bit;

	seen->bits[slot / 64] |= bit;
	return before;
}

/* --- text --- */

static bool fail_value(const struct check *check, const xmlNode *node, const char *attr, const struct schema_item *item,
		       const char *text)
{
	g_autofree char *shown = g_utf8_strlen(text, -1) > 60 ? g_utf8_substring(text, 0, 60) : NULL;
	GString *expected = g_string_new(NULL);

	schema_append_expectation(expected, item->row);
	for (size_t i = 0; item->others && item->others[i]; i++) {
		if (item->others[i]->type == item->row->type && item->row->type != SCHEMA_ENUM)
			continue;
		g_string_append(expected, ", or ");
		schema_append_expectation(expected, item->others[i]);
	}
	fail_xml(check->err, node, attr, "'%s%s' is not %s", shown ? shown : text, shown ? "..." : "", expected->str);
	g_string_free(expected, TRUE);
	return false;
}

static bool value_fits(const struct schema_item *item, const char *text)
{
	if (schema_value_fits(item->row, text))
		return true;
	for (size_t i = 0; item->others && item->others[i]; i++) {
		if (schema_value_fits(item->others[i], text))
			return true;
	}
	return false;
}

/* The text of nodes without copying it where it is one piece. */
static const char *joined_text(const xmlNode *children, const xmlDoc *doc, xmlChar **copy)
{
	if (!children)
		return "";
	if (!children->next && children->type == XML_TEXT_NODE)
		return (const char *)children->content;
	*copy = xmlNodeListGetString((xmlDoc *)(uintptr_t)doc, children, 1);
	return *copy ? (const char *)*copy : "";
}

static bool attribute_ok(const struct check *check, const xmlNode *node, const xmlAttr *attr,
			 const struct schema_item *item)
{
	xmlChar *copy = NULL;
	const char *text = joined_text(attr->children, attr->doc, &copy);
	bool ok = value_fits(item, text) || fail_value(check, node, (const char *)attr->name, item, text);

	xmlFree(copy);
	return ok;
}

static bool has_text(const xmlNode *node)
{
	for (const xmlNode *n = node->children; n; n = n->next) {
		if ((n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) && n->content &&
		    n->content[strspn((const char *)n->content, " \t\r\n")])
			return true;
	}
	return false;
}

static bool text_ok(const struct check *check, xmlNode *node, const struct schema_item *item)
{
	g_autofree char *text = NULL;

	if (item->row->type == SCHEMA_EMPTY && !item->others)
		return !check->strict || !has_text(node) || fail_xml(check->err, node, NULL, "no text may stand here");
	if (item->row->type == SCHEMA_TEXT && !(item->row->flags & SCHEMA_NONZERO_LEN) && !item->row->max)
		return true;
	text = xml_get(node, ".");
	/* As if it were not there: a form that writes every element writes paths it has not got like this. */
	if (item->row->type == SCHEMA_PATH && !(item->row->flags & SCHEMA_NONZERO_LEN) && !*text && !check->strict)
		return true;
	return value_fits(item, text) || fail_value(check, node, NULL, item, text);
}

/* --- what may and must stand below an element --- */

static void append_allowed(GString *out, const struct schema_scope *scope, bool attributes)
{
	unsigned n = 0;

	for (unsigned i = 0; i < scope->n; i++) {
		const struct schema_index *index = scope->places[i].index;
		uint32_t child = schema_place_item(&scope->places[i])->first_child;

		for (; child != SCHEMA_NO_ITEM; child = index->items[child].next) {
			const struct schema_item *item = &index->items[child];

			if (item->attribute != attributes || !item->row)
				continue;
			if (++n > MAX_LISTED) {
				g_string_append(out, ", ...");
				return;
			}
			g_string_append_printf(out, "%s%.*s", n > 1 ? ", " : "", (int)item->name_len, item->name);
		}
	}
	if (!n)
		g_string_append(out, "none");
}

static bool fail_unknown(const struct check *check, const xmlNode *node, const char *attr,
			 const struct schema_scope *scope)
{
	GString *allowed = g_string_new(NULL);

	append_allowed(allowed, scope, attr != NULL);
	fail_xml(check->err, node, attr, "unknown %s; allowed here: %s", attr ? "attribute" : "element", allowed->str);
	g_string_free(allowed, TRUE);
	return false;
}

static bool is_unit(const xmlAttr *attr, const struct schema_item *item)
{
	return item->row && item->row->type == SCHEMA_SIZE && !attr->ns && !strcmp((const char *)attr->name, "unit");
}

static bool unit_ok(const struct check *check, const xmlNode *node, const xmlAttr *attr)
{
	static const struct schema_row row = { .path = "@unit", .type = SCHEMA_UNIT };
	static const struct schema_item item = { .name = "unit", .name_len = 4, .attribute = true, .row = &row };

	return attribute_ok(check, node, attr, &item);
}

static bool attributes_ok(const struct check *check, const xmlNode *node, const struct schema_scope *scope,
			  struct seen *seen)
{
	const struct schema_item *typed = schema_typed_item(scope);

	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		struct schema_place place = schema_find_child(scope, attr->ns, attr->name, true);

		if (place.index) {
			seen_before(seen, slot_of(&place));
			if (!attribute_ok(check, node, attr, schema_place_item(&place)))
				return false;
		} else if (is_unit(attr, typed)) {
			if (!unit_ok(check, node, attr))
				return false;
		} else if (check->strict) {
			return fail_unknown(check, node, (const char *)attr->name, scope);
		}
	}
	return true;
}

static bool required_ok(const struct check *check, const xmlNode *node, const struct schema_scope *scope,
			struct seen *seen)
{
	for (unsigned i = 0; i < scope->n; i++) {
		struct schema_place place = scope->places[i];
		const struct schema_index *index = place.index;
		const struct schema_item *above = schema_place_item(&place);

		if (!above->requires)
			continue;
		for (place.item = above->first_child; place.item != SCHEMA_NO_ITEM;
		     place.item = index->items[place.item].next) {
			const struct schema_item *item = schema_place_item(&place);

			if (!(item->flags & SCHEMA_REQUIRED) || seen_before(seen, slot_of(&place)))
				continue;
			return fail_xml(check->err, node, NULL,
					item->attribute ? "attribute %.*s is missing" : "element <%.*s> is missing",
					(int)item->name_len, item->name);
		}
	}
	return true;
}

/* "@type=file|block", "@type=", "source", "!bootloader": len bytes of text. */
static bool condition_holds(xmlNode *node, const char *text, size_t len)
{
	bool absent = *text == '!';
	const char *equals = memchr(text, '=', len);
	size_t path_len = (equals ? (size_t)(equals - text) : len) - absent;
	g_autofree char *path = g_strndup(text + absent, path_len);
	g_autofree char *value = equals ? xml_get(node, path) : NULL;

	if (!equals)
		return !xml_find(node, path) == absent;
	for (const char *at = equals + 1, *end = text + len; at <= end; at++) {
		const char *next = memchr(at, '|', (size_t)(end - at));

		next = next ? next : end;
		if (!strncmp(value ? value : "", at, (size_t)(next - at)) && (!value || !value[next - at]) &&
		    (value || next == at))
			return true;
		at = next;
	}
	return false;
}

static bool conditions_hold(xmlNode *node, const char *when)
{
	while (when && *when) {
		size_t len = strcspn(when, ",");

		if (!condition_holds(node, when, len))
			return false;
		when += len + (when[len] == ',');
	}
	return true;
}

/* An attribute that is there and says nothing does not count. */
static bool path_says_something(xmlNode *node, const char *text, size_t len)
{
	g_autofree char *path = g_strndup(text, len);
	g_autofree char *value = memchr(text, '@', len) ? xml_get(node, path) : NULL;

	return value ? *value != '\0' : xml_find(node, path) != NULL;
}

static bool need_met(xmlNode *node, const char *needs)
{
	while (*needs) {
		size_t len = strcspn(needs, "|");

		if (path_says_something(node, needs, len))
			return true;
		needs += len + (needs[len] == '|');
	}
	return false;
}

static bool fail_need(const struct check *check, const xmlNode *node, const struct schema_need *need)
{
	g_auto(GStrv) alternatives = g_strsplit(need->needs, "|", -1);
	g_autofree char *needed = g_strjoinv(" or ", alternatives);

	return fail_xml(check->err, node, NULL, "%s is missing%s%s%s", needed, need->when ? " (needed with " : "",
			need->when ? need->when : "", need->when ? ")" : "");
}

static bool needs_ok(const struct check *check, xmlNode *node, const struct schema_scope *scope)
{
	for (unsigned i = 0; i < scope->n; i++) {
		const struct schema_item *item = schema_place_item(&scope->places[i]);

		for (size_t n = 0; n < item->n_needs; n++) {
			const struct schema_need *need = &item->needs[n];

			if (conditions_hold(node, need->when) && !need_met(node, need->needs))
				return fail_need(check, node, need);
		}
	}
	return true;
}

static bool element_ok(const struct check *check, xmlNode *node, const struct schema_place *place);

static bool children_ok(const struct check *check, const xmlNode *node, const struct schema_scope *scope,
			struct seen *seen)
{
	for (xmlNode *child = xml_child(node); child; child = xml_sibling(child)) {
		struct schema_place place = schema_find_child(scope, child->ns, child->name, false);

		if (place.index) {
			if (seen_before(seen, slot_of(&place)) && !(schema_place_item(&place)->flags & SCHEMA_MANY))
				return fail_xml(check->err, child, NULL,
						"stands here for the second time, only one is allowed");
			if (!element_ok(check, child, &place))
				return false;
		} else if (check->strict) {
			return fail_unknown(check, child, NULL, scope);
		}
	}
	return true;
}

/* Where a whole document of another kind may stand, old ones have just its UUID: <domain><uuid>...</uuid></domain>. */
static bool is_uuid_only(const xmlNode *node, const struct schema_scope *scope)
{
	const xmlNode *child = xml_child(node);

	return scope->n > 1 && !scope->places[scope->n - 1].item && !node->properties && child && !xml_sibling(child) &&
	       !strcmp((const char *)child->name, "uuid");
}

static bool element_ok(const struct check *check, xmlNode *node, const struct schema_place *place)
{
	struct schema_scope scope = schema_scope_of(place->index, place->item);
	const struct schema_item *typed = schema_typed_item(&scope);
	struct seen seen = { 0 };

	if (typed->row && typed->row->type == SCHEMA_OPAQUE)
		return true;
	return attributes_ok(check, node, &scope, &seen) && (!typed->row || text_ok(check, node, typed)) &&
	       children_ok(check, node, &scope, &seen) &&
	       (is_uuid_only(node, &scope) ||
		(required_ok(check, node, &scope, &seen) && needs_ok(check, node, &scope)));
}

bool schema_check(const struct schema *schema, xmlDoc *doc, bool strict, GError **err)
{
	struct check check = { .strict = strict, .err = err };
	struct schema_place place = { .index = schema_index(schema) };
	xmlNode *root = xmlDocGetRootElement(doc);

	if (root->ns || strcmp((const char *)root->name, schema->root))
		return fail_xml(err, root, NULL, "the root element of a %s is <%s>", schema->name, schema->root);
	return element_ok(&check, root, &place);
}
