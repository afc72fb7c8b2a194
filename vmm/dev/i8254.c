/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * 8254 programmable interval timer (Intel 8254 datasheet) and port 0x61, which gates and shows its channel 2.
 *
 * All counting is arithmetic on one tick number: virtual time times 1193182 Hz. A channel remembers the tick at
 * which its present count was loaded; what the counter and the output show follows from that, so nothing drifts
 * and nobody has to run while nobody looks. Only channel 0 has a host timer, set to the next rising edge of its
 * output: that edge is the interrupt. A count written to a running periodic channel waits in `next_count` until
 * the period ends; channel_sync() catches up with that and comes first in every access.
 */
#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"

#define PIT_HZ UINT64_C(1193182)
#define N_CHANNELS 3u
#define SPEAKER 2u /* channel behind port 0x61 */

/* Time between two refresh requests of channel 1 as the PC programs it: 18 ticks. */
#define REFRESH_TICKS 18u

/* A guest may ask for an interrupt every other tick: this is the closest two of them come. */
#define MIN_GAP_TICKS 60u

#define PORT61_GATE 0x01u
#define PORT61_SPEAKER 0x02u
#define PORT61_WRITABLE 0x0fu
#define PORT61_REFRESH 0x10u
#define PORT61_OUT 0x20u

#define CONTROL_READ_BACK 3u
#define READ_BACK_NO_COUNT 0x20u
#define READ_BACK_NO_STATUS 0x10u
#define STATUS_OUT 0x80u
#define STATUS_NULL 0x40u

enum access { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };

struct channel {
	uint8_t mode;	/* 0 to 5 */
	uint8_t access; /* enum access, never LATCH */
	bool bcd;
	bool gate;
	bool counting;	     /* a count has been loaded (modes 1 and 5: and triggered) */
	bool loaded;	     /* count is valid */
	bool stopped;	     /* the gate holds the counter at stop_tick */
	bool write_high;     /* next data write is the high byte */
	bool read_high;	     /* next data read is the high byte */
	uint8_t write_low;   /* low byte waiting for its high byte */
	uint8_t latch_bytes; /* of latched_count still to be read */
	bool status_latched;
	uint8_t latched_status;
	uint16_t latched_count;
	uint32_t count;	     /* 1 to 65536 */
	uint32_t next_count; /* 0: none waits */
	uint64_t start;	     /* tick at which count was loaded */
	uint64_t stop_tick;
};

struct i8254 {
	struct device dev;
	struct timers *timers;
	struct timer *timer; /* channel 0's next rising edge */
	struct irq irq;
	struct channel channels[N_CHANNELS];
	uint64_t edge_tick; /* what the timer is set to */
	uint8_t port61;
	bool legacy_off, line;
};

static uint64_t tick_now(const struct i8254 *pit)
{
	return muldiv64(timers_now(pit->timers), PIT_HZ, NS_PER_SEC);
}

/* The first nanosecond at which tick_now() is tick. */
static uint64_t tick_to_ns(uint64_t tick)
{
	return (uint64_t)(((unsigned __int128)tick * NS_PER_SEC + PIT_HZ - 1) / PIT_HZ);
}

static bool is_periodic(const struct channel *ch)
{
	return ch->mode == 2 || ch->mode == 3;
}

static uint64_t elapsed(const struct channel *ch, uint64_t now)
{
	uint64_t at = ch->stopped ? ch->stop_tick : now;

	return at > ch->start ? at - ch->start : 0;
}

/* Lets a waiting count take over where the period it waited for has ended. */
static void channel_sync(struct channel *ch, uint64_t now)
{
	if (!ch->next_count || !ch->counting || !is_periodic(ch) || elapsed(ch, now) < ch->count)
		return;
	ch->start += ch->count;
	ch->count = ch->next_count;
	ch->next_count = 0;
}

