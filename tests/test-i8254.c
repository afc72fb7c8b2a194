/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define HZ UINT64_C(1193182)

struct board {
	struct bus *pio;
	struct timers *timers;
	struct i8254 *pit;
	bool line;
	unsigned edges;
};

static void set_line(void *opaque, G_GNUC_UNUSED unsigned pin, bool level)
{
	struct board *board = opaque;

	if (level && !board->line)
		board->edges++;
	board->line = level;
}

static struct board *board_new(void)
{
	struct board *board = g_new0(struct board, 1);
	struct irq irq = { .set = set_line, .opaque = board };

	board->pio = bus_new(0x10000);
	board->timers = timers_new_manual();
	board->pit = i8254_new(NULL, board->pio, board->timers, &irq);
	device_reset(i8254_device(board->pit));
	return board;
}

static void board_free(struct board *board)
{
	device_destroy(i8254_device(board->pit));
	timers_free(board->timers);
	bus_free(board->pio);
	g_free(board);
}

static void out(struct board *board, uint64_t port, uint8_t val)
{
	g_assert_true(bus_write(board->pio, port, 1, val));
}

static uint8_t in(struct board *board, uint64_t port)
{
	uint64_t val;

	g_assert_true(bus_read(board->pio, port, 1, &val));
	return (uint8_t)val;
}

static uint64_t tick(const struct board *board)
{
	return muldiv64(timers_now(board->timers), HZ, NS_PER_SEC);
}

/* To the first nanosecond of the tick that many ticks from now. */
static void run(struct board *board, uint64_t ticks)
{
	uint64_t target = tick(board) + ticks;

	timers_advance(board->timers, (target * NS_PER_SEC + HZ - 1) / HZ - timers_now(board->timers));
	g_assert_cmpuint(tick(board), ==, target);
}

static void program(struct board *board, unsigned channel, unsigned mode, uint16_t count)
{
	out(board, 0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	out(board, 0x40 + channel, (uint8_t)count);
	out(board, 0x40 + channel, (uint8_t)(count >> 8));
}

static unsigned counter(struct board *board, unsigned channel)
{
	unsigned low;

	out(board, 0x43, (uint8_t)(channel << 6));
	low = in(board, 0x40 + channel);
	return low | (unsigned)in(board, 0x40 + channel) << 8;
}

static uint8_t status(struct board *board, unsigned channel)
{
	out(board, 0x43, (uint8_t)(0xe0 | 2u << channel));
	return in(board, 0x40 + channel);
}

static unsigned take_edges(struct board *board)
{
	unsigned edges = board->edges;

	board->edges = 0;
	return edges;
}

static void test_idle(void)
{
	struct board *board = board_new();

	timers_advance(board->timers, 10 * NS_PER_SEC);
	g_assert_cmpuint(take_edges(board), ==, 0);
	g_assert_false(board->line);
	g_assert_cmphex(in(board, 0x43), ==, 0);
	g_assert_cmphex(in(board, 0x61) & 0x2f, ==, 0);
	board_free(board);
}

static void test_rate(void)
{
	struct board *board = board_new();
	uint64_t ticks = 0;

	program(board, 0, 2, 11932);
	take_edges(board); /* the output goes high as soon as the mode is set */
	run(board, 11931);
	g_assert_cmpuint(take_edges(board), ==, 0);
	g_assert_cmpuint(counter(board, 0), ==, 1);
	g_assert_cmphex(status(board, 0), ==, 0x34); /* low for the last tick */
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	g_assert_cmpuint(counter(board, 0), ==, 11932);
	g_assert_cmphex(status(board, 0), ==, 0xb4);

	/* An hour in steps that have nothing to do with the period: neither a tick lost nor one too many. */
	ticks = tick(board);
	for (unsigned i = 0; i < 514000; i++)
		timers_advance(board->timers, 7003909);
	g_assert_cmpuint(take_edges(board), ==, tick(board) / 11932 - ticks / 11932);
	board_free(board);
}

static void test_square(void)
{
	struct board *board = board_new();

	program(board, 0, 3, 1000);
	take_edges(board);
	g_assert_cmpuint(counter(board, 0), ==, 1000);
	run(board, 100);
	g_assert_cmpuint(counter(board, 0), ==, 800);
	g_assert_cmphex(status(board, 0), ==, 0xb6);
	run(board, 400);
	g_assert_cmpuint(counter(board, 0), ==, 1000);
	g_assert_cmphex(status(board, 0), ==, 0x36);
	run(board, 499);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);

	/* Odd counts: the high half is one tick longer; mode numbers 6 and 7 are 2 and 3. */
	program(board, 2, 7, 5);
	out(board, 0x61, 1);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);
	run(board, 2);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);
	run(board, 1);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0);
	run(board, 2);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);
	g_assert_cmphex(status(board, 2), ==, 0xb6);

	/* Count 0 is 65536. */
	program(board, 0, 2, 0);
	take_edges(board);
	run(board, 65535);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	board_free(board);
}

