/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading, asking and changing documents.
 *
 * The limits hold before libxml2 sees a byte: scan() walks the markup once without building anything and counts
 * depth, nodes and attributes of a tag (libxml2 compares every attribute of a tag with every other). What the walk
 * takes for a tag is what the parser takes for one, because the text is known to be UTF-8 and the parser is told so:
 * an encoding= in the declaration cannot change the meaning of the bytes. A text that is not well-formed may be
 * counted wrongly, but then never as less than the parser reads before it stops.
 */
#include "core/model/xml.h"

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"

#define MAX_TAG_ATTRIBUTES 64u
#define MAX_NAMESPACES 256u /* declarations; each prefix is looked for among all of them that are in force */

static const xmlChar *xc(const char *text)
{
	return (const xmlChar *)text;
}

struct scan {
	const char *at, *end;
	const char *name;
	unsigned line, depth, namespaces;
	size_t nodes;
};

static bool fail_scan(const struct scan *scan, GError **err, const char *what)
{
	return fail(err, LODGE_ERROR_INPUT, "%s:%u: %s", scan->name, scan->line, what);
}

static void scan_to(struct scan *scan, const char *to)
{
	for (const char *p = scan->at; (p = memchr(p, '\n', (size_t)(to - p))); p++)
		scan->line++;
	scan->at = to;
}

/* Behind the next occurrence of what, or the end: the parser will say what is missing. */
static void scan_past(struct scan *scan, const char *what)
{
	size_t len = strlen(what);
	const char *found = memmem(scan->at, (size_t)(scan->end - scan->at), what, len);

	scan_to(scan, found ? found + len : scan->end);
}

/* At the '<' of a start tag; goes behind its '>'. */
static bool scan_start_tag(struct scan *scan, GError **err)
{
	const char *p = scan->at + 1;
	unsigned n = 0;

	while (p < scan->end && *p != '>' && *p != '<') {
		if (*p == '"' || *p == '\'') {
			const char *close = memchr(p + 1, *p, (size_t)(scan->end - p - 1));

			p = close ? close : scan->end - 1;
			if (++n > MAX_TAG_ATTRIBUTES)
				return fail_scan(scan, err, "more than 64 attributes in a tag");
		} else if (*p == 'x' && scan->end - p > 5 && !memcmp(p, "xmlns", 5) &&
			   ++scan->namespaces > MAX_NAMESPACES) {
			return fail_scan(scan, err, "more than 256 name space declarations");
		}
		p++;
	}
	scan->nodes += n;
	if (p < scan->end && *p == '>' && p[-1] != '/' && ++scan->depth > XML_MAX_DEPTH)
		return fail_scan(scan, err, "nested deeper than 64 elements");
	scan_to(scan, p < scan->end && *p == '>' ? p + 1 : p);
	return true;
}

static bool scan_markup(struct scan *scan, GError **err)
{
	size_t left = (size_t)(scan->end - scan->at);

	if (++scan->nodes > XML_MAX_NODES)
		return fail_scan(scan, err, "more than 200000 elements, attributes and comments");
	if (left >= 4 && !memcmp(scan->at, "<!--", 4)) {
		scan->at += 4;
		scan_past(scan, "-->");
	} else if (left >= 9 && !memcmp(scan->at, "<![CDATA[", 9)) {
		scan_past(scan, "]]>");
	} else if (left >= 2 && scan->at[1] == '!') {
		return fail_scan(scan, err, "document types and entities are not accepted");
	} else if (left >= 2 && scan->at[1] == '?') {
		scan_past(scan, "?>");
	} else if (left >= 2 && scan->at[1] == '/') {
		scan->depth -= scan->depth > 0;
		scan_past(scan, ">");
	} else {
		return scan_start_tag(scan, err);
	}
	return true;
}

static bool scan_limits(const char *text, size_t len, const char *name, GError **err)
{
	struct scan scan = { .at = text, .end = text + len, .name = name, .line = 1 };

	for (;;) {
		const char *next = memchr(scan.at, '<', (size_t)(scan.end - scan.at));

		if (!next)
			return true;
		scan_to(&scan, next);
		if (!scan_markup(&scan, err))
			return false;
	}
}

static bool fail_parse(GError **err, xmlParserCtxt *parser, const char *name)
{
	const xmlError *error = xmlCtxtGetLastError(parser);
	g_autofree char *message = g_strdup(error && error->message ? error->message : "not well-formed");

	g_strdelimit(g_strchomp(message), "\n", ' ');
	return fail(err, LODGE_ERROR_INPUT, "%s:%d: not well-formed XML: %s", name,
		    error && error->line ? error->line : 1, message);
}

