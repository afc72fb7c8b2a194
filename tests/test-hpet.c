/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define BASE UINT64_C(0xfed00000)
#define CAPABILITIES 0x000u
#define CONFIG 0x010u
#define STATUS 0x020u
#define COUNTER 0x0f0u
#define T_CONFIG(n) (0x100u + 0x20u * (n))
#define T_COMPARE(n) (0x108u + 0x20u * (n))
#define T_FSB(n) (0x110u + 0x20u * (n))

#define LEVEL 0x2u
#define ENABLE 0x4u
#define PERIODIC 0x8u
#define SET_VALUE 0x40u
#define BITS32 0x100u
#define ROUTE(pin) ((pin) << 9)
#define FSB 0x4000u

struct board {
	struct bus *mmio;
	struct timers *timers;
	struct hpet *hpet;
	bool lines[24];
	unsigned edges[24];
	unsigned messages;
	struct msi_message message;
	int legacy; /* -1: never told */
};

static void set_line(void *opaque, unsigned pin, bool level)
{
	struct board *board = opaque;

	g_assert_cmpuint(pin, <, 24);
	board->edges[pin] += level && !board->lines[pin];
	board->lines[pin] = level;
}

static void send(void *opaque, const struct msi_message *msg)
{
	struct board *board = opaque;

	board->messages++;
	board->message = *msg;
}

static void on_legacy(void *opaque, bool on)
{
	((struct board *)opaque)->legacy = on;
}

static struct board *board_new(void)
{
	struct board *board = g_new0(struct board, 1);
	struct irq irqs[24];

	for (unsigned i = 0; i < 24; i++)
		irqs[i] = (struct irq){ .set = set_line, .opaque = board, .pin = i };
	board->legacy = -1;
	board->mmio = bus_new(UINT64_C(1) << 40);
	board->timers = timers_new_manual();
	board->hpet = hpet_new(NULL, board->mmio, board->timers, irqs, send, on_legacy, board);
	device_reset(hpet_device(board->hpet));
	return board;
}

static void board_free(struct board *board)
{
	device_destroy(hpet_device(board->hpet));
	timers_free(board->timers);
	bus_free(board->mmio);
	g_free(board);
}

static uint64_t get(struct board *board, uint64_t reg)
{
	uint64_t val;

	g_assert_true(bus_read(board->mmio, BASE + reg, 8, &val));
	return val;
}

static uint32_t get32(struct board *board, uint64_t reg)
{
	uint64_t val;

	g_assert_true(bus_read(board->mmio, BASE + reg, 4, &val));
	return (uint32_t)val;
}

static void put(struct board *board, uint64_t reg, uint64_t val)
{
	g_assert_true(bus_write(board->mmio, BASE + reg, 8, val));
}

static void put32(struct board *board, uint64_t reg, uint32_t val)
{
	g_assert_true(bus_write(board->mmio, BASE + reg, 4, val));
}

static void run(struct board *board, uint64_t ticks)
{
	timers_advance(board->timers, ticks * 10);
}

static unsigned take_edges(struct board *board, unsigned pin)
{
	unsigned edges = board->edges[pin];

	board->edges[pin] = 0;
	return edges;
}

static void test_registers(void)
{
	struct board *board = board_new();

	g_assert_cmphex(get(board, CAPABILITIES), ==, UINT64_C(0x009896808086a201));
	put(board, CAPABILITIES, 0);
	g_assert_cmphex(get32(board, CAPABILITIES + 4), ==, 10000000);
	g_assert_cmphex(get(board, 0x3f8), ==, 0);
	put(board, 0x160, 0xff);
	g_assert_cmphex(get(board, 0x160), ==, 0);
	put(board, CONFIG, ~UINT64_C(2));
	g_assert_cmphex(get(board, CONFIG), ==, 1);
	put(board, CONFIG, 0);
	for (unsigned n = 0; n < 3; n++) {
		g_assert_cmphex(get(board, T_CONFIG(n)), ==, UINT64_C(0x00f0000000008030));
		g_assert_cmphex(get(board, T_COMPARE(n)), ==, UINT64_MAX);
		put(board, T_CONFIG(n), ROUTE(21u));
		put(board, T_CONFIG(n), ~UINT64_C(0xffffffff) | ROUTE(3u)); /* no such route: the old one stays */
		g_assert_cmphex(get(board, T_CONFIG(n)), ==, UINT64_C(0x00f0000000008030) | ROUTE(21u));
		put32(board, T_FSB(n) + 4, 0xfee00000);
		put32(board, T_FSB(n), 0x41);
		g_assert_cmphex(get(board, T_FSB(n)), ==, UINT64_C(0xfee0000000000041));
	}
	device_reset(hpet_device(board->hpet));
	g_assert_cmphex(get(board, T_FSB(0)), ==, 0);
	g_assert_cmpint(board->legacy, ==, -1);
	board_free(board);
}

