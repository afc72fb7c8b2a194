/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any sequence of accesses to the board's old devices, with time, input, acknowledges and ends of interrupts in
 * between. Input: operations of 8 bytes: u8 kind, u8 how, u16 where, u32 value.
 *
 * A machine may travel at any moment: its saved state is loaded into a second one, and from then on both are driven the
 * same and must answer the same, to the guest and to their interrupt controllers.
 */
#include <stdlib.h>
#include <string.h>

#include "console/chardev.h"
#include "vmm/dev/devices.h"
#include "vmm/pci.h"
#include "vmm/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PORT_READ, PORT_WRITE, HPET, IOAPIC, ADVANCE, JUMP, INPUT, ACK, EOI, POWER_BUTTON, RESET, TRAVEL, N_KINDS };

#define N_GSIS 24u
#define MAX_OPS 512u
#define MAX_ADVANCE (20 * NS_PER_MS)	  /* in one operation, and */
#define MAX_ADVANCE_ALL (300 * NS_PER_MS) /* in all of them: the timers can be made to fire every 50 us */

static const uint16_t ports[] = {
	0x20, 0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,	0x41,  0x42,  0x43,  0x61,  0x70,
	0x71, 0x72,  0x73,  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x60,
	0x64, 0x600, 0x602, 0x604, 0x608, 0x620, 0x628, 0xb2,  0xb3,  0x505, 0x80,  0x402,
};

/* The host end of the serial port. */
struct chardev {
	const struct chardev_client *client;
	void *opaque;
	uint32_t sum; /* of what has been written */
	unsigned n_accepts;
};

struct machine {
	struct vm vm;
	struct i8254 *pit;
	struct rtc *rtc;
	struct chardev chardev;
	/* what the rest of the machine has noticed */
	uint64_t log;
	bool pic_output;
};

/* Order counts: every event goes into what came before it. */
static void note(struct machine *machine, uint64_t event)
{
	machine->log = (machine->log ^ event) * UINT64_C(0x100000001b3) + 1;
}

void vm_request_stop(struct vm *vm, enum vm_stop why, const char *reason)
{
	(void)reason;
	note((struct machine *)(void *)vm, 0x100 + (uint64_t)why);
}

void vm_request_reset(struct vm *vm, const char *reason)
{
	(void)reason;
	note((struct machine *)(void *)vm, 0x200);
}

/* The value depends on the host's clock, so only the event counts. */
void vm_post_value(struct vm *vm, enum vm_event event, int64_t value)
{
	(void)value;
	note((struct machine *)(void *)vm, 0x300 + (uint64_t)event);
}

void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque)
{
	chardev->client = client;
	chardev->opaque = opaque;
}

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		chardev->sum = chardev->sum * 31 + data[i];
}

void chardev_accept_input(struct chardev *chardev)
{
	chardev->n_accepts++;
}

/* --- a machine --- */

static void on_pic_output(void *opaque, unsigned pin, bool level)
{
	struct machine *machine = opaque;

	(void)pin;
	machine->pic_output = level;
	note(machine, 0x300 + level);
}

static void on_message(void *opaque, const struct msi_message *msg)
{
	note(opaque, 0x400);
	note(opaque, msg->address);
	note(opaque, msg->data);
}

static void on_gsi(void *opaque, unsigned gsi, bool level)
{
	struct machine *machine = opaque;
	bool pit = gsi == 0 || gsi == 2;

	if (gsi < 16)
		i8259_set_irq(machine->vm.pic, pit ? 0 : gsi, level);
	ioapic_set_irq(machine->vm.ioapic, pit ? 2 : gsi, level);
}

static void on_legacy(void *opaque, bool on)
{
	struct machine *machine = opaque;

	i8254_set_legacy_off(machine->pit, on);
	rtc_set_legacy_off(machine->rtc, on);
}

static void add(struct machine *machine, struct device *dev)
{
	g_ptr_array_add(machine->vm.devices, dev);
	device_reset(dev);
}

static struct machine *machine_new(void)
{
	struct machine *machine = g_new0(struct machine, 1);
	struct vm *vm = &machine->vm;
	struct irq gsis[N_GSIS], out = { .set = on_pic_output, .opaque = machine };

