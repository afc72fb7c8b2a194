/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/schema-rows.h"

/* Where a copy or a scratch area goes. */
#define PLACE(at, what) \
	KEPT(at, EMPTY, 0, what), KEPT(at "/@file", PATH, 0, "type file: its path"), \
		KEPT(at "/@dev", PATH, 0, "type block: the device"), \
		KEPT_REF(at "/seclabel", SCHEMA_MANY, "domain:devices/disk/source/seclabel", \
			 "security label of the file"), \
		REFUSED(at "/encryption", EMPTY, 0, "it is encrypted"), \
		KEPT_ENUM(at "/encryption/@format", SCHEMA_REQUIRED, "luks", NULL, "kind of encryption"), \
		KEPT_ENUM(at "/encryption/@engine", 0, "qemu", NULL, "who encrypts"), \
		KEPT_REF(at "/encryption/secret", SCHEMA_REQUIRED, "volume:target/encryption/secret", \
			 "where the passphrase is"), \
		KEPT_REF(at "/encryption/cipher", 0, "volume:target/encryption/cipher", "cipher"), \
		KEPT_REF(at "/encryption/ivgen", 0, "volume:target/encryption/ivgen", "initialisation vectors")

static const struct schema_row rows[] = {
	DONE(".", EMPTY, 0, "a backup job"),
	KEPT_ENUM("@mode", 0, "push|pull", "push", "push: Lodge writes the copies; pull: a client reads them over NBD"),
	KEPT("incremental", TEXT, 0, "only what changed since this checkpoint"),
	KEPT("server", EMPTY, 0, "NBD server of a pull backup"),
	KEPT_ENUM("server/@transport", 0, "tcp|unix", "tcp", "kind of connection"),
	REFUSED("server/@tls", YESNO, 0, "encrypt the connection"),
	KEPT("server/@name", WORD, 0, "tcp: name or address to listen on"),
	KEPT_NUM("server/@port", UINT, 0, 0, 65535, "tcp: port; 10809 when missing"),
	KEPT("server/@socket", PATH, 0, "unix: path of the socket"),
	KEPT("disks", EMPTY, 0, "the disks; all when missing"),
	KEPT("disks/disk", EMPTY, SCHEMA_MANY | SCHEMA_REQUIRED, "one disk"),
	KEPT("disks/disk/@name", TEXT, SCHEMA_REQUIRED, "its target, \"vda\""),
	KEPT("disks/disk/@backup", YESNO, 0, "no: left out"),
	KEPT_ENUM("disks/disk/@type", 0, "file|block", "file", "kind of the copy or of the scratch area"),
	KEPT_ENUM("disks/disk/@backupmode", 0, "full|incremental", NULL,
		  "for this disk; as the whole job when missing"),
	KEPT("disks/disk/@incremental", TEXT, 0, "checkpoint for this disk"),
	KEPT("disks/disk/@exportname", TEXT, 0, "pull: name of the NBD export; the disk's when missing"),
	KEPT("disks/disk/@exportbitmap", TEXT, 0, "pull: name of the exported bitmap"),
	KEPT("disks/disk/driver", EMPTY, 0, "format of the copy"),
	KEPT_ENUM("disks/disk/driver/@type", 0,
		  "qcow2|raw|dir|bochs|cloop|dmg|iso|vpc|vdi|fat|vhd|ploop|luks|cow|qcow|qed|vmdk", "qcow2",
		  "its name"),
	PLACE("disks/disk/target", "push: where the copy goes"),
	PLACE("disks/disk/scratch", "pull: where overwritten data is kept during the job"),
};

const struct schema schema_backup = {
	.kind = XML_BACKUP,
	.root = "domainbackup",
	.name = "backup",
	.rows = rows,
	.n_rows = G_N_ELEMENTS(rows),
};
