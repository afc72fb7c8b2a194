/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/schema-rows.h"

#define FILE_FORMATS "raw|qcow2|unknown|dir|bochs|cloop|dmg|iso|vpc|vdi|fat|vhd|ploop|luks|cow|qcow|qed|vmdk"
#define DEVICE_FORMATS "none|auto|ext2|ext3|ext4|ufs|iso9660|udf|gfs|gfs2|vfat|hfs+|xfs|ocfs2|vmfs"
#define PARTITION_FORMATS "linux|fat16|fat32|linux-swap|linux-lvm|linux-raid|extended"
#define FORMATS FILE_FORMATS "|" DEVICE_FORMATS "|" PARTITION_FORMATS

static const struct schema_row rows[] = {
	DONE(".", EMPTY, 0, "a storage volume"),
	KEPT_ENUM("@type", 0, "file|block|dir|network|netdir|ploop", NULL, "shown only: it follows from the pool"),
	DONE("name", NAME, SCHEMA_REQUIRED, "name of the volume within its pool"),
	KEPT("key", TEXT, 0, "unique on this host; shown only"),
	KEPT("source", EMPTY, 0, "where the bytes are; shown only"),
	KEPT("source/device", EMPTY, SCHEMA_MANY, "device of the pool"),
	KEPT("source/device/@path", PATH, SCHEMA_REQUIRED, "its path"),
	KEPT("source/device/extent", EMPTY, SCHEMA_MANY, "part of the device"),
	KEPT("source/device/extent/@start", UINT, SCHEMA_REQUIRED, "first byte"),
	KEPT("source/device/extent/@end", UINT, SCHEMA_REQUIRED, "byte behind the last"),
	KEPT("capacity", SIZE, 0, "bytes the guest sees; may be missing with a backing store"),
	KEPT_OR("allocation", SIZE, 0, "capacity", "bytes to reserve at once; 0 makes a sparse volume"),
	KEPT("physical", SIZE, 0, "bytes used on the host; shown only"),

	KEPT("target", EMPTY, 0, "the volume itself"),
	KEPT("target/path", TEXT, 0, "path on the host; it follows from the pool"),
	KEPT("target/format", EMPTY, 0, "format of the image"),
	KEPT_ENUM("target/format/@type", SCHEMA_REQUIRED, FORMATS, "raw",
		  "name of the format; Lodge makes raw and qcow2"),
	KEPT("target/permissions", EMPTY, 0, "of the new file"),
	KEPT("target/permissions/mode", TEXT, 0, "octal; 0600 when missing"),
	KEPT_NUM("target/permissions/owner", INT, 0, (uint64_t)-1, UINT32_MAX,
		 "numeric user; -1: the one who makes it"),
	KEPT_NUM("target/permissions/group", INT, 0, (uint64_t)-1, UINT32_MAX,
		 "numeric group; -1: the one who makes it"),
	KEPT("target/permissions/label", TEXT, 0, "security label"),
	KEPT("target/timestamps", EMPTY, 0, "shown only"),
	KEPT("target/timestamps/atime", TEXT, 0, "last access, seconds and nanoseconds"),
	KEPT("target/timestamps/mtime", TEXT, 0, "last change of the content"),
	KEPT("target/timestamps/ctime", TEXT, 0, "last change of the attributes"),
	KEPT("target/timestamps/btime", TEXT, 0, "birth"),
	REFUSED("target/encryption", EMPTY, 0, "the content is encrypted"),
	KEPT_ENUM("target/encryption/@format", SCHEMA_REQUIRED, "luks|luks2|qcow|default", NULL, "kind of encryption"),
	KEPT_ENUM("target/encryption/@engine", 0, "qemu|librbd", NULL, "who encrypts"),
	KEPT("target/encryption/secret", EMPTY, SCHEMA_MANY, "where the passphrase is"),
	KEPT_ENUM("target/encryption/secret/@type", SCHEMA_REQUIRED, "passphrase", NULL, "kind of secret"),
	KEPT("target/encryption/secret/@uuid", UUID, 0, "secret by its UUID; this or usage"),
	KEPT("target/encryption/secret/@usage", TEXT, 0, "secret by its usage; this or uuid"),
	KEPT("target/encryption/cipher", EMPTY, 0, "cipher of a new LUKS volume"),
	KEPT("target/encryption/cipher/@name", WORD, SCHEMA_REQUIRED, "algorithm: aes, serpent, ..."),
	KEPT_NUM("target/encryption/cipher/@size", UINT, SCHEMA_REQUIRED, 0, UINT32_MAX, "bits of the key"),
	KEPT("target/encryption/cipher/@mode", WORD, 0, "mode: cbc, xts, ..."),
	KEPT("target/encryption/cipher/@hash", WORD, 0, "hash for the master key"),
	KEPT("target/encryption/ivgen", EMPTY, 0, "initialisation vectors"),
	KEPT("target/encryption/ivgen/@name", WORD, SCHEMA_REQUIRED, "algorithm: plain, plain64, essiv, ..."),
	KEPT("target/encryption/ivgen/@hash", WORD, 0, "its hash"),
	KEPT("target/compat", TEXT, 0, "version of the qcow2 format: 0.10 or 1.1"),
	KEPT("target/nocow", EMPTY, 0, "switch off copy on write of the file system"),
	KEPT("target/clusterSize", SIZE, 0, "bytes of a qcow2 cluster"),
	KEPT("target/features", EMPTY, 0, "features of the format"),
	KEPT("target/features/lazy_refcounts", EMPTY, 0, "qcow2: reference counts are written late"),
	KEPT("target/features/extended_l2", EMPTY, 0, "qcow2: clusters are allocated in parts"),

	KEPT("backingStore", EMPTY, 0, "image this one holds the differences to"),
	KEPT("backingStore/path", TEXT, SCHEMA_REQUIRED, "its path"),
	KEPT("backingStore/format", EMPTY, 0, "its format"),
	KEPT_ENUM("backingStore/format/@type", SCHEMA_REQUIRED, FORMATS, "raw", "name of the format"),
	KEPT_REF("backingStore/permissions", 0, "target/permissions", "shown only"),
	KEPT_REF("backingStore/timestamps", 0, "target/timestamps", "shown only"),
};

const struct schema schema_volume = {
	.kind = XML_VOLUME,
	.root = "volume",
	.name = "volume",
	.rows = rows,
	.n_rows = G_N_ELEMENTS(rows),
};
