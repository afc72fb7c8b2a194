/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_X86_STATE_H
#define LODGE_VMM_X86_STATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The whole architectural state of one x86-64 processor, in one plain structure shared by all accelerators: state saved under one loads
 * under the other. Numbers are in host order; encodings are the architecture's (Intel SDM volume 3).
 */

/* General registers in encoding order. */
enum x86_gpr {
	X86_RAX,
	X86_RCX,
	X86_RDX,
	X86_RBX,
	X86_RSP,
	X86_RBP,
	X86_RSI,
	X86_RDI,
	X86_R8,
	X86_R9,
	X86_R10,
	X86_R11,
	X86_R12,
	X86_R13,
	X86_R14,
	X86_R15,
	X86_N_GPRS
};

/* Segment registers in encoding order. */
enum x86_seg { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_N_SEGS };

#define X86_FLAG_CF 0x00000001u
#define X86_FLAG_FIXED 0x00000002u
#define X86_FLAG_PF 0x00000004u
#define X86_FLAG_AF 0x00000010u
#define X86_FLAG_ZF 0x00000040u
#define X86_FLAG_SF 0x00000080u
#define X86_FLAG_TF 0x00000100u
#define X86_FLAG_IF 0x00000200u
#define X86_FLAG_DF 0x00000400u
#define X86_FLAG_OF 0x00000800u
#define X86_FLAG_IOPL 0x00003000u
#define X86_FLAG_NT 0x00004000u
#define X86_FLAG_RF 0x00010000u
#define X86_FLAG_VM 0x00020000u
#define X86_FLAG_AC 0x00040000u
#define X86_FLAG_VIF 0x00080000u
#define X86_FLAG_VIP 0x00100000u
#define X86_FLAG_ID 0x00200000u
#define X86_FLAGS_ARITH (X86_FLAG_CF | X86_FLAG_PF | X86_FLAG_AF | X86_FLAG_ZF | X86_FLAG_SF | X86_FLAG_OF)

#define X86_CR0_PE 0x00000001u
#define X86_CR0_MP 0x00000002u
#define X86_CR0_EM 0x00000004u
#define X86_CR0_TS 0x00000008u
#define X86_CR0_ET 0x00000010u
#define X86_CR0_NE 0x00000020u
#define X86_CR0_WP 0x00010000u
#define X86_CR0_AM 0x00040000u
#define X86_CR0_NW 0x20000000u
#define X86_CR0_CD 0x40000000u
#define X86_CR0_PG 0x80000000u

#define X86_CR4_VME 0x00000001u
#define X86_CR4_PVI 0x00000002u
#define X86_CR4_TSD 0x00000004u
#define X86_CR4_DE 0x00000008u
#define X86_CR4_PSE 0x00000010u
#define X86_CR4_PAE 0x00000020u
#define X86_CR4_MCE 0x00000040u
#define X86_CR4_PGE 0x00000080u
#define X86_CR4_PCE 0x00000100u
#define X86_CR4_OSFXSR 0x00000200u
#define X86_CR4_OSXMMEXCPT 0x00000400u
#define X86_CR4_UMIP 0x00000800u
#define X86_CR4_LA57 0x00001000u
#define X86_CR4_FSGSBASE 0x00010000u
#define X86_CR4_PCIDE 0x00020000u
#define X86_CR4_OSXSAVE 0x00040000u
#define X86_CR4_SMEP 0x00100000u
#define X86_CR4_SMAP 0x00200000u
#define X86_CR4_PKE 0x00400000u

#define X86_EFER_SCE 0x00000001u
#define X86_EFER_LME 0x00000100u
#define X86_EFER_LMA 0x00000400u
#define X86_EFER_NXE 0x00000800u

#define X86_XCR0_X87 0x1u
#define X86_XCR0_SSE 0x2u
#define X86_XCR0_AVX 0x4u

enum x86_exception {
	X86_EXC_DE = 0,
	X86_EXC_DB = 1,
	X86_EXC_NMI = 2,
	X86_EXC_BP = 3,
	X86_EXC_OF = 4,
	X86_EXC_BR = 5,
	X86_EXC_UD = 6,
	X86_EXC_NM = 7,
	X86_EXC_DF = 8,
	X86_EXC_TS = 10,
	X86_EXC_NP = 11,
	X86_EXC_SS = 12,
	X86_EXC_GP = 13,
	X86_EXC_PF = 14,
	X86_EXC_MF = 16,
	X86_EXC_AC = 17,
	X86_EXC_MC = 18,
	X86_EXC_XM = 19,
};

/*
 * A segment register with its descriptor cache. limit is in bytes (already scaled by G). attr holds descriptor bits 55:40:
 * type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15 (bits 11:8 are 0). A null or unusable segment has P = 0.
 */
struct x86_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint16_t attr;
};

#define X86_ATTR_TYPE 0x000fu
#define X86_ATTR_S 0x0010u
#define X86_ATTR_DPL_SHIFT 5
#define X86_ATTR_P 0x0080u
#define X86_ATTR_L 0x2000u
#define X86_ATTR_DB 0x4000u
#define X86_ATTR_G 0x8000u

struct x86_table {
	uint64_t base;
	uint32_t limit;
};

/* Legacy FXSAVE image, 64-bit form: SDM volume 1 table 10-2. */
struct x86_fxsave {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved1;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16]; /* 80-bit values in ST order, padded */
	uint8_t xmm[16][16];
	uint8_t reserved2[96];
} __attribute__((packed, aligned(16)));

_Static_assert(sizeof(struct x86_fxsave) == 512, "FXSAVE image");

enum x86_run_state { X86_RUNNING, X86_HALTED, X86_WAIT_SIPI, X86_N_RUN_STATES };

/* One model-specific register that has no field of its own: list kept by vmm/cpuid.c. */
struct x86_msr {
	uint32_t index;
	uint64_t value;
};

#define X86_STATE_MAX_MSRS 64

struct x86_cpu_state {
	uint64_t gpr[X86_N_GPRS];
	uint64_t rip;
	uint64_t rflags;
	struct x86_segment seg[X86_N_SEGS];
	struct x86_segment ldt, tr;
	struct x86_table gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t dr[8]; /* 4 and 5 unused */
	uint64_t efer;
	uint64_t xcr0;
	struct x86_fxsave fx;
	uint8_t ymm_high[16][16]; /* bits 255:128 of YMM0-15 */
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t tsc, tsc_adjust, tsc_aux, tsc_deadline;
	uint64_t apic_base, pat, misc_enable, spec_ctrl;
	uint64_t kvmclock_system, kvmclock_wall; /* PV clock MSRs as written by the guest */
	uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
	uint8_t lapic[1024]; /* register image, 32-bit registers packed at (offset >> 4) * 4 for offsets 0 to 0xff0 */

	enum x86_run_state run_state;
	/* Events that have been taken from their source but not yet delivered. */
	bool nmi_pending, nmi_blocked, sti_shadow, smi_pending;
	bool exception_pending; /* vector below, being delivered */
	uint8_t exception_vector;
	bool exception_has_error;
	uint32_t exception_error;
	bool interrupt_pending; /* external vector already acknowledged */
	uint8_t interrupt_vector;

	uint32_t n_msrs; /* others, for saved states that carry more than this version knows by name */
	struct x86_msr msrs[X86_STATE_MAX_MSRS];
};

/* Power-on state of one processor: SDM volume 3 table 9-1. bsp: starts running at f000:fff0; others wait for SIPI. */
void x86_state_reset(struct x86_cpu_state *state, unsigned apic_id, bool bsp);

#endif
