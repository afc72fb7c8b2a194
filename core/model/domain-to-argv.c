/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A definition as a QEMU command line: the machine, its devices in the order of the definition, each with its alias as
 * id.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-argv.h"
#include "core/model/domain-steps.h"

struct line {
	GString *text;
	xmlNode *root;
	bool q35;
};

static void add_word(struct line *line, const char *word)
{
	g_autofree char *quoted = NULL;

	if (line->text->len)
		g_string_append_c(line->text, ' ');
	if (*word &&
	    strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=/.,:+@%") == strlen(word)) {
		g_string_append(line->text, word);
		return;
	}
	quoted = g_shell_quote(word);
	g_string_append(line->text, quoted);
}

G_GNUC_PRINTF(3, 4)
static void add(struct line *line, const char *option, const char *format, ...)
{
	g_autofree char *value = NULL;
	va_list args;

	va_start(args, format);
	value = g_strdup_vprintf(format, args);
	va_end(args);
	add_word(line, option);
	add_word(line, value);
}

/* A comma inside a value is written twice. */
static char *escaped(xmlNode *from, const char *path)
{
	g_autofree char *text = xml_get(from, path);
	g_auto(GStrv) parts = text ? g_strsplit(text, ",", -1) : NULL;

	return parts ? g_strjoinv(",,", parts) : NULL;
}

/* ",name=value" when the definition has it. */
static void append_property(GString *word, const char *name, xmlNode *from, const char *path)
{
	g_autofree char *value = escaped(from, path);

	if (value)
		g_string_append_printf(word, ",%s=%s", name, value);
}

static char *alias_of(xmlNode *device)
{
	char *alias = xml_get(device, "alias/@name");

	return alias ? alias : g_strdup("device");
}

/* ",bus=pci.1,addr=0x0" */
static void append_address(const struct line *line, GString *word, xmlNode *device)
{
	struct domain_pci pci;
	g_autofree char *bus = NULL;

	if (!domain_pci_address(device, &pci))
		return;
	if (pci.bus == 0)
		bus = g_strdup(line->q35 ? "pcie.0" : "pci.0");
	else
		bus = g_strdup_printf("pci.%u", pci.bus);
	g_string_append_printf(word, ",bus=%s", bus);
	if (xml_is(domain_address(device, "pci"), "@multifunction", "on"))
		g_string_append(word, ",multifunction=on");
	if (pci.function)
		g_string_append_printf(word, ",addr=0x%x.0x%x", pci.slot, pci.function);
	else
		g_string_append_printf(word, ",addr=0x%x", pci.slot);
}

static void add_pci_device(struct line *line, const char *driver, xmlNode *device, const char *more)
{
	g_autofree char *alias = alias_of(device);
	g_autoptr(GString) word = g_string_new(driver);

	g_string_append(word, more);
	g_string_append_printf(word, ",id=%s", alias);
	append_address(line, word, device);
	append_property(word, "bootindex", device, "boot/@order");
	add(line, "-device", "%s", word->str);
}

/* General. */

static void add_machine(struct line *line)
{
	g_autofree char *machine = xml_get(line->root, "os/type/@machine");
	const char *accel = xml_is(line->root, "@type", "kvm") ? "kvm" : "tcg";

	/* Our own versions of a board are its newest version elsewhere. */
	if (!machine || strcmp(machine, DOMAIN_MACHINE_Q35) == 0 || strcmp(machine, DOMAIN_MACHINE_PC) == 0)
		add(line, "-machine", "%s,accel=%s", line->q35 ? "q35" : "pc", accel);
	else
		add(line, "-machine", "%s,accel=%s", machine, accel);
}

