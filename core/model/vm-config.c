/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/vm-config.h"

#include <string.h>
#include <sys/un.h>

#include "core/base/error.h"

#define PAGE_SIZE_BYTES 4096u

/* Longest path of a UNIX socket, without the final 0. */
#define MAX_SOCKET_PATH (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

struct vm_config *vm_config_new(void)
{
	struct vm_config *config = g_new0(struct vm_config, 1);

	config->name = g_strdup("vm");
	config->memory = VM_CONFIG_DEFAULT_MEMORY;
	config->vcpus = 1;
	config->append = g_strdup("");
	config->accel = g_strdup("auto");
	config->disks = g_ptr_array_new_with_free_func((GDestroyNotify)vm_disk_config_free);
	config->console = VM_CONSOLE_STDIO;
	config->ports = g_ptr_array_new_with_free_func((GDestroyNotify)vm_port_config_free);
	config->cpu_features = g_ptr_array_new_with_free_func(g_free);
	config->panic_device = true;
	config->has_rng = true;
	return config;
}

void vm_config_free(struct vm_config *config)
{
	if (!config)
		return;
	g_free(config->name);
	g_free(config->kernel);
	g_free(config->initrd);
	g_free(config->append);
	g_free(config->accel);
	g_free(config->cpu);
	g_free(config->console_path);
	g_ptr_array_unref(config->disks);
	g_ptr_array_unref(config->ports);
	g_ptr_array_unref(config->cpu_features);
	g_free(config);
}

struct vm_port_config *vm_port_config_new(void)
{
	return g_new0(struct vm_port_config, 1);
}

void vm_port_config_free(struct vm_port_config *port)
{
	if (!port)
		return;
	g_free(port->alias);
	g_free(port->name);
	g_free(port->path);
	g_free(port->host);
	g_free(port->service);
	g_free(port->log_path);
	g_free(port);
}

void vm_disk_config_free(struct vm_disk_config *disk)
{
	if (!disk)
		return;
	g_free(disk->target);
	g_free(disk->alias);
	g_free(disk->path);
	g_free(disk->serial);
	g_free(disk);
}

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (!g_ascii_isprint(*text))
			return false;
	}
	return true;
}

static bool check_name(const char *name, GError **err)
{
	if (!*name)
		return fail(err, LODGE_ERROR_INPUT, "the VM's name is empty");
	if (strlen(name) > VM_CONFIG_MAX_NAME)
		return fail(err, LODGE_ERROR_INPUT, "the VM's name is longer than %u bytes", VM_CONFIG_MAX_NAME);
	if (!g_utf8_validate(name, -1, NULL))
		return fail(err, LODGE_ERROR_INPUT, "the VM's name is not UTF-8 text");
	for (const char *p = name; *p; p++) {
		if (*p == '/' || g_ascii_iscntrl(*p))
			return fail(err, LODGE_ERROR_INPUT, "the VM's name holds a slash or a control character");
	}
	return true;
}

static bool check_resources(const struct vm_config *config, GError **err)
{
	if (config->vcpus < 1 || config->vcpus > VM_CONFIG_MAX_VCPUS)
		return fail(err, LODGE_ERROR_INPUT, "%u vCPUs: a VM has 1 to %u", config->vcpus, VM_CONFIG_MAX_VCPUS);
	if (config->memory < VM_CONFIG_MIN_MEMORY || config->memory > VM_CONFIG_MAX_MEMORY)
		return fail(err, LODGE_ERROR_INPUT,
			    "%" G_GUINT64_FORMAT " bytes of memory: a VM has %" G_GUINT64_FORMAT
			    " MiB to %" G_GUINT64_FORMAT " GiB",
			    config->memory, (uint64_t)VM_CONFIG_MIN_MEMORY >> 20, (uint64_t)VM_CONFIG_MAX_MEMORY >> 30);
	if (config->memory % PAGE_SIZE_BYTES)
		return fail(err, LODGE_ERROR_INPUT, "%" G_GUINT64_FORMAT " bytes of memory: not a multiple of 4 KiB",
			    config->memory);
	return true;
}

