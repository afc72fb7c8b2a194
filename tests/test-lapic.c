/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>
#include <string.h>

#include "vmm/dev/lapic.h"

#define N_CPUS 20u

#define REG_ID 0x020u
#define REG_VERSION 0x030u
#define REG_TPR 0x080u
#define REG_PPR 0x0a0u
#define REG_EOI 0x0b0u
#define REG_LDR 0x0d0u
#define REG_DFR 0x0e0u
#define REG_SVR 0x0f0u
#define REG_ISR 0x100u
#define REG_TMR 0x180u
#define REG_IRR 0x200u
#define REG_ESR 0x280u
#define REG_ICR 0x300u
#define REG_ICR_HIGH 0x310u
#define REG_LVT_TIMER 0x320u
#define REG_LVT_LINT0 0x350u
#define REG_LVT_ERROR 0x370u
#define REG_INITIAL 0x380u
#define REG_CURRENT 0x390u
#define REG_DIVIDE 0x3e0u

#define MSR_BASE 0x1bu
#define MSR_DEADLINE 0x6e0u
#define MSR_X2(reg) (0x800u + ((reg) >> 4))

#define MASKED 0x10000u
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u
#define DIVIDE_1 0xbu

/* Processors whose TSC runs at 2 GHz of virtual time. */
struct cpu {
	struct timers *timers;
	struct lapic *lapic;
	int wakes;
	uint64_t tsc_offset;
};

struct board {
	struct timers *timers;
	struct lapic_bus *bus;
	struct cpu cpus[N_CPUS];
	GString *eois;
};

static void wake(void *opaque)
{
	struct cpu *cpu = opaque;

	g_atomic_int_inc(&cpu->wakes);
}

static uint64_t tsc(void *opaque)
{
	struct cpu *cpu = opaque;

	return timers_now(cpu->timers) * 2 + cpu->tsc_offset;
}

static uint64_t tsc_to_ns(void *opaque, uint64_t val)
{
	return (val - ((struct cpu *)opaque)->tsc_offset + 1) / 2;
}

static const struct lapic_ops ops = { .wake = wake, .tsc = tsc, .tsc_to_ns = tsc_to_ns };

static void note_eoi(void *opaque, uint8_t vector)
{
	g_string_append_printf(opaque, "%02x ", vector);
}

static void enable(struct lapic *lapic)
{
	lapic_mmio_write(lapic, REG_SVR, 0x1ff);
	lapic_mmio_write(lapic, REG_DIVIDE, DIVIDE_1);
}

static struct board *board_new(unsigned n_cpus)
{
	struct board *board = g_new0(struct board, 1);

	board->timers = timers_new_manual();
	board->eois = g_string_new(NULL);
	board->bus = lapic_bus_new(board->timers, N_CPUS, note_eoi, board->eois);
	for (unsigned i = 0; i < n_cpus; i++) {
		struct cpu *cpu = &board->cpus[i];

		cpu->timers = board->timers;
		cpu->lapic = lapic_new(board->bus, i, &ops, cpu);
		lapic_reset(cpu->lapic, i == 0, false);
		enable(cpu->lapic);
		cpu->wakes = 0;
	}
	return board;
}

static void board_free(struct board *board)
{
	lapic_bus_free(board->bus);
	timers_free(board->timers);
	g_string_free(board->eois, TRUE);
	g_free(board);
}

/* What a processor would take now, and takes. */
static void check_takes(struct lapic *lapic, int vector)
{
	g_assert_cmpint(lapic_attention(lapic), ==, vector >= 0);
	g_assert_cmpint(lapic_pending(lapic), ==, vector);
	g_assert_cmpint(lapic_accept(lapic), ==, vector);
}

/* Takes and ends every interrupt; the vectors in order. */
static void check_drain(struct lapic *lapic, const char *expected)
{
	g_autoptr(GString) taken = g_string_new(NULL);

	for (int vector = lapic_accept(lapic); vector >= 0; vector = lapic_accept(lapic)) {
		g_string_append_printf(taken, "%02x ", (unsigned)vector);
		lapic_mmio_write(lapic, REG_EOI, 0);
	}
	g_assert_cmpstr(taken->str, ==, expected);
}

static void send(struct board *board, uint32_t address, uint32_t data)
{
	struct msi_message msg = { .address = 0xfee00000u | address, .data = data };

	lapic_bus_msi(board->bus, &msg);
}

static void ipi(struct lapic *from, uint32_t dest, uint32_t low)
{
	lapic_mmio_write(from, REG_ICR_HIGH, dest << 24);
	lapic_mmio_write(from, REG_ICR, low);
}

/* Which processors have something to take; it is taken and ended. */
static void check_receivers(struct board *board, const char *expected)
{
	g_autoptr(GString) who = g_string_new(NULL);

	for (unsigned i = 0; i < N_CPUS; i++) {
		struct lapic *lapic = board->cpus[i].lapic;
		uint64_t base;
		uint8_t sipi;

		if (!lapic || !lapic_attention(lapic))
			continue;
		g_string_append_printf(who, "%u", i);
		if (lapic_take_nmi(lapic))
			g_string_append_c(who, 'n');
		if (lapic_take_init(lapic))
			g_string_append_c(who, 'i');
		if (lapic_take_sipi(lapic, &sipi))
			g_string_append_printf(who, "s%02x", sipi);
		while (lapic_accept(lapic) >= 0) {
			base = lapic_base(lapic);
			if (base & 0x400)
				g_assert_true(lapic_msr_write(lapic, MSR_X2(REG_EOI), 0));
			else
				lapic_mmio_write(lapic, REG_EOI, 0);
		}
		g_string_append_c(who, ' ');
	}
	g_assert_cmpstr(who->str, ==, expected);
}

