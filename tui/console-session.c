/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/console-session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/chardev.h"
#include "console/terminal.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/domains.h"
#include "core/model/xml.h"
#include "core/monitor.h"
#include "core/operate.h"
#include "tui/text.h"

/*
 * Bytes between this terminal and a stream of the VM's multiplexer (console/mux.h), which comes as a descriptor over
 * the control socket. The keyboard is always read, so that ^] works on a guest that takes no input; what is typed at such a
 * guest beyond a buffer is lost. Input that is no terminal waits instead.
 *
 * ^] alone leaves, as people know it from virsh; with one of the keys below at once behind it, it does that instead, and
 * any other key leaves too (and is not sent: it was meant for who comes after).
 *
 * A stream that ends while the VM runs was either taken over, or the VM was started again by its warden: then we join it.
 */
#define DEFAULT_ESCAPE 0x1d /* ^] */
#define PREFIX_MS 500
#define REJOIN_MS 10000
#define REJOIN_POLL_US 50000

enum outcome { GOING, LEFT, ENDED /* by the other side */ };

struct view {
	struct session *session;
	const char *name;
	char *port;
	unsigned flags;
	uint8_t escape;
	bool tty; /* keys: standard input is a terminal */
	bool in_ended;
	int sock, in, out;
	int pid; /* of the VM process at the other end of sock */
	bool prefix;
	int64_t prefix_end;
	uint8_t typed[4096]; /* for the guest */
	size_t typed_len;
	uint8_t shown[16384]; /* for the user */
	size_t shown_pos, shown_len;
	bool seen_escape;
	uint8_t last;
};

/* Set by SIGWINCH and SIGCONT; a handler has no argument. */
static volatile sig_atomic_t size_changed, continued;

static void on_signal(int sig)
{
	if (sig == SIGCONT)
		continued = 1;
	size_changed = 1;
}

/* --- requests to the VM --- */

static void request(struct view *view, const char *command, json_t *arguments)
{
	g_autoptr(GError) ignored = NULL;
	auto_json json_t *answer = NULL;

	if (view->port)
		json_object_set_new(arguments, "port", json_string(view->port));
	answer = monitor_once(view->session->home, view->name, command, arguments, &ignored);
}

static void tell_size(struct view *view)
{
	struct winsize size;

	size_changed = 0;
	if (!(view->flags & CONSOLE_SESSION_READONLY) && ioctl(view->out, TIOCGWINSZ, &size) == 0 && size.ws_col &&
	    size.ws_row)
		request(view, "x-lodge-console-resize",
			json_pack("{s:i, s:i}", "cols", (int)size.ws_col, "rows", (int)size.ws_row));
}

static int vm_pid(const struct view *view)
{
	autoptr(dom) dom = domains_find_name(view->session->home, view->name, NULL);

	return dom ? dom->pid : 0;
}

static bool attach(struct view *view, unsigned flags, GError **err)
{
	int pid = vm_pid(view);
	autoptr(monitor) monitor = monitor_open(view->session->home, view->name, err);
	auto_json json_t *answer = NULL;
	json_t *arguments;

	if (!monitor)
		return false;
	arguments = json_pack("{s:s, s:b, s:b, s:b, s:b}", "mode", flags & CONSOLE_SESSION_READONLY ? "ro" : "rw",
			      "force", !!(flags & CONSOLE_SESSION_FORCE), "safe", !!(flags & CONSOLE_SESSION_SAFE),
			      "replay", !(flags & CONSOLE_SESSION_NO_REPLAY), "notices", view->tty);
	if (view->port)
		json_object_set_new(arguments, "port", json_string(view->port));
	answer = monitor_execute(monitor, "x-lodge-console-attach", arguments, err);
	if (!answer)
		return false;
	view->sock = monitor_take_fd(monitor);
	if (view->sock < 0)
		return fail(err, LODGE_ERROR_INTERNAL, "domain '%s': the VM sent no descriptor for its console",
			    view->name);
	view->pid = pid;
	return true;
}

/* --- keys --- */

static void say(const struct view *view, const char *text)
{
	ssize_t ignored = write(view->out, text, strlen(text));

	(void)ignored;
}

static void type(struct view *view, const uint8_t *data, size_t len)
{
	len = view->flags & CONSOLE_SESSION_READONLY ? 0 : MIN(len, sizeof(view->typed) - view->typed_len);
	memcpy(view->typed + view->typed_len, data, len);
	view->typed_len += len;
}

static enum outcome key_literal(struct view *view)
{
	type(view, &view->escape, 1);
	return GOING;
}

