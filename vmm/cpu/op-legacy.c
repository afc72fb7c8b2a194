/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Integer instructions beside the common ones of op-alu.c: one-operand multiplication and division, sign extension
 * into the accumulator, byte swaps, CRC32, random numbers, flag bits, decimal adjustment, and the stack-frame and
 * table instructions of older code. SDM volume 2.
 */
#include "vmm/cpu/op-legacy.h"

#define AL REG8(cpu, X86_RAX * 8)
#define AH REG8(cpu, X86_RAX * 8 + 1)
#define AX REG16(cpu, X86_RAX * 8)

/* ---- MUL, IMUL, DIV, IDIV ---- */

/* The host's instruction on whole RAX and RDX; for division the caller has made sure that it does not fault. */
#define ACCUMULATE(name, mnemonic, bits) \
	static void do_##name##bits(struct soft_cpu *cpu, uint64_t src) \
	{ \
		uint64_t rax = cpu->gpr[X86_RAX], rdx = cpu->gpr[X86_RDX]; \
		uint32_t ax = cpu->cc; \
 \
		__asm__(FLAGS_IN "movq %[rax], %%rax\n\t" mnemonic SFX##bits " %" MOD##bits \
			"[src]\n\tmovq %%rax, %[rax]" FLAGS_OUT \
			: "+&a"(ax), [rax] "+&r"(rax), "+&d"(rdx) \
			: [src] "r"(src) \
			: "cc"); \
		cpu->cc = ax; \
		cpu->gpr[X86_RAX] = rax; \
		cpu->gpr[X86_RDX] = rdx; \
	}

