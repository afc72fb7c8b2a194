/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_PCI_H
#define LODGE_VMM_PCI_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/irq.h"

/*
 * PCI Express root complex: host bridge, type-1 configuration access (0xcf8/0xcfc), ECAM, one bus of 32 slots, BARs,
 * capabilities, MSI and MSI-X. A PCI device embeds `struct pci_device` (which embeds `struct device`) as its first
 * member and describes itself before pci_add().
 */
#define PCI_ECAM_BASE UINT64_C(0xb0000000)
#define PCI_ECAM_BUSES 1u /* of 256 the window could hold */
#define PCI_MMIO32_BASE UINT64_C(0xc0000000)
#define PCI_MMIO32_SIZE UINT64_C(0x3c000000) /* up to 0xfc000000 */
#define PCI_MMIO64_SIZE (UINT64_C(1) << 35)
#define PCI_IO_BASE 0x1000u
#define PCI_IO_SIZE 0xf000u

struct pci_bus;
struct pci_device;

#define PCI_MSIX_MAX 64u /* vectors of one function */

struct pci_bar {
	uint64_t size; /* power of two, 0 = absent */
	bool io, is64, prefetch;
	struct bus_region *region;
};

struct pci_device_ops {
	/* Configuration write after the generic part has been applied; may be NULL. Device lock held. */
	void (*config_written)(struct pci_device *pci, unsigned off, unsigned size);
	/*
	 * Configuration read/write of a device-owned capability window (virtio PCI_CFG); false: not handled. May be
	 * NULL.
	 */
	bool (*config_access)(struct pci_device *pci, bool write, unsigned off, unsigned size, uint32_t *val);
};

struct pci_device {
	struct device dev;
	struct pci_bus *bus;
	unsigned slot; /* function is always 0 */
	const struct pci_device_ops *ops;
	uint8_t config[4096];
	uint8_t writable[4096]; /* mask of guest-writable bits */
	struct pci_bar bars[6];
	uint8_t *reset_config; /* config as pci_add() left it: what a reset brings back */
	uint16_t next_cap;
	/*
	 * Interrupts, guarded by irq_lock (taken inside the device lock, outside the interrupt controllers' locks),
	 * so that an I/O thread raises one without the device lock. MSI-X capability at msix_cap (0 = none); table
	 * and pending bits as parallel arrays. msix_fd: eventfds that the accelerator turns into messages, see
	 * pci-msix.c; -1: none.
	 */
	GMutex irq_lock;
	bool intx_level; /* what the device asks for */
	bool intx_line;	 /* what the bus has been told */
	uint16_t msix_cap, msix_count;
	uint16_t msix_control; /* shadow of the capability's message control; atomic */
	uint64_t msix_address[PCI_MSIX_MAX];
	uint32_t msix_data[PCI_MSIX_MAX];
	uint32_t msix_vector_control[PCI_MSIX_MAX]; /* bit 0: masked */
	bool msix_pending[PCI_MSIX_MAX];
	int msix_fd[PCI_MSIX_MAX];
	bool msix_direct[PCI_MSIX_MAX];	   /* atomic: signalling msix_fd is the way to fire */
	bool msix_connected[PCI_MSIX_MAX]; /* and it is the message now; otherwise it waits in msix_fd */
};

/* Little-endian fields of configuration space. */
static inline uint16_t pci_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t pci_get32(const uint8_t *p)
{
	return pci_get16(p) | (uint32_t)pci_get16(p + 2) << 16;
}

static inline void pci_put16(uint8_t *p, uint16_t val)
{
	p[0] = (uint8_t)val;
	p[1] = (uint8_t)(val >> 8);
}

static inline void pci_put32(uint8_t *p, uint32_t val)
{
	pci_put16(p, (uint16_t)val);
	pci_put16(p + 2, (uint16_t)(val >> 16));
}

/*
 * intx: GSI lines of INTA-INTD; send: MSI messages. Registers 0xcf8/0xcfc and ECAM. mmio64_base: start of the 64-bit
 * window.
 */
struct pci_bus *pci_bus_new(struct vm *vm, const struct irq intx[4],
			    void (*send)(void *opaque, const struct msi_message *msg), void *opaque,
			    uint64_t mmio64_base);
