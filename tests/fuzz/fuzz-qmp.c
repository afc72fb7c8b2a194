/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket from the outside: the input is what a client sends, after "qmp_capabilities" unless its first byte
 * is '!'. A machine without a running guest answers. Nothing may crash, every answer is an object with "return",
 * "error", "event" or "QMP", and a second client is answered afterwards whatever the first one did.
 */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/wire.h"
#include "tests/tiny-guest.h"
#include "vmm/control.h"
#include "vmm/machine.h"
#include "vmm/ports.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	GMainContext *context;
	struct stats_page *page;
	GPtrArray *ports;
	struct machine *machine;
	struct control *control;
	int listen_fd;
	struct sockaddr_un addr;
	socklen_t addr_len;
};

static struct vm_config *make_config(const char *kernel)
{
	struct vm_config *config = vm_config_new();
	struct vm_port_config *port = vm_port_config_new();

	g_free(config->accel);
	config->accel = g_strdup("soft");
	config->memory = VM_CONFIG_MIN_MEMORY;
	config->balloon_memory = config->memory;
	config->kernel = g_strdup(kernel);
	port->alias = g_strdup("serial0");
	g_ptr_array_add(config->ports, port);
	return config;
}

static void make_machine(struct world *w)
{
	static const uint8_t code[] = { 0xf4, 0xeb, 0xfd };
	g_autofree char *kernel = NULL;
	autoptr(vm_config) config = NULL;
	struct machine_host host = { .context = w->context, .stats = w->page };
	int fd = g_file_open_tmp("fuzz-qmp-XXXXXX", &kernel, NULL);

	close(fd);
	tiny_guest_write(kernel, code, sizeof(code));
	config = make_config(kernel);
	w->ports = vm_ports_new(config, w->context, w->page, NULL);
	host.ports = w->ports;
	w->machine = w->ports ? machine_new_for(config, &host, NULL, NULL) : NULL;
	unlink(kernel);
	/* Paused: no guest code runs, so every run is the same. */
	if (!w->machine || !vm_start(machine_vm(w->machine), true, NULL))
		abort();
}

/* An abstract socket with a name of the kernel's choice: nothing is left behind. */
static void make_socket(struct world *w)
{
	w->addr.sun_family = AF_UNIX;
	w->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	w->addr_len = sizeof(w->addr);
	if (w->listen_fd < 0 || bind(w->listen_fd, (struct sockaddr *)&w->addr, sizeof(sa_family_t)) ||
	    listen(w->listen_fd, 8) || getsockname(w->listen_fd, (struct sockaddr *)&w->addr, &w->addr_len))
		abort();
}

static void world_open(struct world *w)
{
	struct control_host host = { .name = "fuzz" };

	w->context = g_main_context_new();
	w->page = g_new0(struct stats_page, 1);
	stats_page_init(w->page);
	make_machine(w);
	make_socket(w);
	host.machine = w->machine;
	host.ports = w->ports;
	w->control = control_new(w->context, w->listen_fd, &host, NULL);
	vm_on_event(machine_vm(w->machine), control_vm_event, w->control);
}

static void world_close(struct world *w)
{
	vm_on_event(machine_vm(w->machine), NULL, NULL);
	control_free(w->control);
	machine_free(w->machine);
	g_ptr_array_unref(w->ports);
	close(w->listen_fd);
	g_main_context_unref(w->context);
	g_free(w->page);
}

static int connect_client(const struct world *w)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&w->addr, w->addr_len))
		abort();
	return fd;
}

static void turn(struct world *w)
{
	for (unsigned i = 0; i < 1000 && g_main_context_iteration(w->context, FALSE); i++)
		;
}

/* Reads all answers there are; false: the other end has closed. */
static bool take_answers(struct wire *wire, bool *answered)
{
	json_t *message;
	int got;

	while ((got = wire_receive(wire, &message, NULL)) > 0) {
		if (!json_object_get(message, "return") && !json_object_get(message, "error") &&
		    !json_object_get(message, "event") && !json_object_get(message, "QMP"))
			abort();
		*answered |= json_object_get(message, "return") != NULL;
		json_decref(message);
	}
	return got == 0;
}

static void send_bytes(struct world *w, struct wire *wire, const void *data, size_t size)
{
	bool answered = false;

	for (size_t at = 0; at < size;) {
		ssize_t n = send(wire_fd(wire), (const char *)data + at, MIN(size - at, 4096), MSG_NOSIGNAL);

		turn(w);
		if (!take_answers(wire, &answered) || n < 0)
			return;
		at += (size_t)n;
	}
	turn(w);
	take_answers(wire, &answered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}\n";
	struct world w = { 0 };
	struct wire *first, *second;
	bool answered = false;

	if (size > 65536)
		return 0;
	/* No file is written and no dump started by what a fuzzer makes up. */
	if (memmem(data, size, "memsave", 7) || memmem(data, size, "dump-guest", 10) || memmem(data, size, "\\u", 2))
		return 0;
	world_open(&w);
	first = wire_new(connect_client(&w));
	second = wire_new(connect_client(&w));
	if (!size || data[0] != '!')
		send_bytes(&w, first, hello, strlen(hello));
	send_bytes(&w, first, data, size);
	(void)!send(wire_fd(second), hello, strlen(hello), MSG_NOSIGNAL);
	for (unsigned i = 0; i < 100 && !answered && vm_state(machine_vm(w.machine)) != VM_STOPPED; i++) {
		turn(&w);
		if (!take_answers(second, &answered))
			abort();
	}
	if (!answered && vm_state(machine_vm(w.machine)) != VM_STOPPED)
		abort();
	wire_free(first);
	wire_free(second);
	world_close(&w);
	return 0;
}
