/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables and the AML writer: structure and checksums by an own walk, contents by ACPICA's compiler, which takes
 * the tables apart and must put them together again to the same bytes.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/acpi.h"
#include "vmm/aml.h"
#include "vmm/dev/devices.h"

#define MIB (UINT64_C(1) << 20)
#define HEADER 36u

static const struct acpi_spec full_spec = {
	.n_cpus = 4,
	.ecam_base = 0xb0000000,
	.ecam_buses = 1,
	.pci_mmio32_base = 0xc0000000,
	.pci_mmio32_size = 0x3c000000,
	.pci_mmio64_base = UINT64_C(0x200000000),
	.pci_mmio64_size = UINT64_C(0x800000000),
	.pci_io_base = 0x1000,
	.pci_io_size = 0xf000,
	.hpet = true,
	.pvpanic = true,
	.uarts = 0xf,
	.pci_intx_gsi = { 16, 17, 18, 19 },
};

/* The tables of one build, by signature. */
struct fixture {
	struct memory *mem;
	uint64_t rsdp;
	GHashTable *tables; /* char *signature -> GBytes */
};

static uint64_t le(const uint8_t *p, unsigned size)
{
	uint64_t val = 0;

	for (unsigned i = size; i-- > 0;)
		val = val << 8 | p[i];
	return val;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	for (size_t i = 0; i < len; i++)
		total = (uint8_t)(total + p[i]);
	return total;
}

static const uint8_t *table(const struct fixture *f, const char *signature, size_t *len)
{
	GBytes *bytes = g_hash_table_lookup(f->tables, signature);

	if (!bytes)
		return NULL;
	return g_bytes_get_data(bytes, len);
}

static void keep_table(struct fixture *f, uint64_t addr)
{
	uint8_t header[HEADER];
	g_autofree uint8_t *data = NULL;
	size_t len;

	g_assert_true(memory_read(f->mem, addr, header, sizeof(header)));
	len = le(header + 4, 4);
	g_assert_cmpuint(len, >=, HEADER);
	g_assert_cmpuint(addr, >=, ACPI_TABLES_ADDR);
	g_assert_cmpuint(addr + len, <=, ACPI_TABLES_ADDR + ACPI_TABLES_MAX);
	data = g_malloc(len);
	g_assert_true(memory_read(f->mem, addr, data, len));
	if (memcmp(data, "FACS", 4) != 0)
		g_assert_cmpuint(sum(data, len), ==, 0);
	g_assert_true(g_hash_table_insert(f->tables, g_strndup((const char *)header, 4), g_bytes_new(data, len)));
}

static void walk(struct fixture *f)
{
	uint8_t rsdp[36];
	const uint8_t *xsdt, *fadt;
	size_t len;

	g_assert_true(memory_read(f->mem, f->rsdp, rsdp, sizeof(rsdp)));
	g_assert_cmpmem(rsdp, 8, "RSD PTR ", 8);
	g_assert_cmpuint(sum(rsdp, 20), ==, 0);
	g_assert_cmpuint(sum(rsdp, 36), ==, 0);
	g_assert_cmpuint(rsdp[15], ==, 2);
	keep_table(f, le(rsdp + 24, 8));
	xsdt = table(f, "XSDT", &len);
	g_assert_cmpuint((len - HEADER) % 8, ==, 0);
	for (size_t at = HEADER; at < len; at += 8)
		keep_table(f, le(xsdt + at, 8));
	fadt = table(f, "FACP", &len);
	keep_table(f, le(fadt + 36, 4));
	keep_table(f, le(fadt + 40, 4));
	g_assert_cmpuint(le(fadt + 36, 4) % 64, ==, 0);
	g_assert_cmpuint(le(fadt + 40, 4), ==, le(fadt + 140, 8));
}

static void fixture_build(struct fixture *f, const struct acpi_spec *spec)
{
	GError *error = NULL;

	f->mem = memory_new(64 * MIB, &error);
	g_assert_no_error(error);
	f->tables = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
	g_assert_true(acpi_build(f->mem, spec, &f->rsdp, &error));
	g_assert_no_error(error);
	walk(f);
}

