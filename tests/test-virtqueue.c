/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "tests/virtio-driver.h"

#define RAM (UINT64_C(4) << 20)
#define RING_BASE UINT64_C(0x1000)
#define TABLE UINT64_C(0x8000)
#define DATA UINT64_C(0x10000)

#define SPLIT 0
#define PACKED VIRTIO_F_RING_PACKED
#define EVENT VIRTIO_F_EVENT_IDX
#define INDIRECT VIRTIO_F_INDIRECT_DESC

/* One queue, seen from both ends. */
struct fixture {
	struct memory *mem;
	struct ring ring;
	struct virtqueue vq;
	struct virtqueue_chain chain, other;
};

static struct fixture *fixture_new(uint16_t size, uint64_t features)
{
	struct fixture *f = g_new0(struct fixture, 1);

	f->mem = memory_new(RAM, NULL);
	ring_init(&f->ring, f->mem, RING_BASE, size, features);
	f->vq.max_size = VIRTIO_QUEUE_SIZE;
	virtqueue_reset(&f->vq);
	f->vq.size = size;
	f->vq.desc = f->ring.desc;
	f->vq.driver = f->ring.driver;
	f->vq.device = f->ring.device;
	g_assert_true(virtqueue_start(&f->vq, f->mem, features | VIRTIO_F_VERSION_1));
	return f;
}

static void fixture_free(struct fixture *f)
{
	memory_free(f->mem);
	g_free(f);
}

DEFINE_AUTOPTR(fixture, fixture_free)

static const struct ring_buf two[] = { { DATA, 16, false }, { DATA + 0x100, 32, true } };

/* The device took what it was given and gives it back with len. */
static void use_one(struct fixture *f, uint32_t len)
{
	g_assert_true(virtqueue_pop(&f->vq, &f->chain));
	virtqueue_push(&f->vq, &f->chain, len);
	g_assert_null(f->vq.error);
}

static void take_one(struct fixture *f, uint16_t id, uint32_t len)
{
	uint16_t got_id;
	uint32_t got_len;

	g_assert_true(ring_take(&f->ring, &got_id, &got_len));
	g_assert_cmpuint(got_id, ==, id);
	g_assert_cmpuint(got_len, ==, len);
}

/* --- what a driver must not do: first --- */

typedef void (*hostile_fn)(struct fixture *f);

static void put(struct fixture *f, uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next)
{
	ring_put_desc(&f->ring, table, i, addr, len, flags, next);
}

/* Flags of an available packed descriptor, first round. */
#define P(flags) ((flags) | 0x80)

static void split_loop(struct fixture *f)
{
	put(f, f->ring.desc, 0, DATA, 8, 1, 1);
	put(f, f->ring.desc, 1, DATA, 8, 1, 0);
	ring_publish(&f->ring, 0);
}

static void split_self_loop_of_nothing(struct fixture *f)
{
	put(f, f->ring.desc, 3, DATA, 0, 1, 3);
	ring_publish(&f->ring, 3);
}

static void split_head_outside(struct fixture *f)
{
	ring_publish(&f->ring, f->ring.size);
}

static void split_next_outside(struct fixture *f)
{
	put(f, f->ring.desc, 0, DATA, 8, 1, 0xffff);
	ring_publish(&f->ring, 0);
}

static void split_index_ran_ahead(struct fixture *f)
{
	f->ring.next = f->ring.size;
	put(f, f->ring.desc, 0, DATA, 8, 0, 0);
	ring_publish(&f->ring, 0);
}

static void split_index_ran_back(struct fixture *f)
{
	f->ring.next = (uint16_t)-2;
	ring_publish(&f->ring, 0);
}

static void outside_ram(struct fixture *f)
{
	struct ring_buf bufs[] = { { DATA, 8, false }, { RAM - 4, 8, true } };

	ring_add(&f->ring, bufs, 2, 0);
}

static void outside_ram_wrapping(struct fixture *f)
{
	struct ring_buf bufs[] = { { UINT64_MAX - 3, 8, false } };

	ring_add(&f->ring, bufs, 1, 0);
}