static void test_reset(void)
{
	struct board *board = board_new(0);
	struct lapic *bsp = lapic_new(board->bus, 0, &ops, &board->cpus[0]);
	struct lapic *ap = lapic_new(board->bus, 3, &ops, &board->cpus[3]);

	lapic_reset(bsp, true, false);
	lapic_reset(ap, false, false);
	g_assert_cmphex(lapic_base(bsp), ==, 0xfee00900);
	g_assert_cmphex(lapic_base(ap), ==, 0xfee00800);
	g_assert_cmphex(lapic_mmio_read(ap, REG_ID), ==, 3u << 24);
	g_assert_cmphex(lapic_mmio_read(ap, REG_VERSION) & 0xff00ff, ==, 0x050014);
	g_assert_cmphex(lapic_mmio_read(ap, REG_SVR), ==, 0xff);
	g_assert_cmphex(lapic_mmio_read(ap, REG_DFR), ==, 0xffffffff);
	g_assert_cmphex(lapic_mmio_read(ap, REG_LVT_TIMER), ==, MASKED);
	g_assert_true(lapic_takes_extint(bsp));
	g_assert_false(lapic_takes_extint(ap));

	/* Software-disabled: entries cannot be unmasked and fixed interrupts are not accepted, others are. */
	lapic_mmio_write(ap, REG_LVT_TIMER, 0x40);
	g_assert_cmphex(lapic_mmio_read(ap, REG_LVT_TIMER), ==, MASKED | 0x40);
	send(board, 3 << 12, 0x40);
	check_takes(ap, -1);
	send(board, 3 << 12, 0x400);
	g_assert_true(lapic_take_nmi(ap));
	g_assert_false(lapic_take_nmi(ap));

	/* Writing the spurious vector register without the enable bit masks LINT0 as well. */
	lapic_mmio_write(bsp, REG_SVR, 0xff);
	g_assert_false(lapic_takes_extint(bsp));
	lapic_mmio_write(bsp, REG_SVR, 0x1ff);
	lapic_mmio_write(bsp, REG_LVT_LINT0, 0x700);
	g_assert_true(lapic_takes_extint(bsp));
	lapic_mmio_write(bsp, REG_LVT_LINT0, 0x10700);
	g_assert_false(lapic_takes_extint(bsp));
	board_free(board);
}

static void test_priority(void)
{
	struct board *board = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic;

	send(board, 0, 0x41);
	send(board, 0, 0x4f);
	send(board, 0, 0x35);
	g_assert_cmpint(board->cpus[0].wakes, >=, 2);
	check_takes(lapic, 0x4f);
	g_assert_cmphex(lapic_mmio_read(lapic, REG_PPR), ==, 0x40);
	check_takes(lapic, -1); /* 41 is of the same class */

	/* A higher class interrupts the handler, and the end of it ends the higher one. */
	send(board, 0, 0x81);
	check_takes(lapic, 0x81);
	g_assert_cmphex(lapic_mmio_read(lapic, REG_ISR + 0x40), ==, 1u << 1);
	lapic_mmio_write(lapic, REG_EOI, 0);
	check_takes(lapic, -1);
	g_assert_cmphex(lapic_mmio_read(lapic, REG_ISR + 0x20), ==, 1u << 15);
	lapic_mmio_write(lapic, REG_EOI, 0);
	check_takes(lapic, 0x41);

	/* Requested again while in service: once more, not twice. */
	send(board, 0, 0x41);
	send(board, 0, 0x41);
	lapic_mmio_write(lapic, REG_EOI, 0);
	check_drain(lapic, "41 35 ");
	lapic_mmio_write(lapic, REG_EOI, 0); /* nothing in service: nothing happens */
	g_assert_cmpstr(board->eois->str, ==, "");
	board_free(board);
}

static void test_tpr(void)
{
	struct board *board = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic;

	lapic_set_cr8(lapic, 5);
	g_assert_cmphex(lapic_mmio_read(lapic, REG_TPR), ==, 0x50);
	send(board, 0, 0x5f);
	check_takes(lapic, -1);
	send(board, 0, 0x60);
	check_takes(lapic, 0x60);
	lapic_mmio_write(lapic, REG_EOI, 0);

	/* Lowering the priority uncovers what waited, and says so. */
	board->cpus[0].wakes = 0;
	lapic_mmio_write(lapic, REG_TPR, 0x4f);
	g_assert_cmpint(board->cpus[0].wakes, ==, 1);
	g_assert_cmphex(lapic_mmio_read(lapic, REG_PPR), ==, 0x4f);
	g_assert_cmphex(lapic_get_cr8(lapic), ==, 4);
	lapic_set_cr8(lapic, 5); /* raised again before it was taken */
	check_takes(lapic, -1);
	lapic_set_cr8(lapic, 0);
	check_drain(lapic, "5f ");
	board_free(board);
}

