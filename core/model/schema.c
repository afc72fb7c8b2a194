/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables by kind, made searchable at first use. */
#include "core/model/schema.h"

#include <string.h>

#include "core/model/schema-private.h"

static const struct schema *const schemas[XML_N_KINDS] = {
	[XML_DOMAIN] = &schema_domain,
	[XML_NETWORK] = &schema_network,
	[XML_POOL] = &schema_pool,
	[XML_VOLUME] = &schema_volume,
	[XML_SNAPSHOT] = &schema_snapshot,
	[XML_CHECKPOINT] = &schema_checkpoint,
	[XML_BACKUP] = &schema_backup,
	[XML_NWFILTER] = &schema_nwfilter,
	[XML_NWFILTER_BINDING] = &schema_nwfilter_binding,
	[XML_SECRET] = &schema_secret,
	[XML_INTERFACE] = &schema_interface,
	[XML_NODEDEV] = &schema_nodedev,
	[XML_CPU] = &schema_cpu,
};

const struct schema *schema_of(enum xml_kind kind)
{
	return schemas[kind];
}

/* <interface> is also a domain's network card: those types are not a host interface's. */
static bool is_host_interface(const char *type)
{
	return !type || !strcmp(type, "ethernet") || !strcmp(type, "bridge") || !strcmp(type, "bond") ||
	       !strcmp(type, "vlan");
}

const struct schema *schema_for_root(const char *root, const char *attr_type)
{
	if (!strcmp(root, "interface") && !is_host_interface(attr_type))
		return NULL;
	for (size_t i = 0; i < G_N_ELEMENTS(schemas); i++) {
		if (!strcmp(schemas[i]->root, root))
			return schemas[i];
	}
	return NULL;
}

const struct schema_row *schema_row_at(const struct schema *schema, size_t n)
{
	if (n < schema->n_rows)
		return &schema->rows[n];
	n -= schema->n_rows;
	for (size_t i = 0; i < schema->n_parts; i++) {
		if (n < schema->parts[i]->n_rows)
			return &schema->parts[i]->rows[n];
		n -= schema->parts[i]->n_rows;
	}
	return NULL;
}

/* --- index --- */

static unsigned hash_name(uint32_t parent, bool attribute, const char *name, size_t len)
{
	uint32_t hash = 2166136261u ^ (parent * 2654435761u) ^ attribute;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash ^ (hash >> 15);
}

static uint32_t find_item(const struct schema_index *index, uint32_t parent, bool attribute, const char *name,
			  size_t len)
{
	unsigned at = hash_name(parent, attribute, name, len) & index->mask;

	for (; index->table[at]; at = (at + 1) & index->mask) {
		const struct schema_item *item = &index->items[index->table[at]];

		if (item->parent == parent && item->attribute == attribute && item->name_len == len &&
		    !memcmp(item->name, name, len))
			return index->table[at];
	}
	return SCHEMA_NO_ITEM;
}

static uint32_t add_item(struct schema_index *index, uint32_t parent, bool attribute, const char *name, size_t len)
{
	unsigned at = hash_name(parent, attribute, name, len) & index->mask;
	uint32_t number = index->n_items++;
	struct schema_item *item = &index->items[number], *above = &index->items[parent];

	*item = (struct schema_item){ .name = name,
				      .name_len = (unsigned)len,
				      .attribute = attribute,
				      .parent = parent,
				      .first_child = SCHEMA_NO_ITEM,
				      .last_child = SCHEMA_NO_ITEM,
				      .next = SCHEMA_NO_ITEM,
				      .target = SCHEMA_NO_ITEM,
				      .slot = above->n_slots++ };
	if (above->last_child == SCHEMA_NO_ITEM)
		above->first_child = number;
	else
		index->items[above->last_child].next = number;
	above->last_child = number;
	g_assert(above->n_slots <= SCHEMA_MAX_SIBLINGS);
	while (index->table[at])
		at = (at + 1) & index->mask;
	index->table[at] = number;
	return number;
}

/* The item of a path; with make, those on the way are added. */
static uint32_t item_of_path(struct schema_index *index, const char *path, bool make)
{
	uint32_t item = 0;

	if (!strcmp(path, "."))
		return 0;
	while (*path) {
		bool attribute = *path == '@';
		size_t len = strcspn(path += attribute, "/");
		uint32_t child = find_item(index, item, attribute, path, len);

		if (child == SCHEMA_NO_ITEM && !make)
			return SCHEMA_NO_ITEM;
		item = child != SCHEMA_NO_ITEM ? child : add_item(index, item, attribute, path, len);
		path += len + (path[len] == '/');
	}
	return item;
}

static const struct schema_row *const *with_row(const struct schema_row *const *others, const struct schema_row *row)
{
	size_t n = 0;
	const struct schema_row **longer;

	while (others && others[n])
		n++;
	longer = g_new0(const struct schema_row *, n + 2);
	for (size_t i = 0; i < n; i++)
		longer[i] = others[i];
	longer[n] = row;
	return longer;
}

