/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/cmd/edit-text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "tui/cmd/life.h"

static const char *editor_name(void)
{
	const char *editor = g_getenv("VISUAL");

	if (!editor || !*editor)
		editor = g_getenv("EDITOR");
	return editor && *editor ? editor : "vi";
}

static bool write_text(int fd, const char *path, const char *text, GError **err)
{
	size_t len = strlen(text);
	bool written = write(fd, text, len) == (ssize_t)len;

	if (close(fd) == 0 && written)
		return true;
	return fail_errno(err, "%s: cannot write", path);
}

static bool run_editor(const char *path, GError **err)
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

char *edit_text(const char *text, GError **err)
{
	g_autofree char *path = g_build_filename(g_get_tmp_dir(), "lodge-XXXXXX.txt", NULL);
	int fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
	char *edited = NULL;

	if (fd < 0)
		return fail_errno_null(err, "%s: cannot make a file to edit", path);
	if (write_text(fd, path, text, err) && run_editor(path, err))
		edited = life_read_file(path, err);
	unlink(path);
	return edited;
}
