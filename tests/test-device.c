/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/device.h"

struct gadget {
	struct device dev;
	bool on;
	bool switches[3];
	uint8_t small;
	uint16_t words[4];
	uint32_t number;
	uint64_t large[2];
	uint8_t added_later;
	unsigned n_resets, n_pauses, n_resumes, n_pre_saves, n_post_loads;
	bool refuse_load, locked_in_hooks;
};

static void note_lock(struct gadget *g)
{
	if (g_mutex_trylock(&g->dev.lock)) {
		g->locked_in_hooks = false;
		g_mutex_unlock(&g->dev.lock);
	}
}

static void gadget_reset(struct device *dev)
{
	struct gadget *g = (struct gadget *)dev;

	note_lock(g);
	g->n_resets++;
}

static void gadget_pause(struct device *dev)
{
	((struct gadget *)dev)->n_pauses++;
}

static void gadget_resume(struct device *dev)
{
	((struct gadget *)dev)->n_resumes++;
}

static void gadget_pre_save(struct device *dev)
{
	struct gadget *g = (struct gadget *)dev;

	note_lock(g);
	g->n_pre_saves++;
}

static bool gadget_post_load(struct device *dev, GError **err)
{
	struct gadget *g = (struct gadget *)dev;

	note_lock(g);
	g->n_post_loads++;
	return !g->refuse_load || fail(err, LODGE_ERROR_INPUT, "%s: no", dev->id);
}

static void gadget_destroy(struct device *dev)
{
	device_fini(dev);
	g_free(dev);
}

static const struct device_field base_fields[] = {
	DEVICE_FIELD(BOOL, gadget, on),
	DEVICE_FIELD_ARRAY(BOOL, gadget, switches),
};
static const size_t n_base_fields = G_N_ELEMENTS(base_fields);

static const struct device_field fields[] = {
	DEVICE_FIELD(U8, gadget, small),
	DEVICE_FIELD_ARRAY(U16, gadget, words),
	DEVICE_FIELD(U32, gadget, number),
	DEVICE_FIELD_ARRAY(U64, gadget, large),
	{ .name = "added_later",
	  .type = DEVICE_FIELD_U8,
	  .offset = G_STRUCT_OFFSET(struct gadget, added_later),
	  .count = 1,
	  .since = 2 },
};

#define GADGET_CLASS(name_, version_, fields_, n_) \
	{ \
		.name = name_, .version = version_, .fields = fields_, .n_fields = n_, .base_fields = base_fields, \
		.n_base_fields = &n_base_fields, .reset = gadget_reset, .pause = gadget_pause, \
		.resume = gadget_resume, .pre_save = gadget_pre_save, .post_load = gadget_post_load, \
		.destroy = gadget_destroy, \
	}

static const struct device_class gadget_class = GADGET_CLASS("gadget", 2, fields, G_N_ELEMENTS(fields));
static const struct device_class old_class = GADGET_CLASS("gadget", 1, fields, G_N_ELEMENTS(fields) - 1);
static const struct device_class poor_class = GADGET_CLASS("gadget", 1, fields, G_N_ELEMENTS(fields) - 2);
static const struct device_class other_class = GADGET_CLASS("other", 2, fields, G_N_ELEMENTS(fields));
static const struct device_class bare_class = { .name = "bare", .version = 1 };

static struct gadget *gadget_new(const struct device_class *class, const char *id)
{
	struct gadget *g = g_new0(struct gadget, 1);

	device_init(&g->dev, class, NULL, id);
	g->locked_in_hooks = true;
	return g;
}

static struct gadget *gadget_filled(const struct device_class *class)
{
	struct gadget *g = gadget_new(class, "g0");

	g->on = true;
	g->switches[1] = true;
	g->small = 0xab;
	memcpy(g->words, (const uint16_t[]){ 1, 0x1234, 0xffff, 7 }, sizeof(g->words));
	g->number = 0xdeadbeef;
	g->large[0] = 1;
	g->large[1] = UINT64_C(0xfedcba9876543210);
	g->added_later = 99;
	return g;
}

static void check_equal(const struct gadget *a, const struct gadget *b)
{
	g_assert_true(a->on == b->on);
	g_assert_cmpmem(a->switches, sizeof(a->switches), b->switches, sizeof(b->switches));
	g_assert_cmphex(a->small, ==, b->small);
	g_assert_cmpmem(a->words, sizeof(a->words), b->words, sizeof(b->words));
	g_assert_cmphex(a->number, ==, b->number);
	g_assert_cmpmem(a->large, sizeof(a->large), b->large, sizeof(b->large));
}

