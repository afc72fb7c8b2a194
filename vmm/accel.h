/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_ACCEL_H
#define LODGE_VMM_ACCEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/irq.h"
#include "vmm/x86-state.h"

/*
 * The accelerator contract: what runs guest instructions. accel-kvm.c and cpu/soft.c implement it; nobody else knows
 * which one runs.
 *
 * Order of calls: create, set_slots, then vcpu_create for every vCPU, all before any vcpu_run. vcpu_run, get_state and
 * set_state of a vCPU are called on that vCPU's own thread or while its thread is parked by the VM (stopped). kick,
 * msi, extint and nmi come from any thread.
 *
 * Port and MMIO accesses are dispatched inside vcpu_run() straight to vm->pio and vm->mmio; HLT waits inside it too.
 * It returns only for what the VM must decide.
 */
struct vm;
struct vcpu;
struct accel;

enum vcpu_exit {
	VCPU_EXIT_KICKED,	/* vcpu_kick() was called: look at the VM's requests and run again */
	VCPU_EXIT_TRIPLE_FAULT, /* shutdown condition */
	VCPU_EXIT_ERROR,	/* the accelerator cannot go on; text in vcpu->error */
};

/* What one accelerator offers on this host. reason: one line for people; always set. Free with accel_probe_clear(). */
struct accel_probe {
	bool usable;	   /* may be asked for by name */
	bool recommended;  /* auto may choose it */
	char *reason;	   /* "native execution, 3.1 G guest instructions/s" or why not, with the fix */
	double guest_mips; /* measured in guest kernel mode, 0 when not measured */
};

void accel_probe_clear(struct accel_probe *probe);

struct accel_class {
	const char *name; /* "kvm", "soft" */

	/* Measures what this host offers; at most some tens of milliseconds; never fails. */
	void (*probe)(struct accel_probe *probe);

	/*
	 * options: text after the comma in --accel NAME,OPTIONS (may be NULL); unknown options are LODGE_ERROR_USAGE.
	 */
	struct accel *(*create)(struct vm *vm, const char *options, GError **err);
	void (*destroy)(struct accel *accel);		      /* after all vCPUs */
	bool (*set_slots)(struct accel *accel, GError **err); /* (re)reads memory_slots(vm->mem) */

	bool (*vcpu_create)(struct accel *accel, struct vcpu *vcpu, GError **err); /* fills vcpu->accel_data */
	void (*vcpu_destroy)(struct vcpu *vcpu);
	enum vcpu_exit (*vcpu_run)(struct vcpu *vcpu);
	/* Makes vcpu_run return KICKED soon, also when it is about to be entered. Harmless to repeat. */
	void (*vcpu_kick)(struct vcpu *vcpu);
	void (*vcpu_get_state)(struct vcpu *vcpu, struct x86_cpu_state *state);
	bool (*vcpu_set_state)(struct vcpu *vcpu, const struct x86_cpu_state *state, GError **err);

	void (*msi)(struct accel *accel, const struct msi_message *msg); /* MSI, or I/O APIC message in MSI form */
	/* The PIC's INT output, wired to LINT0 of vCPU 0. */
	void (*extint)(struct accel *accel, bool level);
	void (*nmi)(struct vcpu *vcpu);

	/*
	 * An eventfd that is signalled instead of a bus write of size len (value ignored). false: the bus handler will
	 * do it. May be NULL.
	 */
	bool (*ioeventfd)(struct accel *accel, uint64_t mmio_addr, unsigned len, int fd, bool add);

	/*
	 * From now on a signal of the eventfd is this message to the guest, whoever makes it; msg NULL: no longer. A
	 * signal that comes while it means nothing stays in the eventfd and counts when it means something again; when
	 * NULL has been told, no message is on its way. fd is known by its number and stays the caller's, who tells
	 * NULL before it closes it. false: not possible, the caller sends messages itself. Any thread, one at a time
	 * for one fd. May be NULL.
	 */
	bool (*irqfd)(struct accel *accel, int fd, const struct msi_message *msg);

	/*
	 * Guest time stopped and started with the VM: keep TSC and PV clock from jumping. It stands until the first
	 * resume. Idempotent.
	 */
	void (*pause)(struct accel *accel);
	void (*resume)(struct accel *accel);

	/*
	 * Dirty log over all slots: start (all pages clean), harvest into a bitmap of one bit per RAM page (clears),
	 * stop.
	 */
	bool (*dirty_start)(struct accel *accel, GError **err);
	bool (*dirty_harvest)(struct accel *accel, uint64_t *bitmap, size_t n_words, GError **err);
	void (*dirty_stop)(struct accel *accel);
};

/* First member of every accelerator's own struct. */
struct accel {
	const struct accel_class *class;
	struct vm *vm;
};

extern const struct accel_class accel_kvm_class;
extern const struct accel_class accel_soft_class;

/* Every accelerator, best first; NULL-terminated. */
extern const struct accel_class *const accel_classes[];

/*
 * Resolves --accel: "auto", "kvm", "soft", each with ",options". For auto, *why (may be NULL) gets one line saying
 * what was chosen and, when a faster one was passed over, why; g_free() it.
 */
const struct accel_class *accel_choose(const char *spec, char **options, char **why, GError **err);

#endif
