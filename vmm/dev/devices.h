/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_DEV_DEVICES_H
#define LODGE_VMM_DEV_DEVICES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/device.h"
#include "vmm/irq.h"
#include "vmm/timer.h"

/*
 * Constructors of the board's small devices. Each registers its ports or MMIO with vm->pio / vm->mmio and returns the instance; the caller gives it
 * to vm_add_device(). Addresses and pins are the PC's.
 */
struct vm;
struct bus;
struct chardev;
struct i8259;
struct ioapic;
struct i8254;
struct hpet;
struct rtc;
struct uart;
struct pm;

/* 8259A pair, 0x20/0xa0, ELCR 0x4d0/0x4d1. out: INT output (-> accel->extint). */
struct i8259 *i8259_new(struct vm *vm, struct bus *pio, const struct irq *out);
void i8259_set_irq(void *pic, unsigned pin, bool level); /* any thread; irq.set shape */
uint8_t i8259_ack(struct i8259 *pic);			 /* INTA cycle: returns the vector (spurious 7 when nothing is pending) */
struct device *i8259_device(struct i8259 *pic);

/* 82093AA with 24 pins at 0xfec00000, version 0x20 with EOI register; send: MSI-form messages to the local APICs. */
struct ioapic *ioapic_new(struct vm *vm, struct bus *mmio, void (*send)(void *opaque, const struct msi_message *msg), void *opaque);
void ioapic_set_irq(void *ioapic, unsigned pin, bool level); /* any thread; irq.set shape */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector);	     /* EOI broadcast from a local APIC */
struct device *ioapic_device(struct ioapic *ioapic);

/* 8254, ports 0x40-0x43 and 0x61 (speaker gate, refresh toggle, channel 2 output). irq: channel 0's output. */
struct i8254 *i8254_new(struct vm *vm, struct bus *pio, struct timers *timers, const struct irq *irq);
struct device *i8254_device(struct i8254 *pit);
/* HPET legacy replacement: while true channel 0 drives nothing. */
void i8254_set_legacy_off(struct i8254 *pit, bool off);

/* HPET at 0xfed00000: 3 comparators, 64-bit counter, 10 ns period, periodic, FSB (MSI) delivery, legacy replacement.
 * irqs: 24 GSI lines; legacy_pit, legacy_rtc: lines of GSI 2/0 and 8 for replacement mode; on_legacy tells PIT and RTC. */
struct hpet *hpet_new(struct vm *vm, struct bus *mmio, struct timers *timers, const struct irq irqs[24],
		      void (*send)(void *opaque, const struct msi_message *msg), void (*on_legacy)(void *opaque, bool on), void *opaque);
struct device *hpet_device(struct hpet *hpet);

/* MC146818 at 0x70/0x71 (0x72/0x73 for the upper 128 bytes): time of day, alarm, periodic, update-ended; CMOS memory-size bytes. wall: UNIX
 * seconds at virtual time 0, from the host clock. ram_low/ram_high: bytes below / above 4 GiB. */
struct rtc *rtc_new(struct vm *vm, struct bus *pio, struct timers *timers, const struct irq *irq, int64_t wall, uint64_t ram_low, uint64_t ram_high);
struct device *rtc_device(struct rtc *rtc);
void rtc_set_legacy_off(struct rtc *rtc, bool off);

/* 16550A with FIFOs at base, baud rate as fiction (no pacing), loopback, modem lines. chardev: not owned. */
struct uart *uart_new(struct vm *vm, struct bus *pio, uint16_t base, const struct irq *irq, struct chardev *chardev, const char *id);
struct device *uart_device(struct uart *uart);

/* Keyboard controller 0x60/0x64 with a keyboard and without a mouse: self test, output port, reset pulse 0xfe, A20. */
struct device *i8042_new(struct vm *vm, struct bus *pio, const struct irq *irq_kbd, const struct irq *irq_aux);
/* A key goes down or up; qnum: vmm/dev/keymap.h. More than the keyboard can hold is lost. Any thread. */
void i8042_key(struct device *dev, unsigned qnum, bool down);
unsigned i8042_leds(struct device *dev); /* bit 0 scroll lock, 1 num lock, 2 caps lock; any thread */

/*
 * ACPI PM block at PM_BASE: PM1a event and control (S5 -> vm_request_stop, S3 refused, S4 as S5), PM timer 3.579545 MHz 32 bits, GPE0 block, SMI command port 0xb2
 * (ACPI enable/disable). sci: level, active high. power_button() sets PWRBTN_STS. The reset register 0xcf9 lies inside the PCI address register: vmm/pci.c.
 */
#define PM_BASE 0x600u
#define PM_EVENT 0x00u /* offsets in the block: status and enable, 2 bytes each */
#define PM_CONTROL 0x04u
#define PM_TIMER 0x08u
#define PM_GPE 0x20u
#define PM_GPE_LEN 16u /* half status, half enable */
#define PM_SIZE (PM_GPE + PM_GPE_LEN)
#define PM_SCI_GSI 9u
#define PM_ACPI_ENABLE 0xf1u /* values of the SMI command port, also told in the FADT */
#define PM_ACPI_DISABLE 0xf0u
struct pm *pm_new(struct vm *vm, struct bus *pio, struct timers *timers, const struct irq *sci);
bool pm_power_button(struct pm *pm); /* false: the guest has not enabled ACPI mode */
struct device *pm_device(struct pm *pm);

/* pvpanic at 0x505: bit 0 panicked -> vm_request_stop(VM_STOP_PANIC), bit 1 crash loaded, bit 2 shutdown. */
struct device *pvpanic_new(struct vm *vm, struct bus *pio);

/* Debug port 0x402 (reads 0xe9, writes go to the chardev; NULL: discarded) and POST port 0x80. */
struct device *debug_port_new(struct vm *vm, struct bus *pio, struct chardev *chardev);

#endif
