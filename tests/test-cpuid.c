/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <cpuid.h>
#include <glib.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/cpuid.h"
#include "vmm/dev/lapic.h"

#define TSC_KHZ 2599998u

static const struct cpuid_dynamic boot_cpu = { .apic_id = 0, .n_cpus = 4, .cr4 = 0, .xcr0 = X86_XCR0_X87 };

/* The software CPU's offer as if the host had every instruction that runs as itself. */
static struct cpu_features full_offer(void)
{
	struct cpu_features offer = { 0 };

	for (unsigned f = 0; f < CPU_N_FEATURES; f++)
		if (cpu_feature_rows[f].soft != CPU_SOFT_NO)
			cpu_features_add(&offer, (enum cpu_feature)f);
	return offer;
}

static struct cpuid_table *table_of(const char *name, unsigned n_cpus)
{
	struct cpu_features offer = full_offer();
	const struct cpu_model *model = cpu_model_find(name, NULL);
	struct cpuid_table *table;

	g_assert_nonnull(model);
	table = cpuid_table_new(model, &offer, n_cpus, TSC_KHZ, NULL);
	g_assert_nonnull(table);
	return table;
}

static void query(const struct cpuid_table *table, uint32_t function, uint32_t index, uint32_t out[4])
{
	cpuid_query(table, &boot_cpu, function, index, out);
}

static void test_unknown_model(void)
{
	g_autoptr(GError) err = NULL;

	g_assert_null(cpu_model_find("pentium5", &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_USAGE);
	g_assert_nonnull(strstr(err->message, "pentium5"));
	for (size_t i = 0; cpu_models()[i]; i++)
		g_assert_nonnull(strstr(err->message, cpu_model_name(cpu_models()[i])));
	g_assert_null(cpu_model_find("", NULL));
}

static void test_missing_features(void)
{
	struct cpu_features offer = full_offer();
	g_autoptr(GError) err = NULL;
	autoptr(cpuid_table) table = NULL;

	cpu_features_remove(&offer, CPU_FEATURE_AVX2);
	cpu_features_remove(&offer, CPU_FEATURE_FMA);
	g_assert_null(cpuid_table_new(cpu_model_find("x86-64-v3", NULL), &offer, 1, TSC_KHZ, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED);
	g_assert_nonnull(strstr(err->message, "avx2"));
	g_assert_nonnull(strstr(err->message, "fma"));
	g_assert_null(strstr(err->message, "sse4_2"));
	table = cpuid_table_new(cpu_model_find(NULL, NULL), &offer, 1, TSC_KHZ, NULL);
	g_assert_nonnull(table);
	g_assert_false(cpu_features_has(cpuid_table_features(table), CPU_FEATURE_AVX2));
	g_assert_true(cpu_features_has(cpuid_table_features(table), CPU_FEATURE_AVX));
}

static void test_feature_rows(void)
{
	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		const struct cpu_feature_row *row = &cpu_feature_rows[f];

		g_assert_nonnull(row->name);
		g_assert_cmpuint(row->bit, <, 32);
		for (unsigned other = 0; other < f; other++) {
			const struct cpu_feature_row *second = &cpu_feature_rows[other];

			g_assert_cmpstr(row->name, !=, second->name);
			g_assert_false(row->leaf == second->leaf && row->subleaf == second->subleaf &&
				       row->reg == second->reg && row->bit == second->bit);
		}
	}
}

/* Every leaf of every feature, read back as a guest would. */
static void test_bits(void)
{
	for (size_t m = 0; cpu_models()[m]; m++) {
		autoptr(cpuid_table) table = table_of(cpu_model_name(cpu_models()[m]), 4);

		for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
			const struct cpu_feature_row *row = &cpu_feature_rows[f];
			bool has = cpu_features_has(cpuid_table_features(table), (enum cpu_feature)f);
			uint32_t out[4], max[4];

			query(table, row->leaf & 0xc0000000, 0, max);
			query(table, row->leaf, row->subleaf, out);
			if (row->leaf > max[0])
				g_assert_false(has);
			else
				g_assert_cmpuint(out[row->reg] >> row->bit & 1, ==, has);
		}
	}
}

