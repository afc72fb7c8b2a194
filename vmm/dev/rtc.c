/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * MC146818 real-time clock and CMOS RAM (Motorola MC146818A datasheet; extended bank as in the ICH9 datasheet,
 * section 13.6).
 *
 * Time is a number of 32768 Hz crystal ticks since 1970: virtual time plus `base`, which a write to the clock
 * shifts. While the clock runs the time registers are computed when they are read; while it is held (SET bit, or
 * divider in reset) they are bytes in `cmos` that the guest may write, and become the time when it is let go.
 *
 * Nothing ticks while nobody waits: rtc_sync() raises the flags of what has happened since `last`, and the host
 * timer is set only for the next event whose interrupt is enabled. Once the interrupt line is up there is nothing
 * to wait for until the guest reads register C.
 */
#include <time.h>

#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"
#include "vmm/vm.h"

#define TICKS_PER_SEC 32768
#define SECOND_SHIFT 15
#define FRACTION_MASK (TICKS_PER_SEC - 1)
/* The first update comes half a second after the divider has been let go: datasheet section "Divider control". */
#define FRACTION_AFTER_RESET (TICKS_PER_SEC / 2)
/* UIP is set 244 us before the update. */
#define UIP_TICKS 8
#define SECS_PER_DAY 86400

enum rtc_reg {
	REG_SECONDS = 0x00,
	REG_SECONDS_ALARM = 0x01,
	REG_MINUTES = 0x02,
	REG_MINUTES_ALARM = 0x03,
	REG_HOURS = 0x04,
	REG_HOURS_ALARM = 0x05,
	REG_WEEKDAY = 0x06,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_CENTURY = 0x32,
};

#define A_UIP 0x80u
#define A_DIVIDER_RESET 0x60u /* both bits set */
#define A_RATE 0x0fu
#define A_DEFAULT 0x26u
#define B_SET 0x80u
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_SQWE 0x08u
#define B_BINARY 0x04u
#define B_24H 0x02u
#define C_IRQ 0x80u
#define C_PF 0x40u
#define C_AF 0x20u
#define C_UF 0x10u
#define D_VALID 0x80u

#define HOUR_PM 0x80u
#define ALARM_ANY 0xc0u /* both bits set: any value matches */

#define CMOS_BASE_MEMORY 0x15u /* KiB, 16 bits */
#define CMOS_EXT_MEMORY 0x17u  /* KiB above 1 MiB, 16 bits; again at 0x30 */
#define CMOS_EXT_MEMORY2 0x30u
#define CMOS_MEMORY_16M 0x34u  /* 64 KiB units above 16 MiB, 16 bits */
#define CMOS_MEMORY_4G 0x5bu   /* 64 KiB units above 4 GiB, 24 bits */

struct rtc {
	struct device dev;
	struct timers *timers;
	struct timer *timer;
	struct irq irq;
	uint8_t index, index_high;
	uint8_t cmos[256];
	uint64_t base; /* signed: crystal ticks since 1970 at virtual time 0 */
	uint64_t last; /* signed: flags are up to date to this tick */
	bool legacy_off, line;
};

static uint64_t virtual_ticks(const struct rtc *rtc)
{
	return muldiv64(timers_now(rtc->timers), TICKS_PER_SEC, NS_PER_SEC);
}

static int64_t rtc_ticks(const struct rtc *rtc)
{
	return (int64_t)(rtc->base + virtual_ticks(rtc));
}

/* The virtual time at which the clock reaches tick, which is not before virtual time 0. */
static uint64_t tick_to_ns(const struct rtc *rtc, int64_t tick)
{
	unsigned __int128 ticks = (uint64_t)tick - rtc->base;

	return (uint64_t)((ticks * NS_PER_SEC + TICKS_PER_SEC - 1) / TICKS_PER_SEC);
}

