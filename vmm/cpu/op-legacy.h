/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPU_OP_LEGACY_H
#define LODGE_VMM_CPU_OP_LEGACY_H

#include "vmm/cpu/seg.h"

/*
 * What op-legacy.c, op-bits.c and op-atomic.c have in common: operand widths as macro arguments, and the host's own
 * instructions as the arithmetic. FLAGS_IN loads all arithmetic flags from EAX in struct soft_cpu's cc form,
 * FLAGS_OUT stores them there; so whatever an instruction does to a flag, defined, undefined or not at all, is what
 * this processor does.
 */

#define T8 uint8_t
#define T16 uint16_t
#define T32 uint32_t
#define T64 uint64_t
#define M8 uint8_t
#define M16 u16_alias
#define M32 u32_alias
#define M64 u64_alias
#define SFX8 "b"
#define SFX16 "w"
#define SFX32 "l"
#define SFX64 "q"
/* Register name modifiers of inline assembly. */
#define MOD8 "b"
#define MOD16 "w"
#define MOD32 "k"
#define MOD64 "q"

#define GET(bits, off) ((T##bits)REG##bits(cpu, off))
#define PUT8(off, val) (REG8(cpu, off) = (val))
#define PUT16(off, val) (REG16(cpu, off) = (val))
#define PUT32(off, val) SETREG32(cpu, off, val)
#define PUT64(off, val) (REG64(cpu, off) = (val))

#define FLAGS_IN "addb $0x7f, %%al\n\tsahf\n\t"
#define FLAGS_OUT "\n\tlahf\n\tseto %%al"

#define WIDE_SIZES(X, ...) X(__VA_ARGS__, 16) X(__VA_ARGS__, 32) X(__VA_ARGS__, 64)
#define EACH_SIZE(X, ...) X(__VA_ARGS__, 8) WIDE_SIZES(X, __VA_ARGS__)
#define SIZES(op) { op##8, op##16, op##32, op##64 }
#define WIDE(op) { NULL, op##16, op##32, op##64 }

/* 0 to 3 for operands of 8 to 64 bits: index into SIZES(). */
static inline unsigned legacy_size_index(const ZydisDecodedOperand *op)
{
	return op->size >= 64 ? 3 : op->size >= 32 ? 2 : op->size >= 16 ? 1 : 0;
}

static inline bool legacy_is_memory(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

/* op-bits.c: BT family, bit scans and counts, SHLD, SHRD, RCL, RCR */
op_fn decode_bits(struct decoder *d, struct insn *in);
/* op-atomic.c: XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B */
op_fn decode_atomic(struct decoder *d, struct insn *in);

#endif
