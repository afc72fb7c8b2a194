/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/error.h"
#include "tui/command.h"
#include "tui/report.h"
#include "tui/short-options.h"
#include "tui/top-screen.h"
#include "tui/top-terminal.h"

#define DEFAULT_DELAY_US (3 * (int64_t)G_USEC_PER_SEC)
#define FIRST_DELAY_US (G_USEC_PER_SEC / 5) /* before the first screen: rates need two looks */
#define MAX_HISTORY 10u
#define BATCH_COLUMNS 512u

extern const struct command cmd_top;

struct top {
	struct session *session;
	struct home *home;
	struct top_options options;
	struct top_host host;
	char *hostname;
	struct host *facts;
	int64_t delay_us, history_us, end_us; /* end: real time; 0: none */
	uint64_t iterations;		      /* 0: for ever */
	bool batch, script, stream, secure;
	FILE *csv;
	bool csv_owned;
	struct sample *before, *now;
	double history[MAX_HISTORY];
	unsigned n_history;
	int64_t history_at;
};

static void top_clear(struct top *top)
{
	if (top->csv_owned)
		fclose(top->csv);
	sample_free(top->before);
	sample_free(top->now);
	if (top->facts)
		host_free(top->facts);
	g_free(top->hostname);
}

/* --- options --- */

static const struct short_row short_rows[] = {
	{ '1', "cpus" },       { '2', "interfaces" }, { '3', "disks" },	 { 'b', "batch" }, { 'd', "delay" },
	{ 'n', "iterations" }, { 'o', "sort" },	      { 's', "secure" }, { 0, NULL },
};

/* "+SECONDS", "HH:MM:SS" of today, "YYYY-MM-DD HH:MM:SS", in local time. */
static bool parse_end(const char *text, int64_t *end_us, GError **err)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autoptr(GDateTime) end = NULL;
	int year = g_date_time_get_year(now), month = g_date_time_get_month(now),
	    day = g_date_time_get_day_of_month(now);
	int hour, minute, second, used = 0;
	uint64_t seconds;

	if (text[0] == '+' && g_ascii_string_to_unsigned(text + 1, 10, 0, G_MAXUINT32, &seconds, NULL)) {
		*end_us = g_get_real_time() + (int64_t)seconds * G_USEC_PER_SEC;
		return true;
	}
	if (strchr(text, '-') &&
	    (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 || !strchr(" T", text[used])))
		return fail(err, LODGE_ERROR_USAGE, "--end-time '%s': +SECONDS, HH:MM:SS or YYYY-MM-DD HH:MM:SS", text);
	text += used ? used + 1 : 0;
	if (sscanf(text, "%2d:%2d:%2d%n", &hour, &minute, &second, &used) == 3 && !text[used])
		end = g_date_time_new_local(year, month, day, hour, minute, second);
	if (!end)
		return fail(err, LODGE_ERROR_USAGE, "--end-time '%s': +SECONDS, HH:MM:SS or YYYY-MM-DD HH:MM:SS", text);
	*end_us = g_date_time_to_unix(end) * G_USEC_PER_SEC;
	return true;
}

static bool open_csv(struct top *top, const char *path, GError **err)
{
	if (!path)
		return true;
	if (!strcmp(path, "-")) {
		top->csv = top->session->out;
		return true;
	}
	top->csv = fopen(path, "we");
	if (!top->csv)
		return fail_errno(err, "%s: cannot write", path);
	top->csv_owned = true;
	return true;
}

static bool parse_sort(struct top *top, const char *text, GError **err)
{
	g_autoptr(GString) known = NULL;

	if (!text || top_sort_parse(text, &top->options.sort))
		return true;
	known = g_string_new(NULL);
	for (unsigned i = 0; i < TOP_N_SORTS; i++)
		g_string_append_printf(known, "%s%s", i ? ", " : "", top_sort_name((enum top_sort)i));
	return fail(err, LODGE_ERROR_USAGE, "--sort '%s': one of %s", text, known->str);
}

