/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_HOST_CPUS_H
#define LODGE_TUI_HOST_CPUS_H

#include <glib.h>
#include <stdbool.h>

#include "core/capabilities.h"

/*
 * The VMM's knowledge of processors and accelerators in the form in which core/ makes capabilities of it.
 */
struct host_cpus {
	struct host *host;
	struct cpu_catalog *catalog;
	char *uuid, *emulator;
	struct capabilities caps; /* of all these */
};

struct host_cpus *host_cpus_read(GError **err);
void host_cpus_free(struct host_cpus *cpus);
DEFINE_AUTOPTR(host_cpus, host_cpus_free)

/* Checks the request and fills the catalog with what a VM of that type can have. */
bool host_cpus_request(struct host_cpus *cpus, struct capabilities_request *request, GError **err);

#endif
