/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_WARDEN_EVENTS_H
#define LODGE_CORE_WARDEN_EVENTS_H

#include <jansson.h>

#include "core/home.h"

/*
 * What a QMP event of a VM means to listeners (core/events.h): the event as it is, as kind "monitor", and virsh's event
 * for it when it has one.
 */
void warden_pass_event(const struct home *home, const char *name, const char *uuid, const json_t *qmp);

#endif
