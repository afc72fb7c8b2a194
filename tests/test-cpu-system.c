/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System behaviour of the software CPU, seen by guests of a few instructions: faults and their error codes, privilege, delivery through every kind of
 * IDT, mode switches, far transfers, debug traps, self-modifying code.
 *
 * Every vector's handler is one OUT that makes vcpu_run() return, so the host looks at the CPU in its first moment inside the handler: registers, privilege, and the frame
 * on the handler's stack. A guest that gets through ends with INT 0x80, whose gate is open to everybody.
 */
#include <inttypes.h>

#include "tests/guest.h"

/* Guest-physical layout beside guest.h's; one to one in linear space. */
#define PAGE_TABLE 0x9000u
#define TSS64 0xa000u
#define TSS32 0xa800u
#define LDT 0xb000u
#define IDT32 0xc000u
#define PD32 0xd000u
#define PT32 0xe000u
#define RING0_STACK 0x28000u
#define IST_STACK 0x2c000u
#define HANDLERS 0x60000u /* 16 bytes a vector */
#define USER_CODE_ 0x110000
#define USER_CODE 0x110000u
#define USER_STACK 0x130000u
/* Pages with something about them. */
#define ABSENT 0x150000
#define READ_ONLY 0x151000
#define SUPERVISOR 0x152000
#define NO_EXECUTE 0x153000
#define RESERVED_BIT 0x154000
#define USER_PAGE 0x140000
#define KERNEL_PAGE 0x30000

/* Selectors. */
#define SEL_CODE64 0x08u
#define SEL_DATA 0x10u
#define SEL_CODE32 0x18u
#define SEL_USER32 0x20u
#define SEL_USER_DATA 0x28u
#define SEL_USER64 0x30u
#define SEL_ABSENT 0x38u
#define SEL_CODE16 0x40u
#define SEL_DATA16 0x48u
#define SEL_CONFORMING 0x50u
#define SEL_EXEC_ONLY 0x58u
#define SEL_TSS 0x60u
#define SEL_GATE 0x70u
#define SEL_LDT 0x80u
#define SEL_SMALL 0x90u
#define SEL_DOWN 0x98u
#define SEL_ABSENT_CODE 0xa0u
#define SEL_BAD_SIZE 0xa8u
#define SEL_TASK_GATE 0xb0u
#define SEL_KERNEL_GATE 0xc0u
#define GDT_BYTES 0xd0u

#define STR_(x) #x
#define STR(x) STR_(x)

#define DONE 0x80u	   /* INT 0x80 */
#define GATE_TARGET 0xc0u  /* handler slots that no interrupt uses */
#define SYSCALL_TARGET 0xc1u
#define SYSENTER_TARGET 0xc2u
#define NO_ERROR UINT32_MAX

enum mode { LONG0, LONG3, COMPAT3, PROT0, PROT3, PAGED0, PAGED3, REAL, V86 };

struct bench {
	struct guest *guest;
	struct x86_cpu_state state; /* going in, then coming out */
	enum mode mode;
	uint64_t code;
	enum vcpu_exit why;
};

/* ---- building the guest ---- */

static void write_gdt(struct bench *b, bool long_mode)
{
	const uint64_t gate_target = HANDLERS + GATE_TARGET * 16;
	uint64_t gdt[GDT_BYTES / 8] = {
		[SEL_CODE64 / 8] = UINT64_C(0x00af9b000000ffff),     [SEL_DATA / 8] = UINT64_C(0x00cf93000000ffff),
		[SEL_CODE32 / 8] = UINT64_C(0x00cf9b000000ffff),     [SEL_USER32 / 8] = UINT64_C(0x00cffb000000ffff),
		[SEL_USER_DATA / 8] = UINT64_C(0x00cff3000000ffff),  [SEL_USER64 / 8] = UINT64_C(0x00affb000000ffff),
		[SEL_ABSENT / 8] = UINT64_C(0x00cf73000000ffff),     [SEL_CODE16 / 8] = UINT64_C(0x00009b010000ffff),
		[SEL_DATA16 / 8] = UINT64_C(0x000093010000ffff),     [SEL_CONFORMING / 8] = UINT64_C(0x00cf9e000000ffff),
		[SEL_EXEC_ONLY / 8] = UINT64_C(0x00cff9000000ffff),  [SEL_SMALL / 8] = UINT64_C(0x0040f2140000000f),
		[SEL_DOWN / 8] = UINT64_C(0x0040f70000000fff),	     [SEL_ABSENT_CODE / 8] = UINT64_C(0x00af1b000000ffff),
		[SEL_BAD_SIZE / 8] = UINT64_C(0x00ef9b000000ffff),   [SEL_TASK_GATE / 8] = UINT64_C(0x0000e50000600000),
		[SEL_TSS / 8] = UINT64_C(0x0000890000000088),	     [SEL_LDT / 8] = UINT64_C(0x000082000000000f),
	};

	gdt[SEL_TSS / 8] |= (uint64_t)(long_mode ? TSS64 : TSS32) << 16;
	gdt[SEL_LDT / 8] |= (uint64_t)LDT << 16;
	gdt[SEL_GATE / 8] = (gate_target & 0xffff) | (gate_target & 0xffff0000) << 32 | UINT64_C(0xec00) << 32 |
			    (uint64_t)(long_mode ? SEL_CODE64 : SEL_CODE32) << 16;
	gdt[SEL_KERNEL_GATE / 8] = gdt[SEL_GATE / 8] ^ UINT64_C(0x6000) << 32;
	guest_write(b->guest, GUEST_GDT, gdt, sizeof(gdt));
	guest_write64(b->guest, LDT, 0);
	guest_write64(b->guest, LDT + 8, UINT64_C(0x00cff3000000ffff));
}

