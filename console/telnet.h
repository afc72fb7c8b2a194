/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CONSOLE_TELNET_H
#define LODGE_CONSOLE_TELNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The server's side of the telnet protocol for a console: RFC 854 with the options BINARY (RFC 856), ECHO (857) and
 * SUPPRESS-GO-AHEAD (858). We echo nothing ourselves, but say WILL ECHO so that the other end stops echoing: the guest
 * does. Every other option is refused, once for each time it is offered or asked for.
 *
 * Plain state, all zero at the start of a connection; input may be cut anywhere.
 */
struct telnet {
	uint8_t state, verb;
	bool after_cr;
	bool binary; /* the other end sends 8-bit data: CR needs no NUL */
};

struct telnet_events {
	void (*data)(void *opaque, const uint8_t *data, size_t len); /* for the guest */
	void (*send_break)(void *opaque);
	void (*reply)(void *opaque, const uint8_t *data, size_t len); /* to the other end, as it is */
};

/* What is said first. */
extern const uint8_t telnet_greeting[];
extern const size_t telnet_greeting_len;

void telnet_receive(struct telnet *telnet, const uint8_t *data, size_t len, const struct telnet_events *events,
		    void *opaque);

/* Output with IAC doubled: at most 2 * len bytes; returns how many. */
size_t telnet_encode(const uint8_t *data, size_t len, uint8_t *out);

#endif
