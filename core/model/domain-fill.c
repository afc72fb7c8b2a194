/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a definition may leave out: the identifiers, the general defaults, and one unit (KiB) for every amount of
 * memory. Devices are in domain-fill-devices.c.
 */
#include <string.h>

#include "core/model/domain-fill.h"

void domain_default(xmlNode *from, const char *path, const char *value)
{
	g_autofree char *present = xml_get(from, path);

	if (!present)
		xml_set(from, path, value);
}

/* Lower case in place. */
void domain_lower(xmlNode *from, const char *path)
{
	g_autofree char *value = xml_get(from, path);
	g_autofree char *lower = value ? g_ascii_strdown(value, -1) : NULL;

	if (lower && strcmp(lower, value) != 0)
		xml_set(from, path, lower);
}

/* Amounts of memory. */

static const struct {
	const char *unit;
	uint64_t bytes;
} units[] = {
	{ "b", 1 },
	{ "byte", 1 },
	{ "bytes", 1 },
	{ "k", UINT64_C(1) << 10 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "KB", 1000 },
	{ "M", UINT64_C(1) << 20 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "MB", UINT64_C(1000000) },
	{ "G", UINT64_C(1) << 30 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "GB", UINT64_C(1000000000) },
	{ "T", UINT64_C(1) << 40 },
	{ "TiB", UINT64_C(1) << 40 },
	{ "TB", UINT64_C(1000000000000) },
	{ "P", UINT64_C(1) << 50 },
	{ "PiB", UINT64_C(1) << 50 },
	{ "PB", UINT64_C(1000000000000000) },
	{ "E", UINT64_C(1) << 60 },
	{ "EiB", UINT64_C(1) << 60 },
	{ "EB", UINT64_C(1000000000000000000) },
};

static uint64_t unit_bytes(const char *unit)
{
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
		if (g_ascii_strcasecmp(unit, units[i].unit) == 0)
			return units[i].bytes;
	}
	return 0;
}

/*
 * value: path of the number; unit: of its unit. Rounded up; what is too large stays as it is, for the rules to refuse.
 */
static void to_kib(xmlNode *node, const char *value_path, const char *unit_path)
{
	g_autofree char *unit = xml_get(node, unit_path);
	uint64_t scale = unit ? unit_bytes(unit) : 1024;
	uint64_t value;

	/* A number with elements inside is not one: it would grow each time. */
	if (xml_child(xml_find(node, value_path)) || !xml_get_uint(node, value_path, &value) || !scale ||
	    value > UINT64_MAX / scale)
		return;
	value = value * scale / 1024 + (value * scale % 1024 != 0);
	xml_setf(node, value_path, "%" G_GUINT64_FORMAT, value);
	xml_set(node, unit_path, "KiB");
}

static const char *const sizes[] = {
	"memory",
	"currentMemory",
	"maxMemory",
	"memtune/hard_limit",
	"memtune/soft_limit",
	"memtune/swap_hard_limit",
	"memtune/min_guarantee",
};

/* In each device of the name. */
static const struct {
	const char *device, *path, *unit;
} device_sizes[] = {
	{ "devices/memory", "target/size", "target/size/@unit" },
	{ "devices/memory", "target/label/size", "target/label/size/@unit" },
	{ "devices/memory", "target/block", "target/block/@unit" },
	{ "devices/memory", "target/requested", "target/requested/@unit" },
	{ "cpu/numa/cell", "@memory", "@unit" },
	{ "memoryBacking/hugepages/page", "@size", "@unit" },
};

static void fill_sizes(xmlNode *root)
{
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		xmlNode *node = xml_find(root, sizes[i]);

		if (node)
			to_kib(node, ".", "@unit");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(device_sizes); i++) {
		for (xmlNode *n = xml_first(root, device_sizes[i].device); n; n = xml_next(n))
			to_kib(n, device_sizes[i].path, device_sizes[i].unit);
	}
}