static void write_tss(struct bench *b)
{
	uint8_t tss[0x89] = { 0 };

	/* I/O bitmap of ports 0 to 0xff: only 0xe8 is allowed. */
	memset(tss + 0x68, 0xff, sizeof(tss) - 0x68);
	tss[0x68 + 0xe8 / 8] = 0xfe;
	tss[0x66] = 0x68;
	*(uint32_t *)(void *)(tss + 4) = RING0_STACK - 8; /* 64-bit: delivery aligns it */
	*(uint32_t *)(void *)(tss + 0x24) = IST_STACK;
	guest_write(b->guest, TSS64, tss, sizeof(tss));
	*(uint32_t *)(void *)(tss + 4) = RING0_STACK;
	*(uint32_t *)(void *)(tss + 8) = SEL_DATA;
	guest_write(b->guest, TSS32, tss, sizeof(tss));
}

static void write_gate32(struct bench *b, unsigned vector, uint32_t type_byte, uint32_t handler)
{
	guest_write64(b->guest, IDT32 + vector * 8,
		      (handler & 0xffff) | SEL_CODE32 << 16 | (uint64_t)type_byte << 40 | (uint64_t)(handler >> 16) << 48);
}

static void write_gate64(struct bench *b, unsigned vector, uint32_t type_byte, unsigned ist, uint64_t handler)
{
	guest_write64(b->guest, GUEST_IDT + vector * 16,
		      (handler & 0xffff) | SEL_CODE64 << 16 | (uint64_t)ist << 32 | (uint64_t)type_byte << 40 | (handler & 0xffff0000) << 32);
	guest_write64(b->guest, GUEST_IDT + vector * 16 + 8, handler >> 32);
}

static void write_vectors(struct bench *b)
{
	static const uint8_t stop[] = { 0xe6, 0xe1, 0xeb, 0xfe }; /* out %al, $0xe1; jmp . */

	for (unsigned v = 0; v < 256; v++) {
		uint32_t handler = HANDLERS + v * 16, ivt = (HANDLERS >> 4) << 16 | v * 16;
		uint32_t type = v == DONE ? 0xee : 0x8e;

		guest_write(b->guest, handler, stop, sizeof(stop));
		guest_write(b->guest, v * 4, &ivt, sizeof(ivt));
		write_gate32(b, v, type, handler);
		write_gate64(b, v, type, 0, handler);
	}
}

static uint64_t page_flags(uint64_t addr)
{
	switch (addr) {
	case ABSENT:
		return 0;
	case READ_ONLY:
		return 5;
	case SUPERVISOR:
		return 3;
	case NO_EXECUTE:
		return UINT64_C(0x8000000000000007);
	case RESERVED_BIT:
		return UINT64_C(0x0008000000000007);
	default:
		return addr >= 0x100000 ? 7 : 3;
	}
}

/* The first 2 MiB in 4 KiB pages, for long mode and for 32-bit paging. */
static void write_pages(struct bench *b)
{
	guest_write64(b->guest, GUEST_PML4, GUEST_PDPT | 7);
	guest_write64(b->guest, GUEST_PDPT, GUEST_PD | 7);
	guest_write64(b->guest, GUEST_PD, PAGE_TABLE | 7);
	for (uint64_t i = 0; i < 512; i++) {
		uint32_t entry32 = (uint32_t)(i << 12 | (page_flags(i << 12) & 7));

		guest_write64(b->guest, PAGE_TABLE + i * 8, i << 12 | page_flags(i << 12));
		guest_write(b->guest, PT32 + i * 4, &entry32, sizeof(entry32));
	}
	guest_write64(b->guest, PD32, PT32 | 7 | (uint64_t)(0x00400000 | 0x87) << 32); /* second: a 4 MiB page */
}

/* ---- states ---- */

static struct x86_segment flat(unsigned selector, unsigned attr)
{
	return (struct x86_segment){ .limit = UINT32_MAX, .selector = (uint16_t)selector, .attr = (uint16_t)attr };
}

static void set_segments(struct x86_cpu_state *s, unsigned code, unsigned code_attr, unsigned data, unsigned data_attr)
{
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		s->seg[i] = flat(data, data_attr);
	s->seg[X86_CS] = flat(code, code_attr);
}

static void state_long(struct bench *b)
{
	struct x86_cpu_state *s = &b->state;

	guest_state_long(s);
	s->gdt.limit = GDT_BYTES - 1;
	s->tr = (struct x86_segment){ .base = TSS64, .limit = 0x88, .selector = SEL_TSS, .attr = 0x8b };
	s->efer |= X86_EFER_SCE | X86_EFER_NXE;
	s->star = (uint64_t)SEL_USER32 << 48 | (uint64_t)SEL_CODE64 << 32;
	s->lstar = HANDLERS + SYSCALL_TARGET * 16;
	s->sysenter_cs = SEL_CODE64;
	s->sysenter_eip = HANDLERS + SYSENTER_TARGET * 16;
	s->sysenter_esp = RING0_STACK;
	if (b->mode == LONG3)
		set_segments(s, SEL_USER64 | 3, 0xa0fb, SEL_USER_DATA | 3, 0xc0f3);
	else if (b->mode == COMPAT3)
		set_segments(s, SEL_USER32 | 3, 0xc0fb, SEL_USER_DATA | 3, 0xc0f3);
	else
		set_segments(s, SEL_CODE64, 0xa09b, SEL_DATA, 0xc093);
}

