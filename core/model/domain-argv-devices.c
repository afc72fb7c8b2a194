/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks and -device of QEMU command lines. A -drive with if=none waits under its id until a -device puts it on a bus;
 * the others have their place at once.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-argv.h"
#include "core/model/domain-steps.h"

/* Disks. */

/* Property of -drive, attribute or element of <disk>, value there when it is "on" (NULL: as it is). */
static const struct {
	const char *property, *path, *on;
} drive_properties[] = {
	{ "format", "driver/@type", NULL },
	{ "cache", "driver/@cache", NULL },
	{ "aio", "driver/@io", NULL },
	{ "werror", "driver/@error_policy", NULL },
	{ "rerror", "driver/@rerror_policy", NULL },
	{ "discard", "driver/@discard", "unmap" },
	{ "detect-zeroes", "driver/@detect_zeroes", NULL },
	{ "copy-on-read", "driver/@copy_on_read", NULL },
	{ "serial", "serial", NULL },
	{ "bps", "iotune/total_bytes_sec", NULL },
	{ "bps_rd", "iotune/read_bytes_sec", NULL },
	{ "bps_wr", "iotune/write_bytes_sec", NULL },
	{ "iops", "iotune/total_iops_sec", NULL },
	{ "iops_rd", "iotune/read_iops_sec", NULL },
	{ "iops_wr", "iotune/write_iops_sec", NULL },
	{ "throttling.bps-total", "iotune/total_bytes_sec", NULL },
	{ "throttling.bps-read", "iotune/read_bytes_sec", NULL },
	{ "throttling.bps-write", "iotune/write_bytes_sec", NULL },
	{ "throttling.iops-total", "iotune/total_iops_sec", NULL },
	{ "throttling.iops-read", "iotune/read_iops_sec", NULL },
	{ "throttling.iops-write", "iotune/write_iops_sec", NULL },
};

/* "nbd:host:port", "iscsi://host:port/name", "rbd:pool/image", ...: from the scheme on. */
static bool set_network_source(xmlNode *disk, const char *file)
{
	static const char *const schemes[] = { "iscsi", "nbd",	"rbd",	"gluster", "http", "https",
					       "ftp",	"ftps", "tftp", "ssh",	   NULL };
	const char *colon = strchr(file, ':');
	g_autofree char *scheme = colon ? g_strndup(file, (size_t)(colon - file)) : NULL;
	g_auto(GStrv) parts = NULL;

	if (!scheme || !g_strv_contains(schemes, scheme))
		return false;
	xml_set(disk, "@type", "network");
	xml_set(disk, "source/@protocol", scheme);
	if (!g_str_has_prefix(colon, "://")) {
		parts = g_strsplit(colon + 1, ":", 2);
		if (strcmp(scheme, "nbd") == 0) {
			xml_set(disk, "source/host/@name", parts[0]);
			if (parts[1])
				xml_set(disk, "source/host/@port", parts[1]);
		} else {
			xml_set(disk, "source/@name", colon + 1);
		}
		return true;
	}
	parts = g_strsplit(colon + 3, "/", 2);
	g_auto(GStrv) host = g_strsplit(parts[0], ":", 2);
	xml_set(disk, "source/host/@name", host[0] ? host[0] : "");
	if (host[0] && host[1])
		xml_set(disk, "source/host/@port", host[1]);
	if (parts[0] && parts[1])
		xml_set(disk, "source/@name", parts[1]);
	return true;
}

static void set_source(xmlNode *disk, const char *file)
{
	bool block = g_str_has_prefix(file, "/dev/");

	if (!*file || set_network_source(disk, file))
		return;
	if (g_str_has_prefix(file, "file:"))
		file += strlen("file:");
	if (g_str_has_prefix(file, "fat:")) {
		xml_set(disk, "@type", "dir");
		xml_set(disk, "source/@dir", file + strlen("fat:"));
		return;
	}
	xml_set(disk, "@type", block ? "block" : "file");
	xml_set(disk, block ? "source/@dev" : "source/@file", file);
}

static const struct {
	const char *interface, *bus, *prefix;
} interfaces[] = {
	{ "ide", "ide", "hd" }, { "virtio", "virtio", "vd" }, { "scsi", "scsi", "sd" },
	{ "sd", "scsi", "sd" }, { "floppy", "fdc", "fd" },
};

