/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/counters.h"
#include "core/domains.h"
#include "tui/command.h"
#include "tui/report.h"
#include "tui/short-options.h"

/*
 * kvm_stat's table without its needs: the counters are in the VMs' own statistics pages, so neither root nor debugfs is
 * asked for, and VMs on the software CPU have them as well.
 */
#define DEFAULT_DELAY_US ((int64_t)G_USEC_PER_SEC)
#define REPEAT_TITLES 20u /* lines of the log */
#define CLOCK_WIDTH 19	  /* "2026-01-31 13:40:19" */
#define CLEAR "\033[H\033[J"

extern const struct command cmd_kvmstat;

struct kvmstat {
	struct session *session;
	struct home *home;
	GRegex *fields; /* NULL: all */
	const char *guest;
	uint64_t pid;
	bool once, log, csv, skip_zero, watch;
	int64_t delay_us;
	FILE *out;
	uint64_t *total, *delta; /* n_counters */
	bool have;		 /* total is from an earlier look */
};

static const struct short_row short_rows[] = {
	{ '1', "once" },      { 'c', "csv" },	      { 'd', "debugfs" },	    { 'f', "fields" },
	{ 'g', "guest" },     { 'l', "log" },	      { 'L', "log-to-file" },	    { 'p', "pid" },
	{ 's', "set-delay" }, { 't', "tracepoints" }, { 'z', "skip-zero-records" }, { 0, NULL },
};

static bool shown(const struct kvmstat *kvmstat, size_t i)
{
	return !kvmstat->fields || g_regex_match(kvmstat->fields, counters[i].name, 0, NULL);
}

/* A pattern that only means what the host kernel counts would show an empty table without a word. */
static bool check_fields(const struct kvmstat *kvmstat, GError **err)
{
	for (size_t i = 0; i < n_counters; i++)
		if (shown(kvmstat, i))
			return true;
	for (size_t i = 0; counters_of_kernel[i]; i++)
		if (g_regex_match(kvmstat->fields, counters_of_kernel[i], 0, NULL))
			return fail(
				err, LODGE_ERROR_UNSUPPORTED,
				"%s is counted inside the host's KVM for all VMs together; kvmstat shows what Lodge's VMs count",
				counters_of_kernel[i]);
	return fail(err, LODGE_ERROR_USAGE, "--fields '%s' matches no counter", g_regex_get_pattern(kvmstat->fields));
}

static bool parse(struct kvmstat *kvmstat, const struct shorts *shorts, GError **err)
{
	const char *fields = shorts_string(shorts, "fields");
	g_autoptr(GError) regex_error = NULL;

	if (shorts_flag(shorts, "tracepoints"))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "tracepoints need the host kernel's perf events; kvmstat shows the VMs' own counters");
	kvmstat->once = shorts_flag(shorts, "once");
	kvmstat->csv = shorts_flag(shorts, "csv");
	kvmstat->log = shorts_flag(shorts, "log") || shorts_string(shorts, "log-to-file");
	kvmstat->skip_zero = shorts_flag(shorts, "skip-zero-records");
	kvmstat->guest = shorts_string(shorts, "guest");
	kvmstat->delay_us = DEFAULT_DELAY_US;
	if (kvmstat->csv && !kvmstat->log)
		return fail(err, LODGE_ERROR_USAGE, "--csv needs --log or --log-to-file");
	if (fields)
		kvmstat->fields = g_regex_new(fields, 0, 0, &regex_error);
	if (regex_error)
		return fail(err, LODGE_ERROR_USAGE, "--fields '%s': %s", fields, regex_error->message);
	return shorts_uint(shorts, "pid", 1, &kvmstat->pid, err) &&
	       shorts_seconds(shorts, "set-delay", &kvmstat->delay_us, err) && (!fields || check_fields(kvmstat, err));
}

