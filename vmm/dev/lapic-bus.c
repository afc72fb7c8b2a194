/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The bus between local APICs: decides who a message is for. SDM volume 3 sections 10.6 (xAPIC destinations),
 * 10.11 (MSI) and 10.12.10 (x2APIC).
 *
 * APIC IDs are fixed and index the table, so a physical destination costs one look-up; every other kind walks the
 * lapics in ID order and reads their mode and logical ID without a lock. A guest that changes a logical ID while
 * messages fly gets either the old or the new answer.
 */
#include "vmm/dev/lapic-internal.h"

/* Bits 39:32 belong to the address, those above carry destination bits 31:8. */
#define MSI_ADDRESS_MASK UINT64_C(0xfffff00000)
#define MSI_ADDRESS_BASE UINT64_C(0xfee00000)
#define MSI_REDIRECTION_HINT 0x8u
#define MSI_LOGICAL 0x4u
#define MSI_LEVEL_TRIGGER 0x8000u
#define MSI_ASSERT 0x4000u

/* xAPIC mode: an 8-bit mask (flat), or a 4-bit cluster number and a 4-bit mask (DFR bits 31:28 are 0). */
static bool xapic_logical_match(const struct lapic *lapic, uint32_t dest)
{
	uint32_t logical = __atomic_load_n(&lapic->ldr, __ATOMIC_RELAXED) >> 24;
	bool flat = __atomic_load_n(&lapic->dfr, __ATOMIC_RELAXED) >> 28 == 0xf;

	if (dest > 0xff)
		return false;
	if (flat)
		return logical & dest;
	return logical >> 4 == dest >> 4 && (logical & dest & 0xf);
}

static bool x2apic_logical_match(const struct lapic *lapic, uint32_t dest)
{
	uint32_t logical = __atomic_load_n(&lapic->ldr, __ATOMIC_RELAXED);

	return logical >> 16 == dest >> 16 && (logical & dest & 0xffff);
}

static bool is_target(const struct lapic *lapic, const struct lapic *sender, const struct lapic_message *msg)
{
	enum lapic_mode mode = lapic_mode(lapic);

	if (mode == LAPIC_OFF)
		return false;
	if (msg->shorthand == LAPIC_TO_ALL)
		return true;
	if (msg->shorthand == LAPIC_TO_OTHERS)
		return lapic != sender;
	if (msg->broadcast)
		return true;
	if (!msg->logical)
		return lapic->id == msg->dest;
	return mode == LAPIC_XAPIC ? xapic_logical_match(lapic, msg->dest) : x2apic_logical_match(lapic, msg->dest);
}

static void send_lowest_priority(struct lapic_bus *bus, const struct lapic *sender, const struct lapic_message *msg)
{
	struct lapic *best = NULL;
	unsigned best_priority = 256;

	for (unsigned i = 0; i < bus->n_cpus; i++) {
		struct lapic *lapic = bus->lapics[i];
		unsigned priority;

		if (!lapic || !is_target(lapic, sender, msg))
			continue;
		priority = lapic_arbitration_priority(lapic);
		if (priority < best_priority) {
			best_priority = priority;
			best = lapic;
		}
	}
	if (best)
		lapic_deliver(best, LAPIC_FIXED, msg->vector, msg->level);
}

static struct lapic *single_target(struct lapic_bus *bus, const struct lapic_message *msg)
{
	if (msg->dest >= bus->n_cpus || !bus->lapics[msg->dest])
		return NULL;
	return lapic_mode(bus->lapics[msg->dest]) == LAPIC_OFF ? NULL : bus->lapics[msg->dest];
}

void lapic_bus_send(struct lapic_bus *bus, struct lapic *sender, const struct lapic_message *msg)
{
	if (msg->shorthand == LAPIC_TO_SELF) {
		lapic_deliver(sender, msg->mode, msg->vector, msg->level);
		return;
	}
	if (msg->shorthand == LAPIC_TO_DEST && !msg->logical && !msg->broadcast) {
		struct lapic *target = single_target(bus, msg);

		if (target)
			lapic_deliver(target, msg->mode, msg->vector, msg->level);
		return;
	}
	if (msg->mode == LAPIC_LOWEST) {
		send_lowest_priority(bus, sender, msg);
		return;
	}
	for (unsigned i = 0; i < bus->n_cpus; i++)
		if (bus->lapics[i] && is_target(bus->lapics[i], sender, msg))
			lapic_deliver(bus->lapics[i], msg->mode, msg->vector, msg->level);
}

void lapic_bus_msi(struct lapic_bus *bus, const struct msi_message *msi)
{
	uint32_t low = (uint32_t)msi->address;
	struct lapic_message msg = {
		.dest = (low >> 12 & 0xff) | (low >> 5 & 0x7f) << 8 | ((uint32_t)(msi->address >> 32) & 0xffffff00u),
		.mode = msi->data >> 8 & 7,
		.vector = (uint8_t)msi->data,
		.logical = low & MSI_LOGICAL,
		.level = msi->data & MSI_LEVEL_TRIGGER,
	};

	if ((msi->address & MSI_ADDRESS_MASK) != MSI_ADDRESS_BASE)
		return;
	if (msg.level && !(msi->data & MSI_ASSERT))
		return;
	msg.broadcast = msg.dest == 0xff;
	if (low & MSI_REDIRECTION_HINT && msg.mode == LAPIC_FIXED)
		msg.mode = LAPIC_LOWEST;
	lapic_bus_send(bus, NULL, &msg);
}

struct lapic_bus *lapic_bus_new(struct timers *timers, unsigned n_cpus, void (*eoi)(void *opaque, uint8_t vector),
				void *opaque)
{
	struct lapic_bus *bus = g_malloc0(sizeof(*bus) + n_cpus * sizeof(bus->lapics[0]));

	bus->timers = timers;
	bus->n_cpus = n_cpus;
	bus->eoi = eoi;
	bus->opaque = opaque;
	return bus;
}

void lapic_bus_free(struct lapic_bus *bus)
{
	if (!bus)
		return;
	for (unsigned i = 0; i < bus->n_cpus; i++) {
		struct lapic *lapic = bus->lapics[i];

		if (!lapic)
			continue;
		timer_free(lapic->timer);
		g_mutex_clear(&lapic->lock);
		g_free(lapic);
	}
	g_free(bus);
}
