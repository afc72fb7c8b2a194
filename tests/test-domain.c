/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Definitions: what is refused and how it is said, what is filled in, what survives, what a running VM adds, what vmm/
 * gets.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain.h"

#define STORED (DOMAIN_SECRET | DOMAIN_INACTIVE)

/* A definition with something in it: general elements, devices. */
static char *make(const char *general, const char *devices)
{
	bool vcpus = strstr(general, "<vcpu>") || strstr(general, "<vcpu ");

	return g_strdup_printf(
		"<domain type='qemu'>\n<name>t</name>\n<uuid>6f1b3c1e-6a5d-4d0a-9c0e-0a4d2f6b7c01</uuid>\n"
		"%s%s<os><type machine='q35'>hvm</type></os>\n%s\n<devices>\n%s\n</devices>\n</domain>\n",
		strstr(general, "<memory>") || strstr(general, "<memory ") ? "" : "<memory unit='MiB'>256</memory>\n",
		vcpus ? "" : "<vcpu>4</vcpu>\n", general, devices);
}

static struct domain *parse(const char *text, GError **err)
{
	return domain_parse(text, strlen(text), "t.xml", 0, err);
}

static struct domain *parse_ok(const char *general, const char *devices)
{
	g_autofree char *text = make(general, devices);
	g_autoptr(GError) err = NULL;
	struct domain *domain = parse(text, &err);

	g_assert_no_error(err);
	g_assert_nonnull(domain);
	return domain;
}

/* Refusals. */