static void state_protected(struct bench *b)
{
	struct x86_cpu_state *s = &b->state;

	state_long(b);
	s->efer = 0;
	s->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP;
	s->cr4 = X86_CR4_PSE;
	s->cr3 = PD32;
	s->idt = (struct x86_table){ .base = IDT32, .limit = 0x7ff };
	s->tr = (struct x86_segment){ .base = TSS32, .limit = 0x88, .selector = SEL_TSS, .attr = 0x8b };
	if (b->mode == PROT3 || b->mode == PAGED3)
		set_segments(s, SEL_USER32 | 3, 0xc0fb, SEL_USER_DATA | 3, 0xc0f3);
	else
		set_segments(s, SEL_CODE32, 0xc09b, SEL_DATA, 0xc093);
	if (b->mode == PAGED0 || b->mode == PAGED3)
		s->cr0 |= X86_CR0_PG;
}

static void state_v86(struct bench *b)
{
	const struct x86_segment seg = { .base = GUEST_CODE, .limit = 0xffff, .selector = GUEST_CODE >> 4, .attr = 0xf3 };

	state_protected(b);
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		b->state.seg[i] = seg;
	b->state.rflags |= X86_FLAG_VM;
}

static bool is_user(enum mode mode)
{
	return mode == LONG3 || mode == COMPAT3 || mode == PROT3 || mode == PAGED3;
}

/* Memory and state for a run in a mode; b->code says where the code goes. */
static void bench_prepare(struct bench *b, enum mode mode)
{
	b->mode = mode;
	write_gdt(b, mode <= COMPAT3);
	write_tss(b);
	write_vectors(b);
	write_pages(b);
	if (mode == REAL)
		guest_state_real(&b->state);
	else if (mode == V86)
		state_v86(b);
	else if (mode <= COMPAT3)
		state_long(b);
	else
		state_protected(b);
	b->code = is_user(mode) ? USER_CODE : GUEST_CODE;
	b->state.rip = mode == REAL || mode == V86 ? 0 : b->code;
	if (mode != REAL)
		b->state.gpr[X86_RSP] = is_user(mode) ? USER_STACK : mode == V86 ? 0x8000 : GUEST_STACK;
	b->state.rflags |= X86_FLAG_FIXED;
}

static void on_call(struct guest *guest, uint8_t val)
{
	(void)val;
	guest_break(guest);
}

static struct bench *bench_new(void)
{
	struct bench *b = g_new0(struct bench, 1);

	b->guest = guest_new(&accel_soft_class, 1);
	g_assert_nonnull(b->guest);
	b->guest->on_call = on_call;
	return b;
}

static void bench_free(struct bench *b)
{
	guest_free(b->guest);
	g_free(b);
}
DEFINE_AUTOPTR(bench, bench_free)

/* ---- running, looking ---- */

/* Goes on from b->state until the guest stops in a handler. */
static void bench_go(struct bench *b)
{
	guest_set_state(b->guest, 0, &b->state);
	b->why = guest_run(b->guest);
	b->guest->vm.accel_class->vcpu_get_state(&b->guest->vcpus[0], &b->state);
}

static void bench_run(struct bench *b, const uint8_t *code, size_t len)
{
	guest_write(b->guest, b->code, code, len);
	bench_go(b);
}

/* The vector whose handler the CPU is in, or -1. */
static int vector_of(const struct bench *b)
{
	uint64_t linear = b->state.seg[X86_CS].base + b->state.rip - 2;

	if (b->why != VCPU_EXIT_KICKED || linear < HANDLERS || linear >= HANDLERS + 256 * 16 || linear % 16)
		return -1;
	return (int)((linear - HANDLERS) / 16);
}

static unsigned cpl_of(const struct bench *b)
{
	return b->state.seg[X86_SS].attr >> X86_ATTR_DPL_SHIFT & 3;
}

/* Item i of the handler's frame, from the top of its stack. */
static uint64_t frame(const struct bench *b, unsigned i)
{
	unsigned size = b->mode <= COMPAT3 ? 8 : b->mode == REAL ? 2 : 4;
	uint64_t val = 0, sp = size == 2 ? b->state.gpr[X86_RSP] & 0xffff : b->state.gpr[X86_RSP];

	g_assert_true(memory_read(b->guest->vm.mem, b->state.seg[X86_SS].base + sp + i * size, &val, size));
	return val;
}

static bool has_error_code(unsigned vector)
{
	return vector == X86_EXC_DF || (vector >= X86_EXC_TS && vector <= X86_EXC_PF) || vector == X86_EXC_AC;
}

/* ---- snippets ---- */

/*
 * Guest code in this file's own assembly. HERE marks the instruction a case is about; labels 0 and 7 are taken. Each becomes name_code .. name_end and name_here.
 */
