/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Direct kernel boot on small made-up images: every refusal, then what a good image finds in memory and registers at
 * its entry.
 */
#include <elf.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/boot.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define SETUP_SECTS 2u
#define PAYLOAD (512u * (SETUP_SECTS + 1))
#define PAYLOAD_SIZE 0x1000u
#define PREF_ADDRESS UINT64_C(0x1000000)
#define INIT_SIZE 0x200000u
#define CMDLINE_SIZE 255u
#define INITRD_MAX 0x7fffffffu

/* One case: an image, a VM, and either the message it must be refused with or nothing. */
struct fixture {
	GByteArray *kernel, *initrd;
	uint64_t memory;
	const char *append;
	struct memory *mem;
	struct x86_cpu_state state;
};

static void put(GByteArray *bytes, size_t at, uint64_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		bytes->data[at + i] = (uint8_t)(val >> (8 * i));
}

static uint64_t get(const struct fixture *f, uint64_t gpa, unsigned size)
{
	uint8_t bytes[8];
	uint64_t val = 0;

	g_assert_true(memory_read(f->mem, gpa, bytes, size));
	for (unsigned i = size; i-- > 0;)
		val = val << 8 | bytes[i];
	return val;
}

static GByteArray *zeros(size_t len)
{
	GByteArray *bytes = g_byte_array_new();

	g_byte_array_set_size(bytes, (guint)len);
	memset(bytes->data, 0, len);
	return bytes;
}

static GByteArray *make_bzimage(void)
{
	GByteArray *file = zeros(PAYLOAD + PAYLOAD_SIZE);

	put(file, 0x1f1, SETUP_SECTS, 1);
	put(file, 0x1f4, PAYLOAD_SIZE / 16, 4);
	put(file, 0x1fe, 0xaa55, 2);
	put(file, 0x200, 0x6aeb, 2); /* jump over the header, which ends at 0x26c */
	memcpy(file->data + 0x202, "HdrS", 4);
	put(file, 0x206, 0x020f, 2);
	put(file, 0x210, 0x55, 1);
	put(file, 0x211, 0x03, 1); /* loaded high; a private flag of the kernel */
	put(file, 0x214, 0x100000, 4);
	put(file, 0x22c, INITRD_MAX, 4);
	put(file, 0x230, 0x200000, 4);
	put(file, 0x234, 1, 1);
	put(file, 0x236, 0x1, 2);
	put(file, 0x238, CMDLINE_SIZE, 4);
	put(file, 0x258, PREF_ADDRESS, 8);
	put(file, 0x260, INIT_SIZE, 4);
	memset(file->data + PAYLOAD, 0xc3, PAYLOAD_SIZE);
	return file;
}

/* An ELF file with one note segment and one loaded one. */
#define ELF_NOTE 0x200u
#define ELF_CODE 0x300u
#define ELF_FILESZ 0x80u
#define ELF_MEMSZ 0x3000u
#define ELF_ADDR UINT64_C(0x200000)
#define ELF_ENTRY (ELF_ADDR + 0x10)

static GByteArray *make_elf64(void)
{
	static const Elf64_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
	};
	static const Elf64_Phdr ph[] = {
		{ .p_type = PT_LOAD,
		  .p_offset = ELF_CODE,
		  .p_paddr = ELF_ADDR,
		  .p_filesz = ELF_FILESZ,
		  .p_memsz = ELF_MEMSZ },
		{ .p_type = PT_NOTE, .p_offset = ELF_NOTE, .p_filesz = 0x40, .p_align = 4 },
	};
	GByteArray *file = zeros(ELF_CODE + ELF_FILESZ);

	memcpy(file->data, &eh, sizeof(eh));
	memcpy(file->data + sizeof(eh), ph, sizeof(ph));
	/* Another note first, of odd size. */
	put(file, ELF_NOTE, 4, 4);
	put(file, ELF_NOTE + 4, 5, 4);
	put(file, ELF_NOTE + 8, 18, 4);
	memcpy(file->data + ELF_NOTE + 12, "GNU", 4);
	put(file, ELF_NOTE + 24, 4, 4);
	put(file, ELF_NOTE + 28, 8, 4);
	put(file, ELF_NOTE + 32, 18, 4);
	memcpy(file->data + ELF_NOTE + 36, "Xen", 4);
	put(file, ELF_NOTE + 40, ELF_ENTRY, 8);
	memset(file->data + ELF_CODE, 0xc3, ELF_FILESZ);
	return file;
}