static bool check_boot(const struct vm_config *config, GError **err)
{
	if (config->kernel && !*config->kernel)
		return fail(err, LODGE_ERROR_INPUT, "the kernel's path is empty");
	if (config->initrd && !*config->initrd)
		return fail(err, LODGE_ERROR_INPUT, "the initrd's path is empty");
	if (!config->kernel)
		return fail(err, LODGE_ERROR_INPUT, "nothing to boot: give a kernel with --kernel FILE");
	return true;
}

static bool check_disk(const struct vm_config *config, guint index, GError **err)
{
	const struct vm_disk_config *disk = config->disks->pdata[index];

	if (!disk->path || !*disk->path)
		return fail(err, LODGE_ERROR_INPUT, "disk %u: the path is empty", index + 1);
	if (disk->serial && strlen(disk->serial) > VM_CONFIG_MAX_SERIAL)
		return fail(err, LODGE_ERROR_INPUT, "disk %s: serial number longer than %u bytes", disk->path,
			    VM_CONFIG_MAX_SERIAL);
	for (guint i = 0; i < index; i++) {
		const struct vm_disk_config *other = config->disks->pdata[i];

		if (strcmp(disk->path, other->path) == 0)
			return fail(err, LODGE_ERROR_INPUT, "disk %s is given twice", disk->path);
		if (disk->serial && other->serial && strcmp(disk->serial, other->serial) == 0)
			return fail(err, LODGE_ERROR_INPUT, "disks %s and %s have the same serial number %s",
				    other->path, disk->path, disk->serial);
	}
	return true;
}

static bool check_disks(const struct vm_config *config, GError **err)
{
	if (config->disks->len > VM_CONFIG_MAX_DISKS)
		return fail(err, LODGE_ERROR_INPUT, "%u disks: a VM has at most %u", config->disks->len,
			    VM_CONFIG_MAX_DISKS);
	for (guint i = 0; i < config->disks->len; i++) {
		if (!check_disk(config, i, err))
			return false;
	}
	return true;
}

static bool needs_path(enum vm_console_kind kind)
{
	return kind == VM_CONSOLE_UNIX || kind == VM_CONSOLE_FILE;
}

static bool check_console_path(enum vm_console_kind kind, const char *path, GError **err)
{
	if (!needs_path(kind))
		return true;
	if (!path || !*path)
		return fail(err, LODGE_ERROR_INPUT, "the console needs a path: unix:PATH or file:PATH");
	if (kind == VM_CONSOLE_UNIX && strlen(path) > MAX_SOCKET_PATH)
		return fail(err, LODGE_ERROR_INPUT, "console socket %s: the path is longer than %zu bytes", path,
			    MAX_SOCKET_PATH);
	return true;
}

/* The console appends to its file: a disk or a boot file must not be that file. */
static bool check_console(const struct vm_config *config, GError **err)
{
	const char *path = config->console_path;

	if (!check_console_path(config->console, path, err))
		return false;
	if (!needs_path(config->console))
		return true;
	for (guint i = 0; i < config->disks->len; i++) {
		const struct vm_disk_config *disk = config->disks->pdata[i];

		if (strcmp(disk->path, path) == 0)
			return fail(err, LODGE_ERROR_INPUT, "%s is given both as a disk and as the console", path);
	}
	if (g_strcmp0(config->kernel, path) == 0 || g_strcmp0(config->initrd, path) == 0)
		return fail(err, LODGE_ERROR_INPUT, "%s is given both as a boot file and as the console", path);
	return true;
}

