/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "core/counters.h"

#define NS_PER_S UINT64_C(1000000000)
#define PREFIX "lodge_domain_"

enum unit { PLAIN, NS, KIB };

/* --- samples --- */

static void put_value(GString *out, uint64_t value, enum unit unit)
{
	switch (unit) {
	case NS:
		g_string_append_printf(out, " %" PRIu64 ".%09" PRIu64 "\n", value / NS_PER_S, value % NS_PER_S);
		break;
	case KIB:
		g_string_append_printf(out, " %" PRIu64 "\n", value * 1024);
		break;
	case PLAIN:
		g_string_append_printf(out, " %" PRIu64 "\n", value);
		break;
	}
}

/* A label's value: backslash, quote and newline are escaped, and it has to be UTF-8. */
static void put_label(GString *out, const char *name, const char *value, size_t max)
{
	g_autofree char *bounded = g_strndup(value, strnlen(value, max));
	g_autofree char *valid = g_utf8_make_valid(bounded, -1);

	g_string_append_printf(out, "%s=\"", name);
	for (const char *at = valid; *at; at++) {
		if (*at == '\\' || *at == '"')
			g_string_append_c(out, '\\');
		if (*at == '\n')
			g_string_append(out, "\\n");
		else
			g_string_append_c(out, *at);
	}
	g_string_append_c(out, '"');
}

static void put_name(GString *out, const char *metric, const struct dom_stats *stats)
{
	g_string_append_printf(out, PREFIX "%s{", metric);
	put_label(out, "domain", stats->dom->name, SIZE_MAX);
}

static void put_head(GString *out, const char *prefix, const char *name, const char *type, const char *help)
{
	g_string_append_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name, help, prefix, name, type);
}

static uint64_t at(const void *base, size_t offset)
{
	return stats_get((const uint64_t *)(const void *)((const char *)base + offset));
}

/* --- domains --- */

static void put_domain_facts(GString *out, const GPtrArray *doms)
{
	put_head(out, PREFIX, "info", "gauge", "The domain's identity; always 1");
	for (unsigned i = 0; i < doms->len; i++) {
		const struct dom_stats *stats = doms->pdata[i];

		put_name(out, "info", stats);
		g_string_append_c(out, ',');
		put_label(out, "uuid", stats->uuid, sizeof(stats->uuid));
		g_string_append_c(out, ',');
		put_label(out, "accel", stats->page ? stats->page->accel : "", sizeof(stats->page->accel));
		g_string_append(out, "} 1\n");
	}
	put_head(out, PREFIX, "state", "gauge",
		 "State: 1 running, 2 idle, 3 paused, 4 in shutdown, 5 shut off, 6 crashed, 7 suspended");
	for (unsigned i = 0; i < doms->len; i++) {
		put_name(out, "state", doms->pdata[i]);
		g_string_append_printf(out, "} %u\n", (unsigned)dom_stats_state(doms->pdata[i]));
	}
	put_head(out, PREFIX, "up", "gauge", "1 when the domain has a VM process");
	for (unsigned i = 0; i < doms->len; i++) {
		const struct dom_stats *stats = doms->pdata[i];

		put_name(out, "up", stats);
		g_string_append_printf(out, "} %d\n", stats->page != NULL);
	}
}

static const struct {
	const char *name, *type, *help;
	size_t offset;
	enum unit unit;
	enum { ALWAYS, WHEN_TIMED } when;
} domain_rows[] = {
	{ "cpu_seconds_total", "counter", "Host CPU time of the whole VM", offsetof(struct dom_stats, cpu_ns), NS,
	  WHEN_TIMED },
	{ "cpu_user_seconds_total", "counter", "Its part in user mode", offsetof(struct dom_stats, user_ns), NS,
	  WHEN_TIMED },
	{ "cpu_system_seconds_total", "counter", "Its part in the host kernel", offsetof(struct dom_stats, system_ns),
	  NS, WHEN_TIMED },
	{ "memory_resident_bytes", "gauge", "Resident memory of the VM process", offsetof(struct dom_stats, rss), KIB,
	  WHEN_TIMED },
	{ "memory_bytes", "gauge", "Memory the guest has now", offsetof(struct dom_stats, memory), KIB, ALWAYS },
	{ "memory_max_bytes", "gauge", "Memory the guest may have", offsetof(struct dom_stats, max_memory), KIB,
	  ALWAYS },
};

