/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cpuid.h"

#include <stddef.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/dev/lapic.h"

/*
 * A guest's CPUID leaves. They are put together once, from the model's features and a few fixed descriptions (caches,
 * topology, clocks); what depends on the asking vCPU or on its control registers is patched into the copy
 * cpuid_query() returns, so the table itself is constant and may be read by any thread.
 *
 * Layouts: Intel SDM volume 2 "CPUID"; AMD APM volume 3 appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst.
 */
struct cpuid_table {
	struct cpu_features features;
	struct cpu_identity identity;
	unsigned n_cpus;
	unsigned package, threads; /* logical processors of a package, of a core */
	size_t n;
	struct cpuid_leaf leaves[CPUID_MAX_LEAVES];
};

#define HYPERVISOR_BASE 0x40000000u
#define HYPERVISOR_TIMING 0x40000010u
#define EXTENDED_BASE 0x80000000u

#define XSAVE_LEGACY_SIZE 576u /* FXSAVE image and XSAVE header */
#define XSAVE_AVX_SIZE 256u

/*
 * Linux' tables of processor bugs list model 6/0x36, a processor without speculation, as affected by none of the
 * speculation bugs, and no driver or quirk looks for it under a hypervisor; so a guest kernel does not slow itself
 * down for nothing: an interpreter's branches are not the guest's. A translator that turns guest branches into host
 * branches has to look at this identity and at ARCH_CAPABILITIES again.
 */
static const struct cpu_identity soft_identity = { "GenuineIntel", 6, 0x36, 9, "Lodge software CPU" };

enum cache_type { CACHE_DATA = 1, CACHE_CODE = 2, CACHE_UNIFIED = 3 };

/* A plausible fixed description; 64-byte lines. shared: by all vCPUs, otherwise each has its own. */
static const struct cache_row {
	enum cache_type type;
	unsigned level, ways, sets;
	bool shared;
} caches[] = {
	{ CACHE_DATA, 1, 8, 64, false },
	{ CACHE_CODE, 1, 8, 64, false },
	{ CACHE_UNIFIED, 2, 16, 1024, false },
	{ CACHE_UNIFIED, 3, 16, 16384, true },
};

/* Position of a leaf, or table->n. */
static size_t find_leaf(const struct cpuid_table *table, uint32_t function, uint32_t index)
{
	size_t i = 0;

	while (i < table->n && (table->leaves[i].function != function ||
				(table->leaves[i].has_index && table->leaves[i].index != index)))
		i++;
	return i;
}

static bool function_has_index(uint32_t function)
{
	return function == 0x4 || function == 0x7 || function == 0xb || function == 0xd;
}

/* The leaf, appended with zeros when it is new. */
static struct cpuid_leaf *get_leaf(struct cpuid_table *table, uint32_t function, uint32_t index)
{
	size_t i = find_leaf(table, function, index);

	if (i < table->n)
		return &table->leaves[i];
	g_assert(table->n < CPUID_MAX_LEAVES);
	table->leaves[table->n] = (struct cpuid_leaf){
		.function = function,
		.index = index,
		.has_index = function_has_index(function),
	};
	return &table->leaves[table->n++];
}

static uint32_t *leaf_reg(struct cpuid_leaf *leaf, enum cpuid_reg reg)
{
	switch (reg) {
	case CPUID_EAX:
		return &leaf->eax;
	case CPUID_EBX:
		return &leaf->ebx;
	case CPUID_ECX:
		return &leaf->ecx;
	default:
		return &leaf->edx;
	}
}

static bool table_has(const struct cpuid_table *table, enum cpu_feature feature)
{
	return cpu_features_has(&table->features, feature);
}

/* Number of APIC ID bits that tell n processors apart. */
static unsigned id_bits(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

static unsigned package_bits(const struct cpuid_table *table)
{
	return id_bits(table->package);
}

static bool is_amd(const struct cpuid_table *table)
{
	return strcmp(table->identity.vendor, "AuthenticAMD") == 0 ||
	       strcmp(table->identity.vendor, "HygonGenuine") == 0;
}

static void add_feature_bits(struct cpuid_table *table)
{
	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		const struct cpu_feature_row *row = &cpu_feature_rows[f];

		if (table_has(table, (enum cpu_feature)f))
			*leaf_reg(get_leaf(table, row->leaf, row->subleaf), row->reg) |= 1u << row->bit;
	}
	if (find_leaf(table, 0x7, 1) < table->n)
		get_leaf(table, 0x7, 0)->eax = 1;
}

