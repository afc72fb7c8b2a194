/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_BASE_CLEANUP_H
#define LODGE_CORE_BASE_CLEANUP_H

/*
 * Owning locals for our structs, which have no typedefs: after DEFINE_AUTOPTR(memory, memory_free) a local
 * `autoptr(memory) mem = NULL;` is freed at the end of its scope; hand it over with g_steal_pointer(&mem).
 */
#define autoptr(name) __attribute__((cleanup(autoptr_cleanup_##name))) struct name *

#define DEFINE_AUTOPTR(name, free_fn)                                   \
	static inline void autoptr_cleanup_##name(struct name **object) \
	{                                                               \
		if (*object)                                            \
			free_fn(*object);                               \
	}

#endif
