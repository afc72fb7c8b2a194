/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/operate.h"
#include "tui/cmd/life.h"

/*
 * Guards: what belongs to the domain beside its definition (a file of firmware variables) is not forgotten behind the user's back,
 * he says what becomes of it. Disk images are only deleted where a pool manages them; nothing is deleted before the definition is gone.
 */

static bool check_options(const struct args *args, GError **err)
{
	if (args_flag(args, "delete-storage-volume-snapshots") && !args_flag(args, "remove-all-storage"))
		return fail(err, LODGE_ERROR_USAGE, "--delete-storage-volume-snapshots requires --remove-all-storage");
	if (args_flag(args, "wipe-storage") && !args_flag(args, "remove-all-storage") && !args_string(args, "storage"))
		return fail(err, LODGE_ERROR_USAGE,
			    "--wipe-storage requires --storage <string> or --remove-all-storage");
	return true;
}

/* The file of firmware variables, when there is one that exists. */
static char *nvram_file(const struct domain *domain)
{
	g_autofree char *path = xml_get(domain->root, "os/nvram");

	return path && path[0] == '/' && !access(path, F_OK) ? g_steal_pointer(&path) : NULL;
}

static bool decide_nvram(const struct args *args, const char *nvram, GError **err)
{
	if (!nvram || args_flag(args, "nvram") || args_flag(args, "keep-nvram"))
		return true;
	return fail(err, LODGE_ERROR_STATE, "cannot undefine domain with nvram; say --nvram or --keep-nvram (%s)",
		    nvram);
}

/* Targets or source paths that the user named, each of which must be one of the domain's. */
static bool is_named(const char *list, const char *target, const char *source)
{
	g_auto(GStrv) names = g_strsplit(list, ",", -1);

	return g_strv_contains((const char *const *)names, target) ||
	       (source && g_strv_contains((const char *const *)names, source));
}

static char *disk_source(xmlNode *disk)
{
	static const char *const paths[] = { "source/@file", "source/@dev", "source/@dir", "source/@volume" };

	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
		char *source = xml_get(disk, paths[i]);

		if (source)
			return source;
	}
	return NULL;
}

static bool check_names(const struct domain *domain, const char *list, GError **err)
{
	g_auto(GStrv) names = g_strsplit(list ? list : "", ",", -1);

	for (size_t i = 0; names[i]; i++) {
		bool found = false;

		for (xmlNode *disk = xml_first(domain->root, "devices/disk"); disk && !found; disk = xml_next(disk)) {
			g_autofree char *target = xml_get(disk, "target/@dev");
			g_autofree char *source = disk_source(disk);

			found = is_named(names[i], target ? target : "", source);
		}
		if (!found)
			return fail(err, LODGE_ERROR_INPUT, "Volume '%s' was not found in domain's definition",
				    names[i]);
	}
	return true;
}

/* One line for each disk that was asked for and stays. */
static void tell_kept(struct session *session, const struct args *args, const struct domain *domain)
{
	const char *list = args_string(args, "storage");
	bool all = args_flag(args, "remove-all-storage");

	if (!list && !all)
		return;
	for (xmlNode *disk = xml_first(domain->root, "devices/disk"); disk; disk = xml_next(disk)) {
		g_autofree char *target = xml_get(disk, "target/@dev");
		g_autofree char *source = disk_source(disk);

		if (source && (all || is_named(list, target ? target : "", source))) {
			fprintf(session->err_out,
				"error: Storage volume '%s'(%s) is in no storage pool. Remove it manually.\n",
				target ? target : "-", source);
		}
	}
}

static bool undefine(struct session *session, const struct args *args, GError **err)
{
	g_autofree char *nvram = NULL;
	autoptr(dom) dom = check_options(args, err) ? life_find(session, args, err) : NULL;
	autoptr(domain) domain = dom && dom->persistent ? dom_definition(session->home, dom, false, err) : NULL;

	if (!dom || (dom->persistent && !domain))
		return false;
	if (domain) {
		nvram = nvram_file(domain);
		if ((args_string(args, "storage") || args_flag(args, "remove-all-storage")) && dom->id >= 0) {
			return fail(err, LODGE_ERROR_STATE,
				    "Storage volume deletion is supported only on stopped domains");
		}
		if (!check_names(domain, args_string(args, "storage"), err) || !decide_nvram(args, nvram, err))
			return life_failed(err, "undefine", dom->name);
	}
	if (!operate_undefine(session->home, dom, err))
		return life_failed(err, "undefine", dom->name);
	if (nvram && args_flag(args, "nvram") && unlink(nvram))
		return fail_errno(err, "%s: cannot remove the firmware variables", nvram);
	session_say(session, "Domain '%s' has been undefined\n", dom->name);
	if (domain)
		tell_kept(session, args, domain);
	return true;
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "managed-save", .type = ARG_FLAG, .help = "remove the saved state" },
	{ .name = "storage",
	  .type = ARG_STRING,
	  .help = "delete these volumes: targets or source paths, separated by commas" },
	{ .name = "remove-all-storage", .type = ARG_FLAG, .help = "delete every volume of the domain" },
	{ .name = "delete-storage-volume-snapshots",
	  .type = ARG_FLAG,
	  .help = "with their snapshots; needs --remove-all-storage" },
	{ .name = "wipe-storage", .type = ARG_FLAG, .help = "overwrite the volumes before they are deleted" },
	{ .name = "snapshots-metadata",
	  .type = ARG_FLAG,
	  .help = "forget the domain's snapshots (it must be inactive)" },
	{ .name = "checkpoints-metadata",
	  .type = ARG_FLAG,
	  .help = "forget the domain's checkpoints (it must be inactive)" },
	{ .name = "nvram", .type = ARG_FLAG, .help = "delete the file of firmware variables" },
	{ .name = "keep-nvram", .type = ARG_FLAG, .help = "keep the file of firmware variables" },
	{ .name = "tpm", .type = ARG_FLAG, .help = "delete the TPM's state" },
	{ .name = "keep-tpm", .type = ARG_FLAG, .help = "keep the TPM's state" },
	ARG_END,
};

const struct command cmd_undefine = {
	.name = "undefine",
	.group = GROUP_DOMAIN,
	.flags = COMMAND_CHANGES,
	.help = "remove a domain's definition; a running one becomes transient",
	.about =
		"A running VM goes on and is forgotten when it stops. Disk images stay unless you ask for their deletion, and "
		"then only those in a storage pool are deleted.",
	.args = args,
	.exclusive = "nvram|keep-nvram, tpm|keep-tpm, storage|remove-all-storage",
	.run = undefine,
};
