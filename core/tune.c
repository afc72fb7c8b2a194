/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/tune.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/wire.h"
#include "core/cgroup.h"
#include "core/model/cpuset.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define KIB 1024

enum scope { SCOPE_VM, SCOPE_VCPUS, SCOPE_EMULATOR, SCOPE_IOTHREADS };

/* How a number becomes a file's text; CPU_MAX: version 2 has quota and period in one file. */
enum form { FORM_NUMBER, FORM_BYTES /* from KiB */, FORM_SHARES, FORM_QUOTA, FORM_PERIOD, FORM_WEIGHT, FORM_NONE };

struct param {
	struct tune_param public;
	enum cgroup_controller controller;
	enum scope scope;
	enum form form;
	const char *v1, *v2;
};

#define PERIOD_MIN 1000
#define PERIOD_MAX 1000000
#define QUOTA_MAX INT64_C(17592186044415)
#define MEMORY_MAX INT64_C(9007199254740991) /* KiB: what libvirt takes for unlimited */

/* clang-format off */
static const struct param params[] = {
	{ { "cpu_shares", "cputune/shares", "schedinfo", 2, 262144, false, "1024" },
	  CGROUP_CPU, SCOPE_VM, FORM_SHARES, "cpu.shares", "cpu.weight" },
	{ { "vcpu_period", "cputune/period", "schedinfo", PERIOD_MIN, PERIOD_MAX, false, "100000" },
	  CGROUP_CPU, SCOPE_VCPUS, FORM_PERIOD, "cpu.cfs_period_us", "cpu.max" },
	{ { "vcpu_quota", "cputune/quota", "schedinfo", 1000, QUOTA_MAX, true, "-1" },
	  CGROUP_CPU, SCOPE_VCPUS, FORM_QUOTA, "cpu.cfs_quota_us", "cpu.max" },
	{ { "emulator_period", "cputune/emulator_period", "schedinfo", PERIOD_MIN, PERIOD_MAX, false, "100000" },
	  CGROUP_CPU, SCOPE_EMULATOR, FORM_PERIOD, "cpu.cfs_period_us", "cpu.max" },
	{ { "emulator_quota", "cputune/emulator_quota", "schedinfo", 1000, QUOTA_MAX, true, "-1" },
	  CGROUP_CPU, SCOPE_EMULATOR, FORM_QUOTA, "cpu.cfs_quota_us", "cpu.max" },
	{ { "global_period", "cputune/global_period", "schedinfo", PERIOD_MIN, PERIOD_MAX, false, "100000" },
	  CGROUP_CPU, SCOPE_VM, FORM_PERIOD, "cpu.cfs_period_us", "cpu.max" },
	{ { "global_quota", "cputune/global_quota", "schedinfo", 1000, QUOTA_MAX, true, "-1" },
	  CGROUP_CPU, SCOPE_VM, FORM_QUOTA, "cpu.cfs_quota_us", "cpu.max" },
	{ { "iothread_period", "cputune/iothread_period", "schedinfo", PERIOD_MIN, PERIOD_MAX, false, "100000" },
	  CGROUP_CPU, SCOPE_IOTHREADS, FORM_PERIOD, "cpu.cfs_period_us", "cpu.max" },
	{ { "iothread_quota", "cputune/iothread_quota", "schedinfo", 1000, QUOTA_MAX, true, "-1" },
	  CGROUP_CPU, SCOPE_IOTHREADS, FORM_QUOTA, "cpu.cfs_quota_us", "cpu.max" },
	{ { "hard_limit", "memtune/hard_limit", "memtune", 1, MEMORY_MAX, true, "unlimited" },
	  CGROUP_MEMORY, SCOPE_VM, FORM_BYTES, "memory.limit_in_bytes", "memory.max" },
	{ { "soft_limit", "memtune/soft_limit", "memtune", 1, MEMORY_MAX, true, "unlimited" },
	  CGROUP_MEMORY, SCOPE_VM, FORM_BYTES, "memory.soft_limit_in_bytes", "memory.high" },
	{ { "swap_hard_limit", "memtune/swap_hard_limit", "memtune", 1, MEMORY_MAX, true, "unlimited" },
	  CGROUP_MEMORY, SCOPE_VM, FORM_BYTES, "memory.memsw.limit_in_bytes", "memory.swap.max" },
	{ { "min_guarantee", "memtune/min_guarantee", "memtune", 1, MEMORY_MAX, true, NULL },
	  CGROUP_MEMORY, SCOPE_VM, FORM_NONE, NULL, NULL },
	{ { "weight", "blkiotune/weight", "blkiotune", 10, 1000, false, "500" },
	  CGROUP_BLKIO, SCOPE_VM, FORM_WEIGHT, "blkio.bfq.weight", "io.bfq.weight" },
};

