/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The addresses of a virtual network. */
#include "core/model/objects-network.h"

#include <string.h>

#include "core/model/ip-address.h"
#include "core/model/objects-steps.h"
#include "core/model/xml.h"

#define MAX_RANGE 65535u /* addresses of a DHCP range */
#define MIN_LEASE_SECONDS 120u

/* An address with the length of its prefix, of <ip> or <route>. */
struct subnet {
	struct ip_address ip;
	unsigned prefix;
};

static bool read_ip(xmlNode *node, const char *attr, struct ip_address *ip, GError **err)
{
	g_autofree char *path = g_strconcat("@", attr, NULL);
	g_autofree char *text = xml_get(node, path);

	if (!text)
		return fail_xml(err, node, NULL, "attribute %s is missing", attr);
	return ip_parse(ip, text) || fail_xml(err, node, attr, "'%s' is not an address", text);
}

static bool check_family(xmlNode *node, const struct ip_address *ip, const char *attr, GError **err)
{
	g_autofree char *family = xml_get(node, "@family");
	bool six = family && !strcmp(family, "ipv6");

	if (six != (ip->len == 16))
		return fail_xml(err, node, attr, "not an %s address; the family is %s", six ? "IPv6" : "IPv4",
				family ? family : "ipv4 when none is given");
	return true;
}

static bool read_prefix(xmlNode *node, struct subnet *net, GError **err)
{
	g_autofree char *mask_text = xml_get(node, "@netmask");
	struct ip_address mask;
	uint64_t prefix;
	int length;

	if (mask_text && object_has(node, "@prefix"))
		return fail_xml(err, node, NULL, "netmask and prefix exclude each other");
	if (mask_text) {
		if (!ip_parse(&mask, mask_text) || mask.len != 4 || net->ip.len != 4)
			return fail_xml(err, node, "netmask", "only with IPv4 addresses; give a prefix instead");
		length = ip_mask_prefix(&mask);
	} else if (xml_get_uint(node, "@prefix", &prefix)) {
		if (prefix > net->ip.len * 8)
			return fail_xml(err, node, "prefix", "an IPv4 prefix has 0 to 32 bits");
		length = (int)prefix;
	} else {
		length = ip_default_prefix(&net->ip);
	}
	if (length < 0)
		return fail_xml(err, node, NULL, "needs a netmask or prefix");
	net->prefix = (unsigned)length;
	return true;
}

static bool read_subnet(xmlNode *node, struct subnet *net, GError **err)
{
	return read_ip(node, "address", &net->ip, err) && check_family(node, &net->ip, "address", err) &&
	       read_prefix(node, net, err);
}

/* --- DHCP --- */

static bool check_lease(xmlNode *parent, GError **err)
{
	xmlNode *lease = xml_find(parent, "lease");
	uint64_t expiry = 0, factor = 60;

	if (!lease)
		return true;
	xml_get_uint(lease, "@expiry", &expiry);
	if (xml_is(lease, "@unit", "seconds"))
		factor = 1;
	else if (xml_is(lease, "@unit", "hours"))
		factor = 3600;
	if (expiry > UINT32_MAX / factor)
		return fail_xml(err, lease, "expiry", "more than %u seconds", UINT32_MAX);
	if (expiry && expiry * factor < MIN_LEASE_SECONDS)
		return fail_xml(err, lease, "expiry", "less than two minutes; 0 is for ever");
	return true;
}

static bool is_in_use(const struct ip_address *ip, const struct subnet *net)
{
	struct ip_address first = ip_network(&net->ip, net->prefix);
	struct ip_address last = ip_last(&net->ip, net->prefix);

	return net->prefix < ip->len * 8 - 1 && (ip_is_equal(ip, &first) || (ip->len == 4 && ip_is_equal(ip, &last)));
}

static bool check_member(xmlNode *node, const char *attr, const struct subnet *net, struct ip_address *ip, GError **err)
{
	if (!read_ip(node, attr, ip, err))
		return false;
	if (ip->len != net->ip.len || !ip_is_within(ip, &net->ip, net->prefix))
		return fail_xml(err, node, attr,
				"not in the network of the <ip> element, which has a prefix of %u bits", net->prefix);
	if (is_in_use(ip, net))
		return fail_xml(err, node, attr, "this is the network's own or its broadcast address");
	return true;
}