static void add_cpu(struct line *line)
{
	g_autoptr(GString) word = g_string_new(NULL);
	g_autofree char *model = xml_get(line->root, "cpu/model");

	if (xml_is(line->root, "cpu/@mode", "host-passthrough") || xml_is(line->root, "cpu/@mode", "host-model"))
		g_string_assign(word, "host");
	else if (xml_is(line->root, "cpu/@mode", "maximum"))
		g_string_assign(word, "max");
	else if (model)
		g_string_assign(word, model);
	if (!word->len)
		return;
	for (xmlNode *n = xml_first(line->root, "cpu/feature"); n; n = xml_next(n)) {
		g_autofree char *name = xml_get(n, "@name");
		bool off = xml_is(n, "@policy", "disable") || xml_is(n, "@policy", "forbid");

		if (name)
			g_string_append_printf(word, ",%s=%s", name, off ? "off" : "on");
	}
	add(line, "-cpu", "%s", word->str);
}

static void add_smp(struct line *line, const struct domain *domain)
{
	g_autoptr(GString) word = g_string_new(NULL);

	g_string_append_printf(word, "%u", domain_vcpus(domain));
	if (domain_vcpus(domain) != domain_max_vcpus(domain))
		g_string_append_printf(word, ",maxcpus=%u", domain_max_vcpus(domain));
	append_property(word, "sockets", line->root, "cpu/topology/@sockets");
	append_property(word, "dies", line->root, "cpu/topology/@dies");
	append_property(word, "cores", line->root, "cpu/topology/@cores");
	append_property(word, "threads", line->root, "cpu/topology/@threads");
	add(line, "-smp", "%s", word->str);
}

static void add_firmware(struct line *line)
{
	static const struct {
		const char *option, *path;
	} texts[] = { { "-kernel", "os/kernel" },
		      { "-initrd", "os/initrd" },
		      { "-append", "os/cmdline" },
		      { "-dtb", "os/dtb" } };
	g_autofree char *loader = escaped(line->root, "os/loader");
	g_autofree char *nvram = escaped(line->root, "os/nvram");

	if (loader && *loader && xml_is(line->root, "os/loader/@type", "pflash"))
		add(line, "-drive", "file=%s,if=pflash,format=raw,readonly=%s", loader,
		    xml_is(line->root, "os/loader/@readonly", "no") ? "off" : "on");
	else if (loader && *loader)
		add(line, "-bios", "%s", loader);
	if (nvram && *nvram)
		add(line, "-drive", "file=%s,if=pflash,format=raw", nvram);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *text = xml_get(line->root, texts[i].path);

		if (text && *text)
			add(line, texts[i].option, "%s", text);
	}
}

static void add_boot(struct line *line)
{
	static const struct {
		const char *device;
		char letter;
	} letters[] = { { "fd", 'a' }, { "hd", 'c' }, { "cdrom", 'd' }, { "network", 'n' } };
	g_autoptr(GString) order = g_string_new(NULL);

	for (xmlNode *n = xml_first(line->root, "os/boot"); n; n = xml_next(n)) {
		for (size_t i = 0; i < G_N_ELEMENTS(letters); i++) {
			if (xml_is(n, "@dev", letters[i].device))
				g_string_append_c(order, letters[i].letter);
		}
	}
	if (xml_find(line->root, "os/bootmenu"))
		add(line, "-boot", "%s%smenu=%s", order->str, order->len ? "," : "",
		    xml_is(line->root, "os/bootmenu/@enable", "yes") ? "on" : "off");
	else if (order->len)
		add(line, "-boot", "%s", order->str);
}

static void add_general(struct line *line, const struct domain *domain)
{
	g_autofree char *name = escaped(line->root, "name");
	bool local = xml_is(line->root, "clock/@offset", "localtime") ||
		     xml_is(line->root, "clock/@basis", "localtime");

	add(line, "-name", "guest=%s", name ? name : "");
	add_machine(line);
	add_cpu(line);
	add(line, "-m", "size=%" G_GUINT64_FORMAT "k", domain_max_memory(domain));
	add_smp(line, domain);
	for (unsigned i = 0; i < MIN(domain_number(line->root, "iothreads"), 256); i++)
		add(line, "-object", "iothread,id=iothread%u", i + 1);
	add(line, "-uuid", "%s", domain->uuid);
	add_word(line, "-no-user-config");
	add_word(line, "-nodefaults");
	add(line, "-rtc", "base=%s", local ? "localtime" : "utc");
	if (xml_is(line->root, "on_reboot", "destroy"))
		add_word(line, "-no-reboot");
	if (!xml_find(line->root, "features/acpi"))
		add_word(line, "-no-acpi");
	add_boot(line);
	add_firmware(line);
}

