/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define MASTER 0x20u
#define SLAVE 0xa0u
#define EOI 0x20u

struct board {
	struct bus *pio;
	struct i8259 *pic;
	bool out;
	unsigned changes;
};

static void set_out(void *opaque, G_GNUC_UNUSED unsigned pin, bool level)
{
	struct board *board = opaque;

	board->out = level;
	board->changes++;
}

static void write_port(struct board *board, uint64_t port, uint8_t val)
{
	g_assert_true(bus_write(board->pio, port, 1, val));
}

static uint8_t read_port(struct board *board, uint64_t port)
{
	uint64_t val;

	g_assert_true(bus_read(board->pio, port, 1, &val));
	return (uint8_t)val;
}

/* As a PC's firmware and kernels do: vectors 30h and 38h, everything unmasked. */
static void program(struct board *board, uint8_t icw4)
{
	write_port(board, MASTER, 0x11);
	write_port(board, MASTER + 1, 0x30);
	write_port(board, MASTER + 1, 0x04);
	write_port(board, MASTER + 1, icw4);
	write_port(board, SLAVE, 0x11);
	write_port(board, SLAVE + 1, 0x38);
	write_port(board, SLAVE + 1, 0x02);
	write_port(board, SLAVE + 1, icw4);
	write_port(board, MASTER + 1, 0);
	write_port(board, SLAVE + 1, 0);
}

static struct board *board_new(void)
{
	struct board *board = g_new0(struct board, 1);
	struct irq out = { .set = set_out, .opaque = board };

	board->pio = bus_new(0x10000);
	board->pic = i8259_new(NULL, board->pio, &out);
	device_reset(i8259_device(board->pic));
	return board;
}

static void board_free(struct board *board)
{
	device_destroy(i8259_device(board->pic));
	bus_free(board->pio);
	g_free(board);
}

static void set(struct board *board, unsigned pin, bool level)
{
	i8259_set_irq(board->pic, pin, level);
}

static void pulse(struct board *board, unsigned pin)
{
	set(board, pin, true);
	set(board, pin, false);
}

static void check_ack(struct board *board, uint8_t vector)
{
	g_assert_true(board->out);
	g_assert_cmphex(i8259_ack(board->pic), ==, vector);
}

static void test_registers(void)
{
	struct board *board = board_new();

	/* Before it is programmed it answers with what it has, and bad pins are nothing. */
	set(board, 16, true);
	set(board, 2, true);
	g_assert_false(board->out);
	g_assert_cmphex(i8259_ack(board->pic), ==, 7);

	/* A device that drives its line before the guest programs the chip: an edge needs to rise again. */
	set(board, 4, true);
	program(board, 1);
	g_assert_false(board->out);
	set(board, 4, false);
	set(board, 4, true);
	check_ack(board, 0x34);
	write_port(board, MASTER, EOI);

	write_port(board, MASTER + 1, 0xa5);
	write_port(board, SLAVE + 1, 0x5a);
	g_assert_cmphex(read_port(board, MASTER + 1), ==, 0xa5);
	g_assert_cmphex(read_port(board, SLAVE + 1), ==, 0x5a);
	write_port(board, 0x4d0, 0xff);
	write_port(board, 0x4d1, 0xff);
	g_assert_cmphex(read_port(board, 0x4d0), ==, 0xf8);
	g_assert_cmphex(read_port(board, 0x4d1), ==, 0xde);

	/* Without ICW4, and single: the next byte is a mask again. */
	write_port(board, MASTER, 0x12);
	write_port(board, MASTER + 1, 0x40);
	write_port(board, MASTER + 1, 0x77);
	g_assert_cmphex(read_port(board, MASTER + 1), ==, 0x77);
	device_reset(i8259_device(board->pic));
	g_assert_cmphex(read_port(board, 0x4d0), ==, 0);
	g_assert_cmphex(read_port(board, MASTER + 1), ==, 0);
	board_free(board);
}

