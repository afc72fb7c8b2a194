/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/telnet.h"

#define SE 240u
#define BRK 243u
#define SB 250u
#define WILL 251u
#define WONT 252u
#define DO 253u
#define DONT 254u
#define IAC 255u

#define OPT_BINARY 0u
#define OPT_ECHO 1u
#define OPT_SGA 3u

enum { STATE_DATA, STATE_IAC, STATE_OPTION, STATE_SUB, STATE_SUB_IAC };

const uint8_t telnet_greeting[] = {
	IAC, WILL, OPT_ECHO, IAC, WILL, OPT_SGA, IAC, WILL, OPT_BINARY, IAC, DO, OPT_BINARY,
};
const size_t telnet_greeting_len = sizeof(telnet_greeting);

/*
 * We have asked for what we want; an answer to that needs none of ours, or two ends could go on for ever (RFC 854). What
 * we have not asked for is refused.
 */
static bool asked_for(uint8_t verb, uint8_t option)
{
	if (verb == WILL || verb == WONT)
		return option == OPT_BINARY;
	return option == OPT_BINARY || option == OPT_ECHO || option == OPT_SGA;
}

static void on_option(struct telnet *telnet, uint8_t option, const struct telnet_events *events, void *opaque)
{
	uint8_t verb = telnet->verb;

	if (option == OPT_BINARY && (verb == WILL || verb == WONT))
		telnet->binary = verb == WILL;
	else if (option == OPT_SGA && verb == WILL)
		events->reply(opaque, (const uint8_t[]){ IAC, DO, OPT_SGA }, 3);
	else if (!asked_for(verb, option) && (verb == WILL || verb == DO))
		events->reply(opaque, (const uint8_t[]){ IAC, verb == WILL ? DONT : WONT, option }, 3);
}

static void on_command(struct telnet *telnet, uint8_t byte, const struct telnet_events *events, void *opaque)
{
	telnet->state = STATE_DATA;
	switch (byte) {
	case IAC:
		events->data(opaque, &byte, 1);
		break;
	case BRK:
		events->send_break(opaque);
		break;
	case SB:
		telnet->state = STATE_SUB;
		break;
	case WILL:
	case WONT:
	case DO:
	case DONT:
		telnet->verb = byte;
		telnet->state = STATE_OPTION;
		break;
	default: /* NOP, AYT, GA ...: nothing a console does anything about */
		break;
	}
}

/* RFC 854: the end of a line is CR LF and a bare CR is CR NUL, unless data is binary. To a guest both are the key CR. */
static bool is_padding(struct telnet *telnet, uint8_t byte)
{
	bool padding = telnet->after_cr && !telnet->binary && (byte == '\0' || byte == '\n');

	telnet->after_cr = byte == '\r';
	return padding;
}

/* Passes on what is plain data from the start; returns how much of data it looked at. */
static size_t pass_data(struct telnet *telnet, const uint8_t *data, size_t len, const struct telnet_events *events,
			void *opaque)
{
	size_t n = 0;

	while (n < len && data[n] != IAC && !is_padding(telnet, data[n]))
		n++;
	if (n)
		events->data(opaque, data, n);
	if (n == len)
		return n;
	if (data[n] == IAC) {
		telnet->after_cr = false;
		telnet->state = STATE_IAC;
	}
	return n + 1;
}

void telnet_receive(struct telnet *telnet, const uint8_t *data, size_t len, const struct telnet_events *events,
		    void *opaque)
{
	for (size_t i = 0; i < len;) {
		switch (telnet->state) {
		case STATE_DATA:
			i += pass_data(telnet, data + i, len - i, events, opaque);
			continue;
		case STATE_IAC:
			on_command(telnet, data[i], events, opaque);
			break;
		case STATE_OPTION:
			telnet->state = STATE_DATA;
			on_option(telnet, data[i], events, opaque);
			break;
		case STATE_SUB:
			if (data[i] == IAC)
				telnet->state = STATE_SUB_IAC;
			break;
		default:
			telnet->state = data[i] == SE ? STATE_DATA : STATE_SUB;
			break;
		}
		i++;
	}
}

size_t telnet_encode(const uint8_t *data, size_t len, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		out[n++] = data[i];
		if (data[i] == IAC)
			out[n++] = IAC;
	}
	return n;
}
