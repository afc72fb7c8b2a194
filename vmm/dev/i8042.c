/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"
#include "vmm/dev/keymap.h"
#include "vmm/dev/ps2-keyboard.h"
#include "vmm/vm.h"

/*
 * The PC's keyboard controller (IBM PS/2 Technical Reference, "Keyboard and Auxiliary Device Controller") with a
 * keyboard, and nothing at the auxiliary port: what a driver may wait for there always comes at once, as the controller
 * answers when a device stays silent.
 *
 * There is one output buffer. The controller's own answers replace an unread one; bytes of the keyboard wait in the
 * keyboard until the buffer is empty and the keyboard's clock runs. The interrupt lines follow the buffer, with a gap
 * between two bytes: the guest's controllers want an edge.
 */

#define PORT_DATA 0x60u
#define PORT_COMMAND 0x64u

#define STATUS_OUTPUT_FULL 0x01u
#define STATUS_SYSTEM 0x04u  /* self test passed */
#define STATUS_COMMAND 0x08u /* the last write was a command */
#define STATUS_UNLOCKED 0x10u
#define STATUS_AUX 0x20u /* what is in the buffer came from the auxiliary port */
#define STATUS_TIMEOUT 0x40u

#define CONFIG_KBD_IRQ 0x01u
#define CONFIG_AUX_IRQ 0x02u
#define CONFIG_SYSTEM 0x04u
#define CONFIG_KBD_OFF 0x10u
#define CONFIG_AUX_OFF 0x20u
#define CONFIG_TRANSLATE 0x40u
#define CONFIG_WRITABLE 0x5fu /* the auxiliary clock cannot be switched on: there is no such port */
/* As firmware leaves it. */
#define CONFIG_RESET (CONFIG_KBD_IRQ | CONFIG_SYSTEM | CONFIG_AUX_OFF | CONFIG_TRANSLATE)

#define OUTPUT_RUN 0x01u /* 0 resets the processor */
#define OUTPUT_A20 0x02u
#define OUTPUT_KBD_FULL 0x10u
#define OUTPUT_AUX_FULL 0x20u
#define OUTPUT_KEPT 0xcfu

#define INPUT_UNLOCKED 0x80u

#define RAM_SIZE 32u
#define RAM_MASK 0x1fu

#define COMMAND_READ_RAM 0x20u
#define COMMAND_WRITE_RAM 0x60u
#define COMMAND_AUX_OFF 0xa7u
#define COMMAND_AUX_ON 0xa8u
#define COMMAND_AUX_TEST 0xa9u
#define COMMAND_SELF_TEST 0xaau
#define COMMAND_KBD_TEST 0xabu
#define COMMAND_KBD_OFF 0xadu
#define COMMAND_KBD_ON 0xaeu
#define COMMAND_READ_INPUT 0xc0u
#define COMMAND_READ_OUTPUT 0xd0u
#define COMMAND_WRITE_OUTPUT 0xd1u
#define COMMAND_FAKE_KBD 0xd2u
#define COMMAND_FAKE_AUX 0xd3u
#define COMMAND_WRITE_AUX 0xd4u
#define COMMAND_A20_OFF 0xddu
#define COMMAND_A20_ON 0xdfu
#define COMMAND_READ_TEST 0xe0u
#define COMMAND_PULSE 0xf0u

#define ANSWER_SELF_TEST 0x55u
#define ANSWER_AUX_CLOCK_LOW 0x01u
#define ANSWER_RESEND 0xfeu

struct i8042 {
	struct device dev;
	struct irq irq_kbd, irq_aux;
	uint8_t ram[RAM_SIZE]; /* byte 0: configuration */
	uint8_t status;
	uint8_t data;	     /* output buffer */
	uint8_t output_port; /* without the two buffer bits */
	uint8_t command;     /* waiting for its data byte, or 0 */
	bool break_code;     /* the keyboard's last byte announced one; only when translating */
	struct ps2_keyboard keyboard;
};