static GByteArray *make_elf32(void)
{
	static const Elf32_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1, .e_phoff = sizeof(Elf32_Ehdr),
		.e_ehsize = sizeof(Elf32_Ehdr), .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 2,
	};
	static const Elf32_Phdr ph[] = {
		{ .p_type = PT_NOTE, .p_offset = ELF_NOTE, .p_filesz = 20, .p_align = 4 },
		{ .p_type = PT_LOAD,
		  .p_offset = ELF_CODE,
		  .p_paddr = (uint32_t)ELF_ADDR,
		  .p_filesz = ELF_FILESZ,
		  .p_memsz = ELF_MEMSZ },
	};
	GByteArray *file = zeros(ELF_CODE + ELF_FILESZ);

	memcpy(file->data, &eh, sizeof(eh));
	memcpy(file->data + sizeof(eh), ph, sizeof(ph));
	put(file, ELF_NOTE, 4, 4);
	put(file, ELF_NOTE + 4, 4, 4);
	put(file, ELF_NOTE + 8, 18, 4);
	memcpy(file->data + ELF_NOTE + 12, "Xen", 4);
	put(file, ELF_NOTE + 16, ELF_ENTRY, 4);
	return file;
}

static void fixture_init(struct fixture *f, GByteArray *kernel_consume)
{
	memset(f, 0, sizeof(*f));
	f->kernel = kernel_consume;
	f->memory = 64 * MIB;
	f->append = "console=ttyS0";
}

static void fixture_clear(struct fixture *f)
{
	g_byte_array_unref(f->kernel);
	if (f->initrd)
		g_byte_array_unref(f->initrd);
	memory_free(f->mem);
}

static bool load(struct fixture *f, GError **err)
{
	struct boot_spec spec = {
		.kernel = f->kernel->data,
		.kernel_size = f->kernel->len,
		.initrd = f->initrd ? f->initrd->data : NULL,
		.initrd_size = f->initrd ? f->initrd->len : 0,
		.kernel_name = "vmlinuz",
		.initrd_name = "initrd.img",
		.append = f->append,
		.rsdp = 0xe0000,
		.acpi_base = 0xe0000,
		.acpi_size = 0x10000,
	};

	f->mem = memory_new(f->memory, NULL);
	g_assert_nonnull(f->mem);
	return boot_load(f->mem, &spec, &f->state, err);
}

/* Consumes the fixture: it must be refused with a message that holds text. */
static void refuse(struct fixture *f, const char *text)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(load(f, &error));
	g_assert_nonnull(error);
	g_assert_true(error->domain == LODGE_ERROR);
	if (!strstr(error->message, text))
		g_error("\"%s\" does not say \"%s\"", error->message, text);
	g_assert_true(strstr(error->message, "vmlinuz") || strstr(error->message, "initrd.img"));
	fixture_clear(f);
}

static void accept(struct fixture *f)
{
	g_autoptr(GError) error = NULL;

	load(f, &error);
	g_assert_no_error(error);
}

static void test_not_a_kernel(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} cases[] = {
		{ "", 0, "empty" },
		{ "hello, world", 12, "neither" },
		{ "\x1f\x8b\x08\x00", 4, "gzip" },
		{ "\x1f", 1, "neither" },
		{ "070701000", 9, "initrd" },
		{ "QFI\xfb\0\0\0\3", 8, "qcow2" },
		{ "\177ELF", 4, "neither" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct fixture f;

		fixture_init(&f, g_byte_array_append(g_byte_array_new(), (const uint8_t *)cases[i].bytes,
						     (guint)cases[i].len));
		refuse(&f, cases[i].text);
	}
}

