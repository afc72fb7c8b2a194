/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/options.h"

#include <string.h>

#include "core/base/error.h"
#include "core/model/vm-config.h"

#define HELP_COLUMN 27
#define MAX_GUESS_DISTANCE 2

static const struct option_row help_row = { .name = "help", .type = OPTION_FLAG, .help = "show this help" };

/* --- parsing --- */

/* Edit distance (insert, delete, replace), for the guess at what was meant. */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(b);
	g_autofree unsigned *row = g_new(unsigned, n + 1);

	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < n; j++) {
			unsigned replace = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			row[j + 1] = MIN(replace, 1 + MIN(row[j], row[j + 1]));
		}
	}
	return row[n];
}

static const struct option_row *closest(const struct option_row *rows, size_t n, const char *name)
{
	const struct option_row *best = NULL;
	unsigned best_distance = MAX_GUESS_DISTANCE + 1;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(name, rows[i].name);

		if (d < best_distance) {
			best = &rows[i];
			best_distance = d;
		}
	}
	return best;
}

static const struct option_row *find_row(const struct option_row *rows, size_t n, const char *name, GError **err)
{
	const struct option_row *guess;

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	}
	guess = closest(rows, n, name);
	if (guess)
		return fail_null(err, LODGE_ERROR_USAGE, "unknown option --%s, did you mean --%s?", name, guess->name);
	return fail_null(err, LODGE_ERROR_USAGE, "unknown option --%s", name);
}

static bool parse_uint(const struct option_row *row, const char *value, unsigned *out, GError **err)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(value, 10, row->min, row->max, &number, NULL))
		return fail(err, LODGE_ERROR_USAGE, "--%s %s: a number from %u to %u is wanted", row->name, value,
			    row->min, row->max);
	*out = (unsigned)number;
	return true;
}

/*
 * Puts the option's name before the message of whoever looked at the value, and makes it a matter of the command
 * line.
 */
static bool blame(const struct option_row *row, GError *error_consume, GError **err)
{
	fail(err, LODGE_ERROR_USAGE, "--%s: %s", row->name, error_consume->message);
	g_error_free(error_consume);
	return false;
}

static bool store(const struct option_row *row, void *target, const char *value, GError **err)
{
	void *place = (char *)target + row->offset;
	GError *error = NULL;

	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)place = true;
		return true;
	case OPTION_STRING:
		g_free(*(char **)place);
		*(char **)place = g_strdup(value);
		return true;
	case OPTION_UINT:
		return parse_uint(row, value, place, err);
	case OPTION_SIZE:
		return parse_size(value, row->unit, place, &error) || blame(row, error, err);
	default:
		return row->parse(target, value, &error) || blame(row, error, err);
	}
}

/* One option at argv[*i]; moves *i on to its value when that is an argument of its own. */
static bool parse_option(const struct option_row *rows, size_t n, void *target, int argc, char **argv, int *i,
			 size_t *index, GError **err)
{
	const char *text = argv[*i] + 2, *equals = strchr(text, '=');
	g_autofree char *name = equals ? g_strndup(text, (gsize)(equals - text)) : g_strdup(text);
	const struct option_row *row = find_row(rows, n, name, err);
	const char *value = equals ? equals + 1 : NULL;

	if (!row)
		return false;
	*index = (size_t)(row - rows);
	if (row->type == OPTION_FLAG && value)
		return fail(err, LODGE_ERROR_USAGE, "--%s takes no value", row->name);
	if (row->type != OPTION_FLAG && !value) {
		if (*i + 1 >= argc)
			return fail(err, LODGE_ERROR_USAGE, "--%s needs a value: --%s %s", row->name, row->name,
				    row->arg);
		value = argv[++*i];
	}
	return store(row, target, value, err);
}

static bool check_required(const struct option_row *rows, size_t n, const bool *seen, GError **err)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].required && !seen[i])
			return fail(err, LODGE_ERROR_USAGE, "--%s %s is required", rows[i].name, rows[i].arg);
	}
	return true;
}

bool options_parse(const struct option_row *rows, size_t n, void *target, int argc, char **argv,
		   struct options_result *result, GError **err)
{
	g_autofree bool *seen = g_new0(bool, n + 1);
	size_t index = n;
	int i;

	*result = (struct options_result){ .operands = argv };
	for (i = 0; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			result->help = true;
			return true;
		}
		if (argv[i][0] != '-' || !argv[i][1])
			argv[result->n_operands++] = argv[i];
		else if (argv[i][1] != '-')
			return fail(err, LODGE_ERROR_USAGE, "unknown option %s", argv[i]);
		else if (!parse_option(rows, n, target, argc, argv, &i, &index, err))
			return false;
		else
			seen[index] = true;
	}
	for (i++; i < argc; i++)
		argv[result->n_operands++] = argv[i];
	return check_required(rows, n, seen, err);
}

/* --- texts --- */

static void append_help_line(GString *out, const struct option_row *row)
{
	g_autofree char *left = g_strdup_printf("  --%s%s%s", row->name, row->arg ? " " : "", row->arg ? row->arg : "");

	if (strlen(left) < HELP_COLUMN - 1)
		g_string_append_printf(out, "%-*s%s\n", HELP_COLUMN, left, row->help);
	else
		g_string_append_printf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", row->help);
}

void options_append_help(GString *out, const struct option_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		append_help_line(out, &rows[i]);
	append_help_line(out, &help_row);
}

static void append_synopsis_part(GString *out, const struct option_row *row)
{
	g_string_append_printf(out, "%s--%s%s%s%s%s", row->required ? " " : " [", row->name, row->arg ? " " : "",
			       row->arg ? row->arg : "", row->required ? "" : "]", row->repeats ? "..." : "");
}

void options_append_synopsis(GString *out, const struct option_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].required)
			append_synopsis_part(out, &rows[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (!rows[i].required)
			append_synopsis_part(out, &rows[i]);
	}
}

/*
 * groff_man(7): a leading . or ' is a request, \ begins an escape, and a bare - may become a hyphen that nobody can
 * paste.
 */
void man_append_text(GString *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		bool line_start = out->len == 0 || out->str[out->len - 1] == '\n';

		if (line_start && (*p == '.' || *p == '\''))
			g_string_append(out, "\\&");
		if (*p == '\\')
			g_string_append(out, "\\e");
		else if (*p == '-')
			g_string_append(out, "\\-");
		else if (*p == '^')
			g_string_append(out, "\\(ha");
		else if (*p == '~')
			g_string_append(out, "\\(ti");
		else
			g_string_append_c(out, *p);
	}
}

static void append_man_row(GString *out, const struct option_row *row)
{
	g_string_append(out, ".TP\n\\fB\\-\\-");
	man_append_text(out, row->name);
	g_string_append(out, "\\fR");
	if (row->arg) {
		g_string_append(out, " \\fI");
		man_append_text(out, row->arg);
		g_string_append(out, "\\fR");
	}
	g_string_append_c(out, '\n');
	man_append_text(out, row->help);
	g_string_append_printf(out, ".\n");
}

void options_append_man(GString *out, const struct option_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		append_man_row(out, &rows[i]);
	append_man_row(out, &help_row);
}
