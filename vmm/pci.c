/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/pci.h"

#include <string.h>

#include "core/base/error.h"
#include "vmm/vm.h"

/*
 * Configuration space, BARs and the host bridge (PCI Local Bus 3.0 chapter 6, PCI Express base
 * specification chapter 7).
 *
 * Each device keeps its configuration space as bytes beside a mask of the bits the guest may change; a write merges
 * the two and then applies its side effects: BARs follow the address bits and the command register's decode bits,
 * interrupts follow their masks. Nothing else depends on what the guest wrote, so any sequence of writes leaves a
 * device that works or one that is mapped nowhere.
 *
 * The slot table and the allocators change only in pci_add(), before the vCPUs start. Configuration accesses take the
 * addressed device's lock.
 */
#define CFG_COMMAND 0x04
#define CFG_STATUS 0x06
#define CFG_REVISION 0x08
#define CFG_BAR(n) (0x10u + 4u * (n))
#define CFG_BAR_END 0x28u
#define CFG_SUBSYSTEM 0x2c
#define CFG_CAP_POINTER 0x34
#define CFG_INTERRUPT_LINE 0x3c
#define CFG_INTERRUPT_PIN 0x3d

#define COMMAND_IO 0x0001u
#define COMMAND_MEMORY 0x0002u
#define COMMAND_MASTER 0x0004u
#define COMMAND_INTX_OFF 0x0400u
#define STATUS_INTERRUPT 0x0008u
#define STATUS_CAPABILITIES 0x0010u

#define BAR_IO 0x1u
#define BAR_64 0x4u
#define BAR_PREFETCH 0x8u

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_MASK 0x80fffffcu
#define PORT_RESET_OFFSET 1u /* 0xcf9 */
#define RESET_CPU 0x04u
#define RESET_MASK 0x0eu
#define MEMORY_TOP (UINT64_C(1) << 46) /* above this no BAR is decoded */
#define IO_TOP UINT64_C(0x10000)

#define N_SLOTS 32u
#define N_BARS 6u
#define SLOT_ISA_BRIDGE 31

#define VENDOR_INTEL 0x8086
#define DEVICE_Q35_MCH 0x29c0
#define DEVICE_ICH9_LPC 0x2918

/* Intel 3 Series datasheet section 5.1.16: bits 35:28 base, bits 2:1 length (only 256 MiB here), bit 0 enable. */
#define MCH_PCIEXBAR 0x60u
#define MCH_PCIEXBAR_BASE UINT64_C(0xff0000000)
#define MCH_PCIEXBAR_ENABLE 0x1u

struct window {
	uint64_t next, end;
};

struct pci_bus {
	struct pci_device host;
	struct pci_device *slots[N_SLOTS];
	struct window io, mmio32, mmio64;
	struct bus_region *ecam;
	uint32_t config_address; /* 0xcf8; atomic */
	uint8_t reset_control;	 /* 0xcf9; atomic */
	struct irq intx[4];
	GMutex intx_lock;
	unsigned intx_count[4]; /* devices that hold the line up */
	void (*send)(void *opaque, const struct msi_message *msg);
	void *opaque;
};

/* --- configuration space --- */

static uint64_t bar_value(const struct pci_device *pci, unsigned n)
{
	uint32_t low = pci_get32(pci->config + CFG_BAR(n));

	if (pci->bars[n].io)
		return low & ~3u;
	if (!pci->bars[n].is64)
		return low & ~15u;
	return (low & ~15u) | (uint64_t)pci_get32(pci->config + CFG_BAR(n + 1)) << 32;
}

bool pci_bar_address(const struct pci_device *pci, unsigned n, uint64_t *addr)
{
	const struct pci_bar *bar = &pci->bars[n];
	uint64_t top = bar->io ? IO_TOP : MEMORY_TOP;
	unsigned decode = bar->io ? COMMAND_IO : COMMAND_MEMORY;
	uint64_t base = bar_value(pci, n);

	if (!bar->size || !(pci_get16(pci->config + CFG_COMMAND) & decode) || base == 0 || base > top - bar->size)
		return false;
	*addr = base;
	return true;
}

