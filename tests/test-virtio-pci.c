/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tests/virtio-driver.h"
#include "vmm/virtio/devices.h"

/* The transport and the life of a device, with the entropy device behind it. */

#define RAM (UINT64_C(1) << 20)
#define GOOD_START VIRTIO_F_VERSION_1

static struct board *board_with_rng(struct driver *driver)
{
	struct board *board = board_new(RAM);
	g_autoptr(GError) err = NULL;
	struct device *dev = virtio_rng_new(&board->vm, 0, 0, "rng0", &err);

	g_assert_no_error(err);
	driver_open(driver, board, dev);
	return board;
}

static struct device *the_device(struct board *board)
{
	return board->vm.devices->pdata[board->vm.devices->len - 1];
}

static struct virtio_device *the_virtio(struct board *board)
{
	return (struct virtio_device *)(void *)the_device(board);
}

static uint32_t common(struct driver *driver, unsigned off, unsigned size)
{
	return (uint32_t)board_mmio_read(driver->board, driver->common + off, size);
}

static void set_common(struct driver *driver, unsigned off, uint32_t val, unsigned size)
{
	board_mmio_write(driver->board, driver->common + off, val, size);
}

static void ask(struct driver *driver, uint64_t gpa, uint32_t len)
{
	struct ring_buf buf = { gpa, len, true };

	driver_send(driver, 0, &buf, 1, 0);
}

static void turn_loop(struct board *board)
{
	while (g_main_context_iteration(board->vm.context, FALSE))
		;
}

static void test_identity(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);
	unsigned slot = driver.slot;

	g_assert_cmphex(board_config_read(board, slot, 2, 2), ==, 0x1044);
	g_assert_cmphex(board_config_read(board, slot, 8, 1), >=, 1);
	g_assert_cmphex(board_config_read(board, slot, 0x2e, 2), >=, 0x40);
	g_assert_cmphex(driver.common, !=, 0);
	g_assert_cmphex(driver.isr, !=, 0);
	g_assert_cmphex(driver.notify, !=, 0);
	g_assert_cmphex(driver.pci_cfg, !=, 0);
	g_assert_cmphex(driver.config, ==, 0);
	g_assert_cmpuint(common(&driver, 0x12, 2), ==, 1);
	g_assert_cmphex(driver_offered(&driver), ==,
			VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
				VIRTIO_F_RING_RESET);
	set_common(&driver, 0, 2, 4);
	g_assert_cmphex(common(&driver, 4, 4), ==, 0);
}

static void test_features_refused(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	g_assert_false(driver_negotiate(&driver, 0));
	g_assert_false(driver_negotiate(&driver, VIRTIO_F_EVENT_IDX));
	g_assert_false(driver_negotiate(&driver, VIRTIO_F_VERSION_1 | VIRTIO_BIT(0)));
	g_assert_false(driver_negotiate(&driver, VIRTIO_F_VERSION_1 | VIRTIO_BIT(63)));
	/* without an agreement there is no DRIVER_OK */
	driver_set_status(&driver, 0x0f);
	g_assert_cmphex(driver_status(&driver), ==, 0x03);
	g_assert_false(the_virtio(board)->running);
	/* once agreed, features stay */
	g_assert_true(driver_negotiate(&driver, VIRTIO_F_VERSION_1));
	set_common(&driver, 8, 0, 4);
	set_common(&driver, 12, 0xffffffff, 4);
	g_assert_cmphex(common(&driver, 12, 4), ==, 0);
	g_assert_cmphex(the_virtio(board)->features, ==, VIRTIO_F_VERSION_1);
}

static void test_status(void)
{
	struct driver driver;
	autoptr(board) board G_GNUC_UNUSED = board_with_rng(&driver);

	/* bits come one by one and go all at once; the device's own bit is not the driver's to set */
	driver_set_status(&driver, 0x01);
	driver_set_status(&driver, 0x02);
	g_assert_cmphex(driver_status(&driver), ==, 0x03);
	driver_set_status(&driver, 0x40);
	g_assert_cmphex(driver_status(&driver), ==, 0x03);
	driver_set_status(&driver, 0x80);
	g_assert_cmphex(driver_status(&driver), ==, 0x83);
	driver_set_status(&driver, 0);
	g_assert_cmphex(driver_status(&driver), ==, 0);
}

