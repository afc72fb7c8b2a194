/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Serial ports, consoles and channels. The first console of a PC is its first serial port: it is written a second time
 * as <console>, and a definition that has only one of the two gets the other.
 */
#include <string.h>

#include "core/model/domain-fill.h"

static void fill_port_numbers(xmlNode *devices, const char *name)
{
	g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
	unsigned next = 0;

	for (xmlNode *n = xml_first(devices, name); n; n = xml_next(n)) {
		if (xml_find(n, "target/@port"))
			g_hash_table_add(taken, GUINT_TO_POINTER((unsigned)domain_number(n, "target/@port")));
	}
	for (xmlNode *n = xml_first(devices, name); n; n = xml_next(n)) {
		if (xml_find(n, "target/@port"))
			continue;
		while (g_hash_table_contains(taken, GUINT_TO_POINTER(next)))
			next++;
		xml_setf(n, "target/@port", "%u", next++);
	}
}

/* Bus of an explicit address, the type of port that sits there, its model. */
static const struct {
	const char *address, *type, *model;
} serial_types[] = {
	{ "pci", "pci-serial", "pci-serial" },
	{ "usb", "usb-serial", "usb-serial" },
	{ NULL, "isa-serial", "isa-serial" },
};

static void fill_serial(xmlNode *serial)
{
	domain_default(serial, "@type", "pty");
	for (size_t i = 0; i < G_N_ELEMENTS(serial_types); i++) {
		if (serial_types[i].address && !domain_address(serial, serial_types[i].address))
			continue;
		domain_default(serial, "target/@type", serial_types[i].type);
		break;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(serial_types); i++) {
		if (xml_is(serial, "target/@type", serial_types[i].type))
			domain_default(serial, "target/model/@name", serial_types[i].model);
	}
}

static bool is_serial_console(xmlNode *console)
{
	g_autofree char *type = xml_get(console, "target/@type");

	return !type || strcmp(type, "serial") == 0;
}

/* Everything of from but its target and its place goes to to, which had nothing. */
static void copy_back_end(xmlNode *to, xmlNode *from)
{
	for (xmlAttr *attr = from->properties; attr; attr = attr->next) {
		g_autofree char *path = g_strconcat("@", (const char *)attr->name, NULL);
		g_autofree char *value = xml_get(from, path);

		xml_set(to, path, value);
	}
	for (xmlNode *child = xml_child(from); child; child = xml_sibling(child)) {
		if (strcmp((const char *)child->name, "target") != 0 &&
		    strcmp((const char *)child->name, "address") != 0 && strcmp((const char *)child->name, "boot") != 0)
			xmlAddChild(to, xmlDocCopyNode(child, to->doc, 1));
	}
}

static void clear(xmlNode *node)
{
	while (node->properties)
		xmlRemoveProp(node->properties);
	while (node->children)
		xml_remove(node->children);
}

static xmlNode *serial_from_console(xmlNode *devices, xmlNode *console)
{
	xmlNode *serial = xml_add(devices, "serial");

	copy_back_end(serial, console);
	domain_default(serial, "@type", "pty");
	xml_set(serial, "target/@type", "isa-serial");
	xml_set(serial, "target/@port", "0");
	fill_serial(serial);
	return serial;
}

static void console_from_serial(xmlNode *console, xmlNode *serial)
{
	g_autofree char *port = xml_get(serial, "target/@port");

	clear(console);
	copy_back_end(console, serial);
	xml_set(console, "target/@type", "serial");
	xml_set(console, "target/@port", port ? port : "0");
}

static void fill_first_console(xmlNode *devices)
{
	xmlNode *serial = xml_first(devices, "serial"), *console = xml_first(devices, "console");

	if (console && !is_serial_console(console))
		return;
	if (!serial && console)
		serial = serial_from_console(devices, console);
	if (!serial || (!console && !xml_is(serial, "target/@type", "isa-serial")))
		return;
	if (!console)
		console = xml_add(devices, "console");
	console_from_serial(console, serial);
}

/* Two directions: where to listen stands first. */
static void fill_udp(xmlNode *device)
{
	xmlNode *first = xml_first(device, "source");

	for (xmlNode *source = first; source; source = xml_next(source)) {
		domain_default(source, "@mode", "connect");
		if (source != first && xml_is(source, "@mode", "bind") && !xml_is(first, "@mode", "bind")) {
			xmlAddPrevSibling(first, source);
			return;
		}
	}
}

/* A socket without a path is made by us: we listen. */
static void fill_source(xmlNode *device)
{
	bool tcp = xml_is(device, "@type", "tcp");

	if ((tcp || xml_is(device, "@type", "unix")) &&
	    (xml_find(device, "source/@path") || xml_find(device, "source/@service")))
		domain_default(device, "source/@mode", "connect");
	if (tcp)
		domain_default(device, "protocol/@type", "raw");
	if (xml_is(device, "@type", "udp"))
		fill_udp(device);
}

void domain_fill_sources(xmlNode *devices)
{
	static const char *const names[] = { "serial", "parallel", "console", "channel", "smartcard", "redirdev" };

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		for (xmlNode *n = xml_first(devices, names[i]); n; n = xml_next(n))
			fill_source(n);
	}
	for (xmlNode *rng = xml_first(devices, "rng"); rng; rng = xml_next(rng)) {
		if (xml_is(rng, "backend/@model", "egd"))
			fill_source(xml_find(rng, "backend"));
	}
}

static void fill_channel(xmlNode *channel)
{
	if (xml_is(channel, "@type", "spicevmc"))
		domain_default(channel, "target/@name", "com.redhat.spice.0");
}

void domain_fill_ports(xmlNode *root)
{
	xmlNode *devices = xml_ensure(root, "devices");

	for (xmlNode *n = xml_first(devices, "serial"); n; n = xml_next(n))
		fill_serial(n);
	fill_port_numbers(devices, "serial");
	fill_port_numbers(devices, "parallel");
	fill_first_console(devices);
	for (xmlNode *n = xml_first(devices, "console"); n; n = xml_next(n)) {
		domain_default(n, "@type", "pty");
		domain_default(n, "target/@type", "serial");
	}
	fill_port_numbers(devices, "console");
	for (xmlNode *n = xml_first(devices, "channel"); n; n = xml_next(n))
		fill_channel(n);
}
