/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Direct kernel boot: what all image formats share, and the choice between them.
 *
 * The order inside a loader is always the same: read the header into a checked structure, compare it with the RAM
 * there is, place kernel, initrd and command line, write the information page, and set the processor state last. A
 * loader that refuses may leave parts of guest RAM written; the VM is not started then.
 */
#include "vmm/boot.h"

#include "core/base/error.h"
#include "vmm/boot-common.h"
#include "vmm/pci.h"

#define BIOS_AREA_END UINT64_C(0x100000)
#define ECAM_RESERVED_SIZE (UINT64_C(256) << 20)
#define IOAPIC_BASE UINT64_C(0xfec00000)
#define LAPIC_BASE UINT64_C(0xfee00000)

#define MAP_RAM 1u
#define MAP_RESERVED 2u

#define MTRR_WRITE_BACK 6u
#define MTRR_FIXED_WRITE_BACK UINT64_C(0x0606060606060606)
#define MTRR_FIXED_ENABLE 0x400u
#define MTRR_ENABLE 0x800u
#define MTRR_FIXED_A0000 2 /* index in mtrr_fixed: the legacy VGA window */

#define LAPIC_REG(offset) (((offset) >> 4) * 4)

G_STATIC_ASSERT(PCI_ECAM_BASE >= MEMORY_LOW_MAX);

struct range {
	uint64_t base, end;
};

/* Sorted. Everything after the first lies above low RAM. */
static const struct range fixed_holes[] = {
	{ BOOT_EBDA_ADDR, BIOS_AREA_END },
	{ PCI_ECAM_BASE, PCI_ECAM_BASE + ECAM_RESERVED_SIZE },
	{ IOAPIC_BASE, IOAPIC_BASE + 0x1000 },
	{ LAPIC_BASE, LAPIC_BASE + 0x1000 },
};

#define MAX_HOLES (G_N_ELEMENTS(fixed_holes) + 1)

struct map_builder {
	struct boot_map_entry *map;
	size_t n, cap;
	struct range ram[2];
};

static void map_append(struct map_builder *builder, uint64_t base, uint64_t end, uint32_t type)
{
	if (base >= end || builder->n == builder->cap)
		return;
	builder->map[builder->n++] = (struct boot_map_entry){ .base = base, .size = end - base, .type = type };
}

static void map_append_ram(struct map_builder *builder, uint64_t base, uint64_t end)
{
	for (size_t i = 0; i < G_N_ELEMENTS(builder->ram); i++)
		map_append(builder, MAX(base, builder->ram[i].base), MIN(end, builder->ram[i].end), MAP_RAM);
}

/* The fixed holes and the ACPI tables by address; they may overlap. */
static size_t sorted_holes(const struct boot_spec *spec, struct range holes[MAX_HOLES])
{
	size_t n = G_N_ELEMENTS(fixed_holes), at;

	memcpy(holes, fixed_holes, sizeof(fixed_holes));
	if (spec->acpi_size == 0 || spec->acpi_size > UINT64_MAX - spec->acpi_base)
		return n;
	for (at = n; at > 0 && holes[at - 1].base > spec->acpi_base; at--)
		holes[at] = holes[at - 1];
	holes[at] = (struct range){ spec->acpi_base, spec->acpi_base + spec->acpi_size };
	return n + 1;
}

size_t boot_memory_map(const struct memory *mem, const struct boot_spec *spec, struct boot_map_entry *map, size_t cap)
{
	struct map_builder builder = {
		.map = map,
		.cap = cap,
		.ram = { { 0, memory_low_size(mem) }, { MEMORY_HIGH_BASE, memory_top(mem) } },
	};
	struct range holes[MAX_HOLES];
	size_t n_holes = sorted_holes(spec, holes);
	uint64_t cursor = 0;

	for (size_t i = 0; i < n_holes; i++) {
		map_append_ram(&builder, cursor, holes[i].base);
		map_append(&builder, MAX(cursor, holes[i].base), holes[i].end, MAP_RESERVED);
		cursor = MAX(cursor, holes[i].end);
	}
	map_append_ram(&builder, cursor, UINT64_MAX);
	return builder.n;
}

void boot_firmware_state(struct x86_cpu_state *state)
{
	for (size_t i = 0; i < G_N_ELEMENTS(state->mtrr_fixed); i++)
		state->mtrr_fixed[i] = i == MTRR_FIXED_A0000 ? 0 : MTRR_FIXED_WRITE_BACK;
	state->mtrr_def_type = MTRR_ENABLE | MTRR_FIXED_ENABLE | MTRR_WRITE_BACK;
}

/*
 * Virtual wire mode (MultiProcessor Specification 1.4, section 3.6.2.2): the PIC reaches the bootstrap processor
 * through LINT0.
 */
