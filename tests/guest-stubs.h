/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_GUEST_STUBS_H
#define LODGE_TESTS_GUEST_STUBS_H

#include "tests/guest-asm.h"
#include "tests/guest-stubs-irq.h"
#include "tests/guest-stubs-state.h"

/*
 * Guests of a few instructions and what they must do, the same under every accelerator: guest_stubs_add(class)
 * registers them all.
 */

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

STUB(triple_fault, SAY("t") "movq $0, (%rsp)\n"
     "lidt (%rsp)\n"
     "movabsq $0x0000700000001234, %rbx\n"
     "movb $1, (%rbx)\n"
     "1: jmp 1b\n");

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
