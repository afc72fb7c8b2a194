/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules for character devices: serial and parallel ports, consoles, channels, and what else is fed by a byte stream. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain-rules.h"
#include "core/model/objects-steps.h"

/* At most one <source> that listens and one that connects; others must be the only one. */
static bool check_sources(xmlNode *device, const char *type, GError **err)
{
	xmlNode *connect = NULL, *bind = NULL;
	bool udp = !strcmp(type, "udp");

	for (xmlNode *source = xml_first(device, "source"); source; source = xml_next(source)) {
		xmlNode **slot = xml_is(source, "@mode", "bind") ? &bind : &connect;

		if (*slot || (!udp && (bind || connect)))
			return fail_xml(err, source, NULL, "a device of type '%s' has one <source>%s", type,
					udp ? " for each mode" : "");
		*slot = source;
	}
	return true;
}

static bool check_reconnect(xmlNode *source, GError **err)
{
	xmlNode *reconnect = xml_find(source, "reconnect");
	uint64_t timeout = 0;

	if (!reconnect || !xml_is(reconnect, "@enabled", "yes"))
		return true;
	if (xml_is(source, "@mode", "bind"))
		return fail_xml(err, reconnect, NULL, "only with mode 'connect'");
	if (xml_get_uint(reconnect, "@timeout", &timeout) && !timeout)
		return fail_xml(err, reconnect, NULL, "needs a timeout of at least one second");
	return true;
}

bool domain_check_port(xmlNode *device, GError **err)
{
	g_autofree char *type = xml_get(device, "@type");
	xmlNode *source = xml_find(device, "source");

	if (!type || !object_in_list(type, "tcp|udp|unix"))
		return true;
	if (!strcmp(type, "unix") && !object_has(device, "source/@path") &&
	    strcmp((const char *)device->name, "channel"))
		return fail_xml(err, device, NULL, "type 'unix' needs source/@path");
	return check_sources(device, type, err) && (!source || check_reconnect(source, err));
}
