/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transfers of control beyond the code segment: software interrupts, IRET, far JMP, CALL and RET, SYSCALL/SYSRET and
 * SYSENTER/SYSEXIT. SDM volumes 2 and 3 (5.8, 6.12).
 *
 * Jumps and calls through a TSS or a task gate, and IRET with NT set, would switch tasks: they are refused with #GP.
 *
 * aux of every record here is the operand size in bytes.
 */
#include "vmm/cpu/seg.h"

static struct block *finish(struct soft_cpu *cpu, const struct insn *in, uint64_t rip)
{
	soft_mode_changed(cpu);
	return soft_end(cpu, in, rip);
}

/* ---- software interrupts ---- */

static OP(op_int)
{
	if (soft_is_v86(cpu) && soft_iopl(cpu) < 3)
		soft_gp(cpu, in, 0);
	exc_soft_int(cpu, in, EXC_SOFT_INT, (uint8_t)in->imm);
	return NULL;
}

static OP(op_int3)
{
	exc_soft_int(cpu, in, EXC_SOFT_INT3, X86_EXC_BP);
	return NULL;
}

static OP(op_into)
{
	if (!(cpu->cc & CC_OF))
		return soft_end_here(cpu, in);
	exc_soft_int(cpu, in, EXC_SOFT_INT3, X86_EXC_OF);
	return NULL;
}

static OP(op_icebp)
{
	exc_soft_int(cpu, in, EXC_ICEBP, X86_EXC_DB);
	return NULL;
}

/* ---- code segments ---- */

static struct x86_segment fetch_code(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint64_t *raw)
{
	struct x86_segment cs;

	if (sel_is_null(selector))
		soft_gp(cpu, in, 0);
	if (!seg_fetch(cpu, in, selector, raw))
		soft_gp(cpu, in, SEL_ERROR(selector));
	seg_unpack(&cs, selector, *raw);
	return cs;
}

/* L and D/B together are reserved in long mode. */
static bool bad_size_bits(const struct soft_cpu *cpu, uint32_t attr)
{
	return soft_is_long(cpu) && (attr & (X86_ATTR_L | X86_ATTR_DB)) == (X86_ATTR_L | X86_ATTR_DB);
}

/* Target of a direct far jump or call: level unchanged. */
static void check_direct(struct soft_cpu *cpu, const struct insn *in, struct x86_segment *cs)
{
	uint32_t error = SEL_ERROR(cs->selector);
	unsigned dpl = seg_dpl(cs->attr);
	bool allowed = seg_is_conforming(cs->attr) ? dpl <= cpu->cpl :
						     dpl == cpu->cpl && SEL_RPL(cs->selector) <= cpu->cpl;

	if (!allowed || bad_size_bits(cpu, cs->attr))
		soft_gp(cpu, in, error);
	if (!seg_present(cs->attr))
		soft_fault(cpu, in, X86_EXC_NP, error);
	seg_mark_accessed(cpu, in, cs);
	cs->selector = (uint16_t)((cs->selector & 0xfffcu) | cpu->cpl);
}

/* Target of a far return or IRET: to the level in the selector's RPL, never inwards. */
static struct x86_segment return_segment(struct soft_cpu *cpu, const struct insn *in, uint16_t selector)
{
	uint32_t error = SEL_ERROR(selector);
	unsigned rpl = SEL_RPL(selector);
	struct x86_segment cs;
	uint64_t raw;

	cs = fetch_code(cpu, in, selector, &raw);
	if (!seg_is_code(cs.attr) || rpl < cpu->cpl || bad_size_bits(cpu, cs.attr) ||
	    (seg_is_conforming(cs.attr) ? seg_dpl(cs.attr) > rpl : seg_dpl(cs.attr) != rpl))
		soft_gp(cpu, in, error);
	if (!seg_present(cs.attr))
		soft_fault(cpu, in, X86_EXC_NP, error);
	seg_mark_accessed(cpu, in, &cs);
	return cs;
}

