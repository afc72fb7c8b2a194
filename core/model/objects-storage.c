/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Storage pools and volumes. */
#include <string.h>

#include "core/model/objects-steps.h"
#include "core/model/xml.h"

/* --- pools --- */

enum {
	NEEDS_HOST = 1 << 0,
	NEEDS_DEVICE = 1 << 1,
	NEEDS_DIR = 1 << 2,
	NEEDS_ADAPTER = 1 << 3,
	NEEDS_INITIATOR = 1 << 4,
	HAS_NAME = 1 << 5, /* the source's name and the pool's stand in for each other */
	NO_TARGET = 1 << 6,
	MANY_HOSTS = 1 << 7,
	MANY_DEVICES = 1 << 8,
	TARGET_FOLLOWS = 1 << 9, /* the target's path follows from the source's name */
};

#define FILE_SYSTEMS "auto|ext2|ext3|ext4|ufs|iso9660|udf|gfs|gfs2|vfat|hfs+|xfs|ocfs2|vmfs"

static const struct pool_type {
	const char *name;
	unsigned parts;
	const char *formats, *format; /* NULL: none; the default */
	const char *auth;
} pool_types[] = {
	{ "dir", 0, NULL, NULL, NULL },
	{ "fs", NEEDS_DEVICE, FILE_SYSTEMS, "auto", NULL },
	{ "netfs", NEEDS_HOST | NEEDS_DIR, "auto|nfs|glusterfs|cifs", "auto", NULL },
	{ "logical", HAS_NAME | MANY_DEVICES | TARGET_FOLLOWS, "unknown|lvm2|auto", "lvm2", NULL },
	{ "disk", NEEDS_DEVICE, "unknown|dos|dvh|gpt|mac|bsd|pc98|sun|lvm2", "unknown", NULL },
	{ "iscsi", NEEDS_HOST | NEEDS_DEVICE, NULL, NULL, "chap" },
	{ "iscsi-direct", NEEDS_HOST | NEEDS_DEVICE | NEEDS_INITIATOR | NO_TARGET, NULL, NULL, "chap" },
	{ "scsi", NEEDS_ADAPTER, NULL, NULL, NULL },
	{ "mpath", 0, NULL, NULL, NULL },
	{ "rbd", NEEDS_HOST | HAS_NAME | NO_TARGET | MANY_HOSTS, NULL, NULL, "ceph" },
	{ "sheepdog", NEEDS_HOST | HAS_NAME | NO_TARGET, NULL, NULL, NULL },
	{ "gluster", NEEDS_HOST | HAS_NAME | NO_TARGET | MANY_HOSTS, NULL, NULL, NULL },
	{ "zfs", HAS_NAME | MANY_DEVICES | TARGET_FOLLOWS, NULL, NULL, NULL },
	{ "vstorage", HAS_NAME, NULL, NULL, NULL },
};

static const struct pool_type *pool_type_of(xmlNode *root)
{
	g_autofree char *name = xml_get(root, "@type");

	for (size_t i = 0; i < G_N_ELEMENTS(pool_types); i++) {
		if (!strcmp(pool_types[i].name, name))
			return &pool_types[i];
	}
	return &pool_types[0];
}

static void fill_pool_names(xmlNode *root, const struct pool_type *type)
{
	g_autofree char *name = xml_get(root, "name");
	g_autofree char *source = xml_get(root, "source/name");

	if (!(type->parts & HAS_NAME))
		return;
	if (!name && source && *source)
		xml_set(root, "name", source);
	else if (!source && name && *name)
		xml_set(root, "source/name", name);
}

static void fill_pool_target(xmlNode *root, const struct pool_type *type)
{
	g_autofree char *name = NULL;

	if (type->parts & NO_TARGET) {
		object_drop(root, "target");
		return;
	}
	name = xml_get(root, "source/name");
	if (type->parts & TARGET_FOLLOWS && name && *name)
		xml_setf(root, "target/path", strcmp(type->name, "zfs") ? "/dev/%s" : "/dev/zvol/%s", name);
	object_fill_path(root, "target/path");
	if (xml_find(root, "target"))
		object_fill_permissions(xml_find(root, "target"));
}