static bool periodic_output(const struct channel *ch, uint64_t done)
{
	uint64_t phase = done % ch->count;

	if (!ch->counting || ch->stopped)
		return true;
	return ch->mode == 2 ? phase != ch->count - 1 : phase < (ch->count + 1) / 2;
}

/* Datasheet "Mode definitions". */
static bool channel_output(const struct channel *ch, uint64_t now)
{
	uint64_t done = elapsed(ch, now);

	switch (ch->mode) {
	case 0:
		return ch->counting && done >= ch->count;
	case 1:
		return !ch->counting || done >= ch->count;
	case 2:
	case 3:
		return periodic_output(ch, done);
	default:
		return !ch->counting || done != ch->count;
	}
}

static uint16_t to_bcd(unsigned val)
{
	return (uint16_t)(val / 1000 % 10 << 12 | val / 100 % 10 << 8 | val / 10 % 10 << 4 | val % 10);
}

static unsigned from_bcd(uint16_t val)
{
	return (val >> 12) * 1000u + (val >> 8 & 0xf) * 100u + (val >> 4 & 0xf) * 10u + (val & 0xf);
}

/* The counting element's value. One-shot modes go on past zero; mode 3 counts by twos, twice a period. */
static uint16_t channel_count(const struct channel *ch, uint64_t now)
{
	unsigned modulus = ch->bcd ? 10000 : 65536;
	uint64_t done = elapsed(ch, now), val;

	if (!ch->counting) {
		val = ch->count;
	} else if (ch->mode == 2) {
		val = ch->count - done % ch->count;
	} else if (ch->mode == 3) {
		uint64_t phase = done % ch->count, half = (ch->count + 1) / 2;

		val = (ch->count & ~1u) - 2 * (phase < half ? phase : phase - half);
	} else {
		val = ch->count + modulus - done % modulus;
	}
	val %= modulus;
	return ch->bcd ? to_bcd((unsigned)val) : (uint16_t)val;
}

/* Tick of the next rising edge of the output after now, or 0 when none comes by itself. */
static uint64_t next_edge(const struct channel *ch, uint64_t now)
{
	uint64_t done = elapsed(ch, now);

	if (!ch->counting || ch->stopped)
		return 0;
	switch (ch->mode) {
	case 0:
	case 1:
		return done < ch->count ? ch->start + ch->count : 0;
	case 2:
	case 3:
		return ch->start + (done / ch->count + 1) * ch->count;
	default:
		return done <= ch->count ? ch->start + ch->count + 1 : 0;
	}
}

/* While the HPET drives the line in our place we touch it no more. */
static void drive(struct i8254 *pit, bool level)
{
	level = level && !pit->legacy_off;
	if (level == pit->line)
		return;
	pit->line = level;
	irq_set(&pit->irq, level);
}

/* after: no edge up to this tick counts any more. */
static void arm(struct i8254 *pit, uint64_t after)
{
	const struct channel *ch = &pit->channels[0];

	pit->edge_tick = pit->legacy_off ? 0 : next_edge(ch, after);
	if (pit->edge_tick)
		timer_set(pit->timer, tick_to_ns(pit->edge_tick));
	else
		timer_cancel(pit->timer);
}

/* After channel 0 has been programmed: show its output, wait for its next edge. */
static void channel0_changed(struct i8254 *pit)
{
	uint64_t now = tick_now(pit);

	drive(pit, channel_output(&pit->channels[0], now));
	arm(pit, now);
}

/* The output's low phase before the edge is shown as a moment: only the edge means anything to the receiver. */
static void on_edge(void *opaque)
{
	struct i8254 *pit = opaque;
	struct channel *ch = &pit->channels[0];
	uint64_t now = tick_now(pit), after = MAX(now, pit->edge_tick);

	channel_sync(ch, now);
	drive(pit, false);
	drive(pit, true);
	if (is_periodic(ch) && ch->count < MIN_GAP_TICKS)
		after += MIN_GAP_TICKS;
	arm(pit, after);
}

