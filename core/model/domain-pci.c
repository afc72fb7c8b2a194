/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI: who sits where. A device that names no place gets the first one its kind may use: on a q35 board the only slot
 * of a PCI Express root port (conventional cards: a slot behind a PCI bridge), on an i440fx board a slot of the root
 * bus. Root ports share the slots of the root bus, eight to a slot. Some places are the board's own: its bridges, the
 * storage controller, the primary screen.
 *
 * The map is built from the tree in passes. A dry pass places every device in the map alone and adds the controllers
 * that are missing to the tree; when a pass added none, the next one writes the addresses. As places in the tree are
 * taken before any is chosen, later rounds change nothing. A free root port is kept for a device that may be plugged in
 * later.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-steps.h"

#define MAX_BUSES 256u
#define SLOTS 32u
#define FUNCTIONS 8u

/* How a thing is plugged, as bits of what a bus takes. */
enum {
	PLUG_PCI = 1 << 0,  /* a conventional card */
	PLUG_PCIE = 1 << 1, /* an express card */
	PLUG_ROOT_PORT = 1 << 2,
	PLUG_DMI = 1 << 3, /* onto the express root bus only */
	PLUG_PCI_BRIDGE = 1 << 4,
	PLUG_DOWNSTREAM = 1 << 5,
	PLUG_EXPANDER = 1 << 6,
};

struct bus_model {
	const char *model;
	const char *name; /* of the device that makes it */
	unsigned plug;	  /* how the controller itself is plugged; 0: it is a root */
	unsigned takes;
	unsigned first, last; /* slots */
};

static const struct bus_model bus_models[] = {
	{ "pcie-root", NULL, 0, PLUG_ROOT_PORT | PLUG_DMI, 1, 31 },
	{ "pci-root", NULL, 0, PLUG_PCI | PLUG_PCI_BRIDGE | PLUG_EXPANDER, 1, 31 },
	{ "pcie-root-port", "pcie-root-port", PLUG_ROOT_PORT, PLUG_PCIE, 0, 0 },
	{ "pcie-switch-upstream-port", "x3130-upstream", PLUG_PCIE, PLUG_DOWNSTREAM, 0, 31 },
	{ "pcie-switch-downstream-port", "xio3130-downstream", PLUG_DOWNSTREAM, PLUG_PCIE, 0, 0 },
	{ "pcie-to-pci-bridge", "pcie-pci-bridge", PLUG_PCIE, PLUG_PCI | PLUG_PCI_BRIDGE, 1, 31 },
	{ "dmi-to-pci-bridge", "i82801b11-bridge", PLUG_DMI, PLUG_PCI | PLUG_PCI_BRIDGE, 0, 31 },
	{ "pci-bridge", "pci-bridge", PLUG_PCI_BRIDGE, PLUG_PCI | PLUG_PCI_BRIDGE, 1, 31 },
	{ "pci-expander-bus", "pxb", PLUG_EXPANDER, PLUG_PCI | PLUG_PCI_BRIDGE, 0, 31 },
	{ "pcie-expander-bus", "pxb-pcie", PLUG_DMI, PLUG_ROOT_PORT, 0, 31 },
};

struct bus {
	const struct bus_model *model;
	uint8_t used[SLOTS];   /* a bit a function */
	uint8_t shared[SLOTS]; /* a bit a function held by a root port in a slot that root ports may share */
};

struct map {
	xmlNode *root;
	struct bus *buses; /* MAX_BUSES */
	unsigned n_buses;
	bool q35, dry;
	unsigned added;
};

static const struct bus_model *bus_model(const char *model)
{
	for (size_t i = 0; i < G_N_ELEMENTS(bus_models); i++) {
		if (strcmp(model, bus_models[i].model) == 0)
			return &bus_models[i];
	}
	return NULL;
}

