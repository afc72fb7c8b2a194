/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cpuid.h"

#include <stddef.h>
#include <string.h>

/*
 * The MSRs that are no more than a value. Sorted by index, so that look-up is a binary search; a test checks the
 * order. Numbers and layouts: Intel SDM volume 4 chapter 2 and volume 3 sections 12.11 (MTRRs) and 17.3 (machine
 * check); the paravirtual clock: Linux Documentation/virt/kvm/x86/msr.rst.
 */
#define ALL_BITS UINT64_MAX
#define LOW_32 UINT64_C(0xffffffff)
#define PHYS_PAGE_MASK (((UINT64_C(1) << CPUID_SOFT_PHYS_BITS) - 1) & ~UINT64_C(0xfff))

#define STATE(member) ((int32_t)offsetof(struct x86_cpu_state, member))
#define ALWAYS (-1)
#define WITH(id) ((int16_t)CPU_FEATURE_##id)

/* Storage in the CPU state. */
#define HOLD(index_, name_, member, writable_, kind_, feature_) \
	{ \
		.index = (index_), .name = (name_), .state_offset = STATE(member), .writable = (writable_), \
		.kind = (kind_), .feature = (feature_) \
	}
/* A value nobody can change; IGNORED accepts writes without effect. */
#define CONSTANT(index_, name_, constant_, kind_, feature_) \
	{ \
		.index = (index_), .name = (name_), .state_offset = -1, .constant = (constant_), .kind = (kind_), \
		.feature = (feature_) \
	}
#define IGNORED(index_, name_, constant_) \
	{ \
		.index = (index_), .name = (name_), .state_offset = -1, .constant = (constant_), \
		.ignore_writes = true, .feature = ALWAYS \
	}
/* A command register of which bit 0 means "do it now". */
#define COMMAND(index_, name_, feature_) \
	{ \
		.index = (index_), .name = (name_), .state_offset = -1, .writable = 1, .kind = MSR_WRITE_ONLY, \
		.feature = (feature_) \
	}

