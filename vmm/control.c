/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control-private.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * Clients of the control socket.
 *
 * Each has its own wire, so what one sends or does not read concerns nobody else: input is taken one object a turn of
 * the loop, output waits in the wire up to its bound, and a client beyond any bound is closed. A client is freed only
 * from its own source's dispatch or by control_free(); whoever finds it useless in between sets dead.
 *
 * A call that has to wait (a memory dump) leaves the client "waiting": its input is not looked at until the answer is
 * sent, so answers keep the order of the commands.
 */
#define MAX_CLIENTS 32u
#define MAX_NAMED_FDS 16u
#define MAX_NAME 255u
#define PARSE_ERROR "JSON parse error"

struct control {
	GMainContext *context;
	struct control_host host;
	GSource *listener;
	int listen_fd;
	GPtrArray *clients; /* struct control_client */
	struct dump *dump;
	struct held_keys *held_keys;
};

struct control_client {
	struct control *control;
	struct wire *wire;
	GSource *source;
	gpointer tag; /* the source's descriptor */
	bool negotiated, dead;
	struct control_waiter *waiting;
	json_t *id;	 /* of the command being executed */
	GHashTable *fds; /* name -> descriptor, from getfd */
};

struct control_waiter {
	struct control_client *client; /* NULL: gone */
	json_t *id;
};

struct client_source {
	GSource base;
	struct control_client *client;
};

static const struct control_method *const method_lists[] = {
	control_query_methods,	control_run_methods,	 control_input_methods,
	control_memory_methods, control_console_methods, control_human_methods,
};

static const char *const event_names[] = {
	"BALLOON_CHANGE", "DUMP_COMPLETED", "GUEST_PANICKED", "POWERDOWN",	 "RESET",    "RESUME",
	"RTC_CHANGE",	  "SHUTDOWN",	    "STOP",	      "VSERPORT_CHANGE", "WATCHDOG", NULL,
};

const char *control_event_name(size_t i)
{
	return event_names[i];
}

const struct control_method *control_method(size_t i)
{
	for (size_t list = 0; list < G_N_ELEMENTS(method_lists); list++) {
		for (const struct control_method *method = method_lists[list]; method->name; method++) {
			if (i-- == 0)
				return method;
		}
	}
	return NULL;
}

const char *control_method_name(size_t i)
{
	return control_method(i) ? control_method(i)->name : NULL;
}

const char *control_method_help(size_t i)
{
	return control_method(i) ? control_method(i)->help : NULL;
}

static const struct control_method *find_method(const char *name)
{
	const struct control_method *method;

	for (size_t i = 0; (method = control_method(i)); i++) {
		if (strcmp(method->name, name) == 0)
			return method;
	}
	return NULL;
}

/* --- output --- */

static void watch(struct control_client *client)
{
	GIOCondition want = client->waiting ? 0 : G_IO_IN;

	if (wire_pending(client->wire))
		want |= G_IO_OUT;
	g_source_modify_unix_fd(client->source, client->tag, want);
}

/* The reader has gone, or lets more pile up than it may. */
static void send_to(struct control_client *client, const json_t *message, int fd)
{
	if (client->dead)
		return;
	if (!wire_send(client->wire, message, &fd, fd >= 0 ? 1 : 0, NULL))
		client->dead = true;
	if (client->dead)
		g_source_set_ready_time(client->source, 0);
	else
		watch(client);
}

/* The error classes QMP has; everything else is GenericError, and lodge-kind tells more. */
static const char *error_class(const GError *error)
{
	return error->domain == LODGE_ERROR && error->code == LODGE_ERROR_USAGE ? "CommandNotFound" : "GenericError";
}

static json_t *error_object(const GError *error)
{
	const char *kind = lodge_error_name(error->domain == LODGE_ERROR ? (enum lodge_error)error->code :
									   LODGE_ERROR_INTERNAL);
	g_autofree char *text = g_utf8_make_valid(error->message, -1);

	return json_pack("{s:{s:s, s:s, s:s}}", "error", "class", error_class(error), "desc", text, "lodge-kind", kind);
}

/* Takes over result and error, whichever there is. */
static void reply(struct control_client *client, const json_t *id, json_t *result, const GError *error, int fd)
{
	auto_json json_t *message = error ? error_object(error) : json_object();

	if (!error)
		json_object_set_new(message, "return", result);
	else
		json_decref(result);
	if (id)
		json_object_set(message, "id", (json_t *)(uintptr_t)id);
	send_to(client, message, fd);
}