static const struct {
	const char *name, *general, *devices, *says;
} refusals[] = {
	{ "title", "<title>a\nb</title>", "", "/domain/title: a title is one line" },
	{ "memory-zero", "<memory>0</memory>", "", "above 0" },
	{ "memory-overflow", "<memory unit='EiB'>100</memory>", "", "/domain/memory" },
	{ "memory-unit", "<memory unit='furlong'>100</memory>", "", "unit" },
	{ "max-memory-less", "<maxMemory slots='2' unit='MiB'>100</maxMemory>", "", "less than <memory>" },
	{ "max-memory-slots", "<maxMemory unit='GiB'>100</maxMemory>", "", "slots" },
	{ "memtune", "<memtune><hard_limit>2000</hard_limit><swap_hard_limit>1000</swap_hard_limit></memtune>", "",
	  "less than <hard_limit>" },
	{ "vcpu-current", "<vcpu current='5'>4</vcpu>", "",
	  "/domain/vcpu/@current: 5 is not between 1 and the maximum, 4" },
	{ "vcpu-many", "<vcpu>5000</vcpu>", "", "5000 vCPUs" },
	{ "topology", "<cpu><topology sockets='2' cores='1' threads='1'/></cpu>", "",
	  "make 2 vCPUs, but <vcpu> says 4" },
	{ "vendor-id", "<cpu mode='custom'><model vendor_id='short'>qemu64</model></cpu>", "", "12 characters" },
	{ "feature-twice", "<cpu mode='custom'><model>qemu64</model><feature name='vmx'/><feature name='vmx'/></cpu>",
	  "", "given twice" },
	{ "cell-cpus", "<cpu><numa><cell cpus='0-4' memory='1000'/></numa></cpu>", "",
	  "not a list of vCPUs between 0 and 3" },
	{ "cell-overlap", "<cpu><numa><cell cpus='0-1' memory='1000'/><cell cpus='1-3' memory='1000'/></numa></cpu>",
	  "", "vCPU 1 is in two cells" },
	{ "cell-id", "<cpu><numa><cell id='3' cpus='0-3' memory='1000'/></numa></cpu>", "", "numbered 0 to 0" },
	{ "vcpupin-range", "<cputune><vcpupin vcpu='4' cpuset='0'/></cputune>", "", "there is no vCPU 4" },
	{ "vcpupin-twice", "<cputune><vcpupin vcpu='1' cpuset='0'/><vcpupin vcpu='1' cpuset='0'/></cputune>", "",
	  "pinned twice" },
	{ "iothreadpin", "<iothreads>1</iothreads><cputune><iothreadpin iothread='2' cpuset='0'/></cputune>", "",
	  "no I/O thread 2" },
	{ "iothreadids", "<iothreadids><iothread id='3'/><iothread id='3'/></iothreadids>", "",
	  "I/O thread 3 is given twice" },
	{ "disk-iothread", "", "<disk type='file'><driver iothread='1'/><source file='/a'/><target dev='vda'/></disk>",
	  "no I/O thread 1" },
	{ "sysinfo-uuid",
	  "<sysinfo type='smbios'><system><entry name='uuid'>11111111-2222-3333-4444-555555555555</entry>"
	  "</system></sysinfo>",
	  "", "is not the domain's uuid" },
	{ "target-twice", "",
	  "<disk type='file'><source file='/a'/><target dev='vda'/></disk><disk type='file'><source file='/b'/>"
	  "<target dev='vda'/></disk>",
	  "target 'vda' is already used by /domain/devices/disk[1]" },
	{ "target-unknown", "", "<disk type='file'><source file='/a'/><target dev='zz'/></disk>",
	  "unknown disk name 'zz'" },
	{ "target-partition", "", "<disk type='file'><source file='/a'/><target dev='vda1'/></disk>", "a partition" },
	{ "disk-no-source", "", "<disk type='file'><target dev='vda'/></disk>", "source" },
	{ "cdrom-virtio", "", "<disk type='file' device='cdrom'><target dev='vda'/></disk>", "no removable media" },
	{ "floppy-bus", "", "<disk type='file' device='floppy'><target dev='sda' bus='sata'/></disk>", "fdc" },
	{ "lun-type", "", "<disk type='file' device='lun'><source file='/a'/><target dev='sda' bus='scsi'/></disk>",
	  "block or network" },
	{ "boot-order-twice", "",
	  "<disk type='file'><source file='/a'/><target dev='vda'/><boot order='1'/></disk>"
	  "<disk type='file'><source file='/b'/><target dev='vdb'/><boot order='1'/></disk>",
	  "boot order 1 is already used" },
	{ "interface-bridge", "", "<interface type='bridge'/>", "bridge" },
	{ "alias-twice", "",
	  "<disk type='file'><source file='/a'/><target dev='vda'/><alias name='ua-x'/></disk>"
	  "<disk type='file'><source file='/b'/><target dev='vdb'/><alias name='ua-x'/></disk>",
	  "alias 'ua-x' is already used" },
	{ "pci-clash", "",
	  "<disk type='file'><source file='/a'/><target dev='vda'/><address type='pci' bus='1' slot='0'/></disk>"
	  "<disk type='file'><source file='/b'/><target dev='vdb'/><address type='pci' bus='1' slot='0'/></disk>",
	  "PCI address 0000:01:00.0 is already used by" },
	{ "drive-clash", "",
	  "<disk type='file'><source file='/a'/><target dev='sda' bus='sata'/><address type='drive' unit='1'/></disk>"
	  "<disk type='file'><source file='/b'/><target dev='sdb' bus='sata'/><address type='drive' unit='1'/></disk>",
	  "sata controller 0, bus 0, target 0, unit 1 is already used" },
	{ "channel-twice", "",
	  "<channel type='pty'><target type='virtio' name='a'/></channel><channel type='pty'><target "
	  "type='virtio' name='a'/></channel>",
	  "channel name 'a' is already used" },
	{ "serial-port-twice", "",
	  "<serial type='pty'><target port='0'/></serial><serial type='pty'><target port='0'/></serial>",
	  "serial port '0' is already used" },
	{ "second-serial-console", "", "<console type='pty'/><console type='pty'><target type='serial'/></console>",
	  "only the first console" },
	{ "controller-twice", "", "<controller type='scsi' index='1'/><controller type='scsi' index='1'/>",
	  "scsi controller 1 is already used" },
	{ "vnc-password", "", "<graphics type='vnc' passwd='123456789'/>", "/@passwd: VNC compares only 8 characters" },
	{ "balloon-twice", "", "<memballoon model='virtio'/><memballoon model='none'/>", "memballoon" },
	{ "disk-native", "", "<disk type='file'><driver io='native'/><source file='/a'/><target dev='vda'/></disk>",
	  "needs cache='none'" },
	{ "disk-iotune", "",
	  "<disk type='file'><source file='/a'/><target dev='vda'/><iotune><total_bytes_sec>5</total_bytes_sec>"
	  "<read_bytes_sec>5</read_bytes_sec></iotune></disk>",
	  "at the same time" },
	{ "disk-address", "",
	  "<disk type='file'><source file='/a'/><target dev='vda'/><address type='drive' unit='1'/></disk>",
	  "has an address of type 'pci', not 'drive'" },
	{ "listen-differs", "",
	  "<graphics type='vnc' listen='127.0.0.1'><listen type='address' address='127.0.0.2'/></graphics>",
	  "'127.0.0.1' is not that of <listen>" },
	{ "tablet-ps2", "", "<input type='tablet' bus='ps2'/>", "ps2" },
	{ "two-primaries", "",
	  "<video><model type='vga' primary='yes'/></video><video><model type='qxl' primary='yes'/></video>",
	  "primary" },
	{ "module-no-max", "", "<memory model='dimm'><target><size>1000</size><node>0</node></target></memory>",
	  "needs <maxMemory" },
	{ "memnode", "<numatune><memnode cellid='1' mode='strict' nodeset='0'/></numatune>", "", "no NUMA cell 1" },
	{ "vcpus-range", "<vcpus><vcpu id='4' enabled='yes'/></vcpus>", "", "no vCPU 4" },
	{ "pci-root-kind", "", "<controller type='pci' index='0' model='pci-root'/>",
	  "of this machine is a pcie-root" },
	{ "pci-bus-model", "", "<controller type='pci' index='3'/>", "has a model" },
	{ "pci-bus-index", "", "<controller type='pci' index='300' model='pcie-root-port'/>", "0 to 255" },
	{ "drive-controller", "",
	  "<disk type='file'><source file='/a'/><target dev='sda' bus='scsi'/><address type='drive' "
	  "controller='70000' unit='1'/></disk>",
	  "0 to 255" },
};

