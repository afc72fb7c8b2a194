/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/args.h"

#include <string.h>

#include "core/base/error.h"
#include "core/model/vm-config.h"

struct arg_value {
	bool given;
	const char *text;
	gint64 number;
	guint64 size; /* UINT and SIZE */
};

struct args {
	const struct command *command;
	size_t n_rows;
	struct arg_value *values; /* one a row */
	GPtrArray *rest;	  /* NULL-terminated once parsed */
	bool help, data_only;	  /* "--" was there */
};

static const struct {
	bool positional, value;
} type_facts[ARG_N_TYPES] = {
	[ARG_FLAG] = { false, false },	  [ARG_STRING] = { false, true },   [ARG_INT] = { false, true },
	[ARG_UINT] = { false, true },	  [ARG_SIZE] = { false, true },	    [ARG_DATA] = { true, true },
	[ARG_DATA_UINT] = { true, true }, [ARG_DATA_SIZE] = { true, true }, [ARG_REST] = { true, true },
};

bool arg_is_positional(const struct arg_row *row)
{
	return type_facts[row->type].positional;
}

bool arg_takes_value(const struct arg_row *row)
{
	return type_facts[row->type].value;
}

static size_t count_rows(const struct command *command)
{
	size_t n = 0;

	while (command->args && command->args[n].name)
		n++;
	return n;
}

const struct arg_row *args_row(const struct command *command, const char *name)
{
	for (const struct arg_row *row = command->args; row && row->name; row++) {
		if (!strcmp(row->name, name))
			return row;
	}
	return NULL;
}

void args_free(struct args *args)
{
	g_ptr_array_unref(args->rest);
	g_free(args->values);
	g_free(args);
}

static struct args *args_new(const struct command *command)
{
	struct args *args = g_new0(struct args, 1);

	args->command = command;
	args->n_rows = count_rows(command);
	args->values = g_new0(struct arg_value, args->n_rows + 1);
	args->rest = g_ptr_array_new();
	return args;
}

/* --- values --- */

static bool is_word_of(const char *words, const char *text)
{
	g_auto(GStrv) list = g_strsplit(words, "|", -1);

	return g_strv_contains((const char *const *)list, text);
}

static bool check_word(const struct arg_row *row, const char *text, GError **err)
{
	g_auto(GStrv) list = NULL;
	g_autofree char *shown = NULL;

	if (row->complete != COMPLETE_WORDS || !row->values || is_word_of(row->values, text))
		return true;
	list = g_strsplit(row->values, "|", -1);
	shown = g_strjoinv(", ", list);
	return fail(err, LODGE_ERROR_USAGE, "Value '%s' for <%s> option is not one of %s", text, row->name, shown);
}

static bool check_text(const struct arg_row *row, const char *text, GError **err)
{
	if (!text[0] && !(row->flags & ARG_EMPTY_OK))
		return fail(err, LODGE_ERROR_USAGE, "Failed to get option '%s': Option argument is empty", row->name);
	return check_word(row, text, err);
}

static bool malformed(const struct arg_row *row, const char *text, GError **err)
{
	return fail(err, LODGE_ERROR_USAGE, "Numeric value '%s' for <%s> option is malformed or out of range", text,
		    row->name);
}

/* What was taken from the line is what the row says; numbers are numbers from here on. */
static bool check_value(const struct arg_row *row, struct arg_value *value, GError **err)
{
	const char *text = value->text;

	switch (row->type) {
	case ARG_INT:
		return g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &value->number, NULL) ||
		       malformed(row, text, err);
	case ARG_UINT:
	case ARG_DATA_UINT:
		return g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &value->size, NULL) ||
		       malformed(row, text, err);
	case ARG_SIZE:
	case ARG_DATA_SIZE:
		return parse_size(text, row->unit ? row->unit : 1, &value->size, NULL) ||
		       fail(err, LODGE_ERROR_USAGE,
			    "Scaled numeric value '%s' for <--%s> option is malformed or out of range", text,
			    row->name);
	case ARG_STRING:
	case ARG_DATA:
		return check_text(row, text, err);
	default:
		return true;
	}
}

/* --- words --- */

/* "--x", but neither "--" nor "-5" nor "---". */
static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] == '-' && g_ascii_isalnum(word[2]);
}

/* The next row that a word without a name fills; NULL: none. */
static const struct arg_row *next_positional(const struct args *args)
{
	for (size_t i = 0; i < args->n_rows; i++) {
		const struct arg_row *row = &args->command->args[i];

		if (arg_is_positional(row) && !(row->flags & ARG_HIDDEN) &&
		    (row->type == ARG_REST || !args->values[i].given))
			return row;
	}
	return NULL;
}

static void set_value(struct args *args, const struct arg_row *row, const char *text)
{
	struct arg_value *value = &args->values[row - args->command->args];

	value->given = true;
	value->text = text;
	if (row->type == ARG_REST)
		g_ptr_array_add(args->rest, (gpointer)(uintptr_t)text);
}

static bool parse_data(struct args *args, const char *word, GError **err)
{
	const struct arg_row *row = next_positional(args);

	if (!row)
		return fail(err, LODGE_ERROR_USAGE, "unexpected data '%s'", word);
	set_value(args, row, word);
	return true;
}

static const char *value_word(const struct arg_row *row)
{
	return row->type == ARG_STRING || row->type == ARG_DATA || row->type == ARG_REST ? "string" : "number";
}