static void update_irqs(struct i8042 *kbc)
{
	bool full = kbc->status & STATUS_OUTPUT_FULL, aux = kbc->status & STATUS_AUX;

	irq_set(&kbc->irq_kbd, full && !aux && kbc->ram[0] & CONFIG_KBD_IRQ);
	irq_set(&kbc->irq_aux, full && aux && kbc->ram[0] & CONFIG_AUX_IRQ);
}

/* flags: STATUS_AUX, STATUS_TIMEOUT */
static void answer(struct i8042 *kbc, uint8_t data, uint8_t flags)
{
	kbc->data = data;
	kbc->status = (kbc->status & ~(STATUS_AUX | STATUS_TIMEOUT)) | STATUS_OUTPUT_FULL | flags;
}

/*
 * Scan code set 2 to set 1: the break prefix becomes the highest bit of the byte behind it. False: it was the prefix.
 */
static bool translate(struct i8042 *kbc, uint8_t *byte)
{
	if (!(kbc->ram[0] & CONFIG_TRANSLATE))
		return true;
	if (*byte == PS2_BREAK) {
		kbc->break_code = true;
		return false;
	}
	*byte = keymap_translate(*byte);
	if (kbc->break_code)
		*byte |= 0x80;
	kbc->break_code = false;
	return true;
}

static void pull_from_keyboard(struct i8042 *kbc)
{
	uint8_t byte;

	while (!(kbc->status & STATUS_OUTPUT_FULL) && !(kbc->ram[0] & CONFIG_KBD_OFF) &&
	       ps2_keyboard_take(&kbc->keyboard, &byte)) {
		if (translate(kbc, &byte))
			answer(kbc, byte, 0);
	}
}

static void set_output_port(struct i8042 *kbc, uint8_t val)
{
	kbc->output_port = val & OUTPUT_KEPT;
	if (!(val & OUTPUT_RUN)) {
		kbc->output_port |= OUTPUT_RUN;
		vm_request_reset(kbc->dev.vm, "keyboard controller");
	}
}

static uint8_t get_output_port(const struct i8042 *kbc)
{
	if (!(kbc->status & STATUS_OUTPUT_FULL))
		return kbc->output_port;
	return kbc->output_port | (kbc->status & STATUS_AUX ? OUTPUT_AUX_FULL : OUTPUT_KBD_FULL);
}

static void write_ram(struct i8042 *kbc, unsigned index, uint8_t val)
{
	kbc->ram[index] = index ? val : (val & CONFIG_WRITABLE) | CONFIG_AUX_OFF;
	if (!index)
		kbc->status = (kbc->status & ~STATUS_SYSTEM) | (val & CONFIG_SYSTEM ? STATUS_SYSTEM : 0);
}

static void self_test(struct i8042 *kbc)
{
	kbc->status |= STATUS_SYSTEM;
	kbc->ram[0] |= CONFIG_SYSTEM;
	answer(kbc, ANSWER_SELF_TEST, 0);
}

/*
 * The four low bits name output port lines to pull low for some microseconds; only the reset line does anything then.
 */
static void pulse(struct i8042 *kbc, uint8_t lines)
{
	if (!(lines & OUTPUT_RUN))
		vm_request_reset(kbc->dev.vm, "keyboard controller");
}

