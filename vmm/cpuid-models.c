/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cpuid.h"

#include <cpuid.h>
#include <stddef.h>
#include <string.h>

#include "core/base/error.h"

const struct cpu_feature_row cpu_feature_rows[CPU_N_FEATURES] = {
#define CPU_FEATURE(id_, leaf_, subleaf_, reg_, bit_, name_, models_, soft_) \
	[CPU_FEATURE_##id_] = { .leaf = (leaf_), .subleaf = (subleaf_), .reg = CPUID_##reg_, .bit = (bit_), \
				.name = (name_), .models = CPU_MODELS_##models_, .soft = CPU_SOFT_##soft_ },
#include "vmm/cpu-features.def"
#undef CPU_FEATURE
};

static const struct cpu_identity nehalem_identity = { "GenuineIntel", 6, 26, 3, "Intel Core i7 9xx (Nehalem)" };
static const struct cpu_identity haswell_identity = { "GenuineIntel", 6, 60, 4, "Intel Core Processor (Haswell)" };

static const enum cpu_feature qemu64_extra[] = { CPU_FEATURE_SSE3, CPU_FEATURE_CX16, CPU_FEATURE_LAHF_LM };
static const enum cpu_feature haswell_extra[] = {
	CPU_FEATURE_PCLMULQDQ, CPU_FEATURE_AES, CPU_FEATURE_RDRAND, CPU_FEATURE_XSAVEOPT,
};

static const struct cpu_model model_max = {
	.name = "max", .summary = "everything the accelerator and this host can do", .level = CPU_MODELS_MAX,
};
static const struct cpu_model model_host = {
	.name = "host", .summary = "the same as max", .level = CPU_MODELS_MAX,
};
static const struct cpu_model model_v1 = {
	.name = "x86-64-v1", .summary = "baseline x86-64", .level = CPU_MODELS_V1,
};
static const struct cpu_model model_v2 = {
	.name = "x86-64-v2", .summary = "with SSE4.2, POPCNT, CMPXCHG16B", .level = CPU_MODELS_V2,
};
static const struct cpu_model model_v3 = {
	.name = "x86-64-v3", .summary = "with AVX2, BMI2, FMA", .level = CPU_MODELS_V3,
};
static const struct cpu_model model_qemu64 = {
	.name = "qemu64", .summary = "baseline x86-64 with SSE3 and CMPXCHG16B", .level = CPU_MODELS_V1,
	.extra = qemu64_extra, .n_extra = G_N_ELEMENTS(qemu64_extra),
};
static const struct cpu_model model_nehalem = {
	.name = "Nehalem", .summary = "Intel Core i7 of 2008", .level = CPU_MODELS_V2, .identity = &nehalem_identity,
};
static const struct cpu_model model_haswell = {
	.name = "Haswell", .summary = "Intel Core of 2013, without TSX", .level = CPU_MODELS_V3,
	.extra = haswell_extra, .n_extra = G_N_ELEMENTS(haswell_extra), .identity = &haswell_identity,
};

static const struct cpu_model *const models[] = {
	&model_max, &model_host, &model_v1, &model_v2, &model_v3, &model_qemu64, &model_nehalem, &model_haswell, NULL,
};

const struct cpu_model *const *cpu_models(void)
{
	return models;
}

const char *cpu_model_name(const struct cpu_model *model)
{
	return model->name;
}

const struct cpu_model *cpu_model_find(const char *name, GError **err)
{
	g_autoptr(GString) known = NULL;

	if (!name)
		return &model_max;
	for (size_t i = 0; models[i]; i++)
		if (g_ascii_strcasecmp(models[i]->name, name) == 0)
			return models[i];
	known = g_string_new(NULL);
	for (size_t i = 0; models[i]; i++)
		g_string_append_printf(known, "%s%s", i ? ", " : "", models[i]->name);
	return fail_null(err, LODGE_ERROR_USAGE, "CPU model '%s' is not known; the models are %s", name, known->str);
}

void cpu_features_from_leaves(struct cpu_features *set, const struct cpuid_leaf *leaves, size_t n)
{
	memset(set, 0, sizeof(*set));
	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		const struct cpu_feature_row *row = &cpu_feature_rows[f];

		for (size_t i = 0; i < n; i++) {
			const struct cpuid_leaf *leaf = &leaves[i];
			const uint32_t regs[CPUID_N_REGS] = { leaf->eax, leaf->ebx, leaf->ecx, leaf->edx };

			if (leaf->function == row->leaf && leaf->index == row->subleaf &&
			    regs[row->reg] >> row->bit & 1)
				cpu_features_add(set, (enum cpu_feature)f);
		}
	}
}

