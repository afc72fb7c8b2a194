/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>
#include <string.h>

#include "console/chardev.h"
#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"
#include "vmm/vm.h"

/* The VM, as far as these devices ask it for something. */
struct fixture {
	struct vm vm; /* first: what devices hand back */
	struct timers *timers;
	struct pm *pm;
	struct device *kbc, *pvpanic, *debug_port;
	bool lines[16];
	unsigned n_resets, n_stops;
	enum vm_stop stop;
};

void vm_request_stop(struct vm *vm, enum vm_stop why, G_GNUC_UNUSED const char *reason)
{
	struct fixture *f = (struct fixture *)vm;

	f->n_stops++;
	f->stop = why;
}

void vm_request_reset(struct vm *vm, G_GNUC_UNUSED const char *reason)
{
	((struct fixture *)vm)->n_resets++;
}

struct chardev {
	GString *out;
};

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	g_string_append_len(chardev->out, (const char *)data, (gssize)len);
}

static void set_line(void *opaque, unsigned pin, bool level)
{
	((struct fixture *)opaque)->lines[pin] = level;
}

static struct irq line(struct fixture *f, unsigned pin)
{
	return (struct irq){ .set = set_line, .opaque = f, .pin = pin };
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	const struct irq kbd = line(f, 1), aux = line(f, 12), sci = line(f, PM_SCI_GSI);

	f->timers = timers_new_manual();
	f->vm.pio = bus_new(0x10000);
	f->kbc = i8042_new(&f->vm, f->vm.pio, &kbd, &aux);
	f->pm = pm_new(&f->vm, f->vm.pio, f->timers, &sci);
	f->pvpanic = pvpanic_new(&f->vm, f->vm.pio);
	f->debug_port = debug_port_new(&f->vm, f->vm.pio, NULL);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	device_destroy(f->debug_port);
	device_destroy(f->pvpanic);
	device_destroy(pm_device(f->pm));
	device_destroy(f->kbc);
	bus_free(f->vm.pio);
	timers_free(f->timers);
}

static uint32_t in(struct fixture *f, unsigned port, unsigned size)
{
	uint64_t val;

	g_assert_true(bus_read(f->vm.pio, port, size, &val));
	return (uint32_t)val;
}

static void out(struct fixture *f, unsigned port, unsigned size, uint32_t val)
{
	g_assert_true(bus_write(f->vm.pio, port, size, val));
}

/* --- keyboard controller --- */

static void command(struct fixture *f, uint8_t val)
{
	g_assert_cmphex(in(f, 0x64, 1) & 0x02, ==, 0); /* always ready for input */
	out(f, 0x64, 1, val);
}

static uint8_t answer(struct fixture *f)
{
	g_assert_cmphex(in(f, 0x64, 1) & 0x01, ==, 1);
	return (uint8_t)in(f, 0x60, 1);
}

static void write_config(struct fixture *f, uint8_t val)
{
	command(f, 0x60);
	out(f, 0x60, 1, val);
}

static uint8_t read_config(struct fixture *f)
{
	command(f, 0x20);
	return answer(f);
}

static void test_kbc_probe(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_assert_cmphex(in(f, 0x64, 1), ==, 0x14); /* nothing to flush, not locked */
	command(f, 0xaa);
	g_assert_cmphex(answer(f), ==, 0x55);
	command(f, 0xab);
	g_assert_cmphex(answer(f), ==, 0x00);
	g_assert_cmphex(read_config(f), ==, 0x65);
	write_config(f, 0x74);
	g_assert_cmphex(read_config(f), ==, 0x74);
	write_config(f, 0xff);
	g_assert_cmphex(read_config(f), ==, 0x7f);
	command(f, 0xae);
	g_assert_cmphex(read_config(f), ==, 0x6f);
	command(f, 0xad);
	g_assert_cmphex(read_config(f), ==, 0x7f);
	command(f, 0x65); /* the other RAM bytes are just memory */
	out(f, 0x60, 1, 0x99);
	command(f, 0x25);
	g_assert_cmphex(answer(f), ==, 0x99);
	command(f, 0xc0);
	g_assert_cmphex(answer(f) & 0x80, ==, 0x80);
	command(f, 0xff); /* pulses nothing */
	g_assert_cmphex(in(f, 0x64, 1) & 0x01, ==, 0);
	g_assert_cmpuint(f->n_resets, ==, 0);
}