static void run_command(struct i8042 *kbc, uint8_t command)
{
	switch (command) {
	case COMMAND_READ_RAM ... COMMAND_READ_RAM + RAM_MASK:
		answer(kbc, kbc->ram[command & RAM_MASK], 0);
		break;
	case COMMAND_WRITE_RAM ... COMMAND_WRITE_RAM + RAM_MASK:
	case COMMAND_WRITE_OUTPUT ... COMMAND_WRITE_AUX:
		kbc->command = command;
		break;
	case COMMAND_AUX_TEST:
		answer(kbc, ANSWER_AUX_CLOCK_LOW, 0);
		break;
	case COMMAND_SELF_TEST:
		self_test(kbc);
		break;
	case COMMAND_KBD_TEST:
	case COMMAND_READ_TEST:
		answer(kbc, 0, 0);
		break;
	case COMMAND_KBD_OFF:
		kbc->ram[0] |= CONFIG_KBD_OFF;
		break;
	case COMMAND_KBD_ON:
		kbc->ram[0] &= ~CONFIG_KBD_OFF;
		break;
	case COMMAND_READ_INPUT:
		answer(kbc, INPUT_UNLOCKED, 0);
		break;
	case COMMAND_READ_OUTPUT:
		answer(kbc, get_output_port(kbc), 0);
		break;
	case COMMAND_A20_OFF:
		kbc->output_port &= ~OUTPUT_A20;
		break;
	case COMMAND_A20_ON:
		kbc->output_port |= OUTPUT_A20;
		break;
	case COMMAND_PULSE ... 0xff:
		pulse(kbc, command);
		break;
	case COMMAND_AUX_OFF:
	case COMMAND_AUX_ON:
	default:
		break;
	}
}

/* The data byte of a command, or a byte for the keyboard. */
static void take_data(struct i8042 *kbc, uint8_t command, uint8_t val)
{
	switch (command) {
	case COMMAND_WRITE_RAM ... COMMAND_WRITE_RAM + RAM_MASK:
		write_ram(kbc, command & RAM_MASK, val);
		break;
	case COMMAND_WRITE_OUTPUT:
		set_output_port(kbc, val);
		break;
	case COMMAND_FAKE_KBD:
	case COMMAND_FAKE_AUX:
		/* Never flagged as auxiliary: that is how drivers find out at once that there is no such port. */
		answer(kbc, val, 0);
		break;
	case COMMAND_WRITE_AUX:
		answer(kbc, ANSWER_RESEND, STATUS_AUX | STATUS_TIMEOUT);
		break;
	default:
		kbc->ram[0] &= ~CONFIG_KBD_OFF;
		kbc->break_code = false;
		ps2_keyboard_give(&kbc->keyboard, val);
		break;
	}
}

static uint64_t data_read(void *opaque, G_GNUC_UNUSED uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct i8042 *kbc = opaque;
	uint8_t data = kbc->data;

	kbc->status &= ~(STATUS_OUTPUT_FULL | STATUS_AUX | STATUS_TIMEOUT);
	update_irqs(kbc);
	pull_from_keyboard(kbc);
	update_irqs(kbc);
	return data;
}

static void data_write(void *opaque, G_GNUC_UNUSED uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct i8042 *kbc = opaque;
	uint8_t command = kbc->command;

	kbc->command = 0;
	kbc->status &= ~STATUS_COMMAND;
	take_data(kbc, command, (uint8_t)val);
	pull_from_keyboard(kbc);
	update_irqs(kbc);
}

static uint64_t status_read(void *opaque, G_GNUC_UNUSED uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct i8042 *kbc = opaque;

	return kbc->status;
}

static void command_write(void *opaque, G_GNUC_UNUSED uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct i8042 *kbc = opaque;

	kbc->command = 0;
	kbc->status |= STATUS_COMMAND;
	run_command(kbc, (uint8_t)val);
	pull_from_keyboard(kbc);
	update_irqs(kbc);
}

static const struct bus_ops data_ops = { .read = data_read, .write = data_write, .max_size = 1 };
static const struct bus_ops command_ops = { .read = status_read, .write = command_write, .max_size = 1 };

