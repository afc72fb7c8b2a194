/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux bzImage, entered past its real-mode part: field names are those of
 * Documentation/arch/x86/boot.rst.
 *
 * The file is a boot sector and setup code (real mode, not used), then the protected-mode kernel, which we load at
 * its preferred address. There it unpacks itself into [runtime start, runtime start + init_size), so that whole range
 * must be RAM and nothing else may lie in it. The setup header inside the first sectors is copied to the zero page,
 * where the kernel finds it with what we filled in.
 */
#include "core/base/error.h"
#include "vmm/boot-common.h"

/* Offsets in the file and, for the setup header, in the zero page too. */
#define HDR_START 0x1f1u
#define HDR_SETUP_SECTS 0x1f1u
#define HDR_SYSSIZE 0x1f4u
#define HDR_BOOT_FLAG 0x1feu
#define HDR_JUMP 0x200u
#define HDR_MAGIC 0x202u
#define HDR_VERSION 0x206u
#define HDR_TYPE_OF_LOADER 0x210u
#define HDR_LOADFLAGS 0x211u
#define HDR_CODE32_START 0x214u
#define HDR_RAMDISK_IMAGE 0x218u
#define HDR_RAMDISK_SIZE 0x21cu
#define HDR_CMD_LINE_PTR 0x228u
#define HDR_INITRD_ADDR_MAX 0x22cu
#define HDR_KERNEL_ALIGNMENT 0x230u
#define HDR_RELOCATABLE 0x234u
#define HDR_XLOADFLAGS 0x236u
#define HDR_CMDLINE_SIZE 0x238u
#define HDR_PREF_ADDRESS 0x258u
#define HDR_INIT_SIZE 0x260u
#define HDR_MAX_END 0x290u /* boot_params has room for the header up to here */

/* Zero page fields beside the header: Documentation/arch/x86/zero-page.rst. */
#define ZP_SIZE 4096u
#define ZP_ACPI_RSDP 0x070u
#define ZP_EXT_RAMDISK_IMAGE 0x0c0u
#define ZP_EXT_RAMDISK_SIZE 0x0c4u
#define ZP_EXT_CMD_LINE_PTR 0x0c8u
#define ZP_E820_ENTRIES 0x1e8u
#define ZP_E820_TABLE 0x2d0u
#define ZP_E820_ENTRY_SIZE 20u

#define BOOT_FLAG 0xaa55u
#define VERSION_MIN 0x0206u	     /* cmdline_size */
#define VERSION_PREF_ADDRESS 0x020au /* pref_address, init_size */
#define VERSION_XLOADFLAGS 0x020cu
#define VERSION_ACPI_RSDP 0x020eu
#define LOADFLAGS_LOADED_HIGH 0x01u
#define LOADFLAGS_KEEP 0x01u /* the rest are the loader's own, or the kernel's private ones */
#define XLOADFLAGS_KERNEL_64 0x0001u
#define ENTRY_64_OFFSET 0x200u
#define ALIGNMENT_MAX (UINT64_C(1) << 30)
#define LOADER_UNREGISTERED 0xffu
#define SECTOR 512u
#define PARAGRAPH 16u

#define PTE_PRESENT_WRITE 0x003u
#define PTE_LARGE 0x080u
#define LARGE_PAGE (UINT64_C(2) << 20)
#define N_DIRECTORIES 4u

struct bzimage {
	uint16_t version;
	bool entry64;
	size_t header_end;	      /* in the file: first byte after the setup header */
	size_t payload, payload_size; /* protected-mode kernel in the file */
	uint64_t load;		      /* where the payload goes */
	uint64_t end;		      /* first byte after what the kernel uses until it knows its memory map */
	uint64_t initrd_limit;	      /* exclusive */
	uint32_t cmdline_size;	      /* without the final 0 */
};

static void put32(uint8_t *page, size_t offset, uint32_t val)
{
	val = GUINT32_TO_LE(val);
	memcpy(page + offset, &val, sizeof(val));
}

static void put64(uint8_t *page, size_t offset, uint64_t val)
{
	val = GUINT64_TO_LE(val);
	memcpy(page + offset, &val, sizeof(val));
}

static bool is_bzimage(const struct boot_spec *spec)
{
	return spec->kernel_size >= HDR_MAGIC + 4 && boot_le16(spec->kernel + HDR_BOOT_FLAG) == BOOT_FLAG &&
	       memcmp(spec->kernel + HDR_MAGIC, "HdrS", 4) == 0;
}

/*
 * Finds the parts of the file; afterwards every header byte below header_end and the whole payload are known to be
 * there.
 */