static void overlong_one(struct fixture *f)
{
	struct ring_buf bufs[] = { { DATA, UINT32_MAX, true } };

	ring_add(&f->ring, bufs, 1, 0);
}

static void readable_after_writable(struct fixture *f)
{
	struct ring_buf bufs[] = { { DATA, 8, true }, { DATA + 8, 8, false } };

	ring_add(&f->ring, bufs, 2, 0);
}

static void too_many_parts(struct fixture *f)
{
	struct ring_buf bufs[VIRTQUEUE_MAX_SEGMENTS + 1];

	for (unsigned i = 0; i < G_N_ELEMENTS(bufs); i++)
		bufs[i] = (struct ring_buf){ DATA + 8 * i, 8, false };
	ring_add(&f->ring, bufs, G_N_ELEMENTS(bufs), DATA + 0x10000);
}

static void add_indirect(struct fixture *f, uint64_t table, uint32_t len, uint16_t more_flags)
{
	if (f->ring.packed) {
		put(f, f->ring.desc, 0, table, len, P(4 | more_flags), 0);
		return;
	}
	put(f, f->ring.desc, 0, table, len, 4 | more_flags, 1);
	ring_publish(&f->ring, 0);
}

static void indirect_empty(struct fixture *f)
{
	add_indirect(f, TABLE, 0, 0);
}

static void indirect_odd_length(struct fixture *f)
{
	put(f, TABLE, 0, DATA, 8, 0, 0);
	add_indirect(f, TABLE, 24, 0);
}

static void indirect_huge(struct fixture *f)
{
	add_indirect(f, TABLE, 0xfffffff0, 0);
	for (unsigned i = 0; i < 2000; i++)
		put(f, TABLE, i, DATA, 0, f->ring.packed ? 0 : 1, (uint16_t)(i + 1));
}

static void indirect_outside(struct fixture *f)
{
	add_indirect(f, RAM, 32, 0);
}

static void indirect_wrapping(struct fixture *f)
{
	add_indirect(f, UINT64_MAX - 15, 32, 0);
}

static void indirect_nested(struct fixture *f)
{
	put(f, TABLE, 0, TABLE, 16, 4, 0);
	add_indirect(f, TABLE, 16, 0);
}

static void indirect_and_next(struct fixture *f)
{
	put(f, TABLE, 0, DATA, 8, 0, 0);
	add_indirect(f, TABLE, 16, 1);
}

static void indirect_loop(struct fixture *f)
{
	put(f, TABLE, 0, DATA, 8, 1, 1);
	put(f, TABLE, 1, DATA, 8, 1, 0);
	add_indirect(f, TABLE, 32, 0);
}

static void indirect_next_outside(struct fixture *f)
{
	put(f, TABLE, 0, DATA, 8, 1, 2);
	add_indirect(f, TABLE, 32, 0);
}

static void packed_endless(struct fixture *f)
{
	for (unsigned i = 0; i < f->ring.size; i++)
		put(f, f->ring.desc, i, DATA, 8, P(1), 0);
}

static void packed_indirect_after_direct(struct fixture *f)
{
	put(f, TABLE, 0, DATA, 8, 0, 0);
	put(f, f->ring.desc, 1, TABLE, 16, P(4), 0);
	put(f, f->ring.desc, 0, DATA, 8, P(1), 0);
}