static void test_level(void)
{
	struct board *board = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic;

	send(board, 0, 0xc000 | 0x31);
	send(board, 0, 0x8000 | 0x32); /* level, not asserted */
	send(board, 0, 0x33);
	g_assert_cmphex(lapic_mmio_read(lapic, REG_TMR + 0x10), ==, 1u << 17);
	check_drain(lapic, "33 31 ");
	g_assert_cmpstr(board->eois->str, ==, "31 ");

	/* With bit 12 of the spurious vector register software tells the I/O APIC itself. */
	lapic_mmio_write(lapic, REG_SVR, 0x11ff);
	send(board, 0, 0xc000 | 0x31);
	check_drain(lapic, "31 ");
	g_assert_cmpstr(board->eois->str, ==, "31 ");
	lapic_mmio_write(lapic, REG_SVR, 0x1ff);

	/* The trigger mode is that of the last request. */
	send(board, 0, 0x31);
	g_assert_cmphex(lapic_mmio_read(lapic, REG_TMR + 0x10), ==, 0);
	check_drain(lapic, "31 ");
	g_assert_cmpstr(board->eois->str, ==, "31 ");
	board_free(board);
}

static void test_physical(void)
{
	struct board *board = board_new(4);
	struct lapic *first = board->cpus[0].lapic;

	send(board, 2 << 12, 0x40);
	check_receivers(board, "2 ");
	send(board, 4 << 12, 0x40); /* nobody */
	send(board, 0xfe << 12, 0x40);
	check_receivers(board, "");
	send(board, 0xff << 12, 0x40);
	check_receivers(board, "0 1 2 3 ");
	send(board, 1 << 5 | 2 << 12, 0x40); /* extended destination: 102h */
	check_receivers(board, "");
	lapic_bus_msi(board->bus, &(struct msi_message){ .address = 0xfed00000, .data = 0x40 });
	lapic_bus_msi(board->bus, &(struct msi_message){ .address = 0x1fee00000, .data = 0x40 });
	lapic_bus_msi(board->bus, &(struct msi_message){ .address = 0x100fee00000, .data = 0x40 });
	check_receivers(board, "");

	ipi(first, 3, 0x40);
	check_receivers(board, "3 ");
	ipi(first, 0xff, 0x40);
	check_receivers(board, "0 1 2 3 ");
	ipi(first, 3, 0x40 | 1 << 18); /* self */
	check_receivers(board, "0 ");
	ipi(first, 3, 0x40 | 2 << 18); /* all */
	check_receivers(board, "0 1 2 3 ");
	ipi(first, 3, 0x40 | 3 << 18); /* all others */
	check_receivers(board, "1 2 3 ");
	g_assert_cmphex(lapic_mmio_read(first, REG_ICR), ==, 0x40 | 3 << 18);
	g_assert_cmphex(lapic_mmio_read(first, REG_ICR_HIGH), ==, 3u << 24);

	/* Globally disabled: deaf. */
	g_assert_true(lapic_msr_write(board->cpus[1].lapic, MSR_BASE, 0xfee00000));
	ipi(first, 0xff, 0x400);
	check_receivers(board, "0n 2n 3n ");
	board_free(board);
}

static void test_logical(void)
{
	struct board *board = board_new(4);
	static const uint8_t flat[] = { 0x01, 0x02, 0x04, 0x0c }, cluster[] = { 0x11, 0x12, 0x21, 0x28 };

	for (unsigned i = 0; i < 4; i++)
		lapic_mmio_write(board->cpus[i].lapic, REG_LDR, (uint32_t)flat[i] << 24);
	send(board, 0x02 << 12 | 4, 0x40);
	check_receivers(board, "1 ");
	send(board, 0x05 << 12 | 4, 0x40);
	check_receivers(board, "0 2 3 ");
	send(board, 0x08 << 12 | 4, 0x40);
	check_receivers(board, "3 ");
	send(board, 0x10 << 12 | 4, 0x40);
	check_receivers(board, "");
	send(board, 0xff << 12 | 4, 0x40);
	check_receivers(board, "0 1 2 3 ");

	for (unsigned i = 0; i < 4; i++) {
		lapic_mmio_write(board->cpus[i].lapic, REG_DFR, 0x0fffffff);
		lapic_mmio_write(board->cpus[i].lapic, REG_LDR, (uint32_t)cluster[i] << 24);
	}
	g_assert_cmphex(lapic_mmio_read(board->cpus[0].lapic, REG_DFR), ==, 0x0fffffff);
	send(board, 0x13 << 12 | 4, 0x40);
	check_receivers(board, "0 1 ");
	ipi(board->cpus[0].lapic, 0x29, 0x40 | 1 << 11);
	check_receivers(board, "2 3 ");
	send(board, 0x31 << 12 | 4, 0x40);
	check_receivers(board, "");
	send(board, 0xff << 12 | 4, 0x40);
	check_receivers(board, "0 1 2 3 ");
	board_free(board);
}

