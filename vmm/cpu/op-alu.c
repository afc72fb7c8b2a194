/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves and integer arithmetic: the bulk of what a guest runs. The host executes the same operation on the operands and
 * LAHF/SETO catch its flags, so defined and undefined flag bits alike are what this processor gives.
 *
 * Names: op_ADD_rm32 is ADD r32, m32; r register, m memory, i immediate. Memory destinations are updated in place
 * through a host pointer, with the host's LOCK when the guest's instruction has it (op-mem.h).
 */
#include "vmm/cpu/op-mem.h"

#define SFX8 "b"
#define SFX16 "w"
#define SFX32 "l"
#define SFX64 "q"

#define GET(bits, off) ((T##bits)REG##bits(cpu, off))
#define PUT8(off, val) (REG8(cpu, off) = (val))
#define PUT16(off, val) (REG16(cpu, off) = (val))
#define PUT32(off, val) SETREG32(cpu, off, val)
#define PUT64(off, val) (REG64(cpu, off) = (val))

#define EACH_SIZE(X, ...) X(__VA_ARGS__, 8) X(__VA_ARGS__, 16) X(__VA_ARGS__, 32) X(__VA_ARGS__, 64)
#define SIZES(op) \
	{ \
		op##8, op##16, op##32, op##64 \
	}

/* ---- two operands: ADD OR AND SUB XOR ADC SBB CMP TEST ---- */

/* setup: instructions that put the incoming carry where the operation wants it. */
#define BINARY_PRIMITIVE(name, mnemonic, setup, bits) \
	static inline T##bits do_##name##bits(T##bits a, T##bits b, uint32_t *cc) \
	{ \
		uint32_t ax; \
\
		__asm__(setup mnemonic SFX##bits " %[b], %[a]\n\tlahf\n\tseto %%al" \
			: [a] "+q"(a), "=&a"(ax) \
			: [b] "q"(b), [cc] "r"(*cc) \
			: "cc"); \
		*cc = ax; \
		return a; \
	} \
	static inline void do_##name##_mem##bits(M##bits *p, T##bits b, uint32_t *cc) \
	{ \
		uint32_t ax; \
\
		__asm__ volatile(setup mnemonic SFX##bits " %[b], %[p]\n\tlahf\n\tseto %%al" \
				 : [p] "+m"(*p), "=&a"(ax) \
				 : [b] "q"(b), [cc] "r"(*cc) \
				 : "cc", "memory"); \
		*cc = ax; \
	} \
	static inline void do_##name##_lock##bits(M##bits *p, T##bits b, uint32_t *cc) \
	{ \
		uint32_t ax; \
\
		__asm__ volatile(setup "lock " mnemonic SFX##bits " %[b], %[p]\n\tlahf\n\tseto %%al" \
				 : [p] "+m"(*p), "=&a"(ax) \
				 : [b] "q"(b), [cc] "r"(*cc) \
				 : "cc", "memory"); \
		*cc = ax; \
	}

