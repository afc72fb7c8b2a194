/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_WARDEN_PRIVATE_H
#define LODGE_CORE_WARDEN_PRIVATE_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/base/wire.h"
#include "core/home.h"
#include "core/model/stats-page.h"

/* Between warden.c (loop, messages, processes) and warden-end.c (what happens when the guest has stopped). */
enum policy { ON_POWEROFF, ON_REBOOT, ON_CRASH, N_POLICIES };

/* What is sent, and how long is waited, when an ending VM does not end. */
enum ending { ENDING_NOT, ENDING_POWERDOWN, ENDING_QUIT, ENDING_KILL };

struct warden {
	struct home home;
	char *name, *uuid, *dir;
	char *first_name; /* before rename-restart; NULL: never */
	int id;
	bool paused, autodestroy;
	char *on[N_POLICIES];
	struct wire *front, *vm;
	int lock, control, stats, signals;
	struct stats_page *page;
	pid_t pid; /* of the VM process */
	bool ready;
	json_t *error;	 /* "error" of a VM that did not start */
	bool restarted;	 /* by a policy: no front end waits for an answer */
	char *held;	 /* why the guest stopped, when the VM process stays */
	json_t *stopped; /* the VM's last word */
	bool end_wanted; /* by a user: no policy starts it again */
	enum ending ending;
	bool patient;	  /* it is not killed when it does not obey */
	json_t *tune;	  /* tune_plan() */
	int64_t deadline; /* when `ending` is not obeyed */
};

/* A line in the log, standard error. */
void warden_say(const char *format, ...) G_GNUC_PRINTF(1, 2);
void warden_say_error(const char *what, GError *error_consume);

/* Starts a VM process with a live definition. reason: DOMAIN_RUNNING_... */
bool warden_start_vm(struct warden *warden, const char *xml, unsigned reason, GError **err);
void warden_begin_ending(struct warden *warden, enum ending ending, unsigned reason);
void warden_answer_front(struct warden *warden, json_t *answer_consume);

/* The VM said that its guest has stopped and is kept: a dump, when the policy wants one. */
void warden_take_held(struct warden *warden, const json_t *held);
/* The VM process has ended with this status of waitpid(). True: another one was started; false: the warden is done. */
bool warden_take_end(struct warden *warden, int status);

#endif
