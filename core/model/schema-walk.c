/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Canonical order, the report of what has no effect, and the man pages. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/schema-private.h"

/* --- order --- */

#define UNKNOWN_ORDER UINT64_MAX

/* An element and the comments in front of it. */
struct group {
	xmlNode *first, *last;
	uint64_t key;
};

static uint64_t key_of(const struct schema_scope *scope, const struct schema_place *place)
{
	if (!place->index)
		return UNKNOWN_ORDER - 1;
	for (unsigned i = 0; i < scope->n; i++) {
		if (scope->places[i].first_slot == place->first_slot && scope->places[i].index == place->index)
			return (uint64_t)i << 32 | schema_place_item(place)->order;
	}
	return UNKNOWN_ORDER - 1;
}

static int compare_groups(const void *a, const void *b, void *data)
{
	uint64_t left = ((const struct group *)a)->key, right = ((const struct group *)b)->key;

	(void)data;
	return left < right ? -1 : left > right;
}

static bool is_blank_text(const xmlNode *node)
{
	return (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) &&
	       (!node->content || !node->content[strspn((const char *)node->content, " \t\r\n")]);
}

static void remove_blanks(xmlNode *node)
{
	for (xmlNode *child = node->children, *next; child; child = next) {
		next = child->next;
		if (is_blank_text(child))
			xml_remove(child);
	}
}

static bool is_mixed(const xmlNode *node)
{
	for (const xmlNode *n = node->children; n; n = n->next) {
		if ((n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) && !is_blank_text(n))
			return true;
	}
	return false;
}

/* Comments wait for the element behind them; those behind the last element stay last. */
static GArray *groups_of(xmlNode *node, const struct schema_scope *scope, bool *sorted)
{
	GArray *groups = g_array_new(FALSE, FALSE, sizeof(struct group));
	struct group group = { 0 };
	uint64_t last_key = 0;

	*sorted = true;
	for (xmlNode *child = node->children; child; child = child->next) {
		group.first = group.first ? group.first : child;
		group.last = child;
		if (child->type == XML_ELEMENT_NODE) {
			struct schema_place place = schema_find_child(scope, child->ns, child->name, false);

			group.key = key_of(scope, &place);
		} else if (child->next) {
			continue;
		} else {
			group.key = UNKNOWN_ORDER;
		}
		*sorted = *sorted && group.key >= last_key;
		last_key = group.key;
		g_array_append_val(groups, group);
		group.first = NULL;
	}
	return groups;
}

static void relink(xmlNode *node, const GArray *groups)
{
	xmlNode *last = NULL;

	for (unsigned i = 0; i < groups->len; i++) {
		const struct group *group = &g_array_index(groups, struct group, i);

		group->first->prev = last;
		if (last)
			last->next = group->first;
		else
			node->children = group->first;
		last = group->last;
		last->next = NULL;
	}
	node->last = last;
}

static void order_children(xmlNode *node, const struct schema_scope *scope)
{
	bool sorted;
	GArray *groups = groups_of(node, scope, &sorted);

	if (!sorted) {
		g_qsort_with_data(groups->data, (int)groups->len, sizeof(struct group), compare_groups, NULL);
		relink(node, groups);
	}
	g_array_free(groups, TRUE);
}

struct keyed_attr {
	xmlAttr *attr;
	uint64_t key;
};

static int compare_attrs(const void *a, const void *b, void *data)
{
	uint64_t left = ((const struct keyed_attr *)a)->key, right = ((const struct keyed_attr *)b)->key;

	(void)data;
	return left < right ? -1 : left > right;
}

static void relink_attrs(xmlNode *node, GArray *attrs)
{
	xmlAttr *last = NULL;

	g_qsort_with_data(attrs->data, (int)attrs->len, sizeof(struct keyed_attr), compare_attrs, NULL);
	for (unsigned i = 0; i < attrs->len; i++) {
		xmlAttr *attr = g_array_index(attrs, struct keyed_attr, i).attr;

		attr->prev = last;
		attr->next = NULL;
		if (last)
			last->next = attr;
		else
			node->properties = attr;
		last = attr;
	}
}

