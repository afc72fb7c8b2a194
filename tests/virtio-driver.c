/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/virtio-driver.h"

#include <string.h>

/* --- machine --- */

static struct board *board_of(struct vm *vm)
{
	return (struct board *)(void *)vm;
}

/* What the devices ask of a whole VM. */
void vm_add_device(struct vm *vm, struct device *dev_consume)
{
	g_ptr_array_add(vm->devices, dev_consume);
}

void vm_request_reset(struct vm *vm, const char *reason)
{
	(void)reason;
	board_of(vm)->n_resets++;
}

void vm_post_value(struct vm *vm, enum vm_event event, int64_t value)
{
	board_of(vm)->posted[event] = value;
}

static void on_message(void *opaque, const struct msi_message *msg)
{
	struct board *board = opaque;

	g_mutex_lock(&board->lock);
	g_array_append_val(board->messages, *msg);
	g_mutex_unlock(&board->lock);
	g_main_context_wakeup(board->vm.context);
}

static void on_intx(void *opaque, unsigned pin, bool level)
{
	struct board *board = opaque;

	g_mutex_lock(&board->lock);
	board->n_intx += level && !(board->intx & 1u << pin);
	board->intx = (board->intx & ~(1u << pin)) | (unsigned)level << pin;
	g_mutex_unlock(&board->lock);
	g_main_context_wakeup(board->vm.context);
}

struct board *board_new(uint64_t ram)
{
	struct board *board = g_new0(struct board, 1);
	struct vm *vm = &board->vm;
	struct irq intx[4];

	g_mutex_init(&board->lock);
	board->messages = g_array_new(FALSE, FALSE, sizeof(struct msi_message));
	vm->stats = &board->stats;
	for (unsigned i = 0; i < VM_N_EVENTS; i++)
		board->posted[i] = -1;
	vm->mem = memory_new(ram, NULL);
	g_assert_nonnull(vm->mem);
	vm->pio = bus_new(0x10000);
	vm->mmio = bus_new(UINT64_C(1) << 46);
	vm->timers = timers_new_manual();
	vm->context = g_main_context_new();
	vm->devices = g_ptr_array_new();
	for (unsigned i = 0; i < G_N_ELEMENTS(intx); i++)
		intx[i] = (struct irq){ .set = on_intx, .opaque = board, .pin = i };
	vm->pci = pci_bus_new(vm, intx, on_message, board, UINT64_C(0x100000000));
	vm_add_device(vm, pci_bus_device(vm->pci));
	return board;
}

void board_free(struct board *board)
{
	struct vm *vm = &board->vm;

	for (guint i = vm->devices->len; i > 0; i--)
		device_destroy(vm->devices->pdata[i - 1]);
	g_ptr_array_free(vm->devices, TRUE);
	timers_free(vm->timers);
	bus_free(vm->mmio);
	bus_free(vm->pio);
	memory_free(vm->mem);
	g_main_context_unref(vm->context);
	g_array_free(board->messages, TRUE);
	g_mutex_clear(&board->lock);
	g_free(board);
}

unsigned board_messages(struct board *board, uint32_t data)
{
	unsigned n = 0;

	g_mutex_lock(&board->lock);
	for (guint i = 0; i < board->messages->len; i++)
		n += g_array_index(board->messages, struct msi_message, i).data == data;
	g_mutex_unlock(&board->lock);
	return n;
}

uint64_t board_mmio_read(struct board *board, uint64_t addr, unsigned size)
{
	uint64_t val;

	bus_read(board->vm.mmio, addr, size, &val);
	return val;
}

void board_mmio_write(struct board *board, uint64_t addr, uint64_t val, unsigned size)
{
	bus_write(board->vm.mmio, addr, size, val);
}

uint32_t board_config_read(struct board *board, unsigned slot, unsigned off, unsigned size)
{
	return (uint32_t)board_mmio_read(board, PCI_ECAM_BASE + ((uint64_t)slot << 15) + off, size);
}

void board_config_write(struct board *board, unsigned slot, unsigned off, uint32_t val, unsigned size)
{
	board_mmio_write(board, PCI_ECAM_BASE + ((uint64_t)slot << 15) + off, val, size);
}

