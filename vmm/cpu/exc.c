/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions and interrupts: raising them, and delivery through the IVT or the IDT. SDM volume 3 chapter 6 (and 20
 * for real and virtual-8086 mode).
 *
 * Delivery is all or nothing: descriptors are read and checked, the frame is written to the new stack through a
 * struct seg_stack, and only then CS, SS, RSP, RIP, flags and CPL change. A fault on the way therefore leaves the CPU
 * as it was. While an exception or interrupt is being delivered cpu->delivering is set and cpu->event says what it
 * is, so that soft_fault() can tell when the second one makes a double fault (table 6-5) or a shutdown. INT n and its
 * relatives are not "being delivered" in that sense: their faults are ordinary ones of the INT instruction.
 *
 * Task gates are refused: they raise #GP with the gate's error code, as a gate of an invalid type does.
 */
#include "vmm/cpu/seg.h"

#define ERROR_EXT 1u
#define ERROR_IDT 2u

/* ---- raising ---- */

static bool is_contributory(uint8_t vector)
{
	return vector == X86_EXC_DE || (vector >= X86_EXC_TS && vector <= X86_EXC_GP);
}

/* A fault during delivery of cpu->event: SDM volume 3 table 6-5. Returns false when it is a shutdown. */
static bool combine(const struct soft_event *first, struct soft_event *second)
{
	bool second_counts = is_contributory(second->vector) ||
			     (second->vector == X86_EXC_PF && !is_contributory(first->vector));

	if (first->vector == X86_EXC_DF)
		return !is_contributory(second->vector) && second->vector != X86_EXC_PF;
	if (second_counts && (is_contributory(first->vector) || first->vector == X86_EXC_PF))
		*second = (struct soft_event){ .vector = X86_EXC_DF, .has_error = true };
	return true;
}

static G_NORETURN void raise_event(struct soft_cpu *cpu, const struct insn *in, struct soft_event event)
{
	if (in)
		cpu->rip = soft_ip_mask(cpu, INSN_RIP(cpu, in));
	if (cpu->delivering && !combine(&cpu->event, &event))
		cpu->shutdown = true;
	cpu->delivering = false;
	cpu->event = event;
	longjmp(cpu->unwind, 1);
}

void soft_fault(struct soft_cpu *cpu, const struct insn *in, uint8_t vector, uint32_t error)
{
	raise_event(cpu, in, (struct soft_event){ .vector = vector, .has_error = true, .error = error });
}

void soft_fault_noerr(struct soft_cpu *cpu, const struct insn *in, uint8_t vector)
{
	raise_event(cpu, in, (struct soft_event){ .vector = vector });
}

void exc_deliver_pending(struct soft_cpu *cpu)
{
	if (!cpu->shutdown)
		exc_deliver(cpu, EXC_EXCEPTION, cpu->event.vector, cpu->event.has_error, cpu->event.error);
}

/* ---- delivery ---- */

struct delivery {
	const struct insn *in; /* of a software interrupt, else NULL */
	enum exc_kind kind;
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint32_t ext;	/* EXT bit of error codes this delivery itself raises */
	uint64_t rip;	/* to return to */
	uint32_t flags; /* to return with */
};

struct gate {
	unsigned type, dpl, ist;
	bool present;
	uint16_t selector;
	uint64_t offset;
};

static bool is_software(enum exc_kind kind)
{
	return kind == EXC_SOFT_INT || kind == EXC_SOFT_INT3;
}

/*
 * Faults return to the instruction with RF set, so that its breakpoint does not strike twice. SDM volume 3 section
 * 17.3.1.1.
 */
static uint32_t return_flags(const struct soft_cpu *cpu, enum exc_kind kind, uint8_t vector)
{
	bool fault = kind == EXC_EXCEPTION && vector != X86_EXC_DB && vector != X86_EXC_BP && vector != X86_EXC_OF &&
		     vector != X86_EXC_DF;

	return soft_get_rflags(cpu) | (fault ? X86_FLAG_RF : 0);
}

static void commit_flags(struct soft_cpu *cpu, const struct delivery *d, bool interrupt_gate, uint32_t also_clear)
{
	uint32_t clear = X86_FLAG_TF | X86_FLAG_RF | also_clear | (interrupt_gate ? X86_FLAG_IF : 0);

	soft_set_rflags(cpu, soft_get_rflags(cpu) & ~clear);
	soft_mode_changed(cpu);
	if (d->kind == EXC_NMI_EVENT)
		cpu->nmi_blocked = true;
	if (d->vector == X86_EXC_DB && (d->kind == EXC_EXCEPTION || d->kind == EXC_ICEBP))
		cpu->dr[7] &= ~(uint64_t)X86_DR7_GD;
	cpu->halted = false;
	cpu->sti_shadow = false;
}