static void put_domain_rows(GString *out, const GPtrArray *doms)
{
	for (size_t r = 0; r < G_N_ELEMENTS(domain_rows); r++) {
		put_head(out, PREFIX, domain_rows[r].name, domain_rows[r].type, domain_rows[r].help);
		for (unsigned i = 0; i < doms->len; i++) {
			const struct dom_stats *stats = doms->pdata[i];

			if (domain_rows[r].when == WHEN_TIMED && !stats->timed)
				continue;
			put_name(out, domain_rows[r].name, stats);
			g_string_append_c(out, '}');
			put_value(out, at(stats, domain_rows[r].offset), domain_rows[r].unit);
		}
	}
	put_head(out, PREFIX, "vcpus", "gauge", "Virtual CPUs the guest has now");
	for (unsigned i = 0; i < doms->len; i++) {
		const struct dom_stats *stats = doms->pdata[i];

		put_name(out, "vcpus", stats);
		g_string_append_printf(out, "} %u\n", stats->vcpus);
	}
}

/* --- virtual CPUs --- */

static void put_vcpu_name(GString *out, const char *metric, const struct dom_stats *stats, unsigned vcpu)
{
	put_name(out, metric, stats);
	g_string_append_printf(out, ",vcpu=\"%u\"", vcpu);
}

static void put_vcpu_times(GString *out, const GPtrArray *doms)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} rows[] = {
		{ "vcpu_seconds_total", "Time on a host CPU", offsetof(struct dom_vcpu, run_ns) },
		{ "vcpu_wait_seconds_total", "Time runnable but waiting for a host CPU",
		  offsetof(struct dom_vcpu, wait_ns) },
	};

	for (size_t r = 0; r < G_N_ELEMENTS(rows); r++) {
		put_head(out, PREFIX, rows[r].name, "counter", rows[r].help);
		for (unsigned i = 0; i < doms->len; i++) {
			const struct dom_stats *stats = doms->pdata[i];

			for (unsigned v = 0; stats->page && v < stats->vcpus; v++) {
				if (!stats->vcpu[v].timed)
					continue;
				put_vcpu_name(out, rows[r].name, stats, v);
				g_string_append_c(out, '}');
				put_value(out, at(&stats->vcpu[v], rows[r].offset), NS);
			}
		}
	}
}

static const char *const exit_names[] = {
	[STATS_EXIT_PIO] = "io",      [STATS_EXIT_MMIO] = "mmio",
	[STATS_EXIT_HALT] = "halt",   [STATS_EXIT_IRQ_WINDOW] = "irq_window",
	[STATS_EXIT_KICK] = "kick",   [STATS_EXIT_MSR] = "msr",
	[STATS_EXIT_CPUID] = "cpuid", [STATS_EXIT_OTHER] = "other",
};
G_STATIC_ASSERT(G_N_ELEMENTS(exit_names) == STATS_N_EXITS);

static void put_exits(GString *out, const GPtrArray *doms)
{
	put_head(out, PREFIX, "vcpu_exits_total", "counter", "Returns from guest code by reason");
	for (unsigned i = 0; i < doms->len; i++) {
		const struct dom_stats *stats = doms->pdata[i];

		for (unsigned v = 0; stats->page && v < stats->vcpus; v++)
			for (unsigned e = 0; e < STATS_N_EXITS; e++) {
				put_vcpu_name(out, "vcpu_exits_total", stats, v);
				g_string_append_printf(out, ",reason=\"%s\"}", exit_names[e]);
				put_value(out, stats_get(&stats->vcpu[v].counters->exits[e]), PLAIN);
			}
	}
}

