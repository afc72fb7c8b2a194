/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The instructions that move floating-point and vector state as a whole, and the x87 control words. SDM volume 1
 * chapters 8, 10 and 13.
 *
 * State components: x87 (bit 0), SSE (bit 1), AVX (bit 2); standard XSAVE format only, since CPUID does not offer the
 * compacted one. The guest's image in struct soft_cpu has FXSAVE's layout, so most of this is copying pieces of it.
 */
#include <string.h>

#include "vmm/cpu/native.h"

#define FX_X87_BYTES 160u /* header and registers, MXCSR included */
#define FX_SIZE 512u
#define XSAVE_HEADER 64u
#define XSAVE_AVX_OFFSET 576u
#define XSAVE_AVX_SIZE 256u
#define MXCSR_VALID 0xffffu
#define MXCSR_DEFAULT 0x1f80u
#define FCW_DEFAULT 0x037fu

void fpu_set_top(struct soft_cpu *cpu, unsigned top)
{
	unsigned by = (top - (cpu->fx.fsw >> 11)) & 7;
	uint8_t st[8][16];

	memcpy(st, cpu->fx.st, sizeof st);
	for (unsigned i = 0; i < 8; i++)
		memcpy(cpu->fx.st[i], st[(i + by) & 7], sizeof st[0]);
	cpu->fx.fsw = (uint16_t)((cpu->fx.fsw & ~0x3800u) | top << 11);
}

static void x87_init(struct soft_cpu *cpu)
{
	fpu_set_top(cpu, 0);
	cpu->fx.fcw = FCW_DEFAULT;
	cpu->fx.fsw = 0;
	cpu->fx.ftw = 0;
	cpu->fx.fop = 0;
	cpu->fx.fip = cpu->fx.fdp = 0;
}

/* The exception summary bit follows from flags and masks. */
static void x87_summarize(struct soft_cpu *cpu)
{
	bool pending = cpu->fx.fsw & ~cpu->fx.fcw & 0x3f;

	cpu->fx.fsw &= (uint16_t) ~(X87_ES | 0x8000u);
	if (pending)
		cpu->fx.fsw |= X87_ES | 0x8000u;
}

/* ---- full tag word <-> FXSAVE's abridged one ---- */

static unsigned classify(const uint8_t st[16])
{
	uint16_t se;
	uint64_t m;

	memcpy(&m, st, 8);
	memcpy(&se, st + 8, 2);
	if ((se & 0x7fff) == 0x7fff)
		return 2;
	if ((se & 0x7fff) == 0)
		return m ? 2 : 1;
	return m >> 63 ? 0 : 2;
}

static uint16_t full_tags(const struct soft_cpu *cpu)
{
	unsigned top = cpu->fx.fsw >> 11 & 7;
	uint16_t tags = 0;

	for (unsigned phys = 0; phys < 8; phys++) {
		unsigned tag = cpu->fx.ftw >> phys & 1 ? classify(cpu->fx.st[(phys - top) & 7]) : 3;

		tags |= (uint16_t)(tag << (phys * 2));
	}
	return tags;
}

static uint8_t abridged_tags(uint16_t tags)
{
	uint8_t out = 0;

	for (unsigned phys = 0; phys < 8; phys++)
		out |= (uint8_t)(((tags >> (phys * 2) & 3) != 3) << phys);
	return out;
}

/* ---- FNSTENV, FLDENV, FNSAVE, FRSTOR: 14 or 28 bytes of environment (figures 8-9 to 8-12) ---- */

static size_t environment_size(const struct insn *in)
{
	return in->flags & INSN_OP16 ? 14 : 28;
}