static void fill_pool(xmlNode *root, unsigned flags)
{
	static const char *const sizes[] = { "capacity", "allocation", "available" };
	const struct pool_type *type = pool_type_of(root);

	(void)flags;
	fill_pool_names(root, type);
	object_fill_uuid(root, "uuid", true);
	/* A definition says nothing about these: they are found out when the pool runs. */
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		xml_set(root, sizes[i], "0");
		xml_setf(xml_find(root, sizes[i]), "@unit", "bytes");
	}
	xml_ensure(root, "source");
	for (xmlNode *device = xml_first(root, "source/device"); device; device = xml_next(device))
		object_drop(device, "freeExtent");
	if (type->format && strcmp(type->format, "unknown"))
		object_default(root, "source/format/@type", type->format);
	object_fill_uuid(root, "source/auth/secret/@uuid", false);
	if (!strcmp(type->name, "gluster"))
		object_default(root, "source/dir/@path", "/");
	if (!strcmp(type->name, "scsi") && xml_find(root, "source/adapter"))
		object_default(root, "source/adapter/@type", "scsi_host");
	object_fill_path(root, "source/dir/@path");
	fill_pool_target(root, type);
}

static bool check_parts(xmlNode *root, const struct pool_type *type, GError **err)
{
	static const struct {
		unsigned part;
		const char *path;
	} needs[] = {
		{ NEEDS_HOST, "source/host" },
		{ NEEDS_DEVICE, "source/device" },
		{ NEEDS_DIR, "source/dir" },
		{ NEEDS_ADAPTER, "source/adapter" },
		{ NEEDS_INITIATOR, "source/initiator" },
		{ HAS_NAME, "source/name" },
	};
	xmlNode *host = xml_first(root, "source/host"), *device = xml_first(root, "source/device");

	for (size_t i = 0; i < G_N_ELEMENTS(needs); i++) {
		if (type->parts & needs[i].part && !xml_find(root, needs[i].path))
			return fail_xml(err, root, NULL, "a pool of type '%s' needs %s", type->name, needs[i].path);
	}
	if (host && xml_next(host) && !(type->parts & MANY_HOSTS))
		return fail_xml(err, xml_next(host), NULL, "a pool of type '%s' has one host", type->name);
	if (device && xml_next(device) && !(type->parts & MANY_DEVICES))
		return fail_xml(err, xml_next(device), NULL, "a pool of type '%s' has one device", type->name);
	return true;
}

static bool check_pool_format(xmlNode *root, const struct pool_type *type, GError **err)
{
	xmlNode *node = xml_find(root, "source/format");
	g_autofree char *format = node ? xml_get(node, "@type") : NULL;

	if (!format)
		return true;
	if (!type->formats)
		return fail_xml(err, node, NULL, "a pool of type '%s' has no format", type->name);
	if (!object_in_list(format, type->formats)) {
		g_autofree char *allowed = object_list_text(type->formats);

		return fail_xml(err, node, "type", "'%s' is not one of %s", format, allowed);
	}
	return true;
}

static bool check_adapter(xmlNode *adapter, GError **err)
{
	bool address = xml_find(adapter, "parentaddr") != NULL;

	if (xml_is(adapter, "@type", "fc_host")) {
		if (!object_has(adapter, "@wwnn") || !object_has(adapter, "@wwpn"))
			return fail_xml(err, adapter, NULL, "an fc_host needs wwnn and wwpn");
		return true;
	}
	if (object_has(adapter, "@wwnn") || object_has(adapter, "@wwpn") || object_has(adapter, "@parent"))
		return fail_xml(err, adapter, NULL, "wwnn, wwpn and parent are for type 'fc_host'");
	if (address == object_has(adapter, "@name"))
		return fail_xml(err, adapter, NULL, "a scsi_host needs a name or a <parentaddr>");
	if (address && !object_has(adapter, "parentaddr/@unique_id"))
		return fail_xml(err, xml_find(adapter, "parentaddr"), NULL, "attribute unique_id is missing");
	return true;
}

static bool check_auth(xmlNode *auth, const struct pool_type *type, GError **err)
{
	if (!type->auth)
		return fail_xml(err, auth, NULL, "a pool of type '%s' has no log-in", type->name);
	if (!xml_is(auth, "@type", type->auth))
		return fail_xml(err, auth, "type", "a pool of type '%s' takes %s", type->name, type->auth);
	return object_check_one_of(xml_find(auth, "secret"), "uuid", "usage", err);
}

