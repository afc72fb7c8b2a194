/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control and debug registers, descriptor-table registers, TLB maintenance. SDM volume 3 chapters 2, 4.10 and 17.2.
 *
 * TLB entries carry no PCID: every load of CR3 drops the non-global ones, which bit 63 of the value may ask us not to
 * do but never forbids.
 */
#include <string.h>

#include "vmm/cpu/seg.h"

/* ---- control registers ---- */

#define CR0_KNOWN \
	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | \
	 X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

/* Raises #GP for a CR0 value that cannot be: SDM volume 3 section 2.5. */
static void check_cr0(struct soft_cpu *cpu, const struct insn *in, uint64_t val)
{
	bool paging_on = val & X86_CR0_PG && !(cpu->cr0 & X86_CR0_PG);
	bool paging_off = !(val & X86_CR0_PG) && cpu->cr0 & X86_CR0_PG;
	bool bad = val >> 32 || (val & X86_CR0_PG && !(val & X86_CR0_PE)) || (val & X86_CR0_NW && !(val & X86_CR0_CD));

	if (paging_on && cpu->efer & X86_EFER_LME)
		bad |= !(cpu->cr4 & X86_CR4_PAE) || cpu->seg[X86_CS].attr & X86_ATTR_L ||
		       seg_type(cpu->tr.attr) == SYS_TSS16_BUSY;
	if (paging_off)
		bad |= soft_is64(cpu) || cpu->cr4 & X86_CR4_PCIDE;
	if (bad)
		soft_gp(cpu, in, 0);
}

static void set_cr0(struct soft_cpu *cpu, const struct insn *in, uint64_t val)
{
	uint64_t changed;

	check_cr0(cpu, in, val);
	val = (val & CR0_KNOWN) | X86_CR0_ET;
	changed = cpu->cr0 ^ val;
	cpu->cr0 = val;
	if (changed & X86_CR0_PG) {
		cpu->efer &= ~(uint64_t)X86_EFER_LMA;
		if (val & X86_CR0_PG && cpu->efer & X86_EFER_LME)
			cpu->efer |= X86_EFER_LMA;
	}
	if (changed & (X86_CR0_PG | X86_CR0_PE | X86_CR0_WP))
		soft_tlb_flush(cpu, true);
	soft_mode_changed(cpu);
}

static void set_cr3(struct soft_cpu *cpu, const struct insn *in, uint64_t val)
{
	if (cpu->cr4 & X86_CR4_PCIDE)
		val &= ~(UINT64_C(1) << 63);
	if (soft_is64(cpu) && val & ~cpu->phys_mask & ~UINT64_C(0xfff))
		soft_gp(cpu, in, 0);
	cpu->cr3 = val;
	soft_tlb_flush(cpu, false);
}

/* CR4 bits a guest may set, each with the CPUID bit that offers it. reg: EAX 0 to EDX 3. */
static const struct cr4_row {
	uint32_t bit, leaf;
	uint8_t reg, cpuid_bit;
} cr4_rows[] = {
	{ X86_CR4_TSD, 1, 3, 4 },      { X86_CR4_DE, 1, 3, 2 },		 { X86_CR4_PSE, 1, 3, 3 },
	{ X86_CR4_PAE, 1, 3, 6 },      { X86_CR4_MCE, 1, 3, 7 },	 { X86_CR4_PGE, 1, 3, 13 },
	{ X86_CR4_OSFXSR, 1, 3, 24 },  { X86_CR4_OSXMMEXCPT, 1, 3, 25 }, { X86_CR4_UMIP, 7, 2, 2 },
	{ X86_CR4_FSGSBASE, 7, 1, 0 }, { X86_CR4_PCIDE, 1, 2, 17 },	 { X86_CR4_OSXSAVE, 1, 2, 26 },
	{ X86_CR4_SMEP, 7, 1, 7 },     { X86_CR4_SMAP, 7, 1, 20 },
};

