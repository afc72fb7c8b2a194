/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/dev/ps2-keyboard.h"

#include <glib.h>
#include <string.h>

#include "vmm/dev/keymap.h"

/*
 * Answers to commands go to the head of the queue's scan codes by emptying it first: the driver that talks to the
 * keyboard sets it up, and what was typed before is of no use to it, while an answer behind old scan codes would be
 * taken for something else.
 */
#define ACK 0xfau
#define RESEND 0xfeu
#define SELF_TEST_PASSED 0xaau
#define PREFIX 0xe0u
#define PREFIX_PAUSE 0xe1u

#define COMMAND_LEDS 0xedu
#define COMMAND_ECHO 0xeeu
#define COMMAND_SET 0xf0u
#define COMMAND_ID 0xf2u
#define COMMAND_TYPEMATIC 0xf3u
#define COMMAND_ENABLE 0xf4u
#define COMMAND_DISABLE 0xf5u
#define COMMAND_DEFAULTS 0xf6u
#define COMMAND_ALL_KEYS 0xf7u /* to 0xfa: only of meaning in set 3 */
#define COMMAND_ALL_KEYS_END 0xfau
#define COMMAND_RESEND 0xfeu
#define COMMAND_RESET 0xffu

#define LEDS_MASK 0x07u
#define QNUM_SYSRQ 0x54u
#define QNUM_PRINT 0xb7u
#define QNUM_PAUSE 0xc6u

static bool put(struct ps2_keyboard *kbd, const uint8_t *bytes, unsigned n)
{
	if (n > PS2_QUEUE - kbd->n)
		return false;
	for (unsigned i = 0; i < n; i++)
		kbd->queue[(kbd->head + kbd->n++) % PS2_QUEUE] = bytes[i];
	return true;
}

static void put_one(struct ps2_keyboard *kbd, uint8_t byte)
{
	put(kbd, &byte, 1);
}

static void defaults(struct ps2_keyboard *kbd)
{
	kbd->command = 0;
	kbd->set = 2;
	kbd->scanning = true;
}

void ps2_keyboard_reset(struct ps2_keyboard *kbd)
{
	memset(kbd, 0, sizeof(*kbd));
	defaults(kbd);
}

bool ps2_keyboard_valid(const struct ps2_keyboard *kbd)
{
	return kbd->head < PS2_QUEUE && kbd->n <= PS2_QUEUE && (kbd->set == 1 || kbd->set == 2) &&
	       !(kbd->leds & ~LEDS_MASK);
}

bool ps2_keyboard_take(struct ps2_keyboard *kbd, uint8_t *byte)
{
	if (!kbd->n)
		return false;
	*byte = kbd->last = kbd->queue[kbd->head];
	kbd->head = (uint8_t)((kbd->head + 1) % PS2_QUEUE);
	kbd->n--;
	return true;
}

/* The second byte of a command; one that looks like a command is one, and the first is forgotten. */
static void take_parameter(struct ps2_keyboard *kbd, uint8_t command, uint8_t byte)
{
	put_one(kbd, ACK);
	switch (command) {
	case COMMAND_LEDS:
		kbd->leds = byte & LEDS_MASK;
		break;
	case COMMAND_SET:
		if (byte == 0)
			put_one(kbd, kbd->set);
		else if (byte <= 2)
			kbd->set = byte;
		break;
	default:
		break;
	}
}

static void run_command(struct ps2_keyboard *kbd, uint8_t command)
{
	static const uint8_t id[] = { ACK, 0xab, 0x83 }, reset[] = { ACK, SELF_TEST_PASSED };

	switch (command) {
	case COMMAND_LEDS:
	case COMMAND_SET:
	case COMMAND_TYPEMATIC:
		kbd->command = command;
		put_one(kbd, ACK);
		break;
	case COMMAND_ECHO:
		put_one(kbd, COMMAND_ECHO);
		break;
	case COMMAND_ID:
		put(kbd, id, sizeof(id));
		break;
	case COMMAND_ENABLE:
	case COMMAND_DISABLE:
		kbd->scanning = command == COMMAND_ENABLE;
		put_one(kbd, ACK);
		break;
	case COMMAND_DEFAULTS:
		defaults(kbd);
		put_one(kbd, ACK);
		break;
	case COMMAND_ALL_KEYS ... COMMAND_ALL_KEYS_END:
		put_one(kbd, ACK);
		break;
	case COMMAND_RESEND:
		put_one(kbd, kbd->last);
		break;
	case COMMAND_RESET:
		ps2_keyboard_reset(kbd);
		put(kbd, reset, sizeof(reset));
		break;
	default:
		put_one(kbd, RESEND);
		break;
	}
}

void ps2_keyboard_give(struct ps2_keyboard *kbd, uint8_t byte)
{
	uint8_t command = kbd->command;

	kbd->command = 0;
	kbd->head = kbd->n = 0;
	if (command && byte < COMMAND_LEDS)
		take_parameter(kbd, command, byte);
	else
		run_command(kbd, byte);
}

/* --- keys --- */

static unsigned add_set1(uint8_t *bytes, unsigned qnum, bool down)
{
	unsigned n = 0;

	if (qnum & 0x80)
		bytes[n++] = PREFIX;
	bytes[n++] = (uint8_t)((qnum & 0x7f) | (down ? 0 : 0x80));
	return n;
}

static unsigned add_set2(uint8_t *bytes, unsigned qnum, bool down)
{
	unsigned n = 0;

	if (qnum & 0x80)
		bytes[n++] = PREFIX;
	if (!down)
		bytes[n++] = PS2_BREAK;
	bytes[n++] = (uint8_t)keymap_set2(qnum);
	return n;
}

/* Pause has no break code: both come when it goes down. */
static void key_pause(struct ps2_keyboard *kbd, bool down)
{
	static const uint8_t set1[] = { PREFIX_PAUSE, 0x1d, 0x45, PREFIX_PAUSE, 0x9d, 0xc5 };
	static const uint8_t set2[] = { PREFIX_PAUSE, 0x14, 0x77, PREFIX_PAUSE, PS2_BREAK, 0x14, PS2_BREAK, 0x77 };

	if (!down)
		return;
	if (kbd->set == 1)
		put(kbd, set1, sizeof(set1));
	else
		put(kbd, set2, sizeof(set2));
}

/* Print Screen brings a shift of its own along (0xaa is left shift with the prefix). */
static void key_print(struct ps2_keyboard *kbd, bool down)
{
	const unsigned shift = 0xaa, order[2] = { down ? shift : QNUM_PRINT, down ? QNUM_PRINT : shift };
	uint8_t bytes[8];
	unsigned n = 0;

	for (unsigned i = 0; i < 2; i++)
		n += (kbd->set == 1 ? add_set1 : add_set2)(bytes + n, order[i], down);
	put(kbd, bytes, n);
}

void ps2_keyboard_key(struct ps2_keyboard *kbd, unsigned qnum, bool down)
{
	uint8_t bytes[4];

	if (!kbd->scanning || qnum > 0xff || !keymap_set2(qnum))
		return;
	if (qnum == QNUM_PAUSE)
		key_pause(kbd, down);
	else if (qnum == QNUM_PRINT)
		key_print(kbd, down);
	else
		put(kbd, bytes, (kbd->set == 1 ? add_set1 : add_set2)(bytes, qnum, down));
}
