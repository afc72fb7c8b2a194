/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System behaviour of the software CPU beyond single faults (test-cpu-faults.c): delivery through every kind of IDT,
 * far transfers, mode switches, paging, debug traps, self-modifying code, repeated instructions, interrupt windows.
 */
#include "tests/cpu-system.h"

/* ---- delivery ---- */

SNIPPET(frame_user, 64, "mov $0x1234, %ebx; stc\n\t" HERE "ud2")
SNIPPET(frame_kernel, 64, "mov $0x20005, %esp; sti; nop; cld; int $0x21; nop\n\t" HERE)
SNIPPET(fault_absent, 64, "mov " STR(ABSENT) ", %eax")
SNIPPET(fault_ud, 64, "ud2")
SNIPPET(fault_gp, 64, "mov %rax, %cr3")
SNIPPET(fault_ud32, 32, "ud2")

/* From level 3: stack of the TSS, everything of the interrupted program in the frame. */
static void test_frame_from_user(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	b->state.rflags |= X86_FLAG_IF | X86_FLAG_DF | X86_FLAG_NT;
	RUN(b, frame_user);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_UD);
	g_assert_cmpuint(cpl_of(b), ==, 0);
	g_assert_cmphex(b->state.seg[X86_SS].selector, ==, 0);
	g_assert_cmphex(b->state.seg[X86_CS].selector, ==, SEL_CODE64);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, RING0_STACK - 16 - 40);
	g_assert_cmphex(frame(b, 0), ==, USER_CODE + frame_user_here);
	g_assert_cmphex(frame(b, 1), ==, SEL_USER64 | 3);
	g_assert_cmphex(frame(b, 2), ==,
			X86_FLAG_IF | X86_FLAG_DF | X86_FLAG_NT | X86_FLAG_CF | X86_FLAG_RF | X86_FLAG_FIXED);
	g_assert_cmphex(frame(b, 3), ==, USER_STACK);
	g_assert_cmphex(frame(b, 4), ==, SEL_USER_DATA | 3);
	g_assert_cmphex(b->state.rflags, ==, X86_FLAG_DF | X86_FLAG_CF | X86_FLAG_FIXED);
	g_assert_cmphex(b->state.gpr[X86_RBX], ==, 0x1234);
}

/* Same level: the stack is aligned, SS stays, and a trap gate leaves IF alone. */
static void test_frame_from_kernel(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG0);
	write_gate64(b, 0x21, 0x8f, 0, HANDLERS + 0x21 * 16);
	RUN(b, frame_kernel);
	g_assert_cmpint(vector_of(b), ==, 0x21);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, 0x20000 - 40);
	g_assert_cmphex(frame(b, 3), ==, 0x20005);
	g_assert_cmphex(frame(b, 4), ==, SEL_DATA);
	g_assert_cmphex(b->state.seg[X86_SS].selector, ==, SEL_DATA);
	g_assert_true(b->state.rflags & X86_FLAG_IF);
	g_assert_false(frame(b, 2) & X86_FLAG_RF);
}

static void test_ist(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG0);
	write_gate64(b, X86_EXC_UD, 0x8e, 1, HANDLERS + X86_EXC_UD * 16);
	RUN(b, fault_ud);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_UD);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, IST_STACK - 40);
	g_assert_cmphex(frame(b, 3), ==, GUEST_STACK);
	g_assert_cmphex(b->state.seg[X86_SS].selector, ==, SEL_DATA);
}

/*
 * A gate that is not present turns a contributory fault or a page fault into #DF, and a benign one into #NP with EXT.
 */
static void test_double_fault(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	write_gate64(b, X86_EXC_PF, 0x0e, 0, 0);
	RUN(b, fault_absent);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_DF);
	g_assert_cmphex(frame(b, 0), ==, 0);
	g_assert_cmphex(frame(b, 1), ==, USER_CODE);
	g_assert_cmphex(b->state.cr2, ==, ABSENT);

	bench_prepare(b, LONG3);
	write_gate64(b, X86_EXC_GP, 0x0e, 0, 0);
	RUN(b, fault_gp);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_DF);

	bench_prepare(b, LONG3);
	write_gate64(b, X86_EXC_UD, 0x0e, 0, 0);
	RUN(b, fault_ud);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_NP);
	g_assert_cmphex(frame(b, 0), ==, X86_EXC_UD * 8 + 3);
	g_assert_cmphex(frame(b, 1), ==, USER_CODE);

	/* contributory, then page fault: one after the other */
	bench_prepare(b, LONG3);
	write_gate64(b, X86_EXC_GP, 0x8e, 1, HANDLERS);
	guest_write64(b->guest, TSS64 + 0x24, ABSENT + 0x800);
	RUN(b, fault_gp);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_PF);
	g_assert_cmphex(b->state.cr2, ==, ABSENT + 0x7f8);
	g_assert_cmphex(frame(b, 1), ==, USER_CODE);
}

/* The kernel's stack has run into an absent page: #PF while #PF is delivered, saved by the IST. */
static void test_stack_overflow(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG0);
	write_gate64(b, X86_EXC_DF, 0x8e, 1, HANDLERS + X86_EXC_DF * 16);
	b->state.gpr[X86_RSP] = ABSENT + 0x10;
	RUN(b, fault_absent);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_DF);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, IST_STACK - 48);
	g_assert_cmphex(frame(b, 4), ==, ABSENT + 0x10);
}

