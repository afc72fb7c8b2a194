/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables: ACPI 6.4 chapter 5 for layouts and field names; IA-PC HPET 1.0a section 3.2.4; PCI Firmware 3.3
 * section 4.1.2 (MCFG); Windows ACPI Emulated Devices Table (WAET).
 *
 * All tables are appended to one buffer whose first byte will lie at ACPI_TABLES_ADDR, so a table's address is known
 * when it is begun; every table's length and checksum are filled in when it is ended, and its address goes into the
 * XSDT, which comes last.
 */
#include "vmm/acpi.h"

#include <string.h>

#include "core/base/error.h"
#include "vmm/dev/devices.h"

#define OEM_ID "LODGE "
#define OEM_TABLE_ID "LODGEVM "
#define OEM_REVISION 1u
#define CREATOR_ID "LDGE"

#define HEADER_SIZE 36u
#define HEADER_LENGTH 4u
#define HEADER_CHECKSUM 9u

#define FACS_SIZE 64u
#define RSDP_SIZE 36u
#define RSDP_V1_SIZE 20u

/* FADT: section 5.2.9 */
#define FADT_REVISION 6u
#define FADT_SIZE 276u
#define FADT_FACS 36u
#define FADT_DSDT 40u
#define FADT_SCI 46u
#define FADT_SMI_CMD 48u
#define FADT_ACPI_ENABLE 52u
#define FADT_ACPI_DISABLE 53u
#define FADT_PM1A_EVENT 56u
#define FADT_PM1A_CONTROL 64u
#define FADT_PM_TIMER 76u
#define FADT_GPE0 80u
#define FADT_PM1_EVENT_LEN 88u
#define FADT_PM1_CONTROL_LEN 89u
#define FADT_PM_TIMER_LEN 91u
#define FADT_GPE0_LEN 92u
#define FADT_C2_LATENCY 96u
#define FADT_C3_LATENCY 98u
#define FADT_CENTURY 108u
#define FADT_IAPC_BOOT_ARCH 109u
#define FADT_FLAGS 112u
#define FADT_RESET_REG 116u
#define FADT_RESET_VALUE 128u
#define FADT_MINOR 131u
#define FADT_X_DSDT 140u
#define FADT_X_PM1A_EVENT 148u
#define FADT_X_PM1A_CONTROL 172u
#define FADT_X_PM_TIMER 208u
#define FADT_X_GPE0 220u
#define FADT_HYPERVISOR 268u

#define BOOT_ARCH_LEGACY 0x01u
#define BOOT_ARCH_8042 0x02u
#define BOOT_ARCH_NO_VGA 0x04u
#define BOOT_ARCH_NO_ASPM 0x10u

/* The power button is a fixed feature (bit 4 clear), a sleep button does not exist, the RTC does not wake. */
#define FLAG_WBINVD 0x00000001u
#define FLAG_PROC_C1 0x00000004u
#define FLAG_NO_SLEEP_BUTTON 0x00000020u
#define FLAG_NO_FIXED_RTC 0x00000040u
#define FLAG_TIMER_32BIT 0x00000100u
#define FLAG_RESET_REG 0x00000400u

#define NO_C2 101u /* latencies beyond the limits: the states do not exist */
#define NO_C3 1001u
#define CMOS_CENTURY 0x32u
#define RESET_PORT 0xcf9u
#define RESET_VALUE 0x06u

#define SPACE_MEMORY 0u
#define SPACE_IO 1u

/* MADT: section 5.2.12 */
#define MADT_PCAT_COMPAT 1u
#define MADT_LAPIC 0u
#define MADT_IOAPIC 1u
#define MADT_OVERRIDE 2u
#define MADT_LAPIC_NMI 4u
#define MADT_X2APIC 9u
#define MADT_X2APIC_NMI 10u
#define MADT_ENABLED 1u
#define MAX_XAPIC_ID 254u
#define ACTIVE_HIGH_LEVEL 0x0du
#define CONFORMS_TO_BUS 0u
#define ISA_IRQS 16u
#define PIT_GSI 2u

/* Low half of the HPET's capability register: revision 1, three 64-bit timers, legacy replacement, vendor 8086. */
#define HPET_ID 0x8086a201u
#define HPET_MIN_TICK 128u
#define WAET_PM_TIMER_GOOD 2u

