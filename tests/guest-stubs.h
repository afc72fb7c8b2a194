/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_GUEST_STUBS_H
#define LODGE_TESTS_GUEST_STUBS_H

#include <sys/eventfd.h>
#include <unistd.h>
#include <x86intrin.h>

#include "core/base/fd.h"
#include "tests/guest.h"
#include "vmm/accel-kvm.h"

/*
 * Guests of a few instructions and what they must do, the same under every accelerator: guest_stubs_add(class) registers them all.
 * The code is written here in assembly and copied to GUEST_CODE, so each stub must work at any address: labels only as differences.
 */
#define STUB(name, body) \
	extern const uint8_t stub_##name[] __attribute__((visibility("hidden"))); \
	extern const uint8_t stub_##name##_end[] __attribute__((visibility("hidden"))); \
	__asm__(".pushsection .rodata\nstub_" #name ":\n" body "\nstub_" #name "_end:\n.code64\n.popsection\n")
#define STUB_LABEL(name) extern const uint8_t stub_##name[] __attribute__((visibility("hidden")))

#define SAY(character) "movb $'" character "', %al\n outb %al, $0xe0\n"
#define CALL_HOST(number) "movb $" #number ", %al\n outb %al, $0xe1\n"
#define DONE "outl %eax, $0xe4\n 99: hlt\n jmp 99b\n"
/* Interrupts are off from the look at the counter to the HLT, so none is slept over. */
#define SLEEP_UNTIL(count) "88: cli\n cmpl $" #count ", %r12d\n jae 89f\n sti\n hlt\n jmp 88b\n 89: sti\n"
#define LAPIC_EOI "movl $0, 0xb0(%rbx)\n" /* rbx: 0xfee00000 */

static inline void guest_load(struct guest *guest, const uint8_t *start, const uint8_t *end)
{
	guest_write(guest, GUEST_CODE, start, (size_t)(end - start));
}
#define LOAD(guest, name) guest_load(guest, stub_##name, stub_##name##_end)
#define ADDRESS(name, label) (GUEST_CODE + (uint64_t)(stub_##label - stub_##name))

/* Where a test gets no guest, the host does not offer the accelerator and the test has been skipped. */
#define GUEST_OR_SKIP(guest, class, n_cpus)               \
	autoptr(guest) guest = guest_new(class, n_cpus);  \
	if (!guest)                                       \
	return

static inline void guest_start_long(struct guest *guest)
{
	struct x86_cpu_state state;

	guest_state_long(&state);
	guest_set_state(guest, 0, &state);
}

static inline void assert_done(struct guest *guest, enum vcpu_exit why, uint32_t result)
{
	struct x86_cpu_state state;

	g_assert_no_error(guest->vcpus[0].error);
	if (why != VCPU_EXIT_KICKED) {
		guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &state);
		g_test_message("stopped at %#" G_GINT64_MODIFIER "x, CR0 %#" G_GINT64_MODIFIER "x, CR2 %#" G_GINT64_MODIFIER
			       "x, CR4 %#" G_GINT64_MODIFIER "x, said '%s'",
			       state.rip, state.cr0, state.cr2, state.cr4, guest->said->str);
	}
	g_assert_cmpint(why, ==, VCPU_EXIT_KICKED);
	g_assert_true(guest->done);
	g_assert_cmphex(guest->result, ==, result);
}

/* --- ports, in real mode --- */

STUB(real, ".code16\n" SAY("h") SAY("i")
     "cld\n"
     "movw $(1f - stub_real), %si\n"
     "movw $4, %cx\n"
     "movw $0xe0, %dx\n"
     "rep outsb\n"
     "movw $0x800, %di\n"
     "movw $3, %cx\n"
     "movw $0xe8, %dx\n"
     "rep insb\n"
     "inb $0xe8, %al\n"
     "outb %al, $0xe0\n"
     "movl $0x12345678, %eax\n" DONE
     "1: .ascii \"-abc\"\n");

