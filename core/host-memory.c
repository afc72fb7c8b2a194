/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/host-private.h"
#include "core/proc.h"

#define NODE_DIR "/sys/devices/system/node"
#define PAGE_DIR "/sys/kernel/mm/hugepages"
#define MAX_CELLS 1024u

static void host_cell_free(gpointer data)
{
	struct host_cell *cell = data;

	g_array_unref(cell->pages);
	g_array_unref(cell->distances);
	g_free(cell);
}

static GDir *open_dir(const char *root, const char *path)
{
	g_autofree char *full = g_strconcat(root ? root : "", path, NULL);

	return g_dir_open(full, 0, NULL);
}

bool host_has_entries(const char *root, const char *path)
{
	g_autoptr(GDir) dir = open_dir(root, path);

	return dir && g_dir_read_name(dir);
}

/* A line "key: N kB" of a meminfo file. */
static bool meminfo(const char *text, const char *key, uint64_t *value)
{
	const char *at = strstr(text, key);

	if (!at)
		return false;
	*value = g_ascii_strtoull(at + strlen(key), NULL, 10);
	return true;
}

bool host_memory_read(const char *root, int cell, struct host_memory *memory, GError **err)
{
	char text[8192];

	memset(memory, 0, sizeof(*memory));
	if (cell < 0 && proc_read_file(root, text, sizeof(text), "/proc/meminfo") < 0)
		return fail(err, LODGE_ERROR_SYSTEM, "/proc/meminfo: cannot be read");
	if (cell >= 0 && proc_read_file(root, text, sizeof(text), NODE_DIR "/node%d/meminfo", cell) < 0)
		return fail(err, LODGE_ERROR_INPUT, "invalid argument: there is no NUMA cell %d", cell);
	if (!meminfo(text, "MemTotal:", &memory->total) || !meminfo(text, "MemFree:", &memory->free))
		return fail(err, LODGE_ERROR_SYSTEM, "the kernel's memory statistics are not as expected");
	meminfo(text, "MemAvailable:", &memory->available);
	meminfo(text, "Buffers:", &memory->buffers);
	meminfo(text, "\nCached:", &memory->cached);
	return true;
}

static int by_size(gconstpointer a, gconstpointer b)
{
	const struct host_pages *left = a, *right = b;

	return left->size < right->size ? -1 : left->size > right->size;
}

/* dir: the folder of pools, of the host or of a cell. */
static void read_pages(GArray *pages, const char *root, const char *dir)
{
	g_autoptr(GDir) entries = open_dir(root, dir);
	const char *name;

	while (entries && (name = g_dir_read_name(entries))) {
		g_autofree char *total = g_strdup_printf("%s/%s/nr_hugepages", dir, name);
		g_autofree char *free_path = g_strdup_printf("%s/%s/free_hugepages", dir, name);
		struct host_pages row = { 0 };

		if (!g_str_has_prefix(name, "hugepages-"))
			continue;
		row.size = g_ascii_strtoull(name + strlen("hugepages-"), NULL, 10);
		if (row.size && host_read_number(root, &row.total, total) &&
		    host_read_number(root, &row.free, free_path))
			g_array_append_val(pages, row);
	}
	g_array_sort(pages, by_size);
}

/* The ordinary pages are what the large ones leave. */
static void add_base_pages(struct host_cell *cell)
{
	uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE) / 1024, large = 0;
	struct host_pages row;

	for (unsigned i = 0; i < cell->pages->len; i++) {
		const struct host_pages *pages = &g_array_index(cell->pages, struct host_pages, i);

		if (pages->total <= UINT64_MAX / pages->size)
			large += pages->total * pages->size;
	}
	row = (struct host_pages){ .size = size, .free = cell->free / size };
	row.total = (cell->memory > large ? cell->memory - large : 0) / size;
	g_array_prepend_val(cell->pages, row);
}

static struct host_cell *new_cell(unsigned id)
{
	struct host_cell *cell = g_new0(struct host_cell, 1);