static void test_counter(void)
{
	struct board *board = board_new();

	run(board, 100);
	g_assert_cmpuint(get(board, COUNTER), ==, 0);
	put(board, COUNTER, UINT64_C(0x1fffffff0));
	put32(board, CONFIG, 1);
	run(board, 0x20);
	g_assert_cmphex(get(board, COUNTER), ==, UINT64_C(0x200000010));
	g_assert_cmphex(get32(board, COUNTER), ==, 0x10);
	g_assert_cmphex(get32(board, COUNTER + 4), ==, 2);
	put32(board, CONFIG, 0);
	run(board, 1000);
	g_assert_cmphex(get(board, COUNTER), ==, UINT64_C(0x200000010));
	put32(board, COUNTER + 4, 7);
	put32(board, COUNTER, 5);
	g_assert_cmphex(get(board, COUNTER), ==, UINT64_C(0x700000005));
	put32(board, CONFIG, 1);
	run(board, 5);
	g_assert_cmphex(get(board, COUNTER), ==, UINT64_C(0x70000000a));
	board_free(board);
}

static void test_one_shot(void)
{
	struct board *board = board_new();

	put(board, T_CONFIG(0), ENABLE | ROUTE(20u));
	put(board, T_COMPARE(0), 1000);
	run(board, 5000); /* halted: nothing */
	g_assert_cmpuint(take_edges(board, 20), ==, 0);
	put(board, CONFIG, 1);
	run(board, 999);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 20), ==, 1);
	g_assert_cmphex(get(board, STATUS), ==, 0); /* edge: no status */
	run(board, 1000000);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);

	/* A match that has passed does not come; one at this very moment does. */
	put(board, T_COMPARE(0), get(board, COUNTER) - 1);
	run(board, 1000000);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);
	put(board, T_COMPARE(0), get(board, COUNTER));
	g_assert_cmpuint(take_edges(board, 20), ==, 1);
	run(board, 1000000);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);

	/* Halting takes the match along with the counter; setting the counter brings it closer. */
	put(board, T_COMPARE(0), get(board, COUNTER) + 1000);
	run(board, 500);
	put(board, CONFIG, 0);
	run(board, 5000);
	put(board, CONFIG, 1);
	run(board, 499);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 20), ==, 1);
	put(board, T_COMPARE(0), 100000);
	put(board, COUNTER, 99990);
	run(board, 9);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 20), ==, 1);

	/* Disabled: silent. */
	put(board, T_COMPARE(0), get(board, COUNTER) + 10);
	put(board, T_CONFIG(0), ROUTE(20u));
	run(board, 100);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);
	board_free(board);
}

/* 32-bit comparators wrap, and match again each time the counter's low half comes round. */
static void test_32bit(void)
{
	struct board *board = board_new();

	put(board, COUNTER, UINT64_C(0x5fffffff0));
	put(board, CONFIG, 1);
	put32(board, T_CONFIG(1), ENABLE | BITS32 | ROUTE(22u));
	g_assert_cmphex(get(board, T_COMPARE(1)), ==, UINT32_MAX);
	put32(board, T_COMPARE(1), 0x10);
	run(board, 0x1f);
	g_assert_cmpuint(take_edges(board, 22), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 22), ==, 1);
	run(board, UINT32_MAX);
	g_assert_cmpuint(take_edges(board, 22), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 22), ==, 1);
	put32(board, T_COMPARE(1) + 4, 1234);
	g_assert_cmphex(get(board, T_COMPARE(1)), ==, 0x10);
	board_free(board);
}

