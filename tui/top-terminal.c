/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/top-terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"

#define ENTER_SCREEN "\033[?1049h\033[?25l"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define CLEAR_LINE_END "\033[K"
#define CLEAR_BELOW "\033[J"

#define KEY_CTRL(letter) ((letter)&0x1f)
#define MAX_ANSWER 64u

struct top_terminal {
	struct termios saved;
	sigset_t saved_mask;
	int signals;
};

/* What does not get out is lost: the next screen comes anyway. */
static void write_out(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void put(const char *text)
{
	write_out(text, strlen(text));
}

static void enter(const struct top_terminal *terminal)
{
	struct termios raw = terminal->saved;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	put(ENTER_SCREEN);
}

static void leave(const struct top_terminal *terminal)
{
	put(LEAVE_SCREEN);
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal->saved);
}

struct top_terminal *top_terminal_open(GError **err)
{
	static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	struct top_terminal *terminal = g_new0(struct top_terminal, 1);
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < G_N_ELEMENTS(caught); i++)
		sigaddset(&mask, caught[i]);
	if (tcgetattr(STDIN_FILENO, &terminal->saved) < 0) {
		g_free(terminal);
		return fail_errno_null(err, "standard input is not a terminal; use --batch");
	}
	pthread_sigmask(SIG_BLOCK, &mask, &terminal->saved_mask);
	terminal->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (terminal->signals < 0) {
		pthread_sigmask(SIG_SETMASK, &terminal->saved_mask, NULL);
		g_free(terminal);
		return fail_errno_null(err, "signalfd");
	}
	enter(terminal);
	return terminal;
}

void top_terminal_free(struct top_terminal *terminal)
{
	leave(terminal);
	fd_close(&terminal->signals);
	pthread_sigmask(SIG_SETMASK, &terminal->saved_mask, NULL);
	g_free(terminal);
}

void top_terminal_size(const struct top_terminal *terminal G_GNUC_UNUSED, unsigned *columns, unsigned *rows)
{
	struct winsize size;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row;

	*columns = known ? size.ws_col : 80;
	*rows = known ? size.ws_row : 24;
}

/* Over the old text instead of after clearing, so that nothing flickers; the last line has no newline, which would scroll. */
void top_terminal_show(struct top_terminal *terminal G_GNUC_UNUSED, const char *text)
{
	g_autoptr(GString) out = g_string_new(HOME);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line && (line[1] || **line); line++)
		g_string_append_printf(out, "%s%s" CLEAR_LINE_END, line == lines ? "" : "\r\n", *line);
	g_string_append(out, CLEAR_BELOW);
	write_out(out->str, out->len);
}

static int read_signal(struct top_terminal *terminal)
{
	struct signalfd_siginfo info;

	if (read(terminal->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return TOP_KEY_NONE;
	return info.ssi_signo == SIGWINCH ? TOP_KEY_RESIZE : TOP_KEY_END;
}

static int read_key(struct top_terminal *terminal)
{
	unsigned char key;

	if (read(STDIN_FILENO, &key, 1) != 1 || key == KEY_CTRL('C'))
		return TOP_KEY_END;
	if (key != KEY_CTRL('Z'))
		return key;
	leave(terminal);
	raise(SIGSTOP);
	enter(terminal);
	return TOP_KEY_RESIZE;
}

int top_terminal_key(struct top_terminal *terminal, int64_t timeout_us)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = terminal->signals, .events = POLLIN } };
	int64_t end = g_get_monotonic_time() + timeout_us;

	for (;;) {
		int64_t left = end - g_get_monotonic_time();
		int n = poll(fds, G_N_ELEMENTS(fds), left > 0 ? (int)(left / 1000) + 1 : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return TOP_KEY_NONE;
		if (fds[1].revents)
			return read_signal(terminal);
		return read_key(terminal);
	}
}

char *top_terminal_ask(struct top_terminal *terminal, const char *question)
{
	g_autoptr(GString) answer = g_string_new(NULL);
	unsigned columns, rows;

	top_terminal_size(terminal, &columns, &rows);
	for (;;) {
		g_autofree char *line = g_strdup_printf("\033[%u;1H%s %s" CLEAR_LINE_END, rows, question, answer->str);
		int key;

		put(line);
		key = top_terminal_key(terminal, 3600 * (int64_t)G_USEC_PER_SEC);
		if (key == '\r' || key == '\n')
			return answer->len ? g_string_free(g_steal_pointer(&answer), FALSE) : NULL;
		if (key == 27 || key == TOP_KEY_END || key == TOP_KEY_NONE)
			return NULL;
		if ((key == 127 || key == 8) && answer->len)
			g_string_truncate(answer, answer->len - 1);
		else if (key >= 0 && g_ascii_isprint((char)key) && answer->len < MAX_ANSWER)
			g_string_append_c(answer, (char)key);
	}
}
