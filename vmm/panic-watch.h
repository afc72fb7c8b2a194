/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_PANIC_WATCH_H
#define LODGE_VMM_PANIC_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"

/*
 * Tells a Linux guest that has panicked and waits for ever from one that is idle, where no pvpanic driver says so:
 * the VM is then stopped with VM_STOP_PANIC and the kernel's own words.
 */
struct vm;
struct panic_watch;

struct panic_watch *panic_watch_new(struct vm *vm);
void panic_watch_free(struct panic_watch *watch);
DEFINE_AUTOPTR(panic_watch, panic_watch_free)

/* Console output as the guest writes it; any thread. The shape of a chardev's tap. */
void panic_watch_output(void *watch, const uint8_t *data, size_t len);

/* The machine starts anew. Loop thread. */
void panic_watch_reset(struct panic_watch *watch);

/* What the kernel said when the last thing it did was to panic, or NULL. Loop thread; valid until the next reset. */
const char *panic_watch_text(struct panic_watch *watch);

#endif
