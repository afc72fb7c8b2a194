/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual networks: what is filled in, and the rules but those of addresses (objects-network-ip.c). */
#include <string.h>

#include "core/model/objects-network.h"
#include "core/model/objects-steps.h"
#include "core/model/xml.h"

/* What a forward mode allows; the first row is a network without <forward>. */
static const struct forward_mode {
	const char *name;
	bool owns_bridge; /* Lodge makes the bridge */
	bool needs_ip, takes_dev, takes_bridge, takes_vlan;
	bool one_interface;
} modes[] = {
	{ "isolated", .owns_bridge = true, .takes_bridge = true },
	{ "nat", .owns_bridge = true, .needs_ip = true, .takes_dev = true, .takes_bridge = true,
	  .one_interface = true },
	{ "route", .owns_bridge = true, .needs_ip = true, .takes_dev = true, .takes_bridge = true,
	  .one_interface = true },
	{ "open", .owns_bridge = true, .needs_ip = true, .takes_bridge = true },
	{ "bridge", .takes_dev = true, .takes_bridge = true, .takes_vlan = true },
	{ "private", .takes_dev = true, .takes_vlan = true },
	{ "vepa", .takes_dev = true, .takes_vlan = true },
	{ "passthrough", .takes_dev = true, .takes_vlan = true },
	{ "hostdev", .takes_dev = true, .takes_vlan = true },
};

static const struct forward_mode *mode_of(xmlNode *root)
{
	g_autofree char *name = xml_get(root, "forward/@mode");

	for (size_t i = 1; name && i < G_N_ELEMENTS(modes); i++) {
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	}
	return &modes[xml_find(root, "forward") ? 1 : 0];
}

/* --- fill --- */

/* The dev attribute and the first <interface> say the same. */
static void fill_forward(xmlNode *forward)
{
	g_autofree char *dev = NULL;
	g_autofree char *first = NULL;

	object_default(forward, "@mode", "nat");
	dev = xml_get(forward, "@dev");
	first = xml_get(forward, "interface/@dev");
	if (dev && !first && !xml_find(forward, "pf") && !xml_find(forward, "address"))
		xml_set(forward, "interface/@dev", dev);
	else if (first && !dev && !xml_find(forward, "pf"))
		xml_set(forward, "@dev", first);
}

static void fill_bridge(xmlNode *root)
{
	g_autofree char *delay = xml_get(root, "bridge/@forwardDelay");

	if (!delay)
		return;
	object_default(root, "bridge/@delay", delay);
	object_drop(root, "bridge/@forwardDelay");
}

static void fill(xmlNode *root, unsigned flags)
{
	xmlNode *forward = xml_find(root, "forward");

	(void)flags;
	object_fill_uuid(root, "uuid", true);
	object_drop(root, "@connections");
	object_drop_value(root, "@ipv6", "no");
	if (forward)
		fill_forward(forward);
	fill_bridge(root);
	object_fill_mac(root, "mac/@address", mode_of(root)->owns_bridge);
	if (mode_of(root)->owns_bridge) {
		object_default(root, "bridge/@stp", "on");
		object_default(root, "bridge/@delay", "0");
	}
	for (xmlNode *ip = xml_first(root, "ip"); ip; ip = xml_next(ip)) {
		for (xmlNode *host = xml_first(ip, "dhcp/host"); host; host = xml_next(host))
			object_fill_mac(host, "@mac", false);
	}
}

/* --- rules --- */

static bool check_forward_devices(xmlNode *forward, const struct forward_mode *mode, GError **err)
{
	xmlNode *interface = xml_first(forward, "interface");
	xmlNode *address = xml_first(forward, "address");
	xmlNode *pf = xml_first(forward, "pf");
	g_autofree char *dev = xml_get(forward, "@dev");
	g_autofree char *first = xml_get(forward, "interface/@dev");

	if (dev && !mode->takes_dev)
		return fail_xml(err, forward, "dev", "not with mode '%s'", mode->name);
	/* Beside <pf> stand the functions found of it, in what a running network shows. */
	if (address && interface)
		return fail_xml(err, address, NULL, "<interface> and <address> exclude each other");
	if (dev && (address || pf))
		return fail_xml(err, forward, "dev", "not together with <address> or <pf>");
	if (dev && first && strcmp(dev, first))
		return fail_xml(err, forward, "dev", "'%s' is not the first <interface>, '%s'", dev, first);
	if (mode->one_interface && interface && xml_next(interface))
		return fail_xml(err, xml_next(interface), NULL, "mode '%s' takes one interface only", mode->name);
	return object_check_unique(interface, "dev", err);
}

