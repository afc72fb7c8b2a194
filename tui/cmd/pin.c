/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/model/cpuset.h"
#include "tui/cmd/tune.h"

/* vcpupin, emulatorpin and iothreadinfo: which host CPUs a VM's threads may run on. */

struct pin_change {
	bool emulator;
	unsigned vcpu;
	const char *list;
};

static unsigned host_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);

	return n > 0 ? (unsigned)n : 1;
}

static char *all_cpus(void)
{
	struct cpuset set;

	cpuset_fill(&set, MIN(host_cpus(), CPUSET_MAX));
	return cpuset_format(&set);
}

static xmlNode *find_pin(const struct domain *domain, unsigned vcpu)
{
	for (xmlNode *pin = xml_first(domain->root, "cputune/vcpupin"); pin; pin = xml_next(pin)) {
		uint64_t n;

		if (xml_get_uint(pin, "@vcpu", &n) && n == vcpu)
			return pin;
	}
	return NULL;
}

/* The pin itself, or what counts without one. */
static char *effective(const struct domain *domain, bool emulator, unsigned vcpu)
{
	xmlNode *pin = emulator ? xml_find(domain->root, "cputune/emulatorpin") : find_pin(domain, vcpu);
	g_autofree char *list = pin ? xml_get(pin, "@cpuset") : NULL;
	struct cpuset set;

	if (!list)
		list = xml_get(domain->root, "vcpu/@cpuset");
	return list && cpuset_parse(&set, list, NULL) ? cpuset_format(&set) : all_cpus();
}

static bool check_list(const char *list, GError **err)
{
	struct cpuset set, host;

	if (!cpuset_parse(&set, list, err))
		return false;
	cpuset_fill(&host, MIN(host_cpus(), CPUSET_MAX));
	return cpuset_is_subset(&set, &host) ||
	       fail(err, LODGE_ERROR_INPUT, "'%s': this host has CPUs 0 to %u", list, host_cpus() - 1);
}

static bool change_domain(struct domain *domain, void *opaque, GError **err)
{
	const struct pin_change *change = opaque;
	xmlNode *pin;

	(void)err;
	if (change->emulator) {
		xml_set(domain->root, "cputune/emulatorpin/@cpuset", change->list);
		return true;
	}
	pin = find_pin(domain, change->vcpu);
	if (!pin) {
		pin = xml_add(xml_ensure(domain->root, "cputune"), "vcpupin");
		xml_setf(pin, "@vcpu", "%u", change->vcpu);
	}
	xml_set(pin, "@cpuset", change->list);
	return true;
}

/* "r" gives a thread every CPU again. */
static bool take_list(struct pin_change *change, const char *list, char **all, GError **err)
{
	*all = all_cpus();
	change->list = strcmp(list, "r") ? list : *all;
	return check_list(change->list, err);
}

static const struct report_column vcpu_columns[] = {
	{ .key = "vcpu", .title = "VCPU" },
	{ .key = "affinity", .title = "CPU Affinity" },
	{ .key = NULL },
};

static bool show_vcpus(struct session *session, const struct domain *domain, bool one, uint64_t only, GError **err)
{
	unsigned n = domain_max_vcpus(domain);
	struct report *report;

	if (one && only >= n)
		return fail(err, LODGE_ERROR_INPUT, "vcpu %" G_GUINT64_FORMAT " is out of range: the domain has %u",
			    only, n);
	report = report_list(session, "vcpus", "vcpu", vcpu_columns);
	for (unsigned i = one ? (unsigned)only : 0; i < (one ? only + 1 : n); i++) {
		g_autofree char *list = effective(domain, false, i);

		report_number(report, i, NULL);
		report_text(report, list);
	}
	report_end(report);
	return true;
}

static bool vcpupin(struct session *session, const struct args *args, GError **err)
{
	struct pin_change change = { 0 };
	const char *list = args_string(args, "cpulist");
	g_autofree char *all = NULL;
	autoptr(domain) domain = NULL;
	uint64_t vcpu = 0;
	bool one = args_uint(args, "vcpu", &vcpu);
	struct scope scope;
	autoptr(dom) dom = NULL;

	if (list && !one)
		return fail(err, LODGE_ERROR_USAGE, "vcpupin: Missing vCPU number in pin mode");
	dom = life_find(session, args, err);
	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	domain = scope_definition(session, dom, &scope, err);
	if (!domain || !list)
		return domain && show_vcpus(session, domain, one, vcpu, err);
	if (vcpu >= domain_max_vcpus(domain))
		return fail(err, LODGE_ERROR_INPUT, "vcpu %" G_GUINT64_FORMAT " is out of range: the domain has %u",
			    vcpu, domain_max_vcpus(domain));
	change.vcpu = (unsigned)vcpu;
	return take_list(&change, list, &all, err) &&
	       scope_change(session, dom, &scope, change_domain, tune_apply_live, &change, err);
}

