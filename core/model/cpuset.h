/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_CPUSET_H
#define LODGE_CORE_MODEL_CPUSET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Sets of small numbers (host CPUs, NUMA nodes) as libvirt writes them: "0-3,^2,8". An exclusion takes out what an
 * earlier part put in. Plain data.
 */
#define CPUSET_MAX 4096u

struct cpuset {
	uint64_t bits[CPUSET_MAX / 64];
};

/* LODGE_ERROR_INPUT: not such a list, a number of CPUSET_MAX or more, a range backwards, an empty result. */
bool cpuset_parse(struct cpuset *set, const char *text, GError **err);
char *cpuset_format(const struct cpuset *set); /* "0-1,3"; "" when empty; g_free() */

bool cpuset_has(const struct cpuset *set, unsigned n);
void cpuset_add(struct cpuset *set, unsigned n);
void cpuset_fill(struct cpuset *set, unsigned n); /* 0 to n - 1 */
bool cpuset_is_empty(const struct cpuset *set);
bool cpuset_is_subset(const struct cpuset *set, const struct cpuset *of);
/* "yy--": one character for each of the first n. */
char *cpuset_mask(const struct cpuset *set, unsigned n);

#endif
