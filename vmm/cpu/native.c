/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions that run as themselves: x87, MMX, SSE, AVX, AES, SHA, BMI and everything else that only computes. For
 * each, a stub is generated once: load the guest registers it uses, run the instruction with its memory operand
 * rewritten to [rsi], store what it changed.
 *
 * The stub's contract: stub(struct soft_cpu *rdi, void *rsi). It may use rax, rcx, rdx, r8 to r11 and all vector
 * registers; guest registers outside that set are renamed into it. Vector registers keep their numbers. x87 and MMX run
 * between FXRSTOR and FXSAVE of the guest's image. The code lies in a memfd mapped twice, once writable and once
 * executable, never both at one address. Stubs are found again by their bytes, so a guest's code needs only as many as
 * it has distinct instruction shapes.
 *
 * Floating-point exceptions: stubs run with all of them masked. When the guest has unmasked some, the registers are
 * copied before, and a raised unmasked exception puts the copy back and becomes #XM. x87 exceptions are deferred by the
 * architecture itself: the guest's control word is in force and the next waiting instruction is checked in C.
 */
#include "vmm/cpu/native.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xmmintrin.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/cpu/machine.h"

#define CACHE_BYTES (UINT64_C(8) << 20)
#define STUB_MAX 1024u

struct native_cache {
	const uint8_t *code; /* executable view */
	uint8_t *write;	     /* writable view of the same memory */
	size_t used;
	GHashTable *stubs; /* GBytes of the code -> offset + 1 */
};

typedef void (*stub_fn)(struct soft_cpu *cpu, void *mem);

/* aux bits of a native record */
#define NATIVE_SSE 0x0001u
#define NATIVE_AVX 0x0002u
#define NATIVE_X87 0x0004u     /* x87 or MMX state */
#define NATIVE_MMX 0x0008u
#define NATIVE_MXCSR 0x0010u   /* may raise SIMD floating-point exceptions */
#define NATIVE_FLAGS 0x0020u   /* reads or writes RFLAGS */
#define NATIVE_MEM 0x0040u
#define NATIVE_READ 0x0080u
#define NATIVE_WRITE 0x0100u
#define NATIVE_ALIGN 0x0200u   /* memory operand must be aligned to its size */
#define NATIVE_QUIET 0x0400u   /* x87, but neither waits nor is noted as the last x87 instruction */
/* aux32: bytes of the memory operand, x87 opcode << 16 */

/* ---- the cache ---- */

struct native_cache *native_cache_new(GError **err)
{
	auto_fd int fd = memfd_create("lodge-code", MFD_CLOEXEC);
	struct native_cache *cache;
	void *code, *write;