/* What the kind of a port's other end needs to be said. */
static bool check_port_kind(const struct vm_port_config *port, const char *name, GError **err)
{
	bool path = port->kind == VM_PORT_UNIX || port->kind == VM_PORT_FILE;

	if ((size_t)port->kind >= VM_N_PORT_KINDS || (size_t)port->target >= VM_N_PORT_TARGETS)
		return fail(err, LODGE_ERROR_INTERNAL, "port %s: unknown kind", name);
	if (path && (!port->path || !*port->path))
		return fail(err, LODGE_ERROR_INPUT, "port %s: a path is missing", name);
	if (port->kind == VM_PORT_UNIX && strlen(port->path) > MAX_SOCKET_PATH)
		return fail(err, LODGE_ERROR_INPUT, "port %s: the socket's path %s is longer than %zu bytes", name,
			    port->path, MAX_SOCKET_PATH);
	if (port->kind == VM_PORT_TCP && (!port->service || !*port->service))
		return fail(err, LODGE_ERROR_INPUT, "port %s: a TCP port is missing", name);
	return true;
}

static bool check_port(const struct vm_config *config, guint index, GError **err)
{
	const struct vm_port_config *port = config->ports->pdata[index];
	const char *name = port->alias ? port->alias : "without alias";

	if (port->target == VM_PORT_SERIAL && port->index >= VM_CONFIG_MAX_SERIALS)
		return fail(err, LODGE_ERROR_INPUT, "serial port %u: a VM has serial ports 0 to %u", port->index,
			    VM_CONFIG_MAX_SERIALS - 1);
	if (port->target == VM_PORT_CHANNEL && (!port->name || !*port->name))
		return fail(err, LODGE_ERROR_INPUT, "channel %s: the name is missing", name);
	for (guint i = 0; i < index; i++) {
		const struct vm_port_config *other = config->ports->pdata[i];

		if (g_strcmp0(port->alias, other->alias) == 0)
			return fail(err, LODGE_ERROR_INPUT, "two ports have the alias %s", name);
		if (port->target == other->target && port->index == other->index)
			return fail(err, LODGE_ERROR_INPUT, "ports %s and %s have the same number %u", other->alias,
				    name, port->index);
	}
	return check_port_kind(port, name, err);
}

static bool check_ports(const struct vm_config *config, GError **err)
{
	if (config->ports->len > VM_CONFIG_MAX_PORTS)
		return fail(err, LODGE_ERROR_INPUT, "%u serial ports, consoles and channels: a VM has at most %u",
			    config->ports->len, VM_CONFIG_MAX_PORTS);
	for (guint i = 0; i < config->ports->len; i++) {
		if (!check_port(config, i, err))
			return false;
	}
	return true;
}

static bool check_topology(const struct vm_config *config, GError **err)
{
	uint64_t max = MAX(config->max_vcpus, config->vcpus), product = config->sockets;
	const unsigned factors[] = { config->dies ? config->dies : 1, config->cores, config->threads };

	if (config->max_vcpus && config->max_vcpus < config->vcpus)
		return fail(err, LODGE_ERROR_INPUT, "%u vCPUs of at most %u", config->vcpus, config->max_vcpus);
	if (max > VM_CONFIG_MAX_VCPUS)
		return fail(err, LODGE_ERROR_INPUT, "up to %" G_GUINT64_FORMAT " vCPUs: a VM has at most %u", max,
			    VM_CONFIG_MAX_VCPUS);
	if (!config->sockets)
		return true;
	for (size_t i = 0; i < G_N_ELEMENTS(factors); i++)
		product = factors[i] && product <= UINT32_MAX ? product * factors[i] : 0;
	if (product != max)
		return fail(err, LODGE_ERROR_INPUT,
			    "CPU topology of %u sockets, %u dies, %u cores, %u threads is not %" G_GUINT64_FORMAT
			    " vCPUs",
			    config->sockets, factors[0], config->cores, config->threads, max);
	return true;
}

static bool check_definition(const struct vm_config *config, GError **err)
{
	if (*config->uuid && !g_uuid_string_is_valid(config->uuid))
		return fail(err, LODGE_ERROR_INPUT, "'%s' is not a UUID", config->uuid);
	if (config->balloon_memory > config->memory)
		return fail(err, LODGE_ERROR_INPUT, "the balloon would leave the guest more than it has");
	for (guint i = 0; i < config->cpu_features->len; i++) {
		const char *text = config->cpu_features->pdata[i];

		if ((*text != '+' && *text != '-') || !text[1])
			return fail(err, LODGE_ERROR_INPUT, "CPU feature '%s': +NAME or -NAME is expected", text);
	}
	return check_topology(config, err) && check_ports(config, err);
}