static uint32_t signature(const struct cpu_identity *identity)
{
	unsigned base = MIN(identity->family, 15u);

	return (identity->family - base) << 20 | (identity->model >> 4 & 0xf) << 16 | base << 8 |
	       (identity->model & 0xf) << 4 | identity->stepping;
}

static void set_vendor(struct cpuid_leaf *leaf, const char *vendor)
{
	memcpy(&leaf->ebx, vendor, 4);
	memcpy(&leaf->edx, vendor + 4, 4);
	memcpy(&leaf->ecx, vendor + 8, 4);
}

static void add_basic(struct cpuid_table *table)
{
	struct cpuid_leaf *leaf;

	set_vendor(get_leaf(table, 0, 0), table->identity.vendor);
	leaf = get_leaf(table, 1, 0);
	leaf->eax = signature(&table->identity);
	leaf->ebx = 8u << 8; /* CLFLUSH line: 8 quadwords */
	if (table->package > 1)
		leaf->ebx |= (1u << package_bits(table)) << 16;
}

/* Leaf 4, and leaf 2 which then says no more than "see leaf 4" beside two TLB descriptors. */
static void add_intel_caches(struct cpuid_table *table)
{
	unsigned ids = 1u << package_bits(table), cores = 1u << (package_bits(table) - id_bits(table->threads));

	get_leaf(table, 0x2, 0)->eax = 0xb003ff01;
	for (uint32_t i = 0; i < G_N_ELEMENTS(caches); i++) {
		const struct cache_row *row = &caches[i];
		struct cpuid_leaf *leaf = get_leaf(table, 0x4, i);
		unsigned sharing = row->shared ? ids : 1u << id_bits(table->threads);

		leaf->eax = row->type | row->level << 5 | 1u << 8 | (sharing - 1) << 14 | (cores - 1) << 26;
		leaf->ebx = (64 - 1) | (row->ways - 1) << 22;
		leaf->ecx = row->sets - 1;
	}
	get_leaf(table, 0x4, G_N_ELEMENTS(caches));
}

/*
 * Threads, then cores, then packages in the APIC ID, which is the vCPU's number: so counts of threads and cores are
 * exact only where they are powers of two, and choose_topology() takes no others. The APIC ID in EDX is filled in at
 * the query.
 */
static void add_topology(struct cpuid_table *table)
{
	struct cpuid_leaf *leaf = get_leaf(table, 0xb, 0);

	leaf->eax = id_bits(table->threads);
	leaf->ebx = table->threads;
	leaf->ecx = 1u << 8; /* level type: SMT */
	leaf = get_leaf(table, 0xb, 1);
	leaf->eax = package_bits(table);
	leaf->ebx = table->package;
	leaf->ecx = 2u << 8 | 1; /* level type: core */
	get_leaf(table, 0xb, 2)->ecx = 2;
}

static void add_xsave(struct cpuid_table *table)
{
	struct cpuid_leaf *leaf;

	if (!table_has(table, CPU_FEATURE_XSAVE))
		return;
	leaf = get_leaf(table, 0xd, 0);
	leaf->eax = X86_XCR0_X87 | X86_XCR0_SSE;
	leaf->ecx = XSAVE_LEGACY_SIZE;
	get_leaf(table, 0xd, 1);
	if (!table_has(table, CPU_FEATURE_AVX))
		return;
	leaf = get_leaf(table, 0xd, 0);
	leaf->eax |= X86_XCR0_AVX;
	leaf->ecx += XSAVE_AVX_SIZE;
	leaf = get_leaf(table, 0xd, 2);
	leaf->eax = XSAVE_AVX_SIZE;
	leaf->ebx = XSAVE_LEGACY_SIZE;
}

