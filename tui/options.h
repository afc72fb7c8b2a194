/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_OPTIONS_H
#define LODGE_TUI_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Options of a command: one table row says everything about one of them. Parsing, --help and the man page are made
 * from the rows.
 *
 * "--name VALUE" and "--name=VALUE" mean the same; of a repeated option the last one counts, unless its row collects;
 * "--" ends the options.
 */
enum option_type {
	OPTION_FLAG,   /* bool: set to true; takes no value */
	OPTION_STRING, /* char *: replaced by a copy, the old one freed */
	OPTION_UINT,   /* unsigned: decimal, min to max */
	OPTION_SIZE,   /* uint64_t: bytes, see parse_size(); a bare number counts unit bytes */
	OPTION_CALL,   /* whatever parse() does with the value */
	OPTION_N_TYPES
};

struct option_row {
	const char *name; /* without the dashes */
	const char *arg;  /* "FILE", shown in help; NULL for a flag */
	enum option_type type;
	size_t offset; /* into the target structure; not for OPTION_CALL */
	unsigned min, max;
	uint64_t unit;
	bool (*parse)(void *target, const char *value, GError **err);
	bool required, repeats; /* for the texts; a missing required option is refused */
	const char *help;	/* one line, no full stop */
};

/* Where options_parse() stopped. */
struct options_result {
	bool help;	/* --help or -h was there: nothing after it was looked at */
	int n_operands; /* arguments that are no options; argv[0 .. n_operands) */
	char **operands;
};

/*
 * argv: the arguments after the command's name; reordered so that operands come together. Every refusal is
 * LODGE_ERROR_USAGE and names the option. target may be NULL when n is 0.
 */
bool options_parse(const struct option_row *rows, size_t n, void *target, int argc, char **argv,
		   struct options_result *result, GError **err);

/* "  --memory SIZE      guest memory ...": appends one line for each row, and --help. */
void options_append_help(GString *out, const struct option_row *rows, size_t n);

/* "[--memory SIZE] [--disk SPEC]...": appends the synopsis, required ones first. */
void options_append_synopsis(GString *out, const struct option_row *rows, size_t n);

/* The same rows as a man page's .TP paragraphs. */
void options_append_man(GString *out, const struct option_row *rows, size_t n);

/* Appends text with what roff would take for its own escaped. */
void man_append_text(GString *out, const char *text);

#endif