bool domain_pci_address(xmlNode *device, struct domain_pci *pci)
{
	xmlNode *address = domain_address(device, "pci");
	uint64_t bus, slot;

	if (!address || !xml_get_uint(address, "@slot", &slot))
		return false;
	bus = domain_number(address, "@bus");
	*pci = (struct domain_pci){ (unsigned)bus, (unsigned)slot, (unsigned)domain_number(address, "@function") };
	return bus < MAX_BUSES && slot < SLOTS && domain_number(address, "@function") < FUNCTIONS;
}

/* What is plugged, and how: 0 is not a PCI device. */

static unsigned controller_plug(xmlNode *controller, bool q35)
{
	g_autofree char *type = xml_get(controller, "@type");
	g_autofree char *model = xml_get(controller, "@model");

	if (!type)
		return 0;
	if (strcmp(type, "pci") == 0) {
		const struct bus_model *known = model ? bus_model(model) : NULL;

		return known ? known->plug : 0;
	}
	if (strcmp(type, "scsi") == 0)
		return model && g_str_has_prefix(model, "virtio") ? PLUG_PCIE : PLUG_PCI;
	if (strcmp(type, "usb") == 0)
		return !model || strcmp(model, "none") == 0 ? 0 :
		       g_str_has_suffix(model, "xhci")	    ? PLUG_PCIE :
							      PLUG_PCI;
	if (strcmp(type, "sata") == 0)
		return PLUG_PCI;
	if (strcmp(type, "ide") == 0)
		return !q35 && domain_number(controller, "@index") == 0 ? PLUG_PCI : 0;
	return strcmp(type, "virtio-serial") == 0 || strcmp(type, "nvme") == 0 ? PLUG_PCIE : 0;
}

static unsigned interface_plug(xmlNode *interface)
{
	static const char *const conventional[] = { "rtl8139", "e1000",	  "ne2k_pci", "pcnet",
						    "i82551",  "i82557b", "i82559er" };
	g_autofree char *model = xml_get(interface, "model/@type");

	if (xml_is(interface, "@type", "hostdev") || !model)
		return PLUG_PCIE;
	for (size_t i = 0; i < G_N_ELEMENTS(conventional); i++) {
		if (strcmp(model, conventional[i]) == 0)
			return PLUG_PCI;
	}
	return strcmp(model, "usb-net") == 0 || strcmp(model, "netfront") == 0 ? 0 : PLUG_PCIE;
}

static unsigned hostdev_plug(xmlNode *hostdev)
{
	static const char *const types[] = { "pci", "mdev", "scsi_host" };

	if (!xml_is(hostdev, "@mode", "subsystem"))
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		if (xml_is(hostdev, "@type", types[i]))
			return PLUG_PCIE;
	}
	return 0;
}

/* Devices whose bus one attribute tells, in the order in which they get their places. */
static const struct {
	const char *element, *path, *value;
	unsigned plug;
} plain_devices[] = {
	{ "filesystem", "@type", "mount", PLUG_PCIE },
	{ "sound", "@model", "ich6", PLUG_PCI },
	{ "sound", "@model", "ich7", PLUG_PCI },
	{ "sound", "@model", "ich9", PLUG_PCI },
	{ "sound", "@model", "ac97", PLUG_PCI },
	{ "sound", "@model", "es1370", PLUG_PCI },
	{ "sound", "@model", "virtio", PLUG_PCIE },
	{ "disk", "target/@bus", "virtio", PLUG_PCIE },
	{ "memballoon", "@model", "virtio", PLUG_PCIE },
	{ "memballoon", "@model", "virtio-transitional", PLUG_PCIE },
	{ "memballoon", "@model", "virtio-non-transitional", PLUG_PCIE },
	{ "rng", "@model", "virtio", PLUG_PCIE },
	{ "rng", "@model", "virtio-transitional", PLUG_PCIE },
	{ "rng", "@model", "virtio-non-transitional", PLUG_PCIE },
	{ "watchdog", "@model", "i6300esb", PLUG_PCI },
	{ "video", "model/@type", "vga", PLUG_PCI },
	{ "video", "model/@type", "cirrus", PLUG_PCI },
	{ "video", "model/@type", "qxl", PLUG_PCI },
	{ "video", "model/@type", "vmvga", PLUG_PCI },
	{ "video", "model/@type", "bochs", PLUG_PCIE },
	{ "video", "model/@type", "virtio", PLUG_PCIE },
	{ "shmem", "model/@type", "ivshmem", PLUG_PCI },
	{ "shmem", "model/@type", "ivshmem-plain", PLUG_PCI },
	{ "shmem", "model/@type", "ivshmem-doorbell", PLUG_PCI },
	{ "input", "@bus", "virtio", PLUG_PCIE },
	{ "serial", "target/@type", "pci-serial", PLUG_PCI },
	{ "vsock", "@model", "virtio", PLUG_PCIE },
	{ "vsock", "@model", "virtio-transitional", PLUG_PCIE },
	{ "vsock", "@model", "virtio-non-transitional", PLUG_PCIE },
	{ "iommu", "@model", "virtio", PLUG_DMI },
	{ "crypto", "@model", "virtio", PLUG_PCIE },
	{ "memory", "@model", "virtio-pmem", PLUG_PCIE },
	{ "memory", "@model", "virtio-mem", PLUG_PCIE },
};