static void add_row(struct schema_index *index, const struct schema_row *row, unsigned order)
{
	struct schema_item *item = &index->items[item_of_path(index, row->path, true)];

	if (item->row) {
		const struct schema_row *const *longer = with_row(item->others, row);

		g_free((void *)(uintptr_t)item->others);
		item->others = longer;
	} else {
		item->row = row;
		item->order = order;
	}
	item->flags |= row->flags;
	if (row->flags & SCHEMA_REQUIRED)
	index->items[item->parent].requires = true;
}

static void add_needs(struct schema_index *index)
{
	for (size_t i = 0; i < index->schema->n_needs; i++) {
		const struct schema_need *need = &index->schema->needs[i];
		uint32_t number = item_of_path(index, need->path, false);

		g_assert(number != SCHEMA_NO_ITEM);
		if (!index->items[number].needs)
			index->items[number].needs = need;
		g_assert(need == index->items[number].needs + index->items[number].n_needs);
		index->items[number].n_needs++;
	}
}

static struct schema_index *make_index(const struct schema *schema)
{
	struct schema_index *index = g_new0(struct schema_index, 1);
	const struct schema_row *row;
	size_t n_names = 1, n = 0;
	unsigned size = 64;

	for (; (row = schema_row_at(schema, n)); n++)
		n_names++;
	/* A path may bring names of its own that no row describes: room for one such a row. */
	while (size < n_names * 4)
		size *= 2;
	index->schema = schema;
	index->items = g_new0(struct schema_item, n_names * 2);
	index->table = g_new0(uint32_t, size);
	index->mask = size - 1;
	index->n_items = 1;
	index->items[0] = (struct schema_item){ .name = schema->root,
						.name_len = (unsigned)strlen(schema->root),
						.first_child = SCHEMA_NO_ITEM,
						.last_child = SCHEMA_NO_ITEM,
						.next = SCHEMA_NO_ITEM,
						.target = SCHEMA_NO_ITEM };
	for (size_t i = 0; i < n; i++)
		add_row(index, schema_row_at(schema, i), (unsigned)i);
	for (uint32_t i = 0; i < index->n_items; i++) {
		struct schema_item *item = &index->items[i];

		if (item->row && item->row->type == SCHEMA_REF && !strchr(item->row->values, ':'))
			item->target = item_of_path(index, item->row->values, false);
	}
	add_needs(index);
	return index;
}

const struct schema_index *schema_index(const struct schema *schema)
{
	static struct schema_index *indexes[XML_N_KINDS];
	struct schema_index **index = &indexes[schema->kind];

	if (g_once_init_enter(index))
		g_once_init_leave(index, make_index(schema));
	return *index;
}

/* --- places --- */

/* "domain:devices/disk" leads into another table. */
static bool foreign_target(const char *values, struct schema_place *place)
{
	const char *colon = strchr(values, ':');

	for (size_t i = 0; colon && i < G_N_ELEMENTS(schemas); i++) {
		if (strlen(schemas[i]->name) == (size_t)(colon - values) &&
		    g_str_has_prefix(values, schemas[i]->name)) {
			const struct schema_index *index = schema_index(schemas[i]);
			struct schema_index reader = *index;

			place->index = index;
			place->item = item_of_path(&reader, colon + 1, false);
			return place->item != SCHEMA_NO_ITEM;
		}
	}
	return false;
}

static bool target_of(const struct schema_place *from, struct schema_place *to)
{
	const struct schema_item *item = schema_place_item(from);

	if (!item->row || item->row->type != SCHEMA_REF)
		return false;
	to->index = from->index;
	to->item = item->target;
	return item->target != SCHEMA_NO_ITEM || foreign_target(item->row->values, to);
}

struct schema_scope schema_scope_of(const struct schema_index *index, uint32_t item)
{
	struct schema_scope scope = { .places[0] = { .index = index, .item = item }, .n = 1 };
	struct schema_place next;

	while (scope.n < SCHEMA_MAX_PLACES && target_of(&scope.places[scope.n - 1], &next)) {
		const struct schema_place *last = &scope.places[scope.n - 1];

		next.first_slot = last->first_slot + schema_place_item(last)->n_slots;
		scope.places[scope.n++] = next;
	}
	return scope;
}

struct schema_place schema_find_child(const struct schema_scope *scope, const xmlNs *ns, const xmlChar *name,
				      bool attribute)
{
	g_autofree char *prefixed = NULL;
	const char *key = (const char *)name;
	size_t len;

	/* A default name space: not one of ours, whatever the name. */
	if (ns && !ns->prefix)
		return (struct schema_place){ 0 };
	if (ns)
		key = prefixed = g_strdup_printf("%s:%s", (const char *)ns->prefix, (const char *)name);
	len = strlen(key);
	for (unsigned i = 0; i < scope->n; i++) {
		const struct schema_place *place = &scope->places[i];
		uint32_t item = find_item(place->index, place->item, attribute, key, len);

		if (item != SCHEMA_NO_ITEM && place->index->items[item].row)
			return (struct schema_place){ .index = place->index,
						      .item = item,
						      .first_slot = place->first_slot };
	}
	return (struct schema_place){ 0 };
}

const struct schema_item *schema_typed_item(const struct schema_scope *scope)
{
	return schema_place_item(&scope->places[scope->n - 1]);
}
