/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vector instructions whose memory is touched element by element: gathers, masked loads and stores. They cannot run as
 * themselves: every element may lie in another page, and masked-off elements must not fault. SDM volume 2: VGATHER*,
 * VPGATHER*, VMASKMOV*, VPMASKMOV*, MASKMOVQ, MASKMOVDQU.
 */
#include <string.h>

#include "vmm/cpu/native.h"

/* aux32 of these records */
#define V_ELEMENT(x) ((x) & 0xffu)	  /* bytes of an element */
#define V_COUNT(x) ((x) >> 8 & 0xffu)	  /* elements */
#define V_INDEX(x) ((x) >> 16 & 0xfu)	  /* gathers: bytes of an index */
#define V_STORE 0x100000u
#define V_LEGACY 0x200000u
#define V_MMX 0x400000u
#define V_WIDE 0x800000u /* gathers: 256-bit form */
/* r1: destination or source, r2: mask, aux: index register (vector numbers, not offsets) */

union vector {
	uint8_t b[32];
	uint32_t d[8];
	uint64_t q[4];
};

static union vector vector_get(const struct soft_cpu *cpu, unsigned reg)
{
	union vector v;

	memcpy(v.b, cpu->fx.xmm[reg], 16);
	memcpy(v.b + 16, cpu->ymm_high[reg], 16);
	return v;
}

static void vector_set(struct soft_cpu *cpu, unsigned reg, const union vector *v)
{
	memcpy(cpu->fx.xmm[reg], v->b, 16);
	memcpy(cpu->ymm_high[reg], v->b + 16, 16);
}

static bool element_on(const union vector *mask, unsigned i, unsigned size)
{
	return size == 4 ? mask->d[i] >> 31 : (bool)(mask->q[i] >> 63);
}

/* Elements are not subject to alignment checks, unlike every other access of their size. */
static uint64_t load_element(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size)
{
	uint64_t val = 0;

	if (G_UNLIKELY(cpu->rflags & X86_FLAG_AC))
		soft_read_bytes(cpu, in, addr, &val, size);
	else
		val = size == 4 ? soft_load32(cpu, in, addr) : soft_load64(cpu, in, addr);
	return val;
}

static void store_element(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned size, uint64_t val)
{
	if (G_UNLIKELY(cpu->rflags & X86_FLAG_AC))
		soft_write_bytes(cpu, in, addr, &val, size);
	else if (size == 4)
		soft_store32(cpu, in, addr, (uint32_t)val);
	else
		soft_store64(cpu, in, addr, val);
}

/* offset: in the segment of the operand. */
static uint64_t element_address(struct soft_cpu *cpu, const struct insn *in, uint64_t offset, unsigned size, unsigned access)
{
	return soft_linear(cpu, in, (enum x86_seg)in->seg, soft_is64(cpu) ? offset : (uint32_t)offset, size, access);
}

/* A gather begins by spreading out the sign bit of each mask element; beyond the vector's length the mask is 0. */
static void normalize_mask(union vector *mask, unsigned size, unsigned length)
{
	union vector old = *mask;

	memset(mask, 0, sizeof *mask);
	for (unsigned i = 0; i < length / size; i++)
		memset(mask->b + i * size, element_on(&old, i, size) ? 0xff : 0, size);
}

/*
 * Completed elements stay completed when a later one faults: destination and mask are updated as it goes, and as every VEX write does, the first
 * such update clears what lies beyond the vector's length.
 */
