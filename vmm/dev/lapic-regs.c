/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The local APIC's registers as software sees them: the MMIO page of xAPIC mode, the MSRs of x2APIC mode, CR8,
 * IA32_APIC_BASE, and the image in a saved state. One table says which registers exist in which mode; one pair of
 * functions does the work for both. A register's number is its MMIO offset / 16, which is its MSR minus 0x800.
 *
 * Three writes act on other devices (EOI and the two halves of ICR as one command): those take and release the
 * lock themselves and call out without it.
 */
#include <string.h>

#include "vmm/cpuid.h"
#include "vmm/dev/lapic-internal.h"

#define REG_ID 0x02u
#define REG_VERSION 0x03u
#define REG_TPR 0x08u
#define REG_APR 0x09u
#define REG_PPR 0x0au
#define REG_EOI 0x0bu
#define REG_RRD 0x0cu
#define REG_LDR 0x0du
#define REG_DFR 0x0eu
#define REG_SVR 0x0fu
#define REG_ISR 0x10u
#define REG_TMR 0x18u
#define REG_IRR 0x20u
#define REG_ESR 0x28u
#define REG_ICR_LOW 0x30u
#define REG_ICR_HIGH 0x31u
#define REG_LVT 0x32u
#define REG_INITIAL 0x38u
#define REG_CURRENT 0x39u
#define REG_DIVIDE 0x3eu
#define REG_SELF_IPI 0x3fu
#define N_REGS 0x40u

/* In a saved image only, past the architectural registers: what is latched inside. */
#define SAVED_ESR 0xfdu
#define SAVED_SIPI 0xfeu
#define SAVED_EVENTS 0xffu

#define MSR_APIC_BASE 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC 0x800u

#define BASE_FLAGS (LAPIC_BASE_BSP | LAPIC_BASE_X2APIC | LAPIC_BASE_ENABLE)
#define BASE_ADDRESS (((UINT64_C(1) << CPUID_SOFT_PHYS_BITS) - 1) & ~UINT64_C(0xfff))

/* Integrated APIC, six LVT entries, EOI broadcast suppression: section 10.4.8. */
#define VERSION (0x14u | (LAPIC_N_LVTS - 1u) << 16 | 1u << 24)
#define SVR_WRITABLE 0x13ffu
#define DFR_FIXED 0x0fffffffu
#define ICR_LOW_WRITABLE 0x000ccfffu

#define ACCESS_R 1u	/* readable */
#define ACCESS_W 2u	/* writable in xAPIC mode */
#define ACCESS_X2R 4u	/* readable in x2APIC mode */
#define ACCESS_X2W 8u	/* writable in x2APIC mode */
#define ACCESS_RO (ACCESS_R | ACCESS_X2R)
#define ACCESS_RW (ACCESS_R | ACCESS_W | ACCESS_X2R | ACCESS_X2W)

/* Tables 10-1 and 10-6. valid: what x2APIC software may write; other bits raise #GP. */
static const struct {
	uint8_t access;
	uint32_t valid;
} reg_rules[N_REGS] = {
	[REG_ID] = { ACCESS_RO, 0 },
	[REG_VERSION] = { ACCESS_RO, 0 },
	[REG_TPR] = { ACCESS_RW, 0xff },
	[REG_APR] = { ACCESS_R, 0 },
	[REG_PPR] = { ACCESS_RO, 0 },
	[REG_EOI] = { ACCESS_W | ACCESS_X2W, 0 },
	[REG_RRD] = { ACCESS_R, 0 },
	[REG_LDR] = { ACCESS_R | ACCESS_W | ACCESS_X2R, 0 },
	[REG_DFR] = { ACCESS_R | ACCESS_W, 0 },
	[REG_SVR] = { ACCESS_RW, SVR_WRITABLE },
	[REG_ISR ... REG_IRR + 7] = { ACCESS_RO, 0 },
	[REG_ESR] = { ACCESS_RW, 0 },
	[REG_ICR_LOW] = { ACCESS_RW, ICR_LOW_WRITABLE | 0x1000 },
	[REG_ICR_HIGH] = { ACCESS_R | ACCESS_W, 0 },
	[REG_LVT ... REG_LVT + LAPIC_N_LVTS - 1] = { ACCESS_RW, 0x0007ffff },
	[REG_INITIAL] = { ACCESS_RW, 0xffffffff },
	[REG_CURRENT] = { ACCESS_RO, 0 },
	[REG_DIVIDE] = { ACCESS_RW, 0xb },
	[REG_SELF_IPI] = { ACCESS_X2W, 0xff },
};

