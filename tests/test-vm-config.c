/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plain data of a VM: what the parsers take and refuse, and the rules between fields. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/vm-config.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static void assert_says(GError *error, const char *text)
{
	g_assert_nonnull(error);
	g_assert_true(error->domain == LODGE_ERROR);
	g_test_message("%s", error->message);
	if (!strstr(error->message, text))
		g_error("\"%s\" does not say \"%s\"", error->message, text);
	g_error_free(error);
}

static void test_bad_sizes(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "not a size" },
		{ "-1", "not a size" },
		{ "+1", "not a size" },
		{ " 1", "not a size" },
		{ "M", "not a size" },
		{ "1.5G", "'.5G' is not a unit" },
		{ "1 M", "not a unit" },
		{ "1M ", "not a unit" },
		{ "0x10", "not a unit" },
		{ "1Mi", "not a unit" },
		{ "1X", "'X' is not a unit" },
		{ "1E", "not a unit" },
		{ "16777216T", "large" },
		{ "18446744073709551616", "large" },
		{ "99999999999999999999999", "large" },
		{ "18446744073709551615", "large" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GError *error = NULL;
		uint64_t bytes = 77;

		g_assert_false(parse_size(cases[i].text, MIB, &bytes, &error));
		g_assert_cmpuint(bytes, ==, 77);
		g_assert_true(g_error_matches(error, LODGE_ERROR, LODGE_ERROR_USAGE));
		assert_says(error, cases[i].says);
	}
}

static void test_sizes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 },
		{ "1", MIB },
		{ "512", 512 * MIB },
		{ "512M", 512 * MIB },
		{ "2GiB", 2 * GIB },
		{ "2gib", 2 * GIB },
		{ "3k", 3 * KIB },
		{ "3KiB", 3 * KIB },
		{ "3KB", 3000 },
		{ "4MB", 4000000 },
		{ "5GB", UINT64_C(5000000000) },
		{ "1TB", UINT64_C(1000000000000) },
		{ "1T", 1024 * GIB },
		{ "4096b", 4096 },
		{ "10bytes", 10 },
		{ "00512M", 512 * MIB },
		{ "16777215T", UINT64_C(16777215) << 40 },
		{ "18446744073709551615b", UINT64_MAX },
	};
	uint64_t bytes;

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GError *error = NULL;

		g_assert_true(parse_size(cases[i].text, MIB, &bytes, &error));
		g_assert_no_error(error);
		g_assert_cmpuint(bytes, ==, cases[i].bytes);
	}
	g_assert_true(parse_size("1048576", 1, &bytes, NULL));
	g_assert_cmpuint(bytes, ==, MIB);
}

static void test_bad_disks(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "the file is missing" },
		{ ",readonly", "the file is missing" },
		{ "a,", "unknown option ''" },
		{ "a,read-only", "unknown option 'read-only'" },
		{ "a,readonly=on", "unknown option" },
		{ "a,b.img", "written twice" },
		{ "a,readonly,readonly", "twice" },
		{ "a,serial=", "1 to 20" },
		{ "a,serial=123456789012345678901", "1 to 20" },
		{ "a,serial=a\tb", "printable" },
		{ "a,serial=x,serial=y", "twice" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GError *error = NULL;

		g_assert_null(vm_disk_config_parse(cases[i].text, &error));
		g_assert_true(g_error_matches(error, LODGE_ERROR, LODGE_ERROR_USAGE));
		assert_says(error, cases[i].says);
	}
}

static void test_disks(void)
{
	static const struct {
		const char *text, *path, *serial;
		bool readonly;
	} cases[] = {
		{ "a.img", "a.img", NULL, false },
		{ "/x y/=.img", "/x y/=.img", NULL, false },
		{ "a,,b", "a,b", NULL, false },
		{ ",,", ",", NULL, false },
		{ "a,,,readonly", "a,", NULL, true },
		{ "a,,,,b,readonly", "a,,b", NULL, true },
		{ "a,serial=12345678901234567890", "a", "12345678901234567890", false },
		{ "a,readonly,serial=S,,1", "a", "S,1", true },
		{ "a,serial=x,readonly", "a", "x", true },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GError *error = NULL;
		autoptr(vm_disk_config) disk = vm_disk_config_parse(cases[i].text, &error);

		g_assert_no_error(error);
		g_assert_cmpstr(disk->path, ==, cases[i].path);
		g_assert_cmpstr(disk->serial, ==, cases[i].serial);
		g_assert_true(disk->readonly == cases[i].readonly);
	}
}

