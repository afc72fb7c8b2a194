/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_AGENT_H
#define LODGE_TUI_CMD_AGENT_H

#include "core/agent.h"
#include "core/base/wire.h"
#include "core/domains.h"
#include "tui/command.h"

/* What the commands that ask a guest's agent share. */

/* Finds the running domain --domain names and connects to its agent. name (may be NULL): the domain's; g_free(). */
struct agent *agent_connect(struct session *session, const struct args *args, char **name, GError **err);

/* agent_connect() and one command. arguments: stolen, may be NULL. */
json_t *agent_ask(struct session *session, const struct args *args, const char *command, json_t *arguments,
		  GError **err);

/* A member of an object the guest sent; NULL, 0: not there, or something else. */
const char *agent_string(const json_t *object, const char *key);
json_int_t agent_int(const json_t *object, const char *key);

/* Names and values, as virsh prints typed parameters: "NAME<to width>: VALUE", or a record in the other formats. */
struct agent_facts;
struct agent_facts *agent_facts_new(struct session *session, const char *singular, int width);
void agent_facts_add(struct agent_facts *facts, const char *value, const char *format, ...)
	G_GNUC_PRINTF(3, 4); /* NULL: left out */
void agent_facts_add_number(struct agent_facts *facts, json_int_t value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void agent_facts_end(struct agent_facts *facts_consume); /* prints */

#endif