static bool parse_layout(const struct boot_spec *spec, struct bzimage *image, GError **err)
{
	const uint8_t *file = spec->kernel;
	size_t setup_sects, wanted;

	if (spec->kernel_size < HDR_MAX_END)
		return fail(err, LODGE_ERROR_INPUT, "%s: truncated: the boot header is incomplete", spec->kernel_name);
	image->version = boot_le16(file + HDR_VERSION);
	if (image->version < VERSION_MIN)
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "%s: kernel too old: boot protocol %u.%02u, at least 2.06 is needed (Linux 2.6.22)",
			    spec->kernel_name, image->version >> 8, image->version & 0xff);
	if (!(file[HDR_LOADFLAGS] & LOADFLAGS_LOADED_HIGH))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "%s: a zImage, which loads below 1 MiB: a bzImage is needed",
			    spec->kernel_name);
	/* The second byte of the jump at 0x200 skips the rest of the header. */
	image->header_end = MIN(HDR_JUMP + 2 + file[HDR_JUMP + 1], HDR_MAX_END);
	if (image->header_end < HDR_CMDLINE_SIZE + 4)
		return fail(err, LODGE_ERROR_INPUT, "%s: damaged: the boot header ends at %#zx", spec->kernel_name,
			    image->header_end);

	setup_sects = file[HDR_SETUP_SECTS] ? file[HDR_SETUP_SECTS] : 4;
	image->payload = (setup_sects + 1) * SECTOR;
	wanted = (size_t)boot_le32(file + HDR_SYSSIZE) * PARAGRAPH;
	if (image->payload >= spec->kernel_size || wanted > spec->kernel_size - image->payload)
		return fail(err, LODGE_ERROR_INPUT, "%s: truncated: the header announces %zu bytes, the file has %zu",
			    spec->kernel_name, image->payload + wanted, spec->kernel_size);
	image->payload_size = spec->kernel_size - image->payload;
	return true;
}

static bool header_has(const struct bzimage *image, uint16_t version, size_t field_end)
{
	return image->version >= version && image->header_end >= field_end;
}

/* Where the kernel goes and how much room it takes: fields pref_address, kernel_alignment and init_size. */
static bool parse_placement(const struct boot_spec *spec, struct bzimage *image, GError **err)
{
	const uint8_t *file = spec->kernel;
	uint64_t runtime = BOOT_KERNEL_MIN, init_size = image->payload_size,
		 alignment = boot_le32(file + HDR_KERNEL_ALIGNMENT);

	if (header_has(image, VERSION_PREF_ADDRESS, HDR_INIT_SIZE + 4)) {
		init_size = boot_le32(file + HDR_INIT_SIZE);
		runtime = boot_le64(file + HDR_PREF_ADDRESS);
		if (runtime == 0)
			runtime = BOOT_KERNEL_MIN;
	}
	if (runtime < BOOT_KERNEL_MIN || runtime >= MEMORY_HIGH_BASE || runtime % MEMORY_PAGE_SIZE)
		return fail(err, LODGE_ERROR_INPUT, "%s: damaged: preferred load address %#" G_GINT64_MODIFIER "x",
			    spec->kernel_name, runtime);
	/* A kernel that cannot be relocated is loaded at 1 MiB and moves itself to the runtime address. */
	image->load = BOOT_KERNEL_MIN;
	if (file[HDR_RELOCATABLE]) {
		if (alignment == 0 || (alignment & (alignment - 1)) || alignment > ALIGNMENT_MAX)
			return fail(err, LODGE_ERROR_INPUT, "%s: damaged: alignment %#" G_GINT64_MODIFIER "x",
				    spec->kernel_name, alignment);
		image->load = runtime = (runtime + alignment - 1) & ~(alignment - 1);
	}
	image->end = MAX(image->load + image->payload_size, runtime + init_size);
	return true;
}

static bool parse(const struct boot_spec *spec, struct bzimage *image, GError **err)
{
	const uint8_t *file = spec->kernel;

	if (!parse_layout(spec, image, err) || !parse_placement(spec, image, err))
		return false;
	image->initrd_limit = (uint64_t)boot_le32(file + HDR_INITRD_ADDR_MAX) + 1;
	image->cmdline_size = boot_le32(file + HDR_CMDLINE_SIZE);
	image->entry64 = header_has(image, VERSION_XLOADFLAGS, HDR_XLOADFLAGS + 2) &&
			 boot_le16(file + HDR_XLOADFLAGS) & XLOADFLAGS_KERNEL_64;
	if (image->entry64 && image->payload_size <= ENTRY_64_OFFSET)
		return fail(err, LODGE_ERROR_INPUT, "%s: truncated: no 64-bit entry point", spec->kernel_name);
	return true;
}

static void fill_e820(const struct memory *mem, const struct boot_spec *spec, uint8_t *page)
{
	struct boot_map_entry map[BOOT_MAP_MAX];
	size_t n = boot_memory_map(mem, spec, map, G_N_ELEMENTS(map));

	for (size_t i = 0; i < n; i++) {
		size_t offset = ZP_E820_TABLE + i * ZP_E820_ENTRY_SIZE;

		put64(page, offset, map[i].base);
		put64(page, offset + 8, map[i].size);
		put32(page, offset + 16, map[i].type);
	}
	page[ZP_E820_ENTRIES] = (uint8_t)n;
}