static const struct tune_device_param device_params[] = {
	{ "device-weights", "device_weight", "weight", "blkio.bfq.weight_device", "io.bfq.weight", NULL },
	{ "device-read-iops-sec", "device_read_iops_sec", "read_iops_sec", "blkio.throttle.read_iops_device", "io.max", "riops" },
	{ "device-write-iops-sec", "device_write_iops_sec", "write_iops_sec", "blkio.throttle.write_iops_device", "io.max", "wiops" },
	{ "device-read-bytes-sec", "device_read_bytes_sec", "read_bytes_sec", "blkio.throttle.read_bps_device", "io.max", "rbps" },
	{ "device-write-bytes-sec", "device_write_bytes_sec", "write_bytes_sec", "blkio.throttle.write_bps_device", "io.max", "wbps" },
};
/* clang-format on */

const struct tune_param *tune_param(size_t i)
{
	return i < G_N_ELEMENTS(params) ? &params[i].public : NULL;
}

const struct tune_device_param *tune_device_param(size_t i)
{
	return i < G_N_ELEMENTS(device_params) ? &device_params[i] : NULL;
}

static const struct param *find(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(params); i++) {
		if (!strcmp(params[i].public.name, name))
			return &params[i];
	}
	return NULL;
}

const struct tune_param *tune_find(const char *name)
{
	const struct param *param = find(name);

	return param ? &param->public : NULL;
}

/* --- values --- */

static bool is_unlimited(const struct tune_param *param, int64_t value)
{
	return param->unlimited && (value <= 0 || value >= MEMORY_MAX);
}

bool tune_check(const struct tune_param *param, int64_t value, GError **err)
{
	if (is_unlimited(param, value) || (value >= param->min && value <= param->max))
		return true;
	return fail(err, LODGE_ERROR_INPUT,
		    "%s: %" G_GINT64_FORMAT " is not from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT "%s", param->name,
		    value, param->min, param->max, param->unlimited ? ", nor -1 for no limit" : "");
}

bool tune_get(const struct domain *domain, const struct tune_param *param, int64_t *value)
{
	g_autofree char *text = xml_get(domain->root, param->path);

	return text && g_ascii_string_to_signed(text, 10, INT64_MIN, INT64_MAX, value, NULL);
}

void tune_put(struct domain *domain, const struct tune_param *param, int64_t value)
{
	bool memory = !strcmp(param->group, "memtune");

	if (memory && is_unlimited(param, value)) {
		xml_set(domain->root, param->path, NULL);
		return;
	}
	xml_setf(domain->root, param->path, "%" G_GINT64_FORMAT, value);
	if (memory) {
		g_autofree char *unit = g_strconcat(param->path, "/@unit", NULL);

		xml_set(domain->root, unit, "KiB");
	}
}

/* --- control groups --- */

/* Version 2 has shares of 1 to 10000 with 100 as the middle, cgroups(7); version 1 has 2 to 262144. */
static int64_t shares_to_weight(int64_t shares)
{
	return 1 + (shares - 2) * 9999 / 262142;
}

/* "max 100000" with one of its numbers replaced. */
static char *cpu_max(const char *now, enum form form, int64_t value)
{
	g_auto(GStrv) fields = g_strsplit(now ? now : "max 100000", " ", 2);
	g_autofree char *text = form == FORM_QUOTA && value <= 0 ? g_strdup("max") :
								   g_strdup_printf("%" G_GINT64_FORMAT, value);

	if (g_strv_length(fields) != 2)
		return g_steal_pointer(&text);
	return form == FORM_QUOTA ? g_strconcat(text, " ", fields[1], NULL) : g_strconcat(fields[0], " ", text, NULL);
}

static char *file_text(const struct param *param, bool v2, const char *now, int64_t value)
{
	bool none = is_unlimited(&param->public, value);

	switch (param->form) {
	case FORM_BYTES:
		return none ? g_strdup(v2 ? "max" : "-1") : g_strdup_printf("%" G_GINT64_FORMAT, value * KIB);
	case FORM_SHARES:
		return g_strdup_printf("%" G_GINT64_FORMAT, v2 ? shares_to_weight(value) : value);
	case FORM_QUOTA:
	case FORM_PERIOD:
		return v2 ? cpu_max(now, param->form, value) : g_strdup_printf("%" G_GINT64_FORMAT, none ? -1 : value);
	default:
		return g_strdup_printf("%" G_GINT64_FORMAT, value);
	}
}

