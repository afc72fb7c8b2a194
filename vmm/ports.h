/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_PORTS_H
#define LODGE_VMM_PORTS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "console/chardev.h"
#include "core/model/stats-page.h"
#include "core/model/vm-config.h"

/*
 * The guest's serial ports, consoles and channels: what the definition says about each, the multiplexer it ends in
 * (console/mux.h) and its counters. vmm/machine.c connects the devices; the control socket attaches people. All on the
 * loop thread.
 */
struct vm_port {
	enum vm_port_target target;
	enum vm_port_kind kind;
	unsigned index;
	char *alias, *name; /* "serial0"; a channel's name or NULL */
	struct chardev *mux;
	struct stats_port *stats; /* its slot, never NULL */
	bool open;		  /* channels: a program in the guest has it open */
};

/* struct vm_port, in the order of config->ports; back ends are opened. page: not owned, must outlive them. */
GPtrArray *vm_ports_new(const struct vm_config *config, GMainContext *context, struct stats_page *page, GError **err);

/*
 * By alias ("serial0"), or the channel's name; NULL or "": what `virsh console` means: serial port 0, else console 0.
 */
struct vm_port *vm_ports_find(const GPtrArray *ports, const char *name);
struct vm_port *vm_ports_at(const GPtrArray *ports, enum vm_port_target target, unsigned index);

/* {alias: path} of those that have a path only the running VM knows. */
json_t *vm_ports_paths(const GPtrArray *ports);

#endif
