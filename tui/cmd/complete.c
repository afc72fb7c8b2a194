/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "tui/command.h"
#include "tui/completion.h"
#include "tui/globals.h"

/* The program's own options may stand before the command. */
static void skip_globals(int *argc, char ***argv)
{
	while (*argc > 1 && (*argv)[0][0] == '-') {
		const struct global_row *row = globals_find((*argv)[0]);
		int n = row && row->arg && !row->optional && *argc > 2 ? 2 : 1;

		*argc -= n;
		*argv += n;
	}
}

static void offer_globals(GPtrArray *found, const char *prefix)
{
	for (size_t i = 0; i < n_global_rows; i++) {
		g_autofree char *option = g_strconcat("--", global_rows[i].name, NULL);

		if (global_rows[i].name && g_str_has_prefix(option, prefix))
			g_ptr_array_add(found, g_steal_pointer(&option));
	}
}

/* What shells call: the words of a line behind the program's name, the last one unfinished. A candidate a line. */
static int run(struct session *session, int argc, char **argv)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new(), found = NULL;

	if (argc && !strcmp(argv[0], "--")) {
		argc--;
		argv++;
	}
	skip_globals(&argc, &argv);
	for (int i = 0; i < argc; i++)
		g_ptr_array_add(words, argv[i]);
	found = completion_candidates(session, words);
	if (argc == 1 && argv[0][0] == '-')
		offer_globals(found, argv[0]);
	for (unsigned i = 0; i < found->len; i++) {
		/* What would break the shell's line is not offered. */
		if (!strpbrk(found->pdata[i], "\n\r\033"))
			fprintf(session->out, "%s\n", (char *)found->pdata[i]);
	}
	return EXIT_DONE;
}

const struct command cmd_complete = {
	.name = "complete",
	.group = GROUP_SHELL,
	.flags = COMMAND_NO_CONNECT | COMMAND_LODGE | COMMAND_HIDDEN,
	.help = "print what a shell may complete the last of the words to",
	.raw_operands = "-- WORDS",
	.run_raw = run,
};
