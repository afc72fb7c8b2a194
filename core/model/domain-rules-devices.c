/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules for devices: each by itself, and those of a kind together. Disks, ports, assigned and USB devices have files of
 * their own; the places of all are in domain-clash.c.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

/* Each for controllers, of which more are added for what is on them, and for the rest. */
#define MAX_DEVICES 2048u
#define VNC_PASSWORD 8u

/* --- graphics --- */

static bool check_same(xmlNode *graphics, const char *own, const char *listen, const char *path, GError **err)
{
	g_autofree char *a = xml_get(graphics, own);
	g_autofree char *b = xml_get(graphics, path);

	if (a && b && xml_is(graphics, "listen/@type", listen) && strcmp(a, b))
		return fail_xml(err, graphics, own + 1, "'%s' is not that of <listen>, '%s'", a, b);
	return true;
}

static bool check_graphics(xmlNode *graphics, GError **err)
{
	g_autofree char *password = xml_get(graphics, "@passwd");

	if (password && xml_is(graphics, "@type", "vnc") && strlen(password) > VNC_PASSWORD)
		return fail_xml(err, graphics, "passwd",
				"VNC compares only %u characters of a password: give one that is not longer",
				VNC_PASSWORD);
	return check_same(graphics, "@listen", "address", "listen/@address", err) &&
	       check_same(graphics, "@socket", "socket", "listen/@socket", err);
}

/* Rendering without a screen stands in for one that renders. */
static bool check_headless(xmlNode *devices, GError **err)
{
	xmlNode *headless = NULL;

	for (xmlNode *n = xml_first(devices, "graphics"); n && !headless; n = xml_next(n)) {
		if (xml_is(n, "@type", "egl-headless"))
			headless = n;
	}
	for (xmlNode *n = headless ? xml_first(devices, "graphics") : NULL; n; n = xml_next(n)) {
		if (xml_is(n, "@type", "sdl") || xml_is(n, "gl/@enable", "yes"))
			return fail_xml(err, headless, NULL, "not together with a screen that renders by itself");
	}
	return true;
}

static bool check_video(xmlNode *devices, GError **err)
{
	unsigned primaries = 0, nones = 0, n = 0;

	for (xmlNode *video = xml_first(devices, "video"); video; video = xml_next(video), n++) {
		if (xml_is(video, "model/@type", "ramfb") && xml_find(video, "address"))
			return fail_xml(err, xml_find(video, "address"), NULL,
					"a ramfb has none: it is in memory only");
		nones += xml_is(video, "model/@type", "none");
		primaries += xml_is(video, "model/@primary", "yes");
		if (primaries > 1)
			return fail_xml(err, xml_find(video, "model"), "primary",
					"an earlier <video> is the primary one already");
	}
	return !nones || n == 1 ||
	       fail_xml(err, xml_first(devices, "video"), NULL, "type 'none' must be the only <video>");
}

/* --- places --- */

static bool check_limit(xmlNode *address, const char *attr, uint64_t max, GError **err)
{
	g_autofree char *path = g_strconcat("@", attr, NULL);
	uint64_t value;

	if (xml_get_uint(address, path, &value) && value > max)
		return fail_xml(err, address, attr, "more than 0x%" G_GINT64_MODIFIER "x", max);
	return true;
}

static bool check_address(xmlNode *address, GError **err)
{
	return !xml_is(address, "@type", "pci") ||
	       (check_limit(address, "domain", UINT32_MAX, err) && check_limit(address, "bus", 0xff, err) &&
		check_limit(address, "slot", 0x1f, err) && check_limit(address, "function", 7, err));
}

/* --- one device --- */

static bool check_input(xmlNode *input, GError **err)
{
	if (xml_is(input, "@bus", "ps2") && !xml_is(input, "@type", "mouse") && !xml_is(input, "@type", "keyboard"))
		return fail_xml(err, input, "bus",
				"only a mouse or a keyboard is on bus 'ps2': a tablet is on usb or virtio");
	return true;
}

static bool check_rng(xmlNode *rng, GError **err)
{
	xmlNode *backend = xml_find(rng, "backend");

	return !backend || !xml_is(backend, "@model", "egd") || domain_check_port(backend, err);
}