/* Every way a driver looks for a mouse port fails, and at once. */
static void test_kbc_no_aux(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	command(f, 0xd3);
	out(f, 0x60, 1, 0x5a);
	g_assert_cmphex(in(f, 0x64, 1) & 0x21, ==, 0x01); /* an answer, but not from the auxiliary port */
	command(f, 0xa9);
	g_assert_cmphex(answer(f), ==, 0x01);
	command(f, 0xa8);
	g_assert_cmphex(read_config(f) & 0x20, ==, 0x20);
	command(f, 0xd4);
	out(f, 0x60, 1, 0xf2);
	g_assert_cmphex(in(f, 0x64, 1) & 0x61, ==, 0x61);
	g_assert_false(f->lines[12]);
	g_assert_cmphex(answer(f), ==, 0xfe);
	write_config(f, 0x47);
	command(f, 0xd4);
	out(f, 0x60, 1, 0xf2);
	g_assert_true(f->lines[12]);
	g_assert_false(f->lines[1]);
	g_assert_cmphex(answer(f), ==, 0xfe);
	g_assert_false(f->lines[12]);
}

static void test_kbc_buffer(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	write_config(f, 0x44);
	out(f, 0x60, 1, 0xee);
	g_assert_cmphex(in(f, 0x64, 1) & 0x61, ==, 0x01);
	g_assert_false(f->lines[1]);
	write_config(f, 0x45);
	g_assert_true(f->lines[1]);
	g_assert_cmphex(answer(f), ==, 0xee);
	g_assert_false(f->lines[1]);
	g_assert_cmphex(in(f, 0x64, 1) & 0x61, ==, 0x00);
	out(f, 0x60, 1, 0x01); /* no command a keyboard knows */
	g_assert_true(f->lines[1]);
	g_assert_cmphex(answer(f), ==, 0xfe);
	command(f, 0xd2);
	out(f, 0x60, 1, 0x1c);
	g_assert_cmphex(answer(f), ==, 0x1c);
	command(f, 0xd1);
	command(f, 0x20); /* a new command forgets the one that waited for its byte */
	g_assert_cmphex(answer(f), ==, 0x65);
	out(f, 0x60, 1, 0x00);
	g_assert_cmpuint(f->n_resets, ==, 0);
}

static void test_kbc_output_port(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	command(f, 0xd0);
	g_assert_cmphex(answer(f) & 0x03, ==, 0x03);
	command(f, 0xdd);
	command(f, 0xd0);
	g_assert_cmphex(answer(f) & 0x03, ==, 0x01);
	command(f, 0xdf);
	command(f, 0xd0);
	g_assert_cmphex(answer(f) & 0x03, ==, 0x03);
	command(f, 0xd1);
	out(f, 0x60, 1, 0xdd);
	command(f, 0xd0);
	g_assert_cmphex(answer(f) & 0x03, ==, 0x01);
	g_assert_cmpuint(f->n_resets, ==, 0);
	command(f, 0xd1);
	out(f, 0x60, 1, 0xde);
	g_assert_cmpuint(f->n_resets, ==, 1);
	command(f, 0xfe);
	g_assert_cmpuint(f->n_resets, ==, 2);
	command(f, 0xf0);
	g_assert_cmpuint(f->n_resets, ==, 3);
	command(f, 0xfd);
	g_assert_cmpuint(f->n_resets, ==, 3);
}

/* --- ACPI PM block --- */

enum { STATUS = PM_BASE, ENABLE = PM_BASE + 2, CONTROL = PM_BASE + 4, TIMER = PM_BASE + 8, GPE = PM_BASE + 0x20 };

