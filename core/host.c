/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/host.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/host-private.h"
#include "core/proc.h"

#define TICKS_NS(ticks) ((ticks) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)))

static void host_cpu_free(gpointer data)
{
	struct host_cpu *cpu = data;

	g_free(cpu->siblings);
	g_free(cpu);
}

static void host_cache_free(gpointer data)
{
	struct host_cache *cache = data;

	g_free(cache->cpus);
	g_free(cache);
}

void host_free(struct host *host)
{
	g_free(host->arch);
	g_free(host->cpu_name);
	g_free(host->vendor);
	g_ptr_array_unref(host->cpus);
	g_ptr_array_unref(host->cells);
	g_ptr_array_unref(host->caches);
	g_free(host);
}

char *host_read_line(const char *root, const char *format, ...)
{
	g_autofree char *path = NULL;
	char buf[4096];
	va_list args;

	va_start(args, format);
	path = g_strdup_vprintf(format, args);
	va_end(args);
	if (proc_read_file(root, buf, sizeof(buf), "%s", path) < 0)
		return NULL;
	return g_strdup(g_strstrip(buf));
}

bool host_read_number(const char *root, uint64_t *value, const char *path)
{
	g_autofree char *text = host_read_line(root, "%s", path);

	return text && g_ascii_string_to_unsigned(text, 10, 0, UINT64_MAX, value, NULL);
}

static int topology(const char *root, unsigned cpu, const char *file)
{
	g_autofree char *text = host_read_line(root, "/sys/devices/system/cpu/cpu%u/topology/%s", cpu, file);

	/* The kernel says -1 where it does not know. */
	return text && g_ascii_isdigit(*text) ? (int)g_ascii_strtoull(text, NULL, 10) : 0;
}

static bool read_set(const char *root, struct cpuset *set, const char *path)
{
	g_autofree char *text = host_read_line(root, "%s", path);

	return text && proc_parse_cpus(set, text);
}

static unsigned set_count(const struct cpuset *set)
{
	unsigned n = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(set->bits); i++)
		n += (unsigned)__builtin_popcountll(set->bits[i]);
	return n;
}

static unsigned set_end(const struct cpuset *set)
{
	unsigned end = 0;

	for (unsigned i = 0; i < CPUSET_MAX; i++)
		if (cpuset_has(set, i))
			end = i + 1;
	return end;
}

unsigned host_online_cpus(const char *root, struct cpuset *online)
{
	struct cpuset present;

	if (!read_set(root, online, "/sys/devices/system/cpu/online")) {
		memset(online, 0, sizeof(*online));
		cpuset_fill(online, (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1));
	}
	if (!read_set(root, &present, "/sys/devices/system/cpu/present"))
		present = *online;
	return MAX(set_end(&present), set_end(online));
}

/* The value of a "key : value" line of /proc/cpuinfo; g_free(). NULL: not there. */
static char *cpuinfo(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *at, *end;

		line += *line == '\n';
		if (strncmp(line, key, len) || !strchr("\t :", line[len]))
			continue;
		at = strchr(line, ':');
		end = strchrnul(line, '\n');
		return at && at < end ? g_strstrip(g_strndup(at + 1, (gsize)(end - at - 1))) : NULL;
	}
	return NULL;
}

static unsigned cpuinfo_number(const char *text, const char *key)
{
	g_autofree char *value = cpuinfo(text, key);

	return value ? (unsigned)g_ascii_strtoull(value, NULL, 0) : 0;
}

/* The first processor of the list stands for all. */
static void read_cpuinfo(struct host *host, const char *root)
{
	char text[16384];

	if (proc_read_file(root, text, sizeof(text), "/proc/cpuinfo") < 0)
		text[0] = '\0';
	host->cpu_name = cpuinfo(text, "model name");
	host->vendor = cpuinfo(text, "vendor_id");
	host->family = cpuinfo_number(text, "cpu family");
	host->model = cpuinfo_number(text, "model");
	host->stepping = cpuinfo_number(text, "stepping");
	host->microcode = cpuinfo_number(text, "microcode");
	host->phys_bits = cpuinfo_number(text, "address sizes");
	host->mhz = cpuinfo_number(text, "cpu MHz");
}

