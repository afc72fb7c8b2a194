/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/events.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/wire.h"

/*
 * A listener's box is two files with its own name: a FIFO, and a file NAME.lost. A line of at most PIPE_BUF bytes goes
 * into a FIFO whole, whoever else writes; when it does not fit, the sender adds one byte to the other file instead, and
 * the listener adds their number to the next event it reads. A FIFO that nobody reads belongs to a listener that was
 * killed: who finds it removes both.
 *
 * A FIFO gets its visible name after it was opened for reading, so it is never taken for a dead one.
 */
#define MAX_LINE 4096u /* PIPE_BUF on Linux */
#define BOX_SIZE (1u << 20)
#define LOST ".lost"

struct events {
	int dir, fifo, lost;
	char *name;
	GString *in;
	off_t told; /* lost events already reported */
};

static char *events_dir(const struct home *home)
{
	return g_build_filename(home->runtime_dir, "events", NULL);
}

/* --- sending --- */

/* One line; without the whole QMP event of a "monitor" event when that makes it too long. */
static GString *format_line(json_t *event)
{
	auto_json json_t *shorter = NULL;
	char *text = json_dumps(event, JSON_COMPACT);
	GString *line;

	if (text && strlen(text) >= MAX_LINE) {
		free(text);
		shorter = json_copy(event);
		json_object_set_new(shorter, "qmp", json_null());
		json_object_set_new(shorter, "truncated", json_true());
		text = json_dumps(shorter, JSON_COMPACT);
	}
	line = text && strlen(text) < MAX_LINE ? g_string_new(text) : NULL;
	free(text);
	return line ? g_string_append_c(line, '\n') : NULL;
}

static void note_lost(int dir, const char *name)
{
	g_autofree char *file = g_strconcat(name, LOST, NULL);
	auto_fd int fd = openat(dir, file, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 && write(fd, "x", 1) < 0)
		g_debug("%s: %s", file, g_strerror(errno));
}

static void remove_box(int dir, const char *name)
{
	g_autofree char *file = g_strconcat(name, LOST, NULL);

	unlinkat(dir, name, 0);
	unlinkat(dir, file, 0);
}

static void send_line(int dir, const char *name, const GString *line)
{
	auto_fd int fd = openat(dir, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENXIO)
		remove_box(dir, name);
	else if (fd >= 0 && write(fd, line->str, line->len) != (ssize_t)line->len)
		note_lost(dir, name);
}

static bool is_box(const char *name)
{
	return name[0] != '.' && !g_str_has_suffix(name, LOST);
}

void events_emit(const struct home *home, json_t *event)
{
	g_autofree char *path = events_dir(home);
	const struct dirent *entry;
	GString *line = NULL;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	if (!json_object_get(event, "time_us"))
		json_object_set_new(event, "time_us", json_integer(g_get_real_time()));
	while ((entry = readdir(dir))) {
		if (!is_box(entry->d_name))
			continue;
		if (!line)
			line = format_line(event);
		if (!line)
			break;
		send_line(dirfd(dir), entry->d_name, line);
	}
	if (line)
		g_string_free(line, TRUE);
	closedir(dir);
}

void events_emit_lifecycle(const struct home *home, const char *name, const char *uuid, const char *type,
			   const char *detail)
{
	auto_json json_t *event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "event", "lifecycle", "kind", "domain",
					    "name", name, "uuid", uuid, "type", type, "detail", detail);

	if (event)
		events_emit(home, event);
}

/* --- listening --- */

static bool open_box(struct events *events, GError **err)
{
	g_autofree char *hidden = g_strconcat(".", events->name, NULL);
	g_autofree char *lost = g_strconcat(events->name, LOST, NULL);

	if (mkfifoat(events->dir, hidden, 0600))
		return fail_errno(err, "cannot listen to events");
	/* For writing as well: the end of the last sender is not the end of the stream. */
	events->fifo = openat(events->dir, hidden, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	events->lost = openat(events->dir, lost, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (events->fifo < 0 || events->lost < 0 || renameat(events->dir, hidden, events->dir, events->name)) {
		fail_errno(err, "cannot listen to events");
		unlinkat(events->dir, hidden, 0);
		return false;
	}
	/* Larger, if the host allows it. */
	fcntl(events->fifo, F_SETPIPE_SZ, BOX_SIZE);
	return true;
}

struct events *events_listen(const struct home *home, GError **err)
{
	g_autofree char *path = events_dir(home);
	autoptr(events) events = g_new0(struct events, 1);

	events->dir = events->fifo = events->lost = -1;
	events->in = g_string_new(NULL);
	if (!dir_make(path, 0700, err))
		return NULL;
	events->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (events->dir < 0)
		return fail_errno_null(err, "%s: cannot open", path);
	events->name = g_strdup_printf("%d-%08x", (int)getpid(), g_random_int());
	return open_box(events, err) ? g_steal_pointer(&events) : NULL;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	if (events->dir >= 0 && events->name)
		remove_box(events->dir, events->name);
	fd_close(&events->fifo);
	fd_close(&events->lost);
	fd_close(&events->dir);
	g_string_free(events->in, TRUE);
	g_free(events->name);
	g_free(events);
}

int events_fd(const struct events *events)
{
	return events->fifo;
}

static void add_lost(struct events *events, json_t *event)
{
	struct stat st;

	if (fstat(events->lost, &st) || st.st_size <= events->told)
		return;
	json_object_set_new(event, "lost", json_integer(st.st_size - events->told));
	events->told = st.st_size;
}

/* A whole line that was read already; a line that is no object is nobody's event. */
static json_t *take_line(struct events *events)
{
	char *newline;

	while ((newline = memchr(events->in->str, '\n', events->in->len))) {
		size_t len = (size_t)(newline - events->in->str);
		json_t *event = json_loadb(events->in->str, len, 0, NULL);

		g_string_erase(events->in, 0, (gssize)len + 1);
		if (json_is_object(event)) {
			add_lost(events, event);
			return event;
		}
		json_decref(event);
	}
	return NULL;
}

/* False: an error. */
static bool read_lines(struct events *events, GError **err)
{
	char bytes[MAX_LINE * 4];
	ssize_t n = read(events->fifo, bytes, sizeof(bytes));

	if (n > 0)
		g_string_append_len(events->in, bytes, n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)) || fail_errno(err, "cannot read events");
}

json_t *events_next(struct events *events, int timeout_ms, GError **err)
{
	int64_t end = timeout_ms < 0 ? -1 : g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
	json_t *event;

	while (!(event = take_line(events))) {
		struct pollfd poll_fd = { .fd = events->fifo, .events = POLLIN };
		int64_t left = end < 0 ? -1 : MAX(0, (end - g_get_monotonic_time() + 999) / 1000);
		int ready = poll(&poll_fd, 1, (int)MIN(left, G_MAXINT));

		if (ready < 0)
			return errno == EINTR ? NULL : fail_errno_null(err, "cannot wait for events");
		if (!ready)
			return NULL;
		if (!read_lines(events, err))
			return NULL;
	}
	return event;
}