static inline void stub_test_real(gconstpointer class)
{
	struct x86_cpu_state state;
	uint8_t read[3];

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, real);
	guest_state_real(&state);
	guest_set_state(guest, 0, &state);
	assert_done(guest, guest_run(guest), 0x12345678);
	g_assert_cmpstr(guest->said->str, ==, "hi-abc3");
	g_assert_true(memory_read(guest->vm.mem, GUEST_CODE + 0x800, read, sizeof(read)));
	g_assert_cmpmem(read, 3, "012", 3);
}

/* --- from real mode to protected mode to long mode --- */

STUB(modes, ".code16\n" SAY("1")
     "movw $(7f - stub_modes), %bx\n"
     "lgdtl (%bx)\n"
     "movl %cr0, %eax\n"
     "orl $1, %eax\n"
     "movl %eax, %cr0\n"
     "ljmpl $0x18, $(0x10000 + 3f - stub_modes)\n"
     ".code32\n"
     "3: movw $0x10, %ax\n"
     "movw %ax, %ds\n"
     "movw %ax, %es\n"
     "movw %ax, %ss\n"
     "movl $0x20000, %esp\n" SAY("3")
     "movl %cr4, %eax\n"
     "orl $0x20, %eax\n"
     "movl %eax, %cr4\n"
     "movl $0x1000, %eax\n"
     "movl %eax, %cr3\n"
     "movl $0xc0000080, %ecx\n"
     "rdmsr\n"
     "orl $0x100, %eax\n"
     "wrmsr\n"
     "movl %cr0, %eax\n"
     "orl $0x80000000, %eax\n"
     "movl %eax, %cr0\n"
     "ljmpl $0x08, $(0x10000 + 6f - stub_modes)\n"
     ".code64\n"
     "6:" SAY("6")
     "movabsq $0x1122334455667788, %rax\n"
     "shrq $32, %rax\n" DONE
     "7: .word 0x1f\n"
     ".long 0x7000\n");

static inline void stub_test_modes(gconstpointer class)
{
	struct x86_cpu_state state;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, modes);
	guest_state_real(&state);
	guest_set_state(guest, 0, &state);
	assert_done(guest, guest_run(guest), 0x11223344);
	g_assert_cmpstr(guest->said->str, ==, "136");
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &state);
	g_assert_cmphex(state.efer & (X86_EFER_LME | X86_EFER_LMA), ==, X86_EFER_LME | X86_EFER_LMA);
	g_assert_cmphex(state.seg[X86_CS].attr & (X86_ATTR_L | X86_ATTR_P), ==, X86_ATTR_L | X86_ATTR_P);
}

/* --- 32-bit paging: 0xc0000000 is where physical 0 shows as well --- */

STUB(paged32, ".code32\n"
     "movl $0xc0030000, %esi\n"
     "movl (%esi), %eax\n"
     "addl $1, %eax\n"
     "movl %eax, 4(%esi)\n"
     "movl 0x30004, %eax\n" DONE);

static inline void stub_test_paged32(gconstpointer class)
{
	const struct x86_segment data = { .limit = 0xffffffff, .selector = GUEST_DATA, .attr = 0xc093 };
	const uint32_t directory[] = { 0x83 }, initial = 0x41424344;
	struct x86_cpu_state state;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, paged32);
	guest_write(guest, 0x9000, directory, sizeof(directory));
	guest_write(guest, 0x9000 + 0x300 * 4, directory, sizeof(directory));
	guest_write(guest, GUEST_RESULT, &initial, sizeof(initial));
	guest_state_long(&state);
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		state.seg[i] = data;
	state.seg[X86_CS] = (struct x86_segment){ .limit = 0xffffffff, .selector = GUEST_CODE32, .attr = 0xc09b };
	state.efer = 0;
	state.cr3 = 0x9000;
	state.cr4 = X86_CR4_PSE;
	guest_set_state(guest, 0, &state);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &state);
	if (class == &accel_kvm_class && !(state.cr0 & X86_CR0_PG)) {
		g_test_skip("this KVM has paging in long mode only");
		return;
	}
	assert_done(guest, guest_run(guest), 0x41424345);
}

/* --- MMIO of all sizes, also across a page --- */