static void deliver_real(struct soft_cpu *cpu, const struct delivery *d)
{
	struct seg_stack stack = seg_stack_now(cpu);
	uint32_t entry;

	if (d->vector * 4u + 3 > cpu->idt.limit)
		soft_gp(cpu, d->in, 0);
	entry = (uint32_t)soft_sys_load(cpu, d->in, cpu->idt.base + d->vector * 4u, 4);
	seg_push(cpu, d->in, &stack, 2, d->flags);
	seg_push(cpu, d->in, &stack, 2, cpu->seg[X86_CS].selector);
	seg_push(cpu, d->in, &stack, 2, d->rip);
	if ((entry & 0xffff) > cpu->seg[X86_CS].limit)
		soft_gp(cpu, d->in, 0);
	seg_set_real(cpu, X86_CS, (uint16_t)(entry >> 16));
	cpu->gpr[X86_RSP] = stack.sp;
	cpu->rip = entry & 0xffff;
	commit_flags(cpu, d, true, X86_FLAG_AC);
}

static G_NORETURN void refuse_gate(struct soft_cpu *cpu, const struct delivery *d, uint8_t exception, uint32_t ext)
{
	soft_fault(cpu, d->in, exception, d->vector * 8u | ERROR_IDT | ext);
}

static bool gate_type_ok(const struct soft_cpu *cpu, unsigned type)
{
	if (type == SYS_INT || type == SYS_TRAP)
		return true;
	return !soft_is_long(cpu) && (type == SYS_INT16 || type == SYS_TRAP16);
}

static struct gate fetch_gate(struct soft_cpu *cpu, const struct delivery *d)
{
	unsigned size = soft_is_long(cpu) ? 16 : 8;
	uint64_t addr = cpu->idt.base + d->vector * size, low;
	struct gate gate;

	if (d->vector * size + size - 1 > cpu->idt.limit)
		refuse_gate(cpu, d, X86_EXC_GP, d->ext);
	low = soft_sys_load(cpu, d->in, addr, 8);
	gate = (struct gate){
		.type = low >> 40 & 0x1f, /* S included: it must be 0 */
		.dpl = low >> 45 & 3,
		.present = low >> 47 & 1,
		.selector = (uint16_t)(low >> 16),
		.offset = (low & 0xffff) | (low >> 32 & 0xffff0000u),
	};
	if (!gate_type_ok(cpu, gate.type))
		refuse_gate(cpu, d, X86_EXC_GP, d->ext);
	if (is_software(d->kind) && gate.dpl < cpu->cpl)
		refuse_gate(cpu, d, X86_EXC_GP, 0);
	if (!gate.present)
		refuse_gate(cpu, d, X86_EXC_NP, d->ext);
	if (size == 16) {
		gate.ist = low >> 32 & 7;
		gate.offset |= soft_sys_load(cpu, d->in, addr + 8, 8) << 32;
	} else if (gate.type < SYS_INT) {
		gate.offset &= 0xffff;
	}
	return gate;
}

/* The handler's code segment, checked; its RPL set to the level it will run at. */
static struct x86_segment handler_segment(struct soft_cpu *cpu, const struct delivery *d, uint16_t selector)
{
	uint32_t error = SEL_ERROR(selector) | d->ext;
	struct x86_segment cs;
	unsigned cpl;
	uint64_t raw;

	if (!seg_fetch(cpu, d->in, selector, &raw))
		soft_gp(cpu, d->in, error);
	seg_unpack(&cs, selector, raw);
	if (!seg_is_code(cs.attr) || seg_dpl(cs.attr) > cpu->cpl ||
	    (soft_is_long(cpu) && (cs.attr & (X86_ATTR_L | X86_ATTR_DB)) != X86_ATTR_L))
		soft_gp(cpu, d->in, error);
	if (!seg_present(cs.attr))
		soft_fault(cpu, d->in, X86_EXC_NP, error);
	cpl = seg_is_conforming(cs.attr) ? cpu->cpl : seg_dpl(cs.attr);
	if (soft_is_v86(cpu) && cpl != 0)
		soft_gp(cpu, d->in, error);
	seg_mark_accessed(cpu, d->in, &cs);
	cs.selector = (uint16_t)((selector & 0xfffcu) | cpl);
	return cs;
}

/* The stack the frame goes to: the present one, or one from the TSS. */
static struct seg_stack frame_stack(struct soft_cpu *cpu, const struct delivery *d, unsigned cpl, unsigned ist)
{
	struct seg_stack stack;