struct tables {
	GByteArray *blob;
	GArray *xsdt; /* uint64_t */
	guint start;  /* of the table being written */
};

static void put(struct tables *t, uint64_t val, unsigned size)
{
	val = GUINT64_TO_LE(val);
	g_byte_array_append(t->blob, (const uint8_t *)&val, size);
}

static void put_text(struct tables *t, const char *text, unsigned size)
{
	g_byte_array_append(t->blob, (const uint8_t *)text, size);
}

static void put_zeros(struct tables *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put(t, 0, 1);
}

static void patch(struct tables *t, guint at, uint64_t val, unsigned size)
{
	val = GUINT64_TO_LE(val);
	memcpy(t->blob->data + t->start + at, &val, size);
}

static uint8_t checksum(const uint8_t *data, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + data[i]);
	return (uint8_t)-sum;
}

/* Generic Address Structure: section 5.2.3.2. access: 0 undefined, 1 byte, 2 word, 3 double word. */
static void patch_gas(struct tables *t, guint at, unsigned space, unsigned bits, unsigned access, uint64_t addr)
{
	patch(t, at, space, 1);
	patch(t, at + 1, bits, 1);
	patch(t, at + 2, 0, 1);
	patch(t, at + 3, access, 1);
	patch(t, at + 4, addr, 8);
}

static void align(struct tables *t, unsigned to)
{
	put_zeros(t, (to - t->blob->len % to) % to);
	t->start = t->blob->len;
}

static uint64_t begin_table(struct tables *t, const char *signature, unsigned revision)
{
	align(t, 16);
	put_text(t, signature, 4);
	put(t, 0, 4);
	put(t, revision, 1);
	put(t, 0, 1);
	put_text(t, OEM_ID, 6);
	put_text(t, OEM_TABLE_ID, 8);
	put(t, OEM_REVISION, 4);
	put_text(t, CREATOR_ID, 4);
	put(t, OEM_REVISION, 4);
	return ACPI_TABLES_ADDR + t->start;
}

static void end_table(struct tables *t)
{
	guint len = t->blob->len - t->start;

	patch(t, HEADER_LENGTH, len, 4);
	patch(t, HEADER_CHECKSUM, checksum(t->blob->data + t->start, len), 1);
}

/* A table the guest finds through the XSDT. */
static void begin_listed(struct tables *t, const char *signature, unsigned revision)
{
	uint64_t addr = begin_table(t, signature, revision);

	g_array_append_val(t->xsdt, addr);
}

static uint64_t add_facs(struct tables *t)
{
	align(t, 64);
	put_text(t, "FACS", 4);
	put(t, FACS_SIZE, 4);
	put_zeros(t, 24);
	put(t, 2, 1); /* version */
	put_zeros(t, FACS_SIZE - 33);
	return ACPI_TABLES_ADDR + t->start;
}

static uint64_t add_dsdt(struct tables *t, const struct acpi_spec *spec)
{
	uint64_t addr = begin_table(t, "DSDT", 2);

	acpi_dsdt_append(t->blob, spec);
	end_table(t);
	return addr;
}

/* One register block of the PM device: the 32-bit field, the length, and the 64-bit field that supersedes it. */
static void patch_pm_block(struct tables *t, guint field, guint len_field, guint x_field, unsigned offset, unsigned len,
			   unsigned access)
{
	patch(t, field, PM_BASE + offset, 4);
	patch(t, len_field, len, 1);
	patch_gas(t, x_field, SPACE_IO, len * 8, access, PM_BASE + offset);
}

