/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/text.h"

/*
 * Cells are gathered and printed at the end: only then are the widths of a table's columns known. One writer a format
 * turns the same cells into text; each of them escapes for itself, so that whatever a name holds, the output stays what
 * it claims to be and a terminal it goes to is not told anything.
 */
enum cell_kind { CELL_ABSENT, CELL_TEXT, CELL_NUMBER, CELL_REAL, CELL_BOOL };

struct cell {
	enum cell_kind kind;
	char *text; /* what people see; NULL when absent */
	uint64_t number;
	double real;
	bool truth;
	char *key, *title; /* of a record's cell */
};

struct report {
	struct session *session;
	bool is_record;
	const char *plural, *singular;
	const struct report_column *columns;
	size_t n_columns;
	GArray *cells; /* struct cell; of a list row by row */
};

static void clear_cell(gpointer data)
{
	struct cell *cell = data;

	g_free(cell->text);
	g_free(cell->key);
	g_free(cell->title);
}

static struct report *new_report(struct session *session)
{
	struct report *report = g_new0(struct report, 1);

	report->session = session;
	report->cells = g_array_new(FALSE, TRUE, sizeof(struct cell));
	g_array_set_clear_func(report->cells, clear_cell);
	return report;
}

struct report *report_list(struct session *session, const char *plural, const char *singular,
			   const struct report_column *columns)
{
	struct report *report = new_report(session);

	report->plural = plural;
	report->singular = singular;
	report->columns = columns;
	while (columns[report->n_columns].key)
		report->n_columns++;
	return report;
}

struct report *report_record(struct session *session, const char *singular)
{
	struct report *report = new_report(session);

	report->singular = singular;
	report->is_record = true;
	return report;
}

void report_free(struct report *report)
{
	g_array_unref(report->cells);
	g_free(report);
}

/* --- cells --- */

static void add_cell(struct report *report, struct cell cell_consume)
{
	g_array_append_val(report->cells, cell_consume);
}

void report_text(struct report *report, const char *text)
{
	add_cell(report, (struct cell){ .kind = text ? CELL_TEXT : CELL_ABSENT, .text = g_strdup(text) });
}

static char *show_number(uint64_t value, const char *shown)
{
	return shown ? g_strdup(shown) : g_strdup_printf("%" G_GUINT64_FORMAT, value);
}

static char *show_real(double value, const char *shown)
{
	char digits[G_ASCII_DTOSTR_BUF_SIZE];

	return g_strdup(shown ? shown : g_ascii_formatd(digits, sizeof(digits), "%.6g", value));
}

void report_number(struct report *report, uint64_t value, const char *shown_or_null)
{
	add_cell(report,
		 (struct cell){ .kind = CELL_NUMBER, .number = value, .text = show_number(value, shown_or_null) });
}

void report_real(struct report *report, double value, const char *shown_or_null)
{
	add_cell(report, (struct cell){ .kind = CELL_REAL, .real = value, .text = show_real(value, shown_or_null) });
}

void report_bool(struct report *report, bool value, const char *yes, const char *no)
{
	add_cell(report, (struct cell){ .kind = CELL_BOOL, .truth = value, .text = g_strdup(value ? yes : no) });
}

void report_absent(struct report *report)
{
	report_text(report, NULL);
}

void report_field(struct report *report, const char *key, const char *title, const char *text)
{
	add_cell(report, (struct cell){ .kind = text ? CELL_TEXT : CELL_ABSENT,
					.text = g_strdup(text),
					.key = g_strdup(key),
					.title = g_strdup(title) });
}

void report_field_number(struct report *report, const char *key, const char *title, uint64_t value,
			 const char *shown_or_null)
{
	add_cell(report, (struct cell){ .kind = CELL_NUMBER,
					.number = value,
					.text = show_number(value, shown_or_null),
					.key = g_strdup(key),
					.title = g_strdup(title) });
}

void report_field_real(struct report *report, const char *key, const char *title, double value,
		       const char *shown_or_null)
{
	add_cell(report, (struct cell){ .kind = CELL_REAL,
					.real = value,
					.text = show_real(value, shown_or_null),
					.key = g_strdup(key),
					.title = g_strdup(title) });
}

void report_field_bool(struct report *report, const char *key, const char *title, bool value, const char *yes,
		       const char *no)
{
	add_cell(report, (struct cell){ .kind = CELL_BOOL,
					.truth = value,
					.text = g_strdup(value ? yes : no),
					.key = g_strdup(key),
					.title = g_strdup(title) });
}

/* A record is one row of as many columns as it has cells. */
static size_t count_columns(const struct report *report)
{
	return report->is_record ? report->cells->len : report->n_columns;
}

static size_t count_rows(const struct report *report)
{
	if (report->is_record)
		return 1;
	return report->n_columns ? (report->cells->len + report->n_columns - 1) / report->n_columns : 0;
}

/* NULL: the last row was not filled. */
static const struct cell *cell_at(const struct report *report, size_t row, size_t column)
{
	size_t index = row * count_columns(report) + column;

	return index < report->cells->len ? &g_array_index(report->cells, struct cell, index) : NULL;
}