static void put_vcpu_counters(GString *out, const GPtrArray *doms)
{
	static const struct {
		const char *name, *help;
		size_t offset;
		enum unit unit;
	} rows[] = {
		{ "vcpu_halt_seconds_total", "Time waiting in HLT", offsetof(struct stats_vcpu, halt_ns), NS },
		{ "vcpu_interrupts_total", "Interrupts given to the guest", offsetof(struct stats_vcpu, interrupts),
		  PLAIN },
		{ "vcpu_nmis_total", "NMIs given to the guest", offsetof(struct stats_vcpu, nmis), PLAIN },
		{ "vcpu_instructions_total", "Guest instructions run by the software CPU",
		  offsetof(struct stats_vcpu, instructions), PLAIN },
		{ "vcpu_tlb_misses_total", "Page walks of the software CPU", offsetof(struct stats_vcpu, tlb_misses),
		  PLAIN },
		{ "vcpu_tlb_flushes_total", "TLB flushes of the software CPU", offsetof(struct stats_vcpu, tlb_flushes),
		  PLAIN },
		{ "vcpu_blocks_decoded_total", "Blocks of guest code decoded",
		  offsetof(struct stats_vcpu, blocks_decoded), PLAIN },
		{ "vcpu_code_flushes_total", "Decoded code thrown away", offsetof(struct stats_vcpu, code_flushes),
		  PLAIN },
	};

	for (size_t r = 0; r < G_N_ELEMENTS(rows); r++) {
		put_head(out, PREFIX, rows[r].name, "counter", rows[r].help);
		for (unsigned i = 0; i < doms->len; i++) {
			const struct dom_stats *stats = doms->pdata[i];

			for (unsigned v = 0; stats->page && v < stats->vcpus; v++) {
				put_vcpu_name(out, rows[r].name, stats, v);
				g_string_append_c(out, '}');
				put_value(out, at(stats->vcpu[v].counters, rows[r].offset), rows[r].unit);
			}
		}
	}
}

/* --- disks --- */

static const char *const op_names[] = {
	[STATS_READ] = "read",
	[STATS_WRITE] = "write",
	[STATS_FLUSH] = "flush",
	[STATS_DISCARD] = "discard",
};
G_STATIC_ASSERT(G_N_ELEMENTS(op_names) == STATS_N_OPS);

static void put_disk_name(GString *out, const char *metric, const struct dom_stats *stats, const struct dom_disk *disk,
			  unsigned op)
{
	put_name(out, metric, stats);
	g_string_append_c(out, ',');
	put_label(out, "device", disk->target, SIZE_MAX);
	g_string_append_printf(out, ",op=\"%s\"", op_names[op]);
}

/* A row for each operation of each disk, by a function that prints its samples. */
static void each_op(GString *out, const GPtrArray *doms,
		    void (*put)(GString *out, const struct dom_stats *stats, const struct dom_disk *disk, unsigned op,
				const void *row),
		    const void *row)
{
	for (unsigned i = 0; i < doms->len; i++) {
		const struct dom_stats *stats = doms->pdata[i];

		for (unsigned d = 0; d < stats->disks->len; d++) {
			const struct dom_disk *disk = stats->disks->pdata[d];

			for (unsigned op = 0; disk->counters && op < STATS_N_OPS; op++)
				put(out, stats, disk, op, row);
		}
	}
}

struct op_row {
	const char *name, *help;
	size_t offset; /* into stats_disk, of operation 0 */
};

static void put_op(GString *out, const struct dom_stats *stats, const struct dom_disk *disk, unsigned op,
		   const void *data)
{
	const struct op_row *row = data;

	put_disk_name(out, row->name, stats, disk, op);
	g_string_append_c(out, '}');
	put_value(out, at(disk->counters, row->offset + op * sizeof(disk->counters->op[0])), PLAIN);
}

/* Buckets are cumulative; the limit of bucket i is 16 us times 2^i, the last has none. */
static void put_latency(GString *out, const struct dom_stats *stats, const struct dom_disk *disk, unsigned op,
			const void *row G_GNUC_UNUSED)
{
	uint64_t sum = 0;

	for (unsigned b = 0; b < STATS_LATENCY_BUCKETS; b++) {
		uint64_t limit_us = UINT64_C(16) << b;

		sum += stats_get(&disk->counters->op[op].latency[b]);
		put_disk_name(out, "block_latency_seconds_bucket", stats, disk, op);
		if (b + 1 < STATS_LATENCY_BUCKETS)
			g_string_append_printf(out, ",le=\"%" PRIu64 ".%06" PRIu64 "\"}", limit_us / 1000000,
					       limit_us % 1000000);
		else
			g_string_append(out, ",le=\"+Inf\"}");
		put_value(out, sum, PLAIN);
	}
	put_disk_name(out, "block_latency_seconds_sum", stats, disk, op);
	g_string_append_c(out, '}');
	put_value(out, stats_get(&disk->counters->op[op].time_ns), NS);
	put_disk_name(out, "block_latency_seconds_count", stats, disk, op);
	g_string_append_c(out, '}');
	put_value(out, sum, PLAIN);
}

