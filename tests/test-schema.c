/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables and what is made from them. A document with everything is built from each table itself: it is accepted,
 * comes back into its order from any other, and every single value in it can be made wrong and is then refused at its
 * place.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/model/schema-private.h"

/* --- wrong documents --- */

#define HEAD "<domain type='kvm'>\n<name>a</name>\n<memory>1024</memory>\n<os><type>hvm</type></os>\n"
#define DEVICES HEAD "<devices>\n"
#define TAIL "\n</devices>\n</domain>"

struct wrong {
	const char *text, *pattern;
	bool strict; /* only then */
};

static const struct wrong wrongs[] = {
	{ "<network/>", "x:1: /network: the root element of a domain is <domain>", false },
	{ "<domain xmlns='urn:x' type='kvm'/>", "x:1: /domain: the root element*", false },
	{ "<domain/>", "x:1: /domain: * is missing", false },
	{ "<domain type='kvm'><name>a</name></domain>", "x:1: /domain: os/type is missing (needed with !bootloader)",
	  false },
	{ "<domain type='none-such'/>", "x:1: /domain/@type: 'none-such' is not one of kvm, qemu, *", false },
	{ "<domain type=''/>", "x:1: /domain/@type: '' is not one of *", false },
	{ HEAD "<name>b</name></domain>", "x:5: /domain/name[2]: stands here for the second time*", false },
	{ "<domain type='kvm'><name>a/b</name></domain>", "x:1: /domain/name: 'a/b' is not a name*", false },
	{ "<domain type='kvm'><name> </name></domain>", "x:1: /domain/name: '' is not a name*", false },
	{ HEAD "<uuid>12345</uuid></domain>", "x:5: /domain/uuid: '12345' is not a UUID*", false },
	{ HEAD "<uuid>c7a5fdbd-cdaf-9455-926a-d65c16db180</uuid></domain>", "x:5: /domain/uuid: *", false },
	{ HEAD "<vcpu>0</vcpu></domain>", "x:5: /domain/vcpu: '0' is not a number from 1 to 65535", false },
	{ HEAD "<vcpu>two</vcpu></domain>", "x:5: /domain/vcpu: 'two' is not a number*", false },
	{ HEAD "<vcpu>-1</vcpu></domain>", "x:5: /domain/vcpu: '-1' is not a number*", false },
	{ HEAD "<vcpu/></domain>", "x:5: /domain/vcpu: '' is not a number*", false },
	{ HEAD "<vcpu cpuset='5-2'>1</vcpu></domain>", "x:5: /domain/vcpu/@cpuset: '5-2' is not a set*", false },
	{ HEAD "<currentMemory unit='KiBB'>1</currentMemory></domain>",
	  "x:5: /domain/currentMemory/@unit: 'KiBB' is not a unit*", false },
	{ HEAD "<currentMemory>1.5</currentMemory></domain>", "x:5: /domain/currentMemory: '1.5' is not a number*",
	  false },
	{ HEAD "<currentMemory>99999999999999999999</currentMemory></domain>", "x:5: /domain/currentMemory: *", false },
	{ HEAD "<memtune><hard_limit unit='x'>1</hard_limit></memtune></domain>",
	  "x:5: /domain/memtune/hard_limit/@unit: 'x' is not*", false },
	{ HEAD "<on_crash>explode</on_crash></domain>", "x:5: /domain/on_crash: 'explode' is not one of destroy, *",
	  false },
	{ HEAD "<on_poweroff>coredump-destroy</on_poweroff></domain>", "x:5: /domain/on_poweroff: *", false },
	{ HEAD "<clock offset='moon'/></domain>", "x:5: /domain/clock/@offset: 'moon' is not one of utc, *", false },
	{ HEAD "<clock offset='utc' adjustment='some'/></domain>",
	  "x:5: /domain/clock/@adjustment: 'some' is not a number, or reset", false },
	{ HEAD "<clock><timer/></clock></domain>", "x:5: /domain/clock/timer: attribute name is missing", false },
	{ HEAD "<features><pmu state='yes'/></features></domain>",
	  "x:5: /domain/features/pmu/@state: 'yes' is not on or off", false },
	{ HEAD "<cpu><topology sockets='1' cores='2'/></cpu></domain>",
	  "x:5: /domain/cpu/topology: attribute threads is missing", false },
	{ HEAD "<cpu><topology sockets='0' cores='2' threads='1'/></cpu></domain>",
	  "x:5: /domain/cpu/topology/@sockets: *", false },
	{ HEAD "<cpu><feature policy='maybe' name='x'/></cpu></domain>",
	  "x:5: /domain/cpu/feature/@policy: 'maybe' is not one of *", false },
	{ HEAD
	  "<cpu><numa><cell memory='1'><distances><sibling id='0' value='9'/></distances></cell></numa></cpu></domain>",
	  "x:5: /domain/cpu/numa/cell/distances/sibling/@value: '9' is not a number from 10 to 255", false },
	{ HEAD "<cputune><period>999</period></cputune></domain>",
	  "x:5: /domain/cputune/period: '999' is not a number from 1000 to 1000000", false },
	{ HEAD "<cpu><vendor>Intel</vendor></cpu></domain>", "x:5: /domain/cpu: model is missing (needed with vendor)",
	  false },
	{ DEVICES "<disk type='file'><target dev='a'/></disk>" TAIL,
	  "x:6: /domain/devices/disk: source/@file or source/@fdgroup is missing (needed with @device=disk|lun|,@type=file|)",
	  false },
	{ DEVICES "<disk type='block'><source file='/a'/><target dev='a'/></disk>" TAIL,
	  "x:6: /domain/devices/disk: source/@dev is missing*", false },
	{ DEVICES "<interface type='bridge'/>" TAIL, "x:6: /domain/devices/interface: source/@bridge is missing*",
	  false },
	{ DEVICES "<parallel type='udp'><source host='a'/></parallel>" TAIL, "*/parallel: source/@service is missing*",
	  false },
	{ DEVICES "<disk><source file='/a'/></disk>" TAIL, "x:6: /domain/devices/disk: element <target> is missing",
	  false },
	{ DEVICES "<disk/>\n<disk device='zip'><target dev='b'/></disk>" TAIL, "x:6: /domain/devices/disk[1]: *",
	  false },
	{ DEVICES "<disk><source file='/a'/><target dev='a'/></disk>\n<disk device='zip'/>" TAIL,
	  "x:7: /domain/devices/disk[2]/@device: 'zip' is not disk, or one of cdrom, *", false },
	{ DEVICES "<disk><target dev='v a'/></disk>" TAIL,
	  "x:6: /domain/devices/disk/target/@dev: 'v a' is not a word*", false },
	{ DEVICES "<disk><target dev='a' bus='pata'/></disk>" TAIL, "x:6: /domain/devices/disk/target/@bus: *", false },
	{ DEVICES "<disk><driver cache='much'/><target dev='a'/></disk>" TAIL,
	  "x:6: /domain/devices/disk/driver/@cache: *", false },
	{ DEVICES "<disk><target dev='a'/><boot order='0'/></disk>" TAIL,
	  "x:6: /domain/devices/disk/boot/@order: '0' is not a number from 1*", false },
	{ DEVICES "<disk><target dev='a'/><address slot='1'/></disk>" TAIL,
	  "x:6: /domain/devices/disk/address: attribute type is missing", false },
	{ DEVICES "<disk><target dev='a'/><address type='pci' function='8'/></disk>" TAIL,
	  "*@function: '8' is not a hexadecimal number*", false },
	{ DEVICES "<interface/>" TAIL, "x:6: /domain/devices/interface: attribute type is missing", false },
	{ DEVICES "<interface type='user'><mac address='52:54:00:12:34'/></interface>" TAIL,
	  "*/mac/@address: '52:54:00:12:34' is not a MAC*", false },
	{ DEVICES "<interface type='user'>\n<vlan><tag id='4096'/></vlan></interface>" TAIL,
	  "x:7: /domain/devices/interface/vlan/tag/@id: *", false },
	/* Behind a reference the path is that of the document. */
	{ DEVICES "<interface type='user'><boot order='x'/></interface>" TAIL,
	  "x:6: /domain/devices/interface/boot/@order: 'x' *", false },
	{ DEVICES "<channel type='pty'><target type='virtio'/><source mode='wait'/></channel>" TAIL,
	  "x:6: /domain/devices/channel/source/@mode: 'wait' is not one of bind, connect, *", false },
	{ DEVICES "<channel type='pty'/>" TAIL, "x:6: /domain/devices/channel: element <target> is missing", false },
	{ DEVICES "<console type='fax'/>" TAIL,
	  "x:6: /domain/devices/console/@type: 'fax' is not one of null, pty, *, or one of vc, *", false },
	{ DEVICES "<memballoon model='virtio'/><memballoon model='none'/>" TAIL,
	  "x:6: /domain/devices/memballoon[2]: stands here*", false },
	{ DEVICES "<rng model='virtio'/>" TAIL, "x:6: /domain/devices/rng: element <backend> is missing", false },
	{ DEVICES "<rng model='virtio'><backend model='dice'/></rng>" TAIL,
	  "x:6: /domain/devices/rng/backend/@model: *", false },
	{ DEVICES "<panic model='button'/>" TAIL, "x:6: /domain/devices/panic/@model: *", false },
	{ DEVICES "<graphics type='vnc' port='65536'/>" TAIL,
	  "x:6: /domain/devices/graphics/@port: '65536' is not a number from -1 to 65535", false },
	{ DEVICES "<redirfilter><usbdev class='0x100' allow='yes'/></redirfilter>" TAIL,
	  "*@class: '0x100' is not *, or -1", false },
	{ DEVICES "<memory model='dimm'><target><size>x</size></target></memory>" TAIL,
	  "x:6: /domain/devices/memory/target/size: *", false },
	{ HEAD "<bogus>\n</bogus></domain>", "x:5: /domain/bogus: unknown element; allowed here: name, *", true },
	{ HEAD "<vcpu bogus='1'>1</vcpu></domain>",
	  "x:5: /domain/vcpu/@bogus: unknown attribute; allowed here: placement, cpuset, current", true },
	{ HEAD "<features>words</features></domain>", "x:5: /domain/features: no text may stand here", true },
	{ DEVICES "<disk><source file='/a'/><target dev='a'/><readonly why='x'/></disk>" TAIL,
	  "*readonly/@why: unknown attribute; allowed here: none", true },
	{ HEAD "<my:own xmlns:my='urn:my'/></domain>", "x:5: /domain/my:own: unknown element*", true },
};