/* Controllers. */

static const struct {
	const char *type, *model, *driver;
} controllers[] = {
	{ "pci", "pcie-root-port", "pcie-root-port" },
	{ "pci", "pcie-to-pci-bridge", "pcie-pci-bridge" },
	{ "pci", "dmi-to-pci-bridge", "i82801b11-bridge" },
	{ "pci", "pcie-switch-upstream-port", "x3130-upstream" },
	{ "pci", "pcie-switch-downstream-port", "xio3130-downstream" },
	{ "pci", "pci-bridge", "pci-bridge" },
	{ "usb", "qemu-xhci", "qemu-xhci" },
	{ "usb", "nec-xhci", "nec-usb-xhci" },
	{ "usb", "piix3-uhci", "piix3-usb-uhci" },
	{ "usb", "ehci", "usb-ehci" },
	{ "usb", "ich9-ehci1", "ich9-usb-ehci1" },
	{ "usb", "ich9-uhci1", "ich9-usb-uhci1" },
	{ "usb", "ich9-uhci2", "ich9-usb-uhci2" },
	{ "usb", "ich9-uhci3", "ich9-usb-uhci3" },
	{ "scsi", "virtio-scsi", "virtio-scsi-pci" },
	{ "scsi", "lsilogic", "lsi" },
	{ "virtio-serial", NULL, "virtio-serial-pci" },
	{ "sata", NULL, "ahci" },
};

/* A USB 1.1 controller that is a part of a USB 2.0 one: it has no name of its own. */
static void add_companion(struct line *line, const char *driver, xmlNode *controller)
{
	g_autofree char *alias = alias_of(controller);
	g_autoptr(GString) word = g_string_new(driver);

	g_string_append_printf(word, ",masterbus=%s.0,firstport=%u", alias,
			       (unsigned)domain_number(controller, "master/@startport"));
	append_address(line, word, controller);
	add(line, "-device", "%s", word->str);
}

static void add_controller(struct line *line, xmlNode *controller)
{
	g_autoptr(GString) more = g_string_new(NULL);

	/* The board's own. */
	if (domain_number(controller, "@index") == 0 && xml_is(controller, "@type", line->q35 ? "sata" : "ide"))
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(controllers); i++) {
		if (!xml_is(controller, "@type", controllers[i].type) ||
		    (controllers[i].model && !xml_is(controller, "@model", controllers[i].model)))
			continue;
		if (xml_find(controller, "master")) {
			add_companion(line, controllers[i].driver, controller);
			return;
		}
		append_property(more, "port", controller, "target/@port");
		append_property(more, "chassis", controller, "target/@chassis");
		append_property(more, "chassis_nr", controller, "target/@chassisNr");
		add_pci_device(line, controllers[i].driver, controller, more->str);
		return;
	}
}

/* Disks. */

static char *disk_file(xmlNode *disk)
{
	static const char *const paths[] = { "source/@file", "source/@dev" };
	g_autofree char *dir = escaped(disk, "source/@dir");
	g_autofree char *protocol = xml_get(disk, "source/@protocol");
	g_autofree char *name = escaped(disk, "source/@name");
	g_autofree char *host = escaped(disk, "source/host/@name");
	g_autofree char *port = xml_get(disk, "source/host/@port");

	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
		char *path = escaped(disk, paths[i]);

		if (path)
			return path;
	}
	if (dir)
		return g_strconcat("fat:", dir, NULL);
	if (!protocol)
		return NULL;
	if (!host)
		return g_strdup_printf("%s:%s", protocol, name ? name : "");
	return g_strdup_printf("%s://%s%s%s/%s", protocol, host, port ? ":" : "", port ? port : "", name ? name : "");
}

