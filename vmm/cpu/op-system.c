/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Privileged and system instructions that are neither far transfers (op-far.c) nor control registers (op-control.c): segment registers, flags, MSRs,
 * time stamps, descriptor queries, caches, HLT. SDM volume 2.
 */
#include "vmm/cpu/seg.h"

static struct block *end_here(struct soft_cpu *cpu, const struct insn *in)
{
	return soft_end(cpu, in, soft_ip_mask(cpu, INSN_NEXT_RIP(cpu, in)));
}

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
	cpu->sti_shadow = true;
	return end_here(cpu, in);
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
	cpu->sti_shadow = true;
	return end_here(cpu, in);
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

/* ---- flags ---- */

/* CLI and STI: no VME and PVI. */
static void need_iopl(struct soft_cpu *cpu, const struct insn *in)
{
	if (cpu->cr0 & X86_CR0_PE && cpu->cpl > soft_iopl(cpu))
		soft_gp(cpu, in, 0);
}

static OP(op_cli)
{
	need_iopl(cpu, in);
	cpu->rflags &= ~X86_FLAG_IF;
	return NEXT(cpu, in);
}

static OP(op_sti)
{
	need_iopl(cpu, in);
	if (!(cpu->rflags & X86_FLAG_IF))
		cpu->sti_shadow = true;
	cpu->rflags |= X86_FLAG_IF;
	return end_here(cpu, in);
}

/* aux32: 1 for STAC. */
static OP(op_set_ac)
{
	if (cpu->cpl || !(cpu->cr4 & X86_CR4_SMAP))
		soft_ud(cpu, in);
	cpu->rflags = (cpu->rflags & ~X86_FLAG_AC) | (in->aux32 ? X86_FLAG_AC : 0);
	soft_view_changed(cpu);
	return NEXT(cpu, in);
}

static void need_v86_iopl(struct soft_cpu *cpu, const struct insn *in)
{
	if (soft_is_v86(cpu) && soft_iopl(cpu) < 3)
		soft_gp(cpu, in, 0);
}

/* aux: operand size. */
static OP(op_pushf)
{
	struct seg_stack stack = seg_stack_now(cpu);

	need_v86_iopl(cpu, in);
	seg_push(cpu, in, &stack, in->aux, soft_get_rflags(cpu) & ~(X86_FLAG_RF | X86_FLAG_VM));
	cpu->gpr[X86_RSP] = stack.sp;
	return NEXT(cpu, in);
}

static OP(op_pushf64)
{
	uint64_t rsp = cpu->gpr[X86_RSP] - 8;

	soft_store64(cpu, in, rsp, soft_get_rflags(cpu) & ~(X86_FLAG_RF | X86_FLAG_VM));
	cpu->gpr[X86_RSP] = rsp;
	return NEXT(cpu, in);
}

/* Bits POPF may change here: SDM volume 2, POPF, table 4-16. */
static uint32_t popf_mask(const struct soft_cpu *cpu, unsigned size)
{
	uint32_t mask = X86_FLAGS_ARITH | X86_FLAG_TF | X86_FLAG_DF | X86_FLAG_NT | (size > 2 ? X86_FLAG_AC | X86_FLAG_ID : 0);

	if (cpu->cpl == 0)
		mask |= X86_FLAG_IOPL;
	if (cpu->cpl <= soft_iopl(cpu))
		mask |= X86_FLAG_IF;
	return mask;
}

static struct block *set_popped_flags(struct soft_cpu *cpu, const struct insn *in, uint32_t popped, unsigned size)
{
	uint32_t mask = popf_mask(cpu, size), old = soft_get_rflags(cpu), val = (old & ~mask & ~X86_FLAG_RF) | (popped & mask);
	uint32_t opened = val & ~old & X86_FLAG_IF;
	bool stepping = (val | old) & X86_FLAG_TF;

	soft_set_rflags(cpu, val);
	/* The block need only end where an interrupt or a debug trap may now be due. */
	return opened || stepping ? end_here(cpu, in) : NEXT(cpu, in);
}

static OP(op_popf)
{
	struct seg_stack stack = seg_stack_now(cpu);
	uint32_t popped;

	need_v86_iopl(cpu, in);
	popped = (uint32_t)seg_pop(cpu, in, &stack, in->aux);
	cpu->gpr[X86_RSP] = stack.sp;
	return set_popped_flags(cpu, in, popped, in->aux);
}

static OP(op_popf64)
{
	uint32_t popped = (uint32_t)soft_load64(cpu, in, cpu->gpr[X86_RSP]);

	cpu->gpr[X86_RSP] += 8;
	return set_popped_flags(cpu, in, popped, 8);
}

