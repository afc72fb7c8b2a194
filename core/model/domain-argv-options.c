/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of QEMU that mean something in a definition, but for those of disks, networks and ports. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-argv.h"
#include "core/model/domain-steps.h"

static bool opt_name(struct argv *argv, const char *value, GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *name = argv_first(properties, "guest");

	if (!name)
		return fail(err, LODGE_ERROR_INPUT, "-name %s: no name", value);
	xml_set(argv->root, "name", name);
	return true;
}

static bool opt_uuid(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->root, "uuid", value);
	return true;
}

static bool set_size(xmlNode *root, const char *element, const char *text, GError **err)
{
	uint64_t bytes;

	if (!parse_size(text, UINT64_C(1) << 20, &bytes, err)) {
		g_prefix_error(err, "-m: ");
		if (err)
			(*err)->code = LODGE_ERROR_INPUT;
		return false;
	}
	xml_setf(root, element, "%" G_GUINT64_FORMAT, bytes >> 10);
	xml_set(xml_find(root, element), "@unit", "KiB");
	return true;
}

static bool opt_memory(struct argv *argv, const char *value, GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *size = argv_first(properties, "size"), *max = argv_get(properties, "maxmem"),
		   *slots = argv_get(properties, "slots");

	if (!size)
		return fail(err, LODGE_ERROR_INPUT, "-m %s: no size", value);
	if (max && slots) {
		if (!set_size(argv->root, "maxMemory", max, err))
			return false;
		xml_set(argv->root, "maxMemory/@slots", slots);
	}
	return set_size(argv->root, "memory", size, err);
}

static bool opt_smp(struct argv *argv, const char *value, GError **err)
{
	static const char *const parts[] = { "sockets", "dies", "cores", "threads" };
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *cpus = argv_first(properties, "cpus"), *max = argv_get(properties, "maxcpus");
	uint64_t product = 1;
	bool topology = false;

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		const char *text = argv_get(properties, parts[i]);
		uint64_t n = text ? g_ascii_strtoull(text, NULL, 10) : 1;

		if (!n || n > UINT16_MAX)
			return fail(err, LODGE_ERROR_INPUT, "-smp %s: %s is not between 1 and %u", value, parts[i],
				    UINT16_MAX);
		product *= n;
		topology |= text != NULL;
	}
	if (!cpus && !max && !topology)
		return fail(err, LODGE_ERROR_INPUT, "-smp %s: no number of CPUs", value);
	g_autofree char *made = g_strdup_printf("%" G_GUINT64_FORMAT, product);
	const char *total = max ? max : cpus ? cpus : made;
	xml_set(argv->root, "vcpu", total);
	if (cpus && strcmp(cpus, total) != 0)
		xml_set(argv->root, "vcpu/@current", cpus);
	for (size_t i = 0; topology && i < G_N_ELEMENTS(parts); i++) {
		const char *text = argv_get(properties, parts[i]);
		g_autofree char *path = g_strdup_printf("cpu/topology/@%s", parts[i]);

		xml_set(argv->root, path, text ? text : "1");
	}
	/* QEMU makes as many sockets as are needed. */
	if (topology && !argv_get(properties, "sockets") && g_ascii_strtoull(total, NULL, 10) % product == 0)
		xml_setf(argv->root, "cpu/topology/@sockets", "%" G_GUINT64_FORMAT,
			 g_ascii_strtoull(total, NULL, 10) / product);
	return true;
}

static void add_feature(xmlNode *cpu, const char *name, bool on)
{
	xmlNode *feature = xml_add(cpu, "feature");

	xml_set(feature, "@policy", on ? "require" : "disable");
	xml_set(feature, "@name", name);
}

static bool opt_cpu(struct argv *argv, const char *value, GError **err)
{
	static const struct {
		const char *model, *mode;
	} modes[] = { { "host", "host-passthrough" }, { "max", "maximum" } };
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *model = argv_first(properties, "model");
	xmlNode *cpu = xml_ensure(argv->root, "cpu");
	bool custom = true;

	if (!model)
		return fail(err, LODGE_ERROR_INPUT, "-cpu %s: no model", value);
	for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
		if (strcmp(model, modes[i].model) == 0) {
			xml_set(cpu, "@mode", modes[i].mode);
			custom = false;
		}
	}
	if (custom) {
		xml_set(cpu, "@mode", "custom");
		xml_set(cpu, "@match", "exact");
		xml_set(cpu, "model", model);
	}
	for (guint i = 1; i < properties->len; i++) {
		const struct argv_property *property = properties->pdata[i];

		if (*property->name == '+' || *property->name == '-')
			add_feature(cpu, property->name + 1, *property->name == '+');
		else if (strcmp(property->value, "on") == 0 || strcmp(property->value, "off") == 0)
			add_feature(cpu, property->name, strcmp(property->value, "on") == 0);
	}
	return true;
}

