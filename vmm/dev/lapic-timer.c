/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The local APIC's timer: SDM volume 3 section 10.5.4.
 *
 * It is arithmetic on the virtual clock; the struct timer only calls when an expiry is due. While period is not 0
 * the counter runs and reaches 0 at deadline; while tsc_deadline is not 0 that mode is armed; never both. Every
 * access to a timer register settles an expiry whose callback has not come yet, so a late callback can neither be
 * seen by the guest nor lose an interrupt.
 */
#include "vmm/dev/lapic-internal.h"

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE };

/* A guest may ask for a tick every nanosecond: this is the closest two expiries of a periodic timer come. */
#define TIMER_MIN_GAP (50 * NS_PER_US)

#define DIVIDE_WRITABLE 0xbu
#define LVT_TIMER_WRITABLE 0x700ffu

static enum timer_mode timer_mode(const struct lapic *lapic)
{
	return lapic->lvt[LAPIC_LVT_TIMER] >> 17 & 3;
}

/* Figure 10-10: bits 3, 1, 0 of the divide register give 2, 4, ..., 128, 1. */
static unsigned divide_shift(uint32_t divide)
{
	return ((divide & 3) + (divide >> 1 & 4) + 1) & 7;
}

static void timer_stop(struct lapic *lapic)
{
	timer_cancel(lapic->timer);
	lapic->period = 0;
	lapic->deadline = 0;
	lapic->tsc_deadline = 0;
}

/* Keeps the phase of the first expiry; those that have passed meanwhile, or come too fast to tell apart, are one. */
static void start_next_period(struct lapic *lapic)
{
	uint64_t gap = lapic->period < TIMER_MIN_GAP ? TIMER_MIN_GAP : 1;
	uint64_t earliest = timers_now(lapic->bus->timers) + gap;

	lapic->deadline += (earliest - lapic->deadline + lapic->period - 1) / lapic->period * lapic->period;
	timer_set(lapic->timer, lapic->deadline);
}

static void expire(struct lapic *lapic)
{
	uint32_t lvt = lapic->lvt[LAPIC_LVT_TIMER];

	if (timer_mode(lapic) == TIMER_PERIODIC && lapic->period)
		start_next_period(lapic);
	else
		timer_stop(lapic);
	if (!(lvt & LAPIC_LVT_MASKED))
		lapic_deliver_locked(lapic, LAPIC_FIXED, (uint8_t)lvt, false);
}

void lapic_timer_settle(struct lapic *lapic)
{
	bool due;

	if (lapic->tsc_deadline)
		due = lapic->ops->tsc(lapic->opaque) >= lapic->tsc_deadline;
	else
		due = lapic->period && timers_now(lapic->bus->timers) >= lapic->deadline;
	if (due)
		expire(lapic);
}

/* The TSC may be behind what the deadline was converted with (rounding; the guest set it back): then we wait again. */
void lapic_timer_expired(void *opaque)
{
	struct lapic *lapic = opaque;
	uint64_t at;

	lapic_timer_settle(lapic);
	if (!lapic->tsc_deadline || timer_armed(lapic->timer))
		return;
	at = lapic->ops->tsc_to_ns(lapic->opaque, lapic->tsc_deadline);
	timer_set(lapic->timer, MAX(at, timers_now(lapic->bus->timers) + 1));
}

/* A periodic timer that is rung less often than it expires still shows the count of the period it is in. */
uint32_t lapic_timer_current(struct lapic *lapic)
{
	uint64_t now, left;

	lapic_timer_settle(lapic);
	now = timers_now(lapic->bus->timers);
	if (!lapic->period || now >= lapic->deadline)
		return 0;
	left = (lapic->deadline - now - 1) % lapic->period;
	return (uint32_t)((left >> divide_shift(lapic->divide)) + 1);
}

static void start_count(struct lapic *lapic, uint32_t current)
{
	unsigned shift = divide_shift(lapic->divide);

	timer_stop(lapic);
	if (!lapic->initial_count || !current)
		return;
	lapic->period = (uint64_t)lapic->initial_count << shift;
	lapic->deadline = timers_now(lapic->bus->timers) + ((uint64_t)current << shift);
	timer_set(lapic->timer, lapic->deadline);
}

static void start_deadline(struct lapic *lapic, uint64_t tsc)
{
	timer_stop(lapic);
	if (!tsc)
		return;
	lapic->tsc_deadline = tsc;
	if (lapic->ops->tsc(lapic->opaque) >= tsc)
		expire(lapic);
	else
		timer_set(lapic->timer, lapic->ops->tsc_to_ns(lapic->opaque, tsc));
}

void lapic_timer_reset(struct lapic *lapic)
{
	timer_stop(lapic);
	lapic->initial_count = 0;
	lapic->divide = 0;
	lapic->lvt[LAPIC_LVT_TIMER] = LAPIC_LVT_MASKED;
}

/* Section 10.5.4.1: going into or out of TSC-deadline mode disarms. */
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t val)
{
	enum timer_mode before = timer_mode(lapic);

	lapic_timer_settle(lapic);
	lapic->lvt[LAPIC_LVT_TIMER] = val & LVT_TIMER_WRITABLE;
	if ((before == TIMER_TSC_DEADLINE) != (timer_mode(lapic) == TIMER_TSC_DEADLINE)) {
		timer_stop(lapic);
		lapic->initial_count = 0;
	}
}

void lapic_timer_set_initial(struct lapic *lapic, uint32_t val)
{
	if (timer_mode(lapic) == TIMER_TSC_DEADLINE)
		return;
	lapic_timer_settle(lapic);
	lapic->initial_count = val;
	start_count(lapic, val);
}

/* A running count goes on from where it is, at the new pace. */
void lapic_timer_set_divide(struct lapic *lapic, uint32_t val)
{
	uint32_t current = lapic_timer_current(lapic);

	lapic->divide = val & DIVIDE_WRITABLE;
	if (current)
		start_count(lapic, current);
}

uint64_t lapic_timer_deadline(struct lapic *lapic)
{
	lapic_timer_settle(lapic);
	return lapic->tsc_deadline;
}

void lapic_timer_set_deadline(struct lapic *lapic, uint64_t tsc)
{
	if (timer_mode(lapic) != TIMER_TSC_DEADLINE)
		return;
	lapic_timer_settle(lapic);
	start_deadline(lapic, tsc);
}

void lapic_timer_load(struct lapic *lapic, uint32_t initial, uint32_t current, uint32_t divide, uint64_t tsc_deadline)
{
	lapic->initial_count = initial;
	lapic->divide = divide & DIVIDE_WRITABLE;
	if (timer_mode(lapic) == TIMER_TSC_DEADLINE)
		start_deadline(lapic, tsc_deadline);
	else
		start_count(lapic, current);
}