static void order_attributes(xmlNode *node, const struct schema_scope *scope)
{
	GArray *attrs;
	uint64_t last_key = 0;
	bool sorted = true;

	if (!node->properties || !node->properties->next)
		return;
	attrs = g_array_new(FALSE, FALSE, sizeof(struct keyed_attr));
	for (xmlAttr *attr = node->properties; attr; attr = attr->next) {
		struct schema_place place = schema_find_child(scope, attr->ns, attr->name, true);
		struct keyed_attr keyed = { .attr = attr, .key = key_of(scope, &place) };

		sorted = sorted && keyed.key >= last_key;
		last_key = keyed.key;
		g_array_append_val(attrs, keyed);
	}
	if (!sorted)
		relink_attrs(node, attrs);
	g_array_free(attrs, TRUE);
}

static void trim_text(xmlNode *node)
{
	xmlNode *text = node->children;

	if (text && !text->next && text->type == XML_TEXT_NODE && text->content && *text->content &&
	    (g_ascii_isspace(*text->content) || g_ascii_isspace(text->content[strlen((char *)text->content) - 1]))) {
		g_autofree char *trimmed = xml_get(node, ".");

		xml_set(node, ".", trimmed);
	}
}

static void order_element(xmlNode *node, const struct schema_place *place)
{
	struct schema_scope scope = schema_scope_of(place->index, place->item);
	const struct schema_row *row = schema_typed_item(&scope)->row;

	if (row && row->type == SCHEMA_OPAQUE)
		return;
	order_attributes(node, &scope);
	if (!xml_child(node) && row && row->type == SCHEMA_TEXT)
		return;
	if (!xml_child(node) && row && row->type != SCHEMA_EMPTY)
		trim_text(node);
	else if (!is_mixed(node))
		remove_blanks(node);
	if (!is_mixed(node))
		order_children(node, &scope);
	for (xmlNode *child = xml_child(node); child; child = xml_sibling(child)) {
		struct schema_place below = schema_find_child(&scope, child->ns, child->name, false);

		if (below.index)
			order_element(child, &below);
	}
}

void schema_order(const struct schema *schema, xmlDoc *doc)
{
	struct schema_place place = { .index = schema_index(schema) };

	order_element(xmlDocGetRootElement(doc), &place);
}

/* --- what has no effect --- */

struct report {
	GPtrArray *notices;
	GError **err;
};

static enum schema_support support_of(const struct schema_item *item, const char *text, unsigned *flags)
{
	const struct schema_row *row = item->row;

	/* Of several rows for one path the one whose value it is says what becomes of it. */
	for (size_t i = 0; item->others && item->others[i] && !schema_value_fits(row, text); i++)
		row = item->others[i];
	*flags = row->flags;
	return row->support;
}

static void notice_element(const struct report *report, const xmlNode *node)
{
	g_ptr_array_add(report->notices, g_strdup_printf("unsupported: <%s> (line %ld): ignored",
							 (const char *)node->name, xmlGetLineNo(node)));
}

static void notice_attribute(const struct report *report, const xmlNode *node, const xmlAttr *attr, const char *text)
{
	g_ptr_array_add(report->notices,
			g_strdup_printf("unsupported: %s='%s' of <%s> (line %ld): ignored", (const char *)attr->name,
					text, (const char *)node->name, xmlGetLineNo(node)));
}

static bool fail_refused(const struct report *report, const xmlNode *node, const xmlAttr *attr, const char *text)
{
	if (attr)
		fail_xml(report->err, node, (const char *)attr->name,
			 "'%s' is not supported, and a start without it would not be what the definition says", text);
	else
		fail_xml(report->err, node, NULL,
			 "<%s> is not supported, and a start without it would not be what the definition says",
			 (const char *)node->name);
	if (report->err && *report->err)
		(*report->err)->code = LODGE_ERROR_UNSUPPORTED;
	return false;
}

