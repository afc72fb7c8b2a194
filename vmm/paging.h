/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_PAGING_H
#define LODGE_VMM_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/vm.h"

/*
 * Guest memory by virtual address as a vCPU would see it, for people who look at a guest: page tables are only read (no
 * accessed bits), rights are not checked. Loop thread.
 */
bool paging_translate(const struct memory *mem, const struct x86_cpu_state *cpu, uint64_t linear, uint64_t *gpa);

/* cpu NULL: addr is physical. False: part of it is not there. */
bool paging_read(const struct memory *mem, const struct x86_cpu_state *cpu, uint64_t addr, void *buf, size_t len);

/* A vCPU's state, with all of them parked for that moment. False: there is no such vCPU. */
bool paging_cpu_state(struct vm *vm, uint64_t index, struct x86_cpu_state *state);

#endif
