/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/stats.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/base/fd.h"

#define QCOW2_MAGIC 0x514649fbu
#define STAT_BLOCK 512u /* unit of st_blocks */

static void dom_disk_free(gpointer data)
{
	struct dom_disk *disk = data;

	g_free(disk->target);
	g_free(disk->path);
	g_free(disk->format);
	g_free(disk);
}

void dom_stats_free(struct dom_stats *stats)
{
	if (!stats)
		return;
	g_ptr_array_unref(stats->disks);
	g_free(stats->vcpu);
	g_free(stats);
}

static void read_vcpu(struct dom_vcpu *vcpu, const char *root, int pid)
{
	struct proc_stat stat;

	vcpu->cpu = -1;
	if (!vcpu->tid || !proc_read_stat(root, pid, vcpu->tid, &stat))
		return;
	vcpu->timed = true;
	vcpu->cpu = stat.cpu;
	if (!proc_read_sched(root, pid, vcpu->tid, &vcpu->run_ns, &vcpu->wait_ns))
		vcpu->run_ns = stat.user_ns + stat.system_ns;
}

static void read_vcpus(struct dom_stats *stats, unsigned want, const char *root)
{
	const struct stats_page *page = stats->page;
	unsigned halted = 0;

	stats->vcpus = MIN(page->n_vcpus, STATS_MAX_VCPUS);
	stats->vcpu = g_new0(struct dom_vcpu, stats->vcpus + 1);
	for (unsigned i = 0; i < stats->vcpus; i++) {
		struct dom_vcpu *vcpu = &stats->vcpu[i];

		vcpu->counters = &page->vcpu[i];
		vcpu->tid = (int)page->vcpu[i].tid;
		vcpu->halted = __atomic_load_n(&page->vcpu[i].halted, __ATOMIC_RELAXED) != 0;
		vcpu->state = vcpu->halted ? DOM_VCPU_BLOCKED : DOM_VCPU_RUNNING;
		halted += vcpu->halted;
		if ((want & DOM_STATS_VCPUS) && stats->dom->pid > 0)
			read_vcpu(vcpu, root, stats->dom->pid);
	}
	stats->idle = stats->dom->state.state == DOMAIN_RUNNING && stats->vcpus && halted == stats->vcpus;
}

static void read_process(struct dom_stats *stats, const char *root)
{
	int pid = stats->dom->pid;
	struct proc_stat stat;

	if (pid <= 0 || !proc_read_stat(root, pid, 0, &stat))
		return;
	/* The pid may have gone to somebody else since the page was written. */
	if (stats->page->pid_start && stat.start != stats->page->pid_start)
		return;
	stats->timed = true;
	stats->user_ns = stat.user_ns;
	stats->system_ns = stat.system_ns;
	stats->rss = stat.rss_kib;
	if (root || !proc_cpu_time(pid, &stats->cpu_ns))
		stats->cpu_ns = stat.user_ns + stat.system_ns;
}

static const struct stats_disk *page_disk(const struct stats_page *page, const char *target)
{
	for (unsigned i = 0; page && i < MIN(page->n_disks, STATS_MAX_DISKS); i++)
		if (strncmp(page->disk[i].name, target, sizeof(page->disk[i].name)) == 0)
			return &page->disk[i];
	return NULL;
}

