/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XCHG, XADD, CMPXCHG and its double-width forms. With LOCK (always, for XCHG with memory) the host's locked
 * instruction works on the guest's memory itself; without, the same instruction unlocked. Operands that cross a page
 * or are device registers go through a copy.
 */
#include "vmm/cpu/op-legacy.h"

/* ---- XCHG ---- */

#define XCHG(unused, bits) \
	static OP(op_XCHG_r##bits) \
	{ \
		T##bits a = GET(bits, in->r1), b = GET(bits, in->r2); \
 \
		PUT##bits(in->r1, b); \
		PUT##bits(in->r2, a); \
		return NEXT(cpu, in); \
	} \
	static OP(op_XCHG_m##bits) \
	{ \
		uint64_t addr = soft_ea(cpu, in, bits / 8, ACCESS_WRITE); \
		M##bits *p = soft_ptr(cpu, in, addr, bits / 8, ACCESS_WRITE); \
		T##bits val = GET(bits, in->r1), old; \
 \
		if (G_LIKELY(p)) { \
			__asm__ volatile("xchg" SFX##bits " %[val], %[p]" \
					 : [val] "+q"(val), [p] "+m"(*p) \
					 : \
					 : "memory"); \
			PUT##bits(in->r1, val); \
			return NEXT(cpu, in); \
		} \
		old = soft_load##bits(cpu, in, addr); \
		soft_store##bits(cpu, in, addr, val); \
		PUT##bits(in->r1, old); \
		return NEXT(cpu, in); \
	}

EACH_SIZE(XCHG, )

/* ---- XADD ---- */

#define XADD_PRIMITIVE(kind, lock, bits) \
	static inline T##bits kind##_xadd##bits(M##bits *p, T##bits val, uint32_t *cc) \
	{ \
		uint32_t ax; \
 \
		__asm__ volatile(lock "xadd" SFX##bits " %[val], %[p]" FLAGS_OUT \
				 : [val] "+&q"(val), [p] "+m"(*p), "=&a"(ax) \
				 : \
				 : "cc", "memory"); \
		*cc = ax; \
		return val; \
	}

#define XADD(unused, bits) \
	XADD_PRIMITIVE(plain, "", bits) \
	XADD_PRIMITIVE(locked, "lock ", bits) \
	static OP(op_XADD_r##bits) \
	{ \
		M##bits sum = GET(bits, in->r1); \
 \
		/* The destination is written last: XADD AL, AL doubles it. */ \
		PUT##bits(in->r2, plain_xadd##bits(&sum, GET(bits, in->r2), &cpu->cc)); \
		PUT##bits(in->r1, sum); \
		return NEXT(cpu, in); \
	} \
	static OP(op_XADD_m##bits) \
	{ \
		uint64_t addr = soft_ea(cpu, in, bits / 8, ACCESS_WRITE); \
		M##bits *p = soft_ptr(cpu, in, addr, bits / 8, ACCESS_WRITE), copy; \
		T##bits val = GET(bits, in->r1); \
		uint32_t cc; \
 \
		if (G_LIKELY(p)) { \
			val = in->flags & INSN_LOCK ? locked_xadd##bits(p, val, &cc) : plain_xadd##bits(p, val, &cc); \
		} else { \
			copy = soft_load##bits(cpu, in, addr); \
			val = plain_xadd##bits(&copy, val, &cc); \
			soft_store##bits(cpu, in, addr, copy); \
		} \
		PUT##bits(in->r1, val); \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	}

EACH_SIZE(XADD, )

/* ---- CMPXCHG ---- */

/* rax goes in and out whole: a narrow accumulator is merged, or not written at all on success, as the host does it. */
#define CMPXCHG_PRIMITIVE(kind, lock, bits) \
	static inline void kind##_cmpxchg##bits(M##bits *p, T##bits val, uint64_t *rax, uint32_t *cc) \
	{ \
		uint64_t acc = *rax, out; \
 \
		__asm__ volatile(lock "cmpxchg" SFX##bits " %[val], %[p]\n\tmovq %%rax, %[out]" FLAGS_OUT \
				 : [p] "+m"(*p), [out] "=&r"(out), "+&a"(acc) \
				 : [val] "q"(val) \
				 : "cc", "memory"); \
		*rax = out; \
		*cc = (uint32_t)acc; \
	}

#define CMPXCHG(unused, bits) \
	CMPXCHG_PRIMITIVE(plain, "", bits) \
	CMPXCHG_PRIMITIVE(locked, "lock ", bits) \
	static OP(op_CMPXCHG_m##bits) \
	{ \
		uint64_t addr = soft_ea(cpu, in, bits / 8, ACCESS_WRITE), rax = cpu->gpr[X86_RAX]; \
		M##bits *p = soft_ptr(cpu, in, addr, bits / 8, ACCESS_WRITE), copy; \
		T##bits val = GET(bits, in->r1); \
		uint32_t cc; \
 \
		if (G_UNLIKELY(!p)) { \
			copy = soft_load##bits(cpu, in, addr); \
			plain_cmpxchg##bits(&copy, val, &rax, &cc); \
			soft_store##bits(cpu, in, addr, copy); \
		} else if (in->flags & INSN_LOCK) { \
			locked_cmpxchg##bits(p, val, &rax, &cc); \
		} else { \
			plain_cmpxchg##bits(p, val, &rax, &cc); \
		} \
		cpu->gpr[X86_RAX] = rax; \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	}

/* Whole registers again: on failure the host leaves the upper half of a 32-bit destination alone. */
#define CMPXCHG_REG(unused, bits) \
	static OP(op_CMPXCHG_r##bits) \
	{ \
		uint64_t dst = REG64(cpu, in->r1), val = REG64(cpu, in->r2), acc = cpu->gpr[X86_RAX], out; \
 \
		__asm__("cmpxchg" SFX##bits " %" MOD##bits "[val], %" MOD##bits \
			"[dst]\n\tmovq %%rax, %[out]" FLAGS_OUT \
			: [dst] "+&r"(dst), [out] "=&r"(out), "+&a"(acc) \
			: [val] "r"(val) \
			: "cc"); \
		cpu->gpr[X86_RAX] = out; \
		REG64(cpu, in->r1) = dst; \
		cpu->cc = (uint32_t)acc; \
		return NEXT(cpu, in); \
	}

EACH_SIZE(CMPXCHG, )
WIDE_SIZES(CMPXCHG_REG, )

static OP(op_CMPXCHG_r8)
{
	uint8_t dst = REG8(cpu, in->r1);

	plain_cmpxchg8(&dst, REG8(cpu, in->r2), &cpu->gpr[X86_RAX], &cpu->cc);
	REG8(cpu, in->r1) = dst;
	return NEXT(cpu, in);
}

/* ---- CMPXCHG8B, CMPXCHG16B ---- */

static void set_zf(struct soft_cpu *cpu, bool zf)
{
	cpu->cc = (cpu->cc & ~CC_ZF) | (zf ? CC_ZF : 0);
}

static bool locked_exchange8(u64_alias *p, uint64_t *expect, uint64_t val)
{
	bool done;

	__asm__ volatile("lock cmpxchgq %[val], %[p]\n\tsetz %[done]"
			 : [p] "+m"(*p), "+a"(*expect), [done] "=q"(done)
			 : [val] "r"(val)
			 : "cc", "memory");
	return done;
}

static OP(op_cmpxchg8b)
{
	uint64_t addr = soft_ea(cpu, in, 8, ACCESS_WRITE);
	uint64_t expect = cpu->gpr[X86_RDX] << 32 | (uint32_t)cpu->gpr[X86_RAX];
	uint64_t val = cpu->gpr[X86_RCX] << 32 | (uint32_t)cpu->gpr[X86_RBX];
	u64_alias *p = soft_ptr(cpu, in, addr, 8, ACCESS_WRITE), copy;
	bool done;

	if (G_LIKELY(p)) {
		done = locked_exchange8(p, &expect, val);
	} else {
		copy = soft_load64(cpu, in, addr);
		done = locked_exchange8(&copy, &expect, val);
		soft_store64(cpu, in, addr, copy);
	}
	if (!done) {
		cpu->gpr[X86_RAX] = (uint32_t)expect;
		cpu->gpr[X86_RDX] = expect >> 32;
	}
	set_zf(cpu, done);
	return NEXT(cpu, in);
}

struct pair {
	uint64_t low, high;
} __attribute__((may_alias, aligned(16)));

static bool locked_exchange16(struct pair *p, struct pair *expect, struct pair val)
{
	bool done;

	__asm__ volatile("lock cmpxchg16b %[p]\n\tsetz %[done]"
			 : [p] "+m"(*p), "+a"(expect->low), "+d"(expect->high), [done] "=q"(done)
			 : "b"(val.low), "c"(val.high)
			 : "cc", "memory");
	return done;
}

static OP(op_cmpxchg16b)
{
	uint64_t addr = soft_ea(cpu, in, 16, ACCESS_WRITE);
	struct pair expect = { cpu->gpr[X86_RAX], cpu->gpr[X86_RDX] }, val = { cpu->gpr[X86_RBX], cpu->gpr[X86_RCX] },
		    copy;
	struct pair *p;
	bool done;

	if (addr & 15)
		soft_gp(cpu, in, 0);
	p = soft_ptr(cpu, in, addr, 16, ACCESS_WRITE);
	if (G_LIKELY(p)) {
		done = locked_exchange16(p, &expect, val);
	} else {
		soft_read_bytes(cpu, in, addr, &copy, sizeof copy);
		done = locked_exchange16(&copy, &expect, val);
		soft_write_bytes(cpu, in, addr, &copy, sizeof copy);
	}
	if (!done) {
		cpu->gpr[X86_RAX] = expect.low;
		cpu->gpr[X86_RDX] = expect.high;
	}
	set_zf(cpu, done);
	return NEXT(cpu, in);
}

/* ---- decoding ---- */

struct atomic_row {
	ZydisMnemonic mnemonic;
	op_fn reg[4], mem[4];
};

static const struct atomic_row rows[] = {
	{ ZYDIS_MNEMONIC_XCHG, SIZES(op_XCHG_r), SIZES(op_XCHG_m) },
	{ ZYDIS_MNEMONIC_XADD, SIZES(op_XADD_r), SIZES(op_XADD_m) },
	{ ZYDIS_MNEMONIC_CMPXCHG, SIZES(op_CMPXCHG_r), SIZES(op_CMPXCHG_m) },
};

op_fn decode_atomic(struct decoder *d, struct insn *in)
{
	(void)in;
	if (d->zi.mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B)
		return op_cmpxchg8b;
	if (d->zi.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B)
		return op_cmpxchg16b;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		unsigned size = legacy_size_index(&d->op[0]);

		if (rows[i].mnemonic == d->zi.mnemonic)
			return (legacy_is_memory(&d->op[0]) ? rows[i].mem : rows[i].reg)[size];
	}
	return NULL;
}