/* "vda", "vdb", ... "vdaa". */
static char *target_name(const char *prefix, unsigned index)
{
	char letters[8];
	size_t at = sizeof(letters) - 1;

	letters[at] = '\0';
	for (uint64_t n = (uint64_t)index + 1; n && at; n = (n - 1) / 26)
		letters[--at] = (char)('a' + (n - 1) % 26);
	return g_strconcat(prefix, letters + at, NULL);
}

static bool target_taken(const struct argv *argv, const char *target)
{
	for (xmlNode *disk = xml_first(argv->devices, "disk"); disk; disk = xml_next(disk)) {
		if (xml_is(disk, "target/@dev", target))
			return true;
	}
	return false;
}

/* index: -1 for the next free place. */
static bool set_target(struct argv *argv, xmlNode *disk, const char *bus, const char *prefix, int index, GError **err)
{
	unsigned at = index < 0 ? 0 : (unsigned)index;
	g_autofree char *target = target_name(prefix, at);

	while (index < 0 && target_taken(argv, target)) {
		g_free(target);
		target = target_name(prefix, ++at);
	}
	if (target_taken(argv, target))
		return fail(err, LODGE_ERROR_INPUT, "two drives are at index %d of bus %s", index, bus);
	xml_set(disk, "target/@dev", target);
	xml_set(disk, "target/@bus", bus);
	return true;
}

static bool set_interface(struct argv *argv, xmlNode *disk, const char *interface, int index, GError **err)
{
	bool q35 = domain_is_q35(argv->root);

	for (size_t i = 0; i < G_N_ELEMENTS(interfaces); i++) {
		const char *bus = interfaces[i].bus;

		if (strcmp(interface, interfaces[i].interface) != 0)
			continue;
		/* What QEMU calls IDE is SATA on a q35 board. */
		if (q35 && strcmp(bus, "ide") == 0)
			return set_target(argv, disk, "sata", "sd", index, err);
		return set_target(argv, disk, bus, interfaces[i].prefix, index, err);
	}
	return fail(err, LODGE_ERROR_INPUT, "-drive if=%s: ide, scsi, virtio, floppy, pflash and none are possible",
		    interface);
}

static xmlNode *new_disk(struct argv *argv, const char *file, const char *device)
{
	xmlNode *disk = xml_add(argv->devices, "disk");

	xml_set(disk, "@type", "file");
	xml_set(disk, "@device", device);
	xml_set(disk, "driver/@name", "qemu");
	set_source(disk, file);
	if (strcmp(device, "cdrom") == 0)
		xml_ensure(disk, "readonly");
	return disk;
}

bool argv_disk_file(struct argv *argv, const char *file, const char *interface, int index, bool cdrom, GError **err)
{
	bool floppy = strcmp(interface, "floppy") == 0;
	xmlNode *disk = new_disk(argv, file, cdrom ? "cdrom" : floppy ? "floppy" : "disk");

	return set_interface(argv, disk, interface, index, err);
}

static bool add_flash(struct argv *argv, GPtrArray *properties, GError **err)
{
	const char *file = argv_get(properties, "file");

	if (!file)
		return fail(err, LODGE_ERROR_INPUT, "-drive if=pflash: no file");
	if (xml_find(argv->root, "os/loader")) {
		xml_set(argv->root, "os/nvram", file);
		return true;
	}
	xml_set(argv->root, "os/loader", file);
	xml_set(argv->root, "os/loader/@readonly", argv_is_on(properties, "readonly") ? "yes" : "no");
	xml_set(argv->root, "os/loader/@type", "pflash");
	return true;
}

static void set_drive_properties(xmlNode *disk, GPtrArray *properties)
{
	for (size_t i = 0; i < G_N_ELEMENTS(drive_properties); i++) {
		const char *value = argv_get(properties, drive_properties[i].property);

		if (!value)
			continue;
		if (drive_properties[i].on && strcmp(value, "on") == 0)
			value = drive_properties[i].on;
		xml_set(disk, drive_properties[i].path, value);
	}
	if (argv_is_on(properties, "readonly"))
		xml_ensure(disk, "readonly");
	if (argv_is_on(properties, "snapshot"))
		xml_ensure(disk, "transient");
}

