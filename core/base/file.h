/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_BASE_FILE_H
#define LODGE_CORE_BASE_FILE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Files whose content must never be lost or half seen. Every path is relative to dirfd (AT_FDCWD works); errors name
 * the path. Any thread.
 */

/*
 * The whole regular file, at most max bytes (LODGE_ERROR_INPUT beyond, without reading it all); NUL-terminated behind
 * *len bytes (len may be NULL). g_free().
 */
char *file_read(int dirfd, const char *path, size_t max, size_t *len, GError **err);

/*
 * The file holds data afterwards, or is untouched and false comes back: written beside it, fsync, rename, fsync of
 * the directory. A left-over of a killed writer (".new") is replaced by the next one in the same directory.
 */
bool file_replace(int dirfd, const char *path, const void *data, size_t len, mode_t mode, GError **err);

/*
 * Same, but nobody waits for the disk: for files that mean nothing any more when the host has crashed.
 */
bool file_publish(int dirfd, const char *path, const void *data, size_t len, mode_t mode, GError **err);

/* Gone for good when true comes back (directory synced); a missing file is not an error. */
bool file_remove(int dirfd, const char *path, GError **err);

/* Same for a rename within dirfd; refuses (LODGE_ERROR_STATE) when to exists. */
bool file_rename(int dirfd, const char *from, const char *to, GError **err);

/* Makes the directory and its missing parents. */
bool dir_make(const char *path, mode_t mode, GError **err);

/* Waits until the directory that path is in is on the disk. */
bool dir_sync_parent(int dirfd, const char *path, GError **err);

/* Removes a directory with everything below it, following no link; a missing one is not an error. */
bool dir_remove(int dirfd, const char *path, GError **err);

/*
 * flock() on a file that is made when missing and never removed. The descriptor holds the lock: closing the last copy
 * (also in other processes) gives it up. Waits; file_try_lock() returns -1 without an error when somebody has it.
 */
int file_lock(int dirfd, const char *path, bool exclusive, GError **err);
int file_try_lock(int dirfd, const char *path, GError **err);

#endif
