/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tui/args.h"
#include "tui/batch.h"
#include "tui/completion.h"
#include "tui/help.h"
#include "tui/later.h"
#include "tui/script.h"
#include "tui/session.h"

/* --- the parser --- */

static const struct arg_row rows[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "count", .type = ARG_DATA_UINT, .help = "a number" },
	{ .name = "flag", .type = ARG_FLAG, .help = "a flag" },
	{ .name = "other", .type = ARG_FLAG, .help = "another" },
	{ .name = "third", .type = ARG_FLAG, .help = "one more" },
	{ .name = "text", .type = ARG_STRING, .help = "text" },
	{ .name = "empty", .type = ARG_STRING, .flags = ARG_EMPTY_OK, .help = "text that may be empty" },
	{ .name = "offset", .type = ARG_INT, .help = "may be negative" },
	{ .name = "uint", .type = ARG_UINT, .help = "a number" },
	{ .name = "size", .type = ARG_SIZE, .unit = 1024, .help = "bytes" },
	{ .name = "mode", .type = ARG_STRING, .help = "a word", .complete = COMPLETE_WORDS, .values = "acpi|agent" },
	{ .name = "alias", .type = ARG_STRING, .flags = ARG_HIDDEN, .help = "not shown" },
	{ .name = "rest", .type = ARG_REST, .help = "more" },
	ARG_END,
};

static const struct arg_row needy_rows[] = {
	{ .name = "reason", .type = ARG_STRING, .flags = ARG_REQUIRED, .help = "text" },
	ARG_END,
};

static bool run_nothing(struct session *session, const struct args *args, GError **err)
{
	(void)session;
	(void)args;
	(void)err;
	return true;
}

static const struct command example = { .name = "example",
					.help = "an example",
					.args = rows,
					.exclusive = "flag|other, flag|third",
					.run = run_nothing };
static const struct command needy = { .name = "needy",
				      .help = "needs an option",
				      .args = needy_rows,
				      .run = run_nothing };
static const struct command bare = { .name = "bare", .help = "takes nothing", .run = run_nothing };

/* The words of a line, owned by the result. */
static GPtrArray *words_of(const char *line)
{
	GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
	GError *error = NULL;

	g_assert_cmpint(script_next(&line, words, &error), !=, SCRIPT_BAD);
	return words;
}

static struct args *parse(const struct command *command, GPtrArray *words, GError **err)
{
	return args_parse(command, (int)words->len, (char **)words->pdata, err);
}

static const struct {
	const struct command *command;
	const char *line, *message;
} refusals[] = {
	{ &example, "", "command 'example' requires <domain> option" },
	{ &needy, "", "command 'needy' requires --reason option" },
	{ &needy, "x", "unexpected data 'x'" },
	{ &bare, "x", "unexpected data 'x'" },
	{ &bare, "--x", "command 'bare' doesn't support option --x" },
	{ &example, "x --nonsense", "command 'example' doesn't support option --nonsense" },
	{ &example, "x --fla", "command 'example' doesn't support option --fla" },
	{ &example, "x --=", "Numeric value '--=' for <count> option is malformed or out of range" },
	{ &example, "x --flag --flag", "option --flag already seen" },
	{ &example, "x --text a --text b", "option --text already seen" },
	{ &example, "--domain x --domain=y", "option --domain already seen" },
	{ &example, "x --flag=1", "invalid '=' after option --flag" },
	{ &example, "x --flag=", "invalid '=' after option --flag" },
	{ &example, "x --text", "expected syntax: --text <string>" },
	{ &example, "x --uint", "expected syntax: --uint <number>" },
	{ &example, "--domain", "expected syntax: --domain <string>" },
	{ &example, "''", "Failed to get option 'domain': Option argument is empty" },
	{ &example, "x --text=", "Failed to get option 'text': Option argument is empty" },
	{ &example, "x --offset 1x", "Numeric value '1x' for <offset> option is malformed or out of range" },
	{ &example, "x --offset 9223372036854775808",
	  "Numeric value '9223372036854775808' for <offset> option is malformed or out of range" },
	{ &example, "x --uint -1", "Numeric value '-1' for <uint> option is malformed or out of range" },
	{ &example, "x --uint +1", "Numeric value '+1' for <uint> option is malformed or out of range" },
	{ &example, "x --uint 0x10", "Numeric value '0x10' for <uint> option is malformed or out of range" },
	{ &example, "x --uint ''", "Numeric value '' for <uint> option is malformed or out of range" },
	{ &example, "x --uint 18446744073709551616",
	  "Numeric value '18446744073709551616' for <uint> option is malformed or out of range" },
	{ &example, "x many", "Numeric value 'many' for <count> option is malformed or out of range" },
	{ &example, "x --size -1", "Scaled numeric value '-1' for <--size> option is malformed or out of range" },
	{ &example, "x --size 1Q", "Scaled numeric value '1Q' for <--size> option is malformed or out of range" },
	{ &example, "x --size 99999999999999T",
	  "Scaled numeric value '99999999999999T' for <--size> option is malformed or out of range" },
	{ &example, "x --mode off", "Value 'off' for <mode> option is not one of acpi, agent" },
	{ &example, "x --mode acpi|agent", "Value 'acpi|agent' for <mode> option is not one of acpi, agent" },
	{ &example, "x --flag --other", "Options --flag and --other are mutually exclusive" },
	{ &example, "x --third --flag", "Options --flag and --third are mutually exclusive" },
};

