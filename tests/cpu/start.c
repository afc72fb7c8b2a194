/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state a case begins in: random, but such as a processor can be in, and mostly such that an instruction has
 * something to do.
 */
#include <string.h>

#include "tests/cpu/conform.h"

static void random_x87_state(struct rng *rng, struct x86_fxsave *fx)
{
	uint16_t flags = rng_chance(rng, 300) ? (uint16_t)(rng_next(rng) & 0x3f) : 0;

	fx->fcw = 0x37f;
	if (rng_chance(rng, 400))
		fx->fcw = (uint16_t)((rng_next(rng) & 0xf00) | 0x7f);
	if (rng_chance(rng, 150))
		fx->fcw = (uint16_t)((fx->fcw & ~0x3fu) | (rng_next(rng) & 0x3f));
	/* A pending exception makes nearly everything #MF: a few times is enough. */
	if (!rng_chance(rng, 30))
		flags &= fx->fcw;
	fx->fsw = (uint16_t)(flags | (rng_next(rng) & 0x7f00) | (flags & ~fx->fcw & 0x3f ? 0x8080 : 0));
	/* A stack fault is a kind of invalid operation. */
	if (flags & 1 && rng_chance(rng, 300))
		fx->fsw |= 0x40;
	fx->ftw = rng_chance(rng, 500) ? 0xff : rng_chance(rng, 500) ? (uint8_t)rng_next(rng) : 0;
	fx->fop = (uint16_t)(rng_next(rng) & 0x7ff);
	fx->fip = rng_next(rng) >> 20;
	fx->fdp = rng_next(rng) >> 20;
	for (unsigned i = 0; i < 8; i++)
		random_x87(rng, fx->st[i]);
}

static void random_vectors(struct rng *rng, struct conform_state *s)
{
	for (unsigned i = 0; i < 16; i++) {
		random_vector(rng, s->fx.xmm[i]);
		random_vector(rng, s->ymm_high[i]);
	}
	s->fx.mxcsr = 0x1f80;
	if (rng_chance(rng, 400))
		s->fx.mxcsr = (uint32_t)(rng_next(rng) & 0xffff) | 0x1f80;
	if (rng_chance(rng, 150))
		s->fx.mxcsr = (uint32_t)(rng_next(rng) & 0xffff);
	/* Flags that are set already hide what an instruction sets. */
	if (rng_chance(rng, 700))
		s->fx.mxcsr &= ~0x3fu;
}

static uint64_t random_flags(struct rng *rng)
{
	uint64_t flags = (rng_next(rng) & (X86_FLAGS_ARITH | X86_FLAG_ID)) | X86_FLAG_FIXED | X86_FLAG_IF;

	if (rng_chance(rng, 200))
		flags |= X86_FLAG_DF;
	if (rng_chance(rng, 20))
		flags |= X86_FLAG_AC;
	if (rng_chance(rng, 10))
		flags |= X86_FLAG_NT;
	if (rng_chance(rng, 10))
		flags |= X86_FLAG_TF;
	return flags;
}

/*
 * A base for FS or GS: into the windows, anywhere canonical, or 0. In 32-bit code below the windows, so that few
 * offsets wrap around.
 */
static uint64_t random_base(struct rng *rng, bool is32)
{
	uint64_t base = rng_next(rng);

	switch (rng_below(rng, 4)) {
	case 0:
		return 0;
	case 1:
		return is32 ? base & 0xffff : (uint64_t)((int64_t)base >> 17);
	default:
		return is32 ? base % DATA_BASE : DATA_BASE + (base & 0xfff);
	}
}

void gen_start(struct rng *rng, bool is32, struct conform_case *c)
{
	struct conform_state *s = &c->start;

	memset(c, 0, sizeof(*c));
	c->is32 = is32;
	c->image = (uint8_t)rng_below(rng, N_IMAGES);
	random_x87_state(rng, &s->fx);
	random_vectors(rng, s);
	s->rflags = random_flags(rng);
	for (unsigned i = 0; i < X86_N_GPRS; i++)
		s->gpr[i] = rng_chance(rng, 100) ? DATA_BASE + rng_below(rng, DATA_SIZE) : random_integer(rng);
	s->fs_base = random_base(rng, is32);
	s->gs_base = random_base(rng, is32);
	s->seg[X86_CS] = is32 ? USER_CS32 : USER_CS64;
	s->seg[X86_SS] = USER_DS;
	if (!is32)
		return;
	s->seg[X86_DS] = s->seg[X86_ES] = s->seg[X86_FS] = s->seg[X86_GS] = USER_DS;
	for (unsigned i = 0; i < X86_N_GPRS; i++)
		s->gpr[i] = i < 8 ? (uint32_t)s->gpr[i] : 0;
}