static bool emulatorpin(struct session *session, const struct args *args, GError **err)
{
	struct pin_change change = { .emulator = true };
	const char *list = args_string(args, "cpulist");
	g_autofree char *all = NULL, *now = NULL;
	autoptr(domain) domain = NULL;
	struct scope scope;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	if (list)
		return take_list(&change, list, &all, err) &&
		       scope_change(session, dom, &scope, change_domain, tune_apply_live, &change, err);
	domain = scope_definition(session, dom, &scope, err);
	if (!domain)
		return false;
	now = effective(domain, true, 0);
	if (session->format == REPORT_TABLE) {
		fprintf(session->out, "emulator: CPU Affinity\n----------------------------------\n       *: %s\n",
			now);
	} else {
		struct report *report = report_record(session, "emulator");

		report_field(report, "affinity", "CPU Affinity", now);
		report_end(report);
	}
	return true;
}

static char *iothread_affinity(const struct domain *domain, unsigned id)
{
	for (xmlNode *pin = xml_first(domain->root, "cputune/iothreadpin"); pin; pin = xml_next(pin)) {
		uint64_t n;

		if (xml_get_uint(pin, "@iothread", &n) && n == id)
			return xml_get(pin, "@cpuset");
	}
	return NULL;
}

static bool iothreadinfo(struct session *session, const struct args *args, GError **err)
{
	static const struct report_column columns[] = {
		{ .key = "id", .title = "IOThread ID" },
		{ .key = "affinity", .title = "CPU Affinity" },
		{ .key = NULL },
	};
	autoptr(domain) domain = NULL;
	struct report *report;
	uint64_t n = 0;
	struct scope scope;
	autoptr(dom) dom = life_find(session, args, err);

	if (!dom || !scope_of(args, dom, &scope, err))
		return false;
	domain = scope_definition(session, dom, &scope, err);
	if (!domain)
		return false;
	if ((!xml_get_uint(domain->root, "iothreads", &n) || !n) && session->format == REPORT_TABLE) {
		session_say(session, "No IOThreads found for the domain\n");
		return true;
	}
	report = report_list(session, "iothreads", "iothread", columns);
	for (unsigned i = 1; i <= n; i++) {
		g_autofree char *list = iothread_affinity(domain, i);
		g_autofree char *all = list ? NULL : all_cpus();

		report_number(report, i, NULL);
		report_text(report, list ? list : all);
	}
	report_end(report);
	return true;
}

static const struct arg_row vcpupin_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "vcpu", .type = ARG_DATA_UINT, .help = "number of the vCPU" },
	{ .name = "cpulist",
	  .type = ARG_DATA,
	  .flags = 0,
	  .help = "host CPUs, 0-3,^2; r: all of them; without it the present ones are shown" },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_vcpupin = {
	.name = "vcpupin",
	.group = GROUP_DOMAIN,
	.help = "show or set which host CPUs a vCPU runs on",
	.args = vcpupin_args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = vcpupin,
};

static const struct arg_row emulatorpin_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	{ .name = "cpulist",
	  .type = ARG_DATA,
	  .help = "host CPUs, 0-3,^2; r: all of them; without it the present ones are shown" },
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_emulatorpin = {
	.name = "emulatorpin",
	.group = GROUP_DOMAIN,
	.help = "show or set which host CPUs the threads beside the vCPUs run on",
	.args = emulatorpin_args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = emulatorpin,
};

static const struct arg_row iothreadinfo_args[] = {
	ARG_DOMAIN(COMPLETE_DOMAIN),
	SCOPE_ARGS,
	ARG_END,
};

const struct command cmd_iothreadinfo = {
	.name = "iothreadinfo",
	.group = GROUP_DOMAIN,
	.help = "show a domain's I/O threads",
	.args = iothreadinfo_args,
	.exclusive = SCOPE_EXCLUSIVE,
	.run = iothreadinfo,
};
