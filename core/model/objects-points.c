/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots, checkpoints and backups of a domain. */
#include <string.h>

#include "core/model/objects-steps.h"
#include "core/model/xml.h"

/* The oldest form of a snapshot names its domain by the UUID only: nothing about how it was. */
static bool is_only_named(xmlNode *domain)
{
	xmlNode *child = xml_child(domain);

	return child && !strcmp((const char *)child->name, "uuid") && !xml_sibling(child);
}

/* What Lodge itself writes is not taken from a new definition. */
static void prepare_point(xmlNode *root, unsigned flags)
{
	static const char *const ours[] = { "creationTime",   "state",	"parent", "domain",
					    "inactiveDomain", "active", "cookie" };
	xmlNode *domain;

	for (size_t i = 0; !(flags & OBJECT_REDEFINE) && i < G_N_ELEMENTS(ours); i++)
		object_drop(root, ours[i]);
	domain = xml_find(root, "domain");
	if (domain && is_only_named(domain))
		xml_remove(domain);
}

static void fill_point(xmlNode *root, unsigned flags)
{
	(void)flags;
	if (!xml_find(root, "creationTime"))
		xml_setf(root, "creationTime", "%" G_GINT64_FORMAT, g_get_real_time() / G_USEC_PER_SEC);
	if (!xml_find(root, "name")) {
		g_autofree char *time = xml_get(root, "creationTime");

		xml_set(root, "name", time);
	}
}

static bool check_point_name(xmlNode *root, const char *path, GError **err)
{
	xmlNode *node = xml_find(root, path);
	g_autofree char *name = node ? xml_get(node, ".") : NULL;

	if (name && (!*name || *name == '.' || strpbrk(name, "/\n\r")))
		return fail_xml(err, node, NULL, "'%s' is not a name: not empty, no '/', no line ends, no '.' in front",
				name);
	return true;
}

/* --- snapshots --- */

static void fill_snapshot(xmlNode *root, unsigned flags)
{
	fill_point(root, flags);
	if (object_has(root, "memory/@file"))
		object_default(root, "memory/@snapshot", "external");
	for (xmlNode *disk = xml_first(root, "disks/disk"); disk; disk = xml_next(disk)) {
		if (xml_find(disk, "source"))
			object_default(disk, "@snapshot", "external");
		if (xml_is(disk, "@snapshot", "external"))
			object_default(disk, "@type", "file");
	}
}

static bool check_snapshot_memory(xmlNode *memory, GError **err)
{
	bool external = xml_is(memory, "@snapshot", "external");

	if (external && !object_has(memory, "@file"))
		return fail_xml(err, memory, NULL, "snapshot 'external' needs the attribute file");
	if (!external && object_has(memory, "@file"))
		return fail_xml(err, memory, "file", "only with snapshot 'external'");
	if (!object_has(memory, "@snapshot"))
		return fail_xml(err, memory, NULL, "attribute snapshot is missing");
	return true;
}

static bool check_snapshot_disk(xmlNode *disk, GError **err)
{
	bool overlay = !object_has(disk, "@snapshot") || xml_is(disk, "@snapshot", "external");

	if (!overlay && object_has(disk, "@type"))
		return fail_xml(err, disk, "type", "only with snapshot 'external'");
	if (!overlay && (xml_find(disk, "source") || xml_find(disk, "driver")))
		return fail_xml(err, disk, NULL, "<source> and <driver> are only for snapshot 'external'");
	if (object_has(disk, "source/@startupPolicy"))
		return fail_xml(err, xml_find(disk, "source"), "startupPolicy", "belongs to the domain's disk");
	if (xml_is(disk, "@type", "network") && xml_find(disk, "source/seclabel"))
		return fail_xml(err, xml_find(disk, "source/seclabel"), NULL, "not for a network source");
	if (xml_is(disk, "@type", "block") && xml_find(disk, "source") && !object_has(disk, "source/@dev"))
		return fail_xml(err, xml_find(disk, "source"), NULL, "attribute dev is missing");
	return true;
}

/* Whether two of the disks are one is seen against the domain only: a target and a path may mean the same. */
static bool check_snapshot(xmlNode *root, GError **err)
{
	xmlNode *memory = xml_find(root, "memory");

	if (!check_point_name(root, "name", err) || !check_point_name(root, "parent/name", err))
		return false;
	if (memory && !check_snapshot_memory(memory, err))
		return false;
	for (xmlNode *disk = xml_first(root, "disks/disk"); disk; disk = xml_next(disk)) {
		if (!check_snapshot_disk(disk, err))
			return false;
	}
	return true;
}