	cell->id = id;
	cell->pages = g_array_new(FALSE, TRUE, sizeof(struct host_pages));
	cell->distances = g_array_new(FALSE, TRUE, sizeof(unsigned));
	return cell;
}

static void read_distances(struct host_cell *cell, const char *root)
{
	g_autofree char *text = host_read_line(root, NODE_DIR "/node%u/distance", cell->id);
	g_auto(GStrv) words = g_strsplit(text ? text : "", " ", -1);

	for (size_t i = 0; words[i] && *words[i]; i++) {
		unsigned distance = (unsigned)g_ascii_strtoull(words[i], NULL, 10);

		g_array_append_val(cell->distances, distance);
	}
}

static struct host_cell *read_cell(const char *root, unsigned id)
{
	g_autofree char *cpus = host_read_line(root, NODE_DIR "/node%u/cpulist", id);
	g_autofree char *dir = g_strdup_printf(NODE_DIR "/node%u/hugepages", id);
	struct host_cell *cell;
	struct host_memory memory;

	if (!host_memory_read(root, (int)id, &memory, NULL))
		return NULL;
	cell = new_cell(id);
	cell->memory = memory.total;
	cell->free = memory.free;
	if (cpus)
		proc_parse_cpus(&cell->cpus, cpus); /* a cell of memory alone has none */
	read_pages(cell->pages, root, dir);
	add_base_pages(cell);
	read_distances(cell, root);
	return cell;
}

static struct host_cell *only_cell(const char *root, uint64_t memory, const struct cpuset *online)
{
	struct host_cell *cell = new_cell(0);
	struct host_memory now;

	cell->memory = memory;
	if (host_memory_read(root, -1, &now, NULL))
		cell->free = now.free;
	cell->cpus = *online;
	read_pages(cell->pages, root, PAGE_DIR);
	add_base_pages(cell);
	return cell;
}

GPtrArray *host_cells_read(const char *root, uint64_t memory, const struct cpuset *online)
{
	GPtrArray *cells = g_ptr_array_new_with_free_func(host_cell_free);
	g_autofree char *text = host_read_line(root, NODE_DIR "/online");
	struct cpuset ids;

	if (text && proc_parse_cpus(&ids, text)) {
		for (unsigned id = 0; id < MAX_CELLS; id++) {
			struct host_cell *cell = cpuset_has(&ids, id) ? read_cell(root, id) : NULL;

			if (cell)
				g_ptr_array_add(cells, cell);
		}
	}
	if (!cells->len)
		g_ptr_array_add(cells, only_cell(root, memory, online));
	return cells;
}

static bool write_number(const char *root, const char *path, uint64_t value, GError **err)
{
	g_autofree char *full = g_strconcat(root ? root : "", path, NULL);
	auto_fd int fd = open(full, O_WRONLY | O_CLOEXEC);
	char text[32];
	int len = g_snprintf(text, sizeof(text), "%" PRIu64 "\n", value);

	if (fd < 0 && errno == ENOENT)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "this kernel has no %s", path);
	if (fd < 0)
		return fail_errno(err, "%s: cannot write", path);
	if (write(fd, text, (size_t)len) != len)
		return fail_errno(err, "%s: cannot set %" PRIu64, path, value);
	return true;
}

bool host_pages_set(const char *root, int cell, uint64_t size, uint64_t count, bool add, uint64_t *got, GError **err)
{
	g_autofree char *dir = cell < 0 ? g_strdup(PAGE_DIR) : g_strdup_printf(NODE_DIR "/node%d/hugepages", cell);
	g_autofree char *path = g_strdup_printf("%s/hugepages-%" PRIu64 "kB/nr_hugepages", dir, size);
	uint64_t before, after;

	if (size == (uint64_t)sysconf(_SC_PAGESIZE) / 1024)
		return fail(err, LODGE_ERROR_UNSUPPORTED, "ordinary pages of %" PRIu64 " KiB have no pool", size);
	if (!host_read_number(root, &before, path))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "this host has no pool of %" PRIu64 " KiB pages%s", size,
			    cell < 0 ? "" : " in this NUMA cell");
	if (add && count > UINT64_MAX - before)
		return fail(err, LODGE_ERROR_INPUT, "%" PRIu64 " pages are too many", count);
	if (!write_number(root, path, add ? before + count : count, err))
		return false;
	if (!host_read_number(root, &after, path))
		return fail(err, LODGE_ERROR_SYSTEM, "%s: cannot be read", path);
	*got = add ? (after > before ? after - before : 0) : after;
	return true;
}