static void test_triple_fault(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	write_gate64(b, X86_EXC_GP, 0x0e, 0, 0);
	write_gate64(b, X86_EXC_DF, 0x0e, 0, 0);
	RUN(b, fault_gp);
	g_assert_cmpint(b->why, ==, VCPU_EXIT_TRIPLE_FAULT);
}

/* Inner stacks that cannot be used: #TS and #SS name the selector. */
static void test_bad_inner_stack(void)
{
	static const struct {
		uint16_t selector;
		unsigned vector;
	} cases[] = {
		{ 0, X86_EXC_TS },	    { 0xd0, X86_EXC_TS },	  { SEL_USER_DATA | 3, X86_EXC_TS },
		{ SEL_CODE32, X86_EXC_TS }, { SEL_DATA | 1, X86_EXC_TS },
	};
	autoptr(bench) b = bench_new();

	/* The gate of the second fault leads to a conforming segment: no second look at the TSS. */
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		bench_prepare(b, PROT3);
		guest_write(b->guest, TSS32 + 8, &cases[i].selector, 2);
		guest_write64(b->guest, IDT32 + cases[i].vector * 8,
			      (HANDLERS + cases[i].vector * 16) % 0x10000 | SEL_CONFORMING << 16 |
				      UINT64_C(0x8e00) << 32 | (uint64_t)(HANDLERS >> 16) << 48);
		b->state.rflags |= X86_FLAG_IOPL;
		RUN(b, fault_ud32);
		g_assert_cmpint(vector_of(b), ==, (int)cases[i].vector);
		g_assert_cmpuint(cpl_of(b), ==, 3);
		g_assert_cmphex(frame(b, 0), ==, (cases[i].selector & 0xfffcu) | 1);
	}
}

/* ---- far transfers that change the level ---- */

SNIPPET(syscall_there, 64, "mov $0x55, %eax; stc; syscall\n\t" HERE)
SNIPPET(sysret_back, 64, "mov $" STR(USER_CODE_) ", %ecx; mov $0x3200, %r11d; sysretq")
SNIPPET(sysret_compat, 64, "mov $" STR(USER_CODE_) ", %ecx; mov $0x202, %r11d; sysretl")
SNIPPET(sysenter_there, 64, "sysenter")
SNIPPET(sysexit_back, 64, "mov $" STR(USER_CODE_) ", %edx; mov $" STR(0x130000) ", %ecx; sysexitq")
SNIPPET(int_done, 64, "int $0x80")
SNIPPET(int_done32, 32, "int $0x80")

static void test_syscall(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	b->state.rflags |= X86_FLAG_IF;
	b->state.sfmask = X86_FLAG_IF | X86_FLAG_CF;
	RUN(b, syscall_there);
	g_assert_cmpint(vector_of(b), ==, SYSCALL_TARGET);
	g_assert_cmpuint(cpl_of(b), ==, 0);
	g_assert_cmphex(b->state.seg[X86_CS].selector, ==, SEL_CODE64);
	g_assert_cmphex(b->state.seg[X86_SS].selector, ==, SEL_DATA);
	g_assert_cmphex(b->state.gpr[X86_RCX], ==, USER_CODE + syscall_there_here);
	g_assert_cmphex(b->state.gpr[X86_R11], ==, X86_FLAG_IF | X86_FLAG_CF | X86_FLAG_FIXED);
	g_assert_cmphex(b->state.rflags, ==, X86_FLAG_FIXED);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, USER_STACK);
}

/* b runs kernel code that must end up at USER_CODE in level 3; checks what arrives there. */
static void check_went_to_user(struct bench *b, unsigned code, unsigned data, uint32_t flags)
{
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(frame(b, 0), ==, USER_CODE + 2);
	g_assert_cmphex(frame(b, 1), ==, code);
	g_assert_cmphex(frame(b, 2), ==, flags | X86_FLAG_FIXED);
	g_assert_cmphex(frame(b, 4), ==, data);
}

static void test_sysret(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG0);
	guest_write(b->guest, USER_CODE, int_done_code, 2);
	RUN(b, sysret_back);
	check_went_to_user(b, SEL_USER64 | 3, SEL_USER_DATA | 3, X86_FLAG_IF | X86_FLAG_IOPL);

	bench_prepare(b, LONG0);
	guest_write(b->guest, USER_CODE, int_done32_code, 2);
	RUN(b, sysret_compat);
	check_went_to_user(b, SEL_USER32 | 3, SEL_USER_DATA | 3, X86_FLAG_IF);
}

static void test_sysenter(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	b->state.rflags |= X86_FLAG_IF;
	RUN(b, sysenter_there);
	g_assert_cmpint(vector_of(b), ==, SYSENTER_TARGET);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, RING0_STACK);
	g_assert_cmphex(b->state.rflags, ==, X86_FLAG_FIXED);

	bench_prepare(b, LONG0);
	guest_write(b->guest, USER_CODE, int_done_code, 2);
	RUN(b, sysexit_back);
	check_went_to_user(b, (SEL_CODE64 + 32) | 3, (SEL_CODE64 + 40) | 3, 0);
}

