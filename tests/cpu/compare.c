/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two outcomes side by side, and what to say when they differ. */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "tests/cpu/gen.h"

/* From here on up addresses are the host's: first its stacks and what its hypervisor hides there, then Linux itself. */
#define HOST_OWN UINT64_C(0x7f0000000000)
#define LINEAR_48 UINT64_C(0xffffffffffff)
#define DATA_DIFFERENCES_SHOWN 8

static const char *const gpr_names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					 "r8",	"r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
static const char *const seg_names[] = { "es", "cs", "ss", "ds", "fs", "gs" };

/* Where differences are counted and, when there is a text, described. What differs by design is in the second half. */
struct differ {
	const struct conform_case *c;
	GString *text; /* or NULL */
	bool found;

	uint64_t rflags, rax; /* bits that are not compared */
	uint64_t string;      /* same, of RCX, RSI and RDI */
	uint64_t upper;	      /* same, of all general registers */
	uint32_t mxcsr, error;
	bool cr2, x87;
	bool unfit; /* nothing at all is compared */
};

static void differ_number(struct differ *d, const char *name, uint64_t start, uint64_t host, uint64_t soft)
{
	if (host == soft)
		return;
	d->found = true;
	if (d->text)
		g_string_append_printf(d->text,
				       "  %-8s host %016" PRIx64 "  soft %016" PRIx64 "  (before: %016" PRIx64 ")\n",
				       name, host, soft, start);
}

static void append_bytes(GString *text, const char *label, const uint8_t *bytes, size_t n)
{
	g_string_append_printf(text, "  %s ", label);
	for (size_t i = n; i-- > 0;)
		g_string_append_printf(text, "%02x%s", bytes[i], i && i % 4 == 0 ? "_" : "");
}

static void differ_bytes(struct differ *d, const char *name, unsigned number, const uint8_t *start, const uint8_t *host,
			 const uint8_t *soft, size_t n)
{
	if (memcmp(host, soft, n) == 0)
		return;
	d->found = true;
	if (!d->text)
		return;
	g_string_append_printf(d->text, "  %s%u\n  ", name, number);
	append_bytes(d->text, "before", start, n);
	append_bytes(d->text, "\n    host  ", host, n);
	append_bytes(d->text, "\n    soft  ", soft, n);
	g_string_append_c(d->text, '\n');
}

/*
 * The last x87 instruction, operand and opcode are kept as the newer processors do it: the operand and the opcode
 * only by unmasked exceptions. A host that keeps them otherwise is not compared. SDM volume 1 section 8.1.8.
 */
static bool keeps_pointers_of_exceptions(void)
{
	uint32_t eax, ebx, ecx, edx;

	__cpuid_count(7, 0, eax, ebx, ecx, edx);
	return ebx >> 6 & 1;
}

static void differ_x87(struct differ *d, const struct x86_fxsave *s, const struct x86_fxsave *h,
		       const struct x86_fxsave *g)
{
	differ_number(d, "fcw", s->fcw, h->fcw, g->fcw);
	differ_number(d, "fsw", s->fsw, h->fsw, g->fsw);
	differ_number(d, "ftw", s->ftw, h->ftw, g->ftw);
	if ((h->fop != g->fop || h->fip != g->fip || h->fdp != g->fdp) && keeps_pointers_of_exceptions()) {
		differ_number(d, "fop", s->fop, h->fop, g->fop);
		/* Processors keep as many bits as their linear addresses have. */
		differ_number(d, "fip", s->fip & LINEAR_48, h->fip & LINEAR_48, g->fip & LINEAR_48);
		differ_number(d, "fdp", s->fdp & LINEAR_48, h->fdp & LINEAR_48, g->fdp & LINEAR_48);
	}
	for (unsigned i = 0; i < 8; i++)
		differ_bytes(d, "st", i, s->st[i], h->st[i], g->st[i], 10);
}