static xmlDoc *parse(const char *text)
{
	g_autoptr(GError) err = NULL;
	xmlDoc *doc = xml_parse(text, strlen(text), "x", &err);

	g_assert_no_error(err);
	return doc;
}

static void test_wrong(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(wrongs); i++) {
		auto_xml xmlDoc *doc = parse(wrongs[i].text);
		g_autoptr(GError) err = NULL;

		if (schema_check(&schema_domain, doc, false, NULL) != wrongs[i].strict)
			g_error("%s: %s", wrongs[i].text, wrongs[i].strict ? "refused" : "accepted");
		g_assert_false(schema_check(&schema_domain, doc, true, &err));
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
		if (!g_pattern_match_simple(wrongs[i].pattern, err->message))
			g_error("'%s' does not match '%s'", err->message, wrongs[i].pattern);
	}
}

/* --- right ones --- */

static void test_right(void)
{
	static const char *const texts[] = {
		HEAD "</domain>",
		HEAD "<uuid>C7A5FDBDCDAF9455926AD65C16DB1809</uuid></domain>",
		HEAD "<currentMemory unit='kib'>\n 512 \n</currentMemory></domain>",
		HEAD "<vcpu cpuset='1-4,^3,6' current='1'> 2 </vcpu></domain>",
		DEVICES
		"<disk device='cdrom'><target dev='a'/></disk><disk type='block' device='floppy'><target dev='fda'/></disk>" TAIL,
		DEVICES "<interface type='network'><source network='n'/></interface><interface type='ethernet'/>" TAIL,
		"<domain type='xen'><name>a</name><bootloader>/b</bootloader></domain>",
		HEAD "<genid/></domain>",
		HEAD "<clock offset='variable' adjustment='-3600'/></domain>",
		HEAD "<clock offset='localtime' adjustment='reset'/></domain>",
		HEAD "<metadata><x xmlns='urn:x' y='1'>z<name/><name/></x></metadata></domain>",
		DEVICES
		"<disk><source file='relative.img'/><target dev='sda'/><backingStore type='file'><format type='raw'/><source file='/b'/>"
		"<backingStore><format type='qcow2'/><backingStore/></backingStore></backingStore></disk>" TAIL,
		DEVICES
		"<redirfilter><usbdev class='0x08' vendor='-1' product='0xBEEF' version='2.56' allow='yes'/></redirfilter>" TAIL,
		HEAD "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-x'/>"
		     "<qemu:env name='A'/></qemu:commandline></domain>",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		auto_xml xmlDoc *doc = parse(texts[i]);
		g_autoptr(GError) err = NULL;

		schema_check(&schema_domain, doc, true, &err);
		g_assert_no_error(err);
	}
}