static GByteArray *saved(const struct device_class *class)
{
	struct gadget *g = gadget_filled(class);
	GByteArray *out = g_byte_array_new();

	device_save(&g->dev, out);
	device_destroy(&g->dev);
	return out;
}

static void check_untouched(const struct gadget *g)
{
	const struct gadget fresh = { 0 };

	check_equal(g, &fresh);
	g_assert_cmphex(g->added_later, ==, 0);
}

/* Loads data into a fresh gadget; the error says what is wrong with it, and nothing of it has stayed. */
static void check_refused(const struct device_class *class, const char *id, const uint8_t *data, size_t len)
{
	g_autoptr(GError) err = NULL;
	struct gadget *g = gadget_new(class, id);
	size_t used = 12345;

	g_assert_false(device_load(&g->dev, data, len, &used, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_nonnull(strstr(err->message, id));
	g_assert_cmpuint(used, ==, 12345);
	check_untouched(g);
	device_destroy(&g->dev);
}

static void test_foreign(void)
{
	g_autoptr(GByteArray) data = saved(&gadget_class);

	check_refused(&gadget_class, "g1", data->data, data->len);
	check_refused(&other_class, "g0", data->data, data->len);
	check_refused(&poor_class, "g0", data->data, data->len); /* unknown field */
	check_refused(&gadget_class, "g0", NULL, 0);
}

static void test_truncated(void)
{
	g_autoptr(GByteArray) data = saved(&gadget_class);

	for (guint len = 0; len < data->len; len++) {
		g_autofree uint8_t *part = g_memdup2(data->data, len);

		check_refused(&gadget_class, "g0", part, len);
		if (len >= 8) {
			/* The same cut with a length that admits it. */
			uint32_t length = GUINT32_TO_LE(len - 8);

			memcpy(part + 4, &length, 4);
			check_refused(&gadget_class, "g0", part, len);
		}
	}
}

/*
 * Every single byte of a section, changed to several values: an error or a load, never a crash, and only 0 and 1 in a
 * bool.
 */
static void test_every_byte(void)
{
	static const uint8_t flips[] = { 0x01, 0x02, 0x80, 0xff };
	g_autoptr(GByteArray) data = saved(&gadget_class);
	unsigned n_refused = 0;

	for (guint at = 0; at < data->len; at++) {
		for (size_t i = 0; i < G_N_ELEMENTS(flips); i++) {
			g_autoptr(GError) err = NULL;
			g_autofree uint8_t *copy = g_memdup2(data->data, data->len);
			struct gadget *g = gadget_new(&gadget_class, "g0");
			uint8_t raw;
			size_t used;

			copy[at] ^= flips[i];
			if (!device_load(&g->dev, copy, data->len, &used, &err))
				n_refused++;
			memcpy(&raw, &g->on, 1);
			g_assert_cmpuint(raw, <=, 1);
			device_destroy(&g->dev);
		}
	}
	g_assert_cmpuint(n_refused, >, data->len);
}

static uint8_t *find(GByteArray *data, const char *text)
{
	uint8_t *at = memmem(data->data, data->len, text, strlen(text));

	g_assert_nonnull(at);
	return at;
}

static void test_hostile_fields(void)
{
	g_autoptr(GByteArray) twice = saved(&gadget_class), type = saved(&gadget_class), count = saved(&gadget_class);
	g_autoptr(GByteArray) truth = saved(&gadget_class);
	uint32_t huge = UINT32_MAX;

	memcpy(find(twice, "added_later") - 1, "\005small", 6); /* leaves a torn rest behind a field that came before */
	check_refused(&gadget_class, "g0", twice->data, twice->len);
	find(type, "number")[6] = DEVICE_FIELD_U64;
	check_refused(&gadget_class, "g0", type->data, type->len);
	memcpy(find(count, "words") + 6, &huge, 4);
	check_refused(&gadget_class, "g0", count->data, count->len);
	find(truth, "switches")[8 + 5 + 2] = 2;
	check_refused(&gadget_class, "g0", truth->data, truth->len);
}

static void test_trailing(void)
{
	g_autoptr(GByteArray) data = saved(&gadget_class);
	uint32_t length;

	g_byte_array_append(data, (const uint8_t *)"x", 1);
	length = GUINT32_TO_LE(data->len - 8);
	memcpy(data->data + 4, &length, 4);
	check_refused(&gadget_class, "g0", data->data, data->len);
}

static void test_round_trip(void)
{
	struct gadget *a = gadget_filled(&gadget_class), *b = gadget_new(&gadget_class, "g0");
	g_autoptr(GByteArray) data = g_byte_array_new(), again = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used = 0;
	guint first;

	g_byte_array_append(data, (const uint8_t *)"before", 6);
	device_save(&a->dev, data);
	first = data->len;
	device_save(&a->dev, data); /* sections follow each other */
	g_assert_true(device_load(&b->dev, data->data + 6, data->len - 6, &used, &err));
	g_assert_no_error(err);
	g_assert_cmpuint(used, ==, first - 6);
	check_equal(a, b);
	g_assert_cmpuint(b->added_later, ==, 99);
	g_assert_cmpuint(a->n_pre_saves, ==, 2);
	g_assert_cmpuint(b->n_post_loads, ==, 1);
	g_assert_true(a->locked_in_hooks);
	g_assert_true(b->locked_in_hooks);
	device_save(&b->dev, again);
	g_assert_cmpmem(again->data, again->len, data->data + 6, first - 6);
	device_destroy(&a->dev);
	device_destroy(&b->dev);
}

/*
 * A state from before a field existed leaves that field as reset made it; one that should have it and does not is
 * refused.
 */
static void test_old_state(void)
{
	g_autoptr(GByteArray) data = saved(&old_class), poor = saved(&poor_class);
	struct gadget *a = gadget_filled(&gadget_class), *b = gadget_new(&gadget_class, "g0");
	g_autoptr(GError) err = NULL;
	size_t used;

	b->added_later = 42;
	g_assert_true(device_load(&b->dev, data->data, data->len, &used, &err));
	g_assert_no_error(err);
	check_equal(a, b);
	g_assert_cmpuint(b->added_later, ==, 42);
	check_refused(&gadget_class, "g0", poor->data, poor->len);
	device_destroy(&a->dev);
	device_destroy(&b->dev);
}

static void test_post_load(void)
{
	g_autoptr(GByteArray) data = saved(&gadget_class);
	struct gadget *g = gadget_new(&gadget_class, "g0");
	g_autoptr(GError) err = NULL;
	size_t used = 7;

	g->refuse_load = true;
	g_assert_false(device_load(&g->dev, data->data, data->len, &used, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_cmpuint(used, ==, 7);
	check_untouched(g);
	device_destroy(&g->dev);
}

static void test_hooks(void)
{
	struct gadget *g = gadget_new(&gadget_class, "g0");
	struct device bare;
	g_autoptr(GByteArray) data = g_byte_array_new();
	g_autoptr(GError) err = NULL;
	size_t used;

	device_reset(&g->dev);
	device_pause(&g->dev);
	device_resume(&g->dev);
	g_assert_cmpuint(g->n_resets, ==, 1);
	g_assert_cmpuint(g->n_pauses, ==, 1);
	g_assert_cmpuint(g->n_resumes, ==, 1);
	g_assert_true(g->locked_in_hooks);
	device_destroy(&g->dev);

	device_reset(NULL);
	device_pause(NULL);
	device_resume(NULL);
	device_destroy(NULL);
	device_init(&bare, &bare_class, NULL, "bare");
	device_reset(&bare);
	device_pause(&bare);
	device_resume(&bare);
	device_save(&bare, data);
	g_assert_true(device_load(&bare, data->data, data->len, &used, &err));
	g_assert_cmpuint(used, ==, data->len);
	device_fini(&bare);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/device/foreign", test_foreign);
	g_test_add_func("/device/truncated", test_truncated);
	g_test_add_func("/device/every-byte", test_every_byte);
	g_test_add_func("/device/hostile-fields", test_hostile_fields);
	g_test_add_func("/device/trailing", test_trailing);
	g_test_add_func("/device/post-load", test_post_load);
	g_test_add_func("/device/round-trip", test_round_trip);
	g_test_add_func("/device/old-state", test_old_state);
	g_test_add_func("/device/hooks", test_hooks);
	return g_test_run();
}
