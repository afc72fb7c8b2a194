/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bit tests, scans and counts, double-width shifts, rotates through carry. SDM volume 2.
 */
#include "vmm/cpu/op-legacy.h"

/* ---- BT, BTS, BTR, BTC ---- */

/*
 * A register bit offset is signed and may reach any word of a bit string around the operand: SDM volume 1 section
 * 3.1.1.9, "Bit(BitBase, BitOffset)".
 */
static uint64_t bit_string_address(struct soft_cpu *cpu, const struct insn *in, int64_t bit, unsigned bits,
				   unsigned access)
{
	uint64_t away = (uint64_t)((bit >> (bits == 64 ? 6 : bits == 32 ? 5 : 4)) * (int64_t)(bits / 8)), offset;

	if (G_LIKELY(!(in->flags & INSN_EA_SLOW)))
		return soft_ea(cpu, in, bits / 8, access) + away;
	offset = soft_ea_offset(cpu, in) + away;
	if (in->flags & INSN_EA16)
		offset = (uint16_t)offset;
	else if (in->flags & INSN_EA32)
		offset = (uint32_t)offset;
	return soft_linear(cpu, in, (enum x86_seg)in->seg, offset, bits / 8, access);
}

#define BIT_PRIMITIVE(name, mnemonic, bits) \
	static inline uint64_t do_##name##bits(uint64_t a, uint64_t bit, uint32_t *cc) \
	{ \
		uint32_t ax = *cc; \
 \
		__asm__(FLAGS_IN mnemonic SFX##bits " %" MOD##bits "[bit], %" MOD##bits "[a]" FLAGS_OUT \
			: [a] "+&r"(a), "+&a"(ax) \
			: [bit] "r"(bit) \
			: "cc"); \
		*cc = ax; \
		return a; \
	}

#define BIT_MEMORY(name, mnemonic, lock, kind, bits) \
	static inline void kind##_##name##bits(M##bits *p, uint64_t bit, uint32_t *cc) \
	{ \
		uint32_t ax = *cc; \
 \
		__asm__ volatile(FLAGS_IN lock mnemonic SFX##bits " %" MOD##bits "[bit], %[p]" FLAGS_OUT \
				 : [p] "+m"(*p), "+&a"(ax) \
				 : [bit] "r"(bit & (bits - 1)) \
				 : "cc", "memory"); \
		*cc = ax; \
	}