static void test_lowest_priority(void)
{
	struct board *board = board_new(3);

	for (unsigned i = 0; i < 3; i++)
		lapic_mmio_write(board->cpus[i].lapic, REG_LDR, 1u << (24 + i));
	send(board, 0x07 << 12 | 4, 0x140);
	check_receivers(board, "0 ");
	lapic_set_cr8(board->cpus[0].lapic, 2);
	send(board, 0x07 << 12 | 4, 0x140);
	check_receivers(board, "1 ");
	send(board, 0x07 << 12 | 4 | 8, 0x40); /* fixed with the redirection hint */
	check_receivers(board, "1 ");
	send(board, 0x05 << 12 | 4, 0x140);
	check_receivers(board, "2 ");

	/* A processor that serves something is busier than one that does not. */
	send(board, 1 << 12, 0x50);
	check_takes(board->cpus[1].lapic, 0x50);
	send(board, 0x07 << 12 | 4, 0x140);
	check_receivers(board, "2 ");

	/* One that takes no fixed interrupts is no candidate. */
	lapic_mmio_write(board->cpus[2].lapic, REG_SVR, 0xff);
	send(board, 0x07 << 12 | 4, 0x130);
	lapic_set_cr8(board->cpus[0].lapic, 0);
	check_receivers(board, "0 ");
	board_free(board);
}

