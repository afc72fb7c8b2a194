/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One row a fault: code, mode, and the vector, error code, address and CR2 it must end with. Rows that end with INT
 * 0x80 are the other side of a refusal: the same thing done by somebody who may.
 */
#include "tests/cpu-system.h"

struct fault_case {
	const char *name;
	enum mode mode;
	const uint8_t *code, *end;
	const uint32_t *here;
	unsigned vector;
	uint32_t error; /* NO_ERROR where there is none */
	uint64_t cr2, rax;
	uint32_t cr4, rflags, cr0_off;
};

#define BITS_LONG0 64
#define BITS_LONG3 64
#define BITS_COMPAT3 32
#define BITS_PROT0 32
#define BITS_PROT3 32
#define BITS_PAGED0 32
#define BITS_PAGED3 32
#define BITS_REAL 16
#define BITS_V86 16
#define SNIPPET_EXPAND(name, bits, text) SNIPPET(name, bits, text)

/* X(name, mode, code, vector, error, more fields) */
#define FAULT_CASES(X) \
	/* paging */ \
	X(user_read_absent, LONG3, HERE "mov " STR(ABSENT) ", %eax", X86_EXC_PF, 4, .cr2 = ABSENT) \
	X(user_write_absent, LONG3, HERE "mov %eax, " STR(ABSENT + 8), X86_EXC_PF, 6, .cr2 = ABSENT + 8) \
	X(user_write_read_only, LONG3, HERE "incl " STR(READ_ONLY), X86_EXC_PF, 7, .cr2 = READ_ONLY) \
	X(user_read_supervisor, LONG3, HERE "mov " STR(SUPERVISOR) ", %al", X86_EXC_PF, 5, .cr2 = SUPERVISOR) \
	X(user_write_supervisor, LONG3, HERE "mov %al, " STR(SUPERVISOR), X86_EXC_PF, 7, .cr2 = SUPERVISOR) \
	X(user_reads_read_only, LONG3, "mov " STR(READ_ONLY) ", %eax; mov $5, %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 5) \
	X(kernel_write_read_only, LONG0, HERE "movb $1, " STR(READ_ONLY), X86_EXC_PF, 3, .cr2 = READ_ONLY) \
	X(kernel_write_no_wp, LONG0, "movb $9, " STR(READ_ONLY) "; movzbl " STR(READ_ONLY) ", %eax\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 9, .cr0_off = X86_CR0_WP) \
	X(reserved_bit, LONG0, HERE "mov " STR(RESERVED_BIT) ", %eax", X86_EXC_PF, 9, .cr2 = RESERVED_BIT) \
	X(user_reserved_bit, LONG3, HERE "push " STR(RESERVED_BIT), X86_EXC_PF, 0xd, .cr2 = RESERVED_BIT) \
	X(smap_read, LONG0, HERE "mov " STR(USER_PAGE) ", %eax", X86_EXC_PF, 1, .cr2 = USER_PAGE, .cr4 = X86_CR4_SMAP) \
	X(smap_stac, LONG0, "stac; mov " STR(USER_PAGE) ", %eax; clac\n\t" HERE "mov " STR(USER_PAGE) ", %eax", \
	  X86_EXC_PF, 1, .cr2 = USER_PAGE, .cr4 = X86_CR4_SMAP) \
	X(stac_at_user, LONG3, HERE "stac", X86_EXC_UD, NO_ERROR, .cr4 = X86_CR4_SMAP) \
	X(store_across_absent, LONG3, HERE "movq $-1, " STR(ABSENT - 4), X86_EXC_PF, 6, .cr2 = ABSENT) \
	X(load_across_absent, LONG3, HERE "mov " STR(ABSENT - 2) ", %eax", X86_EXC_PF, 4, .cr2 = ABSENT) \
	X(push_on_absent, LONG3, "mov $" STR(ABSENT + 8) ", %rsp\n\t" HERE "push %rax", X86_EXC_PF, 6, .cr2 = ABSENT) \
	X(not_canonical, LONG3, "mov $0x800000000000, %rbx\n\t" HERE "mov (%rbx), %eax", X86_EXC_GP, 0) \
	X(not_canonical_stack, LONG3, "mov $0x800000000008, %rsp\n\t" HERE "push %rax", X86_EXC_SS, 0) \
	X(jump_not_canonical, LONG3, "mov $0x800000000000, %rbx\n\t" HERE "jmp *%rbx", X86_EXC_GP, 0) \
	X(clflush_absent, LONG3, HERE "clflush " STR(ABSENT), X86_EXC_PF, 4, .cr2 = ABSENT) \
	X(prefetch_absent, LONG3, "prefetcht0 " STR(ABSENT) "; mov $1, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 1) \
	X(lock_bts_read_only, LONG3, HERE "lock btsl $3, " STR(READ_ONLY), X86_EXC_PF, 7, .cr2 = READ_ONLY) \
	X(cmpxchg_read_only, LONG3, HERE "cmpxchg %ecx, " STR(READ_ONLY), X86_EXC_PF, 7, .cr2 = READ_ONLY) \
	X(cmpxchg16b_unaligned, LONG3, HERE "lock cmpxchg16b " STR(USER_PAGE + 8), X86_EXC_GP, 0) \
	X(bt_reaches_absent, LONG3, "mov $" STR(0x8000) ", %ecx\n\t" HERE "bt %ecx, " STR(ABSENT - 0x1000), \
	  X86_EXC_PF, 4, .cr2 = ABSENT) \
	X(paged32_user_absent, PAGED3, HERE "mov " STR(ABSENT) ", %eax", X86_EXC_PF, 4, .cr2 = ABSENT) \
	X(paged32_user_write, PAGED3, HERE "movb $0, " STR(READ_ONLY), X86_EXC_PF, 7, .cr2 = READ_ONLY) \
	X(paged32_supervisor, PAGED3, HERE "mov " STR(SUPERVISOR) ", %eax", X86_EXC_PF, 5, .cr2 = SUPERVISOR) \
	X(paged32_absent_directory, PAGED0, HERE "mov 0x800000, %eax", X86_EXC_PF, 0, .cr2 = 0x800000) \
	X(paged32_jump_absent, PAGED3, "mov $" STR(ABSENT) ", %eax; jmp *%eax", X86_EXC_PF, 4, .cr2 = ABSENT) \
	/* privileged at level 3 */ \
	X(user_hlt, LONG3, HERE "hlt", X86_EXC_GP, 0) \
	X(user_cli, LONG3, HERE "cli", X86_EXC_GP, 0) \
	X(user_cli_iopl3, LONG3, "cli; mov $1, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 1, .rflags = X86_FLAG_IOPL) \
	X(user_sti, LONG3, HERE "sti", X86_EXC_GP, 0) \
	X(user_clts, LONG3, HERE "clts", X86_EXC_GP, 0) \
	X(user_read_cr0, LONG3, HERE "mov %cr0, %rax", X86_EXC_GP, 0) \
	X(user_write_cr3, LONG3, HERE "mov %rax, %cr3", X86_EXC_GP, 0) \
	X(user_write_cr8, LONG3, HERE "mov %rax, %cr8", X86_EXC_GP, 0) \
	X(user_write_dr7, LONG3, HERE "mov %rax, %dr7", X86_EXC_GP, 0) \
	X(user_rdmsr, LONG3, "mov $0xc0000080, %ecx\n\t" HERE "rdmsr", X86_EXC_GP, 0) \
	X(user_wrmsr, LONG3, "mov $0xc0000080, %ecx\n\t" HERE "wrmsr", X86_EXC_GP, 0) \
	X(user_lgdt, LONG3, HERE "lgdt " STR(USER_PAGE), X86_EXC_GP, 0) \
	X(user_ltr, LONG3, HERE "ltr %ax", X86_EXC_GP, 0) \
	X(user_lmsw, LONG3, HERE "lmsw %ax", X86_EXC_GP, 0) \
	X(user_invlpg, LONG3, HERE "invlpg (%rax)", X86_EXC_GP, 0) \
	X(user_wbinvd, LONG3, HERE "wbinvd", X86_EXC_GP, 0) \
	X(user_swapgs, LONG3, HERE "swapgs", X86_EXC_GP, 0) \
	X(user_sysret, LONG3, HERE "sysretq", X86_EXC_GP, 0) \
	X(user_sysexit, LONG3, HERE "sysexitl", X86_EXC_GP, 0) \
	X(user_rdtsc_tsd, LONG3, HERE "rdtsc", X86_EXC_GP, 0, .cr4 = X86_CR4_TSD) \
	X(user_rdpmc, LONG3, HERE "rdpmc", X86_EXC_GP, 0) \
	X(user_sgdt, LONG3, "sgdt " STR(USER_PAGE) "; movzwl " STR(USER_PAGE) ", %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = GDT_BYTES - 1) \
	X(user_sgdt_umip, LONG3, HERE "sgdt " STR(USER_PAGE), X86_EXC_GP, 0, .cr4 = X86_CR4_UMIP) \
	X(user_str_umip, LONG3, HERE "str %eax", X86_EXC_GP, 0, .cr4 = X86_CR4_UMIP) \
	X(user_smsw, LONG3, "smsw %eax; and $1, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 1) \
	X(rdfsbase_off, LONG3, HERE "rdfsbase %rax", X86_EXC_UD, NO_ERROR) \
	X(wrgsbase, LONG3, "mov $0x1234, %ecx; wrgsbase %rcx; rdgsbase %rax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x1234, .cr4 = X86_CR4_FSGSBASE) \
	X(wrfsbase_not_canonical, LONG3, "mov $0x800000000000, %rcx\n\t" HERE "wrfsbase %rcx", X86_EXC_GP, 0, \
	  .cr4 = X86_CR4_FSGSBASE) \
	X(user_popf, LONG3, "pushq $0x3202; popf; pushf; pop %rax; and $0x3200, %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0) \
	X(kernel_popf, LONG0, "pushq $0x3202; popf; pushf; pop %rax; and $0x3200, %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x3200) \
	X(kernel_popf_iopl3_user, LONG3, "pushq $0x0202; popf; pushf; pop %rax; and $0x3200, %eax\n\t" INT_DONE, DONE, \
	  NO_ERROR, .rax = 0x3200, .rflags = X86_FLAG_IOPL) \
	/* ports */ \
	X(port_denied, LONG3, HERE "inb $0x40, %al", X86_EXC_GP, 0) \
	X(port_allowed, LONG3, "xor %eax, %eax; inb $0xe8, %al; and $0xf0, %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x30) \
	X(port_word_denied, LONG3, HERE "inw $0xe8, %ax", X86_EXC_GP, 0) \
	X(port_outside_bitmap, LONG3, "mov $0x100, %edx\n\t" HERE "outb %al, %dx", X86_EXC_GP, 0) \
	X(port_iopl3, LONG3, "xor %eax, %eax; inw $0xe8, %ax; and $0xf0, %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x30, .rflags = X86_FLAG_IOPL) \
	X(ins_denied, PROT3, "mov $0x40, %edx; mov $" STR(USER_PAGE) ", %edi; mov $2, %ecx\n\t" HERE "rep insb", \
	  X86_EXC_GP, 0) \
	X(ins_absent, PAGED3, "mov $0xe8, %edx; mov $" STR(ABSENT) ", %edi\n\t" HERE "insb", X86_EXC_PF, 6, \
	  .cr2 = ABSENT) \
	/* undefined, arithmetic */ \
	X(ud2, LONG3, HERE "ud2", X86_EXC_UD, NO_ERROR) \
	X(monitor, LONG0, HERE "monitor", X86_EXC_UD, NO_ERROR) \
	X(rsm, LONG0, HERE "rsm", X86_EXC_UD, NO_ERROR) \
	X(divide_zero, LONG3, "xor %ecx, %ecx\n\t" HERE "div %ecx", X86_EXC_DE, NO_ERROR) \
	X(divide_overflow, LONG3, "mov $2, %edx; mov $2, %ecx\n\t" HERE "div %rcx", X86_EXC_DE, NO_ERROR) \
	X(idiv_overflow, LONG3, "mov $1, %eax; ror $1, %rax; cqo; mov $-1, %rcx\n\t" HERE "idiv %rcx", X86_EXC_DE, \
	  NO_ERROR) \
	X(idiv_smallest, LONG3, "mov $1, %eax; ror $1, %rax; cqo; mov $1, %ecx; idiv %rcx; shr $60, %rax\n\t" \
	  INT_DONE, DONE, NO_ERROR, .rax = 8) \
	X(aam_zero, PROT0, HERE "aam $0", X86_EXC_DE, NO_ERROR) \
	X(bound, PROT3, "movl $1, " STR(USER_PAGE) "; movl $4, " STR(USER_PAGE + 4) "; mov $5, %eax\n\t" HERE \
	  "bound %eax, " STR(USER_PAGE), X86_EXC_BR, NO_ERROR) \
	X(bound_inside, PROT3, "movl $1, " STR(USER_PAGE) "; movl $4, " STR(USER_PAGE + 4) \
	  "; mov $4, %eax; bound %eax, " STR(USER_PAGE) "\n\t" INT_DONE, DONE, NO_ERROR, .rax = 4) \
	X(into_not_taken, PROT3, "xor %eax, %eax; into\n\t" INT_DONE, DONE, NO_ERROR) \
	X(syscall_compat, COMPAT3, HERE "syscall", X86_EXC_UD, NO_ERROR) \
	X(syscall_protected, PROT3, HERE "syscall", X86_EXC_UD, NO_ERROR) \
	/* software interrupts */ \
	X(int_closed_gate, LONG3, HERE "int $0x21", X86_EXC_GP, 0x21 * 8 + 2) \
	X(int3_closed_gate, LONG3, HERE "int3", X86_EXC_GP, 3 * 8 + 2) \
	X(int_closed_gate32, PROT3, HERE "int $0x21", X86_EXC_GP, 0x21 * 8 + 2) \
	X(icebp_needs_no_dpl, LONG3, ".byte 0xf1\n\t" HERE, X86_EXC_DB, NO_ERROR) \
	X(int_kernel, LONG0, "int $0x21\n\t" HERE, 0x21, NO_ERROR) \
	X(int3_kernel, LONG0, "int3\n\t" HERE, 3, NO_ERROR) \
	/* control registers */ \
	X(pg_without_pe, LONG0, "mov $0x80000000, %eax\n\t" HERE "mov %rax, %cr0", X86_EXC_GP, 0) \
	X(nw_without_cd, LONG0, "mov %cr0, %rax; or $0x20000000, %eax\n\t" HERE "mov %rax, %cr0", X86_EXC_GP, 0) \
	X(cr0_high, LONG0, "mov %cr0, %rax; bts $32, %rax\n\t" HERE "mov %rax, %cr0", X86_EXC_GP, 0) \
	X(pg_off_in_64, LONG0, "mov %cr0, %rax; btr $31, %rax\n\t" HERE "mov %rax, %cr0", X86_EXC_GP, 0) \
	X(pae_off_in_long, LONG0, "mov %cr4, %rax; btr $5, %rax\n\t" HERE "mov %rax, %cr4", X86_EXC_GP, 0) \
	X(cr4_unknown, LONG0, "mov %cr4, %rax; bts $31, %rax\n\t" HERE "mov %rax, %cr4", X86_EXC_GP, 0) \
	X(cr4_vme, LONG0, "mov %cr4, %rax; bts $0, %rax\n\t" HERE "mov %rax, %cr4", X86_EXC_GP, 0) \
	X(pcide_with_low_cr3, LONG0, "mov %cr3, %rax; or $8, %rax; mov %rax, %cr3; mov %cr4, %rax; bts $17, %rax\n\t" \
	  HERE "mov %rax, %cr4", X86_EXC_GP, 0) \
	X(cr3_high, LONG0, "mov %cr3, %rax; bts $52, %rax\n\t" HERE "mov %rax, %cr3", X86_EXC_GP, 0) \
	X(cr3_noflush_without_pcid, LONG0, "mov %cr3, %rax; bts $63, %rax\n\t" HERE "mov %rax, %cr3", X86_EXC_GP, 0) \
	X(cr8_high, LONG0, "mov $16, %eax\n\t" HERE "mov %rax, %cr8", X86_EXC_GP, 0) \
	X(cr8, LONG0, "mov $5, %eax; mov %rax, %cr8; xor %eax, %eax; mov %cr8, %rax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 5) \
	X(cr2, LONG0, "mov $0x123456789, %rax; mov %rax, %cr2; xor %eax, %eax; mov %cr2, %rax\n\t" INT_DONE, DONE, \
	  NO_ERROR, .rax = 0x123456789, .cr2 = 0x123456789) \
	X(lmsw_keeps_pe, PROT0, "xor %eax, %eax; lmsw %ax; mov %cr0, %eax; and $1, %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 1) \
	X(ts_and_clts, LONG0, "mov %cr0, %rax; or $8, %eax; mov %rax, %cr0; clts; mov %cr0, %rax; and $8, %eax\n\t" \
	  INT_DONE, DONE, NO_ERROR, .rax = 0) \
	X(efer_lme_while_paging, LONG0, "mov $0xc0000080, %ecx; rdmsr; btr $8, %eax\n\t" HERE "wrmsr", X86_EXC_GP, 0) \
	X(unknown_msr, LONG0, "mov $0x12345, %ecx\n\t" HERE "rdmsr", X86_EXC_GP, 0) \
	X(dr4_with_de, LONG0, HERE "mov %dr4, %rax", X86_EXC_UD, NO_ERROR, .cr4 = X86_CR4_DE) \
	X(dr4_alias, LONG0, "mov %dr4, %rax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0xffff0ff0) \
	X(dr7_high, LONG0, "mov $0x100000000, %rax\n\t" HERE "mov %rax, %dr7", X86_EXC_GP, 0) \
	X(general_detect, LONG0, "mov $0x2000, %eax; mov %rax, %dr7\n\t" HERE "mov %dr0, %rax", X86_EXC_DB, NO_ERROR) \
	/* segment registers */ \
	X(mov_ss_null_user, LONG3, "xor %eax, %eax\n\t" HERE "mov %eax, %ss", X86_EXC_GP, 0) \
	X(mov_ss_null_kernel, LONG0, "xor %eax, %eax; mov %eax, %ss; push %rax; pop %rax; mov $7, %al\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 7) \
	X(mov_ss_null_prot, PROT0, "xor %eax, %eax\n\t" HERE "mov %eax, %ss", X86_EXC_GP, 0) \
	X(mov_ss_wrong_rpl, PROT0, "mov $0x2b, %eax\n\t" HERE "mov %eax, %ss", X86_EXC_GP, 0x28) \
	X(mov_ss_code, PROT0, "mov $0x18, %eax\n\t" HERE "mov %eax, %ss", X86_EXC_GP, 0x18) \
	X(mov_ds_absent, PROT3, "mov $0x3b, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_NP, 0x38) \
	X(mov_ds_privileged, PROT3, "mov $0x10, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0x10) \
	X(mov_ds_exec_only, PROT3, "mov $0x5b, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0x58) \
	X(mov_ds_system, PROT0, "mov $0x60, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0x60) \
	X(mov_ds_outside, PROT0, "mov $0xd0, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0xd0) \
	X(mov_ds_no_ldt, PROT0, "mov $0x0f, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0x0c) \
	X(mov_ds_conforming, PROT3, "mov $0x53, %eax; mov %eax, %ds\n\t" HERE "movb $0, %ds:" STR(USER_PAGE), \
	  X86_EXC_GP, 0) \
	X(pop_ss_absent, PROT3, "push $0x3b\n\t" HERE "pop %ss", X86_EXC_SS, 0x38) \
	X(use_null_ds, PROT3, "xor %eax, %eax; mov %eax, %ds\n\t" HERE "mov %ds:0, %eax", X86_EXC_GP, 0) \
	X(limit, PROT3, "mov $0x93, %eax; mov %eax, %fs; mov %fs:12, %eax\n\t" HERE "mov %fs:13, %eax", X86_EXC_GP, 0) \
	X(limit_stack, PROT3, "mov $0x93, %eax; mov %eax, %ss; mov $16, %esp; push %eax; mov $2, %esp\n\t" HERE \
	  "push %eax", X86_EXC_SS, 0) \
	X(expand_down, PROT3, "mov $0x9b, %eax; mov %eax, %fs; mov %fs:0x1000, %ecx\n\t" HERE "mov %fs:0xfff, %al", \
	  X86_EXC_GP, 0) \
	X(segment_base, PROT3, "movl $77, " STR(USER_PAGE + 4) "; mov $0x93, %eax; mov %eax, %gs; mov %gs:4, %eax\n\t" \
	  INT_DONE, DONE, NO_ERROR, .rax = 77) \
	X(les, PROT3, "movl $0x44, " STR(USER_PAGE) "; movw $0x93, " STR(USER_PAGE + 4) "; les " STR(USER_PAGE) \
	  ", %eax;" "mov %es, %ecx; shl $8, %ecx; or %ecx, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0x9344) \
	X(lldt_and_use, PROT0, "mov $0x80, %eax; lldt %ax; mov $0xf, %ecx; mov %ecx, %es; sldt %eax\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 0x80) \
	X(lldt_wrong_type, PROT0, "mov $0x60, %eax\n\t" HERE "lldt %ax", X86_EXC_GP, 0x60) \
	X(ltr_null, LONG0, "xor %eax, %eax\n\t" HERE "ltr %ax", X86_EXC_GP, 0) \
	X(ltr_twice, LONG0, "mov $0x60, %eax; ltr %ax\n\t" HERE "ltr %ax", X86_EXC_GP, 0x60) \
	X(lldt_long, LONG0, "mov $0x80, %eax; lldt %ax; xor %eax, %eax; sldt %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x80) \
	X(lgdt_not_canonical, LONG0, "mov $0x800000000000, %rax; mov %rax, " STR(KERNEL_PAGE + 2) "\n\t" HERE "lgdt " \
	  STR(KERNEL_PAGE), X86_EXC_GP, 0) \
	X(lar, LONG3, "mov $0x33, %ecx; lar %ecx, %eax; jz 1f; xor %eax, %eax; 1:\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0xaffb00) \
	X(lar_hidden, LONG3, "mov $0x10, %ecx; mov $1, %eax; lar %ecx, %eax; jnz 1f; xor %eax, %eax; 1:\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 1) \
	X(lsl, LONG3, "mov $0x93, %ecx; lsl %ecx, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 15) \
	X(lsl_pages, LONG3, "mov $0x2b, %ecx; lsl %ecx, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0xffffffff) \
	X(verr_verw, LONG3, \
	  "xor %eax, %eax; mov $0x2b, %ecx; verw %cx; setz %al; mov $0x5b, %ecx; verr %cx; setz %ah\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 1) \
	X(arpl, PROT3, "mov $0x10, %eax; mov $0x13, %ecx; arpl %cx, %ax; jz 1f; xor %eax, %eax; 1:\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 0x13) \
	X(lar_real, REAL, HERE "lar %ax, %ax", X86_EXC_UD, NO_ERROR) \
	X(sldt_real, REAL, HERE "sldt %ax", X86_EXC_UD, NO_ERROR) \
	/* far transfers */ \
	X(jmp_data, PROT0, HERE "ljmp $0x10, $0", X86_EXC_GP, 0x10) \
	X(jmp_null, PROT0, HERE "ljmp $0, $0", X86_EXC_GP, 0) \
	X(jmp_absent, LONG0, "movl $0, " STR(KERNEL_PAGE) "; movw $0xa0, " STR(KERNEL_PAGE + 4) "\n\t" HERE "ljmp *" \
	  STR(KERNEL_PAGE), X86_EXC_NP, 0xa0) \
	X(jmp_bad_size, LONG0, "movl $0, " STR(KERNEL_PAGE) "; movw $0xa8, " STR(KERNEL_PAGE + 4) "\n\t" HERE "ljmp *" \
	  STR(KERNEL_PAGE), X86_EXC_GP, 0xa8) \
	X(jmp_inward, PROT3, HERE "ljmp $0x18, $0", X86_EXC_GP, 0x18) \
	X(jmp_tss, PROT0, HERE "ljmp $0x60, $0", X86_EXC_GP, 0x60) \
	X(jmp_task_gate, PROT0, HERE "ljmp $0xb0, $0", X86_EXC_GP, 0xb0) \
	X(jmp_limit, PROT0, HERE "ljmp $0x40, $0x12345", X86_EXC_GP, 0) \
	X(jmp_gate_inward, PROT3, HERE "ljmp $0x73, $0", X86_EXC_GP, 0x18) \
	X(call_kernel_gate, PROT3, HERE "lcall $0xc3, $0", X86_EXC_GP, 0xc0) \
	X(call_conforming, PROT3, "lcall $0x50, $(1f - 0b + " STR(USER_CODE_) "); 1: mov %cs, %eax\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 0x53) \
	X(ret_inward, PROT3, "push $0x18; push $0\n\t" HERE "lret", X86_EXC_GP, 0x18) \
	X(ret_null, PROT3, "push $0; push $0\n\t" HERE "lret", X86_EXC_GP, 0) \
	X(ret_outward_bad_ss, PROT0, "push $0x10; push $0; push $0x23; push $0\n\t" HERE "lret", X86_EXC_GP, 0x10) \
	X(iret_nested, PROT0, "pushf; orl $0x4000, (%esp); popf\n\t" HERE "iret", X86_EXC_GP, 0) \
	X(iret_null_ss, LONG0, "push $0; push $0; push $2; push $0x33; push $0\n\t" HERE "iretq", X86_EXC_GP, 0) \
	X(iret_not_canonical, LONG0, \
	  "mov %rsp, %rbx; push $0x10; push %rbx; push $2; push $8; mov $0x800000000000, %rax;" "push %rax\n\t" HERE \
	  "iretq", X86_EXC_GP, 0) \
	X(sysret_not_canonical, LONG0, "mov $0x800000000000, %rcx\n\t" HERE "sysretq", X86_EXC_GP, 0) \
	X(sysenter_no_cs, REAL, HERE "sysenter", X86_EXC_GP, NO_ERROR) \
	/* virtual-8086 mode */ \
	X(v86_cli, V86, HERE "cli", X86_EXC_GP, 0) \
	X(v86_int, V86, HERE "int $0x80", X86_EXC_GP, 0) \
	X(v86_pushf, V86, HERE "pushf", X86_EXC_GP, 0) \
	X(v86_iret, V86, HERE "iret", X86_EXC_GP, 0) \
	X(v86_hlt, V86, HERE "hlt", X86_EXC_GP, 0) \
	X(v86_cr, V86, HERE "mov %cr0, %eax", X86_EXC_GP, 0) \
	X(v86_lar, V86, HERE "lar %ax, %ax", X86_EXC_UD, NO_ERROR) \
	X(v86_limit, V86, "mov $0xffff, %bx\n\t" HERE "mov (%bx), %ax", X86_EXC_GP, 0) \
	X(v86_segment, V86, "mov $0x1400, %ax; mov %ax, %es; movw $0x77, %es:8; mov %es:8, %ax\n\t" INT_DONE, DONE, \
	  NO_ERROR, .rax = 0x77, .rflags = X86_FLAG_IOPL) \
	X(v86_port, V86, HERE "inb $0x40, %al", X86_EXC_GP, 0, .rflags = X86_FLAG_IOPL) \
	/* real mode */ \
	X(real_divide, REAL, "xor %cx, %cx\n\t" HERE "div %cx", X86_EXC_DE, NO_ERROR) \
	X(real_limit, REAL, "mov $0xffff, %bx\n\t" HERE "mov (%bx), %ax", X86_EXC_GP, NO_ERROR) \
	X(real_far_call, REAL, \
	  "lcall $0x1000, $(2f - 0b); mov %cs, %bx; add %bx, %ax; jmp 3f; 2: mov $5, %ax; lret; 3:\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 0x1005)

