/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Defaults of devices, and the devices every PC has whether its definition names them or not. */
#include <string.h>

#include "core/model/domain-fill.h"

#define MAX_TARGET_INDEX 65535

/* Disks. */

static const struct {
	const char *prefix, *bus;
} target_buses[] = {
	{ "vd", "virtio" }, { "sd", "scsi" }, { "hd", "ide" }, { "fd", "fdc" }, { "xvd", "xen" }, { "ubd", "uml" },
};

int domain_target_index(const char *target)
{
	int index = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(target_buses); i++) {
		if (!g_str_has_prefix(target, target_buses[i].prefix))
			continue;
		target += strlen(target_buses[i].prefix);
		if (!g_ascii_islower(*target))
			return -1;
		for (; g_ascii_islower(*target); target++) {
			index = index * 26 + (*target - 'a') + 1;
			if (index > MAX_TARGET_INDEX)
				return -1;
		}
		return index - 1;
	}
	return -1;
}

static const char *target_bus(const char *target, bool q35)
{
	for (size_t i = 0; i < G_N_ELEMENTS(target_buses); i++) {
		if (!g_str_has_prefix(target, target_buses[i].prefix))
			continue;
		/* A q35 board has no IDE. */
		return q35 && strcmp(target_buses[i].bus, "ide") == 0 ? "sata" : target_buses[i].bus;
	}
	return NULL;
}

static void fill_disk_bus(xmlNode *disk, bool q35)
{
	g_autofree char *target = xml_get(disk, "target/@dev");
	const char *bus = target ? target_bus(target, q35) : NULL;

	if (xml_is(disk, "@device", "floppy"))
		bus = "fdc";
	if (bus)
		domain_default(disk, "target/@bus", bus);
}

static void fill_disk(xmlNode *disk, bool q35)
{
	domain_default(disk, "@type", "file");
	domain_default(disk, "@device", "disk");
	fill_disk_bus(disk, q35);
	if (!xml_is(disk, "@type", "vhostuser") && !xml_is(disk, "@type", "vhostvdpa"))
		domain_default(disk, "driver/@name", "qemu");
	domain_default(disk, "driver/@type", xml_is(disk, "@type", "dir") ? "fat" : "raw");
	if (xml_is(disk, "@device", "cdrom"))
		xml_ensure(disk, "readonly");
}

/* Interfaces. */

static void fill_mac(xmlNode *interface)
{
	uint32_t random = g_random_int();

	if (xml_find(interface, "mac/@address"))
		domain_lower(interface, "mac/@address");
	else
		xml_setf(interface, "mac/@address", "52:54:00:%02x:%02x:%02x", random & 0xff, random >> 8 & 0xff,
			 random >> 16 & 0xff);
}

static void fill_interface(xmlNode *interface)
{
	fill_mac(interface);
	if (!xml_is(interface, "@type", "hostdev"))
		domain_default(interface, "model/@type", "virtio");
	if (xml_is(interface, "@type", "direct"))
		domain_default(interface, "source/@mode", "vepa");
}

/* Graphics and video. */

static void fill_listen(xmlNode *graphics)
{
	g_autofree char *attribute = xml_get(graphics, "@listen");
	g_autofree char *socket = xml_get(graphics, "@socket");
	xmlNode *listen = xml_find(graphics, "listen");

	if (!listen) {
		listen = xml_ensure(graphics, "listen");
		xml_set(listen, "@type", socket ? "socket" : "address");
		if (socket)
			xml_set(listen, "@socket", socket);
		else if (attribute && *attribute)
			xml_set(listen, "@address", attribute);
	} else if (socket && !xml_is(listen, "@type", "socket") && xml_is(graphics, "@type", "vnc")) {
		/* Older form: the attribute says where, whatever the element says. */
		xml_set(listen, "@type", "socket");
		xml_set(listen, "@address", NULL);
		xml_set(listen, "@network", NULL);
		xml_set(listen, "@socket", socket);
		xml_set(graphics, "@listen", NULL);
	} else if (!socket && xml_is(listen, "@type", "socket") && xml_find(listen, "@socket")) {
		g_autofree char *path = xml_get(listen, "@socket");

		if (xml_is(graphics, "@type", "vnc"))
			xml_set(graphics, "@socket", path);
	} else if (!attribute && xml_is(listen, "@type", "address")) {
		g_autofree char *address = xml_get(listen, "@address");

		if (address)
			xml_set(graphics, "@listen", address);
	}
}

