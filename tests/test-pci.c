/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/base/error.h"
#include "tests/virtio-driver.h"

/* A device with one BAR of each kind, whose registers answer with the BAR's number. */
struct toy {
	struct pci_device pci;
	uint64_t last_write;
	unsigned n_config_writes;
};

static uint64_t toy_read(void *opaque, uint64_t off, unsigned size)
{
	(void)size;
	return GPOINTER_TO_UINT(opaque) << 4 | (off & 15);
}

static void toy_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	(void)opaque;
	(void)off;
	(void)val;
	(void)size;
}

static const struct bus_ops toy_ops = { .read = toy_read, .write = toy_write };

static void toy_reset(struct device *dev)
{
	pci_device_reset((struct pci_device *)(void *)dev);
}

static void toy_pre_save(struct device *dev)
{
	pci_device_pre_save((struct pci_device *)(void *)dev);
}

static bool toy_post_load(struct device *dev, GError **err)
{
	return pci_device_post_load((struct pci_device *)(void *)dev, err);
}

static void toy_destroy(struct device *dev)
{
	pci_device_fini((struct pci_device *)(void *)dev);
	g_free(dev);
}

static const struct device_class toy_class = {
	.name = "toy",
	.version = 1,
	.base_fields = pci_device_fields,
	.n_base_fields = &pci_n_device_fields,
	.reset = toy_reset,
	.pre_save = toy_pre_save,
	.post_load = toy_post_load,
	.destroy = toy_destroy,
};

static void toy_config_written(struct pci_device *pci, unsigned off, unsigned size)
{
	(void)off;
	(void)size;
	((struct toy *)(void *)pci)->n_config_writes++;
}

static const struct pci_device_ops toy_pci_ops = { .config_written = toy_config_written };

#define BAR_MEM 0
#define BAR_IO 1
#define BAR_MEM64 2
#define BAR_MSIX 4
#define MEM_SIZE 0x2000u
#define IO_SIZE 32u
#define MEM64_SIZE (UINT64_C(1) << 20)
#define N_VECTORS 3

static struct toy *toy_describe(struct board *board)
{
	struct toy *toy = g_new0(struct toy, 1);
	struct pci_device *pci = &toy->pci;

	pci_device_init(pci, &toy_class, &board->vm, "toy", 0x1234, 0x5678, 0x020304, 5, 0xabcd, 0xef01);
	pci->ops = &toy_pci_ops;
	pci_add_bar(pci, BAR_MEM, MEM_SIZE, false, false, &toy_ops, GUINT_TO_POINTER(1), NULL);
	pci_add_io_bar(pci, BAR_IO, IO_SIZE, &toy_ops, GUINT_TO_POINTER(2), NULL);
	pci_add_bar(pci, BAR_MEM64, MEM64_SIZE, true, true, &toy_ops, GUINT_TO_POINTER(3), NULL);
	pci_add_msix(pci, BAR_MSIX, N_VECTORS);
	return toy;
}

static struct toy *toy_new(struct board *board)
{
	struct toy *toy = toy_describe(board);
	g_autoptr(GError) err = NULL;
	bool ok = pci_add(board->vm.pci, &toy->pci, -1, &err);

	g_assert_no_error(err);
	g_assert_true(ok);
	vm_add_device(&board->vm, &toy->pci.dev);
	return toy;
}

static uint32_t get(struct board *board, struct toy *toy, unsigned off, unsigned size)
{
	return board_config_read(board, toy->pci.slot, off, size);
}

static void put(struct board *board, struct toy *toy, unsigned off, uint32_t val, unsigned size)
{
	board_config_write(board, toy->pci.slot, off, val, size);
}

static uint64_t port_read(struct board *board, uint64_t port, unsigned size)
{
	uint64_t val;

	bus_read(board->vm.pio, port, size, &val);
	return val;
}

static void select_register(struct board *board, unsigned slot, unsigned off)
{
	bus_write(board->vm.pio, 0xcf8, 4, 0x80000000u | slot << 11 | (off & 0xfc));
}

