/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From instruction bytes to a record with an op function. Zydis decodes; what all instructions share is filled in here; then the family that the table
 * names chooses the op. What no family wants runs as itself (native.c) or is undefined.
 */
#include <string.h>

#include "vmm/cpu/machine.h"

/* clang-format off */
static const decode_fn families[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define ALU(m) [ZYDIS_MNEMONIC_##m] = decode_alu
#define FLOW(m) [ZYDIS_MNEMONIC_##m] = decode_flow
#define STRING(m) [ZYDIS_MNEMONIC_##m] = decode_string
#define LEGACY(m) [ZYDIS_MNEMONIC_##m] = decode_legacy
#define SYSTEM(m) [ZYDIS_MNEMONIC_##m] = decode_system
#define FPSTATE(m) [ZYDIS_MNEMONIC_##m] = decode_fpstate
	ALU(ADC), ALU(ADD), ALU(AND), ALU(CMP), ALU(DEC), ALU(IMUL), ALU(INC), ALU(LEA), ALU(MOV), ALU(MOVSX),
	ALU(MOVSXD), ALU(MOVZX), ALU(NEG), ALU(NOT), ALU(OR), ALU(ROL), ALU(ROR), ALU(SAR), ALU(SBB), ALU(SHL),
	ALU(SHR), ALU(SUB), ALU(TEST), ALU(XOR), ALU(NOP), ALU(CMOVB), ALU(CMOVBE), ALU(CMOVL), ALU(CMOVLE),
	ALU(CMOVNB), ALU(CMOVNBE), ALU(CMOVNL), ALU(CMOVNLE), ALU(CMOVNO), ALU(CMOVNP), ALU(CMOVNS), ALU(CMOVNZ),
	ALU(CMOVO), ALU(CMOVP), ALU(CMOVS), ALU(CMOVZ), ALU(SETB), ALU(SETBE), ALU(SETL), ALU(SETLE), ALU(SETNB),
	ALU(SETNBE), ALU(SETNL), ALU(SETNLE), ALU(SETNO), ALU(SETNP), ALU(SETNS), ALU(SETNZ), ALU(SETO), ALU(SETP),
	ALU(SETS), ALU(SETZ), ALU(ENDBR32), ALU(ENDBR64),

	FLOW(CALL), FLOW(JMP), FLOW(RET), FLOW(PUSH), FLOW(POP), FLOW(LEAVE), FLOW(JCXZ), FLOW(JECXZ), FLOW(JRCXZ),
	FLOW(LOOP), FLOW(LOOPE), FLOW(LOOPNE), FLOW(JB), FLOW(JBE), FLOW(JL), FLOW(JLE), FLOW(JNB), FLOW(JNBE),
	FLOW(JNL), FLOW(JNLE), FLOW(JNO), FLOW(JNP), FLOW(JNS), FLOW(JNZ), FLOW(JO), FLOW(JP), FLOW(JS), FLOW(JZ),

	STRING(MOVSB), STRING(MOVSW), STRING(MOVSD), STRING(MOVSQ), STRING(STOSB), STRING(STOSW), STRING(STOSD),
	STRING(STOSQ), STRING(LODSB), STRING(LODSW), STRING(LODSD), STRING(LODSQ), STRING(CMPSB), STRING(CMPSW),
	STRING(CMPSD), STRING(CMPSQ), STRING(SCASB), STRING(SCASW), STRING(SCASD), STRING(SCASQ), STRING(INSB),
	STRING(INSW), STRING(INSD), STRING(OUTSB), STRING(OUTSW), STRING(OUTSD), STRING(IN), STRING(OUT),

	LEGACY(AAA), LEGACY(AAS), LEGACY(AAM), LEGACY(AAD), LEGACY(DAA), LEGACY(DAS), LEGACY(PUSHA), LEGACY(PUSHAD),
	LEGACY(POPA), LEGACY(POPAD), LEGACY(BOUND), LEGACY(ENTER), LEGACY(XLAT), LEGACY(LAHF), LEGACY(SAHF),
	LEGACY(CLC), LEGACY(STC), LEGACY(CMC), LEGACY(CLD), LEGACY(STD), LEGACY(CMPXCHG), LEGACY(CMPXCHG8B),
	LEGACY(CMPXCHG16B), LEGACY(XADD), LEGACY(XCHG), LEGACY(BT), LEGACY(BTS), LEGACY(BTR), LEGACY(BTC),
	LEGACY(BSF), LEGACY(BSR), LEGACY(TZCNT), LEGACY(LZCNT), LEGACY(POPCNT), LEGACY(BSWAP), LEGACY(MOVBE),
	LEGACY(SHLD), LEGACY(SHRD), LEGACY(RCL), LEGACY(RCR), LEGACY(MUL), LEGACY(DIV), LEGACY(IDIV), LEGACY(CBW),
	LEGACY(CWDE), LEGACY(CDQE), LEGACY(CWD), LEGACY(CDQ), LEGACY(CQO), LEGACY(CRC32), LEGACY(RDRAND),
	LEGACY(RDSEED), LEGACY(SALC),

	SYSTEM(INT), SYSTEM(INT1), SYSTEM(INT3), SYSTEM(INTO), SYSTEM(IRET), SYSTEM(IRETD), SYSTEM(IRETQ),
	SYSTEM(SYSCALL), SYSTEM(SYSRET), SYSTEM(SYSENTER), SYSTEM(SYSEXIT), SYSTEM(SWAPGS), SYSTEM(RDFSBASE),
	SYSTEM(RDGSBASE), SYSTEM(WRFSBASE), SYSTEM(WRGSBASE), SYSTEM(CLTS), SYSTEM(LMSW), SYSTEM(SMSW), SYSTEM(LGDT),
	SYSTEM(LIDT), SYSTEM(SGDT), SYSTEM(SIDT), SYSTEM(LLDT), SYSTEM(SLDT), SYSTEM(LTR), SYSTEM(STR), SYSTEM(LAR),
	SYSTEM(LSL), SYSTEM(VERR), SYSTEM(VERW), SYSTEM(ARPL), SYSTEM(INVLPG), SYSTEM(INVPCID), SYSTEM(WBINVD),
	SYSTEM(INVD), SYSTEM(HLT), SYSTEM(CLI), SYSTEM(STI), SYSTEM(PUSHF), SYSTEM(PUSHFD), SYSTEM(PUSHFQ),
	SYSTEM(POPF), SYSTEM(POPFD), SYSTEM(POPFQ), SYSTEM(CPUID), SYSTEM(RDMSR), SYSTEM(WRMSR), SYSTEM(RDTSC),
	SYSTEM(RDTSCP), SYSTEM(RDPMC), SYSTEM(RDPID), SYSTEM(LDS), SYSTEM(LES), SYSTEM(LSS), SYSTEM(LFS),
	SYSTEM(LGS), SYSTEM(STAC), SYSTEM(CLAC), SYSTEM(PAUSE), SYSTEM(CLFLUSH), SYSTEM(CLFLUSHOPT), SYSTEM(CLWB),
	SYSTEM(LFENCE), SYSTEM(MFENCE), SYSTEM(SFENCE), SYSTEM(PREFETCH), SYSTEM(PREFETCHNTA), SYSTEM(PREFETCHT0),
	SYSTEM(PREFETCHT1), SYSTEM(PREFETCHT2), SYSTEM(PREFETCHW), SYSTEM(PREFETCHWT1), SYSTEM(UD0), SYSTEM(UD1),
	SYSTEM(UD2), SYSTEM(SERIALIZE), SYSTEM(MONITOR), SYSTEM(MWAIT), SYSTEM(RSM), SYSTEM(CLDEMOTE),

	FPSTATE(FXSAVE), FPSTATE(FXSAVE64), FPSTATE(FXRSTOR), FPSTATE(FXRSTOR64), FPSTATE(XSAVE), FPSTATE(XSAVE64),
	FPSTATE(XSAVEOPT), FPSTATE(XSAVEOPT64), FPSTATE(XRSTOR), FPSTATE(XRSTOR64), FPSTATE(XGETBV), FPSTATE(XSETBV),
	FPSTATE(LDMXCSR), FPSTATE(STMXCSR), FPSTATE(VLDMXCSR), FPSTATE(VSTMXCSR), FPSTATE(FNSAVE), FPSTATE(FRSTOR),
	FPSTATE(FNSTENV), FPSTATE(FLDENV), FPSTATE(EMMS), FPSTATE(VZEROALL), FPSTATE(VZEROUPPER), FPSTATE(FWAIT),
	FPSTATE(FNINIT), FPSTATE(FNCLEX), FPSTATE(FLDCW), FPSTATE(FNSTCW), FPSTATE(FNSTSW),
};
/* clang-format on */

void decode_init(struct soft_decoders *decoders, const struct cpu_features *features)
{
	ZydisDecoder *all[] = { &decoders->d64, &decoders->d32, &decoders->d16 };

	ZydisDecoderInit(&decoders->d64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderInit(&decoders->d32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders->d16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
		ZydisDecoderEnableMode(all[i], ZYDIS_DECODER_MODE_MPX, false);
		ZydisDecoderEnableMode(all[i], ZYDIS_DECODER_MODE_CET, false);
		ZydisDecoderEnableMode(all[i], ZYDIS_DECODER_MODE_CLDEMOTE, false);
		ZydisDecoderEnableMode(all[i], ZYDIS_DECODER_MODE_WBNOINVD, false);
		ZydisDecoderEnableMode(all[i], ZYDIS_DECODER_MODE_LZCNT, cpu_features_has(features, CPU_FEATURE_ABM));
		ZydisDecoderEnableMode(all[i], ZYDIS_DECODER_MODE_TZCNT, cpu_features_has(features, CPU_FEATURE_BMI1));
	}
}

OP(op_ud)
{
	soft_ud(cpu, in);
}

/* More than 15 bytes. */
static OP(op_too_long)
{
	soft_gp(cpu, in, 0);
}

OP(op_nop)
{
	return NEXT(cpu, in);
}

uint8_t decode_reg(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return (uint8_t)((reg - ZYDIS_REGISTER_AH) * 8 + 1);
	/* Zydis numbers the 8-bit registers in an order of its own. */
	return (uint8_t)(ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)) * 8);
}

