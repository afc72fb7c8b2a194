/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules for devices of the host that a VM gets. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"

/* What makes two assigned devices one; NULL when that cannot be told. */
static char *hostdev_key(xmlNode *hostdev)
{
	static const char *const parts[] = {
		"@domain", "@bus", "@slot", "@function", "@device", "@target", "@unit", "@uuid",
	};
	xmlNode *address = xml_find(hostdev, "source/address");
	g_autofree char *type = xml_get(hostdev, "@type");
	g_autofree char *adapter = xml_get(hostdev, "source/adapter/@name");
	GString *key;

	if (!address || !type)
		return NULL;
	key = g_string_new(type);
	g_string_append_printf(key, " %s", adapter ? adapter : "");
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		g_autofree char *text = xml_get(address, parts[i]);
		uint64_t value;

		if (xml_get_uint(address, parts[i], &value))
			g_string_append_printf(key, " %" G_GUINT64_FORMAT, value);
		else
			g_string_append_printf(key, " %s", text ? text : "0");
	}
	return g_string_free(key, FALSE);
}

/* What kinds of assigned devices a firmware can start from. */
static bool is_bootable(xmlNode *hostdev)
{
	static const char *const types[] = { "pci", "usb", "scsi" };

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		if (xml_is(hostdev, "@type", types[i]))
			return true;
	}
	return xml_is(hostdev, "@type", "mdev") &&
	       (xml_is(hostdev, "@model", "vfio-pci") || xml_is(hostdev, "@model", "vfio-ccw"));
}

/* The place in the guest, by model of a mediated device. */
static const struct {
	const char *model, *address;
} mdev_places[] = {
	{ "vfio-pci", "pci" },
	{ "vfio-ccw", "ccw" },
};

static bool check_mdev(xmlNode *hostdev, GError **err)
{
	xmlNode *source = xml_find(hostdev, "source/address"), *address = xml_find(hostdev, "address");

	if (source && !xml_find(source, "@uuid"))
		return fail_xml(err, source, NULL, "attribute uuid is missing");
	for (size_t i = 0; address && i < G_N_ELEMENTS(mdev_places); i++) {
		g_autofree char *type = xml_get(address, "@type");

		if (xml_is(hostdev, "@model", mdev_places[i].model) && type &&
		    strcmp(type, mdev_places[i].address) != 0 && strcmp(type, "unassigned") != 0)
			return fail_xml(err, address, "type",
					"a device of model '%s' has an address of type '%s', not '%s'",
					mdev_places[i].model, mdev_places[i].address, type);
	}
	return true;
}

static bool check_displays(xmlNode *devices, GError **err)
{
	xmlNode *ramfb = NULL;

	for (xmlNode *hostdev = xml_first(devices, "hostdev"); hostdev; hostdev = xml_next(hostdev)) {
		if (xml_is(hostdev, "@display", "on") && !xml_find(devices, "graphics"))
			return fail_xml(err, hostdev, "display", "needs a <graphics> device");
		if (xml_is(hostdev, "@ramfb", "on") && ramfb)
			return fail_xml(err, hostdev, "ramfb", "an earlier <hostdev> has it already");
		if (xml_is(hostdev, "@ramfb", "on"))
			ramfb = hostdev;
	}
	return true;
}

bool domain_check_hostdevs(xmlNode *devices, GError **err)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (xmlNode *hostdev = xml_first(devices, "hostdev"); hostdev; hostdev = xml_next(hostdev)) {
		char *key;

		if (xml_is(hostdev, "@type", "mdev") && !check_mdev(hostdev, err))
			return false;
		if (xml_find(hostdev, "boot") && xml_is(hostdev, "@mode", "subsystem") && !is_bootable(hostdev))
			return fail_xml(err, xml_find(hostdev, "boot"), NULL,
					"a VM starts from assigned PCI, USB and SCSI devices only");
		key = hostdev_key(hostdev);
		if (key && !g_hash_table_add(seen, key))
			return fail_xml(err, hostdev, NULL, "this device stands in an earlier <hostdev> already");
	}
	return check_displays(devices, err);
}
