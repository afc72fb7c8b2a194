/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules for shares of the host: caches, memory bandwidth, NUMA policy, huge pages; and for memory modules. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/cpuset.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

static bool read_set(xmlNode *node, const char *path, struct cpuset *set)
{
	g_autofree char *text = xml_get(node, path);

	return text && cpuset_parse(set, text, NULL);
}

static bool intersects(const struct cpuset *a, const struct cpuset *b)
{
	for (size_t i = 0; i < G_N_ELEMENTS(a->bits); i++) {
		if (a->bits[i] & b->bits[i])
			return true;
	}
	return false;
}

static bool is_equal(const struct cpuset *a, const struct cpuset *b)
{
	return !memcmp(a->bits, b->bits, sizeof(a->bits));
}

/* No two of these elements name one number twice. */
static bool check_apart(xmlNode *first, const char *attr, GError **err)
{
	g_autofree char *path = g_strconcat("@", attr, NULL);

	for (xmlNode *a = first; a; a = xml_next(a)) {
		struct cpuset set, other;

		if (!read_set(a, path, &set))
			continue;
		for (xmlNode *b = xml_next(a); b; b = xml_next(b)) {
			if (read_set(b, path, &other) && intersects(&set, &other))
				return fail_xml(err, b, attr, "some of these stand in an earlier <%s> already",
						(const char *)b->name);
		}
	}
	return true;
}

/* --- cache and memory bandwidth --- */

static bool check_caches(xmlNode *tune, GError **err)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (xmlNode *cache = xml_first(tune, "cache"); cache; cache = xml_next(cache)) {
		static const char *const types[] = { "code", "data" };
		g_autofree char *id = xml_get(cache, "@id");
		g_autofree char *level = xml_get(cache, "@level");

		for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
			if (!xml_is(cache, "@type", "both") && !xml_is(cache, "@type", types[i]))
				continue;
			if (!g_hash_table_add(seen, g_strdup_printf("%s %s %s", level, id, types[i])))
				return fail_xml(err, cache, NULL, "this cache stands in an earlier <cache> already");
		}
	}
	return true;
}

/* A monitor watches the group or some of it, and no CPU is in two smaller ones. */
static bool check_monitors(xmlNode *tune, const struct cpuset *group, GError **err)
{
	for (xmlNode *a = xml_first(tune, "monitor"); a; a = xml_next(a)) {
		struct cpuset set, other;

		if (!read_set(a, "@vcpus", &set))
			continue;
		if (!cpuset_is_subset(&set, group))
			return fail_xml(err, a, "vcpus", "not within the vcpus of <%s>", (const char *)tune->name);
		for (xmlNode *b = xml_next(a); b; b = xml_next(b)) {
			if (read_set(b, "@vcpus", &other) && intersects(&set, &other) && !is_equal(&set, group) &&
			    !is_equal(&other, group))
				return fail_xml(err, b, "vcpus", "some of these stand in an earlier <monitor> already");
		}
	}
	return true;
}

static bool check_groups(xmlNode *first, GError **err)
{
	for (xmlNode *tune = first; tune; tune = xml_next(tune)) {
		struct cpuset group;

		if (!check_caches(tune, err) || !object_check_unique(xml_first(tune, "node"), "id", err))
			return false;
		if (read_set(tune, "@vcpus", &group) && !check_monitors(tune, &group, err))
			return false;
	}
	return check_apart(first, "vcpus", err);
}

/* A group of one kind is a group of the other, or has none of its CPUs. */
static bool check_between(xmlNode *caches, xmlNode *memories, GError **err)
{
	for (xmlNode *a = caches; a; a = xml_next(a)) {
		struct cpuset set, other;

		if (!read_set(a, "@vcpus", &set))
			continue;
		for (xmlNode *b = memories; b; b = xml_next(b)) {
			if (read_set(b, "@vcpus", &other) && intersects(&set, &other) && !is_equal(&set, &other))
				return fail_xml(err, b, "vcpus", "overlaps a <cachetune>, but is not the same");
		}
	}
	return true;
}