static void test_new_count(void)
{
	struct board *board = board_new();

	program(board, 0, 2, 1000);
	run(board, 2500);
	take_edges(board);
	out(board, 0x40, 100);
	out(board, 0x40, 0);
	g_assert_cmphex(status(board, 0) & 0x40, ==, 0x40); /* not loaded yet */
	g_assert_cmpuint(counter(board, 0), ==, 500);
	run(board, 499);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	g_assert_cmphex(status(board, 0) & 0x40, ==, 0);
	g_assert_cmpuint(counter(board, 0), ==, 100);
	run(board, 1000);
	g_assert_cmpuint(take_edges(board), ==, 10);

	/* Programming the mode again starts at once. */
	run(board, 50);
	program(board, 0, 2, 1000);
	take_edges(board);
	run(board, 999);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	board_free(board);
}

static void test_one_shots(void)
{
	struct board *board = board_new();

	/* Mode 0: low until the count is out, then high for good; the counter runs on. */
	program(board, 0, 0, 1000);
	g_assert_false(board->line);
	run(board, 999);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	g_assert_true(board->line);
	g_assert_cmpuint(counter(board, 0), ==, 0);
	run(board, 1);
	g_assert_cmpuint(counter(board, 0), ==, 0xffff);
	run(board, 100000);
	g_assert_cmpuint(take_edges(board), ==, 0);

	/* A new count starts it again; the first of its two bytes lowers the output and stops it. */
	out(board, 0x40, 50);
	g_assert_false(board->line);
	run(board, 1000);
	out(board, 0x40, 0);
	run(board, 49);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);

	/* Mode 4: high, low for one tick after the count, high again. */
	program(board, 0, 4, 200);
	take_edges(board);
	run(board, 200);
	g_assert_cmphex(status(board, 0), ==, 0x38);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	g_assert_cmphex(status(board, 0), ==, 0xb8);
	run(board, 100000);
	g_assert_cmpuint(take_edges(board), ==, 0);

	/* Written again before it is out: only the new one counts. */
	program(board, 0, 4, 200);
	run(board, 150);
	program(board, 0, 4, 300);
	take_edges(board);
	run(board, 300);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	board_free(board);
}

static void test_access(void)
{
	struct board *board = board_new();

	/* Low byte only, high byte only: the other one is 0. */
	out(board, 0x43, 0x14);
	out(board, 0x40, 200);
	run(board, 10);
	g_assert_cmpuint(in(board, 0x40), ==, 190);
	g_assert_cmpuint(in(board, 0x40), ==, 190);
	out(board, 0x43, 0x24);
	out(board, 0x40, 0x20);
	run(board, 1);
	g_assert_cmphex(in(board, 0x40), ==, 0x1f);
	out(board, 0x43, 0x00);
	run(board, 0x100);
	g_assert_cmphex(in(board, 0x40), ==, 0x1f); /* latched */
	g_assert_cmphex(in(board, 0x40), ==, 0x1e);

	/* The latch holds until both bytes are read, a second latch command changes nothing. */
	program(board, 2, 0, 0x1234);
	out(board, 0x61, 1);
	out(board, 0x43, 0x80);
	run(board, 0x100);
	out(board, 0x43, 0x80);
	g_assert_cmphex(in(board, 0x42), ==, 0x34);
	run(board, 0x100);
	g_assert_cmphex(in(board, 0x42), ==, 0x12);
	g_assert_cmphex(in(board, 0x42), ==, 0x34); /* live again: low, then high */
	g_assert_cmphex(in(board, 0x42), ==, 0x10);

	/* Read-back of count and status: status comes first. */
	out(board, 0x43, 0xc8);
	g_assert_cmphex(in(board, 0x42), ==, 0x30);
	g_assert_cmphex(in(board, 0x42), ==, 0x34);
	g_assert_cmphex(in(board, 0x42), ==, 0x10);

	/* BCD. */
	out(board, 0x43, 0xb5);
	out(board, 0x42, 0x00);
	out(board, 0x42, 0x00);
	g_assert_cmphex(counter(board, 2), ==, 0x0000);
	run(board, 1);
	g_assert_cmphex(counter(board, 2), ==, 0x9999);
	run(board, 9999);
	g_assert_cmphex(counter(board, 2), ==, 0x0000);
	out(board, 0x43, 0xb1);
	out(board, 0x42, 0x50);
	out(board, 0x42, 0x01);
	run(board, 51);
	g_assert_cmphex(counter(board, 2), ==, 0x0099);
	board_free(board);
}