static void add_drive(struct line *line, xmlNode *disk, const char *alias)
{
	g_autoptr(GString) word = g_string_new(NULL);
	g_autofree char *file = disk_file(disk);

	if (file)
		g_string_append_printf(word, "file=%s,", file);
	g_string_append_printf(word, "if=none,id=drive-%s", alias);
	/* An empty drive has no format. */
	if (file)
		append_property(word, "format", disk, "driver/@type");
	append_property(word, "cache", disk, "driver/@cache");
	append_property(word, "aio", disk, "driver/@io");
	append_property(word, "discard", disk, "driver/@discard");
	append_property(word, "werror", disk, "driver/@error_policy");
	append_property(word, "rerror", disk, "driver/@rerror_policy");
	if (xml_find(disk, "readonly"))
		g_string_append(word, ",readonly=on");
	if (xml_is(disk, "@device", "cdrom"))
		g_string_append(word, ",media=cdrom");
	add(line, "-drive", "%s", word->str);
}

/* Place of a disk on a bus that is not PCI, as QEMU writes it. */
static void append_drive_address(const struct line *line, GString *word, xmlNode *disk)
{
	xmlNode *address = domain_address(disk, "drive");
	unsigned controller, bus, target, unit;

	if (!address)
		return;
	controller = (unsigned)domain_number(address, "@controller");
	bus = (unsigned)domain_number(address, "@bus");
	target = (unsigned)domain_number(address, "@target");
	unit = (unsigned)domain_number(address, "@unit");
	if (xml_is(disk, "target/@bus", "scsi"))
		g_string_append_printf(word, ",bus=scsi%u.0,channel=%u,scsi-id=%u,lun=%u", controller, bus, target,
				       unit);
	else if (xml_is(disk, "target/@bus", "sata") && !(line->q35 && controller == 0))
		g_string_append_printf(word, ",bus=sata%u.%u", controller, unit);
	else if (xml_is(disk, "target/@bus", "sata"))
		g_string_append_printf(word, ",bus=ide.%u", unit);
	else
		g_string_append_printf(word, ",bus=ide.%u,unit=%u", bus, unit);
}

static bool add_disk(struct line *line, xmlNode *disk, GError **err)
{
	static const struct {
		const char *bus, *disk, *cdrom;
	} drivers[] = {
		{ "virtio", "virtio-blk-pci", NULL },	 { "scsi", "scsi-hd", "scsi-cd" },
		{ "sata", "ide-hd", "ide-cd" },		 { "ide", "ide-hd", "ide-cd" },
		{ "usb", "usb-storage", "usb-storage" },
	};
	g_autofree char *alias = alias_of(disk);
	g_autofree char *bus = xml_get(disk, "target/@bus");
	bool cdrom = xml_is(disk, "@device", "cdrom");
	g_autoptr(GString) word = g_string_new(NULL);

	add_drive(line, disk, alias);
	if (g_strcmp0(bus, "fdc") == 0) {
		add(line, "-device", "floppy,unit=%u,drive=drive-%s,id=%s",
		    (unsigned)domain_number(disk, "address/@unit"), alias, alias);
		return true;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++) {
		const char *driver = cdrom ? drivers[i].cdrom : drivers[i].disk;

		if (g_strcmp0(bus, drivers[i].bus) != 0 || !driver)
			continue;
		g_string_append(word, driver);
		append_drive_address(line, word, disk);
		append_address(line, word, disk);
		g_string_append_printf(word, ",drive=drive-%s,id=%s", alias, alias);
		append_property(word, "serial", disk, "serial");
		append_property(word, "bootindex", disk, "boot/@order");
		if (xml_find(disk, "driver/@iothread"))
			g_string_append_printf(word, ",iothread=iothread%u",
					       (unsigned)domain_number(disk, "driver/@iothread"));
		add(line, "-device", "%s", word->str);
		return true;
	}
	return fail_xml(err, disk, NULL, "a disk on bus '%s' has no QEMU option", bus ? bus : "");
}

