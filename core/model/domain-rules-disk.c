/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules for one disk. Its place is in domain-clash.c. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

/* What kind of place a bus has. */
static const struct {
	const char *bus, *address;
} bus_addresses[] = {
	{ "ide", "drive" }, { "sata", "drive" }, { "scsi", "drive" }, { "fdc", "drive" }, { "usb", "usb" },
};

static bool check_disk_address(xmlNode *disk, const char *bus, GError **err)
{
	xmlNode *address = xml_find(disk, "address");
	g_autofree char *type = address ? xml_get(address, "@type") : NULL;

	for (size_t i = 0; type && i < G_N_ELEMENTS(bus_addresses); i++) {
		if (strcmp(bus, bus_addresses[i].bus) == 0 && strcmp(type, bus_addresses[i].address) != 0)
			return fail_xml(err, address, "type",
					"a disk on bus '%s' has an address of type '%s', not '%s'", bus,
					bus_addresses[i].address, type);
	}
	if (type && strcmp(bus, "virtio") == 0 && (strcmp(type, "drive") == 0 || strcmp(type, "usb") == 0))
		return fail_xml(err, address, "type", "a disk on bus 'virtio' has an address of type 'pci', not '%s'",
				type);
	return true;
}

/* Formats that a definition may name, but no emulator of a PC reads. */
static const char *const foreign_formats[] = { "cow", "dir", "iso" };

static bool check_format(xmlNode *disk, GError **err)
{
	xmlNode *driver = xml_find(disk, "driver");

	for (size_t i = 0; driver && i < G_N_ELEMENTS(foreign_formats); i++) {
		if (xml_is(driver, "@type", foreign_formats[i]))
			return fail_xml(err, driver, "type", "'%s' is no format of a disk here: use raw or qcow2",
					foreign_formats[i]);
	}
	if (xml_find(disk, "shareable") && driver && object_has(driver, "@type") && !xml_is(driver, "@type", "raw"))
		return fail_xml(err, xml_find(disk, "shareable"), NULL,
				"two VMs can share an image of format raw only");
	return true;
}

static bool check_io(xmlNode *disk, GError **err)
{
	g_autofree char *cache = xml_get(disk, "driver/@cache");

	if (xml_is(disk, "driver/@io", "native") && g_strcmp0(cache, "none") != 0 &&
	    g_strcmp0(cache, "directsync") != 0)
		return fail_xml(err, xml_find(disk, "driver"), "io",
				"'native' needs cache='none' or cache='directsync'");
	return true;
}

/* A limit of both directions and one of either exclude each other. */
static bool check_iotune(xmlNode *disk, GError **err)
{
	static const char *const kinds[] = { "bytes_sec", "iops_sec", "bytes_sec_max", "iops_sec_max" };
	xmlNode *iotune = xml_find(disk, "iotune");

	for (size_t i = 0; iotune && i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *total = g_strconcat("total_", kinds[i], NULL);
		g_autofree char *read = g_strconcat("read_", kinds[i], NULL);
		g_autofree char *write = g_strconcat("write_", kinds[i], NULL);

		if (domain_number(iotune, total) && (domain_number(iotune, read) || domain_number(iotune, write)))
			return fail_xml(err, iotune, NULL, "%s and %s or %s cannot be set at the same time", total,
					read, write);
	}
	return true;
}

static bool check_auth(xmlNode *disk, GError **err)
{
	static const struct {
		const char *protocol, *secret;
	} kinds[] = { { "iscsi", "iscsi" }, { "rbd", "ceph" } };
	xmlNode *inside = xml_find(disk, "source/auth"), *beside = xml_find(disk, "auth");
	xmlNode *auth = inside ? inside : beside;
	xmlNode *secret = auth ? xml_find(auth, "secret") : NULL;

	if (inside && beside)
		return fail_xml(err, beside, NULL, "<source> has an <auth> already");
	if (!secret)
		return true;
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		if (xml_is(disk, "source/@protocol", kinds[i].protocol) && !xml_is(secret, "@type", kinds[i].secret))
			return fail_xml(err, secret, "type", "protocol '%s' takes a secret of type '%s'",
					kinds[i].protocol, kinds[i].secret);
	}
	return object_check_one_of(secret, "uuid", "usage", err);
}

