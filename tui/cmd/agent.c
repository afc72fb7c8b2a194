/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/agent.h"

#include "core/base/error.h"
#include "tui/cmd/life.h"
#include "tui/report.h"
#include "tui/text.h"

struct agent *agent_connect(struct session *session, const struct args *args, char **name, GError **err)
{
	autoptr(dom) dom = life_find(session, args, err);
	struct agent *agent;

	if (!dom)
		return NULL;
	if (dom->id < 0)
		return fail_null(err, LODGE_ERROR_STATE, "Requested operation is not valid: domain is not running");
	if (dom->state.state == DOMAIN_PAUSED)
		return fail_null(err, LODGE_ERROR_STATE,
				 "Requested operation is not valid: domain is paused, its agent cannot answer");
	agent = agent_open(session->home, dom->name, -1, err);
	if (agent && name)
		*name = g_strdup(dom->name);
	return agent;
}

json_t *agent_ask(struct session *session, const struct args *args, const char *command, json_t *arguments,
		  GError **err)
{
	autoptr(agent) agent = agent_connect(session, args, NULL, err);

	if (!agent) {
		json_decref(arguments);
		return NULL;
	}
	return agent_execute(agent, command, arguments, -1, err);
}

const char *agent_string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

json_int_t agent_int(const json_t *object, const char *key)
{
	return (json_int_t)json_number_value(json_object_get(object, key));
}

/* --- facts --- */

struct agent_facts {
	struct session *session;
	int width;
	struct report *report; /* NULL: a table */
};

struct agent_facts *agent_facts_new(struct session *session, const char *singular, int width)
{
	struct agent_facts *facts = g_new0(struct agent_facts, 1);

	facts->session = session;
	facts->width = width;
	facts->report = session->format == REPORT_TABLE ? NULL : report_record(session, singular);
	return facts;
}

static void add(struct agent_facts *facts, const char *key, const char *value)
{
	g_autofree char *text = text_message(value);

	if (facts->report)
		report_field(facts->report, key, key, value);
	else
		fprintf(facts->session->out, "%-*s: %s\n", facts->width, key, text);
}

void agent_facts_add(struct agent_facts *facts, const char *value, const char *format, ...)
{
	g_autofree char *key = NULL;
	va_list ap;

	if (!value)
		return;
	va_start(ap, format);
	key = g_strdup_vprintf(format, ap);
	va_end(ap);
	add(facts, key, value);
}

void agent_facts_add_number(struct agent_facts *facts, json_int_t value, const char *format, ...)
{
	g_autofree char *key = NULL, *text = g_strdup_printf("%" JSON_INTEGER_FORMAT, value);
	va_list ap;

	va_start(ap, format);
	key = g_strdup_vprintf(format, ap);
	va_end(ap);
	if (facts->report && value >= 0)
		report_field_number(facts->report, key, key, (uint64_t)value, NULL);
	else
		add(facts, key, text);
}

void agent_facts_end(struct agent_facts *facts_consume)
{
	if (facts_consume->report)
		report_end(facts_consume->report);
	g_free(facts_consume);
}
