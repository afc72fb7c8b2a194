/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One local APIC: what is requested, what is in service, and what the processor may take next. SDM volume 3
 * chapter 10 (sections are cited where a rule comes from one). Registers as the guest sees them: lapic-regs.c.
 *
 * An interrupt is a bit that moves IRR -> ISR -> gone; TMR remembers whether its end must be reported to the I/O
 * APIC. Whatever may change what the processor could take ends in lapic_evaluate(), which recomputes the attention
 * flag under the lock and wakes the vCPU. So the flag is never false while something is deliverable, and a vCPU
 * that reads it after wake() misses nothing.
 */
#include <string.h>

#include "vmm/dev/lapic-internal.h"

#define LAPIC_DEFAULT_BASE UINT64_C(0xfee00000)

static void bit_set(uint32_t map[8], uint8_t vector)
{
	map[vector / 32] |= UINT32_C(1) << vector % 32;
}

static void bit_clear(uint32_t map[8], uint8_t vector)
{
	map[vector / 32] &= ~(UINT32_C(1) << vector % 32);
}

static bool bit_test(const uint32_t map[8], uint8_t vector)
{
	return map[vector / 32] >> vector % 32 & 1;
}

static int bit_highest(const uint32_t map[8])
{
	for (int i = 7; i >= 0; i--)
		if (map[i])
			return i * 32 + 31 - __builtin_clz(map[i]);
	return -1;
}

/* Section 10.8.3.1. */
uint32_t lapic_processor_priority(const struct lapic *lapic)
{
	int servicing = bit_highest(lapic->isr);
	uint32_t class = servicing < 0 ? 0 : (uint32_t)servicing & 0xf0;

	return (lapic->tpr & 0xf0) >= class ? lapic->tpr : class;
}

static int highest_deliverable(const struct lapic *lapic)
{
	int vector = bit_highest(lapic->irr);

	if (vector < 0 || lapic_mode(lapic) == LAPIC_OFF)
		return -1;
	return ((uint32_t)vector & 0xf0) > (lapic_processor_priority(lapic) & 0xf0) ? vector : -1;
}

void lapic_evaluate(struct lapic *lapic, bool posted)
{
	bool attention = lapic->events || highest_deliverable(lapic) >= 0;
	bool before = __atomic_exchange_n(&lapic->attention, attention, __ATOMIC_SEQ_CST);

	if (attention && (posted || !before))
		lapic->ops->wake(lapic->opaque);
}

static void request_vector(struct lapic *lapic, uint8_t vector, bool level)
{
	if (level)
		bit_set(lapic->tmr, vector);
	else
		bit_clear(lapic->tmr, vector);
	bit_set(lapic->irr, vector);
	lapic_evaluate(lapic, true);
}

/* Section 10.5.3. An error vector that is illegal itself is only recorded. */
void lapic_raise_error(struct lapic *lapic, uint32_t error)
{
	uint32_t lvt = lapic->lvt[LAPIC_LVT_ERROR];

	lapic->esr_pending |= error;
	if (lvt & LAPIC_LVT_MASKED)
		return;
	if ((lvt & 0xff) < 16)
		lapic->esr_pending |= LAPIC_ESR_RECV_VECTOR;
	else
		request_vector(lapic, (uint8_t)lvt, false);
}

static void deliver_vector(struct lapic *lapic, uint8_t vector, bool level)
{
	if (!(lapic->svr & LAPIC_SVR_ENABLE))
		return;
	if (vector < 16)
		lapic_raise_error(lapic, LAPIC_ESR_RECV_VECTOR);
	else
		request_vector(lapic, vector, level);
}

void lapic_deliver_locked(struct lapic *lapic, enum lapic_delivery mode, uint8_t vector, bool level)
{
	switch (mode) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		deliver_vector(lapic, vector, level);
		return;
	case LAPIC_NMI:
		lapic->events |= LAPIC_EVENT_NMI;
		break;
	case LAPIC_INIT:
		/* What was latched before is forgotten: only a start-up message that follows the INIT counts. */
		lapic->events = LAPIC_EVENT_INIT;
		break;
	case LAPIC_SIPI:
		lapic->events |= LAPIC_EVENT_SIPI;
		lapic->sipi_vector = vector;
		break;
	case LAPIC_SMI:
	case LAPIC_EXTINT: /* the PIC's output is wired to LINT0 only */
	default:
		return;
	}
	lapic_evaluate(lapic, true);
}

void lapic_deliver(struct lapic *lapic, enum lapic_delivery mode, uint8_t vector, bool level)
{
	g_mutex_lock(&lapic->lock);
	if (lapic_mode(lapic) != LAPIC_OFF)
		lapic_deliver_locked(lapic, mode, vector, level);
	g_mutex_unlock(&lapic->lock);
}

unsigned lapic_arbitration_priority(struct lapic *lapic)
{
	unsigned priority;

	g_mutex_lock(&lapic->lock);
	priority = lapic->svr & LAPIC_SVR_ENABLE ? lapic_processor_priority(lapic) : 256;
	g_mutex_unlock(&lapic->lock);
	return priority;
}

/* Section 10.8.5. */
int lapic_end_of_interrupt(struct lapic *lapic)
{
	int vector = bit_highest(lapic->isr);

	if (vector < 0)
		return -1;
	bit_clear(lapic->isr, (uint8_t)vector);
	lapic_evaluate(lapic, false);
	if (!bit_test(lapic->tmr, (uint8_t)vector) || lapic->svr & LAPIC_SVR_NO_EOI_BROADCAST)
		return -1;
	return vector;
}

