/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a definition to what vmm/ builds. What the tables of the schema call kept or refused is reported from there;
 * here are the cases that depend on values: a disk on a bus that is not built, an image format, a machine of another
 * kind.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-steps.h"
#include "core/model/schema.h"

#define RNG_PERIOD_MS 1000u

/* As fail_xml(), for what is right but not built. */
G_GNUC_PRINTF(4, 5)
static bool refuse(GError **err, xmlNode *node, const char *attr, const char *format, ...)
{
	g_autofree char *text = NULL;
	g_autoptr(GError) raised = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	fail_xml(&raised, node, attr, "%s", text);
	raised->code = LODGE_ERROR_UNSUPPORTED;
	g_propagate_error(err, g_steal_pointer(&raised));
	return false;
}

G_GNUC_PRINTF(3, 4)
static void notice(GPtrArray *notices, const xmlNode *node, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	if (!notices)
		return;
	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	g_ptr_array_add(notices, g_strdup_printf("unsupported: %s (line %ld): ignored", text, xmlGetLineNo(node)));
}

/* Machine. */

static const struct {
	const char *type, *accel;
} accels[] = {
	{ "kvm", "kvm" },
	{ "qemu", "soft" },
};

static bool set_machine(xmlNode *root, struct vm_config *config, GPtrArray *notices, GError **err)
{
	g_autofree char *type = xml_get(root, "@type");
	g_autofree char *arch = xml_get(root, "os/type/@arch");
	g_autofree char *machine = xml_get(root, "os/type/@machine");
	xmlNode *os = xml_find(root, "os/type");
	const char *accel = NULL;

	for (size_t i = 0; type && i < G_N_ELEMENTS(accels); i++) {
		if (strcmp(type, accels[i].type) == 0)
			accel = accels[i].accel;
	}
	if (!accel)
		return refuse(err, root, "type", "a domain of type '%s' cannot be run: kvm and qemu can",
			      type ? type : "");
	if (!os || !arch || (strcmp(arch, "x86_64") != 0 && strcmp(arch, "i686") != 0))
		return refuse(err, os ? os : root, "arch",
			      "guests of architecture '%s' cannot be run: x86_64 and i686 can", arch ? arch : "");
	if (!domain_is_pc(root))
		return refuse(err, os, "machine", "machine '%s' is not built: q35 and pc are", machine ? machine : "");
	g_free(config->accel);
	config->accel = g_strdup(accel);
	if (!domain_is_q35(root))
		notice(notices, os, "machine '%s': the board is a q35 all the same", machine);
	return true;
}

static void set_text(char **field, xmlNode *root, const char *path)
{
	g_autofree char *text = xml_get(root, path);

	if (text && *text) {
		g_free(*field);
		*field = g_steal_pointer(&text);
	}
}

static void set_general(const struct domain *domain, struct vm_config *config)
{
	g_free(config->name);
	config->name = g_strdup(domain->name);
	g_strlcpy(config->uuid, domain->uuid, sizeof(config->uuid));
	config->console = VM_CONSOLE_NONE;
	set_text(&config->kernel, domain->root, "os/kernel");
	set_text(&config->initrd, domain->root, "os/initrd");
	set_text(&config->append, domain->root, "os/cmdline");
	config->no_reboot = xml_is(domain->root, "on_reboot", "destroy");
	config->crash_preserve = xml_is(domain->root, "on_crash", "preserve");
}

/* Whole pages: a definition counts KiB. */
static bool set_memory(const struct domain *domain, struct vm_config *config, GError **err)
{
	uint64_t max = domain_max_memory(domain), current = domain_memory(domain);

	if (max > VM_CONFIG_MAX_MEMORY >> 10)
		return refuse(err, xml_find(domain->root, "memory"), NULL,
			      "%" G_GUINT64_FORMAT " KiB: a VM has at most %" G_GUINT64_FORMAT " GiB", max,
			      (uint64_t)VM_CONFIG_MAX_MEMORY >> 30);
	config->memory = (max + 3) / 4 * 4096;
	if (xml_find(domain->root, "devices/memballoon") && !xml_is(domain->root, "devices/memballoon/@model", "none"))
		config->balloon_memory = MIN((current + 3) / 4 * 4096, config->memory);
	return true;
}

/* CPUs. */

