/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_STATS_H
#define LODGE_CORE_STATS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/domains.h"
#include "core/proc.h"

/*
 * The statistics of a domain, from three sources that cost little each: the page its VM process keeps mapped, /proc of that
 * process, and the definition. No message is sent and nothing waits for the VM.
 *
 * A page is another process's memory: numbers in it are taken as they are, lengths and texts never without a limit.
 */
enum {
	DOM_STATS_CPU = 1 << 0,	       /* CPU time and resident memory of the process */
	DOM_STATS_VCPUS = 1 << 1,      /* times of each vCPU */
	DOM_STATS_DEFINITION = 1 << 2, /* maxima, disks' paths: the definition is read */
	DOM_STATS_IMAGES = 1 << 3,     /* sizes of the disks' images; with DEFINITION */
	DOM_STATS_ALL = (1 << 4) - 1,
};

enum { DOM_VCPU_OFFLINE, DOM_VCPU_RUNNING, DOM_VCPU_BLOCKED }; /* libvirt's numbers */

struct dom_vcpu {
	unsigned state;
	bool halted;
	int tid;
	bool timed; /* the rest is known */
	uint64_t run_ns, wait_ns;
	int cpu; /* host processor */
	const struct stats_vcpu *counters;
};

struct dom_disk {
	char *target;
	char *path; /* NULL: none, or not a file */
	char *format;
	const struct stats_disk *counters; /* NULL: shut off */
	bool sized;
	uint64_t capacity, allocation, physical; /* bytes */
};

struct dom_stats {
	const struct dom *dom;
	const struct stats_page *page; /* dom's; NULL: shut off */
	bool idle;		       /* running, and every vCPU waits in HLT */
	char uuid[37];		       /* "" when neither page nor definition was there */
	uint64_t memory, max_memory;   /* KiB */
	unsigned vcpus, max_vcpus;
	bool timed; /* the process was there: */
	uint64_t cpu_ns, user_ns, system_ns, rss;
	struct dom_vcpu *vcpu; /* vcpus of them while active */
	GPtrArray *disks;      /* struct dom_disk, in the definition's order */
	unsigned n_nics;       /* in the page */
};

/*
 * dom must outlive the result. definition may be NULL: then the page alone tells. root: see core/proc.h. Never fails: what is
 * not known is 0 or absent.
 */
struct dom_stats *dom_stats_new(const struct dom *dom, const struct domain *definition, unsigned want,
				const char *root);
/* Reads the definition (live or stored) when want needs it; a definition that cannot be read is left out. */
struct dom_stats *dom_stats_read(const struct home *home, const struct dom *dom, unsigned want);
void dom_stats_free(struct dom_stats *stats);
DEFINE_AUTOPTR(dom_stats, dom_stats_free)

/* By target ("vda") or by the path of its image; NULL: none. */
const struct dom_disk *dom_stats_disk(const struct dom_stats *stats, const char *name);

/* As virDomainState counts, with BLOCKED for an idle domain. */
enum domain_state dom_stats_state(const struct dom_stats *stats);

/*
 * domstats' keys and values, in its order. number and text get a key that is only valid during the call.
 */
enum {
	STATS_GROUP_STATE = 1 << 0,
	STATS_GROUP_CPU_TOTAL = 1 << 1,
	STATS_GROUP_BALLOON = 1 << 2,
	STATS_GROUP_VCPU = 1 << 3,
	STATS_GROUP_INTERFACE = 1 << 4,
	STATS_GROUP_BLOCK = 1 << 5,
	STATS_GROUP_PERF = 1 << 6,
	STATS_GROUP_IOTHREAD = 1 << 7,
	STATS_GROUP_MEMORY = 1 << 8,
	STATS_GROUP_DIRTYRATE = 1 << 9,
	STATS_GROUP_VM = 1 << 10,
	STATS_GROUPS_ALL = (1 << 11) - 1,
	/* Lodge gathers nothing for these yet. */
	STATS_GROUPS_NONE = STATS_GROUP_PERF | STATS_GROUP_IOTHREAD | STATS_GROUP_MEMORY | STATS_GROUP_DIRTYRATE,
};

struct stats_sink {
	void (*number)(void *opaque, const char *key, uint64_t value);
	void (*text)(void *opaque, const char *key, const char *value);
	void *opaque;
};

void dom_stats_report(const struct dom_stats *stats, unsigned groups, bool backing, const struct stats_sink *sink);
unsigned dom_stats_want(unsigned groups); /* what dom_stats_read() has to gather for these groups */

#endif
