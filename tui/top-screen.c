/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tui/top-screen.h"

#include <inttypes.h>
#include <string.h>

#include "tui/text.h"

#define NS_PER_S UINT64_C(1000000000)

struct row {
	const struct sample_dom *dom;
	struct sample_rates rates;
	double mem_percent;
};

static const char *const sort_names[] = {
	[TOP_BY_CPU] = "cpu",  [TOP_BY_MEM] = "mem",	  [TOP_BY_TIME] = "time",
	[TOP_BY_ID] = "id",    [TOP_BY_NAME] = "name",	  [TOP_BY_RX] = "netrx",
	[TOP_BY_TX] = "nettx", [TOP_BY_RD] = "blockrdrq", [TOP_BY_WR] = "blockwrrq",
};
G_STATIC_ASSERT(G_N_ELEMENTS(sort_names) == TOP_N_SORTS);

const char *top_sort_name(enum top_sort sort)
{
	return sort_names[sort];
}

bool top_sort_parse(const char *name, enum top_sort *sort)
{
	for (unsigned i = 0; i < TOP_N_SORTS; i++) {
		if (strcmp(name, sort_names[i]))
			continue;
		*sort = (enum top_sort)i;
		return true;
	}
	return false;
}

/* --- numbers --- */

/* Four characters, from "   0" to "999G". */
static void put_count(GString *out, uint64_t n)
{
	static const char units[] = "KMGTPE";

	if (n <= 9999) {
		g_string_append_printf(out, " %4" PRIu64, n);
		return;
	}
	for (size_t i = 0; i < strlen(units); i++) {
		n /= 1024;
		if (n > 999)
			continue;
		g_string_append_printf(out, " %3" PRIu64 "%c", n, units[i]);
		return;
	}
}

static void put_percent(GString *out, double percent)
{
	g_string_append_printf(out, percent <= 99.9 ? " %4.1f" : " %4.0f", percent);
}

/* Nine characters: minutes, then hours, then days. */
static void put_time(GString *out, uint64_t ns)
{
	uint64_t seconds = ns / NS_PER_S, minutes = seconds / 60, hours = minutes / 60;

	if (hours < 12)
		g_string_append_printf(out, " %3" PRIu64 ":%02" PRIu64 ".%02" PRIu64, minutes, seconds % 60,
				       ns % NS_PER_S / 10000000);
	else if (hours < 999)
		g_string_append_printf(out, " %3" PRIu64 "h%02" PRIu64 ":%02" PRIu64, hours, minutes % 60,
				       seconds % 60);
	else
		g_string_append_printf(out, " %3" PRIu64 "d%02" PRIu64 ":%02" PRIu64, hours / 24, hours % 24,
				       minutes % 60);
}

static char state_letter(enum domain_state state)
{
	static const char letters[] = {
		[DOMAIN_NOSTATE] = '-',	 [DOMAIN_RUNNING] = 'R', [DOMAIN_BLOCKED] = 'S', [DOMAIN_PAUSED] = 'P',
		[DOMAIN_SHUTDOWN] = 'D', [DOMAIN_SHUTOFF] = 'O', [DOMAIN_CRASHED] = 'X', [DOMAIN_PMSUSPENDED] = 'M',
	};

	return state < G_N_ELEMENTS(letters) ? letters[state] : '-';
}

/* --- rows --- */

static double compare_rows(const struct row *a, const struct row *b, enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_CPU:
		return b->rates.cpu_percent - a->rates.cpu_percent;
	case TOP_BY_MEM:
		return b->mem_percent - a->mem_percent;
	case TOP_BY_TIME:
		return (double)b->dom->cpu_ns - (double)a->dom->cpu_ns;
	case TOP_BY_NAME:
		return strcmp(a->dom->name, b->dom->name);
	case TOP_BY_RX:
		return (double)b->rates.rx_bytes - (double)a->rates.rx_bytes;
	case TOP_BY_TX:
		return (double)b->rates.tx_bytes - (double)a->rates.tx_bytes;
	case TOP_BY_RD:
		return (double)b->rates.rd_req - (double)a->rates.rd_req;
	case TOP_BY_WR:
		return (double)b->rates.wr_req - (double)a->rates.wr_req;
	default:
		return a->dom->id - b->dom->id;
	}
}