static uint64_t cr4_offered(struct soft_cpu *cpu)
{
	uint32_t leaf1[4], leaf7[4];
	uint64_t mask = X86_CR4_PCE; /* no counters are offered, but the bit always exists */

	soft_cpuid(cpu, 1, 0, leaf1);
	soft_cpuid(cpu, 7, 0, leaf7);
	for (size_t i = 0; i < G_N_ELEMENTS(cr4_rows); i++) {
		const uint32_t *leaf = cr4_rows[i].leaf == 1 ? leaf1 : leaf7;

		if (leaf[cr4_rows[i].reg] >> cr4_rows[i].cpuid_bit & 1)
			mask |= cr4_rows[i].bit;
	}
	return mask;
}

static void set_cr4(struct soft_cpu *cpu, const struct insn *in, uint64_t val)
{
	const uint64_t flushing = X86_CR4_PGE | X86_CR4_PAE | X86_CR4_PSE | X86_CR4_PCIDE | X86_CR4_SMEP | X86_CR4_SMAP;
	uint64_t changed = cpu->cr4 ^ val;
	bool bad = val & ~cr4_offered(cpu);

	bad |= soft_is_long(cpu) && !(val & X86_CR4_PAE);
	bad |= changed & val & X86_CR4_PCIDE && (!soft_is_long(cpu) || cpu->cr3 & 0xfff);
	if (bad)
		soft_gp(cpu, in, 0);
	cpu->cr4 = val;
	if (changed & flushing)
		soft_tlb_flush(cpu, true);
	soft_mode_changed(cpu);
}

static void set_cr8(struct soft_cpu *cpu, const struct insn *in, uint64_t val)
{
	if (val > 15)
		soft_gp(cpu, in, 0);
	lapic_set_cr8(cpu->lapic, (uint8_t)val);
}

/* aux: number of the register. */
static OP(op_mov_to_cr)
{
	uint64_t val = soft_is64(cpu) ? REG64(cpu, in->r1) : REG32(cpu, in->r1);

	soft_need_cpl0(cpu, in);
	switch (in->aux) {
	case 0:
		set_cr0(cpu, in, val);
		break;
	case 2:
		cpu->cr2 = val;
		break;
	case 3:
		set_cr3(cpu, in, val);
		break;
	case 4:
		set_cr4(cpu, in, val);
		break;
	default:
		set_cr8(cpu, in, val);
		break;
	}
	return soft_end_here(cpu, in);
}

static OP(op_mov_from_cr)
{
	uint64_t val;

	soft_need_cpl0(cpu, in);
	switch (in->aux) {
	case 0:
		val = cpu->cr0;
		break;
	case 2:
		val = cpu->cr2;
		break;
	case 3:
		val = cpu->cr3;
		break;
	case 4:
		val = cpu->cr4;
		break;
	default:
		val = lapic_get_cr8(cpu->lapic);
		break;
	}
	REG64(cpu, in->r1) = soft_is64(cpu) ? val : (uint32_t)val;
	return NEXT(cpu, in);
}

static OP(op_clts)
{
	soft_need_cpl0(cpu, in);
	cpu->cr0 &= ~(uint64_t)X86_CR0_TS;
	return soft_end_here(cpu, in);
}

/* ---- operands that are a general register or memory ---- */

static void need_umip_clear(struct soft_cpu *cpu, const struct insn *in)
{
	if (cpu->cr4 & X86_CR4_UMIP && cpu->cpl)
		soft_gp(cpu, in, 0);
}

static uint16_t load_word(struct soft_cpu *cpu, const struct insn *in, bool memory)
{
	return memory ? soft_load16(cpu, in, soft_ea(cpu, in, 2, ACCESS_READ)) : REG16(cpu, in->r1);
}

/* aux: register width in bytes, 0 for memory (always 16 bits). */
static void store_word(struct soft_cpu *cpu, const struct insn *in, uint64_t val)
{
	if (in->aux)
		soft_reg_set(cpu, in->r1, in->aux, val);
	else
		soft_store16(cpu, in, soft_ea(cpu, in, 2, ACCESS_WRITE), (uint16_t)val);
}