	for (unsigned i = 0; i < N_GSIS; i++)
		gsis[i] = (struct irq){ .set = on_gsi, .opaque = machine, .pin = i };
	vm->pio = bus_new(0x10000);
	vm->mmio = bus_new(UINT64_C(1) << 46);
	vm->timers = timers_new_manual();
	vm->devices = g_ptr_array_new();
	vm->pic = i8259_new(vm, vm->pio, &out);
	add(machine, i8259_device(vm->pic));
	vm->ioapic = ioapic_new(vm, vm->mmio, on_message, machine);
	add(machine, ioapic_device(vm->ioapic));
	machine->pit = i8254_new(vm, vm->pio, vm->timers, &gsis[0]);
	add(machine, i8254_device(machine->pit));
	machine->rtc = rtc_new(vm, vm->pio, vm->timers, &gsis[8], 1700000000, 1 << 30, 1 << 30);
	add(machine, rtc_device(machine->rtc));
	add(machine, hpet_device(hpet_new(vm, vm->mmio, vm->timers, gsis, on_message, on_legacy, machine)));
	add(machine, uart_device(uart_new(vm, vm->pio, 0x3f8, &gsis[4], &machine->chardev, "com1")));
	add(machine, i8042_new(vm, vm->pio, &gsis[1], &gsis[12]));
	vm->pm = pm_new(vm, vm->pio, vm->timers, &gsis[PM_SCI_GSI]);
	add(machine, pm_device(vm->pm));
	add(machine, pvpanic_new(vm, vm->pio));
	add(machine, debug_port_new(vm, vm->pio, &machine->chardev));
	return machine;
}

static void machine_free(struct machine *machine)
{
	struct vm *vm = &machine->vm;

	for (guint i = vm->devices->len; i > 0; i--)
		device_destroy(vm->devices->pdata[i - 1]);
	g_ptr_array_free(vm->devices, TRUE);
	timers_free(vm->timers);
	bus_free(vm->mmio);
	bus_free(vm->pio);
	g_free(machine);
}

static void set_time(struct machine *machine, uint64_t now)
{
	timers_pause(machine->vm.timers);
	timers_set_now(machine->vm.timers, now);
	timers_resume(machine->vm.timers);
}

static void load(struct device *dev, const GByteArray *state)
{
	g_autoptr(GError) err = NULL;
	size_t used = 0;
	bool loaded = device_load(dev, state->data, state->len, &used, &err);

	g_assert_no_error(err);
	g_assert_true(loaded);
	g_assert_cmpuint(used, ==, state->len);
}

static void assert_same_state(struct device *dev, const GByteArray *state)
{
	g_autoptr(GByteArray) again = g_byte_array_new();
	guint i = 0;

	device_save(dev, again);
	while (i < MIN(state->len, again->len) && state->data[i] == again->data[i])
		i++;
	if (i == MAX(state->len, again->len))
		return;
	g_printerr("%s: its state is another when it has been loaded, from byte %u of %u\n", dev->id, i, again->len);
	abort();
}

static void pause_device(gpointer dev, gpointer data)
{
	(void)data;
	device_pause(dev);
}

static void resume_device(gpointer dev, gpointer data)
{
	(void)data;
	device_resume(dev);
}

/* Whatever a guest can do to a device, its state can be saved, loaded, and is the same when it is saved again. */
static struct machine *travel(struct machine *from)
{
	struct machine *to = machine_new();
	GPtrArray *devices = to->vm.devices;
	g_autoptr(GPtrArray) states = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);

	set_time(to, timers_now(from->vm.timers));
	g_ptr_array_foreach(from->vm.devices, pause_device, NULL);
	for (guint i = 0; i < devices->len; i++) {
		g_ptr_array_add(states, g_byte_array_new());
		device_save(from->vm.devices->pdata[i], states->pdata[i]);
	}
	for (guint i = 0; i < devices->len; i++)
		load(devices->pdata[i], states->pdata[i]);
	for (guint i = 0; i < devices->len; i++)
		assert_same_state(devices->pdata[i], states->pdata[i]);
	g_ptr_array_foreach(from->vm.devices, resume_device, NULL);
	g_ptr_array_foreach(devices, resume_device, NULL);
	g_assert_true(to->pic_output == from->pic_output);
	to->log = from->log;
	to->chardev.sum = from->chardev.sum;
	return to;
}

/* --- operations --- */