static unsigned express_plug(xmlNode *device, bool q35)
{
	const char *name = (const char *)device->name;

	if (strcmp(name, "controller") == 0)
		return controller_plug(device, q35);
	if (strcmp(name, "interface") == 0)
		return interface_plug(device);
	if (strcmp(name, "hostdev") == 0)
		return hostdev_plug(device);
	for (size_t i = 0; i < G_N_ELEMENTS(plain_devices); i++) {
		if (strcmp(name, plain_devices[i].element) == 0 &&
		    xml_is(device, plain_devices[i].path, plain_devices[i].value))
			return plain_devices[i].plug;
	}
	return 0;
}

static unsigned device_plug(xmlNode *device, bool q35)
{
	unsigned plug = express_plug(device, q35);

	return plug == PLUG_PCIE && !q35 ? PLUG_PCI : plug;
}

static bool is_root_port(xmlNode *device)
{
	return strcmp((const char *)device->name, "controller") == 0 && xml_is(device, "@model", "pcie-root-port");
}

/* The map. */

static bool add_bus(struct map *map, xmlNode *controller, GError **err)
{
	uint64_t index;
	g_autofree char *model = xml_get(controller, "@model");

	if (!xml_is(controller, "@type", "pci") || !xml_get_uint(controller, "@index", &index))
		return true;
	if (index >= MAX_BUSES)
		return fail_xml(err, controller, "index", "%" G_GUINT64_FORMAT ": PCI buses are numbered 0 to %u",
				index, MAX_BUSES - 1);
	if (!model || !bus_model(model))
		return fail_xml(
			err, controller, "model",
			"a PCI controller has a model: pcie-root, pcie-root-port, pcie-to-pci-bridge, "
			"pcie-switch-upstream-port, pcie-switch-downstream-port, pcie-expander-bus, dmi-to-pci-bridge, "
			"pci-root, pci-bridge or pci-expander-bus");
	if ((index == 0) != !bus_model(model)->plug ||
	    (index == 0 && strcmp(model, map->q35 ? "pcie-root" : "pci-root") != 0))
		return fail_xml(err, controller, "model", "'%s': PCI bus 0, and no other, of this machine is a %s",
				model, map->q35 ? "pcie-root" : "pci-root");
	map->buses[index].model = bus_model(model);
	map->n_buses = MAX(map->n_buses, (unsigned)index + 1);
	return true;
}

static void take(struct map *map, xmlNode *device)
{
	struct domain_pci pci;
	struct bus *bus;

	if (!domain_pci_address(device, &pci))
		return;
	bus = &map->buses[pci.bus];
	bus->used[pci.slot] |= (uint8_t)(1u << pci.function);
	if (is_root_port(device) && (pci.function || xml_is(domain_address(device, "pci"), "@multifunction", "on")))
		bus->shared[pci.slot] |= (uint8_t)(1u << pci.function);
}

