/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/sample.h"

#include <string.h>

#include "core/counters.h"
#include "core/stats.h"

static void sample_dom_free(gpointer data)
{
	struct sample_dom *dom = data;

	g_free(dom->name);
	g_free(dom->vcpus);
	g_free(dom->disks);
	g_free(dom->nics);
	g_free(dom->counters);
	g_free(dom);
}

struct sample *sample_new(int64_t when_us)
{
	struct sample *sample = g_new0(struct sample, 1);

	sample->when_us = when_us;
	sample->doms = g_ptr_array_new_with_free_func(sample_dom_free);
	return sample;
}

void sample_free(struct sample *sample)
{
	if (!sample)
		return;
	g_ptr_array_unref(sample->doms);
	g_free(sample->cpus);
	g_free(sample);
}

/* Names in the page may lack their terminator. */
static void copy_name(char to[33], const char from[32])
{
	memcpy(to, from, 32);
	to[32] = '\0';
}

static void copy_disk(struct sample_disk *to, const struct stats_disk *from)
{
	copy_name(to->name, from->name);
	to->rd_req = stats_get(&from->op[STATS_READ].requests);
	to->rd_bytes = stats_get(&from->op[STATS_READ].bytes);
	to->wr_req = stats_get(&from->op[STATS_WRITE].requests);
	to->wr_bytes = stats_get(&from->op[STATS_WRITE].bytes);
}

static void copy_nic(struct sample_nic *to, const struct stats_nic *from)
{
	copy_name(to->name, from->name);
	to->rx_bytes = stats_get(&from->rx_bytes);
	to->rx_packets = stats_get(&from->rx_packets);
	to->tx_bytes = stats_get(&from->tx_bytes);
	to->tx_packets = stats_get(&from->tx_packets);
}

static void copy_page(struct sample_dom *to, const struct dom_stats *stats)
{
	const struct stats_page *page = stats->page;

	to->n_vcpus = stats->vcpus;
	to->vcpus = g_new0(struct sample_vcpu, to->n_vcpus + 1);
	for (unsigned i = 0; i < to->n_vcpus; i++)
		to->vcpus[i] = (struct sample_vcpu){ stats->vcpu[i].run_ns,
						     stats->vcpu[i].timed ? stats->vcpu[i].cpu : -1 };
	to->n_disks = MIN(page->n_disks, STATS_MAX_DISKS);
	to->disks = g_new0(struct sample_disk, to->n_disks + 1);
	for (unsigned i = 0; i < to->n_disks; i++)
		copy_disk(&to->disks[i], &page->disk[i]);
	to->n_nics = stats->n_nics;
	to->nics = g_new0(struct sample_nic, to->n_nics + 1);
	for (unsigned i = 0; i < to->n_nics; i++)
		copy_nic(&to->nics[i], &page->nic[i]);
	to->counters = g_new0(uint64_t, n_counters);
	for (size_t i = 0; i < n_counters; i++)
		to->counters[i] = counter_sum(&counters[i], page);
}

void sample_add(struct sample *sample, const struct dom *dom, const char *root)
{
	autoptr(dom_stats) stats = dom_stats_new(dom, NULL, DOM_STATS_CPU | DOM_STATS_VCPUS, root);
	struct sample_dom *copy = g_new0(struct sample_dom, 1);

	copy->name = g_strdup(dom->name);
	copy->id = dom->id;
	copy->pid = dom->pid;
	copy->state = dom_stats_state(stats);
	copy->cpu_ns = stats->cpu_ns;
	copy->memory = stats->memory;
	copy->rss = stats->rss;
	if (stats->page)
		copy_page(copy, stats);
	g_ptr_array_add(sample->doms, copy);
}

struct sample *sample_take(const struct home *home, GError **err)
{
	g_autoptr(GPtrArray) doms = domains_list(home, DOMAINS_ACTIVE | DOMAINS_INACTIVE, err);
	struct sample *sample;
	struct cpuset online;

	if (!doms)
		return NULL;
	sample = sample_new(g_get_monotonic_time());
	for (unsigned i = 0; i < doms->len; i++)
		sample_add(sample, doms->pdata[i], NULL);
	sample->n_cpus = host_online_cpus(NULL, &online);
	sample->cpus = host_times_each(NULL, sample->n_cpus);
	return sample;
}