static bool text_check(const char *text, size_t len, const char *name, GError **err)
{
	const char *bad;

	if (len > XML_MAX_SIZE)
		return fail(err, LODGE_ERROR_INPUT, "%s: larger than 8 MiB", name);
	if (!len)
		return fail(err, LODGE_ERROR_INPUT, "%s: empty, an XML document is expected", name);
	if (!g_utf8_validate(text, (gssize)len, &bad)) {
		unsigned line = 1;

		for (const char *p = text; (p = memchr(p, '\n', (size_t)(bad - p))); p++)
			line++;
		return fail(err, LODGE_ERROR_INPUT, "%s:%u: not UTF-8 text", name, line);
	}
	return scan_limits(text, len, name, err);
}

xmlDoc *xml_parse(const char *text, size_t len, const char *name, GError **err)
{
	xmlParserCtxt *parser;
	xmlDoc *doc;

	if (!text_check(text, len, name, err))
		return NULL;
	parser = xmlNewParserCtxt();
	if (!parser)
		return fail_null(err, LODGE_ERROR_SYSTEM, "%s: out of memory", name);
	doc = xmlCtxtReadMemory(parser, text, (int)len, NULL, "UTF-8",
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES);
	if (!doc)
		fail_parse(err, parser, name);
	else
		doc->URL = xmlStrdup(xc(name));
	xmlFreeParserCtxt(parser);
	return doc;
}

/* To the end or one byte beyond what is accepted; the source may be a pipe. */
static GByteArray *read_all(int fd, const char *path, GError **err)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	while (bytes->len <= XML_MAX_SIZE) {
		char block[16384];
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno_null(err, "%s: cannot read", path);
		if (!n)
			break;
		g_byte_array_append(bytes, (const uint8_t *)block, (unsigned)n);
	}
	return g_steal_pointer(&bytes);
}

xmlDoc *xml_parse_file(const char *path, GError **err)
{
	bool is_stdin = !strcmp(path, "-");
	const char *name = is_stdin ? "(stdin)" : path;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	g_autoptr(GByteArray) bytes = NULL;

	if (fd < 0)
		return fail_errno_null(err, "%s: cannot open", path);
	bytes = read_all(fd, name, err);
	if (!is_stdin)
		close(fd);
	return bytes ? xml_parse((const char *)bytes->data, bytes->len, name, err) : NULL;
}

/* --- where a node is --- */

static bool same_name(const xmlNode *a, const xmlNode *b)
{
	return a->type == XML_ELEMENT_NODE && xmlStrEqual(a->name, b->name) && a->ns == b->ns;
}

static void append_step(GString *path, const xmlNode *node)
{
	unsigned index = 1, count = 1;

	for (const xmlNode *n = node->prev; n; n = n->prev)
		index += same_name(n, node);
	for (const xmlNode *n = node->next; n; n = n->next)
		count += same_name(n, node);
	count += index - 1;
	g_string_append_c(path, '/');
	if (node->ns && node->ns->prefix)
		g_string_append_printf(path, "%s:", (const char *)node->ns->prefix);
	g_string_append(path, (const char *)node->name);
	if (count > 1)
		g_string_append_printf(path, "[%u]", index);
}

static void append_path(GString *path, const xmlNode *node)
{
	if (!node || node->type != XML_ELEMENT_NODE)
		return;
	append_path(path, node->parent);
	append_step(path, node);
}

char *xml_node_path(const xmlNode *node)
{
	GString *path = g_string_new(NULL);

	append_path(path, node);
	return g_string_free(path, FALSE);
}

/* Nodes made by us have no line: the nearest element that came from the text has. */
static long line_of(const xmlNode *node)
{
	long line;

	while (node->parent && node->type == XML_ELEMENT_NODE && !node->line)
		node = node->parent;
	if (node->type != XML_ELEMENT_NODE)
		return 1;
	/* libxml2 finds lines beyond 65535 through the nodes below, which may be ours. */
	line = xmlGetLineNo(node);
	return MAX(line, (long)node->line);
}

bool fail_xml(GError **err, const xmlNode *node, const char *attr, const char *format, ...)
{
	g_autofree char *path = xml_node_path(node);
	g_autofree char *what = NULL;
	const char *name = node->doc && node->doc->URL ? (const char *)node->doc->URL : "(xml)";
	va_list args;

	va_start(args, format);
	what = g_strdup_vprintf(format, args);
	va_end(args);
	return fail(err, LODGE_ERROR_INPUT, "%s:%ld: %s%s%s: %s", name, line_of(node), path, attr ? "/@" : "",
		    attr ? attr : "", what);
}

