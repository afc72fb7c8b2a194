/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DSDT's contents: the devices a guest cannot find by probing, each with its ports, memory and interrupts.
 *
 * Two objects are left out on purpose. No \_S3: the board cannot sleep. No PNP0C0C power button: the button is a
 * fixed feature (PM1 event block), and such a device in the namespace would tell the guest to expect a control method
 * instead (ACPI 6.4 section 5.2.9, flag PWR_BUTTON).
 */
#include "vmm/acpi.h"

#include "vmm/aml.h"
#include "vmm/dev/devices.h"

#define PCI_SLOTS 32u
#define PCI_PINS 4u

#define SLEEP_TYPE_S5 5u /* what pm.c takes as "off" in PM1 control */

#define OSC_UUID_PCI "33DB4D5B-1FF7-401C-9657-7441C03DD766"
/* PCI Firmware 3.3 table 4-6: the PCIe capability structure. There is no hot-plug, PME or AER to hand over. */
#define OSC_CONTROL_GRANTED 0x10u
#define OSC_UNKNOWN_UUID 0x04u
#define OSC_UNKNOWN_REVISION 0x08u
#define OSC_MASKED 0x10u

struct isa_io {
	uint16_t base;
	uint8_t len;
};

/* Devices at fixed ports: name, id, up to two port ranges, interrupt (0: none). */
struct isa_device {
	const char *name, *hid;
	unsigned uid;
	struct isa_io io[2];
	unsigned irq;
};

static const struct isa_device rtc_device_row = { "RTC", "PNP0B00", 1, { { 0x70, 4 } }, 8 };
static const struct isa_device kbd_device_row = { "KBD", "PNP0303", 1, { { 0x60, 1 }, { 0x64, 1 } }, 1 };
static const struct isa_device com_device_rows[] = {
	{ "COM1", "PNP0501", 1, { { 0x3f8, 8 } }, 4 },
	{ "COM2", "PNP0501", 2, { { 0x2f8, 8 } }, 3 },
	{ "COM3", "PNP0501", 3, { { 0x3e8, 8 } }, 4 },
	{ "COM4", "PNP0501", 4, { { 0x2e8, 8 } }, 3 },
};

static void add_isa_device(struct aml *aml, const struct isa_device *row)
{
	aml_begin_device(aml, row->name);
	aml_name_eisaid(aml, "_HID", row->hid);
	aml_name_int(aml, "_UID", row->uid);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	for (size_t i = 0; i < G_N_ELEMENTS(row->io) && row->io[i].len; i++)
		aml_io(aml, row->io[i].base, row->io[i].len);
	if (row->irq)
		aml_irq(aml, row->irq);
	aml_end(aml);
	aml_end(aml);
}

static void add_processors(struct aml *aml, const struct acpi_spec *spec)
{
	for (unsigned i = 0; i < spec->n_cpus; i++) {
		char name[5];

		g_snprintf(name, sizeof(name), "C%03X", i & 0xfff);
		aml_begin_device(aml, name);
		aml_name(aml, "_HID");
		aml_string(aml, "ACPI0007");
		aml_name_int(aml, "_UID", i);
		aml_end(aml);
	}
}

