/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * guest-bench MILLISECONDS [WORKLOAD...]: small workloads, each run for about so long on one processor. Linked
 * statically, the same file runs in the guests of all virtual machines and on the host. For each workload it prints two
 * lines, to be given a time by whoever reads them outside:
 *
 *	bench NAME begin
 *	bench NAME end OPERATIONS NANOSECONDS PICOSECONDS
 *
 * all operations since "begin", the time since just before it on this machine's own clock, and the median time of one
 * operation; or "bench NAME skip". "bench done" is the last line. "guest-bench list" prints the names.
 */

#define NS_PER_S 1000000000ll
#define SAMPLES 9u

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* What a workload computes goes here, so that no compiler leaves it out. */
static volatile uint64_t sink;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- integers: the instructions are counted, so they are written down one by one --- */

#define LOOP_INSTRUCTIONS 12u
#define LOOP_ROUNDS 10000u

static void run_loop(void)
{
	uint64_t a = 0x123456789abcdef, b = 42, t, n = LOOP_ROUNDS;

	__asm__ volatile(".p2align 5\n"
			 "1:\n\t"
			 "add %[b], %[a]\n\t"
			 "mov %[a], %[t]\n\t"
			 "shr $7, %[t]\n\t"
			 "xor %[t], %[b]\n\t"
			 "lea 13(%[b], %[a], 2), %[b]\n\t"
			 "imul $0x1e3779b1, %[a], %[a]\n\t"
			 "rol $5, %[b]\n\t"
			 "movzwl %w[b], %k[t]\n\t"
			 "sub %[t], %[a]\n\t"
			 "or $1, %[a]\n\t"
			 "dec %[n]\n\t"
			 "jnz 1b"
			 : [a] "+r"(a), [b] "+r"(b), [t] "=&r"(t), [n] "+r"(n)
			 :
			 : "cc");
	sink = a + b;
}

/* --- function calls --- */

#define CALLS 10000u

static __attribute__((noinline)) uint64_t callee(uint64_t a, uint64_t b)
{
	__asm__ volatile("" : "+r"(a));
	return a ^ b;
}

static __attribute__((noinline)) uint64_t caller(uint64_t a, uint64_t b)
{
	return callee(a, b) + callee(b, a) + 1;
}

static void run_call(void)
{
	uint64_t a = 1;

	for (unsigned i = 0; i < CALLS / 4; i++)
		a += caller(a, i) + callee(a, i);
	sink = a;
}

static __attribute__((noinline)) uint64_t call_add(uint64_t a) { return a + 3; }
static __attribute__((noinline)) uint64_t call_xor(uint64_t a) { return a ^ 0x55; }
static __attribute__((noinline)) uint64_t call_sub(uint64_t a) { return a - 7; }
static __attribute__((noinline)) uint64_t call_not(uint64_t a) { return ~a; }

static void run_indirect(void)
{
	static uint64_t (*const volatile targets[])(uint64_t) = { call_add, call_xor, call_sub, call_not };
	uint64_t a = 1, random = 88172645463325252;

	for (unsigned i = 0; i < CALLS; i++)
		a = targets[next_random(&random) & 3](a);
	sink = a;
}

/* --- sorting: the library's, with a comparison function --- */

#define SORT_ITEMS 4096u

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void run_qsort(void)
{
	static uint32_t items[SORT_ITEMS];
	uint64_t random = 88172645463325252;

	for (unsigned i = 0; i < SORT_ITEMS; i++)
		items[i] = (uint32_t)next_random(&random);
	qsort(items, SORT_ITEMS, sizeof(items[0]), compare);
	sink = items[SORT_ITEMS / 2];
}

/* --- memory --- */

#define COPY_KIB 64u

static void run_memcpy(void)
{
	static char from[COPY_KIB * 1024], to[COPY_KIB * 1024];

	memcpy(to, from, sizeof(to));
	__asm__ volatile("" : : "r"(to), "r"(from) : "memory");
}

/* One cycle through all nodes in random order: every load needs the one before, most need another page. */
#define CHASE_NODES (1u << 16)
#define CHASE_STEPS 10000u

struct node {
	struct node *next;
	char rest[64 - sizeof(struct node *)];
};
static struct node *chase_at;