static bool is_gpr(ZydisRegister reg)
{
	ZydisRegisterClass class = ZydisRegisterGetClass(reg);

	return class == ZYDIS_REGCLASS_GPR8 || class == ZYDIS_REGCLASS_GPR16 || class == ZYDIS_REGCLASS_GPR32 ||
	       class == ZYDIS_REGCLASS_GPR64;
}

static uint8_t address_reg(ZydisRegister reg)
{
	return is_gpr(reg) ? decode_reg(reg) : SLOT_ZERO;
}

static void fill_memory(struct decoder *d, struct insn *in, const ZydisDecodedOperand *op)
{
	int64_t disp = op->mem.disp.has_displacement ? op->mem.disp.value : 0;

	in->seg = (uint8_t)(op->mem.segment == ZYDIS_REGISTER_NONE ? X86_DS : op->mem.segment - ZYDIS_REGISTER_ES);
	in->base = address_reg(op->mem.base);
	/* Zydis 4.0 takes this form for one with a base register (R13) when there is a 67 prefix as well. */
	if (d->zi.address_width != 16 && d->zi.raw.modrm.mod == 0 && d->zi.raw.modrm.rm == 4 &&
	    d->zi.raw.sib.base == 5) {
		in->base = SLOT_ZERO;
		disp = d->zi.raw.disp.value;
	}
	in->index = address_reg(op->mem.index);
	in->scale = op->mem.scale ? (uint8_t)g_bit_nth_lsf(op->mem.scale, -1) : 0;
	if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP) {
		in->base = SLOT_RIP;
		disp += in->off + in->len;
		if (disp > INT32_MAX)
			in->index = SLOT_4G;
	}
	in->disp = (int32_t)disp;
	if (d->mode != MODE_64 || in->seg == X86_FS || in->seg == X86_GS || in->flags & INSN_EA32)
		in->flags |= INSN_EA_SLOW;
}