static void set_accel(struct argv *argv, const char *accel)
{
	/* "kvm:tcg": the first that works. */
	xml_set(argv->root, "@type", g_str_has_prefix(accel, "kvm") ? "kvm" : "qemu");
}

static bool opt_machine(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *type = argv_first(properties, "type"), *accel = argv_get(properties, "accel");
	const char *dump = argv_get(properties, "dump-guest-core"), *vmport = argv_get(properties, "vmport");

	if (type)
		xml_set(argv->root, "os/type/@machine", type);
	if (accel)
		set_accel(argv, accel);
	if (dump)
		xml_set(xml_ensure(argv->root, "memory"), "@dumpCore", dump);
	if (vmport && (strcmp(vmport, "on") == 0 || strcmp(vmport, "off") == 0))
		xml_set(argv->root, "features/vmport/@state", vmport);
	return true;
}

static bool opt_accel(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	set_accel(argv, value);
	return true;
}

static bool opt_kvm(struct argv *argv, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED GError **err)
{
	set_accel(argv, "kvm");
	return true;
}

static bool opt_no_acpi(struct argv *argv, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED GError **err)
{
	argv->no_acpi = true;
	return true;
}

static bool opt_no_reboot(struct argv *argv, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->root, "on_reboot", "destroy");
	return true;
}

static bool opt_no_shutdown(struct argv *argv, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->root, "on_poweroff", "preserve");
	return true;
}

/* Options that are the text of one element. */
static bool opt_kernel(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->root, "os/kernel", value);
	return true;
}

static bool opt_initrd(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->root, "os/initrd", value);
	return true;
}

static bool opt_append(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->root, "os/cmdline", value);
	return true;
}

static bool opt_bios(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->root, "os/loader", value);
	return true;
}

static bool opt_boot(struct argv *argv, const char *value, GError **err)
{
	static const struct {
		char letter;
		const char *device;
	} letters[] = { { 'a', "fd" }, { 'b', "fd" }, { 'c', "hd" }, { 'd', "cdrom" }, { 'n', "network" } };
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *order = argv_first(properties, "order"), *menu = argv_get(properties, "menu");
	const char *timeout = argv_get(properties, "reboot-timeout");

	for (const char *p = order; p && *p; p++) {
		const char *device = NULL;

		for (size_t i = 0; i < G_N_ELEMENTS(letters); i++)
			device = letters[i].letter == *p ? letters[i].device : device;
		if (!device)
			return fail(err, LODGE_ERROR_INPUT,
				    "-boot %s: there is no device '%c': a, b, c, d and n are possible", value, *p);
		xml_set(xml_add(xml_ensure(argv->root, "os"), "boot"), "@dev", device);
	}
	if (menu)
		xml_set(argv->root, "os/bootmenu/@enable", strcmp(menu, "on") == 0 ? "yes" : "no");
	if (timeout)
		xml_set(argv->root, "os/bios/@rebootTimeout", timeout);
	return true;
}

static bool opt_rtc(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *base = argv_first(properties, "base"), *drift = argv_get(properties, "driftfix");
	const char *source = argv_get(properties, "clock");

	if (base && (strcmp(base, "utc") == 0 || strcmp(base, "localtime") == 0)) {
		xml_set(argv->root, "clock/@offset", base);
	} else if (base) {
		g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
		g_autoptr(GDateTime) start = g_date_time_new_from_iso8601(base, utc);

		if (!start) {
			argv_keep(argv, "-rtc", value);
			return true;
		}
		xml_set(argv->root, "clock/@offset", "absolute");
		xml_setf(argv->root, "clock/@start", "%" G_GINT64_FORMAT, g_date_time_to_unix(start));
	}
	if (drift || source) {
		xmlNode *timer = xml_add(xml_ensure(argv->root, "clock"), "timer");

		xml_set(timer, "@name", "rtc");
		if (drift && strcmp(drift, "slew") == 0)
			xml_set(timer, "@tickpolicy", "catchup");
		if (source)
			xml_set(timer, "@track", strcmp(source, "vm") == 0 ? "guest" : "wall");
	}
	return true;
}

static bool opt_localtime(struct argv *argv, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->root, "clock/@offset", "localtime");
	return true;
}

/* Display. */