static const struct hostile {
	const char *name;
	uint64_t features;
	hostile_fn lay;
	const char *error; /* part of what the device says */
} hostiles[] = {
	{ "split/loop", SPLIT, split_loop, "no end" },
	{ "split/self-loop-of-nothing", SPLIT, split_self_loop_of_nothing, "no end" },
	{ "split/head-outside", SPLIT, split_head_outside, "outside the table" },
	{ "split/next-outside", SPLIT, split_next_outside, "outside the table" },
	{ "split/index-ran-ahead", SPLIT, split_index_ran_ahead, "ran ahead" },
	{ "split/index-ran-back", SPLIT, split_index_ran_back, "ran ahead" },
	{ "split/outside-ram", SPLIT, outside_ram, "outside guest memory" },
	{ "split/outside-ram-wrapping", SPLIT, outside_ram_wrapping, "outside guest memory" },
	{ "split/overlong-one", SPLIT, overlong_one, "outside guest memory" },
	{ "split/readable-after-writable", SPLIT, readable_after_writable, "after a writable" },
	{ "split/too-many-parts", SPLIT | INDIRECT, too_many_parts, "too many" },
	{ "split/indirect-not-agreed", SPLIT, indirect_nested, "none may be" },
	{ "split/indirect-empty", SPLIT | INDIRECT, indirect_empty, "bad length" },
	{ "split/indirect-odd-length", SPLIT | INDIRECT, indirect_odd_length, "bad length" },
	{ "split/indirect-huge", SPLIT | INDIRECT, indirect_huge, "no end" },
	{ "split/indirect-outside", SPLIT | INDIRECT, indirect_outside, "table outside" },
	{ "split/indirect-wrapping", SPLIT | INDIRECT, indirect_wrapping, "table outside" },
	{ "split/indirect-nested", SPLIT | INDIRECT, indirect_nested, "inside an indirect" },
	{ "split/indirect-and-next", SPLIT | INDIRECT, indirect_and_next, "none may be" },
	{ "split/indirect-loop", SPLIT | INDIRECT, indirect_loop, "no end" },
	{ "split/indirect-next-outside", SPLIT | INDIRECT, indirect_next_outside, "outside the table" },
	{ "packed/endless", PACKED, packed_endless, "no end" },
	{ "packed/outside-ram", PACKED, outside_ram, "outside guest memory" },
	{ "packed/outside-ram-wrapping", PACKED, outside_ram_wrapping, "outside guest memory" },
	{ "packed/overlong-one", PACKED, overlong_one, "outside guest memory" },
	{ "packed/readable-after-writable", PACKED, readable_after_writable, "after a writable" },
	{ "packed/too-many-parts", PACKED | INDIRECT, too_many_parts, "too many" },
	{ "packed/indirect-not-agreed", PACKED, indirect_nested, "none may be" },
	{ "packed/indirect-empty", PACKED | INDIRECT, indirect_empty, "bad length" },
	{ "packed/indirect-odd-length", PACKED | INDIRECT, indirect_odd_length, "bad length" },
	{ "packed/indirect-huge", PACKED | INDIRECT, indirect_huge, "no end" },
	{ "packed/indirect-outside", PACKED | INDIRECT, indirect_outside, "table outside" },
	{ "packed/indirect-wrapping", PACKED | INDIRECT, indirect_wrapping, "table outside" },
	{ "packed/indirect-nested", PACKED | INDIRECT, indirect_nested, "inside an indirect" },
	{ "packed/indirect-and-next", PACKED | INDIRECT, indirect_and_next, "none may be" },
	{ "packed/indirect-after-direct", PACKED | INDIRECT, packed_indirect_after_direct, "none may be" },
};

static void test_hostile(const void *data)
{
	const struct hostile *hostile = data;
	autoptr(fixture) f = fixture_new(8, hostile->features);
	g_autofree uint8_t *before = g_malloc(RAM), *after = g_malloc(RAM);

	hostile->lay(f);
	g_assert_true(memory_read(f->mem, 0, before, RAM));
	g_assert_false(virtqueue_pop(&f->vq, &f->chain));
	g_assert_nonnull(f->vq.error);
	g_assert_nonnull(strstr(f->vq.error, hostile->error));
	/* a broken queue stays quiet */
	g_assert_false(virtqueue_pop(&f->vq, &f->chain));
	virtqueue_silence(&f->vq);
	g_assert_false(virtqueue_rearm(&f->vq));
	g_assert_false(virtqueue_wants_signal(&f->vq));
	f->chain.n_segments = 0;
	virtqueue_push(&f->vq, &f->chain, 4);
	g_assert_true(memory_read(f->mem, 0, after, RAM));
	g_assert_cmpint(memcmp(before, after, RAM), ==, 0);
}

