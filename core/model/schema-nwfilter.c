/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/model/schema-rows.h"

/* Nearly every attribute of a protocol may be a $VARIABLE; core/model/objects-nwfilter.c knows the kinds of value. */
#define A(protocol, attr, help) KEPT("rule/" protocol "/@" attr, TEXT, 0, help)

#define START(p, help) \
	KEPT("rule/" p, EMPTY, SCHEMA_MANY, help), \
		KEPT_OR("rule/" p "/@match", YESNO, 0, "yes", "no: the rule holds for everything else")

#define SOURCE_MAC(p) A(p, "srcmacaddr", "hardware address of the sender")
#define SOURCE_MACS(p) SOURCE_MAC(p), A(p, "srcmacmask", "mask for srcmacaddr")
#define MACS(p) \
	SOURCE_MACS(p), A(p, "dstmacaddr", "hardware address of the receiver"), \
		A(p, "dstmacmask", "mask for dstmacaddr")
#define IPS(p) \
	A(p, "srcipaddr", "IP address of the sender"), A(p, "srcipmask", "mask for srcipaddr, or its length"), \
		A(p, "dstipaddr", "IP address of the receiver"), \
		A(p, "dstipmask", "mask for dstipaddr, or its length")
#define PORTS(p) \
	A(p, "srcportstart", "first port of the sender"), A(p, "srcportend", "last port of the sender"), \
		A(p, "dstportstart", "first port of the receiver"), A(p, "dstportend", "last port of the receiver")
#define RANGES(p) \
	A(p, "srcipfrom", "first address of the sender"), A(p, "srcipto", "last address of the sender"), \
		A(p, "dstipfrom", "first address of the receiver"), A(p, "dstipto", "last address of the receiver"), \
		A(p, "dscp", "differentiated services code point, 0 to 63"), \
		A(p, "connlimit-above", "the rule holds beyond this number of connections")
#define STATES(p) \
	A(p, "state", "NEW, ESTABLISHED, RELATED, INVALID with commas; or NONE"), \
		A(p, "ipset", "name of an IP set of the host"), \
		A(p, "ipsetflags", "src and dst, up to six with commas")
#define END(p) A(p, "comment", "up to 256 characters, kept with the rule")

#define ARP(p, help) \
	START(p, help), MACS(p), A(p, "hwtype", "hardware type"), A(p, "protocoltype", "protocol type"), \
		A(p, "opcode", "a number, or Request, Reply, Request_Reverse, ..."), \
		A(p, "arpsrcmacaddr", "hardware address of the sender in the packet"), \
		A(p, "arpdstmacaddr", "hardware address of the receiver in the packet"), \
		A(p, "arpsrcipaddr", "IP address of the sender in the packet"), \
		A(p, "arpsrcipmask", "mask for arpsrcipaddr"), \
		A(p, "arpdstipaddr", "IP address of the receiver in the packet"), \
		A(p, "arpdstipmask", "mask for arpdstipaddr"), \
		A(p, "gratuitous", "yes: announcements of the sender's own address"), END(p)
#define LAYER4(p, help) \
	START(p, help), SOURCE_MACS(p), A(p, "dstmacaddr", "hardware address of the receiver"), IPS(p), RANGES(p)
#define PORTED(p, help) LAYER4(p, help), STATES(p), PORTS(p), END(p)
#define PLAIN(p, help) LAYER4(p, help), STATES(p), END(p)
#define TCP(p, help) \
	LAYER4(p, help), STATES(p), PORTS(p), A(p, "flags", "MASK/FLAGS of SYN, ACK, URG, PSH, FIN, RST, ALL, NONE"), \
		END(p)
#define ICMP(p, help) LAYER4(p, help), A(p, "type", "ICMP type"), A(p, "code", "ICMP code"), STATES(p), END(p)

