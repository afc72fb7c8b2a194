/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPUID_H
#define LODGE_VMM_CPUID_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "vmm/x86-state.h"

/*
 * CPUID and MSR policy, one for both accelerators. A feature is one row of vmm/cpu-features.def: its leaf, register,
 * bit, name, the models that have it, and what the software CPU needs for it. A CPU model is a named set of features
 * plus family/model/stepping/vendor. What an accelerator cannot do is masked by its own set and never offered.
 */
enum cpu_feature {
#define CPU_FEATURE(id, ...) CPU_FEATURE_##id,
#include "vmm/cpu-features.def"
#undef CPU_FEATURE
	CPU_N_FEATURES
};

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX, CPUID_N_REGS };

struct cpu_features {
	uint64_t bits[(CPU_N_FEATURES + 63) / 64];
};

static inline bool cpu_features_has(const struct cpu_features *set, enum cpu_feature feature)
{
	return set->bits[(unsigned)feature / 64] >> ((unsigned)feature % 64) & 1;
}

static inline void cpu_features_add(struct cpu_features *set, enum cpu_feature feature)
{
	set->bits[(unsigned)feature / 64] |= UINT64_C(1) << ((unsigned)feature % 64);
}

static inline void cpu_features_remove(struct cpu_features *set, enum cpu_feature feature)
{
	set->bits[(unsigned)feature / 64] &= ~(UINT64_C(1) << ((unsigned)feature % 64));
}

/*
 * Which CPU models have a feature, and what the software CPU needs for it: the last two columns of
 * vmm/cpu-features.def.
 */
enum cpu_feature_models { CPU_MODELS_V1, CPU_MODELS_V2, CPU_MODELS_V3, CPU_MODELS_ANY, CPU_MODELS_MAX };
enum cpu_feature_soft { CPU_SOFT_NO, CPU_SOFT_OWN, CPU_SOFT_HOST };

struct cpu_feature_row {
	uint32_t leaf, subleaf;
	enum cpuid_reg reg;
	unsigned bit;
	const char *name; /* "sse4_2": as in Linux' /proc/cpuinfo */
	enum cpu_feature_models models;
	enum cpu_feature_soft soft;
};

/* Indexed by enum cpu_feature. */
extern const struct cpu_feature_row cpu_feature_rows[CPU_N_FEATURES];

/* "sse4.2": as definitions and capabilities in libvirt's XML call it. */
const char *cpu_feature_name(enum cpu_feature feature);

/* What leaves 0, 1 and 0x80000002 to 4 say about the maker. */
struct cpu_identity {
	char vendor[13];
	unsigned family, model, stepping;
	char brand[49];
};

struct cpu_model {
	const char *name;
	const char *summary;			/* one line for help */
	enum cpu_feature_models level;		/* highest level of features; CPU_MODELS_MAX: everything on offer */
	const enum cpu_feature *extra;		/* features beyond the level */
	size_t n_extra;
	/* What one VM's definition makes of it; all empty in the list of models. */
	const enum cpu_feature *removed;
	size_t n_removed;
	unsigned cores, threads; /* of a package, of a core; 0: every vCPU is a core of one package */
	const struct cpu_identity *identity; /* NULL: the host's where guest code runs on it, else the software CPU's */
};

/* Every model Lodge knows, for help and domcapabilities; NULL-terminated. */
const struct cpu_model *const *cpu_models(void);
const char *cpu_model_name(const struct cpu_model *model);

/*
 * NULL name: "max", everything the accelerator and this host can do. Unknown names are LODGE_ERROR_USAGE listing the
 * known ones.
 */
const struct cpu_model *cpu_model_find(const char *name, GError **err);

/*
 * The model called name (as cpu_model_find()) with features added and taken away ("+name", "-name" as char *; unknown
 * ones are LODGE_ERROR_INPUT) and a topology. Free with cpu_model_free().
 */
struct cpu_model *cpu_model_build(const char *name, const GPtrArray *changes, unsigned cores, unsigned threads,
				  GError **err);
void cpu_model_free(struct cpu_model *model);

struct cpuid_leaf {
	uint32_t function, index;
	bool has_index;
	uint32_t eax, ebx, ecx, edx;
};

/* What a running vCPU's CPUID depends on besides the model. */
struct cpuid_dynamic {
	unsigned apic_id, n_cpus;
	uint64_t cr4, xcr0; /* OSXSAVE bit, size of the enabled XSAVE area */
};

struct cpuid_table;

/* Width of guest physical addresses under the software CPU, bits. */
#define CPUID_SOFT_PHYS_BITS 46u

