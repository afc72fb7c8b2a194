/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"

#define VALUE_MAX 4096u

static const struct controller {
	const char *v1, *v2;
	bool threaded; /* v2: may have lower groups with single threads */
} controllers[] = {
	[CGROUP_CPU] = { "cpu", "cpu", true },
	[CGROUP_MEMORY] = { "memory", "memory", false },
	[CGROUP_BLKIO] = { "blkio", "io", false },
};
G_STATIC_ASSERT(G_N_ELEMENTS(controllers) == CGROUP_N_CONTROLLERS);

struct cgroup {
	char *root, *id;
	char *dir[CGROUP_N_CONTROLLERS]; /* the VM's group; NULL: not looked for yet, or not to be had */
	bool v2[CGROUP_N_CONTROLLERS];
};

struct cgroup *cgroup_new(const char *root, const char *id)
{
	struct cgroup *cgroup = g_new0(struct cgroup, 1);

	cgroup->root = g_strdup(root);
	cgroup->id = g_strdup(id);
	return cgroup;
}

void cgroup_free(struct cgroup *cgroup)
{
	for (size_t i = 0; i < CGROUP_N_CONTROLLERS; i++)
		g_free(cgroup->dir[i]);
	g_free(cgroup->root);
	g_free(cgroup->id);
	g_free(cgroup);
}

/* --- where --- */

static bool lists_word(const char *text, const char *word)
{
	g_auto(GStrv) words = g_strsplit_set(text, " ,\n", -1);

	return g_strv_contains((const char *const *)words, word);
}

/*
 * This process's group in the hierarchy of a v1 controller, or (NULL) in that of v2: a line "N:controllers:path" of
 * /proc/self/cgroup, cgroups(7).
 */
static char *own_group(const char *controller)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents("/proc/self/cgroup", &text, NULL, NULL))
		return NULL;
	lines = g_strsplit(text, "\n", -1);
	for (size_t i = 0; lines[i]; i++) {
		g_auto(GStrv) fields = g_strsplit(lines[i], ":", 3);

		if (g_strv_length(fields) != 3)
			continue;
		if (controller ? lists_word(fields[1], controller) : !*fields[1])
			return g_strdup(fields[2]);
	}
	return NULL;
}

/* The parent of all of ours: "lodge" in our own group, or beside it when that one is itself a VM's. */
static char *join(const char *mount, const char *group, const char *id)
{
	const char *inner = strstr(group, "/lodge/");
	g_autofree char *outer = g_strndup(group, inner ? (gsize)(inner - group) : strlen(group));

	return g_build_filename(mount, outer, "lodge", id, NULL);
}

static char *v1_dir(const struct cgroup *cgroup, const struct controller *controller)
{
	g_autofree char *mount = g_build_filename(cgroup->root, controller->v1, NULL);
	g_autofree char *group = own_group(controller->v1);
	g_autofree char *inside = group ? g_build_filename(mount, group, NULL) : NULL;

	if (!group)
		return NULL;
	/* In a container the path of /proc may not be visible below the mount, which then shows our own group. */
	return join(mount, g_file_test(inside, G_FILE_TEST_IS_DIR) ? group : "/", cgroup->id);
}

static char *v2_dir(const struct cgroup *cgroup, const struct controller *controller)
{
	g_autofree char *list_path = g_build_filename(cgroup->root, "cgroup.controllers", NULL);
	g_autofree char *list = NULL, *group = own_group(NULL), *inside = NULL;

	if (!group || !g_file_get_contents(list_path, &list, NULL, NULL) || !lists_word(list, controller->v2))
		return NULL;
	inside = g_build_filename(cgroup->root, group, NULL);
	return join(cgroup->root, g_file_test(inside, G_FILE_TEST_IS_DIR) ? group : "/", cgroup->id);
}

static const char *find_dir(struct cgroup *cgroup, enum cgroup_controller controller)
{
	const struct controller *row = &controllers[controller];

	if (!cgroup->dir[controller]) {
		cgroup->dir[controller] = v2_dir(cgroup, row);
		cgroup->v2[controller] = cgroup->dir[controller] != NULL;
	}
	if (!cgroup->dir[controller])
		cgroup->dir[controller] = v1_dir(cgroup, row);
	return cgroup->dir[controller];
}

/* --- files --- */

static bool write_file(const char *dir, const char *file, const char *value, GError **err)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return fail_errno(err, "%s: cannot open", path);
	if (write(fd, value, strlen(value)) < 0)
		return fail_errno(err, "%s: cannot write '%s'", path, value);
	return true;
}

static char *read_file(const char *dir, const char *file)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char value[VALUE_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof(value));

	return n < 0 ? NULL : g_strchomp(g_strndup(value, (gsize)n));
}

/* --- making --- */

