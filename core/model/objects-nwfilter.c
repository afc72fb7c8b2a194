/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network filters: the kinds of value their attributes have. Nearly every value may be a $VARIABLE. */
#include <string.h>

#include "core/model/ip-address.h"
#include "core/model/objects-steps.h"
#include "core/model/xml.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

enum value_kind {
	VALUE_MAC,
	VALUE_IP,
	VALUE_IP_MASK,
	VALUE_UINT8,
	VALUE_UINT16,
	VALUE_UINT32,
	VALUE_DSCP,
	VALUE_VLAN,
	VALUE_ETHER_TYPE,
	VALUE_PROTOCOL,
	VALUE_OPCODE,
	VALUE_BOOL,
	VALUE_STATES,
	VALUE_TCP_FLAGS,
	VALUE_IPSET,
	VALUE_IPSET_FLAGS,
	VALUE_COMMENT,
	N_VALUE_KINDS
};

/* By protocol (NULL: any) and attribute; the first row counts. */
static const struct attribute {
	const char *protocol, *name;
	enum value_kind kind;
} attributes[] = {
	{ "tcp", "flags", VALUE_TCP_FLAGS },
	{ "tcp-ipv6", "flags", VALUE_TCP_FLAGS },
	{ NULL, "flags", VALUE_UINT8 },
	{ NULL, "srcmacaddr", VALUE_MAC },
	{ NULL, "srcmacmask", VALUE_MAC },
	{ NULL, "dstmacaddr", VALUE_MAC },
	{ NULL, "dstmacmask", VALUE_MAC },
	{ NULL, "arpsrcmacaddr", VALUE_MAC },
	{ NULL, "arpdstmacaddr", VALUE_MAC },
	{ NULL, "root-address", VALUE_MAC },
	{ NULL, "root-address-mask", VALUE_MAC },
	{ NULL, "sender-address", VALUE_MAC },
	{ NULL, "sender-address-mask", VALUE_MAC },
	{ NULL, "srcipaddr", VALUE_IP },
	{ NULL, "dstipaddr", VALUE_IP },
	{ NULL, "srcipfrom", VALUE_IP },
	{ NULL, "srcipto", VALUE_IP },
	{ NULL, "dstipfrom", VALUE_IP },
	{ NULL, "dstipto", VALUE_IP },
	{ NULL, "arpsrcipaddr", VALUE_IP },
	{ NULL, "arpdstipaddr", VALUE_IP },
	{ NULL, "srcipmask", VALUE_IP_MASK },
	{ NULL, "dstipmask", VALUE_IP_MASK },
	{ NULL, "arpsrcipmask", VALUE_IP_MASK },
	{ NULL, "arpdstipmask", VALUE_IP_MASK },
	{ NULL, "srcportstart", VALUE_UINT16 },
	{ NULL, "srcportend", VALUE_UINT16 },
	{ NULL, "dstportstart", VALUE_UINT16 },
	{ NULL, "dstportend", VALUE_UINT16 },
	{ NULL, "connlimit-above", VALUE_UINT16 },
	{ NULL, "dscp", VALUE_DSCP },
	{ NULL, "type", VALUE_UINT8 },
	{ NULL, "typeend", VALUE_UINT8 },
	{ NULL, "code", VALUE_UINT8 },
	{ NULL, "codeend", VALUE_UINT8 },
	{ NULL, "hwtype", VALUE_UINT16 },
	{ NULL, "protocoltype", VALUE_UINT16 },
	{ NULL, "opcode", VALUE_OPCODE },
	{ NULL, "gratuitous", VALUE_BOOL },
	{ NULL, "protocol", VALUE_PROTOCOL },
	{ NULL, "protocolid", VALUE_ETHER_TYPE },
	{ NULL, "encap-protocol", VALUE_ETHER_TYPE },
	{ NULL, "vlanid", VALUE_VLAN },
	{ NULL, "root-cost", VALUE_UINT32 },
	{ NULL, "root-cost-hi", VALUE_UINT32 },
	{ NULL, "root-priority", VALUE_UINT16 },
	{ NULL, "root-priority-hi", VALUE_UINT16 },
	{ NULL, "sender-priority", VALUE_UINT16 },
	{ NULL, "sender-priority-hi", VALUE_UINT16 },
	{ NULL, "port", VALUE_UINT16 },
	{ NULL, "port-hi", VALUE_UINT16 },
	{ NULL, "age", VALUE_UINT16 },
	{ NULL, "age-hi", VALUE_UINT16 },
	{ NULL, "max-age", VALUE_UINT16 },
	{ NULL, "max-age-hi", VALUE_UINT16 },
	{ NULL, "hello-time", VALUE_UINT16 },
	{ NULL, "hello-time-hi", VALUE_UINT16 },
	{ NULL, "forward-delay", VALUE_UINT16 },
	{ NULL, "forward-delay-hi", VALUE_UINT16 },
	{ NULL, "state", VALUE_STATES },
	{ NULL, "ipset", VALUE_IPSET },
	{ NULL, "ipsetflags", VALUE_IPSET_FLAGS },
	{ NULL, "comment", VALUE_COMMENT },
};

