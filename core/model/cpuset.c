/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/cpuset.h"

#include <string.h>

#include "core/base/error.h"

bool cpuset_has(const struct cpuset *set, unsigned n)
{
	return n < CPUSET_MAX && set->bits[n / 64] >> n % 64 & 1;
}

void cpuset_add(struct cpuset *set, unsigned n)
{
	if (n < CPUSET_MAX)
		set->bits[n / 64] |= UINT64_C(1) << n % 64;
}

static void cpuset_drop(struct cpuset *set, unsigned n)
{
	set->bits[n / 64] &= ~(UINT64_C(1) << n % 64);
}

void cpuset_fill(struct cpuset *set, unsigned n)
{
	memset(set, 0, sizeof(*set));
	for (unsigned i = 0; i < n; i++)
		cpuset_add(set, i);
}

bool cpuset_is_empty(const struct cpuset *set)
{
	for (size_t i = 0; i < G_N_ELEMENTS(set->bits); i++) {
		if (set->bits[i])
			return false;
	}
	return true;
}

bool cpuset_is_subset(const struct cpuset *set, const struct cpuset *of)
{
	for (size_t i = 0; i < G_N_ELEMENTS(set->bits); i++) {
		if (set->bits[i] & ~of->bits[i])
			return false;
	}
	return true;
}

/* A number below CPUSET_MAX; *text moves behind it. */
static bool number(const char **text, unsigned *n)
{
	const char *p = *text;
	unsigned value = 0;

	if (!g_ascii_isdigit(*p))
		return false;
	for (; g_ascii_isdigit(*p); p++) {
		value = value * 10 + (unsigned)(*p - '0');
		if (value >= CPUSET_MAX)
			return false;
	}
	*text = p;
	*n = value;
	return true;
}

/* One part between commas: "^3", "3" or "3-5"; an exclusion may be a range, too. */
static bool part(struct cpuset *set, const char **text)
{
	bool without = **text == '^';
	unsigned first, last;

	*text += without;
	if (!number(text, &first))
		return false;
	last = first;
	if (**text == '-') {
		(*text)++;
		if (!number(text, &last) || last < first)
			return false;
	}
	for (unsigned n = first; n <= last; n++) {
		if (without)
			cpuset_drop(set, n);
		else
			cpuset_add(set, n);
	}
	return true;
}

static void skip_blanks(const char **text)
{
	while (g_ascii_isspace(**text))
		(*text)++;
}

bool cpuset_parse(struct cpuset *set, const char *text, GError **err)
{
	struct cpuset parsed = { 0 };
	const char *p = text;

	do {
		p += p != text; /* the comma */
		skip_blanks(&p);
		if (!part(&parsed, &p))
			return fail(err, LODGE_ERROR_INPUT, "'%s' is not a list like 0-3,^2,8 of numbers below %u",
				    text, CPUSET_MAX);
		skip_blanks(&p);
	} while (*p == ',');
	if (*p)
		return fail(err, LODGE_ERROR_INPUT, "'%s' is not a list like 0-3,^2,8 of numbers below %u", text,
			    CPUSET_MAX);
	if (cpuset_is_empty(&parsed))
		return fail(err, LODGE_ERROR_INPUT, "'%s' leaves nothing", text);
	*set = parsed;
	return true;
}

char *cpuset_format(const struct cpuset *set)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (unsigned first = 0; first < CPUSET_MAX; first++) {
		unsigned last = first;

		if (!cpuset_has(set, first))
			continue;
		while (cpuset_has(set, last + 1))
			last++;
		g_string_append_printf(text, "%s%u", text->len ? "," : "", first);
		if (last > first)
			g_string_append_printf(text, "-%u", last);
		first = last;
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

char *cpuset_mask(const struct cpuset *set, unsigned n)
{
	char *mask = g_malloc(n + 1);

	for (unsigned i = 0; i < n; i++)
		mask[i] = cpuset_has(set, i) ? 'y' : '-';
	mask[n] = '\0';
	return mask;
}