/* Places that belong to the board. */
static void take_board(struct map *map)
{
	uint8_t(*used) = map->buses[0].used;

	used[0] = 0xff;
	if (map->q35)
		used[0x1f] |= 0x09; /* LPC bridge, SMBus */
	else
		used[1] |= 0x09; /* ISA bridge, power management */
}

static bool is_free(const struct map *map, unsigned bus, unsigned slot, unsigned functions)
{
	return !(map->buses[bus].used[slot] & functions);
}

static void place(struct map *map, xmlNode *device, struct domain_pci pci, bool multifunction)
{
	struct bus *bus = &map->buses[pci.bus];
	xmlNode *address;

	bus->used[pci.slot] |= (uint8_t)(1u << pci.function);
	if (is_root_port(device))
		bus->shared[pci.slot] |= (uint8_t)(1u << pci.function);
	if (map->dry)
		return;
	address = domain_address(device, "pci");
	if (!address) {
		address = xml_add(device, "address");
		xml_set(address, "@type", "pci");
	}
	xml_set(address, "@domain", "0x0000");
	xml_setf(address, "@bus", "0x%02x", pci.bus);
	xml_setf(address, "@slot", "0x%02x", pci.slot);
	xml_setf(address, "@function", "0x%x", pci.function);
	if (multifunction && !xml_find(address, "@multifunction"))
		xml_set(address, "@multifunction", "on");
}

static void place_if_free(struct map *map, xmlNode *device, unsigned slot, unsigned function)
{
	if (is_free(map, 0, slot, 1u << function))
		place(map, device, (struct domain_pci){ 0, slot, function }, false);
}

/* Needs an address that nobody has chosen yet. */
static bool wants_place(xmlNode *device)
{
	xmlNode *address = xml_find(device, "address");

	return !address || (domain_address(device, "pci") && !xml_find(domain_address(device, "pci"), "@slot"));
}

/* The functions of an ICH9's USB 2.0 group; they share a slot. */
static const struct {
	const char *model;
	unsigned function;
} usb_group[] = {
	{ "ich9-ehci1", 7 },
	{ "ich9-uhci1", 0 },
	{ "ich9-uhci2", 1 },
	{ "ich9-uhci3", 2 },
};

static int usb_group_function(xmlNode *controller)
{
	if (!xml_is(controller, "@type", "usb"))
		return -1;
	for (size_t i = 0; i < G_N_ELEMENTS(usb_group); i++) {
		if (xml_is(controller, "@model", usb_group[i].model))
			return (int)usb_group[i].function;
	}
	return -1;
}

static bool group_slot(struct map *map, xmlNode *controller, struct domain_pci *pci)
{
	static const unsigned board_slots[] = { 0x1d, 0x1a };
	g_autofree char *index = xml_get(controller, "@index");

	for (xmlNode *n = xml_first(map->root, "devices/controller"); n; n = xml_next(n)) {
		if (usb_group_function(n) >= 0 && index && xml_is(n, "@index", index) && domain_pci_address(n, pci))
			return true;
	}
	for (size_t i = 0; map->q35 && i < G_N_ELEMENTS(board_slots); i++) {
		*pci = (struct domain_pci){ 0, board_slots[i], 0 };
		if (is_free(map, 0, board_slots[i], 0xff))
			return true;
	}
	for (unsigned slot = 2; !map->q35 && slot < SLOTS; slot++) {
		*pci = (struct domain_pci){ 0, slot, 0 };
		if (is_free(map, 0, slot, 0xff))
			return true;
	}
	return false;
}

