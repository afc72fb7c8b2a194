/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Definitions of every kind but the domain: what is accepted is written in a form that is accepted again and does not
 * change any more.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/model/objects.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_kind(enum xml_kind kind, const char *text, size_t len, unsigned flags)
{
	autoptr(object) object = object_parse(kind, text, len, "fuzz", flags, NULL);
	autoptr(object) again = NULL;
	autoptr(object) copy = NULL;
	g_autofree char *first = NULL;
	g_autofree char *second = NULL;
	g_autofree char *third = NULL;
	g_autoptr(GError) error = NULL;

	if (!object)
		return;
	first = object_format(object);
	again = object_parse(kind, first, strlen(first), "again", flags | OBJECT_REDEFINE, &error);
	g_assert_no_error(error);
	second = object_format(again);
	g_assert_cmpstr(first, ==, second);
	copy = object_copy(again);
	g_assert_true(object_recheck(copy, flags | OBJECT_REDEFINE, &error));
	third = object_format(copy);
	g_assert_cmpstr(third, ==, second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	enum xml_kind kind = object_kind_of(text, size);

	if (kind == XML_N_KINDS || kind == XML_DOMAIN)
		return 0;
	try_kind(kind, text, size, OBJECT_VALIDATE);
	try_kind(kind, text, size, 0);
	return 0;
}
