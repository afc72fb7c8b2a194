/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF kernels with a PVH entry point: the x86/HVM direct boot ABI of Xen (docs/misc/pvh.pandoc,
 * xen/include/public/arch-x86/hvm/start_info.h).
 *
 * A note named "Xen" of type 18 holds the physical address of a 32-bit entry point. Segments are loaded at their
 * physical addresses; EBX points to a start info structure that leads to command line, initrd (a "module"), RSDP and
 * memory map. Both ELF classes are read through one checked structure per header.
 */
#include <elf.h>

#include "core/base/error.h"
#include "vmm/boot-common.h"

#define NOTE_NAME "Xen"
#define NOTE_PHYS32_ENTRY 18u
#define MAX_SEGMENTS 64u
#define CMDLINE_LIMIT (BOOT_CMDLINE_MAX - 1) /* the ABI names none; kernels cut at their own */

#define START_INFO_MAGIC 0x336ec578u
#define MODULES_ADDR (BOOT_INFO_ADDR + 0x100)
#define MAP_ADDR (BOOT_INFO_ADDR + 0x200)

struct start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules, cmdline, rsdp;
	uint64_t map; /* since version 1 */
	uint32_t n_map, reserved;
};

struct start_module {
	uint64_t addr, size, cmdline, reserved;
};

struct start_map_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

G_STATIC_ASSERT(sizeof(struct start_info) == 56);
G_STATIC_ASSERT(sizeof(struct start_map_entry) == 24);
G_STATIC_ASSERT(MAP_ADDR + BOOT_MAP_MAX * sizeof(struct start_map_entry) <= BOOT_PAGES_ADDR);

struct segment {
	uint32_t type;
	uint64_t offset, filesz, memsz, paddr, align;
};

struct pvh_image {
	bool is64;
	struct segment segments[MAX_SEGMENTS];
	size_t n_segments;
	uint64_t entry; /* 0: no note seen */
	uint64_t end;	/* highest loaded address, exclusive */
};

static bool is_elf(const struct boot_spec *spec)
{
	return spec->kernel_size >= EI_NIDENT && memcmp(spec->kernel, ELFMAG, SELFMAG) == 0;
}

static struct segment read_segment(const uint8_t *p, bool is64)
{
	if (is64) {
		Elf64_Phdr ph;

		memcpy(&ph, p, sizeof(ph));
		return (struct segment){ .type = GUINT32_FROM_LE(ph.p_type),
					 .offset = GUINT64_FROM_LE(ph.p_offset),
					 .filesz = GUINT64_FROM_LE(ph.p_filesz),
					 .memsz = GUINT64_FROM_LE(ph.p_memsz),
					 .paddr = GUINT64_FROM_LE(ph.p_paddr),
					 .align = GUINT64_FROM_LE(ph.p_align) };
	}
	Elf32_Phdr ph;

	memcpy(&ph, p, sizeof(ph));
	return (struct segment){ .type = GUINT32_FROM_LE(ph.p_type),
				 .offset = GUINT32_FROM_LE(ph.p_offset),
				 .filesz = GUINT32_FROM_LE(ph.p_filesz),
				 .memsz = GUINT32_FROM_LE(ph.p_memsz),
				 .paddr = GUINT32_FROM_LE(ph.p_paddr),
				 .align = GUINT32_FROM_LE(ph.p_align) };
}

static bool check_segment(const struct boot_spec *spec, const struct segment *seg, GError **err)
{
	if (seg->offset > spec->kernel_size || seg->filesz > spec->kernel_size - seg->offset)
		return fail(err, LODGE_ERROR_INPUT, "%s: truncated: a segment reaches past the end of the file",
			    spec->kernel_name);
	if (seg->type != PT_LOAD || seg->memsz == 0)
		return true;
	if (seg->filesz > seg->memsz || seg->memsz > UINT64_MAX - seg->paddr)
		return fail(err, LODGE_ERROR_INPUT, "%s: damaged: a segment's sizes contradict each other",
			    spec->kernel_name);
	if (seg->paddr < BOOT_KERNEL_MIN)
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "%s: a segment loads at %#" G_GINT64_MODIFIER "x, below 1 MiB", spec->kernel_name,
			    seg->paddr);
	return true;
}