static bool check_interface(xmlNode *interface, GError **err)
{
	static const char *const sizes[] = { "rx_queue_size", "tx_queue_size" };

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autofree char *path = g_strconcat("driver/@", sizes[i], NULL);
		uint64_t size;

		if (xml_get_uint(interface, path, &size) && size & (size - 1))
			return fail_xml(err, xml_find(interface, "driver"), sizes[i], "not a power of two");
	}
	return true;
}

static bool check_channel(xmlNode *channel, GError **err)
{
	if (!xml_find(channel, "target"))
		return fail_xml(err, channel, NULL,
				"a channel needs a target, as <target type='virtio' name='org.qemu.guest_agent.0'/>");
	return domain_check_port(channel, err);
}

static bool check_filesystem(xmlNode *filesystem, GError **err)
{
	if (xml_find(filesystem, "readonly") && xml_is(filesystem, "driver/@type", "virtiofs"))
		return fail_xml(err, xml_find(filesystem, "readonly"), NULL, "not possible with virtiofs");
	return true;
}

static const struct {
	const char *name;
	bool (*check)(xmlNode *device, GError **err);
} device_checks[] = {
	{ "serial", domain_check_port },
	{ "parallel", domain_check_port },
	{ "console", domain_check_port },
	{ "smartcard", domain_check_port },
	{ "redirdev", domain_check_port },
	{ "channel", check_channel },
	{ "rng", check_rng },
	{ "graphics", check_graphics },
	{ "interface", check_interface },
	{ "input", check_input },
	{ "filesystem", check_filesystem },
};

static bool check_device(xmlNode *device, bool ours, GError **err)
{
	const char *name = (const char *)device->name;
	xmlNode *address = xml_find(device, "address");

	if (address && !check_address(address, err))
		return false;
	if (strcmp(name, "disk") == 0)
		return domain_check_disk(device, ours, err);
	for (size_t i = 0; i < G_N_ELEMENTS(device_checks); i++) {
		if (strcmp(device_checks[i].name, name) == 0)
			return device_checks[i].check(device, err);
	}
	return true;
}

static bool check_each(xmlNode *root, GError **err)
{
	unsigned counts[2] = { 0 };
	bool ours = domain_is_ours(root);

	for (xmlNode *device = xml_child(xml_find(root, "devices")); device; device = xml_sibling(device)) {
		if (++counts[strcmp((const char *)device->name, "controller") == 0] > MAX_DEVICES)
			return fail_xml(err, xml_find(root, "devices"), NULL, "more than %u devices", MAX_DEVICES);
		if (!device->ns && !check_device(device, ours, err))
			return false;
	}
	return true;
}

/* --- together --- */

static bool check_consoles(xmlNode *root, GError **err)
{
	xmlNode *first = xml_first(root, "devices/console");

	for (xmlNode *console = first; console; console = xml_next(console)) {
		if (console != first && xml_is(console, "target/@type", "serial"))
			return fail_xml(err, console, NULL,
					"only the first console can be a serial port: use <target type='virtio'/>");
	}
	return true;
}

/* One of a kind. */
static bool check_single(xmlNode *root, const char *path, GError **err)
{
	xmlNode *first = xml_first(root, path);
	xmlNode *second = first ? xml_next(first) : NULL;

	if (second)
		return fail_xml(err, second, NULL, "only one <%s> is possible", (const char *)second->name);
	return true;
}

/* Beside a module of its own, a pseries guest may reach the host's through a proxy. */
static bool check_tpms(xmlNode *devices, GError **err)
{
	xmlNode *seen[2] = { NULL };

	for (xmlNode *tpm = xml_first(devices, "tpm"); tpm; tpm = xml_next(tpm)) {
		xmlNode **slot = &seen[xml_is(tpm, "@model", "spapr-tpm-proxy")];

		if (*slot)
			return fail_xml(err, tpm, NULL, "only one <tpm> is possible");
		*slot = tpm;
	}
	return true;
}

bool domain_check_devices(xmlNode *root, GError **err)
{
	static const char *const single[] = { "devices/memballoon", "devices/iommu", "devices/vsock", "devices/nvram" };
	xmlNode *devices = xml_find(root, "devices");

	for (size_t i = 0; i < G_N_ELEMENTS(single); i++) {
		if (!check_single(root, single[i], err))
			return false;
	}
	return !devices || (check_each(root, err) && check_consoles(root, err) && check_headless(devices, err) &&
			    check_video(devices, err) && check_tpms(devices, err) &&
			    domain_check_hostdevs(devices, err) && domain_check_usb(root, err));
}
