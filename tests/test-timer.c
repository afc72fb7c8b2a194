/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <glib.h>

#include "vmm/timer.h"

/* A timer that writes its name and the time into a log, and may arm itself again. */
struct bell {
	struct timers *timers;
	struct timer *timer;
	GString *log;
	char name;
	uint64_t period;
	unsigned rings;
};

static void ring(void *opaque)
{
	struct bell *bell = opaque;
	uint64_t now = timers_now(bell->timers);

	g_assert_false(timer_armed(bell->timer));
	bell->rings++;
	if (bell->log)
		g_string_append_printf(bell->log, "%c%" G_GUINT64_FORMAT " ", bell->name, now);
	if (bell->period)
		timer_set(bell->timer, now + bell->period);
}

static struct bell *bell_new(struct timers *timers, GString *log, char name)
{
	struct bell *bell = g_new0(struct bell, 1);

	*bell = (struct bell){ .timers = timers, .log = log, .name = name };
	bell->timer = timer_new(timers, NULL, ring, bell);
	return bell;
}

static void bell_free(struct bell *bell)
{
	timer_free(bell->timer);
	g_free(bell);
}

static void check_log(GString *log, const char *expected)
{
	g_assert_cmpstr(log->str, ==, expected);
	g_string_truncate(log, 0);
}

static void test_order(void)
{
	autoptr(timers) timers = timers_new_manual();
	g_autoptr(GString) log = g_string_new(NULL);
	struct bell *a = bell_new(timers, log, 'a'), *b = bell_new(timers, log, 'b'), *c = bell_new(timers, log, 'c');

	g_assert_cmpuint(timers_now(timers), ==, 0);
	g_assert_false(timer_armed(a->timer));
	timer_set(a->timer, 30);
	timer_set(b->timer, 10);
	timer_set(c->timer, 30); /* same moment, armed later: rings later */
	g_assert_true(timer_armed(a->timer));
	timers_advance(timers, 9);
	check_log(log, "");
	timers_advance(timers, 1);
	check_log(log, "b10 ");
	timers_advance(timers, 100);
	check_log(log, "a30 c30 ");
	g_assert_cmpuint(timers_now(timers), ==, 110);

	timer_set(a->timer, 5); /* past: at once, that is with the next turn */
	check_log(log, "");
	timers_advance(timers, 0);
	check_log(log, "a110 ");

	timer_set(a->timer, 200);
	timer_set(a->timer, 300); /* replaced */
	timer_set(b->timer, 250);
	timer_cancel(b->timer);
	timer_cancel(b->timer);
	g_assert_false(timer_armed(b->timer));
	timer_set(c->timer, UINT64_MAX);
	timers_advance(timers, 1000);
	check_log(log, "a300 ");
	g_assert_true(timer_armed(c->timer));
	bell_free(a);
	bell_free(b);
	bell_free(c); /* armed */
	timer_free(NULL);
}

static void test_periodic(void)
{
	autoptr(timers) timers = timers_new_manual();
	g_autoptr(GString) log = g_string_new(NULL);
	struct bell *a = bell_new(timers, log, 'a'), *b = bell_new(timers, log, 'b');

	a->period = 10;
	b->period = 25;
	timer_set(a->timer, 10);
	timer_set(b->timer, 25);
	timers_advance(timers, 50);
	check_log(log, "a10 a20 b25 a30 a40 b50 a50 ");
	bell_free(a);
	bell_free(b);
}

static void test_manual_pause(void)
{
	autoptr(timers) timers = timers_new_manual();
	g_autoptr(GString) log = g_string_new(NULL);
	struct bell *a = bell_new(timers, log, 'a');

	timer_set(a->timer, 10);
	timers_pause(timers);
	timers_advance(timers, 100);
	g_assert_cmpuint(timers_now(timers), ==, 0);
	check_log(log, "");
	timers_set_now(timers, 1000);
	g_assert_cmpuint(timers_now(timers), ==, 1000);
	timers_resume(timers);
	timers_advance(timers, 1);
	check_log(log, "a1000 ");
	timers_pause(timers);
	timers_set_now(timers, UINT64_MAX); /* a nonsense saved clock stops at the end of time instead of wrapping */
	timers_resume(timers);
	timers_advance(timers, UINT64_MAX);
	g_assert_cmpuint(timers_now(timers), >, UINT64_C(1) << 61);
	bell_free(a);
}

