/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <libxml/xpath.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/model/xml.h"
#include "tui/cmd/life.h"
#include "tui/text.h"

static unsigned format_flags(const struct args *args, const struct dom *dom)
{
	unsigned flags = 0;

	if (args_flag(args, "inactive") || dom->id < 0)
		flags |= DOMAIN_INACTIVE;
	if (args_flag(args, "security-info"))
		flags |= DOMAIN_SECRET;
	if (args_flag(args, "migratable"))
		flags |= DOMAIN_MIGRATABLE;
	return flags;
}

/* --- xpath --- */

static void xpath_cleanup(xmlXPathContext **context)
{
	xmlXPathFreeContext(*context);
}
#define auto_xpath __attribute__((cleanup(xpath_cleanup)))

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

static void append_nodes(GString *out, xmlDoc *doc, const xmlNodeSet *nodes, bool wrap)
{
	if (wrap)
		g_string_append(out, "<nodes>\n");
	for (int i = 0; nodes && i < nodes->nodeNr; i++)
		append_node(out, doc, nodes->nodeTab[i], wrap ? "  " : "");
	if (wrap)
		g_string_append(out, "</nodes>\n");
}

static char *select_nodes(const char *xml, const char *expression, bool wrap, GError **err)
{
	auto_xml xmlDoc *doc = xml_parse(xml, strlen(xml), "domain", err);
	auto_xpath xmlXPathContext *context = doc ? xmlXPathNewContext(doc) : NULL;
	auto_result xmlXPathObject *result = NULL;
	g_autoptr(GString) out = g_string_new(NULL);

	if (!context)
		return NULL;
	context->error = be_silent;
	result = xmlXPathEval((const xmlChar *)expression, context);
	if (!result)
		return fail_null(err, LODGE_ERROR_USAGE, "--xpath %s: not an XPath expression", expression);
	if (result->type != XPATH_NODESET)
		return fail_null(err, LODGE_ERROR_USAGE, "--xpath %s: it selects no nodes", expression);
	append_nodes(out, doc, result->nodesetval, wrap);
	return g_string_free(g_steal_pointer(&out), FALSE);
}

/* --- the command --- */

/* A model that is the host's would have to become the features it has. */
static bool check_cpu(const struct args *args, const struct domain *domain, GError **err)
{
	if (!args_flag(args, "update-cpu") || !xml_is(domain->root, "cpu/@mode", "host-model"))
		return true;
	return fail(err, LODGE_ERROR_UNSUPPORTED,
		    "--update-cpu: Lodge does not spell out what host-model stands for yet");
}

static bool check_secret(const struct session *session, const struct args *args, GError **err)
{
	return !session->readonly || !args_flag(args, "security-info") ||
	       fail(err, LODGE_ERROR_DENIED, "operation forbidden: read only access prevents dumpxml --security-info");
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	const char *xpath = args_string(args, "xpath");
	autoptr(dom) dom = check_secret(session, args, err) ? life_find(session, args, err) : NULL;
	autoptr(domain) domain = NULL;
	g_autofree char *xml = NULL;

	if (dom)
		domain = dom_definition(session->home, dom, dom->id >= 0 && !args_flag(args, "inactive"), err);
	if (!domain || !check_cpu(args, domain, err))
		return false;
	xml = domain_format(domain, format_flags(args, dom));
	if (xpath) {
		char *selected = select_nodes(xml, xpath, args_flag(args, "wrap"), err);

		g_free(xml);
		xml = selected;
	}
	if (xml)
		fputs(xml, session->out);
	return xml != NULL;
}

static const struct arg_row dumpxml_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "inactive", .type = ARG_FLAG, .help = "the stored definition, also while it runs" },
	{ .name = "security-info", .type = ARG_FLAG, .help = "with passwords and other secrets" },
	{ .name = "update-cpu", .type = ARG_FLAG, .help = "spell out what the CPU model stands for on this host" },
	{ .name = "migratable", .type = ARG_FLAG, .help = "without what another host would not understand" },
	{ .name = "xpath", .type = ARG_STRING, .help = "only the nodes that this XPath expression selects" },
	{ .name = "wrap", .type = ARG_FLAG, .help = "put what --xpath selects into one <nodes> element" },
	ARG_END,
};

const struct command cmd_dumpxml = {
	.name = "dumpxml",
	.group = GROUP_DOMAIN,
	.help = "print the XML of a domain",
	.about =
		"Prints what the domain runs with, or its definition when it does not run. Passwords are left out "
		"unless --security-info\n"
		"asks for them.",
	.args = dumpxml_args,
	.run = run,
};
