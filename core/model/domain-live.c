/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names by which monitor commands, events and people know the devices of a running VM. */
#include <string.h>

#include "core/model/domain-steps.h"

/* Devices counted in the order of the definition. */
static const struct {
	const char *element, *prefix;
} counted[] = {
	{ "interface", "net" },	      { "serial", "serial" },	{ "parallel", "parallel" },
	{ "console", "console" },     { "channel", "channel" }, { "input", "input" },
	{ "video", "video" },	      { "sound", "sound" },	{ "hostdev", "hostdev" },
	{ "redirdev", "redir" },      { "filesystem", "fs" },	{ "watchdog", "watchdog" },
	{ "memballoon", "balloon" },  { "rng", "rng" },		{ "panic", "panic" },
	{ "shmem", "shmem" },	      { "tpm", "tpm" },		{ "hub", "hub" },
	{ "smartcard", "smartcard" }, { "iommu", "iommu" },	{ "vsock", "vsock" },
	{ "crypto", "crypto" },	      { "nvram", "nvram" },	{ "lease", "lease" },
};

static const char *const drive_buses[] = { "ide", "sata", "scsi", "fdc" };

static char *disk_alias(xmlNode *disk)
{
	g_autofree char *bus = xml_get(disk, "target/@bus");
	g_autofree char *target = xml_get(disk, "target/@dev");
	int index = target ? domain_target_index(target) : -1;
	xmlNode *address = domain_address(disk, "drive");

	if (!bus)
		return g_strdup_printf("disk%d", MAX(index, 0));
	if (address && strcmp(bus, "scsi") == 0)
		return g_strdup_printf("scsi%u-%u-%u-%u", (unsigned)domain_number(address, "@controller"),
				       (unsigned)domain_number(address, "@bus"),
				       (unsigned)domain_number(address, "@target"),
				       (unsigned)domain_number(address, "@unit"));
	for (size_t i = 0; address && i < G_N_ELEMENTS(drive_buses); i++) {
		if (strcmp(bus, drive_buses[i]) == 0)
			return g_strdup_printf("%s%u-%u-%u", bus, (unsigned)domain_number(address, "@controller"),
					       (unsigned)domain_number(address, "@bus"),
					       (unsigned)domain_number(address, "@unit"));
	}
	return g_strdup_printf("%s-disk%d", bus, MAX(index, 0));
}

static char *controller_alias(xmlNode *controller, bool q35)
{
	g_autofree char *type = xml_get(controller, "@type");
	unsigned index = (unsigned)domain_number(controller, "@index");

	if (!type)
		return g_strdup_printf("controller%u", index);
	if (strcmp(type, "pci") == 0)
		return g_strdup_printf("%s.%u", xml_is(controller, "@model", "pcie-root") ? "pcie" : "pci", index);
	if (strcmp(type, "usb") == 0 && index == 0)
		return g_strdup("usb");
	/* The board's own storage controller. */
	if (index == 0 && strcmp(type, q35 ? "sata" : "ide") == 0)
		return g_strdup("ide");
	return g_strdup_printf("%s%u", type, index);
}

static char *counted_alias(const char *name, unsigned *counts)
{
	for (size_t i = 0; i < G_N_ELEMENTS(counted); i++) {
		if (strcmp(name, counted[i].element) == 0)
			return g_strdup_printf("%s%u", counted[i].prefix, counts[i]++);
	}
	return NULL;
}

static char *device_alias(xmlNode *device, bool q35, unsigned *counts)
{
	const char *name = (const char *)device->name;

	if (device->ns)
		return NULL;
	if (strcmp(name, "disk") == 0)
		return disk_alias(device);
	if (strcmp(name, "controller") == 0)
		return controller_alias(device, q35);
	if (strcmp(name, "memballoon") == 0 && xml_is(device, "@model", "none"))
		return NULL;
	if (strcmp(name, "audio") == 0)
		return g_strdup_printf("audio%u", (unsigned)domain_number(device, "@id"));
	if (strcmp(name, "memory") == 0) {
		g_autofree char *model = xml_get(device, "@model");
		xmlNode *address = domain_address(device, "dimm");

		return g_strdup_printf("%s%u", model ? model : "dimm",
				       (unsigned)domain_number(address ? address : device, "@slot"));
	}
	g_autofree char *alias = counted_alias(name, counts);
	/* The first console is the first serial port seen again. */
	if (g_strcmp0(alias, "console0") == 0 && xml_is(device, "target/@type", "serial"))
		return g_strdup("serial0");
	return g_steal_pointer(&alias);
}

/* Two names that look alike ("vda" and "hda" on one bus) would give one alias. */
static char *make_unique(GHashTable *taken, char *alias_consume)
{
	char *alias = alias_consume;

	for (unsigned n = 1; g_hash_table_contains(taken, alias); n++) {
		if (alias != alias_consume)
			g_free(alias);
		alias = g_strdup_printf("%s-%u", alias_consume, n);
	}
	if (alias != alias_consume)
		g_free(alias_consume);
	g_hash_table_add(taken, g_strdup(alias));
	return alias;
}

/* Devices that have one name together. */
static bool shares_alias(xmlNode *device)
{
	const char *name = (const char *)device->name;

	return (strcmp(name, "console") == 0 && xml_is(device, "target/@type", "serial")) ||
	       (strcmp(name, "controller") == 0 && xml_is(device, "@type", "usb"));
}

void domain_make_live(struct domain *domain, int id)
{
	bool q35 = domain_is_q35(domain->root);
	unsigned counts[G_N_ELEMENTS(counted)] = { 0 };
	g_autoptr(GHashTable) taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	xmlNode *devices = xml_find(domain->root, "devices");

	xml_setf(domain->root, "@id", "%d", id);
	for (xmlNode *device = xml_child(devices); device; device = xml_sibling(device)) {
		char *present = xml_get(device, "alias/@name");

		if (present)
			g_hash_table_add(taken, present);
	}
	for (xmlNode *device = xml_child(devices); device; device = xml_sibling(device)) {
		g_autofree char *alias = device_alias(device, q35, counts);

		if (!alias || xml_find(device, "alias/@name"))
			continue;
		if (!shares_alias(device))
			alias = make_unique(taken, g_steal_pointer(&alias));
		xml_set(device, "alias/@name", alias);
	}
	domain_order(domain);
}