void board_put(struct board *board, uint64_t gpa, const void *data, size_t len)
{
	g_assert_true(memory_write(board->vm.mem, gpa, data, len));
}

void board_get(struct board *board, uint64_t gpa, void *data, size_t len)
{
	g_assert_true(memory_read(board->vm.mem, gpa, data, len));
}

/* --- rings --- */

static uint16_t get16(const struct ring *ring, uint64_t gpa)
{
	uint16_t val;

	g_assert_true(memory_load16(ring->mem, gpa, &val));
	return GUINT16_FROM_LE(val);
}

static void put16(struct ring *ring, uint64_t gpa, uint16_t val)
{
	g_assert_true(memory_store16(ring->mem, gpa, GUINT16_TO_LE(val)));
}

static uint32_t get32(const struct ring *ring, uint64_t gpa)
{
	uint32_t val;

	g_assert_true(memory_load32(ring->mem, gpa, &val));
	return GUINT32_FROM_LE(val);
}

static void put32(struct ring *ring, uint64_t gpa, uint32_t val)
{
	g_assert_true(memory_store32(ring->mem, gpa, GUINT32_TO_LE(val)));
}

static void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void ring_init(struct ring *ring, struct memory *mem, uint64_t base, uint16_t size, uint64_t features)
{
	g_assert_cmpuint(size, <=, G_N_ELEMENTS(ring->free_ids));
	*ring = (struct ring){
		.mem = mem,
		.packed = features & VIRTIO_F_RING_PACKED,
		.event_idx = features & VIRTIO_F_EVENT_IDX,
		.size = size,
		.n_free = size,
		.next_wrap = true,
		.used_wrap = true,
		.desc = base,
		.driver = base + 0x1000,
		.device = base + 0x2000,
		.end = base + 0x3000,
	};
	g_assert_true(memory_fill(mem, base, 0, ring->end - base));
	for (uint16_t i = 0; i < size; i++)
		ring->free_ids[i] = i;
}

void ring_put_desc(struct ring *ring, uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
		   uint16_t next)
{
	uint64_t gpa = table + 16 * (uint64_t)i;

	put32(ring, gpa, (uint32_t)addr);
	put32(ring, gpa + 4, (uint32_t)(addr >> 32));
	put32(ring, gpa + 8, len);
	put16(ring, gpa + 12, ring->packed ? next : flags);
	put16(ring, gpa + 14, ring->packed ? flags : next);
}

void ring_publish(struct ring *ring, uint16_t head)
{
	put16(ring, ring->driver + 4 + 2u * (ring->next % ring->size), head);
	fence();
	ring->next++;
	ring->added++;
	put16(ring, ring->driver + 2, ring->next);
}

static uint16_t buf_flags(const struct ring_buf *buf)
{
	return buf->write ? 2 : 0;
}

static uint16_t take_id(struct ring *ring)
{
	g_assert_cmpuint(ring->n_free, >, 0);
	return ring->free_ids[--ring->n_free];
}

static void write_table(struct ring *ring, const struct ring_buf *bufs, unsigned n, uint64_t table)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t next = !ring->packed && i + 1 < n ? 1 : 0;

		ring_put_desc(ring, table, i, bufs[i].addr, bufs[i].len, buf_flags(&bufs[i]) | next, (uint16_t)(i + 1));
	}
}

/* Links the chain from its last descriptor to its first, taking any free ones. */
static uint16_t split_add(struct ring *ring, const struct ring_buf *bufs, unsigned n)
{
	uint16_t id = 0, next = 0;

	for (unsigned i = n; i > 0; i--) {
		id = take_id(ring);
		ring_put_desc(ring, ring->desc, id, bufs[i - 1].addr, bufs[i - 1].len,
			      buf_flags(&bufs[i - 1]) | (i < n ? 1 : 0), next);
		next = id;
	}
	ring->n_descs[id] = (uint16_t)n;
	ring_publish(ring, id);
	return id;
}

static uint16_t packed_flags(bool wrap)
{
	return wrap ? 0x0080 : 0x8000;
}

/*
 * The head's flags word goes last: it makes the whole chain available. In packed rings n_free counts ids; entries are
 * n_descs.
 */
