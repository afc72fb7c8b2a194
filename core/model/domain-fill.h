/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_DOMAIN_FILL_H
#define LODGE_CORE_MODEL_DOMAIN_FILL_H

#include "core/model/domain-steps.h"

/* Sets what is not there. */
void domain_default(xmlNode *from, const char *path, const char *value);
void domain_lower(xmlNode *from, const char *path);

/* domain_fill()'s part that concerns <devices>, without addresses. */
void domain_fill_devices(xmlNode *root);
/* Byte streams: who connects, and how it is spoken. */
void domain_fill_sources(xmlNode *devices);
/* Serial ports, consoles, channels. */
void domain_fill_ports(xmlNode *root);

#endif
