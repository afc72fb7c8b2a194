/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/error.h"
#include "tests/fake-accel.h"

struct fixture {
	GMainContext *context;
	struct vm *vm;
	unsigned boots, fail_boot_after;
};

static bool boot(void *opaque, GError **err)
{
	struct fixture *f = opaque;

	for (unsigned i = 0; i < f->vm->n_vcpus; i++)
		g_assert_false(fake_vcpu(f->vm, i)->inside);
	if (f->fail_boot_after && f->boots >= f->fail_boot_after)
		return fail(err, LODGE_ERROR_INPUT, "no kernel any more");
	f->boots++;
	return true;
}

static void set_up(struct fixture *f, gconstpointer data)
{
	f->context = g_main_context_new();
	f->vm = fake_vm_new(GPOINTER_TO_UINT(data), f->context, boot, f);
	for (unsigned i = 0; i < f->vm->n_vcpus; i++)
		fake_vcpu(f->vm, i)->state.rip = i;
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	vm_free(f->vm);
	g_main_context_unref(f->context);
}

#define WAIT_UNTIL(f, condition) \
	do { \
		while (!(condition)) \
			g_main_context_iteration((f)->context, TRUE); \
	} while (0)

static int entries(struct fixture *f, unsigned index)
{
	return g_atomic_int_get(&fake_vcpu(f->vm, index)->entries);
}

/* Waits until vCPU index has entered the guest again. The loop has nothing to do with that, so it may not sleep. */
static void await_entry(struct fixture *f, unsigned index)
{
	int before = entries(f, index);

	while (entries(f, index) == before) {
		fake_vcpu_kick(&f->vm->vcpus[index]);
		g_thread_yield();
	}
}

static enum vm_stop stopped(struct fixture *f, const char **text)
{
	vm_run(f->vm);
	g_assert_cmpint(vm_state(f->vm), ==, VM_STOPPED);
	return vm_stop_reason(f->vm, text);
}

/* --- refusals --- */

static void test_boot_fails(struct fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	(void)data;
	f->boots = f->fail_boot_after = 1;
	g_assert_false(vm_start(f->vm, false, &error));
	g_assert_error(error, LODGE_ERROR, LODGE_ERROR_INPUT);
	g_assert_cmpint(vm_state(f->vm), ==, VM_CREATED);
}

static void test_reboot_fails(struct fixture *f, gconstpointer data)
{
	const char *text;

	(void)data;
	f->fail_boot_after = 1;
	g_assert_true(vm_start(f->vm, false, NULL));
	vm_request_reset(f->vm, NULL);
	g_assert_cmpint(stopped(f, &text), ==, VM_STOP_ERROR);
	g_assert_cmpstr(text, ==, "no kernel any more");
}

/* What a state does not allow does not happen. */
static void test_wrong_state(struct fixture *f, gconstpointer data)
{
	(void)data;
	vm_pause(f->vm);
	vm_resume(f->vm);
	g_assert_cmpint(vm_state(f->vm), ==, VM_CREATED);
	g_assert_true(vm_start(f->vm, false, NULL));
	vm_resume(f->vm);
	g_assert_cmpint(fake_accel(f->vm)->changes, ==, 1);
	vm_stop(f->vm);
	vm_pause(f->vm);
	vm_resume(f->vm);
	vm_stop(f->vm);
	g_assert_cmpint(vm_state(f->vm), ==, VM_STOPPED);
	g_assert_cmpint(fake_accel(f->vm)->changes, ==, 1);
}

static void test_unknown_names(void)
{
	g_assert_cmpstr(vm_state_name(VM_N_STATES), ==, "unknown");
	g_assert_cmpstr(vm_stop_name(VM_N_STOPS), ==, "unknown");
	for (int i = 0; i < VM_N_STATES; i++)
		g_assert_nonnull(vm_state_name((enum vm_state)i));
	for (int i = 0; i < VM_N_STOPS; i++)
		g_assert_nonnull(vm_stop_name((enum vm_stop)i));
}

/* --- stopping --- */