static bool prepare_chase(void)
{
	static struct node nodes[CHASE_NODES];
	static uint32_t order[CHASE_NODES];
	uint64_t random = 88172645463325252;

	for (uint32_t i = 0; i < CHASE_NODES; i++)
		order[i] = i;
	for (uint32_t i = CHASE_NODES - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(next_random(&random) % (i + 1)), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	for (uint32_t i = 0; i < CHASE_NODES; i++)
		nodes[order[i]].next = &nodes[order[(i + 1) % CHASE_NODES]];
	chase_at = nodes;
	return true;
}

static void run_chase(void)
{
	struct node *at = chase_at;

	for (unsigned i = 0; i < CHASE_STEPS; i++)
		at = at->next;
	chase_at = at;
	sink = (uintptr_t)at;
}

/* --- floating point --- */

#define MANDELBROT_STEPS 1000u

/* A point that never escapes, so that the number of steps is known. */
static void run_sse_scalar(void)
{
	volatile double start = -0.12;
	double cr = start, ci = 0.5, r = 0, i = 0;

	for (unsigned n = 0; n < MANDELBROT_STEPS && r * r + i * i < 4; n++) {
		double next = r * r - i * i + cr;

		i = 2 * r * i + ci;
		r = next;
	}
	sink = (uint64_t)(int64_t)(r * 1000);
}

static void run_x87(void)
{
	volatile long double start = -0.12L;
	long double cr = start, ci = 0.5L, r = 0, i = 0;

	for (unsigned n = 0; n < MANDELBROT_STEPS && r * r + i * i < 4; n++) {
		long double next = r * r - i * i + cr;

		i = 2 * r * i + ci;
		r = next;
	}
	sink = (uint64_t)(int64_t)(r * 1000);
}

#define FLOATS 4096u

typedef float float4 __attribute__((vector_size(16)));
typedef float float8 __attribute__((vector_size(32)));
static float vector_x[FLOATS] __attribute__((aligned(32)));
static float vector_y[FLOATS] __attribute__((aligned(32)));

static bool prepare_vectors(void)
{
	for (unsigned i = 0; i < FLOATS; i++) {
		vector_x[i] = (float)i;
		vector_y[i] = 0;
	}
	return true;
}

/* y = 0.5 y + x keeps every value finite and normal for ever. */
static void run_sse_packed(void)
{
	const float4 half = { 0.5f, 0.5f, 0.5f, 0.5f };

	for (unsigned i = 0; i < FLOATS; i += 4) {
		float4 *y = (float4 *)(void *)(vector_y + i);

		*y = *y * half + *(const float4 *)(const void *)(vector_x + i);
	}
}

static bool prepare_avx(void)
{
	return __builtin_cpu_supports("avx") && prepare_vectors();
}

static __attribute__((target("avx"))) void run_avx(void)
{
	const float8 half = { 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f };

	for (unsigned i = 0; i < FLOATS; i += 8) {
		float8 *y = (float8 *)(void *)(vector_y + i);

		*y = *y * half + *(const float8 *)(const void *)(vector_x + i);
	}
}

/* --- the kernel --- */

#define SYSCALLS 100u

static void run_syscall(void)
{
	for (unsigned i = 0; i < SYSCALLS; i++)
		sink = (uint64_t)syscall(SYS_getppid);
}

#define FAULT_PAGES 256u
#define PAGE 4096u

static char *fault_area;

static bool prepare_fault(void)
{
	fault_area = mmap(NULL, FAULT_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fault_area == MAP_FAILED)
		die("mmap");
	/* A kernel without huge pages refuses the advice, and needs none. */
	madvise(fault_area, FAULT_PAGES * PAGE, MADV_NOHUGEPAGE);
	return true;
}

static void run_fault(void)
{
	for (unsigned i = 0; i < FAULT_PAGES; i++)
		fault_area[i * PAGE] = 1;
	if (madvise(fault_area, FAULT_PAGES * PAGE, MADV_DONTNEED) != 0)
		die("madvise");
}

static void finish_fault(void)
{
	munmap(fault_area, FAULT_PAGES * PAGE);
}

/* Two processes on one processor hand a byte to and fro: each way is one switch. */
#define SWITCHES 20u

static int ping[2], pong[2];
static pid_t switch_child;

static bool prepare_switch(void)
{
	char byte;

	if (pipe(ping) != 0 || pipe(pong) != 0)
		die("pipe");
	switch_child = fork();
	if (switch_child < 0)
		die("fork");
	if (switch_child > 0)
		return true;
	close(ping[1]);
	while (read(ping[0], &byte, 1) == 1 && write(pong[1], &byte, 1) == 1)
		;
	_exit(0);
}

static void run_switch(void)
{
	char byte = 0;

	for (unsigned i = 0; i < SWITCHES / 2; i++) {
		if (write(ping[1], &byte, 1) != 1 || read(pong[0], &byte, 1) != 1)
			die("pipe");
	}
}

static void finish_switch(void)
{
	close(ping[0]);
	close(ping[1]);
	close(pong[0]);
	close(pong[1]);
	waitpid(switch_child, NULL, 0);
}

static void run_fork(void)
{
	char name[] = "guest-bench", *argv[] = { name, NULL };
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "guest-bench: a child ended with status %#x\n", (unsigned)status);
		exit(1);
	}
}

