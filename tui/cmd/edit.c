/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "tui/cmd/editor.h"
#include "tui/cmd/life.h"

/*
 * The definition goes into a file of its own that only the user can read, the user's editor changes it, and it is defined when it is right. What was
 * typed is never lost: a refused text is offered again, and left in its file, which is named, when the user gives up.
 */
struct edit {
	struct session *session;
	char *path;	/* of the file being edited */
	char *original; /* its text before */
	unsigned flags; /* for domain_parse() */
	bool keep;	/* the file stays */
};

static void edit_clear(struct edit *edit)
{
	if (edit->path && !edit->keep)
		unlink(edit->path);
	g_free(edit->path);
	g_free(edit->original);
}

enum answer { ANSWER_AGAIN, ANSWER_FORCE, ANSWER_GIVE_UP };

static enum answer ask(struct session *session)
{
	char line[64];

	for (;;) {
		fputs("Failed. Try again? [y,n,f,?]: ", session->out);
		fflush(session->out);
		if (!fgets(line, sizeof(line), stdin))
			return ANSWER_GIVE_UP;
		switch (g_ascii_tolower(line[0])) {
		case 'y':
			return ANSWER_AGAIN;
		case 'n':
			return ANSWER_GIVE_UP;
		case 'f':
			return ANSWER_FORCE;
		default:
			fputs("y - yes, start the editor again\nn - no, leave the definition as it was\n"
			      "f - force, accept elements that are not in the schema\n",
			      session->out);
			break;
		}
	}
}

/* Defines what is in the file. changed is false when the user left it as it was. */
static bool take(struct edit *edit, const struct domain *before, bool *changed, GError **err)
{
	g_autofree char *text = life_read_file(edit->path, err);
	autoptr(domain) domain = NULL;

	if (!text)
		return false;
	*changed = strcmp(text, edit->original) != 0;
	if (!*changed)
		return true;
	domain = domain_parse(text, strlen(text), edit->path, edit->flags, err);
	if (!domain)
		return false;
	if (strcmp(domain->uuid, before->uuid) || strcmp(domain->name, before->name))
		return fail(err, LODGE_ERROR_STATE, "name and UUID cannot be changed here; see domrename");
	return domains_define(edit->session->home, domain, err);
}

static bool edit_loop(struct edit *edit, const struct domain *before, bool *changed, GError **err)
{
	for (;;) {
		g_autoptr(GError) refused = NULL;
		enum answer answer;

		if (!editor_run(edit->path, err))
			return false;
		if (take(edit, before, changed, &refused))
			return true;
		fprintf(edit->session->err_out, "error: %s\n", refused->message);
		answer = ask(edit->session);
		if (answer == ANSWER_FORCE)
			edit->flags &= ~(unsigned)DOMAIN_VALIDATE;
		if (answer == ANSWER_GIVE_UP) {
			edit->keep = true;
			return fail(err, LODGE_ERROR_STATE, "nothing was changed; your text is in %s", edit->path);
		}
	}
}

static bool edit(struct session *session, const struct args *args, GError **err)
{
	__attribute__((cleanup(edit_clear))) struct edit edit = {
		.session = session,
		.flags = args_flag(args, "skip-validate") ? 0 : DOMAIN_VALIDATE,
	};
	autoptr(dom) dom = life_find(session, args, err);
	autoptr(domain) before = NULL;
	bool changed = false;

	if (!dom || !home_writable(session->home, "edit a domain", err))
		return false;
	if (!dom->persistent)
		return fail(err, LODGE_ERROR_STATE, "cannot edit a transient domain: it has no definition");
	before = dom_definition(session->home, dom, false, err);
	if (!before)
		return false;
	edit.original = domain_format(before, DOMAIN_SECRET | DOMAIN_INACTIVE);
	edit.path = editor_file(edit.original, ".xml", err);
	if (!edit.path || !edit_loop(&edit, before, &changed, err))
		return false;
	session_say(session, "Domain '%s' XML configuration %s.\n", dom->name, changed ? "edited" : "not changed");
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "skip-validate",
	  .type = ARG_FLAG,
	  .help = "accept elements and attributes that are not in the schema" },
	ARG_END,
};

const struct command cmd_edit = {
	.name = "edit",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "edit a domain's definition",
	.about =
		"Opens it in $VISUAL, $EDITOR or vi. A refused text is offered again and never lost. A running VM goes on unchanged until its next start.",
	.args = args,
	.run = edit,
};
