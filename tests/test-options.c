/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/options.h"

struct target {
	char *text;
	unsigned number;
	uint64_t size;
	bool flag;
	GPtrArray *words;
};

static bool collect(void *target, const char *value, GError **err)
{
	struct target *t = target;

	if (!strcmp(value, "bad"))
		return fail(err, LODGE_ERROR_INPUT, "a bad word");
	g_ptr_array_add(t->words, g_strdup(value));
	return true;
}

#define PLACE(member) .offset = G_STRUCT_OFFSET(struct target, member)

static const struct option_row rows[] = {
	{ .name = "text", .arg = "TEXT", .type = OPTION_STRING, PLACE(text), .required = true, .help = "some text" },
	{ .name = "number", .arg = "N", .type = OPTION_UINT, PLACE(number), .min = 1, .max = 32, .help = "a number" },
	{ .name = "size", .arg = "SIZE", .type = OPTION_SIZE, PLACE(size), .unit = 1 << 20, .help = "a size" },
	{ .name = "flag", .type = OPTION_FLAG, PLACE(flag), .help = "a flag" },
	{ .name = "word",
	  .arg = "WORD[,with-a-very-long-tail]",
	  .type = OPTION_CALL,
	  .parse = collect,
	  .repeats = true,
	  .help = "collects .words" },
};

struct fixture {
	struct target target;
	struct options_result result;
	GError *error;
	char **argv;
};

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->target.words = g_ptr_array_new_with_free_func(g_free);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_clear_error(&f->error);
	g_ptr_array_unref(f->target.words);
	g_free(f->target.text);
	g_free(f->argv);
}

/* line: arguments separated by single spaces. The fixture's fields of an earlier call are let go. */
static bool parse(struct fixture *f, char *line)
{
	int argc = 0;

	g_clear_error(&f->error);
	g_free(f->argv);
	f->argv = g_new0(char *, strlen(line) + 1);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		f->argv[argc++] = word;
	return options_parse(rows, G_N_ELEMENTS(rows), &f->target, argc, f->argv, &f->result, &f->error);
}

static void test_refusals(struct fixture *f, gconstpointer data)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "", "--text TEXT is required" },
		{ "--flag", "--text TEXT is required" },
		{ "--text", "--text needs a value: --text TEXT" },
		{ "--text a --nonsense", "unknown option --nonsense" },
		{ "--text a --nummber 3", "unknown option --nummber, did you mean --number?" },
		{ "--text a --tex b", "unknown option --tex, did you mean --text?" },
		{ "--text a -x", "unknown option -x" },
		{ "--text a --flag=yes", "--flag takes no value" },
		{ "--text a --number 0", "--number 0: a number from 1 to 32 is wanted" },
		{ "--text a --number 33", "--number 33: a number from 1 to 32 is wanted" },
		{ "--text a --number -1", "--number -1: a number from 1 to 32 is wanted" },
		{ "--text a --number 1x", "--number 1x: a number from 1 to 32 is wanted" },
		{ "--text a --number 99999999999999999999",
		  "--number 99999999999999999999: a number from 1 to 32 is wanted" },
		{ "--text a --number=", "--number : a number from 1 to 32 is wanted" },
		{ "--text a --word bad", "--word: a bad word" },
		{ "--text a --=b", "unknown option --" },
		{ "--text a --flag --number", "--number needs a value: --number N" },
	};

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *line = g_strdup(cases[i].line);

		g_assert_false(parse(f, line));
		g_assert_error(f->error, LODGE_ERROR, LODGE_ERROR_USAGE);
		g_assert_cmpstr(f->error->message, ==, cases[i].message);
	}
}

static void test_size_refused(struct fixture *f, gconstpointer data)
{
	char line[] = "--text a --size 12Q";

	(void)data;
	g_assert_false(parse(f, line));
	g_assert_error(f->error, LODGE_ERROR, LODGE_ERROR_USAGE);
	g_assert_true(g_str_has_prefix(f->error->message, "--size: "));
}

static void test_values(struct fixture *f, gconstpointer data)
{
	char line[] = "--text=a=b --number 32 --size 3 --flag --word x --word=y";

	(void)data;
	g_assert_true(parse(f, line));
	g_assert_no_error(f->error);
	g_assert_cmpstr(f->target.text, ==, "a=b");
	g_assert_cmpuint(f->target.number, ==, 32);
	g_assert_cmpuint(f->target.size, ==, 3 << 20);
	g_assert_true(f->target.flag);
	g_assert_cmpuint(f->target.words->len, ==, 2);
	g_assert_cmpstr(g_ptr_array_index(f->target.words, 1), ==, "y");
}

