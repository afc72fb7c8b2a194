/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_FAKE_ACCEL_H
#define LODGE_TESTS_FAKE_ACCEL_H

#include "core/base/error.h"
#include "vmm/vm.h"

/*
 * An accelerator that runs nothing: its vCPUs sleep until they are kicked, or come back at once, and count.
 * Header-only, for one test each.
 */
struct fake_vcpu {
	GMutex lock;
	GCond wake;
	bool kicked;
	bool inside;		  /* between the entry and the return of vcpu_run */
	gint entries;		  /* atomic */
	enum vcpu_exit exit_next; /* what to return once; KICKED: nothing special */
	struct x86_cpu_state state;
};

struct fake_accel {
	struct accel base;
	bool spin;    /* vCPUs come back without being kicked, as often as they can */
	bool running; /* guest time passes */
	int changes;  /* of that */
};

static inline struct fake_vcpu *fake_vcpu(struct vm *vm, unsigned index)
{
	return vm->vcpus[index].accel_data;
}

static inline struct fake_accel *fake_accel(struct vm *vm)
{
	return (struct fake_accel *)(void *)vm->accel;
}

static bool fake_vcpu_create(struct accel *accel, struct vcpu *vcpu, GError **err)
{
	struct fake_vcpu *fake = g_new0(struct fake_vcpu, 1);

	(void)accel;
	(void)err;
	g_mutex_init(&fake->lock);
	g_cond_init(&fake->wake);
	vcpu->accel_data = fake;
	return true;
}

static void fake_vcpu_destroy(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = vcpu->accel_data;

	g_assert_false(fake->inside);
	g_mutex_clear(&fake->lock);
	g_cond_clear(&fake->wake);
	g_free(fake);
}

static enum vcpu_exit fake_vcpu_run(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = vcpu->accel_data;
	bool spin = fake_accel(vcpu->vm)->spin;
	enum vcpu_exit result;

	g_mutex_lock(&fake->lock);
	fake->inside = true;
	g_atomic_int_inc(&fake->entries);
	while (!fake->kicked && !spin && fake->exit_next == VCPU_EXIT_KICKED)
		g_cond_wait(&fake->wake, &fake->lock);
	fake->kicked = false;
	fake->inside = false;
	result = fake->exit_next;
	fake->exit_next = VCPU_EXIT_KICKED;
	g_mutex_unlock(&fake->lock);
	if (result == VCPU_EXIT_ERROR)
		fail(&vcpu->error, LODGE_ERROR_INTERNAL, "it broke");
	return result;
}

static void fake_vcpu_kick(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = vcpu->accel_data;

	g_mutex_lock(&fake->lock);
	fake->kicked = true;
	g_cond_signal(&fake->wake);
	g_mutex_unlock(&fake->lock);
}

static void fake_get_state(struct vcpu *vcpu, struct x86_cpu_state *state)
{
	struct fake_vcpu *fake = vcpu->accel_data;

	*state = fake->state;
}

static bool fake_set_state(struct vcpu *vcpu, const struct x86_cpu_state *state, GError **err)
{
	struct fake_vcpu *fake = vcpu->accel_data;

	(void)err;
	fake->state = *state;
	return true;
}

static void fake_set_running(struct accel *accel, bool running)
{
	struct fake_accel *fake = (struct fake_accel *)(void *)accel;

	fake->changes += fake->running != running;
	fake->running = running;
}

static void fake_pause(struct accel *accel)
{
	fake_set_running(accel, false);
}

static void fake_resume(struct accel *accel)
{
	fake_set_running(accel, true);
}

static void fake_destroy(struct accel *accel)
{
	g_free(accel);
}

static const struct accel_class fake_class = {
	.name = "fake",
	.destroy = fake_destroy,
	.vcpu_create = fake_vcpu_create,
	.vcpu_destroy = fake_vcpu_destroy,
	.vcpu_run = fake_vcpu_run,
	.vcpu_kick = fake_vcpu_kick,
	.vcpu_get_state = fake_get_state,
	.vcpu_set_state = fake_set_state,
	.pause = fake_pause,
	.resume = fake_resume,
};

static inline struct vm *fake_vm_new(unsigned n_vcpus, GMainContext *context, bool (*boot)(void *opaque, GError **err),
				     void *opaque)
{
	struct vm *vm = vm_new("test", UINT64_C(1) << 20, n_vcpus, context, NULL);

	g_assert_nonnull(vm);
	vm->accel_class = &fake_class;
	vm->accel = g_malloc0(sizeof(struct fake_accel));
	vm_set_boot(vm, boot, opaque);
	g_assert_true(vm_create_vcpus(vm, NULL));
	return vm;
}

#endif