/* "$NAME", "$NAME[1]", "$NAME[@1]". */
static bool is_variable(const char *text)
{
	size_t len;

	if (*text++ != '$')
		return false;
	text += strspn(text, " ");
	len = strspn(text, ALNUM "_");
	text += len;
	if (!len)
		return false;
	if (*text == '[') {
		text += 1 + strspn(text + 1, " ");
		text += *text == '@';
		len = strspn(text, "0123456789");
		text += len + strspn(text + len, " ");
		if (!len || *text++ != ']')
			return false;
	}
	return !text[strspn(text, " ")];
}

static bool is_number(const char *text, uint64_t min, uint64_t max)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	uint64_t value;

	return g_ascii_string_to_unsigned(hex ? text + 2 : text, hex ? 16 : 10, min, max, &value, NULL);
}

static bool is_mac(const char *text, bool six)
{
	g_auto(GStrv) parts = g_strsplit(text, ":", 0);

	(void)six;
	if (g_strv_length(parts) != 6)
		return false;
	for (unsigned i = 0; i < 6; i++) {
		size_t len = strlen(parts[i]);

		if (len < 1 || len > 2 || !object_made_of(parts[i], "0123456789abcdefABCDEF"))
			return false;
	}
	return true;
}

/* Leading zeros are taken, as in 010.001.002.003. */
static bool is_ip(const char *text, bool six)
{
	GString *plain = g_string_new(NULL);
	struct ip_address ip;
	bool ok;

	for (const char *p = text; *p; p++) {
		bool first = p == text || p[-1] == '.';

		if (six || !first) {
			g_string_append_c(plain, *p);
			continue;
		}
		while (*p == '0' && g_ascii_isdigit(p[1]))
			p++;
		g_string_append_c(plain, *p);
	}
	ok = ip_parse(&ip, plain->str) && (ip.len == 16) == six;
	g_string_free(plain, TRUE);
	return ok;
}

static bool is_ip_mask(const char *text, bool six)
{
	struct ip_address mask;

	if (is_number(text, 0, six ? 128 : 32))
		return true;
	return is_ip(text, six) && ip_parse(&mask, text) && ip_mask_prefix(&mask) >= 0;
}

/* Words of the list with commas between, up to max of them. */
static bool is_words(const char *text, const char *list, unsigned max)
{
	g_auto(GStrv) words = g_strsplit(text, ",", 0);

	if (!words[0] || g_strv_length(words) > max)
		return false;
	for (char **word = words; *word; word++) {
		if (!object_in_list(g_strstrip(*word), list))
			return false;
	}
	return true;
}

static bool is_states(const char *text, bool six)
{
	(void)six;
	return is_words(text, "NEW|ESTABLISHED|RELATED|INVALID", 4);
}

static bool is_tcp_flags(const char *text, bool six)
{
	g_auto(GStrv) halves = g_strsplit(text, "/", 0);

	(void)six;
	if (g_strv_length(halves) != 2)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		if (!object_in_list(halves[i], "ALL|NONE") && !is_words(halves[i], "SYN|ACK|URG|PSH|FIN|RST", 6))
			return false;
	}
	return true;
}

