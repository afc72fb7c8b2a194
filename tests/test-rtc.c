/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define MIB (UINT64_C(1) << 20)

#define WALL INT64_C(1709251196) /* Thursday, 29 February 2024, 23:59:56 UTC */

#define B_SET 0x80u
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_BINARY 0x04u
#define B_24H 0x02u

struct board {
	struct bus *pio;
	struct timers *timers;
	struct rtc *rtc;
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

static struct board *board_new(int64_t wall, uint64_t low, uint64_t high)
{
	struct board *board = g_new0(struct board, 1);
	struct irq irq = { .set = set_line, .opaque = board };

	board->pio = bus_new(0x10000);
	board->timers = timers_new_manual();
	board->rtc = rtc_new(NULL, board->pio, board->timers, &irq, wall, low, high);
	device_reset(rtc_device(board->rtc));
	return board;
}

static void board_free(struct board *board)
{
	device_destroy(rtc_device(board->rtc));
	timers_free(board->timers);
	bus_free(board->pio);
	g_free(board);
}

static uint8_t get(struct board *board, uint8_t reg)
{
	uint64_t val;

	bus_write(board->pio, 0x70, 1, reg);
	bus_read(board->pio, 0x71, 1, &val);
	return (uint8_t)val;
}

static void put(struct board *board, uint8_t reg, uint8_t val)
{
	bus_write(board->pio, 0x70, 1, reg);
	bus_write(board->pio, 0x71, 1, val);
}

static void run_ms(struct board *board, uint64_t ms)
{
	timers_advance(board->timers, ms * NS_PER_MS);
}

/* Century, year, month, day, weekday, hour, minute, second as the registers have them. */
static void check_time(struct board *board, const char *expected)
{
	g_autofree char *text =
		g_strdup_printf("%02x%02x-%02x-%02x %x %02x:%02x:%02x", get(board, 0x32), get(board, 9), get(board, 8),
				get(board, 7), get(board, 6), get(board, 4), get(board, 2), get(board, 0));

	g_assert_cmpstr(text, ==, expected);
}

static void test_time(void)
{
	struct board *board = board_new(WALL, 64 * MIB, 0);

	g_assert_cmphex(get(board, 0x0a), ==, 0x26);
	g_assert_cmphex(get(board, 0x0b), ==, B_24H);
	g_assert_cmphex(get(board, 0x0d), ==, 0x80);
	check_time(board, "2024-02-29 5 23:59:56");
	run_ms(board, 3999);
	check_time(board, "2024-02-29 5 23:59:59");
	run_ms(board, 1);
	check_time(board, "2024-03-01 6 00:00:00");
	put(board, 0x0b, B_24H | B_BINARY);
	check_time(board, "1418-03-01 6 00:00:00"); /* in hex: century 20, year 24 */
	put(board, 0x0b, B_BINARY);
	g_assert_cmphex(get(board, 4), ==, 12);
	put(board, 0x0b, 0);
	g_assert_cmphex(get(board, 4), ==, 0x12);
	run_ms(board, 13 * 3600 * 1000);
	g_assert_cmphex(get(board, 4), ==, 0x81);
	put(board, 0x0b, B_BINARY);
	g_assert_cmphex(get(board, 4), ==, 0x81);
	run_ms(board, 10 * 3600 * 1000);
	g_assert_cmphex(get(board, 4), ==, 0x8b);
	board_free(board);
}

static void test_uip(void)
{
	struct board *board = board_new(WALL, 64 * MIB, 0);

	g_assert_cmphex(get(board, 0x0a), ==, 0x26);
	timers_advance(board->timers, NS_PER_SEC - 250000);
	g_assert_cmphex(get(board, 0x0a), ==, 0x26);
	timers_advance(board->timers, 10000);
	g_assert_cmphex(get(board, 0x0a), ==, 0xa6);
	timers_advance(board->timers, 239999);
	g_assert_cmphex(get(board, 0x0a), ==, 0xa6);
	g_assert_cmphex(get(board, 0), ==, 0x56);
	timers_advance(board->timers, 1);
	g_assert_cmphex(get(board, 0x0a), ==, 0x26);
	g_assert_cmphex(get(board, 0), ==, 0x57);
	put(board, 0x0a, 0xa6); /* read-only */
	g_assert_cmphex(get(board, 0x0a), ==, 0x26);
	put(board, 0x0b, B_24H | B_SET);
	timers_advance(board->timers, NS_PER_SEC - 100000);
	g_assert_cmphex(get(board, 0x0a), ==, 0x26);
	board_free(board);
}

static void write_time(struct board *board)
{
	static const uint8_t rows[][2] = { { 0x32, 0x19 }, { 9, 0x99 }, { 8, 0x12 }, { 7, 0x31 },
					   { 4, 0x23 },	   { 2, 0x59 }, { 0, 0x58 } };

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		put(board, rows[i][0], rows[i][1]);
}

static void test_set(void)
{
	struct board *board = board_new(WALL, 64 * MIB, 0);

	/* SET alone: the registers stand still, the fraction of the second goes on. */
	run_ms(board, 300);
	put(board, 0x0b, B_24H | B_SET | B_UIE);
	g_assert_cmphex(get(board, 0x0b), ==, B_24H | B_SET);
	run_ms(board, 5000);
	check_time(board, "2024-02-29 5 23:59:56");
	write_time(board);
	check_time(board, "1999-12-31 5 23:59:58");
	put(board, 0x0b, B_24H);
	run_ms(board, 699);
	check_time(board, "1999-12-31 6 23:59:58");
	run_ms(board, 1);
	check_time(board, "1999-12-31 6 23:59:59");

	/* As Linux does it: the divider in reset too, and the first second ends half a second after that. */
	put(board, 0x0b, B_24H | B_SET);
	put(board, 0x0a, 0x76);
	write_time(board);
	put(board, 0x0b, B_24H);
	run_ms(board, 10000);
	check_time(board, "1999-12-31 6 23:59:58");
	put(board, 0x0a, 0x26);
	run_ms(board, 499);
	check_time(board, "1999-12-31 6 23:59:58");
	run_ms(board, 1);
	check_time(board, "1999-12-31 6 23:59:59");
	run_ms(board, 1000);
	check_time(board, "2000-01-01 7 00:00:00");

	/* Written while it runs, and nonsense: carried over, not a crash. */
	put(board, 4, 0x05);
	check_time(board, "2000-01-01 7 05:00:00");
	for (uint8_t reg = 0; reg < 0x0a; reg++)
		put(board, reg, 0xff);
	put(board, 0x32, 0xff);
	get(board, 9);
	run_ms(board, 1000);
	board_free(board);
}

static void test_update(void)
{
	struct board *board = board_new(WALL - 36000, 64 * MIB, 0);

	put(board, 0x0a, 0x20);
	run_ms(board, 1500);
	g_assert_cmphex(get(board, 0x0c), ==, 0x10); /* flags come without enables */
	g_assert_cmphex(get(board, 0x0c), ==, 0);
	put(board, 0x0b, B_24H | B_UIE);
	run_ms(board, 499);
	g_assert_false(board->line);
	run_ms(board, 1);
	g_assert_true(board->line);
	run_ms(board, 10000);
	g_assert_cmpuint(board->edges, ==, 1); /* until C is read */
	g_assert_cmphex(get(board, 0x0c), ==, 0x90);
	g_assert_false(board->line);
	for (unsigned i = 0; i < 5; i++) {
		run_ms(board, 1000);
		g_assert_cmpuint(board->edges, ==, i + 2);
		g_assert_cmphex(get(board, 0x0c), ==, 0x90);
	}

	/* An enable that comes after its flag raises the line, its removal lowers it. */
	put(board, 0x0b, B_24H);
	run_ms(board, 1000);
	g_assert_false(board->line);
	put(board, 0x0b, B_24H | B_UIE);
	g_assert_true(board->line);
	put(board, 0x0b, B_24H);
	g_assert_false(board->line);
	put(board, 0x0b, B_24H | B_UIE);
	device_reset(rtc_device(board->rtc));
	g_assert_false(board->line);
	g_assert_cmphex(get(board, 0x0b), ==, B_24H);
	g_assert_cmphex(get(board, 0x0c), ==, 0);
	board_free(board);
}

static void set_alarm(struct board *board, uint8_t hour, uint8_t minute, uint8_t second)
{
	put(board, 5, hour);
	put(board, 3, minute);
	put(board, 1, second);
}

static void test_alarm(void)
{
	struct board *board = board_new(WALL, 64 * MIB, 0);

	put(board, 0x0a, 0x20);
	set_alarm(board, 0x00, 0x01, 0x30);
	put(board, 0x0b, B_24H | B_AIE);
	run_ms(board, 93999);
	g_assert_cmpuint(board->edges, ==, 0);
	run_ms(board, 1);
	g_assert_cmpuint(board->edges, ==, 1);
	g_assert_cmphex(get(board, 0x0c), ==, 0xb0);
	run_ms(board, 86399999);
	g_assert_cmpuint(board->edges, ==, 1);
	run_ms(board, 1);
	g_assert_cmpuint(board->edges, ==, 2);
	g_assert_cmphex(get(board, 0x0c), ==, 0xb0);
	check_time(board, "2024-03-02 7 00:01:30");

	/* Don't care: every hour, every minute, every second. */
	set_alarm(board, 0xc0, 0x01, 0x30);
	run_ms(board, 3600 * 1000);
	g_assert_cmphex(get(board, 0x0c), ==, 0xb0);
	set_alarm(board, 0xff, 0xff, 0x31);
	run_ms(board, 1000);
	g_assert_cmphex(get(board, 0x0c), ==, 0xb0);
	set_alarm(board, 0xff, 0xff, 0xff);
	run_ms(board, 1000);
	g_assert_cmphex(get(board, 0x0c), ==, 0xb0);
	set_alarm(board, 0x25, 0x99, 0x70); /* never */
	run_ms(board, 3 * 86400 * 1000);
	g_assert_cmphex(get(board, 0x0c), ==, 0x10);

	/* 12 hours, binary: one in the afternoon. */
	put(board, 0x0b, B_BINARY | B_AIE);
	set_alarm(board, 0x81, 1, 32);
	run_ms(board, 12 * 3600 * 1000 - 1000);
	g_assert_cmphex(get(board, 0x0c), ==, 0x10);
	run_ms(board, 1000);
	g_assert_cmphex(get(board, 0x0c), ==, 0xb0);

	/* Setting the clock past the alarm does not ring it. */
	put(board, 4, 0x82);
	run_ms(board, 100);
	g_assert_cmphex(get(board, 0x0c), ==, 0);
	board_free(board);
}

static void test_periodic(void)
{
	struct board *board = board_new(WALL, 64 * MIB, 0);
	static const struct {
		uint8_t rate;
		unsigned hz;
	} rows[] = { { 1, 256 }, { 2, 128 }, { 3, 8192 }, { 6, 1024 }, { 15, 2 } };

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		put(board, 0x0a, 0x20 | rows[i].rate);
		put(board, 0x0b, B_24H | B_PIE);
		/* From half way between two expiries, so that nothing falls on a border. */
		timers_advance(board->timers, NS_PER_SEC / rows[i].hz / 2);
		get(board, 0x0c);
		board->edges = 0;
		for (unsigned n = 0; n < rows[i].hz * 2; n++) {
			timers_advance(board->timers, NS_PER_SEC / rows[i].hz);
			g_assert_cmphex(get(board, 0x0c) & 0xc0, ==, 0xc0);
		}
		g_assert_cmpuint(board->edges, ==, rows[i].hz * 2);
		put(board, 0x0b, B_24H);
		timers_advance(board->timers, NS_PER_SEC - timers_now(board->timers) % NS_PER_SEC);
	}
	put(board, 0x0a, 0x20);
	put(board, 0x0b, B_24H | B_PIE);
	get(board, 0x0c);
	run_ms(board, 5000);
	g_assert_cmphex(get(board, 0x0c), ==, 0x10);
	board_free(board);
}

