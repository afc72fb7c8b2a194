/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/ip-address.h"

#include <arpa/inet.h>
#include <string.h>

bool ip_parse(struct ip_address *ip, const char *text)
{
	memset(ip, 0, sizeof(*ip));
	ip->len = strchr(text, ':') ? 16 : 4;
	return inet_pton(ip->len == 16 ? AF_INET6 : AF_INET, text, ip->bytes) == 1;
}

bool ip_is_equal(const struct ip_address *a, const struct ip_address *b)
{
	return a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

int ip_compare(const struct ip_address *a, const struct ip_address *b)
{
	return memcmp(a->bytes, b->bytes, a->len);
}

static bool bit_of(const struct ip_address *ip, unsigned bit)
{
	return ip->bytes[bit / 8] >> (7 - bit % 8) & 1;
}

int ip_mask_prefix(const struct ip_address *mask)
{
	unsigned bits = mask->len * 8, ones = 0;

	while (ones < bits && bit_of(mask, ones))
		ones++;
	for (unsigned i = ones; i < bits; i++) {
		if (bit_of(mask, i))
			return -1;
	}
	return (int)ones;
}

int ip_default_prefix(const struct ip_address *ip)
{
	static const uint8_t unspecified[16];

	if (!memcmp(ip->bytes, unspecified, ip->len))
		return 0;
	if (ip->len == 16)
		return 64;
	if (ip->bytes[0] < 128)
		return 8;
	if (ip->bytes[0] < 192)
		return 16;
	return ip->bytes[0] < 224 ? 24 : -1;
}

static struct ip_address with_host_bits(const struct ip_address *ip, unsigned prefix, bool set)
{
	struct ip_address out = *ip;

	for (unsigned i = prefix; i < ip->len * 8; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		if (set)
			out.bytes[i / 8] |= bit;
		else
			out.bytes[i / 8] &= (uint8_t)~bit;
	}
	return out;
}

struct ip_address ip_network(const struct ip_address *ip, unsigned prefix)
{
	return with_host_bits(ip, prefix, false);
}

struct ip_address ip_last(const struct ip_address *ip, unsigned prefix)
{
	return with_host_bits(ip, prefix, true);
}

bool ip_is_within(const struct ip_address *ip, const struct ip_address *of, unsigned prefix)
{
	struct ip_address a = ip_network(ip, prefix), b = ip_network(of, prefix);

	return ip_is_equal(&a, &b);
}

static uint64_t load64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

uint64_t ip_count(const struct ip_address *a, const struct ip_address *b)
{
	uint64_t difference;

	if (a->len == 4)
		return (load64(b->bytes) >> 32) - (load64(a->bytes) >> 32) + 1;
	if (memcmp(a->bytes, b->bytes, 8))
		return UINT64_MAX;
	difference = load64(b->bytes + 8) - load64(a->bytes + 8);
	return difference == UINT64_MAX ? UINT64_MAX : difference + 1;
}