static void fill_header(const struct boot_spec *spec, const struct bzimage *image, uint64_t initrd, uint8_t *page)
{
	memcpy(page + HDR_START, spec->kernel + HDR_START, image->header_end - HDR_START);
	page[HDR_TYPE_OF_LOADER] = LOADER_UNREGISTERED;
	page[HDR_LOADFLAGS] &= LOADFLAGS_KEEP;
	put32(page, HDR_CODE32_START, (uint32_t)image->load);
	put32(page, HDR_CMD_LINE_PTR, (uint32_t)BOOT_CMDLINE_ADDR);
	put32(page, ZP_EXT_CMD_LINE_PTR, (uint32_t)(BOOT_CMDLINE_ADDR >> 32));
	if (initrd == 0)
		return;
	put32(page, HDR_RAMDISK_IMAGE, (uint32_t)initrd);
	put32(page, ZP_EXT_RAMDISK_IMAGE, (uint32_t)(initrd >> 32));
	put32(page, HDR_RAMDISK_SIZE, (uint32_t)spec->initrd_size);
	put32(page, ZP_EXT_RAMDISK_SIZE, (uint32_t)((uint64_t)spec->initrd_size >> 32));
}

static bool write_zero_page(struct memory *mem, const struct boot_spec *spec, const struct bzimage *image,
			    uint64_t initrd, GError **err)
{
	uint8_t page[ZP_SIZE] = { 0 };

	fill_e820(mem, spec, page);
	fill_header(spec, image, initrd, page);
	/* Older kernels have padding there and search for the RSDP themselves. */
	if (image->version >= VERSION_ACPI_RSDP)
		put64(page, ZP_ACPI_RSDP, spec->rsdp);
	return boot_write(mem, spec, BOOT_INFO_ADDR, page, sizeof(page), err);
}

/* Identity map of the first 4 GiB in 2 MiB pages, which every 64-bit processor has (1 GiB pages it may not have). */
static bool write_page_tables(struct memory *mem, const struct boot_spec *spec, GError **err)
{
	const size_t entries = MEMORY_PAGE_SIZE / sizeof(uint64_t);
	g_autofree uint64_t *tables = g_new0(uint64_t, (2 + N_DIRECTORIES) * entries);
	uint64_t *pdpt = tables + entries, *directories = pdpt + entries;
	const uint64_t pdpt_addr = BOOT_PAGES_ADDR + MEMORY_PAGE_SIZE;

	tables[0] = GUINT64_TO_LE(pdpt_addr | PTE_PRESENT_WRITE);
	for (unsigned i = 0; i < N_DIRECTORIES; i++)
		pdpt[i] = GUINT64_TO_LE((pdpt_addr + (i + UINT64_C(1)) * MEMORY_PAGE_SIZE) | PTE_PRESENT_WRITE);
	for (size_t i = 0; i < N_DIRECTORIES * entries; i++)
		directories[i] = GUINT64_TO_LE(i * LARGE_PAGE | PTE_PRESENT_WRITE | PTE_LARGE);
	return boot_write(mem, spec, BOOT_PAGES_ADDR, tables, (2 + N_DIRECTORIES) * (size_t)MEMORY_PAGE_SIZE, err);
}

static bool enter_64bit(struct memory *mem, const struct boot_spec *spec, const struct bzimage *image,
			struct x86_cpu_state *state, GError **err)
{
	if (!write_page_tables(mem, spec, err) || !boot_load_gdt(mem, spec, BOOT_CODE64_ATTR, state, err))
		return false;
	memset(state->gpr, 0, sizeof(state->gpr));
	state->rip = image->load + ENTRY_64_OFFSET;
	state->rflags = X86_FLAG_FIXED;
	state->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_PG;
	state->cr3 = BOOT_PAGES_ADDR;
	state->cr4 = X86_CR4_PAE;
	state->efer = X86_EFER_LME | X86_EFER_LMA;
	return true;
}

bool boot_load_bzimage(struct memory *mem, const struct boot_spec *spec, struct x86_cpu_state *state, bool *matched,
		       GError **err)
{
	struct bzimage image = { 0 };
	uint64_t initrd;

	*matched = is_bzimage(spec);
	if (!*matched)
		return false;
	if (!parse(spec, &image, err) || !boot_check_kernel_end(mem, spec, image.end, err) ||
	    !boot_load_cmdline(mem, spec, image.cmdline_size, err) ||
	    !boot_write(mem, spec, image.load, spec->kernel + image.payload, image.payload_size, err) ||
	    !boot_load_initrd(mem, spec, image.end, image.initrd_limit, &initrd, err) ||
	    !write_zero_page(mem, spec, &image, initrd, err))
		return false;
	if (image.entry64) {
		if (!enter_64bit(mem, spec, &image, state, err))
			return false;
	} else if (!boot_enter_32bit(mem, spec, image.load, state, err)) {
		return false;
	}
	state->gpr[X86_RSI] = BOOT_INFO_ADDR;
	return true;
}
