/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only some machines have: a definition that asks for it elsewhere is refused, as nothing could come of it. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

enum {
	MACHINE_PC = 1 << 0, /* i440fx and others */
	MACHINE_Q35 = 1 << 1,
	MACHINE_ARM = 1 << 2,
	MACHINE_ARM_VIRT = 1 << 3,
	MACHINE_POWER = 1 << 4,
	MACHINE_PSERIES = 1 << 5,
	MACHINE_S390 = 1 << 6,
	MACHINE_RISCV = 1 << 7,
	MACHINE_X86 = MACHINE_PC | MACHINE_Q35,
};

static const struct {
	unsigned machine;
	const char *name;
} machine_names[] = {
	{ MACHINE_X86, "PCs" },	     { MACHINE_Q35, "q35" },	     { MACHINE_ARM_VIRT, "Arm's virt machine" },
	{ MACHINE_ARM, "Arm" },	     { MACHINE_PSERIES, "pseries" }, { MACHINE_S390, "s390x" },
	{ MACHINE_RISCV, "RISC-V" },
};

#define PHB_MAX 30u /* the last PCI host bridge of a pseries machine */

/* 0: a machine about which nothing is known here. */
static unsigned machine_of(xmlNode *root)
{
	g_autofree char *arch = xml_get(root, "os/type/@arch");
	g_autofree char *machine = xml_get(root, "os/type/@machine");

	if (!arch || !machine)
		return 0;
	if (strcmp(arch, "x86_64") == 0 || strcmp(arch, "i686") == 0)
		return domain_is_q35(root) ? MACHINE_Q35 : MACHINE_PC;
	if (strcmp(arch, "aarch64") == 0 || g_str_has_prefix(arch, "armv"))
		return MACHINE_ARM | (g_str_has_prefix(machine, "virt") ? MACHINE_ARM_VIRT : 0);
	if (g_str_has_prefix(arch, "ppc"))
		return MACHINE_POWER | (g_str_has_prefix(machine, "pseries") ? MACHINE_PSERIES : 0);
	if (strcmp(arch, "s390x") == 0)
		return MACHINE_S390;
	return g_str_has_prefix(arch, "riscv") ? MACHINE_RISCV : 0;
}

/* Elements of which an attribute (NULL: none) has a value, and where they may stand. */
static const struct {
	const char *element, *path, *value;
	unsigned machines;
} places[] = {
	{ "features/gic", NULL, NULL, MACHINE_ARM_VIRT },
	{ "features/hpt", NULL, NULL, MACHINE_PSERIES },
	{ "features/htm", NULL, NULL, MACHINE_PSERIES },
	{ "features/nested-hv", NULL, NULL, MACHINE_PSERIES },
	{ "features/ccf-assist", NULL, NULL, MACHINE_PSERIES },
	{ "features/cfpc", NULL, NULL, MACHINE_PSERIES },
	{ "features/sbbc", NULL, NULL, MACHINE_PSERIES },
	{ "features/ibs", NULL, NULL, MACHINE_PSERIES },
	{ "features/smm/tseg", NULL, NULL, MACHINE_Q35 },
	{ "clock/timer", "@name", "tsc", MACHINE_X86 },
	{ "clock/timer", "@name", "hpet", MACHINE_X86 },
	{ "clock/timer", "@name", "pit", MACHINE_X86 },
	{ "clock/timer", "@name", "kvmclock", MACHINE_X86 },
	{ "clock/timer", "@name", "hypervclock", MACHINE_X86 },
	{ "clock/timer", "@name", "armvtimer", MACHINE_ARM },
	{ "devices/iommu", "@model", "intel", MACHINE_Q35 },
	{ "devices/iommu", "@model", "smmuv3", MACHINE_ARM_VIRT },
	{ "devices/iommu", "@model", "virtio", MACHINE_Q35 | MACHINE_ARM_VIRT },
	{ "devices/serial", "target/@type", "system-serial", MACHINE_ARM | MACHINE_RISCV },
	{ "devices/serial", "target/@type", "spapr-vio-serial", MACHINE_PSERIES },
	{ "devices/serial", "target/@type", "sclp-serial", MACHINE_S390 },
	{ "devices/parallel", NULL, NULL, MACHINE_X86 | MACHINE_ARM | MACHINE_RISCV },
	{ "devices/panic", "@model", "isa", MACHINE_X86 },
	{ "devices/panic", "@model", "hyperv", MACHINE_X86 },
	{ "devices/panic", "@model", "pseries", MACHINE_PSERIES },
	{ "devices/panic", "@model", "s390", MACHINE_S390 },
	{ "devices/panic", "address", NULL, MACHINE_X86 },
	{ "devices/tpm", "@model", "tpm-crb", MACHINE_X86 },
	{ "devices/tpm", "@model", "tpm-spapr", MACHINE_PSERIES },
	{ "devices/tpm", "@model", "spapr-tpm-proxy", MACHINE_PSERIES },
};

static bool fail_place(xmlNode *node, size_t row, GError **err)
{
	GString *where = g_string_new(NULL);
	const char *value = places[row].value, *path = places[row].path;

	for (size_t i = 0; i < G_N_ELEMENTS(machine_names); i++) {
		unsigned machine = machine_names[i].machine;

		if ((places[row].machines & machine) != machine ||
		    (machine == MACHINE_Q35 && (places[row].machines & MACHINE_X86) == MACHINE_X86))
			continue;
		g_string_append_printf(where, "%s%s", where->len ? " and " : "", machine_names[i].name);
	}
	fail_xml(err, node, path && *path == '@' ? path + 1 : NULL, "%s%s%sonly %s can have this", value ? "'" : "",
		 value ? value : "", value ? "': " : "", where->str);
	g_string_free(where, TRUE);
	return false;
}