static void differ_vectors(struct differ *d, const struct conform_state *s, const struct conform_state *h,
			   const struct conform_state *g)
{
	differ_number(d, "mxcsr", s->fx.mxcsr, h->fx.mxcsr & ~d->mxcsr, g->fx.mxcsr & ~d->mxcsr);
	if (!d->x87)
		differ_x87(d, &s->fx, &h->fx, &g->fx);
	for (unsigned i = 0; i < 16; i++)
		differ_bytes(d, "xmm", i, s->fx.xmm[i], h->fx.xmm[i], g->fx.xmm[i], 16);
	for (unsigned i = 0; i < 16; i++)
		differ_bytes(d, "ymm high ", i, s->ymm_high[i], h->ymm_high[i], g->ymm_high[i], 16);
}

/* All null selectors are the same: the return from Linux to the handler clears their lower bits. */
static uint16_t selector(uint16_t val)
{
	return val < 4 ? 0 : val;
}

static void differ_registers(struct differ *d, const struct conform_state *s, const struct conform_state *h,
			     const struct conform_state *g)
{
	for (unsigned i = 0; i < X86_N_GPRS; i++) {
		uint64_t ignored = d->upper | (i == X86_RAX				    ? d->rax :
					       i == X86_RCX || i == X86_RSI || i == X86_RDI ? d->string :
											      0);

		differ_number(d, gpr_names[i], s->gpr[i], h->gpr[i] & ~ignored, g->gpr[i] & ~ignored);
	}
	differ_number(d, "rip", s->rip, h->rip, g->rip);
	differ_number(d, "rflags", s->rflags, h->rflags & ~d->rflags, g->rflags & ~d->rflags);
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		differ_number(d, seg_names[i], s->seg[i], selector(h->seg[i]), selector(g->seg[i]));
	differ_number(d, "fs base", s->fs_base, h->fs_base, g->fs_base);
	differ_number(d, "gs base", s->gs_base, h->gs_base, g->gs_base);
}

static void differ_fault(struct differ *d, const struct conform_outcome *h, const struct conform_outcome *g)
{
	differ_number(d, "vector", 0, h->vector, g->vector);
	differ_number(d, "error", 0, h->error & ~d->error, g->error & ~d->error);
	if (!d->cr2)
		differ_number(d, "cr2", 0, h->cr2, g->cr2);
}

static void differ_data(struct differ *d, const struct conform_outcome *h, const struct conform_outcome *g)
{
	unsigned shown = 0;

	if (memcmp(h->data, g->data, DATA_SIZE) == 0)
		return;
	d->found = true;
	for (unsigned i = 0; d->text && i < DATA_SIZE && shown < DATA_DIFFERENCES_SHOWN; i++) {
		if (h->data[i] == g->data[i])
			continue;
		g_string_append_printf(d->text, "  [%08x] host %02x  soft %02x\n", DATA_BASE + i, h->data[i],
				       g->data[i]);
		shown++;
	}
}

static void append_start(GString *text, const struct conform_case *c)
{
	const struct conform_state *s = &c->start;

	for (unsigned i = 0; i < (c->is32 ? 8 : X86_N_GPRS); i++)
		g_string_append_printf(text, "%s%-3s %016" PRIx64,
				       i % 4 ? "  " :
				       i     ? "\n  " :
					       "  ",
				       gpr_names[i], s->gpr[i]);
	g_string_append_printf(text, "\n  rflags %06" PRIx64 "  fs base %" PRIx64 "  gs base %" PRIx64 "  image %u",
			       s->rflags, s->fs_base, s->gs_base, c->image);
	g_string_append_printf(text, "\n  mxcsr %04x  fcw %04x  fsw %04x  ftw %02x\n", s->fx.mxcsr, s->fx.fcw,
			       s->fx.fsw, s->fx.ftw);
	for (unsigned i = 0; i < c->n_pokes; i++)
		g_string_append_printf(text, "  [%08x] %u bytes %" PRIx64 "\n", c->pokes[i].addr, c->pokes[i].size,
				       c->pokes[i].val);
}