static bool check_pool_target(xmlNode *root, const struct pool_type *type, GError **err)
{
	g_autofree char *path = xml_get(root, "target/path");

	if (type->parts & NO_TARGET)
		return true;
	if (!path || !*path)
		return fail_xml(err, root, NULL, "a pool of type '%s' needs target/path", type->name);
	if (*path != '/')
		return fail_xml(err, xml_find(root, "target/path"), NULL, "'%s' is not an absolute path", path);
	return object_check_permissions(xml_find(root, "target"), err);
}

static bool check_pool(xmlNode *root, GError **err)
{
	const struct pool_type *type = pool_type_of(root);
	xmlNode *auth = xml_find(root, "source/auth"), *adapter = xml_find(root, "source/adapter");
	xmlNode *cow = xml_find(root, "features/cow");

	if (cow && !object_in_list(type->name, "dir|fs"))
		return fail_xml(err, cow, NULL, "only for pools of type 'dir' and 'fs'");
	if (!xml_find(root, "name"))
		return fail_xml(err, root, NULL, "element <name> is missing");
	return check_parts(root, type, err) && check_pool_format(root, type, err) &&
	       (!adapter || check_adapter(adapter, err)) && (!auth || check_auth(auth, type, err)) &&
	       check_pool_target(root, type, err);
}

const struct object_class object_pool = { .fill = fill_pool, .check = check_pool, .name = "name", .uuid = "uuid" };

/* --- volumes --- */

static void fill_volume(xmlNode *root, unsigned flags)
{
	xmlNode *target;

	(void)flags;
	/* What describes a volume that exists says nothing about the one to make. */
	object_drop(root, "source");
	object_drop(root, "physical");
	object_drop(root, "target/timestamps");
	object_drop(root, "backingStore/timestamps");
	object_fill_size(root, "capacity", "bytes");
	object_fill_size(root, "allocation", "bytes");
	if (xml_find(root, "capacity") && !xml_find(root, "allocation")) {
		g_autofree char *capacity = xml_get(root, "capacity");

		xml_set(root, "allocation", capacity);
		xml_set(root, "allocation/@unit", "bytes");
	}
	target = xml_ensure(root, "target");
	object_default(root, "@type", "file");
	if (xml_is(root, "@type", "file"))
		object_default(target, "format/@type", "raw");
	if (xml_find(target, "features"))
		object_default(target, "compat", "1.1");
	object_fill_size(target, "clusterSize", "B");
	object_fill_uuid(target, "encryption/secret/@uuid", false);
	object_fill_permissions(target);
	if (xml_find(root, "backingStore"))
		object_fill_permissions(xml_find(root, "backingStore"));
}

static bool check_size(xmlNode *root, const char *path, GError **err)
{
	xmlNode *node = xml_find(root, path);
	g_autofree char *number = node ? xml_get(node, ".") : NULL;
	g_autofree char *unit = node ? xml_get(node, "@unit") : NULL;
	uint64_t bytes;

	if (number && (!object_bytes(number, unit, &bytes) || bytes > INT64_MAX))
		return fail_xml(err, node, NULL, "more than %" G_GINT64_FORMAT " bytes", INT64_MAX);
	return true;
}

static bool check_compat(xmlNode *target, GError **err)
{
	g_autofree char *compat = xml_get(target, "compat");
	g_auto(GStrv) parts = compat ? g_strsplit(compat, ".", 0) : NULL;

	if (compat && (g_strv_length(parts) != 2 || !*parts[0] || !*parts[1] ||
		       !object_made_of(parts[0], "0123456789") || !object_made_of(parts[1], "0123456789")))
		return fail_xml(err, xml_find(target, "compat"), NULL, "'%s' is not a version: two numbers with a dot",
				compat);
	return true;
}

static bool check_volume(xmlNode *root, GError **err)
{
	xmlNode *target = xml_find(root, "target"), *backing = xml_find(root, "backingStore");
	xmlNode *secret = xml_first(target, "encryption/secret");

	if (!xml_find(root, "capacity") && !backing)
		return fail_xml(err, root, NULL,
				"element <capacity> is missing; only a volume with a backing store may leave it out");
	if (!check_size(root, "capacity", err) || !check_size(root, "allocation", err) ||
	    !check_size(target, "clusterSize", err))
		return false;
	for (; secret; secret = xml_next(secret)) {
		if (!object_check_one_of(secret, "uuid", "usage", err))
			return false;
	}
	return check_compat(target, err) && object_check_permissions(target, err) &&
	       (!backing || object_check_permissions(backing, err));
}

const struct object_class object_volume = { .fill = fill_volume, .check = check_volume, .name = "name" };
