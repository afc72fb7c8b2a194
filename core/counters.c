/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/counters.h"

#include <glib.h>

const struct counter counters[] = {
	{ "exits", "exits", COUNTER_EXITS, "returns from guest code, all reasons together" },
	{ "io_exits", "io_exits", offsetof(struct stats_vcpu, exits[STATS_EXIT_PIO]), "port accesses" },
	{ "mmio_exits", "mmio_exits", offsetof(struct stats_vcpu, exits[STATS_EXIT_MMIO]),
	  "accesses to device memory" },
	{ "halt_exits", "halt_exits", offsetof(struct stats_vcpu, exits[STATS_EXIT_HALT]), "HLT: the guest is idle" },
	{ "irq_window", "irq_window_exits", offsetof(struct stats_vcpu, exits[STATS_EXIT_IRQ_WINDOW]),
	  "waits for the guest to take interrupts" },
	{ "signal_exits", "signal_exits", offsetof(struct stats_vcpu, exits[STATS_EXIT_KICK]),
	  "called back by the VM" },
	{ "msr_exits", "msr_exits", offsetof(struct stats_vcpu, exits[STATS_EXIT_MSR]), "model-specific registers" },
	{ "cpuid_exits", "cpuid_exits", offsetof(struct stats_vcpu, exits[STATS_EXIT_CPUID]), "CPUID instructions" },
	{ "other_exits", "other_exits", offsetof(struct stats_vcpu, exits[STATS_EXIT_OTHER]), "everything else" },
	{ "irq_injections", "irq_injections", offsetof(struct stats_vcpu, interrupts),
	  "interrupts given to the guest" },
	{ "nmi_injections", "nmi_injections", offsetof(struct stats_vcpu, nmis), "NMIs given to the guest" },
	{ "halt_wait_ns", "halt_wait_ns", offsetof(struct stats_vcpu, halt_ns), "nanoseconds spent in HLT" },
	{ "tlb_flush", "tlb_flush", offsetof(struct stats_vcpu, tlb_flushes), "flushes of the software CPU's TLB" },
	{ "tlb_misses", "tlb_misses", offsetof(struct stats_vcpu, tlb_misses), "page walks of the software CPU" },
	{ "instructions", "instructions", offsetof(struct stats_vcpu, instructions),
	  "guest instructions of the software CPU" },
	{ "blocks_decoded", "blocks_decoded", offsetof(struct stats_vcpu, blocks_decoded),
	  "blocks of guest code decoded" },
	{ "code_flushes", "code_flushes", offsetof(struct stats_vcpu, code_flushes), "decoded code thrown away" },
};
const size_t n_counters = G_N_ELEMENTS(counters);

const char *const counters_of_kernel[] = {
	"efer_reload",	     "fpu_reload",	 "halt_wakeup",		"host_state_reload",
	"hypercalls",	     "insn_emulation",	 "insn_emulation_fail", "invlpg",
	"irq_exits",	     "largepages",	 "mmu_cache_miss",	"mmu_flooded",
	"mmu_pde_zapped",    "mmu_pte_updated",	 "mmu_pte_write",	"mmu_recycled",
	"mmu_shadow_zapped", "mmu_unsync",	 "nmi_window",		"pf_fixed",
	"pf_guest",	     "remote_tlb_flush", "request_irq",		NULL,
};

uint64_t counter_read(const struct counter *counter, const struct stats_vcpu *vcpu)
{
	uint64_t sum = 0;

	if (counter->offset != COUNTER_EXITS)
		return stats_get((const uint64_t *)(const void *)((const char *)vcpu + counter->offset));
	for (unsigned i = 0; i < STATS_N_EXITS; i++)
		sum += stats_get(&vcpu->exits[i]);
	return sum;
}

uint64_t counter_sum(const struct counter *counter, const struct stats_page *page)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MIN(page->n_vcpus, STATS_MAX_VCPUS); i++)
		sum += counter_read(counter, &page->vcpu[i]);
	return sum;
}
