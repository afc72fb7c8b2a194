/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPU_SEG_H
#define LODGE_VMM_CPU_SEG_H

#include "vmm/cpu/soft.h"

/*
 * Descriptors, selectors and the pieces far transfers are made of: shared by seg.c, exc.c and the op-*.c files of
 * privileged and far instructions.
 *
 * The rule of all of them: look at everything first (descriptors, new stack, target), raise what must be raised, and
 * only then change the CPU.
 */

/* ---- selectors and descriptor attributes: SDM volume 3 chapter 3 ---- */

#define SEL_RPL(sel) ((unsigned)(sel) & 3u)
#define SEL_ERROR(sel) ((uint32_t)(sel) & 0xfffcu) /* as an error code shows it */
#define SEL_TI 4u

static inline bool sel_is_null(uint16_t selector)
{
	return !(selector & 0xfffcu);
}

/* System descriptor types; 64-bit mode gives 2, 9, 11, 12, 14 and 15 their wide forms. */
enum seg_system_type {
	SYS_TSS16_FREE = 1,
	SYS_LDT = 2,
	SYS_TSS16_BUSY = 3,
	SYS_CALL16 = 4,
	SYS_TASK_GATE = 5,
	SYS_INT16 = 6,
	SYS_TRAP16 = 7,
	SYS_TSS_FREE = 9,
	SYS_TSS_BUSY = 11,
	SYS_CALL = 12,
	SYS_INT = 14,
	SYS_TRAP = 15,
};

#define SEG_ACCESSED 0x1u
#define SEG_RW 0x2u	     /* data: writable; code: readable */
#define SEG_CONFORMING 0x4u  /* code */
#define SEG_EXPAND_DOWN 0x4u /* data */
#define SEG_CODE 0x8u

static inline unsigned seg_type(uint32_t attr)
{
	return attr & X86_ATTR_TYPE;
}

static inline unsigned seg_dpl(uint32_t attr)
{
	return attr >> X86_ATTR_DPL_SHIFT & 3u;
}

static inline bool seg_present(uint32_t attr)
{
	return attr & X86_ATTR_P;
}

static inline bool seg_is_code(uint32_t attr)
{
	return attr & X86_ATTR_S && attr & SEG_CODE;
}

static inline bool seg_is_conforming(uint32_t attr)
{
	return seg_is_code(attr) && attr & SEG_CONFORMING;
}

static inline bool seg_is_writable(uint32_t attr)
{
	return attr & X86_ATTR_S && !(attr & SEG_CODE) && attr & SEG_RW;
}

static inline bool seg_is_readable(uint32_t attr)
{
	return attr & X86_ATTR_S && (!(attr & SEG_CODE) || attr & SEG_RW);
}

/* ---- modes ---- */

static inline bool soft_is_v86(const struct soft_cpu *cpu)
{
	return cpu->rflags & X86_FLAG_VM;
}

/* Protected mode proper: selectors name descriptors. */
static inline bool soft_is_protected(const struct soft_cpu *cpu)
{
	return cpu->cr0 & X86_CR0_PE && !soft_is_v86(cpu);
}

static inline bool soft_is_long(const struct soft_cpu *cpu)
{
	return cpu->efer & X86_EFER_LMA;
}

static inline unsigned soft_iopl(const struct soft_cpu *cpu)
{
	return cpu->rflags >> 12 & 3u;
}

/* Raises #GP(0) unless at privilege level 0. */
static inline void soft_need_cpl0(struct soft_cpu *cpu, const struct insn *in)
{
	if (cpu->cpl)
		soft_gp(cpu, in, 0);
}

/*
 * The data view that privilege, SMAP and RFLAGS.AC call for: the part of soft_mode_changed() that STAC, POPF and
 * friends need.
 */
static inline void soft_view_changed(struct soft_cpu *cpu)
{
	enum mmu_view view = MMU_SUPERVISOR;

	if (cpu->cpl == 3)
		view = cpu->rflags & X86_FLAG_AC && cpu->cr0 & X86_CR0_AM ? MMU_CHECKED : MMU_USER;
	else if (cpu->rflags & X86_FLAG_AC || !(cpu->cr4 & X86_CR4_SMAP))
		view = MMU_SUPERVISOR_AC;
	cpu->tlb = cpu->tlbs[view];
}

/* After a change of RFLAGS.TF or DR7. */
static inline void soft_debug_changed(struct soft_cpu *cpu)
{
	cpu->single_step = cpu->rflags & X86_FLAG_TF || cpu->dr[7] & 0xff;
}

/* ---- descriptors ---- */

/* Reads the 8 bytes a selector names; false when it lies outside its table. A null selector names nothing. */
bool seg_fetch(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint64_t *raw);
/* Second half of a 16-byte system descriptor; false when outside the table. */
bool seg_fetch_high(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint64_t *raw);
void seg_unpack(struct x86_segment *seg, uint16_t selector, uint64_t raw);
/* Sets the accessed bit in memory and in the copy where it is not set yet. */
void seg_mark_accessed(struct soft_cpu *cpu, const struct insn *in, struct x86_segment *seg);
/* Replaces byte 5 (type, S, DPL, P) of a descriptor in its table. */
void seg_store_type(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint8_t type_byte);

