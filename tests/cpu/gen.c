/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases from random numbers. The whole opcode space is walked once with the decoder; what it accepts, and both
 * sides offer, becomes a list of skeletons (encoding, map, opcode, mandatory prefix, ModRM form) grouped by
 * mnemonic. A case picks a mnemonic first, so that rare instructions get as many cases as common ones, then a
 * skeleton, and fills in the rest: prefixes, registers, addressing form, immediates.
 */
#include "tests/cpu/gen.h"

#include <string.h>

#include "vmm/cpu/machine.h"

/* Opcodes are enumerated with these, so they are rare in the list but frequent in what is composed. */
struct skeleton {
	uint16_t mnemonic;
	uint8_t vex, map, opcode;
	uint8_t pp; /* index into pp_prefixes */
	uint8_t w, l;
	uint8_t has_modrm, modrm;
	uint8_t any_rm; /* registers: the same instruction whatever ModRM.rm is */
	uint8_t vsib;	/* memory: with a vector of indices */
};

struct group {
	guint first, count;
};

struct gen {
	bool is32;
	ZydisDecoder decoder;
	const struct cpu_features *guest;
	struct cpu_features host;
	ZydisMnemonic only; /* INVALID: all */
	bool syscalls;
	GArray *skeletons; /* sorted by mnemonic */
	GArray *groups;
	GArray *alone_free; /* groups that may be part of a sequence */
};

static const uint8_t pp_prefixes[] = { 0, 0x66, 0xf3, 0xf2 };

/* ---- which instructions ---- */

static bool allowed(const struct gen *gen, const ZydisDecodedInstruction *zi)
{
	const struct difference *d = difference_find(zi->mnemonic);

	if (gen->only != ZYDIS_MNEMONIC_INVALID && zi->mnemonic != gen->only)
		return false;
	if (!isa_offered(gen->guest, zi) || !isa_offered(&gen->host, zi) || (d && d->what & DIFFER_NEVER_RUN))
		return false;
	/* Where their pieces lie when a 32-bit address wraps around is too much of a subtlety. */
	if (d && d->what & DIFFER_RAX_7 && !gen->is32 && zi->address_width == 32)
		return false;
	if (zi->mnemonic == ZYDIS_MNEMONIC_SYSCALL ||
	    (zi->mnemonic == ZYDIS_MNEMONIC_INT && zi->raw.imm[0].value.u == 0x80))
		return gen->syscalls;
	return true;
}

static unsigned put_escape(uint8_t *p, unsigned map)
{
	unsigned n = 0;

	if (map > 0)
		p[n++] = 0x0f;
	if (map > 1)
		p[n++] = map == 2 ? 0x38 : 0x3a;
	return n;
}

static unsigned put_vex(uint8_t *p, const struct skeleton *s, uint8_t rxb, uint8_t vvvv, bool compact)
{
	uint8_t last = (uint8_t)((vvvv ^ 15) << 3 | s->l << 2 | (s->pp == 2 ? 2 : s->pp == 3 ? 3 : s->pp));

	if (compact && s->map == 1 && !s->w && !(rxb & 3)) {
		p[0] = 0xc5;
		p[1] = (uint8_t)((rxb & 4 ? 0 : 0x80) | last);
		return 2;
	}
	p[0] = 0xc4;
	p[1] = (uint8_t)((~rxb & 7) << 5 | s->map);
	p[2] = (uint8_t)(s->w << 7 | last);
	return 3;
}

static bool decode(const struct gen *gen, const uint8_t *bytes, size_t len, struct built *b)
{
	ZydisDecoderContext context;

	return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&gen->decoder, &context, bytes, len, &b->zi)) &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&gen->decoder, &context, &b->zi, b->op, b->zi.operand_count));
}

/* Adds the skeleton if it decodes as meant. Returns whether its ModRM byte matters. */
static bool try_skeleton(struct gen *gen, struct skeleton s)
{
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH] = { 0 };
	struct built b;
	unsigned n = 0;

	if (s.vex) {
		n = put_vex(bytes, &s, 0, s.vsib ? 2 : 0, false);
	} else {
		if (s.pp)
			bytes[n++] = pp_prefixes[s.pp];
		if (s.w)
			bytes[n++] = 0x48;
		n += put_escape(bytes + n, s.map);
	}
	bytes[n++] = s.opcode;
	bytes[n] = (uint8_t)(s.modrm | (s.vsib ? 4 : 0));
	/* Index register 1: it must be none of the others. */
	bytes[n + 1] = 0x08;
	if (!decode(gen, bytes, sizeof(bytes), &b)) {
		if (!s.vex || s.vsib || s.modrm >= 0xc0)
			return true;
		s.vsib = 1;
		return try_skeleton(gen, s);
	}
	s.has_modrm = !!(b.zi.attributes & ZYDIS_ATTRIB_HAS_MODRM);
	s.mnemonic = (uint16_t)b.zi.mnemonic;
	if (b.zi.opcode == s.opcode && allowed(gen, &b.zi))
		g_array_append_val(gen->skeletons, s);
	return s.has_modrm;
}