/* More than 4 GiB in one chain needs more RAM than the ring tests have: the same gigabyte many times. */
static void test_chain_of_4g(const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	autoptr(fixture) f = fixture_new(8, features);
	struct memory *small = f->mem;
	struct ring_buf bufs[5];
	g_autoptr(GError) err = NULL;

	f->mem = memory_new(UINT64_C(1) << 30, &err);
	g_assert_no_error(err);
	memory_free(small);
	ring_init(&f->ring, f->mem, RING_BASE, 8, features);
	g_assert_true(virtqueue_start(&f->vq, f->mem, features));
	for (unsigned i = 0; i < 5; i++)
		bufs[i] = (struct ring_buf){ 0, 0x30000000, true };
	ring_add(&f->ring, bufs, 5, 0);
	g_assert_true(virtqueue_pop(&f->vq, &f->chain));
	g_assert_cmpuint(f->chain.in_len, ==, 0xf0000000);
	for (unsigned i = 0; i < 5; i++)
		bufs[i].len = 0x40000000;
	virtqueue_push(&f->vq, &f->chain, 0);
	g_assert_true(ring_take(&f->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
	ring_add(&f->ring, bufs, 5, 0);
	g_assert_false(virtqueue_pop(&f->vq, &f->chain));
	g_assert_nonnull(strstr(f->vq.error, "4 GiB"));
}

static const struct bad_setup {
	uint64_t features;
	uint16_t size;
	uint64_t desc, driver, device;
} bad_setups[] = {
	{ SPLIT, 0, 0x1000, 0x2000, 0x3000 },	       { SPLIT, 3, 0x1000, 0x2000, 0x3000 },
	{ SPLIT, 512, 0x1000, 0x2000, 0x3000 },	       { SPLIT, 0xffff, 0x1000, 0x2000, 0x3000 },
	{ SPLIT, 8, 0x1008, 0x2000, 0x3000 },	       { SPLIT, 8, 0x1000, 0x2001, 0x3000 },
	{ SPLIT, 8, 0x1000, 0x2000, 0x3002 },	       { SPLIT, 8, RAM, 0x2000, 0x3000 },
	{ SPLIT, 8, RAM - 0x70, 0x2000, 0x3000 },      { SPLIT, 8, 0x1000, RAM - 20, 0x3000 },
	{ SPLIT, 8, 0x1000, 0x2000, RAM - 64 },	       { SPLIT, 8, UINT64_MAX - 15, 0x2000, 0x3000 },
	{ SPLIT, 8, 0x1000, 0x2000, UINT64_MAX - 3 },  { PACKED, 0, 0x1000, 0x2000, 0x3000 },
	{ PACKED, 257, 0x1000, 0x2000, 0x3000 },       { PACKED, 8, 0x1004, 0x2000, 0x3000 },
	{ PACKED, 8, 0x1000, 0x2002, 0x3000 },	       { PACKED, 8, 0x1000, 0x2000, 0x3001 },
	{ PACKED, 8, RAM - 0x70, 0x2000, 0x3000 },     { PACKED, 8, 0x1000, RAM, 0x3000 },
	{ PACKED, 8, 0x1000, 0x2000, UINT64_MAX - 3 },
};

static void test_bad_setup(void)
{
	autoptr(memory) mem = memory_new(RAM, NULL);
	static const uint8_t rom[4096];

	for (unsigned i = 0; i < G_N_ELEMENTS(bad_setups); i++) {
		const struct bad_setup *bad = &bad_setups[i];
		struct virtqueue vq = { .max_size = 256,
					.size = bad->size,
					.desc = bad->desc,
					.driver = bad->driver,
					.device = bad->device };

		g_test_message("setup %u", i);
		g_assert_false(virtqueue_start(&vq, mem, bad->features));
		g_assert_nonnull(vq.error);
	}
	/* the device's part of a ring may not be ROM */
	g_assert_true(memory_add_rom(mem, RAM, rom, sizeof(rom), NULL));
	struct virtqueue vq = { .max_size = 256, .size = 8, .desc = RAM, .driver = RAM + 0x100, .device = RAM + 0x200 };
	g_assert_false(virtqueue_start(&vq, mem, SPLIT));
	vq.device = 0x3000;
	g_assert_true(virtqueue_start(&vq, mem, SPLIT));
	g_assert_false(virtqueue_start(&vq, mem, PACKED));
}

/* --- what a driver does --- */

static const uint64_t all_features[] = {
	SPLIT,	SPLIT | EVENT,	SPLIT | INDIRECT,  SPLIT | EVENT | INDIRECT,
	PACKED, PACKED | EVENT, PACKED | INDIRECT, PACKED | EVENT | INDIRECT,
};

static void test_empty(const void *data)
{
	autoptr(fixture) f = fixture_new(8, *(const uint64_t *)data);

	g_assert_false(virtqueue_pop(&f->vq, &f->chain));
	g_assert_null(f->vq.error);
	g_assert_false(virtqueue_wants_signal(&f->vq));
	g_assert_false(virtqueue_rearm(&f->vq));
}

static void test_shape(const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	autoptr(fixture) f = fixture_new(8, features);
	/* a descriptor of length 0 adds nothing, wherever it points */
	struct ring_buf bufs[] = { { DATA, 16, false },
				   { DATA + 0x40, 0, false },
				   { DATA + 0x80, 4, false },
				   { UINT64_MAX, 0, true },
				   { DATA + 0x100, 32, true } };
	char text[32] = "sixteen bytes...four";
	char back[33] = "";
	struct iovec iov[VIRTQUEUE_MAX_SEGMENTS];
	uint16_t id;

	g_assert_true(memory_write(f->mem, DATA, text, 16));
	g_assert_true(memory_write(f->mem, DATA + 0x80, text + 16, 4));
	id = ring_add(&f->ring, bufs, G_N_ELEMENTS(bufs), features & INDIRECT ? TABLE : 0);
	g_assert_true(virtqueue_pop(&f->vq, &f->chain));
	g_assert_cmpuint(f->chain.n_out, ==, 2);
	g_assert_cmpuint(f->chain.n_in, ==, 1);
	g_assert_cmpuint(f->chain.out_len, ==, 20);
	g_assert_cmpuint(f->chain.in_len, ==, 32);
	g_assert_cmpuint(virtqueue_chain_read(&f->chain, 0, back, 32), ==, 20);
	g_assert_cmpstr(back, ==, text);
	g_assert_cmpuint(virtqueue_chain_read(&f->chain, 14, back, 4), ==, 4);
	g_assert_cmpint(memcmp(back, "..fo", 4), ==, 0);
	g_assert_cmpuint(virtqueue_chain_read(&f->chain, 20, back, 4), ==, 0);
	g_assert_cmpuint(virtqueue_chain_slice(&f->chain, false, 10, 8, iov), ==, 2);
	g_assert_cmpuint(iov[0].iov_len, ==, 6);
	g_assert_cmpuint(iov[1].iov_len, ==, 2);
	g_assert_cmpint(memcmp(iov[1].iov_base, "fo", 2), ==, 0);
	g_assert_cmpuint(virtqueue_chain_write(&f->chain, 30, "abcdef", 6), ==, 2);
	g_assert_cmpuint(virtqueue_chain_fill(&f->chain, 0, 'x', 4), ==, 4);
	virtqueue_push(&f->vq, &f->chain, 32);
	take_one(f, id, 32);
	g_assert_true(memory_read(f->mem, DATA + 0x100, back, 32));
	g_assert_cmpint(memcmp(back, "xxxx", 4), ==, 0);
	g_assert_cmpint(memcmp(back + 30, "ab", 2), ==, 0);
}

/* Split rings allow direct descriptors and then an indirect one. */
static void test_split_direct_then_indirect(void)
{
	autoptr(fixture) f = fixture_new(8, SPLIT | INDIRECT);

	put(f, TABLE, 0, DATA + 0x100, 8, 2, 0);
	put(f, f->ring.desc, 0, DATA, 16, 1, 1);
	put(f, f->ring.desc, 1, TABLE, 16, 4 | 2, 0);
	ring_publish(&f->ring, 0);
	g_assert_true(virtqueue_pop(&f->vq, &f->chain));
	g_assert_cmpuint(f->chain.out_len, ==, 16);
	g_assert_cmpuint(f->chain.in_len, ==, 8);
}

/* In packed indirect tables NEXT means nothing. */
static void test_packed_indirect_next_ignored(void)
{
	autoptr(fixture) f = fixture_new(8, PACKED | INDIRECT);

	put(f, TABLE, 0, DATA, 16, 0, 0);
	put(f, TABLE, 1, DATA + 0x100, 8, 2 | 1, 0);
	put(f, f->ring.desc, 0, TABLE, 32, P(4), 5);
	g_assert_true(virtqueue_pop(&f->vq, &f->chain));
	g_assert_cmpuint(f->chain.id, ==, 5);
	g_assert_cmpuint(f->chain.out_len, ==, 16);
	g_assert_cmpuint(f->chain.in_len, ==, 8);
}

/*
 * Many rounds through a small ring, chains of all lengths, given back in and out of order; long enough for 16-bit
 * indices to wrap.
 */
static void test_rounds(const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	autoptr(fixture) f = fixture_new(features & PACKED ? 7 : 8, features);
	g_autoptr(GRand) random = g_rand_new_with_seed(1);
	struct ring_buf bufs[3];

	for (unsigned round = 0; round < 70000; round++) {
		bool pair = round % 3 == 0;
		uint16_t id[2];
		unsigned n[2];

		for (unsigned k = 0; k < (pair ? 2u : 1u); k++) {
			n[k] = 1 + g_rand_int_range(random, 0, 3);
			for (unsigned i = 0; i < n[k]; i++)
				bufs[i] = (struct ring_buf){ DATA + 64 * i, 8 + i, i > 0 };
			id[k] = ring_add(&f->ring, bufs, n[k],
					 features & INDIRECT && round % 2 ? TABLE + 0x100 * k : 0);
		}
		g_assert_true(virtqueue_pop(&f->vq, &f->chain));
		g_assert_cmpuint(f->chain.n_out + f->chain.n_in, ==, n[0]);
		g_assert_cmpuint(f->chain.id, ==, id[0]);
		if (pair) {
			g_assert_true(virtqueue_pop(&f->vq, &f->other));
			g_assert_cmpuint(f->other.n_out + f->other.n_in, ==, n[1]);
			virtqueue_push(&f->vq, &f->other, round);
			take_one(f, id[1], round);
		}
		virtqueue_push(&f->vq, &f->chain, round + 1);
		take_one(f, id[0], round + 1);
		g_assert_false(virtqueue_pop(&f->vq, &f->chain));
		g_assert_null(f->vq.error);
	}
}

static void test_full_ring(const void *data)
{
	uint64_t features = *(const uint64_t *)data;
	autoptr(fixture) f = fixture_new(8, features);
	uint16_t id[8];

	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 8; i++)
			id[i] = ring_add(&f->ring, two, 1, 0);
		for (unsigned i = 0; i < 8; i++)
			use_one(f, i);
		g_assert_false(virtqueue_pop(&f->vq, &f->chain));
		for (unsigned i = 0; i < 8; i++)
			take_one(f, id[i], i);
		g_assert_null(f->vq.error);
	}
}

