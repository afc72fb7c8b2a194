/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_XML_PREFIX_H
#define LODGE_CORE_MODEL_XML_PREFIX_H

#include <libxml/tree.h>

/*
 * Gives the name spaces that have a meaning here their usual prefixes ("qemu", "dnsmasq", "fs", "rbd"): other programs
 * write ns0:commandline, or a default name space. Paths and schema rows know the usual prefix only. Where that prefix
 * stands for something else in the same place, nothing changes.
 */
void xml_use_prefixes(xmlDoc *doc);

#endif
