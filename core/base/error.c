/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"

#include <errno.h>

static const char *const error_names[] = {
	[LODGE_ERROR_SYSTEM] = "system",
	[LODGE_ERROR_INPUT] = "input",
	[LODGE_ERROR_USAGE] = "usage",
	[LODGE_ERROR_STATE] = "state",
	[LODGE_ERROR_DENIED] = "denied",
	[LODGE_ERROR_UNSUPPORTED] = "unsupported",
	[LODGE_ERROR_GUEST] = "guest",
	[LODGE_ERROR_INTERNAL] = "internal",
};

G_STATIC_ASSERT(G_N_ELEMENTS(error_names) == LODGE_N_ERRORS);

G_DEFINE_QUARK(lodge-error-quark, lodge_error)

const char *lodge_error_name(enum lodge_error code)
{
	return (size_t)code < G_N_ELEMENTS(error_names) ? error_names[code] : "internal";
}

static void G_GNUC_PRINTF(3, 0) raise_text(GError **err, enum lodge_error code, const char *format, va_list ap)
{
	g_autofree char *text = g_strdup_vprintf(format, ap);

	g_set_error_literal(err, LODGE_ERROR, (int)code, text);
}

static void G_GNUC_PRINTF(3, 0) raise_errno(GError **err, int saved, const char *format, va_list ap)
{
	g_autofree char *text = g_strdup_vprintf(format, ap);
	enum lodge_error code = saved == EACCES || saved == EPERM ? LODGE_ERROR_DENIED : LODGE_ERROR_SYSTEM;

	g_set_error(err, LODGE_ERROR, (int)code, "%s: %s", text, g_strerror(saved));
}

bool fail(GError **err, enum lodge_error code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	raise_text(err, code, format, ap);
	va_end(ap);
	return false;
}

void *fail_null(GError **err, enum lodge_error code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	raise_text(err, code, format, ap);
	va_end(ap);
	return NULL;
}

bool fail_errno(GError **err, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	raise_errno(err, saved, format, ap);
	va_end(ap);
	return false;
}

void *fail_errno_null(GError **err, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	raise_errno(err, saved, format, ap);
	va_end(ap);
	return NULL;
}