SNIPPET(gate_long, 32, "lcall $0x73, $0\n\t" HERE)
SNIPPET(gate_params, 32, "push $0x11; push $0x22; lcall $0x73, $0\n\t" HERE)

/* Call gates: from compatibility mode into 64-bit code, and in protected mode with two parameters copied. */
static void test_call_gate(void)
{
	autoptr(bench) b = bench_new();
	uint64_t gate;

	bench_prepare(b, COMPAT3);
	RUN(b, gate_long);
	g_assert_cmpint(vector_of(b), ==, GATE_TARGET);
	g_assert_cmpuint(cpl_of(b), ==, 0);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, RING0_STACK - 8 - 32);
	g_assert_cmphex(frame(b, 0), ==, USER_CODE + gate_long_here);
	g_assert_cmphex(frame(b, 1), ==, SEL_USER32 | 3);
	g_assert_cmphex(frame(b, 2), ==, USER_STACK);
	g_assert_cmphex(frame(b, 3), ==, SEL_USER_DATA | 3);

	bench_prepare(b, PROT3);
	gate = guest_read64(b->guest, GUEST_GDT + SEL_GATE);
	guest_write64(b->guest, GUEST_GDT + SEL_GATE, gate | UINT64_C(2) << 32);
	RUN(b, gate_params);
	g_assert_cmpint(vector_of(b), ==, GATE_TARGET);
	g_assert_cmphex(b->state.seg[X86_SS].selector, ==, SEL_DATA);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, RING0_STACK - 24);
	g_assert_cmphex(frame(b, 0), ==, USER_CODE + gate_params_here);
	g_assert_cmphex(frame(b, 2), ==, 0x22);
	g_assert_cmphex(frame(b, 3), ==, 0x11);
	g_assert_cmphex(frame(b, 4), ==, USER_STACK - 8);
	g_assert_cmphex(frame(b, 5), ==, SEL_USER_DATA | 3);
}

SNIPPET(ret_outward, 32, "mov $0x10, %eax; mov %eax, %fs; mov $0x2b, %eax; mov %eax, %gs; push $0x2b; push $"
	STR(0x120000) ";" "pushl $99; push $0x23; push $" STR(USER_CODE_) "; lret $4")

/* A return to level 3 drops parameters on both stacks and takes away segments level 3 may not have. */
static void test_ret_outward(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, PROT0);
	guest_write(b->guest, USER_CODE, int_done32_code, 2);
	RUN(b, ret_outward);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(frame(b, 1), ==, SEL_USER32 | 3);
	g_assert_cmphex(frame(b, 3), ==, 0x120004);
	g_assert_cmphex(b->state.seg[X86_FS].selector, ==, 0);
	g_assert_cmphex(b->state.seg[X86_DS].selector, ==, 0);
	g_assert_cmphex(b->state.seg[X86_GS].selector, ==, SEL_USER_DATA | 3);
}

/* ---- virtual-8086 mode ---- */

SNIPPET(to_v86, 32, "push $0x1111; push $0x2222; push $0x3333; push $0x4444; push $0x1200; push $0x6000; push $0x23202;"
	"push $0x1100; push $0x10; iret")
SNIPPET(v86_body, 16, "mov $0x1234, %ax; push %ax; pushf; pop %bx\n\t" INT_DONE HERE)

static void test_v86(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, PROT0);
	guest_write(b->guest, 0x11010, v86_body_code, (size_t)(v86_body_end - v86_body_code));
	RUN(b, to_v86);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmpuint(cpl_of(b), ==, 0);
	g_assert_cmphex(b->state.gpr[X86_RSP], ==, RING0_STACK - 36);
	g_assert_cmphex(frame(b, 0), ==, 0x10 + v86_body_here);
	g_assert_cmphex(frame(b, 1), ==, 0x1100);
	g_assert_cmphex(frame(b, 2), ==, X86_FLAG_VM | X86_FLAG_IOPL | X86_FLAG_IF | X86_FLAG_FIXED);
	g_assert_cmphex(frame(b, 3), ==, 0x5ffe);
	g_assert_cmphex(frame(b, 4), ==, 0x1200);
	g_assert_cmphex(frame(b, 5), ==, 0x4444);
	g_assert_cmphex(frame(b, 6), ==, 0x3333);
	g_assert_cmphex(frame(b, 7), ==, 0x2222);
	g_assert_cmphex(frame(b, 8), ==, 0x1111);
	g_assert_cmphex(b->state.seg[X86_DS].selector, ==, 0);
	g_assert_false(b->state.rflags & X86_FLAG_VM);
	g_assert_cmphex(b->state.gpr[X86_RBX] & 0xffff, ==, X86_FLAG_IOPL | X86_FLAG_IF | X86_FLAG_FIXED);
	g_assert_true(memory_read(b->guest->vm.mem, 0x12000 + 0x5ffe, &b->state.gpr[X86_RCX], 2));
	g_assert_cmphex(b->state.gpr[X86_RCX] & 0xffff, ==, 0x1234);
}

/* ---- mode switches ---- */

#define ADDR(label) "(" label " - 0b + 0x10000)"
/*
 * Real -> protected (16, 32 bits) -> PAE -> long -> 64 bits -> compatibility -> protected -> real, leaving a mark in
 * EBP at each station.
 */