static void add_cpu(struct host *host, const char *root, unsigned id)
{
	struct host_cpu *cpu = g_new0(struct host_cpu, 1);

	cpu->id = id;
	cpu->socket = topology(root, id, "physical_package_id");
	cpu->die = topology(root, id, "die_id");
	cpu->core = topology(root, id, "core_id");
	cpu->siblings = host_read_line(root, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", id);
	if (!cpu->siblings)
		cpu->siblings = g_strdup_printf("%u", id);
	for (unsigned i = 0; i < host->cells->len; i++) {
		const struct host_cell *cell = host->cells->pdata[i];

		if (cpuset_has(&cell->cpus, id))
			cpu->cell = cell->id;
	}
	g_ptr_array_add(host->cpus, cpu);
}

static unsigned threads_of(const struct host_cpu *cpu)
{
	struct cpuset set;

	return proc_parse_cpus(&set, cpu->siblings) ? set_count(&set) : 1;
}

/* How many different sockets there are among the CPUs of one cell, and cores in the socket that has most. */
static void count_cell(const struct host *host, const struct host_cell *cell, unsigned *sockets, unsigned *cores)
{
	g_autoptr(GHashTable) seen_sockets = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) seen_cores = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

	for (unsigned i = 0; i < host->cpus->len; i++) {
		const struct host_cpu *cpu = host->cpus->pdata[i];
		gint64 key = (gint64)cpu->socket << 40 | (gint64)cpu->die << 24 | cpu->core;

		if (cpu->cell != cell->id)
			continue;
		g_hash_table_add(seen_sockets, GINT_TO_POINTER(cpu->socket + 1));
		g_hash_table_add(seen_cores, g_memdup2(&key, sizeof(key)));
	}
	*sockets = MAX(g_hash_table_size(seen_sockets), 1u);
	*cores = MAX(g_hash_table_size(seen_cores) / *sockets, 1u);
}

/*
 * nodeinfo multiplies cells, sockets, cores and threads; where the host is not so regular, libvirt's way is to call it one
 * socket with as many cores as there are processors.
 */
static void count_topology(struct host *host)
{
	host->sockets = host->cores = host->threads = 1;
	for (unsigned i = 0; i < host->cpus->len; i++)
		host->threads = MAX(host->threads, threads_of(host->cpus->pdata[i]));
	for (unsigned i = 0; i < host->cells->len; i++) {
		unsigned sockets, cores;

		count_cell(host, host->cells->pdata[i], &sockets, &cores);
		host->sockets = MAX(host->sockets, sockets);
		host->cores = MAX(host->cores, cores);
	}
	if (host->cells->len * host->sockets * host->cores * host->threads != host->n_online) {
		host->sockets = 1;
		host->cores = host->n_online;
		host->threads = 1;
	}
}

static bool has_cache(const struct host *host, const struct host_cache *cache)
{
	for (unsigned i = 0; i < host->caches->len; i++) {
		const struct host_cache *other = host->caches->pdata[i];

		if (other->id == cache->id && !strcmp(other->type, cache->type))
			return true;
	}
	return false;
}

/* Last-level caches: what processes share and what can be divided among them. */
static void read_cache(struct host *host, const char *root, unsigned cpu, unsigned index)
{
	g_autofree char *dir = g_strdup_printf("/sys/devices/system/cpu/cpu%u/cache/index%u", cpu, index);
	g_autofree char *level = host_read_line(root, "%s/level", dir);
	g_autofree char *type = host_read_line(root, "%s/type", dir);
	g_autofree char *size = host_read_line(root, "%s/size", dir);
	g_autofree char *id = host_read_line(root, "%s/id", dir);
	struct host_cache *cache;

	if (g_strcmp0(level, "3") || !type || !size)
		return;
	cache = g_new0(struct host_cache, 1);
	cache->level = 3;
	cache->id = id ? (unsigned)g_ascii_strtoull(id, NULL, 10) : 0;
	cache->type = !strcmp(type, "Data") ? "data" : !strcmp(type, "Instruction") ? "code" : "both";
	cache->size = g_ascii_strtoull(size, NULL, 10);
	cache->cpus = host_read_line(root, "%s/shared_cpu_list", dir);
	if (cache->cpus && !has_cache(host, cache))
		g_ptr_array_add(host->caches, cache);
	else
		host_cache_free(cache);
}