static void test_type1_refusals(void)
{
	autoptr(board) board = board_new(1 << 20);

	/* no enable bit, another bus, another function, an empty slot */
	bus_write(board->vm.pio, 0xcf8, 4, 0x00000000);
	g_assert_cmphex(port_read(board, 0xcfc, 4), ==, 0xffffffff);
	bus_write(board->vm.pio, 0xcf8, 4, 0x80010000);
	g_assert_cmphex(port_read(board, 0xcfc, 4), ==, 0xffffffff);
	bus_write(board->vm.pio, 0xcf8, 4, 0x80000100);
	g_assert_cmphex(port_read(board, 0xcfc, 4), ==, 0xffffffff);
	select_register(board, 7, 0);
	g_assert_cmphex(port_read(board, 0xcfc, 2), ==, 0xffff);
	bus_write(board->vm.pio, 0xcfc, 4, 0);
	/* the address register takes 32 bits at once or nothing */
	select_register(board, 0, 0);
	bus_write(board->vm.pio, 0xcf8, 1, 0xfc);
	bus_write(board->vm.pio, 0xcfa, 2, 0xffff);
	g_assert_cmphex(port_read(board, 0xcf8, 4), ==, 0x80000000);
}

static void test_type1(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_new(board);

	select_register(board, 0, 0);
	g_assert_cmphex(port_read(board, 0xcfc, 4), ==, 0x29c08086);
	select_register(board, toy->pci.slot, 0);
	g_assert_cmphex(port_read(board, 0xcfc, 4), ==, 0x56781234);
	g_assert_cmphex(port_read(board, 0xcfd, 1), ==, 0x12);
	g_assert_cmphex(port_read(board, 0xcfe, 2), ==, 0x5678);
	g_assert_cmphex(port_read(board, 0xcff, 1), ==, 0x56);
	select_register(board, toy->pci.slot, 8);
	g_assert_cmphex(port_read(board, 0xcfc, 4), ==, 0x02030405);
	select_register(board, toy->pci.slot, 0x2c);
	g_assert_cmphex(port_read(board, 0xcfc, 4), ==, 0xef01abcd);
	/* a byte write changes that byte only */
	select_register(board, toy->pci.slot, 0x3c);
	bus_write(board->vm.pio, 0xcfc, 1, 0x0b);
	g_assert_cmphex(port_read(board, 0xcfc, 2), ==, 0x010b);
	bus_write(board->vm.pio, 0xcfd, 1, 0x0c);
	g_assert_cmphex(port_read(board, 0xcfc, 2), ==, 0x010b);
}

static void test_reset_control(void)
{
	autoptr(board) board = board_new(1 << 20);

	bus_write(board->vm.pio, 0xcf9, 1, 0x02);
	g_assert_cmpuint(board->n_resets, ==, 0);
	bus_write(board->vm.pio, 0xcf9, 1, 0x06);
	g_assert_cmpuint(board->n_resets, ==, 1);
	g_assert_cmphex(port_read(board, 0xcf9, 1), ==, 0x06);
	bus_write(board->vm.pio, 0xcf9, 1, 0x06);
	g_assert_cmpuint(board->n_resets, ==, 1);
}

static void test_ecam(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_new(board);
	uint64_t moved = 0xe0000000;

	g_assert_cmphex(get(board, toy, 0, 4), ==, 0x56781234);
	g_assert_cmphex(get(board, toy, 3, 1), ==, 0x56);
	g_assert_cmphex(get(board, toy, 0x100, 4), ==, 0);
	g_assert_cmphex(board_mmio_read(board, PCI_ECAM_BASE + (31 << 15), 4), ==, 0xffffffff);
	g_assert_cmphex(board_mmio_read(board, PCI_ECAM_BASE + (UINT64_C(1) << 12), 4), ==, 0xffffffff);
	/* across the end of a function's space */
	g_assert_cmphex(board_mmio_read(board, PCI_ECAM_BASE + (toy->pci.slot << 15) + 0xffe, 4) & 0xffff0000, ==,
			0xffff0000);
	/* firmware moves the window, a reset moves it back */
	board_config_write(board, 0, 0x60, (uint32_t)moved | 1, 4);
	g_assert_cmphex(get(board, toy, 0, 4), ==, 0xffffffff);
	g_assert_cmphex(board_mmio_read(board, moved + (toy->pci.slot << 15), 4), ==, 0x56781234);
	device_reset(pci_bus_device(board->vm.pci));
	g_assert_cmphex(get(board, toy, 0, 4), ==, 0x56781234);
}