/* A snapshot's domain: the whole of it, or nothing but its UUID. */
static void test_snapshot_domain(void)
{
	static const char uuid[] = "<uuid>c7a5fdbd-cdaf-9455-926a-d65c16db1809</uuid>";
	g_autofree char *only = g_strdup_printf("<domainsnapshot><domain>%s</domain></domainsnapshot>", uuid);
	g_autofree char *more = g_strdup_printf("<domainsnapshot><domain>%s<vcpu>1</vcpu></domain></domainsnapshot>",
						uuid);
	auto_xml xmlDoc *good = parse(only), *bad = parse(more),
			*wrong = parse("<domainsnapshot><domain><uuid>1</uuid></domain></domainsnapshot>");

	g_assert_true(schema_check(&schema_snapshot, good, true, NULL));
	g_assert_false(schema_check(&schema_snapshot, bad, false, NULL));
	g_assert_false(schema_check(&schema_snapshot, wrong, false, NULL));
}

static void test_order(void)
{
	auto_xml xmlDoc *doc = parse(
		"<domain id='1' type='kvm' own='x'>"
		"<devices><own/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
		"<!-- the disk --><!-- of the guest --><disk device='disk' type='file'><target bus='virtio' dev='vda'/>"
		"<source file='/a'/></disk><emulator>/e</emulator><disk type='block'><target dev='vdb'/></disk><!-- end --></devices>"
		"<os>\n<boot dev='hd'/><type machine='q35' arch='x86_64'>hvm</type></os><own-too/>"
		"<vcpu>\n 2\n</vcpu><memory unit='KiB'>1024</memory><features> </features><title> a b </title>"
		"<uuid>c7a5fdbd-cdaf-9455-926a-d65c16db1809</uuid><name>a</name></domain>");
	static const char ordered[] = "<domain type='kvm' id='1' own='x'>\n"
				      "  <name>a</name>\n"
				      "  <uuid>c7a5fdbd-cdaf-9455-926a-d65c16db1809</uuid>\n"
				      "  <title> a b </title>\n"
				      "  <memory unit='KiB'>1024</memory>\n"
				      "  <vcpu>2</vcpu>\n"
				      "  <os>\n"
				      "    <type arch='x86_64' machine='q35'>hvm</type>\n"
				      "    <boot dev='hd'/>\n"
				      "  </os>\n"
				      "  <features/>\n"
				      "  <devices>\n"
				      "    <emulator>/e</emulator>\n"
				      "    <!-- the disk -->\n"
				      "    <!-- of the guest -->\n"
				      "    <disk type='file' device='disk'>\n"
				      "      <source file='/a'/>\n"
				      "      <target dev='vda' bus='virtio'/>\n"
				      "    </disk>\n"
				      "    <disk type='block'>\n"
				      "      <target dev='vdb'/>\n"
				      "    </disk>\n"
				      "    <rng model='virtio'>\n"
				      "      <backend model='random'>/dev/urandom</backend>\n"
				      "    </rng>\n"
				      "    <own/>\n"
				      "    <!-- end -->\n"
				      "  </devices>\n"
				      "  <own-too/>\n"
				      "</domain>\n";

	for (unsigned round = 0; round < 2; round++) {
		g_autofree char *text = NULL;

		schema_order(&schema_domain, doc);
		text = xml_format(xmlDocGetRootElement(doc));
		g_assert_cmpstr(text, ==, ordered);
	}
}

