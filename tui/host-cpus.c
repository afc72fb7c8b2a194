/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/host-cpus.h"

#include <string.h>

#include "core/base/error.h"
#include "vmm/accel.h"
#include "vmm/cpuid.h"

/* Vendors by what CPUID says, in libvirt's words. */
static const struct {
	const char *id, *name;
} vendors[] = {
	{ "GenuineIntel", "Intel" },
	{ "AuthenticAMD", "AMD" },
	{ "HygonGenuine", "Hygon" },
};

static const char *vendor_name(const char *id)
{
	for (size_t i = 0; i < G_N_ELEMENTS(vendors); i++) {
		if (g_strcmp0(id, vendors[i].id) == 0)
			return vendors[i].name;
	}
	return NULL;
}

/* The hypervisor's own leaves say what it does, not what its processor has. */
static bool is_processors(enum cpu_feature feature)
{
	return cpu_feature_rows[feature].leaf >> 16 != 0x4000;
}

static void convert(struct cpu_bits *bits, const struct cpu_features *set)
{
	memset(bits, 0, sizeof(*bits));
	for (unsigned f = 0; f < CPU_N_FEATURES; f++)
		cpu_bits_set(bits, f, is_processors((enum cpu_feature)f) && cpu_features_has(set, (enum cpu_feature)f));
}

static void add_model(struct cpu_catalog *catalog, const struct cpu_model *model)
{
	const char *vendor = model->identity ? vendor_name(model->identity->vendor) : NULL;
	struct cpu_kind *kind = cpu_catalog_add_model(catalog, model->name, vendor);

	for (unsigned f = 0; f < CPU_N_FEATURES; f++)
		if (cpu_feature_rows[f].models <= model->level)
			cpu_bits_set(&kind->features, f, true);
	for (size_t i = 0; i < model->n_extra; i++)
		cpu_bits_set(&kind->features, model->extra[i], true);
}

static struct cpu_catalog *read_catalog(void)
{
	struct cpu_catalog *catalog = cpu_catalog_new();
	struct cpu_identity identity;
	struct cpu_features set;

	for (unsigned f = 0; f < CPU_N_FEATURES; f++)
		cpu_catalog_add_feature(catalog, cpu_feature_name((enum cpu_feature)f));
	for (const struct cpu_model *const *model = cpu_models(); *model; model++)
		if ((*model)->level <= CPU_MODELS_V3)
			add_model(catalog, *model);
	cpu_features_host(&set);
	convert(&catalog->host, &set);
	cpu_bits_set(&catalog->shaped, CPU_FEATURE_HT, true);
	cpu_bits_set(&catalog->fixed, CPU_FEATURE_INVTSC, true);
	cpu_identity_host(&identity);
	catalog->vendor = g_strdup(vendor_name(identity.vendor));
	return catalog;
}

struct host_cpus *host_cpus_read(GError **err)
{
	autoptr(host_cpus) cpus = g_new0(struct host_cpus, 1);
	struct accel_probe probe = { 0 };

	cpus->emulator = g_file_read_link("/proc/self/exe", NULL);
	if (!cpus->emulator)
		return fail_errno_null(err, "/proc/self/exe");
	cpus->host = host_read(NULL);
	cpus->catalog = read_catalog();
	cpus->uuid = capabilities_host_uuid(NULL);
	accel_kvm_class.probe(&probe);
	cpus->caps = (struct capabilities){
		.host = cpus->host,
		.uuid = cpus->uuid,
		.catalog = cpus->catalog,
		.emulator = cpus->emulator,
		.kvm = probe.usable,
		.prefer_kvm = probe.recommended,
	};
	accel_probe_clear(&probe);
	return g_steal_pointer(&cpus);
}

void host_cpus_free(struct host_cpus *cpus)
{
	g_clear_pointer(&cpus->host, host_free);
	cpu_catalog_free(cpus->catalog);
	g_free(cpus->uuid);
	g_free(cpus->emulator);
	g_free(cpus);
}

bool host_cpus_request(struct host_cpus *cpus, struct capabilities_request *request, GError **err)
{
	struct cpu_features set;

	if (!capabilities_check(&cpus->caps, request, err))
		return false;
	if (!cpu_features_offer(strcmp(request->virttype, "kvm") == 0 ? "kvm" : "soft", &set, err))
		return false;
	convert(&cpus->catalog->hypervisor, &set);
	return true;
}
