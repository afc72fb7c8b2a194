/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/base/wire.h"
#include "tui/cmd/event.h"
#include "tui/text.h"

/* What the control sockets of all VMs say, as it is. */
struct listener {
	struct session *session;
	bool timestamp, pretty, no_case;
	const char *name; /* NULL: every event */
	GRegex *regex;	  /* NULL: name is literal */
};

static bool matches(const struct listener *listener, const char *name)
{
	if (!listener->name)
		return true;
	if (listener->regex)
		return g_regex_match(listener->regex, name, 0, NULL);
	return listener->no_case ? !g_ascii_strcasecmp(name, listener->name) : !strcmp(name, listener->name);
}

static json_int_t stamp(const json_t *qmp, const char *member)
{
	return json_integer_value(json_object_get(json_object_get(qmp, "timestamp"), member));
}

static void print_event(const struct listener *listener, const json_t *event, const json_t *qmp, const char *name)
{
	const char *domain = json_string_value(json_object_get(event, "name"));
	const json_t *data = json_object_get(qmp, "data");
	size_t flags = JSON_ENCODE_ANY | JSON_ENSURE_ASCII | (listener->pretty ? JSON_INDENT(2) : JSON_COMPACT);
	char *details = json_dumps(data, flags);
	g_autofree char *line = NULL;

	if (listener->timestamp) {
		event_print_time(listener->session->out, json_integer_value(json_object_get(event, "time_us")));
		line = g_strdup_printf("event %s for domain '%s': %s", name, domain ? domain : "-",
				       details ? details : "<null>");
	} else {
		line = g_strdup_printf("event %s at %" JSON_INTEGER_FORMAT ".%06" JSON_INTEGER_FORMAT
				       " for domain '%s': %s",
				       name, stamp(qmp, "seconds"), stamp(qmp, "microseconds"), domain ? domain : "-",
				       details ? details : "<null>");
	}
	g_autofree char *safe = text_lines(line);
	fprintf(listener->session->out, "%s\n", safe);
	free(details);
}

static bool show(void *opaque, json_t *event)
{
	const struct listener *listener = opaque;
	const char *kind = json_string_value(json_object_get(event, "event"));
	const json_t *qmp = json_object_get(event, "qmp");
	const char *name = json_string_value(json_object_get(qmp, "event"));

	if (!kind || strcmp(kind, "monitor") || !name || !matches(listener, name))
		return false;
	if (listener->session->format == REPORT_JSON) {
		char *text = json_dumps(event, JSON_COMPACT | JSON_ENSURE_ASCII);

		fprintf(listener->session->out, "%s\n", text ? text : "{}");
		free(text);
	} else {
		print_event(listener, event, qmp, name);
	}
	return true;
}

static bool make_regex(struct listener *listener, GError **err)
{
	g_autoptr(GError) error = NULL;

	listener->regex = g_regex_new(listener->name, listener->no_case ? G_REGEX_CASELESS : 0, 0, &error);
	return listener->regex || fail(err, LODGE_ERROR_USAGE, "--event: %s", error->message);
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	struct listener listener = {
		.session = session,
		.timestamp = args_flag(args, "timestamp"),
		.pretty = args_flag(args, "pretty"),
		.no_case = args_flag(args, "no-case"),
		.name = args_string(args, "event"),
	};
	struct event_wait wait = { .session = session, .show = show, .opaque = &listener };
	bool done;

	if (args_flag(args, "regex") && listener.name && !make_regex(&listener, err))
		return false;
	done = event_wait_args(&wait, args, err) && event_wait(&wait, err);
	if (listener.regex)
		g_regex_unref(listener.regex);
	return done;
}

static const struct arg_row args[] = {
	{ .name = "domain",
	  .type = ARG_DATA,
	  .help = "only this domain's: name, id or uuid",
	  .complete = COMPLETE_DOMAIN },
	{ .name = "event", .type = ARG_DATA, .help = "only events of this name: STOP, RESET, ..." },
	{ .name = "pretty", .type = ARG_FLAG, .help = "JSON on several lines" },
	{ .name = "loop", .type = ARG_FLAG, .help = "go on until the time is over or you interrupt" },
	{ .name = "timeout", .type = ARG_UINT, .help = "seconds to wait" },
	{ .name = "regex", .type = ARG_FLAG, .help = "--event is a regular expression" },
	{ .name = "no-case", .type = ARG_FLAG, .help = "--event means small and capital letters alike" },
	{ .name = "timestamp", .type = ARG_FLAG, .help = "begin each line with the time" },
	ARG_END,
};

const struct command cmd_qemu_monitor_event = {
	.name = "qemu-monitor-event",
	.group = GROUP_DOMAIN,
	.help = "wait for events of the VMs' control sockets (QMP) and print them",
	.about = "The events as QMP clients of the VMs see them: SHUTDOWN, RESET, STOP, RESUME, "
		 "GUEST_PANICKED, RTC_CHANGE, ...",
	.args = args,
	.run = run,
};
