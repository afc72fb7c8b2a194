/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMBIOS 3.1 (DMTF DSP0134): 64-bit entry point (section 5.2.2) and the structures guests and inventory tools read
 * (chapter 7).
 *
 * A structure is a formatted area, then its strings, each ended by 0, then another 0. Fields of the formatted area
 * that name a string hold its number. They are written in order: begin(), the fields, the strings they count, end().
 */
#include <string.h>

#include "core/base/error.h"
#include "vmm/acpi.h"

#define ENTRY_SIZE 24u
#define TABLE_OFFSET 32u /* from the entry point */
#define SMBIOS_MAJOR 3u
#define SMBIOS_MINOR 1u

#define MIB (UINT64_C(1) << 20)
#define DIMM_MAX (UINT64_C(16) << 30)
#define MAX_DIMMS 64u
#define LOCATOR_MAX 16u

#define NOT_PROVIDED 0xfffeu
#define UNKNOWN 2u
#define LOCATION_BOARD 3u

/* Handles: one range for each type, so that structures can point to each other. */
enum {
	HANDLE_BIOS = 0x000,
	HANDLE_SYSTEM = 0x100,
	HANDLE_CHASSIS = 0x300,
	HANDLE_CPU = 0x400,
	HANDLE_ARRAY = 0x1000,
	HANDLE_DIMM = 0x1100,
	HANDLE_MAPPED = 0x1300,
	HANDLE_BOOT = 0x2000,
	HANDLE_END = 0x7f00
};

struct writer {
	GByteArray *out;
	guint start;
	const char *strings[8]; /* of the structure being written */
	size_t n_strings;
};

static void put(struct writer *w, uint64_t val, unsigned size)
{
	val = GUINT64_TO_LE(val);
	g_byte_array_append(w->out, (const uint8_t *)&val, size);
}

static void begin(struct writer *w, uint8_t type, uint16_t handle)
{
	w->start = w->out->len;
	w->n_strings = 0;
	put(w, type, 1);
	put(w, 0, 1); /* length, by end() */
	put(w, handle, 2);
}

/* A string field; an empty string is number 0. */
static void put_string(struct writer *w, const char *text)
{
	if (!text || !*text) {
		put(w, 0, 1);
		return;
	}
	g_assert(w->n_strings < G_N_ELEMENTS(w->strings));
	w->strings[w->n_strings++] = text;
	put(w, w->n_strings, 1);
}

static void end(struct writer *w)
{
	w->out->data[w->start + 1] = (uint8_t)(w->out->len - w->start);
	for (size_t i = 0; i < w->n_strings; i++)
		g_byte_array_append(w->out, (const uint8_t *)w->strings[i], (guint)strlen(w->strings[i]) + 1);
	put(w, 0, w->n_strings ? 1 : 2);
}

/* Type 0, section 7.1: no BIOS services, a virtual machine. */
static void add_bios(struct writer *w, const char *vendor, const char *version)
{
	begin(w, 0, HANDLE_BIOS);
	put_string(w, vendor);
	put_string(w, version);
	put(w, 0xf000, 2); /* segment */
	put_string(w, "01/01/2024");
	put(w, 0, 1);	    /* 64 KiB */
	put(w, 1u << 3, 8); /* characteristics are not supported */
	put(w, 0x01, 1);    /* ACPI */
	put(w, 0x10, 1);    /* virtual machine */
	put(w, 1, 1);	    /* release 1.0 */
	put(w, 0, 1);
	put(w, 0xffff, 2); /* no embedded controller firmware */
	put(w, 0, 2);	   /* extended ROM size */
	end(w);
}

/* Type 1, section 7.2. The first three fields of a UUID are little-endian since SMBIOS 2.6. */
static void add_system(struct writer *w, const struct smbios_spec *spec, const char *manufacturer, const char *product,
		       const char *version)
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	begin(w, 1, HANDLE_SYSTEM);
	put_string(w, manufacturer);
	put_string(w, product);
	put_string(w, version);
	put_string(w, spec->serial);
	for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
		put(w, spec->uuid[order[i]], 1);
	put(w, 6, 1);	     /* woken by the power switch */
	put_string(w, NULL); /* SKU */
	put_string(w, "Virtual Machine");
	end(w);
}

