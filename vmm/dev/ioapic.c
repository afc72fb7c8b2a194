/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * I/O APIC: Intel 82093AA datasheet, with the EOI register of version 0x20 (ICH9 datasheet section 13.5).
 *
 * `lines` holds what the devices drive, logically: true is asserted, whatever polarity the guest programs, because
 * the board's lines are logical too. An edge sends a message at once, or is lost when the pin is masked. A level
 * sends one when line, mask and remote IRR allow, sets remote IRR, and may do so again once an EOI for the pin's
 * vector has cleared it. service_level() is the only place that decides this; everything that changes one of the
 * three calls it.
 *
 * All registers are guarded by the device lock; messages are sent with it held (lock order: vmm/vm.h).
 */
#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define IOAPIC_BASE UINT64_C(0xfec00000)
#define IOAPIC_SIZE 0x1000u
#define N_PINS 24u

#define OFF_SELECT 0x00u
#define OFF_WINDOW 0x10u
#define OFF_EOI 0x40u

#define REG_ID 0x00u
#define REG_VERSION 0x01u
#define REG_ARBITRATION 0x02u
#define REG_TABLE 0x10u

#define VERSION (0x20u | (N_PINS - 1u) << 16)
#define ID_MASK 0x0f000000u

/* Redirection table entry: datasheet section 3.2.4. */
#define RTE_VECTOR UINT64_C(0xff)
#define RTE_MODE_SHIFT 8
#define RTE_MODE_FIXED 0u
#define RTE_MODE_LOWEST 1u
#define RTE_LOGICAL (UINT64_C(1) << 11)
#define RTE_REMOTE_IRR (UINT64_C(1) << 14)
#define RTE_LEVEL (UINT64_C(1) << 15)
#define RTE_MASKED (UINT64_C(1) << 16)
#define RTE_DEST_SHIFT 56
#define RTE_EXT_DEST_SHIFT 49 /* destination bits 14:8, as in vmm/irq.h */
#define RTE_WRITABLE UINT64_C(0xfffe00000001afff)

#define MSI_BASE UINT64_C(0xfee00000)
#define MSI_DEST_SHIFT 12
#define MSI_EXT_DEST_SHIFT 5
#define MSI_LOGICAL 0x4u
#define MSI_LEVEL 0xc000u /* level-triggered, asserted */

struct ioapic {
	struct device dev;
	void (*send)(void *opaque, const struct msi_message *msg);
	void *opaque;
	uint32_t id; /* as in the register */
	uint8_t select;
	uint32_t lines; /* asserted pins */
	uint64_t table[N_PINS];
};

static bool is_level(uint64_t entry)
{
	unsigned mode = entry >> RTE_MODE_SHIFT & 7;

	/* The other delivery modes are edges, whatever the trigger bit says: no EOI would ever come for them. */
	return entry & RTE_LEVEL && (mode == RTE_MODE_FIXED || mode == RTE_MODE_LOWEST);
}

static void send_entry(struct ioapic *ioapic, uint64_t entry)
{
	uint64_t dest = entry >> RTE_DEST_SHIFT, ext_dest = entry >> RTE_EXT_DEST_SHIFT & 0x7f;
	struct msi_message msg = {
		.address = MSI_BASE | dest << MSI_DEST_SHIFT | ext_dest << MSI_EXT_DEST_SHIFT |
			   (entry & RTE_LOGICAL ? MSI_LOGICAL : 0),
		.data = (uint32_t)(entry & 0x7ff) | (is_level(entry) ? MSI_LEVEL : 0),
	};

	ioapic->send(ioapic->opaque, &msg);
}

static void service_level(struct ioapic *ioapic, unsigned pin)
{
	uint64_t entry = ioapic->table[pin];

	if (!is_level(entry) || entry & (RTE_MASKED | RTE_REMOTE_IRR) || !(ioapic->lines >> pin & 1))
		return;
	ioapic->table[pin] |= RTE_REMOTE_IRR;
	send_entry(ioapic, entry);
}

void ioapic_set_irq(void *opaque, unsigned pin, bool level)
{
	struct ioapic *ioapic = opaque;
	uint32_t bit = UINT32_C(1) << (pin % 32);
	bool rising;

	if (pin >= N_PINS)
		return;
	g_mutex_lock(&ioapic->dev.lock);
	rising = level && !(ioapic->lines & bit);
	ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
	if (is_level(ioapic->table[pin]))
		service_level(ioapic, pin);
	else if (rising && !(ioapic->table[pin] & RTE_MASKED))
		send_entry(ioapic, ioapic->table[pin]);
	g_mutex_unlock(&ioapic->dev.lock);
}

static void end_of_interrupt(struct ioapic *ioapic, uint8_t vector)
{
	for (unsigned pin = 0; pin < N_PINS; pin++) {
		uint64_t entry = ioapic->table[pin];

		if (!(entry & RTE_REMOTE_IRR) || (entry & RTE_VECTOR) != vector)
			continue;
		ioapic->table[pin] &= ~RTE_REMOTE_IRR;
		service_level(ioapic, pin);
	}
}