STUB(mmio, "movl $0xd0000000, %ebx\n"
     "movb $0x11, (%rbx)\n"
     "movw $0x2222, 2(%rbx)\n"
     "movl $0x33333333, 4(%rbx)\n"
     "movabsq $0x4444444444444444, %rax\n"
     "movq %rax, 8(%rbx)\n"
     "movb (%rbx), %al\n"
     "movw 2(%rbx), %cx\n"
     "movl 4(%rbx), %edx\n"
     "movq 8(%rbx), %rsi\n"
     "movq 0x1000(%rbx), %r8\n" /* nothing there */
     "movl $0x55555555, 0xffe(%rbx)\n" /* half of it has nobody behind it */
     "movl $0x30000, %edi\n"
     "movzbl %al, %eax\n"
     "movq %rax, (%rdi)\n"
     "movzwl %cx, %ecx\n"
     "movq %rcx, 8(%rdi)\n"
     "movl %edx, %edx\n"
     "movq %rdx, 16(%rdi)\n"
     "movq %rsi, 24(%rdi)\n"
     "movq %r8, 32(%rdi)\n" DONE);

static inline void stub_test_mmio(gconstpointer class)
{
	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, mmio);
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 0x11);
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT), ==, 0x11);
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 8), ==, 0x2222);
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 16), ==, 0x33333333);
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 24), ==, UINT64_C(0x4444444444444444));
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 32), ==, UINT64_MAX);
	g_assert_cmphex(guest->regs[0xffe] | guest->regs[0xfff] << 8, ==, 0x5555);
}

/* --- read-only memory --- */

STUB(rom, "movl $0xf0000000, %ebx\n"
     "movl $0x12345678, (%rbx)\n"
     "movl (%rbx), %eax\n" DONE);

static inline void stub_test_rom(gconstpointer class)
{
	const uint8_t rom[MEMORY_PAGE_SIZE] = { 0xde, 0xc0, 0xad, 0x0b };
	autoptr(guest) guest = guest_new_with_rom(class, 1, rom);

	if (!guest)
		return;
	LOAD(guest, rom);
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 0x0badc0de);
}

/* --- CPUID as the policy says --- */

STUB(cpuid, "xorl %r8d, %r8d\n"
     "movl $0x30000, %edi\n"
     "1: movl 0x100(%rdi,%r8,8), %eax\n"
     "movl 0x104(%rdi,%r8,8), %ecx\n"
     "cpuid\n"
     "movq %r8, %r9\n"
     "shlq $4, %r9\n"
     "movl %eax, 0x200(%rdi,%r9)\n"
     "movl %ebx, 0x204(%rdi,%r9)\n"
     "movl %ecx, 0x208(%rdi,%r9)\n"
     "movl %edx, 0x20c(%rdi,%r9)\n"
     "incl %r8d\n"
     "cmpl (%rdi), %r8d\n"
     "jb 1b\n"
     "movl %r8d, %eax\n" DONE);

/* Asks n leaves (function, index) in the guest. */
static inline void guest_cpuid(struct guest *guest, const uint32_t asked[][2], uint32_t n, uint32_t got[][4])
{
	LOAD(guest, cpuid);
	guest_write(guest, GUEST_RESULT, &n, sizeof(n));
	guest_write(guest, GUEST_RESULT + 0x100, asked, n * sizeof(asked[0]));
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), n);
	guest->done = false;
	g_assert_true(memory_read(guest->vm.mem, GUEST_RESULT + 0x200, got, n * sizeof(got[0])));
}

/* A KVM that interprets may let the host's own CPUID leaves shine through. */
static inline bool keeps_cpuid(const struct accel_class *class)
{
	struct accel_probe probe = { 0 };
	bool keeps;

	class->probe(&probe);
	keeps = class != &accel_kvm_class || probe.recommended;
	accel_probe_clear(&probe);
	return keeps;
}