static bool check_cputune(xmlNode *root, GError **err)
{
	xmlNode *tune = xml_find(root, "cputune");

	if (!tune)
		return true;
	return check_apart(xml_first(tune, "vcpusched"), "vcpus", err) &&
	       check_apart(xml_first(tune, "iothreadsched"), "iothreads", err) &&
	       check_groups(xml_first(tune, "cachetune"), err) && check_groups(xml_first(tune, "memorytune"), err) &&
	       check_between(xml_first(tune, "cachetune"), xml_first(tune, "memorytune"), err);
}

/* --- memory --- */

static bool check_numatune(xmlNode *root, unsigned cells, GError **err)
{
	xmlNode *tune = xml_find(root, "numatune");
	xmlNode *memory = tune ? xml_find(tune, "memory") : NULL;
	xmlNode *first = tune ? xml_first(tune, "memnode") : NULL;
	struct cpuset set;

	if (memory && xml_is(memory, "@placement", "auto") && object_has(memory, "@nodeset"))
		return fail_xml(err, memory, "nodeset", "not with placement 'auto'");
	if (first && memory && xml_is(memory, "@placement", "auto"))
		return fail_xml(err, first, NULL, "not with placement 'auto' of <memory>");
	if (memory && object_has(memory, "@nodeset") && !read_set(memory, "@nodeset", &set))
		return fail_xml(err, memory, "nodeset", "no node is left");
	for (xmlNode *node = first; node; node = xml_next(node)) {
		uint64_t id;

		if (memory && xml_is(memory, "@mode", "restrictive") && !xml_is(node, "@mode", "restrictive"))
			return fail_xml(err, node, "mode", "must be 'restrictive', as that of <memory> is");

		if (xml_get_uint(node, "@cellid", &id) && id >= cells)
			return fail_xml(err, node, "cellid", "there is no NUMA cell %" G_GUINT64_FORMAT, id);
	}
	return object_check_unique(first, "cellid", err);
}

static bool check_hugepages(xmlNode *root, unsigned cells, GError **err)
{
	xmlNode *first = xml_first(root, "memoryBacking/hugepages/page");
	unsigned nodes = MAX(cells, 1);
	bool several = first && xml_next(first);

	for (xmlNode *page = first; page; page = xml_next(page)) {
		struct cpuset set;

		if (!read_set(page, "@nodeset", &set))
			continue;
		if (!cells && several)
			return fail_xml(err, page, "nodeset", "a guest without NUMA cells has pages of one size");
		for (unsigned i = nodes; i < CPUSET_MAX; i++) {
			if (cpuset_has(&set, i))
				return fail_xml(err, page, "nodeset", "there is no NUMA cell %u", i);
		}
	}
	return check_apart(first, "nodeset", err);
}

/* Modules beside the memory a domain starts with. */
static bool check_memory_modules(xmlNode *root, unsigned cells, GError **err)
{
	uint64_t slots = domain_number(root, "maxMemory/@slots"), used = 0;

	for (xmlNode *module = xml_first(root, "devices/memory"); module; module = xml_next(module)) {
		uint64_t node;

		if (!xml_find(root, "maxMemory"))
			return fail_xml(err, module, NULL, "a memory device needs <maxMemory slots='...'>");
		if (++used > slots)
			return fail_xml(err, module, NULL, "<maxMemory> has only %" G_GUINT64_FORMAT " slots", slots);
		if (xml_get_uint(module, "target/node", &node) && node >= cells)
			return fail_xml(err, xml_find(module, "target"), NULL,
					"there is no NUMA cell %" G_GUINT64_FORMAT ": the domain has %u", node, cells);
	}
	return true;
}

bool domain_check_tuning(xmlNode *root, GError **err)
{
	unsigned cells = domain_count_cells(root);

	return check_cputune(root, err) && check_numatune(root, cells, err) && check_hugepages(root, cells, err) &&
	       check_memory_modules(root, cells, err);
}