/* Kernels with another I/O scheduler name the weight otherwise. */
static const char *weight_file(struct cgroup *cgroup, const char *file)
{
	if (cgroup_has(cgroup, CGROUP_BLKIO, file))
		return file;
	return strchr(file, 'b') == file ? "blkio.weight" : "io.weight";
}

static bool write_param(struct cgroup *cgroup, const struct param *param, bool v2, const char *sub, int64_t value,
			GError **err)
{
	const char *file = v2 ? param->v2 : param->v1;
	g_autofree char *now = NULL, *text = NULL;

	if (param->form == FORM_WEIGHT)
		file = weight_file(cgroup, file);
	now = cgroup_read(cgroup, param->controller, sub, file);
	text = file_text(param, v2, now, value);
	if (cgroup_write(cgroup, param->controller, sub, file, text, err))
		return true;
	g_prefix_error(err, "%s: ", param->public.name);
	return false;
}

static bool apply_vm_param(struct cgroup *cgroup, const struct param *param, int64_t value, GError **err)
{
	bool v2;

	if (!cgroup_make(cgroup, param->controller, &v2, err)) {
		g_prefix_error(err, "%s: ", param->public.name);
		return false;
	}
	return param->scope != SCOPE_VM || write_param(cgroup, param, v2, NULL, value, err);
}