	if (fd < 0 || ftruncate(fd, (off_t)CACHE_BYTES) < 0)
		return fail_errno_null(err, "software CPU: code memory");
	write = mmap(NULL, CACHE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (write == MAP_FAILED)
		return fail_errno_null(err, "software CPU: code memory");
	code = mmap(NULL, CACHE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (code == MAP_FAILED) {
		munmap(write, CACHE_BYTES);
		return fail_errno_null(err, "software CPU: executable memory (is the host mounted noexec for memory files?)");
	}
	cache = g_new0(struct native_cache, 1);
	cache->code = code;
	cache->write = write;
	cache->stubs = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
	return cache;
}

void native_cache_free(struct native_cache *cache)
{
	void *code = (void *)(uintptr_t)cache->code;

	munmap(cache->write, CACHE_BYTES);
	munmap(code, CACHE_BYTES);
	g_hash_table_unref(cache->stubs);
	g_free(cache);
}

bool native_cache_has_room(const struct native_cache *cache, unsigned stubs)
{
	return CACHE_BYTES - cache->used >= (uint64_t)stubs * STUB_MAX;
}

void native_cache_reset(struct native_cache *cache)
{
	g_hash_table_remove_all(cache->stubs);
	cache->used = 0;
}

/* Offset of the stub with these bytes, made if it is new. There is room: block_build() saw to it. */
static int32_t stub_intern(struct native_cache *cache, const uint8_t *bytes, size_t len)
{
	g_autoptr(GBytes) key = g_bytes_new(bytes, len);
	size_t found = (size_t)(uintptr_t)g_hash_table_lookup(cache->stubs, key);

	if (!found) {
		memcpy(cache->write + cache->used, bytes, len);
		found = cache->used + 1;
		cache->used += (len + 15) & ~(size_t)15;
		g_hash_table_insert(cache->stubs, g_steal_pointer(&key), (void *)(uintptr_t)found);
	}
	return (int32_t)found - 1;
}

/* ---- emitting ---- */

struct emitter {
	uint8_t code[STUB_MAX];
	size_t len;
};

static void emit(struct emitter *e, const void *bytes, size_t len)
{
	g_assert(len <= sizeof e->code - e->len);
	memcpy(e->code + e->len, bytes, len);
	e->len += len;
}

#define EMIT(e, ...)                                           \
	do {                                                   \
		const uint8_t bytes_[] = { __VA_ARGS__ };      \
		emit(e, bytes_, sizeof bytes_);                \
	} while (0)

/* ModRM with [rdi + disp32] and the given register field. */
static void emit_field(struct emitter *e, unsigned reg, size_t offset)
{
	uint32_t disp = (uint32_t)offset;

	EMIT(e, (uint8_t)(0x87 | (reg & 7) << 3));
	emit(e, &disp, sizeof disp);
}

static void emit_gpr(struct emitter *e, bool store, unsigned host, unsigned guest)
{
	EMIT(e, (uint8_t)(0x48 | (host >= 8 ? 4 : 0)), store ? 0x89 : 0x8b);
	emit_field(e, host, offsetof(struct soft_cpu, gpr) + guest * 8);
}

/* MOVUPS of the low half. */
static void emit_xmm(struct emitter *e, bool store, unsigned reg)
{
	if (reg >= 8)
		EMIT(e, 0x44);
	EMIT(e, 0x0f, store ? 0x11 : 0x10);
	emit_field(e, reg, offsetof(struct soft_cpu, fx) + offsetof(struct x86_fxsave, xmm) + reg * 16);
}

/* VINSERTF128 / VEXTRACTF128 of the upper half. */
static void emit_ymm_high(struct emitter *e, bool store, unsigned reg)
{
	unsigned vvvv = store ? 15 : ~reg & 15;

	EMIT(e, 0xc4, (uint8_t)((reg >= 8 ? 0x00 : 0x80) | 0x60 | 0x03), (uint8_t)(vvvv << 3 | 0x05), store ? 0x19 : 0x18);
	emit_field(e, reg, offsetof(struct soft_cpu, ymm_high) + reg * 16);
	EMIT(e, 0x01);
}

static void emit_load_flags(struct emitter *e)
{
	EMIT(e, 0xff);
	emit_field(e, 6, offsetof(struct soft_cpu, native_flags)); /* push [rdi+..] */
	EMIT(e, 0x9d);						   /* popfq */
}

static void emit_save_flags(struct emitter *e)
{
	EMIT(e, 0x9c, 0x8f); /* pushfq; pop [rdi+..] */
	emit_field(e, 0, offsetof(struct soft_cpu, native_flags));
}

static void emit_host_mxcsr(struct emitter *e)
{
	EMIT(e, 0x0f, 0xae);
	emit_field(e, 2, offsetof(struct soft_cpu, host_mxcsr));
}

static void emit_fx(struct emitter *e, bool store)
{
	EMIT(e, 0x48, 0x0f, 0xae);
	emit_field(e, store ? 0 : 1, offsetof(struct soft_cpu, fx));
}

/* ---- planning ---- */

#define GPR_NONE 0xffu

struct plan {
	uint16_t aux;
	uint32_t mem_size;
	uint16_t vec_load, vec_store; /* one bit a register */
	bool wide;		      /* some vector operand is 256 bits wide */
	uint8_t host_of[16];	      /* guest GPR -> host GPR or GPR_NONE */
	uint16_t gpr_store;
	uint16_t host_used;
};

/* Host registers a stub may use for guest registers: rax rcx rdx r8-r11. */
#define HOST_GPRS 0x0f07u

static bool is_vector(ZydisRegister reg)
{
	ZydisRegisterClass class = ZydisRegisterGetClass(reg);

	return class == ZYDIS_REGCLASS_XMM || class == ZYDIS_REGCLASS_YMM;
}

static bool is_gpr(ZydisRegister reg)
{
	ZydisRegisterClass class = ZydisRegisterGetClass(reg);

	return class == ZYDIS_REGCLASS_GPR8 || class == ZYDIS_REGCLASS_GPR16 || class == ZYDIS_REGCLASS_GPR32 || class == ZYDIS_REGCLASS_GPR64;
}

static void plan_operand(struct plan *plan, const ZydisDecodedOperand *op, bool vex)
{
	unsigned id;

	if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		plan->aux |= NATIVE_MEM;
		plan->aux |= op->actions & ZYDIS_OPERAND_ACTION_MASK_READ ? NATIVE_READ : 0;
		plan->aux |= op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? NATIVE_WRITE : 0;
		plan->mem_size = op->size / 8;
	} else if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && is_vector(op->reg.value)) {
		id = (unsigned)ZydisRegisterGetId(op->reg.value);
		/*
		 * Legacy instructions may keep part of what they write; a VEX destination that is not read is defined
		 * as a whole.
		 */
		if (!vex || op->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
			plan->vec_load |= (uint16_t)(1u << id);
		if (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			plan->vec_store |= (uint16_t)(1u << id);
		plan->wide |= ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_YMM;
	} else if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(op->reg.value)) {
		id = decode_reg(op->reg.value) / 8;
		plan->host_of[id] = 0; /* wanted; placed below */
		if (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			plan->gpr_store |= (uint16_t)(1u << id);
	}
}

/* Registers that can keep their number do (implicit operands must); the others get what is left. */
static void place_gprs(struct plan *plan, uint16_t wanted)
{
	uint16_t free_hosts = HOST_GPRS & (uint16_t)~wanted;

	for (unsigned g = 0; g < 16; g++) {
		unsigned host = g;

		plan->host_of[g] = GPR_NONE;
		if (!(wanted >> g & 1))
			continue;
		if (!(HOST_GPRS >> g & 1)) {
			host = (unsigned)__builtin_ctz(free_hosts);
			free_hosts &= (uint16_t)(free_hosts - 1);
		}
		plan->host_of[g] = (uint8_t)host;
	}
}

/*
 * SDM volume 2 tables 2-17 onward: exception classes by which instructions check alignment and raise SIMD exceptions.
 */
static bool needs_alignment(const ZydisDecodedInstruction *zi, unsigned mem_size)
{
	switch (zi->mnemonic) {
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM:
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_VMOVUPS:
	case ZYDIS_MNEMONIC_VMOVUPD:
	case ZYDIS_MNEMONIC_VMOVDQU:
	case ZYDIS_MNEMONIC_VLDDQU:
		return false;
	default:
		break;
	}
	if (zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return mem_size == 16;
	return zi->meta.exception_class == ZYDIS_EXCEPTION_CLASS_AVX1 && mem_size >= 16;
}

static bool is_x87(const ZydisDecodedInstruction *zi)
{
	return zi->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && zi->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (zi->opcode & 0xf8) == 0xd8;
}

/* Between MMX and XMM registers: both kinds of state, also where one operand is in memory. CVTPI2PD is exact. */
static bool converts_mmx(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_CVTPI2PS || mnemonic == ZYDIS_MNEMONIC_CVTPS2PI || mnemonic == ZYDIS_MNEMONIC_CVTTPS2PI ||
	       mnemonic == ZYDIS_MNEMONIC_CVTPD2PI || mnemonic == ZYDIS_MNEMONIC_CVTTPD2PI;
}

static bool may_raise_simd(const ZydisDecodedInstruction *zi)
{
	if (converts_mmx(zi->mnemonic))
		return true;
	switch (zi->meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_SSE2:
	case ZYDIS_EXCEPTION_CLASS_SSE3:
	case ZYDIS_EXCEPTION_CLASS_AVX2:
	case ZYDIS_EXCEPTION_CLASS_AVX3:
	case ZYDIS_EXCEPTION_CLASS_AVX11:
		return true;
	default:
		return false;
	}
}

static uint16_t state_class(const struct decoder *d)
{
	const ZydisDecodedInstruction *zi = &d->zi;
	uint16_t aux = 0;

	for (unsigned i = 0; i < zi->operand_count; i++) {
		if (d->op[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		switch (ZydisRegisterGetClass(d->op[i].reg.value)) {
		case ZYDIS_REGCLASS_MMX:
			aux |= NATIVE_MMX | NATIVE_X87;
			break;
		case ZYDIS_REGCLASS_XMM:
		case ZYDIS_REGCLASS_YMM:
			aux |= zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? NATIVE_AVX : NATIVE_SSE;
			break;
		default:
			break;
		}
	}
	if (is_x87(zi))
		aux |= NATIVE_X87;
	if (converts_mmx(zi->mnemonic))
		aux |= NATIVE_SSE;
	if (aux & NATIVE_AVX)
		aux &= (uint16_t)~NATIVE_SSE;
	return aux;
}

/* x87 FOP: low 3 bits of the first byte and the ModRM byte. */
static uint32_t x87_opcode(const ZydisDecodedInstruction *zi)
{
	uint32_t modrm = (uint32_t)zi->raw.modrm.mod << 6 | (uint32_t)zi->raw.modrm.reg << 3 | zi->raw.modrm.rm;

	return (zi->opcode & 7u) << 8 | modrm;
}

/* Relics that do nothing at all; every other computing x87 instruction is noted as the last one. */
static bool keeps_x87_pointers(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_FENI8087_NOP || mnemonic == ZYDIS_MNEMONIC_FDISI8087_NOP || mnemonic == ZYDIS_MNEMONIC_FSETPM287_NOP;
}

static bool make_plan(const struct decoder *d, struct plan *plan)
{
	const ZydisDecodedInstruction *zi = &d->zi;
	uint16_t wanted = 0;

	memset(plan, 0, sizeof *plan);
	memset(plan->host_of, GPR_NONE, sizeof plan->host_of);
	plan->aux = state_class(d);
	for (unsigned i = 0; i < zi->operand_count; i++)
		plan_operand(plan, &d->op[i], zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX);
	for (unsigned g = 0; g < 16; g++)
		wanted |= plan->host_of[g] == 0 ? (uint16_t)(1u << g) : 0;
	place_gprs(plan, wanted);
	if (zi->cpu_flags->tested || zi->cpu_flags->modified || zi->cpu_flags->set_0 || zi->cpu_flags->set_1 || zi->cpu_flags->undefined)
		plan->aux |= NATIVE_FLAGS;
	if (plan->aux & NATIVE_MEM && needs_alignment(zi, plan->mem_size))
		plan->aux |= NATIVE_ALIGN;
	if (may_raise_simd(zi))
		plan->aux |= NATIVE_MXCSR;
	if (plan->aux & NATIVE_X87 && keeps_x87_pointers(zi->mnemonic))
		plan->aux |= NATIVE_QUIET;
	return plan->mem_size <= sizeof d->cpu->scratch;
}

/* x87 names its registers in two bytes without prefixes: only the memory form has something to rewrite. */
static void encode_x87(const struct decoder *d, uint8_t *bytes, size_t *len)
{
	const ZydisDecodedInstruction *zi = &d->zi;

	bytes[0] = zi->opcode;
	if (zi->raw.modrm.mod == 3)
		bytes[1] = (uint8_t)(0xc0 | zi->raw.modrm.reg << 3 | zi->raw.modrm.rm);
	else
		bytes[1] = (uint8_t)(zi->raw.modrm.reg << 3 | 6);
	*len = 2;
}

/* The instruction itself with registers renamed and memory at [rsi]. */
static bool encode_core(const struct decoder *d, const struct plan *plan, uint8_t *bytes, size_t *len)
{
	ZydisEncoderRequest req;
	ZyanUSize size = *len;

	if (is_x87(&d->zi)) {
		encode_x87(d, bytes, len);
		return true;
	}
	if (ZYAN_FAILED(ZydisEncoderDecodedInstructionToEncoderRequest(&d->zi, d->op, d->zi.operand_count_visible, &req)))
		return false;
	req.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
	req.prefixes = 0;
	req.address_size_hint = ZYDIS_ADDRESS_SIZE_HINT_NONE;
	for (unsigned i = 0; i < req.operand_count; i++) {
		ZydisEncoderOperand *op = &req.operands[i];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
			op->mem.base = ZYDIS_REGISTER_RSI;
			op->mem.index = ZYDIS_REGISTER_NONE;
			op->mem.scale = 0;
			op->mem.displacement = 0;
		} else if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(op->reg.value)) {
			unsigned host = plan->host_of[decode_reg(op->reg.value) / 8];

			op->reg.value = ZydisRegisterEncode(ZydisRegisterGetClass(op->reg.value), (ZyanU8)host);
			if (op->reg.value == ZYDIS_REGISTER_NONE)
				return false;
		}
	}
	if (ZYAN_FAILED(ZydisEncoderEncodeInstruction(&req, bytes, &size)))
		return false;
	*len = size;
	return true;
}

static void emit_vectors(struct emitter *e, const struct plan *plan, bool store)
{
	uint16_t set = store ? plan->vec_store : plan->vec_load;

	for (unsigned r = 0; r < 16; r++) {
		if (!(set >> r & 1))
			continue;
		emit_xmm(e, store, r);
		/* Every VEX write defines the upper half, also of a 128-bit destination. */
		if (plan->aux & NATIVE_AVX && (store || plan->wide))
			emit_ymm_high(e, store, r);
	}
}

static void emit_stub(struct emitter *e, const struct plan *plan, const uint8_t *core, size_t len)
{
	bool fx = plan->aux & NATIVE_X87;

	if (fx)
		emit_fx(e, false);
	else
		emit_vectors(e, plan, false);
	for (unsigned g = 0; g < 16; g++) {
		if (plan->host_of[g] != GPR_NONE)
			emit_gpr(e, false, plan->host_of[g], g);
	}
	if (plan->aux & NATIVE_FLAGS)
		emit_load_flags(e);
	emit(e, core, len);
	if (plan->aux & NATIVE_FLAGS)
		emit_save_flags(e);
	for (unsigned g = 0; g < 16; g++) {
		if (plan->gpr_store >> g & 1)
			emit_gpr(e, true, plan->host_of[g], g);
	}
	if (fx) {
		emit_fx(e, true);
		EMIT(e, 0xdb, 0xe3); /* fninit: the host's own code expects an empty stack */
		emit_host_mxcsr(e); /* FXRSTOR brought the guest's */
	} else {
		emit_vectors(e, plan, true);
	}
	if (plan->aux & NATIVE_AVX)
		EMIT(e, 0xc5, 0xf8, 0x77); /* vzeroupper */
	EMIT(e, 0xc3);
}

/* ---- checks at run time ---- */

void fpu_check_x87(struct soft_cpu *cpu, const struct insn *in, bool waiting)
{
	if (cpu->cr0 & (X86_CR0_EM | X86_CR0_TS))
		soft_fault_noerr(cpu, in, X86_EXC_NM);
	if (waiting && cpu->fx.fsw & X87_ES)
		soft_fault_noerr(cpu, in, X86_EXC_MF);
}

static void check_mmx(struct soft_cpu *cpu, const struct insn *in)
{
	if (cpu->cr0 & X86_CR0_EM)
		soft_ud(cpu, in);
	fpu_check_x87(cpu, in, true);
}

void fpu_check_sse(struct soft_cpu *cpu, const struct insn *in)
{
	if (cpu->cr0 & X86_CR0_EM || !(cpu->cr4 & X86_CR4_OSFXSR))
		soft_ud(cpu, in);
	if (cpu->cr0 & X86_CR0_TS)
		soft_fault_noerr(cpu, in, X86_EXC_NM);
}

void fpu_check_avx(struct soft_cpu *cpu, const struct insn *in)
{
	if (!(cpu->cr4 & X86_CR4_OSXSAVE) || (cpu->xcr0 & (X86_XCR0_SSE | X86_XCR0_AVX)) != (X86_XCR0_SSE | X86_XCR0_AVX) ||
	    !(cpu->cr0 & X86_CR0_PE) || cpu->rflags & X86_FLAG_VM)
		soft_ud(cpu, in);
	if (cpu->cr0 & X86_CR0_TS)
		soft_fault_noerr(cpu, in, X86_EXC_NM);
}

static inline void check_state(struct soft_cpu *cpu, const struct insn *in)
{
	if (in->aux & NATIVE_SSE)
		fpu_check_sse(cpu, in);
	if (in->aux & NATIVE_AVX)
		fpu_check_avx(cpu, in);
	if (in->aux & NATIVE_MMX)
		check_mmx(cpu, in);
	else if (in->aux & NATIVE_X87)
		fpu_check_x87(cpu, in, !(in->aux & NATIVE_QUIET));
}

/* ---- running ---- */

static inline void call_stub(struct soft_cpu *cpu, const struct insn *in, void *mem)
{
	((stub_fn)(uintptr_t)(cpu->native->code + (uint32_t)in->imm))(cpu, mem);
}

#define MXCSR_FLAGS 0x3fu
#define MXCSR_MASKS 0x1f80u

struct vector_copy {
	uint8_t xmm[16][16], high[16][16];
	uint64_t gpr[16];
};

#define MXCSR_UM 0x0800u
#define MXCSR_FTZ 0x8000u

/*
 * What a stub runs with so that nothing traps and every exception the guest has unmasked shows in the flags. An exact
 * result too small for its format raises underflow only when that is unmasked; flushing to zero makes it show.
 */
static uint32_t trial_mxcsr(uint32_t guest)
{
	return ((guest | MXCSR_MASKS) & ~MXCSR_FLAGS) | (guest & MXCSR_UM ? 0 : MXCSR_FTZ);
}

/* raised: by the trial. True when the guest gets an exception; *mxcsr is what it sees. */
static bool settle_simd(uint32_t guest, uint32_t raised, uint32_t *mxcsr)
{
	uint32_t unmasked = raised & ~(guest >> 7);

	/* One found before the operation hides those that only its result would show (SDM volume 1 section 11.5.1). */
	*mxcsr = guest | (unmasked & 0x07 ? raised & 0x07 : raised);
	return unmasked;
}

/*
 * With the control bits everybody has, the guest's and the host's MXCSR differ in nothing but the exception flags.
 * Those then gather in the host's own register, cleared first, until somebody looks (simd_sync()): loading MXCSR costs
 * more than most of the instructions it would be loaded for.
 */
static void simd_go_live(struct soft_cpu *cpu)
{
	_mm_setcsr(MXCSR_MASKS);
	cpu->simd_live = true;
}

void simd_gather(struct soft_cpu *cpu)
{
	cpu->fx.mxcsr |= _mm_getcsr() & MXCSR_FLAGS;
	_mm_setcsr(cpu->host_mxcsr);
	cpu->simd_live = false;
}

/* Any other control bits: loaded for this one instruction. Returns MXCSR as it left it. */
static uint32_t call_with_mxcsr(struct soft_cpu *cpu, const struct insn *in, void *mem, uint32_t mxcsr)
{
	_mm_setcsr(mxcsr);
	call_stub(cpu, in, mem);
	mxcsr = _mm_getcsr();
	_mm_setcsr(cpu->host_mxcsr);
	return mxcsr;
}

/* Runs the stub and settles SIMD exceptions: true when one is raised, with all registers as before. */
static bool run_simd(struct soft_cpu *cpu, const struct insn *in, void *mem)
{
	uint32_t guest = cpu->fx.mxcsr;
	struct vector_copy copy;

	if (G_LIKELY((guest & ~MXCSR_FLAGS) == MXCSR_MASKS)) {
		if (!cpu->simd_live)
			simd_go_live(cpu);
		call_stub(cpu, in, mem);
		return false;
	}
	if ((guest & MXCSR_MASKS) == MXCSR_MASKS) {
		cpu->fx.mxcsr = call_with_mxcsr(cpu, in, mem, guest);
		return false;
	}
	memcpy(copy.xmm, cpu->fx.xmm, sizeof copy.xmm);
	memcpy(copy.high, cpu->ymm_high, sizeof copy.high);
	memcpy(copy.gpr, cpu->gpr, sizeof copy.gpr);
	if (!settle_simd(guest, call_with_mxcsr(cpu, in, mem, trial_mxcsr(guest)) & MXCSR_FLAGS, &cpu->fx.mxcsr))
		return false;
	memcpy(cpu->fx.xmm, copy.xmm, sizeof copy.xmm);
	memcpy(cpu->ymm_high, copy.high, sizeof copy.high);
	memcpy(cpu->gpr, copy.gpr, sizeof copy.gpr);
	return true;
}

/* Conversions between MMX and XMM registers. */
static bool run_mmx_simd(struct soft_cpu *cpu, const struct insn *in, void *mem)
{
	uint32_t guest = cpu->fx.mxcsr;
	struct x86_fxsave copy = cpu->fx;

	cpu->fx.mxcsr = trial_mxcsr(guest);
	call_stub(cpu, in, mem);
	if (!settle_simd(guest, cpu->fx.mxcsr & MXCSR_FLAGS, &cpu->fx.mxcsr))
		return false;
	copy.mxcsr = cpu->fx.mxcsr;
	cpu->fx = copy;
	return true;
}

static bool run_x87(struct soft_cpu *cpu, const struct insn *in, void *mem)
{
	uint64_t fip = cpu->fx.fip, fdp = cpu->fx.fdp;
	uint16_t fop = cpu->fx.fop;
	bool raised = false;

	simd_sync(cpu);
	if (in->aux & NATIVE_MXCSR)
		raised = run_mmx_simd(cpu, in, mem);
	else
		call_stub(cpu, in, mem);
	cpu->fx.fip = fip;
	cpu->fx.fdp = fdp;
	cpu->fx.fop = fop;
	if (in->aux & (NATIVE_MMX | NATIVE_QUIET))
		return raised;
	cpu->fx.fip = INSN_RIP(cpu, in);
	if (cpu->fx.fsw & X87_ES) {
		cpu->fx.fop = (uint16_t)(in->aux32 >> 16 & 0x7ff);
		if (in->aux & NATIVE_MEM)
			cpu->fx.fdp = soft_ea_offset(cpu, in);
	}
	return raised;
}

/* True: #XM is to be raised. */
static bool run_stub(struct soft_cpu *cpu, const struct insn *in, void *mem)
{
	bool raised = false;

	if (in->aux & NATIVE_FLAGS)
		cpu->native_flags = cc_to_rflags(cpu->cc) | X86_FLAG_FIXED;
	if (in->aux & NATIVE_X87)
		raised = run_x87(cpu, in, mem);
	else if (in->aux & NATIVE_MXCSR)
		raised = run_simd(cpu, in, mem);
	else
		call_stub(cpu, in, mem);
	if (in->aux & NATIVE_FLAGS && !raised)
		cpu->cc = cc_from_rflags((uint32_t)cpu->native_flags);
	return raised;
}

static G_NORETURN void raise_simd(struct soft_cpu *cpu, const struct insn *in)
{
	soft_fault_noerr(cpu, in, cpu->cr4 & X86_CR4_OSXMMEXCPT ? X86_EXC_XM : X86_EXC_UD);
}

static OP(op_native)
{
	check_state(cpu, in);
	if (run_stub(cpu, in, NULL))
		raise_simd(cpu, in);
	return NEXT(cpu, in);
}

/* Vector registers only, no flags, no exceptions: the common case of SSE and AVX moves and integer operations. */
static OP(op_native_plain)
{
	check_state(cpu, in);
	call_stub(cpu, in, NULL);
	return NEXT(cpu, in);
}

/* Floating-point arithmetic on vector registers. */
static OP(op_native_simd)
{
	check_state(cpu, in);
	if (G_LIKELY(cpu->simd_live))
		call_stub(cpu, in, NULL);
	else if (run_simd(cpu, in, NULL))
		raise_simd(cpu, in);
	return NEXT(cpu, in);
}

static uint64_t memory_operand(struct soft_cpu *cpu, const struct insn *in, unsigned size, unsigned access)
{
	uint64_t addr = soft_ea(cpu, in, size, access);

	if (in->aux & NATIVE_ALIGN && addr & (size - 1))
		soft_gp(cpu, in, 0);
	return addr;
}

/* All but the inexact one, which is known after the store. */
#define X87_BEFORE_STORE 0x1fu

/*
 * An x87 store whose value raises an unmasked exception stores nothing, and then its memory is of no interest either.
 */
static bool x87_stores(struct soft_cpu *cpu, const struct insn *in)
{
	struct x86_fxsave copy;

	if ((in->aux & (NATIVE_X87 | NATIVE_MMX | NATIVE_WRITE)) != (NATIVE_X87 | NATIVE_WRITE) || G_LIKELY(!(~cpu->fx.fcw & X87_BEFORE_STORE)))
		return true;
	simd_sync(cpu);
	copy = cpu->fx;
	run_x87(cpu, in, cpu->scratch);
	if (cpu->fx.fsw & ~cpu->fx.fcw & X87_BEFORE_STORE)
		return false;
	cpu->fx = copy;
	return true;
}

/* A conversion that is stored: it raises its exceptions, and notes them, before the memory is looked at. */
static OP(op_native_simd_store)
{
	unsigned size = in->aux32 & 0xffff;

	check_state(cpu, in);
	if (run_stub(cpu, in, cpu->scratch))
		raise_simd(cpu, in);
	soft_write_bytes(cpu, in, memory_operand(cpu, in, size, ACCESS_WRITE), cpu->scratch, size);
	return NEXT(cpu, in);
}

static OP(op_native_mem)
{
	unsigned size = in->aux32 & 0xffff, access = in->aux & NATIVE_WRITE ? ACCESS_WRITE : ACCESS_READ;
	uint64_t addr;
	void *p;

	check_state(cpu, in);
	if (!x87_stores(cpu, in))
		return NEXT(cpu, in);
	addr = memory_operand(cpu, in, size, access);
	p = soft_ptr(cpu, in, addr, size, access);
	if (G_LIKELY(p)) {
		if (run_stub(cpu, in, p))
			raise_simd(cpu, in);
		return NEXT(cpu, in);
	}
	if (in->aux & NATIVE_READ)
		soft_read_bytes(cpu, in, addr, cpu->scratch, size);
	if (run_stub(cpu, in, cpu->scratch))
		raise_simd(cpu, in);
	if (in->aux & NATIVE_WRITE)
		soft_write_bytes(cpu, in, addr, cpu->scratch, size);
	return NEXT(cpu, in);
}

static OP(op_native_plain_mem)
{
	unsigned size = in->aux32 & 0xffff, access = in->aux & NATIVE_WRITE ? ACCESS_WRITE : ACCESS_READ;
	uint64_t addr;
	void *p;

	check_state(cpu, in);
	addr = memory_operand(cpu, in, size, access);
	p = soft_ptr(cpu, in, addr, size, access);
	if (G_LIKELY(p)) {
		call_stub(cpu, in, p);
		return NEXT(cpu, in);
	}
	if (in->aux & NATIVE_READ)
		soft_read_bytes(cpu, in, addr, cpu->scratch, size);
	call_stub(cpu, in, cpu->scratch);
	if (in->aux & NATIVE_WRITE)
		soft_write_bytes(cpu, in, addr, cpu->scratch, size);
	return NEXT(cpu, in);
}

/* The same with an operand that is read. */
static OP(op_native_simd_load)
{
	unsigned size = in->aux32 & 0xffff;
	uint64_t addr;
	void *p;

	if (G_UNLIKELY(!cpu->simd_live))
		return op_native_mem(cpu, in);
	check_state(cpu, in);
	addr = memory_operand(cpu, in, size, ACCESS_READ);
	p = soft_ptr(cpu, in, addr, size, ACCESS_READ);
	if (G_UNLIKELY(!p)) {
		soft_read_bytes(cpu, in, addr, cpu->scratch, size);
		p = cpu->scratch;
	}
	call_stub(cpu, in, p);
	return NEXT(cpu, in);
}

/* ---- decoding ---- */

/*
 * Only what computes may run as itself. Everything with another effect has a family of its own; if it reaches this
 * point it is an instruction the software CPU does not know, whatever the host thinks of it.
 */
static bool may_run(const ZydisDecodedInstruction *zi)
{
	/* These are filed under the processors that brought them. */
	if (is_x87(zi))
		return true;
	switch (zi->meta.isa_set) {
	case ZYDIS_ISA_SET_PENTIUMMMX:
	case ZYDIS_ISA_SET_SSE:
	case ZYDIS_ISA_SET_SSE2:
	case ZYDIS_ISA_SET_SSE2MMX:
	case ZYDIS_ISA_SET_SSE3:
	case ZYDIS_ISA_SET_SSSE3:
	case ZYDIS_ISA_SET_SSSE3MMX:
	case ZYDIS_ISA_SET_SSE4:
	case ZYDIS_ISA_SET_SSE42:
	case ZYDIS_ISA_SET_AES:
	case ZYDIS_ISA_SET_PCLMULQDQ:
	case ZYDIS_ISA_SET_SHA:
	case ZYDIS_ISA_SET_GFNI:
	case ZYDIS_ISA_SET_AVX_GFNI:
	case ZYDIS_ISA_SET_AVX:
	case ZYDIS_ISA_SET_AVXAES:
	case ZYDIS_ISA_SET_AVX2:
	case ZYDIS_ISA_SET_FMA:
	case ZYDIS_ISA_SET_F16C:
	case ZYDIS_ISA_SET_VAES:
	case ZYDIS_ISA_SET_VPCLMULQDQ:
	case ZYDIS_ISA_SET_AVX_VNNI:
	case ZYDIS_ISA_SET_BMI1:
	case ZYDIS_ISA_SET_BMI2:
	case ZYDIS_ISA_SET_ADOX_ADCX:
	case ZYDIS_ISA_SET_MOVDIR:
		return true;
	default:
		/* MOVNTI is filed under SSE2; what is left is integer code. */
		return false;
	}
}

op_fn decode_native(struct decoder *d, struct insn *in)
{
	uint8_t core[ZYDIS_MAX_INSTRUCTION_LENGTH];
	size_t len = sizeof core;
	struct emitter e = { .len = 0 };
	struct plan plan;
	op_fn scattered = decode_scattered(d, in);

	if (scattered)
		return scattered;
	if (!may_run(&d->zi) || !make_plan(d, &plan) || !encode_core(d, &plan, core, &len))
		return NULL;
	emit_stub(&e, &plan, core, len);
	in->imm = stub_intern(d->cpu->native, e.code, e.len);
	in->aux = plan.aux;
	in->aux32 = plan.mem_size | x87_opcode(&d->zi) << 16;
	if ((plan.aux & (NATIVE_FLAGS | NATIVE_MXCSR | NATIVE_X87 | NATIVE_WRITE)) == NATIVE_MXCSR)
		return plan.aux & NATIVE_MEM ? op_native_simd_load : op_native_simd;
	if (plan.aux & NATIVE_MXCSR && plan.aux & NATIVE_WRITE)
		return op_native_simd_store;
	if (plan.aux & (NATIVE_FLAGS | NATIVE_MXCSR | NATIVE_X87))
		return plan.aux & NATIVE_MEM ? op_native_mem : op_native;
	return plan.aux & NATIVE_MEM ? op_native_plain_mem : op_native_plain;
}
