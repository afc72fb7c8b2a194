/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parsers of command-line values: whatever they take must be writable back to a text that means the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/model/vm-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void double_commas(GString *out, const char *text)
{
	for (; *text; text++) {
		if (*text == ',')
			g_string_append_c(out, ',');
		g_string_append_c(out, *text);
	}
}

static void try_disk(const char *text)
{
	autoptr(vm_disk_config) disk = vm_disk_config_parse(text, NULL);
	autoptr(vm_disk_config) again = NULL;
	g_autoptr(GString) out = g_string_new(NULL);

	if (!disk)
		return;
	double_commas(out, disk->path);
	if (disk->readonly)
		g_string_append(out, ",readonly");
	if (disk->serial) {
		g_string_append(out, ",serial=");
		double_commas(out, disk->serial);
	}
	again = vm_disk_config_parse(out->str, NULL);
	g_assert_nonnull(again);
	g_assert_cmpstr(again->path, ==, disk->path);
	g_assert_cmpstr(again->serial, ==, disk->serial);
	g_assert_true(again->readonly == disk->readonly);
}

static void try_size(const char *text)
{
	uint64_t bytes, again;
	g_autofree char *out = NULL;

	if (!parse_size(text, 1 << 20, &bytes, NULL))
		return;
	out = g_strdup_printf("%" G_GUINT64_FORMAT "b", bytes);
	g_assert_true(parse_size(out, 1 << 20, &again, NULL));
	g_assert_cmpuint(again, ==, bytes);
}

static void try_console(const char *text)
{
	static const char *const kinds[VM_N_CONSOLE_KINDS] = { "stdio", "none", "unix:", "file:" };
	autoptr(vm_config) config = vm_config_new();
	autoptr(vm_config) again = vm_config_new();
	g_autoptr(GString) out = g_string_new(NULL);

	if (!vm_config_set_console(config, text, NULL))
		return;
	g_string_append(out, kinds[config->console]);
	double_commas(out, config->console_path ? config->console_path : "");
	g_string_append(out, config->console_target == VM_CONSOLE_VIRTIO ? ",target=virtio" : ",target=serial");
	g_assert_true(vm_config_set_console(again, out->str, NULL));
	g_assert_cmpint(again->console, ==, config->console);
	g_assert_cmpint(again->console_target, ==, config->console_target);
	g_assert_cmpstr(again->console_path, ==, config->console_path);
}

static void try_config(const char *text)
{
	autoptr(vm_config) config = vm_config_new();
	struct vm_disk_config *disk = vm_disk_config_parse(text, NULL);

	config->kernel = g_strdup("vmlinuz");
	if (disk)
		g_ptr_array_add(config->disks, disk);
	if (vm_config_set_console(config, text, NULL) && vm_config_check(config, NULL))
		g_assert_true(config->console_path == NULL || *config->console_path);
	g_free(config->name);
	config->name = g_strdup(text);
	if (vm_config_check(config, NULL))
		g_assert_true(g_utf8_validate(config->name, -1, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);

	try_size(text);
	try_disk(text);
	try_console(text);
	try_config(text);
	return 0;
}