/* A null segment register as it looks after a load; dpl keeps CPL readable from SS. */
void seg_set_null(struct x86_segment *seg, uint16_t selector, unsigned dpl);
/* Real and virtual-8086 mode form of a segment load. */
void seg_set_real(struct soft_cpu *cpu, enum x86_seg seg, uint16_t selector);
/* Flat segments as SYSCALL and SYSENTER load them. */
void seg_set_flat_code(struct soft_cpu *cpu, uint16_t selector, unsigned cpl, bool is64);
void seg_set_flat_stack(struct soft_cpu *cpu, uint16_t selector, unsigned cpl);
/* Return to an outer level: data segments it may not use become null. */
void seg_drop_inner(struct soft_cpu *cpu, unsigned new_cpl);

/*
 * The target of a far transfer: raises #GP(error) unless ip lies in the code segment (or is canonical, for a 64-bit
 * segment).
 */
void seg_check_ip(struct soft_cpu *cpu, const struct insn *in, const struct x86_segment *cs, uint64_t ip,
		  uint32_t error);
/* True when the attributes make a 64-bit code segment in the mode in force. */
bool seg_is_code64(const struct soft_cpu *cpu, uint32_t attr);

/* ---- stacks being prepared ---- */

/*
 * A stack that is pushed to or popped from without touching RSP; the caller stores sp when nothing can fault any
 * more.
 */
struct seg_stack {
	struct x86_segment ss;
	uint64_t sp;
	uint64_t mask;	/* width of the stack pointer: 16, 32 or 64 bits of ones */
	uint32_t error; /* code of the #SS that leaving the segment raises */
	bool system;	/* accesses as supervisor whatever CPL is: stacks of inner levels, event delivery */
};

/* The stack in force. */
struct seg_stack seg_stack_now(const struct soft_cpu *cpu);
void seg_push(struct soft_cpu *cpu, const struct insn *in, struct seg_stack *stack, unsigned size, uint64_t val);
uint64_t seg_pop(struct soft_cpu *cpu, const struct insn *in, struct seg_stack *stack, unsigned size);
/* Moves sp by a signed number of bytes within its width. */
void seg_stack_move(struct seg_stack *stack, int64_t bytes);

/*
 * The stack for privilege level cpl from the TSS: SS checked, sp set, system set. ext: EXT bit for error codes. ist:
 * 1 to 7 in long mode picks an interrupt stack. In long mode SS becomes null with RPL cpl.
 */
struct seg_stack seg_inner_stack(struct soft_cpu *cpu, const struct insn *in, unsigned cpl, unsigned ist, uint32_t ext);

/* ---- events from instructions (exc.c) ---- */

/* INT n, INT3, INTO, ICEBP: a fault on the way is reported at the instruction, the handler returns behind it. */
void exc_soft_int(struct soft_cpu *cpu, const struct insn *in, enum exc_kind kind, uint8_t vector);

/* DR6: SDM volume 3 section 17.2.3. */
#define X86_DR6_BS 0x4000u
#define X86_DR6_BD 0x2000u
#define X86_DR7_GD 0x2000u

/* ---- privileged and far instructions, by file: parts of decode_system() ---- */

/* op-far.c: INT, IRET, far JMP/CALL/RET, SYSCALL and SYSENTER families */
op_fn decode_far(struct decoder *d, struct insn *in);
/* op-segment.c: segment registers, FS and GS bases, descriptor queries */
op_fn decode_segment(struct decoder *d, struct insn *in);
/* op-control.c: control and debug registers, descriptor tables, TLB */
op_fn decode_control(struct decoder *d, struct insn *in);
/* op-io.c: IN, OUT, INS, OUTS */
op_fn decode_io(struct decoder *d, struct insn *in);

/* ---- small helpers of op files ---- */

/* Ends the block behind this instruction. */
static inline struct block *soft_end_here(struct soft_cpu *cpu, const struct insn *in)
{
	return soft_end(cpu, in, soft_ip_mask(cpu, INSN_NEXT_RIP(cpu, in)));
}

/* Memory or register operand of 2, 4 or 8 bytes (1 too) by size. A 4-byte register write clears the upper half. */
static inline uint64_t soft_load_n(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size)
{
	switch (size) {
	case 1:
		return soft_load8(cpu, in, addr);
	case 2:
		return soft_load16(cpu, in, addr);
	case 4:
		return soft_load32(cpu, in, addr);
	default:
		return soft_load64(cpu, in, addr);
	}
}

static inline void soft_store_n(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, uint64_t val)
{
	switch (size) {
	case 1:
		soft_store8(cpu, in, addr, (uint8_t)val);
		break;
	case 2:
		soft_store16(cpu, in, addr, (uint16_t)val);
		break;
	case 4:
		soft_store32(cpu, in, addr, (uint32_t)val);
		break;
	default:
		soft_store64(cpu, in, addr, val);
		break;
	}
}

static inline uint64_t soft_reg_get(struct soft_cpu *cpu, unsigned off, unsigned size)
{
	return size == 1 ? REG8(cpu, off) : size == 2 ? REG16(cpu, off) : size == 4 ? REG32(cpu, off) : REG64(cpu, off);
}

static inline void soft_reg_set(struct soft_cpu *cpu, unsigned off, unsigned size, uint64_t val)
{
	if (size == 1)
		REG8(cpu, off) = (uint8_t)val;
	else if (size == 2)
		REG16(cpu, off) = (uint16_t)val;
	else
		REG64(cpu, off) = size == 4 ? (uint32_t)val : val;
}

#endif