/* What this process may use: without the operating system's help the wide registers and XSAVE are out of reach. */
static void mask_by_xcr0(struct cpu_features *set)
{
	static const enum cpu_feature need_avx_state[] = {
		CPU_FEATURE_AVX, CPU_FEATURE_AVX2, CPU_FEATURE_FMA, CPU_FEATURE_F16C,
		CPU_FEATURE_VAES, CPU_FEATURE_VPCLMULQDQ, CPU_FEATURE_AVX_VNNI,
	};
	static const enum cpu_feature need_xsave[] = {
		CPU_FEATURE_XSAVE, CPU_FEATURE_XSAVEOPT, CPU_FEATURE_XSAVEC, CPU_FEATURE_XGETBV1,
	};
	const uint32_t avx_state = X86_XCR0_SSE | X86_XCR0_AVX;
	uint32_t eax, ebx, ecx, edx, xcr0 = 0, high;
	bool osxsave;

	__cpuid(1, eax, ebx, ecx, edx);
	osxsave = ecx >> 27 & 1;
	if (osxsave)
		__asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
	for (size_t i = 0; (xcr0 & avx_state) != avx_state && i < G_N_ELEMENTS(need_avx_state); i++)
		cpu_features_remove(set, need_avx_state[i]);
	for (size_t i = 0; !osxsave && i < G_N_ELEMENTS(need_xsave); i++)
		cpu_features_remove(set, need_xsave[i]);
}

/* CPUID may cost a trip to an outer hypervisor: each leaf is read once, as the rows of a leaf stand together. */
void cpu_features_host(struct cpu_features *set)
{
	uint32_t max_basic = (uint32_t)__get_cpuid_max(0, NULL);
	uint32_t max_extended = (uint32_t)__get_cpuid_max(0x80000000, NULL);
	uint32_t regs[CPUID_N_REGS] = { 0 }, leaf = UINT32_MAX, subleaf = 0;

	memset(set, 0, sizeof(*set));
	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		const struct cpu_feature_row *row = &cpu_feature_rows[f];
		bool there = row->leaf <= max_basic || (row->leaf >= 0x80000000 && row->leaf <= max_extended);

		if (!there)
			continue;
		if (row->leaf != leaf || row->subleaf != subleaf) {
			leaf = row->leaf;
			subleaf = row->subleaf;
			__cpuid_count(leaf, subleaf, regs[0], regs[1], regs[2], regs[3]);
		}
		if (regs[row->reg] >> row->bit & 1)
			cpu_features_add(set, (enum cpu_feature)f);
	}
	mask_by_xcr0(set);
}

void cpu_features_soft(struct cpu_features *set)
{
	struct cpu_features host;

	cpu_features_host(&host);
	memset(set, 0, sizeof(*set));
	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		enum cpu_feature feature = (enum cpu_feature)f;
		enum cpu_feature_soft soft = cpu_feature_rows[f].soft;

		if (soft == CPU_SOFT_OWN || (soft == CPU_SOFT_HOST && cpu_features_has(&host, feature)))
			cpu_features_add(set, feature);
	}
}

/* Family and model as SDM volume 2 "CPUID", figure 3-6, combines them. */
static void decode_signature(struct cpu_identity *identity, uint32_t eax)
{
	unsigned family = eax >> 8 & 0xf;

	identity->stepping = eax & 0xf;
	identity->model = eax >> 4 & 0xf;
	if (family == 6 || family == 15)
		identity->model |= (eax >> 16 & 0xf) << 4;
	identity->family = family == 15 ? 15 + (eax >> 20 & 0xff) : family;
}

void cpu_identity_host(struct cpu_identity *identity)
{
	uint32_t eax, words[4];

	memset(identity, 0, sizeof(*identity));
	__cpuid(0, eax, words[0], words[2], words[1]);
	memcpy(identity->vendor, words, 12);
	__cpuid(1, eax, words[0], words[1], words[2]);
	decode_signature(identity, eax);
	if ((uint32_t)__get_cpuid_max(0x80000000, NULL) < 0x80000004)
		return;
	for (uint32_t i = 0; i < 3; i++) {
		__cpuid(0x80000002 + i, words[0], words[1], words[2], words[3]);
		memcpy(identity->brand + (size_t)i * 16, words, 16);
	}
}

/* --- one VM's own --- */

/*
 * libvirt's names where they are not those of Linux. The first name of a feature is the one to show; others are
 * understood, as are dashes and dots for underscores.
 */
