/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/pci.h"

#include "vmm/vm.h"

/*
 * How a PCI function interrupts: INTx (PCI 3.0 section 2.2.6) and MSI-X (section 6.8.2).
 *
 * Everything here is guarded by the function's irq_lock, so that an I/O thread can raise an interrupt while a vCPU
 * holds the device lock and waits for that very thread (a device reset does). A masked vector that fires is
 * remembered in its pending bit and sent when it is unmasked. While MSI-X is enabled the INTx line stays down,
 * whatever level the device asks for.
 */
#define CAP_MSIX 0x11
#define CAP_MSIX_LEN 12u
#define MSIX_ENABLE 0x8000u
#define MSIX_FUNCTION_MASK 0x4000u
#define MSIX_ENTRY_MASKED 1u
#define MSIX_ENTRY_SIZE 16u
#define MSIX_PBA 0x800u /* offset of the pending bits in the BAR */
#define MSIX_BAR_SIZE 0x1000u

#define CFG_COMMAND 0x04
#define COMMAND_INTX_OFF 0x0400u
#define CFG_INTERRUPT_PIN 0x3d

G_STATIC_ASSERT(PCI_MSIX_MAX *MSIX_ENTRY_SIZE <= MSIX_PBA);

/* --- all below here: irq_lock held --- */

static void update_line(struct pci_device *pci)
{
	bool line = pci->intx_level && !(pci_get16(pci->config + CFG_COMMAND) & COMMAND_INTX_OFF) &&
		    !(pci->msix_control & MSIX_ENABLE);

	if (line == pci->intx_line || !pci->bus)
		return;
	pci->intx_line = line;
	pci_bus_set_intx(pci->bus, pci->slot, line);
}

static bool vector_open(const struct pci_device *pci, unsigned vector)
{
	return (pci->msix_control & (MSIX_ENABLE | MSIX_FUNCTION_MASK)) == MSIX_ENABLE &&
	       !(pci->msix_vector_control[vector] & MSIX_ENTRY_MASKED);
}

static void send_vector(struct pci_device *pci, unsigned vector)
{
	struct msi_message msg = { .address = pci->msix_address[vector], .data = pci->msix_data[vector] };

	pci->msix_pending[vector] = false;
	if (pci->bus)
		pci_bus_send(pci->bus, &msg);
}

static void send_pending(struct pci_device *pci)
{
	for (unsigned vector = 0; vector < pci->msix_count; vector++)
		if (pci->msix_pending[vector] && vector_open(pci, vector))
			send_vector(pci, vector);
}

static uint32_t table_read(const struct pci_device *pci, uint64_t off)
{
	unsigned vector = (unsigned)(off / MSIX_ENTRY_SIZE);

	if (vector >= pci->msix_count)
		return 0;
	switch (off % MSIX_ENTRY_SIZE) {
	case 0:
		return (uint32_t)pci->msix_address[vector];
	case 4:
		return (uint32_t)(pci->msix_address[vector] >> 32);
	case 8:
		return pci->msix_data[vector];
	case 12:
		return pci->msix_vector_control[vector];
	default:
		return 0;
	}
}

static uint32_t pending_read(const struct pci_device *pci, uint64_t off)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 32; i++)
		if (off * 8 + i < pci->msix_count && pci->msix_pending[off * 8 + i])
			bits |= 1u << i;
	return bits;
}

static void table_write(struct pci_device *pci, uint64_t off, uint32_t val)
{
	unsigned vector = (unsigned)(off / MSIX_ENTRY_SIZE);

	if (vector >= pci->msix_count)
		return;
	switch (off % MSIX_ENTRY_SIZE) {
	case 0:
		pci->msix_address[vector] = (pci->msix_address[vector] & ~UINT64_C(0xffffffff)) | (val & ~3u);
		break;
	case 4:
		pci->msix_address[vector] = (uint32_t)pci->msix_address[vector] | (uint64_t)val << 32;
		break;
	case 8:
		pci->msix_data[vector] = val;
		break;
	case 12:
		pci->msix_vector_control[vector] = val & MSIX_ENTRY_MASKED;
		send_pending(pci);
		break;
	default:
		break;
	}
}

