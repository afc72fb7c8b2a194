/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/command.h"

#include <errno.h>
#include <string.h>

#include "core/base/error.h"
#include "tui/args.h"
#include "tui/help.h"
#include "tui/later.h"
#include "tui/session.h"
#include "tui/text.h"

static const struct {
	const char *title, *keyword;
} groups[N_GROUPS] = {
	[GROUP_DOMAIN] = { "Domain Management (help keyword 'domain')", "domain" },
	[GROUP_MONITOR] = { "Domain Monitoring (help keyword 'monitor')", "monitor" },
	[GROUP_EVENTS] = { "Domain Events (help keyword 'events')", "events" },
	[GROUP_HOST] = { "Host and Hypervisor (help keyword 'host')", "host" },
	[GROUP_CHECKPOINT] = { "Checkpoint (help keyword 'checkpoint')", "checkpoint" },
	[GROUP_INTERFACE] = { "Interface (help keyword 'interface')", "interface" },
	[GROUP_FILTER] = { "Network Filter (help keyword 'filter')", "filter" },
	[GROUP_NETWORK] = { "Networking (help keyword 'network')", "network" },
	[GROUP_NODEDEV] = { "Node Device (help keyword 'nodedev')", "nodedev" },
	[GROUP_SECRET] = { "Secret (help keyword 'secret')", "secret" },
	[GROUP_SNAPSHOT] = { "Snapshot (help keyword 'snapshot')", "snapshot" },
	[GROUP_BACKUP] = { "Backup (help keyword 'backup')", "backup" },
	[GROUP_POOL] = { "Storage Pool (help keyword 'pool')", "pool" },
	[GROUP_VOLUME] = { "Storage Volume (help keyword 'volume')", "volume" },
	[GROUP_LODGE] = { "Only in Lodge (help keyword 'lodge')", "lodge" },
	[GROUP_SHELL] = { "Virsh itself (help keyword 'virsh')", "virsh" },
};

const char *command_group_name(enum command_group group)
{
	return groups[group].title;
}

const char *command_group_keyword(enum command_group group)
{
	return groups[group].keyword;
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

static int show_help(struct session *session, const struct command *command)
{
	g_autoptr(GString) text = g_string_new(NULL);

	help_append_command(text, command);
	fputs(text->str, session->out);
	return EXIT_DONE;
}

/* What no command has to look at itself. */
static bool may_run(struct session *session, const struct command *command, GError **err)
{
	if ((command->flags & COMMAND_SHELL_ONLY) && !session->interactive)
		return fail(err, LODGE_ERROR_STATE, "%s: command valid only in interactive mode", command->name);
	if (!(command->flags & COMMAND_NO_CONNECT) && !session_home(session, err))
		return false;
	if ((command->flags & COMMAND_CHANGES) && session->readonly)
		return fail(err, LODGE_ERROR_DENIED, "operation forbidden: read only access prevents %s",
			    command->name);
	return true;
}

/* The exit status, or -1 with an error. */
static int run_parsed(struct session *session, const struct command *command, struct args *args, GError **err)
{
	if (args_help(args))
		return show_help(session, command);
	if (!args_check(args, err) || !may_run(session, command, err))
		return -1;
	return command->run(session, args, err) ? EXIT_DONE : -1;
}

static int run_raw(struct session *session, const struct command *command, int argc, char **argv, GError **err)
{
	if (!may_run(session, command, err))
		return -1;
	fflush(session->out);
	return command->run_raw(session, argc, argv);
}

/* A blank line behind what a command said, as virsh; timing takes its place, and the last word is quit's. */
static void finish(struct session *session, int64_t start)
{
	if (session->timing)
		fprintf(session->out, "\n(Time: %.3f ms)\n\n", (double)(g_get_monotonic_time() - start) / 1000);
	else if ((session->as_virsh || session->interactive) && !session->quiet && !session->quit)
		fputc('\n', session->out);
}

/* What was asked for must have got there: a full disk is a failure, a reader that went away is not our business. */
static int flush(struct session *session, int status)
{
	if ((!fflush(session->out) && !ferror(session->out)) || errno == EPIPE || status != EXIT_DONE)
		return status;
	fprintf(session->err_out, "error: standard output: %s\n", g_strerror(errno));
	clearerr(session->out);
	return EXIT_FAILED;
}

static const struct command *find_or_fail(const char *name, GError **err)
{
	const struct command *command = command_find(name);
	const char *reason = command ? NULL : later_reason(name);

	if (reason)
		fail(err, LODGE_ERROR_UNSUPPORTED, "command '%s' is not in this version of Lodge: %s", name, reason);
	else if (!command)
		fail(err, LODGE_ERROR_USAGE, "unknown command: '%s'", name);
	return command;
}

bool command_check(struct session *session, int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	const struct command *command = find_or_fail(argv[0], &error);

	if (command && command->run) {
		autoptr(args) args = args_split(command, argc - 1, argv + 1, &error);

		(void)args;
	}
	if (error)
		session_fail(session, error);
	return !error;
}

static void log_words(struct session *session, int argc, char **argv)
{
	g_autoptr(GString) line = g_string_new(NULL);

	for (int i = 0; session->log && session->debug < 4 && i < argc; i++) {
		g_autofree char *word = text_shell_quote(argv[i]);

		g_string_append_printf(line, "%s%s", i ? " " : "", word);
	}
	if (line->len)
		session_log(session, "COMMAND", line->str);
}

int command_run(struct session *session, int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	const struct command *command = find_or_fail(argv[0], &error);
	autoptr(args) args = command && command->run ? args_split(command, argc - 1, argv + 1, &error) : NULL;
	int64_t start = g_get_monotonic_time();
	int status;

	log_words(session, argc, argv);
	if (error)
		return session_fail(session, error);
	if (command->run)
		status = run_parsed(session, command, args, &error);
	else
		status = run_raw(session, command, argc - 1, argv + 1, &error);
	if (error)
		status = session_fail(session, error);
	session_notices(session);
	finish(session, start);
	return flush(session, status < 0 ? EXIT_FAILED : status);
}
