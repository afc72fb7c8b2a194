/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Giving an instruction something to do. Random registers would make nearly every memory operand a fault and
 * nearly every division an overflow, so registers are chosen backwards from where the operand should lie, and a
 * few mnemonics have wishes of their own.
 */
#include <string.h>

#include "tests/cpu/gen.h"

#define MXCSR_UM 0x0800u

static bool is_gpr(ZydisRegister reg)
{
	ZydisRegisterClass class = ZydisRegisterGetClass(reg);

	return class == ZYDIS_REGCLASS_GPR8 || class == ZYDIS_REGCLASS_GPR16 || class == ZYDIS_REGCLASS_GPR32 ||
	       class == ZYDIS_REGCLASS_GPR64;
}

static unsigned gpr_number(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return (unsigned)(reg - ZYDIS_REGISTER_AH);
	return (unsigned)ZydisRegisterGetId(reg);
}

static uint64_t *gpr(struct making *m, unsigned n)
{
	return &m->c->start.gpr[n];
}

/* False when something else relies on the register already. */
static bool set_gpr(struct making *m, unsigned n, uint64_t val)
{
	if (m->fixed >> n & 1)
		return false;
	m->fixed |= (uint16_t)(1u << n);
	*gpr(m, n) = m->c->is32 ? (uint32_t)val : val;
	return true;
}

static bool in_data(uint64_t addr, unsigned size)
{
	return addr >= DATA_BASE && addr - DATA_BASE <= DATA_SIZE - size;
}

/* Makes memory hold a value before the case starts. */
static void poke(struct making *m, uint64_t addr, uint64_t val, unsigned size)
{
	if (m->c->n_pokes < POKES_MAX && in_data(addr, size))
		m->c->pokes[m->c->n_pokes++] =
			(struct conform_poke){ .addr = (uint32_t)addr, .size = size, .val = val };
}

static uint64_t random_target(struct making *m, unsigned size)
{
	unsigned what = rng_below(m->rng, 1000), align = size >= 64 ? 64 : size ? size : 1;
	uint64_t inside = DATA_BASE + 256 + rng_below(m->rng, DATA_SIZE - 1024),
		 split = rng_below(m->rng, size ? size : 1);

	if (m->safe)
		what = what * 3 / 4;
	if (what < 550)
		return inside & ~(uint64_t)(align & (align - 1) ? 15 : align - 1);
	if (what < 720)
		return inside;
	if (what < 800)
		return DATA_BASE + 0x1000 - split;
	if (what < 840)
		return READ_BASE - split;
	if (what < 880)
		return READ_BASE + rng_below(m->rng, READ_SIZE - 64);
	if (what < 910)
		return WINDOW_END - split;
	if (what < 930)
		return WINDOW_END + rng_below(m->rng, 0x1000);
	if (what < 950)
		return DATA_BASE - split;
	if (what < 970)
		return CODE_BASE + rng_below(m->rng, CODE_SIZE);
	if (what < 975)
		return CODE_BASE + CODE_SIZE - split;
	return random_integer(m->rng);
}

uint64_t aim_code_target(struct making *m)
{
	unsigned what = rng_below(m->rng, 100);

	if (what < 85 || m->safe)
		return CODE_BASE + rng_below(m->rng, 0x400);
	if (what < 90)
		return CODE_BASE + CODE_SIZE + rng_below(m->rng, 0x100);
	if (what < 95)
		return DATA_BASE + rng_below(m->rng, DATA_SIZE);
	return random_integer(m->rng);
}

/* ---- addresses ---- */

static uint64_t segment_base(const struct making *m, ZydisRegister seg)
{
	return seg == ZYDIS_REGISTER_FS ? m->c->start.fs_base : seg == ZYDIS_REGISTER_GS ? m->c->start.gs_base : 0;
}

/* Changes the displacement by delta if it has room for it. */
static bool shift_displacement(struct built *b, ZydisDecodedOperand *op, uint64_t delta)
{
	unsigned size = b->zi.raw.disp.size / 8u;
	int64_t val = op->mem.disp.value + (int64_t)delta;

	if (size < 4 || (size == 4 && (int64_t)delta != (int32_t)delta) || (size == 4 && val != (int32_t)val))
		return false;
	op->mem.disp.value = val;
	b->zi.raw.disp.value = val;
	put_bytes(b->bytes + b->zi.raw.disp.offset, (uint64_t)val, size);
	return true;
}

