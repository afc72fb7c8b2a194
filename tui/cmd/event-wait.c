/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/event.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/wire.h"
#include "core/domains.h"
#include "core/events.h"

#define MAX_TIMEOUT (1u << 30) /* seconds */

enum outcome { OUTCOME_FAILED, OUTCOME_DONE, OUTCOME_TIMEOUT, OUTCOME_INTERRUPT };

bool event_wait_args(struct event_wait *wait, const struct args *args, GError **err)
{
	const char *key = args_string(args, "domain");
	struct home *home = session_home(wait->session, err);
	autoptr(dom) dom = NULL;

	if (!home)
		return false;
	wait->loop = args_flag(args, "loop");
	wait->has_timeout = args_uint(args, "timeout", &wait->timeout_s);
	if (wait->has_timeout && (!wait->timeout_s || wait->timeout_s > MAX_TIMEOUT))
		return fail(err, LODGE_ERROR_USAGE, "--timeout: 1 to %u seconds", MAX_TIMEOUT);
	dom = key ? domains_find(home, key, err) : NULL;
	return !key || (dom && dom_uuid(home, dom, wait->uuid, err));
}

void event_print_time(FILE *out, int64_t time_us)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / G_USEC_PER_SEC);
	g_autofree char *text = time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : NULL;

	fprintf(out, "%s.%03d+0000: ", text ? text : "-", (int)(time_us / 1000 % 1000));
}

static bool counts(const struct event_wait *wait, const json_t *event)
{
	const char *uuid = json_string_value(json_object_get(event, "uuid"));

	return !wait->uuid[0] || (uuid && !g_ascii_strcasecmp(uuid, wait->uuid));
}

/* What has come so far. */
static enum outcome take_events(const struct event_wait *wait, struct events *events, unsigned *count, GError **err)
{
	g_autoptr(GError) error = NULL;
	json_t *event;

	while ((event = events_next(events, 0, &error))) {
		bool shown = counts(wait, event) && wait->show(wait->opaque, event);

		json_decref(event);
		*count += shown;
		if (shown && fflush(wait->session->out)) {
			fail_errno(err, "standard output");
			return OUTCOME_FAILED;
		}
		if (shown && !wait->loop)
			return OUTCOME_DONE;
	}
	if (!error)
		return OUTCOME_TIMEOUT;
	g_propagate_error(err, g_steal_pointer(&error));
	return OUTCOME_FAILED;
}

static enum outcome watch(const struct event_wait *wait, struct events *events, int interrupts, unsigned *count,
			  GError **err)
{
	int64_t end = g_get_monotonic_time() + (int64_t)wait->timeout_s * G_USEC_PER_SEC;

	for (;;) {
		struct pollfd fds[] = { { .fd = events_fd(events), .events = POLLIN },
					{ .fd = interrupts, .events = POLLIN } };
		int64_t left = wait->has_timeout ? MAX(0, (end - g_get_monotonic_time() + 999) / 1000) : -1;
		int ready = poll(fds, G_N_ELEMENTS(fds), (int)MIN(left, G_MAXINT));
		enum outcome outcome;

		if (ready < 0 && errno != EINTR) {
			fail_errno(err, "cannot wait for events");
			return OUTCOME_FAILED;
		}
		if (!ready)
			return OUTCOME_TIMEOUT;
		if (fds[1].revents)
			return OUTCOME_INTERRUPT;
		outcome = take_events(wait, events, count, err);
		if (outcome != OUTCOME_TIMEOUT)
			return outcome;
	}
}

/* With ^C as something to wait for instead of the end of this program. */
static enum outcome watch_interrupts(const struct event_wait *wait, struct events *events, unsigned *count,
				     GError **err)
{
	auto_fd int interrupts = -1;
	struct signalfd_siginfo info;
	enum outcome outcome;
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	interrupts = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	outcome = watch(wait, events, interrupts, count, err);
	while (interrupts >= 0 && read(interrupts, &info, sizeof(info)) == sizeof(info))
		;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return outcome;
}

bool event_wait(const struct event_wait *wait, GError **err)
{
	autoptr(events) events = events_listen(wait->session->home, err);
	unsigned count = 0;
	enum outcome outcome = events ? watch_interrupts(wait, events, &count, err) : OUTCOME_FAILED;

	if (outcome == OUTCOME_FAILED)
		return false;
	if (outcome == OUTCOME_TIMEOUT)
		session_say(wait->session, "event loop timed out\n");
	if (outcome == OUTCOME_INTERRUPT)
		session_say(wait->session, "event loop interrupted\n");
	session_say(wait->session, "events received: %u\n", count);
	return count || fail(err, LODGE_ERROR_STATE, "no event came");
}