/* --- everything a table knows --- */

static const char *const samples[SCHEMA_N_TYPES] = {
	[SCHEMA_EMPTY] = "",
	[SCHEMA_WORD] = "word",
	[SCHEMA_NAME] = "name",
	[SCHEMA_YESNO] = "yes",
	[SCHEMA_ONOFF] = "off",
	[SCHEMA_DOUBLE] = "1.5",
	[SCHEMA_UUID] = "c7a5fdbd-cdaf-9455-926a-d65c16db1809",
	[SCHEMA_MAC] = "52:54:00:12:34:56",
	[SCHEMA_IP] = "fe80::1",
	[SCHEMA_IPV4] = "10.0.0.1",
	[SCHEMA_IPV6] = "::1",
	[SCHEMA_NETMASK] = "255.255.0.0",
	[SCHEMA_PORT] = "80",
	[SCHEMA_PATH] = "/path",
	[SCHEMA_CPUSET] = "0-3,^2",
	[SCHEMA_OPAQUE] = "",
	[SCHEMA_UNIT] = "KiB",
	[SCHEMA_TIME] = "2026-04-09T15:51:00",
};

static char *sample(const struct schema_row *row)
{
	switch (row->type) {
	case SCHEMA_ENUM:
		return g_strndup(row->values, strcspn(row->values, "|"));
	case SCHEMA_INT:
		return g_strdup_printf("%" G_GINT64_FORMAT, (int64_t)row->min);
	case SCHEMA_UINT:
	case SCHEMA_SIZE:
		return g_strdup_printf("%" G_GUINT64_FORMAT, row->max ? row->max : 7);
	case SCHEMA_HEX:
		return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", row->max ? row->max : 7);
	case SCHEMA_TEXT:
		return g_strnfill(row->max ? row->max : 4, 't');
	case SCHEMA_PORT:
		return g_strdup_printf("%" G_GUINT64_FORMAT, row->max ? row->max : 80);
	default:
		return g_strdup(samples[row->type] ? samples[row->type] : "");
	}
}

