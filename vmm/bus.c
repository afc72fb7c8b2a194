/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/bus.h"

/*
 * Regions are kept in the order they were added; from them a view is built at every change: a sorted list of ranges
 * that do not overlap, each naming the region that answers there. An access is a binary search in the view under the
 * reader lock.
 *
 * What must stay true: view and the base and enabled fields of regions change only under the writer lock; everything
 * else in a region is constant after bus_add(). No handler runs under the bus lock, so a handler may move regions. An
 * access that is already on its way when its region moves still reaches the handler, as on a real bus.
 */

struct bus {
	GRWLock lock;
	uint64_t last; /* highest address */
	GPtrArray *regions;
	GArray *view; /* struct range */
};

struct bus_region {
	struct bus *bus;
	const char *name;
	uint64_t base, len;
	bool enabled;
	const struct bus_ops *ops;
	void *opaque;
	GMutex *lock;
	unsigned min_size, max_size;
};

/* [first, last] is answered by region; both inclusive, so the end of the address space needs no special case. */
struct range {
	uint64_t first, last;
	struct bus_region *region;
};

/* One handler call: what is left after splitting an access. */
struct piece {
	struct bus_region *region; /* NULL: nothing there */
	uint64_t off;
	unsigned size;
};

struct bus *bus_new(uint64_t top)
{
	struct bus *bus = g_new0(struct bus, 1);

	g_rw_lock_init(&bus->lock);
	bus->last = top - 1;
	bus->regions = g_ptr_array_new_with_free_func(g_free);
	bus->view = g_array_new(FALSE, FALSE, sizeof(struct range));
	return bus;
}

void bus_free(struct bus *bus)
{
	if (!bus)
		return;
	g_array_free(bus->view, TRUE);
	g_ptr_array_free(bus->regions, TRUE);
	g_rw_lock_clear(&bus->lock);
	g_free(bus);
}

static struct range *view_at(const struct bus *bus, guint i)
{
	return &g_array_index(bus->view, struct range, i);
}

/* Adds those parts of [first, last] that the view does not have yet. */
static void view_fill(struct bus *bus, uint64_t first, uint64_t last, struct bus_region *region)
{
	guint i = 0;

	while (i < bus->view->len && view_at(bus, i)->last < first)
		i++;
	for (; i < bus->view->len && view_at(bus, i)->first <= last; i++) {
		struct range taken = *view_at(bus, i);

		if (taken.first > first) {
			struct range gap = { .first = first, .last = taken.first - 1, .region = region };

			g_array_insert_val(bus->view, i, gap);
			i++;
		}
		if (taken.last >= last)
			return;
		first = taken.last + 1;
	}
	g_array_insert_vals(bus->view, i, &(struct range){ first, last, region }, 1);
}

/* Newest first, so that a later region covers an earlier one. */
static void view_rebuild(struct bus *bus)
{
	g_array_set_size(bus->view, 0);
	for (guint i = bus->regions->len; i > 0; i--) {
		struct bus_region *region = bus->regions->pdata[i - 1];

		if (!region->enabled || !region->len || region->base > bus->last)
			continue;
		view_fill(bus, region->base, region->base + MIN(region->len - 1, bus->last - region->base), region);
	}
}

struct bus_region *bus_add(struct bus *bus, const char *name, uint64_t base, uint64_t len, bool enabled,
			   const struct bus_ops *ops, void *opaque, GMutex *lock)
{
	struct bus_region *region = g_new0(struct bus_region, 1);

	*region = (struct bus_region){
		.bus = bus,
		.name = name,
		.base = base,
		.len = len,
		.enabled = enabled,
		.ops = ops,
		.opaque = opaque,
		.lock = lock,
		.min_size = ops->min_size ? ops->min_size : 1,
		.max_size = ops->max_size ? ops->max_size : 8,
	};
	g_rw_lock_writer_lock(&bus->lock);
	g_ptr_array_add(bus->regions, region);
	view_rebuild(bus);
	g_rw_lock_writer_unlock(&bus->lock);
	return region;
}

