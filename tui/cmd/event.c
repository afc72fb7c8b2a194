/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/event.h"

#include <string.h>

#include "core/base/error.h"
#include "core/base/wire.h"
#include "tui/cmd/show.h"
#include "tui/text.h"

/* The line of each event, behind "event 'NAME' for domain 'DOMAIN'"; {x.y} is a member of the event. */
static const struct {
	const char *name, *shape;
} rows[] = {
	{ "lifecycle", ": {type} {detail}" },
	{ "reboot", "" },
	{ "rtc-change", ": {utcoffset}" },
	{ "watchdog", ": {action}" },
	{ "io-error", ": {path} ({device}) {action}" },
	{ "graphics",
	  ": {phase} local[{server.family} {server.host} {server.service}] remote[{client.family} {client.host} "
	  "{client.service}] {server.auth}" },
	{ "io-error-reason", ": {path} ({device}) {action} due to {reason}" },
	{ "control-error", "" },
	{ "block-job", ": {type} for {device} {phase}" },
	{ "disk-change", " disk {device}: {old} -> {new}: {reason}" },
	{ "tray-change", " disk {device}: {reason}" },
	{ "pm-wakeup", "" },
	{ "pm-suspend", "" },
	{ "balloon-change", ": {actual}KiB" },
	{ "pm-suspend-disk", "" },
	{ "device-removed", ": {device}" },
	{ "block-job-2", ": {type} for {device} {phase}" },
	{ "tunable", ":\n\t{field}: {value}" },
	{ "agent-lifecycle", ": state: '{state}' reason: '{reason}'" },
	{ "device-added", ": {device}" },
	{ "migration-iteration", ": iteration: '{iteration}'" },
	{ "job-completed", ":\n\tOperation: {operation}" },
	{ "device-removal-failed", ": {device}" },
	{ "metadata-change", ": type {type}, uri {uri}" },
	{ "block-threshold", ": dev: {device}({path}) {threshold} {excess}" },
	{ "memory-failure", ":\nrecipient: {recipient}\naction: {action}" },
	{ "memory-device-size-change", ":\nalias: {device}\nsize: {size}" },
	{ "nic-mac-change", ":\nalias: {device}\noldMAC: {old}\nnewMAC: {new}" },
};

struct listener {
	struct session *session;
	const char *only; /* NULL: every event */
	bool timestamp;
};

static const char *find_shape(const char *name)
{
	for (size_t i = 0; name && i < G_N_ELEMENTS(rows); i++) {
		if (!strcmp(rows[i].name, name))
			return rows[i].shape;
	}
	return NULL;
}

static void append_member(GString *line, const json_t *event, const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, ".", -1);
	const json_t *value = event;

	for (size_t i = 0; parts[i]; i++)
		value = json_object_get(value, parts[i]);
	if (json_is_string(value))
		g_string_append(line, json_string_value(value));
	else if (json_is_integer(value))
		g_string_append_printf(line, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		g_string_append(line, value ? "?" : "-");
}

static void append_shape(GString *line, const json_t *event, const char *shape)
{
	while (*shape) {
		size_t plain = strcspn(shape, "{");

		g_string_append_len(line, shape, (gssize)plain);
		shape += plain;
		if (*shape) {
			size_t len = strcspn(shape, "}");
			g_autofree char *path = g_strndup(shape + 1, len - 1);

			append_member(line, event, path);
			shape += len + 1;
		}
	}
}

static void print_line(const struct listener *listener, const json_t *event, const char *name, const char *shape)
{
	const char *domain = json_string_value(json_object_get(event, "name"));
	g_autofree char *safe = NULL;
	GString *line = g_string_new(NULL);

	g_string_printf(line, "event '%s' for domain '%s'", name, domain ? domain : "-");
	append_shape(line, event, shape);
	/* A guest has a say in some of the words. */
	safe = text_lines(line->str);
	g_string_free(line, TRUE);
	if (listener->timestamp)
		event_print_time(listener->session->out, json_integer_value(json_object_get(event, "time_us")));
	fprintf(listener->session->out, "%s\n", safe);
}

static void print_json(const struct listener *listener, const json_t *event)
{
	char *text = json_dumps(event, JSON_COMPACT | JSON_ENSURE_ASCII);

	fprintf(listener->session->out, "%s\n", text ? text : "{}");
	free(text);
}

static bool show(void *opaque, json_t *event)
{
	const struct listener *listener = opaque;
	const char *name = json_string_value(json_object_get(event, "event"));
	const char *shape = find_shape(name);
	json_int_t lost = json_integer_value(json_object_get(event, "lost"));

	if (lost > 0)
		fprintf(listener->session->err_out, "warning: %d events were lost\n", (int)MIN(lost, G_MAXINT));
	if (!shape || (listener->only && strcmp(listener->only, name)))
		return false;
	if (listener->session->format == REPORT_JSON)
		print_json(listener, event);
	else
		print_line(listener, event, name, shape);
	return true;
}

static bool list_names(struct session *session)
{
	const char *names[G_N_ELEMENTS(rows) + 1] = { NULL };

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		names[i] = rows[i].name;
	show_texts(session, "events", "event", names);
	return true;
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	struct listener listener = { .session = session, .timestamp = args_flag(args, "timestamp") };
	struct event_wait wait = { .session = session, .show = show, .opaque = &listener };

	if (args_flag(args, "list"))
		return list_names(session);
	listener.only = args_string(args, "event");
	/* Where virsh wants to be told, everything is what is meant. */
	if (session->as_virsh && !listener.only && !args_flag(args, "all"))
		return fail(err, LODGE_ERROR_USAGE, "one of --list, --all, or --event <type> is required");
	if (listener.only && !find_shape(listener.only))
		return fail(err, LODGE_ERROR_USAGE, "unknown event type %s; --list shows them", listener.only);
	return event_wait_args(&wait, args, err) && event_wait(&wait, err);
}

static const struct arg_row args[] = {
	{ .name = "event",
	  .type = ARG_DATA,
	  .help = "the event to wait for; all when it is missing",
	  .complete = COMPLETE_EVENT },
	{ .name = "domain",
	  .type = ARG_STRING,
	  .help = "only this domain's: name, id or uuid",
	  .complete = COMPLETE_DOMAIN },
	{ .name = "all", .type = ARG_FLAG, .help = "every event" },
	{ .name = "loop", .type = ARG_FLAG, .help = "go on until the time is over or you interrupt" },
	{ .name = "timeout", .type = ARG_UINT, .help = "seconds to wait" },
	{ .name = "list", .type = ARG_FLAG, .help = "list the events there are" },
	{ .name = "timestamp", .type = ARG_FLAG, .help = "begin each line with the time" },
	ARG_END,
};

const struct command cmd_event = {
	.name = "event",
	.group = GROUP_MONITOR,
	.help = "wait for domain events and print them",
	.about = "Waits for one event, or with --loop for all that come. As -f json each is one object on a "
		 "line of its own, with the domain's name and UUID, the time in microseconds since 1970 "
		 "(time_us) and what belongs to the event.",
	.args = args,
	.exclusive = "event|all, list|all, list|event",
	.run = run,
};
