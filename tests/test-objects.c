/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Definitions of every kind against tests/xml/KIND/: NAME.xml is accepted (NAME.lax.xml only without strict checking)
 * and written as NAME.out.xml, or as it is when there is no such file; NAME.bad.xml is refused with the message of
 * NAME.err. Of domains only the rules are looked at here, and of their messages the beginning that NAME.err has.
 */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain.h"
#include "core/model/ip-address.h"
#include "core/model/objects.h"
#include "core/model/xml.h"

struct sample {
	enum xml_kind kind;
	char *folder, *file;
};

static void sample_free(gpointer data)
{
	struct sample *sample = data;

	g_free(sample->folder);
	g_free(sample->file);
	g_free(sample);
}

static char *read_beside(const struct sample *sample, const char *name)
{
	g_autofree char *path = g_build_filename(sample->folder, name, NULL);
	char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static char *name_with(const char *file, const char *old, const char *new)
{
	g_assert_true(g_str_has_suffix(file, old));
	return g_strdup_printf("%.*s%s", (int)(strlen(file) - strlen(old)), file, new);
}

static void test_bad(gconstpointer data)
{
	const struct sample *sample = data;
	g_autofree char *text = read_beside(sample, sample->file);
	g_autofree char *expected_name = name_with(sample->file, ".bad.xml", ".err");
	g_autofree char *expected = read_beside(sample, expected_name);
	g_autoptr(GError) error = NULL;
	autoptr(object) object = object_parse(sample->kind, text, strlen(text), sample->file,
					      OBJECT_VALIDATE | OBJECT_REDEFINE, &error);

	g_assert_null(object);
	g_assert_true(g_error_matches(error, LODGE_ERROR, LODGE_ERROR_INPUT));
	g_assert_nonnull(expected);
	g_assert_cmpstr(error->message, ==, g_strchomp(expected));
}

static void test_good(gconstpointer data)
{
	const struct sample *sample = data;
	bool lax = g_str_has_suffix(sample->file, ".lax.xml");
	unsigned flags = OBJECT_REDEFINE | (lax ? 0 : OBJECT_VALIDATE);
	g_autofree char *text = read_beside(sample, sample->file);
	g_autofree char *out_name = name_with(sample->file, ".xml", ".out.xml");
	g_autofree char *out = read_beside(sample, out_name);
	g_autoptr(GError) error = NULL;
	autoptr(object) object = object_parse(sample->kind, text, strlen(text), sample->file, flags, &error);
	autoptr(object) again = NULL;
	autoptr(object) stored = NULL;

	g_assert_no_error(error);
	g_autofree char *first = object_format(object);
	g_assert_cmpstr(first, ==, out ? out : text);
	again = object_parse(sample->kind, first, strlen(first), sample->file, flags, &error);
	g_assert_no_error(error);
	g_autofree char *second = object_format(again);
	g_assert_cmpstr(second, ==, first);
	stored = object_parse(sample->kind, first, strlen(first), sample->file, OBJECT_STORED, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(stored->name, ==, object->name);
	g_assert_cmpstr(stored->uuid, ==, object->uuid);
	if (lax) {
		g_assert_null(
			object_parse(sample->kind, text, strlen(text), sample->file, flags | OBJECT_VALIDATE, &error));
		g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	}
}

static bool check_domain(const struct sample *sample, GError **err)
{
	g_autofree char *text = read_beside(sample, sample->file);
	autoptr(domain) domain = domain_parse(text, strlen(text), sample->file, DOMAIN_VALIDATE, err);

	return domain != NULL;
}

static void test_bad_domain(gconstpointer data)
{
	const struct sample *sample = data;
	g_autofree char *expected_name = name_with(sample->file, ".bad.xml", ".err");
	g_autofree char *expected = read_beside(sample, expected_name);
	g_autoptr(GError) error = NULL;

	g_assert_false(check_domain(sample, &error));
	g_assert_true(g_error_matches(error, LODGE_ERROR, LODGE_ERROR_INPUT));
	g_assert_nonnull(expected);
	g_test_message("%s", error->message);
	g_assert_true(g_str_has_prefix(error->message, g_strchomp(expected)));
}

static void test_good_domain(gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	check_domain(data, &error);
	g_assert_no_error(error);
}

static void add_samples(const char *source, enum xml_kind kind)
{
	const char *name = schema_of(kind)->name;
	g_autofree char *folder = g_build_filename(source, "tests", "xml", name, NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *file;

	g_assert_nonnull(dir);
	while ((file = g_dir_read_name(dir))) {
		g_autofree char *path = g_strdup_printf("/xml/%s/%s", name, file);
		bool bad = g_str_has_suffix(file, ".bad.xml");
		struct sample *sample;

		if (!g_str_has_suffix(file, ".xml") || g_str_has_suffix(file, ".out.xml"))
			continue;
		sample = g_new0(struct sample, 1);
		*sample = (struct sample){ .kind = kind, .folder = g_strdup(folder), .file = g_strdup(file) };
		if (kind == XML_DOMAIN)
			g_test_add_data_func_full(path, sample, bad ? test_bad_domain : test_good_domain, sample_free);
		else
			g_test_add_data_func_full(path, sample, bad ? test_bad : test_good, sample_free);
	}
}

/* --- what is assigned --- */

static struct object *parse(enum xml_kind kind, const char *text, unsigned flags)
{
	g_autoptr(GError) error = NULL;
	struct object *object = object_parse(kind, text, strlen(text), "test", flags, &error);

	g_assert_no_error(error);
	return object;
}

static void test_assigned(void)
{
	static const char text[] = "<network><name>n</name></network>";
	autoptr(object) a = parse(XML_NETWORK, text, 0);
	autoptr(object) b = parse(XML_NETWORK, text, 0);
	g_autofree char *mac_a = xml_get(a->root, "mac/@address");
	g_autofree char *mac_b = xml_get(b->root, "mac/@address");

	g_assert_true(g_uuid_string_is_valid(a->uuid));
	g_assert_cmpstr(a->uuid, !=, b->uuid);
	g_assert_true(g_str_has_prefix(mac_a, "52:54:00:"));
	g_assert_cmpuint(strlen(mac_a), ==, 17);
	g_assert_cmpstr(mac_a, !=, mac_b);
	g_assert_null(xml_find(a->root, "bridge/@name"));
	g_assert_cmpstr(a->name, ==, "n");
}

static void test_empty_uuid(void)
{
	static const char text[] = "<pool type='dir'><name>p</name><uuid/><target><path>/p</path></target></pool>";
	autoptr(object) object = parse(XML_POOL, text, 0);

	g_assert_true(g_uuid_string_is_valid(object->uuid));
	g_assert_null(object_parse(XML_POOL, text, strlen(text), "test", OBJECT_VALIDATE, NULL));
}

static void test_stays(void)
{
	autoptr(object) a = parse(XML_NETWORK, "<network><name>n</name></network>", 0);
	autoptr(object) copy = object_copy(a);
	g_autofree char *before = object_format(a);
	g_autofree char *after = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(object_recheck(copy, OBJECT_VALIDATE, &error));
	g_assert_no_error(error);
	after = object_format(copy);
	g_assert_cmpstr(after, ==, before);
	xml_set(copy->root, "name", "m");
	g_assert_true(object_recheck(copy, 0, NULL));
	g_assert_cmpstr(copy->name, ==, "m");
	g_assert_cmpstr(copy->uuid, ==, a->uuid);
	xml_set(copy->root, "bridge/@stp", "perhaps");
	g_assert_false(object_recheck(copy, 0, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
}

static void test_snapshot_now(void)
{
	static const char text[] =
		"<domainsnapshot><creationTime>5</creationTime><state>running</state></domainsnapshot>";
	gint64 before = g_get_real_time() / G_USEC_PER_SEC;
	autoptr(object) new = parse(XML_SNAPSHOT, text, OBJECT_VALIDATE);
	autoptr(object) old = parse(XML_SNAPSHOT, text, OBJECT_VALIDATE | OBJECT_REDEFINE);
	uint64_t time;

	g_assert_true(xml_get_uint(new->root, "creationTime", &time));
	g_assert_cmpint((gint64)time, >=, before);
	g_assert_cmpint((gint64)time, <=, g_get_real_time() / G_USEC_PER_SEC);
	g_assert_true(xml_is(new->root, "creationTime", new->name));
	g_assert_null(xml_find(new->root, "state"));
	g_assert_cmpstr(old->name, ==, "5");
	g_assert_true(xml_is(old->root, "state", "running"));
}

static void test_kinds(void)
{
	static const struct {
		const char *text;
		enum xml_kind kind;
	} cases[] = {
		{ "<network/>", XML_NETWORK },
		{ "<pool type='dir'/>", XML_POOL },
		{ "<domain/>", XML_DOMAIN },
		{ "<filter name='a'/>", XML_NWFILTER },
		{ "<filterbinding/>", XML_NWFILTER_BINDING },
		{ "<interface type='bridge' name='br0'/>", XML_INTERFACE },
		{ "<interface type='network'/>", XML_N_KINDS },
		{ "<disk/>", XML_N_KINDS },
		{ "<network>", XML_N_KINDS },
		{ "", XML_N_KINDS },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		g_assert_cmpint(object_kind_of(cases[i].text, strlen(cases[i].text)), ==, cases[i].kind);
}

static void test_ip(void)
{
	static const struct {
		const char *text;
		int prefix; /* -2: no address */
	} masks[] = {
		{ "255.255.255.0", 24 }, { "0.0.0.0", 0 }, { "255.255.255.255", 32 },
		{ "255.0.255.0", -1 },	 { "1.2.3", -2 },  { "ffff:ffff::", 32 },
		{ "::1", -1 },		 { "", -2 },	   { "1.2.3.4.5", -2 },
		{ "01.2.3.4x", -2 },
	};
	struct ip_address a, b;

	for (size_t i = 0; i < G_N_ELEMENTS(masks); i++) {
		g_assert_true(ip_parse(&a, masks[i].text) == (masks[i].prefix != -2));
		if (masks[i].prefix != -2)
			g_assert_cmpint(ip_mask_prefix(&a), ==, masks[i].prefix);
	}
	g_assert_true(ip_parse(&a, "::") && ip_parse(&b, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	g_assert_cmpuint(ip_count(&a, &b), ==, UINT64_MAX);
	g_assert_true(ip_parse(&a, "2001:db8::") && ip_parse(&b, "2001:db8::ffff:ffff:ffff:ffff"));
	g_assert_cmpuint(ip_count(&a, &b), ==, UINT64_MAX);
	g_assert_true(ip_parse(&a, "0.0.0.0") && ip_parse(&b, "255.255.255.255"));
	g_assert_cmpuint(ip_count(&a, &b), ==, UINT64_C(1) << 32);
	g_assert_true(ip_is_within(&a, &b, 0));
	g_assert_false(ip_is_within(&a, &b, 1));
}

int main(int argc, char **argv)
{
	const char *source = g_getenv("LODGE_SRCDIR");

	g_test_init(&argc, &argv, NULL);
	for (int kind = 0; kind < XML_N_KINDS; kind++)
		add_samples(source ? source : ".", (enum xml_kind)kind);
	g_test_add_func("/objects/assigned", test_assigned);
	g_test_add_func("/objects/empty-uuid", test_empty_uuid);
	g_test_add_func("/objects/stays", test_stays);
	g_test_add_func("/objects/snapshot-now", test_snapshot_now);
	g_test_add_func("/objects/kinds", test_kinds);
	g_test_add_func("/objects/ip", test_ip);
	return g_test_run();
}
