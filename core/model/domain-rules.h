/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_DOMAIN_RULES_H
#define LODGE_CORE_MODEL_DOMAIN_RULES_H

#include "core/model/domain-steps.h"

/*
 * The parts of domain_check_rules(), on a tree that the schema accepted and domain_fill() went over. They change
 * nothing. max: the vCPUs of the definition, which domain_check_cpus() has found to be in range.
 */
bool domain_check_os(xmlNode *root, GError **err);	/* kernel, firmware, SMBIOS */
bool domain_check_machine(xmlNode *root, GError **err); /* what only some machines have */
bool domain_check_cpus(xmlNode *root, unsigned *max, GError **err);
bool domain_check_threads(xmlNode *root, unsigned max, GError **err); /* pins, schedulers, I/O threads */
bool domain_check_tuning(xmlNode *root, GError **err); /* caches, bandwidth, NUMA policy, huge pages, memory modules */
bool domain_check_devices(xmlNode *root, GError **err);
bool domain_check_disk(xmlNode *disk, bool ours, GError **err);
bool domain_check_port(xmlNode *device, GError **err); /* a character device */
bool domain_check_hostdevs(xmlNode *devices, GError **err);
bool domain_check_usb(xmlNode *root, GError **err);
/* After the addresses were assigned: controllers fit together, ports exist, and so do the hubs on the way. */
bool domain_check_usb_places(xmlNode *root, GError **err);

/* <cell>s of the guest. */
unsigned domain_count_cells(xmlNode *root);
#endif