/* BT only reads. */
#define BIT_TEST(unused, bits) \
	BIT_PRIMITIVE(BT, "bt", bits) \
	static struct block *bt_mem##bits(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, uint64_t bit) \
	{ \
		uint64_t a = soft_load##bits(cpu, in, addr); \
		uint32_t cc = cpu->cc; \
 \
		do_BT##bits(a, bit, &cc); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_BT_rr##bits) \
	{ \
		uint32_t cc = cpu->cc; \
 \
		do_BT##bits(REG64(cpu, in->r1), REG64(cpu, in->r2), &cc); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_BT_ri##bits) \
	{ \
		uint32_t cc = cpu->cc; \
 \
		do_BT##bits(REG64(cpu, in->r1), (uint64_t)in->imm, &cc); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_BT_mr##bits) \
	{ \
		int64_t bit = (int##bits##_t)GET(bits, in->r1); \
 \
		return bt_mem##bits(cpu, in, bit_string_address(cpu, in, bit, bits, ACCESS_READ), (uint64_t)bit); \
	} \
	static OP(op_BT_mi##bits) \
	{ \
		return bt_mem##bits(cpu, in, soft_ea(cpu, in, bits / 8, ACCESS_READ), (uint64_t)in->imm); \
	}

#define BIT_CHANGE(name, mnemonic, bits) \
	BIT_PRIMITIVE(name, mnemonic, bits) \
	BIT_MEMORY(name, mnemonic, "", plain, bits) \
	BIT_MEMORY(name, mnemonic, "lock ", locked, bits) \
	static struct block *name##_mem##bits(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, \
					      uint64_t bit) \
	{ \
		M##bits *p = soft_ptr(cpu, in, addr, bits / 8, ACCESS_WRITE); \
		uint32_t cc = cpu->cc; \
 \
		if (G_UNLIKELY(!p)) \
			soft_store##bits(cpu, in, addr, \
					 (T##bits)do_##name##bits(soft_load##bits(cpu, in, addr), bit, &cc)); \
		else if (in->flags & INSN_LOCK) \
			locked_##name##bits(p, bit, &cc); \
		else \
			plain_##name##bits(p, bit, &cc); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_rr##bits) \
	{ \
		uint32_t cc = cpu->cc; \
 \
		REG64(cpu, in->r1) = do_##name##bits(REG64(cpu, in->r1), REG64(cpu, in->r2), &cc); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_ri##bits) \
	{ \
		uint32_t cc = cpu->cc; \
 \
		REG64(cpu, in->r1) = do_##name##bits(REG64(cpu, in->r1), (uint64_t)in->imm, &cc); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_mr##bits) \
	{ \
		int64_t bit = (int##bits##_t)GET(bits, in->r1); \
 \
		return name##_mem##bits(cpu, in, bit_string_address(cpu, in, bit, bits, ACCESS_WRITE), (uint64_t)bit); \
	} \
	static OP(op_##name##_mi##bits) \
	{ \
		return name##_mem##bits(cpu, in, soft_ea(cpu, in, bits / 8, ACCESS_WRITE), (uint64_t)in->imm); \
	}

WIDE_SIZES(BIT_TEST, )
WIDE_SIZES(BIT_CHANGE, BTS, "bts")
WIDE_SIZES(BIT_CHANGE, BTR, "btr")
WIDE_SIZES(BIT_CHANGE, BTC, "btc")

/* ---- BSF, BSR, TZCNT, LZCNT, POPCNT ---- */

/* The whole destination register goes in, because BSF and BSR of 0 leave it alone. */
#define SCAN(name, mnemonic, bits) \
	static struct block *name##bits(struct soft_cpu *cpu, const struct insn *in, uint64_t src) \
	{ \
		uint64_t dst = REG64(cpu, in->r1); \
		uint32_t ax = cpu->cc; \
 \
		__asm__(FLAGS_IN mnemonic SFX##bits " %" MOD##bits "[src], %" MOD##bits "[dst]" FLAGS_OUT \
			: [dst] "+&r"(dst), "+&a"(ax) \
			: [src] "r"(src) \
			: "cc"); \
		cpu->cc = ax; \
		REG64(cpu, in->r1) = dst; \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_r##bits) \
	{ \
		return name##bits(cpu, in, REG64(cpu, in->r2)); \
	} \
	static OP(op_##name##_m##bits) \
	{ \
		return name##bits(cpu, in, soft_load##bits(cpu, in, soft_ea(cpu, in, bits / 8, ACCESS_READ))); \
	}

WIDE_SIZES(SCAN, BSF, "bsf")
WIDE_SIZES(SCAN, BSR, "bsr")
WIDE_SIZES(SCAN, TZCNT, "tzcnt")
WIDE_SIZES(SCAN, LZCNT, "lzcnt")
WIDE_SIZES(SCAN, POPCNT, "popcnt")

/* ---- SHLD, SHRD ---- */

/* aux: 1 when the count is in CL. */
static uint8_t shift_count(struct soft_cpu *cpu, const struct insn *in)
{
	return in->aux ? REG8(cpu, X86_RCX * 8) : (uint8_t)in->imm;
}

#define DOUBLE_SHIFT(name, mnemonic, bits) \
	static inline uint64_t do_##name##bits(uint64_t a, uint64_t b, uint8_t count, uint32_t *cc) \
	{ \
		uint32_t ax = *cc; \
 \
		__asm__(FLAGS_IN mnemonic SFX##bits " %%cl, %" MOD##bits "[b], %" MOD##bits "[a]" FLAGS_OUT \
			: [a] "+&r"(a), "+&a"(ax) \
			: [b] "r"(b), "c"(count) \
			: "cc"); \
		*cc = ax; \
		return a; \
	} \
	static OP(op_##name##_r##bits) \
	{ \
		uint32_t cc = cpu->cc; \
 \
		REG64(cpu, in->r1) = \
			do_##name##bits(REG64(cpu, in->r1), REG64(cpu, in->r2), shift_count(cpu, in), &cc); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_m##bits) \
	{ \
		uint64_t addr = soft_ea(cpu, in, bits / 8, ACCESS_WRITE), b = REG64(cpu, in->r1); \
		M##bits *p = soft_ptr(cpu, in, addr, bits / 8, ACCESS_WRITE); \
		uint8_t count = shift_count(cpu, in); \
		uint32_t cc = cpu->cc; \
 \
		if (G_LIKELY(p)) \
			*(volatile M##bits *)p = (T##bits)do_##name##bits(*(volatile M##bits *)p, b, count, &cc); \
		else \
			soft_store##bits(cpu, in, addr, \
					 (T##bits)do_##name##bits(soft_load##bits(cpu, in, addr), b, count, &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	}

WIDE_SIZES(DOUBLE_SHIFT, SHLD, "shld")
WIDE_SIZES(DOUBLE_SHIFT, SHRD, "shrd")

/* ---- RCL, RCR ---- */

#define ROTATE(name, mnemonic, bits) \
	static inline T##bits do_##name##bits(T##bits a, uint8_t count, uint32_t *cc) \
	{ \
		uint32_t ax = *cc; \
 \
		__asm__(FLAGS_IN mnemonic SFX##bits " %%cl, %[a]" FLAGS_OUT \
			: [a] "+&q"(a), "+&a"(ax) \
			: "c"(count) \
			: "cc"); \
		*cc = ax; \
		return a; \
	} \
	static OP(op_##name##_r##bits) \
	{ \
		uint32_t cc = cpu->cc; \
 \
		PUT##bits(in->r1, do_##name##bits(GET(bits, in->r1), shift_count(cpu, in), &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	} \
	static OP(op_##name##_m##bits) \
	{ \
		uint64_t addr = soft_ea(cpu, in, bits / 8, ACCESS_WRITE); \
		M##bits *p = soft_ptr(cpu, in, addr, bits / 8, ACCESS_WRITE); \
		uint8_t count = shift_count(cpu, in); \
		uint32_t cc = cpu->cc; \
 \
		if (G_LIKELY(p)) \
			*(volatile M##bits *)p = do_##name##bits(*(volatile M##bits *)p, count, &cc); \
		else \
			soft_store##bits(cpu, in, addr, do_##name##bits(soft_load##bits(cpu, in, addr), count, &cc)); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	}

EACH_SIZE(ROTATE, RCL, "rcl")
EACH_SIZE(ROTATE, RCR, "rcr")

/* ---- decoding ---- */

/* Forms of one mnemonic by operand size; which operand decides between register and memory is the row's business. */
struct bits_row {
	ZydisMnemonic mnemonic;
	uint8_t operand;     /* the one that may be memory */
	op_fn reg[4], mem[4]; /* with a register (or CL, or no) second operand */
	op_fn reg_imm[4], mem_imm[4];
};

#define TEST_ROW(name) \
	{ \
		ZYDIS_MNEMONIC_##name, 0, WIDE(op_##name##_rr), WIDE(op_##name##_mr), WIDE(op_##name##_ri), \
			WIDE(op_##name##_mi) \
	}
#define SCAN_ROW(name) \
	{ \
		ZYDIS_MNEMONIC_##name, 1, WIDE(op_##name##_r), WIDE(op_##name##_m), { NULL }, { NULL } \
	}
#define SHIFT_ROW(name, sizes) \
	{ \
		ZYDIS_MNEMONIC_##name, 0, sizes(op_##name##_r), sizes(op_##name##_m), sizes(op_##name##_r), \
			sizes(op_##name##_m) \
	}

static const struct bits_row rows[] = {
	TEST_ROW(BT),	       TEST_ROW(BTS),	      TEST_ROW(BTR),	     TEST_ROW(BTC),
	SCAN_ROW(BSF),	       SCAN_ROW(BSR),	      SCAN_ROW(TZCNT),	     SCAN_ROW(LZCNT),	     SCAN_ROW(POPCNT),
	SHIFT_ROW(SHLD, WIDE), SHIFT_ROW(SHRD, WIDE), SHIFT_ROW(RCL, SIZES), SHIFT_ROW(RCR, SIZES),
};

op_fn decode_bits(struct decoder *d, struct insn *in)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct bits_row *row = &rows[i];
		const ZydisDecodedOperand *last;
		unsigned size = legacy_size_index(&d->op[0]);
		bool mem, imm;

		if (row->mnemonic != d->zi.mnemonic)
			continue;
		last = &d->op[d->zi.operand_count_visible - 1];
		mem = legacy_is_memory(&d->op[row->operand]);
		imm = last->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
		in->aux = !imm;
		if (imm)
			in->imm = (int32_t)(last->imm.value.u & 0xff);
		return imm ? (mem ? row->mem_imm : row->reg_imm)[size] : (mem ? row->mem : row->reg)[size];
	}
	return NULL;
}
