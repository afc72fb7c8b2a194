/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_METRICS_H
#define LODGE_CORE_METRICS_H

#include <glib.h>

#include "core/host.h"
#include "core/stats.h"

/*
 * The Prometheus text format, version 0.0.4: every metric's HELP and TYPE once, then its samples. Base units (seconds, bytes), counters end
 * in _total. doms: struct dom_stats with everything gathered. host may be NULL.
 */
void metrics_append(GString *out, const GPtrArray *doms, const struct host *host);

#endif
