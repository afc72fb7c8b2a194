/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_BLOCK_BLOCK_H
#define LODGE_VMM_BLOCK_BLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/base/cleanup.h"

/*
 * Block nodes: what a disk device talks to. Usable without a VM. Offsets and lengths are bytes; calls may block and
 * are made from an I/O thread. Every function returns 0 or a negative errno; ranges are checked against the node's
 * size by the node itself.
 */
struct block_node;

struct block_class {
	const char *name; /* "raw" */
	int (*readv)(struct block_node *node, uint64_t offset, const struct iovec *iov, int n);
	int (*writev)(struct block_node *node, uint64_t offset, const struct iovec *iov, int n);
	int (*flush)(struct block_node *node);
	int (*discard)(struct block_node *node, uint64_t offset, uint64_t len);
	int (*write_zeroes)(struct block_node *node, uint64_t offset, uint64_t len, bool may_unmap);
	void (*close)(struct block_node *node);
};

struct block_node {
	const struct block_class *class;
	uint64_t size;	     /* bytes */
	uint32_t block_size; /* logical, bytes */
	bool readonly;
	bool can_discard;
	char *name; /* for messages: the path */
};

/*
 * A file or block device as it is; its size must be whole blocks of 512 bytes. Takes an OFD lock: exclusive for
 * writing, shared for reading; "already in use" is LODGE_ERROR_STATE.
 */
struct block_node *block_open_raw(const char *path, bool readonly, GError **err);
void block_close(struct block_node *node);

/* For nodes: 0 when the range lies inside the node, or -EINVAL. */
int block_check_range(const struct block_node *node, uint64_t offset, uint64_t len);
int block_check_iov(const struct block_node *node, uint64_t offset, const struct iovec *iov, int n);

DEFINE_AUTOPTR(block_node, block_close)

#endif
