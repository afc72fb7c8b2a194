/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_IP_ADDRESS_H
#define LODGE_CORE_MODEL_IP_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

/* An IPv4 or IPv6 address as plain data, in network order; bytes beyond its length are 0. */
struct ip_address {
	unsigned len; /* 4 or 16 */
	uint8_t bytes[16];
};

bool ip_parse(struct ip_address *ip, const char *text); /* false: not an address */
bool ip_is_equal(const struct ip_address *a, const struct ip_address *b);
int ip_compare(const struct ip_address *a, const struct ip_address *b); /* of one length, as strcmp() */

/* Length of a netmask's prefix; -1: ones behind zeros. */
int ip_mask_prefix(const struct ip_address *mask);

/*
 * What a network has that names neither: the classes of RFC 791, or 64 for IPv6; 0 for the unspecified address; -1: no
 * class.
 */
int ip_default_prefix(const struct ip_address *ip);

/* The network or the last address: ip with the bits behind prefix cleared or set. */
struct ip_address ip_network(const struct ip_address *ip, unsigned prefix);
struct ip_address ip_last(const struct ip_address *ip, unsigned prefix);
bool ip_is_within(const struct ip_address *ip, const struct ip_address *of, unsigned prefix);

/* Number of addresses from a up to and including b, a not behind b; UINT64_MAX when there are more. */
uint64_t ip_count(const struct ip_address *a, const struct ip_address *b);

#endif