/*
 * Leaf 0x15 gives the TSC as a fraction of the local APIC timer's input. Linux multiplies crystal kHz with the
 * numerator in 32 bits, so the numerator has a limit: exact for whole MHz, otherwise off by 120 ppm at worst. Guests
 * that know KVM read the exact frequency in leaf 0x40000010.
 */
static void add_tsc_ratio(struct cpuid_table *table, uint32_t tsc_khz)
{
	const uint64_t crystal_khz = LAPIC_TIMER_HZ / 1000, max_numerator = UINT32_MAX / crystal_khz;
	struct cpuid_leaf *leaf = get_leaf(table, 0x15, 0);
	uint64_t best_error = UINT64_MAX;

	leaf->ecx = (uint32_t)LAPIC_TIMER_HZ;
	for (uint64_t denominator = 1; denominator <= max_numerator; denominator++) {
		uint64_t numerator = (tsc_khz * denominator + crystal_khz / 2) / crystal_khz;
		uint64_t distance =
			(uint64_t)ABS((int64_t)(numerator * crystal_khz) - (int64_t)(tsc_khz * denominator));
		uint64_t error = distance * 4096 / denominator;

		if (numerator > max_numerator)
			break;
		if (numerator == 0 || error >= best_error)
			continue;
		best_error = error;
		leaf->eax = (uint32_t)denominator;
		leaf->ebx = (uint32_t)numerator;
	}
}

static void add_clocks(struct cpuid_table *table, uint32_t tsc_khz)
{
	struct cpuid_leaf *leaf;

	if (!is_amd(table)) {
		add_tsc_ratio(table, tsc_khz);
		leaf = get_leaf(table, 0x16, 0);
		leaf->eax = leaf->ebx = (tsc_khz + 500) / 1000;
		leaf->ecx = 100;
	}
	leaf = get_leaf(table, HYPERVISOR_TIMING, 0);
	leaf->eax = tsc_khz;
	leaf->ebx = (uint32_t)(LAPIC_TIMER_HZ / 1000);
}

static void add_hypervisor(struct cpuid_table *table)
{
	static const char kvm_vendor[12] = "KVMKVMKVM\0\0";
	struct cpuid_leaf *leaf = get_leaf(table, HYPERVISOR_BASE, 0);

	leaf->eax = HYPERVISOR_TIMING;
	memcpy(&leaf->ebx, kvm_vendor, 4);
	memcpy(&leaf->ecx, kvm_vendor + 4, 4);
	memcpy(&leaf->edx, kvm_vendor + 8, 4);
	get_leaf(table, HYPERVISOR_BASE + 1, 0);
}

static void add_brand(struct cpuid_table *table)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct cpuid_leaf *leaf = get_leaf(table, EXTENDED_BASE + 2 + i, 0);
		const char *text = table->identity.brand + (size_t)i * 16;

		memcpy(&leaf->eax, text, 4);
		memcpy(&leaf->ebx, text + 4, 4);
		memcpy(&leaf->ecx, text + 8, 4);
		memcpy(&leaf->edx, text + 12, 4);
	}
}

/* AMD repeats leaf 1 EDX in 0x80000001, and tells caches and core counts in leaves of its own. */
static void add_amd(struct cpuid_table *table)
{
	struct cpuid_leaf *leaf;

	set_vendor(get_leaf(table, EXTENDED_BASE, 0), table->identity.vendor);
	get_leaf(table, EXTENDED_BASE + 1, 0)->edx |= get_leaf(table, 1, 0)->edx & 0x0183f3ff;
	if (table->package > 1)
		get_leaf(table, EXTENDED_BASE + 1, 0)->ecx |= 1u << 1; /* CmpLegacy */
	leaf = get_leaf(table, EXTENDED_BASE + 5, 0);
	leaf->ecx = leaf->edx = 32u << 24 | 8u << 16 | 1u << 8 | 64; /* L1: 32 KiB, 8 ways, 64-byte lines */
	get_leaf(table, EXTENDED_BASE + 8, 0)->ecx = package_bits(table) << 12 | (table->package - 1);
}