static void test_first_reason_wins(struct fixture *f, gconstpointer data)
{
	const char *text;

	(void)data;
	g_assert_true(vm_start(f->vm, false, NULL));
	vm_request_stop(f->vm, VM_STOP_POWEROFF, "first");
	vm_request_stop(f->vm, VM_STOP_PANIC, "second");
	vm_request_reset(f->vm, NULL);
	g_assert_cmpint(stopped(f, &text), ==, VM_STOP_POWEROFF);
	g_assert_cmpstr(text, ==, "first");
	g_assert_cmpuint(f->boots, ==, 1);
}

static void test_exit(struct fixture *f, enum vcpu_exit exit, enum vm_stop want, const char *want_text)
{
	struct fake_vcpu *fake = fake_vcpu(f->vm, f->vm->n_vcpus - 1);
	const char *text;

	fake->exit_next = exit;
	g_assert_true(vm_start(f->vm, false, NULL));
	g_assert_cmpint(stopped(f, &text), ==, want);
	g_assert_cmpstr(text, ==, want_text);
	/* A vCPU that cannot go on is not run again. */
	g_assert_cmpint(fake->entries, ==, 1);
}

static void test_triple_fault(struct fixture *f, gconstpointer data)
{
	(void)data;
	test_exit(f, VCPU_EXIT_TRIPLE_FAULT, VM_STOP_TRIPLE_FAULT, NULL);
}

static void test_error(struct fixture *f, gconstpointer data)
{
	(void)data;
	test_exit(f, VCPU_EXIT_ERROR, VM_STOP_ERROR, "it broke");
}

static void test_stop_while_paused(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_true(vm_start(f->vm, true, NULL));
	vm_request_stop(f->vm, VM_STOP_QUIT, NULL);
	g_assert_cmpint(stopped(f, NULL), ==, VM_STOP_QUIT);
}

static void test_freed_while_running(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_true(vm_start(f->vm, false, NULL));
	await_entry(f, 0);
}

/* --- pausing --- */

static void test_starts_paused(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_true(vm_start(f->vm, true, NULL));
	g_assert_cmpint(vm_state(f->vm), ==, VM_PAUSED);
	g_assert_false(fake_accel(f->vm)->running);
	g_assert_cmpint(entries(f, 0), ==, 0);
	g_assert_cmpuint(timers_now(f->vm->timers), ==, 0);
	vm_request_resume(f->vm);
	WAIT_UNTIL(f, vm_state(f->vm) == VM_RUNNING);
	await_entry(f, 0);
	g_assert_true(fake_accel(f->vm)->running);
}

/* After the pause nothing runs and time stands still, whatever the vCPUs were doing at that moment. */
static void pause_often(struct fixture *f)
{
	g_assert_true(vm_start(f->vm, false, NULL));
	for (unsigned round = 0; round < 200; round++) {
		uint64_t now;

		if (round % 3)
			await_entry(f, round % f->vm->n_vcpus);
		vm_pause(f->vm);
		now = timers_now(f->vm->timers);
		g_assert_false(fake_accel(f->vm)->running);
		for (unsigned i = 0; i < f->vm->n_vcpus; i++) {
			struct fake_vcpu *fake = fake_vcpu(f->vm, i);
			int before = entries(f, i);

			g_thread_yield();
			g_assert_false(fake->inside);
			g_assert_cmpint(entries(f, i), ==, before);
		}
		g_assert_cmpuint(timers_now(f->vm->timers), ==, now);
		vm_resume(f->vm);
	}
}

static void test_pauses_sleeping(struct fixture *f, gconstpointer data)
{
	(void)data;
	pause_often(f);
}

static void test_pauses_spinning(struct fixture *f, gconstpointer data)
{
	(void)data;
	fake_accel(f->vm)->spin = true;
	pause_often(f);
}

static void test_later_wish_counts(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_true(vm_start(f->vm, false, NULL));
	vm_request_resume(f->vm);
	vm_request_pause(f->vm);
	WAIT_UNTIL(f, vm_state(f->vm) == VM_PAUSED);
	vm_request_pause(f->vm);
	vm_request_resume(f->vm);
	WAIT_UNTIL(f, vm_state(f->vm) == VM_RUNNING);
}