/* The offset that the operand has now. */
static uint64_t current_offset(struct making *m, const struct built *b, const ZydisDecodedOperand *op)
{
	uint64_t at = op->mem.disp.has_displacement ? (uint64_t)op->mem.disp.value : 0;

	if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP)
		at += m->at + b->zi.length;
	else if (is_gpr(op->mem.base))
		at += *gpr(m, gpr_number(op->mem.base));
	if (op->mem.index == ZYDIS_REGISTER_AL)
		at += *gpr(m, X86_RAX) & 0xff;
	else if (is_gpr(op->mem.index))
		at += *gpr(m, gpr_number(op->mem.index)) * op->mem.scale;
	return at;
}

/* Vector indices that keep each element in DATA when the base is in its middle. */
static void aim_vector_index(struct making *m, const ZydisDecodedOperand *op)
{
	unsigned reg = (unsigned)ZydisRegisterGetId(op->mem.index);
	bool quads = rng_chance(m->rng, 500);

	for (unsigned i = 0; i < 8; i++) {
		uint8_t *lane = i < 4 ? m->c->start.fx.xmm[reg] + (size_t)i * 4 :
					m->c->start.ymm_high[reg] + (size_t)(i - 4) * 4;
		uint32_t val = (rng_below(m->rng, 0x1600) - 0xb00) / op->mem.scale;

		/* Above bit 31 of a negative quadword there must be ones. */
		if (quads && i & 1)
			val = (uint32_t)(lane[-1] & 0x80 ? -1 : 0);
		else if (rng_chance(m->rng, 10))
			val = (uint32_t)rng_next(m->rng);
		put_bytes(lane, val, 4);
	}
}

/* Chooses registers, or the displacement, so that the operand lies at `target`. Returns where it really lies. */
static uint64_t aim_operand(struct making *m, struct built *b, ZydisDecodedOperand *op, uint64_t target)
{
	uint64_t want = target - segment_base(m, op->mem.segment), delta;
	bool has_index = is_gpr(op->mem.index), has_base = is_gpr(op->mem.base);
	unsigned base = has_base ? gpr_number(op->mem.base) : 0, index = has_index ? gpr_number(op->mem.index) : 0;

	if (has_index && op->mem.index != ZYDIS_REGISTER_AL && !(has_base && base == index) && has_base &&
	    !(m->fixed >> base & 1))
		set_gpr(m, index, rng_chance(m->rng, 700) ? rng_below(m->rng, 0x400) - 0x200u : random_integer(m->rng));
	delta = want - current_offset(m, b, op);
	if (has_base && has_index && base == index && !(m->fixed >> base & 1)) {
		set_gpr(m, base, *gpr(m, base) + delta / (1u + op->mem.scale));
	} else if (has_base && !(m->fixed >> base & 1)) {
		set_gpr(m, base, *gpr(m, base) + delta);
		/* Address sizes below 64 bits do not look at the upper half. */
		if (b->zi.address_width < 64 && !m->c->is32)
			*gpr(m, base) ^= rng_next(m->rng) << 32;
	} else if (has_index && op->mem.index != ZYDIS_REGISTER_AL && !(m->fixed >> index & 1) &&
		   delta % op->mem.scale == 0) {
		set_gpr(m, index, *gpr(m, index) + delta / op->mem.scale);
	} else {
		shift_displacement(b, op, delta);
	}
	delta = current_offset(m, b, op);
	if (b->zi.address_width == 32)
		delta = (uint32_t)delta;
	return delta + segment_base(m, op->mem.segment);
}

/* ---- what some mnemonics want ---- */

static uint64_t random_selector(struct making *m)
{
	static const uint16_t selectors[] = { 0,    0,	  3,	0x2b, 0x2b, 0x28, 0x33, 0x23,
					      0x10, 0x18, 0x40, 0x78, 0x7b, 0x83, 0x2f };

	return rng_chance(m->rng, 900) ? selectors[rng_below(m->rng, G_N_ELEMENTS(selectors))] :
					 rng_next(m->rng) & 0xffff;
}

static uint64_t random_code_selector(struct making *m)
{
	/*
	 * A far call into the other mode with a bad stack is something that Linux, or its hypervisor, may loop for
	 * ever over.
	 */
	return m->safe || rng_chance(m->rng, 700) ? (m->c->is32 ? USER_CS32 : USER_CS64) :
	       rng_chance(m->rng, 500)		  ? USER_CS64 :
						    random_selector(m);
}

static void before_division(struct making *m)
{
	uint64_t rax = *gpr(m, X86_RAX);

	if (!rng_chance(m->rng, 700))
		return;
	/* A dividend that fits, for signed and for unsigned division; and AH for the byte forms. */
	set_gpr(m, X86_RDX, rng_chance(m->rng, 500) ? 0 : (uint64_t)((int64_t)rax >> 63));
	if (rng_chance(m->rng, 500))
		set_gpr(m, X86_RAX, rax & ~UINT64_C(0xff00));
}

