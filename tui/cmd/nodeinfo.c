/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nodeinfo, nodecpumap, nodecpustats: the host's processors. */
#include <inttypes.h>

#include "core/base/error.h"
#include "core/host.h"
#include "tui/command.h"
#include "tui/report.h"

#define LABEL "%-20s "

static void add_count(struct report *report, const char *key, const char *title, unsigned n)
{
	report_field_number(report, key, title, n, NULL);
}

static bool nodeinfo(struct session *session, const struct args *args G_GNUC_UNUSED, GError **err G_GNUC_UNUSED)
{
	autoptr(host) host = host_read(NULL);
	struct report *report;

	if (session->format == REPORT_TABLE) {
		fprintf(session->out, LABEL "%s\n" LABEL "%u\n", "CPU model:", host->arch, "CPU(s):", host->n_online);
		if (host->mhz)
			fprintf(session->out, LABEL "%u MHz\n", "CPU frequency:", host->mhz);
		fprintf(session->out, LABEL "%u\n" LABEL "%u\n" LABEL "%u\n" LABEL "%u\n" LABEL "%" PRIu64 " KiB\n",
			"CPU socket(s):", host->sockets, "Core(s) per socket:", host->cores,
			"Thread(s) per core:", host->threads, "NUMA cell(s):", host->cells->len,
			"Memory size:", host->memory);
		return true;
	}
	report = report_record(session, "node");
	report_field(report, "model", "CPU model", host->arch);
	report_field(report, "cpu_name", "CPU name", host->cpu_name);
	add_count(report, "cpus", "CPU(s)", host->n_online);
	add_count(report, "mhz", "CPU frequency", host->mhz);
	add_count(report, "sockets", "CPU socket(s)", host->sockets);
	add_count(report, "cores", "Core(s) per socket", host->cores);
	add_count(report, "threads", "Thread(s) per core", host->threads);
	add_count(report, "cells", "NUMA cell(s)", host->cells->len);
	report_field_number(report, "memory_kib", "Memory size", host->memory, NULL);
	report_end(report);
	return true;
}

static const struct arg_row args_none[] = { ARG_END };

const struct command cmd_nodeinfo = {
	.name = "nodeinfo",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show this host's processors and memory",
	.args = args_none,
	.run = nodeinfo,
};

static bool nodecpumap(struct session *session, const struct args *args, GError **err G_GNUC_UNUSED)
{
	autoptr(host) host = host_read(NULL);
	g_autofree char *list = cpuset_format(&host->online);
	g_autofree char *mask = cpuset_mask(&host->online, host->n_present);
	struct report *report;

	if (session->format == REPORT_TABLE) {
		fprintf(session->out, "%-15s %u\n%-15s %u\n%-15s %s\n", "CPUs present:", host->n_present,
			"CPUs online:", host->n_online, "CPU map:", args_flag(args, "pretty") ? list : mask);
		return true;
	}
	report = report_record(session, "cpumap");
	add_count(report, "present", "CPUs present", host->n_present);
	add_count(report, "online", "CPUs online", host->n_online);
	report_field(report, "map", "CPU map", list);
	report_end(report);
	return true;
}

static const struct arg_row args_nodecpumap[] = {
	{ .name = "pretty", .type = ARG_FLAG, .help = "the map as a list" },
	ARG_END,
};

const struct command cmd_nodecpumap = {
	.name = "nodecpumap",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show which of the host's processors are on line",
	.args = args_nodecpumap,
	.run = nodecpumap,
};

static const char *const time_keys[] = { "user", "system", "idle", "iowait" };

static void times_array(const struct host_times *times, uint64_t values[4])
{
	values[0] = times->user;
	values[1] = times->system;
	values[2] = times->idle;
	values[3] = times->iowait;
}

static void show_times(struct session *session, const struct host_times *times)
{
	struct report *report = session->format == REPORT_TABLE ? NULL : report_record(session, "cpustats");
	uint64_t values[G_N_ELEMENTS(time_keys)];

	times_array(times, values);
	for (size_t i = 0; i < G_N_ELEMENTS(time_keys); i++) {
		g_autofree char *label = g_strconcat(time_keys[i], ":", NULL);

		if (report)
			report_field_number(report, time_keys[i], time_keys[i], values[i], NULL);
		else
			fprintf(session->out, "%-15s %20" PRIu64 "\n", label, values[i]);
	}
	if (report)
		report_end(report);
}

/* Of the time between two readings; nothing passed: nothing used. */
static void show_percent(struct session *session, const struct host_times *before, const struct host_times *after)
{
	struct report *report = session->format == REPORT_TABLE ? NULL : report_record(session, "cpustats");
	uint64_t old[G_N_ELEMENTS(time_keys)], now[G_N_ELEMENTS(time_keys)];
	double percent[G_N_ELEMENTS(time_keys) + 1] = { 0 }, total = 0;

	times_array(before, old);
	times_array(after, now);
	for (size_t i = 0; i < G_N_ELEMENTS(time_keys); i++) {
		percent[i + 1] = now[i] > old[i] ? (double)(now[i] - old[i]) : 0;
		total += percent[i + 1];
	}
	percent[0] = percent[1] + percent[2];
	for (size_t i = 0; i < G_N_ELEMENTS(percent); i++) {
		const char *key = i ? time_keys[i - 1] : "usage";
		g_autofree char *label = g_strconcat(key, ":", NULL);
		double value = total > 0 ? 100 * percent[i] / total : 0;

		if (report)
			report_field_real(report, key, key, value, NULL);
		else
			fprintf(session->out, "%-15s %5.1f%%\n", label, value);
	}
	if (report)
		report_end(report);
}

static bool nodecpustats(struct session *session, const struct args *args, GError **err)
{
	struct host_times before, after;
	uint64_t cpu = 0;
	int which = args_uint(args, "cpu", &cpu) ? (int)MIN(cpu, (uint64_t)G_MAXINT) : -1;

	if (!host_times_read(NULL, which, &before, err))
		return false;
	if (!args_flag(args, "percent")) {
		show_times(session, &before);
		return true;
	}
	g_usleep(G_USEC_PER_SEC);
	if (!host_times_read(NULL, which, &after, err))
		return false;
	show_percent(session, &before, &after);
	return true;
}

static const struct arg_row args_nodecpustats[] = {
	{ .name = "cpu", .type = ARG_DATA_UINT, .help = "only this processor" },
	{ .name = "percent", .type = ARG_FLAG, .help = "shares of one second, which is waited for" },
	ARG_END,
};

const struct command cmd_nodecpustats = {
	.name = "nodecpustats",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show what the host's processors spent their time with",
	.about = "In nanoseconds since the host was booted.",
	.args = args_nodecpustats,
	.run = nodecpustats,
};