static void test_bad_consoles(void)
{
	static const char *const cases[] = {
		"",
		"stdin",
		"stdio:",
		"stdio:x",
		"none:x",
		"NONE",
		"unix",
		"unix:",
		"file:",
		"tcp:1",
		"pty",
		"stdio,",
		"stdio,target",
		"stdio,target=",
		"stdio,target=com2",
		",stdio",
		"file:,",
		"file:,target=virtio",
		"stdio,readonly",
		"stdio,target=virtio,x",
		"file:b,target=virtio,target=virtio",
	};
	autoptr(vm_config) config = vm_config_new();
	g_autofree char *name = g_strnfill(108, 'x'), *too_long = g_strconcat("unix:", name, NULL);
	GError *error = NULL;

	g_assert_true(vm_config_set_console(config, "file:log,target=virtio", NULL));
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_assert_false(vm_config_set_console(config, cases[i], &error));
		assert_says(g_steal_pointer(&error), "console");
	}
	g_assert_false(vm_config_set_console(config, too_long, &error));
	assert_says(g_steal_pointer(&error), "longer than 107");
	g_assert_cmpint(config->console, ==, VM_CONSOLE_FILE);
	g_assert_cmpstr(config->console_path, ==, "log");
	g_assert_cmpint(config->console_target, ==, VM_CONSOLE_VIRTIO);
}

static void test_consoles(void)
{
	static const struct {
		const char *text, *path;
		enum vm_console_kind kind;
		enum vm_console_target target;
	} cases[] = {
		{ "unix:/run/a:b", "/run/a:b", VM_CONSOLE_UNIX, VM_CONSOLE_SERIAL },
		{ "stdio,target=virtio", NULL, VM_CONSOLE_STDIO, VM_CONSOLE_VIRTIO },
		{ "stdio", NULL, VM_CONSOLE_STDIO, VM_CONSOLE_SERIAL },
		{ "file:relative", "relative", VM_CONSOLE_FILE, VM_CONSOLE_SERIAL },
		{ "file:a,,target=virtio,target=virtio", "a,target=virtio", VM_CONSOLE_FILE, VM_CONSOLE_VIRTIO },
		{ "unix:,,,target=serial", ",", VM_CONSOLE_UNIX, VM_CONSOLE_SERIAL },
		{ "none", NULL, VM_CONSOLE_NONE, VM_CONSOLE_SERIAL },
	};
	autoptr(vm_config) config = vm_config_new();

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_assert_true(vm_config_set_console(config, cases[i].text, NULL));
		g_assert_cmpint(config->console, ==, cases[i].kind);
		g_assert_cmpstr(config->console_path, ==, cases[i].path);
		g_assert_cmpint(config->console_target, ==, cases[i].target);
	}
}

static struct vm_config *good_config(void)
{
	struct vm_config *config = vm_config_new();

	config->kernel = g_strdup("vmlinuz");
	return config;
}

static void add_disk(struct vm_config *config, const char *text)
{
	struct vm_disk_config *disk = vm_disk_config_parse(text, NULL);

	g_assert_nonnull(disk);
	g_ptr_array_add(config->disks, disk);
}

/* Consumes the configuration. */
static void refuse(struct vm_config *config, const char *says)
{
	GError *error = NULL;

	g_assert_false(vm_config_check(config, &error));
	assert_says(error, says);
	vm_config_free(config);
}

static void accept(struct vm_config *config)
{
	GError *error = NULL;

	g_assert_true(vm_config_check(config, &error));
	g_assert_no_error(error);
	vm_config_free(config);
}

static void set_text(char **field, const char *text)
{
	g_free(*field);
	*field = g_strdup(text);
}

static void test_defaults(void)
{
	autoptr(vm_config) config = vm_config_new();

	g_assert_cmpuint(config->memory, ==, 512 * MIB);
	g_assert_cmpuint(config->vcpus, ==, 1);
	g_assert_cmpstr(config->accel, ==, "auto");
	g_assert_cmpstr(config->append, ==, "");
	g_assert_nonnull(config->name);
	g_assert_cmpuint(config->disks->len, ==, 0);
	g_assert_cmpint(config->console, ==, VM_CONSOLE_STDIO);
	g_assert_cmpint(config->console_target, ==, VM_CONSOLE_SERIAL);
	refuse(vm_config_new(), "--kernel");
	accept(good_config());
	vm_config_free(NULL);
	vm_disk_config_free(NULL);
}