/* The guest's view of an image: qcow2 says it in its header, anything else is as large as it is. */
static uint64_t image_capacity(int fd, const char *format, uint64_t physical)
{
	unsigned char header[32];
	uint64_t size;
	uint32_t magic;

	if (g_strcmp0(format, "qcow2") != 0 || pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return physical;
	memcpy(&magic, header, sizeof(magic));
	memcpy(&size, header + 24, sizeof(size));
	return GUINT32_FROM_BE(magic) == QCOW2_MAGIC ? GUINT64_FROM_BE(size) : physical;
}

static void size_disk(struct dom_disk *disk)
{
	auto_fd int fd = -1;
	struct stat st;
	bool device;

	if (!disk->path || stat(disk->path, &st) < 0)
		return;
	device = S_ISBLK(st.st_mode);
	if (!device && !S_ISREG(st.st_mode))
		return;
	if (device || g_strcmp0(disk->format, "qcow2") == 0)
		fd = open(disk->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	disk->physical = (uint64_t)st.st_size;
	disk->allocation = (uint64_t)st.st_blocks * STAT_BLOCK;
	if (device && (fd < 0 || ioctl(fd, BLKGETSIZE64, &disk->physical) < 0))
		return;
	if (device)
		disk->allocation = disk->physical;
	disk->sized = true;
	disk->capacity = fd < 0 ? disk->physical : image_capacity(fd, disk->format, disk->physical);
}

static void add_disk(struct dom_stats *stats, char *target_consume, char *path_consume, char *format_consume,
		     unsigned want)
{
	struct dom_disk *disk = g_new0(struct dom_disk, 1);

	disk->target = target_consume;
	disk->path = path_consume;
	disk->format = format_consume;
	disk->counters = page_disk(stats->page, disk->target);
	if (want & DOM_STATS_IMAGES)
		size_disk(disk);
	if (disk->counters && stats_get(&disk->counters->capacity))
		disk->capacity = stats_get(&disk->counters->capacity);
	g_ptr_array_add(stats->disks, disk);
}

static void add_definition_disks(struct dom_stats *stats, const struct domain *definition, unsigned want)
{
	for (xmlNode *node = xml_first(definition->root, "devices/disk"); node; node = xml_next(node)) {
		char *target = xml_get(node, "target/@dev");
		char *path;

		if (!target)
			continue;
		path = xml_get(node, "source/@file");
		if (!path)
			path = xml_get(node, "source/@dev");
		add_disk(stats, target, path, xml_get(node, "driver/@type"), want);
	}
}

static void add_page_disks(struct dom_stats *stats, unsigned want)
{
	for (unsigned i = 0; stats->page && i < MIN(stats->page->n_disks, STATS_MAX_DISKS); i++) {
		const struct stats_disk *disk = &stats->page->disk[i];

		add_disk(stats, g_strndup(disk->name, sizeof(disk->name)), NULL, NULL, want);
	}
}

static void read_definition(struct dom_stats *stats, const struct domain *definition, unsigned want)
{
	stats->max_memory = domain_max_memory(definition);
	stats->memory = domain_memory(definition);
	stats->max_vcpus = domain_max_vcpus(definition);
	if (!stats->page)
		stats->vcpus = domain_vcpus(definition);
	g_strlcpy(stats->uuid, definition->uuid, sizeof(stats->uuid));
	add_definition_disks(stats, definition, want);
}

/* What the balloon has really left to the guest counts more than what was asked for. */
static void read_page(struct dom_stats *stats)
{
	uint64_t actual = stats_get(&stats->page->balloon.actual);

	if (!stats->max_memory)
		stats->max_memory = stats->page->max_memory / 1024;
	if (actual != UINT64_MAX && actual)
		stats->memory = actual;
	else if (!stats->memory)
		stats->memory = stats->max_memory;
	stats->max_vcpus = MAX(stats->max_vcpus, stats->vcpus);
	stats->n_nics = MIN(stats->page->n_nics, STATS_MAX_NICS);
	if (!stats->uuid[0])
		g_strlcpy(stats->uuid, stats->page->uuid, sizeof(stats->uuid));
}

struct dom_stats *dom_stats_new(const struct dom *dom, const struct domain *definition, unsigned want, const char *root)
{
	struct dom_stats *stats = g_new0(struct dom_stats, 1);

	stats->dom = dom;
	stats->page = dom->page;
	stats->disks = g_ptr_array_new_with_free_func(dom_disk_free);
	if (dom->page)
		read_vcpus(stats, want, root);
	if (definition)
		read_definition(stats, definition, want);
	else
		add_page_disks(stats, want);
	if (dom->page)
		read_page(stats);
	if (dom->page && (want & DOM_STATS_CPU))
		read_process(stats, root);
	return stats;
}

struct dom_stats *dom_stats_read(const struct home *home, const struct dom *dom, unsigned want)
{
	autoptr(domain) definition = NULL;

	/* A VM that is just starting or ending may have none for a moment. */
	if ((want & DOM_STATS_DEFINITION) || !dom->page)
		definition = dom_definition(home, dom, dom->page != NULL, NULL);
	return dom_stats_new(dom, definition, want, NULL);
}

const struct dom_disk *dom_stats_disk(const struct dom_stats *stats, const char *name)
{
	for (unsigned i = 0; i < stats->disks->len; i++) {
		const struct dom_disk *disk = stats->disks->pdata[i];

		if (strcmp(disk->target, name) == 0 || g_strcmp0(disk->path, name) == 0)
			return disk;
	}
	return NULL;
}

enum domain_state dom_stats_state(const struct dom_stats *stats)
{
	return stats->idle ? DOMAIN_BLOCKED : (enum domain_state)stats->dom->state.state;
}
