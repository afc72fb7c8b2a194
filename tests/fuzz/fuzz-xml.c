/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents: whatever the bytes are, they end in a refusal or in a tree within the limits; its text, read again,
 * gives the same text; and every table can be held against it.
 */
#include <string.h>

#include "core/model/schema.h"
#include "core/model/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned check_limits(const xmlNode *node, unsigned depth)
{
	unsigned n = 1;

	g_assert_cmpuint(depth, <=, XML_MAX_DEPTH);
	for (const xmlNode *child = xml_child(node); child; child = xml_sibling(child))
		n += check_limits(child, depth + 1);
	return n;
}

static void check_stable(xmlDoc *doc)
{
	g_autofree char *text = xml_format(xmlDocGetRootElement(doc));
	g_autofree char *again = NULL;
	auto_xml xmlDoc *copy = xml_parse(text, strlen(text), "again", NULL);

	/* Escapes make it longer: it may be beyond the limits then. */
	if (!copy)
		return;
	again = xml_format(xmlDocGetRootElement(copy));
	g_assert_cmpstr(text, ==, again);
}

static void check_schema(const struct schema *schema, xmlDoc *doc)
{
	g_autoptr(GPtrArray) notices = g_ptr_array_new_with_free_func(g_free);
	bool ok;

	schema_check(schema, doc, true, NULL);
	ok = schema_check(schema, doc, false, NULL);
	if (!ok)
		return;
	schema_order(schema, doc);
	g_assert_true(schema_check(schema, doc, false, NULL));
	schema_unsupported(schema, doc, notices, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) err = NULL;
	auto_xml xmlDoc *doc = xml_parse((const char *)data, size, "fuzz", &err);
	xmlNode *root;

	g_assert_true(!doc == (err != NULL));
	if (!doc)
		return 0;
	root = xmlDocGetRootElement(doc);
	g_assert_cmpuint(check_limits(root, 1), <=, XML_MAX_NODES);
	check_stable(doc);
	for (unsigned i = 0; i < XML_N_KINDS; i++) {
		if (!strcmp(schema_of(i)->root, (const char *)root->name))
			check_schema(schema_of(i), doc);
	}
	check_stable(doc);
	return 0;
}