static enum outcome key_break(struct view *view)
{
	if (!(view->flags & CONSOLE_SESSION_READONLY))
		request(view, "x-lodge-console-break", json_object());
	return GOING;
}

static enum outcome key_suspend(struct view *view)
{
	(void)view;
	terminal_suspend();
	size_changed = 1;
	return GOING;
}

static enum outcome key_help(struct view *view);

static const struct {
	const char *bytes; /* any of these, behind the escape key; "": the escape key again */
	const char *keys;
	const char *help;
	enum outcome (*act)(struct view *view);
} keys[] = {
	{ "", "itself", "send it to the guest", key_literal },
	{ "b", "b", "send a break", key_break },
	{ "\x1a", "^Z", "suspend this program; the guest runs on, fg comes back", key_suspend },
	{ "?", "?", "show these keys", key_help },
};

/* "^]" */
static char *key_name(uint8_t key)
{
	return key < 0x20 ? g_strdup_printf("^%c", key + '@') : g_strdup_printf("%c", key);
}

static enum outcome key_help(struct view *view)
{
	g_autofree char *escape = key_name(view->escape);
	g_autoptr(GString) text = g_string_new("\r\n");

	g_string_append_printf(text, "  %-12s leave the console; so does any other key behind it\r\n", escape);
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		g_autofree char *both = g_strdup_printf("%s %s", escape, *keys[i].bytes ? keys[i].keys : escape);

		g_string_append_printf(text, "  %-12s %s\r\n", both, keys[i].help);
	}
	say(view, text->str);
	return GOING;
}

static enum outcome second_key(struct view *view, uint8_t byte)
{
	view->prefix = false;
	if (byte == view->escape)
		return keys[0].act(view);
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		if (byte && strchr(keys[i].bytes, byte))
			return keys[i].act(view);
	}
	return LEFT;
}

static enum outcome take_keys(struct view *view, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (view->prefix) {
			if (second_key(view, data[i]) != GOING)
				return LEFT;
		} else if (data[i] == view->escape) {
			view->prefix = true;
			view->prefix_end = g_get_monotonic_time() + PREFIX_MS * 1000;
		} else {
			type(view, &data[i], 1);
		}
	}
	return GOING;
}

/* --- bytes --- */

static enum outcome read_input(struct view *view)
{
	uint8_t data[4096];
	size_t room = view->tty ? sizeof(data) : sizeof(view->typed) - view->typed_len;
	ssize_t n = read(view->in, data, room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return GOING;
	/* EIO: the terminal has hung up. */
	if (n <= 0) {
		view->in_ended = true;
		return view->tty ? LEFT : GOING;
	}
	if (view->tty)
		return take_keys(view, data, (size_t)n);
	type(view, data, (size_t)n);
	return GOING;
}

static enum outcome write_stream(struct view *view)
{
	ssize_t n = send(view->sock, view->typed, view->typed_len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? GOING : ENDED;
	view->typed_len -= (size_t)n;
	memmove(view->typed, view->typed + n, view->typed_len);
	return GOING;
}

static enum outcome read_stream(struct view *view)
{
	ssize_t n = recv(view->sock, view->shown, sizeof(view->shown), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? GOING : ENDED;
	if (n == 0)
		return ENDED;
	view->shown_pos = 0;
	view->shown_len = (size_t)n;
	view->last = view->shown[n - 1];
	view->seen_escape |= memchr(view->shown, '\033', (size_t)n) != NULL;
	return GOING;
}

static enum outcome write_output(struct view *view)
{
	/* At most what a writable pipe takes whole: the descriptor may be one that blocks. */
	size_t len = MIN(view->shown_len - view->shown_pos, 4096);
	ssize_t n = write(view->out, view->shown + view->shown_pos, len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? GOING : LEFT;
	view->shown_pos += (size_t)n;
	return GOING;
}

static bool has_output(const struct view *view)
{
	return view->shown_pos < view->shown_len;
}

/* Milliseconds to the end of a lone prefix; -1: for ever. */
static int patience(const struct view *view)
{
	int64_t left = view->prefix_end - g_get_monotonic_time();

	return view->prefix ? (int)(MAX(left, 0) / 1000 + 1) : -1;
}

static void look_at_signals(struct view *view)
{
	if (continued) {
		continued = 0;
		terminal_resume();
	}
	if (size_changed)
		tell_size(view);
}

static bool wants_input(const struct view *view)
{
	if (view->in_ended || (!view->tty && (view->flags & CONSOLE_SESSION_READONLY)))
		return false;
	return view->tty || view->typed_len < sizeof(view->typed);
}

/* Input that is no terminal has come to its end, and has been passed on. */
static bool is_done(const struct view *view)
{
	return view->in_ended && !view->typed_len;
}

static enum outcome serve(struct view *view, const struct pollfd *fds)
{
	enum outcome outcome = GOING;