static bool parse(struct top *top, const struct shorts *shorts, GError **err)
{
	static const char *const view_flags[] = { NULL, "cpus", "interfaces", "disks" };
	const char *end = shorts_string(shorts, "end-time");

	top->delay_us = DEFAULT_DELAY_US;
	top->options = (struct top_options){
		.sort = TOP_BY_CPU,
		.bytes = shorts_flag(shorts, "block-in-bytes"),
		.csv_cpu = !shorts_flag(shorts, "no-csv-cpu"),
		.csv_mem = !shorts_flag(shorts, "no-csv-mem"),
		.csv_block = !shorts_flag(shorts, "no-csv-block"),
		.csv_net = !shorts_flag(shorts, "no-csv-net"),
	};
	for (unsigned i = 1; i < TOP_N_VIEWS; i++)
		if (shorts_flag(shorts, view_flags[i]))
			top->options.view = (enum top_view)i;
	top->script = shorts_flag(shorts, "script");
	top->stream = shorts_flag(shorts, "stream");
	top->secure = shorts_flag(shorts, "secure");
	top->batch = shorts_flag(shorts, "batch") || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
		     top->session->format != REPORT_TABLE;
	if (!parse_sort(top, shorts_string(shorts, "sort"), err) ||
	    !shorts_seconds(shorts, "delay", &top->delay_us, err) ||
	    !shorts_uint(shorts, "iterations", 1, &top->iterations, err))
		return false;
	top->history_us = top->delay_us;
	return shorts_seconds(shorts, "hist-cpu", &top->history_us, err) &&
	       (!end || parse_end(end, &top->end_us, err)) && open_csv(top, shorts_string(shorts, "csv"), err);
}

/* --- taking and showing --- */

static void read_host(struct top *top)
{
	top->facts = host_read(NULL);
	top->hostname = g_strdup(g_get_host_name());
	top->host = (struct top_host){
		.name = top->hostname,
		.arch = top->facts->arch,
		.cpus = top->facts->n_present,
		.online = top->facts->n_online,
		.mhz = top->facts->mhz,
		.memory = top->facts->memory,
	};
}

static bool take(struct top *top, GError **err)
{
	struct sample *sample = sample_take(top->home, err);

	if (!sample)
		return false;
	sample_free(top->before);
	top->before = top->now;
	top->now = sample;
	return true;
}

static struct top_frame make_frame(const struct top *top, const char *clock)
{
	return (struct top_frame){ .host = &top->host,
				   .options = &top->options,
				   .before = top->before,
				   .now = top->now,
				   .clock = clock,
				   .history = top->history,
				   .n_history = top->n_history };
}

static void remember(struct top *top)
{
	struct top_frame frame = make_frame(top, "");

	if (top->n_history && top->now->when_us - top->history_at < top->history_us)
		return;
	memmove(top->history + 1, top->history, (MAX_HISTORY - 1) * sizeof(top->history[0]));
	top->history[0] = top_cpu_percent(&frame);
	top->n_history = MIN(top->n_history + 1, MAX_HISTORY);
	top->history_at = top->now->when_us;
}

static char *clock_text(const char *format)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_local();

	return g_date_time_format(now, format);
}

static const struct report_column columns[] = {
	{ .key = "id", .title = "Id" },
	{ .key = "name", .title = "Name" },
	{ .key = "state", .title = "State" },
	{ .key = "cpu_percent", .title = "%CPU" },
	{ .key = "cpu_time_ns", .title = "Time" },
	{ .key = "mem_percent", .title = "%MEM" },
	{ .key = "memory_kib", .title = "Memory" },
	{ .key = "rss_kib", .title = "RSS" },
	{ .key = "rd_req", .title = "RDRQ" },
	{ .key = "rd_bytes", .title = "RDBY" },
	{ .key = "wr_req", .title = "WRRQ" },
	{ .key = "wr_bytes", .title = "WRBY" },
	{ .key = "rx_bytes", .title = "RXBY" },
	{ .key = "tx_bytes", .title = "TXBY" },
	{ .key = NULL },
};