SNIPPET(tour, 16,
	"cli; xor %ebp, %ebp; lgdtl %cs:(8f - 0b)\n\t"
	"mov %cr0, %eax; or $1, %al; mov %eax, %cr0; or $1, %ebp\n\t" /* still on real-mode CS */
	"ljmpl $0x18, $" ADDR("1f") "\n\t"
	".code32; 1: mov $0x10, %eax; mov %eax, %ds; mov %eax, %es; mov %eax, %ss; mov $0x20000, %esp; or $2, %ebp\n\t"
	"mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4; mov $0x1000, %eax; mov %eax, %cr3\n\t"
	"mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n\t"
	"mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n\t" /* compatibility mode now */
	"rdmsr; test $0x400, %eax; jz 9f; or $4, %ebp\n\t"
	"ljmp $0x08, $" ADDR("2f") "\n\t"
	".code64; 2: mov $0x123456789abcdef0, %rax; shr $60, %rax; cmp $1, %eax; jne 9f; or $8, %ebp\n\t"
	"push $0x18; push $" ADDR("3f") "; lretq\n\t"
	".code32; 3: dec %eax; jnz 9f; or $16, %ebp\n\t" /* DEC EAX would be a REX prefix in 64-bit code */
	"mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n\t"
	"rdmsr; test $0x400, %eax; jnz 9f; or $32, %ebp\n\t"
	"ljmp $0x40, $(4f - 0b)\n\t"
	".code16; 4: mov $0x48, %ax; mov %ax, %ds; mov %ax, %es; mov %ax, %ss; mov $0x8000, %sp\n\t"
	"mov %cr0, %eax; and $0xfe, %al; mov %eax, %cr0; or $64, %bp; ljmp $0x1000, $(5f - 0b)\n\t"
	"5: xor %ax, %ax; mov %ax, %ss; mov %ax, %ds; or $128, %bp; 9: int $0x80\n\t"
	".balign 4; 8: .word 0xcf; .long 0x7000")

static void test_mode_tour(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, REAL);
	write_gdt(b, true);
	RUN(b, tour);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RBP], ==, 0xff);
	g_assert_cmphex(b->state.seg[X86_SS].base, ==, 0);
	g_assert_cmphex(b->state.efer & (X86_EFER_LME | X86_EFER_LMA), ==, X86_EFER_LME);
	g_assert_cmphex(b->state.cr0 & (X86_CR0_PE | X86_CR0_PG), ==, 0);
	g_assert_cmphex(frame(b, 1), ==, 0x1000);
}

SNIPPET(unreal, 16,
	"cli; lgdtl %cs:(8f - 0b); mov %cr0, %eax; or $1, %al; mov %eax, %cr0; mov $0x10, %bx; mov %bx, %fs;"
	"and $0xfe, %al; mov %eax, %cr0; xor %bx, %bx; mov %bx, %fs; mov $0x200000, %ebx;"
	"movl $0x1234567, %fs:(%ebx);" "mov %fs:(%ebx), %eax; int $0x80; .balign 4; 8: .word 0xcf; .long 0x7000")

/* A limit set in protected mode stays in force in real mode. */
static void test_unreal(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, REAL);
	write_gdt(b, false);
	RUN(b, unreal);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 0x1234567);
}

/* ---- paging ---- */

#define PTE(addr) STR(0x9000) " + (" STR(addr) " >> 12) * 8"
SNIPPET(touch, 64, "mov " STR(USER_PAGE) ", %eax; mov " STR(READ_ONLY) ", %eax; movb $1, " STR(USER_PAGE + 0x1000)
	"; int $0x80")
/* Remaps KERNEL_PAGE to the page after it and reads through three kinds of flush. Pages are filled with 1, 2, 3. */
SNIPPET(remap, 64, "xor %ebx, %ebx; mov " STR(KERNEL_PAGE) ", %bl\n\t" "mov $0x31003, %eax; mov %rax, " PTE(KERNEL_PAGE)
	"; invlpg " STR(KERNEL_PAGE) "; mov " STR(KERNEL_PAGE) ", %bh\n\t" "mov $0x32003, %eax; mov %rax, "
	PTE(KERNEL_PAGE) "; mov %cr3, %rax; mov %rax, %cr3; xor %eax, %eax\n\t" "mov " STR(KERNEL_PAGE)
	", %al; shl $16, %eax; or %ebx, %eax; int $0x80")
/* A global page survives a load of CR3 and not a change of CR4.PGE. */
SNIPPET(global, 64, "mov %cr4, %rdx; or $0x80, %edx; mov %rdx, %cr4\n\t" "mov $0x30103, %eax; mov %rax, "
	PTE(KERNEL_PAGE) "; xor %ebx, %ebx; mov " STR(KERNEL_PAGE) ", %bl\n\t" "mov $0x31103, %eax; mov %rax, "
	PTE(KERNEL_PAGE) "; mov %cr3, %rax; mov %rax, %cr3; mov " STR(KERNEL_PAGE) ", %bh\n\t"
	"and $~0x80, %edx; mov %rdx, %cr4; xor %eax, %eax; mov " STR(KERNEL_PAGE)
	", %al; shl $16, %eax; or %ebx, %eax; int $0x80")
