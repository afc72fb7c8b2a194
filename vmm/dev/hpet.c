/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * High precision event timers: IA-PC HPET specification 1.0a.
 *
 * The main counter is virtual time in units of 10 ns plus `offset` while it runs, and `counter` while it is
 * halted. A comparator matches at one value of the counter; rearm() turns that into a host deadline, kept in `due`
 * (in units of 10 ns of virtual time), and is called whenever counter, comparator or configuration change. A
 * deadline that has passed while its callback is still on the way is settled before registers change, so no match
 * is lost.
 *
 * A periodic comparator adds the last value written to it at each match, so it never drifts; matches that have
 * been missed, or that come faster than MIN_GAP, are one.
 *
 * Lock order: the legacy call-back takes the locks of PIT and RTC while ours is held; they never call here.
 */
#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define HPET_BASE UINT64_C(0xfed00000)
#define HPET_SIZE 0x400u
#define N_TIMERS 3u
#define N_GSIS 24u
#define NS_PER_TICK 10u
#define FS_PER_TICK UINT64_C(10000000)
#define MIN_GAP (50 * NS_PER_US / NS_PER_TICK)
/* Matches further away than this never come: some ninety years. */
#define FAR_AWAY (UINT64_C(1) << 58)

#define REG_CAPABILITIES 0x000u
#define REG_CONFIG 0x010u
#define REG_STATUS 0x020u
#define REG_COUNTER 0x0f0u
#define REG_TIMERS 0x100u
#define TIMER_STRIDE 0x20u
#define TIMER_CONFIG 0x00u
#define TIMER_COMPARATOR 0x08u
#define TIMER_FSB 0x10u

/* Vendor 8086h, legacy replacement, 64-bit counter, three timers, revision 1: section 2.3.4. */
#define CAPABILITIES (FS_PER_TICK << 32 | 0x8086a001u | (N_TIMERS - 1) << 8)

#define CONFIG_ENABLE 0x1u
#define CONFIG_LEGACY 0x2u

#define T_LEVEL 0x2u
#define T_ENABLE 0x4u
#define T_PERIODIC 0x8u
#define T_PERIODIC_CAP 0x10u
#define T_64BIT_CAP 0x20u
#define T_SET_VALUE 0x40u
#define T_32BIT 0x100u
#define T_ROUTE_SHIFT 9
#define T_ROUTE_MASK 0x3e00u
#define T_FSB 0x4000u
#define T_FSB_CAP 0x8000u
#define T_WRITABLE (T_LEVEL | T_ENABLE | T_PERIODIC | T_SET_VALUE | T_32BIT | T_ROUTE_MASK | T_FSB)
/* GSIs 20 to 23: the PCI pins do not use them. */
#define T_ROUTES UINT64_C(0x00f00000)
#define T_FIXED (T_ROUTES << 32 | T_PERIODIC_CAP | T_64BIT_CAP | T_FSB_CAP)

#define LEGACY_PIT_GSI 2u
#define LEGACY_RTC_GSI 8u
#define NO_PIN 0xffu

struct comparator {
	struct hpet *hpet;
	struct timer *timer;
	uint64_t config; /* T_WRITABLE bits */
	uint64_t value;
	uint64_t period; /* last value written in periodic mode */
	uint64_t fsb;	 /* message: address in the high half, data in the low one */
	uint64_t due;	 /* UINT64_MAX: no match is waited for */
	uint8_t line;	 /* GSI held up by a level interrupt, or NO_PIN */
};

struct hpet {
	struct device dev;
	struct timers *timers;
	struct irq irqs[N_GSIS];
	void (*send)(void *opaque, const struct msi_message *msg);
	void (*on_legacy)(void *opaque, bool on);
	void *opaque;
	uint64_t config;
	uint64_t status;
	uint64_t counter; /* while halted */
	uint64_t offset;  /* while running: counter minus virtual time */
	struct comparator comparators[N_TIMERS];
};

static uint64_t ticks_now(const struct hpet *hpet)
{
	return timers_now(hpet->timers) / NS_PER_TICK;
}

static bool running(const struct hpet *hpet)
{
	return hpet->config & CONFIG_ENABLE;
}

static uint64_t counter_now(const struct hpet *hpet)
{
	return running(hpet) ? ticks_now(hpet) + hpet->offset : hpet->counter;
}

static unsigned index_of(const struct comparator *c)
{
	return (unsigned)(c - c->hpet->comparators);
}

static uint64_t width_mask(const struct comparator *c)
{
	return c->config & T_32BIT ? UINT32_MAX : UINT64_MAX;
}

static bool is_periodic(const struct comparator *c)
{
	return c->config & T_PERIODIC && c->period;
}

