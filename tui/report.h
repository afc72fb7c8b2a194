/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_REPORT_H
#define LODGE_TUI_REPORT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "tui/command.h"

/*
 * What list and show commands print, in every format from one description: rows of cells under typed columns, or one
 * record of named values.
 *
 *   table  virsh's shapes: " Id   Name   State" and a line of dashes, or "Name:           value" for a record
 *   json   an array of objects (list) or one object (record); keys are the columns'; numbers are numbers, absent values null
 *   csv    RFC 4180 with a header line (not with noheader)
 *   xml    <domains><domain><name>...: names given by the caller
 *
 * Cells are added in column order. Numbers carry their value and (for tables) the text that people see.
 */
struct report;

struct report_column {
	const char *key;   /* "name": json and csv, xml element */
	const char *title; /* "Name": table */
	bool right;	   /* aligned to the right in tables */
	bool hidden;	   /* not in tables (json, csv and xml have it) */
};

/*
 * list: many rows; plural and singular are xml's element names, "domains", "domain". Columns: last has key NULL; must
 * live as long.
 */
struct report *report_list(struct session *session, const char *plural, const char *singular,
			   const struct report_column *columns);
/* record: one object; no columns, each cell brings its key and title. */
struct report *report_record(struct session *session, const char *singular);
void report_free(struct report *report); /* without printing */
DEFINE_AUTOPTR(report, report_free)

/* list: the next cell of the current row. text NULL: absent ("-" in tables). */
void report_text(struct report *report, const char *text);
void report_number(struct report *report, uint64_t value, const char *shown_or_null);
void report_real(struct report *report, double value, const char *shown_or_null);
void report_bool(struct report *report, bool value, const char *yes, const char *no);
void report_absent(struct report *report);

/* record: a named value. */
void report_field(struct report *report, const char *key, const char *title, const char *text);
void report_field_number(struct report *report, const char *key, const char *title, uint64_t value,
			 const char *shown_or_null);
void report_field_real(struct report *report, const char *key, const char *title, double value,
		       const char *shown_or_null);
void report_field_bool(struct report *report, const char *key, const char *title, bool value, const char *yes,
		       const char *no);

/* Prints and frees. */
void report_end(struct report *report_consume);

#endif