/* Figure 10-8. */
static const uint32_t lvt_writable[LAPIC_N_LVTS] = {
	[LAPIC_LVT_TIMER] = 0x700ff, [LAPIC_LVT_THERMAL] = 0x107ff, [LAPIC_LVT_PERF] = 0x107ff,
	[LAPIC_LVT_LINT0] = 0x1a7ff, [LAPIC_LVT_LINT1] = 0x1a7ff,   [LAPIC_LVT_ERROR] = 0x100ff,
};

static void write_lvt(struct lapic *lapic, enum lapic_lvt index, uint32_t val)
{
	if (!(lapic->svr & LAPIC_SVR_ENABLE))
		val |= LAPIC_LVT_MASKED;
	if (index == LAPIC_LVT_TIMER)
		lapic_timer_set_lvt(lapic, val);
	else
		lapic->lvt[index] = val & lvt_writable[index];
}

/* Section 10.4.7.2: while software-disabled every LVT entry is masked. */
static void write_svr(struct lapic *lapic, uint32_t val)
{
	lapic_timer_settle(lapic);
	lapic->svr = val & SVR_WRITABLE;
	if (lapic->svr & LAPIC_SVR_ENABLE)
		return;
	for (unsigned i = 0; i < LAPIC_N_LVTS; i++)
		lapic->lvt[i] |= LAPIC_LVT_MASKED;
}

static void write_tpr(struct lapic *lapic, uint32_t val)
{
	lapic->tpr = val & 0xff;
	lapic_evaluate(lapic, false);
}

/* Registers whose write does nothing outside this lapic. Lock held. */
static void reg_write_locked(struct lapic *lapic, unsigned reg, uint32_t val)
{
	switch (reg) {
	case REG_TPR:
		write_tpr(lapic, val);
		break;
	case REG_LDR:
		__atomic_store_n(&lapic->ldr, val & 0xff000000u, __ATOMIC_RELAXED);
		break;
	case REG_DFR:
		__atomic_store_n(&lapic->dfr, val | DFR_FIXED, __ATOMIC_RELAXED);
		break;
	case REG_SVR:
		write_svr(lapic, val);
		break;
	case REG_ESR:
		lapic->esr = lapic->esr_pending;
		lapic->esr_pending = 0;
		break;
	case REG_ICR_HIGH:
		lapic->icr_high = val & 0xff000000u;
		break;
	case REG_LVT ... REG_LVT + LAPIC_N_LVTS - 1:
		write_lvt(lapic, reg - REG_LVT, val);
		break;
	case REG_INITIAL:
		lapic_timer_set_initial(lapic, val);
		break;
	case REG_DIVIDE:
		lapic_timer_set_divide(lapic, val);
		break;
	case REG_SELF_IPI:
		lapic_deliver_locked(lapic, LAPIC_FIXED, (uint8_t)val, false);
		break;
	default:
		break;
	}
}

static void write_eoi(struct lapic *lapic)
{
	int vector;

	g_mutex_lock(&lapic->lock);
	vector = lapic_end_of_interrupt(lapic);
	g_mutex_unlock(&lapic->lock);
	if (vector >= 0 && lapic->bus->eoi)
		lapic->bus->eoi(lapic->bus->opaque, (uint8_t)vector);
}

