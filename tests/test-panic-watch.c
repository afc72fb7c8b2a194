/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "tests/fake-accel.h"
#include "vmm/panic-watch.h"

struct fixture {
	GMainContext *context;
	struct vm *vm;
	struct panic_watch *watch;
};

static bool boot(void *opaque, GError **err)
{
	(void)opaque;
	(void)err;
	return true;
}

static void set_up(struct fixture *f, gconstpointer data)
{
	(void)data;
	f->context = g_main_context_new();
	f->vm = fake_vm_new(2, f->context, boot, NULL);
	timers_free(f->vm->timers);
	f->vm->timers = timers_new_manual();
	f->watch = panic_watch_new(f->vm);
	/* The kernel spins on one processor and has halted the other for good. */
	fake_vcpu(f->vm, 0)->state.rflags = X86_FLAG_IF;
	fake_vcpu(f->vm, 1)->state.run_state = X86_HALTED;
	g_assert_true(vm_start(f->vm, false, NULL));
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	panic_watch_free(f->watch);
	vm_free(f->vm);
	g_main_context_unref(f->context);
}

static void say(struct fixture *f, const char *text)
{
	panic_watch_output(f->watch, (const uint8_t *)text, strlen(text));
}

/* Lets the guest's clock run for a minute; true when the VM has been stopped. */
static bool given_up(struct fixture *f)
{
	timers_advance(f->vm->timers, 60 * NS_PER_SEC);
	while (g_main_context_iteration(f->context, FALSE))
		;
	return vm_state(f->vm) == VM_STOPPED;
}

#define FIRST "[    1.234567] Kernel panic - not syncing: VFS: no root\r\n"
#define LAST "[    1.3] ---[ end Kernel panic - not syncing: VFS: no root ]---\r\n"

static void expect_panic(struct fixture *f, const char *want)
{
	const char *text;

	g_assert_true(given_up(f));
	g_assert_cmpint(vm_stop_reason(f->vm, &text), ==, VM_STOP_PANIC);
	g_assert_cmpstr(text, ==, want);
}

/* --- guests that are alive --- */

static void test_other_output(struct fixture *f, gconstpointer data)
{
	(void)data;
	say(f, "Kernel panic\n---[ end \nnot syncing\n[[[[\n[ no end\n");
	g_assert_false(given_up(f));
	g_assert_null(panic_watch_text(f->watch));
}

/* Somebody shows the log of another machine's panic, and the shell prompts again. */
static void test_shown_log(struct fixture *f, gconstpointer data)
{
	(void)data;
	say(f, FIRST LAST "# ");
	g_assert_false(given_up(f));
}

static void test_quoted(struct fixture *f, gconstpointer data)
{
	(void)data;
	say(f, "grep: " LAST);
	g_assert_false(given_up(f));
}

static void test_idle(struct fixture *f, gconstpointer data)
{
	(void)data;
	fake_vcpu(f->vm, 0)->state.run_state = X86_HALTED;
	say(f, FIRST LAST);
	g_assert_false(given_up(f));
}

static void test_user_code(struct fixture *f, gconstpointer data)
{
	(void)data;
	fake_vcpu(f->vm, 0)->state.seg[X86_CS].selector = 0x33;
	say(f, FIRST LAST);
	g_assert_false(given_up(f));
}

/* With a reboot timeout set the kernel does not print its last line: the reset will tell. */
static void test_will_reboot(struct fixture *f, gconstpointer data)
{
	(void)data;
	say(f, FIRST "[    1.3] Rebooting in 1 seconds..");
	g_assert_false(given_up(f));
	g_assert_cmpstr(panic_watch_text(f->watch), ==, "VFS: no root");
	panic_watch_reset(f->watch);
	g_assert_null(panic_watch_text(f->watch));
}

static void test_long_ago(struct fixture *f, gconstpointer data)
{
	g_autofree char *page = g_strnfill(10000, 'x');

	(void)data;
	say(f, FIRST);
	say(f, page);
	g_assert_null(panic_watch_text(f->watch));
}

/* --- and those that are not --- */

static void test_panic(struct fixture *f, gconstpointer data)
{
	(void)data;
	say(f, "Booting\n" FIRST "[    1.25] CPU: 0 PID: 1\n" LAST);
	expect_panic(f, "VFS: no root");
}

static void test_byte_by_byte(struct fixture *f, gconstpointer data)
{
	static const char text[] = FIRST LAST;

	(void)data;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		panic_watch_output(f->watch, (const uint8_t *)text + i, 1);
	expect_panic(f, "VFS: no root");
}

static void test_no_time_stamps(struct fixture *f, gconstpointer data)
{
	(void)data;
	say(f, "---[ end Kernel panic - not syncing: [weird] ]---\n");
	expect_panic(f, "[weird]");
}

static void test_long_line(struct fixture *f, gconstpointer data)
{
	g_autofree char *words = g_strnfill(5000, 'w');
	const char *text;

	(void)data;
	say(f, "[ 1.0][ T1] ---[ end Kernel panic - not syncing: ");
	say(f, words);
	say(f, " ]---\n");
	g_assert_true(given_up(f));
	vm_stop_reason(f->vm, &text);
	g_assert_cmpuint(strlen(text), >, 100);
	g_assert_cmpuint(strlen(text), <, 200);
}

#define ADD(name, fn) g_test_add("/panic-watch/" name, struct fixture, NULL, set_up, fn, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("alive/other-output", test_other_output);
	ADD("alive/shown-log", test_shown_log);
	ADD("alive/quoted", test_quoted);
	ADD("alive/idle", test_idle);
	ADD("alive/user-code", test_user_code);
	ADD("alive/will-reboot", test_will_reboot);
	ADD("alive/long-ago", test_long_ago);
	ADD("dead/panic", test_panic);
	ADD("dead/byte-by-byte", test_byte_by_byte);
	ADD("dead/no-time-stamps", test_no_time_stamps);
	ADD("dead/long-line", test_long_line);
	return g_test_run();
}
