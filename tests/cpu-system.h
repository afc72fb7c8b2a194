/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_CPU_SYSTEM_H
#define LODGE_TESTS_CPU_SYSTEM_H

/*
 * Guests of a few instructions that look at the system side of the software CPU, in every mode it has.
 *
 * Every vector's handler is one OUT that makes vcpu_run() return, so the host looks at the CPU in its first moment
 * inside the handler: registers, privilege, and the frame on the handler's stack. A guest that gets through ends with
 * INT 0x80, whose gate is open to everybody. Header-only, for one test program each.
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

static inline void write_gdt(struct bench *b, bool long_mode)
{
	const uint64_t gate_target = HANDLERS + GATE_TARGET * 16;
	uint64_t gdt[GDT_BYTES / 8] = {
		[SEL_CODE64 / 8] = UINT64_C(0x00af9b000000ffff),
		[SEL_DATA / 8] = UINT64_C(0x00cf93000000ffff),
		[SEL_CODE32 / 8] = UINT64_C(0x00cf9b000000ffff),
		[SEL_USER32 / 8] = UINT64_C(0x00cffb000000ffff),
		[SEL_USER_DATA / 8] = UINT64_C(0x00cff3000000ffff),
		[SEL_USER64 / 8] = UINT64_C(0x00affb000000ffff),
		[SEL_ABSENT / 8] = UINT64_C(0x00cf73000000ffff),
		[SEL_CODE16 / 8] = UINT64_C(0x00009b010000ffff),
		[SEL_DATA16 / 8] = UINT64_C(0x000093010000ffff),
		[SEL_CONFORMING / 8] = UINT64_C(0x00cf9e000000ffff),
		[SEL_EXEC_ONLY / 8] = UINT64_C(0x00cff9000000ffff),
		[SEL_SMALL / 8] = UINT64_C(0x0040f2140000000f),
		[SEL_DOWN / 8] = UINT64_C(0x0040f70000000fff),
		[SEL_ABSENT_CODE / 8] = UINT64_C(0x00af1b000000ffff),
		[SEL_BAD_SIZE / 8] = UINT64_C(0x00ef9b000000ffff),
		[SEL_TASK_GATE / 8] = UINT64_C(0x0000e50000600000),
		[SEL_TSS / 8] = UINT64_C(0x0000890000000088),
		[SEL_LDT / 8] = UINT64_C(0x000082000000000f),
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

static inline void write_tss(struct bench *b)
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

static inline void write_gate32(struct bench *b, unsigned vector, uint32_t type_byte, uint32_t handler)
{
	guest_write64(b->guest, IDT32 + vector * 8,
		      (handler & 0xffff) | SEL_CODE32 << 16 | (uint64_t)type_byte << 40 |
			      (uint64_t)(handler >> 16) << 48);
}

static inline void write_gate64(struct bench *b, unsigned vector, uint32_t type_byte, unsigned ist, uint64_t handler)
{
	guest_write64(b->guest, GUEST_IDT + vector * 16,
		      (handler & 0xffff) | SEL_CODE64 << 16 | (uint64_t)ist << 32 | (uint64_t)type_byte << 40 |
			      (handler & 0xffff0000) << 32);
	guest_write64(b->guest, GUEST_IDT + vector * 16 + 8, handler >> 32);
}

static inline void write_vectors(struct bench *b)
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
static inline void write_pages(struct bench *b)
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

static inline void set_segments(struct x86_cpu_state *s, unsigned code, unsigned code_attr, unsigned data,
				unsigned data_attr)
{
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		s->seg[i] = flat(data, data_attr);
	s->seg[X86_CS] = flat(code, code_attr);
}

static inline void state_long(struct bench *b)
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

static inline void state_protected(struct bench *b)
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

static inline void state_v86(struct bench *b)
{
	const struct x86_segment seg = {
		.base = GUEST_CODE, .limit = 0xffff, .selector = GUEST_CODE >> 4, .attr = 0xf3
	};

	state_protected(b);
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		b->state.seg[i] = seg;
	b->state.rflags |= X86_FLAG_VM;
}

static inline bool is_user(enum mode mode)
{
	return mode == LONG3 || mode == COMPAT3 || mode == PROT3 || mode == PAGED3;
}

/* Memory and state for a run in a mode; b->code says where the code goes. */
static inline void bench_prepare(struct bench *b, enum mode mode)
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

static inline void on_call(struct guest *guest, uint8_t val)
{
	(void)val;
	guest_break(guest);
}

static inline struct bench *bench_new(void)
{
	struct bench *b = g_new0(struct bench, 1);

	b->guest = guest_new(&accel_soft_class, 1);
	g_assert_nonnull(b->guest);
	b->guest->on_call = on_call;
	return b;
}

static inline void bench_free(struct bench *b)
{
	guest_free(b->guest);
	g_free(b);
}
DEFINE_AUTOPTR(bench, bench_free)

/* ---- running, looking ---- */

/* Goes on from b->state until the guest stops in a handler. */
static inline void bench_go(struct bench *b)
{
	guest_set_state(b->guest, 0, &b->state);
	b->why = guest_run(b->guest);
	b->guest->vm.accel_class->vcpu_get_state(&b->guest->vcpus[0], &b->state);
}

static inline void bench_run(struct bench *b, const uint8_t *code, size_t len)
{
	guest_write(b->guest, b->code, code, len);
	bench_go(b);
}

/* The vector whose handler the CPU is in, or -1. */
static inline int vector_of(const struct bench *b)
{
	uint64_t linear = b->state.seg[X86_CS].base + b->state.rip - 2;

	if (b->why != VCPU_EXIT_KICKED || linear < HANDLERS || linear >= HANDLERS + 256 * 16 || linear % 16)
		return -1;
	return (int)((linear - HANDLERS) / 16);
}

static inline unsigned cpl_of(const struct bench *b)
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

static inline bool has_error_code(unsigned vector)
{
	return vector == X86_EXC_DF || (vector >= X86_EXC_TS && vector <= X86_EXC_PF) || vector == X86_EXC_AC;
}

/* ---- snippets ---- */

/*
 * Guest code in this file's own assembly. HERE marks the instruction a case is about; labels 0 and 7 are taken. Each
 * becomes name_code .. name_end and name_here.
 */
#define HERE "7:\n\t"
#define INT_DONE "int $0x80\n\t"
#define SNIPPET(name, bits, text) \
	__asm__(".pushsection .rodata\n\t.code" #bits "\n" #name "_code:\n0:\n7:\n\t" text "\n" #name "_end:\n" #name \
		"_here:\n\t.long 7b - 0b\n\t.code64\n\t.popsection\n"); \
	extern const uint8_t name##_code[], name##_end[] __attribute__((visibility("hidden"))); \
	extern const uint32_t name##_here __attribute__((visibility("hidden")));

#define RUN(b, name) bench_run(b, name##_code, (size_t)(name##_end - name##_code))

#endif