static bool report_attributes(const struct report *report, xmlNode *node, const struct schema_scope *scope)
{
	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		struct schema_place place = schema_find_child(scope, attr->ns, attr->name, true);
		g_autofree char *path = g_strdup_printf("@%s", (const char *)attr->name);
		g_autofree char *text = NULL;
		enum schema_support support;
		unsigned flags;

		if (!place.index)
			continue;
		text = xml_get(node, path);
		support = support_of(schema_place_item(&place), text ? text : "", &flags);
		if (support == SCHEMA_REFUSE)
			return fail_refused(report, node, attr, text);
		if (support == SCHEMA_KEPT && !(flags & SCHEMA_QUIET))
			notice_attribute(report, node, attr, text);
	}
	return true;
}

static bool report_element(const struct report *report, xmlNode *node, const struct schema_place *place)
{
	struct schema_scope scope = schema_scope_of(place->index, place->item);
	const struct schema_item *item = schema_place_item(place);
	g_autofree char *text = xml_child(node) ? g_strdup("") : xml_get(node, ".");
	unsigned flags;
	enum schema_support support = support_of(item, text, &flags);

	if (support == SCHEMA_REFUSE)
		return fail_refused(report, node, NULL, NULL);
	if (support == SCHEMA_KEPT) {
		if (!(flags & SCHEMA_QUIET))
			notice_element(report, node);
		return true;
	}
	if (!report_attributes(report, node, &scope))
		return false;
	for (xmlNode *child = xml_child(node); child; child = xml_sibling(child)) {
		struct schema_place below = schema_find_child(&scope, child->ns, child->name, false);

		if (below.index ? !report_element(report, child, &below) : false)
			return false;
		if (!below.index)
			notice_element(report, child);
	}
	return true;
}

bool schema_unsupported(const struct schema *schema, xmlDoc *doc, GPtrArray *notices, GError **err)
{
	struct report report = { .notices = notices, .err = err };
	struct schema_place place = { .index = schema_index(schema) };

	return report_element(&report, xmlDocGetRootElement(doc), &place);
}

/* --- man pages --- */

/* Backslashes and leading dots would be read as commands; dashes must stay dashes. */
static void append_roff(GString *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			g_string_append(out, "\\e");
		else if (*text == '-')
			g_string_append(out, "\\-");
		else
			g_string_append_c(out, *text);
	}
}

static const char *support_text(const struct schema_row *row)
{
	switch (row->support) {
	case SCHEMA_KEPT:
		return " Kept, without effect.";
	case SCHEMA_REFUSE:
		return " Kept; a start is refused.";
	default:
		return "";
	}
}

static void append_row(GString *out, const struct schema_row *row)
{
	g_autoptr(GString) what = g_string_new(NULL);

	g_string_append(out, ".TP\n.B ");
	append_roff(out, strcmp(row->path, ".") ? row->path : "(root)");
	g_string_append_c(out, '\n');
	append_roff(out, row->help);
	g_string_append(out, g_str_has_suffix(row->help, ".") ? "" : ".");
	if (row->type == SCHEMA_REF)
		g_string_append_printf(what, " Content as %s.", row->values);
	else if (row->type != SCHEMA_EMPTY && (row->type != SCHEMA_TEXT || row->max) && row->type != SCHEMA_OPAQUE) {
		g_string_append(what, " Value: ");
		schema_append_expectation(what, row);
		g_string_append_c(what, '.');
	}
	if (row->fallback)
		g_string_append_printf(what, " Default: %s.", row->fallback);
	append_roff(out, what->str);
	g_string_append(out, row->flags & SCHEMA_REQUIRED ? " Required." : "");
	g_string_append(out, row->flags & SCHEMA_MANY ? " May be repeated." : "");
	g_string_append(out, support_text(row));
	g_string_append_c(out, '\n');
}

void schema_append_man(GString *out, const struct schema *schema)
{
	const struct schema_row *row;

	for (size_t i = 0; (row = schema_row_at(schema, i)); i++)
		append_row(out, row);
}
