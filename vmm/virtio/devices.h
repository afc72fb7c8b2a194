/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_VIRTIO_DEVICES_H
#define LODGE_VMM_VIRTIO_DEVICES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct device;
struct chardev;
struct block_node;

/* Each creates the device, adds it to vm->pci and to the VM. Modern-only (virtio 1.x) over PCI with MSI-X. */

/* node: owned from now on. serial: at most 20 bytes or NULL. n_queues 1..vCPUs. */
struct device *virtio_blk_new(struct vm *vm, struct block_node *node_consume, const char *serial, unsigned n_queues,
			      const char *id, GError **err);

/* chardev: not owned, must live until the device has been destroyed. One port (hvc0), console size reported. */
struct device *virtio_console_new(struct vm *vm, struct chardev *chardev, const char *id, GError **err);

/* The terminal has this size: when it is another than before, the guest is told. Any thread. */
void virtio_console_resize(struct device *dev, uint16_t cols, uint16_t rows);

/* bytes_per_period over period_ms limits the guest; 0 = unlimited. */
struct device *virtio_rng_new(struct vm *vm, unsigned bytes_per_period, unsigned period_ms, const char *id,
			      GError **err);

#endif