static bool opt_vnc(struct argv *argv, const char *value, GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *display = argv_first(properties, "vnc");
	const char *colon = display ? strrchr(display, ':') : NULL;
	xmlNode *graphics;

	if (display && strcmp(display, "none") == 0)
		return true;
	graphics = xml_add(argv->devices, "graphics");
	xml_set(graphics, "@type", "vnc");
	if (display && g_str_has_prefix(display, "unix:")) {
		xml_set(graphics, "@socket", display + strlen("unix:"));
		return true;
	}
	if (colon) {
		uint64_t number;
		g_autofree char *host = g_strndup(display, (size_t)(colon - display));

		if (!g_ascii_string_to_unsigned(colon + 1, 10, 0, 59635, &number, NULL))
			return fail(err, LODGE_ERROR_INPUT, "-vnc %s: '%s' is not a display number", value, colon + 1);
		xml_setf(graphics, "@port", "%" G_GUINT64_FORMAT, number + 5900);
		xml_set(graphics, "@autoport", "no");
		if (*host)
			xml_set(graphics, "@listen", host);
	}
	if (argv_get(properties, "share"))
		xml_set(graphics, "@sharePolicy", argv_get(properties, "share"));
	return true;
}

static bool opt_display(struct argv *argv, const char *value, GError **err)
{
	if (g_str_has_prefix(value, "vnc="))
		return opt_vnc(argv, value + strlen("vnc="), err);
	/* Windows on this host's own screen are not for a terminal program. */
	return true;
}

static bool opt_vga(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	static const struct {
		const char *name, *model;
	} cards[] = { { "std", "vga" }, { "vmware", "vmvga" } };
	const char *model = value;

	for (size_t i = 0; i < G_N_ELEMENTS(cards); i++)
		model = strcmp(value, cards[i].name) == 0 ? cards[i].model : model;
	xml_set(xml_ensure(argv->devices, "video"), "model/@type", model);
	return true;
}

static bool opt_nographic(struct argv *argv, G_GNUC_UNUSED const char *value, GError **err)
{
	xml_set(xml_ensure(argv->devices, "video"), "model/@type", "none");
	return xml_find(argv->devices, "serial") || argv_serial(argv, "pty", err);
}

static bool opt_keymap(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	xmlNode *graphics = xml_find(argv->devices, "graphics");

	if (graphics)
		xml_set(graphics, "@keymap", value);
	return true;
}

/* Small devices. */

static bool opt_balloon(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->devices, "memballoon/@model", g_str_has_prefix(value, "virtio") ? "virtio" : "none");
	return true;
}

static bool opt_watchdog(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	xml_set(argv->devices, "watchdog/@model", value);
	return true;
}

static bool opt_watchdog_action(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	if (xml_find(argv->devices, "watchdog"))
		xml_set(argv->devices, "watchdog/@action", value);
	return true;
}

static bool opt_soundhw(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	g_auto(GStrv) names = g_strsplit(value, ",", -1);

	for (char **name = names; *name; name++)
		xml_set(xml_add(argv->devices, "sound"), "@model", strcmp(*name, "hda") == 0 ? "ich6" : *name);
	return true;
}

static bool opt_usb(struct argv *argv, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED GError **err)
{
	if (!domain_controller(argv->root, "usb", 0))
		domain_add_controller(argv->root, "usb", 0, NULL);
	return true;
}

static bool opt_object(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *type = argv_first(properties, "qom-type"), *id = argv_get(properties, "id");

	if (type && id && strcmp(type, "iothread") == 0) {
		g_ptr_array_add(argv->iothreads, g_strdup(id));
		xml_setf(argv->root, "iothreads", "%u", argv->iothreads->len);
	} else if (type && id && strcmp(type, "rng-random") == 0) {
		const char *file = argv_get(properties, "filename");

		g_hash_table_replace(argv->rngs, g_strdup(id), g_strdup(file ? file : "/dev/urandom"));
	} else {
		argv_keep(argv, "-object", value);
	}
	return true;
}

static bool opt_chardev(struct argv *argv, const char *value, GError **err)
{
	GPtrArray *properties = argv_properties(value);
	const char *id = argv_get(properties, "id");

	if (!id) {
		g_ptr_array_unref(properties);
		return fail(err, LODGE_ERROR_INPUT, "-chardev %s: no id", value);
	}
	g_hash_table_replace(argv->chardevs, g_strdup(id), properties);
	return true;
}

static bool opt_fsdev(struct argv *argv, const char *value, GError **err)
{
	GPtrArray *properties = argv_properties(value);
	const char *id = argv_get(properties, "id");

	if (!id) {
		g_ptr_array_unref(properties);
		return fail(err, LODGE_ERROR_INPUT, "-fsdev %s: no id", value);
	}
	g_hash_table_replace(argv->fsdevs, g_strdup(id), properties);
	return true;
}

