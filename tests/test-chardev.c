/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "console/chardev-private.h"
#include "core/base/error.h"
#include "core/base/fd.h"

struct fixture {
	GMainContext *context;
	struct chardev *chardev;
	GString *received;
	size_t room; /* what the guest's receiver still takes */
	unsigned breaks;
	unsigned commands[CHARDEV_N_COMMANDS];
	char *dir, *path;
	int peer, other; /* the test's ends */
};

/* --- the guest's side --- */

static size_t receive(void *opaque, const uint8_t *data, size_t len)
{
	struct fixture *f = opaque;
	size_t taken = MIN(len, f->room);

	g_string_append_len(f->received, (const char *)data, (gssize)taken);
	f->room -= taken;
	return taken;
}

static void take_break(void *opaque)
{
	((struct fixture *)opaque)->breaks++;
}

static const struct chardev_client client = { .receive = receive, .send_break = take_break };

static void take_command(void *opaque, enum chardev_command command)
{
	((struct fixture *)opaque)->commands[command]++;
}

/* --- the host's side --- */

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->context = g_main_context_new();
	f->received = g_string_new(NULL);
	f->room = SIZE_MAX;
	f->dir = g_dir_make_tmp("lodge-chardev-XXXXXX", NULL);
	g_assert_nonnull(f->dir);
	f->path = g_build_filename(f->dir, "console", NULL);
	f->peer = f->other = -1;
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_clear_pointer(&f->chardev, chardev_free);
	fd_close(&f->peer);
	fd_close(&f->other);
	g_unlink(f->path);
	g_assert_cmpint(g_rmdir(f->dir), ==, 0);
	g_free(f->path);
	g_free(f->dir);
	g_string_free(f->received, TRUE);
	g_main_context_unref(f->context);
}

/* Runs the loop until the condition holds; the harness ends a test that waits in vain. */
#define WAIT_UNTIL(f, condition) \
	do { \
		while (!(condition)) \
			g_main_context_iteration((f)->context, TRUE); \
	} while (0)

static void run_ready(struct fixture *f)
{
	while (g_main_context_iteration(f->context, FALSE))
		;
}

static void attach(struct fixture *f)
{
	g_assert_nonnull(f->chardev);
	chardev_set_client(f->chardev, &client, f);
}

static void put(struct fixture *f, const char *text)
{
	chardev_write(f->chardev, (const uint8_t *)text, strlen(text));
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	g_assert_cmpint(fd, >=, 0);
	g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
	g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
	return fd;
}

/* Reads from fd, the loop running, until what came ends with want; returns all of it. */
static char *read_until(struct fixture *f, int fd, const char *want)
{
	GString *got = g_string_new(NULL);
	char buf[4096];

	while (!g_str_has_suffix(got->str, want)) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n > 0)
			g_string_append_len(got, buf, n);
		else if (n == 0 || errno != EAGAIN)
			break;
		else
			g_main_context_iteration(f->context, FALSE);
	}
	return g_string_free(got, FALSE);
}

static void expect_output(struct fixture *f, int fd, const char *want)
{
	g_autofree char *got = read_until(f, fd, want);

	g_assert_cmpstr(got, ==, want);
}

/* --- refusals --- */

