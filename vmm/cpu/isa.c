/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which instructions exist for the guest. Zydis files every instruction under an ISA set; a set is in the table with the CPUID feature that announces it,
 * or it does not exist here. What CPUID does not offer is #UD, also where the host could run it.
 */
#include "vmm/cpu/soft.h"

#define BASE CPU_N_FEATURES /* part of every x86-64 processor that has no CPUID bit of its own */

struct isa_row {
	bool known;
	uint16_t feature;
};

#define ISA(set, feature_) [ZYDIS_ISA_SET_##set] = { true, feature_ }
#define NEEDS(set, id) ISA(set, CPU_FEATURE_##id)

/* clang-format off */
static const struct isa_row isa_rows[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
	ISA(I86, BASE), ISA(I186, BASE), ISA(I286REAL, BASE), ISA(I286PROTECTED, BASE), ISA(I386, BASE), ISA(I486,
	BASE), ISA(I486REAL, BASE), ISA(PENTIUMREAL, BASE), ISA(PPRO, BASE), ISA(FAT_NOP, BASE), ISA(LONGMODE, BASE),
	ISA(LAHF, BASE), ISA(PAUSE, BASE), ISA(PREFETCH_NOP, BASE), ISA(RDPMC, BASE), NEEDS(X87, FPU), NEEDS(FCMOV,
	CMOV), NEEDS(CMOV, CMOV), NEEDS(PENTIUMMMX, MMX), NEEDS(FXSAVE, FXSR), NEEDS(FXSAVE64, FXSR), NEEDS(SSE,
	SSE), NEEDS(SSEMXCSR, SSE), NEEDS(SSE_PREFETCH, SSE), NEEDS(SSE2, SSE2), NEEDS(SSE2MMX, SSE2), NEEDS(SSE3,
	SSE3), NEEDS(SSE3X87, SSE3), NEEDS(SSSE3, SSSE3), NEEDS(SSSE3MMX, SSSE3), NEEDS(SSE4, SSE4_1), NEEDS(SSE42,
	SSE4_2), NEEDS(POPCNT, POPCNT), NEEDS(CMPXCHG16B, CX16), NEEDS(RDTSCP, RDTSCP), NEEDS(CLFSH, CLFSH),
	NEEDS(CLFLUSHOPT, CLFLUSHOPT), NEEDS(CLWB, CLWB), NEEDS(AES, AES), NEEDS(PCLMULQDQ, PCLMULQDQ), NEEDS(SHA,
	SHA_NI), NEEDS(GFNI, GFNI), NEEDS(AVX_GFNI, GFNI), NEEDS(AVX, AVX), NEEDS(AVXAES, AES), NEEDS(AVX2, AVX2),
	NEEDS(AVX2GATHER, AVX2), NEEDS(FMA, FMA), NEEDS(F16C, F16C), NEEDS(VAES, VAES), NEEDS(VPCLMULQDQ,
	VPCLMULQDQ), NEEDS(AVX_VNNI, AVX_VNNI), NEEDS(BMI1, BMI1), NEEDS(BMI2, BMI2), NEEDS(LZCNT, ABM), NEEDS(MOVBE,
	MOVBE), NEEDS(ADOX_ADCX, ADX), NEEDS(RDRAND, RDRAND), NEEDS(RDSEED, RDSEED), NEEDS(RDPID, RDPID),
	NEEDS(RDWRFSGS, FSGSBASE), NEEDS(INVPCID, INVPCID), NEEDS(SMAP, SMAP), NEEDS(XSAVE, XSAVE), NEEDS(XSAVEOPT,
	XSAVEOPT), NEEDS(XSAVEC, XSAVEC), NEEDS(MOVDIR, MOVDIRI), NEEDS(SERIALIZE, SERIALIZE), NEEDS(PREFETCHWT1,
	PREFETCHW), NEEDS(SSE4A, SSE4A),
};
/* clang-format on */

bool isa_offered(const struct cpu_features *features, const ZydisDecodedInstruction *zi)
{
	const struct isa_row *row = &isa_rows[zi->meta.isa_set];

	if (!row->known || zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ||
	    zi->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX || zi->encoding == ZYDIS_INSTRUCTION_ENCODING_XOP)
		return false;
	/* PCLMULQDQ and GFNI have VEX forms under their own set: those need AVX as well. */
	if (zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && !cpu_features_has(features, CPU_FEATURE_AVX) &&
	    zi->meta.isa_set != ZYDIS_ISA_SET_BMI1 && zi->meta.isa_set != ZYDIS_ISA_SET_BMI2)
		return false;
	return row->feature == BASE || cpu_features_has(features, (enum cpu_feature)row->feature);
}
