/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>
#include <string.h>

#include "console/chardev.h"
#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define BASE 0x3f8u

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

/* The host end, as far as a UART sees it: what it wrote, and whether it has asked for more input. */
struct chardev {
	const struct chardev_client *client;
	void *opaque;
	GString *out;
	unsigned n_asked;
};

void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque)
{
	chardev->client = client;
	chardev->opaque = opaque;
}

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	g_string_append_len(chardev->out, (const char *)data, (gssize)len);
}

void chardev_accept_input(struct chardev *chardev)
{
	chardev->n_asked++;
}

struct fixture {
	struct bus *pio;
	struct chardev chardev;
	struct uart *uart;
	bool level;
	unsigned n_edges;
};

static void set_irq(void *opaque, unsigned pin, bool level)
{
	struct fixture *f = opaque;

	g_assert_cmpuint(pin, ==, 4);
	f->n_edges += level && !f->level;
	f->level = level;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	const struct irq irq = { .set = set_irq, .opaque = f, .pin = 4 };

	f->pio = bus_new(0x10000);
	f->chardev.out = g_string_new(NULL);
	f->uart = uart_new(NULL, f->pio, BASE, &irq, &f->chardev, "com1");
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	device_destroy(uart_device(f->uart));
	g_assert_null(f->chardev.client);
	g_string_free(f->chardev.out, TRUE);
	bus_free(f->pio);
}

static uint8_t in(struct fixture *f, unsigned reg)
{
	uint64_t val;

	g_assert_true(bus_read(f->pio, BASE + reg, 1, &val));
	return (uint8_t)val;
}

static void out(struct fixture *f, unsigned reg, uint8_t val)
{
	g_assert_true(bus_write(f->pio, BASE + reg, 1, val));
}

static size_t receive(struct fixture *f, const char *text)
{
	return f->chardev.client->receive(f->chardev.opaque, (const uint8_t *)text, strlen(text));
}

static void test_power_on(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_assert_cmphex(in(f, IER), ==, 0);
	g_assert_cmphex(in(f, IIR), ==, 0x01);
	g_assert_cmphex(in(f, LCR), ==, 0);
	g_assert_cmphex(in(f, MCR), ==, 0);
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	g_assert_cmphex(in(f, MSR), ==, 0xb0);
	g_assert_false(f->level);
}

static void test_registers(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	out(f, IER, 0xff);
	g_assert_cmphex(in(f, IER), ==, 0x0f);
	out(f, IER, 0);
	out(f, SCR, 0x5a);
	g_assert_cmphex(in(f, SCR), ==, 0x5a);
	out(f, MCR, 0xff);
	g_assert_cmphex(in(f, MCR), ==, 0x1f);
	out(f, MCR, 0);
	out(f, LSR, 0xff);
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	out(f, LCR, 0x83);
	out(f, DATA, 0x34);
	out(f, IER, 0x12);
	g_assert_cmphex(in(f, DATA), ==, 0x34);
	g_assert_cmphex(in(f, IER), ==, 0x12);
	out(f, LCR, 0x03);
	g_assert_cmphex(in(f, IER), ==, 0);
	g_assert_cmpuint(f->chardev.out->len, ==, 0);
}

/* The steps by which drivers tell a 16550A with a 16-byte FIFO from its relatives. */
static void test_detection(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	unsigned n = 0;

	out(f, IER, 0);
	g_assert_cmphex(in(f, IER) & 0x0f, ==, 0);
	out(f, IER, 0x0f);
	g_assert_cmphex(in(f, IER) & 0x0f, ==, 0x0f);
	out(f, IER, 0);
	out(f, MCR, 0x1a);
	g_assert_cmphex(in(f, MSR) & 0xf0, ==, 0x90);
	out(f, MCR, 0x08);
	g_assert_cmphex(in(f, IIR) >> 6, ==, 0); /* FIFO off */
	out(f, FCR, 0x01);
	g_assert_cmphex(in(f, IIR) >> 6, ==, 3);
	out(f, LCR, 0x80); /* not a 650: no EFR at 2 */
	g_assert_cmphex(in(f, IIR), !=, 0);
	out(f, FCR, 0x21); /* not a 750: no 64-byte FIFO */
	g_assert_cmphex(in(f, IIR) >> 5 & 1, ==, 0);
	out(f, LCR, 0);
	out(f, IER, 0x40); /* not an XScale: no UART enable bit */
	g_assert_cmphex(in(f, IER), ==, 0);

	out(f, FCR, 0x07);
	out(f, MCR, 0x10);
	for (unsigned i = 0; i < 256; i++)
		out(f, DATA, (uint8_t)i);
	while (in(f, LSR) & 0x01 && n < 256)
		g_assert_cmphex(in(f, DATA), ==, n++);
	g_assert_cmpuint(n, ==, 16);
	g_assert_cmpuint(f->chardev.out->len, ==, 0);
}