/* Interfaces. */

static bool add_interface(struct line *line, xmlNode *interface, unsigned index, GError **err)
{
	g_autoptr(GString) word = g_string_new(NULL), more = g_string_new(NULL);
	g_autofree char *type = xml_get(interface, "@type");
	g_autofree char *model = xml_get(interface, "model/@type");
	bool virtio = !model || strcmp(model, "virtio") == 0;

	if (g_strcmp0(type, "user") == 0) {
		g_string_append(word, "user");
	} else if (g_strcmp0(type, "bridge") == 0) {
		g_string_append(word, "bridge");
		append_property(word, "br", interface, "source/@bridge");
	} else if (g_strcmp0(type, "ethernet") == 0 || g_strcmp0(type, "network") == 0) {
		g_string_append(word, "tap");
		append_property(word, "ifname", interface, "target/@dev");
		g_string_append(word, ",script=no,downscript=no");
	} else {
		return fail_xml(err, interface, "type", "an interface of type '%s' has no QEMU option",
				type ? type : "");
	}
	g_string_append_printf(word, ",id=hostnet%u", index);
	add(line, "-netdev", "%s", word->str);
	g_string_append_printf(more, ",netdev=hostnet%u", index);
	append_property(more, "mac", interface, "mac/@address");
	add_pci_device(line, virtio ? "virtio-net-pci" : model, interface, more->str);
	return true;
}

/* Ports. */

static bool add_chardev(struct line *line, xmlNode *port, const char *alias, GError **err)
{
	g_autoptr(GString) word = g_string_new(NULL);
	g_autofree char *type = xml_get(port, "@type");
	bool tcp = g_strcmp0(type, "tcp") == 0;

	/* A socket whose path is chosen at start: there is none here. */
	if (g_strcmp0(type, "unix") == 0 && !xml_find(port, "source/@path")) {
		add(line, "-chardev", "null,id=char%s", alias);
		return true;
	}
	if (!type || strcmp(type, "spicevmc") == 0)
		return fail_xml(err, port, "type", "a port of type '%s' has no QEMU option", type ? type : "");
	g_string_append_printf(word, "%s,id=char%s", tcp || strcmp(type, "unix") == 0 ? "socket" : type, alias);
	append_property(word, "path", port, "source/@path");
	append_property(word, "host", port, "source/@host");
	append_property(word, "port", port, "source/@service");
	if (tcp && xml_is(port, "protocol/@type", "telnet"))
		g_string_append(word, ",telnet=on");
	if (xml_is(port, "source/@mode", "bind"))
		g_string_append(word, ",server=on,wait=off");
	append_property(word, "logfile", port, "log/@file");
	add(line, "-chardev", "%s", word->str);
	return true;
}

static bool add_port(struct line *line, xmlNode *port, GError **err)
{
	const char *name = (const char *)port->name;
	g_autofree char *alias = alias_of(port);
	g_autoptr(GString) word = g_string_new(NULL);
	xmlNode *address = domain_address(port, "virtio-serial");

	/* The same port as the first <serial>. */
	if (strcmp(name, "console") == 0 && xml_is(port, "target/@type", "serial"))
		return true;
	if (!add_chardev(line, port, alias, err))
		return false;
	if (strcmp(name, "serial") == 0)
		g_string_append_printf(word, "isa-serial,chardev=char%s,id=%s,index=%u", alias, alias,
				       (unsigned)domain_number(port, "target/@port"));
	else
		g_string_append_printf(word, "%s,chardev=char%s,id=%s",
				       strcmp(name, "console") == 0 ? "virtconsole" : "virtserialport", alias, alias);
	if (address)
		g_string_append_printf(word, ",bus=virtio-serial%u.0,nr=%u",
				       (unsigned)domain_number(address, "@controller"),
				       (unsigned)domain_number(address, "@port"));
	if (strcmp(name, "channel") == 0)
		append_property(word, "name", port, "target/@name");
	add(line, "-device", "%s", word->str);
	return true;
}

