/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The values of each type: what fits, and how to say what would. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/schema-private.h"

#define MAX_CPU 16383u

static bool in_range(const struct schema_row *row, uint64_t value)
{
	return (!row->min && !row->max) || (value >= row->min && value <= row->max);
}

static bool is_hex_prefixed(const char *text)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

static bool fits_uint(const struct schema_row *row, const char *text)
{
	bool hex = is_hex_prefixed(text);
	uint64_t value;

	return g_ascii_string_to_unsigned(hex ? text + 2 : text, hex ? 16 : 10, 0, UINT64_MAX, &value, NULL) &&
	       in_range(row, value);
}

/* Without 0x, digits alone are decimal, as strtoul() with base 0 has it. */
static bool fits_hex(const struct schema_row *row, const char *text)
{
	bool prefixed = is_hex_prefixed(text);
	const char *digits = prefixed ? text + 2 : text;
	bool hex = prefixed || digits[strspn(digits, "0123456789")];
	uint64_t value;

	return g_ascii_string_to_unsigned(digits, hex ? 16 : 10, 0, UINT64_MAX, &value, NULL) && in_range(row, value);
}

static bool fits_int(const struct schema_row *row, const char *text)
{
	int64_t min = row->min || row->max ? (int64_t)row->min : INT64_MIN;
	int64_t max = row->min || row->max ? (int64_t)row->max : INT64_MAX;
	int64_t value;

	text += *text == '+' && g_ascii_isdigit(text[1]);
	return g_ascii_string_to_signed(text, 10, INT64_MIN, INT64_MAX, &value, NULL) && value >= min && value <= max;
}

static bool fits_double(const struct schema_row *row, const char *text)
{
	char *end;
	double value = g_ascii_strtod(text, &end);

	if (end == text || *end || !(value >= -1e300 && value <= 1e300))
		return false;
	return (!row->min && !row->max) || (value >= (double)row->min && value <= (double)row->max);
}

static bool fits_enum(const char *values, const char *text)
{
	size_t len = strlen(text);

	while (values) {
		size_t n = strcspn(values, "|");

		if (n == len && !memcmp(values, text, n))
			return true;
		values = values[n] ? values + n + 1 : NULL;
	}
	return false;
}

static bool fits_unit(const struct schema_row *row, const char *text)
{
	(void)row;
	if (!g_ascii_strcasecmp(text, "b") || !g_ascii_strcasecmp(text, "byte") || !g_ascii_strcasecmp(text, "bytes"))
		return true;
	return *text && strchr("kKmMgGtTpPeE", *text) &&
	       (!text[1] || !g_ascii_strcasecmp(text + 1, "b") || !g_ascii_strcasecmp(text + 1, "ib"));
}

static bool fits_word(const struct schema_row *row, const char *text)
{
	(void)row;
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return false;
	}
	return *text;
}

static bool fits_name(const struct schema_row *row, const char *text)
{
	(void)row;
	return *text && !strpbrk(text, "/\n") && strcmp(text, ".") && strcmp(text, "..");
}

static bool fits_uuid(const struct schema_row *row, const char *text)
{
	unsigned digits = 0;

	(void)row;
	for (; *text; text++) {
		if (*text == '-' && digits && digits % 2 == 0)
			continue;
		if (!g_ascii_isxdigit(*text) || ++digits > 32)
			return false;
	}
	return digits == 32;
}

static bool fits_mac(const struct schema_row *row, const char *text)
{
	(void)row;
	for (unsigned i = 0; i < 6; i++) {
		unsigned n = 0;

		for (; g_ascii_isxdigit(*text); text++)
			n++;
		if (n < 1 || n > 2 || *text != (i < 5 ? ':' : '\0'))
			return false;
		text++;
	}
	return true;
}

static bool fits_ipv4(const struct schema_row *row, const char *text)
{
	struct in_addr address;

	(void)row;
	return inet_pton(AF_INET, text, &address) == 1;
}

static bool fits_ipv6(const struct schema_row *row, const char *text)
{
	struct in6_addr address;

	(void)row;
	return inet_pton(AF_INET6, text, &address) == 1;
}