#define HERE "7:\n\t"
#define INT_DONE "int $0x80\n\t"
#define SNIPPET(name, bits, text) \
	__asm__(".pushsection .rodata\n\t.code" #bits "\n" #name "_code:\n0:\n7:\n\t" text "\n" #name "_end:\n" #name \
		"_here:\n\t.long 7b - 0b\n\t.code64\n\t.popsection\n"); \
	extern const uint8_t name##_code[], name##_end[] __attribute__((visibility("hidden"))); \
	extern const uint32_t name##_here __attribute__((visibility("hidden")));

#define RUN(b, name) bench_run(b, name##_code, (size_t)(name##_end - name##_code))

/* ---- a table of single faults and small successes ---- */

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
	X(user_reads_read_only, LONG3, "mov " STR(READ_ONLY) ", %eax; mov $5, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 5) \
	X(kernel_write_read_only, LONG0, HERE "movb $1, " STR(READ_ONLY), X86_EXC_PF, 3, .cr2 = READ_ONLY) \
	X(kernel_write_no_wp, LONG0, "movb $9, " STR(READ_ONLY) "; movzbl " STR(READ_ONLY) ", %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 9, .cr0_off = X86_CR0_WP) \
	X(reserved_bit, LONG0, HERE "mov " STR(RESERVED_BIT) ", %eax", X86_EXC_PF, 9, .cr2 = RESERVED_BIT) \
	X(user_reserved_bit, LONG3, HERE "push " STR(RESERVED_BIT), X86_EXC_PF, 0xd, .cr2 = RESERVED_BIT) \
	X(smap_read, LONG0, HERE "mov " STR(USER_PAGE) ", %eax", X86_EXC_PF, 1, .cr2 = USER_PAGE, .cr4 = X86_CR4_SMAP) \
	X(smap_stac, LONG0, "stac; mov " STR(USER_PAGE) ", %eax; clac\n\t" HERE "mov " STR(USER_PAGE) ", %eax", X86_EXC_PF, 1, \
	  .cr2 = USER_PAGE, .cr4 = X86_CR4_SMAP) \
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
	X(bt_reaches_absent, LONG3, "mov $" STR(0x8000) ", %ecx\n\t" HERE "bt %ecx, " STR(ABSENT - 0x1000), X86_EXC_PF, 4, \
	  .cr2 = ABSENT) \
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
	X(wrgsbase, LONG3, "mov $0x1234, %ecx; wrgsbase %rcx; rdgsbase %rax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0x1234, \
	  .cr4 = X86_CR4_FSGSBASE) \
	X(wrfsbase_not_canonical, LONG3, "mov $0x800000000000, %rcx\n\t" HERE "wrfsbase %rcx", X86_EXC_GP, 0, \
	  .cr4 = X86_CR4_FSGSBASE) \
	X(user_popf, LONG3, "pushq $0x3202; popf; pushf; pop %rax; and $0x3200, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0) \
	X(kernel_popf, LONG0, "pushq $0x3202; popf; pushf; pop %rax; and $0x3200, %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x3200) \
	X(kernel_popf_iopl3_user, LONG3, "pushq $0x0202; popf; pushf; pop %rax; and $0x3200, %eax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x3200, .rflags = X86_FLAG_IOPL) \
	/* ports */ \
	X(port_denied, LONG3, HERE "inb $0x40, %al", X86_EXC_GP, 0) \
	X(port_allowed, LONG3, "xor %eax, %eax; inb $0xe8, %al; and $0xf0, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0x30) \
	X(port_word_denied, LONG3, HERE "inw $0xe8, %ax", X86_EXC_GP, 0) \
	X(port_outside_bitmap, LONG3, "mov $0x100, %edx\n\t" HERE "outb %al, %dx", X86_EXC_GP, 0) \
	X(port_iopl3, LONG3, "xor %eax, %eax; inw $0xe8, %ax; and $0xf0, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0x30, \
	  .rflags = X86_FLAG_IOPL) \
	X(ins_denied, PROT3, "mov $0x40, %edx; mov $" STR(USER_PAGE) ", %edi; mov $2, %ecx\n\t" HERE "rep insb", X86_EXC_GP, 0) \
	X(ins_absent, PAGED3, "mov $0xe8, %edx; mov $" STR(ABSENT) ", %edi\n\t" HERE "insb", X86_EXC_PF, 6, .cr2 = ABSENT) \
	/* undefined, arithmetic */ \
	X(ud2, LONG3, HERE "ud2", X86_EXC_UD, NO_ERROR) \
	X(monitor, LONG0, HERE "monitor", X86_EXC_UD, NO_ERROR) \
	X(rsm, LONG0, HERE "rsm", X86_EXC_UD, NO_ERROR) \
	X(divide_zero, LONG3, "xor %ecx, %ecx\n\t" HERE "div %ecx", X86_EXC_DE, NO_ERROR) \
	X(divide_overflow, LONG3, "mov $2, %edx; mov $2, %ecx\n\t" HERE "div %rcx", X86_EXC_DE, NO_ERROR) \
	X(idiv_overflow, LONG3, "mov $1, %eax; ror $1, %rax; cqo; mov $-1, %rcx\n\t" HERE "idiv %rcx", X86_EXC_DE, NO_ERROR) \
	X(idiv_smallest, LONG3, "mov $1, %eax; ror $1, %rax; cqo; mov $1, %ecx; idiv %rcx; shr $60, %rax\n\t" INT_DONE, DONE, \
	  NO_ERROR, .rax = 8) \
	X(aam_zero, PROT0, HERE "aam $0", X86_EXC_DE, NO_ERROR) \
	X(bound, PROT3, "movl $1, " STR(USER_PAGE) "; movl $4, " STR(USER_PAGE + 4) "; mov $5, %eax\n\t" HERE \
	  "bound %eax, " STR(USER_PAGE), X86_EXC_BR, NO_ERROR) \
	X(bound_inside, PROT3, "movl $1, " STR(USER_PAGE) "; movl $4, " STR(USER_PAGE + 4) "; mov $4, %eax; bound %eax, " \
	  STR(USER_PAGE) "\n\t" INT_DONE, DONE, NO_ERROR, .rax = 4) \
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
	X(pcide_with_low_cr3, LONG0, "mov %cr3, %rax; or $8, %rax; mov %rax, %cr3; mov %cr4, %rax; bts $17, %rax\n\t" HERE \
	  "mov %rax, %cr4", X86_EXC_GP, 0) \
	X(cr3_high, LONG0, "mov %cr3, %rax; bts $52, %rax\n\t" HERE "mov %rax, %cr3", X86_EXC_GP, 0) \
	X(cr3_noflush_without_pcid, LONG0, "mov %cr3, %rax; bts $63, %rax\n\t" HERE "mov %rax, %cr3", X86_EXC_GP, 0) \
	X(cr8_high, LONG0, "mov $16, %eax\n\t" HERE "mov %rax, %cr8", X86_EXC_GP, 0) \
	X(cr8, LONG0, "mov $5, %eax; mov %rax, %cr8; xor %eax, %eax; mov %cr8, %rax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 5) \
	X(cr2, LONG0, "mov $0x123456789, %rax; mov %rax, %cr2; xor %eax, %eax; mov %cr2, %rax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x123456789, .cr2 = 0x123456789) \
	X(lmsw_keeps_pe, PROT0, "xor %eax, %eax; lmsw %ax; mov %cr0, %eax; and $1, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 1) \
	X(ts_and_clts, LONG0, "mov %cr0, %rax; or $8, %eax; mov %rax, %cr0; clts; mov %cr0, %rax; and $8, %eax\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 0) \
	X(efer_lme_while_paging, LONG0, "mov $0xc0000080, %ecx; rdmsr; btr $8, %eax\n\t" HERE "wrmsr", X86_EXC_GP, 0) \
	X(unknown_msr, LONG0, "mov $0x12345, %ecx\n\t" HERE "rdmsr", X86_EXC_GP, 0) \
	X(dr4_with_de, LONG0, HERE "mov %dr4, %rax", X86_EXC_UD, NO_ERROR, .cr4 = X86_CR4_DE) \
	X(dr4_alias, LONG0, "mov %dr4, %rax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0xffff0ff0) \
	X(dr7_high, LONG0, "mov $0x100000000, %rax\n\t" HERE "mov %rax, %dr7", X86_EXC_GP, 0) \
	X(general_detect, LONG0, "mov $0x2000, %eax; mov %rax, %dr7\n\t" HERE "mov %dr0, %rax", X86_EXC_DB, NO_ERROR) \
	/* segment registers */ \
	X(mov_ss_null_user, LONG3, "xor %eax, %eax\n\t" HERE "mov %eax, %ss", X86_EXC_GP, 0) \
	X(mov_ss_null_kernel, LONG0, "xor %eax, %eax; mov %eax, %ss; push %rax; pop %rax; mov $7, %al\n\t" INT_DONE, DONE, \
	  NO_ERROR, .rax = 7) \
	X(mov_ss_null_prot, PROT0, "xor %eax, %eax\n\t" HERE "mov %eax, %ss", X86_EXC_GP, 0) \
	X(mov_ss_wrong_rpl, PROT0, "mov $0x2b, %eax\n\t" HERE "mov %eax, %ss", X86_EXC_GP, 0x28) \
	X(mov_ss_code, PROT0, "mov $0x18, %eax\n\t" HERE "mov %eax, %ss", X86_EXC_GP, 0x18) \
	X(mov_ds_absent, PROT3, "mov $0x3b, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_NP, 0x38) \
	X(mov_ds_privileged, PROT3, "mov $0x10, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0x10) \
	X(mov_ds_exec_only, PROT3, "mov $0x5b, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0x58) \
	X(mov_ds_system, PROT0, "mov $0x60, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0x60) \
	X(mov_ds_outside, PROT0, "mov $0xd0, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0xd0) \
	X(mov_ds_no_ldt, PROT0, "mov $0x0f, %eax\n\t" HERE "mov %eax, %ds", X86_EXC_GP, 0x0c) \
	X(mov_ds_conforming, PROT3, "mov $0x53, %eax; mov %eax, %ds\n\t" HERE "movb $0, %ds:" STR(USER_PAGE), X86_EXC_GP, 0) \
	X(pop_ss_absent, PROT3, "push $0x3b\n\t" HERE "pop %ss", X86_EXC_SS, 0x38) \
	X(use_null_ds, PROT3, "xor %eax, %eax; mov %eax, %ds\n\t" HERE "mov %ds:0, %eax", X86_EXC_GP, 0) \
	X(limit, PROT3, "mov $0x93, %eax; mov %eax, %fs; mov %fs:12, %eax\n\t" HERE "mov %fs:13, %eax", X86_EXC_GP, 0) \
	X(limit_stack, PROT3, "mov $0x93, %eax; mov %eax, %ss; mov $16, %esp; push %eax; mov $2, %esp\n\t" HERE "push %eax", \
	  X86_EXC_SS, 0) \
	X(expand_down, PROT3, "mov $0x9b, %eax; mov %eax, %fs; mov %fs:0x1000, %ecx\n\t" HERE "mov %fs:0xfff, %al", X86_EXC_GP, 0) \
	X(segment_base, PROT3, "movl $77, " STR(USER_PAGE + 4) "; mov $0x93, %eax; mov %eax, %gs; mov %gs:4, %eax\n\t" INT_DONE, \
	  DONE, NO_ERROR, .rax = 77) \
	X(les, PROT3, "movl $0x44, " STR(USER_PAGE) "; movw $0x93, " STR(USER_PAGE + 4) "; les " STR(USER_PAGE) ", %eax;" \
	  "mov %es, %ecx; shl $8, %ecx; or %ecx, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0x9344) \
	X(lldt_and_use, PROT0, "mov $0x80, %eax; lldt %ax; mov $0xf, %ecx; mov %ecx, %es; sldt %eax\n\t" INT_DONE, DONE, \
	  NO_ERROR, .rax = 0x80) \
	X(lldt_wrong_type, PROT0, "mov $0x60, %eax\n\t" HERE "lldt %ax", X86_EXC_GP, 0x60) \
	X(ltr_null, LONG0, "xor %eax, %eax\n\t" HERE "ltr %ax", X86_EXC_GP, 0) \
	X(ltr_twice, LONG0, "mov $0x60, %eax; ltr %ax\n\t" HERE "ltr %ax", X86_EXC_GP, 0x60) \
	X(lldt_long, LONG0, "mov $0x80, %eax; lldt %ax; xor %eax, %eax; sldt %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0x80) \
	X(lgdt_not_canonical, LONG0, "mov $0x800000000000, %rax; mov %rax, " STR(KERNEL_PAGE + 2) "\n\t" HERE \
	  "lgdt " STR(KERNEL_PAGE), X86_EXC_GP, 0) \
	X(lar, LONG3, "mov $0x33, %ecx; lar %ecx, %eax; jz 1f; xor %eax, %eax; 1:\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0xaffb00) \
	X(lar_hidden, LONG3, "mov $0x10, %ecx; mov $1, %eax; lar %ecx, %eax; jnz 1f; xor %eax, %eax; 1:\n\t" INT_DONE, DONE, \
	  NO_ERROR, .rax = 1) \
	X(lsl, LONG3, "mov $0x93, %ecx; lsl %ecx, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 15) \
	X(lsl_pages, LONG3, "mov $0x2b, %ecx; lsl %ecx, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0xffffffff) \
	X(verr_verw, LONG3, "xor %eax, %eax; mov $0x2b, %ecx; verw %cx; setz %al; mov $0x5b, %ecx; verr %cx; setz %ah\n\t" \
	  INT_DONE, DONE, NO_ERROR, .rax = 1) \
	X(arpl, PROT3, "mov $0x10, %eax; mov $0x13, %ecx; arpl %cx, %ax; jz 1f; xor %eax, %eax; 1:\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x13) \
	X(lar_real, REAL, HERE "lar %ax, %ax", X86_EXC_UD, NO_ERROR) \
	X(sldt_real, REAL, HERE "sldt %ax", X86_EXC_UD, NO_ERROR) \
	/* far transfers */ \
	X(jmp_data, PROT0, HERE "ljmp $0x10, $0", X86_EXC_GP, 0x10) \
	X(jmp_null, PROT0, HERE "ljmp $0, $0", X86_EXC_GP, 0) \
	X(jmp_absent, LONG0, "movl $0, " STR(KERNEL_PAGE) "; movw $0xa0, " STR(KERNEL_PAGE + 4) "\n\t" HERE \
	  "ljmp *" STR(KERNEL_PAGE), X86_EXC_NP, 0xa0) \
	X(jmp_bad_size, LONG0, "movl $0, " STR(KERNEL_PAGE) "; movw $0xa8, " STR(KERNEL_PAGE + 4) "\n\t" HERE \
	  "ljmp *" STR(KERNEL_PAGE), X86_EXC_GP, 0xa8) \
	X(jmp_inward, PROT3, HERE "ljmp $0x18, $0", X86_EXC_GP, 0x18) \
	X(jmp_tss, PROT0, HERE "ljmp $0x60, $0", X86_EXC_GP, 0x60) \
	X(jmp_task_gate, PROT0, HERE "ljmp $0xb0, $0", X86_EXC_GP, 0xb0) \
	X(jmp_limit, PROT0, HERE "ljmp $0x40, $0x12345", X86_EXC_GP, 0) \
	X(jmp_gate_inward, PROT3, HERE "ljmp $0x73, $0", X86_EXC_GP, 0x18) \
	X(call_kernel_gate, PROT3, HERE "lcall $0xc3, $0", X86_EXC_GP, 0xc0) \
	X(call_conforming, PROT3, "lcall $0x50, $(1f - 0b + " STR(USER_CODE_) "); 1: mov %cs, %eax\n\t" INT_DONE, DONE, NO_ERROR, .rax = 0x53) \
	X(ret_inward, PROT3, "push $0x18; push $0\n\t" HERE "lret", X86_EXC_GP, 0x18) \
	X(ret_null, PROT3, "push $0; push $0\n\t" HERE "lret", X86_EXC_GP, 0) \
	X(ret_outward_bad_ss, PROT0, "push $0x10; push $0; push $0x23; push $0\n\t" HERE "lret", X86_EXC_GP, 0x10) \
	X(iret_nested, PROT0, "pushf; orl $0x4000, (%esp); popf\n\t" HERE "iret", X86_EXC_GP, 0) \
	X(iret_null_ss, LONG0, "push $0; push $0; push $2; push $0x33; push $0\n\t" HERE "iretq", X86_EXC_GP, 0) \
	X(iret_not_canonical, LONG0, "mov %rsp, %rbx; push $0x10; push %rbx; push $2; push $8; mov $0x800000000000, %rax;" \
	  "push %rax\n\t" HERE "iretq", X86_EXC_GP, 0) \
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
	X(v86_segment, V86, "mov $0x1400, %ax; mov %ax, %es; movw $0x77, %es:8; mov %es:8, %ax\n\t" INT_DONE, DONE, NO_ERROR, \
	  .rax = 0x77, .rflags = X86_FLAG_IOPL) \
	X(v86_port, V86, HERE "inb $0x40, %al", X86_EXC_GP, 0, .rflags = X86_FLAG_IOPL) \
	/* real mode */ \
	X(real_divide, REAL, "xor %cx, %cx\n\t" HERE "div %cx", X86_EXC_DE, NO_ERROR) \
	X(real_limit, REAL, "mov $0xffff, %bx\n\t" HERE "mov (%bx), %ax", X86_EXC_GP, NO_ERROR) \
	X(real_far_call, REAL, "lcall $0x1000, $(2f - 0b); mov %cs, %bx; add %bx, %ax; jmp 3f; 2: mov $5, %ax; lret; 3:\n\t" \
	  INT_DONE, DONE, NO_ERROR, .rax = 0x1005)

