/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of a real machine with a guest of some bytes. Client and VM are in one process and one thread:
 * whoever waits for an answer runs the VM's loop until it is there.
 */
#include "vmm/control.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/wire.h"
#include "core/model/lifecycle.h"
#include "tests/tiny-guest.h"
#include "vmm/machine.h"
#include "vmm/ports.h"

#define MEMORY (UINT64_C(16) << 20)

/*
 * Says "up" on COM1; then takes a command byte from 0x7000 whenever it is kicked awake: it never is, so it spins on it.
 */
static const uint8_t guest_code[] = {
	0x66, 0xba, 0xf8, 0x03,						  /* mov $0x3f8, %dx */
	0xb0, 'u',  0xee, 0xb0, 'p',  0xee, 0xb0, '\n', 0xee,		  /* say "up\n" */
	0xb8, 0xef, 0xbe, 0xad, 0xde,					  /* mov $0xdeadbeef, %eax */
	0x8a, 0x1d, 0x00, 0x70, 0x00, 0x00,				  /* mov 0x7000, %bl */
	0x80, 0xfb, 'p',						  /* cmp $'p', %bl: panic */
	0x74, 0x0b, 0x80, 0xfb, 't',					  /* cmp $'t', %bl: triple fault */
	0x74, 0x0e, 0xf3, 0x90, 0xeb, 0xec,				  /* pause; jmp back to the load */
	0x90, 0x90, 0x66, 0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xeb, 0xfe, /* out 1, 0x505; spin */
	0x0f, 0x01, 0x1d, 0x00, 0x60, 0x00, 0x00, 0xcc,			  /* lidt of zeros; int3 */
};

struct fixture {
	char *dir, *socket, *disk, *kernel;
	GMainContext *context;
	struct stats_page *page;
	GPtrArray *ports;
	struct machine *machine;
	struct vm *vm;
	struct control *control;
	int listen_fd;
	struct wire *wire; /* the first client's */
	GPtrArray *events; /* names */
	unsigned forwarded;
};