bool vm_config_check(const struct vm_config *config, GError **err)
{
	if (!*config->accel)
		return fail(err, LODGE_ERROR_INPUT, "the accelerator's name is empty: auto, kvm or soft");
	return check_name(config->name, err) && check_resources(config, err) && check_boot(config, err) &&
	       check_disks(config, err) && check_console(config, err) && check_definition(config, err);
}

/* Suffixes in any case, as virsh takes them. */
static const struct {
	const char *suffix;
	uint64_t factor;
} size_units[] = {
	{ "b", 1 },
	{ "bytes", 1 },
	{ "k", UINT64_C(1) << 10 },
	{ "kib", UINT64_C(1) << 10 },
	{ "kb", UINT64_C(1000) },
	{ "m", UINT64_C(1) << 20 },
	{ "mib", UINT64_C(1) << 20 },
	{ "mb", UINT64_C(1000000) },
	{ "g", UINT64_C(1) << 30 },
	{ "gib", UINT64_C(1) << 30 },
	{ "gb", UINT64_C(1000000000) },
	{ "t", UINT64_C(1) << 40 },
	{ "tib", UINT64_C(1) << 40 },
	{ "tb", UINT64_C(1000000000000) },
};

/* 0: no such suffix. */
static uint64_t size_factor(const char *suffix)
{
	for (size_t i = 0; i < G_N_ELEMENTS(size_units); i++) {
		if (g_ascii_strcasecmp(suffix, size_units[i].suffix) == 0)
			return size_units[i].factor;
	}
	return 0;
}

bool parse_size(const char *text, uint64_t unit, uint64_t *bytes, GError **err)
{
	uint64_t number = 0, factor;
	const char *p = text;

	if (!g_ascii_isdigit(*p))
		return fail(err, LODGE_ERROR_USAGE,
			    "'%s' is not a size: a whole number with K, M, G or T is expected, as in 512M", text);
	for (; g_ascii_isdigit(*p); p++) {
		uint64_t digit = (uint64_t)g_ascii_digit_value(*p);

		if (number > (UINT64_MAX - digit) / 10)
			return fail(err, LODGE_ERROR_USAGE, "size '%s' is too large", text);
		number = number * 10 + digit;
	}
	factor = *p ? size_factor(p) : unit;
	if (*p && factor == 0)
		return fail(err, LODGE_ERROR_USAGE,
			    "size '%s': '%s' is not a unit: K, M, G, T (powers of 1024) or KB, MB, GB, TB (of 1000)",
			    text, p);
	if (factor != 0 && number > UINT64_MAX / factor)
		return fail(err, LODGE_ERROR_USAGE, "size '%s' is too large", text);
	*bytes = number * factor;
	return true;
}

/*
 * Takes the text up to the next single comma, with doubled ones halved; *rest is moved behind that comma, or to NULL
 * at the end.
 */
static char *take_field(const char **rest)
{
	GString *field = g_string_new(NULL);
	const char *p = *rest;

	for (; *p; p++) {
		if (*p == ',' && *++p != ',') {
			*rest = p;
			return g_string_free(field, FALSE);
		}
		g_string_append_c(field, *p);
	}
	*rest = NULL;
	return g_string_free(field, FALSE);
}

static bool set_serial(struct vm_disk_config *disk, const char *serial, GError **err)
{
	if (disk->serial)
		return fail(err, LODGE_ERROR_USAGE, "disk %s: serial is given twice", disk->path);
	if (!*serial || strlen(serial) > VM_CONFIG_MAX_SERIAL || !is_printable(serial))
		return fail(err, LODGE_ERROR_USAGE, "disk %s: a serial number has 1 to %u printable characters",
			    disk->path, VM_CONFIG_MAX_SERIAL);
	disk->serial = g_strdup(serial);
	return true;
}