static void place_group(struct map *map, xmlNode *controller)
{
	g_autofree char *index = xml_get(controller, "@index");
	struct domain_pci pci;

	if (!index || !group_slot(map, controller, &pci))
		return;
	for (xmlNode *n = xml_first(map->root, "devices/controller"); n; n = xml_next(n)) {
		int function = usb_group_function(n);

		if (function < 0 || !xml_is(n, "@index", index) || !wants_place(n))
			continue;
		pci.function = (unsigned)function;
		if (is_free(map, pci.bus, pci.slot, 1u << pci.function))
			place(map, n, pci, pci.function == 0);
	}
}

static void place_customary(struct map *map, xmlNode *device)
{
	const char *name = (const char *)device->name;
	bool first = domain_number(device, "@index") == 0;

	if (strcmp(name, "video") == 0 && xml_is(device, "model/@primary", "yes"))
		place_if_free(map, device, map->q35 ? 1 : 2, 0);
	else if (strcmp(name, "sound") == 0 && map->q35 && xml_is(device, "@model", "ich9"))
		place_if_free(map, device, 0x1b, 0);
	if (strcmp(name, "controller") != 0)
		return;
	if (map->q35 && first && xml_is(device, "@type", "sata"))
		place_if_free(map, device, 0x1f, 2);
	else if (!map->q35 && first && xml_is(device, "@type", "ide"))
		place_if_free(map, device, 1, 1);
	else if (!map->q35 && first && xml_is(device, "@type", "usb") && xml_is(device, "@model", "piix3-uhci"))
		place_if_free(map, device, 1, 2);
	else if (map->q35 && xml_is(device, "@model", "dmi-to-pci-bridge"))
		place_if_free(map, device, 0x1e, 0);
}

static bool slot_for(const struct bus *bus, unsigned plug, unsigned *slot, unsigned *function)
{
	for (*slot = bus->model->first; *slot <= bus->model->last; ++*slot) {
		uint8_t used = bus->used[*slot];

		*function = 0;
		if (!used)
			return true;
		/* Root ports share a slot whose first function is one of them. */
		if (!(plug & PLUG_ROOT_PORT) || used != bus->shared[*slot] || !(used & 1))
			continue;
		while (*function < FUNCTIONS && used & 1u << *function)
			++*function;
		if (*function < FUNCTIONS)
			return true;
	}
	return false;
}

/*
 * A bus of this model is never behind one that takes or makes what it carries: root ports, and bridges from express to
 * PCI.
 */
static bool is_safe_above(const struct bus_model *model)
{
	return (model->plug & PLUG_ROOT_PORT) || ((model->plug & PLUG_PCIE) && (model->takes & PLUG_PCI));
}

/*
 * own: the bus that the thing to be placed makes itself; it must not end up behind itself, so only a lower bus will do,
 * or one that cannot be behind it. UINT_MAX for what makes no bus.
 */
static bool find_place(const struct map *map, unsigned plug, unsigned own, struct domain_pci *pci)
{
	for (unsigned i = 0; i < map->n_buses; i++) {
		const struct bus *bus = &map->buses[i];

		if (!bus->model || (i >= own && !is_safe_above(bus->model)) || !(bus->model->takes & plug) ||
		    !slot_for(bus, plug, &pci->slot, &pci->function))
			continue;
		pci->bus = i;
		return true;
	}
	return false;
}

/* Adding controllers. */

static bool grow(struct map *map, const char *model, GError **err)
{
	xmlNode *controller;

	if (map->n_buses >= MAX_BUSES)
		return fail(err, LODGE_ERROR_INPUT, "no PCI address is left: %u buses are in use", MAX_BUSES);
	controller = domain_add_controller(map->root, "pci", map->n_buses, model);
	map->buses[map->n_buses].model = bus_model(model);
	map->n_buses++;
	map->added++;
	return controller != NULL;
}