/* Sections 10.6.1 and 10.12.9. An INIT level de-assert only synchronised arbitration IDs, which are gone. */
static void write_icr(struct lapic *lapic, uint32_t low, uint32_t high)
{
	bool x2apic = lapic_mode(lapic) == LAPIC_X2APIC;
	struct lapic_message msg = {
		.dest = x2apic ? high : high >> 24,
		.mode = low >> 8 & 7,
		.shorthand = low >> 18 & 3,
		.vector = (uint8_t)low,
		.logical = low >> 11 & 1,
	};

	msg.broadcast = msg.dest == (x2apic ? 0xffffffffu : 0xffu);
	g_mutex_lock(&lapic->lock);
	lapic->icr_low = low & ICR_LOW_WRITABLE;
	lapic->icr_high = high;
	if ((msg.mode == LAPIC_FIXED || msg.mode == LAPIC_LOWEST) && msg.vector < 16)
		lapic_raise_error(lapic, LAPIC_ESR_SEND_VECTOR);
	g_mutex_unlock(&lapic->lock);
	if (msg.mode == LAPIC_INIT && (low & 0xc000) == 0x8000)
		return;
	lapic_bus_send(lapic->bus, lapic, &msg);
}

static void reg_write(struct lapic *lapic, unsigned reg, uint32_t val)
{
	if (reg == REG_EOI) {
		write_eoi(lapic);
		return;
	}
	if (reg == REG_ICR_LOW) {
		write_icr(lapic, val, lapic->icr_high);
		return;
	}
	g_mutex_lock(&lapic->lock);
	reg_write_locked(lapic, reg, val);
	g_mutex_unlock(&lapic->lock);
}

static uint32_t reg_read_locked(struct lapic *lapic, unsigned reg)
{
	switch (reg) {
	case REG_ID:
		return lapic_mode(lapic) == LAPIC_X2APIC ? lapic->id : lapic->id << 24;
	case REG_VERSION:
		return VERSION;
	case REG_TPR:
		return lapic->tpr;
	case REG_PPR:
		return lapic_processor_priority(lapic);
	case REG_LDR:
		return lapic->ldr;
	case REG_DFR:
		return lapic->dfr;
	case REG_SVR:
		return lapic->svr;
	case REG_ISR ... REG_ISR + 7:
		return lapic->isr[reg - REG_ISR];
	case REG_TMR ... REG_TMR + 7:
		return lapic->tmr[reg - REG_TMR];
	case REG_IRR ... REG_IRR + 7:
		return lapic->irr[reg - REG_IRR];
	case REG_ESR:
		return lapic->esr;
	case REG_ICR_LOW:
		return lapic->icr_low;
	case REG_ICR_HIGH:
		return lapic->icr_high;
	case REG_LVT ... REG_LVT + LAPIC_N_LVTS - 1:
		return lapic->lvt[reg - REG_LVT];
	case REG_INITIAL:
		return lapic->initial_count;
	case REG_CURRENT:
		return lapic_timer_current(lapic);
	case REG_DIVIDE:
		return lapic->divide;
	default:
		return 0;
	}
}

static uint32_t reg_read(struct lapic *lapic, unsigned reg)
{
	uint32_t val;

	g_mutex_lock(&lapic->lock);
	val = reg_read_locked(lapic, reg);
	g_mutex_unlock(&lapic->lock);
	return val;
}

/* Section 10.5.3: touching a register that does not exist is an error of its own; a read-only one ignores writes. */
static bool mmio_allowed(struct lapic *lapic, uint32_t off, unsigned access)
{
	unsigned reg = off >> 4;

	if (off & 0xf)
		return false;
	if (reg < N_REGS && reg_rules[reg].access & (ACCESS_R | ACCESS_W))
		return reg_rules[reg].access & access;
	g_mutex_lock(&lapic->lock);
	lapic_raise_error(lapic, LAPIC_ESR_REGISTER);
	g_mutex_unlock(&lapic->lock);
	return false;
}

uint32_t lapic_mmio_read(struct lapic *lapic, uint32_t off)
{
	if (lapic_mode(lapic) != LAPIC_XAPIC)
		return UINT32_MAX;
	return mmio_allowed(lapic, off, ACCESS_R) ? reg_read(lapic, off >> 4) : 0;
}

