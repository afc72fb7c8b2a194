/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "vmm/bus.h"

/* A region whose every byte reads as its offset plus a tag, and which writes down the calls it gets. */
struct probe {
	uint8_t tag;
	GString *log;
	GMutex lock;
};

static uint64_t probe_read(void *opaque, uint64_t off, unsigned size)
{
	struct probe *probe = opaque;
	uint64_t val = 0;

	g_string_append_printf(probe->log, "%cr%" G_GINT64_MODIFIER "x/%u ", probe->tag, off, size);
	for (unsigned i = 0; i < size; i++)
		val |= (uint64_t)(uint8_t)(probe->tag + off + i) << 8 * i;
	return val;
}

static void probe_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct probe *probe = opaque;

	g_string_append_printf(probe->log, "%cw%" G_GINT64_MODIFIER "x/%u=%" G_GINT64_MODIFIER "x ", probe->tag, off,
			       size, val);
}

static const struct bus_ops any_ops = { .read = probe_read, .write = probe_write };
static const struct bus_ops byte_ops = { .read = probe_read, .write = probe_write, .max_size = 1 };
static const struct bus_ops dword_ops = { .read = probe_read, .write = probe_write, .min_size = 4, .max_size = 4 };

struct fixture {
	struct bus *bus;
	GString *log;
	struct probe a, b;
};

static void set_up(struct fixture *f, gconstpointer top)
{
	f->bus = bus_new(top ? *(const uint64_t *)top : UINT64_C(0x10000));
	f->log = g_string_new(NULL);
	f->a = (struct probe){ .tag = 'A', .log = f->log };
	f->b = (struct probe){ .tag = 'B', .log = f->log };
	g_mutex_init(&f->a.lock);
	g_mutex_init(&f->b.lock);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	bus_free(f->bus);
	g_string_free(f->log, TRUE);
	g_mutex_clear(&f->a.lock);
	g_mutex_clear(&f->b.lock);
}

static void check_log(struct fixture *f, const char *expected)
{
	g_assert_cmpstr(f->log->str, ==, expected);
	g_string_truncate(f->log, 0);
}

static uint64_t read_hit(struct fixture *f, uint64_t addr, unsigned size)
{
	uint64_t val = 0;

	g_assert_true(bus_read(f->bus, addr, size, &val));
	return val;
}

static void check_miss(struct fixture *f, uint64_t addr, unsigned size)
{
	uint64_t val = 0;

	g_string_truncate(f->log, 0);
	g_assert_false(bus_read(f->bus, addr, size, &val));
	g_assert_cmphex(val, ==, size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1);
	g_assert_false(bus_write(f->bus, addr, size, 0));
	check_log(f, "");
}

static void test_nothing(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	for (unsigned size = 1; size <= 8; size *= 2) {
		check_miss(f, 0, size);
		check_miss(f, 0xffff, size);
		check_miss(f, 0x10000, size);
		check_miss(f, UINT64_MAX, size);
	}
	bus_add(f->bus, "empty", 0x100, 0, true, &any_ops, &f->a, NULL);
	bus_add(f->bus, "off", 0x100, 8, false, &any_ops, &f->a, NULL);
	bus_add(f->bus, "beyond", 0x10000, 8, true, &any_ops, &f->a, NULL);
	check_miss(f, 0x100, 4);
	check_miss(f, 0x10000, 1);
}

static void test_hit(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	bus_add(f->bus, "a", 0x3f8, 8, true, &any_ops, &f->a, NULL);
	g_assert_cmphex(read_hit(f, 0x3f8, 1), ==, 'A');
	g_assert_cmphex(read_hit(f, 0x3fe, 2), ==, 'A' + 6 + (('A' + 7) << 8));
	g_assert_cmphex(read_hit(f, 0x3f8, 8), ==, UINT64_C(0x4847464544434241));
	g_assert_true(bus_write(f->bus, 0x3fc, 4, 0xfedcba98));
	g_assert_true(bus_write(f->bus, 0x3f9, 1, 0x1ff));
	check_log(f, "Ar0/1 Ar6/2 Ar0/8 Aw4/4=fedcba98 Aw1/1=ff ");
	check_miss(f, 0x3f7, 1);
	check_miss(f, 0x400, 4);
}

static void test_border(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	bus_add(f->bus, "a", 0x100, 2, true, &any_ops, &f->a, NULL);
	bus_add(f->bus, "b", 0x102, 1, true, &any_ops, &f->b, NULL);
	/* Part A, part B, part nobody. */
	g_assert_cmphex(read_hit(f, 0x100, 4), ==, 0xff424241);
	g_assert_true(bus_write(f->bus, 0x100, 8, UINT64_C(0x8877665544332211)));
	g_assert_cmphex(read_hit(f, 0xff, 2), ==, 0x41ff);
	check_log(f, "Ar0/2 Br0/1 Aw0/2=2211 Bw0/1=33 Ar0/1 ");
	/* The last port: what would lie above does not exist. */
	bus_add(f->bus, "b", 0xffff, 1, true, &any_ops, &f->b, NULL);
	g_assert_cmphex(read_hit(f, 0xffff, 4), ==, 0xffffff42);
	check_log(f, "Br0/1 ");
}

