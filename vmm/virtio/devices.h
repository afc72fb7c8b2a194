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
struct stats_disk;
struct stats_balloon;

/* Each creates the device, adds it to vm->pci and to the VM. Modern-only (virtio 1.x) over PCI with MSI-X. */

/* node: owned from now on. serial: at most 20 bytes or NULL. n_queues 1..vCPUs. */
struct device *virtio_blk_new(struct vm *vm, struct block_node *node_consume, const char *serial, unsigned n_queues,
			      const char *id, GError **err);

/* Counts there from now on: before the VM starts. stats: not owned. */
void virtio_blk_use_stats(struct device *dev, struct stats_disk *stats);

/*
 * The memory balloon: target bytes are left to the guest, the rest is asked for and goes back to the host page by page. What the guest's driver says
 * about its memory is in vm->stats->balloon.
 */
struct device *virtio_balloon_new(struct vm *vm, uint64_t target, const char *id, GError **err);
/* Loop thread. False: no driver listens. The guest takes its time; VM_EVENT_BALLOON tells of each change. */
bool virtio_balloon_set_target(struct device *dev, uint64_t target);
uint64_t virtio_balloon_actual(struct device *dev); /* bytes left to the guest now; any thread */
/* The guest is asked for its statistics every so many seconds; 0: only once, now. Loop thread. */
void virtio_balloon_poll_stats(struct device *dev, unsigned seconds);

/* chardev: not owned, must live until the device has been destroyed. One port (hvc0), console size reported. */
struct device *virtio_console_new(struct vm *vm, struct chardev *chardev, const char *id, GError **err);

/* The terminal has this size: when it is another than before, the guest is told. Any thread. */
void virtio_console_resize(struct device *dev, uint16_t cols, uint16_t rows);

/*
 * The console device with several ports (VIRTIO_CONSOLE_F_MULTIPORT): consoles are hvcN in the guest, in the order of
 * their numbers; channels are /dev/vportXpN and, by name, /dev/virtio-ports/NAME. max_ports: 1 to
 * VIRTIO_SERIAL_MAX_PORTS, numbers are below it.
 */
#define VIRTIO_SERIAL_MAX_PORTS 15u
#define VIRTIO_SERIAL_MAX_NAME 127u /* bytes */
struct device *virtio_serial_new(struct vm *vm, unsigned max_ports, const char *id, GError **err);

/*
 * Before the VM starts. chardev: not owned, must live until the device has been destroyed; what the guest writes while
 * nobody is connected to a channel's chardev the chardev keeps. Number 0 is for a console. name: a channel's, may be
 * NULL.
 */
bool virtio_serial_add_port(struct device *dev, struct chardev *chardev, unsigned number, const char *name,
			    bool is_console, GError **err);

/* Tells the guest the size of a console's terminal. Any thread. */
void virtio_serial_resize(struct device *dev, unsigned number, uint16_t cols, uint16_t rows);

/* Whether a program in the guest has the port open. Any thread. */
bool virtio_serial_is_open(struct device *dev, unsigned number);

/* Called on the loop thread, without the device lock, when a program in the guest has opened or closed a port. */
void virtio_serial_set_notify(struct device *dev, void (*changed)(void *opaque, unsigned number, bool open),
			      void *opaque);

/* bytes_per_period over period_ms limits the guest; 0 = unlimited. */
struct device *virtio_rng_new(struct vm *vm, unsigned bytes_per_period, unsigned period_ms, const char *id,
			      GError **err);

#endif