/* The eight register forms of one ModRM.reg: one skeleton if they are the same instruction. */
static void walk_rm(struct gen *gen, struct skeleton s, unsigned modrm)
{
	guint first = gen->skeletons->len;
	const struct skeleton *found;

	for (unsigned rm = 0; rm < 8; rm++) {
		s.modrm = (uint8_t)(modrm | rm);
		try_skeleton(gen, s);
	}
	found = &g_array_index(gen->skeletons, struct skeleton, first);
	for (guint i = 0; i < 8; i++) {
		if (first + i == gen->skeletons->len || found[i].mnemonic != found[0].mnemonic)
			return;
	}
	g_array_index(gen->skeletons, struct skeleton, first).any_rm = 1;
	g_array_set_size(gen->skeletons, first + 1);
}

static void walk_modrm(struct gen *gen, struct skeleton s)
{
	for (unsigned modrm = 0; modrm < 0x40; modrm += 8) {
		s.modrm = (uint8_t)modrm;
		if (!try_skeleton(gen, s))
			return;
	}
	for (unsigned modrm = 0xc0; modrm < 0x100; modrm += 8)
		walk_rm(gen, s, modrm);
}

static bool is_prefix(const struct gen *gen, unsigned opcode)
{
	static const uint8_t prefixes[] = { 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return memchr(prefixes, (int)opcode, sizeof(prefixes)) || (!gen->is32 && opcode >= 0x40 && opcode < 0x50);
}

static void walk_opcodes(struct gen *gen, struct skeleton s)
{
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		if (!s.vex && s.map == 0 && is_prefix(gen, opcode))
			continue;
		s.opcode = (uint8_t)opcode;
		walk_modrm(gen, s);
	}
}

static void walk_maps(struct gen *gen)
{
	for (unsigned i = 0; i < 4 * 4 * 2; i++) {
		struct skeleton s = { .map = i & 3, .pp = i >> 2 & 3, .w = (uint8_t)(i >> 4) };

		if (!gen->is32 || !s.w)
			walk_opcodes(gen, s);
	}
	for (unsigned i = 0; i < 3 * 4 * 2 * 2; i++) {
		struct skeleton s = {
			.vex = 1, .map = (uint8_t)(1 + i % 3), .pp = i / 3 & 3, .w = i / 12 & 1, .l = (uint8_t)(i / 24)
		};

		walk_opcodes(gen, s);
	}
}

static gint compare_skeletons(gconstpointer a, gconstpointer b)
{
	return (gint)((const struct skeleton *)a)->mnemonic - (gint)((const struct skeleton *)b)->mnemonic;
}

static void make_groups(struct gen *gen)
{
	struct group *group = NULL;

	g_array_sort(gen->skeletons, compare_skeletons);
	for (guint i = 0; i < gen->skeletons->len; i++) {
		const struct skeleton *s = &g_array_index(gen->skeletons, struct skeleton, i);
		const struct difference *d = difference_find((ZydisMnemonic)s->mnemonic);

		if (i > 0 && s[-1].mnemonic == s->mnemonic) {
			group->count++;
			if (!(d && d->what & DIFFER_ALONE))
				g_array_index(gen->alone_free, struct group, gen->alone_free->len - 1).count++;
			continue;
		}
		g_array_append_val(gen->groups, ((struct group){ .first = i, .count = 1 }));
		group = &g_array_index(gen->groups, struct group, gen->groups->len - 1);
		if (!(d && d->what & DIFFER_ALONE))
			g_array_append_val(gen->alone_free, *group);
	}
}

static ZydisMnemonic find_mnemonic(const char *name)
{
	for (unsigned m = 1; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++) {
		if (g_ascii_strcasecmp(ZydisMnemonicGetString((ZydisMnemonic)m), name) == 0)
			return (ZydisMnemonic)m;
	}
	return ZYDIS_MNEMONIC_INVALID;
}

