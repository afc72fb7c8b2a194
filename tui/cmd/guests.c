/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/wire.h"
#include "core/operate.h"
#include "core/store.h"
#include "tui/cmd/life.h"

/*
 * What happens to VMs when the host boots and shuts down: lodge-guests.service runs `guests start` and `guests stop`. The settings
 * are those administrators know from libvirt-guests, in config_dir/guests.conf as KEY=VALUE lines.
 */
#define CONF_MAX 65536u

struct settings {
	bool start_running;   /* ON_BOOT=start: those that ran at the last stop as well as the marked ones */
	uint64_t start_delay; /* seconds between two starts */
	bool ignore_stop;     /* ON_SHUTDOWN=ignore */
	uint64_t parallel;    /* asked to shut down at the same time; 0: one after the other */
	uint64_t timeout;     /* seconds; 0: wait for ever */
};

static bool set_number(uint64_t *number, const char *value, const char *where, GError **err)
{
	return g_ascii_string_to_unsigned(value, 10, 0, 86400, number, NULL) ||
	       fail(err, LODGE_ERROR_INPUT, "%s: '%s' is not a number from 0 to 86400", where, value);
}

static bool set_word(bool *flag, const char *value, const char *yes, const char *no, const char *where, GError **err)
{
	if (strcmp(value, yes) && strcmp(value, no))
		return fail(err, LODGE_ERROR_INPUT, "%s: '%s' is not one of %s, %s", where, value, yes, no);
	*flag = !strcmp(value, yes);
	return true;
}

static bool set(struct settings *settings, const char *key, const char *value, const char *where, GError **err)
{
	if (!strcmp(key, "ON_BOOT"))
		return set_word(&settings->start_running, value, "start", "ignore", where, err);
	if (!strcmp(key, "START_DELAY"))
		return set_number(&settings->start_delay, value, where, err);
	if (!strcmp(key, "ON_SHUTDOWN") && !strcmp(value, "suspend"))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "%s: saving VMs is not there yet; use shutdown or ignore",
			    where);
	if (!strcmp(key, "ON_SHUTDOWN"))
		return set_word(&settings->ignore_stop, value, "ignore", "shutdown", where, err);
	if (!strcmp(key, "PARALLEL_SHUTDOWN"))
		return set_number(&settings->parallel, value, where, err);
	if (!strcmp(key, "SHUTDOWN_TIMEOUT"))
		return set_number(&settings->timeout, value, where, err);
	return fail(err, LODGE_ERROR_INPUT,
		    "%s: unknown key %s; allowed: ON_BOOT START_DELAY ON_SHUTDOWN PARALLEL_SHUTDOWN SHUTDOWN_TIMEOUT",
		    where, key);
}

static bool set_line(struct settings *settings, char *line, const char *where, GError **err)
{
	char *value;
	size_t len;

	g_strstrip(line);
	if (!*line || *line == '#')
		return true;
	value = strchr(line, '=');
	if (!value)
		return fail(err, LODGE_ERROR_INPUT, "%s: expected KEY=VALUE", where);
	*value++ = '\0';
	len = strlen(value);
	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value[len - 1] = '\0';
		value++;
	}
	return set(settings, line, value, where, err);
}

/* Wrong lines are said and passed over: the VMs still are to be shut down when the host goes. */
static void read_settings(struct session *session, struct settings *settings)
{
	g_autofree char *path = g_build_filename(session->home->config_dir, "guests.conf", NULL);
	g_autofree char *text = file_read(AT_FDCWD, path, CONF_MAX, NULL, NULL);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);

	*settings = (struct settings){ .start_running = true, .timeout = 300 };
	for (size_t i = 0; lines[i]; i++) {
		g_autofree char *where = g_strdup_printf("%s:%zu", path, i + 1);
		g_autoptr(GError) error = NULL;

		if (!set_line(settings, lines[i], where, &error))
			fprintf(session->err_out, "error: %s\n", error->message);
	}
}

/* --- which ran at the last stop --- */

static char *list_path(const struct home *home)
{
	return g_build_filename(home->state_dir, "guests", NULL);
}

static bool write_list(const struct home *home, const GPtrArray *doms, GError **err)
{
	g_autofree char *path = list_path(home);
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < doms->len; i++) {
		const struct dom *dom = doms->pdata[i];

		if (dom->persistent)
			g_string_append_printf(text, "%s\n", dom->name);
	}
	return dir_make(home->state_dir, 0700, err) && file_replace(AT_FDCWD, path, text->str, text->len, 0600, err);
}

