/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Near control flow and the stack: JMP, Jcc, CALL, RET, LOOP, PUSH, POP, LEAVE. */
#include "vmm/cpu/op-mem.h"

/* ---- conditions: cc is in LAHF/SETO form ---- */

#define COND_O(cc) ((cc)&CC_OF)
#define COND_B(cc) ((cc)&CC_CF)
#define COND_Z(cc) ((cc)&CC_ZF)
#define COND_BE(cc) ((cc) & (CC_CF | CC_ZF))
#define COND_S(cc) ((cc)&CC_SF)
#define COND_P(cc) ((cc)&CC_PF)
#define COND_L(cc) (((cc) >> 15 ^ (cc)) & 1)
#define COND_LE(cc) (COND_Z(cc) || COND_L(cc))
#define COND_NO(cc) (!COND_O(cc))
#define COND_NB(cc) (!COND_B(cc))
#define COND_NZ(cc) (!COND_Z(cc))
#define COND_NBE(cc) (!COND_BE(cc))
#define COND_NS(cc) (!COND_S(cc))
#define COND_NP(cc) (!COND_P(cc))
#define COND_NL(cc) (!COND_L(cc))
#define COND_NLE(cc) (!COND_LE(cc))

/* ---- branches ---- */

/* aux bits of direct branches: the successor lies in the block's own page, so it may be chained. */
#define LINK_FALL 1u
#define LINK_TAKEN 2u

static inline struct block *go(struct soft_cpu *cpu, const struct insn *in, unsigned slot, uint64_t rip)
{
	struct block *b = cpu->block, *next = b->chain[slot];

	cpu->rip = rip;
	if (G_LIKELY(next))
		return next;
	cpu->link = in->aux & (1u << slot) ? &b->chain[slot] : NULL;
	return NULL;
}

static inline uint64_t taken_rip(const struct soft_cpu *cpu, const struct insn *in)
{
	return cpu->block_rip + (uint64_t)(int64_t)in->imm;
}

/* Targets outside the code segment or the canonical range fault at the branch itself. */
static inline void check_target(struct soft_cpu *cpu, const struct insn *in, uint64_t rip)
{
	if (soft_is64(cpu) ? G_UNLIKELY(!soft_canonical(rip)) : G_UNLIKELY(rip > cpu->seg[X86_CS].limit))
		soft_gp(cpu, in, 0);
}

/* 16-bit operand size truncates the new IP, in 32- and 64-bit code too. */
static inline uint64_t narrow_rip(const struct soft_cpu *cpu, const struct insn *in, uint64_t rip)
{
	if (in->flags & INSN_OP16)
		return (uint16_t)rip;
	return soft_is64(cpu) ? rip : (uint32_t)rip;
}

static OP(op_jmp64)
{
	return go(cpu, in, 1, taken_rip(cpu, in));
}

static OP(op_jmp)
{
	uint64_t rip = narrow_rip(cpu, in, taken_rip(cpu, in));

	check_target(cpu, in, rip);
	return go(cpu, in, 1, rip);
}