static void test_read_only(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_new(board);
	uint8_t before[256], after[256];

	memcpy(before, toy->pci.config, sizeof(before));
	for (unsigned off = 0; off < 256; off += 4)
		if (off != 4 && off != 0x3c && (off < 0x10 || off >= 0x28))
			put(board, toy, off, 0xffffffff, 4);
	put(board, toy, toy->pci.msix_cap, 0, 4);
	memcpy(after, toy->pci.config, sizeof(after));
	g_assert_cmpmem(before, sizeof(before), after, sizeof(after));
	put(board, toy, 4, 0xffffffff, 4);
	g_assert_cmphex(get(board, toy, 4, 4), ==, 0x00100407);
	/* header type, BIST and the unused BARs stay 0 */
	put(board, toy, 0x24, 0xffffffff, 4);
	g_assert_cmphex(get(board, toy, 0x24, 4), ==, 0);
	g_assert_cmphex(get(board, toy, 0x0c, 4), ==, 0);
}

static uint64_t probe_bar(struct board *board, struct toy *toy, unsigned bar, bool is64)
{
	uint32_t off = 0x10 + 4 * bar, low = get(board, toy, off, 4), high = is64 ? get(board, toy, off + 4, 4) : 0;
	uint64_t mask;

	put(board, toy, off, 0xffffffff, 4);
	mask = get(board, toy, off, 4);
	if (is64) {
		put(board, toy, off + 4, 0xffffffff, 4);
		mask |= (uint64_t)get(board, toy, off + 4, 4) << 32;
		put(board, toy, off + 4, high, 4);
	}
	put(board, toy, off, low, 4);
	return mask;
}

static void test_bar_sizing(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_new(board);

	put(board, toy, 4, 0, 2);
	g_assert_cmphex(probe_bar(board, toy, BAR_MEM, false), ==, (uint32_t) ~(MEM_SIZE - 1));
	g_assert_cmphex(probe_bar(board, toy, BAR_IO, false), ==, (uint32_t) ~(IO_SIZE - 1) | 1);
	g_assert_cmphex(probe_bar(board, toy, BAR_MEM64, true), ==, ~(MEM64_SIZE - 1) | 0xc);
	g_assert_cmphex(probe_bar(board, toy, BAR_MSIX, false), ==, 0xfffff000);
	g_assert_cmphex(probe_bar(board, toy, 5, false), ==, 0);
}

static bool decodes(struct board *board, uint64_t addr, unsigned bar)
{
	uint64_t val;

	return bus_read(board->vm.mmio, addr + 1, 1, &val) && val == ((bar + 1) << 4 | 1);
}

static void test_decode_and_move(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_new(board);
	uint64_t mem = get(board, toy, 0x10, 4), io = get(board, toy, 0x14, 4) & ~3u;
	uint64_t mem64 = (get(board, toy, 0x18, 4) & ~15u) | (uint64_t)get(board, toy, 0x1c, 4) << 32;

	g_assert_cmphex(mem64, >=, UINT64_C(0x100000000));
	g_assert_true(decodes(board, mem, 0));
	g_assert_true(decodes(board, mem64, 2));
	g_assert_cmphex(port_read(board, io + 1, 1), ==, 0x21);
	/* decoding off, each kind by its own bit */
	put(board, toy, 4, 1, 2);
	g_assert_false(decodes(board, mem, 0));
	g_assert_false(decodes(board, mem64, 2));
	g_assert_cmphex(port_read(board, io + 1, 1), ==, 0x21);
	put(board, toy, 4, 2, 2);
	g_assert_cmphex(port_read(board, io + 1, 1), ==, 0xff);
	g_assert_true(decodes(board, mem, 0));
	/* moved while decoding; half of a 64-bit address at a time */
	put(board, toy, 0x10, 0xd0000000, 4);
	g_assert_false(decodes(board, mem, 0));
	g_assert_true(decodes(board, 0xd0000000, 0));
	put(board, toy, 0x1c, 0x20, 4);
	put(board, toy, 0x18, 0x00500000, 4);
	g_assert_true(decodes(board, UINT64_C(0x2000500000), 2));
	/* the sizing value, zero, and what would pass the end of the address space decode nothing and break nothing */
	put(board, toy, 0x1c, 0xffffffff, 4);
	put(board, toy, 0x18, 0xffffffff, 4);
	put(board, toy, 0x10, 0, 4);
	g_assert_false(decodes(board, 0, 0));
	put(board, toy, 0x10, 0xffffffff, 4);
	g_assert_cmphex(get(board, toy, 0x10, 4), ==, 0xffffe000);
	device_reset(&toy->pci.dev);
	g_assert_true(decodes(board, mem, 0));
	g_assert_true(decodes(board, mem64, 2));
	g_assert_cmpuint(toy->n_config_writes, >, 0);
}

