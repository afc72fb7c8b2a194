/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any sequence of configuration accesses. Input: operations of 8 bytes: u8 kind, u8 size, u16 where, u32 value.
 * Afterwards a machine reset must bring back the bus as it was.
 */
#include <string.h>

#include "tests/virtio-driver.h"
#include "vmm/virtio/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ECAM_READ, ECAM_WRITE, PORT_READ, PORT_WRITE, MMIO_READ, MMIO_WRITE, NOTIFY, INTX, N_KINDS };

#define FIRST_SLOT 1u /* of the devices with BARs */

static struct pci_device *pci_at(struct board *board, unsigned i)
{
	return board->vm.devices->pdata[i % board->vm.devices->len];
}

static void operate(struct board *board, const uint8_t *op)
{
	unsigned width = 1u << (op[1] & 3);
	uint16_t where = pci_get16(op + 2);
	uint64_t val = pci_get32(op + 4);

	switch (op[0] % N_KINDS) {
	case ECAM_READ:
		bus_read(board->vm.mmio, PCI_ECAM_BASE + ((uint64_t)(op[1] >> 2) << 15) + where, width, &val);
		break;
	case ECAM_WRITE:
		bus_write(board->vm.mmio, PCI_ECAM_BASE + ((uint64_t)(op[1] >> 2) << 15) + where, width, val);
		break;
	case PORT_READ:
		bus_read(board->vm.pio, 0xcf8 + where % 8, width, &val);
		break;
	case PORT_WRITE:
		bus_write(board->vm.pio, 0xcf8 + where % 8, width, val);
		break;
	case MMIO_READ:
		bus_read(board->vm.mmio, val, width, &val);
		break;
	case MMIO_WRITE:
		bus_write(board->vm.mmio, PCI_MMIO32_BASE + (where & 0x3fff), width, val);
		break;
	case NOTIFY:
		pci_msix_notify(pci_at(board, where), (unsigned)val);
		break;
	default:
		pci_intx(pci_at(board, where), val & 1);
	}
}

static void check_reset(struct board *board)
{
	for (guint i = 0; i < board->vm.devices->len; i++) {
		struct pci_device *pci = pci_at(board, i);

		device_reset(&pci->dev);
		g_assert_cmpmem(pci->config, sizeof(pci->config), pci->reset_config, sizeof(pci->config));
	}
	g_assert_cmphex(board->intx, ==, 0);
	g_assert_cmphex(board_config_read(board, 0, 0, 4), ==, 0x29c08086);
	g_assert_cmphex(board_config_read(board, FIRST_SLOT, 0, 4), ==, 0x10441af4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoptr(board) board = board_new(1 << 20);

	virtio_rng_new(&board->vm, 0, 0, "rng0", NULL);
	virtio_rng_new(&board->vm, 0, 0, "rng1", NULL);
	vm_add_device(&board->vm, pci_isa_bridge_new(board->vm.pci, NULL));
	for (size_t pos = 0; size - pos >= 8; pos += 8)
		operate(board, data + pos);
	check_reset(board);
	return 0;
}
