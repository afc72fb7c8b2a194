/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segment registers moved, pushed, popped and loaded with pointers; FS and GS bases; and the instructions that ask about
 * descriptors: LAR, LSL, VERR, VERW, ARPL. SDM volume 2.
 */
#include "vmm/cpu/seg.h"

/* ---- segment registers ---- */

/* aux: segment; aux32: width of a register destination, 0 for memory. */
static OP(op_mov_from_seg)
{
	uint16_t selector = cpu->seg[in->aux].selector;

	if (in->aux32)
		soft_reg_set(cpu, in->r1, in->aux32, selector);
	else
		soft_store16(cpu, in, soft_ea(cpu, in, 2, ACCESS_WRITE), selector);
	return NEXT(cpu, in);
}

static OP(op_mov_to_seg)
{
	uint16_t selector = in->aux32 ? REG16(cpu, in->r1) : soft_load16(cpu, in, soft_ea(cpu, in, 2, ACCESS_READ));

	seg_load(cpu, in, (enum x86_seg)in->aux, selector);
	return NEXT(cpu, in);
}

static OP(op_mov_to_ss)
{
	uint16_t selector = in->aux32 ? REG16(cpu, in->r1) : soft_load16(cpu, in, soft_ea(cpu, in, 2, ACCESS_READ));

	seg_load(cpu, in, X86_SS, selector);
	cpu->sti_shadow = cpu->ss_shadow = true;
	return soft_end_here(cpu, in);
}

/* aux32: operand size. With 32 bits only the selector itself is written. */
static OP(op_push_seg)
{
	struct seg_stack stack = seg_stack_now(cpu);
	uint16_t selector = cpu->seg[in->aux].selector;

	seg_stack_move(&stack, in->aux32 == 4 ? -2 : 0);
	seg_push(cpu, in, &stack, in->aux32 == 4 ? 2 : in->aux32, selector);
	cpu->gpr[X86_RSP] = stack.sp;
	return NEXT(cpu, in);
}

static OP(op_pop_seg)
{
	struct seg_stack stack = seg_stack_now(cpu);
	uint16_t selector = (uint16_t)seg_pop(cpu, in, &stack, 2);

	seg_load(cpu, in, (enum x86_seg)in->aux, selector);
	seg_stack_move(&stack, (int64_t)in->aux32 - 2);
	cpu->gpr[X86_RSP] = stack.sp;
	if (in->aux != X86_SS)
		return NEXT(cpu, in);
	cpu->sti_shadow = cpu->ss_shadow = true;
	return soft_end_here(cpu, in);
}

/* LDS, LES, LSS, LFS, LGS: offset of aux32 bytes, then a selector. */
static OP(op_load_far_pointer)
{
	unsigned size = in->aux32;
	uint8_t bytes[10] = { 0 };
	uint64_t offset = 0;

	soft_read_bytes(cpu, in, soft_ea(cpu, in, size + 2, ACCESS_READ), bytes, size + 2);
	for (unsigned i = 0; i < size; i++)
		offset |= (uint64_t)bytes[i] << 8 * i;
	seg_load(cpu, in, (enum x86_seg)in->aux, (uint16_t)(bytes[size] | bytes[size + 1] << 8));
	soft_reg_set(cpu, in->r1, size, offset);
	return NEXT(cpu, in);
}

/* aux: X86_FS or X86_GS; aux32: width. */
static void need_fsgsbase(struct soft_cpu *cpu, const struct insn *in)
{
	if (!(cpu->cr4 & X86_CR4_FSGSBASE))
		soft_ud(cpu, in);
}

static OP(op_rd_base)
{
	need_fsgsbase(cpu, in);
	soft_reg_set(cpu, in->r1, in->aux32, cpu->seg[in->aux].base);
	return NEXT(cpu, in);
}

static OP(op_wr_base)
{
	uint64_t base = soft_reg_get(cpu, in->r1, in->aux32);

	need_fsgsbase(cpu, in);
	if (!soft_canonical(base))
		soft_gp(cpu, in, 0);
	cpu->seg[in->aux].base = base;
	return NEXT(cpu, in);
}