#define MTRR_PAIR(n) \
	HOLD(0x200 + 2 * (n), "MTRR_PHYSBASE" #n, mtrr_base[n], PHYS_PAGE_MASK | 0xff, MSR_PLAIN, WITH(MTRR)), \
	HOLD(0x201 + 2 * (n), "MTRR_PHYSMASK" #n, mtrr_mask[n], PHYS_PAGE_MASK | 0x800, MSR_PLAIN, WITH(MTRR))
#define MTRR_FIXED(index_, name_, n) HOLD(index_, "MTRR_FIX" name_, mtrr_fixed[n], ALL_BITS, MSR_MEM_TYPES, WITH(MTRR))

/* IA32_MTRRCAP: eight variable ranges, fixed ranges, write combining. */
#define MTRR_CAP (8u | 1u << 8 | 1u << 10)

/* IA32_MISC_ENABLE: fast strings, TCC, BTS and PEBS unavailable, EIST, MONITOR, CPUID limit, xTPR off, XD disable. */
#define MISC_ENABLE_BITS \
	(UINT64_C(1) << 34 | 1u << 23 | 1u << 22 | 1u << 18 | 1u << 16 | 1u << 12 | 1u << 11 | 1u << 3 | 1u)

/*
 * IA32_ARCH_CAPABILITIES of the software CPU: mitigations inside a guest would cost it time and protect nothing, as
 * guest branches and loads are not the host's (see the identity in vmm/cpuid.c). Bits: SDM volume 4 table 2-2, Linux
 * Documentation/admin-guide/hw-vuln/.
 */
#define ARCH_CAP_BIT(n) (UINT64_C(1) << (n))
#define ARCH_CAP_RDCL_NO ARCH_CAP_BIT(0)
#define ARCH_CAP_IBRS_ALL ARCH_CAP_BIT(1)
#define ARCH_CAP_SKIP_L1DFL_VMENTRY ARCH_CAP_BIT(3)
#define ARCH_CAP_SSB_NO ARCH_CAP_BIT(4)
#define ARCH_CAP_MDS_NO ARCH_CAP_BIT(5)
#define ARCH_CAP_PSCHANGE_MC_NO ARCH_CAP_BIT(6)
#define ARCH_CAP_TAA_NO ARCH_CAP_BIT(8)
#define ARCH_CAP_SBDR_SSDP_NO ARCH_CAP_BIT(13)
#define ARCH_CAP_FBSDP_NO ARCH_CAP_BIT(14)
#define ARCH_CAP_PSDP_NO ARCH_CAP_BIT(15)
#define ARCH_CAP_BHI_NO ARCH_CAP_BIT(20)
#define ARCH_CAP_PBRSB_NO ARCH_CAP_BIT(24)
#define ARCH_CAP_GDS_NO ARCH_CAP_BIT(26)
#define ARCH_CAP_RFDS_NO ARCH_CAP_BIT(27)
#define ARCH_CAP_ITS_NO ARCH_CAP_BIT(62)
#define ARCH_CAP_SOFT \
	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_SKIP_L1DFL_VMENTRY | ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO | \
	 ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | \
	 ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO | ARCH_CAP_GDS_NO | ARCH_CAP_RFDS_NO | ARCH_CAP_ITS_NO)

static const struct msr_policy msr_table[] = {
	IGNORED(0x0, "P5_MC_ADDR", 0),
	IGNORED(0x1, "P5_MC_TYPE", 0),
	HOLD(0x11, "KVM_WALL_CLOCK", kvmclock_wall, ALL_BITS, MSR_PLAIN, WITH(KVM_CLOCKSOURCE)),
	HOLD(0x12, "KVM_SYSTEM_TIME", kvmclock_system, ALL_BITS, MSR_PLAIN, WITH(KVM_CLOCKSOURCE)),
	CONSTANT(0x17, "PLATFORM_ID", 0, MSR_READ_ONLY, ALWAYS),
	IGNORED(0x2a, "EBL_CR_POWERON", 0),
	CONSTANT(0x3a, "FEATURE_CONTROL", 1, MSR_READ_ONLY, ALWAYS), /* locked, nothing enabled */
	HOLD(0x3b, "TSC_ADJUST", tsc_adjust, ALL_BITS, MSR_PLAIN, WITH(TSC_ADJUST)),
	HOLD(0x48, "SPEC_CTRL", spec_ctrl, 0x3, MSR_PLAIN, WITH(SPEC_CTRL)),
	COMMAND(0x49, "PRED_CMD", WITH(SPEC_CTRL)),
	IGNORED(0x79, "BIOS_UPDT_TRIG", 0),
	IGNORED(0x8b, "BIOS_SIGN_ID", UINT64_C(1) << 32), /* microcode revision 1 */
	CONSTANT(0xce, "PLATFORM_INFO", 0, MSR_READ_ONLY, ALWAYS),
	CONSTANT(0xfe, "MTRRCAP", MTRR_CAP, MSR_READ_ONLY, WITH(MTRR)),
	CONSTANT(0x10a, "ARCH_CAPABILITIES", ARCH_CAP_SOFT, MSR_READ_ONLY, WITH(ARCH_CAPABILITIES)),
	COMMAND(0x10b, "FLUSH_CMD", WITH(FLUSH_L1D)),
	IGNORED(0x11e, "BBL_CR_CTL3", 0),
	HOLD(0x174, "SYSENTER_CS", sysenter_cs, LOW_32, MSR_PLAIN, WITH(SEP)),
	HOLD(0x175, "SYSENTER_ESP", sysenter_esp, ALL_BITS, MSR_CANONICAL, WITH(SEP)),
	HOLD(0x176, "SYSENTER_EIP", sysenter_eip, ALL_BITS, MSR_CANONICAL, WITH(SEP)),
	CONSTANT(0x179, "MCG_CAP", 0, MSR_READ_ONLY, WITH(MCA)), /* no banks */
	IGNORED(0x17a, "MCG_STATUS", 0),
	HOLD(0x1a0, "MISC_ENABLE", misc_enable, MISC_ENABLE_BITS, MSR_PLAIN, ALWAYS),
	IGNORED(0x1d9, "DEBUGCTL", 0),
	MTRR_PAIR(0),
	MTRR_PAIR(1),
	MTRR_PAIR(2),
	MTRR_PAIR(3),
	MTRR_PAIR(4),
	MTRR_PAIR(5),
	MTRR_PAIR(6),
	MTRR_PAIR(7),
	MTRR_FIXED(0x250, "64K_00000", 0),
	MTRR_FIXED(0x258, "16K_80000", 1),
	MTRR_FIXED(0x259, "16K_A0000", 2),
	MTRR_FIXED(0x268, "4K_C0000", 3),
	MTRR_FIXED(0x269, "4K_C8000", 4),
	MTRR_FIXED(0x26a, "4K_D0000", 5),
	MTRR_FIXED(0x26b, "4K_D8000", 6),
	MTRR_FIXED(0x26c, "4K_E0000", 7),
	MTRR_FIXED(0x26d, "4K_E8000", 8),
	MTRR_FIXED(0x26e, "4K_F0000", 9),
	MTRR_FIXED(0x26f, "4K_F8000", 10),
	HOLD(0x277, "PAT", pat, ALL_BITS, MSR_PAT_TYPES, WITH(PAT)),
	HOLD(0x2ff, "MTRR_DEF_TYPE", mtrr_def_type, 0xcff, MSR_PLAIN, WITH(MTRR)),
	HOLD(0x4b564d00, "KVM_WALL_CLOCK_NEW", kvmclock_wall, ALL_BITS, MSR_PLAIN, WITH(KVM_CLOCKSOURCE2)),
	HOLD(0x4b564d01, "KVM_SYSTEM_TIME_NEW", kvmclock_system, ALL_BITS, MSR_PLAIN, WITH(KVM_CLOCKSOURCE2)),
	HOLD(0xc0000081, "STAR", star, ALL_BITS, MSR_PLAIN, WITH(SYSCALL)),
	HOLD(0xc0000082, "LSTAR", lstar, ALL_BITS, MSR_CANONICAL, WITH(LM)),
	HOLD(0xc0000083, "CSTAR", cstar, ALL_BITS, MSR_CANONICAL, WITH(LM)),
	HOLD(0xc0000084, "FMASK", sfmask, LOW_32, MSR_PLAIN, WITH(SYSCALL)),
	HOLD(0xc0000102, "KERNEL_GS_BASE", kernel_gs_base, ALL_BITS, MSR_CANONICAL, WITH(LM)),
	HOLD(0xc0000103, "TSC_AUX", tsc_aux, LOW_32, MSR_PLAIN, WITH(RDTSCP)),
};

const struct msr_policy *msr_policy_table(size_t *n)
{
	*n = G_N_ELEMENTS(msr_table);
	return msr_table;
}

const struct msr_policy *msr_policy_find(const struct cpu_features *features, uint32_t index)
{
	size_t low = 0, high = G_N_ELEMENTS(msr_table);

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct msr_policy *row = &msr_table[mid];

		if (row->index == index) {
			bool there = !features || row->feature < 0 ||
				     cpu_features_has(features, (enum cpu_feature)row->feature);

			return there ? row : NULL;
		}
		if (row->index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Each byte of val a memory type whose bit is set in allowed. */
static bool memory_types_valid(uint64_t val, uint8_t allowed)
{
	for (unsigned i = 0; i < 8; i++, val >>= 8)
		if ((val & 0xff) > 7 || !(allowed >> (val & 0xff) & 1))
			return false;
	return true;
}

/* UC, WC, WT, WP, WB; the PAT adds UC-: SDM volume 3 tables 12-8 and 12-10. */
#define MTRR_TYPES 0x73u
#define PAT_TYPES 0xf3u

static bool write_valid(const struct msr_policy *row, uint64_t val)
{
	switch (row->kind) {
	case MSR_READ_ONLY:
		return false;
	case MSR_CANONICAL:
		return (uint64_t)((int64_t)(val << 16) >> 16) == val;
	case MSR_MEM_TYPES:
		return memory_types_valid(val, MTRR_TYPES);
	case MSR_PAT_TYPES:
		return memory_types_valid(val, PAT_TYPES);
	case MSR_PLAIN:
	case MSR_WRITE_ONLY:
		break;
	}
	return row->ignore_writes || (val & ~row->writable) == 0;
}

bool msr_policy_read(const struct cpu_features *features, const struct x86_cpu_state *state, uint32_t index,
		     uint64_t *val)
{
	const struct msr_policy *row = msr_policy_find(features, index);

	if (!row || row->kind == MSR_WRITE_ONLY)
		return false;
	if (row->state_offset < 0)
		*val = row->constant;
	else
		memcpy(val, (const char *)state + row->state_offset, sizeof(*val));
	return true;
}

bool msr_policy_write(const struct cpu_features *features, struct x86_cpu_state *state, uint32_t index, uint64_t val)
{
	const struct msr_policy *row = msr_policy_find(features, index);

	if (!row || !write_valid(row, val))
		return false;
	if (row->state_offset >= 0)
		memcpy((char *)state + row->state_offset, &val, sizeof(val));
	return true;
}