static void test_widths(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	bus_add(f->bus, "bytes", 0x70, 2, true, &byte_ops, &f->a, NULL);
	bus_add(f->bus, "dwords", 0x100, 16, true, &dword_ops, &f->b, NULL);
	g_assert_cmphex(read_hit(f, 0x70, 2), ==, 0x4241);
	g_assert_true(bus_write(f->bus, 0x70, 2, 0x1234));
	check_log(f, "Ar0/1 Ar1/1 Aw0/1=34 Aw1/1=12 ");

	g_assert_cmphex(read_hit(f, 0x105, 1), ==, 'B' + 5);
	g_assert_cmphex(read_hit(f, 0x106, 2), ==, 'B' + 6 + (('B' + 7) << 8));
	check_log(f, "Br4/4 Br4/4 ");
	g_assert_cmphex(read_hit(f, 0x103, 2), ==, 'B' + 3 + (('B' + 4) << 8));
	check_log(f, "Br0/4 Br4/4 ");
	g_assert_cmphex(read_hit(f, 0x108, 8), ==, UINT64_C(0x51504f4e4d4c4b4a));
	check_log(f, "Br8/4 Brc/4 ");
	g_assert_true(bus_write(f->bus, 0x104, 2, 1));
	check_log(f, "");
	g_assert_true(bus_write(f->bus, 0x108, 8, UINT64_C(0x1111111122222222)));
	check_log(f, "Bw8/4=22222222 Bwc/4=11111111 ");
}

static void test_overlap(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct bus_region *inner;

	bus_add(f->bus, "outer", 0x1000, 0x100, true, &any_ops, &f->a, NULL);
	inner = bus_add(f->bus, "inner", 0x1010, 0x10, true, &any_ops, &f->b, NULL);
	g_assert_cmphex(read_hit(f, 0x100f, 1), ==, 'A' + 0xf);
	g_assert_cmphex(read_hit(f, 0x1010, 1), ==, 'B');
	g_assert_cmphex(read_hit(f, 0x1020, 1), ==, 'A' + 0x20);
	g_assert_cmphex(read_hit(f, 0x100e, 4), ==, 0x4342504f);
	check_log(f, "Arf/1 Br0/1 Ar20/1 Are/2 Br0/2 ");

	bus_region_set(inner, 0x10f8, true); /* sticks out at the end */
	g_assert_cmphex(read_hit(f, 0x1010, 1), ==, 'A' + 0x10);
	g_assert_cmphex(read_hit(f, 0x10ff, 1), ==, 'B' + 7);
	g_assert_cmphex(read_hit(f, 0x1107, 1), ==, 'B' + 15);
	check_miss(f, 0x1108, 1);
	bus_region_set(inner, 0x0ff8, true); /* and at the start */
	g_assert_cmphex(read_hit(f, 0x0ff8, 1), ==, 'B');
	g_assert_cmphex(read_hit(f, 0x1007, 1), ==, 'B' + 15);
	g_assert_cmphex(read_hit(f, 0x1008, 1), ==, 'A' + 8);
	bus_region_set(inner, 0x0ff8, false);
	g_assert_cmphex(read_hit(f, 0x1007, 1), ==, 'A' + 7);
	check_miss(f, 0x0fff, 1);
}

/* Any base the guest writes into a BAR is safe, up to the very end of the address space. */
static void test_wild_base(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct bus_region *region = bus_add(f->bus, "a", 0, 0x2000, false, &any_ops, &f->a, NULL);

	bus_region_set(region, UINT64_MAX - 0xfff, true);
	g_assert_cmphex(read_hit(f, UINT64_MAX - 1, 1), ==, (uint8_t)('A' + 0xffe));
	check_log(f, "Arffe/1 ");
	check_miss(f, 0, 1);
	check_miss(f, UINT64_MAX, 1);
	bus_region_set(region, UINT64_MAX, true);
	check_miss(f, UINT64_MAX, 8);
}

