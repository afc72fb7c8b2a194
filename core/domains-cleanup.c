/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/domains-cleanup.h"

#include <stdio.h>

#include "core/base/fd.h"
#include "core/base/wire.h"
#include "core/domains.h"
#include "core/events.h"
#include "core/model/lifecycle.h"
#include "core/rundir.h"
#include "core/store.h"
#include "core/tune.h"

/* What front ends are to print about VMs this process found dead. */
static GMutex notices_lock;
static GPtrArray *notices;

static void add_notice(const char *name, const struct stats_state *state, const GPtrArray *console)
{
	g_mutex_lock(&notices_lock);
	if (!notices)
		notices = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(notices, g_strdup_printf("domain '%s' has crashed: %s", name, state->text));
	for (guint i = 0; i < console->len; i++)
		g_ptr_array_add(notices, g_strdup_printf("%s console: %s", name, (const char *)console->pdata[i]));
	g_mutex_unlock(&notices_lock);
}

GPtrArray *domains_notices(void)
{
	GPtrArray *taken;

	g_mutex_lock(&notices_lock);
	taken = g_steal_pointer(&notices);
	g_mutex_unlock(&notices_lock);
	return taken ? taken : g_ptr_array_new_with_free_func(g_free);
}

/* --- memory --- */

void cleanup_remember(const struct home *home, const char *name, const struct stats_state *state,
		      const GPtrArray *console, bool untold)
{
	auto_json json_t *memory = NULL;
	json_t *stopped, *lines = json_array();

	if (!store_exists(home, STORE_VM, name)) {
		json_decref(lines);
		return;
	}
	for (guint i = 0; console && i < console->len; i++)
		json_array_append_new(lines, json_string(console->pdata[i]));
	memory = store_memory(home, STORE_VM, name);
	stopped = json_pack("{s:i, s:s, s:I, s:o}", "reason", (int)state->reason, "text", state->text, "time_us",
			    (json_int_t)state->since_us, "console", lines);
	if (stopped && untold)
		json_object_set_new(stopped, "untold", json_true());
	if (stopped)
		json_object_set_new(memory, "stopped", stopped);
	/* A full disk must not keep the domain from being shut off. */
	store_remember(home, STORE_VM, name, memory, NULL);
}

/* Once: who cannot write down that it was told leaves it to a later command. */
static void tell_late(const struct home *home, const char *name, const struct stats_state *state)
{
	auto_fd int lock = home->readonly ? -1 : store_try_lock(home);
	auto_json json_t *memory = lock < 0 ? NULL : store_memory(home, STORE_VM, name);
	json_t *stopped = json_object_get(memory, "stopped"), *lines = json_object_get(stopped, "console");
	g_autoptr(GPtrArray) console = g_ptr_array_new();

	if (!json_is_true(json_object_get(stopped, "untold")))
		return;
	json_object_del(stopped, "untold");
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const char *line = json_string_value(json_array_get(lines, i));

		if (line)
			g_ptr_array_add(console, (char *)(uintptr_t)line);
	}
	if (store_remember(home, STORE_VM, name, memory, NULL))
		add_notice(name, state, console);
}

void cleanup_recall(const struct home *home, const char *name, struct stats_state *state)
{
	auto_json json_t *memory = store_memory(home, STORE_VM, name);
	const json_t *stopped = json_object_get(memory, "stopped");
	const char *text = json_string_value(json_object_get(stopped, "text"));

	*state = (struct stats_state){ .state = DOMAIN_SHUTOFF };
	state->reason = (uint32_t)json_integer_value(json_object_get(stopped, "reason"));
	state->since_us = json_integer_value(json_object_get(stopped, "time_us"));
	g_strlcpy(state->text, text ? text : "", sizeof(state->text));
	if (json_is_true(json_object_get(stopped, "untold")))
		tell_late(home, name, state);
}

/* --- the end --- */

static const char *const event_details[] = {
	[DOMAIN_SHUTOFF_UNKNOWN] = "Shutdown",	  [DOMAIN_SHUTOFF_SHUTDOWN] = "Shutdown",
	[DOMAIN_SHUTOFF_DESTROYED] = "Destroyed", [DOMAIN_SHUTOFF_CRASHED] = "Crashed",
	[DOMAIN_SHUTOFF_MIGRATED] = "Migrated",	  [DOMAIN_SHUTOFF_SAVED] = "Saved",
	[DOMAIN_SHUTOFF_FAILED] = "Failed",	  [DOMAIN_SHUTOFF_FROM_SNAPSHOT] = "Snapshot",
	[DOMAIN_SHUTOFF_DAEMON] = "Failed",
};

const char *cleanup_event_detail(unsigned reason)
{
	return reason < G_N_ELEMENTS(event_details) ? event_details[reason] : "Shutdown";
}

void cleanup_judge(const struct stats_page *page, struct stats_state *state)
{
	stats_page_get_state(page, state);
	if (state->state == DOMAIN_SHUTOFF)
		return;
	if (state->state != DOMAIN_CRASHED || !state->text[0])
		g_snprintf(state->text, sizeof(state->text),
			   "the VM process ended unexpectedly while the domain was %s",
			   domain_state_name(state->state));
	state->state = DOMAIN_SHUTOFF;
	state->reason = DOMAIN_SHUTOFF_CRASHED;
	state->since_us = g_get_real_time();
}

static void tell_end(const struct home *home, const char *name, const struct stats_page *page,
		     const struct stats_state *state)
{
	g_autoptr(GPtrArray) console = stats_tail_lines(page, CLEANUP_CONSOLE_LINES);

	cleanup_remember(home, name, state, console, false);
	events_emit_lifecycle(home, name, page->uuid, "Stopped", cleanup_event_detail(state->reason));
	if (state->reason == DOMAIN_SHUTOFF_CRASHED)
		add_notice(name, state, console);
}

/* With the store locked nobody can make it his own any more. */
static void take_down(const struct home *home, const char *name, const struct stats_page *page,
		      const struct stats_state *state)
{
	/*
	 * Without a process number the VM never came to run: its start was interrupted, and nobody was told it had
	 * succeeded.
	 */
	if (page && page->pid)
		tell_end(home, name, page, state);
	if (page)
		tune_remove(page->uuid);
	rundir_remove(home, name, NULL);
}

void cleanup_stale(const struct home *home, const char *name, bool locked, struct stats_state *state)
{
	auto_fd int lock = locked || home->readonly ? -1 : store_try_lock(home);
	bool mine = (locked || lock >= 0) && rundir_probe(home, name) == RUNDIR_STALE;
	const struct stats_page *page = rundir_map_page(home, name);
	struct stats_state judged;

	if (page && page->pid)
		cleanup_judge(page, &judged);
	else
		cleanup_recall(home, name, &judged);
	if (mine)
		take_down(home, name, page, &judged);
	rundir_unmap_page(page);
	if (state)
		*state = judged;
}
