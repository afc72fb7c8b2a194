/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/log-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * The folder is opened once, at the start; rotation names files in it only by their last component, so it works also
 * when the process may open no other path any more. A log that cannot be rotated goes on growing: the guest's words
 * are worth more than the limit.
 */
struct log_file {
	int dir_fd, fd;
	char *name; /* in dir_fd */
	bool timestamps, line_begins;
	uint64_t size, max_size, lost;
	unsigned keep;
	int64_t (*now)(void);
	GString *text; /* being put together */
};

static int open_in(struct log_file *log, int flags)
{
	return openat(log->dir_fd, log->name, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags,
		      0600);
}

static bool open_log(struct log_file *log, const struct mux_log *how, GError **err)
{
	g_autofree char *dir = g_path_get_dirname(how->path);
	struct stat st;

	log->name = g_path_get_basename(how->path);
	log->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (log->dir_fd < 0)
		return fail_errno(err, "%s: cannot open the folder of the console's log", dir);
	log->fd = open_in(log, how->append ? 0 : O_TRUNC);
	if (log->fd < 0)
		return fail_errno(err, "%s: cannot open the console's log", how->path);
	if (!fstat(log->fd, &st) && S_ISREG(st.st_mode))
		log->size = (uint64_t)st.st_size;
	else
		log->max_size = 0; /* a device or a FIFO: there is nothing to rotate */
	return true;
}

struct log_file *log_file_new(const struct mux_log *how, GError **err)
{
	autoptr(log_file) log = g_new0(struct log_file, 1);

	log->dir_fd = log->fd = -1;
	log->text = g_string_new(NULL);
	log->timestamps = how->timestamps;
	log->max_size = how->max_size;
	log->keep = how->keep;
	log->line_begins = true;
	log->now = g_get_real_time;
	if (!open_log(log, how, err))
		return NULL;
	return g_steal_pointer(&log);
}

void log_file_free(struct log_file *log)
{
	if (!log)
		return;
	fd_close(&log->fd);
	fd_close(&log->dir_fd);
	g_free(log->name);
	g_string_free(log->text, TRUE);
	g_free(log);
}

void log_file_set_clock(struct log_file *log, int64_t (*now)(void))
{
	log->now = now ? now : g_get_real_time;
}

static char *old_name(const struct log_file *log, unsigned i)
{
	return g_strdup_printf("%s.%u", log->name, i);
}

/* NAME becomes NAME.0, that NAME.1 ...; the oldest goes. Without old ones to keep the file starts over. */
static void rotate(struct log_file *log)
{
	int fd;

	for (unsigned i = log->keep; i > 0; i--) {
		g_autofree char *from = i > 1 ? old_name(log, i - 2) : g_strdup(log->name);
		g_autofree char *to = old_name(log, i - 1);

		if (renameat(log->dir_fd, from, log->dir_fd, to) && errno != ENOENT)
			return;
	}
	fd = open_in(log, O_TRUNC);
	if (fd < 0)
		return;
	fd_close(&log->fd);
	log->fd = fd;
	log->size = 0;
}

static void put(struct log_file *log, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(log->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log->lost += len;
			return;
		}
		data += n;
		len -= (size_t)n;
		log->size += (uint64_t)n;
	}
}

static void append_time(struct log_file *log)
{
	int64_t now = log->now();
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(now / G_USEC_PER_SEC);
	g_autofree char *text = time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S") : g_strdup("?");

	g_string_append_printf(log->text, "%s.%03dZ ", text, (int)(now % G_USEC_PER_SEC / 1000));
}

static void append_lost(struct log_file *log)
{
	if (!log->lost)
		return;
	g_string_append_printf(log->text, "%s[lodge: %" G_GUINT64_FORMAT " bytes lost]\n", log->line_begins ? "" : "\n",
			       log->lost);
	log->lost = 0;
}

static void append_stamped(struct log_file *log, const uint8_t *data, size_t len)
{
	while (len) {
		const uint8_t *end = memchr(data, '\n', len);
		size_t part = end ? (size_t)(end - data) + 1 : len;

		if (log->line_begins)
			append_time(log);
		g_string_append_len(log->text, (const char *)data, (gssize)part);
		log->line_begins = end;
		data += part;
		len -= part;
	}
}

void log_file_write(struct log_file *log, const uint8_t *data, size_t len)
{
	if (!len)
		return;
	g_string_truncate(log->text, 0);
	append_lost(log);
	if (log->timestamps)
		append_stamped(log, data, len);
	else
		g_string_append_len(log->text, (const char *)data, (gssize)len);
	log->line_begins = data[len - 1] == '\n';
	if (log->max_size && log->size && log->text->len > log->max_size - MIN(log->size, log->max_size))
		rotate(log);
	put(log, log->text->str, log->text->len);
}
