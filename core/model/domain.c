/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A definition goes through the same steps whoever brings it: schema, defaults, addresses, rules, canonical order. What
 * a step assigned is in the tree afterwards and so in the stored text: the next round finds it and assigns nothing.
 * Whatever only a running VM has (id, aliases, ports that were free) is taken out again when the inactive form is
 * written.
 */
#include "core/model/domain.h"

#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"
#include "core/model/domain-steps.h"
#include "core/model/schema.h"
#include "core/model/xml-prefix.h"

static void domain_read_identity(struct domain *domain)
{
	g_autofree char *uuid = xml_get(domain->root, "uuid");

	g_free(domain->name);
	domain->name = xml_get(domain->root, "name");
	if (!domain->name)
		domain->name = g_strdup("");
	g_strlcpy(domain->uuid, uuid ? uuid : "", sizeof(domain->uuid));
}

static struct domain *domain_new(xmlDoc *doc_consume)
{
	struct domain *domain = g_new0(struct domain, 1);

	domain->doc = doc_consume;
	domain->root = xmlDocGetRootElement(doc_consume);
	return domain;
}

static bool check_root(const xmlDoc *doc, GError **err)
{
	const xmlNode *root = xmlDocGetRootElement(doc);

	if (strcmp((const char *)root->name, "domain") != 0)
		return fail_xml(err, root, NULL, "not a domain definition: the outermost element is <%s>, not <domain>",
				root->name);
	return true;
}

/* Taking out what belongs to one run. */

static bool is_user_alias(xmlNode *device)
{
	g_autofree char *name = xml_get(device, "alias/@name");

	return name && g_str_has_prefix(name, "ua-");
}

static void strip_alias(xmlNode *device)
{
	xmlNode *alias = xml_find(device, "alias");

	if (alias && !is_user_alias(device))
		xml_remove(alias);
}

static void strip_interface(xmlNode *interface)
{
	g_autofree char *target = xml_get(interface, "target/@dev");

	if (target && g_str_has_prefix(target, "vnet"))
		xml_set(interface, "target/@dev", NULL);
	if (xml_find(interface, "target") && !xml_find(interface, "target")->properties)
		xml_remove(xml_find(interface, "target"));
	if (xml_is(interface, "@type", "network")) {
		xml_set(interface, "source/@portid", NULL);
		xml_set(interface, "source/@bridge", NULL);
	}
}

/* Sockets that nobody chose have libvirt's path for them. */
static void strip_channel(xmlNode *channel)
{
	g_autofree char *path = xml_get(channel, "source/@path");

	xml_set(channel, "target/@state", NULL);
	if (path && xml_is(channel, "@type", "unix") && strstr(path, "/qemu/channel/target/"))
		xml_remove(xml_find(channel, "source"));
}

/* A port or path that was chosen for one run only. */
static void strip_resolved(xmlNode *device)
{
	const char *name = (const char *)device->name;

	if (strcmp(name, "graphics") == 0 && xml_is(device, "@autoport", "yes")) {
		bool vnc = xml_is(device, "@type", "vnc");

		xml_set(device, "@port", vnc ? "-1" : NULL);
		xml_set(device, "@tlsPort", NULL);
	} else if (strcmp(name, "interface") == 0) {
		strip_interface(device);
	} else if (strcmp(name, "channel") == 0) {
		strip_channel(device);
	}
	if (xml_is(device, "@type", "pty")) {
		xml_set(device, "@tty", NULL);
		if (xml_find(device, "source"))
			xml_remove(xml_find(device, "source"));
	}
}

/* What is only ever reported. */
static void strip_reports(xmlNode *root)
{
	for (xmlNode *label = xml_first(root, "seclabel"); label; label = xml_next(label)) {
		if (xml_find(label, "imagelabel"))
			xml_remove(xml_find(label, "imagelabel"));
		if (xml_is(label, "@type", "dynamic") && xml_find(label, "label"))
			xml_remove(xml_find(label, "label"));
	}
	for (xmlNode *disk = xml_first(root, "devices/disk"); disk; disk = xml_next(disk)) {
		xml_set(disk, "source/@index", NULL);
		if (xml_find(disk, "mirror"))
			xml_remove(xml_find(disk, "mirror"));
	}
}

