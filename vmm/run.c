/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/run.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "console/chardev.h"
#include "console/terminal.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/machine.h"

/*
 * Order of life: signals are blocked first, so that none falls between the cracks and every thread inherits that;
 * then loop, console, machine. Taken down in reverse: the guest's last words are drained when nothing can add to them
 * any more.
 *
 * Signals arrive through a descriptor, on the loop: SIGTSTP finds a VM that can be paused properly before the process
 * stops, and time in the guest stands still until SIGCONT.
 */
static const int taken[] = { SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH };

struct session {
	sigset_t old_mask;
	bool masked;
	int signal_fd;
	GSource *signal_source;
	GMainContext *context;
	struct chardev *console;
	struct machine *machine;
	struct vm *vm; /* the machine's */
	int signal;
};

/* --- signals --- */

static void suspend(struct session *session)
{
	bool running = vm_state(session->vm) == VM_RUNNING;

	vm_pause(session->vm);
	terminal_suspend();
	if (running)
		vm_resume(session->vm);
}

static void tell_size(struct session *session)
{
	uint16_t cols, rows;

	if (chardev_terminal_size(session->console, &cols, &rows))
		machine_resize_console(session->machine, cols, rows);
}

static void take_signal(struct session *session, int sig)
{
	switch (sig) {
	case SIGTSTP:
		suspend(session);
		break;
	case SIGCONT:
		terminal_resume();
		tell_size(session);
		break;
	case SIGWINCH:
		tell_size(session);
		break;
	default:
		if (!session->signal)
			session->signal = sig;
		vm_request_stop(session->vm, VM_STOP_QUIT, NULL);
		break;
	}
}

static gboolean signal_ready(gint fd, GIOCondition condition, gpointer data)
{
	struct signalfd_siginfo info;

	(void)condition;
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		take_signal(data, (int)info.ssi_signo);
	return G_SOURCE_CONTINUE;
}

/* What our parent has told us to ignore (nohup, a shell's background job) stays ignored. */
static bool is_ignored(int sig)
{
	struct sigaction action;

	return !sigaction(sig, NULL, &action) && action.sa_handler == SIG_IGN;
}

static bool take_signals(struct session *session, GError **err)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < G_N_ELEMENTS(taken); i++) {
		if (!is_ignored(taken[i]))
			sigaddset(&set, taken[i]);
	}
	if (pthread_sigmask(SIG_BLOCK, &set, &session->old_mask))
		return fail_errno(err, "cannot block signals");
	session->masked = true;
	session->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (session->signal_fd < 0)
		return fail_errno(err, "no descriptor for signals");
	session->signal_source = g_unix_fd_source_new(session->signal_fd, G_IO_IN);
	g_source_set_callback(session->signal_source, G_SOURCE_FUNC(signal_ready), session, NULL);
	g_source_attach(session->signal_source, session->context);
	return true;
}

/* --- console --- */

static void on_command(void *opaque, enum chardev_command command)
{
	struct session *session = opaque;

	switch (command) {
	case CHARDEV_COMMAND_END:
		vm_request_stop(session->vm, VM_STOP_QUIT, NULL);
		break;
	case CHARDEV_COMMAND_PAUSE:
		vm_request_pause(session->vm);
		break;
	case CHARDEV_COMMAND_RESUME:
		vm_request_resume(session->vm);
		break;
	case CHARDEV_COMMAND_POWER_BUTTON:
		vm_power_button(session->vm);
		break;
	case CHARDEV_COMMAND_SUSPEND:
		suspend(session);
		break;
	default:
		break;
	}
}

static struct chardev *open_console(struct session *session, const struct vm_config *config, GError **err)
{
	switch (config->console) {
	case VM_CONSOLE_STDIO:
		return chardev_new_stdio(session->context, on_command, session, err);
	case VM_CONSOLE_UNIX:
		return chardev_new_unix(session->context, config->console_path, err);
	case VM_CONSOLE_FILE:
		return chardev_new_file(session->context, config->console_path, err);
	default:
		return chardev_new_null();
	}
}

/* --- the whole --- */

/* A second SIGTERM that came while everything was taken down has been obeyed; it must not kill us before we say so. */
static void forget_signals(struct session *session)
{
	struct signalfd_siginfo info;

	while (session->signal_fd >= 0 && read(session->signal_fd, &info, sizeof(info)) == sizeof(info))
		;
}

static void session_clear(struct session *session)
{
	g_clear_pointer(&session->machine, machine_free);
	g_clear_pointer(&session->console, chardev_free);
	if (session->signal_source) {
		g_source_destroy(session->signal_source);
		g_source_unref(session->signal_source);
	}
	forget_signals(session);
	fd_close(&session->signal_fd);
	g_clear_pointer(&session->context, g_main_context_unref);
	if (session->masked)
		pthread_sigmask(SIG_SETMASK, &session->old_mask, NULL);
}

static void fill_result(struct session *session, struct vm_run_result *result)
{
	const char *text, *panic = machine_panic(session->machine);

	result->why = vm_stop_reason(session->vm, &text);
	/*
	 * A kernel told to reboot after a panic, in a VM told not to; and the kernel's own words are better than
	 * ours.
	 */
	if (panic && (result->why == VM_STOP_RESET || result->why == VM_STOP_PANIC)) {
		result->why = VM_STOP_PANIC;
		text = panic;
	}
	result->text = g_strdup(text);
	result->signal = session->signal;
	result->lost_output = chardev_lost(session->console);
}

static bool session_open(struct session *session, const struct vm_config *config, char **why, GError **err)
{
	session->context = g_main_context_new();
	if (!take_signals(session, err))
		return false;
	session->console = open_console(session, config, err);
	if (!session->console)
		return false;
	session->machine = machine_new(config, session->context, session->console, why, err);
	if (!session->machine)
		return false;
	session->vm = machine_vm(session->machine);
	tell_size(session);
	return vm_start(session->vm, config->paused, err);
}

void vm_run_result_clear(struct vm_run_result *result)
{
	g_clear_pointer(&result->text, g_free);
}

bool vm_main(const struct vm_config *config, void (*started)(void *opaque, const struct vm_run_info *info),
	     void *opaque, struct vm_run_result *result, GError **err)
{
	struct session session = { .signal_fd = -1 };
	g_autofree char *why = NULL;
	bool ran = vm_config_check(config, err) && session_open(&session, config, &why, err);

	if (ran) {
		struct vm_run_info info = {
			.name = config->name,
			.why = why,
			.keys = chardev_has_keys(session.console),
			.paused = config->paused,
		};

		if (started)
			started(opaque, &info);
		vm_run(session.vm);
		fill_result(&session, result);
	}
	session_clear(&session);
	return ran;
}