/* --- the BAR with table and pending bits --- */

static uint64_t msix_read(void *opaque, uint64_t off, unsigned size)
{
	struct pci_device *pci = opaque;
	uint64_t val = 0;

	(void)size;
	if (off % 4)
		return 0;
	g_mutex_lock(&pci->irq_lock);
	if (off < MSIX_PBA)
		val = table_read(pci, off);
	else if (off - MSIX_PBA < PCI_MSIX_MAX / 8)
		val = pending_read(pci, off - MSIX_PBA);
	g_mutex_unlock(&pci->irq_lock);
	return val;
}

static void msix_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct pci_device *pci = opaque;

	(void)size;
	if (off % 4 || off >= MSIX_PBA)
		return;
	g_mutex_lock(&pci->irq_lock);
	table_write(pci, off, (uint32_t)val);
	g_mutex_unlock(&pci->irq_lock);
}

static const struct bus_ops msix_ops = { .read = msix_read, .write = msix_write, .min_size = 4, .max_size = 4 };

/* --- public --- */

void pci_add_msix(struct pci_device *pci, unsigned bar, unsigned count)
{
	unsigned cap = pci_add_capability(pci, CAP_MSIX, CAP_MSIX_LEN);

	g_assert(count >= 1 && count <= PCI_MSIX_MAX);
	pci_add_bar(pci, bar, MSIX_BAR_SIZE, false, false, &msix_ops, pci, NULL);
	pci->msix_cap = (uint16_t)cap;
	pci->msix_count = (uint16_t)count;
	pci_put16(pci->config + cap + 2, (uint16_t)(count - 1));
	pci_put16(pci->writable + cap + 2, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	pci_put32(pci->config + cap + 4, bar);
	pci_put32(pci->config + cap + 8, MSIX_PBA | bar);
	pci->config[CFG_INTERRUPT_PIN] = 1;
	pci_irq_reset(pci);
}

bool pci_msix_enabled(const struct pci_device *pci)
{
	return __atomic_load_n(&pci->msix_control, __ATOMIC_RELAXED) & MSIX_ENABLE;
}

void pci_msix_notify(struct pci_device *pci, unsigned vector)
{
	g_mutex_lock(&pci->irq_lock);
	if (vector < pci->msix_count && (pci->msix_control & MSIX_ENABLE)) {
		if (vector_open(pci, vector))
			send_vector(pci, vector);
		else
			pci->msix_pending[vector] = true;
	}
	g_mutex_unlock(&pci->irq_lock);
}

void pci_intx(struct pci_device *pci, bool level)
{
	g_mutex_lock(&pci->irq_lock);
	pci->intx_level = level;
	update_line(pci);
	g_mutex_unlock(&pci->irq_lock);
}

void pci_irq_config_written(struct pci_device *pci)
{
	g_mutex_lock(&pci->irq_lock);
	if (pci->msix_cap)
		__atomic_store_n(&pci->msix_control, pci_get16(pci->config + pci->msix_cap + 2), __ATOMIC_RELAXED);
	update_line(pci);
	send_pending(pci);
	g_mutex_unlock(&pci->irq_lock);
}

void pci_irq_reset(struct pci_device *pci)
{
	g_mutex_lock(&pci->irq_lock);
	pci->intx_level = false;
	__atomic_store_n(&pci->msix_control, 0, __ATOMIC_RELAXED);
	for (unsigned vector = 0; vector < PCI_MSIX_MAX; vector++) {
		pci->msix_address[vector] = 0;
		pci->msix_data[vector] = 0;
		pci->msix_vector_control[vector] = MSIX_ENTRY_MASKED;
		pci->msix_pending[vector] = false;
	}
	update_line(pci);
	g_mutex_unlock(&pci->irq_lock);
}