static inline void stub_test_cpuid(gconstpointer class)
{
	static const uint32_t asked[][2] = {
		{ 0, 0 },    { 1, 0 },		{ 7, 0 },	   { 0xb, 1 },	      { 0xd, 0 },
		{ 0x15, 0 }, { 0x40000000, 0 }, { 0x40000001, 0 }, { 0x40000010, 0 }, { 0x80000008, 0 },
	};
	uint32_t got[G_N_ELEMENTS(asked)][4];

	GUEST_OR_SKIP(guest, class, 2);
	guest_cpuid(guest, asked, G_N_ELEMENTS(asked), got);
	g_assert_cmpuint(got[0][0], >=, 0xb);
	g_assert_cmphex(got[1][2] >> 31, ==, 1); /* hypervisor */
	g_assert_cmphex(got[1][3] & 0x07808111, ==, 0x07808111); /* FPU, TSC, CX8, CMOV, MMX, FXSR, SSE, SSE2 */
	g_assert_cmpuint(got[1][1] >> 24, ==, 0); /* APIC ID */
	if (keeps_cpuid(class))
		g_assert_cmphex(got[2][1] & 1u << 16, ==, 0); /* no AVX-512 */
	g_assert_cmpuint(got[3][1], ==, 2);
	g_assert_cmpmem(&got[6][1], 12, "KVMKVMKVM\0\0\0", 12);
	g_assert_cmphex(got[7][0] & 1u << 3, ==, 1u << 3);
	g_assert_cmpuint(got[8][0], >, 100000);
	g_assert_cmpuint(got[8][1], ==, 1000000);
	g_assert_cmpuint(got[9][0] >> 8 & 0xff, ==, 48);
}

/* --- faults --- */

STUB(page_fault, "movabsq $0x0000700000001234, %rbx\n"
     "movq %rsp, %rbp\n"
     "1: movb $1, (%rbx)\n"
     "ud2\n"
     ".globl stub_page_fault_handler\n"
     ".hidden stub_page_fault_handler\n"
     "stub_page_fault_handler:\n"
     "movl $0x30000, %edi\n"
     "movq (%rsp), %rax\n" /* error code */
     "movq 8(%rsp), %rdx\n" /* RIP */
     "movq %cr2, %rcx\n"
     "movq %rcx, (%rdi)\n"
     "leaq 1b(%rip), %rsi\n"
     "subq %rsi, %rdx\n"
     "movq %rdx, 8(%rdi)\n" DONE);
STUB_LABEL(page_fault_handler);

static inline void stub_test_page_fault(gconstpointer class)
{
	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, page_fault);
	guest_set_gate(guest, X86_EXC_PF, ADDRESS(page_fault, page_fault_handler));
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 2); /* a write, not present */
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT), ==, UINT64_C(0x0000700000001234));
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 8), ==, 0);
}

STUB(triple_fault, SAY("t") "movq $0, (%rsp)\n lidt (%rsp)\n movabsq $0x0000700000001234, %rbx\n movb $1, (%rbx)\n 1: jmp 1b\n");

static inline void stub_test_triple_fault(gconstpointer class)
{
	enum vcpu_exit why;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, triple_fault);
	guest_start_long(guest);
	why = guest_run(guest);
	g_assert_no_error(guest->vcpus[0].error);
	g_assert_cmpint(why, ==, VCPU_EXIT_TRIPLE_FAULT);
	g_assert_cmpstr(guest->said->str, ==, "t");
}

/* --- interrupts through the local APIC --- */

/* Switches the local APIC on, calls the host, sleeps; the handler says 'i' and the guest ends after the second interrupt. */
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
	timers_resume(guest->vm.timers);
	assert_done(guest, guest_run(guest), 1);
}

/* --- the PIC, through LINT0 of the first processor --- */

/*
 * Sets up the PIC with vectors from 0x60, LINT0 as ExtINT, and lets the host raise line 4 three times: with interrupts off for a while
 * (1), while it sleeps (2), and in the handler (3).
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

/* --- level-triggered, through the I/O APIC: the second interrupt comes only if the first one's EOI reached it, and so ends remote IRR --- */

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
	/* A KVM that interprets may report the end of an interrupt at its beginning, so one more may have been on its way. */
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

/* --- state --- */