static void test_levels(void)
{
	static const struct {
		const char *model;
		enum cpu_feature with, without;
	} rows[] = {
		{ "x86-64-v1", CPU_FEATURE_SSE2, CPU_FEATURE_SSE3 },
		{ "x86-64-v2", CPU_FEATURE_SSE4_2, CPU_FEATURE_AVX },
		{ "x86-64-v3", CPU_FEATURE_AVX2, CPU_FEATURE_SHA_NI },
		{ "qemu64", CPU_FEATURE_CX16, CPU_FEATURE_SSSE3 },
		{ "Nehalem", CPU_FEATURE_POPCNT, CPU_FEATURE_AES },
		{ "Haswell", CPU_FEATURE_AES, CPU_FEATURE_ADX },
		{ "max", CPU_FEATURE_SHA_NI, CPU_FEATURE_VAES },
		{ "host", CPU_FEATURE_SHA_NI, CPU_FEATURE_SSBD },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		autoptr(cpuid_table) table = table_of(rows[i].model, 1);
		const struct cpu_features *set = cpuid_table_features(table);

		g_assert_true(cpu_features_has(set, rows[i].with));
		g_assert_false(cpu_features_has(set, rows[i].without));
		g_assert_true(cpu_features_has(set, CPU_FEATURE_HYPERVISOR));
		g_assert_true(cpu_features_has(set, CPU_FEATURE_NX));
	}
}

static void test_identity(void)
{
	autoptr(cpuid_table) table = table_of("max", 1);
	autoptr(cpuid_table) haswell = table_of("Haswell", 1);
	uint32_t out[4];
	char brand[49] = "", vendor[13] = "";

	query(table, 0, 0, out);
	memcpy(vendor, &out[CPUID_EBX], 4);
	memcpy(vendor + 4, &out[CPUID_EDX], 4);
	memcpy(vendor + 8, &out[CPUID_ECX], 4);
	g_assert_cmpstr(vendor, ==, "GenuineIntel");
	g_assert_cmphex(out[CPUID_EAX], ==, 0x16);
	for (uint32_t i = 0; i < 3; i++) {
		query(table, 0x80000002 + i, 0, out);
		memcpy(brand + 16 * i, out, 16);
	}
	g_assert_cmpstr(brand, ==, "Lodge software CPU");
	query(table, 1, 0, out);
	g_assert_cmphex(out[CPUID_EAX], ==, 0x30669);
	query(haswell, 1, 0, out);
	g_assert_cmphex(out[CPUID_EAX], ==, 0x306c4);
}

static void test_native_identity(void)
{
	struct cpu_features offer;
	autoptr(cpuid_table) table = NULL;
	uint32_t out[4], eax, ebx, ecx, edx;

	cpu_features_host(&offer);
	table = cpuid_table_new_native(cpu_model_find("host", NULL), &offer, 2, TSC_KHZ, 39, NULL);
	g_assert_nonnull(table);
	__cpuid(1, eax, ebx, ecx, edx);
	query(table, 1, 0, out);
	g_assert_cmphex(out[CPUID_EAX], ==, eax & 0x0fff0fff);
	query(table, 0x80000002, 0, out);
	__cpuid(0x80000002, eax, ebx, ecx, edx);
	g_assert_cmphex(out[CPUID_EAX], ==, eax);
	query(table, 0x80000008, 0, out);
	g_assert_cmphex(out[CPUID_EAX], ==, 48 << 8 | 39);
}

static void test_dynamic(void)
{
	autoptr(cpuid_table) table = table_of("max", 6);
	struct cpuid_dynamic dyn = { .apic_id = 5, .n_cpus = 6, .cr4 = X86_CR4_OSXSAVE, .xcr0 = 7 };
	uint32_t out[4];

	cpuid_query(table, &dyn, 1, 0, out);
	g_assert_cmpuint(out[CPUID_EBX] >> 24, ==, 5);
	g_assert_cmpuint(out[CPUID_EBX] >> 16 & 0xff, ==, 8);
	g_assert_true(out[CPUID_ECX] & 1u << 27);
	g_assert_true(out[CPUID_EDX] & 1u << 28);
	query(table, 1, 0, out);
	g_assert_false(out[CPUID_ECX] & 1u << 27);
	cpuid_query(table, &dyn, 0xd, 0, out);
	g_assert_cmpuint(out[CPUID_EBX], ==, 832);
	g_assert_cmpuint(out[CPUID_ECX], ==, 832);
	query(table, 0xd, 0, out);
	g_assert_cmpuint(out[CPUID_EBX], ==, 576);
	g_assert_cmpuint(out[CPUID_ECX], ==, 832);
	query(table, 0xd, 2, out);
	g_assert_cmpuint(out[CPUID_EAX], ==, 256);
	g_assert_cmpuint(out[CPUID_EBX], ==, 576);
	query(table, 0xd, 9, out);
	g_assert_cmpuint(out[CPUID_EAX], ==, 0);
}

