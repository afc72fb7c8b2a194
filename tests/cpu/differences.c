/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything the comparison leaves out, with the reason. */
#include "tests/cpu/conform.h"

#define NEVER(m, why) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_NEVER_RUN, 0, why \
	}
#define ALONE(m, why) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_ALONE, 0, why \
	}
#define MASK7(m, why) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_RAX_7 | DIFFER_CR2 | DIFFER_ALONE, 0, why \
	}

#define WHY_HALF "is not subject to alignment checks, which the software CPU does to everything up to 8 bytes"
#define WHY_ORDER "touches memory in several places, in an order of the processor's own"
#define ORDER(m) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_CR2, 0, WHY_ORDER \
	}
#define NO_AC(m, why) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_NO_AC, 0, why \
	}
#define FLAGS(m) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_MXCSR, 0, \
			"multiplies and adds: which step's exceptions show beside an unmasked one is the processor's own" \
	}
#define FRAME(m) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_CR2 | DIFFER_INSIDE | DIFFER_ALONE, 0, \
			"Linux loops for ever over an #AC of an IRET that loads AC" \
	}
#define UNDEFINED(m, flags) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_ALONE, flags, "undefined flags, and the host cannot run it in 64-bit mode" \
	}
#define ROTATE(m) \
	{ \
		ZYDIS_MNEMONIC_##m, DIFFER_ALONE | DIFFER_COUNT, X86_FLAG_OF, \
			"OF after rotating by more than one is undefined, and not the same for an immediate as for CL" \
	}

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
	ALONE(SYSCALL, "RAX must not be the number of a real system call that passes the seccomp filter"),
	ALONE(INT, "RAX must not be the number of a real system call that passes the seccomp filter"),
	MASK7(XSAVE, WHY_COMPONENTS),
	MASK7(XSAVE64, WHY_COMPONENTS),
	{ ZYDIS_MNEMONIC_XSAVEOPT, DIFFER_RAX_7 | DIFFER_CR2 | DIFFER_ALONE, 0,
	  "may leave out what an XRSTOR before it loaded" },
	{ ZYDIS_MNEMONIC_XSAVEOPT64, DIFFER_RAX_7 | DIFFER_CR2 | DIFFER_ALONE, 0,
	  "may leave out what an XRSTOR before it loaded" },
	{ ZYDIS_MNEMONIC_XRSTOR, DIFFER_RAX_7 | DIFFER_FAULT | DIFFER_ALONE, 0,
	  "knows the compacted format, and which of several faults wins" },
	{ ZYDIS_MNEMONIC_XRSTOR64, DIFFER_RAX_7 | DIFFER_FAULT | DIFFER_ALONE, 0,
	  "knows the compacted format, and which of several faults wins" },
	UNDEFINED(AAA, X86_FLAG_OF | X86_FLAG_SF | X86_FLAG_ZF | X86_FLAG_PF),
	UNDEFINED(AAS, X86_FLAG_OF | X86_FLAG_SF | X86_FLAG_ZF | X86_FLAG_PF),
	UNDEFINED(DAA, X86_FLAG_OF),
	UNDEFINED(DAS, X86_FLAG_OF),
	UNDEFINED(AAM, X86_FLAG_OF | X86_FLAG_AF | X86_FLAG_CF),
	UNDEFINED(AAD, X86_FLAG_OF | X86_FLAG_AF | X86_FLAG_CF),
	{ ZYDIS_MNEMONIC_POPA, DIFFER_INSIDE, 0, "keeps what it has popped when it faults halfway" },
	{ ZYDIS_MNEMONIC_POPAD, DIFFER_INSIDE, 0, "keeps what it has popped when it faults halfway" },
	ROTATE(ROL),
	ROTATE(ROR),
	NO_AC(ENTER, WHY_ORDER),
	NO_AC(LDS, WHY_ORDER),
	NO_AC(LES, WHY_ORDER),
	NO_AC(LFS, WHY_ORDER),
	NO_AC(LGS, WHY_ORDER),
	NO_AC(LSS, WHY_ORDER),
	FLAGS(DPPD),
	FLAGS(DPPS),
	FLAGS(VDPPD),
	FLAGS(VDPPS),
	ORDER(VMASKMOVPD),
	ORDER(VMASKMOVPS),
	ORDER(VPMASKMOVD),
	ORDER(VPMASKMOVQ),
	NO_AC(VCVTPH2PS, WHY_HALF),
	{ ZYDIS_MNEMONIC_VCVTPS2PH, DIFFER_NO_AC | DIFFER_UNDERFLOW, 0,
	  WHY_HALF "; exact denormal results raise nothing in it" },
	ORDER(FLDENV),
	ORDER(FNSAVE),
	ORDER(FNSTENV),
	ORDER(FRSTOR),
	ORDER(FXRSTOR),
	{ ZYDIS_MNEMONIC_FXRSTOR64, DIFFER_CR2 | DIFFER_ALONE, 0,
	  "how many bits of FIP and FDP are kept is the processor's own" },
	ORDER(FXSAVE),
	ORDER(FXSAVE64),
	FRAME(IRET),
	FRAME(IRETD),
	FRAME(IRETQ),
	{ ZYDIS_MNEMONIC_MASKMOVDQU, DIFFER_FAULT | DIFFER_INSIDE | DIFFER_NO_AC | DIFFER_ALONE, 0,
	  "whether masked-off bytes fault is up to the processor" },
	{ ZYDIS_MNEMONIC_VMASKMOVDQU, DIFFER_FAULT | DIFFER_INSIDE | DIFFER_NO_AC | DIFFER_ALONE, 0,
	  "whether masked-off bytes fault is up to the processor" },
	{ ZYDIS_MNEMONIC_MASKMOVQ, DIFFER_FAULT | DIFFER_INSIDE | DIFFER_NO_AC | DIFFER_ALONE, 0,
	  "whether masked-off bytes fault is up to the processor" },
};

const struct difference *difference_find(ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < G_N_ELEMENTS(differences); i++) {
		if (differences[i].mnemonic == mnemonic)
			return &differences[i];
	}
	return NULL;
}
