/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/capabilities.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/error.h"
#include "core/host-private.h"
#include "core/model/domain.h"
#include "core/model/vm-config.h"

#define ARCH "x86_64"

static const struct {
	const char *name, *alias;
} machines[] = {
	{ DOMAIN_MACHINE_PC, "pc" },
	{ DOMAIN_MACHINE_Q35, "q35" },
};

char *capabilities_host_uuid(const char *root)
{
	g_autofree char *uuid = host_read_line(root, "/sys/class/dmi/id/product_uuid");
	g_autofree char *id = host_read_line(root, "/etc/machine-id");

	if (uuid && g_uuid_string_is_valid(uuid))
		return g_ascii_strdown(uuid, -1);
	if (!id || strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32)
		return NULL;
	return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16, id + 20);
}

static xmlNode *add_text(xmlNode *parent, const char *name, const char *text)
{
	xmlNode *node = xml_add(parent, name);

	xml_set(node, ".", text);
	return node;
}

static void set_supported(xmlNode *node, bool supported)
{
	xml_set(node, "@supported", supported ? "yes" : "no");
}

/* --- the host --- */

static void set_topology(xmlNode *cpu, const struct host *host)
{
	xml_setf(cpu, "topology/@sockets", "%u", host->sockets);
	xml_set(cpu, "topology/@dies", "1");
	xml_setf(cpu, "topology/@cores", "%u", host->cores);
	xml_setf(cpu, "topology/@threads", "%u", host->threads);
}

/* Every page size is in every cell. */
static void add_page_sizes(xmlNode *cpu, const struct host *host)
{
	const struct host_cell *cell = host->cells->len ? host->cells->pdata[0] : NULL;

	for (unsigned i = 0; cell && i < cell->pages->len; i++) {
		xmlNode *pages = xml_add(cpu, "pages");

		xml_set(pages, "@unit", "KiB");
		xml_setf(pages, "@size", "%" PRIu64, g_array_index(cell->pages, struct host_pages, i).size);
	}
}

static void add_host_cpu(xmlNode *to, const struct capabilities *caps)
{
	const struct host *host = caps->host;
	const struct cpu_kind *kind = cpu_catalog_best(caps->catalog, &caps->catalog->host, caps->catalog->vendor);
	xmlNode *cpu = xml_add(to, "cpu");

	xml_set(cpu, "arch", host->arch);
	if (kind)
		xml_set(cpu, "model", kind->name);
	if (kind && caps->catalog->vendor)
		xml_set(cpu, "vendor", caps->catalog->vendor);
	if (host->microcode)
		xml_setf(cpu, "microcode/@version", "%u", host->microcode);
	if (kind && host->family) {
		xml_setf(cpu, "signature/@family", "%u", host->family);
		xml_setf(cpu, "signature/@model", "%u", host->model);
		xml_setf(cpu, "signature/@stepping", "%u", host->stepping);
	}
	if (kind) {
		set_topology(cpu, host);
		if (host->phys_bits) {
			xml_set(cpu, "maxphysaddr/@mode", "emulate");
			xml_setf(cpu, "maxphysaddr/@bits", "%u", host->phys_bits);
		}
		cpus_add_features(caps->catalog, cpu, &caps->catalog->host, kind, NULL);
	}
	add_page_sizes(cpu, host);
}

static void add_power_management(xmlNode *to, const struct host *host)
{
	xmlNode *power = xml_add(to, "power_management");

	if (host->suspend_mem)
		xml_add(power, "suspend_mem");
	if (host->suspend_disk)
		xml_add(power, "suspend_disk");
	if (host->suspend_hybrid)
		xml_add(power, "suspend_hybrid");
}

static void add_cell_pages(xmlNode *to, const struct host_cell *cell)
{
	for (unsigned i = 0; i < cell->pages->len; i++) {
		const struct host_pages *pages = &g_array_index(cell->pages, struct host_pages, i);
		xmlNode *node = xml_add(to, "pages");

		xml_set(node, "@unit", "KiB");
		xml_setf(node, "@size", "%" PRIu64, pages->size);
		xml_setf(node, ".", "%" PRIu64, pages->total);
	}
}