static bool is_opcode(const char *text, bool six)
{
	g_autofree char *lower = g_ascii_strdown(text, -1);

	(void)six;
	return object_in_list(lower,
			      "reply|request|request_reverse|reply_reverse|drarp_request|drarp_reply|drarp_error|"
			      "inarp_request|arp_nak");
}

static bool is_ipset(const char *text, bool six)
{
	(void)six;
	return *text && strlen(text) <= 31 && object_made_of(text, ALNUM "_.:-+ ");
}

static bool is_ipset_flags(const char *text, bool six)
{
	g_autofree char *lower = g_ascii_strdown(text, -1);

	(void)six;
	return is_words(lower, "src|dst", 6);
}

static bool is_comment(const char *text, bool six)
{
	(void)six;
	return strlen(text) <= 256;
}

#define OPCODES \
	"Request, Reply, Request_Reverse, Reply_Reverse, DRARP_Request, DRARP_Reply, DRARP_Error, " \
	"InARP_Request, ARP_NAK"

/* A value is a number of the range, or one of the words, or what the function takes. */
static const struct {
	const char *what;
	uint64_t min, max;
	const char *words;
	bool (*fits)(const char *text, bool six);
	bool no_variable;
} kinds[N_VALUE_KINDS] = {
	[VALUE_MAC] = { "a MAC address or mask", .fits = is_mac },
	[VALUE_IP] = { "an address of the protocol's family", .fits = is_ip },
	[VALUE_IP_MASK] = { "a mask of the protocol's family, or its length", .fits = is_ip_mask },
	[VALUE_UINT8] = { "a number from 0 to 255", .max = 255 },
	[VALUE_UINT16] = { "a number from 0 to 65535", .max = 65535 },
	[VALUE_UINT32] = { "a number from 0 to 4294967295", .max = UINT32_MAX },
	[VALUE_DSCP] = { "a number from 0 to 63", .max = 63 },
	[VALUE_VLAN] = { "a number from 0 to 4095", .max = 4095 },
	[VALUE_ETHER_TYPE] = { "a number from 0x600 to 0xffff, or one of arp, rarp, ipv4, ipv6, vlan", .min = 0x600,
			       .max = 0xffff, .words = "arp|rarp|ipv4|ipv6|vlan" },
	[VALUE_PROTOCOL] = { "a number from 0 to 255, or one of tcp, udp, udplite, esp, ah, icmp, igmp, sctp, icmpv6",
			     .max = 255, .words = "tcp|udp|udplite|esp|ah|icmp|igmp|sctp|icmpv6" },
	[VALUE_OPCODE] = { "a number from 0 to 65535, or one of " OPCODES, .max = 65535, .fits = is_opcode },
	[VALUE_BOOL] = { "yes, no, true, false, 1 or 0", .words = "yes|no|true|false|1|0", .no_variable = true },
	[VALUE_STATES] = { "NONE, or NEW, ESTABLISHED, RELATED, INVALID with commas between", .words = "NONE",
			   .fits = is_states, .no_variable = true },
	[VALUE_TCP_FLAGS] = { "MASK/FLAGS, each ALL, NONE, or SYN, ACK, URG, PSH, FIN, RST with commas between",
			      .fits = is_tcp_flags, .no_variable = true },
	[VALUE_IPSET] = { "a name of 1 to 31 letters, digits and _.:-+ or blanks", .fits = is_ipset },
	[VALUE_IPSET_FLAGS] = { "one to six of src and dst with commas between", .fits = is_ipset_flags },
	[VALUE_COMMENT] = { "at most 256 bytes", .fits = is_comment, .no_variable = true },
};

static bool fits(enum value_kind kind, const char *text, bool six)
{
	if (kinds[kind].max && is_number(text, kinds[kind].min, kinds[kind].max))
		return true;
	if (kinds[kind].words && object_in_list(text, kinds[kind].words))
		return true;
	return (kinds[kind].fits && kinds[kind].fits(text, six)) || (!kinds[kind].no_variable && is_variable(text));
}

static bool is_six(const char *protocol)
{
	return !strcmp(protocol, "ipv6") || !strcmp(protocol, "icmpv6") || g_str_has_suffix(protocol, "-ipv6");
}

