/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_CPU_CONFORM_H
#define LODGE_TESTS_CPU_CONFORM_H

#include <Zydis/Zydis.h>
#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>

#include "core/base/cleanup.h"
#include "vmm/cpuid.h"
#include "vmm/x86-state.h"

/*
 * Instruction conformance: a *case* is a snippet of user-mode code with the whole state it starts from. The host
 * processor runs it in a guarded child (host.c), the software CPU runs it in a small long-mode guest (soft-
 * side.c), both at the same virtual addresses, and whatever ends it (an INT3 behind the snippet, or a fault)
 * leaves an *outcome*; the two must be equal (compare.c). gen.c makes cases from a seed, script.c holds those
 * written by hand.
 *
 * A case depends on nothing but the seed and its number, so any one can be made again alone.
 *
 * Addresses, the same on both sides; everything else below 2^47 is unmapped:
 *
 *   CODE    2 pages  read, execute    filled with INT3 around the snippet
 *   DATA    2 pages  read, write      starts as one of the images
 *   READ    1 page   read             right behind DATA
 */
#define CODE_BASE 0x30000000u
#define CODE_SIZE 0x2000u
#define DATA_BASE 0x30011000u
#define DATA_SIZE 0x2000u
#define READ_BASE (DATA_BASE + DATA_SIZE)
#define READ_SIZE 0x1000u
#define WINDOW_END (READ_BASE + READ_SIZE)

#define CODE_MAX 96u /* bytes of a snippet */
#define INSNS_MAX 8u /* instructions of a snippet */
#define POKES_MAX 12u
#define N_IMAGES 16u
#define BATCH 128u

#define USER_CS32 0x23u /* selectors: Linux' own, so that programs that look at them see the same */
#define USER_DS 0x2bu
#define USER_CS64 0x33u

struct conform_state {
	struct x86_fxsave fx;
	uint8_t ymm_high[16][16];
	uint64_t gpr[X86_N_GPRS];
	uint64_t rip;
	uint64_t rflags;
	uint64_t fs_base, gs_base;
	uint16_t seg[X86_N_SEGS]; /* selectors */
};

struct conform_poke {
	uint32_t addr; /* in DATA */
	uint32_t size; /* 1 to 8 bytes */
	uint64_t val;
};

struct conform_case {
	struct conform_state start; /* rip: first byte of the snippet */
	uint64_t number;
	uint8_t code[CODE_MAX];
	uint8_t len;
	uint8_t n_insns;
	bool is32;	/* compatibility mode */
	bool undefined; /* not offered to the guest: #UD there, and the host does not run it at all */
	uint8_t image;	/* what DATA holds, apart from: */
	uint8_t n_pokes;
	struct conform_poke pokes[POKES_MAX];
	ZydisMnemonic mnemonic; /* of the first instruction */
	const char *script;	/* name of a case written by hand, or NULL */
};

/* Beyond the 32 exceptions. */
enum { OUTCOME_SYSCALL = 0x100, OUTCOME_TIMEOUT, OUTCOME_DIED, OUTCOME_INTERRUPT_80 };

struct conform_outcome {
	struct conform_state state; /* as the exception found it */
	uint32_t vector;	    /* exception, or OUTCOME_* */
	uint32_t error;		    /* 0 where there is none */
	uint64_t cr2;		    /* page faults */
	uint8_t data[DATA_SIZE];
};

/* ---- random numbers ---- */

struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *rng)
{
	/* SplitMix64: every seed is as good as any other. */
	uint64_t z = rng->s += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)(((rng_next(rng) >> 32) * n) >> 32);
}

/* True in n of a thousand. */
static inline bool rng_chance(struct rng *rng, uint32_t n)
{
	return rng_below(rng, 1000) < n;
}

static inline struct rng rng_for(uint64_t seed, uint64_t number)
{
	struct rng rng = { .s = seed * UINT64_C(0xd1342543de82ef95) + number };

	rng.s = rng_next(&rng) ^ number;
	return rng;
}

/* ---- images of DATA and READ (image.c) ---- */

struct conform_images {
	uint8_t data[N_IMAGES][DATA_SIZE];
	uint8_t read[READ_SIZE];
};

/* Memory full of numbers that are worth computing with; the same in every run. */
void images_fill(struct conform_images *images);

/* Edge values as often as random ones. */
uint64_t random_integer(struct rng *rng);
void random_vector(struct rng *rng, uint8_t bytes[16]); /* packed integers, floats, doubles or halves */
void random_x87(struct rng *rng, uint8_t bytes[16]);	/* an 80-bit value of any kind */