static void add_extended(struct cpuid_table *table, unsigned phys_bits)
{
	get_leaf(table, EXTENDED_BASE, 0);
	get_leaf(table, EXTENDED_BASE + 1, 0);
	add_brand(table);
	/* L2: 1 MiB, 16 ways, 64-byte lines */
	get_leaf(table, EXTENDED_BASE + 6, 0)->ecx = 1024u << 16 | 8u << 12 | 64;
	get_leaf(table, EXTENDED_BASE + 8, 0)->eax = phys_bits | 48u << 8;
	if (is_amd(table))
		add_amd(table);
}

/* Leaves 0 and 0x80000000 name the last function of their range. */
static void set_maxima(struct cpuid_table *table)
{
	uint32_t basic = 0, extended = 0;

	for (size_t i = 0; i < table->n; i++) {
		uint32_t function = table->leaves[i].function;

		if (function < HYPERVISOR_BASE)
			basic = MAX(basic, function);
		else if (function >= EXTENDED_BASE)
			extended = MAX(extended, function);
	}
	get_leaf(table, 0, 0)->eax = basic;
	get_leaf(table, EXTENDED_BASE, 0)->eax = extended;
}

static bool model_names_feature(const struct cpu_model *model, enum cpu_feature feature)
{
	enum cpu_feature_models models = cpu_feature_rows[feature].models;

	for (size_t i = 0; i < model->n_extra; i++)
		if (model->extra[i] == feature)
			return true;
	return model->level != CPU_MODELS_MAX && models <= CPU_MODELS_V3 && models <= model->level;
}

/* Features nobody has to offer because the table itself brings them. */
static bool feature_is_given(enum cpu_feature feature, unsigned package)
{
	return feature == CPU_FEATURE_HYPERVISOR || (feature == CPU_FEATURE_HT && package > 1);
}

static bool feature_is_removed(const struct cpu_model *model, enum cpu_feature feature)
{
	for (size_t i = 0; i < model->n_removed; i++) {
		if (model->removed[i] == feature)
			return true;
	}
	return false;
}

static void choose_topology(struct cpuid_table *table, const struct cpu_model *model)
{
	unsigned threads = MAX(model->threads, 1u), cores = model->cores;

	table->threads = (threads & (threads - 1)) == 0 && threads <= table->n_cpus ? threads : 1;
	table->package = table->n_cpus;
	if (cores && (cores & (cores - 1)) == 0 && table->threads == threads && cores * threads < table->n_cpus)
		table->package = cores * threads;
}

static bool choose_features(struct cpuid_table *table, const struct cpu_model *model, const struct cpu_features *offer,
			    GError **err)
{
	g_autoptr(GString) missing = g_string_new(NULL);

	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		enum cpu_feature feature = (enum cpu_feature)f;
		bool removed = feature_is_removed(model, feature);
		bool required = !removed && model_names_feature(model, feature);
		bool wanted = required || model->level == CPU_MODELS_MAX ||
			      cpu_feature_rows[f].models == CPU_MODELS_ANY;
		bool offered = feature == CPU_FEATURE_HT ? false : cpu_features_has(offer, feature);

		if (wanted && !removed && (offered || feature_is_given(feature, table->package)))
			cpu_features_add(&table->features, feature);
		else if (required)
			g_string_append_printf(missing, "%s%s", missing->len ? ", " : "", cpu_feature_rows[f].name);
	}
	if (missing->len == 0)
		return true;
	return fail(err, LODGE_ERROR_UNSUPPORTED,
		    "CPU model '%s' needs what this host's processor does not have: %s; "
		    "choose an older model, or 'max' for all it has",
		    model->name, missing->str);
}

static struct cpuid_table *table_new(const struct cpu_model *model, const struct cpu_features *offer,
				     const struct cpu_identity *identity, unsigned n_cpus, uint32_t tsc_khz,
				     unsigned phys_bits, GError **err)
{
	autoptr(cpuid_table) table = g_new0(struct cpuid_table, 1);

	table->identity = model->identity ? *model->identity : *identity;
	table->n_cpus = n_cpus;
	choose_topology(table, model);
	if (!choose_features(table, model, offer, err))
		return NULL;
	add_basic(table);
	add_feature_bits(table);
	if (!is_amd(table))
		add_intel_caches(table);
	add_topology(table);
	add_xsave(table);
	add_clocks(table, tsc_khz);
	add_hypervisor(table);
	add_extended(table, phys_bits);
	set_maxima(table);
	return g_steal_pointer(&table);
}