bool pci_bus_master(const struct pci_device *pci)
{
	return pci_get16(pci->config + CFG_COMMAND) & COMMAND_MASTER;
}

static void update_bars(struct pci_device *pci)
{
	for (unsigned n = 0; n < N_BARS; n++) {
		uint64_t addr = 0;
		bool on = pci_bar_address(pci, n, &addr);

		if (pci->bars[n].size)
			bus_region_set(pci->bars[n].region, addr, on);
	}
}

static uint32_t config_read(struct pci_device *pci, unsigned off, unsigned size)
{
	uint32_t val = 0;

	if (pci->ops && pci->ops->config_access && pci->ops->config_access(pci, false, off, size, &val))
		return val;
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)pci->config[off + i] << (8 * i);
	if (off <= CFG_STATUS && CFG_STATUS < off + size) {
		g_mutex_lock(&pci->irq_lock);
		if (pci->intx_level)
			val |= STATUS_INTERRUPT << (8 * (CFG_STATUS - off));
		g_mutex_unlock(&pci->irq_lock);
	}
	return val;
}

static void config_write(struct pci_device *pci, unsigned off, uint32_t val, unsigned size)
{
	if (pci->ops && pci->ops->config_access && pci->ops->config_access(pci, true, off, size, &val))
		return;
	for (unsigned i = 0; i < size; i++) {
		uint8_t mask = pci->writable[off + i];

		pci->config[off + i] = (uint8_t)((pci->config[off + i] & ~mask) | (val >> (8 * i) & mask));
	}
	if (off < CFG_BAR_END && off + size > CFG_COMMAND)
		update_bars(pci);
	pci_irq_config_written(pci);
	if (pci->ops && pci->ops->config_written)
		pci->ops->config_written(pci, off, size);
}

/* addr: bus 27:20, device 19:15, function 14:12, register 11:0, as in ECAM. */
static struct pci_device *config_target(struct pci_bus *bus, uint64_t addr, unsigned size)
{
	if (addr >> 20 || (addr >> 12 & 7) || (addr & 0xfff) + size > G_N_ELEMENTS(bus->host.config))
		return NULL;
	return bus->slots[addr >> 15 & 31];
}

static uint64_t target_read(struct pci_bus *bus, uint64_t addr, unsigned size)
{
	struct pci_device *pci = config_target(bus, addr, size);
	uint64_t val;

	if (!pci)
		return UINT64_MAX;
	g_mutex_lock(&pci->dev.lock);
	val = config_read(pci, addr & 0xfff, size);
	g_mutex_unlock(&pci->dev.lock);
	return val;
}

static void target_write(struct pci_bus *bus, uint64_t addr, uint64_t val, unsigned size)
{
	struct pci_device *pci = config_target(bus, addr, size);

	if (!pci)
		return;
	g_mutex_lock(&pci->dev.lock);
	config_write(pci, addr & 0xfff, (uint32_t)val, size);
	g_mutex_unlock(&pci->dev.lock);
}

/* --- the ways in: 0xcf8/0xcfc (PCI 3.0 section 3.2.2.3.2) and ECAM (PCIe section 7.2.2) --- */

/*
 * Only 32-bit accesses reach the address register. A byte at 0xcf9 is the chipset's reset control register (ICH9
 * datasheet section 13.7.5): bit 2 going from 0 to 1 resets the machine. It lives here because a region of its own
 * would cut the address register in two.
 */
static uint64_t address_read(void *opaque, uint64_t off, unsigned size)
{
	struct pci_bus *bus = opaque;

	if (off == 0 && size == 4)
		return __atomic_load_n(&bus->config_address, __ATOMIC_RELAXED);
	if (off == PORT_RESET_OFFSET && size == 1)
		return __atomic_load_n(&bus->reset_control, __ATOMIC_RELAXED);
	return UINT64_MAX;
}