static bool real_layout(const struct soft_cpu *cpu)
{
	return !(cpu->cr0 & X86_CR0_PE) || cpu->rflags & X86_FLAG_VM;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void environment_store(struct soft_cpu *cpu, const struct insn *in, uint8_t env[28])
{
	uint32_t fip = (uint32_t)cpu->fx.fip, fdp = (uint32_t)cpu->fx.fdp, fop = cpu->fx.fop & 0x7ff;

	memset(env, 0, 28);
	if (in->flags & INSN_OP16) {
		put16(env, cpu->fx.fcw);
		put16(env + 2, cpu->fx.fsw);
		put16(env + 4, full_tags(cpu));
		put16(env + 6, fip);
		put16(env + 10, fdp);
		if (real_layout(cpu)) {
			put16(env + 8, (fip >> 4 & 0xf000) | fop);
			put16(env + 12, fdp >> 4 & 0xf000);
		}
		return;
	}
	put32(env, 0xffff0000u | cpu->fx.fcw);
	put32(env + 4, 0xffff0000u | cpu->fx.fsw);
	put32(env + 8, 0xffff0000u | full_tags(cpu));
	if (real_layout(cpu)) {
		put32(env + 12, 0xffff0000u | (fip & 0xffff));
		put32(env + 16, (fip >> 16 & 0xffff) << 12 | fop);
		put32(env + 20, 0xffff0000u | (fdp & 0xffff));
		put32(env + 24, (fdp >> 16 & 0xffff) << 12);
		return;
	}
	put32(env + 12, fip);
	put32(env + 16, fop << 16);
	put32(env + 20, fdp);
	put32(env + 24, 0xffff0000u);
}

static void environment_load(struct soft_cpu *cpu, const struct insn *in, const uint8_t *env)
{
	unsigned w = in->flags & INSN_OP16 ? 2 : 4;

	cpu->fx.fcw = (get16(env) & 0x1f3f) | 0x40;
	fpu_set_top(cpu, get16(env + w) >> 11 & 7);
	cpu->fx.fsw = get16(env + w);
	cpu->fx.ftw = abridged_tags(get16(env + 2 * w));
	cpu->fx.fop = 0;
	if (w == 2) {
		cpu->fx.fip = get16(env + 6);
		cpu->fx.fdp = get16(env + 10);
	} else {
		cpu->fx.fip = get32(env + 12);
		cpu->fx.fdp = get32(env + 20);
		cpu->fx.fop = real_layout(cpu) ? 0 : (uint16_t)(get32(env + 16) >> 16 & 0x7ff);
	}
	x87_summarize(cpu);
}

static OP(op_fnstenv)
{
	size_t size = environment_size(in);
	uint8_t env[28];
	uint64_t addr;

	fpu_check_x87(cpu, in, false);
	addr = soft_ea(cpu, in, (unsigned)size, ACCESS_WRITE);
	environment_store(cpu, in, env);
	soft_write_bytes(cpu, in, addr, env, size);
	cpu->fx.fcw |= 0x3f;
	x87_summarize(cpu);
	return NEXT(cpu, in);
}

static OP(op_fldenv)
{
	size_t size = environment_size(in);
	uint8_t env[28];

	fpu_check_x87(cpu, in, true);
	soft_read_bytes(cpu, in, soft_ea(cpu, in, (unsigned)size, ACCESS_READ), env, size);
	environment_load(cpu, in, env);
	return NEXT(cpu, in);
}

static OP(op_fnsave)
{
	size_t size = environment_size(in);
	uint8_t image[28 + 80];
	uint64_t addr;

	fpu_check_x87(cpu, in, false);
	addr = soft_ea(cpu, in, (unsigned)size + 80, ACCESS_WRITE);
	environment_store(cpu, in, image);
	for (unsigned i = 0; i < 8; i++)
		memcpy(image + size + i * 10, cpu->fx.st[i], 10);
	soft_write_bytes(cpu, in, addr, image, size + 80);
	x87_init(cpu);
	return NEXT(cpu, in);
}

static OP(op_frstor)
{
	size_t size = environment_size(in);
	uint8_t image[28 + 80];

	fpu_check_x87(cpu, in, true);
	soft_read_bytes(cpu, in, soft_ea(cpu, in, (unsigned)size + 80, ACCESS_READ), image, size + 80);
	environment_load(cpu, in, image);
	for (unsigned i = 0; i < 8; i++) {
		memset(cpu->fx.st[i], 0, 16);
		memcpy(cpu->fx.st[i], image + size + i * 10, 10);
	}
	return NEXT(cpu, in);
}

/* ---- control words ---- */

static OP(op_fninit)
{
	fpu_check_x87(cpu, in, false);
	x87_init(cpu);
	return NEXT(cpu, in);
}

static OP(op_fnclex)
{
	fpu_check_x87(cpu, in, false);
	cpu->fx.fsw &= 0x7f00;
	return NEXT(cpu, in);
}

static OP(op_fldcw)
{
	uint16_t fcw;

	fpu_check_x87(cpu, in, true);
	fcw = soft_load16(cpu, in, soft_ea(cpu, in, 2, ACCESS_READ));
	cpu->fx.fcw = (fcw & 0x1f3f) | 0x40;
	x87_summarize(cpu);
	return NEXT(cpu, in);
}

static OP(op_fnstcw)
{
	fpu_check_x87(cpu, in, false);
	soft_store16(cpu, in, soft_ea(cpu, in, 2, ACCESS_WRITE), cpu->fx.fcw);
	return NEXT(cpu, in);
}

static OP(op_fnstsw_ax)
{
	fpu_check_x87(cpu, in, false);
	REG16(cpu, X86_RAX * 8) = cpu->fx.fsw;
	return NEXT(cpu, in);
}

static OP(op_fnstsw_m)
{
	fpu_check_x87(cpu, in, false);
	soft_store16(cpu, in, soft_ea(cpu, in, 2, ACCESS_WRITE), cpu->fx.fsw);
	return NEXT(cpu, in);
}

static OP(op_fwait)
{
	if ((cpu->cr0 & (X86_CR0_MP | X86_CR0_TS)) == (X86_CR0_MP | X86_CR0_TS))
		soft_fault_noerr(cpu, in, X86_EXC_NM);
	if (cpu->fx.fsw & X87_ES)
		soft_fault_noerr(cpu, in, X86_EXC_MF);
	return NEXT(cpu, in);
}

static OP(op_emms)
{
	if (cpu->cr0 & X86_CR0_EM)
		soft_ud(cpu, in);
	fpu_check_x87(cpu, in, true);
	fpu_set_top(cpu, 0);
	cpu->fx.ftw = 0;
	return NEXT(cpu, in);
}

static OP(op_ldmxcsr)
{
	uint32_t val;

	if (in->aux)
		fpu_check_avx(cpu, in);
	else
		fpu_check_sse(cpu, in);
	val = soft_load32(cpu, in, soft_ea(cpu, in, 4, ACCESS_READ));
	if (val & ~MXCSR_VALID)
		soft_gp(cpu, in, 0);
	simd_sync(cpu);
	cpu->fx.mxcsr = val;
	return NEXT(cpu, in);
}

static OP(op_stmxcsr)
{
	if (in->aux)
		fpu_check_avx(cpu, in);
	else
		fpu_check_sse(cpu, in);
	simd_sync(cpu);
	soft_store32(cpu, in, soft_ea(cpu, in, 4, ACCESS_WRITE), cpu->fx.mxcsr);
	return NEXT(cpu, in);
}

/* aux: the low halves too */
static OP(op_vzero)
{
	unsigned n = soft_is64(cpu) ? 16 : 8;

	fpu_check_avx(cpu, in);
	memset(cpu->ymm_high, 0, n * sizeof cpu->ymm_high[0]);
	if (in->aux)
		memset(cpu->fx.xmm, 0, n * sizeof cpu->fx.xmm[0]);
	return NEXT(cpu, in);
}

/* ---- FXSAVE / FXRSTOR ---- */

/* An address that is not canonical faults as such. */
static bool misaligned(const struct soft_cpu *cpu, uint64_t addr, unsigned alignment)
{
	return addr & (alignment - 1) && (!soft_is64(cpu) || soft_canonical(addr));
}

static void check_fx(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, unsigned alignment)
{
	simd_sync(cpu);
	if (cpu->cr0 & (X86_CR0_EM | X86_CR0_TS))
		soft_fault_noerr(cpu, in, X86_EXC_NM);
	if (misaligned(cpu, addr, alignment))
		soft_gp(cpu, in, 0);
}

/*
 * The image as memory shows it: 64-bit pointers with REX.W, otherwise 32-bit ones with (zero) selectors; XMM8-15 only
 * in 64-bit mode.
 */
static void fx_image(const struct soft_cpu *cpu, const struct insn *in, uint8_t image[FX_SIZE])
{
	memcpy(image, &cpu->fx, FX_SIZE);
	put32(image + 28, MXCSR_VALID);
	if (!(in->flags & INSN_OP64)) {
		memset(image + 12, 0, 4);
		memset(image + 20, 0, 4);
	}
}

static size_t fx_xmm_bytes(const struct soft_cpu *cpu)
{
	return soft_is64(cpu) ? 256 : 128;
}

static OP(op_fxsave)
{
	uint64_t addr = soft_ea(cpu, in, FX_SIZE, ACCESS_WRITE);
	uint8_t image[FX_SIZE];

	check_fx(cpu, in, addr, 16);
	soft_probe_write(cpu, in, addr, FX_SIZE);
	fx_image(cpu, in, image);
	/* Bytes 464 to 511 are the program's own; without OSFXSR the XMM registers are left out. */
	soft_write_bytes(cpu, in, addr, image, cpu->cr4 & X86_CR4_OSFXSR ? FX_X87_BYTES + fx_xmm_bytes(cpu) : FX_X87_BYTES);
	return NEXT(cpu, in);
}

static void x87_load(struct soft_cpu *cpu, const struct insn *in, const uint8_t *image)
{
	memcpy(&cpu->fx, image, 24);
	cpu->fx.fcw = (cpu->fx.fcw & 0x1f3f) | 0x40;
	cpu->fx.reserved1 = 0;
	cpu->fx.fop &= 0x7ff;
	if (!(in->flags & INSN_OP64)) {
		cpu->fx.fip = (uint32_t)cpu->fx.fip;
		cpu->fx.fdp = (uint32_t)cpu->fx.fdp;
	}
	for (unsigned i = 0; i < 8; i++) {
		memset(cpu->fx.st[i], 0, 16);
		memcpy(cpu->fx.st[i], image + 32 + i * 16, 10);
	}
	x87_summarize(cpu);
}

static OP(op_fxrstor)
{
	uint64_t addr = soft_ea(cpu, in, FX_SIZE, ACCESS_READ);
	uint8_t image[FX_SIZE];

	check_fx(cpu, in, addr, 16);
	soft_read_bytes(cpu, in, addr, image, sizeof image);
	if (cpu->cr4 & X86_CR4_OSFXSR && get32(image + 24) & ~MXCSR_VALID)
		soft_gp(cpu, in, 0);
	x87_load(cpu, in, image);
	if (cpu->cr4 & X86_CR4_OSFXSR) {
		cpu->fx.mxcsr = get32(image + 24);
		memcpy(cpu->fx.xmm, image + FX_X87_BYTES, fx_xmm_bytes(cpu));
	}
	return NEXT(cpu, in);
}

/* ---- XSAVE / XRSTOR ---- */

static uint64_t requested(const struct soft_cpu *cpu)
{
	return (uint32_t)cpu->gpr[X86_RAX] | cpu->gpr[X86_RDX] << 32;
}

static bool all_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++) {
		if (b[i])
			return false;
	}
	return true;
}