/* Everything else. */

static void add_graphics(struct line *line, xmlNode *graphics)
{
	g_autofree char *address = xml_get(graphics, "@listen");
	g_autofree char *socket = xml_get(graphics, "@socket");
	uint64_t port;

	if (!xml_is(graphics, "@type", "vnc"))
		return;
	if (socket)
		add(line, "-vnc", "unix:%s", socket);
	else if (xml_get_uint(graphics, "@port", &port) && port >= 5900)
		add(line, "-vnc", "%s:%" G_GUINT64_FORMAT, address ? address : "127.0.0.1", port - 5900);
	else
		add(line, "-vnc", "%s:0,to=99", address ? address : "127.0.0.1");
	if (xml_find(graphics, "@keymap")) {
		g_autofree char *keymap = xml_get(graphics, "@keymap");

		add(line, "-k", "%s", keymap);
	}
}

static void add_rng(struct line *line, xmlNode *rng)
{
	g_autofree char *alias = alias_of(rng);
	g_autofree char *file = escaped(rng, "backend");
	g_autoptr(GString) more = g_string_new(NULL);

	add(line, "-object", "rng-random,id=obj%s,filename=%s", alias, file && *file ? file : "/dev/urandom");
	g_string_append_printf(more, ",rng=obj%s", alias);
	append_property(more, "max-bytes", rng, "rate/@bytes");
	append_property(more, "period", rng, "rate/@period");
	add_pci_device(line, "virtio-rng-pci", rng, more->str);
}

static void add_filesystem(struct line *line, xmlNode *filesystem)
{
	g_autofree char *alias = alias_of(filesystem);
	g_autofree char *dir = escaped(filesystem, "source/@dir");
	g_autoptr(GString) more = g_string_new(NULL);

	if (!dir)
		return;
	add(line, "-fsdev", "local,id=fsdev-%s,path=%s,security_model=%s%s", alias, dir,
	    xml_is(filesystem, "@accessmode", "mapped") ? "mapped" :
	    xml_is(filesystem, "@accessmode", "squash") ? "none" :
							  "passthrough",
	    xml_find(filesystem, "readonly") ? ",readonly=on" : "");
	g_string_append_printf(more, ",fsdev=fsdev-%s", alias);
	append_property(more, "mount_tag", filesystem, "target/@dir");
	add_pci_device(line, "virtio-9p-pci", filesystem, more->str);
}

/* Devices that are one driver, by an attribute's value. */
static const struct {
	const char *element, *path, *value, *driver;
} drivers_of[] = {
	{ "input", "@type", "tablet", "usb-tablet" },
	{ "video", "model/@type", "vga", "VGA" },
	{ "video", "model/@type", "cirrus", "cirrus-vga" },
	{ "video", "model/@type", "qxl", "qxl-vga" },
	{ "video", "model/@type", "virtio", "virtio-vga" },
	{ "video", "model/@type", "bochs", "bochs-display" },
	{ "video", "model/@type", "vmvga", "vmware-svga" },
	{ "memballoon", "@model", "virtio", "virtio-balloon-pci" },
	{ "watchdog", "@model", "i6300esb", "i6300esb" },
	{ "watchdog", "@model", "ib700", "ib700" },
	{ "panic", "@model", "isa", "pvpanic" },
	{ "sound", "@model", "ich6", "intel-hda" },
	{ "sound", "@model", "ich9", "ich9-intel-hda" },
	{ "sound", "@model", "ac97", "AC97" },
};

