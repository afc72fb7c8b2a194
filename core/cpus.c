/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/cpus.h"

#include <string.h>

#include "core/base/error.h"

static void cpu_kind_free(gpointer data)
{
	struct cpu_kind *kind = data;

	g_free(kind->name);
	g_free(kind->vendor);
	g_free(kind);
}

struct cpu_catalog *cpu_catalog_new(void)
{
	struct cpu_catalog *catalog = g_new0(struct cpu_catalog, 1);

	catalog->features = g_ptr_array_new_with_free_func(g_free);
	catalog->models = g_ptr_array_new_with_free_func(cpu_kind_free);
	return catalog;
}

void cpu_catalog_free(struct cpu_catalog *catalog)
{
	if (!catalog)
		return;
	g_ptr_array_unref(catalog->features);
	g_ptr_array_unref(catalog->models);
	g_free(catalog->vendor);
	g_free(catalog);
}

int cpu_catalog_feature(const struct cpu_catalog *catalog, const char *name)
{
	for (unsigned i = 0; i < catalog->features->len; i++)
		if (!strcmp(catalog->features->pdata[i], name))
			return (int)i;
	return -1;
}

unsigned cpu_catalog_add_feature(struct cpu_catalog *catalog, const char *name)
{
	g_ptr_array_add(catalog->features, g_strdup(name));
	return catalog->features->len - 1;
}

struct cpu_kind *cpu_catalog_add_model(struct cpu_catalog *catalog, const char *name, const char *vendor)
{
	struct cpu_kind *kind = g_new0(struct cpu_kind, 1);

	kind->name = g_strdup(name);
	kind->vendor = g_strdup(vendor);
	g_ptr_array_add(catalog->models, kind);
	return kind;
}

const struct cpu_kind *cpu_catalog_model(const struct cpu_catalog *catalog, const char *name)
{
	for (unsigned i = 0; i < catalog->models->len; i++) {
		const struct cpu_kind *kind = catalog->models->pdata[i];

		if (!strcmp(kind->name, name))
			return kind;
	}
	return NULL;
}

bool cpu_bits_within(const struct cpu_bits *set, const struct cpu_bits *of)
{
	for (size_t i = 0; i < G_N_ELEMENTS(set->bits); i++)
		if (set->bits[i] & ~of->bits[i])
			return false;
	return true;
}

static unsigned bits_count(const struct cpu_bits *set)
{
	unsigned n = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(set->bits); i++)
		n += (unsigned)__builtin_popcountll(set->bits[i]);
	return n;
}

/* With as many features the vendor's own model tells a guest more. */
static bool is_better(const struct cpu_kind *kind, const struct cpu_kind *than)
{
	unsigned n = bits_count(&kind->features), have = than ? bits_count(&than->features) : 0;

	return !than || n > have || (n == have && kind->vendor && !than->vendor);
}

const struct cpu_kind *cpu_catalog_best(const struct cpu_catalog *catalog, const struct cpu_bits *set,
					const char *vendor)
{
	const struct cpu_kind *best = NULL;

	for (unsigned i = 0; i < catalog->models->len; i++) {
		const struct cpu_kind *kind = catalog->models->pdata[i];

		if (kind->vendor && g_strcmp0(kind->vendor, vendor) != 0)
			continue;
		if (cpu_bits_within(&kind->features, set) && is_better(kind, best))
			best = kind;
	}
	return best;
}

/* --- files --- */

static void add_each(GPtrArray *cpus, xmlNode *from, const char *path)
{
	for (xmlNode *cpu = xml_first(from, path); cpu; cpu = xml_next(cpu))
		g_ptr_array_add(cpus, cpu);
}

static void add_host_model(GPtrArray *cpus, xmlNode *root)
{
	for (xmlNode *mode = xml_first(root, "cpu/mode"); mode; mode = xml_next(mode)) {
		if (xml_is(mode, "@name", "host-model") && !xml_is(mode, "@supported", "no"))
			g_ptr_array_add(cpus, mode);
	}
}

