/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segment registers, descriptor tables, stacks named by a TSS, and what follows from a change of mode. SDM volume 3
 * chapters 3, 5 and 7.
 *
 * The current privilege level is not kept on its own: it is SS.DPL in protected mode (so a null SS in 64-bit mode
 * carries its level in attr), 3 in virtual-8086 mode and 0 in real mode. Loading SS with the right attributes is
 * therefore what changes it.
 */
#include "vmm/cpu/seg.h"

#define ATTR_DATA (X86_ATTR_P | X86_ATTR_S | SEG_RW | SEG_ACCESSED)
#define ATTR_CODE (ATTR_DATA | SEG_CODE)
#define TSS_RSP0 4u /* 64-bit TSS: SDM volume 3 figure 7-11 */
#define TSS_IST1 0x24u

/* ---- modes ---- */

static uint32_t code_mode(const struct soft_cpu *cpu)
{
	uint16_t attr = cpu->seg[X86_CS].attr;

	if (soft_is_v86(cpu))
		return MODE_16;
	if (seg_is_code64(cpu, attr))
		return MODE_64;
	return attr & X86_ATTR_DB ? MODE_32 : MODE_16;
}

static uint8_t privilege(const struct soft_cpu *cpu)
{
	if (!(cpu->cr0 & X86_CR0_PE))
		return 0;
	return soft_is_v86(cpu) ? 3 : (uint8_t)seg_dpl(cpu->seg[X86_SS].attr);
}

void soft_mode_changed(struct soft_cpu *cpu)
{
	cpu->mode = code_mode(cpu);
	cpu->cpl = privilege(cpu);
	soft_view_changed(cpu);
}

void soft_set_rflags(struct soft_cpu *cpu, uint32_t rflags)
{
	cpu->cc = cc_from_rflags(rflags);
	cpu->rflags = (rflags & ~X86_FLAGS_ARITH) | X86_FLAG_FIXED;
	/* RF lives until the next instruction has completed and is only ever seen by instruction breakpoints. */
	if (!(cpu->dr[7] & 0xff))
		cpu->rflags &= ~X86_FLAG_RF;
	soft_debug_changed(cpu);
	soft_view_changed(cpu);
}

/* ---- descriptors ---- */

/* Linear address of len descriptor bytes from byte `skip` on; false when outside the table. */
static bool table_address(const struct soft_cpu *cpu, uint16_t selector, unsigned skip, uint64_t *addr)
{
	uint32_t offset = (selector & 0xfff8u) + skip;

	if (selector & SEL_TI) {
		if (!seg_present(cpu->ldt.attr) || offset + 7 > cpu->ldt.limit)
			return false;
		*addr = cpu->ldt.base + offset;
		return true;
	}
	if (offset + 7 > cpu->gdt.limit)
		return false;
	*addr = cpu->gdt.base + offset;
	return true;
}

bool seg_fetch(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint64_t *raw)
{
	uint64_t addr;

	if (sel_is_null(selector) || !table_address(cpu, selector, 0, &addr))
		return false;
	*raw = soft_sys_load(cpu, in, addr, 8);
	return true;
}

bool seg_fetch_high(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint64_t *raw)
{
	uint64_t addr;

	if (!table_address(cpu, selector, 8, &addr))
		return false;
	*raw = soft_sys_load(cpu, in, addr, 8);
	return true;
}

void seg_unpack(struct x86_segment *seg, uint16_t selector, uint64_t raw)
{
	uint32_t limit = (uint32_t)((raw & 0xffff) | (raw >> 32 & 0xf0000));

	seg->selector = selector;
	seg->base = (raw >> 16 & 0xffffff) | (raw >> 56) << 24;
	seg->attr = (uint16_t)(raw >> 40 & 0xf0ff);
	seg->limit = seg->attr & X86_ATTR_G ? limit << 12 | 0xfff : limit;
}

void seg_store_type(struct soft_cpu *cpu, const struct insn *in, uint16_t selector, uint8_t type_byte)
{
	uint64_t addr;

	if (table_address(cpu, selector, 0, &addr))
		soft_sys_store(cpu, in, addr + 5, 1, type_byte);
}

void seg_mark_accessed(struct soft_cpu *cpu, const struct insn *in, struct x86_segment *seg)
{
	if (seg->attr & SEG_ACCESSED)
		return;
	seg->attr |= SEG_ACCESSED;
	seg_store_type(cpu, in, seg->selector, (uint8_t)seg->attr);
}

bool seg_is_code64(const struct soft_cpu *cpu, uint32_t attr)
{
	return soft_is_long(cpu) && attr & X86_ATTR_L;
}

void seg_check_ip(struct soft_cpu *cpu, const struct insn *in, const struct x86_segment *cs, uint64_t ip,
		  uint32_t error)
{
	bool good = seg_is_code64(cpu, cs->attr) ? soft_canonical(ip) : ip <= cs->limit;

	if (!good)
		soft_gp(cpu, in, error);
}

/* ---- loading ---- */

