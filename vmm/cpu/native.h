/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPU_NATIVE_H
#define LODGE_VMM_CPU_NATIVE_H

#include "vmm/cpu/soft.h"

/*
 * Exception flags of the guest's MXCSR may be in the host's register. Before anybody reads or writes fx.mxcsr, and
 * before host code runs that might compute in floating point (devices, the VM's loop), they are gathered.
 */
void simd_gather(struct soft_cpu *cpu);

static inline void simd_sync(struct soft_cpu *cpu)
{
	if (G_UNLIKELY(cpu->simd_live))
		simd_gather(cpu);
}

/* Shared with op-fpstate.c. All raise what the processor would before an instruction of that kind runs. */

/* x87: CR0.EM and TS give #NM; waiting: a pending unmasked x87 exception gives #MF. */
void fpu_check_x87(struct soft_cpu *cpu, const struct insn *in, bool waiting);
/* Legacy SSE: CR0.EM and CR4.OSFXSR give #UD, TS gives #NM. */
void fpu_check_sse(struct soft_cpu *cpu, const struct insn *in);
/* VEX: CR4.OSXSAVE, XCR0 and protected mode give #UD, TS gives #NM. */
void fpu_check_avx(struct soft_cpu *cpu, const struct insn *in);

/* The image keeps x87 registers in ST order: a new top of stack moves them. */
void fpu_set_top(struct soft_cpu *cpu, unsigned top);

#define X87_ES 0x0080u /* status word: exception summary */

/*
 * vector.c: what cannot run as itself because its memory operands are spread over pages: gathers and masked stores
 * through RDI.
 */
op_fn decode_scattered(struct decoder *d, struct insn *in);

#endif