static void fixture_clear(struct fixture *f)
{
	memory_free(f->mem);
	g_hash_table_unref(f->tables);
}

static void test_too_many_processors(void)
{
	struct acpi_spec spec = full_spec;
	autoptr(memory) mem = memory_new(2 * MIB, NULL);
	g_autoptr(GError) error = NULL;
	uint64_t rsdp = 7;

	spec.n_cpus = 3000;
	g_assert_false(acpi_build(mem, &spec, &rsdp, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INTERNAL);
	g_assert_cmpuint(rsdp, ==, 7);
}

static void test_placement(void)
{
	struct fixture f = { 0 };
	size_t len;

	fixture_build(&f, &full_spec);
	/* Where a guest that is not told searches: 16 byte steps of the BIOS area. */
	g_assert_cmpuint(f.rsdp, >=, 0xe0000);
	g_assert_cmpuint(f.rsdp % 16, ==, 0);
	g_assert_cmpuint(g_hash_table_size(f.tables), ==, 8);
	for (const char *const *name =
		     (const char *const[]){ "XSDT", "FACP", "FACS", "DSDT", "APIC", "MCFG", "HPET", "WAET", NULL };
	     *name; name++)
		g_assert_nonnull(table(&f, *name, &len));
	fixture_clear(&f);
}

static void test_without_pci(void)
{
	struct acpi_spec spec = full_spec;
	struct fixture f = { 0 };
	size_t len;

	spec.ecam_base = 0;
	spec.hpet = false;
	fixture_build(&f, &spec);
	g_assert_null(table(&f, "MCFG", &len));
	g_assert_null(table(&f, "HPET", &len));
	g_assert_nonnull(table(&f, "APIC", &len));
	fixture_clear(&f);
}

static void check_gas(const uint8_t *gas, uint64_t addr, unsigned bits)
{
	g_assert_cmpuint(gas[0], ==, 1); /* I/O space */
	g_assert_cmpuint(gas[1], ==, bits);
	g_assert_cmpuint(le(gas + 4, 8), ==, addr);
}

static void test_fadt(void)
{
	struct fixture f = { 0 };
	const uint8_t *fadt;
	size_t len;

	fixture_build(&f, &full_spec);
	fadt = table(&f, "FACP", &len);
	g_assert_cmpuint(len, ==, 276);
	g_assert_cmpuint(fadt[8], ==, 6);
	g_assert_cmpuint(le(fadt + 46, 2), ==, PM_SCI_GSI);
	g_assert_cmpuint(le(fadt + 48, 4), ==, 0xb2);
	g_assert_cmpuint(fadt[52], ==, PM_ACPI_ENABLE);
	g_assert_cmpuint(fadt[53], ==, PM_ACPI_DISABLE);
	g_assert_cmpuint(le(fadt + 56, 4), ==, PM_BASE);
	g_assert_cmpuint(le(fadt + 64, 4), ==, PM_BASE + 4);
	g_assert_cmpuint(le(fadt + 76, 4), ==, PM_BASE + 8);
	g_assert_cmpuint(le(fadt + 80, 4), ==, PM_BASE + 0x20);
	g_assert_cmpuint(le(fadt + 109, 2) & 3, ==, 3);
	g_assert_cmpuint(le(fadt + 112, 4) & 1u << 10, !=, 0); /* reset register */
	g_assert_cmpuint(le(fadt + 112, 4) & 1u << 8, !=, 0);  /* 32-bit timer */
	g_assert_cmpuint(le(fadt + 112, 4) & 1u << 4, ==, 0);  /* fixed power button */
	check_gas(fadt + 116, 0xcf9, 8);
	g_assert_cmpuint(fadt[128], ==, 6);
	check_gas(fadt + 148, PM_BASE, 32);
	check_gas(fadt + 172, PM_BASE + 4, 16);
	check_gas(fadt + 208, PM_BASE + 8, 32);
	check_gas(fadt + 220, PM_BASE + 0x20, 128);
	fixture_clear(&f);
}

/* How many entries of each MADT type; every length is checked on the way. */
static void count_madt(const uint8_t *madt, size_t len, unsigned counts[256])
{
	size_t at = 44;

	memset(counts, 0, 256 * sizeof(counts[0]));
	while (at < len) {
		g_assert_cmpuint(len - at, >=, 2);
		g_assert_cmpuint(madt[at + 1], >=, 2);
		g_assert_cmpuint(madt[at + 1], <=, len - at);
		counts[madt[at]]++;
		at += madt[at + 1];
	}
	g_assert_cmpuint(at, ==, len);
}

static void test_madt(void)
{
	static const struct {
		unsigned n_cpus, gsi, lapics, x2apics, overrides, nmis;
	} cases[] = {
		{ 1, 16, 1, 0, 2, 1 },
		{ 32, 16, 32, 0, 2, 1 },
		{ 4, 10, 4, 0, 4, 1 }, /* pins on GSI 10, 11 twice: one override each */
		{ 4, 9, 4, 0, 3, 1 },  /* a pin shared with the SCI */
		{ 300, 16, 255, 45, 2, 1 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct acpi_spec spec = full_spec;
		struct fixture f = { 0 };
		const uint8_t *madt;
		unsigned counts[256], gsi = cases[i].gsi;
		size_t len;

		spec.n_cpus = cases[i].n_cpus;
		for (unsigned pin = 0; pin < 4; pin++)
			spec.pci_intx_gsi[pin] = gsi < 16 ? gsi + pin % 2 : gsi + pin;
		fixture_build(&f, &spec);
		madt = table(&f, "APIC", &len);
		g_assert_cmpuint(le(madt + 36, 4), ==, 0xfee00000);
		count_madt(madt, len, counts);
		g_assert_cmpuint(counts[0], ==, cases[i].lapics);
		g_assert_cmpuint(counts[1], ==, 1);
		g_assert_cmpuint(counts[2], ==, cases[i].overrides);
		g_assert_cmpuint(counts[4], ==, cases[i].nmis);
		g_assert_cmpuint(counts[9], ==, cases[i].x2apics);
		g_assert_cmpuint(counts[10], ==, cases[i].x2apics ? 1 : 0);
		fixture_clear(&f);
	}
}

/* What a walk over AML of the kinds the DSDT uses met; lengths must nest exactly. */
struct aml_counts {
	unsigned devices, names, methods, packages;
};

static size_t read_length(const uint8_t *p, size_t at, size_t end, size_t *body)
{
	unsigned more = p[at] >> 6;
	size_t len = more ? p[at] & 0xf : p[at] & 0x3f;

	g_assert_cmpuint(at + more, <, end);
	for (unsigned i = 0; i < more; i++)
		len |= (size_t)p[at + 1 + i] << (4 + 8 * i);
	*body = at + 1 + more;
	g_assert_cmpuint(at + len, <=, end);
	g_assert_cmpuint(at + len, >=, *body);
	return at + len;
}

static size_t skip_name(const uint8_t *p, size_t at)
{
	while (p[at] == '\\' || p[at] == '^')
		at++;
	if (p[at] == 0)
		return at + 1;
	if (p[at] == 0x2e)
		return at + 9;
	if (p[at] == 0x2f)
		return at + 2 + 4u * p[at + 1];
	for (unsigned i = 0; i < 4; i++)
		g_assert_true(g_ascii_isupper(p[at + i]) || g_ascii_isdigit(p[at + i]) || p[at + i] == '_');
	return at + 4;
}

static size_t walk_term(const uint8_t *p, size_t at, size_t end, struct aml_counts *counts);

static void walk_terms(const uint8_t *p, size_t at, size_t end, struct aml_counts *counts)
{
	while (at < end)
		at = walk_term(p, at, end, counts);
	g_assert_cmpuint(at, ==, end);
}

static size_t walk_block(const uint8_t *p, size_t at, size_t end, size_t skip, bool named, struct aml_counts *counts)
{
	size_t body, stop = read_length(p, at, end, &body);

	walk_terms(p, (named ? skip_name(p, body) : body) + skip, stop, counts);
	return stop;
}

static size_t walk_term(const uint8_t *p, size_t at, size_t end, struct aml_counts *counts)
{
	size_t body;

	switch (p[at]) {
	case 0x00:
	case 0x01:
		return at + 1;
	case 0x08:
		counts->names++;
		return walk_term(p, skip_name(p, at + 1), end, counts);
	case 0x0a:
		return at + 2;
	case 0x0b:
		return at + 3;
	case 0x0c:
		return at + 5;
	case 0x0d:
		return at + 2 + strlen((const char *)p + at + 1);
	case 0x0e:
		return at + 9;
	case 0x10:
		return walk_block(p, at + 1, end, 0, true, counts);
	case 0x11:
		return read_length(p, at + 1, end, &body);
	case 0x12:
		counts->packages++;
		return walk_block(p, at + 1, end, 1, false, counts);
	case 0x14:
		counts->methods++;
		return read_length(p, at + 1, end, &body);
	case 0x5b:
		g_assert_cmpuint(p[at + 1], ==, 0x82);
		counts->devices++;
		return walk_block(p, at + 2, end, 0, true, counts);
	default:
		g_error("AML opcode %#x at %zu", p[at], at);
	}
}

static void test_dsdt_walk(void)
{
	struct aml_counts counts = { 0 };
	struct fixture f = { 0 };
	const uint8_t *dsdt;
	size_t len;

	fixture_build(&f, &full_spec);
	dsdt = table(&f, "DSDT", &len);
	walk_terms(dsdt, HEADER, len, &counts);
	g_assert_cmpuint(counts.devices, ==, full_spec.n_cpus + 10); /* MRES PCI0 COM1-4 RTC KBD HPET PEVT */
	g_assert_cmpuint(counts.methods, ==, 1);
	g_assert_cmpuint(counts.packages, ==, 1 + 1 + 128); /* _S5, _PRT and its entries */
	fixture_clear(&f);
}

/* PkgLength at the sizes where its own length changes. */
static void test_block_lengths(void)
{
	static const size_t sizes[] = { 0,     0x3a,  0x3b,    0x3c,	0x3d,	 0xff8,	  0xff9,
					0xffa, 0xfff, 0x10000, 0xffff8, 0xffff9, 0x100000 };

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		autoptr(aml) aml = aml_new();
		struct aml_counts counts = { 0 };
		const GByteArray *bytes;
		size_t body, stop;

		aml_begin_scope(aml, "A");
		for (size_t n = 0; n < sizes[i]; n++)
			aml_int(aml, 1);
		aml_end(aml);
		bytes = aml_bytes(aml);
		stop = read_length(bytes->data, 1, bytes->len, &body);
		g_assert_cmpuint(stop, ==, bytes->len);
		g_assert_cmpuint(stop - body, ==, 4 + sizes[i]);
		g_assert_cmpmem(bytes->data + body, 4, "A___", 4);
		walk_terms(bytes->data, 0, bytes->len, &counts);
	}
}

static void test_names_and_numbers(void)
{
	static const uint8_t expected[] = {
		0x08, '\\', 'A', '_', '_', '_', 0x00, 0x08, '^', 0x2e, 'A', 'B', '_', '_', 'C', 'D', 'E', 'F', 0x01,
		0x0a, 0x02, 0x0a, 0xff, 0x0b, 0x00, 0x01, 0x0c, 0x00, 0x00, 0x01, 0x00, 0x0e, 0, 0, 0, 0, 1, 0, 0, 0,
		0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_', 0x0c, 0x41, 0xd0, 0x0a, 0x08,
	};
	autoptr(aml) aml = aml_new();
	const GByteArray *bytes;

	aml_name_int(aml, "\\A", 0);
	aml_name_int(aml, "^AB.CDEF", 1);
	aml_int(aml, 2);
	aml_int(aml, 0xff);
	aml_int(aml, 0x100);
	aml_int(aml, 0x10000);
	aml_int(aml, UINT64_C(0x100000000));
	aml_ref(aml, "A.B.C");
	aml_eisaid(aml, "PNP0A08");
	bytes = aml_bytes(aml);
	g_assert_cmpmem(bytes->data, bytes->len, expected, sizeof(expected));
}

/* Runs iasl in dir; its output must report success without errors and warnings. */
static void run_iasl(const char *dir, const char *iasl, const char *const *args)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *out = NULL, *errors = NULL;
	g_autoptr(GError) error = NULL;
	int status = 0;

	g_ptr_array_add(argv, g_strdup(iasl));
	for (; *args; args++)
		g_ptr_array_add(argv, g_strdup(*args));
	g_ptr_array_add(argv, NULL);
	g_spawn_sync(dir, (char **)argv->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &errors, &status, &error);
	g_assert_no_error(error);
	if (!g_spawn_check_wait_status(status, NULL) || strstr(out, "Warning ") || strstr(out, "Error ") ||
	    strstr(errors, "Error "))
		g_error("%s\n%s", out, errors);
}