void seg_set_null(struct x86_segment *seg, uint16_t selector, unsigned dpl)
{
	*seg = (struct x86_segment){ .selector = selector, .attr = (uint16_t)(dpl << X86_ATTR_DPL_SHIFT) };
}

/* Real mode changes selector and base only: limit and size stay what protected mode left there ("unreal mode"). */
void seg_set_real(struct soft_cpu *cpu, enum x86_seg which, uint16_t selector)
{
	struct x86_segment *seg = &cpu->seg[which];

	seg->selector = selector;
	seg->base = (uint32_t)selector << 4;
	if (soft_is_v86(cpu)) {
		seg->limit = 0xffff;
		seg->attr = ATTR_DATA | 3u << X86_ATTR_DPL_SHIFT;
	} else {
		seg->attr = (seg->attr & (X86_ATTR_G | X86_ATTR_DB)) | ATTR_DATA;
	}
}

void seg_set_flat_code(struct soft_cpu *cpu, uint16_t selector, unsigned cpl, bool is64)
{
	cpu->seg[X86_CS] = (struct x86_segment){
		.selector = (uint16_t)((selector & 0xfffcu) | cpl),
		.limit = UINT32_MAX,
		.attr = (uint16_t)(ATTR_CODE | X86_ATTR_G | (is64 ? X86_ATTR_L : X86_ATTR_DB) |
				   cpl << X86_ATTR_DPL_SHIFT),
	};
}

void seg_set_flat_stack(struct soft_cpu *cpu, uint16_t selector, unsigned cpl)
{
	cpu->seg[X86_SS] = (struct x86_segment){
		.selector = (uint16_t)((selector & 0xfffcu) | cpl),
		.limit = UINT32_MAX,
		.attr = (uint16_t)(ATTR_DATA | X86_ATTR_G | X86_ATTR_DB | cpl << X86_ATTR_DPL_SHIFT),
	};
}

static void load_null(struct soft_cpu *cpu, const struct insn *in, enum x86_seg which, uint16_t selector)
{
	if (which == X86_SS && (!soft_is64(cpu) || cpu->cpl == 3 || SEL_RPL(selector) != cpu->cpl))
		soft_gp(cpu, in, 0);
	seg_set_null(&cpu->seg[which], selector, which == X86_SS ? cpu->cpl : 0);
}

static void check_stack_segment(struct soft_cpu *cpu, const struct insn *in, const struct x86_segment *seg)
{
	if (SEL_RPL(seg->selector) != cpu->cpl || seg_dpl(seg->attr) != cpu->cpl || !seg_is_writable(seg->attr))
		soft_gp(cpu, in, SEL_ERROR(seg->selector));
	if (!seg_present(seg->attr))
		soft_fault(cpu, in, X86_EXC_SS, SEL_ERROR(seg->selector));
}

static void check_data_segment(struct soft_cpu *cpu, const struct insn *in, const struct x86_segment *seg)
{
	bool privileged = seg_dpl(seg->attr) < MAX(SEL_RPL(seg->selector), cpu->cpl);

	if (!seg_is_readable(seg->attr) || (privileged && !seg_is_conforming(seg->attr)))
		soft_gp(cpu, in, SEL_ERROR(seg->selector));
	if (!seg_present(seg->attr))
		soft_fault(cpu, in, X86_EXC_NP, SEL_ERROR(seg->selector));
}

void seg_load(struct soft_cpu *cpu, const struct insn *in, enum x86_seg which, uint16_t selector)
{
	struct x86_segment seg;
	uint64_t raw;

	if (!soft_is_protected(cpu)) {
		seg_set_real(cpu, which, selector);
		return;
	}
	if (sel_is_null(selector)) {
		load_null(cpu, in, which, selector);
		return;
	}
	if (!seg_fetch(cpu, in, selector, &raw))
		soft_gp(cpu, in, SEL_ERROR(selector));
	seg_unpack(&seg, selector, raw);
	if (which == X86_SS)
		check_stack_segment(cpu, in, &seg);
	else
		check_data_segment(cpu, in, &seg);
	seg_mark_accessed(cpu, in, &seg);
	cpu->seg[which] = seg;
}

void seg_drop_inner(struct soft_cpu *cpu, unsigned new_cpl)
{
	static const enum x86_seg data[] = { X86_ES, X86_DS, X86_FS, X86_GS };

	for (size_t i = 0; i < G_N_ELEMENTS(data); i++) {
		struct x86_segment *seg = &cpu->seg[data[i]];

		if (!seg_present(seg->attr) || seg_dpl(seg->attr) >= new_cpl || seg_is_conforming(seg->attr))
			continue;
		/* The base stays, as it does on processors: 64-bit code may have set FS and GS by MSR. */
		seg->selector = 0;
		seg->attr = 0;
	}
}

/* ---- stacks ---- */

static uint64_t stack_mask(const struct x86_segment *ss)
{
	return ss->attr & X86_ATTR_DB ? UINT32_MAX : UINT16_MAX;
}

