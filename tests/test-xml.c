/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Documents: what is refused at the door, paths, changes, and how they are written. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/model/xml.h"

static xmlDoc *parse(const char *text)
{
	g_autoptr(GError) err = NULL;
	xmlDoc *doc = xml_parse(text, strlen(text), "test", &err);

	g_assert_no_error(err);
	return doc;
}

static void assert_refused(const char *text, size_t len, const char *pattern)
{
	g_autoptr(GError) err = NULL;
	xmlDoc *doc = xml_parse(text, len, "bad.xml", &err);

	g_assert_null(doc);
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	if (!g_pattern_match_simple(pattern, err->message))
		g_error("'%s' does not match '%s'", err->message, pattern);
	/* One sentence on one line. */
	g_assert_null(strchr(err->message, '\n'));
}

static void test_bad(void)
{
	static const struct {
		const char *text, *pattern;
	} cases[] = {
		{ "", "bad.xml: empty*" },
		{ "hello", "bad.xml:1: not well-formed*" },
		{ "<a>\n<b></a>", "bad.xml:2: not well-formed*" },
		{ "<a>\n\n", "bad.xml:3: not well-formed*" },
		{ "<a/><b/>", "bad.xml:1: not well-formed*" },
		{ "<a x='1' x='2'/>", "bad.xml:1: not well-formed*" },
		{ "<a>&nbsp;</a>", "bad.xml:1: not well-formed*" },
		{ "<a>\n\xff</a>", "bad.xml:2: not UTF-8*" },
		{ "<!DOCTYPE a><a/>", "bad.xml:1: document types*" },
		{ "\n<!DOCTYPE a [<!ENTITY x 'xx'>]><a>&x;</a>", "bad.xml:2: document types*" },
		{ "<?xml version='1.0'?>\n<!-- x -->\n<!DOCTYPE a SYSTEM '/etc/passwd'><a/>",
		  "bad.xml:3: document types*" },
		{ "<a><!ENTITY x 'y'></a>", "bad.xml:1: document types*" },
		{ "<a><b x='<'/></a>", "bad.xml:1: not well-formed*" },
		{ "<a", "bad.xml:1: not well-formed*" },
		{ "<a x='", "bad.xml:1: not well-formed*" },
		{ "<!--", "bad.xml:1: not well-formed*" },
		{ "<", "bad.xml:1: not well-formed*" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].pattern);
	assert_refused("<a>\0</a>", 8, "bad.xml:1: not UTF-8*");
}

/* n times what, between head and tail. */
static GString *repeated(const char *head, const char *what, size_t n, const char *tail)
{
	GString *text = g_string_new(head);

	for (size_t i = 0; i < n; i++)
		g_string_append(text, what);
	g_string_append(text, tail);
	return text;
}

static void assert_repeated_refused(const char *head, const char *what, size_t n, const char *tail, const char *pattern)
{
	g_autoptr(GString) text = repeated(head, what, n, tail);

	assert_refused(text->str, text->len, pattern);
}

static void assert_repeated_ok(const char *head, const char *what, size_t n, const char *tail)
{
	g_autoptr(GString) text = repeated(head, what, n, tail);
	auto_xml xmlDoc *doc = parse(text->str);

	g_assert_nonnull(doc);
}