static bool check_encryption(xmlNode *disk, GError **err)
{
	xmlNode *inside = xml_find(disk, "source/encryption"), *beside = xml_find(disk, "encryption");
	xmlNode *encryption = inside ? inside : beside;

	if (inside && beside)
		return fail_xml(err, beside, NULL, "<source> has an <encryption> already");
	if (!encryption || xml_is(encryption, "@engine", "librbd"))
		return true;
	if (xml_find(encryption, "cipher"))
		return fail_xml(err, xml_find(encryption, "cipher"), NULL,
				"the image says itself how it is encrypted: leave it out");
	if (object_has(disk, "driver/@type") && !xml_is(disk, "driver/@type", "raw") &&
	    !xml_is(disk, "driver/@type", "qcow2") && !xml_is(disk, "driver/@type", "luks") &&
	    !xml_is(disk, "driver/@type", "qcow"))
		return fail_xml(err, encryption, NULL, "only for raw and qcow2 images");
	return true;
}

/* An INQUIRY answer has these fields; nothing else shows them. */
static bool check_inquiry(xmlNode *disk, const char *bus, GError **err)
{
	static const char *const names[] = { "vendor", "product" };

	for (size_t i = 0; strcmp(bus, "scsi") != 0 && i < G_N_ELEMENTS(names); i++) {
		if (xml_find(disk, names[i]))
			return fail_xml(err, xml_find(disk, names[i]), NULL,
					"only a disk on bus 'scsi' has one, not on '%s'", bus);
	}
	return true;
}

static bool check_bus(xmlNode *disk, const char *bus, GError **err)
{
	bool cdrom = xml_is(disk, "@device", "cdrom"), floppy = xml_is(disk, "@device", "floppy");
	xmlNode *target = xml_find(disk, "target");

	if (floppy != (strcmp(bus, "fdc") == 0))
		return fail_xml(err, target, "bus", "a floppy disk drive, and nothing else, is on bus 'fdc'");
	if (cdrom && strcmp(bus, "virtio") == 0)
		return fail_xml(err, target, "bus",
				"'virtio' has no removable media: a cdrom is on sata, scsi, usb or ide");
	if (xml_is(disk, "@device", "lun") && strcmp(bus, "virtio") != 0 && strcmp(bus, "scsi") != 0)
		return fail_xml(err, target, "bus", "a lun is on virtio or scsi, not on %s", bus);
	return true;
}

/* Only a drive for media with a place of its own may have any name. */
static bool check_target(xmlNode *disk, const char *target, bool ours, GError **err)
{
	if (domain_target_index(target) < 0 && !(xml_is(disk, "@device", "cdrom") && xml_find(disk, "address")))
		return fail_xml(
			err, xml_find(disk, "target"), "dev",
			"unknown disk name '%s': names are vd, sd, hd, fd, xvd or ubd with letters behind, as vda",
			target);
	if (ours && g_ascii_isdigit(target[strlen(target) - 1]))
		return fail_xml(err, xml_find(disk, "target"), "dev",
				"'%s' is the name of a partition: a VM has whole disks", target);
	return true;
}

/* Rules of this machine's kind. */
static bool check_ours(xmlNode *disk, const char *bus, GError **err)
{
	if (xml_is(disk, "@device", "lun") && !xml_is(disk, "@type", "block") && !xml_is(disk, "@type", "network") &&
	    !xml_is(disk, "@type", "volume"))
		return fail_xml(err, disk, "type", "a lun is of type block or network");
	return check_bus(disk, bus, err) && check_disk_address(disk, bus, err) && check_format(disk, err) &&
	       check_io(disk, err) && check_inquiry(disk, bus, err);
}

bool domain_check_disk(xmlNode *disk, bool ours, GError **err)
{
	g_autofree char *bus = xml_get(disk, "target/@bus");
	g_autofree char *target = xml_get(disk, "target/@dev");
	bool fixed = !xml_is(disk, "@device", "cdrom") && !xml_is(disk, "@device", "floppy") &&
		     !xml_is(disk, "@device", "lun");

	if (!target || !*target)
		return fail_xml(err, disk, NULL, "a disk needs a target, as <target dev='vda' bus='virtio'/>");
	if (!check_target(disk, target, ours, err))
		return false;
	if (!bus)
		return fail_xml(err, xml_find(disk, "target"), "dev",
				"the bus cannot be told from '%s': give bus=", target);
	if (fixed && !xml_find(disk, "source"))
		return fail_xml(err, disk, NULL, "missing source information for device %s", target);
	return (!ours || check_ours(disk, bus, err)) && check_iotune(disk, err) && check_auth(disk, err) &&
	       check_encryption(disk, err) && object_check_unique(xml_first(disk, "source/seclabel"), "model", err);
}