static void fill_common(struct decoder *d, struct insn *in)
{
	bool have_mem = false, have_imm = false;
	unsigned regs = 0;

	if (d->zi.attributes & ZYDIS_ATTRIB_HAS_LOCK ||
	    (d->zi.mnemonic == ZYDIS_MNEMONIC_XCHG && d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY))
		in->flags |= INSN_LOCK;
	if (d->zi.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
		in->flags |= INSN_REP;
	if (d->zi.attributes & ZYDIS_ATTRIB_HAS_REPNE)
		in->flags |= INSN_REPNE;
	in->flags |= d->zi.operand_width == 16 ? INSN_OP16 : d->zi.operand_width == 64 ? INSN_OP64 : 0;
	in->flags |= d->zi.address_width == 16 ? INSN_EA16 : d->zi.address_width == 32 ? INSN_EA32 : 0;
	in->base = in->index = SLOT_ZERO;
	in->seg = X86_DS;
	for (unsigned i = 0; i < d->zi.operand_count; i++) {
		const ZydisDecodedOperand *op = &d->op[i];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && !have_mem &&
		    op->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
			have_mem = true;
			fill_memory(d, in, op);
		}
		if (op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			continue;
		if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && !have_imm) {
			have_imm = true;
			in->imm = (int32_t)op->imm.value.s;
		}
		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(op->reg.value)) {
			if (regs++ == 0)
				in->r1 = decode_reg(op->reg.value);
			else if (regs == 2)
				in->r2 = decode_reg(op->reg.value);
		}
	}
}