struct gen *gen_new(bool is32, const struct cpu_features *guest, const char *only, bool syscalls)
{
	autoptr(gen) gen = g_new0(struct gen, 1);
	struct soft_decoders decoders;

	gen->is32 = is32;
	gen->guest = guest;
	gen->syscalls = syscalls;
	cpu_features_host(&gen->host);
	gen->skeletons = g_array_new(FALSE, FALSE, sizeof(struct skeleton));
	gen->groups = g_array_new(FALSE, FALSE, sizeof(struct group));
	gen->alone_free = g_array_new(FALSE, FALSE, sizeof(struct group));
	gen->only = only ? find_mnemonic(only) : ZYDIS_MNEMONIC_INVALID;
	if (only && gen->only == ZYDIS_MNEMONIC_INVALID)
		return NULL;
	decode_init(&decoders, guest);
	gen->decoder = is32 ? decoders.d32 : decoders.d64;
	walk_maps(gen);
	make_groups(gen);
	return gen->groups->len ? g_steal_pointer(&gen) : NULL;
}

void gen_free(struct gen *gen)
{
	g_array_unref(gen->skeletons);
	g_array_unref(gen->groups);
	g_array_unref(gen->alone_free);
	g_free(gen);
}

size_t gen_n_mnemonics(const struct gen *gen)
{
	return gen->groups->len;
}

/* ---- one instruction ---- */

