/* SPDX-License-Identifier: GPL-2.0-or-later */
/* <domain>: smart cards, serial and parallel ports, consoles, channels. */
#include "core/model/schema-domain.h"

#define OTHER_BACKENDS "vc|dev|pipe|udp|spicevmc|spiceport|nmdm|qemu-vdagent|dbus|none"
#define BACKENDS "null|pty|unix|tcp|file|stdio|" OTHER_BACKENDS
#define TARGET_TYPES \
	"none|isa-serial|usb-serial|pci-serial|spapr-vio-serial|system-serial|sclp-serial|isa-debug|serial|xen|uml|virtio|lxc|openvz|sclp|sclplm|" \
	"null"

/* Where the other end of a port is. */
#define BACKEND(at) \
	DONE_ENUM(at "/@type", 0, "null|pty|unix|tcp|file|stdio", "pty", "where its other end is"), \
		KEPT_ENUM(at "/@type", 0, OTHER_BACKENDS, NULL, "ends that are not built"), \
		QUIET(at "/@tty", TEXT, 0, "path of the terminal; shown only")

#define BACKEND_REFS(at) \
	DONE_REF(at "/source", SCHEMA_MANY, "devices/serial/source", "the other end"), \
		DONE_REF(at "/protocol", 0, "devices/serial/protocol", "protocol on TCP"), \
		DONE_REF(at "/log", 0, "devices/serial/log", "file that gets a copy of the output")