static bool opt_smbios(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	static const struct {
		const char *type, *block;
	} blocks[] = { { "0", "bios" }, { "1", "system" } };
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *type = argv_get(properties, "type"), *block = NULL;

	for (size_t i = 0; type && i < G_N_ELEMENTS(blocks); i++)
		block = strcmp(type, blocks[i].type) == 0 ? blocks[i].block : block;
	if (!block) {
		argv_keep(argv, "-smbios", value);
		return true;
	}
	xml_set(argv->root, "os/smbios/@mode", "sysinfo");
	xml_set(argv->root, "sysinfo/@type", "smbios");
	for (guint i = 0; i < properties->len; i++) {
		const struct argv_property *property = properties->pdata[i];
		xmlNode *entry;

		if (!property->name || strcmp(property->name, "type") == 0)
			continue;
		entry = xml_add(xml_ensure(xml_find(argv->root, "sysinfo"), block), "entry");
		xml_set(entry, "@name", property->name);
		xml_set(entry, ".", property->value);
	}
	return true;
}

static bool opt_mem_path(struct argv *argv, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED GError **err)
{
	xml_ensure(argv->root, "memoryBacking/hugepages");
	return true;
}

/* "node,nodeid=0,cpus=0-1,cpus=4,mem=512". */
static bool opt_numa(struct argv *argv, const char *value, GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *kind = argv_first(properties, "type"), *id = argv_get(properties, "nodeid");
	const char *memory = argv_get(properties, "mem");
	g_autoptr(GString) cpus = g_string_new(NULL);
	uint64_t bytes;
	xmlNode *cell;

	if (!kind || strcmp(kind, "node") != 0 || !memory) {
		argv_keep(argv, "-numa", value);
		return true;
	}
	if (!parse_size(memory, UINT64_C(1) << 20, &bytes, NULL))
		return fail(err, LODGE_ERROR_INPUT, "-numa %s: '%s' is not a size", value, memory);
	for (guint i = 0; i < properties->len; i++) {
		const struct argv_property *property = properties->pdata[i];

		if (g_strcmp0(property->name, "cpus") == 0)
			g_string_append_printf(cpus, "%s%s", cpus->len ? "," : "", property->value);
	}
	cell = xml_add(xml_ensure(argv->root, "cpu/numa"), "cell");
	if (id)
		xml_set(cell, "@id", id);
	if (cpus->len)
		xml_set(cell, "@cpus", cpus->str);
	xml_setf(cell, "@memory", "%" G_GUINT64_FORMAT, bytes >> 10);
	return true;
}

static bool opt_overcommit(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);

	if (argv_is_on(properties, "mem-lock") || argv_is_on(properties, "mlock"))
		xml_ensure(argv->root, "memoryBacking/locked");
	return true;
}

static bool opt_tpmdev(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	g_autoptr(GPtrArray) properties = argv_properties(value);
	const char *type = argv_first(properties, "type"), *path = argv_get(properties, "path");

	if (!type || (strcmp(type, "emulator") != 0 && strcmp(type, "passthrough") != 0)) {
		argv_keep(argv, "-tpmdev", value);
		return true;
	}
	xml_set(argv->devices, "tpm/backend/@type", type);
	if (path)
		xml_set(argv->devices, "tpm/backend/device/@path", path);
	return true;
}

static bool opt_spice(struct argv *argv, const char *value, G_GNUC_UNUSED GError **err)
{
	static const struct {
		const char *property, *path;
	} parts[] = {
		{ "port", "@port" }, { "tls-port", "@tlsPort" }, { "addr", "@listen" }, { "password", "@passwd" }
	};
	g_autoptr(GPtrArray) properties = argv_properties(value);
	xmlNode *graphics = xml_add(argv->devices, "graphics");

	xml_set(graphics, "@type", "spice");
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if (argv_get(properties, parts[i].property))
			xml_set(graphics, parts[i].path, argv_get(properties, parts[i].property));
	}
	return true;
}

static bool opt_snapshot(struct argv *argv, G_GNUC_UNUSED const char *value, G_GNUC_UNUSED GError **err)
{
	argv->snapshot = true;
	return true;
}

/* Options that QEMU answers itself. */
bool argv_answer(G_GNUC_UNUSED struct argv *argv, G_GNUC_UNUSED const char *value, GError **err)
{
	return fail(err, LODGE_ERROR_INPUT,
		    "the command line only asks for help or a version: it describes no machine");
}

static bool opt_hda(struct argv *argv, const char *value, GError **err)
{
	return argv_disk_file(argv, value, "ide", 0, false, err);
}

