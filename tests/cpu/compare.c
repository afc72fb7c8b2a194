/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two outcomes side by side, and what to say when they differ. */
#include <stdio.h>
#include <string.h>

#include "tests/cpu/conform.h"

#define CANONICAL_HIGH UINT64_C(0xffff800000000000)
#define DATA_DIFFERENCES_SHOWN 8

static const char *const gpr_names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
static const char *const seg_names[] = { "es", "cs", "ss", "ds", "fs", "gs" };

/* Where differences are counted and, when there is a text, described. */
struct differ {
	const struct conform_case *c;
	GString *text; /* or NULL */
	bool found;
};

static void differ_number(struct differ *d, const char *name, uint64_t start, uint64_t host, uint64_t soft)
{
	if (host == soft)
		return;
	d->found = true;
	if (d->text)
		g_string_append_printf(d->text, "  %-8s host %016" PRIx64 "  soft %016" PRIx64 "  (before: %016" PRIx64 ")\n", name, host, soft, start);
}

static void append_bytes(GString *text, const char *label, const uint8_t *bytes, size_t n)
{
	g_string_append_printf(text, "  %s ", label);
	for (size_t i = n; i-- > 0;)
		g_string_append_printf(text, "%02x%s", bytes[i], i && i % 4 == 0 ? "_" : "");
}

static void differ_bytes(struct differ *d, const char *name, unsigned number, const uint8_t *start, const uint8_t *host, const uint8_t *soft, size_t n)
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
 * The last x87 instruction, operand and opcode are kept as the newer processors do it: the operand and the opcode only by unmasked exceptions. A host that keeps
 * them otherwise is not compared. SDM volume 1 section 8.1.8.
 */
static void differ_x87_pointers(struct differ *d, const struct x86_fxsave *s, const struct x86_fxsave *h, const struct x86_fxsave *g)
{
	differ_number(d, "fop", s->fop, h->fop, g->fop);
	differ_number(d, "fip", s->fip, h->fip, g->fip);
	differ_number(d, "fdp", s->fdp, h->fdp, g->fdp);
}

static void differ_vectors(struct differ *d, const struct conform_state *s, const struct conform_state *h, const struct conform_state *g)
{
	differ_number(d, "fcw", s->fx.fcw, h->fx.fcw, g->fx.fcw);
	differ_number(d, "fsw", s->fx.fsw, h->fx.fsw, g->fx.fsw);
	differ_number(d, "ftw", s->fx.ftw, h->fx.ftw, g->fx.ftw);
	differ_number(d, "mxcsr", s->fx.mxcsr, h->fx.mxcsr, g->fx.mxcsr);
	differ_x87_pointers(d, &s->fx, &h->fx, &g->fx);
	for (unsigned i = 0; i < 8; i++)
		differ_bytes(d, "st", i, s->fx.st[i], h->fx.st[i], g->fx.st[i], 10);
	for (unsigned i = 0; i < 16; i++)
		differ_bytes(d, "xmm", i, s->fx.xmm[i], h->fx.xmm[i], g->fx.xmm[i], 16);
	for (unsigned i = 0; i < 16; i++)
		differ_bytes(d, "ymm high ", i, s->ymm_high[i], h->ymm_high[i], g->ymm_high[i], 16);
}

static void differ_registers(struct differ *d, const struct conform_state *s, const struct conform_state *h, const struct conform_state *g)
{
	const struct difference *known = difference_find(d->c->mnemonic);
	uint64_t ignored = known ? known->flags : 0;

	for (unsigned i = 0; i < X86_N_GPRS; i++)
		differ_number(d, gpr_names[i], s->gpr[i], h->gpr[i], g->gpr[i]);
	differ_number(d, "rip", s->rip, h->rip, g->rip);
	differ_number(d, "rflags", s->rflags, h->rflags & ~ignored, g->rflags & ~ignored);
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		differ_number(d, seg_names[i], s->seg[i], h->seg[i], g->seg[i]);
	differ_number(d, "fs base", s->fs_base, h->fs_base, g->fs_base);
	differ_number(d, "gs base", s->gs_base, h->gs_base, g->gs_base);
}

static void differ_fault(struct differ *d, const struct conform_outcome *h, const struct conform_outcome *g)
{
	/* Linux says of every address in its own half that it is there, to give nothing away. */
	uint32_t ignored = h->vector == X86_EXC_PF && h->cr2 >= CANONICAL_HIGH ? 1 : 0;

	differ_number(d, "vector", 0, h->vector, g->vector);
	differ_number(d, "error", 0, h->error & ~ignored, g->error & ~ignored);
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
		g_string_append_printf(d->text, "  [%08x] host %02x  soft %02x\n", DATA_BASE + i, h->data[i], g->data[i]);
		shown++;
	}
}

static void append_start(GString *text, const struct conform_case *c)
{
	const struct conform_state *s = &c->start;

	for (unsigned i = 0; i < (c->is32 ? 8 : X86_N_GPRS); i++)
		g_string_append_printf(text, "%s%-3s %016" PRIx64, i % 4 ? "  " : i ? "\n  " : "  ", gpr_names[i], s->gpr[i]);
	g_string_append_printf(text, "\n  rflags %06" PRIx64 "  fs base %" PRIx64 "  gs base %" PRIx64 "  image %u", s->rflags, s->fs_base, s->gs_base, c->image);
	g_string_append_printf(text, "\n  mxcsr %04x  fcw %04x  fsw %04x  ftw %02x\n", s->fx.mxcsr, s->fx.fcw, s->fx.fsw, s->fx.ftw);
	for (unsigned i = 0; i < c->n_pokes; i++)
		g_string_append_printf(text, "  [%08x] %u bytes %" PRIx64 "\n", c->pokes[i].addr, c->pokes[i].size, c->pokes[i].val);
}

char *case_disassemble(const struct conform_case *c)
{
	GString *text = g_string_new(NULL);
	ZydisMachineMode mode = c->is32 ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LONG_64;

	for (unsigned off = 0; off < c->len;) {
		ZydisDisassembledInstruction insn;
		bool ok = ZYAN_SUCCESS(ZydisDisassembleIntel(mode, c->start.rip + off, c->code + off, c->len - off, &insn));
		unsigned n = ok ? insn.info.length : c->len - off;

		g_string_append_printf(text, "  %08" PRIx64 " ", c->start.rip + off);
		for (unsigned i = 0; i < n; i++)
			g_string_append_printf(text, " %02x", c->code[off + i]);
		g_string_append_printf(text, "   %s\n", ok ? insn.text : "?");
		off += n;
	}
	return g_string_free(text, FALSE);
}

bool outcomes_equal(const struct conform_case *c, const struct conform_outcome *host, const struct conform_outcome *soft, char **report)
{
	struct differ d = { .c = c, .text = report ? g_string_new(NULL) : NULL };

	if (report) {
		g_autofree char *code = case_disassemble(c);

		g_string_append_printf(d.text, "case %" PRIu64 "%s%s%s, %s:\n%s", c->number, c->script ? " (" : "", c->script ? c->script : "",
				       c->script ? ")" : "", c->is32 ? "32 bit" : "64 bit", code);
		append_start(d.text, c);
		g_string_append_printf(d.text, "  ended by vector %u (host), %u (soft); differences:\n", host->vector, soft->vector);
	}
	differ_fault(&d, host, soft);
	differ_registers(&d, &c->start, &host->state, &soft->state);
	differ_vectors(&d, &c->start, &host->state, &soft->state);
	differ_data(&d, host, soft);
	if (report)
		*report = g_string_free(d.text, FALSE);
	return !d.found;
}
