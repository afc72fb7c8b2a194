/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places on buses other than PCI: disks on their controllers, ports of virtio-serial controllers, USB ports, memory
 * slots; and the controllers that those places need. A place is chosen once and then stands in the definition. Places
 * that the definition names count as taken before the first one is chosen.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-steps.h"

#define MAX_CONTROLLERS 256u
#define SERIAL_PORTS 31u /* of a virtio-serial controller */
#define USB_PORTS 8u	 /* looked at on each bus */

xmlNode *domain_address(xmlNode *device, const char *type)
{
	for (xmlNode *address = xml_first(device, "address"); address; address = xml_next(address)) {
		if (xml_is(address, "@type", type))
			return address;
	}
	return NULL;
}

xmlNode *domain_controller(xmlNode *root, const char *type, uint64_t index)
{
	for (xmlNode *n = xml_first(root, "devices/controller"); n; n = xml_next(n)) {
		uint64_t value;

		if (xml_is(n, "@type", type) && xml_get_uint(n, "@index", &value) && value == index)
			return n;
	}
	return NULL;
}

/* Behind the last one of its type, so that a type's controllers stay together. */
xmlNode *domain_add_controller(xmlNode *root, const char *type, uint64_t index, const char *model)
{
	xmlNode *devices = xml_ensure(root, "devices"), *last = NULL;
	xmlNode *controller;

	for (xmlNode *n = xml_first(devices, "controller"); n; n = xml_next(n)) {
		if (xml_is(n, "@type", type))
			last = n;
	}
	controller = xml_add(devices, "controller");
	if (last) {
		xmlUnlinkNode(controller);
		xmlAddNextSibling(last, controller);
	}
	xml_set(controller, "@type", type);
	xml_setf(controller, "@index", "%" G_GUINT64_FORMAT, index);
	if (model)
		xml_set(controller, "@model", model);
	return controller;
}

/* Sets of places: "bus word/controller/bus/target/unit". */

static char *drive_key(const char *bus, const unsigned place[4])
{
	return g_strdup_printf("%s/%u/%u/%u/%u", bus, place[0], place[1], place[2], place[3]);
}

static char *node_drive_key(const char *bus, xmlNode *address)
{
	unsigned place[4] = {
		(unsigned)domain_number(address, "@controller"),
		(unsigned)domain_number(address, "@bus"),
		(unsigned)domain_number(address, "@target"),
		(unsigned)domain_number(address, "@unit"),
	};

	return drive_key(bus, place);
}

/* The n-th place of a bus as the firmware and guests count them; false: the bus has no drive addresses. */
static bool nth_place(const char *bus, unsigned n, unsigned place[4])
{
	memset(place, 0, 4 * sizeof(*place));
	if (strcmp(bus, "ide") == 0) {
		place[0] = n / 4;
		place[1] = n / 2 % 2;
		place[3] = n % 2;
	} else if (strcmp(bus, "sata") == 0) {
		place[0] = n / 6;
		place[3] = n % 6;
	} else if (strcmp(bus, "fdc") == 0) {
		place[0] = n / 2;
		place[3] = n % 2;
	} else if (strcmp(bus, "scsi") == 0) {
		/* Unit 7 is the host adapter's. */
		place[0] = n / 15;
		place[3] = n % 15 + (n % 15 >= 7);
	} else {
		return false;
	}
	return true;
}

static bool assign_drive(xmlNode *device, const char *bus, int index, GHashTable *taken, GError **err)
{
	static const char *const names[] = { "@controller", "@bus", "@target", "@unit" };
	xmlNode *address = domain_address(device, "drive");
	unsigned place[4];

	if (!nth_place(bus, 0, place) || (address ? xml_find(address, "@unit") : xml_find(device, "address")))
		return true;
	for (unsigned n = (unsigned)MAX(index, 0);; n++) {
		nth_place(bus, n, place);
		if (place[0] >= MAX_CONTROLLERS)
			return fail_xml(err, device, NULL, "no place is left on %s controllers 0 to %u", bus,
					MAX_CONTROLLERS - 1);
		g_autofree char *key = drive_key(bus, place);
		if (g_hash_table_add(taken, g_steal_pointer(&key)))
			break;
	}
	if (!address) {
		address = xml_add(device, "address");
		xml_set(address, "@type", "drive");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		xml_setf(address, names[i], "%u", place[i]);
	return true;
}

static void take_drive(xmlNode *device, const char *bus, GHashTable *taken)
{
	static const char *const names[] = { "@bus", "@controller", "@target" };
	xmlNode *address = domain_address(device, "drive");

	if (!address || !xml_find(address, "@unit"))
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		if (!xml_find(address, names[i]))
			xml_set(address, names[i], "0");
	}
	g_hash_table_add(taken, node_drive_key(bus, address));
}

