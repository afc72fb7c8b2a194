/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/domains.h"

#include <fcntl.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/file.h"
#include "core/base/wire.h"
#include "core/domains-cleanup.h"
#include "core/events.h"
#include "core/rundir.h"
#include "core/store.h"

/* Definitions, stored and live: reading, checking that names and UUIDs stay unique, changing. */

/* --- reading --- */

/* What only the running VM knew when it started: "serial0" is at /dev/pts/3. */
static void set_port(xmlNode *device, const char *path)
{
	if (xml_is(device, "@type", "pty") && !strcmp((const char *)device->name, "console"))
		xml_set(device, "@tty", path);
	xml_set(device, "source/@path", path);
}

static void set_ports(struct domain *domain, const json_t *ports)
{
	xmlNode *devices = xml_find(domain->root, "devices");

	for (xmlNode *device = devices ? xml_child(devices) : NULL; device; device = xml_sibling(device)) {
		g_autofree char *alias = xml_get(device, "alias/@name");
		const char *path = alias ? json_string_value(json_object_get(ports, alias)) : NULL;

		/* A console at the first serial port is the same port under another name. */
		if (!path && !strcmp((const char *)device->name, "console") && xml_is(device, "target/@type", "serial"))
			path = json_string_value(json_object_get(ports, "serial0"));
		if (path)
			set_port(device, path);
	}
}

static struct domain *read_live(const struct home *home, const char *name, GError **err)
{
	g_autofree char *path = home_vm_path(home, name, "live.xml");
	g_autofree char *facts_path = home_vm_path(home, name, "start.json");
	g_autofree char *facts_text = NULL;
	g_autofree char *text = NULL;
	auto_json json_t *facts = NULL;
	struct domain *domain;
	size_t len, facts_len;

	text = file_read(AT_FDCWD, path, XML_MAX_SIZE * 2, &len, NULL);
	if (!text)
		return fail_null(err, LODGE_ERROR_STATE, "domain is not running");
	domain = domain_parse(text, len, path, DOMAIN_STORED, err);
	facts_text = file_read(AT_FDCWD, facts_path, WIRE_MAX_MESSAGE, &facts_len, NULL);
	facts = facts_text ? json_loadb(facts_text, facts_len, 0, NULL) : NULL;
	if (domain && facts)
		set_ports(domain, json_object_get(facts, "ports"));
	return domain;
}

static struct domain *read_stored(const struct home *home, const char *name, GError **err)
{
	g_autofree char *path = store_path(home, STORE_VM, name);
	g_autofree char *text = NULL;
	size_t len;

	if (!store_exists(home, STORE_VM, name))
		return fail_null(err, LODGE_ERROR_STATE, "domain '%s' has no definition: it is transient", name);
	text = store_read(home, STORE_VM, name, &len, err);
	return text ? domain_parse(text, len, path, DOMAIN_STORED, err) : NULL;
}

struct domain *dom_definition(const struct home *home, const struct dom *dom, bool live, GError **err)
{
	return live ? read_live(home, dom->name, err) : read_stored(home, dom->name, err);
}

bool domains_set_live(const struct home *home, const struct dom *dom, const struct domain *domain, GError **err)
{
	g_autofree char *path = home_vm_path(home, dom->name, "live.xml");
	g_autofree char *text = domain_format(domain, DOMAIN_SECRET);

	if (!home_writable(home, "change a domain", err))
		return false;
	if (rundir_probe(home, dom->name) != RUNDIR_OWNED)
		return fail(err, LODGE_ERROR_STATE, "domain is not running");
	return file_publish(AT_FDCWD, path, text, strlen(text), 0600, err);
}

/* --- uniqueness, under store_lock() --- */

/* The UUID that stands under a name, as a definition or as a running VM. */
static bool uuid_of_name(const struct home *home, const char *name, char uuid[37])
{
	g_autofree char *text = store_read(home, STORE_VM, name, NULL, NULL);
	const struct stats_page *page;

	if (text)
		return store_peek_uuid(text, uuid);
	page = rundir_probe(home, name) == RUNDIR_OWNED ? rundir_map_page(home, name) : NULL;
	if (page)
		g_strlcpy(uuid, page->uuid, 37);
	rundir_unmap_page(page);
	return page != NULL;
}

