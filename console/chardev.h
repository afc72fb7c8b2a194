/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_CHARDEV_H
#define LODGE_CONSOLE_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"

/*
 * The host end of a serial port or console. The device end (a UART, a virtio console) pushes guest output with
 * chardev_write() from any thread and is given host input through a callback on the loop thread. Neither side ever
 * blocks the other: output goes into a bounded buffer that the loop thread drains; a front end that stops reading
 * loses the oldest output, never the guest's time.
 */
struct chardev;

struct chardev_client {
	/*
	 * Input for the guest arrived; returns how many bytes were taken. The rest is offered again after
	 * chardev_accept_input(). Loop thread.
	 */
	size_t (*receive)(void *opaque, const uint8_t *data, size_t len);
	/* The user asked for a break (^] b). Loop thread. May be NULL. */
	void (*send_break)(void *opaque);
	/* Somebody is at the other end now, or nobody any more. Loop thread. May be NULL. */
	void (*connected)(void *opaque, bool connected);
	/* The terminal at the other end has this size now. Loop thread. May be NULL. */
	void (*resized)(void *opaque, uint16_t cols, uint16_t rows);
};

/* What the user of a terminal may ask of the VM's owner with ^] and a key. The key table is in console/stdio.c. */
enum chardev_command {
	CHARDEV_COMMAND_END, /* ^] alone, or followed by . or q */
	CHARDEV_COMMAND_PAUSE,
	CHARDEV_COMMAND_RESUME,
	CHARDEV_COMMAND_POWER_BUTTON,
	CHARDEV_COMMAND_SUSPEND, /* stop this process as ^Z does */
	CHARDEV_N_COMMANDS
};

/* Carries a command out, on the loop thread; must not free the chardev. */
typedef void (*chardev_command_fn)(void *opaque, enum chardev_command command);

/* One row of the key table, for help texts; NULL after the last. */
struct chardev_key {
	const char *keys; /* as people write them: "^] b" */
	const char *help;
};
const struct chardev_key *chardev_key_row(size_t i);

/*
 * stdio: the process's terminal, put into raw mode when the loop first runs, with ^] as prefix key; plain
 * pass-through when standard input is not a terminal, and its end is not the VM's. unix: a listening socket, one
 * client at a time, mode 0600, unlinked at the end. file: output appended to a file. null: discards.
 */
struct chardev *chardev_new_stdio(GMainContext *context, chardev_command_fn on_command, void *opaque, GError **err);
struct chardev *chardev_new_unix(GMainContext *context, const char *path, GError **err);
struct chardev *chardev_new_file(GMainContext *context, const char *path, GError **err);
struct chardev *chardev_new_null(void);
void chardev_free(struct chardev *chardev); /* drains while the reader keeps reading; restores the terminal */
DEFINE_AUTOPTR(chardev, chardev_free)

/* The guest side attaches (client must outlive the chardev or be detached with NULL). Loop thread. */
void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque);

/*
 * Sees all guest output first, in the writer's thread, a slow reader or none notwithstanding. Set before the guest
 * runs.
 */
void chardev_set_tap(struct chardev *chardev, void (*tap)(void *opaque, const uint8_t *data, size_t len), void *opaque);

/* Guest output; any thread; never blocks, never fails. */
void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len);

/* The device has room for input again. Any thread. */
void chardev_accept_input(struct chardev *chardev);

/* Somebody is at the other end who reads what is written. Any thread. */
bool chardev_is_connected(struct chardev *chardev);

/* Output bytes lost so far because a connected reader did not keep up. Any thread. */
uint64_t chardev_lost(struct chardev *chardev);

/*
 * The size of the terminal it leads to, in characters; false when it leads to none, or the terminal does not know. Loop
 * thread.
 */
bool chardev_terminal_size(const struct chardev *chardev, uint16_t *cols, uint16_t *rows);

/*
 * "/dev/pts/3", a socket's or file's path, "tcp:127.0.0.1:4555" (the port really bound), or NULL. A mux answers with its
 * back end's.
 */
const char *chardev_path(const struct chardev *chardev);

/*
 * Another descriptor for the same terminal or pipe that does not block and whose flags are nobody else's; a plain
 * duplicate when the host gives none. mode: O_RDONLY or O_WRONLY. -1: errno says why.
 */
int chardev_reopen(int fd, int mode);

/* True when ^] keys work on it, so that the user can be told. */
bool chardev_has_keys(const struct chardev *chardev);

#endif