static const struct attribute *find_attribute(const char *protocol, const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
		const struct attribute *a = &attributes[i];

		if (!strcmp(a->name, name) && (!a->protocol || !strcmp(a->protocol, protocol)))
			return a;
	}
	return NULL;
}

static bool check_attribute(xmlNode *node, const char *name, GError **err)
{
	const char *protocol = (const char *)node->name;
	const struct attribute *a = find_attribute(protocol, name);
	g_autofree char *path = g_strconcat("@", name, NULL);
	g_autofree char *text = xml_get(node, path);

	if (!a || fits(a->kind, text, is_six(protocol)))
		return true;
	return fail_xml(err, node, name, "'%s' is not %s%s", text, kinds[a->kind].what,
			*text == '$' ? "; variables are $NAME, $NAME[1] and $NAME[@1]" : "");
}

/* A range that ends below its start. */
static bool check_ports(xmlNode *node, const char *start, const char *end, GError **err)
{
	g_autofree char *start_path = g_strconcat("@", start, NULL);
	g_autofree char *end_path = g_strconcat("@", end, NULL);
	uint64_t first, last;

	if (xml_get_uint(node, start_path, &first) && xml_get_uint(node, end_path, &last) && last < first)
		return fail_xml(err, node, end, "below %s", start);
	return true;
}

static bool check_protocol(xmlNode *node, GError **err)
{
	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		if (!attr->ns && !check_attribute(node, (const char *)attr->name, err))
			return false;
	}
	if (object_has(node, "@ipset") != object_has(node, "@ipsetflags"))
		return fail_xml(err, node, NULL, "ipset and ipsetflags go together");
	return check_ports(node, "srcportstart", "srcportend", err) &&
	       check_ports(node, "dstportstart", "dstportend", err);
}

static bool check_parameters(xmlNode *reference, GError **err)
{
	for (xmlNode *node = xml_first(reference, "parameter"); node; node = xml_next(node)) {
		g_autofree char *name = xml_get(node, "@name");
		g_autofree char *value = xml_get(node, "@value");

		if (!object_made_of(name, ALNUM "_"))
			return fail_xml(err, node, "name", "'%s' is not made of letters, digits and '_'", name);
		if (!object_made_of(value, ALNUM "_.:"))
			return fail_xml(err, node, "value", "'%s' is not made of letters, digits and _ . :", value);
	}
	return true;
}

static bool check_chain(xmlNode *root, GError **err)
{
	static const char *const prefixes[] = { "mac", "stp", "vlan", "arp", "rarp", "ipv4", "ipv6" };
	g_autofree char *chain = xml_get(root, "@chain");

	if (!strcmp(chain, "root"))
		return true;
	for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) {
		if (g_str_has_prefix(chain, prefixes[i]) && strlen(chain) <= 12 && object_made_of(chain, ALNUM "_.:-"))
			return true;
	}
	return fail_xml(err, root, "chain",
			"'%s' is not root or a name of at most 12 letters, digits and _.:- that starts with mac, stp, "
			"vlan, arp, rarp, ipv4 or ipv6",
			chain);
}

static bool check_rule(xmlNode *rule, GError **err)
{
	g_autofree char *match = xml_get(rule, "@statematch");

	if (match && g_ascii_strcasecmp(match, "false") && g_ascii_strcasecmp(match, "true") && strcmp(match, "0") &&
	    strcmp(match, "1"))
		return fail_xml(err, rule, "statematch", "'%s' is not false, true, 0 or 1", match);
	for (xmlNode *node = xml_child(rule); node; node = xml_sibling(node)) {
		if (!node->ns && !check_protocol(node, err))
			return false;
	}
	return true;
}

static bool check(xmlNode *root, GError **err)
{
	g_autofree char *name = xml_get(root, "@name");

	if (!check_chain(root, err))
		return false;
	for (xmlNode *node = xml_child(root); node; node = xml_sibling(node)) {
		if (!strcmp((const char *)node->name, "filterref")) {
			if (xml_is(node, "@filter", name))
				return fail_xml(err, node, "filter", "a filter does not include itself");
			if (!check_parameters(node, err))
				return false;
		} else if (!strcmp((const char *)node->name, "rule") && !check_rule(node, err)) {
			return false;
		}
	}
	return true;
}