/* Type 3, section 7.4 */
static void add_chassis(struct writer *w, const char *manufacturer, const char *version)
{
	begin(w, 3, HANDLE_CHASSIS);
	put_string(w, manufacturer);
	put(w, 1, 1); /* "other" */
	put_string(w, version);
	put_string(w, NULL);
	put_string(w, NULL);
	put(w, 3, 1); /* boot-up, power supply and thermal state: safe */
	put(w, 3, 1);
	put(w, 3, 1);
	put(w, UNKNOWN, 1); /* security */
	put(w, 0, 4);
	put(w, 0, 1); /* height */
	put(w, 0, 1); /* power cords */
	put(w, 0, 1); /* contained elements */
	put(w, 0, 1);
	put_string(w, NULL); /* SKU */
	end(w);
}

/* Type 4, section 7.5: one socket for each vCPU. */
static void add_processor(struct writer *w, unsigned index, const char *manufacturer)
{
	char socket[LOCATOR_MAX];

	g_snprintf(socket, sizeof(socket), "CPU %u", index);
	begin(w, 4, (uint16_t)(HANDLE_CPU + index));
	put_string(w, socket);
	put(w, 3, 1); /* central processor */
	put(w, 1, 1); /* family: other */
	put_string(w, manufacturer);
	put(w, 0, 8);	     /* processor ID: ask CPUID */
	put_string(w, NULL); /* version */
	put(w, 0, 1);	     /* voltage */
	put(w, 0, 2);	     /* external clock, maximum and current speed: unknown */
	put(w, 0, 2);
	put(w, 0, 2);
	put(w, 0x41, 1); /* populated, enabled */
	put(w, 1, 1);	 /* upgrade: other */
	for (unsigned i = 0; i < 3; i++)
		put(w, 0xffff, 2); /* caches: ask CPUID */
	put_string(w, NULL);
	put_string(w, NULL);
	put_string(w, NULL);
	put(w, 1, 1); /* cores, enabled, threads */
	put(w, 1, 1);
	put(w, 1, 1);
	put(w, 0x04, 2); /* 64-bit capable */
	put(w, 1, 2);	 /* family 2: other */
	put(w, 1, 2);	 /* core count 2, enabled 2, thread count 2 */
	put(w, 1, 2);
	put(w, 1, 2);
	end(w);
}

/* Type 16, section 7.17 */
static void add_memory_array(struct writer *w, uint64_t memory, unsigned n_dimms)
{
	bool extended = memory >= UINT64_C(2) << 40;

	begin(w, 16, HANDLE_ARRAY);
	put(w, LOCATION_BOARD, 1);
	put(w, 3, 1); /* system memory */
	put(w, 3, 1); /* no error correction */
	put(w, extended ? 0x80000000u : memory >> 10, 4);
	put(w, NOT_PROVIDED, 2);
	put(w, n_dimms, 2);
	put(w, extended ? memory : 0, 8);
	end(w);
}

/* Type 17, section 7.18 */
static void add_dimm(struct writer *w, unsigned index, uint64_t size, const char *manufacturer)
{
	const uint64_t mib = size / MIB;
	char locator[LOCATOR_MAX];

	g_snprintf(locator, sizeof(locator), "DIMM %u", index);
	begin(w, 17, (uint16_t)(HANDLE_DIMM + index));
	put(w, HANDLE_ARRAY, 2);
	put(w, NOT_PROVIDED, 2);
	put(w, 0xffff, 2); /* total and data width: unknown */
	put(w, 0xffff, 2);
	put(w, mib < 0x7fff ? mib : 0x7fff, 2);
	put(w, 9, 1); /* DIMM */
	put(w, 0, 1); /* no set */
	put_string(w, locator);
	put_string(w, NULL);
	put(w, 7, 1);	    /* RAM */
	put(w, 1u << 1, 2); /* detail: other */
	put(w, 0, 2);	    /* speed: unknown */
	put_string(w, manufacturer);
	put_string(w, NULL);
	put_string(w, NULL);
	put_string(w, NULL);
	put(w, 0, 1);			   /* rank: unknown */
	put(w, mib < 0x7fff ? 0 : mib, 4); /* extended size */
	put(w, 0, 2);			   /* configured speed */
	for (unsigned i = 0; i < 3; i++)
		put(w, 0, 2); /* voltages: unknown */
	end(w);
}

