/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <jansson.h>

#include "core/base/error.h"
#include "core/base/wire.h"
#include "core/stats.h"
#include "tui/command.h"
#include "tui/report.h"

static const struct {
	const char *flag;
	unsigned group;
} group_rows[] = {
	{ "state", STATS_GROUP_STATE },
	{ "cpu-total", STATS_GROUP_CPU_TOTAL },
	{ "balloon", STATS_GROUP_BALLOON },
	{ "vcpu", STATS_GROUP_VCPU },
	{ "interface", STATS_GROUP_INTERFACE },
	{ "block", STATS_GROUP_BLOCK },
	{ "perf", STATS_GROUP_PERF },
	{ "iothread", STATS_GROUP_IOTHREAD },
	{ "memory", STATS_GROUP_MEMORY },
	{ "dirtyrate", STATS_GROUP_DIRTYRATE },
	{ "vm", STATS_GROUP_VM },
};

/* Bits of one category are alternatives, categories add up. */
enum {
	LIST_ACTIVE = 1 << 0,
	LIST_INACTIVE = 1 << 1,
	LIST_PERSISTENT = 1 << 2,
	LIST_TRANSIENT = 1 << 3,
	LIST_RUNNING = 1 << 4,
	LIST_PAUSED = 1 << 5,
	LIST_SHUTOFF = 1 << 6,
	LIST_OTHER = 1 << 7,
};

static const struct {
	const char *flag;
	unsigned bit;
} list_rows[] = {
	{ "list-active", LIST_ACTIVE },		{ "list-inactive", LIST_INACTIVE },
	{ "list-persistent", LIST_PERSISTENT }, { "list-transient", LIST_TRANSIENT },
	{ "list-running", LIST_RUNNING },	{ "list-paused", LIST_PAUSED },
	{ "list-shutoff", LIST_SHUTOFF },	{ "list-other", LIST_OTHER },
};

static bool listed(const struct dom *dom, unsigned lists)
{
	static const unsigned categories[] = { LIST_ACTIVE | LIST_INACTIVE, LIST_PERSISTENT | LIST_TRANSIENT,
					       LIST_RUNNING | LIST_PAUSED | LIST_SHUTOFF | LIST_OTHER };
	unsigned is = dom->id >= 0 ? LIST_ACTIVE : LIST_INACTIVE;

	is |= dom->persistent ? LIST_PERSISTENT : LIST_TRANSIENT;
	switch (dom->state.state) {
	case DOMAIN_RUNNING:
	case DOMAIN_BLOCKED:
		is |= LIST_RUNNING;
		break;
	case DOMAIN_PAUSED:
		is |= LIST_PAUSED;
		break;
	case DOMAIN_SHUTOFF:
		is |= LIST_SHUTOFF;
		break;
	default:
		is |= LIST_OTHER;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(categories); i++)
		if ((lists & categories[i]) && !(lists & categories[i] & is))
			return false;
	return true;
}

/* Where the values go: one printer for each format. */
struct printer {
	struct session *session;
	json_t *all, *object;  /* JSON */
	struct report *report; /* CSV, XML */
	const char *name;
	unsigned n;
};

static void table_number(void *opaque, const char *key, uint64_t value)
{
	struct printer *printer = opaque;

	fprintf(printer->session->out, "  %s=%" PRIu64 "\n", key, value);
}

static void table_text(void *opaque, const char *key, const char *value)
{
	struct printer *printer = opaque;

	fprintf(printer->session->out, "  %s=%s\n", key, value);
}

static void json_number(void *opaque, const char *key, uint64_t value)
{
	struct printer *printer = opaque;

	json_object_set_new(printer->object, key, json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX)));
}

static void json_text(void *opaque, const char *key, const char *value)
{
	struct printer *printer = opaque;

	/* A path need not be UTF-8. */
	g_autofree char *valid = g_utf8_make_valid(value, -1);

	json_object_set_new(printer->object, key, json_string(valid));
}

static void report_number_row(void *opaque, const char *key, uint64_t value)
{
	struct printer *printer = opaque;

	report_text(printer->report, printer->name);
	report_text(printer->report, key);
	report_number(printer->report, value, NULL);
}

static void report_text_row(void *opaque, const char *key, const char *value)
{
	struct printer *printer = opaque;

	report_text(printer->report, printer->name);
	report_text(printer->report, key);
	report_text(printer->report, value);
}

static const struct report_column columns[] = {
	{ .key = "domain", .title = "Domain" },
	{ .key = "key", .title = "Key" },
	{ .key = "value", .title = "Value" },
	{ .key = NULL },
};

static void printer_begin(struct printer *printer)
{
	enum report_format format = printer->session->format;

	if (format == REPORT_JSON)
		printer->all = json_array();
	else if (format != REPORT_TABLE)
		printer->report = report_list(printer->session, "statistics", "value", columns);
}

static void printer_domain(struct printer *printer, const struct dom_stats *stats, unsigned groups, bool backing)
{
	struct stats_sink sink = { .number = table_number, .text = table_text, .opaque = printer };

	printer->name = stats->dom->name;
	if (printer->all) {
		printer->object = json_object();
		json_object_set_new(printer->object, "name", json_string(printer->name));
		json_array_append_new(printer->all, printer->object);
		sink.number = json_number;
		sink.text = json_text;
	} else if (printer->report) {
		sink.number = report_number_row;
		sink.text = report_text_row;
	} else {
		fprintf(printer->session->out, "%sDomain: '%s'\n", printer->n ? "\n" : "", printer->name);
	}
	printer->n++;
	dom_stats_report(stats, groups, backing, &sink);
}