static void test_x2apic(void)
{
	struct board *board = board_new(N_CPUS);
	struct lapic *first = board->cpus[0].lapic, *last = board->cpus[18].lapic;
	uint64_t val;

	/* No MSR before the mode is on, and no way there from "disabled" nor back to xAPIC. */
	g_assert_false(lapic_msr_read(first, MSR_X2(REG_ID), &val));
	g_assert_false(lapic_msr_write(first, MSR_BASE, 0xfee00500));
	g_assert_false(lapic_msr_write(first, MSR_BASE, 0xfee00901));
	g_assert_false(lapic_msr_write(first, MSR_BASE, UINT64_C(0x10000fee00900)));
	for (unsigned i = 0; i < N_CPUS; i++)
		g_assert_true(lapic_msr_write(board->cpus[i].lapic, MSR_BASE, 0xfee00c00));
	g_assert_false(lapic_msr_write(first, MSR_BASE, 0xfee00800));
	g_assert_cmphex(lapic_mmio_read(first, REG_ID), ==, 0xffffffff);

	g_assert_true(lapic_msr_read(last, MSR_X2(REG_ID), &val));
	g_assert_cmphex(val, ==, 18);
	g_assert_true(lapic_msr_read(last, MSR_X2(REG_LDR), &val));
	g_assert_cmphex(val, ==, 1 << 16 | 1 << 2);
	g_assert_true(lapic_msr_read(last, MSR_X2(REG_SVR), &val));
	g_assert_cmphex(val, ==, 0x1ff); /* kept across the change */

	static const struct {
		uint32_t reg;
		uint64_t val;
	} refused[] = {
		{ REG_ID, 0 },		 { REG_VERSION, 0 },	  { REG_PPR, 0 },	      { REG_LDR, 0 },
		{ REG_DFR, 0 },		 { REG_ICR_HIGH, 0 },	  { REG_EOI, 1 },	      { REG_ESR, 1 },
		{ 0x100, 0 },		 { REG_CURRENT, 0 },	  { REG_TPR, 0x100 },	      { REG_SVR, 0x10000 },
		{ REG_DIVIDE, 4 },	 { 0x3f0, 256 },	  { 0x090, 0 },		      { REG_ICR, 0x100040 },
		{ 0x2f0, 0 },		 { 0x400, 0 },		  { 0xff0, 0 },		      { 0x000, 0 },
		{ REG_TPR, 1ull << 32 }, { REG_EOI, 1ull << 32 }, { REG_LVT_TIMER, 1 << 19 },
	};
	for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
		g_assert_false(lapic_msr_write(first, MSR_X2(refused[i].reg), refused[i].val));
	g_assert_false(lapic_msr_read(first, MSR_X2(REG_EOI), &val));
	g_assert_false(lapic_msr_read(first, MSR_X2(REG_DFR), &val));
	g_assert_false(lapic_msr_read(first, MSR_X2(REG_ICR_HIGH), &val));
	g_assert_false(lapic_msr_read(first, 0x83f, &val));
	g_assert_false(lapic_msr_read(first, 0x8ff, &val));
	g_assert_false(lapic_msr_read(first, 0x900, &val));
	check_receivers(board, "");

	g_assert_true(lapic_msr_write(first, MSR_X2(REG_ICR), 0x40 | 18ull << 32));
	check_receivers(board, "18 ");
	g_assert_true(lapic_msr_read(first, MSR_X2(REG_ICR), &val));
	g_assert_cmphex(val, ==, 0x40 | 18ull << 32);
	g_assert_true(lapic_msr_write(first, MSR_X2(REG_ICR), 0x40 | 0xffull << 32)); /* an ID, not a broadcast */
	check_receivers(board, "");
	g_assert_true(lapic_msr_write(first, MSR_X2(REG_ICR), 0x40 | 1 << 11 | 0x10005ull << 32));
	check_receivers(board, "16 18 ");
	g_assert_true(lapic_msr_write(first, MSR_X2(REG_ICR), 0x40 | 0xffffffffull << 32));
	check_receivers(board, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 ");
	g_assert_true(lapic_msr_write(first, 0x83f, 0x41));
	check_receivers(board, "0 ");
	send(board, 17 << 12, 0x42);
	check_receivers(board, "17 ");
	send(board, 0xff << 12, 0x400);
	check_receivers(board, "0n 1n 2n 3n 4n 5n 6n 7n 8n 9n 10n 11n 12n 13n 14n 15n 16n 17n 18n 19n ");

	/* Off and on again: xAPIC mode, registers as after reset. */
	g_assert_true(lapic_msr_write(last, MSR_BASE, 0xfee00000));
	g_assert_false(lapic_msr_write(last, MSR_BASE, 0xfee00c00));
	g_assert_true(lapic_takes_extint(last));
	g_assert_true(lapic_msr_write(last, MSR_BASE, 0xfee00800));
	g_assert_cmphex(lapic_mmio_read(last, REG_SVR), ==, 0xff);
	g_assert_cmphex(lapic_mmio_read(last, REG_ID), ==, 18u << 24);
	board_free(board);
}

static void test_startup(void)
{
	struct board *board = board_new(3);
	struct lapic *first = board->cpus[0].lapic, *second = board->cpus[1].lapic;
	uint8_t vector = 0;

	ipi(first, 0, 0xc500 | 3 << 18); /* INIT, level, assert, all others */
	check_receivers(board, "1i 2i ");
	ipi(first, 0, 0x8500 | 2 << 18); /* de-assert */
	check_receivers(board, "");
	ipi(first, 1, 0x600 | 0x9a);
	check_receivers(board, "1s9a ");

	/* A start-up message before the INIT does not count; one after it does, even if nobody has looked yet. */
	ipi(first, 1, 0x600 | 0x11);
	ipi(first, 1, 0x4500);
	g_assert_false(lapic_take_sipi(second, &vector));
	ipi(first, 1, 0x600 | 0x22);
	g_assert_true(lapic_take_init(second));
	lapic_mmio_write(second, REG_TPR, 0x20);
	lapic_reset(second, false, true);
	g_assert_cmphex(lapic_mmio_read(second, REG_TPR), ==, 0);
	g_assert_cmphex(lapic_mmio_read(second, REG_SVR), ==, 0xff);
	g_assert_true(lapic_attention(second));
	g_assert_true(lapic_take_sipi(second, &vector));
	g_assert_cmphex(vector, ==, 0x22);
	g_assert_false(lapic_take_sipi(second, &vector));
	g_assert_false(lapic_attention(second));

	/* INIT keeps the mode, and with it the logical ID; power-on does not, and forgets what was latched. */
	g_assert_true(lapic_msr_write(second, MSR_BASE, 0xfee00c00));
	lapic_reset(second, false, true);
	g_assert_cmphex(lapic_base(second), ==, 0xfee00c00);
	ipi(first, 1, 0x400);
	lapic_reset(second, false, false);
	g_assert_cmphex(lapic_base(second), ==, 0xfee00800);
	g_assert_false(lapic_take_nmi(second));
	board_free(board);
}

static void test_errors(void)
{
	struct board *board = board_new(2);
	struct lapic *first = board->cpus[0].lapic, *second = board->cpus[1].lapic;

	ipi(first, 1, 0x0f); /* illegal on both sides */
	g_assert_cmphex(lapic_mmio_read(first, REG_ESR), ==, 0);
	lapic_mmio_write(first, REG_ESR, 0);
	g_assert_cmphex(lapic_mmio_read(first, REG_ESR), ==, 0x20);
	lapic_mmio_write(first, REG_ESR, 0);
	g_assert_cmphex(lapic_mmio_read(first, REG_ESR), ==, 0);
	lapic_mmio_write(second, REG_ESR, 0);
	g_assert_cmphex(lapic_mmio_read(second, REG_ESR), ==, 0x40);
	check_receivers(board, "");

	lapic_mmio_write(first, REG_LVT_ERROR, 0xfe);
	lapic_mmio_read(first, 0x3f0);
	check_drain(first, "fe ");
	lapic_mmio_write(first, 0xff0, 0);
	check_drain(first, "fe ");
	lapic_mmio_write(first, REG_VERSION, 0); /* exists, is only read */
	lapic_mmio_read(first, REG_EOI);
	g_assert_cmphex(lapic_mmio_read(first, REG_SVR + 4), ==, 0);
	check_drain(first, "");
	lapic_mmio_write(first, REG_ESR, 0);
	g_assert_cmphex(lapic_mmio_read(first, REG_ESR), ==, 0x80);

	lapic_mmio_write(first, REG_LVT_ERROR, 0x05); /* itself illegal: no recursion */
	lapic_mmio_read(first, 0x3f0);
	lapic_mmio_write(first, REG_ESR, 0);
	g_assert_cmphex(lapic_mmio_read(first, REG_ESR), ==, 0xc0);
	board_free(board);
}

static void test_one_shot(void)
{
	struct board *board = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic;

	lapic_mmio_write(lapic, REG_LVT_TIMER, 0x70);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 0);
	lapic_mmio_write(lapic, REG_INITIAL, 1000);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 1000);
	timers_advance(board->timers, 999);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 1);
	check_takes(lapic, -1);
	timers_advance(board->timers, 1);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 0);
	check_drain(lapic, "70 ");
	timers_advance(board->timers, 100000);
	check_drain(lapic, "");
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_INITIAL), ==, 1000);

	/* Divided by 16, then slowed to 32 on the way. */
	lapic_mmio_write(lapic, REG_DIVIDE, 0x3);
	lapic_mmio_write(lapic, REG_INITIAL, 100);
	timers_advance(board->timers, 800);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 50);
	lapic_mmio_write(lapic, REG_DIVIDE, 0x8);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 50);
	timers_advance(board->timers, 1599);
	check_drain(lapic, "");
	timers_advance(board->timers, 1);
	check_drain(lapic, "70 ");

	/* Masked when it expires: gone. Written anew before it expires: the old one is off. 0 stops. */
	lapic_mmio_write(lapic, REG_DIVIDE, DIVIDE_1);
	lapic_mmio_write(lapic, REG_LVT_TIMER, MASKED | 0x70);
	lapic_mmio_write(lapic, REG_INITIAL, 100);
	timers_advance(board->timers, 100);
	lapic_mmio_write(lapic, REG_LVT_TIMER, 0x70);
	check_drain(lapic, "");
	lapic_mmio_write(lapic, REG_INITIAL, 100);
	timers_advance(board->timers, 50);
	lapic_mmio_write(lapic, REG_INITIAL, 100);
	timers_advance(board->timers, 99);
	check_drain(lapic, "");
	timers_advance(board->timers, 1);
	check_drain(lapic, "70 ");
	lapic_mmio_write(lapic, REG_INITIAL, 100);
	lapic_mmio_write(lapic, REG_INITIAL, 0);
	timers_advance(board->timers, 1000);
	check_drain(lapic, "");
	board_free(board);
}