static bool check_places(xmlNode *root, unsigned machine, GError **err)
{
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
		const char *path = places[i].path, *value = places[i].value;

		if (places[i].machines & machine)
			continue;
		for (xmlNode *n = xml_first(root, places[i].element); n; n = xml_next(n)) {
			if (!path || (value ? xml_is(n, path, value) : xml_find(n, path) != NULL))
				return fail_place(n, i, err);
		}
	}
	return true;
}

/* The mainframe's numbers of PCI functions. */
static bool check_zpci(xmlNode *root, unsigned machine, GError **err)
{
	xmlNode *devices = xml_find(root, "devices");

	for (xmlNode *device = devices ? xml_child(devices) : NULL; device; device = xml_sibling(device)) {
		xmlNode *zpci = device->ns ? NULL : xml_find(device, "address/zpci");
		uint64_t uid;

		if (zpci && machine != MACHINE_S390)
			return fail_xml(err, zpci, NULL, "only s390x can have this");
		if (zpci && xml_get_uint(zpci, "@uid", &uid) && (uid < 1 || uid > UINT16_MAX))
			return fail_xml(err, zpci, "uid", "not between 1 and 0xffff");
	}
	return true;
}

static bool check_tseg(xmlNode *root, GError **err)
{
	xmlNode *tseg = xml_find(root, "features/smm/tseg");
	g_autofree char *number = tseg ? xml_get(tseg, ".") : NULL;
	g_autofree char *unit = tseg ? xml_get(tseg, "@unit") : NULL;
	uint64_t bytes;

	if (tseg && object_bytes(number, unit ? unit : "MiB", &bytes) && bytes % (1 << 20))
		return fail_xml(err, tseg, NULL, "not a multiple of 1 MiB");
	return true;
}

/* Arm's ACPI tables come from EFI. */
static bool check_arm_acpi(xmlNode *root, unsigned machine, GError **err)
{
	if ((machine & MACHINE_ARM_VIRT) && xml_is(root, "os/type/@arch", "aarch64") &&
	    xml_find(root, "features/acpi") && !xml_is(root, "os/@firmware", "efi") &&
	    !xml_is(root, "os/loader/@type", "pflash"))
		return fail_xml(err, xml_find(root, "features/acpi"), NULL, "needs EFI firmware on this machine");
	return true;
}

/* --- PCI controllers --- */

/* Plugged onto bus 0 and nowhere else. */
static bool is_bound_to_root(xmlNode *controller)
{
	static const char *const models[] = { "pci-expander-bus", "pcie-expander-bus", "dmi-to-pci-bridge" };

	for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
		if (xml_is(controller, "@model", models[i]))
			return true;
	}
	return false;
}

static bool check_phb(xmlNode *controller, GError **err)
{
	uint64_t target, index;

	if (!xml_get_uint(controller, "target/@index", &target))
		return true;
	if (target > PHB_MAX)
		return fail_xml(err, xml_find(controller, "target"), "index", "not between 0 and %u", PHB_MAX);
	if (xml_get_uint(controller, "@index", &index) && (index == 0) != (target == 0))
		return fail_xml(err, xml_find(controller, "target"), "index",
				"0 belongs to controller 0, and to no other");
	return true;
}

static bool check_controller(xmlNode *root, xmlNode *controller, GError **err)
{
	xmlNode *address = xml_find(controller, "address"), *node = xml_find(controller, "target/node");
	bool root_bus = xml_is(controller, "@model", "pci-root") || xml_is(controller, "@model", "pcie-root");
	uint64_t cell;

	if (root_bus && address)
		return fail_xml(err, address, NULL, "bus 0 is on no other bus: it has no address");
	if (address && is_bound_to_root(controller) && domain_number(address, "@bus"))
		return fail_xml(err, address, "bus", "such a controller is on bus 0 only");
	if (node && xml_get_uint(node, ".", &cell) && cell >= domain_count_cells(root))
		return fail_xml(err, node, NULL, "there is no NUMA cell %" G_GUINT64_FORMAT, cell);
	return !root_bus || check_phb(controller, err);
}

static bool check_controllers(xmlNode *root, GError **err)
{
	for (xmlNode *n = xml_first(root, "devices/controller"); n; n = xml_next(n)) {
		if (xml_is(n, "@type", "pci") && !check_controller(root, n, err))
			return false;
	}
	return true;
}

/* It is in a table of ACPI, by a place on the root bus. */
static bool check_iommu(xmlNode *root, GError **err)
{
	xmlNode *iommu = xml_find(root, "devices/iommu");
	xmlNode *address = iommu ? xml_find(iommu, "address") : NULL;

	if (!iommu || !xml_is(iommu, "@model", "virtio"))
		return true;
	if (address && (!xml_is(address, "@type", "pci") || domain_number(address, "@bus")))
		return fail_xml(err, address, NULL, "an IOMMU of model 'virtio' is on PCI bus 0");
	if (!xml_find(root, "features/acpi"))
		return fail_xml(err, iommu, NULL, "needs <features><acpi/></features>");
	return true;
}

bool domain_check_machine(xmlNode *root, GError **err)
{
	unsigned machine = machine_of(root);

	if (!machine || !domain_is_ours(root))
		return true;
	return check_places(root, machine, err) && check_zpci(root, machine, err) && check_controllers(root, err) &&
	       check_iommu(root, err) && check_tseg(root, err) && check_arm_acpi(root, machine, err);
}