static void add_distances(xmlNode *to, const struct host *host, const struct host_cell *cell)
{
	for (unsigned i = 0; i < cell->distances->len && i < host->cells->len; i++) {
		const struct host_cell *other = host->cells->pdata[i];
		xmlNode *sibling = xml_add(xml_ensure(to, "distances"), "sibling");

		xml_setf(sibling, "@id", "%u", other->id);
		xml_setf(sibling, "@value", "%u", g_array_index(cell->distances, unsigned, i));
	}
}

static void add_cell_cpus(xmlNode *to, const struct host *host, unsigned id)
{
	xmlNode *cpus = xml_add(to, "cpus");
	unsigned n = 0;

	xml_set(cpus, "@num", "0");
	for (unsigned i = 0; i < host->cpus->len; i++) {
		const struct host_cpu *cpu = host->cpus->pdata[i];
		xmlNode *node;

		if (cpu->cell != id)
			continue;
		node = xml_add(cpus, "cpu");
		xml_setf(node, "@id", "%u", cpu->id);
		xml_setf(node, "@socket_id", "%d", cpu->socket);
		xml_setf(node, "@die_id", "%d", cpu->die);
		xml_setf(node, "@core_id", "%d", cpu->core);
		xml_set(node, "@siblings", cpu->siblings);
		n++;
	}
	xml_setf(cpus, "@num", "%u", n);
}

static void add_cells(xmlNode *to, const struct host *host)
{
	xmlNode *cells = xml_ensure(to, "topology/cells");

	xml_setf(cells, "@num", "%u", host->cells->len);
	for (unsigned i = 0; i < host->cells->len; i++) {
		const struct host_cell *cell = host->cells->pdata[i];
		xmlNode *node = xml_add(cells, "cell");

		xml_setf(node, "@id", "%u", cell->id);
		xml_set(node, "memory/@unit", "KiB");
		xml_setf(node, "memory", "%" PRIu64, cell->memory);
		add_cell_pages(node, cell);
		add_distances(node, host, cell);
		add_cell_cpus(node, host, cell->id);
	}
}

static void add_caches(xmlNode *to, const struct host *host)
{
	for (unsigned i = 0; i < host->caches->len; i++) {
		const struct host_cache *cache = host->caches->pdata[i];
		xmlNode *bank = xml_add(xml_ensure(to, "cache"), "bank");
		bool whole = cache->size % 1024 == 0;

		xml_setf(bank, "@id", "%u", cache->id);
		xml_setf(bank, "@level", "%u", cache->level);
		xml_set(bank, "@type", cache->type);
		xml_setf(bank, "@size", "%" PRIu64, whole ? cache->size / 1024 : cache->size);
		xml_set(bank, "@unit", whole ? "MiB" : "KiB");
		xml_set(bank, "@cpus", cache->cpus);
	}
}

static void add_host(xmlNode *root, const struct capabilities *caps)
{
	xmlNode *host = xml_add(root, "host");

	if (caps->uuid)
		xml_set(host, "uuid", caps->uuid);
	add_host_cpu(host, caps);
	add_power_management(host, caps->host);
	xml_set(host, "iommu/@support", caps->host->iommu ? "yes" : "no");
	if (caps->host->cells->len)
		add_cells(host, caps->host);
	add_caches(host, caps->host);
}

/* --- guests --- */

static void add_machines(xmlNode *arch)
{
	for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
		xmlNode *machine = add_text(arch, "machine", machines[i].name);

		xml_setf(machine, "@maxCpus", "%u", VM_CONFIG_MAX_VCPUS);
		machine = add_text(arch, "machine", machines[i].alias);
		xml_set(machine, "@canonical", machines[i].name);
		xml_setf(machine, "@maxCpus", "%u", VM_CONFIG_MAX_VCPUS);
	}
}

static void add_toggle(xmlNode *features, const char *name, const char *value)
{
	xmlNode *node = xml_add(features, name);

	xml_set(node, "@default", value);
	xml_set(node, "@toggle", "no");
}

