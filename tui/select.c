/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/select.h"

#include <libxml/xpath.h>
#include <string.h>

#include "core/base/error.h"
#include "core/model/xml.h"

static void context_cleanup(xmlXPathContext **context)
{
	xmlXPathFreeContext(*context);
}
#define auto_context __attribute__((cleanup(context_cleanup)))

static void result_cleanup(xmlXPathObject **object)
{
	xmlXPathFreeObject(*object);
}
#define auto_result __attribute__((cleanup(result_cleanup)))

/* libxml2 prints its complaints unless somebody listens. */
static void be_silent(void *context, xmlError *error)
{
	(void)context;
	(void)error;
}

static void append_node(GString *out, xmlDoc *doc, xmlNode *node, const char *indent)
{
	xmlBuffer *buffer = xmlBufferCreate();

	xmlNodeDump(buffer, doc, node, indent[0] ? 1 : 0, 1);
	g_string_append_printf(out, "%s%s\n", indent, (const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
}

static char *select_nodes(const char *xml, const char *expression, bool wrap, GError **err)
{
	auto_xml xmlDoc *doc = xml_parse(xml, strlen(xml), "document", err);
	auto_context xmlXPathContext *context = doc ? xmlXPathNewContext(doc) : NULL;
	auto_result xmlXPathObject *result = NULL;
	g_autoptr(GString) out = g_string_new(wrap ? "<nodes>\n" : NULL);

	if (!context)
		return NULL;
	context->error = be_silent;
	result = xmlXPathEval((const xmlChar *)expression, context);
	if (!result)
		return fail_null(err, LODGE_ERROR_USAGE, "--xpath %s: not an XPath expression", expression);
	if (result->type != XPATH_NODESET)
		return fail_null(err, LODGE_ERROR_USAGE, "--xpath %s: it selects no nodes", expression);
	for (int i = 0; result->nodesetval && i < result->nodesetval->nodeNr; i++)
		append_node(out, doc, result->nodesetval->nodeTab[i], wrap ? "  " : "");
	if (wrap)
		g_string_append(out, "</nodes>\n");
	return g_string_free(g_steal_pointer(&out), FALSE);
}

bool select_print(struct session *session, const struct args *args, const char *xml, GError **err)
{
	const char *expression = args_string(args, "xpath");
	g_autofree char *selected = NULL;

	if (expression) {
		selected = select_nodes(xml, expression, args_flag(args, "wrap"), err);
		if (!selected)
			return false;
		xml = selected;
	}
	fputs(xml, session->out);
	return true;
}
