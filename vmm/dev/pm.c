/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"
#include "vmm/vm.h"

/*
 * The fixed hardware of ACPI (ACPI 6.4 section 4.8): one PM1a event and control block, the PM timer, one GPE block, and
 * the SMI command port that switches between legacy and ACPI mode.
 *
 * The timer counts virtual time. Its status bit says that bit 31 has changed; that is found out when somebody looks,
 * and a timer is armed only while the guest wants an interrupt from it. The SCI is a level: enabled events that are
 * still set.
 *
 * The only sleep this machine knows is "off". A guest that asks for another state it was never offered is told that it
 * has woken already.
 */

#define PORT_SMI 0xb2u

#define PM1_TIMER 0x0001u
#define PM1_GLOBAL 0x0020u
#define PM1_POWER_BUTTON 0x0100u
#define PM1_SLEEP_BUTTON 0x0200u
#define PM1_RTC 0x0400u
#define PM1_WAKE 0x8000u /* status only */
#define PM1_EVENTS (PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC)
#define PM1_STATUS (PM1_EVENTS | PM1_WAKE)

#define CONTROL_SCI 0x0001u
#define CONTROL_SLEEP_TYPE_SHIFT 10
#define CONTROL_SLEEP_TYPE 0x1c00u
#define CONTROL_SLEEP 0x2000u
#define CONTROL_KEPT (CONTROL_SCI | 0x0002u | CONTROL_SLEEP_TYPE)

#define SLEEP_TYPE_S4 4u
#define SLEEP_TYPE_S5 5u

#define TIMER_HZ UINT64_C(3579545)
#define TIMER_BITS 31 /* the period of the bit whose changes are reported, as a power of 2 */

#define GPE_LEN (PM_GPE_LEN / 2)

struct pm {
	struct device dev;
	struct timers *timers;
	struct timer *carry; /* next change of the PM timer's bit 31 */
	struct irq sci;

	uint16_t status, enable, control;
	uint64_t carries_seen; /* changes of bit 31 that have been put into status */
	uint8_t gpe_status[GPE_LEN], gpe_enable[GPE_LEN];
	uint8_t smi[2]; /* last command, scratch */
};

static uint64_t timer_count(struct pm *pm)
{
	return muldiv64(timers_now(pm->timers), TIMER_HZ, NS_PER_SEC);
}

static bool sci_level(const struct pm *pm)
{
	uint8_t gpe = 0;

	for (unsigned i = 0; i < GPE_LEN; i++)
		gpe |= pm->gpe_status[i] & pm->gpe_enable[i];
	return pm->control & CONTROL_SCI && (gpe || pm->status & pm->enable & PM1_EVENTS);
}

/* Brings the timer's status bit, the armed timer and the SCI in line with the registers and the clock. */
static void update(struct pm *pm)
{
	uint64_t carries = timer_count(pm) >> TIMER_BITS;

	if (carries != pm->carries_seen)
		pm->status |= PM1_TIMER;
	pm->carries_seen = carries;
	if (pm->enable & PM1_TIMER && !(pm->status & PM1_TIMER))
		timer_set(pm->carry, muldiv64((carries + 1) << TIMER_BITS, NS_PER_SEC, TIMER_HZ) + 1);
	else
		timer_cancel(pm->carry);
	irq_set(&pm->sci, sci_level(pm));
}

static void carry_due(void *opaque)
{
	update(opaque);
}

static void go_to_sleep(struct pm *pm)
{
	switch ((pm->control & CONTROL_SLEEP_TYPE) >> CONTROL_SLEEP_TYPE_SHIFT) {
	case SLEEP_TYPE_S4:
		vm_request_stop(pm->dev.vm, VM_STOP_POWEROFF, "the guest hibernated");
		break;
	case SLEEP_TYPE_S5:
		vm_request_stop(pm->dev.vm, VM_STOP_POWEROFF, "the guest powered off");
		break;
	default:
		pm->status |= PM1_WAKE;
		break;
	}
}

/* Replaces byte i of a 16-bit register. */
static uint16_t with_byte(uint16_t reg, unsigned i, uint8_t val)
{
	return (uint16_t)((reg & ~(0xff << 8 * i)) | val << 8 * i);
}

static void write_control(struct pm *pm, uint16_t val)
{
	pm->control = val & CONTROL_KEPT;
	if (val & CONTROL_SLEEP)
		go_to_sleep(pm);
}

static uint8_t read_byte(const struct pm *pm, unsigned off, uint64_t count)
{
	switch (off) {
	case PM_EVENT ... PM_EVENT + 1:
		return (uint8_t)(pm->status >> 8 * (off - PM_EVENT));
	case PM_EVENT + 2 ... PM_EVENT + 3:
		return (uint8_t)(pm->enable >> 8 * (off - PM_EVENT - 2));
	case PM_CONTROL ... PM_CONTROL + 1:
		return (uint8_t)(pm->control >> 8 * (off - PM_CONTROL));
	case PM_TIMER ... PM_TIMER + 3:
		return (uint8_t)(count >> 8 * (off - PM_TIMER));
	case PM_GPE ... PM_GPE + GPE_LEN - 1:
		return pm->gpe_status[off - PM_GPE];
	case PM_GPE + GPE_LEN ... PM_GPE + PM_GPE_LEN - 1:
		return pm->gpe_enable[off - PM_GPE - GPE_LEN];
	default:
		return 0;
	}
}

