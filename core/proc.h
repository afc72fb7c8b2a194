/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_PROC_H
#define LODGE_CORE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/model/cpuset.h"

/*
 * What the kernel says about a process and its threads (proc(5)). root stands before every path: NULL is the real one,
 * tests bring their own. Nothing here fails loudly: a process may end at any moment.
 */
struct proc_stat {
	char state; /* 'R', 'S', ... */
	uint64_t user_ns, system_ns;
	uint64_t start;	  /* field 22: clock ticks after boot; with the pid it names one process */
	uint64_t rss_kib; /* of the whole process */
	int cpu;	  /* host processor it ran on last */
};

/* tid 0: the process, all threads together. */
bool proc_read_stat(const char *root, int pid, int tid, struct proc_stat *stat);

/* Time on a processor, and time runnable but waiting for one; of one thread. */
bool proc_read_sched(const char *root, int pid, int tid, uint64_t *run_ns, uint64_t *wait_ns);

/* CPU time of all threads, more precise than the ticks of proc_stat; only of the real root's processes. */
bool proc_cpu_time(int pid, uint64_t *ns);

/* Reads a file below root whole into buf, NUL-terminated; -1: not there, or empty. */
ssize_t proc_read_file(const char *root, char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "0-3,8" as the kernel writes it, with its newline. */
bool proc_parse_cpus(struct cpuset *set, const char *text);
/* The processors a thread may run on. */
bool proc_read_affinity(const char *root, int pid, int tid, struct cpuset *set);

#endif
