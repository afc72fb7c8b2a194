/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_STATS_PAGE_H
#define LODGE_CORE_MODEL_STATS_PAGE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The page of facts and counters every VM process keeps mapped from a file in its run directory; front ends map it
 * read-only and ask nobody. It stays behind when the process is killed, so it also tells the last known state and
 * reason.
 *
 * struct stats_state is written as a whole under the sequence lock: seq is odd while it changes (a writer that was
 * killed in between leaves it odd: readers give up after some tries and take it as it is). Everything else is a counter
 * of its own, aligned, written with one relaxed add by one thread, read relaxed. Times are nanoseconds, sizes bytes.
 * Counters only grow during one life of the process. Fields are only ever appended within a version.
 */
#define STATS_PAGE_MAGIC UINT64_C(0x31746174736c646c)
#define STATS_PAGE_VERSION 1u
#define STATS_MAX_VCPUS 64u
#define STATS_MAX_DISKS 32u
#define STATS_MAX_NICS 16u
#define STATS_MAX_PORTS 16u
#define STATS_LATENCY_BUCKETS 16u /* bucket i: below 2^i * 16 us; the last: everything else */

enum stats_exit {
	STATS_EXIT_PIO,
	STATS_EXIT_MMIO,
	STATS_EXIT_HALT,
	STATS_EXIT_IRQ_WINDOW,
	STATS_EXIT_KICK,
	STATS_EXIT_MSR,
	STATS_EXIT_CPUID,
	STATS_EXIT_OTHER,
	STATS_N_EXITS
};

struct stats_vcpu {
	uint32_t tid;	 /* host thread: run, system and wait time are in /proc/PID/task/TID */
	uint32_t halted; /* 1 while it waits in HLT */
	uint64_t exits[STATS_N_EXITS];
	uint64_t halt_ns; /* time spent waiting in HLT */
	uint64_t interrupts, nmis;
	uint64_t instructions, tlb_misses, tlb_flushes, blocks_decoded, code_flushes;
	uint64_t reserved[8];
};

enum stats_op { STATS_READ, STATS_WRITE, STATS_FLUSH, STATS_DISCARD, STATS_N_OPS };

struct stats_disk {
	char name[32]; /* target dev, "vda" */
	struct {
		uint64_t requests, bytes, errors, time_ns;
		uint64_t latency[STATS_LATENCY_BUCKETS];
	} op[STATS_N_OPS];
	uint64_t capacity, reserved[7];
};

struct stats_nic {
	char name[32];					    /* host side name, or "net0" */
	uint64_t rx_bytes, rx_packets, rx_errors, rx_drops; /* as the guest sees them: rx is towards the guest */
	uint64_t tx_bytes, tx_packets, tx_errors, tx_drops;
	uint64_t reserved[8];
};

struct stats_port {
	char name[32]; /* alias: "serial0" */
	uint64_t out_bytes, in_bytes, lost_bytes, writers, viewers;
	uint64_t reserved[3];
};

/* What the balloon driver reports, KiB; UINT64_MAX: not reported. */
struct stats_balloon {
	uint64_t actual, swap_in, swap_out, major_fault, minor_fault, unused, available, usable, disk_caches,
		hugetlb_pgalloc, hugetlb_pgfail, last_update; /* last_update: UNIX seconds */
};

struct stats_state {
	uint32_t state, reason; /* core/model/lifecycle.h */
	int64_t since_us;	/* UNIX time of the last change of state */
	uint64_t resets;
	char text[512]; /* more about the reason: what the guest's kernel said when it panicked */
};

/* The last bytes the guest said on its first serial port or console: what is shown when it has crashed. One writer. */
#define STATS_TAIL_SIZE 4096u

struct stats_tail {
	uint64_t head; /* bytes written since the start; the latest is data[(head - 1) % STATS_TAIL_SIZE] */
	char data[STATS_TAIL_SIZE];
};

struct stats_page {
	uint64_t magic;
	uint32_t version, size;
	uint32_t seq, id;
	int32_t pid, warden_pid;
	uint64_t pid_start; /* field 22 of /proc/PID/stat, tells a reused pid */
	int64_t started_us; /* UNIX time */
	char uuid[40];
	char accel[16];	     /* "kvm", "soft" */
	uint64_t max_memory; /* bytes */
	uint32_t n_vcpus, n_disks, n_nics, n_ports;
	struct stats_state state;
	struct stats_balloon balloon;
	uint64_t reserved[32];
	struct stats_vcpu vcpu[STATS_MAX_VCPUS];
	struct stats_disk disk[STATS_MAX_DISKS];
	struct stats_nic nic[STATS_MAX_NICS];
	struct stats_port port[STATS_MAX_PORTS];
	struct stats_tail tail;
};

static inline void stats_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED); /* one writer */
}

static inline uint64_t stats_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Appends guest output. One thread at a time; cheap enough for every write of a guest. */
void stats_tail_write(struct stats_page *page, const void *data, size_t len);
/*
 * The last lines in it, at most max, without control characters and escape sequences; char *, free with
 * g_ptr_array_unref(). Reader: while it is written to, the oldest line may be mixed up.
 */
GPtrArray *stats_tail_lines(const struct stats_page *page, unsigned max);

/* Writer: any thread, serialised by the caller. */
void stats_page_init(struct stats_page *page);
void stats_page_set_state(struct stats_page *page, unsigned state, unsigned reason, const char *text);

/* Reader: false when it is not a page of ours. A consistent copy of the state. */
bool stats_page_valid(const void *data, size_t size);
void stats_page_get_state(const struct stats_page *page, struct stats_state *state);

#endif