static inline void fill_pattern(struct x86_cpu_state *state, bool avx)
{
	for (unsigned i = 0; i < X86_N_GPRS; i++)
		state->gpr[i] = UINT64_C(0x1111111111111111) * i + 7;
	for (unsigned i = 0; i < 16; i++) {
		memset(state->fx.xmm[i], (int)(0x20 + i), 16);
		memset(state->ymm_high[i], avx ? (int)(0x60 + i) : 0, 16);
	}
	for (unsigned i = 0; i < 8; i++)
		memset(state->fx.st[i], (int)(0x30 + i), 10);
	state->fx.fcw = 0x27f;
	state->fx.ftw = 0xff;
	state->fx.mxcsr = 0x1fa0;
	if (avx)
		state->xcr0 = X86_XCR0_X87 | X86_XCR0_SSE | X86_XCR0_AVX;
	state->rflags = X86_FLAG_FIXED | X86_FLAG_CF | X86_FLAG_IF;
	state->cr2 = 0xabcd1000;
	state->dr[0] = 0x1234;
	state->dr[3] = 0x5678;
	state->star = UINT64_C(0x0023001000000000);
	state->lstar = UINT64_C(0xffffffff81000040);
	state->sfmask = 0x47700;
	state->kernel_gs_base = UINT64_C(0xffff888000000000);
	state->sysenter_eip = 0x12340;
	state->seg[X86_FS].base = UINT64_C(0x00007f0011112222);
	state->pat = UINT64_C(0x0007010600070106);
	state->mtrr_def_type = 0xc06;
	state->mtrr_fixed[3] = UINT64_C(0x0606060606060606);
}

static inline void assert_same_state(const struct x86_cpu_state *a, const struct x86_cpu_state *b)
{
	g_assert_cmpmem(a->gpr, sizeof(a->gpr), b->gpr, sizeof(b->gpr));
	g_assert_cmphex(a->rip, ==, b->rip);
	g_assert_cmphex(a->rflags, ==, b->rflags);
	for (unsigned i = 0; i < X86_N_SEGS; i++) {
		g_assert_cmphex(a->seg[i].base, ==, b->seg[i].base);
		g_assert_cmphex(a->seg[i].limit, ==, b->seg[i].limit);
		g_assert_cmphex(a->seg[i].selector, ==, b->seg[i].selector);
		g_assert_cmphex(a->seg[i].attr | 1, ==, b->seg[i].attr | 1);
	}
	g_assert_cmphex(a->gdt.base, ==, b->gdt.base);
	g_assert_cmphex(a->idt.limit, ==, b->idt.limit);
	g_assert_cmphex(a->cr0, ==, b->cr0);
	g_assert_cmphex(a->cr2, ==, b->cr2);
	g_assert_cmphex(a->cr3, ==, b->cr3);
	g_assert_cmphex(a->cr4, ==, b->cr4);
	g_assert_cmphex(a->efer, ==, b->efer);
	g_assert_cmphex(a->xcr0, ==, b->xcr0);
	g_assert_cmphex(a->dr[0], ==, b->dr[0]);
	g_assert_cmphex(a->dr[3], ==, b->dr[3]);
	g_assert_cmpmem(a->fx.st, sizeof(a->fx.st), b->fx.st, sizeof(b->fx.st));
	g_assert_cmpmem(a->fx.xmm, sizeof(a->fx.xmm), b->fx.xmm, sizeof(b->fx.xmm));
	g_assert_cmphex(a->fx.mxcsr, ==, b->fx.mxcsr);
	g_assert_cmphex(a->fx.fcw, ==, b->fx.fcw);
	g_assert_cmpmem(a->ymm_high, sizeof(a->ymm_high), b->ymm_high, sizeof(b->ymm_high));
	g_assert_cmphex(a->star, ==, b->star);
	g_assert_cmphex(a->lstar, ==, b->lstar);
	g_assert_cmphex(a->sfmask, ==, b->sfmask);
	g_assert_cmphex(a->kernel_gs_base, ==, b->kernel_gs_base);
	g_assert_cmphex(a->sysenter_eip, ==, b->sysenter_eip);
	g_assert_cmphex(a->pat, ==, b->pat);
	g_assert_cmphex(a->mtrr_def_type, ==, b->mtrr_def_type);
	g_assert_cmphex(a->mtrr_fixed[3], ==, b->mtrr_fixed[3]);
	g_assert_cmphex(a->apic_base, ==, b->apic_base);
	g_assert_cmpmem(a->lapic + 0x0f * 4, 4, b->lapic + 0x0f * 4, 4);
	g_assert_cmpmem(a->lapic + 0x35 * 4, 4, b->lapic + 0x35 * 4, 4);
	g_assert_cmpint(a->run_state, ==, b->run_state);
}

