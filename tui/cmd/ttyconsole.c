/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "core/model/xml.h"
#include "tui/cmd/life.h"
#include "tui/cmd/show.h"

/* The pseudo-terminal of the first console, or of the first serial port. */
static char *tty_path(xmlNode *root)
{
	static const char *const places[] = { "devices/console", "devices/serial" };

	for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
		xmlNode *port = xml_first(root, places[i]);
		char *path = port && xml_is(port, "@type", "pty") ? xml_get(port, "source/@path") : NULL;

		if (path)
			return path;
	}
	return NULL;
}

static bool ttyconsole(struct session *session, const struct args *args, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	autoptr(domain) domain = NULL;
	g_autofree char *path = NULL;

	if (!dom)
		return false;
	if (dom->id < 0)
		return fail(err, LODGE_ERROR_STATE, "The domain is not running");
	domain = dom_definition(session->home, dom, true, err);
	if (!domain)
		return false;
	path = tty_path(domain->root);
	if (!path)
		return fail(err, LODGE_ERROR_STATE, "domain '%s' has no console of type pty", dom->name);
	show_text(session, "path", path);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN_ACTIVE),
	ARG_END,
};

const struct command cmd_ttyconsole = {
	.name = "ttyconsole",
	.group = GROUP_DOMAIN,
	.help = "the pseudo-terminal a domain's console is on",
	.about = "Any terminal program can open it, beside those who use the console command.",
	.args = args,
	.run = ttyconsole,
};