SNIPPET(invpcid, 64, "mov " STR(KERNEL_PAGE) ", %bl; mov $0x31003, %eax; mov %rax, " PTE(KERNEL_PAGE) "\n\t" "push $"
	STR(KERNEL_PAGE) "; push $0; xor %eax, %eax; invpcid (%rsp), %rax; xor %ebx, %ebx; mov " STR(KERNEL_PAGE)
	", %bl\n\t" "mov $0x32003, %eax; mov %rax, " PTE(KERNEL_PAGE) "; mov $3, %eax; invpcid (%rsp), %rax; mov "
	STR(KERNEL_PAGE) ", %bh\n\t" "mov %ebx, %eax; int $0x80; mov $4, %eax\n\t" HERE "invpcid (%rsp), %rax")
SNIPPET(run_page, 64, "mov $" STR(NO_EXECUTE) ", %eax; call *%rax")
SNIPPET(run_user_page, 64, "mov $" STR(USER_PAGE) ", %eax; call *%rax")

static void fill_pages(struct bench *b)
{
	for (uint8_t i = 0; i < 3; i++)
		guest_write(b->guest, KERNEL_PAGE + i * 0x1000u, &(uint8_t){ (uint8_t)(i + 1) }, 1);
}

static void test_accessed_dirty(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	RUN(b, touch);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(guest_read64(b->guest, PAGE_TABLE + (USER_PAGE >> 12) * 8), ==, USER_PAGE | 0x27);
	g_assert_cmphex(guest_read64(b->guest, PAGE_TABLE + (READ_ONLY >> 12) * 8), ==, READ_ONLY | 0x25);
	g_assert_cmphex(guest_read64(b->guest, PAGE_TABLE + ((USER_PAGE + 0x1000) >> 12) * 8), ==,
			(USER_PAGE + 0x1000) | 0x67);
	g_assert_cmphex(guest_read64(b->guest, PAGE_TABLE + (SUPERVISOR >> 12) * 8), ==, SUPERVISOR | 3);
	g_assert_cmphex(guest_read64(b->guest, GUEST_PML4) & 0x20, ==, 0x20);
	g_assert_cmphex(guest_read64(b->guest, GUEST_PD) & 0x60, ==, 0x20);
}

static void test_tlb_flush(void)
{
	autoptr(bench) b = bench_new();

	fill_pages(b);
	bench_prepare(b, LONG0);
	RUN(b, remap);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 0x30201);

	bench_prepare(b, LONG0);
	RUN(b, global);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 0x20101);

	bench_prepare(b, LONG0);
	RUN(b, invpcid);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 0x0302);
}

static void test_fetch_faults(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	RUN(b, run_page);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_PF);
	g_assert_cmphex(frame(b, 0), ==, 0x15);
	g_assert_cmphex(frame(b, 1), ==, NO_EXECUTE);
	g_assert_cmphex(b->state.cr2, ==, NO_EXECUTE);

	bench_prepare(b, LONG0);
	b->state.cr4 |= X86_CR4_SMEP;
	RUN(b, run_user_page);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_PF);
	g_assert_cmphex(frame(b, 0), ==, 0x11);
	g_assert_cmphex(frame(b, 1), ==, USER_PAGE);

	/* an instruction that begins on the last byte before an absent page */
	bench_prepare(b, LONG3);
	guest_write(b->guest, ABSENT - 1, &(uint8_t){ 0x48 }, 1);
	b->state.rip = ABSENT - 1;
	bench_go(b);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_PF);
	g_assert_cmphex(frame(b, 1), ==, ABSENT - 1);
	g_assert_cmphex(b->state.cr2, ==, ABSENT);
}

/* ---- debug traps ---- */

SNIPPET(step, 64, "nop\n\t" HERE "nop; nop")
SNIPPET(step_rep, 64, "rep movsb\n\t" HERE "nop")
SNIPPET(step_ss, 64, "mov %ss, %eax; mov %eax, %ss; nop\n\t" HERE "nop")
SNIPPET(step_popf, 64, "pushf; orl $0x100, (%rsp); popf; nop\n\t" HERE "nop")
SNIPPET(step_syscall, 64, "syscall")
SNIPPET(execute_break, 64, "nop; nop\n\t" HERE "inc %eax; inc %eax; int $0x80")

static void check_step(struct bench *b, uint64_t ip)
{
	g_assert_cmpint(vector_of(b), ==, X86_EXC_DB);
	g_assert_cmphex(frame(b, 0), ==, ip);
	g_assert_cmphex(b->state.dr[6] & 0xf00f, ==, 0x4000);
	g_assert_false(b->state.rflags & X86_FLAG_TF);
}

