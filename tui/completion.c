/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/completion.h"

#include <string.h>

#include "core/domains.h"
#include "core/model/xml.h"
#include "tui/args.h"
#include "tui/help.h"

/* virsh's names of events (core/events.h). */
static const char event_names[] =
	"lifecycle|reboot|rtc-change|watchdog|io-error|graphics|io-error-reason|control-error|block-job|disk-change|"
	"tray-change|"
	"pm-wakeup|pm-suspend|balloon-change|pm-suspend-disk|device-removed|block-job-2|tunable|agent-lifecycle|"
	"device-added|"
	"migration-iteration|job-completed|device-removal-failed|metadata-change|block-threshold|memory-failure|"
	"memory-device-size-change";

struct completion {
	struct session *session;
	const struct command *command;
	const GPtrArray *words;
	const char *prefix;
	GPtrArray *out;
};

static void offer(struct completion *c, const char *candidate)
{
	if (g_str_has_prefix(candidate, c->prefix))
		g_ptr_array_add(c->out, g_strdup(candidate));
}

static void offer_words(struct completion *c, const char *words)
{
	g_auto(GStrv) list = g_strsplit(words, "|", -1);

	for (char **word = list; *word; word++)
		offer(c, *word);
}

static void offer_commands(struct completion *c)
{
	for (size_t i = 0; commands[i]; i++) {
		if (help_shows(commands[i], c->session->as_virsh))
			offer(c, commands[i]->name);
	}
}

static void offer_groups(struct completion *c)
{
	for (unsigned group = 0; group < N_GROUPS; group++)
		offer(c, command_group_keyword(group));
}

/* --- domains and what they have --- */

static void offer_domains(struct completion *c, unsigned which)
{
	struct home *home = session_home(c->session, NULL);
	g_autoptr(GPtrArray) list = home ? domains_list(home, which, NULL) : NULL;

	for (unsigned i = 0; list && i < list->len; i++)
		offer(c, ((const struct dom *)list->pdata[i])->name);
}

static struct args *args_before(struct completion *c)
{
	return args_parse_some(c->command, (int)c->words->len - 2, (char **)c->words->pdata + 1);
}

/* The definition of the domain that the line names, before the word that is completed. */
static struct domain *named_domain(struct completion *c)
{
	struct home *home = session_home(c->session, NULL);
	autoptr(args) args = args_before(c);
	const char *name = args_string(args, "domain");
	autoptr(dom) dom = home && name ? domains_find(home, name, NULL) : NULL;

	return dom ? dom_definition(home, dom, dom->id >= 0, NULL) : NULL;
}

static void offer_targets(struct completion *c, const char *element, const char *path)
{
	autoptr(domain) domain = named_domain(c);

	for (xmlNode *n = domain ? xml_first(domain->root, element) : NULL; n; n = xml_next(n)) {
		g_autofree char *name = xml_get(n, path);

		if (name)
			offer(c, name);
	}
}

/* --- files --- */

static void offer_files(struct completion *c)
{
	const char *slash = strrchr(c->prefix, '/');
	g_autofree char *folder = slash ? g_strndup(c->prefix, (gsize)(slash - c->prefix) + 1) : g_strdup("");
	g_autoptr(GDir) dir = g_dir_open(folder[0] ? folder : ".", 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_strconcat(folder, name, NULL);
		g_autofree char *with_slash = g_strconcat(path, "/", NULL);

		if (name[0] != '.' || (slash ? slash[1] : c->prefix[0]) == '.')
			offer(c, g_file_test(path, G_FILE_TEST_IS_DIR) ? with_slash : path);
	}
}

/* --- one command's words --- */