/*
 * XINUSE: components that are not in their initial state. Saying "in use" is always right; saying "initial" must be
 * true.
 */
static uint64_t in_use(const struct soft_cpu *cpu)
{
	size_t n = soft_is64(cpu) ? 16 : 8;
	uint64_t used = 0;

	if (cpu->fx.fcw != FCW_DEFAULT || cpu->fx.fsw || cpu->fx.ftw || cpu->fx.fop || cpu->fx.fip || cpu->fx.fdp ||
	    !all_zero(cpu->fx.st, sizeof cpu->fx.st))
		used |= X86_XCR0_X87;
	if (!all_zero(cpu->fx.xmm, n * 16))
		used |= X86_XCR0_SSE;
	if (!all_zero(cpu->ymm_high, n * 16))
		used |= X86_XCR0_AVX;
	return used;
}

/* The pieces of an image in memory; components that are neither asked for nor in use are not touched, whether they are there or not. */
struct state_piece {
	uint16_t offset, size; /* size 0: as many registers as the mode has */
	uint64_t component;
};

#define PIECE_MXCSR (UINT64_C(1) << 63) /* belongs to SSE and AVX alike, and has no initial state */

static const struct state_piece state_pieces[] = {
	{ 0, 24, X86_XCR0_X87 },
	{ 24, 8, PIECE_MXCSR },
	{ 32, 128, X86_XCR0_X87 },
	{ FX_X87_BYTES, 0, X86_XCR0_SSE },
	{ XSAVE_AVX_OFFSET, 0, X86_XCR0_AVX },
};

