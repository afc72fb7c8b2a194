/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_HOST_H
#define LODGE_CORE_HOST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/model/cpuset.h"

/*
 * Facts about this host, read from /proc and /sys below root (NULL: the real ones). What the kernel does not tell is filled in
 * with the plainest assumption: one socket, one NUMA cell, no large pages.
 */
struct host_cpu {
	unsigned id, cell;
	int socket, die, core;
	char *siblings; /* "0,4": threads of the same core */
};

struct host_pages {
	uint64_t size;	      /* KiB */
	uint64_t total, free; /* pages */
};

struct host_cell {
	unsigned id;
	uint64_t memory, free; /* KiB */
	GArray *pages;	       /* struct host_pages, smallest first */
	GArray *distances;     /* unsigned, to every cell in their order */
	struct cpuset cpus;
};

struct host_cache {
	unsigned id, level;
	const char *type; /* "both", "code", "data" */
	uint64_t size;	  /* KiB */
	char *cpus;
};

struct host {
	char *arch;	/* "x86_64" */
	char *cpu_name; /* "Intel(R) Xeon(R) ..." */
	char *vendor;	/* "GenuineIntel" */
	unsigned family, model, stepping, microcode, phys_bits;
	unsigned mhz;
	struct cpuset present, online;
	unsigned n_present, n_online;
	GPtrArray *cpus;		  /* struct host_cpu, online ones */
	GPtrArray *cells;		  /* struct host_cell */
	GPtrArray *caches;		  /* struct host_cache of level 3 */
	unsigned sockets, cores, threads; /* sockets per cell, cores per socket, threads per core */
	uint64_t memory;		  /* KiB */
	bool suspend_mem, suspend_disk, suspend_hybrid;
	bool iommu;
};

struct host *host_read(const char *root);
void host_free(struct host *host);
DEFINE_AUTOPTR(host, host_free)

/* The processors that are on line; returns how many the kernel counts (the highest number and one). */
unsigned host_online_cpus(const char *root, struct cpuset *online);

/* Nanoseconds since boot, of one processor or (-1) of all. user has nice in it, system interrupts. */
struct host_times {
	uint64_t user, system, idle, iowait;
};
bool host_times_read(const char *root, int cpu, struct host_times *times, GError **err);
/* Of processors 0 to n - 1 in one reading; zero for those off line. g_free(). */
struct host_times *host_times_each(const char *root, unsigned n);

/* KiB; cell -1: the host. buffers and cached are the host's only. LODGE_ERROR_INPUT: no such cell. */
struct host_memory {
	uint64_t total, free, available, buffers, cached;
};
bool host_memory_read(const char *root, int cell, struct host_memory *memory, GError **err);

/*
 * Sets, or adds to, the pool of large pages of a size (KiB), of one cell or (-1) of the host. Returns in *got how many of count there
 * are now (the kernel gives what it finds).
 */
bool host_pages_set(const char *root, int cell, uint64_t size, uint64_t count, bool add, uint64_t *got, GError **err);

/* Kernel same-page merging: rows of virsh's names and the values of /sys/kernel/mm/ksm. */
struct host_ksm {
	const char *name; /* "shm_pages_to_scan" */
	const char *file; /* "pages_to_scan" */
	bool settable;
};
extern const struct host_ksm host_ksm_rows[];
extern const size_t host_n_ksm_rows;
bool host_ksm_read(const char *root, size_t row, uint64_t *value, GError **err);
bool host_ksm_write(const char *root, size_t row, uint64_t value, GError **err);

/*
 * "mem", "disk" or "hybrid" for at least 60 seconds: a clock is set to wake the host, then it sleeps. Comes back when it woke, or refuses with
 * the reason.
 */
bool host_suspend(const char *root, const char *target, uint64_t seconds, GError **err);

/* <sysinfo type='smbios'> from /sys/class/dmi/id. LODGE_ERROR_UNSUPPORTED: the host says nothing. g_free(). */
char *host_sysinfo(const char *root, GError **err);

#endif