/*
 * model masked by offer (what the accelerator can do on this host); tsc_khz: guest TSC frequency. Missing features a
 * named model needs are an error listing them. cpuid_table_new() is for the software CPU. cpuid_table_new_native() is
 * for guests that run on the host processor: they see its vendor, family, model and brand unless the CPU model names
 * its own, because a guest has to know which processor's side channels it must guard against; phys_bits: width of
 * guest physical addresses.
 */
struct cpuid_table *cpuid_table_new(const struct cpu_model *model, const struct cpu_features *offer, unsigned n_cpus,
				    uint32_t tsc_khz, GError **err);
struct cpuid_table *cpuid_table_new_native(const struct cpu_model *model, const struct cpu_features *offer,
					   unsigned n_cpus, uint32_t tsc_khz, unsigned phys_bits, GError **err);
void cpuid_table_free(struct cpuid_table *table);
DEFINE_AUTOPTR(cpuid_table, cpuid_table_free)
const struct cpu_features *cpuid_table_features(const struct cpuid_table *table);

/* The CPUID instruction. Thread-safe, no allocation. */
void cpuid_query(const struct cpuid_table *table, const struct cpuid_dynamic *dyn, uint32_t function, uint32_t index,
		 uint32_t out[4]);

/* All leaves for KVM_SET_CPUID2; returns how many were written, at most cap. */
#define CPUID_MAX_LEAVES 48u
size_t cpuid_table_leaves(const struct cpuid_table *table, const struct cpuid_dynamic *dyn, struct cpuid_leaf *leaves,
			  size_t cap);

/* The features whose bits are set in a list of leaves (KVM_GET_SUPPORTED_CPUID). */
void cpu_features_from_leaves(struct cpu_features *set, const struct cpuid_leaf *leaves, size_t n);

/* Who made the host processor. */
void cpu_identity_host(struct cpu_identity *identity);

/* Features the host processor itself has (CPUID run here, with OS support for AVX state checked by XGETBV). */
void cpu_features_host(struct cpu_features *set);

/*
 * Features the software CPU implements: those it does itself, plus those that run as themselves where the host has
 * them.
 */
void cpu_features_soft(struct cpu_features *set);

/*
 * What a VM's processor can have under the accelerator of that name ("kvm", "soft") on this host.
 */
bool cpu_features_offer(const char *accel, struct cpu_features *set, GError **err);

/*
 * Guest TSC frequency in kHz (the host's): from CPUID leaf 0x15 or 0x40000010 where they say it and a quick look at
 * the clock agrees, otherwise measured against CLOCK_MONOTONIC over 2.5 ms. Not cached: call it once and keep the
 * result.
 */
uint32_t host_tsc_khz(void);

/*
 * MSRs that simply hold a value or read as a constant: one table, used by the software CPU's RDMSR/WRMSR and by the
 * KVM accelerator's save list. What has side effects is its owner's business first: EFER, FS/GS base and TSC are the
 * CPU's and not in the table; IA32_APIC_BASE, the x2APIC range and TSC_DEADLINE are the local APIC's and not in the
 * table; TSC_ADJUST, the KVM clock MSRs, PRED_CMD and SPEC_CTRL are in it for their values, and the CPU adds what else
 * they do.
 */
enum msr_kind {
	MSR_PLAIN,
	MSR_CANONICAL,	/* holds a linear address: a non-canonical value is #GP */
	MSR_MEM_TYPES,	/* eight memory types, one a byte: MTRR encodings */
	MSR_PAT_TYPES,	/* the same with PAT encodings (UC- allowed) */
	MSR_READ_ONLY,	/* any write is #GP */
	MSR_WRITE_ONLY, /* any read is #GP */
};

struct msr_policy {
	uint32_t index;
	const char *name;
	int32_t state_offset; /* into struct x86_cpu_state, or -1: value is constant */
	uint64_t constant;
	uint64_t writable;    /* bits that may be 1 in a write; others raise #GP unless ignore_writes */
	bool ignore_writes;   /* accepted, without effect */
	enum msr_kind kind;
	int16_t feature;      /* enum cpu_feature the MSR comes with, or -1: always there */
};

/* NULL: the MSR does not exist on a CPU with these features (NULL features: any CPU), #GP. */
const struct msr_policy *msr_policy_find(const struct cpu_features *features, uint32_t index);
const struct msr_policy *msr_policy_table(size_t *n); /* sorted by index */

/* RDMSR and WRMSR by the table alone: false means #GP. Written values land in *state. */
bool msr_policy_read(const struct cpu_features *features, const struct x86_cpu_state *state, uint32_t index,
		     uint64_t *val) G_GNUC_WARN_UNUSED_RESULT;
bool msr_policy_write(const struct cpu_features *features, struct x86_cpu_state *state, uint32_t index,
		      uint64_t val) G_GNUC_WARN_UNUSED_RESULT;

#endif
