/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/editor.h"
#include "tui/cmd/life.h"
#include "tui/cmd/scope.h"

/* The element of <metadata> that belongs to the name space; text NULL removes it. */
struct change {
	const char *uri, *key, *text;
};

static xmlNode *find_element(const struct domain *domain, const char *uri)
{
	for (xmlNode *n = xml_child(xml_find(domain->root, "metadata")); n; n = xml_sibling(n)) {
		if (n->ns && n->ns->href && strcmp((const char *)n->ns->href, uri) == 0)
			return n;
	}
	return NULL;
}

/* Elements without a name space get this one. */
static void put_into(xmlNode *node, xmlNs *ns)
{
	if (!node->ns)
		xmlSetNs(node, ns);
	for (xmlNode *child = xml_child(node); child; child = xml_sibling(child))
		put_into(child, ns);
}

static void take_out(xmlNode *node, const char *uri)
{
	if (node->ns && node->ns->href && strcmp((const char *)node->ns->href, uri) == 0)
		node->ns = NULL;
	for (xmlNode *child = xml_child(node); child; child = xml_sibling(child))
		take_out(child, uri);
}

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	const struct change *change = opaque;
	xmlNode *old = find_element(domain, change->uri), *node;
	auto_xml xmlDoc *doc = change->text ? xml_parse(change->text, strlen(change->text), "metadata", err) : NULL;

	if (change->text && !doc)
		return false;
	if (old)
		xml_remove(old);
	if (!doc) {
		xmlNode *metadata = xml_find(domain->root, "metadata");

		if (metadata && !xml_child(metadata))
			xml_remove(metadata);
		return true;
	}
	node = xmlDocCopyNode(xmlDocGetRootElement(doc), domain->doc, 1);
	put_into(node, xmlNewNs(node, (const xmlChar *)change->uri, (const xmlChar *)change->key));
	xmlAddChild(xml_ensure(domain->root, "metadata"), node);
	return true;
}

static bool set_metadata(struct session *session, const struct dom *dom, const struct scope *scope,
			 struct change *change, GError **err)
{
	if (!scope_change(session, dom, scope, change_domain, NULL, change, err))
		return false;
	session_say(session, "%s\n", change->text ? "Metadata modified" : "Metadata removed");
	return true;
}

/* As it was given: without our key. NULL: an error, or (without one) nothing there. */
static char *get_metadata(struct session *session, const struct dom *dom, const struct scope *scope, const char *uri,
			  GError **err)
{
	autoptr(domain) domain = scope_definition(session, dom, scope, err);
	xmlNode *node = domain ? find_element(domain, uri) : NULL;
	auto_xml xmlDoc *doc = NULL;

	if (!node)
		return NULL;
	doc = xmlNewDoc((const xmlChar *)"1.0");
	xmlDocSetRootElement(doc, xmlDocCopyNode(node, doc, 1));
	node = xmlDocGetRootElement(doc);
	take_out(node, uri);
	/* The copy holds the declaration, which nothing uses any more. */
	for (xmlNs **ns = &node->nsDef; *ns;) {
		xmlNs *next = (*ns)->next;

		if (strcmp((const char *)(*ns)->href, uri) == 0) {
			xmlFreeNs(*ns);
			*ns = next;
		} else {
			ns = &(*ns)->next;
		}
	}
	return xml_format(node);
}

static bool show(struct session *session, const struct dom *dom, const struct scope *scope, const char *uri,
		 GError **err)
{
	g_autoptr(GError) failed = NULL;
	g_autofree char *text = get_metadata(session, dom, scope, uri, &failed);

	if (text) {
		fprintf(session->out, "%s\n", text);
		return true;
	}
	if (!failed)
		return fail(err, LODGE_ERROR_STATE, "metadata not found: Requested metadata element is not present");
	g_propagate_error(err, g_steal_pointer(&failed));
	return false;
}

static bool edit(struct session *session, const struct dom *dom, const struct scope *scope, struct change *change,
		 GError **err)
{
	g_autoptr(GError) failed = NULL;
	g_autofree char *before = get_metadata(session, dom, scope, change->uri, &failed);
	g_autofree char *after = NULL;

	if (failed) {
		g_propagate_error(err, g_steal_pointer(&failed));
		return false;
	}
	after = home_writable(session->home, "change a domain", err) ? editor_text(before ? before : "\n", err) : NULL;
	if (!after)
		return false;
	if (g_strcmp0(after, before) == 0 || (!before && !*g_strstrip(after))) {
		session_say(session, "Metadata not changed\n");
		return true;
	}
	change->text = after;
	return set_metadata(session, dom, scope, change, err);
}

static bool metadata(struct session *session, const struct args *args, GError **err)
{
	struct change change = {
		.uri = args_string(args, "uri"),
		.key = args_string(args, "key"),
		.text = args_string(args, "set"),
	};
	bool edits = args_flag(args, "edit");
	struct scope scope;
	autoptr(dom) dom = NULL;

	if ((change.text || edits) && !change.key)
		return fail(err, LODGE_ERROR_USAGE, "namespace key is required when modifying metadata");
	if (change.key && xmlValidateNCName((const xmlChar *)change.key, 0) != 0)
		return fail(err, LODGE_ERROR_USAGE, "--key '%s': not a name", change.key);
	if (!*change.uri)
		return fail(err, LODGE_ERROR_USAGE, "the name space's URI is empty");
	dom = life_find(session, args, err);
	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	if (edits)
		return edit(session, dom, &scope, &change, err);
	if (change.text || args_flag(args, "remove"))
		return set_metadata(session, dom, &scope, &change, err);
	return show(session, dom, &scope, change.uri, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "uri", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "the name space" },
	SCOPE_ARGS,
	{ .name = "edit", .type = ARG_FLAG, .help = "in $VISUAL, $EDITOR or vi" },
	{ .name = "key", .type = ARG_STRING, .help = "prefix of the name space in the definition" },
	{ .name = "set", .type = ARG_STRING, .help = "the new element" },
	{ .name = "remove", .type = ARG_FLAG, .help = "remove the name space's element" },
	ARG_END,
};

const struct command cmd_metadata = {
	.name = "metadata",
	.group = GROUP_DOMAIN,
	.help = "show or set an element of a domain's metadata",
	.about = "Programs keep what they know about a domain below <metadata>, each in a name space of its own.",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE ", edit|set|remove",
	.run = metadata,
};