static const struct {
	const char *theirs, *ours;
} other_names[] = {
	{ "pni", "pni" },
	{ "sse3", "pni" },
	{ "pclmuldq", "pclmulqdq" },
	{ "sse4.1", "sse4_1" },
	{ "sse4.2", "sse4_2" },
	{ "tsc-deadline", "tsc_deadline_timer" },
	{ "fdp-excptn-only", "fdp_excptn_only" },
	{ "zero-fcs-fds", "zero_fcs_fds" },
	{ "sha-ni", "sha_ni" },
	{ "md-clear", "md_clear" },
	{ "spec-ctrl", "spec_ctrl" },
	{ "flush-l1d", "flush_l1d" },
	{ "arch-capabilities", "arch_capabilities" },
	{ "avx-vnni", "avx_vnni" },
	{ "invtsc", "constant_tsc" },
	{ "cr8legacy", "cr8_legacy" },
	{ "ibpb", "amd_ibpb" },
	{ "ibrs", "amd_ibrs" },
	{ "amd-stibp", "amd_stibp" },
	{ "stibp-always-on", "amd_stibp_always_on" },
	{ "amd-ssbd", "amd_ssbd" },
	{ "amd-no-ssb", "amd_ssb_no" },
	{ "btc-no", "btc_no" },
	{ "ibpb-ret", "ibpb_ret" },
	{ "lfence-always-serializing", "lfence_rdtsc" },
	{ "null-sel-clr-base", "null_seg" },
	{ "auto-ibrs", "autoibrs" },
	{ "ibpb-brtype", "ibpb_brtype" },
	{ "srso-no", "srso_no" },
};

const char *cpu_feature_name(enum cpu_feature feature)
{
	const char *name = cpu_feature_rows[feature].name;

	for (size_t i = 0; i < G_N_ELEMENTS(other_names); i++) {
		if (strcmp(other_names[i].ours, name) == 0)
			return other_names[i].theirs;
	}
	return name;
}

static bool same_feature(const char *name, const char *row)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(other_names); i++) {
		if (strcmp(name, other_names[i].theirs) == 0) {
			name = other_names[i].ours;
			break;
		}
	}
	for (i = 0; name[i] && row[i]; i++) {
		char c = name[i] == '-' || name[i] == '.' ? '_' : g_ascii_tolower(name[i]);

		if (c != row[i])
			return false;
	}
	return !name[i] && !row[i];
}

static bool find_feature(const char *name, enum cpu_feature *feature)
{
	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		if (same_feature(name, cpu_feature_rows[f].name)) {
			*feature = (enum cpu_feature)f;
			return true;
		}
	}
	return false;
}

static void append_feature(const enum cpu_feature **list, size_t *n, enum cpu_feature feature)
{
	enum cpu_feature *grown = g_new(enum cpu_feature, *n + 1);

	if (*n)
		memcpy(grown, *list, *n * sizeof(**list));
	grown[*n] = feature;
	g_free((void *)(uintptr_t)*list);
	*list = grown;
	*n += 1;
}

struct cpu_model *cpu_model_build(const char *name, const GPtrArray *changes, unsigned cores, unsigned threads,
				  GError **err)
{
	const struct cpu_model *base = cpu_model_find(name, err);
	struct cpu_model *model;

	if (!base)
		return NULL;
	model = g_new(struct cpu_model, 1);
	*model = *base;
	model->extra = NULL;
	model->n_extra = 0;
	for (size_t i = 0; i < base->n_extra; i++)
		append_feature(&model->extra, &model->n_extra, base->extra[i]);
	model->cores = cores;
	model->threads = threads;
	for (guint i = 0; i < changes->len; i++) {
		const char *change = changes->pdata[i];
		enum cpu_feature feature;

		/* What this processor does not have at all cannot be taken away either: then it is as asked for. */
		if (!find_feature(change + 1, &feature)) {
			if (*change == '-')
				continue;
			cpu_model_free(model);
			return fail_null(err, LODGE_ERROR_UNSUPPORTED, "CPU feature '%s' is not known", change + 1);
		}
		if (*change == '-')
			append_feature(&model->removed, &model->n_removed, feature);
		else
			append_feature(&model->extra, &model->n_extra, feature);
	}
	return model;
}

void cpu_model_free(struct cpu_model *model)
{
	if (!model)
		return;
	g_free((void *)(uintptr_t)model->extra);
	g_free((void *)(uintptr_t)model->removed);
	g_free(model);
}