static bool set_disk_option(struct vm_disk_config *disk, const char *option, GError **err)
{
	if (strcmp(option, "readonly") == 0) {
		if (disk->readonly)
			return fail(err, LODGE_ERROR_USAGE, "disk %s: readonly is given twice", disk->path);
		disk->readonly = true;
		return true;
	}
	if (g_str_has_prefix(option, "serial="))
		return set_serial(disk, option + strlen("serial="), err);
	return fail(
		err, LODGE_ERROR_USAGE,
		"disk %s: unknown option '%s': readonly and serial=S are known; a comma in the path is written twice",
		disk->path, option);
}

struct vm_disk_config *vm_disk_config_parse(const char *text, GError **err)
{
	autoptr(vm_disk_config) disk = g_new0(struct vm_disk_config, 1);
	const char *rest = text;

	disk->path = take_field(&rest);
	if (!*disk->path)
		return fail_null(err, LODGE_ERROR_USAGE,
				 "disk '%s': the file is missing: FILE[,readonly][,serial=S] is expected", text);
	while (rest) {
		g_autofree char *option = take_field(&rest);

		if (!set_disk_option(disk, option, err))
			return NULL;
	}
	return g_steal_pointer(&disk);
}

static bool parse_console_kind(const char *text, enum vm_console_kind *kind, const char **path, GError **err)
{
	static const struct {
		const char *prefix; /* all of the text where there is no path */
		enum vm_console_kind kind;
	} kinds[] = {
		{ "stdio", VM_CONSOLE_STDIO },
		{ "none", VM_CONSOLE_NONE },
		{ "unix:", VM_CONSOLE_UNIX },
		{ "file:", VM_CONSOLE_FILE },
	};

	G_STATIC_ASSERT(G_N_ELEMENTS(kinds) == VM_N_CONSOLE_KINDS);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		const char *rest = text + strlen(kinds[i].prefix);

		if (!g_str_has_prefix(text, kinds[i].prefix) || (*rest && !needs_path(kinds[i].kind)))
			continue;
		*kind = kinds[i].kind;
		*path = needs_path(*kind) ? rest : NULL;
		return check_console_path(*kind, *path, err);
	}
	return fail(err, LODGE_ERROR_USAGE, "console '%s': stdio, none, unix:PATH or file:PATH is expected", text);
}

static bool set_console_option(enum vm_console_target *target, bool *given, const char *option, GError **err)
{
	static const char *const names[VM_N_CONSOLE_TARGETS] = {
		[VM_CONSOLE_SERIAL] = "serial",
		[VM_CONSOLE_VIRTIO] = "virtio",
	};

	if (!g_str_has_prefix(option, "target="))
		return fail(err, LODGE_ERROR_USAGE,
			    "console: unknown option '%s': target=serial and target=virtio are known; a comma in the "
			    "path is written twice",
			    option);
	if (*given)
		return fail(err, LODGE_ERROR_USAGE, "console: target is given twice");
	*given = true;
	option += strlen("target=");
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		if (strcmp(option, names[i]) == 0) {
			*target = (enum vm_console_target)i;
			return true;
		}
	}
	return fail(err, LODGE_ERROR_USAGE, "console: target '%s' is not known: it is serial or virtio", option);
}

bool vm_config_set_console(struct vm_config *config, const char *text, GError **err)
{
	const char *rest = text, *path = NULL;
	g_autofree char *kind_text = take_field(&rest);
	enum vm_console_target target = VM_CONSOLE_SERIAL;
	enum vm_console_kind kind = VM_CONSOLE_STDIO;
	bool given = false;

	if (!parse_console_kind(kind_text, &kind, &path, err))
		return false;
	while (rest) {
		g_autofree char *option = take_field(&rest);

		if (!set_console_option(&target, &given, option, err))
			return false;
	}
	g_free(config->console_path);
	config->console_path = g_strdup(path);
	config->console = kind;
	config->console_target = target;
	return true;
}
