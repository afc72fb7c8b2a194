/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_SCHEMA_DOMAIN_H
#define LODGE_CORE_MODEL_SCHEMA_DOMAIN_H

#include "core/model/schema-rows.h"

/* The table of <domain> in the order of its elements; schema-domain.c puts the parts together. */
extern const struct schema_part schema_domain_os, schema_domain_cpu, schema_domain_disk, schema_domain_storage,
	schema_domain_network, schema_domain_char, schema_domain_display, schema_domain_devices, schema_domain_tail;

/* What depends on something else: schema-domain-needs.c. */
#define SCHEMA_DOMAIN_NEEDS 116u
extern const struct schema_need schema_domain_needs[SCHEMA_DOMAIN_NEEDS];

/* As the macros of schema-rows.h, for what has its effect. */
#define DONE(path, type, flags, help) \
	{ \
		path, SCHEMA_##type, SCHEMA_DONE, flags, NULL, 0, 0, NULL, help \
	}
#define DONE_NUM(path, type, flags, min, max, help) \
	{ \
		path, SCHEMA_##type, SCHEMA_DONE, flags, NULL, min, max, NULL, help \
	}
#define DONE_ENUM(path, flags, values, fallback, help) \
	{ \
		path, SCHEMA_ENUM, SCHEMA_DONE, flags, values, 0, 0, fallback, help \
	}
#define DONE_REF(path, flags, target, help) \
	{ \
		path, SCHEMA_REF, SCHEMA_DONE, flags, target, 0, 0, NULL, help \
	}
#define QUIET(path, type, flags, help) KEPT(path, type, SCHEMA_QUIET | (flags), help)
#define QUIET_NUM(path, type, flags, min, max, help) KEPT_NUM(path, type, SCHEMA_QUIET | (flags), min, max, help)
#define QUIET_ENUM(path, flags, values, fallback, help) KEPT_ENUM(path, SCHEMA_QUIET | (flags), values, fallback, help)
#define QUIET_REF(path, flags, target, help) KEPT_REF(path, SCHEMA_QUIET | (flags), target, help)

/* What nearly every device may have at its end. */
#define DEVICE_INFO(at) \
	QUIET_REF(at "/alias", 0, "devices/disk/alias", "name of the device"), \
		QUIET_REF(at "/acpi", 0, "devices/disk/acpi", "ACPI index of the device"), \
		QUIET_REF(at "/address", 0, "devices/disk/address", "where the guest sees the device")

#define VIRTIO_DRIVER(at) \
	KEPT(at "/@iommu", ONOFF, 0, "the device goes through the guest's IOMMU"), \
		KEPT(at "/@ats", ONOFF, 0, "address translation services"), \
		KEPT(at "/@packed", ONOFF, 0, "packed virtqueues"), \
		KEPT(at "/@page_per_vq", ONOFF, 0, "a page of its own for each queue's notifications")

#define VIRTIO_MODELS "virtio|virtio-transitional|virtio-non-transitional"

#define PART(name, rows) const struct schema_part schema_domain_##name = { rows, G_N_ELEMENTS(rows) }

#endif