/*
 * References may lead in a circle: after some of them it ends; images behind images end at once, for they ask for one
 * another.
 */
static void build(xmlNode *node, const struct schema_scope *scope, unsigned depth);

static void build_child(xmlNode *node, const struct schema_place *place, unsigned depth)
{
	const struct schema_item *item = schema_place_item(place);
	struct schema_scope scope = schema_scope_of(place->index, place->item);
	const struct schema_row *row = schema_typed_item(&scope)->row;
	g_autofree char *name = g_strndup(item->name, item->name_len);
	g_autofree char *attribute = g_strdup_printf("@%s", name);
	g_autofree char *value = row ? sample(row) : NULL;
	xmlNode *child;

	if (!item->row || (depth > 3 && scope.n > 1 && !(item->flags & SCHEMA_REQUIRED)))
		return;
	if (depth && (!strcmp(name, "backingStore") || !strcmp(name, "dataStore")))
		return;
	if (item->attribute) {
		xml_set(node, attribute, value);
		return;
	}
	child = xml_add(node, name);
	if (row && row->type != SCHEMA_OPAQUE)
		build(child, &scope, depth + (scope.n > 1));
	if (value && *value)
		xml_set(child, ".", value);
}

static void build(xmlNode *node, const struct schema_scope *scope, unsigned depth)
{
	for (unsigned i = 0; i < scope->n; i++) {
		struct schema_place place = scope->places[i];
		const struct schema_index *index = place.index;

		for (place.item = schema_place_item(&place)->first_child; place.item != SCHEMA_NO_ITEM;
		     place.item = index->items[place.item].next)
			build_child(node, &place, depth);
	}
}

static xmlDoc *build_all(const struct schema *schema)
{
	static const char *const prefixes[] = { "qemu", "lxc", "bhyve", "xen", "vmware", "dnsmasq", "fs", "rbd" };
	xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");
	xmlNode *root = xmlNewDocNode(doc, NULL, (const xmlChar *)schema->root, NULL);
	struct schema_scope scope = schema_scope_of(schema_index(schema), 0);

	xmlDocSetRootElement(doc, root);
	for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) {
		g_autofree char *href = g_strdup_printf("urn:%s", prefixes[i]);

		xmlNewNs(root, (const xmlChar *)href, (const xmlChar *)prefixes[i]);
	}
	build(root, &scope, 0);
	return doc;
}

static void reverse(xmlNode *node)
{
	for (xmlNode *child = node->children ? node->children->next : NULL, *next; child; child = next) {
		next = child->next;
		if (child->type == XML_ELEMENT_NODE && node->children->type == XML_ELEMENT_NODE)
			xmlAddPrevSibling(node->children, child);
	}
	for (xmlAttr *attr = node->properties ? node->properties->next : NULL, *next; attr; attr = next) {
		next = attr->next;
		attr->prev->next = next;
		if (next)
			next->prev = attr->prev;
		attr->prev = NULL;
		attr->next = node->properties;
		node->properties->prev = attr;
		node->properties = attr;
	}
	for (xmlNode *child = xml_child(node); child; child = xml_sibling(child))
		reverse(child);
}

