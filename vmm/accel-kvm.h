/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_ACCEL_KVM_H
#define LODGE_VMM_ACCEL_KVM_H

#include <glib.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/accel.h"
#include "vmm/cpuid.h"
#include "vmm/vm.h"

/*
 * What the files of the KVM accelerator share: accel-kvm.c runs vCPUs, accel-kvm-irq.c carries interrupts,
 * accel-kvm-memory.c keeps slots and the dirty log, accel-kvm-state.c moves architectural state, accel-kvm-clock.c
 * stops and starts guest time, accel-kvm-probe.c opens /dev/kvm and judges it.
 */

/* Interrupts KVM_RUN. Its handler does nothing; real-time signals up to here belong to libraries. */
#define KVM_KICK_SIGNAL (SIGRTMIN + 4)

/*
 * Routes reserved for level-triggered messages of the I/O APIC, see accel-kvm-irq.c: 24 pins, with room for what they
 * were before.
 */
#define KVM_N_ROUTES 64u

/* Eventfds that interrupt; their GSIs come after the reserved ones. */
#define KVM_N_IRQFDS 512u

#define KVM_MAX_SLOTS 16u
#define KVM_MAX_CPUID 256u

struct kvm_route {
	uint32_t address, data;
};

/* A GSI with an eventfd. What it was routed to last is still so while it is not connected. */
struct kvm_irqfd_slot {
	int fd; /* -1: never used */
	bool connected;
	struct msi_message msg;
};

/* A slot as the kernel knows it. first_page: position of its RAM in the dirty bitmap. */
struct kvm_slot {
	struct kvm_userspace_memory_region region;
	uint8_t *page_flags;
	size_t first_page;
};

struct kvm_accel {
	struct accel base;
	int kvm_fd, vm_fd;
	size_t run_size; /* of a vCPU's mapping */

	/* Made with the first vCPU, constant afterwards. */
	struct cpuid_table *cpuid;
	uint32_t tsc_khz;

	/* Any thread, atomic. */
	bool extint;		   /* level of the PIC's output */
	struct kvm_vcpu_data *bsp; /* who accepts it */

	GMutex route_lock;
	struct kvm_route routes[KVM_N_ROUTES];
	unsigned n_routes, next_route;
	struct kvm_irqfd_slot irqfds[KVM_N_IRQFDS];
	unsigned n_irqfds;

	/* Loop thread, vCPUs stopped; dirty is also written by DMA from any thread, atomically. */
	struct kvm_slot slots[KVM_MAX_SLOTS];
	size_t n_slots, n_pages;
	uint64_t *dirty; /* pages written by devices; NULL while the log is off */

	/* Loop thread. */
	bool paused, state_loaded;
	uint64_t paused_clock, paused_host_tsc, paused_guest_tsc;
};

struct kvm_vcpu_data {
	struct kvm_accel *kvm;
	struct vcpu *vcpu;
	int fd;
	struct kvm_run *run;
	bool kicked; /* atomic */
	pid_t tid;   /* atomic: the thread inside vcpu_run(), 0 when none is */

	/*
	 * PIC interrupt on its way, own thread: taken from the PIC but not by the kernel; taken by the kernel but
	 * perhaps not by the guest. -1: none.
	 */
	int extint_held, extint_queued;

	size_t n_msrs; /* indexes the kernel knows, found out once */
	uint32_t msrs[X86_STATE_MAX_MSRS];
};

static inline struct kvm_accel *kvm_accel(struct accel *accel)
{
	return (struct kvm_accel *)accel;
}

/* accel-kvm-probe.c: opening and judging. Error texts say what to do about it. */
int kvm_open(GError **err); /* descriptor, or -1; API version and capabilities checked */
bool kvm_supported_leaves(int kvm_fd, struct cpuid_leaf *leaves, size_t *n, GError **err); /* cap KVM_MAX_CPUID */
bool kvm_install_kick_handler(GError **err); /* process-wide, harmless to repeat */
void kvm_accept_kicks(void);		     /* unblocks the signal in this thread */
void kvm_probe(struct accel_probe *probe);

/* accel-kvm-irq.c */
bool kvm_create_irqchip(struct kvm_accel *kvm, GError **err);
void kvm_msi(struct accel *accel, const struct msi_message *msg);
void kvm_extint(struct accel *accel, bool level);
void kvm_nmi(struct vcpu *vcpu);
bool kvm_set_irqfd(struct accel *accel, int fd, const struct msi_message *msg);
void kvm_settle_irqfds(struct kvm_accel *kvm);	   /* what has been signalled has arrived */
void kvm_prepare_extint(struct kvm_vcpu_data *kv); /* own thread, before each KVM_RUN */
/* Level-triggered vectors a loaded local APIC holds will want their EOI reported. */
void kvm_expect_eois(struct kvm_vcpu_data *kv, const uint8_t lapic[1024]);

/* accel-kvm-memory.c */
bool kvm_set_slots(struct accel *accel, GError **err);
bool kvm_dirty_start(struct accel *accel, GError **err);
bool kvm_dirty_harvest(struct accel *accel, uint64_t *bitmap, size_t n_words, GError **err);
void kvm_dirty_stop(struct accel *accel);

/* accel-kvm-state.c */
void kvm_find_msrs(struct kvm_vcpu_data *kv);
void kvm_get_state(struct vcpu *vcpu, struct x86_cpu_state *state);
bool kvm_set_state(struct vcpu *vcpu, const struct x86_cpu_state *state, GError **err);
bool kvm_read_msr(int fd, uint32_t index, uint64_t *val);
bool kvm_write_msr(int fd, uint32_t index, uint64_t val);

/* accel-kvm-clock.c */
void kvm_pause(struct accel *accel);
void kvm_resume(struct accel *accel);
/* A state with this TSC has just been loaded into a vCPU. */
void kvm_note_loaded(struct kvm_accel *kvm, uint64_t tsc);

/* accel-kvm.c: makes the vCPU's thread leave KVM_RUN, without meaning a kick. Any thread. */
void kvm_poke(struct kvm_vcpu_data *kv);

#endif