static OP(op_swapgs)
{
	uint64_t base = cpu->seg[X86_GS].base;

	if (!soft_is64(cpu))
		soft_ud(cpu, in);
	soft_need_cpl0(cpu, in);
	cpu->seg[X86_GS].base = cpu->store->kernel_gs_base;
	cpu->store->kernel_gs_base = base;
	return NEXT(cpu, in);
}

/* ---- descriptor queries ---- */

static uint16_t query_selector(struct soft_cpu *cpu, const struct insn *in, unsigned reg)
{
	if (!soft_is_protected(cpu))
		soft_ud(cpu, in);
	return in->aux ? REG16(cpu, reg) : soft_load16(cpu, in, soft_ea(cpu, in, 2, ACCESS_READ));
}

static void set_zf(struct soft_cpu *cpu, bool zf)
{
	cpu->cc = (cpu->cc & ~CC_ZF) | (zf ? CC_ZF : 0);
}

static bool visible_at(const struct soft_cpu *cpu, const struct x86_segment *seg)
{
	return seg_is_conforming(seg->attr) || seg_dpl(seg->attr) >= MAX(cpu->cpl, SEL_RPL(seg->selector));
}

/* System descriptor types that LAR and LSL accept, one bit per type: SDM volume 2, tables of LAR and LSL. */
#define LAR_TYPES 0x1a3eu
#define LAR_TYPES_LONG 0x1a04u
#define LSL_TYPES 0x0a0eu
#define LSL_TYPES_LONG 0x0a04u

static bool query(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint32_t types, uint64_t *raw,
		  struct x86_segment *seg)
{
	if (!seg_fetch(cpu, in, selector, raw))
		return false;
	seg_unpack(seg, selector, *raw);
	if (!(seg->attr & X86_ATTR_S) && !(types >> seg_type(seg->attr) & 1))
		return false;
	return visible_at(cpu, seg);
}

/* aux32: operand size; aux: source is a register (r2). */
static OP(op_lar)
{
	uint16_t selector = query_selector(cpu, in, in->r2);
	struct x86_segment seg;
	uint64_t raw;
	bool ok = query(cpu, in, selector, soft_is_long(cpu) ? LAR_TYPES_LONG : LAR_TYPES, &raw, &seg);

	if (ok)
		soft_reg_set(cpu, in->r1, in->aux32, raw >> 32 & (in->aux32 == 2 ? 0xff00u : 0xffff00u));
	set_zf(cpu, ok);
	return NEXT(cpu, in);
}

static OP(op_lsl)
{
	uint16_t selector = query_selector(cpu, in, in->r2);
	struct x86_segment seg;
	uint64_t raw;
	bool ok = query(cpu, in, selector, soft_is_long(cpu) ? LSL_TYPES_LONG : LSL_TYPES, &raw, &seg);

	if (ok)
		soft_reg_set(cpu, in->r1, in->aux32, seg.limit);
	set_zf(cpu, ok);
	return NEXT(cpu, in);
}

static OP(op_verr)
{
	uint16_t selector = query_selector(cpu, in, in->r1);
	struct x86_segment seg;
	uint64_t raw;

	set_zf(cpu, query(cpu, in, selector, 0, &raw, &seg) && seg_is_readable(seg.attr));
	return NEXT(cpu, in);
}

static OP(op_verw)
{
	uint16_t selector = query_selector(cpu, in, in->r1);
	struct x86_segment seg;
	uint64_t raw;

	set_zf(cpu, query(cpu, in, selector, 0, &raw, &seg) && seg_is_writable(seg.attr));
	return NEXT(cpu, in);
}

/* aux: destination is a register (r1, the source then is r2, else r1). */
static OP(op_arpl)
{
	uint16_t source = REG16(cpu, in->aux ? in->r2 : in->r1), dest;
	bool raise_rpl;

	if (!soft_is_protected(cpu))
		soft_ud(cpu, in);
	dest = in->aux ? REG16(cpu, in->r1) : soft_load16(cpu, in, soft_ea(cpu, in, 2, ACCESS_READ));
	raise_rpl = SEL_RPL(dest) < SEL_RPL(source);
	dest = (uint16_t)((dest & 0xfffcu) | SEL_RPL(source));
	if (raise_rpl && in->aux)
		REG16(cpu, in->r1) = dest;
	else if (raise_rpl)
		soft_store16(cpu, in, soft_ea(cpu, in, 2, ACCESS_WRITE), dest);
	set_zf(cpu, raise_rpl);
	return NEXT(cpu, in);
}