static uint16_t packed_add(struct ring *ring, const struct ring_buf *bufs, unsigned n, uint16_t extra)
{
	uint16_t id = take_id(ring), head = ring->next, head_flags = 0;

	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = buf_flags(&bufs[i]) | packed_flags(ring->next_wrap) | extra | (i + 1 < n ? 1 : 0);

		if (i == 0)
			head_flags = flags;
		ring_put_desc(ring, ring->desc, ring->next, bufs[i].addr, bufs[i].len,
			      i ? flags : packed_flags(!ring->next_wrap), id);
		if (++ring->next == ring->size) {
			ring->next = 0;
			ring->next_wrap = !ring->next_wrap;
		}
	}
	fence();
	put16(ring, ring->desc + 16u * head + 14, head_flags);
	ring->n_descs[id] = (uint16_t)n;
	ring->added = (uint16_t)(ring->added + n);
	return id;
}

uint16_t ring_add(struct ring *ring, const struct ring_buf *bufs, unsigned n, uint64_t table)
{
	struct ring_buf indirect = { .addr = table, .len = 16 * n };
	uint16_t id;

	if (!table)
		return ring->packed ? packed_add(ring, bufs, n, 0) : split_add(ring, bufs, n);
	write_table(ring, bufs, n, table);
	if (ring->packed)
		return packed_add(ring, &indirect, 1, 4);
	id = take_id(ring);
	ring_put_desc(ring, ring->desc, id, table, 16 * n, 4, 0);
	ring->n_descs[id] = 1;
	ring_publish(ring, id);
	return id;
}

static void give_back(struct ring *ring, uint16_t id)
{
	uint16_t i = id;

	if (ring->packed) {
		ring->free_ids[ring->n_free++] = id;
		return;
	}
	for (uint16_t n = 0; n < ring->n_descs[id]; n++) {
		ring->free_ids[ring->n_free++] = i;
		i = get16(ring, ring->desc + 16u * i + 14);
	}
}

static bool split_take(struct ring *ring, uint16_t *id, uint32_t *len)
{
	uint64_t entry = ring->device + 4 + 8u * (ring->used % ring->size);

	if (get16(ring, ring->device + 2) == ring->used)
		return false;
	fence();
	*id = (uint16_t)get32(ring, entry);
	*len = get32(ring, entry + 4);
	ring->used++;
	return true;
}

static bool packed_take(struct ring *ring, uint16_t *id, uint32_t *len)
{
	uint64_t entry = ring->desc + 16u * ring->used;
	uint16_t flags = get16(ring, entry + 14);

	if (!!(flags & 0x8000) != ring->used_wrap || !!(flags & 0x80) != ring->used_wrap)
		return false;
	fence();
	*id = get16(ring, entry + 12);
	*len = get32(ring, entry + 8);
	ring->used = (uint16_t)(ring->used + ring->n_descs[*id]);
	if (ring->used >= ring->size) {
		ring->used = (uint16_t)(ring->used - ring->size);
		ring->used_wrap = !ring->used_wrap;
	}
	return true;
}

bool ring_take(struct ring *ring, uint16_t *id, uint32_t *len)
{
	if (!(ring->packed ? packed_take(ring, id, len) : split_take(ring, id, len)))
		return false;
	give_back(ring, *id);
	return true;
}

static bool packed_wants_kick(struct ring *ring, uint16_t added)
{
	uint16_t flags = get16(ring, ring->device + 2) & 3, event = get16(ring, ring->device);
	int position = event & 0x7fff;

	if (flags != 2)
		return flags == 0;
	if (!!(event & 0x8000) != ring->next_wrap)
		position -= ring->size;
	return position < ring->next && position >= ring->next - (int)added;
}

bool ring_wants_kick(struct ring *ring)
{
	uint16_t added = ring->added, event;

	ring->added = 0;
	fence();
	if (ring->packed)
		return packed_wants_kick(ring, added);
	if (!ring->event_idx)
		return !(get16(ring, ring->device) & 1);
	event = get16(ring, ring->device + 4 + 8u * ring->size);
	return (uint16_t)(ring->next - event - 1) < added;
}

