/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/warden-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/domains-cleanup.h"
#include "core/events.h"
#include "core/model/domain.h"
#include "core/model/lifecycle.h"
#include "core/monitor.h"
#include "core/rundir.h"
#include "core/store.h"
#include "core/tune.h"

static const char *text_of(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

/* --- policies --- */

/* The policy for the word of vm_stop_name(); N_POLICIES: none, somebody wanted the end. */
static enum policy policy_for(const char *why)
{
	static const struct {
		const char *why;
		enum policy policy;
	} stops[] = {
		{ "poweroff", ON_POWEROFF },
		{ "reset", ON_REBOOT },
		{ "panic", ON_CRASH },
		{ "triple fault", ON_CRASH },
	};

	for (size_t i = 0; why && i < G_N_ELEMENTS(stops); i++) {
		if (!strcmp(why, stops[i].why))
			return stops[i].policy;
	}
	return N_POLICIES;
}

static char *dump_path(const struct warden *warden, GError **err)
{
	g_autofree char *dir = g_build_filename(warden->home.state_dir, "dump", NULL);
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *time = g_date_time_format(now, "%Y%m%dT%H%M%SZ");
	g_autofree char *file = g_strdup_printf("%s-%s.core", warden->name, time);

	return dir_make(dir, 0700, err) ? g_build_filename(dir, file, NULL) : NULL;
}

static bool dump_to(const struct warden *warden, int fd, GError **err)
{
	autoptr(monitor) monitor = monitor_open(&warden->home, warden->name, err);
	auto_json json_t *answer = NULL;

	if (monitor) {
		answer = monitor_execute_long(monitor, "dump-guest-memory",
					      json_pack("{s:b, s:s}", "paging", 0, "protocol", "fd:dump"), &fd, 1, -1,
					      err);
	}
	return answer != NULL;
}

/* The guest's memory into a file, while the VM process still has it. */
static void dump_core(const struct warden *warden)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = dump_path(warden, &error);
	auto_fd int fd = path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;

	if (fd >= 0 && dump_to(warden, fd, &error)) {
		warden_say("memory dumped to %s", path);
		return;
	}
	if (fd >= 0)
		unlink(path);
	warden_say("no memory dump: %s", error ? error->message : g_strerror(errno));
}

void warden_take_held(struct warden *warden, const json_t *held)
{
	const char *why = text_of(held, "why");
	enum policy policy = policy_for(why);

	g_free(warden->held);
	warden->held = g_strdup(why);
	warden_say("the guest has stopped (%s) and is kept", why ? why : "?");
	if (policy < N_POLICIES && g_str_has_prefix(warden->on[policy], "coredump-")) {
		dump_core(warden);
		warden_begin_ending(warden, ENDING_QUIT, DOMAIN_SHUTOFF_CRASHED);
	}
}

/* What the policy says about this stop; NULL: nothing, it is the end. */
static const char *policy_word(const struct warden *warden)
{
	/* Kept for a dump: the dump's policy goes on. Kept to be looked at, or told to end: somebody has ended it. */
	const char *why = warden->held ? warden->held : text_of(warden->stopped, "why");
	enum policy policy = policy_for(why);

	if (policy == N_POLICIES || warden->end_wanted)
		return NULL;
	if (warden->held && !g_str_has_prefix(warden->on[policy], "coredump-"))
		return NULL;
	return warden->on[policy];
}

/* --- the end of the VM process --- */

static void describe_status(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		g_snprintf(text, size, "the VM process was killed by signal %d (%s)", WTERMSIG(status),
			   strsignal(WTERMSIG(status)));
	else
		g_snprintf(text, size, "the VM process ended unexpectedly with status %d", WEXITSTATUS(status));
}

