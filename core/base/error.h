/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_BASE_ERROR_H
#define LODGE_CORE_BASE_ERROR_H

#include <glib.h>
#include <stdbool.h>

/*
 * One error domain for the whole program; the code says what kind of thing went wrong, and so which exit
 * code and which JSON "kind" the front end answers with. The message is one sentence without a full stop,
 * written for the person who has to act on it; it names the object (file, option, device) first.
 */
#define LODGE_ERROR (lodge_error_quark())

enum lodge_error {
	LODGE_ERROR_SYSTEM,	 /* the host refused: a system call failed */
	LODGE_ERROR_INPUT,	 /* a file, a definition or a message is not what it should be */
	LODGE_ERROR_USAGE,	 /* the command line is wrong: exit code 2 */
	LODGE_ERROR_STATE,	 /* not possible in the present state */
	LODGE_ERROR_DENIED,	 /* rights are missing */
	LODGE_ERROR_UNSUPPORTED, /* Lodge or this host cannot do it */
	LODGE_ERROR_GUEST,	 /* the guest did something that ends it */
	LODGE_ERROR_INTERNAL,	 /* our own mistake */
	LODGE_N_ERRORS
};

GQuark lodge_error_quark(void);

/* "system", "input", ...: the name used in JSON. */
const char *lodge_error_name(enum lodge_error code);

/*
 * Raise, format and return in one expression: `return fail(err, LODGE_ERROR_INPUT, "%s: not a kernel", path);`
 * Always returns false, so that functions returning bool can end with it. fail_null() is for those that
 * return a pointer. err may be NULL.
 */
bool fail(GError **err, enum lodge_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);
void *fail_null(GError **err, enum lodge_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/*
 * Same for a failed system call: appends ": " and the text of errno. EACCES and EPERM become
 * LODGE_ERROR_DENIED, everything else LODGE_ERROR_SYSTEM.
 */
bool fail_errno(GError **err, const char *format, ...) G_GNUC_PRINTF(2, 3);
void *fail_errno_null(GError **err, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