static OP(op_smsw)
{
	need_umip_clear(cpu, in);
	store_word(cpu, in, cpu->cr0);
	return NEXT(cpu, in);
}

/* Sets PE, MP, EM, TS; cannot clear PE. */
static OP(op_lmsw)
{
	uint64_t val;

	soft_need_cpl0(cpu, in);
	val = load_word(cpu, in, !in->aux) & 0xf;
	set_cr0(cpu, in, (cpu->cr0 & ~UINT64_C(0xe)) | val);
	return soft_end_here(cpu, in);
}

static void need_protected(struct soft_cpu *cpu, const struct insn *in)
{
	if (!soft_is_protected(cpu))
		soft_ud(cpu, in);
}

static OP(op_sldt)
{
	need_protected(cpu, in);
	need_umip_clear(cpu, in);
	store_word(cpu, in, cpu->ldt.selector);
	return NEXT(cpu, in);
}

static OP(op_str)
{
	need_protected(cpu, in);
	need_umip_clear(cpu, in);
	store_word(cpu, in, cpu->tr.selector);
	return NEXT(cpu, in);
}

/* ---- descriptor-table registers ---- */

static unsigned table_base_size(const struct soft_cpu *cpu)
{
	return soft_is64(cpu) ? 8 : 4;
}

static struct x86_table load_table(struct soft_cpu *cpu, const struct insn *in)
{
	unsigned size = table_base_size(cpu);
	struct x86_table table = { 0 };
	uint8_t bytes[10];

	soft_need_cpl0(cpu, in);
	soft_read_bytes(cpu, in, soft_ea(cpu, in, 2 + size, ACCESS_READ), bytes, 2 + size);
	table.limit = bytes[0] | (uint32_t)bytes[1] << 8;
	memcpy(&table.base, bytes + 2, size);
	if (!soft_is64(cpu) && in->flags & INSN_OP16)
		table.base &= 0xffffff;
	if (soft_is64(cpu) && !soft_canonical(table.base))
		soft_gp(cpu, in, 0);
	return table;
}

static OP(op_lgdt)
{
	cpu->gdt = load_table(cpu, in);
	return NEXT(cpu, in);
}

static OP(op_lidt)
{
	cpu->idt = load_table(cpu, in);
	return NEXT(cpu, in);
}

static struct block *store_table(struct soft_cpu *cpu, const struct insn *in, const struct x86_table *table)
{
	unsigned size = table_base_size(cpu);
	uint8_t bytes[10] = { (uint8_t)table->limit, (uint8_t)(table->limit >> 8) };

	need_umip_clear(cpu, in);
	memcpy(bytes + 2, &table->base, size);
	soft_write_bytes(cpu, in, soft_ea(cpu, in, 2 + size, ACCESS_WRITE), bytes, 2 + size);
	return NEXT(cpu, in);
}

static OP(op_sgdt)
{
	return store_table(cpu, in, &cpu->gdt);
}

static OP(op_sidt)
{
	return store_table(cpu, in, &cpu->idt);
}

/* A system descriptor for LLDT or LTR: from the GDT, of the type wanted, present; 16 bytes in long mode. */
static struct x86_segment fetch_system(struct soft_cpu *cpu, const struct insn *in, uint16_t selector,
				       bool (*type_ok)(const struct soft_cpu *, unsigned))
{
	uint32_t error = SEL_ERROR(selector);
	struct x86_segment seg;
	uint64_t raw, high = 0;

	if (selector & SEL_TI || !seg_fetch(cpu, in, selector, &raw))
		soft_gp(cpu, in, error);
	seg_unpack(&seg, selector, raw);
	if (seg.attr & X86_ATTR_S || !type_ok(cpu, seg_type(seg.attr)))
		soft_gp(cpu, in, error);
	if (soft_is_long(cpu) && (!seg_fetch_high(cpu, in, selector, &high) || high >> 40 & 0x1f))
		soft_gp(cpu, in, error);
	if (!seg_present(seg.attr))
		soft_fault(cpu, in, X86_EXC_NP, error);
	seg.base |= high << 32;
	if (soft_is_long(cpu) && !soft_canonical(seg.base))
		soft_gp(cpu, in, 0);
	return seg;
}

