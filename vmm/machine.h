/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_MACHINE_H
#define LODGE_VMM_MACHINE_H

#include "core/model/vm-config.h"
#include "vmm/vm.h"

/*
 * The board: one virtual PC put together from a configuration.
 *
 * Physical addresses                                     I/O ports
 *   0          low RAM (memory.h), boot data below 1 MiB   0x020 0x0a0 0x4d0  PIC pair, ELCR
 *   0xe0000    ACPI tables (acpi.h)                        0x040 0x061        PIT, speaker
 *   0xf0000    SMBIOS                                      0x060 0x064        keyboard controller
 *   0xb0000000 PCI ECAM (pci.h)                            0x070              RTC, CMOS
 *   0xc0000000 PCI BARs, 32-bit                            0x080 0x402        POST, debug port
 *   0xfec00000 I/O APIC                                    0x3f8 0x2f8        COM1, COM2
 *   0xfed00000 HPET                                        0x3e8 0x2e8        COM3, COM4
 *   0xfee00000 local APICs                                 0x505              pvpanic
 *   4 GiB      high RAM                                    0x600              ACPI PM block
 *   above RAM  PCI BARs, 64-bit                            0xcf8 0xcf9 0xcfc  PCI configuration, reset
 *                                                          0x1000 up          PCI BARs
 *
 * GSIs: the ISA ones are the PC's (1 keyboard, 4 COM1 and COM3, 3 COM2 and COM4, 8 RTC, 9 SCI, 12 mouse; the PIT is 0
 * on the PIC and 2 on the I/O APIC), PCI INTA to INTD are MACHINE_PCI_GSI to MACHINE_PCI_GSI + 3.
 */
#define MACHINE_PCI_GSI 16u

struct machine;
struct block_node;

/*
 * config: used only during the call. console: the host end of COM1 or of the virtio console, not owned. why (may be
 * NULL): one line about the choice of the accelerator, see accel_choose(); g_free() it.
 */
struct machine *machine_new(const struct vm_config *config, GMainContext *context, struct chardev *console, char **why,
			    GError **err);

/*
 * The same for a VM with ports (vmm/ports.h, may be NULL) and a statistics page of its own (NULL: none); neither is
 * owned.
 */
struct machine_host {
	GMainContext *context;
	struct chardev *console; /* or NULL */
	GPtrArray *ports;	 /* struct vm_port */
	struct stats_page *stats;
};
struct machine *machine_new_for(const struct vm_config *config, const struct machine_host *host, char **why,
				GError **err);
void machine_free(struct machine *machine);
DEFINE_AUTOPTR(machine, machine_free)

/* What the guest's kernel said when the last thing it did was to panic, or NULL; see panic-watch.h. */
const char *machine_panic(struct machine *machine);

/* The terminal the console leads to has this size. Nothing happens where the guest's end cannot tell it. Any thread. */
void machine_resize_console(struct machine *machine, uint16_t cols, uint16_t rows);

/* What the control socket asks about; owned by the machine, and NULL where the machine has no such device. */
struct machine_disk {
	char *target, *alias; /* "vda", "virtio-disk0" */
	struct device *dev;
	const struct block_node *node;
	struct stats_disk *stats;
};
const struct machine_disk *machine_disk(const struct machine *machine, unsigned index); /* NULL behind the last */
struct vm_port;
struct vm_port *machine_serial_port(const struct machine *machine, unsigned number); /* of the virtio device */
struct device *machine_balloon(const struct machine *machine);
struct device *machine_keyboard(const struct machine *machine);
const uint8_t *machine_uuid(const struct machine *machine); /* 16 bytes */

/* Owned by the machine, ready for vm_start(). */
struct vm *machine_vm(struct machine *machine);

#endif
