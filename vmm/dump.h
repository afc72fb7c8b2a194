/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_DUMP_H
#define LODGE_VMM_DUMP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"

/*
 * A guest's memory and registers as an ELF core file that crash, gdb and readelf understand: a PT_NOTE with one
 * NT_PRSTATUS per vCPU, and one PT_LOAD per range of RAM. Written by a thread of its own while the guest stands still;
 * pages the guest has never touched become holes where the output has such.
 */
struct vm;
struct dump;

enum dump_state { DUMP_ACTIVE, DUMP_COMPLETED, DUMP_FAILED };

/*
 * Loop thread. The guest is paused until the dump is done, then goes on if it ran. [begin, begin + length): only this
 * part of guest physical memory; length 0: all. done (may be NULL) is called on the loop thread, with an error that it
 * must copy or NULL.
 */
struct dump *dump_start(struct vm *vm, int fd_consume, uint64_t begin, uint64_t length,
			void (*done)(void *opaque, const GError *error), void *opaque, GError **err);
void dump_free(struct dump *dump); /* waits for the thread, which gives up */
DEFINE_AUTOPTR(dump, dump_free)

bool dump_is_active(const struct dump *dump);
/* Bytes of guest memory done and to do. */
enum dump_state dump_progress(const struct dump *dump, uint64_t *completed, uint64_t *total);

#endif