static bool read_segments(const struct boot_spec *spec, uint64_t phoff, size_t entsize, size_t n,
			  struct pvh_image *image, GError **err)
{
	if (entsize != (image->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || n == 0 || n > MAX_SEGMENTS)
		return fail(err, LODGE_ERROR_INPUT, "%s: damaged: %zu program headers of %zu bytes", spec->kernel_name,
			    n, entsize);
	if (phoff > spec->kernel_size || n * entsize > spec->kernel_size - phoff)
		return fail(err, LODGE_ERROR_INPUT, "%s: truncated: the program headers are missing",
			    spec->kernel_name);
	for (size_t i = 0; i < n; i++) {
		struct segment seg = read_segment(spec->kernel + phoff + i * entsize, image->is64);

		if (!check_segment(spec, &seg, err))
			return false;
		if (seg.type == PT_LOAD && seg.memsz != 0)
			image->end = MAX(image->end, seg.paddr + seg.memsz);
		image->segments[image->n_segments++] = seg;
	}
	return true;
}

static bool read_header(const struct boot_spec *spec, struct pvh_image *image, GError **err)
{
	const uint8_t *ident = spec->kernel;
	Elf64_Ehdr eh;
	Elf32_Ehdr eh32;

	image->is64 = ident[EI_CLASS] == ELFCLASS64;
	if (ident[EI_DATA] != ELFDATA2LSB || (!image->is64 && ident[EI_CLASS] != ELFCLASS32))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "%s: an ELF file for another kind of processor",
			    spec->kernel_name);
	if (spec->kernel_size < (image->is64 ? sizeof(eh) : sizeof(eh32)))
		return fail(err, LODGE_ERROR_INPUT, "%s: truncated: the ELF header is incomplete", spec->kernel_name);
	memcpy(&eh32, ident, sizeof(eh32));
	if (GUINT16_FROM_LE(eh32.e_machine) != EM_X86_64 && GUINT16_FROM_LE(eh32.e_machine) != EM_386)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "%s: an ELF file for another kind of processor",
			    spec->kernel_name);
	if (GUINT16_FROM_LE(eh32.e_type) != ET_EXEC && GUINT16_FROM_LE(eh32.e_type) != ET_DYN)
		return fail(err, LODGE_ERROR_INPUT, "%s: not a kernel: an ELF file that cannot be executed",
			    spec->kernel_name);
	if (!image->is64)
		return read_segments(spec, GUINT32_FROM_LE(eh32.e_phoff), GUINT16_FROM_LE(eh32.e_phentsize),
				     GUINT16_FROM_LE(eh32.e_phnum), image, err);
	memcpy(&eh, ident, sizeof(eh));
	return read_segments(spec, GUINT64_FROM_LE(eh.e_phoff), GUINT16_FROM_LE(eh.e_phentsize),
			     GUINT16_FROM_LE(eh.e_phnum), image, err);
}

/*
 * Notes: three 32-bit words (name size, descriptor size, type), then name and descriptor, each padded to the
 * segment's alignment.
 */
static uint64_t find_entry_note(const uint8_t *notes, size_t len, size_t align)
{
	while (len >= 12) {
		size_t namesz = boot_le32(notes), descsz = boot_le32(notes + 4), type = boot_le32(notes + 8);
		size_t name_len = (namesz + align - 1) & ~(align - 1), desc_len = (descsz + align - 1) & ~(align - 1);
		const uint8_t *name = notes + 12;

		if (name_len > len - 12 || descsz > len - 12 - name_len)
			return 0;
		if (type == NOTE_PHYS32_ENTRY && namesz == sizeof(NOTE_NAME) && memcmp(name, NOTE_NAME, namesz) == 0) {
			if (descsz == 8)
				return boot_le64(name + name_len);
			return descsz == 4 ? boot_le32(name + name_len) : 0;
		}
		if (desc_len > len - 12 - name_len)
			return 0;
		notes = name + name_len + desc_len;
		len -= 12 + name_len + desc_len;
	}
	return 0;
}