void lapic_mmio_write(struct lapic *lapic, uint32_t off, uint32_t val)
{
	if (lapic_mode(lapic) == LAPIC_XAPIC && mmio_allowed(lapic, off, ACCESS_W))
		reg_write(lapic, off >> 4, val);
}

static bool x2apic_allowed(const struct lapic *lapic, unsigned reg, unsigned access)
{
	return lapic_mode(lapic) == LAPIC_X2APIC && reg < N_REGS && reg_rules[reg].access & access;
}

static bool x2apic_read(struct lapic *lapic, unsigned reg, uint64_t *val)
{
	if (!x2apic_allowed(lapic, reg, ACCESS_X2R))
		return false;
	*val = reg_read(lapic, reg);
	if (reg == REG_ICR_LOW)
		*val |= (uint64_t)lapic->icr_high << 32;
	return true;
}

static bool x2apic_write(struct lapic *lapic, unsigned reg, uint64_t val)
{
	uint32_t low = (uint32_t)val, high = (uint32_t)(val >> 32);

	if (!x2apic_allowed(lapic, reg, ACCESS_X2W) || low & ~reg_rules[reg].valid)
		return false;
	if (reg == REG_ICR_LOW) {
		write_icr(lapic, low, high);
		return true;
	}
	if (high)
		return false;
	reg_write(lapic, reg, low);
	return true;
}

static bool base_valid(uint64_t base)
{
	if (base & ~(BASE_FLAGS | BASE_ADDRESS))
		return false;
	return base & LAPIC_BASE_ENABLE || !(base & LAPIC_BASE_X2APIC);
}

/* Figure 10-27: x2APIC mode is entered from xAPIC mode only, and left by switching off. */
static bool write_base(struct lapic *lapic, uint64_t val)
{
	enum lapic_mode from = lapic_mode(lapic), to = lapic_mode_of(val);

	if (!base_valid(val))
		return false;
	if ((from == LAPIC_OFF && to == LAPIC_X2APIC) || (from == LAPIC_X2APIC && to == LAPIC_XAPIC))
		return false;
	g_mutex_lock(&lapic->lock);
	__atomic_store_n(&lapic->base, val, __ATOMIC_RELAXED);
	if (from != LAPIC_OFF && to == LAPIC_OFF)
		lapic_reset_registers(lapic);
	if (from == LAPIC_XAPIC && to == LAPIC_X2APIC) {
		lapic->icr_high = 0;
		__atomic_store_n(&lapic->ldr, lapic_x2apic_ldr(lapic), __ATOMIC_RELAXED);
	}
	lapic_evaluate(lapic, false);
	g_mutex_unlock(&lapic->lock);
	return true;
}

static uint64_t read_tsc_deadline(struct lapic *lapic)
{
	uint64_t val;

	g_mutex_lock(&lapic->lock);
	val = lapic_timer_deadline(lapic);
	g_mutex_unlock(&lapic->lock);
	return val;
}

static void write_tsc_deadline(struct lapic *lapic, uint64_t val)
{
	g_mutex_lock(&lapic->lock);
	lapic_timer_set_deadline(lapic, val);
	g_mutex_unlock(&lapic->lock);
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *val)
{
	switch (msr) {
	case MSR_APIC_BASE:
		*val = lapic_base(lapic);
		return true;
	case MSR_TSC_DEADLINE:
		*val = read_tsc_deadline(lapic);
		return true;
	default:
		return msr >= MSR_X2APIC && x2apic_read(lapic, msr - MSR_X2APIC, val);
	}
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t val)
{
	switch (msr) {
	case MSR_APIC_BASE:
		return write_base(lapic, val);
	case MSR_TSC_DEADLINE:
		write_tsc_deadline(lapic, val);
		return true;
	default:
		return msr >= MSR_X2APIC && x2apic_write(lapic, msr - MSR_X2APIC, val);
	}
}

uint64_t lapic_base(const struct lapic *lapic)
{
	return __atomic_load_n(&lapic->base, __ATOMIC_RELAXED);
}

uint8_t lapic_get_cr8(const struct lapic *lapic)
{
	return (uint8_t)(lapic->tpr >> 4);
}