static void report_domains(const struct top *top)
{
	struct report *report = report_list(top->session, "domains", "domain", columns);

	for (unsigned i = 0; i < top->now->doms->len; i++) {
		const struct sample_dom *dom = top->now->doms->pdata[i];
		struct sample_rates rates;

		sample_compare(top->before, top->now, dom, top->host.online, &rates);
		if (dom->id >= 0)
			report_number(report, (uint64_t)dom->id, NULL);
		else
			report_absent(report);
		report_text(report, dom->name);
		report_text(report, domain_state_name(dom->state));
		report_real(report, rates.cpu_percent, NULL);
		report_number(report, dom->cpu_ns, NULL);
		report_real(report, top->host.memory ? 100.0 * (double)dom->memory / (double)top->host.memory : 0,
			    NULL);
		const uint64_t numbers[] = { dom->memory,  dom->rss,	   rates.rd_req,   rates.rd_bytes,
					     rates.wr_req, rates.wr_bytes, rates.rx_bytes, rates.tx_bytes };

		for (size_t k = 0; k < G_N_ELEMENTS(numbers); k++)
			report_number(report, numbers[k], NULL);
	}
	report_end(report);
}

/* One iteration's output, except for the terminal. */
static void print(struct top *top)
{
	g_autofree char *clock = clock_text("%H:%M:%S");
	g_autofree char *date = clock_text("%Y-%m-%d %H:%M:%S");
	struct top_frame frame = make_frame(top, top->stream ? date : clock);
	g_autofree char *text = NULL;

	if (top->csv) {
		g_autofree char *line = top_csv_line(&frame);

		fputs(line, top->csv);
		fflush(top->csv);
	}
	if (top->script || (top->csv == top->session->out))
		return;
	if (top->session->format != REPORT_TABLE) {
		report_domains(top);
	} else {
		text = top->stream ? top_stream(&frame) : top_screen(&frame, BATCH_COLUMNS, 0);
		fputs(text, top->session->out);
		if (!top->stream)
			fputc('\n', top->session->out);
	}
	fflush(top->session->out);
}

static bool finished(const struct top *top, uint64_t done)
{
	return (top->iterations && done >= top->iterations) || (top->end_us && g_get_real_time() >= top->end_us) ||
	       ferror(top->session->out) || (top->csv && ferror(top->csv));
}

static void wait_us(int64_t us)
{
	int64_t end = g_get_monotonic_time() + us;

	while (us > 0) {
		poll(NULL, 0, (int)(us / 1000) + 1);
		us = end - g_get_monotonic_time();
	}
}

static bool run_batch(struct top *top, GError **err)
{
	g_autofree char *header = top_csv_header(&top->options);

	if (top->csv)
		fputs(header, top->csv);
	if (!take(top, err))
		return false;
	for (uint64_t done = 0; !finished(top, done); done++) {
		wait_us(done ? top->delay_us : MIN(FIRST_DELAY_US, top->delay_us));
		if (!take(top, err))
			return false;
		remember(top);
		print(top);
	}
	if (top->csv_owned && ferror(top->csv))
		return fail(err, LODGE_ERROR_SYSTEM, "the CSV file cannot be written");
	return true;
}

/* --- keys --- */

static const char help_text[] = "Keys\n\n"
				"  0 1 2 3   domains, physical CPUs, network interfaces, disks\n"
				"  P M T N   sort by CPU, memory, time, id (I as well)\n"
				"  F R       choose the sort key, reverse the order\n"
				"  B         disks in bytes or requests\n"
				"  d         seconds between two screens\n"
				"  space ^L  look again now\n"
				"  ? h       this page\n"
				"  q         quit\n\n"
				"Any key goes back.\n";

