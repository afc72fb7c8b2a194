/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU command lines to definitions and back. */
#include <string.h>

#include "core/base/error.h"
#include "core/model/domain.h"

static const struct {
	const char *name, *line, *says;
} refusals[] = {
	{ "quotes", "qemu-system-x86_64 -name 'a", "not a command line" },
	{ "no-value", "qemu-system-x86_64 -m", "-m needs a value" },
	{ "memory", "qemu-system-x86_64 -m lots", "-m: " },
	{ "smp", "qemu-system-x86_64 -smp 2,cores=0", "cores is not between" },
	{ "smp-product", "qemu-system-x86_64 -m 64 -smp 3,sockets=2,cores=2,threads=1", "make 4 vCPUs" },
	{ "boot", "qemu-system-x86_64 -boot x", "no device 'x'" },
	{ "drive-if", "qemu-system-x86_64 -drive file=/a,if=tape", "if=tape" },
	{ "drive-no-id", "qemu-system-x86_64 -drive file=/a,if=none", "needs an id" },
	{ "drive-index", "qemu-system-x86_64 -drive file=/a,index=-1", "index=-1" },
	{ "drive-twice", "qemu-system-x86_64 -hda /a -drive file=/b,index=0", "two drives are at index 0" },
	{ "device-drive", "qemu-system-x86_64 -device virtio-blk-pci,drive=d", "no -drive with the id 'd'" },
	{ "device-netdev", "qemu-system-x86_64 -device virtio-net-pci,netdev=n", "no -netdev with the id 'n'" },
	{ "device-chardev", "qemu-system-x86_64 -device isa-serial,chardev=c", "no -chardev with the id 'c'" },
	{ "vnc", "qemu-system-x86_64 -vnc :x", "not a display number" },
	{ "vfio", "qemu-system-x86_64 -device vfio-pci,host=zz", "not a PCI address" },
	{ "help", "qemu-system-x86_64 -machine help", "asks for help" },
	{ "version", "qemu-system-x86_64 -version", "asks for help or a version" },
	{ "numa", "qemu-system-x86_64 -numa node,mem=x", "'x' is not a size" },
	{ "serial", "qemu-system-x86_64 -serial nowhere", "not a character device" },
};

static void test_refusals(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
		g_autoptr(GError) err = NULL;
		autoptr(domain) domain = domain_from_argv(refusals[i].line, &err);

		if (domain)
			g_error("%s: accepted", refusals[i].name);
		g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
		if (!strstr(err->message, refusals[i].says))
			g_error("%s: says '%s', not '%s'", refusals[i].name, err->message, refusals[i].says);
	}
}

static struct domain *from(const char *line)
{
	g_autoptr(GError) err = NULL;
	struct domain *domain = domain_from_argv(line, &err);

	g_assert_no_error(err);
	return domain;
}