/* The sums over the chosen VMs; false when one was named and is not there. */
static bool look(struct kvmstat *kvmstat, GError **err)
{
	g_autofree uint64_t *now = g_new0(uint64_t, n_counters);
	g_autoptr(GPtrArray) doms = domains_list(kvmstat->home, DOMAINS_ACTIVE, err);
	bool found = !kvmstat->guest && !kvmstat->pid;

	for (unsigned i = 0; doms && i < doms->len; i++) {
		const struct dom *dom = doms->pdata[i];

		if ((kvmstat->guest && strcmp(dom->name, kvmstat->guest)) ||
		    (kvmstat->pid && (uint64_t)dom->pid != kvmstat->pid))
			continue;
		found = true;
		for (size_t k = 0; dom->page && k < n_counters; k++)
			now[k] += counter_sum(&counters[k], dom->page);
	}
	if (!doms)
		return false;
	if (!found)
		return kvmstat->guest ? fail(err, LODGE_ERROR_STATE, "no running guest '%s'", kvmstat->guest) :
					fail(err, LODGE_ERROR_STATE, "process %" PRIu64 " is no VM of this connection",
					     kvmstat->pid);
	for (size_t k = 0; k < n_counters; k++) {
		kvmstat->delta[k] = kvmstat->have && now[k] > kvmstat->total[k] ? now[k] - kvmstat->total[k] : 0;
		kvmstat->total[k] = now[k];
	}
	kvmstat->have = true;
	return true;
}

static void print_table(const struct kvmstat *kvmstat)
{
	if (kvmstat->watch)
		fputs(CLEAR, kvmstat->out);
	if (!kvmstat->session->noheader)
		fprintf(kvmstat->out, "%-32s%20s%12s\n", "Event", "Total", "Current");
	for (size_t i = 0; i < n_counters; i++)
		if (shown(kvmstat, i))
			fprintf(kvmstat->out, "%-32s%20" PRIu64 "%12" PRIu64 "\n", counters[i].name, kvmstat->total[i],
				kvmstat->delta[i]);
}

static void print_report(const struct kvmstat *kvmstat)
{
	static const struct report_column columns[] = {
		{ .key = "event", .title = "Event" },
		{ .key = "total", .title = "Total" },
		{ .key = "current", .title = "Current" },
		{ .key = NULL },
	};
	struct report *report = report_list(kvmstat->session, "counters", "counter", columns);

	for (size_t i = 0; i < n_counters; i++) {
		if (!shown(kvmstat, i))
			continue;
		report_text(report, counters[i].name);
		report_number(report, kvmstat->total[i], NULL);
		report_number(report, kvmstat->delta[i], NULL);
	}
	report_end(report);
}

static bool all_zero(const struct kvmstat *kvmstat)
{
	for (size_t i = 0; i < n_counters; i++)
		if (shown(kvmstat, i) && kvmstat->delta[i])
			return false;
	return true;
}

/* Of a column in the log. */
static int log_width(const struct kvmstat *kvmstat, size_t i)
{
	return kvmstat->csv ? 0 : MAX((int)strlen(counters[i].name), 10);
}

static void print_titles(const struct kvmstat *kvmstat)
{
	fprintf(kvmstat->out, "%-*s", kvmstat->csv ? 0 : CLOCK_WIDTH, "Timestamp");
	for (size_t i = 0; i < n_counters; i++)
		if (shown(kvmstat, i))
			fprintf(kvmstat->out, "%c%*s", kvmstat->csv ? ',' : ' ', log_width(kvmstat, i),
				counters[i].name);
	fputc('\n', kvmstat->out);
}

static void print_log(const struct kvmstat *kvmstat, uint64_t line)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autofree char *clock = g_date_time_format(now, "%Y-%m-%d %H:%M:%S");

	if (kvmstat->skip_zero && all_zero(kvmstat))
		return;
	if (!line || (!kvmstat->csv && line % REPEAT_TITLES == 0))
		print_titles(kvmstat);
	fputs(clock, kvmstat->out);
	for (size_t i = 0; i < n_counters; i++)
		if (shown(kvmstat, i))
			fprintf(kvmstat->out, "%c%*" PRIu64, kvmstat->csv ? ',' : ' ', log_width(kvmstat, i),
				kvmstat->delta[i]);
	fputc('\n', kvmstat->out);
}