static void test_topology(void)
{
	autoptr(cpuid_table) table = table_of("max", 6);
	autoptr(cpuid_table) single = table_of("max", 1);
	struct cpuid_dynamic dyn = { .apic_id = 3, .n_cpus = 6 };
	uint32_t out[4];

	cpuid_query(table, &dyn, 0xb, 1, out);
	g_assert_cmpuint(out[CPUID_EAX], ==, 3);
	g_assert_cmpuint(out[CPUID_EBX], ==, 6);
	g_assert_cmphex(out[CPUID_ECX], ==, 0x201);
	g_assert_cmpuint(out[CPUID_EDX], ==, 3);
	cpuid_query(table, &dyn, 0xb, 77, out);
	g_assert_cmpuint(out[CPUID_ECX], ==, 77);
	g_assert_cmpuint(out[CPUID_EBX], ==, 0);
	g_assert_cmpuint(out[CPUID_EDX], ==, 3);
	query(table, 4, 3, out);
	g_assert_cmpuint(out[CPUID_EAX] >> 26, ==, 7);
	g_assert_cmpuint(out[CPUID_EAX] >> 14 & 0xfff, ==, 7);
	query(table, 4, 4, out);
	g_assert_cmpuint(out[CPUID_EAX] & 0x1f, ==, 0);
	query(single, 1, 0, out);
	g_assert_false(out[CPUID_EDX] & 1u << 28);
}

static void test_hypervisor_leaves(void)
{
	autoptr(cpuid_table) table = table_of("max", 1);
	uint32_t out[4], last[4];

	query(table, 0x40000000, 0, out);
	g_assert_cmphex(out[CPUID_EAX], ==, 0x40000010);
	g_assert_cmpmem(&out[1], 12, "KVMKVMKVM\0\0\0", 12);
	query(table, 0x40000001, 0, out);
	g_assert_cmphex(out[CPUID_EAX], ==, 1u | 1u << 1 | 1u << 3 | 1u << 15 | 1u << 24);
	query(table, 0x40000010, 0, out);
	g_assert_cmpuint(out[CPUID_EAX], ==, TSC_KHZ);
	g_assert_cmpuint(out[CPUID_EBX], ==, LAPIC_TIMER_HZ / 1000);
	query(table, 0x40000100, 0, out);
	g_assert_cmphex(out[CPUID_EBX], ==, 0);
	query(table, 0x16, 0, last);
	query(table, 0x12345678, 0, out);
	g_assert_cmpmem(out, sizeof(out), last, sizeof(last));
	query(table, 0x80001234, 0, out);
	g_assert_cmpmem(out, sizeof(out), last, sizeof(last));
}

/* Linux computes crystal kHz * numerator / denominator in 32 bits: it must neither overflow nor stray. */
static void test_tsc_ratio(void)
{
	static const uint32_t khz[] = {
		800000, 1000000, 1999999, 2100000, 2593906, 2600000, 2994375, 3400001, 4294000
	};
	struct cpu_features offer = full_offer();

	for (size_t i = 0; i < G_N_ELEMENTS(khz); i++) {
		autoptr(cpuid_table) table = cpuid_table_new(cpu_model_find(NULL, NULL), &offer, 1, khz[i], NULL);
		uint32_t out[4];
		double said;

		query(table, 0x15, 0, out);
		g_assert_cmpuint(out[CPUID_EAX], >, 0);
		g_assert_cmpuint((uint64_t)out[CPUID_EBX] * (out[CPUID_ECX] / 1000), <=, UINT32_MAX);
		said = (double)out[CPUID_ECX] / 1000 * out[CPUID_EBX] / out[CPUID_EAX];
		g_assert_cmpfloat_with_epsilon(said, khz[i], khz[i] % 1000 ? khz[i] * 120e-6 : 0.5);
	}
}

static void test_leaf_list(void)
{
	autoptr(cpuid_table) table = table_of("max", 3);
	struct cpuid_leaf leaves[CPUID_MAX_LEAVES];
	size_t n = cpuid_table_leaves(table, &boot_cpu, leaves, G_N_ELEMENTS(leaves));
	struct cpu_features set;

	g_assert_cmpuint(n, >, 20);
	g_assert_cmpuint(cpuid_table_leaves(table, &boot_cpu, leaves, 3), ==, 3);
	for (size_t i = 0; i < n; i++) {
		uint32_t out[4];

		query(table, leaves[i].function, leaves[i].index, out);
		g_assert_cmphex(out[0], ==, leaves[i].eax);
		g_assert_cmphex(out[3], ==, leaves[i].edx);
	}
	cpu_features_from_leaves(&set, leaves, n);
	g_assert_cmpmem(&set, sizeof(set), cpuid_table_features(table), sizeof(set));
}

