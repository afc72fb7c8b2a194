/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where things live. */
#include "core/home.h"

#include <string.h>
#include <unistd.h>

#include "core/base/error.h"

static void clear_environment(void)
{
	static const char *const names[] = { "LODGE_HOME", "LODGE_DEFAULT_URI", "XDG_CONFIG_HOME", "XDG_STATE_HOME",
					     "XDG_RUNTIME_DIR" };

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		g_unsetenv(names[i]);
	g_setenv("HOME", "/home/u", TRUE);
}

static void test_bad_uris(void)
{
	static const char *const uris[] = { "",
					    "lodge",
					    "lodge:///",
					    "lodge:///system/",
					    "lodge://host/system",
					    "test:///default",
					    "qemu+ssh://h/system" };

	clear_environment();
	for (size_t i = 0; i < G_N_ELEMENTS(uris); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(home_open(uris[i], false, &error));
		g_assert_error(error, LODGE_ERROR, LODGE_ERROR_USAGE);
		g_assert_nonnull(strstr(error->message, "lodge:///session"));
	}
}

static void test_readonly(void)
{
	autoptr(home) home = NULL;
	g_autoptr(GError) error = NULL;

	clear_environment();
	home = home_open("lodge:///session", true, NULL);
	g_assert_false(home_writable(home, "start a domain", &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_DENIED);
	g_assert_cmpstr(error->message, ==, "cannot start a domain: the connection is read-only");
}

static void test_session(void)
{
	autoptr(home) home = NULL;
	autoptr(home) xdg = NULL;

	clear_environment();
	/* The rules have it that relative paths do not count. */
	g_setenv("XDG_STATE_HOME", "relative", TRUE);
	home = home_open("lodge:///session", false, NULL);
	g_assert_cmpstr(home->uri, ==, "lodge:///session");
	g_assert_cmpstr(home->config_dir, ==, "/home/u/.config/lodge");
	g_assert_cmpstr(home->state_dir, ==, "/home/u/.local/state/lodge");
	g_assert_cmpstr(home->runtime_dir, ==, "/home/u/.local/state/lodge/run");
	g_setenv("XDG_CONFIG_HOME", "/c", TRUE);
	g_setenv("XDG_STATE_HOME", "/s", TRUE);
	g_setenv("XDG_RUNTIME_DIR", "/r", TRUE);
	xdg = home_open("qemu:///session", false, NULL);
	g_assert_cmpstr(xdg->uri, ==, "lodge:///session");
	g_assert_cmpstr(xdg->config_dir, ==, "/c/lodge");
	g_assert_cmpstr(xdg->state_dir, ==, "/s/lodge");
	g_assert_cmpstr(xdg->runtime_dir, ==, "/r/lodge");
}

static void test_system(void)
{
	autoptr(home) home = NULL;
	g_autofree char *path = NULL;

	clear_environment();
	home = home_open("lodge:///system", false, NULL);
	g_assert_true(home->system);
	g_assert_cmpstr(home->config_dir, ==, "/etc/lodge");
	g_assert_cmpstr(home->state_dir, ==, "/var/lib/lodge");
	g_assert_cmpstr(home->runtime_dir, ==, "/run/lodge");
	path = home_vm_path(home, "a b", "stats");
	g_assert_cmpstr(path, ==, "/run/lodge/vm/a b/stats");
}

static void test_default(void)
{
	autoptr(home) home = NULL;
	autoptr(home) other = NULL;

	clear_environment();
	home = home_open(NULL, false, NULL);
	g_assert_true(home->system == (geteuid() == 0));
	g_setenv("LODGE_DEFAULT_URI", home->system ? "lodge:///session" : "lodge:///system", TRUE);
	other = home_open(NULL, false, NULL);
	g_assert_true(other->system != home->system);
}

static void test_one_directory(void)
{
	autoptr(home) home = NULL;
	g_autofree char *here = g_get_current_dir();
	g_autofree char *config = g_build_filename(here, "x", "config", NULL);

	clear_environment();
	/* Processes that go elsewhere inherit it. */
	g_setenv("LODGE_HOME", "x/y/..", TRUE);
	home = home_open("lodge:///system", false, NULL);
	g_assert_cmpstr(home->config_dir, ==, config);
	g_assert_true(g_str_has_suffix(home->runtime_dir, "/x/run"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/home/bad-uris", test_bad_uris);
	g_test_add_func("/home/readonly", test_readonly);
	g_test_add_func("/home/session", test_session);
	g_test_add_func("/home/system", test_system);
	g_test_add_func("/home/default", test_default);
	g_test_add_func("/home/one-directory", test_one_directory);
	return g_test_run();
}