/* ---- the host's side (host.c) ---- */

struct host;

/* NULL: the host does not let a process do this; *why says what. */
struct host *host_new(char **why);
void host_free(struct host *host);
DEFINE_AUTOPTR(host, host_free)

/* Cases of batch 0 or 1, to be filled in before host_start(); outcomes are there after host_wait(). */
struct conform_case *host_cases(struct host *host, unsigned batch);
void host_start(struct host *host, unsigned batch, unsigned n);
const struct conform_outcome *host_wait(struct host *host, unsigned batch);

const struct conform_images *host_images(const struct host *host);
/* True when something of the test's own is mapped there. */
bool host_maps(const struct host *host, uint64_t addr);
/* True when system calls out of a snippet are caught. */
bool host_guards_syscalls(const struct host *host);

/* ---- the software CPU's side (soft-side.c) ---- */

struct soft_side;

struct soft_side *soft_side_new(const struct conform_images *images);
void soft_side_free(struct soft_side *side);
DEFINE_AUTOPTR(soft_side, soft_side_free)

void soft_side_run(struct soft_side *side, const struct conform_case *c, struct conform_outcome *out);
const struct cpu_features *soft_side_features(const struct soft_side *side);

/* ---- making cases (gen.c) ---- */

struct gen;

/* For instructions that both sides have. only: a mnemonic, or NULL for all. NULL when there is no such instruction. */
struct gen *gen_new(bool is32, const struct cpu_features *guest, const char *only, bool syscalls);
void gen_free(struct gen *gen);
DEFINE_AUTOPTR(gen, gen_free)

/* Case `number` of a seed: one instruction, or a sequence. */
void gen_single(const struct gen *gen, uint64_t seed, uint64_t number, struct conform_case *c);
void gen_sequence(const struct gen *gen, uint64_t seed, uint64_t number, struct conform_case *c);
/* Bytes without a plan: undefined and overlong encodings, and instructions that CPUID does not offer. */
void gen_bytes(const struct gen *gen, uint64_t seed, uint64_t number, struct conform_case *c);
size_t gen_n_mnemonics(const struct gen *gen);
/* A random start but for rip; also for cases written by hand. */
void gen_start(struct rng *rng, bool is32, struct conform_case *c);

/* ---- cases written by hand (script.c) ---- */

size_t scripts_n(void);
/* The scripts in turn; false when this one needs a feature that is not offered. */
bool script_make(const struct cpu_features *features, uint64_t seed, uint64_t number, struct conform_case *c);

/* ---- what is known to differ (differences.c) ---- */

#define DIFFER_NEVER_RUN 0x01u /* not generated at all */
#define DIFFER_ALONE 0x02u     /* only in cases of one instruction */
#define DIFFER_RAX_7 0x04u     /* EDX:EAX is a mask of state components: only those that both sides have */
#define DIFFER_CR2 \
	0x08u /* touches memory in several places, in an order that is the processor's own: CR2 is not compared */
#define DIFFER_MXCSR 0x10u	/* exception flags are not compared after a fault */
#define DIFFER_COUNT 0x20u	/* flags below only count for shifts by one */
#define DIFFER_INSIDE 0x40u	/* its operand lies in DATA, all of it */
#define DIFFER_FAULT 0x100u	/* not compared when the host faults at it */
#define DIFFER_UNDERFLOW 0x200u /* starts with underflow masked in MXCSR */
#define DIFFER_NO_AC 0x80u	/* checks alignment in its own way: starts with RFLAGS.AC clear */

struct difference {
	ZydisMnemonic mnemonic;
	unsigned what;	/* DIFFER_* */
	uint32_t flags; /* RFLAGS bits that are not compared */
	const char *reason;
};

/* The row of a mnemonic, or NULL. */
const struct difference *difference_find(ZydisMnemonic mnemonic);

/* ---- comparing (compare.c) ---- */

/* True when equal; otherwise a text for people in *report (when not NULL). flags: RFLAGS bits to leave out. */
bool outcomes_equal(const struct conform_case *c, const struct conform_outcome *host,
		    const struct conform_outcome *soft, char **report);

/* True when an undefined instruction has left everything as it was but for raising #UD. */
bool outcome_is_undefined(const struct conform_case *c, const struct conform_outcome *soft, char **report);

/* Disassembly of a case, one instruction a line. */
char *case_disassemble(const struct conform_case *c);

#endif
