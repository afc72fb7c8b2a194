/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/proc.h"

#include <fcntl.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/fd.h"

#define NS_PER_S UINT64_C(1000000000)

ssize_t proc_read_file(const char *root, char *buf, size_t size, const char *format, ...)
{
	char path[512];
	auto_fd int fd = -1;
	size_t done = 0, len = root ? strlen(root) : 0;
	va_list args;
	int n;

	if (len >= sizeof(path))
		return -1;
	if (root)
		memcpy(path, root, len);
	va_start(args, format);
	n = vsnprintf(path + len, sizeof(path) - len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(path) - len)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && done < size - 1) {
		ssize_t got = read(fd, buf + done, size - 1 - done);

		if (got <= 0)
			break;
		done += (size_t)got;
	}
	buf[done] = '\0';
	return done ? (ssize_t)done : -1;
}

static ssize_t read_task(const char *root, char *buf, size_t size, int pid, int tid, const char *file)
{
	if (tid)
		return proc_read_file(root, buf, size, "/proc/%d/task/%d/%s", pid, tid, file);
	return proc_read_file(root, buf, size, "/proc/%d/%s", pid, file);
}

/* Ticks to nanoseconds; a tick is a whole number of them at every CONFIG_HZ the ABI has. */
static uint64_t tick_ns(void)
{
	long hz = sysconf(_SC_CLK_TCK);

	return hz > 0 ? NS_PER_S / (uint64_t)hz : NS_PER_S / 100;
}

bool proc_read_stat(const char *root, int pid, int tid, struct proc_stat *stat)
{
	char buf[1024], *at;
	uint64_t field[40] = { 0 };
	unsigned n = 4; /* of the next field; numbers as in proc(5) */

	if (read_task(root, buf, sizeof(buf), pid, tid, "stat") < 0)
		return false;
	/* The name in parentheses may itself hold blanks and parentheses. */
	at = strrchr(buf, ')');
	if (!at || at[1] != ' ' || !at[2])
		return false;
	stat->state = at[2];
	for (at += 3; n < G_N_ELEMENTS(field) && *at == ' '; n++)
		field[n] = g_ascii_strtoull(at + 1, &at, 10);
	if (n < G_N_ELEMENTS(field))
		return false;
	stat->user_ns = field[14] * tick_ns();
	stat->system_ns = field[15] * tick_ns();
	stat->start = field[22];
	stat->rss_kib = field[24] * ((uint64_t)sysconf(_SC_PAGESIZE) / 1024);
	stat->cpu = (int)field[39];
	return true;
}

bool proc_read_sched(const char *root, int pid, int tid, uint64_t *run_ns, uint64_t *wait_ns)
{
	char buf[128], *at;

	if (read_task(root, buf, sizeof(buf), pid, tid, "schedstat") < 0)
		return false;
	*run_ns = g_ascii_strtoull(buf, &at, 10);
	*wait_ns = g_ascii_strtoull(at, NULL, 10);
	return at != buf;
}

bool proc_cpu_time(int pid, uint64_t *ns)
{
	clockid_t clock;
	struct timespec ts;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		return false;
	*ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	return true;
}

bool proc_parse_cpus(struct cpuset *set, const char *text)
{
	g_autofree char *list = g_strndup(text, strcspn(text, "\n"));

	return cpuset_parse(set, list, NULL);
}

bool proc_read_affinity(const char *root, int pid, int tid, struct cpuset *set)
{
	static const char key[] = "\nCpus_allowed_list:\t";
	char buf[4096];
	const char *at;

	if (read_task(root, buf, sizeof(buf), pid, tid, "status") < 0)
		return false;
	at = strstr(buf, key);
	return at && proc_parse_cpus(set, at + strlen(key));
}
