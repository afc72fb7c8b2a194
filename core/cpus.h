/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_CPUS_H
#define LODGE_CORE_CPUS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/model/xml.h"

/*
 * CPU models as sets of features, and what cpu-compare and cpu-baseline make of them. Which models and features there
 * are is the VMM's knowledge; the front end fills a catalog from it.
 */
#define CPUS_MAX_FEATURES 256u

struct cpu_bits {
	uint64_t bits[CPUS_MAX_FEATURES / 64];
};

static inline bool cpu_bits_has(const struct cpu_bits *set, unsigned n)
{
	return n < CPUS_MAX_FEATURES && (set->bits[n / 64] >> (n % 64) & 1);
}

static inline void cpu_bits_set(struct cpu_bits *set, unsigned n, bool on)
{
	uint64_t bit = UINT64_C(1) << (n % 64);

	if (n < CPUS_MAX_FEATURES)
		set->bits[n / 64] = on ? set->bits[n / 64] | bit : set->bits[n / 64] & ~bit;
}

bool cpu_bits_within(const struct cpu_bits *set, const struct cpu_bits *of);

struct cpu_kind {
	char *name;
	char *vendor; /* "Intel"; NULL: anybody's */
	struct cpu_bits features;
};

struct cpu_catalog {
	GPtrArray *features;	    /* char *, libvirt's names; the index is the bit */
	GPtrArray *models;	    /* struct cpu_kind */
	struct cpu_bits host;	    /* what the host's processor has */
	struct cpu_bits hypervisor; /* what a VM can have here */
	struct cpu_bits shaped;	    /* what a VM gets by its topology, never by name */
	struct cpu_bits fixed;	    /* what keeps a VM from moving to another host */
	char *vendor;		    /* "Intel", "AMD": libvirt's name; NULL */
};

struct cpu_catalog *cpu_catalog_new(void);
void cpu_catalog_free(struct cpu_catalog *catalog);
DEFINE_AUTOPTR(cpu_catalog, cpu_catalog_free)

int cpu_catalog_feature(const struct cpu_catalog *catalog, const char *name); /* -1: not known */
unsigned cpu_catalog_add_feature(struct cpu_catalog *catalog, const char *name);
struct cpu_kind *cpu_catalog_add_model(struct cpu_catalog *catalog, const char *name, const char *vendor);
const struct cpu_kind *cpu_catalog_model(const struct cpu_catalog *catalog, const char *name);
/*
 * The model with most features of which all are in the set, of that vendor (may be NULL) or anybody's; NULL: none fits.
 */
const struct cpu_kind *cpu_catalog_best(const struct cpu_catalog *catalog, const struct cpu_bits *set,
					const char *vendor);

/*
 * The <cpu> elements of a file: <cpu> itself, those of <capabilities>, <domainCapabilities> (host-model) and <domain>,
 * several documents one after the other. xmlNode *, owned by *doc, which the caller frees; name stands in errors.
 */
GPtrArray *cpus_parse(const char *text, const char *name, xmlDoc **doc, GError **err);

/* Model and features of a <cpu>. LODGE_ERROR_INPUT or UNSUPPORTED, with what is not known. */
bool cpus_features(const struct cpu_catalog *catalog, xmlNode *cpu, struct cpu_bits *set, GError **err);

enum cpus_verdict { CPUS_INCOMPATIBLE, CPUS_IDENTICAL, CPUS_SUPERSET };

/* What have (host or hypervisor) is to cpu; *missing: names of what it lacks, g_free(). */
bool cpus_compare(const struct cpu_catalog *catalog, const struct cpu_bits *have, xmlNode *cpu,
		  enum cpus_verdict *verdict, char **missing, GError **err);

/*
 * Adds a <feature> for each of set that is not in model (may be NULL). policy: "require", then without what is not
 * asked for by name; or NULL, as a host's features have none.
 */
void cpus_add_features(const struct cpu_catalog *catalog, xmlNode *to, const struct cpu_bits *set,
		       const struct cpu_kind *model, const char *policy);

/* A <cpu> that every one of cpus (xmlNode *) can be, nothing beyond limit. expand: name every feature. g_free(). */
char *cpus_baseline(const struct cpu_catalog *catalog, const GPtrArray *cpus, const struct cpu_bits *limit, bool expand,
		    GError **err);

#endif
