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

/* Loads a machine's state into a new one, which takes its place. What a processor's TSC says is not the APIC's. */
static void travel(struct machine *machine)
{
	struct machine *from = g_memdup2(machine, sizeof(*machine));

	machine_init(machine);
	set_time(machine, timers_now(from->timers));
	machine->n_eois = from->n_eois;
	for (unsigned i = 0; i < N_CPUS; i++) {
		uint8_t image[1024], again[1024];
		uint64_t base, deadline, base_again, deadline_again;

		machine->cpus[i].tsc_offset = from->cpus[i].tsc_offset;
		from->cpus[i].machine = from;
		lapic_save(from->cpus[i].lapic, image, &base, &deadline);
		g_assert_true(lapic_load(machine->cpus[i].lapic, image, base, deadline));
		lapic_save(machine->cpus[i].lapic, again, &base_again, &deadline_again);
		g_assert_cmpmem(image, sizeof(image), again, sizeof(again));
		g_assert_cmphex(base, ==, base_again);
		g_assert_cmphex(deadline, ==, deadline_again);
	}
	machine_clear(from);
	g_free(from);
}

/* --- operations --- */

static uint32_t msr_of(uint16_t where)
{
	static const uint32_t others[] = { MSR_APIC_BASE, MSR_TSC_DEADLINE, 0x7ff, 0x900 };

	return where & 0x100 ? others[where % G_N_ELEMENTS(others)] : MSR_X2APIC + (where & 0xff);
}

/* IA32_APIC_BASE is written with a plausible value most of the time, or little else would happen. */
static uint64_t msr_value(uint32_t msr, uint16_t where, uint32_t val)
{
	if (msr == MSR_APIC_BASE && !(where & 0x8000))
		return 0xfee00000 | (val & 0xd00);
	return val | (uint64_t)(where >> 9) << 32;
}

static void send_message(struct machine *machine, uint16_t where, uint32_t val)
{
	const struct msi_message msg = { .address = 0xfee00000 | (uint64_t)(where & 0xf) << 12 | (where >> 4 & 0xfff),
					 .data = val & 0xffff };

	lapic_bus_msi(machine->bus, &msg);
}

/* What is taken is what was said to be pending, and is in service from then on. */
static void accept(struct lapic *lapic)
{
	uint8_t image[1024];
	uint64_t base, deadline;
	int pending = lapic_pending(lapic), taken = lapic_accept(lapic);

	g_assert_cmpint(taken, ==, pending);
	if (taken < 0)
		return;
	g_assert_cmpint(taken, >=, 16);
	lapic_save(lapic, image, &base, &deadline);
	g_assert_cmpint(highest(image, REG_ISR), ==, taken);
}

static void end(struct lapic *lapic)
{
	if (!lapic_msr_write(lapic, MSR_X2APIC + (REG_EOI >> 4), 0))
		lapic_mmio_write(lapic, REG_EOI, 0);
}

static void take_events(struct lapic *lapic)
{
	uint8_t vector;

	lapic_take_nmi(lapic);
	lapic_take_init(lapic);
	lapic_take_sipi(lapic, &vector);
}

static void access_register(struct lapic *lapic, const uint8_t *op)
{
	uint16_t where = pci_get16(op + 2);
	uint32_t val = pci_get32(op + 4), msr = msr_of(where);
	uint64_t read;

	switch (op[0] % N_KINDS) {
	case MMIO_READ:
		lapic_mmio_read(lapic, where & 0xfff);
		break;
	case MMIO_WRITE:
		lapic_mmio_write(lapic, op[1] & 0x80 ? where & 0xfff : (where & 0x3f) << 4, val);
		break;
	case MSR_READ:
		lapic_msr_read(lapic, msr, &read);
		break;
	default:
		lapic_msr_write(lapic, msr, msr_value(msr, where, val));
		break;
	}
}

static void operate(struct machine *machine, const uint8_t *op)
{
	struct cpu *cpu = &machine->cpus[op[1] % N_CPUS];
	uint16_t where = pci_get16(op + 2);
	uint32_t val = pci_get32(op + 4);

	switch (op[0] % N_KINDS) {
	case MESSAGE:
		send_message(machine, where, val);
		break;
	case ADVANCE:
		timers_advance(machine->timers, val % MAX_ADVANCE);
		break;
	case JUMP:
		set_time(machine, timers_now(machine->timers) + ((uint64_t)val << (where & 15)));
		break;
	case TSC_WRITE:
		cpu->tsc_offset = ((uint64_t)val << (where & 31)) - timers_now(machine->timers) * 3;
		break;
	case ACCEPT:
		accept(cpu->lapic);
		break;
	case END:
		end(cpu->lapic);
		break;
	case EVENTS:
		take_events(cpu->lapic);
		break;
	case CR8:
		lapic_set_cr8(cpu->lapic, val & 0xf);
		g_assert_cmpuint(lapic_get_cr8(cpu->lapic), ==, val & 0xf);
		break;
	case INIT:
		lapic_reset(cpu->lapic, op[1] % N_CPUS == 0, where & 1);
		break;
	case TRAVEL:
		travel(machine);
		break;
	default:
		access_register(cpu->lapic, op);
	}
}

/* Nothing deliverable goes unnoticed, and what is pending beats everything in service. */
static void check(const struct cpu *cpu)
{
	int pending = lapic_pending(cpu->lapic);
	uint8_t image[1024];
	uint64_t base, deadline;
	uint32_t tpr;
	int requested;

	lapic_save(cpu->lapic, image, &base, &deadline);
	tpr = reg_of(image, REG_TPR);
	/* saving settles the timer, and that may have brought an interrupt */
	requested = highest(image, REG_IRR);
	if (pending >= 0) {
		g_assert_cmpint(requested, >=, pending);
		g_assert_cmpint(pending >> 4, >, MAX(highest(image, REG_ISR), (int)tpr) >> 4);
	} else if (requested >= 0 && base & 0x800 && requested >> 4 > MAX(highest(image, REG_ISR), (int)tpr) >> 4) {
		g_assert_true(lapic_attention(cpu->lapic));
		g_assert_cmpint(lapic_pending(cpu->lapic), ==, requested);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine machine;

	machine_init(&machine);
	for (size_t pos = 0; size - pos >= 8 && pos < MAX_OPS * 8; pos += 8) {
		operate(&machine, data + pos);
		for (unsigned i = 0; i < N_CPUS; i++)
			check(&machine.cpus[i]);
	}
	machine_clear(&machine);
	return 0;
}
