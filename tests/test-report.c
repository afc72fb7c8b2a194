/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/report.h"
#include "tui/session.h"
#include "tui/text.h"

struct fixture {
	struct session session;
	char *text;
	size_t len;
};

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	session_init(&f->session);
	f->session.out = open_memstream(&f->text, &f->len);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	fclose(f->session.out);
	free(f->text);
	session_clear(&f->session);
}

static const char *output(struct fixture *f)
{
	fflush(f->session.out);
	return f->text;
}

static const struct report_column columns[] = {
	{ .key = "id", .title = "Id" },
	{ .key = "name", .title = "Name" },
	{ .key = "size", .title = "Size", .right = true },
	{ .key = "state", .title = "State" },
	{ .key = "secret", .title = "Secret", .hidden = true },
	{ .key = NULL },
};

static void add_row(struct report *report, const char *name)
{
	report_number(report, 7, NULL);
	report_text(report, name);
	report_number(report, G_MAXUINT64, "lots");
	report_bool(report, true, "on", "off");
	report_absent(report);
}

static void print_list(struct fixture *f, enum report_format format, const char *const *names)
{
	struct report *report = report_list(&f->session, "things", "thing", columns);

	f->session.format = format;
	for (; *names; names++)
		add_row(report, *names);
	report_end(report);
}

static void print_record(struct fixture *f, enum report_format format, const char *name)
{
	struct report *report = report_record(&f->session, "thing");

	f->session.format = format;
	report_field(report, "name", "Name", name);
	report_field_number(report, "balloon.maximum", "Max memory", 1024, "1024 KiB");
	report_field_real(report, "load", "Load", 0.25, NULL);
	report_field(report, "none", "None", NULL);
	report_end(report);
}

/* What a terminal would obey, every way it can come, and what the formats themselves use. */
static const char *const hostile[] = {
	"",
	" ",
	"a\nb",
	"a\r\nb",
	"\033[2J\033]0;title\a",
	"tab\there",
	"quote\"quote",
	"it's",
	"comma,comma",
	"<domain attr='&amp;'>",
	"]]>",
	"back\\slash \\x41",
	"\x7f",
	"\xc2\x9b[31m", /* CSI as one character of C1 */
	"\xe2\x80\xae"
	"evil", /* right-to-left override */
	"\xff\xfe",
	"\xc3",
	"=cmd|'/c calc'!A1",
	"\xf0\x9f\x92\xbb",
	"\xe4\xbd\xa0\xe5\xa5\xbd",
	NULL,
};

/* Nothing but newlines is left of what moves a cursor, and all of it is UTF-8. */
static void assert_harmless(const char *text)
{
	g_assert_true(g_utf8_validate(text, -1, NULL));
	for (const char *p = text; *p; p = text_next(p)) {
		gunichar c = g_utf8_get_char(p);

		g_assert_true(c == '\n' || g_unichar_isprint(c));
	}
}

static void test_hostile_names_are_harmless(struct fixture *f, gconstpointer data)
{
	(void)data;
	for (unsigned format = 0; format < REPORT_N_FORMATS; format++) {
		print_list(f, format, hostile);
		for (size_t i = 0; hostile[i]; i++)
			print_record(f, format, hostile[i]);
	}
	assert_harmless(output(f));
}

static void test_a_table_row_is_a_line(struct fixture *f, gconstpointer data)
{
	unsigned lines = 0;

	(void)data;
	print_list(f, REPORT_TABLE, hostile);
	for (const char *p = output(f); *p; p++)
		lines += *p == '\n';
	g_assert_cmpuint(lines, ==, G_N_ELEMENTS(hostile) - 1 + 2);
}

static void test_json_gives_names_back(struct fixture *f, gconstpointer data)
{
	json_t *list;

	(void)data;
	print_list(f, REPORT_JSON, hostile);
	/* jansson has no integer as large. */
	list = json_loads(output(f), JSON_DECODE_INT_AS_REAL, NULL);
	g_assert_true(json_is_array(list));
	for (size_t i = 0; hostile[i]; i++) {
		const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
		g_autofree char *valid = g_utf8_make_valid(hostile[i], -1);

		g_assert_cmpstr(name, ==, valid);
	}
	g_assert_cmpuint(json_array_size(list), ==, G_N_ELEMENTS(hostile) - 1);
	json_decref(list);
}

