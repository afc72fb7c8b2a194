/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU against the processor it runs on: random and hand-written snippets must leave the same
 * registers, memory and faults on both.
 *
 * Without options it is an ordinary test: a sample of each kind of case, or more than a million with
 * LODGE_TEST_LONG. To look into something:
 *
 *   test-cpu-conform --kind single64 --seed 1 --first 0 --count 100000 --mnemonic fsin
 */
#include <glib.h>
#include <locale.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cpu/conform.h"

#define REPORTS_A_MNEMONIC 2
#define DEFAULT_SEED 1

typedef void (*make_fn)(const struct gen *gen, uint64_t seed, uint64_t number, struct conform_case *c);

struct kind {
	const char *name;
	bool is32;
	make_fn make;
	uint64_t sample, full; /* cases */
};

static const struct kind kinds[] = {
	{ "single64", false, gen_single, 400000, 4000000 }, { "sequence64", false, gen_sequence, 100000, 1000000 },
	{ "single32", true, gen_single, 150000, 1500000 },  { "sequence32", true, gen_sequence, 50000, 500000 },
	{ "script", false, NULL, 25000, 200000 }, /* enough for the decimal ones to have had every operand */
	{ "bytes64", false, gen_bytes, 150000, 1500000 },   { "bytes32", true, gen_bytes, 50000, 500000 },
};

/* Both sides, made once for all tests of the program. */
struct sides {
	struct host *host;
	struct soft_side *soft;
};

struct run {
	const struct kind *kind;
	const char *only;
	uint64_t seed, first, count;
	uint64_t done, differing, faults, outside;
	/* By the first instruction of a case: */
	uint32_t by_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1]; /* differences */
	uint32_t clean[ZYDIS_MNEMONIC_MAX_VALUE + 1];	    /* ended by the INT3 behind it */
	uint32_t made[ZYDIS_MNEMONIC_MAX_VALUE + 1];
};

/* ---- running ---- */

static bool case_holds(const struct conform_case *c, const struct conform_outcome *host,
		       const struct conform_outcome *soft, char **report)
{
	return c->undefined ? outcome_is_undefined(c, soft, report) : outcomes_equal(c, host, soft, report);
}

/* A difference counts when it is there a second time: an overloaded machine may have ended the first run early. */
static bool differs_again(struct sides *sides, const struct conform_case *c, char **report)
{
	struct conform_case *again = host_cases(sides->host, 0);
	g_autofree struct conform_outcome *soft = g_new0(struct conform_outcome, 1);

	if (again != c)
		*again = *c;
	host_start(sides->host, 0, 1);
	soft_side_run(sides->soft, again, soft);
	return !case_holds(again, host_wait(sides->host, 0), soft, report);
}

static void check_case(struct run *run, struct sides *sides, const struct conform_case *c,
		       const struct conform_outcome *host, GArray *suspects)
{
	g_autofree struct conform_outcome *soft = g_new(struct conform_outcome, 1);

	memset(soft, 0, offsetof(struct conform_outcome, data));
	soft_side_run(sides->soft, c, soft);
	run->done++;
	run->faults += soft->vector != X86_EXC_BP;
	run->made[c->mnemonic]++;
	run->clean[c->mnemonic] += soft->vector == X86_EXC_BP;
	if (soft->vector == X86_EXC_PF && host_maps(sides->host, soft->cr2)) {
		/* The child has memory of its own there. */
		run->outside++;
		return;
	}
	if (!case_holds(c, host, soft, NULL))
		g_array_append_val(suspects, *c);
}

static void look_at_suspects(struct run *run, struct sides *sides, GArray *suspects)
{
	for (guint i = 0; i < suspects->len; i++) {
		const struct conform_case *c = &g_array_index(suspects, struct conform_case, i);
		g_autofree char *report = NULL;

		if (!differs_again(sides, c, &report))
			continue;
		run->differing++;
		if (run->by_mnemonic[c->mnemonic]++ < REPORTS_A_MNEMONIC)
			printf("# --kind %s --seed %" PRIu64 " %s\n", run->kind->name, run->seed, report);
	}
	g_array_set_size(suspects, 0);
}

static unsigned fill_batch(const struct run *run, const struct gen *gen, struct sides *sides, unsigned batch,
			   uint64_t *next)
{
	struct conform_case *cases = host_cases(sides->host, batch);
	unsigned n = 0;

	for (; n < BATCH && *next < run->first + run->count; (*next)++) {
		if (run->kind->make)
			run->kind->make(gen, run->seed, *next, &cases[n++]);
		else if (script_make(soft_side_features(sides->soft), run->seed, *next, &cases[n]))
			n++;
	}
	return n;
}

/* While the host works on one batch, this process runs the one before and makes the next. */
static void run_cases(struct run *run, struct sides *sides)
{
	autoptr(gen) gen = gen_new(run->kind->is32, soft_side_features(sides->soft), run->only,
				   host_guards_syscalls(sides->host));
	g_autoptr(GArray) suspects = g_array_new(FALSE, FALSE, sizeof(struct conform_case));
	uint64_t next = run->first;
	unsigned batch = 0, n;

	if (!gen) {
		printf("# no such instruction in %s\n", run->kind->name);
		return;
	}
	n = fill_batch(run, gen, sides, batch, &next);
	while (n) {
		const struct conform_outcome *outcomes;
		unsigned following;

		host_start(sides->host, batch, n);
		following = fill_batch(run, gen, sides, !batch, &next);
		outcomes = host_wait(sides->host, batch);
		for (unsigned i = 0; i < n; i++)
			check_case(run, sides, &host_cases(sides->host, batch)[i], &outcomes[i], suspects);
		n = following;
		batch = !batch;
		if (suspects->len) {
			/* They are run again in batch 0, which may hold the next cases already. */
			next = n ? host_cases(sides->host, batch)[0].number : next;
			look_at_suspects(run, sides, suspects);
			n = fill_batch(run, gen, sides, batch, &next);
		}
	}
	for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++) {
		if (run->by_mnemonic[m])
			printf("# %u differences in cases that begin with %s\n", run->by_mnemonic[m],
			       m ? ZydisMnemonicGetString((ZydisMnemonic)m) : "nothing valid");
	}
	printf("# %s, seed %" PRIu64 ": %zu mnemonics, %" PRIu64 " cases, %" PRIu64 " ended by a fault, %" PRIu64
	       " not comparable, %" PRIu64 " differ\n",
	       run->kind->name, run->seed, gen_n_mnemonics(gen), run->done, run->faults, run->outside, run->differing);
}