/* Running domains by the key, and those that are shut off behind them by name; what is equal by id. */
static int sort_rows(gconstpointer left, gconstpointer right, gpointer data)
{
	const struct row *a = left, *b = right;
	const struct top_options *options = data;
	double difference;

	if ((a->dom->id < 0) != (b->dom->id < 0))
		return a->dom->id < 0 ? 1 : -1;
	if (a->dom->id < 0)
		return strcmp(a->dom->name, b->dom->name);
	difference = compare_rows(a, b, options->sort);
	if (difference > 0 || difference < 0)
		return (difference > 0) != options->reverse ? 1 : -1;
	return a->dom->id - b->dom->id;
}

static GArray *make_rows(const struct top_frame *frame)
{
	GArray *rows = g_array_new(FALSE, TRUE, sizeof(struct row));

	for (unsigned i = 0; i < frame->now->doms->len; i++) {
		struct row row = { .dom = frame->now->doms->pdata[i] };

		sample_compare(frame->before, frame->now, row.dom, frame->host->online, &row.rates);
		if (frame->host->memory)
			row.mem_percent = 100.0 * (double)row.dom->memory / (double)frame->host->memory;
		g_array_append_val(rows, row);
	}
	g_array_sort_with_data(rows, sort_rows, (gpointer)(uintptr_t)frame->options);
	return rows;
}

double top_cpu_percent(const struct top_frame *frame)
{
	double sum = 0;

	for (unsigned i = 0; i < frame->now->doms->len; i++) {
		struct sample_rates rates;

		sample_compare(frame->before, frame->now, frame->now->doms->pdata[i], frame->host->online, &rates);
		sum += rates.cpu_percent;
	}
	return sum;
}

/* --- heads --- */

struct totals {
	unsigned all, active, running, blocked, paused, shutdown, shutoff, crashed;
	uint64_t memory, cpu_ns; /* of the active ones; KiB */
};

static void count_totals(const struct sample *sample, struct totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	for (unsigned i = 0; i < sample->doms->len; i++) {
		const struct sample_dom *dom = sample->doms->pdata[i];

		totals->all++;
		totals->running += dom->state == DOMAIN_RUNNING;
		totals->blocked += dom->state == DOMAIN_BLOCKED;
		totals->paused += dom->state == DOMAIN_PAUSED || dom->state == DOMAIN_PMSUSPENDED;
		totals->shutdown += dom->state == DOMAIN_SHUTDOWN;
		totals->shutoff += dom->state == DOMAIN_SHUTOFF && dom->id >= 0;
		totals->crashed += dom->state == DOMAIN_CRASHED;
		if (dom->id < 0)
			continue;
		totals->active++;
		totals->memory += dom->memory;
		totals->cpu_ns += dom->cpu_ns;
	}
}

static void put_host(GString *out, const struct top_host *host)
{
	g_string_append_printf(out, "%s %u/%uCPU %uMHz %" PRIu64 "MB", host->arch, host->online, host->cpus, host->mhz,
			       host->memory / 1024);
}

static void put_head(GString *out, const struct top_frame *frame)
{
	struct totals totals;

	count_totals(frame->now, &totals);
	g_string_append_printf(out, "lodge top %s - ", frame->clock);
	put_host(out, frame->host);
	for (unsigned i = 0; i < frame->n_history; i++)
		g_string_append_printf(out, " %.1f%%", frame->history[i]);
	g_string_append_printf(
		out, "\n%u domains, %u active, %u running, %u sleeping, %u paused, %u inactive D:%u O:%u X:%u\n",
		totals.all, totals.active, totals.running, totals.blocked, totals.paused, totals.all - totals.active,
		totals.shutdown, totals.shutoff, totals.crashed);
	g_string_append_printf(out, "CPU: %.1f%%  Mem: %" PRIu64 " MB (%" PRIu64 " MB by guests)\n\n",
			       top_cpu_percent(frame), totals.memory / 1024, totals.memory / 1024);
}