bool argv_drive(struct argv *argv, const char *value, GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *file = argv_get(properties, "file"), *media = argv_get(properties, "media"),
		   *id = argv_get(properties, "id");
	const char *interface = argv_get(properties, "if"), *index = argv_get(properties, "index");
	xmlNode *disk;
	uint64_t at = 0;

	if (interface && strcmp(interface, "pflash") == 0)
		return add_flash(argv, properties, err);
	if (index && !g_ascii_string_to_unsigned(index, 10, 0, 1023, &at, NULL))
		return fail(err, LODGE_ERROR_INPUT, "-drive index=%s: not a number from 0 to 1023", index);
	disk = new_disk(argv, file ? file : "", media && strcmp(media, "cdrom") == 0 ? "cdrom" : "disk");
	if (interface && strcmp(interface, "floppy") == 0)
		xml_set(disk, "@device", "floppy");
	set_drive_properties(disk, properties);
	if (interface && strcmp(interface, "none") == 0) {
		if (!id)
			return fail(err, LODGE_ERROR_INPUT, "-drive %s: a drive with if=none needs an id", value);
		g_hash_table_replace(argv->drives, g_strdup(id), disk);
		return true;
	}
	return set_interface(argv, disk, interface ? interface : "ide", index ? (int)at : -1, err);
}

void argv_drop_drives(struct argv *argv)
{
	GHashTableIter iter;
	void *disk;

	g_hash_table_iter_init(&iter, argv->drives);
	while (g_hash_table_iter_next(&iter, NULL, &disk))
		xml_remove(disk);
}

static void set_boot_index(struct argv *argv, xmlNode *device, GPtrArray *properties)
{
	const char *index = argv_get(properties, "bootindex");
	xmlNode *os_boot;

	if (!index)
		return;
	xml_setf(device, "boot/@order", "%" G_GUINT64_FORMAT, MAX(g_ascii_strtoull(index, NULL, 10), 1));
	while ((os_boot = xml_find(argv->root, "os/boot")))
		xml_remove(os_boot);
}

static const struct {
	const char *driver, *bus, *prefix, *device; /* device: NULL leaves what the drive says */
} disk_drivers[] = {
	{ "virtio-blk-pci", "virtio", "vd", NULL },
	{ "virtio-blk", "virtio", "vd", NULL },
	{ "virtio-blk-pci-transitional", "virtio", "vd", NULL },
	{ "virtio-blk-pci-non-transitional", "virtio", "vd", NULL },
	{ "scsi-hd", "scsi", "sd", "disk" },
	{ "scsi-cd", "scsi", "sd", "cdrom" },
	{ "scsi-disk", "scsi", "sd", NULL },
	{ "scsi-block", "scsi", "sd", "lun" },
	{ "ide-hd", "ide", "hd", "disk" },
	{ "ide-cd", "ide", "hd", "cdrom" },
	{ "ide-drive", "ide", "hd", NULL },
	{ "usb-storage", "usb", "sd", NULL },
};

static void set_disk_iothread(struct argv *argv, xmlNode *disk, const char *id)
{
	for (guint i = 0; id && i < argv->iothreads->len; i++) {
		if (strcmp(argv->iothreads->pdata[i], id) == 0)
			xml_setf(disk, "driver/@iothread", "%u", i + 1);
	}
}

static bool device_disk(struct argv *argv, size_t row, GPtrArray *properties, GError **err)
{
	const char *id = argv_get(properties, "drive"), *bus = disk_drivers[row].bus,
		   *prefix = disk_drivers[row].prefix;
	const char *serial = argv_get(properties, "serial");
	xmlNode *disk = id ? g_hash_table_lookup(argv->drives, id) : NULL;

	if (!disk)
		return fail(err, LODGE_ERROR_INPUT, "-device %s: there is no -drive with the id '%s'",
			    disk_drivers[row].driver, id ? id : "");
	g_hash_table_remove(argv->drives, id);
	if (disk_drivers[row].device)
		xml_set(disk, "@device", disk_drivers[row].device);
	if (xml_is(disk, "@device", "cdrom"))
		xml_ensure(disk, "readonly");
	/* An AHCI controller's ports, or the ports of a q35 board. */
	if (strcmp(bus, "ide") == 0 && (domain_is_q35(argv->root) || domain_controller(argv->root, "sata", 0))) {
		bus = "sata";
		prefix = "sd";
	}
	if (serial)
		xml_set(disk, "serial", serial);
	set_disk_iothread(argv, disk, argv_get(properties, "iothread"));
	set_boot_index(argv, disk, properties);
	return set_target(argv, disk, bus, prefix, -1, err);
}