static void test_refusals(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
		g_autofree char *text = make(refusals[i].general, refusals[i].devices);
		g_autoptr(GError) err = NULL;
		autoptr(domain) domain = parse(text, &err);

		if (domain)
			g_error("%s: accepted", refusals[i].name);
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
		if (!strstr(err->message, refusals[i].says) || !g_str_has_prefix(err->message, "t.xml:"))
			g_error("%s: says '%s', not '%s'", refusals[i].name, err->message, refusals[i].says);
	}
}

static void test_boot_both(void)
{
	const char *text =
		"<domain type='qemu'><name>t</name><memory>262144</memory><os><type>hvm</type><boot dev='hd'/>"
		"</os><devices>"
		"<disk type='file'><source file='/a'/><target dev='vda'/><boot order='1'/></disk></devices></domain>";
	g_autoptr(GError) err = NULL;
	autoptr(domain) domain = parse(text, &err);

	g_assert_null(domain);
	g_assert_nonnull(strstr(err->message, "cannot be used together with os/boot"));
}

static void test_not_a_domain(void)
{
	static const char *const texts[] = {
		"", "x", "<domain", "<network/>", "<domain/>", "<domain type='qemu'><name>a/b</name></domain>"
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GError) err = NULL;
		autoptr(domain) domain = parse(texts[i], &err);

		g_assert_null(domain);
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	}
}

static void test_names(void)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "a\nb", "a\tb" };
	g_autofree char *longest = g_strnfill(251, 'n');
	g_autofree char *longer = g_strnfill(252, 'n');

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) err = NULL;

		g_assert_false(domain_name_check(bad[i], &err));
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	}
	g_assert_false(domain_name_check(longer, NULL));
	g_assert_true(domain_name_check(longest, NULL));
	g_assert_true(domain_name_check("web server-1.0:a_b", NULL));
	g_assert_true(domain_name_check("caf\303\251", NULL));
}

static void test_strict(void)
{
	const char *text =
		"<domain type='qemu'><name>t</name><memory>262144</memory><os><type>hvm</type></os><unheard/></domain>";
	autoptr(domain) kept = parse(text, NULL);
	autoptr(domain) strict = domain_parse(text, strlen(text), "t.xml", DOMAIN_VALIDATE, NULL);

	g_assert_nonnull(kept);
	g_assert_nonnull(xml_find(kept->root, "unheard"));
	g_assert_null(strict);
}