static const struct {
	const char *line, *path, *value; /* value NULL: the element is there */
} cases[] = {
	{ "qemu-system-x86_64 -name 'two words' -m 1", "name", "two words" },
	{ "qemu-system-x86_64 -name guest=g,,x,debug-threads=on", "name", "g,x" },
	{ "qemu-system-x86_64 -uuid 6f1b3c1e-6a5d-4d0a-9c0e-0a4d2f6b7c01", "uuid",
	  "6f1b3c1e-6a5d-4d0a-9c0e-0a4d2f6b7c01" },
	{ "qemu-system-x86_64 -m 768", "memory", "786432" },
	{ "qemu-system-x86_64 -m size=2G,slots=2,maxmem=4G", "maxMemory", "4194304" },
	{ "qemu-system-x86_64 -smp 2,maxcpus=4", "vcpu", "4" },
	{ "qemu-system-x86_64 -smp 2,maxcpus=4", "vcpu/@current", "2" },
	{ "qemu-system-x86_64 -smp 8,cores=2,threads=2", "cpu/topology/@sockets", "2" },
	{ "qemu-system-x86_64 -cpu host", "cpu/@mode", "host-passthrough" },
	{ "qemu-system-x86_64 -cpu kvm64,+vmx,hle=off", "cpu/model", "kvm64" },
	{ "qemu-system-x86_64 -cpu kvm64,+vmx,hle=off", "cpu/feature/@name", "vmx" },
	{ "qemu-kvm", "@type", "kvm" },
	{ "qemu-system-x86_64 -enable-kvm", "@type", "kvm" },
	{ "qemu-system-x86_64 -accel tcg", "@type", "qemu" },
	{ "qemu-system-x86_64 -machine type=q35,accel=kvm:tcg", "@type", "kvm" },
	{ "qemu-system-i386 -M pc-i440fx-2.7", "os/type/@machine", "pc-i440fx-2.7" },
	{ "qemu-system-i386", "os/type/@arch", "i686" },
	{ "qemu-system-x86_64 -kernel /k -initrd /i -append \"a b=c\"", "os/cmdline", "a b=c" },
	{ "qemu-system-x86_64 -kernel /k -initrd /i", "os/initrd", "/i" },
	{ "qemu-system-x86_64 -bios /b", "os/loader", "/b" },
	{ "qemu-system-x86_64 -drive file=/c,if=pflash,format=raw,readonly=on -drive file=/v,if=pflash", "os/nvram",
	  "/v" },
	{ "qemu-system-x86_64 -boot order=nc,menu=on", "os/boot/@dev", "network" },
	{ "qemu-system-x86_64 -boot order=nc,menu=on", "os/bootmenu/@enable", "yes" },
	{ "qemu-system-x86_64 -rtc base=localtime", "clock/@offset", "localtime" },
	{ "qemu-system-x86_64 -rtc base=2010-12-03T01:02:00", "clock/@start", "1291338120" },
	{ "qemu-system-x86_64 -rtc base=utc,clock=vm,driftfix=slew", "clock/timer/@tickpolicy", "catchup" },
	{ "qemu-system-x86_64 -no-reboot", "on_reboot", "destroy" },
	{ "qemu-system-x86_64", "features/acpi", NULL },
	{ "qemu-system-x86_64 -hda /a.img", "devices/disk/target/@dev", "hda" },
	{ "qemu-system-x86_64 -M q35 -hda /a.img", "devices/disk/target/@bus", "sata" },
	{ "qemu-system-x86_64 /a.img", "devices/disk/source/@file", "/a.img" },
	{ "qemu-system-x86_64 -cdrom /x.iso", "devices/disk/target/@dev", "hdc" },
	{ "qemu-system-x86_64 -cdrom /x.iso", "devices/disk/readonly", NULL },
	{ "qemu-system-x86_64 -fda /f", "devices/disk/@device", "floppy" },
	{ "qemu-system-x86_64 -drive file=/dev/vg/a,if=virtio,cache=none,aio=native", "devices/disk/source/@dev",
	  "/dev/vg/a" },
	{ "qemu-system-x86_64 -drive file=/dev/vg/a,if=virtio,cache=none,aio=native", "devices/disk/driver/@io",
	  "native" },
	{ "qemu-system-x86_64 -drive file=iscsi://h:3260/iqn.x/0,if=virtio,format=raw",
	  "devices/disk/source/host/@port", "3260" },
	{ "qemu-system-x86_64 -drive if=none,id=d,file=/a,,b,format=qcow2 -device scsi-hd,drive=d",
	  "devices/disk/source/@file", "/a,b" },
	{ "qemu-system-x86_64 -object iothread,id=i -drive if=none,id=d,file=/a -device "
	  "virtio-blk-pci,drive=d,iothread=i",
	  "devices/disk/driver/@iothread", "1" },
	{ "qemu-system-x86_64 -netdev user,id=n -device virtio-net-pci,netdev=n,mac=52:54:00:01:02:03",
	  "devices/interface/mac/@address", "52:54:00:01:02:03" },
	{ "qemu-system-x86_64 -net nic,model=virtio,macaddr=52:54:00:05:11:11 -net user",
	  "devices/interface/model/@type", "virtio" },
	{ "qemu-system-x86_64 -net bridge,br=br7 -net nic,model=e1000", "devices/interface/source/@bridge", "br7" },
	{ "qemu-system-x86_64 -netdev tap,id=n,ifname=tap3,script=no,vhost=on -device e1000,netdev=n",
	  "devices/interface/target/@dev", "tap3" },
	{ "qemu-system-x86_64 -nic user,model=virtio-net-pci", "devices/interface/@type", "user" },
	{ "qemu-system-x86_64 -vnc 127.0.0.1:5,password", "devices/graphics/@port", "5905" },
	{ "qemu-system-x86_64 -vnc unix:/s", "devices/graphics/@socket", "/s" },
	{ "qemu-system-x86_64 -display vnc=:2", "devices/graphics/@port", "5902" },
	{ "qemu-system-x86_64 -vga std", "devices/video/model/@type", "vga" },
	{ "qemu-system-x86_64 -nographic", "devices/serial/@type", "pty" },
	{ "qemu-system-x86_64 -serial unix:/s,server,nowait", "devices/serial/source/@mode", "bind" },
	{ "qemu-system-x86_64 -serial telnet:h:44,server", "devices/serial/protocol/@type", "telnet" },
	{ "qemu-system-x86_64 -serial file:/o", "devices/serial/source/@path", "/o" },
	{ "qemu-system-x86_64 -chardev socket,id=c,path=/ga,server=on -device virtio-serial -device "
	  "virtserialport,chardev=c,name=org.qemu.guest_agent.0",
	  "devices/channel/target/@name", "org.qemu.guest_agent.0" },
	{ "qemu-system-x86_64 -chardev pty,id=c -device virtconsole,chardev=c", "devices/console/target/@type",
	  "virtio" },
	{ "qemu-system-x86_64 -usbdevice tablet", "devices/input/@type", "tablet" },
	{ "qemu-system-x86_64 -usbdevice disk:format=raw:/u.raw", "devices/disk/target/@bus", "usb" },
	{ "qemu-system-x86_64 -object rng-random,id=r,filename=/dev/random -device "
	  "virtio-rng-pci,rng=r,max-bytes=5,period=6",
	  "devices/rng/backend", "/dev/random" },
	{ "qemu-system-x86_64 -balloon none", "devices/memballoon/@model", "none" },
	{ "qemu-system-x86_64 -device i6300esb -watchdog-action poweroff", "devices/watchdog/@action", "poweroff" },
	{ "qemu-system-x86_64 -smbios type=1,serial=7", "sysinfo/system/entry", "7" },
	{ "qemu-system-x86_64 -fsdev local,id=f,path=/srv,security_model=mapped -device "
	  "virtio-9p-pci,fsdev=f,mount_tag=t",
	  "devices/filesystem/target/@dir", "t" },
	{ "qemu-system-x86_64 -device vfio-pci,host=00:10.0", "devices/hostdev/source/address/@slot", "0x10" },
	{ "qemu-system-x86_64 -fw_cfg name=opt/a,string=b", "qemu:commandline/qemu:arg/@value", "-fw_cfg" },
	{ "qemu-system-x86_64 -m 1024 -smp 4 -numa node,cpus=0-1,mem=512 -numa node,cpus=2,cpus=3,mem=512M",
	  "cpu/numa/cell/@memory", "524288" },
	{ "qemu-system-x86_64 -overcommit mem-lock=on", "memoryBacking/locked", NULL },
	{ "qemu-system-x86_64 -tpmdev emulator,id=t,chardev=c -device tpm-crb,tpmdev=t", "devices/tpm/@model",
	  "tpm-crb" },
	{ "qemu-system-x86_64 -spice port=5930,addr=127.0.0.1", "devices/graphics/@port", "5930" },
	{ "qemu-system-x86_64 -hda /a -snapshot", "devices/disk/transient", NULL },
	{ "qemu-system-x86_64 -device sga", "os/bios/@useserial", "yes" },
	{ "qemu-system-x86_64 -netdev vde,id=n -device virtio-net-pci,netdev=n", "qemu:commandline/qemu:arg/@value",
	  "-netdev" },
	{ "A=b /usr/bin/qemu-system-x86_64", "qemu:commandline/qemu:env/@name", "A" },
	{ "/usr/bin/qemu-system-x86_64 \\\n -m 5", "devices/emulator", "/usr/bin/qemu-system-x86_64" },
};