/* --- notifications --- */

static void add_use_take(struct fixture *f)
{
	uint16_t id = ring_add(&f->ring, two, 2, 0);

	use_one(f, 0);
	take_one(f, id, 0);
}

static void test_signal_flags(const void *data)
{
	autoptr(fixture) f = fixture_new(8, *(const uint64_t *)data);

	for (unsigned round = 0; round < 20; round++) {
		ring_want_no_signal(&f->ring);
		add_use_take(f);
		virtqueue_wants_signal(&f->vq);
		add_use_take(f);
		g_assert_false(virtqueue_wants_signal(&f->vq));
		ring_want_signal(&f->ring);
		add_use_take(f);
		g_assert_true(virtqueue_wants_signal(&f->vq));
		g_assert_false(virtqueue_wants_signal(&f->vq));
	}
}

/*
 * The interrupt comes with the entry the driver named, not before, not again; over every ring position and both wrap
 * counters.
 */
static void test_signal_event(const void *data)
{
	autoptr(fixture) f = fixture_new(8, *(const uint64_t *)data);

	/* what was signalled before a start is unknown, so the first decision is yes */
	ring_want_no_signal(&f->ring);
	add_use_take(f);
	for (unsigned round = 0; round < 200; round++) {
		unsigned ahead = round % 5;

		virtqueue_wants_signal(&f->vq);
		ring_want_signal_at(&f->ring, (uint16_t)ahead);
		for (unsigned i = 0; i < ahead + 1; i++) {
			uint16_t id = ring_add(&f->ring, two, 1, 0);

			use_one(f, 0);
			g_assert_cmpint(virtqueue_wants_signal(&f->vq), ==, i == ahead);
			take_one(f, id, 0);
		}
	}
}