/* The way Linux sets up its tick: 32 bits, halted counter, accumulator first, period second. */
static void test_periodic(void)
{
	struct board *board = board_new();
	uint32_t now;

	put32(board, CONFIG, 3);
	g_assert_cmpint(board->legacy, ==, 1);
	run(board, 123457);
	put32(board, CONFIG, 2);
	now = get32(board, COUNTER);
	put32(board, T_CONFIG(0), ENABLE | PERIODIC | SET_VALUE | BITS32);
	put32(board, T_COMPARE(0), now + 400000);
	g_assert_cmphex(get32(board, T_CONFIG(0)) & SET_VALUE, ==, 0);
	put32(board, T_COMPARE(0), 400000);
	put32(board, CONFIG, 3);
	run(board, 399999);
	g_assert_cmpuint(take_edges(board, 2), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 2), ==, 1);
	g_assert_cmphex(get32(board, T_COMPARE(0)), ==, now + 800000);

	/* Two minutes in odd steps, over the wrap of the comparator. */
	for (unsigned i = 0; i < 12000; i++)
		run(board, 1000003);
	g_assert_cmpuint(take_edges(board, 2), ==, 12000ull * 1000003 / 400000);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);

	/* Late: one interrupt for what was missed, in phase afterwards. */
	timers_pause(board->timers);
	timers_set_now(board->timers, (123457 + 400000ull * 40000 + 100) * 10);
	timers_resume(board->timers);
	g_assert_cmphex(get32(board, T_COMPARE(0)), ==, (uint32_t)(now + 400000ull * 40001));
	g_assert_cmpuint(take_edges(board, 2), ==, 1);
	run(board, 399899);
	g_assert_cmpuint(take_edges(board, 2), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 2), ==, 1);

	/* One write with the set bit gives both, a later one without it changes the period from the next match on. */
	put(board, T_CONFIG(2), ENABLE | PERIODIC | SET_VALUE | ROUTE(23u));
	put(board, COUNTER, 0);
	put(board, T_COMPARE(2), 10000);
	run(board, 30000);
	g_assert_cmpuint(take_edges(board, 23), ==, 3);
	put(board, T_COMPARE(2), 50000);
	g_assert_cmpuint(get(board, T_COMPARE(2)), ==, 40000);
	run(board, 10000);
	g_assert_cmpuint(take_edges(board, 23), ==, 1);
	run(board, 49999);
	g_assert_cmpuint(take_edges(board, 23), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 23), ==, 1);

	/* Period 0 never comes again; period 1 comes no faster than a host can stand. */
	put(board, T_COMPARE(2), 0);
	run(board, 50000);
	take_edges(board, 23);
	run(board, 1000000);
	g_assert_cmpuint(take_edges(board, 23), ==, 0);
	put(board, T_CONFIG(2), ENABLE | PERIODIC | SET_VALUE | ROUTE(23u));
	put(board, T_COMPARE(2), 1);
	run(board, 10000000);
	g_assert_cmpuint(take_edges(board, 23), <=, 2001);
	board_free(board);
}

static void test_level(void)
{
	struct board *board = board_new();

	put(board, CONFIG, 1);
	put(board, T_CONFIG(1), ENABLE | LEVEL | ROUTE(21u));
	put(board, T_COMPARE(1), 100);
	run(board, 100);
	g_assert_true(board->lines[21]);
	g_assert_cmphex(get(board, STATUS), ==, 2);
	put(board, STATUS, 5); /* somebody else's */
	g_assert_true(board->lines[21]);
	put(board, STATUS, 2);
	g_assert_false(board->lines[21]);
	g_assert_cmphex(get(board, STATUS), ==, 0);

	/* A raised line follows its route, and goes down with enable, mode and reset. */
	put(board, T_COMPARE(1), get(board, COUNTER) + 1);
	run(board, 1);
	put(board, T_CONFIG(1), ENABLE | LEVEL | ROUTE(22u));
	g_assert_false(board->lines[21]);
	g_assert_true(board->lines[22]);
	put(board, T_CONFIG(1), LEVEL | ROUTE(22u));
	g_assert_false(board->lines[22]);
	put(board, T_CONFIG(1), ENABLE | LEVEL | ROUTE(22u));
	g_assert_true(board->lines[22]);
	put(board, CONFIG, 0);
	g_assert_false(board->lines[22]);
	put(board, CONFIG, 1);
	g_assert_true(board->lines[22]);
	put(board, T_CONFIG(1), ENABLE | ROUTE(22u));
	g_assert_false(board->lines[22]);
	put(board, T_CONFIG(1), ENABLE | LEVEL | ROUTE(22u));
	g_assert_false(board->lines[22]);
	put(board, T_COMPARE(1), get(board, COUNTER) + 1);
	run(board, 1);
	g_assert_true(board->lines[22]);
	device_reset(hpet_device(board->hpet));
	g_assert_false(board->lines[22]);
	board_free(board);
}

static void test_message(void)
{
	struct board *board = board_new();

	put(board, CONFIG, 1);
	put(board, T_FSB(2), UINT64_C(0xfee0300000004055));
	put(board, T_CONFIG(2), ENABLE | FSB | ROUTE(20u));
	put(board, T_COMPARE(2), 100);
	run(board, 100);
	g_assert_cmpuint(board->messages, ==, 1);
	g_assert_cmphex(board->message.address, ==, 0xfee03000);
	g_assert_cmphex(board->message.data, ==, 0x4055);
	g_assert_cmpuint(take_edges(board, 20), ==, 0);
	board_free(board);
}