/* The option at argv[*i]; moves *i on to its value when that is a word of its own. */
static bool parse_option(struct args *args, int argc, char **argv, int *i, GError **err)
{
	const char *text = argv[*i] + 2, *equals = strchr(text, '=');
	g_autofree char *name = equals ? g_strndup(text, (gsize)(equals - text)) : g_strdup(text);
	const struct arg_row *row = args_row(args->command, name);

	if (!row && !strcmp(name, "help")) {
		args->help = true;
		return true;
	}
	if (!row)
		return fail(err, LODGE_ERROR_USAGE, "command '%s' doesn't support option --%s", args->command->name,
			    name);
	if (args->values[row - args->command->args].given && row->type != ARG_REST)
		return fail(err, LODGE_ERROR_USAGE, "option --%s already seen", name);
	if (row->type == ARG_FLAG) {
		args->values[row - args->command->args].given = true;
		return !equals || fail(err, LODGE_ERROR_USAGE, "invalid '=' after option --%s", name);
	}
	if (!equals && *i + 1 >= argc)
		return fail(err, LODGE_ERROR_USAGE, "expected syntax: --%s <%s>", name, value_word(row));
	set_value(args, row, equals ? equals + 1 : argv[++*i]);
	return true;
}

static bool parse_word(struct args *args, int argc, char **argv, int *i, GError **err)
{
	if (!args->data_only && !strcmp(argv[*i], "--")) {
		args->data_only = true;
		return true;
	}
	if (args->data_only || !is_option(argv[*i]))
		return parse_data(args, argv[*i], err);
	return parse_option(args, argc, argv, i, err);
}

static bool check_required(const struct args *args, GError **err)
{
	for (size_t i = 0; i < args->n_rows; i++) {
		const struct arg_row *row = &args->command->args[i];

		if (!(row->flags & ARG_REQUIRED) || args->values[i].given)
			continue;
		return arg_is_positional(row) ? fail(err, LODGE_ERROR_USAGE, "command '%s' requires <%s> option",
						     args->command->name, row->name) :
						fail(err, LODGE_ERROR_USAGE, "command '%s' requires --%s option",
						     args->command->name, row->name);
	}
	return true;
}

static bool is_given(const struct args *args, const char *name)
{
	const struct arg_row *row = args_row(args->command, name);

	return row && args->values[row - args->command->args].given;
}

static bool check_exclusive(const struct args *args, GError **err)
{
	g_auto(GStrv) groups = g_strsplit(args->command->exclusive ? args->command->exclusive : "", ",", -1);

	for (char **group = groups; *group; group++) {
		g_auto(GStrv) names = g_strsplit(g_strstrip(*group), "|", -1);
		const char *first = NULL;

		for (char **name = names; *name; name++) {
			if (!is_given(args, *name))
				continue;
			if (first)
				return fail(err, LODGE_ERROR_USAGE, "Options --%s and --%s are mutually exclusive",
					    first, *name);
			first = *name;
		}
	}
	return true;
}

struct args *args_split(const struct command *command, int argc, char **argv, GError **err)
{
	autoptr(args) args = args_new(command);

	for (int i = 0; i < argc && !args->help; i++) {
		if (!parse_word(args, argc, argv, &i, err))
			return NULL;
	}
	g_ptr_array_add(args->rest, NULL);
	if (!args->help && !check_required(args, err))
		return NULL;
	return g_steal_pointer(&args);
}

bool args_check(struct args *args, GError **err)
{
	for (size_t i = 0; i < args->n_rows && !args->help; i++) {
		if (args->values[i].given && !check_value(&args->command->args[i], &args->values[i], err))
			return false;
	}
	return args->help || check_exclusive(args, err);
}

struct args *args_parse(const struct command *command, int argc, char **argv, GError **err)
{
	autoptr(args) args = args_split(command, argc, argv, err);

	return args && args_check(args, err) ? g_steal_pointer(&args) : NULL;
}

struct args *args_parse_some(const struct command *command, int argc, char **argv)
{
	struct args *args = args_new(command);

	/* What is wrong with a word does not matter here. */
	for (int i = 0; i < argc; i++)
		(void)parse_word(args, argc, argv, &i, NULL);
	g_ptr_array_add(args->rest, NULL);
	return args;
}

const struct arg_row *args_next_row(const struct command *command, int argc, char **argv, bool *only)
{
	const char *last = argc ? argv[argc - 1] : "";
	bool is_open = is_option(last) && !strchr(last, '=');
	autoptr(args) args = args_parse_some(command, is_open ? argc - 1 : argc, argv);
	const struct arg_row *row = is_open && !args->data_only ? args_row(command, last + 2) : NULL;

	*only = row && arg_takes_value(row);
	return *only ? row : next_positional(args);
}

/* --- what the command asks --- */

static const struct arg_value *find_value(const struct args *args, const char *name)
{
	const struct arg_row *row = args_row(args->command, name);

	return row && args->values[row - args->command->args].given ? &args->values[row - args->command->args] : NULL;
}

bool args_help(const struct args *args)
{
	return args->help;
}

bool args_flag(const struct args *args, const char *name)
{
	return find_value(args, name) != NULL;
}

const char *args_string(const struct args *args, const char *name)
{
	const struct arg_value *value = find_value(args, name);

	return value ? value->text : NULL;
}

bool args_int(const struct args *args, const char *name, int64_t *number)
{
	const struct arg_value *value = find_value(args, name);

	if (value)
		*number = value->number;
	return value != NULL;
}

bool args_uint(const struct args *args, const char *name, uint64_t *number)
{
	const struct arg_value *value = find_value(args, name);

	if (value)
		*number = value->size;
	return value != NULL;
}

const char *const *args_rest(const struct args *args)
{
	return (const char *const *)args->rest->pdata;
}
