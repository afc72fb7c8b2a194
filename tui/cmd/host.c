/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tui/raw.h"
#include "tui/report.h"
#include "vmm/accel.h"

extern const struct command cmd_host;

#define LABEL "%-13s"

/* The processor's own name: CPUID leaves 0x80000002 to 0x80000004 (Intel SDM volume 2, CPUID). */
static char *cpu_name(void)
{
	union {
		unsigned regs[3][4];
		char text[49];
	} name = { .text = "" };

	if ((unsigned)__get_cpuid_max(0x80000000, NULL) < 0x80000004)
		return g_strdup("x86-64 processor");
	for (unsigned i = 0; i < 3; i++)
		__cpuid(0x80000002 + i, name.regs[i][0], name.regs[i][1], name.regs[i][2], name.regs[i][3]);
	return g_strdup(g_strstrip(name.text));
}

/* Bytes of a line of /proc/meminfo, which counts in KiB; 0 when it is not there. */
static uint64_t meminfo(const char *key)
{
	g_autofree char *text = NULL;
	const char *line;

	if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL))
		return 0;
	line = strstr(text, key);
	return line ? g_ascii_strtoull(line + strlen(key), NULL, 10) << 10 : 0;
}

static void show_machine(FILE *out)
{
	g_autofree char *cpu = cpu_name();
	g_autofree char *total = g_format_size_full(meminfo("MemTotal:"), G_FORMAT_SIZE_IEC_UNITS);
	g_autofree char *available = g_format_size_full(meminfo("MemAvailable:"), G_FORMAT_SIZE_IEC_UNITS);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct utsname uts;

	if (!uname(&uts))
		fprintf(out, LABEL "%s, %s %s %s\n", "Host", uts.nodename, uts.sysname, uts.release, uts.machine);
	fprintf(out, LABEL "%s, %ld logical CPU%s\n", "CPU", cpu, cpus, cpus == 1 ? "" : "s");
	fprintf(out, LABEL "%s, %s available\n", "Memory", total, available);
}

static const char *verdict(const struct accel_probe *probe)
{
	if (!probe->usable)
		return "no";
	return probe->recommended ? "yes" : "by name only";
}

static void show_accelerators(FILE *out)
{
	fprintf(out, "\n" LABEL "%-13s%s\n", "Accelerator", "Usable", "Reason");
	for (size_t i = 0; accel_classes[i]; i++) {
		struct accel_probe probe = { 0 };

		accel_classes[i]->probe(&probe);
		fprintf(out, LABEL "%-13s%s\n", accel_classes[i]->name, verdict(&probe), probe.reason);
		accel_probe_clear(&probe);
	}
}

static int show_list(struct session *session)
{
	static const struct report_column columns[] = {
		{ .key = "name", .title = "Accelerator" },
		{ .key = "usable", .title = "Usable" },
		{ .key = "recommended", .title = "Recommended" },
		{ .key = "reason", .title = "Reason" },
		{ .key = NULL },
	};
	struct report *report = report_list(session, "accelerators", "accelerator", columns);

	for (size_t i = 0; accel_classes[i]; i++) {
		struct accel_probe probe = { 0 };

		accel_classes[i]->probe(&probe);
		report_text(report, accel_classes[i]->name);
		report_bool(report, probe.usable, "yes", "no");
		report_bool(report, probe.recommended, "yes", "no");
		report_text(report, probe.reason);
		accel_probe_clear(&probe);
	}
	report_end(report);
	return EXIT_DONE;
}

static int run(struct session *session, int argc, char **argv)
{
	struct options_result parsed;
	int status = raw_parse(session, &cmd_host, NULL, argc, argv, &parsed);

	if (status >= 0)
		return status;
	if (session->format != REPORT_TABLE)
		return show_list(session);
	show_machine(session->out);
	show_accelerators(session->out);
	return EXIT_DONE;
}

const struct command cmd_host = {
	.name = "host",
	.group = GROUP_LODGE,
	.flags = COMMAND_NO_CONNECT | COMMAND_LODGE,
	.help = "show what this host offers: CPU, memory, and accelerators with the measured reason",
	.about = "Each accelerator that could be used is measured for a moment. The first one that is usable without\n"
		 "being asked for by name is what lodge run --accel auto takes. As JSON, CSV and XML the accelerators are shown.",
	.run_raw = run,
};
