/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * stopwatch [--lines] [--memory NAME] [--timeout S] MARKER COMMAND [ARGUMENT...]: the time from just before the fork to
 * the moment MARKER can be read from the command's standard output, then the command is ended.
 *
 *	(no option)	prints "WALL CPU": nanoseconds on the clock and of processor time
 *	--lines		prints "WALL CPU line" for each line of the command's output instead, the last being the one
 *			with MARKER; the times are those of the line's first byte
 *	--end		takes no MARKER: prints "WALL CPU PEAK" when the command has ended well, its output is thrown away;
 *			PEAK is the most resident KiB it had
 *	--memory NAME	prints "ALL RAM OWN FILE" instead, resident KiB some time after the marker: of the process, of
 *			its memfd NAME where the guest has its RAM, of its other memory, of pages of the program and
 *			libraries
 *
 * The command never outlives this program, whichever way that ends: its process group is ended, and the kernel kills it
 * should nobody be left to do so. Its standard input is a pipe in which nothing ever comes. What it prints is on
 * standard error when the marker does not come; then the exit status is 1.
 */

#define LINE_MAX_BYTES 4096u
#define NS_PER_S 1000000000ll
#define GRACE_MS 3000
#define SETTLE_MS 500

struct stopwatch {
	const char *marker;
	bool lines;
	bool end;
	const char *ram; /* NULL: memory is not asked for */
	int timeout_s;

	pid_t pid;
	int output;
	int input; /* the end nobody writes to */
	clockid_t cpu_clock;
	int64_t start;
	char line[LINE_MAX_BYTES];
	size_t line_len;
	int64_t line_wall, line_cpu;
};

static volatile sig_atomic_t caught;

static void catch_signal(int number)
{
	caught = number;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) != 0)
		return 0;
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "stopwatch: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* From here on the signals only arrive in ppoll(), so that none slips by between a look at `caught` and the wait. */
static void block_signals(sigset_t *ret_old)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = catch_signal };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], &action, NULL);
		sigaddset(&set, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &set, ret_old);
}