static void add_fadt(struct tables *t, uint64_t facs, uint64_t dsdt)
{
	begin_listed(t, "FACP", FADT_REVISION);
	put_zeros(t, FADT_SIZE - HEADER_SIZE);
	patch(t, FADT_FACS, facs, 4);
	patch(t, FADT_DSDT, dsdt, 4);
	patch(t, FADT_X_DSDT, dsdt, 8);
	patch(t, FADT_SCI, PM_SCI_GSI, 2);
	patch(t, FADT_SMI_CMD, ACPI_SMI_PORT, 4);
	patch(t, FADT_ACPI_ENABLE, PM_ACPI_ENABLE, 1);
	patch(t, FADT_ACPI_DISABLE, PM_ACPI_DISABLE, 1);
	patch_pm_block(t, FADT_PM1A_EVENT, FADT_PM1_EVENT_LEN, FADT_X_PM1A_EVENT, 0x00, 4, 2);
	patch_pm_block(t, FADT_PM1A_CONTROL, FADT_PM1_CONTROL_LEN, FADT_X_PM1A_CONTROL, 0x04, 2, 2);
	patch_pm_block(t, FADT_PM_TIMER, FADT_PM_TIMER_LEN, FADT_X_PM_TIMER, 0x08, 4, 3);
	patch_pm_block(t, FADT_GPE0, FADT_GPE0_LEN, FADT_X_GPE0, 0x20, 16, 1);
	patch(t, FADT_C2_LATENCY, NO_C2, 2);
	patch(t, FADT_C3_LATENCY, NO_C3, 2);
	patch(t, FADT_CENTURY, CMOS_CENTURY, 1);
	patch(t, FADT_IAPC_BOOT_ARCH, BOOT_ARCH_LEGACY | BOOT_ARCH_8042 | BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_ASPM, 2);
	patch(t, FADT_FLAGS,
	      FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_SLEEP_BUTTON | FLAG_NO_FIXED_RTC | FLAG_TIMER_32BIT | FLAG_RESET_REG,
	      4);
	patch_gas(t, FADT_RESET_REG, SPACE_IO, 8, 1, RESET_PORT);
	patch(t, FADT_RESET_VALUE, RESET_VALUE, 1);
	patch(t, FADT_MINOR, 4, 1);
	memcpy(t->blob->data + t->start + FADT_HYPERVISOR, "LodgeVMM", 8);
	end_table(t);
}

static void add_madt_cpu(struct tables *t, unsigned id)
{
	if (id <= MAX_XAPIC_ID) {
		put(t, MADT_LAPIC, 1);
		put(t, 8, 1);
		put(t, id, 1); /* processor UID, as in the DSDT */
		put(t, id, 1);
		put(t, MADT_ENABLED, 4);
		return;
	}
	put(t, MADT_X2APIC, 1);
	put(t, 16, 1);
	put(t, 0, 2);
	put(t, id, 4);
	put(t, MADT_ENABLED, 4);
	put(t, id, 4);
}

static void add_madt_override(struct tables *t, unsigned irq, unsigned gsi, unsigned flags)
{
	put(t, MADT_OVERRIDE, 1);
	put(t, 10, 1);
	put(t, 0, 1); /* ISA */
	put(t, irq, 1);
	put(t, gsi, 4);
	put(t, flags, 2);
}

static void add_madt_overrides(struct tables *t, const struct acpi_spec *spec)
{
	uint32_t done = 1u << PM_SCI_GSI;

	add_madt_override(t, 0, PIT_GSI, CONFORMS_TO_BUS);
	add_madt_override(t, PM_SCI_GSI, PM_SCI_GSI, ACTIVE_HIGH_LEVEL);
	if (!spec->ecam_base)
		return;
	/* PCI pins that share the ISA range are not edge triggered as ISA is. */
	for (size_t i = 0; i < G_N_ELEMENTS(spec->pci_intx_gsi); i++) {
		unsigned gsi = spec->pci_intx_gsi[i];

		if (gsi >= ISA_IRQS || done & 1u << gsi)
			continue;
		done |= 1u << gsi;
		add_madt_override(t, gsi, gsi, ACTIVE_HIGH_LEVEL);
	}
}

/* LINT1 of every processor is NMI. */
static void add_madt_nmi(struct tables *t, const struct acpi_spec *spec)
{
	put(t, MADT_LAPIC_NMI, 1);
	put(t, 6, 1);
	put(t, 0xff, 1);
	put(t, CONFORMS_TO_BUS, 2);
	put(t, 1, 1);
	if (spec->n_cpus <= MAX_XAPIC_ID + 1)
		return;
	put(t, MADT_X2APIC_NMI, 1);
	put(t, 12, 1);
	put(t, CONFORMS_TO_BUS, 2);
	put(t, UINT32_MAX, 4);
	put(t, 1, 1);
	put(t, 0, 3);
}