static void test_refusals(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
		g_autoptr(GPtrArray) words = words_of(refusals[i].line);
		g_autoptr(GError) error = NULL;

		g_assert_null(parse(refusals[i].command, words, &error));
		g_assert_error(error, LODGE_ERROR, LODGE_ERROR_USAGE);
		g_assert_cmpstr(error->message, ==, refusals[i].message);
	}
}

static void test_values(void)
{
	g_autoptr(GPtrArray) words = words_of(
		"--size=2 vm1 --offset -5 7 --flag --text 'a b' --empty '' --uint=18446744073709551615 r1 "
		"--mode=agent -- --flag -x");
	autoptr(args) args = parse(&example, words, NULL);
	int64_t offset = 0;
	uint64_t number = 0;

	g_assert_nonnull(args);
	g_assert_cmpstr(args_string(args, "domain"), ==, "vm1");
	g_assert_true(args_uint(args, "count", &number) && number == 7);
	g_assert_true(args_uint(args, "size", &number) && number == 2048);
	g_assert_true(args_uint(args, "uint", &number) && number == G_MAXUINT64);
	g_assert_true(args_int(args, "offset", &offset) && offset == -5);
	g_assert_cmpstr(args_string(args, "text"), ==, "a b");
	g_assert_cmpstr(args_string(args, "empty"), ==, "");
	g_assert_cmpstr(args_string(args, "mode"), ==, "agent");
	g_assert_true(args_flag(args, "flag") && !args_flag(args, "other"));
	g_assert_true(g_strv_equal(args_rest(args), (const char *const[]){ "r1", "--flag", "-x", NULL }));
}

static void test_what_is_not_given(void)
{
	g_autoptr(GPtrArray) words = words_of("vm1");
	autoptr(args) args = parse(&example, words, NULL);
	uint64_t number = 42;
	int64_t offset = 42;

	g_assert_null(args_string(args, "text"));
	g_assert_null(args_string(args, "no-such-option"));
	g_assert_false(args_flag(args, "flag"));
	g_assert_false(args_uint(args, "count", &number));
	g_assert_false(args_int(args, "offset", &offset));
	g_assert_cmpuint(number, ==, 42);
	g_assert_cmpint(offset, ==, 42);
	g_assert_nonnull(args_rest(args));
	g_assert_null(args_rest(args)[0]);
}

/* A named operand leaves its place to the next one. */
static void test_operands_by_name(void)
{
	g_autoptr(GPtrArray) words = words_of("--count 3 vm1 r1 --rest r2");
	autoptr(args) args = parse(&example, words, NULL);

	g_assert_cmpstr(args_string(args, "domain"), ==, "vm1");
	g_assert_true(g_strv_equal(args_rest(args), (const char *const[]){ "r1", "r2", NULL }));
}

/* A value is taken as it is, whatever it looks like. */
static void test_values_taken_whole(void)
{
	g_autoptr(GPtrArray) words = words_of("--domain --flag --text -- --empty=a=b");
	autoptr(args) args = parse(&example, words, NULL);

	g_assert_cmpstr(args_string(args, "domain"), ==, "--flag");
	g_assert_cmpstr(args_string(args, "text"), ==, "--");
	g_assert_cmpstr(args_string(args, "empty"), ==, "a=b");
	g_assert_false(args_flag(args, "flag"));
}