void ring_want_signal_at(struct ring *ring, uint16_t ahead)
{
	unsigned position = ring->used + ahead;
	bool wrap = ring->used_wrap;

	g_assert_true(ring->event_idx);
	if (!ring->packed) {
		put16(ring, ring->driver + 4 + 2u * ring->size, (uint16_t)position);
	} else {
		if (position >= ring->size) {
			position -= ring->size;
			wrap = !wrap;
		}
		put16(ring, ring->driver, (uint16_t)(position | (wrap ? 0x8000 : 0)));
		fence();
		put16(ring, ring->driver + 2, 2);
	}
	fence();
}

void ring_want_signal(struct ring *ring)
{
	if (ring->event_idx)
		ring_want_signal_at(ring, 0);
	else
		put16(ring, ring->packed ? ring->driver + 2 : ring->driver, 0);
	fence();
}

void ring_want_no_signal(struct ring *ring)
{
	if (ring->packed)
		put16(ring, ring->driver + 2, 1);
	else if (ring->event_idx)
		put16(ring, ring->driver + 4 + 2u * ring->size, (uint16_t)(ring->used - 1));
	else
		put16(ring, ring->driver, 1);
	fence();
}

/* --- driver --- */

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4, CFG_PCI = 5 };

static uint32_t cfg(struct driver *driver, unsigned off, unsigned size)
{
	return board_config_read(driver->board, driver->slot, off, size);
}

static uint64_t bar_address(struct driver *driver, unsigned bar)
{
	uint32_t low = cfg(driver, 0x10 + 4 * bar, 4);

	g_assert_cmphex(low & 1, ==, 0);
	return (low & ~15u) | (low & 4 ? (uint64_t)cfg(driver, 0x14 + 4 * bar, 4) << 32 : 0);
}

static void note_capability(struct driver *driver, unsigned cap)
{
	uint64_t addr;

	if (cfg(driver, cap, 1) == 0x11) {
		driver->msix_cap = cap;
		addr = cfg(driver, cap + 4, 4);
		driver->msix_table = bar_address(driver, addr & 7) + (addr & ~UINT64_C(7));
		return;
	}
	g_assert_cmphex(cfg(driver, cap, 1), ==, 9);
	addr = bar_address(driver, cfg(driver, cap + 4, 1)) + cfg(driver, cap + 8, 4);
	switch (cfg(driver, cap + 3, 1)) {
	case CFG_COMMON:
		driver->common = addr;
		break;
	case CFG_NOTIFY:
		driver->notify = addr;
		driver->notify_multiplier = cfg(driver, cap + 16, 4);
		break;
	case CFG_ISR:
		driver->isr = addr;
		break;
	case CFG_DEVICE:
		driver->config = addr;
		driver->config_len = cfg(driver, cap + 12, 4);
		break;
	case CFG_PCI:
		driver->pci_cfg = cap;
		break;
	default:
		g_assert_not_reached();
	}
}

void driver_open(struct driver *driver, struct board *board, struct device *dev)
{
	*driver = (struct driver){
		.board = board,
		.slot = ((struct pci_device *)(void *)dev)->slot,
		.heap = 0x10000,
	};
	g_assert_cmphex(cfg(driver, 0, 2), ==, 0x1af4);
	for (unsigned cap = cfg(driver, 0x34, 1); cap; cap = cfg(driver, cap + 1, 1))
		note_capability(driver, cap);
	board_config_write(board, driver->slot, 4, 0x0006, 2);
}

uint64_t driver_alloc(struct driver *driver, uint64_t size)
{
	uint64_t gpa = driver->heap;

	driver->heap += (size + 4095) & ~UINT64_C(4095);
	g_assert_cmpuint(driver->heap, <=, memory_low_size(driver->board->vm.mem));
	return gpa;
}

static void common_write(struct driver *driver, unsigned off, uint32_t val, unsigned size)
{
	board_mmio_write(driver->board, driver->common + off, val, size);
}

static uint32_t common_read(struct driver *driver, unsigned off, unsigned size)
{
	return (uint32_t)board_mmio_read(driver->board, driver->common + off, size);
}

uint8_t driver_status(struct driver *driver)
{
	return (uint8_t)common_read(driver, 0x14, 1);
}

void driver_set_status(struct driver *driver, uint8_t status)
{
	common_write(driver, 0x14, status, 1);
}