static void put_disks(GString *out, const GPtrArray *doms)
{
	static const struct op_row rows[] = {
		{ "block_requests_total", "Completed disk requests", offsetof(struct stats_disk, op[0].requests) },
		{ "block_bytes_total", "Bytes of disk requests", offsetof(struct stats_disk, op[0].bytes) },
		{ "block_errors_total", "Failed disk requests", offsetof(struct stats_disk, op[0].errors) },
	};

	for (size_t r = 0; r < G_N_ELEMENTS(rows); r++) {
		put_head(out, PREFIX, rows[r].name, "counter", rows[r].help);
		each_op(out, doms, put_op, &rows[r]);
	}
	put_head(out, PREFIX, "block_latency_seconds", "histogram", "How long disk requests took");
	each_op(out, doms, put_latency, NULL);
	put_head(out, PREFIX, "block_capacity_bytes", "gauge", "Size of the disk as the guest sees it");
	for (unsigned i = 0; i < doms->len; i++) {
		const struct dom_stats *stats = doms->pdata[i];

		for (unsigned d = 0; d < stats->disks->len; d++) {
			const struct dom_disk *disk = stats->disks->pdata[d];

			put_name(out, "block_capacity_bytes", stats);
			g_string_append_c(out, ',');
			put_label(out, "device", disk->target, SIZE_MAX);
			g_string_append_c(out, '}');
			put_value(out, disk->capacity, PLAIN);
		}
	}
}

/* --- interfaces, host --- */

static void put_nics(GString *out, const GPtrArray *doms)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} rows[] = {
		{ "net_receive_bytes_total", "Bytes towards the guest", offsetof(struct stats_nic, rx_bytes) },
		{ "net_receive_packets_total", "Packets towards the guest", offsetof(struct stats_nic, rx_packets) },
		{ "net_receive_errors_total", "Errors towards the guest", offsetof(struct stats_nic, rx_errors) },
		{ "net_receive_drops_total", "Packets the guest did not take", offsetof(struct stats_nic, rx_drops) },
		{ "net_transmit_bytes_total", "Bytes from the guest", offsetof(struct stats_nic, tx_bytes) },
		{ "net_transmit_packets_total", "Packets from the guest", offsetof(struct stats_nic, tx_packets) },
		{ "net_transmit_errors_total", "Errors from the guest", offsetof(struct stats_nic, tx_errors) },
		{ "net_transmit_drops_total", "Packets of the guest nobody took",
		  offsetof(struct stats_nic, tx_drops) },
	};

	for (size_t r = 0; r < G_N_ELEMENTS(rows); r++) {
		put_head(out, PREFIX, rows[r].name, "counter", rows[r].help);
		for (unsigned i = 0; i < doms->len; i++) {
			const struct dom_stats *stats = doms->pdata[i];

			for (unsigned n = 0; n < stats->n_nics; n++) {
				const struct stats_nic *nic = &stats->page->nic[n];

				put_name(out, rows[r].name, stats);
				g_string_append_c(out, ',');
				put_label(out, "interface", nic->name, sizeof(nic->name));
				g_string_append_c(out, '}');
				put_value(out, at(nic, rows[r].offset), PLAIN);
			}
		}
	}
}

static void put_host(GString *out, const struct host *host)
{
	uint64_t free_kib = 0;

	for (unsigned i = 0; i < host->cells->len; i++)
		free_kib += ((const struct host_cell *)host->cells->pdata[i])->free;
	put_head(out, "lodge_host_", "cpus", "gauge", "Host processors on line");
	g_string_append_printf(out, "lodge_host_cpus %u\n", host->n_online);
	put_head(out, "lodge_host_", "memory_bytes", "gauge", "Memory of the host");
	g_string_append_printf(out, "lodge_host_memory_bytes %" PRIu64 "\n", host->memory * 1024);
	put_head(out, "lodge_host_", "memory_free_bytes", "gauge", "Unused memory of the host");
	g_string_append_printf(out, "lodge_host_memory_free_bytes %" PRIu64 "\n", free_kib * 1024);
}

void metrics_append(GString *out, const GPtrArray *doms, const struct host *host)
{
	if (host)
		put_host(out, host);
	put_domain_facts(out, doms);
	put_domain_rows(out, doms);
	put_vcpu_times(out, doms);
	put_exits(out, doms);
	put_vcpu_counters(out, doms);
	put_disks(out, doms);
	put_nics(out, doms);
}