static void test_everything(gconstpointer data)
{
	const struct schema *schema = data;
	auto_xml xmlDoc *doc = build_all(schema);
	xmlNode *root = xmlDocGetRootElement(doc);
	g_autofree char *text = xml_format(root), *reversed = NULL, *ordered = NULL;
	g_autoptr(GError) err = NULL;

	schema_check(schema, doc, true, &err);
	g_assert_no_error(err);
	reverse(root);
	reversed = xml_format(root);
	g_assert_true(strcmp(text, reversed) || schema->kind != XML_DOMAIN);
	schema_order(schema, doc);
	ordered = xml_format(root);
	g_assert_cmpstr(ordered, ==, text);
}

static bool takes_anything(const struct schema_row *row)
{
	return (row->type == SCHEMA_TEXT && !row->max) || row->type == SCHEMA_EMPTY || row->type == SCHEMA_OPAQUE;
}

/* Every value, one after the other, is made wrong. */
static unsigned spoil(const struct schema *schema, xmlNode *node, const struct schema_scope *scope, xmlDoc *doc);

static unsigned spoil_one(const struct schema *schema, xmlNode *node, const char *path, const struct schema_row *row,
			  xmlDoc *doc)
{
	g_autofree char *before = xml_get(node, path);
	g_autoptr(GError) err = NULL;

	if (takes_anything(row))
		return 0;
	xml_set(node, path, "\342\202\254 longer than anything / wrong");
	g_assert_false(schema_check(schema, doc, false, &err));
	g_assert_nonnull(strstr(err->message, "/ wrong' is not "));
	xml_set(node, path, before);
	return 1;
}

static unsigned spoil_attributes(const struct schema *schema, xmlNode *node, const struct schema_scope *scope,
				 xmlDoc *doc)
{
	unsigned n = 0;

	for (xmlAttr *attr = node->properties; attr; attr = attr->next) {
		struct schema_place place = schema_find_child(scope, attr->ns, attr->name, true);
		g_autofree char *path = g_strdup_printf("@%s", (const char *)attr->name);

		if (!schema_place_item(&place)->others)
			n += spoil_one(schema, node, path, schema_place_item(&place)->row, doc);
	}
	return n;
}

static unsigned spoil(const struct schema *schema, xmlNode *node, const struct schema_scope *scope, xmlDoc *doc)
{
	const struct schema_item *item = schema_typed_item(scope);
	unsigned n = spoil_attributes(schema, node, scope, doc);

	if (item->row && !item->others && !xml_child(node))
		n += spoil_one(schema, node, ".", item->row, doc);
	for (xmlNode *child = xml_child(node); child; child = xml_sibling(child)) {
		struct schema_place place = schema_find_child(scope, child->ns, child->name, false);
		struct schema_scope below = schema_scope_of(place.index, place.item);

		n += spoil(schema, child, &below, doc);
	}
	return n;
}

static void test_spoilt(gconstpointer data)
{
	const struct schema *schema = data;
	auto_xml xmlDoc *doc = build_all(schema);
	struct schema_scope scope = schema_scope_of(schema_index(schema), 0);

	g_assert_cmpuint(spoil(schema, xmlDocGetRootElement(doc), &scope, doc), >, 0);
	g_assert_true(schema_check(schema, doc, true, NULL));
}

/*
 * A table's own mistakes: references that lead nowhere, paths whose parent is not described, enumerations without
 * values.
 */
static void test_table(gconstpointer data)
{
	const struct schema *schema = data;
	const struct schema_index *index = schema_index(schema);
	const struct schema_row *row;

	for (size_t i = 0; (row = schema_row_at(schema, i)); i++) {
		g_assert_nonnull(row->help);
		g_assert_true(!g_str_has_suffix(row->help, ".") || g_str_has_suffix(row->help, "..."));
		g_assert_true((row->type == SCHEMA_ENUM || row->type == SCHEMA_REF) == (row->values != NULL));
		if (row->type == SCHEMA_ENUM && row->fallback && !schema_value_fits(row, row->fallback))
			g_error("%s: default %s", row->path, row->fallback);
	}
	for (uint32_t i = 1; i < index->n_items; i++) {
		struct schema_scope scope = schema_scope_of(index, i);

		if (!index->items[i].row)
			g_error("'%.*s' has children but no row", (int)index->items[i].name_len, index->items[i].name);
		if (schema_typed_item(&scope)->row && schema_typed_item(&scope)->row->type == SCHEMA_REF)
			g_error("%s leads nowhere", index->items[i].row->path);
	}
}

