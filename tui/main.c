/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/launch.h"
#include "tui/batch.h"
#include "tui/command.h"
#include "tui/globals.h"
#include "tui/help.h"
#include "tui/session.h"
#include "tui/shell.h"
#include "vmm/role-vm.h"

#define ROLE_FD 3 /* core/launch.h */
/* The virsh whose vocabulary and messages ours are; scripts look at it. */
#define VIRSH_VERSION "9.0.0"

/* What the options before the command say beyond the session. */
struct start {
	bool batch, keep_going, help, version, long_version;
};

static void show_version(struct session *session, bool verbose)
{
	if (!session->as_virsh)
		fprintf(session->out, "lodge " PACKAGE_VERSION "\n");
	else if (verbose)
		fprintf(session->out, "Virsh command line tool of Lodge " PACKAGE_VERSION
				      ", in the words of libvirt " VIRSH_VERSION "\n");
	else
		fprintf(session->out, VIRSH_VERSION "\n");
	if (verbose)
		fprintf(session->out, "\nOne process a virtual machine, no daemon; accelerators: kvm, soft\n");
}

/* "^]", "^A", or one character. */
static bool set_escape(struct session *session, const char *text, GError **err)
{
	if (text[0] == '^' && text[1] && !text[2] && g_ascii_toupper(text[1]) >= '@' && g_ascii_toupper(text[1]) <= '_')
		session->escape = g_ascii_toupper(text[1]) & 0x1f;
	else if (text[0] && !text[1])
		session->escape = (unsigned char)text[0];
	else
		return fail(err, LODGE_ERROR_USAGE, "Invalid string '%s' for escape sequence", text);
	return true;
}

static bool is_number(const char *text, int option, GError **err)
{
	return g_ascii_string_to_signed(text, 10, G_MININT, G_MAXINT, NULL, NULL) ||
	       fail(err, LODGE_ERROR_USAGE,
		    option == 'd' ? "option -%c takes a numeric argument" : "Invalid value for option -%c", option);
}

static bool set_debug(struct session *session, const char *text, GError **err)
{
	if (!is_number(text, 'd', err))
		return false;
	if (text[0] < '0' || text[0] > '4' || text[1])
		fprintf(session->err_out, "error: ignoring debug level %s out of range [0-4]\n", text);
	else
		session->debug = (unsigned)(text[0] - '0');
	return true;
}

static bool set_log(struct session *session, const char *path, GError **err)
{
	FILE *log = fopen(path, "ae");

	if (!log)
		return fail_errno(err, "%s: cannot open", path);
	if (session->log)
		fclose(session->log);
	session->log = log;
	setvbuf(log, NULL, _IOLBF, 0);
	return true;
}

static bool bad_option(int c, char **argv, GError **err)
{
	const struct global_row *row = NULL;

	for (size_t i = 0; c == ':' && i < n_global_rows; i++) {
		if (global_rows[i].letter == optopt)
			row = &global_rows[i];
	}
	if (row)
		return fail(err, LODGE_ERROR_USAGE, "option '-%c'/'--%s' requires an argument", optopt, row->name);
	if (optopt && optopt < GLOBAL_BATCH)
		return fail(err, LODGE_ERROR_USAGE, "unsupported option '-%c'. See --help.", optopt);
	return fail(err, LODGE_ERROR_USAGE, "unsupported option '%s'. See --help.", argv[optind - 1]);
}

static bool take_option(struct session *session, struct start *start, int c, char **argv, GError **err)
{
	switch (c) {
	case 'c': session_connect(session, optarg, session->readonly); return true;
	case 'd': return set_debug(session, optarg, err);
	case 'e': return set_escape(session, optarg, err);
	case 'f': return session_set_format(session, optarg, err);
	case 'h': return start->help = true;
	case 'k':
	case 'K': return is_number(optarg, c, err);
	case 'l': return set_log(session, optarg, err);
	case 'q': return session->quiet = true;
	case 'r': return session->readonly = true;
	case 't': return session->timing = true;
	case 'V':
	case 'v':
		start->long_version |= c == 'V' || (optarg && !strcmp(optarg, "long"));
		return start->version = true;
	case GLOBAL_BATCH: return start->batch = true;
	case GLOBAL_KEEP_GOING: return start->keep_going = true;
	default: return bad_option(c, argv, err);
	}
}

/* getopt's own tables, from ours. '+': the first word that is no option begins the command. */
static void make_tables(bool as_virsh, GString *letters, GArray *names)
{
	g_string_append(letters, "+:");
	for (size_t i = 0; i < n_global_rows; i++) {
		const struct global_row *row = &global_rows[i];
		struct option name = { row->name, row->arg ? required_argument : no_argument, NULL, row->letter };

		if (as_virsh && row->lodge)
			continue;
		if (row->optional)
			name.has_arg = optional_argument;
		if (row->letter < GLOBAL_BATCH)
			g_string_append_printf(letters, "%c%s", row->letter, row->arg && !row->optional ? ":" : "");
		if (row->name)
			g_array_append_val(names, name);
	}
}

static bool parse_options(struct session *session, struct start *start, int argc, char **argv, GError **err)
{
	g_autoptr(GString) letters = g_string_new(NULL);
	g_autoptr(GArray) names = g_array_new(TRUE, TRUE, sizeof(struct option));
	int c;

	make_tables(session->as_virsh, letters, names);
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters->str, (const struct option *)(void *)names->data, NULL)) != -1) {
		if (!take_option(session, start, c, argv, err))
			return false;
	}
	return true;
}

static int no_command(struct session *session, const struct start *start)
{
	g_autoptr(GError) error = NULL;

	if (session->as_virsh || isatty(STDIN_FILENO))
		return shell_run(session);
	if (start->batch)
		return batch_stream(session, stdin, start->keep_going);
	fail(&error, LODGE_ERROR_USAGE, "no command given, see lodge --help");
	return session_fail(session, error);
}

static int dispatch(struct session *session, int argc, char **argv)
{
	struct start start = { 0 };
	g_autoptr(GError) error = NULL;

	if (!parse_options(session, &start, argc, argv, &error))
		return session_fail(session, error);
	if (start.help || start.version) {
		g_autoptr(GString) text = g_string_new(NULL);

		if (start.version)
			show_version(session, start.long_version);
		else
			help_append_usage(text, session->as_virsh);
		fputs(text->str, session->out);
		return EXIT_DONE;
	}
	if (argc == optind)
		return no_command(session, &start);
	if (argc - optind == 1)
		return batch_text(session, argv[optind], start.keep_going);
	return command_run(session, argc - optind, argv + optind);
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

/* Executed by core/launch.h, `lodge --role warden NAME`: the name is for who looks at a list of processes. */
static bool is_role(int argc, char **argv, const char *role)
{
	return argc >= 3 && !strcmp(argv[1], "--role") && !strcmp(argv[2], role);
}

static bool is_virsh(const char *argv0)
{
	g_autofree char *name = g_path_get_basename(argv0 ? argv0 : "");

	return !strcmp(name, "virsh");
}

int main(int argc, char **argv)
{
	struct session session;
	int status;

	if (is_role(argc, argv, "vm"))
		return vm_role_main(ROLE_FD);
	if (is_role(argc, argv, "warden"))
		return warden_main(ROLE_FD);
	/* A console's reader that goes away is an error of write(), not the end of the guest. */
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "");
	session_init(&session);
	session.as_virsh = is_virsh(argv[0]);
	status = flush_output(dispatch(&session, argc, argv));
	session_clear(&session);
	return status;
}
