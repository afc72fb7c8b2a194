/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules for the processors of one definition: how many, how they are arranged, what they can. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/cpuset.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

#define MAX_VCPUS 4096u /* a definition may ask for more than this host's Lodge builds */
#define MAX_CELLS 2048u
#define VENDOR_ID 12u

static bool check_vcpus(xmlNode *root, unsigned *max, GError **err)
{
	xmlNode *node = xml_find(root, "vcpu");
	uint64_t count = domain_number(root, "vcpu"), current;

	if (count < 1 || count > MAX_VCPUS)
		return fail_xml(err, node, NULL, "%" G_GUINT64_FORMAT " vCPUs: 1 to %u are possible", count, MAX_VCPUS);
	*max = (unsigned)count;
	if (xml_get_uint(root, "vcpu/@current", &current) && (current < 1 || current > count))
		return fail_xml(err, node, "current", "%" G_GUINT64_FORMAT " is not between 1 and the maximum, %u",
				current, *max);
	return true;
}

/* Multiplies, staying far from overflow. */
static uint64_t product(xmlNode *topology)
{
	static const char *const names[] = { "@sockets", "@dies", "@clusters", "@cores", "@threads" };
	uint64_t total = 1;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		uint64_t value;

		if (xml_get_uint(topology, names[i], &value))
			total *= MIN(value, UINT16_MAX);
		if (total > UINT32_MAX)
			return UINT32_MAX;
	}
	return total;
}

static bool check_topology(xmlNode *root, unsigned max, GError **err)
{
	xmlNode *topology = domain_is_ours(root) ? xml_find(root, "cpu/topology") : NULL;
	uint64_t total = topology ? product(topology) : max;

	if (total != max)
		return fail_xml(err, topology, NULL,
				"sockets, dies, cores and threads make %" G_GUINT64_FORMAT " vCPUs, but <vcpu> says %u",
				total, max);
	return true;
}

static bool check_model(xmlNode *root, GError **err)
{
	g_autofree char *vendor = xml_get(root, "cpu/model/@vendor_id");
	g_autofree char *model = xml_get(root, "cpu/model");
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	if (vendor && strlen(vendor) != VENDOR_ID)
		return fail_xml(err, xml_find(root, "cpu/model"), "vendor_id",
				"'%s' is not %u characters long, like GenuineIntel", vendor, VENDOR_ID);
	if (model && *model && (xml_is(root, "cpu/@mode", "host-passthrough") || xml_is(root, "cpu/@mode", "maximum")))
		return fail_xml(err, xml_find(root, "cpu/model"), NULL,
				"a model and this mode exclude each other: use mode='custom'");
	for (xmlNode *feature = xml_first(root, "cpu/feature"); feature; feature = xml_next(feature)) {
		g_autofree char *name = xml_get(feature, "@name");

		if (name && !g_hash_table_add(seen, g_strdup(name)))
			return fail_xml(err, feature, "name", "feature '%s' is given twice", name);
	}
	return true;
}

static bool check_cache(xmlNode *cpu, xmlNode *cache, GError **err)
{
	if (xml_is(cache, "@mode", "passthrough") && object_has(cache, "@level"))
		return fail_xml(err, cache, "level", "not with mode 'passthrough': all levels are the host's");
	if (xml_is(cache, "@mode", "passthrough") && !xml_is(cpu, "@mode", "host-passthrough") &&
	    !xml_is(cpu, "@mode", "maximum"))
		return fail_xml(err, cache, "mode", "'passthrough' needs a CPU of mode 'host-passthrough'");
	if (xml_is(cache, "@mode", "emulate") && !xml_is(cache, "@level", "3"))
		return fail_xml(err, cache, "level", "only level 3 can be emulated");
	return true;
}