struct cpuid_table *cpuid_table_new(const struct cpu_model *model, const struct cpu_features *offer, unsigned n_cpus,
				    uint32_t tsc_khz, GError **err)
{
	return table_new(model, offer, &soft_identity, n_cpus, tsc_khz, CPUID_SOFT_PHYS_BITS, err);
}

struct cpuid_table *cpuid_table_new_native(const struct cpu_model *model, const struct cpu_features *offer,
					   unsigned n_cpus, uint32_t tsc_khz, unsigned phys_bits, GError **err)
{
	struct cpu_identity host;

	cpu_identity_host(&host);
	return table_new(model, offer, &host, n_cpus, tsc_khz, phys_bits, err);
}

void cpuid_table_free(struct cpuid_table *table)
{
	g_free(table);
}

const struct cpu_features *cpuid_table_features(const struct cpuid_table *table)
{
	return &table->features;
}

/* Size of the XSAVE area for what XCR0 enables now (standard format). */
static uint32_t xsave_size(uint64_t xcr0)
{
	return XSAVE_LEGACY_SIZE + (xcr0 & X86_XCR0_AVX ? XSAVE_AVX_SIZE : 0);
}

static void patch_dynamic(struct cpuid_leaf *leaf, const struct cpuid_dynamic *dyn)
{
	switch (leaf->function) {
	case 0x1:
		leaf->ebx |= (uint32_t)dyn->apic_id << 24;
		if (dyn->cr4 & X86_CR4_OSXSAVE)
			leaf->ecx |= 1u << 27;
		break;
	case 0xb:
		leaf->edx = dyn->apic_id;
		break;
	case 0xd:
		if (leaf->index == 0 || (leaf->index == 1 && leaf->eax & 1u << 1)) /* XSAVEC packs to the same size */
			leaf->ebx = xsave_size(dyn->xcr0);
		break;
	default:
		break;
	}
}

/*
 * A function beyond the last of its range answers as the last basic one; the hypervisor's range answers zeros: SDM
 * volume 2 "CPUID".
 */
static uint32_t clamp_function(const struct cpuid_table *table, uint32_t function)
{
	uint32_t max_basic = table->leaves[find_leaf(table, 0, 0)].eax;
	uint32_t max_extended = table->leaves[find_leaf(table, EXTENDED_BASE, 0)].eax;

	if (function >= HYPERVISOR_BASE && function < HYPERVISOR_BASE + 0x10000)
		return function;
	if (function <= max_basic || (function >= EXTENDED_BASE && function <= max_extended))
		return function;
	return max_basic;
}

void cpuid_query(const struct cpuid_table *table, const struct cpuid_dynamic *dyn, uint32_t function, uint32_t index,
		 uint32_t out[4])
{
	struct cpuid_leaf leaf = { 0 };
	size_t i;

	function = clamp_function(table, function);
	i = find_leaf(table, function, index);
	if (i < table->n)
		leaf = table->leaves[i];
	else if (function == 0xb)
		leaf = (struct cpuid_leaf){ .function = function, .index = index, .ecx = index & 0xff };
	patch_dynamic(&leaf, dyn);
	out[CPUID_EAX] = leaf.eax;
	out[CPUID_EBX] = leaf.ebx;
	out[CPUID_ECX] = leaf.ecx;
	out[CPUID_EDX] = leaf.edx;
}

size_t cpuid_table_leaves(const struct cpuid_table *table, const struct cpuid_dynamic *dyn, struct cpuid_leaf *leaves,
			  size_t cap)
{
	size_t n = MIN(table->n, cap);

	for (size_t i = 0; i < n; i++) {
		leaves[i] = table->leaves[i];
		patch_dynamic(&leaves[i], dyn);
	}
	return n;
}
