/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cpuid.h"

#include <cpuid.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "vmm/timer.h"

/*
 * How fast the host's TSC runs. A pair of readings is only as good as the time between them, so each end of a
 * measurement is the tightest of several (TSC, clock, TSC) triples: some tens of nanoseconds, also when the scheduler
 * interferes.
 */
#define SAMPLES 24
#define MEASURE_NS (5 * NS_PER_MS / 2)
#define CHECK_NS (100 * NS_PER_US)
#define CHECK_TOLERANCE 200 /* one part in this many */

struct reading {
	uint64_t tsc, ns;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static struct reading read_both(void)
{
	struct reading best = { 0 };
	uint64_t best_gap = UINT64_MAX;

	for (unsigned i = 0; i < SAMPLES; i++) {
		uint64_t before = __rdtsc(), ns = clock_ns(), after = __rdtsc();

		if (after - before >= best_gap)
			continue;
		best_gap = after - before;
		best = (struct reading){ .tsc = before + best_gap / 2, .ns = ns };
	}
	return best;
}

static uint32_t measure_khz(uint64_t window_ns)
{
	struct reading start = read_both(), end;

	while (clock_ns() - start.ns < window_ns)
		_mm_pause();
	end = read_both();
	return (uint32_t)muldiv64(end.tsc - start.tsc, NS_PER_MS, end.ns - start.ns);
}

/* Leaf 0x15 when it gives all three numbers; on a KVM guest the hypervisor's own timing leaf. 0: not said. */
static uint32_t khz_from_cpuid(void)
{
	uint32_t eax, ebx, ecx, edx;
	char vendor[12];

	if (__get_cpuid_max(0, NULL) >= 0x15) {
		__cpuid(0x15, eax, ebx, ecx, edx);
		if (eax && ebx && ecx)
			return (uint32_t)(muldiv64(ecx, ebx, eax) / 1000);
	}
	__cpuid(1, eax, ebx, ecx, edx);
	if (!(ecx >> 31))
		return 0;
	__cpuid(0x40000000, eax, ebx, ecx, edx);
	memcpy(vendor, &ebx, 4);
	memcpy(vendor + 4, &ecx, 4);
	memcpy(vendor + 8, &edx, 4);
	if (eax < 0x40000010 || memcmp(vendor, "KVMKVMKVM\0\0\0", 12) != 0)
		return 0;
	__cpuid(0x40000010, eax, ebx, ecx, edx);
	return eax;
}

uint32_t host_tsc_khz(void)
{
	uint32_t said = khz_from_cpuid();

	/* An outer hypervisor may pass on its host's leaf and scale the TSC all the same. */
	if (said) {
		uint32_t seen = measure_khz(CHECK_NS);
		uint32_t apart = seen > said ? seen - said : said - seen;

		if (apart <= said / CHECK_TOLERANCE)
			return said;
	}
	return measure_khz(MEASURE_NS);
}