/* --- measuring --- */

struct workload {
	const char *name;
	unsigned operations; /* of one run */
	void (*run)(void);
	bool (*prepare)(void); /* false: this processor cannot do it */
	void (*finish)(void);
};

static const struct workload workloads[] = {
	{ "integer", LOOP_INSTRUCTIONS * LOOP_ROUNDS, run_loop, NULL, NULL },
	{ "call", CALLS, run_call, NULL, NULL },
	{ "indirect", CALLS, run_indirect, NULL, NULL },
	{ "qsort", SORT_ITEMS, run_qsort, NULL, NULL },
	{ "memcpy", COPY_KIB, run_memcpy, NULL, NULL },
	{ "chase", CHASE_STEPS, run_chase, prepare_chase, NULL },
	{ "sse-scalar", MANDELBROT_STEPS, run_sse_scalar, NULL, NULL },
	{ "x87", MANDELBROT_STEPS, run_x87, NULL, NULL },
	{ "sse-packed", FLOATS / 4, run_sse_packed, prepare_vectors, NULL },
	{ "avx-packed", FLOATS / 8, run_avx, prepare_avx, NULL },
	{ "syscall", SYSCALLS, run_syscall, NULL, NULL },
	{ "fault", FAULT_PAGES, run_fault, prepare_fault, finish_fault },
	{ "switch", SWITCHES, run_switch, prepare_switch, finish_switch },
	{ "fork-exec", 1, run_fork, NULL, NULL },
};

static int64_t time_runs(const struct workload *w, uint64_t runs)
{
	int64_t start = now_ns();

	for (uint64_t i = 0; i < runs; i++)
		w->run();
	return now_ns() - start;
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* As many runs at a time as take a sample's share of the time, then the median over the samples. */
static void measure(const struct workload *w, int64_t budget_ns)
{
	int64_t share = budget_ns / (SAMPLES + 2), samples[SAMPLES];
	uint64_t runs = 1, all = 0;
	int64_t start = now_ns(), took;

	printf("bench %s begin\n", w->name);
	for (;;) {
		took = time_runs(w, runs);
		all += runs;
		if (took >= share / 2)
			break;
		runs *= took > share / 16 ? 2 : 8;
	}
	for (unsigned i = 0; i < SAMPLES; i++)
		samples[i] = time_runs(w, runs);
	all += SAMPLES * runs;
	took = now_ns() - start;
	qsort(samples, SAMPLES, sizeof(samples[0]), compare_times);
	printf("bench %s end %" PRIu64 " %" PRId64 " %.0f\n", w->name, all * w->operations, took,
	       1e3 * (double)samples[SAMPLES / 2] / (double)(runs * w->operations));
}

static bool wanted(const struct workload *w, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], w->name) == 0)
			return true;
	}
	return argc <= 2;
}

static void list_workloads(void)
{
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		puts(workloads[i].name);
}

static void use_one_processor(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
	/* What run_fork() starts. */
	if (argc < 2)
		return 0;
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (strcmp(argv[1], "list") == 0) {
		list_workloads();
		return 0;
	}
	use_one_processor();
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		const struct workload *w = &workloads[i];

		if (!wanted(w, argc, argv))
			continue;
		if (w->prepare && !w->prepare()) {
			printf("bench %s skip\n", w->name);
			continue;
		}
		measure(w, atoi(argv[1]) * (NS_PER_S / 1000));
		if (w->finish)
			w->finish();
	}
	puts("bench done");
	return 0;
}