static size_t piece_size(const struct soft_cpu *cpu, const struct state_piece *piece)
{
	return piece->size ? piece->size : fx_xmm_bytes(cpu);
}

static uint64_t with_mxcsr(uint64_t mask, uint64_t components)
{
	return components | (mask & (X86_XCR0_SSE | X86_XCR0_AVX) ? PIECE_MXCSR : 0);
}

static uint64_t xsave_address(struct soft_cpu *cpu, const struct insn *in, unsigned access)
{
	uint64_t addr;

	simd_sync(cpu);
	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		soft_ud(cpu, in);
	if (cpu->cr0 & X86_CR0_TS)
		soft_fault_noerr(cpu, in, X86_EXC_NM);
	addr = soft_ea(cpu, in, FX_SIZE + XSAVE_HEADER, access);
	if (misaligned(cpu, addr, 64))
		soft_gp(cpu, in, 0);
	return addr;
}

/* aux: 1 for XSAVEOPT, which may leave out components in their initial state. */
static OP(op_xsave)
{
	uint64_t addr = xsave_address(cpu, in, ACCESS_WRITE), mask = requested(cpu) & cpu->xcr0, used = in_use(cpu) & mask;
	uint64_t write = with_mxcsr(mask, in->aux ? used : mask), header;
	uint8_t image[XSAVE_AVX_OFFSET + XSAVE_AVX_SIZE];

	fx_image(cpu, in, image);
	memcpy(image + XSAVE_AVX_OFFSET, cpu->ymm_high, XSAVE_AVX_SIZE);
	soft_probe_write(cpu, in, addr + FX_SIZE, 8);
	for (size_t i = 0; i < G_N_ELEMENTS(state_pieces); i++) {
		if (write & state_pieces[i].component)
			soft_probe_write(cpu, in, addr + state_pieces[i].offset, (unsigned)piece_size(cpu, &state_pieces[i]));
	}
	for (size_t i = 0; i < G_N_ELEMENTS(state_pieces); i++) {
		const struct state_piece *piece = &state_pieces[i];

		if (write & piece->component)
			soft_write_bytes(cpu, in, addr + piece->offset, image + piece->offset, piece_size(cpu, piece));
	}
	header = soft_load64(cpu, in, addr + FX_SIZE);
	soft_store64(cpu, in, addr + FX_SIZE, (header & ~mask) | used);
	return NEXT(cpu, in);
}

