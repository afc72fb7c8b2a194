/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines: arguments that end with a byte 0. Whatever is on them ends in a
 * refusal that is a sentence, or in values within their limits; and the same line means the same the next time.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/vm-config.h"
#include "tui/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_ARGS 64u

extern const struct command cmd_run;

/* A command with an option of every type. */
struct target {
	char *text;
	uint64_t size;
	unsigned number, n_calls;
	bool flag;
};

static bool refuse_x(void *target, const char *value, GError **err)
{
	((struct target *)target)->n_calls++;
	return *value != 'x' || fail(err, LODGE_ERROR_INPUT, "'%s' begins with x", value);
}

static const struct option_row rows[] = {
	{ .name = "text", .arg = "TEXT", .type = OPTION_STRING, .offset = G_STRUCT_OFFSET(struct target, text) },
	{ .name = "size",
	  .arg = "SIZE",
	  .type = OPTION_SIZE,
	  .offset = G_STRUCT_OFFSET(struct target, size),
	  .unit = 1024 },
	{ .name = "number",
	  .arg = "N",
	  .type = OPTION_UINT,
	  .offset = G_STRUCT_OFFSET(struct target, number),
	  .min = 3,
	  .max = 4000000000u },
	{ .name = "flag", .type = OPTION_FLAG, .offset = G_STRUCT_OFFSET(struct target, flag) },
	{ .name = "call", .arg = "WORD", .type = OPTION_CALL, .parse = refuse_x, .required = true, .repeats = true },
};

/* NULL-terminated, as main() gets it; the strings stay the caller's. */
static GPtrArray *borrow(char **args)
{
	GPtrArray *argv = g_ptr_array_new();

	for (; *args; args++)
		g_ptr_array_add(argv, *args);
	g_ptr_array_add(argv, NULL);
	return argv;
}

static bool parse(const struct option_row *table, size_t n, void *target, char **args, struct options_result *result)
{
	g_autoptr(GPtrArray) argv = borrow(args);
	int argc = (int)argv->len - 1;
	g_autoptr(GError) err = NULL;
	bool parsed = options_parse(table, n, target, argc, (char **)argv->pdata, result, &err);

	if (!parsed) {
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_USAGE);
		g_assert_true(*err->message);
		return false;
	}
	g_assert_no_error(err);
	g_assert_cmpint(result->n_operands, >=, 0);
	g_assert_cmpint(result->n_operands, <=, argc);
	for (int i = 0; i < result->n_operands; i++)
		g_assert_nonnull(result->operands[i]);
	return true;
}

static void try_all_types(char **args)
{
	struct target first = { .number = 3 }, second = { .number = 3 };
	struct options_result result;
	bool parsed = parse(rows, G_N_ELEMENTS(rows), &first, args, &result);

	g_assert_true(parse(rows, G_N_ELEMENTS(rows), &second, args, &result) == parsed);
	g_assert_cmpstr(first.text, ==, second.text);
	g_assert_cmpuint(first.size, ==, second.size);
	g_assert_cmpuint(first.number, ==, second.number);
	g_assert_cmpuint(first.number, >=, 3);
	g_assert_cmpuint(first.number, <=, 4000000000u);
	g_assert_true(first.flag == second.flag);
	if (parsed && !result.help)
		g_assert_cmpuint(second.n_calls, >, 0);
	g_free(first.text);
	g_free(second.text);
}

static void try_run(char **args)
{
	autoptr(vm_config) config = vm_config_new();
	g_autoptr(GError) err = NULL;
	struct options_result result;

	if (!parse(cmd_run.raw_options, cmd_run.n_raw_options, config, args, &result) || result.help)
		return;
	g_assert_nonnull(config->kernel);
	g_assert_cmpuint(config->vcpus, >=, 1);
	g_assert_cmpuint(config->vcpus, <=, VM_CONFIG_MAX_VCPUS);
	if (!vm_config_check(config, &err)) {
		g_assert_nonnull(err);
		return;
	}
	g_assert_cmpuint(config->memory, >=, VM_CONFIG_MIN_MEMORY);
	g_assert_cmpuint(config->memory, <=, VM_CONFIG_MAX_MEMORY);
	g_assert_cmpuint(config->disks->len, <=, VM_CONFIG_MAX_DISKS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GPtrArray) args = g_ptr_array_new_with_free_func(g_free);

	for (size_t pos = 0; pos < size && args->len < MAX_ARGS;) {
		size_t len = strnlen((const char *)data + pos, size - pos);

		g_ptr_array_add(args, g_strndup((const char *)data + pos, len));
		pos += len + 1;
	}
	g_ptr_array_add(args, NULL);
	try_all_types((char **)args->pdata);
	try_run((char **)args->pdata);
	return 0;
}
