/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CONTROL_PRIVATE_H
#define LODGE_VMM_CONTROL_PRIVATE_H

#include "core/base/wire.h"
#include "vmm/control.h"
#include "vmm/dump.h"
#include "vmm/machine.h"
#include "vmm/ports.h"

/*
 * Between control.c (clients, framing, dispatch) and control-*.c (methods by area). All on the loop thread.
 *
 * A method's arguments have been checked against its row before run() is called: required ones are there, all have
 * their type, no other is. run() returns a new reference, or NULL with an error; or NULL without one when it has made
 * the call wait (control_call_wait()).
 */
enum control_type {
	CONTROL_STRING,
	CONTROL_INT, /* not negative */
	CONTROL_BOOL,
	CONTROL_ARRAY,
	CONTROL_N_TYPES
};

struct control_arg {
	const char *name; /* NULL: no more */
	enum control_type type;
	bool required;
};

#define CONTROL_MAX_ARGS 7u

struct control_call {
	struct control *control;
	const struct control_host *host;
	struct vm *vm;
	struct control_client *client;
	json_t *args; /* an object, never NULL */
	int reply_fd; /* a method sets it: travels with the answer, then closed; -1 */
};

struct control_method {
	const char *name; /* NULL: no more */
	const char *help; /* one line */
	json_t *(*run)(struct control_call *call, GError **err);
	struct control_arg args[CONTROL_MAX_ARGS];
	bool before; /* allowed before qmp_capabilities */
};

/* A row: name, help, function, arguments. */
#define CONTROL_METHOD(name_, help_, run_, ...) \
	{ \
		.name = (name_), .help = (help_), .run = (run_), .args = { __VA_ARGS__ } \
	}
#define CONTROL_END \
	{ \
		.name = NULL \
	}

/* Each ends with CONTROL_END. */
extern const struct control_method control_query_methods[];
extern const struct control_method control_run_methods[];
extern const struct control_method control_input_methods[];
extern const struct control_method control_memory_methods[];
extern const struct control_method control_console_methods[];
extern const struct control_method control_human_methods[];

/* Every method, in the order of the lists; NULL after the last. */
const struct control_method *control_method(size_t i);
/* Every event, NULL after the last. */
const char *control_event_name(size_t i);

/* Arguments of a call; absent ones are NULL, fallback. */
const char *control_string(const struct control_call *call, const char *name);
uint64_t control_int(const struct control_call *call, const char *name, uint64_t fallback);
bool control_bool(const struct control_call *call, const char *name, bool fallback);

/*
 * The descriptor the client gave that name (getfd), or that came with this call; -1 with an error. The caller closes
 * it.
 */
int control_take_fd(struct control_call *call, const char *name, GError **err);
bool control_keep_fd(struct control_call *call, const char *name, GError **err);
bool control_drop_fd(struct control_call *call, const char *name, GError **err);

/*
 * The answer comes later: the client's further commands wait for it. waiter is then given back with the result (new
 * reference, or NULL with an error that is freed); a client that has gone meanwhile is no problem. At most one a
 * client.
 */
struct control_waiter;
struct control_waiter *control_call_wait(struct control_call *call);
void control_answer(struct control_waiter *waiter_consume, json_t *result_consume, GError *error_consume);

/* Runs a method as if a client had asked for it, for human-monitor-command. */
json_t *control_run(struct control_call *call, const char *name, json_t *args_consume, GError **err);

const struct control_host *control_host(const struct control *control);

/* The state of this VM as query-status has it. */
const char *control_status(const struct vm *vm);
/* A memory dump to memory, file or descriptor; see control-memory.c. One at a time; ended by control_free(). */
struct dump **control_dump(struct control *control);

/* qnum numbers of held keys, and the timer that lets them go: control-input.c. */
struct held_keys;
struct held_keys **control_held_keys(struct control *control);
void control_release_keys(struct control *control);

/* Everything, the shape of x-lodge-stats. */
json_t *control_stats(const struct vm *vm);

/* Text of "info WHAT", or NULL when there is no such thing: control-human-info.c. */
char *control_info(struct control_call *call, const char *what, GError **err);

#endif
