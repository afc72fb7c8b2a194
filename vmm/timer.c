/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/timer.h"

#include <glib-unix.h>
#include <sys/timerfd.h>
#include <time.h>

#include "core/base/error.h"
#include "core/base/fd.h"

/*
 * The clock is one atomic word, so that any thread reads it without a lock: bit 0 says it stands still, and the other
 * 63 bits are the frozen time, or what CLOCK_MONOTONIC is ahead of virtual time. A manual clock is one that always
 * stands still.
 *
 * Armed timers form a binary heap by (deadline, order of arming). The earliest one is programmed into a timerfd; a
 * later deadline is not taken back from it, the loop just wakes once for nothing. Whoever arms a timer reprograms the
 * descriptor itself, from its own thread.
 *
 * Locks: the heap lock is inside the timers' own (device) locks. The loop thread looks at the heap, lets go of it,
 * takes the timer's lock, and looks again: if the timer was cancelled or set anew in between, its old deadline does not
 * fire. `firing` names the timer the loop thread holds on to while it has no lock; timer_free() waits for it.
 *
 * What is due is told by one reading of the clock for each turn of the loop, and a deadline in the past counts as now:
 * so a callback that arms its timer for the past again and again neither keeps the loop to itself nor overtakes other
 * timers.
 */

#define CLOCK_MAX ((UINT64_C(1) << 62) - 1)
#define NOT_IN_HEAP G_MAXUINT

struct timers {
	uint64_t clock; /* atomic */
	bool manual;
	bool paused; /* heap lock */
	int fd;
	GSource *source;

	GMutex heap_lock;
	GPtrArray *heap;
	uint64_t n_armed;     /* timers ever armed: the order of arming */
	uint64_t fd_deadline; /* what the timerfd is programmed to, UINT64_MAX: nothing */
	struct timer *firing;
	GThread *firing_thread;
	GCond fired;
	unsigned n_timers;
};

struct timer {
	struct timers *timers;
	GMutex *lock;
	timer_fn fn;
	void *opaque;
	bool armed; /* the timer's own lock; the rest: heap lock */
	guint index;
	uint64_t deadline, order;
};

static uint64_t clock_pack(uint64_t value, bool still)
{
	return value << 1 | still;
}

static uint64_t monotonic_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* What CLOCK_MONOTONIC is ahead; may be "negative", arithmetic is modulo 2^64 throughout. */
static uint64_t clock_offset(uint64_t clock)
{
	return (uint64_t)((int64_t)clock >> 1);
}

uint64_t timers_now(struct timers *timers)
{
	uint64_t clock = __atomic_load_n(&timers->clock, __ATOMIC_RELAXED);

	return clock & 1 ? clock >> 1 : monotonic_now() - clock_offset(clock);
}

static void clock_stop_at(struct timers *timers, uint64_t now)
{
	__atomic_store_n(&timers->clock, clock_pack(MIN(now, CLOCK_MAX), true), __ATOMIC_RELAXED);
}

static void clock_run_from(struct timers *timers, uint64_t now)
{
	__atomic_store_n(&timers->clock, clock_pack(monotonic_now() - now, false), __ATOMIC_RELAXED);
}

