/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_IRQ_H
#define LODGE_VMM_IRQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An interrupt line: where a device's output pin leads. Plain data, copied freely. Setting a line is safe from any thread and may be
 * called with the device's lock held; receivers (PIC, I/O APIC) take only their own lock, never call back.
 */
struct irq {
	void (*set)(void *opaque, unsigned pin, bool level);
	void *opaque;
	unsigned pin;
};

static inline void irq_set(const struct irq *irq, bool level)
{
	if (irq->set)
		irq->set(irq->opaque, irq->pin, level);
}

static inline void irq_pulse(const struct irq *irq)
{
	irq_set(irq, true);
	irq_set(irq, false);
}

/*
 * A message signalled interrupt on its way to the local APICs: the address and data words of PCI 3.0 section 6.8 and Intel SDM volume 3
 * section 10.11 (destination in address bits 19:12, extended destination bits 63:32 shifted as Linux' "msi ext dest id" does: address bits
 * 11:5 hold destination bits 14:8).
 */
struct msi_message {
	uint64_t address;
	uint32_t data;
};

#endif