struct control_waiter *control_call_wait(struct control_call *call)
{
	struct control_waiter *waiter = g_new0(struct control_waiter, 1);

	waiter->client = call->client;
	waiter->id = json_incref(call->client->id);
	call->client->waiting = waiter;
	return waiter;
}

void control_answer(struct control_waiter *waiter_consume, json_t *result_consume, GError *error_consume)
{
	struct control_client *client = waiter_consume->client;

	if (client) {
		client->waiting = NULL;
		reply(client, waiter_consume->id, result_consume, error_consume, -1);
		/* Commands may wait in the wire already. */
		g_source_set_ready_time(client->source, 0);
	} else {
		json_decref(result_consume);
	}
	g_clear_error(&error_consume);
	json_decref(waiter_consume->id);
	g_free(waiter_consume);
}

static json_t *timestamp(void)
{
	int64_t now = g_get_real_time();

	return json_pack("{s:I, s:I}", "seconds", (json_int_t)(now / G_USEC_PER_SEC), "microseconds",
			 (json_int_t)(now % G_USEC_PER_SEC));
}

void control_event(struct control *control, const char *name, json_t *data_consume)
{
	auto_json json_t *event = json_pack("{s:o, s:s}", "timestamp", timestamp(), "event", name);

	if (data_consume)
		json_object_set_new(event, "data", data_consume);
	for (guint i = 0; i < control->clients->len; i++) {
		struct control_client *client = control->clients->pdata[i];

		if (client->negotiated)
			send_to(client, event, -1);
	}
	if (control->host.on_event)
		control->host.on_event(control->host.opaque, event);
}

/* --- arguments --- */

const char *control_string(const struct control_call *call, const char *name)
{
	return json_string_value(json_object_get(call->args, name));
}

uint64_t control_int(const struct control_call *call, const char *name, uint64_t fallback)
{
	const json_t *value = json_object_get(call->args, name);

	return value ? (uint64_t)json_integer_value(value) : fallback;
}

bool control_bool(const struct control_call *call, const char *name, bool fallback)
{
	const json_t *value = json_object_get(call->args, name);

	return value ? json_is_true(value) : fallback;
}

static bool type_fits(const json_t *value, enum control_type type)
{
	switch (type) {
	case CONTROL_STRING:
		return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
	case CONTROL_INT:
		return json_is_integer(value) && json_integer_value(value) >= 0;
	case CONTROL_BOOL:
		return json_is_boolean(value);
	default:
		return json_is_array(value);
	}
}

static const struct control_arg *find_arg(const struct control_method *method, const char *name)
{
	for (size_t i = 0; i < CONTROL_MAX_ARGS && method->args[i].name; i++) {
		if (strcmp(method->args[i].name, name) == 0)
			return &method->args[i];
	}
	return NULL;
}

static bool check_args(const struct control_method *method, json_t *args, GError **err)
{
	static const char *const type_names[CONTROL_N_TYPES] = { "a string", "a non-negative integer", "a boolean",
								 "an array" };
	const char *name;
	json_t *value;

	json_object_foreach(args, name, value)
	{
		const struct control_arg *arg = find_arg(method, name);

		if (!arg)
			return fail(err, LODGE_ERROR_INPUT, "%s: parameter '%s' is unexpected", method->name, name);
		if (!type_fits(value, arg->type))
			return fail(err, LODGE_ERROR_INPUT, "%s: parameter '%s' must be %s", method->name, name,
				    type_names[arg->type]);
	}
	for (size_t i = 0; i < CONTROL_MAX_ARGS && method->args[i].name; i++) {
		if (method->args[i].required && !json_object_get(args, method->args[i].name))
			return fail(err, LODGE_ERROR_INPUT, "%s: parameter '%s' is missing", method->name,
				    method->args[i].name);
	}
	return true;
}

/* --- descriptors --- */

int control_take_fd(struct control_call *call, const char *name, GError **err)
{
	gpointer key, value;
	int fd;

	if (name && g_hash_table_steal_extended(call->client->fds, name, &key, &value)) {
		g_free(key);
		return GPOINTER_TO_INT(value);
	}
	fd = wire_take_fd(call->client->wire);
	if (fd < 0)
		fail(err, LODGE_ERROR_INPUT, "no file descriptor named '%s' has been received", name ? name : "");
	return fd;
}

