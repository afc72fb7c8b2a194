/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The PC's two 8259A interrupt controllers (Intel 8259A datasheet) with the edge/level control registers of the
 * ICH (ICH9 datasheet section 13.4). The second one hangs on pin 2 of the first.
 *
 * `lines` is what the devices drive. In level mode a request follows its line; in edge mode it is latched by a
 * rising edge and taken away by the acknowledge cycle: a line that falls again before it keeps the request, so
 * that a pulse is not lost. settle() recomputes the cascade and the output after every change and is the only
 * place that drives the output.
 *
 * All registers are guarded by the device lock; the output is driven with it held (lock order: vmm/vm.h).
 */
#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define N_CHIPS 2u
#define N_PINS 16u
#define MASTER 0u
#define SLAVE 1u
#define CASCADE_PIN 2u
#define SPURIOUS_PIN 7u

#define ICW1 0x10u
#define ICW1_ICW4 0x01u
#define ICW1_SINGLE 0x02u
#define ICW4_AUTO_EOI 0x02u
#define ICW4_NESTED 0x10u
#define OCW3 0x08u
#define OCW3_RIS 0x01u
#define OCW3_RR 0x02u
#define OCW3_POLL 0x04u
#define OCW3_SMM 0x20u
#define OCW3_ESMM 0x40u

enum init_state { INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4, N_INIT_STATES };

struct chip {
	uint8_t lines, irr, imr, isr;
	uint8_t elcr;	/* 1: level */
	uint8_t lowest; /* pin of lowest priority, 7 unless rotated */
	uint8_t vector; /* of pin 0 */
	uint8_t init;	/* enum init_state */
	bool single, wants_icw4;
	bool auto_eoi, rotate_auto, nested, special_mask;
	bool read_isr, poll;
};

struct i8259 {
	struct device dev;
	struct irq out;
	bool out_level;
	struct chip chips[N_CHIPS];
};

static const uint8_t elcr_writable[N_CHIPS] = { 0xf8, 0xde };

/* The set bit of highest priority, or -1. */
static int highest(const struct chip *chip, uint8_t bits)
{
	for (unsigned i = 1; i <= 8; i++) {
		unsigned pin = (chip->lowest + i) & 7;

		if (bits >> pin & 1)
			return (int)pin;
	}
	return -1;
}

/* Distance from the highest priority: 0 to 7, 8 for none. */
static unsigned rank(const struct chip *chip, int pin)
{
	return pin < 0 ? 8 : ((unsigned)pin - chip->lowest - 1) & 7;
}

/* The pin this chip asks for, or -1. */
static int chip_request(const struct chip *chip, bool is_master)
{
	uint8_t blocking = chip->isr;
	int request = highest(chip, chip->irr & (uint8_t)~chip->imr);

	if (chip->special_mask)
		blocking &= (uint8_t)~chip->imr;
	/* Special fully nested mode: the slave in service may interrupt itself with something more urgent. */
	if (chip->nested && is_master)
		blocking &= (uint8_t)~(1u << CASCADE_PIN);
	return rank(chip, request) < rank(chip, highest(chip, blocking)) ? request : -1;
}

static void chip_line(struct chip *chip, unsigned pin, bool level)
{
	uint8_t bit = (uint8_t)(1u << pin);

	if (chip->elcr & bit)
		chip->irr = level ? chip->irr | bit : chip->irr & (uint8_t)~bit;
	else if (level && !(chip->lines & bit))
		chip->irr |= bit;
	chip->lines = level ? chip->lines | bit : chip->lines & (uint8_t)~bit;
}

/* The cascade pin shows the slave's request; unlike a device's edge it is not latched, a slave may withdraw it. */
static bool output_level(struct i8259 *pic)
{
	struct chip *master = &pic->chips[MASTER];

	if (chip_request(&pic->chips[SLAVE], false) >= 0)
		master->irr |= 1u << CASCADE_PIN;
	else
		master->irr &= (uint8_t)~(1u << CASCADE_PIN);
	return chip_request(master, true) >= 0;
}

static void settle(struct i8259 *pic)
{
	bool level = output_level(pic);

	if (level == pic->out_level)
		return;
	pic->out_level = level;
	irq_set(&pic->out, level);
}

void i8259_set_irq(void *opaque, unsigned pin, bool level)
{
	struct i8259 *pic = opaque;

	if (pin >= N_PINS || pin == CASCADE_PIN)
		return;
	g_mutex_lock(&pic->dev.lock);
	chip_line(&pic->chips[pin / 8], pin % 8, level);
	settle(pic);
	g_mutex_unlock(&pic->dev.lock);
}

static void chip_ack(struct chip *chip, unsigned pin)
{
	uint8_t bit = (uint8_t)(1u << pin);

	if (!(chip->elcr & bit))
		chip->irr &= (uint8_t)~bit;
	if (!chip->auto_eoi)
		chip->isr |= bit;
	else if (chip->rotate_auto)
		chip->lowest = (uint8_t)pin;
}