static bool check_range(xmlNode *range, const struct subnet *net, GError **err)
{
	struct ip_address start, end;

	if (!check_member(range, "start", net, &start, err) || !check_member(range, "end", net, &end, err))
		return false;
	if (ip_compare(&start, &end) > 0)
		return fail_xml(err, range, NULL, "the range is reversed: its end is below its start");
	if (ip_count(&start, &end) > MAX_RANGE)
		return fail_xml(err, range, NULL, "more than %u addresses", MAX_RANGE);
	return check_lease(range, err);
}

static bool check_host(xmlNode *host, const struct subnet *net, GError **err)
{
	g_autofree char *mac = xml_get(host, "@mac");
	g_autofree char *name = xml_get(host, "@name");
	bool six = net->ip.len == 16;
	struct ip_address ip;

	if (mac && six)
		return fail_xml(err, host, "mac", "an IPv6 host is known by id or name");
	if (mac && g_ascii_xdigit_value(mac[1]) & 1)
		return fail_xml(err, host, "mac", "'%s' is a multicast address", mac);
	if (name && (!*name || strpbrk(name, " \t\n,")))
		return fail_xml(err, host, "name", "'%s' is not a host's name", name);
	if (!mac && !name && !(six && object_has(host, "@id")))
		return fail_xml(err, host, NULL, "needs %s or name", six ? "id" : "mac");
	return check_member(host, "ip", net, &ip, err) && check_lease(host, err);
}

static bool check_hosts_apart(xmlNode *first, GError **err)
{
	return object_check_unique(first, "ip", err) && object_check_unique(first, "mac", err) &&
	       object_check_unique(first, "id", err);
}

static bool check_dhcp(xmlNode *dhcp, const struct subnet *net, GError **err)
{
	for (xmlNode *range = xml_first(dhcp, "range"); range; range = xml_next(range)) {
		if (!check_range(range, net, err))
			return false;
	}
	for (xmlNode *host = xml_first(dhcp, "host"); host; host = xml_next(host)) {
		if (!check_host(host, net, err))
			return false;
	}
	if (xml_find(dhcp, "bootp") && net->ip.len == 16)
		return fail_xml(err, xml_find(dhcp, "bootp"), NULL, "only for IPv4");
	return check_hosts_apart(xml_first(dhcp, "host"), err);
}

static bool check_addresses(xmlNode *root, GError **err)
{
	xmlNode *dhcp_of[2] = { NULL, NULL };

	for (xmlNode *node = xml_first(root, "ip"); node; node = xml_next(node)) {
		xmlNode *dhcp = xml_find(node, "dhcp");
		struct subnet net;

		if (!read_subnet(node, &net, err))
			return false;
		if (!dhcp)
			continue;
		if (dhcp_of[net.ip.len == 16])
			return fail_xml(err, dhcp, NULL, "a network has one <dhcp> for each address family");
		dhcp_of[net.ip.len == 16] = dhcp;
		if (!check_dhcp(dhcp, &net, err))
			return false;
	}
	return true;
}

/* --- routes --- */

static bool is_reachable(xmlNode *root, const struct ip_address *gateway)
{
	for (xmlNode *node = xml_first(root, "ip"); node; node = xml_next(node)) {
		struct subnet net;

		if (read_subnet(node, &net, NULL) && net.ip.len == gateway->len &&
		    ip_is_within(gateway, &net.ip, net.prefix))
			return true;
	}
	return false;
}

static bool check_route(xmlNode *root, xmlNode *route, GError **err)
{
	struct ip_address gateway, first;
	struct subnet net;

	if (!read_subnet(route, &net, err) || !read_ip(route, "gateway", &gateway, err) ||
	    !check_family(route, &gateway, "gateway", err))
		return false;
	first = ip_network(&net.ip, net.prefix);
	if (!ip_is_equal(&first, &net.ip))
		return fail_xml(err, route, "address", "not the address of a network: bits are set behind its prefix");
	return is_reachable(root, &gateway) || fail_xml(err, route, "gateway", "not in a network of an <ip> element");
}

bool network_check_ip(xmlNode *root, GError **err)
{
	if (!check_addresses(root, err))
		return false;
	for (xmlNode *route = xml_first(root, "route"); route; route = xml_next(route)) {
		if (!check_route(root, route, err))
			return false;
	}
	return true;
}
