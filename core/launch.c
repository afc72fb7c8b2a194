/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/wire.h"
#include "core/domains-cleanup.h"
#include "core/domains.h"
#include "core/rundir.h"
#include "core/spawn.h"
#include "core/store.h"
#include "core/tune.h"

/*
 * The front end's part of a start. With the store locked: left-overs go, the run directory is made and its lock taken.
 * That lock goes to the warden with the definition; from then on the warden answers for the directory. When we are
 * killed before, the directory is a left-over without a VM; when the warden is, the end of its socket tells us.
 */
struct start {
	const struct home *home;
	const struct launch_options *options;
	struct domain *live;
	char *xml;
	json_t *tune;
	int id, lock, log;
	struct wire *warden;
};

static void start_clear(struct start *start)
{
	g_clear_pointer(&start->live, domain_free);
	g_clear_pointer(&start->xml, g_free);
	g_clear_pointer(&start->tune, json_decref);
	g_clear_pointer(&start->warden, wire_free);
	fd_close(&start->lock);
	fd_close(&start->log);
}

/* Sockets to the wardens of domains that are to end with this process: never closed before. */
static GMutex leashes_lock;
static GPtrArray *leashes;

static void keep_leash(struct wire *warden_consume)
{
	g_mutex_lock(&leashes_lock);
	if (!leashes)
		leashes = g_ptr_array_new();
	g_ptr_array_add(leashes, warden_consume);
	g_mutex_unlock(&leashes_lock);
}

/* --- run directory --- */

static bool claim(struct start *start, const struct domain *domain, GError **err)
{
	auto_fd int store = store_lock(start->home, err);

	if (store < 0 || (start->options->transient && !domains_check_unique(start->home, domain, err)))
		return false;
	if (rundir_probe(start->home, domain->name) == RUNDIR_STALE)
		cleanup_stale(start->home, domain->name, true, NULL);
	if (rundir_probe(start->home, domain->name) == RUNDIR_OWNED)
		return fail(err, LODGE_ERROR_STATE, "Domain is already active");
	start->lock = rundir_make(start->home, domain->name, err);
	if (start->lock < 0)
		return false;
	start->id = rundir_next_id(start->home, err);
	return start->id >= 0;
}

static bool write_live(struct start *start, const struct domain *domain, GError **err)
{
	g_autofree char *path = home_vm_path(start->home, domain->name, "live.xml");

	start->tune = tune_plan(domain, err);
	if (!start->tune)
		return false;
	start->live = domain_copy(domain);
	domain_make_live(start->live, start->id);
	start->xml = domain_format(start->live, DOMAIN_SECRET);
	return file_publish(AT_FDCWD, path, start->xml, strlen(start->xml), 0600, err);
}

/* Whoever else owns it meanwhile keeps it. */
static void give_up(struct start *start, const char *name)
{
	auto_fd int store = -1;

	fd_close(&start->lock);
	store = store_lock(start->home, NULL);
	if (store >= 0 && rundir_probe(start->home, name) == RUNDIR_STALE)
		cleanup_stale(start->home, name, true, NULL);
}

/* --- warden --- */

static json_t *policies(const struct domain *domain)
{
	static const char *const events[] = { "poweroff", "reboot", "crash" };
	json_t *on = json_object();

	for (size_t i = 0; i < G_N_ELEMENTS(events); i++) {
		g_autofree char *element = g_strconcat("on_", events[i], NULL);
		g_autofree char *word = domain_policy(domain, element);

		json_object_set_new(on, events[i], json_string(word ? word : "destroy"));
	}
	return on;
}

static json_t *start_message(const struct start *start)
{
	const struct home *home = start->home;
	const struct launch_options *options = start->options;

	return json_pack("{s:{s:s, s:s, s:i, s:s, s:b, s:b, s:o, s:O, s:{s:s, s:s, s:s, s:s}}}", "start", "name",
			 start->live->name, "uuid", start->live->uuid, "id", start->id, "xml", start->xml, "paused",
			 options->paused, "autodestroy", options->autodestroy, "on", policies(start->live), "tune",
			 start->tune, "home", "uri", home->uri, "config_dir", home->config_dir, "state_dir",
			 home->state_dir, "runtime_dir", home->runtime_dir);
}

/* The process we start only starts the warden and ends, so that nobody has to wait for a child of ours later. */
static bool start_warden(struct start *start, GError **err)
{
	auto_json json_t *message = start_message(start);
	auto_fd int ours = -1, theirs = -1;
	pid_t pid;

	if (!message)
		return fail(err, LODGE_ERROR_INPUT, "the definition or a path is not UTF-8");
	if (!spawn_pair(&ours, &theirs, err))
		return false;
	pid = spawn_role("warden", start->live->name, theirs, start->log, true, err);
	if (pid < 0)
		return false;
	start->warden = wire_new(fd_steal(&ours));
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return wire_send(start->warden, message, &start->lock, 1, err);
}

static enum lodge_error code_of(const char *name)
{
	for (int code = 0; name && code < LODGE_N_ERRORS; code++) {
		if (!strcmp(name, lodge_error_name((enum lodge_error)code)))
			return (enum lodge_error)code;
	}
	return LODGE_ERROR_SYSTEM;
}

static bool wait_ready(struct start *start, GError **err)
{
	g_autofree char *log = spawn_log_path(start->home, start->live->name);
	auto_json json_t *answer = wire_wait(start->warden, -1, NULL);
	const json_t *error = json_object_get(answer, "error");
	const char *text = json_string_value(json_object_get(error, "message"));

	if (!answer)
		return fail(err, LODGE_ERROR_SYSTEM, "the VM's warden ended unexpectedly; %s may say why", log);
	if (error) {
		return fail(err, code_of(json_string_value(json_object_get(error, "code"))), "%s",
			    text ? text : "the VM did not start");
	}
	if (start->options->autodestroy)
		keep_leash(g_steal_pointer(&start->warden));
	return true;
}

static bool run(struct start *start, const struct domain *domain, GError **err)
{
	if (!write_live(start, domain, err))
		return false;
	start->log = spawn_open_log(start->home, domain->name, err);
	if (start->log < 0 || !start_warden(start, err))
		return false;
	/* The warden's from now on: our copy must not outlive it. */
	fd_close(&start->lock);
	return wait_ready(start, err);
}

/* What cannot be built is refused before anything is made. */
static bool check(const struct domain *domain, GPtrArray *notices, GError **err)
{
	autoptr(vm_config) config = domain_vm_config(domain, notices, err);

	return config != NULL;
}

int launch(const struct home *home, const struct domain *domain, const struct launch_options *options,
	   GPtrArray *notices, GError **err)
{
	struct start start = { .home = home, .options = options, .id = -1, .lock = -1, .log = -1 };
	int id = -1;

	if (!home_writable(home, "start a domain", err) || !check(domain, notices, err))
		return -1;
	if (claim(&start, domain, err) && run(&start, domain, err))
		id = start.id;
	else if (start.lock >= 0 || start.xml)
		give_up(&start, domain->name);
	start_clear(&start);
	return id;
}