static void test_random(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	enum { N = 24, SPAN = 64 };
	struct probe probes[N];
	struct bus_region *regions[N];
	uint64_t base[N], len[N];
	bool enabled[N];

	for (unsigned i = 0; i < N; i++) {
		probes[i] = (struct probe){ .tag = (uint8_t)i, .log = f->log };
		base[i] = (uint64_t)g_test_rand_int_range(0, SPAN);
		len[i] = (uint64_t)g_test_rand_int_range(0, 20);
		enabled[i] = g_test_rand_bit();
		regions[i] = bus_add(f->bus, "r", base[i], len[i], enabled[i], &any_ops, &probes[i], NULL);
	}
	for (unsigned round = 0; round < 300; round++) {
		unsigned moved = (unsigned)g_test_rand_int_range(0, N);

		base[moved] = (uint64_t)g_test_rand_int_range(0, SPAN);
		enabled[moved] = g_test_rand_bit();
		bus_region_set(regions[moved], base[moved], enabled[moved]);
		for (uint64_t addr = 0; addr < SPAN + 24; addr++) {
			uint64_t expected = 0xff, val;
			bool hit = false;

			for (unsigned i = 0; i < N; i++)
				if (enabled[i] && addr >= base[i] && addr - base[i] < len[i]) {
					expected = (uint8_t)(i + addr - base[i]);
					hit = true;
				}
			g_assert_true(bus_read(f->bus, addr, 1, &val) == hit);
			g_assert_cmphex(val, ==, expected);
		}
		g_string_truncate(f->log, 0);
	}
}

/* A handler that moves its own region and needs its lock to be held. */
struct mover {
	struct bus_region *region;
	GMutex lock;
	uint64_t writes;
};

static uint64_t mover_read(void *opaque, G_GNUC_UNUSED uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct mover *mover = opaque;

	return mover->writes;
}

static void mover_write(void *opaque, G_GNUC_UNUSED uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct mover *mover = opaque;

	g_assert_false(g_mutex_trylock(&mover->lock));
	mover->writes++;
	bus_region_set(mover->region, val, true);
}

static const struct bus_ops mover_ops = { .read = mover_read, .write = mover_write };

static void test_move_in_handler(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct mover mover = { 0 };

	g_mutex_init(&mover.lock);
	mover.region = bus_add(f->bus, "mover", 0x100, 4, true, &mover_ops, &mover, &mover.lock);
	g_assert_true(bus_write(f->bus, 0x100, 4, 0x200));
	check_miss(f, 0x100, 4);
	g_assert_cmpuint(read_hit(f, 0x200, 1), ==, 1);
	g_mutex_clear(&mover.lock);
}

enum { STORM = 2000 };

static gpointer storm(gpointer opaque)
{
	struct bus *bus = opaque;
	uint64_t val;

	for (unsigned i = 0; i < STORM; i++) {
		/* Two places, one device: whichever answers moves it to the other. */
		if (!bus_write(bus, 0x100, 4, 0x200))
			bus_write(bus, 0x200, 4, 0x100);
		g_assert_true(bus_read(bus, 0x300, 1, &val));
		g_assert_cmphex(val, ==, 'A');
	}
	return NULL;
}

static uint64_t quiet_read(G_GNUC_UNUSED void *opaque, G_GNUC_UNUSED uint64_t off, G_GNUC_UNUSED unsigned size)
{
	return 'A';
}

static const struct bus_ops quiet_ops = { .read = quiet_read };

/* Handlers of one device never run at the same time, whoever else reads or moves regions meanwhile. */
static void test_threads(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct mover mover = { 0 };
	GThread *threads[3];

	g_mutex_init(&mover.lock);
	bus_add(f->bus, "quiet", 0x300, 4, true, &quiet_ops, NULL, NULL);
	mover.region = bus_add(f->bus, "mover", 0x100, 4, true, &mover_ops, &mover, &mover.lock);
	for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("storm", storm, f->bus);
	for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
	g_assert_cmpuint(mover.writes, >, 0);
	g_assert_cmpuint(mover.writes, <=, 2 * STORM * G_N_ELEMENTS(threads));
	g_mutex_clear(&mover.lock);
}

int main(int argc, char **argv)
{
	static const uint64_t whole = UINT64_MAX;

	g_test_init(&argc, &argv, NULL);
	g_test_add("/bus/nothing", struct fixture, NULL, set_up, test_nothing, tear_down);
	g_test_add("/bus/hit", struct fixture, NULL, set_up, test_hit, tear_down);
	g_test_add("/bus/border", struct fixture, NULL, set_up, test_border, tear_down);
	g_test_add("/bus/widths", struct fixture, NULL, set_up, test_widths, tear_down);
	g_test_add("/bus/overlap", struct fixture, NULL, set_up, test_overlap, tear_down);
	g_test_add("/bus/wild-base", struct fixture, &whole, set_up, test_wild_base, tear_down);
	g_test_add("/bus/random", struct fixture, NULL, set_up, test_random, tear_down);
	g_test_add("/bus/move-in-handler", struct fixture, NULL, set_up, test_move_in_handler, tear_down);
	g_test_add("/bus/threads", struct fixture, NULL, set_up, test_threads, tear_down);
	return g_test_run();
}