/* Devices that are an element with one attribute, once or as often as they are named. */
static const struct {
	const char *driver, *element, *path, *value;
} plain_drivers[] = {
	{ "virtio-balloon-pci", "memballoon", "@model", "virtio" },
	{ "virtio-balloon", "memballoon", "@model", "virtio" },
	{ "usb-tablet", "input", "@type", "tablet" },
	{ "usb-mouse", "input", "@type", "mouse" },
	{ "usb-kbd", "input", "@type", "keyboard" },
	{ "VGA", "video", "model/@type", "vga" },
	{ "cirrus-vga", "video", "model/@type", "cirrus" },
	{ "qxl-vga", "video", "model/@type", "qxl" },
	{ "qxl", "video", "model/@type", "qxl" },
	{ "vmware-svga", "video", "model/@type", "vmvga" },
	{ "virtio-vga", "video", "model/@type", "virtio" },
	{ "virtio-gpu-pci", "video", "model/@type", "virtio" },
	{ "bochs-display", "video", "model/@type", "bochs" },
	{ "intel-hda", "sound", "@model", "ich6" },
	{ "ich9-intel-hda", "sound", "@model", "ich9" },
	{ "AC97", "sound", "@model", "ac97" },
	{ "ES1370", "sound", "@model", "es1370" },
	{ "i6300esb", "watchdog", "@model", "i6300esb" },
	{ "ib700", "watchdog", "@model", "ib700" },
	{ "pvpanic", "panic", "@model", "isa" },
	{ "intel-iommu", "iommu", "@model", "intel" },
};

static bool device_plain(struct argv *argv, size_t row)
{
	const char *element = plain_drivers[row].element;
	bool once = strcmp(element, "memballoon") == 0 || strcmp(element, "watchdog") == 0 ||
		    strcmp(element, "iommu") == 0;
	xmlNode *device = once ? xml_ensure(argv->devices, element) : xml_add(argv->devices, element);

	xml_set(device, plain_drivers[row].path, plain_drivers[row].value);
	if (g_str_has_prefix(plain_drivers[row].driver, "usb-"))
		xml_set(device, "@bus", "usb");
	return true;
}

static const struct {
	const char *driver, *type, *model;
} controller_drivers[] = {
	{ "virtio-scsi-pci", "scsi", "virtio-scsi" },
	{ "lsi", "scsi", "lsilogic" },
	{ "lsi53c895a", "scsi", "lsilogic" },
	{ "megasas", "scsi", "lsisas1078" },
	{ "virtio-serial-pci", "virtio-serial", NULL },
	{ "virtio-serial", "virtio-serial", NULL },
	{ "ahci", "sata", NULL },
	{ "ich9-ahci", "sata", NULL },
	{ "qemu-xhci", "usb", "qemu-xhci" },
	{ "nec-usb-xhci", "usb", "nec-xhci" },
	{ "piix3-usb-uhci", "usb", "piix3-uhci" },
	{ "usb-ehci", "usb", "ehci" },
};

static bool device_controller(struct argv *argv, size_t row)
{
	const char *type = controller_drivers[row].type;
	unsigned index = 0;

	while (domain_controller(argv->root, type, index))
		index++;
	domain_add_controller(argv->root, type, index, controller_drivers[row].model);
	return true;
}

static bool device_net(struct argv *argv, const char *model, GPtrArray *properties, GError **err)
{
	const char *id = argv_get(properties, "netdev"), *mac = argv_get(properties, "mac");
	xmlNode *interface = id ? g_hash_table_lookup(argv->netdevs, id) : NULL;

	if (!interface)
		return fail(err, LODGE_ERROR_INPUT, "-device %s: there is no -netdev with the id '%s'", model,
			    id ? id : "");
	g_hash_table_remove(argv->netdevs, id);
	if (mac)
		xml_set(interface, "mac/@address", mac);
	xml_set(interface, "model/@type", g_str_has_prefix(model, "virtio-net") ? "virtio" : model);
	set_boot_index(argv, interface, properties);
	return true;
}

