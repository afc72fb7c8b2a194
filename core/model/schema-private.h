/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_SCHEMA_PRIVATE_H
#define LODGE_CORE_MODEL_SCHEMA_PRIVATE_H

#include "core/model/schema.h"
#include "core/model/xml.h"

/*
 * A table made searchable: an item for each path, found by its parent and name in one hash look-up. Made once per
 * kind, never freed; any thread.
 */
#define SCHEMA_NO_ITEM UINT32_MAX
#define SCHEMA_MAX_SIBLINGS 512u /* attributes and elements below one element, a REF's and its target's together */

struct schema_item {
	const char *name; /* within the row's path: name_len bytes */
	unsigned name_len;
	bool attribute;
	bool requires;					/* something below it must be there */
	unsigned flags;					/* of its rows together */
	uint32_t parent, first_child, last_child, next; /* item numbers */
	unsigned slot;					/* number among its siblings */
	unsigned n_slots;				/* of its children */
	uint32_t target;				/* of a REF within the table */
	unsigned order;					/* place in the table */
	const struct schema_row *row;			/* the first; NULL for a path nobody described */
	const struct schema_need *needs;
	size_t n_needs;
	const struct schema_row *const *others; /* NULL-terminated further rows, or NULL */
};

struct schema_index {
	const struct schema *schema;
	struct schema_item *items; /* item 0 is the root element */
	unsigned n_items;
	uint32_t *table;
	unsigned mask;
};

/* One of the rows an element's content may come from. */
struct schema_place {
	const struct schema_index *index;
	uint32_t item;
	unsigned first_slot;
};

/* An element's row and, when that is a REF, where it leads. */
#define SCHEMA_MAX_PLACES 4u
struct schema_scope {
	struct schema_place places[SCHEMA_MAX_PLACES];
	unsigned n;
};

const struct schema_index *schema_index(const struct schema *schema);
/* Row number n of the whole table, its parts in turn; NULL behind the last. */
const struct schema_row *schema_row_at(const struct schema *schema, size_t n);

struct schema_scope schema_scope_of(const struct schema_index *index, uint32_t item);
/* The place of a child element (xmlNode) or attribute (xmlAttr) within scope; index NULL when unknown. */
struct schema_place schema_find_child(const struct schema_scope *scope, const xmlNs *ns, const xmlChar *name,
				      bool attribute);
static inline const struct schema_item *schema_place_item(const struct schema_place *place)
{
	return &place->index->items[place->item];
}

/* What has an element's or attribute's type: the row of the last place that is no REF. */
const struct schema_item *schema_typed_item(const struct schema_scope *scope);

/* Whether the text fits the row. */
bool schema_value_fits(const struct schema_row *row, const char *text);
/* "a number from 0 to 255": ends the sentence "'x' is not ...". */
void schema_append_expectation(GString *out, const struct schema_row *row);

#endif
