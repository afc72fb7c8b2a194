/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_SCHEMA_H
#define LODGE_CORE_MODEL_SCHEMA_H

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What may stand in a document of each kind, a row for each element and attribute. Validation, canonical order, the
 * report of what is ignored and the man pages are made from the rows.
 */
enum xml_kind {
	XML_DOMAIN,
	XML_NETWORK,
	XML_POOL,
	XML_VOLUME,
	XML_SNAPSHOT,
	XML_CHECKPOINT,
	XML_BACKUP,
	XML_NWFILTER,
	XML_NWFILTER_BINDING,
	XML_SECRET,
	XML_INTERFACE,
	XML_NODEDEV,
	XML_CPU, /* <cpu> alone, as cpu-baseline takes it */
	XML_N_KINDS
};

enum schema_type {
	SCHEMA_EMPTY, /* an element without text of its own */
	SCHEMA_TEXT,  /* any text */
	SCHEMA_WORD,  /* not empty, no white space or control characters */
	SCHEMA_NAME,  /* an object's name: not empty, no '/', no newline, not "." or ".." */
	SCHEMA_YESNO,
	SCHEMA_ONOFF,
	SCHEMA_ENUM, /* one of values, "a|b|c" */
	SCHEMA_INT,  /* decimal, min to max as signed */
	SCHEMA_UINT, /* decimal or 0x, min to max */
	SCHEMA_HEX,  /* 0x..., min to max; also accepted without 0x where libvirt does */
	SCHEMA_SIZE, /* UINT whose element may have a unit attribute (b, bytes, KB, k, KiB, ... E) */
	SCHEMA_DOUBLE,
	SCHEMA_UUID,
	SCHEMA_MAC,
	SCHEMA_IP,
	SCHEMA_IPV4,
	SCHEMA_IPV6,
	SCHEMA_NETMASK,
	SCHEMA_PORT,
	SCHEMA_PATH,   /* absolute */
	SCHEMA_CPUSET, /* "0-3,^2,8" */
	SCHEMA_OPAQUE, /* anything below it is kept and not looked at (metadata, foreign name spaces) */
	SCHEMA_TIME,   /* 2026-04-09T15:51:00 */
	SCHEMA_UNIT, /* of a size: b, bytes, KB, k, KiB, ... E; upper and lower case alike. A SIZE element's @unit needs no row */
	SCHEMA_REF, /* an element with the content of another row's element: values is that row's path, within the same table or "KIND:path" */
	SCHEMA_N_TYPES
};

enum schema_support {
	SCHEMA_DONE, /* has its effect */
	SCHEMA_KEPT, /* accepted, kept on every round trip, without effect: said so at start */
	SCHEMA_REFUSE, /* accepted and kept, but a start is refused: ignoring it would betray the user (a disk, a NIC, isolation) */
	SCHEMA_N_SUPPORTS
};

enum {
	SCHEMA_REQUIRED = 1 << 0,
	SCHEMA_MANY = 1 << 1, /* the element may be repeated; others may not */
	SCHEMA_NONZERO_LEN = 1 << 2,
	SCHEMA_QUIET =
		1
		<< 3, /* KEPT, but nobody will miss the effect (an address, an alias): not worth a line at every start */
};

/*
 * path: below the root element, "devices/disk/driver/@cache"; "." is the root element itself, "@type" its attribute. A
 * parent's row precedes its children's; the order of rows is the canonical order of output. Several rows may have one
 * path (alternatives: any may match).
 */
struct schema_row {
	const char *path;
	enum schema_type type;
	enum schema_support support;
	unsigned flags;
	const char *values;   /* for ENUM and REF */
	uint64_t min, max;    /* for numbers, and bytes of a TEXT; 0, 0: the type's own range */
	const char *fallback; /* default, as shown to people; NULL */
	const char *help;     /* one line, no full stop */
};

struct schema_part {
	const struct schema_row *rows;
	size_t n_rows;
};

/*
 * What must be there depending on something else. when: conditions that must all hold, divided by commas;
 * "@type=file|block" (one of these), "@type=file|" (or absent), "source" (is there), "!bootloader" (is not); NULL:
 * always. needs: one of these paths, "a|b/@c". Paths are relative to the element. Rows of one path stand together.
 */
struct schema_need {
	const char *path, *when, *needs;
};

struct schema {
	enum xml_kind kind;
	const char *root; /* element name */
	const char *name; /* "domain", "network", "pool", ... : used by file names and man pages */
	const struct schema_row *rows;
	size_t n_rows;
	/* More rows behind those, for a table in several files; paths go on from the same root element. */
	const struct schema_part *const *parts;
	size_t n_parts;
	const struct schema_need *needs;
	size_t n_needs;
};

extern const struct schema schema_domain, schema_network, schema_pool, schema_volume, schema_snapshot,
	schema_checkpoint, schema_backup, schema_nwfilter, schema_nwfilter_binding, schema_secret, schema_interface,
	schema_nodedev, schema_cpu;

const struct schema *schema_of(enum xml_kind kind);
const struct schema *schema_for_root(const char *root, const char *attr_type); /* NULL: not one of ours */

/*
 * Every known element and attribute has a value its row allows, none stands twice that may not, none is missing that
 * must be there. Errors as fail_xml(), naming what is allowed. strict: unknown elements and attributes are errors too
 * (--validate); otherwise they are kept.
 */
bool schema_check(const struct schema *schema, xmlDoc *doc, bool strict, GError **err);

/*
 * Puts children (and attributes) into canonical order; unknown ones stay, last within their parent; comments move with
 * the element behind them.
 */
void schema_order(const struct schema *schema, xmlDoc *doc);

/*
 * One line for each thing that has no effect, "unsupported: <sound> (line 12): ignored"; returns false with an error
 * for the first that refuses a start, which carries its line. notices: char *, owned by the array.
 */
bool schema_unsupported(const struct schema *schema, xmlDoc *doc, GPtrArray *notices, GError **err);

/* The body of lodge-NAME-xml(5): one .TP a row. */
void schema_append_man(GString *out, const struct schema *schema);

#endif
