/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/life.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/model/xml.h"
#include "tui/console-session.h"

struct dom *life_find(struct session *session, const struct args *args, GError **err)
{
	struct home *home = session_home(session, err);

	return home ? domains_find(home, args_string(args, "domain"), err) : NULL;
}

/* Appends what is there; 0 at the end, -1 with an error. */
static ssize_t read_some(int fd, const char *path, GString *text, GError **err)
{
	char buffer[65536];
	ssize_t n;

	do
		n = read(fd, buffer, sizeof(buffer));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		fail_errno(err, "%s: cannot read", path);
	else
		g_string_append_len(text, buffer, n);
	return n;
}

char *life_read_file(const char *path, GError **err)
{
	g_autoptr(GString) text = g_string_new(NULL);
	auto_fd int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : fcntl(0, F_DUPFD_CLOEXEC, 3);
	ssize_t n;

	if (fd < 0)
		return fail_errno_null(err, "%s: cannot open", path);
	do {
		n = read_some(fd, path, text, err);
		if (n < 0)
			return NULL;
		if (text->len > XML_MAX_SIZE)
			return fail_null(err, LODGE_ERROR_INPUT, "%s: larger than %u MiB", path, XML_MAX_SIZE >> 20);
	} while (n > 0);
	if (memchr(text->str, 0, text->len))
		return fail_null(err, LODGE_ERROR_INPUT, "%s: not XML: it contains zero bytes", path);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

bool life_failed(GError **err, const char *verb, const char *name)
{
	g_prefix_error(err, "Failed to %s domain '%s'\n", verb, name);
	return false;
}

bool life_launch_options(const struct args *args, struct launch_options *options, GError **err)
{
	if (args_string(args, "pass-fds"))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "--pass-fds is for containers: a VM's guest has no use for descriptors");
	*options = (struct launch_options){
		.paused = args_flag(args, "paused"),
		.autodestroy = args_flag(args, "autodestroy"),
	};
	return true;
}

void life_show_notices(struct session *session, const GPtrArray *notices)
{
	for (guint i = 0; i < notices->len; i++)
		fprintf(session->err_out, "%s\n", (const char *)notices->pdata[i]);
}

bool life_attach_console(struct session *session, const struct args *args, const char *name, GError **err)
{
	return !args_flag(args, "console") || console_session(session, name, NULL, 0, err);
}