static unsigned put_prefixes(const struct gen *gen, struct rng *rng, const struct skeleton *s, uint8_t *p)
{
	static const uint8_t segments[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	unsigned n = 0;

	if (rng_chance(rng, 90))
		p[n++] = segments[rng_below(rng, G_N_ELEMENTS(segments))];
	if (rng_chance(rng, gen->is32 ? 20 : 60))
		p[n++] = 0x67;
	if (s->vex)
		return n;
	if (rng_chance(rng, s->has_modrm && s->modrm < 0xc0 ? 80 : 5))
		p[n++] = 0xf0;
	else if (!s->pp && rng_chance(rng, 40))
		p[n++] = rng_chance(rng, 500) ? 0xf2 : 0xf3;
	else if (s->pp > 1 && rng_chance(rng, 60))
		p[n++] = 0x66;
	if (s->pp)
		p[n++] = pp_prefixes[s->pp];
	return n;
}

/* ModRM, SIB and displacement of a random memory form with the given register field. */
static unsigned put_memory(struct rng *rng, const struct skeleton *s, uint8_t *p)
{
	unsigned mod = rng_below(rng, 3), rm = rng_below(rng, 8), n = 0, disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	uint64_t val = rng_next(rng);

	if (s->vsib)
		rm = 4;
	p[n++] = (uint8_t)(mod << 6 | (s->modrm & 0x38) | rm);
	if (rm == 4) {
		p[n++] = (uint8_t)(val >> 32);
		if (mod == 0 && (p[1] & 7) == 5)
			disp = 4;
	} else if (mod == 0 && rm == 5) {
		disp = 4;
	}
	put_bytes(p + n, val, disp);
	return n + disp;
}

static unsigned put_immediate(struct rng *rng, uint8_t *p)
{
	static const uint8_t fills[] = { 0x00, 0xff, 0x01, 0x7f, 0x80 };

	put_bytes(p, rng_next(rng), 8);
	if (rng_chance(rng, 250))
		memset(p, fills[rng_below(rng, G_N_ELEMENTS(fills))], 1 + rng_below(rng, 4));
	return 8;
}

static unsigned compose(const struct gen *gen, struct rng *rng, const struct skeleton *s, uint8_t bytes[40])
{
	uint8_t rxb = gen->is32 ? 0 : (uint8_t)(rng_next(rng) & (rng_chance(rng, 600) ? 7 : 0));
	unsigned n = put_prefixes(gen, rng, s, bytes);

	if (s->vex) {
		uint8_t vvvv = rng_chance(rng, 500) ? 0 : (uint8_t)(rng_next(rng) & (gen->is32 ? 7 : 15));

		n += put_vex(bytes + n, s, rxb, vvvv, rng_chance(rng, 500));
	} else {
		if (!gen->is32 && (s->w || rxb || rng_chance(rng, 100)))
			bytes[n++] = (uint8_t)(0x40 | s->w << 3 | rxb);
		n += put_escape(bytes + n, s->map);
	}
	bytes[n++] = s->opcode;
	if (s->has_modrm && s->modrm < 0xc0)
		n += put_memory(rng, s, bytes + n);
	else if (s->has_modrm)
		bytes[n++] = (uint8_t)(s->modrm | (s->any_rm ? rng_below(rng, 8) : 0));
	return n + put_immediate(rng, bytes + n);
}

static const struct skeleton *pick_skeleton(const struct gen *gen, struct rng *rng, const GArray *groups)
{
	const struct group *group = &g_array_index(groups, struct group, rng_below(rng, groups->len));

	return &g_array_index(gen->skeletons, struct skeleton, group->first + rng_below(rng, group->count));
}

/* In 64-bit mode, with 32-bit addresses: what becomes of the registers' upper halves differs. */
static bool short_repeat(const struct gen *gen, const ZydisDecodedInstruction *zi)
{
	return !gen->is32 && zi->address_width == 32 &&
	       zi->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

/*
 * Most compositions decode; those that do not (a LOCK where none may be, a forbidden VVVV) are worth a case now and
 * then.
 */
static bool build(const struct gen *gen, struct rng *rng, const GArray *groups, struct built *b)
{
	for (;;) {
		const struct skeleton *s = pick_skeleton(gen, rng, groups);

		for (unsigned tries = 0; tries < 8; tries++) {
			uint8_t bytes[40] = { 0 };

			compose(gen, rng, s, bytes);
			memcpy(b->bytes, bytes, sizeof(b->bytes));
			if (decode(gen, b->bytes, sizeof(b->bytes), b)) {
				if (allowed(gen, &b->zi) && (groups == gen->groups || !short_repeat(gen, &b->zi)))
					return true;
			} else if (groups == gen->groups && rng_chance(rng, 30)) {
				return false;
			}
		}
	}
}

/* ---- whole cases ---- */

/* Where the snippet lies: usually inside a page, now and then across two, or running into the hole behind. */
static uint64_t random_rip(struct rng *rng, unsigned len)
{
	if (rng_chance(rng, 30))
		return CODE_BASE + 0x1000 - 1 - rng_below(rng, len);
	if (rng_chance(rng, 10))
		return CODE_BASE + CODE_SIZE - len;
	return CODE_BASE + 0x400 + rng_below(rng, 0x800);
}

static void begin(struct rng *rng, uint64_t number, bool is32, struct conform_case *c, struct making *m)
{
	gen_start(rng, is32, c);
	c->number = number;
	*m = (struct making){ .c = c, .rng = rng };
}

void gen_single(const struct gen *gen, uint64_t seed, uint64_t number, struct conform_case *c)
{
	struct rng rng = rng_for(seed, number);
	struct making m;
	struct built b;
	bool valid;

	begin(&rng, number, gen->is32, c, &m);
	valid = build(gen, &rng, gen->groups, &b);
	c->n_insns = 1;
	c->len = valid ? b.zi.length : sizeof(b.bytes);
	c->start.rip = m.at = random_rip(&rng, c->len);
	c->mnemonic = valid ? b.zi.mnemonic : ZYDIS_MNEMONIC_INVALID;
	if (valid)
		aim(&m, &b);
	memcpy(c->code, b.bytes, c->len);
}

static bool is_relative(const struct built *b)
{
	return b->zi.raw.imm[0].is_relative;
}

/* An opcode of any map and encoding with random bytes behind it. */
static unsigned put_random_opcode(struct rng *rng, uint8_t *p)
{
	unsigned what = rng_below(rng, 100), n = 0;

	if (what < 65)
		n = put_escape(p, what < 35 ? 0 : what < 45 ? 1 : what < 55 ? 2 : 3);
	else
		p[n++] = what < 70 ? 0xc5 : what < 80 ? 0xc4 : what < 90 ? 0x62 : 0x8f;
	put_bytes(p + n, rng_next(rng), 8);
	put_bytes(p + n + 8, rng_next(rng), 8);
	/* EVEX has bits that must be 0 and 1, which chance seldom gets right; so has the map of XOP. */
	if (what >= 80 && what < 90 && rng_chance(rng, 900)) {
		p[1] = (uint8_t)((p[1] & 0xf0) | (1 + rng_below(rng, 3)));
		p[2] |= 4;
	} else if (what >= 90 && rng_chance(rng, 900)) {
		p[1] = (uint8_t)((p[1] & 0xe0) | (8 + rng_below(rng, 3)));
	}
	return n + 16;
}

static void random_bytes(const struct gen *gen, struct rng *rng, uint8_t bytes[40])
{
	static const uint8_t prefixes[] = {
		0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0xf3
	};
	unsigned n = 0, count = rng_chance(rng, 20) ? 8 + rng_below(rng, 8) : rng_below(rng, 4);

	memset(bytes, 0, 40);
	while (count--)
		bytes[n++] = prefixes[rng_below(rng, G_N_ELEMENTS(prefixes))];
	if (!gen->is32 && rng_chance(rng, 300))
		bytes[n++] = (uint8_t)(0x40 | rng_below(rng, 16));
	put_random_opcode(rng, bytes + n);
}

/*
 * VMCALL or VMMCALL with a prefix that makes it undefined for the decoder, but perhaps not for the host's own
 * hypervisor.
 */
static bool may_call_hypervisor(const uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH])
{
	for (unsigned i = 0; i + 2 < ZYDIS_MAX_INSTRUCTION_LENGTH; i++) {
		if (bytes[i] == 0x0f && bytes[i + 1] == 0x01 && (bytes[i + 2] == 0xc1 || bytes[i + 2] == 0xd9))
			return true;
	}
	return false;
}

/* What both sides can be asked about: nothing that only one of them has, or that is known to differ. */
static bool comparable(const struct gen *gen, const struct built *b, bool valid, struct conform_case *c)
{
	if (!valid)
		return !may_call_hypervisor(b->bytes);
	c->undefined = !isa_offered(gen->guest, &b->zi);
	return c->undefined || allowed(gen, &b->zi);
}

void gen_bytes(const struct gen *gen, uint64_t seed, uint64_t number, struct conform_case *c)
{
	struct rng rng = rng_for(seed, number);
	uint8_t bytes[40];
	struct making m;
	struct built b;
	bool valid;

	begin(&rng, number, gen->is32, c, &m);
	do {
		random_bytes(gen, &rng, bytes);
		memcpy(b.bytes, bytes, sizeof(b.bytes));
		valid = decode(gen, b.bytes, sizeof(b.bytes), &b);
	} while (!comparable(gen, &b, valid, c));
	c->n_insns = 1;
	c->len = valid ? b.zi.length : sizeof(b.bytes);
	c->start.rip = m.at = random_rip(&rng, c->len);
	c->mnemonic = valid ? b.zi.mnemonic : ZYDIS_MNEMONIC_INVALID;
	if (valid && !c->undefined)
		aim(&m, &b);
	memcpy(c->code, b.bytes, c->len);
}

/* Branches go forward, to instruction boundaries of the snippet or just behind it, so that it ends. */
static void link_branches(struct making *m, struct built *b, unsigned n)
{
	unsigned off[INSNS_MAX + 1] = { 0 };

	for (unsigned i = 0; i < n; i++)
		off[i + 1] = off[i] + b[i].zi.length;
	for (unsigned i = 0; i < n; i++) {
		unsigned target = i + 1 + rng_below(m->rng, n - i);

		if (is_relative(&b[i]))
			put_bytes(b[i].bytes + b[i].zi.raw.imm[0].offset, off[target] - off[i + 1],
				  b[i].zi.raw.imm[0].size / 8u);
		memcpy(m->c->code + off[i], b[i].bytes, b[i].zi.length);
	}
	m->c->len = (uint8_t)off[n];
}

void gen_sequence(const struct gen *gen, uint64_t seed, uint64_t number, struct conform_case *c)
{
	struct rng rng = rng_for(seed, number);
	struct built b[INSNS_MAX];
	struct making m;
	unsigned n = 2 + rng_below(&rng, INSNS_MAX - 1), len = 0;

	begin(&rng, number, gen->is32, c, &m);
	m.safe = true;
	for (unsigned i = 0; i < n; i++) {
		build(gen, &rng, gen->alone_free->len ? gen->alone_free : gen->groups, &b[i]);
		len += b[i].zi.length;
		/* Snippets have limited room. */
		if (len > CODE_MAX - ZYDIS_MAX_INSTRUCTION_LENGTH)
			n = i + 1;
	}
	c->n_insns = (uint8_t)n;
	c->mnemonic = b[0].zi.mnemonic;
	c->start.rip = m.at = random_rip(&rng, len);
	for (unsigned i = 0; i < n; i++) {
		aim(&m, &b[i]);
		m.at += b[i].zi.length;
	}
	link_branches(&m, b, n);
}