/* ---- identification, MSRs, time ---- */

static OP(op_cpuid)
{
	uint32_t out[4];

	soft_cpuid(cpu, (uint32_t)cpu->gpr[X86_RAX], (uint32_t)cpu->gpr[X86_RCX], out);
	cpu->gpr[X86_RAX] = out[0];
	cpu->gpr[X86_RBX] = out[1];
	cpu->gpr[X86_RCX] = out[2];
	cpu->gpr[X86_RDX] = out[3];
	return NEXT(cpu, in);
}

static void set_edx_eax(struct soft_cpu *cpu, uint64_t val)
{
	cpu->gpr[X86_RAX] = (uint32_t)val;
	cpu->gpr[X86_RDX] = val >> 32;
}

static OP(op_rdmsr)
{
	uint64_t val = 0;

	soft_need_cpl0(cpu, in);
	if (!soft_msr_read(cpu, (uint32_t)cpu->gpr[X86_RCX], &val))
		soft_gp(cpu, in, 0);
	set_edx_eax(cpu, val);
	return NEXT(cpu, in);
}

static OP(op_wrmsr)
{
	soft_need_cpl0(cpu, in);
	if (!soft_msr_write(cpu, (uint32_t)cpu->gpr[X86_RCX], cpu->gpr[X86_RDX] << 32 | (uint32_t)cpu->gpr[X86_RAX]))
		soft_gp(cpu, in, 0);
	return end_here(cpu, in);
}

static void need_tsc(struct soft_cpu *cpu, const struct insn *in)
{
	if (cpu->cr4 & X86_CR4_TSD && cpu->cpl)
		soft_gp(cpu, in, 0);
}

static OP(op_rdtsc)
{
	need_tsc(cpu, in);
	set_edx_eax(cpu, soft_tsc(cpu));
	return NEXT(cpu, in);
}

static OP(op_rdtscp)
{
	need_tsc(cpu, in);
	set_edx_eax(cpu, soft_tsc(cpu));
	cpu->gpr[X86_RCX] = (uint32_t)cpu->store->tsc_aux;
	return NEXT(cpu, in);
}

static OP(op_rdpid)
{
	REG64(cpu, in->r1) = (uint32_t)cpu->store->tsc_aux;
	return NEXT(cpu, in);
}

/* No performance counter exists, so every index is invalid. */
static OP(op_rdpmc)
{
	soft_gp(cpu, in, 0);
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

static bool query(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint32_t types, uint64_t *raw, struct x86_segment *seg)
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
	uint64_t addr = 0;
	bool raise_rpl;

	if (!soft_is_protected(cpu))
		soft_ud(cpu, in);
	if (!in->aux) {
		addr = soft_ea(cpu, in, 2, ACCESS_WRITE);
		soft_probe_write(cpu, in, addr, 2);
	}
	dest = in->aux ? REG16(cpu, in->r1) : soft_load16(cpu, in, addr);
	raise_rpl = SEL_RPL(dest) < SEL_RPL(source);
	dest = (uint16_t)((dest & 0xfffcu) | SEL_RPL(source));
	if (raise_rpl && in->aux)
		REG16(cpu, in->r1) = dest;
	else if (raise_rpl)
		soft_store16(cpu, in, addr, dest);
	set_zf(cpu, raise_rpl);
	return NEXT(cpu, in);
}

/* ---- caches, waiting ---- */

static OP(op_wbinvd)
{
	soft_need_cpl0(cpu, in);
	return NEXT(cpu, in);
}

/* CLFLUSH and its kind fault like a load of one byte; guest memory is coherent anyway. */
static OP(op_clflush)
{
	soft_ptr(cpu, in, soft_ea(cpu, in, 1, ACCESS_READ), 1, ACCESS_READ);
	return NEXT(cpu, in);
}

static OP(op_mfence)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return NEXT(cpu, in);
}

/* Spinning on another vCPU: let the run loop look around. */
static OP(op_pause)
{
	if (cpu->vm->n_vcpus == 1)
		return NEXT(cpu, in);
	__builtin_ia32_pause();
	return end_here(cpu, in);
}

static OP(op_serialize)
{
	return end_here(cpu, in);
}

static OP(op_hlt)
{
	soft_need_cpl0(cpu, in);
	cpu->halted = true;
	return end_here(cpu, in);
}

/* ---- decoding ---- */

static bool is_register(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER;
}