static bool find_entry(const struct boot_spec *spec, struct pvh_image *image, GError **err)
{
	for (size_t i = 0; i < image->n_segments && image->entry == 0; i++) {
		const struct segment *seg = &image->segments[i];

		if (seg->type == PT_NOTE)
			image->entry = find_entry_note(spec->kernel + seg->offset, seg->filesz,
						       seg->align == 8 ? 8 : 4);
	}
	if (image->entry == 0)
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "%s: an ELF file without a PVH entry point (a Linux vmlinux needs CONFIG_PVH)",
			    spec->kernel_name);
	for (size_t i = 0; i < image->n_segments; i++) {
		const struct segment *seg = &image->segments[i];

		if (seg->type == PT_LOAD && image->entry >= seg->paddr && image->entry - seg->paddr < seg->memsz)
			return true;
	}
	return fail(err, LODGE_ERROR_INPUT, "%s: damaged: the entry point %#" G_GINT64_MODIFIER "x is in no segment",
		    spec->kernel_name, image->entry);
}

static bool load_segments(struct memory *mem, const struct boot_spec *spec, const struct pvh_image *image, GError **err)
{
	for (size_t i = 0; i < image->n_segments; i++) {
		const struct segment *seg = &image->segments[i];

		if (seg->type != PT_LOAD || seg->memsz == 0)
			continue;
		if (!boot_write(mem, spec, seg->paddr, spec->kernel + seg->offset, seg->filesz, err))
			return false;
		/* At a machine reset this memory holds the last run's data. */
		if (!memory_fill(mem, seg->paddr + seg->filesz, 0, seg->memsz - seg->filesz))
			return fail(err, LODGE_ERROR_INTERNAL, "%s: a checked segment left guest memory",
				    spec->kernel_name);
	}
	return true;
}

static bool write_map(struct memory *mem, const struct boot_spec *spec, size_t *n, GError **err)
{
	struct boot_map_entry map[BOOT_MAP_MAX];
	struct start_map_entry out[BOOT_MAP_MAX] = { 0 };

	*n = boot_memory_map(mem, spec, map, G_N_ELEMENTS(map));
	for (size_t i = 0; i < *n; i++)
		out[i] = (struct start_map_entry){ .addr = GUINT64_TO_LE(map[i].base),
						   .size = GUINT64_TO_LE(map[i].size),
						   .type = GUINT32_TO_LE(map[i].type) };
	return boot_write(mem, spec, MAP_ADDR, out, *n * sizeof(out[0]), err);
}

static bool write_start_info(struct memory *mem, const struct boot_spec *spec, uint64_t initrd, GError **err)
{
	struct start_module module = { .addr = GUINT64_TO_LE(initrd),
				       .size = GUINT64_TO_LE((uint64_t)spec->initrd_size) };
	struct start_info info = {
		.magic = GUINT32_TO_LE(START_INFO_MAGIC),
		.version = GUINT32_TO_LE(1),
		.n_modules = GUINT32_TO_LE(initrd ? 1 : 0),
		.modules = GUINT64_TO_LE(initrd ? MODULES_ADDR : 0),
		.cmdline = GUINT64_TO_LE(BOOT_CMDLINE_ADDR),
		.rsdp = GUINT64_TO_LE(spec->rsdp),
		.map = GUINT64_TO_LE(MAP_ADDR),
	};
	size_t n_map;

	if (!write_map(mem, spec, &n_map, err))
		return false;
	info.n_map = GUINT32_TO_LE((uint32_t)n_map);
	return boot_write(mem, spec, MODULES_ADDR, &module, sizeof(module), err) &&
	       boot_write(mem, spec, BOOT_INFO_ADDR, &info, sizeof(info), err);
}

bool boot_load_pvh(struct memory *mem, const struct boot_spec *spec, struct x86_cpu_state *state, bool *matched,
		   GError **err)
{
	struct pvh_image image = { 0 };
	uint64_t initrd;

	*matched = is_elf(spec);
	if (!*matched)
		return false;
	if (!read_header(spec, &image, err) || !find_entry(spec, &image, err) ||
	    !boot_check_kernel_end(mem, spec, image.end, err) || !boot_load_cmdline(mem, spec, CMDLINE_LIMIT, err) ||
	    !load_segments(mem, spec, &image, err) ||
	    !boot_load_initrd(mem, spec, image.end, MEMORY_HIGH_BASE, &initrd, err) ||
	    !write_start_info(mem, spec, initrd, err) || !boot_enter_32bit(mem, spec, image.entry, state, err))
		return false;
	state->gpr[X86_RBX] = BOOT_INFO_ADDR;
	return true;
}