/* The cells' sum is the memory of a guest that has NUMA nodes. */
static uint64_t cells_memory(xmlNode *root)
{
	uint64_t sum = 0;

	for (xmlNode *cell = xml_first(root, "cpu/numa/cell"); cell; cell = xml_next(cell)) {
		uint64_t memory = domain_number(cell, "@memory");

		if (memory > UINT64_MAX - sum)
			return 0;
		sum += memory;
	}
	return sum;
}

static uint64_t dimms_memory(xmlNode *root)
{
	uint64_t sum = 0;

	for (xmlNode *dimm = xml_first(root, "devices/memory"); dimm; dimm = xml_next(dimm)) {
		uint64_t size = domain_number(dimm, "target/size");

		if (size > UINT64_MAX - sum)
			return 0;
		sum += size;
	}
	return sum;
}

static void fill_memory(xmlNode *root)
{
	uint64_t cells, dimms, memory, current;

	fill_sizes(root);
	cells = cells_memory(root);
	dimms = dimms_memory(root);
	if (cells && dimms <= UINT64_MAX - cells) {
		xml_setf(root, "memory", "%" G_GUINT64_FORMAT, cells + dimms);
		xml_set(root, "memory/@unit", "KiB");
	}
	memory = domain_number(root, "memory");
	current = domain_number(root, "currentMemory");
	if (!current || current > memory) {
		xml_setf(root, "currentMemory", "%" G_GUINT64_FORMAT, memory);
		xml_set(root, "currentMemory/@unit", "KiB");
	}
}

/* Identity. */

static void fill_uuid(xmlNode *root)
{
	g_autofree char *uuid = xml_get(root, "uuid");
	g_autofree char *hex = NULL;
	size_t n = 0;

	if (!uuid || !*uuid) {
		g_autofree char *random = g_uuid_string_random();

		xml_set(root, "uuid", random);
		return;
	}
	hex = g_ascii_strdown(uuid, -1);
	for (const char *p = hex; *p; p++) {
		if (g_ascii_isxdigit(*p))
			hex[n++] = *p;
	}
	hex[n] = '\0';
	if (n != 32)
		return;
	g_autofree char *canonical = g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
						     hex + 20);
	if (strcmp(canonical, uuid) != 0)
		xml_set(root, "uuid", canonical);
}

/* An empty one asks for a new identity. */
static void fill_genid(xmlNode *root)
{
	if (xml_is(root, "genid", "")) {
		g_autofree char *random = g_uuid_string_random();

		xml_set(root, "genid", random);
	}
}

static void fill_vcpu(xmlNode *root)
{
	uint64_t max, current;

	domain_default(root, "vcpu", "1");
	domain_default(root, "vcpu/@placement", "static");
	if (xml_is(root, "vcpu/@placement", "auto"))
		xml_set(root, "vcpu/@cpuset", NULL);
	if (xml_get_uint(root, "vcpu", &max) && xml_get_uint(root, "vcpu/@current", &current) && max == current)
		xml_set(root, "vcpu/@current", NULL);
}

static bool has_boot_order(xmlNode *root)
{
	for (xmlNode *device = xml_child(xml_find(root, "devices")); device; device = xml_sibling(device)) {
		if (!device->ns && xml_find(device, "boot"))
			return true;
	}
	return false;
}

static void fill_boot(xmlNode *root)
{
	if (xml_is(root, "os/type", "hvm") && !xml_find(root, "os/boot") && !has_boot_order(root))
		xml_set(root, "os/boot/@dev", "hd");
}

static void fill_os(xmlNode *root)
{
	bool foreign;

	if (!domain_is_ours(root)) {
		fill_boot(root);
		return;
	}
	domain_default(root, "os/type", "hvm");
	domain_default(root, "os/type/@arch", "x86_64");
	foreign = !xml_is(root, "os/type/@arch", "x86_64") && !xml_is(root, "os/type/@arch", "i686");
	if (xml_is(root, "os/type/@machine", "q35"))
		xml_set(root, "os/type/@machine", DOMAIN_MACHINE_Q35);
	if (xml_is(root, "os/type/@machine", "pc"))
		xml_set(root, "os/type/@machine", DOMAIN_MACHINE_PC);
	if (!foreign)
		domain_default(root, "os/type/@machine", DOMAIN_MACHINE_Q35);
	fill_boot(root);
}

