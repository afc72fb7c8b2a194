/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_STATE_GUEST_H
#define LODGE_TESTS_STATE_GUEST_H

#include <glib.h>
#include <stdint.h>

/*
 * A guest for tests/test-machine-state.c: a small interpreter in assembly, entered through PVH in 32-bit protected
 * mode, and its program, a table in guest memory that the test writes. So what it does with the machine is written in
 * C, and its whole state is RAM, registers and devices like that of any guest.
 *
 *   0x9000     the second processor's code: counts at 0x8000 for ever
 *   0x100000   the interpreter
 *   0x110000   the program
 *   0x120000   counters of interrupts by vector, 4 bytes each
 *   0x121000   IDT
 *   0x130000   the disk's ring and buffers
 *
 * A wait that is never over hangs the guest, and so the test; anything that is wrong makes it say '!'.
 */
#define STATE_AP_CODE 0x9000u
#define STATE_AP_COUNTER 0x8000u
#define STATE_GUEST_BASE 0x100000u
#define STATE_PROGRAM 0x110000u
#define STATE_COUNTERS 0x120000u
#define STATE_RING 0x130000u

/* The numbers are used in the assembly below. */
enum state_op_kind {
	STATE_OUT8 = 0,	      /* port, value */
	STATE_OUT16 = 1,      /* port, value */
	STATE_WRITE8 = 2,     /* address, value */
	STATE_WRITE16 = 3,    /* address, value */
	STATE_WRITE32 = 4,    /* address, value */
	STATE_UNTIL = 5,      /* address, mask, value: waits until they agree */
	STATE_SAY = 6,	      /* character */
	STATE_TICKS = 7,      /* vector, n: sleeps for n more interrupts */
	STATE_INTERRUPTS = 8, /* 1: on, 0: off */
	STATE_CHANGES = 9,    /* address: waits until it changes */
	STATE_EQUALS = 10,    /* address, value: or '!' */
	STATE_END = 11,	      /* off, for good */
};

struct state_op {
	uint32_t kind, where, a, b;
};

/* Where the disk's registers are. */
struct state_disk {
	uint32_t config, registers, msix, notify, msix_control;
};

extern const uint8_t state_guest[] __attribute__((visibility("hidden")));
extern const uint8_t state_guest_end[] __attribute__((visibility("hidden")));
extern const uint8_t state_guest_ap[] __attribute__((visibility("hidden")));
extern const uint8_t state_guest_ap_end[] __attribute__((visibility("hidden")));

