/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SMBIOS: entry point and structures by an own walk, and by dmidecode where it is installed. */
#include <glib/gstdio.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/acpi.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define MAX_TABLE 0xffe0u

struct fixture {
	uint8_t entry[24];
	uint8_t table[MAX_TABLE];
	size_t len;
};

static const struct smbios_spec plain_spec = {
	.uuid = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff },
	.memory = 512 * MIB,
	.n_cpus = 2,
};

static uint64_t le(const uint8_t *p, unsigned size)
{
	uint64_t val = 0;

	for (unsigned i = size; i-- > 0;)
		val = val << 8 | p[i];
	return val;
}

static void build(struct fixture *f, const struct smbios_spec *spec)
{
	g_autoptr(GError) error = NULL;
	autoptr(memory) mem = memory_new(spec->memory, &error);
	uint8_t total = 0;

	g_assert_no_error(error);
	g_assert_true(smbios_build(mem, spec, &error));
	g_assert_no_error(error);
	g_assert_true(memory_read(mem, SMBIOS_ADDR, f->entry, sizeof(f->entry)));
	g_assert_cmpmem(f->entry, 5, "_SM3_", 5);
	for (size_t i = 0; i < sizeof(f->entry); i++)
		total = (uint8_t)(total + f->entry[i]);
	g_assert_cmpuint(total, ==, 0);
	g_assert_cmpuint(f->entry[6], ==, sizeof(f->entry));
	f->len = le(f->entry + 12, 4);
	g_assert_cmpuint(f->len, <=, MAX_TABLE);
	g_assert_cmpuint(le(f->entry + 16, 8), ==, SMBIOS_ADDR + 32);
	g_assert_true(memory_read(mem, SMBIOS_ADDR + 32, f->table, f->len));
}

/* The n-th structure of a type, or NULL. Walks to the end of the table, which must be an end structure. */
static const uint8_t *find(const struct fixture *f, uint8_t type, unsigned n)
{
	const uint8_t *found = NULL;
	size_t at = 0;

	for (;;) {
		const uint8_t *p = f->table + at;

		g_assert_cmpuint(f->len - at, >=, 6);
		g_assert_cmpuint(p[1], >=, 4);
		if (p[0] == type && n-- == 0)
			found = p;
		at += p[1];
		while (f->table[at] || f->table[at + 1]) {
			at++;
			g_assert_cmpuint(at + 2, <=, f->len);
		}
		at += 2;
		if (p[0] == 127)
			break;
	}
	g_assert_cmpuint(at, ==, f->len);
	return found;
}

static const char *string_of(const uint8_t *structure, size_t field)
{
	const char *text = (const char *)structure + structure[1];

	g_assert_cmpuint(structure[field], !=, 0);
	for (unsigned i = 1; i < structure[field]; i++)
		text += strlen(text) + 1;
	return text;
}