static bool is_string(const struct built *b)
{
	return b->zi.meta.category == ZYDIS_CATEGORY_STRINGOP || b->zi.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

static void aim_registers(struct making *m, const struct built *b)
{
	const struct difference *d = difference_find(b->zi.mnemonic);

	switch (b->zi.mnemonic) {
	case ZYDIS_MNEMONIC_DIV:
	case ZYDIS_MNEMONIC_IDIV:
		before_division(m);
		break;
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_INT:
		/* No number of a system call that a seccomp filter is not asked about. */
		set_gpr(m, X86_RAX, rng_next(m->rng) | 0x10000);
		break;
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		/* The register reaches far beyond the operand, in bits and with a sign. */
		if (b->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY && b->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    !rng_chance(m->rng, 50))
			set_gpr(m, gpr_number(b->op[1].reg.value), rng_below(m->rng, 0x2000) - 0x1000u);
		break;
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_VPCMPESTRI:
	case ZYDIS_MNEMONIC_VPCMPESTRM:
		if (rng_chance(m->rng, 700)) {
			set_gpr(m, X86_RAX, rng_below(m->rng, 40) - 20u);
			set_gpr(m, X86_RDX, rng_below(m->rng, 40) - 20u);
		}
		break;
	case ZYDIS_MNEMONIC_ENTER:
	case ZYDIS_MNEMONIC_LEAVE:
		set_gpr(m, X86_RBP, random_target(m, 8));
		break;
	default:
		break;
	}
	if (is_string(b) && b->zi.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE))
		set_gpr(m, X86_RCX,
			rng_chance(m->rng, 700) ? rng_below(m->rng, 20) :
			rng_chance(m->rng, 900) ? rng_below(m->rng, 5000) :
						  rng_next(m->rng));
	if (b->zi.meta.category == ZYDIS_CATEGORY_SEGOP || b->zi.meta.isa_set == ZYDIS_ISA_SET_I286PROTECTED ||
	    (b->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	     ZydisRegisterGetClass(b->op[0].reg.value) == ZYDIS_REGCLASS_SEGMENT))
		for (unsigned i = 0; i < b->zi.operand_count_visible; i++)
			if (b->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(b->op[i].reg.value))
				set_gpr(m, gpr_number(b->op[i].reg.value),
					(rng_next(m->rng) & ~UINT64_C(0xffff)) | random_selector(m));
	if (d && d->what & DIFFER_RAX_7) {
		set_gpr(m, X86_RAX, rng_next(m->rng) & 7);
		set_gpr(m, X86_RDX, 0);
	}
}

/* A return frame at addr: offset, CS, and what IRET takes besides. */
static void poke_frame(struct making *m, const struct built *b, uint64_t addr)
{
	unsigned size = b->zi.operand_width / 8u;
	uint64_t slots[] = { aim_code_target(m), random_code_selector(m),
			     (rng_next(m->rng) & 0x200cd5) | X86_FLAG_IF | X86_FLAG_FIXED, random_target(m, 8),
			     rng_chance(m->rng, 800) ? USER_DS : random_selector(m) };

	for (unsigned i = 0; i < G_N_ELEMENTS(slots); i++)
		poke(m, addr + (uint64_t)i * size, slots[i], size);
}

static void poke_state_image(struct making *m, uint64_t addr, bool header)
{
	poke(m, addr + 24, rng_next(m->rng) & (rng_chance(m->rng, 950) ? 0xffff : UINT32_MAX), 4);
	if (!header)
		return;
	poke(m, addr + 512, rng_next(m->rng) & (rng_chance(m->rng, 950) ? 7 : UINT64_MAX), 8);
	poke(m, addr + 520, rng_chance(m->rng, 950) ? 0 : rng_next(m->rng), 8);
	for (unsigned i = 16; i < 64 && rng_chance(m->rng, 970); i += 8)
		poke(m, addr + 512 + i, 0, 8);
}