struct seg_stack seg_stack_now(const struct soft_cpu *cpu)
{
	return (struct seg_stack){
		.ss = cpu->seg[X86_SS],
		.sp = cpu->gpr[X86_RSP],
		.mask = soft_is64(cpu) ? UINT64_MAX : stack_mask(&cpu->seg[X86_SS]),
	};
}

void seg_stack_move(struct seg_stack *stack, int64_t bytes)
{
	stack->sp = (stack->sp & ~stack->mask) | ((stack->sp + (uint64_t)bytes) & stack->mask);
}

static bool stack_holds(const struct seg_stack *stack, uint64_t offset, unsigned size)
{
	uint64_t last = offset + size - 1;

	if (stack->mask == UINT64_MAX)
		return soft_canonical(offset) && soft_canonical(last);
	if (!(stack->ss.attr & SEG_EXPAND_DOWN))
		return last <= stack->ss.limit || (stack->ss.limit == UINT32_MAX && !stack->ss.base);
	return offset > stack->ss.limit && last <= stack_mask(&stack->ss);
}

static uint64_t stack_linear(struct soft_cpu *cpu, const struct insn *in, const struct seg_stack *stack, unsigned size)
{
	uint64_t offset = stack->sp & stack->mask;

	if (!stack_holds(stack, offset, size))
		soft_fault(cpu, in, X86_EXC_SS, stack->error);
	return stack->mask == UINT64_MAX ? offset : (uint32_t)(stack->ss.base + offset);
}

void seg_push(struct soft_cpu *cpu, const struct insn *in, struct seg_stack *stack, unsigned size, uint64_t val)
{
	uint64_t addr;

	seg_stack_move(stack, -(int64_t)size);
	addr = stack_linear(cpu, in, stack, size);
	if (stack->system)
		soft_sys_store(cpu, in, addr, size, val);
	else
		soft_store_n(cpu, in, addr, size, val);
}

uint64_t seg_pop(struct soft_cpu *cpu, const struct insn *in, struct seg_stack *stack, unsigned size)
{
	uint64_t addr = stack_linear(cpu, in, stack, size), val;

	val = stack->system ? soft_sys_load(cpu, in, addr, size) : soft_load_n(cpu, in, addr, size);
	seg_stack_move(stack, size);
	return val;
}

static uint64_t tss_load(struct soft_cpu *cpu, const struct insn *in, uint32_t offset, unsigned size, uint32_t ext)
{
	if (!seg_present(cpu->tr.attr) || offset + size - 1 > cpu->tr.limit)
		soft_fault(cpu, in, X86_EXC_TS, SEL_ERROR(cpu->tr.selector) | ext);
	return soft_sys_load(cpu, in, cpu->tr.base + offset, size);
}

static struct seg_stack long_stack(struct soft_cpu *cpu, const struct insn *in, unsigned cpl, unsigned ist,
				   uint32_t ext)
{
	struct seg_stack stack = { .mask = UINT64_MAX, .error = ext, .system = true };

	stack.sp = tss_load(cpu, in, ist ? TSS_IST1 + (ist - 1) * 8 : TSS_RSP0 + cpl * 8, 8, ext);
	seg_set_null(&stack.ss, (uint16_t)cpl, cpl);
	return stack;
}

/* Where the TSS keeps the stack of a level: SDM volume 3 figures 7-2 and 7-10. */
static uint16_t tss_stack(struct soft_cpu *cpu, const struct insn *in, unsigned cpl, uint32_t ext, uint32_t *sp)
{
	bool wide = seg_type(cpu->tr.attr) == SYS_TSS_BUSY;
	uint32_t offset = wide ? 4 + cpl * 8 : 2 + cpl * 4;
	uint16_t selector = (uint16_t)tss_load(cpu, in, offset + (wide ? 4 : 2), 2, ext);

	*sp = (uint32_t)tss_load(cpu, in, offset, wide ? 4 : 2, ext);
	return selector;
}

struct seg_stack seg_inner_stack(struct soft_cpu *cpu, const struct insn *in, unsigned cpl, unsigned ist, uint32_t ext)
{
	struct seg_stack stack = { .system = true };
	uint16_t selector;
	uint64_t raw;
	uint32_t sp, error;

	if (soft_is_long(cpu))
		return long_stack(cpu, in, cpl, ist, ext);
	selector = tss_stack(cpu, in, cpl, ext, &sp);
	error = SEL_ERROR(selector) | ext;
	if (sel_is_null(selector) || !seg_fetch(cpu, in, selector, &raw))
		soft_fault(cpu, in, X86_EXC_TS, error);
	seg_unpack(&stack.ss, selector, raw);
	if (SEL_RPL(selector) != cpl || seg_dpl(stack.ss.attr) != cpl || !seg_is_writable(stack.ss.attr))
		soft_fault(cpu, in, X86_EXC_TS, error);
	if (!seg_present(stack.ss.attr))
		soft_fault(cpu, in, X86_EXC_SS, error);
	seg_mark_accessed(cpu, in, &stack.ss);
	stack.sp = sp;
	stack.mask = stack_mask(&stack.ss);
	stack.error = error;
	return stack;
}