static bool same_pci(xmlNode *a, xmlNode *b)
{
	static const char *const parts[] = { "@domain", "@bus", "@slot", "@function" };

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		uint64_t x = 0, y = 0;

		xml_get_uint(a, parts[i], &x);
		xml_get_uint(b, parts[i], &y);
		if (x != y)
			return false;
	}
	return true;
}

static bool check_forward(xmlNode *root, const struct forward_mode *mode, GError **err)
{
	xmlNode *forward = xml_find(root, "forward");
	xmlNode *nat = forward ? xml_find(forward, "nat") : NULL;

	if (!forward)
		return true;
	if (nat && strcmp(mode->name, "nat"))
		return fail_xml(err, nat, NULL, "only with mode 'nat', not with '%s'", mode->name);
	for (xmlNode *a = xml_first(forward, "address"); a; a = xml_next(a)) {
		for (xmlNode *b = xml_next(a); b; b = xml_next(b)) {
			if (same_pci(a, b))
				return fail_xml(err, b, NULL, "this device stands in an earlier <address> already");
		}
	}
	return check_forward_devices(forward, mode, err);
}

static bool check_bridge(xmlNode *root, const struct forward_mode *mode, GError **err)
{
	xmlNode *bridge = xml_find(root, "bridge");
	xmlNode *mtu = xml_find(root, "mtu");
	g_autofree char *name = xml_get(root, "bridge/@name");

	if (bridge && !mode->takes_bridge)
		return fail_xml(err, bridge, NULL, "not with forward mode '%s'", mode->name);
	if (mtu && !mode->owns_bridge)
		return fail_xml(err, mtu, NULL, "not with forward mode '%s'", mode->name);
	if (name && strlen(name) > 15)
		return fail_xml(err, bridge, "name", "'%s' is longer than the 15 bytes of an interface's name", name);
	if (!bridge || mode->owns_bridge)
		return true;
	if (object_has(bridge, "@stp") || object_has(bridge, "@delay"))
		return fail_xml(err, bridge, NULL, "stp and delay are not set with forward mode '%s'", mode->name);
	if (name && (xml_find(root, "forward/interface") || xml_find(root, "forward/pf")))
		return fail_xml(err, bridge, NULL, "a bridge and a host interface in <forward> exclude each other");
	return true;
}

static bool check_bandwidth(xmlNode *bandwidth, GError **err)
{
	for (xmlNode *node = xml_child(bandwidth); node; node = xml_sibling(node)) {
		if (strcmp((const char *)node->name, "inbound") && strcmp((const char *)node->name, "outbound"))
			continue;
		if (object_has(node, "@floor"))
			return fail_xml(err, node, "floor", "only for a guest's interface");
		if (!object_has(node, "@average"))
			return fail_xml(err, node, NULL, "attribute average is missing");
	}
	return true;
}

static const struct {
	const char *type, *parameters;
} ports[] = {
	{ "802.1Qbg", "managerid|typeid|typeidversion|instanceid" },
	{ "802.1Qbh", "profileid" },
	{ "openvswitch", "interfaceid|profileid" },
	{ "midonet", "interfaceid" },
};

static bool check_virtualport(xmlNode *port, GError **err)
{
	xmlNode *parameters = xml_find(port, "parameters");
	g_autofree char *type = xml_get(port, "@type");
	g_autofree char *profile = xml_get(port, "parameters/@profileid");

	if (profile && strlen(profile) > 39)
		return fail_xml(err, parameters, "profileid", "longer than 39 bytes");
	for (size_t i = 0; type && i < G_N_ELEMENTS(ports); i++) {
		if (strcmp(ports[i].type, type))
			continue;
		for (const xmlAttr *attr = parameters ? parameters->properties : NULL; attr; attr = attr->next) {
			g_autofree char *allowed = object_list_text(ports[i].parameters);

			if (!object_in_list((const char *)attr->name, ports[i].parameters))
				return fail_xml(err, parameters, (const char *)attr->name,
						"not for type '%s', which takes %s", type, allowed);
		}
	}
	return true;
}