static OP(op_gather)
{
	unsigned size = V_ELEMENT(in->aux32), n = V_COUNT(in->aux32), isize = V_INDEX(in->aux32);
	unsigned length = in->aux32 & V_WIDE ? 32 : 16;
	union vector mask, dst, index;

	fpu_check_avx(cpu, in);
	mask = vector_get(cpu, in->r2);
	dst = vector_get(cpu, in->r1);
	index = vector_get(cpu, in->aux);
	normalize_mask(&mask, size, length);
	vector_set(cpu, in->r2, &mask);
	for (unsigned i = 0; i < n; i++) {
		int64_t offset = isize == 4 ? (int32_t)index.d[i] : (int64_t)index.q[i];
		uint64_t addr;

		if (!element_on(&mask, i, size))
			continue;
		addr = REG64(cpu, in->base) + ((uint64_t)offset << in->scale) + (uint64_t)(int64_t)in->disp;
		addr = in->flags & INSN_EA32 ? (uint32_t)addr : in->flags & INSN_EA16 ? (uint16_t)addr : addr;
		addr = soft_linear(cpu, in, (enum x86_seg)in->seg, addr, size, ACCESS_READ);
		if (size == 4) {
			dst.d[i] = (uint32_t)load_element(cpu, in, addr, 4);
			mask.d[i] = 0;
		} else {
			dst.q[i] = load_element(cpu, in, addr, 8);
			mask.q[i] = 0;
		}
		memset(dst.b + length, 0, sizeof dst.b - length);
		vector_set(cpu, in->r1, &dst);
		vector_set(cpu, in->r2, &mask);
	}
	memset(dst.b + n * size, 0, sizeof dst.b - n * size);
	memset(&mask, 0, sizeof mask);
	vector_set(cpu, in->r1, &dst);
	vector_set(cpu, in->r2, &mask);
	return NEXT(cpu, in);
}

static OP(op_masked_load)
{
	unsigned size = V_ELEMENT(in->aux32), n = V_COUNT(in->aux32);
	union vector mask, dst = { .q = { 0 } };
	uint64_t addr, offset = soft_ea_offset(cpu, in);

	fpu_check_avx(cpu, in);
	mask = vector_get(cpu, in->r2);
	for (unsigned i = 0; i < n; i++) {
		if (!element_on(&mask, i, size))
			continue;
		addr = element_address(cpu, in, offset + i * size, size, ACCESS_READ);
		if (size == 4)
			dst.d[i] = (uint32_t)load_element(cpu, in, addr, 4);
		else
			dst.q[i] = load_element(cpu, in, addr, 8);
	}
	vector_set(cpu, in->r1, &dst);
	return NEXT(cpu, in);
}

/* All stores or none: what may fault is found out first. */
static OP(op_masked_store)
{
	unsigned size = V_ELEMENT(in->aux32), n = V_COUNT(in->aux32);
	union vector mask, src;
	uint64_t addr[8], offset = soft_ea_offset(cpu, in);

	fpu_check_avx(cpu, in);
	mask = vector_get(cpu, in->r2);
	src = vector_get(cpu, in->r1);
	for (unsigned i = 0; i < n; i++) {
		if (!element_on(&mask, i, size))
			continue;
		addr[i] = element_address(cpu, in, offset + i * size, size, ACCESS_WRITE);
		soft_probe_write(cpu, in, addr[i], size);
	}
	for (unsigned i = 0; i < n; i++) {
		if (element_on(&mask, i, size))
			store_element(cpu, in, addr[i], size, size == 4 ? src.d[i] : src.q[i]);
	}
	return NEXT(cpu, in);
}

/* MASKMOVQ / MASKMOVDQU: bytes to DS:rDI where the mask byte's top bit is set. */
static OP(op_maskmov)
{
	unsigned n = V_COUNT(in->aux32);
	const uint8_t *src, *mask;
	uint64_t addr[16], offset = soft_ea_offset(cpu, in);

	if (in->aux32 & V_MMX) {
		if (cpu->cr0 & X86_CR0_EM)
			soft_ud(cpu, in);
		fpu_check_x87(cpu, in, true);
		src = cpu->fx.st[(in->r1 - (cpu->fx.fsw >> 11)) & 7];
		mask = cpu->fx.st[(in->r2 - (cpu->fx.fsw >> 11)) & 7];
	} else {
		if (in->aux32 & V_LEGACY)
			fpu_check_sse(cpu, in);
		else
			fpu_check_avx(cpu, in);
		src = cpu->fx.xmm[in->r1];
		mask = cpu->fx.xmm[in->r2];
	}
	for (unsigned i = 0; i < n; i++) {
		if (!(mask[i] & 0x80))
			continue;
		addr[i] = element_address(cpu, in, offset + i, 1, ACCESS_WRITE);
		soft_probe_write(cpu, in, addr[i], 1);
	}
	for (unsigned i = 0; i < n; i++) {
		if (mask[i] & 0x80)
			soft_store8(cpu, in, addr[i], src[i]);
	}
	if (in->aux32 & V_MMX) {
		/* An MMX instruction makes the whole stack valid and its top 0. */
		cpu->fx.ftw = 0xff;
		fpu_set_top(cpu, 0);
	}
	return NEXT(cpu, in);
}