static bool heap_before(const struct timer *a, const struct timer *b)
{
	return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void heap_put(GPtrArray *heap, guint i, struct timer *timer)
{
	heap->pdata[i] = timer;
	timer->index = i;
}

/* Moves the timer at i to where it belongs, up or down. */
static void heap_settle(GPtrArray *heap, guint i)
{
	struct timer *timer = heap->pdata[i];

	while (i > 0 && heap_before(timer, heap->pdata[(i - 1) / 2])) {
		heap_put(heap, i, heap->pdata[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (guint child = 2 * i + 1; child < heap->len; child = 2 * i + 1) {
		if (child + 1 < heap->len && heap_before(heap->pdata[child + 1], heap->pdata[child]))
			child++;
		if (!heap_before(heap->pdata[child], timer))
			break;
		heap_put(heap, i, heap->pdata[child]);
		i = child;
	}
	heap_put(heap, i, timer);
}

static void heap_remove(GPtrArray *heap, struct timer *timer)
{
	guint i = timer->index;
	struct timer *last = heap->pdata[heap->len - 1];

	g_ptr_array_set_size(heap, (gint)heap->len - 1);
	timer->index = NOT_IN_HEAP;
	if (last != timer) {
		heap_put(heap, i, last);
		heap_settle(heap, i);
	}
}

static struct timer *heap_top(const struct timers *timers)
{
	return timers->heap->len ? timers->heap->pdata[0] : NULL;
}

static void fd_program(struct timers *timers, uint64_t deadline)
{
	uint64_t offset = clock_offset(timers->clock), at;
	struct itimerspec spec = { 0 };

	timers->fd_deadline = deadline;
	if (deadline != UINT64_MAX) {
		deadline = MIN(deadline, CLOCK_MAX);
		/* Offset and deadline may add up to the past before boot; a zero it_value would disarm. */
		at = (int64_t)(deadline + offset) > 0 ? deadline + offset : 1;
		spec.it_value.tv_sec = (time_t)(at / NS_PER_SEC);
		spec.it_value.tv_nsec = (long)(at % NS_PER_SEC);
	}
	timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Sees to it that the loop wakes no later than the first deadline. Heap lock held. */
static void fd_update(struct timers *timers)
{
	const struct timer *top = heap_top(timers);

	if (!timers->manual && !timers->paused && top && top->deadline < timers->fd_deadline)
		fd_program(timers, top->deadline);
}

/* Runs the timer's callback if it is still due once its lock has been taken. Heap lock held, released meanwhile. */
static void fire(struct timers *timers, struct timer *timer, uint64_t now)
{
	GMutex *lock = timer->lock;
	timer_fn fn = timer->fn;
	void *opaque = timer->opaque;
	bool due;

	timers->firing = timer;
	timers->firing_thread = g_thread_self();
	g_mutex_unlock(&timers->heap_lock);
	if (lock)
		g_mutex_lock(lock);
	g_mutex_lock(&timers->heap_lock);
	due = !timers->paused && timer->index != NOT_IN_HEAP && timer->deadline <= now;
	if (due) {
		heap_remove(timers->heap, timer);
		timer->armed = false;
	}
	g_mutex_unlock(&timers->heap_lock);
	/* A callback without a lock may free its own timer: from here on it is not looked at. */
	if (due)
		fn(opaque);
	if (lock)
		g_mutex_unlock(lock);
	g_mutex_lock(&timers->heap_lock);
	timers->firing = NULL;
	g_cond_broadcast(&timers->fired);
}

static gboolean on_timerfd(gint fd, G_GNUC_UNUSED GIOCondition condition, gpointer opaque)
{
	struct timers *timers = opaque;
	uint64_t now, expirations;

	/* Nothing to read: it was programmed anew after the loop woke. What is due is looked up either way. */
	(void)!read(fd, &expirations, sizeof(expirations));
	g_mutex_lock(&timers->heap_lock);
	timers->fd_deadline = UINT64_MAX;
	now = timers_now(timers);
	while (!timers->paused && heap_top(timers) && heap_top(timers)->deadline <= now)
		fire(timers, heap_top(timers), now);
	fd_update(timers);
	g_mutex_unlock(&timers->heap_lock);
	return G_SOURCE_CONTINUE;
}

static struct timers *timers_alloc(void)
{
	struct timers *timers = g_new0(struct timers, 1);

	timers->fd = -1;
	timers->fd_deadline = UINT64_MAX;
	timers->heap = g_ptr_array_new();
	g_mutex_init(&timers->heap_lock);
	g_cond_init(&timers->fired);
	return timers;
}

struct timers *timers_new(GMainContext *context, GError **err)
{
	autoptr(timers) timers = timers_alloc();

	timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timers->fd < 0)
		return fail_errno_null(err, "virtual clock: no timer descriptor");
	timers->source = g_unix_fd_source_new(timers->fd, G_IO_IN);
	g_source_set_callback(timers->source, G_SOURCE_FUNC(on_timerfd), timers, NULL);
	g_source_attach(timers->source, context);
	clock_run_from(timers, 0);
	return g_steal_pointer(&timers);
}

struct timers *timers_new_manual(void)
{
	struct timers *timers = timers_alloc();

	timers->manual = true;
	clock_stop_at(timers, 0);
	return timers;
}

void timers_free(struct timers *timers)
{
	if (!timers)
		return;
	g_assert(timers->n_timers == 0);
	if (timers->source) {
		g_source_destroy(timers->source);
		g_source_unref(timers->source);
	}
	fd_close(&timers->fd);
	g_ptr_array_free(timers->heap, TRUE);
	g_mutex_clear(&timers->heap_lock);
	g_cond_clear(&timers->fired);
	g_free(timers);
}

void timers_pause(struct timers *timers)
{
	g_mutex_lock(&timers->heap_lock);
	if (!timers->paused) {
		timers->paused = true;
		clock_stop_at(timers, timers_now(timers));
		if (!timers->manual)
			fd_program(timers, UINT64_MAX);
	}
	g_mutex_unlock(&timers->heap_lock);
}

void timers_resume(struct timers *timers)
{
	g_mutex_lock(&timers->heap_lock);
	if (timers->paused) {
		timers->paused = false;
		if (!timers->manual)
			clock_run_from(timers, timers_now(timers));
		fd_update(timers);
	}
	g_mutex_unlock(&timers->heap_lock);
}

void timers_set_now(struct timers *timers, uint64_t now)
{
	g_mutex_lock(&timers->heap_lock);
	g_assert(timers->paused);
	clock_stop_at(timers, now);
	g_mutex_unlock(&timers->heap_lock);
}

void timers_advance(struct timers *timers, uint64_t ns)
{
	uint64_t now = timers_now(timers);
	uint64_t end = now + MIN(ns, CLOCK_MAX - now);

	g_assert(timers->manual);
	g_mutex_lock(&timers->heap_lock);
	while (!timers->paused && heap_top(timers) && heap_top(timers)->deadline <= end) {
		struct timer *timer = heap_top(timers);

		now = MAX(now, timer->deadline);
		clock_stop_at(timers, now);
		fire(timers, timer, now);
	}
	if (!timers->paused)
		clock_stop_at(timers, end);
	g_mutex_unlock(&timers->heap_lock);
}

struct timer *timer_new(struct timers *timers, GMutex *lock, timer_fn fn, void *opaque)
{
	struct timer *timer = g_new0(struct timer, 1);

	timer->timers = timers;
	timer->lock = lock;
	timer->fn = fn;
	timer->opaque = opaque;
	timer->index = NOT_IN_HEAP;
	g_mutex_lock(&timers->heap_lock);
	timers->n_timers++;
	g_mutex_unlock(&timers->heap_lock);
	return timer;
}

void timer_free(struct timer *timer)
{
	struct timers *timers;

	if (!timer)
		return;
	timers = timer->timers;
	g_mutex_lock(&timers->heap_lock);
	if (timer->index != NOT_IN_HEAP)
		heap_remove(timers->heap, timer);
	while (timers->firing == timer && timers->firing_thread != g_thread_self())
		g_cond_wait(&timers->fired, &timers->heap_lock);
	timers->n_timers--;
	g_mutex_unlock(&timers->heap_lock);
	g_free(timer);
}

void timer_set(struct timer *timer, uint64_t deadline)
{
	struct timers *timers = timer->timers;
	uint64_t now = timers_now(timers);

	g_mutex_lock(&timers->heap_lock);
	if (timer->index == NOT_IN_HEAP) {
		timer->index = timers->heap->len;
		g_ptr_array_add(timers->heap, timer);
	}
	timer->deadline = MAX(deadline, now);
	timer->order = timers->n_armed++;
	timer->armed = true;
	heap_settle(timers->heap, timer->index);
	fd_update(timers);
	g_mutex_unlock(&timers->heap_lock);
}

void timer_cancel(struct timer *timer)
{
	struct timers *timers = timer->timers;

	g_mutex_lock(&timers->heap_lock);
	if (timer->index != NOT_IN_HEAP)
		heap_remove(timers->heap, timer);
	timer->armed = false;
	g_mutex_unlock(&timers->heap_lock);
}

bool timer_armed(const struct timer *timer)
{
	return timer->armed;
}