static void aim_memory(struct making *m, const struct built *b, const ZydisDecodedOperand *op, uint64_t addr)
{
	unsigned size = op->size / 8u;

	switch (b->zi.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
		if (b->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR && size > 2) {
			poke(m, addr, aim_code_target(m), size - 2);
			poke(m, addr + size - 2, random_code_selector(m), 2);
		} else if (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ && size <= 8) {
			poke(m, addr, aim_code_target(m), size);
		}
		break;
	case ZYDIS_MNEMONIC_RET:
		if (b->zi.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) {
			poke(m, addr, aim_code_target(m), 8);
			break;
		}
		poke_frame(m, b, addr);
		break;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		poke_frame(m, b, addr);
		break;
	case ZYDIS_MNEMONIC_LDS:
	case ZYDIS_MNEMONIC_LES:
	case ZYDIS_MNEMONIC_LSS:
	case ZYDIS_MNEMONIC_LFS:
	case ZYDIS_MNEMONIC_LGS:
		poke(m, addr + size - 2, random_selector(m), 2);
		break;
	case ZYDIS_MNEMONIC_POP:
		if (b->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(b->op[0].reg.value) == ZYDIS_REGCLASS_SEGMENT)
			poke(m, addr, random_selector(m), 2);
		break;
	case ZYDIS_MNEMONIC_LAR:
	case ZYDIS_MNEMONIC_VERR:
	case ZYDIS_MNEMONIC_VERW:
		poke(m, addr, random_selector(m), 2);
		break;
	case ZYDIS_MNEMONIC_MOV:
		if (b->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(b->op[0].reg.value) == ZYDIS_REGCLASS_SEGMENT)
			poke(m, addr, random_selector(m), 2);
		break;
	case ZYDIS_MNEMONIC_LDMXCSR:
	case ZYDIS_MNEMONIC_VLDMXCSR:
		poke(m, addr, rng_next(m->rng) & (rng_chance(m->rng, 900) ? 0xffff : UINT32_MAX), 4);
		break;
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		poke_state_image(m, addr, false);
		break;
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		poke_state_image(m, addr, true);
		break;
	case ZYDIS_MNEMONIC_CMPXCHG:
		/* Equal, half the time. */
		if (rng_chance(m->rng, 500))
			poke(m, addr, *gpr(m, X86_RAX), size);
		break;
	case ZYDIS_MNEMONIC_CMPXCHG8B:
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		if (rng_chance(m->rng, 500)) {
			poke(m, addr, *gpr(m, X86_RAX), size / 2);
			poke(m, addr + size / 2, *gpr(m, X86_RDX), size / 2);
		}
		break;
	default:
		break;
	}
}

static void aim_branch(struct making *m, struct built *b)
{
	const ZydisDecodedOperand *op = &b->op[0];

	unsigned size = b->zi.raw.imm[0].size / 8u;
	uint64_t distance = rng_below(m->rng, size == 1 ? 0x60 : 0x300);

	/* To an INT3, not into the instruction itself: it would never end. */
	if (b->zi.raw.imm[0].is_relative && (size == 1 || !rng_chance(m->rng, 50)))
		put_bytes(b->bytes + b->zi.raw.imm[0].offset, rng_chance(m->rng, 300) ? -0x20 - distance : distance,
			  size);
	if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(op->reg.value) &&
	    b->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR)
		set_gpr(m, gpr_number(op->reg.value), aim_code_target(m));
}

/* Operands of several pieces, and what the table says. */
bool checks_alignment_its_way(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *op)
{
	const struct difference *d = difference_find(zi->mnemonic);

	for (unsigned i = 0; i < zi->operand_count; i++) {
		unsigned size = op[i].size;

		if (op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && (size & (size - 1) || size > 256))
			return true;
	}
	return zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || (d && d->what & DIFFER_NO_AC);
}

/*
 * Written in two pieces, the first stays when the second faults; of the slots of a far return frame only what matters
 * is read.
 */
static bool leaves_pieces(const struct built *b)
{
	return b->zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
	       (b->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY && b->op[0].size == 80 &&
		b->op[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
}

void aim(struct making *m, struct built *b)
{
	const struct difference *d = difference_find(b->zi.mnemonic);
	bool inside = (d && d->what & DIFFER_INSIDE) || leaves_pieces(b);

	aim_registers(m, b);
	if (d && d->what & DIFFER_UNDERFLOW)
		m->c->start.fx.mxcsr |= MXCSR_UM;
	if (checks_alignment_its_way(&b->zi, b->op))
		m->c->start.rflags &= ~(uint64_t)X86_FLAG_AC;
	if (b->zi.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
		aim_branch(m, b);
	for (unsigned i = 0; i < b->zi.operand_count; i++) {
		ZydisDecodedOperand *op = &b->op[i];
		uint64_t addr;

		if (op->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (ZydisRegisterGetClass(op->mem.index) == ZYDIS_REGCLASS_XMM ||
		    ZydisRegisterGetClass(op->mem.index) == ZYDIS_REGCLASS_YMM) {
			aim_vector_index(m, op);
			aim_operand(m, b, op, DATA_BASE + DATA_SIZE / 2);
			continue;
		}
		/*
		 * Which piece of a big operand must be inside the limit of a segment with a base is a subtlety again.
		 */
		if (m->c->is32 && op->size > 512)
			m->c->start.fs_base = m->c->start.gs_base = 0;
		addr = aim_operand(m, b, op,
				   inside ? DATA_BASE + 64 + rng_below(m->rng, DATA_SIZE - 128) :
					    random_target(m, op->size / 8u));
		aim_memory(m, b, op, addr);
	}
}