/* Too many devices: refused soon. */
static void test_many_devices(void)
{
	g_autoptr(GString) devices = g_string_new(NULL);
	g_autoptr(GError) err = NULL;

	for (unsigned i = 0; i < 30000; i++)
		g_string_append(devices, "<serial type='pty'/>");
	g_autofree char *text = make("", devices->str);
	autoptr(domain) domain = parse(text, &err);
	g_assert_null(domain);
	g_assert_nonnull(strstr(err->message, "more than 2048 devices"));
}

static void test_pci_exhausted(void)
{
	g_autoptr(GString) devices = g_string_new(NULL);
	g_autoptr(GError) err = NULL;

	for (unsigned i = 0; i < 300; i++)
		g_string_append_printf(devices,
				       "<interface type='user'><mac address='52:54:00:00:%02x:%02x'/></interface>",
				       i >> 8, i & 255);
	g_autofree char *text = make("", devices->str);
	autoptr(domain) domain = parse(text, &err);
	g_assert_null(domain);
	g_assert_nonnull(strstr(err->message, "PCI"));
}

/* The corpus: FILE.xml becomes FILE.out.xml, which becomes itself. */

static char *corpus_dir(void)
{
	const char *source = g_getenv("LODGE_SRCDIR");

	return g_build_filename(source ? source : ".", "tests", "xml", "fill", NULL);
}

static char *read_text(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autoptr(GError) err = NULL;
	char *text = NULL;

	g_file_get_contents(path, &text, NULL, &err);
	g_assert_no_error(err);
	return text;
}

static void check_golden(const char *dir, const char *name)
{
	g_autofree char *base = g_strndup(name, strlen(name) - strlen(".xml"));
	g_autofree char *out_name = g_strconcat(base, ".out.xml", NULL);
	g_autofree char *in = read_text(dir, name);
	g_autofree char *want = read_text(dir, out_name);
	g_autoptr(GError) err = NULL;
	autoptr(domain) domain = domain_parse(in, strlen(in), name, 0, &err);

	g_assert_no_error(err);
	g_autofree char *got = domain_format(domain, STORED);
	g_assert_cmpstr(got, ==, want);
	autoptr(domain) again = domain_parse(got, strlen(got), out_name, 0, &err);
	g_assert_no_error(err);
	g_autofree char *twice = domain_format(again, STORED);
	g_assert_cmpstr(twice, ==, want);
	autoptr(domain) stored = domain_parse(got, strlen(got), out_name, DOMAIN_STORED, &err);
	g_autofree char *raw = domain_format(stored, STORED);
	g_assert_cmpstr(raw, ==, want);
	g_assert_cmpstr(stored->name, ==, domain->name);
	g_assert_cmpstr(stored->uuid, ==, domain->uuid);
	/* A running VM's form, without what is only its own, is the same again. */
	domain_make_live(again, 3);
	g_assert_true(xml_is(again->root, "@id", "3"));
	g_autofree char *inactive = domain_format(again, STORED);
	g_assert_cmpstr(inactive, ==, want);
}

static void test_golden(void)
{
	g_autofree char *dir = corpus_dir();
	g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
	const char *name;
	unsigned n = 0;

	g_assert_nonnull(open);
	while ((name = g_dir_read_name(open))) {
		if (!g_str_has_suffix(name, ".xml") || g_str_has_suffix(name, ".out.xml"))
			continue;
		check_golden(dir, name);
		n++;
	}
	g_assert_cmpuint(n, >=, 12);
}

/* What is assigned. */

static void test_assigned(void)
{
	const char *text = "<domain type='kvm'><name>t</name><memory>262144</memory><os><type>hvm</type></os>"
			   "<devices><interface type='user'/></devices></domain>";
	autoptr(domain) one = parse(text, NULL);
	autoptr(domain) two = parse(text, NULL);
	g_autofree char *mac = xml_get(one->root, "devices/interface/mac/@address");

	g_assert_cmpstr(one->uuid, !=, two->uuid);
	g_assert_true(g_uuid_string_is_valid(one->uuid));
	g_assert_true(g_str_has_prefix(mac, "52:54:00:"));
	g_assert_cmpuint(strlen(mac), ==, 17);
	g_assert_true(xml_is(one->root, "os/type/@arch", "x86_64"));
	g_autofree char *machine = xml_get(one->root, "os/type/@machine");
	g_assert_true(g_str_has_prefix(machine, "pc-q35-"));
}