static bool device_rng(struct argv *argv, GPtrArray *properties)
{
	const char *id = argv_get(properties, "rng"), *bytes = argv_get(properties, "max-bytes");
	const char *period = argv_get(properties, "period");
	const char *file = id ? g_hash_table_lookup(argv->rngs, id) : NULL;
	xmlNode *rng = xml_add(argv->devices, "rng");

	xml_set(rng, "@model", "virtio");
	if (bytes)
		xml_set(rng, "rate/@bytes", bytes);
	if (bytes && period)
		xml_set(rng, "rate/@period", period);
	xml_set(rng, "backend/@model", "random");
	xml_set(rng, "backend", file ? file : "/dev/urandom");
	return true;
}

static bool device_9p(struct argv *argv, GPtrArray *properties, GError **err)
{
	static const struct {
		const char *model, *mode;
	} modes[] = { { "mapped", "mapped" },
		      { "mapped-xattr", "mapped" },
		      { "none", "squash" },
		      { "passthrough", "passthrough" } };
	const char *id = argv_get(properties, "fsdev"), *tag = argv_get(properties, "mount_tag"), *model;
	GPtrArray *fsdev = id ? g_hash_table_lookup(argv->fsdevs, id) : NULL;
	xmlNode *filesystem;

	if (!fsdev || !argv_get(fsdev, "path") || !tag)
		return fail(err, LODGE_ERROR_INPUT,
			    "-device virtio-9p-pci: an fsdev with a path and a mount_tag are needed");
	filesystem = xml_add(argv->devices, "filesystem");
	xml_set(filesystem, "@type", "mount");
	model = argv_get(fsdev, "security_model");
	for (size_t i = 0; model && i < G_N_ELEMENTS(modes); i++) {
		if (strcmp(model, modes[i].model) == 0)
			xml_set(filesystem, "@accessmode", modes[i].mode);
	}
	xml_set(filesystem, "source/@dir", argv_get(fsdev, "path"));
	xml_set(filesystem, "target/@dir", tag);
	if (argv_is_on(fsdev, "readonly"))
		xml_ensure(filesystem, "readonly");
	return true;
}

/* "0000:00:10.0" or "00:10.0". */
static bool parse_host_address(const char *text, unsigned parts[4])
{
	if (sscanf(text, "%4x:%2x:%2x.%1x", &parts[0], &parts[1], &parts[2], &parts[3]) == 4)
		return true;
	parts[0] = 0;
	return sscanf(text, "%2x:%2x.%1x", &parts[1], &parts[2], &parts[3]) == 3;
}

static bool device_vfio(struct argv *argv, GPtrArray *properties, GError **err)
{
	const char *host = argv_get(properties, "host");
	unsigned parts[4];
	xmlNode *hostdev;

	if (!host || !parse_host_address(host, parts))
		return fail(err, LODGE_ERROR_INPUT, "-device vfio-pci: host=%s is not a PCI address like 00:10.0",
			    host ? host : "");
	hostdev = xml_add(argv->devices, "hostdev");
	xml_set(hostdev, "@mode", "subsystem");
	xml_set(hostdev, "@type", "pci");
	xml_set(hostdev, "@managed", "yes");
	xml_set(hostdev, "driver/@name", "vfio");
	xml_setf(hostdev, "source/address/@domain", "0x%04x", parts[0]);
	xml_setf(hostdev, "source/address/@bus", "0x%02x", parts[1]);
	xml_setf(hostdev, "source/address/@slot", "0x%02x", parts[2]);
	xml_setf(hostdev, "source/address/@function", "0x%x", parts[3]);
	return true;
}

