/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_CORE_MODEL_VM_CONFIG_H
#define LODGE_CORE_MODEL_VM_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"

/*
 * What one transient VM is made of: plain data, filled by the command line (later: from a domain definition) and read
 * by vmm/machine.c. Strings are owned by the structure.
 */
#define VM_CONFIG_MAX_VCPUS 32u
#define VM_CONFIG_MIN_MEMORY (UINT64_C(16) << 20) /* bytes */
/* With the PCI windows above it well inside 40 physical address bits. */
#define VM_CONFIG_MAX_MEMORY (UINT64_C(512) << 30)
#define VM_CONFIG_DEFAULT_MEMORY (UINT64_C(512) << 20)
#define VM_CONFIG_MAX_DISKS 26u
#define VM_CONFIG_MAX_NAME 251u /* bytes: NAME.xml is a file name, too */
#define VM_CONFIG_MAX_SERIAL 20u /* bytes: what a virtio disk can report */

enum vm_console_kind { VM_CONSOLE_STDIO, VM_CONSOLE_NONE, VM_CONSOLE_UNIX, VM_CONSOLE_FILE, VM_N_CONSOLE_KINDS };

/* The device of the guest it is connected to: the first serial port (ttyS0) or a virtio console (hvc0). */
enum vm_console_target { VM_CONSOLE_SERIAL, VM_CONSOLE_VIRTIO, VM_N_CONSOLE_TARGETS };

struct vm_disk_config {
	char *target; /* "vda", for statistics and monitor commands; NULL */
	char *alias;  /* "virtio-disk0"; NULL */
	char *path;
	char *serial; /* at most VM_CONFIG_MAX_SERIAL bytes, or NULL */
	bool readonly;
};

/* A guest port of a VM that a definition describes: its device, and where its other end is (console/mux.h). */
#define VM_CONFIG_MAX_SERIALS 4u
#define VM_CONFIG_MAX_PORTS 16u

enum vm_port_target { VM_PORT_SERIAL, VM_PORT_CONSOLE /* virtio console */, VM_PORT_CHANNEL /* virtio port with a name */, VM_N_PORT_TARGETS };
enum vm_port_kind { VM_PORT_NULL, VM_PORT_PTY, VM_PORT_UNIX, VM_PORT_TCP, VM_PORT_FILE, VM_PORT_STDIO, VM_N_PORT_KINDS };

struct vm_port_config {
	enum vm_port_target target;
	unsigned index;	   /* serial port 0 to 3 (COM1 to COM4); console or channel number */
	char *alias;	   /* "serial0" */
	char *name;	   /* channels: "org.qemu.guest_agent.0"; NULL */
	enum vm_port_kind kind;
	char *path;	   /* unix, file */
	char *host, *service; /* tcp */
	bool listen;	   /* unix and tcp: mode='bind' */
	bool telnet;
	bool append;	   /* file */
	unsigned reconnect_s; /* 0: no */
	char *log_path;	   /* NULL */
	bool log_append;
};

struct vm_config {
	char *name;	    /* never NULL */
	uint64_t memory;    /* bytes, multiple of 4096 */
	unsigned vcpus;
	char *kernel;	    /* path, or NULL */
	char *initrd;	    /* path, or NULL */
	char *append;	    /* kernel command line, never NULL */
	char *accel;	    /* "auto", "kvm", "soft", with ",options" */
	char *cpu;	    /* CPU model name; NULL = the default of the accelerator */
	GPtrArray *disks;   /* struct vm_disk_config */
	enum vm_console_kind console;
	char *console_path; /* for unix and file */
	enum vm_console_target console_target;
	bool no_reboot;
	bool paused;	    /* create, but wait for a resume */

	/* What only definitions say. */
	char uuid[37];	    /* empty: a random one */
	GPtrArray *ports;   /* struct vm_port_config; when not empty, console above is not used */
	unsigned max_vcpus; /* at least vcpus; 0: the same. Only vcpus of them are built */
	unsigned sockets, dies, cores, threads; /* topology, product max_vcpus; 0: max_vcpus sockets */
	GPtrArray *cpu_features; /* char *: "+name" or "-name" */
	int64_t clock_offset;	 /* seconds the guest's RTC is ahead of UTC */
	bool clock_localtime;
	bool panic_device; /* pvpanic; lodge run always has it */
	uint64_t balloon_memory; /* bytes the balloon leaves to the guest; 0: no balloon device */
	bool has_rng;	   /* lodge run always has it */
	uint64_t rng_bytes; /* rate limit, bytes a period of rng_period_ms; 0: the default */
	unsigned rng_period_ms;
	bool crash_preserve; /* stay, paused, after a panic */
};

struct vm_config *vm_config_new(void); /* defaults filled in */
void vm_config_free(struct vm_config *config);
DEFINE_AUTOPTR(vm_config, vm_config_free)

/* Cross-field rules and limits; one sentence per refusal. */
bool vm_config_check(const struct vm_config *config, GError **err);

/*
 * "512M", "2GiB", "1048576": K, M, G, T and KiB... are powers of 1024, KB, MB... powers of 1000; a bare number counts
 * unit bytes each (for --memory: MiB, as virt-install). Refuses signs, fractions, overflow, trailing text.
 */
bool parse_size(const char *text, uint64_t unit, uint64_t *bytes, GError **err);

/* "FILE[,readonly][,serial=S]"; a comma in FILE is written twice. */
struct vm_disk_config *vm_disk_config_parse(const char *text, GError **err);
struct vm_port_config *vm_port_config_new(void);
void vm_port_config_free(struct vm_port_config *port);
DEFINE_AUTOPTR(vm_port_config, vm_port_config_free)
void vm_disk_config_free(struct vm_disk_config *disk);
DEFINE_AUTOPTR(vm_disk_config, vm_disk_config_free)

/*
 * "stdio", "none", "unix:PATH", "file:PATH", each with ",target=serial" (also when nothing is said) or
 * ",target=virtio"; a comma in PATH is written twice. On failure config is unchanged.
 */
bool vm_config_set_console(struct vm_config *config, const char *text, GError **err);

#endif