static const char *key_of(const struct report *report, size_t column)
{
	return report->is_record ? g_array_index(report->cells, struct cell, column).key : report->columns[column].key;
}

/* --- table --- */

#define RECORD_WIDTH 15	     /* virsh's column of names in most records... */
#define RECORD_WIDTH_WIDE 20 /* ... and in those with longer names */

static char *shown(const struct cell *cell)
{
	return cell && cell->text ? text_cell(cell->text) : g_strdup("-");
}

static void append_padding(GString *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		g_string_append_c(out, ' ');
}

static bool is_last_column(const struct report *report, size_t column)
{
	for (size_t i = column + 1; i < report->n_columns; i++) {
		if (!report->columns[i].hidden)
			return false;
	}
	return true;
}

static void append_cell(GString *out, const struct report *report, size_t column, const char *text, unsigned width)
{
	unsigned padding = width - text_width(text);

	g_string_append_c(out, ' ');
	if (report->columns[column].right)
		append_padding(out, padding);
	g_string_append(out, text);
	if (is_last_column(report, column))
		return;
	append_padding(out, (report->columns[column].right ? 0 : padding) + 2);
}

static unsigned *column_widths(const struct report *report, bool header)
{
	unsigned *widths = g_new0(unsigned, report->n_columns + 1);

	for (size_t c = 0; c < report->n_columns; c++) {
		if (header)
			widths[c] = text_width(report->columns[c].title);
		for (size_t r = 0; r < count_rows(report); r++) {
			g_autofree char *text = shown(cell_at(report, r, c));

			widths[c] = MAX(widths[c], text_width(text));
		}
	}
	return widths;
}

static void append_table_header(GString *out, const struct report *report, const unsigned *widths)
{
	for (size_t c = 0; c < report->n_columns; c++) {
		if (!report->columns[c].hidden)
			append_cell(out, report, c, report->columns[c].title, widths[c]);
	}
	g_string_append_c(out, '\n');
	for (size_t c = 0; c < report->n_columns; c++) {
		for (unsigned i = 0; !report->columns[c].hidden && i < widths[c] + 3; i++)
			g_string_append_c(out, '-');
	}
	g_string_append_c(out, '\n');
}

static void append_table(GString *out, const struct report *report)
{
	bool header = !report->session->quiet && !report->session->noheader;
	g_autofree unsigned *widths = column_widths(report, header);

	if (header)
		append_table_header(out, report, widths);
	for (size_t r = 0; r < count_rows(report); r++) {
		for (size_t c = 0; c < report->n_columns; c++) {
			g_autofree char *text = shown(cell_at(report, r, c));

			if (!report->columns[c].hidden)
				append_cell(out, report, c, text, widths[c]);
		}
		g_string_append_c(out, '\n');
	}
}

/* "Name:           value": 15 columns, 20 where a name needs more. */
static void append_record(GString *out, const struct report *report)
{
	unsigned width = RECORD_WIDTH;

	for (size_t i = 0; i < report->cells->len; i++) {
		unsigned len = text_width(cell_at(report, 0, i)->title) + 1;

		if (len > width)
			width = MAX(len, RECORD_WIDTH_WIDE);
	}
	for (size_t i = 0; i < report->cells->len; i++) {
		const struct cell *cell = cell_at(report, 0, i);
		g_autofree char *text = shown(cell);

		g_string_append_printf(out, "%s:", cell->title);
		append_padding(out, width - text_width(cell->title));
		g_string_append_printf(out, "%s\n", text);
	}
}

static void write_table(GString *out, const struct report *report)
{
	if (report->is_record)
		append_record(out, report);
	else
		append_table(out, report);
}

/* --- json (RFC 8259) --- */

static void append_json_string(GString *out, const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	g_string_append_c(out, '"');
	for (const char *p = valid; *p; p = text_next(p)) {
		gunichar c = g_utf8_get_char(p);

		if (c == '"' || c == '\\')
			g_string_append_printf(out, "\\%c", (char)c);
		else if (c == '\n')
			g_string_append(out, "\\n");
		else if (!g_unichar_isprint(c) && c < 0x10000)
			g_string_append_printf(out, "\\u%04x", c);
		else if (!g_unichar_isprint(c))
			g_string_append_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
					       0xdc00 + (c & 0x3ff));
		else
			g_string_append_unichar(out, c);
	}
	g_string_append_c(out, '"');
}

static void append_json_value(GString *out, const struct cell *cell)
{
	char digits[G_ASCII_DTOSTR_BUF_SIZE];

	if (!cell || cell->kind == CELL_ABSENT || (cell->kind == CELL_REAL && !isfinite(cell->real)))
		g_string_append(out, "null");
	else if (cell->kind == CELL_NUMBER)
		g_string_append_printf(out, "%" G_GUINT64_FORMAT, cell->number);
	else if (cell->kind == CELL_REAL)
		g_string_append(out, g_ascii_dtostr(digits, sizeof(digits), cell->real));
	else if (cell->kind == CELL_BOOL)
		g_string_append(out, cell->truth ? "true" : "false");
	else
		append_json_string(out, cell->text);
}