static void test_dividers(void)
{
	struct board *board = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic;
	static const struct {
		uint32_t divide;
		uint64_t by;
	} rows[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 } };

	lapic_mmio_write(lapic, REG_LVT_TIMER, 0x70);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		lapic_mmio_write(lapic, REG_DIVIDE, rows[i].divide);
		lapic_mmio_write(lapic, REG_INITIAL, 0xffffffff);
		timers_advance(board->timers, 0xffffffffull * rows[i].by - 1);
		check_drain(lapic, "");
		timers_advance(board->timers, 1);
		check_drain(lapic, "70 ");
	}
	board_free(board);
}

static void test_periodic(void)
{
	struct board *board = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic;
	unsigned ticks = 0;

	lapic_mmio_write(lapic, REG_LVT_TIMER, PERIODIC | 0x70);
	lapic_mmio_write(lapic, REG_INITIAL, 1000003);
	for (unsigned i = 0; i < 3000; i++) {
		timers_advance(board->timers, 333667);
		for (; lapic_accept(lapic) >= 0; ticks++)
			lapic_mmio_write(lapic, REG_EOI, 0);
	}
	g_assert_cmpuint(ticks, ==, 3000ull * 333667 / 1000003);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 1000003 - 3000ull * 333667 % 1000003);

	/* The host clock jumped: one interrupt for all that was missed, and the phase is kept. */
	timers_pause(board->timers);
	timers_set_now(board->timers, 5000 * 1000003ull + 17);
	timers_resume(board->timers);
	timers_advance(board->timers, 0);
	check_drain(lapic, "70 ");
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 1000003 - 17);

	/* Faster than anything can follow: the counter shows the truth, interrupts are thinned out. */
	lapic_mmio_write(lapic, REG_INITIAL, 7);
	for (ticks = 0; ticks < 100; ticks++) {
		timers_advance(board->timers, 100000);
		g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), >=, 1);
		g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), <=, 7);
		check_drain(lapic, "70 ");
	}

	/* To one-shot while it runs: the present period is the last. */
	lapic_mmio_write(lapic, REG_INITIAL, 1000000);
	timers_advance(board->timers, 1500000);
	check_drain(lapic, "70 ");
	lapic_mmio_write(lapic, REG_LVT_TIMER, 0x70);
	timers_advance(board->timers, 5000000);
	check_drain(lapic, "70 ");
	board_free(board);
}

static void write_deadline(struct lapic *lapic, uint64_t val)
{
	g_assert_true(lapic_msr_write(lapic, MSR_DEADLINE, val));
}

static void check_deadline(struct lapic *lapic, uint64_t expected)
{
	uint64_t val;

	g_assert_true(lapic_msr_read(lapic, MSR_DEADLINE, &val));
	g_assert_cmpuint(val, ==, expected);
}

static void test_deadline(void)
{
	struct board *board = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic;

	write_deadline(lapic, 5000); /* not in this mode: ignored */
	check_deadline(lapic, 0);
	lapic_mmio_write(lapic, REG_LVT_TIMER, DEADLINE | 0x70);
	write_deadline(lapic, 5001);
	check_deadline(lapic, 5001);
	lapic_mmio_write(lapic, REG_INITIAL, 10);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 0);
	timers_advance(board->timers, 2500);
	check_drain(lapic, "");
	timers_advance(board->timers, 1);
	check_deadline(lapic, 0);
	check_drain(lapic, "70 ");

	write_deadline(lapic, 5002); /* now */
	check_deadline(lapic, 0);
	check_drain(lapic, "70 ");
	write_deadline(lapic, 1); /* long past */
	check_drain(lapic, "70 ");

	write_deadline(lapic, 9000);
	write_deadline(lapic, 0);
	timers_advance(board->timers, 10000);
	check_drain(lapic, "");
	write_deadline(lapic, 50000);
	write_deadline(lapic, 60000);
	timers_advance(board->timers, 15000);
	check_drain(lapic, "");
	timers_advance(board->timers, 5000);
	check_drain(lapic, "70 ");

	/* The guest sets its TSC back while it waits: the deadline is one of the TSC, not of the clock. */
	write_deadline(lapic, 70000);
	board->cpus[0].tsc_offset = (uint64_t)-1000;
	timers_advance(board->timers, 2998);
	check_drain(lapic, "");
	timers_advance(board->timers, 1);
	check_drain(lapic, "70 ");
	board->cpus[0].tsc_offset = 0;

	/* Leaving the mode disarms, and so does entering it. */
	write_deadline(lapic, 200000);
	lapic_mmio_write(lapic, REG_LVT_TIMER, 0x70);
	check_deadline(lapic, 0);
	lapic_mmio_write(lapic, REG_INITIAL, 100);
	lapic_mmio_write(lapic, REG_LVT_TIMER, DEADLINE | 0x70);
	timers_advance(board->timers, 1000000);
	check_drain(lapic, "");
	board_free(board);
}