static void test_nesting(void)
{
	struct board *board = board_new();

	program(board, 1);
	pulse(board, 5);
	check_ack(board, 0x35);
	g_assert_false(board->out);
	pulse(board, 6);
	g_assert_false(board->out); /* lower than what is in service */
	pulse(board, 1);
	check_ack(board, 0x31);
	write_port(board, MASTER, 0x0b);
	g_assert_cmphex(read_port(board, MASTER), ==, 0x22);
	write_port(board, MASTER, 0x0a);
	g_assert_cmphex(read_port(board, MASTER), ==, 0x40);
	write_port(board, MASTER, EOI); /* ends 1 */
	g_assert_false(board->out);
	write_port(board, MASTER, EOI); /* ends 5 */
	check_ack(board, 0x36);
	write_port(board, MASTER, 0x60 | 6);
	g_assert_false(board->out);

	/* Requested again while in service: once more after the end. */
	pulse(board, 3);
	check_ack(board, 0x33);
	pulse(board, 3);
	pulse(board, 3);
	g_assert_false(board->out);
	write_port(board, MASTER, EOI);
	check_ack(board, 0x33);
	write_port(board, MASTER, EOI);
	g_assert_false(board->out);
	board_free(board);
}

static void test_mask(void)
{
	struct board *board = board_new();

	program(board, 1);
	write_port(board, MASTER + 1, 0xff);
	pulse(board, 0);
	g_assert_false(board->out);
	write_port(board, MASTER + 1, 0xfe); /* an edge is kept while it is masked */
	check_ack(board, 0x30);
	write_port(board, MASTER, EOI);
	write_port(board, MASTER + 1, 0);

	/* Masked between request and acknowledge: spurious, nothing in service. */
	pulse(board, 1);
	g_assert_true(board->out);
	write_port(board, MASTER + 1, 0xff);
	g_assert_false(board->out);
	g_assert_cmphex(i8259_ack(board->pic), ==, 0x37);
	write_port(board, MASTER, 0x0b);
	g_assert_cmphex(read_port(board, MASTER), ==, 0);
	write_port(board, MASTER + 1, 0);
	check_ack(board, 0x31);
	board_free(board);
}

static void test_cascade(void)
{
	struct board *board = board_new();

	program(board, 1);
	pulse(board, 14);
	check_ack(board, 0x3e);
	g_assert_false(board->out);
	pulse(board, 8); /* more urgent on the slave, but the master serves pin 2: not until it is told */
	g_assert_false(board->out);
	pulse(board, 1);
	check_ack(board, 0x31);
	write_port(board, MASTER, EOI);
	write_port(board, MASTER, EOI);
	check_ack(board, 0x38); /* nested in 14 on the slave */
	write_port(board, SLAVE, EOI);
	write_port(board, SLAVE, EOI);
	write_port(board, MASTER, EOI);
	g_assert_false(board->out);

	/* The slave outranks the master's pins from 3 on. */
	pulse(board, 3);
	pulse(board, 15);
	check_ack(board, 0x3f);
	write_port(board, SLAVE, EOI);
	write_port(board, MASTER, EOI);
	check_ack(board, 0x33);
	write_port(board, MASTER, EOI);

	/* Gone before the acknowledge. */
	pulse(board, 12);
	write_port(board, SLAVE + 1, 0xff);
	g_assert_false(board->out);
	g_assert_cmphex(i8259_ack(board->pic), ==, 0x37);
	board_free(board);
}

static void test_special_nested(void)
{
	struct board *board = board_new();

	program(board, 0x11);
	pulse(board, 14);
	check_ack(board, 0x3e);
	pulse(board, 15);
	g_assert_false(board->out);
	pulse(board, 8);
	check_ack(board, 0x38);
	write_port(board, SLAVE, EOI);
	write_port(board, SLAVE, EOI);
	check_ack(board, 0x3f);
	board_free(board);
}

static void test_special_mask(void)
{
	struct board *board = board_new();

	program(board, 1);
	pulse(board, 2 + 2);
	check_ack(board, 0x34);
	pulse(board, 6);
	g_assert_false(board->out);
	write_port(board, MASTER + 1, 0x10);
	write_port(board, MASTER, 0x68); /* special mask on: what is masked does not block */
	check_ack(board, 0x36);
	write_port(board, MASTER, EOI);
	write_port(board, MASTER, 0x0b);
	g_assert_cmphex(read_port(board, MASTER), ==, 0x10);
	write_port(board, MASTER, 0x48);
	pulse(board, 6);
	g_assert_false(board->out);
	write_port(board, MASTER, 0x64);
	check_ack(board, 0x36);
	board_free(board);
}