/* ok: whether the quotient exists and fits. */
#define ACCUMULATOR(name, mnemonic, ok, bits) \
	ACCUMULATE(name, mnemonic, bits) \
	static OP(op_##name##_r##bits) \
	{ \
		T##bits src = GET(bits, in->r1); \
 \
		if (!ok(cpu, bits, src)) \
			soft_fault_noerr(cpu, in, X86_EXC_DE); \
		do_##name##bits(cpu, src); \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_m##bits) \
	{ \
		T##bits src = soft_load##bits(cpu, in, soft_ea(cpu, in, bits / 8, ACCESS_READ)); \
 \
		if (!ok(cpu, bits, src)) \
			soft_fault_noerr(cpu, in, X86_EXC_DE); \
		do_##name##bits(cpu, src); \
		return NEXT(cpu, in); \
	}

static inline bool always(const struct soft_cpu *cpu, unsigned bits, uint64_t src)
{
	(void)cpu;
	(void)bits;
	(void)src;
	return true;
}

static inline uint64_t low_bits(uint64_t val, unsigned bits)
{
	return val & (UINT64_MAX >> (64 - bits));
}

static inline bool div_fits(const struct soft_cpu *cpu, unsigned bits, uint64_t src)
{
	uint64_t high = bits == 8 ? cpu->gpr[X86_RAX] >> 8 : cpu->gpr[X86_RDX];

	return low_bits(high, bits) < src;
}

/* Double-width dividend, sign-extended. */
static inline __int128 dividend(const struct soft_cpu *cpu, unsigned bits)
{
	if (bits == 8)
		return (int16_t)cpu->gpr[X86_RAX];
	if (bits == 64)
		return (__int128)((unsigned __int128)cpu->gpr[X86_RDX] << 64 | cpu->gpr[X86_RAX]);
	return (int64_t)((low_bits(cpu->gpr[X86_RDX], bits) << bits | low_bits(cpu->gpr[X86_RAX], bits))
			 << (64 - 2 * bits)) >>
	       (64 - 2 * bits);
}

static inline bool idiv_fits(const struct soft_cpu *cpu, unsigned bits, uint64_t src)
{
	int64_t divisor = (int64_t)(src << (64 - bits)) >> (64 - bits);
	__int128 num = dividend(cpu, bits);
	uint64_t size = divisor < 0 ? -(uint64_t)divisor : (uint64_t)divisor;
	unsigned __int128 magnitude = num < 0 ? -(unsigned __int128)num : (unsigned __int128)num;
	uint64_t limit = (UINT64_C(1) << (bits - 1)) + ((num < 0) != (divisor < 0));

	return magnitude < (unsigned __int128)size * limit;
}

EACH_SIZE(ACCUMULATOR, MUL, "mul", always)
EACH_SIZE(ACCUMULATOR, IMUL, "imul", always)
EACH_SIZE(ACCUMULATOR, DIV, "div", div_fits)
EACH_SIZE(ACCUMULATOR, IDIV, "idiv", idiv_fits)

/* ---- sign extension into and out of the accumulator ---- */

static OP(op_cbw)
{
	AX = (uint16_t)(int8_t)AL;
	return NEXT(cpu, in);
}

static OP(op_cwde)
{
	cpu->gpr[X86_RAX] = (uint32_t)(int16_t)AX;
	return NEXT(cpu, in);
}

static OP(op_cdqe)
{
	cpu->gpr[X86_RAX] = (uint64_t)(int32_t)cpu->gpr[X86_RAX];
	return NEXT(cpu, in);
}

static OP(op_cwd)
{
	REG16(cpu, X86_RDX * 8) = (uint16_t)((int16_t)AX >> 15);
	return NEXT(cpu, in);
}

static OP(op_cdq)
{
	cpu->gpr[X86_RDX] = (uint32_t)((int32_t)cpu->gpr[X86_RAX] >> 31);
	return NEXT(cpu, in);
}

static OP(op_cqo)
{
	cpu->gpr[X86_RDX] = (uint64_t)((int64_t)cpu->gpr[X86_RAX] >> 63);
	return NEXT(cpu, in);
}

/* ---- BSWAP, MOVBE ---- */

/* Undefined for 16 bits; processors clear the register. */
static OP(op_bswap16)
{
	REG16(cpu, in->r1) = 0;
	return NEXT(cpu, in);
}

static OP(op_bswap32)
{
	SETREG32(cpu, in->r1, __builtin_bswap32(REG32(cpu, in->r1)));
	return NEXT(cpu, in);
}

static OP(op_bswap64)
{
	REG64(cpu, in->r1) = __builtin_bswap64(REG64(cpu, in->r1));
	return NEXT(cpu, in);
}

#define MOVBE(unused, bits) \
	static OP(op_movbe_load##bits) \
	{ \
		T##bits val = soft_load##bits(cpu, in, soft_ea(cpu, in, bits / 8, ACCESS_READ)); \
\
		PUT##bits(in->r1, __builtin_bswap##bits(val)); \
		return NEXT(cpu, in); \
	} \
	static OP(op_movbe_store##bits) \
	{ \
		uint64_t addr = soft_ea(cpu, in, bits / 8, ACCESS_WRITE); \
 \
		soft_store##bits(cpu, in, addr, __builtin_bswap##bits(GET(bits, in->r1))); \
		return NEXT(cpu, in); \
	}

WIDE_SIZES(MOVBE, )

/* ---- CRC32, RDRAND, RDSEED: offered only where the host has them ---- */

#define CRC32(unused, bits) \
	static struct block *crc32_##bits(struct soft_cpu *cpu, const struct insn *in, T##bits src) \
	{ \
		uint64_t crc = REG32(cpu, in->r1); \
 \
		if (bits == 64) \
			__asm__("crc32q %1, %0" : "+r"(crc) : "r"((uint64_t)src)); \
		else \
			__asm__("crc32" SFX##bits " %" MOD##bits "1, %k0" : "+r"(crc) : "r"(src)); \
		REG64(cpu, in->r1) = crc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_crc32_r##bits) \
	{ \
		return crc32_##bits(cpu, in, GET(bits, in->r2)); \
	} \
	static OP(op_crc32_m##bits) \
	{ \
		return crc32_##bits(cpu, in, soft_load##bits(cpu, in, soft_ea(cpu, in, bits / 8, ACCESS_READ))); \
	}

EACH_SIZE(CRC32, )

#define RANDOM(name, bits) \
	static OP(op_##name##bits) \
	{ \
		T##bits val; \
		uint8_t carry; \
 \
		__asm__ volatile(#name " %0\n\tsetc %1" : "=r"(val), "=q"(carry) : : "cc"); \
		PUT##bits(in->r1, val); \
		cpu->cc = carry ? CC_CF : 0; \
		return NEXT(cpu, in); \
	}

WIDE_SIZES(RANDOM, rdrand)
WIDE_SIZES(RANDOM, rdseed)

/* ---- flags ---- */

static OP(op_lahf)
{
	AH = (uint8_t)((cpu->cc >> 8 & 0xd5) | X86_FLAG_FIXED);
	return NEXT(cpu, in);
}

static OP(op_sahf)
{
	cpu->cc = (cpu->cc & CC_OF) | cc_from_rflags(AH);
	return NEXT(cpu, in);
}

static OP(op_clc)
{
	cpu->cc &= ~CC_CF;
	return NEXT(cpu, in);
}

static OP(op_stc)
{
	cpu->cc |= CC_CF;
	return NEXT(cpu, in);
}

static OP(op_cmc)
{
	cpu->cc ^= CC_CF;
	return NEXT(cpu, in);
}

static OP(op_cld)
{
	cpu->rflags &= ~X86_FLAG_DF;
	return NEXT(cpu, in);
}

static OP(op_std)
{
	cpu->rflags |= X86_FLAG_DF;
	return NEXT(cpu, in);
}

/* ---- decimal adjustment ---- */

/* SF, ZF, PF of a byte; CF and OF clear. */
static uint32_t byte_flags(uint8_t val)
{
	uint32_t ax;

	__asm__("testb %[val], %[val]" FLAGS_OUT : "=&a"(ax) : [val] "q"(val) : "cc");
	return ax & ~CC_AF;
}

static void adjust_ascii(struct soft_cpu *cpu, int16_t by)
{
	bool adjust = (AL & 0xf) > 9 || cpu->cc & CC_AF;

	if (adjust)
		AX = (uint16_t)(AX + by);
	AL &= 0xf;
	cpu->cc = (cpu->cc & ~(CC_AF | CC_CF)) | (adjust ? CC_AF | CC_CF : 0);
}

static OP(op_aaa)
{
	adjust_ascii(cpu, 0x106);
	return NEXT(cpu, in);
}

static OP(op_aas)
{
	adjust_ascii(cpu, -0x106);
	return NEXT(cpu, in);
}

static void adjust_decimal(struct soft_cpu *cpu, int sign)
{
	uint8_t old = AL;
	bool low = (old & 0xf) > 9 || cpu->cc & CC_AF, high = old > 0x99 || cpu->cc & CC_CF;
	bool borrow = low && sign < 0 && old < 6;

	AL = (uint8_t)(old + sign * ((low ? 6 : 0) + (high ? 0x60 : 0)));
	cpu->cc = byte_flags(AL) | (low ? CC_AF : 0) | (high || borrow ? CC_CF : 0);
}

static OP(op_daa)
{
	adjust_decimal(cpu, 1);
	return NEXT(cpu, in);
}

static OP(op_das)
{
	adjust_decimal(cpu, -1);
	return NEXT(cpu, in);
}

static OP(op_aam)
{
	uint8_t base = (uint8_t)in->imm, val = AL;

	if (!base)
		soft_fault_noerr(cpu, in, X86_EXC_DE);
	AH = val / base;
	AL = val % base;
	cpu->cc = byte_flags(AL);
	return NEXT(cpu, in);
}

static OP(op_aad)
{
	AX = (uint8_t)(AL + AH * (uint8_t)in->imm);
	cpu->cc = byte_flags(AL);
	return NEXT(cpu, in);
}

static OP(op_salc)
{
	AL = cpu->cc & CC_CF ? 0xff : 0;
	return NEXT(cpu, in);
}

/* ---- PUSHA, POPA, ENTER, BOUND, XLAT: aux is the operand size ---- */

static OP(op_pusha)
{
	struct seg_stack stack = seg_stack_now(cpu);

	for (unsigned i = X86_RAX; i <= X86_RDI; i++)
		seg_push(cpu, in, &stack, in->aux, cpu->gpr[i]);
	cpu->gpr[X86_RSP] = stack.sp;
	return NEXT(cpu, in);
}

static OP(op_popa)
{
	struct seg_stack stack = seg_stack_now(cpu);
	uint64_t vals[8];

	for (unsigned i = 8; i-- > 0;)
		vals[i] = seg_pop(cpu, in, &stack, in->aux);
	for (unsigned i = 0; i < 8; i++) {
		if (i != X86_RSP)
			soft_reg_set(cpu, i * 8, in->aux, vals[i]);
	}
	cpu->gpr[X86_RSP] = stack.sp;
	return NEXT(cpu, in);
}

/* imm: bytes of locals; aux32: nesting level. */
static OP(op_enter)
{
	struct seg_stack stack = seg_stack_now(cpu), display = stack;
	uint64_t frame;

	display.sp = cpu->gpr[X86_RBP];
	seg_push(cpu, in, &stack, in->aux, cpu->gpr[X86_RBP]);
	frame = stack.sp;
	for (unsigned i = 1; i < in->aux32; i++) {
		struct seg_stack outer;

		seg_stack_move(&display, -(int64_t)in->aux);
		outer = display;
		seg_push(cpu, in, &stack, in->aux, seg_pop(cpu, in, &outer, in->aux));
	}
	if (in->aux32)
		seg_push(cpu, in, &stack, in->aux, frame);
	seg_stack_move(&stack, -(int64_t)(uint16_t)in->imm);
	/* The processor checks that the new top of the stack can be written to. */
	soft_probe_write(cpu, in, soft_linear(cpu, in, X86_SS, stack.sp & stack.mask, in->aux, ACCESS_WRITE), in->aux);
	soft_reg_set(cpu, X86_RBP * 8, in->aux, frame);
	cpu->gpr[X86_RSP] = stack.sp;
	return NEXT(cpu, in);
}

static int64_t bound_value(uint64_t val, unsigned size)
{
	return size == 2 ? (int16_t)val : (int32_t)val;
}

static OP(op_bound)
{
	unsigned size = in->aux;
	uint64_t addr = soft_ea(cpu, in, size * 2, ACCESS_READ);
	int64_t index = bound_value(soft_reg_get(cpu, in->r1, size), size);

	/* An index below the range never looks at the other end. */
	if (index < bound_value(soft_load_n(cpu, in, addr, size), size) ||
	    index > bound_value(soft_load_n(cpu, in, addr + size, size), size))
		soft_fault_noerr(cpu, in, X86_EXC_BR);
	return NEXT(cpu, in);
}

static OP(op_xlat)
{
	uint64_t offset = cpu->gpr[X86_RBX] + AL;

	if (in->flags & INSN_EA16)
		offset = (uint16_t)offset;
	else if (in->flags & INSN_EA32)
		offset = (uint32_t)offset;
	AL = soft_load8(cpu, in, soft_linear(cpu, in, (enum x86_seg)in->seg, offset, 1, ACCESS_READ));
	return NEXT(cpu, in);
}

/* ---- decoding ---- */

/* Instructions whose register and memory forms differ only in where operand `operand` comes from. */
struct sized_row {
	ZydisMnemonic mnemonic;
	uint8_t operand, size_operand;
	op_fn reg[4], mem[4];
};

static const struct sized_row sized_rows[] = {
	{ ZYDIS_MNEMONIC_MUL, 0, 0, SIZES(op_MUL_r), SIZES(op_MUL_m) },
	{ ZYDIS_MNEMONIC_IMUL, 0, 0, SIZES(op_IMUL_r), SIZES(op_IMUL_m) },
	{ ZYDIS_MNEMONIC_DIV, 0, 0, SIZES(op_DIV_r), SIZES(op_DIV_m) },
	{ ZYDIS_MNEMONIC_IDIV, 0, 0, SIZES(op_IDIV_r), SIZES(op_IDIV_m) },
	{ ZYDIS_MNEMONIC_CRC32, 1, 1, SIZES(op_crc32_r), SIZES(op_crc32_m) },
	{ ZYDIS_MNEMONIC_BSWAP, 0, 0, WIDE(op_bswap), { NULL } },
	{ ZYDIS_MNEMONIC_MOVBE, 0, 0, WIDE(op_movbe_load), WIDE(op_movbe_store) },
	{ ZYDIS_MNEMONIC_RDRAND, 0, 0, WIDE(op_rdrand), { NULL } },
	{ ZYDIS_MNEMONIC_RDSEED, 0, 0, WIDE(op_rdseed), { NULL } },
};

struct plain_row {
	ZydisMnemonic mnemonic;
	op_fn fn;
};

static const struct plain_row plain_rows[] = {
	{ ZYDIS_MNEMONIC_CBW, op_cbw },	     { ZYDIS_MNEMONIC_CWDE, op_cwde },	 { ZYDIS_MNEMONIC_CDQE, op_cdqe },
	{ ZYDIS_MNEMONIC_CWD, op_cwd },	     { ZYDIS_MNEMONIC_CDQ, op_cdq },	 { ZYDIS_MNEMONIC_CQO, op_cqo },
	{ ZYDIS_MNEMONIC_LAHF, op_lahf },    { ZYDIS_MNEMONIC_SAHF, op_sahf },	 { ZYDIS_MNEMONIC_CLC, op_clc },
	{ ZYDIS_MNEMONIC_STC, op_stc },	     { ZYDIS_MNEMONIC_CMC, op_cmc },	 { ZYDIS_MNEMONIC_CLD, op_cld },
	{ ZYDIS_MNEMONIC_STD, op_std },	     { ZYDIS_MNEMONIC_AAA, op_aaa },	 { ZYDIS_MNEMONIC_AAS, op_aas },
	{ ZYDIS_MNEMONIC_DAA, op_daa },	     { ZYDIS_MNEMONIC_DAS, op_das },	 { ZYDIS_MNEMONIC_AAM, op_aam },
	{ ZYDIS_MNEMONIC_AAD, op_aad },	     { ZYDIS_MNEMONIC_SALC, op_salc },	 { ZYDIS_MNEMONIC_PUSHA, op_pusha },
	{ ZYDIS_MNEMONIC_PUSHAD, op_pusha }, { ZYDIS_MNEMONIC_POPA, op_popa },	 { ZYDIS_MNEMONIC_POPAD, op_popa },
	{ ZYDIS_MNEMONIC_BOUND, op_bound },  { ZYDIS_MNEMONIC_ENTER, op_enter }, { ZYDIS_MNEMONIC_XLAT, op_xlat },
};

static op_fn decode_sized(const struct decoder *d)
{
	for (size_t i = 0; i < G_N_ELEMENTS(sized_rows); i++) {
		const struct sized_row *row = &sized_rows[i];

		if (row->mnemonic == d->zi.mnemonic)
			return (legacy_is_memory(&d->op[row->operand]) ?
					row->mem :
					row->reg)[legacy_size_index(&d->op[row->size_operand])];
	}
	return NULL;
}

static op_fn decode_plain(const struct decoder *d, struct insn *in)
{
	for (size_t i = 0; i < G_N_ELEMENTS(plain_rows); i++) {
		if (plain_rows[i].mnemonic != d->zi.mnemonic)
			continue;
		in->aux = d->zi.operand_width / 8;
		if (d->zi.mnemonic == ZYDIS_MNEMONIC_ENTER)
			in->aux32 = d->op[1].imm.value.u & 31;
		else if (d->zi.mnemonic == ZYDIS_MNEMONIC_XLAT)
			in->seg = (uint8_t)(d->op[0].mem.segment - ZYDIS_REGISTER_ES);
		return plain_rows[i].fn;
	}
	return NULL;
}

op_fn decode_legacy(struct decoder *d, struct insn *in)
{
	op_fn fn = decode_bits(d, in);

	if (!fn)
		fn = decode_atomic(d, in);
	if (!fn)
		fn = decode_sized(d);
	if (!fn)
		fn = decode_plain(d, in);
	return fn;
}