static void test_options(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) err = NULL;
		autoptr(domain) domain = domain_from_argv(cases[i].line, &err);

		if (!domain)
			g_error("%s: %s", cases[i].line, err->message);
		g_autofree char *value = xml_get(domain->root, cases[i].path);
		if (!value || (cases[i].value && strcmp(value, cases[i].value) != 0))
			g_error("%s: %s is '%s', not '%s'", cases[i].line, cases[i].path, value, cases[i].value);
	}
}

static void test_no_acpi(void)
{
	autoptr(domain) domain = from("qemu-system-x86_64 -no-acpi");

	g_assert_null(xml_find(domain->root, "features/acpi"));
}

/* There and back: the same devices at the same places. */
static void test_round(void)
{
	autoptr(domain) domain = from(
		"qemu-kvm -name r -uuid 6f1b3c1e-6a5d-4d0a-9c0e-0a4d2f6b7c01 -M q35 -m 1024 -smp 4,sockets=1,cores=4 "
		"-drive file=/a,if=none,id=d -device virtio-blk-pci,drive=d,bootindex=1 -cdrom /c.iso "
		"-netdev user,id=n -device virtio-net-pci,netdev=n,mac=52:54:00:01:02:03 -serial pty -vnc :1 -vga std");
	g_autoptr(GError) err = NULL;
	g_autofree char *line = domain_to_argv(domain, &err);

	g_assert_no_error(err);
	autoptr(domain) again = from(line);
	static const char *const same[] = { "name",
					    "uuid",
					    "memory",
					    "vcpu",
					    "cpu/topology/@cores",
					    "devices/disk/source/@file",
					    "devices/disk/boot/@order",
					    "devices/disk/target/@bus",
					    "devices/interface/mac/@address",
					    "devices/serial/@type",
					    "devices/graphics/@port",
					    "devices/video/model/@type" };
	for (size_t i = 0; i < G_N_ELEMENTS(same); i++) {
		g_autofree char *one = xml_get(domain->root, same[i]);
		g_autofree char *two = xml_get(again->root, same[i]);

		g_assert_nonnull(one);
		g_assert_cmpstr(one, ==, two);
	}
}