/* Why the domain is shut off. */
static void judge(const struct warden *warden, int status, struct stats_state *state)
{
	const char *text = text_of(warden->stopped, "text"),
		   *why = warden->held ? warden->held : text_of(warden->stopped, "why");

	stats_page_get_state(warden->page, state);
	if (warden->stopped) {
		state->reason = (uint32_t)json_integer_value(json_object_get(warden->stopped, "reason"));
		g_strlcpy(state->text, text ? text : "", sizeof(state->text));
	} else if (warden->ending >= ENDING_QUIT) {
		state->reason = DOMAIN_SHUTOFF_DESTROYED;
	} else if (state->state != DOMAIN_SHUTOFF) {
		/* The guest's own last words are better than ours. */
		if (state->state != DOMAIN_CRASHED || !state->text[0])
			describe_status(status, state->text, sizeof(state->text));
		state->reason = DOMAIN_SHUTOFF_CRASHED;
	}
	if (state->reason == DOMAIN_SHUTOFF_CRASHED && !state->text[0])
		g_snprintf(state->text, sizeof(state->text), "guest %s", why ? why : "crash");
	state->state = DOMAIN_SHUTOFF;
	state->since_us = g_get_real_time();
}

/* Gone for good: written down, told, taken away. */
static void finish(struct warden *warden, const struct stats_state *state)
{
	g_autoptr(GPtrArray) console = stats_tail_lines(warden->page, CLEANUP_CONSOLE_LINES);
	bool crashed = state->reason == DOMAIN_SHUTOFF_CRASHED;
	g_autoptr(GError) error = NULL;
	auto_fd int store = store_lock(&warden->home, &error);

	if (store < 0)
		warden_say_error("the end cannot be written down", g_steal_pointer(&error));
	stats_page_set_state(warden->page, state->state, state->reason, state->text);
	cleanup_remember(&warden->home, warden->name, state, crashed ? console : NULL, crashed);
	warden_say("shut off (%s)%s%s", domain_reason_name(DOMAIN_SHUTOFF, state->reason), state->text[0] ? ": " : "",
		   state->text);
	if (!rundir_remove(&warden->home, warden->name, &error))
		warden_say_error("run directory", g_steal_pointer(&error));
	/* Who hears of it finds the store free. */
	fd_close(&store);
	tune_remove(warden->uuid);
	events_emit_lifecycle(&warden->home, warden->name, warden->uuid, "Stopped",
			      cleanup_event_detail(state->reason));
}

/* It never ran: nobody was told it did, nothing is remembered. */
static void finish_unstarted(struct warden *warden, json_t *answer_consume)
{
	auto_fd int store = store_lock(&warden->home, NULL);

	rundir_remove(&warden->home, warden->name, NULL);
	tune_remove(warden->uuid);
	fd_close(&store);
	fd_close(&warden->lock);
	warden_answer_front(warden, answer_consume);
}

static void not_started(struct warden *warden, int status)
{
	struct stats_state state = { .state = DOMAIN_SHUTOFF, .reason = DOMAIN_SHUTOFF_FAILED };
	const char *message = text_of(warden->error, "message"), *code = text_of(warden->error, "code");

	state.since_us = g_get_real_time();
	if (message)
		g_strlcpy(state.text, message, sizeof(state.text));
	else
		describe_status(status, state.text, sizeof(state.text));
	warden_say("not started: %s", state.text);
	if (warden->ending >= ENDING_QUIT)
		state.reason = DOMAIN_SHUTOFF_DESTROYED;
	if (warden->restarted)
		finish(warden, &state);
	else
		finish_unstarted(warden, json_pack("{s:{s:s, s:s}}", "error", "code", code ? code : "system", "message",
						   message ? message : state.text));
}

/* --- restarts --- */

/* The first of NAME-1, NAME-2, ... nobody has; however often it happens, NAME stays the first one. */
static char *free_name(const struct warden *warden)
{
	for (unsigned i = 1;; i++) {
		g_autofree char *name = g_strdup_printf("%s-%u", warden->first_name ? warden->first_name : warden->name,
							i);

		if (!store_exists(&warden->home, STORE_VM, name) && rundir_probe(&warden->home, name) == RUNDIR_NONE)
			return g_steal_pointer(&name);
	}
}