static bool fits_ip(const struct schema_row *row, const char *text)
{
	return fits_ipv4(row, text) || fits_ipv6(row, text);
}

/* A mask has its ones in front. */
static bool fits_netmask(const struct schema_row *row, const char *text)
{
	struct in_addr address;
	uint32_t zeros;

	(void)row;
	if (inet_pton(AF_INET, text, &address) != 1)
		return fits_ipv6(row, text);
	zeros = ~ntohl(address.s_addr);
	return !(zeros & (zeros + 1));
}

static bool fits_port(const struct schema_row *row, const char *text)
{
	uint64_t value;

	return g_ascii_string_to_unsigned(text, 10, 0, 65535, &value, NULL) && in_range(row, value);
}

/* X:\... and [store] ... are how other hypervisors name files. */
static bool fits_path(const struct schema_row *row, const char *text)
{
	(void)row;
	if (text[0] == '/' || (text[0] == '[' && strchr(text, ']')))
		return true;
	return g_ascii_isalpha(text[0]) && text[1] == ':' && (text[2] == '\\' || text[2] == '/');
}

static bool read_cpu(const char **text, unsigned long *cpu)
{
	char *end;

	if (!g_ascii_isdigit(**text))
		return false;
	*cpu = strtoul(*text, &end, 10);
	*text = end + strspn(end, " ");
	return *cpu <= MAX_CPU;
}

static bool fits_cpuset(const struct schema_row *row, const char *text)
{
	(void)row;
	for (;;) {
		unsigned long first, last;
		bool minus;

		text += strspn(text, " ");
		minus = *text == '^';
		text += minus;
		if (!read_cpu(&text, &first))
			return false;
		if (*text == '-' && !minus) {
			text++;
			if (!read_cpu(&text, &last) || last < first)
				return false;
		}
		if (!*text)
			return true;
		if (*text++ != ',')
			return false;
	}
}

/* min and max of a text are bytes. */
static bool fits_text(const struct schema_row *row, const char *text)
{
	if ((row->flags & SCHEMA_NONZERO_LEN) && !*text)
		return false;
	return !row->max || (strlen(text) >= row->min && strlen(text) <= row->max);
}

static bool fits_nothing(const struct schema_row *row, const char *text)
{
	(void)row;
	return !text[strspn(text, " \t\r\n")];
}

static bool fits_anything(const struct schema_row *row, const char *text)
{
	(void)row;
	(void)text;
	return true;
}

/* As 2026-04-09T15:51:00. */
static bool fits_time(const struct schema_row *row, const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";

	(void)row;
	for (size_t i = 0; i < sizeof(form); i++) {
		if (form[i] == 'd' ? !g_ascii_isdigit(text[i]) : text[i] != form[i])
			return false;
	}
	return true;
}

static bool fits_enum_row(const struct schema_row *row, const char *text)
{
	return fits_enum(row->values, text);
}

static bool fits_yesno(const struct schema_row *row, const char *text)
{
	(void)row;
	return fits_enum("yes|no", text);
}

static bool fits_onoff(const struct schema_row *row, const char *text)
{
	(void)row;
	return fits_enum("on|off", text);
}