/* -1 when the operand is no segment register. Zydis numbers them as the architecture does. */
static int segment_number(const ZydisDecodedOperand *op)
{
	return is_register(op) && ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_SEGMENT ? ZydisRegisterGetId(op->reg.value) : -1;
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

static op_fn decode_segments(struct decoder *d, struct insn *in)
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
	default:
		return NULL;
	}
}

static op_fn flags_op(struct decoder *d, struct insn *in, op_fn general, op_fn fast)
{
	in->aux = d->zi.operand_width / 8;
	in->seg = X86_SS;
	return d->mode == MODE_64 && in->aux == 8 ? fast : general;
}

static op_fn ends(struct decoder *d, op_fn fn)
{
	d->end = true;
	return fn;
}

static op_fn set_ac(struct insn *in, bool on)
{
	in->aux32 = on;
	return op_set_ac;
}

static op_fn decode_flags(struct decoder *d, struct insn *in)
{
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_CLI:
		return op_cli;
	case ZYDIS_MNEMONIC_STI:
		return ends(d, op_sti);
	case ZYDIS_MNEMONIC_CLAC:
		return set_ac(in, false);
	case ZYDIS_MNEMONIC_STAC:
		return set_ac(in, true);
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ:
		return flags_op(d, in, op_pushf, op_pushf64);
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
		return flags_op(d, in, op_popf, op_popf64);
	default:
		return NULL;
	}
}

static op_fn query_op(const struct decoder *d, struct insn *in, unsigned source, op_fn fn)
{
	in->aux = is_register(&d->op[source]);
	in->aux32 = d->zi.operand_width / 8;
	return fn;
}

static op_fn decode_queries(struct decoder *d, struct insn *in)
{
	switch (d->zi.mnemonic) {
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
	case ZYDIS_MNEMONIC_CPUID:
		return op_cpuid;
	case ZYDIS_MNEMONIC_RDMSR:
		return op_rdmsr;
	case ZYDIS_MNEMONIC_WRMSR:
		return ends(d, op_wrmsr);
	case ZYDIS_MNEMONIC_RDTSC:
		return op_rdtsc;
	case ZYDIS_MNEMONIC_RDTSCP:
		return op_rdtscp;
	case ZYDIS_MNEMONIC_RDPID:
		return op_rdpid;
	case ZYDIS_MNEMONIC_RDPMC:
		return op_rdpmc;
	default:
		return NULL;
	}
}

static op_fn decode_waiting(struct decoder *d)
{
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_HLT:
		return ends(d, op_hlt);
	case ZYDIS_MNEMONIC_PAUSE:
		return d->cpu->vm->n_vcpus > 1 ? ends(d, op_pause) : op_pause;
	case ZYDIS_MNEMONIC_SERIALIZE:
		return ends(d, op_serialize);
	case ZYDIS_MNEMONIC_WBINVD:
	case ZYDIS_MNEMONIC_INVD:
		return op_wbinvd;
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
		return op_clflush;
	case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_SFENCE:
		return op_mfence;
	default:
		return NULL;
	}
}

/* Nothing to do: caches are the host's, and its loads and stores keep the order the guest's would. */
static bool is_hint(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_CLDEMOTE:
	case ZYDIS_MNEMONIC_PREFETCH:
	case ZYDIS_MNEMONIC_PREFETCHNTA:
	case ZYDIS_MNEMONIC_PREFETCHT0:
	case ZYDIS_MNEMONIC_PREFETCHT1:
	case ZYDIS_MNEMONIC_PREFETCHT2:
	case ZYDIS_MNEMONIC_PREFETCHW:
	case ZYDIS_MNEMONIC_PREFETCHWT1:
	case ZYDIS_MNEMONIC_LFENCE:
		return true;
	default:
		return false;
	}
}

/* Undefined by definition, or not offered. */
static bool is_undefined(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_MONITOR:
	case ZYDIS_MNEMONIC_MWAIT:
	case ZYDIS_MNEMONIC_RSM:
		return true;
	default:
		return false;
	}
}

op_fn decode_system(struct decoder *d, struct insn *in)
{
	op_fn fn = decode_far(d, in);

	if (!fn)
		fn = decode_control(d, in);
	if (!fn)
		fn = decode_segments(d, in);
	if (!fn)
		fn = decode_flags(d, in);
	if (!fn)
		fn = decode_queries(d, in);
	if (!fn)
		fn = decode_waiting(d);
	if (!fn && is_hint(d->zi.mnemonic))
		fn = op_nop;
	if (!fn && is_undefined(d->zi.mnemonic))
		fn = op_ud;
	return fn;
}