/* A deadline whose callback is late is settled by the next access, and does not fire twice. */
static void test_late_callback(void)
{
	struct board *board = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic;

	lapic_mmio_write(lapic, REG_LVT_TIMER, DEADLINE | 0x70);
	write_deadline(lapic, 2000);
	timers_pause(board->timers);
	timers_set_now(board->timers, 1500);
	timers_resume(board->timers);
	write_deadline(lapic, 8000);
	check_drain(lapic, "70 ");
	timers_advance(board->timers, 1000);
	check_drain(lapic, "");
	check_deadline(lapic, 8000);
	timers_advance(board->timers, 1500);
	check_drain(lapic, "70 ");

	lapic_mmio_write(lapic, REG_LVT_TIMER, PERIODIC | 0x70);
	lapic_mmio_write(lapic, REG_INITIAL, 100000);
	timers_pause(board->timers);
	timers_set_now(board->timers, 4000 + 100000);
	timers_resume(board->timers);
	g_assert_cmpuint(lapic_mmio_read(lapic, REG_CURRENT), ==, 100000);
	check_drain(lapic, "70 ");
	timers_advance(board->timers, 99999);
	check_drain(lapic, "");
	timers_advance(board->timers, 1);
	check_drain(lapic, "70 ");
	board_free(board);
}

static void copy_state(struct lapic *from, struct lapic *to)
{
	uint8_t image[1024], again[1024];
	uint64_t base, deadline, base2, deadline2;

	lapic_save(from, image, &base, &deadline);
	g_assert_true(lapic_load(to, image, base, deadline));
	lapic_save(to, again, &base2, &deadline2);
	g_assert_cmpmem(image, sizeof(image), again, sizeof(again));
	g_assert_cmphex(base, ==, base2);
	g_assert_cmphex(deadline, ==, deadline2);
}

static void test_save(void)
{
	struct board *board = board_new(1), *other = board_new(1);
	struct lapic *lapic = board->cpus[0].lapic, *copy = other->cpus[0].lapic;
	uint8_t image[1024], vector = 0;
	uint64_t base, deadline;

	/* Bad ones first. */
	lapic_save(lapic, image, &base, &deadline);
	g_assert_false(lapic_load(copy, image, 0xfee00400, 0));
	g_assert_false(lapic_load(copy, image, 0xfee00901, 0));
	memset(image + 2 * 4, 0xff, 4);
	g_assert_false(lapic_load(copy, image, base, 0));

	lapic_mmio_write(lapic, REG_LVT_TIMER, PERIODIC | 0x70);
	lapic_mmio_write(lapic, REG_INITIAL, 100000);
	timers_advance(board->timers, 30000);
	timers_advance(other->timers, 30000);
	send(board, 0, 0xc044);
	check_takes(lapic, 0x44);
	send(board, 0, 0x99);
	send(board, 0, 0x600 | 0x7b);
	ipi(lapic, 0, 0x05);
	copy_state(lapic, copy);
	g_assert_cmpuint(lapic_mmio_read(copy, REG_CURRENT), ==, 70000);
	g_assert_true(lapic_take_sipi(copy, &vector));
	g_assert_cmphex(vector, ==, 0x7b);
	check_takes(copy, 0x99);
	lapic_mmio_write(copy, REG_EOI, 0);
	lapic_mmio_write(copy, REG_EOI, 0);
	g_assert_cmpstr(other->eois->str, ==, "44 ");
	lapic_mmio_write(copy, REG_ESR, 0);
	g_assert_cmphex(lapic_mmio_read(copy, REG_ESR), ==, 0x60);
	timers_advance(other->timers, 70000);
	check_takes(copy, 0x70);
	timers_advance(other->timers, 99999);
	lapic_mmio_write(copy, REG_EOI, 0);
	check_takes(copy, -1);
	timers_advance(other->timers, 1);
	check_takes(copy, 0x70);

	lapic_mmio_write(lapic, REG_LVT_TIMER, DEADLINE | 0x71);
	write_deadline(lapic, UINT64_C(1) << 40);
	g_assert_true(lapic_msr_write(lapic, MSR_BASE, 0xfee00d00));
	copy_state(lapic, copy);
	check_deadline(copy, UINT64_C(1) << 40);
	board_free(board);
	board_free(other);
}

/*
 * Delivery under load. Each sender counts a message up and then sends its vector; each receiver, after it has
 * accepted a vector, notes the count it sees. However messages run together, the last count sent must be seen: a
 * lost edge or wake-up leaves a receiver asleep with a stale count and a sender that waits for it for ever.
 */
#define N_SENDERS 3u
#define N_RECEIVERS 2u
#define N_MESSAGES 20000u
/* After so many messages all senders wait until all have been heard: then nothing heals a lost wake-up. */
#define ROUND 10u

struct receiver {
	GMutex lock;
	GCond cond;
	bool woken;
	struct lapic *lapic;
	unsigned seen[N_SENDERS]; /* atomic */
	const unsigned *sent;	  /* atomic, N_SENDERS */
};