static bool divider_reset(const struct rtc *rtc)
{
	return (rtc->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static bool held(const struct rtc *rtc)
{
	return rtc->cmos[REG_B] & B_SET || divider_reset(rtc);
}

static uint8_t encode(const struct rtc *rtc, int val)
{
	unsigned v = (unsigned)val % 100;

	return (uint8_t)(rtc->cmos[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static int decode(const struct rtc *rtc, uint8_t val)
{
	return rtc->cmos[REG_B] & B_BINARY ? val : (val >> 4) * 10 + (val & 0xf);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
	if (rtc->cmos[REG_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const struct rtc *rtc, uint8_t val)
{
	if (rtc->cmos[REG_B] & B_24H)
		return decode(rtc, val);
	return decode(rtc, val & 0x7f) % 12 + (val & HOUR_PM ? 12 : 0);
}

/* Puts the running clock's time into the registers. */
static void store_time(struct rtc *rtc)
{
	time_t now = rtc_ticks(rtc) >> SECOND_SHIFT;
	struct tm tm;

	if (!gmtime_r(&now, &tm))
		return;
	rtc->cmos[REG_SECONDS] = encode(rtc, tm.tm_sec);
	rtc->cmos[REG_MINUTES] = encode(rtc, tm.tm_min);
	rtc->cmos[REG_HOURS] = encode_hour(rtc, tm.tm_hour);
	rtc->cmos[REG_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->cmos[REG_DAY] = encode(rtc, tm.tm_mday);
	rtc->cmos[REG_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->cmos[REG_YEAR] = encode(rtc, (tm.tm_year + 1900) % 100);
	rtc->cmos[REG_CENTURY] = encode(rtc, (tm.tm_year + 1900) / 100);
}

/* UNIX seconds of what is in the registers; out-of-range values carry over. */
static int64_t stored_time(const struct rtc *rtc)
{
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->cmos[REG_SECONDS]),
		.tm_min = decode(rtc, rtc->cmos[REG_MINUTES]),
		.tm_hour = decode_hour(rtc, rtc->cmos[REG_HOURS]),
		.tm_mday = decode(rtc, rtc->cmos[REG_DAY]),
		.tm_mon = decode(rtc, rtc->cmos[REG_MONTH]) - 1,
		.tm_year = decode(rtc, rtc->cmos[REG_CENTURY]) * 100 + decode(rtc, rtc->cmos[REG_YEAR]) - 1900,
	};

	return timegm(&tm);
}

/* A jump of the clock raises no flags. */
static void set_clock(struct rtc *rtc, int64_t seconds, int64_t fraction)
{
	rtc->last = ((uint64_t)seconds << SECOND_SHIFT) + (uint64_t)fraction;
	rtc->base = rtc->last - virtual_ticks(rtc);
	if (rtc->dev.vm)
		vm_post_value(rtc->dev.vm, VM_EVENT_RTC, seconds - g_get_real_time() / G_USEC_PER_SEC);
}

/* Ticks between periodic interrupts, 0 for none: datasheet table "Periodic interrupt rate". */
static int64_t period_ticks(const struct rtc *rtc)
{
	unsigned rate = rtc->cmos[REG_A] & A_RATE;

	if (!rate || divider_reset(rtc))
		return 0;
	return INT64_C(1) << (rate <= 2 ? rate + 6 : rate - 1);
}

static bool alarm_field_matches(uint8_t reg, int want, int64_t is)
{
	return (reg & ALARM_ANY) == ALARM_ANY || want == is;
}

/* The first second after `after` that the alarm registers match, or INT64_MAX. */
static int64_t next_alarm(const struct rtc *rtc, int64_t after)
{
	uint8_t hour_reg = rtc->cmos[REG_HOURS_ALARM], minute_reg = rtc->cmos[REG_MINUTES_ALARM];
	uint8_t second_reg = rtc->cmos[REG_SECONDS_ALARM];
	int hour = decode_hour(rtc, hour_reg), minute = decode(rtc, minute_reg), second = decode(rtc, second_reg);

	for (int64_t s = after + 1; s <= after + SECS_PER_DAY;) {
		int64_t of_day = (s % SECS_PER_DAY + SECS_PER_DAY) % SECS_PER_DAY;

		if (!alarm_field_matches(hour_reg, hour, of_day / 3600))
			s += 3600 - of_day % 3600;
		else if (!alarm_field_matches(minute_reg, minute, of_day / 60 % 60))
			s += 60 - of_day % 60;
		else if (!alarm_field_matches(second_reg, second, of_day % 60))
			s++;
		else
			return s;
	}
	return INT64_MAX;
}

/* Raises the flags of what has happened since the last time. */
static void rtc_sync(struct rtc *rtc)
{
	int64_t last = (int64_t)rtc->last, now = rtc_ticks(rtc);
	int64_t last_second = last >> SECOND_SHIFT, second = now >> SECOND_SHIFT;
	int64_t period = period_ticks(rtc);

	if (now <= last)
		return;
	rtc->last = (uint64_t)now;
	if (period && (now & ~(period - 1)) > last)
		rtc->cmos[REG_C] |= C_PF;
	if (held(rtc) || second == last_second)
		return;
	rtc->cmos[REG_C] |= C_UF;
	if (next_alarm(rtc, last_second) <= second)
		rtc->cmos[REG_C] |= C_AF;
}

static int64_t next_event(const struct rtc *rtc)
{
	uint8_t enabled = rtc->cmos[REG_B];
	int64_t last = (int64_t)rtc->last, period = period_ticks(rtc), event = INT64_MAX;

	if (enabled & B_PIE && period)
		event = (last & ~(period - 1)) + period;
	if (held(rtc))
		return event;
	if (enabled & B_UIE)
		event = MIN(event, ((last >> SECOND_SHIFT) + 1) * TICKS_PER_SEC);
	if (enabled & B_AIE) {
		int64_t alarm = next_alarm(rtc, last >> SECOND_SHIFT);

		if (alarm != INT64_MAX)
			event = MIN(event, alarm * TICKS_PER_SEC);
	}
	return event;
}

/* While the HPET drives the line in our place we touch it no more. */
static void drive(struct rtc *rtc, bool level)
{
	level = level && !rtc->legacy_off;
	if (level == rtc->line)
		return;
	rtc->line = level;
	irq_set(&rtc->irq, level);
}

/* Drives the line from flags and enables, and waits for the next event if there is no request. */
static void update_irq(struct rtc *rtc)
{
	bool level = rtc->cmos[REG_C] & rtc->cmos[REG_B] & (C_PF | C_AF | C_UF);
	int64_t event = level ? INT64_MAX : next_event(rtc);

	rtc->cmos[REG_C] = (rtc->cmos[REG_C] & (uint8_t)~C_IRQ) | (level ? C_IRQ : 0);
	if (event == INT64_MAX)
		timer_cancel(rtc->timer);
	else
		timer_set(rtc->timer, tick_to_ns(rtc, event));
	drive(rtc, level);
}

static void on_timer(void *opaque)
{
	struct rtc *rtc = opaque;

	rtc_sync(rtc);
	update_irq(rtc);
}

static bool is_time_reg(unsigned reg)
{
	switch (reg) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_WEEKDAY ... REG_YEAR:
	case REG_CENTURY:
		return true;
	default:
		return false;
	}
}

static void write_time(struct rtc *rtc, unsigned reg, uint8_t val)
{
	if (held(rtc)) {
		rtc->cmos[reg] = val;
		return;
	}
	store_time(rtc);
	rtc->cmos[reg] = val;
	set_clock(rtc, stored_time(rtc), rtc_ticks(rtc) & FRACTION_MASK);
}

/* Registers A and B may hold the clock or let it go. */
static void write_control(struct rtc *rtc, unsigned reg, uint8_t val)
{
	bool was_held = held(rtc), was_reset = divider_reset(rtc);

	if (!was_held)
		store_time(rtc);
	rtc->cmos[reg] = val;
	if (was_reset && !divider_reset(rtc))
		set_clock(rtc, rtc_ticks(rtc) >> SECOND_SHIFT, FRACTION_AFTER_RESET);
	if (was_held && !held(rtc))
		set_clock(rtc, stored_time(rtc), rtc_ticks(rtc) & FRACTION_MASK);
}

static void cmos_write(struct rtc *rtc, unsigned reg, uint8_t val)
{
	rtc_sync(rtc);
	if (is_time_reg(reg)) {
		write_time(rtc, reg, val);
	} else if (reg == REG_A) {
		write_control(rtc, reg, val & (uint8_t)~A_UIP);
	} else if (reg == REG_B) {
		/* SET takes the update-ended enable with it: datasheet section "Register B". */
		write_control(rtc, reg, val & B_SET ? val & (uint8_t)~B_UIE : val);
	} else if (reg != REG_C && reg != REG_D) {
		rtc->cmos[reg] = val;
	}
	update_irq(rtc);
}

static uint8_t read_a(const struct rtc *rtc)
{
	bool uip = !held(rtc) && (rtc_ticks(rtc) & FRACTION_MASK) >= TICKS_PER_SEC - UIP_TICKS;

	return rtc->cmos[REG_A] | (uip ? A_UIP : 0);
}

static uint8_t read_c(struct rtc *rtc)
{
	uint8_t flags;

	rtc_sync(rtc);
	update_irq(rtc);
	flags = rtc->cmos[REG_C];
	rtc->cmos[REG_C] = 0;
	update_irq(rtc);
	return flags;
}

static uint8_t cmos_read(struct rtc *rtc, unsigned reg)
{
	if (is_time_reg(reg) && !held(rtc))
		store_time(rtc);
	switch (reg) {
	case REG_A:
		return read_a(rtc);
	case REG_C:
		return read_c(rtc);
	case REG_D:
		return D_VALID;
	default:
		return rtc->cmos[reg];
	}
}

/* The index ports cannot be read back. */
static uint64_t rtc_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct rtc *rtc = opaque;

	switch (off) {
	case 1:
		return cmos_read(rtc, rtc->index);
	case 3:
		return cmos_read(rtc, 0x80u | rtc->index_high);
	default:
		return 0xff;
	}
}

/* Bit 7 of the index gates NMI on a PC; nothing here raises one that it could stop. */
static void rtc_write(void *opaque, uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct rtc *rtc = opaque;

	switch (off) {
	case 0:
		rtc->index = val & 0x7f;
		break;
	case 1:
		cmos_write(rtc, rtc->index, (uint8_t)val);
		break;
	case 2:
		rtc->index_high = val & 0x7f;
		break;
	default:
		cmos_write(rtc, 0x80u | rtc->index_high, (uint8_t)val);
		break;
	}
}

static const struct bus_ops rtc_ops = { .read = rtc_read, .write = rtc_write, .max_size = 1 };

void rtc_set_legacy_off(struct rtc *rtc, bool off)
{
	g_mutex_lock(&rtc->dev.lock);
	rtc->legacy_off = off;
	rtc_sync(rtc);
	update_irq(rtc);
	g_mutex_unlock(&rtc->dev.lock);
}

/* The battery keeps time and memory; the RESET pin clears enables and flags. */
static void reset(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;

	rtc_sync(rtc);
	rtc->index = rtc->index_high = 0;
	rtc->legacy_off = false;
	rtc->cmos[REG_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | B_SQWE);
	rtc->cmos[REG_C] = 0;
	update_irq(rtc);
}

/* Some million years either way: far from where sums of ticks overflow. */
static bool plausible(uint64_t ticks)
{
	return ticks + (UINT64_C(1) << 60) <= UINT64_C(1) << 61;
}

static bool post_load(struct device *dev, GError **err)
{
	struct rtc *rtc = (struct rtc *)dev;

	if (!plausible(rtc->base) || !plausible(rtc->last))
		return fail(err, LODGE_ERROR_INPUT, "saved state of %s: impossible time", dev->id);
	rtc->index &= 0x7f;
	rtc->index_high &= 0x7f;
	rtc->cmos[REG_A] &= (uint8_t)~A_UIP;
	update_irq(rtc);
	return true;
}

static void destroy(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;

	timer_free(rtc->timer);
	device_fini(dev);
	g_free(rtc);
}

static const struct device_field fields[] = {
	DEVICE_FIELD(U8, rtc, index),	   DEVICE_FIELD(U8, rtc, index_high), DEVICE_FIELD_ARRAY(U8, rtc, cmos),
	DEVICE_FIELD(U64, rtc, base),	   DEVICE_FIELD(U64, rtc, last),      DEVICE_FIELD(BOOL, rtc, legacy_off),
	DEVICE_FIELD(BOOL, rtc, line),
};

static const struct device_class rtc_class = {
	.name = "rtc",
	.version = 1,
	.fields = fields,
	.n_fields = G_N_ELEMENTS(fields),
	.reset = reset,
	.post_load = post_load,
	.destroy = destroy,
};

static void put_bytes(struct rtc *rtc, unsigned reg, uint64_t val, unsigned bytes)
{
	uint64_t max = (UINT64_C(1) << bytes * 8) - 1;

	val = MIN(val, max);
	for (unsigned i = 0; i < bytes; i++)
		rtc->cmos[reg + i] = (uint8_t)(val >> i * 8);
}

/* Where firmware looks for the amount of memory. */
static void put_memory_sizes(struct rtc *rtc, uint64_t ram_low, uint64_t ram_high)
{
	const uint64_t kib = 1024, mib = 1024 * kib;
	uint64_t above_1m = ram_low > mib ? ram_low - mib : 0, above_16m = ram_low > 16 * mib ? ram_low - 16 * mib : 0;

	put_bytes(rtc, CMOS_BASE_MEMORY, 640, 2);
	put_bytes(rtc, CMOS_EXT_MEMORY, above_1m / kib, 2);
	put_bytes(rtc, CMOS_EXT_MEMORY2, above_1m / kib, 2);
	put_bytes(rtc, CMOS_MEMORY_16M, above_16m / (64 * kib), 2);
	put_bytes(rtc, CMOS_MEMORY_4G, ram_high / (64 * kib), 3);
}

struct rtc *rtc_new(struct vm *vm, struct bus *pio, struct timers *timers, const struct irq *irq, int64_t wall,
		    uint64_t ram_low, uint64_t ram_high)
{
	struct rtc *rtc = g_new0(struct rtc, 1);

	device_init(&rtc->dev, &rtc_class, vm, "rtc");
	rtc->timers = timers;
	rtc->timer = timer_new(timers, &rtc->dev.lock, on_timer, rtc);
	rtc->irq = *irq;
	rtc->base = (uint64_t)wall << SECOND_SHIFT;
	rtc->last = rtc->base + virtual_ticks(rtc);
	rtc->cmos[REG_A] = A_DEFAULT;
	rtc->cmos[REG_B] = B_24H;
	put_memory_sizes(rtc, ram_low, ram_high);
	bus_add(pio, "rtc", 0x70, 4, true, &rtc_ops, rtc, &rtc->dev.lock);
	return rtc;
}

struct device *rtc_device(struct rtc *rtc)
{
	return &rtc->dev;
}