static bool device_number(const char *path, char **number, GError **err)
{
	struct stat st;

	if (stat(path, &st))
		return fail_errno(err, "blkiotune: %s", path);
	if (!S_ISBLK(st.st_mode))
		return fail(err, LODGE_ERROR_INPUT, "blkiotune: %s is not a block device", path);
	*number = g_strdup_printf("%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return true;
}

static bool apply_device(struct cgroup *cgroup, const struct tune_device_param *row, const char *path,
			 const char *value, GError **err)
{
	g_autofree char *number = NULL, *text = NULL;
	bool v2;

	if (!device_number(path, &number, err) || !cgroup_make(cgroup, CGROUP_BLKIO, &v2, err))
		return false;
	text = v2 && row->v2_key ? g_strdup_printf("%s %s=%s", number, row->v2_key, value) :
				   g_strdup_printf("%s %s", number, value);
	if (cgroup_write(cgroup, CGROUP_BLKIO, NULL, v2 ? row->v2 : row->v1, text, err))
		return true;
	g_prefix_error(err, "%s: ", row->shown);
	return false;
}

/* --- the plan --- */

static void plan_params(json_t *plan, const struct domain *domain)
{
	json_t *list = json_object();

	for (size_t i = 0; i < G_N_ELEMENTS(params); i++) {
		int64_t value;

		if (params[i].form != FORM_NONE && params[i].scope != SCOPE_IOTHREADS &&
		    tune_get(domain, &params[i].public, &value))
			json_object_set_new(list, params[i].public.name, json_integer(value));
	}
	if (json_object_size(list))
		json_object_set(plan, "limits", list);
	json_decref(list);
}

static void plan_devices(json_t *plan, const struct domain *domain)
{
	json_t *list = json_array();

	for (xmlNode *device = xml_first(domain->root, "blkiotune/device"); device; device = xml_next(device)) {
		g_autofree char *path = xml_get(device, "path");

		for (size_t i = 0; path && i < G_N_ELEMENTS(device_params); i++) {
			g_autofree char *value = xml_get(device, device_params[i].element);

			if (value && strcmp(value, "0"))
				json_array_append_new(list, json_pack("{s:i,s:s,s:s}", "row", (int)i, "path", path,
								      "value", value));
		}
	}
	if (json_array_size(list))
		json_object_set(plan, "devices", list);
	json_decref(list);
}

static bool plan_set(json_t *object, const char *key, const char *list, const char *where, GError **err)
{
	struct cpuset set;

	if (!list)
		return true;
	if (!cpuset_parse(&set, list, err)) {
		g_prefix_error(err, "%s: ", where);
		return false;
	}
	json_object_set_new(object, key, json_string(list));
	return true;
}

static bool plan_affinity(json_t *plan, const struct domain *domain, GError **err)
{
	auto_json json_t *affinity = json_object(), *vcpus = json_object();
	g_autofree char *all = xml_get(domain->root, "vcpu/@cpuset");
	g_autofree char *emulator = xml_get(domain->root, "cputune/emulatorpin/@cpuset");

	for (xmlNode *pin = xml_first(domain->root, "cputune/vcpupin"); pin; pin = xml_next(pin)) {
		g_autofree char *vcpu = xml_get(pin, "@vcpu");
		g_autofree char *list = xml_get(pin, "@cpuset");

		if (vcpu && !plan_set(vcpus, vcpu, list, "vcpupin", err))
			return false;
	}
	if (!plan_set(affinity, "all", all, "vcpu cpuset", err) ||
	    !plan_set(affinity, "emulator", emulator, "emulatorpin", err))
		return false;
	if (json_object_size(vcpus))
		json_object_set(affinity, "vcpu", vcpus);
	if (json_object_size(affinity))
		json_object_set(plan, "affinity", affinity);
	return true;
}

static const struct {
	const char *name;
	int policy;
} policies[] = {
	{ "strict", MPOL_BIND },
	{ "preferred", MPOL_PREFERRED },
	{ "interleave", MPOL_INTERLEAVE },
	{ "restrictive", MPOL_BIND },
};

static bool plan_memory(json_t *plan, const struct domain *domain, GError **err)
{
	g_autofree char *mode = xml_get(domain->root, "numatune/memory/@mode");
	g_autofree char *nodes = xml_get(domain->root, "numatune/memory/@nodeset");
	json_t *policy;

	if (!nodes)
		return true;
	policy = json_pack("{s:s}", "mode", mode ? mode : "strict");
	json_object_set_new(plan, "memory", policy);
	return plan_set(policy, "nodes", nodes, "numatune nodeset", err);
}

json_t *tune_plan(const struct domain *domain, GError **err)
{
	auto_json json_t *plan = json_object();

	plan_params(plan, domain);
	plan_devices(plan, domain);
	if (!plan_affinity(plan, domain, err) || !plan_memory(plan, domain, err))
		return NULL;
	return g_steal_pointer(&plan);
}

/* --- applying --- */

bool tune_prepare(const char *uuid, const json_t *plan, GError **err)
{
	autoptr(cgroup) cgroup = cgroup_new(CGROUP_ROOT, uuid);
	json_t *value, *device;
	const char *name;
	size_t i;

	json_object_foreach(json_object_get(plan, "limits"), name, value)
	{
		const struct param *param = find(name);

		if (param && !apply_vm_param(cgroup, param, json_integer_value(value), err))
			return false;
	}
	json_array_foreach(json_object_get(plan, "devices"), i, device)
	{
		size_t row = (size_t)json_integer_value(json_object_get(device, "row"));

		if (row < G_N_ELEMENTS(device_params) &&
		    !apply_device(cgroup, &device_params[row], json_string_value(json_object_get(device, "path")),
				  json_string_value(json_object_get(device, "value")), err))
			return false;
	}
	return true;
}

bool tune_set_memory(const json_t *plan, GError **err)
{
	const json_t *memory = json_object_get(plan, "memory");
	const char *mode = json_string_value(json_object_get(memory, "mode"));
	struct cpuset nodes = { 0 };
	unsigned long mask[CPUSET_MAX / (8 * sizeof(unsigned long))];

	if (!memory)
		return !syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0ul) || errno == ENOSYS;
	if (!cpuset_parse(&nodes, json_string_value(json_object_get(memory, "nodes")), err))
		return false;
	memcpy(mask, nodes.bits, sizeof(mask));
	for (size_t i = 0; i < G_N_ELEMENTS(policies); i++) {
		/*
		 * maxnode counts one more than the highest bit, set_mempolicy(2); the kernel's own limit is 1024 nodes.
		 */
		if (!strcmp(policies[i].name, mode) && !syscall(SYS_set_mempolicy, policies[i].policy, mask, 1025ul))
			return true;
	}
	return fail_errno(err, "numatune: the host does not have this memory policy (%s on nodes %s)", mode,
			  json_string_value(json_object_get(memory, "nodes")));
}

static bool join_groups(const char *uuid, const json_t *plan, pid_t pid, GError **err)
{
	autoptr(cgroup) cgroup = cgroup_new(CGROUP_ROOT, uuid);
	const char *name;
	json_t *value;
	bool v2;

	if (!json_object_get(plan, "limits") && !json_object_get(plan, "devices"))
		return true;
	json_object_foreach(json_object_get(plan, "limits"), name, value)
	{
		const struct param *param = find(name);

		if (param && !cgroup_make(cgroup, param->controller, &v2, err))
			return false;
	}
	if (json_object_get(plan, "devices") && !cgroup_make(cgroup, CGROUP_BLKIO, &v2, err))
		return false;
	return cgroup_add_process(cgroup, pid, err);
}

