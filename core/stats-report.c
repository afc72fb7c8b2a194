/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domstats: the keys and values of virsh 9, and for what only Lodge counts the names KVM has for the same thing. */
#include "core/stats.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/counters.h"

#define MAX_KEY 96u

static void put(const struct stats_sink *sink, uint64_t value, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void put_text(const struct stats_sink *sink, const char *value, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void put(const struct stats_sink *sink, uint64_t value, const char *format, ...)
{
	char key[MAX_KEY];
	va_list args;

	va_start(args, format);
	vsnprintf(key, sizeof(key), format, args);
	va_end(args);
	sink->number(sink->opaque, key, value);
}

static void put_text(const struct stats_sink *sink, const char *value, const char *format, ...)
{
	char key[MAX_KEY];
	va_list args;

	va_start(args, format);
	vsnprintf(key, sizeof(key), format, args);
	va_end(args);
	sink->text(sink->opaque, key, value);
}

static void report_state(const struct dom_stats *stats, const struct stats_sink *sink)
{
	put(sink, stats->dom->state.state, "state.state");
	put(sink, stats->dom->state.reason, "state.reason");
}

static void report_cpu(const struct dom_stats *stats, const struct stats_sink *sink)
{
	if (!stats->timed)
		return;
	put(sink, stats->cpu_ns, "cpu.time");
	put(sink, stats->user_ns, "cpu.user");
	put(sink, stats->system_ns, "cpu.system");
}

/* In virsh's order; rss stands between available and usable. */
static const struct {
	const char *key;
	size_t offset;
} balloon_rows[] = {
	{ "swap_in", offsetof(struct stats_balloon, swap_in) },
	{ "swap_out", offsetof(struct stats_balloon, swap_out) },
	{ "major_fault", offsetof(struct stats_balloon, major_fault) },
	{ "minor_fault", offsetof(struct stats_balloon, minor_fault) },
	{ "unused", offsetof(struct stats_balloon, unused) },
	{ "available", offsetof(struct stats_balloon, available) },
	{ "usable", offsetof(struct stats_balloon, usable) },
	{ "last-update", offsetof(struct stats_balloon, last_update) },
	{ "disk_caches", offsetof(struct stats_balloon, disk_caches) },
	{ "hugetlb_pgalloc", offsetof(struct stats_balloon, hugetlb_pgalloc) },
	{ "hugetlb_pgfail", offsetof(struct stats_balloon, hugetlb_pgfail) },
};

static uint64_t counter_at(const void *base, size_t offset)
{
	return stats_get((const uint64_t *)(const void *)((const char *)base + offset));
}

static void report_balloon(const struct dom_stats *stats, const struct stats_sink *sink)
{
	if (stats->memory)
		put(sink, stats->memory, "balloon.current");
	if (stats->max_memory)
		put(sink, stats->max_memory, "balloon.maximum");
	for (size_t i = 0; stats->page && i < G_N_ELEMENTS(balloon_rows); i++) {
		uint64_t value = counter_at(&stats->page->balloon, balloon_rows[i].offset);

		if (value != UINT64_MAX)
			put(sink, value, "balloon.%s", balloon_rows[i].key);
		if (balloon_rows[i].offset == offsetof(struct stats_balloon, available) && stats->timed)
			put(sink, stats->rss, "balloon.rss");
	}
}

static void report_vcpu(const struct dom_vcpu *vcpu, unsigned i, const struct stats_sink *sink)
{
	put(sink, DOM_VCPU_RUNNING, "vcpu.%u.state", i);
	if (vcpu->timed) {
		put(sink, vcpu->run_ns, "vcpu.%u.time", i);
		put(sink, vcpu->wait_ns, "vcpu.%u.wait", i);
	}
	put_text(sink, vcpu->halted ? "yes" : "no", "vcpu.%u.halted", i);
	if (vcpu->timed)
		put(sink, vcpu->wait_ns, "vcpu.%u.delay", i);
	for (size_t k = 0; k < n_counters; k++)
		put(sink, counter_read(&counters[k], vcpu->counters), "vcpu.%u.%s.sum", i, counters[k].stat_key);
}

static void report_vcpus(const struct dom_stats *stats, const struct stats_sink *sink)
{
	if (stats->vcpus)
		put(sink, stats->vcpus, "vcpu.current");
	if (stats->max_vcpus)
		put(sink, stats->max_vcpus, "vcpu.maximum");
	for (unsigned i = 0; stats->page && i < stats->vcpus; i++)
		report_vcpu(&stats->vcpu[i], i, sink);
}

static const struct {
	const char *key;
	size_t offset;
} nic_rows[] = {
	{ "rx.bytes", offsetof(struct stats_nic, rx_bytes) }, { "rx.pkts", offsetof(struct stats_nic, rx_packets) },
	{ "rx.errs", offsetof(struct stats_nic, rx_errors) }, { "rx.drop", offsetof(struct stats_nic, rx_drops) },
	{ "tx.bytes", offsetof(struct stats_nic, tx_bytes) }, { "tx.pkts", offsetof(struct stats_nic, tx_packets) },
	{ "tx.errs", offsetof(struct stats_nic, tx_errors) }, { "tx.drop", offsetof(struct stats_nic, tx_drops) },
};

static void report_nics(const struct dom_stats *stats, const struct stats_sink *sink)
{
	if (!stats->page)
		return;
	put(sink, stats->n_nics, "net.count");
	for (unsigned i = 0; i < stats->n_nics; i++) {
		const struct stats_nic *nic = &stats->page->nic[i];
		g_autofree char *name = g_strndup(nic->name, sizeof(nic->name));

		put_text(sink, name, "net.%u.name", i);
		for (size_t k = 0; k < G_N_ELEMENTS(nic_rows); k++)
			put(sink, counter_at(nic, nic_rows[k].offset), "net.%u.%s", i, nic_rows[k].key);
	}
}

static void report_disk_counters(const struct stats_disk *disk, unsigned i, const struct stats_sink *sink)
{
	static const struct {
		const char *key;
		enum stats_op op;
		bool bytes;
	} rows[] = { { "rd", STATS_READ, true }, { "wr", STATS_WRITE, true }, { "fl", STATS_FLUSH, false } };

	for (size_t k = 0; k < G_N_ELEMENTS(rows); k++) {
		put(sink, stats_get(&disk->op[rows[k].op].requests), "block.%u.%s.reqs", i, rows[k].key);
		if (rows[k].bytes)
			put(sink, stats_get(&disk->op[rows[k].op].bytes), "block.%u.%s.bytes", i, rows[k].key);
		put(sink, stats_get(&disk->op[rows[k].op].time_ns), "block.%u.%s.times", i, rows[k].key);
	}
}

static void report_disks(const struct dom_stats *stats, bool backing, const struct stats_sink *sink)
{
	put(sink, stats->disks->len, "block.count");
	for (unsigned i = 0; i < stats->disks->len; i++) {
		const struct dom_disk *disk = stats->disks->pdata[i];

		put_text(sink, disk->target, "block.%u.name", i);
		if (disk->path)
			put_text(sink, disk->path, "block.%u.path", i);
		if (backing)
			put(sink, 1, "block.%u.backingIndex", i);
		if (disk->counters)
			report_disk_counters(disk->counters, i, sink);
		if (disk->sized)
			put(sink, disk->allocation, "block.%u.allocation", i);
		if (disk->capacity)
			put(sink, disk->capacity, "block.%u.capacity", i);
		if (disk->sized)
			put(sink, disk->physical, "block.%u.physical", i);
	}
}

static void report_vm(const struct dom_stats *stats, const struct stats_sink *sink)
{
	if (!stats->page)
		return;
	for (size_t k = 0; k < n_counters; k++)
		put(sink, counter_sum(&counters[k], stats->page), "vm.%s.sum", counters[k].stat_key);
	put(sink, stats->page->state.resets, "vm.resets.sum");
}

void dom_stats_report(const struct dom_stats *stats, unsigned groups, bool backing, const struct stats_sink *sink)
{
	if (groups & STATS_GROUP_STATE)
		report_state(stats, sink);
	if (groups & STATS_GROUP_CPU_TOTAL)
		report_cpu(stats, sink);
	if (groups & STATS_GROUP_BALLOON)
		report_balloon(stats, sink);
	if (groups & STATS_GROUP_VCPU)
		report_vcpus(stats, sink);
	if (groups & STATS_GROUP_INTERFACE)
		report_nics(stats, sink);
	if (groups & STATS_GROUP_BLOCK)
		report_disks(stats, backing, sink);
	if (groups & STATS_GROUP_VM)
		report_vm(stats, sink);
}

unsigned dom_stats_want(unsigned groups)
{
	unsigned want = 0;

	if (groups & (STATS_GROUP_CPU_TOTAL | STATS_GROUP_BALLOON))
		want |= DOM_STATS_CPU;
	if (groups & STATS_GROUP_VCPU)
		want |= DOM_STATS_VCPUS;
	if (groups & (STATS_GROUP_BALLOON | STATS_GROUP_VCPU | STATS_GROUP_BLOCK))
		want |= DOM_STATS_DEFINITION;
	if (groups & STATS_GROUP_BLOCK)
		want |= DOM_STATS_IMAGES;
	return want;
}
