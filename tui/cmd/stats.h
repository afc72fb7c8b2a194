/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TUI_CMD_STATS_H
#define LODGE_TUI_CMD_STATS_H

#include "core/stats.h"

/* For arrays of struct dom_stats. */
static inline void stats_free_pointer(gpointer data)
{
	dom_stats_free(data);
}

#endif