static bool is_ldt_type(const struct soft_cpu *cpu, unsigned type)
{
	(void)cpu;
	return type == SYS_LDT;
}

static bool is_free_tss_type(const struct soft_cpu *cpu, unsigned type)
{
	return type == SYS_TSS_FREE || (type == SYS_TSS16_FREE && !soft_is_long(cpu));
}

static OP(op_lldt)
{
	uint16_t selector;

	need_protected(cpu, in);
	soft_need_cpl0(cpu, in);
	selector = load_word(cpu, in, !in->aux);
	if (sel_is_null(selector))
		seg_set_null(&cpu->ldt, selector, 0);
	else
		cpu->ldt = fetch_system(cpu, in, selector, is_ldt_type);
	return NEXT(cpu, in);
}

static OP(op_ltr)
{
	struct x86_segment tss;
	uint16_t selector;

	need_protected(cpu, in);
	soft_need_cpl0(cpu, in);
	selector = load_word(cpu, in, !in->aux);
	if (sel_is_null(selector))
		soft_gp(cpu, in, 0);
	tss = fetch_system(cpu, in, selector, is_free_tss_type);
	tss.attr |= 2; /* busy */
	seg_store_type(cpu, in, selector, (uint8_t)tss.attr);
	cpu->tr = tss;
	return NEXT(cpu, in);
}

/* ---- debug registers ---- */

/* Reserved bits as they always read: SDM volume 3 figure 17-1. */
#define DR6_FIXED UINT64_C(0xffff0ff0)
#define DR6_WRITABLE UINT64_C(0xe00f)
#define DR7_FIXED UINT64_C(0x400)
#define DR7_WRITABLE UINT64_C(0xffff23ff)

static unsigned debug_register(struct soft_cpu *cpu, const struct insn *in)
{
	unsigned n = in->aux;

	soft_need_cpl0(cpu, in);
	if (n == 4 || n == 5) {
		if (cpu->cr4 & X86_CR4_DE)
			soft_ud(cpu, in);
		n += 2;
	}
	if (cpu->dr[7] & X86_DR7_GD) {
		cpu->dr[6] |= X86_DR6_BD;
		soft_fault_noerr(cpu, in, X86_EXC_DB);
	}
	return n;
}

static OP(op_mov_from_dr)
{
	unsigned n = debug_register(cpu, in);

	REG64(cpu, in->r1) = soft_is64(cpu) ? cpu->dr[n] : (uint32_t)cpu->dr[n];
	return NEXT(cpu, in);
}

static OP(op_mov_to_dr)
{
	unsigned n = debug_register(cpu, in);
	uint64_t val = soft_is64(cpu) ? REG64(cpu, in->r1) : REG32(cpu, in->r1);

	if (n >= 6 && val >> 32)
		soft_gp(cpu, in, 0);
	if (n == 6)
		val = (val & DR6_WRITABLE) | DR6_FIXED;
	else if (n == 7)
		val = (val & DR7_WRITABLE) | DR7_FIXED;
	cpu->dr[n] = val;
	soft_debug_changed(cpu);
	/* Pages with data breakpoints must not be reached through the TLB. */
	soft_tlb_flush(cpu, true);
	return soft_end_here(cpu, in);
}

/* ---- TLB ---- */

static OP(op_invlpg)
{
	uint64_t addr;

	soft_need_cpl0(cpu, in);
	addr = soft_is64(cpu) ? soft_ea(cpu, in, 1, ACCESS_READ) :
				(uint32_t)(cpu->seg[in->seg].base + soft_ea_offset(cpu, in));
	soft_tlb_flush_page(cpu, addr);
	return soft_end_here(cpu, in);
}

enum invpcid_type { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL_GLOBAL, INVPCID_ALL, INVPCID_N_TYPES };