static void address_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct pci_bus *bus = opaque;

	if (off == 0 && size == 4) {
		__atomic_store_n(&bus->config_address, (uint32_t)val & ADDRESS_MASK, __ATOMIC_RELAXED);
	} else if (off == PORT_RESET_OFFSET && size == 1) {
		uint8_t old = __atomic_exchange_n(&bus->reset_control, (uint8_t)val & RESET_MASK, __ATOMIC_RELAXED);

		if (val & ~old & RESET_CPU)
			vm_request_reset(bus->host.dev.vm, "port 0xcf9");
	}
}

static bool data_target(struct pci_bus *bus, uint64_t off, uint64_t *addr)
{
	uint32_t reg = __atomic_load_n(&bus->config_address, __ATOMIC_RELAXED);

	*addr = (uint64_t)(reg >> 8 & 0xffff) << 12 | (reg & 0xfc) | off;
	return reg & ADDRESS_ENABLE;
}

static uint64_t data_read(void *opaque, uint64_t off, unsigned size)
{
	uint64_t addr;

	return data_target(opaque, off, &addr) ? target_read(opaque, addr, size) : UINT64_MAX;
}

static void data_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	uint64_t addr;

	if (data_target(opaque, off, &addr))
		target_write(opaque, addr, val, size);
}

static uint64_t ecam_read(void *opaque, uint64_t off, unsigned size)
{
	return target_read(opaque, off, size);
}

static void ecam_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	target_write(opaque, off, val, size);
}

static const struct bus_ops address_ops = { .read = address_read, .write = address_write, .max_size = 4 };
static const struct bus_ops data_ops = { .read = data_read, .write = data_write, .max_size = 4 };
static const struct bus_ops ecam_ops = { .read = ecam_read, .write = ecam_write, .max_size = 4 };

/* --- describing a device --- */

void pci_device_init(struct pci_device *pci, const struct device_class *class, struct vm *vm, const char *id,
		     uint16_t vendor, uint16_t device, uint32_t class_code, uint8_t revision, uint16_t sub_vendor,
		     uint16_t sub_device)
{
	device_init(&pci->dev, class, vm, id);
	g_mutex_init(&pci->irq_lock);
	for (unsigned i = 0; i < PCI_MSIX_MAX; i++)
		pci->msix_fd[i] = -1;
	pci->next_cap = 0x40;
	pci_put16(pci->config, vendor);
	pci_put16(pci->config + 2, device);
	pci_put32(pci->config + CFG_REVISION, class_code << 8 | revision);
	pci_put16(pci->config + CFG_SUBSYSTEM, sub_vendor);
	pci_put16(pci->config + CFG_SUBSYSTEM + 2, sub_device);
	pci_put16(pci->writable + CFG_COMMAND, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF);
	pci->writable[CFG_INTERRUPT_LINE] = 0xff;
}

void pci_device_fini(struct pci_device *pci)
{
	pci_irq_fini(pci);
	for (unsigned n = 0; n < N_BARS; n++)
		if (pci->bars[n].size)
			bus_region_set(pci->bars[n].region, 0, false);
	if (pci->bus && pci->bus->slots[pci->slot] == pci)
		pci->bus->slots[pci->slot] = NULL;
	g_clear_pointer(&pci->reset_config, g_free);
	g_mutex_clear(&pci->irq_lock);
	device_fini(&pci->dev);
}

void pci_add_bar(struct pci_device *pci, unsigned n, uint64_t size, bool is64, bool prefetch, const struct bus_ops *ops,
		 void *opaque, GMutex *lock)
{
	struct pci_bar *bar = &pci->bars[n];
	uint64_t mask = ~(size - 1);

	g_assert(n + is64 < N_BARS && !bar->size && size >= 16 && (size & (size - 1)) == 0);
	bar->size = size;
	bar->is64 = is64;
	bar->prefetch = prefetch;
	bar->region = bus_add(pci->dev.vm->mmio, pci->dev.class->name, 0, size, false, ops, opaque, lock);
	pci_put32(pci->config + CFG_BAR(n), (is64 ? BAR_64 : 0) | (prefetch ? BAR_PREFETCH : 0));
	pci_put32(pci->writable + CFG_BAR(n), (uint32_t)mask);
	if (is64)
		pci_put32(pci->writable + CFG_BAR(n + 1), (uint32_t)(mask >> 32));
}