/* CPU. */

/* mode, what is filled in: NULL leaves the attribute alone. */
static const struct {
	const char *mode, *match, *check, *migratable;
} cpu_defaults[] = {
	{ "custom", "exact", "partial", NULL },
	{ "host-model", NULL, "partial", NULL },
	{ "host-passthrough", NULL, "none", "on" },
	{ "maximum", NULL, "none", "on" },
};

static void fill_cpu_mode(xmlNode *cpu)
{
	xmlNode *model = xml_find(cpu, "model");

	if (model || xml_find(cpu, "@match"))
		domain_default(cpu, "@mode", "custom");
	for (size_t i = 0; i < G_N_ELEMENTS(cpu_defaults); i++) {
		if (!xml_is(cpu, "@mode", cpu_defaults[i].mode))
			continue;
		if (cpu_defaults[i].match)
			domain_default(cpu, "@match", cpu_defaults[i].match);
		domain_default(cpu, "@check", cpu_defaults[i].check);
		if (cpu_defaults[i].migratable)
			domain_default(cpu, "@migratable", cpu_defaults[i].migratable);
	}
	if (model && xml_is(cpu, "@mode", "custom"))
		domain_default(model, "@fallback", "allow");
}

static void fill_cpu(xmlNode *root)
{
	xmlNode *cpu = xml_find(root, "cpu");
	unsigned id = 0;

	if (!cpu)
		return;
	fill_cpu_mode(cpu);
	if (xml_find(cpu, "topology"))
		domain_default(cpu, "topology/@dies", "1");
	for (xmlNode *feature = xml_first(cpu, "feature"); feature; feature = xml_next(feature))
		domain_default(feature, "@policy", "require");
	for (xmlNode *cell = xml_first(cpu, "numa/cell"); cell; cell = xml_next(cell), id++) {
		if (!xml_find(cell, "@id"))
			xml_setf(cell, "@id", "%u", id);
	}
}

/* Clock and life cycle. */

static void fill_clock(xmlNode *root)
{
	xmlNode *clock = xml_ensure(root, "clock");
	g_autofree char *sync = xml_get(clock, "@sync");
	g_autofree char *offset = NULL;
	g_autofree char *adjustment = xml_get(clock, "@adjustment");
	bool fixed;

	if (sync) {
		domain_default(clock, "@offset", sync);
		xml_set(clock, "@sync", NULL);
	}
	domain_default(clock, "@offset", "utc");
	offset = xml_get(clock, "@offset");
	fixed = strcmp(offset, "utc") == 0 || strcmp(offset, "localtime") == 0;
	/* A number makes the clock one that remembers its difference. */
	if (fixed && adjustment && strcmp(adjustment, "reset") != 0) {
		xml_set(clock, "@basis", offset);
		xml_set(clock, "@offset", "variable");
	} else if (strcmp(offset, "variable") == 0) {
		domain_default(clock, "@adjustment", "0");
		domain_default(clock, "@basis", "utc");
	}
}

static void fill_iothreads(xmlNode *root)
{
	uint64_t count = domain_number(root, "iothreads"), ids = 0;

	for (xmlNode *id = xml_first(root, "iothreadids/iothread"); id; id = xml_next(id))
		ids++;
	if (ids > count)
		xml_setf(root, "iothreads", "%" G_GUINT64_FORMAT, ids);
}

void domain_fill(struct domain *domain)
{
	xmlNode *root = domain->root;

	fill_uuid(root);
	fill_genid(root);
	fill_memory(root);
	fill_vcpu(root);
	fill_iothreads(root);
	fill_os(root);
	fill_cpu(root);
	fill_clock(root);
	domain_default(root, "on_poweroff", "destroy");
	domain_default(root, "on_reboot", "restart");
	domain_default(root, "on_crash", "destroy");
	domain_fill_devices(root);
}