static void test_single_step(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	b->state.rflags |= X86_FLAG_TF;
	RUN(b, step);
	check_step(b, USER_CODE + step_here);
	g_assert_true(frame(b, 2) & X86_FLAG_TF);

	/* each iteration of a repeated string instruction is a step */
	bench_prepare(b, LONG3);
	b->state.rflags |= X86_FLAG_TF;
	b->state.gpr[X86_RCX] = 2;
	b->state.gpr[X86_RSI] = b->state.gpr[X86_RDI] = USER_PAGE;
	RUN(b, step_rep);
	check_step(b, USER_CODE);
	g_assert_cmpuint(b->state.gpr[X86_RCX], ==, 1);

	/* a load of SS holds the trap back for one instruction */
	bench_prepare(b, LONG3);
	b->state.rflags |= X86_FLAG_TF;
	RUN(b, step_ss);
	check_step(b, USER_CODE + 2);

	/* TF set by POPF traps after the next instruction */
	bench_prepare(b, LONG0);
	RUN(b, step_popf);
	check_step(b, GUEST_CODE + step_popf_here);

	/* SYSCALL with TF masked does not trap in the kernel */
	bench_prepare(b, LONG3);
	b->state.rflags |= X86_FLAG_TF;
	b->state.sfmask = X86_FLAG_TF;
	RUN(b, step_syscall);
	g_assert_cmpint(vector_of(b), ==, SYSCALL_TARGET);
}

/* A breakpoint faults before its instruction and, with RF in the flags returned to, lets it pass. */
static void test_breakpoint(void)
{
	autoptr(bench) b = bench_new();
	static const uint8_t resume[] = { 0x80, 0x4c, 0x24, 0x12, 0x01, 0x48, 0xcf }; /* orb $1, 0x12(%rsp); iretq */

	bench_prepare(b, LONG3);
	b->state.dr[7] = 0x402;
	b->state.dr[0] = USER_CODE + execute_break_here;
	RUN(b, execute_break);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_DB);
	g_assert_cmphex(frame(b, 0), ==, USER_CODE + execute_break_here);
	g_assert_cmphex(b->state.dr[6] & 0xf, ==, 1);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 0);

	guest_write(b->guest, HANDLERS + X86_EXC_DB * 16 + 2, resume, sizeof(resume));
	bench_go(b);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 2);
}

/* ---- code that changes ---- */

/*
 * Patches the immediate of an instruction of the same block, then one already executed, then copies a routine over
 * another.
 */
SNIPPET(patch, 64, "xor %ebx, %ebx; movb $7, 1f+1(%rip); 1: mov $1, %al; mov %al, %bl\n\t"
	"movb $9, 1b+1(%rip); mov $2, %ecx\n\t"
	"2: lea 3f(%rip), %rdx; call *%rdx; movb $5, 1(%rdx); dec %ecx; jnz 2b; mov %al, %bh\n\t"
	"lea 4f(%rip), %rsi; lea 3f(%rip), %rdi; mov $6, %ecx; rep movsb; call 3f; shl $16, %eax;"
	"or %ebx, %eax; int $0x80\n\t" "3: mov $4, %al; ret; nop; nop; nop; 4: mov $0x33, %eax; ret")
/* Code of the page is reached at two linear addresses; it is written through one and run through the other. */
SNIPPET(alias, 64, "mov $0x30007, %eax; mov %rax, " PTE(0x141000)
	"; movl $0xc301b0, 0x30000; mov $0x141000, %edx; call *%rdx; mov %al, %bl\n\t"
	"movb $2, 0x30001; call *%rdx; mov %al, %bh; movzwl %bx, %eax; int $0x80")
/* An instruction across two pages, of which the second changes. */
SNIPPET(crossing, 64, "mov $0x30ffe, %edx; movl $0x11b8, (%rdx); movl $0xc300, 3(%rdx); movw $0, 4(%rdx);"
	"movb $0xc3, 5(%rdx); call *%rdx; mov %eax, %ebx\n\t"
	"movb $0x22, 0x31000; call *%rdx; shl $8, %eax; or %ebx, %eax; int $0x80")

static void test_modified_code(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG0);
	RUN(b, patch);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 0x330507);

	bench_prepare(b, LONG0);
	RUN(b, alias);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 0x0201);

	bench_prepare(b, LONG0);
	RUN(b, crossing);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_cmphex(b->state.gpr[X86_RAX], ==, 0x221111);
}

/* ---- repeated string instructions ---- */

SNIPPET(copy_up, 64, "rep movsq; int $0x80")
SNIPPET(copy_down, 64, "std; rep movsb; int $0x80")
SNIPPET(fill_up, 64, "rep stosl; int $0x80")
SNIPPET(scan, 64, "repne scasb; int $0x80")
SNIPPET(compare, 64, "repe cmpsw; int $0x80")
SNIPPET(copy_narrow, 32, ".byte 0x67; rep movsb; int $0x80")

static void set_string(struct bench *b, uint64_t rcx, uint64_t rsi, uint64_t rdi)
{
	b->state.gpr[X86_RCX] = rcx;
	b->state.gpr[X86_RSI] = rsi;
	b->state.gpr[X86_RDI] = rdi;
}

static void check_string(const struct bench *b, uint64_t rcx, uint64_t rsi, uint64_t rdi)
{
	g_assert_cmphex(b->state.gpr[X86_RCX], ==, rcx);
	g_assert_cmphex(b->state.gpr[X86_RSI], ==, rsi);
	g_assert_cmphex(b->state.gpr[X86_RDI], ==, rdi);
}

