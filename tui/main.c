/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd.h"

const struct command *const commands[] = { &cmd_run, &cmd_host, &cmd_help, NULL };

static int no_such_command(const char *name)
{
	g_autoptr(GError) error = NULL;

	if (!name)
		fail(&error, LODGE_ERROR_USAGE, "no command given, see lodge --help");
	else
		fail(&error, LODGE_ERROR_USAGE, "unknown %s %s, see lodge --help",
		     name[0] == '-' ? "option" : "command", name);
	return command_fail(error);
}

static int dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct command *command = name ? command_find(name) : NULL;

	if (command)
		return command->run(command, argc - 2, argv + 2);
	if (name && !strcmp(name, "--version")) {
		puts("lodge " PACKAGE_VERSION);
		return EXIT_DONE;
	}
	if (name && (!strcmp(name, "--help") || !strcmp(name, "-h")))
		return cmd_help.run(&cmd_help, 0, argv + 2);
	return no_such_command(name);
}

/*
 * What was asked for on standard output must have got there: a full disk is a failure, a reader that went away is not
 * our business.
 */
static int flush_output(int status)
{
	if (status != EXIT_DONE || (!fflush(stdout) && !ferror(stdout)) || errno == EPIPE)
		return status;
	fprintf(stderr, "error: standard output: %s\n", g_strerror(errno));
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	/* A console's reader that goes away is an error of write(), not the end of the guest. */
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "");
	return flush_output(dispatch(argc, argv));
}