static void read_power(struct host *host, const char *root)
{
	g_autofree char *state = host_read_line(root, "/sys/power/state");
	g_autofree char *disk = host_read_line(root, "/sys/power/disk");
	g_auto(GStrv) words = g_strsplit(state ? state : "", " ", -1);

	host->suspend_mem = g_strv_contains((const char *const *)words, "mem");
	host->suspend_disk = g_strv_contains((const char *const *)words, "disk");
	host->suspend_hybrid = host->suspend_disk && disk && strstr(disk, "suspend");
}

struct host *host_read(const char *root)
{
	struct host *host = g_new0(struct host, 1);
	struct host_memory memory;
	struct utsname uts;

	host->arch = g_strdup(!root && uname(&uts) == 0 ? uts.machine : "x86_64");
	host->cpus = g_ptr_array_new_with_free_func(host_cpu_free);
	host->caches = g_ptr_array_new_with_free_func(host_cache_free);
	host_online_cpus(root, &host->online);
	if (!read_set(root, &host->present, "/sys/devices/system/cpu/present"))
		host->present = host->online;
	host->n_present = set_end(&host->present);
	host->n_online = set_count(&host->online);
	read_cpuinfo(host, root);
	if (host_memory_read(root, -1, &memory, NULL))
		host->memory = memory.total;
	host->cells = host_cells_read(root, host->memory, &host->online);
	for (unsigned id = 0; id < CPUSET_MAX; id++) {
		if (!cpuset_has(&host->online, id))
			continue;
		add_cpu(host, root, id);
		for (unsigned index = 0; index < 8; index++)
			read_cache(host, root, id, index);
	}
	count_topology(host);
	read_power(host, root);
	host->iommu = host_has_entries(root, "/sys/kernel/iommu_groups");
	return host;
}

/* proc(5) on /proc/stat: user nice system idle iowait irq softirq. */
static bool parse_times(const char *line, struct host_times *times)
{
	uint64_t field[7];
	char *at = strchr(line, ' ');

	for (size_t i = 0; i < G_N_ELEMENTS(field); i++) {
		char *end;

		if (!at)
			return false;
		field[i] = g_ascii_strtoull(at, &end, 10);
		if (end == at)
			return false;
		at = end;
	}
	times->user = TICKS_NS(field[0] + field[1]);
	times->system = TICKS_NS(field[2] + field[5] + field[6]);
	times->idle = TICKS_NS(field[3]);
	times->iowait = TICKS_NS(field[4]);
	return true;
}

/* The lines of the processors come first in /proc/stat, so what is cut off is not missed. */
#define MAX_STAT (CPUSET_MAX * 128)

static char *read_stat(const char *root)
{
	g_autofree char *text = g_malloc(MAX_STAT);

	return proc_read_file(root, text, MAX_STAT, "/proc/stat") < 0 ? NULL : g_steal_pointer(&text);
}

bool host_times_read(const char *root, int cpu, struct host_times *times, GError **err)
{
	g_autofree char *name = cpu < 0 ? g_strdup("cpu ") : g_strdup_printf("cpu%d ", cpu);
	g_autofree char *text = read_stat(root);

	if (!text)
		return fail(err, LODGE_ERROR_SYSTEM, "/proc/stat: cannot be read");
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (g_str_has_prefix(line, name))
			return parse_times(line, times) || fail(err, LODGE_ERROR_SYSTEM, "/proc/stat: not as expected");
	}
	return fail(err, LODGE_ERROR_INPUT, "invalid argument: there is no host CPU %d on line", cpu);
}

struct host_times *host_times_each(const char *root, unsigned n)
{
	struct host_times *times = g_new0(struct host_times, n + 1);
	g_autofree char *text = read_stat(root);

	for (char *line = text; line; line = strchr(line, '\n')) {
		uint64_t cpu;
		char *end;

		line += *line == '\n';
		if (!g_str_has_prefix(line, "cpu") || !g_ascii_isdigit(line[3]))
			continue;
		cpu = g_ascii_strtoull(line + 3, &end, 10);
		if (cpu < n)
			parse_times(end, &times[cpu]);
	}
	return times;
}
