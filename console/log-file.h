/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_LOG_FILE_H
#define LODGE_CONSOLE_LOG_FILE_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "console/mux.h"

/* The log of a console: a file that stays below its size by becoming PATH.0, PATH.1 ... One thread. */
struct log_file;

struct log_file *log_file_new(const struct mux_log *how, GError **err);
void log_file_free(struct log_file *log);
DEFINE_AUTOPTR(log_file, log_file_free)

/* Never fails: what the disk does not take is lost, and counted in a line as soon as it takes some again. */
void log_file_write(struct log_file *log, const uint8_t *data, size_t len);

/* The time a line gets; for tests. UNIX time in microseconds. NULL: the real one. */
void log_file_set_clock(struct log_file *log, int64_t (*now)(void));

#endif