static void test_help_wins(void)
{
	g_autoptr(GPtrArray) words = words_of("--help --nonsense");
	autoptr(args) args = parse(&needy, words, NULL);

	g_assert_true(args && args_help(args));
}

/* --- text into words --- */

static const struct {
	const char *text;
	const char *shown; /* words between <>, commands between | */
} scripts[] = {
	{ "", "" },
	{ " \t\n ;; \n", "" },
	{ "list", "<list>" },
	{ "list --all;dominfo x\nuri", "<list><--all>|<dominfo><x>|<uri>" },
	{ "# all\nlist # these\n#end", "<list>" },
	{ "echo a#b '#c'", "<echo><a#b><#c>" },
	{ "echo 'a \"b\\' \"c 'd\\\"\" e\\ f", "<echo><a \"b\\><c 'd\"><e f>" },
	{ "echo '' \"\"", "<echo><><>" },
	{ "echo a'b'\"c\"d", "<echo><abcd>" },
	{ "echo 'a;b' c\\;d; uri", "<echo><a;b><c;d>|<uri>" },
	{ "echo 'two\nlines'", "<echo><two\nlines>" },
	{ "echo a \\\n b\\\nc", "<echo><a><bc>" },
	{ "echo $HOME `id` *", "<echo><$HOME><`id`><*>" },
};

static void test_scripts(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
		g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
		g_autoptr(GString) shown = g_string_new(NULL);
		const char *text = scripts[i].text;

		while (script_next(&text, words, NULL) == SCRIPT_COMMAND) {
			g_string_append(shown, shown->len ? "|" : "");
			for (unsigned w = 0; w < words->len; w++)
				g_string_append_printf(shown, "<%s>", (char *)words->pdata[w]);
		}
		g_assert_cmpstr(shown->str, ==, scripts[i].shown);
	}
}

static void test_broken_scripts(void)
{
	static const struct {
		const char *text, *message;
	} broken[] = { { "echo 'a", "missing '" }, { "echo \"a\\\"", "missing \"" }, { "echo a\\", "dangling \\" } };

	for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
		g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
		g_autoptr(GError) error = NULL;
		const char *text = broken[i].text;

		g_assert_cmpint(script_next(&text, words, &error), ==, SCRIPT_BAD);
		g_assert_error(error, LODGE_ERROR, LODGE_ERROR_USAGE);
		g_assert_cmpstr(error->message, ==, broken[i].message);
		/* It can be read again when more has come. */
		g_assert_true(text == broken[i].text);
	}
}

static void test_unfinished_lines(void)
{
	static const struct {
		const char *text, *last;
		unsigned n;
		size_t start;
	} lines[] = {
		{ "", "", 1, 0 },
		{ "do", "do", 1, 0 },
		{ "dominfo ", "", 2, 8 },
		{ "uri; dominfo v", "v", 2, 13 },
		{ "dominfo 'my v", "my v", 2, 8 },
		{ "list;", "", 1, 5 },
		{ "dominfo my\\ v", "my v", 2, 8 },
		{ "a b c", "c", 3, 4 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
		size_t start = 99;

		script_unfinished(lines[i].text, words, &start);
		g_assert_cmpuint(words->len, ==, lines[i].n);
		g_assert_cmpstr(words->pdata[words->len - 1], ==, lines[i].last);
		g_assert_cmpuint(start, ==, lines[i].start);
	}
}

/* --- the table --- */

struct fixture {
	struct session session;
	char *home, *out, *err_out;
	size_t out_len, err_len;
};

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->home = g_dir_make_tmp("lodge-test.XXXXXX", NULL);
	g_assert_nonnull(f->home);
	g_setenv("LODGE_HOME", f->home, TRUE);
	session_init(&f->session);
	f->session.out = open_memstream(&f->out, &f->out_len);
	f->session.err_out = open_memstream(&f->err_out, &f->err_len);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	session_clear(&f->session);
	fclose(f->session.out);
	fclose(f->session.err_out);
	free(f->out);
	free(f->err_out);
	g_assert_true(dir_remove(AT_FDCWD, f->home, NULL));
	g_free(f->home);
}

/* Runs a line, and forgets what lines before it printed. */
static int run(struct fixture *f, const char *line)
{
	rewind(f->session.out);
	rewind(f->session.err_out);
	return batch_text(&f->session, line, false);
}