static uint64_t read_port(struct machine *machine, uint16_t where, unsigned width)
{
	uint64_t val;

	bus_read(machine->vm.pio, ports[where % G_N_ELEMENTS(ports)], width, &val);
	return val;
}

/* bit 7 of how: a write. */
static uint64_t access_mmio(struct machine *machine, uint64_t addr, uint8_t how, uint32_t val)
{
	unsigned width = 1u << (how & 3);
	uint64_t result = 0;

	if (how & 0x80)
		bus_write(machine->vm.mmio, addr, width,
			  width == 8 ? val | (uint64_t)val << (how & 0x40 ? 32 : 0) : val);
	else
		bus_read(machine->vm.mmio, addr, width, &result);
	return result;
}

static uint64_t access_ioapic(struct machine *machine, uint8_t how, uint16_t where, uint32_t val)
{
	bus_write(machine->vm.mmio, 0xfec00000, 4, where & 0x3f);
	return access_mmio(machine, 0xfec00000 + (how & 0x10 ? 0x40 : 0x10), (how & 0x80) | 2, val);
}

static uint64_t take_input(struct machine *machine, uint16_t where, uint32_t val)
{
	const uint8_t bytes[4] = { (uint8_t)val, (uint8_t)(val >> 8), (uint8_t)(val >> 16), (uint8_t)(val >> 24) };
	struct chardev *chardev = &machine->chardev;

	if (where & 4)
		chardev->client->send_break(chardev->opaque);
	return chardev->client->receive(chardev->opaque, bytes, (where & 3) + 1);
}

static void advance(struct machine *machine, uint32_t val, uint64_t advanced)
{
	uint64_t ns = val % MAX_ADVANCE;

	if (advanced < MAX_ADVANCE_ALL)
		timers_advance(machine->vm.timers, ns);
}

static void reset(struct machine *machine)
{
	for (guint i = 0; i < machine->vm.devices->len; i++)
		device_reset(machine->vm.devices->pdata[i]);
}

/* What the guest sees of it. */
static uint64_t operate(struct machine *machine, const uint8_t *op, uint64_t advanced)
{
	unsigned width = 1u << (op[1] & 3);
	uint16_t where = pci_get16(op + 2);
	uint32_t val = pci_get32(op + 4);

	switch (op[0] % N_KINDS) {
	case PORT_READ:
		return read_port(machine, where, width);
	case PORT_WRITE:
		bus_write(machine->vm.pio, ports[where % G_N_ELEMENTS(ports)], width, val);
		return 0;
	case HPET:
		return access_mmio(machine, 0xfed00000 + where % 0x180, op[1], val);
	case IOAPIC:
		return access_ioapic(machine, op[1], where, val);
	case ADVANCE:
		advance(machine, val, advanced);
		return 0;
	case JUMP: /* nobody ran for a while */
		set_time(machine, timers_now(machine->vm.timers) + ((uint64_t)val << (where & 15)));
		return 0;
	case INPUT:
		return take_input(machine, where, val);
	case ACK:
		return machine->pic_output || where & 1 ? i8259_ack(machine->vm.pic) : 0;
	case EOI:
		ioapic_eoi(machine->vm.ioapic, (uint8_t)val);
		return 0;
	case POWER_BUTTON:
		return pm_power_button(machine->vm.pm);
	case RESET:
		reset(machine);
		return 0;
	default:
		return 0;
	}
}

static void assert_same(const struct machine *a, const struct machine *b)
{
	g_assert_cmphex(a->log, ==, b->log);
	g_assert_true(a->pic_output == b->pic_output);
	g_assert_cmphex(a->chardev.sum, ==, b->chardev.sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine *machine = machine_new(), *twin = NULL;
	uint64_t advanced = 0;

	for (size_t pos = 0; size - pos >= 8 && pos < MAX_OPS * 8; pos += 8) {
		uint64_t seen = operate(machine, data + pos, advanced);

		if (twin) {
			g_assert_cmphex(operate(twin, data + pos, advanced), ==, seen);
			assert_same(machine, twin);
		}
		if (data[pos] % N_KINDS == ADVANCE)
			advanced += pci_get32(data + pos + 4) % MAX_ADVANCE;
		if (data[pos] % N_KINDS == TRAVEL) {
			if (twin)
				machine_free(twin);
			twin = travel(machine);
		}
	}
	if (twin)
		machine_free(twin);
	machine_free(machine);
	return 0;
}