static void test_pm_mode(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_assert_cmphex(in(f, CONTROL, 2), ==, 0);
	g_assert_false(pm_power_button(f->pm));
	g_assert_cmphex(in(f, STATUS, 2), ==, 0);
	out(f, 0xb2, 1, 0x55);
	g_assert_cmphex(in(f, CONTROL, 2), ==, 0);
	g_assert_cmphex(in(f, 0xb2, 1), ==, 0x55);
	out(f, 0xb2, 1, PM_ACPI_ENABLE);
	g_assert_cmphex(in(f, CONTROL, 2), ==, 1);
	out(f, 0xb2, 1, PM_ACPI_DISABLE);
	g_assert_cmphex(in(f, CONTROL, 2), ==, 0);
	out(f, 0xb3, 1, PM_ACPI_ENABLE); /* only a scratch byte */
	g_assert_cmphex(in(f, CONTROL, 2), ==, 0);
	g_assert_cmphex(in(f, 0xb3, 1), ==, PM_ACPI_ENABLE);
}

static void test_pm_button(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	out(f, 0xb2, 1, PM_ACPI_ENABLE);
	g_assert_true(pm_power_button(f->pm));
	g_assert_cmphex(in(f, STATUS, 2), ==, 0x0100);
	g_assert_false(f->lines[PM_SCI_GSI]);
	out(f, ENABLE, 2, 0xffff);
	g_assert_cmphex(in(f, ENABLE, 2), ==, 0x0721);
	g_assert_true(f->lines[PM_SCI_GSI]);
	out(f, STATUS, 2, 0x0001); /* another bit */
	g_assert_true(f->lines[PM_SCI_GSI]);
	out(f, STATUS, 2, 0x0100);
	g_assert_cmphex(in(f, STATUS, 2), ==, 0);
	g_assert_false(f->lines[PM_SCI_GSI]);
	g_assert_true(pm_power_button(f->pm));
	g_assert_true(f->lines[PM_SCI_GSI]);
	out(f, 0xb2, 1, PM_ACPI_DISABLE);
	g_assert_false(f->lines[PM_SCI_GSI]);
	out(f, 0xb2, 1, PM_ACPI_ENABLE);
	g_assert_true(f->lines[PM_SCI_GSI]);
	out(f, STATUS, 4, 0x00200100); /* clears and sets the enables in one go */
	g_assert_false(f->lines[PM_SCI_GSI]);
	g_assert_cmphex(in(f, STATUS, 4), ==, 0x00200000);
	out(f, ENABLE + 1, 1, 0x01);
	g_assert_cmphex(in(f, ENABLE, 2), ==, 0x0120);
}

static void test_pm_sleep(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	out(f, CONTROL, 2, 5 << 10 | 1);
	g_assert_cmpuint(f->n_stops, ==, 0);
	for (unsigned type = 0; type < 4; type++) {
		out(f, STATUS, 2, 0x8000);
		out(f, CONTROL, 2, 0x2001 | type << 10);
		g_assert_cmpuint(f->n_stops, ==, 0);
		g_assert_cmphex(in(f, STATUS, 2), ==, 0x8000); /* awake again */
		g_assert_cmphex(in(f, CONTROL, 2), ==, 1 | type << 10);
	}
	out(f, CONTROL, 2, 0x2001 | 5 << 10);
	g_assert_cmpuint(f->n_stops, ==, 1);
	g_assert_cmpint(f->stop, ==, VM_STOP_POWEROFF);
	out(f, CONTROL, 2, 0x2001 | 4 << 10);
	g_assert_cmpuint(f->n_stops, ==, 2);
	g_assert_cmpint(f->stop, ==, VM_STOP_POWEROFF);
	out(f, CONTROL + 1, 1, 0x20 | 5 << 2);
	g_assert_cmpuint(f->n_stops, ==, 3);
}