static void add_plain(struct line *line, xmlNode *device)
{
	const char *name = (const char *)device->name;

	for (size_t i = 0; i < G_N_ELEMENTS(drivers_of); i++) {
		if (strcmp(name, drivers_of[i].element) == 0 && xml_is(device, drivers_of[i].path, drivers_of[i].value))
			add_pci_device(line, drivers_of[i].driver, device, "");
	}
	if (strcmp(name, "hostdev") == 0 && xml_is(device, "@type", "pci")) {
		g_autofree char *host = g_strdup_printf(",host=%04x:%02x:%02x.%x",
							(unsigned)domain_number(device, "source/address/@domain"),
							(unsigned)domain_number(device, "source/address/@bus"),
							(unsigned)domain_number(device, "source/address/@slot"),
							(unsigned)domain_number(device, "source/address/@function"));

		add_pci_device(line, "vfio-pci", device, host);
	}
}

/* Buses come before what is on them, each behind the one it is on. */
static void add_pci_controllers(struct line *line)
{
	for (unsigned index = 1; index < 256; index++) {
		xmlNode *controller = domain_controller(line->root, "pci", index);

		if (controller)
			add_controller(line, controller);
	}
}

static bool add_device(struct line *line, xmlNode *device, unsigned *interfaces, GError **err)
{
	const char *name = (const char *)device->name;

	if (strcmp(name, "disk") == 0)
		return add_disk(line, device, err);
	else if (strcmp(name, "interface") == 0)
		return add_interface(line, device, (*interfaces)++, err);
	else if (strcmp(name, "serial") == 0 || strcmp(name, "console") == 0 || strcmp(name, "channel") == 0)
		return add_port(line, device, err);
	else if (strcmp(name, "graphics") == 0)
		add_graphics(line, device);
	else if (strcmp(name, "rng") == 0)
		add_rng(line, device);
	else if (strcmp(name, "filesystem") == 0)
		add_filesystem(line, device);
	else
		add_plain(line, device);
	return true;
}

static void add_passed_on(struct line *line, bool env)
{
	for (xmlNode *n = xml_first(line->root, env ? "qemu:commandline/qemu:env" : "qemu:commandline/qemu:arg"); n;
	     n = xml_next(n)) {
		g_autofree char *name = xml_get(n, "@name");
		g_autofree char *value = xml_get(n, "@value");
		g_autofree char *pair = env ? g_strdup_printf("%s=%s", name ? name : "", value ? value : "") : NULL;

		add_word(line, env ? pair : value ? value : "");
	}
}

char *domain_to_argv(const struct domain *domain, GError **err)
{
	autoptr(domain) live = domain_copy(domain);
	g_autoptr(GString) text = g_string_new(NULL);
	struct line line = { text, live->root, domain_is_q35(live->root) };
	g_autofree char *emulator = xml_get(live->root, "devices/emulator");
	unsigned interfaces = 0;

	if (!domain_is_pc(live->root))
		return fail_null(err, LODGE_ERROR_UNSUPPORTED,
				 "domain '%s': only PCs of type kvm and qemu have a QEMU command line", domain->name);
	domain_make_live(live, 0);
	add_passed_on(&line, true);
	add_word(&line, emulator && *emulator ? emulator : "/usr/bin/qemu-system-x86_64");
	add_general(&line, live);
	add_pci_controllers(&line);
	for (xmlNode *n = xml_first(live->root, "devices/controller"); n; n = xml_next(n)) {
		if (!xml_is(n, "@type", "pci"))
			add_controller(&line, n);
	}
	for (xmlNode *device = xml_child(xml_find(live->root, "devices")); device; device = xml_sibling(device)) {
		if (!device->ns && !add_device(&line, device, &interfaces, err))
			return NULL;
	}
	add_passed_on(&line, false);
	g_string_append_c(text, '\n');
	return g_string_free(g_steal_pointer(&text), FALSE);
}