static void i8042_reset(struct device *dev)
{
	struct i8042 *kbc = (struct i8042 *)dev;

	for (unsigned i = 0; i < RAM_SIZE; i++)
		kbc->ram[i] = 0;
	kbc->ram[0] = CONFIG_RESET;
	kbc->status = STATUS_SYSTEM | STATUS_UNLOCKED;
	kbc->data = 0;
	kbc->output_port = OUTPUT_KEPT;
	kbc->command = 0;
	kbc->break_code = false;
	ps2_keyboard_reset(&kbc->keyboard);
	update_irqs(kbc);
}

static bool i8042_post_load(struct device *dev, GError **err)
{
	struct i8042 *kbc = (struct i8042 *)dev;

	if ((kbc->ram[0] & ~CONFIG_WRITABLE) != CONFIG_AUX_OFF || !(kbc->status & STATUS_UNLOCKED) ||
	    !(kbc->output_port & OUTPUT_RUN) || kbc->output_port & ~OUTPUT_KEPT || !ps2_keyboard_valid(&kbc->keyboard))
		return fail(err, LODGE_ERROR_INPUT, "saved state of %s: impossible register values", dev->id);
	update_irqs(kbc);
	return true;
}

static void i8042_destroy(struct device *dev)
{
	device_fini(dev);
	g_free(dev);
}

static const struct device_field i8042_fields[] = {
	DEVICE_FIELD_ARRAY(U8, i8042, ram),  DEVICE_FIELD(U8, i8042, status),
	DEVICE_FIELD(U8, i8042, data),	     DEVICE_FIELD(U8, i8042, output_port),
	DEVICE_FIELD(U8, i8042, command),
#define SINCE_2(type_, member_, count_) \
	{ \
		.name = #member_, .type = DEVICE_FIELD_##type_, .offset = G_STRUCT_OFFSET(struct i8042, member_), \
		.count = (count_), .since = 2 \
	}
	SINCE_2(BOOL, break_code, 1),	     SINCE_2(U8, keyboard.queue, PS2_QUEUE),
	SINCE_2(U8, keyboard.head, 1),	     SINCE_2(U8, keyboard.n, 1),
	SINCE_2(U8, keyboard.command, 1),    SINCE_2(U8, keyboard.set, 1),
	SINCE_2(U8, keyboard.leds, 1),	     SINCE_2(U8, keyboard.last, 1),
	SINCE_2(BOOL, keyboard.scanning, 1),
#undef SINCE_2
};

static const struct device_class i8042_class = {
	.name = "i8042",
	.version = 2,
	.fields = i8042_fields,
	.n_fields = G_N_ELEMENTS(i8042_fields),
	.reset = i8042_reset,
	.post_load = i8042_post_load,
	.destroy = i8042_destroy,
};

void i8042_key(struct device *dev, unsigned qnum, bool down)
{
	struct i8042 *kbc = (struct i8042 *)dev;

	g_mutex_lock(&dev->lock);
	ps2_keyboard_key(&kbc->keyboard, qnum, down);
	pull_from_keyboard(kbc);
	update_irqs(kbc);
	g_mutex_unlock(&dev->lock);
}

unsigned i8042_leds(struct device *dev)
{
	struct i8042 *kbc = (struct i8042 *)dev;
	unsigned leds;

	g_mutex_lock(&dev->lock);
	leds = kbc->keyboard.leds;
	g_mutex_unlock(&dev->lock);
	return leds;
}

struct device *i8042_new(struct vm *vm, struct bus *pio, const struct irq *irq_kbd, const struct irq *irq_aux)
{
	struct i8042 *kbc = g_new0(struct i8042, 1);

	device_init(&kbc->dev, &i8042_class, vm, "i8042");
	kbc->irq_kbd = *irq_kbd;
	kbc->irq_aux = *irq_aux;
	device_reset(&kbc->dev);
	bus_add(pio, "i8042-data", PORT_DATA, 1, true, &data_ops, kbc, &kbc->dev.lock);
	bus_add(pio, "i8042-command", PORT_COMMAND, 1, true, &command_ops, kbc, &kbc->dev.lock);
	return &kbc->dev;
}