/* A request that has gone before its acknowledge shows as pin 7, without an in-service bit. */
static uint8_t chip_intack(struct chip *chip, int pin)
{
	if (pin >= 0)
		chip_ack(chip, (unsigned)pin);
	return (uint8_t)(chip->vector + (pin >= 0 ? (unsigned)pin : SPURIOUS_PIN));
}

uint8_t i8259_ack(struct i8259 *pic)
{
	struct chip *slave = &pic->chips[SLAVE];
	int pin, slave_pin;
	uint8_t vector;

	g_mutex_lock(&pic->dev.lock);
	slave_pin = chip_request(slave, false);
	pin = chip_request(&pic->chips[MASTER], true);
	vector = chip_intack(&pic->chips[MASTER], pin);
	if (pin == (int)CASCADE_PIN)
		vector = chip_intack(slave, slave_pin);
	settle(pic);
	g_mutex_unlock(&pic->dev.lock);
	return vector;
}

/* Table "Operation command words": bits 7:5 of OCW2 are R, SL, EOI. */
static void write_ocw2(struct chip *chip, uint8_t val)
{
	bool rotate = val & 0x80, specific = val & 0x40, eoi = val & 0x20;
	int pin = specific ? val & 7 : highest(chip, chip->special_mask ? chip->isr & (uint8_t)~chip->imr : chip->isr);

	if (eoi) {
		if (pin >= 0)
			chip->isr &= (uint8_t)~(1u << pin);
		if (pin >= 0 && rotate)
			chip->lowest = (uint8_t)pin;
	} else if (specific) {
		if (rotate)
			chip->lowest = (uint8_t)pin;
	} else {
		chip->rotate_auto = rotate;
	}
}

static void write_ocw3(struct chip *chip, uint8_t val)
{
	chip->poll = val & OCW3_POLL;
	if (val & OCW3_RR)
		chip->read_isr = val & OCW3_RIS;
	if (val & OCW3_ESMM)
		chip->special_mask = val & OCW3_SMM;
}

/* Forgets everything but lines, vectors and trigger modes; an edge must rise anew to be seen. */
static void chip_clear(struct chip *chip)
{
	chip->irr = chip->lines & chip->elcr;
	chip->imr = chip->isr = 0;
	chip->lowest = 7;
	chip->init = INIT_DONE;
	chip->single = chip->wants_icw4 = false;
	chip->auto_eoi = chip->rotate_auto = chip->nested = chip->special_mask = false;
	chip->read_isr = chip->poll = false;
}

static void write_icw1(struct chip *chip, uint8_t val)
{
	chip_clear(chip);
	chip->init = INIT_ICW2;
	chip->wants_icw4 = val & ICW1_ICW4;
	chip->single = val & ICW1_SINGLE;
}

static void write_command(struct chip *chip, uint8_t val)
{
	if (val & ICW1)
		write_icw1(chip, val);
	else if (val & OCW3)
		write_ocw3(chip, val);
	else
		write_ocw2(chip, val);
}

static void write_data(struct chip *chip, uint8_t val)
{
	switch ((enum init_state)chip->init) {
	case INIT_ICW2:
		chip->vector = val & 0xf8;
		if (!chip->single)
			chip->init = INIT_ICW3;
		else
			chip->init = chip->wants_icw4 ? INIT_ICW4 : INIT_DONE;
		break;
	case INIT_ICW3: /* how the chips are wired is the board's fact, not the guest's */
		chip->init = chip->wants_icw4 ? INIT_ICW4 : INIT_DONE;
		break;
	case INIT_ICW4:
		chip->auto_eoi = val & ICW4_AUTO_EOI;
		chip->nested = val & ICW4_NESTED;
		chip->init = INIT_DONE;
		break;
	case INIT_DONE:
	default:
		chip->imr = val;
		break;
	}
}

/* A poll is an acknowledge cycle that answers on the data bus: bit 7 says whether there was a request. */
static uint8_t read_poll(struct chip *chip, bool is_master)
{
	int pin = chip_request(chip, is_master);

	chip->poll = false;
	if (pin < 0)
		return 0;
	chip_ack(chip, (unsigned)pin);
	return (uint8_t)(0x80 | pin);
}

static struct chip *chip_at(struct i8259 *pic, unsigned index)
{
	return &pic->chips[index];
}

static uint64_t chip_read(struct i8259 *pic, unsigned index, uint64_t off)
{
	struct chip *chip = chip_at(pic, index);
	uint8_t val;

	if (chip->poll) {
		val = read_poll(chip, index == MASTER);
		settle(pic);
		return val;
	}
	if (off)
		return chip->imr;
	return chip->read_isr ? chip->isr : chip->irr;
}

