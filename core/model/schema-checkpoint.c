/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/schema-rows.h"

static const struct schema_row rows[] = {
	DONE(".", EMPTY, 0, "a point from which on changes of the disks are recorded, for incremental backups"),
	DONE("name", TEXT, 0, "the time when missing; letters, digits, '_', '-' and '.', no leading '.'"),
	DONE("description", TEXT, 0, "free text"),
	KEPT("parent", EMPTY, 0, "the checkpoint this one follows; set by Lodge"),
	KEPT("parent/name", TEXT, SCHEMA_REQUIRED, "its name"),
	DONE("creationTime", UINT, 0, "seconds since 1970; set by Lodge"),
	KEPT("disks", EMPTY, 0, "the disks; all when missing"),
	KEPT("disks/disk", EMPTY, SCHEMA_MANY | SCHEMA_REQUIRED, "one disk"),
	KEPT("disks/disk/@name", TEXT, SCHEMA_REQUIRED, "its target, \"vda\", or the path of its image"),
	KEPT_ENUM("disks/disk/@checkpoint", 0, "no|bitmap", "bitmap", "how changes are recorded"),
	KEPT("disks/disk/@bitmap", TEXT, 0, "name of the bitmap; the checkpoint's name when missing"),
	KEPT("disks/disk/@size", UINT, 0, "bytes changed since; shown only"),
	KEPT_REF("domain", 0, "domain:.", "the domain as it was; set by Lodge"),
};

const struct schema schema_checkpoint = {
	.kind = XML_CHECKPOINT,
	.root = "domaincheckpoint",
	.name = "checkpoint",
	.rows = rows,
	.n_rows = G_N_ELEMENTS(rows),
};