static uint8_t vector_id(const ZydisDecodedOperand *op)
{
	return (uint8_t)ZydisRegisterGetId(op->reg.value);
}

static op_fn gather(struct decoder *d, struct insn *in, unsigned index_size, unsigned element)
{
	unsigned dst_bytes = d->op[0].size / 8, index_bytes = (unsigned)ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, d->op[1].mem.index) / 8;
	unsigned n = MIN(dst_bytes / element, index_bytes / index_size);

	in->r1 = vector_id(&d->op[0]);
	in->r2 = vector_id(&d->op[2]);
	in->aux = (uint16_t)ZydisRegisterGetId(d->op[1].mem.index);
	in->aux32 = element | n << 8 | index_size << 16 | (MAX(dst_bytes, index_bytes) == 32 ? V_WIDE : 0);
	/* Destination, index and mask must be three registers. */
	if (in->r1 == in->r2 || in->r1 == in->aux || in->r2 == in->aux)
		return op_ud;
	return op_gather;
}

static op_fn masked(struct decoder *d, struct insn *in, unsigned element)
{
	bool store = d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY;

	in->r1 = vector_id(&d->op[store ? 2 : 0]);
	in->r2 = vector_id(&d->op[1]);
	in->aux32 = element | d->op[1].size / 8 / element << 8;
	return store ? op_masked_store : op_masked_load;
}

/* Segment of the first memory operand, hidden or not. */
static uint8_t memory_segment(const struct decoder *d)
{
	for (unsigned i = 0; i < d->zi.operand_count; i++) {
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && d->op[i].mem.segment != ZYDIS_REGISTER_NONE)
			return (uint8_t)(d->op[i].mem.segment - ZYDIS_REGISTER_ES);
	}
	return X86_DS;
}

static op_fn maskmov(struct decoder *d, struct insn *in, uint32_t bits)
{
	unsigned first = d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? 1 : 0;

	/* The destination is an implicit operand: DS (or an override) and the address-size form of RDI. */
	in->base = X86_RDI * 8;
	in->index = SLOT_ZERO;
	in->disp = 0;
	in->seg = memory_segment(d);
	if (d->mode != MODE_64 || in->seg == X86_FS || in->seg == X86_GS || in->flags & INSN_EA32)
		in->flags |= INSN_EA_SLOW;
	in->r1 = vector_id(&d->op[first]);
	in->r2 = vector_id(&d->op[first + 1]);
	in->aux32 = 1 | (bits & V_MMX ? 8u : 16u) << 8 | bits;
	return op_maskmov;
}

op_fn decode_scattered(struct decoder *d, struct insn *in)
{
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_VGATHERDPS:
	case ZYDIS_MNEMONIC_VPGATHERDD:
		return gather(d, in, 4, 4);
	case ZYDIS_MNEMONIC_VGATHERDPD:
	case ZYDIS_MNEMONIC_VPGATHERDQ:
		return gather(d, in, 4, 8);
	case ZYDIS_MNEMONIC_VGATHERQPS:
	case ZYDIS_MNEMONIC_VPGATHERQD:
		return gather(d, in, 8, 4);
	case ZYDIS_MNEMONIC_VGATHERQPD:
	case ZYDIS_MNEMONIC_VPGATHERQQ:
		return gather(d, in, 8, 8);
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
		return masked(d, in, 4);
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		return masked(d, in, 8);
	case ZYDIS_MNEMONIC_MASKMOVQ:
		return maskmov(d, in, V_MMX);
	case ZYDIS_MNEMONIC_MASKMOVDQU:
		return maskmov(d, in, V_LEGACY);
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
		return maskmov(d, in, 0);
	default:
		return NULL;
	}
}