static void test_legacy(void)
{
	struct board *board = board_new(WALL, 64 * MIB, 0);

	put(board, 0x0a, 0x20);
	put(board, 0x0b, B_24H | B_UIE);
	run_ms(board, 1000);
	g_assert_true(board->line);
	rtc_set_legacy_off(board->rtc, true);
	g_assert_false(board->line);
	board->line = true; /* the HPET holds it: not ours to lower */
	g_assert_cmphex(get(board, 0x0c), ==, 0x90);
	run_ms(board, 1000);
	g_assert_true(board->line);
	board->line = false;
	rtc_set_legacy_off(board->rtc, false);
	g_assert_true(board->line);
	board_free(board);
}

static void check_cmos(struct board *board, uint8_t reg, unsigned bytes, uint32_t expected)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < bytes; i++)
		val |= (uint32_t)get(board, (uint8_t)(reg + i)) << i * 8;
	g_assert_cmphex(val, ==, expected);
}

static void test_memory(void)
{
	static const struct {
		uint64_t low, high;
		uint32_t ext, above_16m, above_4g;
	} rows[] = {
		{ 1 * MIB, 0, 0, 0, 0 },
		{ 16 * MIB, 0, 15 * 1024, 0, 0 },
		{ 512 * MIB, 0, 0xffff, 496 * 16, 0 },
		{ 2048 * MIB, 6144 * MIB, 0xffff, 2032 * 16, 6144 * 16 },
		{ 2048 * MIB, 4096 * 1024 * MIB, 0xffff, 2032 * 16, 0xffffff },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct board *board = board_new(WALL, rows[i].low, rows[i].high);

		check_cmos(board, 0x15, 2, 640);
		check_cmos(board, 0x17, 2, rows[i].ext);
		check_cmos(board, 0x30, 2, rows[i].ext);
		check_cmos(board, 0x34, 2, rows[i].above_16m);
		check_cmos(board, 0x5b, 3, rows[i].above_4g);
		board_free(board);
	}
}