/* A device that is added later takes the free port; nobody moves. */
static void test_add_later(void)
{
	autoptr(domain) domain = parse_ok("", "<disk type='file'><source file='/a'/><target dev='vda'/></disk>");
	g_autofree char *before = xml_get(domain->root, "devices/disk/address/@bus");
	xmlNode *disk = xml_add(xml_find(domain->root, "devices"), "disk");
	g_autoptr(GError) err = NULL;

	xml_set(disk, "@type", "file");
	xml_set(disk, "source/@file", "/b");
	xml_set(disk, "target/@dev", "vdb");
	g_assert_true(domain_recheck(domain, &err));
	g_assert_no_error(err);
	g_assert_true(xml_is(domain->root, "devices/disk/address/@bus", before));
	disk = xml_next(xml_first(domain->root, "devices/disk"));
	g_assert_true(xml_is(disk, "address/@bus", "0x04"));
	/* And there is a free one again. */
	g_assert_nonnull(xml_find(domain->root, "devices/controller"));
	g_autofree char *text = domain_format(domain, STORED);
	g_assert_nonnull(strstr(text, "<controller type='pci' index='5' model='pcie-root-port'>"));
}

static void test_accessors(void)
{
	autoptr(domain) domain = parse_ok("<memory unit='GiB'>2</memory><currentMemory unit='GiB'>1</currentMemory>"
					  "<vcpu current='2'>4</vcpu><on_crash>preserve</on_crash>",
					  "");
	autoptr(domain) copy = domain_copy(domain);
	g_autofree char *crash = domain_policy(domain, "on_crash");
	g_autofree char *reboot = domain_policy(domain, "on_reboot");

	g_assert_cmpuint(domain_max_memory(copy), ==, 2097152);
	g_assert_cmpuint(domain_memory(copy), ==, 1048576);
	g_assert_cmpuint(domain_max_vcpus(copy), ==, 4);
	g_assert_cmpuint(domain_vcpus(copy), ==, 2);
	g_assert_cmpstr(crash, ==, "preserve");
	g_assert_cmpstr(reboot, ==, "restart");
}

/* Output. */

static void test_secrets(void)
{
	autoptr(domain)
		domain = parse_ok("", "<graphics type='vnc' passwd='hidden' passwdValidTo='2030-01-01T00:00:00'/>");
	g_autofree char *open = domain_format(domain, DOMAIN_INACTIVE);
	g_autofree char *secret = domain_format(domain, STORED);

	g_assert_null(strstr(open, "hidden"));
	g_assert_null(strstr(open, "passwd"));
	g_assert_nonnull(strstr(secret, "passwd='hidden'"));
}

static void test_live(void)
{
	static const char *const aliases[] = { "virtio-disk1",	 "scsi0-0-0-2", "sata0-0-0", "net0",
					       "serial0",	 "channel0",	"rng0",	     "balloon0",
					       "pcie.0",	 "pci.1",	"usb",	     "ide",
					       "virtio-serial0", "ua-mine",	"input0",    "console1" };
	autoptr(domain) domain =
		parse_ok("", "<disk type='file'><source file='/a'/><target dev='vdb'/></disk>"
			     "<disk type='file'><source file='/b'/><target dev='sdc' bus='scsi'/></disk>"
			     "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>"
			     "<disk type='file'><source file='/c'/><target dev='vdc'/><alias name='ua-mine'/></disk>"
			     "<interface type='user'/><serial type='pty'/><console type='pty'/>"
			     "<console type='pty'><target type='virtio'/></console>"
			     "<channel type='unix'><target type='virtio' name='a'/></channel>"
			     "<rng model='virtio'><backend model='random'/></rng>");
	domain_make_live(domain, 12);
	g_autofree char *live = domain_format(domain, 0);
	g_autofree char *inactive = domain_format(domain, STORED);

	g_assert_nonnull(strstr(live, "<domain type='qemu' id='12'>"));
	for (size_t i = 0; i < G_N_ELEMENTS(aliases); i++) {
		g_autofree char *want = g_strdup_printf("<alias name='%s'/>", aliases[i]);

		if (!strstr(live, want))
			g_error("no %s in %s", want, live);
	}
	g_assert_null(strstr(inactive, "id='12'"));
	g_assert_null(strstr(inactive, "serial0"));
	g_assert_nonnull(strstr(inactive, "ua-mine"));
}

