/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/xml-prefix.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

static const struct {
	const char *prefix, *href;
} usual[] = {
	{ "qemu", "http://libvirt.org/schemas/domain/qemu/1.0" },
	{ "lxc", "http://libvirt.org/schemas/domain/lxc/1.0" },
	{ "bhyve", "http://libvirt.org/schemas/domain/bhyve/1.0" },
	{ "xen", "http://libvirt.org/schemas/domain/xen/1.0" },
	{ "vmware", "http://libvirt.org/schemas/domain/vmware/1.0" },
	{ "lodge", "urn:lodge:domain:1" },
	{ "dnsmasq", "http://libvirt.org/schemas/network/dnsmasq/1.0" },
	{ "fs", "http://libvirt.org/schemas/storagepool/fs/1.0" },
	{ "rbd", "http://libvirt.org/schemas/storagepool/rbd/1.0" },
};

static const char *usual_prefix(const xmlNs *ns)
{
	for (size_t i = 0; i < G_N_ELEMENTS(usual); i++) {
		if (ns->href && !strcmp((const char *)ns->href, usual[i].href))
			return usual[i].prefix;
	}
	return NULL;
}

/* Whether anything below declares the prefix for another name space. */
static bool is_used_below(const xmlNode *node, const char *prefix, const xmlChar *href)
{
	for (const xmlNs *ns = node->nsDef; ns; ns = ns->next) {
		if (ns->prefix && !strcmp((const char *)ns->prefix, prefix) && !xmlStrEqual(ns->href, href))
			return true;
	}
	for (const xmlNode *child = node->children; child; child = child->next) {
		if (child->type == XML_ELEMENT_NODE && is_used_below(child, prefix, href))
			return true;
	}
	return false;
}

static bool is_needed(const xmlNode *node, const xmlNs *ns)
{
	if (node->ns == ns)
		return true;
	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		if (attr->ns == ns)
			return true;
	}
	for (const xmlNode *child = node->children; child; child = child->next) {
		if (child->type == XML_ELEMENT_NODE && is_needed(child, ns))
			return true;
	}
	return false;
}

/* What the prefix stands for further out is hidden below the node: nothing there may need it. */
static bool is_free(xmlNode *node, const xmlNs *ns, const char *prefix)
{
	xmlNs *outer = xmlSearchNs(node->doc, node, (const xmlChar *)prefix);

	return (!outer || !is_needed(node, outer)) && !is_used_below(node, prefix, ns->href);
}

static void rename_below(xmlNode *node)
{
	for (xmlNs *ns = node->nsDef; ns; ns = ns->next) {
		const char *prefix = usual_prefix(ns);

		if (!prefix || (ns->prefix && !strcmp((const char *)ns->prefix, prefix)))
			continue;
		if (!is_free(node, ns, prefix))
			continue;
		xmlFree((xmlChar *)(uintptr_t)ns->prefix);
		ns->prefix = xmlStrdup((const xmlChar *)prefix);
	}
	for (xmlNode *child = node->children; child; child = child->next) {
		if (child->type == XML_ELEMENT_NODE)
			rename_below(child);
	}
}

void xml_use_prefixes(xmlDoc *doc)
{
	xmlNode *root = xmlDocGetRootElement(doc);

	if (root)
		rename_below(root);
}