/* An edge whose callback has not come yet happens before whatever the guest does now. */
static void settle_edge(struct i8254 *pit)
{
	if (pit->edge_tick && tick_now(pit) >= pit->edge_tick)
		on_edge(pit);
}

static void start_counting(struct channel *ch, uint64_t now)
{
	if (ch->next_count)
		ch->count = ch->next_count;
	ch->next_count = 0;
	ch->counting = true;
	ch->start = now;
}

/* Returns whether the channel starts over: a running periodic one, and one that waits for its gate, does not. */
static bool load_count(struct channel *ch, uint16_t raw, uint64_t now)
{
	uint32_t count = ch->bcd ? from_bcd(raw) : raw;

	if (!count)
		count = ch->bcd ? 10000 : 65536;
	ch->loaded = true;
	ch->next_count = count;
	if (is_periodic(ch) && ch->counting) {
		ch->start += elapsed(ch, now) / ch->count * ch->count;
		return false;
	}
	if (ch->mode == 1 || ch->mode == 5)
		return false;
	start_counting(ch, now);
	ch->stopped = !ch->gate;
	ch->stop_tick = now;
	return true;
}

/* Datasheet figure "Gate pin operations summary". */
static void set_gate(struct channel *ch, bool gate, uint64_t now)
{
	if (gate == ch->gate)
		return;
	ch->gate = gate;
	if (!ch->loaded)
		return;
	if (ch->mode == 1 || ch->mode == 5) {
		if (gate)
			start_counting(ch, now);
	} else if (!gate) {
		ch->stopped = true;
		ch->stop_tick = now;
	} else {
		if (is_periodic(ch))
			start_counting(ch, now);
		else
			ch->start += now - ch->stop_tick;
		ch->stopped = false;
	}
}

static void write_control(struct channel *ch, uint8_t val)
{
	uint8_t mode = val >> 1 & 7;

	ch->access = val >> 4 & 3;
	ch->mode = mode > 5 ? mode - 4 : mode;
	ch->bcd = val & 1;
	ch->counting = ch->loaded = ch->stopped = false;
	ch->write_high = ch->read_high = false;
	ch->next_count = 0;
	ch->latch_bytes = 0;
	ch->status_latched = false;
}

static void latch_count(struct channel *ch, uint64_t now)
{
	if (ch->latch_bytes)
		return;
	ch->latched_count = channel_count(ch, now);
	ch->latch_bytes = ch->access == ACCESS_BOTH ? 2 : 1;
}

static void latch_status(struct channel *ch, uint64_t now)
{
	if (ch->status_latched)
		return;
	ch->latched_status = (uint8_t)(ch->access << 4 | ch->mode << 1 | ch->bcd);
	if (channel_output(ch, now))
		ch->latched_status |= STATUS_OUT;
	if (!ch->loaded || ch->next_count)
		ch->latched_status |= STATUS_NULL;
	ch->status_latched = true;
}

static void read_back(struct i8254 *pit, uint8_t val)
{
	uint64_t now = tick_now(pit);

	for (unsigned i = 0; i < N_CHANNELS; i++) {
		if (!(val >> (i + 1) & 1))
			continue;
		if (!(val & READ_BACK_NO_COUNT))
			latch_count(&pit->channels[i], now);
		if (!(val & READ_BACK_NO_STATUS))
			latch_status(&pit->channels[i], now);
	}
}

static void control_word(struct i8254 *pit, uint8_t val)
{
	unsigned index = val >> 6;

	if (index == CONTROL_READ_BACK) {
		read_back(pit, val);
	} else if ((val >> 4 & 3) == ACCESS_LATCH) {
		latch_count(&pit->channels[index], tick_now(pit));
	} else {
		write_control(&pit->channels[index], val);
		if (index == 0)
			channel0_changed(pit);
	}
}

