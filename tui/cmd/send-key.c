/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/monitor.h"
#include "tui/cmd/life.h"

/* Names and numbers go to the VM as they are: it knows the code sets. */
static json_t *arguments_of(const struct args *args)
{
	json_t *keys = json_array(), *arguments = json_pack("{s:o}", "keys", keys);
	const char *const *words = args_rest(args);
	const char *codeset = args_string(args, "codeset");
	uint64_t hold;

	for (; *words; words++)
		json_array_append_new(keys, json_string(*words));
	json_object_set_new(arguments, "x-lodge-codeset", json_string(codeset ? codeset : "linux"));
	if (args_uint(args, "holdtime", &hold))
		json_object_set_new(arguments, "hold-time", json_integer((json_int_t)MIN(hold, G_MAXINT32)));
	return arguments;
}

static bool send_key(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	auto_json json_t *answer = NULL;

	if (!dom || !home_writable(session->home, "send keys to a domain", err) ||
	    !domain_allows((enum domain_state)dom->state.state, DOMAIN_DO_INJECT, err))
		return false;
	answer = monitor_once(session->home, dom->name, "send-key", arguments_of(args), err);
	return answer != NULL;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "codeset",
	  .type = ARG_STRING,
	  .help = "what the keys are written in; linux when nothing is said",
	  .values = "linux|xt|atset1|atset2|atset3|os_x|xt_kbd|win32|usb|rfb|qnum" },
	{ .name = "holdtime",
	  .type = ARG_UINT,
	  .help = "how long the keys stay down, in milliseconds; 100 when nothing is said" },
	{ .name = "keycode",
	  .type = ARG_REST,
	  .flags = ARG_REQUIRED,
	  .help = "keys, pressed together: names (KEY_LEFTCTRL) or numbers" },
	ARG_END,
};

const struct command cmd_send_key = {
	.name = "send-key",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "press keys of a running domain's keyboard",
	.about =
		"The keys go down in the order given and up again together, as a hand would press Ctrl+Alt+Delete. "
		"Names are those of "
		"Linux (KEY_A, KEY_LEFTALT) for codeset linux and those of Windows (VK_A) for win32; other code sets have "
		"numbers only.",
	.args = args,
	.run = send_key,
};
