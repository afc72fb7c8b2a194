/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/wire.h"
#include "core/cgroup.h"
#include "core/model/cpuset.h"
#include "core/tune.h"

/* --- lists of CPUs --- */

static void test_cpuset_refuses(void)
{
	static const char *const bad[] = { "",	  " ",	  ",", "1,", "a",    "1-",   "-1",
					   "3-1", "1--2", "^", "^1", "0,^0", "4096", "0-99999999999",
					   "1;2", "0x1" };

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		struct cpuset set;

		g_assert_false(cpuset_parse(&set, bad[i], &error));
		g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	}
}

static void test_cpuset_forms(void)
{
	static const struct {
		const char *text, *canonical;
	} good[] = {
		{ "0", "0" },	      { "0-3", "0-3" },		 { "0-3,^1", "0,2-3" }, { " 8 , 0-1", "0-1,8" },
		{ "0,1,2", "0-2" },   { "0-7,^2-5", "0-1,6-7" }, { "^0,0", "0" },	{ "4095", "4095" },
		{ "63-64", "63-64" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		g_autofree char *text = NULL;
		GError *error = NULL;
		struct cpuset set;

		g_assert_true(cpuset_parse(&set, good[i].text, &error));
		g_assert_no_error(error);
		text = cpuset_format(&set);
		g_assert_cmpstr(text, ==, good[i].canonical);
	}
}

static void test_cpuset_mask(void)
{
	g_autofree char *mask = NULL;
	struct cpuset set, all;

	g_assert_true(cpuset_parse(&set, "0,2", NULL));
	mask = cpuset_mask(&set, 4);
	g_assert_cmpstr(mask, ==, "y-y-");
	cpuset_fill(&all, 2);
	g_assert_false(cpuset_is_subset(&set, &all));
	g_assert_true(cpuset_is_subset(&all, &all));
}

/* --- plans --- */

#define DOMAIN(body) \
	"<domain type='qemu'><name>t</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory>65536</memory>" \
	"<vcpu>2</vcpu>" body "<os><type arch='x86_64'>hvm</type></os></domain>"

static struct domain *parse(const char *text)
{
	GError *error = NULL;
	struct domain *domain = domain_parse(text, strlen(text), "test", 0, &error);

	g_assert_no_error(error);
	return domain;
}

static void test_plan_empty(void)
{
	autoptr(domain) domain = parse(DOMAIN(""));
	auto_json json_t *plan = tune_plan(domain, NULL);

	g_assert_cmpuint(json_object_size(plan), ==, 0);
}

static void test_plan_everything(void)
{
	autoptr(domain)
		domain = parse(DOMAIN("<cputune><shares>2048</shares><quota>50000</quota><vcpupin vcpu='1' cpuset='0'/>"
				      "<emulatorpin cpuset='0'/></cputune>"
				      "<numatune><memory mode='strict' nodeset='0'/></numatune>"
				      "<memtune><hard_limit unit='G'>1</hard_limit></memtune>"));
	auto_json json_t *plan = tune_plan(domain, NULL);
	const json_t *limits = json_object_get(plan, "limits"), *affinity = json_object_get(plan, "affinity");

	g_assert_cmpint(json_integer_value(json_object_get(limits, "cpu_shares")), ==, 2048);
	g_assert_cmpint(json_integer_value(json_object_get(limits, "vcpu_quota")), ==, 50000);
	g_assert_cmpint(json_integer_value(json_object_get(limits, "hard_limit")), ==, 1 << 20);
	g_assert_cmpstr(json_string_value(json_object_get(affinity, "emulator")), ==, "0");
	g_assert_cmpstr(json_string_value(json_object_get(json_object_get(affinity, "vcpu"), "1")), ==, "0");
	g_assert_cmpstr(json_string_value(json_object_get(json_object_get(plan, "memory"), "nodes")), ==, "0");
}

static void test_ranges(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(tune_check(tune_find("cpu_shares"), 1, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_false(tune_check(tune_find("vcpu_quota"), 999, NULL));
	g_assert_true(tune_check(tune_find("vcpu_quota"), -1, NULL));
	g_assert_false(tune_check(tune_find("vcpu_period"), 999, NULL));
	g_assert_false(tune_check(tune_find("weight"), 9, NULL));
	g_assert_true(tune_check(tune_find("weight"), 1000, NULL));
	g_assert_null(tune_find("nonsense"));
}

/* --- the kernel --- */

struct worker {
	pid_t tid;
	GMutex lock;
	GCond ready;
	bool end;
};

static void *work(void *opaque)
{
	struct worker *worker = opaque;

	g_mutex_lock(&worker->lock);
	worker->tid = (pid_t)syscall(SYS_gettid);
	g_cond_broadcast(&worker->ready);
	while (!worker->end)
		g_cond_wait(&worker->ready, &worker->lock);
	g_mutex_unlock(&worker->lock);
	return NULL;
}

static char *affinity_of(pid_t tid)
{
	struct cpuset set = { 0 };
	cpu_set_t mask;

	g_assert_cmpint(sched_getaffinity(tid, sizeof(mask), &mask), ==, 0);
	for (unsigned i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &mask))
			cpuset_add(&set, i);
	}
	return cpuset_format(&set);
}

/* This process plays a VM with one vCPU thread. */
static void test_affinity(void)
{
	struct worker worker = { 0 };
	g_autofree char *before = affinity_of(0), *vcpu = NULL, *emulator = NULL;
	unsigned first = (unsigned)atoi(before);
	g_autofree char *text = g_strdup_printf(DOMAIN("<cputune><vcpupin vcpu='0' cpuset='%u'/></cputune>"), first);
	autoptr(domain) domain = parse(text);
	auto_json json_t *plan = tune_plan(domain, NULL);
	struct stats_page *page = g_new0(struct stats_page, 1);
	GError *error = NULL;
	GThread *thread;

	g_mutex_lock(&worker.lock);
	thread = g_thread_new("vcpu", work, &worker);
	while (!worker.tid)
		g_cond_wait(&worker.ready, &worker.lock);
	g_mutex_unlock(&worker.lock);
	page->n_vcpus = 1;
	page->vcpu[0].tid = (uint32_t)worker.tid;
	g_assert_true(tune_threads(domain->uuid, plan, getpid(), page, &error));
	g_assert_no_error(error);
	vcpu = affinity_of(worker.tid);
	emulator = affinity_of(getpid());
	g_assert_cmpint(atoi(vcpu), ==, (int)first);
	g_assert_null(strchr(vcpu, '-'));
	g_assert_cmpstr(emulator, ==, before);
	g_mutex_lock(&worker.lock);
	worker.end = true;
	g_cond_broadcast(&worker.ready);
	g_mutex_unlock(&worker.lock);
	g_thread_join(thread);
	g_free(page);
}

static void test_affinity_refused(void)
{
	autoptr(domain) domain = parse(DOMAIN("<cputune><emulatorpin cpuset='4000'/></cputune>"));
	auto_json json_t *plan = tune_plan(domain, NULL);
	struct stats_page *page = g_new0(struct stats_page, 1);
	g_autoptr(GError) error = NULL;

	g_assert_false(tune_threads(domain->uuid, plan, getpid(), page, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_free(page);
}

/* Control groups as this host has them; skipped where it does not let us. */
static void test_cgroup_limits(void)
{
	g_autofree char *uuid = g_uuid_string_random();
	autoptr(domain)
		domain = parse(DOMAIN("<cputune><shares>512</shares><global_quota>20000</global_quota></cputune>"));
	auto_json json_t *plan = tune_plan(domain, NULL);
	autoptr(cgroup) cgroup = cgroup_new("/sys/fs/cgroup", uuid);
	g_autoptr(GError) error = NULL;
	g_autofree char *shares = NULL, *quota = NULL, *gone = NULL;
	bool v2;

	if (!cgroup_make(cgroup, CGROUP_CPU, &v2, &error)) {
		g_test_skip(error->message);
		return;
	}
	g_assert_true(tune_prepare(uuid, plan, &error));
	g_assert_no_error(error);
	shares = cgroup_read(cgroup, CGROUP_CPU, NULL, v2 ? "cpu.weight" : "cpu.shares");
	quota = cgroup_read(cgroup, CGROUP_CPU, NULL, v2 ? "cpu.max" : "cpu.cfs_quota_us");
	g_assert_cmpstr(shares, ==, v2 ? "20" : "512");
	g_assert_true(g_str_has_prefix(quota, "20000"));
	tune_remove(uuid);
	gone = cgroup_read(cgroup, CGROUP_CPU, NULL, v2 ? "cpu.weight" : "cpu.shares");
	g_assert_null(gone);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cpuset/refuses", test_cpuset_refuses);
	g_test_add_func("/cpuset/forms", test_cpuset_forms);
	g_test_add_func("/cpuset/mask", test_cpuset_mask);
	g_test_add_func("/tune/plan-empty", test_plan_empty);
	g_test_add_func("/tune/plan-everything", test_plan_everything);
	g_test_add_func("/tune/ranges", test_ranges);
	g_test_add_func("/tune/affinity", test_affinity);
	g_test_add_func("/tune/affinity-refused", test_affinity_refused);
	g_test_add_func("/tune/cgroup-limits", test_cgroup_limits);
	return g_test_run();
}