/* The GSI an interrupt of this comparator goes to, or NO_PIN. */
static uint8_t route(const struct comparator *c)
{
	unsigned pin = (c->config & T_ROUTE_MASK) >> T_ROUTE_SHIFT;

	if (c->hpet->config & CONFIG_LEGACY && index_of(c) == 0)
		return LEGACY_PIT_GSI;
	if (c->hpet->config & CONFIG_LEGACY && index_of(c) == 1)
		return LEGACY_RTC_GSI;
	return T_ROUTES >> pin & 1 ? (uint8_t)pin : NO_PIN;
}

static void update_line(struct comparator *c)
{
	bool level = c->hpet->status >> index_of(c) & 1 && c->config & T_ENABLE && running(c->hpet);
	uint8_t pin = level ? route(c) : NO_PIN;

	if (pin == c->line)
		return;
	if (c->line != NO_PIN)
		irq_set(&c->hpet->irqs[c->line], false);
	if (pin != NO_PIN)
		irq_set(&c->hpet->irqs[pin], true);
	c->line = pin;
}

static void interrupt(struct comparator *c)
{
	struct msi_message msg = { .address = c->fsb >> 32, .data = (uint32_t)c->fsb };
	uint8_t pin = route(c);

	if (c->config & T_FSB) {
		c->hpet->send(c->hpet->opaque, &msg);
	} else if (c->config & T_LEVEL) {
		c->hpet->status |= UINT64_C(1) << index_of(c);
		update_line(c);
	} else if (pin != NO_PIN) {
		irq_pulse(&c->hpet->irqs[pin]);
	}
}

/* The smallest multiple of the period that is not less than distance. */
static uint64_t periods(const struct comparator *c, uint64_t distance)
{
	return (distance / c->period + (distance % c->period != 0)) * c->period;
}

/*
 * A periodic comparator that lies behind `from` is brought up to it or past it. One that lies less than a period ahead
 * is where it belongs, also when the period is more than half of what the counter can show.
 */
static void catch_up(struct comparator *c, uint64_t from)
{
	uint64_t mask = width_mask(c), behind = (from - c->value) & mask, ahead = (c->value - from) & mask;

	if (is_periodic(c) && ahead > c->period && behind <= mask / 2)
		c->value = (c->value + periods(c, behind)) & mask;
}

/* Waits for the first match at counter value `from` or later. */
static void rearm(struct comparator *c, uint64_t from)
{
	uint64_t distance;

	catch_up(c, from);
	distance = (c->value - from) & width_mask(c);
	if (running(c->hpet) && c->config & T_ENABLE && distance < FAR_AWAY) {
		c->due = from - c->hpet->offset + distance;
		timer_set(c->timer, c->due * NS_PER_TICK);
	} else {
		c->due = UINT64_MAX;
		timer_cancel(c->timer);
	}
}

/*
 * How late we are is told by `due`: after a process that was stopped for half a minute goes on, the value of a 32-bit
 * comparator alone no longer tells past from future.
 */
static void match(struct comparator *c)
{
	uint64_t now = ticks_now(c->hpet), gap = is_periodic(c) && c->period < MIN_GAP ? MIN_GAP : 1;
	uint64_t behind = now - c->due + gap;

	if (is_periodic(c))
		c->value = (c->value + periods(c, behind)) & width_mask(c);
	rearm(c, now + c->hpet->offset + gap);
	interrupt(c);
}

static void settle(struct hpet *hpet)
{
	uint64_t now = ticks_now(hpet);

	for (unsigned i = 0; i < N_TIMERS; i++)
		if (hpet->comparators[i].due <= now)
			match(&hpet->comparators[i]);
}

static void on_timer(void *opaque)
{
	struct comparator *c = opaque;

	if (c->due <= ticks_now(c->hpet))
		match(c);
}

static void rearm_all(struct hpet *hpet)
{
	for (unsigned i = 0; i < N_TIMERS; i++)
		rearm(&hpet->comparators[i], counter_now(hpet));
}

static void update_lines(struct hpet *hpet)
{
	for (unsigned i = 0; i < N_TIMERS; i++)
		update_line(&hpet->comparators[i]);
}

static void set_config(struct hpet *hpet, uint64_t val)
{
	uint64_t changed = hpet->config ^ val, counter = counter_now(hpet);

	hpet->config = val;
	if (changed & CONFIG_ENABLE) {
		hpet->counter = counter;
		hpet->offset = counter - ticks_now(hpet);
		rearm_all(hpet);
	}
	if (changed & CONFIG_LEGACY)
		hpet->on_legacy(hpet->opaque, val & CONFIG_LEGACY);
	update_lines(hpet);
}