/* SS popped by a return to the level of cs. */
static struct x86_segment return_stack(struct soft_cpu *cpu, const struct insn *in, uint16_t selector,
				       const struct x86_segment *cs)
{
	unsigned rpl = SEL_RPL(cs->selector);
	uint32_t error = SEL_ERROR(selector);
	struct x86_segment ss;
	uint64_t raw;

	if (sel_is_null(selector)) {
		if (!seg_is_code64(cpu, cs->attr) || rpl == 3 || SEL_RPL(selector) != rpl)
			soft_gp(cpu, in, 0);
		seg_set_null(&ss, selector, rpl);
		return ss;
	}
	if (!seg_fetch(cpu, in, selector, &raw))
		soft_gp(cpu, in, error);
	seg_unpack(&ss, selector, raw);
	if (SEL_RPL(selector) != rpl || seg_dpl(ss.attr) != rpl || !seg_is_writable(ss.attr))
		soft_gp(cpu, in, error);
	if (!seg_present(ss.attr))
		soft_fault(cpu, in, X86_EXC_SS, error);
	seg_mark_accessed(cpu, in, &ss);
	return ss;
}

/* Stores a stack pointer popped for, or computed in, a stack of another width. */
static void set_stack_pointer(struct soft_cpu *cpu, const struct x86_segment *cs, const struct x86_segment *ss,
			      uint64_t sp)
{
	if (seg_is_code64(cpu, cs->attr))
		cpu->gpr[X86_RSP] = sp;
	else if (ss->attr & X86_ATTR_DB)
		cpu->gpr[X86_RSP] = (uint32_t)sp;
	else
		REG16(cpu, X86_RSP * 8) = (uint16_t)sp;
}

/* ---- far jump ---- */

struct far_pointer {
	uint16_t selector;
	uint64_t offset;
};

static struct far_pointer far_immediate(const struct insn *in)
{
	return (struct far_pointer){ .selector = (uint16_t)in->aux32, .offset = (uint32_t)in->imm };
}

static struct far_pointer far_memory(struct soft_cpu *cpu, const struct insn *in)
{
	unsigned size = in->aux;
	uint8_t bytes[10] = { 0 };
	struct far_pointer ptr = { 0 };

	soft_read_bytes(cpu, in, soft_ea(cpu, in, size + 2, ACCESS_READ), bytes, size + 2);
	for (unsigned i = 0; i < size; i++)
		ptr.offset |= (uint64_t)bytes[i] << 8 * i;
	ptr.selector = (uint16_t)(bytes[size] | bytes[size + 1] << 8);
	return ptr;
}

struct call_gate {
	uint16_t selector;
	uint64_t offset;
	unsigned params, size;
};

/* The selector of a far JMP or CALL named a system descriptor. Anything but a call gate is refused. */
static struct call_gate fetch_call_gate(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint64_t raw)
{
	uint32_t attr = raw >> 40 & 0xff, error = SEL_ERROR(selector);
	bool narrow = seg_type(attr) == SYS_CALL16 && !soft_is_long(cpu);
	struct call_gate gate = {
		.selector = (uint16_t)(raw >> 16),
		.offset = (raw & 0xffff) | (narrow ? 0 : raw >> 32 & 0xffff0000u),
		.params = raw >> 32 & 0x1f,
		.size = soft_is_long(cpu) ? 8 : narrow ? 2 : 4,
	};
	uint64_t high = 0;

	if (seg_type(attr) != SYS_CALL && !narrow)
		soft_gp(cpu, in, error);
	if (seg_dpl(attr) < cpu->cpl || seg_dpl(attr) < SEL_RPL(selector))
		soft_gp(cpu, in, error);
	if (soft_is_long(cpu) && (!seg_fetch_high(cpu, in, selector, &high) || high >> 40 & 0x1f))
		soft_gp(cpu, in, error);
	if (!seg_present(attr))
		soft_fault(cpu, in, X86_EXC_NP, error);
	if (soft_is_long(cpu))
		gate.offset |= high << 32;
	return gate;
}

/* The code segment a call gate leads to; inward: whether a CALL gains privilege by it. */
static struct x86_segment gate_segment(struct soft_cpu *cpu, const struct insn *in, const struct call_gate *gate,
				       bool call, bool *inward)
{
	uint32_t error = SEL_ERROR(gate->selector);
	struct x86_segment cs;
	unsigned cpl;
	uint64_t raw;

	cs = fetch_code(cpu, in, gate->selector, &raw);
	if (!seg_is_code(cs.attr) || seg_dpl(cs.attr) > cpu->cpl ||
	    (soft_is_long(cpu) && (cs.attr & (X86_ATTR_L | X86_ATTR_DB)) != X86_ATTR_L))
		soft_gp(cpu, in, error);
	*inward = !seg_is_conforming(cs.attr) && seg_dpl(cs.attr) < cpu->cpl;
	if (*inward && !call)
		soft_gp(cpu, in, error);
	if (!seg_present(cs.attr))
		soft_fault(cpu, in, X86_EXC_NP, error);
	seg_mark_accessed(cpu, in, &cs);
	cpl = *inward ? seg_dpl(cs.attr) : cpu->cpl;
	cs.selector = (uint16_t)((gate->selector & 0xfffcu) | cpl);
	return cs;
}

