/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "tui/command.h"
#include "tui/text.h"

/* cd, echo, pwd, quit, exit: the shell's own. */

static bool run_cd(struct session *session, const struct args *args, GError **err)
{
	const char *dir = args_string(args, "dir");

	(void)session;
	if (!dir)
		dir = g_get_home_dir();
	return !chdir(dir) || fail_errno(err, "cd: %s", dir);
}

static bool run_pwd(struct session *session, const struct args *args, GError **err)
{
	g_autofree char *dir = g_get_current_dir(), *line = text_lines(dir);

	(void)args;
	(void)err;
	fprintf(session->out, "%s\n", line);
	return true;
}

static bool run_quit(struct session *session, const struct args *args, GError **err)
{
	(void)args;
	(void)err;
	session->quit = true;
	return true;
}

/* --- echo --- */

/* "a,b,,c" is "a" and "b,c", a line each. */
static char *split(const char *text)
{
	GString *out = g_string_new(NULL);
	bool several = false;

	for (const char *p = text; *p; p++) {
		if (p[0] == ',' && p[1] != ',') {
			g_string_append_c(out, '\n');
			several = true;
			continue;
		}
		g_string_append_c(out, *p);
		p += *p == ',';
	}
	if (several)
		g_string_append_c(out, '\n');
	return g_string_free(out, FALSE);
}

static char *dress(const struct args *args, const char *word)
{
	if (args_flag(args, "shell"))
		return text_shell_quote(word);
	if (args_flag(args, "xml"))
		return text_xml_escape(word);
	return args_flag(args, "split") ? split(word) : g_strdup(word);
}

static bool run_echo(struct session *session, const struct args *args, GError **err)
{
	g_autoptr(GString) line = g_string_new(NULL);
	const char *const *words = args_rest(args);

	(void)err;
	for (size_t i = 0; words[i]; i++) {
		g_autofree char *word = dress(args, words[i]);

		g_string_append_printf(line, "%s%s", i ? " " : "", word);
	}
	/*
	 * virsh calls the one an error, and leaves the end of the other's line to the blank line behind every command.
	 */
	if (args_flag(args, "err"))
		fprintf(session->err_out, "%s%s\n", session->as_virsh ? "error: " : "", line->str);
	else
		fprintf(session->out, "%s%s", line->str, session->as_virsh ? "" : "\n");
	return true;
}

static const struct arg_row cd_args[] = {
	{ .name = "dir",
	  .type = ARG_DATA,
	  .help = "where to; the home folder unless given",
	  .complete = COMPLETE_FILE },
	ARG_END,
};

static const struct arg_row echo_args[] = {
	{ .name = "shell", .type = ARG_FLAG, .help = "quote the words for a shell" },
	{ .name = "xml", .type = ARG_FLAG, .help = "escape the words for XML" },
	{ .name = "split", .type = ARG_FLAG, .help = "cut each word at its commas; two commas are one" },
	{ .name = "err", .type = ARG_FLAG, .help = "write to standard error" },
	{ .name = "str", .type = ARG_FLAG, .flags = ARG_HIDDEN, .help = "words as they are" },
	{ .name = "string", .type = ARG_REST, .flags = ARG_EMPTY_OK, .help = "the words" },
	ARG_END,
};

const struct command cmd_cd = {
	.name = "cd",
	.group = GROUP_SHELL,
	.flags = COMMAND_NO_CONNECT | COMMAND_SHELL_ONLY,
	.help = "change the folder that relative paths begin in",
	.args = cd_args,
	.run = run_cd,
};

const struct command cmd_echo = {
	.name = "echo",
	.group = GROUP_SHELL,
	.flags = COMMAND_NO_CONNECT,
	.help = "print its words",
	.about = "Shows what became of quotes and backslashes.",
	.args = echo_args,
	.exclusive = "shell|xml",
	.run = run_echo,
};

const struct command cmd_exit = {
	.name = "exit",
	.group = GROUP_SHELL,
	.flags = COMMAND_NO_CONNECT,
	.help = "leave the shell, or the script",
	.run = run_quit,
};

const struct command cmd_pwd = {
	.name = "pwd",
	.group = GROUP_SHELL,
	.flags = COMMAND_NO_CONNECT,
	.help = "show the folder that relative paths begin in",
	.run = run_pwd,
};

const struct command cmd_quit = {
	.name = "quit",
	.group = GROUP_SHELL,
	.flags = COMMAND_NO_CONNECT,
	.help = "leave the shell, or the script",
	.run = run_quit,
};
