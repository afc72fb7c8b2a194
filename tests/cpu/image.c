/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operands worth computing with: edge values of every number format beside random bits. */
#include <string.h>

#include "tests/cpu/conform.h"

static const uint64_t integers[] = {
	0,
	1,
	2,
	3,
	7,
	8,
	15,
	16,
	31,
	32,
	63,
	64,
	0x7f,
	0x80,
	0x81,
	0xff,
	0x100,
	0x7fff,
	0x8000,
	0xffff,
	0x10000,
	0x7fffffff,
	0x80000000u,
	0x80000001u,
	0xffffffffu,
	UINT64_C(0x100000000),
	INT64_MAX,
	(uint64_t)INT64_MIN,
	(uint64_t)INT64_MIN + 1,
	UINT64_MAX,
	UINT64_MAX - 1,
	UINT64_C(0xffffffff80000000),
	UINT64_C(0xffffffffffffff80),
	UINT64_C(0x5555555555555555),
	UINT64_C(0xaaaaaaaaaaaaaaaa),
};

uint64_t random_integer(struct rng *rng)
{
	uint64_t val = rng_next(rng);

	switch (rng_below(rng, 8)) {
	case 0:
	case 1:
	case 2:
		return integers[rng_below(rng, G_N_ELEMENTS(integers))];
	case 3:
		return val >> (val & 63);
	case 4:
		return (uint64_t)(int64_t)(int32_t)val;
	case 5:
		return (uint64_t)((int64_t)val >> (val & 63));
	default:
		return val;
	}
}

/*
 * Sign, exponent and fraction of a binary format of any width: zeros, denormals, ones, extremes, infinities, NaNs,
 * and what is near 1.
 */
static uint64_t random_float(struct rng *rng, unsigned fraction_bits, unsigned exponent_bits)
{
	uint64_t fraction = rng_next(rng) & ((UINT64_C(1) << fraction_bits) - 1);
	uint64_t max = (UINT64_C(1) << exponent_bits) - 1, bias = max >> 1, exponent;

	switch (rng_below(rng, 10)) {
	case 0:
		exponent = 0;
		fraction = 0;
		break;
	case 1:
		exponent = 0; /* denormal */
		break;
	case 2:
		exponent = max; /* NaN, quiet or signalling */
		break;
	case 3:
		exponent = max;
		fraction = 0;
		break;
	case 4:
		exponent = bias + rng_below(rng, 3) - 1;
		fraction = 0;
		break;
	case 5:
		exponent = rng_chance(rng, 500) ? max - 1 : 1;
		fraction = rng_chance(rng, 500) ? (UINT64_C(1) << fraction_bits) - 1 : 0;
		break;
	case 6:
		exponent = rng_next(rng) & max;
		break;
	default:
		exponent = bias + rng_below(rng, 40) - 20;
		if (exponent > max)
			exponent = bias;
		break;
	}
	return (rng_next(rng) & 1) << (fraction_bits + exponent_bits) | exponent << fraction_bits | fraction;
}

void random_vector(struct rng *rng, uint8_t bytes[16])
{
	unsigned kind = rng_below(rng, 8);

	for (unsigned i = 0; i < 2; i++) {
		uint64_t q;

		if (kind < 3)
			q = random_float(rng, 23, 8) | random_float(rng, 23, 8) << 32;
		else if (kind < 6)
			q = random_float(rng, 52, 11);
		else if (kind == 6)
			q = random_float(rng, 10, 5) | random_float(rng, 10, 5) << 16 | random_float(rng, 10, 5) << 32 |
			    random_float(rng, 10, 5) << 48;
		else
			q = random_integer(rng);
		memcpy(bytes + (size_t)i * 8, &q, 8);
	}
}

void random_x87(struct rng *rng, uint8_t bytes[16])
{
	uint64_t fraction = rng_next(rng);
	uint16_t exponent;

	memset(bytes, 0, 16);
	switch (rng_below(rng, 12)) {
	case 0:
		exponent = 0;
		fraction = 0;
		break;
	case 1:
		exponent = 0; /* denormal or pseudo-denormal */
		break;
	case 2:
		exponent = 0x7fff; /* NaN, or a pseudo-NaN without the integer bit */
		break;
	case 3:
		exponent = 0x7fff;
		fraction = UINT64_C(1) << 63;
		break;
	case 4:
		exponent = (uint16_t)(rng_next(rng) & 0x7fff); /* an unnormal, every second time */
		break;
	case 5:
		exponent = 0x3fff;
		fraction = UINT64_C(1) << 63;
		break;
	case 6:
		exponent = 0x403d; /* near the largest integers */
		fraction |= UINT64_C(1) << 63;
		break;
	default:
		exponent = (uint16_t)(0x3fff + rng_below(rng, 70) - 35);
		fraction |= UINT64_C(1) << 63;
		break;
	}
	exponent |= (uint16_t)(rng_next(rng) << 15);
	memcpy(bytes, &fraction, 8);
	memcpy(bytes + 8, &exponent, 2);
}

static void fill(struct rng *rng, uint8_t *bytes, size_t size, unsigned kind)
{
	for (size_t i = 0; i < size; i += 16) {
		uint64_t two[2] = { random_integer(rng), rng_next(rng) };

		if (kind % 4 == 0)
			memcpy(bytes + i, two, 16);
		else if (kind % 4 == 1)
			random_x87(rng, bytes + i);
		else
			random_vector(rng, bytes + i);
	}
}

void images_fill(struct conform_images *images)
{
	struct rng rng = { .s = 20 };

	for (unsigned i = 0; i < N_IMAGES; i++)
		fill(&rng, images->data[i], DATA_SIZE, i);
	fill(&rng, images->read, READ_SIZE, 2);
	/* One of zeros, for string comparisons that go on and headers that must be 0. */
	memset(images->data[N_IMAGES - 1], 0, DATA_SIZE);
}