static void test_soft_is_honest(void)
{
	struct cpu_features soft, host;

	cpu_features_soft(&soft);
	cpu_features_host(&host);
	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		bool offered = cpu_features_has(&soft, (enum cpu_feature)f);

		switch (cpu_feature_rows[f].soft) {
		case CPU_SOFT_NO:
			g_assert_false(offered);
			break;
		case CPU_SOFT_OWN:
			g_assert_true(offered);
			break;
		case CPU_SOFT_HOST:
			g_assert_cmpint(offered, ==, cpu_features_has(&host, (enum cpu_feature)f));
			break;
		}
	}
	g_assert_true(cpu_features_has(&host, CPU_FEATURE_SSE2));
	g_assert_cmpint(cpu_features_has(&host, CPU_FEATURE_AVX2), ==, __builtin_cpu_supports("avx2") != 0);
	g_assert_cmpint(cpu_features_has(&host, CPU_FEATURE_BMI2), ==, __builtin_cpu_supports("bmi2") != 0);
}

static void test_msr_refusals(void)
{
	struct cpu_features all = full_offer(), none = { 0 };
	struct x86_cpu_state state = { 0 };
	uint64_t val = 0;

	g_assert_false(msr_policy_read(&all, &state, 0x123456, &val));
	g_assert_false(msr_policy_write(&all, &state, 0x123456, 0));
	g_assert_false(msr_policy_write(&all, &state, 0xc0000082, UINT64_C(0x0000800000000000))); /* not canonical */
	g_assert_false(msr_policy_write(&all, &state, 0x277, UINT64_C(0x0007040600070402)));	  /* type 2 */
	g_assert_false(msr_policy_write(&all, &state, 0x250, 7)); /* UC- is for the PAT */
	g_assert_false(msr_policy_write(&all, &state, 0x48, 0x8000));
	g_assert_false(msr_policy_write(&all, &state, 0x49, 2));
	g_assert_false(msr_policy_read(&all, &state, 0x49, &val));
	g_assert_false(msr_policy_write(&all, &state, 0x10a, 0));
	g_assert_false(msr_policy_write(&all, &state, 0x200, UINT64_C(1) << CPUID_SOFT_PHYS_BITS));
	g_assert_false(msr_policy_read(&none, &state, 0x10a, &val));
	g_assert_null(msr_policy_find(&none, 0x4b564d01));
	g_assert_nonnull(msr_policy_find(NULL, 0x4b564d01));
}

static void test_msr_values(void)
{
	struct cpu_features all = full_offer();
	struct x86_cpu_state state = { 0 };
	uint64_t val = 0;

	g_assert_true(msr_policy_write(&all, &state, 0xc0000082, UINT64_C(0xffffffff81800000)));
	g_assert_cmphex(state.lstar, ==, UINT64_C(0xffffffff81800000));
	g_assert_true(msr_policy_read(&all, &state, 0xc0000082, &val));
	g_assert_cmphex(val, ==, UINT64_C(0xffffffff81800000));
	g_assert_true(msr_policy_write(&all, &state, 0x277, UINT64_C(0x0407050600070106)));
	g_assert_cmphex(state.pat, ==, UINT64_C(0x0407050600070106));
	g_assert_true(msr_policy_write(&all, &state, 0x20f, UINT64_C(0x3fff80000800)));
	g_assert_cmphex(state.mtrr_mask[7], ==, UINT64_C(0x3fff80000800));
	g_assert_true(msr_policy_write(&all, &state, 0x26f, UINT64_C(0x0506050605060506)));
	g_assert_cmphex(state.mtrr_fixed[10], ==, UINT64_C(0x0506050605060506));
	g_assert_true(msr_policy_write(&all, &state, 0x8b, 0));
	g_assert_true(msr_policy_read(&all, &state, 0x8b, &val));
	g_assert_cmphex(val, ==, UINT64_C(1) << 32);
	g_assert_true(msr_policy_write(&all, &state, 0x49, 1));
	g_assert_true(msr_policy_read(&all, &state, 0x3a, &val));
	g_assert_cmphex(val, ==, 1);
}

static void test_msr_order(void)
{
	size_t n;
	const struct msr_policy *rows = msr_policy_table(&n);

	for (size_t i = 0; i < n; i++) {
		if (i)
			g_assert_cmphex(rows[i].index, >, rows[i - 1].index);
		g_assert_true(msr_policy_find(NULL, rows[i].index) == &rows[i]);
		g_assert_nonnull(rows[i].name);
	}
}