static void test_file_refused(struct fixture *f, gconstpointer data)
{
	g_autofree char *path = g_build_filename(f->path, "missing", NULL);
	g_autoptr(GError) error = NULL;

	(void)data;
	g_assert_null(chardev_new_file(f->context, path, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_SYSTEM);
	g_assert_nonnull(strstr(error->message, path));
}

static void test_unix_path_refused(struct fixture *f, gconstpointer data)
{
	g_autofree char *path = g_strnfill(200, 'x');
	g_autoptr(GError) error = NULL;

	(void)data;
	g_assert_null(chardev_new_unix(f->context, path, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_clear_error(&error);
	g_assert_null(chardev_new_unix(f->context, "", &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
}

/* A file that is in the way stays, and so does another's live socket. */
static void test_unix_path_taken(struct fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	(void)data;
	g_assert_true(g_file_set_contents(f->path, "mine", -1, NULL));
	g_assert_null(chardev_new_unix(f->context, f->path, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_SYSTEM);
	g_assert_true(g_file_test(f->path, G_FILE_TEST_IS_REGULAR));
	g_unlink(f->path);
	g_clear_error(&error);

	f->chardev = chardev_new_unix(f->context, f->path, NULL);
	g_assert_nonnull(f->chardev);
	g_assert_null(chardev_new_unix(f->context, f->path, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_SYSTEM);
	f->peer = connect_to(f->path);
}

/* --- null and file --- */

static void test_null(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->chardev = chardev_new_null();
	attach(f);
	put(f, "gone");
	chardev_accept_input(f->chardev);
	g_assert_cmpuint(chardev_lost(f->chardev), ==, 0);
	g_assert_false(chardev_has_keys(f->chardev));
}

static void tap(void *opaque, const uint8_t *data, size_t len)
{
	g_string_append_len(opaque, (const char *)data, (gssize)len);
}

static void test_tap_sees_all(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->chardev = chardev_new_null();
	chardev_set_tap(f->chardev, tap, f->received);
	put(f, "one ");
	put(f, "two");
	g_assert_cmpstr(f->received->str, ==, "one two");
}

static void test_file_appends(struct fixture *f, gconstpointer data)
{
	g_autofree char *text = NULL;

	(void)data;
	g_assert_true(g_file_set_contents(f->path, "old\n", -1, NULL));
	f->chardev = chardev_new_file(f->context, f->path, NULL);
	attach(f);
	put(f, "new");
	run_ready(f);
	put(f, "er\n");
	/* The last words are written without another turn of the loop. */
	g_clear_pointer(&f->chardev, chardev_free);
	g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "old\nnewer\n");
}

static void test_full_disk(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->chardev = chardev_new_file(f->context, "/dev/full", NULL);
	attach(f);
	put(f, "nowhere");
	WAIT_UNTIL(f, chardev_lost(f->chardev) == strlen("nowhere"));
}

/* --- unix --- */

static void test_unix_talks(struct fixture *f, gconstpointer data)
{
	struct stat st;

	(void)data;
	f->chardev = chardev_new_unix(f->context, f->path, NULL);
	attach(f);
	g_assert_cmpint(lstat(f->path, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
	put(f, "before ");
	f->peer = connect_to(f->path);
	expect_output(f, f->peer, "before ");
	put(f, "after");
	expect_output(f, f->peer, "after");
	g_assert_cmpint(write(f->peer, "input", 5), ==, 5);
	WAIT_UNTIL(f, f->received->len == 5);
	g_assert_cmpstr(f->received->str, ==, "input");
	g_clear_pointer(&f->chardev, chardev_free);
	g_assert_cmpint(lstat(f->path, &st), ==, -1);
}

static void test_unix_stale_socket(struct fixture *f, gconstpointer data)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)data;
	g_strlcpy(addr.sun_path, f->path, sizeof(addr.sun_path));
	g_assert_cmpint(bind(dead, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
	f->chardev = chardev_new_unix(f->context, f->path, NULL);
	g_assert_nonnull(f->chardev);
	f->peer = connect_to(f->path);
}

/* What took the socket's place in the meantime is somebody else's. */
static void test_unix_unlinks_only_its_own(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->chardev = chardev_new_unix(f->context, f->path, NULL);
	g_assert_nonnull(f->chardev);
	g_unlink(f->path);
	g_assert_true(g_file_set_contents(f->path, "other", -1, NULL));
	g_clear_pointer(&f->chardev, chardev_free);
	g_assert_true(g_file_test(f->path, G_FILE_TEST_IS_REGULAR));
}

static void test_unix_one_at_a_time(struct fixture *f, gconstpointer data)
{
	g_autofree char *busy = NULL;

	(void)data;
	f->chardev = chardev_new_unix(f->context, f->path, NULL);
	attach(f);
	f->peer = connect_to(f->path);
	put(f, "first");
	expect_output(f, f->peer, "first");
	f->other = connect_to(f->path);
	busy = read_until(f, f->other, "in use\r\n");
	g_assert_nonnull(strstr(busy, "in use"));
	fd_close(&f->peer);
	fd_close(&f->other);
	/* The end of the first is seen in the same turn of the loop as, or before, the next connection. */
	run_ready(f);
	f->peer = connect_to(f->path);
	put(f, "again");
	expect_output(f, f->peer, "again");
}

/* `echo command | socat - UNIX:path` closes its sending side early and still wants the answer. */
static void test_unix_half_closed(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->chardev = chardev_new_unix(f->context, f->path, NULL);
	attach(f);
	f->peer = connect_to(f->path);
	g_assert_cmpint(write(f->peer, "x", 1), ==, 1);
	shutdown(f->peer, SHUT_WR);
	WAIT_UNTIL(f, f->received->len == 1 && f->chardev->in_ended);
	put(f, "answer");
	expect_output(f, f->peer, "answer");
}

/* --- flow --- */

static void open_pipes(struct fixture *f, int *in, int *out)
{
	int to[2], from[2];

	g_assert_cmpint(pipe2(to, O_CLOEXEC), ==, 0);
	g_assert_cmpint(pipe2(from, O_CLOEXEC), ==, 0);
	f->peer = to[1];
	f->other = from[0];
	fcntl(f->other, F_SETFL, O_NONBLOCK);
	*in = to[0];
	*out = from[1];
	f->chardev = chardev_new_streams(f->context, *in, *out, take_command, f, NULL);
	attach(f);
	fd_close(in);
	fd_close(out);
}

static void test_passes_through(struct fixture *f, gconstpointer data)
{
	int in, out;

	(void)data;
	open_pipes(f, &in, &out);
	g_assert_false(chardev_has_keys(f->chardev));
	g_assert_cmpint(write(f->peer, "a\x1dq\x03z", 5), ==, 5);
	WAIT_UNTIL(f, f->received->len == 5);
	g_assert_cmpmem(f->received->str, 5, "a\x1dq\x03z", 5);
	fd_close(&f->peer);
	WAIT_UNTIL(f, f->chardev->in_ended);
	put(f, "still here");
	expect_output(f, f->other, "still here");
	g_assert_cmpuint(f->commands[CHARDEV_COMMAND_END], ==, 0);
}

static void test_input_waits_for_room(struct fixture *f, gconstpointer data)
{
	int in, out;

	(void)data;
	f->room = 2;
	open_pipes(f, &in, &out);
	g_assert_cmpint(write(f->peer, "abcdef", 6), ==, 6);
	WAIT_UNTIL(f, f->received->len == 2);
	run_ready(f);
	g_assert_cmpuint(f->received->len, ==, 2);
	f->room = 3;
	chardev_accept_input(f->chardev);
	WAIT_UNTIL(f, f->received->len == 5);
	f->room = 100;
	chardev_accept_input(f->chardev);
	WAIT_UNTIL(f, f->received->len == 6);
	g_assert_cmpstr(f->received->str, ==, "abcdef");
}

/* Nobody reads: the writer is not held up, the newest output is kept, what was lost is counted. */
static void test_slow_reader(struct fixture *f, gconstpointer data)
{
	const size_t total = 4 * CHARDEV_RING_SIZE;
	g_autofree char *got = NULL;
	size_t before_end;
	int in, out;

	(void)data;
	open_pipes(f, &in, &out);
	for (size_t i = 0; i < total; i++) {
		chardev_write(f->chardev, &(const uint8_t){ (uint8_t)('a' + i % 23) }, 1);
		if (i % 1000 == 0)
			run_ready(f);
	}
	put(f, "END");
	got = read_until(f, f->other, "END");
	before_end = strlen(got) - 3;
	g_assert_cmpuint(chardev_lost(f->chardev), >, 0);
	g_assert_cmpuint(before_end + chardev_lost(f->chardev), ==, total);
	for (size_t i = 0; i < 1000; i++)
		g_assert_cmpint(got[before_end - 1 - i], ==, 'a' + (char)((total - 1 - i) % 23));
}

static void test_reader_gone(struct fixture *f, gconstpointer data)
{
	int in, out;

	(void)data;
	open_pipes(f, &in, &out);
	fd_close(&f->other);
	put(f, "to nobody");
	WAIT_UNTIL(f, f->chardev->out_fd < 0);
	put(f, "more");
	g_assert_cmpint(write(f->peer, "in", 2), ==, 2);
	WAIT_UNTIL(f, f->received->len == 2);
}

struct writer {
	struct chardev *chardev;
	char letter;
};

static void *write_letters(void *data)
{
	struct writer *writer = data;

	for (unsigned i = 0; i < 20000; i++)
		chardev_write(writer->chardev, (const uint8_t *)&writer->letter, 1);
	return NULL;
}

/* No wake-up is lost between the loop going to sleep and a writer on another thread. */
static void test_threads(struct fixture *f, gconstpointer data)
{
	struct writer writers[2];
	GThread *threads[2];
	size_t got = 0;
	int in, out;

	(void)data;
	open_pipes(f, &in, &out);
	for (unsigned i = 0; i < 2; i++) {
		writers[i] = (struct writer){ f->chardev, (char)('a' + i) };
		threads[i] = g_thread_new("writer", write_letters, &writers[i]);
	}
	while (got + chardev_lost(f->chardev) < 40000) {
		char buf[4096];
		ssize_t n = read(f->other, buf, sizeof(buf));

		if (n > 0)
			got += (size_t)n;
		else
			g_main_context_iteration(f->context, TRUE);
	}
	for (unsigned i = 0; i < 2; i++)
		g_thread_join(threads[i]);
	g_assert_cmpuint(got + chardev_lost(f->chardev), ==, 40000);
}

/* --- a terminal --- */

/* Leaves the master in peer and the terminal's own end in other. */
static bool open_terminal(struct fixture *f)
{
	char name[64];

	f->peer = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (f->peer < 0 || grantpt(f->peer) || unlockpt(f->peer) || ptsname_r(f->peer, name, sizeof(name))) {
		g_test_skip("no pseudo-terminals here");
		return false;
	}
	f->other = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	g_assert_cmpint(f->other, >=, 0);
	return true;
}

static bool is_raw(int fd)
{
	struct termios modes;

	g_assert_cmpint(tcgetattr(fd, &modes), ==, 0);
	return !(modes.c_lflag & (ICANON | ECHO | ISIG));
}

static void expect_same_modes(const struct termios *a, const struct termios *b)
{
	g_assert_cmphex(a->c_iflag, ==, b->c_iflag);
	g_assert_cmphex(a->c_oflag, ==, b->c_oflag);
	g_assert_cmphex(a->c_cflag, ==, b->c_cflag);
	g_assert_cmphex(a->c_lflag, ==, b->c_lflag);
	g_assert_cmpmem(a->c_cc, sizeof(a->c_cc), b->c_cc, sizeof(b->c_cc));
}

static bool open_terminal_console(struct fixture *f)
{
	if (!open_terminal(f))
		return false;
	f->chardev = chardev_new_streams(f->context, f->other, f->other, take_command, f, NULL);
	attach(f);
	g_assert_true(chardev_has_keys(f->chardev));
	/* Untouched until everything that can fail has been done. */
	g_assert_false(is_raw(f->other));
	WAIT_UNTIL(f, is_raw(f->other));
	return true;
}

static void type(struct fixture *f, const char *text)
{
	g_assert_cmpint(write(f->peer, text, strlen(text)), ==, (ssize_t)strlen(text));
}

static void test_terminal_restored(struct fixture *f, gconstpointer data)
{
	struct termios before, after;

	(void)data;
	if (!open_terminal(f))
		return;
	g_assert_cmpint(tcgetattr(f->other, &before), ==, 0);
	f->chardev = chardev_new_streams(f->context, f->other, f->other, take_command, f, NULL);
	WAIT_UNTIL(f, is_raw(f->other));
	put(f, "unfinished line");
	g_clear_pointer(&f->chardev, chardev_free);
	g_assert_cmpint(tcgetattr(f->other, &after), ==, 0);
	expect_same_modes(&before, &after);
	expect_output(f, f->peer, "unfinished line\r\n");
}

static void test_terminal_size(struct fixture *f, gconstpointer data)
{
	struct winsize size = { .ws_col = 0, .ws_row = 43 };
	uint16_t cols = 1, rows = 2;

	(void)data;
	if (!open_terminal_console(f))
		return;
	/* A terminal that does not know its size, then one that does, then another size. */
	g_assert_cmpint(ioctl(f->peer, TIOCSWINSZ, &size), ==, 0);
	g_assert_false(chardev_terminal_size(f->chardev, &cols, &rows));
	g_assert_cmpuint(cols, ==, 1);
	size.ws_col = 132;
	g_assert_cmpint(ioctl(f->peer, TIOCSWINSZ, &size), ==, 0);
	g_assert_true(chardev_terminal_size(f->chardev, &cols, &rows));
	g_assert_cmpuint(cols, ==, 132);
	g_assert_cmpuint(rows, ==, 43);
	size.ws_row = 65535;
	g_assert_cmpint(ioctl(f->peer, TIOCSWINSZ, &size), ==, 0);
	g_assert_true(chardev_terminal_size(f->chardev, &cols, &rows));
	g_assert_cmpuint(rows, ==, 65535);
}

static void test_terminal_tidied(struct fixture *f, gconstpointer data)
{
	g_autofree char *got = NULL;

	(void)data;
	if (!open_terminal_console(f))
		return;
	put(f, "\033[31mred\r\n");
	g_clear_pointer(&f->chardev, chardev_free);
	got = read_until(f, f->peer, "\033[0m");
	g_assert_true(g_str_has_suffix(got, "\033[0m"));
}

static void test_terminal_keys(struct fixture *f, gconstpointer data)
{
	static const struct {
		const char *keys;
		enum chardev_command command;
	} cases[] = {
		{ "\x1d.", CHARDEV_COMMAND_END },	   { "\x1dq", CHARDEV_COMMAND_END },
		{ "\x1dp", CHARDEV_COMMAND_PAUSE },	   { "\x1dr", CHARDEV_COMMAND_RESUME },
		{ "\x1ds", CHARDEV_COMMAND_POWER_BUTTON }, { "\x1d\x1a", CHARDEV_COMMAND_SUSPEND },
	};

	(void)data;
	if (!open_terminal_console(f))
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		unsigned before = f->commands[cases[i].command];

		type(f, cases[i].keys);
		WAIT_UNTIL(f, f->commands[cases[i].command] == before + 1);
	}
	type(f, "\x1d"
		"b");
	WAIT_UNTIL(f, f->breaks == 1);
	g_assert_cmpuint(f->received->len, ==, 0);
}

static void test_terminal_literal(struct fixture *f, gconstpointer data)
{
	(void)data;
	if (!open_terminal_console(f))
		return;
	/* ^C and ^Z are the guest's; an unknown key after the prefix cancels it and goes nowhere. */
	type(f, "a\x1d\x1d"
		"b\x03\x1a\x1dx!");
	WAIT_UNTIL(f, f->received->len == 6);
	g_assert_cmpmem(f->received->str, 6,
			"a\x1d"
			"b\x03\x1a!",
			6);
}

static void test_terminal_help(struct fixture *f, gconstpointer data)
{
	const struct chardev_key *row;
	g_autofree char *got = NULL;

	(void)data;
	if (!open_terminal_console(f))
		return;
	type(f, "\x1d?");
	got = read_until(f, f->peer, "leads back to the guest\r\n");
	for (size_t i = 0; (row = chardev_key_row(i)); i++)
		g_assert_nonnull(strstr(got, row->help));
}

/* The prefix alone ends the guest, and it is heard when the guest takes no input at all. */
static void test_terminal_prefix_alone(struct fixture *f, gconstpointer data)
{
	g_autofree char *flood = g_strnfill(3 * CHARDEV_CHUNK, 'x');

	(void)data;
	f->room = 0;
	if (!open_terminal_console(f))
		return;
	for (size_t done = 0; done < strlen(flood);) {
		ssize_t n = write(f->peer, flood + done, strlen(flood) - done);

		if (n > 0)
			done += (size_t)n;
		run_ready(f);
	}
	type(f, "\x1d");
	WAIT_UNTIL(f, f->commands[CHARDEV_COMMAND_END] == 1);
}

/* --- dying --- */

static void G_GNUC_NORETURN raw_child(struct fixture *f, int ready, int sig)
{
	struct rlimit no_core = { 0, 0 };
	struct chardev *chardev;

	/* An earlier test's terminal, or a sanitizer, may have a handler there. */
	signal(sig, SIG_DFL);
	chardev = chardev_new_streams(f->context, f->other, f->other, take_command, f, NULL);
	setrlimit(RLIMIT_CORE, &no_core);
	while (!is_raw(f->other))
		g_main_context_iteration(f->context, TRUE);
	if (write(ready, "r", 1) != 1 || !chardev)
		_exit(1);
	if (sig == SIGABRT)
		abort();
	raise(sig);
	for (;;)
		pause();
}

static void test_terminal_restored_by_signal(struct fixture *f, gconstpointer data)
{
	int sig = GPOINTER_TO_INT(data), status, ready[2];
	struct termios before, after;
	char byte;
	pid_t pid;

	if (!open_terminal(f))
		return;
	g_assert_cmpint(pipe(ready), ==, 0);
	g_assert_cmpint(tcgetattr(f->other, &before), ==, 0);
	pid = fork();
	g_assert_cmpint(pid, >=, 0);
	if (!pid)
		raw_child(f, ready[1], sig);
	g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFSIGNALED(status));
	g_assert_cmpint(WTERMSIG(status), ==, sig);
	g_assert_cmpint(tcgetattr(f->other, &after), ==, 0);
	expect_same_modes(&before, &after);
	fd_close(&ready[0]);
	fd_close(&ready[1]);
}

#define ADD(name, fn) g_test_add("/chardev/" name, struct fixture, NULL, set_up, fn, tear_down)

static void add_signal_tests(void)
{
	static const int deadly[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGSEGV, SIGBUS, SIGFPE, SIGABRT };

	for (size_t i = 0; i < G_N_ELEMENTS(deadly); i++) {
		g_autofree char *name = g_strdup_printf("/chardev/terminal/restored-by-SIG%s", sigabbrev_np(deadly[i]));

		g_test_add(name, struct fixture, GINT_TO_POINTER(deadly[i]), set_up, test_terminal_restored_by_signal,
			   tear_down);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	signal(SIGPIPE, SIG_IGN);
	ADD("file/refused", test_file_refused);
	ADD("unix/path-refused", test_unix_path_refused);
	ADD("unix/path-taken", test_unix_path_taken);
	ADD("null", test_null);
	ADD("tap", test_tap_sees_all);
	ADD("file/appends", test_file_appends);
	ADD("file/full-disk", test_full_disk);
	ADD("unix/talks", test_unix_talks);
	ADD("unix/stale-socket", test_unix_stale_socket);
	ADD("unix/unlinks-only-its-own", test_unix_unlinks_only_its_own);
	ADD("unix/one-at-a-time", test_unix_one_at_a_time);
	ADD("unix/half-closed", test_unix_half_closed);
	ADD("stream/passes-through", test_passes_through);
	ADD("stream/input-waits-for-room", test_input_waits_for_room);
	ADD("stream/slow-reader", test_slow_reader);
	ADD("stream/reader-gone", test_reader_gone);
	ADD("stream/threads", test_threads);
	ADD("terminal/restored", test_terminal_restored);
	ADD("terminal/size", test_terminal_size);
	ADD("terminal/tidied", test_terminal_tidied);
	ADD("terminal/keys", test_terminal_keys);
	ADD("terminal/literal", test_terminal_literal);
	ADD("terminal/help", test_terminal_help);
	ADD("terminal/prefix-alone", test_terminal_prefix_alone);
	add_signal_tests();
	return g_test_run();
}