static const struct schema_row rows[] = {
	DONE(".", EMPTY, 0, "a filter for the traffic of guest interfaces"),
	DONE("@name", NAME, SCHEMA_REQUIRED, "name of the filter"),
	KEPT_OR("@chain", TEXT, 0, "root", "root, or a name that starts with mac, stp, vlan, arp, rarp, ipv4 or ipv6"),
	KEPT_NUM("@priority", INT, 0, (uint64_t)-1000, 1000,
		 "order among the chains, lowest first; by chain when missing"),
	DONE("uuid", UUID, 0, "assigned when missing"),
	REFUSED("filterref", EMPTY, SCHEMA_MANY, "includes another filter"),
	KEPT("filterref/@filter", NAME, SCHEMA_REQUIRED, "its name"),
	KEPT("filterref/parameter", EMPTY, SCHEMA_MANY, "value of a variable; repeated: a list"),
	KEPT("filterref/parameter/@name", WORD, SCHEMA_REQUIRED, "letters, digits and '_'"),
	KEPT("filterref/parameter/@value", WORD, SCHEMA_REQUIRED, "letters, digits, '_', '.' and ':'"),
	REFUSED("rule", EMPTY, SCHEMA_MANY, "what happens to packets that match"),
	KEPT_ENUM("rule/@action", SCHEMA_REQUIRED, "drop|accept|reject|return|continue", NULL, "what happens"),
	KEPT_ENUM("rule/@direction", SCHEMA_REQUIRED, "in|out|inout", NULL, "as the guest sees it"),
	KEPT_NUM("rule/@priority", INT, 0, (uint64_t)-1000, 1000,
		 "order among the rules, lowest first; 500 when missing"),
	KEPT_OR("rule/@statematch", TEXT, 0, "true", "0 or false: connections are not tracked for this rule"),

	START("mac", "any frame"),
	MACS("mac"),
	A("mac", "protocolid", "0x600 to 0xffff, or arp, rarp, ipv4, ipv6, vlan"),
	END("mac"),
	START("vlan", "frames with a VLAN tag"),
	MACS("vlan"),
	A("vlan", "vlanid", "number of the VLAN, 0 to 4095"),
	A("vlan", "vlan-id", "another spelling of vlanid"),
	A("vlan", "encap-protocol", "protocol inside: a number, or arp, ipv4, ipv6"),
	END("vlan"),

	START("stp", "spanning tree"),
	SOURCE_MACS("stp"),
	A("stp", "type", "type of the message"),
	A("stp", "flags", "flags"),
	A("stp", "root-priority", "priority of the root"),
	A("stp", "root-priority-hi", "end of its range"),
	A("stp", "root-address", "hardware address of the root"),
	A("stp", "root-address-mask", "mask for it"),
	A("stp", "root-cost", "cost to the root"),
	A("stp", "root-cost-hi", "end of its range"),
	A("stp", "sender-priority", "priority of the sender"),
	A("stp", "sender-priority-hi", "end of its range"),
	A("stp", "sender-address", "hardware address of the sender"),
	A("stp", "sender-address-mask", "mask for it"),
	A("stp", "port", "port number"),
	A("stp", "port-hi", "end of its range"),
	A("stp", "port_hi", "another spelling of port-hi"),
	A("stp", "age", "age of the message"),
	A("stp", "age-hi", "end of its range"),
	A("stp", "msg-age", "another spelling of age"),
	A("stp", "msg-age-hi", "another spelling of age-hi"),
	A("stp", "max-age", "oldest age"),
	A("stp", "max-age-hi", "end of its range"),
	A("stp", "hello-time", "interval of messages"),
	A("stp", "hello-time-hi", "end of its range"),
	A("stp", "forward-delay", "delay before forwarding"),
	A("stp", "forward-delay-hi", "end of its range"),
	END("stp"),

	ARP("arp", "ARP"),
	ARP("rarp", "reverse ARP"),
	START("ip", "IPv4"),
	MACS("ip"),
	IPS("ip"),
	A("ip", "protocol", "number or name of the protocol inside"),
	PORTS("ip"),
	A("ip", "dscp", "differentiated services code point, 0 to 63"),
	END("ip"),
	START("ipv6", "IPv6"),
	MACS("ipv6"),
	IPS("ipv6"),
	A("ipv6", "protocol", "number or name of the protocol inside"),
	PORTS("ipv6"),
	A("ipv6", "type", "first ICMPv6 type"),
	A("ipv6", "typeend", "last ICMPv6 type"),
	A("ipv6", "code", "first ICMPv6 code"),
	A("ipv6", "codeend", "last ICMPv6 code"),
	END("ipv6"),

	TCP("tcp", "TCP over IPv4"),
	PORTED("udp", "UDP over IPv4"),
	PORTED("sctp", "SCTP over IPv4"),
	ICMP("icmp", "ICMP"),
	PLAIN("igmp", "IGMP"),
	PLAIN("all", "everything over IPv4"),
	PLAIN("esp", "ESP over IPv4"),
	PLAIN("ah", "AH over IPv4"),
	PLAIN("udplite", "UDP-Lite over IPv4"),
	TCP("tcp-ipv6", "TCP over IPv6"),
	PORTED("udp-ipv6", "UDP over IPv6"),
	PORTED("sctp-ipv6", "SCTP over IPv6"),
	ICMP("icmpv6", "ICMPv6"),
	PLAIN("igmp-ipv6", "IGMP over IPv6"),
	PLAIN("all-ipv6", "everything over IPv6"),
	PLAIN("esp-ipv6", "ESP over IPv6"),
	PLAIN("ah-ipv6", "AH over IPv6"),
	PLAIN("udplite-ipv6", "UDP-Lite over IPv6"),
};

const struct schema schema_nwfilter = {
	.kind = XML_NWFILTER,
	.root = "filter",
	.name = "nwfilter",
	.rows = rows,
	.n_rows = G_N_ELEMENTS(rows),
};

static const struct schema_row binding_rows[] = {
	DONE(".", EMPTY, 0, "a filter bound to an interface of the host"),
	KEPT("owner", EMPTY, SCHEMA_REQUIRED, "the domain"),
	KEPT("owner/name", TEXT, SCHEMA_REQUIRED, "its name"),
	KEPT("owner/uuid", UUID, SCHEMA_REQUIRED, "its UUID"),
	KEPT("portdev", EMPTY, SCHEMA_REQUIRED, "the host's end of the guest interface"),
	KEPT("portdev/@name", WORD, SCHEMA_REQUIRED, "its name"),
	KEPT("linkdev", EMPTY, 0, "the host interface behind it"),
	KEPT("linkdev/@name", WORD, SCHEMA_REQUIRED, "its name"),
	KEPT("mac", EMPTY, SCHEMA_REQUIRED, "the guest interface"),
	KEPT("mac/@address", MAC, SCHEMA_REQUIRED, "its hardware address"),
	REFUSED_REF("filterref", SCHEMA_REQUIRED, "nwfilter:filterref", "the filter"),
};

const struct schema schema_nwfilter_binding = {
	.kind = XML_NWFILTER_BINDING,
	.root = "filterbinding",
	.name = "nwfilter-binding",
	.rows = binding_rows,
	.n_rows = G_N_ELEMENTS(binding_rows),
};