static void chip_write(struct i8259 *pic, unsigned index, uint64_t off, uint8_t val)
{
	struct chip *chip = chip_at(pic, index);

	if (off)
		write_data(chip, val);
	else
		write_command(chip, val);
	settle(pic);
}

static uint64_t master_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	return chip_read(opaque, MASTER, off);
}

static void master_write(void *opaque, uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	chip_write(opaque, MASTER, off, (uint8_t)val);
}

static uint64_t slave_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	return chip_read(opaque, SLAVE, off);
}

static void slave_write(void *opaque, uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	chip_write(opaque, SLAVE, off, (uint8_t)val);
}

static uint64_t elcr_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	return chip_at(opaque, (unsigned)off)->elcr;
}

/* A pin that becomes level-triggered shows its line from now on, one that becomes edge-triggered waits for an edge. */
static void elcr_write(void *opaque, uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct chip *chip = chip_at(opaque, (unsigned)off);
	uint8_t elcr = (uint8_t)val & elcr_writable[off], changed = chip->elcr ^ elcr;

	chip->elcr = elcr;
	chip->irr = (chip->irr & (uint8_t)~changed) | (chip->lines & elcr & changed);
	settle(opaque);
}

static const struct bus_ops master_ops = { .read = master_read, .write = master_write, .max_size = 1 };
static const struct bus_ops slave_ops = { .read = slave_read, .write = slave_write, .max_size = 1 };
static const struct bus_ops elcr_ops = { .read = elcr_read, .write = elcr_write, .max_size = 1 };

static void reset(struct device *dev)
{
	struct i8259 *pic = (struct i8259 *)dev;

	for (unsigned i = 0; i < N_CHIPS; i++) {
		pic->chips[i].elcr = 0;
		pic->chips[i].vector = 0;
		chip_clear(&pic->chips[i]);
	}
	settle(pic);
}

static bool post_load(struct device *dev, GError **err)
{
	struct i8259 *pic = (struct i8259 *)dev;

	for (unsigned i = 0; i < N_CHIPS; i++) {
		struct chip *chip = &pic->chips[i];

		if (chip->init >= N_INIT_STATES || chip->lowest > 7)
			return fail(err, LODGE_ERROR_INPUT, "saved state of %s: chip %u is impossible", dev->id, i);
		chip->elcr &= elcr_writable[i];
		chip->vector &= 0xf8;
	}
	/* The accelerator keeps a copy of the output, so it is driven whether or not it changed here. */
	pic->out_level = output_level(pic);
	irq_set(&pic->out, pic->out_level);
	return true;
}

static void destroy(struct device *dev)
{
	device_fini(dev);
	g_free(dev);
}

#define CHIP_FIELDS(n) \
	DEVICE_FIELD(U8, i8259, chips[n].lines), DEVICE_FIELD(U8, i8259, chips[n].irr), \
	DEVICE_FIELD(U8, i8259, chips[n].imr), DEVICE_FIELD(U8, i8259, chips[n].isr), \
	DEVICE_FIELD(U8, i8259, chips[n].elcr), DEVICE_FIELD(U8, i8259, chips[n].lowest), \
	DEVICE_FIELD(U8, i8259, chips[n].vector), DEVICE_FIELD(U8, i8259, chips[n].init), \
	DEVICE_FIELD(BOOL, i8259, chips[n].single), DEVICE_FIELD(BOOL, i8259, chips[n].wants_icw4), \
	DEVICE_FIELD(BOOL, i8259, chips[n].auto_eoi), DEVICE_FIELD(BOOL, i8259, chips[n].rotate_auto), \
	DEVICE_FIELD(BOOL, i8259, chips[n].nested), DEVICE_FIELD(BOOL, i8259, chips[n].special_mask), \
	DEVICE_FIELD(BOOL, i8259, chips[n].read_isr), DEVICE_FIELD(BOOL, i8259, chips[n].poll)

static const struct device_field fields[] = { CHIP_FIELDS(0), CHIP_FIELDS(1) };

static const struct device_class i8259_class = {
	.name = "i8259",
	.version = 1,
	.fields = fields,
	.n_fields = G_N_ELEMENTS(fields),
	.reset = reset,
	.post_load = post_load,
	.destroy = destroy,
};

struct i8259 *i8259_new(struct vm *vm, struct bus *pio, const struct irq *out)
{
	struct i8259 *pic = g_new0(struct i8259, 1);

	device_init(&pic->dev, &i8259_class, vm, "pic");
	pic->out = *out;
	reset(&pic->dev);
	bus_add(pio, "pic", 0x20, 2, true, &master_ops, pic, &pic->dev.lock);
	bus_add(pio, "pic", 0xa0, 2, true, &slave_ops, pic, &pic->dev.lock);
	bus_add(pio, "elcr", 0x4d0, 2, true, &elcr_ops, pic, &pic->dev.lock);
	return pic;
}

struct device *i8259_device(struct i8259 *pic)
{
	return &pic->dev;
}