static void append_json_row(GString *out, const struct report *report, size_t row, const char *indent)
{
	g_string_append_c(out, '{');
	for (size_t c = 0; c < count_columns(report); c++) {
		g_string_append_printf(out, "%s\n%s  ", c ? "," : "", indent);
		append_json_string(out, key_of(report, c));
		g_string_append(out, ": ");
		append_json_value(out, cell_at(report, row, c));
	}
	g_string_append_printf(out, "\n%s}", indent);
}

static void write_json(GString *out, const struct report *report)
{
	if (report->is_record) {
		append_json_row(out, report, 0, "");
		g_string_append_c(out, '\n');
		return;
	}
	g_string_append_c(out, '[');
	for (size_t r = 0; r < count_rows(report); r++) {
		g_string_append(out, r ? ",\n  " : "\n  ");
		append_json_row(out, report, r, "  ");
	}
	g_string_append(out, count_rows(report) ? "\n]\n" : "]\n");
}

/* --- csv (RFC 4180, lines end as lines do here) --- */

/* The value as programs want it: numbers bare, not as people see them. */
static char *bare(const struct cell *cell)
{
	char digits[G_ASCII_DTOSTR_BUF_SIZE];

	if (!cell || cell->kind == CELL_ABSENT)
		return NULL;
	if (cell->kind == CELL_NUMBER)
		return g_strdup_printf("%" G_GUINT64_FORMAT, cell->number);
	if (cell->kind == CELL_REAL)
		return g_strdup(g_ascii_dtostr(digits, sizeof(digits), cell->real));
	return g_strdup(cell->text);
}

/* A field may have newlines, in quotes; of the other control characters the format knows none. */
static void append_csv_field(GString *out, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	bool quoted = strpbrk(text, ",\"\n") || g_ascii_isspace(text[0]);

	if (quoted)
		g_string_append_c(out, '"');
	for (size_t i = 0; lines[i]; i++) {
		g_autofree char *line = text_cell(lines[i]);

		if (i)
			g_string_append_c(out, '\n');
		for (const char *p = line; *p; p++)
			g_string_append(out, *p == '"' ? "\"\"" : (char[]){ *p, '\0' });
	}
	if (quoted)
		g_string_append_c(out, '"');
}

static void write_csv(GString *out, const struct report *report)
{
	for (size_t c = 0; !report->session->noheader && c < count_columns(report); c++) {
		g_string_append(out, c ? "," : "");
		append_csv_field(out, key_of(report, c));
	}
	if (!report->session->noheader)
		g_string_append_c(out, '\n');
	for (size_t r = 0; r < count_rows(report); r++) {
		for (size_t c = 0; c < count_columns(report); c++) {
			g_autofree char *text = bare(cell_at(report, r, c));

			g_string_append(out, c ? "," : "");
			append_csv_field(out, text ? text : "");
		}
		g_string_append_c(out, '\n');
	}
}

/* --- xml (1.0) --- */

/* Keys may have characters that no element's name has. */
static char *element_name(const char *key)
{
	GString *name = g_string_new(g_ascii_isalpha(key[0]) ? NULL : "_");

	for (const char *p = key; *p; p++)
		g_string_append_c(name, g_ascii_isalnum(*p) || strchr("._-", *p) ? *p : '_');
	return g_string_free(name, FALSE);
}

/* XML cannot hold most control characters, not even as references: those are shown as in tables. */
static void append_xml_text(GString *out, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (size_t i = 0; lines[i]; i++) {
		g_autofree char *line = text_cell(lines[i]), *escaped = text_xml_escape(line);

		g_string_append_printf(out, "%s%s", i ? "\n" : "", escaped);
	}
}

static void append_xml_row(GString *out, const struct report *report, size_t row, const char *indent)
{
	g_string_append_printf(out, "%s<%s>\n", indent, report->singular);
	for (size_t c = 0; c < count_columns(report); c++) {
		g_autofree char *name = element_name(key_of(report, c)), *text = bare(cell_at(report, row, c));

		if (!text)
			continue;
		g_string_append_printf(out, "%s  <%s>", indent, name);
		append_xml_text(out, text);
		g_string_append_printf(out, "</%s>\n", name);
	}
	g_string_append_printf(out, "%s</%s>\n", indent, report->singular);
}

static void write_xml(GString *out, const struct report *report)
{
	if (report->is_record) {
		append_xml_row(out, report, 0, "");
		return;
	}
	g_string_append_printf(out, "<%s>\n", report->plural);
	for (size_t r = 0; r < count_rows(report); r++)
		append_xml_row(out, report, r, "  ");
	g_string_append_printf(out, "</%s>\n", report->plural);
}

static void (*const writers[REPORT_N_FORMATS])(GString *out, const struct report *report) = {
	[REPORT_TABLE] = write_table,
	[REPORT_JSON] = write_json,
	[REPORT_CSV] = write_csv,
	[REPORT_XML] = write_xml,
};

void report_end(struct report *report_consume)
{
	autoptr(report) report = report_consume;
	g_autoptr(GString) text = g_string_new(NULL);

	writers[report->session->format](text, report);
	fwrite(text->str, 1, text->len, report->session->out);
}
