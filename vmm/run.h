/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_RUN_H
#define LODGE_VMM_RUN_H

#include <glib.h>
#include <stdbool.h>

#include "core/model/vm-config.h"
#include "vmm/vm.h"

/*
 * A transient VM from start to end, in the calling process and on the calling thread: machine, console, signals,
 * loop. Nothing is printed here; the front end says what happened from what it gets back. At most one at a time in a
 * process.
 */
struct vm_run_info {
	const char *name;
	const char *why; /* the accelerator's name and why it was chosen, in one line */
	bool keys;	 /* ^] keys work on this console */
	bool paused;
};

struct vm_run_result {
	enum vm_stop why;
	char *text;	      /* more about it, or NULL */
	int signal;	      /* that asked this process to end, or 0 */
	uint64_t lost_output; /* console bytes a slow reader missed */
};

void vm_run_result_clear(struct vm_run_result *result);

/*
 * Builds the VM, calls started (may be NULL) once it is ready, runs it until it has stopped, takes everything down.
 * True: it ran, result says how it ended. False: it never ran; nothing is left behind and the terminal was not
 * touched.
 */
bool vm_main(const struct vm_config *config, void (*started)(void *opaque, const struct vm_run_info *info),
	     void *opaque, struct vm_run_result *result, GError **err);

#endif
