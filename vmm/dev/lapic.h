/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_DEV_LAPIC_H
#define LODGE_VMM_DEV_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/irq.h"
#include "vmm/timer.h"

/*
 * Local APICs and the bus that joins them, for accelerators that have none of their own (the software CPU). Intel SDM volume 3 chapter 10:
 * xAPIC and x2APIC modes, logical flat / cluster / x2APIC destinations, lowest priority (delivered to the lowest-numbered candidate with the
 * lowest priority), self IPI, NMI, INIT, SIPI, LVT timer one-shot / periodic / TSC-deadline, LINT0/1, error register, spurious vector, EOI
 * broadcast to the I/O APIC, TPR/PPR and CR8.
 *
 * Every lapic has a lock; deliveries come from any thread. The owning vCPU is told through ops->wake() that something may be pending (called with
 * the lapic lock held: it must only set a flag and signal), and learns what by the functions below on its own thread.
 */
struct lapic;
struct lapic_bus;

struct lapic_ops {
	void (*wake)(void *opaque);		     /* something changed: look at lapic_pending() soon */
	uint64_t (*tsc)(void *opaque);		     /* guest TSC now, any thread, for the TSC-deadline timer */
	uint64_t (*tsc_to_ns)(void *opaque, uint64_t tsc); /* virtual-clock ns at which the guest TSC will read this */
};

/* timers: the VM's. eoi: called (no lapic lock held) with a vector when a level-triggered interrupt is finished; may be NULL in tests. */
struct lapic_bus *lapic_bus_new(struct timers *timers, unsigned n_cpus, void (*eoi)(void *opaque, uint8_t vector), void *opaque);
void lapic_bus_free(struct lapic_bus *bus); /* frees the lapics too */
struct lapic *lapic_new(struct lapic_bus *bus, unsigned apic_id, const struct lapic_ops *ops, void *opaque);

/* bsp: sets the BSP flag of IA32_APIC_BASE. Power-on state; also on INIT (init true keeps APIC ID and IA32_APIC_BASE). */
void lapic_reset(struct lapic *lapic, bool bsp, bool init);

/* A message from the I/O APIC or a device: any thread. */
void lapic_bus_msi(struct lapic_bus *bus, const struct msi_message *msg);

/* Register access through the MMIO page (off 0 to 0xfff, 32 bits wide). Own vCPU's thread only. */
uint32_t lapic_mmio_read(struct lapic *lapic, uint32_t off);
void lapic_mmio_write(struct lapic *lapic, uint32_t off, uint32_t val);

/* IA32_APIC_BASE (0x1b), IA32_TSC_DEADLINE (0x6e0) and 0x800-0x8ff. false: raise #GP. Own vCPU's thread only. */
bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *val);
bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t val);

uint64_t lapic_base(const struct lapic *lapic); /* IA32_APIC_BASE */

/* Cheap, lock-free: true when one of the take functions below may have something. */
bool lapic_attention(const struct lapic *lapic);

/* Highest pending vector whose class is above the processor priority, or -1. */
int lapic_pending(struct lapic *lapic);
/* Moves that vector from IRR to ISR and returns it, or -1 when nothing is deliverable any more. */
int lapic_accept(struct lapic *lapic);
/* True when LINT0 lets an ExtINT of the PIC through (unmasked ExtINT, or the APIC is disabled by IA32_APIC_BASE). */
bool lapic_takes_extint(const struct lapic *lapic);

/* One-shot events from INIT, SIPI, NMI messages (and LINT1). Each returns true once per event. */
bool lapic_take_nmi(struct lapic *lapic);
bool lapic_take_init(struct lapic *lapic);
bool lapic_take_sipi(struct lapic *lapic, uint8_t *vector);

uint8_t lapic_get_cr8(const struct lapic *lapic);
void lapic_set_cr8(struct lapic *lapic, uint8_t val);

/* Register image as in struct x86_cpu_state (32-bit registers packed at (offset >> 4) * 4); base and deadline beside it. Vcpu stopped. */
void lapic_save(struct lapic *lapic, uint8_t image[1024], uint64_t *apic_base, uint64_t *tsc_deadline);
bool lapic_load(struct lapic *lapic, const uint8_t image[1024], uint64_t apic_base, uint64_t tsc_deadline);

/* APIC timer input: fixed 1 GHz "bus clock" in virtual time, so one tick before the divider is one ns. CPUID leaf 0x15 / 0x40000010 say so. */
#define LAPIC_TIMER_HZ UINT64_C(1000000000)

#endif