static void set_counter(struct hpet *hpet, uint64_t val)
{
	hpet->counter = val;
	hpet->offset = val - ticks_now(hpet);
	rearm_all(hpet);
}

/*
 * A route the timer cannot take is not accepted: section 2.3.8, Tn_INT_ROUTE_CNF. A match at this very moment has
 * been settled before and is not repeated.
 */
static void set_timer_config(struct comparator *c, uint64_t val)
{
	unsigned pin = (val & T_ROUTE_MASK) >> T_ROUTE_SHIFT;

	val &= T_WRITABLE;
	if (!(T_ROUTES >> pin & 1))
		val = (val & ~(uint64_t)T_ROUTE_MASK) | (c->config & T_ROUTE_MASK);
	c->config = val;
	c->value &= width_mask(c);
	c->period &= width_mask(c);
	if (!(val & T_LEVEL))
		c->hpet->status &= ~(UINT64_C(1) << index_of(c));
	rearm(c, counter_now(c->hpet) + 1);
	update_line(c);
}

/* In periodic mode a write gives the period; the comparator is reached too, once, after Tn_VAL_SET_CNF has been set. */
static void set_comparator(struct comparator *c, uint64_t val, uint64_t mask)
{
	mask &= width_mask(c);
	if (c->config & T_PERIODIC)
		c->period = (c->period & ~mask) | (val & mask);
	if (!(c->config & T_PERIODIC) || c->config & T_SET_VALUE)
		c->value = (c->value & ~mask) | (val & mask);
	c->config &= ~(uint64_t)T_SET_VALUE;
	rearm(c, counter_now(c->hpet));
}

static uint64_t timer_read(struct comparator *c, unsigned reg)
{
	switch (reg) {
	case TIMER_CONFIG:
		return c->config | T_FIXED;
	case TIMER_COMPARATOR:
		if (running(c->hpet))
			catch_up(c, counter_now(c->hpet));
		return c->value;
	case TIMER_FSB:
		return c->fsb;
	default:
		return 0;
	}
}

/* mask: the bits that are written. */
static void timer_write(struct comparator *c, unsigned reg, uint64_t val, uint64_t mask)
{
	switch (reg) {
	case TIMER_CONFIG:
		set_timer_config(c, (c->config & ~mask) | (val & mask));
		break;
	case TIMER_COMPARATOR:
		set_comparator(c, val, mask);
		break;
	case TIMER_FSB:
		c->fsb = (c->fsb & ~mask) | (val & mask);
		break;
	default:
		break;
	}
}

static struct comparator *comparator_at(struct hpet *hpet, unsigned reg)
{
	unsigned index = (reg - REG_TIMERS) / TIMER_STRIDE;

	return reg >= REG_TIMERS && index < N_TIMERS ? &hpet->comparators[index] : NULL;
}

static uint64_t reg_read(struct hpet *hpet, unsigned reg)
{
	struct comparator *c = comparator_at(hpet, reg);

	if (c)
		return timer_read(c, (reg - REG_TIMERS) % TIMER_STRIDE);
	switch (reg) {
	case REG_CAPABILITIES:
		return CAPABILITIES;
	case REG_CONFIG:
		return hpet->config;
	case REG_STATUS:
		return hpet->status;
	case REG_COUNTER:
		return counter_now(hpet);
	default:
		return 0;
	}
}

static void reg_write(struct hpet *hpet, unsigned reg, uint64_t val, uint64_t mask)
{
	struct comparator *c = comparator_at(hpet, reg);

	if (c) {
		timer_write(c, (reg - REG_TIMERS) % TIMER_STRIDE, val, mask);
		return;
	}
	switch (reg) {
	case REG_CONFIG:
		set_config(hpet, ((hpet->config & ~mask) | (val & mask)) & (CONFIG_ENABLE | CONFIG_LEGACY));
		break;
	case REG_STATUS:
		hpet->status &= ~(val & mask);
		update_lines(hpet);
		break;
	case REG_COUNTER:
		set_counter(hpet, (counter_now(hpet) & ~mask) | (val & mask));
		break;
	default:
		break;
	}
}

/* Reading the counter is what guests do all day; it depends on no match. */
static uint64_t hpet_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct hpet *hpet = opaque;
	unsigned reg = (unsigned)off & ~7u;

	if (reg != REG_COUNTER)
		settle(hpet);
	return reg_read(hpet, reg) >> (off & 4) * 8;
}

