/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_DEV_LAPIC_INTERNAL_H
#define LODGE_VMM_DEV_LAPIC_INTERNAL_H

#include <glib.h>

#include "vmm/dev/lapic.h"

/*
 * What lapic.c (one local APIC) and lapic-bus.c (who a message is for) share.
 *
 * Locking: a lapic's registers are written with its lock held. Those that only its own vCPU writes may be read
 * without it on that vCPU's thread. The three that decide whether a message is for this lapic (base, ldr, dfr) and
 * the attention flag are read without the lock by other threads, so they are stored and loaded atomically. No
 * thread ever holds two lapic locks.
 */
enum lapic_mode { LAPIC_OFF, LAPIC_XAPIC, LAPIC_X2APIC };

/* Delivery modes of ICR, LVT, I/O APIC and MSI data: SDM volume 3 section 10.6.1. */
enum lapic_delivery {
	LAPIC_FIXED = 0,
	LAPIC_LOWEST = 1,
	LAPIC_SMI = 2,
	LAPIC_NMI = 4,
	LAPIC_INIT = 5,
	LAPIC_SIPI = 6,
	LAPIC_EXTINT = 7,
};

enum lapic_lvt {
	LAPIC_LVT_TIMER,
	LAPIC_LVT_THERMAL,
	LAPIC_LVT_PERF,
	LAPIC_LVT_LINT0,
	LAPIC_LVT_LINT1,
	LAPIC_LVT_ERROR,
	LAPIC_N_LVTS
};

#define LAPIC_BASE_BSP 0x100u
#define LAPIC_BASE_X2APIC 0x400u
#define LAPIC_BASE_ENABLE 0x800u

#define LAPIC_LVT_MASKED 0x10000u

#define LAPIC_SVR_ENABLE 0x100u
#define LAPIC_SVR_NO_EOI_BROADCAST 0x1000u

#define LAPIC_ESR_SEND_VECTOR 0x20u
#define LAPIC_ESR_RECV_VECTOR 0x40u
#define LAPIC_ESR_REGISTER 0x80u

/* Latched one-shot events. */
#define LAPIC_EVENT_NMI 1u
#define LAPIC_EVENT_INIT 2u
#define LAPIC_EVENT_SIPI 4u
#define LAPIC_EVENTS_ALL 7u

struct lapic {
	struct lapic_bus *bus;
	const struct lapic_ops *ops;
	void *opaque;
	unsigned id;
	GMutex lock;
	struct timer *timer;

	uint64_t base;	/* IA32_APIC_BASE; atomic */
	uint32_t ldr;	/* as in the register of the present mode; atomic */
	uint32_t dfr;	/* atomic */
	bool attention; /* atomic */

	uint32_t tpr, svr, icr_low, icr_high;
	uint32_t esr, esr_pending; /* what a read shows; what the next write latches */
	uint32_t lvt[LAPIC_N_LVTS];
	uint32_t irr[8], isr[8], tmr[8];

	/* Timer: see lapic-timer.c. period is initial count times divider, in ns. */
	uint32_t initial_count, divide;
	uint64_t deadline, period;
	uint64_t tsc_deadline; /* 0: not armed */

	unsigned events;
	uint8_t sipi_vector;
};

struct lapic_bus {
	struct timers *timers;
	void (*eoi)(void *opaque, uint8_t vector);
	void *opaque;
	unsigned n_cpus;
	struct lapic *lapics[]; /* by APIC ID; constant once the vCPUs run */
};

enum lapic_shorthand { LAPIC_TO_DEST, LAPIC_TO_SELF, LAPIC_TO_ALL, LAPIC_TO_OTHERS };

struct lapic_message {
	uint32_t dest;
	enum lapic_delivery mode;
	enum lapic_shorthand shorthand;
	uint8_t vector;
	bool logical;
	bool broadcast; /* dest is all ones in the sender's width */
	bool level;	/* level-triggered: the EOI is reported */
};

static inline enum lapic_mode lapic_mode_of(uint64_t base)
{
	if (!(base & LAPIC_BASE_ENABLE))
		return LAPIC_OFF;
	return base & LAPIC_BASE_X2APIC ? LAPIC_X2APIC : LAPIC_XAPIC;
}

static inline enum lapic_mode lapic_mode(const struct lapic *lapic)
{
	return lapic_mode_of(__atomic_load_n(&lapic->base, __ATOMIC_RELAXED));
}

/* Routes a message; sender is NULL for one from outside. No lapic lock held. */
void lapic_bus_send(struct lapic_bus *bus, struct lapic *sender, const struct lapic_message *msg);

/* One lapic takes a message. Lock not held. */
void lapic_deliver(struct lapic *lapic, enum lapic_delivery mode, uint8_t vector, bool level);
/* Processor priority for arbitration, or 256 when it takes no fixed interrupts. Lock not held. */
unsigned lapic_arbitration_priority(struct lapic *lapic);

/* From here on: lock held. */

/* Recomputes the attention flag. posted: something new arrived, so the vCPU must look again in any case. */
void lapic_evaluate(struct lapic *lapic, bool posted);
void lapic_deliver_locked(struct lapic *lapic, enum lapic_delivery mode, uint8_t vector, bool level);
void lapic_raise_error(struct lapic *lapic, uint32_t error);
uint32_t lapic_processor_priority(const struct lapic *lapic);
/* Returns the vector whose end the I/O APIC must hear of, or -1. */
int lapic_end_of_interrupt(struct lapic *lapic);
/* Everything but ID, base and latched events as after power-on. */
void lapic_reset_registers(struct lapic *lapic);
/* What LDR holds in x2APIC mode. */
uint32_t lapic_x2apic_ldr(const struct lapic *lapic);

void lapic_timer_expired(void *lapic); /* the struct timer's callback */
void lapic_timer_reset(struct lapic *lapic);
void lapic_timer_settle(struct lapic *lapic);
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t val);
void lapic_timer_set_initial(struct lapic *lapic, uint32_t val);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t val);
uint32_t lapic_timer_current(struct lapic *lapic);
uint64_t lapic_timer_deadline(struct lapic *lapic);
void lapic_timer_set_deadline(struct lapic *lapic, uint64_t tsc);
/* Starts a stopped timer as saved; the LVT entry is in place. */
void lapic_timer_load(struct lapic *lapic, uint32_t initial, uint32_t current, uint32_t divide, uint64_t tsc_deadline);

#endif