/* What is put in for devices of this plug when no bus takes them. */
static bool grow_for(struct map *map, unsigned plug, xmlNode *device, GError **err)
{
	struct domain_pci port;

	if (map->q35 && plug == PLUG_PCIE)
		return grow(map, "pcie-root-port", err);
	if (map->q35 && (plug == PLUG_PCI || plug == PLUG_PCI_BRIDGE))
		return (find_place(map, PLUG_PCIE, UINT_MAX, &port) || grow(map, "pcie-root-port", err)) &&
		       grow(map, "pcie-to-pci-bridge", err);
	if (!map->q35 && plug == PLUG_PCI)
		return grow(map, "pci-bridge", err);
	return fail_xml(err, device, NULL, "no slot is left for it on a PCI bus of this machine that would take it");
}

static bool place_anywhere(struct map *map, xmlNode *device, unsigned plug, GError **err)
{
	bool bridge = xml_is(device, "@type", "pci") && strcmp((const char *)device->name, "controller") == 0;
	struct domain_pci pci;

	while (!find_place(map, plug, bridge ? (unsigned)domain_number(device, "@index") : UINT_MAX, &pci)) {
		if (!grow_for(map, plug, device, err))
			return false;
	}
	place(map, device, pci, is_root_port(device) && pci.function == 0);
	return true;
}

static bool place_device(struct map *map, xmlNode *device, GError **err)
{
	unsigned plug = device_plug(device, map->q35);

	if (!plug || !wants_place(device))
		return true;
	return place_anywhere(map, device, plug, err);
}

/* Passes. */

static const char *const order[] = {
	"filesystem", "interface", "sound", "controller", "disk",   "hostdev", "memballoon", "rng",    "watchdog",
	"video",      "shmem",	   "input", "serial",	  "memory", "vsock",   "iommu",	     "crypto",
};

static bool place_all(struct map *map, bool pci_controllers, const char *name, GError **err)
{
	for (xmlNode *n = xml_first(xml_find(map->root, "devices"), name), *next; n; n = next) {
		next = xml_next(n);
		if (strcmp(name, "controller") == 0 && xml_is(n, "@type", "pci") != pci_controllers)
			continue;
		if (!place_device(map, n, err))
			return false;
	}
	return true;
}

/* Buses that addresses name but no controller makes. */
static bool add_named_buses(struct map *map, GError **err)
{
	for (xmlNode *n = xml_child(xml_find(map->root, "devices")), *next; n; n = next) {
		struct domain_pci pci;

		next = xml_sibling(n);
		if (n->ns || !domain_pci_address(n, &pci))
			continue;
		while (pci.bus >= map->n_buses) {
			if (!grow(map, map->q35 ? "pcie-root-port" : "pci-bridge", err))
				return false;
		}
		if (!map->buses[pci.bus].model) {
			domain_add_controller(map->root, "pci", pci.bus, map->q35 ? "pcie-root-port" : "pci-bridge");
			map->buses[pci.bus].model = bus_model(map->q35 ? "pcie-root-port" : "pci-bridge");
			map->added++;
		}
	}
	return true;
}

static bool keep_free_port(struct map *map, GError **err)
{
	struct domain_pci pci;

	if (!map->q35 || find_place(map, PLUG_PCIE, UINT_MAX, &pci) || map->n_buses >= MAX_BUSES)
		return true;
	return grow(map, "pcie-root-port", err);
}

/* The tree as it is. */
static bool build_map(struct map *map, GError **err)
{
	memset(map->buses, 0, MAX_BUSES * sizeof(*map->buses));
	map->n_buses = map->added = 0;
	for (xmlNode *n = xml_first(map->root, "devices/controller"); n; n = xml_next(n)) {
		if (!add_bus(map, n, err))
			return false;
	}
	if (!add_named_buses(map, err))
		return false;
	for (xmlNode *n = xml_child(xml_find(map->root, "devices")); n; n = xml_sibling(n)) {
		if (!n->ns)
			take(map, n);
	}
	take_board(map);
	return true;
}