/* ---- as a test ---- */

struct test {
	struct sides *sides;
	const struct kind *kind;
};

/* A sanitizer makes everything some ten times slower. */
static uint64_t cases_wanted(const struct kind *kind)
{
	const char *sanitize = g_getenv("LODGE_SANITIZE");
	uint64_t n = g_getenv("LODGE_TEST_LONG") ? kind->full : kind->sample;

	return sanitize && *sanitize ? n / 10 : n;
}

/* What is undefined differs between makers; the table of differences knows one of them. */
static bool known_processor(void)
{
	struct cpu_identity identity;

	cpu_identity_host(&identity);
	return strcmp(identity.vendor, "GenuineIntel") == 0;
}

static void test_kind(gconstpointer data)
{
	const struct test *test = data;
	const struct kind *kind = test->kind;
	struct run run = { .kind = kind, .seed = DEFAULT_SEED, .count = cases_wanted(kind) };

	if (!test->sides->host) {
		g_test_skip("no child process for the host's side");
		return;
	}
	run_cases(&run, test->sides);
	g_assert_cmpuint(run.done, >, run.count / 2);
	if (run.differing && !known_processor()) {
		g_test_skip_printf(
			"%" PRIu64
			" differences (listed above) on a processor whose undefined behaviour is not in the table",
			run.differing);
		return;
	}
	g_assert_cmpuint(run.differing, ==, 0);
	/* A generator that makes nothing but faults tests nothing. */
	g_assert_cmpuint(run.faults, <, kind->make == gen_bytes ? run.done : run.done / 2);
}

static void add_tests(struct sides *sides, struct test *tests)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *path = g_strdup_printf("/cpu/conform/%s", kinds[i].name);

		tests[i] = (struct test){ .sides = sides, .kind = &kinds[i] };
		g_test_add_data_func(path, &tests[i], test_kind);
	}
}

/* ---- by hand ---- */

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* What has been tried, and how often it got through. */
static void print_coverage(const struct run *run)
{
	for (unsigned m = 1; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++) {
		if (run->made[m])
			printf("# %-16s %6u cases, %6u without a fault\n", ZydisMnemonicGetString((ZydisMnemonic)m),
			       run->made[m], run->clean[m]);
	}
}

static int run_by_hand(struct sides *sides, const char *kind, struct run *run, bool coverage)
{
	run->kind = find_kind(kind);
	if (!run->kind || !sides->host) {
		fprintf(stderr,
			run->kind ? "error: the host's side does not run here\n" : "error: no such kind of case\n");
		return EXIT_FAILURE;
	}
	run_cases(run, sides);
	if (coverage)
		print_coverage(run);
	return run->differing ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	gint64 seed = DEFAULT_SEED, first = 0, count = 0;
	gboolean coverage = FALSE;
	g_autofree char *only = NULL, *kind = NULL, *why = NULL;
	GOptionEntry entries[] = {
		{ "kind", 0, 0, G_OPTION_ARG_STRING, &kind,
		  "single64, sequence64, single32, sequence32, script, bytes64, bytes32", "KIND" },
		{ "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "seed of the cases", "N" },
		{ "first", 0, 0, G_OPTION_ARG_INT64, &first, "number of the first case", "N" },
		{ "count", 0, 0, G_OPTION_ARG_INT64, &count, "cases to run instead of the tests", "N" },
		{ "coverage", 0, 0, G_OPTION_ARG_NONE, &coverage, "say what was tried", NULL },
		{ "mnemonic", 0, 0, G_OPTION_ARG_STRING, &only, "only this instruction", "NAME" },
		G_OPTION_ENTRY_NULL,
	};
	g_autoptr(GOptionContext) options = g_option_context_new(NULL);
	g_autoptr(GError) err = NULL;
	struct test tests[G_N_ELEMENTS(kinds)];
	struct sides sides = { 0 };
	int status;

	setlocale(LC_ALL, "");
	/* Before GLib's own, which has a --seed as well; --help and the rest are GLib's. */
	g_option_context_set_ignore_unknown_options(options, TRUE);
	g_option_context_set_help_enabled(options, FALSE);
	g_option_context_add_main_entries(options, entries, NULL);
	if (!g_option_context_parse(options, &argc, &argv, &err)) {
		fprintf(stderr, "error: %s\n", err->message);
		return EXIT_FAILURE;
	}
	g_test_init(&argc, &argv, NULL);
	sides.host = host_new(&why);
	if (!sides.host)
		printf("# %s\n", why);
	sides.soft = soft_side_new(host_images(sides.host));
	if (count) {
		struct run run = {
			.only = only, .seed = (uint64_t)seed, .first = (uint64_t)first, .count = (uint64_t)count
		};

		status = run_by_hand(&sides, kind ? kind : "single64", &run, coverage);
	} else {
		add_tests(&sides, tests);
		status = g_test_run();
	}
	soft_side_free(sides.soft);
	if (sides.host)
		host_free(sides.host);
	return status;
}