#define JCC(cond) \
	static OP(op_j64_##cond) \
	{ \
		if (COND_##cond(cpu->cc)) \
			return go(cpu, in, 1, taken_rip(cpu, in)); \
		return go(cpu, in, 0, INSN_NEXT_RIP(cpu, in)); \
	} \
	static OP(op_j_##cond) \
	{ \
		uint64_t rip = narrow_rip(cpu, in, taken_rip(cpu, in)); \
\
		if (!(COND_##cond(cpu->cc))) \
			return go(cpu, in, 0, soft_ip_mask(cpu, INSN_NEXT_RIP(cpu, in))); \
		check_target(cpu, in, rip); \
		return go(cpu, in, 1, rip); \
	}

JCC(O)
JCC(NO)
JCC(B)
JCC(NB)
JCC(Z)
JCC(NZ)
JCC(BE)
JCC(NBE)
JCC(S)
JCC(NS)
JCC(P)
JCC(NP)
JCC(L)
JCC(NL)
JCC(LE)
JCC(NLE)

static uint64_t count_register(const struct soft_cpu *cpu, const struct insn *in)
{
	uint64_t rcx = cpu->gpr[X86_RCX];

	return in->flags & INSN_EA16 ? (uint16_t)rcx : in->flags & INSN_EA32 ? (uint32_t)rcx : rcx;
}

static void set_count_register(struct soft_cpu *cpu, const struct insn *in, uint64_t val)
{
	if (in->flags & INSN_EA16)
		REG16(cpu, X86_RCX * 8) = (uint16_t)val;
	else
		cpu->gpr[X86_RCX] = in->flags & INSN_EA32 ? (uint32_t)val : val;
}

static struct block *branch_if(struct soft_cpu *cpu, const struct insn *in, bool taken)
{
	uint64_t rip = narrow_rip(cpu, in, taken_rip(cpu, in));

	if (!taken)
		return go(cpu, in, 0, soft_ip_mask(cpu, INSN_NEXT_RIP(cpu, in)));
	check_target(cpu, in, rip);
	return go(cpu, in, 1, rip);
}

static OP(op_jcxz)
{
	return branch_if(cpu, in, count_register(cpu, in) == 0);
}

/* aux32: 0 LOOP, 1 LOOPE, 2 LOOPNE */
static OP(op_loop)
{
	uint64_t count = count_register(cpu, in) - 1;
	bool more;

	set_count_register(cpu, in, count);
	count = count_register(cpu, in);
	more = count && (in->aux32 == 0 || (in->aux32 == 1) == !!(cpu->cc & CC_ZF));
	return branch_if(cpu, in, more);
}

/* ---- stack, 64-bit code with 64-bit operands: the case that matters ---- */

/* The common stack operations in two halves as in op-mem.h: quick when the stack page is in the TLB. */
static inline u64_alias *quick_push(struct soft_cpu *cpu)
{
	uint64_t rsp = cpu->gpr[X86_RSP] - 8;
	const struct tlb_entry *e = soft_tlb(cpu, rsp);

	return G_LIKELY(e->wtag == ((rsp + 7) & PAGE_MASK)) ? (u64_alias *)(rsp + e->addend) : NULL;
}

static inline const u64_alias *quick_pop(struct soft_cpu *cpu)
{
	uint64_t rsp = cpu->gpr[X86_RSP];
	const struct tlb_entry *e = soft_tlb(cpu, rsp);

	return G_LIKELY(e->rtag == ((rsp + 7) & PAGE_MASK)) ? (const u64_alias *)(rsp + e->addend) : NULL;
}

/* What is not canonical on the stack is #SS, whatever segment another operand of the instruction has. */
static inline uint64_t stack_address(struct soft_cpu *cpu, const struct insn *in, uint64_t rsp)
{
	if (G_UNLIKELY(!soft_canonical(rsp)))
		soft_fault(cpu, in, X86_EXC_SS, 0);
	return rsp;
}

/* value is pushed, then the op ends with `after`. */
#define OP_PUSH64(name, value, after) \
	OP_SLOW(name) \
	{ \
		uint64_t val = (value), rsp = cpu->gpr[X86_RSP] - 8; \
\
		soft_store64(cpu, in, stack_address(cpu, in, rsp), val); \
		cpu->gpr[X86_RSP] = rsp; \
		return after; \
	} \
	static OP(name) \
	{ \
		u64_alias *p = quick_push(cpu); \
\
		if (G_UNLIKELY(!p)) \
			return name##_slow(cpu, in); \
		*(volatile u64_alias *)p = (value); \
		cpu->gpr[X86_RSP] -= 8; \
		return after; \
	}

OP_PUSH64(op_push64_r, REG64(cpu, in->r1), NEXT(cpu, in))
OP_PUSH64(op_push64_i, (uint64_t)(int64_t)in->imm, NEXT(cpu, in))
OP_PUSH64(op_call64, INSN_NEXT_RIP(cpu, in), go(cpu, in, 1, taken_rip(cpu, in)))

static OP(op_push64_m)
{
	uint64_t val = soft_load64(cpu, in, soft_ea(cpu, in, 8, ACCESS_READ)), rsp = cpu->gpr[X86_RSP] - 8;

	soft_store64(cpu, in, stack_address(cpu, in, rsp), val);
	cpu->gpr[X86_RSP] = rsp;
	return NEXT(cpu, in);
}

OP_SLOW(op_pop64_r)
{
	uint64_t val = soft_load64(cpu, in, stack_address(cpu, in, cpu->gpr[X86_RSP]));

	cpu->gpr[X86_RSP] += 8;
	REG64(cpu, in->r1) = val;
	return NEXT(cpu, in);
}

static OP(op_pop64_r)
{
	const u64_alias *p = quick_pop(cpu);

	if (G_UNLIKELY(!p))
		return op_pop64_r_slow(cpu, in);
	cpu->gpr[X86_RSP] += 8;
	REG64(cpu, in->r1) = *(const volatile u64_alias *)p;
	return NEXT(cpu, in);
}

static struct block *call64_to(struct soft_cpu *cpu, const struct insn *in, uint64_t rip)
{
	uint64_t rsp = cpu->gpr[X86_RSP] - 8;

	/* The push comes first, as can be seen below RSP when the target is bad. */
	soft_store64(cpu, in, stack_address(cpu, in, rsp), INSN_NEXT_RIP(cpu, in));
	check_target(cpu, in, rip);
	cpu->gpr[X86_RSP] = rsp;
	return soft_end(cpu, in, rip);
}

static OP(op_call64_r)
{
	return call64_to(cpu, in, REG64(cpu, in->r1));
}

static OP(op_call64_m)
{
	return call64_to(cpu, in, soft_load64(cpu, in, soft_ea(cpu, in, 8, ACCESS_READ)));
}

static OP(op_jmp64_r)
{
	uint64_t rip = REG64(cpu, in->r1);

	check_target(cpu, in, rip);
	return soft_end(cpu, in, rip);
}

static OP(op_jmp64_m)
{
	uint64_t rip = soft_load64(cpu, in, soft_ea(cpu, in, 8, ACCESS_READ));

	check_target(cpu, in, rip);
	return soft_end(cpu, in, rip);
}

OP_SLOW(op_ret64)
{
	uint64_t rip = soft_load64(cpu, in, stack_address(cpu, in, cpu->gpr[X86_RSP]));

	check_target(cpu, in, rip);
	cpu->gpr[X86_RSP] += 8 + (uint32_t)in->imm;
	return soft_end(cpu, in, rip);
}

static OP(op_ret64)
{
	const u64_alias *p = quick_pop(cpu);
	uint64_t rip;

	if (G_UNLIKELY(!p))
		return op_ret64_slow(cpu, in);
	rip = *(const volatile u64_alias *)p;
	if (G_UNLIKELY(!soft_canonical(rip)))
		return op_ret64_slow(cpu, in);
	cpu->gpr[X86_RSP] += 8 + (uint32_t)in->imm;
	return soft_end(cpu, in, rip);
}

static OP(op_leave64)
{
	uint64_t rbp = cpu->gpr[X86_RBP], val = soft_load64(cpu, in, stack_address(cpu, in, rbp));

	cpu->gpr[X86_RSP] = rbp + 8;
	cpu->gpr[X86_RBP] = val;
	return NEXT(cpu, in);
}

/* ---- stack, every other combination of stack width and operand size ---- */

static unsigned operand_size(const struct insn *in)
{
	return in->flags & INSN_OP16 ? 2 : in->flags & INSN_OP64 ? 8 : 4;
}

static uint64_t stack_mask(const struct soft_cpu *cpu)
{
	unsigned size = soft_stack_size(cpu);

	return size == 8 ? UINT64_MAX : size == 4 ? UINT32_MAX : UINT16_MAX;
}

static void set_rsp(struct soft_cpu *cpu, uint64_t val)
{
	if (soft_stack_size(cpu) == 2)
		REG16(cpu, X86_RSP * 8) = (uint16_t)val;
	else
		cpu->gpr[X86_RSP] = val & stack_mask(cpu);
}

static void push(struct soft_cpu *cpu, const struct insn *in, uint64_t val, unsigned size)
{
	uint64_t rsp = (cpu->gpr[X86_RSP] - size) & stack_mask(cpu);
	uint64_t addr = soft_linear(cpu, in, X86_SS, rsp, size, ACCESS_WRITE);

	switch (size) {
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
	set_rsp(cpu, rsp);
}

static uint64_t load_size(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size)
{
	return size == 2 ? soft_load16(cpu, in, addr) :
	       size == 4 ? soft_load32(cpu, in, addr) :
			   soft_load64(cpu, in, addr);
}

/* Value at SS:offset, offset masked to the stack width. */
static uint64_t peek(struct soft_cpu *cpu, const struct insn *in, uint64_t offset, unsigned size)
{
	offset &= stack_mask(cpu);
	return load_size(cpu, in, soft_linear(cpu, in, X86_SS, offset, size, ACCESS_READ), size);
}

static uint64_t read_reg(struct soft_cpu *cpu, unsigned off, unsigned size)
{
	return size == 2 ? REG16(cpu, off) : size == 4 ? REG32(cpu, off) : REG64(cpu, off);
}

static void write_reg(struct soft_cpu *cpu, unsigned off, unsigned size, uint64_t val)
{
	if (size == 2)
		REG16(cpu, off) = (uint16_t)val;
	else
		REG64(cpu, off) = size == 4 ? (uint32_t)val : val;
}

static OP(op_push_r)
{
	push(cpu, in, read_reg(cpu, in->r1, operand_size(in)), operand_size(in));
	return NEXT(cpu, in);
}

static OP(op_push_i)
{
	push(cpu, in, (uint64_t)(int64_t)in->imm, operand_size(in));
	return NEXT(cpu, in);
}

static OP(op_push_m)
{
	unsigned size = operand_size(in);

	push(cpu, in, load_size(cpu, in, soft_ea(cpu, in, size, ACCESS_READ), size), size);
	return NEXT(cpu, in);
}

static OP(op_pop_r)
{
	unsigned size = operand_size(in);
	uint64_t val = peek(cpu, in, cpu->gpr[X86_RSP], size);

	set_rsp(cpu, cpu->gpr[X86_RSP] + size);
	write_reg(cpu, in->r1, size, val);
	return NEXT(cpu, in);
}

/* An RSP-based destination address is computed after RSP has been incremented (SDM, POP). */
static OP(op_pop_m)
{
	unsigned size = operand_size(in);
	uint64_t old = cpu->gpr[X86_RSP], val = peek(cpu, in, old, size), addr, new_rsp;

	set_rsp(cpu, old + size);
	new_rsp = cpu->gpr[X86_RSP];
	if (in->base != X86_RSP * 8) {
		cpu->gpr[X86_RSP] = old;
		addr = soft_ea(cpu, in, size, ACCESS_WRITE);
	} else {
		/* The address is taken with the new RSP, but a fault must still see the old one. */
		uint64_t offset_rsp = cpu->gpr[X86_RSP];

		if (in->flags & INSN_EA_SLOW) {
			uint64_t offset = soft_ea_offset(cpu, in);

			cpu->gpr[X86_RSP] = old;
			addr = soft_linear(cpu, in, (enum x86_seg)in->seg, offset, size, ACCESS_WRITE);
		} else {
			cpu->gpr[X86_RSP] = old;
			addr = offset_rsp + (REG64(cpu, in->index) << in->scale) + (uint64_t)(int64_t)in->disp;
		}
	}
	if (size == 2)
		soft_store16(cpu, in, addr, (uint16_t)val);
	else if (size == 4)
		soft_store32(cpu, in, addr, (uint32_t)val);
	else
		soft_store64(cpu, in, addr, val);
	cpu->gpr[X86_RSP] = new_rsp;
	return NEXT(cpu, in);
}

static OP(op_leave)
{
	unsigned size = operand_size(in);
	uint64_t rbp = cpu->gpr[X86_RBP] & stack_mask(cpu), val = peek(cpu, in, rbp, size);

	set_rsp(cpu, rbp + size);
	write_reg(cpu, X86_RBP * 8, size, val);
	return NEXT(cpu, in);
}

static OP(op_call)
{
	uint64_t rip = narrow_rip(cpu, in, taken_rip(cpu, in));

	check_target(cpu, in, rip);
	push(cpu, in, soft_ip_mask(cpu, INSN_NEXT_RIP(cpu, in)), operand_size(in));
	return go(cpu, in, 1, rip);
}

static struct block *call_to(struct soft_cpu *cpu, const struct insn *in, uint64_t rip)
{
	check_target(cpu, in, rip);
	push(cpu, in, soft_ip_mask(cpu, INSN_NEXT_RIP(cpu, in)), operand_size(in));
	return soft_end(cpu, in, rip);
}

static OP(op_call_r)
{
	return call_to(cpu, in, read_reg(cpu, in->r1, operand_size(in)));
}

static OP(op_call_m)
{
	unsigned size = operand_size(in);

	return call_to(cpu, in, load_size(cpu, in, soft_ea(cpu, in, size, ACCESS_READ), size));
}

static OP(op_jmp_r)
{
	uint64_t rip = read_reg(cpu, in->r1, operand_size(in));

	check_target(cpu, in, rip);
	return soft_end(cpu, in, rip);
}

static OP(op_jmp_m)
{
	unsigned size = operand_size(in);
	uint64_t rip = load_size(cpu, in, soft_ea(cpu, in, size, ACCESS_READ), size);

	check_target(cpu, in, rip);
	return soft_end(cpu, in, rip);
}

static OP(op_ret)
{
	unsigned size = operand_size(in);
	uint64_t rip = peek(cpu, in, cpu->gpr[X86_RSP], size);

	check_target(cpu, in, rip);
	set_rsp(cpu, cpu->gpr[X86_RSP] + size + (uint32_t)in->imm);
	return soft_end(cpu, in, rip);
}

/* ---- decoding ---- */

struct jcc_row {
	ZydisMnemonic mnemonic;
	op_fn fn64, fn;
};

static const struct jcc_row jcc_rows[] = {
	{ ZYDIS_MNEMONIC_JO, op_j64_O, op_j_O },    { ZYDIS_MNEMONIC_JNO, op_j64_NO, op_j_NO },
	{ ZYDIS_MNEMONIC_JB, op_j64_B, op_j_B },    { ZYDIS_MNEMONIC_JNB, op_j64_NB, op_j_NB },
	{ ZYDIS_MNEMONIC_JZ, op_j64_Z, op_j_Z },    { ZYDIS_MNEMONIC_JNZ, op_j64_NZ, op_j_NZ },
	{ ZYDIS_MNEMONIC_JBE, op_j64_BE, op_j_BE }, { ZYDIS_MNEMONIC_JNBE, op_j64_NBE, op_j_NBE },
	{ ZYDIS_MNEMONIC_JS, op_j64_S, op_j_S },    { ZYDIS_MNEMONIC_JNS, op_j64_NS, op_j_NS },
	{ ZYDIS_MNEMONIC_JP, op_j64_P, op_j_P },    { ZYDIS_MNEMONIC_JNP, op_j64_NP, op_j_NP },
	{ ZYDIS_MNEMONIC_JL, op_j64_L, op_j_L },    { ZYDIS_MNEMONIC_JNL, op_j64_NL, op_j_NL },
	{ ZYDIS_MNEMONIC_JLE, op_j64_LE, op_j_LE }, { ZYDIS_MNEMONIC_JNLE, op_j64_NLE, op_j_NLE },
};

/*
 * A relative branch: target and, for both successors, whether they start in the block's page. d->page_off is the block
 * start's offset in its page.
 */
static op_fn direct(struct decoder *d, struct insn *in, op_fn fn)
{
	int64_t rel = d->op[0].imm.value.s, target = (int64_t)in->off + in->len + rel;
	int64_t fall = (int64_t)in->off + in->len;

	d->end = true;
	in->imm = (int32_t)target;
	in->aux = 0;
	if (d->page_off + target >= 0 && d->page_off + target < (int64_t)MEMORY_PAGE_SIZE && !(in->flags & INSN_OP16) &&
	    d->mode != MODE_16)
		in->aux |= LINK_TAKEN;
	if (d->page_off + fall < (int64_t)MEMORY_PAGE_SIZE)
		in->aux |= LINK_FALL;
	return fn;
}

static bool plain64(const struct decoder *d, const struct insn *in)
{
	return d->mode == MODE_64 && in->flags & INSN_OP64;
}

static op_fn pick(const struct decoder *d, op_fn reg, op_fn mem, op_fn imm)
{
	switch (d->op[0].type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return reg;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return mem;
	default:
		return imm;
	}
}

static op_fn decode_call(struct decoder *d, struct insn *in)
{
	bool fast = plain64(d, in);

	if (d->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return decode_system(d, in);
	d->end = true;
	if (d->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return direct(d, in, fast ? op_call64 : op_call);
	return fast ? pick(d, op_call64_r, op_call64_m, NULL) : pick(d, op_call_r, op_call_m, NULL);
}

static op_fn decode_jmp(struct decoder *d, struct insn *in)
{
	bool fast = plain64(d, in);

	if (d->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return decode_system(d, in);
	d->end = true;
	if (d->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return direct(d, in, fast ? op_jmp64 : op_jmp);
	return fast ? pick(d, op_jmp64_r, op_jmp64_m, NULL) : pick(d, op_jmp_r, op_jmp_m, NULL);
}

static op_fn decode_stack(struct decoder *d, struct insn *in)
{
	bool fast = plain64(d, in);

	if (d->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER && d->op[0].reg.value >= ZYDIS_REGISTER_ES &&
	    d->op[0].reg.value <= ZYDIS_REGISTER_GS)
		return decode_system(d, in);
	if (d->zi.mnemonic == ZYDIS_MNEMONIC_PUSH)
		return fast ? pick(d, op_push64_r, op_push64_m, op_push64_i) : pick(d, op_push_r, op_push_m, op_push_i);
	return fast ? pick(d, op_pop64_r, op_pop_m, NULL) : pick(d, op_pop_r, op_pop_m, NULL);
}

op_fn decode_flow(struct decoder *d, struct insn *in)
{
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_CALL:
		return decode_call(d, in);
	case ZYDIS_MNEMONIC_JMP:
		return decode_jmp(d, in);
	case ZYDIS_MNEMONIC_RET:
		if (d->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			return decode_system(d, in);
		d->end = true;
		in->imm = d->zi.operand_count_visible ? (int32_t)(d->op[0].imm.value.u & 0xffff) : 0;
		return plain64(d, in) ? op_ret64 : op_ret;
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_POP:
		return decode_stack(d, in);
	case ZYDIS_MNEMONIC_LEAVE:
		return plain64(d, in) ? op_leave64 : op_leave;
	case ZYDIS_MNEMONIC_JCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
	case ZYDIS_MNEMONIC_JRCXZ:
		return direct(d, in, op_jcxz);
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
		in->aux32 = d->zi.mnemonic == ZYDIS_MNEMONIC_LOOP ? 0 : d->zi.mnemonic == ZYDIS_MNEMONIC_LOOPE ? 1 : 2;
		return direct(d, in, op_loop);
	default:
		break;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(jcc_rows); i++) {
		if (jcc_rows[i].mnemonic == d->zi.mnemonic)
			return direct(d, in, plain64(d, in) ? jcc_rows[i].fn64 : jcc_rows[i].fn);
	}
	return NULL;
}