static void fill_vnc(xmlNode *graphics)
{
	int64_t port = -1;
	g_autofree char *text = xml_get(graphics, "@port");
	bool by_socket = xml_is(graphics, "listen/@type", "socket") || xml_find(graphics, "@socket");

	if (by_socket)
		return;
	if (text)
		port = g_ascii_strtoll(text, NULL, 10);
	if (port <= 0 || xml_is(graphics, "@autoport", "yes")) {
		xml_set(graphics, "@port", "-1");
		xml_set(graphics, "@autoport", "yes");
	} else {
		domain_default(graphics, "@autoport", "no");
	}
}

static void fill_spice(xmlNode *graphics)
{
	if (xml_is(graphics, "@port", "-1") || xml_is(graphics, "@port", "0"))
		xml_set(graphics, "@port", NULL);
	if (!xml_find(graphics, "@port") && !xml_find(graphics, "@tlsPort"))
		domain_default(graphics, "@autoport", "yes");
	if (xml_find(graphics, "@port"))
		domain_default(graphics, "@autoport", "no");
	if (xml_is(graphics, "@autoport", "yes"))
		xml_set(graphics, "@port", NULL);
}

static void fill_graphics(xmlNode *graphics)
{
	bool vnc = xml_is(graphics, "@type", "vnc"), spice = xml_is(graphics, "@type", "spice");

	if (vnc)
		fill_vnc(graphics);
	if (spice)
		fill_spice(graphics);
	if (vnc || spice)
		fill_listen(graphics);
}

/* Memory of each model, KiB. */
static const struct {
	const char *model, *ram, *vram, *vgamem;
	bool headless;
} video_models[] = {
	{ "vga", NULL, "16384", NULL, false },	     { "cirrus", NULL, "16384", NULL, false },
	{ "bochs", NULL, "16384", NULL, false },     { "vmvga", NULL, "16384", NULL, false },
	{ "qxl", "65536", "65536", "16384", false }, { "none", NULL, NULL, NULL, true },
};

static void fill_video_memory(xmlNode *model)
{
	for (size_t i = 0; i < G_N_ELEMENTS(video_models); i++) {
		if (!xml_is(model, "@type", video_models[i].model))
			continue;
		if (video_models[i].ram)
			domain_default(model, "@ram", video_models[i].ram);
		if (video_models[i].vram)
			domain_default(model, "@vram", video_models[i].vram);
		if (video_models[i].vgamem)
			domain_default(model, "@vgamem", video_models[i].vgamem);
		if (video_models[i].headless)
			return;
	}
	domain_default(model, "@heads", "1");
}

static void fill_videos(xmlNode *root)
{
	xmlNode *first = xml_first(root, "devices/video");
	bool has_primary = false;

	if (!first && xml_find(root, "devices/graphics"))
		first = xml_add(xml_ensure(root, "devices"), "video");
	for (xmlNode *video = first; video; video = xml_next(video)) {
		xmlNode *model = xml_ensure(video, "model");

		domain_default(model, "@type", "vga");
		fill_video_memory(model);
		has_primary |= xml_is(model, "@primary", "yes");
	}
	if (first && !has_primary && !xml_is(first, "model/@type", "none"))
		xml_set(first, "model/@primary", "yes");
}