static const struct schema_row rows[] = {
	KEPT("devices/smartcard", EMPTY, SCHEMA_MANY, "a smart card reader"),
	KEPT_ENUM("devices/smartcard/@mode", SCHEMA_REQUIRED, "host|host-certificates|passthrough", NULL,
		  "what is in it"),
	KEPT_ENUM("devices/smartcard/@type", 0, BACKENDS, NULL, "where its other end is"),
	KEPT_REF("devices/smartcard/source", SCHEMA_MANY, "devices/serial/source", "the other end"),
	KEPT_REF("devices/smartcard/protocol", 0, "devices/serial/protocol", "protocol on TCP"),
	KEPT_REF("devices/smartcard/log", 0, "devices/serial/log", "file that gets a copy"),
	KEPT("devices/smartcard/certificate", TEXT, SCHEMA_MANY, "a certificate's name, three of them"),
	KEPT("devices/smartcard/database", TEXT, 0, "directory of the certificates"),
	KEPT_REF("devices/smartcard/target", 0, "devices/serial/target", "port"),
	DEVICE_INFO("devices/smartcard"),

	DONE("devices/serial", EMPTY, SCHEMA_MANY, "a serial port, the first four COM1 to COM4"),
	BACKEND("devices/serial"),
	DONE("devices/serial/source", EMPTY, SCHEMA_MANY, "the other end"),
	DONE_ENUM("devices/serial/source/@mode", 0, "bind|connect|server|client", NULL,
		  "waits for the peer, or goes to it"),
	DONE("devices/serial/source/@path", TEXT, 0, "path of the file or socket; of a pty it is assigned"),
	DONE("devices/serial/source/@host", TEXT, 0, "TCP: host"),
	DONE("devices/serial/source/@service", TEXT, 0, "TCP: port"),
	KEPT("devices/serial/source/@tls", YESNO, 0, "TCP: encrypted"),
	QUIET("devices/serial/source/@tlsFromConfig", TEXT, 0, "state of the program that runs it"),
	DONE("devices/serial/source/@append", ONOFF, 0, "files are continued"),
	KEPT("devices/serial/source/@channel", TEXT, 0, "name of a SPICE or D-Bus channel"),
	KEPT("devices/serial/source/@master", TEXT, 0, "null modem: own end (FreeBSD)"),
	KEPT("devices/serial/source/@slave", TEXT, 0, "null modem: other end (FreeBSD)"),
	DONE_REF("devices/serial/source/reconnect", 0, "devices/disk/source/reconnect", "connecting again"),
	KEPT_REF("devices/serial/source/seclabel", SCHEMA_MANY, "devices/disk/source/seclabel", "security label"),
	KEPT("devices/serial/source/clipboard", EMPTY, 0, "clipboard of an agent"),
	KEPT("devices/serial/source/clipboard/@copypaste", YESNO, SCHEMA_REQUIRED, "shared"),
	KEPT("devices/serial/source/mouse", EMPTY, 0, "pointer of an agent"),
	KEPT_ENUM("devices/serial/source/mouse/@mode", SCHEMA_REQUIRED, "server|client", NULL, "whose"),
	DONE("devices/serial/protocol", EMPTY, 0, "protocol on TCP"),
	DONE_ENUM("devices/serial/protocol/@type", 0, "raw|telnet", "raw", "protocol"),
	REFUSED_ENUM("devices/serial/protocol/@type", 0, "telnets|tls", NULL, "encrypted protocols"),
	DONE("devices/serial/log", EMPTY, 0, "file that gets a copy of the output"),
	DONE("devices/serial/log/@file", TEXT, SCHEMA_REQUIRED | SCHEMA_NONZERO_LEN, "its path"),
	DONE("devices/serial/log/@append", ONOFF, 0, "it is continued"),
	DONE("devices/serial/target", EMPTY, 0, "port the guest sees"),
	QUIET_ENUM("devices/serial/target/@type", 0, TARGET_TYPES, "isa-serial", "kind"),
	DONE_NUM("devices/serial/target/@port", UINT, 0, 0, INT32_MAX, "number, from 0"),
	QUIET("devices/serial/target/model", EMPTY, 0, "device"),
	QUIET_ENUM(
		"devices/serial/target/model/@name", SCHEMA_REQUIRED,
		"none|isa-serial|usb-serial|pci-serial|spapr-vty|pl011|16550a|sclpconsole|sclplmconsole|isa-debugcon",
		NULL, "name"),
	DEVICE_INFO("devices/serial"),

	KEPT("devices/parallel", EMPTY, SCHEMA_MANY, "a parallel port"),
	BACKEND("devices/parallel"),
	BACKEND_REFS("devices/parallel"),
	KEPT_REF("devices/parallel/target", 0, "devices/serial/target", "port the guest sees"),
	DEVICE_INFO("devices/parallel"),

	DONE("devices/console", EMPTY, SCHEMA_MANY,
	     "a console; the first may be another name of the first serial port"),
	BACKEND("devices/console"),
	BACKEND_REFS("devices/console"),
	DONE("devices/console/target", EMPTY, 0, "port the guest sees"),
	DONE_ENUM("devices/console/target/@type", 0, "serial|virtio", "serial", "serial port or virtio console"),
	KEPT_ENUM("devices/console/target/@type", 0,
		  "none|xen|uml|lxc|openvz|sclp|sclplm|isa-serial|usb-serial|pci-serial|null", NULL,
		  "consoles that are not built"),
	DONE_NUM("devices/console/target/@port", UINT, 0, 0, INT32_MAX, "number, from 0"),
	QUIET_REF("devices/console/target/model", 0, "devices/serial/target/model", "device"),
	DEVICE_INFO("devices/console"),

	DONE("devices/channel", EMPTY, SCHEMA_MANY, "a channel between guest and host"),
	BACKEND("devices/channel"),
	BACKEND_REFS("devices/channel"),
	DONE("devices/channel/target", EMPTY, SCHEMA_REQUIRED, "port the guest sees"),
	DONE_ENUM("devices/channel/target/@type", SCHEMA_REQUIRED, "virtio", NULL, "kind"),
	KEPT_ENUM("devices/channel/target/@type", SCHEMA_REQUIRED, "none|guestfwd|xen", NULL,
		  "kinds that are not built"),
	DONE("devices/channel/target/@name", TEXT, 0, "name in the guest, org.qemu.guest_agent.0"),
	KEPT("devices/channel/target/@address", IP, 0, "guestfwd: address in the guest's network"),
	KEPT("devices/channel/target/@port", PORT, 0, "guestfwd: port"),
	QUIET_ENUM("devices/channel/target/@state", 0, "connected|disconnected", NULL,
		   "the guest has it open; shown only"),
	DEVICE_INFO("devices/channel"),
};

PART(char, rows);