/* Labels as physical addresses: the code is linked wherever the test program is, and runs at STATE_GUEST_BASE. */
/* clang-format off */
__asm__(".pushsection .rodata\n"
	"state_guest:\n"
	".code32\n"
	"	cld\n"
	"	movl $0x10f000, %esp\n"
	/* the IDT: 256 gates, of which the exceptions lead to complain and the others to one of the stubs */
	"	movl $0x121000, %edi\n"
	"	xorl %ecx, %ecx\n"
	"1:	movl $(0x100000 + complain - state_guest), %eax\n"
	"	cmpl $0x20, %ecx\n"
	"	jb 2f\n"
	"	leal -0x20(%ecx), %eax\n"
	"	shll $4, %eax\n"
	"	addl $(0x100000 + stubs - state_guest), %eax\n"
	"2:	movw %ax, (%edi)\n"
	"	movw %cs, 2(%edi)\n"
	"	movw $0x8e00, 4(%edi)\n"
	"	shrl $16, %eax\n"
	"	movw %ax, 6(%edi)\n"
	"	addl $8, %edi\n"
	"	incl %ecx\n"
	"	cmpl $0x60, %ecx\n"
	"	jb 1b\n"
	"	pushl $0x121000\n"
	"	pushw $0x2ff\n"
	"	lidt (%esp)\n"
	"	movl $0x110000, %esi\n"
	/* esi: the next operation; eax, ecx, edx: its where, a, b */
	"next:	movl (%esi), %ebx\n"
	"	movl 4(%esi), %edx\n"
	"	movl 8(%esi), %eax\n"
	"	movl 12(%esi), %ecx\n"
	"	addl $16, %esi\n"
	"	movl (0x100000 + operations - state_guest)(,%ebx,4), %ebx\n"
	"	addl $0x100000, %ebx\n"
	"	jmp *%ebx\n"
	"operations:\n"
	"	.long op_out8 - state_guest, op_out16 - state_guest, op_write8 - state_guest\n"
	"	.long op_write16 - state_guest, op_write32 - state_guest, op_until - state_guest\n"
	"	.long op_say - state_guest, op_ticks - state_guest, op_interrupts - state_guest\n"
	"	.long op_changes - state_guest, op_equals - state_guest, op_end - state_guest\n"
	"op_out8: outb %al, %dx\n	jmp next\n"
	"op_out16: outw %ax, %dx\n	jmp next\n"
	"op_write8: movb %al, (%edx)\n	jmp next\n"
	"op_write16: movw %ax, (%edx)\n	jmp next\n"
	"op_write32: movl %eax, (%edx)\n	jmp next\n"
	"op_until: movl (%edx), %ebx\n"
	"	andl %eax, %ebx\n"
	"	cmpl %ecx, %ebx\n"
	"	je next\n"
	"	pause\n"
	"	jmp op_until\n"
	"op_say: movl %edx, %eax\n"
	"	movw $0x3f8, %dx\n"
	"	outb %al, %dx\n"
	"	jmp next\n"
	"op_ticks: shll $2, %edx\n"
	"	addl $0x120000, %edx\n"
	"	addl (%edx), %eax\n"
	"1:	cli\n"
	"	cmpl %eax, (%edx)\n"
	"	jae 2f\n"
	"	sti\n"
	"	hlt\n"
	"	jmp 1b\n"
	"2:	sti\n"
	"	jmp next\n"
	"op_interrupts: cli\n"
	"	testl %edx, %edx\n"
	"	je next\n"
	"	sti\n"
	"	jmp next\n"
	"op_changes: movl (%edx), %ebx\n"
	"1:	pause\n"
	"	cmpl %ebx, (%edx)\n"
	"	je 1b\n"
	"	jmp next\n"
	"op_equals: cmpl %eax, (%edx)\n"
	"	je next\n"
	"complain: movb $'!', %al\n"
	"	movw $0x3f8, %dx\n"
	"	outb %al, %dx\n"
	"op_end: cli\n"
	"	hlt\n"
	"	jmp op_end\n"
	/* interrupts: vectors 0x20 to 0x2f come from the PIC, the rest through the local APIC */
	"	.balign 16\n"
	"stubs:\n"
	"	.set vector, 0x20\n"
	"	.rept 0x40\n"
	"	.balign 16\n"
	"	pushl $vector\n"
	"	jmp interrupt\n"
	"	.set vector, vector + 1\n"
	"	.endr\n"
	"interrupt: pushal\n"
	"	movl 32(%esp), %ebx\n"
	"	cmpl $0x28, %ebx\n"
	"	jne 1f\n"
	"	movb $0x0c, %al\n" /* the clock asks no more until its register C has been read */
	"	outb %al, $0x70\n"
	"	inb $0x71, %al\n"
	"1:	incl 0x120000(,%ebx,4)\n"
	"	cmpl $0x30, %ebx\n"
	"	jae 3f\n"
	"	movb $0x20, %al\n"
	"	cmpl $0x28, %ebx\n"
	"	jb 2f\n"
	"	outb %al, $0xa0\n"
	"2:	outb %al, $0x20\n"
	"	jmp 4f\n"
	"3:	movl $0, 0xfee000b0\n"
	"4:	popal\n"
	"	addl $4, %esp\n"
	"	iretl\n"
	"state_guest_end:\n"
	/* real mode, at 0900:0000 */
	"state_guest_ap:\n"
	".code16\n"
	"	movw $0x800, %ax\n"
	"	movw %ax, %ds\n"
	"1:	lock incl 0\n"
	"	pause\n"
	"	jmp 1b\n"
	"state_guest_ap_end:\n"
	".code64\n"
	".popsection\n");
/* clang-format on */

#define STATE_ROUNDS 4u
/* One letter a round when the timers have all ticked, one with a request on its way to the disk. */
#define STATE_GUEST_SAYS "SaAbBcCdDok"

#define VECTOR_PIT 0x20u
#define VECTOR_RTC 0x28u
#define VECTOR_APIC_TIMER 0x40u
#define VECTOR_HPET 0x44u
#define VECTOR_DISK 0x50u

static inline void state_add(GArray *program, enum state_op_kind kind, uint32_t where, uint32_t a, uint32_t b)
{
	const struct state_op op = { kind, where, a, b };

	g_array_append_val(program, op);
}

/* Both PICs from vector 0x20 on, with the timer, the cascade and the clock let through. */
static inline void state_add_pic(GArray *program)
{
	static const uint8_t writes[][2] = { { 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, 0x20 }, { 0xa1, 0x28 },
					     { 0x21, 0x04 }, { 0xa1, 0x02 }, { 0x21, 0x01 }, { 0xa1, 0x01 },
					     { 0x21, 0xfa }, { 0xa1, 0xfe } };

	for (size_t i = 0; i < G_N_ELEMENTS(writes); i++)
		state_add(program, STATE_OUT8, writes[i][0], writes[i][1], 0);
}

