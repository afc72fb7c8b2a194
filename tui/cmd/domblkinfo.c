/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "core/base/error.h"
#include "core/stats.h"
#include "tui/cmd/life.h"
#include "tui/report.h"

/* "1.000 GiB", as virsh scales; g_free(). */
static char *scale(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1024 && unit + 1 < G_N_ELEMENTS(units); unit++)
		value /= 1024;
	return g_strdup_printf("%.3f %s", value, units[unit]);
}

static char *shown(uint64_t bytes, bool human)
{
	return human ? scale(bytes) : g_strdup_printf("%" PRIu64, bytes);
}

static void add_cell(struct report *report, const struct dom_disk *disk, uint64_t bytes, bool human)
{
	g_autofree char *text = shown(bytes, human);

	if (disk->sized)
		report_number(report, bytes, text);
	else
		report_absent(report);
}

static void show_all(struct session *session, const struct dom_stats *stats, bool human)
{
	static const struct report_column columns[] = {
		{ .key = "target", .title = "Target" },
		{ .key = "capacity", .title = "Capacity" },
		{ .key = "allocation", .title = "Allocation" },
		{ .key = "physical", .title = "Physical" },
		{ .key = NULL },
	};
	struct report *report = report_list(session, "disks", "disk", columns);

	for (unsigned i = 0; i < stats->disks->len; i++) {
		const struct dom_disk *disk = stats->disks->pdata[i];

		report_text(report, disk->target);
		add_cell(report, disk, disk->capacity, human);
		add_cell(report, disk, disk->allocation, human);
		add_cell(report, disk, disk->physical, human);
	}
	report_end(report);
}

static void show_one(struct session *session, const struct dom_disk *disk, bool human)
{
	const struct {
		const char *key, *title;
		uint64_t bytes;
	} fields[] = {
		{ "capacity", "Capacity", disk->capacity },
		{ "allocation", "Allocation", disk->allocation },
		{ "physical", "Physical", disk->physical },
	};
	struct report *report = report_record(session, "disk");

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		g_autofree char *text = shown(fields[i].bytes, human);

		report_field_number(report, fields[i].key, fields[i].title, fields[i].bytes, text);
	}
	report_end(report);
}

static bool run(struct session *session, const struct args *args, GError **err)
{
	const char *device = args_string(args, "device");
	bool human = args_flag(args, "human");
	autoptr(dom_stats) stats = NULL;
	const struct dom_disk *disk;
	autoptr(dom) dom = NULL;

	if (!device && !args_flag(args, "all"))
		return fail(err, LODGE_ERROR_USAGE, "either --device or --all must be given");
	dom = life_find(session, args, err);
	if (!dom)
		return false;
	stats = dom_stats_read(session->home, dom, DOM_STATS_DEFINITION | DOM_STATS_IMAGES);
	if (args_flag(args, "all")) {
		show_all(session, stats, human);
		return true;
	}
	disk = dom_stats_disk(stats, device);
	if (!disk)
		return fail(err, LODGE_ERROR_INPUT, "invalid argument: invalid path %s not assigned to domain", device);
	if (!disk->path)
		return fail(err, LODGE_ERROR_STATE, "disk '%s' does not currently have a source assigned", device);
	if (!disk->sized)
		return fail(err, LODGE_ERROR_SYSTEM, "%s: cannot look at this image", disk->path);
	show_one(session, disk, human);
	return true;
}

static const struct arg_row args_domblkinfo[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "device", .type = ARG_DATA, .help = "target or image path", .complete = COMPLETE_DISK },
	{ .name = "human", .type = ARG_FLAG, .help = "sizes with units" },
	{ .name = "all", .type = ARG_FLAG, .help = "all disks in a table" },
	ARG_END,
};

const struct command cmd_domblkinfo = {
	.name = "domblkinfo",
	.group = GROUP_MONITOR,
	.help = "show the sizes of a domain's disks",
	.about =
		"Capacity is what the guest sees, allocation what the image takes on the host, physical the length of the file.",
	.args = args_domblkinfo,
	.exclusive = "device|all",
	.run = run,
};