static char *rename_definition(const char *xml, const char *name, char **uuid, GError **err)
{
	autoptr(domain) domain = domain_parse(xml, strlen(xml), name, DOMAIN_STORED, err);

	if (!domain)
		return NULL;
	*uuid = g_uuid_string_random();
	xml_set(domain->root, "name", name);
	xml_set(domain->root, "uuid", *uuid);
	return domain_format(domain, DOMAIN_SECRET);
}

/*
 * The run directory and all in it goes on under the new name; the definition in the store, if there is one, is shut
 * off.
 */
static char *rename_self(struct warden *warden, const char *xml, const struct stats_state *state, GError **err)
{
	auto_fd int store = store_lock(&warden->home, err);
	g_autofree char *name = store < 0 ? NULL : free_name(warden);
	g_autofree char *dir = name ? home_vm_path(&warden->home, name, NULL) : NULL;
	g_autofree char *uuid = NULL;
	g_autofree char *text = name ? rename_definition(xml, name, &uuid, err) : NULL;
	g_autofree char *live = NULL;

	if (!text)
		return NULL;
	if (rename(warden->dir, dir))
		return fail_errno_null(err, "%s: cannot rename to %s", warden->dir, dir);
	live = home_vm_path(&warden->home, name, "live.xml");
	if (!file_publish(AT_FDCWD, live, text, strlen(text), 0600, err))
		return NULL;
	cleanup_remember(&warden->home, warden->name, state, NULL, false);
	warden_say("restarted as '%s'", name);
	if (warden->first_name)
		g_free(warden->name);
	else
		warden->first_name = warden->name;
	warden->name = g_steal_pointer(&name);
	g_free(warden->dir);
	warden->dir = g_steal_pointer(&dir);
	g_free(warden->uuid);
	warden->uuid = g_steal_pointer(&uuid);
	return g_steal_pointer(&text);
}

static void forget_last_vm(struct warden *warden)
{
	g_clear_pointer(&warden->stopped, json_decref);
	g_clear_pointer(&warden->error, json_decref);
	g_clear_pointer(&warden->held, g_free);
	g_clear_pointer(&warden->vm, wire_free);
}

/* A new process with the definition as it is now, live changes included. */
static bool restart(struct warden *warden, const char *word, const struct stats_state *state, GError **err)
{
	g_autofree char *path = home_vm_path(&warden->home, warden->name, "live.xml");
	g_autofree char *xml = file_read(AT_FDCWD, path, XML_MAX_SIZE * 2, NULL, err);
	unsigned reason = state->reason == DOMAIN_SHUTOFF_CRASHED ? DOMAIN_RUNNING_CRASHED : DOMAIN_RUNNING_BOOTED;

	if (!xml)
		return false;
	warden_say("restart: %s (%s)", domain_reason_name(DOMAIN_SHUTOFF, state->reason), word);
	events_emit_lifecycle(&warden->home, warden->name, warden->uuid, "Stopped",
			      cleanup_event_detail(state->reason));
	if (!strcmp(word, "rename-restart")) {
		char *renamed = rename_self(warden, xml, state, err);

		if (!renamed)
			return false;
		g_free(xml);
		xml = renamed;
	}
	forget_last_vm(warden);
	warden->restarted = true;
	warden->paused = false;
	return warden_start_vm(warden, xml, reason, err);
}

bool warden_take_end(struct warden *warden, int status)
{
	struct stats_state state;
	const char *word;
	GError *error = NULL;

	if (!warden->ready) {
		not_started(warden, status);
		return false;
	}
	judge(warden, status, &state);
	word = policy_word(warden);
	if (word && g_str_has_suffix(word, "restart")) {
		if (restart(warden, word, &state, &error))
			return true;
		warden_say_error("restart", error);
	}
	finish(warden, &state);
	return false;
}
