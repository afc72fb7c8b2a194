/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No two devices have one place, one name or one number: what must be unique in a definition, and the report of both
 * sides.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-steps.h"

G_GNUC_PRINTF(5, 6)
static bool claim(GHashTable *holders, xmlNode *node, const char *attr, GError **err, const char *format, ...)
{
	g_autofree char *key = NULL;
	const xmlNode *other;
	va_list args;

	va_start(args, format);
	key = g_strdup_vprintf(format, args);
	va_end(args);
	other = g_hash_table_lookup(holders, key);
	if (other) {
		g_autofree char *path = xml_node_path(other);

		if (xmlGetLineNo(other) > 0)
			return fail_xml(err, node, attr, "%s is already used by %s (line %ld)", key, path,
					xmlGetLineNo(other));
		return fail_xml(err, node, attr, "%s is already used by %s", key, path);
	}
	g_hash_table_insert(holders, g_steal_pointer(&key), node);
	return true;
}

static bool claim_address(GHashTable *holders, xmlNode *device, xmlNode *address, GError **err)
{
	g_autofree char *bus = xml_get(device, "target/@bus");
	struct domain_pci pci;

	if (xml_is(address, "@type", "pci") && domain_pci_address(device, &pci))
		return claim(holders, address, NULL, err, "PCI address %04x:%02x:%02x.%x",
			     (unsigned)domain_number(address, "@domain"), pci.bus, pci.slot, pci.function);
	if (xml_is(address, "@type", "drive") && xml_find(address, "@unit"))
		return claim(holders, address, NULL, err, "%s controller %u, bus %u, target %u, unit %u",
			     bus ? bus : "scsi", (unsigned)domain_number(address, "@controller"),
			     (unsigned)domain_number(address, "@bus"), (unsigned)domain_number(address, "@target"),
			     (unsigned)domain_number(address, "@unit"));
	if (xml_is(address, "@type", "ccw") && xml_find(address, "@devno"))
		return claim(holders, address, NULL, err, "channel device %02x.%u.%04x",
			     (unsigned)domain_number(address, "@cssid"), (unsigned)domain_number(address, "@ssid"),
			     (unsigned)domain_number(address, "@devno"));
	if (xml_is(address, "@type", "virtio-serial"))
		return claim(holders, address, NULL, err, "virtio-serial controller %u, bus %u, port %u",
			     (unsigned)domain_number(address, "@controller"), (unsigned)domain_number(address, "@bus"),
			     (unsigned)domain_number(address, "@port"));
	if (xml_is(address, "@type", "dimm") && xml_find(address, "@slot"))
		return claim(holders, address, "slot", err, "memory slot %u",
			     (unsigned)domain_number(address, "@slot"));
	if (xml_is(address, "@type", "usb") && xml_find(address, "@port")) {
		g_autofree char *port = xml_get(address, "@port");

		return claim(holders, address, NULL, err, "USB bus %u, port %s",
			     (unsigned)domain_number(address, "@bus"), port);
	}
	return true;
}

static bool claim_controller(GHashTable *holders, xmlNode *controller, GError **err)
{
	g_autofree char *type = xml_get(controller, "@type");
	g_autofree char *model = xml_get(controller, "@model");

	/* The companions of an USB 2.0 controller have its number. */
	if (!type || !xml_find(controller, "@index") || (strcmp(type, "usb") == 0 && xml_find(controller, "master")))
		return true;
	if (strcmp(type, "usb") == 0 && model && g_str_has_prefix(model, "ich9-"))
		return claim(holders, controller, "index", err, "%s controller %u of model %s", type,
			     (unsigned)domain_number(controller, "@index"), model);
	return claim(holders, controller, "index", err, "%s controller %u", type,
		     (unsigned)domain_number(controller, "@index"));
}

/* Attributes that name or number a device: no two devices of the elements share a value. */
static const struct {
	const char *element, *path, *what;
} unique[] = {
	{ "disk", "target/@dev", "target" },
	{ "interface", "target/@dev", "interface name" },
	{ "parallel", "target/@port", "parallel port" },
	{ "audio", "@id", "audio back end" },
};