static void run_command(char **argv, pid_t parent, const sigset_t *signals, const int in[2], const int out[2])
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigprocmask(SIG_SETMASK, signals, NULL);
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	execvp(argv[0], argv);
	fprintf(stderr, "stopwatch: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void start_command(struct stopwatch *sw, char **argv, const sigset_t *signals)
{
	pid_t parent = getpid();
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		die("pipe");
	sw->start = clock_ns(CLOCK_MONOTONIC);
	sw->pid = fork();
	if (sw->pid < 0)
		die("fork");
	if (sw->pid == 0)
		run_command(argv, parent, signals, in, out);
	setpgid(sw->pid, sw->pid);
	close(in[0]);
	close(out[1]);
	sw->input = in[1];
	sw->output = out[0];
	if (clock_getcpuclockid(sw->pid, &sw->cpu_clock) != 0)
		die("no processor time of the command");
}

/* Waits for output until the deadline: its length, 0 at its end, -1 at the deadline or when a signal came. */
static ssize_t next_output(const struct stopwatch *sw, char *buf, size_t size, int64_t deadline)
{
	struct pollfd pfd = { .fd = sw->output, .events = POLLIN };
	sigset_t open;

	sigprocmask(SIG_SETMASK, NULL, &open);
	sigdelset(&open, SIGHUP);
	sigdelset(&open, SIGINT);
	sigdelset(&open, SIGTERM);
	while (!caught) {
		int64_t left = deadline - clock_ns(CLOCK_MONOTONIC);
		struct timespec ts = { .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };

		if (left <= 0)
			break;
		if (ppoll(&pfd, 1, &ts, &open) > 0)
			return read(sw->output, buf, size);
	}
	return -1;
}

static void end_command(struct stopwatch *sw)
{
	int64_t deadline = clock_ns(CLOCK_MONOTONIC) + GRACE_MS * (NS_PER_S / 1000);
	char buf[LINE_MAX_BYTES];

	kill(-sw->pid, SIGTERM);
	while (next_output(sw, buf, sizeof(buf), deadline) > 0)
		;
	kill(-sw->pid, SIGKILL);
	waitpid(sw->pid, NULL, 0);
}

/* Takes one byte of output into the current line; true when the marker has now been seen. */
static bool take_byte(struct stopwatch *sw, char byte, int64_t wall, int64_t cpu)
{
	bool end = byte == '\n' || sw->line_len == LINE_MAX_BYTES - 1;
	bool found;

	if (sw->line_len == 0) {
		sw->line_wall = wall;
		sw->line_cpu = cpu;
	}
	if (byte != '\n' && byte != '\r' && byte != '\0' && sw->line_len < LINE_MAX_BYTES - 1)
		sw->line[sw->line_len++] = byte;
	sw->line[sw->line_len] = '\0';
	/* In lines, the whole line is wanted; a prompt or a single letter ends no line. */
	found = (!sw->lines || end) && strstr(sw->line, sw->marker);
	if (!end)
		return found;
	if (sw->lines)
		printf("%" PRId64 " %" PRId64 " %s\n", sw->line_wall, sw->line_cpu, sw->line);
	sw->line_len = 0;
	return found;
}

/* Follows the output to the marker; false when that does not come. */
static bool wait_for_marker(struct stopwatch *sw, int64_t *ret_wall, int64_t *ret_cpu)
{
	int64_t deadline = sw->start + sw->timeout_s * NS_PER_S;
	char buf[LINE_MAX_BYTES];
	ssize_t n;

	while ((n = next_output(sw, buf, sizeof(buf), deadline)) > 0) {
		int64_t wall = clock_ns(CLOCK_MONOTONIC) - sw->start;
		int64_t cpu = clock_ns(sw->cpu_clock);

		for (ssize_t i = 0; i < n; i++) {
			if (take_byte(sw, buf[i], wall, cpu)) {
				*ret_wall = wall;
				*ret_cpu = cpu;
				return true;
			}
		}
		if (!sw->lines && !sw->ram)
			fwrite(buf, 1, (size_t)n, stderr);
	}
	if (!caught)
		fprintf(stderr, "stopwatch: %s before \"%s\"\n", n == 0 ? "the output ended" : "time was up",
			sw->marker);
	return false;
}

struct resident {
	long all, ram, own, file;
};

/* Sums up /proc/PID/smaps, proc(5): a line "from-to rights offset device inode name" heads each mapping. */
static bool read_resident(pid_t pid, const char *ram, struct resident *r)
{
	char path[64], line[LINE_MAX_BYTES], memfd[64];
	bool is_ram = false, is_file = false;
	FILE *smaps;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	snprintf(memfd, sizeof(memfd), "/memfd:%s ", ram);
	smaps = fopen(path, "re");
	if (!smaps)
		return false;
	while (fgets(line, sizeof(line), smaps)) {
		long kib;

		if (strchr("0123456789abcdef", line[0])) {
			is_ram = strstr(line, memfd);
			is_file = strchr(line, '/') && !strstr(line, "/memfd:");
		} else if (sscanf(line, "Rss: %ld kB", &kib) == 1) {
			r->all += kib;
			r->ram += is_ram ? kib : 0;
			r->file += is_file ? kib : 0;
		} else if (is_file && sscanf(line, "Anonymous: %ld kB", &kib) == 1) {
			/* Written to, and so no longer the file's. */
			r->file -= kib;
		}
	}
	fclose(smaps);
	r->own = r->all - r->ram - r->file;
	return true;
}

/* The guest settles for a while, then its process is looked at. */
static bool print_memory(struct stopwatch *sw)
{
	int64_t deadline = clock_ns(CLOCK_MONOTONIC) + SETTLE_MS * (NS_PER_S / 1000);
	char buf[LINE_MAX_BYTES];
	struct resident r = { 0 };

	while (next_output(sw, buf, sizeof(buf), deadline) > 0)
		;
	if (caught)
		return false;
	if (!read_resident(sw->pid, sw->ram, &r)) {
		fprintf(stderr, "stopwatch: smaps of the command: %s\n", strerror(errno));
		return false;
	}
	printf("%ld %ld %ld %ld\n", r.all, r.ram, r.own, r.file);
	return true;
}

/* Lets the command come to its own end. */
static bool run_to_end(struct stopwatch *sw)
{
	int64_t deadline = sw->start + sw->timeout_s * NS_PER_S;
	char buf[LINE_MAX_BYTES];
	struct rusage usage;
	int64_t wall, cpu;
	int status;
	ssize_t n;

	while ((n = next_output(sw, buf, sizeof(buf), deadline)) > 0)
		;
	if (n < 0)
		end_command(sw);
	if (n < 0 || wait4(sw->pid, &status, 0, &usage) != sw->pid)
		return false;
	wall = clock_ns(CLOCK_MONOTONIC) - sw->start;
	cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
	      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
	printf("%" PRId64 " %" PRId64 " %ld\n", wall, cpu, usage.ru_maxrss);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void parse_options(struct stopwatch *sw, int argc, char **argv)
{
	static const struct option options[] = {
		{ "end", no_argument, NULL, 'e' },
		{ "lines", no_argument, NULL, 'l' },
		{ "memory", required_argument, NULL, 'm' },
		{ "timeout", required_argument, NULL, 't' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c == 'e')
			sw->end = true;
		else if (c == 'l')
			sw->lines = true;
		else if (c == 'm')
			sw->ram = optarg;
		else if (c == 't')
			sw->timeout_s = atoi(optarg);
		else
			exit(2);
	}
	if (argc - optind < (sw->end ? 1 : 2)) {
		fputs("usage: stopwatch --end | [--lines] [--memory NAME] [--timeout S] MARKER COMMAND [ARGUMENT...]\n",
		      stderr);
		exit(2);
	}
	if (!sw->end)
		sw->marker = argv[optind++];
}

int main(int argc, char **argv)
{
	struct stopwatch sw = { .timeout_s = 60 };
	int64_t wall = 0, cpu = 0;
	sigset_t signals;
	bool ok;

	parse_options(&sw, argc, argv);
	/* Should the script that called be killed outright. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	block_signals(&signals);
	start_command(&sw, argv + optind, &signals);
	if (sw.end) {
		ok = run_to_end(&sw);
		return caught ? 128 + caught : ok ? 0 : 1;
	}
	ok = wait_for_marker(&sw, &wall, &cpu);
	if (ok && sw.ram)
		ok = print_memory(&sw);
	else if (ok && !sw.lines)
		printf("%" PRId64 " %" PRId64 "\n", wall, cpu);
	end_command(&sw);
	return caught ? 128 + caught : ok ? 0 : 1;
}