/* --- reports --- */

static void test_unsupported(void)
{
	auto_xml xmlDoc *doc = parse(
		DEVICES "<sound model='ac97'/>\n<input type='tablet'/>\n<controller type='usb'/>\n"
			"<disk type='file'><driver cache='none'/><target dev='vda'/></disk><my-own/>" TAIL);
	auto_xml xmlDoc *refused = parse(DEVICES
					 "<sound model='ac97'/>\n<disk type='network'><target dev='vda'/></disk>" TAIL);
	auto_xml xmlDoc *device = parse(DEVICES "<hostdev type='usb'/>" TAIL);
	g_autoptr(GPtrArray) notices = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) err = NULL;

	g_assert_true(schema_unsupported(&schema_domain, doc, notices, &err));
	g_assert_no_error(err);
	g_assert_cmpuint(notices->len, ==, 4);
	g_assert_cmpstr(notices->pdata[0], ==, "unsupported: <sound> (line 6): ignored");
	g_assert_cmpstr(notices->pdata[1], ==, "unsupported: <input> (line 7): ignored");
	g_assert_cmpstr(notices->pdata[2], ==, "unsupported: cache='none' of <driver> (line 9): ignored");
	g_assert_cmpstr(notices->pdata[3], ==, "unsupported: <my-own> (line 9): ignored");
	g_assert_false(schema_unsupported(&schema_domain, refused, notices, &err));
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED);
	g_assert_true(g_str_has_prefix(err->message, "x:7: /domain/devices/disk/@type: 'network' is not supported"));
	g_clear_error(&err);
	g_assert_false(schema_unsupported(&schema_domain, device, notices, &err));
	g_assert_true(g_str_has_prefix(err->message, "x:6: /domain/devices/hostdev: <hostdev> is not supported"));
}

static void test_man(void)
{
	g_autoptr(GString) out = g_string_new(NULL);

	schema_append_man(out, &schema_domain);
	g_assert_nonnull(strstr(out->str, ".TP\n.B on_poweroff\n"));
	g_assert_nonnull(
		strstr(out->str, "Value: one of destroy, restart, preserve, rename\\-restart. Default: destroy."));
	g_assert_nonnull(strstr(
		out->str, ".B devices/hostdev\na device of the host. May be repeated. Kept; a start is refused.\n"));
	for (const char *line = out->str; *line; line = strchr(line, '\n') + 1)
		g_assert_true(*line != '.' || g_str_has_prefix(line, ".TP\n") || g_str_has_prefix(line, ".B "));
}

static void test_roots(void)
{
	g_assert_null(schema_for_root("html", NULL));
	g_assert_null(schema_for_root("interface", "network"));
	g_assert_true(schema_for_root("interface", "bridge") != schema_for_root("interface", "user"));
	g_assert_true(schema_for_root("interface", NULL) == &schema_interface);
	g_assert_true(schema_for_root("domain", "kvm") == &schema_domain);
	for (unsigned i = 0; i < XML_N_KINDS; i++) {
		g_assert_cmpuint(schema_of(i)->kind, ==, i);
		g_assert_true(schema_for_root(schema_of(i)->root, NULL) == schema_of(i));
	}
}

static void add(const char *what, const struct schema *schema, GTestDataFunc run)
{
	g_autofree char *path = g_strdup_printf("/schema/%s/%s", schema->name, what);

	g_test_add_data_func(path, schema, run);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/schema/wrong", test_wrong);
	g_test_add_func("/schema/right", test_right);
	g_test_add_func("/schema/snapshot-domain", test_snapshot_domain);
	g_test_add_func("/schema/order", test_order);
	g_test_add_func("/schema/unsupported", test_unsupported);
	g_test_add_func("/schema/man", test_man);
	g_test_add_func("/schema/roots", test_roots);
	for (unsigned i = 0; i < XML_N_KINDS; i++) {
		add("table", schema_of(i), test_table);
		add("everything", schema_of(i), test_everything);
		add("spoilt", schema_of(i), test_spoilt);
	}
	return g_test_run();
}
