/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_COMMAND_H
#define LODGE_TUI_COMMAND_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/cleanup.h"
#include "core/home.h"
#include "tui/options.h"

/*
 * The batch front end's commands, in virsh's vocabulary. A command is one const row with a table of options; parsing,
 * help, the man page, completion and the tests of refusals come from the rows. A command (or a family of very similar
 * ones) lives in tui/cmd/NAME.c and is listed in tui/commands.c.
 *
 * Command line, as virsh: `--option`, `--option VALUE`, `--option=VALUE`; words without dashes fill the DATA options in
 * order; each DATA option also goes by its name (`--domain X`); "--" ends options. An option's unambiguous prefix is
 * not accepted.
 */
enum arg_type {
	ARG_FLAG,   /* --paused */
	ARG_STRING, /* --reason TEXT: only with its name */
	ARG_INT,    /* decimal, may be negative */
	ARG_UINT,   /* decimal */
	ARG_SIZE,   /* bytes: number with a unit suffix (core/model parse_size()); a bare number counts unit bytes */
	ARG_DATA,   /* positional (or --name VALUE) */
	ARG_DATA_UINT,
	ARG_DATA_SIZE,
	ARG_REST, /* every further positional word, last in the table */
	ARG_N_TYPES
};

enum { ARG_REQUIRED = 1 << 0, ARG_EMPTY_OK = 1 << 1, ARG_HIDDEN = 1 << 2 /* an alias that help does not show */ };

/* What completion offers for a value. */
enum arg_complete {
	COMPLETE_NONE,
	COMPLETE_DOMAIN,
	COMPLETE_DOMAIN_ACTIVE,
	COMPLETE_DOMAIN_INACTIVE,
	COMPLETE_FILE,
	COMPLETE_COMMAND,
	COMPLETE_EVENT,
	COMPLETE_DISK,
	COMPLETE_INTERFACE,
	COMPLETE_WORDS /* values: "a|b|c" */
};

struct arg_row {
	const char *name; /* without dashes */
	enum arg_type type;
	unsigned flags;
	const char *help; /* one line, no full stop */
	enum arg_complete complete;
	const char *values; /* "a|b|c": anything else is refused (LODGE_ERROR_USAGE) unless COMPLETE_WORDS is not set */
	uint64_t unit;	    /* of a bare number of ARG_SIZE */
};

/* Parsed arguments of one call. */
struct args;
bool args_flag(const struct args *args, const char *name);
const char *args_string(const struct args *args, const char *name);	    /* STRING and DATA; NULL: not given */
bool args_int(const struct args *args, const char *name, int64_t *value);   /* false: not given */
bool args_uint(const struct args *args, const char *name, uint64_t *value); /* UINT and SIZE */
const char *const *args_rest(const struct args *args);			    /* NULL-terminated, never NULL */

/* "table" is virsh's. quiet (-q) leaves out headers and friendly sentences. */
enum report_format { REPORT_TABLE, REPORT_JSON, REPORT_CSV, REPORT_XML, REPORT_N_FORMATS };

/* One run of the front end: connection and output settings. Commands print to out, never to stdout. */
struct session {
	struct home *home; /* NULL until the first command that needs it: session_home() */
	char *uri;
	bool readonly, quiet, timing, interactive, noheader;
	enum report_format format;
	FILE *out, *err_out;
	int escape; /* console detach key, ^] */
	bool quit;  /* the shell ends */
	bool as_virsh;
	FILE *log;	/* --log; NULL */
	unsigned debug; /* --debug: 4 logs errors only */
};

/* Opens the connection when there is none. NULL with an error. */
struct home *session_home(struct session *session, GError **err);

/* A sentence for people ("Domain 'x' started\n"): nothing with -q, and on stderr when the output is not a table. */
void session_say(struct session *session, const char *format, ...) G_GNUC_PRINTF(2, 3);

enum {
	COMMAND_CHANGES = 1 << 0 /* refused with --readonly */,
	COMMAND_NO_CONNECT = 1 << 1,
	COMMAND_SHELL_ONLY = 1 << 2,
	COMMAND_ALIAS = 1 << 3,
	COMMAND_LODGE = 1 << 4 /* not in virsh */,
	COMMAND_HIDDEN = 1 << 5 /* in no list */
};

/* Exit status: 128 + n ended by signal n. As virsh a wrong command line is a failure as others. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

enum command_group {
	GROUP_DOMAIN,
	GROUP_MONITOR,
	GROUP_EVENTS,
	GROUP_HOST,
	GROUP_CHECKPOINT,
	GROUP_INTERFACE,
	GROUP_FILTER,
	GROUP_NETWORK,
	GROUP_NODEDEV,
	GROUP_SECRET,
	GROUP_SNAPSHOT,
	GROUP_BACKUP,
	GROUP_POOL,
	GROUP_VOLUME,
	GROUP_LODGE,
	GROUP_SHELL,
	N_GROUPS
};

struct command {
	const char *name;
	enum command_group group;
	unsigned flags;
	const char *
		help; /* one line, no full stop, lower case: "start a (previously defined) inactive domain" in own words */
	const char *about;	    /* paragraphs for help NAME and the man page; NULL */
	const struct arg_row *args; /* the last row has name NULL; may be NULL */
	const char *exclusive;	    /* "a|b, c|d": options that exclude each other; NULL */
	/* True: done. False: failed with an error, whose code tells the exit status. */
	bool (*run)(struct session *session, const struct args *args, GError **err);
	/*
	 * The same with an exit status of its own (a guest's, a signal's); used instead of run when set.
	 * raw: gets the words unparsed (run, qemu-img like tools with their own syntax).
	 */
	int (*run_raw)(struct session *session, int argc, char **argv);
	/* Of raw commands, for help, the man page and completion. */
	const char *raw_operands; /* "[COMMAND]", or NULL */
	const struct option_row *raw_options;
	size_t n_raw_options;
	void (*append_about)(GString *out); /* further text made from a table, or NULL */
};

#define ARG_END \
	{ \
		.name = NULL \
	}
/* The first option of nearly every command. */
#define ARG_DOMAIN(which) \
	{ \
		.name = "domain", .type = ARG_DATA, .flags = ARG_REQUIRED, .help = "domain name, id or uuid", \
		.complete = which \
	}

/* tui/commands.c: every command by group and name; NULL-terminated. */
extern const struct command *const commands[];
const struct command *command_find(const char *name);
const char *command_group_name(enum command_group group); /* "Domain Management (help keyword 'domain')": the title */
const char *command_group_keyword(enum command_group group); /* "domain" */

/*
 * Runs one command line, already in words. Prints its own error, and notices of VMs that were cleaned up. Returns the
 * exit status.
 */
int command_run(struct session *session, int argc, char **argv);

/* Whether there is such a command and takes these words; prints the error when not. */
bool command_check(struct session *session, int argc, char **argv);

#endif
