/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_GUEST_STUBS_IRQ_H
#define LODGE_TESTS_GUEST_STUBS_IRQ_H

#include "tests/guest-asm.h"

/* Interrupts from everywhere, the second processor, and kicks. */

/* --- interrupts through the local APIC --- */

/*
 * Switches the local APIC on, calls the host, sleeps; the handler says 'i' and the guest ends after the second
 * interrupt.
 */
STUB(msi, "movl $0xfee00000, %ebx\n"
     "movl $0x1ff, 0xf0(%rbx)\n"
     "xorl %ecx, %ecx\n" CALL_HOST(1)
     "1: cli\n"
     "cmpl $2, %ecx\n"
     "je 2f\n"
     "sti\n"
     "hlt\n"
     "jmp 1b\n"
     "2: movl %ecx, %eax\n" DONE
     ".globl stub_msi_handler\n"
     ".hidden stub_msi_handler\n"
     "stub_msi_handler:\n"
     "incl %ecx\n" SAY("i") LAPIC_EOI CALL_HOST(2)
     "iretq\n");
STUB_LABEL(msi_handler);

#define MSI_VECTOR 0x51u

static inline void send_msi(struct guest *guest)
{
	const struct msi_message msg = { .address = 0xfee00000, .data = MSI_VECTOR };

	vm_msi(&guest->vm, &msg);
}

static inline gpointer send_msi_thread(gpointer data)
{
	send_msi(data);
	return NULL;
}

/* The first message comes from another thread, the second from the vCPU's own, inside the handler. */
static inline void on_call_msi(struct guest *guest, uint8_t val)
{
	if (val == 1)
		guest->opaque = g_thread_new("msi", send_msi_thread, guest);
	else if (strcmp(guest->said->str, "i") == 0)
		send_msi(guest);
}

static inline void stub_test_msi(gconstpointer class)
{
	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, msi);
	guest_set_gate(guest, MSI_VECTOR, ADDRESS(msi, msi_handler));
	guest->on_call = on_call_msi;
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 2);
	g_thread_join(guest->opaque);
	g_assert_cmpstr(guest->said->str, ==, "ii");
}

/* --- non-maskable, with interrupts off --- */

STUB(nmi, "cli\n" CALL_HOST(1) "1: pause\n jmp 1b\n"
     ".globl stub_nmi_handler\n"
     ".hidden stub_nmi_handler\n"
     "stub_nmi_handler:\n" SAY("n")
     "movl $0x4e4d49, %eax\n" DONE);
STUB_LABEL(nmi_handler);

static inline void on_call_nmi(struct guest *guest, uint8_t val)
{
	(void)val;
	guest->vm.accel_class->nmi(&guest->vcpus[0]);
}

static inline void stub_test_nmi(gconstpointer class)
{
	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, nmi);
	guest_set_gate(guest, X86_EXC_NMI, ADDRESS(nmi, nmi_handler));
	guest->on_call = on_call_nmi;
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 0x4e4d49);
}

/* --- the local APIC's timer: one-shot, then TSC-deadline --- */

STUB(apic_timer, "movl $0xfee00000, %ebx\n"
     "movl $0x1ff, 0xf0(%rbx)\n"
     "movl $0xb, 0x3e0(%rbx)\n" /* divide by 1 */
     "movl $0x51, 0x320(%rbx)\n"
     "xorl %r12d, %r12d\n"
     "movl $100000, 0x380(%rbx)\n"
     SLEEP_UNTIL(1)
     "movl $0x40051, 0x320(%rbx)\n"
     "mfence\n"
     "rdtsc\n"
     "shlq $32, %rdx\n"
     "orq %rdx, %rax\n"
     "movq %rax, %r13\n"
     "addq $200000, %rax\n"
     "movq %rax, %rdx\n"
     "shrq $32, %rdx\n"
     "movl $0x6e0, %ecx\n"
     "wrmsr\n"
     SLEEP_UNTIL(2)
     "rdtsc\n"
     "shlq $32, %rdx\n"
     "orq %rdx, %rax\n"
     "subq %r13, %rax\n"
     "cmpq $200000, %rax\n"
     "setae %al\n"
     "movzbl %al, %eax\n" DONE
     ".globl stub_apic_timer_handler\n"
     ".hidden stub_apic_timer_handler\n"
     "stub_apic_timer_handler:\n"
     "incl %r12d\n" LAPIC_EOI
     "iretq\n");
STUB_LABEL(apic_timer_handler);

static inline void stub_test_apic_timer(gconstpointer class)
{
	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, apic_timer);
	guest_set_gate(guest, MSI_VECTOR, ADDRESS(apic_timer, apic_timer_handler));
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 1);
}

/* --- the PIC, through LINT0 of the first processor --- */

