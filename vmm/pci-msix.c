/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/pci.h"

#include <sys/eventfd.h>

#include "core/base/fd.h"
#include "vmm/vm.h"

/*
 * How a PCI function interrupts: INTx (PCI 3.0 section 2.2.6) and MSI-X (section 6.8.2).
 *
 * Everything here is guarded by the function's irq_lock, so that an I/O thread can raise an interrupt while a vCPU
 * holds the device lock and waits for that very thread (a device reset does). A masked vector that fires is
 * remembered in its pending bit and sent when it is unmasked. While MSI-X is enabled the INTx line stays down,
 * whatever level the device asks for.
 *
 * Where the accelerator turns eventfds into messages, a vector gets one when it is first unmasked, for good, and from
 * then on firing it is one write without any lock. The eventfd is connected exactly while the vector is open. While it
 * is not, a signal stays inside it as one more pending bit: collect() moves that to the array wherever the pending
 * bits matter, and what comes after that waits for the next connection, which sees it. So no order of masking and
 * firing loses an interrupt, and none gets through once the write that masks it is done.
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

static bool can_connect(const struct pci_device *pci)
{
	const struct vm *vm = pci->dev.vm;

	return vm && vm->accel && vm->accel_class->irqfd;
}

static void disconnect(struct pci_device *pci, unsigned vector)
{
	const struct vm *vm = pci->dev.vm;

	if (!pci->msix_connected[vector])
		return;
	vm->accel_class->irqfd(vm->accel, pci->msix_fd[vector], NULL);
	pci->msix_connected[vector] = false;
}

/* On failure whoever fires the vector takes the lock again. */
static void connect(struct pci_device *pci, unsigned vector)
{
	struct msi_message msg = { .address = pci->msix_address[vector], .data = pci->msix_data[vector] };
	const struct vm *vm = pci->dev.vm;
	bool done;

	if (!can_connect(pci))
		return;
	if (pci->msix_fd[vector] < 0)
		pci->msix_fd[vector] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	done = pci->msix_fd[vector] >= 0 && vm->accel_class->irqfd(vm->accel, pci->msix_fd[vector], &msg);
	pci->msix_connected[vector] = done;
	__atomic_store_n(&pci->msix_direct[vector], done, __ATOMIC_RELEASE);
}

/* True when the vector was fired while it was not connected. */
static bool collect(struct pci_device *pci, unsigned vector)
{
	eventfd_t count;

	if (pci->msix_fd[vector] < 0 || pci->msix_connected[vector] || eventfd_read(pci->msix_fd[vector], &count) < 0)
		return false;
	if (pci->msix_control & MSIX_ENABLE)
		pci->msix_pending[vector] = true;
	return true;
}

/* The vector's mask or message may have changed. */
static void vector_changed(struct pci_device *pci, unsigned vector)
{
	if (!vector_open(pci, vector)) {
		disconnect(pci, vector);
		collect(pci, vector);
		return;
	}
	collect(pci, vector);
	if (pci->msix_pending[vector])
		send_vector(pci, vector);
	connect(pci, vector);
	/* Fired by somebody who saw msix_direct before connect() failed. */
	if (collect(pci, vector))
		send_vector(pci, vector);
}

static void all_changed(struct pci_device *pci)
{
	for (unsigned vector = 0; vector < pci->msix_count; vector++)
		vector_changed(pci, vector);
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

static uint32_t pending_read(struct pci_device *pci, uint64_t off)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 32 && off * 8 + i < pci->msix_count; i++) {
		unsigned vector = (unsigned)off * 8 + i;

		collect(pci, vector);
		if (pci->msix_pending[vector])
			bits |= 1u << i;
	}
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
		break;
	default:
		return;
	}
	vector_changed(pci, vector);
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
	if (vector >= pci->msix_count || !pci_msix_enabled(pci))
		return;
	if (__atomic_load_n(&pci->msix_direct[vector], __ATOMIC_ACQUIRE)) {
		/* The only failure is a counter that is full, and so says all there is to say. */
		(void)eventfd_write(pci->msix_fd[vector], 1);
		return;
	}
	g_mutex_lock(&pci->irq_lock);
	if (pci->msix_control & MSIX_ENABLE) {
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
	all_changed(pci);
	g_mutex_unlock(&pci->irq_lock);
}

void pci_irq_reset(struct pci_device *pci)
{
	g_mutex_lock(&pci->irq_lock);
	pci->intx_level = false;
	__atomic_store_n(&pci->msix_control, 0, __ATOMIC_RELAXED);
	for (unsigned vector = 0; vector < PCI_MSIX_MAX; vector++) {
		disconnect(pci, vector);
		collect(pci, vector);
		pci->msix_address[vector] = 0;
		pci->msix_data[vector] = 0;
		pci->msix_vector_control[vector] = MSIX_ENTRY_MASKED;
		pci->msix_pending[vector] = false;
	}
	update_line(pci);
	g_mutex_unlock(&pci->irq_lock);
}

void pci_device_pre_save(struct pci_device *pci)
{
	g_mutex_lock(&pci->irq_lock);
	for (unsigned vector = 0; vector < pci->msix_count; vector++)
		collect(pci, vector);
	g_mutex_unlock(&pci->irq_lock);
}

void pci_irq_fini(struct pci_device *pci)
{
	pci_irq_reset(pci);
	for (unsigned vector = 0; vector < PCI_MSIX_MAX; vector++) {
		pci->msix_direct[vector] = false;
		fd_close(&pci->msix_fd[vector]);
	}
}
