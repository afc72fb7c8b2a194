/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/show.h"

#include "tui/report.h"
#include "tui/text.h"

void show_text(struct session *session, const char *key, const char *text)
{
	g_autofree char *safe = NULL;
	struct report *report;

	if (session->format == REPORT_TABLE) {
		safe = text_lines(text);
		fprintf(session->out, "%s\n", safe);
		return;
	}
	report = report_record(session, key);
	report_field(report, key, key, text);
	report_end(report);
}

void show_texts(struct session *session, const char *plural, const char *key, const char *const *texts)
{
	const struct report_column columns[] = { { .key = key, .title = key }, { .key = NULL } };
	struct report *report;

	for (size_t i = 0; session->format == REPORT_TABLE && texts[i]; i++)
		fprintf(session->out, "%s\n", texts[i]);
	if (session->format == REPORT_TABLE)
		return;
	report = report_list(session, plural, key, columns);
	for (size_t i = 0; texts[i]; i++)
		report_text(report, texts[i]);
	report_end(report);
}