/* --- views --- */

#define DOMAIN_TITLE "   ID S RDRQ WRRQ RXBY TXBY %CPU %MEM    TIME   NAME\n"
#define DOMAIN_TITLE_BYTES "   ID S RDBY WRBY RXBY TXBY %CPU %MEM    TIME   NAME\n"
#define NAME_COLUMN 48

static void put_domain(GString *out, const struct row *row, bool bytes)
{
	g_autofree char *name = text_cell(row->dom->name);

	if (row->dom->id < 0) {
		g_string_append_printf(out, "%5s%*s(%s)\n", "-", NAME_COLUMN - 5, "", name);
		return;
	}
	g_string_append_printf(out, "%5d %c", row->dom->id, state_letter(row->dom->state));
	put_count(out, bytes ? row->rates.rd_bytes : row->rates.rd_req);
	put_count(out, bytes ? row->rates.wr_bytes : row->rates.wr_req);
	put_count(out, row->rates.rx_bytes);
	put_count(out, row->rates.tx_bytes);
	put_percent(out, row->rates.cpu_percent);
	put_percent(out, row->mem_percent);
	put_time(out, row->dom->cpu_ns);
	g_string_append_printf(out, " %s\n", name);
}

static void put_domains(GString *out, const struct top_frame *frame)
{
	g_autoptr(GArray) rows = make_rows(frame);

	g_string_append(out, frame->options->bytes ? DOMAIN_TITLE_BYTES : DOMAIN_TITLE);
	for (unsigned i = 0; i < rows->len; i++)
		put_domain(out, &g_array_index(rows, struct row, i), frame->options->bytes);
}

/* Which share of a processor the vCPUs took that ran there last, per cent. */
static double share_of_cpu(const struct top_frame *frame, const struct sample_dom *dom, unsigned cpu)
{
	const struct sample_dom *old = sample_find(frame->before, dom);
	double elapsed_ns = frame->before ? (double)(frame->now->when_us - frame->before->when_us) * 1000 : 0;
	uint64_t ns = 0;

	for (unsigned i = 0; i < dom->n_vcpus; i++)
		if (dom->vcpus[i].cpu == (int)cpu)
			ns += sample_grown(dom->vcpus[i].run_ns, old && i < old->n_vcpus ? old->vcpus[i].run_ns : 0);
	return elapsed_ns > 0 ? 100.0 * (double)ns / elapsed_ns : 0;
}

static void put_cpus(GString *out, const struct top_frame *frame)
{
	g_autoptr(GArray) rows = make_rows(frame);

	g_string_append(out, "PHYCPU %CPU");
	for (unsigned i = 0; i < rows->len; i++) {
		const struct row *row = &g_array_index(rows, struct row, i);
		g_autofree char *name = text_cell(row->dom->name);

		if (row->dom->id >= 0)
			g_string_append_printf(out, " %10.10s", name);
	}
	g_string_append_c(out, '\n');
	for (unsigned cpu = 0; cpu < frame->now->n_cpus; cpu++) {
		g_string_append_printf(out, "%6u", cpu);
		put_percent(out, sample_cpu_busy(frame->before, frame->now, cpu));
		for (unsigned i = 0; i < rows->len; i++) {
			const struct row *row = &g_array_index(rows, struct row, i);

			if (row->dom->id >= 0)
				g_string_append_printf(out, " %10.1f", share_of_cpu(frame, row->dom, cpu));
		}
		g_string_append_c(out, '\n');
	}
}