/*
 * Sets up the PIC with vectors from 0x60, LINT0 as ExtINT, and lets the host raise line 4 three times: with interrupts
 * off for a while (1), while it sleeps (2), and in the handler (3).
 */
STUB(pic, "movl $0xfee00000, %ebx\n"
     "movl $0x1ff, 0xf0(%rbx)\n"
     "movl $0x700, 0x350(%rbx)\n"
     "movb $0x11, %al\n outb %al, $0x20\n outb %al, $0xa0\n"
     "movb $0x60, %al\n outb %al, $0x21\n"
     "movb $0x68, %al\n outb %al, $0xa1\n"
     "movb $0x04, %al\n outb %al, $0x21\n"
     "movb $0x02, %al\n outb %al, $0xa1\n"
     "movb $0x01, %al\n outb %al, $0x21\n outb %al, $0xa1\n"
     "movb $0xef, %al\n outb %al, $0x21\n"
     "movb $0xff, %al\n outb %al, $0xa1\n"
     "xorl %r12d, %r12d\n"
     "cli\n" CALL_HOST(1) SAY("a") "inb $0xe8, %al\n" SAY("b")
     SLEEP_UNTIL(1) CALL_HOST(2) SLEEP_UNTIL(2) CALL_HOST(3)
     "3: cmpl $4, %r12d\n jb 3b\n"
     "movl %r12d, %eax\n" DONE
     ".globl stub_pic_handler\n"
     ".hidden stub_pic_handler\n"
     "stub_pic_handler:\n"
     "incl %r12d\n" SAY("i") CALL_HOST(4)
     "movb $0x20, %al\n outb %al, $0x20\n" /* end of interrupt */
     "cmpl $3, %r12d\n"
     "jne 4f\n" CALL_HOST(3)
     "4: iretq\n");
STUB_LABEL(pic_handler);

static inline gpointer raise_pic_thread(gpointer data)
{
	struct guest *guest = data;

	i8259_set_irq(guest->vm.pic, 4, true);
	return NULL;
}

static inline void on_call_pic(struct guest *guest, uint8_t val)
{
	if (val == 4)
		i8259_set_irq(guest->vm.pic, 4, false);
	else if (val == 2)
		guest->opaque = g_thread_new("pic", raise_pic_thread, guest);
	else
		i8259_set_irq(guest->vm.pic, 4, true);
}

static inline void stub_test_pic(gconstpointer class)
{
	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, pic);
	guest_set_gate(guest, 0x64, ADDRESS(pic, pic_handler));
	guest->on_call = on_call_pic;
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 4);
	g_thread_join(guest->opaque);
	g_assert_cmpstr(guest->said->str, ==, "abiiii");
}

/*
 * --- level-triggered, through the I/O APIC: the second interrupt comes only if the first one's EOI reached it, and so
 * ends remote IRR ---
 */

STUB(ioapic, "movl $0xfee00000, %ebx\n"
     "movl $0x1ff, 0xf0(%rbx)\n"
     "movl $0xfec00000, %esi\n"
     "movl $0x24, (%rsi)\n movl $0x8051, 0x10(%rsi)\n" /* pin 10: level, active high, vector 0x51 */
     "movl $0x25, (%rsi)\n movl $0, 0x10(%rsi)\n"
     "xorl %r12d, %r12d\n" CALL_HOST(1)
     SLEEP_UNTIL(3)
     "movl $0x24, (%rsi)\n 3: movl 0x10(%rsi), %eax\n testl $0x4000, %eax\n jnz 3b\n" DONE
     ".globl stub_ioapic_handler\n"
     ".hidden stub_ioapic_handler\n"
     "stub_ioapic_handler:\n"
     "incl %r12d\n" SAY("i") "movb %r12b, %al\n addb $1, %al\n outb %al, $0xe1\n" LAPIC_EOI
     "iretq\n");
STUB_LABEL(ioapic_handler);

/* The line stays up over the first two interrupts. */
static inline void on_call_ioapic(struct guest *guest, uint8_t val)
{
	ioapic_set_irq(guest->vm.ioapic, 10, val < 4);
}

static inline void stub_test_ioapic(gconstpointer class)
{
	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, ioapic);
	guest_set_gate(guest, MSI_VECTOR, ADDRESS(ioapic, ioapic_handler));
	guest->on_call = on_call_ioapic;
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 0x8051);
	/*
	 * A KVM that interprets may report the end of an interrupt at its beginning, so one more may have been on its
	 * way.
	 */
	g_assert_true(g_str_has_prefix(guest->said->str, "iii"));
	g_assert_cmpuint(guest->said->len, <=, 4);
}

/* --- two processors --- */

