/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_SAMPLE_H
#define LODGE_CORE_SAMPLE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/domains.h"
#include "core/host.h"

/*
 * Counters of all domains at one moment, copied out, so that two samples can be compared: rates are made of the difference. A domain
 * is the same in both when name and id are; what started in between counts from zero.
 */
struct sample_vcpu {
	uint64_t run_ns;
	int cpu; /* host processor; -1 */
};

struct sample_disk {
	char name[33];
	uint64_t rd_req, rd_bytes, wr_req, wr_bytes;
};

struct sample_nic {
	char name[33];
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
};

struct sample_dom {
	char *name;
	int id; /* -1: shut off */
	int pid;
	enum domain_state state;
	uint64_t cpu_ns;
	uint64_t memory, rss; /* KiB */
	unsigned n_vcpus, n_disks, n_nics;
	struct sample_vcpu *vcpus;
	struct sample_disk *disks;
	struct sample_nic *nics;
	uint64_t *counters; /* n_counters of core/counters.h; NULL: shut off */
};

struct sample {
	int64_t when_us; /* monotonic */
	GPtrArray *doms; /* struct sample_dom */
	unsigned n_cpus;
	struct host_times *cpus; /* by processor number */
};

struct sample *sample_new(int64_t when_us);
struct sample *sample_take(const struct home *home, GError **err);
/* root: see core/proc.h. */
void sample_add(struct sample *sample, const struct dom *dom, const char *root);
void sample_free(struct sample *sample);
DEFINE_AUTOPTR(sample, sample_free)

/* The same domain in an earlier sample; NULL. before may be NULL. */
const struct sample_dom *sample_find(const struct sample *before, const struct sample_dom *now);

/* Growth of a counter; 0 when it went back. */
static inline uint64_t sample_grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* What a domain did between two samples; before may be NULL: nothing is known, all zero. */
struct sample_rates {
	uint64_t cpu_ns;
	double cpu_percent; /* of all processors of the host */
	uint64_t rd_req, rd_bytes, wr_req, wr_bytes, rx_bytes, rx_packets, tx_bytes, tx_packets;
};
void sample_compare(const struct sample *before, const struct sample *now, const struct sample_dom *dom,
		    unsigned host_cpus, struct sample_rates *rates);
void sample_compare_disk(const struct sample_dom *before, const struct sample_disk *disk,
			 struct sample_disk *difference);
void sample_compare_nic(const struct sample_dom *before, const struct sample_nic *nic, struct sample_nic *difference);

/* Share of its time that a host processor was busy between the samples, per cent. */
double sample_cpu_busy(const struct sample *before, const struct sample *now, unsigned cpu);

#endif