static void test_level(void)
{
	struct board *board = board_new();

	write_port(board, 0x4d1, 0x08); /* pin 11 */
	program(board, 1);
	set(board, 11, true);
	check_ack(board, 0x3b);
	write_port(board, SLAVE, EOI);
	write_port(board, MASTER, EOI);
	check_ack(board, 0x3b); /* still asserted */
	set(board, 11, false);
	write_port(board, SLAVE, EOI);
	write_port(board, MASTER, EOI);
	g_assert_false(board->out);

	/* Withdrawn before the acknowledge: the master sees nothing. */
	set(board, 11, true);
	g_assert_true(board->out);
	set(board, 11, false);
	g_assert_false(board->out);
	g_assert_cmphex(i8259_ack(board->pic), ==, 0x37);

	/* A line that is up when its pin becomes a level pin counts at once, and a level survives programming. */
	set(board, 12, true);
	check_ack(board, 0x3c);
	write_port(board, SLAVE, EOI);
	write_port(board, MASTER, EOI);
	g_assert_false(board->out);
	write_port(board, 0x4d1, 0x10);
	g_assert_true(board->out);
	program(board, 1);
	check_ack(board, 0x3c);
	board_free(board);
}

static void test_auto_eoi(void)
{
	struct board *board = board_new();

	program(board, 3);
	pulse(board, 3);
	pulse(board, 4);
	check_ack(board, 0x33);
	check_ack(board, 0x34);
	g_assert_false(board->out);
	write_port(board, MASTER, 0x80); /* rotate in automatic EOI */
	pulse(board, 3);
	check_ack(board, 0x33);
	pulse(board, 3);
	pulse(board, 4);
	check_ack(board, 0x34);
	check_ack(board, 0x33);
	board_free(board);
}

static void test_rotation(void)
{
	struct board *board = board_new();

	program(board, 1);
	write_port(board, MASTER, 0xc0 | 4); /* 5 is highest */
	pulse(board, 0);
	pulse(board, 6);
	pulse(board, 5);
	check_ack(board, 0x35);
	write_port(board, MASTER, 0xa0); /* rotate: 6 is highest now */
	pulse(board, 5);
	check_ack(board, 0x36);
	write_port(board, MASTER, 0xe0 | 6); /* 7 */
	check_ack(board, 0x30);
	write_port(board, MASTER, EOI);
	check_ack(board, 0x35);
	board_free(board);
}

static void test_poll(void)
{
	struct board *board = board_new();

	program(board, 1);
	write_port(board, MASTER, 0x0c);
	g_assert_cmphex(read_port(board, MASTER), ==, 0);
	pulse(board, 6);
	write_port(board, MASTER, 0x0c);
	g_assert_cmphex(read_port(board, MASTER), ==, 0x86);
	g_assert_false(board->out);
	write_port(board, MASTER, 0x0b);
	g_assert_cmphex(read_port(board, MASTER), ==, 0x40);
	board_free(board);
}

static void test_save(void)
{
	struct board *board = board_new(), *other = board_new();
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;

	program(board, 1);
	pulse(board, 14);
	check_ack(board, 0x3e);
	pulse(board, 1);
	pulse(board, 15);
	device_save(i8259_device(board->pic), state);
	g_assert_true(device_load(i8259_device(other->pic), state->data, state->len, &used, &err));
	g_assert_no_error(err);
	check_ack(other, 0x31);
	write_port(other, MASTER, EOI);
	write_port(other, SLAVE, EOI);
	write_port(other, MASTER, EOI);
	check_ack(other, 0x3f);
	board_free(board);
	board_free(other);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/i8259/registers", test_registers);
	g_test_add_func("/i8259/nesting", test_nesting);
	g_test_add_func("/i8259/mask", test_mask);
	g_test_add_func("/i8259/cascade", test_cascade);
	g_test_add_func("/i8259/special-nested", test_special_nested);
	g_test_add_func("/i8259/special-mask", test_special_mask);
	g_test_add_func("/i8259/level", test_level);
	g_test_add_func("/i8259/auto-eoi", test_auto_eoi);
	g_test_add_func("/i8259/rotation", test_rotation);
	g_test_add_func("/i8259/poll", test_poll);
	g_test_add_func("/i8259/save", test_save);
	return g_test_run();
}