bool control_keep_fd(struct control_call *call, const char *name, GError **err)
{
	int fd;

	if (g_ascii_isdigit(*name) || !*name || strlen(name) > MAX_NAME)
		return fail(err, LODGE_ERROR_INPUT, "parameter 'fdname' must be a name not starting with a digit");
	if (g_hash_table_size(call->client->fds) >= MAX_NAMED_FDS)
		return fail(err, LODGE_ERROR_STATE, "too many file descriptors are kept for this client");
	fd = wire_take_fd(call->client->wire);
	if (fd < 0)
		return fail(err, LODGE_ERROR_INPUT, "no file descriptor supplied via SCM_RIGHTS");
	g_hash_table_replace(call->client->fds, g_strdup(name), GINT_TO_POINTER(fd));
	return true;
}

bool control_drop_fd(struct control_call *call, const char *name, GError **err)
{
	return g_hash_table_remove(call->client->fds, name) ||
	       fail(err, LODGE_ERROR_INPUT, "file descriptor named '%s' not found", name);
}

static void close_value(void *value)
{
	close(GPOINTER_TO_INT(value));
}

/* --- commands --- */

json_t *control_run(struct control_call *call, const char *name, json_t *args_consume, GError **err)
{
	const struct control_method *method = find_method(name);
	auto_json json_t *args = args_consume ? args_consume : json_object();
	json_t *before = call->args, *result;

	if (!method)
		return fail_null(err, LODGE_ERROR_USAGE, "The command %s has not been found", name);
	if (!check_args(method, args, err))
		return NULL;
	call->args = args;
	result = method->run(call, err);
	call->args = before;
	return result;
}

static const char *command_name(const json_t *message, json_t **args, GError **err)
{
	const char *name = json_string_value(json_object_get(message, "execute")), *key;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)message, key, value)
	{
		if (strcmp(key, "execute") != 0 && strcmp(key, "arguments") != 0 && strcmp(key, "id") != 0)
			return fail_null(err, LODGE_ERROR_INPUT, "QMP input member '%s' is unexpected", key);
	}
	if (!name)
		return fail_null(err, LODGE_ERROR_INPUT, "QMP input lacks member 'execute', or it is not a string");
	*args = json_object_get(message, "arguments");
	if (*args && !json_is_object(*args))
		return fail_null(err, LODGE_ERROR_INPUT, "QMP input member 'arguments' must be an object");
	return name;
}

static bool allowed_now(const struct control_client *client, const char *name, GError **err)
{
	const struct control_method *method = find_method(name);

	if (!method)
		return fail(err, LODGE_ERROR_USAGE, "The command %s has not been found", name);
	if (!client->negotiated && !method->before)
		return fail(err, LODGE_ERROR_USAGE, "Expecting capabilities negotiation with 'qmp_capabilities'");
	return true;
}

static void execute(struct control_client *client, json_t *message)
{
	struct control *control = client->control;
	struct control_call call = { .control = control,
				     .host = &control->host,
				     .client = client,
				     .reply_fd = -1,
				     .vm = machine_vm(control->host.machine) };
	g_autoptr(GError) error = NULL;
	json_t *args = NULL, *result = NULL;
	const char *name = command_name(message, &args, &error);

	client->id = json_object_get(message, "id");
	if (name && allowed_now(client, name, &error)) {
		result = control_run(&call, name, json_incref(args), &error);
		if (result && strcmp(name, "qmp_capabilities") == 0)
			client->negotiated = true;
	}
	if (!client->waiting)
		reply(client, client->id, result, error, call.reply_fd);
	client->id = NULL;
	fd_close(&call.reply_fd);
}

/* --- input --- */

/* Descriptors no command has taken. */
static void drop_fds(struct control_client *client)
{
	int fd;

	while ((fd = wire_take_fd(client->wire)) >= 0)
		close(fd);
}

/* The stream is out of step: the client is told, and that was it. */
static void refuse_input(struct control_client *client, const GError *error)
{
	g_autoptr(GError) told = g_error_new(LODGE_ERROR, LODGE_ERROR_INPUT, PARSE_ERROR ": %s", error->message);

	reply(client, NULL, NULL, told, -1);
	(void)wire_flush(client->wire, NULL);
	client->dead = true;
}

