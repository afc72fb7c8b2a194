/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing: white space between elements is ours, text inside an element that has no children is the document's. An
 * element that mixes text and elements is written on one line as it came, because blanks may matter there. Below
 * <metadata> attributes stand in double quotes: libvirt hands that part to libxml2, and users compare the two texts.
 */
#include <string.h>

#include "core/model/xml.h"

struct writer {
	GString *out;
	bool plain; /* in mixed content: no white space of ours */
	char quote;
};

/* Line ends and tabs of an attribute would come back as blanks, so they are written as references. */
static void append_escaped(struct writer *w, const char *text, bool attribute)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			g_string_append(w->out, "&lt;");
			break;
		case '>':
			g_string_append(w->out, "&gt;");
			break;
		case '&':
			g_string_append(w->out, "&amp;");
			break;
		case '\'':
			g_string_append(w->out, w->quote == '"' ? "'" : "&apos;");
			break;
		case '"':
			g_string_append(w->out, w->quote == '"' && !attribute ? "\"" : "&quot;");
			break;
		case '\r':
			g_string_append(w->out, "&#13;");
			break;
		case '\n':
		case '\t':
			if (attribute) {
				g_string_append(w->out, *text == '\n' ? "&#10;" : "&#9;");
				break;
			}
			G_GNUC_FALLTHROUGH;
		default:
			g_string_append_c(w->out, *text);
		}
	}
}

static void append_name(struct writer *w, const xmlNs *ns, const xmlChar *name)
{
	if (ns && ns->prefix)
		g_string_append_printf(w->out, "%s:", (const char *)ns->prefix);
	g_string_append(w->out, (const char *)name);
}

static void append_namespaces(struct writer *w, const xmlNode *node)
{
	for (const xmlNs *ns = node->nsDef; ns; ns = ns->next) {
		g_string_append(w->out, ns->prefix ? " xmlns:" : " xmlns");
		if (ns->prefix)
			g_string_append(w->out, (const char *)ns->prefix);
		g_string_append_printf(w->out, "=%c", w->quote);
		append_escaped(w, ns->href ? (const char *)ns->href : "", true);
		g_string_append_c(w->out, w->quote);
	}
}

static void append_attributes(struct writer *w, const xmlNode *node)
{
	if (w->quote == '"')
		append_namespaces(w, node);
	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		g_string_append_c(w->out, ' ');
		append_name(w, attr->ns, attr->name);
		g_string_append_printf(w->out, "=%c", w->quote);
		for (const xmlNode *text = attr->children; text; text = text->next) {
			if (text->content)
				append_escaped(w, (const char *)text->content, true);
		}
		g_string_append_c(w->out, w->quote);
	}
	if (w->quote != '"')
		append_namespaces(w, node);
}

static bool is_text(const xmlNode *node)
{
	return node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE;
}

static bool is_blank(const xmlNode *node)
{
	return !node->content || !node->content[strspn((const char *)node->content, " \t\r\n")];
}

enum content { CONTENT_NONE, CONTENT_TEXT, CONTENT_ELEMENTS, CONTENT_MIXED };

static enum content content_of(const xmlNode *node)
{
	bool text = false, others = false, line = false;

	for (const xmlNode *n = node->children; n; n = n->next) {
		if (!is_text(n))
			others = true;
		else if (!is_blank(n))
			text = true;
		else
			line = line || !n->content || strchr((const char *)n->content, '\n');
	}
	if (others)
		return text ? CONTENT_MIXED : CONTENT_ELEMENTS;
	/* Nothing but a line end: an element written over two lines. */
	return node->children && (text || !line) ? CONTENT_TEXT : CONTENT_NONE;
}

static void append_indent(struct writer *w, unsigned depth)
{
	if (!w->plain)
		g_string_append_printf(w->out, "%*s", (int)(2 * depth), "");
}

static void append_node(struct writer *w, const xmlNode *node, unsigned depth);

static void append_content(struct writer *w, const xmlNode *node, unsigned depth, enum content content)
{
	bool was_plain = w->plain;

	w->plain = was_plain || content != CONTENT_ELEMENTS;
	if (!w->plain)
		g_string_append_c(w->out, '\n');
	for (const xmlNode *n = node->children; n; n = n->next) {
		if (w->plain || !is_text(n))
			append_node(w, n, depth + 1);
	}
	append_indent(w, depth);
	w->plain = was_plain;
}

/* A domain's devices have an end tag even where there are none. */
static bool is_devices(const xmlNode *node)
{
	return !strcmp((const char *)node->name, "devices") && !node->ns && node->parent &&
	       node->parent->type == XML_ELEMENT_NODE && !strcmp((const char *)node->parent->name, "domain");
}

static void append_element(struct writer *w, const xmlNode *node, unsigned depth)
{
	enum content content = content_of(node);
	char quote = w->quote;

	g_string_append_c(w->out, '<');
	append_name(w, node->ns, node->name);
	if (!strcmp((const char *)node->name, "metadata") && !node->ns)
		w->quote = '"';
	append_attributes(w, node);
	if (content == CONTENT_NONE && is_devices(node) && !w->plain) {
		g_string_append_printf(w->out, ">\n%*s</devices>", (int)(2 * depth), "");
	} else if (content == CONTENT_NONE) {
		g_string_append(w->out, "/>");
	} else {
		g_string_append_c(w->out, '>');
		append_content(w, node, depth, content);
		g_string_append(w->out, "</");
		append_name(w, node->ns, node->name);
		g_string_append_c(w->out, '>');
	}
	w->quote = quote;
}

static void append_node(struct writer *w, const xmlNode *node, unsigned depth)
{
	append_indent(w, is_text(node) ? 0 : depth);
	switch (node->type) {
	case XML_ELEMENT_NODE:
		append_element(w, node, depth);
		break;
	case XML_COMMENT_NODE:
		g_string_append_printf(w->out, "<!--%s-->", node->content ? (const char *)node->content : "");
		break;
	case XML_PI_NODE:
		g_string_append_printf(w->out, "<?%s%s%s?>", (const char *)node->name, node->content ? " " : "",
				       node->content ? (const char *)node->content : "");
		break;
	case XML_TEXT_NODE:
	case XML_CDATA_SECTION_NODE:
		if (node->content)
			append_escaped(w, (const char *)node->content, false);
		return;
	default:
		return;
	}
	if (!w->plain)
		g_string_append_c(w->out, '\n');
}

char *xml_format(xmlNode *node)
{
	struct writer w = { .out = g_string_sized_new(4096), .quote = '\'' };

	append_node(&w, node, 0);
	return g_string_free(w.out, FALSE);
}