static void offer_value(struct completion *c, const struct arg_row *row)
{
	switch (row->complete) {
	case COMPLETE_DOMAIN:
		offer_domains(c, DOMAINS_ACTIVE | DOMAINS_INACTIVE);
		break;
	case COMPLETE_DOMAIN_ACTIVE:
		offer_domains(c, DOMAINS_ACTIVE);
		break;
	case COMPLETE_DOMAIN_INACTIVE:
		offer_domains(c, DOMAINS_INACTIVE);
		break;
	case COMPLETE_FILE:
		offer_files(c);
		break;
	case COMPLETE_EVENT:
		offer_words(c, event_names);
		break;
	case COMPLETE_DISK:
		offer_targets(c, "devices/disk", "target/@dev");
		break;
	case COMPLETE_INTERFACE:
		offer_targets(c, "devices/interface", "mac/@address");
		break;
	case COMPLETE_WORDS:
		offer_words(c, row->values ? row->values : "");
		break;
	case COMPLETE_COMMAND:
		offer_commands(c);
		offer_groups(c);
		break;
	case COMPLETE_NONE:
		break;
	}
}

/* Raw commands' options are only known as words. */
static bool stands_already(const struct completion *c, const char *option)
{
	for (unsigned i = 1; i + 1 < c->words->len; i++) {
		const char *word = c->words->pdata[i];
		size_t len = strlen(option);

		if (!strncmp(word, option, len) && (!word[len] || word[len] == '='))
			return true;
	}
	return false;
}

static void offer_option(struct completion *c, const char *name)
{
	g_autofree char *option = g_strconcat("--", name, NULL);

	if (!stands_already(c, option))
		offer(c, option);
}

static void offer_options(struct completion *c)
{
	autoptr(args) args = args_before(c);

	for (const struct arg_row *row = c->command->args; row && row->name; row++) {
		if (!(row->flags & ARG_HIDDEN) && !args_flag(args, row->name))
			offer_option(c, row->name);
	}
	for (size_t i = 0; i < c->command->n_raw_options; i++)
		offer_option(c, c->command->raw_options[i].name);
	offer_option(c, "help");
}

/* "--option=val": the value alone is looked for, the whole word is offered. */
static void offer_joined_value(struct completion *c, const char *equals)
{
	g_autofree char *name = g_strndup(c->prefix + 2, (gsize)(equals - c->prefix - 2));
	const struct arg_row *row = args_row(c->command, name);
	struct completion inner = *c;

	if (!row || !arg_takes_value(row))
		return;
	inner.prefix = equals + 1;
	inner.out = g_ptr_array_new_with_free_func(g_free);
	offer_value(&inner, row);
	for (unsigned i = 0; i < inner.out->len; i++)
		g_ptr_array_add(c->out, g_strdup_printf("--%s=%s", name, (char *)inner.out->pdata[i]));
	g_ptr_array_unref(inner.out);
}

static void complete_argument(struct completion *c)
{
	const char *equals = strchr(c->prefix, '=');
	const struct arg_row *row;
	bool only = false;

	row = args_next_row(c->command, (int)c->words->len - 2, (char **)c->words->pdata + 1, &only);
	if (!only && g_str_has_prefix(c->prefix, "--") && equals) {
		offer_joined_value(c, equals);
		return;
	}
	if (!only && c->prefix[0] == '-')
		offer_options(c);
	else if (row)
		offer_value(c, row);
	/* Nothing else could stand here: the options can. */
	if (!only && !c->prefix[0] && !c->out->len)
		offer_options(c);
	if (c->command->run_raw && !c->out->len)
		offer_files(c);
}

static int compare(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *completion_candidates(struct session *session, const GPtrArray *words)
{
	struct completion c = { .session = session, .words = words, .out = g_ptr_array_new_with_free_func(g_free) };

	if (!words->len)
		return c.out;
	c.prefix = words->pdata[words->len - 1];
	c.command = words->len > 1 ? command_find(words->pdata[0]) : NULL;
	if (words->len == 1)
		offer_commands(&c);
	else if (c.command)
		complete_argument(&c);
	g_ptr_array_sort(c.out, compare);
	return c.out;
}
