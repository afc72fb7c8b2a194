/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_VM_PRIVATE_H
#define LODGE_VMM_VM_PRIVATE_H

#include "vmm/vm.h"

/* Shared by vm.c (states, requests) and vm-threads.c (vCPU threads); nobody else includes it. */
struct vm_private {
	GMutex lock; /* innermost: nothing is called with it held */
	GCond changed;

	/* lock */
	enum vm_state state;
	unsigned requests;
	enum vm_stop stop;
	const char *stop_text;
	const char *reset_text;
	enum vm_stop held; /* asked for; a fact once the loop has paused the VM */
	const char *held_text;
	unsigned n_resets;
	int64_t values[VM_N_EVENTS]; /* posted, where posted has the bit */
	unsigned posted;
	bool reboot_instead; /* of the next power-off */
	bool hold;	   /* vCPUs are to park */
	bool quit;	   /* vCPU threads are to end */
	unsigned n_parked; /* threads waiting because of hold or quit, or for good after a fatal exit */

	/* loop thread */
	struct stats_page *own_stats; /* or NULL: somebody else's page is used */
	void (*on_event)(void *opaque, const struct vm_event_info *info);
	void *on_event_opaque;
	GSource *source; /* wakes the loop for requests */
	bool (*boot)(void *opaque, GError **err);
	void *boot_opaque;
	GError *error;		  /* what stop_text points into when the VMM failed */
	unsigned n_vcpus_created; /* with the accelerator */
	unsigned n_threads;
};

/* vCPUs that have ended with a triple fault may run again. */
void vm_threads_revive(struct vm *vm);

/* Starts every vCPU's thread, parked. */
bool vm_threads_start(struct vm *vm, GError **err);

/* Parks every vCPU and waits until the last one is; lets them run again. Both do nothing when there are no threads. */
void vm_threads_hold(struct vm *vm);
void vm_threads_release(struct vm *vm);

/* Ends and joins them. */
void vm_threads_end(struct vm *vm);

#endif