char *case_disassemble(const struct conform_case *c)
{
	GString *text = g_string_new(NULL);
	ZydisMachineMode mode = c->is32 ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LONG_64;

	for (unsigned off = 0; off < c->len;) {
		ZydisDisassembledInstruction insn;
		bool ok = ZYAN_SUCCESS(
			ZydisDisassembleIntel(mode, c->start.rip + off, c->code + off, c->len - off, &insn));
		unsigned n = ok ? insn.info.length : c->len - off;

		g_string_append_printf(text, "  %08" PRIx64 " ", c->start.rip + off);
		for (unsigned i = 0; i < n; i++)
			g_string_append_printf(text, " %02x", c->code[off + i]);
		g_string_append_printf(text, "   %s\n", ok ? insn.text : "?");
		off += n;
	}
	return g_string_free(text, FALSE);
}

/* ---- what may differ ---- */

/* The instruction at an address of the snippet. */
static bool instruction_at(const struct conform_case *c, uint64_t rip, ZydisDisassembledInstruction *insn)
{
	ZydisMachineMode mode = c->is32 ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LONG_64;
	uint64_t off = rip - c->start.rip;

	return off < c->len && ZYAN_SUCCESS(ZydisDisassembleIntel(mode, rip, c->code + off, c->len - off, insn));
}

static bool shifts_by_one(const struct conform_case *c, const ZydisDisassembledInstruction *insn)
{
	unsigned mask = insn->operands[0].size == 64 ? 63 : 31, last = insn->info.operand_count_visible - 1u;
	const ZydisDecodedOperand *count = &insn->operands[last];

	if (count->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return (count->imm.value.u & mask) <= 1;
	return (c->start.gpr[X86_RCX] & mask) <= 1;
}

static bool has_short_repeat(const struct conform_case *c)
{
	const uint64_t repeats = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
	ZydisDisassembledInstruction insn;

	for (unsigned off = 0; instruction_at(c, c->start.rip + off, &insn); off += insn.info.length) {
		if (insn.info.address_width == 32 && insn.info.attributes & repeats)
			return true;
	}
	return false;
}

static void allow_by_table(struct differ *d, const struct conform_outcome *h)
{
	const struct difference *known;
	ZydisDisassembledInstruction insn;
	bool fault = h->vector != X86_EXC_BP;

	if (d->c->n_insns == 1 && instruction_at(d->c, d->c->start.rip, &insn)) {
		known = difference_find(insn.info.mnemonic);
		if (known && !(known->what & DIFFER_COUNT && shifts_by_one(d->c, &insn)))
			d->rflags |= known->flags;
	}
	/*
	 * Which registers a repeated string instruction with 32-bit addresses extends with zeros, and when, is up to
	 * the processor if it does nothing or faults.
	 */
	if (!d->c->is32 && has_short_repeat(d->c))
		d->string = ~(uint64_t)UINT32_MAX;
	if (!fault || !instruction_at(d->c, h->state.rip, &insn))
		return;
	known = difference_find(insn.info.mnemonic);
	/*
	 * A gather that is to fault after its first element may trap instead, when there is a trap to take: SDM
	 * volume 2 "VPGATHER".
	 */
	if (h->vector == X86_EXC_DB)
		d->unfit = ZydisRegisterGetClass(insn.operands[1].mem.index) == ZYDIS_REGCLASS_XMM ||
			   ZydisRegisterGetClass(insn.operands[1].mem.index) == ZYDIS_REGCLASS_YMM;
	d->unfit |= (h->vector == X86_EXC_AC && checks_alignment_its_way(&insn.info, insn.operands)) ||
		    (known && known->what & DIFFER_FAULT);
	/* The first to be touched may also be the page that is there and only protected. */
	d->cr2 = (known && known->what & DIFFER_CR2) || insn.info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	if (known && known->what & DIFFER_MXCSR)
		d->mxcsr |= 0x3f;
	/* Has become an MMX instruction before it faults, or not. */
	for (unsigned i = 0; i < insn.info.operand_count; i++)
		d->x87 |= ZydisRegisterGetClass(insn.operands[i].reg.value) == ZYDIS_REGCLASS_MMX;
}

/*
 * Prefixes in front of something undefined that may have taken it beyond 15 bytes: nobody knows how long it would
 * have been.
 */
static bool too_long_or_undefined(const struct conform_case *c, uint32_t one, uint32_t other)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };
	unsigned n = 0;

	while (n < c->len && memchr(prefixes, c->code[n], sizeof(prefixes)))
		n++;
	return c->mnemonic == ZYDIS_MNEMONIC_INVALID && n > 1 &&
	       ((one == X86_EXC_GP && other == X86_EXC_UD) || (one == X86_EXC_UD && other == X86_EXC_GP));
}