/* ---- decoding ---- */

static bool is_register(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER;
}

/* -1 when the operand is no segment register. Zydis numbers them as the architecture does. */
static int segment_number(const ZydisDecodedOperand *op)
{
	return is_register(op) && ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_SEGMENT ?
		       ZydisRegisterGetId(op->reg.value) :
		       -1;
}

static op_fn decode_mov_seg(struct decoder *d, struct insn *in)
{
	int to = segment_number(&d->op[0]), from = segment_number(&d->op[1]);

	if (to < 0 && from < 0)
		return NULL;
	in->aux = (uint16_t)(to < 0 ? from : to);
	if (to < 0) {
		in->aux32 = is_register(&d->op[0]) ? d->op[0].size / 8 : 0;
		return op_mov_from_seg;
	}
	in->aux32 = is_register(&d->op[1]);
	d->end |= to == X86_SS;
	return to == X86_CS ? op_ud : to == X86_SS ? op_mov_to_ss : op_mov_to_seg;
}

static op_fn decode_push_pop_seg(struct decoder *d, struct insn *in, bool push)
{
	int seg = segment_number(&d->op[0]);

	if (seg < 0)
		return NULL;
	in->aux = (uint16_t)seg;
	in->aux32 = d->zi.operand_width / 8;
	d->end |= !push && seg == X86_SS;
	return push ? op_push_seg : op_pop_seg;
}

static op_fn segment_base(const struct decoder *d, struct insn *in, enum x86_seg seg, op_fn fn)
{
	in->aux = (uint16_t)seg;
	in->aux32 = d->op[0].size / 8;
	return fn;
}

static op_fn far_pointer(const struct decoder *d, struct insn *in, enum x86_seg seg)
{
	in->aux = (uint16_t)seg;
	in->aux32 = d->zi.operand_width / 8;
	return op_load_far_pointer;
}

static op_fn query_op(const struct decoder *d, struct insn *in, unsigned source, op_fn fn)
{
	in->aux = is_register(&d->op[source]);
	in->aux32 = d->zi.operand_width / 8;
	return fn;
}

op_fn decode_segment(struct decoder *d, struct insn *in)
{
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		return decode_mov_seg(d, in);
	case ZYDIS_MNEMONIC_PUSH:
		return decode_push_pop_seg(d, in, true);
	case ZYDIS_MNEMONIC_POP:
		return decode_push_pop_seg(d, in, false);
	case ZYDIS_MNEMONIC_LDS:
		return far_pointer(d, in, X86_DS);
	case ZYDIS_MNEMONIC_LES:
		return far_pointer(d, in, X86_ES);
	case ZYDIS_MNEMONIC_LSS:
		return far_pointer(d, in, X86_SS);
	case ZYDIS_MNEMONIC_LFS:
		return far_pointer(d, in, X86_FS);
	case ZYDIS_MNEMONIC_LGS:
		return far_pointer(d, in, X86_GS);
	case ZYDIS_MNEMONIC_RDFSBASE:
		return segment_base(d, in, X86_FS, op_rd_base);
	case ZYDIS_MNEMONIC_RDGSBASE:
		return segment_base(d, in, X86_GS, op_rd_base);
	case ZYDIS_MNEMONIC_WRFSBASE:
		return segment_base(d, in, X86_FS, op_wr_base);
	case ZYDIS_MNEMONIC_WRGSBASE:
		return segment_base(d, in, X86_GS, op_wr_base);
	case ZYDIS_MNEMONIC_SWAPGS:
		return op_swapgs;
	case ZYDIS_MNEMONIC_LAR:
		return query_op(d, in, 1, op_lar);
	case ZYDIS_MNEMONIC_LSL:
		return query_op(d, in, 1, op_lsl);
	case ZYDIS_MNEMONIC_VERR:
		return query_op(d, in, 0, op_verr);
	case ZYDIS_MNEMONIC_VERW:
		return query_op(d, in, 0, op_verw);
	case ZYDIS_MNEMONIC_ARPL:
		return query_op(d, in, 0, op_arpl);
	default:
		return NULL;
	}
}