#define CASE_CODE(name, mode_, text, ...) SNIPPET_EXPAND(name, BITS_##mode_, text)
FAULT_CASES(CASE_CODE)

#define CASE_ROW(name_, mode_, text, vector_, error_, ...) \
	{ \
		.name = #name_, .mode = mode_, .code = name_##_code, .end = name_##_end, .here = &name_##_here, .vector = vector_, \
		.error = error_, ##__VA_ARGS__ \
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
		complain("%s: vector %d instead of %u (exit %d, rip %#" PRIx64 ", error %#" PRIx64 ")", c->name, vector, c->vector,
				   (int)b->why, b->state.rip, frame(b, 0));
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
	g_assert_cmphex(frame(b, 2), ==, X86_FLAG_IF | X86_FLAG_DF | X86_FLAG_NT | X86_FLAG_CF | X86_FLAG_RF | X86_FLAG_FIXED);
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

/* A gate that is not present turns a contributory fault or a page fault into #DF, and a benign one into #NP with EXT. */
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
		{ 0, X86_EXC_TS }, { 0xd0, X86_EXC_TS }, { SEL_USER_DATA | 3, X86_EXC_TS }, { SEL_CODE32, X86_EXC_TS }, { SEL_DATA | 1, X86_EXC_TS },
	};
	autoptr(bench) b = bench_new();

	/* The gate of the second fault leads to a conforming segment: no second look at the TSS. */
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		bench_prepare(b, PROT3);
		guest_write(b->guest, TSS32 + 8, &cases[i].selector, 2);
		guest_write64(b->guest, IDT32 + cases[i].vector * 8, (HANDLERS + cases[i].vector * 16) % 0x10000 | SEL_CONFORMING << 16 |
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

SNIPPET(ret_outward, 32, "mov $0x10, %eax; mov %eax, %fs; mov $0x2b, %eax; mov %eax, %gs; push $0x2b; push $" STR(0x120000) ";"
	"pushl $99; push $0x23; push $" STR(USER_CODE_) "; lret $4")

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
/* Real -> protected (16, 32 bits) -> PAE -> long -> 64 bits -> compatibility -> protected -> real, leaving a mark in EBP at each station. */
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

SNIPPET(unreal, 16, "cli; lgdtl %cs:(8f - 0b); mov %cr0, %eax; or $1, %al; mov %eax, %cr0; mov $0x10, %bx; mov %bx, %fs;"
	"and $0xfe, %al; mov %eax, %cr0; xor %bx, %bx; mov %bx, %fs; mov $0x200000, %ebx; movl $0x1234567, %fs:(%ebx);"
	"mov %fs:(%ebx), %eax; int $0x80; .balign 4; 8: .word 0xcf; .long 0x7000")

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
SNIPPET(touch, 64, "mov " STR(USER_PAGE) ", %eax; mov " STR(READ_ONLY) ", %eax; movb $1, " STR(USER_PAGE + 0x1000) "; int $0x80")
/* Remaps KERNEL_PAGE to the page after it and reads through three kinds of flush. Pages are filled with 1, 2, 3. */
SNIPPET(remap, 64,
	"xor %ebx, %ebx; mov " STR(KERNEL_PAGE) ", %bl\n\t"
	"mov $0x31003, %eax; mov %rax, " PTE(KERNEL_PAGE) "; invlpg " STR(KERNEL_PAGE) "; mov " STR(KERNEL_PAGE) ", %bh\n\t"
	"mov $0x32003, %eax; mov %rax, " PTE(KERNEL_PAGE) "; mov %cr3, %rax; mov %rax, %cr3; xor %eax, %eax\n\t"
	"mov " STR(KERNEL_PAGE) ", %al; shl $16, %eax; or %ebx, %eax; int $0x80")
/* A global page survives a load of CR3 and not a change of CR4.PGE. */
SNIPPET(global, 64,
	"mov %cr4, %rdx; or $0x80, %edx; mov %rdx, %cr4\n\t"
	"mov $0x30103, %eax; mov %rax, " PTE(KERNEL_PAGE) "; xor %ebx, %ebx; mov " STR(KERNEL_PAGE) ", %bl\n\t"
	"mov $0x31103, %eax; mov %rax, " PTE(KERNEL_PAGE) "; mov %cr3, %rax; mov %rax, %cr3; mov " STR(KERNEL_PAGE) ", %bh\n\t"
	"and $~0x80, %edx; mov %rdx, %cr4; xor %eax, %eax; mov " STR(KERNEL_PAGE) ", %al; shl $16, %eax; or %ebx, %eax; int $0x80")
SNIPPET(invpcid, 64,
	"mov " STR(KERNEL_PAGE) ", %bl; mov $0x31003, %eax; mov %rax, " PTE(KERNEL_PAGE) "\n\t"
	"push $" STR(KERNEL_PAGE) "; push $0; xor %eax, %eax; invpcid (%rsp), %rax; xor %ebx, %ebx; mov " STR(KERNEL_PAGE) ", %bl\n\t"
	"mov $0x32003, %eax; mov %rax, " PTE(KERNEL_PAGE) "; mov $3, %eax; invpcid (%rsp), %rax; mov " STR(KERNEL_PAGE) ", %bh\n\t"
	"mov %ebx, %eax; int $0x80; mov $4, %eax\n\t" HERE "invpcid (%rsp), %rax")
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
	g_assert_cmphex(guest_read64(b->guest, PAGE_TABLE + ((USER_PAGE + 0x1000) >> 12) * 8), ==, (USER_PAGE + 0x1000) | 0x67);
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

/* Patches the immediate of an instruction of the same block, then one already executed, then copies a routine over another. */
SNIPPET(patch, 64,
	"xor %ebx, %ebx; movb $7, 1f+1(%rip); 1: mov $1, %al; mov %al, %bl\n\t"
	"movb $9, 1b+1(%rip); mov $2, %ecx\n\t"
	"2: lea 3f(%rip), %rdx; call *%rdx; movb $5, 1(%rdx); dec %ecx; jnz 2b; mov %al, %bh\n\t"
	"lea 4f(%rip), %rsi; lea 3f(%rip), %rdi; mov $6, %ecx; rep movsb; call 3f; shl $16, %eax; or %ebx, %eax; int $0x80\n\t"
	"3: mov $4, %al; ret; nop; nop; nop; 4: mov $0x33, %eax; ret")
/* Code of the page is reached at two linear addresses; it is written through one and run through the other. */
SNIPPET(alias, 64,
	"mov $0x30007, %eax; mov %rax, " PTE(0x141000) "; movl $0xc301b0, 0x30000; mov $0x141000, %edx; call *%rdx; mov %al, %bl\n\t"
	"movb $2, 0x30001; call *%rdx; mov %al, %bh; movzwl %bx, %eax; int $0x80")
/* An instruction across two pages, of which the second changes. */
SNIPPET(crossing, 64,
	"mov $0x30ffe, %edx; movl $0x11b8, (%rdx); movl $0xc300, 3(%rdx); movw $0, 4(%rdx); movb $0xc3, 5(%rdx); call *%rdx; mov %eax, %ebx\n\t"
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

SNIPPET(sti_shadow, 64, "mov $0x832, %ecx; mov $0x10000, %eax; xor %edx, %edx; wrmsr; mov $0x80f, %ecx; mov $0x1ff, %eax; wrmsr\n\t"
	"mov $0x830, %ecx; mov $0x44041, %eax; wrmsr\n\t" /* self IPI, vector 0x41 */
	"inc %ebx; inc %ebx; sti; inc %ebx\n\t" HERE "inc %ebx; inc %ebx; int $0x80")
SNIPPET(ss_shadow, 64, "mov %ss, %esi; mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr; mov $0x830, %ecx; mov $0x44041, %eax\n\t"
	"wrmsr; pushf; orl $0x200, (%rsp); popf\n\t" HERE "mov %esi, %ss; inc %ebx; int $0x80")
SNIPPET(priority, 64, "mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr; mov $4, %eax; mov %rax, %cr8; mov $0x830, %ecx\n\t"
	"mov $0x44041, %eax; wrmsr; sti; nop; nop; inc %ebx; xor %eax, %eax; mov %rax, %cr8\n\t" HERE "inc %ebx; int $0x80")
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
	g_test_add_func("/cpu/system/cases", test_cases);
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
