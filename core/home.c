/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/home.h"

#include <string.h>
#include <unistd.h>

#include "core/base/error.h"

#define URI_SESSION "lodge:///session"
#define URI_SYSTEM "lodge:///system"

/* Scripts written for other front ends name the same two places so. */
static const struct {
	const char *uri;
	bool system;
} uris[] = {
	{ URI_SESSION, false },
	{ URI_SYSTEM, true },
	{ "qemu:///session", false },
	{ "qemu:///system", true },
};

static const char *get_env(const char *name)
{
	const char *value = g_getenv(name);

	return value && *value ? value : NULL;
}

static bool parse_uri(const char *uri, bool *system, GError **err)
{
	for (size_t i = 0; i < G_N_ELEMENTS(uris); i++) {
		if (!strcmp(uri, uris[i].uri)) {
			*system = uris[i].system;
			return true;
		}
	}
	return fail(err, LODGE_ERROR_USAGE, "%s: not a connection; allowed: " URI_SESSION ", " URI_SYSTEM, uri);
}

/* $NAME/lodge, or HOME/otherwise/lodge; the XDG rules have relative paths ignored. */
static char *xdg_dir(const char *name, const char *otherwise)
{
	const char *dir = get_env(name), *user = get_env("HOME");

	if (dir && g_path_is_absolute(dir))
		return g_build_filename(dir, "lodge", NULL);
	return g_build_filename(user && g_path_is_absolute(user) ? user : g_get_home_dir(), otherwise, "lodge", NULL);
}

static void use_one_dir(struct home *home, const char *dir)
{
	g_autofree char *root = g_canonicalize_filename(dir, NULL);

	home->config_dir = g_build_filename(root, "config", NULL);
	home->state_dir = g_build_filename(root, "state", NULL);
	home->runtime_dir = g_build_filename(root, "run", NULL);
}

static void use_system(struct home *home)
{
	home->config_dir = g_strdup("/etc/lodge");
	home->state_dir = g_strdup("/var/lib/lodge");
	home->runtime_dir = g_strdup("/run/lodge");
}

static void use_session(struct home *home)
{
	const char *runtime = get_env("XDG_RUNTIME_DIR");

	home->config_dir = xdg_dir("XDG_CONFIG_HOME", ".config");
	home->state_dir = xdg_dir("XDG_STATE_HOME", ".local/state");
	if (runtime && g_path_is_absolute(runtime))
		home->runtime_dir = g_build_filename(runtime, "lodge", NULL);
	else
		home->runtime_dir = g_build_filename(home->state_dir, "run", NULL);
}

struct home *home_open(const char *uri, bool readonly, GError **err)
{
	const char *one = get_env("LODGE_HOME");
	autoptr(home) home = NULL;
	bool system = geteuid() == 0;

	if (!uri)
		uri = get_env("LODGE_DEFAULT_URI");
	if (uri && !parse_uri(uri, &system, err))
		return NULL;
	home = g_new0(struct home, 1);
	home->uri = g_strdup(system ? URI_SYSTEM : URI_SESSION);
	home->system = system;
	home->readonly = readonly;
	if (one)
		use_one_dir(home, one);
	else if (system)
		use_system(home);
	else
		use_session(home);
	return g_steal_pointer(&home);
}

void home_free(struct home *home)
{
	if (!home)
		return;
	g_free(home->uri);
	g_free(home->config_dir);
	g_free(home->state_dir);
	g_free(home->runtime_dir);
	g_free(home);
}

bool home_writable(const struct home *home, const char *what, GError **err)
{
	return !home->readonly || fail(err, LODGE_ERROR_DENIED, "cannot %s: the connection is read-only", what);
}

char *home_vm_path(const struct home *home, const char *name, const char *file)
{
	return g_build_filename(home->runtime_dir, "vm", name, file, NULL);
}
