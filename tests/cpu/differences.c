/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything the comparison leaves out, with the reason. */
#include "tests/cpu/conform.h"

#define NEVER(m, why) { ZYDIS_MNEMONIC_##m, DIFFER_NEVER_RUN, 0, why }
#define ALONE(m, why) { ZYDIS_MNEMONIC_##m, DIFFER_ALONE, 0, why }
#define MASK7(m, why) { ZYDIS_MNEMONIC_##m, DIFFER_RAX_7, 0, why }

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
	{ ZYDIS_MNEMONIC_XSAVEOPT, DIFFER_RAX_7 | DIFFER_ALONE, 0, "may leave out what an XRSTOR before it loaded" },
	{ ZYDIS_MNEMONIC_XSAVEOPT64, DIFFER_RAX_7 | DIFFER_ALONE, 0, "may leave out what an XRSTOR before it loaded" },
	MASK7(XRSTOR, WHY_COMPONENTS),
	MASK7(XRSTOR64, WHY_COMPONENTS),
};

const struct difference *difference_find(ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < G_N_ELEMENTS(differences); i++) {
		if (differences[i].mnemonic == mnemonic)
			return &differences[i];
	}
	return NULL;
}