static void test_limits(void)
{
	static const struct {
		unsigned vcpus;
		uint64_t memory;
		const char *says; /* NULL: fine */
	} cases[] = {
		{ 0, 64 * MIB, "1 to 32" },
		{ 33, 64 * MIB, "33 vCPUs" },
		{ 1, 16 * MIB - 4096, "16 MiB" },
		{ 1, 0, "0 bytes" },
		{ 1, 512 * GIB + 4096, "512 GiB" },
		{ 1, UINT64_MAX, "512 GiB" },
		{ 1, 64 * MIB + 1, "multiple of 4 KiB" },
		{ 1, 16 * MIB, NULL },
		{ 32, 512 * GIB, NULL },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct vm_config *config = good_config();

		config->vcpus = cases[i].vcpus;
		config->memory = cases[i].memory;
		if (cases[i].says)
			refuse(config, cases[i].says);
		else
			accept(config);
	}
}

static void test_texts(void)
{
	g_autofree char *longer = g_strnfill(VM_CONFIG_MAX_NAME + 1, 'n');
	const struct {
		size_t field;
		const char *text, *says; /* NULL: fine */
	} cases[] = {
		{ G_STRUCT_OFFSET(struct vm_config, name), "", "name is empty" },
		{ G_STRUCT_OFFSET(struct vm_config, name), "a/b", "slash" },
		{ G_STRUCT_OFFSET(struct vm_config, name), "a\nb", "control" },
		{ G_STRUCT_OFFSET(struct vm_config, name), "\xff", "UTF-8" },
		{ G_STRUCT_OFFSET(struct vm_config, name), longer, "251 bytes" },
		{ G_STRUCT_OFFSET(struct vm_config, name), "B\xc3\xa4r 1", NULL },
		{ G_STRUCT_OFFSET(struct vm_config, kernel), "", "kernel's path is empty" },
		{ G_STRUCT_OFFSET(struct vm_config, initrd), "", "initrd's path is empty" },
		{ G_STRUCT_OFFSET(struct vm_config, accel), "", "accelerator" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct vm_config *config = good_config();

		set_text(G_STRUCT_MEMBER_P(config, cases[i].field), cases[i].text);
		if (cases[i].says)
			refuse(config, cases[i].says);
		else
			accept(config);
	}
}

static void test_disk_rules(void)
{
	struct vm_config *config = good_config();

	add_disk(config, "a");
	add_disk(config, "b");
	add_disk(config, "a,readonly");
	refuse(config, "disk a is given twice");

	config = good_config();
	add_disk(config, "a,serial=1");
	add_disk(config, "b,serial=1");
	refuse(config, "same serial");

	config = good_config();
	for (unsigned i = 0; i <= VM_CONFIG_MAX_DISKS; i++) {
		g_autofree char *path = g_strdup_printf("disk%u", i);

		add_disk(config, path);
	}
	refuse(config, "27 disks");

	config = good_config();
	add_disk(config, "a,serial=1");
	add_disk(config, "b,serial=2");
	add_disk(config, "c");
	accept(config);
}

static void test_console_rules(void)
{
	struct vm_config *config = good_config();

	config->console = VM_CONSOLE_FILE;
	refuse(config, "needs a path");

	config = good_config();
	add_disk(config, "a");
	g_assert_true(vm_config_set_console(config, "file:a", NULL));
	refuse(config, "both as a disk and as the console");

	config = good_config();
	g_assert_true(vm_config_set_console(config, "file:vmlinuz", NULL));
	refuse(config, "both as a boot file and as the console");

	config = good_config();
	add_disk(config, "a");
	g_assert_true(vm_config_set_console(config, "unix:b", NULL));
	accept(config);
}

static struct vm_port_config *add_port(struct vm_config *config, enum vm_port_target target, unsigned index,
				       const char *alias)
{
	struct vm_port_config *port = vm_port_config_new();

	port->target = target;
	port->index = index;
	port->alias = g_strdup(alias);
	g_ptr_array_add(config->ports, port);
	return port;
}

static void test_ports(void)
{
	struct vm_config *config = good_config();
	struct vm_port_config *port;

	add_port(config, VM_PORT_SERIAL, 4, "serial4");
	refuse(config, "serial ports 0 to 3");
	config = good_config();
	add_port(config, VM_PORT_SERIAL, 1, "serial0");
	add_port(config, VM_PORT_SERIAL, 1, "serial1");
	refuse(config, "same number 1");
	config = good_config();
	add_port(config, VM_PORT_SERIAL, 0, "serial0");
	add_port(config, VM_PORT_CONSOLE, 1, "serial0");
	refuse(config, "alias serial0");
	config = good_config();
	add_port(config, VM_PORT_CHANNEL, 0, "channel0");
	refuse(config, "name is missing");
	config = good_config();
	add_port(config, VM_PORT_SERIAL, 0, "serial0")->kind = VM_PORT_UNIX;
	refuse(config, "path is missing");
	config = good_config();
	add_port(config, VM_PORT_SERIAL, 0, "serial0")->kind = VM_PORT_TCP;
	refuse(config, "TCP port is missing");
	config = good_config();
	for (unsigned i = 0; i <= VM_CONFIG_MAX_PORTS; i++) {
		g_autofree char *alias = g_strdup_printf("console%u", i);

		add_port(config, VM_PORT_CONSOLE, i, alias);
	}
	refuse(config, "at most 16");
	config = good_config();
	add_port(config, VM_PORT_SERIAL, 0, "serial0");
	add_port(config, VM_PORT_CONSOLE, 0, "console0");
	port = add_port(config, VM_PORT_CHANNEL, 0, "channel0");
	port->name = g_strdup("org.qemu.guest_agent.0");
	accept(config);
}

static void test_topology(void)
{
	static const struct {
		unsigned vcpus, max, sockets, dies, cores, threads;
		const char *says;
	} cases[] = {
		{ 4, 2, 0, 0, 0, 0, "4 vCPUs of at most 2" },	{ 1, 33, 0, 0, 0, 0, "at most 32" },
		{ 4, 0, 2, 1, 1, 1, "is not 4 vCPUs" },		{ 4, 0, 2, 1, 0, 1, "is not 4 vCPUs" },
		{ 4, 8, 1, 1, 4, 1, "is not 8 vCPUs" },		{ 1, 0, 65536, 65536, 65536, 65536, "is not 1 vCPUs" },
		{ 4, 0, 2, 1, 1, 2, NULL },			{ 4, 8, 1, 2, 2, 2, NULL },
		{ 4, 0, 2, 0, 2, 1, NULL },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct vm_config *config = good_config();

		config->vcpus = cases[i].vcpus;
		config->max_vcpus = cases[i].max;
		config->sockets = cases[i].sockets;
		config->dies = cases[i].dies;
		config->cores = cases[i].cores;
		config->threads = cases[i].threads;
		if (cases[i].says)
			refuse(config, cases[i].says);
		else
			accept(config);
	}
}

static void test_definition(void)
{
	struct vm_config *config = good_config();

	g_strlcpy(config->uuid, "not-a-uuid", sizeof(config->uuid));
	refuse(config, "not a UUID");
	config = good_config();
	config->balloon_memory = config->memory + 1;
	refuse(config, "balloon");
	config = good_config();
	g_ptr_array_add(config->cpu_features, g_strdup("avx2"));
	refuse(config, "+NAME or -NAME");
	config = good_config();
	g_ptr_array_add(config->cpu_features, g_strdup("-avx2"));
	g_strlcpy(config->uuid, "11111111-2222-3333-4444-555555555555", sizeof(config->uuid));
	config->balloon_memory = config->memory / 2;
	accept(config);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/vm-config/size/bad", test_bad_sizes);
	g_test_add_func("/vm-config/size/good", test_sizes);
	g_test_add_func("/vm-config/disk/bad", test_bad_disks);
	g_test_add_func("/vm-config/disk/good", test_disks);
	g_test_add_func("/vm-config/console/bad", test_bad_consoles);
	g_test_add_func("/vm-config/console/good", test_consoles);
	g_test_add_func("/vm-config/check/defaults", test_defaults);
	g_test_add_func("/vm-config/check/limits", test_limits);
	g_test_add_func("/vm-config/check/texts", test_texts);
	g_test_add_func("/vm-config/check/disks", test_disk_rules);
	g_test_add_func("/vm-config/check/console", test_console_rules);
	g_test_add_func("/vm-config/check/ports", test_ports);
	g_test_add_func("/vm-config/check/topology", test_topology);
	g_test_add_func("/vm-config/check/definition", test_definition);
	return g_test_run();
}
