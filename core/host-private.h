/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_HOST_PRIVATE_H
#define LODGE_CORE_HOST_PRIVATE_H

#include "core/host.h"

/* Between the files of core/host*.c only. */

/* The file's text without white space at its ends; NULL: not there, or empty. g_free(). */
char *host_read_line(const char *root, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool host_read_number(const char *root, uint64_t *value, const char *path);
bool host_has_entries(const char *root, const char *dir);

/* struct host_cell; one with all memory and processors where the kernel knows no cells. */
GPtrArray *host_cells_read(const char *root, uint64_t memory, const struct cpuset *online);

#endif
