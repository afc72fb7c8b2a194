/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_DEV_PS2_KEYBOARD_H
#define LODGE_VMM_DEV_PS2_KEYBOARD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A PS/2 keyboard (IBM PS/2 Technical Reference, "Keyboards (101- and 102-Key)"), scan code sets 1 and 2, without
 * typematic repeat. Open because it is part of the controller's saved state; its functions are called with the
 * controller's lock held.
 */
#define PS2_QUEUE 64u
#define PS2_BREAK 0xf0u

struct ps2_keyboard {
	uint8_t queue[PS2_QUEUE]; /* bytes on their way to the controller */
	uint8_t head, n;
	uint8_t command; /* waiting for its second byte, or 0 */
	uint8_t set;	 /* scan code set: 1 or 2 */
	uint8_t leds;
	uint8_t last; /* byte given out last, for "resend" */
	bool scanning;
};

void ps2_keyboard_reset(struct ps2_keyboard *kbd);
bool ps2_keyboard_valid(const struct ps2_keyboard *kbd); /* after a load */

/* A byte from the host. */
void ps2_keyboard_give(struct ps2_keyboard *kbd, uint8_t byte);
/* The next byte for the host; false: none. */
bool ps2_keyboard_take(struct ps2_keyboard *kbd, uint8_t *byte);

/* A key goes down or up: all of its bytes are queued, or none. */
void ps2_keyboard_key(struct ps2_keyboard *kbd, unsigned qnum, bool down);

#endif