static bool is_scsi_hostdev(xmlNode *hostdev)
{
	return xml_is(hostdev, "@mode", "subsystem") && xml_is(hostdev, "@type", "scsi");
}

static bool assign_drives(xmlNode *root, GError **err)
{
	g_autoptr(GHashTable) taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (xmlNode *disk = xml_first(root, "devices/disk"); disk; disk = xml_next(disk)) {
		g_autofree char *bus = xml_get(disk, "target/@bus");

		if (bus)
			take_drive(disk, bus, taken);
	}
	for (xmlNode *dev = xml_first(root, "devices/hostdev"); dev; dev = xml_next(dev)) {
		if (is_scsi_hostdev(dev))
			take_drive(dev, "scsi", taken);
	}
	for (xmlNode *disk = xml_first(root, "devices/disk"); disk; disk = xml_next(disk)) {
		g_autofree char *bus = xml_get(disk, "target/@bus");
		g_autofree char *target = xml_get(disk, "target/@dev");

		if (bus && target && !assign_drive(disk, bus, domain_target_index(target), taken, err))
			return false;
	}
	for (xmlNode *dev = xml_first(root, "devices/hostdev"); dev; dev = xml_next(dev)) {
		if (is_scsi_hostdev(dev) && !assign_drive(dev, "scsi", 0, taken, err))
			return false;
	}
	return true;
}

/* Controllers. */

static char *controller_key(const char *type, unsigned index)
{
	return g_strdup_printf("%s %u", type, index);
}

static void take_controllers(xmlNode *root, GHashTable *taken)
{
	for (xmlNode *n = xml_first(root, "devices/controller"); n; n = xml_next(n)) {
		g_autofree char *type = xml_get(n, "@type");
		uint64_t index;

		if (type && xml_get_uint(n, "@index", &index))
			g_hash_table_add(taken, controller_key(type, (unsigned)MIN(index, MAX_CONTROLLERS)));
	}
}

/* next: type -> the first number that may be free. PCI bus 0 is the root's. */
static bool fill_controller_index(xmlNode *controller, GHashTable *taken, GHashTable *next, GError **err)
{
	g_autofree char *type = xml_get(controller, "@type");
	g_autofree char *model = xml_get(controller, "@model");
	bool behind_root = type && strcmp(type, "pci") == 0 && !(model && g_str_has_suffix(model, "-root"));
	unsigned index;

	if (!type || xml_find(controller, "@index"))
		return true;
	index = MAX(GPOINTER_TO_UINT(g_hash_table_lookup(next, type)), behind_root ? 1u : 0u);
	for (;; index++) {
		g_autofree char *key = controller_key(type, index);

		if (index >= MAX_CONTROLLERS)
			return fail_xml(err, controller, NULL, "more than %u controllers of type %s", MAX_CONTROLLERS,
					type);
		if (g_hash_table_add(taken, g_steal_pointer(&key)))
			break;
	}
	xml_setf(controller, "@index", "%u", index);
	g_hash_table_replace(next, g_steal_pointer(&type), GUINT_TO_POINTER(index + 1));
	return true;
}

static bool fill_controller_indexes(xmlNode *root, GError **err)
{
	g_autoptr(GHashTable) taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) next = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	take_controllers(root, taken);
	for (xmlNode *n = xml_first(root, "devices/controller"); n; n = xml_next(n)) {
		if (!fill_controller_index(n, taken, next, err))
			return false;
	}
	return true;
}

static void fill_controller_models(xmlNode *root, bool q35)
{
	for (xmlNode *n = xml_first(root, "devices/controller"); n; n = xml_next(n)) {
		if (xml_find(n, "@model"))
			continue;
		if (xml_is(n, "@type", "usb"))
			xml_set(n, "@model", q35 ? "qemu-xhci" : "piix3-uhci");
		else if (xml_is(n, "@type", "scsi"))
			xml_set(n, "@model", "virtio-scsi");
	}
}

/* All from 0 to index. */
static bool ensure_controllers(xmlNode *root, const char *type, uint64_t index, xmlNode *asking, GError **err)
{
	if (index >= MAX_CONTROLLERS)
		return fail_xml(err, asking, NULL,
				"there is no %s controller %" G_GUINT64_FORMAT ": they are numbered 0 to %u", type,
				index, MAX_CONTROLLERS - 1);
	if (domain_controller(root, type, index))
		return true;
	for (uint64_t i = 0; i <= index; i++) {
		if (!domain_controller(root, type, i))
			domain_add_controller(root, type, i, NULL);
	}
	return true;
}