/* Table -> source -> table: the bodies must be the same. */
static void round_trip(const char *dir, const char *iasl, const char *name, const uint8_t *data, size_t len)
{
	g_autofree char *dat = g_strconcat(name, ".dat", NULL), *dsl = g_strconcat(name, ".dsl", NULL);
	g_autofree char *path = g_build_filename(dir, dat, NULL), *source = g_build_filename(dir, dsl, NULL);
	g_autofree char *again_name = g_strconcat(name, ".aml", NULL),
			*again_path = g_build_filename(dir, again_name, NULL);
	g_autofree char *again = NULL;
	size_t again_len;

	g_assert_true(g_file_set_contents(path, (const char *)data, (gssize)len, NULL));
	run_iasl(dir, iasl, (const char *const[]){ "-d", dat, NULL });
	run_iasl(dir, iasl, (const char *const[]){ "-we", dsl, NULL });
	g_assert_true(g_file_get_contents(again_path, &again, &again_len, NULL));
	g_assert_cmpmem(again + HEADER, again_len - HEADER, data + HEADER, len - HEADER);
	g_unlink(path);
	g_unlink(source);
	g_unlink(again_path);
}

static void test_iasl(gconstpointer data)
{
	g_autofree char *iasl = g_find_program_in_path("iasl");
	g_autofree char *dir = NULL;
	struct fixture f = { 0 };
	GHashTableIter iter;
	gpointer name, bytes;

	if (!iasl) {
		g_test_skip("iasl (acpica-tools) is not installed");
		return;
	}
	dir = g_dir_make_tmp("lodge-acpi-XXXXXX", NULL);
	g_assert_nonnull(dir);
	fixture_build(&f, data);
	g_hash_table_iter_init(&iter, f.tables);
	while (g_hash_table_iter_next(&iter, &name, &bytes)) {
		size_t len;
		const uint8_t *content = g_bytes_get_data(bytes, &len);

		if (strcmp(name, "FACS") != 0)
			round_trip(dir, iasl, name, content, len);
	}
	g_assert_cmpint(g_rmdir(dir), ==, 0);
	fixture_clear(&f);
}

int main(int argc, char **argv)
{
	static const struct acpi_spec small_spec = { .n_cpus = 300 };

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/acpi/too-many-processors", test_too_many_processors);
	g_test_add_func("/acpi/placement", test_placement);
	g_test_add_func("/acpi/without-pci", test_without_pci);
	g_test_add_func("/acpi/fadt", test_fadt);
	g_test_add_func("/acpi/madt", test_madt);
	g_test_add_func("/acpi/dsdt-walk", test_dsdt_walk);
	g_test_add_func("/aml/block-lengths", test_block_lengths);
	g_test_add_func("/aml/names-and-numbers", test_names_and_numbers);
	g_test_add_data_func("/acpi/iasl/full", &full_spec, test_iasl);
	g_test_add_data_func("/acpi/iasl/small", &small_spec, test_iasl);
	return g_test_run();
}