static void put_owner(GString *out, const struct sample_dom *dom, const char *part)
{
	g_autofree char *name = text_cell(dom->name);
	g_autofree char *part_name = text_cell(part);

	g_string_append_printf(out, " %-12s %s\n", name, part_name);
}

static void put_nics(GString *out, const struct top_frame *frame)
{
	g_autoptr(GArray) rows = make_rows(frame);

	g_string_append(out, "   ID S RXBY TXBY RXPK TXPK DOMAIN       INTERFACE\n");
	for (unsigned i = 0; i < rows->len; i++) {
		const struct sample_dom *dom = g_array_index(rows, struct row, i).dom;
		const struct sample_dom *old = sample_find(frame->before, dom);

		for (unsigned k = 0; k < dom->n_nics; k++) {
			struct sample_nic nic = { 0 };

			if (frame->before)
				sample_compare_nic(old, &dom->nics[k], &nic);
			g_string_append_printf(out, "%5d %c", dom->id, state_letter(dom->state));
			put_count(out, nic.rx_bytes);
			put_count(out, nic.tx_bytes);
			put_count(out, nic.rx_packets);
			put_count(out, nic.tx_packets);
			put_owner(out, dom, dom->nics[k].name);
		}
	}
}

static void put_disks(GString *out, const struct top_frame *frame)
{
	g_autoptr(GArray) rows = make_rows(frame);

	g_string_append(out, "   ID S RDBY WRBY RDRQ WRRQ DOMAIN       DEVICE\n");
	for (unsigned i = 0; i < rows->len; i++) {
		const struct sample_dom *dom = g_array_index(rows, struct row, i).dom;
		const struct sample_dom *old = sample_find(frame->before, dom);

		for (unsigned k = 0; k < dom->n_disks; k++) {
			struct sample_disk disk = { 0 };

			if (frame->before)
				sample_compare_disk(old, &dom->disks[k], &disk);
			g_string_append_printf(out, "%5d %c", dom->id, state_letter(dom->state));
			put_count(out, disk.rd_bytes);
			put_count(out, disk.wr_bytes);
			put_count(out, disk.rd_req);
			put_count(out, disk.wr_req);
			put_owner(out, dom, dom->disks[k].name);
		}
	}
}

static void (*const views[])(GString *out, const struct top_frame *frame) = {
	[TOP_DOMAINS] = put_domains,
	[TOP_CPUS] = put_cpus,
	[TOP_NICS] = put_nics,
	[TOP_DISKS] = put_disks,
};
G_STATIC_ASSERT(G_N_ELEMENTS(views) == TOP_N_VIEWS);

/* Lines are cut at characters: text_cell() leaves nothing that is wider or has no width. */
static char *cut(const char *text, unsigned columns, unsigned rows)
{
	GString *out = g_string_new(NULL);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (unsigned i = 0; lines[i] && (lines[i + 1] || *lines[i]) && (!rows || i < rows); i++) {
		if (g_utf8_strlen(lines[i], -1) > (glong)columns)
			*g_utf8_offset_to_pointer(lines[i], (glong)columns) = '\0';
		g_string_append_printf(out, "%s\n", lines[i]);
	}
	return g_string_free(out, FALSE);
}

char *top_screen(const struct top_frame *frame, unsigned columns, unsigned rows)
{
	g_autoptr(GString) out = g_string_new(NULL);

	put_head(out, frame);
	views[frame->options->view](out, frame);
	return cut(out->str, columns, rows);
}

char *top_stream(const struct top_frame *frame)
{
	GString *out = g_string_new(NULL);

	g_string_append_printf(out, "virt-top time  %s Host %s ", frame->clock, frame->host->name);
	put_host(out, frame->host);
	g_string_append_c(out, '\n');
	put_domains(out, frame);
	return g_string_free(out, FALSE);
}

/* --- CSV --- */