void ioapic_eoi(struct ioapic *ioapic, uint8_t vector)
{
	g_mutex_lock(&ioapic->dev.lock);
	end_of_interrupt(ioapic, vector);
	g_mutex_unlock(&ioapic->dev.lock);
}

/* Turning a pin to edge clears remote IRR: software does so to get rid of one whose EOI has gone astray. */
static void write_entry(struct ioapic *ioapic, unsigned pin, uint64_t val)
{
	uint64_t remote_irr = ioapic->table[pin] & RTE_REMOTE_IRR;

	ioapic->table[pin] = val & RTE_WRITABLE;
	if (is_level(val))
		ioapic->table[pin] |= remote_irr;
	service_level(ioapic, pin);
}

static uint32_t read_register(const struct ioapic *ioapic)
{
	unsigned index = ioapic->select - REG_TABLE;

	switch (ioapic->select) {
	case REG_ID:
	case REG_ARBITRATION:
		return ioapic->id;
	case REG_VERSION:
		return VERSION;
	default:
		if (ioapic->select < REG_TABLE || index >= 2 * N_PINS)
			return 0;
		return (uint32_t)(ioapic->table[index / 2] >> (index % 2 * 32));
	}
}

static void write_register(struct ioapic *ioapic, uint32_t val)
{
	unsigned index = ioapic->select - REG_TABLE, shift = index % 2 * 32;
	uint64_t other_half = UINT64_C(0xffffffff) << (32 - shift);

	if (ioapic->select == REG_ID)
		ioapic->id = val & ID_MASK;
	if (ioapic->select < REG_TABLE || index >= 2 * N_PINS)
		return;
	write_entry(ioapic, index / 2, (ioapic->table[index / 2] & other_half) | (uint64_t)val << shift);
}

static uint64_t ioapic_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	const struct ioapic *ioapic = opaque;

	switch (off) {
	case OFF_SELECT:
		return ioapic->select;
	case OFF_WINDOW:
		return read_register(ioapic);
	default:
		return 0;
	}
}

static void ioapic_write(void *opaque, uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct ioapic *ioapic = opaque;

	switch (off) {
	case OFF_SELECT:
		ioapic->select = (uint8_t)val;
		break;
	case OFF_WINDOW:
		write_register(ioapic, (uint32_t)val);
		break;
	case OFF_EOI:
		end_of_interrupt(ioapic, (uint8_t)val);
		break;
	default:
		break;
	}
}

static const struct bus_ops ioapic_ops = { .read = ioapic_read, .write = ioapic_write, .max_size = 4 };

/* The lines stay as they are: they belong to the devices, which lower theirs when they are reset. */
static void reset(struct device *dev)
{
	struct ioapic *ioapic = (struct ioapic *)dev;

	ioapic->id = 0;
	ioapic->select = 0;
	for (unsigned pin = 0; pin < N_PINS; pin++)
		ioapic->table[pin] = RTE_MASKED;
}

static bool post_load(struct device *dev, G_GNUC_UNUSED GError **err)
{
	struct ioapic *ioapic = (struct ioapic *)dev;

	ioapic->id &= ID_MASK;
	ioapic->lines &= (UINT32_C(1) << N_PINS) - 1;
	for (unsigned pin = 0; pin < N_PINS; pin++) {
		ioapic->table[pin] &= RTE_WRITABLE | RTE_REMOTE_IRR;
		if (!is_level(ioapic->table[pin]))
			ioapic->table[pin] &= ~RTE_REMOTE_IRR;
	}
	return true;
}

static void destroy(struct device *dev)
{
	device_fini(dev);
	g_free(dev);
}

static const struct device_field fields[] = {
	DEVICE_FIELD(U32, ioapic, id),
	DEVICE_FIELD(U8, ioapic, select),
	DEVICE_FIELD(U32, ioapic, lines),
	DEVICE_FIELD_ARRAY(U64, ioapic, table),
};

static const struct device_class ioapic_class = {
	.name = "ioapic",
	.version = 1,
	.fields = fields,
	.n_fields = G_N_ELEMENTS(fields),
	.reset = reset,
	.post_load = post_load,
	.destroy = destroy,
};

struct ioapic *ioapic_new(struct vm *vm, struct bus *mmio, void (*send)(void *opaque, const struct msi_message *msg),
			  void *opaque)
{
	struct ioapic *ioapic = g_new0(struct ioapic, 1);

	device_init(&ioapic->dev, &ioapic_class, vm, "ioapic");
	ioapic->send = send;
	ioapic->opaque = opaque;
	reset(&ioapic->dev);
	bus_add(mmio, "ioapic", IOAPIC_BASE, IOAPIC_SIZE, true, &ioapic_ops, ioapic, &ioapic->dev.lock);
	return ioapic;
}

struct device *ioapic_device(struct ioapic *ioapic)
{
	return &ioapic->dev;
}
