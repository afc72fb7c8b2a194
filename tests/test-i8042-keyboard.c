/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PS/2 keyboard through the controller's ports, as a driver sees it, and the tables of key names. */
#include <glib.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"
#include "vmm/dev/keymap.h"
#include "vmm/vm.h"

struct fixture {
	struct bus *pio;
	struct device *kbc;
	bool lines[16];
	unsigned edges; /* of line 1 */
};

static void set_line(void *opaque, unsigned pin, bool level)
{
	struct fixture *f = opaque;

	f->edges += pin == 1 && level && !f->lines[pin];
	f->lines[pin] = level;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	const struct irq kbd = { .set = set_line, .opaque = f, .pin = 1 },
			 aux = { .set = set_line, .opaque = f, .pin = 12 };

	f->pio = bus_new(0x10000);
	f->kbc = i8042_new(NULL, f->pio, &kbd, &aux);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	device_destroy(f->kbc);
	bus_free(f->pio);
}

static unsigned in(struct fixture *f, unsigned port)
{
	uint64_t val = 0;

	g_assert_true(bus_read(f->pio, port, 1, &val));
	return (unsigned)val;
}

static void out(struct fixture *f, unsigned port, unsigned val)
{
	g_assert_true(bus_write(f->pio, port, 1, val));
}

static void write_config(struct fixture *f, unsigned val)
{
	out(f, 0x64, 0x60);
	out(f, 0x60, val);
}

/* Everything that waits, in hexadecimal. */
static char *drain(struct fixture *f)
{
	GString *text = g_string_new(NULL);

	while (in(f, 0x64) & 1)
		g_string_append_printf(text, "%s%02x", text->len ? " " : "", in(f, 0x60));
	return g_string_free(text, FALSE);
}

static void expect(struct fixture *f, const char *bytes)
{
	g_autofree char *got = drain(f);

	g_assert_cmpstr(got, ==, bytes);
}

static void tell(struct fixture *f, unsigned byte, const char *answer)
{
	out(f, 0x60, byte);
	expect(f, answer);
}

static void test_bad_keys(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	i8042_key(f->kbc, 0, true);
	i8042_key(f->kbc, 0x80, true);
	i8042_key(f->kbc, 0x100, true);
	i8042_key(f->kbc, 0xffffffff, false);
	expect(f, "");
}

/* Many more keys than fit: whole keys are lost, never halves, and it works on. */
static void test_overrun(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_autofree char *all = NULL;
	g_auto(GStrv) bytes = NULL;

	for (unsigned i = 0; i < 100; i++)
		i8042_key(f->kbc, 0xc8, i % 2 == 0);
	all = drain(f);
	bytes = g_strsplit(all, " ", -1);
	g_assert_cmpuint(g_strv_length(bytes), >, 20);
	for (size_t i = 0; bytes[i]; i += 2) {
		g_assert_cmpstr(bytes[i], ==, "e0");
		g_assert_nonnull(bytes[i + 1]);
	}
	i8042_key(f->kbc, 0x1e, true);
	expect(f, "1e");
}

static void test_commands(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	write_config(f, 0x05); /* no translation */
	tell(f, 0xff, "fa aa");
	tell(f, 0xf2, "fa ab 83");
	tell(f, 0xee, "ee");
	tell(f, 0xed, "fa");
	tell(f, 0x06, "fa");
	g_assert_cmpuint(i8042_leds(f->kbc), ==, 6);
	tell(f, 0xed, "fa");
	tell(f, 0xf4, "fa"); /* a command instead of the lamps */
	g_assert_cmpuint(i8042_leds(f->kbc), ==, 6);
	tell(f, 0xf3, "fa");
	tell(f, 0x20, "fa");
	tell(f, 0xf0, "fa");
	tell(f, 0x00, "fa 02");
	tell(f, 0xf0, "fa");
	tell(f, 0x03, "fa"); /* there is no set 3: it stays */
	tell(f, 0xf0, "fa");
	tell(f, 0x00, "fa 02");
	tell(f, 0xfe, "02");
	tell(f, 0x55, "fe");
	write_config(f, 0x45);
	tell(f, 0xf2, "fa ab 41"); /* translated, as Linux knows it */
}

static void test_scanning(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	tell(f, 0xf5, "fa");
	i8042_key(f->kbc, 0x1e, true);
	expect(f, "");
	tell(f, 0xf4, "fa");
	i8042_key(f->kbc, 0x1e, true);
	expect(f, "1e");
	/* with its clock held the keyboard waits */
	out(f, 0x64, 0xad);
	i8042_key(f->kbc, 0x1e, false);
	expect(f, "");
	out(f, 0x64, 0xae);
	expect(f, "9e");
}

/* One edge a byte, and only where the controller may interrupt. */
static void test_interrupts(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	write_config(f, 0x45);
	f->edges = 0;
	i8042_key(f->kbc, 0xc8, true);
	g_assert_true(f->lines[1]);
	expect(f, "e0 48");
	g_assert_false(f->lines[1]);
	g_assert_cmpuint(f->edges, ==, 2);
	write_config(f, 0x44);
	i8042_key(f->kbc, 0x1e, true);
	g_assert_false(f->lines[1]);
}