/* A dump of a running VM, defined: what was only that run's is not in the definition. */
static void test_live_defined(void)
{
	static const char *const gone[] = {
		"id='7'",	"/dev/pts",	   "5903",	     "vnet3",
		"virtio-disk0", "file='/a' index", "channel/target", "state='connected'",
	};
	const char *text =
		"<domain type='qemu' id='7'><name>t</name><memory>262144</memory><os><type>hvm</type></os><devices>"
		"<disk type='file'><source file='/a' index='4'/><target dev='vda'/><alias name='virtio-disk0'/></disk>"
		"<interface type='user'><target dev='vnet3'/></interface>"
		"<serial type='pty'><source path='/dev/pts/3'/><target port='0'/></serial>"
		"<console type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/><target type='serial' "
		"port='0'/></console>"
		"<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/domain-7-t/ga'/>"
		"<target type='virtio' name='ga' state='connected'/></channel>"
		"<graphics type='vnc' port='5903' autoport='yes'/></devices></domain>";
	g_autoptr(GError) err = NULL;
	autoptr(domain) domain = parse(text, &err);

	g_assert_no_error(err);
	g_autofree char *live = domain_format(domain, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(gone); i++)
		g_assert_null(strstr(live, gone[i]));
	g_assert_nonnull(strstr(live, "port='-1' autoport='yes'"));
}

static void test_empty_drive(void)
{
	const char *text =
		"<domain type='qemu'><name>t</name><memory>262144</memory><os><type>hvm</type><kernel>/k</kernel></os>"
		"<devices><disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk></devices></domain>";
	g_autoptr(GPtrArray) notices = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) err = NULL;
	autoptr(domain) domain = parse(text, &err);
	autoptr(vm_config) config = domain_vm_config(domain, notices, &err);

	g_assert_no_error(err);
	g_assert_cmpuint(config->disks->len, ==, 0);
	g_assert_cmpuint(notices->len, ==, 1);
	g_assert_cmpstr(notices->pdata[0], ==, "unsupported: <disk> sda, an empty drive (line 1): ignored");
}

/* What vmm/ gets. */

