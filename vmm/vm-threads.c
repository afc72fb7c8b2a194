/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vm-private.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/error.h"

/*
 * The vCPU threads and how they are parked.
 *
 * A thread asks before each vcpu_run() whether it is to hold or to quit, under the lock. The loop thread sets hold
 * under the same lock, then kicks. A kick is sticky (vmm/accel.h): it makes the next vcpu_run() return at once even
 * when the thread is between asking and entering, so no order of events loses it. A kick left over from an earlier
 * hold costs one empty round.
 *
 * A vCPU that is held twice in a row without having run in between has stayed counted in n_parked all the time.
 */

/* Waits while the vCPU may not run, when it is dead until the next reset. False: the thread is to end. */
static bool vcpu_may_run(struct vm_private *p, bool dead, unsigned *life)
{
	bool quit;

	g_mutex_lock(&p->lock);
	if (!dead)
		*life = p->n_resets;
	if ((p->hold || (dead && *life == p->n_resets)) && !p->quit) {
		p->n_parked++;
		g_cond_broadcast(&p->changed);
		while ((p->hold || (dead && *life == p->n_resets)) && !p->quit)
			g_cond_wait(&p->changed, &p->lock);
		p->n_parked--;
	}
	*life = p->n_resets;
	quit = p->quit;
	g_mutex_unlock(&p->lock);
	return !quit;
}

static void *vcpu_thread(void *data)
{
	struct vcpu *vcpu = data;
	struct vm *vm = vcpu->vm;
	bool dead = false;
	unsigned life = 0;

	__atomic_store_n(&vcpu->stats->tid, (uint32_t)gettid(), __ATOMIC_RELAXED);
	while (vcpu_may_run(vm->private, dead, &life)) {
		dead = false;
		switch (vm->accel_class->vcpu_run(vcpu)) {
		case VCPU_EXIT_KICKED:
			break;
		case VCPU_EXIT_TRIPLE_FAULT:
			dead = true;
			vm_request_triple_fault(vm);
			break;
		case VCPU_EXIT_ERROR:
			dead = true;
			vm_request_stop(vm, VM_STOP_ERROR, vcpu->error ? vcpu->error->message : NULL);
			break;
		}
	}
	return NULL;
}

/*
 * Signals are the loop thread's business. Those a thread raises by its own doing must stay open: blocked, they kill
 * without a handler.
 */
static void block_signals(sigset_t *old)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < G_N_ELEMENTS(own); i++)
		sigdelset(&set, own[i]);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

static bool start_thread(struct vcpu *vcpu, GError **err)
{
	g_autofree char *name = g_strdup_printf("vcpu%u", vcpu->index);
	g_autoptr(GError) error = NULL;

	vcpu->thread = g_thread_try_new(name, vcpu_thread, vcpu, &error);
	if (!vcpu->thread)
		return fail(err, LODGE_ERROR_SYSTEM, "no thread for vCPU %u: %s", vcpu->index, error->message);
	vcpu->vm->private->n_threads++;
	return true;
}

static void wait_parked(struct vm_private *p)
{
	g_mutex_lock(&p->lock);
	while (p->n_parked < p->n_threads)
		g_cond_wait(&p->changed, &p->lock);
	g_mutex_unlock(&p->lock);
}

/* When it returns every thread has told its number: whoever hears that the VM is ready may tune them. */
bool vm_threads_start(struct vm *vm, GError **err)
{
	bool done = true;
	sigset_t old;

	vm->private->hold = true;
	block_signals(&old);
	for (unsigned i = 0; i < vm->n_vcpus && done; i++)
		done = start_thread(&vm->vcpus[i], err);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (done)
		wait_parked(vm->private);
	else
		vm_threads_end(vm);
	return done;
}

static void kick_all(struct vm *vm)
{
	for (unsigned i = 0; i < vm->private->n_threads; i++)
		vm->accel_class->vcpu_kick(&vm->vcpus[i]);
}

void vm_threads_hold(struct vm *vm)
{
	struct vm_private *p = vm->private;

	g_mutex_lock(&p->lock);
	p->hold = true;
	g_mutex_unlock(&p->lock);
	kick_all(vm);
	wait_parked(p);
}

void vm_threads_release(struct vm *vm)
{
	struct vm_private *p = vm->private;

	g_mutex_lock(&p->lock);
	p->hold = false;
	g_cond_broadcast(&p->changed);
	g_mutex_unlock(&p->lock);
}

void vm_threads_revive(struct vm *vm)
{
	struct vm_private *p = vm->private;

	g_mutex_lock(&p->lock);
	p->n_resets++;
	g_cond_broadcast(&p->changed);
	g_mutex_unlock(&p->lock);
}

void vm_threads_end(struct vm *vm)
{
	struct vm_private *p = vm->private;

	g_mutex_lock(&p->lock);
	p->quit = true;
	g_cond_broadcast(&p->changed);
	g_mutex_unlock(&p->lock);
	kick_all(vm);
	for (unsigned i = 0; i < p->n_threads; i++)
		g_thread_join(g_steal_pointer(&vm->vcpus[i].thread));
	p->n_threads = 0;
}
