/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_DEV_KEYMAP_H
#define LODGE_VMM_DEV_KEYMAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Names and numbers of keys in the code sets people use. A key's own number here ("qnum") is its PC/XT scan code, with
 * 0x80 for the 0xe0 prefix.
 *
 *   linux    KEY_A or 30                 win32  VK_A or 0x41
 *   qcode    QMP's names: "ctrl", "f1"   xt, xt_kbd, atset1, atset2, atset3, os_x, usb, rfb, qnum: numbers
 */

/* key: a name or a decimal or 0x number. LODGE_ERROR_INPUT: no such key, or set. */
bool keymap_find(const char *codeset, const char *key, unsigned *qnum, GError **err);

/* What the keyboard controller makes of a byte of scan code set 2: set 1, without break codes. */
uint8_t keymap_translate(uint8_t set2);

/* qnum to the keyboard's default scan code set 2, without prefix and break code; 0: no such key. */
unsigned keymap_set2(unsigned qnum);

#endif
