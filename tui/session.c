/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/session.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/domains.h"
#include "tui/text.h"

#define ESCAPE_KEY 0x1d /* ^] */

void session_init(struct session *session)
{
	*session = (struct session){ .out = stdout, .err_out = stderr, .escape = ESCAPE_KEY, .debug = 4 };
}

void session_clear(struct session *session)
{
	g_clear_pointer(&session->home, home_free);
	g_clear_pointer(&session->uri, g_free);
	if (session->log)
		fclose(session->log);
	session->log = NULL;
}

void session_connect(struct session *session, const char *uri, bool readonly)
{
	char *copy = g_strdup(uri); /* uri may be the session's own */

	g_clear_pointer(&session->home, home_free);
	g_free(session->uri);
	session->uri = copy;
	session->readonly = readonly;
}

/* What other managers' URIs look like; the ones that home_open() knows never come here. */
static bool refuse_uri(const char *uri, const GError *reason, GError **err)
{
	g_autofree char *scheme = uri ? g_uri_parse_scheme(uri) : NULL;

	if (!scheme || !strcmp(scheme, "lodge"))
		return fail(err, (int)reason->code, "failed to connect to the hypervisor: %s", reason->message);
	return fail(err, LODGE_ERROR_UNSUPPORTED,
		    "failed to connect to the hypervisor: %s: no connections of kind %s, only lodge:///session and "
		    "lodge:///system",
		    uri, scheme);
}

struct home *session_home(struct session *session, GError **err)
{
	g_autoptr(GError) error = NULL;

	if (session->home)
		return session->home;
	session->home = home_open(session->uri && session->uri[0] ? session->uri : NULL, session->readonly, &error);
	if (!session->home)
		refuse_uri(session->uri, error, err);
	return session->home;
}

void session_say(struct session *session, const char *format, ...)
{
	g_autofree char *text = NULL, *safe = NULL;
	va_list ap;

	if (session->quiet)
		return;
	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	safe = text_lines(text);
	fputs(safe, session->format == REPORT_TABLE ? session->out : session->err_out);
}

static const char *const format_names[REPORT_N_FORMATS] = {
	[REPORT_TABLE] = "table",
	[REPORT_JSON] = "json",
	[REPORT_CSV] = "csv",
	[REPORT_XML] = "xml",
};

bool session_set_format(struct session *session, const char *text, GError **err)
{
	const char *comma = strchr(text, ',');
	g_autofree char *name = comma ? g_strndup(text, (gsize)(comma - text)) : g_strdup(text);

	if (comma && strcmp(comma, ",noheader"))
		return fail(err, LODGE_ERROR_USAGE, "--format %s: only ,noheader may follow the format", text);
	for (unsigned i = 0; i < REPORT_N_FORMATS; i++) {
		if (strcmp(name, format_names[i]))
			continue;
		session->format = i;
		session->noheader = comma != NULL;
		return true;
	}
	return fail(err, LODGE_ERROR_USAGE, "--format %s: table, json, csv or xml is wanted", text);
}

void session_log(struct session *session, const char *level, const char *text)
{
	g_autoptr(GDateTime) now = session->log ? g_date_time_new_now_utc() : NULL;
	g_autofree char *stamp = now ? g_date_time_format_iso8601(now) : NULL, *line = text_message(text);

	if (session->log)
		fprintf(session->log, "[%s %d] %s %s\n", stamp, (int)getpid(), level, line);
}

static void print_error(struct session *session, const char *text)
{
	g_autofree char *line = text_message(text);

	fprintf(session->err_out, "error: %s\n", line);
	session_log(session, "ERROR", line);
}

int session_fail(struct session *session, const GError *error)
{
	const char *newline = strchr(error->message, '\n');
	g_autofree char *first = newline ? g_strndup(error->message, (gsize)(newline - error->message)) : NULL;
	g_autofree char *joined = first ? g_strconcat(first, ": ", newline + 1, NULL) : NULL;

	fflush(session->out);
	/* "Failed to start domain 'x'" and the reason: virsh has a line for each. */
	if (first && session->as_virsh) {
		print_error(session, first);
		print_error(session, newline + 1);
	} else {
		print_error(session, joined ? joined : error->message);
	}
	return g_error_matches(error, LODGE_ERROR, LODGE_ERROR_USAGE) && !session->as_virsh ? EXIT_USAGE : EXIT_FAILED;
}

void session_notices(struct session *session)
{
	g_autoptr(GPtrArray) notices = domains_notices();

	for (unsigned i = 0; i < notices->len; i++) {
		g_autofree char *line = text_message(notices->pdata[i]);

		fprintf(session->err_out, "lodge: %s\n", line);
	}
}