static void set_cpu_features(xmlNode *cpu, struct vm_config *config)
{
	static const struct {
		const char *policy;
		char sign;
	} policies[] = { { "force", '+' }, { "require", '+' }, { "disable", '-' }, { "forbid", '-' } };

	for (xmlNode *feature = xml_first(cpu, "feature"); feature; feature = xml_next(feature)) {
		g_autofree char *name = xml_get(feature, "@name");

		for (size_t i = 0; name && i < G_N_ELEMENTS(policies); i++) {
			if (xml_is(feature, "@policy", policies[i].policy))
				g_ptr_array_add(config->cpu_features, g_strdup_printf("%c%s", policies[i].sign, name));
		}
	}
}

static bool set_cpus(const struct domain *domain, struct vm_config *config, GError **err)
{
	xmlNode *cpu = xml_find(domain->root, "cpu"), *topology = cpu ? xml_find(cpu, "topology") : NULL;

	config->vcpus = domain_vcpus(domain);
	config->max_vcpus = domain_max_vcpus(domain);
	if (config->max_vcpus > VM_CONFIG_MAX_VCPUS)
		return refuse(err, xml_find(domain->root, "vcpu"), NULL, "%u vCPUs: a VM has at most %u",
			      config->max_vcpus, VM_CONFIG_MAX_VCPUS);
	if (topology) {
		config->sockets = (unsigned)domain_number(topology, "@sockets");
		config->dies = MAX((unsigned)domain_number(topology, "@dies"), 1);
		config->cores = (unsigned)domain_number(topology, "@cores");
		config->threads = (unsigned)domain_number(topology, "@threads");
	}
	if (!cpu)
		return true;
	if (xml_is(cpu, "@mode", "host-passthrough") || xml_is(cpu, "@mode", "host-model"))
		config->cpu = g_strdup("host");
	else if (xml_is(cpu, "@mode", "maximum"))
		config->cpu = g_strdup("max");
	else
		set_text(&config->cpu, cpu, "model");
	set_cpu_features(cpu, config);
	return true;
}

/* Disks. */

static bool check_disk(xmlNode *disk, const char *target, GError **err)
{
	g_autofree char *bus = xml_get(disk, "target/@bus");
	g_autofree char *format = xml_get(disk, "driver/@type");
	g_autofree char *type = xml_get(disk, "@type");
	g_autofree char *device = xml_get(disk, "@device");

	if (g_strcmp0(type, "file") != 0 && g_strcmp0(type, "block") != 0)
		return refuse(err, disk, "type", "disk %s is of type '%s', which is not built: file and block are",
			      target, type);
	if (g_strcmp0(device, "disk") != 0)
		return refuse(err, disk, "device", "%s is a %s, which is not built: disk is", target, device);
	if (g_strcmp0(bus, "virtio") != 0)
		return refuse(err, xml_find(disk, "target"), "bus",
			      "disk %s is on bus '%s', which is not built: virtio is", target, bus);
	if (g_strcmp0(format, "raw") != 0)
		return refuse(err, xml_find(disk, "driver"), "type",
			      "disk %s has format '%s', which is not built: raw is", target, format);
	return true;
}

static bool is_empty_drive(xmlNode *disk)
{
	bool removable = xml_is(disk, "@device", "cdrom") || xml_is(disk, "@device", "floppy");

	return removable && !xml_find(disk, "source");
}

static bool add_disk(xmlNode *node, struct vm_config *config, GPtrArray *notices, GError **err)
{
	g_autofree char *target = xml_get(node, "target/@dev");
	autoptr(vm_disk_config) disk = g_new0(struct vm_disk_config, 1);

	disk->path = xml_get(node, xml_is(node, "@type", "block") ? "source/@dev" : "source/@file");
	if (is_empty_drive(node)) {
		notice(notices, node, "<disk> %s, an empty drive", target);
		return true;
	}
	if (!check_disk(node, target ? target : "", err))
		return false;
	if (!disk->path)
		return fail_xml(err, node, NULL, "missing source information for device %s", target);
	disk->target = g_steal_pointer(&target);
	disk->alias = xml_get(node, "alias/@name");
	disk->serial = xml_get(node, "serial");
	disk->readonly = xml_find(node, "readonly") != NULL;
	g_ptr_array_add(config->disks, g_steal_pointer(&disk));
	return true;
}

/* Ports. */

static const struct {
	const char *type;
	enum vm_port_kind kind;
} port_kinds[] = {
	{ "null", VM_PORT_NULL }, { "pty", VM_PORT_PTY },   { "unix", VM_PORT_UNIX },
	{ "tcp", VM_PORT_TCP },	  { "file", VM_PORT_FILE }, { "stdio", VM_PORT_STDIO },
};