static void read_pieces(struct soft_cpu *cpu, const struct insn *in, uint64_t addr, uint64_t components, uint8_t *image)
{
	for (size_t i = 0; i < G_N_ELEMENTS(state_pieces); i++) {
		const struct state_piece *piece = &state_pieces[i];

		if (components & piece->component)
			soft_read_bytes(cpu, in, addr + piece->offset, image + piece->offset, piece_size(cpu, piece));
	}
}

/* What is asked for and not in the image goes to its initial state. */
static void load_components(struct soft_cpu *cpu, const struct insn *in, const uint8_t *image, uint64_t mask, uint64_t present)
{
	size_t bytes = fx_xmm_bytes(cpu);

	if (mask & present & X86_XCR0_X87) {
		x87_load(cpu, in, image);
	} else if (mask & X86_XCR0_X87) {
		x87_init(cpu);
		memset(cpu->fx.st, 0, sizeof cpu->fx.st);
	}
	if (mask & (X86_XCR0_SSE | X86_XCR0_AVX))
		cpu->fx.mxcsr = get32(image + 24);
	if (mask & X86_XCR0_SSE)
		memset(cpu->fx.xmm, 0, bytes);
	if (mask & present & X86_XCR0_SSE)
		memcpy(cpu->fx.xmm, image + FX_X87_BYTES, bytes);
	if (mask & X86_XCR0_AVX)
		memset(cpu->ymm_high, 0, bytes);
	if (mask & present & X86_XCR0_AVX)
		memcpy(cpu->ymm_high, image + XSAVE_AVX_OFFSET, bytes);
}

static OP(op_xrstor)
{
	uint64_t addr = xsave_address(cpu, in, ACCESS_READ), mask = requested(cpu) & cpu->xcr0, present;
	uint8_t image[XSAVE_AVX_OFFSET + XSAVE_AVX_SIZE] = { 0 };

	soft_read_bytes(cpu, in, addr + FX_SIZE, image + FX_SIZE, 24);
	/* XCOMP_BV and the reserved bytes must be 0 in the standard format. */
	if (!all_zero(image + FX_SIZE + 8, 16))
		soft_gp(cpu, in, 0);
	/* Processors read the legacy region before they look whether it is needed. */
	read_pieces(cpu, in, addr, with_mxcsr(mask, mask & ~(uint64_t)X86_XCR0_AVX), image);
	memcpy(&present, image + FX_SIZE, 8);
	if (present & ~cpu->xcr0)
		soft_gp(cpu, in, 0);
	read_pieces(cpu, in, addr, mask & present & X86_XCR0_AVX, image);
	if (mask & (X86_XCR0_SSE | X86_XCR0_AVX) && get32(image + 24) & ~MXCSR_VALID)
		soft_gp(cpu, in, 0);
	load_components(cpu, in, image, mask, present);
	return NEXT(cpu, in);
}

