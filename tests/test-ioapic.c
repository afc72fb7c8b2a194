/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define BASE UINT64_C(0xfec00000)
#define MASKED 0x10000u
#define LEVEL 0x8000u
#define REMOTE_IRR 0x4000u
#define LOGICAL 0x800u

struct board {
	struct bus *mmio;
	struct ioapic *ioapic;
	GString *log; /* "address:data " of every message */
};

static void log_message(void *opaque, const struct msi_message *msg)
{
	struct board *board = opaque;

	g_string_append_printf(board->log, "%" G_GINT64_MODIFIER "x:%x ", msg->address, msg->data);
}

static struct board board_new(void)
{
	return (struct board){ .mmio = bus_new(UINT64_C(1) << 40), .log = g_string_new(NULL) };
}

static void board_start(struct board *board)
{
	board->ioapic = ioapic_new(NULL, board->mmio, log_message, board);
	device_reset(ioapic_device(board->ioapic));
}

static void board_end(struct board *board)
{
	device_destroy(ioapic_device(board->ioapic));
	bus_free(board->mmio);
	g_string_free(board->log, TRUE);
}

static void check_sent(struct board *board, const char *expected)
{
	g_assert_cmpstr(board->log->str, ==, expected);
	g_string_truncate(board->log, 0);
}

static uint32_t get(struct board *board, uint32_t reg)
{
	uint64_t val;

	bus_write(board->mmio, BASE, 4, reg);
	bus_read(board->mmio, BASE + 0x10, 4, &val);
	return (uint32_t)val;
}

static void put(struct board *board, uint32_t reg, uint32_t val)
{
	bus_write(board->mmio, BASE, 4, reg);
	bus_write(board->mmio, BASE + 0x10, 4, val);
}

static void set_entry(struct board *board, unsigned pin, uint32_t high, uint32_t low)
{
	put(board, 0x11 + pin * 2, high);
	put(board, 0x10 + pin * 2, low);
}

static void set(struct board *board, unsigned pin, bool level)
{
	ioapic_set_irq(board->ioapic, pin, level);
}

static void test_registers(void)
{
	struct board board = board_new();
	uint64_t val;

	board_start(&board);
	g_assert_cmphex(get(&board, 1), ==, 0x00170020);
	for (unsigned pin = 0; pin < 24; pin++) {
		g_assert_cmphex(get(&board, 0x10 + pin * 2), ==, MASKED);
		g_assert_cmphex(get(&board, 0x11 + pin * 2), ==, 0);
	}
	/* What is not there reads 0 and takes no writes; what is read-only stays. */
	static const uint32_t absent[] = { 0x03, 0x0f, 0x40, 0x41, 0xff };
	for (size_t i = 0; i < G_N_ELEMENTS(absent); i++) {
		put(&board, absent[i], 0xffffffff);
		g_assert_cmphex(get(&board, absent[i]), ==, 0);
	}
	put(&board, 1, 0);
	put(&board, 2, 0xffffffff);
	g_assert_cmphex(get(&board, 1), ==, 0x00170020);
	put(&board, 0, 0xffffffff);
	g_assert_cmphex(get(&board, 0), ==, 0x0f000000);
	g_assert_cmphex(get(&board, 2), ==, 0x0f000000);
	set_entry(&board, 23, 0xffffffff, 0xffffffff);
	g_assert_cmphex(get(&board, 0x3e), ==, 0x1afff);
	g_assert_cmphex(get(&board, 0x3f), ==, 0xfffe0000);
	bus_read(board.mmio, BASE, 4, &val);
	g_assert_cmphex(val, ==, 0x3f);
	bus_read(board.mmio, BASE + 0x20, 4, &val);
	g_assert_cmphex(val, ==, 0);
	set(&board, 24, true);
	set(&board, 1000, true);
	check_sent(&board, "");
	board_end(&board);
}