static void test_gate(void)
{
	struct board *board = board_new();

	/* As Linux measures its TSC: gate up, mode 0, wait for the output. */
	out(board, 0x61, 1);
	program(board, 2, 0, 11932);
	g_assert_cmphex(in(board, 0x61) & 0x23, ==, 0x01);
	run(board, 11931);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0);
	run(board, 1);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);

	/* The gate holds mode 0, and starts mode 2 over. */
	program(board, 2, 0, 1000);
	run(board, 400);
	out(board, 0x61, 2);
	run(board, 5000);
	g_assert_cmpuint(counter(board, 2), ==, 600);
	g_assert_cmphex(in(board, 0x61) & 0x2f, ==, 0x02);
	out(board, 0x61, 1);
	run(board, 599);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0);
	run(board, 1);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);
	program(board, 2, 2, 1000);
	run(board, 999);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0);
	out(board, 0x61, 0);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);
	out(board, 0x61, 1);
	g_assert_cmpuint(counter(board, 2), ==, 1000);

	/* It triggers modes 1 and 5. */
	program(board, 2, 1, 100);
	run(board, 1000);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);
	out(board, 0x61, 0);
	out(board, 0x61, 1);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0);
	run(board, 50);
	out(board, 0x61, 0);
	out(board, 0x61, 1);
	run(board, 99);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0);
	run(board, 1);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);
	program(board, 2, 5, 100);
	out(board, 0x61, 0);
	out(board, 0x61, 1);
	run(board, 100);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0);
	run(board, 1);
	g_assert_cmphex(in(board, 0x61) & 0x20, ==, 0x20);
	board_free(board);
}

static void test_refresh(void)
{
	struct board *board = board_new();
	unsigned changes = 0;
	uint8_t last = in(board, 0x61) & 0x10;

	for (unsigned i = 0; i < 1000; i++) {
		run(board, 1);
		changes += (in(board, 0x61) & 0x10) != last;
		last = in(board, 0x61) & 0x10;
	}
	g_assert_cmpuint(changes, ==, 1000 / 18);
	board_free(board);
}

static void test_legacy(void)
{
	struct board *board = board_new();

	program(board, 0, 2, 1000);
	take_edges(board);
	i8254_set_legacy_off(board->pit, true);
	g_assert_false(board->line);
	run(board, 10000);
	g_assert_cmpuint(take_edges(board), ==, 0);
	board->line = true; /* the HPET holds it: not ours to lower */
	program(board, 0, 0, 1000);
	program(board, 0, 2, 1000);
	run(board, 1500);
	g_assert_true(board->line);
	board->line = false;
	i8254_set_legacy_off(board->pit, false);
	take_edges(board);
	run(board, 499);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	board_free(board);
}

/* A guest that asks for more than a host can give gets fewer interrupts and the right count. */
static void test_too_fast(void)
{
	struct board *board = board_new();

	program(board, 0, 2, 1);
	take_edges(board);
	run(board, HZ / 10);
	g_assert_cmpuint(take_edges(board), <=, 2000);
	board_free(board);
}

/* Late by several periods: one edge at once, and the phase is kept. */
static void test_late(void)
{
	struct board *board = board_new();

	program(board, 0, 2, 1000);
	take_edges(board);
	timers_pause(board->timers);
	timers_set_now(board->timers, 5500 * NS_PER_SEC / HZ + 1);
	timers_resume(board->timers);
	g_assert_cmpuint(counter(board, 0), ==, 500); /* any access settles it */
	g_assert_cmpuint(take_edges(board), ==, 1);
	run(board, 499);
	g_assert_cmpuint(take_edges(board), ==, 0);
	run(board, 1);
	g_assert_cmpuint(take_edges(board), ==, 1);
	board_free(board);
}

static void test_save(void)
{
	struct board *board = board_new(), *other = board_new();
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;

	program(board, 0, 2, 1000);
	program(board, 2, 0, 5000);
	out(board, 0x61, 3);
	run(board, 300);
	timers_advance(other->timers, timers_now(board->timers));
	device_save(i8254_device(board->pit), state);
	g_assert_true(device_load(i8254_device(other->pit), state->data, state->len, &used, &err));
	g_assert_no_error(err);
	take_edges(other);
	g_assert_cmpuint(counter(other, 0), ==, 700);
	run(other, 699);
	g_assert_cmpuint(take_edges(other), ==, 0);
	other->line = true;
	run(other, 1);
	g_assert_cmpuint(take_edges(other), ==, 1);
	g_assert_cmpuint(counter(other, 2), ==, 4000);
	g_assert_cmphex(in(other, 0x61) & 0x0f, ==, 3);
	board_free(board);
	board_free(other);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/i8254/idle", test_idle);
	g_test_add_func("/i8254/rate", test_rate);
	g_test_add_func("/i8254/square", test_square);
	g_test_add_func("/i8254/new-count", test_new_count);
	g_test_add_func("/i8254/one-shots", test_one_shots);
	g_test_add_func("/i8254/access", test_access);
	g_test_add_func("/i8254/gate", test_gate);
	g_test_add_func("/i8254/refresh", test_refresh);
	g_test_add_func("/i8254/legacy", test_legacy);
	g_test_add_func("/i8254/too-fast", test_too_fast);
	g_test_add_func("/i8254/late", test_late);
	g_test_add_func("/i8254/save", test_save);
	return g_test_run();
}