static bool loop(struct kvmstat *kvmstat, GError **err)
{
	if (!look(kvmstat, err))
		return false;
	for (uint64_t line = 0;; line++) {
		poll(NULL, 0, (int)(kvmstat->delay_us / 1000));
		if (!look(kvmstat, err))
			return false;
		if (kvmstat->log)
			print_log(kvmstat, line);
		else if (kvmstat->session->format != REPORT_TABLE)
			print_report(kvmstat);
		else
			print_table(kvmstat);
		if (fflush(kvmstat->out) || kvmstat->once)
			return true;
	}
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	autoptr(shorts) shorts = shorts_parse(&cmd_kvmstat, short_rows, args, err);
	struct kvmstat kvmstat = { .session = session, .out = session->out };
	const char *path;
	bool done;

	if (!shorts)
		return false;
	kvmstat.home = session_home(session, err);
	done = kvmstat.home && parse(&kvmstat, shorts, err);
	path = done ? shorts_string(shorts, "log-to-file") : NULL;
	if (path) {
		kvmstat.out = fopen(path, "ae");
		if (!kvmstat.out)
			done = fail_errno(err, "%s: cannot write", path);
	}
	kvmstat.total = g_new0(uint64_t, n_counters);
	kvmstat.delta = g_new0(uint64_t, n_counters);
	/* Nothing asked for and nobody there to watch: one look. */
	kvmstat.watch = !kvmstat.once && !kvmstat.log && session->format == REPORT_TABLE && isatty(STDOUT_FILENO);
	kvmstat.once |= !kvmstat.log && !kvmstat.watch;
	done = done && loop(&kvmstat, err);
	if (path && kvmstat.out && fclose(kvmstat.out) && done)
		done = fail_errno(err, "%s: cannot write", path);
	g_clear_pointer(&kvmstat.fields, g_regex_unref);
	g_free(kvmstat.total);
	g_free(kvmstat.delta);
	return done;
}

static const struct arg_row args_kvmstat[] = {
	{ .name = "once", .type = ARG_FLAG, .help = "one table after one interval (-1)" },
	{ .name = "log", .type = ARG_FLAG, .help = "a line an interval (-l)" },
	{ .name = "log-to-file",
	  .type = ARG_STRING,
	  .help = "the same, appended to a file (-L)",
	  .complete = COMPLETE_FILE },
	{ .name = "csv", .type = ARG_FLAG, .help = "the log as CSV (-c)" },
	{ .name = "debugfs",
	  .type = ARG_FLAG,
	  .help = "accepted: the same counters as always, debugfs is not needed (-d)" },
	{ .name = "fields",
	  .type = ARG_STRING,
	  .help = "only counters whose name matches this regular expression (-f)" },
	{ .name = "guest", .type = ARG_STRING, .help = "only this domain (-g)", .complete = COMPLETE_DOMAIN_ACTIVE },
	{ .name = "pid", .type = ARG_STRING, .help = "only the VM with this process id (-p)" },
	{ .name = "set-delay", .type = ARG_STRING, .help = "seconds of an interval, 1 unless given (-s)" },
	{ .name = "skip-zero-records", .type = ARG_FLAG, .help = "leave log lines out in which nothing happened (-z)" },
	{ .name = "tracepoints", .type = ARG_FLAG, .help = "refused: they are the host kernel's (-t)" },
	{ .name = "short",
	  .type = ARG_REST,
	  .help = "one-letter options: -1 -l -L FILE -c -d -f RE -g NAME -p PID -s S -z" },
	ARG_END,
};

const struct command cmd_kvmstat = {
	.name = "kvmstat",
	.group = GROUP_LODGE,
	.flags = COMMAND_LODGE,
	.help = "watch what makes guests leave guest code",
	.about =
		"As kvm_stat, for all running domains of this connection together or for one: each counter with its total and what was\n"
		"added in the last interval. No rights, no debugfs; guests on the software CPU are counted the same way.",
	.args = args_kvmstat,
	.exclusive = "once|log, guest|pid, log|log-to-file",
	.run = run,
};