void pci_add_io_bar(struct pci_device *pci, unsigned n, uint32_t size, const struct bus_ops *ops, void *opaque,
		    GMutex *lock)
{
	struct pci_bar *bar = &pci->bars[n];

	g_assert(n < N_BARS && !bar->size && size >= 4 && size <= 256 && (size & (size - 1)) == 0);
	bar->size = size;
	bar->io = true;
	bar->region = bus_add(pci->dev.vm->pio, pci->dev.class->name, 0, size, false, ops, opaque, lock);
	pci_put32(pci->config + CFG_BAR(n), BAR_IO);
	pci_put32(pci->writable + CFG_BAR(n), ~(size - 1));
}

unsigned pci_add_capability(struct pci_device *pci, uint8_t id, unsigned len)
{
	unsigned off = pci->next_cap;

	g_assert(len >= 2 && off + len <= 0x100);
	pci->config[off] = id;
	pci->config[off + 1] = pci->config[CFG_CAP_POINTER];
	pci->config[CFG_CAP_POINTER] = (uint8_t)off;
	pci->config[CFG_STATUS] |= STATUS_CAPABILITIES;
	pci->next_cap = (uint16_t)((off + len + 3) & ~3u);
	return off;
}

/* --- putting it on the bus --- */

static bool window_take(struct window *window, uint64_t size, uint64_t *addr)
{
	uint64_t base = (window->next + size - 1) & ~(size - 1);

	if (base < window->next || base > window->end || size > window->end - base)
		return false;
	window->next = base + size;
	*addr = base;
	return true;
}

static bool assign_bar(struct pci_bus *bus, struct pci_device *pci, unsigned n, GError **err)
{
	struct pci_bar *bar = &pci->bars[n];
	uint8_t *reg = pci->config + CFG_BAR(n);
	uint64_t addr;
	bool found;

	if (bar->io)
		found = window_take(&bus->io, bar->size, &addr);
	else
		found = (bar->is64 && bar->prefetch && window_take(&bus->mmio64, bar->size, &addr)) ||
			window_take(&bus->mmio32, bar->size, &addr);
	if (!found)
		return fail(err, LODGE_ERROR_INPUT, "%s: no room left in the PCI address windows", pci->dev.id);
	pci_put32(reg, pci_get32(reg) | (uint32_t)addr);
	if (bar->is64)
		pci_put32(reg + 4, (uint32_t)(addr >> 32));
	pci->config[CFG_COMMAND] |= bar->io ? COMMAND_IO : COMMAND_MEMORY;
	return true;
}

static bool choose_slot(const struct pci_bus *bus, const struct pci_device *pci, int wanted, unsigned *slot,
			GError **err)
{
	if (wanted >= 0) {
		*slot = (unsigned)wanted;
		if (*slot >= N_SLOTS || bus->slots[*slot])
			return fail(err, LODGE_ERROR_INPUT, "%s: PCI slot %d is not free", pci->dev.id, wanted);
		return true;
	}
	for (*slot = 0; *slot < N_SLOTS; ++*slot)
		if (!bus->slots[*slot])
			return true;
	return fail(err, LODGE_ERROR_INPUT, "%s: all %u PCI slots are taken", pci->dev.id, N_SLOTS);
}

bool pci_add(struct pci_bus *bus, struct pci_device *pci, int wanted, GError **err)
{
	unsigned slot;

	if (!choose_slot(bus, pci, wanted, &slot, err))
		return false;
	for (unsigned n = 0; n < N_BARS; n++)
		if (pci->bars[n].size && !assign_bar(bus, pci, n, err))
			return false;
	if (pci->config[CFG_INTERRUPT_PIN])
		pci->config[CFG_INTERRUPT_LINE] = (uint8_t)bus->intx[slot % 4].pin;
	pci->bus = bus;
	pci->slot = slot;
	pci->reset_config = g_memdup2(pci->config, G_N_ELEMENTS(pci->config));
	bus->slots[slot] = pci;
	update_bars(pci);
	return true;
}