static void test_limits(void)
{
	g_autoptr(GString) deep = repeated("", "<a>", XML_MAX_DEPTH, "x");
	g_autoptr(GString) wide = g_string_new("<a");

	assert_repeated_refused("", "<a>", 1000000, "", "bad.xml:1: nested deeper*");
	assert_repeated_refused("<a>", "<b/>", 1000000, "</a>", "bad.xml:1: more than 200000*");
	assert_repeated_refused("<a>", "<b x=''/>", 150000, "</a>", "bad.xml:1: more than 200000*");
	assert_repeated_refused("<a>", "<!---->", 250000, "</a>", "bad.xml:1: more than 200000*");
	assert_repeated_refused("<a>", "<?b?>", 250000, "</a>", "bad.xml:1: more than 200000*");
	assert_repeated_refused("<a x='", "0123456789", 1u << 20, "'/>", "bad.xml: larger than*");
	assert_repeated_refused("<a", " x='1'", 1000000, "/>", "bad.xml:1: more than 64 attributes*");

	assert_repeated_refused("<a>", "<b xmlns:c='urn:c'/>", 257, "</a>", "bad.xml:1: more than 256 name space*");
	for (unsigned i = 0; i < XML_MAX_DEPTH; i++)
		g_string_append(deep, "</a>");
	xmlFreeDoc(parse(deep->str));
	for (unsigned i = 0; i < 64; i++)
		g_string_append_printf(wide, " a%u='>'", i);
	g_string_append(wide, "/>");
	xmlFreeDoc(parse(wide->str));
	assert_repeated_ok("<a>", "<b/>", 90000, "</a>");
	assert_repeated_ok("<a>", "<![CDATA[<b><b>]]><!-- <c> -->", 60000, "</a>");
	assert_repeated_ok("<a x='", "!DOCTYPE", 100, "'/>");
}