static void add_guest(xmlNode *root, const struct capabilities *caps)
{
	xmlNode *guest = xml_add(root, "guest"), *arch, *features;

	xml_set(guest, "os_type", "hvm");
	arch = xml_add(guest, "arch");
	xml_set(arch, "@name", ARCH);
	xml_set(arch, "wordsize", "64");
	xml_set(arch, "emulator", caps->emulator);
	add_machines(arch);
	xml_set(xml_add(arch, "domain"), "@type", "qemu");
	if (caps->kvm)
		xml_set(xml_add(arch, "domain"), "@type", "kvm");
	features = xml_add(guest, "features");
	add_toggle(features, "acpi", "on");
	add_toggle(features, "apic", "on");
	xml_add(features, "cpuselection");
	add_toggle(features, "disksnapshot", "off");
}

static xmlDoc *new_doc(const char *root)
{
	xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");

	xmlDocSetRootElement(doc, xmlNewDocNode(doc, NULL, (const xmlChar *)root, NULL));
	return doc;
}

char *capabilities_format(const struct capabilities *caps)
{
	auto_xml xmlDoc *doc = new_doc("capabilities");
	xmlNode *root = xmlDocGetRootElement(doc);

	add_host(root, caps);
	add_guest(root, caps);
	return xml_format(root);
}

/* --- domains --- */

static const char *machine_named(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
		if (strcmp(name, machines[i].name) == 0 || strcmp(name, machines[i].alias) == 0)
			return machines[i].name;
	}
	return NULL;
}

bool capabilities_check(const struct capabilities *caps, struct capabilities_request *request, GError **err)
{
	if (!request->virttype)
		request->virttype = caps->prefer_kvm ? "kvm" : "qemu";
	if (strcmp(request->virttype, "kvm") != 0 && strcmp(request->virttype, "qemu") != 0)
		return fail(err, LODGE_ERROR_INPUT, "virtualization type '%s' is not known: kvm and qemu are",
			    request->virttype);
	if (strcmp(request->virttype, "kvm") == 0 && !caps->kvm)
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "domains of type 'kvm' cannot run on this host: see host; qemu is the software CPU");
	if (request->arch && strcmp(request->arch, ARCH) != 0)
		return fail(err, LODGE_ERROR_INPUT, "architecture '%s' is not built: %s is", request->arch, ARCH);
	request->arch = ARCH;
	if (request->emulator && strcmp(request->emulator, caps->emulator) != 0)
		return fail(err, LODGE_ERROR_INPUT, "emulator '%s' is not known: %s is", request->emulator,
			    caps->emulator);
	request->emulator = caps->emulator;
	if (!request->machine) {
		request->machine = DOMAIN_MACHINE_Q35;
		return true;
	}
	if (!machine_named(request->machine))
		return fail(err, LODGE_ERROR_INPUT, "machine '%s' is not built: q35 and pc are", request->machine);
	request->machine = machine_named(request->machine);
	return true;
}

/* Rows without an enumeration say only whether; values: "a|b", empty for an enumeration without values. */
struct ability {
	const char *path; /* below domainCapabilities */
	bool supported;
	const char *enumeration, *values;
};

static const struct ability before_cpu[] = {
	{ "iothreads", false, NULL, NULL },
	{ "os", true, "firmware", "" },
	{ "os/loader", false, NULL, NULL },
};

