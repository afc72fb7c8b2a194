/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/editor.h"
#include "tui/cmd/life.h"
#include "tui/cmd/scope.h"
#include "tui/cmd/show.h"

struct change {
	bool title;
	const char *text;
};

static const char *element(bool title)
{
	return title ? "title" : "description";
}

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	const struct change *change = opaque;

	if (change->title && strchr(change->text, '\n'))
		return fail(err, LODGE_ERROR_INPUT, "metadata title can't contain newlines");
	xml_set(domain->root, element(change->title), *change->text ? change->text : NULL);
	return true;
}

static bool set_text(struct session *session, const struct dom *dom, const struct scope *scope, bool title,
		     const char *text, GError **err)
{
	struct change change = { title, text };

	if (!scope_change(session, dom, scope, change_domain, NULL, &change, err)) {
		g_prefix_error(err, "Failed to set new domain %s\n", element(title));
		return false;
	}
	session_say(session, "Domain %s updated successfully\n", element(title));
	return true;
}

static char *get_text(struct session *session, const struct dom *dom, const struct scope *scope, bool title,
		      GError **err)
{
	autoptr(domain) domain = scope_definition(session, dom, scope, err);
	char *text = domain ? xml_get(domain->root, element(title)) : NULL;

	return domain && !text ? g_strdup("") : text;
}

static bool edit(struct session *session, const struct dom *dom, const struct scope *scope, bool title,
		 const char *words, GError **err)
{
	g_autofree char *before = get_text(session, dom, scope, title, err);
	g_autofree char *after = NULL;

	if (!before || !home_writable(session->home, "change a domain", err))
		return false;
	after = editor_text(*words ? words : before, err);
	if (!after)
		return false;
	g_strchomp(after);
	if (strcmp(after, before) != 0)
		return set_text(session, dom, scope, title, after, err);
	session_say(session, "Domain %s not changed\n", element(title));
	return true;
}

static bool show(struct session *session, const struct dom *dom, const struct scope *scope, bool title, GError **err)
{
	g_autofree char *text = get_text(session, dom, scope, title, err);

	if (!text)
		return false;
	if (*text || session->format != REPORT_TABLE)
		show_text(session, element(title), text);
	else
		fprintf(session->out, "No %s for domain: %s\n", element(title), dom->name);
	return true;
}

static bool desc(struct session *session, const struct args *args, GError **err)
{
	const char *const *words = args_rest(args);
	g_autofree char *text = g_strjoinv(" ", (char **)(uintptr_t)words);
	bool title = args_flag(args, "title");
	struct scope scope;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	if (args_flag(args, "edit"))
		return edit(session, dom, &scope, title, text, err);
	if (*words)
		return set_text(session, dom, &scope, title, text, err);
	return show(session, dom, &scope, title, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	SCOPE_ARGS,
	{ .name = "title", .type = ARG_FLAG, .help = "the title, which is one line, instead of the description" },
	{ .name = "edit", .type = ARG_FLAG, .help = "in $VISUAL, $EDITOR or vi" },
	{ .name = "new-desc",
	  .type = ARG_REST,
	  .flags = ARG_EMPTY_OK,
	  .help = "the new text; its words are joined by blanks" },
	ARG_END,
};

const struct command cmd_desc = {
	.name = "desc",
	.group = GROUP_DOMAIN,
	.help = "show or set a domain's description or title",
	.about = "Without a text it is shown. An empty text removes it.",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = desc,
};