void bus_region_set(struct bus_region *region, uint64_t base, bool enabled)
{
	struct bus *bus = region->bus;

	g_rw_lock_writer_lock(&bus->lock);
	if (region->base != base || region->enabled != enabled) {
		region->base = base;
		region->enabled = enabled;
		view_rebuild(bus);
	}
	g_rw_lock_writer_unlock(&bus->lock);
}

/* The range that holds addr, or NULL. Reader lock held. */
static const struct range *view_find(const struct bus *bus, uint64_t addr)
{
	guint low = 0, high = bus->view->len;

	while (low < high) {
		guint mid = low + (high - low) / 2;
		const struct range *range = view_at(bus, mid);

		if (addr < range->first)
			high = mid;
		else if (addr > range->last)
			low = mid + 1;
		else
			return range;
	}
	return NULL;
}

/*
 * The largest access of at most size bytes that starts pos bytes after addr and is answered by one region in one call.
 */
static struct piece next_piece(struct bus *bus, uint64_t addr, unsigned pos, unsigned size)
{
	struct piece piece = { .size = 1 };
	const struct range *range;

	if (addr > bus->last || pos > bus->last - addr)
		return piece;
	addr += pos;
	g_rw_lock_reader_lock(&bus->lock);
	range = view_find(bus, addr);
	if (range) {
		piece.region = range->region;
		piece.off = addr - range->region->base;
		while (piece.size * 2 <= size && piece.size * 2 <= range->region->max_size &&
		       piece.size * 2 - 1 <= range->last - addr)
			piece.size *= 2;
	}
	g_rw_lock_reader_unlock(&bus->lock);
	if (piece.region && piece.size < piece.region->min_size &&
	    piece.off % piece.region->min_size + piece.size > piece.region->min_size)
		piece.size = 1;
	return piece;
}

/* Calls the read handler, with a wider access when this one is too narrow for it. */
static uint64_t piece_read(const struct piece *piece)
{
	struct bus_region *region = piece->region;
	unsigned size = MAX(piece->size, region->min_size);
	uint64_t off = piece->size < size ? piece->off - piece->off % size : piece->off;
	uint64_t val;

	if (!region->ops->read || size > region->len - off)
		return UINT64_MAX;
	if (region->lock)
		g_mutex_lock(region->lock);
	val = region->ops->read(region->opaque, off, size);
	if (region->lock)
		g_mutex_unlock(region->lock);
	return val >> (piece->off - off) * 8;
}

static void piece_write(const struct piece *piece, uint64_t val)
{
	struct bus_region *region = piece->region;

	if (!region->ops->write || piece->size < region->min_size)
		return;
	if (region->lock)
		g_mutex_lock(region->lock);
	region->ops->write(region->opaque, piece->off, val, piece->size);
	if (region->lock)
		g_mutex_unlock(region->lock);
}

static uint64_t ones(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
}

bool bus_read(struct bus *bus, uint64_t addr, unsigned size, uint64_t *val)
{
	uint64_t sum = 0;
	bool any = false;

	for (unsigned pos = 0; pos < size;) {
		struct piece piece = next_piece(bus, addr, pos, size - pos);
		uint64_t part = piece.region ? piece_read(&piece) : UINT64_MAX;

		any |= piece.region != NULL;
		sum |= (part & ones(piece.size)) << pos * 8;
		pos += piece.size;
	}
	*val = sum;
	return any;
}

bool bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t val)
{
	bool any = false;

	for (unsigned pos = 0; pos < size;) {
		struct piece piece = next_piece(bus, addr, pos, size - pos);

		any |= piece.region != NULL;
		if (piece.region)
			piece_write(&piece, val >> pos * 8 & ones(piece.size));
		pos += piece.size;
	}
	return any;
}