static const struct {
	char key;
	enum top_sort sort;
} sort_keys[] = { { 'P', TOP_BY_CPU },
		  { 'M', TOP_BY_MEM },
		  { 'T', TOP_BY_TIME },
		  { 'N', TOP_BY_ID },
		  { 'I', TOP_BY_ID } };

static void ask_sort(struct top *top, struct top_terminal *terminal)
{
	g_autofree char *answer = top_terminal_ask(terminal,
						   "Sort by (cpu mem time id name netrx nettx blockrdrq blockwrrq):");

	if (answer)
		top_sort_parse(answer, &top->options.sort);
}

static void ask_delay(struct top *top, struct top_terminal *terminal)
{
	g_autofree char *answer = top->secure ? NULL : top_terminal_ask(terminal, "Seconds between two screens:");
	double seconds = answer ? g_ascii_strtod(answer, NULL) : 0;

	if (seconds >= 0.1 && seconds <= 86400)
		top->delay_us = (int64_t)(seconds * G_USEC_PER_SEC);
}

enum answer { SHOW_AGAIN, LOOK_AGAIN, QUIT };

static enum answer do_key(struct top *top, struct top_terminal *terminal, int key)
{
	for (size_t i = 0; i < G_N_ELEMENTS(sort_keys); i++)
		if (key == sort_keys[i].key)
			top->options.sort = sort_keys[i].sort;
	if (key >= '0' && key < '0' + TOP_N_VIEWS)
		top->options.view = (enum top_view)(key - '0');
	switch (key) {
	case 'q':
	case TOP_KEY_END:
		return QUIT;
	case TOP_KEY_NONE:
	case ' ':
	case 'L' & 0x1f:
		return LOOK_AGAIN;
	case 'R':
		top->options.reverse = !top->options.reverse;
		break;
	case 'B':
		top->options.bytes = !top->options.bytes;
		break;
	case 'F':
		ask_sort(top, terminal);
		break;
	case 'd':
		ask_delay(top, terminal);
		break;
	case 'h':
	case '?':
		top_terminal_show(terminal, help_text);
		top_terminal_key(terminal, 3600 * (int64_t)G_USEC_PER_SEC);
		break;
	default:
		break;
	}
	return SHOW_AGAIN;
}

static void show(struct top *top, struct top_terminal *terminal)
{
	g_autofree char *clock = clock_text("%H:%M:%S");
	struct top_frame frame = make_frame(top, clock);
	g_autofree char *text = NULL;
	unsigned n_columns, rows;

	top_terminal_size(terminal, &n_columns, &rows);
	text = top_screen(&frame, n_columns, rows);
	top_terminal_show(terminal, text);
}

/* Keys until the next look is due. False: quit. */
static bool do_keys(struct top *top, struct top_terminal *terminal, int64_t delay_us)
{
	int64_t due = g_get_monotonic_time() + delay_us;

	for (;;) {
		int64_t left = due - g_get_monotonic_time();
		int key = top_terminal_key(terminal, MAX(left, 0));

		switch (do_key(top, terminal, key)) {
		case QUIT:
			return false;
		case LOOK_AGAIN:
			return true;
		case SHOW_AGAIN:
			show(top, terminal);
		}
	}
}

