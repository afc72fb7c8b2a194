/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPU_OP_STRING_H
#define LODGE_VMM_CPU_OP_STRING_H

#include "vmm/cpu/seg.h"

/*
 * What all string instructions share: RSI, RDI and RCX in the width of the address size, direction, repetition.
 * in->seg is the segment of the DS:RSI operand (overridable), ES:RDI is fixed; in->flags has INSN_EA_SLOW where
 * either needs segmentation or a narrow address.
 */

static inline uint64_t string_mask(const struct insn *in)
{
	return in->flags & INSN_EA16 ? UINT16_MAX : in->flags & INSN_EA32 ? UINT32_MAX : UINT64_MAX;
}

static inline uint64_t string_get(const struct soft_cpu *cpu, const struct insn *in, enum x86_gpr reg)
{
	return cpu->gpr[reg] & string_mask(in);
}

static inline void string_add(struct soft_cpu *cpu, const struct insn *in, enum x86_gpr reg, int64_t delta)
{
	uint64_t mask = string_mask(in), sum = (cpu->gpr[reg] + (uint64_t)delta) & mask;

	cpu->gpr[reg] = mask == UINT16_MAX ? (cpu->gpr[reg] & ~mask) | sum : sum;
}

static inline int64_t string_step(const struct soft_cpu *cpu, unsigned size)
{
	return cpu->rflags & X86_FLAG_DF ? -(int64_t)size : (int64_t)size;
}

static inline uint64_t string_address(struct soft_cpu *cpu, const struct insn *in, enum x86_gpr reg, unsigned size,
				      unsigned access)
{
	if (G_LIKELY(!(in->flags & INSN_EA_SLOW)))
		return cpu->gpr[reg];
	return soft_linear(cpu, in, reg == X86_RDI ? X86_ES : (enum x86_seg)in->seg, string_get(cpu, in, reg), size,
			   access);
}

static inline bool string_repeats(const struct insn *in)
{
	return in->flags & (INSN_REP | INSN_REPNE);
}

/*
 * Somebody wants the run loop, or a debug trap is due after each iteration: leave a repeated instruction where it is.
 */
static inline bool string_must_pause(const struct soft_cpu *cpu)
{
	return atomic_load_explicit(&cpu->exit_request, memory_order_relaxed) || cpu->single_step;
}

/* Segment and address-size facts of a string instruction, which has no visible memory operand. */
static inline void string_decode(const struct decoder *d, struct insn *in)
{
	in->seg = X86_DS;
	in->aux = d->zi.operand_width / 8;
	for (unsigned i = 0; i < d->zi.operand_count; i++) {
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ZydisRegisterGetId(d->op[i].mem.base) == X86_RSI)
			in->seg = (uint8_t)(d->op[i].mem.segment - ZYDIS_REGISTER_ES);
	}
	if (d->mode != MODE_64 || in->seg >= X86_FS || in->flags & (INSN_EA16 | INSN_EA32))
		in->flags |= INSN_EA_SLOW;
}

#endif