static void set_virtual_wire(struct x86_cpu_state *state)
{
	static const struct {
		unsigned reg;
		uint32_t val;
	} regs[] = {
		{ 0x0f0, 0x1ff }, /* spurious vector: APIC enabled */
		{ 0x350, 0x700 }, /* LINT0: ExtINT */
		{ 0x360, 0x400 }, /* LINT1: NMI */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(regs); i++) {
		uint32_t val = GUINT32_TO_LE(regs[i].val);

		memcpy(state->lapic + LAPIC_REG(regs[i].reg), &val, sizeof(val));
	}
}

/* The three words of the BIOS data area that say where conventional memory ends, and the EBDA's own size byte. */
static bool write_bios_data(struct memory *mem, const struct boot_spec *spec, GError **err)
{
	const uint16_t segment = GUINT16_TO_LE(BOOT_EBDA_ADDR >> 4), kib = GUINT16_TO_LE(BOOT_EBDA_ADDR >> 10);
	const uint8_t ebda_kib = 1;

	return boot_write(mem, spec, 0x40e, &segment, sizeof(segment), err) &&
	       boot_write(mem, spec, 0x413, &kib, sizeof(kib), err) &&
	       boot_write(mem, spec, BOOT_EBDA_ADDR, &ebda_kib, sizeof(ebda_kib), err);
}

bool boot_write(struct memory *mem, const struct boot_spec *spec, uint64_t gpa, const void *data, size_t len,
		GError **err)
{
	if (memory_write(mem, gpa, data, len))
		return true;
	return fail(err, LODGE_ERROR_INPUT, "%s: the VM has too little memory: %" G_GUINT64_FORMAT " MiB",
		    spec->kernel_name, memory_size(mem) >> 20);
}

bool boot_check_kernel_end(const struct memory *mem, const struct boot_spec *spec, uint64_t end, GError **err)
{
	uint64_t low = memory_low_size(mem);

	if (end <= low)
		return true;
	if (end > MEMORY_LOW_MAX)
		return fail(err, LODGE_ERROR_INPUT,
			    "%s: wants to be loaded up to %#" G_GINT64_MODIFIER
			    "x, but memory below 4 GiB ends at %#" G_GINT64_MODIFIER "x at most",
			    spec->kernel_name, end, (uint64_t)MEMORY_LOW_MAX);
	return fail(err, LODGE_ERROR_INPUT,
		    "%s: the kernel needs at least %" G_GUINT64_FORMAT " MiB of memory, the VM has %" G_GUINT64_FORMAT
		    " MiB",
		    spec->kernel_name, boot_mib(end), memory_size(mem) >> 20);
}

bool boot_load_initrd(struct memory *mem, const struct boot_spec *spec, uint64_t floor, uint64_t limit, uint64_t *gpa,
		      GError **err)
{
	const uint64_t page = MEMORY_PAGE_SIZE, size = spec->initrd_size, low = memory_low_size(mem);
	uint64_t bottom = (floor + page - 1) & ~(page - 1);
	uint64_t most = MIN(limit, MEMORY_LOW_MAX), top = MIN(limit, low), need;

	*gpa = 0;
	if (!spec->initrd || size == 0)
		return true;
	if (bottom > most || size > most - bottom)
		return fail(err, LODGE_ERROR_INPUT,
			    "%s: too big: %" G_GUINT64_FORMAT
			    " MiB, this kernel takes an initrd of at most %" G_GUINT64_FORMAT " MiB",
			    spec->initrd_name, boot_mib(size), bottom > most ? 0 : (most - bottom) >> 20);
	need = bottom + ((size + page - 1) & ~(page - 1));
	if (bottom > top || size > top - bottom || ((top - size) & ~(page - 1)) < bottom)
		return fail(err, LODGE_ERROR_INPUT,
			    "%s: too big: kernel and initrd need at least %" G_GUINT64_FORMAT
			    " MiB of memory, the VM has %" G_GUINT64_FORMAT " MiB",
			    spec->initrd_name, boot_mib(need), memory_size(mem) >> 20);
	*gpa = (top - size) & ~(page - 1);
	return boot_write(mem, spec, *gpa, spec->initrd, spec->initrd_size, err);
}

bool boot_load_cmdline(struct memory *mem, const struct boot_spec *spec, uint64_t max, GError **err)
{
	const char *text = spec->append ? spec->append : "";
	size_t len = strlen(text);

	max = MIN(max, BOOT_CMDLINE_MAX - 1);
	if (len > max)
		return fail(err, LODGE_ERROR_INPUT,
			    "kernel command line too long: %zu characters, %s takes at most %" G_GUINT64_FORMAT, len,
			    spec->kernel_name, max);
	return boot_write(mem, spec, BOOT_CMDLINE_ADDR, text, len + 1, err);
}