static void add_madt(struct tables *t, const struct acpi_spec *spec)
{
	begin_listed(t, "APIC", 5);
	put(t, ACPI_LAPIC_ADDR, 4);
	put(t, MADT_PCAT_COMPAT, 4);
	for (unsigned id = 0; id < spec->n_cpus; id++)
		add_madt_cpu(t, id);
	put(t, MADT_IOAPIC, 1);
	put(t, 12, 1);
	put(t, 0, 1); /* I/O APIC ID */
	put(t, 0, 1);
	put(t, ACPI_IOAPIC_ADDR, 4);
	put(t, 0, 4); /* first GSI */
	add_madt_overrides(t, spec);
	add_madt_nmi(t, spec);
	end_table(t);
}

static void add_mcfg(struct tables *t, const struct acpi_spec *spec)
{
	begin_listed(t, "MCFG", 1);
	put(t, 0, 8);
	put(t, spec->ecam_base, 8);
	put(t, 0, 2); /* segment */
	put(t, 0, 1);
	put(t, spec->ecam_buses - 1, 1);
	put(t, 0, 4);
	end_table(t);
}

static void add_hpet(struct tables *t)
{
	begin_listed(t, "HPET", 1);
	put(t, HPET_ID, 4);
	put_zeros(t, 12);
	patch_gas(t, HEADER_SIZE + 4, SPACE_MEMORY, 64, 0, ACPI_HPET_ADDR);
	put(t, 0, 1); /* number */
	put(t, HPET_MIN_TICK, 2);
	put(t, 0, 1);
	end_table(t);
}

static void add_waet(struct tables *t)
{
	begin_listed(t, "WAET", 1);
	put(t, WAET_PM_TIMER_GOOD, 4);
	end_table(t);
}

static uint64_t add_xsdt(struct tables *t)
{
	uint64_t addr = begin_table(t, "XSDT", 1);

	for (guint i = 0; i < t->xsdt->len; i++)
		put(t, g_array_index(t->xsdt, uint64_t, i), 8);
	end_table(t);
	return addr;
}

static void build_tables(struct tables *t, const struct acpi_spec *spec, uint64_t *xsdt)
{
	uint64_t facs = add_facs(t), dsdt = add_dsdt(t, spec);

	add_fadt(t, facs, dsdt);
	add_madt(t, spec);
	if (spec->ecam_base)
		add_mcfg(t, spec);
	if (spec->hpet)
		add_hpet(t);
	add_waet(t);
	*xsdt = add_xsdt(t);
}

/* RSDP: section 5.2.5.3. The first checksum covers what ACPI 1.0 knew. */
static void fill_rsdp(uint8_t rsdp[RSDP_SIZE], uint64_t xsdt)
{
	uint32_t len = GUINT32_TO_LE(RSDP_SIZE);

	memset(rsdp, 0, RSDP_SIZE);
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, OEM_ID, 6);
	rsdp[15] = 2; /* revision */
	memcpy(rsdp + 20, &len, sizeof(len));
	xsdt = GUINT64_TO_LE(xsdt);
	memcpy(rsdp + 24, &xsdt, sizeof(xsdt));
	rsdp[8] = checksum(rsdp, RSDP_V1_SIZE);
	rsdp[32] = checksum(rsdp, RSDP_SIZE);
}

bool acpi_build(struct memory *mem, const struct acpi_spec *spec, uint64_t *rsdp, GError **err)
{
	g_autoptr(GByteArray) blob = g_byte_array_new();
	g_autoptr(GArray) listed = g_array_new(FALSE, FALSE, sizeof(uint64_t));
	struct tables tables = { .blob = blob, .xsdt = listed };
	uint8_t root[RSDP_SIZE];
	uint64_t xsdt;

	build_tables(&tables, spec, &xsdt);
	if (blob->len > ACPI_TABLES_MAX)
		return fail(err, LODGE_ERROR_INTERNAL,
			    "ACPI tables for %u processors take %u bytes, there is room for %u", spec->n_cpus,
			    blob->len, (unsigned)ACPI_TABLES_MAX);
	fill_rsdp(root, xsdt);
	if (!memory_write(mem, ACPI_TABLES_ADDR, blob->data, blob->len) ||
	    !memory_write(mem, ACPI_RSDP_ADDR, root, sizeof(root)))
		return fail(err, LODGE_ERROR_INPUT,
			    "the VM's memory of %" G_GUINT64_FORMAT " MiB is too small for its ACPI tables",
			    memory_size(mem) >> 20);
	*rsdp = ACPI_RSDP_ADDR;
	return true;
}