/* What the rows of core/model/schema-domain-*.c and domain_vm_config() let through today. */
static const struct ability after_cpu[] = {
	{ "memoryBacking", false, NULL, NULL },
	{ "devices/disk", true, "diskDevice", "disk" },
	{ "devices/disk", true, "bus", "virtio" },
	{ "devices/disk", true, "model", "virtio" },
	{ "devices/graphics", false, NULL, NULL },
	{ "devices/video", false, NULL, NULL },
	{ "devices/hostdev", false, NULL, NULL },
	{ "devices/rng", true, "model", "virtio" },
	{ "devices/rng", true, "backendModel", "random|builtin" },
	{ "devices/filesystem", false, NULL, NULL },
	{ "devices/tpm", false, NULL, NULL },
	{ "devices/redirdev", false, NULL, NULL },
	{ "devices/channel", true, "type", "null|pty|unix|tcp|file|stdio" },
	{ "features/gic", false, NULL, NULL },
	{ "features/vmcoreinfo", false, NULL, NULL },
	{ "features/genid", false, NULL, NULL },
	{ "features/backingStoreInput", false, NULL, NULL },
	{ "features/backup", false, NULL, NULL },
	{ "features/sev", false, NULL, NULL },
	{ "features/sgx", false, NULL, NULL },
	{ "features/hyperv", false, NULL, NULL },
};

static void add_enum(xmlNode *to, const char *name, const char *values)
{
	xmlNode *node = xml_add(to, "enum");
	g_auto(GStrv) words = g_strsplit(values, "|", -1);

	xml_set(node, "@name", name);
	for (char **word = words; *word; word++)
		add_text(node, "value", *word);
}

static void add_abilities(xmlNode *root, const struct ability *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		xmlNode *node = xml_ensure(root, rows[i].path);

		set_supported(node, rows[i].supported);
		if (rows[i].enumeration)
			add_enum(node, rows[i].enumeration, rows[i].values);
	}
}

static xmlNode *add_mode(xmlNode *cpu, const char *name, bool supported)
{
	xmlNode *mode = xml_add(cpu, "mode");

	xml_set(mode, "@name", name);
	set_supported(mode, supported);
	return mode;
}

static void add_host_model(xmlNode *cpu, const struct cpu_catalog *catalog)
{
	const struct cpu_kind *kind = cpu_catalog_best(catalog, &catalog->hypervisor, catalog->vendor);
	xmlNode *mode = add_mode(cpu, "host-model", kind != NULL);

	if (!kind)
		return;
	xml_set(mode, "model", kind->name);
	xml_set(mode, "model/@fallback", "forbid");
	if (catalog->vendor)
		xml_set(mode, "vendor", catalog->vendor);
	cpus_add_features(catalog, mode, &catalog->hypervisor, kind, "require");
}

static void add_custom(xmlNode *cpu, const struct cpu_catalog *catalog)
{
	xmlNode *mode = add_mode(cpu, "custom", true);

	for (unsigned i = 0; i < catalog->models->len; i++) {
		const struct cpu_kind *kind = catalog->models->pdata[i];
		xmlNode *model = add_text(mode, "model", kind->name);
		bool usable = cpu_bits_within(&kind->features, &catalog->hypervisor);

		xml_set(model, "@usable", usable ? "yes" : "no");
		xml_set(model, "@vendor", kind->vendor ? kind->vendor : "unknown");
	}
}

static void add_modes(xmlNode *root, const struct cpu_catalog *catalog)
{
	xmlNode *cpu = xml_add(root, "cpu");

	/* Nobody migrates yet, so there is no choice between what can and what cannot be. */
	add_enum(add_mode(cpu, "host-passthrough", true), "hostPassthroughMigratable", "off");
	add_enum(add_mode(cpu, "maximum", true), "maximumMigratable", "off");
	add_host_model(cpu, catalog);
	add_custom(cpu, catalog);
}

char *capabilities_format_domain(const struct capabilities *caps, const struct capabilities_request *request)
{
	auto_xml xmlDoc *doc = new_doc("domainCapabilities");
	xmlNode *root = xmlDocGetRootElement(doc);

	xml_set(root, "path", request->emulator);
	xml_set(root, "domain", request->virttype);
	xml_set(root, "machine", request->machine);
	xml_set(root, "arch", request->arch);
	xml_setf(root, "vcpu/@max", "%u", VM_CONFIG_MAX_VCPUS);
	add_abilities(root, before_cpu, G_N_ELEMENTS(before_cpu));
	add_modes(root, caps->catalog);
	add_abilities(root, after_cpu, G_N_ELEMENTS(after_cpu));
	return xml_format(root);
}
