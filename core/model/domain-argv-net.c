/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Networks and character devices of QEMU command lines. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-argv.h"
#include "core/model/domain-steps.h"

/* Networks. */

/* <interface> of a back end; what it says of forwarded ports and the like has no element and is kept. */
static xmlNode *new_interface(struct argv *argv, const char *type, GPtrArray *properties)
{
	xmlNode *interface = xml_add(argv->devices, "interface");
	const char *bridge = argv_get(properties, "br"), *name = argv_get(properties, "ifname");
	const char *script = argv_get(properties, "script"), *queues = argv_get(properties, "queues");

	if (strcmp(type, "bridge") == 0) {
		xml_set(interface, "@type", "bridge");
		xml_set(interface, "source/@bridge", bridge ? bridge : "br0");
	} else if (strcmp(type, "tap") == 0) {
		xml_set(interface, "@type", "ethernet");
		if (name)
			xml_set(interface, "target/@dev", name);
		if (script && strcmp(script, "no") != 0)
			xml_set(interface, "script/@path", script);
		if (argv_is_on(properties, "vhost"))
			xml_set(interface, "driver/@name", "vhost");
		if (queues)
			xml_set(interface, "driver/@queues", queues);
	} else {
		xml_set(interface, "@type", "user");
	}
	return interface;
}

static bool is_back_end(const char *type)
{
	return strcmp(type, "user") == 0 || strcmp(type, "tap") == 0 || strcmp(type, "bridge") == 0;
}

bool argv_netdev(struct argv *argv, const char *value, GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *type = argv_first(properties, "type"), *id = argv_get(properties, "id");

	if (!type || !id)
		return fail(err, LODGE_ERROR_INPUT, "-netdev %s: a type and an id are needed", value);
	if (!is_back_end(type)) {
		/* Its card is kept with it: there is an id, but no interface. */
		argv_keep(argv, "-netdev", value);
		g_hash_table_replace(argv->netdevs, g_strdup(id), NULL);
		return true;
	}
	g_hash_table_replace(argv->netdevs, g_strdup(id), new_interface(argv, type, properties));
	return true;
}

/* -net and -nic make one card and one back end; the first nic gets the first back end. */
static xmlNode *pending_interface(struct argv *argv, const char *key)
{
	xmlNode *interface = g_hash_table_lookup(argv->netdevs, key);

	if (interface)
		g_hash_table_remove(argv->netdevs, key);
	return interface;
}

static void set_card(xmlNode *interface, GPtrArray *properties)
{
	const char *model = argv_get(properties, "model"), *mac = argv_get(properties, "macaddr");

	if (!mac)
		mac = argv_get(properties, "mac");
	if (model)
		xml_set(interface, "model/@type", g_str_has_prefix(model, "virtio") ? "virtio" : model);
	if (mac)
		xml_set(interface, "mac/@address", mac);
}

#define NIC_ALONE "\001nic"	 /* a card that waits for a back end */
#define BACK_END_ALONE "\001net" /* and the other way round; no id looks like these */

static bool add_net_card(struct argv *argv, GPtrArray *properties)
{
	const char *id = argv_get(properties, "netdev");
	xmlNode *interface = pending_interface(argv, id ? id : BACK_END_ALONE);

	if (!interface) {
		interface = new_interface(argv, "user", properties);
		g_hash_table_replace(argv->netdevs, g_strdup(NIC_ALONE), interface);
	}
	set_card(interface, properties);
	return true;
}

bool argv_net(struct argv *argv, const char *value, GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *type = argv_first(properties, "type");
	xmlNode *card, *interface;

	if (!type)
		return fail(err, LODGE_ERROR_INPUT, "-net %s: no type", value);
	if (strcmp(type, "none") == 0)
		return true;
	if (strcmp(type, "nic") == 0)
		return add_net_card(argv, properties);
	if (!is_back_end(type)) {
		argv_keep(argv, "-net", value);
		return true;
	}
	card = pending_interface(argv, NIC_ALONE);
	interface = new_interface(argv, type, properties);
	if (card) {
		g_autofree char *model = xml_get(card, "model/@type");
		g_autofree char *mac = xml_get(card, "mac/@address");

		if (model)
			xml_set(interface, "model/@type", model);
		if (mac)
			xml_set(interface, "mac/@address", mac);
		xml_remove(card);
		return true;
	}
	g_hash_table_replace(argv->netdevs, g_strdup(BACK_END_ALONE), interface);
	return true;
}

bool argv_nic(struct argv *argv, const char *value, GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *type = argv_first(properties, "type");

	if (!type)
		return fail(err, LODGE_ERROR_INPUT, "-nic %s: no type", value);
	if (strcmp(type, "none") == 0)
		return true;
	if (is_back_end(type))
		set_card(new_interface(argv, type, properties), properties);
	else
		argv_keep(argv, "-nic", value);
	return true;
}

/* Character devices. */

/* "host:port" into source; a host may be left out. */
static void set_endpoint(xmlNode *port, const char *text)
{
	const char *colon = strrchr(text, ':');
	g_autofree char *host = g_strndup(text, colon ? (size_t)(colon - text) : 0);

	xml_set(port, "source/@host", *host ? host : "127.0.0.1");
	xml_set(port, "source/@service", colon ? colon + 1 : text);
}