/* Many timers against a plain list. */
static void test_random(void)
{
	enum { N = 64 };
	autoptr(timers) timers = timers_new_manual();
	struct bell *bells[N];
	uint64_t due[N];
	unsigned rings[N] = { 0 };

	for (unsigned i = 0; i < N; i++) {
		bells[i] = bell_new(timers, NULL, 'x');
		due[i] = UINT64_MAX;
	}
	for (unsigned round = 0; round < 5000; round++) {
		unsigned i = (unsigned)g_test_rand_int_range(0, N);
		uint64_t step = (uint64_t)g_test_rand_int_range(0, 20);

		if (g_test_rand_int_range(0, 4)) {
			due[i] = timers_now(timers) + (uint64_t)g_test_rand_int_range(0, 200);
			timer_set(bells[i]->timer, due[i]);
		} else {
			due[i] = UINT64_MAX;
			timer_cancel(bells[i]->timer);
		}
		timers_advance(timers, step);
		for (unsigned j = 0; j < N; j++) {
			if (due[j] <= timers_now(timers)) {
				rings[j]++;
				due[j] = UINT64_MAX;
			}
			g_assert_cmpuint(bells[j]->rings, ==, rings[j]);
			g_assert_true(timer_armed(bells[j]->timer) == (due[j] != UINT64_MAX));
		}
	}
	for (unsigned i = 0; i < N; i++)
		bell_free(bells[i]);
}

struct fixture {
	GMainContext *context;
	struct timers *timers;
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	g_autoptr(GError) err = NULL;

	f->context = g_main_context_new();
	f->timers = timers_new(f->context, &err);
	g_assert_no_error(err);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	timers_free(f->timers);
	g_main_context_unref(f->context);
}

static void wait_for(struct fixture *f, const unsigned *count, unsigned n)
{
	while (*count < n)
		g_main_context_iteration(f->context, TRUE);
}

static void test_fires(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct bell *a = bell_new(f->timers, NULL, 'a'), *never = bell_new(f->timers, NULL, 'n');
	uint64_t deadline = timers_now(f->timers) + NS_PER_MS;

	timer_set(never->timer, UINT64_MAX);
	timer_set(a->timer, deadline);
	wait_for(f, &a->rings, 1);
	g_assert_cmpuint(timers_now(f->timers), >=, deadline);
	timer_set(a->timer, 0);
	wait_for(f, &a->rings, 2);
	/* Later first, then earlier: the descriptor follows. */
	timer_set(a->timer, timers_now(f->timers) + 3600 * NS_PER_SEC);
	timer_set(a->timer, timers_now(f->timers) + NS_PER_MS);
	wait_for(f, &a->rings, 3);
	g_assert_cmpuint(never->rings, ==, 0);
	bell_free(a);
	bell_free(never);
}

struct hog {
	struct timer *timer;
	unsigned rings;
};

static void ring_hog(void *opaque)
{
	struct hog *hog = opaque;

	hog->rings++;
	timer_set(hog->timer, 0);
}

/* One that is always late neither keeps the loop nor hides the others. */
static void test_hog(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct hog hog = { 0 };
	struct bell *a = bell_new(f->timers, NULL, 'a');

	hog.timer = timer_new(f->timers, NULL, ring_hog, &hog);
	timer_set(hog.timer, 0);
	timer_set(a->timer, timers_now(f->timers) + NS_PER_MS);
	wait_for(f, &a->rings, 1);
	wait_for(f, &hog.rings, hog.rings + 3);
	timer_free(hog.timer);
	bell_free(a);
}

static void ring_and_free(void *opaque)
{
	struct hog *hog = opaque;

	hog->rings++;
	timer_free(hog->timer);
}

static void test_free_in_callback(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct hog hog = { 0 };

	hog.timer = timer_new(f->timers, NULL, ring_and_free, &hog);
	timer_set(hog.timer, 0);
	wait_for(f, &hog.rings, 1);
}

static void test_pause(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct bell *a = bell_new(f->timers, NULL, 'a');
	uint64_t now;

	timer_set(a->timer, 0);
	timers_pause(f->timers);
	timers_pause(f->timers);
	now = timers_now(f->timers);
	timer_set(a->timer, now);
	g_assert_false(g_main_context_iteration(f->context, FALSE));
	g_assert_cmpuint(timers_now(f->timers), ==, now);
	g_assert_cmpuint(a->rings, ==, 0);

	timers_set_now(f->timers, 1000 * NS_PER_SEC);
	timer_set(a->timer, 1000 * NS_PER_SEC + NS_PER_MS);
	timers_resume(f->timers);
	timers_resume(f->timers);
	g_assert_cmpuint(timers_now(f->timers), >=, 1000 * NS_PER_SEC);
	wait_for(f, &a->rings, 1);
	g_assert_cmpuint(timers_now(f->timers), >=, 1000 * NS_PER_SEC + NS_PER_MS);

	timers_pause(f->timers);
	timers_set_now(f->timers, 0);
	timer_set(a->timer, NS_PER_MS);
	timers_resume(f->timers);
	g_assert_cmpuint(timers_now(f->timers), <, 1000 * NS_PER_SEC);
	wait_for(f, &a->rings, 2);
	bell_free(a);
}