static uint64_t flat_descriptor(uint16_t attr)
{
	return (uint64_t)attr << 40 | UINT64_C(0x000f00000000ffff);
}

static struct x86_segment flat_segment(uint16_t selector, uint16_t attr)
{
	return (struct x86_segment){ .base = 0, .limit = UINT32_MAX, .selector = selector, .attr = attr };
}

bool boot_load_gdt(struct memory *mem, const struct boot_spec *spec, uint16_t code_attr, struct x86_cpu_state *state,
		   GError **err)
{
	const uint64_t gdt[] = { 0, 0, GUINT64_TO_LE(flat_descriptor(code_attr)),
				 GUINT64_TO_LE(flat_descriptor(BOOT_DATA_ATTR)) };

	if (!boot_write(mem, spec, BOOT_GDT_ADDR, gdt, sizeof(gdt), err))
		return false;
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		state->seg[i] = flat_segment(BOOT_DS, BOOT_DATA_ATTR);
	state->seg[X86_CS] = flat_segment(BOOT_CS, code_attr);
	state->gdt = (struct x86_table){ .base = BOOT_GDT_ADDR, .limit = sizeof(gdt) - 1 };
	state->idt = (struct x86_table){ .base = 0, .limit = 0 };
	state->ldt = (struct x86_segment){ 0 };
	/* Processors insist on a busy task segment; nothing uses it before the kernel loads its own. */
	state->tr = (struct x86_segment){ .limit = 0x67, .attr = X86_ATTR_P | 0xb };
	return true;
}

bool boot_enter_32bit(struct memory *mem, const struct boot_spec *spec, uint64_t entry, struct x86_cpu_state *state,
		      GError **err)
{
	if (!boot_load_gdt(mem, spec, BOOT_CODE32_ATTR, state, err))
		return false;
	memset(state->gpr, 0, sizeof(state->gpr));
	state->rip = entry;
	state->rflags = X86_FLAG_FIXED;
	state->cr0 = X86_CR0_PE | X86_CR0_ET;
	state->cr3 = state->cr4 = state->efer = 0;
	return true;
}

/* Files people hand over by mistake, told apart by their first bytes. */
static const struct {
	size_t offset;
	const char *magic;
	size_t len;
	const char *what;
} known_files[] = {
	{ 0, "\x1f\x8b", 2, "compressed with gzip, unpack it first" },
	{ 0, "\xfd\x37zXZ", 5, "compressed with xz, unpack it first" },
	{ 0, "\x28\xb5\x2f\xfd", 4, "compressed with zstd, unpack it first" },
	{ 0, "070701", 6, "a cpio archive: was the initrd given as the kernel?" },
	{ 0, "!<arch>", 7, "a package or library archive" },
	{ 0, "QFI\xfb", 4, "a qcow2 disk image: give it with --disk" },
	{ 0x38, "ARM\x64", 4, "a kernel for 64-bit ARM" },
	{ 0, "MZ", 2, "an EFI program without a Linux boot header" },
};

static bool refuse_unknown(const struct boot_spec *spec, GError **err)
{
	if (spec->kernel_size == 0)
		return fail(err, LODGE_ERROR_INPUT, "%s: not a kernel: the file is empty", spec->kernel_name);
	for (size_t i = 0; i < G_N_ELEMENTS(known_files); i++) {
		size_t offset = known_files[i].offset, len = known_files[i].len;

		if (offset + len <= spec->kernel_size && memcmp(spec->kernel + offset, known_files[i].magic, len) == 0)
			return fail(err, LODGE_ERROR_INPUT, "%s: not a kernel Lodge can boot: %s", spec->kernel_name,
				    known_files[i].what);
	}
	return fail(err, LODGE_ERROR_INPUT, "%s: not a kernel: neither a bzImage nor an ELF file", spec->kernel_name);
}

bool boot_load(struct memory *mem, const struct boot_spec *spec, struct x86_cpu_state *state, GError **err)
{
	static bool (*const loaders[])(struct memory *, const struct boot_spec *, struct x86_cpu_state *, bool *,
				       GError **) = {
		boot_load_bzimage,
		boot_load_pvh,
	};

	x86_state_reset(state, 0, true);
	boot_firmware_state(state);
	set_virtual_wire(state);
	if (!write_bios_data(mem, spec, err))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(loaders); i++) {
		bool matched = false;

		if (loaders[i](mem, spec, state, &matched, err))
			return true;
		if (matched)
			return false;
	}
	return refuse_unknown(spec, err);
}