STUB(smp, "movl $0xfee00000, %ebx\n"
     "movl $0x1ff, 0xf0(%rbx)\n"
     "movl $0x01000000, 0x310(%rbx)\n movl $0x4500, 0x300(%rbx)\n" /* INIT to APIC 1 */
     "1: testl $0x1000, 0x300(%rbx)\n jnz 1b\n"
     "movl $0x01000000, 0x310(%rbx)\n movl $0x460c, 0x300(%rbx)\n" /* start-up at 0xc000 */
     "2: pause\n cmpl $0x600d, 0x30000\n jne 2b\n"
     "movl $1, 0x30004\n"
     "3: pause\n cmpl $0, 0x30004\n jne 3b\n"
     "movl 0x30008, %eax\n" DONE);

/* At 0xc000, in real mode with CS 0x0c00: says that it runs, waits for the answer, and leaves its APIC ID. */
STUB(smp_second, ".code16\n"
     "movw $0x3000, %ax\n movw %ax, %ds\n"
     "movl $1, %eax\n cpuid\n"
     "shrl $24, %ebx\n"
     "movl %ebx, 8\n"
     "movl $0x600d, 0\n"
     "1: pause\n cmpl $1, 4\n jne 1b\n"
     "lock decl 4\n"
     "2: cli\n hlt\n jmp 2b\n");

static inline gpointer second_cpu(gpointer data)
{
	struct guest *guest = data;
	enum vcpu_exit why;

	do
		why = guest->vm.accel_class->vcpu_run(&guest->vcpus[1]);
	while (why == VCPU_EXIT_KICKED && !g_atomic_int_get((gint *)guest->opaque));
	return GINT_TO_POINTER(why);
}

static inline void stub_test_smp(gconstpointer class)
{
	struct x86_cpu_state state;
	GThread *thread;
	gint over = 0;

	GUEST_OR_SKIP(guest, class, 2);
	LOAD(guest, smp);
	guest_write(guest, 0xc000, stub_smp_second, (size_t)(stub_smp_second_end - stub_smp_second));
	guest_start_long(guest);
	x86_state_reset(&state, 1, false);
	guest_set_state(guest, 1, &state);
	guest->opaque = &over;
	guest->vm.accel_class->resume(guest->vm.accel); /* before any vCPU runs */
	thread = g_thread_new("second", second_cpu, guest);
	assert_done(guest, guest_run(guest), 1);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &state);
	g_assert_cmpint(state.run_state, !=, X86_WAIT_SIPI);
	g_atomic_int_set(&over, 1);
	guest_leave(guest);
	g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(thread)), ==, VCPU_EXIT_KICKED);
}

/* --- kicks --- */

STUB(loop, CALL_HOST(1) "1: incq %rcx\n jmp 1b\n");

static inline void on_call_count(struct guest *guest, uint8_t val)
{
	g_atomic_int_add((gint *)guest->opaque, val);
}

static inline gpointer kick_when_running(gpointer data)
{
	struct guest *guest = data;

	while (!g_atomic_int_get((gint *)guest->opaque))
		g_thread_yield();
	guest->vm.accel_class->vcpu_kick(&guest->vcpus[0]);
	return NULL;
}

static inline void stub_test_kick(gconstpointer class)
{
	const struct accel_class *accel = class;
	struct x86_cpu_state state;
	gint running = 0;
	GThread *thread;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, loop);
	guest->on_call = on_call_count;
	guest->opaque = &running;
	guest_start_long(guest);
	/* Before the vCPU runs, twice: it comes back at once and once. */
	accel->vcpu_kick(&guest->vcpus[0]);
	accel->vcpu_kick(&guest->vcpus[0]);
	g_assert_cmpint(accel->vcpu_run(&guest->vcpus[0]), ==, VCPU_EXIT_KICKED);
	thread = g_thread_new("kick", kick_when_running, guest);
	g_assert_cmpint(accel->vcpu_run(&guest->vcpus[0]), ==, VCPU_EXIT_KICKED);
	g_thread_join(thread);
	accel->vcpu_get_state(&guest->vcpus[0], &state);
	g_assert_cmphex(state.rip, >=, GUEST_CODE + 4);
	g_assert_cmphex(state.rip, <, GUEST_CODE + (uint64_t)(stub_loop_end - stub_loop));
	g_assert_cmpint(state.run_state, ==, X86_RUNNING);
}

/* A kick while the processor sleeps with nothing to wake it. */
STUB(sleep, CALL_HOST(1) "cli\n 1: hlt\n jmp 1b\n");

static inline void stub_test_kick_halted(gconstpointer class)
{
	gint running = 0;
	GThread *thread;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, sleep);
	guest->on_call = on_call_count;
	guest->opaque = &running;
	guest_start_long(guest);
	thread = g_thread_new("kick", kick_when_running, guest);
	g_assert_cmpint(guest->vm.accel_class->vcpu_run(&guest->vcpus[0]), ==, VCPU_EXIT_KICKED);
	g_thread_join(thread);
}

#endif