static void strip_live(xmlNode *root)
{
	xml_set(root, "@id", NULL);
	for (xmlNode *tune = xml_first(root, "cputune/cachetune"); tune; tune = xml_next(tune))
		xml_set(tune, "@id", NULL);
	strip_reports(root);
	for (xmlNode *device = xml_child(xml_find(root, "devices")); device; device = xml_sibling(device)) {
		strip_alias(device);
		strip_resolved(device);
	}
}

void domain_order(struct domain *domain)
{
	schema_order(&schema_domain, domain->doc);
	/* The one place where the order depends on a value: <driver> of an assigned device comes first. */
	for (xmlNode *nic = xml_first(domain->root, "devices/interface"); nic; nic = xml_next(nic)) {
		xmlNode *driver = xml_find(nic, "driver"), *source = xml_find(nic, "source");

		if (driver && source && xml_is(nic, "@type", "hostdev"))
			xmlAddPrevSibling(source, driver);
	}
}

/* The steps behind the schema. */
static bool domain_complete(struct domain *domain, GError **err)
{
	domain_fill(domain);
	domain_read_identity(domain);
	if (!domain_name_check(domain->name, err))
		return false;
	if (!domain_check_rules(domain, err))
		return false;
	if (!domain_assign_buses(domain, err) || !domain_assign_pci(domain, err))
		return false;
	if (!domain_check_addresses(domain, err) ||
	    (domain_is_pc(domain->root) && !domain_check_usb_places(domain->root, err)))
		return false;
	domain_order(domain);
	return true;
}

struct domain *domain_parse(const char *text, size_t len, const char *source, unsigned flags, GError **err)
{
	auto_xml xmlDoc *doc = xml_parse(text, len, source, err);

	if (!doc)
		return NULL;
	xml_use_prefixes(doc);
	if (!check_root(doc, err))
		return NULL;
	autoptr(domain) domain = domain_new(g_steal_pointer(&doc));
	if (flags & DOMAIN_STORED) {
		domain_read_identity(domain);
		return g_steal_pointer(&domain);
	}
	/* People define what dumpxml showed them of a running VM. */
	if (!schema_check(&schema_domain, domain->doc, flags & DOMAIN_VALIDATE, err))
		return NULL;
	strip_live(domain->root);
	return domain_complete(domain, err) ? g_steal_pointer(&domain) : NULL;
}

void domain_free(struct domain *domain)
{
	if (!domain)
		return;
	xmlFreeDoc(domain->doc);
	g_free(domain->name);
	g_free(domain);
}

struct domain *domain_copy(const struct domain *domain)
{
	struct domain *copy = domain_new(xmlCopyDoc(domain->doc, 1));

	/* The name in later errors. */
	if (!copy->doc->URL && domain->doc->URL)
		copy->doc->URL = xmlStrdup(domain->doc->URL);
	domain_read_identity(copy);
	return copy;
}

bool domain_recheck(struct domain *domain, GError **err)
{
	return schema_check(&schema_domain, domain->doc, false, err) && domain_complete(domain, err);
}

bool domain_name_check(const char *name, GError **err)
{
	if (!*name)
		return fail(err, LODGE_ERROR_INPUT, "the domain's name is empty");
	if (strlen(name) > VM_CONFIG_MAX_NAME)
		return fail(err, LODGE_ERROR_INPUT, "the domain's name is longer than %u bytes", VM_CONFIG_MAX_NAME);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return fail(err, LODGE_ERROR_INPUT, "the domain's name is '%s', which is a directory's", name);
	if (strchr(name, '/'))
		return fail(err, LODGE_ERROR_INPUT, "the domain's name '%s' holds a '/'", name);
	for (const char *p = name; *p; p++) {
		if (g_ascii_iscntrl(*p))
			return fail(err, LODGE_ERROR_INPUT,
				    "the domain's name holds a newline or another control character");
	}
	return true;
}