/*
 * The bus is its host bridge: either hand pci_bus_device() to vm_add_device(), whose destroy frees the bus, or call
 * pci_bus_free(); not both.
 */
void pci_bus_free(struct pci_bus *bus);
struct device *pci_bus_device(struct pci_bus *bus); /* the host bridge (8086:29c0, slot 0), for save/load/reset */

/* ICH9's LPC bridge (8086:2918) at slot 31, without registers of its own: some guests look for an ISA bridge. */
struct device *pci_isa_bridge_new(struct pci_bus *bus, GError **err);

/* Fills ids and class (0xCCSSPP), then device_init()s. Subsystem ids may be 0. */
void pci_device_init(struct pci_device *pci, const struct device_class *class, struct vm *vm, const char *id,
		     uint16_t vendor, uint16_t device, uint32_t class_code, uint8_t revision, uint16_t sub_vendor,
		     uint16_t sub_device);
void pci_device_fini(struct pci_device *pci);

void pci_add_bar(struct pci_device *pci, unsigned bar, uint64_t size, bool is64, bool prefetch,
		 const struct bus_ops *ops, void *opaque, GMutex *lock);
void pci_add_io_bar(struct pci_device *pci, unsigned bar, uint32_t size, const struct bus_ops *ops, void *opaque,
		    GMutex *lock);
/* Appends a capability of len bytes (header included) and returns its offset. */
unsigned pci_add_capability(struct pci_device *pci, uint8_t id, unsigned len);
/*
 * MSI-X with count vectors; table and PBA in the given BAR (which this function creates, 4 KiB or larger, own
 * handlers).
 */
void pci_add_msix(struct pci_device *pci, unsigned bar, unsigned count);

/* The address a BAR decodes at now; false while it decodes nothing. Device lock held. */
bool pci_bar_address(const struct pci_device *pci, unsigned bar, uint64_t *addr);
bool pci_bus_master(const struct pci_device *pci); /* the guest lets the device do DMA; device lock held */

/*
 * Puts the device into the lowest free slot (slot < 0) and assigns BAR addresses, so that kernels find a configured
 * bus. False when the bus is full. Only before the vCPUs start. INTA of the device leads to intx[slot % 4].
 */
bool pci_add(struct pci_bus *bus, struct pci_device *pci, int slot, GError **err);

/* True when the guest has enabled MSI-X. */
bool pci_msix_enabled(const struct pci_device *pci);
/* Fires vector: masked ones become pending. Any thread. */
void pci_msix_notify(struct pci_device *pci, unsigned vector);
void pci_intx(struct pci_device *pci, bool level); /* any thread */

/* Helpers for reset/save/load of the generic part (call from the class's own hooks). Device lock held. */
void pci_device_reset(struct pci_device *pci);
void pci_device_pre_save(struct pci_device *pci);
bool pci_device_post_load(struct pci_device *pci, GError **err);

/*
 * The generic part of a PCI device's saved state: .base_fields of its class, or the macro as the first rows of a
 * larger base. What a load brings into read-only bits is put right by pci_device_post_load().
 */
extern const struct device_field pci_device_fields[];
extern const size_t pci_n_device_fields;
#define PCI_DEVICE_FIELDS \
	DEVICE_FIELD_ARRAY(U8, pci_device, config), DEVICE_FIELD(BOOL, pci_device, intx_level), \
		DEVICE_FIELD_ARRAY(U64, pci_device, msix_address), DEVICE_FIELD_ARRAY(U32, pci_device, msix_data), \
		DEVICE_FIELD_ARRAY(U32, pci_device, msix_vector_control), \
		DEVICE_FIELD_ARRAY(BOOL, pci_device, msix_pending)

/* Between pci.c and pci-msix.c. */
void pci_irq_config_written(struct pci_device *pci); /* command or MSI-X control may have changed; device lock held */
void pci_irq_reset(struct pci_device *pci);
void pci_irq_fini(struct pci_device *pci);
void pci_bus_set_intx(struct pci_bus *bus, unsigned slot, bool level);
void pci_bus_send(struct pci_bus *bus, const struct msi_message *msg);

#endif