static bool set_back_end(xmlNode *node, struct vm_port_config *port, GError **err)
{
	g_autofree char *type = xml_get(node, "@type");
	size_t i = 0;

	while (i < G_N_ELEMENTS(port_kinds) && g_strcmp0(type, port_kinds[i].type) != 0)
		i++;
	if (i == G_N_ELEMENTS(port_kinds))
		return refuse(err, node, "type", "back end '%s' is not built: null, pty, unix, tcp, file and stdio are",
			      type);
	port->kind = port_kinds[i].kind;
	if (port->kind == VM_PORT_UNIX || port->kind == VM_PORT_FILE)
		port->path = xml_get(node, "source/@path");
	/*
	 * A socket without a path is ours to choose: people and the guest agent's front end come through the VM itself.
	 */
	if (port->kind == VM_PORT_UNIX && (!port->path || !*port->path))
		port->kind = VM_PORT_NULL;
	port->host = xml_get(node, "source/@host");
	port->service = xml_get(node, "source/@service");
	port->listen = xml_is(node, "source/@mode", "bind");
	port->telnet = xml_is(node, "protocol/@type", "telnet");
	port->append = xml_is(node, "source/@append", "on");
	port->reconnect_s = (unsigned)MIN(domain_number(node, "source/reconnect/@timeout"), UINT16_MAX);
	port->log_path = xml_get(node, "log/@file");
	port->log_append = xml_is(node, "log/@append", "on");
	return true;
}

static bool add_port(xmlNode *node, enum vm_port_target target, unsigned index, struct vm_config *config, GError **err)
{
	autoptr(vm_port_config) port = vm_port_config_new();

	port->target = target;
	port->index = index;
	port->alias = xml_get(node, "alias/@name");
	if (!port->alias)
		port->alias = g_strdup_printf("%s%u", (const char *)node->name, index);
	if (target == VM_PORT_CHANNEL)
		port->name = xml_get(node, "target/@name");
	if (!set_back_end(node, port, err))
		return false;
	g_ptr_array_add(config->ports, g_steal_pointer(&port));
	return true;
}

static bool add_serials(xmlNode *root, struct vm_config *config, GError **err)
{
	for (xmlNode *n = xml_first(root, "devices/serial"); n; n = xml_next(n)) {
		uint64_t port = domain_number(n, "target/@port");

		if (!xml_is(n, "target/@type", "isa-serial"))
			return refuse(err, xml_find(n, "target"), "type", "only isa-serial ports are built");
		if (port >= VM_CONFIG_MAX_SERIALS)
			return refuse(err, xml_find(n, "target"), "port",
				      "%" G_GUINT64_FORMAT ": serial ports 0 to %u are built", port,
				      VM_CONFIG_MAX_SERIALS - 1);
		if (!add_port(n, VM_PORT_SERIAL, (unsigned)port, config, err))
			return false;
	}
	return true;
}

static bool add_consoles(xmlNode *root, struct vm_config *config, GError **err)
{
	unsigned index = 0;

	for (xmlNode *n = xml_first(root, "devices/console"); n; n = xml_next(n)) {
		if (xml_is(n, "target/@type", "serial"))
			continue;
		if (!xml_is(n, "target/@type", "virtio"))
			return refuse(err, n, NULL, "only consoles of type serial and virtio are built");
		if (!add_port(n, VM_PORT_CONSOLE, index++, config, err))
			return false;
	}
	return true;
}

static bool add_channels(xmlNode *root, struct vm_config *config, GPtrArray *notices, GError **err)
{
	unsigned index = 0;

	for (xmlNode *n = xml_first(root, "devices/channel"); n; n = xml_next(n)) {
		g_autofree char *name = xml_get(n, "target/@name");

		if (!xml_is(n, "target/@type", "virtio"))
			return refuse(err, n, NULL, "only channels of type virtio are built");
		if (xml_is(n, "@type", "spicevmc") || xml_is(n, "@type", "spiceport") || !name) {
			notice(notices, n, "<channel> %s", name ? name : "without a name");
			continue;
		}
		if (!add_port(n, VM_PORT_CHANNEL, index++, config, err))
			return false;
	}
	return true;
}

/* Clock and small devices. */