/* The same, decided once for a batch. */
static void test_signal_event_batch(const void *data)
{
	autoptr(fixture) f = fixture_new(8, *(const uint64_t *)data);
	uint16_t ids[8];

	add_use_take(f);
	virtqueue_wants_signal(&f->vq);
	for (unsigned round = 0; round < 400; round++) {
		unsigned batch = 1 + round % 6, ahead = round / 6 % 7;

		ring_want_signal_at(&f->ring, (uint16_t)ahead);
		for (unsigned i = 0; i < batch; i++)
			ids[i] = ring_add(&f->ring, two, 1, 0);
		for (unsigned i = 0; i < batch; i++)
			use_one(f, 0);
		g_assert_cmpint(virtqueue_wants_signal(&f->vq), ==, ahead < batch);
		for (unsigned i = 0; i < batch; i++)
			take_one(f, ids[i], 0);
	}
}

static void test_kick(const void *data)
{
	autoptr(fixture) f = fixture_new(8, *(const uint64_t *)data);
	uint16_t id;

	for (unsigned round = 0; round < 40; round++) {
		g_assert_false(virtqueue_rearm(&f->vq));
		id = ring_add(&f->ring, two, 2, 0);
		g_assert_true(ring_wants_kick(&f->ring));
		virtqueue_silence(&f->vq);
		use_one(f, 0);
		take_one(f, id, 0);
		id = ring_add(&f->ring, two, 1, 0);
		g_assert_false(ring_wants_kick(&f->ring));
		/* no kick came, so arming again must find it */
		g_assert_true(virtqueue_rearm(&f->vq));
		use_one(f, 0);
		take_one(f, id, 0);
	}
}