static void test_transmit(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	out(f, DATA, 'a');
	out(f, DATA, 'b');
	g_assert_cmpstr(f->chardev.out->str, ==, "ab");
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	g_assert_cmphex(in(f, IIR), ==, 0x01);

	out(f, MCR, 0x08);
	out(f, IER, 0x02); /* empty already: at once */
	g_assert_true(f->level);
	g_assert_cmphex(in(f, IIR), ==, 0x02); /* identifying takes it away */
	g_assert_false(f->level);
	g_assert_cmphex(in(f, IIR), ==, 0x01);
	out(f, DATA, 'c');
	g_assert_true(f->level);
	out(f, IER, 0x00);
	g_assert_false(f->level);
	out(f, IER, 0x02);
	g_assert_true(f->level);
	out(f, IER, 0x02); /* on already: no new event */
	in(f, IIR);
	out(f, IER, 0x02);
	g_assert_false(f->level);
}

static void test_out2_gates(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	out(f, IER, 0x02);
	g_assert_false(f->level);
	out(f, MCR, 0x08);
	g_assert_true(f->level);
	out(f, MCR, 0x00);
	g_assert_false(f->level);
}

static void test_receive_plain(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	unsigned asked;

	out(f, MCR, 0x08);
	out(f, IER, 0x01);
	g_assert_cmpuint(receive(f, "xyz"), ==, 1); /* no FIFO: one character */
	g_assert_cmpuint(receive(f, "yz"), ==, 0);
	g_assert_true(f->level);
	g_assert_cmphex(in(f, IIR), ==, 0x04);
	g_assert_cmphex(in(f, LSR), ==, 0x61);
	asked = f->chardev.n_asked;
	g_assert_cmphex(in(f, DATA), ==, 'x');
	g_assert_cmpuint(f->chardev.n_asked, ==, asked + 1);
	g_assert_false(f->level);
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	g_assert_cmphex(in(f, DATA), ==, 'x'); /* nothing new: the last one stays in the register */
	g_assert_cmpuint(receive(f, "yz"), ==, 1);
	g_assert_cmphex(in(f, DATA), ==, 'y');
}

static void test_receive_fifo(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	static const struct {
		uint8_t fcr;
		unsigned level;
	} rows[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };
	unsigned asked;

	out(f, MCR, 0x08);
	out(f, IER, 0x01);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		out(f, FCR, rows[i].fcr | 0x02);
		for (unsigned n = 1; n <= 16; n++) {
			g_assert_cmpuint(receive(f, "q"), ==, 1);
			g_assert_true(f->level);
			/* Below the trigger level the time-out says that there is something. */
			g_assert_cmphex(in(f, IIR), ==, n >= rows[i].level ? 0xc4 : 0xcc);
		}
		g_assert_cmpuint(receive(f, "q"), ==, 0);
		asked = f->chardev.n_asked;
		for (unsigned n = 0; n < 15; n++)
			in(f, DATA);
		g_assert_cmpuint(f->chardev.n_asked, ==, asked);
		g_assert_true(f->level);
		in(f, DATA);
		g_assert_cmpuint(f->chardev.n_asked, ==, asked + 1);
		g_assert_false(f->level);
	}
	/* Order, across the FIFO's end. */
	g_assert_cmpuint(receive(f, "0123456789abcdefgh"), ==, 16);
	for (const char *c = "0123456789"; *c; c++)
		g_assert_cmphex(in(f, DATA), ==, (uint8_t)*c);
	g_assert_cmpuint(receive(f, "ghijklmnop"), ==, 10);
	for (const char *c = "abcdefghijklmnop"; *c; c++)
		g_assert_cmphex(in(f, DATA), ==, (uint8_t)*c);
	g_assert_cmphex(in(f, LSR), ==, 0x60);

	receive(f, "lost");
	out(f, FCR, 0x03);
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	receive(f, "lost");
	out(f, FCR, 0x00);
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	g_assert_cmphex(in(f, IIR), ==, 0x01);
	out(f, FCR, 0xc2); /* without the enable bit nothing counts */
	g_assert_cmphex(in(f, IIR), ==, 0x01);
}