/* --- reset and restore --- */

const struct device_field pci_device_fields[] = { PCI_DEVICE_FIELDS };
const size_t pci_n_device_fields = G_N_ELEMENTS(pci_device_fields);

void pci_device_reset(struct pci_device *pci)
{
	if (pci->reset_config)
		memcpy(pci->config, pci->reset_config, G_N_ELEMENTS(pci->config));
	pci_irq_reset(pci);
	update_bars(pci);
}

bool pci_device_post_load(struct pci_device *pci, GError **err)
{
	if (!pci->reset_config)
		return fail(err, LODGE_ERROR_INTERNAL, "%s: state loaded before the device was put on a bus",
			    pci->dev.id);
	for (size_t i = 0; i < G_N_ELEMENTS(pci->config); i++)
		pci->config[i] = (uint8_t)((pci->reset_config[i] & ~pci->writable[i]) |
					   (pci->config[i] & pci->writable[i]));
	pci_irq_config_written(pci);
	update_bars(pci);
	return true;
}

/* --- what pci-msix.c needs of the bus --- */

void pci_bus_set_intx(struct pci_bus *bus, unsigned slot, bool level)
{
	unsigned line = slot % 4;

	g_mutex_lock(&bus->intx_lock);
	if (level && bus->intx_count[line]++ == 0)
		irq_set(&bus->intx[line], true);
	else if (!level && --bus->intx_count[line] == 0)
		irq_set(&bus->intx[line], false);
	g_mutex_unlock(&bus->intx_lock);
}

void pci_bus_send(struct pci_bus *bus, const struct msi_message *msg)
{
	bus->send(bus->opaque, msg);
}

/* --- the host bridge --- */

static struct pci_bus *bus_of(struct device *dev)
{
	return (struct pci_bus *)(void *)dev;
}

static void host_update_ecam(struct pci_device *pci)
{
	struct pci_bus *bus = bus_of(&pci->dev);
	uint64_t reg = pci_get32(pci->config + MCH_PCIEXBAR) | (uint64_t)pci_get32(pci->config + MCH_PCIEXBAR + 4)
								       << 32;

	bus_region_set(bus->ecam, reg & MCH_PCIEXBAR_BASE, reg & MCH_PCIEXBAR_ENABLE);
}

static void host_config_written(struct pci_device *pci, unsigned off, unsigned size)
{
	if (off < MCH_PCIEXBAR + 8 && off + size > MCH_PCIEXBAR)
		host_update_ecam(pci);
}

static void host_reset(struct device *dev)
{
	struct pci_bus *bus = bus_of(dev);

	__atomic_store_n(&bus->config_address, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&bus->reset_control, 0, __ATOMIC_RELAXED);
	pci_device_reset(&bus->host);
	host_update_ecam(&bus->host);
}

static bool host_post_load(struct device *dev, GError **err)
{
	struct pci_bus *bus = bus_of(dev);

	if (!pci_device_post_load(&bus->host, err))
		return false;
	bus->config_address &= ADDRESS_MASK;
	bus->reset_control &= RESET_MASK;
	host_update_ecam(&bus->host);
	return true;
}

static void host_destroy(struct device *dev)
{
	struct pci_bus *bus = bus_of(dev);

	for (unsigned slot = 1; slot < N_SLOTS; slot++)
		if (bus->slots[slot])
			bus->slots[slot]->bus = NULL;
	bus_region_set(bus->ecam, 0, false);
	pci_device_fini(&bus->host);
	g_mutex_clear(&bus->intx_lock);
	g_free(bus);
}

static const struct device_field host_fields[] = {
	DEVICE_FIELD(U32, pci_bus, config_address),
	DEVICE_FIELD(U8, pci_bus, reset_control),
};

static const struct device_class host_class = {
	.name = "pci-host",
	.version = 1,
	.base_fields = pci_device_fields,
	.n_base_fields = &pci_n_device_fields,
	.fields = host_fields,
	.n_fields = G_N_ELEMENTS(host_fields),
	.reset = host_reset,
	.post_load = host_post_load,
	.destroy = host_destroy,
};

