/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any sequence of register accesses, messages and time on three local APICs. Input: operations of 8 bytes: u8 kind,
 * u8 how (bits 1:0 the processor), u16 where, u32 value.
 *
 * After each one: what says that it has nothing to tell has nothing; priorities hold; and a state that is saved and
 * loaded is the same when it is saved again.
 */
#include <string.h>

#include "vmm/dev/lapic.h"
#include "vmm/pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	MMIO_READ,
	MMIO_WRITE,
	MSR_READ,
	MSR_WRITE,
	MESSAGE,
	ADVANCE,
	JUMP,
	TSC_WRITE,
	ACCEPT,
	END,
	EVENTS,
	CR8,
	INIT,
	TRAVEL,
	N_KINDS
};

#define N_CPUS 3u
#define MAX_OPS 512u
#define MAX_ADVANCE NS_PER_MS
#define REG_TPR 0x080u
#define REG_EOI 0x0b0u
#define REG_ISR 0x100u
#define REG_IRR 0x200u
#define MSR_APIC_BASE 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC 0x800u

struct machine;

struct cpu {
	struct machine *machine;
	struct lapic *lapic;
	uint64_t tsc_offset;
	bool woken;
};

struct machine {
	struct timers *timers;
	struct lapic_bus *bus;
	struct cpu cpus[N_CPUS];
	unsigned n_eois;
};

static void wake(void *opaque)
{
	((struct cpu *)opaque)->woken = true;
}

/* 3 GHz */
static uint64_t tsc(void *opaque)
{
	const struct cpu *cpu = opaque;

	return timers_now(cpu->machine->timers) * 3 + cpu->tsc_offset;
}

static uint64_t tsc_to_ns(void *opaque, uint64_t val)
{
	return (val - ((const struct cpu *)opaque)->tsc_offset) / 3;
}

static const struct lapic_ops ops = { .wake = wake, .tsc = tsc, .tsc_to_ns = tsc_to_ns };

static void on_eoi(void *opaque, uint8_t vector)
{
	g_assert_cmpuint(vector, >=, 16);
	((struct machine *)opaque)->n_eois++;
}

static void machine_init(struct machine *machine)
{
	*machine = (struct machine){ .timers = timers_new_manual() };
	machine->bus = lapic_bus_new(machine->timers, N_CPUS, on_eoi, machine);
	for (unsigned i = 0; i < N_CPUS; i++) {
		machine->cpus[i].machine = machine;
		machine->cpus[i].lapic = lapic_new(machine->bus, i, &ops, &machine->cpus[i]);
	}
}

static void machine_clear(struct machine *machine)
{
	lapic_bus_free(machine->bus);
	timers_free(machine->timers);
}

static void set_time(struct machine *machine, uint64_t now)
{
	timers_pause(machine->timers);
	timers_set_now(machine->timers, now);
	timers_resume(machine->timers);
}

static uint32_t reg_of(const uint8_t image[1024], unsigned reg)
{
	return pci_get32(image + (reg >> 4) * 4);
}

static int highest(const uint8_t image[1024], unsigned reg)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t bits = reg_of(image, reg + (unsigned)i * 16);

		if (bits)
			return i * 32 + (int)g_bit_storage(bits) - 1;
	}
	return -1;
}

/* Loads the state into another machine, which takes the first one's place. */
static void travel(struct machine *machine)
{
	struct machine from = *machine, *to = machine;

	machine_init(to);
	set_time(to, timers_now(from.timers));
	to->n_eois = from.n_eois;
	for (unsigned i = 0; i < N_CPUS; i++) {
		uint8_t image[1024], again[1024];
		uint64_t base, deadline, base_again, deadline_again;

		/* what a processor does not know of itself */
		from.cpus[i].machine = &from;
		to->cpus[i].tsc_offset = from.cpus[i].tsc_offset;
	}
	for (unsigned i = 0; i < N_CPUS; i++) {
		uint8_t image[1024], again[1024];
		uint64_t base, deadline, base_again, deadline_again;

		lapic_save(from.cpus[i].lapic, image, &base, &deadline);
		g_assert_true(lapic_load(to->cpus[i].lapic, image, base, deadline));
		lapic_save(to->cpus[i].lapic, again, &base_again, &deadline_again);
		g_assert_cmpmem(image, sizeof(image), again, sizeof(again));
		g_assert_cmphex(base, ==, base_again);
		g_assert_cmphex(deadline, ==, deadline_again);
	}
	machine_clear(&from);
}