static void test_file(void)
{
	g_autofree char *path = g_build_filename(g_get_tmp_dir(), "lodge-test-xml-XXXXXX", NULL);
	int fd = g_mkstemp(path);
	g_autoptr(GError) err = NULL;
	auto_xml xmlDoc *doc = NULL;

	g_assert_cmpint(fd, >=, 0);
	g_assert_null(xml_parse_file(path, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_clear_error(&err);
	/* Much larger than what is read of it. */
	g_assert_cmpint(ftruncate(fd, (off_t)4 << 30), ==, 0);
	g_assert_null(xml_parse_file(path, &err));
	g_assert_true(g_str_has_suffix(err->message, ": larger than 8 MiB"));
	g_clear_error(&err);
	g_assert_cmpint(ftruncate(fd, 0), ==, 0);
	g_assert_cmpint(write(fd, "<a b='1'/>", 10), ==, 10);
	doc = xml_parse_file(path, &err);
	g_assert_no_error(err);
	g_assert_true(xml_is(xmlDocGetRootElement(doc), "@b", "1"));
	close(fd);
	unlink(path);
	g_assert_null(xml_parse_file(path, &err));
	g_assert_true(g_str_has_prefix(err->message, path));
	g_assert_null(xml_parse_file("/", NULL));
}

static const char guest[] = "<domain type='kvm' xmlns:q='urn:q'>\n"
			    "  <name> vm1 </name>\n"
			    "  <memory unit='KiB'>1024</memory>\n"
			    "  <q:name>other</q:name>\n"
			    "  <devices>\n"
			    "    <disk type='file'/>\n"
			    "    <nic/>\n"
			    "    <disk type='block'><target dev='vdb' slot='0x1f'/></disk>\n"
			    "  </devices>\n"
			    "  <e/>\n"
			    "</domain>\n";

static void assert_text(xmlNode *from, const char *path, const char *expected)
{
	g_autofree char *text = xml_get(from, path);

	g_assert_cmpstr(text, ==, expected);
}

static void test_get(void)
{
	auto_xml xmlDoc *doc = parse(guest);
	xmlNode *root = xmlDocGetRootElement(doc);
	uint64_t value = 7;

	assert_text(root, "nothing", NULL);
	assert_text(root, "name/@x", NULL);
	assert_text(root, "x:name", NULL);
	assert_text(NULL, "name", NULL);
	assert_text(root, "name", "vm1");
	assert_text(root, "q:name", "other");
	assert_text(root, "e", "");
	assert_text(root, "@type", "kvm");
	assert_text(root, "devices/disk/@type", "file");
	/* The first match of the whole path: it is in the second disk. */
	assert_text(root, "devices/disk/target/@dev", "vdb");
	g_assert_true(xml_is(root, "devices/disk/target/@dev", "vdb"));
	g_assert_false(xml_is(root, "devices/disk/@serial", ""));
	g_assert_false(xml_get_uint(root, "name", &value));
	g_assert_false(xml_get_uint(root, "e", &value));
	g_assert_false(xml_get_uint(root, "nothing", &value));
	g_assert_cmpuint(value, ==, 7);
	g_assert_true(xml_get_uint(root, "memory", &value));
	g_assert_cmpuint(value, ==, 1024);
	g_assert_true(xml_get_uint(root, "devices/disk/target/@slot", &value));
	g_assert_cmpuint(value, ==, 31);
}

static void test_walk(void)
{
	auto_xml xmlDoc *doc = parse(guest);
	xmlNode *root = xmlDocGetRootElement(doc), *node = xml_first(root, "devices/disk");
	g_autofree char *path = NULL;
	g_autoptr(GError) err = NULL;

	g_assert_true(xml_find(root, ".") == root);
	g_assert_null(xml_find(root, "disk"));
	assert_text(node, "@type", "file");
	g_assert_cmpstr((const char *)xml_sibling(node)->name, ==, "nic");
	node = xml_next(node);
	assert_text(node, "@type", "block");
	g_assert_null(xml_next(node));
	g_assert_null(xml_sibling(node));
	g_assert_cmpstr((const char *)xml_child(root)->name, ==, "name");
	g_assert_null(xml_child(xml_find(root, "name")));
	path = xml_node_path(xml_child(node));
	g_assert_cmpstr(path, ==, "/domain/devices/disk[2]/target");
	g_assert_false(fail_xml(&err, xml_child(node), "dev", "'%s' is taken", "vdb"));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_cmpstr(err->message, ==, "test:8: /domain/devices/disk[2]/target/@dev: 'vdb' is taken");
}

static void test_lines(void)
{
	g_autoptr(GString) text = repeated("<a>", "\n", 70000, "<b/></a>");
	auto_xml xmlDoc *doc = parse(text->str);
	xmlNode *b = xml_find(xmlDocGetRootElement(doc), "b");
	g_autoptr(GError) err = NULL;

	fail_xml(&err, b, NULL, "x");
	g_assert_cmpstr(err->message, ==, "test:70001: /a/b: x");
	g_clear_error(&err);
	/* What was added stands where its parent does. */
	fail_xml(&err, xml_add(xml_add(xmlDocGetRootElement(doc), "c"), "d"), "e", "x");
	g_assert_cmpstr(err->message, ==, "test:1: /a/c/d/@e: x");
	g_clear_error(&err);
	fail_xml(&err, xml_add(b, "c"), NULL, "x");
	g_assert_cmpstr(err->message, ==, "test:65535: /a/b/c: x");
}

static void assert_format(xmlNode *node, const char *expected)
{
	g_autofree char *text = xml_format(node);

	g_assert_cmpstr(text, ==, expected);
}

static void test_set(void)
{
	auto_xml xmlDoc *doc = parse("<a><b/><c x='1'>t<d/>u</c></a>");
	xmlNode *a = xmlDocGetRootElement(doc);

	xml_set(a, "nothing/@x", NULL);
	xml_set(a, "b", "<&>");
	xml_set(a, "b/@q", "it's \"<\"");
	xml_set(a, "c/@x", NULL);
	xml_set(a, "c/d", NULL);
	xml_setf(a, "e/f/@n", "%d", 5);
	g_assert_true(xml_ensure(a, "e/f") == xml_find(a, "e/f"));
	xml_add(a, "b");
	xml_set(xml_ensure(a, "qemu:commandline"), "qemu:arg/@value", "-v");
	assert_text(a, "qemu:commandline/qemu:arg/@value", "-v");
	assert_format(a, "<a xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
			 "  <b q='it&apos;s &quot;&lt;&quot;'>&lt;&amp;&gt;</b>\n"
			 "  <c>tu</c>\n"
			 "  <e>\n"
			 "    <f n='5'/>\n"
			 "  </e>\n"
			 "  <b/>\n"
			 "  <qemu:commandline>\n"
			 "    <qemu:arg value='-v'/>\n"
			 "  </qemu:commandline>\n"
			 "</a>\n");
	xml_remove(xml_find(a, "e"));
	xml_set(a, "b", "");
	g_assert_null(xml_find(a, "e"));
	assert_text(a, "b", "");
}

static void test_set_beside(void)
{
	auto_xml xmlDoc *doc = parse("<a><b/><c/></a>");
	xmlNode *a = xmlDocGetRootElement(doc);

	xml_ensure(a, "b/x");
	xml_add(a, "d");
	/* Behind its like, although that is not the last. */
	xml_set(xml_find(a, "c"), "e", "1");
	xml_set(xml_find(a, "c"), ".", "text");
	assert_format(a, "<a>\n  <b>\n    <x/>\n  </b>\n  <c>text<e>1</e></c>\n  <d/>\n</a>\n");
}

static void test_format(void)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "<a></a>", "<a/>\n" },
		{ "<a>\n</a>", "<a/>\n" },
		{ "<a>  </a>", "<a>  </a>\n" },
		{ "<a>one\n two</a>", "<a>one\n two</a>\n" },
		{ "<a>\n   <b/>\n</a>", "<a>\n  <b/>\n</a>\n" },
		{ "<a>x <b/> y</a>", "<a>x <b/> y</a>\n" },
		{ "<a>x<b><c/></b></a>", "<a>x<b><c/></b></a>\n" },
		{ "<!-- top --><a><!-- in --><b/></a>", "<a>\n  <!-- in -->\n  <b/>\n</a>\n" },
		{ "<a><?p q?></a>", "<a>\n  <?p q?>\n</a>\n" },
		{ "<a><![CDATA[<x>]]></a>", "<a>&lt;x&gt;</a>\n" },
		{ "<a b=\"'\">\"'</a>", "<a b='&apos;'>&quot;&apos;</a>\n" },
		{ "<a b='1&#10;2&#9;3&#13;'>&#13;</a>", "<a b='1&#10;2&#9;3&#13;'>&#13;</a>\n" },
		{ "<a xmlns='urn:a' xmlns:b='urn:b' c='1' b:d='2'><b:e/></a>",
		  "<a c='1' b:d='2' xmlns='urn:a' xmlns:b='urn:b'>\n  <b:e/>\n</a>\n" },
		{ "<a><metadata><x:y xmlns:x='urn:x' z=\"'&quot;\">\"'</x:y></metadata><b c='1'/></a>",
		  "<a>\n  <metadata>\n    <x:y xmlns:x=\"urn:x\" z=\"'&quot;\">\"'</x:y>\n  </metadata>\n  <b c='1'/>\n</a>\n" },
		{ "<a>\xc3\xa4\xe2\x82\xac</a>", "<a>\xc3\xa4\xe2\x82\xac</a>\n" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		auto_xml xmlDoc *doc = parse(cases[i].text), *again = NULL;

		assert_format(xmlDocGetRootElement(doc), cases[i].expected);
		again = parse(cases[i].expected);
		assert_format(xmlDocGetRootElement(again), cases[i].expected);
	}
}

/* The declaration cannot make other bytes of the text than those that were checked. */
static void test_encoding(void)
{
	auto_xml xmlDoc *doc = parse("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xc3\xa4</a>");

	assert_text(xmlDocGetRootElement(doc), ".", "\xc3\xa4");
	assert_refused("\xff\xfe<\0a\0/\0>\0", 10, "bad.xml:1: not UTF-8*");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/xml/bad", test_bad);
	g_test_add_func("/xml/limits", test_limits);
	g_test_add_func("/xml/encoding", test_encoding);
	g_test_add_func("/xml/file", test_file);
	g_test_add_func("/xml/get", test_get);
	g_test_add_func("/xml/walk", test_walk);
	g_test_add_func("/xml/lines", test_lines);
	g_test_add_func("/xml/set", test_set);
	g_test_add_func("/xml/set-beside", test_set_beside);
	g_test_add_func("/xml/format", test_format);
	return g_test_run();
}