static void on_write(void *opaque, uint64_t gpa, size_t len)
{
	GArray *seen = opaque;
	struct virtqueue_segment segment = { gpa, (uint32_t)len };

	if (gpa >= DATA)
		g_array_append_val(seen, segment);
}

/* Pages somebody watches: told of the bytes the device says it wrote, no more. */
static void test_note_write(void)
{
	autoptr(fixture) f = fixture_new(8, PACKED);
	g_autoptr(GArray) seen = g_array_new(FALSE, FALSE, sizeof(struct virtqueue_segment));
	struct ring_buf bufs[] = { { DATA, 16, false }, { DATA + 0x1000, 100, true }, { DATA + 0x3000, 100, true } };
	const struct memory_slot *slot = memory_find(f->mem, 0);

	memset(slot->page_flags, MEMORY_PAGE_CLEAN, slot->size >> MEMORY_PAGE_SHIFT);
	memory_set_listener(f->mem, on_write, seen);
	ring_add(&f->ring, bufs, 3, 0);
	use_one(f, 130);
	g_assert_cmpuint(seen->len, ==, 2);
	g_assert_cmphex(g_array_index(seen, struct virtqueue_segment, 0).gpa, ==, DATA + 0x1000);
	g_assert_cmpuint(g_array_index(seen, struct virtqueue_segment, 0).len, ==, 100);
	g_assert_cmphex(g_array_index(seen, struct virtqueue_segment, 1).gpa, ==, DATA + 0x3000);
	g_assert_cmpuint(g_array_index(seen, struct virtqueue_segment, 1).len, ==, 30);
	memory_set_listener(f->mem, NULL, NULL);
}