#define CASE_CODE(name, mode_, text, ...) SNIPPET_EXPAND(name, BITS_##mode_, text)
FAULT_CASES(CASE_CODE)

#define CASE_ROW(name_, mode_, text, vector_, error_, ...) \
	{ \
		.name = #name_, .mode = mode_, .code = name_##_code, .end = name_##_end, .here = &name_##_here, \
		.vector = vector_, .error = error_, ##__VA_ARGS__ \
	},
static const struct fault_case fault_cases[] = { FAULT_CASES(CASE_ROW) };

static G_GNUC_PRINTF(1, 2) void complain(const char *format, ...)
{
	va_list args;
	g_autofree char *text = NULL;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	g_test_message("%s", text);
	g_test_fail();
}

static void check_case(struct bench *b, const struct fault_case *c)
{
	bool error = has_error_code(c->vector) && c->mode != REAL;
	uint64_t ip = (c->mode == REAL || c->mode == V86 ? 0 : b->code) + *c->here;
	int vector = vector_of(b);

	if (vector != (int)c->vector) {
		complain("%s: vector %d instead of %u (exit %d, rip %#" PRIx64 ", error %#" PRIx64 ")", c->name, vector,
			 c->vector, (int)b->why, b->state.rip, frame(b, 0));
		return;
	}
	if (error && frame(b, 0) != c->error)
		complain("%s: error code %#" PRIx64 " instead of %#x", c->name, frame(b, 0), c->error);
	if (c->vector != DONE && c->vector != X86_EXC_PF && frame(b, error) != ip)
		complain("%s: raised at %#" PRIx64 " instead of %#" PRIx64, c->name, frame(b, error), ip);
	if ((c->vector == X86_EXC_PF || c->cr2) && b->state.cr2 != c->cr2)
		complain("%s: CR2 %#" PRIx64 " instead of %#" PRIx64, c->name, b->state.cr2, c->cr2);
	if (c->vector == DONE && b->state.gpr[X86_RAX] != c->rax)
		complain("%s: RAX %#" PRIx64 " instead of %#" PRIx64, c->name, b->state.gpr[X86_RAX], c->rax);
}

static void test_cases(void)
{
	autoptr(bench) b = bench_new();

	for (size_t i = 0; i < G_N_ELEMENTS(fault_cases); i++) {
		const struct fault_case *c = &fault_cases[i];

		bench_prepare(b, c->mode);
		b->state.cr4 |= c->cr4;
		b->state.rflags |= c->rflags;
		b->state.cr0 &= ~(uint64_t)c->cr0_off;
		bench_run(b, c->code, (size_t)(c->end - c->code));
		check_case(b, c);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_set_nonfatal_assertions();
	g_test_add_func("/cpu/faults", test_cases);
	return g_test_run();
}
