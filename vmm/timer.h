/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_TIMER_H
#define LODGE_VMM_TIMER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"

/*
 * Virtual time. One `struct timers` per VM: a clock in nanoseconds that starts at 0, runs with CLOCK_MONOTONIC and stands still
 * while the VM is paused, and any number of one-shot timers on it. This is the only way time enters device models, so tests can own it:
 * timers_new_manual() gives a clock that moves only by timers_advance().
 *
 * Callbacks run on the VM's loop thread (or inside timers_advance()), with the lock given to timer_new() held. timer_set() and
 * timer_cancel() may be called from any thread that holds that lock; once timer_cancel() has returned under the lock the callback will
 * not run for the old deadline.
 */
struct timers;
struct timer;

typedef void (*timer_fn)(void *opaque);

#define NS_PER_SEC UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

/* context: the loop thread's; a timerfd source is attached to it. Fails only when the host has no descriptor left. */
struct timers *timers_new(GMainContext *context, GError **err);
struct timers *timers_new_manual(void);
void timers_free(struct timers *timers); /* every timer must have been freed */
DEFINE_AUTOPTR(timers, timers_free)

uint64_t timers_now(struct timers *timers); /* ns; any thread, lock-free */
void timers_pause(struct timers *timers);
void timers_resume(struct timers *timers);
void timers_set_now(struct timers *timers, uint64_t now);   /* only while paused: restoring a saved state */
void timers_advance(struct timers *timers, uint64_t ns); /* manual clock only: moves it, running what falls due in order */

/* lock may be NULL when the callback and all users are on the loop thread. */
struct timer *timer_new(struct timers *timers, GMutex *lock, timer_fn fn, void *opaque);
void timer_free(struct timer *timer); /* NULL is fine; not while holding the lock */
DEFINE_AUTOPTR(timer, timer_free)

/* Fires once when the clock reaches deadline (ns); replaces an earlier deadline. A deadline in the past fires at once. */
void timer_set(struct timer *timer, uint64_t deadline);
void timer_cancel(struct timer *timer);
bool timer_armed(const struct timer *timer);

/* a * b / c without overflow in between: for tick <-> ns conversions. */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t)((unsigned __int128)a * b / c);
}

#endif