static void add_cpus_of(GPtrArray *cpus, xmlNode *root)
{
	const char *name = (const char *)root->name;

	if (strcmp(name, "cpu") == 0)
		g_ptr_array_add(cpus, root);
	else if (strcmp(name, "capabilities") == 0)
		add_each(cpus, root, "host/cpu");
	else if (strcmp(name, "host") == 0 || strcmp(name, "domain") == 0)
		add_each(cpus, root, "cpu");
	else if (strcmp(name, "domainCapabilities") == 0)
		add_host_model(cpus, root);
}

/* Several documents in one, so without their XML declarations. */
static char *wrap(const char *text)
{
	GString *out = g_string_new("<cpus>");

	while (*text) {
		const char *end = g_str_has_prefix(text, "<?xml") ? strstr(text, "?>") : NULL;

		if (end)
			text = end + 2;
		else
			g_string_append_c(out, *text++);
	}
	g_string_append(out, "</cpus>");
	return g_string_free(out, FALSE);
}

GPtrArray *cpus_parse(const char *text, const char *name, xmlDoc **doc, GError **err)
{
	g_autoptr(GPtrArray) cpus = g_ptr_array_new();
	g_autofree char *wrapped = wrap(text);
	auto_xml xmlDoc *parsed = xml_parse(wrapped, strlen(wrapped), name, err);

	if (!parsed)
		return NULL;
	for (xmlNode *root = xml_child(xmlDocGetRootElement(parsed)); root; root = xml_sibling(root))
		add_cpus_of(cpus, root);
	if (!cpus->len)
		return fail_null(err, LODGE_ERROR_INPUT, "%s: no CPU is described in it", name);
	*doc = g_steal_pointer(&parsed);
	return g_steal_pointer(&cpus);
}

/* --- one CPU --- */

static bool add_features(const struct cpu_catalog *catalog, xmlNode *cpu, struct cpu_bits *set, GError **err)
{
	for (xmlNode *node = xml_first(cpu, "feature"); node; node = xml_next(node)) {
		g_autofree char *name = xml_get(node, "@name");
		g_autofree char *policy = xml_get(node, "@policy");
		bool off = policy && (!strcmp(policy, "disable") || !strcmp(policy, "forbid"));
		int bit = name ? cpu_catalog_feature(catalog, name) : -1;

		if (!name)
			return fail_xml(err, node, "name", "is missing");
		/* What nobody here can offer is not lost when it is switched off, or only wished for. */
		if (bit < 0 && (off || g_strcmp0(policy, "optional") == 0))
			continue;
		if (bit < 0)
			return fail(err, LODGE_ERROR_UNSUPPORTED, "CPU feature '%s' is not known", name);
		cpu_bits_set(set, (unsigned)bit, !off);
	}
	return true;
}

bool cpus_features(const struct cpu_catalog *catalog, xmlNode *cpu, struct cpu_bits *set, GError **err)
{
	g_autofree char *arch = xml_get(cpu, "arch");
	g_autofree char *model = xml_get(cpu, "model");
	const struct cpu_kind *kind;

	memset(set, 0, sizeof(*set));
	if (arch && strcmp(arch, "x86_64") && strcmp(arch, "i686"))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "CPU architecture '%s' is not supported; x86_64 is", arch);
	if (!model)
		return fail_xml(err, cpu, NULL, "names no CPU model");
	kind = cpu_catalog_model(catalog, model);
	if (!kind)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "CPU model '%s' is not known; see cpu-models x86_64", model);
	*set = kind->features;
	return add_features(catalog, cpu, set, err);
}

bool cpus_compare(const struct cpu_catalog *catalog, const struct cpu_bits *have, xmlNode *cpu,
		  enum cpus_verdict *verdict, char **missing, GError **err)
{
	g_autoptr(GString) names = g_string_new(NULL);
	struct cpu_bits set;
	bool more = false;

