/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_CHARDEV_PRIVATE_H
#define LODGE_CONSOLE_CHARDEV_PRIVATE_H

#include <stdatomic.h>

#include "console/byte-ring.h"
#include "console/chardev.h"

/*
 * What the kinds of chardev share. A kind embeds `struct chardev` as its first member and hands descriptors to the
 * base, which moves the bytes: output from the ring to out_fd, input from in_fd to the client.
 */
#define CHARDEV_RING_SIZE (256u << 10) /* output kept for a slow or absent reader, bytes */
#define CHARDEV_CHUNK 4096u	       /* moved at a time; at most PIPE_BUF, so that a writable pipe takes it whole */

struct chardev_class {
	const char *name;
	bool keys; /* see chardev_has_keys(): input is read at all times, the guest's share lost if it takes none */
	bool end_is_hangup; /* a peer that says no more is gone: nothing else tells (TCP) */
	/* The loop runs for the first time. May be NULL. */
	void (*start)(struct chardev *chardev);
	/*
	 * len > 0 bytes arrived; NULL: they go to the guest as they are and wait in in_fd while the guest takes none.
	 */
	void (*input)(struct chardev *chardev, const uint8_t *data, size_t len);
	/* The peer is gone. NULL: there is nobody to wait for, and what the peer does not take is discarded. */
	void (*hangup)(struct chardev *chardev);
	/* See chardev_terminal_size(). NULL: no terminal. */
	bool (*size)(const struct chardev *chardev, uint16_t *cols, uint16_t *rows);
	/* See chardev_path(). NULL: it has none. */
	const char *(*path)(const struct chardev *chardev);
	/* What goes to out_fd for len bytes of output: at most twice as many. NULL: the same. */
	size_t (*encode)(struct chardev *chardev, const uint8_t *data, size_t len, uint8_t *out);
	/*
	 * A kind without the base's ring and descriptors (context NULL): guest output, from any thread; the client has
	 * room, or is another one.
	 */
	void (*write)(struct chardev *chardev, const uint8_t *data, size_t len);
	void (*accept_input)(struct chardev *chardev);
	void (*client_changed)(struct chardev *chardev);
	void (*drain)(struct chardev *chardev); /* the end has come: last words */
	/* Closes the descriptors and frees the instance, after the base is done with it. */
	void (*destroy)(struct chardev *chardev);
};

struct chardev {
	const struct chardev_class *class;
	GMainContext *context;
	GSource *source; /* NULL: everything is discarded */
	void (*tap)(void *opaque, const uint8_t *data, size_t len);
	void *tap_opaque;

	GMutex lock; /* ring, lost, connected */
	struct byte_ring ring;
	uint64_t lost;
	bool connected;		   /* there is a reader that can be too slow */
	atomic_bool scheduled;	   /* the loop will look at the ring */
	atomic_bool input_waiting; /* the client has not taken all input */

	/* loop thread */
	const struct chardev_client *client;
	void *opaque;
	int in_fd, out_fd; /* -1: none; owned by the kind */
	void *in_tag, *out_tag;
	bool started, in_ended;
	uint8_t input[CHARDEV_CHUNK];
	size_t input_len;
	uint8_t output[2 * CHARDEV_CHUNK]; /* taken from the ring and encoded, not yet written */
	size_t output_pos, output_len;
	uint8_t last_output; /* last byte written */
	bool seen_escape;    /* control sequences have been written */
};

/* context NULL: no loop, output is discarded unless the class has write(). */
void chardev_init(struct chardev *chardev, const struct chardev_class *class, GMainContext *context);

/* New descriptors, or -1: starts to move bytes, output kept in the ring first. Loop thread, or before the loop runs. */
void chardev_set_fds(struct chardev *chardev, int in_fd, int out_fd);

/* Whether there is a reader; tells the client. Loop thread. chardev_set_fds() does it. */
void chardev_set_connected(struct chardev *chardev, bool connected);

/* Input for the guest, from a class's input hook; what there is no room for is dropped. Loop thread. */
void chardev_push_input(struct chardev *chardev, const uint8_t *data, size_t len);

/* A line break for the guest. Loop thread. */
void chardev_push_break(struct chardev *chardev);

/* As chardev_new_stdio(), on any two descriptors; they stay the caller's. */
struct chardev *chardev_new_streams(GMainContext *context, int in_fd, int out_fd, chardev_command_fn on_command,
				    void *opaque, GError **err);

#endif
