/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules for how a VM starts: kernel, firmware and its variables, and what the firmware tells the guest. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

static bool check_kernel(xmlNode *root, GError **err)
{
	if (xml_find(root, "os/initrd") && !xml_find(root, "os/kernel"))
		return fail_xml(err, xml_find(root, "os/initrd"), NULL, "an initrd needs a <kernel>");
	if (xml_find(root, "os/cmdline") && !xml_find(root, "os/kernel"))
		return fail_xml(err, xml_find(root, "os/cmdline"), NULL, "a command line needs a <kernel>");
	return true;
}

/* --- firmware --- */

static bool has_feature(xmlNode *os, const char *name, const char *enabled)
{
	for (xmlNode *feature = xml_first(os, "firmware/feature"); feature; feature = xml_next(feature)) {
		if (xml_is(feature, "@name", name) && xml_is(feature, "@enabled", enabled))
			return true;
	}
	return false;
}

/* The kind is named, the file is chosen for it. */
static bool check_chosen(xmlNode *os, GError **err)
{
	xmlNode *loader = xml_find(os, "loader");
	g_autofree char *path = loader ? xml_get(loader, ".") : NULL;

	if (path && *path)
		return fail_xml(err, loader, NULL,
				"not together with a firmware that is chosen by its kind: leave out one");
	if (has_feature(os, "enrolled-keys", "yes") && has_feature(os, "secure-boot", "no"))
		return fail_xml(err, xml_find(os, "firmware"), NULL,
				"'enrolled-keys' are of use with 'secure-boot' only");
	if (loader && xml_is(os, "@firmware", "efi") && xml_is(loader, "@secure", "no"))
		return fail_xml(err, loader, "secure",
				"not with a firmware that is chosen by its kind: use the feature "
				"'secure-boot'");
	return true;
}

static bool check_named(xmlNode *os, GError **err)
{
	xmlNode *loader = xml_find(os, "loader");
	g_autofree char *path = loader ? xml_get(loader, ".") : NULL;

	if (xml_find(os, "firmware"))
		return fail_xml(err, xml_find(os, "firmware"), NULL,
				"features choose among files: they need the attribute firmware of <os>");
	if (loader && xml_is(loader, "@type", "pflash") && !*path)
		return fail_xml(err, loader, NULL, "type 'pflash' needs the path of an image");
	return true;
}

/* Firmware in ROM has no place for variables. */
static bool check_variables(xmlNode *os, GError **err)
{
	xmlNode *loader = xml_find(os, "loader"), *nvram = xml_find(os, "nvram");
	bool flash = xml_is(os, "@firmware", "efi") || xml_is(os, "loader/@type", "pflash");

	if (loader && !flash && xml_is(loader, "@stateless", "no"))
		return fail_xml(err, loader, "stateless", "a BIOS keeps no variables");
	if (nvram && !flash && xml_is(os, "@firmware", "bios"))
		return fail_xml(err, nvram, NULL, "a BIOS keeps no variables");
	if (nvram && loader && xml_is(loader, "@stateless", "yes"))
		return fail_xml(err, nvram, NULL, "a loader with stateless='yes' keeps no variables");
	return true;
}

static bool check_acpi(xmlNode *root, GError **err)
{
	g_autofree char *path = xml_get(root, "os/loader");
	bool efi = xml_is(root, "os/@firmware", "efi") || (path && *path && xml_is(root, "os/loader/@type", "pflash"));

	if (efi && domain_is_q35(root) && domain_is_pc(root) && !xml_find(root, "features/acpi"))
		return fail_xml(err, xml_find(root, "os"), NULL,
				"EFI needs <features><acpi/></features> on this machine");
	return true;
}

static bool check_firmware(xmlNode *root, GError **err)
{
	xmlNode *os = xml_find(root, "os");

	if (!os)
		return true;
	return (xml_find(os, "@firmware") ? check_chosen(os, err) : check_named(os, err)) && check_variables(os, err) &&
	       check_acpi(root, err);
}

/* --- SMBIOS --- */

static bool is_date(const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, "/", 0);
	guint64 month, day, year;
	size_t len;

	if (g_strv_length(parts) != 3)
		return false;
	len = strlen(parts[2]);
	return g_ascii_string_to_unsigned(parts[0], 10, 1, 12, &month, NULL) &&
	       g_ascii_string_to_unsigned(parts[1], 10, 1, 31, &day, NULL) && (len == 2 || len == 4) &&
	       g_ascii_string_to_unsigned(parts[2], 10, 0, 9999, &year, NULL) && (len == 2 || year >= 1900);
}

static bool check_smbios(xmlNode *root, GError **err)
{
	g_autofree char *uuid = xml_get(root, "uuid");

	for (xmlNode *entry = xml_first(root, "sysinfo/bios/entry"); entry; entry = xml_next(entry)) {
		g_autofree char *text = xml_get(entry, ".");

		if (xml_is(entry, "@name", "date") && !is_date(text))
			return fail_xml(err, entry, NULL, "'%s' is not a date: MONTH/DAY/YEAR, as 12/31/2020", text);
	}
	for (xmlNode *entry = xml_first(root, "sysinfo/system/entry"); entry; entry = xml_next(entry)) {
		g_autofree char *value = xml_get(entry, ".");

		if (xml_is(entry, "@name", "uuid") && g_ascii_strcasecmp(value, uuid) != 0)
			return fail_xml(err, entry, NULL, "'%s' is not the domain's uuid, %s", value, uuid);
	}
	if (xml_is(root, "os/smbios/@mode", "sysinfo") && !xml_find(root, "sysinfo"))
		return fail_xml(err, xml_find(root, "os/smbios"), "mode",
				"'sysinfo' needs a <sysinfo type='smbios'> element");
	return true;
}

/* The kernel's name for an S/390 machine's boot record. */
static bool check_loadparm(xmlNode *root, GError **err)
{
	xmlNode *devices = xml_find(root, "devices");

	for (xmlNode *node = devices ? xml_child(devices) : NULL; node; node = xml_sibling(node)) {
		xmlNode *boot = xml_find(node, "boot");
		g_autofree char *text = boot ? xml_get(boot, "@loadparm") : NULL;

		if (text && (!*text || strlen(text) > 8 ||
			     !object_made_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.")))
			return fail_xml(err, boot, "loadparm", "'%s' is not 1 to 8 letters, digits and dots", text);
	}
	return true;
}

bool domain_check_os(xmlNode *root, GError **err)
{
	return (!domain_is_ours(root) || (check_kernel(root, err) && check_firmware(root, err))) &&
	       check_smbios(root, err) && check_loadparm(root, err);
}
