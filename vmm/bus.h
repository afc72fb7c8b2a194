/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_BUS_H
#define LODGE_VMM_BUS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"

/*
 * An address space of device registers: one for I/O ports, one for MMIO.
 *
 * A region object lives as long as the bus and belongs to one device; it can be moved, enabled and disabled at any time (PCI
 * BARs). The dispatcher finds the region under a reader lock, drops that lock, takes the region's device lock if it has one, and calls
 * the handler: so handlers may move regions, and a handler never runs concurrently with another handler of the same device.
 * A region without a lock has handlers that are safe from any thread (queue notification, for example).
 *
 * Where regions overlap, the one added last wins. Accesses that hit nothing read as all ones and ignore writes.
 */
struct bus;
struct bus_region;

struct bus_ops {
	/* off: bytes from the region's start; size: 1, 2, 4 or 8 and off + size never passes the region's end. */
	uint64_t (*read)(void *opaque, uint64_t off, unsigned size);
	void (*write)(void *opaque, uint64_t off, uint64_t val, unsigned size);
	unsigned min_size; /* narrower accesses are widened by the dispatcher (read) or dropped (write); 0 = 1 */
	unsigned max_size; /* wider accesses are split into several of this size; 0 = 8 */
};

/* top: first address that does not exist, for example 0x10000 for ports. */
struct bus *bus_new(uint64_t top);
void bus_free(struct bus *bus);
DEFINE_AUTOPTR(bus, bus_free)

/* Added disabled when len is 0 or enabled is false. lock may be NULL. name is for traces, must outlive the bus. */
struct bus_region *bus_add(struct bus *bus, const char *name, uint64_t base, uint64_t len, bool enabled,
			   const struct bus_ops *ops, void *opaque, GMutex *lock);
void bus_region_set(struct bus_region *region, uint64_t base, bool enabled);

/* One guest access of 1, 2, 4 or 8 bytes. Any thread. Returns false when no region answered (reads give all ones). */
bool bus_read(struct bus *bus, uint64_t addr, unsigned size, uint64_t *val);
bool bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t val);

#endif
