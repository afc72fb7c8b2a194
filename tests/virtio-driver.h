/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_VIRTIO_DRIVER_H
#define LODGE_TESTS_VIRTIO_DRIVER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/pci.h"
#include "vmm/virtio/virtio.h"
#include "vmm/vm.h"

/*
 * The other side of virtio for tests: a machine of buses and memory without vCPUs, a driver that finds a device
 * through configuration space as a guest would, and rings in guest memory, split and packed, written from the
 * specification and sharing no code with the device side.
 *
 * Nothing here waits for time: driver_wait() runs the loop until the device has used a buffer.
 */

/* --- machine --- */

struct board {
	struct vm vm;
	GMutex lock;
	GArray *messages; /* struct msi_message, in order of arrival; lock */
	unsigned intx;	  /* bit per line that is up; lock */
	unsigned n_intx;  /* rising edges; lock */
	unsigned n_resets;
	struct stats_page stats;
	int64_t posted[VM_N_EVENTS]; /* latest value of each event; -1: none */
};

struct board *board_new(uint64_t ram);
void board_free(struct board *board);
DEFINE_AUTOPTR(board, board_free)

/* Messages with this data word so far. */
unsigned board_messages(struct board *board, uint32_t data);

uint32_t board_config_read(struct board *board, unsigned slot, unsigned off, unsigned size); /* by ECAM */
void board_config_write(struct board *board, unsigned slot, unsigned off, uint32_t val, unsigned size);
uint64_t board_mmio_read(struct board *board, uint64_t addr, unsigned size);
void board_mmio_write(struct board *board, uint64_t addr, uint64_t val, unsigned size);

void board_put(struct board *board, uint64_t gpa, const void *data, size_t len);
void board_get(struct board *board, uint64_t gpa, void *data, size_t len);

/* --- rings --- */

struct ring_buf {
	uint64_t addr;
	uint32_t len;
	bool write;
};

struct ring {
	struct memory *mem;
	bool packed, event_idx;
	uint16_t size, n_free;
	uint64_t desc, driver, device, end;
	uint16_t next, used;	   /* split: avail index, used index seen; packed: ring positions */
	bool next_wrap, used_wrap; /* packed */
	uint16_t added;		   /* entries added since the last ring_wants_kick() */
	uint16_t free_ids[256];
	uint16_t n_descs[256]; /* by id */
};

/* Lays an empty ring out at base (page aligned); ring->end is the first byte after it. */
void ring_init(struct ring *ring, struct memory *mem, uint64_t base, uint16_t size, uint64_t features);

/* Adds one chain, through an indirect table at table unless that is 0; returns its id. There must be room. */
uint16_t ring_add(struct ring *ring, const struct ring_buf *bufs, unsigned n, uint64_t table);

/* The next used buffer, if there is one. */
bool ring_take(struct ring *ring, uint16_t *id, uint32_t *len);

bool ring_wants_kick(struct ring *ring);  /* does the device want to hear of what was added? */
void ring_want_signal(struct ring *ring); /* interrupt at the next used buffer */
void ring_want_no_signal(struct ring *ring);
void ring_want_signal_at(struct ring *ring,
			 uint16_t ahead); /* event index: when ahead more entries after the next are used */

/* Raw words, for hostile tests. */
void ring_put_desc(struct ring *ring, uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
		   uint16_t next);
void ring_publish(struct ring *ring, uint16_t head); /* split: makes head available */

/* --- driver --- */

struct driver {
	struct board *board;
	unsigned slot;
	uint64_t common, isr, config, notify; /* guest addresses */
	uint32_t notify_multiplier, config_len;
	unsigned pci_cfg, msix_cap;
	uint64_t msix_table;
	uint64_t features;
	struct ring rings[8];
	unsigned n_rings;
	uint64_t heap; /* guest memory not handed out yet */
};

/* Finds the capabilities, turns memory decoding and bus mastering on. */
void driver_open(struct driver *driver, struct board *board, struct device *dev);
uint64_t driver_alloc(struct driver *driver, uint64_t size); /* page aligned */

uint8_t driver_status(struct driver *driver);
void driver_set_status(struct driver *driver, uint8_t status);
uint64_t driver_offered(struct driver *driver);
/* Reset, acknowledge, accept exactly these features; false when the device does not agree. */
bool driver_negotiate(struct driver *driver, uint64_t features);
/* Enables MSI-X: vector i sends data 0x40 + i. Without it the device uses INTx. */
void driver_enable_msix(struct driver *driver);
void driver_setup_queue(struct driver *driver, unsigned i, uint16_t size);
/* negotiate + MSI-X + n queues of size + DRIVER_OK */
void driver_start(struct driver *driver, uint64_t features, unsigned n_queues, uint16_t size);
void driver_kick(struct driver *driver, unsigned queue);
/* Adds, kicks when wanted. */
uint16_t driver_send(struct driver *driver, unsigned queue, const struct ring_buf *bufs, unsigned n, uint64_t table);
/* Runs the loop until the queue has a used buffer; returns its length. */
uint32_t driver_wait(struct driver *driver, unsigned queue, uint16_t *id);
/* Runs the loop until the device asks for a reset. */
void driver_wait_broken(struct driver *driver);

#define DRIVER_VECTOR_DATA(i) (0x40u + (i))

#endif