/* Not by the guest's CPUID: see keeps_cpuid(). */
static inline bool offers_avx(const struct accel_class *class)
{
	g_autofree struct cpuid_leaf *leaves = g_new0(struct cpuid_leaf, KVM_MAX_CPUID);
	struct cpu_features offer = { 0 };
	auto_fd int fd = -1;
	size_t n = 0;

	if (class == &accel_kvm_class) {
		fd = kvm_open(NULL);
		g_assert_true(kvm_supported_leaves(fd, leaves, &n, NULL));
		cpu_features_from_leaves(&offer, leaves, n);
	} else {
		cpu_features_soft(&offer);
	}
	return cpu_features_has(&offer, CPU_FEATURE_XSAVE) && cpu_features_has(&offer, CPU_FEATURE_AVX);
}

static inline void stub_test_state(gconstpointer class)
{
	struct x86_cpu_state state, read;

	GUEST_OR_SKIP(guest, class, 2);
	guest_state_long(&state);
	fill_pattern(&state, offers_avx(class));
	state.lapic[0x0f * 4 + 1] = 0x01; /* spurious vector register: enabled */
	guest_set_state(guest, 0, &state);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &read);
	assert_same_state(&state, &read);
	g_assert_cmphex(read.tsc, >=, state.tsc);
	guest_set_state(guest, 0, &read);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[0], &state);
	assert_same_state(&state, &read);

	x86_state_reset(&state, 1, false);
	guest_set_state(guest, 1, &state);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[1], &read);
	assert_same_state(&state, &read);
	state.run_state = X86_HALTED;
	guest_set_state(guest, 1, &state);
	guest->vm.accel_class->vcpu_get_state(&guest->vcpus[1], &read);
	g_assert_cmpint(read.run_state, ==, X86_HALTED);
}

static inline void stub_test_bad_state(gconstpointer class)
{
	g_autoptr(GError) err = NULL;
	struct x86_cpu_state state;

	GUEST_OR_SKIP(guest, class, 1);
	guest_state_long(&state);
	state.run_state = X86_N_RUN_STATES;
	g_assert_false(guest->vm.accel_class->vcpu_set_state(&guest->vcpus[0], &state, &err));
	g_assert_nonnull(err);
	g_assert_nonnull(strstr(err->message, "vCPU 0"));
}

/* A sum, with a break in every round: the guest goes on in another VM with the same memory. A vector register travels along. */
STUB(travel, "xorl %r12d, %r12d\n"
     "1: addl $7, %r12d\n"
     "addl %r12d, 0x30000\n" CALL_HOST(1)
     "cmpl $70, %r12d\n"
     "jb 1b\n"
     "movdqu %xmm3, 0x30010\n"
     "movl 0x30000, %eax\n" DONE);

static inline void on_call_break(struct guest *guest, uint8_t val)
{
	(void)val;
	guest_break(guest);
}

static inline struct guest *travel(struct guest *from)
{
	struct guest *to = guest_new(from->vm.accel_class, 1);
	g_autofree uint8_t *all = g_malloc(GUEST_MEMORY);
	struct x86_cpu_state state;

	from->vm.accel_class->vcpu_get_state(&from->vcpus[0], &state);
	g_assert_true(memory_read(from->vm.mem, 0, all, GUEST_MEMORY));
	guest_free(from);
	g_assert_nonnull(to);
	guest_write(to, 0, all, GUEST_MEMORY);
	guest_set_state(to, 0, &state);
	to->on_call = on_call_break;
	return to;
}