/* A value may look like an option, and the last of a repeated option counts. */
static void test_values_taken_whole(struct fixture *f, gconstpointer data)
{
	char line[] = "--text first --text --flag";

	(void)data;
	g_assert_true(parse(f, line));
	g_assert_cmpstr(f->target.text, ==, "--flag");
	g_assert_false(f->target.flag);
}

static void test_operands(struct fixture *f, gconstpointer data)
{
	char line[] = "one --text a - -- --flag two";

	(void)data;
	g_assert_true(parse(f, line));
	g_assert_false(f->target.flag);
	g_assert_cmpint(f->result.n_operands, ==, 4);
	g_assert_cmpstr(f->result.operands[0], ==, "one");
	g_assert_cmpstr(f->result.operands[1], ==, "-");
	g_assert_cmpstr(f->result.operands[2], ==, "--flag");
	g_assert_cmpstr(f->result.operands[3], ==, "two");
}

/* Help is given whatever is missing, and what comes after it is not looked at. */
static void test_help_wins(struct fixture *f, gconstpointer data)
{
	char line[] = "--flag --help --nonsense", shorter[] = "-h";

	(void)data;
	g_assert_true(parse(f, line));
	g_assert_true(f->result.help);
	g_assert_true(parse(f, shorter));
	g_assert_true(f->result.help);
}

static void test_no_rows(void)
{
	char name[] = "--anything";
	char *argv[] = { name, NULL };
	g_autoptr(GError) error = NULL;
	struct options_result result;

	g_assert_true(options_parse(NULL, 0, NULL, 0, argv, &result, NULL));
	g_assert_false(options_parse(NULL, 0, NULL, 1, argv, &result, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_USAGE);
}

/* Every row is in each of the texts, and no line of the help is wider than its column allows for the names. */
static void test_texts_have_every_row(void)
{
	g_autoptr(GString) help = g_string_new(NULL), synopsis = g_string_new(NULL), man = g_string_new(NULL);

	options_append_help(help, rows, G_N_ELEMENTS(rows));
	options_append_synopsis(synopsis, rows, G_N_ELEMENTS(rows));
	options_append_man(man, rows, G_N_ELEMENTS(rows));
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = g_strdup_printf("--%s", rows[i].name);
		g_autofree char *roff = g_strdup_printf("\\fB\\-\\-%s\\fR", rows[i].name);

		g_assert_nonnull(strstr(help->str, name));
		g_assert_nonnull(strstr(help->str, rows[i].help));
		g_assert_nonnull(strstr(synopsis->str, name));
		g_assert_nonnull(strstr(man->str, roff));
	}
	g_assert_cmpstr(synopsis->str, ==,
			" --text TEXT [--number N] [--size SIZE] [--flag] [--word WORD[,with-a-very-long-tail]]...");
	g_assert_nonnull(strstr(help->str, "--help"));
}

static void test_man_escapes(void)
{
	g_autoptr(GString) out = g_string_new(NULL);

	man_append_text(out, ".dot\n'quote\na-b\\c ^] ~\nmid.dle");
	g_assert_cmpstr(out->str, ==, "\\&.dot\n\\&'quote\na\\-b\\ec \\(ha] \\(ti\nmid.dle");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/options/refusals", struct fixture, NULL, set_up, test_refusals, tear_down);
	g_test_add("/options/size-refused", struct fixture, NULL, set_up, test_size_refused, tear_down);
	g_test_add("/options/values", struct fixture, NULL, set_up, test_values, tear_down);
	g_test_add("/options/values-taken-whole", struct fixture, NULL, set_up, test_values_taken_whole, tear_down);
	g_test_add("/options/operands", struct fixture, NULL, set_up, test_operands, tear_down);
	g_test_add("/options/help-wins", struct fixture, NULL, set_up, test_help_wins, tear_down);
	g_test_add_func("/options/no-rows", test_no_rows);
	g_test_add_func("/options/texts-have-every-row", test_texts_have_every_row);
	g_test_add_func("/options/man-escapes", test_man_escapes);
	return g_test_run();
}