#define KSM_DIR "/sys/kernel/mm/ksm"

const struct host_ksm host_ksm_rows[] = {
	{ "shm_pages_to_scan", "pages_to_scan", true },	   { "shm_sleep_millisecs", "sleep_millisecs", true },
	{ "shm_pages_shared", "pages_shared", false },	   { "shm_pages_sharing", "pages_sharing", false },
	{ "shm_pages_unshared", "pages_unshared", false }, { "shm_pages_volatile", "pages_volatile", false },
	{ "shm_full_scans", "full_scans", false },	   { "shm_merge_across_nodes", "merge_across_nodes", true },
};
const size_t host_n_ksm_rows = G_N_ELEMENTS(host_ksm_rows);

bool host_ksm_read(const char *root, size_t row, uint64_t *value, GError **err)
{
	g_autofree char *path = g_strconcat(KSM_DIR "/", host_ksm_rows[row].file, NULL);

	return host_read_number(root, value, path) ||
	       fail(err, LODGE_ERROR_UNSUPPORTED, "this kernel has no %s: same-page merging (KSM) is not built in",
		    path);
}

bool host_ksm_write(const char *root, size_t row, uint64_t value, GError **err)
{
	g_autofree char *path = g_strconcat(KSM_DIR "/", host_ksm_rows[row].file, NULL);

	return write_number(root, path, value, err);
}

#define MIN_SUSPEND_S 60u
#define MAX_SUSPEND_S (UINT64_C(366) * 24 * 3600)

static bool write_word(const char *root, const char *path, const char *word, GError **err)
{
	g_autofree char *full = g_strconcat(root ? root : "", path, NULL);
	auto_fd int fd = open(full, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "%s: cannot write", path);
	if (write(fd, word, strlen(word)) != (ssize_t)strlen(word))
		return fail_errno(err, "%s: the kernel refuses '%s'", path, word);
	return true;
}

bool host_suspend(const char *root, const char *target, uint64_t seconds, GError **err)
{
	static const char alarm_path[] = "/sys/class/rtc/rtc0/wakealarm";
	g_autofree char *alarm = g_strdup_printf("+%" PRIu64, seconds);
	bool hybrid = !strcmp(target, "hybrid");
	autoptr(host) host = NULL;

	if (!hybrid && strcmp(target, "mem") && strcmp(target, "disk"))
		return fail(err, LODGE_ERROR_USAGE, "Invalid target '%s': it is one of mem, disk, hybrid", target);
	if (seconds < MIN_SUSPEND_S || seconds > MAX_SUSPEND_S)
		return fail(err, LODGE_ERROR_INPUT, "Suspend duration is too short or too long: at least %u seconds",
			    MIN_SUSPEND_S);
	host = host_read(root);
	if ((!strcmp(target, "mem") && !host->suspend_mem) || (!strcmp(target, "disk") && !host->suspend_disk) ||
	    (hybrid && !host->suspend_hybrid))
		return fail(err, LODGE_ERROR_UNSUPPORTED,
			    "The host was not suspended: its kernel does not offer '%s' in /sys/power", target);
	/* Without an alarm nothing would wake it again. */
	if (!write_word(root, alarm_path, "0", err) || !write_word(root, alarm_path, alarm, err))
		return false;
	if (hybrid && !write_word(root, "/sys/power/disk", "suspend", err))
		return false;
	return write_word(root, "/sys/power/state", hybrid ? "disk" : target, err);
}
