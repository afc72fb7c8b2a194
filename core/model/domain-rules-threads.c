/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules for the threads of a running VM: I/O threads, where threads run and how they are scheduled. */
#include "core/base/error.h"
#include "core/model/cpuset.h"
#include "core/model/domain-rules.h"

#define MAX_IOTHREADS 2048u

static bool collect_iothreads(xmlNode *root, GHashTable *ids, GError **err)
{
	uint64_t count = domain_number(root, "iothreads"), next = 1;

	if (count > MAX_IOTHREADS)
		return fail_xml(err, xml_find(root, "iothreads"), NULL, "%" G_GUINT64_FORMAT ": at most %u", count,
				MAX_IOTHREADS);
	for (xmlNode *n = xml_first(root, "iothreadids/iothread"); n; n = xml_next(n)) {
		uint64_t id = domain_number(n, "@id");

		if (!id || id > UINT32_MAX)
			return fail_xml(err, n, "id", "an I/O thread's number is 1 or more");
		if (!g_hash_table_add(ids, GUINT_TO_POINTER((unsigned)id)))
			return fail_xml(err, n, "id", "I/O thread %" G_GUINT64_FORMAT " is given twice", id);
	}
	while (g_hash_table_size(ids) < count)
		g_hash_table_add(ids, GUINT_TO_POINTER((unsigned)next++));
	return true;
}

/* Every element at path names an I/O thread that there is. once: and no two the same. */
static bool check_iothread_users(xmlNode *root, const char *path, const char *attr, bool once, GHashTable *ids,
				 GError **err)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
	g_autofree char *at = g_strconcat("@", attr, NULL);

	for (xmlNode *n = xml_first(root, path); n; n = xml_next(n)) {
		xmlNode *user = once ? n : xml_find(n, "driver");
		uint64_t id;

		if (!user || !xml_get_uint(user, at, &id))
			continue;
		if (id > UINT32_MAX || !g_hash_table_contains(ids, GUINT_TO_POINTER((unsigned)id)))
			return fail_xml(err, user, attr,
					"there is no I/O thread %" G_GUINT64_FORMAT ": <iothreads> has %u", id,
					g_hash_table_size(ids));
		if (once && !g_hash_table_add(seen, GUINT_TO_POINTER((unsigned)id)))
			return fail_xml(err, user, attr, "I/O thread %" G_GUINT64_FORMAT " is given twice", id);
	}
	return true;
}

/* Every number of a set names an I/O thread that there is. */
static bool check_iothread_scheds(xmlNode *root, GHashTable *ids, GError **err)
{
	for (xmlNode *sched = xml_first(root, "cputune/iothreadsched"); sched; sched = xml_next(sched)) {
		g_autofree char *text = xml_get(sched, "@iothreads");
		struct cpuset set;

		if (!text || !cpuset_parse(&set, text, NULL))
			continue;
		for (unsigned id = 0; id < CPUSET_MAX; id++) {
			if (cpuset_has(&set, id) && !g_hash_table_contains(ids, GUINT_TO_POINTER(id)))
				return fail_xml(err, sched, "iothreads",
						"there is no I/O thread %u: <iothreads> has %u", id,
						g_hash_table_size(ids));
		}
	}
	return true;
}

static bool check_iothreads(xmlNode *root, GError **err)
{
	g_autoptr(GHashTable) ids = g_hash_table_new(NULL, NULL);

	return collect_iothreads(root, ids, err) &&
	       check_iothread_users(root, "cputune/iothreadpin", "iothread", true, ids, err) &&
	       check_iothread_scheds(root, ids, err) &&
	       check_iothread_users(root, "devices/disk", "iothread", false, ids, err) &&
	       check_iothread_users(root, "devices/controller", "iothread", false, ids, err);
}

static bool check_pins(xmlNode *root, unsigned max, GError **err)
{
	g_autofree uint8_t *pinned = g_malloc0(max);

	for (xmlNode *pin = xml_first(root, "cputune/vcpupin"); pin; pin = xml_next(pin)) {
		uint64_t vcpu = domain_number(pin, "@vcpu");

		if (vcpu >= max)
			return fail_xml(err, pin, "vcpu",
					"there is no vCPU %" G_GUINT64_FORMAT ": they are numbered 0 to %u", vcpu,
					max - 1);
		if (pinned[vcpu]++)
			return fail_xml(err, pin, "vcpu", "vCPU %" G_GUINT64_FORMAT " is pinned twice", vcpu);
	}
	return true;
}

static bool check_vcpu_scheds(xmlNode *root, unsigned max, GError **err)
{
	struct cpuset all = { 0 };

	cpuset_fill(&all, max);
	for (xmlNode *sched = xml_first(root, "cputune/vcpusched"); sched; sched = xml_next(sched)) {
		g_autofree char *vcpus = xml_get(sched, "@vcpus");
		struct cpuset set;

		if (vcpus && !(cpuset_parse(&set, vcpus, NULL) && cpuset_is_subset(&set, &all)))
			return fail_xml(err, sched, "vcpus", "'%s' is not a list of vCPUs between 0 and %u", vcpus,
					max - 1);
	}
	return true;
}

bool domain_check_threads(xmlNode *root, unsigned max, GError **err)
{
	return check_iothreads(root, err) && check_pins(root, max, err) && check_vcpu_scheds(root, max, err);
}