/* A device used from a vCPU thread: fires only while it is meant to. */
struct shared {
	struct fixture *f;
	GMutex lock;
	struct timer *timer;
	bool wanted;
	uint64_t deadline;
	unsigned fired, wrong;
	unsigned done; /* atomic */
};

static void shared_fired(void *opaque)
{
	struct shared *s = opaque;

	g_assert_false(g_mutex_trylock(&s->lock));
	if (!s->wanted || (s->f && timers_now(s->f->timers) < s->deadline))
		s->wrong++;
	s->wanted = false;
	s->fired++;
}

static gpointer shared_driver(gpointer opaque)
{
	struct shared *s = opaque;

	for (unsigned i = 0; i < 20000; i++) {
		g_mutex_lock(&s->lock);
		/* Due now, put off for an hour, off: the loop may be waiting for the lock at each of these steps. */
		s->wanted = i % 3 != 2;
		s->deadline = timers_now(s->f->timers) + (i % 3) * 3600 * NS_PER_SEC;
		if (s->wanted)
			timer_set(s->timer, s->deadline);
		else
			timer_cancel(s->timer);
		g_mutex_unlock(&s->lock);
	}
	g_mutex_lock(&s->lock);
	s->deadline = 0;
	timer_set(s->timer, 0);
	s->wanted = true;
	g_mutex_unlock(&s->lock);
	g_atomic_int_set(&s->done, 1);
	g_main_context_wakeup(s->f->context);
	return NULL;
}

static bool shared_armed(struct shared *s)
{
	bool armed;

	g_mutex_lock(&s->lock);
	armed = timer_armed(s->timer);
	g_mutex_unlock(&s->lock);
	return armed;
}

static void test_cancel_race(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct shared s = { .f = f };
	GThread *driver;
	bool last;

	g_mutex_init(&s.lock);
	s.timer = timer_new(f->timers, &s.lock, shared_fired, &s);
	driver = g_thread_new("driver", shared_driver, &s);
	do {
		last = g_atomic_int_get(&s.done);
		g_main_context_iteration(f->context, !last || shared_armed(&s));
	} while (!last || shared_armed(&s));
	g_thread_join(driver);
	g_assert_cmpuint(s.wrong, ==, 0);
	g_assert_cmpuint(s.fired, >, 0);
	timer_free(s.timer);
	g_mutex_clear(&s.lock);
}

/* timer_free() returns only when the callback has; afterwards nobody looks at what it used. */
static gpointer free_driver(gpointer opaque)
{
	struct shared *s = opaque;

	for (unsigned i = 0; i < 5000; i++) {
		struct shared *victim = g_new0(struct shared, 1);

		g_mutex_init(&victim->lock);
		victim->wanted = true;
		victim->timer = timer_new(s->f->timers, &victim->lock, shared_fired, victim);
		g_mutex_lock(&victim->lock);
		timer_set(victim->timer, 0);
		g_mutex_unlock(&victim->lock);
		if (i % 2)
			g_thread_yield();
		timer_free(victim->timer);
		g_assert_cmpuint(victim->fired, <=, 1);
		g_mutex_clear(&victim->lock);
		g_free(victim);
	}
	g_atomic_int_set(&s->done, 1);
	g_main_context_wakeup(s->f->context);
	return NULL;
}

static void test_free_race(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
	struct shared s = { .f = f };
	GThread *driver = g_thread_new("driver", free_driver, &s);

	while (!g_atomic_int_get(&s.done))
		g_main_context_iteration(f->context, TRUE);
	g_thread_join(driver);
}

static void test_muldiv(void)
{
	g_assert_cmpuint(muldiv64(UINT64_MAX, NS_PER_SEC, NS_PER_SEC), ==, UINT64_MAX);
	g_assert_cmpuint(muldiv64(NS_PER_SEC, 3579545, NS_PER_SEC), ==, 3579545);
	g_assert_cmpuint(muldiv64(10, 3, 4), ==, 7);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/timer/order", test_order);
	g_test_add_func("/timer/periodic", test_periodic);
	g_test_add_func("/timer/manual-pause", test_manual_pause);
	g_test_add_func("/timer/random", test_random);
	g_test_add_func("/timer/muldiv", test_muldiv);
	g_test_add("/timer/fires", struct fixture, NULL, set_up, test_fires, tear_down);
	g_test_add("/timer/hog", struct fixture, NULL, set_up, test_hog, tear_down);
	g_test_add("/timer/free-in-callback", struct fixture, NULL, set_up, test_free_in_callback, tear_down);
	g_test_add("/timer/pause", struct fixture, NULL, set_up, test_pause, tear_down);
	g_test_add("/timer/cancel-race", struct fixture, NULL, set_up, test_cancel_race, tear_down);
	g_test_add("/timer/free-race", struct fixture, NULL, set_up, test_free_race, tear_down);
	return g_test_run();
}