static void test_overlap(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *a = toy_new(board), *b = toy_new(board);

	/* two BARs and the ECAM window on one address: someone answers, and moving away brings the other back */
	put(board, a, 0x10, 0xd0000000, 4);
	put(board, b, 0x10, 0xd0000000, 4);
	g_assert_true(decodes(board, 0xd0000000, 0));
	put(board, b, 0x10, (uint32_t)PCI_ECAM_BASE, 4);
	g_assert_true(decodes(board, 0xd0000000, 0));
	g_assert_true(decodes(board, PCI_ECAM_BASE, 0));
	/* ECAM is covered, the ports are not */
	select_register(board, b->pci.slot, 0x10);
	bus_write(board->vm.pio, 0xcfc, 4, 0xd8000000);
	g_assert_cmphex(get(board, b, 0, 4), ==, 0x56781234);
	g_assert_true(decodes(board, 0xd8000000, 0));
}

static void test_capability_list(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_describe(board);
	unsigned extra = pci_add_capability(&toy->pci, 0x09, 10), seen = 0;

	pci_add_capability(&toy->pci, 0x05, 14);
	g_assert_true(pci_add(board->vm.pci, &toy->pci, 9, NULL));
	vm_add_device(&board->vm, &toy->pci.dev);
	g_assert_cmpuint(extra % 4, ==, 0);
	g_assert_cmphex(get(board, toy, 6, 2) & 0x10, ==, 0x10);
	for (unsigned cap = get(board, toy, 0x34, 1); cap; cap = get(board, toy, cap + 1, 1)) {
		g_assert_cmpuint(++seen, <=, 3);
		g_assert_cmpuint(cap, >=, 0x40);
	}
	g_assert_cmpuint(seen, ==, 3);
	g_assert_cmphex(get(board, toy, toy->pci.msix_cap, 1), ==, 0x11);
}

