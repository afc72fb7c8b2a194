/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The capabilities of a made-up host, byte for byte, and what sets of CPU features have in common. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "core/base/error.h"
#include "core/capabilities.h"
#include "vmm/cpuid.h"

/* --- a host: one package of two cores --- */

static const struct {
	const char *path, *text;
} files[] = {
	{ "proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 60\n"
			  "model name\t: A Processor\nstepping\t: 3\nmicrocode\t: 0x1d\ncpu MHz\t\t: 2400.000\n"
			  "address sizes\t: 39 bits physical, 48 bits virtual\n\n" },
	{ "proc/meminfo", "MemTotal:        4194304 kB\nMemFree:         1048576 kB\n" },
	{ "etc/machine-id", "0123456789abcdef0123456789abcdef\n" },
	{ "sys/power/state", "freeze mem disk\n" },
	{ "sys/power/disk", "[platform] shutdown reboot suspend\n" },
	{ "sys/devices/system/cpu/present", "0-1\n" },
	{ "sys/devices/system/cpu/online", "0-1\n" },
	{ "sys/devices/system/cpu/cpu0/topology/core_id", "0\n" },
	{ "sys/devices/system/cpu/cpu1/topology/core_id", "1\n" },
	{ "sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0\n" },
	{ "sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1\n" },
	{ "sys/devices/system/cpu/cpu0/cache/index3/level", "3\n" },
	{ "sys/devices/system/cpu/cpu0/cache/index3/type", "Unified\n" },
	{ "sys/devices/system/cpu/cpu0/cache/index3/size", "6144K\n" },
	{ "sys/devices/system/cpu/cpu0/cache/index3/id", "0\n" },
	{ "sys/devices/system/cpu/cpu0/cache/index3/shared_cpu_list", "0-1\n" },
	{ "sys/devices/system/node/online", "0\n" },
	{ "sys/devices/system/node/node0/cpulist", "0-1\n" },
	{ "sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:  4194304 kB\nNode 0 MemFree:  1048576 kB\n" },
	{ "sys/devices/system/node/node0/distance", "10\n" },
};