static void test_pm_timer(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	const uint64_t half = (UINT64_C(1) << 31) * NS_PER_SEC / 3579545; /* ns until bit 31 changes */

	g_assert_cmphex(in(f, TIMER, 4), ==, 0);
	timers_advance(f->timers, NS_PER_SEC);
	g_assert_cmpuint(in(f, TIMER, 4), ==, 3579545);
	out(f, TIMER, 4, 0);
	g_assert_cmpuint(in(f, TIMER, 4), ==, 3579545);
	g_assert_cmphex(in(f, TIMER + 1, 2), ==, 3579545 >> 8 & 0xffff);

	out(f, 0xb2, 1, PM_ACPI_ENABLE);
	out(f, ENABLE, 2, 0x0001);
	timers_advance(f->timers, half - NS_PER_SEC - 1);
	g_assert_false(f->lines[PM_SCI_GSI]);
	timers_advance(f->timers, 2);
	g_assert_true(f->lines[PM_SCI_GSI]);
	g_assert_cmphex(in(f, TIMER, 4), ==, UINT64_C(1) << 31);
	out(f, STATUS, 2, 0x0001);
	g_assert_false(f->lines[PM_SCI_GSI]);
	timers_advance(f->timers, half + 1);
	g_assert_true(f->lines[PM_SCI_GSI]);
	g_assert_cmpuint(in(f, TIMER, 4), <, 100); /* 32 bits, then from 0 */

	out(f, ENABLE, 2, 0);
	out(f, STATUS, 2, 0x0001);
	timers_advance(f->timers, half + 1);
	g_assert_false(f->lines[PM_SCI_GSI]);
	g_assert_cmphex(in(f, STATUS, 2), ==, 0x0001); /* seen all the same */
}

static void test_pm_gpe(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	for (unsigned i = 0; i < 16; i++)
		out(f, GPE + i, 1, 0xa0 + i);
	for (unsigned i = 0; i < 8; i++) {
		g_assert_cmphex(in(f, GPE + i, 1), ==, 0); /* status: writing 1 clears */
		g_assert_cmphex(in(f, GPE + 8 + i, 1), ==, 0xa8 + i);
	}
	/* Holes of the block read as 0 and take anything. */
	out(f, PM_BASE + 0x0c, 4, UINT32_MAX);
	g_assert_cmphex(in(f, PM_BASE + 0x0c, 4), ==, 0);
	g_assert_cmphex(in(f, PM_BASE + 0x06, 2), ==, 0);
}

static void load_ok(struct device *dev, const GByteArray *state)
{
	g_autoptr(GError) err = NULL;
	size_t used;

	g_assert_true(device_load(dev, state->data, state->len, &used, &err));
	g_assert_no_error(err);
	g_assert_cmpuint(used, ==, state->len);
}

static void test_save_load(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_autoptr(GByteArray) pm = g_byte_array_new(), kbc = g_byte_array_new(), other = g_byte_array_new();

	out(f, 0xb2, 1, PM_ACPI_ENABLE);
	out(f, ENABLE, 2, 0x0100);
	g_assert_true(pm_power_button(f->pm));
	out(f, GPE + 9, 1, 0x12);
	command(f, 0xdd);
	command(f, 0xd2);
	out(f, 0x60, 1, 0x77);
	device_save(pm_device(f->pm), pm);
	device_save(f->kbc, kbc);
	out(f, 0x80, 1, 0x33);
	device_save(f->debug_port, other);

	device_reset(pm_device(f->pm));
	device_reset(f->kbc);
	device_reset(f->debug_port);
	g_assert_false(f->lines[PM_SCI_GSI]);
	g_assert_false(f->lines[1]);
	g_assert_cmphex(in(f, 0x80, 1), ==, 0);
	load_ok(pm_device(f->pm), pm);
	load_ok(f->kbc, kbc);
	load_ok(f->debug_port, other);
	g_assert_true(f->lines[PM_SCI_GSI]);
	g_assert_true(f->lines[1]);
	g_assert_cmphex(in(f, STATUS, 4), ==, 0x01000100);
	g_assert_cmphex(in(f, GPE + 9, 1), ==, 0x12);
	g_assert_cmphex(answer(f), ==, 0x77);
	command(f, 0xd0);
	g_assert_cmphex(answer(f) & 0x03, ==, 0x01);
	g_assert_cmphex(in(f, 0x80, 1), ==, 0x33);
}