/* --- two threads, one ring: nothing is lost when both sides go to sleep on each other's word --- */

struct duel {
	struct fixture *f;
	GAsyncQueue *kicks, *signals;
};

#define DUEL_ROUNDS 20000u

static void *duel_device(void *opaque)
{
	struct duel *duel = opaque;
	struct fixture *f = duel->f;
	unsigned served = 0;

	while (served < DUEL_ROUNDS) {
		g_async_queue_pop(duel->kicks);
		do {
			virtqueue_silence(&f->vq);
			while (virtqueue_pop(&f->vq, &f->chain)) {
				virtqueue_push(&f->vq, &f->chain, ++served);
				if (virtqueue_wants_signal(&f->vq))
					g_async_queue_push(duel->signals, duel);
			}
		} while (virtqueue_rearm(&f->vq));
		g_assert_null(f->vq.error);
	}
	return NULL;
}

static void test_duel(const void *data)
{
	autoptr(fixture) f = fixture_new(8, *(const uint64_t *)data);
	struct duel duel = { .f = f, .kicks = g_async_queue_new(), .signals = g_async_queue_new() };
	GThread *device = g_thread_new("device", duel_device, &duel);
	unsigned added = 0, taken = 0;
	uint16_t id;
	uint32_t len;

	while (taken < DUEL_ROUNDS) {
		for (; added < DUEL_ROUNDS && added - taken < 3; added++)
			ring_add(&f->ring, two, 1 + added % 2, 0);
		if (ring_wants_kick(&f->ring))
			g_async_queue_push(duel.kicks, &duel);
		ring_want_signal(&f->ring);
		while (!ring_take(&f->ring, &id, &len))
			g_async_queue_pop(duel.signals);
		g_assert_cmpuint(len, ==, ++taken);
	}
	g_thread_join(device);
	g_async_queue_unref(duel.kicks);
	g_async_queue_unref(duel.signals);
}

static void add_for(const char *name, const uint64_t *features, void (*test)(const void *))
{
	g_autofree char *path = g_strdup_printf("/virtqueue/%s/%s%s%s", name, *features & PACKED ? "packed" : "split",
						*features & EVENT ? "-event" : "",
						*features & INDIRECT ? "-indirect" : "");

	g_test_add_data_func(path, features, test);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (unsigned i = 0; i < G_N_ELEMENTS(hostiles); i++) {
		g_autofree char *path = g_strdup_printf("/virtqueue/hostile/%s", hostiles[i].name);

		g_test_add_data_func(path, &hostiles[i], test_hostile);
	}
	g_test_add_func("/virtqueue/hostile/setup", test_bad_setup);
	for (unsigned i = 0; i < G_N_ELEMENTS(all_features); i++) {
		const uint64_t *features = &all_features[i];

		add_for("empty", features, test_empty);
		add_for("shape", features, test_shape);
		add_for("rounds", features, test_rounds);
		add_for("full", features, test_full_ring);
		add_for("signal-flags", features, test_signal_flags);
		add_for("kick", features, test_kick);
		if (*features & INDIRECT)
			continue;
		add_for("4g", features, test_chain_of_4g);
		add_for("duel", features, test_duel);
		if (*features & EVENT) {
			add_for("signal-event", features, test_signal_event);
			add_for("signal-event-batch", features, test_signal_event_batch);
		}
	}
	g_test_add_func("/virtqueue/split-direct-then-indirect", test_split_direct_then_indirect);
	g_test_add_func("/virtqueue/packed-indirect-next-ignored", test_packed_indirect_next_ignored);
	g_test_add_func("/virtqueue/note-write", test_note_write);
	return g_test_run();
}
