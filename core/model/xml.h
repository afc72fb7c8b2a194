/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_XML_H
#define LODGE_CORE_MODEL_XML_H

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * XML documents as everything in core/ sees them: the libxml2 tree is the truth, so that what Lodge does not know
 * (foreign elements, comments, namespaces) survives a round trip; these functions read and change it by path.
 *
 * A path is relative to a node: "devices/disk/target/@dev" is an attribute, "os/type" the trimmed text of an element;
 * the first match counts. "." is the node itself. A name without prefix matches elements without namespace;
 * "prefix:name" by prefix.
 */
#define XML_MAX_SIZE (8u << 20) /* bytes of a document */
#define XML_MAX_DEPTH 64u
#define XML_MAX_NODES 200000u

static inline void xml_doc_cleanup(xmlDoc **doc)
{
	if (*doc)
		xmlFreeDoc(*doc);
}
#define auto_xml __attribute__((cleanup(xml_doc_cleanup)))

/*
 * Well-formed, UTF-8, no document type (so no entities), within the limits; nothing is fetched. name stands in errors,
 * which read "NAME:LINE: ...". Bounded time and memory whatever the bytes are.
 */
xmlDoc *xml_parse(const char *text, size_t len, const char *name, GError **err);
xmlDoc *xml_parse_file(const char *path, GError **err); /* "-" is standard input */

/* "/domain/devices/disk[2]/target": g_free(). */
char *xml_node_path(const xmlNode *node);

/* LODGE_ERROR_INPUT "NAME:LINE: /path: ..."; attr (may be NULL) is appended to the path as "/@attr". Returns false. */
bool fail_xml(GError **err, const xmlNode *node, const char *attr, const char *format, ...) G_GNUC_PRINTF(4, 5);

xmlNode *xml_find(xmlNode *from, const char *path); /* an element; NULL: none */
char *xml_get(xmlNode *from, const char *path);	    /* NULL: none; g_free() */
bool xml_is(xmlNode *from, const char *path, const char *value);
bool xml_get_uint(xmlNode *from, const char *path, uint64_t *value); /* false: none, or not a decimal or 0x number */

/*
 * "devices/disk" in turn: for (n = xml_first(root, "devices/disk"); n; n = xml_next(n)) - xml_next: next sibling of the
 * same name.
 */
xmlNode *xml_first(xmlNode *from, const char *path);
xmlNode *xml_next(const xmlNode *node);
xmlNode *xml_child(const xmlNode *node);   /* first child element, or NULL */
xmlNode *xml_sibling(const xmlNode *node); /* next element beside it, or NULL */

/*
 * Makes what is missing on the way (new elements go behind those of the same name, else last: canonical order is
 * xml_format()'s business). xml_set with NULL removes; xml_ensure returns the element.
 */
void xml_set(xmlNode *from, const char *path, const char *value);
void xml_setf(xmlNode *from, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);
xmlNode *xml_ensure(xmlNode *from, const char *path);
xmlNode *xml_add(xmlNode *parent, const char *name); /* always a new last child */
void xml_remove(xmlNode *node);			     /* unlinks and frees it */

/*
 * As libvirt prints: two blanks a level, attributes in single quotes, <a/> when empty, text untouched, no XML
 * declaration, a newline at the end. The node and all below it, in tree order. g_free().
 */
char *xml_format(xmlNode *node);

#endif
