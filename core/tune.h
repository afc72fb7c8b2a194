/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_TUNE_H
#define LODGE_CORE_TUNE_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/model/domain.h"
#include "core/model/stats-page.h"

/*
 * What the host's kernel is told about a VM's process: affinity of its threads, NUMA policy of its memory, limits by
 * control groups. From the definition (<vcpu cpuset>, <cputune>, <numatune>, <memtune>, <blkiotune>) at start, and
 * live.
 */

/* One number that a control group limits. */
struct tune_param {
	const char *name;  /* virsh's: "cpu_shares" */
	const char *path;  /* in the domain: "cputune/shares" */
	const char *group; /* the command that shows it: "schedinfo", "memtune", "blkiotune" */
	int64_t min, max;  /* allowed values; -1 and 0 mean "no limit" where unlimited is set */
	bool unlimited;
	const char *shown; /* when nothing is said: "1024" */
};
const struct tune_param *tune_param(size_t i); /* NULL after the last */
const struct tune_param *tune_find(const char *name);

/* LODGE_ERROR_INPUT with the range. */
bool tune_check(const struct tune_param *param, int64_t value, GError **err);
/* The value a definition asks for; KiB for memory. false: nothing is said. */
bool tune_get(const struct domain *domain, const struct tune_param *param, int64_t *value);
void tune_put(struct domain *domain, const struct tune_param *param, int64_t value);

/* <blkiotune><device>: one row a kind of limit; option and xml element share a name. */
struct tune_device_param {
	const char *name;    /* "device-weights", the option */
	const char *shown;   /* "device_weight" */
	const char *element; /* "weight" */
	const char *v1, *v2; /* files; v2's is "io.max" with key= before the value */
	const char *v2_key;
};
const struct tune_device_param *tune_device_param(size_t i);

/*
 * At start, in the warden. The plan holds all that a definition asks for ({} when nothing), so that it needs no XML.
 * Order: prepare; set_memory around the fork, for the child inherits the calling thread's policy (plan NULL: the
 * default again); enter while the VM process waits for its first message; threads when it is ready; remove when it is
 * gone. An error is one line that says what the host does not allow.
 */
json_t *tune_plan(const struct domain *domain, GError **err);
bool tune_prepare(const char *uuid, const json_t *plan, GError **err);
bool tune_set_memory(const json_t *plan, GError **err);
bool tune_enter(const char *uuid, const json_t *plan, pid_t pid, GError **err);
bool tune_threads(const char *uuid, const json_t *plan, pid_t pid, const struct stats_page *page, GError **err);
void tune_remove(const char *uuid);

/* Live: everything the changed live definition asks for is applied again. */
bool tune_live(const struct domain *domain, pid_t pid, const struct stats_page *page, GError **err);

#endif