/* One object a turn: true when there may be another one in the wire already. */
static bool take_input(struct control_client *client)
{
	auto_json json_t *message = NULL;
	g_autoptr(GError) error = NULL;
	int got = wire_receive(client->wire, &message, &error);

	if (got == 0) {
		drop_fds(client);
		return false;
	}
	if (got < 0) {
		if (error)
			refuse_input(client, error);
		client->dead = true;
		return false;
	}
	if (json_is_object(message)) {
		execute(client, message);
		return true;
	}
	fail(&error, LODGE_ERROR_INPUT, "QMP input must be a JSON object");
	reply(client, NULL, NULL, error, -1);
	return true;
}

static void client_free(void *data)
{
	struct control_client *client = data;

	if (client->waiting)
		client->waiting->client = NULL;
	g_source_destroy(client->source);
	g_source_unref(client->source);
	wire_free(client->wire);
	g_hash_table_unref(client->fds);
	g_free(client);
}

static gboolean client_ready(GSource *source, GSourceFunc fn, gpointer data)
{
	struct control_client *client = ((struct client_source *)source)->client;
	GIOCondition what = g_source_query_unix_fd(source, client->tag);

	(void)fn;
	(void)data;
	g_source_set_ready_time(source, -1);
	if (!client->dead && wire_pending(client->wire) && !wire_flush(client->wire, NULL))
		client->dead = true;
	/* Nobody is left to wait for the answer. */
	if (client->waiting && what & (G_IO_HUP | G_IO_ERR))
		client->dead = true;
	if (!client->dead && !client->waiting && take_input(client))
		g_source_set_ready_time(source, 0);
	if (client->dead)
		g_ptr_array_remove(client->control->clients, client);
	else
		watch(client);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs client_source_funcs = { .dispatch = client_ready };

static void greet(struct control_client *client)
{
	unsigned version[3] = { 0 };
	auto_json json_t *greeting = NULL;

	(void)sscanf(PACKAGE_VERSION, "%u.%u.%u", &version[0], &version[1], &version[2]);
	greeting = json_pack("{s:{s:{s:{s:i, s:i, s:i}, s:s}, s:[]}}", "QMP", "version", "qemu", "major",
			     (int)version[0], "minor", (int)version[1], "micro", (int)version[2], "package",
			     "lodge " PACKAGE_VERSION, "capabilities");
	send_to(client, greeting, -1);
}

static void client_new(struct control *control, int fd_consume)
{
	struct control_client *client = g_new0(struct control_client, 1);

	client->control = control;
	client->wire = wire_new(fd_consume);
	client->fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_value);
	client->source = g_source_new(&client_source_funcs, sizeof(struct client_source));
	((struct client_source *)client->source)->client = client;
	client->tag = g_source_add_unix_fd(client->source, fd_consume, G_IO_IN);
	g_source_attach(client->source, control->context);
	g_ptr_array_add(control->clients, client);
	greet(client);
}

static gboolean accept_client(gint fd, GIOCondition condition, gpointer data)
{
	struct control *control = data;
	int client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)condition;
	if (client_fd < 0)
		return G_SOURCE_CONTINUE;
	if (control->clients->len >= MAX_CLIENTS)
		close(client_fd);
	else
		client_new(control, client_fd);
	return G_SOURCE_CONTINUE;
}

/* --- the whole --- */

const struct control_host *control_host(const struct control *control)
{
	return &control->host;
}

struct dump **control_dump(struct control *control)
{
	return &control->dump;
}

struct held_keys **control_held_keys(struct control *control)
{
	return &control->held_keys;
}

struct control *control_new(GMainContext *context, int listen_fd, const struct control_host *host, GError **err)
{
	struct control *control;

	if (listen_fd < 0)
		return fail_null(err, LODGE_ERROR_INTERNAL, "no control socket");
	control = g_new0(struct control, 1);
	control->context = g_main_context_ref(context);
	control->host = *host;
	control->clients = g_ptr_array_new_with_free_func(client_free);
	control->listener = g_unix_fd_source_new(listen_fd, G_IO_IN);
	g_source_set_callback(control->listener, G_SOURCE_FUNC(accept_client), control, NULL);
	g_source_attach(control->listener, context);
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	control_release_keys(control);
	g_clear_pointer(&control->dump, dump_free);
	g_source_destroy(control->listener);
	g_source_unref(control->listener);
	for (guint i = 0; i < control->clients->len; i++)
		(void)wire_flush(((struct control_client *)control->clients->pdata[i])->wire, NULL);
	g_ptr_array_unref(control->clients);
	g_main_context_unref(control->context);
	g_free(control);
}