static void write_file(const char *root, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(root, name, NULL);
	g_autofree char *dir = g_path_get_dirname(path);

	g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static char *make_root(void)
{
	char *root = g_dir_make_tmp("lodge-caps-XXXXXX", NULL);

	g_assert_nonnull(root);
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
		write_file(root, files[i].path, files[i].text);
	return root;
}

static void remove_tree(const char *path)
{
	GDir *dir = g_dir_open(path, 0, NULL);

	for (const char *name; dir && (name = g_dir_read_name(dir));) {
		g_autofree char *child = g_build_filename(path, name, NULL);

		remove_tree(child);
	}
	g_clear_pointer(&dir, g_dir_close);
	g_remove(path);
}

/* --- a catalog: six features, three models --- */

enum { FPU, SSE, AVX, HT, INVTSC, SSE4A, N_FEATURES };

static const char *const names[N_FEATURES] = { "fpu", "sse", "avx", "ht", "invtsc", "sse4a" };

#define BIT(feature) (UINT64_C(1) << (feature))

static struct cpu_catalog *make_catalog(void)
{
	struct cpu_catalog *catalog = cpu_catalog_new();

	for (unsigned i = 0; i < N_FEATURES; i++)
		g_assert_cmpuint(cpu_catalog_add_feature(catalog, names[i]), ==, i);
	cpu_catalog_add_model(catalog, "plain", NULL)->features.bits[0] = BIT(FPU);
	cpu_catalog_add_model(catalog, "old", "Intel")->features.bits[0] = BIT(FPU) | BIT(SSE);
	cpu_catalog_add_model(catalog, "new", "Intel")->features.bits[0] = BIT(FPU) | BIT(SSE) | BIT(AVX);
	catalog->host.bits[0] = BIT(FPU) | BIT(SSE) | BIT(AVX) | BIT(HT) | BIT(INVTSC);
	catalog->hypervisor.bits[0] = BIT(FPU) | BIT(SSE) | BIT(HT) | BIT(INVTSC);
	catalog->shaped.bits[0] = BIT(HT);
	catalog->fixed.bits[0] = BIT(INVTSC);
	catalog->vendor = g_strdup("Intel");
	return catalog;
}

/* --- documents --- */

static const char golden_host[] =
	"<host>\n"
	"  <uuid>01234567-89ab-cdef-0123-456789abcdef</uuid>\n"
	"  <cpu>\n"
	"    <arch>x86_64</arch>\n"
	"    <model>new</model>\n"
	"    <vendor>Intel</vendor>\n"
	"    <microcode version='29'/>\n"
	"    <signature family='6' model='60' stepping='3'/>\n"
	"    <topology sockets='1' dies='1' cores='2' threads='1'/>\n"
	"    <maxphysaddr mode='emulate' bits='39'/>\n"
	"    <feature name='ht'/>\n"
	"    <feature name='invtsc'/>\n"
	"    <pages unit='KiB' size='4'/>\n"
	"  </cpu>\n"
	"  <power_management>\n"
	"    <suspend_mem/>\n"
	"    <suspend_disk/>\n"
	"    <suspend_hybrid/>\n"
	"  </power_management>\n"
	"  <iommu support='no'/>\n"
	"  <topology>\n"
	"    <cells num='1'>\n"
	"      <cell id='0'>\n"
	"        <memory unit='KiB'>4194304</memory>\n"
	"        <pages unit='KiB' size='4'>1048576</pages>\n"
	"        <distances>\n"
	"          <sibling id='0' value='10'/>\n"
	"        </distances>\n"
	"        <cpus num='2'>\n"
	"          <cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0'/>\n"
	"          <cpu id='1' socket_id='0' die_id='0' core_id='1' siblings='1'/>\n"
	"        </cpus>\n"
	"      </cell>\n"
	"    </cells>\n"
	"  </topology>\n"
	"  <cache>\n"
	"    <bank id='0' level='3' type='both' size='6' unit='MiB' cpus='0-1'/>\n"
	"  </cache>\n"
	"</host>\n";

static const char golden_guest[] =
	"<guest>\n"
	"  <os_type>hvm</os_type>\n"
	"  <arch name='x86_64'>\n"
	"    <wordsize>64</wordsize>\n"
	"    <emulator>/opt/a&amp;b/lodge</emulator>\n"
	"    <machine maxCpus='32'>pc-i440fx-1.0</machine>\n"
	"    <machine canonical='pc-i440fx-1.0' maxCpus='32'>pc</machine>\n"
	"    <machine maxCpus='32'>pc-q35-1.0</machine>\n"
	"    <machine canonical='pc-q35-1.0' maxCpus='32'>q35</machine>\n"
	"    <domain type='qemu'/>\n"
	"  </arch>\n"
	"  <features>\n"
	"    <acpi default='on' toggle='no'/>\n"
	"    <apic default='on' toggle='no'/>\n"
	"    <cpuselection/>\n"
	"    <disksnapshot default='off' toggle='no'/>\n"
	"  </features>\n"
	"</guest>\n";

static const char golden_cpu[] =
	"<cpu>\n"
	"  <mode name='host-passthrough' supported='yes'>\n"
	"    <enum name='hostPassthroughMigratable'>\n"
	"      <value>off</value>\n"
	"    </enum>\n"
	"  </mode>\n"
	"  <mode name='maximum' supported='yes'>\n"
	"    <enum name='maximumMigratable'>\n"
	"      <value>off</value>\n"
	"    </enum>\n"
	"  </mode>\n"
	"  <mode name='host-model' supported='yes'>\n"
	"    <model fallback='forbid'>old</model>\n"
	"    <vendor>Intel</vendor>\n"
	"    <feature policy='require' name='invtsc'/>\n"
	"  </mode>\n"
	"  <mode name='custom' supported='yes'>\n"
	"    <model usable='yes' vendor='unknown'>plain</model>\n"
	"    <model usable='yes' vendor='Intel'>old</model>\n"
	"    <model usable='no' vendor='Intel'>new</model>\n"
	"  </mode>\n"
	"</cpu>\n";

struct fixture {
	char *root, *uuid;
	struct host *host;
	struct cpu_catalog *catalog;
	struct capabilities caps;
};

static void set_up(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	f->root = make_root();
	f->host = host_read(f->root);
	f->uuid = capabilities_host_uuid(f->root);
	f->catalog = make_catalog();
	f->caps = (struct capabilities){
		.host = f->host, .uuid = f->uuid, .catalog = f->catalog, .emulator = "/opt/a&b/lodge",
	};
}

static void tear_down(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	remove_tree(f->root);
	host_free(f->host);
	cpu_catalog_free(f->catalog);
	g_free(f->uuid);
	g_free(f->root);
}

static void assert_part(const char *xml, const char *path, const char *expected)
{
	auto_xml xmlDoc *doc = xml_parse(xml, strlen(xml), "made", NULL);
	g_autofree char *part = NULL;

	g_assert_nonnull(doc);
	g_assert_nonnull(xml_find(xmlDocGetRootElement(doc), path));
	part = xml_format(xml_find(xmlDocGetRootElement(doc), path));
	g_assert_cmpstr(part, ==, expected);
}

static void test_capabilities(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree char *xml = capabilities_format(&f->caps);

	assert_part(xml, "host", golden_host);
	assert_part(xml, "guest", golden_guest);
}

static void test_kvm(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct capabilities_request request = { .virttype = NULL };
	g_autofree char *xml = NULL;

	f->caps.kvm = f->caps.prefer_kvm = true;
	xml = capabilities_format(&f->caps);
	g_assert_nonnull(strstr(xml, "<domain type='qemu'/>\n      <domain type='kvm'/>\n"));
	g_assert_true(capabilities_check(&f->caps, &request, NULL));
	g_assert_cmpstr(request.virttype, ==, "kvm");
}

static void test_uuid(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	g_autofree char *firmware = NULL, *none = NULL, *broken = NULL;

	write_file(f->root, "sys/class/dmi/id/product_uuid", "6A1F0A4E-53D8-4B7B-9F3C-000000000001\n");
	firmware = capabilities_host_uuid(f->root);
	g_assert_cmpstr(firmware, ==, "6a1f0a4e-53d8-4b7b-9f3c-000000000001");
	write_file(f->root, "sys/class/dmi/id/product_uuid", "Not Settable\n");
	write_file(f->root, "etc/machine-id", "0123456789abcdef0123456789abcdeX\n");
	broken = capabilities_host_uuid(f->root);
	g_assert_null(broken);
	write_file(f->root, "etc/machine-id", "\n");
	none = capabilities_host_uuid(f->root);
	g_assert_null(none);
}

static void test_refusals(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		struct capabilities_request request;
		enum lodge_error code;
		const char *text;
	} cases[] = {
		{ { .virttype = "xen" }, LODGE_ERROR_INPUT, "'xen'" },
		{ { .virttype = "" }, LODGE_ERROR_INPUT, "''" },
		{ { .virttype = "kvm" }, LODGE_ERROR_UNSUPPORTED, "'kvm'" },
		{ { .arch = "aarch64" }, LODGE_ERROR_INPUT, "'aarch64'" },
		{ { .machine = "virt" }, LODGE_ERROR_INPUT, "'virt'" },
		{ { .emulator = "/bin/qemu" }, LODGE_ERROR_INPUT, "'/bin/qemu'" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct capabilities_request request = cases[i].request;
		g_autoptr(GError) error = NULL;

		g_assert_false(capabilities_check(&f->caps, &request, &error));
		g_assert_error(error, LODGE_ERROR, (int)cases[i].code);
		g_assert_nonnull(strstr(error->message, cases[i].text));
	}
}

static void test_domain(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct capabilities_request request = { .machine = "pc" };
	g_autofree char *xml = NULL;

	g_assert_true(capabilities_check(&f->caps, &request, NULL));
	xml = capabilities_format_domain(&f->caps, &request);
	g_assert_true(g_str_has_prefix(xml, "<domainCapabilities>\n"
					    "  <path>/opt/a&amp;b/lodge</path>\n"
					    "  <domain>qemu</domain>\n"
					    "  <machine>pc-i440fx-1.0</machine>\n"
					    "  <arch>x86_64</arch>\n"
					    "  <vcpu max='32'/>\n"
					    "  <iothreads supported='no'/>\n"
					    "  <os supported='yes'>\n"));
	assert_part(xml, "cpu", golden_cpu);
}

static void test_no_model(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	struct capabilities_request request = { .virttype = "qemu" };
	g_autofree char *xml = NULL, *host = NULL;

	memset(&f->catalog->hypervisor, 0, sizeof(f->catalog->hypervisor));
	memset(&f->catalog->host, 0, sizeof(f->catalog->host));
	g_assert_true(capabilities_check(&f->caps, &request, NULL));
	xml = capabilities_format_domain(&f->caps, &request);
	g_assert_nonnull(strstr(xml, "<mode name='host-model' supported='no'/>"));
	host = capabilities_format(&f->caps);
	g_assert_null(strstr(host, "<model>"));
}

/* --- comparing --- */

static void test_compare(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		const char *xml;
		enum cpus_verdict host, hypervisor;
		const char *missing; /* of the hypervisor */
	} cases[] = {
		{ "<cpu><model>plain</model></cpu>", CPUS_SUPERSET, CPUS_SUPERSET, "" },
		{ "<cpu><model>new</model><feature name='invtsc'/></cpu>", CPUS_IDENTICAL, CPUS_INCOMPATIBLE, "avx" },
		{ "<cpu><model>new</model><feature name='avx' policy='disable'/><feature name='invtsc'/></cpu>",
		  CPUS_SUPERSET, CPUS_IDENTICAL, "" },
		{ "<cpu><model>new</model><feature name='sse4a'/></cpu>", CPUS_INCOMPATIBLE, CPUS_INCOMPATIBLE,
		  "avx, sse4a" },
		{ "<cpu><model>old</model><feature name='unheard' policy='optional'/></cpu>", CPUS_SUPERSET,
		  CPUS_SUPERSET, "" },
		{ "<cpu><model>old</model><feature name='unheard' policy='forbid'/></cpu>", CPUS_SUPERSET,
		  CPUS_SUPERSET, "" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		auto_xml xmlDoc *doc = xml_parse(cases[i].xml, strlen(cases[i].xml), "case", NULL);
		xmlNode *cpu = xmlDocGetRootElement(doc);
		g_autofree char *missing = NULL, *more = NULL;
		enum cpus_verdict verdict;

		g_assert_true(cpus_compare(f->catalog, &f->catalog->host, cpu, &verdict, &more, NULL));
		g_assert_cmpint(verdict, ==, cases[i].host);
		g_assert_true(cpus_compare(f->catalog, &f->catalog->hypervisor, cpu, &verdict, &missing, NULL));
		g_assert_cmpint(verdict, ==, cases[i].hypervisor);
		g_assert_cmpstr(missing, ==, cases[i].missing);
	}
}

/* NULL with the error's text in *text, or the baseline. */
static char *baseline(const struct fixture *f, const char *xml, bool expand, char **text)
{
	auto_xml xmlDoc *doc = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) cpus = cpus_parse(xml, "two.xml", &doc, &error);
	struct cpu_bits limit;
	char *made = NULL;

	memset(&limit, 0xff, sizeof(limit));
	if (cpus)
		made = cpus_baseline(f->catalog, cpus, &limit, expand, &error);
	*text = error ? g_strdup(error->message) : NULL;
	return made;
}