static bool start(struct session *session, const struct settings *settings, GError **err)
{
	g_autofree char *path = list_path(session->home);
	g_autofree char *text = settings->start_running ? file_read(AT_FDCWD, path, XML_MAX_SIZE, NULL, NULL) : NULL;
	g_auto(GStrv) names = g_strsplit(text ? text : "", "\n", -1);
	guint failed = 0;

	for (size_t i = 0; names[i]; i++) {
		autoptr(dom) dom = *names[i] ? domains_find_name(session->home, names[i], NULL) : NULL;
		struct launch_options options = { 0 };
		g_autoptr(GError) error = NULL;

		if (!dom || dom->id >= 0 || dom->autostart)
			continue;
		if (operate_start(session->home, dom, &options, NULL, &error) < 0) {
			fprintf(session->err_out, "error: Failed to start domain '%s': %s\n", dom->name,
				error->message);
			failed++;
			continue;
		}
		session_say(session, "Domain '%s' started\n", dom->name);
		poll(NULL, 0, (int)settings->start_delay * 1000);
	}
	return (!failed || fail(err, LODGE_ERROR_STATE, "%u domains could not be started", failed)) &&
	       file_remove(AT_FDCWD, path, err);
}

/* --- stop --- */

static void ask_to_stop(struct session *session, const struct dom *dom)
{
	g_autoptr(GError) error = NULL;

	if (dom->state.state == DOMAIN_PAUSED && !operate_resume(session->home, dom, &error))
		g_clear_error(&error);
	if (operate_shutdown(session->home, dom, 0, &error))
		session_say(session, "Domain '%s' is being shutdown\n", dom->name);
	else
		fprintf(session->err_out, "error: Failed to shutdown domain '%s': %s\n", dom->name, error->message);
}

static int left_ms(int64_t deadline)
{
	return deadline == INT64_MAX ? -1 : (int)MAX(0, (deadline - g_get_monotonic_time()) / 1000);
}

/* The oldest one asked is waited for; then the next is asked. */
static guint stop_all(struct session *session, const GPtrArray *doms, const struct settings *settings)
{
	int64_t deadline = settings->timeout ? g_get_monotonic_time() + (int64_t)settings->timeout * G_USEC_PER_SEC :
					       INT64_MAX;
	guint at_once = (guint)MAX(1, settings->parallel), asked = 0, still = 0;

	for (guint i = 0; i < doms->len; i++) {
		const struct dom *dom = doms->pdata[i];

		for (; asked < doms->len && asked < i + at_once; asked++)
			ask_to_stop(session, doms->pdata[asked]);
		if (operate_wait(dom, left_ms(deadline), NULL))
			session_say(session, "Domain '%s' has stopped\n", dom->name);
		else
			still++;
	}
	return still;
}

static bool stop(struct session *session, const struct settings *settings, GError **err)
{
	g_autoptr(GPtrArray) doms = domains_list(session->home, DOMAINS_ACTIVE, err);
	guint still;

	if (!doms || !write_list(session->home, doms, err))
		return false;
	if (settings->ignore_stop)
		return true;
	still = stop_all(session, doms, settings);
	return !still || fail(err, LODGE_ERROR_STATE, "%u domains still run after %" G_GUINT64_FORMAT " seconds", still,
			      settings->timeout);
}

static bool guests(struct session *session, const struct args *args, GError **err)
{
	bool starting = !strcmp(args_string(args, "action"), "start");
	struct home *home = session_home(session, err);
	struct settings settings;

	if (!home || !home_writable(home, starting ? "start domains" : "shut domains down", err))
		return false;
	read_settings(session, &settings);
	return starting ? start(session, &settings, err) : stop(session, &settings, err);
}

static const struct arg_row args[] = {
	{ .name = "action",
	  .type = ARG_DATA,
	  .flags = ARG_REQUIRED,
	  .help = "start: those that ran at the last stop; stop: shut every VM down and wait",
	  .complete = COMPLETE_WORDS,
	  .values = "start|stop" },
	ARG_END,
};

const struct command cmd_guests = {
	.name = "guests",
	.group = GROUP_LODGE,
	.flags = COMMAND_CHANGES | COMMAND_LODGE,
	.help = "what becomes of VMs when the host boots and shuts down",
	.about =
		"lodge-guests.service runs it. Settings are in guests.conf in the configuration directory, with the names of libvirt-guests: "
		"ON_BOOT=start|ignore, START_DELAY=seconds, ON_SHUTDOWN=shutdown|ignore, PARALLEL_SHUTDOWN=count, SHUTDOWN_TIMEOUT=seconds "
		"(0: wait for ever).\n\n"
		"Domains marked for autostart are started by autostart --once-all, by their order.",
	.args = args,
	.run = guests,
};
