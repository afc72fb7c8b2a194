/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything the comparison leaves out, with the reason. */
#include "tests/cpu/conform.h"

#define NEVER(m, why) { ZYDIS_MNEMONIC_##m, DIFFER_NEVER_RUN, 0, why }
#define ALONE(m, why) { ZYDIS_MNEMONIC_##m, DIFFER_ALONE, 0, why }
#define MASK7(m, why) { ZYDIS_MNEMONIC_##m, DIFFER_RAX_7 | DIFFER_CR2, 0, why }

#define ORDER(m) { ZYDIS_MNEMONIC_##m, DIFFER_CR2, 0, "touches memory in several places, in an order of the processor's own" }
#define ROTATE(m) { ZYDIS_MNEMONIC_##m, DIFFER_ALONE | DIFFER_COUNT, X86_FLAG_OF, "OF after rotating by more than one is undefined, and not the same for an immediate as for CL" }

#define WHY_TIME "reads a clock"
#define WHY_RANDOM "random by design"
#define WHY_IDENTITY "tells about this very processor"
#define WHY_UMIP "CR4.UMIP makes it #GP, which Linux hides by emulating it"
#define WHY_COMPONENTS "the host has more state components than the guest"

static const struct difference differences[] = {
	NEVER(RDTSC, WHY_TIME),
	NEVER(RDTSCP, WHY_TIME),
	NEVER(RDPMC, "Linux allows it or not, and what it counts differs"),
	NEVER(RDRAND, WHY_RANDOM),
	NEVER(RDSEED, WHY_RANDOM),
	NEVER(CPUID, WHY_IDENTITY),
	NEVER(RDPID, WHY_IDENTITY),
	NEVER(XGETBV, WHY_COMPONENTS),
	NEVER(LSL, "the limit of Linux' per-CPU descriptor is the number of the processor the child runs on"),
	NEVER(SGDT, WHY_UMIP),
	NEVER(SIDT, WHY_UMIP),
	NEVER(SLDT, WHY_UMIP),
	NEVER(SMSW, WHY_UMIP),
	NEVER(STR, WHY_UMIP),
	NEVER(SYSENTER, "Linux forgets where it came from"),
	MASK7(XSAVE, WHY_COMPONENTS),
	MASK7(XSAVE64, WHY_COMPONENTS),
	{ ZYDIS_MNEMONIC_XSAVEOPT, DIFFER_RAX_7 | DIFFER_CR2 | DIFFER_ALONE, 0, "may leave out what an XRSTOR before it loaded" },
	{ ZYDIS_MNEMONIC_XSAVEOPT64, DIFFER_RAX_7 | DIFFER_CR2 | DIFFER_ALONE, 0, "may leave out what an XRSTOR before it loaded" },
	MASK7(XRSTOR, WHY_COMPONENTS),
	MASK7(XRSTOR64, WHY_COMPONENTS),
	ROTATE(ROL),
	ROTATE(ROR),
	ORDER(FLDENV),
	ORDER(FNSAVE),
	ORDER(FNSTENV),
	ORDER(FRSTOR),
	ORDER(FXRSTOR),
	ORDER(FXRSTOR64),
	ORDER(FXSAVE),
	ORDER(FXSAVE64),
	ORDER(IRET),
	ORDER(IRETD),
	ORDER(IRETQ),
	ORDER(MASKMOVDQU),
	ORDER(VMASKMOVDQU),
	{ ZYDIS_MNEMONIC_MASKMOVQ, DIFFER_CR2 | DIFFER_X87, 0, "has become an MMX instruction before it faults" },
	{ ZYDIS_MNEMONIC_MOVNTQ, DIFFER_X87, 0, "has become an MMX instruction before it faults" },
};

const struct difference *difference_find(ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < G_N_ELEMENTS(differences); i++) {
		if (differences[i].mnemonic == mnemonic)
			return &differences[i];
	}
	return NULL;
}