static void put_field(GString *out, const char *text)
{
	if (out->len && out->str[out->len - 1] != '\n')
		g_string_append_c(out, ',');
	if (!strpbrk(text, ",\"\r\n")) {
		g_string_append(out, text);
		return;
	}
	g_string_append_c(out, '"');
	for (; *text; text++)
		g_string_append_printf(out, *text == '"' ? "\"%c" : "%c", *text);
	g_string_append_c(out, '"');
}

static void put_number(GString *out, uint64_t n)
{
	char text[24];

	g_snprintf(text, sizeof(text), "%" PRIu64, n);
	put_field(out, text);
}

static void put_real(GString *out, double value)
{
	char text[G_ASCII_DTOSTR_BUF_SIZE];

	put_field(out, g_ascii_formatd(text, sizeof(text), "%.1f", value));
}

char *top_csv_header(const struct top_options *options)
{
	static const char *const titles[] = {
		"Hostname",
		"Time",
		"Arch",
		"Physical CPUs",
		"Count",
		"Running",
		"Blocked",
		"Paused",
		"Shutdown",
		"Shutoff",
		"Crashed",
		"Active",
		"Inactive",
		"%CPU",
		"Total hardware memory (KB)",
		"Total memory (KB)",
		"Total guest memory (KB)",
		"Total CPU time (ns)",
		"Domain ID",
		"Domain name",
	};
	const struct {
		bool shown;
		const char *left, *right;
	} pairs[] = {
		{ options->csv_cpu, "CPU (ns)", "%CPU" },
		{ options->csv_mem, "Mem (bytes)", "%Mem" },
		{ options->csv_block, options->bytes ? "Block RDBY" : "Block RDRQ",
		  options->bytes ? "Block WRBY" : "Block WRRQ" },
		{ options->csv_net, "Net RXBY", "Net TXBY" },
	};
	GString *out = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(titles); i++)
		put_field(out, titles[i]);
	for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
		if (!pairs[i].shown)
			continue;
		put_field(out, pairs[i].left);
		put_field(out, pairs[i].right);
	}
	g_string_append_c(out, '\n');
	return g_string_free(out, FALSE);
}

static void put_csv_domain(GString *out, const struct row *row, const struct top_options *options)
{
	put_number(out, (uint64_t)row->dom->id);
	put_field(out, row->dom->name);
	if (options->csv_cpu) {
		put_number(out, row->rates.cpu_ns);
		put_real(out, row->rates.cpu_percent);
	}
	if (options->csv_mem) {
		put_number(out, row->dom->memory * 1024);
		put_real(out, row->mem_percent);
	}
	if (options->csv_block) {
		put_number(out, options->bytes ? row->rates.rd_bytes : row->rates.rd_req);
		put_number(out, options->bytes ? row->rates.wr_bytes : row->rates.wr_req);
	}
	if (options->csv_net) {
		put_number(out, row->rates.rx_bytes);
		put_number(out, row->rates.tx_bytes);
	}
}

char *top_csv_line(const struct top_frame *frame)
{
	g_autoptr(GArray) rows = make_rows(frame);
	GString *out = g_string_new(NULL);
	struct totals totals;

	count_totals(frame->now, &totals);
	put_field(out, frame->host->name);
	put_field(out, frame->clock);
	put_field(out, frame->host->arch);
	const uint64_t numbers[] = {
		frame->host->online, totals.all,     totals.running, totals.blocked, totals.paused,
		totals.shutdown,     totals.shutoff, totals.crashed, totals.active,  totals.all - totals.active
	};

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		put_number(out, numbers[i]);
	put_real(out, top_cpu_percent(frame));
	put_number(out, frame->host->memory);
	put_number(out, totals.memory);
	put_number(out, totals.memory);
	put_number(out, totals.cpu_ns);
	for (unsigned i = 0; i < rows->len; i++)
		if (g_array_index(rows, struct row, i).dom->id >= 0)
			put_csv_domain(out, &g_array_index(rows, struct row, i), frame->options);
	g_string_append_c(out, '\n');
	return g_string_free(out, FALSE);
}
