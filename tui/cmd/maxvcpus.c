/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/base/error.h"
#include "core/model/vm-config.h"
#include "tui/report.h"

static bool maxvcpus(struct session *session, const struct args *args, GError **err)
{
	const char *type = args_string(args, "type");
	struct report *report;

	if (type && strcmp(type, "kvm") != 0 && strcmp(type, "qemu") != 0)
		return fail(err, LODGE_ERROR_INPUT, "invalid domain type '%s': kvm and qemu are what there is", type);
	if (session->format == REPORT_TABLE) {
		fprintf(session->out, "%u\n", VM_CONFIG_MAX_VCPUS);
		return true;
	}
	report = report_record(session, "vcpus");
	report_field_number(report, "vcpus", "vCPUs", VM_CONFIG_MAX_VCPUS, NULL);
	report_end(report);
	return true;
}

static const struct arg_row args[] = {
	{ .name = "type", .type = ARG_STRING, .help = "type of domain, kvm or qemu; it makes no difference" },
	ARG_END,
};

const struct command cmd_maxvcpus = {
	.name = "maxvcpus",
	.group = GROUP_HOST,
	.flags = COMMAND_NO_CONNECT,
	.help = "show how many virtual CPUs a domain may have",
	.args = args,
	.run = maxvcpus,
};
