/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the schema cannot say: rules across elements of one definition. Here those of the whole, and the list of the
 * rest. Places of devices are in domain-clash.c.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

#define MAX_MEMORY_KIB (UINT64_C(1) << 52)

static bool check_text(xmlNode *root, GError **err)
{
	g_autofree char *title = xml_get(root, "title");

	if (title && strchr(title, '\n'))
		return fail_xml(err, xml_find(root, "title"), NULL,
				"a title is one line: move the rest into <description>");
	return true;
}

static bool check_memory(xmlNode *root, GError **err)
{
	uint64_t memory = domain_number(root, "memory"), max;
	xmlNode *node = xml_find(root, "memory");

	if (!memory)
		return fail_xml(err, node ? node : root, NULL,
				"a domain needs an amount of memory above 0, as <memory unit='MiB'>512</memory>");
	if (memory > MAX_MEMORY_KIB || !xml_is(root, "memory/@unit", "KiB"))
		return fail_xml(err, node, NULL, "more memory than can be counted");
	if (xml_get_uint(root, "maxMemory", &max)) {
		if (max < memory)
			return fail_xml(err, xml_find(root, "maxMemory"), NULL,
					"%" G_GUINT64_FORMAT " KiB is less than <memory>, %" G_GUINT64_FORMAT " KiB",
					max, memory);
		if (!xml_find(root, "maxMemory/@slots"))
			return fail_xml(err, xml_find(root, "maxMemory"), "slots",
					"missing: the number of modules that may be added");
	}
	return true;
}

static bool check_memtune(xmlNode *root, GError **err)
{
	uint64_t hard, swap;

	if (xml_get_uint(root, "memtune/hard_limit", &hard) && xml_get_uint(root, "memtune/swap_hard_limit", &swap) &&
	    swap < hard)
		return fail_xml(err, xml_find(root, "memtune/swap_hard_limit"), NULL,
				"%" G_GUINT64_FORMAT " KiB is less than <hard_limit>, %" G_GUINT64_FORMAT
				" KiB: it counts memory and swap together",
				swap, hard);
	return true;
}

bool domain_check_rules(const struct domain *domain, GError **err)
{
	xmlNode *root = domain->root;
	unsigned max = 1;

	return check_text(root, err) && check_memory(root, err) && check_memtune(root, err) &&
	       domain_check_cpus(root, &max, err) && domain_check_threads(root, max, err) &&
	       domain_check_tuning(root, err) && domain_check_os(root, err) && domain_check_machine(root, err) &&
	       domain_check_devices(root, err) && object_check_unique(xml_first(root, "seclabel"), "model", err);
}
