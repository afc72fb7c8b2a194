/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_CPU_GEN_H
#define LODGE_TESTS_CPU_GEN_H

#include "tests/cpu/conform.h"

/*
 * Shared by gen.c, which composes instructions, and aim.c, which then chooses registers and memory so that the
 * instruction has something to do.
 */
struct built {
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
};

/* The case under construction. */
struct making {
	struct conform_case *c;
	struct rng *rng;
	uint16_t fixed; /* general registers that something relies on */
	bool safe;	/* mostly addresses that work: there is more than one instruction */
	uint64_t at;	/* address of the instruction being aimed */
};

/* Sets registers, memory and displacements for an instruction at m->at; may change b->bytes. */
void aim(struct making *m, struct built *b);

/* With RFLAGS.AC: whether a misaligned operand is #AC, #GP or nothing is up to the processor. */
bool checks_alignment_its_way(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *op);

/* An address to jump to: mostly an INT3. */
uint64_t aim_code_target(struct making *m);

static inline void put_bytes(uint8_t *at, uint64_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(val >> i * 8);
}

#endif