/* The first byte of two stops mode 0, so that it cannot end on half a count. */
static bool write_count(struct channel *ch, uint8_t val, uint64_t now)
{
	uint16_t low = ch->access == ACCESS_BOTH ? ch->write_low : 0;

	if (ch->access == ACCESS_BOTH && !ch->write_high) {
		ch->write_low = val;
		ch->write_high = true;
		if (ch->mode == 0)
			ch->counting = false;
		return ch->mode == 0;
	}
	ch->write_high = false;
	return load_count(ch, ch->access == ACCESS_LOW ? val : (uint16_t)(val << 8 | low), now);
}

static uint8_t read_latched(struct channel *ch)
{
	bool high = ch->access == ACCESS_HIGH || (ch->access == ACCESS_BOTH && ch->latch_bytes == 1);

	ch->latch_bytes--;
	return (uint8_t)(high ? ch->latched_count >> 8 : ch->latched_count);
}

static uint8_t read_count(struct channel *ch, uint64_t now)
{
	uint16_t val;
	bool high;

	if (ch->status_latched) {
		ch->status_latched = false;
		return ch->latched_status;
	}
	if (ch->latch_bytes)
		return read_latched(ch);
	val = channel_count(ch, now);
	high = ch->access == ACCESS_HIGH || (ch->access == ACCESS_BOTH && ch->read_high);
	if (ch->access == ACCESS_BOTH)
		ch->read_high = !ch->read_high;
	return (uint8_t)(high ? val >> 8 : val);
}

static void pit_sync(struct i8254 *pit)
{
	uint64_t now = tick_now(pit);

	settle_edge(pit);
	for (unsigned i = 0; i < N_CHANNELS; i++)
		channel_sync(&pit->channels[i], now);
}

static uint64_t pit_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct i8254 *pit = opaque;

	pit_sync(pit);
	return off < N_CHANNELS ? read_count(&pit->channels[off], tick_now(pit)) : 0;
}

static void pit_write(void *opaque, uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct i8254 *pit = opaque;

	pit_sync(pit);
	if (off >= N_CHANNELS)
		control_word(pit, (uint8_t)val);
	else if (write_count(&pit->channels[off], (uint8_t)val, tick_now(pit)) && off == 0)
		channel0_changed(pit);
}

static uint64_t port61_read(void *opaque, G_GNUC_UNUSED uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct i8254 *pit = opaque;
	uint64_t now = tick_now(pit);
	uint8_t val = pit->port61;

	pit_sync(pit);
	if (now / REFRESH_TICKS & 1)
		val |= PORT61_REFRESH;
	if (channel_output(&pit->channels[SPEAKER], now))
		val |= PORT61_OUT;
	return val;
}

static void port61_write(void *opaque, G_GNUC_UNUSED uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct i8254 *pit = opaque;

	pit_sync(pit);
	pit->port61 = (uint8_t)val & PORT61_WRITABLE;
	set_gate(&pit->channels[SPEAKER], val & PORT61_GATE, tick_now(pit));
}

static const struct bus_ops pit_ops = { .read = pit_read, .write = pit_write, .max_size = 1 };
static const struct bus_ops port61_ops = { .read = port61_read, .write = port61_write, .max_size = 1 };

/* The channel may have come to a stop high or low: the line follows, and the next edge is looked for from now on. */
void i8254_set_legacy_off(struct i8254 *pit, bool off)
{
	g_mutex_lock(&pit->dev.lock);
	if (pit->legacy_off != off) {
		pit_sync(pit);
		pit->legacy_off = off;
		channel0_changed(pit);
	}
	g_mutex_unlock(&pit->dev.lock);
}

/* The datasheet leaves the channels undefined until they are programmed: ours count nothing. */
static void reset(struct device *dev)
{
	struct i8254 *pit = (struct i8254 *)dev;

	for (unsigned i = 0; i < N_CHANNELS; i++)
		pit->channels[i] = (struct channel){ .access = ACCESS_BOTH, .count = 65536, .gate = i != SPEAKER };
	pit->port61 = 0;
	pit->legacy_off = false;
	channel0_changed(pit);
}