static void test_host_tsc(void)
{
	uint32_t first = host_tsc_khz(), second = host_tsc_khz();

	g_assert_cmpuint(first, >, 100000);
	g_test_message("TSC %u and %u kHz", first, second);
}

static struct cpuid_table *table_with(const char *change, unsigned cores, unsigned threads, unsigned n_cpus)
{
	struct cpu_features offer = full_offer();
	g_autoptr(GPtrArray) changes = g_ptr_array_new_with_free_func(g_free);
	struct cpu_model *model;
	struct cpuid_table *table;

	if (change)
		g_ptr_array_add(changes, g_strdup(change));
	model = cpu_model_build("x86-64-v2", changes, cores, threads, NULL);
	g_assert_nonnull(model);
	table = cpuid_table_new(model, &offer, n_cpus, TSC_KHZ, NULL);
	cpu_model_free(model);
	return table;
}

/* One VM's own changes: names as libvirt and Linux have them. */
static void test_changes(void)
{
	g_autoptr(GPtrArray) unknown = g_ptr_array_new_with_free_func(g_free);
	autoptr(cpuid_table) plain = table_with(NULL, 0, 0, 1);
	autoptr(cpuid_table) less = table_with("-sse4.2", 0, 0, 1);
	autoptr(cpuid_table) more = table_with("+pclmuldq", 0, 0, 1);
	autoptr(cpuid_table) without = table_with("-no-such-feature", 0, 0, 1);
	g_autoptr(GError) err = NULL;

	g_ptr_array_add(unknown, g_strdup("+no-such-feature"));
	g_assert_null(cpu_model_build(NULL, unknown, 0, 0, &err));
	g_assert_nonnull(strstr(err->message, "no-such-feature"));
	g_assert_true(cpu_features_has(cpuid_table_features(plain), CPU_FEATURE_SSE4_2));
	g_assert_false(cpu_features_has(cpuid_table_features(less), CPU_FEATURE_SSE4_2));
	g_assert_false(cpu_features_has(cpuid_table_features(plain), CPU_FEATURE_PCLMULQDQ));
	g_assert_true(cpu_features_has(cpuid_table_features(more), CPU_FEATURE_PCLMULQDQ));
	g_assert_nonnull(without);
}

/* Two packages of two cores of two threads. */
static void test_threads(void)
{
	autoptr(cpuid_table) table = table_with(NULL, 2, 2, 8);
	uint32_t out[4];

	query(table, 0xb, 0, out);
	g_assert_cmpuint(out[CPUID_EAX], ==, 1);
	g_assert_cmpuint(out[CPUID_EBX], ==, 2);
	query(table, 0xb, 1, out);
	g_assert_cmpuint(out[CPUID_EAX], ==, 2);
	g_assert_cmpuint(out[CPUID_EBX], ==, 4);
	query(table, 1, 0, out);
	g_assert_cmpuint(out[CPUID_EBX] >> 16 & 0xff, ==, 4);
	query(table, 4, 0, out);
	g_assert_cmpuint(out[CPUID_EAX] >> 14 & 0xfff, ==, 1); /* L1: shared by the core's threads */
	g_assert_cmpuint(out[CPUID_EAX] >> 26, ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cpuid/unknown-model", test_unknown_model);
	g_test_add_func("/cpuid/missing-features", test_missing_features);
	g_test_add_func("/cpuid/feature-rows", test_feature_rows);
	g_test_add_func("/cpuid/bits", test_bits);
	g_test_add_func("/cpuid/levels", test_levels);
	g_test_add_func("/cpuid/identity", test_identity);
	g_test_add_func("/cpuid/native-identity", test_native_identity);
	g_test_add_func("/cpuid/dynamic", test_dynamic);
	g_test_add_func("/cpuid/topology", test_topology);
	g_test_add_func("/cpuid/changes", test_changes);
	g_test_add_func("/cpuid/threads", test_threads);
	g_test_add_func("/cpuid/hypervisor-leaves", test_hypervisor_leaves);
	g_test_add_func("/cpuid/tsc-ratio", test_tsc_ratio);
	g_test_add_func("/cpuid/leaf-list", test_leaf_list);
	g_test_add_func("/cpuid/soft-is-honest", test_soft_is_honest);
	g_test_add_func("/cpuid/host-tsc", test_host_tsc);
	g_test_add_func("/msr/refusals", test_msr_refusals);
	g_test_add_func("/msr/values", test_msr_values);
	g_test_add_func("/msr/order", test_msr_order);
	return g_test_run();
}
