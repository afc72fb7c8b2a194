/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_OBJECTS_STEPS_H
#define LODGE_CORE_MODEL_OBJECTS_STEPS_H

#include "core/model/objects.h"

/*
 * The two steps of object_recheck() for each kind, on a tree the schema accepted: fill adds what is missing and writes
 * values in their usual form, so that a second round changes nothing; check holds the rules across elements. Any may be
 * NULL.
 */
struct object_class {
	void (*prepare)(xmlNode *root,
			unsigned flags); /* before the schema is asked: takes out what is not looked at; may be NULL */
	void (*fill)(xmlNode *root, unsigned flags);
	bool (*check)(xmlNode *root, GError **err);
	const char *name; /* path of the name, or NULL */
	const char *uuid; /* path of the UUID, or NULL */
	bool keep_order;  /* the order of the root's children means something: only the UUID goes to the front */
};

extern const struct object_class object_network, object_pool, object_volume, object_snapshot, object_checkpoint,
	object_backup, object_nwfilter, object_nwfilter_binding, object_secret, object_interface, object_nodedev,
	object_cpu;

/* --- helpers of the steps --- */

bool object_has(xmlNode *from, const char *path);
void object_default(xmlNode *from, const char *path, const char *value); /* sets what is missing */
void object_drop(xmlNode *from, const char *path); /* every element or the attribute of that path */
void object_drop_value(xmlNode *from, const char *path, const char *value);

/* Lower case with dashes; a random one when add and missing. */
void object_fill_uuid(xmlNode *from, const char *path, bool add);
void object_fill_mac(xmlNode *from, const char *path, bool add);

/* An element with an optional unit attribute, in bytes. unit: written into the attribute. */
void object_fill_size(xmlNode *from, const char *path, const char *unit);
void object_fill_permissions(xmlNode *parent);
bool object_check_permissions(xmlNode *parent, GError **err);

/* Repeated slashes to one, none at the end. */
void object_fill_path(xmlNode *from, const char *path);

/* Bytes of "10" with unit "KiB" (NULL: bytes); false: unknown unit, not a number, too large. */
bool object_bytes(const char *number, const char *unit, uint64_t *bytes);

/* Exactly one of the two attributes. */
bool object_check_one_of(xmlNode *node, const char *a, const char *b, GError **err);

/* No two of these siblings (from the first on) have the same attribute; those without are left out. */
bool object_check_unique(xmlNode *first, const char *attr, GError **err);

/* "type" is one of "a|b|c". */
bool object_in_list(const char *word, const char *list);
char *object_list_text(const char *list); /* "a, b, c"; g_free() */
/* The text is made of those characters only: as strspn(). */
bool object_made_of(const char *text, const char *characters);

#endif