static bool channel_valid(const struct channel *ch)
{
	return ch->mode <= 5 && ch->access >= ACCESS_LOW && ch->access <= ACCESS_BOTH && ch->count >= 1 &&
	       ch->count <= 65536 && ch->next_count <= 65536 && ch->latch_bytes <= 2;
}

static bool post_load(struct device *dev, GError **err)
{
	struct i8254 *pit = (struct i8254 *)dev;

	for (unsigned i = 0; i < N_CHANNELS; i++)
		if (!channel_valid(&pit->channels[i]))
			return fail(err, LODGE_ERROR_INPUT, "saved state of %s: channel %u is impossible", dev->id, i);
	pit->port61 &= PORT61_WRITABLE;
	if (!pit->edge_tick)
		timer_cancel(pit->timer);
	else
		timer_set(pit->timer, tick_to_ns(pit->edge_tick));
	return true;
}

static void destroy(struct device *dev)
{
	struct i8254 *pit = (struct i8254 *)dev;

	timer_free(pit->timer);
	device_fini(dev);
	g_free(pit);
}

#define CHANNEL_FIELDS(n) \
	DEVICE_FIELD(U8, i8254, channels[n].mode), DEVICE_FIELD(U8, i8254, channels[n].access), \
	DEVICE_FIELD(BOOL, i8254, channels[n].bcd), DEVICE_FIELD(BOOL, i8254, channels[n].gate), \
	DEVICE_FIELD(BOOL, i8254, channels[n].counting), DEVICE_FIELD(BOOL, i8254, channels[n].loaded), \
	DEVICE_FIELD(BOOL, i8254, channels[n].stopped), DEVICE_FIELD(BOOL, i8254, channels[n].write_high), \
	DEVICE_FIELD(BOOL, i8254, channels[n].read_high), DEVICE_FIELD(U8, i8254, channels[n].write_low), \
	DEVICE_FIELD(U8, i8254, channels[n].latch_bytes), DEVICE_FIELD(BOOL, i8254, channels[n].status_latched), \
	DEVICE_FIELD(U8, i8254, channels[n].latched_status), DEVICE_FIELD(U16, i8254, channels[n].latched_count), \
	DEVICE_FIELD(U32, i8254, channels[n].count), DEVICE_FIELD(U32, i8254, channels[n].next_count), \
	DEVICE_FIELD(U64, i8254, channels[n].start), DEVICE_FIELD(U64, i8254, channels[n].stop_tick)

static const struct device_field fields[] = {
	CHANNEL_FIELDS(0),
	CHANNEL_FIELDS(1),
	CHANNEL_FIELDS(2),
	DEVICE_FIELD(U64, i8254, edge_tick),
	DEVICE_FIELD(U8, i8254, port61),
	DEVICE_FIELD(BOOL, i8254, legacy_off),
	DEVICE_FIELD(BOOL, i8254, line),
};

static const struct device_class i8254_class = {
	.name = "i8254",
	.version = 1,
	.fields = fields,
	.n_fields = G_N_ELEMENTS(fields),
	.reset = reset,
	.post_load = post_load,
	.destroy = destroy,
};

struct i8254 *i8254_new(struct vm *vm, struct bus *pio, struct timers *timers, const struct irq *irq)
{
	struct i8254 *pit = g_new0(struct i8254, 1);

	device_init(&pit->dev, &i8254_class, vm, "pit");
	pit->timers = timers;
	pit->irq = *irq;
	pit->timer = timer_new(timers, &pit->dev.lock, on_edge, pit);
	for (unsigned i = 0; i < N_CHANNELS; i++)
		pit->channels[i] = (struct channel){ .access = ACCESS_BOTH, .count = 65536, .gate = i != SPEAKER };
	bus_add(pio, "pit", 0x40, 4, true, &pit_ops, pit, &pit->dev.lock);
	bus_add(pio, "port61", 0x61, 1, true, &port61_ops, pit, &pit->dev.lock);
	return pit;
}

struct device *i8254_device(struct i8254 *pit)
{
	return &pit->dev;
}
