/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_DOMAIN_ARGV_H
#define LODGE_CORE_MODEL_DOMAIN_ARGV_H

#include "core/model/domain.h"

/*
 * One value of a QEMU option, "virtio-blk-pci,drive=d0,,x,bootindex=1": NAME=TEXT in order; the first may lack its
 * name.
 */
struct argv_property {
	char *name; /* NULL: a value without a name, and "on" when it is not the first */
	char *value;
};

/* struct argv_property; free with g_ptr_array_unref(). */
GPtrArray *argv_properties(const char *text);
/* The last one of the name wins, as in QEMU; NULL: none. first: also a first value without a name. */
const char *argv_get(GPtrArray *properties, const char *name);
const char *argv_first(GPtrArray *properties, const char *name);
bool argv_is_on(GPtrArray *properties, const char *name);

/* A translation under way. */
struct argv {
	xmlNode *root, *devices;
	GHashTable *drives;   /* id -> <disk>, not yet on a bus */
	GHashTable *netdevs;  /* id -> <interface> */
	GHashTable *chardevs; /* id -> argv_properties() */
	GHashTable *rngs;     /* id -> file name */
	GHashTable *fsdevs;   /* id -> argv_properties() */
	GPtrArray *iothreads; /* char *: ids, the n-th is I/O thread n + 1 */
	bool no_acpi, snapshot;
};

/* An option's row: what is done with it. NULL: it says how QEMU is run, not what machine. */
struct argv_option {
	const char *name;
	bool has_value;
	bool (*run)(struct argv *argv, const char *value, GError **err);
};

/* "-name" or "--name"; NULL: not one of those we know. */
const struct argv_option *argv_find_option(const char *word);
/* Refuses: the option only makes QEMU print something. */
bool argv_answer(struct argv *argv, const char *value, GError **err);

/* Each returns false with an error that names the option. Unknown things go to argv_keep(). */
bool argv_drive(struct argv *argv, const char *value, GError **err);
bool argv_disk_file(struct argv *argv, const char *file, const char *interface, int index, bool cdrom, GError **err);
bool argv_device(struct argv *argv, const char *value, GError **err);
bool argv_netdev(struct argv *argv, const char *value, GError **err);
bool argv_net(struct argv *argv, const char *value, GError **err);
bool argv_nic(struct argv *argv, const char *value, GError **err);
bool argv_serial(struct argv *argv, const char *value, GError **err);
/* isa-serial, virtconsole, virtserialport: a -chardev on a port. */
bool argv_is_port_device(const char *driver);
bool argv_port_device(struct argv *argv, const char *driver, GPtrArray *properties, GError **err);
bool argv_usbdevice(struct argv *argv, const char *value, GError **err);

/* <qemu:arg>s, for what has no element. value may be NULL. */
void argv_keep(struct argv *argv, const char *option, const char *value);
/* At the end: a drive that no device took is not seen by the guest. */
void argv_drop_drives(struct argv *argv);

#endif