static const struct {
	bool (*fits)(const struct schema_row *row, const char *text);
	const char *what; /* NULL: put together from the row */
} types[SCHEMA_N_TYPES] = {
	[SCHEMA_EMPTY] = { fits_nothing, "empty" },
	[SCHEMA_TEXT] = { fits_text, NULL },
	[SCHEMA_WORD] = { fits_word, "a word without blanks" },
	[SCHEMA_NAME] = { fits_name, "a name (not empty, without '/' and line ends, not '.' or '..')" },
	[SCHEMA_YESNO] = { fits_yesno, "yes or no" },
	[SCHEMA_ONOFF] = { fits_onoff, "on or off" },
	[SCHEMA_ENUM] = { fits_enum_row, NULL },
	[SCHEMA_INT] = { fits_int, NULL },
	[SCHEMA_UINT] = { fits_uint, NULL },
	[SCHEMA_HEX] = { fits_hex, NULL },
	[SCHEMA_SIZE] = { fits_uint, NULL },
	[SCHEMA_DOUBLE] = { fits_double, "a number" },
	[SCHEMA_UUID] = { fits_uuid, "a UUID (32 hexadecimal digits)" },
	[SCHEMA_MAC] = { fits_mac, "a MAC address (six bytes, as 52:54:00:12:34:56)" },
	[SCHEMA_IP] = { fits_ip, "an IPv4 or IPv6 address" },
	[SCHEMA_IPV4] = { fits_ipv4, "an IPv4 address" },
	[SCHEMA_IPV6] = { fits_ipv6, "an IPv6 address" },
	[SCHEMA_NETMASK] = { fits_netmask, "a network mask" },
	[SCHEMA_PORT] = { fits_port, "a port from 0 to 65535" },
	[SCHEMA_PATH] = { fits_path, "an absolute path" },
	[SCHEMA_CPUSET] = { fits_cpuset, "a set of numbers up to 16383 (as 0-3,^2,8)" },
	[SCHEMA_OPAQUE] = { fits_anything, "anything" },
	[SCHEMA_TIME] = { fits_time, "a time as 2026-04-09T15:51:00" },
	[SCHEMA_UNIT] = { fits_unit, "a unit (b, bytes, KB, KiB, k, MB, MiB, M, GB, ... E)" },
	[SCHEMA_REF] = { fits_anything, "anything" },
};

static bool is_numeric(enum schema_type type)
{
	return type >= SCHEMA_INT && type <= SCHEMA_DOUBLE;
}

bool schema_value_fits(const struct schema_row *row, const char *text)
{
	g_autofree char *trimmed = NULL;

	if (is_numeric(row->type) && (g_ascii_isspace(*text) || (*text && g_ascii_isspace(text[strlen(text) - 1]))))
		text = trimmed = g_strstrip(g_strdup(text));
	return types[row->type].fits(row, text);
}

static void append_enum(GString *out, const char *values)
{
	g_string_append(out, strchr(values, '|') ? "one of " : "");
	for (; *values; values++) {
		if (*values == '|')
			g_string_append(out, ", ");
		else
			g_string_append_c(out, *values);
	}
}

static void append_text(GString *out, const struct schema_row *row)
{
	if (!row->max)
		g_string_append(out, row->flags & SCHEMA_NONZERO_LEN ? "a text that is not empty" : "a text");
	else if (row->min == row->max)
		g_string_append_printf(out, "a text of %" G_GUINT64_FORMAT " characters", row->max);
	else
		g_string_append_printf(out, "a text of %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " characters",
				       row->min, row->max);
}

static void append_number(GString *out, const struct schema_row *row)
{
	const char *what = row->type == SCHEMA_HEX ? "a hexadecimal number" : "a number";

	g_string_append(out, what);
	if (!row->min && !row->max) {
		if (row->type != SCHEMA_INT)
			g_string_append(out, " (0 or more)");
	} else if (row->type == SCHEMA_INT) {
		g_string_append_printf(out, " from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, (int64_t)row->min,
				       (int64_t)row->max);
	} else if (row->max == UINT64_MAX) {
		g_string_append_printf(out, " from %" G_GUINT64_FORMAT, row->min);
	} else if (row->type == SCHEMA_HEX) {
		g_string_append_printf(out, " from 0x%" G_GINT64_MODIFIER "x to 0x%" G_GINT64_MODIFIER "x", row->min,
				       row->max);
	} else {
		g_string_append_printf(out, " from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, row->min, row->max);
	}
}

void schema_append_expectation(GString *out, const struct schema_row *row)
{
	if (types[row->type].what)
		g_string_append(out, types[row->type].what);
	else if (row->type == SCHEMA_ENUM)
		append_enum(out, row->values);
	else if (row->type == SCHEMA_TEXT)
		append_text(out, row);
	else
		append_number(out, row);
}
