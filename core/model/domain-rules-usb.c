/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules for USB: controllers, and what is on them. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

#define XHCI_PORTS 15u
#define HUB_PORTS 8u

/* A machine without USB has no devices on it. */
static bool check_none(xmlNode *devices, GError **err)
{
	xmlNode *none = NULL;

	for (xmlNode *node = xml_first(devices, "controller"); node && !none; node = xml_next(node)) {
		if (xml_is(node, "@type", "usb") && xml_is(node, "@model", "none"))
			none = node;
	}
	for (xmlNode *node = none ? xml_child(devices) : NULL; node; node = xml_sibling(node)) {
		bool hub = !strcmp((const char *)node->name, "hub") && xml_is(node, "@type", "usb");

		if (hub || (!strcmp((const char *)node->name, "input") && xml_is(node, "@bus", "usb")) ||
		    xml_is(node, "target/@bus", "usb"))
			return fail_xml(err, node, NULL, "on USB, but the <controller type='usb'> has model 'none'");
	}
	return true;
}

static bool is_usb_port(const char *port)
{
	g_auto(GStrv) parts = g_strsplit(port, ".", 0);
	unsigned n = g_strv_length(parts);

	for (unsigned i = 0; i < n; i++) {
		if (!*parts[i] || strlen(parts[i]) > 3 || !object_made_of(parts[i], "0123456789"))
			return false;
	}
	return n >= 1 && n <= 4;
}

static bool check_ports(xmlNode *devices, GError **err)
{
	for (xmlNode *device = xml_child(devices); device; device = xml_sibling(device)) {
		xmlNode *address = device->ns ? NULL : domain_address(device, "usb");
		g_autofree char *port = address ? xml_get(address, "@port") : NULL;

		if (port && !is_usb_port(port))
			return fail_xml(err, address, "port", "'%s' is not one to four numbers with dots between",
					port);
	}
	return true;
}

bool domain_check_usb(xmlNode *root, GError **err)
{
	xmlNode *devices = xml_find(root, "devices");

	return check_none(devices, err) && check_ports(devices, err);
}

/* --- when every controller is there, has its number and its model --- */

/* A companion takes over what is too slow for the controller whose number it has. */
static bool has_main(xmlNode *devices, xmlNode *companion)
{
	uint64_t index = domain_number(companion, "@index");

	for (xmlNode *n = xml_first(devices, "controller"); n; n = xml_next(n)) {
		if (xml_is(n, "@type", "usb") && xml_is(n, "@model", "ich9-ehci1") &&
		    domain_number(n, "@index") == index)
			return true;
	}
	return false;
}

static bool check_controllers(xmlNode *devices, GError **err)
{
	for (xmlNode *n = xml_first(devices, "controller"); n; n = xml_next(n)) {
		g_autofree char *model = xml_get(n, "@model");

		if (!xml_is(n, "@type", "usb") || !model)
			continue;
		if (g_str_has_suffix(model, "-xhci") && domain_number(n, "@ports") > XHCI_PORTS)
			return fail_xml(err, n, "ports", "a controller of model '%s' has at most %u", model,
					XHCI_PORTS);
		if (xml_find(n, "master") && !has_main(devices, n))
			return fail_xml(err, xml_find(n, "master"), NULL,
					"there is no USB controller %u of model ich9-ehci1 to be the companion of",
					(unsigned)domain_number(n, "@index"));
	}
	return true;
}

static bool is_hub_at(xmlNode *devices, uint64_t bus, const char *port)
{
	for (xmlNode *hub = xml_first(devices, "hub"); hub; hub = xml_next(hub)) {
		xmlNode *address = domain_address(hub, "usb");

		if (address && domain_number(address, "@bus") == bus && xml_is(address, "@port", port))
			return true;
	}
	return false;
}

static bool check_place(xmlNode *root, xmlNode *address, GError **err)
{
	uint64_t bus = domain_number(address, "@bus");
	g_autofree char *port = xml_get(address, "@port");
	char *dot = strrchr(port, '.');
	unsigned ports = dot ? HUB_PORTS : domain_usb_ports(root, (unsigned)MIN(bus, UINT16_MAX));
	uint64_t number = g_ascii_strtoull(dot ? dot + 1 : port, NULL, 10);

	if (number < 1 || number > ports)
		return fail_xml(err, address, "port",
				"%" G_GUINT64_FORMAT " is not between 1 and %u, the ports of this %s", number, ports,
				dot ? "hub" : "controller");
	if (!dot)
		return true;
	*dot = '\0';
	return is_hub_at(xml_find(root, "devices"), bus, port) ||
	       fail_xml(err, address, "port", "there is no <hub> at port %s of bus %" G_GUINT64_FORMAT, port, bus);
}

bool domain_check_usb_places(xmlNode *root, GError **err)
{
	xmlNode *devices = xml_find(root, "devices");

	if (!check_controllers(devices, err))
		return false;
	for (xmlNode *device = xml_child(devices); device; device = xml_sibling(device)) {
		xmlNode *address = device->ns ? NULL : domain_address(device, "usb");

		if (address && xml_find(address, "@port") && !check_place(root, address, err))
			return false;
	}
	return true;
}