bool tune_enter(const char *uuid, const json_t *plan, pid_t pid, GError **err)
{
	return join_groups(uuid, plan, pid, err);
}

static bool set_affinity(pid_t tid, const char *list, GError **err)
{
	struct cpuset set;
	cpu_set_t *mask;
	bool done;

	if (!list)
		return true;
	if (!cpuset_parse(&set, list, err))
		return false;
	mask = CPU_ALLOC(CPUSET_MAX);
	memcpy(mask, set.bits, sizeof(set.bits));
	/* A thread that has ended meanwhile needs none. */
	done = !sched_setaffinity(tid, sizeof(set.bits), mask) || errno == ESRCH;
	CPU_FREE(mask);
	return done || (errno == EINVAL ? fail(err, LODGE_ERROR_INPUT,
					       "host CPUs %s: none of them exists or may be used here", list) :
					  fail_errno(err, "cannot set the affinity of thread %d to %s", tid, list));
}

/* -1: not a vCPU. */
static int vcpu_of(const struct stats_page *page, pid_t tid)
{
	for (uint32_t i = 0; i < MIN(page->n_vcpus, STATS_MAX_VCPUS); i++) {
		if ((pid_t)page->vcpu[i].tid == tid)
			return (int)i;
	}
	return -1;
}

static const char *affinity_of(const json_t *affinity, int vcpu)
{
	const char *list = NULL;

	if (vcpu >= 0) {
		g_autofree char *key = g_strdup_printf("%d", vcpu);

		list = json_string_value(json_object_get(json_object_get(affinity, "vcpu"), key));
	} else {
		list = json_string_value(json_object_get(affinity, "emulator"));
	}
	return list ? list : json_string_value(json_object_get(affinity, "all"));
}

/* Periods and quotas of one class of threads; the thread joins a group of its own class when there are any. */
static bool limit_thread(struct cgroup *cgroup, const json_t *limits, int vcpu, pid_t tid, GError **err)
{
	g_autofree char *sub = vcpu >= 0 ? g_strdup_printf("vcpu%d", vcpu) : g_strdup("emulator");
	enum scope scope = vcpu >= 0 ? SCOPE_VCPUS : SCOPE_EMULATOR;
	bool any = false, v2;

	for (size_t i = 0; i < G_N_ELEMENTS(params); i++) {
		json_t *value = json_object_get(limits, params[i].public.name);

		if (!value || params[i].scope != scope)
			continue;
		any = true;
		if (!cgroup_make(cgroup, CGROUP_CPU, &v2, err) ||
		    !write_param(cgroup, &params[i], v2, sub, json_integer_value(value), err))
			return false;
	}
	return !any || cgroup_add_thread(cgroup, CGROUP_CPU, sub, tid, err);
}

bool tune_threads(const char *uuid, const json_t *plan, pid_t pid, const struct stats_page *page, GError **err)
{
	autoptr(cgroup) cgroup = cgroup_new(CGROUP_ROOT, uuid);
	g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
	const json_t *affinity = json_object_get(plan, "affinity"), *limits = json_object_get(plan, "limits");
	g_autoptr(GDir) dir = NULL;
	const char *name;

	if (!affinity && !limits)
		return true;
	dir = g_dir_open(path, 0, err);
	while (dir && (name = g_dir_read_name(dir))) {
		pid_t tid = (pid_t)g_ascii_strtoull(name, NULL, 10);
		int vcpu = vcpu_of(page, tid);

		if (!set_affinity(tid, affinity_of(affinity, vcpu), err) ||
		    !limit_thread(cgroup, limits, vcpu, tid, err))
			return false;
	}
	return dir != NULL;
}

void tune_remove(const char *uuid)
{
	autoptr(cgroup) cgroup = cgroup_new(CGROUP_ROOT, uuid);

	cgroup_remove(cgroup);
}

bool tune_live(const struct domain *domain, pid_t pid, const struct stats_page *page, GError **err)
{
	auto_json json_t *plan = tune_plan(domain, err);

	return plan && tune_prepare(domain->uuid, plan, err) && join_groups(domain->uuid, plan, pid, err) &&
	       tune_threads(domain->uuid, plan, pid, page, err);
}