static bool set_clock(xmlNode *root, struct vm_config *config, GError **err)
{
	xmlNode *clock = xml_find(root, "clock");
	g_autofree char *offset = clock ? xml_get(clock, "@offset") : NULL;
	g_autofree char *zone_name = clock ? xml_get(clock, "@timezone") : NULL;
	g_autofree char *adjustment = clock ? xml_get(clock, "@adjustment") : NULL;

	if (!offset || strcmp(offset, "utc") == 0)
		return true;
	if (strcmp(offset, "localtime") == 0) {
		config->clock_localtime = true;
	} else if (strcmp(offset, "timezone") == 0) {
		g_autoptr(GTimeZone) zone = zone_name ? g_time_zone_new_identifier(zone_name) : NULL;

		if (!zone)
			return fail_xml(err, clock, "timezone", "'%s' is not a time zone of this host",
					zone_name ? zone_name : "");
		config->clock_offset =
			g_time_zone_get_offset(zone, g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL,
									       g_get_real_time() / G_USEC_PER_SEC));
	} else if (strcmp(offset, "variable") == 0) {
		config->clock_offset = adjustment ? g_ascii_strtoll(adjustment, NULL, 10) : 0;
		config->clock_localtime = xml_is(clock, "@basis", "localtime");
	} else {
		return refuse(err, clock, "offset", "'%s' is not built: utc, localtime, timezone and variable are",
			      offset);
	}
	return true;
}

static bool set_rng(xmlNode *root, struct vm_config *config, GPtrArray *notices, GError **err)
{
	xmlNode *rng = xml_find(root, "devices/rng");
	uint64_t period;

	config->has_rng = rng != NULL;
	if (!rng)
		return true;
	if (xml_is(rng, "backend/@model", "egd"))
		return refuse(err, xml_find(rng, "backend"), "model", "'egd' is not built: random and builtin are");
	if (xml_next(rng))
		notice(notices, xml_next(rng), "a second <rng>");
	config->rng_bytes = domain_number(rng, "rate/@bytes");
	period = domain_number(rng, "rate/@period");
	config->rng_period_ms = config->rng_bytes ? (period ? (unsigned)MIN(period, UINT32_MAX) : RNG_PERIOD_MS) : 0;
	return true;
}

static void set_panic(xmlNode *root, struct vm_config *config)
{
	config->panic_device = false;
	for (xmlNode *n = xml_first(root, "devices/panic"); n; n = xml_next(n))
		config->panic_device |= xml_is(n, "@model", "isa") || xml_is(n, "@model", "pvpanic");
}

static bool set_devices(xmlNode *root, struct vm_config *config, GPtrArray *notices, GError **err)
{
	for (xmlNode *disk = xml_first(root, "devices/disk"); disk; disk = xml_next(disk)) {
		if (!add_disk(disk, config, notices, err))
			return false;
	}
	set_panic(root, config);
	return add_serials(root, config, err) && add_consoles(root, config, err) &&
	       add_channels(root, config, notices, err) && set_rng(root, config, notices, err);
}

/* Mouse and keyboard of the board's own controller are in every definition; nothing is lost with an empty drive. */
static void remove_harmless(xmlNode *root)
{
	for (xmlNode *input = xml_first(root, "devices/input"), *next; input; input = next) {
		next = xml_next(input);
		if (xml_is(input, "@bus", "ps2"))
			xml_remove(input);
	}
	for (xmlNode *disk = xml_first(root, "devices/disk"), *next; disk; disk = next) {
		next = xml_next(disk);
		if (is_empty_drive(disk))
			xml_remove(disk);
	}
}

static bool report_unsupported(const struct domain *domain, GPtrArray *notices, GError **err)
{
	autoptr(domain) asked = domain_copy(domain);
	g_autoptr(GPtrArray) unread = g_ptr_array_new_with_free_func(g_free);

	remove_harmless(asked->root);
	return schema_unsupported(&schema_domain, asked->doc, notices ? notices : unread, err);
}

struct vm_config *domain_vm_config(const struct domain *domain, GPtrArray *notices, GError **err)
{
	autoptr(vm_config) config = vm_config_new();

	if (!report_unsupported(domain, notices, err))
		return NULL;
	set_general(domain, config);
	if (!set_machine(domain->root, config, notices, err) || !set_memory(domain, config, err) ||
	    !set_cpus(domain, config, err) || !set_clock(domain->root, config, err) ||
	    !set_devices(domain->root, config, notices, err))
		return NULL;
	return vm_config_check(config, err) ? g_steal_pointer(&config) : NULL;
}
