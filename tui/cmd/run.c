/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "console/chardev.h"
#include "core/base/error.h"
#include "core/model/vm-config.h"
#include "tui/raw.h"
#include "tui/session.h"
#include "vmm/run.h"

extern const struct command cmd_run;

static bool parse_disk(void *target, const char *value, GError **err)
{
	struct vm_config *config = target;
	struct vm_disk_config *disk = vm_disk_config_parse(value, err);

	if (!disk)
		return false;
	g_ptr_array_add(config->disks, disk);
	return true;
}

static bool parse_console(void *target, const char *value, GError **err)
{
	return vm_config_set_console(target, value, err);
}

#define PLACE(member) .offset = G_STRUCT_OFFSET(struct vm_config, member)

static const struct option_row run_options[] = {
	{ .name = "kernel", .arg = "FILE", .type = OPTION_STRING, PLACE(kernel), .required = true,
	  .help = "Linux kernel to boot: bzImage (vmlinuz) or ELF with a PVH entry (vmlinux)" },
	{ .name = "initrd", .arg = "FILE", .type = OPTION_STRING, PLACE(initrd), .help = "initial RAM disk" },
	{ .name = "append", .arg = "TEXT", .type = OPTION_STRING, PLACE(append),
	  .help = "kernel command line, for example \"console=ttyS0 root=/dev/vda1\"" },
	{ .name = "memory", .arg = "SIZE", .type = OPTION_SIZE, PLACE(memory), .unit = UINT64_C(1) << 20,
	  .help = "guest RAM, 512M unless given; K, M, G are powers of 1024, a bare number is MiB" },
	{ .name = "cpus", .arg = "N", .type = OPTION_UINT, PLACE(vcpus), .min = 1, .max = VM_CONFIG_MAX_VCPUS,
	  .help = "virtual CPUs, 1 unless given" },
	{ .name = "disk", .arg = "FILE[,readonly][,serial=S]", .type = OPTION_CALL, .parse = parse_disk,
	  .repeats = true,
	  .help = "raw image or block device as /dev/vda, /dev/vdb...; a comma in FILE is written twice" },
	{ .name = "accel", .arg = "auto|kvm|soft", .type = OPTION_STRING, PLACE(accel),
	  .help = "what runs the guest: hardware, Lodge's software CPU, or the best that lodge host shows (auto)" },
	{ .name = "cpu", .arg = "MODEL", .type = OPTION_STRING, PLACE(cpu),
	  .help = "CPU model the guest sees, max unless given" },
	{ .name = "name", .arg = "NAME", .type = OPTION_STRING, PLACE(name), .help = "the guest's name in messages" },
	{ .name = "console", .arg = "stdio|none|unix:PATH|file:PATH[,target=serial|virtio]", .type = OPTION_CALL,
	  .parse = parse_console,
	  .help = "where the guest's serial port ttyS0 or virtio console hvc0 leads; this terminal, serial unless "
		  "given" },
	{ .name = "no-reboot", .type = OPTION_FLAG, PLACE(no_reboot),
	  .help = "end when the guest resets instead of booting it again" },
	{ .name = "paused", .type = OPTION_FLAG, PLACE(paused),
	  .help = "start paused; ^] r on the console lets the guest run" },
};

static void append_keys(GString *out)
{
	const struct chardev_key *row;

	g_string_append(out, "\nKeys on the console:\n");
	for (size_t i = 0; (row = chardev_key_row(i)); i++)
		g_string_append_printf(out, "  %-17s%s\n", row->keys, row->help);
}

static void show_started(void *opaque, const struct vm_run_info *info)
{
	const struct vm_config *config = opaque;
	g_autoptr(GString) line = g_string_new(NULL);

	fprintf(stderr, "lodge: accelerator %s\n", info->why);
	g_string_append_printf(line, "lodge: %s guest \"%s\"", info->keys ? "connected to" : "running", info->name);
	if (info->paused)
		g_string_append(line, info->keys ? ", paused: ^] r resumes" : ", paused");
	if (info->keys)
		g_string_append(line, "; ^] ends it, ^] ? shows more keys");
	else if (config->console == VM_CONSOLE_UNIX)
		g_string_append_printf(line, "; console on %s", config->console_path);
	fprintf(stderr, "%s\n", line->str);
}

static int report_signal(int sig)
{
	fprintf(stderr, "lodge: ended by SIG%s\n", sigabbrev_np(sig));
	return EXIT_SIGNAL + sig;
}

static int report_failure(struct session *session, const char *name, const char *what, const char *text)
{
	g_autoptr(GError) error = NULL;

	fail(&error, LODGE_ERROR_GUEST, "guest \"%s\": %s%s%s", name, what, text ? ": " : "", text ? text : "");
	return session_fail(session, error);
}

/* One line about how it ended, and the exit status. */
static int report(struct session *session, const struct vm_config *config, const struct vm_run_result *result)
{
	if (result->lost_output)
		fprintf(stderr, "lodge: %" G_GUINT64_FORMAT " bytes of console output lost, the reader was too slow\n",
			result->lost_output);
	if (result->why == VM_STOP_QUIT && result->signal)
		return report_signal(result->signal);
	switch (result->why) {
	case VM_STOP_TRIPLE_FAULT:
		return report_failure(session, config->name, "triple fault, the processor shut down", result->text);
	case VM_STOP_PANIC:
		return report_failure(session, config->name, "kernel panic", result->text);
	case VM_STOP_ERROR:
		return report_failure(session, config->name, "stopped by an error of the virtual machine",
				      result->text);
	case VM_STOP_RESET:
		fprintf(stderr, "lodge: guest \"%s\" reset, ended because of --no-reboot\n", config->name);
		return EXIT_DONE;
	case VM_STOP_POWEROFF:
		fprintf(stderr, "lodge: guest \"%s\" powered off\n", config->name);
		return EXIT_DONE;
	default:
		fprintf(stderr, "lodge: guest \"%s\" ended\n", config->name);
		return EXIT_DONE;
	}
}

static int run(struct session *session, int argc, char **argv)
{
	autoptr(vm_config) config = vm_config_new();
	g_autoptr(GError) error = NULL;
	struct vm_run_result result = { 0 };
	struct options_result parsed;
	int status = raw_parse(session, &cmd_run, config, argc, argv, &parsed);

	if (status >= 0)
		return status;
	/* What does not fit together was put together on the command line. */
	if (!vm_config_check(config, &error)) {
		session_fail(session, error);
		return EXIT_USAGE;
	}
	if (!vm_main(config, show_started, config, &result, &error))
		return session_fail(session, error);
	status = report(session, config, &result);
	vm_run_result_clear(&result);
	return status;
}

const struct command cmd_run = {
	.name = "run",
	.group = GROUP_LODGE,
	.flags = COMMAND_CHANGES | COMMAND_NO_CONNECT | COMMAND_LODGE,
	.help = "boot a transient virtual machine from a kernel, with its serial console on this terminal",
	.about =
		"The guest lives as long as this command. Its poweroff ends it with exit status 0, a triple fault\n"
		"or a kernel panic with 1, a signal to lodge with 128 plus the signal's number. When standard input "
		"is\n"
		"not a terminal it is passed to the guest as it is, and its end does not end the guest.",
	.append_about = append_keys,
	.raw_options = run_options,
	.n_raw_options = G_N_ELEMENTS(run_options),
	.run_raw = run,
};
