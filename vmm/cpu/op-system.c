/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Privileged and system instructions that are neither far transfers (op-far.c) nor about segments (op-segment.c) or
 * control registers (op-control.c): flags, CPUID, MSRs, time stamps, caches, HLT. SDM volume 2.
 */
#include "vmm/cpu/seg.h"

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
	return soft_end_here(cpu, in);
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
	uint32_t mask = X86_FLAGS_ARITH | X86_FLAG_TF | X86_FLAG_DF | X86_FLAG_NT |
			(size > 2 ? X86_FLAG_AC | X86_FLAG_ID : 0);

	if (cpu->cpl == 0)
		mask |= X86_FLAG_IOPL;
	if (cpu->cpl <= soft_iopl(cpu))
		mask |= X86_FLAG_IF;
	return mask;
}

static struct block *set_popped_flags(struct soft_cpu *cpu, const struct insn *in, uint32_t popped, unsigned size)
{
	uint32_t mask = popf_mask(cpu, size), old = soft_get_rflags(cpu),
		 val = (old & ~mask & ~X86_FLAG_RF) | (popped & mask);
	uint32_t opened = val & ~old & X86_FLAG_IF;
	bool stepping = (val | old) & X86_FLAG_TF;

	soft_set_rflags(cpu, val);
	/* The block need only end where an interrupt or a debug trap may now be due. */
	return opened || stepping ? soft_end_here(cpu, in) : NEXT(cpu, in);
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
	stats_add(&cpu->vcpu->stats->exits[STATS_EXIT_MSR], 1);
	if (!soft_msr_read(cpu, (uint32_t)cpu->gpr[X86_RCX], &val))
		soft_gp(cpu, in, 0);
	set_edx_eax(cpu, val);
	return NEXT(cpu, in);
}

static OP(op_wrmsr)
{
	soft_need_cpl0(cpu, in);
	stats_add(&cpu->vcpu->stats->exits[STATS_EXIT_MSR], 1);
	if (!soft_msr_write(cpu, (uint32_t)cpu->gpr[X86_RCX], cpu->gpr[X86_RDX] << 32 | (uint32_t)cpu->gpr[X86_RAX]))
		soft_gp(cpu, in, 0);
	return soft_end_here(cpu, in);
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
	return soft_end_here(cpu, in);
}

static OP(op_serialize)
{
	return soft_end_here(cpu, in);
}

static OP(op_hlt)
{
	soft_need_cpl0(cpu, in);
	cpu->halted = true;
	return soft_end_here(cpu, in);
}

/* ---- decoding ---- */

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

static op_fn decode_machine(struct decoder *d)
{
	switch (d->zi.mnemonic) {
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
		fn = decode_segment(d, in);
	if (!fn)
		fn = decode_flags(d, in);
	if (!fn)
		fn = decode_machine(d);
	if (!fn)
		fn = decode_waiting(d);
	if (!fn && is_hint(d->zi.mnemonic))
		fn = op_nop;
	if (!fn && is_undefined(d->zi.mnemonic))
		fn = op_ud;
	return fn;
}