bool lapic_attention(const struct lapic *lapic)
{
	return __atomic_load_n(&lapic->attention, __ATOMIC_SEQ_CST);
}

int lapic_pending(struct lapic *lapic)
{
	int vector;

	if (!lapic_attention(lapic))
		return -1;
	g_mutex_lock(&lapic->lock);
	vector = highest_deliverable(lapic);
	g_mutex_unlock(&lapic->lock);
	return vector;
}

int lapic_accept(struct lapic *lapic)
{
	int vector;

	g_mutex_lock(&lapic->lock);
	vector = highest_deliverable(lapic);
	if (vector >= 0) {
		bit_clear(lapic->irr, (uint8_t)vector);
		bit_set(lapic->isr, (uint8_t)vector);
	}
	lapic_evaluate(lapic, false);
	g_mutex_unlock(&lapic->lock);
	return vector;
}

/*
 * The software-enable bit is not asked: the boot processor comes out of power-on with LINT0 open (see lapic_reset()),
 * and software that clears the bit masks LINT0 by doing so.
 */
bool lapic_takes_extint(const struct lapic *lapic)
{
	uint32_t lint0 = lapic->lvt[LAPIC_LVT_LINT0];

	if (lapic_mode(lapic) == LAPIC_OFF)
		return true;
	return !(lint0 & LAPIC_LVT_MASKED) && (lint0 >> 8 & 7) == LAPIC_EXTINT;
}

static bool take_event(struct lapic *lapic, unsigned event, uint8_t *sipi_vector)
{
	bool taken;

	if (!lapic_attention(lapic))
		return false;
	g_mutex_lock(&lapic->lock);
	taken = lapic->events & event;
	if (taken && sipi_vector)
		*sipi_vector = lapic->sipi_vector;
	lapic->events &= ~event;
	lapic_evaluate(lapic, false);
	g_mutex_unlock(&lapic->lock);
	return taken;
}

bool lapic_take_nmi(struct lapic *lapic)
{
	return take_event(lapic, LAPIC_EVENT_NMI, NULL);
}

bool lapic_take_init(struct lapic *lapic)
{
	return take_event(lapic, LAPIC_EVENT_INIT, NULL);
}

bool lapic_take_sipi(struct lapic *lapic, uint8_t *vector)
{
	return take_event(lapic, LAPIC_EVENT_SIPI, vector);
}

/* Section 10.12.5.1: the cluster number and the place in it follow from the ID. */
uint32_t lapic_x2apic_ldr(const struct lapic *lapic)
{
	return (lapic->id & ~0xfu) << 12 | 1u << (lapic->id & 0xf);
}

void lapic_reset_registers(struct lapic *lapic)
{
	uint32_t ldr = lapic_mode(lapic) == LAPIC_X2APIC ? lapic_x2apic_ldr(lapic) : 0;

	lapic_timer_reset(lapic);
	lapic->tpr = 0;
	lapic->svr = 0xff;
	lapic->icr_low = lapic->icr_high = 0;
	lapic->esr = lapic->esr_pending = 0;
	memset(lapic->irr, 0, sizeof(lapic->irr));
	memset(lapic->isr, 0, sizeof(lapic->isr));
	memset(lapic->tmr, 0, sizeof(lapic->tmr));
	for (unsigned i = 0; i < LAPIC_N_LVTS; i++)
		lapic->lvt[i] = LAPIC_LVT_MASKED;
	__atomic_store_n(&lapic->ldr, ldr, __ATOMIC_RELAXED);
	__atomic_store_n(&lapic->dfr, UINT32_MAX, __ATOMIC_RELAXED);
}

/*
 * Section 10.4.7.1. At power-on the boot processor's LINT0 is left open for the PIC, as firmware leaves it
 * (virtual wire mode): a directly booted kernel that knows no APIC then gets its interrupts. An INIT keeps what
 * was latched after it, for the start-up message may already have come.
 */
void lapic_reset(struct lapic *lapic, bool bsp, bool init)
{
	g_mutex_lock(&lapic->lock);
	if (!init) {
		uint64_t base = LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE | (bsp ? LAPIC_BASE_BSP : 0);

		__atomic_store_n(&lapic->base, base, __ATOMIC_RELAXED);
		lapic->events = 0;
	}
	lapic_reset_registers(lapic);
	if (!init && bsp)
		lapic->lvt[LAPIC_LVT_LINT0] = LAPIC_EXTINT << 8;
	lapic_evaluate(lapic, false);
	g_mutex_unlock(&lapic->lock);
}

struct lapic *lapic_new(struct lapic_bus *bus, unsigned apic_id, const struct lapic_ops *ops, void *opaque)
{
	struct lapic *lapic = g_new0(struct lapic, 1);

	g_assert(apic_id < bus->n_cpus && !bus->lapics[apic_id]);
	lapic->bus = bus;
	lapic->ops = ops;
	lapic->opaque = opaque;
	lapic->id = apic_id;
	g_mutex_init(&lapic->lock);
	lapic->timer = timer_new(bus->timers, &lapic->lock, lapic_timer_expired, lapic);
	bus->lapics[apic_id] = lapic;
	lapic_reset(lapic, apic_id == 0, false);
	return lapic;
}