/* Type 19, section 7.20: [base, base + size), in KiB where that is enough. */
static void add_mapped_range(struct writer *w, unsigned index, uint64_t base, uint64_t size, unsigned n_dimms)
{
	const uint64_t first = base >> 10, last = (base + size - 1) >> 10;
	bool extended = last >= UINT32_MAX;

	begin(w, 19, (uint16_t)(HANDLE_MAPPED + index));
	put(w, extended ? UINT32_MAX : first, 4);
	put(w, extended ? UINT32_MAX : last, 4);
	put(w, HANDLE_ARRAY, 2);
	put(w, n_dimms, 1); /* partition width */
	put(w, extended ? base : 0, 8);
	put(w, extended ? base + size - 1 : 0, 8);
	end(w);
}

static void add_memory(struct writer *w, const struct smbios_spec *spec, const struct memory *mem,
		       const char *manufacturer)
{
	/* Beyond MAX_DIMMS of them the DIMMs grow instead. */
	const uint64_t step = MAX(DIMM_MAX, (spec->memory / MAX_DIMMS + MIB - 1) / MIB * MIB);
	unsigned n = (unsigned)((spec->memory + step - 1) / step);
	uint64_t low = MIN(memory_low_size(mem), spec->memory);

	add_memory_array(w, spec->memory, n);
	for (unsigned i = 0; i < n; i++)
		add_dimm(w, i, MIN(step, spec->memory - i * step), manufacturer);
	add_mapped_range(w, 0, 0, low, n);
	if (spec->memory > low)
		add_mapped_range(w, 1, MEMORY_HIGH_BASE, spec->memory - low, n);
}

static void add_boot_status(struct writer *w)
{
	begin(w, 32, HANDLE_BOOT);
	put(w, 0, 6); /* reserved */
	put(w, 0, 1); /* no errors */
	end(w);
}

static void add_end(struct writer *w)
{
	begin(w, 127, HANDLE_END);
	end(w);
}

static void fill_entry(uint8_t entry[ENTRY_SIZE], uint32_t table_size)
{
	const uint64_t table = GUINT64_TO_LE(SMBIOS_ADDR + TABLE_OFFSET);
	uint8_t sum = 0;

	memset(entry, 0, ENTRY_SIZE);
	memcpy(entry, "_SM3_", 5);
	entry[6] = ENTRY_SIZE;
	entry[7] = SMBIOS_MAJOR;
	entry[8] = SMBIOS_MINOR;
	entry[10] = 1; /* entry point revision */
	table_size = GUINT32_TO_LE(table_size);
	memcpy(entry + 12, &table_size, sizeof(table_size));
	memcpy(entry + 16, &table, sizeof(table));
	for (size_t i = 0; i < ENTRY_SIZE; i++)
		sum = (uint8_t)(sum + entry[i]);
	entry[5] = (uint8_t)-sum;
}

bool smbios_build(struct memory *mem, const struct smbios_spec *spec, GError **err)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	struct writer w = { .out = out };
	const char *manufacturer = spec->manufacturer ? spec->manufacturer : "Lodge";
	const char *product = spec->product ? spec->product : "Virtual Machine";
	const char *version = spec->version ? spec->version : "1";
	uint8_t entry[ENTRY_SIZE];

	add_bios(&w, manufacturer, version);
	add_system(&w, spec, manufacturer, product, version);
	add_chassis(&w, manufacturer, version);
	for (unsigned i = 0; i < spec->n_cpus; i++)
		add_processor(&w, i, manufacturer);
	add_memory(&w, spec, mem, manufacturer);
	add_boot_status(&w);
	add_end(&w);
	if (out->len > SMBIOS_MAX - TABLE_OFFSET)
		return fail(err, LODGE_ERROR_INPUT,
			    "SMBIOS data take %u bytes, there is room for %u: shorten the strings", out->len,
			    (unsigned)(SMBIOS_MAX - TABLE_OFFSET));
	fill_entry(entry, out->len);
	if (!memory_write(mem, SMBIOS_ADDR, entry, sizeof(entry)) ||
	    !memory_write(mem, SMBIOS_ADDR + TABLE_OFFSET, out->data, out->len))
		return fail(err, LODGE_ERROR_INPUT,
			    "the VM's memory of %" G_GUINT64_FORMAT " MiB is too small for its SMBIOS data",
			    memory_size(mem) >> 20);
	return true;
}