static void test_ram(void)
{
	struct board *board = board_new(WALL, 64 * MIB, 0);
	uint64_t val;

	put(board, 0x80 | 0x0f, 0x0a); /* bit 7 is the NMI gate */
	g_assert_cmphex(get(board, 0x0f), ==, 0x0a);
	bus_write(board->pio, 0x72, 1, 0x0f);
	bus_read(board->pio, 0x73, 1, &val);
	g_assert_cmphex(val, ==, 0);
	bus_write(board->pio, 0x73, 1, 0x77);
	g_assert_cmphex(get(board, 0x0f), ==, 0x0a);
	bus_read(board->pio, 0x73, 1, &val);
	g_assert_cmphex(val, ==, 0x77);
	bus_read(board->pio, 0x70, 1, &val);
	g_assert_cmphex(val, ==, 0xff);
	put(board, 0x0c, 0xff);
	put(board, 0x0d, 0);
	g_assert_cmphex(get(board, 0x0c), ==, 0);
	g_assert_cmphex(get(board, 0x0d), ==, 0x80);
	device_reset(rtc_device(board->rtc)); /* the battery holds it */
	g_assert_cmphex(get(board, 0x0f), ==, 0x0a);
	board_free(board);
}

static void test_save(void)
{
	struct board *board = board_new(WALL, 64 * MIB, 0), *other = board_new(WALL + 1000000, 128 * MIB, 0);
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;

	run_ms(board, 400);
	run_ms(other, 400);
	put(board, 4, 0x12);
	put(board, 0x0b, B_24H | B_UIE);
	device_save(rtc_device(board->rtc), state);
	g_assert_true(device_load(rtc_device(other->rtc), state->data, state->len, &used, &err));
	g_assert_no_error(err);
	check_time(other, "2024-02-29 5 12:59:56");
	run_ms(other, 599);
	g_assert_false(other->line);
	run_ms(other, 1);
	g_assert_true(other->line);
	check_time(other, "2024-02-29 5 12:59:57");
	board_free(board);
	board_free(other);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/rtc/time", test_time);
	g_test_add_func("/rtc/uip", test_uip);
	g_test_add_func("/rtc/set", test_set);
	g_test_add_func("/rtc/update", test_update);
	g_test_add_func("/rtc/alarm", test_alarm);
	g_test_add_func("/rtc/periodic", test_periodic);
	g_test_add_func("/rtc/legacy", test_legacy);
	g_test_add_func("/rtc/memory", test_memory);
	g_test_add_func("/rtc/ram", test_ram);
	g_test_add_func("/rtc/save", test_save);
	return g_test_run();
}
