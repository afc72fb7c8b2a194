/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/editor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "tui/cmd/life.h"

static const char *editor_name(void)
{
	const char *editor = g_getenv("VISUAL");

	if (!editor || !*editor)
		editor = g_getenv("EDITOR");
	return editor && *editor ? editor : "vi";
}

static bool write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

char *editor_file(const char *text, const char *suffix, GError **err)
{
	g_autofree char *name = g_strconcat("lodge-XXXXXX", suffix, NULL);
	g_autofree char *path = g_build_filename(g_get_tmp_dir(), name, NULL);
	auto_fd int fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_errno_null(err, "%s: cannot make a file to edit", path);
	if (write_all(fd, text, strlen(text)))
		return g_steal_pointer(&path);
	fail_errno(err, "%s: cannot write", path);
	unlink(path);
	return NULL;
}

/* $EDITOR may be a command with arguments; the shell takes it apart, the file's name is passed beside it. */
bool editor_run(const char *path, GError **err)
{
	g_autofree char *script = g_strdup_printf("%s \"$1\"", editor_name());
	g_autofree char *file = g_strdup(path);
	char *argv[] = { "/bin/sh", "-c", script, "sh", file, NULL };
	int status;

	if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL, &status, err))
		return false;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	return fail(err, LODGE_ERROR_STATE, "the editor (%s) failed", editor_name());
}

char *editor_text(const char *text, GError **err)
{
	g_autofree char *path = editor_file(text, ".txt", err);
	char *edited = NULL;

	if (!path)
		return NULL;
	if (editor_run(path, err))
		edited = life_read_file(path, err);
	unlink(path);
	return edited;
}
