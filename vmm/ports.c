/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/ports.h"

#include <string.h>

#include "console/mux.h"

static void port_free(void *data)
{
	struct vm_port *port = data;

	g_clear_pointer(&port->mux, chardev_free);
	g_free(port->alias);
	g_free(port->name);
	g_free(port);
}

static struct vm_port *port_new(const struct vm_port_config *config, GMainContext *context, struct stats_port *stats,
				GError **err)
{
	struct chardev *mux = mux_new_port(context, config, err);
	struct vm_port *port;

	if (!mux)
		return NULL;
	port = g_new0(struct vm_port, 1);
	port->target = config->target;
	port->kind = config->kind;
	port->index = config->index;
	port->alias = g_strdup(config->alias ? config->alias : "");
	port->name = g_strdup(config->name);
	port->mux = mux;
	port->stats = stats;
	g_strlcpy(stats->name, port->alias, sizeof(stats->name));
	mux_set_stats(mux, stats);
	return port;
}

GPtrArray *vm_ports_new(const struct vm_config *config, GMainContext *context, struct stats_page *page, GError **err)
{
	g_autoptr(GPtrArray) ports = g_ptr_array_new_with_free_func(port_free);
	struct vm_port *first;

	for (guint i = 0; i < config->ports->len; i++) {
		struct vm_port *port = port_new(config->ports->pdata[i], context, &page->port[i], err);

		if (!port)
			return NULL;
		g_ptr_array_add(ports, port);
	}
	page->n_ports = ports->len;
	first = vm_ports_find(ports, NULL);
	if (first)
		mux_set_tail(first->mux, page);
	return g_steal_pointer(&ports);
}

struct vm_port *vm_ports_at(const GPtrArray *ports, enum vm_port_target target, unsigned index)
{
	for (guint i = 0; i < ports->len; i++) {
		struct vm_port *port = ports->pdata[i];

		if (port->target == target && port->index == index)
			return port;
	}
	return NULL;
}

struct vm_port *vm_ports_find(const GPtrArray *ports, const char *name)
{
	struct vm_port *first;

	if (name && *name) {
		for (guint i = 0; i < ports->len; i++) {
			struct vm_port *port = ports->pdata[i];

			if (strcmp(port->alias, name) == 0 || g_strcmp0(port->name, name) == 0)
				return port;
		}
		return NULL;
	}
	first = vm_ports_at(ports, VM_PORT_SERIAL, 0);
	return first ? first : vm_ports_at(ports, VM_PORT_CONSOLE, 0);
}

json_t *vm_ports_paths(const GPtrArray *ports)
{
	json_t *paths = json_object();

	for (guint i = 0; i < ports->len; i++) {
		const struct vm_port *port = ports->pdata[i];
		const char *path = chardev_path(port->mux);

		if (path && *port->alias && (port->kind == VM_PORT_PTY || port->kind == VM_PORT_TCP))
			json_object_set_new(paths, port->alias, json_string(path));
	}
	return paths;
}