static const char *printed(FILE *stream, char *const *text, const size_t *len)
{
	fputc('\0', stream);
	fflush(stream);
	g_assert_cmpuint(*len, >, 0);
	return *text;
}

#define OUT(f) printed((f)->session.out, &(f)->out, &(f)->out_len)
#define ERR(f) printed((f)->session.err_out, &(f)->err_out, &(f)->err_len)

static void assert_one_error(struct fixture *f, const char *words)
{
	const char *text = ERR(f);

	g_assert_true(g_str_has_prefix(text, "error: "));
	g_assert_nonnull(strstr(text, words));
	g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
}

static void check_row(const struct command *command, const struct arg_row *row)
{
	g_assert_true(row->name[0] && row->help && row->help[0]);
	g_assert_cmpint(row->type, <, ARG_N_TYPES);
	g_assert_true(!g_str_has_suffix(row->help, ".") || g_str_has_suffix(row->help, "..."));
	g_assert_true(row->complete != COMPLETE_WORDS || row->values);
	/* help is every command's. */
	g_assert_cmpstr(row->name, !=, "help");
	for (const char *p = row->name; *p; p++)
		g_assert_true(g_ascii_isalnum(*p) || *p == '-' || *p == '_');
	/* Two options of one name: the second would never be seen. */
	g_assert_true(args_row(command, row->name) == row);
	if (row->type == ARG_REST)
		g_assert_null(row[1].name);
}

static void check_exclusive(const struct command *command)
{
	g_auto(GStrv) names = g_strsplit_set(command->exclusive ? command->exclusive : "", "|, ", -1);

	for (char **name = names; *name; name++)
		g_assert_true(!(*name)[0] || args_row(command, *name));
}

static void test_every_command_is_described(void)
{
	for (size_t i = 0; commands[i]; i++) {
		const struct command *command = commands[i];

		g_test_message("%s", command->name);
		g_assert_true(command->name[0] && command->help && command->help[0]);
		g_assert_false(g_str_has_suffix(command->help, "."));
		g_assert_cmpint(command->group, <, N_GROUPS);
		g_assert_true((command->run != NULL) != (command->run_raw != NULL));
		g_assert_true(command_find(command->name) == command);
		for (const struct arg_row *row = command->args; row && row->name; row++)
			check_row(command, row);
		check_exclusive(command);
	}
}

static void test_the_list_is_sorted(void)
{
	for (size_t i = 0; commands[i] && commands[i + 1]; i++) {
		const struct command *a = commands[i], *b = commands[i + 1];

		g_assert_true(a->group < b->group || (a->group == b->group && strcmp(a->name, b->name) < 0));
	}
}

static void test_every_command_has_help(struct fixture *f, gconstpointer data)
{
	(void)data;
	for (size_t i = 0; commands[i]; i++) {
		g_autofree char *help = g_strdup_printf("help %s", commands[i]->name);
		g_autofree char *option = g_strdup_printf("%s --help", commands[i]->name);
		g_autofree char *first = NULL;

		g_test_message("%s", commands[i]->name);
		g_assert_cmpint(run(f, help), ==, EXIT_DONE);
		first = g_strdup(OUT(f));
		g_assert_nonnull(strstr(first, commands[i]->name));
		if (commands[i]->flags & COMMAND_HIDDEN)
			continue;
		/* "host" is a group too. */
		g_assert_cmpint(run(f, option), ==, EXIT_DONE);
		g_assert_true(g_str_has_prefix(first, OUT(f)));
	}
}

static void test_every_group_has_help(struct fixture *f, gconstpointer data)
{
	(void)data;
	for (unsigned group = 0; group < N_GROUPS; group++) {
		g_autofree char *line = g_strdup_printf("help %s", command_group_keyword(group));

		g_assert_nonnull(strstr(command_group_name(group), command_group_keyword(group)));
		g_assert_cmpint(run(f, line), ==, EXIT_DONE);
	}
}

/* A line with a value for each option that must be there, but for one of them. */
static char *make_line(const struct command *command, const struct arg_row *without)
{
	GString *line = g_string_new(command->name);

	for (const struct arg_row *row = command->args; row && row->name; row++) {
		g_auto(GStrv) words = g_strsplit(row->values ? row->values : "1", "|", -1);

		if ((row->flags & ARG_REQUIRED) && row != without)
			g_string_append_printf(line, row->type == ARG_FLAG ? " --%s" : " --%s %s", row->name, words[0]);
	}
	return g_string_free(line, FALSE);
}