static bool opt_hdb(struct argv *argv, const char *value, GError **err)
{
	return argv_disk_file(argv, value, "ide", 1, false, err);
}

static bool opt_hdc(struct argv *argv, const char *value, GError **err)
{
	return argv_disk_file(argv, value, "ide", 2, false, err);
}

static bool opt_hdd(struct argv *argv, const char *value, GError **err)
{
	return argv_disk_file(argv, value, "ide", 3, false, err);
}

static bool opt_cdrom(struct argv *argv, const char *value, GError **err)
{
	return argv_disk_file(argv, value, "ide", 2, true, err);
}

static bool opt_fda(struct argv *argv, const char *value, GError **err)
{
	return argv_disk_file(argv, value, "floppy", 0, false, err);
}

static bool opt_fdb(struct argv *argv, const char *value, GError **err)
{
	return argv_disk_file(argv, value, "floppy", 1, false, err);
}

static const struct argv_option options[] = {
	{ "name", true, opt_name },
	{ "uuid", true, opt_uuid },
	{ "m", true, opt_memory },
	{ "smp", true, opt_smp },
	{ "cpu", true, opt_cpu },
	{ "machine", true, opt_machine },
	{ "M", true, opt_machine },
	{ "accel", true, opt_accel },
	{ "enable-kvm", false, opt_kvm },
	{ "no-acpi", false, opt_no_acpi },
	{ "no-reboot", false, opt_no_reboot },
	{ "no-shutdown", false, opt_no_shutdown },
	{ "kernel", true, opt_kernel },
	{ "initrd", true, opt_initrd },
	{ "append", true, opt_append },
	{ "bios", true, opt_bios },
	{ "boot", true, opt_boot },
	{ "rtc", true, opt_rtc },
	{ "localtime", false, opt_localtime },
	{ "vnc", true, opt_vnc },
	{ "display", true, opt_display },
	{ "vga", true, opt_vga },
	{ "nographic", false, opt_nographic },
	{ "k", true, opt_keymap },
	{ "balloon", true, opt_balloon },
	{ "watchdog", true, opt_watchdog },
	{ "watchdog-action", true, opt_watchdog_action },
	{ "soundhw", true, opt_soundhw },
	{ "usb", false, opt_usb },
	{ "usbdevice", true, argv_usbdevice },
	{ "object", true, opt_object },
	{ "chardev", true, opt_chardev },
	{ "fsdev", true, opt_fsdev },
	{ "smbios", true, opt_smbios },
	{ "mem-path", true, opt_mem_path },
	{ "numa", true, opt_numa },
	{ "overcommit", true, opt_overcommit },
	{ "realtime", true, opt_overcommit },
	{ "tpmdev", true, opt_tpmdev },
	{ "spice", true, opt_spice },
	{ "snapshot", false, opt_snapshot },
	{ "h", false, argv_answer },
	{ "help", false, argv_answer },
	{ "version", false, argv_answer },
	{ "hda", true, opt_hda },
	{ "hdb", true, opt_hdb },
	{ "hdc", true, opt_hdc },
	{ "hdd", true, opt_hdd },
	{ "cdrom", true, opt_cdrom },
	{ "fda", true, opt_fda },
	{ "fdb", true, opt_fdb },
	{ "drive", true, argv_drive },
	{ "device", true, argv_device },
	{ "netdev", true, argv_netdev },
	{ "net", true, argv_net },
	{ "nic", true, argv_nic },
	{ "serial", true, argv_serial },
	{ "monitor", true, NULL },
	{ "qmp", true, NULL },
	{ "mon", true, NULL },
	{ "S", false, NULL },
	{ "nodefaults", false, NULL },
	{ "nodefconfig", false, NULL },
	{ "no-user-config", false, NULL },
	{ "daemonize", false, NULL },
	{ "pidfile", true, NULL },
	{ "msg", true, NULL },
	{ "sandbox", true, NULL },
	{ "runas", true, NULL },
	{ "parallel", true, NULL },
	{ "mem-prealloc", false, NULL },
	{ "no-kvm-pit-reinjection", false, NULL },
	{ "no-hpet", false, NULL },
	{ "no-fd-bootchk", false, NULL },
	{ "full-screen", false, NULL },
	{ "no-frame", false, NULL },
	{ "alt-grab", false, NULL },
	{ "ctrl-grab", false, NULL },
	{ "no-quit", false, NULL },
};

const struct argv_option *argv_find_option(const char *word)
{
	word += word[1] == '-' ? 2 : 1;
	for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
		if (strcmp(word, options[i].name) == 0)
			return &options[i];
	}
	return NULL;
}
