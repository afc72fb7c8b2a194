/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets, and what describes the host: interfaces, devices, processors. */
#include <string.h>

#include "core/model/ip-address.h"
#include "core/model/objects-steps.h"
#include "core/model/xml.h"

/* --- secrets --- */

static const struct {
	const char *usage, *element;
} usages[] = {
	{ "volume", "volume" }, { "ceph", "name" }, { "iscsi", "target" }, { "tls", "name" }, { "vtpm", "name" },
};

static void fill_secret(xmlNode *root, unsigned flags)
{
	(void)flags;
	object_fill_uuid(root, "uuid", true);
	object_default(root, "@ephemeral", "no");
	object_default(root, "@private", "no");
}

static bool check_secret(xmlNode *root, GError **err)
{
	xmlNode *usage = xml_find(root, "usage");
	g_autofree char *type = usage ? xml_get(usage, "@type") : NULL;

	for (size_t i = 0; type && i < G_N_ELEMENTS(usages); i++) {
		g_autofree char *value = xml_get(usage, usages[i].element);

		if (!strcmp(usages[i].usage, type) && (!value || !*value))
			return fail_xml(err, usage, NULL, "usage '%s' needs <%s>", type, usages[i].element);
	}
	return true;
}

const struct object_class object_secret = { .fill = fill_secret, .check = check_secret, .uuid = "uuid" };

/* --- interfaces of the host --- */

static void fill_interface(xmlNode *root, unsigned flags)
{
	g_autofree char *tag = xml_get(root, "vlan/@tag");
	g_autofree char *below = xml_get(root, "vlan/interface/@name");

	(void)flags;
	if (xml_is(root, "@type", "vlan") && tag && below && !object_has(root, "@name"))
		xml_setf(root, "@name", "%s.%s", below, tag);
}

static bool check_protocol(xmlNode *protocol, GError **err)
{
	bool six = xml_is(protocol, "@family", "ipv6");
	struct ip_address ip;

	if (!six && xml_find(protocol, "autoconf"))
		return fail_xml(err, xml_find(protocol, "autoconf"), NULL, "only for IPv6");
	for (xmlNode *node = xml_child(protocol); node; node = xml_sibling(node)) {
		bool route = !strcmp((const char *)node->name, "route");
		g_autofree char *text = xml_get(node, route ? "@gateway" : "@address");
		uint64_t prefix;

		if (text && ip_parse(&ip, text) && (ip.len == 16) != six)
			return fail_xml(err, node, route ? "gateway" : "address", "'%s' is not an %s address", text,
					six ? "IPv6" : "IPv4");
		if (!six && xml_get_uint(node, "@prefix", &prefix) && prefix > 32)
			return fail_xml(err, node, "prefix", "an IPv4 prefix has 0 to 32 bits");
	}
	return true;
}

static bool check_interface_at(xmlNode *node, const char *above, GError **err);

static bool check_members(xmlNode *parent, const char *type, GError **err)
{
	for (xmlNode *node = xml_first(parent, "interface"); node; node = xml_next(node)) {
		if (!check_interface_at(node, type, err))
			return false;
	}
	return object_check_unique(xml_first(parent, "interface"), "name", err);
}

/* Ports and members have no addresses and no start mode of their own. */
static bool check_bare(xmlNode *node, const char *above, GError **err)
{
	static const char *const not_bare[] = { "start", "protocol", "mtu" };
	g_autofree char *type = xml_get(node, "@type");

	if (!object_in_list(type, !strcmp(above, "bond") ? "ethernet" : "ethernet|vlan|bond"))
		return fail_xml(err, node, "type", "'%s' does not go into a %s", type, above);
	for (size_t i = 0; i < G_N_ELEMENTS(not_bare); i++) {
		if (xml_find(node, not_bare[i]))
			return fail_xml(err, xml_find(node, not_bare[i]), NULL, "belongs to the %s", above);
	}
	return true;
}

static bool check_parts(xmlNode *node, const char *type, GError **err)
{
	static const char *const parts[] = { "bridge", "bond", "vlan" };

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		xmlNode *part = xml_find(node, parts[i]);
		bool own = !strcmp(parts[i], type);

		if (own && !part)
			return fail_xml(err, node, NULL, "an interface of type '%s' needs <%s>", type, type);
		if (!own && part)
			return fail_xml(err, part, NULL, "not in an interface of type '%s'", type);
	}
	return true;
}

static bool check_bond(xmlNode *bond, GError **err)
{
	if (xml_find(bond, "miimon") && xml_find(bond, "arpmon"))
		return fail_xml(err, xml_find(bond, "arpmon"), NULL, "<miimon> and <arpmon> exclude each other");
	if (!xml_find(bond, "interface"))
		return fail_xml(err, bond, NULL, "a bond needs a member");
	return check_members(bond, "bond", err);
}

static bool check_interface_at(xmlNode *node, const char *above, GError **err)
{
	g_autofree char *type = xml_get(node, "@type");
	g_autofree char *name = xml_get(node, "@name");
	xmlNode *first = xml_first(node, "protocol");

	if (!name && strcmp(type, "vlan"))
		return fail_xml(err, node, NULL, "attribute name is missing");
	if ((above && !check_bare(node, above, err)) || !check_parts(node, type, err))
		return false;
	for (xmlNode *protocol = first; protocol; protocol = xml_next(protocol)) {
		if (!check_protocol(protocol, err))
			return false;
	}
	if (!object_check_unique(first, "family", err))
		return false;
	if (!strcmp(type, "bridge"))
		return check_members(xml_find(node, "bridge"), "bridge", err);
	return strcmp(type, "bond") || check_bond(xml_find(node, "bond"), err);
}