	if (cpl < cpu->cpl || ist)
		stack = seg_inner_stack(cpu, d->in, cpl, ist, d->ext);
	else
		stack = seg_stack_now(cpu);
	stack.error |= d->ext;
	if (cpl != 3)
		stack.system = true;
	if (soft_is_long(cpu)) {
		stack.mask = UINT64_MAX;
		stack.sp &= ~UINT64_C(15);
	}
	return stack;
}

static void push_v86_segments(struct soft_cpu *cpu, const struct delivery *d, struct seg_stack *stack, unsigned size)
{
	seg_push(cpu, d->in, stack, size, cpu->seg[X86_GS].selector);
	seg_push(cpu, d->in, stack, size, cpu->seg[X86_FS].selector);
	seg_push(cpu, d->in, stack, size, cpu->seg[X86_DS].selector);
	seg_push(cpu, d->in, stack, size, cpu->seg[X86_ES].selector);
}

static void push_frame(struct soft_cpu *cpu, const struct delivery *d, struct seg_stack *stack, unsigned size,
		       bool old_stack)
{
	if (old_stack) {
		seg_push(cpu, d->in, stack, size, cpu->seg[X86_SS].selector);
		seg_push(cpu, d->in, stack, size, cpu->gpr[X86_RSP]);
	}
	seg_push(cpu, d->in, stack, size, d->flags);
	seg_push(cpu, d->in, stack, size, cpu->seg[X86_CS].selector);
	seg_push(cpu, d->in, stack, size, d->rip);
	if (d->has_error)
		seg_push(cpu, d->in, stack, size, d->error);
}

static void drop_v86_segments(struct soft_cpu *cpu)
{
	seg_set_null(&cpu->seg[X86_GS], 0, 0);
	seg_set_null(&cpu->seg[X86_FS], 0, 0);
	seg_set_null(&cpu->seg[X86_DS], 0, 0);
	seg_set_null(&cpu->seg[X86_ES], 0, 0);
}

static void deliver_protected(struct soft_cpu *cpu, const struct delivery *d)
{
	struct gate gate = fetch_gate(cpu, d);
	struct x86_segment cs = handler_segment(cpu, d, gate.selector);
	unsigned cpl = SEL_RPL(cs.selector), size = soft_is_long(cpu) ? 8 : gate.type >= SYS_INT ? 4 : 2;
	struct seg_stack stack = frame_stack(cpu, d, cpl, gate.ist);
	bool v86 = soft_is_v86(cpu), inner = cpl < cpu->cpl;

	if (v86)
		push_v86_segments(cpu, d, &stack, size);
	push_frame(cpu, d, &stack, size, inner || soft_is_long(cpu));
	seg_check_ip(cpu, d->in, &cs, gate.offset, d->ext);

	if (v86)
		drop_v86_segments(cpu);
	cpu->seg[X86_CS] = cs;
	if (inner)
		cpu->seg[X86_SS] = stack.ss;
	cpu->gpr[X86_RSP] = stack.sp;
	cpu->rip = gate.offset;
	commit_flags(cpu, d, gate.type == SYS_INT || gate.type == SYS_INT16, X86_FLAG_NT | X86_FLAG_VM);
}

static void deliver(struct soft_cpu *cpu, const struct delivery *d)
{
	if (cpu->cr0 & X86_CR0_PE)
		deliver_protected(cpu, d);
	else
		deliver_real(cpu, d);
}

void exc_deliver(struct soft_cpu *cpu, enum exc_kind kind, uint8_t vector, bool has_error, uint32_t error)
{
	struct delivery d = {
		.kind = kind,
		.vector = vector,
		.has_error = has_error,
		.error = error,
		.ext = is_software(kind) ? 0 : ERROR_EXT,
		.rip = cpu->rip,
		.flags = return_flags(cpu, kind, vector),
	};

	cpu->delivering = !is_software(kind);
	/* Only exceptions make double faults; NMI stands for every benign event here. */
	cpu->event = (struct soft_event){ .vector = kind == EXC_EXCEPTION ? vector : (uint8_t)X86_EXC_NMI };
	deliver(cpu, &d);
	cpu->delivering = false;
}

void exc_soft_int(struct soft_cpu *cpu, const struct insn *in, enum exc_kind kind, uint8_t vector)
{
	struct delivery d = {
		.in = in,
		.kind = kind,
		.vector = vector,
		.ext = kind == EXC_ICEBP ? ERROR_EXT : 0,
		.rip = soft_ip_mask(cpu, INSN_NEXT_RIP(cpu, in)),
		.flags = return_flags(cpu, kind, vector),
	};

	deliver(cpu, &d);
	cpu->link = NULL;
	cpu->soft_interrupt = true;
}
