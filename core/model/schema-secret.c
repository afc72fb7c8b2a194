/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/schema-rows.h"

static const struct schema_row rows[] = {
	DONE(".", EMPTY, 0, "a secret: its value is set apart from its definition"),
	KEPT_OR("@ephemeral", YESNO, 0, "no", "kept in memory only, never on disk"),
	KEPT_OR("@private", YESNO, 0, "no", "the value is never handed out again"),
	DONE("uuid", UUID, 0, "assigned when missing"),
	DONE("description", TEXT, 0, "free text"),
	KEPT("usage", EMPTY, 0, "what the secret is for; a usage belongs to one secret"),
	KEPT_ENUM("usage/@type", SCHEMA_REQUIRED, "volume|ceph|iscsi|tls|vtpm|none", NULL, "kind of use"),
	KEPT("usage/volume", TEXT, 0, "volume: path of the encrypted volume"),
	KEPT("usage/name", TEXT, 0, "ceph, tls and vtpm: name others refer to it by"),
	KEPT("usage/target", TEXT, 0, "iscsi: name others refer to it by"),
};

const struct schema schema_secret = {
	.kind = XML_SECRET,
	.root = "secret",
	.name = "secret",
	.rows = rows,
	.n_rows = G_N_ELEMENTS(rows),
};
