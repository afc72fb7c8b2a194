/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_CAPABILITIES_H
#define LODGE_CORE_CAPABILITIES_H

#include <glib.h>
#include <stdbool.h>

#include "core/cpus.h"
#include "core/host.h"

/*
 * What this host and this program can do, in libvirt's XML: <capabilities> and <domainCapabilities>. What a VM can have
 * follows the tables of the definition's schema; the texts are valid under libvirt's own schemas.
 */
struct capabilities {
	const struct host *host;
	const char *uuid; /* of the host; NULL: not known */
	const struct cpu_catalog *catalog;
	const char *emulator; /* path of this program */
	bool kvm;	      /* domains of type kvm can run */
	bool prefer_kvm;      /* and are what a definition should ask for */
};

/* From the firmware, else from the machine id, below root (NULL: the real one). NULL: neither; g_free(). */
char *capabilities_host_uuid(const char *root);

/* g_free(). */
char *capabilities_format(const struct capabilities *caps);

/* NULL: the default. After a successful check none is. */
struct capabilities_request {
	const char *virttype, *emulator, *arch, *machine;
};

/* Whether there are such domains here; fills in what is NULL. LODGE_ERROR_INPUT says what there is. */
bool capabilities_check(const struct capabilities *caps, struct capabilities_request *request, GError **err);

/* request: checked; the catalog's hypervisor has the features of that virttype. g_free(). */
char *capabilities_format_domain(const struct capabilities *caps, const struct capabilities_request *request);

#endif
