/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/objects.h"

#include <string.h>

#include "core/base/error.h"
#include "core/model/objects-steps.h"
#include "core/model/xml-prefix.h"
#include "core/model/xml.h"

static const struct object_class *const classes[XML_N_KINDS] = {
	[XML_NETWORK] = &object_network,       [XML_POOL] = &object_pool,
	[XML_VOLUME] = &object_volume,	       [XML_SNAPSHOT] = &object_snapshot,
	[XML_CHECKPOINT] = &object_checkpoint, [XML_BACKUP] = &object_backup,
	[XML_NWFILTER] = &object_nwfilter,     [XML_NWFILTER_BINDING] = &object_nwfilter_binding,
	[XML_SECRET] = &object_secret,	       [XML_INTERFACE] = &object_interface,
	[XML_NODEDEV] = &object_nodedev,       [XML_CPU] = &object_cpu,
};

void object_free(struct object *object)
{
	if (!object)
		return;
	if (object->doc)
		xmlFreeDoc(object->doc);
	g_free(object->name);
	g_free(object);
}

static bool is_name(const char *name)
{
	return *name && !strpbrk(name, "/\n\r") && strcmp(name, ".") && strcmp(name, "..") && strlen(name) <= 251 &&
	       name[strspn(name, " \t")];
}

/* The facts beside the tree. */
static bool read_identity(struct object *object, GError **err)
{
	const struct object_class *class = classes[object->kind];
	g_autofree char *uuid = class->uuid ? xml_get(object->root, class->uuid) : NULL;

	g_free(object->name);
	object->name = class->name ? xml_get(object->root, class->name) : NULL;
	g_strlcpy(object->uuid, uuid ? uuid : "", sizeof(object->uuid));
	if (object->name && !is_name(object->name))
		return fail_xml(err, object->root, NULL,
				"'%s' is not a name: 1 to 251 bytes, not only blanks, without '/' and line ends, not "
				"'.' or '..'",
				object->name);
	return true;
}

/* Canonical order, but the root's children in the order they had. */
static void order_below(struct object *object)
{
	g_autoptr(GPtrArray) children = g_ptr_array_new();
	xmlNode *uuid;

	for (xmlNode *node = object->root->children; node; node = node->next) {
		if (node->type == XML_ELEMENT_NODE || node->type == XML_COMMENT_NODE)
			g_ptr_array_add(children, node);
	}
	schema_order(schema_of(object->kind), object->doc);
	for (guint i = 0; i < children->len; i++) {
		xmlNode *node = g_ptr_array_index(children, i);

		xmlUnlinkNode(node);
		xmlAddChild(object->root, node);
	}
	uuid = xml_find(object->root, classes[object->kind]->uuid);
	if (uuid && uuid != object->root->children) {
		xmlUnlinkNode(uuid);
		xmlAddPrevSibling(object->root->children, uuid);
	}
}

/* Templates leave <uuid></uuid> to be filled in. */
static void drop_empty_uuid(struct object *object)
{
	const char *path = classes[object->kind]->uuid;

	if (path && xml_is(object->root, path, ""))
		xml_set(object->root, path, NULL);
}

bool object_recheck(struct object *object, unsigned flags, GError **err)
{
	const struct object_class *class = classes[object->kind];
	const struct schema *schema = schema_of(object->kind);

	if (!(flags & OBJECT_VALIDATE))
		drop_empty_uuid(object);
	if (class->prepare)
		class->prepare(object->root, flags);
	if (!schema_check(schema, object->doc, flags & OBJECT_VALIDATE, err))
		return false;
	if (class->fill)
		class->fill(object->root, flags);
	if (!read_identity(object, err) || (class->check && !class->check(object->root, err)))
		return false;
	if (class->keep_order)
		order_below(object);
	else
		schema_order(schema, object->doc);
	return true;
}

struct object *object_parse(enum xml_kind kind, const char *text, size_t len, const char *source, unsigned flags,
			    GError **err)
{
	autoptr(object) object = g_new0(struct object, 1);

	g_assert(classes[kind]);
	object->kind = kind;
	object->doc = xml_parse(text, len, source, err);
	if (!object->doc)
		return NULL;
	xml_use_prefixes(object->doc);
	object->root = xmlDocGetRootElement(object->doc);
	if (strcmp((const char *)object->root->name, schema_of(kind)->root))
		return fail_null(err, LODGE_ERROR_INPUT, "%s:%ld: the root element is <%s>, a %s has <%s>", source,
				 xmlGetLineNo(object->root), (const char *)object->root->name, schema_of(kind)->name,
				 schema_of(kind)->root);
	if (!(flags & OBJECT_STORED ? read_identity(object, err) : object_recheck(object, flags, err)))
		return NULL;
	return g_steal_pointer(&object);
}

struct object *object_copy(const struct object *object)
{
	struct object *copy = g_new0(struct object, 1);

	copy->kind = object->kind;
	copy->doc = xmlCopyDoc(object->doc, 1);
	copy->root = xmlDocGetRootElement(copy->doc);
	copy->name = g_strdup(object->name);
	memcpy(copy->uuid, object->uuid, sizeof(copy->uuid));
	return copy;
}

char *object_format(const struct object *object)
{
	return xml_format(object->root);
}

enum xml_kind object_kind_of(const char *text, size_t len)
{
	auto_xml xmlDoc *doc = xml_parse(text, len, "", NULL);
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	g_autofree char *type = root ? xml_get(root, "@type") : NULL;
	const struct schema *schema = root ? schema_for_root((const char *)root->name, type) : NULL;

	return schema ? schema->kind : XML_N_KINDS;
}
