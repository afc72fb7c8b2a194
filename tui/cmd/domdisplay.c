/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/model/xml.h"
#include "tui/cmd/life.h"

static bool run(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	autoptr(domain) domain = NULL;
	g_autofree char *type = NULL;

	if (!dom)
		return false;
	if (dom->id < 0)
		return fail(err, LODGE_ERROR_STATE, "Domain is not running");
	domain = dom_definition(session->home, dom, true, err);
	if (!domain)
		return false;
	type = xml_get(domain->root, "devices/graphics/@type");
	if (type)
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "No graphical display found: Lodge serves no %s yet, domain '%s' has consoles only", type,
			    dom->name);
	return fail(err, LODGE_ERROR_STATE, "No graphical display found");
}

static const struct arg_row domdisplay_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	{ .name = "include-password", .type = ARG_FLAG, .help = "with the password in the URI" },
	{ .name = "type",
	  .type = ARG_STRING,
	  .help = "the display of this kind",
	  .complete = COMPLETE_WORDS,
	  .values = "vnc|spice|rdp|dbus" },
	{ .name = "all", .type = ARG_FLAG, .help = "every display, not only the first" },
	ARG_END,
};

const struct command cmd_domdisplay = {
	.name = "domdisplay",
	.group = GROUP_DOMAIN,
	.help = "show where the graphical display of a running domain is",
	.about = "Lodge's VMs have no graphical display yet, so it says that there is none.",
	.args = domdisplay_args,
	.run = run,
};
