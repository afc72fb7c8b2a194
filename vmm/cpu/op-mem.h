/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPU_OP_MEM_H
#define LODGE_VMM_CPU_OP_MEM_H

#include "vmm/cpu/soft.h"

/*
 * Ops with a memory operand come in two functions of one body: the quick one knows that the address is plain and the
 * TLB has it, and calls nothing but the next op, so it needs no stack frame; everything else is a tail call to the slow
 * one. The body sees `addr` and, by kind:
 *   OP_LOAD    val   the operand
 *   OP_STORE         an expression, stored
 *   OP_UPDATE  p     M##bits pointer to the operand, or a local copy of it that is written back (MMIO, page crossings)
 */
#define T8 uint8_t
#define T16 uint16_t
#define T32 uint32_t
#define T64 uint64_t
#define M8 uint8_t
#define M16 u16_alias
#define M32 u32_alias
#define M64 u64_alias

static inline uint64_t op_plain_ea(struct soft_cpu *cpu, const struct insn *in)
{
	return REG64(cpu, in->base) + (REG64(cpu, in->index) << in->scale) + (uint64_t)(int64_t)in->disp;
}

#define OP_SLOW(name) static __attribute__((noinline)) OP(name##_slow)

/* Leaves to the slow function unless the operand's page is in the TLB under the given tag. */
#define OP_QUICK(name, bits, tag) \
	const struct tlb_entry *entry_; \
	uint64_t addr; \
\
	if (G_UNLIKELY(in->flags & INSN_EA_SLOW)) \
		return name##_slow(cpu, in); \
	addr = op_plain_ea(cpu, in); \
	entry_ = soft_tlb(cpu, addr); \
	if (G_UNLIKELY(entry_->tag != ((addr + bits / 8 - 1) & PAGE_MASK))) \
		return name##_slow(cpu, in);

#define OP_LOAD(name, bits, ...) \
	OP_SLOW(name) \
	{ \
		uint64_t addr = soft_ea(cpu, in, bits / 8, ACCESS_READ); \
		T##bits val = soft_load##bits(cpu, in, addr); \
\
		__VA_ARGS__; \
		return NEXT(cpu, in); \
	} \
	static OP(name) \
	{ \
		OP_QUICK(name, bits, rtag) \
		T##bits val = *(const volatile M##bits *)(addr + entry_->addend); \
\
		__VA_ARGS__; \
		return NEXT(cpu, in); \
	}

#define OP_STORE(name, bits, expr) \
	OP_SLOW(name) \
	{ \
		soft_store##bits(cpu, in, soft_ea(cpu, in, bits / 8, ACCESS_WRITE), (T##bits)(expr)); \
		return NEXT(cpu, in); \
	} \
	static OP(name) \
	{ \
		OP_QUICK(name, bits, wtag) \
		*(volatile M##bits *)(addr + entry_->addend) = (T##bits)(expr); \
		return NEXT(cpu, in); \
	}

#define OP_UPDATE(name, bits, ...) \
	OP_SLOW(name) \
	{ \
		uint64_t addr = soft_ea(cpu, in, bits / 8, ACCESS_WRITE); \
		M##bits *p = soft_ptr(cpu, in, addr, bits / 8, ACCESS_WRITE), copy; \
		bool direct = p; \
\
		if (!direct) { \
			copy = (T##bits)soft_load_slow(cpu, in, addr, bits / 8); \
			p = &copy; \
		} \
		__VA_ARGS__; \
		if (!direct) \
			soft_store_slow(cpu, in, addr, bits / 8, copy); \
		return NEXT(cpu, in); \
	} \
	static OP(name) \
	{ \
		OP_QUICK(name, bits, wtag) \
		M##bits *p = (M##bits *)(addr + entry_->addend); \
\
		__VA_ARGS__; \
		return NEXT(cpu, in); \
	}

#endif