static bool device_usb_host(struct argv *argv, GPtrArray *properties)
{
	static const struct {
		const char *property, *path;
	} parts[] = { { "vendorid", "source/vendor/@id" },
		      { "productid", "source/product/@id" },
		      { "hostbus", "source/address/@bus" },
		      { "hostaddr", "source/address/@device" } };
	xmlNode *hostdev = xml_add(argv->devices, "hostdev");

	xml_set(hostdev, "@mode", "subsystem");
	xml_set(hostdev, "@type", "usb");
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if (argv_get(properties, parts[i].property))
			xml_set(hostdev, parts[i].path, argv_get(properties, parts[i].property));
	}
	return true;
}

static bool is_kept_netdev(const struct argv *argv, GPtrArray *properties)
{
	const char *id = argv_get(properties, "netdev");

	return id && g_hash_table_contains(argv->netdevs, id) && !g_hash_table_lookup(argv->netdevs, id);
}

static bool device_tpm(struct argv *argv, const char *model)
{
	if (xml_find(argv->devices, "tpm"))
		xml_set(argv->devices, "tpm/@model", model);
	return true;
}

bool argv_device(struct argv *argv, const char *value, GError **err)
{
	static const char *const nics[] = { "virtio-net-pci", "virtio-net", "e1000",	"e1000e",
					    "rtl8139",	      "pcnet",	    "ne2k_pci", "vmxnet3" };
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *driver = argv_first(properties, "driver");

	if (!driver)
		return fail(err, LODGE_ERROR_INPUT, "-device %s: no driver", value);
	for (size_t i = 0; i < G_N_ELEMENTS(disk_drivers); i++) {
		if (strcmp(driver, disk_drivers[i].driver) == 0)
			return device_disk(argv, i, properties, err);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(nics); i++) {
		if (strcmp(driver, nics[i]) == 0 && !is_kept_netdev(argv, properties))
			return device_net(argv, driver, properties, err);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(plain_drivers); i++) {
		if (strcmp(driver, plain_drivers[i].driver) == 0)
			return device_plain(argv, i);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(controller_drivers); i++) {
		if (strcmp(driver, controller_drivers[i].driver) == 0)
			return device_controller(argv, i);
	}
	if (strcmp(driver, "virtio-rng-pci") == 0 || strcmp(driver, "virtio-rng") == 0)
		return device_rng(argv, properties);
	if (strcmp(driver, "virtio-9p-pci") == 0)
		return device_9p(argv, properties, err);
	if (strcmp(driver, "vfio-pci") == 0)
		return device_vfio(argv, properties, err);
	if (strcmp(driver, "usb-host") == 0)
		return device_usb_host(argv, properties);
	if (argv_is_port_device(driver))
		return argv_port_device(argv, driver, properties, err);
	if (strcmp(driver, "tpm-tis") == 0 || strcmp(driver, "tpm-crb") == 0)
		return device_tpm(argv, driver);
	if (strcmp(driver, "sga") == 0) {
		xml_set(argv->root, "os/bios/@useserial", "yes");
		return true;
	}
	/* Buses are made as they are needed; sound cards bring their codecs. */
	if (strcmp(driver, "pcie-root-port") == 0 || strcmp(driver, "hda-duplex") == 0 ||
	    strcmp(driver, "hda-micro") == 0)
		return true;
	argv_keep(argv, "-device", value);
	return true;
}

bool argv_usbdevice(struct argv *argv, const char *value, GError **err)
{
	static const char *const inputs[] = { "tablet", "mouse", "keyboard" };

	for (size_t i = 0; i < G_N_ELEMENTS(inputs); i++) {
		if (strcmp(value, inputs[i]) == 0) {
			xmlNode *input = xml_add(argv->devices, "input");

			xml_set(input, "@type", inputs[i]);
			xml_set(input, "@bus", "usb");
			return true;
		}
	}
	if (g_str_has_prefix(value, "disk:")) {
		const char *file = value + strlen("disk:");
		bool named = g_str_has_prefix(file, "format=") && strchr(file, ':');
		g_autofree char *format = named ? g_strndup(file + 7, (size_t)(strchr(file, ':') - file - 7)) : NULL;
		xmlNode *disk = new_disk(argv, named ? strchr(file, ':') + 1 : file, "disk");

		if (format)
			xml_set(disk, "driver/@type", format);
		return set_target(argv, disk, "usb", "sd", -1, err);
	}
	argv_keep(argv, "-usbdevice", value);
	return true;
}
