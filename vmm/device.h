/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_DEVICE_H
#define LODGE_VMM_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What every device is. The class is const and holds functions and the table of saved fields; the instance embeds
 * `struct device` as its first member and holds registers.
 *
 * Life: created by its own typed constructor (vmm/machine.c calls them in one explicit list), then device_register()ed with the VM;
 * reset() brings power-on state (called once before the vCPUs start, and at each machine reset, with all vCPUs stopped); pause() and
 * resume() bracket every stop of the vCPUs: after pause() the device touches guest memory no more until resume(); save()/load() happen
 * only while paused; destroy() frees. All of them are called on the loop thread, with the device lock held except destroy().
 *
 * `lock` guards the instance's registers: the bus dispatcher and the timer code take it before they call the device.
 */
struct vm;
struct device;

enum device_field_type {
	DEVICE_FIELD_BOOL,
	DEVICE_FIELD_U8,
	DEVICE_FIELD_U16,
	DEVICE_FIELD_U32,
	DEVICE_FIELD_U64,
	DEVICE_N_FIELD_TYPES
};

/* One saved field: count elements of a fixed-width type at an offset of the instance. Saved little-endian, by name, so order may change. */
struct device_field {
	const char *name;
	enum device_field_type type;
	size_t offset;
	uint32_t count; /* array length; 1 for a scalar */
	uint16_t since; /* class version that introduced it: absent in older states, keeps its reset value then */
};

#define DEVICE_FIELD(type_, struct_, member_) \
	{ .name = #member_, .type = DEVICE_FIELD_##type_, .offset = G_STRUCT_OFFSET(struct struct_, member_), .count = 1 }
#define DEVICE_FIELD_ARRAY(type_, struct_, member_) \
	{ .name = #member_, .type = DEVICE_FIELD_##type_, .offset = G_STRUCT_OFFSET(struct struct_, member_), \
	  .count = G_N_ELEMENTS(((struct struct_ *)0)->member_) }

struct device_class {
	const char *name; /* "i8254", "virtio-blk": also the key in a saved state */
	uint16_t version; /* of the saved fields, starts at 1 */
	const struct device_field *fields;
	size_t n_fields;
	/* Saved before its own: fields of the struct the instance extends (pci_device_fields, &pci_n_device_fields); or NULL. */
	const struct device_field *base_fields;
	const size_t *n_base_fields;
	void (*reset)(struct device *dev);
	void (*pause)(struct device *dev);
	void (*resume)(struct device *dev);
	void (*pre_save)(struct device *dev);			/* bring fields up to date, e.g. from timers */
	bool (*post_load)(struct device *dev, GError **err);	/* check what was loaded, rebuild what is derived */
	void (*destroy)(struct device *dev);
};

struct device {
	const struct device_class *class;
	struct vm *vm; /* may be NULL in unit tests of devices that need nothing from it */
	char *id;      /* unique in the VM: "pit", "virtio-disk0" */
	GMutex lock;
};

/* Fills the header of a freshly zeroed instance; id is copied. */
void device_init(struct device *dev, const struct device_class *class, struct vm *vm, const char *id);
/* Releases what device_init() took; the destroy() of every class ends with it and then frees the instance. */
void device_fini(struct device *dev);

/* Null-safe wrappers that take the lock. */
void device_reset(struct device *dev);
void device_pause(struct device *dev);
void device_resume(struct device *dev);
void device_destroy(struct device *dev);

/* Appends this device's section (header with id, class, version, length; then fields by name) to out. */
void device_save(struct device *dev, GByteArray *out);

/*
 * Reads one section that device_save() wrote: every length and name is checked; unknown fields of a newer version are an error, missing
 * ones keep their value. *used gets the section's size. On failure the fields are as before, but what the device derives from them may not
 * be: reset it.
 */
bool device_load(struct device *dev, const uint8_t *data, size_t len, size_t *used, GError **err);

#endif