static bool claim_names(GHashTable *holders, xmlNode *device, GError **err)
{
	const char *name = (const char *)device->name;
	g_autofree char *alias = xml_get(device, "alias/@name");
	g_autofree char *channel = NULL;
	g_autofree char *port = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(unique); i++) {
		g_autofree char *value = strcmp(name, unique[i].element) == 0 ? xml_get(device, unique[i].path) : NULL;

		/* "vnet" begins the names that were given for one run. */
		if (value && *value && !g_str_has_prefix(value, "vnet") &&
		    !claim(holders, device, NULL, err, "%s '%s'", unique[i].what, value))
			return false;
	}
	if (strcmp(name, "channel") == 0 && xml_is(device, "target/@type", "virtio"))
		channel = xml_get(device, "target/@name");
	if (channel && !claim(holders, device, NULL, err, "channel name '%s'", channel))
		return false;
	if (strcmp(name, "serial") == 0 && xml_is(device, "target/@type", "isa-serial"))
		port = xml_get(device, "target/@port");
	if (port && !claim(holders, device, NULL, err, "serial port '%s'", port))
		return false;
	/* Others are given for one run; and the first console mirrors the first serial port, name and all. */
	if (alias && g_str_has_prefix(alias, "ua-") &&
	    !(strcmp(name, "console") == 0 && xml_is(device, "target/@type", "serial")))
		return claim(holders, device, NULL, err, "alias '%s'", alias);
	return true;
}

static bool claim_boot(GHashTable *holders, xmlNode *device, GError **err)
{
	xmlNode *boot = xml_find(device, "boot");
	uint64_t order;

	if (!boot || !xml_get_uint(boot, "@order", &order))
		return true;
	if (!order)
		return fail_xml(err, boot, "order", "0: the first place is 1");
	return claim(holders, boot, "order", err, "boot order %" G_GUINT64_FORMAT, order);
}

static bool check_boot(xmlNode *root, GError **err)
{
	xmlNode *os_boot = xml_find(root, "os/boot");

	for (xmlNode *device = xml_child(xml_find(root, "devices")); os_boot && device; device = xml_sibling(device)) {
		if (!device->ns && xml_find(device, "boot/@order"))
			return fail_xml(err, xml_find(device, "boot"), NULL,
					"per-device boot elements cannot be used together with os/boot elements");
	}
	return true;
}

/* Places of the boards' own controllers, and the type of the only one that may name it. */
static const struct {
	bool q35;
	unsigned slot, function;
	const char *type;
} board_places[] = {
	{ true, 0x1f, 0, NULL }, { true, 0x1f, 2, "sata" }, { true, 0x1f, 3, NULL },
	{ false, 1, 0, NULL },	 { false, 1, 1, "ide" },    { false, 1, 3, NULL },
};

static bool check_board_place(xmlNode *device, bool q35, GError **err)
{
	struct domain_pci pci;

	if (!domain_pci_address(device, &pci) || pci.bus || domain_number(device, "address/@domain"))
		return true;
	for (size_t i = 0; i < G_N_ELEMENTS(board_places); i++) {
		if (board_places[i].q35 != q35 || board_places[i].slot != pci.slot ||
		    board_places[i].function != pci.function)
			continue;
		if (!board_places[i].type || !xml_is(device, "@type", board_places[i].type))
			return fail_xml(err, domain_address(device, "pci"), NULL,
					"PCI address 0000:00:%02x.%u is the board's own", pci.slot, pci.function);
	}
	return true;
}

bool domain_check_addresses(const struct domain *domain, GError **err)
{
	g_autoptr(GHashTable) holders = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	xmlNode *devices = xml_find(domain->root, "devices");
	bool pc = domain_is_pc(domain->root), q35 = domain_is_q35(domain->root);

	if (!check_boot(domain->root, err))
		return false;
	for (xmlNode *device = xml_child(devices); device; device = xml_sibling(device)) {
		if (device->ns)
			continue;
		if (strcmp((const char *)device->name, "controller") == 0 && !claim_controller(holders, device, err))
			return false;
		if (pc && !check_board_place(device, q35, err))
			return false;
		if (!claim_names(holders, device, err) || !claim_boot(holders, device, err))
			return false;
		for (xmlNode *address = xml_first(device, "address"); address; address = xml_next(address)) {
			if (!claim_address(holders, device, address, err))
				return false;
		}
	}
	return true;
}
