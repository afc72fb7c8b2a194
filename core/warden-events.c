/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/warden-events.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/wire.h"
#include "core/events.h"

/* copy: members of the event's data that go along under another name; at most three. */
struct row {
	const char *qmp, *event;
	const char *type, *detail; /* of life-cycle events */
	struct {
		const char *from, *to;
	} copy[3];
};

static const struct row rows[] = {
	{ "STOP", "lifecycle", "Suspended", "Paused", { { NULL, NULL } } },
	{ "RESUME", "lifecycle", "Resumed", "Unpaused", { { NULL, NULL } } },
	{ "SHUTDOWN", "lifecycle", "Shutdown", "Finished", { { NULL, NULL } } },
	{ "GUEST_PANICKED", "lifecycle", "Crashed", "Panicked", { { NULL, NULL } } },
	{ "RESET", "reboot", NULL, NULL, { { NULL, NULL } } },
	{ "RTC_CHANGE", "rtc-change", NULL, NULL, { { "offset", "utcoffset" } } },
	{ "WATCHDOG", "watchdog", NULL, NULL, { { "action", "action" } } },
	{ "BLOCK_IO_ERROR",
	  "io-error",
	  NULL,
	  NULL,
	  { { "device", "device" }, { "action", "action" }, { "reason", "reason" } } },
	{ "BALLOON_CHANGE", "balloon-change", NULL, NULL, { { NULL, NULL } } },
	{ "DEVICE_TRAY_MOVED", "tray-change", NULL, NULL, { { "device", "device" } } },
	{ "DEVICE_DELETED", "device-removed", NULL, NULL, { { "device", "device" } } },
	{ "VSERPORT_CHANGE", "agent-lifecycle", NULL, NULL, { { "id", "channel" } } },
	{ "BLOCK_JOB_COMPLETED",
	  "block-job",
	  NULL,
	  NULL,
	  { { "device", "device" }, { "type", "type" }, { "error", "error" } } },
	{ "BLOCK_JOB_CANCELLED", "block-job", NULL, NULL, { { "device", "device" }, { "type", "type" } } },
	{ "BLOCK_JOB_READY", "block-job", NULL, NULL, { { "device", "device" }, { "type", "type" } } },
	{ "BLOCK_WRITE_THRESHOLD",
	  "block-threshold",
	  NULL,
	  NULL,
	  { { "node-name", "device" }, { "write-threshold", "threshold" }, { "amount-exceeded", "excess" } } },
	{ "SUSPEND", "lifecycle", "PMSuspended", "Memory", { { NULL, NULL } } },
	{ "SUSPEND_DISK", "lifecycle", "PMSuspended", "Disk", { { NULL, NULL } } },
	{ "WAKEUP", "lifecycle", "Started", "Wakeup", { { NULL, NULL } } },
	{ "MIGRATION", "migration-iteration", NULL, NULL, { { "pass", "iteration" } } },
	{ "NIC_RX_FILTER_CHANGED", "nic-mac-change", NULL, NULL, { { "name", "device" } } },
	{ "MEMORY_FAILURE", "memory-failure", NULL, NULL, { { "recipient", "recipient" }, { "action", "action" } } },
	{ "MEMORY_DEVICE_SIZE_CHANGE",
	  "memory-device-size-change",
	  NULL,
	  NULL,
	  { { "id", "device" }, { "size", "size" } } },
	{ "VNC_CONNECTED", "graphics", NULL, NULL, { { "client", "client" }, { "server", "server" } } },
	{ "VNC_INITIALIZED", "graphics", NULL, NULL, { { "client", "client" }, { "server", "server" } } },
	{ "VNC_DISCONNECTED", "graphics", NULL, NULL, { { "client", "client" }, { "server", "server" } } },
};

static const struct row *find_row(const char *qmp)
{
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (!strcmp(rows[i].qmp, qmp))
			return &rows[i];
	}
	return NULL;
}

static json_t *event_new(const char *event, const char *name, const char *uuid)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "event", event, "kind", "domain", "name", name, "uuid", uuid);
}

/* Words that are virsh's, not the VM's. */
static const struct {
	const char *qmp, *member, *word;
} words[] = {
	{ "VNC_CONNECTED", "phase", "connect" },	  { "VNC_INITIALIZED", "phase", "initialize" },
	{ "VNC_DISCONNECTED", "phase", "disconnect" },	  { "BLOCK_JOB_COMPLETED", "phase", "completed" },
	{ "BLOCK_JOB_CANCELLED", "phase", "canceled" },	  { "BLOCK_JOB_READY", "phase", "ready" },
	{ "VSERPORT_CHANGE", "reason", "channel event" },
};

static void add_words(json_t *event, const char *qmp, const json_t *data)
{
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		if (!strcmp(words[i].qmp, qmp))
			json_object_set_new(event, words[i].member, json_string(words[i].word));
	}
	if (!strcmp(qmp, "SHUTDOWN") && json_is_boolean(json_object_get(data, "guest"))) {
		bool guest = json_is_true(json_object_get(data, "guest"));

		json_object_set_new(event, "detail",
				    json_string(guest ? "Finished after guest request" :
							"Finished after host request"));
	} else if (!strcmp(qmp, "DEVICE_TRAY_MOVED")) {
		bool open = json_is_true(json_object_get(data, "tray-open"));

		json_object_set_new(event, "reason", json_string(open ? "opened" : "closed"));
	} else if (!strcmp(qmp, "VSERPORT_CHANGE")) {
		bool open = json_is_true(json_object_get(data, "open"));

		json_object_set_new(event, "state", json_string(open ? "connected" : "disconnected"));
	} else if (!strcmp(qmp, "BALLOON_CHANGE")) {
		/* Bytes there, KiB here. */
		json_object_set_new(event, "actual",
				    json_integer(json_integer_value(json_object_get(data, "actual")) / 1024));
	}
}

/* A VM that was told to quit has not been shut down: "Stopped Destroyed" is all there is to say. */
static bool is_quit(const char *qmp, const json_t *data)
{
	const char *reason = json_string_value(json_object_get(data, "reason"));

	return !strcmp(qmp, "SHUTDOWN") && reason && !strcmp(reason, "host-qmp-quit");
}

static void translate(const struct home *home, const char *name, const char *uuid, const char *qmp, const json_t *data)
{
	const struct row *row = is_quit(qmp, data) ? NULL : find_row(qmp);
	auto_json json_t *event = row ? event_new(row->event, name, uuid) : NULL;

	if (!event)
		return;
	if (row->type)
		json_object_set_new(event, "type", json_string(row->type));
	if (row->detail)
		json_object_set_new(event, "detail", json_string(row->detail));
	for (size_t i = 0; i < G_N_ELEMENTS(row->copy) && row->copy[i].from; i++) {
		json_t *value = json_object_get(data, row->copy[i].from);

		if (value)
			json_object_set(event, row->copy[i].to, value);
	}
	add_words(event, qmp, data);
	events_emit(home, event);
}

void warden_pass_event(const struct home *home, const char *name, const char *uuid, const json_t *qmp)
{
	const char *event = json_string_value(json_object_get(qmp, "event"));
	auto_json json_t *raw = NULL;

	if (!event)
		return;
	translate(home, name, uuid, event, json_object_get(qmp, "data"));
	raw = event_new("monitor", name, uuid);
	if (raw)
		json_object_set(raw, "qmp", (json_t *)(uintptr_t)qmp);
	if (raw)
		events_emit(home, raw);
}