	if (fds[2].revents)
		outcome = write_output(view);
	if (outcome == GOING && (fds[1].revents & POLLOUT) && view->typed_len)
		outcome = write_stream(view);
	if (outcome == GOING && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) && !has_output(view))
		outcome = read_stream(view);
	if (outcome == GOING && fds[0].revents)
		outcome = read_input(view);
	return outcome;
}

static enum outcome run(struct view *view, const sigset_t *unblocked)
{
	enum outcome outcome = GOING;

	while (outcome == GOING) {
		bool output = has_output(view);
		struct pollfd fds[] = {
			{ .fd = wants_input(view) ? view->in : -1, .events = POLLIN },
			{ .fd = output && !view->typed_len ? -1 : view->sock,
			  .events = (short)((output ? 0 : POLLIN) | (view->typed_len ? POLLOUT : 0)) },
			{ .fd = output ? view->out : -1, .events = POLLOUT },
		};
		int ms = patience(view);
		struct timespec wait = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

		if (ppoll(fds, G_N_ELEMENTS(fds), ms < 0 ? NULL : &wait, unblocked) > 0)
			outcome = serve(view, fds);
		look_at_signals(view);
		if (view->prefix && patience(view) <= 1)
			outcome = outcome == GOING ? LEFT : outcome;
		if (outcome == GOING && is_done(view))
			outcome = LEFT;
	}
	return outcome;
}

/* What the guest said last and the user has not seen. */
static void drain(struct view *view)
{
	struct pollfd pfd = { .fd = view->out, .events = POLLOUT };

	while (has_output(view) && poll(&pfd, 1, 1000) > 0 && write_output(view) == GOING)
		;
}

/* --- coming and going --- */

static bool is_active(const struct view *view, unsigned *state, unsigned *reason)
{
	autoptr(dom) dom = domains_find_name(view->session->home, view->name, NULL);

	*state = dom ? dom->state.state : DOMAIN_SHUTOFF;
	*reason = dom ? dom->state.reason : 0;
	return dom && dom->id >= 0;
}

static bool vm_answers(const struct view *view)
{
	auto_json json_t *answer = monitor_once(view->session->home, view->name, "query-status", NULL, NULL);

	return answer != NULL;
}

/* A process that still answers has not closed our stream by ending. */
static bool was_taken_over(const struct view *view)
{
	return vm_answers(view) && vm_pid(view) == view->pid;
}

/* Not now: the VM begins or ends. Never: it says so itself. */
static bool is_refused(const struct view *view, const GError *error)
{
	return g_error_matches(error, LODGE_ERROR, LODGE_ERROR_STATE) && vm_answers(view);
}

enum rejoin { REJOINED, GONE, LOST };

/* The other side has closed the stream: with the VM, for a new process of it, or for another user. */
static enum rejoin rejoin(struct view *view, unsigned *state, unsigned *reason, GError **err)
{
	int64_t end = g_get_monotonic_time() + INT64_C(1000) * REJOIN_MS;
	/* Another process has said nothing yet that the user has seen. */
	unsigned flags = view->flags &
			 ~(unsigned)(CONSOLE_SESSION_FORCE | CONSOLE_SESSION_SAFE | CONSOLE_SESSION_NO_REPLAY);