	if (!cpus_features(catalog, cpu, &set, err))
		return false;
	for (unsigned i = 0; i < catalog->features->len; i++) {
		bool asked = cpu_bits_has(&set, i), there = cpu_bits_has(have, i);

		if (cpu_bits_has(&catalog->shaped, i))
			continue;
		more |= there && !asked;
		if (asked && !there)
			g_string_append_printf(names, "%s%s", names->len ? ", " : "",
					       (const char *)catalog->features->pdata[i]);
	}
	*verdict = names->len ? CPUS_INCOMPATIBLE : more ? CPUS_SUPERSET : CPUS_IDENTICAL;
	*missing = g_string_free(g_steal_pointer(&names), FALSE);
	return true;
}

/* The vendor a <cpu> or its model names; NULL: none. g_free(). */
static char *vendor_of(const struct cpu_catalog *catalog, xmlNode *cpu)
{
	g_autofree char *model = xml_get(cpu, "model");
	const struct cpu_kind *kind = model ? cpu_catalog_model(catalog, model) : NULL;
	char *vendor = xml_get(cpu, "vendor");

	return vendor || !kind ? vendor : g_strdup(kind->vendor);
}

/* *vendor: NULL when nobody names one. *all: everybody says so by himself, so that the baseline can, too. */
static bool common_vendor(const struct cpu_catalog *catalog, const GPtrArray *cpus, char **vendor, bool *all,
			  GError **err)
{
	g_autofree char *common = NULL;

	*all = true;
	for (unsigned i = 0; i < cpus->len; i++) {
		g_autofree char *one = vendor_of(catalog, cpus->pdata[i]);

		*all = *all && xml_find(cpus->pdata[i], "vendor");
		if (one && common && strcmp(one, common) != 0)
			return fail(err, LODGE_ERROR_STATE, "the CPUs are of different vendors, %s and %s", common,
				    one);
		if (!common)
			common = g_steal_pointer(&one);
	}
	*vendor = g_steal_pointer(&common);
	return true;
}

void cpus_add_features(const struct cpu_catalog *catalog, xmlNode *to, const struct cpu_bits *set,
		       const struct cpu_kind *model, const char *policy)
{
	for (unsigned i = 0; i < catalog->features->len; i++) {
		xmlNode *feature;

		if (!cpu_bits_has(set, i) || (model && cpu_bits_has(&model->features, i)) ||
		    (policy && cpu_bits_has(&catalog->shaped, i)))
			continue;
		feature = xml_add(to, "feature");
		xml_set(feature, "@policy", policy);
		xml_set(feature, "@name", catalog->features->pdata[i]);
	}
}

/* What all of cpus have within limit. */
static bool in_common(const struct cpu_catalog *catalog, const GPtrArray *cpus, const struct cpu_bits *limit,
		      struct cpu_bits *common, GError **err)
{
	*common = *limit;
	for (unsigned i = 0; i < cpus->len; i++) {
		struct cpu_bits set;

		if (!cpus_features(catalog, cpus->pdata[i], &set, err))
			return false;
		for (size_t k = 0; k < G_N_ELEMENTS(set.bits); k++)
			common->bits[k] &= set.bits[k];
	}
	return true;
}

char *cpus_baseline(const struct cpu_catalog *catalog, const GPtrArray *cpus, const struct cpu_bits *limit, bool expand,
		    GError **err)
{
	static const char empty[] = "<cpu mode='custom' match='exact'/>";
	auto_xml xmlDoc *doc = xml_parse(empty, strlen(empty), "cpu", NULL);
	xmlNode *cpu = xmlDocGetRootElement(doc);
	g_autofree char *vendor = NULL;
	const struct cpu_kind *kind;
	struct cpu_bits common;
	bool named;

	if (!in_common(catalog, cpus, limit, &common, err) || !common_vendor(catalog, cpus, &vendor, &named, err))
		return NULL;
	kind = cpu_catalog_best(catalog, &common, vendor);
	if (!kind)
		return fail_null(err, LODGE_ERROR_STATE, "the CPUs have no known CPU model in common");
	xml_set(cpu, "model", kind->name);
	xml_set(cpu, "model/@fallback", "forbid");
	if (vendor && named)
		xml_set(cpu, "vendor", vendor);
	cpus_add_features(catalog, cpu, &common, expand ? NULL : kind, "require");
	return xml_format(cpu);
}