/* Ports and memory that belong to the board itself, so that nothing else is put there. */
static void add_board_resources(struct aml *aml, const struct acpi_spec *spec)
{
	aml_begin_device(aml, "MRES");
	aml_name_eisaid(aml, "_HID", "PNP0C02");
	aml_name_int(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_io(aml, PM_BASE, ACPI_PM_SIZE);
	aml_io(aml, ACPI_SMI_PORT, 2);
	if (spec->ecam_base && spec->ecam_base <= UINT32_MAX)
		aml_memory32(aml, (uint32_t)spec->ecam_base, spec->ecam_buses << 20);
	aml_end(aml);
	aml_end(aml);
}

static void add_hpet(struct aml *aml)
{
	aml_begin_device(aml, "HPET");
	aml_name_eisaid(aml, "_HID", "PNP0103");
	aml_name_int(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_memory32(aml, ACPI_HPET_ADDR, 0x400);
	aml_end(aml);
	aml_end(aml);
}

static void add_pvpanic(struct aml *aml)
{
	aml_begin_device(aml, "PEVT");
	aml_name(aml, "_HID");
	aml_string(aml, "QEMU0001");
	aml_name_int(aml, "_STA", 0xf);
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_io(aml, 0x505, 1);
	aml_end(aml);
	aml_end(aml);
}

static void add_pci_windows(struct aml *aml, const struct acpi_spec *spec)
{
	aml_name(aml, "_CRS");
	aml_begin_resources(aml);
	aml_bus_window(aml, 0, (uint16_t)spec->ecam_buses);
	aml_io(aml, 0xcf8, 8);
	if (spec->pci_io_size)
		aml_io_window(aml, spec->pci_io_base, spec->pci_io_size);
	if (spec->pci_mmio32_size)
		aml_memory32_window(aml, (uint32_t)spec->pci_mmio32_base, (uint32_t)spec->pci_mmio32_size);
	if (spec->pci_mmio64_size)
		aml_memory64_window(aml, spec->pci_mmio64_base, spec->pci_mmio64_size);
	aml_end(aml);
}

/* _PRT (ACPI 6.4 section 6.2.13): every pin of every slot goes straight to a GSI. */
static void add_pci_routing(struct aml *aml, const struct acpi_spec *spec)
{
	aml_name(aml, "_PRT");
	aml_begin_package(aml, PCI_SLOTS * PCI_PINS);
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		for (unsigned pin = 0; pin < PCI_PINS; pin++) {
			aml_begin_package(aml, 4);
			aml_int(aml, slot << 16 | 0xffff);
			aml_int(aml, pin);
			aml_int(aml, 0);
			aml_int(aml, spec->pci_intx_gsi[(slot + pin) % PCI_PINS]);
			aml_end(aml);
		}
	}
	aml_end(aml);
}

/* CDW1 |= bits */
static void osc_set_status(struct aml *aml, unsigned bits)
{
	aml_operator(aml, AML_OR);
	aml_ref(aml, "CDW1");
	aml_int(aml, bits);
	aml_ref(aml, "CDW1");
}

/* _OSC (section 6.2.11): the guest says what it wants to control, the firmware strikes out what there is not. */
static void add_pci_osc(struct aml *aml)
{
	aml_begin_method(aml, "_OSC", 4);
	aml_create_dword_field(aml, 3, 0, "CDW1");
	aml_begin_if(aml);
	aml_operator(aml, AML_EQUAL);
	aml_arg(aml, 0);
	aml_uuid(aml, OSC_UUID_PCI);

	aml_create_dword_field(aml, 3, 8, "CDW3");
	aml_operator(aml, AML_AND);
	aml_ref(aml, "CDW3");
	aml_int(aml, OSC_CONTROL_GRANTED);
	aml_local(aml, 0);

	aml_begin_if(aml);
	aml_operator(aml, AML_NOT);
	aml_operator(aml, AML_EQUAL);
	aml_arg(aml, 1);
	aml_int(aml, 1);
	osc_set_status(aml, OSC_UNKNOWN_REVISION);
	aml_end(aml);

	aml_begin_if(aml);
	aml_operator(aml, AML_NOT);
	aml_operator(aml, AML_EQUAL);
	aml_ref(aml, "CDW3");
	aml_local(aml, 0);
	osc_set_status(aml, OSC_MASKED);
	aml_end(aml);

	aml_operator(aml, AML_STORE);
	aml_local(aml, 0);
	aml_ref(aml, "CDW3");
	aml_end(aml);

	aml_begin_else(aml);
	osc_set_status(aml, OSC_UNKNOWN_UUID);
	aml_end(aml);
	aml_operator(aml, AML_RETURN);
	aml_arg(aml, 3);
	aml_end(aml);
}

static void add_pci_root(struct aml *aml, const struct acpi_spec *spec)
{
	aml_begin_device(aml, "PCI0");
	aml_name_eisaid(aml, "_HID", "PNP0A08");
	aml_name_eisaid(aml, "_CID", "PNP0A03");
	aml_name_int(aml, "_UID", 0);
	aml_name_int(aml, "_SEG", 0);
	aml_name_int(aml, "_BBN", 0);
	add_pci_windows(aml, spec);
	add_pci_routing(aml, spec);
	add_pci_osc(aml);
	aml_end(aml);
}

/* \_S5: values for PM1a and PM1b control, and two reserved ones (section 7.4.2). */
static void add_sleep_states(struct aml *aml)
{
	aml_name(aml, "_S5");
	aml_begin_package(aml, 4);
	aml_int(aml, SLEEP_TYPE_S5);
	aml_int(aml, SLEEP_TYPE_S5);
	aml_int(aml, 0);
	aml_int(aml, 0);
	aml_end(aml);
}

void acpi_dsdt_append(GByteArray *out, const struct acpi_spec *spec)
{
	autoptr(aml) aml = aml_new();

	add_sleep_states(aml);
	aml_begin_scope(aml, "_SB");
	add_processors(aml, spec);
	add_board_resources(aml, spec);
	if (spec->ecam_base)
		add_pci_root(aml, spec);
	for (size_t i = 0; i < G_N_ELEMENTS(com_device_rows); i++) {
		if (spec->uarts >> i & 1)
			add_isa_device(aml, &com_device_rows[i]);
	}
	add_isa_device(aml, &rtc_device_row);
	add_isa_device(aml, &kbd_device_row);
	if (spec->hpet)
		add_hpet(aml);
	if (spec->pvpanic)
		add_pvpanic(aml);
	aml_end(aml);
	g_byte_array_append(out, aml_bytes(aml)->data, aml_bytes(aml)->len);
}