static void test_slots(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_describe(board);
	g_autoptr(GError) err = NULL;

	g_assert_false(pci_add(board->vm.pci, &toy->pci, 0, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_clear_error(&err);
	g_assert_false(pci_add(board->vm.pci, &toy->pci, 32, &err));
	g_clear_error(&err);
	for (unsigned n = 1; n < 32; n++)
		toy_new(board);
	g_assert_false(pci_add(board->vm.pci, &toy->pci, -1, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	toy_destroy(&toy->pci.dev);
}

static void test_isa_bridge(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct device *isa = pci_isa_bridge_new(board->vm.pci, NULL);
	g_autoptr(GError) err = NULL;

	vm_add_device(&board->vm, isa);
	g_assert_cmphex(board_config_read(board, 31, 0, 4), ==, 0x29188086);
	g_assert_cmphex(board_config_read(board, 31, 10, 2), ==, 0x0601);
	g_assert_null(pci_isa_bridge_new(board->vm.pci, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
}

/* --- interrupts --- */

static uint64_t msix_bar(struct board *board, struct toy *toy)
{
	return get(board, toy, 0x10 + 4 * BAR_MSIX, 4);
}

static void set_vector(struct board *board, struct toy *toy, unsigned i, uint64_t addr, uint32_t data, bool masked)
{
	uint64_t entry = msix_bar(board, toy) + 16 * i;

	board_mmio_write(board, entry, addr, 8);
	board_mmio_write(board, entry + 8, data, 4);
	board_mmio_write(board, entry + 12, masked, 4);
}

static uint64_t pending(struct board *board, struct toy *toy)
{
	return board_mmio_read(board, msix_bar(board, toy) + 0x800, 8);
}

static void test_msix(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_new(board);
	unsigned control = toy->pci.msix_cap + 2;

	g_assert_cmphex(get(board, toy, control, 2), ==, N_VECTORS - 1);
	g_assert_cmphex(get(board, toy, control + 2, 4), ==, BAR_MSIX);
	g_assert_cmphex(get(board, toy, control + 6, 4), ==, 0x800 | BAR_MSIX);
	/* masked from the start; disabled nothing happens at all */
	g_assert_cmphex(board_mmio_read(board, msix_bar(board, toy) + 12, 4), ==, 1);
	pci_msix_notify(&toy->pci, 0);
	g_assert_cmphex(pending(board, toy), ==, 0);
	g_assert_false(pci_msix_enabled(&toy->pci));
	put(board, toy, control, 0x8000, 2);
	g_assert_true(pci_msix_enabled(&toy->pci));
	set_vector(board, toy, 0, 0xfee01000, 0x31, false);
	set_vector(board, toy, 1, UINT64_C(0x1fee02000), 0x32, true);
	pci_msix_notify(&toy->pci, 0);
	pci_msix_notify(&toy->pci, N_VECTORS);
	pci_msix_notify(&toy->pci, 0xffff);
	g_assert_cmpuint(board->messages->len, ==, 1);
	g_assert_cmphex(g_array_index(board->messages, struct msi_message, 0).address, ==, 0xfee01000);
	/* a masked vector waits, once, for its mask */
	pci_msix_notify(&toy->pci, 1);
	pci_msix_notify(&toy->pci, 1);
	g_assert_cmphex(pending(board, toy), ==, 2);
	board_mmio_write(board, msix_bar(board, toy) + 16 + 12, 0, 4);
	g_assert_cmpuint(board_messages(board, 0x32), ==, 1);
	g_assert_cmphex(g_array_index(board->messages, struct msi_message, 1).address, ==, UINT64_C(0x1fee02000));
	g_assert_cmphex(pending(board, toy), ==, 0);
}

static void test_msix_function_mask(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_new(board);
	unsigned control = toy->pci.msix_cap + 2;

	set_vector(board, toy, 0, 0xfee00000, 0x41, false);
	set_vector(board, toy, 2, 0xfee00000, 0x43, true);
	put(board, toy, control, 0xc000, 2);
	pci_msix_notify(&toy->pci, 0);
	pci_msix_notify(&toy->pci, 2);
	g_assert_cmpuint(board->messages->len, ==, 0);
	g_assert_cmphex(pending(board, toy), ==, 5);
	put(board, toy, control, 0x8000, 2);
	g_assert_cmpuint(board_messages(board, 0x41), ==, 1);
	g_assert_cmphex(pending(board, toy), ==, 4);
	/* narrow and out of place writes, and writes to the pending bits, are dropped */
	board_mmio_write(board, msix_bar(board, toy) + 2 * 16 + 12, 0, 1);
	board_mmio_write(board, msix_bar(board, toy) + 0x800, 0, 4);
	board_mmio_write(board, msix_bar(board, toy) + N_VECTORS * 16, UINT64_MAX, 8);
	board_mmio_write(board, msix_bar(board, toy) + 0xffc, 0xffffffff, 4);
	g_assert_cmphex(pending(board, toy), ==, 4);
	g_assert_cmphex(board_mmio_read(board, msix_bar(board, toy) + N_VECTORS * 16, 8), ==, 0);
	device_reset(&toy->pci.dev);
	g_assert_cmphex(pending(board, toy), ==, 0);
	g_assert_cmphex(board_mmio_read(board, msix_bar(board, toy) + 12, 4), ==, 1);
	g_assert_false(pci_msix_enabled(&toy->pci));
}

/* --- vectors with an eventfd --- */

/* An accelerator that can do nothing but turn eventfds into messages, when the test tells it to look. */
struct signaller {
	struct accel accel;
	struct board *board;
	struct {
		int fd;
		struct msi_message msg;
	} on[N_VECTORS];
	unsigned n_on, n_calls;
	bool refuse;
	bool late; /* the device fires while the accelerator is busy refusing */
	unsigned n_late;
};

static void signaller_deliver(struct signaller *signaller)
{
	for (unsigned i = 0; i < signaller->n_on; i++) {
		eventfd_t count;

		if (eventfd_read(signaller->on[i].fd, &count) == 0)
			g_array_append_val(signaller->board->messages, signaller->on[i].msg);
	}
}

static bool signaller_irqfd(struct accel *accel, int fd, const struct msi_message *msg)
{
	struct signaller *signaller = (struct signaller *)(void *)accel;
	unsigned i = 0;

	signaller->n_calls++;
	g_assert_cmpint(fcntl(fd, F_GETFD), >=, 0);
	signaller_deliver(signaller);
	while (i < signaller->n_on && signaller->on[i].fd != fd)
		i++;
	if (i < signaller->n_on && (!msg || signaller->refuse))
		signaller->on[i] = signaller->on[--signaller->n_on];
	if (signaller->refuse && signaller->late) {
		g_assert_cmpint(eventfd_write(fd, 1), ==, 0);
		signaller->n_late++;
	}
	if (!msg || signaller->refuse)
		return !msg;
	g_assert_cmpuint(i, <, G_N_ELEMENTS(signaller->on));
	signaller->on[i].fd = fd;
	signaller->on[i].msg = *msg;
	signaller->n_on = MAX(signaller->n_on, i + 1);
	return true;
}

static const struct accel_class signaller_class = { .name = "signaller", .irqfd = signaller_irqfd };

/* A toy with MSI-X enabled and vector 0 open. */
static struct toy *signaller_setup(struct signaller *signaller, struct board *board)
{
	struct toy *toy = toy_new(board);

	*signaller = (struct signaller){ .accel = { .class = &signaller_class, .vm = &board->vm }, .board = board };
	board->vm.accel_class = &signaller_class;
	board->vm.accel = &signaller->accel;
	put(board, toy, toy->pci.msix_cap + 2, 0x8000, 2);
	set_vector(board, toy, 0, 0xfee01000, 0x31, false);
	g_assert_cmpuint(signaller->n_on, ==, 1);
	return toy;
}

/* Fires a vector whose eventfd is the way to do it: nobody's lock is needed, and no message is sent by us. */
static void fire(struct board *board, struct toy *toy, unsigned vector)
{
	guint before = board->messages->len;

	g_mutex_lock(&toy->pci.irq_lock);
	pci_msix_notify(&toy->pci, vector);
	g_mutex_unlock(&toy->pci.irq_lock);
	g_assert_cmpuint(board->messages->len, ==, before);
}

static void test_irqfd_refused(void)
{
	struct signaller signaller;
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = signaller_setup(&signaller, board);

	/* from the start: messages as without it */
	signaller.refuse = true;
	set_vector(board, toy, 1, 0xfee02000, 0x32, false);
	pci_msix_notify(&toy->pci, 1);
	g_assert_cmpuint(board_messages(board, 0x32), ==, 1);
	/* later, and just then the device fires: not lost, not doubled */
	signaller.late = true;
	set_vector(board, toy, 0, 0xfee03000, 0x33, true);
	g_assert_cmpuint(signaller.n_on, ==, 0);
	board_mmio_write(board, msix_bar(board, toy) + 12, 0, 4);
	g_assert_cmpuint(signaller.n_late, >, 0);
	g_assert_cmpuint(board->messages->len, ==, 1 + signaller.n_late);
	signaller.late = false;
	pci_msix_notify(&toy->pci, 0);
	g_assert_cmpuint(board->messages->len, ==, 2 + signaller.n_late);
	/* and when it can again, it is used again */
	signaller.refuse = false;
	set_vector(board, toy, 0, 0xfee03000, 0x34, false);
	fire(board, toy, 0);
	signaller_deliver(&signaller);
	g_assert_cmpuint(board_messages(board, 0x34), ==, 1);
}

static void test_irqfd(void)
{
	struct signaller signaller;
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = signaller_setup(&signaller, board);

	fire(board, toy, 0);
	fire(board, toy, 0);
	g_assert_cmphex(pending(board, toy), ==, 0);
	signaller_deliver(&signaller);
	g_assert_cmpuint(board_messages(board, 0x31), ==, 1);
	g_assert_cmphex(g_array_index(board->messages, struct msi_message, 0).address, ==, 0xfee01000);
	/* rewritten while it is open: the next one is the new message */
	board_mmio_write(board, msix_bar(board, toy) + 8, 0x35, 4);
	board_mmio_write(board, msix_bar(board, toy) + 4, 1, 4);
	fire(board, toy, 0);
	signaller_deliver(&signaller);
	g_assert_cmpuint(board_messages(board, 0x35), ==, 1);
	g_assert_cmphex(g_array_index(board->messages, struct msi_message, 1).address, ==, UINT64_C(0x1fee01000));
}

static void test_irqfd_mask(void)
{
	struct signaller signaller;
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = signaller_setup(&signaller, board);
	unsigned control = toy->pci.msix_cap + 2;

	/* each way of masking; what is fired meanwhile waits and shows */
	for (unsigned i = 0; i < 2; i++) {
		if (i)
			put(board, toy, control, 0xc000, 2);
		else
			board_mmio_write(board, msix_bar(board, toy) + 12, 1, 4);
		g_assert_cmpuint(signaller.n_on, ==, 0);
		fire(board, toy, 0);
		g_assert_cmphex(pending(board, toy), ==, 1);
		fire(board, toy, 0);
		g_assert_cmphex(pending(board, toy), ==, 1);
		fire(board, toy, 0);
		if (i)
			put(board, toy, control, 0x8000, 2);
		else
			board_mmio_write(board, msix_bar(board, toy) + 12, 0, 4);
		signaller_deliver(&signaller);
		g_assert_cmpuint(board_messages(board, 0x31), ==, i + 1);
		g_assert_cmphex(pending(board, toy), ==, 0);
	}
	/* fired, then masked before anybody looked: it went out before the mask was in force */
	fire(board, toy, 0);
	board_mmio_write(board, msix_bar(board, toy) + 12, 1, 4);
	g_assert_cmpuint(board_messages(board, 0x31), ==, 3);
	g_assert_cmphex(pending(board, toy), ==, 0);
}

static void test_irqfd_off(void)
{
	struct signaller signaller;
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = signaller_setup(&signaller, board);
	unsigned control = toy->pci.msix_cap + 2, calls;

	/* MSI-X disabled: nothing is sent, nothing is remembered */
	put(board, toy, control, 0, 2);
	g_assert_cmpuint(signaller.n_on, ==, 0);
	fire(board, toy, 0);
	put(board, toy, control, 0x8000, 2);
	signaller_deliver(&signaller);
	g_assert_cmpuint(board->messages->len, ==, 0);
	/* reset while masked and pending: forgotten */
	board_mmio_write(board, msix_bar(board, toy) + 12, 1, 4);
	fire(board, toy, 0);
	device_reset(&toy->pci.dev);
	g_assert_cmpuint(signaller.n_on, ==, 0);
	put(board, toy, control, 0x8000, 2);
	g_assert_cmphex(pending(board, toy), ==, 0);
	set_vector(board, toy, 0, 0xfee01000, 0x36, false);
	signaller_deliver(&signaller);
	g_assert_cmpuint(board->messages->len, ==, 0);
	/* an open vector is let go of before its eventfd is closed */
	calls = signaller.n_calls;
	g_ptr_array_remove(board->vm.devices, toy);
	device_destroy(&toy->pci.dev);
	g_assert_cmpuint(signaller.n_calls, ==, calls + 1);
	g_assert_cmpuint(signaller.n_on, ==, 0);
}

static void test_irqfd_save(void)
{
	struct signaller signaller, other;
	autoptr(board) from = board_new(1 << 20);
	autoptr(board) to = board_new(1 << 20);
	struct toy *a = signaller_setup(&signaller, from), *b = signaller_setup(&other, to);
	g_autoptr(GByteArray) state = g_byte_array_new();
	size_t used;

	set_vector(from, a, 0, 0xfee01000, 0x37, true);
	set_vector(from, a, 1, 0xfee02000, 0x38, false);
	fire(from, a, 0);
	device_save(&a->pci.dev, state);
	g_assert_true(device_load(&b->pci.dev, state->data, state->len, &used, NULL));
	g_assert_cmphex(pending(to, b), ==, 1);
	fire(to, b, 1);
	signaller_deliver(&other);
	g_assert_cmpuint(board_messages(to, 0x38), ==, 1);
	board_mmio_write(to, msix_bar(to, b) + 12, 0, 4);
	signaller_deliver(&other);
	g_assert_cmpuint(board_messages(to, 0x37), ==, 1);
	g_assert_cmpuint(to->messages->len, ==, 2);
}

static void test_intx(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toys[8];
	unsigned line;

	for (unsigned i = 0; i < G_N_ELEMENTS(toys); i++)
		toys[i] = toy_new(board);
	line = toys[0]->pci.slot % 4;
	g_assert_cmpuint(toys[4]->pci.slot % 4, ==, line);
	g_assert_cmphex(get(board, toys[0], 0x3c, 2), ==, 0x0100 | line);
	/* two devices share the line: it falls with the last of them */
	pci_intx(&toys[0]->pci, true);
	pci_intx(&toys[0]->pci, true);
	pci_intx(&toys[4]->pci, true);
	g_assert_cmphex(board->intx, ==, 1u << line);
	g_assert_cmphex(get(board, toys[0], 6, 2) & 8, ==, 8);
	g_assert_cmphex(get(board, toys[1], 6, 2) & 8, ==, 0);
	pci_intx(&toys[0]->pci, false);
	g_assert_cmphex(board->intx, ==, 1u << line);
	/* INTx disable, MSI-X enable and reset each let go of it; the status bit says what the device wants */
	put(board, toys[4], 4, 0x400, 2);
	g_assert_cmphex(board->intx, ==, 0);
	g_assert_cmphex(get(board, toys[4], 4, 4), ==, 0x00180400);
	put(board, toys[4], 4, 0, 2);
	g_assert_cmphex(board->intx, ==, 1u << line);
	put(board, toys[4], toys[4]->pci.msix_cap + 2, 0x8000, 2);
	g_assert_cmphex(board->intx, ==, 0);
	put(board, toys[4], toys[4]->pci.msix_cap + 2, 0, 2);
	g_assert_cmphex(board->intx, ==, 1u << line);
	device_reset(&toys[4]->pci.dev);
	g_assert_cmphex(board->intx, ==, 0);
}

/* --- saved state --- */

static void test_save_load(void)
{
	autoptr(board) from = board_new(1 << 20);
	autoptr(board) to = board_new(1 << 20);
	struct toy *a = toy_new(from), *b = toy_new(to);
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;
	bool ok;

	put(from, a, 0x10, 0xd1000000, 4);
	put(from, a, a->pci.msix_cap + 2, 0x8000, 2);
	set_vector(from, a, 1, 0xfee0a000, 0x77, true);
	pci_msix_notify(&a->pci, 1);
	device_save(&a->pci.dev, state);
	ok = device_load(&b->pci.dev, state->data, state->len, &used, &err);
	g_assert_no_error(err);
	g_assert_true(ok);
	g_assert_cmpuint(used, ==, state->len);
	g_assert_true(decodes(to, 0xd1000000, 0));
	g_assert_cmphex(pending(to, b), ==, 2);
	board_mmio_write(to, msix_bar(to, b) + 16 + 12, 0, 4);
	g_assert_cmpuint(board_messages(to, 0x77), ==, 1);
}

static void test_load_hostile(void)
{
	autoptr(board) board = board_new(1 << 20);
	struct toy *toy = toy_new(board);
	uint8_t before[256];

	/* whatever a state file puts into read-only bits, the device keeps its own */
	memcpy(before, toy->pci.config, sizeof(before));
	memset(toy->pci.config, 0xff, sizeof(toy->pci.config));
	g_assert_true(toy_post_load(&toy->pci.dev, NULL));
	g_assert_cmphex(get(board, toy, 0, 4), ==, 0x56781234);
	g_assert_cmphex(get(board, toy, 0x34, 1), ==, before[0x34]);
	g_assert_cmphex(get(board, toy, 0x200, 4), ==, 0);
	g_assert_cmphex(get(board, toy, 0x24, 4), ==, 0);
	g_assert_true(pci_msix_enabled(&toy->pci));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/pci/type1/refusals", test_type1_refusals);
	g_test_add_func("/pci/type1/access", test_type1);
	g_test_add_func("/pci/type1/reset-control", test_reset_control);
	g_test_add_func("/pci/ecam", test_ecam);
	g_test_add_func("/pci/config/read-only", test_read_only);
	g_test_add_func("/pci/config/capabilities", test_capability_list);
	g_test_add_func("/pci/bar/sizing", test_bar_sizing);
	g_test_add_func("/pci/bar/decode-and-move", test_decode_and_move);
	g_test_add_func("/pci/bar/overlap", test_overlap);
	g_test_add_func("/pci/slots", test_slots);
	g_test_add_func("/pci/isa-bridge", test_isa_bridge);
	g_test_add_func("/pci/msix/vectors", test_msix);
	g_test_add_func("/pci/msix/function-mask", test_msix_function_mask);
	g_test_add_func("/pci/irqfd/refused", test_irqfd_refused);
	g_test_add_func("/pci/irqfd/signals", test_irqfd);
	g_test_add_func("/pci/irqfd/mask", test_irqfd_mask);
	g_test_add_func("/pci/irqfd/off", test_irqfd_off);
	g_test_add_func("/pci/irqfd/save", test_irqfd_save);
	g_test_add_func("/pci/intx", test_intx);
	g_test_add_func("/pci/save-load", test_save_load);
	g_test_add_func("/pci/load-hostile", test_load_hostile);
	return g_test_run();
}