/* What a network and each of its port groups may have. */
static bool check_port_settings(xmlNode *node, const struct forward_mode *mode, GError **err)
{
	xmlNode *vlan = xml_find(node, "vlan");
	xmlNode *port = xml_find(node, "virtualport");
	xmlNode *bandwidth = xml_find(node, "bandwidth");
	xmlNode *first = vlan ? xml_first(vlan, "tag") : NULL;

	if (vlan && !mode->takes_vlan && !(port && xml_is(port, "@type", "openvswitch")))
		return fail_xml(err, vlan, NULL, "no VLANs on a network of kind '%s'", mode->name);
	if (vlan && xml_is(vlan, "@trunk", "no") && xml_next(first))
		return fail_xml(err, vlan, "trunk", "several tags make a trunk");
	if (bandwidth && !check_bandwidth(bandwidth, err))
		return false;
	return !port || check_virtualport(port, err);
}

static bool check_portgroups(xmlNode *root, const struct forward_mode *mode, GError **err)
{
	xmlNode *standard = NULL;

	for (xmlNode *group = xml_first(root, "portgroup"); group; group = xml_next(group)) {
		if (xml_is(group, "@default", "yes") && standard)
			return fail_xml(err, group, "default", "an earlier <portgroup> is the default one already");
		if (xml_is(group, "@default", "yes"))
			standard = group;
		if (!check_port_settings(group, mode, err))
			return false;
	}
	return object_check_unique(xml_first(root, "portgroup"), "name", err);
}

static bool check_txt(xmlNode *txt, GError **err)
{
	g_autofree char *name = xml_get(txt, "@name");

	if (!*name || strchr(name, ' '))
		return fail_xml(err, txt, "name", "'%s' is not a name without blanks", name);
	return object_has(txt, "@value") || fail_xml(err, txt, NULL, "attribute value is missing");
}

static bool check_srv(xmlNode *srv, GError **err)
{
	g_autofree char *service = xml_get(srv, "@service");
	g_autofree char *protocol = xml_get(srv, "@protocol");

	if (!*service || strlen(service) > 482)
		return fail_xml(err, srv, "service", "1 to 482 bytes are allowed");
	if (strcmp(protocol, "tcp") && strcmp(protocol, "udp"))
		return fail_xml(err, srv, "protocol", "'%s' is not tcp or udp", protocol);
	return true;
}

static bool check_dns(xmlNode *root, GError **err)
{
	xmlNode *dns = xml_find(root, "dns");

	if (!dns)
		return true;
	if (xml_is(dns, "@enable", "no") && xml_child(dns))
		return fail_xml(err, xml_child(dns), NULL, "not with dns enable='no'");
	for (xmlNode *node = xml_child(dns); node; node = xml_sibling(node)) {
		const char *name = (const char *)node->name;

		if (!strcmp(name, "forwarder") && !object_has(node, "@addr") && !object_has(node, "@domain"))
			return fail_xml(err, node, NULL, "needs addr or domain");
		if (!strcmp(name, "txt") && !check_txt(node, err))
			return false;
		if (!strcmp(name, "srv") && !check_srv(node, err))
			return false;
		if (!strcmp(name, "host") && !xml_find(node, "hostname"))
			return fail_xml(err, node, NULL, "element <hostname> is missing");
	}
	return true;
}

static bool check(xmlNode *root, GError **err)
{
	const struct forward_mode *mode = mode_of(root);
	g_autofree char *mac = xml_get(root, "mac/@address");

	if (mac && g_ascii_xdigit_value(mac[1]) & 1)
		return fail_xml(err, xml_find(root, "mac"), "address", "'%s' is a multicast address", mac);
	if (mode->needs_ip && strcmp(mode->name, "open") && !xml_find(root, "ip"))
		return fail_xml(err, root, NULL, "forward mode '%s' needs an <ip> element", mode->name);
	return check_forward(root, mode, err) && check_bridge(root, mode, err) &&
	       check_port_settings(root, mode, err) && check_portgroups(root, mode, err) && check_dns(root, err) &&
	       network_check_ip(root, err);
}

const struct object_class object_network = { .fill = fill, .check = check, .name = "name", .uuid = "uuid" };
