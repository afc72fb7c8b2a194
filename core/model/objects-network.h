/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_OBJECTS_NETWORK_H
#define LODGE_CORE_MODEL_OBJECTS_NETWORK_H

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>

/* The rules of <ip> with its DHCP part, and of <route>. */
bool network_check_ip(xmlNode *root, GError **err);

#endif