/* Status bits are cleared by writing 1. */
static void write_byte(struct pm *pm, unsigned off, uint8_t val)
{
	switch (off) {
	case PM_EVENT ... PM_EVENT + 1:
		pm->status &= (uint16_t)~(val << 8 * (off - PM_EVENT));
		break;
	case PM_EVENT + 2 ... PM_EVENT + 3:
		pm->enable = with_byte(pm->enable, off - PM_EVENT - 2, val) & PM1_EVENTS;
		break;
	case PM_CONTROL ... PM_CONTROL + 1:
		write_control(pm, with_byte(pm->control, off - PM_CONTROL, val));
		break;
	case PM_GPE ... PM_GPE + GPE_LEN - 1:
		pm->gpe_status[off - PM_GPE] &= (uint8_t)~val;
		break;
	case PM_GPE + GPE_LEN ... PM_GPE + PM_GPE_LEN - 1:
		pm->gpe_enable[off - PM_GPE - GPE_LEN] = val;
		break;
	default:
		break;
	}
}

static uint64_t pm_read(void *opaque, uint64_t off, unsigned size)
{
	struct pm *pm = opaque;
	uint64_t count = timer_count(pm), val = 0;

	/* The timer is read often, and alone. */
	if (off < PM_CONTROL)
		update(pm);
	for (unsigned i = 0; i < size; i++)
		val |= (uint64_t)read_byte(pm, (unsigned)off + i, count) << 8 * i;
	return val;
}

static void pm_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct pm *pm = opaque;

	update(pm);
	for (unsigned i = 0; i < size; i++)
		write_byte(pm, (unsigned)off + i, (uint8_t)(val >> 8 * i));
	update(pm);
}

static const struct bus_ops pm_ops = { .read = pm_read, .write = pm_write };

static uint64_t smi_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct pm *pm = opaque;

	return pm->smi[off];
}

/* What firmware's SMI handler would do. */
static void smi_write(void *opaque, uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct pm *pm = opaque;

	pm->smi[off] = (uint8_t)val;
	if (off)
		return;
	if (val == PM_ACPI_ENABLE)
		pm->control |= CONTROL_SCI;
	else if (val == PM_ACPI_DISABLE)
		pm->control &= ~CONTROL_SCI;
	update(pm);
}

static const struct bus_ops smi_ops = { .read = smi_read, .write = smi_write, .max_size = 1 };

static void pm_reset(struct device *dev)
{
	struct pm *pm = (struct pm *)dev;

	pm->status = 0;
	pm->enable = 0;
	pm->control = 0;
	pm->carries_seen = timer_count(pm) >> TIMER_BITS;
	memset(pm->gpe_status, 0, sizeof(pm->gpe_status));
	memset(pm->gpe_enable, 0, sizeof(pm->gpe_enable));
	memset(pm->smi, 0, sizeof(pm->smi));
	update(pm);
}

/* Before the first device is saved: an interrupt controller must have been told by then. */
static void pm_pause(struct device *dev)
{
	update((struct pm *)dev);
}

static bool pm_post_load(struct device *dev, GError **err)
{
	struct pm *pm = (struct pm *)dev;

	if (pm->status & ~PM1_STATUS || pm->enable & ~PM1_EVENTS || pm->control & ~CONTROL_KEPT)
		return fail(err, LODGE_ERROR_INPUT, "saved state of %s: impossible register values", dev->id);
	update(pm);
	return true;
}

static void pm_destroy(struct device *dev)
{
	struct pm *pm = (struct pm *)dev;

	timer_free(pm->carry);
	device_fini(dev);
	g_free(pm);
}

static const struct device_field pm_fields[] = {
	DEVICE_FIELD(U16, pm, status),
	DEVICE_FIELD(U16, pm, enable),
	DEVICE_FIELD(U16, pm, control),
	DEVICE_FIELD(U64, pm, carries_seen),
	DEVICE_FIELD_ARRAY(U8, pm, gpe_status),
	DEVICE_FIELD_ARRAY(U8, pm, gpe_enable),
	DEVICE_FIELD_ARRAY(U8, pm, smi),
};

static const struct device_class pm_class = {
	.name = "pm",
	.version = 1,
	.fields = pm_fields,
	.n_fields = G_N_ELEMENTS(pm_fields),
	.reset = pm_reset,
	.pause = pm_pause,
	.pre_save = pm_pause,
	.post_load = pm_post_load,
	.destroy = pm_destroy,
};

struct pm *pm_new(struct vm *vm, struct bus *pio, struct timers *timers, const struct irq *sci)
{
	struct pm *pm = g_new0(struct pm, 1);

	device_init(&pm->dev, &pm_class, vm, "pm");
	pm->timers = timers;
	pm->sci = *sci;
	pm->carry = timer_new(timers, &pm->dev.lock, carry_due, pm);
	device_reset(&pm->dev);
	bus_add(pio, "pm", PM_BASE, PM_SIZE, true, &pm_ops, pm, &pm->dev.lock);
	bus_add(pio, "smi-command", PORT_SMI, sizeof(pm->smi), true, &smi_ops, pm, &pm->dev.lock);
	return pm;
}

bool pm_power_button(struct pm *pm)
{
	bool heard;

	g_mutex_lock(&pm->dev.lock);
	heard = pm->control & CONTROL_SCI;
	if (heard) {
		pm->status |= PM1_POWER_BUTTON;
		update(pm);
	}
	g_mutex_unlock(&pm->dev.lock);
	return heard;
}

struct device *pm_device(struct pm *pm)
{
	return &pm->dev;
}