static void test_json_types(struct fixture *f, gconstpointer data)
{
	(void)data;
	print_list(f, REPORT_JSON, (const char *const[]){ "x", NULL });
	g_assert_cmpstr(output(f), ==,
			"[\n  {\n    \"id\": 7,\n    \"name\": \"x\",\n    \"size\": 18446744073709551615,\n"
			"    \"state\": true,\n    \"secret\": null\n  }\n]\n");
}

static void test_json_record(struct fixture *f, gconstpointer data)
{
	json_t *record;

	(void)data;
	print_record(f, REPORT_JSON, "x");
	record = json_loads(output(f), 0, NULL);
	g_assert_cmpint(json_integer_value(json_object_get(record, "balloon.maximum")), ==, 1024);
	g_assert_cmpfloat(json_real_value(json_object_get(record, "load")), ==, 0.25);
	g_assert_true(json_is_null(json_object_get(record, "none")));
	json_decref(record);
}

static void test_json_has_no_nan(struct fixture *f, gconstpointer data)
{
	struct report *report = report_record(&f->session, "thing");

	(void)data;
	f->session.format = REPORT_JSON;
	report_field_real(report, "share", "Share", 0.0 / 0.0 * 1.0, NULL);
	report_end(report);
	g_assert_cmpstr(output(f), ==, "{\n  \"share\": null\n}\n");
}

static void test_empty_lists(struct fixture *f, gconstpointer data)
{
	static const char *const none[] = { NULL };

	(void)data;
	for (unsigned format = 0; format < REPORT_N_FORMATS; format++)
		print_list(f, format, none);
	g_assert_cmpstr(output(f), ==,
			" Id   Name   Size   State\n"
			"---------------------------\n"
			"[]\n"
			"id,name,size,state,secret\n"
			"<things>\n</things>\n");
}

static void test_csv(struct fixture *f, gconstpointer data)
{
	(void)data;
	print_list(f, REPORT_CSV,
		   (const char *const[]){ "plain", "a,b", "say \"hi\"", "two\nlines", " blank", "\033", NULL });
	g_assert_cmpstr(output(f), ==,
			"id,name,size,state,secret\n"
			"7,plain,18446744073709551615,on,\n"
			"7,\"a,b\",18446744073709551615,on,\n"
			"7,\"say \"\"hi\"\"\",18446744073709551615,on,\n"
			"7,\"two\nlines\",18446744073709551615,on,\n"
			"7,\" blank\",18446744073709551615,on,\n"
			"7,\\x1b,18446744073709551615,on,\n");
}

static void test_csv_without_header(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->session.noheader = true;
	print_record(f, REPORT_CSV, "x");
	g_assert_cmpstr(output(f), ==, "x,1024,0.25,\n");
}

static void test_xml_is_well_formed(struct fixture *f, gconstpointer data)
{
	xmlDoc *doc;
	xmlNode *row;
	const char *text;
	unsigned rows = 0;

	(void)data;
	print_list(f, REPORT_XML, hostile);
	text = output(f);
	doc = xmlReadMemory(text, (int)strlen(text), "report", NULL, XML_PARSE_NOBLANKS);
	g_assert_nonnull(doc);
	for (row = xmlFirstElementChild(xmlDocGetRootElement(doc)); row; row = xmlNextElementSibling(row)) {
		/* id, name, size, state: what is absent has no element. */
		g_assert_cmpuint(xmlChildElementCount(row), ==, 4);
		rows++;
	}
	g_assert_cmpuint(rows, ==, G_N_ELEMENTS(hostile) - 1);
	xmlFreeDoc(doc);
}

static void test_xml_record(struct fixture *f, gconstpointer data)
{
	(void)data;
	print_record(f, REPORT_XML, "<x>");
	g_assert_cmpstr(output(f), ==,
			"<thing>\n  <name>&lt;x&gt;</name>\n  <balloon.maximum>1024</balloon.maximum>\n  "
			"<load>0.25</load>\n</thing>\n");
}

static void test_xml_names_are_names(struct fixture *f, gconstpointer data)
{
	struct report *report = report_record(&f->session, "thing");
	const char *text;
	xmlDoc *doc;

	(void)data;
	f->session.format = REPORT_XML;
	report_field(report, "0 <odd>", "Odd", "x");
	report_end(report);
	text = output(f);
	doc = xmlReadMemory(text, (int)strlen(text), "report", NULL, 0);
	g_assert_nonnull(doc);
	xmlFreeDoc(doc);
}

