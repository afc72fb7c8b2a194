/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_DOMAIN_H
#define LODGE_CORE_MODEL_DOMAIN_H

#include "core/base/cleanup.h"
#include "core/model/vm-config.h"
#include "core/model/xml.h"

/*
 * A domain definition: the checked, filled-in tree, and the few facts of it that everybody needs. Commands read and
 * change the tree with core/model/xml.h and then call domain_recheck().
 */
struct domain {
	xmlDoc *doc;
	xmlNode *root; /* <domain> */
	char *name;
	char uuid[37]; /* lower case, with dashes */
};

/* What "q35" and "pc" stand for: the boards' present versions, written into definitions that name no version. */
#define DOMAIN_MACHINE_Q35 "pc-q35-1.0"
#define DOMAIN_MACHINE_PC "pc-i440fx-1.0"

enum {
	DOMAIN_VALIDATE = 1 << 0, /* unknown elements and attributes are errors */
	DOMAIN_STORED = 1 << 1,	  /* written by domain_format(): only parsed, not checked and filled in again */
};

/*
 * Schema, then what is missing is assigned as libvirt does (UUID, MACs, units to KiB, defaults, controllers, addresses,
 * vcpu, machine, clock, on_*), then rules across elements. Assigned values never change in later rounds. source: a
 * file's name for errors.
 */
struct domain *domain_parse(const char *text, size_t len, const char *source, unsigned flags, GError **err);
void domain_free(struct domain *domain);
DEFINE_AUTOPTR(domain, domain_free)
struct domain *domain_copy(const struct domain *domain);

/*
 * After the tree was changed: as domain_parse() does it; on failure the tree holds the refused state, so work on a
 * copy.
 */
bool domain_recheck(struct domain *domain, GError **err);

enum {
	DOMAIN_SECRET = 1 << 0,	  /* with passwords (--security-info) */
	DOMAIN_INACTIVE = 1 << 1, /* without what only a running VM has: id, aliases, resolved ports and paths */
	DOMAIN_MIGRATABLE = 1 << 2,
};
/* Canonical text; g_free(). DOMAIN_SECRET | DOMAIN_INACTIVE is what the store holds. */
char *domain_format(const struct domain *domain, unsigned flags);

/* What only a running VM has: id attribute, aliases for every device, pty paths (later, by the VM). */
void domain_make_live(struct domain *domain, int id);

/* KiB, from <memory> and <currentMemory>. */
uint64_t domain_max_memory(const struct domain *domain);
uint64_t domain_memory(const struct domain *domain);
unsigned domain_max_vcpus(const struct domain *domain);
unsigned domain_vcpus(const struct domain *domain);
/*
 * "destroy", "restart", "preserve", "rename-restart", "coredump-destroy", "coredump-restart"; event: "on_poweroff" ...
 */
char *domain_policy(const struct domain *domain, const char *event);

/* What vmm/ builds. notices: as schema_unsupported(). An error names the element's line. */
struct vm_config *domain_vm_config(const struct domain *domain, GPtrArray *notices, GError **err);

/* A name is not empty, at most 251 bytes (NAME.xml is a file), no '/', no newline, not "." or "..". */
bool domain_name_check(const char *name, GError **err);

/* domxml-from-native and -to-native, format "qemu-argv". */
struct domain *domain_from_argv(const char *text, GError **err);
char *domain_to_argv(const struct domain *domain, GError **err);

#endif