/* --- paths --- */

/* One step of a path: [prefix:]name, and what follows it. */
struct step {
	const char *prefix, *name, *rest;
	size_t prefix_len, name_len;
	bool attribute;
};

static struct step step_of(const char *path)
{
	struct step step = { .attribute = *path == '@' };
	size_t len;
	const char *colon;

	path += step.attribute;
	len = strcspn(path, "/");
	colon = memchr(path, ':', len);
	step.prefix = colon ? path : NULL;
	step.prefix_len = colon ? (size_t)(colon - path) : 0;
	step.name = colon ? colon + 1 : path;
	step.name_len = len - (size_t)(step.name - path);
	step.rest = path[len] == '/' ? path + len + 1 : NULL;
	return step;
}

static bool equals(const xmlChar *text, const char *part, size_t len)
{
	return text && !strncmp((const char *)text, part, len) && !text[len];
}

static bool step_matches(const struct step *step, const xmlNode *node)
{
	if (node->type != XML_ELEMENT_NODE || !equals(node->name, step->name, step->name_len))
		return false;
	return step->prefix ? node->ns && equals(node->ns->prefix, step->prefix, step->prefix_len) : !node->ns;
}

static xmlAttr *find_attr(xmlNode *node, const struct step *step)
{
	for (xmlAttr *attr = node->properties; attr; attr = attr->next) {
		if (!equals(attr->name, step->name, step->name_len))
			continue;
		if (step->prefix ? attr->ns && equals(attr->ns->prefix, step->prefix, step->prefix_len) : !attr->ns)
			return attr;
	}
	return NULL;
}

/* The first element below from that path leads to, or the owner of the first attribute it leads to (in *attr). */
static xmlNode *walk(xmlNode *from, const char *path, xmlAttr **attr)
{
	struct step step;

	if (!path || !*path || !strcmp(path, "."))
		return from;
	step = step_of(path);
	if (step.attribute) {
		*attr = find_attr(from, &step);
		return *attr ? from : NULL;
	}
	for (xmlNode *node = from->children; node; node = node->next) {
		xmlNode *found = step_matches(&step, node) ? walk(node, step.rest, attr) : NULL;

		if (found)
			return found;
	}
	return NULL;
}

xmlNode *xml_find(xmlNode *from, const char *path)
{
	xmlAttr *attr = NULL;

	return from ? walk(from, path, &attr) : NULL;
}

static char *attr_text(const xmlAttr *attr)
{
	const xmlNode *text = attr->children;
	xmlChar *joined;
	char *copy;

	if (!text)
		return g_strdup("");
	if (!text->next && text->type == XML_TEXT_NODE)
		return g_strdup((const char *)text->content);
	joined = xmlNodeListGetString(attr->doc, attr->children, 1);
	copy = g_strdup(joined ? (const char *)joined : "");
	xmlFree(joined);
	return copy;
}

static char *element_text(const xmlNode *node)
{
	const xmlNode *text = node->children;
	xmlChar *joined;
	char *copy;

	if (!text)
		return g_strdup("");
	if (!text->next && text->type == XML_TEXT_NODE)
		return g_strstrip(g_strdup((const char *)text->content));
	joined = xmlNodeGetContent(node);
	copy = g_strstrip(g_strdup(joined ? (const char *)joined : ""));
	xmlFree(joined);
	return copy;
}

char *xml_get(xmlNode *from, const char *path)
{
	xmlAttr *attr = NULL;
	xmlNode *node = from ? walk(from, path, &attr) : NULL;

	if (!node)
		return NULL;
	return attr ? attr_text(attr) : element_text(node);
}

bool xml_is(xmlNode *from, const char *path, const char *value)
{
	g_autofree char *text = xml_get(from, path);

	return text && !strcmp(text, value);
}

bool xml_get_uint(xmlNode *from, const char *path, uint64_t *value)
{
	g_autofree char *text = xml_get(from, path);
	bool hex;

	if (!text)
		return false;
	g_strstrip(text);
	hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	return g_ascii_string_to_unsigned(hex ? text + 2 : text, hex ? 16 : 10, 0, UINT64_MAX, value, NULL);
}

xmlNode *xml_first(xmlNode *from, const char *path)
{
	return xml_find(from, path);
}

xmlNode *xml_next(const xmlNode *node)
{
	for (xmlNode *next = node->next; next; next = next->next) {
		if (same_name(next, node))
			return next;
	}
	return NULL;
}

static xmlNode *element_from(xmlNode *node)
{
	while (node && node->type != XML_ELEMENT_NODE)
		node = node->next;
	return node;
}