const struct object_class object_snapshot = {
	.prepare = prepare_point,
	.fill = fill_snapshot,
	.check = check_snapshot,
	.name = "name",
};

/* --- checkpoints --- */

static bool check_checkpoint(xmlNode *root, GError **err)
{
	if (!check_point_name(root, "name", err) || !check_point_name(root, "parent/name", err))
		return false;
	for (xmlNode *disk = xml_first(root, "disks/disk"); disk; disk = xml_next(disk)) {
		if (xml_is(disk, "@checkpoint", "no") && object_has(disk, "@bitmap"))
			return fail_xml(err, disk, "bitmap", "only with checkpoint 'bitmap'");
	}
	return object_check_unique(xml_first(root, "disks/disk"), "name", err);
}

const struct object_class object_checkpoint = {
	.prepare = prepare_point,
	.fill = fill_point,
	.check = check_checkpoint,
	.name = "name",
};

/* --- backups --- */

/* A disk is saved as the whole job is, unless it says otherwise. */
static void fill_backup_mode(xmlNode *disk, const char *incremental)
{
	bool own = object_has(disk, "@incremental");

	object_default(disk, "@backupmode", own || incremental ? "incremental" : "full");
	if (xml_is(disk, "@backupmode", "incremental") && incremental)
		object_default(disk, "@incremental", incremental);
}

static void fill_backup(xmlNode *root, unsigned flags)
{
	g_autofree char *incremental = xml_get(root, "incremental");

	(void)flags;
	object_default(root, "@mode", "push");
	if (xml_find(root, "server"))
		object_default(root, "server/@transport", "tcp");
	for (xmlNode *disk = xml_first(root, "disks/disk"); disk; disk = xml_next(disk)) {
		object_default(disk, "@backup", "yes");
		if (!xml_is(disk, "@backup", "yes"))
			continue;
		object_default(disk, "@type", "file");
		fill_backup_mode(disk, incremental);
	}
}

static bool check_server(xmlNode *server, GError **err)
{
	bool socket = xml_is(server, "@transport", "unix");

	if (socket && !object_has(server, "@socket"))
		return fail_xml(err, server, NULL, "transport 'unix' needs the attribute socket");
	if (!socket && !object_has(server, "@name"))
		return fail_xml(err, server, NULL, "transport 'tcp' needs the attribute name");
	return true;
}

static bool check_backup_disk(xmlNode *disk, bool pull, GError **err)
{
	static const char *const exports[] = { "exportname", "exportbitmap" };
	xmlNode *place = xml_find(disk, pull ? "scratch" : "target");
	xmlNode *other = xml_find(disk, pull ? "target" : "scratch");
	bool block = xml_is(disk, "@type", "block");

	if (other)
		return fail_xml(err, other, NULL, "not with mode '%s'", pull ? "pull" : "push");
	for (size_t i = 0; !pull && i < G_N_ELEMENTS(exports); i++) {
		g_autofree char *path = g_strconcat("@", exports[i], NULL);

		if (object_has(disk, path))
			return fail_xml(err, disk, exports[i], "only with mode 'pull'");
	}
	if (place && !object_has(place, block ? "@dev" : "@file"))
		return fail_xml(err, place, NULL, "attribute %s is missing", block ? "dev" : "file");
	if (place && pull && xml_find(disk, "driver") && !xml_is(disk, "driver/@type", "qcow2"))
		return fail_xml(err, xml_find(disk, "driver"), "type", "a scratch area is qcow2");
	if (xml_is(disk, "@backupmode", "full") && object_has(disk, "@incremental"))
		return fail_xml(err, disk, "incremental", "not with backupmode 'full'");
	if (xml_is(disk, "@backupmode", "incremental") && !object_has(disk, "@incremental"))
		return fail_xml(err, disk, NULL,
				"backupmode 'incremental' needs a checkpoint in the attribute incremental");
	return true;
}

static bool check_backup(xmlNode *root, GError **err)
{
	bool pull = xml_is(root, "@mode", "pull");
	xmlNode *server = xml_find(root, "server");

	if (pull && !server)
		return fail_xml(err, root, NULL, "mode 'pull' needs a <server>");
	if (server && !pull)
		return fail_xml(err, server, NULL, "only with mode 'pull'");
	if (server && !check_server(server, err))
		return false;
	for (xmlNode *disk = xml_first(root, "disks/disk"); disk; disk = xml_next(disk)) {
		if (!check_backup_disk(disk, pull, err))
			return false;
	}
	return object_check_unique(xml_first(root, "disks/disk"), "name", err);
}

const struct object_class object_backup = { .fill = fill_backup, .check = check_backup };