static void test_bad_bzimage(void)
{
	static const struct {
		size_t at;
		uint64_t val;
		unsigned size;
		const char *text;
	} cases[] = {
		{ 0x1fe, 0, 2, "neither" },
		{ 0x202, 0, 4, "neither" },
		{ 0x206, 0x0205, 2, "too old: boot protocol 2.05" },
		{ 0x211, 0, 1, "zImage" },
		{ 0x201, 0x10, 1, "damaged" },
		{ 0x1f4, PAYLOAD_SIZE / 16 + 1, 4, "truncated" },
		{ 0x1f4, 0xffffffff, 4, "truncated" },
		{ 0x1f1, 0xff, 1, "truncated" },
		{ 0x1f1, 10, 1, "truncated" },
		{ 0x258, 0x1000, 8, "damaged" },
		{ 0x258, PREF_ADDRESS + 1, 8, "damaged" },
		{ 0x258, UINT64_MAX - 0xfff, 8, "damaged" },
		{ 0x258, 0xfffff000, 8, "4 GiB" },
		{ 0x230, 0, 4, "damaged" },
		{ 0x230, 0x300000, 4, "damaged" },
		{ 0x230, 0x80000000, 4, "damaged" },
		{ 0x260, 0xffffffff, 4, "4 GiB" },
		{ 0x260, 48 * MIB + 1, 4, "needs at least 65 MiB of memory, the VM has 64 MiB" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct fixture f;

		fixture_init(&f, make_bzimage());
		put(f.kernel, cases[i].at, cases[i].val, cases[i].size);
		refuse(&f, cases[i].text);
	}
}

/* Every length of a truncated file is refused, and none of them is read past its end. */
static void test_truncated(void)
{
	static GByteArray *(*const makers[])(void) = { make_bzimage, make_elf64, make_elf32 };

	for (size_t i = 0; i < G_N_ELEMENTS(makers); i++) {
		g_autoptr(GByteArray) whole = makers[i]();

		for (guint len = 1; len < whole->len; len += len < 0x280 ? 1 : 0x7f) {
			struct fixture f;

			fixture_init(&f, g_byte_array_append(g_byte_array_new(), whole->data, len));
			f.memory = 2 * MIB;
			refuse(&f, "");
		}
	}
}

static void test_cmdline_length(void)
{
	g_autofree char *most = g_strnfill(CMDLINE_SIZE, 'x'), *more = g_strnfill(CMDLINE_SIZE + 1, 'x'),
			*huge = g_strnfill(65536, 'x');
	struct fixture f;

	fixture_init(&f, make_bzimage());
	f.append = more;
	refuse(&f, "command line too long: 256 characters, vmlinuz takes at most 255");
	fixture_init(&f, make_bzimage());
	put(f.kernel, 0x238, UINT32_MAX, 4);
	f.append = huge;
	refuse(&f, "too long");
	fixture_init(&f, make_bzimage());
	f.append = most;
	accept(&f);
	g_assert_cmpuint(get(&f, get(&f, f.state.gpr[X86_RSI] + 0x228, 4) + CMDLINE_SIZE - 1, 2), ==, 'x');
	fixture_clear(&f);
}

static void test_initrd_too_big(void)
{
	struct fixture f;

	fixture_init(&f, make_bzimage());
	f.memory = 20 * MIB;
	f.initrd = zeros(2 * MIB + 1);
	refuse(&f, "kernel and initrd need at least 21 MiB of memory, the VM has 20 MiB");
	fixture_init(&f, make_bzimage());
	put(f.kernel, 0x22c, PREF_ADDRESS + INIT_SIZE + MIB - 1, 4);
	f.initrd = zeros(MIB + 1);
	refuse(&f, "this kernel takes an initrd of at most 1 MiB");
	fixture_init(&f, make_bzimage());
	put(f.kernel, 0x22c, 0x1000, 4);
	f.initrd = zeros(1);
	refuse(&f, "at most 0 MiB");
}

/* Fills exactly the room between kernel and end of RAM. */
static void test_initrd_placement(void)
{
	static const struct {
		uint64_t memory, size;
		uint32_t max;
		uint64_t addr;
	} cases[] = {
		{ 20 * MIB, 2 * MIB, INITRD_MAX, 18 * MIB },
		{ 64 * MIB, 1, INITRD_MAX, 64 * MIB - 4096 },
		{ 64 * MIB, 4097, INITRD_MAX, 64 * MIB - 8192 },
		{ 64 * MIB, 4096, 0x1ffffff, 32 * MIB - 4096 },
		{ 64 * MIB, 4096, 0x1ffffef, 32 * MIB - 8192 },
		{ 3 * GIB, 4096, UINT32_MAX, 2 * GIB - 4096 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct fixture f;
		uint64_t page;

		fixture_init(&f, make_bzimage());
		put(f.kernel, 0x22c, cases[i].max, 4);
		f.memory = cases[i].memory;
		f.initrd = zeros(cases[i].size);
		memset(f.initrd->data, 0x5a, f.initrd->len);
		accept(&f);
		page = f.state.gpr[X86_RSI];
		g_assert_cmpuint(get(&f, page + 0x218, 4), ==, cases[i].addr);
		g_assert_cmpuint(get(&f, page + 0x21c, 4), ==, cases[i].size);
		g_assert_cmpuint(get(&f, page + 0x0c0, 8), ==, 0);
		g_assert_cmpuint(get(&f, cases[i].addr, 1), ==, 0x5a);
		g_assert_cmpuint(get(&f, cases[i].addr + cases[i].size - 1, 1), ==, 0x5a);
		fixture_clear(&f);
	}
}

/* Translates as the processor would: 4-level paging, SDM volume 3 section 4.5. */
static uint64_t translate(const struct fixture *f, uint64_t linear)
{
	uint64_t table = f->state.cr3;

	for (int shift = 39; shift >= 21; shift -= 9) {
		uint64_t entry = get(f, table + (linear >> shift & 511) * 8, 8);

		g_assert_cmpuint(entry & 3, ==, 3);
		if (entry & 0x80)
			return (entry & ~((UINT64_C(1) << shift) - 1)) | (linear & ((UINT64_C(1) << shift) - 1));
		table = entry & ~UINT64_C(0xfff);
	}
	g_assert_not_reached();
}

/* The descriptor in the GDT says the same as the hidden part of the segment register. */
static void check_segment(const struct fixture *f, enum x86_seg seg, uint16_t selector, uint16_t attr)
{
	const struct x86_segment *s = &f->state.seg[seg];
	uint64_t descriptor = get(f, f->state.gdt.base + selector, 8);

	g_assert_cmpuint(selector + 7, <=, f->state.gdt.limit);
	g_assert_cmpuint(s->selector, ==, selector);
	g_assert_cmpuint(s->attr, ==, attr);
	g_assert_cmpuint(s->base, ==, 0);
	g_assert_cmpuint(s->limit, ==, UINT32_MAX);
	g_assert_cmpuint(descriptor >> 40 & 0xf0ff, ==, attr);
	g_assert_cmpuint(descriptor & 0xffff, ==, 0xffff);
	g_assert_cmpuint(descriptor >> 48 & 0xf, ==, 0xf);
}

static void check_data_segments(const struct fixture *f)
{
	check_segment(f, X86_DS, 0x18, 0xc093);
	check_segment(f, X86_ES, 0x18, 0xc093);
	check_segment(f, X86_SS, 0x18, 0xc093);
}

static void test_entry64(void)
{
	static const uint64_t probes[] = { 0, 0x2000, PREF_ADDRESS, 2 * GIB - 1, 0xfee00000, 4 * GIB - 1 };
	struct fixture f;

	fixture_init(&f, make_bzimage());
	accept(&f);
	g_assert_cmpuint(f.state.rip, ==, PREF_ADDRESS + 0x200);
	g_assert_cmpuint(f.state.rflags, ==, X86_FLAG_FIXED);
	g_assert_cmpuint(f.state.cr0 & (X86_CR0_PE | X86_CR0_PG), ==, X86_CR0_PE | X86_CR0_PG);
	g_assert_cmpuint(f.state.cr4, ==, X86_CR4_PAE);
	g_assert_cmpuint(f.state.efer, ==, X86_EFER_LME | X86_EFER_LMA);
	g_assert_cmpuint(f.state.run_state, ==, X86_RUNNING);
	check_segment(&f, X86_CS, 0x10, 0xa09b);
	check_data_segments(&f);
	for (size_t i = 0; i < G_N_ELEMENTS(probes); i++)
		g_assert_cmphex(translate(&f, probes[i]), ==, probes[i]);
	g_assert_cmpuint(get(&f, PREF_ADDRESS, 1), ==, 0xc3);
	g_assert_cmpuint(get(&f, PREF_ADDRESS + PAYLOAD_SIZE - 1, 2), ==, 0xc3);
	fixture_clear(&f);
}

static void test_entry32(void)
{
	struct fixture f;

	fixture_init(&f, make_bzimage());
	put(f.kernel, 0x236, 0, 2);
	accept(&f);
	g_assert_cmpuint(f.state.rip, ==, PREF_ADDRESS);
	g_assert_cmpuint(f.state.rflags, ==, X86_FLAG_FIXED);
	g_assert_cmpuint(f.state.cr0 & (X86_CR0_PE | X86_CR0_PG), ==, X86_CR0_PE);
	g_assert_cmpuint(f.state.cr4 | f.state.efer, ==, 0);
	g_assert_cmpuint(f.state.gpr[X86_RBP] | f.state.gpr[X86_RDI] | f.state.gpr[X86_RBX], ==, 0);
	check_segment(&f, X86_CS, 0x10, 0xc09b);
	check_data_segments(&f);
	g_assert_cmpuint(get(&f, f.state.gpr[X86_RSI] + 0x202, 4), ==, 0x53726448);
	fixture_clear(&f);
}

/*
 * Not relocatable: loaded at 1 MiB, unpacks itself elsewhere, so the initrd keeps off both. A protocol without
 * pref_address: at 1 MiB.
 */
static void test_load_address(void)
{
	struct fixture f;

	fixture_init(&f, make_bzimage());
	put(f.kernel, 0x234, 0, 1);
	f.memory = 20 * MIB;
	f.initrd = zeros(2 * MIB);
	accept(&f);
	g_assert_cmpuint(f.state.rip, ==, MIB + 0x200);
	g_assert_cmpuint(get(&f, MIB, 1), ==, 0xc3);
	g_assert_cmpuint(get(&f, f.state.gpr[X86_RSI] + 0x218, 4), ==, 18 * MIB);
	fixture_clear(&f);

	fixture_init(&f, make_bzimage());
	put(f.kernel, 0x206, 0x0209, 2);
	put(f.kernel, 0x230, 0x1000, 4);
	f.memory = 2 * MIB;
	accept(&f);
	g_assert_cmpuint(f.state.rip, ==, MIB);
	g_assert_cmpuint(get(&f, f.state.gpr[X86_RSI] + 0x70, 8), ==, 0);
	fixture_clear(&f);
}

static void test_zero_page(void)
{
	struct fixture f;
	uint64_t page;
	char text[14];

	fixture_init(&f, make_bzimage());
	accept(&f);
	page = f.state.gpr[X86_RSI];
	g_assert_cmpuint(get(&f, page + 0x1fe, 2), ==, 0xaa55);
	g_assert_cmpuint(get(&f, page + 0x206, 2), ==, 0x020f);
	g_assert_cmpuint(get(&f, page + 0x210, 1), ==, 0xff);
	g_assert_cmpuint(get(&f, page + 0x211, 1), ==, 1);
	g_assert_cmpuint(get(&f, page + 0x214, 4), ==, PREF_ADDRESS);
	g_assert_cmpuint(get(&f, page + 0x070, 8), ==, 0xe0000);
	g_assert_cmpuint(get(&f, page + 0x218, 8), ==, 0); /* no initrd */
	g_assert_cmpuint(get(&f, page + 0x1ef, 1), ==, 0); /* sentinel: somebody filled the page in */
	g_assert_cmpuint(get(&f, page + 0x26c, 4), ==, 0); /* nothing of the code behind the header */
	g_assert_true(memory_read(f.mem, get(&f, page + 0x228, 4), text, sizeof(text)));
	g_assert_cmpstr(text, ==, "console=ttyS0");
	fixture_clear(&f);
}

static void test_firmware_leftovers(void)
{
	struct x86_cpu_state other;
	struct fixture f;

	fixture_init(&f, make_bzimage());
	accept(&f);
	g_assert_cmpuint(get(&f, 0x40e, 2), ==, 0x9fc0);
	g_assert_cmpuint(get(&f, 0x413, 2), ==, 639);
	g_assert_cmpuint(f.state.mtrr_def_type, ==, 0xc06);
	x86_state_reset(&other, 1, false);
	boot_firmware_state(&other);
	g_assert_cmpuint(other.mtrr_def_type, ==, f.state.mtrr_def_type);
	g_assert_cmpmem(other.mtrr_fixed, sizeof(other.mtrr_fixed), f.state.mtrr_fixed, sizeof(f.state.mtrr_fixed));
	fixture_clear(&f);
}

/* Sorted, without overlap, RAM adds up to what is usable, and the holes are where they must be. */
static void check_map(uint64_t memory, const struct boot_spec *spec, uint64_t reserved_ram)
{
	autoptr(memory) mem = memory_new(memory, NULL);
	struct boot_map_entry map[BOOT_MAP_MAX];
	size_t n = boot_memory_map(mem, spec, map, BOOT_MAP_MAX);
	uint64_t end = 0, ram = 0;
	bool ecam = false;

	for (size_t i = 0; i < n; i++) {
		g_assert_cmpuint(map[i].base, >=, end);
		g_assert_cmpuint(map[i].size, !=, 0);
		end = map[i].base + map[i].size;
		if (map[i].type == 1)
			ram += map[i].size;
		else
			g_assert_cmpuint(map[i].type, ==, 2);
		ecam |= map[i].type == 2 && map[i].base == 0xb0000000 && map[i].size == 256 * MIB;
	}
	g_assert_true(ecam);
	g_assert_cmpuint(ram, ==, memory - reserved_ram);
	g_assert_cmpuint(map[0].base, ==, 0);
	g_assert_cmpuint(map[0].size, ==, 0x9fc00);
	g_assert_cmpuint(map[1].base, ==, 0x9fc00);
	g_assert_cmpuint(map[1].size, ==, 0x60400);
	/* A short array is filled as far as it goes. */
	g_assert_cmpuint(boot_memory_map(mem, spec, map, 2), ==, 2);
}

static void test_memory_map(void)
{
	struct boot_spec spec = { .acpi_base = 0xe0000, .acpi_size = 0xf000 };

	check_map(16 * MIB, &spec, 0x60400);
	check_map(2 * GIB, &spec, 0x60400);
	check_map(5 * GIB, &spec, 0x60400);
	spec.acpi_size = 0;
	check_map(16 * MIB, &spec, 0x60400);
	spec.acpi_base = 8 * MIB;
	spec.acpi_size = 0x10000;
	check_map(16 * MIB, &spec, 0x70400);
	spec.acpi_base = 0xf8000; /* half in the BIOS area */
	check_map(16 * MIB, &spec, 0x68400);
	spec.acpi_base = UINT64_MAX - 1;
	check_map(16 * MIB, &spec, 0x60400);
}

static void test_bad_elf(void)
{
	const size_t ph = sizeof(Elf64_Ehdr);
	const struct {
		size_t at;
		uint64_t val;
		unsigned size;
		const char *text;
	} cases[] = {
		{ EI_CLASS, 7, 1, "another kind of processor" },
		{ EI_DATA, ELFDATA2MSB, 1, "another kind of processor" },
		{ G_STRUCT_OFFSET(Elf64_Ehdr, e_machine), EM_AARCH64, 2, "another kind of processor" },
		{ G_STRUCT_OFFSET(Elf64_Ehdr, e_type), ET_REL, 2, "cannot be executed" },
		{ G_STRUCT_OFFSET(Elf64_Ehdr, e_phentsize), 1, 2, "damaged" },
		{ G_STRUCT_OFFSET(Elf64_Ehdr, e_phnum), 0, 2, "damaged" },
		{ G_STRUCT_OFFSET(Elf64_Ehdr, e_phnum), 65, 2, "damaged" },
		{ G_STRUCT_OFFSET(Elf64_Ehdr, e_phoff), UINT64_MAX, 8, "truncated" },
		{ ph + G_STRUCT_OFFSET(Elf64_Phdr, p_offset), UINT64_MAX, 8, "truncated" },
		{ ph + G_STRUCT_OFFSET(Elf64_Phdr, p_filesz), UINT64_MAX, 8, "truncated" },
		{ ph + G_STRUCT_OFFSET(Elf64_Phdr, p_memsz), ELF_FILESZ - 1, 8, "damaged" },
		{ ph + G_STRUCT_OFFSET(Elf64_Phdr, p_memsz), UINT64_MAX, 8, "damaged" },
		{ ph + G_STRUCT_OFFSET(Elf64_Phdr, p_memsz), 64 * MIB, 8, "needs at least 66 MiB" },
		{ ph + G_STRUCT_OFFSET(Elf64_Phdr, p_memsz), 8 * GIB, 8, "4 GiB" },
		{ ph + G_STRUCT_OFFSET(Elf64_Phdr, p_paddr), 0x1000, 8, "below 1 MiB" },
		{ ph + G_STRUCT_OFFSET(Elf64_Phdr, p_type), PT_INTERP, 4, "in no segment" },
		{ ELF_NOTE + 36, 'x', 1, "CONFIG_PVH" },
		{ ELF_NOTE + 28, 16, 4, "CONFIG_PVH" },	 /* descriptor of an odd size */
		{ ELF_NOTE + 28, UINT32_MAX, 4, "CONFIG_PVH" },
		{ ELF_NOTE + 0, UINT32_MAX, 4, "CONFIG_PVH" },
		{ ELF_NOTE + 4, 0x7fffffff, 4, "CONFIG_PVH" },
		{ ELF_NOTE + 40, 0x100000, 8, "in no segment" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct fixture f;

		fixture_init(&f, make_elf64());
		put(f.kernel, cases[i].at, cases[i].val, cases[i].size);
		refuse(&f, cases[i].text);
	}
}

static void test_pvh_initrd_too_big(void)
{
	struct fixture f;

	fixture_init(&f, make_elf64());
	f.memory = 4 * MIB;
	f.initrd = zeros(2 * MIB);
	refuse(&f, "need at least 5 MiB");
}

static void test_pvh(gconstpointer data)
{
	GByteArray *(*const *make)(void) = data;
	struct fixture f;
	uint64_t info, module, map;

	fixture_init(&f, (*make)());
	f.initrd = zeros(5000);
	accept(&f);
	g_assert_cmpuint(f.state.rip, ==, ELF_ENTRY);
	g_assert_cmpuint(f.state.rflags, ==, X86_FLAG_FIXED);
	g_assert_cmpuint(f.state.cr0 & (X86_CR0_PE | X86_CR0_PG), ==, X86_CR0_PE);
	g_assert_cmpuint(f.state.cr4, ==, 0);
	check_segment(&f, X86_CS, 0x10, 0xc09b);
	check_data_segments(&f);
	g_assert_cmpuint(f.state.tr.limit, ==, 0x67);

	info = f.state.gpr[X86_RBX];
	module = get(&f, info + 16, 8);
	map = get(&f, info + 40, 8);
	g_assert_cmphex(get(&f, info, 4), ==, 0x336ec578);
	g_assert_cmpuint(get(&f, info + 4, 4), ==, 1);
	g_assert_cmpuint(get(&f, info + 12, 4), ==, 1);
	g_assert_cmpuint(get(&f, get(&f, info + 24, 8), 4), ==, 0x736e6f63); /* "cons" */
	g_assert_cmpuint(get(&f, info + 32, 8), ==, 0xe0000);
	g_assert_cmpuint(get(&f, module, 8), ==, 64 * MIB - 8192);
	g_assert_cmpuint(get(&f, module + 8, 8), ==, 5000);
	g_assert_cmpuint(get(&f, info + 48, 4), >=, 3);
	g_assert_cmpuint(get(&f, map + 8, 8), ==, 0x9fc00);
	g_assert_cmpuint(get(&f, map + 24, 8), ==, 0x9fc00);
	g_assert_cmpuint(get(&f, map + 24 + 16, 4), ==, 2);
	fixture_clear(&f);
}

/* A second load over used memory, as at a machine reset: the rest of a segment is zero again. */
static void test_reload_clears_bss(void)
{
	struct boot_spec spec = { .kernel_name = "vmlinuz" };
	uint8_t used = 0x77;
	struct fixture f;

	fixture_init(&f, make_elf64());
	accept(&f);
	g_assert_true(memory_write(f.mem, ELF_ADDR + ELF_MEMSZ - 1, &used, 1));
	g_assert_true(memory_write(f.mem, ELF_ADDR + ELF_MEMSZ, &used, 1));
	spec.kernel = f.kernel->data;
	spec.kernel_size = f.kernel->len;
	g_assert_true(boot_load(f.mem, &spec, &f.state, NULL));
	g_assert_cmpuint(get(&f, ELF_ADDR + ELF_MEMSZ - 1, 1), ==, 0);
	g_assert_cmpuint(get(&f, ELF_ADDR + ELF_MEMSZ, 1), ==, used);
	g_assert_cmpuint(get(&f, f.state.gpr[X86_RBX] + 12, 4), ==, 0);
	fixture_clear(&f);
}

int main(int argc, char **argv)
{
	static GByteArray *(*const elf64)(void) = make_elf64, *(*const elf32)(void) = make_elf32;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/boot/not-a-kernel", test_not_a_kernel);
	g_test_add_func("/boot/truncated", test_truncated);
	g_test_add_func("/boot/bzimage/bad", test_bad_bzimage);
	g_test_add_func("/boot/bzimage/cmdline-length", test_cmdline_length);
	g_test_add_func("/boot/bzimage/initrd-too-big", test_initrd_too_big);
	g_test_add_func("/boot/bzimage/initrd-placement", test_initrd_placement);
	g_test_add_func("/boot/bzimage/entry64", test_entry64);
	g_test_add_func("/boot/bzimage/entry32", test_entry32);
	g_test_add_func("/boot/bzimage/load-address", test_load_address);
	g_test_add_func("/boot/bzimage/zero-page", test_zero_page);
	g_test_add_func("/boot/bzimage/firmware-leftovers", test_firmware_leftovers);
	g_test_add_func("/boot/memory-map", test_memory_map);
	g_test_add_func("/boot/pvh/bad", test_bad_elf);
	g_test_add_func("/boot/pvh/initrd-too-big", test_pvh_initrd_too_big);
	g_test_add_data_func("/boot/pvh/elf64", &elf64, test_pvh);
	g_test_add_data_func("/boot/pvh/elf32", &elf32, test_pvh);
	g_test_add_func("/boot/pvh/reload-clears-bss", test_reload_clears_bss);
	return g_test_run();
}