static const struct pci_device_ops host_ops = { .config_written = host_config_written };

static void host_init(struct pci_bus *bus, struct vm *vm)
{
	struct pci_device *host = &bus->host;
	bool added;

	pci_device_init(host, &host_class, vm, "pci-host", VENDOR_INTEL, DEVICE_Q35_MCH, 0x060000, 0, 0, 0);
	host->ops = &host_ops;
	pci_put32(host->config + MCH_PCIEXBAR, (uint32_t)PCI_ECAM_BASE | MCH_PCIEXBAR_ENABLE);
	pci_put32(host->writable + MCH_PCIEXBAR, (uint32_t)MCH_PCIEXBAR_BASE | MCH_PCIEXBAR_ENABLE);
	pci_put32(host->writable + MCH_PCIEXBAR + 4, (uint32_t)(MCH_PCIEXBAR_BASE >> 32));
	added = pci_add(bus, host, 0, NULL);
	g_assert(added);
}

struct pci_bus *pci_bus_new(struct vm *vm, const struct irq intx[4],
			    void (*send)(void *opaque, const struct msi_message *msg), void *opaque,
			    uint64_t mmio64_base)
{
	struct pci_bus *bus = g_new0(struct pci_bus, 1);

	memcpy(bus->intx, intx, sizeof(bus->intx));
	g_mutex_init(&bus->intx_lock);
	bus->send = send;
	bus->opaque = opaque;
	bus->io = (struct window){ PCI_IO_BASE, PCI_IO_BASE + PCI_IO_SIZE };
	bus->mmio32 = (struct window){ PCI_MMIO32_BASE, PCI_MMIO32_BASE + PCI_MMIO32_SIZE };
	if (mmio64_base)
		bus->mmio64 = (struct window){ mmio64_base, mmio64_base + PCI_MMIO64_SIZE };
	/*
	 * These need no lock: config_address is atomic and the handlers take the lock of the device that is
	 * addressed.
	 */
	bus_add(vm->pio, "pci-address", 0xcf8, 4, true, &address_ops, bus, NULL);
	bus_add(vm->pio, "pci-data", 0xcfc, 4, true, &data_ops, bus, NULL);
	bus->ecam = bus_add(vm->mmio, "pci-ecam", PCI_ECAM_BASE, (uint64_t)PCI_ECAM_BUSES << 20, true, &ecam_ops, bus,
			    NULL);
	host_init(bus, vm);
	return bus;
}

void pci_bus_free(struct pci_bus *bus)
{
	if (bus)
		device_destroy(&bus->host.dev);
}

struct device *pci_bus_device(struct pci_bus *bus)
{
	return &bus->host.dev;
}

/* --- the ISA bridge --- */

static void isa_reset(struct device *dev)
{
	pci_device_reset((struct pci_device *)(void *)dev);
}

static bool isa_post_load(struct device *dev, GError **err)
{
	return pci_device_post_load((struct pci_device *)(void *)dev, err);
}

static void isa_destroy(struct device *dev)
{
	pci_device_fini((struct pci_device *)(void *)dev);
	g_free(dev);
}

static const struct device_class isa_class = {
	.name = "isa-bridge",
	.version = 1,
	.base_fields = pci_device_fields,
	.n_base_fields = &pci_n_device_fields,
	.reset = isa_reset,
	.post_load = isa_post_load,
	.destroy = isa_destroy,
};

struct device *pci_isa_bridge_new(struct pci_bus *bus, GError **err)
{
	struct pci_device *pci = g_new0(struct pci_device, 1);

	pci_device_init(pci, &isa_class, bus->host.dev.vm, "isa-bridge", VENDOR_INTEL, DEVICE_ICH9_LPC, 0x060100, 2, 0,
			0);
	if (!pci_add(bus, pci, SLOT_ISA_BRIDGE, err)) {
		isa_destroy(&pci->dev);
		return NULL;
	}
	return &pci->dev;
}
