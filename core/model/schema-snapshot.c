/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/schema-rows.h"

static const struct schema_row rows[] = {
	DONE(".", EMPTY, 0, "a snapshot of a domain"),
	DONE("name", TEXT, 0, "the time when missing; no '/' and no leading '.'"),
	DONE("description", TEXT, 0, "free text"),
	KEPT_ENUM("state", 0, "running|blocked|paused|shutdown|shutoff|crashed|pmsuspended|nostate|disk-snapshot", NULL,
		  "of the domain at that moment; set by Lodge"),
	KEPT("parent", EMPTY, 0, "the snapshot this one follows; set by Lodge"),
	KEPT("parent/name", TEXT, SCHEMA_REQUIRED, "its name"),
	DONE("creationTime", INT, 0, "seconds since 1970; set by Lodge"),
	KEPT("memory", EMPTY, 0, "the guest's memory"),
	KEPT_ENUM("memory/@snapshot", 0, "no|internal|external", NULL, "not kept, inside the disk image, or in a file"),
	KEPT("memory/@file", PATH, 0, "external: the file"),
	KEPT("disks", EMPTY, 0, "the disks; those not named follow the domain's own settings"),
	KEPT("disks/disk", EMPTY, SCHEMA_MANY, "one disk"),
	KEPT("disks/disk/@name", TEXT, SCHEMA_REQUIRED, "its target, \"vda\", or the path of its image"),
	KEPT_ENUM("disks/disk/@snapshot", 0, "no|internal|external|manual", NULL,
		  "left out, inside the image, in a new overlay, or by somebody else"),
	KEPT_ENUM("disks/disk/@type", 0, "file|block|network", "file", "kind of the overlay"),
	KEPT("disks/disk/driver", EMPTY, 0, "the overlay's format"),
	KEPT_ENUM("disks/disk/driver/@type", 0, "qcow2|qed|cow|qcow|vmdk|raw", "qcow2", "its name"),
	KEPT("disks/disk/driver/metadata_cache", EMPTY, 0, "cache of the image's tables"),
	KEPT("disks/disk/driver/metadata_cache/max_size", SIZE, 0, "its size at most"),
	KEPT_REF("disks/disk/source", 0, "domain:devices/disk/source", "the overlay"),
	KEPT_REF("domain", 0, "domain:.", "the domain as it was; set by Lodge"),
	KEPT_REF("inactiveDomain", 0, "domain:.", "its persistent definition when that differed; set by Lodge"),
	KEPT_NUM("active", UINT, 0, 0, 1, "an old mark of the current snapshot"),
	DONE("cookie", OPAQUE, 0, "kept for other programs"),
};

const struct schema schema_snapshot = {
	.kind = XML_SNAPSHOT,
	.root = "domainsnapshot",
	.name = "snapshot",
	.rows = rows,
	.n_rows = G_N_ELEMENTS(rows),
};
