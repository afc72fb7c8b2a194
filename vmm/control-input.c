/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control-private.h"

#include <string.h>

#include "core/base/error.h"
#include "vmm/dev/devices.h"
#include "vmm/dev/keymap.h"

/*
 * send-key: the keys go down in their order, are held for a while, and go up in the opposite order. While they are held
 * the next send-key waits for nothing: it lets them go first.
 */
#define MAX_KEYS 16u
#define DEFAULT_HOLD_MS 100u
#define MAX_HOLD_MS 100000u

struct held_keys {
	GSource *timer;
	unsigned n;
	unsigned qnum[MAX_KEYS];
};

static void press(struct control *control, unsigned qnum, bool down)
{
	struct device *keyboard = machine_keyboard(control_host(control)->machine);

	if (keyboard)
		i8042_key(keyboard, qnum, down);
}

void control_release_keys(struct control *control)
{
	struct held_keys *held = g_steal_pointer(control_held_keys(control));

	if (!held)
		return;
	while (held->n)
		press(control, held->qnum[--held->n], false);
	g_source_destroy(held->timer);
	g_source_unref(held->timer);
	g_free(held);
}

static gboolean release(gpointer data)
{
	control_release_keys(data);
	return G_SOURCE_REMOVE;
}

/* {"type": "qcode", "data": "ctrl"}, {"type": "number", "data": 29}, or a name or number of the codeset as a string. */
static bool parse_key(const json_t *item, const char *codeset, unsigned *qnum, GError **err)
{
	const json_t *data = json_object_get(item, "data");
	const char *type = json_string_value(json_object_get(item, "type"));

	if (type && strcmp(type, "qcode") == 0 && json_is_string(data))
		return keymap_find("qcode", json_string_value(data), qnum, err);
	if (type && strcmp(type, "number") == 0 && json_is_integer(data) && json_integer_value(data) > 0 &&
	    json_integer_value(data) <= 0xff) {
		*qnum = (unsigned)json_integer_value(data);
		return true;
	}
	if (json_is_string(item))
		return keymap_find(codeset ? codeset : "linux", json_string_value(item), qnum, err);
	return fail(err, LODGE_ERROR_INPUT,
		    "a key is {\"type\": \"qcode\", \"data\": NAME} or {\"type\": \"number\", \"data\": 1 to 255}");
}

static json_t *send_key(struct control_call *call, GError **err)
{
	const json_t *keys = json_object_get(call->args, "keys");
	uint64_t hold = control_int(call, "hold-time", DEFAULT_HOLD_MS);
	struct held_keys parsed = { 0 }, *held;

	if (!json_array_size(keys) || json_array_size(keys) > MAX_KEYS)
		return fail_null(err, LODGE_ERROR_INPUT, "%zu keys: 1 to %u can be sent at once", json_array_size(keys),
				 MAX_KEYS);
	if (hold > MAX_HOLD_MS)
		return fail_null(err, LODGE_ERROR_INPUT, "hold-time is more than %u ms", MAX_HOLD_MS);
	for (; parsed.n < json_array_size(keys); parsed.n++) {
		if (!parse_key(json_array_get(keys, parsed.n), control_string(call, "x-lodge-codeset"),
			       &parsed.qnum[parsed.n], err))
			return NULL;
	}
	control_release_keys(call->control);
	for (unsigned i = 0; i < parsed.n; i++)
		press(call->control, parsed.qnum[i], true);
	held = g_new(struct held_keys, 1);
	*held = parsed;
	held->timer = g_timeout_source_new((guint)hold);
	g_source_set_callback(held->timer, release, call->control, NULL);
	g_source_attach(held->timer, call->vm->context);
	*control_held_keys(call->control) = held;
	return json_object();
}

const struct control_method control_input_methods[] = {
	CONTROL_METHOD("send-key", "press keys of the guest's keyboard", send_key, { "keys", CONTROL_ARRAY, true },
		       { "hold-time", CONTROL_INT, false }, { "x-lodge-codeset", CONTROL_STRING, false }),
	CONTROL_END,
};