static bool check_levels(xmlNode *root, GError **err)
{
	xmlNode *cpu = xml_find(root, "cpu");
	xmlNode *cache = cpu ? xml_find(cpu, "cache") : NULL;
	xmlNode *size = cpu ? xml_find(cpu, "maxphysaddr") : NULL;
	bool emulate = size && xml_is(size, "@mode", "emulate");

	if (emulate && !object_has(size, "@bits"))
		return fail_xml(err, size, NULL, "attribute bits is missing");
	if (size && !emulate && object_has(size, "@bits"))
		return fail_xml(err, size, "bits", "only with mode 'emulate'");
	return !cache || check_cache(cpu, cache, err);
}

unsigned domain_count_cells(xmlNode *root)
{
	unsigned n = 0;

	for (xmlNode *cell = xml_first(root, "cpu/numa/cell"); cell; cell = xml_next(cell))
		n++;
	return n;
}

static bool parse_vcpus(const char *text, unsigned max, struct cpuset *set)
{
	struct cpuset all = { 0 };

	cpuset_fill(&all, max);
	return cpuset_parse(set, text, NULL) && cpuset_is_subset(set, &all);
}

static bool check_cell(xmlNode *cell, unsigned max, unsigned n_cells, uint8_t *owner, uint8_t *ids, GError **err)
{
	g_autofree char *cpus = xml_get(cell, "@cpus");
	struct cpuset set;
	uint64_t id = domain_number(cell, "@id");

	if (id >= n_cells)
		return fail_xml(err, cell, "id", "%" G_GUINT64_FORMAT ": cells are numbered 0 to %u without a gap", id,
				n_cells - 1);
	if (ids[id]++)
		return fail_xml(err, cell, "id", "cell %" G_GUINT64_FORMAT " is described twice", id);
	if (!xml_find(cell, "@memory"))
		return fail_xml(err, cell, "memory", "missing: the cell's share of the memory");
	if (!cpus || !*cpus)
		return true;
	if (!parse_vcpus(cpus, max, &set))
		return fail_xml(err, cell, "cpus", "'%s' is not a list of vCPUs between 0 and %u", cpus, max - 1);
	for (unsigned i = 0; i < max; i++) {
		if (cpuset_has(&set, i) && owner[i]++)
			return fail_xml(err, cell, "cpus", "vCPU %u is in two cells", i);
	}
	for (xmlNode *n = xml_first(cell, "distances/sibling"); n; n = xml_next(n)) {
		if (domain_number(n, "@id") >= n_cells)
			return fail_xml(err, n, "id", "there is no cell %" G_GUINT64_FORMAT, domain_number(n, "@id"));
	}
	return true;
}

static bool check_numa(xmlNode *root, unsigned max, GError **err)
{
	g_autofree uint8_t *owner = g_malloc0(max);
	g_autofree uint8_t *ids = NULL;
	unsigned n = domain_count_cells(root);

	if (n > MAX_CELLS)
		return fail_xml(err, xml_find(root, "cpu/numa"), NULL, "more than %u cells", MAX_CELLS);
	ids = g_malloc0(n + 1);
	for (xmlNode *cell = xml_first(root, "cpu/numa/cell"); cell; cell = xml_next(cell)) {
		if (!check_cell(cell, max, n, owner, ids, err))
			return false;
	}
	return true;
}

static bool check_vcpu_list(xmlNode *root, unsigned max, GError **err)
{
	g_autofree uint8_t *seen = g_malloc0(max);

	for (xmlNode *vcpu = xml_first(root, "vcpus/vcpu"); vcpu; vcpu = xml_next(vcpu)) {
		uint64_t id = domain_number(vcpu, "@id");

		if (id >= max)
			return fail_xml(err, vcpu, "id",
					"there is no vCPU %" G_GUINT64_FORMAT ": they are numbered 0 to %u", id,
					max - 1);
		if (seen[id]++)
			return fail_xml(err, vcpu, "id", "vCPU %" G_GUINT64_FORMAT " is given twice", id);
	}
	return true;
}

bool domain_check_cpus(xmlNode *root, unsigned *max, GError **err)
{
	return check_vcpus(root, max, err) && check_topology(root, *max, err) && check_model(root, err) &&
	       check_levels(root, err) && check_numa(root, *max, err) && check_vcpu_list(root, *max, err);
}
