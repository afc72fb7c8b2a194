/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CONTROL_H
#define LODGE_VMM_CONTROL_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/base/cleanup.h"

/*
 * The control socket of a running VM: QMP ("QEMU Machine Protocol", greeting, capabilities negotiation, execute/id,
 * events) with QMP's own names where the meaning is the same. Runs on the loop thread; several clients, none of which
 * can hold up another or the guest.
 *
 * A method is a row: name, arguments by name and type, help, handler; `query-commands`, argument checks and the man
 * page come from the rows (vmm/control-*.c by area; the one list is in vmm/control.c).
 */
struct control;
struct machine;
struct chardev;

struct vm_event_info;

struct control_host {
	struct machine *machine;
	const char *name, *uuid;
	GPtrArray *ports; /* struct vm_port, see vmm/ports.h */
	/* Events also go to the warden; may be NULL. event: {"event": NAME, "data": {...}, "timestamp": {...}} */
	void (*on_event)(void *opaque, const json_t *event);
	void *opaque;
};

/* listen_fd: a listening stream socket, not owned. host must outlive it. */
struct control *control_new(GMainContext *context, int listen_fd, const struct control_host *host, GError **err);
void control_free(struct control *control);
DEFINE_AUTOPTR(control, control_free)

/* To every client that negotiated, and to the warden. data: stolen, may be NULL. Loop thread. */
void control_event(struct control *control, const char *name, json_t *data_consume);

/* What happened to the VM, as the event QMP has for it. The shape of vm_on_event()'s function. */
void control_vm_event(void *control, const struct vm_event_info *info);

/* The methods by number, for the man page and the tests; NULL after the last. help: one line. */
const char *control_method_name(size_t i);
const char *control_method_help(size_t i);

#endif