/* virsh's: a blank before a cell, two behind it, none behind the last one. */
static void test_table_shape(struct fixture *f, gconstpointer data)
{
	(void)data;
	print_list(f, REPORT_TABLE, (const char *const[]){ "a", "longer name", NULL });
	g_assert_cmpstr(output(f), ==,
			" Id   Name          Size   State\n"
			"----------------------------------\n"
			" 7    a             lots   on\n"
			" 7    longer name   lots   on\n");
}

static void test_table_aligns_right(struct fixture *f, gconstpointer data)
{
	static const struct report_column two[] = { { .key = "n", .title = "Number", .right = true },
						    { .key = "x", .title = "X" },
						    { .key = NULL } };
	struct report *report = report_list(&f->session, "things", "thing", two);

	(void)data;
	report_number(report, 5, NULL);
	report_text(report, NULL);
	report_end(report);
	g_assert_cmpstr(output(f), ==, " Number   X\n-------------\n      5   -\n");
}

static void test_table_counts_columns(struct fixture *f, gconstpointer data)
{
	static const struct report_column two[] = { { .key = "a", .title = "A" },
						    { .key = "b", .title = "B" },
						    { .key = NULL } };
	struct report *report = report_list(&f->session, "things", "thing", two);

	(void)data;
	/* Two wide characters; a letter and a mark that stands over it. */
	report_text(report, "\xe4\xbd\xa0\xe5\xa5\xbd");
	report_text(report, "x");
	report_text(report, "e\xcc\x81");
	report_text(report, "y");
	report_end(report);
	g_assert_cmpstr(output(f), ==, " A      B\n-----------\n \xe4\xbd\xa0\xe5\xa5\xbd   x\n e\xcc\x81      y\n");
}

static void test_quiet_has_no_header(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->session.quiet = true;
	print_list(f, REPORT_TABLE, (const char *const[]){ "x", NULL });
	g_assert_cmpstr(output(f), ==, " 7   x   lots   on\n");
}

static void test_records_align(struct fixture *f, gconstpointer data)
{
	struct report *wide;

	(void)data;
	print_record(f, REPORT_TABLE, "x");
	wide = report_record(&f->session, "thing");
	report_field(wide, "threads", "Thread(s) per core", "1");
	report_end(wide);
	g_assert_cmpstr(output(f), ==,
			"Name:           x\nMax memory:     1024 KiB\nLoad:           0.25\nNone:           -\n"
			"Thread(s) per core:  1\n");
}

static void test_escapes_look_like_nothing_else(void)
{
	g_autofree char *escape = text_cell("\033"), *spelt = text_cell("\\x1b"), *path = text_cell("a\\b");

	g_assert_cmpstr(escape, ==, "\\x1b");
	g_assert_cmpstr(spelt, ==, "\\x5cx1b");
	g_assert_cmpstr(path, ==, "a\\b");
}

static void test_shell_quotes_come_back(void)
{
	for (size_t i = 0; hostile[i]; i++) {
		g_autofree char *quoted = text_shell_quote(hostile[i]), *back = g_shell_unquote(quoted, NULL);

		g_assert_cmpstr(back, ==, hostile[i]);
	}
}

#define ADD(name, function) g_test_add("/report/" name, struct fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("hostile-names-are-harmless", test_hostile_names_are_harmless);
	ADD("a-table-row-is-a-line", test_a_table_row_is_a_line);
	ADD("json-gives-names-back", test_json_gives_names_back);
	ADD("json-types", test_json_types);
	ADD("json-record", test_json_record);
	ADD("json-has-no-nan", test_json_has_no_nan);
	ADD("empty-lists", test_empty_lists);
	ADD("csv", test_csv);
	ADD("csv-without-header", test_csv_without_header);
	ADD("xml-is-well-formed", test_xml_is_well_formed);
	ADD("xml-record", test_xml_record);
	ADD("xml-names-are-names", test_xml_names_are_names);
	ADD("table-shape", test_table_shape);
	ADD("table-aligns-right", test_table_aligns_right);
	ADD("table-counts-columns", test_table_counts_columns);
	ADD("quiet-has-no-header", test_quiet_has_no_header);
	ADD("records-align", test_records_align);
	g_test_add_func("/text/escapes-look-like-nothing-else", test_escapes_look_like_nothing_else);
	g_test_add_func("/text/shell-quotes-come-back", test_shell_quotes_come_back);
	return g_test_run();
}
