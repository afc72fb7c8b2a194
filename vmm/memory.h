/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_MEMORY_H
#define LODGE_VMM_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/base/cleanup.h"

/*
 * Guest physical memory: the one checked door to guest RAM.
 *
 * RAM is one memfd mapped once. It appears to the guest as up to two slots: [0, low) and, when it is larger than
 * MEMORY_LOW_MAX, [4 GiB, 4 GiB + rest). ROM slots may be added by the machine before the vCPUs start. Every access
 * takes a guest physical address and a length and can fail; sums are checked by subtraction. Nothing outside
 * vmm/memory.c computes a host address from a guest address, except an accelerator, which is given the slot table.
 *
 * Page flags: one byte per RAM page. While a page's flags are not 0, whoever is about to write it (or has just written
 * it, for DMA) must say so through memory_note_write(); the software CPU keeps such pages out of its fast write path.
 *
 * Threads: slots change only while no vCPU runs. Reads, writes and flags may be used from any thread; guest
 * memory itself is shared with running vCPUs, so copy once, then validate the copy, then use the copy.
 */
#define MEMORY_PAGE_SIZE 4096u
#define MEMORY_PAGE_SHIFT 12
#define MEMORY_LOW_MAX (UINT64_C(2) << 30)  /* RAM below the PCI hole */
#define MEMORY_HIGH_BASE (UINT64_C(4) << 30)

#define MEMORY_PAGE_CODE 0x01u	/* the software CPU holds decoded blocks of this page */
#define MEMORY_PAGE_CLEAN 0x02u /* dirty log is on and the page has not been written since the last harvest */

struct memory;

struct memory_slot {
	uint64_t gpa;	     /* page aligned */
	uint64_t size;	     /* page aligned, bytes */
	uint8_t *host;	     /* first byte in this process */
	uint8_t *page_flags; /* size / 4096 bytes, or NULL for ROM */
	bool readonly;
};

/* Called after (DMA, memory_write) or just before (CPU) a page whose flags were not 0 is written. Any thread. */
typedef void (*memory_write_fn)(void *opaque, uint64_t gpa, size_t len);

/*
 * size: bytes, a multiple of the page size, at least 1 MiB. Fails with a LODGE_ERROR_SYSTEM that names the size when the host
 * has no room. Memory is not touched: the host provides pages as the guest uses them.
 */
struct memory *memory_new(uint64_t size, GError **err);
void memory_free(struct memory *mem);
DEFINE_AUTOPTR(memory, memory_free)

uint64_t memory_size(const struct memory *mem);	    /* all RAM, bytes */
uint64_t memory_low_size(const struct memory *mem); /* RAM below 4 GiB: [0, this) */
uint64_t memory_top(const struct memory *mem);	    /* first gpa above all RAM, at least 4 GiB */
int memory_fd(const struct memory *mem);	    /* the RAM memfd, still owned by mem */

/* Adds read-only memory whose contents are a copy of data; size is rounded up to a page. Fails on overlap. */
bool memory_add_rom(struct memory *mem, uint64_t gpa, const void *data, size_t size, GError **err);

/* The slot table, sorted by gpa; valid until slots change. */
const struct memory_slot *memory_slots(const struct memory *mem, size_t *n);

/* The slot that holds gpa, or NULL. */
const struct memory_slot *memory_find(const struct memory *mem, uint64_t gpa);

/* Copy; false (and nothing copied) unless the whole range is RAM or ROM (read) / RAM (write). */
bool memory_read(const struct memory *mem, uint64_t gpa, void *buf, size_t len) G_GNUC_WARN_UNUSED_RESULT;
bool memory_write(struct memory *mem, uint64_t gpa, const void *buf, size_t len) G_GNUC_WARN_UNUSED_RESULT;
bool memory_fill(struct memory *mem, uint64_t gpa, uint8_t byte, uint64_t len) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The same for somebody who reads all of it: RAM the guest has never touched reads as zeros and stays untouched, where a
 * copy would make the host find a page for it.
 */
bool memory_peek(const struct memory *mem, uint64_t gpa, void *buf, size_t len) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Atomic-width access for rings shared with a running guest: one load or store of 2, 4 or 8 bytes at a naturally aligned
 * address. false when outside RAM or misaligned. No ordering beyond what __ATOMIC_RELAXED gives; use fences.
 */
bool memory_load16(const struct memory *mem, uint64_t gpa, uint16_t *val) G_GNUC_WARN_UNUSED_RESULT;
bool memory_store16(struct memory *mem, uint64_t gpa, uint16_t val) G_GNUC_WARN_UNUSED_RESULT;
bool memory_load32(const struct memory *mem, uint64_t gpa, uint32_t *val) G_GNUC_WARN_UNUSED_RESULT;
bool memory_store32(struct memory *mem, uint64_t gpa, uint32_t val) G_GNUC_WARN_UNUSED_RESULT;
bool memory_load64(const struct memory *mem, uint64_t gpa, uint64_t *val) G_GNUC_WARN_UNUSED_RESULT;
bool memory_store64(struct memory *mem, uint64_t gpa, uint64_t val) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Bounded scatter list for I/O without a copy: appends to iov[*n .. cap) the host ranges of [gpa, gpa + len).
 * false when part of it is not RAM (or is ROM and write is true) or the list is full; *n is then unchanged.
 * The ranges stay valid as long as mem. After writing through them call memory_note_write().
 */
bool memory_iov(const struct memory *mem, uint64_t gpa, size_t len, bool write, struct iovec *iov, size_t cap,
		size_t *n) G_GNUC_WARN_UNUSED_RESULT;

/* RAM at [gpa, gpa + len) has been written behind the CPU's back: calls the listener for pages whose flags are not 0. */
void memory_note_write(struct memory *mem, uint64_t gpa, size_t len);

/* One listener (the accelerator). fn NULL removes it. */
void memory_set_listener(struct memory *mem, memory_write_fn fn, void *opaque);

#endif
