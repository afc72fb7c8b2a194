/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/panic-watch.h"

#include <string.h>

#include "vmm/vm.h"

/*
 * A panicked kernel without a reboot timeout prints its last line, "---[ end Kernel panic - not syncing: ... ]---",
 * and then spins in the kernel; its other processors are halted with interrupts off. So: after that line, and
 * silence, the vCPUs are looked at several times. A guest that merely shows such a line goes on to print something,
 * runs user code or waits in HLT for interrupts, and is left alone.
 */
#define QUIET_NS NS_PER_SEC
#define LOOK_NS (200 * NS_PER_MS)
#define LOOKS 5u
#define LINE_MAX_BYTES 200u
#define TRACE_BYTES 8192u /* how much a kernel says between the panic's first line and a reset */

static const char panic_words[] = "Kernel panic - not syncing: ";
static const char end_words[] = "---[ end ";
static const char end_tail[] = " ]---";

struct panic_watch {
	struct vm *vm;
	GMutex lock; /* everything below */
	struct timer *timer;
	char line[LINE_MAX_BYTES + 1];
	size_t line_len;
	char text[LINE_MAX_BYTES + 1]; /* what follows panic_words */
	size_t since;		       /* bytes since that line; 0: no panic */
	unsigned looks;
};

struct look {
	bool alive;
};

/* Whatever stands before the message: "[    1.234567] ", with the time stamp or the caller, once or twice. */
static const char *skip_brackets(const char *line)
{
	while (*line == '[') {
		const char *end = strchr(line, ']');

		if (!end)
			break;
		line = end + 1;
		while (*line == ' ')
			line++;
	}
	return line;
}

static void take_text(struct panic_watch *watch, const char *text)
{
	g_strlcpy(watch->text, text, sizeof(watch->text));
	if (g_str_has_suffix(watch->text, end_tail))
		watch->text[strlen(watch->text) - strlen(end_tail)] = '\0';
	watch->since = 1;
}

static void end_of_line(struct panic_watch *watch)
{
	const char *text;
	bool last;

	watch->line[watch->line_len] = '\0';
	watch->line_len = 0;
	text = skip_brackets(watch->line);
	last = g_str_has_prefix(text, end_words);
	if (last)
		text += strlen(end_words);
	if (!g_str_has_prefix(text, panic_words))
		return;
	take_text(watch, text + strlen(panic_words));
	if (last) {
		watch->looks = 0;
		timer_set(watch->timer, timers_now(watch->vm->timers) + QUIET_NS);
	}
}

static void take_byte(struct panic_watch *watch, uint8_t byte)
{
	if (byte == '\r')
		return;
	if (byte == '\n') {
		end_of_line(watch);
		return;
	}
	if (watch->line_len < LINE_MAX_BYTES)
		watch->line[watch->line_len++] = (char)byte;
	if (watch->since)
		watch->since++;
	if (timer_armed(watch->timer))
		timer_cancel(watch->timer);
}

void panic_watch_output(void *opaque, const uint8_t *data, size_t len)
{
	struct panic_watch *watch = opaque;

	g_mutex_lock(&watch->lock);
	for (size_t i = 0; i < len; i++)
		take_byte(watch, data[i]);
	g_mutex_unlock(&watch->lock);
}

static void look_at(void *opaque, const struct x86_cpu_state *state)
{
	struct look *look = opaque;
	bool waits = state->run_state == X86_HALTED && (state->rflags & X86_FLAG_IF);
	bool user = (state->seg[X86_CS].selector & 3) != 0;

	look->alive |= waits || user;
}

/* Loop thread, watch->lock held: no vCPU may wait for it while it is being parked, so it is let go. */
static void look_again(void *opaque)
{
	struct panic_watch *watch = opaque;
	struct look look = { 0 };
	size_t since = watch->since;

	g_mutex_unlock(&watch->lock);
	vm_inspect(watch->vm, look_at, &look);
	g_mutex_lock(&watch->lock);
	if (look.alive || watch->since != since)
		return;
	if (++watch->looks < LOOKS)
		timer_set(watch->timer, timers_now(watch->vm->timers) + LOOK_NS);
	else
		vm_request_stop(watch->vm, VM_STOP_PANIC, watch->text);
}

struct panic_watch *panic_watch_new(struct vm *vm)
{
	struct panic_watch *watch = g_new0(struct panic_watch, 1);

	watch->vm = vm;
	g_mutex_init(&watch->lock);
	watch->timer = timer_new(vm->timers, &watch->lock, look_again, watch);
	return watch;
}

void panic_watch_free(struct panic_watch *watch)
{
	timer_free(watch->timer);
	g_mutex_clear(&watch->lock);
	g_free(watch);
}

void panic_watch_reset(struct panic_watch *watch)
{
	g_mutex_lock(&watch->lock);
	timer_cancel(watch->timer);
	watch->line_len = 0;
	watch->since = 0;
	g_mutex_unlock(&watch->lock);
}

const char *panic_watch_text(struct panic_watch *watch)
{
	bool recent;

	g_mutex_lock(&watch->lock);
	recent = watch->since && watch->since <= TRACE_BYTES;
	g_mutex_unlock(&watch->lock);
	return recent ? watch->text : NULL;
}
