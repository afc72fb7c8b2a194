/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/terminal.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/*
 * A process has one controlling terminal, and a signal handler has no argument of ours: this is the one place with
 * file-level state. `raw` is what the handler looks at; it is set only when everything the handler needs is in place.
 *
 * The modes are changed only while this process group has the terminal: in the background they belong to the shell, and
 * tcsetattr() would stop us.
 */
static struct {
	volatile sig_atomic_t raw;
	bool wanted; /* between enter and leave */
	int fd;
	struct termios cooked, bare;
} terminal = { .fd = -1 };

/*
 * Signals that end a process unless somebody catches them. Those Lodge waits for by other means never get here: they
 * are blocked.
 */
static const int deadly[] = {
	SIGHUP,	 SIGINT,  SIGQUIT, SIGILL,    SIGTRAP, SIGABRT, SIGBUS, SIGFPE,	 SIGSEGV,
	SIGALRM, SIGTERM, SIGXCPU, SIGVTALRM, SIGPROF, SIGSYS,	SIGPWR, SIGUSR1, SIGUSR2,
};

static bool in_foreground(int fd)
{
	pid_t group = tcgetpgrp(fd);

	/* -1: not our controlling terminal, so nobody does job control on it. */
	return group < 0 || group == getpgrp();
}

void terminal_leave(void)
{
	terminal.wanted = false;
	if (terminal.raw && in_foreground(terminal.fd))
		tcsetattr(terminal.fd, TCSANOW, &terminal.cooked);
	terminal.raw = 0;
}

static void on_deadly(int sig)
{
	int saved = errno;

	if (terminal.raw && in_foreground(terminal.fd))
		tcsetattr(terminal.fd, TCSANOW, &terminal.cooked);
	errno = saved;
	/* SA_RESETHAND has put the default action back; it is taken when this handler returns. */
	raise(sig);
}

static void catch_deadly(void)
{
	struct sigaction action = { .sa_handler = on_deadly, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < G_N_ELEMENTS(deadly); i++) {
		if (!sigaction(deadly[i], NULL, &old) && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL)
			sigaction(deadly[i], &action, NULL);
	}
}

bool terminal_enter(int fd)
{
	if (!in_foreground(fd) || tcgetattr(fd, &terminal.cooked))
		return false;
	terminal.fd = fd;
	terminal.bare = terminal.cooked;
	cfmakeraw(&terminal.bare);
	catch_deadly();
	terminal.wanted = true;
	terminal.raw = 1;
	return !tcsetattr(fd, TCSANOW, &terminal.bare);
}

void terminal_resume(void)
{
	if (!terminal.wanted || !in_foreground(terminal.fd))
		return;
	terminal.raw = 1;
	tcsetattr(terminal.fd, TCSANOW, &terminal.bare);
}

void terminal_suspend(void)
{
	bool wanted = terminal.wanted;

	terminal_leave();
	raise(SIGSTOP);
	terminal.wanted = wanted;
	terminal_resume();
}

void terminal_tidy(int fd, bool seen_escape, uint8_t last)
{
	static const char plain[] = "\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?2004l\033[?1047l"
				    "\033[?25h\033[0m";
	g_autoptr(GString) text = g_string_new(NULL);
	ssize_t ignored;

	if (!isatty(fd))
		return;
	if (seen_escape)
		g_string_append(text, plain);
	if (last && last != '\n')
		g_string_append(text, "\r\n");
	ignored = write(fd, text->str, text->len);
	(void)ignored;
}
