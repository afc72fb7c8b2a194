/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_SCHEMA_ROWS_H
#define LODGE_CORE_MODEL_SCHEMA_ROWS_H

#include "core/model/schema.h"

/*
 * Short forms for the tables in schema-KIND.c. DONE rows have their effect, KEPT ones are accepted and kept, REFUSED
 * ones too, but what uses the object refuses to start: ignoring them would betray the user.
 */
#define DONE(path, type, flags, help) \
	{ \
		path, SCHEMA_##type, SCHEMA_DONE, flags, NULL, 0, 0, NULL, help \
	}
#define KEPT(path, type, flags, help) \
	{ \
		path, SCHEMA_##type, SCHEMA_KEPT, flags, NULL, 0, 0, NULL, help \
	}
#define KEPT_NUM(path, type, flags, min, max, help) \
	{ \
		path, SCHEMA_##type, SCHEMA_KEPT, flags, NULL, min, max, NULL, help \
	}
#define KEPT_ENUM(path, flags, values, fallback, help) \
	{ \
		path, SCHEMA_ENUM, SCHEMA_KEPT, flags, values, 0, 0, fallback, help \
	}
#define KEPT_REF(path, flags, target, help) \
	{ \
		path, SCHEMA_REF, SCHEMA_KEPT, flags, target, 0, 0, NULL, help \
	}
#define KEPT_OR(path, type, flags, fallback, help) \
	{ \
		path, SCHEMA_##type, SCHEMA_KEPT, flags, NULL, 0, 0, fallback, help \
	}
#define REFUSED(path, type, flags, help) \
	{ \
		path, SCHEMA_##type, SCHEMA_REFUSE, flags, NULL, 0, 0, NULL, help \
	}
#define REFUSED_ENUM(path, flags, values, fallback, help) \
	{ \
		path, SCHEMA_ENUM, SCHEMA_REFUSE, flags, values, 0, 0, fallback, help \
	}
#define REFUSED_REF(path, flags, target, help) \
	{ \
		path, SCHEMA_REF, SCHEMA_REFUSE, flags, target, 0, 0, NULL, help \
	}

#endif