/* Of a 64-bit offset only the lower half counts in a 32-bit segment. */
static uint64_t narrow_offset(const struct soft_cpu *cpu, const struct x86_segment *cs, uint64_t offset)
{
	return seg_is_code64(cpu, cs->attr) ? offset : (uint32_t)offset;
}

static struct block *jump_real(struct soft_cpu *cpu, const struct insn *in, struct far_pointer to)
{
	if (to.offset > cpu->seg[X86_CS].limit)
		soft_gp(cpu, in, 0);
	seg_set_real(cpu, X86_CS, to.selector);
	return finish(cpu, in, to.offset);
}

static struct block *far_jump(struct soft_cpu *cpu, const struct insn *in, struct far_pointer to)
{
	struct x86_segment cs;
	uint64_t raw;

	if (!soft_is_protected(cpu))
		return jump_real(cpu, in, to);
	cs = fetch_code(cpu, in, to.selector, &raw);
	if (seg_is_code(cs.attr)) {
		check_direct(cpu, in, &cs);
	} else {
		struct call_gate gate = fetch_call_gate(cpu, in, to.selector, raw);
		bool inward;

		cs = gate_segment(cpu, in, &gate, false, &inward);
		to.offset = gate.offset;
	}
	to.offset = narrow_offset(cpu, &cs, to.offset);
	seg_check_ip(cpu, in, &cs, to.offset, 0);
	cpu->seg[X86_CS] = cs;
	return finish(cpu, in, to.offset);
}

static OP(op_jmp_far_imm)
{
	return far_jump(cpu, in, far_immediate(in));
}

static OP(op_jmp_far_mem)
{
	return far_jump(cpu, in, far_memory(cpu, in));
}

/* ---- far call ---- */

static void push_return(struct soft_cpu *cpu, const struct insn *in, struct seg_stack *stack, unsigned size)
{
	seg_push(cpu, in, stack, size, cpu->seg[X86_CS].selector);
	seg_push(cpu, in, stack, size, soft_ip_mask(cpu, INSN_NEXT_RIP(cpu, in)));
}

/* CALL to an inner level: old stack pointer and parameters go to the stack the TSS names. */
static struct seg_stack inner_call_stack(struct soft_cpu *cpu, const struct insn *in, const struct call_gate *gate,
					 unsigned cpl)
{
	struct seg_stack stack = seg_inner_stack(cpu, in, cpl, 0, 0), old = seg_stack_now(cpu);
	uint64_t params[31];
	unsigned n = soft_is_long(cpu) ? 0 : gate->params;

	seg_push(cpu, in, &stack, gate->size, cpu->seg[X86_SS].selector);
	seg_push(cpu, in, &stack, gate->size, cpu->gpr[X86_RSP]);
	for (unsigned i = 0; i < n; i++)
		params[i] = seg_pop(cpu, in, &old, gate->size);
	while (n--)
		seg_push(cpu, in, &stack, gate->size, params[n]);
	return stack;
}

static struct block *call_gate(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint64_t raw)
{
	struct call_gate gate = fetch_call_gate(cpu, in, selector, raw);
	struct seg_stack stack;
	struct x86_segment cs;
	bool inward;

	cs = gate_segment(cpu, in, &gate, true, &inward);
	stack = inward ? inner_call_stack(cpu, in, &gate, SEL_RPL(cs.selector)) : seg_stack_now(cpu);
	push_return(cpu, in, &stack, gate.size);
	seg_check_ip(cpu, in, &cs, gate.offset, 0);
	cpu->seg[X86_CS] = cs;
	if (inward)
		cpu->seg[X86_SS] = stack.ss;
	cpu->gpr[X86_RSP] = stack.sp;
	return finish(cpu, in, gate.offset);
}

static struct block *far_call(struct soft_cpu *cpu, const struct insn *in, struct far_pointer to)
{
	struct seg_stack stack = seg_stack_now(cpu);
	struct x86_segment cs = cpu->seg[X86_CS];
	uint64_t raw;