uint64_t driver_offered(struct driver *driver)
{
	uint64_t low;

	common_write(driver, 0, 0, 4);
	low = common_read(driver, 4, 4);
	common_write(driver, 0, 1, 4);
	return low | (uint64_t)common_read(driver, 4, 4) << 32;
}

bool driver_negotiate(struct driver *driver, uint64_t features)
{
	driver_set_status(driver, 0);
	g_assert_cmphex(driver_status(driver), ==, 0);
	driver_set_status(driver, 1);
	driver_set_status(driver, 3);
	common_write(driver, 8, 0, 4);
	common_write(driver, 12, (uint32_t)features, 4);
	common_write(driver, 8, 1, 4);
	common_write(driver, 12, (uint32_t)(features >> 32), 4);
	driver_set_status(driver, 0x0b);
	driver->features = features;
	driver->n_rings = 0;
	return driver_status(driver) == 0x0b;
}

void driver_enable_msix(struct driver *driver)
{
	unsigned count = (cfg(driver, driver->msix_cap + 2, 2) & 0x7ff) + 1;

	for (unsigned i = 0; i < count; i++) {
		uint64_t entry = driver->msix_table + 16 * i;

		board_mmio_write(driver->board, entry, 0xfee00000, 4);
		board_mmio_write(driver->board, entry + 4, 0, 4);
		board_mmio_write(driver->board, entry + 8, DRIVER_VECTOR_DATA(i), 4);
		board_mmio_write(driver->board, entry + 12, 0, 4);
	}
	board_config_write(driver->board, driver->slot, driver->msix_cap + 2, 0x8000, 2);
}

static void write_address(struct driver *driver, unsigned off, uint64_t addr)
{
	common_write(driver, off, (uint32_t)addr, 4);
	common_write(driver, off + 4, (uint32_t)(addr >> 32), 4);
}

void driver_setup_queue(struct driver *driver, unsigned i, uint16_t size)
{
	struct ring *ring = &driver->rings[i];

	g_assert_cmpuint(i, <, G_N_ELEMENTS(driver->rings));
	ring_init(ring, driver->board->vm.mem, driver_alloc(driver, 0x3000), size, driver->features);
	common_write(driver, 0x16, i, 2);
	g_assert_cmpuint(common_read(driver, 0x18, 2), >=, size);
	common_write(driver, 0x18, size, 2);
	write_address(driver, 0x20, ring->desc);
	write_address(driver, 0x28, ring->driver);
	write_address(driver, 0x30, ring->device);
	common_write(driver, 0x1a, i + 1, 2);
	common_write(driver, 0x1c, 1, 2);
	g_assert_cmpuint(common_read(driver, 0x1c, 2), ==, 1);
	driver->n_rings = MAX(driver->n_rings, i + 1);
}

void driver_start(struct driver *driver, uint64_t features, unsigned n_queues, uint16_t size)
{
	g_assert_true(driver_negotiate(driver, features | VIRTIO_F_VERSION_1));
	driver_enable_msix(driver);
	common_write(driver, 0x10, 0, 2);
	for (unsigned i = 0; i < n_queues; i++)
		driver_setup_queue(driver, i, size);
	driver_set_status(driver, 0x0f);
	g_assert_cmphex(driver_status(driver), ==, 0x0f);
}

void driver_kick(struct driver *driver, unsigned queue)
{
	board_mmio_write(driver->board, driver->notify + (uint64_t)queue * driver->notify_multiplier, queue, 2);
}

uint16_t driver_send(struct driver *driver, unsigned queue, const struct ring_buf *bufs, unsigned n, uint64_t table)
{
	uint16_t id = ring_add(&driver->rings[queue], bufs, n, table);

	if (ring_wants_kick(&driver->rings[queue]))
		driver_kick(driver, queue);
	return id;
}

uint32_t driver_wait(struct driver *driver, unsigned queue, uint16_t *id)
{
	struct ring *ring = &driver->rings[queue];
	uint16_t any;
	uint32_t len;

	ring_want_signal(ring);
	while (!ring_take(ring, id ? id : &any, &len))
		g_main_context_iteration(driver->board->vm.context, TRUE);
	return len;
}

void driver_wait_broken(struct driver *driver)
{
	while (!(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET))
		g_main_context_iteration(driver->board->vm.context, TRUE);
}