const struct sample_dom *sample_find(const struct sample *before, const struct sample_dom *now)
{
	for (unsigned i = 0; before && i < before->doms->len; i++) {
		const struct sample_dom *dom = before->doms->pdata[i];

		if (dom->id == now->id && dom->pid == now->pid && !strcmp(dom->name, now->name))
			return dom;
	}
	return NULL;
}

void sample_compare_disk(const struct sample_dom *before, const struct sample_disk *disk,
			 struct sample_disk *difference)
{
	static const struct sample_disk none;
	const struct sample_disk *old = &none;

	for (unsigned i = 0; before && i < before->n_disks; i++)
		if (!strcmp(before->disks[i].name, disk->name))
			old = &before->disks[i];
	memcpy(difference->name, disk->name, sizeof(disk->name));
	difference->rd_req = sample_grown(disk->rd_req, old->rd_req);
	difference->rd_bytes = sample_grown(disk->rd_bytes, old->rd_bytes);
	difference->wr_req = sample_grown(disk->wr_req, old->wr_req);
	difference->wr_bytes = sample_grown(disk->wr_bytes, old->wr_bytes);
}

void sample_compare_nic(const struct sample_dom *before, const struct sample_nic *nic, struct sample_nic *difference)
{
	static const struct sample_nic none;
	const struct sample_nic *old = &none;

	for (unsigned i = 0; before && i < before->n_nics; i++)
		if (!strcmp(before->nics[i].name, nic->name))
			old = &before->nics[i];
	memcpy(difference->name, nic->name, sizeof(nic->name));
	difference->rx_bytes = sample_grown(nic->rx_bytes, old->rx_bytes);
	difference->rx_packets = sample_grown(nic->rx_packets, old->rx_packets);
	difference->tx_bytes = sample_grown(nic->tx_bytes, old->tx_bytes);
	difference->tx_packets = sample_grown(nic->tx_packets, old->tx_packets);
}

void sample_compare(const struct sample *before, const struct sample *now, const struct sample_dom *dom,
		    unsigned host_cpus, struct sample_rates *rates)
{
	const struct sample_dom *old = sample_find(before, dom);
	double elapsed_ns;

	memset(rates, 0, sizeof(*rates));
	if (!before)
		return;
	elapsed_ns = (double)(now->when_us - before->when_us) * 1000 * MAX(host_cpus, 1u);
	rates->cpu_ns = sample_grown(dom->cpu_ns, old ? old->cpu_ns : 0);
	if (elapsed_ns > 0)
		rates->cpu_percent = MIN(100.0 * (double)rates->cpu_ns / elapsed_ns, 100.0);
	for (unsigned i = 0; i < dom->n_disks; i++) {
		struct sample_disk disk;

		sample_compare_disk(old, &dom->disks[i], &disk);
		rates->rd_req += disk.rd_req;
		rates->rd_bytes += disk.rd_bytes;
		rates->wr_req += disk.wr_req;
		rates->wr_bytes += disk.wr_bytes;
	}
	for (unsigned i = 0; i < dom->n_nics; i++) {
		struct sample_nic nic;

		sample_compare_nic(old, &dom->nics[i], &nic);
		rates->rx_bytes += nic.rx_bytes;
		rates->rx_packets += nic.rx_packets;
		rates->tx_bytes += nic.tx_bytes;
		rates->tx_packets += nic.tx_packets;
	}
}

double sample_cpu_busy(const struct sample *before, const struct sample *now, unsigned cpu)
{
	const struct host_times *new_times, *old_times;
	uint64_t busy, idle;

	if (!before || cpu >= now->n_cpus || cpu >= before->n_cpus)
		return 0;
	new_times = &now->cpus[cpu];
	old_times = &before->cpus[cpu];
	busy = sample_grown(new_times->user, old_times->user) + sample_grown(new_times->system, old_times->system);
	idle = sample_grown(new_times->idle, old_times->idle) + sample_grown(new_times->iowait, old_times->iowait);
	return busy + idle ? 100.0 * (double)busy / (double)(busy + idle) : 0;
}