static void test_baseline_refusals(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const struct {
		const char *xml, *text;
	} cases[] = {
		{ "", "two.xml: no CPU is described" },
		{ "<cpu>", "two.xml" },
		{ "<?xml version='1.0'", "two.xml" },
		{ "<domain><name>x</name></domain>", "two.xml: no CPU is described" },
		{ "<domain><cpu mode='host-passthrough'/></domain>", "names no CPU model" },
		{ "<cpu><model>old</model><feature/></cpu>", "is missing" },
		{ "<cpu><model>old</model><feature name='unheard'/></cpu>", "'unheard' is not known" },
		{ "<cpu><arch>ppc64</arch><model>old</model></cpu>", "'ppc64'" },
		{ "<cpu><model>old</model></cpu><cpu><model>other</model></cpu>", "'other'" },
		{ "<cpu><model>old</model></cpu><cpu><model>plain</model><vendor>AMD</vendor></cpu>",
		  "different vendors, Intel and AMD" },
		{ "<cpu><model>plain</model><feature name='fpu' policy='disable'/></cpu>", "in common" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = NULL;
		g_autofree char *made = baseline(f, cases[i].xml, false, &text);

		g_assert_null(made);
		g_assert_nonnull(text);
		g_test_message("%s", text);
		g_assert_nonnull(strstr(text, cases[i].text));
	}
}

static void test_baseline(struct fixture *f, gconstpointer data G_GNUC_UNUSED)
{
	static const char *const documents =
		"<?xml version='1.0'?>\n<capabilities><host><cpu><model>new</model><vendor>Intel</vendor>"
		"<feature name='invtsc'/><feature name='ht'/></cpu><topology><cells><cell><cpus><cpu id='0'/></cpus>"
		"</cell></cells></topology></host></capabilities>\n"
		"<domainCapabilities><cpu><mode name='host-passthrough' supported='yes'/><mode name='host-model'>"
		"<model>old</model><vendor>Intel</vendor><feature policy='require' name='invtsc'/>"
		"<feature policy='require' name='ht'/></mode></cpu></domainCapabilities>";
	g_autofree char *text = NULL, *text_expanded = NULL;
	g_autofree char *made = baseline(f, documents, false, &text);
	g_autofree char *expanded = baseline(f, documents, true, &text_expanded);

	g_assert_cmpstr(made, ==,
			"<cpu mode='custom' match='exact'>\n"
			"  <model fallback='forbid'>old</model>\n"
			"  <vendor>Intel</vendor>\n"
			"  <feature policy='require' name='invtsc'/>\n"
			"</cpu>\n");
	g_assert_cmpstr(expanded, ==,
			"<cpu mode='custom' match='exact'>\n"
			"  <model fallback='forbid'>old</model>\n"
			"  <vendor>Intel</vendor>\n"
			"  <feature policy='require' name='fpu'/>\n"
			"  <feature policy='require' name='sse'/>\n"
			"  <feature policy='require' name='invtsc'/>\n"
			"</cpu>\n");
}

/* Whatever name capabilities show for a feature, a definition can ask for it. */
static void test_names(void)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (unsigned f = 0; f < CPU_N_FEATURES; f++) {
		const char *name = cpu_feature_name((enum cpu_feature)f);
		g_autofree char *change = g_strdup_printf("-%s", name);
		g_autoptr(GPtrArray) changes = g_ptr_array_new();
		struct cpu_model *model;

		g_assert_true(g_hash_table_add(seen, (gpointer)(uintptr_t)name));
		g_ptr_array_add(changes, change);
		model = cpu_model_build(NULL, changes, 0, 0, NULL);
		g_assert_nonnull(model);
		g_assert_cmpuint(model->n_removed, ==, 1);
		g_assert_cmpuint(model->removed[0], ==, f);
		cpu_model_free(model);
	}
	g_assert_cmpstr(cpu_feature_name(CPU_FEATURE_SSE4_2), ==, "sse4.2");
	g_assert_cmpstr(cpu_feature_name(CPU_FEATURE_SSE3), ==, "pni");
}

#define ADD(path, test) g_test_add("/capabilities/" path, struct fixture, NULL, set_up, test, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("refusals", test_refusals);
	ADD("baseline-refusals", test_baseline_refusals);
	ADD("uuid", test_uuid);
	ADD("host-and-guest", test_capabilities);
	ADD("kvm", test_kvm);
	ADD("domain", test_domain);
	ADD("no-model", test_no_model);
	ADD("compare", test_compare);
	ADD("baseline", test_baseline);
	g_test_add_func("/capabilities/names", test_names);
	return g_test_run();
}
