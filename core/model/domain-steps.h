/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_DOMAIN_STEPS_H
#define LODGE_CORE_MODEL_DOMAIN_STEPS_H

#include "core/model/domain.h"

/*
 * The steps of domain_recheck(), in this order, each working on a tree that the schema accepted. A step that adds
 * something leaves alone what is there, so that a second round changes nothing.
 */
void domain_fill(struct domain *domain); /* units, defaults, identifiers */
bool domain_assign_buses(struct domain *domain,
			 GError **err); /* drive, USB, virtio-serial addresses; their controllers */
bool domain_assign_pci(struct domain *domain, GError **err);		/* PCI controllers and addresses */
bool domain_check_rules(const struct domain *domain, GError **err);	/* across elements */
bool domain_check_addresses(const struct domain *domain, GError **err); /* no two devices at one place */

void domain_order(struct domain *domain); /* canonical */

/* Run by kvm or by the software CPU: other hypervisors have rules of their own. */
bool domain_is_ours(xmlNode *root);

/* A PC run by kvm or by the software CPU: the only machines whose devices are filled in. */
bool domain_is_pc(xmlNode *root);

/* The board of the machine name: q35, or i440fx for everything else that is a PC. */
bool domain_is_q35(xmlNode *root);

/* 0 for "vda", 27 for "vdab"; -1: does not end in letters behind one of the known prefixes, or too large. */
int domain_target_index(const char *target);

/* The <controller> of this type and number, or NULL. */
xmlNode *domain_controller(xmlNode *root, const char *type, uint64_t index);
xmlNode *domain_add_controller(xmlNode *root, const char *type, uint64_t index, const char *model);

/* Root ports of USB controller number bus; 0: there is no such controller. */
unsigned domain_usb_ports(xmlNode *root, unsigned bus);

/* An address of this type directly below a device; NULL: none. */
xmlNode *domain_address(xmlNode *device, const char *type);

/* A PCI address that is complete and within limits. */
struct domain_pci {
	unsigned bus, slot, function;
};
bool domain_pci_address(xmlNode *device, struct domain_pci *pci);

/* An unsigned attribute or 0. */
uint64_t domain_number(xmlNode *from, const char *path);

#endif
