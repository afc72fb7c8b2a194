/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "tui/cmd/tune.h"

#define N_DEVICE_OPTIONS 5u

struct blkio_changes {
	struct tune_changes numbers;
	const char *devices[N_DEVICE_OPTIONS]; /* "/dev/sda,500,/dev/sdb,200"; NULL */
};

static xmlNode *find_device(struct domain *domain, const char *path)
{
	for (xmlNode *device = xml_first(domain->root, "blkiotune/device"); device; device = xml_next(device)) {
		if (xml_is(device, "path", path))
			return device;
	}
	return NULL;
}

/* 0 takes a limit away; a device without any goes, too. */
static void set_device(struct domain *domain, const char *path, const char *element, const char *value)
{
	xmlNode *device = find_device(domain, path);

	if (!device) {
		device = xml_add(xml_ensure(domain->root, "blkiotune"), "device");
		xml_set(device, "path", path);
	}
	xml_set(device, element, strcmp(value, "0") ? value : NULL);
	if (!xml_sibling(xml_child(device)))
		xml_remove(device);
}

static bool change_devices(struct domain *domain, const struct tune_device_param *row, const char *list, GError **err)
{
	g_auto(GStrv) words = g_strsplit(list, ",", -1);

	for (size_t i = 0; words[i]; i += 2) {
		guint64 number;

		if (words[i][0] != '/' || !words[i + 1])
			return fail(err, LODGE_ERROR_INPUT, "--%s: '%s' is not a list of /path,number pairs", row->name,
				    list);
		if (!g_ascii_string_to_unsigned(words[i + 1], 10, 0, G_MAXINT64, &number, NULL))
			return fail(err, LODGE_ERROR_INPUT, "--%s: '%s' is not a number", row->name, words[i + 1]);
		if (!strcmp(row->element, "weight") && number && (number < 10 || number > 1000))
			return fail(err, LODGE_ERROR_INPUT, "--%s: a weight is from 10 to 1000, or 0 to remove it",
				    row->name);
		set_device(domain, words[i], row->element, words[i + 1]);
	}
	return true;
}

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	struct blkio_changes *changes = opaque;

	for (size_t i = 0; i < N_DEVICE_OPTIONS; i++) {
		if (changes->devices[i] && !change_devices(domain, tune_device_param(i), changes->devices[i], err))
			return false;
	}
	return tune_change_domain(domain, &changes->numbers, err);
}

static void show_devices(struct session *session, struct report *report, const struct domain *domain)
{
	const struct tune_device_param *row;

	for (size_t i = 0; (row = tune_device_param(i)); i++) {
		g_autoptr(GString) list = g_string_new(NULL);

		for (xmlNode *device = xml_first(domain->root, "blkiotune/device"); device; device = xml_next(device)) {
			g_autofree char *path = xml_get(device, "path");
			g_autofree char *value = xml_get(device, row->element);

			if (path && value)
				g_string_append_printf(list, "%s%s,%s", list->len ? "," : "", path, value);
		}
		tune_show(session, report, row->shown, list->str);
	}
}

static bool show(struct session *session, const struct dom *dom, const struct scope *scope, GError **err)
{
	autoptr(domain) domain = scope_definition(session, dom, scope, err);
	autoptr(report) report = NULL;

	if (!domain)
		return false;
	report = report_record(session, "blkiotune");
	tune_show_params(session, report, domain, "blkiotune");
	show_devices(session, report, domain);
	if (session->format != REPORT_TABLE)
		report_end(g_steal_pointer(&report));
	return true;
}

static bool blkiotune(struct session *session, const struct args *args, GError **err)
{
	g_autoptr(GArray) values = g_array_new(FALSE, FALSE, sizeof(struct tune_change));
	struct blkio_changes changes = { .numbers = { values } };
	struct tune_change weight = { .param = tune_find("weight") };
	bool any = args_int(args, "weight", &weight.value);
	struct scope scope;
	autoptr(dom) dom = life_find(session, args, err);

	if (any)
		g_array_append_val(values, weight);
	for (size_t i = 0; i < N_DEVICE_OPTIONS; i++) {
		changes.devices[i] = args_string(args, tune_device_param(i)->name);
		any = any || changes.devices[i];
	}
	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	return any ? scope_change(session, dom, &scope, change_domain, tune_apply_live, &changes, err) :
		     show(session, dom, &scope, err);
}

static const struct arg_row args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "weight", .type = ARG_INT, .help = "share of disk time, 10 to 1000" },
	{ .name = "device-weights",
	  .type = ARG_STRING,
	  .help = "the same for single devices: /dev/sda,500,/dev/sdb,200" },
	{ .name = "device-read-iops-sec",
	  .type = ARG_STRING,
	  .help = "reads a second: /dev/sda,1000,... (0: no limit)" },
	{ .name = "device-write-iops-sec", .type = ARG_STRING, .help = "writes a second" },
	{ .name = "device-read-bytes-sec", .type = ARG_STRING, .help = "bytes read a second" },
	{ .name = "device-write-bytes-sec", .type = ARG_STRING, .help = "bytes written a second" },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_blkiotune = {
	.name = "blkiotune",
	.group = GROUP_DOMAIN,
	.help = "show or set a domain's share of the host's disks",
	.about = "Done by the host's control groups (blkio or io).",
	.args = args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = blkiotune,
};