struct load {
	struct timers *timers;
	struct lapic_bus *bus;
	struct receiver receivers[N_RECEIVERS];
	unsigned sent[N_RECEIVERS][N_SENDERS];
	int arrived; /* senders at the end of a round, in all rounds */
};

struct sender {
	struct load *load;
	unsigned index;
};

static void wake_receiver(void *opaque)
{
	struct receiver *receiver = opaque;

	g_mutex_lock(&receiver->lock);
	receiver->woken = true;
	g_cond_signal(&receiver->cond);
	g_mutex_unlock(&receiver->lock);
}

static const struct lapic_ops load_ops = { .wake = wake_receiver, .tsc = tsc, .tsc_to_ns = tsc_to_ns };

static bool all_seen(struct receiver *receiver)
{
	for (unsigned i = 0; i < N_SENDERS; i++)
		if (__atomic_load_n(&receiver->seen[i], __ATOMIC_ACQUIRE) != N_MESSAGES)
			return false;
	return true;
}

static void *receive(void *opaque)
{
	struct receiver *receiver = opaque;

	while (!all_seen(receiver)) {
		int vector = lapic_accept(receiver->lapic);

		if (vector >= 0) {
			unsigned from = ((unsigned)vector >> 4) - 4, sent;

			g_assert_cmpuint(from, <, N_SENDERS);
			sent = __atomic_load_n(&receiver->sent[from], __ATOMIC_ACQUIRE);
			__atomic_store_n(&receiver->seen[from], sent, __ATOMIC_RELEASE);
			lapic_mmio_write(receiver->lapic, REG_EOI, 0);
			continue;
		}
		g_mutex_lock(&receiver->lock);
		while (!receiver->woken)
			g_cond_wait(&receiver->cond, &receiver->lock);
		receiver->woken = false;
		g_mutex_unlock(&receiver->lock);
	}
	return NULL;
}

static void end_round(struct load *load, unsigned index, unsigned n)
{
	for (unsigned i = 0; i < N_RECEIVERS; i++)
		while (__atomic_load_n(&load->receivers[i].seen[index], __ATOMIC_ACQUIRE) != n)
			g_thread_yield();
	g_atomic_int_inc(&load->arrived);
	while (g_atomic_int_get(&load->arrived) < (int)(n / ROUND * N_SENDERS))
		g_thread_yield();
}

static void *transmit(void *opaque)
{
	struct sender *sender = opaque;
	struct load *load = sender->load;

	for (unsigned n = 1; n <= N_MESSAGES; n++) {
		for (unsigned i = 0; i < N_RECEIVERS; i++) {
			struct msi_message msg = { .address = 0xfee00000u | i << 12, .data = (4 + sender->index) << 4 };

			__atomic_store_n(&load->sent[i][sender->index], n, __ATOMIC_RELEASE);
			lapic_bus_msi(load->bus, &msg);
		}
		if (n % ROUND == 0)
			end_round(load, sender->index, n);
	}
	return NULL;
}

static void test_load(void)
{
	struct load load = { .timers = timers_new_manual() };
	struct sender senders[N_SENDERS];
	GThread *threads[N_SENDERS + N_RECEIVERS];

	load.bus = lapic_bus_new(load.timers, N_RECEIVERS, NULL, NULL);
	for (unsigned i = 0; i < N_RECEIVERS; i++) {
		struct receiver *receiver = &load.receivers[i];

		g_mutex_init(&receiver->lock);
		g_cond_init(&receiver->cond);
		receiver->sent = load.sent[i];
		receiver->lapic = lapic_new(load.bus, i, &load_ops, receiver);
		enable(receiver->lapic);
		threads[i] = g_thread_new("receiver", receive, receiver);
	}
	for (unsigned i = 0; i < N_SENDERS; i++) {
		senders[i] = (struct sender){ .load = &load, .index = i };
		threads[N_RECEIVERS + i] = g_thread_new("sender", transmit, &senders[i]);
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
	for (unsigned i = 0; i < N_RECEIVERS; i++) {
		g_assert_true(all_seen(&load.receivers[i]));
		g_mutex_clear(&load.receivers[i].lock);
		g_cond_clear(&load.receivers[i].cond);
	}
	lapic_bus_free(load.bus);
	timers_free(load.timers);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/lapic/reset", test_reset);
	g_test_add_func("/lapic/priority", test_priority);
	g_test_add_func("/lapic/tpr", test_tpr);
	g_test_add_func("/lapic/level", test_level);
	g_test_add_func("/lapic/physical", test_physical);
	g_test_add_func("/lapic/logical", test_logical);
	g_test_add_func("/lapic/lowest-priority", test_lowest_priority);
	g_test_add_func("/lapic/x2apic", test_x2apic);
	g_test_add_func("/lapic/start-up", test_startup);
	g_test_add_func("/lapic/errors", test_errors);
	g_test_add_func("/lapic/one-shot", test_one_shot);
	g_test_add_func("/lapic/dividers", test_dividers);
	g_test_add_func("/lapic/periodic", test_periodic);
	g_test_add_func("/lapic/tsc-deadline", test_deadline);
	g_test_add_func("/lapic/late-callback", test_late_callback);
	g_test_add_func("/lapic/save", test_save);
	g_test_add_func("/lapic/load", test_load);
	return g_test_run();
}