static void printer_end(struct printer *printer)
{
	if (printer->all) {
		json_dumpf(printer->all, printer->session->out, JSON_INDENT(2));
		fputc('\n', printer->session->out);
		json_decref(printer->all);
	} else if (printer->report) {
		report_end(printer->report);
	}
}

static void dom_free_pointer(gpointer data)
{
	dom_free(data);
}

/* The domains that were named, or all. */
static GPtrArray *pick(struct home *home, const struct args *args, GError **err)
{
	const char *const *names = args_rest(args);
	g_autoptr(GPtrArray) doms = NULL;

	if (!names[0])
		return domains_list(home, DOMAINS_ACTIVE | DOMAINS_INACTIVE, err);
	doms = g_ptr_array_new_with_free_func(dom_free_pointer);
	for (size_t i = 0; names[i]; i++) {
		struct dom *dom = domains_find(home, names[i], err);

		if (!dom)
			return NULL;
		g_ptr_array_add(doms, dom);
	}
	return g_steal_pointer(&doms);
}

static bool pick_groups(const struct args *args, unsigned *groups, GError **err)
{
	*groups = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(group_rows); i++) {
		if (!args_flag(args, group_rows[i].flag))
			continue;
		*groups |= group_rows[i].group;
		if (args_flag(args, "enforce") && (group_rows[i].group & STATS_GROUPS_NONE))
			return fail(err, LODGE_ERROR_UNSUPPORTED,
				    "statistics group '%s' is not gathered by this version", group_rows[i].flag);
	}
	if (!*groups)
		*groups = STATS_GROUPS_ALL & ~STATS_GROUP_VM;
	return true;
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	struct home *home = session_home(session, err);
	struct printer printer = { .session = session };
	g_autoptr(GPtrArray) doms = NULL;
	unsigned groups, lists = 0;

	if (!home || !pick_groups(args, &groups, err))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(list_rows); i++)
		if (args_flag(args, list_rows[i].flag))
			lists |= list_rows[i].bit;
	doms = pick(home, args, err);
	if (!doms)
		return false;
	printer_begin(&printer);
	for (unsigned i = 0; i < doms->len; i++) {
		autoptr(dom_stats) stats = NULL;

		if (!listed(doms->pdata[i], lists))
			continue;
		stats = dom_stats_read(home, doms->pdata[i], dom_stats_want(groups));
		printer_domain(&printer, stats, groups, args_flag(args, "backing"));
	}
	printer_end(&printer);
	return true;
}

static const struct arg_row args_domstats[] = {
	{ .name = "state", .type = ARG_FLAG, .help = "state and its reason" },
	{ .name = "cpu-total", .type = ARG_FLAG, .help = "host CPU time of the whole VM" },
	{ .name = "balloon", .type = ARG_FLAG, .help = "memory as the balloon sees it" },
	{ .name = "vcpu", .type = ARG_FLAG, .help = "each virtual CPU: state, time, wait, exits" },
	{ .name = "interface", .type = ARG_FLAG, .help = "network interfaces" },
	{ .name = "block", .type = ARG_FLAG, .help = "disks" },
	{ .name = "perf", .type = ARG_FLAG, .help = "perf events" },
	{ .name = "iothread", .type = ARG_FLAG, .help = "I/O threads" },
	{ .name = "memory", .type = ARG_FLAG, .help = "memory bandwidth monitors" },
	{ .name = "dirtyrate", .type = ARG_FLAG, .help = "dirty page rate" },
	{ .name = "vm", .type = ARG_FLAG, .help = "sums over all virtual CPUs" },
	{ .name = "list-active", .type = ARG_FLAG, .help = "only active domains" },
	{ .name = "list-inactive", .type = ARG_FLAG, .help = "only inactive domains" },
	{ .name = "list-persistent", .type = ARG_FLAG, .help = "only persistent domains" },
	{ .name = "list-transient", .type = ARG_FLAG, .help = "only transient domains" },
	{ .name = "list-running", .type = ARG_FLAG, .help = "only running domains" },
	{ .name = "list-paused", .type = ARG_FLAG, .help = "only paused domains" },
	{ .name = "list-shutoff", .type = ARG_FLAG, .help = "only domains that are shut off" },
	{ .name = "list-other", .type = ARG_FLAG, .help = "only domains in other states" },
	{ .name = "raw", .type = ARG_FLAG, .help = "values as they are" },
	{ .name = "enforce", .type = ARG_FLAG, .help = "fail when a requested group is not there" },
	{ .name = "backing", .type = ARG_FLAG, .help = "number the nodes of backing chains" },
	{ .name = "nowait", .type = ARG_FLAG, .help = "only what needs no waiting, as always here" },
	{ .name = "domain", .type = ARG_REST, .help = "domains; without any, all", .complete = COMPLETE_DOMAIN },
	ARG_END,
};

const struct command cmd_domstats = {
	.name = "domstats",
	.group = GROUP_MONITOR,
	.help = "show statistics of one, several or all domains",
	.about =
		"Without a group, all of them but --vm are shown. Times are nanoseconds, sizes bytes, memory KiB. Names ending in\n"
		".sum are counters of the VM's own exits and events; they need no rights and cost the guest nothing.\n"
		"\n"
		"Groups that are not gathered yet (perf, iothread, memory, dirtyrate) show nothing, or fail with --enforce.",
	.args = args_domstats,
	.run = run,
};