static void test_line(void)
{
	static const char *const parts[] = {
		"-name guest=l",
		"-machine q35,accel=tcg",
		"-m size=65536k",
		"-smp 1",
		"-drive file=/a,,b,if=none,",
		"-device virtio-blk-pci,bus=pci.",
		"-chardev socket,id=charserial0,path=/s,server=on,wait=off",
		"-device isa-serial,chardev=charserial0,id=serial0,index=0",
		"-append 'a b'",
		"-nodefaults",
		"-device pcie-root-port,port=0x8,chassis=1,id=pci.1,bus=pcie.0,multifunction=on,addr=0x1"
	};
	const char *text =
		"<domain type='qemu'><name>l</name><memory unit='MiB'>64</memory><os><type machine='q35'>"
		"hvm</type><kernel>/k</kernel>"
		"<cmdline>a b</cmdline></os><devices><disk type='file'><source file='/a,b'/><target dev='vda'/></disk>"
		"<serial type='unix'><source mode='bind' path='/s'/></serial></devices></domain>";
	autoptr(domain) domain = domain_parse(text, strlen(text), "t", 0, NULL);
	g_autoptr(GError) err = NULL;
	g_autofree char *line = domain_to_argv(domain, &err);

	g_assert_no_error(err);
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if (!strstr(line, parts[i]))
			g_error("no '%s' in %s", parts[i], line);
	}
}

static void test_not_a_pc(void)
{
	const char *text = "<domain type='kvm'><name>l</name><memory unit='MiB'>64</memory><os><type arch='aarch64' "
			   "machine='virt'>hvm</type></os></domain>";
	autoptr(domain) domain = domain_parse(text, strlen(text), "t", 0, NULL);
	g_autoptr(GError) err = NULL;
	g_autofree char *line = domain_to_argv(domain, &err);

	g_assert_null(line);
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/domain-argv/refusals", test_refusals);
	g_test_add_func("/domain-argv/options", test_options);
	g_test_add_func("/domain-argv/no-acpi", test_no_acpi);
	g_test_add_func("/domain-argv/round", test_round);
	g_test_add_func("/domain-argv/line", test_line);
	g_test_add_func("/domain-argv/not-a-pc", test_not_a_pc);
	return g_test_run();
}