	fd_close(&view->sock);
	while (is_active(view, state, reason)) {
		g_autoptr(GError) error = NULL;

		if (was_taken_over(view)) {
			fail(err, LODGE_ERROR_STATE, "another session has taken the console of domain '%s' over",
			     view->name);
			return LOST;
		}
		if (attach(view, flags, &error))
			return REJOINED;
		if (is_refused(view, error) || g_get_monotonic_time() > end) {
			g_propagate_prefixed_error(err, g_steal_pointer(&error), "the guest was started again: ");
			return LOST;
		}
		g_usleep(REJOIN_POLL_US);
	}
	return GONE;
}

/* Where output is for a program, words for people are not part of it. */
static FILE *people(const struct view *view)
{
	if (view->session->quiet)
		return NULL;
	return view->tty ? view->session->out : view->session->err_out;
}

static void say_gone(struct view *view, unsigned state, unsigned reason)
{
	g_autofree char *name = text_message(view->name);
	FILE *out = people(view);

	if (out)
		fprintf(out, "Domain '%s' runs no more: %s (%s)\n", name, domain_state_name(state),
			domain_reason_name(state, reason));
}

static bool stay(struct view *view, const sigset_t *unblocked, unsigned *state, unsigned *reason, bool *gone,
		 GError **err)
{
	for (;;) {
		enum rejoin result;

		if (view->tty)
			tell_size(view);
		if (run(view, unblocked) == LEFT)
			return true;
		drain(view);
		result = rejoin(view, state, reason, err);
		*gone = result == GONE;
		if (result != REJOINED)
			return result == GONE;
	}
}

/* Signals arrive only while ppoll() waits, so that none is missed between looking and waiting. */
static void watch_signals(sigset_t *before, struct sigaction old[2])
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGWINCH);
	sigaddset(&blocked, SIGCONT);
	pthread_sigmask(SIG_BLOCK, &blocked, before);
	sigaction(SIGWINCH, &action, &old[0]);
	sigaction(SIGCONT, &action, &old[1]);
}

static void unwatch_signals(const sigset_t *before, const struct sigaction old[2])
{
	sigaction(SIGWINCH, &old[0], NULL);
	sigaction(SIGCONT, &old[1], NULL);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static bool with_terminal(struct view *view, GError **err)
{
	struct sigaction old[2];
	unsigned state = 0, reason = 0;
	bool gone = false, ok;
	sigset_t before;

	watch_signals(&before, old);
	if (view->tty)
		terminal_enter(STDIN_FILENO);
	ok = stay(view, &before, &state, &reason, &gone, err);
	terminal_tidy(view->out, view->seen_escape, view->last);
	if (view->tty)
		terminal_leave();
	unwatch_signals(&before, old);
	if (gone)
		say_gone(view, state, reason);
	return ok;
}

/* A serial port's <console> element is the port itself under another alias. */
static char *real_alias(struct view *view, const char *devname)
{
	autoptr(dom) dom = domains_find_name(view->session->home, view->name, NULL);
	autoptr(domain) domain = dom ? dom_definition(view->session->home, dom, true, NULL) : NULL;

	for (xmlNode *n = domain ? xml_first(domain->root, "devices/console") : NULL; n; n = xml_next(n)) {
		g_autofree char *port = xml_get(n, "target/@port");

		if (xml_is(n, "alias/@name", devname) && xml_is(n, "target/@type", "serial"))
			return g_strdup_printf("serial%s", port ? port : "0");
	}
	return g_strdup(devname);
}

static void greet(const struct view *view)
{
	g_autofree char *name = text_message(view->name), *escape = key_name(view->escape);

	if (!view->tty)
		return;
	session_say(view->session, "Connected to domain '%s'\n", name);
	if (view->escape < 0x20)
		session_say(view->session, "Escape character is %s (Ctrl + %c)\n", escape, view->escape + '@');
	else
		session_say(view->session, "Escape character is %s\n", escape);
	fflush(view->session->out);
}

/* Only now: the first thing it says is not missed. */
static bool let_go_on(const struct view *view, GError **err)
{
	autoptr(dom) dom = domains_find_name(view->session->home, view->name, err);

	return dom && (dom->state.state != DOMAIN_PAUSED || operate_resume(view->session->home, dom, err));
}

static void close_view(struct view *view)
{
	fd_close(&view->sock);
	fd_close(&view->in);
	fd_close(&view->out);
	g_clear_pointer(&view->port, g_free);
}

bool console_session(struct session *session, const char *vm_name, const char *devname, unsigned flags, GError **err)
{
	struct view view = { .session = session, .name = vm_name, .flags = flags, .sock = -1, .in = -1, .out = -1 };
	bool ok = false;

	view.tty = isatty(STDIN_FILENO);
	view.escape = session->escape > 0 && session->escape < 0x80 ? (uint8_t)session->escape : DEFAULT_ESCAPE;
	view.port = devname ? real_alias(&view, devname) : NULL;
	view.in = chardev_reopen(STDIN_FILENO, O_RDONLY);
	view.out = chardev_reopen(STDOUT_FILENO, O_WRONLY);
	if (view.in < 0 || view.out < 0)
		fail_errno(err, "standard %s cannot be used for the console", view.in < 0 ? "input" : "output");
	else if (attach(&view, flags, err)) {
		greet(&view);
		ok = (!(flags & CONSOLE_SESSION_RESUME) || let_go_on(&view, err)) && with_terminal(&view, err);
	}
	close_view(&view);
	return ok;
}