static void find_allowances(struct differ *d, const struct conform_outcome *h)
{
	uint32_t raised = h->state.fx.mxcsr & ~(h->state.fx.mxcsr >> 7);

	allow_by_table(d, h);
	/* Upper halves are undefined after a switch to compatibility mode: SDM volume 1 section 3.4.1.1. */
	if (h->state.seg[X86_CS] == USER_CS32)
		d->upper = ~(uint64_t)UINT32_MAX;
	/* Linux says of every address in its own half that it is there, to give nothing away. */
	if (h->vector == X86_EXC_PF && (h->cr2 >= HOST_OWN || d->cr2))
		d->error = 1;
	/* An unmasked overflow or underflow is inexact, or not, by a rounding that cannot be seen when it is masked. */
	if (h->vector == X86_EXC_XM && raised & 0x18)
		d->mxcsr |= 0x20;
	/* The call comes back with the number of the system call, which is 32 bits wide. */
	if (h->vector == OUTCOME_INTERRUPT_80)
		d->rax = ~(uint64_t)UINT32_MAX;
}

/* ---- the comparison ---- */

static void compare_all(struct differ *d, const struct conform_outcome *host, const struct conform_outcome *soft)
{
	differ_fault(d, host, soft);
	differ_registers(d, &d->c->start, &host->state, &soft->state);
	differ_vectors(d, &d->c->start, &host->state, &soft->state);
	differ_data(d, host, soft);
}

static void begin_report(struct differ *d)
{
	const struct conform_case *c = d->c;
	g_autofree char *code = case_disassemble(c);

	d->text = g_string_new(NULL);
	g_string_append_printf(d->text, "case %" PRIu64 "%s%s%s, %s:\n%s", c->number, c->script ? " (" : "",
			       c->script ? c->script : "", c->script ? ")" : "", c->is32 ? "32 bit" : "64 bit", code);
	append_start(d->text, c);
}

bool outcome_is_undefined(const struct conform_case *c, const struct conform_outcome *soft, char **report)
{
	struct differ d = { .c = c };

	if (soft->vector == X86_EXC_UD && soft->state.rip == c->start.rip)
		return true;
	if (report) {
		begin_report(&d);
		g_string_append_printf(d.text, "  ended by vector %u at %" PRIx64 ", must be #UD\n", soft->vector,
				       soft->state.rip);
		*report = g_string_free(d.text, FALSE);
	}
	return false;
}

bool outcomes_equal(const struct conform_case *c, const struct conform_outcome *host,
		    const struct conform_outcome *soft, char **report)
{
	struct differ d = { .c = c };

	compare_all(&d, host, soft);
	if (!d.found)
		return true;
	d.found = false;
	find_allowances(&d, host);
	if (d.unfit || too_long_or_undefined(c, host->vector, soft->vector))
		return true;
	if (report) {
		begin_report(&d);
		g_string_append_printf(d.text, "  ended by vector %u (host), %u (soft); differences:\n", host->vector,
				       soft->vector);
	}
	compare_all(&d, host, soft);
	if (report)
		*report = g_string_free(d.text, FALSE);
	return !d.found;
}