static void test_edge(void)
{
	struct board board = board_new();

	board_start(&board);
	set_entry(&board, 4, 0x03000000, 0x34);
	check_sent(&board, "");
	set(&board, 4, true);
	check_sent(&board, "fee03000:34 ");
	set(&board, 4, true); /* no edge */
	check_sent(&board, "");
	set(&board, 4, false);
	set(&board, 4, true);
	check_sent(&board, "fee03000:34 ");
	g_assert_cmphex(get(&board, 0x18), ==, 0x34);
	ioapic_eoi(board.ioapic, 0x34);
	check_sent(&board, "");

	/* Masked: lost, also after unmasking. */
	put(&board, 0x18, MASKED | 0x34);
	set(&board, 4, false);
	set(&board, 4, true);
	put(&board, 0x18, 0x34);
	check_sent(&board, "");
	set(&board, 4, false);
	set(&board, 4, true);
	check_sent(&board, "fee03000:34 ");
	board_end(&board);
}

static void test_formats(void)
{
	struct board board = board_new();
	static const struct {
		uint32_t high, low;
		const char *message;
	} rows[] = {
		{ 0xff000000, LOGICAL | 0x100 | 0x41, "feeff004:141 " },	     /* lowest priority */
		{ 0x01000000, LEVEL | LOGICAL | 0x100 | 0x41, "fee01004:c141 " },    /* the same, level */
		{ 0x02000000, LEVEL | 0x400, "fee02000:400 " },			     /* NMI is an edge in any case */
		{ 0x00000000, 0x700, "fee00000:700 " },				     /* ExtINT */
		{ 0x12340000, 0x55, "fee12340:55 " },				     /* extended destination 1ah */
		{ 0x00000000, 0x2000 | 0x55, "fee00000:55 " },			     /* polarity changes nothing */
	};

	board_start(&board);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		set(&board, 9, false);
		set_entry(&board, 9, rows[i].high, rows[i].low);
		set(&board, 9, true);
		check_sent(&board, rows[i].message);
		ioapic_eoi(board.ioapic, (uint8_t)rows[i].low);
		g_string_truncate(board.log, 0);
	}
	g_assert_cmphex(get(&board, 0x22) & REMOTE_IRR, ==, 0);
	board_end(&board);
}

static void test_level(void)
{
	struct board board = board_new();

	board_start(&board);
	set_entry(&board, 16, 0, LEVEL | 0x51);
	set(&board, 16, true);
	check_sent(&board, "fee00000:c051 ");
	g_assert_cmphex(get(&board, 0x30), ==, LEVEL | REMOTE_IRR | 0x51);
	set(&board, 16, false);
	set(&board, 16, true); /* still in service */
	check_sent(&board, "");
	ioapic_eoi(board.ioapic, 0x52); /* somebody else's */
	check_sent(&board, "");
	ioapic_eoi(board.ioapic, 0x51); /* still asserted: again */
	check_sent(&board, "fee00000:c051 ");
	set(&board, 16, false);
	ioapic_eoi(board.ioapic, 0x51);
	check_sent(&board, "");
	g_assert_cmphex(get(&board, 0x30), ==, LEVEL | 0x51);

	/* Masked while asserted: waits; the mask itself does not end what is in service. */
	put(&board, 0x30, LEVEL | MASKED | 0x51);
	set(&board, 16, true);
	check_sent(&board, "");
	put(&board, 0x30, LEVEL | 0x51);
	check_sent(&board, "fee00000:c051 ");
	put(&board, 0x30, LEVEL | MASKED | 0x51);
	g_assert_cmphex(get(&board, 0x30), ==, LEVEL | MASKED | REMOTE_IRR | 0x51);
	ioapic_eoi(board.ioapic, 0x51);
	check_sent(&board, "");
	put(&board, 0x30, LEVEL | 0x51);
	check_sent(&board, "fee00000:c051 ");

	/* The EOI register does what a broadcast does. */
	bus_write(board.mmio, BASE + 0x40, 4, 0x51);
	check_sent(&board, "fee00000:c051 ");
	bus_write(board.mmio, BASE + 0x40, 4, 0x50);
	check_sent(&board, "");

	/* To edge and back: remote IRR is gone and the line counts anew. */
	put(&board, 0x30, MASKED | 0x51);
	g_assert_cmphex(get(&board, 0x30), ==, MASKED | 0x51);
	put(&board, 0x30, LEVEL | 0x51);
	check_sent(&board, "fee00000:c051 ");
	board_end(&board);
}