#define BINARY_REG(name, bits) \
	static OP(op_##name##_rr##bits) \
	{ \
		uint32_t cc = cpu->cc; \
\
		PUT##bits(in->r1, do_##name##bits(GET(bits, in->r1), GET(bits, in->r2), &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_ri##bits) \
	{ \
		uint32_t cc = cpu->cc; \
\
		PUT##bits(in->r1, do_##name##bits(GET(bits, in->r1), (T##bits)(int64_t)in->imm, &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	OP_LOAD(op_##name##_rm##bits, bits, uint32_t cc = cpu->cc; \
		PUT##bits(in->r1, do_##name##bits(GET(bits, in->r1), val, &cc)); cpu->cc = cc)

#define BINARY_MEM_FORM(name, form, bits, operand) \
	OP_UPDATE(op_##name##_##form##bits, bits, uint32_t cc = cpu->cc; T##bits b = (T##bits)(operand); \
		  if (G_UNLIKELY(in->flags & INSN_LOCK)) do_##name##_lock##bits(p, b, &cc); \
		  else do_##name##_mem##bits(p, b, &cc); cpu->cc = cc)

#define BINARY(name, mnemonic, setup, bits) \
	BINARY_PRIMITIVE(name, mnemonic, setup, bits) \
	BINARY_REG(name, bits) \
	BINARY_MEM_FORM(name, mr, bits, GET(bits, in->r1)) \
	BINARY_MEM_FORM(name, mi, bits, (int64_t)in->imm)

#define NO_SETUP ""
#define CARRY_IN "btl $8, %k[cc]\n\t"

EACH_SIZE(BINARY, ADD, "add", NO_SETUP)
EACH_SIZE(BINARY, OR, "or", NO_SETUP)
EACH_SIZE(BINARY, AND, "and", NO_SETUP)
EACH_SIZE(BINARY, SUB, "sub", NO_SETUP)
EACH_SIZE(BINARY, XOR, "xor", NO_SETUP)
EACH_SIZE(BINARY, ADC, "adc", CARRY_IN)
EACH_SIZE(BINARY, SBB, "sbb", CARRY_IN)

#define COMPARE(name, mnemonic, bits) \
	static inline uint32_t do_##name##bits(T##bits a, T##bits b) \
	{ \
		uint32_t ax; \
\
		__asm__(mnemonic SFX##bits " %[b], %[a]\n\tlahf\n\tseto %%al" \
			: "=&a"(ax) \
			: [a] "q"(a), [b] "q"(b) \
			: "cc"); \
		return ax; \
	} \
	static OP(op_##name##_rr##bits) \
	{ \
		cpu->cc = do_##name##bits(GET(bits, in->r1), GET(bits, in->r2)); \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_ri##bits) \
	{ \
		cpu->cc = do_##name##bits(GET(bits, in->r1), (T##bits)(int64_t)in->imm); \
		return NEXT(cpu, in); \
	} \
	OP_LOAD(op_##name##_rm##bits, bits, cpu->cc = do_##name##bits(GET(bits, in->r1), val)) \
	OP_LOAD(op_##name##_mr##bits, bits, cpu->cc = do_##name##bits(val, GET(bits, in->r1))) \
	OP_LOAD(op_##name##_mi##bits, bits, cpu->cc = do_##name##bits(val, (T##bits)(int64_t)in->imm))

EACH_SIZE(COMPARE, CMP, "cmp")
EACH_SIZE(COMPARE, TEST, "test")

/* ---- one operand: INC DEC (carry kept) NEG NOT (no flags) ---- */

/* LAHF/SETO of the old flags go in first, so that untouched ones come out again. */
#define KEEP_FLAGS "addb $0x7f, %%al\n\tsahf\n\t"

#define UNARY(name, mnemonic, bits) \
	static inline T##bits do_##name##bits(T##bits a, uint32_t *cc) \
	{ \
		uint32_t ax = *cc; \
\
		__asm__(KEEP_FLAGS mnemonic SFX##bits " %[a]\n\tlahf\n\tseto %%al" : [a] "+q"(a), "+&a"(ax) : : "cc"); \
		*cc = ax; \
		return a; \
	} \
	static inline void do_##name##_mem##bits(M##bits *p, bool lock, uint32_t *cc) \
	{ \
		uint32_t ax = *cc; \
\
		if (lock) \
			__asm__ volatile(KEEP_FLAGS "lock " mnemonic SFX##bits " %[p]\n\tlahf\n\tseto %%al" \
					 : [p] "+m"(*p), "+&a"(ax) \
					 : \
					 : "cc", "memory"); \
		else \
			__asm__ volatile(KEEP_FLAGS mnemonic SFX##bits " %[p]\n\tlahf\n\tseto %%al" \
					 : [p] "+m"(*p), "+&a"(ax) \
					 : \
					 : "cc", "memory"); \
		*cc = ax; \
	} \
	static OP(op_##name##_r##bits) \
	{ \
		uint32_t cc = cpu->cc; \
\
		PUT##bits(in->r1, do_##name##bits(GET(bits, in->r1), &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	OP_UPDATE(op_##name##_m##bits, bits, uint32_t cc = cpu->cc; \
		  do_##name##_mem##bits(p, in->flags & INSN_LOCK, &cc); cpu->cc = cc)

EACH_SIZE(UNARY, INC, "inc")
EACH_SIZE(UNARY, DEC, "dec")
EACH_SIZE(UNARY, NEG, "neg")
EACH_SIZE(UNARY, NOT, "not")

/* ---- shifts and rotates by immediate or CL; a masked count of 0 leaves the flags alone ---- */

#define SHIFT(name, mnemonic, bits) \
	static inline T##bits do_##name##bits(T##bits a, uint8_t count, uint32_t *cc) \
	{ \
		uint32_t ax = *cc; \
\
		__asm__(KEEP_FLAGS mnemonic SFX##bits " %%cl, %[a]\n\tlahf\n\tseto %%al" \
			: [a] "+q"(a), "+&a"(ax) \
			: "c"(count) \
			: "cc"); \
		*cc = ax; \
		return a; \
	} \
	static OP(op_##name##_ri##bits) \
	{ \
		uint32_t cc = cpu->cc; \
\
		PUT##bits(in->r1, do_##name##bits(GET(bits, in->r1), (uint8_t)in->imm, &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_rc##bits) \
	{ \
		uint32_t cc = cpu->cc; \
\
		PUT##bits(in->r1, do_##name##bits(GET(bits, in->r1), REG8(cpu, X86_RCX * 8), &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	OP_UPDATE(op_##name##_mi##bits, bits, uint32_t cc = cpu->cc; \
		  *(volatile M##bits *)p = do_##name##bits(*(volatile M##bits *)p, (uint8_t)in->imm, &cc); \
		  cpu->cc = cc) \
	OP_UPDATE(op_##name##_mc##bits, bits, uint32_t cc = cpu->cc; \
		  *(volatile M##bits *)p = do_##name##bits(*(volatile M##bits *)p, REG8(cpu, X86_RCX * 8), &cc); \
		  cpu->cc = cc)

EACH_SIZE(SHIFT, SHL, "shl")
EACH_SIZE(SHIFT, SHR, "shr")
EACH_SIZE(SHIFT, SAR, "sar")
EACH_SIZE(SHIFT, ROL, "rol")
EACH_SIZE(SHIFT, ROR, "ror")

/* ---- IMUL with two or three operands (one operand: op-legacy.c) ---- */

#define IMUL(name, bits) \
	static inline T##bits do_IMUL##bits(T##bits a, T##bits b, uint32_t *cc) \
	{ \
		uint32_t ax = *cc; \
\
		__asm__(KEEP_FLAGS "imul" SFX##bits " %[b], %[a]\n\tlahf\n\tseto %%al" \
			: [a] "+r"(a), "+&a"(ax) \
			: [b] "r"(b) \
			: "cc"); \
		*cc = ax; \
		return a; \
	} \
	static OP(op_IMUL_rr##bits) \
	{ \
		uint32_t cc = cpu->cc; \
\
		PUT##bits(in->r1, do_IMUL##bits(GET(bits, in->r1), GET(bits, in->r2), &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	OP_LOAD(op_IMUL_rm##bits, bits, uint32_t cc = cpu->cc; \
		PUT##bits(in->r1, do_IMUL##bits(GET(bits, in->r1), val, &cc)); cpu->cc = cc) \
	static OP(op_IMUL_rri##bits) \
	{ \
		uint32_t cc = cpu->cc; \
\
		PUT##bits(in->r1, do_IMUL##bits(GET(bits, in->r2), (T##bits)(int64_t)in->imm, &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	OP_LOAD(op_IMUL_rmi##bits, bits, uint32_t cc = cpu->cc; \
		PUT##bits(in->r1, do_IMUL##bits(val, (T##bits)(int64_t)in->imm, &cc)); cpu->cc = cc)

IMUL(, 16)
IMUL(, 32)
IMUL(, 64)

/* ---- moves ---- */

#define MOVES(name, bits) \
	static OP(op_MOV_rr##bits) \
	{ \
		PUT##bits(in->r1, GET(bits, in->r2)); \
		return NEXT(cpu, in); \
	} \
	static OP(op_MOV_ri##bits) \
	{ \
		PUT##bits(in->r1, (T##bits)(int64_t)in->imm); \
		return NEXT(cpu, in); \
	} \
	OP_LOAD(op_MOV_rm##bits, bits, PUT##bits(in->r1, val)) \
	OP_STORE(op_MOV_mr##bits, bits, GET(bits, in->r1)) \
	OP_STORE(op_MOV_mi##bits, bits, (int64_t)in->imm) \
	/* accumulator <-> [64-bit absolute address] in imm64 */ \
	static OP(op_MOV_load_abs##bits) \
	{ \
		uint64_t base = in->seg >= X86_FS ? cpu->seg[in->seg].base : 0; \
\
		PUT##bits(X86_RAX * 8, soft_load##bits(cpu, in, base + in->imm64)); \
		return NEXT(cpu, in); \
	} \
	static OP(op_MOV_store_abs##bits) \
	{ \
		uint64_t base = in->seg >= X86_FS ? cpu->seg[in->seg].base : 0; \
\
		soft_store##bits(cpu, in, base + in->imm64, GET(bits, X86_RAX * 8)); \
		return NEXT(cpu, in); \
	}

EACH_SIZE(MOVES, MOV)

static OP(op_MOV_r_imm64)
{
	REG64(cpu, in->r1) = in->imm64;
	return NEXT(cpu, in);
}

#define EXTEND(name, to, from, stype) \
	static OP(op_##name##_rr##to##_##from) \
	{ \
		PUT##to(in->r1, (T##to)(stype)GET(from, in->r2)); \
		return NEXT(cpu, in); \
	} \
	OP_LOAD(op_##name##_rm##to##_##from, from, PUT##to(in->r1, (T##to)(stype)val))

EXTEND(MOVZX, 16, 8, uint8_t)
EXTEND(MOVZX, 32, 8, uint8_t)
EXTEND(MOVZX, 64, 8, uint8_t)
EXTEND(MOVZX, 16, 16, uint16_t)
EXTEND(MOVZX, 32, 16, uint16_t)
EXTEND(MOVZX, 64, 16, uint16_t)
EXTEND(MOVSX, 16, 8, int8_t)
EXTEND(MOVSX, 32, 8, int8_t)
EXTEND(MOVSX, 64, 8, int8_t)
EXTEND(MOVSX, 16, 16, int16_t)
EXTEND(MOVSX, 32, 16, int16_t)
EXTEND(MOVSX, 64, 16, int16_t)
EXTEND(MOVSX, 16, 32, int32_t)
EXTEND(MOVSX, 32, 32, int32_t)
EXTEND(MOVSX, 64, 32, int32_t)

static OP(op_LEA16)
{
	REG16(cpu, in->r1) = (uint16_t)soft_ea_offset(cpu, in);
	return NEXT(cpu, in);
}

static OP(op_LEA32)
{
	SETREG32(cpu, in->r1, soft_ea_offset(cpu, in));
	return NEXT(cpu, in);
}

static OP(op_LEA64)
{
	REG64(cpu, in->r1) = soft_ea_offset(cpu, in);
	return NEXT(cpu, in);
}

static OP(op_LEA64_plain)
{
	REG64(cpu, in->r1) = REG64(cpu, in->base) + (REG64(cpu, in->index) << in->scale) + (uint64_t)(int64_t)in->disp;
	return NEXT(cpu, in);
}

/* ---- conditions: in->aux holds the cc bits of the test; see condition_rows ---- */

/* even tests: any bit of the mask set; L and LE also compare SF with OF. in->imm: invert. */
static inline bool condition(const struct soft_cpu *cpu, const struct insn *in)
{
	uint32_t cc = cpu->cc;
	bool hit = (cc & in->aux) || (in->aux32 & 1 && ((cc >> 15 ^ cc) & 1));

	return hit != (in->aux32 >> 1);
}

#define CMOV(bits) \
	static OP(op_CMOV_rr##bits) \
	{ \
		T##bits val = GET(bits, in->r2), old = GET(bits, in->r1); \
\
		PUT##bits(in->r1, condition(cpu, in) ? val : old); \
		return NEXT(cpu, in); \
	} \
	OP_LOAD(op_CMOV_rm##bits, bits, T##bits old = GET(bits, in->r1); \
		PUT##bits(in->r1, condition(cpu, in) ? val : old))

CMOV(16)
CMOV(32)
CMOV(64)

static OP(op_SET_r)
{
	REG8(cpu, in->r1) = condition(cpu, in);
	return NEXT(cpu, in);
}

OP_STORE(op_SET_m, 8, condition(cpu, in))

/* ---- decoding ---- */

struct binary_row {
	ZydisMnemonic mnemonic;
	op_fn rr[4], ri[4], rm[4], mr[4], mi[4];
};

#define BINARY_ROW(name) \
	{ \
		ZYDIS_MNEMONIC_##name, SIZES(op_##name##_rr), SIZES(op_##name##_ri), SIZES(op_##name##_rm), \
			SIZES(op_##name##_mr), SIZES(op_##name##_mi) \
	}

static const struct binary_row binary_rows[] = {
	BINARY_ROW(ADD), BINARY_ROW(OR),  BINARY_ROW(AND), BINARY_ROW(SUB),  BINARY_ROW(XOR),
	BINARY_ROW(ADC), BINARY_ROW(SBB), BINARY_ROW(CMP), BINARY_ROW(TEST), BINARY_ROW(MOV),
};

struct unary_row {
	ZydisMnemonic mnemonic;
	op_fn r[4], m[4];
};

static const struct unary_row unary_rows[] = {
	{ ZYDIS_MNEMONIC_INC, SIZES(op_INC_r), SIZES(op_INC_m) },
	{ ZYDIS_MNEMONIC_DEC, SIZES(op_DEC_r), SIZES(op_DEC_m) },
	{ ZYDIS_MNEMONIC_NEG, SIZES(op_NEG_r), SIZES(op_NEG_m) },
	{ ZYDIS_MNEMONIC_NOT, SIZES(op_NOT_r), SIZES(op_NOT_m) },
};

struct shift_row {
	ZydisMnemonic mnemonic;
	op_fn ri[4], rc[4], mi[4], mc[4];
};

#define SHIFT_ROW(name) \
	{ \
		ZYDIS_MNEMONIC_##name, SIZES(op_##name##_ri), SIZES(op_##name##_rc), SIZES(op_##name##_mi), \
			SIZES(op_##name##_mc) \
	}

static const struct shift_row shift_rows[] = { SHIFT_ROW(SHL), SHIFT_ROW(SHR), SHIFT_ROW(SAR), SHIFT_ROW(ROL),
					       SHIFT_ROW(ROR) };

struct condition_row {
	ZydisMnemonic cmov, set;
	uint16_t mask;
	uint8_t how; /* bit 0: also SF != OF; bit 1: inverted */
};

static const struct condition_row condition_rows[] = {
	{ ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_SETO, CC_OF, 0 },
	{ ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_SETNO, CC_OF, 2 },
	{ ZYDIS_MNEMONIC_CMOVB, ZYDIS_MNEMONIC_SETB, CC_CF, 0 },
	{ ZYDIS_MNEMONIC_CMOVNB, ZYDIS_MNEMONIC_SETNB, CC_CF, 2 },
	{ ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_SETZ, CC_ZF, 0 },
	{ ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_SETNZ, CC_ZF, 2 },
	{ ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_SETBE, CC_CF | CC_ZF, 0 },
	{ ZYDIS_MNEMONIC_CMOVNBE, ZYDIS_MNEMONIC_SETNBE, CC_CF | CC_ZF, 2 },
	{ ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_SETS, CC_SF, 0 },
	{ ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_SETNS, CC_SF, 2 },
	{ ZYDIS_MNEMONIC_CMOVP, ZYDIS_MNEMONIC_SETP, CC_PF, 0 },
	{ ZYDIS_MNEMONIC_CMOVNP, ZYDIS_MNEMONIC_SETNP, CC_PF, 2 },
	{ ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_SETL, 0, 1 },
	{ ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_SETNL, 0, 3 },
	{ ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_SETLE, CC_ZF, 1 },
	{ ZYDIS_MNEMONIC_CMOVNLE, ZYDIS_MNEMONIC_SETNLE, CC_ZF, 3 },
};

static unsigned size_index(unsigned bits)
{
	return bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
}

static bool is_mem(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static bool is_imm(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

static op_fn decode_binary(struct decoder *d, const struct binary_row *row)
{
	unsigned i = size_index(d->op[0].size);

	if (is_mem(&d->op[0]))
		return is_imm(&d->op[1]) ? row->mi[i] : row->mr[i];
	return is_imm(&d->op[1]) ? row->ri[i] : is_mem(&d->op[1]) ? row->rm[i] : row->rr[i];
}

static bool absolute64(const ZydisDecodedOperand *op)
{
	return is_mem(op) && op->mem.base == ZYDIS_REGISTER_NONE && op->mem.index == ZYDIS_REGISTER_NONE &&
	       op->mem.disp.value != (int32_t)op->mem.disp.value;
}

static bool is_special(const ZydisDecodedOperand *op)
{
	ZydisRegisterClass class;

	if (op->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return false;
	class = ZydisRegisterGetClass(op->reg.value);
	return class == ZYDIS_REGCLASS_SEGMENT || class == ZYDIS_REGCLASS_CONTROL || class == ZYDIS_REGCLASS_DEBUG;
}

static op_fn decode_mov(struct decoder *d, struct insn *in, const struct binary_row *row)
{
	static const op_fn load_abs[] = SIZES(op_MOV_load_abs), store_abs[] = SIZES(op_MOV_store_abs);
	unsigned i = size_index(d->op[0].size);

	if (is_special(&d->op[0]) || is_special(&d->op[1]))
		return decode_system(d, in);
	if (absolute64(&d->op[0]) || absolute64(&d->op[1])) {
		const ZydisDecodedOperand *mem = is_mem(&d->op[0]) ? &d->op[0] : &d->op[1];

		in->imm64 = (uint64_t)mem->mem.disp.value;
		return is_mem(&d->op[0]) ? store_abs[i] : load_abs[i];
	}
	if (d->op[0].size == 64 && is_imm(&d->op[1]) && !is_mem(&d->op[0])) {
		in->imm64 = d->op[1].imm.value.u;
		return op_MOV_r_imm64;
	}
	return decode_binary(d, row);
}

static op_fn decode_imul(struct decoder *d, struct insn *in)
{
	static const op_fn rr[] = { NULL, op_IMUL_rr16, op_IMUL_rr32, op_IMUL_rr64 };
	static const op_fn rm[] = { NULL, op_IMUL_rm16, op_IMUL_rm32, op_IMUL_rm64 };
	static const op_fn rri[] = { NULL, op_IMUL_rri16, op_IMUL_rri32, op_IMUL_rri64 };
	static const op_fn rmi[] = { NULL, op_IMUL_rmi16, op_IMUL_rmi32, op_IMUL_rmi64 };
	unsigned i = size_index(d->op[0].size);

	switch (d->zi.operand_count_visible) {
	case 1:
		return decode_legacy(d, in);
	case 2:
		return is_mem(&d->op[1]) ? rm[i] : rr[i];
	default:
		return is_mem(&d->op[1]) ? rmi[i] : rri[i];
	}
}

static op_fn decode_extend(struct decoder *d)
{
	static const op_fn zx[2][3][2] = {
		{ { op_MOVZX_rr16_8, op_MOVZX_rm16_8 },
		  { op_MOVZX_rr32_8, op_MOVZX_rm32_8 },
		  { op_MOVZX_rr64_8, op_MOVZX_rm64_8 } },
		{ { op_MOVZX_rr16_16, op_MOVZX_rm16_16 },
		  { op_MOVZX_rr32_16, op_MOVZX_rm32_16 },
		  { op_MOVZX_rr64_16, op_MOVZX_rm64_16 } },
	};
	static const op_fn sx[3][3][2] = {
		{ { op_MOVSX_rr16_8, op_MOVSX_rm16_8 },
		  { op_MOVSX_rr32_8, op_MOVSX_rm32_8 },
		  { op_MOVSX_rr64_8, op_MOVSX_rm64_8 } },
		{ { op_MOVSX_rr16_16, op_MOVSX_rm16_16 },
		  { op_MOVSX_rr32_16, op_MOVSX_rm32_16 },
		  { op_MOVSX_rr64_16, op_MOVSX_rm64_16 } },
		{ { op_MOVSX_rr16_32, op_MOVSX_rm16_32 },
		  { op_MOVSX_rr32_32, op_MOVSX_rm32_32 },
		  { op_MOVSX_rr64_32, op_MOVSX_rm64_32 } },
	};
	/* MOVSXD r16, r/m16: what it does not write it does not read (SDM, MOVSXD). */
	unsigned to = size_index(d->op[0].size) - 1, from = MIN(size_index(d->op[1].size), to + 1);

	if (d->zi.mnemonic == ZYDIS_MNEMONIC_MOVZX)
		return zx[from][to][is_mem(&d->op[1])];
	return sx[from][to][is_mem(&d->op[1])];
}

static op_fn decode_shift(struct decoder *d, struct insn *in, const struct shift_row *row)
{
	unsigned i = size_index(d->op[0].size);
	bool by_cl = d->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER;

	/* The implied 1 of D0/D1 is a hidden or implicit operand. */
	if (!by_cl)
		in->imm = (int32_t)d->op[1].imm.value.u;
	if (is_mem(&d->op[0]))
		return by_cl ? row->mc[i] : row->mi[i];
	return by_cl ? row->rc[i] : row->ri[i];
}

static op_fn decode_condition(struct decoder *d, struct insn *in, const struct condition_row *row)
{
	static const op_fn rr[] = { NULL, op_CMOV_rr16, op_CMOV_rr32, op_CMOV_rr64 };
	static const op_fn rm[] = { NULL, op_CMOV_rm16, op_CMOV_rm32, op_CMOV_rm64 };
	unsigned i = size_index(d->op[0].size);

	in->aux = row->mask;
	in->aux32 = row->how;
	if (d->zi.mnemonic == row->set)
		return is_mem(&d->op[0]) ? op_SET_m : op_SET_r;
	return is_mem(&d->op[1]) ? rm[i] : rr[i];
}

static op_fn decode_lea(struct decoder *d, struct insn *in)
{
	switch (d->op[0].size) {
	case 16:
		return op_LEA16;
	case 32:
		return op_LEA32;
	default:
		return in->flags & (INSN_EA32 | INSN_EA16) ? op_LEA64 : op_LEA64_plain;
	}
}

op_fn decode_alu(struct decoder *d, struct insn *in)
{
	ZydisMnemonic m = d->zi.mnemonic;

	for (size_t i = 0; i < G_N_ELEMENTS(binary_rows); i++) {
		if (binary_rows[i].mnemonic == m)
			return m == ZYDIS_MNEMONIC_MOV ? decode_mov(d, in, &binary_rows[i]) :
							 decode_binary(d, &binary_rows[i]);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(unary_rows); i++) {
		if (unary_rows[i].mnemonic == m)
			return (is_mem(&d->op[0]) ? unary_rows[i].m : unary_rows[i].r)[size_index(d->op[0].size)];
	}
	for (size_t i = 0; i < G_N_ELEMENTS(shift_rows); i++) {
		if (shift_rows[i].mnemonic == m)
			return decode_shift(d, in, &shift_rows[i]);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(condition_rows); i++) {
		if (condition_rows[i].cmov == m || condition_rows[i].set == m)
			return decode_condition(d, in, &condition_rows[i]);
	}
	switch (m) {
	case ZYDIS_MNEMONIC_LEA:
		return decode_lea(d, in);
	case ZYDIS_MNEMONIC_IMUL:
		return decode_imul(d, in);
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return decode_extend(d);
	default: /* NOP, ENDBR */
		return op_nop;
	}
}