static void test_priorities(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	out(f, FCR, 0x01);
	out(f, MCR, 0x18);
	out(f, MCR, 0x08); /* lines move in loopback and back: deltas */
	out(f, IER, 0x0f);
	receive(f, "r");
	f->chardev.client->send_break(f->chardev.opaque);
	g_assert_cmphex(in(f, IIR), ==, 0xc4); /* the break is not at the head yet */
	g_assert_cmphex(in(f, LSR), ==, 0xe1);
	g_assert_cmphex(in(f, DATA), ==, 'r');
	g_assert_cmphex(in(f, IIR), ==, 0xc6);
	g_assert_cmphex(in(f, LSR), ==, 0xf1);
	g_assert_cmphex(in(f, LSR), ==, 0x61); /* said once */
	g_assert_cmphex(in(f, IIR), ==, 0xc4);
	g_assert_cmphex(in(f, DATA), ==, 0);
	g_assert_cmphex(in(f, IIR), ==, 0xc2);
	g_assert_cmphex(in(f, IIR), ==, 0xc0);
	g_assert_true(f->level);
	g_assert_cmphex(in(f, MSR) & 0x0f, !=, 0);
	g_assert_cmphex(in(f, IIR), ==, 0xc1);
	g_assert_false(f->level);
}

static void test_loopback_modem(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	out(f, MCR, 0x10);
	in(f, MSR);
	out(f, MCR, 0x11);
	g_assert_cmphex(in(f, MSR), ==, 0x22);
	out(f, MCR, 0x12);
	g_assert_cmphex(in(f, MSR), ==, 0x13);
	out(f, MCR, 0x14);
	g_assert_cmphex(in(f, MSR), ==, 0x41); /* ring begins: no delta */
	out(f, MCR, 0x18);
	g_assert_cmphex(in(f, MSR), ==, 0x8c); /* ring ends, carrier comes */
	g_assert_cmphex(in(f, MSR), ==, 0x80);
	out(f, MCR, 0x00);
	g_assert_cmphex(in(f, MSR), ==, 0xb3);
}

static void test_loopback_data(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	unsigned asked;

	out(f, MCR, 0x18);
	out(f, IER, 0x05);
	g_assert_cmpuint(receive(f, "outside"), ==, 0);
	f->chardev.client->send_break(f->chardev.opaque);
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	out(f, DATA, 'a');
	g_assert_cmphex(in(f, IIR), ==, 0x04);
	out(f, DATA, 'b'); /* overwrites */
	g_assert_cmphex(in(f, IIR), ==, 0x06);
	g_assert_cmphex(in(f, LSR), ==, 0x63);
	g_assert_cmphex(in(f, IIR), ==, 0x04);
	g_assert_cmphex(in(f, DATA), ==, 'b');
	g_assert_cmphex(in(f, LSR), ==, 0x60);

	out(f, FCR, 0x01);
	for (unsigned i = 0; i < 17; i++)
		out(f, DATA, (uint8_t)i);
	g_assert_cmphex(in(f, LSR), ==, 0x63);
	for (unsigned i = 0; i < 16; i++) /* the FIFO keeps what it had */
		g_assert_cmphex(in(f, DATA), ==, i);
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	asked = f->chardev.n_asked;
	out(f, MCR, 0x08);
	g_assert_cmpuint(f->chardev.n_asked, ==, asked + 1);
	g_assert_cmpuint(receive(f, "outside"), ==, 7);
	g_assert_cmpuint(f->chardev.out->len, ==, 0);
}