static inline void state_add_timers(GArray *program)
{
	/* PIT: 500 Hz */
	state_add(program, STATE_OUT8, 0x43, 0x34, 0);
	state_add(program, STATE_OUT8, 0x40, 2386 & 0xff, 0);
	state_add(program, STATE_OUT8, 0x40, 2386 >> 8, 0);
	/* RTC: 512 Hz, periodic interrupt, 24 hours */
	state_add(program, STATE_OUT8, 0x70, 0x0a, 0);
	state_add(program, STATE_OUT8, 0x71, 0x27, 0);
	state_add(program, STATE_OUT8, 0x70, 0x0b, 0);
	state_add(program, STATE_OUT8, 0x71, 0x42, 0);
	/* local APIC: on, timer every 2 ms */
	state_add(program, STATE_WRITE32, 0xfee000f0, 0x1ff, 0);
	state_add(program, STATE_WRITE32, 0xfee003e0, 0xb, 0);
	state_add(program, STATE_WRITE32, 0xfee00320, 0x20000 | VECTOR_APIC_TIMER, 0);
	state_add(program, STATE_WRITE32, 0xfee00380, 2000000, 0);
	/* HPET: timer 0 every 2 ms, through pin 20 of the I/O APIC */
	state_add(program, STATE_WRITE32, 0xfec00000, 0x10 + 2 * 20, 0);
	state_add(program, STATE_WRITE32, 0xfec00010, VECTOR_HPET, 0);
	state_add(program, STATE_WRITE32, 0xfec00000, 0x11 + 2 * 20, 0);
	state_add(program, STATE_WRITE32, 0xfec00010, 0, 0);
	state_add(program, STATE_WRITE32, 0xfed00100, 0x4 | 0x8 | 0x40 | 20 << 9, 0);
	state_add(program, STATE_WRITE32, 0xfed00108, 200000, 0);
	state_add(program, STATE_WRITE32, 0xfed00108, 200000, 0);
	state_add(program, STATE_WRITE32, 0xfed00010, 1, 0);
}

static inline void state_add_second_cpu(GArray *program)
{
	state_add(program, STATE_WRITE32, 0xfee00310, 1 << 24, 0);
	state_add(program, STATE_WRITE32, 0xfee00300, 0x4500, 0);
	state_add(program, STATE_WRITE32, 0xfee00300, 0x4600 | STATE_AP_CODE >> 12, 0);
	state_add(program, STATE_CHANGES, STATE_AP_COUNTER, 0, 0);
}

#define STATE_DESC STATE_RING
#define STATE_AVAIL (STATE_RING + 0x1000)
#define STATE_USED (STATE_RING + 0x2000)
#define STATE_HEADER (STATE_RING + 0x3000)
#define STATE_STATUS (STATE_RING + 0x3800)
#define STATE_DATA (STATE_RING + 0x4000)

static inline void state_add_write64(GArray *program, uint32_t where, uint32_t val)
{
	state_add(program, STATE_WRITE32, where, val, 0);
	state_add(program, STATE_WRITE32, where + 4, 0, 0);
}

/* virtio sections 3.1.1 and 4.1.4.3; one queue of 8, one vector. */
static inline void state_add_disk(GArray *program, const struct state_disk *disk)
{
	uint32_t regs = disk->registers;

	state_add(program, STATE_WRITE16, disk->config + 4, 0x406, 0);
	state_add(program, STATE_WRITE32, disk->msix + 0x10, 0xfee00000, 0);
	state_add(program, STATE_WRITE32, disk->msix + 0x14, 0, 0);
	state_add(program, STATE_WRITE32, disk->msix + 0x18, VECTOR_DISK, 0);
	state_add(program, STATE_WRITE32, disk->msix + 0x1c, 0, 0);
	state_add(program, STATE_WRITE16, disk->msix_control, 0x8000, 0);
	state_add(program, STATE_WRITE8, regs + 0x14, 0, 0);
	state_add(program, STATE_WRITE8, regs + 0x14, 0x3, 0);
	state_add(program, STATE_WRITE32, regs + 0x08, 1, 0);
	state_add(program, STATE_WRITE32, regs + 0x0c, 1, 0);
	state_add(program, STATE_WRITE8, regs + 0x14, 0xb, 0);
	state_add(program, STATE_WRITE16, regs + 0x16, 0, 0);
	state_add(program, STATE_WRITE16, regs + 0x18, 8, 0);
	state_add(program, STATE_WRITE16, regs + 0x1a, 1, 0);
	state_add_write64(program, regs + 0x20, STATE_DESC);
	state_add_write64(program, regs + 0x28, STATE_AVAIL);
	state_add_write64(program, regs + 0x30, STATE_USED);
	state_add(program, STATE_WRITE16, regs + 0x1c, 1, 0);
	state_add(program, STATE_WRITE8, regs + 0x14, 0xf, 0);
}