static void count_state(void *opaque, const struct x86_cpu_state *state)
{
	*(uint64_t *)opaque += state->rip + 1;
}

static void test_inspect(struct fixture *f, gconstpointer data)
{
	uint64_t sum = 0;

	(void)data;
	g_assert_true(vm_start(f->vm, false, NULL));
	vm_inspect(f->vm, count_state, &sum);
	g_assert_cmpuint(sum, ==, f->vm->n_vcpus * (f->vm->n_vcpus + 1) / 2);
	await_entry(f, 0);
	vm_pause(f->vm);
	vm_inspect(f->vm, count_state, &sum);
	g_assert_cmpint(vm_state(f->vm), ==, VM_PAUSED);
}

/* --- reset --- */

static void test_reset(struct fixture *f, gconstpointer data)
{
	(void)data;
	fake_accel(f->vm)->spin = true;
	g_assert_true(vm_start(f->vm, false, NULL));
	for (unsigned i = 1; i < 100; i++) {
		g_assert_cmpuint(f->boots, ==, i);
		vm_request_reset(f->vm, NULL);
		WAIT_UNTIL(f, f->boots == i + 1);
		g_assert_cmpint(vm_state(f->vm), ==, VM_RUNNING);
		await_entry(f, i % f->vm->n_vcpus);
	}
	g_assert_true(fake_accel(f->vm)->running);
}

static void test_reset_while_paused(struct fixture *f, gconstpointer data)
{
	(void)data;
	g_assert_true(vm_start(f->vm, true, NULL));
	vm_request_reset(f->vm, NULL);
	WAIT_UNTIL(f, f->boots == 2);
	g_assert_cmpint(vm_state(f->vm), ==, VM_PAUSED);
	g_assert_cmpint(entries(f, 0), ==, 0);
}

static void test_no_reboot(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->vm->no_reboot = true;
	g_assert_true(vm_start(f->vm, false, NULL));
	vm_request_reset(f->vm, NULL);
	g_assert_cmpint(stopped(f, NULL), ==, VM_STOP_RESET);
	g_assert_cmpuint(f->boots, ==, 1);
}

static void *request_everything(void *data)
{
	struct vm *vm = data;

	for (unsigned i = 0; i < 300; i++) {
		vm_request_pause(vm);
		vm_request_reset(vm, NULL);
		vm_request_resume(vm);
	}
	vm_request_stop(vm, VM_STOP_QUIT, NULL);
	return NULL;
}

/* From any thread, at any time: it ends stopped, and nothing hangs. */
static void test_requests_from_threads(struct fixture *f, gconstpointer data)
{
	GThread *threads[3];

	(void)data;
	fake_accel(f->vm)->spin = true;
	g_assert_true(vm_start(f->vm, false, NULL));
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("requests", request_everything, f->vm);
	g_assert_cmpint(stopped(f, NULL), ==, VM_STOP_QUIT);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
}

#define ADD(name, vcpus, fn) g_test_add("/vm/" name, struct fixture, GUINT_TO_POINTER(vcpus), set_up, fn, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("boot-fails", 1, test_boot_fails);
	ADD("reboot-fails", 2, test_reboot_fails);
	ADD("wrong-state", 2, test_wrong_state);
	g_test_add_func("/vm/unknown-names", test_unknown_names);
	ADD("first-reason-wins", 2, test_first_reason_wins);
	ADD("triple-fault", 2, test_triple_fault);
	ADD("error", 2, test_error);
	ADD("stop-while-paused", 2, test_stop_while_paused);
	ADD("freed-while-running", 3, test_freed_while_running);
	ADD("starts-paused", 1, test_starts_paused);
	ADD("pauses/sleeping", 4, test_pauses_sleeping);
	ADD("pauses/spinning", 4, test_pauses_spinning);
	ADD("later-wish-counts", 1, test_later_wish_counts);
	ADD("inspect", 3, test_inspect);
	ADD("reset", 4, test_reset);
	ADD("reset-while-paused", 2, test_reset_while_paused);
	ADD("no-reboot", 1, test_no_reboot);
	ADD("requests-from-threads", 4, test_requests_from_threads);
	return g_test_run();
}
