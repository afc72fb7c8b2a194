/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU command lines to definitions. Each option is a row of a table: how many words it takes, and what is done. What
 * has no element in a definition is kept word for word below <qemu:commandline>.
 */
#include "core/model/domain-argv.h"

#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-steps.h"

#define MAX_TEXT (1u << 20)
#define MAX_WORDS 4096

/* Properties. */

static void property_free(void *data)
{
	struct argv_property *property = data;

	g_free(property->name);
	g_free(property->value);
	g_free(property);
}

GPtrArray *argv_properties(const char *text)
{
	GPtrArray *properties = g_ptr_array_new_with_free_func(property_free);

	while (*text) {
		struct argv_property *property = g_new0(struct argv_property, 1);
		g_autoptr(GString) word = g_string_new(NULL);

		for (; *text && (*text != ',' || text[1] == ','); text++) {
			text += *text == ',';
			if (*text == '=' && !property->name) {
				property->name = g_strdup(word->str);
				g_string_truncate(word, 0);
			} else {
				g_string_append_c(word, *text);
			}
		}
		text += *text == ',';
		/* "readonly" alone means readonly=on. */
		if (!property->name && properties->len) {
			property->name = g_strdup(word->str);
			g_string_assign(word, "on");
		}
		property->value = g_strdup(word->str);
		g_ptr_array_add(properties, property);
	}
	return properties;
}

const char *argv_get(GPtrArray *properties, const char *name)
{
	for (guint i = properties->len; i > 0; i--) {
		const struct argv_property *property = properties->pdata[i - 1];

		if (g_strcmp0(property->name, name) == 0)
			return property->value;
	}
	return NULL;
}

const char *argv_first(GPtrArray *properties, const char *name)
{
	const struct argv_property *first = properties->len ? properties->pdata[0] : NULL;

	return first && !first->name ? first->value : argv_get(properties, name);
}

bool argv_is_on(GPtrArray *properties, const char *name)
{
	const char *value = argv_get(properties, name);

	return value && (strcmp(value, "on") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "true") == 0);
}

void argv_keep(struct argv *argv, const char *option, const char *value)
{
	xmlNode *line = xml_ensure(argv->root, "qemu:commandline");

	xml_set(xml_add(line, "qemu:arg"), "@value", option);
	if (value)
		xml_set(xml_add(line, "qemu:arg"), "@value", value);
}

/* The words. */

static bool is_assignment(const char *word)
{
	size_t name = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	return name && word[name] == '=';
}

/* The words of the options, behind "VARIABLE=value" words and the program. */
static char **skip_program(struct argv *argv, char **word)
{
	for (; *word && is_assignment(*word); word++) {
		xmlNode *env = xml_add(xml_ensure(argv->root, "qemu:commandline"), "qemu:env");
		g_auto(GStrv) pair = g_strsplit(*word, "=", 2);

		xml_set(env, "@name", pair[0]);
		xml_set(env, "@value", pair[1]);
	}
	if (*word && **word != '-') {
		g_autofree char *base = g_path_get_basename(*word);

		if (**word == '/')
			xml_set(argv->devices, "emulator", *word);
		if (strstr(base, "i386"))
			xml_set(argv->root, "os/type/@arch", "i686");
		if (strstr(base, "kvm"))
			xml_set(argv->root, "@type", "kvm");
		word++;
	}
	return word;
}

static bool run_words(struct argv *argv, char **word, GError **err)
{
	while (*word) {
		const struct argv_option *option;
		const char *name = *word++, *value = NULL;

		/* A word alone is a disk. */
		if (*name != '-') {
			if (!argv_disk_file(argv, name, "ide", 0, false, err))
				return false;
			continue;
		}
		option = argv_find_option(name);
		if (!option) {
			value = *word && **word != '-' ? *word++ : NULL;
			argv_keep(argv, name, value);
			continue;
		}
		if (option->has_value) {
			value = *word;
			if (!value)
				return fail(err, LODGE_ERROR_INPUT, "%s needs a value", name);
			word++;
		}
		if (option->has_value && (strcmp(value, "help") == 0 || strcmp(value, "?") == 0))
			return argv_answer(argv, value, err);
		if (option->run && !option->run(argv, value, err))
			return false;
	}
	return true;
}

static void free_properties(void *properties)
{
	g_ptr_array_unref(properties);
}

static void argv_begin(struct argv *argv, xmlNode *root)
{
	argv->root = root;
	xml_set(root, "@type", "qemu");
	xml_set(root, "os/type", "hvm");
	xml_set(root, "os/type/@arch", "x86_64");
	argv->devices = xml_ensure(root, "devices");
	argv->drives = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	argv->netdevs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	argv->chardevs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_properties);
	argv->rngs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	argv->fsdevs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_properties);
	argv->iothreads = g_ptr_array_new_with_free_func(g_free);
}

static void argv_end(struct argv *argv)
{
	g_hash_table_unref(argv->drives);
	g_hash_table_unref(argv->netdevs);
	g_hash_table_unref(argv->chardevs);
	g_hash_table_unref(argv->rngs);
	g_hash_table_unref(argv->fsdevs);
	g_ptr_array_unref(argv->iothreads);
}

/* What QEMU has without an option. */
static void add_defaults(struct argv *argv)
{
	if (!xml_find(argv->root, "name"))
		xml_set(argv->root, "name", "unnamed");
	if (!xml_find(argv->root, "memory") || !domain_number(argv->root, "memory")) {
		xml_set(argv->root, "memory", "131072");
		xml_set(argv->root, "memory/@unit", "KiB");
	}
	for (xmlNode *disk = xml_first(argv->devices, "disk"); argv->snapshot && disk; disk = xml_next(disk))
		xml_ensure(disk, "transient");
	if (!argv->no_acpi)
		xml_ensure(argv->root, "features/acpi");
	if (!xml_find(argv->root, "os/type/@machine"))
		xml_set(argv->root, "os/type/@machine", "pc");
}

struct domain *domain_from_argv(const char *text, GError **err)
{
	struct argv argv = { 0 };
	g_auto(GStrv) words = NULL;
	g_autoptr(GError) bad = NULL;
	int n = 0;
	bool ok;

	if (strlen(text) > MAX_TEXT)
		return fail_null(err, LODGE_ERROR_INPUT, "the command line is longer than %u bytes", MAX_TEXT);
	if (!g_utf8_validate(text, -1, NULL))
		return fail_null(err, LODGE_ERROR_INPUT, "the command line is not UTF-8 text");
	if (!g_shell_parse_argv(text, &n, &words, &bad))
		return fail_null(err, LODGE_ERROR_INPUT, "not a command line: %s", bad->message);
	if (n > MAX_WORDS)
		return fail_null(err, LODGE_ERROR_INPUT, "the command line has more than %d words", MAX_WORDS);
	auto_xml xmlDoc *doc = xml_parse("<domain/>", strlen("<domain/>"), "command line", err);
	if (!doc)
		return NULL;
	argv_begin(&argv, xmlDocGetRootElement(doc));
	ok = run_words(&argv, skip_program(&argv, words), err);
	if (ok) {
		argv_drop_drives(&argv);
		add_defaults(&argv);
	}
	argv_end(&argv);
	g_autofree char *xml = ok ? xml_format(xmlDocGetRootElement(doc)) : NULL;
	return xml ? domain_parse(xml, strlen(xml), "command line", 0, err) : NULL;
}