static bool make_dir(const char *dir, GError **err)
{
	if (!mkdir(dir, 0755) || errno == EEXIST)
		return true;
	if (errno == EACCES || errno == EPERM || errno == EROFS) {
		return fail(
			err, LODGE_ERROR_DENIED,
			"%s: no right to make control groups; run as root, or below systemd-run --user -p Delegate=yes",
			dir);
	}
	return fail_errno(err, "%s: cannot make the control group", dir);
}

/* v2: a group's children only have the controllers it hands down. */
static bool hand_down(const char *dir, const char *controller, GError **err)
{
	g_autofree char *have = read_file(dir, "cgroup.subtree_control");
	g_autofree char *value = g_strconcat("+", controller, NULL);

	return (have && lists_word(have, controller)) || write_file(dir, "cgroup.subtree_control", value, err);
}

bool cgroup_make(struct cgroup *cgroup, enum cgroup_controller controller, bool *v2, GError **err)
{
	const char *dir = find_dir(cgroup, controller);
	g_autofree char *parent = dir ? g_path_get_dirname(dir) : NULL;
	g_autofree char *above = parent ? g_path_get_dirname(parent) : NULL;

	if (!dir) {
		return fail(err, LODGE_ERROR_UNSUPPORTED, "this host has no control group controller for %s",
			    controllers[controller].v1);
	}
	*v2 = cgroup->v2[controller];
	if (*v2 && !hand_down(above, controllers[controller].v2, err))
		return false;
	if (!make_dir(parent, err))
		return false;
	if (*v2 && !hand_down(parent, controllers[controller].v2, err))
		return false;
	return make_dir(dir, err);
}

static bool make_sub(struct cgroup *cgroup, enum cgroup_controller controller, const char *dir, const char *sub,
		     GError **err)
{
	g_autofree char *path = g_build_filename(dir, sub, NULL);

	if (g_file_test(path, G_FILE_TEST_IS_DIR))
		return true;
	if (!make_dir(path, err))
		return false;
	if (!cgroup->v2[controller])
		return true;
	return write_file(path, "cgroup.type", "threaded", err) && hand_down(dir, controllers[controller].v2, err);
}

bool cgroup_write(struct cgroup *cgroup, enum cgroup_controller controller, const char *sub, const char *file,
		  const char *value, GError **err)
{
	const char *dir = find_dir(cgroup, controller);
	g_autofree char *path = dir ? g_build_filename(dir, sub ? sub : ".", NULL) : NULL;

	if (!dir)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "this host has no control group controller for %s",
			    controllers[controller].v1);
	return (!sub || make_sub(cgroup, controller, dir, sub, err)) && write_file(path, file, value, err);
}

char *cgroup_read(struct cgroup *cgroup, enum cgroup_controller controller, const char *sub, const char *file)
{
	const char *dir = find_dir(cgroup, controller);
	g_autofree char *path = dir ? g_build_filename(dir, sub ? sub : ".", NULL) : NULL;

	return path ? read_file(path, file) : NULL;
}

bool cgroup_has(struct cgroup *cgroup, enum cgroup_controller controller, const char *file)
{
	const char *dir = find_dir(cgroup, controller);
	g_autofree char *path = dir ? g_build_filename(dir, file, NULL) : NULL;

	return path && !access(path, F_OK);
}

/* --- members --- */

bool cgroup_add_process(struct cgroup *cgroup, pid_t pid, GError **err)
{
	g_autofree char *value = g_strdup_printf("%d", pid);

	for (size_t i = 0; i < CGROUP_N_CONTROLLERS; i++) {
		if (cgroup->dir[i] && g_file_test(cgroup->dir[i], G_FILE_TEST_IS_DIR) &&
		    !write_file(cgroup->dir[i], "cgroup.procs", value, err))
			return false;
	}
	return true;
}

bool cgroup_add_thread(struct cgroup *cgroup, enum cgroup_controller controller, const char *sub, pid_t tid,
		       GError **err)
{
	g_autofree char *value = g_strdup_printf("%d", tid);

	return cgroup_write(cgroup, controller, sub, cgroup->v2[controller] ? "cgroup.threads" : "tasks", value, err);
}

static void remove_dir(const char *dir)
{
	DIR *stream = opendir(dir);
	const struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		g_autofree char *sub = NULL;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		sub = g_build_filename(dir, entry->d_name, NULL);
		rmdir(sub);
	}
	if (stream)
		closedir(stream);
	rmdir(dir);
}

void cgroup_remove(struct cgroup *cgroup)
{
	for (size_t i = 0; i < CGROUP_N_CONTROLLERS; i++) {
		const char *dir = find_dir(cgroup, (enum cgroup_controller)i);

		if (dir)
			remove_dir(dir);
	}
}
