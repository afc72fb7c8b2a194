/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "console/terminal.h"
#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * The process's own standard input and output. On a terminal ^] is the prefix of the commands in the table below;
 * alone, it ends the guest after PREFIX_MS, because that is what people who know other serial consoles expect of it.
 *
 * Notices go through the same ring as the guest's output, so they come in order and cannot block.
 */
#define PREFIX 0x1d /* ^] */
#define PREFIX_MS 1000

struct stdio {
	struct chardev base;
	int terminal_fd; /* standard input when it is a terminal, not owned; -1: pass-through */
	bool prefix;	 /* ^] was the last byte */
	GSource *timeout;
	chardev_command_fn on_command;
	void *opaque;
};

struct key {
	struct chardev_key text;
	const char *bytes; /* any of these */
	void (*act)(struct stdio *stdio);
};

static void notice(struct stdio *stdio, const char *text)
{
	chardev_write(&stdio->base, (const uint8_t *)text, strlen(text));
}

static void command(struct stdio *stdio, enum chardev_command what)
{
	stdio->on_command(stdio->opaque, what);
}

static void act_literal(struct stdio *stdio)
{
	chardev_push_input(&stdio->base, &(const uint8_t){ PREFIX }, 1);
}

static void act_break(struct stdio *stdio)
{
	chardev_push_break(&stdio->base);
}

static void act_pause(struct stdio *stdio)
{
	command(stdio, CHARDEV_COMMAND_PAUSE);
	notice(stdio, "\r\nlodge: paused, ^] r resumes\r\n");
}

static void act_resume(struct stdio *stdio)
{
	command(stdio, CHARDEV_COMMAND_RESUME);
}

static void act_power_button(struct stdio *stdio)
{
	command(stdio, CHARDEV_COMMAND_POWER_BUTTON);
}

static void act_suspend(struct stdio *stdio)
{
	command(stdio, CHARDEV_COMMAND_SUSPEND);
}

static void act_end(struct stdio *stdio)
{
	command(stdio, CHARDEV_COMMAND_END);
}

static void act_help(struct stdio *stdio);

static const struct key keys[] = {
	{ { "^] . or ^] q", "end the guest at once; so does ^] alone after a second" }, ".q", act_end },
	{ { "^] s", "press the guest's power button: a clean shutdown" }, "s", act_power_button },
	{ { "^] p", "pause the guest" }, "p", act_pause },
	{ { "^] r", "resume it" }, "r", act_resume },
	{ { "^] b", "send a break" }, "b", act_break },
	{ { "^] ^]", "send ^] itself" }, "\x1d", act_literal },
	{ { "^] ^Z", "suspend lodge and the guest; fg continues both" }, "\x1a", act_suspend },
	{ { "^] ?", "show these keys; any other key leads back to the guest" }, "?h", act_help },
};

static void act_help(struct stdio *stdio)
{
	g_autoptr(GString) text = g_string_new("\r\n");

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		g_string_append_printf(text, "  %-14s %s\r\n", keys[i].text.keys, keys[i].text.help);
	notice(stdio, text->str);
}

const struct chardev_key *chardev_key_row(size_t i)
{
	return i < G_N_ELEMENTS(keys) ? &keys[i].text : NULL;
}

static void cancel_prefix(struct stdio *stdio)
{
	stdio->prefix = false;
	if (!stdio->timeout)
		return;
	g_source_destroy(stdio->timeout);
	g_clear_pointer(&stdio->timeout, g_source_unref);
}

static gboolean prefix_timeout(gpointer data)
{
	struct stdio *stdio = data;

	cancel_prefix(stdio);
	act_end(stdio);
	return G_SOURCE_REMOVE;
}

static void begin_prefix(struct stdio *stdio)
{
	stdio->prefix = true;
	stdio->timeout = g_timeout_source_new(PREFIX_MS);
	g_source_set_callback(stdio->timeout, prefix_timeout, stdio, NULL);
	g_source_attach(stdio->timeout, stdio->base.context);
}

static void second_key(struct stdio *stdio, uint8_t byte)
{
	cancel_prefix(stdio);
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		if (byte && strchr(keys[i].bytes, byte)) {
			keys[i].act(stdio);
			return;
		}
	}
}

static void stdio_input(struct chardev *chardev, const uint8_t *data, size_t len)
{
	struct stdio *stdio = (struct stdio *)chardev;

	for (size_t i = 0; i < len; i++) {
		if (stdio->prefix)
			second_key(stdio, data[i]);
		else if (data[i] == PREFIX)
			begin_prefix(stdio);
		else
			chardev_push_input(chardev, &data[i], 1);
	}
}

static void stdio_start(struct chardev *chardev)
{
	struct stdio *stdio = (struct stdio *)chardev;

	if (stdio->terminal_fd >= 0)
		terminal_enter(stdio->terminal_fd);
}

/* The terminal is where the output goes; where that is a pipe, where the keys come from. */
static bool stdio_size(const struct chardev *chardev, uint16_t *cols, uint16_t *rows)
{
	const int fds[] = { chardev->out_fd, chardev->in_fd };

	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		struct winsize size;

		if (fds[i] >= 0 && ioctl(fds[i], TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
			*cols = size.ws_col;
			*rows = size.ws_row;
			return true;
		}
	}
	return false;
}

static void stdio_destroy(struct chardev *chardev)
{
	struct stdio *stdio = (struct stdio *)chardev;

	cancel_prefix(stdio);
	if (chardev->out_fd >= 0)
		terminal_tidy(chardev->out_fd, chardev->seen_escape, chardev->last_output);
	if (stdio->terminal_fd >= 0)
		terminal_leave();
	fd_close(&chardev->in_fd);
	fd_close(&chardev->out_fd);
	g_free(stdio);
}

static const struct chardev_class terminal_class = {
	.name = "stdio",
	.keys = true,
	.start = stdio_start,
	.input = stdio_input,
	.size = stdio_size,
	.destroy = stdio_destroy,
};

static const struct chardev_class stream_class = {
	.name = "stdio",
	.size = stdio_size,
	.destroy = stdio_destroy,
};

struct chardev *chardev_new_streams(GMainContext *context, int in_fd, int out_fd, chardev_command_fn on_command,
				    void *opaque, GError **err)
{
	bool tty = isatty(in_fd);
	auto_fd int in = chardev_reopen(in_fd, O_RDONLY);
	auto_fd int out = chardev_reopen(out_fd, O_WRONLY);
	struct stdio *stdio;

	if (in < 0 || out < 0)
		return fail_errno_null(err, "standard %s cannot be used for the console", in < 0 ? "input" : "output");
	stdio = g_new0(struct stdio, 1);
	stdio->terminal_fd = tty ? in_fd : -1;
	stdio->on_command = on_command;
	stdio->opaque = opaque;
	chardev_init(&stdio->base, tty ? &terminal_class : &stream_class, context);
	chardev_set_fds(&stdio->base, fd_steal(&in), fd_steal(&out));
	return &stdio->base;
}

struct chardev *chardev_new_stdio(GMainContext *context, chardev_command_fn on_command, void *opaque, GError **err)
{
	return chardev_new_streams(context, STDIN_FILENO, STDOUT_FILENO, on_command, opaque, err);
}