static void place_board_devices(struct map *map)
{
	for (xmlNode *n = xml_child(xml_find(map->root, "devices")); n; n = xml_sibling(n)) {
		if (!n->ns && device_plug(n, map->q35) && wants_place(n))
			place_customary(map, n);
	}
	for (xmlNode *n = xml_first(map->root, "devices/controller"); n; n = xml_next(n)) {
		if (usb_group_function(n) >= 0 && wants_place(n))
			place_group(map, n);
	}
}

static bool run_pass(struct map *map, GError **err)
{
	if (!build_map(map, err) || !place_all(map, true, "controller", err))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
		if (!place_all(map, false, order[i], err))
			return false;
	}
	return keep_free_port(map, err);
}

/* The properties of PCI controllers that follow from their places. */
static void fill_pci_controller(xmlNode *controller)
{
	g_autofree char *name = xml_get(controller, "@model");
	const struct bus_model *model = name ? bus_model(name) : NULL;
	unsigned index = (unsigned)domain_number(controller, "@index");
	struct domain_pci pci = { 0 };

	if (!model || !model->name)
		return;
	if (!xml_find(controller, "model/@name"))
		xml_set(controller, "model/@name", model->name);
	domain_pci_address(controller, &pci);
	if (strcmp(name, "pcie-root-port") == 0 || strcmp(name, "pcie-switch-downstream-port") == 0) {
		if (!xml_find(controller, "target/@chassis"))
			xml_setf(controller, "target/@chassis", "%u", index);
		if (!xml_find(controller, "target/@port"))
			xml_setf(controller, "target/@port", "0x%x", pci.slot << 3 | pci.function);
	} else if (strcmp(name, "pci-bridge") == 0 && !xml_find(controller, "target/@chassisNr")) {
		xml_setf(controller, "target/@chassisNr", "%u", index);
	} else if (model->plug & PLUG_EXPANDER || strcmp(name, "pcie-expander-bus") == 0) {
		if (!xml_find(controller, "target/@busNr"))
			xml_set(controller, "target/@busNr", "254");
	}
}

/* One spelling for addresses that people wrote. */
static void normalise_address(xmlNode *address)
{
	xml_setf(address, "@domain", "0x%04x", (unsigned)domain_number(address, "@domain"));
	xml_setf(address, "@bus", "0x%02x", (unsigned)domain_number(address, "@bus"));
	xml_setf(address, "@slot", "0x%02x", (unsigned)domain_number(address, "@slot"));
	xml_setf(address, "@function", "0x%x", (unsigned)domain_number(address, "@function"));
}

/* The host's side of an assigned device; an interface says which kind of address it is. */
static void normalise_source(xmlNode *device)
{
	xmlNode *address = xml_find(device, "source/address");
	bool pci = xml_is(device, "@type", "pci") || (address && xml_is(address, "@type", "pci"));

	if (address && pci && xml_find(address, "@slot"))
		normalise_address(address);
}

static void normalise(xmlNode *devices, bool pc)
{
	for (xmlNode *device = devices ? xml_child(devices) : NULL; device; device = xml_sibling(device)) {
		struct domain_pci pci;

		if (device->ns)
			continue;
		normalise_source(device);
		if (pc && domain_pci_address(device, &pci))
			normalise_address(domain_address(device, "pci"));
	}
}

bool domain_assign_pci(struct domain *domain, GError **err)
{
	g_autofree struct bus *buses = g_new0(struct bus, MAX_BUSES);
	struct map map = { .root = domain->root, .buses = buses, .q35 = domain_is_q35(domain->root) };

	normalise(xml_find(domain->root, "devices"), domain_is_pc(domain->root));
	if (!domain_is_pc(domain->root))
		return true;
	if (!build_map(&map, err))
		return false;
	place_board_devices(&map);
	map.dry = true;
	do {
		if (!run_pass(&map, err))
			return false;
	} while (map.added);
	map.dry = false;
	if (!run_pass(&map, err))
		return false;
	for (xmlNode *n = xml_first(domain->root, "devices/controller"); n; n = xml_next(n)) {
		if (xml_is(n, "@type", "pci"))
			fill_pci_controller(n);
	}
	return true;
}