/* A fault in the middle leaves a state from which the instruction can go on. */
static void test_string_faults(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	set_string(b, 1024, USER_PAGE, ABSENT - 0x1008);
	RUN(b, copy_up);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_PF);
	g_assert_cmphex(frame(b, 0), ==, 6);
	g_assert_cmphex(b->state.cr2, ==, ABSENT);
	g_assert_cmphex(frame(b, 1), ==, USER_CODE);
	check_string(b, 1024 - 513, USER_PAGE + 513 * 8, ABSENT);

	/* the last element itself lies across the edge: nothing of it is written */
	bench_prepare(b, LONG3);
	guest_write64(b->guest, ABSENT - 8, 0);
	b->state.gpr[X86_RAX] = 0xffffffff;
	set_string(b, 4, 0, ABSENT - 6);
	RUN(b, fill_up);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_PF);
	check_string(b, 3, 0, ABSENT - 2);
	g_assert_cmphex(guest_read64(b->guest, ABSENT - 8), ==, UINT64_C(0x0000ffffffff0000));

	/* downwards */
	bench_prepare(b, LONG3);
	set_string(b, 10, USER_PAGE + 100, ABSENT + 0x7000 + 3);
	guest_write64(b->guest, PAGE_TABLE + ((ABSENT + 0x6000) >> 12) * 8, 0);
	RUN(b, copy_down);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_PF);
	check_string(b, 6, USER_PAGE + 96, ABSENT + 0x6fff);
}

/* Overlapping copies propagate as element by element copying does. */
static void test_string_overlap(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	guest_write64(b->guest, USER_PAGE, UINT64_C(0x1122334455667788));
	set_string(b, 600, USER_PAGE, USER_PAGE + 8);
	RUN(b, copy_up);
	g_assert_cmpint(vector_of(b), ==, DONE);
	check_string(b, 0, USER_PAGE + 4800, USER_PAGE + 4808);
	for (unsigned i = 0; i <= 600; i++)
		g_assert_cmphex(guest_read64(b->guest, USER_PAGE + i * 8), ==, UINT64_C(0x1122334455667788));

	bench_prepare(b, LONG3);
	guest_write64(b->guest, USER_PAGE + 0xffc, UINT64_C(0x8877665544332211));
	set_string(b, 8, USER_PAGE + 0x1003, USER_PAGE + 0x1005);
	RUN(b, copy_down);
	g_assert_cmpint(vector_of(b), ==, DONE);
	check_string(b, 0, USER_PAGE + 0xffb, USER_PAGE + 0xffd);
	g_assert_cmphex(guest_read64(b->guest, USER_PAGE + 0xffe), ==, UINT64_C(0x8877665544332211));
}

static void test_string_search(void)
{
	autoptr(bench) b = bench_new();

	bench_prepare(b, LONG3);
	guest_write(b->guest, USER_PAGE + 0xff0, "abcdefghijklmnopqrstuvwxyz", 26);
	b->state.gpr[X86_RAX] = 'x';
	set_string(b, 100, 0, USER_PAGE + 0xff0);
	RUN(b, scan);
	check_string(b, 76, 0, USER_PAGE + 0xff0 + 24);
	g_assert_true(frame(b, 2) & X86_FLAG_ZF);

	bench_prepare(b, LONG3);
	guest_write(b->guest, USER_PAGE, "abcdefgh", 8);
	guest_write(b->guest, USER_PAGE + 16, "abcdefgx", 8);
	set_string(b, 100, USER_PAGE, USER_PAGE + 16);
	RUN(b, compare);
	check_string(b, 96, USER_PAGE + 8, USER_PAGE + 24);
	g_assert_false(frame(b, 2) & X86_FLAG_ZF);
	g_assert_true(frame(b, 2) & X86_FLAG_CF);

	/* a count of 0 touches neither memory nor flags */
	bench_prepare(b, LONG3);
	b->state.rflags |= X86_FLAG_CF;
	set_string(b, 0, ABSENT, ABSENT);
	RUN(b, compare);
	g_assert_cmpint(vector_of(b), ==, DONE);
	g_assert_true(frame(b, 2) & X86_FLAG_CF);

	/* 16-bit addresses wrap, the upper halves stay */
	bench_prepare(b, PROT3);
	set_string(b, 0xabcd0003, 0x5555fffe, 0x66660000 | 0x1000);
	guest_write(b->guest, 0xfffe, "AB", 2);
	RUN(b, copy_narrow);
	g_assert_cmpint(vector_of(b), ==, DONE);
	check_string(b, 0xabcd0000, 0x55550001, 0x66661003);
	g_assert_cmphex(guest_read64(b->guest, 0x1000) & 0xffff, ==, 'A' | 'B' << 8);
}

/* ---- interrupts ---- */

SNIPPET(sti_shadow, 64,
	"mov $0x832, %ecx; mov $0x10000, %eax; xor %edx, %edx; wrmsr; mov $0x80f, %ecx; mov $0x1ff, %eax; wrmsr\n\t"
	"mov $0x830, %ecx; mov $0x44041, %eax; wrmsr\n\t" /* self IPI, vector 0x41 */
	"inc %ebx; inc %ebx; sti; inc %ebx\n\t" HERE "inc %ebx; inc %ebx; int $0x80")
SNIPPET(ss_shadow, 64, "mov %ss, %esi; mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr; mov $0x830, %ecx;"
	"mov $0x44041, %eax\n\t" "wrmsr; pushf; orl $0x200, (%rsp); popf\n\t" HERE "mov %esi, %ss; inc %ebx; int $0x80")