/* The rest: element below <devices>, what it gets when the condition (an attribute's value) holds. */
static const struct {
	const char *element, *condition, *is, *path, *value;
} defaults[] = {
	{ "filesystem", NULL, NULL, "@type", "mount" },
	{ "filesystem", NULL, NULL, "@accessmode", "passthrough" },
	{ "hostdev", NULL, NULL, "@mode", "subsystem" },
	{ "hostdev", "@mode", "subsystem", "@managed", "no" },
	{ "redirdev", NULL, NULL, "@bus", "usb" },
	{ "input", "@type", "tablet", "@bus", "usb" },
	{ "input", "@type", "mouse", "@bus", "ps2" },
	{ "input", "@type", "keyboard", "@bus", "ps2" },
	{ "input", "@type", "passthrough", "@bus", "virtio" },
	{ "memballoon", NULL, NULL, "@model", "virtio" },
	{ "rng", NULL, NULL, "@model", "virtio" },
	{ "rng", NULL, NULL, "backend/@model", "random" },
	{ "rng", "backend/@model", "random", "backend", "/dev/urandom" },
	{ "watchdog", NULL, NULL, "@action", "reset" },
	{ "tpm", "backend/@type", "emulator", "backend/@version", "2.0" },
	{ "vsock", NULL, NULL, "@model", "virtio" },
	{ "shmem", NULL, NULL, "model/@type", "ivshmem-plain" },
	{ "memory", NULL, NULL, "@model", "dimm" },
	{ "audio", NULL, NULL, "@id", "1" },
};

static void fill_device(xmlNode *device)
{
	for (size_t i = 0; i < G_N_ELEMENTS(defaults); i++) {
		if (strcmp((const char *)device->name, defaults[i].element) != 0)
			continue;
		if (defaults[i].condition && !xml_is(device, defaults[i].condition, defaults[i].is))
			continue;
		g_autofree char *present = xml_get(device, defaults[i].path);
		/* An element's text may be missing though the element is there. */
		if (!present || (!*present && !strchr(defaults[i].path, '@')))
			xml_set(device, defaults[i].path, defaults[i].value);
	}
}

/* What every hypervisor's definition gets. */
static void fill_foreign(xmlNode *devices)
{
	xmlNode *video = xml_first(devices, "video");
	bool has_primary = false;

	for (xmlNode *disk = xml_first(devices, "disk"); disk; disk = xml_next(disk))
		fill_disk_bus(disk, false);
	for (xmlNode *graphics = xml_first(devices, "graphics"); graphics; graphics = xml_next(graphics))
		fill_graphics(graphics);
	for (xmlNode *n = video; n; n = xml_next(n))
		has_primary |= xml_is(n, "model/@primary", "yes");
	if (video && !has_primary && xml_find(video, "model") && !xml_is(video, "model/@type", "none"))
		xml_set(video, "model/@primary", "yes");
}

static void fill_inputs(xmlNode *devices)
{
	static const char *const types[] = { "mouse", "keyboard" };

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		bool found = false;

		for (xmlNode *input = xml_first(devices, "input"); input; input = xml_next(input))
			found |= xml_is(input, "@type", types[i]) && xml_is(input, "@bus", "ps2");
		if (!found) {
			xmlNode *input = xml_add(devices, "input");

			xml_set(input, "@type", types[i]);
			xml_set(input, "@bus", "ps2");
		}
	}
}

void domain_fill_devices(xmlNode *root)
{
	xmlNode *devices = xml_ensure(root, "devices");
	bool q35 = domain_is_q35(root);

	domain_fill_sources(devices);
	if (!domain_is_ours(root)) {
		fill_foreign(devices);
		return;
	}
	for (xmlNode *device = xml_child(devices); device; device = xml_sibling(device)) {
		const char *name = (const char *)device->name;

		if (device->ns)
			continue;
		if (strcmp(name, "disk") == 0)
			fill_disk(device, q35);
		else if (strcmp(name, "interface") == 0)
			fill_interface(device);
		else if (strcmp(name, "graphics") == 0)
			fill_graphics(device);
		else if (strcmp(name, "sound") == 0)
			domain_default(device, "@model", q35 ? "ich9" : "ich6");
		else
			fill_device(device);
	}
	if (!domain_is_pc(root))
		return;
	for (xmlNode *panic = xml_first(devices, "panic"); panic; panic = xml_next(panic))
		domain_default(panic, "@model", "isa");
	for (xmlNode *tpm = xml_first(devices, "tpm"); tpm; tpm = xml_next(tpm))
		domain_default(tpm, "@model", "tpm-tis");
	fill_inputs(devices);
	fill_videos(root);
	domain_fill_ports(root);
	if (!xml_find(devices, "memballoon"))
		xml_set(devices, "memballoon/@model", "virtio");
}