void lapic_set_cr8(struct lapic *lapic, uint8_t val)
{
	g_mutex_lock(&lapic->lock);
	write_tpr(lapic, (uint32_t)(val & 0xf) << 4);
	g_mutex_unlock(&lapic->lock);
}

static void image_put(uint8_t image[1024], unsigned reg, uint32_t val)
{
	memcpy(image + reg * 4u, &val, sizeof(val));
}

static uint32_t image_get(const uint8_t image[1024], unsigned reg)
{
	uint32_t val;

	memcpy(&val, image + reg * 4u, sizeof(val));
	return val;
}

void lapic_save(struct lapic *lapic, uint8_t image[1024], uint64_t *apic_base, uint64_t *tsc_deadline)
{
	memset(image, 0, 1024);
	g_mutex_lock(&lapic->lock);
	lapic_timer_settle(lapic);
	for (unsigned reg = 0; reg < N_REGS; reg++)
		image_put(image, reg, reg_read_locked(lapic, reg));
	image_put(image, SAVED_ESR, lapic->esr_pending);
	image_put(image, SAVED_SIPI, lapic->sipi_vector);
	image_put(image, SAVED_EVENTS, lapic->events);
	*apic_base = lapic->base;
	*tsc_deadline = lapic->tsc_deadline;
	g_mutex_unlock(&lapic->lock);
}

static void load_interrupts(struct lapic *lapic, const uint8_t image[1024])
{
	for (unsigned i = 0; i < 8; i++) {
		lapic->isr[i] = image_get(image, REG_ISR + i);
		lapic->tmr[i] = image_get(image, REG_TMR + i);
		lapic->irr[i] = image_get(image, REG_IRR + i);
	}
	/* Vectors 0 to 15 cannot be requested. */
	lapic->isr[0] &= 0xffff0000u;
	lapic->irr[0] &= 0xffff0000u;
	lapic->events = image_get(image, SAVED_EVENTS) & LAPIC_EVENTS_ALL;
	lapic->sipi_vector = (uint8_t)image_get(image, SAVED_SIPI);
}

static void load_registers(struct lapic *lapic, const uint8_t image[1024])
{
	bool x2apic = lapic_mode(lapic) == LAPIC_X2APIC;

	lapic->tpr = image_get(image, REG_TPR) & 0xff;
	lapic->svr = image_get(image, REG_SVR) & SVR_WRITABLE;
	lapic->icr_low = image_get(image, REG_ICR_LOW) & ICR_LOW_WRITABLE;
	lapic->icr_high = image_get(image, REG_ICR_HIGH) & (x2apic ? UINT32_MAX : 0xff000000u);
	lapic->esr = image_get(image, REG_ESR);
	lapic->esr_pending = image_get(image, SAVED_ESR);
	for (unsigned i = 0; i < LAPIC_N_LVTS; i++)
		lapic->lvt[i] = image_get(image, REG_LVT + i) & lvt_writable[i];
	__atomic_store_n(&lapic->ldr, x2apic ? lapic_x2apic_ldr(lapic) : image_get(image, REG_LDR) & 0xff000000u,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&lapic->dfr, image_get(image, REG_DFR) | DFR_FIXED, __ATOMIC_RELAXED);
}

bool lapic_load(struct lapic *lapic, const uint8_t image[1024], uint64_t apic_base, uint64_t tsc_deadline)
{
	uint32_t id = lapic_mode_of(apic_base) == LAPIC_X2APIC ? lapic->id : lapic->id << 24;

	if (!base_valid(apic_base) || image_get(image, REG_ID) != id)
		return false;
	g_mutex_lock(&lapic->lock);
	__atomic_store_n(&lapic->base, apic_base, __ATOMIC_RELAXED);
	lapic_timer_reset(lapic);
	load_registers(lapic, image);
	load_interrupts(lapic, image);
	lapic_timer_load(lapic, image_get(image, REG_INITIAL), image_get(image, REG_CURRENT),
			 image_get(image, REG_DIVIDE), tsc_deadline);
	lapic_evaluate(lapic, true);
	g_mutex_unlock(&lapic->lock);
	return true;
}
