/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MOVS, STOS, LODS, CMPS, SCAS. SDM volume 2; volume 1 section 7.3.9.
 *
 * Repeated forms work in spans: as many elements as lie in one page on both sides, reached through host pointers.
 * Registers are updated after every span, so a fault in the next one, or an interrupt between two, finds a
 * restartable instruction. A span gives the same memory contents as one element after the other would; where the two
 * operands overlap so that this makes a difference, it is done element by element.
 */
#include <string.h>

#include "vmm/cpu/op-string.h"

/* ---- spans ---- */

/*
 * n elements in host memory, the first one processed at host; n 0: a single element, by the slow path (MMIO, ROM,
 * page crossing).
 */
struct span {
	uint8_t *host;
	uint64_t n;
};

#define NOTED_WRITE_MAX 64u /* soft_ptr() reports at most this much of a write to a page with flags */

static bool writable_whole_page(struct soft_cpu *cpu, uint64_t addr)
{
	return soft_tlb(cpu, addr)->wtag == (addr & PAGE_MASK);
}

/*
 * Elements until the offset wraps around, or as many as the segment's limit certainly admits (at least the one that
 * has been checked).
 */
static uint64_t segment_room(struct soft_cpu *cpu, const struct insn *in, enum x86_gpr reg, unsigned size, uint64_t n)
{
	const struct x86_segment *seg = &cpu->seg[reg == X86_RDI ? X86_ES : in->seg];
	uint64_t offset = string_get(cpu, in, reg), mask = string_mask(in);

	if (cpu->rflags & X86_FLAG_DF)
		n = MIN(n, offset / size + 1);
	else if (mask != UINT64_MAX)
		n = MIN(n, (mask - offset + 1) / size);
	if (soft_is64(cpu))
		return MAX(n, 1);
	if (!(seg->attr & SEG_CODE) && seg->attr & SEG_EXPAND_DOWN)
		return 1;
	if (!(cpu->rflags & X86_FLAG_DF) && offset + n * size - 1 > seg->limit)
		return 1;
	return MAX(n, 1);
}

static struct span span_at(struct soft_cpu *cpu, const struct insn *in, enum x86_gpr reg, unsigned size,
			   unsigned access, uint64_t want)
{
	uint64_t addr = string_address(cpu, in, reg, size, access), in_page = addr & ~PAGE_MASK;
	struct span span = { .host = soft_ptr(cpu, in, addr, size, access) };
	bool down = cpu->rflags & X86_FLAG_DF;

	if (!span.host)
		return span;
	span.n = MIN(want, down ? in_page / size + 1 : (~PAGE_MASK + 1 - in_page) / size);
	if (G_UNLIKELY(in->flags & INSN_EA_SLOW))
		span.n = segment_room(cpu, in, reg, size, span.n);
	if (access == ACCESS_READ || span.n == 1 || writable_whole_page(cpu, addr))
		return span;
	/* Alignment checks are for one element. */
	span.n = down || cpu->rflags & X86_FLAG_AC ? 1 : MIN(span.n, NOTED_WRITE_MAX / size);
	span.host = soft_ptr(cpu, in, addr, (unsigned)span.n * size, access);
	return span;
}

static uint64_t wanted(const struct soft_cpu *cpu, const struct insn *in)
{
	return cpu->single_step ? 1 : string_get(cpu, in, X86_RCX);
}

/* After n elements of a repeated instruction: RCX counts down; true when more is to be done but not now. */
static bool count_down(struct soft_cpu *cpu, const struct insn *in, uint64_t n)
{
	string_add(cpu, in, X86_RCX, -(int64_t)n);
	return string_get(cpu, in, X86_RCX) && string_must_pause(cpu);
}

static struct block *pause_here(struct soft_cpu *cpu, const struct insn *in)
{
	return soft_end(cpu, in, soft_ip_mask(cpu, INSN_RIP(cpu, in)));
}

#define T8 uint8_t
#define T16 u16_alias
#define T32 u32_alias
#define T64 u64_alias
#define SFX8 "b"
#define SFX16 "w"
#define SFX32 "l"
#define SFX64 "q"

#define EACH_SIZE(X) X(8) X(16) X(32) X(64)

/* ---- MOVS ---- */