static void test_required_options_are_required(struct fixture *f, gconstpointer data)
{
	(void)data;
	for (size_t i = 0; commands[i]; i++) {
		for (const struct arg_row *row = commands[i]->args; row && row->name; row++) {
			g_autofree char *line = make_line(commands[i], row);

			if (!(row->flags & ARG_REQUIRED))
				continue;
			g_test_message("%s", line);
			g_assert_cmpint(run(f, line), ==, EXIT_USAGE);
			assert_one_error(f, row->name);
		}
	}
}

static void test_unknown_options_are_refused(struct fixture *f, gconstpointer data)
{
	(void)data;
	for (size_t i = 0; commands[i]; i++) {
		g_autofree char *line = g_strdup_printf("%s --no-such-option", commands[i]->name);

		if (commands[i]->flags & COMMAND_HIDDEN)
			continue;
		g_test_message("%s", line);
		g_assert_cmpint(run(f, line), ==, EXIT_USAGE);
		assert_one_error(f, "--no-such-option");
	}
}

static void test_readonly_changes_nothing(struct fixture *f, gconstpointer data)
{
	(void)data;
	session_connect(&f->session, NULL, true);
	for (size_t i = 0; commands[i]; i++) {
		g_autofree char *line = make_line(commands[i], NULL);

		if (!(commands[i]->flags & COMMAND_CHANGES))
			continue;
		g_test_message("%s", line);
		g_assert_cmpint(run(f, line), ==, EXIT_FAILED);
		assert_one_error(f, "read only access");
	}
}

static void test_foreign_connections_are_refused(struct fixture *f, gconstpointer data)
{
	static const char *const uris[] = { "xen:///system", "qemu+ssh://host/system", "lodge:///nonsense", "nonsense",
					    "://" };

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(uris); i++) {
		session_connect(&f->session, uris[i], false);
		g_assert_cmpint(run(f, "list"), !=, EXIT_DONE);
		assert_one_error(f, uris[i]);
		/* What needs no connection does not mind. */
		g_assert_cmpint(run(f, "echo x"), ==, EXIT_DONE);
	}
}

static void test_shell_commands_need_a_shell(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_cmpint(run(f, "cd /"), ==, EXIT_FAILED);
	assert_one_error(f, "cd: command valid only in interactive mode");
}

/* --- scripts --- */

static void test_a_failure_ends_a_script(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_cmpint(run(f, "echo a; dominfo x; echo b"), ==, EXIT_FAILED);
	g_assert_cmpstr(OUT(f), ==, "a\n");
}

static void test_keep_going(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_cmpint(batch_text(&f->session, "nonsense; dominfo x; echo b", true), ==, EXIT_USAGE);
	g_assert_cmpstr(OUT(f), ==, "b\n");
}

static void test_quit_ends_a_script(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_cmpint(run(f, "echo a; quit; echo b"), ==, EXIT_DONE);
	g_assert_cmpstr(OUT(f), ==, "a\n");
}

static void test_virsh_checks_first_and_goes_on(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->session.as_virsh = f->session.quiet = true;
	g_assert_cmpint(run(f, "echo a; nonsense"), ==, EXIT_FAILED);
	g_assert_cmpstr(OUT(f), ==, "");
	g_assert_cmpint(run(f, "dominfo x; echo b"), ==, EXIT_DONE);
	g_assert_cmpstr(OUT(f), ==, "b");
	g_assert_cmpint(run(f, "echo b; dominfo x"), ==, EXIT_FAILED);
}

static int run_stream(struct fixture *f, const char *text, size_t len)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, len, "r");
	int status;

	g_assert_nonnull(in);
	rewind(f->session.out);
	rewind(f->session.err_out);
	status = batch_stream(&f->session, in, false);
	fclose(in);
	return status;
}

static void test_streams(struct fixture *f, gconstpointer data)
{
	static const char text[] = "echo a # first\necho 'b\nc'; echo d \\\n e\n\n echo f";

	(void)data;
	g_assert_cmpint(run_stream(f, text, strlen(text)), ==, EXIT_DONE);
	g_assert_cmpstr(OUT(f), ==, "a\nb\nc\nd e\nf\n");
}

