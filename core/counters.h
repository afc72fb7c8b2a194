/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_COUNTERS_H
#define LODGE_CORE_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/model/stats-page.h"

/* What is counted for each vCPU, by the names people know from kvm_stat and from KVM's binary statistics. */
struct counter {
	const char *name;     /* "irq_window": kvm_stat */
	const char *stat_key; /* "irq_window_exits": domstats */
	size_t offset;	      /* into struct stats_vcpu; COUNTER_EXITS: the sum of exits */
	const char *help;
};

#define COUNTER_EXITS SIZE_MAX

extern const struct counter counters[];
extern const size_t n_counters;

uint64_t counter_read(const struct counter *counter, const struct stats_vcpu *vcpu);
uint64_t counter_sum(const struct counter *counter, const struct stats_page *page); /* over all vCPUs */

/*
 * kvm_stat's names for what happens inside the host kernel's KVM and is not ours to count; NULL-terminated.
 */
extern const char *const counters_of_kernel[];

#endif
