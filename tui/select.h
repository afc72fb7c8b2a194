/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_SELECT_H
#define LODGE_TUI_SELECT_H

#include <glib.h>
#include <stdbool.h>

#include "tui/command.h"

/* Options of commands that print an XML document: --xpath EXPRESSION, --wrap. */
#define SELECT_ARGS \
	{ .name = "xpath", .type = ARG_STRING, .help = "only the nodes that this XPath expression selects" }, \
	{ \
		.name = "wrap", .type = ARG_FLAG, .help = "put what --xpath selects into one <nodes> element" \
	}

/* Prints the document, or what the options select of it. */
bool select_print(struct session *session, const struct args *args, const char *xml, GError **err);

#endif