xmlNode *xml_child(const xmlNode *node)
{
	return node ? element_from(node->children) : NULL;
}

xmlNode *xml_sibling(const xmlNode *node)
{
	return node ? element_from(node->next) : NULL;
}

/* --- changing --- */

/* Prefixes that may be used in a definition without having been declared in it. */
static const struct {
	const char *prefix, *href;
} known_prefixes[] = {
	{ "qemu", "http://libvirt.org/schemas/domain/qemu/1.0" },
	{ "lodge", "urn:lodge:domain:1" },
};

static xmlNs *namespace_of(xmlNode *node, const struct step *step)
{
	g_autofree char *prefix = NULL;
	xmlNs *ns;

	if (!step->prefix)
		return NULL;
	prefix = g_strndup(step->prefix, step->prefix_len);
	ns = xmlSearchNs(node->doc, node, xc(prefix));
	for (size_t i = 0; !ns && i < G_N_ELEMENTS(known_prefixes); i++) {
		if (!strcmp(prefix, known_prefixes[i].prefix))
			ns = xmlNewNs(xmlDocGetRootElement(node->doc), xc(known_prefixes[i].href), xc(prefix));
	}
	return ns;
}

static xmlNode *add_element(xmlNode *parent, const struct step *step)
{
	g_autofree char *name = g_strndup(step->name, step->name_len);
	xmlNode *node = xmlNewDocNode(parent->doc, namespace_of(parent, step), xc(name), NULL);
	xmlNode *like = NULL;

	for (xmlNode *n = parent->children; n; n = n->next) {
		if (same_name(n, node))
			like = n;
	}
	if (like)
		xmlAddNextSibling(like, node);
	else
		xmlAddChild(parent, node);
	return node;
}

/* As walk(), but makes the elements; stops at an attribute's step, which it leaves in *attribute. */
static xmlNode *make(xmlNode *from, const char *path, struct step *attribute)
{
	while (path && *path && strcmp(path, ".")) {
		struct step step = step_of(path);
		xmlNode *next = NULL;

		if (step.attribute) {
			*attribute = step;
			break;
		}
		for (xmlNode *node = from->children; node && !next; node = node->next)
			next = step_matches(&step, node) ? node : NULL;
		from = next ? next : add_element(from, &step);
		path = step.rest;
	}
	return from;
}

xmlNode *xml_ensure(xmlNode *from, const char *path)
{
	xmlNode *found = xml_find(from, path);
	struct step attribute = { 0 };

	return found ? found : make(from, path, &attribute);
}

static void remove_texts(xmlNode *node)
{
	for (xmlNode *child = node->children, *next; child; child = next) {
		next = child->next;
		if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE)
			xml_remove(child);
	}
}

static void set_text(xmlNode *node, const char *value)
{
	remove_texts(node);
	if (node->children)
		xmlAddPrevSibling(node->children, xmlNewDocText(node->doc, xc(value)));
	else if (*value)
		xmlAddChild(node, xmlNewDocText(node->doc, xc(value)));
}

static void unset(xmlNode *from, const char *path)
{
	xmlAttr *attr = NULL;
	xmlNode *node = walk(from, path, &attr);

	if (attr)
		xmlRemoveProp(attr);
	else if (node)
		xml_remove(node);
}

void xml_set(xmlNode *from, const char *path, const char *value)
{
	struct step attribute = { 0 };
	xmlAttr *attr = NULL;
	xmlNode *node;

	if (!value) {
		unset(from, path);
		return;
	}
	node = walk(from, path, &attr);
	if (attr) {
		xmlSetNsProp(node, attr->ns, attr->name, xc(value));
	} else if (node) {
		set_text(node, value);
	} else {
		node = make(from, path, &attribute);
		if (attribute.attribute) {
			g_autofree char *name = g_strndup(attribute.name, attribute.name_len);

			xmlSetNsProp(node, namespace_of(node, &attribute), xc(name), xc(value));
		} else {
			set_text(node, value);
		}
	}
}

void xml_setf(xmlNode *from, const char *path, const char *format, ...)
{
	g_autofree char *value = NULL;
	va_list args;

	va_start(args, format);
	value = g_strdup_vprintf(format, args);
	va_end(args);
	xml_set(from, path, value);
}

xmlNode *xml_add(xmlNode *parent, const char *name)
{
	struct step step = step_of(name);
	g_autofree char *local = g_strndup(step.name, step.name_len);

	return xmlAddChild(parent, xmlNewDocNode(parent->doc, namespace_of(parent, &step), xc(local), NULL));
}

void xml_remove(xmlNode *node)
{
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}