static void test_strings_too_long(void)
{
	g_autofree char *text = g_strnfill(40000, 'x');
	struct smbios_spec spec = plain_spec;
	autoptr(memory) mem = memory_new(2 * MIB, NULL);
	g_autoptr(GError) error = NULL;

	spec.manufacturer = text;
	g_assert_false(smbios_build(mem, &spec, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
}

static void test_system(void)
{
	static const uint8_t uuid[16] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	struct smbios_spec spec = plain_spec;
	g_autofree struct fixture *f = g_new0(struct fixture, 1);
	const uint8_t *p;

	build(f, &spec);
	p = find(f, 1, 0);
	g_assert_cmpuint(p[1], ==, 27);
	g_assert_cmpstr(string_of(p, 4), ==, "Lodge");
	g_assert_cmpuint(p[7], ==, 0); /* no serial number */
	g_assert_cmpmem(p + 8, 16, uuid, 16);

	spec.serial = "S-1";
	spec.product = "Product";
	build(f, &spec);
	p = find(f, 1, 0);
	g_assert_cmpstr(string_of(p, 5), ==, "Product");
	g_assert_cmpstr(string_of(p, 7), ==, "S-1");
}

static void test_processors(void)
{
	struct smbios_spec spec = plain_spec;
	g_autofree struct fixture *f = g_new0(struct fixture, 1);

	spec.n_cpus = 32;
	build(f, &spec);
	g_assert_nonnull(find(f, 4, 31));
	g_assert_null(find(f, 4, 32));
	g_assert_cmpuint(find(f, 4, 0)[1], ==, 0x30);
	g_assert_cmpstr(string_of(find(f, 4, 31), 4), ==, "CPU 31");
}

static void test_memory(void)
{
	static const struct {
		uint64_t memory;
		unsigned dimms, ranges, first_mib;
	} cases[] = {
		{ 16 * MIB, 1, 1, 16 },
		{ 2 * GIB, 1, 1, 2048 },
		{ 2 * GIB + MIB, 1, 2, 2049 },
		{ 40 * GIB, 3, 2, 16384 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct smbios_spec spec = plain_spec;
		g_autofree struct fixture *f = g_new0(struct fixture, 1);
		uint64_t total = 0, mapped = 0;
		const uint8_t *p;

		spec.memory = cases[i].memory;
		build(f, &spec);
		p = find(f, 16, 0);
		g_assert_cmpuint(le(p + 7, 4), ==, spec.memory >> 10);
		g_assert_cmpuint(le(p + 13, 2), ==, cases[i].dimms);
		g_assert_cmpuint(le(find(f, 17, 0) + 12, 2), ==, cases[i].first_mib);
		for (unsigned n = 0; (p = find(f, 17, n)); n++)
			total += le(p + 12, 2) * MIB;
		g_assert_cmpuint(total, ==, spec.memory);
		for (unsigned n = 0; (p = find(f, 19, n)); n++) {
			g_assert_cmpuint(n, <, cases[i].ranges);
			mapped += (le(p + 8, 4) - le(p + 4, 4) + 1) << 10;
		}
		g_assert_cmpuint(mapped, ==, spec.memory);
	}
}

static void test_every_type(void)
{
	static const struct {
		uint8_t type, len;
	} rows[] = { { 0, 0x1a },  { 1, 0x1b },	 { 3, 0x16 },  { 4, 0x30 }, { 16, 0x17 },
		     { 17, 0x28 }, { 19, 0x1f }, { 32, 0x0b }, { 127, 4 } };
	g_autofree struct fixture *f = g_new0(struct fixture, 1);

	build(f, &plain_spec);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const uint8_t *p = find(f, rows[i].type, 0);

		g_assert_nonnull(p);
		g_assert_cmpuint(p[1], ==, rows[i].len);
	}
}

/* A dump as dmidecode --dump-bin makes it: the entry point points to the table at offset 32 of the file. */
static void test_dmidecode(void)
{
	g_autofree char *dmidecode = g_find_program_in_path("dmidecode");
	g_autofree struct fixture *f = g_new0(struct fixture, 1);
	g_autofree uint8_t *dump = NULL;
	g_autofree char *path = NULL, *out = NULL, *errors = NULL;
	g_autoptr(GError) error = NULL;
	uint8_t total = 0;
	int status = 0;

	if (!dmidecode) {
		g_test_skip("dmidecode is not installed");
		return;
	}
	build(f, &plain_spec);
	dump = g_malloc0(32 + f->len);
	memcpy(dump, f->entry, sizeof(f->entry));
	memset(dump + 16, 0, 8);
	dump[16] = 32;
	dump[5] = 0;
	for (size_t i = 0; i < sizeof(f->entry); i++)
		total = (uint8_t)(total + dump[i]);
	dump[5] = (uint8_t)-total;
	memcpy(dump + 32, f->table, f->len);
	g_close(g_file_open_tmp("lodge-smbios-XXXXXX", &path, &error), NULL);
	g_assert_no_error(error);
	g_assert_true(g_file_set_contents(path, (const char *)dump, (gssize)(32 + f->len), NULL));
	g_assert_true(g_spawn_sync(NULL, (char *[]){ dmidecode, (char *)"--from-dump", path, NULL }, NULL,
				   G_SPAWN_DEFAULT, NULL, NULL, &out, &errors, &status, &error));
	g_unlink(path);
	g_assert_true(g_spawn_check_wait_status(status, NULL));
	g_test_message("%s", out);
	g_assert_cmpstr(errors, ==, "");
	for (const char *const *bad =
		     (const char *const[]){ "truncated", "Wrong", "broken", "<BAD", "<OUT OF SPEC>", "Invalid", NULL };
	     *bad; bad++)
		g_assert_null(strstr(out, *bad));
	g_assert_nonnull(strstr(out, "UUID: 00112233-4455-6677-8899-aabbccddeeff"));
	g_assert_nonnull(strstr(out, "Size: 512 MB"));
	g_assert_nonnull(strstr(out, "End Of Table"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/smbios/strings-too-long", test_strings_too_long);
	g_test_add_func("/smbios/system", test_system);
	g_test_add_func("/smbios/processors", test_processors);
	g_test_add_func("/smbios/memory", test_memory);
	g_test_add_func("/smbios/every-type", test_every_type);
	g_test_add_func("/smbios/dmidecode", test_dmidecode);
	return g_test_run();
}
