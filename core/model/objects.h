/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_OBJECTS_H
#define LODGE_CORE_MODEL_OBJECTS_H

#include "core/base/cleanup.h"
#include "core/model/schema.h"

/*
 * A definition of any kind but the domain: the checked, filled-in tree, and the few facts of it that everybody needs.
 * Its users read and change the tree with core/model/xml.h and then call object_recheck(). Plain data.
 */
struct object {
	enum xml_kind kind;
	xmlDoc *doc;
	xmlNode *root;
	char *name;    /* NULL: this kind has none (secret, backup, cpu), or it is not there (node device) */
	char uuid[37]; /* lower case, with dashes; "": this kind has none */
};

enum {
	OBJECT_VALIDATE = 1 << 0, /* unknown elements and attributes are errors */
	OBJECT_STORED = 1 << 1,	  /* written by object_format(): only parsed, not checked and filled in again */
	OBJECT_REDEFINE = 1 << 2, /* snapshots and checkpoints keep their creationTime, state, parent and domain */
};

/*
 * Schema, then what is missing is assigned as libvirt does, then the rules across elements. Assigned values never
 * change in later rounds. What is left to the caller: a network's bridge/@name (xml_get() gives NULL), a pool's and a
 * volume's sizes on the host, a snapshot's state, parent and domain. source: a file's name for errors.
 */
struct object *object_parse(enum xml_kind kind, const char *text, size_t len, const char *source, unsigned flags,
			    GError **err);
void object_free(struct object *object);
DEFINE_AUTOPTR(object, object_free)

/*
 * After the tree was changed; on failure the tree holds the refused state, so work on a copy. flags: VALIDATE,
 * REDEFINE.
 */
bool object_recheck(struct object *object, unsigned flags, GError **err);
struct object *object_copy(const struct object *object);

/* Canonical text; g_free(). */
char *object_format(const struct object *object);

/* The kind of a document by its root element, for commands that take any; XML_N_KINDS: none of ours. */
enum xml_kind object_kind_of(const char *text, size_t len);

#endif