static inline void stub_test_travel(gconstpointer class)
{
	struct x86_cpu_state state;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, travel);
	guest->on_call = on_call_break;
	guest_state_long(&state);
	memset(state.fx.xmm[3], 0x5a, 16);
	guest_set_state(guest, 0, &state);
	for (unsigned i = 0; i < 10; i++) {
		enum vcpu_exit why = guest_run(guest);

		g_assert_no_error(guest->vcpus[0].error);
		g_assert_cmpint(why, ==, VCPU_EXIT_KICKED);
		g_assert_false(guest->done);
		guest = travel(guest);
	}
	assert_done(guest, guest_run(guest), 7 * 55);
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 0x10), ==, UINT64_C(0x5a5a5a5a5a5a5a5a));
	g_assert_cmphex(guest_read64(guest, GUEST_RESULT + 0x18), ==, UINT64_C(0x5a5a5a5a5a5a5a5a));
}

/* --- eventfd in place of a register write --- */

STUB(doorbell, "movl $0xd0000000, %ebx\n"
     "movl $5, 0x10(%rbx)\n"
     "movl $6, 0x20(%rbx)\n"
     "movl $9, 0x10(%rbx)\n"
     "movl 0x20(%rbx), %eax\n" DONE);

static inline void stub_test_ioeventfd(gconstpointer class)
{
	auto_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t rung = 0;

	GUEST_OR_SKIP(guest, class, 1);
	if (!guest->vm.accel_class->ioeventfd) {
		g_test_skip("this accelerator leaves doorbells to the bus");
		return;
	}
	LOAD(guest, doorbell);
	g_assert_true(guest->vm.accel_class->ioeventfd(guest->vm.accel, GUEST_REGS + 0x10, 4, fd, true));
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 6);
	g_assert_cmpint(read(fd, &rung, sizeof(rung)), ==, sizeof(rung));
	g_assert_cmpuint(rung, ==, 2);
	g_assert_cmpuint(guest->reg_writes, ==, 1);
	g_assert_true(guest->vm.accel_class->ioeventfd(guest->vm.accel, GUEST_REGS + 0x10, 4, fd, false));
	guest->done = false;
	guest_start_long(guest);
	assert_done(guest, guest_run(guest), 6);
	g_assert_cmpuint(guest->reg_writes, ==, 4);
	g_assert_cmpint(read(fd, &rung, sizeof(rung)), <, 0);
}

/* --- dirty log --- */

STUB(dirty, "movl $1, 0x40000\n"
     "movl $1, 0x51ffc\n" CALL_HOST(1)
     "movl $1, 0x90000\n"
     "xorl %eax, %eax\n" DONE);

static inline bool page_bit(const uint64_t *bitmap, uint64_t gpa)
{
	return bitmap[gpa / MEMORY_PAGE_SIZE / 64] >> gpa / MEMORY_PAGE_SIZE % 64 & 1;
}

static inline void stub_test_dirty(gconstpointer class)
{
	uint64_t bitmap[GUEST_MEMORY / MEMORY_PAGE_SIZE / 64];
	const struct accel_class *accel = class;
	const uint32_t word = 1;
	g_autoptr(GError) err = NULL;

	GUEST_OR_SKIP(guest, class, 1);
	g_assert_false(accel->dirty_harvest(guest->vm.accel, bitmap, G_N_ELEMENTS(bitmap), NULL));
	LOAD(guest, dirty);
	guest->on_call = on_call_break;
	guest_start_long(guest);
	accel->dirty_start(guest->vm.accel, &err);
	g_assert_no_error(err);
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	guest_write(guest, 0x70800, &word, sizeof(word));
	accel->dirty_harvest(guest->vm.accel, bitmap, G_N_ELEMENTS(bitmap), &err);
	g_assert_no_error(err);
	g_assert_true(page_bit(bitmap, 0x40000));
	g_assert_true(page_bit(bitmap, 0x51000));
	g_assert_true(page_bit(bitmap, 0x70000));
	g_assert_false(page_bit(bitmap, 0x50000));
	g_assert_false(page_bit(bitmap, 0x90000));

	assert_done(guest, guest_run(guest), 0);
	guest_write(guest, 0x70000, &word, sizeof(word));
	accel->dirty_harvest(guest->vm.accel, bitmap, G_N_ELEMENTS(bitmap), &err);
	g_assert_no_error(err);
	g_assert_true(page_bit(bitmap, 0x90000));
	g_assert_true(page_bit(bitmap, 0x70000));
	g_assert_false(page_bit(bitmap, 0x40000));
	accel->dirty_stop(guest->vm.accel);
	g_assert_false(accel->dirty_harvest(guest->vm.accel, bitmap, G_N_ELEMENTS(bitmap), NULL));
}