static void test_legacy(void)
{
	struct board *board = board_new();

	for (unsigned n = 0; n < 3; n++) {
		put(board, T_CONFIG(n), ENABLE | ROUTE(20u + n));
		put(board, T_COMPARE(n), 100 + n);
	}
	put(board, CONFIG, 3);
	g_assert_cmpint(board->legacy, ==, 1);
	run(board, 200);
	g_assert_cmpuint(take_edges(board, 2), ==, 1);
	g_assert_cmpuint(take_edges(board, 8), ==, 1);
	g_assert_cmpuint(take_edges(board, 22), ==, 1);
	g_assert_cmpuint(take_edges(board, 20) + take_edges(board, 21), ==, 0);
	put(board, CONFIG, 1);
	g_assert_cmpint(board->legacy, ==, 0);
	put(board, T_COMPARE(0), get(board, COUNTER) + 1);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 20), ==, 1);
	put(board, CONFIG, 2);
	device_reset(hpet_device(board->hpet));
	g_assert_cmpint(board->legacy, ==, 0);
	board_free(board);
}

/* A period of more than half of what a 32-bit comparator shows: it stays where it is until it is reached. */
static void test_long_period(void)
{
	struct board *board = board_new();
	const uint32_t period = 0xf0000000;

	put32(board, T_CONFIG(1), ENABLE | PERIODIC | SET_VALUE | BITS32 | ROUTE(21u));
	put32(board, T_COMPARE(1), period);
	for (unsigned i = 0; i < 3; i++)
		g_assert_cmphex(get32(board, T_COMPARE(1)), ==, period);
	put32(board, CONFIG, 1);
	run(board, 0xc0000000);
	g_assert_cmphex(get32(board, T_COMPARE(1)), ==, period);
	run(board, 0x2fffffff);
	g_assert_cmpuint(take_edges(board, 21), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 21), ==, 1);
	g_assert_cmphex(get32(board, T_COMPARE(1)), ==, 2 * period);
	run(board, period - 1);
	g_assert_cmpuint(take_edges(board, 21), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board, 21), ==, 1);
	board_free(board);
}

/* A halted counter that stands on a comparator matches it when it is let go, also after a journey. */
static void test_save_halted(void)
{
	struct board *board = board_new(), *other = board_new();
	g_autoptr(GByteArray) state = g_byte_array_new();
	size_t used;

	put(board, COUNTER, 5000);
	put32(board, T_CONFIG(2), ENABLE | ROUTE(22u));
	put(board, T_COMPARE(2), 5000);
	device_save(hpet_device(board->hpet), state);
	g_assert_true(device_load(hpet_device(other->hpet), state->data, state->len, &used, NULL));
	put32(board, CONFIG, 1);
	put32(other, CONFIG, 1);
	g_assert_cmpuint(take_edges(board, 22), ==, 1);
	g_assert_cmpuint(take_edges(other, 22), ==, 1);
	board_free(board);
	board_free(other);
}

static void test_save(void)
{
	struct board *board = board_new(), *other = board_new();
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;

	put(board, CONFIG, 1);
	put(board, T_CONFIG(0), ENABLE | PERIODIC | SET_VALUE | ROUTE(20u));
	put(board, T_COMPARE(0), 100000);
	put(board, T_CONFIG(1), ENABLE | LEVEL | ROUTE(21u));
	put(board, T_COMPARE(1), 50000);
	run(board, 150000);
	run(other, 150000);
	device_save(hpet_device(board->hpet), state);
	g_assert_true(device_load(hpet_device(other->hpet), state->data, state->len, &used, &err));
	g_assert_no_error(err);
	g_assert_cmpuint(get(other, COUNTER), ==, 150000);
	g_assert_cmpuint(get(other, T_COMPARE(0)), ==, 200000);
	g_assert_cmphex(get(other, STATUS), ==, 2);
	other->lines[21] = true;
	put(other, STATUS, 2);
	g_assert_false(other->lines[21]);
	run(other, 49999);
	g_assert_cmpuint(take_edges(other, 20), ==, 0);
	run(other, 1);
	g_assert_cmpuint(take_edges(other, 20), ==, 1);
	board_free(board);
	board_free(other);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/hpet/registers", test_registers);
	g_test_add_func("/hpet/counter", test_counter);
	g_test_add_func("/hpet/one-shot", test_one_shot);
	g_test_add_func("/hpet/32-bit", test_32bit);
	g_test_add_func("/hpet/periodic", test_periodic);
	g_test_add_func("/hpet/level", test_level);
	g_test_add_func("/hpet/message", test_message);
	g_test_add_func("/hpet/legacy", test_legacy);
	g_test_add_func("/hpet/long-period", test_long_period);
	g_test_add_func("/hpet/save", test_save);
	g_test_add_func("/hpet/save-halted", test_save_halted);
	return g_test_run();
}