#define COPY(bits) \
	static void copy_up##bits(uint8_t *to, const uint8_t *from, uint64_t n) \
	{ \
		for (uint64_t i = 0; i < n; i++) \
			((volatile T##bits *)to)[i] = ((const volatile T##bits *)from)[i]; \
	} \
	static void copy_down##bits(uint8_t *to, const uint8_t *from, uint64_t n) \
	{ \
		for (uint64_t i = 0; i < n; i++) \
			((volatile T##bits *)to)[-(int64_t)i] = ((const volatile T##bits *)from)[-(int64_t)i]; \
	} \
	static void copy_span##bits(uint8_t *to, const uint8_t *from, uint64_t n, bool down) \
	{ \
		uint64_t len = n * (bits / 8), back = down ? len - bits / 8 : 0; \
		uint64_t ahead = down ? (uintptr_t)from - (uintptr_t)to : (uintptr_t)to - (uintptr_t)from; \
 \
		if (n > 4 && ahead >= len) \
			memmove(to - back, from - back, len); \
		else if (down) \
			copy_down##bits(to, from, n); \
		else \
			copy_up##bits(to, from, n); \
	}

#define MOVS(bits) \
	static OP(op_movs##bits) \
	{ \
		uint64_t from = string_address(cpu, in, X86_RSI, bits / 8, ACCESS_READ); \
		uint64_t to = string_address(cpu, in, X86_RDI, bits / 8, ACCESS_WRITE); \
 \
		soft_store##bits(cpu, in, to, soft_load##bits(cpu, in, from)); \
		string_add(cpu, in, X86_RSI, string_step(cpu, bits / 8)); \
		string_add(cpu, in, X86_RDI, string_step(cpu, bits / 8)); \
		return NEXT(cpu, in); \
	} \
	static OP(op_rep_movs##bits) \
	{ \
		int64_t step = string_step(cpu, bits / 8); \
 \
		for (uint64_t n = wanted(cpu, in); string_get(cpu, in, X86_RCX); n = wanted(cpu, in)) { \
			struct span from = span_at(cpu, in, X86_RSI, bits / 8, ACCESS_READ, n); \
			struct span to = span_at(cpu, in, X86_RDI, bits / 8, ACCESS_WRITE, from.n ? from.n : 1); \
 \
			n = MIN(from.n, to.n); \
			if (G_UNLIKELY(!n)) { \
				element_movs(cpu, in, bits / 8); \
				n = 1; \
			} else { \
				copy_span##bits(to.host, from.host, n, step < 0); \
			} \
			string_add(cpu, in, X86_RSI, step * (int64_t)n); \
			string_add(cpu, in, X86_RDI, step * (int64_t)n); \
			if (count_down(cpu, in, n)) \
				return pause_here(cpu, in); \
		} \
		return NEXT(cpu, in); \
	}

static void element_movs(struct soft_cpu *cpu, const struct insn *in, unsigned size)
{
	uint64_t from = string_address(cpu, in, X86_RSI, size, ACCESS_READ),
		 to = string_address(cpu, in, X86_RDI, size, ACCESS_WRITE);

	soft_store_n(cpu, in, to, size, soft_load_n(cpu, in, from, size));
}

EACH_SIZE(COPY)
EACH_SIZE(MOVS)

/* ---- STOS ---- */

static void store_element(struct soft_cpu *cpu, const struct insn *in, unsigned size, uint64_t val)
{
	soft_store_n(cpu, in, string_address(cpu, in, X86_RDI, size, ACCESS_WRITE), size, val);
}

#define STOS(bits) \
	static void fill_span##bits(uint8_t *to, T##bits val, uint64_t n, bool down) \
	{ \
		T##bits *p = (T##bits *)(to - (down ? (n - 1) * (bits / 8) : 0)); \
 \
		if (val == 0) { \
			memset(p, 0, n * (bits / 8)); \
			return; \
		} \
		for (uint64_t i = 0; i < n; i++) \
			p[i] = val; \
	} \
	static OP(op_stos##bits) \
	{ \
		uint64_t to = string_address(cpu, in, X86_RDI, bits / 8, ACCESS_WRITE); \
 \
		soft_store##bits(cpu, in, to, REG##bits(cpu, X86_RAX * 8)); \
		string_add(cpu, in, X86_RDI, string_step(cpu, bits / 8)); \
		return NEXT(cpu, in); \
	} \
	static OP(op_rep_stos##bits) \
	{ \
		int64_t step = string_step(cpu, bits / 8); \
		uint##bits##_t val = REG##bits(cpu, X86_RAX * 8); \
 \
		for (uint64_t n = wanted(cpu, in); string_get(cpu, in, X86_RCX); n = wanted(cpu, in)) { \
			struct span to = span_at(cpu, in, X86_RDI, bits / 8, ACCESS_WRITE, n); \
 \
			n = MAX(to.n, 1); \
			if (G_LIKELY(to.host)) \
				fill_span##bits(to.host, val, n, step < 0); \
			else \
				store_element(cpu, in, bits / 8, val); \
			string_add(cpu, in, X86_RDI, step * (int64_t)n); \
			if (count_down(cpu, in, n)) \
				return pause_here(cpu, in); \
		} \
		return NEXT(cpu, in); \
	}

EACH_SIZE(STOS)

/* ---- LODS ---- */

#define LODS(bits) \
	static void lods##bits(struct soft_cpu *cpu, const struct insn *in) \
	{ \
		uint64_t from = string_address(cpu, in, X86_RSI, bits / 8, ACCESS_READ); \
 \
		soft_reg_set(cpu, X86_RAX * 8, bits / 8, soft_load##bits(cpu, in, from)); \
		string_add(cpu, in, X86_RSI, string_step(cpu, bits / 8)); \
	} \
	static OP(op_lods##bits) \
	{ \
		lods##bits(cpu, in); \
		return NEXT(cpu, in); \
	} \
	static OP(op_rep_lods##bits) \
	{ \
		while (string_get(cpu, in, X86_RCX)) { \
			lods##bits(cpu, in); \
			if (count_down(cpu, in, 1)) \
				return pause_here(cpu, in); \
		} \
		return NEXT(cpu, in); \
	}

EACH_SIZE(LODS)

/* ---- CMPS, SCAS ---- */

/* Processors look at ES:RDI first, which shows when both operands fault. */

/*
 * Elements compared until one ends the repetition (or n): equal says what goes on. *last: flags of the last
 * comparison.
 */
#define COMPARE(bits) \
	static inline uint32_t compare##bits(uint##bits##_t a, uint##bits##_t b) \
	{ \
		uint32_t ax; \
 \
		__asm__("cmp" SFX##bits " %[b], %[a]\n\tlahf\n\tseto %%al" \
			: "=&a"(ax) \
			: [a] "q"(a), [b] "q"(b) \
			: "cc"); \
		return ax; \
	} \
	static uint64_t cmps_span##bits(const uint8_t *left, const uint8_t *right, uint64_t n, int64_t step, \
					bool equal, uint32_t *last) \
	{ \
		uint64_t i = 0; \
		uint##bits##_t a, b; \
 \
		do { \
			a = *(const T##bits *)(left + (int64_t)i * step); \
			b = *(const T##bits *)(right + (int64_t)i * step); \
			i++; \
		} while (i < n && (a == b) == equal); \
		*last = compare##bits(a, b); \
		return i; \
	} \
	static uint64_t scas_span##bits(uint##bits##_t a, const uint8_t *right, uint64_t n, int64_t step, bool equal, \
					uint32_t *last) \
	{ \
		uint64_t i = 0; \
		uint##bits##_t b; \
 \
		do { \
			b = *(const T##bits *)(right + (int64_t)i++ * step); \
		} while (i < n && (a == b) == equal); \
		*last = compare##bits(a, b); \
		return i; \
	}

#define CMPS(bits) \
	static uint32_t cmps##bits(struct soft_cpu *cpu, const struct insn *in) \
	{ \
		uint64_t right = string_address(cpu, in, X86_RDI, bits / 8, ACCESS_READ); \
		uint##bits##_t b = soft_load##bits(cpu, in, right); \
		uint64_t left = string_address(cpu, in, X86_RSI, bits / 8, ACCESS_READ); \
		uint##bits##_t a = soft_load##bits(cpu, in, left); \
 \
		return compare##bits(a, b); \
	} \
	static OP(op_cmps##bits) \
	{ \
		cpu->cc = cmps##bits(cpu, in); \
		string_add(cpu, in, X86_RSI, string_step(cpu, bits / 8)); \
		string_add(cpu, in, X86_RDI, string_step(cpu, bits / 8)); \
		return NEXT(cpu, in); \
	} \
	static OP(op_rep_cmps##bits) \
	{ \
		int64_t step = string_step(cpu, bits / 8); \
		bool equal = in->flags & INSN_REP, paused; \
		uint32_t cc = cpu->cc; \
 \
		for (uint64_t n = wanted(cpu, in); string_get(cpu, in, X86_RCX); n = wanted(cpu, in)) { \
			struct span right = span_at(cpu, in, X86_RDI, bits / 8, ACCESS_READ, n); \
			struct span left = span_at(cpu, in, X86_RSI, bits / 8, ACCESS_READ, n); \
 \
			n = MIN(left.n, right.n); \
			if (G_LIKELY(n)) { \
				n = cmps_span##bits(left.host, right.host, n, step, equal, &cc); \
			} else { \
				cc = cmps##bits(cpu, in); \
				n = 1; \
			} \
			string_add(cpu, in, X86_RSI, step * (int64_t)n); \
			string_add(cpu, in, X86_RDI, step * (int64_t)n); \
			paused = count_down(cpu, in, n); \
			if (!!(cc & CC_ZF) != equal) \
				break; \
			if (paused) \
				return pause_here(cpu, in); \
		} \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	}

#define SCAS(bits) \
	static uint32_t scas##bits(struct soft_cpu *cpu, const struct insn *in) \
	{ \
		uint64_t addr = string_address(cpu, in, X86_RDI, bits / 8, ACCESS_READ); \
 \
		return compare##bits(REG##bits(cpu, X86_RAX * 8), soft_load##bits(cpu, in, addr)); \
	} \
	static OP(op_scas##bits) \
	{ \
		cpu->cc = scas##bits(cpu, in); \
		string_add(cpu, in, X86_RDI, string_step(cpu, bits / 8)); \
		return NEXT(cpu, in); \
	} \
	static OP(op_rep_scas##bits) \
	{ \
		int64_t step = string_step(cpu, bits / 8); \
		bool equal = in->flags & INSN_REP, paused; \
		uint32_t cc = cpu->cc; \
 \
		for (uint64_t n = wanted(cpu, in); string_get(cpu, in, X86_RCX); n = wanted(cpu, in)) { \
			struct span at = span_at(cpu, in, X86_RDI, bits / 8, ACCESS_READ, n); \
 \
			n = 1; \
			if (G_LIKELY(at.n)) \
				n = scas_span##bits(REG##bits(cpu, X86_RAX * 8), at.host, at.n, step, equal, &cc); \
			else \
				cc = scas##bits(cpu, in); \
			string_add(cpu, in, X86_RDI, step * (int64_t)n); \
			paused = count_down(cpu, in, n); \
			if (!!(cc & CC_ZF) != equal) \
				break; \
			if (paused) \
				return pause_here(cpu, in); \
		} \
		cpu->cc = cc; \
		return NEXT(cpu, in); \
	}

EACH_SIZE(COMPARE)
EACH_SIZE(CMPS)
EACH_SIZE(SCAS)

/* ---- decoding ---- */

struct string_row {
	op_fn single[4], repeated[4]; /* by size: 1, 2, 4, 8 bytes */
};

#define ROW(name) \
	{ \
		{ op_##name##8, op_##name##16, op_##name##32, op_##name##64 }, \
		{ op_rep_##name##8, op_rep_##name##16, op_rep_##name##32, op_rep_##name##64 }, \
	}

static const struct string_row row_movs = ROW(movs), row_stos = ROW(stos), row_lods = ROW(lods), row_cmps = ROW(cmps),
			       row_scas = ROW(scas);

static const struct string_row *find_row(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_MOVSQ:
		return &row_movs;
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_STOSQ:
		return &row_stos;
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_LODSQ:
		return &row_lods;
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_CMPSD:
	case ZYDIS_MNEMONIC_CMPSQ:
		return &row_cmps;
	case ZYDIS_MNEMONIC_SCASB:
	case ZYDIS_MNEMONIC_SCASW:
	case ZYDIS_MNEMONIC_SCASD:
	case ZYDIS_MNEMONIC_SCASQ:
		return &row_scas;
	default:
		return NULL;
	}
}

op_fn decode_string(struct decoder *d, struct insn *in)
{
	const struct string_row *row = find_row(d->zi.mnemonic);
	unsigned size_index;

	/* MOVSD and CMPSD are also SSE2 instructions, with other categories. */
	if (row && d->zi.meta.category != ZYDIS_CATEGORY_STRINGOP)
		return NULL;
	if (!row)
		return decode_io(d, in);
	string_decode(d, in);
	size_index = (unsigned)g_bit_nth_lsf(in->aux, -1);
	return string_repeats(in) ? row->repeated[size_index] : row->single[size_index];
}
