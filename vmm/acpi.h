/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_ACPI_H
#define LODGE_VMM_ACPI_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"

/*
 * ACPI 6.4 tables (RSDP, XSDT, FADT, FACS, DSDT with own AML, MADT, MCFG, HPET, WAET) and SMBIOS 3 for direct boot: built in one buffer, placed in guest RAM.
 */
struct acpi_spec {
	unsigned n_cpus;	   /* APIC IDs 0..n-1 */
	uint64_t ecam_base;	   /* 0 = no PCI */
	unsigned ecam_buses;
	uint64_t pci_mmio32_base, pci_mmio32_size;
	uint64_t pci_mmio64_base, pci_mmio64_size;
	uint16_t pci_io_base; uint32_t pci_io_size;
	bool hpet, pvpanic;
	unsigned uarts; /* bit n: COMn+1 is there */
	unsigned pci_intx_gsi[4];  /* GSI of INTA-INTD of slot 0; swizzled by (slot + pin) % 4 */
};

struct smbios_spec {
	const char *manufacturer, *product, *version, *serial; /* NULL: Lodge's own */
	uint8_t uuid[16];
	uint64_t memory; /* bytes */
	unsigned n_cpus;
};

/* Where things go in low memory (all below 1 MiB or just above; see vmm/machine.h for the map). */
#define ACPI_RSDP_ADDR UINT64_C(0x000e0000)
#define ACPI_TABLES_ADDR UINT64_C(0x000e1000)
#define ACPI_TABLES_MAX UINT64_C(0x0000e000)
#define SMBIOS_ADDR UINT64_C(0x000f0000)
#define SMBIOS_MAX UINT64_C(0x00010000)

/* Where acpi_build() tells the guest to find the board's devices. */
#define ACPI_LAPIC_ADDR 0xfee00000u
#define ACPI_IOAPIC_ADDR 0xfec00000u
#define ACPI_HPET_ADDR 0xfed00000u
#define ACPI_PM_SIZE 0x30u  /* bytes of the PM block at PM_BASE: PM1a events, control, timer, GPE0 */
#define ACPI_SMI_PORT 0xb2u /* command; 0xb3 status */

/* Writes the tables and the RSDP into RAM; *rsdp gets its address. Fails when they do not fit: not within a VM's limits. */
bool acpi_build(struct memory *mem, const struct acpi_spec *spec, uint64_t *rsdp, GError **err);

/* The DSDT's body without its header: a part of acpi_build(). */
void acpi_dsdt_append(GByteArray *out, const struct acpi_spec *spec);

/* Writes the SMBIOS 3 entry point and its structures at SMBIOS_ADDR, where guests search for it. */
bool smbios_build(struct memory *mem, const struct smbios_spec *spec, GError **err);

#endif