static void on_event(void *opaque, const json_t *event)
{
	struct fixture *f = opaque;

	g_assert_nonnull(json_object_get(event, "timestamp"));
	f->forwarded++;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
	g_assert_no_errno(bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	g_assert_no_errno(listen(fd, 64));
	return fd;
}

static int connect_fd(struct fixture *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(addr.sun_path, f->socket, sizeof(addr.sun_path));
	g_assert_no_errno(connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	g_assert_no_errno(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK));
	return fd;
}

/* NULL: the other end has closed. */
static json_t *next_object(struct fixture *f, struct wire *wire)
{
	json_t *message = NULL;
	int got;

	while ((got = wire_receive(wire, &message, NULL)) == 0) {
		(void)wire_flush(wire, NULL);
		if (!g_main_context_iteration(f->context, FALSE))
			g_thread_yield();
	}
	return got > 0 ? message : NULL;
}

static json_t *next_answer(struct fixture *f, struct wire *wire)
{
	for (;;) {
		json_t *message = next_object(f, wire);
		const char *event = json_string_value(json_object_get(message, "event"));

		if (!event)
			return message;
		g_ptr_array_add(f->events, g_strdup(event));
		json_decref(message);
	}
}

static struct wire *client_raw(struct fixture *f)
{
	struct wire *wire = wire_new(connect_fd(f));
	auto_json json_t *greeting = next_object(f, wire);

	g_assert_nonnull(json_object_get(json_object_get(greeting, "QMP"), "version"));
	return wire;
}

static json_t *ask_on(struct fixture *f, struct wire *wire, const char *text, int fd)
{
	auto_json json_t *message = json_loads(text, 0, NULL);

	g_assert_nonnull(message);
	g_assert_true(wire_send(wire, message, &fd, fd >= 0 ? 1 : 0, NULL));
	return next_answer(f, wire);
}

static struct wire *client_new(struct fixture *f)
{
	struct wire *wire = client_raw(f);
	auto_json json_t *answer = ask_on(f, wire, "{\"execute\": \"qmp_capabilities\"}", -1);

	g_assert_nonnull(json_object_get(answer, "return"));
	return wire;
}

static struct vm_config *make_config(struct fixture *f)
{
	struct vm_config *config = vm_config_new();
	struct vm_disk_config *disk = g_new0(struct vm_disk_config, 1);
	struct vm_port_config *port = vm_port_config_new();

	g_free(config->accel);
	config->accel = g_strdup("soft");
	config->memory = MEMORY;
	config->kernel = g_strdup(f->kernel);
	config->balloon_memory = MEMORY;
	config->console = VM_CONSOLE_NONE;
	disk->path = g_strdup(f->disk);
	disk->target = g_strdup("vda");
	g_ptr_array_add(config->disks, disk);
	port->alias = g_strdup("serial0");
	g_ptr_array_add(config->ports, port);
	return config;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	autoptr(vm_config) config = NULL;
	struct machine_host host = { 0 };
	struct control_host control = { .name = "tiny", .on_event = on_event, .opaque = f };
	g_autoptr(GError) err = NULL;

	f->dir = g_dir_make_tmp("lodge-control-XXXXXX", NULL);
	f->socket = g_build_filename(f->dir, "control", NULL);
	f->disk = g_build_filename(f->dir, "disk", NULL);
	f->kernel = g_build_filename(f->dir, "kernel", NULL);
	tiny_guest_write(f->kernel, guest_code, sizeof(guest_code));
	g_assert_true(g_file_set_contents(f->disk, "", 0, NULL));
	g_assert_no_errno(truncate(f->disk, 1 << 20));
	f->context = g_main_context_new();
	f->events = g_ptr_array_new_with_free_func(g_free);
	f->page = g_new0(struct stats_page, 1);
	stats_page_init(f->page);
	config = make_config(f);
	g_assert_true(vm_config_check(config, &err));
	f->ports = vm_ports_new(config, f->context, f->page, &err);
	g_assert_no_error(err);
	host.context = f->context;
	host.ports = f->ports;
	host.stats = f->page;
	f->machine = machine_new_for(config, &host, NULL, &err);
	g_assert_no_error(err);
	f->vm = machine_vm(f->machine);
	f->vm->reset_on_fault = true;
	f->listen_fd = listen_at(f->socket);
	control.machine = f->machine;
	control.ports = f->ports;
	f->control = control_new(f->context, f->listen_fd, &control, &err);
	g_assert_no_error(err);
	vm_on_event(f->vm, control_vm_event, f->control);
	g_assert_true(vm_start(f->vm, false, &err));
	f->wire = client_new(f);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", f->dir);

	vm_on_event(f->vm, NULL, NULL);
	control_free(f->control);
	wire_free(f->wire);
	machine_free(f->machine);
	g_ptr_array_unref(f->ports);
	g_ptr_array_unref(f->events);
	close(f->listen_fd);
	g_main_context_unref(f->context);
	g_free(f->page);
	g_assert_cmpint(system(remove), ==, 0);
	g_free(f->dir);
	g_free(f->socket);
	g_free(f->disk);
	g_free(f->kernel);
}

static json_t *ask(struct fixture *f, const char *text)
{
	return ask_on(f, f->wire, text, -1);
}

static char *compact(const json_t *answer)
{
	return json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* The answer's text holds want. */
static void expect(struct fixture *f, const char *text, const char *want)
{
	auto_json json_t *answer = ask(f, text);
	g_autofree char *got = compact(answer);

	if (!strstr(got, want))
		g_error("%s\nanswered %s\nwithout  %s", text, got, want);
}

static void wait_event(struct fixture *f, const char *name)
{
	for (;;) {
		for (guint i = 0; i < f->events->len; i++) {
			if (strcmp(f->events->pdata[i], name) == 0) {
				g_ptr_array_remove_index(f->events, i);
				return;
			}
		}
		expect(f, "{\"execute\": \"query-name\"}", "tiny");
	}
}

static void wait_up(struct fixture *f)
{
	for (;;) {
		auto_json json_t *answer = ask(
			f, "{\"execute\": \"ringbuf-read\", \"arguments\": {\"device\": \"serial0\", \"size\": 64}}");
		const char *text = json_string_value(json_object_get(answer, "return"));

		g_assert_nonnull(text);
		if (strstr(text, "up\n"))
			return;
	}
}

/* --- refusals --- */

static void test_negotiation(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	autoptr(wire) wire = client_raw(f);
	auto_json json_t *early = ask_on(f, wire, "{\"execute\": \"query-status\", \"id\": 7}", -1);
	auto_json json_t *bad =
		ask_on(f, wire, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}", -1);
	auto_json json_t *good = ask_on(f, wire, "{\"execute\": \"qmp_capabilities\"}", -1);
	auto_json json_t *now = ask_on(f, wire, "{\"execute\": \"query-status\", \"id\": {\"a\": [1]}}", -1);
	g_autofree char *id = compact(json_object_get(now, "id"));

	g_assert_cmpstr(json_string_value(json_object_get(json_object_get(early, "error"), "class")), ==,
			"CommandNotFound");
	g_assert_cmpint(json_integer_value(json_object_get(early, "id")), ==, 7);
	g_assert_nonnull(json_object_get(bad, "error"));
	g_assert_nonnull(json_object_get(good, "return"));
	g_assert_cmpstr(id, ==, "{\"a\":[1]}");
}

static void test_bad_commands(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	expect(f, "{\"execute\": \"no-such\"}", "CommandNotFound");
	expect(f, "{\"execute\": 1}", "GenericError");
	expect(f, "{\"arguments\": {}}", "lacks member");
	expect(f, "{\"execute\": \"stop\", \"arguments\": []}", "must be an object");
	expect(f, "{\"execute\": \"stop\", \"what\": 1}", "'what' is unexpected");
	expect(f, "{\"execute\": \"balloon\"}", "'value' is missing");
	expect(f, "{\"execute\": \"balloon\", \"arguments\": {\"value\": \"1\"}}", "must be");
	expect(f, "{\"execute\": \"balloon\", \"arguments\": {\"value\": -1}}", "must be");
	expect(f, "{\"execute\": \"query-status\"}", "\"running\"");
}

/* Every method refuses an argument it does not know, and is listed. */
static void test_every_method(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	auto_json json_t *list = ask(f, "{\"execute\": \"query-commands\"}");
	size_t n = 0;

	for (const char *name; (name = control_method_name(n)); n++) {
		g_autofree char *text = g_strdup_printf("{\"execute\": \"%s\", \"arguments\": {\"bogus\": 1}}", name);

		expect(f, text, "'bogus' is unexpected");
		g_assert_cmpuint(strlen(control_method_help(n)), >, 5);
		for (size_t i = 0; i < n; i++)
			g_assert_cmpstr(name, !=, control_method_name(i));
	}
	g_assert_cmpuint(json_array_size(json_object_get(list, "return")), ==, n);
}

static void test_refusals(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	static const struct {
		const char *command, *arguments, *words;
	} rows[] = {
		{ "system_wakeup", "{}", "not in suspended state" },
		{ "balloon", "{\"value\": 0}", "expects a size" },
		{ "send-key", "{\"keys\": []}", "1 to 16" },
		{ "send-key", "{\"keys\": [{\"type\": \"qcode\", \"data\": \"nokey\"}]}", "not a key" },
		{ "send-key", "{\"keys\": [{\"type\": \"number\", \"data\": 256}]}", "a key is" },
		{ "send-key", "{\"keys\": [\"KEY_A\"], \"x-lodge-codeset\": \"morse\"}", "unknown codeset" },
		{ "send-key", "{\"keys\": [\"KEY_A\"], \"hold-time\": 1000000000}", "hold-time" },
		{ "dump-guest-memory", "{\"paging\": true, \"protocol\": \"file:/x\"}", "page tables" },
		{ "dump-guest-memory", "{\"paging\": false, \"protocol\": \"tcp:1\"}", "fd:NAME or file:PATH" },
		{ "dump-guest-memory", "{\"paging\": false, \"protocol\": \"fd:none\"}", "has been received" },
		{ "dump-guest-memory", "{\"paging\": false, \"protocol\": \"fd:x\", \"format\": \"kdump-zlib\"}",
		  "not supported" },
		{ "dump-guest-memory", "{\"paging\": false, \"protocol\": \"fd:x\", \"begin\": 0}", "belong together" },
		{ "dump-guest-memory", "{\"paging\": false, \"protocol\": \"file:/nonexistent/x\"}", "cannot create" },
		{ "memsave", "{\"val\": 0, \"size\": 0, \"filename\": \"/x\"}", "size" },
		{ "memsave", "{\"val\": 0, \"size\": 1, \"filename\": \"/x\", \"cpu-index\": 9}", "no vCPU 9" },
		{ "pmemsave", "{\"val\": 1099511627776, \"size\": 1, \"filename\": \"/x\"}", "Invalid addr" },
		{ "pmemsave", "{\"val\": 0, \"size\": 1, \"filename\": \"/nonexistent/x\"}", "cannot create" },
		{ "ringbuf-read", "{\"device\": \"serial9\", \"size\": 1}", "no serial port" },
		{ "ringbuf-read", "{\"device\": \"serial0\", \"size\": 0}", "greater than zero" },
		{ "ringbuf-read", "{\"device\": \"serial0\", \"size\": 1, \"format\": \"x\"}", "utf8 or base64" },
		{ "x-lodge-console-attach", "{\"port\": \"x\"}", "no serial port" },
		{ "x-lodge-console-attach", "{\"mode\": \"x\"}", "rw or ro" },
		{ "x-lodge-console-break", "{\"port\": \"x\"}", "no serial port" },
		{ "getfd", "{\"fdname\": \"x\"}", "no file descriptor" },
		{ "getfd", "{\"fdname\": \"1\"}", "digit" },
		{ "closefd", "{\"fdname\": \"x\"}", "not found" },
		{ "query-rx-filter", "{\"name\": \"net0\"}", "invalid net client" },
		{ "query-command-line-options", "{\"option\": \"x\"}", "invalid option" },
		{ "human-monitor-command", "{\"command-line\": \"info\", \"cpu-index\": 99}", "no such vCPU" },
		{ "x-lodge-reboot", "{}", "ACPI" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = g_strdup_printf("{\"execute\": \"%s\", \"arguments\": %s}", rows[i].command,
							rows[i].arguments);

		expect(f, text, "\"error\":{\"class\":\"GenericError\"");
		expect(f, text, rows[i].words);
	}
}

/* None of them holds anybody else up, or lives long. */
static void test_hostile(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	static const char *const junk[] = { "hello\n", "[1]\n{]",  "{\"execute\": \"",
					    "}",       "\xff\xfe", "{\"a\":1}{\"a\":" };
	g_autofree char *deep = g_strnfill(200, '['), *deep_object = g_strconcat("{\"a\":", deep, NULL);
	g_autofree char *huge = g_strnfill(WIRE_MAX_MESSAGE + 65536, ' ');
	const char *const more[] = { deep_object, huge };
	auto_fd int silent = connect_fd(f);

	huge[0] = '{';
	for (size_t i = 0; i < G_N_ELEMENTS(junk) + G_N_ELEMENTS(more); i++) {
		const char *text = i < G_N_ELEMENTS(junk) ? junk[i] : more[i - G_N_ELEMENTS(junk)];
		auto_fd int fd = connect_fd(f);

		for (size_t len = strlen(text); len;) {
			ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

			if (n < 0 && errno != EAGAIN)
				break;
			text += MAX(n, 0);
			len -= (size_t)MAX(n, 0);
			expect(f, "{\"execute\": \"query-name\"}", "tiny");
		}
		expect(f, "{\"execute\": \"query-name\"}", "tiny");
	}
	(void)silent;
}

/* Asks and asks and never reads: it is closed, and nothing has piled up without bound. */
static void test_never_reads(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	static const char text[] =
		"{\"execute\": \"qmp_capabilities\"}{\"execute\": \"query-commands\"}{\"execute\": \"query-pci\"}";
	auto_fd int fd = connect_fd(f);
	int error;

	do {
		error = send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 ? errno : 0;
		expect(f, "{\"execute\": \"query-name\"}", "tiny");
	} while (!error || error == EAGAIN);
	g_assert_true(error == EPIPE || error == ECONNRESET);
}

static void test_many_clients(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	int fds[64];
	unsigned closed = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
		fds[i] = connect_fd(f);
	for (unsigned i = 0; i < 100; i++)
		expect(f, "{\"execute\": \"query-name\"}", "tiny");
	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		char c;

		if (recv(fds[i], &c, 1, MSG_DONTWAIT) == 0)
			closed++;
		close(fds[i]);
	}
	g_assert_cmpuint(closed, >, 0);
	expect(f, "{\"execute\": \"query-name\"}", "tiny");
}

/* --- what works --- */

static void test_queries(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	static const struct {
		const char *command, *words;
	} rows[] = {
		{ "query-version", "\"qemu\":{\"major\"" },
		{ "query-events", "{\"name\":\"SHUTDOWN\"}" },
		{ "query-name", "{\"return\":{\"name\":\"tiny\"}}" },
		{ "query-uuid", "{\"UUID\":\"" },
		{ "query-status", "{\"status\":\"running\",\"running\":true,\"singlestep\":false}" },
		{ "query-kvm", "\"enabled\":false" },
		{ "query-cpus-fast", "\"cpu-index\":0" },
		{ "query-target", "x86_64" },
		{ "query-machines", "q35" },
		{ "query-block", "\"device\":\"vda\"" },
		{ "query-block", "\"virtual-size\":1048576" },
		{ "query-blockstats", "\"rd_operations\":0" },
		{ "query-blockstats", "\"rd_latency_histogram\":{\"boundaries\":[16000,32000," },
		{ "query-chardev", "\"label\":\"serial0\"" },
		{ "query-pci", "\"qdev_id\":\"virtio-disk0\"" },
		{ "query-balloon", "{\"return\":{\"actual\":16777216}}" },
		{ "query-iothreads", "{\"return\":[]}" },
		{ "query-memory-size-summary", "\"base-memory\":16777216" },
		{ "query-rx-filter", "[]" },
		{ "query-vnc", "\"enabled\":false" },
		{ "query-command-line-options", "[]" },
		{ "query-dump", "\"status\":\"none\"" },
		{ "query-dump-guest-memory-capability", "elf" },
		{ "x-lodge-stats", "\"state\":\"running\"" },
		{ "inject-nmi", "{\"return\":{}}" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = g_strdup_printf("{\"execute\": \"%s\"}", rows[i].command);

		expect(f, text, rows[i].words);
	}
	expect(f, "{\"execute\": \"balloon\", \"arguments\": {\"value\": 8388608}}", "{\"return\":{}}");
	expect(f, "{\"execute\": \"x-lodge-balloon-poll\", \"arguments\": {\"seconds\": 0}}", "{\"return\":{}}");
	expect(f, "{\"execute\": \"x-lodge-console-break\"}", "{\"return\":{}}");
	expect(f,
	       "{\"execute\": \"send-key\", \"arguments\": {\"keys\": [{\"type\": \"qcode\", \"data\": \"ctrl\"}, \"KEY_A\", "
	       "{\"type\": \"number\", \"data\": 30}], \"hold-time\": 1}}",
	       "{\"return\":{}}");
}

static void test_pause(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct stats_state state;

	expect(f, "{\"execute\": \"stop\"}", "{\"return\":{}}");
	wait_event(f, "STOP");
	stats_page_get_state(f->page, &state);
	g_assert_cmpuint(state.state, ==, DOMAIN_PAUSED);
	g_assert_cmpuint(state.reason, ==, DOMAIN_PAUSED_USER);
	expect(f, "{\"execute\": \"query-status\"}", "paused");
	expect(f, "{\"execute\": \"inject-nmi\"}", "the guest is paused");
	expect(f, "{\"execute\": \"system_powerdown\"}", "the guest is paused");
	expect(f, "{\"execute\": \"stop\"}", "{\"return\":{}}");
	expect(f, "{\"execute\": \"cont\"}", "{\"return\":{}}");
	wait_event(f, "RESUME");
	stats_page_get_state(f->page, &state);
	g_assert_cmpuint(state.state, ==, DOMAIN_RUNNING);
	g_assert_cmpuint(state.reason, ==, DOMAIN_RUNNING_UNPAUSED);
	expect(f, "{\"execute\": \"system_powerdown\"}", "{\"return\":{}}");
	wait_event(f, "POWERDOWN");
	g_assert_cmpuint(f->forwarded, >=, 3);
}

static void poke(struct fixture *f, uint8_t byte)
{
	g_assert_true(memory_write(f->vm->mem, 0x7000, &byte, 1));
}

static void test_reset(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	wait_up(f);
	expect(f, "{\"execute\": \"system_reset\"}", "{\"return\":{}}");
	wait_event(f, "RESET");
	wait_up(f);
	/* a triple fault is a reset as well, and the vCPU lives again */
	poke(f, 't');
	wait_event(f, "RESET");
	g_assert_cmpuint(f->page->state.resets, ==, 2);
	expect(f, "{\"execute\": \"query-status\"}", "running");
	poke(f, 'p');
	wait_event(f, "GUEST_PANICKED");
	g_assert_cmpint(vm_stop_reason(f->vm, NULL), ==, VM_STOP_PANIC);
}

/* on_crash preserve: kept, looked at, reset, and on again. */
static void test_held(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct stats_state state;

	f->vm->hold_stops = 1u << VM_STOP_PANIC;
	wait_up(f);
	poke(f, 'p');
	wait_event(f, "GUEST_PANICKED");
	wait_event(f, "STOP");
	stats_page_get_state(f->page, &state);
	g_assert_cmpuint(state.state, ==, DOMAIN_CRASHED);
	g_assert_cmpuint(state.reason, ==, DOMAIN_CRASHED_PANICKED);
	expect(f, "{\"execute\": \"query-status\"}", "guest-panicked");
	expect(f, "{\"execute\": \"cont\"}", "reset it first");
	expect(f, "{\"execute\": \"system_reset\"}", "{\"return\":{}}");
	stats_page_get_state(f->page, &state);
	g_assert_cmpuint(state.state, ==, DOMAIN_PAUSED);
	g_assert_cmpuint(state.reason, ==, DOMAIN_PAUSED_CRASHED);
	expect(f, "{\"execute\": \"cont\"}", "{\"return\":{}}");
	expect(f, "{\"execute\": \"query-status\"}", "running");
}

static void test_quit(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct stats_state state;

	expect(f, "{\"execute\": \"quit\"}", "{\"return\":{}}");
	wait_event(f, "SHUTDOWN");
	g_assert_cmpint(vm_state(f->vm), ==, VM_STOPPED);
	stats_page_get_state(f->page, &state);
	g_assert_cmpuint(state.state, ==, DOMAIN_SHUTOFF);
	g_assert_cmpuint(state.reason, ==, DOMAIN_SHUTOFF_DESTROYED);
}

static void check_core(const char *path)
{
	g_autofree char *text = NULL;
	size_t len;
	const Elf64_Ehdr *header;
	const Elf64_Phdr *p;
	const Elf64_Nhdr *note;
	uint64_t rax;

	g_assert_true(g_file_get_contents(path, &text, &len, NULL));
	header = (const Elf64_Ehdr *)(const void *)text;
	g_assert_cmpmem(header->e_ident, SELFMAG, ELFMAG, SELFMAG);
	g_assert_cmpuint(header->e_type, ==, ET_CORE);
	g_assert_cmpuint(header->e_phnum, ==, 2);
	p = (const Elf64_Phdr *)(const void *)(text + header->e_phoff);
	note = (const Elf64_Nhdr *)(const void *)(text + p[0].p_offset);
	g_assert_cmpuint(note->n_type, ==, NT_PRSTATUS);
	g_assert_cmpuint(note->n_descsz, ==, 336);
	/* RAX is word 10 of the registers, which begin at byte 112 */
	memcpy(&rax, text + p[0].p_offset + 20 + 112 + 10 * 8, sizeof(rax));
	g_assert_cmphex(rax, ==, 0xdeadbeef);
	g_assert_cmpuint(p[1].p_type, ==, PT_LOAD);
	g_assert_cmpuint(p[1].p_filesz, ==, MEMORY);
	g_assert_cmpuint(p[1].p_offset + p[1].p_filesz, ==, len);
	g_assert_cmpmem(text + p[1].p_offset + TINY_GUEST_BASE, sizeof(guest_code), guest_code, sizeof(guest_code));
}

static void test_dump(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_autofree char *path = g_build_filename(f->dir, "core", NULL), *text = NULL, *by_name = NULL;
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	auto_json json_t *answer = NULL, *kept = NULL;

	wait_up(f);
	answer = ask_on(
		f, f->wire,
		"{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": \"fd:d\"}}", fd);
	g_assert_nonnull(json_object_get(answer, "return"));
	wait_event(f, "DUMP_COMPLETED");
	check_core(path);
	expect(f, "{\"execute\": \"query-dump\"}", "\"status\":\"completed\",\"completed\":16777216");
	expect(f, "{\"execute\": \"query-status\"}", "running");
	/* detached, to a descriptor that was kept, and a part only */
	kept = ask_on(f, f->wire, "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"d\"}}", fd);
	g_assert_nonnull(json_object_get(kept, "return"));
	expect(f,
	       "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": \"fd:d\", \"detach\": true, "
	       "\"begin\": 4096, \"length\": 8192}}",
	       "{\"return\":{}}");
	wait_event(f, "DUMP_COMPLETED");
	expect(f, "{\"execute\": \"query-dump\"}", "\"completed\":8192");
	text = g_strdup_printf(
		"{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": \"file:%s.2\"}}",
		path);
	expect(f, text, "{\"return\":{}}");
	by_name = g_strconcat(path, ".2", NULL);
	check_core(by_name);
}

/* A dump whose reader never reads holds up nobody, and ends with the VM. */
static void test_dump_stuck(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	autoptr(wire) other = client_new(f);
	auto_json json_t *message = json_loads(
		"{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": \"fd:d\"}}", 0,
		NULL);
	int ends[2];

	g_assert_no_errno(pipe2(ends, O_CLOEXEC));
	g_assert_true(wire_send(other, message, &ends[1], 1, NULL));
	wait_event(f, "STOP");
	expect(f, "{\"execute\": \"query-dump\"}", "active");
	expect(f, "{\"execute\": \"cont\"}", "being written");
	expect(f, "{\"execute\": \"system_reset\"}", "being written");
	expect(f, "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, \"protocol\": \"fd:d\"}}",
	       "already");
	close(ends[0]);
	close(ends[1]);
	wait_event(f, "DUMP_COMPLETED");
	expect(f, "{\"execute\": \"query-dump\"}", "failed");
	expect(f, "{\"execute\": \"query-status\"}", "running");
}

static void test_save(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	static const char *const commands[] = { "memsave", "pmemsave" };

	wait_up(f);
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
		g_autofree char *path = g_build_filename(f->dir, commands[i], NULL), *text = NULL, *got = NULL;
		size_t len;

		text = g_strdup_printf(
			"{\"execute\": \"%s\", \"arguments\": {\"val\": %u, \"size\": %zu, \"filename\": \"%s\"}}",
			commands[i], TINY_GUEST_BASE, sizeof(guest_code), path);
		expect(f, text, "{\"return\":{}}");
		g_assert_true(g_file_get_contents(path, &got, &len, NULL));
		g_assert_cmpmem(got, len, guest_code, sizeof(guest_code));
	}
}

static void test_human(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	static const struct {
		const char *line, *words;
	} rows[] = {
		{ "", "\"return\":\"\"" },
		{ "nonsense", "unknown command: 'nonsense'" },
		{ "info nonsense", "unknown command: 'info nonsense'" },
		{ "info", "info registers" },
		{ "help", "system_powerdown" },
		{ "info status", "VM status: running" },
		{ "info name", "tiny" },
		{ "info uuid", "-4" },
		{ "info version", "lodge" },
		{ "info kvm", "disabled" },
		{ "info cpus", "CPU #0" },
		{ "info registers", "RAX=00000000deadbeef" },
		{ "info block", "vda: removable=0" },
		{ "info blockstats", "rd_bytes=0" },
		{ "info chardev", "serial0" },
		{ "info pci", "1af4:1042" },
		{ "info balloon", "actual=16" },
		{ "info mtree", "pc.ram" },
		{ "info irq", "CPU #0" },
		{ "xp/4xb 0x100000", "0x66 0xba 0xf8 0x03" },
		{ "x /1xw 0x100000", "0x03f8ba66" },
		{ "x/2i 0x100000", "mov dx, 0x3F8" },
		{ "xp/1xg 0xffffffffff", "Cannot access memory" },
		{ "xp/99999999x 0", "is expected" },
		{ "xp", "is expected" },
		{ "p $rax", "3735928559" },
		{ "p/x $rax", "0xdeadbeef" },
		{ "p $nope", "is expected" },
		{ "sendkey", "are expected" },
		{ "sendkey ctrl-nokey", "Error: " },
		{ "sendkey ctrl-alt-f1 1", "\"return\":\"\"" },
		{ "balloon x", "MiB" },
		{ "balloon 8", "\"return\":\"\"" },
		{ "nmi", "\"return\":\"\"" },
		{ "dump-guest-memory", "file name" },
		{ "stop", "\"return\":\"\"" },
		{ "info status", "VM status: paused" },
		{ "c", "\"return\":\"\"" },
		{ "system_powerdown", "\"return\":\"\"" },
		{ "system_wakeup", "Error: " },
		{ "system_reset", "\"return\":\"\"" },
		{ "q", "\"return\":\"\"" },
	};

	wait_up(f);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = g_strdup_printf(
			"{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"%s\"}}",
			rows[i].line);

		expect(f, text, rows[i].words);
	}
}

static int attach(struct fixture *f, struct wire *wire, const char *arguments, const char *want)
{
	g_autofree char *text = g_strdup_printf("{\"execute\": \"x-lodge-console-attach\", \"arguments\": %s}",
						arguments);
	auto_json json_t *answer = ask_on(f, wire, text, -1);
	g_autofree char *got = compact(answer);

	g_assert_nonnull(strstr(got, want));
	return wire_take_fd(wire);
}

static void test_console(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	auto_fd int writer = -1, reader = -1, forced = -1;
	char text[64] = "";

	wait_up(f);
	writer = attach(f, f->wire, "{}", "serial0");
	g_assert_cmpint(writer, >=, 0);
	g_assert_cmpint(attach(f, f->wire, "{\"port\": \"serial0\"}", "GenericError"), ==, -1);
	g_assert_cmpint(attach(f, f->wire, "{\"safe\": true, \"mode\": \"ro\"}", "GenericError"), ==, -1);
	reader = attach(f, f->wire, "{\"mode\": \"ro\", \"notices\": false}", "serial0");
	g_assert_no_errno(fcntl(reader, F_SETFL, O_RDWR | O_NONBLOCK));
	while (!strstr(text, "up")) {
		ssize_t n = read(reader, text, sizeof(text) - 1);

		if (n < 0)
			g_main_context_iteration(f->context, FALSE);
	}
	forced = attach(f, f->wire, "{\"force\": true}", "serial0");
	g_assert_cmpint(forced, >=, 0);
	expect(f, "{\"execute\": \"query-chardev\"}", "\"x-lodge-writer\":true");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct fixture *f, gconstpointer data);
	} tests[] = {
		{ "/control/negotiation", test_negotiation },
		{ "/control/bad-commands", test_bad_commands },
		{ "/control/every-method", test_every_method },
		{ "/control/refusals", test_refusals },
		{ "/control/hostile", test_hostile },
		{ "/control/never-reads", test_never_reads },
		{ "/control/many-clients", test_many_clients },
		{ "/control/queries", test_queries },
		{ "/control/pause", test_pause },
		{ "/control/reset", test_reset },
		{ "/control/held", test_held },
		{ "/control/quit", test_quit },
		{ "/control/dump", test_dump },
		{ "/control/dump-stuck", test_dump_stuck },
		{ "/control/save", test_save },
		{ "/control/human", test_human },
		{ "/control/console", test_console },
	};

	g_test_init(&argc, &argv, NULL);
	signal(SIGPIPE, SIG_IGN); /* as the VM's process does */
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].name, struct fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