static inline void state_add_desc(GArray *program, unsigned i, uint32_t addr, uint32_t len, uint32_t flags)
{
	state_add_write64(program, STATE_DESC + 16 * i, addr);
	state_add(program, STATE_WRITE32, STATE_DESC + 16 * i + 8, len, 0);
	state_add(program, STATE_WRITE32, STATE_DESC + 16 * i + 12, flags | (i + 1) << 16, 0);
}

/* The n-th request, counted from 1; letter: said when it is on its way, or 0. */
static inline void state_add_request(GArray *program, const struct state_disk *disk, unsigned n, bool write,
				     uint32_t sector, uint32_t buffer, char letter)
{
	state_add(program, STATE_WRITE32, STATE_HEADER, write, 0);
	state_add(program, STATE_WRITE32, STATE_HEADER + 4, 0, 0);
	state_add_write64(program, STATE_HEADER + 8, sector);
	state_add(program, STATE_WRITE8, STATE_STATUS, 0xff, 0);
	state_add_desc(program, 0, STATE_HEADER, 16, 1);
	state_add_desc(program, 1, buffer, 512, write ? 1 : 3);
	state_add_desc(program, 2, STATE_STATUS, 1, 2);
	state_add(program, STATE_WRITE16, STATE_AVAIL + 4 + 2 * ((n - 1) % 8), 0, 0);
	state_add(program, STATE_WRITE16, STATE_AVAIL + 2, n, 0);
	state_add(program, STATE_WRITE16, disk->notify, 0, 0);
	if (letter)
		state_add(program, STATE_SAY, (uint32_t)letter, 0, 0);
	/* It is done when the interrupt has come, and that is one for each request. */
	state_add(program, STATE_UNTIL, STATE_COUNTERS + 4 * VECTOR_DISK, UINT32_MAX, n);
	state_add(program, STATE_UNTIL, STATE_USED, 0xffff0000, n << 16);
	state_add(program, STATE_UNTIL, STATE_STATUS, 0xff, 0);
}

static inline GArray *state_program(const struct state_disk *disk)
{
	static const uint32_t ticking[] = { VECTOR_PIT, VECTOR_RTC, VECTOR_APIC_TIMER, VECTOR_HPET };
	GArray *program = g_array_new(FALSE, FALSE, sizeof(struct state_op));
	unsigned n_requests = 0;

	state_add(program, STATE_SAY, 'S', 0, 0);
	state_add_pic(program);
	state_add(program, STATE_OUT8, 0xb2, 0xf1, 0);
	state_add_timers(program);
	state_add(program, STATE_INTERRUPTS, 1, 0, 0);
	state_add_second_cpu(program);
	state_add_disk(program, disk);
	for (unsigned round = 0; round < STATE_ROUNDS; round++) {
		uint32_t pattern = 0x01020304u * (round + 1), buffer = STATE_DATA + 0x400 * round;

		for (size_t i = 0; i < G_N_ELEMENTS(ticking); i++)
			state_add(program, STATE_TICKS, ticking[i], 2, 0);
		state_add(program, STATE_SAY, 'a' + round, 0, 0);
		state_add(program, STATE_CHANGES, STATE_AP_COUNTER, 0, 0);
		state_add(program, STATE_WRITE32, buffer, pattern, 0);
		state_add(program, STATE_WRITE32, buffer + 508, ~pattern, 0);
		state_add_request(program, disk, ++n_requests, true, 100 + round, buffer, (char)('A' + round));
		state_add_request(program, disk, ++n_requests, false, 100 + round, buffer + 0x200, 0);
		state_add(program, STATE_EQUALS, buffer + 0x200, pattern, 0);
		state_add(program, STATE_EQUALS, buffer + 0x3fc, ~pattern, 0);
	}
	state_add(program, STATE_SAY, 'o', 0, 0);
	state_add(program, STATE_SAY, 'k', 0, 0);
	state_add(program, STATE_OUT16, 0x604, 0x3400, 0);
	state_add(program, STATE_END, 0, 0, 0);
	return program;
}

#endif