static void test_broken_streams(struct fixture *f, gconstpointer data)
{
	static const char nul[] = "echo a\necho\0b\n", open[] = "echo a\necho 'b\n";

	(void)data;
	g_assert_cmpint(run_stream(f, nul, sizeof(nul) - 1), ==, EXIT_USAGE);
	assert_one_error(f, "NUL");
	g_assert_cmpint(run_stream(f, open, sizeof(open) - 1), ==, EXIT_USAGE);
	assert_one_error(f, "missing '");
	g_assert_cmpstr(OUT(f), ==, "a\n");
}

/* --- completion --- */

static char *complete(struct fixture *f, const char *line)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free), found = NULL;
	size_t start;

	script_unfinished(line, words, &start);
	found = completion_candidates(&f->session, words);
	g_ptr_array_add(found, NULL);
	return g_strjoinv(" ", (char **)found->pdata);
}

static void test_completion(struct fixture *f, gconstpointer data)
{
	static const struct {
		const char *line, *found;
	} lines[] = {
		{ "domst", "domstate domstats" },
		{ "echo x; domst", "domstate domstats" },
		{ "domstate --re", "--reason" },
		{ "domstate --reason --re", "" },
		{ "nonsense ", "" },
		{ "domdisplay --type v", "vnc" },
		{ "domdisplay --type=v", "--type=vnc" },
		{ "uri ", "--help" },
		{ "help monit", "monitor" },
		{ "run --app", "--append" },
		{ "complet", "" },
	};

	(void)data;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autofree char *found = complete(f, lines[i].line);

		g_assert_cmpstr(found, ==, lines[i].found);
	}
}

static void test_formats(void)
{
	struct session session;
	g_autoptr(GError) error = NULL;

	session_init(&session);
	g_assert_true(session_set_format(&session, "csv,noheader", NULL));
	g_assert_true(session.format == REPORT_CSV && session.noheader);
	g_assert_true(session_set_format(&session, "json", NULL));
	g_assert_true(session.format == REPORT_JSON && !session.noheader);
	g_assert_false(session_set_format(&session, "yaml", NULL));
	g_assert_false(session_set_format(&session, "json,pretty", &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_USAGE);
	session_clear(&session);
}

#define ADD(name, function) g_test_add("/command/" name, struct fixture, NULL, set_up, function, tear_down)

/* What is here is not said to come later. */
static void test_later(void)
{
	for (size_t i = 0; commands[i]; i++)
		g_assert_cmpstr(later_reason(commands[i]->name), ==, NULL);
	g_assert_nonnull(later_reason("migrate"));
	g_assert_null(later_reason("nonsense"));
	g_assert_null(later_reason(""));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/args/refusals", test_refusals);
	g_test_add_func("/args/values", test_values);
	g_test_add_func("/args/what-is-not-given", test_what_is_not_given);
	g_test_add_func("/args/operands-by-name", test_operands_by_name);
	g_test_add_func("/args/values-taken-whole", test_values_taken_whole);
	g_test_add_func("/args/help-wins", test_help_wins);
	g_test_add_func("/script/words", test_scripts);
	g_test_add_func("/script/broken", test_broken_scripts);
	g_test_add_func("/script/unfinished-lines", test_unfinished_lines);
	g_test_add_func("/session/formats", test_formats);
	g_test_add_func("/command/every-command-is-described", test_every_command_is_described);
	g_test_add_func("/command/the-list-is-sorted", test_the_list_is_sorted);
	g_test_add_func("/command/later", test_later);
	ADD("every-command-has-help", test_every_command_has_help);
	ADD("every-group-has-help", test_every_group_has_help);
	ADD("required-options-are-required", test_required_options_are_required);
	ADD("unknown-options-are-refused", test_unknown_options_are_refused);
	ADD("readonly-changes-nothing", test_readonly_changes_nothing);
	ADD("foreign-connections-are-refused", test_foreign_connections_are_refused);
	ADD("shell-commands-need-a-shell", test_shell_commands_need_a_shell);
	ADD("a-failure-ends-a-script", test_a_failure_ends_a_script);
	ADD("keep-going", test_keep_going);
	ADD("quit-ends-a-script", test_quit_ends_a_script);
	ADD("virsh-checks-first-and-goes-on", test_virsh_checks_first_and_goes_on);
	ADD("streams", test_streams);
	ADD("broken-streams", test_broken_streams);
	ADD("completion", test_completion);
	return g_test_run();
}