static bool uuid_is_free(const struct home *home, const GPtrArray *names, const struct domain *domain, GError **err)
{
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		char uuid[37];

		if (strcmp(name, domain->name) && uuid_of_name(home, name, uuid) &&
		    !g_ascii_strcasecmp(uuid, domain->uuid))
			return fail(err, LODGE_ERROR_STATE, "domain '%s' already exists with uuid %s", name, uuid);
	}
	return true;
}

bool domains_check_unique(const struct home *home, const struct domain *domain, GError **err)
{
	g_autoptr(GPtrArray) stored = store_names(home, STORE_VM, err);
	g_autoptr(GPtrArray) running = rundir_names(home);
	char uuid[37];

	if (!stored)
		return false;
	if (uuid_of_name(home, domain->name, uuid) && g_ascii_strcasecmp(uuid, domain->uuid))
		return fail(err, LODGE_ERROR_STATE, "domain '%s' already exists with uuid %s", domain->name, uuid);
	return uuid_is_free(home, stored, domain, err) && uuid_is_free(home, running, domain, err);
}

/* --- changing --- */

bool domains_define(const struct home *home, struct domain *domain, GError **err)
{
	g_autofree char *text = NULL;
	auto_fd int lock = -1;
	bool known;

	if (!home_writable(home, "define a domain", err))
		return false;
	lock = store_lock(home, err);
	if (lock < 0 || !domains_check_unique(home, domain, err))
		return false;
	known = store_exists(home, STORE_VM, domain->name);
	text = domain_format(domain, DOMAIN_SECRET | DOMAIN_INACTIVE);
	if (!store_write(home, STORE_VM, domain->name, text, err))
		return false;
	fd_close(&lock);
	events_emit_lifecycle(home, domain->name, domain->uuid, "Defined", known ? "Updated" : "Added");
	return true;
}

bool domains_undefine(const struct home *home, const char *name, GError **err)
{
	char uuid[37] = "";
	auto_fd int lock = -1;

	if (!home_writable(home, "undefine a domain", err))
		return false;
	lock = store_lock(home, err);
	if (lock < 0)
		return false;
	uuid_of_name(home, name, uuid);
	if (!store_remove(home, STORE_VM, name, err))
		return false;
	fd_close(&lock);
	events_emit_lifecycle(home, name, uuid, "Undefined", "Removed");
	return true;
}

/* Left-overs of the old name are cleaned up first, so that what is remembered goes along. */
static bool check_rename(const struct home *home, const char *from, const char *to, GError **err)
{
	if (rundir_probe(home, from) == RUNDIR_STALE)
		cleanup_stale(home, from, true, NULL);
	if (rundir_probe(home, from) == RUNDIR_OWNED)
		return fail(err, LODGE_ERROR_STATE, "cannot rename active domain");
	if (store_exists(home, STORE_VM, to) || rundir_probe(home, to) == RUNDIR_OWNED)
		return fail(err, LODGE_ERROR_STATE, "domain with name '%s' already exists", to);
	return true;
}

bool domains_rename(const struct home *home, const char *from, const char *to, GError **err)
{
	autoptr(domain) domain = NULL;
	g_autofree char *text = NULL;
	auto_fd int lock = -1;

	if (!home_writable(home, "rename a domain", err) || !domain_name_check(to, err))
		return false;
	lock = store_lock(home, err);
	if (lock < 0 || !check_rename(home, from, to, err))
		return false;
	domain = read_stored(home, from, err);
	if (!domain)
		return false;
	xml_set(domain->root, "name", to);
	text = domain_format(domain, DOMAIN_SECRET | DOMAIN_INACTIVE);
	if (!store_rename(home, STORE_VM, from, to, text, err))
		return false;
	fd_close(&lock);
	events_emit_lifecycle(home, from, domain->uuid, "Undefined", "Renamed");
	events_emit_lifecycle(home, to, domain->uuid, "Defined", "Renamed");
	return true;
}