SNIPPET(priority, 64, "mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr; mov $4, %eax; mov %rax, %cr8;"
	"mov $0x830, %ecx\n\t" "mov $0x44041, %eax; wrmsr; sti; nop; nop; inc %ebx; xor %eax, %eax; mov %rax, %cr8\n\t"
	HERE "inc %ebx; int $0x80")
SNIPPET(halt, 64, "sti; hlt\n\t" HERE "int $0x80")

/* A local APIC fresh from power-on, in x2APIC mode. */
static struct bench *apic_bench_new(void)
{
	struct bench *b = bench_new();
	struct x86_cpu_state now;

	bench_prepare(b, LONG0);
	b->guest->vm.accel_class->vcpu_get_state(&b->guest->vcpus[0], &now);
	memcpy(b->state.lapic, now.lapic, sizeof(now.lapic));
	b->state.apic_base = now.apic_base | 0xc00;
	return b;
}

static void test_interrupt_window(void)
{
	autoptr(bench) b = apic_bench_new();
	autoptr(bench) ss = apic_bench_new();
	autoptr(bench) tpr = apic_bench_new();

	RUN(b, sti_shadow);
	g_assert_cmpint(vector_of(b), ==, 0x41);
	g_assert_cmphex(frame(b, 0), ==, GUEST_CODE + sti_shadow_here);
	g_assert_cmpuint(b->state.gpr[X86_RBX], ==, 3);
	g_assert_true(frame(b, 2) & X86_FLAG_IF);
	g_assert_false(b->state.rflags & X86_FLAG_IF);

	RUN(ss, ss_shadow);
	g_assert_cmpint(vector_of(ss), ==, 0x41);
	g_assert_cmphex(frame(ss, 0), ==, GUEST_CODE + ss_shadow_here);

	RUN(tpr, priority);
	g_assert_cmpint(vector_of(tpr), ==, 0x41);
	g_assert_cmphex(frame(tpr, 0), ==, GUEST_CODE + priority_here);
	g_assert_cmpuint(tpr->state.gpr[X86_RBX], ==, 1);
}

static gpointer send_nmi(gpointer data)
{
	struct bench *b = data;

	b->guest->vm.accel_class->nmi(&b->guest->vcpus[0]);
	return NULL;
}

/* An NMI from another thread wakes HLT, blocks further ones until IRET, and then the next is taken. */
static void test_nmi(void)
{
	static const uint8_t iret[] = { 0x48, 0xcf };
	autoptr(bench) b = bench_new();
	GThread *thread;

	bench_prepare(b, LONG0);
	guest_write(b->guest, GUEST_CODE, halt_code, (size_t)(halt_end - halt_code));
	thread = g_thread_new("nmi", send_nmi, b);
	bench_go(b);
	g_thread_join(thread);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_NMI);
	g_assert_cmphex(frame(b, 0) - GUEST_CODE, <=, halt_here);
	g_assert_true(b->state.nmi_blocked);

	guest_write(b->guest, HANDLERS + X86_EXC_NMI * 16 + 2, iret, sizeof(iret));
	send_nmi(b);
	bench_go(b);
	g_assert_cmpint(vector_of(b), ==, X86_EXC_NMI);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_set_nonfatal_assertions();
	g_test_add_func("/cpu/system/frame-from-user", test_frame_from_user);
	g_test_add_func("/cpu/system/frame-from-kernel", test_frame_from_kernel);
	g_test_add_func("/cpu/system/ist", test_ist);
	g_test_add_func("/cpu/system/double-fault", test_double_fault);
	g_test_add_func("/cpu/system/stack-overflow", test_stack_overflow);
	g_test_add_func("/cpu/system/triple-fault", test_triple_fault);
	g_test_add_func("/cpu/system/bad-inner-stack", test_bad_inner_stack);
	g_test_add_func("/cpu/system/syscall", test_syscall);
	g_test_add_func("/cpu/system/sysret", test_sysret);
	g_test_add_func("/cpu/system/sysenter", test_sysenter);
	g_test_add_func("/cpu/system/call-gate", test_call_gate);
	g_test_add_func("/cpu/system/ret-outward", test_ret_outward);
	g_test_add_func("/cpu/system/v86", test_v86);
	g_test_add_func("/cpu/system/mode-tour", test_mode_tour);
	g_test_add_func("/cpu/system/unreal", test_unreal);
	g_test_add_func("/cpu/system/accessed-dirty", test_accessed_dirty);
	g_test_add_func("/cpu/system/tlb-flush", test_tlb_flush);
	g_test_add_func("/cpu/system/fetch-faults", test_fetch_faults);
	g_test_add_func("/cpu/system/single-step", test_single_step);
	g_test_add_func("/cpu/system/breakpoint", test_breakpoint);
	g_test_add_func("/cpu/system/modified-code", test_modified_code);
	g_test_add_func("/cpu/system/string-faults", test_string_faults);
	g_test_add_func("/cpu/system/string-overlap", test_string_overlap);
	g_test_add_func("/cpu/system/string-search", test_string_search);
	g_test_add_func("/cpu/system/interrupt-window", test_interrupt_window);
	g_test_add_func("/cpu/system/nmi", test_nmi);
	return g_test_run();
}