/* The type of controller behind an address. */
static const struct {
	const char *address, *attribute, *type;
} address_types[] = {
	{ "virtio-serial", "@controller", "virtio-serial" },
	{ "usb", "@bus", "usb" },
	{ "ccid", "@controller", "ccid" },
};

static bool ensure_for_device(xmlNode *root, xmlNode *device, GError **err)
{
	xmlNode *drive = domain_address(device, "drive");
	g_autofree char *bus = xml_get(device, "target/@bus");

	if (drive && !ensure_controllers(root, bus ? bus : "scsi", domain_number(drive, "@controller"), device, err))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(address_types); i++) {
		xmlNode *address = domain_address(device, address_types[i].address);

		if (address && !ensure_controllers(root, address_types[i].type,
						   domain_number(address, address_types[i].attribute), device, err))
			return false;
	}
	return true;
}

static bool ensure_all(xmlNode *root, GError **err)
{
	for (xmlNode *device = xml_child(xml_find(root, "devices")); device; device = xml_sibling(device)) {
		if (device->ns || strcmp((const char *)device->name, "controller") == 0)
			continue;
		if (!ensure_for_device(root, device, err))
			return false;
	}
	return true;
}

/* What the board has without being asked. */
static void add_board_controllers(xmlNode *root, bool q35)
{
	bool usb = false;

	for (xmlNode *n = xml_first(root, "devices/controller"); n; n = xml_next(n))
		usb |= xml_is(n, "@type", "usb");
	if (!usb)
		domain_add_controller(root, "usb", 0, NULL);
	if (q35 && !domain_controller(root, "sata", 0))
		domain_add_controller(root, "sata", 0, NULL);
	if (!domain_controller(root, "pci", 0))
		domain_add_controller(root, "pci", 0, q35 ? "pcie-root" : "pci-root");
}

/* Ports of virtio-serial controllers. */

static bool is_virtio_port(xmlNode *device)
{
	return xml_is(device, "target/@type", "virtio") &&
	       (!xml_find(device, "address") || domain_address(device, "virtio-serial"));
}

static bool has_port(xmlNode *address)
{
	return address && xml_find(address, "@port") && !xml_is(address, "@port", "0");
}

/* Port 0 is a console's. */
static bool assign_serial_port(xmlNode *device, GHashTable *taken, unsigned first, GError **err)
{
	xmlNode *address = domain_address(device, "virtio-serial");
	unsigned place[4] = { (unsigned)domain_number(address, "@controller"), (unsigned)domain_number(address, "@bus"),
			      0, 0 };

	for (;; place[3] = place[3] + 1 < SERIAL_PORTS ? place[3] + 1 : 0) {
		if (place[3] == 0 && first && place[3] < first)
			place[3] = first;
		g_autofree char *key = drive_key("virtio-serial", place);
		if (g_hash_table_add(taken, g_steal_pointer(&key)))
			break;
		if (place[3] + 1 == SERIAL_PORTS && ++place[0] >= MAX_CONTROLLERS)
			return fail_xml(err, device, NULL, "no port is left on virtio-serial controllers 0 to %u",
					MAX_CONTROLLERS - 1);
	}
	if (!address) {
		address = xml_add(device, "address");
		xml_set(address, "@type", "virtio-serial");
	}
	xml_setf(address, "@controller", "%u", place[0]);
	xml_setf(address, "@bus", "%u", place[1]);
	xml_setf(address, "@port", "%u", place[3]);
	return true;
}

static void take_serial_port(xmlNode *device, GHashTable *taken)
{
	xmlNode *address = domain_address(device, "virtio-serial");
	unsigned place[4] = { (unsigned)domain_number(address, "@controller"), (unsigned)domain_number(address, "@bus"),
			      0, (unsigned)domain_number(address, "@port") };

	g_hash_table_add(taken, drive_key("virtio-serial", place));
}

static bool assign_serial_ports(xmlNode *root, GError **err)
{
	g_autoptr(GHashTable) taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	static const char *const names[] = { "devices/console", "devices/channel" };

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		for (xmlNode *n = xml_first(root, names[i]); n; n = xml_next(n)) {
			if (is_virtio_port(n) &&
			    (has_port(domain_address(n, "virtio-serial")) || (i == 0 && xml_find(n, "address/@port"))))
				take_serial_port(n, taken);
		}
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		for (xmlNode *n = xml_first(root, names[i]); n; n = xml_next(n)) {
			if (!is_virtio_port(n) || has_port(domain_address(n, "virtio-serial")) ||
			    (i == 0 && xml_find(n, "address/@port")))
				continue;
			if (!assign_serial_port(n, taken, i, err))
				return false;
		}
	}
	return true;
}

/* USB. */