static bool run_terminal(struct top *top, GError **err)
{
	g_autofree char *header = top_csv_header(&top->options);
	autoptr(top_terminal) terminal = NULL;

	if (top->csv)
		fputs(header, top->csv);
	fflush(top->session->out);
	if (!take(top, err))
		return false;
	terminal = top_terminal_open(err);
	if (!terminal)
		return false;
	for (uint64_t done = 0; !finished(top, done); done++) {
		wait_us(done ? 0 : FIRST_DELAY_US);
		if (!take(top, err))
			return false;
		remember(top);
		show(top, terminal);
		if (top->csv) {
			g_autofree char *clock = clock_text("%H:%M:%S");
			struct top_frame frame = make_frame(top, clock);
			g_autofree char *line = top_csv_line(&frame);

			fputs(line, top->csv);
		}
		if (!do_keys(top, terminal, top->delay_us))
			break;
	}
	return true;
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	autoptr(shorts) shorts = shorts_parse(&cmd_top, short_rows, args, err);
	struct top top = { .session = session };
	bool done;

	if (!shorts)
		return false;
	top.home = session_home(session, err);
	done = top.home && parse(&top, shorts, err);
	if (done) {
		read_host(&top);
		done = top.batch || top.script || top.stream ? run_batch(&top, err) : run_terminal(&top, err);
	}
	top_clear(&top);
	return done;
}

static const struct arg_row args_top[] = {
	{ .name = "batch", .type = ARG_FLAG, .help = "print screens one after the other, take no keys (-b)" },
	{ .name = "iterations", .type = ARG_STRING, .help = "end after so many screens (-n)" },
	{ .name = "delay", .type = ARG_STRING, .help = "seconds between two screens, 3 unless given (-d)" },
	{ .name = "sort",
	  .type = ARG_STRING,
	  .help = "sort key (-o)",
	  .complete = COMPLETE_WORDS,
	  .values = "cpu|mem|time|id|name|netrx|nettx|blockrdrq|blockwrrq" },
	{ .name = "cpus", .type = ARG_FLAG, .help = "begin with the view of physical CPUs (-1)" },
	{ .name = "interfaces", .type = ARG_FLAG, .help = "begin with the view of network interfaces (-2)" },
	{ .name = "disks", .type = ARG_FLAG, .help = "begin with the view of disks (-3)" },
	{ .name = "block-in-bytes", .type = ARG_FLAG, .help = "disks in bytes instead of requests" },
	{ .name = "csv",
	  .type = ARG_STRING,
	  .help = "write a line a screen to this file, - is standard output",
	  .complete = COMPLETE_FILE },
	{ .name = "no-csv-cpu", .type = ARG_FLAG, .help = "leave processor time out of the CSV" },
	{ .name = "no-csv-mem", .type = ARG_FLAG, .help = "leave memory out of the CSV" },
	{ .name = "no-csv-block", .type = ARG_FLAG, .help = "leave disks out of the CSV" },
	{ .name = "no-csv-net", .type = ARG_FLAG, .help = "leave network interfaces out of the CSV" },
	{ .name = "script", .type = ARG_FLAG, .help = "no screens: only the CSV" },
	{ .name = "stream", .type = ARG_FLAG, .help = "screens as plain lines with date and host" },
	{ .name = "end-time", .type = ARG_STRING, .help = "end at HH:MM:SS, YYYY-MM-DD HH:MM:SS or after +SECONDS" },
	{ .name = "hist-cpu", .type = ARG_STRING, .help = "seconds between two CPU percentages of the first line" },
	{ .name = "secure", .type = ARG_FLAG, .help = "the delay cannot be changed by keys (-s)" },
	{ .name = "short", .type = ARG_REST, .help = "one-letter options: -b -n N -d S -o KEY -1 -2 -3 -s" },
	ARG_END,
};

const struct command cmd_top = {
	.name = "top",
	.group = GROUP_LODGE,
	.flags = COMMAND_LODGE,
	.help = "watch what domains take of the host",
	.about =
		"%CPU is of all the host's processors together; RDRQ to TXBY count what happened since the last screen. S: R running, S idle\n"
		"in HLT, P paused, D shutting down, X crashed. Keys: 0-3 views, P M T N F R sorting, B bytes, d delay, ? help, q quit.\n"
		"\n"
		"With --batch, or when there is no terminal, screens are printed; -f json prints an array for each.",
	.args = args_top,
	.exclusive = "script|stream, cpus|interfaces|disks",
	.run = run,
};