static void hpet_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct hpet *hpet = opaque;
	unsigned shift = (off & 4) * 8;
	uint64_t mask = size == 8 && !shift ? UINT64_MAX : (uint64_t)UINT32_MAX << shift;

	if (off & 3)
		return;
	settle(hpet);
	reg_write(hpet, (unsigned)off & ~7u, val << shift, mask);
	settle(hpet);
}

static const struct bus_ops hpet_ops = { .read = hpet_read, .write = hpet_write, .min_size = 4, .max_size = 8 };

static void reset(struct device *dev)
{
	struct hpet *hpet = (struct hpet *)dev;

	set_config(hpet, 0);
	hpet->status = hpet->counter = hpet->offset = 0;
	for (unsigned i = 0; i < N_TIMERS; i++) {
		struct comparator *c = &hpet->comparators[i];

		c->config = c->period = c->fsb = 0;
		c->value = UINT64_MAX;
		rearm(c, 0);
		update_line(c);
	}
}

/* Before the first device is saved: an interrupt controller must have been told by then. */
static void hpet_pause(struct device *dev)
{
	struct hpet *hpet = (struct hpet *)dev;

	settle(hpet);
	for (unsigned i = 0; i < N_TIMERS; i++)
		catch_up(&hpet->comparators[i], counter_now(hpet));
}

/* A running timer's matches up to the moment of saving had been settled: the next ones come after it. */
static bool post_load(struct device *dev, GError **err)
{
	struct hpet *hpet = (struct hpet *)dev;

	hpet->config &= CONFIG_ENABLE | CONFIG_LEGACY;
	hpet->status &= (1u << N_TIMERS) - 1;
	for (unsigned i = 0; i < N_TIMERS; i++) {
		struct comparator *c = &hpet->comparators[i];

		if (c->line != NO_PIN && c->line >= N_GSIS)
			return fail(err, LODGE_ERROR_INPUT, "saved state of %s: timer %u is impossible", dev->id, i);
		c->config &= T_WRITABLE;
		c->value &= width_mask(c);
		c->period &= width_mask(c);
		rearm(c, counter_now(hpet) + (running(hpet) && c->config & T_ENABLE));
	}
	return true;
}

static void destroy(struct device *dev)
{
	struct hpet *hpet = (struct hpet *)dev;

	for (unsigned i = 0; i < N_TIMERS; i++)
		timer_free(hpet->comparators[i].timer);
	device_fini(dev);
	g_free(hpet);
}

#define TIMER_FIELDS(n) \
	DEVICE_FIELD(U64, hpet, comparators[n].config), DEVICE_FIELD(U64, hpet, comparators[n].value), \
	DEVICE_FIELD(U64, hpet, comparators[n].period), DEVICE_FIELD(U64, hpet, comparators[n].fsb), \
	DEVICE_FIELD(U8, hpet, comparators[n].line)

static const struct device_field fields[] = {
	DEVICE_FIELD(U64, hpet, config),
	DEVICE_FIELD(U64, hpet, status),
	DEVICE_FIELD(U64, hpet, counter),
	DEVICE_FIELD(U64, hpet, offset),
	TIMER_FIELDS(0),
	TIMER_FIELDS(1),
	TIMER_FIELDS(2),
};

static const struct device_class hpet_class = {
	.name = "hpet",
	.version = 1,
	.fields = fields,
	.n_fields = G_N_ELEMENTS(fields),
	.reset = reset,
	.pause = hpet_pause,
	.pre_save = hpet_pause,
	.post_load = post_load,
	.destroy = destroy,
};

struct hpet *hpet_new(struct vm *vm, struct bus *mmio, struct timers *timers, const struct irq irqs[24],
		      void (*send)(void *opaque, const struct msi_message *msg),
		      void (*on_legacy)(void *opaque, bool on), void *opaque)
{
	struct hpet *hpet = g_new0(struct hpet, 1);

	device_init(&hpet->dev, &hpet_class, vm, "hpet");
	hpet->timers = timers;
	for (unsigned i = 0; i < N_GSIS; i++)
		hpet->irqs[i] = irqs[i];
	hpet->send = send;
	hpet->on_legacy = on_legacy;
	hpet->opaque = opaque;
	for (unsigned i = 0; i < N_TIMERS; i++) {
		struct comparator *c = &hpet->comparators[i];

		c->hpet = hpet;
		c->timer = timer_new(timers, &hpet->dev.lock, on_timer, c);
		c->value = UINT64_MAX;
		c->due = UINT64_MAX;
		c->line = NO_PIN;
	}
	bus_add(mmio, "hpet", HPET_BASE, HPET_SIZE, true, &hpet_ops, hpet, &hpet->dev.lock);
	return hpet;
}

struct device *hpet_device(struct hpet *hpet)
{
	return &hpet->dev;
}
