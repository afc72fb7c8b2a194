/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_BOOT_COMMON_H
#define LODGE_VMM_BOOT_COMMON_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vmm/boot.h"

/*
 * What the image formats share. A loader puts its small structures into the first 128 KiB of guest RAM, the kernel
 * where the file wants it at or above 1 MiB, and the initrd at the top of RAM below 4 GiB.
 */
#define BOOT_GDT_ADDR UINT64_C(0x1000)
#define BOOT_INFO_ADDR UINT64_C(0x2000)	 /* one page: zero page, or PVH start info with its lists */
#define BOOT_PAGES_ADDR UINT64_C(0x3000) /* page tables: PML4, PDPT, four page directories */
#define BOOT_CMDLINE_ADDR UINT64_C(0x10000)
#define BOOT_CMDLINE_MAX UINT64_C(0x10000) /* bytes with the final 0 */
#define BOOT_EBDA_ADDR UINT64_C(0x9fc00)   /* end of conventional memory */
#define BOOT_KERNEL_MIN UINT64_C(0x100000)

/* Selectors and descriptors that Documentation/arch/x86/boot.rst asks for (__BOOT_CS, __BOOT_DS). */
#define BOOT_CS 0x10u
#define BOOT_DS 0x18u
#define BOOT_CODE32_ATTR (X86_ATTR_G | X86_ATTR_DB | X86_ATTR_P | X86_ATTR_S | 0xbu)
#define BOOT_CODE64_ATTR (X86_ATTR_G | X86_ATTR_L | X86_ATTR_P | X86_ATTR_S | 0xbu)
#define BOOT_DATA_ATTR (X86_ATTR_G | X86_ATTR_DB | X86_ATTR_P | X86_ATTR_S | 0x3u)

/* Little-endian fields of files: the caller has checked that the bytes are there. */
static inline uint16_t boot_le16(const uint8_t *p)
{
	uint16_t val;

	memcpy(&val, p, sizeof(val));
	return GUINT16_FROM_LE(val);
}

static inline uint32_t boot_le32(const uint8_t *p)
{
	uint32_t val;

	memcpy(&val, p, sizeof(val));
	return GUINT32_FROM_LE(val);
}

static inline uint64_t boot_le64(const uint8_t *p)
{
	uint64_t val;

	memcpy(&val, p, sizeof(val));
	return GUINT64_FROM_LE(val);
}

/* Bytes as MiB, rounded up: what messages count in. */
static inline uint64_t boot_mib(uint64_t bytes)
{
	return bytes / 1048576 + (bytes % 1048576 != 0);
}

/* Refuses when the kernel occupies RAM up to end (bytes, exclusive) and the VM has less; says how much would do. */
bool boot_check_kernel_end(const struct memory *mem, const struct boot_spec *spec, uint64_t end, GError **err);

/*
 * Loads the initrd page aligned as high as possible below limit and the end of low RAM, and not below floor. *gpa is
 * 0 when there is none.
 */
bool boot_load_initrd(struct memory *mem, const struct boot_spec *spec, uint64_t floor, uint64_t limit, uint64_t *gpa,
		      GError **err);

/* Writes spec->append to BOOT_CMDLINE_ADDR. max: longest the kernel takes, without the final 0. */
bool boot_load_cmdline(struct memory *mem, const struct boot_spec *spec, uint64_t max, GError **err);

/* memory_write() of one of our own structures: false can only mean that RAM ends too early. */
bool boot_write(struct memory *mem, const struct boot_spec *spec, uint64_t gpa, const void *data, size_t len,
		GError **err);

/*
 * 32-bit protected mode without paging, flat segments, interrupts off, every general register 0: what both 32-bit
 * entries ask for.
 */
bool boot_enter_32bit(struct memory *mem, const struct boot_spec *spec, uint64_t entry, struct x86_cpu_state *state,
		      GError **err);

/* The GDT at BOOT_GDT_ADDR and the segment registers that go with it. */
bool boot_load_gdt(struct memory *mem, const struct boot_spec *spec, uint16_t code_attr, struct x86_cpu_state *state,
		   GError **err);

#endif