static void test_vm_config(void)
{
	g_autoptr(GPtrArray) notices = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) err = NULL;
	autoptr(domain) domain = NULL;
	const char *text =
		"<domain type='qemu'><name>guest</name><memory unit='MiB'>300</memory><currentMemory unit='MiB'>"
		"200</currentMemory>"
		"<vcpu current='1'>2</vcpu><os><type machine='q35'>hvm</type><kernel>/k</kernel><initrd>"
		"/i</initrd><cmdline>quiet a=b</cmdline></os>"
		"<clock offset='variable' adjustment='60'/><on_reboot>destroy</on_reboot><on_crash>preserve</on_crash>"
		"<devices><disk type='file'><source file='/a'/><target dev='vda'/><serial>S1</serial><readonly/></disk>"
		"<serial type='file'><source path='/tmp/log'/></serial><serial type='tcp'><source mode='bind' "
		"host='h' service='99'/><protocol type='telnet'/></serial>"
		"<console type='pty'/><console type='pty'><target type='virtio'/></console>"
		"<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
		"<rng model='virtio'><rate bytes='100' period='50'/><backend model='random'>"
		"/dev/urandom</backend></rng><panic model='isa'/>"
		"</devices></domain>";

	domain = parse(text, &err);
	g_assert_no_error(err);
	domain_make_live(domain, 1);
	autoptr(vm_config) config = domain_vm_config(domain, notices, &err);
	g_assert_no_error(err);
	g_assert_cmpstr(config->name, ==, "guest");
	g_assert_cmpstr(config->accel, ==, "soft");
	g_assert_cmpuint(config->memory, ==, UINT64_C(300) << 20);
	g_assert_cmpuint(config->balloon_memory, ==, UINT64_C(200) << 20);
	g_assert_cmpuint(config->vcpus, ==, 1);
	g_assert_cmpuint(config->max_vcpus, ==, 2);
	g_assert_cmpstr(config->kernel, ==, "/k");
	g_assert_cmpstr(config->append, ==, "quiet a=b");
	g_assert_true(config->no_reboot && config->crash_preserve && config->panic_device && config->has_rng);
	g_assert_cmpint(config->clock_offset, ==, 60);
	g_assert_cmpuint(config->rng_bytes, ==, 100);
	g_assert_cmpuint(config->rng_period_ms, ==, 50);
	g_assert_cmpuint(config->disks->len, ==, 1);
	const struct vm_disk_config *disk = config->disks->pdata[0];
	g_assert_cmpstr(disk->alias, ==, "virtio-disk0");
	g_assert_cmpstr(disk->target, ==, "vda");
	g_assert_cmpstr(disk->serial, ==, "S1");
	g_assert_true(disk->readonly);
	g_assert_cmpuint(config->ports->len, ==, 4);
	const struct vm_port_config *file = config->ports->pdata[0], *tcp = config->ports->pdata[1];
	const struct vm_port_config *console = config->ports->pdata[2], *channel = config->ports->pdata[3];
	g_assert_true(file->target == VM_PORT_SERIAL && file->kind == VM_PORT_FILE && file->index == 0);
	g_assert_true(tcp->kind == VM_PORT_TCP && tcp->listen && tcp->telnet && tcp->index == 1);
	g_assert_true(console->target == VM_PORT_CONSOLE && console->kind == VM_PORT_PTY && console->index == 0);
	g_assert_true(channel->target == VM_PORT_CHANNEL && channel->index == 0);
	g_assert_cmpstr(channel->name, ==, "org.qemu.guest_agent.0");
}

static const struct {
	const char *name, *type, *devices, *says;
} not_built[] = {
	{ "sata", "qemu", "<disk type='file'><source file='/a'/><target dev='sda' bus='sata'/></disk>", "sata" },
	{ "qcow2", "qemu",
	  "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/a'/><target dev='vda'/></disk>",
	  "qcow2" },
	{ "network-disk", "qemu",
	  "<disk type='network'><source protocol='nbd' name='x'><host name='h'/></source><target dev='vda'/></disk>",
	  "network" },
	{ "type", "test", "", "test" },
};

static void test_not_built(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(not_built); i++) {
		g_autofree char *text = g_strdup_printf(
			"<domain type='%s'>\n<name>t</name><memory>262144</memory><os><type>hvm</type><kernel>"
			"/k</kernel>"
			"</os>\n<devices>\n%s</devices></domain>",
			not_built[i].type, not_built[i].devices);
		g_autoptr(GError) err = NULL;
		autoptr(domain) domain = parse(text, &err);

		g_assert_no_error(err);
		autoptr(vm_config) config = domain_vm_config(domain, NULL, &err);
		if (config)
			g_error("%s: would start", not_built[i].name);
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED);
		if (!strstr(err->message, not_built[i].says) || !g_str_has_prefix(err->message, "t.xml:"))
			g_error("%s: says '%s'", not_built[i].name, err->message);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/domain/not-a-domain", test_not_a_domain);
	g_test_add_func("/domain/refusals", test_refusals);
	g_test_add_func("/domain/boot-both", test_boot_both);
	g_test_add_func("/domain/names", test_names);
	g_test_add_func("/domain/strict", test_strict);
	g_test_add_func("/domain/many-devices", test_many_devices);
	g_test_add_func("/domain/pci-exhausted", test_pci_exhausted);
	g_test_add_func("/domain/golden", test_golden);
	g_test_add_func("/domain/assigned", test_assigned);
	g_test_add_func("/domain/add-later", test_add_later);
	g_test_add_func("/domain/accessors", test_accessors);
	g_test_add_func("/domain/secrets", test_secrets);
	g_test_add_func("/domain/live", test_live);
	g_test_add_func("/domain/live-defined", test_live_defined);
	g_test_add_func("/domain/empty-drive", test_empty_drive);
	g_test_add_func("/domain/vm-config", test_vm_config);
	g_test_add_func("/domain/not-built", test_not_built);
	return g_test_run();
}
