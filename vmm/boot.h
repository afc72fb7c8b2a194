/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_BOOT_H
#define LODGE_VMM_BOOT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"
#include "vmm/x86-state.h"

/*
 * Direct kernel boot: loads a kernel image, an initrd and a command line into guest RAM and gives vCPU 0's state at the entry point.
 * Image formats: bzImage (Documentation/arch/x86/boot.rst; 64-bit entry when XLF_KERNEL_64 is offered, 32-bit otherwise) and PVH ELF (Xen "PHYS32_ENTRY"
 * note). Everything read from the files is checked before it is used.
 */
struct boot_spec {
	const uint8_t *kernel; /* whole file in memory (mapped read-only) */
	size_t kernel_size;
	const uint8_t *initrd; /* or NULL */
	size_t initrd_size;
	const char *kernel_name, *initrd_name; /* for error messages */
	const char *append;
	uint64_t rsdp; /* guest address of the RSDP, for the zero page / PVH start info; 0 = none */
	uint64_t acpi_base, acpi_size; /* where the ACPI tables lie, reserved in e820 */
};

/* Loads and fills *state (starting from x86_state_reset()). Errors name the file and what is wrong with it. */
bool boot_load(struct memory *mem, const struct boot_spec *spec, struct x86_cpu_state *state, GError **err);

/* The two formats; each answers false with *matched = false when the file is of another kind. */
bool boot_load_bzimage(struct memory *mem, const struct boot_spec *spec, struct x86_cpu_state *state, bool *matched, GError **err);
bool boot_load_pvh(struct memory *mem, const struct boot_spec *spec, struct x86_cpu_state *state, bool *matched, GError **err);

/* e820-style map shared by both: RAM, reserved holes (EBDA/BIOS area, ECAM, local APIC..), ACPI. */
struct boot_map_entry {
	uint64_t base, size;
	uint32_t type; /* 1 RAM, 2 reserved, 3 ACPI reclaimable, 4 NVS */
};
#define BOOT_MAP_MAX 16u /* entries that are always enough */
size_t boot_memory_map(const struct memory *mem, const struct boot_spec *spec, struct boot_map_entry *map, size_t cap);

/*
 * What firmware would have left in every processor and a direct boot must set up instead: MTRRs that make all memory
 * write-back. boot_load() does it for vCPU 0; do it for the others after x86_state_reset(), or the guest finds
 * processors that disagree.
 */
void boot_firmware_state(struct x86_cpu_state *state);

#endif