static void test_codes(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	static const struct {
		unsigned qnum;
		const char *down1, *up1, *down2, *up2;
	} rows[] = {
		{ 0x1e, "1e", "9e", "1c", "f0 1c" },
		{ 0x41, "41", "c1", "83", "f0 83" },
		{ 0x54, "54", "d4", "84", "f0 84" },
		{ 0xc8, "e0 48", "e0 c8", "e0 75", "e0 f0 75" },
		{ 0x9d, "e0 1d", "e0 9d", "e0 14", "e0 f0 14" },
		{ 0xb7, "e0 2a e0 37", "e0 b7 e0 aa", "e0 12 e0 7c", "e0 f0 7c e0 f0 12" },
		{ 0xc6, "e1 1d 45 e1 9d c5", "", "e1 14 77 e1 f0 14 f0 77", "" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		write_config(f, 0x45);
		i8042_key(f->kbc, rows[i].qnum, true);
		expect(f, rows[i].down1);
		i8042_key(f->kbc, rows[i].qnum, false);
		expect(f, rows[i].up1);
		write_config(f, 0x05);
		i8042_key(f->kbc, rows[i].qnum, true);
		expect(f, rows[i].down2);
		i8042_key(f->kbc, rows[i].qnum, false);
		expect(f, rows[i].up2);
	}
	/* set 1 from the keyboard itself is the same as set 2 translated */
	tell(f, 0xf0, "fa");
	tell(f, 0x01, "fa");
	i8042_key(f->kbc, 0xc8, false);
	expect(f, "e0 c8");
}

static void test_saved(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_autoptr(GByteArray) state = g_byte_array_new();
	struct fixture other = { 0 };
	size_t used;

	tell(f, 0xed, "fa");
	tell(f, 0x02, "fa");
	i8042_key(f->kbc, 0xc8, true);
	device_save(f->kbc, state);
	set_up(&other, NULL);
	g_assert_true(device_load(other.kbc, state->data, state->len, &used, NULL));
	expect(&other, "e0 48");
	g_assert_cmpuint(i8042_leds(other.kbc), ==, 2);
	tear_down(&other, NULL);
}

static void test_names(void)
{
	static const struct {
		const char *set, *key;
		unsigned qnum; /* 0: refused */
	} rows[] = {
		{ "linux", "KEY_A", 0x1e },    { "linux", "30", 0x1e },	     { "linux", "KEY_DELETE", 0xd3 },
		{ "linux", "key_a", 0 },       { "linux", "", 0 },	     { "linux", "0", 0 },
		{ "linux", "99999999999", 0 }, { "linux", "-1", 0 },	     { "linux", "30x", 0 },
		{ "xt", "0x1e", 0x1e },	       { "xt", "KEY_A", 0 },	     { "atset1", "0xe048", 0xc8 },
		{ "atset2", "0x1c", 0x1e },    { "atset2", "0xe075", 0xc8 }, { "atset3", "0x63", 0xc8 },
		{ "usb", "4", 0x1e },	       { "usb", "0x52", 0xc8 },	     { "win32", "VK_A", 0x1e },
		{ "win32", "0x41", 0x1e },     { "os_x", "0", 0x1e },	     { "rfb", "0x1e", 0x1e },
		{ "xt_kbd", "30", 0x1e },      { "qnum", "200", 0xc8 },	     { "qcode", "ctrl", 0x1d },
		{ "qcode", "ctrl_l", 0x1d },   { "qcode", "30", 0 },	     { "qcode", "nope", 0 },
		{ "morse", "a", 0 },	       { "usb", "65535", 0 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) err = NULL;
		unsigned qnum = 0;
		bool found = keymap_find(rows[i].set, rows[i].key, &qnum, &err);

		if (found != (rows[i].qnum != 0) || qnum != rows[i].qnum)
			g_error("%s %s: 0x%x", rows[i].set, rows[i].key, qnum);
		g_assert_true(found || g_error_matches(err, LODGE_ERROR, LODGE_ERROR_INPUT));
	}
}

/* The controller's translation of every key's set 2 code is its number again. */
static void test_translation(void)
{
	for (unsigned qnum = 1; qnum < 0x80; qnum++) {
		unsigned set2 = keymap_set2(qnum);

		if (set2)
			g_assert_cmphex(keymap_translate((uint8_t)set2), ==, qnum);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/keyboard/bad-keys", test_bad_keys },     { "/keyboard/overrun", test_overrun },
		{ "/keyboard/commands", test_commands },     { "/keyboard/scanning", test_scanning },
		{ "/keyboard/interrupts", test_interrupts }, { "/keyboard/codes", test_codes },
		{ "/keyboard/saved", test_saved },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].run, tear_down);
	g_test_add_func("/keyboard/names", test_names);
	g_test_add_func("/keyboard/translation", test_translation);
	return g_test_run();
}