static op_fn choose(struct decoder *d, struct insn *in)
{
	decode_fn family = families[d->zi.mnemonic];
	op_fn fn = NULL;

	if (!isa_offered(d->cpu->features, &d->zi))
		return NULL;
	if (family)
		fn = family(d, in);
	return fn ? fn : decode_native(d, in);
}

/*
 * Zydis refuses everything that is undefined in a way which depends on the bytes alone; what is left are encodings too long for a processor and those cut
 * off by the end of the buffer.
 */
static unsigned refused(ZyanStatus status, size_t len, struct insn *in, bool *end)
{
	if (status == ZYDIS_STATUS_NO_MORE_DATA && len < ZYDIS_MAX_INSTRUCTION_LENGTH)
		return 0;
	in->fn = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA ? op_too_long :
												      op_ud;
	in->len = 1;
	*end = true;
	return 1;
}

unsigned decode_one(struct soft_cpu *cpu, const struct soft_decoders *decoders, const uint8_t *bytes, size_t len,
		    unsigned off, struct insn *in, bool *end)
{
	const ZydisDecoder *decoder = cpu->mode & MODE_64 ? &decoders->d64 :
				      cpu->mode & MODE_32 ? &decoders->d32 :
							    &decoders->d16;
	struct decoder d = { .cpu = cpu, .bytes = bytes, .mode = cpu->mode };
	ZydisDecoderContext context;
	ZyanStatus status;

	memset(in, 0, sizeof *in);
	in->off = (uint16_t)off;
	*end = false;
	status = ZydisDecoderDecodeInstruction(decoder, &context, bytes, len, &d.zi);
	if (ZYAN_FAILED(status))
		return refused(status, len, in, end);
	status = ZydisDecoderDecodeOperands(decoder, &context, &d.zi, d.op, d.zi.operand_count);
	if (ZYAN_FAILED(status))
		return refused(ZYDIS_STATUS_DECODING_ERROR, len, in, end);
	in->len = d.zi.length;
	d.page_off = (unsigned)(((cpu->mode & MODE_64 ? 0 : cpu->seg[X86_CS].base) + cpu->rip) & ~PAGE_MASK);
	fill_common(&d, in);
	in->fn = choose(&d, in);
	if (!in->fn) {
		in->fn = op_ud;
		d.end = true;
	}
	*end = d.end;
	return in->len;
}