/* --- fill --- */

static const struct {
	const char *protocol, *other, *name;
} spellings[] = {
	{ "vlan", "@vlan-id", "@vlanid" },
	{ "stp", "@port_hi", "@port-hi" },
	{ "stp", "@msg-age", "@age" },
	{ "stp", "@msg-age-hi", "@age-hi" },
};

/* "$A[ @0 ]" is "$A". */
static char *plain_variable(const char *text)
{
	GString *out = g_string_new(NULL);

	for (; *text; text++) {
		if (*text != ' ')
			g_string_append_c(out, *text);
	}
	if (g_str_has_suffix(out->str, "[@0]"))
		g_string_truncate(out, out->len - strlen("[@0]"));
	return g_string_free(out, FALSE);
}

/* A mask becomes the length of its prefix. */
static void fill_mask(xmlNode *node, const char *path, const char *text)
{
	struct ip_address mask;

	if (!is_number(text, 0, 128) && ip_parse(&mask, text) && ip_mask_prefix(&mask) >= 0)
		xml_setf(node, path, "%d", ip_mask_prefix(&mask));
}

static void fill_attribute(xmlNode *node, const char *name)
{
	const struct attribute *a = find_attribute((const char *)node->name, name);
	g_autofree char *path = g_strconcat("@", name, NULL);
	g_autofree char *text = xml_get(node, path);
	g_autofree char *plain = NULL;

	if (!a || a->kind == VALUE_COMMENT)
		return;
	if (is_variable(text)) {
		plain = plain_variable(text);
		xml_set(node, path, plain);
	} else if (a->kind == VALUE_MAC && is_mac(text, false)) {
		object_fill_mac(node, path, false);
	} else if (a->kind == VALUE_IP_MASK) {
		fill_mask(node, path, text);
	} else if (a->kind == VALUE_IPSET_FLAGS) {
		plain = g_ascii_strdown(text, -1);
		xml_set(node, path, plain);
	}
}

static void fill_protocol(xmlNode *node)
{
	const xmlAttr *next;

	for (const xmlAttr *attr = node->properties; attr; attr = next) {
		next = attr->next;
		if (!attr->ns)
			fill_attribute(node, (const char *)attr->name);
	}
}

static void fill_rule(xmlNode *rule)
{
	g_autofree char *match = xml_get(rule, "@statematch");

	object_default(rule, "@priority", "500");
	if (match && (!g_ascii_strcasecmp(match, "false") || !strcmp(match, "0")))
		xml_set(rule, "@statematch", "false");
	else if (match && (!g_ascii_strcasecmp(match, "true") || !strcmp(match, "1")))
		xml_set(rule, "@statematch", NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(spellings); i++) {
		for (xmlNode *node = xml_first(rule, spellings[i].protocol); node; node = xml_next(node)) {
			g_autofree char *value = xml_get(node, spellings[i].other);

			if (value)
				object_default(node, spellings[i].name, value);
			object_drop(node, spellings[i].other);
		}
	}
	for (xmlNode *node = xml_child(rule); node; node = xml_sibling(node))
		fill_protocol(node);
}

static void fill(xmlNode *root, unsigned flags)
{
	(void)flags;
	object_fill_uuid(root, "uuid", true);
	object_default(root, "@chain", "root");
	for (xmlNode *rule = xml_first(root, "rule"); rule; rule = xml_next(rule))
		fill_rule(rule);
}

const struct object_class object_nwfilter = {
	.fill = fill,
	.check = check,
	.name = "@name",
	.uuid = "uuid",
	.keep_order = true, /* of rules and references with equal priority */
};

/* --- bindings --- */

static void fill_binding(xmlNode *root, unsigned flags)
{
	(void)flags;
	object_fill_uuid(root, "owner/uuid", false);
	object_fill_mac(root, "mac/@address", false);
}

static bool check_binding(xmlNode *root, GError **err)
{
	return check_parameters(xml_find(root, "filterref"), err);
}

const struct object_class object_nwfilter_binding = { .fill = fill_binding,
						      .check = check_binding,
						      .name = "portdev/@name" };