static bool check_interface(xmlNode *root, GError **err)
{
	return check_interface_at(root, NULL, err);
}

const struct object_class object_interface = { .fill = fill_interface, .check = check_interface, .name = "@name" };

/* --- devices of the host --- */

static bool check_wwn(xmlNode *node, const char *path, GError **err)
{
	g_autofree char *text = xml_get(node, path);
	const char *digits = text && g_str_has_prefix(text, "0x") ? text + 2 : text;

	if (digits && (strlen(digits) != 16 || !object_made_of(digits, "0123456789abcdefABCDEF")))
		return fail_xml(err, node, *path == '@' ? path + 1 : NULL, "'%s' is not 16 hexadecimal digits", text);
	return true;
}

/* What must stand in a capability of each type. */
static const struct {
	const char *type, *path;
} required[] = {
	{ "mdev", "type/@id" },
	{ "pci", "domain" },
	{ "pci", "bus" },
	{ "pci", "slot" },
	{ "pci", "function" },
	{ "usb_device", "bus" },
	{ "usb_device", "device" },
	{ "net", "interface" },
	{ "scsi", "host" },
	{ "scsi", "bus" },
	{ "scsi", "target" },
	{ "scsi", "lun" },
	{ "storage", "block" },
	{ "ccw", "cssid" },
	{ "ccw", "ssid" },
	{ "ccw", "devno" },
	{ "css", "cssid" },
	{ "css", "ssid" },
	{ "css", "devno" },
	{ "vdpa", "chardev" },
	{ "ap_card", "ap-adapter" },
	{ "ap_queue", "ap-adapter" },
	{ "ap_queue", "ap-domain" },
	{ "drm", "type" },
	{ "scsi_target", "target" },
	{ "scsi_generic", "char" },
};

static bool check_capability(xmlNode *capability, GError **err)
{
	g_autofree char *type = xml_get(capability, "@type");

	for (size_t i = 0; i < G_N_ELEMENTS(required); i++) {
		if (!strcmp(required[i].type, type) && !object_has(capability, required[i].path))
			return fail_xml(err, capability, NULL, "a capability of type '%s' needs %s", type,
					required[i].path);
	}
	for (xmlNode *inner = xml_first(capability, "capability"); inner; inner = xml_next(inner)) {
		if (!check_wwn(inner, "wwnn", err) || !check_wwn(inner, "wwpn", err) ||
		    !check_wwn(inner, "fabric_wwn", err))
			return false;
	}
	return true;
}

static void fill_nodedev(xmlNode *root, unsigned flags)
{
	(void)flags;
	for (xmlNode *node = xml_first(root, "capability"); node; node = xml_next(node)) {
		object_fill_uuid(node, "uuid", false);
		object_fill_mac(node, "address", false);
	}
}

static bool check_nodedev(xmlNode *root, GError **err)
{
	xmlNode *parent = xml_find(root, "parent");

	if (parent && object_has(parent, "@wwnn") != object_has(parent, "@wwpn"))
		return fail_xml(err, parent, NULL, "wwnn and wwpn go together");
	if (parent && (!check_wwn(parent, "@wwnn", err) || !check_wwn(parent, "@wwpn", err) ||
		       !check_wwn(parent, "@fabric_wwn", err)))
		return false;
	for (xmlNode *node = xml_first(root, "capability"); node; node = xml_next(node)) {
		if (!check_capability(node, err))
			return false;
	}
	return true;
}

const struct object_class object_nodedev = { .fill = fill_nodedev, .check = check_nodedev, .name = "name" };

/* --- processors --- */

static bool check_cpu_model(xmlNode *root, GError **err)
{
	g_autofree char *model = xml_get(root, "model");
	g_autofree char *vendor_id = xml_get(root, "model/@vendor_id");
	bool custom = !object_has(root, "@mode") || xml_is(root, "@mode", "custom");
	bool named = model && *model;

	if (vendor_id && (strlen(vendor_id) != 12 || strchr(vendor_id, ',')))
		return fail_xml(err, xml_find(root, "model"), "vendor_id",
				"twelve characters without a comma are needed");
	if (xml_find(root, "arch") || named || !custom)
		return true;
	if (xml_find(root, "vendor"))
		return fail_xml(err, xml_find(root, "vendor"), NULL, "a vendor needs a model");
	return !xml_find(root, "feature") || fail_xml(err, xml_find(root, "feature"), NULL, "features need a model");
}

static bool check_cpu_size(xmlNode *root, GError **err)
{
	xmlNode *size = xml_find(root, "maxphysaddr");
	bool emulate = size && xml_is(size, "@mode", "emulate");

	if (emulate && !object_has(size, "@bits"))
		return fail_xml(err, size, NULL, "attribute bits is missing");
	if (emulate && object_has(size, "@limit"))
		return fail_xml(err, size, "limit", "only with mode 'passthrough'");
	if (size && !emulate && object_has(size, "@bits"))
		return fail_xml(err, size, "bits", "only with mode 'emulate'");
	return true;
}

static bool check_cpu(xmlNode *root, GError **err)
{
	return check_cpu_model(root, err) && check_cpu_size(root, err) &&
	       object_check_unique(xml_first(root, "feature"), "name", err) &&
	       object_check_unique(xml_first(root, "numa/cell"), "id", err);
}

const struct object_class object_cpu = { .check = check_cpu };