static OP(op_invpcid)
{
	uint64_t type = soft_is64(cpu) ? REG64(cpu, in->r1) : REG32(cpu, in->r1);
	uint64_t descriptor[2];

	soft_need_cpl0(cpu, in);
	soft_read_bytes(cpu, in, soft_ea(cpu, in, 16, ACCESS_READ), descriptor, sizeof descriptor);
	if (type >= INVPCID_N_TYPES || descriptor[0] >> 12)
		soft_gp(cpu, in, 0);
	if (type <= INVPCID_CONTEXT && descriptor[0] && !(cpu->cr4 & X86_CR4_PCIDE))
		soft_gp(cpu, in, 0);
	if (type == INVPCID_ADDRESS) {
		if (!soft_canonical(descriptor[1]))
			soft_gp(cpu, in, 0);
		soft_tlb_flush_page(cpu, descriptor[1]);
	} else {
		soft_tlb_flush(cpu, type == INVPCID_ALL_GLOBAL);
	}
	return soft_end_here(cpu, in);
}

/* ---- decoding ---- */

static bool is_memory(const struct decoder *d)
{
	return d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
}

/* Number of a register of the class, or -1. */
static int register_number(const ZydisDecodedOperand *op, ZydisRegisterClass class)
{
	if (op->type != ZYDIS_OPERAND_TYPE_REGISTER || ZydisRegisterGetClass(op->reg.value) != class)
		return -1;
	return ZydisRegisterGetId(op->reg.value);
}

static bool control_exists(const struct decoder *d, int n)
{
	return n == 0 || (n >= 2 && n <= 4) || (n == 8 && d->mode == MODE_64);
}

static op_fn decode_mov(struct decoder *d, struct insn *in)
{
	bool to = register_number(&d->op[0], ZYDIS_REGCLASS_CONTROL) >= 0 ||
		  register_number(&d->op[0], ZYDIS_REGCLASS_DEBUG) >= 0;
	int cr = register_number(&d->op[!to], ZYDIS_REGCLASS_CONTROL),
	    dr = register_number(&d->op[!to], ZYDIS_REGCLASS_DEBUG);

	if (cr < 0 && dr < 0)
		return NULL;
	in->r1 = decode_reg(d->op[to].reg.value);
	in->aux = (uint16_t)(cr < 0 ? dr : cr);
	d->end |= to;
	if (cr < 0)
		return dr > 7 ? op_ud : to ? op_mov_to_dr : op_mov_from_dr;
	return !control_exists(d, cr) ? op_ud : to ? op_mov_to_cr : op_mov_from_cr;
}

/* For instructions on a word in a register or in memory: see store_word(). */
static op_fn word(const struct decoder *d, struct insn *in, op_fn fn)
{
	in->aux = is_memory(d) ? 0 : d->zi.operand_width / 8;
	return fn;
}

static op_fn ends(struct decoder *d, op_fn fn)
{
	d->end = true;
	return fn;
}

op_fn decode_control(struct decoder *d, struct insn *in)
{
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		return decode_mov(d, in);
	case ZYDIS_MNEMONIC_CLTS:
		return ends(d, op_clts);
	case ZYDIS_MNEMONIC_SMSW:
		return word(d, in, op_smsw);
	case ZYDIS_MNEMONIC_LMSW:
		return ends(d, word(d, in, op_lmsw));
	case ZYDIS_MNEMONIC_SLDT:
		return word(d, in, op_sldt);
	case ZYDIS_MNEMONIC_STR:
		return word(d, in, op_str);
	case ZYDIS_MNEMONIC_LLDT:
		return word(d, in, op_lldt);
	case ZYDIS_MNEMONIC_LTR:
		return word(d, in, op_ltr);
	case ZYDIS_MNEMONIC_LGDT:
		return op_lgdt;
	case ZYDIS_MNEMONIC_LIDT:
		return op_lidt;
	case ZYDIS_MNEMONIC_SGDT:
		return op_sgdt;
	case ZYDIS_MNEMONIC_SIDT:
		return op_sidt;
	case ZYDIS_MNEMONIC_INVLPG:
		return ends(d, op_invlpg);
	case ZYDIS_MNEMONIC_INVPCID:
		return ends(d, op_invpcid);
	default:
		return NULL;
	}
}