static bool is_usb_device(xmlNode *device)
{
	const char *name = (const char *)device->name;

	if (strcmp(name, "input") == 0 || strcmp(name, "redirdev") == 0)
		return xml_is(device, "@bus", "usb");
	if (strcmp(name, "disk") == 0)
		return xml_is(device, "target/@bus", "usb");
	if (strcmp(name, "hostdev") == 0)
		return xml_is(device, "@type", "usb");
	if (strcmp(name, "hub") == 0)
		return xml_is(device, "@type", "usb");
	if (strcmp(name, "serial") == 0)
		return xml_is(device, "target/@type", "usb-serial");
	return strcmp(name, "sound") == 0 && xml_is(device, "@model", "usb");
}

/* Root ports by model of the controller, without a ports attribute. */
static const struct {
	const char *model;
	unsigned ports;
} usb_models[] = {
	{ "nec-xhci", 4 }, { "qemu-xhci", 4 },	{ "ich9-ehci1", 6 },
	{ "ehci", 6 },	   { "piix3-uhci", 2 }, { "piix4-uhci", 2 },
};

unsigned domain_usb_ports(xmlNode *root, unsigned bus)
{
	xmlNode *controller = domain_controller(root, "usb", bus);
	uint64_t ports;

	if (!controller || xml_is(controller, "@model", "none"))
		return controller || bus ? 0 : USB_PORTS;
	if (xml_get_uint(controller, "@ports", &ports))
		return (unsigned)MIN(ports, 15);
	for (size_t i = 0; i < G_N_ELEMENTS(usb_models); i++) {
		if (xml_is(controller, "@model", usb_models[i].model))
			return usb_models[i].ports;
	}
	return USB_PORTS;
}

static char *usb_key(unsigned bus, const char *port)
{
	return g_strdup_printf("%u/%s", bus, port);
}

/* A device for which no root port is left gets none: the controller places it when the VM starts. */
static void assign_usb(xmlNode *root, xmlNode *device, GHashTable *taken)
{
	xmlNode *address = domain_address(device, "usb");

	for (unsigned bus = 0, ports; (ports = domain_usb_ports(root, bus)); bus++) {
		for (unsigned port = 1; port <= ports; port++) {
			g_autofree char *text = g_strdup_printf("%u", port);

			if (!g_hash_table_add(taken, usb_key(bus, text)))
				continue;
			if (!address) {
				address = xml_add(device, "address");
				xml_set(address, "@type", "usb");
			}
			xml_setf(address, "@bus", "%u", bus);
			xml_set(address, "@port", text);
			return;
		}
	}
}

static void assign_usb_ports(xmlNode *root)
{
	g_autoptr(GHashTable) taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	xmlNode *devices = xml_find(root, "devices");

	for (xmlNode *device = xml_child(devices); device; device = xml_sibling(device)) {
		xmlNode *address = domain_address(device, "usb");
		g_autofree char *port = address ? xml_get(address, "@port") : NULL;

		if (port)
			g_hash_table_add(taken, usb_key((unsigned)domain_number(address, "@bus"), port));
	}
	for (xmlNode *device = xml_child(devices); device; device = xml_sibling(device)) {
		xmlNode *address = domain_address(device, "usb");

		if (is_usb_device(device) && (!address || !xml_find(address, "@port")) &&
		    (address || !xml_find(device, "address")))
			assign_usb(root, device, taken);
	}
}

/* Memory modules. */

static void assign_dimm_slots(xmlNode *root)
{
	g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
	unsigned next = 0;

	for (xmlNode *n = xml_first(root, "devices/memory"); n; n = xml_next(n)) {
		if (xml_find(n, "address/@slot"))
			g_hash_table_add(taken, GUINT_TO_POINTER((unsigned)domain_number(n, "address/@slot")));
	}
	for (xmlNode *n = xml_first(root, "devices/memory"); n; n = xml_next(n)) {
		if (xml_find(n, "address") || !(xml_is(n, "@model", "dimm") || xml_is(n, "@model", "nvdimm")))
			continue;
		while (g_hash_table_contains(taken, GUINT_TO_POINTER(next)))
			next++;
		xml_set(n, "address/@type", "dimm");
		xml_setf(n, "address/@slot", "%u", next++);
	}
}

bool domain_assign_buses(struct domain *domain, GError **err)
{
	xmlNode *root = domain->root;
	bool q35 = domain_is_q35(root);

	if (!domain_is_pc(root))
		return true;
	if (!fill_controller_indexes(root, err))
		return false;
	add_board_controllers(root, q35);
	if (!assign_drives(root, err) || !assign_serial_ports(root, err))
		return false;
	fill_controller_models(root, q35);
	assign_usb_ports(root);
	assign_dimm_slots(root);
	if (!ensure_all(root, err))
		return false;
	fill_controller_models(root, q35);
	return true;
}
