/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/block/block.h"

#include <errno.h>

int block_check_range(const struct block_node *node, uint64_t offset, uint64_t len)
{
	return offset <= node->size && len <= node->size - offset ? 0 : -EINVAL;
}

int block_check_iov(const struct block_node *node, uint64_t offset, const struct iovec *iov, int n)
{
	uint64_t left;

	if (offset > node->size)
		return -EINVAL;
	left = node->size - offset;
	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len > left)
			return -EINVAL;
		left -= iov[i].iov_len;
	}
	return 0;
}

void block_close(struct block_node *node)
{
	if (node)
		node->class->close(node);
}
