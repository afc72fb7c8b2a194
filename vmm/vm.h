/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_VM_H
#define LODGE_VMM_VM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/model/stats-page.h"
#include "vmm/accel.h"
#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/timer.h"

/*
 * One virtual machine in this process.
 *
 * Threads: each vCPU has a thread that runs accel->vcpu_run(); one loop thread (the thread that calls vm_run()) runs
 * timers, consoles and requests; a disk may have an I/O thread. There is no big lock: device registers are guarded by
 * their device's lock, which the bus dispatcher and the timer code take. Lock order: device lock, then PIC / I/O APIC
 * lock, then local APIC lock. Nobody waits for a vCPU while holding a device lock.
 *
 * Run states and what is allowed in each:
 *   CREATED   devices exist, no thread runs         -> RUNNING, PAUSED, STOPPED
 *   RUNNING   vCPUs run, time passes                -> PAUSED, STOPPED
 *   PAUSED    vCPUs parked, devices quiet, time stands still; state may be saved and loaded  -> RUNNING, STOPPED
 *   STOPPED   vCPUs have ended for good; vm->stop_* say why
 * vm_set_state() is the only place that changes it and refuses the rest.
 */
enum vm_state { VM_CREATED, VM_RUNNING, VM_PAUSED, VM_STOPPED, VM_N_STATES };

/* Why a VM stopped. The first reason wins. */
enum vm_stop {
	VM_STOP_NONE,
	VM_STOP_POWEROFF,     /* the guest switched itself off (S5) */
	VM_STOP_RESET,	      /* the guest asked for a reset and the VM was told not to reboot */
	VM_STOP_QUIT,	      /* the user or the host asked: detach-and-end, SIGTERM */
	VM_STOP_TRIPLE_FAULT, /* shutdown condition on a vCPU */
	VM_STOP_PANIC,	      /* pvpanic, or a panicked kernel that waits for ever */
	VM_STOP_ERROR,	      /* the VMM or the accelerator failed: vm->stop_error */
	VM_N_STOPS
};

struct vm;
struct chardev;
struct pci_bus;
struct i8259;
struct ioapic;
struct lapic;
struct pm;

struct vcpu {
	struct vm *vm;
	unsigned index;	  /* 0 is the bootstrap processor */
	unsigned apic_id; /* equals index */
	GThread *thread;
	void *accel_data;	  /* the accelerator's own */
	GError *error;		  /* set by its own thread before VCPU_EXIT_ERROR */
	struct stats_vcpu *stats; /* its slot of vm->stats; written by its thread, read by anybody */
};

struct vm {
	/* set up before the vCPUs start, constant afterwards */
	char *name;
	struct memory *mem;
	struct bus *pio, *mmio;
	struct timers *timers;
	GMainContext *context; /* the loop thread's */
	const struct accel_class *accel_class;
	struct accel *accel;
	struct vcpu *vcpus;
	unsigned n_vcpus;
	const struct cpu_model *cpu_model; /* vmm/cpuid.h */
	struct pci_bus *pci;
	struct i8259 *pic;
	struct ioapic *ioapic;
	struct pm *pm;
	GPtrArray *devices;	  /* struct device, in creation order; destroyed in reverse */
	struct stats_page *stats; /* state and counters; never NULL */
	bool no_reboot;		  /* a reset that the guest asks for is a stop */
	bool reset_on_fault;	  /* a triple fault is a reset that the guest asks for, not a stop */
	unsigned hold_stops;	  /* bit (1 << enum vm_stop): such a stop leaves the VM paused instead, see vm_held() */

	struct vm_private *private; /* vmm/vm.c */
};

/*
 * Life of a VM, all on the loop thread: vm_new(), then vmm/machine.c fills in the accelerator and the devices,
 * vm_create_vcpus(), vm_start(), vm_run(), vm_free(). memory: bytes. The VM's clock stands still until vm_start().
 */
struct vm *vm_new(const char *name, uint64_t memory, unsigned n_vcpus, GMainContext *context, GError **err);
void vm_free(struct vm *vm); /* ends the vCPUs if they run, then takes everything down in reverse order */
DEFINE_AUTOPTR(vm, vm_free)

/*
 * Counts and tells its state in a page that others see instead of one of its own. Before devices and vCPUs are made;
 * page: not owned, filled in by stats_page_init(), must outlive the VM.
 */
void vm_use_stats(struct vm *vm, struct stats_page *page);

/* After the accelerator and the devices exist. */
bool vm_create_vcpus(struct vm *vm, GError **err);