/*
 * -serial's own short forms: "pty", "stdio", "mon:stdio", "file:PATH", "unix:PATH,server", "tcp:HOST:PORT,server",
 * "telnet:..".
 */
static bool set_short_form(xmlNode *port, const char *value)
{
	static const char *const words[] = { "pty", "stdio", "null", "vc" };
	g_autoptr(GPtrArray) properties = NULL;
	const char *first, *colon;
	bool server;

	if (g_str_has_prefix(value, "mon:"))
		value += strlen("mon:");
	properties = argv_properties(value);
	first = argv_first(properties, "");
	server = argv_is_on(properties, "server");
	if (!first)
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		if (strcmp(first, words[i]) == 0)
			xml_set(port, "@type", words[i]);
	}
	colon = strchr(first, ':');
	if (!colon)
		return xml_find(port, "@type") != NULL;
	if (g_str_has_prefix(first, "file:") || g_str_has_prefix(first, "unix:") || g_str_has_prefix(first, "pipe:")) {
		g_autofree char *type = g_strndup(first, (size_t)(colon - first));

		xml_set(port, "@type", type);
		xml_set(port, "source/@path", colon + 1);
		if (strcmp(type, "unix") == 0)
			xml_set(port, "source/@mode", server ? "bind" : "connect");
		return true;
	}
	if (!g_str_has_prefix(first, "tcp:") && !g_str_has_prefix(first, "telnet:"))
		return false;
	xml_set(port, "@type", "tcp");
	xml_set(port, "source/@mode", server ? "bind" : "connect");
	set_endpoint(port, colon + 1);
	xml_set(port, "protocol/@type", g_str_has_prefix(first, "telnet:") ? "telnet" : "raw");
	return true;
}

static bool is_server(GPtrArray *properties)
{
	return argv_is_on(properties, "server");
}

static bool set_chardev(xmlNode *port, GPtrArray *properties)
{
	const char *type = argv_first(properties, "backend"), *path = argv_get(properties, "path");
	const char *tcp_port = argv_get(properties, "port"), *host = argv_get(properties, "host");

	if (!type)
		return false;
	if (strcmp(type, "socket") == 0) {
		xml_set(port, "@type", path ? "unix" : "tcp");
		xml_set(port, "source/@mode", is_server(properties) ? "bind" : "connect");
		if (!path && !tcp_port)
			return false;
		if (path) {
			xml_set(port, "source/@path", path);
			return true;
		}
		xml_set(port, "source/@host", host ? host : "127.0.0.1");
		xml_set(port, "source/@service", tcp_port);
		xml_set(port, "protocol/@type", argv_is_on(properties, "telnet") ? "telnet" : "raw");
		return true;
	}
	xml_set(port, "@type", strcmp(type, "serial") == 0 ? "dev" : type);
	if (path)
		xml_set(port, "source/@path", path);
	return true;
}

bool argv_serial(struct argv *argv, const char *value, GError **err)
{
	xmlNode *port;
	bool ok;

	if (strcmp(value, "none") == 0)
		return true;
	port = xml_add(argv->devices, "serial");
	if (g_str_has_prefix(value, "chardev:")) {
		GPtrArray *properties = g_hash_table_lookup(argv->chardevs, value + strlen("chardev:"));

		ok = properties && set_chardev(port, properties);
	} else {
		ok = set_short_form(port, value);
	}
	return ok || fail(err, LODGE_ERROR_INPUT, "-serial %s: not a character device", value);
}

static const struct {
	const char *driver, *element, *type;
} port_drivers[] = {
	{ "isa-serial", "serial", "isa-serial" },  { "pci-serial", "serial", "pci-serial" },
	{ "usb-serial", "serial", "usb-serial" },  { "virtconsole", "console", "virtio" },
	{ "virtserialport", "channel", "virtio" },
};

bool argv_is_port_device(const char *driver)
{
	for (size_t i = 0; i < G_N_ELEMENTS(port_drivers); i++) {
		if (strcmp(driver, port_drivers[i].driver) == 0)
			return true;
	}
	return false;
}

bool argv_port_device(struct argv *argv, const char *driver, GPtrArray *properties, GError **err)
{
	const char *id = argv_get(properties, "chardev"), *name = argv_get(properties, "name");
	GPtrArray *chardev = id ? g_hash_table_lookup(argv->chardevs, id) : NULL;
	size_t row = 0;
	xmlNode *port;

	if (!chardev)
		return fail(err, LODGE_ERROR_INPUT, "-device %s: there is no -chardev with the id '%s'", driver,
			    id ? id : "");
	while (strcmp(driver, port_drivers[row].driver) != 0)
		row++;
	port = xml_add(argv->devices, port_drivers[row].element);
	if (!set_chardev(port, chardev))
		return fail(err, LODGE_ERROR_INPUT, "-chardev %s: a path or a port is missing", id);
	xml_set(port, "target/@type", port_drivers[row].type);
	if (name && strcmp(port_drivers[row].element, "channel") == 0)
		xml_set(port, "target/@name", name);
	return true;
}