/* Accessors. */

uint64_t domain_number(xmlNode *from, const char *path)
{
	uint64_t value;

	return xml_get_uint(from, path, &value) ? value : 0;
}

uint64_t domain_max_memory(const struct domain *domain)
{
	return domain_number(domain->root, "memory");
}

uint64_t domain_memory(const struct domain *domain)
{
	uint64_t value;

	return xml_get_uint(domain->root, "currentMemory", &value) ? value : domain_max_memory(domain);
}

unsigned domain_max_vcpus(const struct domain *domain)
{
	uint64_t value;

	return xml_get_uint(domain->root, "vcpu", &value) ? (unsigned)MIN(value, UINT16_MAX) : 1;
}

unsigned domain_vcpus(const struct domain *domain)
{
	uint64_t value;

	return xml_get_uint(domain->root, "vcpu/@current", &value) ? (unsigned)MIN(value, UINT16_MAX) :
								     domain_max_vcpus(domain);
}

char *domain_policy(const struct domain *domain, const char *event)
{
	char *policy = xml_get(domain->root, event);

	if (policy)
		return policy;
	return g_strdup(strcmp(event, "on_reboot") == 0 ? "restart" : "destroy");
}

bool domain_is_ours(xmlNode *root)
{
	return xml_is(root, "@type", "kvm") || xml_is(root, "@type", "qemu");
}

bool domain_is_q35(xmlNode *root)
{
	g_autofree char *machine = xml_get(root, "os/type/@machine");

	return machine && (strcmp(machine, "q35") == 0 || g_str_has_prefix(machine, "pc-q35"));
}

bool domain_is_pc(xmlNode *root)
{
	g_autofree char *arch = xml_get(root, "os/type/@arch");
	g_autofree char *machine = xml_get(root, "os/type/@machine");

	if (!domain_is_ours(root) || !arch || !machine || (strcmp(arch, "x86_64") != 0 && strcmp(arch, "i686") != 0))
		return false;
	/* Old versions of Red Hat's PC have no other prefix. */
	return g_str_has_prefix(machine, "pc") || g_str_has_prefix(machine, "rhel") || strcmp(machine, "q35") == 0;
}

/* Output. */

static void strip_secrets(xmlNode *root)
{
	for (xmlNode *graphics = xml_first(root, "devices/graphics"); graphics; graphics = xml_next(graphics)) {
		xml_set(graphics, "@passwd", NULL);
		xml_set(graphics, "@passwdValidTo", NULL);
	}
}

static bool has_secrets(xmlNode *root)
{
	for (xmlNode *graphics = xml_first(root, "devices/graphics"); graphics; graphics = xml_next(graphics)) {
		g_autofree char *password = xml_get(graphics, "@passwd");

		if (password)
			return true;
	}
	return false;
}

/* Only what the other host's own defaults would not bring. */
static void strip_host(xmlNode *root)
{
	xmlNode *next;

	for (xmlNode *label = xml_first(root, "seclabel"); label; label = next) {
		next = xml_next(label);
		if (xml_is(label, "@type", "dynamic"))
			xml_remove(label);
	}
}

char *domain_format(const struct domain *domain, unsigned flags)
{
	bool secret = (flags & DOMAIN_SECRET) || !has_secrets(domain->root);
	bool live = !(flags & (DOMAIN_INACTIVE | DOMAIN_MIGRATABLE));

	if (secret && live)
		return xml_format(domain->root);
	auto_xml xmlDoc *doc = xmlCopyDoc(domain->doc, 1);
	xmlNode *root = xmlDocGetRootElement(doc);
	if (!secret)
		strip_secrets(root);
	if (!live)
		strip_live(root);
	if (flags & DOMAIN_MIGRATABLE)
		strip_host(root);
	return xml_format(root);
}