	if (soft_is_protected(cpu)) {
		cs = fetch_code(cpu, in, to.selector, &raw);
		if (!seg_is_code(cs.attr))
			return call_gate(cpu, in, to.selector, raw);
		check_direct(cpu, in, &cs);
		/* From 64-bit into 32-bit code: the stack is already the one of the new mode. */
		if (soft_is64(cpu) && !seg_is_code64(cpu, cs.attr))
			stack.mask = cpu->seg[X86_SS].attr & X86_ATTR_DB ? UINT32_MAX : UINT16_MAX;
	}
	push_return(cpu, in, &stack, in->aux);
	to.offset = narrow_offset(cpu, &cs, to.offset);
	seg_check_ip(cpu, in, &cs, to.offset, 0);
	cpu->gpr[X86_RSP] = stack.sp;
	if (soft_is_protected(cpu))
		cpu->seg[X86_CS] = cs;
	else
		seg_set_real(cpu, X86_CS, to.selector);
	return finish(cpu, in, to.offset);
}

static OP(op_call_far_imm)
{
	return far_call(cpu, in, far_immediate(in));
}

static OP(op_call_far_mem)
{
	return far_call(cpu, in, far_memory(cpu, in));
}

/* ---- far return ---- */

/* imm: bytes of parameters to drop, on both stacks when the level changes. */
static OP(op_ret_far)
{
	struct seg_stack stack = seg_stack_now(cpu);
	uint64_t rip = seg_pop(cpu, in, &stack, in->aux), sp;
	uint16_t selector = (uint16_t)seg_pop(cpu, in, &stack, in->aux);
	struct x86_segment cs = cpu->seg[X86_CS], ss;

	seg_stack_move(&stack, (uint16_t)in->imm);
	if (!soft_is_protected(cpu)) {
		seg_check_ip(cpu, in, &cs, rip, 0);
		cpu->gpr[X86_RSP] = stack.sp;
		seg_set_real(cpu, X86_CS, selector);
		return finish(cpu, in, rip);
	}
	cs = return_segment(cpu, in, selector);
	rip = narrow_offset(cpu, &cs, rip);
	if (SEL_RPL(selector) == cpu->cpl) {
		seg_check_ip(cpu, in, &cs, rip, 0);
		cpu->gpr[X86_RSP] = stack.sp;
		cpu->seg[X86_CS] = cs;
		return finish(cpu, in, rip);
	}
	sp = seg_pop(cpu, in, &stack, in->aux);
	ss = return_stack(cpu, in, (uint16_t)seg_pop(cpu, in, &stack, in->aux), &cs);
	seg_check_ip(cpu, in, &cs, rip, 0);
	cpu->seg[X86_CS] = cs;
	cpu->seg[X86_SS] = ss;
	set_stack_pointer(cpu, &cs, &ss, sp + (uint16_t)in->imm);
	seg_drop_inner(cpu, SEL_RPL(selector));
	return finish(cpu, in, rip);
}

/* ---- IRET ---- */

#define IRET_ALWAYS (X86_FLAGS_ARITH | X86_FLAG_TF | X86_FLAG_DF | X86_FLAG_NT)
#define IRET_WIDE (X86_FLAG_RF | X86_FLAG_AC | X86_FLAG_ID)

static uint32_t iret_flags(const struct soft_cpu *cpu, unsigned size, uint32_t popped)
{
	uint32_t mask = IRET_ALWAYS | (size > 2 ? IRET_WIDE : 0), old = soft_get_rflags(cpu);

	if (cpu->cpl <= soft_iopl(cpu))
		mask |= X86_FLAG_IF;
	if (cpu->cpl == 0)
		mask |= X86_FLAG_IOPL | (size > 2 ? X86_FLAG_VIF | X86_FLAG_VIP : 0);
	return (old & ~mask) | (popped & mask);
}

static struct block *iret_done(struct soft_cpu *cpu, const struct insn *in, uint64_t rip, uint32_t flags)
{
	soft_set_rflags(cpu, flags);
	cpu->nmi_blocked = false;
	return finish(cpu, in, rip);
}

/* Real mode, and virtual-8086 mode with IOPL 3. */
static struct block *iret_real(struct soft_cpu *cpu, const struct insn *in)
{
	struct seg_stack stack = seg_stack_now(cpu);
	uint32_t keep = X86_FLAG_VM | X86_FLAG_VIF | X86_FLAG_VIP | (in->aux == 2 ? 0xffff0000u : 0), flags;
	uint16_t selector;
	uint64_t rip;