static void test_registers(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	/* another width than the register's own reads as ones and writes nothing */
	g_assert_cmphex(common(&driver, 0x12, 4), ==, 0xffffffff);
	g_assert_cmphex(common(&driver, 0x13, 1), ==, 0xff);
	set_common(&driver, 0x14, 0x0101, 2);
	g_assert_cmphex(driver_status(&driver), ==, 0);
	/* vectors that do not exist */
	set_common(&driver, 0x10, 2, 2);
	g_assert_cmphex(common(&driver, 0x10, 2), ==, VIRTIO_NO_VECTOR);
	set_common(&driver, 0x10, 1, 2);
	g_assert_cmphex(common(&driver, 0x10, 2), ==, 1);
	set_common(&driver, 0x1a, 0x1234, 2);
	g_assert_cmphex(common(&driver, 0x1a, 2), ==, VIRTIO_NO_VECTOR);
	/* a queue that does not exist has size 0 and takes nothing */
	set_common(&driver, 0x16, 1, 2);
	g_assert_cmpuint(common(&driver, 0x18, 2), ==, 0);
	set_common(&driver, 0x18, 8, 2);
	set_common(&driver, 0x1c, 1, 2);
	g_assert_cmpuint(common(&driver, 0x18, 2), ==, 0);
	set_common(&driver, 0x16, 0xffff, 2);
	g_assert_cmphex(common(&driver, 0x1a, 2), ==, VIRTIO_NO_VECTOR);
	set_common(&driver, 0x16, 0, 2);
	g_assert_cmpuint(common(&driver, 0x18, 2), ==, VIRTIO_QUEUE_SIZE);
	/* addresses in halves */
	set_common(&driver, 0x20, 0x1000, 4);
	set_common(&driver, 0x24, 0x7, 4);
	g_assert_cmphex(common(&driver, 0x20, 4), ==, 0x1000);
	g_assert_cmphex(common(&driver, 0x24, 4), ==, 7);
	g_assert_cmphex(the_virtio(board)->queues[0].desc, ==, UINT64_C(0x700001000));
	/* between and behind the structures there is nothing */
	g_assert_cmphex(board_mmio_read(board, driver.common + 0x3c, 4), ==, 0xffffffff);
	g_assert_cmphex(board_mmio_read(board, driver.isr + 1, 1), ==, 0xff);
	g_assert_cmphex(board_mmio_read(board, driver.common + 0x2000, 1), ==, 0xff);
}