static OP(op_xgetbv)
{
	uint64_t val;

	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		soft_ud(cpu, in);
	switch ((uint32_t)cpu->gpr[X86_RCX]) {
	case 0:
		val = cpu->xcr0;
		break;
	case 1:
		if (!cpu_features_has(cpu->features, CPU_FEATURE_XGETBV1))
			soft_gp(cpu, in, 0);
		val = cpu->xcr0 & in_use(cpu);
		break;
	default:
		soft_gp(cpu, in, 0);
	}
	cpu->gpr[X86_RAX] = (uint32_t)val;
	cpu->gpr[X86_RDX] = val >> 32;
	return NEXT(cpu, in);
}

static OP(op_xsetbv)
{
	uint64_t val = requested(cpu), allowed = X86_XCR0_X87 | X86_XCR0_SSE;

	if (!(cpu->cr4 & X86_CR4_OSXSAVE))
		soft_ud(cpu, in);
	if (cpu_features_has(cpu->features, CPU_FEATURE_AVX))
		allowed |= X86_XCR0_AVX;
	if (cpu->cpl || (uint32_t)cpu->gpr[X86_RCX] || !(val & X86_XCR0_X87) || val & ~allowed ||
	    (val & X86_XCR0_AVX && !(val & X86_XCR0_SSE)))
		soft_gp(cpu, in, 0);
	cpu->xcr0 = val;
	return NEXT(cpu, in);
}

/* ---- decoding ---- */

op_fn decode_fpstate(struct decoder *d, struct insn *in)
{
	in->aux = 0;
	in->flags &= (uint8_t)~INSN_OP64;
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_FXRSTOR64:
	case ZYDIS_MNEMONIC_XSAVE64:
	case ZYDIS_MNEMONIC_XSAVEOPT64:
	case ZYDIS_MNEMONIC_XRSTOR64:
		in->flags |= INSN_OP64;
		break;
	default:
		break;
	}
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
		return op_fxsave;
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		return op_fxrstor;
	case ZYDIS_MNEMONIC_XSAVEOPT:
	case ZYDIS_MNEMONIC_XSAVEOPT64:
		in->aux = 1;
		return op_xsave;
	case ZYDIS_MNEMONIC_XSAVE:
	case ZYDIS_MNEMONIC_XSAVE64:
		return op_xsave;
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		return op_xrstor;
	case ZYDIS_MNEMONIC_XGETBV:
		return op_xgetbv;
	case ZYDIS_MNEMONIC_XSETBV:
		return op_xsetbv;
	case ZYDIS_MNEMONIC_LDMXCSR:
		return op_ldmxcsr;
	case ZYDIS_MNEMONIC_STMXCSR:
		return op_stmxcsr;
	case ZYDIS_MNEMONIC_VLDMXCSR:
		in->aux = 1;
		return op_ldmxcsr;
	case ZYDIS_MNEMONIC_VSTMXCSR:
		in->aux = 1;
		return op_stmxcsr;
	case ZYDIS_MNEMONIC_VZEROALL:
		in->aux = 1;
		return op_vzero;
	case ZYDIS_MNEMONIC_VZEROUPPER:
		return op_vzero;
	case ZYDIS_MNEMONIC_EMMS:
		return op_emms;
	case ZYDIS_MNEMONIC_FWAIT:
		return op_fwait;
	case ZYDIS_MNEMONIC_FNINIT:
		return op_fninit;
	case ZYDIS_MNEMONIC_FNCLEX:
		return op_fnclex;
	case ZYDIS_MNEMONIC_FLDCW:
		return op_fldcw;
	case ZYDIS_MNEMONIC_FNSTCW:
		return op_fnstcw;
	case ZYDIS_MNEMONIC_FNSTSW:
		return d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? op_fnstsw_m : op_fnstsw_ax;
	case ZYDIS_MNEMONIC_FNSTENV:
		return op_fnstenv;
	case ZYDIS_MNEMONIC_FLDENV:
		return op_fldenv;
	case ZYDIS_MNEMONIC_FNSAVE:
		return op_fnsave;
	case ZYDIS_MNEMONIC_FRSTOR:
		return op_frstor;
	default:
		return NULL;
	}
}
