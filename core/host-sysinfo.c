/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <libxml/tree.h>
#include <string.h>

#include "core/base/error.h"
#include "core/host-private.h"
#include "core/model/xml.h"

#define DMI_DIR "/sys/class/dmi/id/"

/* SMBIOS fields the kernel shows, by libvirt's blocks and entry names. */
static const struct {
	const char *block, *entry, *file;
} rows[] = {
	{ "bios", "vendor", "bios_vendor" },
	{ "bios", "version", "bios_version" },
	{ "bios", "date", "bios_date" },
	{ "bios", "release", "bios_release" },
	{ "system", "manufacturer", "sys_vendor" },
	{ "system", "product", "product_name" },
	{ "system", "version", "product_version" },
	{ "system", "serial", "product_serial" },
	{ "system", "uuid", "product_uuid" },
	{ "system", "sku", "product_sku" },
	{ "system", "family", "product_family" },
	{ "baseBoard", "manufacturer", "board_vendor" },
	{ "baseBoard", "product", "board_name" },
	{ "baseBoard", "version", "board_version" },
	{ "baseBoard", "serial", "board_serial" },
	{ "baseBoard", "asset", "board_asset_tag" },
	{ "chassis", "manufacturer", "chassis_vendor" },
	{ "chassis", "version", "chassis_version" },
	{ "chassis", "serial", "chassis_serial" },
	{ "chassis", "asset", "chassis_asset_tag" },
};

static void add_entry(xmlNode *block, const char *name, const char *value)
{
	xmlNode *entry = xml_add(block, "entry");

	xml_set(entry, "@name", name);
	xml_set(entry, ".", value);
}

static void add_processors(xmlNode *root_node, const struct host *host)
{
	xmlNode *block = xml_add(root_node, "processor");
	g_autofree char *speed = g_strdup_printf("%u MHz", host->mhz);

	if (host->vendor)
		add_entry(block, "manufacturer", host->vendor);
	add_entry(block, "version", host->cpu_name);
	if (host->mhz)
		add_entry(block, "max_speed", speed);
}

char *host_sysinfo(const char *root, GError **err)
{
	auto_xml xmlDoc *doc = xmlNewDoc(BAD_CAST "1.0");
	xmlNode *top = xmlNewNode(NULL, BAD_CAST "sysinfo"), *block = NULL;
	const char *block_name = NULL;
	autoptr(host) host = NULL;

	xmlDocSetRootElement(doc, top);
	xml_set(top, "@type", "smbios");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = host_read_line(root, DMI_DIR "%s", rows[i].file);
		g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;

		if (!valid || !*valid)
			continue;
		if (!block || strcmp(block_name, rows[i].block))
			block = xml_add(top, rows[i].block);
		block_name = rows[i].block;
		add_entry(block, rows[i].entry, valid);
	}
	if (!block)
		return fail_null(err, LODGE_ERROR_UNSUPPORTED,
				 "Host SMBIOS information is not available: there is nothing in " DMI_DIR);
	host = host_read(root);
	if (host->cpu_name)
		add_processors(top, host);
	return xml_format(top);
}