static void check_bad_state(struct device *dev, const char *field, uint8_t val)
{
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	uint8_t *at;
	size_t used;

	device_save(dev, state);
	at = memmem(state->data, state->len, field, strlen(field));
	g_assert_nonnull(at);
	at[strlen(field) + 5] = val;
	g_assert_false(device_load(dev, state->data, state->len, &used, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	device_reset(dev);
}

static void test_hostile_state(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	check_bad_state(pm_device(f->pm), "status", 0x02);
	check_bad_state(pm_device(f->pm), "enable", 0x10);
	check_bad_state(pm_device(f->pm), "control", 0x80);
	check_bad_state(f->kbc, "ram", 0x45); /* an auxiliary port that runs */
	check_bad_state(f->kbc, "status", 0x04);
	check_bad_state(f->kbc, "output_port", 0x02);
}

/* --- pvpanic, debug and POST ports --- */

static void test_pvpanic(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_assert_cmphex(in(f, 0x505, 1), ==, 0x07);
	out(f, 0x505, 1, 0x02); /* the crash kernel takes over */
	out(f, 0x505, 1, 0x80);
	g_assert_cmpuint(f->n_stops, ==, 0);
	out(f, 0x505, 1, 0x01);
	g_assert_cmpuint(f->n_stops, ==, 1);
	g_assert_cmpint(f->stop, ==, VM_STOP_PANIC);
	out(f, 0x505, 1, 0x04);
	g_assert_cmpint(f->stop, ==, VM_STOP_POWEROFF);
}

static void test_debug_port(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct chardev chardev = { .out = g_string_new(NULL) };
	struct bus *pio = bus_new(0x10000);
	struct device *dev = debug_port_new(&f->vm, pio, &chardev);

	out(f, 0x402, 1, 'x'); /* nobody listens */
	g_assert_cmphex(in(f, 0x402, 1), ==, 0xe9);
	g_assert_true(bus_write(pio, 0x402, 1, 'h'));
	g_assert_true(bus_write(pio, 0x402, 1, 'i'));
	g_assert_true(bus_write(pio, 0x80, 1, 0xff));
	g_assert_cmpstr(chardev.out->str, ==, "hi");
	device_destroy(dev);
	bus_free(pio);
	g_string_free(chardev.out, TRUE);
}

/* --- a processor's power-on state: SDM volume 3 table 9-1 --- */

static void test_cpu_reset(G_GNUC_UNUSED struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct x86_cpu_state state;

	memset(&state, 0xff, sizeof(state));
	x86_state_reset(&state, 5, true);
	g_assert_cmphex(state.seg[X86_CS].base + state.rip, ==, 0xfffffff0);
	g_assert_cmphex(state.seg[X86_CS].selector, ==, 0xf000);
	g_assert_cmphex(state.seg[X86_SS].limit, ==, 0xffff);
	g_assert_true(state.seg[X86_SS].attr & X86_ATTR_P);
	g_assert_cmphex(state.cr0, ==, 0x60000010);
	g_assert_cmphex(state.rflags, ==, 2);
	g_assert_cmphex(state.cr4 | state.efer | state.cr3 | state.gpr[X86_RAX], ==, 0);
	g_assert_cmphex(state.dr[6], ==, 0xffff0ff0);
	g_assert_cmphex(state.dr[7], ==, 0x400);
	g_assert_cmphex(state.fx.mxcsr, ==, 0x1f80);
	g_assert_cmphex(state.apic_base, ==, 0xfee00900);
	g_assert_cmphex(state.lapic[0x20 / 4 + 3], ==, 5);
	g_assert_cmphex(state.lapic[0x350 / 4 + 2], ==, 1); /* LINT0 masked */
	g_assert_cmpint(state.run_state, ==, X86_RUNNING);
	x86_state_reset(&state, 1, false);
	g_assert_cmphex(state.apic_base, ==, 0xfee00800);
	g_assert_cmpint(state.run_state, ==, X86_WAIT_SIPI);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/platform/hostile-state", test_hostile_state },
		{ "/platform/i8042/probe", test_kbc_probe },
		{ "/platform/i8042/no-aux", test_kbc_no_aux },
		{ "/platform/i8042/buffer", test_kbc_buffer },
		{ "/platform/i8042/output-port", test_kbc_output_port },
		{ "/platform/pm/mode", test_pm_mode },
		{ "/platform/pm/button", test_pm_button },
		{ "/platform/pm/sleep", test_pm_sleep },
		{ "/platform/pm/timer", test_pm_timer },
		{ "/platform/pm/gpe", test_pm_gpe },
		{ "/platform/pvpanic", test_pvpanic },
		{ "/platform/debug-port", test_debug_port },
		{ "/platform/save-load", test_save_load },
		{ "/platform/cpu-reset", test_cpu_reset },
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