static void test_queue_refused(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	/* before the features are agreed on */
	set_common(&driver, 0x1c, 1, 2);
	g_assert_cmphex(driver_status(&driver), ==, VIRTIO_STATUS_NEEDS_RESET);
	g_assert_true(driver_negotiate(&driver, GOOD_START));
	/* addresses outside RAM: broken, but DRIVER_OK was not set, so no interrupt */
	driver_enable_msix(&driver);
	set_common(&driver, 0x24, 1, 4);
	set_common(&driver, 0x1c, 1, 2);
	g_assert_cmphex(driver_status(&driver), ==, 0x0b | VIRTIO_STATUS_NEEDS_RESET);
	g_assert_cmpuint(common(&driver, 0x1c, 2), ==, 0);
	g_assert_cmpuint(board->messages->len, ==, 0);
	/* only a reset helps */
	driver_set_status(&driver, 0x0f);
	g_assert_cmphex(driver_status(&driver) & VIRTIO_STATUS_NEEDS_RESET, !=, 0);
	driver_start(&driver, 0, 1, 8);
	ask(&driver, driver_alloc(&driver, 64), 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

static void test_enabled_queue_is_fixed(void)
{
	struct driver driver;
	autoptr(board) board G_GNUC_UNUSED = board_with_rng(&driver);

	driver_start(&driver, 0, 1, 8);
	set_common(&driver, 0x18, 4, 2);
	set_common(&driver, 0x20, 0, 4);
	g_assert_cmpuint(common(&driver, 0x18, 2), ==, 8);
	g_assert_cmphex(common(&driver, 0x20, 4), ==, driver.rings[0].desc);
	/* writing 0 does not disable it */
	set_common(&driver, 0x1c, 0, 2);
	g_assert_cmpuint(common(&driver, 0x1c, 2), ==, 1);
}

static void test_msix(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	driver_start(&driver, 0, 1, 8);
	ask(&driver, driver_alloc(&driver, 64), 64);
	driver_wait(&driver, 0, NULL);
	g_assert_cmpuint(board_messages(board, DRIVER_VECTOR_DATA(1)), ==, 1);
	g_assert_cmpuint(board_messages(board, DRIVER_VECTOR_DATA(0)), ==, 0);
	g_assert_cmpuint(board->n_intx, ==, 0);
	g_assert_cmphex(board_mmio_read(board, driver.isr, 1), ==, 0);
	/* a queue without a vector interrupts nobody, and still works */
	set_common(&driver, 0x1a, VIRTIO_NO_VECTOR, 2);
	ask(&driver, driver_alloc(&driver, 64), 64);
	turn_loop(board);
	g_assert_cmpuint(board->messages->len, ==, 1);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

static void test_intx(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	g_assert_true(driver_negotiate(&driver, GOOD_START));
	driver_setup_queue(&driver, 0, 8);
	driver_set_status(&driver, 0x0f);
	ask(&driver, driver_alloc(&driver, 64), 64);
	driver_wait(&driver, 0, NULL);
	g_assert_cmphex(board->intx, ==, 1u << driver.slot % 4);
	g_assert_cmphex(board_config_read(board, driver.slot, 6, 2) & 8, ==, 8);
	/* reading the ISR acknowledges */
	g_assert_cmphex(board_mmio_read(board, driver.isr, 1), ==, 1);
	g_assert_cmphex(board->intx, ==, 0);
	g_assert_cmphex(board_mmio_read(board, driver.isr, 1), ==, 0);
	/* so does a reset */
	ask(&driver, driver_alloc(&driver, 64), 64);
	driver_wait(&driver, 0, NULL);
	g_assert_cmphex(board->intx, !=, 0);
	driver_set_status(&driver, 0);
	g_assert_cmphex(board->intx, ==, 0);
	g_assert_cmpuint(board->messages->len, ==, 0);
}

static void test_broken(const void *data)
{
	bool msix = GPOINTER_TO_UINT(data);
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);
	uint8_t before[0x3000], after[0x3000];
	uint64_t ring;

	if (msix) {
		driver_start(&driver, 0, 1, 8);
	} else {
		g_assert_true(driver_negotiate(&driver, GOOD_START));
		driver_setup_queue(&driver, 0, 8);
		driver_set_status(&driver, 0x0f);
	}
	ring = driver.rings[0].desc;
	ask(&driver, RAM, 64);
	driver_wait_broken(&driver);
	g_assert_cmphex(driver_status(&driver), ==, 0x4f);
	if (msix) {
		g_assert_cmpuint(board_messages(board, DRIVER_VECTOR_DATA(0)), ==, 1);
	} else {
		g_assert_cmphex(board->intx, !=, 0);
		g_assert_cmphex(board_mmio_read(board, driver.isr, 1), ==, 2);
	}
	/* from here on it leaves memory alone, whatever is queued and kicked */
	driver.rings[0].n_free = 8;
	ask(&driver, 0x100, 64);
	driver_kick(&driver, 0);
	board_get(board, ring, before, sizeof(before));
	turn_loop(board);
	device_pause(the_device(board));
	device_resume(the_device(board));
	turn_loop(board);
	board_get(board, ring, after, sizeof(after));
	g_assert_cmpint(memcmp(before, after, sizeof(before)), ==, 0);
	driver_start(&driver, 0, 1, 8);
	ask(&driver, driver_alloc(&driver, 64), 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

static void test_bus_master(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	driver_start(&driver, 0, 1, 8);
	board_config_write(board, driver.slot, 4, 0x0002, 2);
	ask(&driver, driver_alloc(&driver, 64), 64);
	turn_loop(board);
	g_assert_cmpuint(board->messages->len, ==, 0);
	board_config_write(board, driver.slot, 4, 0x0006, 2);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

static void test_pause(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	driver_start(&driver, 0, 1, 8);
	device_pause(the_device(board));
	ask(&driver, driver_alloc(&driver, 64), 64);
	driver_kick(&driver, 0);
	turn_loop(board);
	g_assert_cmpuint(board->messages->len, ==, 0);
	device_resume(the_device(board));
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

static void test_queue_reset(void)
{
	struct driver driver;
	autoptr(board) board G_GNUC_UNUSED = board_with_rng(&driver);

	driver_start(&driver, VIRTIO_F_RING_RESET | VIRTIO_F_RING_PACKED, 1, 8);
	for (unsigned i = 0; i < 5; i++) {
		ask(&driver, driver_alloc(&driver, 64), 64);
		g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
	}
	set_common(&driver, 0x16, 0, 2);
	set_common(&driver, 0x3a, 1, 2);
	g_assert_cmpuint(common(&driver, 0x3a, 2), ==, 0);
	g_assert_cmpuint(common(&driver, 0x1c, 2), ==, 0);
	g_assert_cmphex(common(&driver, 0x1a, 2), ==, VIRTIO_NO_VECTOR);
	/* enabled again while DRIVER_OK stands, from position 0 */
	driver_setup_queue(&driver, 0, 16);
	ask(&driver, driver_alloc(&driver, 64), 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
	/* without the feature the register does nothing */
	driver_start(&driver, 0, 1, 8);
	set_common(&driver, 0x3a, 1, 2);
	g_assert_cmpuint(common(&driver, 0x1c, 2), ==, 1);
}

static void test_machine_reset(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	driver_start(&driver, 0, 1, 8);
	ask(&driver, driver_alloc(&driver, 64), 64);
	device_reset(the_device(board));
	turn_loop(board);
	g_assert_cmpuint(board->messages->len, ==, 0);
	g_assert_cmphex(driver_status(&driver), ==, 0);
	g_assert_cmphex(common(&driver, 0x10, 2), ==, VIRTIO_NO_VECTOR);
	g_assert_false(pci_msix_enabled(&the_virtio(board)->pci));
	driver_open(&driver, board, the_device(board));
	driver_start(&driver, 0, 1, 8);
	ask(&driver, driver_alloc(&driver, 64), 64);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

/* --- the window in configuration space --- */

static void window(struct driver *driver, uint8_t bar, uint32_t off, uint32_t len)
{
	board_config_write(driver->board, driver->slot, driver->pci_cfg + 4, bar, 1);
	board_config_write(driver->board, driver->slot, driver->pci_cfg + 8, off, 4);
	board_config_write(driver->board, driver->slot, driver->pci_cfg + 12, len, 4);
}

static uint32_t window_read(struct driver *driver, unsigned size)
{
	return board_config_read(driver->board, driver->slot, driver->pci_cfg + 16, size);
}

static void test_pci_cfg(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	driver_start(&driver, 0, 1, 8);
	window(&driver, 0, 0x14, 1);
	g_assert_cmphex(window_read(&driver, 1), ==, 0x0f);
	window(&driver, 0, 0x12, 2);
	g_assert_cmphex(window_read(&driver, 2), ==, 1);
	window(&driver, 0, 0x00, 4);
	board_config_write(board, driver.slot, driver.pci_cfg + 16, 1, 4);
	g_assert_cmphex(common(&driver, 0, 4), ==, 1);
	/* the whole protocol works without a BAR: a notification */
	ring_add(&driver.rings[0], &(struct ring_buf){ driver_alloc(&driver, 64), 64, true }, 1, 0);
	window(&driver, 2, 0, 2);
	board_config_write(board, driver.slot, driver.pci_cfg + 16, 0, 2);
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
}

static void test_pci_cfg_hostile(void)
{
	static const struct {
		uint8_t bar;
		uint32_t off, len;
	} bad[] = {
		{ 0, 0, 0 },	  { 0, 0, 3 },	    { 0, 0, 8 },	  { 0, 0, 0xffffffff },
		{ 0, 1, 4 },	  { 0, 0x4000, 4 }, { 0, 0xfffffffc, 4 }, { 1, 0, 4 },
		{ 2, 0x1000, 2 }, { 3, 0, 4 },	    { 255, 0, 4 },
	};
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		window(&driver, bad[i].bar, bad[i].off, bad[i].len);
		g_assert_cmphex(window_read(&driver, 4), ==, 0xffffffff);
		board_config_write(board, driver.slot, driver.pci_cfg + 16, 0xffffffff, 4);
	}
	g_assert_cmphex(driver_status(&driver), ==, 0);
}

/* --- the accelerator's doorbell --- */

struct doorbells {
	struct accel accel;
	GHashTable *fds; /* address -> fd + 1 */
};

static bool note_ioeventfd(struct accel *accel, uint64_t addr, unsigned len, int fd, bool add)
{
	struct doorbells *bells = (struct doorbells *)(void *)accel;

	g_assert_cmpuint(len, ==, 2);
	if (add)
		g_assert_true(g_hash_table_insert(bells->fds, GSIZE_TO_POINTER(addr), GINT_TO_POINTER(fd + 1)));
	else
		g_assert_true(g_hash_table_remove(bells->fds, GSIZE_TO_POINTER(addr)));
	return true;
}

static const struct accel_class bell_class = { .name = "bells", .ioeventfd = note_ioeventfd };

static void test_ioeventfd(void)
{
	struct doorbells bells = { .accel = { .class = &bell_class }, .fds = g_hash_table_new(NULL, NULL) };
	struct driver driver;
	struct board *board = board_with_rng(&driver);
	uint64_t moved = 0xd8000000;

	board->vm.accel = &bells.accel;
	board->vm.accel_class = &bell_class;
	driver_start(&driver, 0, 1, 8);
	g_assert_cmpuint(g_hash_table_size(bells.fds), ==, 1);
	g_assert_true(g_hash_table_contains(bells.fds, GSIZE_TO_POINTER(driver.notify)));
	/* the BAR moves, is switched off, comes back */
	board_config_write(board, driver.slot, 0x18, (uint32_t)moved, 4);
	g_assert_true(g_hash_table_contains(bells.fds, GSIZE_TO_POINTER(moved)));
	g_assert_cmpuint(g_hash_table_size(bells.fds), ==, 1);
	board_config_write(board, driver.slot, 4, 0x0004, 2);
	g_assert_cmpuint(g_hash_table_size(bells.fds), ==, 0);
	board_config_write(board, driver.slot, 4, 0x0006, 2);
	g_assert_cmpuint(g_hash_table_size(bells.fds), ==, 1);
	device_pause(the_device(board));
	g_assert_cmpuint(g_hash_table_size(bells.fds), ==, 0);
	device_resume(the_device(board));
	g_assert_cmpuint(g_hash_table_size(bells.fds), ==, 1);
	driver_set_status(&driver, 0);
	g_assert_cmpuint(g_hash_table_size(bells.fds), ==, 0);
	driver_open(&driver, board, the_device(board));
	driver_start(&driver, 0, 1, 8);
	board_free(board);
	g_assert_cmpuint(g_hash_table_size(bells.fds), ==, 0);
	g_hash_table_unref(bells.fds);
}

/* --- saved state --- */

static void copy_ram(struct board *to, struct board *from)
{
	g_autofree uint8_t *ram = g_malloc(RAM);

	board_get(from, 0, ram, RAM);
	board_put(to, 0, ram, RAM);
}

static void test_save_load(const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	struct driver driver, other;
	autoptr(board) from = board_with_rng(&driver);
	autoptr(board) to = board_with_rng(&other);
	g_autoptr(GByteArray) state = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;
	bool ok;

	driver_start(&driver, features, 1, 4);
	for (unsigned i = 0; i < 7; i++) {
		ask(&driver, driver_alloc(&driver, 64), 64);
		driver_wait(&driver, 0, NULL);
	}
	device_pause(the_device(from));
	ask(&driver, driver_alloc(&driver, 64), 48);
	device_save(the_device(from), state);
	device_pause(the_device(to));
	ok = device_load(the_device(to), state->data, state->len, &used, &err);
	g_assert_no_error(err);
	g_assert_true(ok);
	copy_ram(to, from);
	/* the driver goes on where it was, on the other machine */
	driver.board = to;
	driver.rings[0].mem = to->vm.mem;
	turn_loop(to);
	g_assert_cmpuint(to->messages->len, ==, 0);
	device_resume(the_device(to));
	g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 48);
	g_assert_cmpuint(board_messages(to, DRIVER_VECTOR_DATA(1)), >=, 1);
	for (unsigned i = 0; i < 7; i++) {
		ask(&driver, 0x100, 64);
		g_assert_cmpuint(driver_wait(&driver, 0, NULL), ==, 64);
	}
}

static void test_load_refused(void)
{
	struct driver driver;
	autoptr(board) board = board_with_rng(&driver);
	struct virtio_device *vdev = the_virtio(board);
	g_autoptr(GError) err = NULL;

	driver_start(&driver, VIRTIO_F_RING_PACKED, 1, 8);
	device_pause(the_device(board));
	virtio_device_pre_save(the_device(board));
	vdev->saved.size[0] = 300;
	g_assert_false(virtio_device_post_load(the_device(board), &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_clear_error(&err);
	vdev->saved.size[0] = 8;
	vdev->saved.avail_idx[0] = 8;
	g_assert_false(virtio_device_post_load(the_device(board), &err));
	g_clear_error(&err);
	vdev->saved.avail_idx[0] = 0;
	vdev->saved.desc[0] = RAM;
	g_assert_false(virtio_device_post_load(the_device(board), &err));
	g_clear_error(&err);
	vdev->saved.desc[0] = 0;
	g_assert_true(virtio_device_post_load(the_device(board), &err));
	vdev->features |= VIRTIO_BIT(50);
	g_assert_false(virtio_device_post_load(the_device(board), &err));
	g_clear_error(&err);
	device_reset(the_device(board));
	g_assert_cmphex(driver_status(&driver), ==, 0);
}

int main(int argc, char **argv)
{
	static const uint64_t split, packed = VIRTIO_F_RING_PACKED,
				     packed_event = VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/virtio-pci/features-refused", test_features_refused);
	g_test_add_func("/virtio-pci/queue-refused", test_queue_refused);
	g_test_add_func("/virtio-pci/registers", test_registers);
	g_test_add_func("/virtio-pci/status", test_status);
	g_test_add_data_func("/virtio-pci/broken/msix", GUINT_TO_POINTER(true), test_broken);
	g_test_add_data_func("/virtio-pci/broken/intx", GUINT_TO_POINTER(false), test_broken);
	g_test_add_func("/virtio-pci/window-hostile", test_pci_cfg_hostile);
	g_test_add_func("/virtio-pci/load-refused", test_load_refused);
	g_test_add_func("/virtio-pci/identity", test_identity);
	g_test_add_func("/virtio-pci/enabled-queue-is-fixed", test_enabled_queue_is_fixed);
	g_test_add_func("/virtio-pci/msix", test_msix);
	g_test_add_func("/virtio-pci/intx", test_intx);
	g_test_add_func("/virtio-pci/bus-master", test_bus_master);
	g_test_add_func("/virtio-pci/pause", test_pause);
	g_test_add_func("/virtio-pci/queue-reset", test_queue_reset);
	g_test_add_func("/virtio-pci/machine-reset", test_machine_reset);
	g_test_add_func("/virtio-pci/window", test_pci_cfg);
	g_test_add_func("/virtio-pci/ioeventfd", test_ioeventfd);
	g_test_add_data_func("/virtio-pci/save-load/split", &split, test_save_load);
	g_test_add_data_func("/virtio-pci/save-load/packed", &packed, test_save_load);
	g_test_add_data_func("/virtio-pci/save-load/packed-event", &packed_event, test_save_load);
	return g_test_run();
}