	if (soft_is_v86(cpu)) {
		if (soft_iopl(cpu) < 3)
			soft_gp(cpu, in, 0);
		keep |= X86_FLAG_IOPL;
	}
	rip = seg_pop(cpu, in, &stack, in->aux);
	selector = (uint16_t)seg_pop(cpu, in, &stack, in->aux);
	flags = (uint32_t)seg_pop(cpu, in, &stack, in->aux);
	seg_check_ip(cpu, in, &cpu->seg[X86_CS], rip, 0);
	cpu->gpr[X86_RSP] = stack.sp;
	seg_set_real(cpu, X86_CS, selector);
	return iret_done(cpu, in, rip, (soft_get_rflags(cpu) & keep) | (flags & 0x257fd5 & ~keep));
}

/* The frame goes on with ESP, SS, ES, DS, FS, GS: SDM volume 3 section 20.2.5. */
static struct block *iret_to_v86(struct soft_cpu *cpu, const struct insn *in, struct seg_stack *stack,
				 const uint32_t frame[3])
{
	static const enum x86_seg order[] = { X86_SS, X86_ES, X86_DS, X86_FS, X86_GS };
	uint16_t selectors[G_N_ELEMENTS(order)];
	uint32_t sp = (uint32_t)seg_pop(cpu, in, stack, 4);

	for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
		selectors[i] = (uint16_t)seg_pop(cpu, in, stack, 4);
	if (frame[0] > 0xffff)
		soft_gp(cpu, in, 0);
	soft_set_rflags(cpu, frame[2] & 0x3f7fd7);
	seg_set_real(cpu, X86_CS, (uint16_t)frame[1]);
	for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
		seg_set_real(cpu, order[i], selectors[i]);
	cpu->gpr[X86_RSP] = sp;
	cpu->nmi_blocked = false;
	return finish(cpu, in, frame[0]);
}

static struct block *iret_protected(struct soft_cpu *cpu, const struct insn *in)
{
	struct seg_stack stack = seg_stack_now(cpu);
	uint64_t rip = seg_pop(cpu, in, &stack, in->aux), sp = 0;
	uint16_t selector = (uint16_t)seg_pop(cpu, in, &stack, in->aux);
	uint32_t flags = (uint32_t)seg_pop(cpu, in, &stack, in->aux);
	struct x86_segment cs, ss = { 0 };
	bool outer;

	if (flags & X86_FLAG_VM && cpu->cpl == 0 && in->aux == 4 && !soft_is_long(cpu))
		return iret_to_v86(cpu, in, &stack, (const uint32_t[]){ (uint32_t)rip, selector, flags });
	cs = return_segment(cpu, in, selector);
	rip = narrow_offset(cpu, &cs, rip);
	outer = SEL_RPL(selector) > cpu->cpl;
	if (outer || soft_is64(cpu)) {
		sp = seg_pop(cpu, in, &stack, in->aux);
		ss = return_stack(cpu, in, (uint16_t)seg_pop(cpu, in, &stack, in->aux), &cs);
	}
	seg_check_ip(cpu, in, &cs, rip, 0);
	flags = iret_flags(cpu, in->aux, flags);
	if (outer || soft_is64(cpu)) {
		cpu->seg[X86_SS] = ss;
		set_stack_pointer(cpu, &cs, &ss, sp);
	} else {
		cpu->gpr[X86_RSP] = stack.sp;
	}
	cpu->seg[X86_CS] = cs;
	if (outer)
		seg_drop_inner(cpu, SEL_RPL(selector));
	return iret_done(cpu, in, rip, flags);
}

static OP(op_iret)
{
	if (!soft_is_protected(cpu))
		return iret_real(cpu, in);
	if (cpu->rflags & X86_FLAG_NT)
		soft_gp(cpu, in, 0);
	return iret_protected(cpu, in);
}

/* ---- SYSCALL, SYSRET, SYSENTER, SYSEXIT ---- */

static OP(op_syscall)
{
	uint32_t flags = soft_get_rflags(cpu) & ~X86_FLAG_RF;
	uint16_t selector = cpu->store->star >> 32 & 0xfffc;

	if (!soft_is64(cpu) || !(cpu->efer & X86_EFER_SCE))
		soft_ud(cpu, in);
	cpu->gpr[X86_RCX] = INSN_NEXT_RIP(cpu, in);
	cpu->gpr[X86_R11] = flags;
	seg_set_flat_code(cpu, selector, 0, true);
	seg_set_flat_stack(cpu, (uint16_t)(selector + 8), 0);
	soft_set_rflags(cpu, flags & ~(uint32_t)cpu->store->sfmask);
	return finish(cpu, in, cpu->store->lstar);
}