static void test_shared_vector(void)
{
	struct board board = board_new();

	board_start(&board);
	set_entry(&board, 16, 0, LEVEL | 0x51);
	set_entry(&board, 17, 0x01000000, LEVEL | 0x51);
	set(&board, 16, true);
	set(&board, 17, true);
	check_sent(&board, "fee00000:c051 fee01000:c051 ");
	set(&board, 16, false);
	ioapic_eoi(board.ioapic, 0x51);
	check_sent(&board, "fee01000:c051 ");
	board_end(&board);
}

/* A line a device holds up through a reset of the machine is still up afterwards. */
static void test_reset_and_save(void)
{
	struct board board = board_new(), other = board_new();
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;

	board_start(&board);
	board_start(&other);
	set(&board, 20, true);
	device_reset(ioapic_device(board.ioapic));
	set_entry(&board, 20, 0, LEVEL | 0x61);
	check_sent(&board, "fee00000:c061 ");
	put(&board, 0, 0x05000000);

	device_save(ioapic_device(board.ioapic), state);
	g_assert_true(device_load(ioapic_device(other.ioapic), state->data, state->len, &used, &err));
	g_assert_no_error(err);
	g_assert_cmphex(get(&other, 0x38), ==, LEVEL | REMOTE_IRR | 0x61);
	g_assert_cmphex(get(&other, 0), ==, 0x05000000);
	check_sent(&other, "");
	ioapic_eoi(other.ioapic, 0x61);
	check_sent(&other, "fee00000:c061 ");
	board_end(&board);
	board_end(&other);
}

/* Several threads drive lines while another one ends interrupts: a level that stays up is always sent again. */
#define N_DRIVERS 3u
#define N_CHANGES 20000u

struct driver {
	struct ioapic *ioapic;
	unsigned pin;
};

static void count_message(void *opaque, const struct msi_message *msg)
{
	g_atomic_int_inc(&((int *)opaque)[msg->data & 0xf]);
}

static void *drive(void *opaque)
{
	struct driver *driver = opaque;

	for (unsigned i = 0; i <= N_CHANGES * 2; i++)
		ioapic_set_irq(driver->ioapic, driver->pin, i % 2 == 0);
	return NULL;
}

static void test_threads(void)
{
	struct board board = board_new();
	struct driver drivers[N_DRIVERS];
	GThread *threads[N_DRIVERS];
	int counts[16] = { 0 };

	board.ioapic = ioapic_new(NULL, board.mmio, count_message, counts);
	set_entry(&board, 0, 0, 0x40);
	set_entry(&board, 1, 0, LEVEL | 0x41);
	set_entry(&board, 2, 0, LEVEL | 0x42);
	for (unsigned i = 0; i < N_DRIVERS; i++) {
		drivers[i] = (struct driver){ board.ioapic, i };
		threads[i] = g_thread_new("driver", drive, &drivers[i]);
	}
	for (unsigned i = 0; i < N_CHANGES; i++)
		ioapic_eoi(board.ioapic, 0x41 + i % 2);
	for (unsigned i = 0; i < N_DRIVERS; i++)
		g_thread_join(threads[i]);
	g_assert_cmpint(counts[0], ==, N_CHANGES + 1);
	for (unsigned i = 1; i < N_DRIVERS; i++) {
		int before = counts[i];

		g_assert_cmpint(before, >, 0);
		g_assert_cmphex(get(&board, 0x10 + i * 2) & REMOTE_IRR, ==, REMOTE_IRR);
		ioapic_eoi(board.ioapic, (uint8_t)(0x40 + i));
		g_assert_cmpint(counts[i], ==, before + 1);
	}
	board_end(&board);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ioapic/registers", test_registers);
	g_test_add_func("/ioapic/edge", test_edge);
	g_test_add_func("/ioapic/formats", test_formats);
	g_test_add_func("/ioapic/level", test_level);
	g_test_add_func("/ioapic/shared-vector", test_shared_vector);
	g_test_add_func("/ioapic/reset-and-save", test_reset_and_save);
	g_test_add_func("/ioapic/threads", test_threads);
	return g_test_run();
}