/*
 * How the machine comes to its power-on state with a kernel in memory; called by vm_start() and at every reset, vCPUs
 * parked or not yet started.
 */
void vm_set_boot(struct vm *vm, bool (*boot)(void *opaque, GError **err), void *opaque);

/* Boots the machine, starts the vCPU threads and lets them run, or leaves them parked. */
bool vm_start(struct vm *vm, bool paused, GError **err);

/* Runs the loop until the VM has stopped. */
void vm_run(struct vm *vm);

/*
 * At once, where a request would come too late (before this process is suspended). Nothing happens in a state that
 * does not allow it.
 */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
void vm_stop(struct vm *vm); /* ends the vCPU threads */

/* Says in the statistics page why (DOMAIN_PAUSED_...); vm_pause() says that the user asked. */
void vm_pause_because(struct vm *vm, unsigned reason);
/* Why the VM is held (hold_stops), or VM_STOP_NONE: it cannot be resumed; it can be looked at, reset, and ended. */
enum vm_stop vm_held(const struct vm *vm);
/*
 * The power button; once the guest has switched itself off it is started again. False: the guest has not enabled ACPI.
 */
bool vm_reboot_button(struct vm *vm);
/*
 * The reset button: also where the guest may not reboot. A paused VM stays paused, one that is held becomes a paused
 * one.
 */
void vm_reset(struct vm *vm);

/*
 * What happened to the VM, told on the loop thread right after it happened, in the order in which it happened. guest:
 * by the guest's doing. text: why, in words; or NULL.
 */
enum vm_event {
	VM_EVENT_PAUSED,
	VM_EVENT_RESUMED,
	VM_EVENT_RESET,
	VM_EVENT_POWERDOWN, /* the power button was pressed */
	VM_EVENT_PANICKED,
	VM_EVENT_HELD,	  /* vm_held() */
	VM_EVENT_STOPPED, /* vm_stop_reason() */
	VM_EVENT_RTC,	  /* value: seconds the guest's clock is ahead of UTC */
	VM_EVENT_BALLOON, /* value: bytes left to the guest */
	VM_EVENT_PORT,	  /* value: number of the virtio port << 1 | open */
	VM_N_EVENTS
};
struct vm_event_info {
	enum vm_event event;
	bool guest;
	const char *text;
	int64_t value;
};
void vm_on_event(struct vm *vm, void (*fn)(void *opaque, const struct vm_event_info *info), void *opaque);
/* For devices, on the loop thread; and on any thread: told soon, the latest value only. */
void vm_tell_value(struct vm *vm, enum vm_event event, int64_t value);
void vm_post_value(struct vm *vm, enum vm_event event, int64_t value);

/* Shows every vCPU's state to fn, the vCPUs parked for that moment. */
void vm_inspect(struct vm *vm, void (*fn)(void *opaque, const struct x86_cpu_state *state), void *opaque);

/*
 * Requests a device or a signal may make from any thread; carried out on the loop thread. reason: static text or
 * NULL.
 */
void vm_request_stop(struct vm *vm, enum vm_stop why, const char *reason);
void vm_request_reset(struct vm *vm, const char *reason); /* becomes a stop with VM_STOP_RESET when vm->no_reboot */
void vm_request_triple_fault(struct vm *vm);
void vm_request_pause(struct vm *vm);
void vm_request_resume(struct vm *vm);

enum vm_state vm_state(const struct vm *vm);
/* text: NULL, or more about it; lives as long as vm. */
enum vm_stop vm_stop_reason(const struct vm *vm, const char **text);
const char *vm_state_name(enum vm_state state);
const char *vm_stop_name(enum vm_stop why);

/*
 * The guest pressed nothing: the host presses the ACPI power button (SCI). False when the guest has not enabled ACPI.
 */
bool vm_power_button(struct vm *vm);

/* Adds a device whose class is filled in; vm owns it from now on (destroy). */
void vm_add_device(struct vm *vm, struct device *dev_consume);

/*
 * Interrupt line of a legacy GSI (0 to 23): drives the I/O APIC pin and, below 16, the PIC. GSI 2 is the PIT on the
 * I/O APIC, 0 on the PIC.
 */
struct irq vm_gsi(struct vm *vm, unsigned gsi);

/* Sends a message to the local APICs. Any thread. */
void vm_msi(struct vm *vm, const struct msi_message *msg);

/* Called by an accelerator that accepts an ExtINT on vCPU 0: the PIC's acknowledge cycle. Returns the vector. */
uint8_t vm_pic_ack(struct vm *vm);

#endif