static OP(op_sysret)
{
	uint16_t base = (uint16_t)(cpu->store->star >> 48);
	bool to64 = in->aux == 8;
	uint64_t rip = cpu->gpr[X86_RCX];

	if (!soft_is64(cpu) || !(cpu->efer & X86_EFER_SCE))
		soft_ud(cpu, in);
	if (cpu->cpl || (to64 && !soft_canonical(rip)))
		soft_gp(cpu, in, 0);
	seg_set_flat_code(cpu, (uint16_t)(base + (to64 ? 16 : 0)), 3, to64);
	seg_set_flat_stack(cpu, (uint16_t)(base + 8), 3);
	soft_set_rflags(cpu, (uint32_t)cpu->gpr[X86_R11] & 0x3c7fd7);
	return finish(cpu, in, to64 ? rip : (uint32_t)rip);
}

static OP(op_sysenter)
{
	uint16_t selector = (uint16_t)cpu->store->sysenter_cs;
	bool is_long = soft_is_long(cpu);

	if (!(cpu->cr0 & X86_CR0_PE) || sel_is_null(selector))
		soft_gp(cpu, in, 0);
	cpu->gpr[X86_RSP] = is_long ? cpu->store->sysenter_esp : (uint32_t)cpu->store->sysenter_esp;
	seg_set_flat_code(cpu, selector, 0, is_long);
	seg_set_flat_stack(cpu, (uint16_t)((selector & 0xfffc) + 8), 0);
	soft_set_rflags(cpu, soft_get_rflags(cpu) & ~(X86_FLAG_VM | X86_FLAG_IF | X86_FLAG_RF));
	return finish(cpu, in, is_long ? cpu->store->sysenter_eip : (uint32_t)cpu->store->sysenter_eip);
}

static OP(op_sysexit)
{
	uint16_t base = cpu->store->sysenter_cs & 0xfffc;
	bool to64 = in->aux == 8;
	uint64_t rip = cpu->gpr[X86_RDX], rsp = cpu->gpr[X86_RCX];
	uint16_t selector = (uint16_t)(base + (to64 ? 32 : 16));

	if (!(cpu->cr0 & X86_CR0_PE) || sel_is_null(base) || cpu->cpl ||
	    (to64 && (!soft_canonical(rip) || !soft_canonical(rsp))))
		soft_gp(cpu, in, 0);
	cpu->gpr[X86_RSP] = to64 ? rsp : (uint32_t)rsp;
	seg_set_flat_code(cpu, selector, 3, to64);
	seg_set_flat_stack(cpu, (uint16_t)(selector + 8), 3);
	return finish(cpu, in, to64 ? rip : (uint32_t)rip);
}

/* ---- decoding ---- */

static op_fn far_branch(const struct decoder *d, struct insn *in, op_fn imm, op_fn mem)
{
	if (d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY)
		return mem;
	in->imm = (int32_t)d->op[0].ptr.offset;
	in->aux32 = d->op[0].ptr.segment;
	return imm;
}

static op_fn pick(struct decoder *d, struct insn *in)
{
	bool far = d->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;

	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_INT:
		in->imm = (int32_t)(d->op[0].imm.value.u & 0xff);
		return op_int;
	case ZYDIS_MNEMONIC_INT1:
		return op_icebp;
	case ZYDIS_MNEMONIC_INT3:
		return op_int3;
	case ZYDIS_MNEMONIC_INTO:
		return op_into;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		return op_iret;
	case ZYDIS_MNEMONIC_JMP:
		return far ? far_branch(d, in, op_jmp_far_imm, op_jmp_far_mem) : NULL;
	case ZYDIS_MNEMONIC_CALL:
		return far ? far_branch(d, in, op_call_far_imm, op_call_far_mem) : NULL;
	case ZYDIS_MNEMONIC_RET:
		in->imm = d->zi.operand_count_visible ? (int32_t)(d->op[0].imm.value.u & 0xffff) : 0;
		return far ? op_ret_far : NULL;
	case ZYDIS_MNEMONIC_SYSCALL:
		return op_syscall;
	case ZYDIS_MNEMONIC_SYSRET:
		return op_sysret;
	case ZYDIS_MNEMONIC_SYSENTER:
		return op_sysenter;
	case ZYDIS_MNEMONIC_SYSEXIT:
		return op_sysexit;
	default:
		return NULL;
	}
}

op_fn decode_far(struct decoder *d, struct insn *in)
{
	op_fn fn = pick(d, in);

	if (fn) {
		in->aux = d->zi.operand_width / 8;
		d->end = true;
	}
	return fn;
}