static void test_wide_access(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	uint64_t val;

	g_assert_true(bus_write(f->pio, BASE + LCR, 2, 0x0883)); /* LCR and MCR */
	g_assert_true(bus_read(f->pio, BASE + LCR, 4, &val));
	g_assert_cmphex(val, ==, 0xb0600883);
}

static void test_no_chardev(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	const struct irq none = { 0 };
	struct uart *uart = uart_new(NULL, f->pio, 0x2f8, &none, NULL, "com2");
	uint64_t val;

	g_assert_true(bus_write(f->pio, 0x2f8, 1, 'x'));
	g_assert_true(bus_read(f->pio, 0x2f8, 1, &val));
	g_assert_true(bus_read(f->pio, 0x2fd, 1, &val));
	g_assert_cmphex(val, ==, 0x60);
	device_destroy(uart_device(uart));
	bus_free(f->pio); /* its regions point to what is gone */
	f->pio = bus_new(0x10000);
}

static void test_save_load(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;

	out(f, LCR, 0x83);
	out(f, DATA, 1);
	out(f, LCR, 0x03);
	out(f, FCR, 0x81);
	out(f, MCR, 0x0b);
	out(f, IER, 0x05);
	receive(f, "hello");
	in(f, DATA);
	f->chardev.client->send_break(f->chardev.opaque);
	g_assert_true(f->level);
	device_save(uart_device(f->uart), state);

	device_reset(uart_device(f->uart));
	g_assert_false(f->level);
	g_assert_cmphex(in(f, LSR), ==, 0x60);
	g_assert_true(device_load(uart_device(f->uart), state->data, state->len, &used, &err));
	g_assert_no_error(err);
	g_assert_true(f->level);
	g_assert_cmphex(in(f, LCR), ==, 0x03);
	g_assert_cmphex(in(f, IIR), ==, 0xcc);
	for (const char *c = "ello"; *c; c++)
		g_assert_cmphex(in(f, DATA), ==, (uint8_t)*c);
	g_assert_cmphex(in(f, LSR), ==, 0xf1);
}

/* A state in which field holds val is refused, and the device still works after a reset. */
static void check_bad_state(struct fixture *f, const char *field, uint8_t val)
{
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	uint8_t *at;
	size_t used;

	device_save(uart_device(f->uart), state);
	at = memmem(state->data, state->len, field, strlen(field));
	g_assert_nonnull(at);
	at[strlen(field) + 5] = val;
	g_assert_false(device_load(uart_device(f->uart), state->data, state->len, &used, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	device_reset(uart_device(f->uart));
	g_assert_cmphex(in(f, LSR), ==, 0x60);
}

static void test_hostile_state(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	check_bad_state(f, "rx_head", 16);
	check_bad_state(f, "rx_head", 0xff);
	check_bad_state(f, "rx_count", 2); /* without a FIFO */
	check_bad_state(f, "rx_count", 0xff);
	check_bad_state(f, "ier", 0x10);
	check_bad_state(f, "mcr", 0x20);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/uart/power-on", test_power_on },
		{ "/uart/registers", test_registers },
		{ "/uart/hostile-state", test_hostile_state },
		{ "/uart/detection", test_detection },
		{ "/uart/transmit", test_transmit },
		{ "/uart/out2-gates", test_out2_gates },
		{ "/uart/receive-plain", test_receive_plain },
		{ "/uart/receive-fifo", test_receive_fifo },
		{ "/uart/priorities", test_priorities },
		{ "/uart/loopback-modem", test_loopback_modem },
		{ "/uart/loopback-data", test_loopback_data },
		{ "/uart/wide-access", test_wide_access },
		{ "/uart/no-chardev", test_no_chardev },
		{ "/uart/save-load", test_save_load },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