/* --- time stands still while the VM is paused --- */

STUB(tsc, "rdtsc\n"
     "movl %eax, 0x30000\n"
     "movl %edx, 0x30004\n" CALL_HOST(1)
     "rdtsc\n"
     "movl %eax, 0x30008\n"
     "movl %edx, 0x3000c\n" DONE);

static inline void stub_test_pause(gconstpointer class)
{
	const uint64_t pause_tsc = 20000000;
	const struct accel_class *accel = class;
	uint64_t start, paused, guest_passed, host_passed;

	GUEST_OR_SKIP(guest, class, 1);
	LOAD(guest, tsc);
	guest->on_call = on_call_break;
	guest_start_long(guest);
	timers_resume(guest->vm.timers);
	start = __rdtsc();
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	timers_pause(guest->vm.timers);
	accel->pause(guest->vm.accel);
	for (paused = __rdtsc(); __rdtsc() - paused < pause_tsc;)
		_mm_pause();
	accel->resume(guest->vm.accel);
	timers_resume(guest->vm.timers);
	g_assert_cmpint(guest_run(guest), ==, VCPU_EXIT_KICKED);
	g_assert_true(guest->done);
	host_passed = __rdtsc() - start;
	if (class == &accel_kvm_class && guest_read64(guest, GUEST_RESULT) >= start) {
		g_test_skip("this KVM gives guests the host's TSC as it is");
		return;
	}
	guest_passed = guest_read64(guest, GUEST_RESULT + 8) - guest_read64(guest, GUEST_RESULT);
	g_assert_cmpuint(guest_passed, >, 0);
	g_assert_cmpuint(guest_passed, <=, host_passed - pause_tsc);
}

static inline void stub_test_bad_option(gconstpointer class)
{
	const struct accel_class *accel = class;
	g_autoptr(GError) err = NULL;

	GUEST_OR_SKIP(guest, class, 1);
	g_assert_null(accel->create(&guest->vm, "no-such-option", &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_USAGE);
	g_assert_nonnull(strstr(err->message, "no-such-option"));
}

static inline void stub_test_probe(gconstpointer class)
{
	const struct accel_class *accel = class;
	struct accel_probe probe = { 0 };

	accel->probe(&probe);
	g_assert_nonnull(probe.reason);
	g_assert_null(strchr(probe.reason, '\n'));
	g_assert_true(probe.usable || !probe.recommended);
	g_test_message("%s: %s", accel->name, probe.reason);
	accel_probe_clear(&probe);
	g_assert_null(probe.reason);
}

static inline void guest_stubs_add(const struct accel_class *class)
{
	static const struct {
		const char *name;
		void (*run)(gconstpointer class);
	} tests[] = {
		{ "probe", stub_test_probe },	      { "bad-option", stub_test_bad_option },
		{ "bad-state", stub_test_bad_state }, { "state", stub_test_state },
		{ "real-mode", stub_test_real },      { "modes", stub_test_modes },
		{ "paged32", stub_test_paged32 },     { "mmio", stub_test_mmio },
		{ "rom", stub_test_rom },	      { "cpuid", stub_test_cpuid },
		{ "page-fault", stub_test_page_fault },
		{ "triple-fault", stub_test_triple_fault },
		{ "msi", stub_test_msi },	      { "nmi", stub_test_nmi },
		{ "apic-timer", stub_test_apic_timer },
		{ "pic", stub_test_pic },	      { "ioapic", stub_test_ioapic },
		{ "smp", stub_test_smp },	      { "kick", stub_test_kick },
		{ "kick-halted", stub_test_kick_halted },
		{ "travel", stub_test_travel },	      { "ioeventfd", stub_test_ioeventfd },
		{ "dirty", stub_test_dirty },	      { "pause", stub_test_pause },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
		g_autofree char *path = g_strdup_printf("/%s/%s", class->name, tests[i].name);

		g_test_add_data_func(path, class, tests[i].run);
	}
}

#endif
