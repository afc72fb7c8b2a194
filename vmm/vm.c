/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vm-private.h"

#include <string.h>
#include <sys/mman.h>

#include "core/base/error.h"
#include "core/model/lifecycle.h"
#include "vmm/dev/devices.h"

/*
 * The VM as a whole: its states, the requests that change them, and the wires between interrupt controllers.
 *
 * A request is a bit under the lock and a wake-up of the loop. The loop takes all bits at once; a stop goes before a
 * reset, and of pause and resume only the later one is ever set. So a guest that asks for everything at the same time
 * gets a defined answer.
 */
#define REQUEST_STOP 0x1u
#define REQUEST_RESET 0x2u
#define REQUEST_PAUSE 0x4u
#define REQUEST_RESUME 0x8u
#define REQUEST_HOLD 0x10u

#define PIC_PINS 16u
#define PIT_PIC_PIN 0u
#define PIT_IOAPIC_PIN 2u

struct vm_source {
	GSource base;
	struct vm *vm;
};

static const bool allowed[VM_N_STATES][VM_N_STATES] = {
	[VM_CREATED] = { [VM_RUNNING] = true, [VM_PAUSED] = true, [VM_STOPPED] = true },
	[VM_RUNNING] = { [VM_PAUSED] = true, [VM_STOPPED] = true },
	[VM_PAUSED] = { [VM_RUNNING] = true, [VM_STOPPED] = true },
};

static const char *const state_names[VM_N_STATES] = {
	[VM_CREATED] = "created",
	[VM_RUNNING] = "running",
	[VM_PAUSED] = "paused",
	[VM_STOPPED] = "shut off",
};

static const char *const stop_names[VM_N_STOPS] = {
	[VM_STOP_NONE] = "none",   [VM_STOP_POWEROFF] = "poweroff",	    [VM_STOP_RESET] = "reset",
	[VM_STOP_QUIT] = "quit",   [VM_STOP_TRIPLE_FAULT] = "triple fault", [VM_STOP_PANIC] = "panic",
	[VM_STOP_ERROR] = "error",
};

const char *vm_state_name(enum vm_state state)
{
	return (size_t)state < VM_N_STATES ? state_names[state] : "unknown";
}

const char *vm_stop_name(enum vm_stop why)
{
	return (size_t)why < VM_N_STOPS ? stop_names[why] : "unknown";
}

/* --- states --- */

enum vm_state vm_state(const struct vm *vm)
{
	enum vm_state state;

	g_mutex_lock(&vm->private->lock);
	state = vm->private->state;
	g_mutex_unlock(&vm->private->lock);
	return state;
}

enum vm_stop vm_stop_reason(const struct vm *vm, const char **text)
{
	enum vm_stop why;

	g_mutex_lock(&vm->private->lock);
	why = vm->private->stop;
	if (text)
		*text = vm->private->stop_text;
	g_mutex_unlock(&vm->private->lock);
	return why;
}

static bool vm_set_state(struct vm *vm, enum vm_state to)
{
	struct vm_private *p = vm->private;
	bool may;

	g_mutex_lock(&p->lock);
	may = allowed[p->state][to];
	if (may)
		p->state = to;
	g_mutex_unlock(&p->lock);
	return may;
}

static void for_each_device(struct vm *vm, void (*fn)(struct device *dev))
{
	for (guint i = 0; i < vm->devices->len; i++)
		fn(g_ptr_array_index(vm->devices, i));
}

static void emit(struct vm *vm, enum vm_event event, bool guest, const char *text, int64_t value)
{
	struct vm_event_info info = { .event = event, .guest = guest, .text = text, .value = value };

	if (vm->private->on_event)
		vm->private->on_event(vm->private->on_event_opaque, &info);
}

void vm_on_event(struct vm *vm, void (*fn)(void *opaque, const struct vm_event_info *info), void *opaque)
{
	vm->private->on_event = fn;
	vm->private->on_event_opaque = opaque;
}

static void tell(struct vm *vm, unsigned state, unsigned reason, const char *text)
{
	stats_page_set_state(vm->stats, state, reason, text);
}

static unsigned shutoff_reason(enum vm_stop why)
{
	static const unsigned reasons[VM_N_STOPS] = {
		[VM_STOP_NONE] = DOMAIN_SHUTOFF_DESTROYED,	 [VM_STOP_POWEROFF] = DOMAIN_SHUTOFF_SHUTDOWN,
		[VM_STOP_RESET] = DOMAIN_SHUTOFF_SHUTDOWN,	 [VM_STOP_QUIT] = DOMAIN_SHUTOFF_DESTROYED,
		[VM_STOP_TRIPLE_FAULT] = DOMAIN_SHUTOFF_CRASHED, [VM_STOP_PANIC] = DOMAIN_SHUTOFF_CRASHED,
		[VM_STOP_ERROR] = DOMAIN_SHUTOFF_FAILED,
	};

	return reasons[why];
}

/* Everything stands still, in this order: vCPUs, time, devices. Timer callbacks and this run on the same thread. */
static void quiesce(struct vm *vm)
{
	vm_threads_hold(vm);
	timers_pause(vm->timers);
	for_each_device(vm, device_pause);
	vm->accel_class->pause(vm->accel);
}

static void unquiesce(struct vm *vm)
{
	vm->accel_class->resume(vm->accel);
	for_each_device(vm, device_resume);
	timers_resume(vm->timers);
	vm_threads_release(vm);
}

static bool pause_quietly(struct vm *vm)
{
	if (vm_state(vm) != VM_RUNNING || !vm_set_state(vm, VM_PAUSED))
		return false;
	quiesce(vm);
	return true;
}

void vm_pause_because(struct vm *vm, unsigned reason)
{
	if (!pause_quietly(vm))
		return;
	tell(vm, DOMAIN_PAUSED, reason, NULL);
	emit(vm, VM_EVENT_PAUSED, false, NULL, 0);
}

void vm_pause(struct vm *vm)
{
	vm_pause_because(vm, DOMAIN_PAUSED_USER);
}

enum vm_stop vm_held(const struct vm *vm)
{
	enum vm_stop held;

	g_mutex_lock(&vm->private->lock);
	held = vm->private->state == VM_PAUSED ? vm->private->held : VM_STOP_NONE;
	g_mutex_unlock(&vm->private->lock);
	return held;
}

void vm_resume(struct vm *vm)
{
	if (vm_state(vm) != VM_PAUSED || vm_held(vm) != VM_STOP_NONE || !vm_set_state(vm, VM_RUNNING))
		return;
	tell(vm, DOMAIN_RUNNING, DOMAIN_RUNNING_UNPAUSED, NULL);
	emit(vm, VM_EVENT_RESUMED, false, NULL, 0);
	unquiesce(vm);
}

/* What would have been a stop for the reason in private->held. */
static void hold(struct vm *vm)
{
	enum vm_stop why;
	const char *text;
	bool crash;

	g_mutex_lock(&vm->private->lock);
	why = vm->private->held;
	text = vm->private->held_text;
	g_mutex_unlock(&vm->private->lock);
	if (why == VM_STOP_NONE)
		return;
	crash = why == VM_STOP_PANIC || why == VM_STOP_TRIPLE_FAULT;
	pause_quietly(vm);
	tell(vm, crash ? DOMAIN_CRASHED : DOMAIN_PAUSED, crash ? DOMAIN_CRASHED_PANICKED : DOMAIN_PAUSED_SHUTTING_DOWN,
	     text);
	if (why == VM_STOP_PANIC)
		emit(vm, VM_EVENT_PANICKED, true, text, 0);
	emit(vm, VM_EVENT_HELD, true, text, 0);
}

void vm_inspect(struct vm *vm, void (*fn)(void *opaque, const struct x86_cpu_state *state), void *opaque)
{
	bool running = vm_state(vm) == VM_RUNNING;
	struct x86_cpu_state state;

	if (running)
		vm_threads_hold(vm);
	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		vm->accel_class->vcpu_get_state(&vm->vcpus[i], &state);
		fn(opaque, &state);
	}
	if (running)
		vm_threads_release(vm);
}

static void fail_stop(struct vm *vm, GError *error_consume)
{
	g_clear_error(&vm->private->error);
	vm->private->error = error_consume;
	vm_request_stop(vm, VM_STOP_ERROR, error_consume->message);
}

static bool take_reboot(struct vm *vm)
{
	bool taken;

	g_mutex_lock(&vm->private->lock);
	taken = vm->private->reboot_instead;
	vm->private->reboot_instead = false;
	g_mutex_unlock(&vm->private->lock);
	return taken;
}

static void release_hold(struct vm *vm)
{
	bool crash = vm_held(vm) == VM_STOP_PANIC || vm_held(vm) == VM_STOP_TRIPLE_FAULT;

	if (vm_held(vm) != VM_STOP_NONE)
		tell(vm, DOMAIN_PAUSED, crash ? DOMAIN_PAUSED_CRASHED : DOMAIN_PAUSED_USER, NULL);
	g_mutex_lock(&vm->private->lock);
	vm->private->held = VM_STOP_NONE;
	g_mutex_unlock(&vm->private->lock);
}

/* The machine as after power-on; a paused one stays paused. */
static void reset(struct vm *vm, bool guest, const char *text)
{
	bool running = vm_state(vm) == VM_RUNNING;
	GError *error = NULL;

	if (running)
		quiesce(vm);
	if (!vm->private->boot(vm->private->boot_opaque, &error)) {
		fail_stop(vm, error);
		return;
	}
	vm_threads_revive(vm);
	release_hold(vm);
	take_reboot(vm);
	stats_add(&vm->stats->state.resets, 1);
	emit(vm, VM_EVENT_RESET, guest, text, 0);
	if (running)
		unquiesce(vm);
}

void vm_reset(struct vm *vm)
{
	if (vm_state(vm) == VM_RUNNING || vm_state(vm) == VM_PAUSED)
		reset(vm, false, NULL);
}

void vm_stop(struct vm *vm)
{
	enum vm_stop why;
	const char *text;

	if (!vm_set_state(vm, VM_STOPPED))
		return;
	vm_threads_end(vm);
	timers_pause(vm->timers);
	why = vm_stop_reason(vm, &text);
	if (why == VM_STOP_PANIC)
		emit(vm, VM_EVENT_PANICKED, true, text, 0);
	tell(vm, DOMAIN_SHUTOFF, shutoff_reason(why), text);
	emit(vm, VM_EVENT_STOPPED, why != VM_STOP_QUIT && why != VM_STOP_ERROR, text, 0);
}

/* --- requests --- */

static void request(struct vm *vm, unsigned set, unsigned clear)
{
	struct vm_private *p = vm->private;

	g_mutex_lock(&p->lock);
	p->requests = (p->requests & ~clear) | set;
	g_mutex_unlock(&p->lock);
	g_source_set_ready_time(p->source, 0);
}

void vm_request_stop(struct vm *vm, enum vm_stop why, const char *reason)
{
	struct vm_private *p = vm->private;

	if (why == VM_STOP_POWEROFF && take_reboot(vm)) {
		vm_request_reset(vm, "reboot");
		return;
	}
	if (vm->hold_stops >> why & 1) {
		g_mutex_lock(&p->lock);
		if (p->held == VM_STOP_NONE) {
			p->held = why;
			p->held_text = reason;
		}
		g_mutex_unlock(&p->lock);
		request(vm, REQUEST_HOLD, 0);
		return;
	}
	g_mutex_lock(&p->lock);
	if (p->stop == VM_STOP_NONE) {
		p->stop = why;
		p->stop_text = reason;
	}
	g_mutex_unlock(&p->lock);
	request(vm, REQUEST_STOP, 0);
}

void vm_request_reset(struct vm *vm, const char *reason)
{
	if (vm->no_reboot) {
		vm_request_stop(vm, VM_STOP_RESET, reason);
		return;
	}
	g_mutex_lock(&vm->private->lock);
	vm->private->reset_text = reason;
	g_mutex_unlock(&vm->private->lock);
	request(vm, REQUEST_RESET, 0);
}

void vm_request_triple_fault(struct vm *vm)
{
	if (vm->reset_on_fault && !vm->no_reboot)
		vm_request_reset(vm, "triple fault");
	else
		vm_request_stop(vm, VM_STOP_TRIPLE_FAULT, NULL);
}

void vm_tell_value(struct vm *vm, enum vm_event event, int64_t value)
{
	emit(vm, event, true, NULL, value);
}

void vm_post_value(struct vm *vm, enum vm_event event, int64_t value)
{
	struct vm_private *p = vm->private;

	g_mutex_lock(&p->lock);
	p->values[event] = value;
	p->posted |= 1u << event;
	g_mutex_unlock(&p->lock);
	request(vm, 0, 0);
}

void vm_request_pause(struct vm *vm)
{
	request(vm, REQUEST_PAUSE, REQUEST_RESUME);
}

void vm_request_resume(struct vm *vm)
{
	request(vm, REQUEST_RESUME, REQUEST_PAUSE);
}

static void emit_posted(struct vm *vm)
{
	struct vm_private *p = vm->private;
	int64_t values[VM_N_EVENTS];
	unsigned posted;

	g_mutex_lock(&p->lock);
	posted = p->posted;
	p->posted = 0;
	memcpy(values, p->values, sizeof(values));
	g_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < VM_N_EVENTS; i++) {
		if (posted >> i & 1)
			emit(vm, (enum vm_event)i, true, NULL, values[i]);
	}
}

static gboolean carry_out(GSource *source, GSourceFunc fn, gpointer data)
{
	struct vm *vm = ((struct vm_source *)source)->vm;
	struct vm_private *p = vm->private;
	const char *reset_text;
	unsigned requests;

	(void)fn;
	(void)data;
	/* Before the bits are taken: a request made after that wakes us again. */
	g_source_set_ready_time(source, -1);
	g_mutex_lock(&p->lock);
	requests = p->requests;
	p->requests = 0;
	reset_text = p->reset_text;
	g_mutex_unlock(&p->lock);
	emit_posted(vm);
	if (requests & REQUEST_STOP) {
		vm_stop(vm);
		return G_SOURCE_CONTINUE;
	}
	if (requests & REQUEST_HOLD)
		hold(vm);
	else if (requests & REQUEST_RESET)
		reset(vm, true, reset_text);
	if (requests & REQUEST_PAUSE)
		vm_pause(vm);
	if (requests & REQUEST_RESUME)
		vm_resume(vm);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs vm_source_funcs = { .dispatch = carry_out };

static GSource *request_source(struct vm *vm)
{
	GSource *source = g_source_new(&vm_source_funcs, sizeof(struct vm_source));

	((struct vm_source *)source)->vm = vm;
	g_source_set_static_name(source, "vm requests");
	g_source_attach(source, vm->context);
	return source;
}

/* --- life --- */

static void destroy_device(void *dev)
{
	device_destroy(dev);
}

struct vm *vm_new(const char *name, uint64_t memory, unsigned n_vcpus, GMainContext *context, GError **err)
{
	autoptr(vm) vm = g_new0(struct vm, 1);

	vm->name = g_strdup(name);
	vm->context = g_main_context_ref(context);
	vm->devices = g_ptr_array_new_with_free_func(destroy_device);
	vm->n_vcpus = n_vcpus;
	vm->vcpus = g_new0(struct vcpu, n_vcpus);
	for (unsigned i = 0; i < n_vcpus; i++)
		vm->vcpus[i] = (struct vcpu){ .vm = vm, .index = i, .apic_id = i };
	vm->private = g_new0(struct vm_private, 1);
	vm->private->own_stats = g_new0(struct stats_page, 1);
	stats_page_init(vm->private->own_stats);
	vm_use_stats(vm, vm->private->own_stats);
	g_mutex_init(&vm->private->lock);
	g_cond_init(&vm->private->changed);
	vm->private->source = request_source(vm);
	vm->pio = bus_new(0x10000);
	vm->mmio = bus_new(UINT64_C(1) << 52);
	vm->mem = memory_new(memory, err);
	if (!vm->mem)
		return NULL;
	vm->timers = timers_new(context, err);
	if (!vm->timers)
		return NULL;
	timers_pause(vm->timers);
	timers_set_now(vm->timers, 0);
	return g_steal_pointer(&vm);
}

void vm_use_stats(struct vm *vm, struct stats_page *page)
{
	vm->stats = page;
	page->n_vcpus = vm->n_vcpus;
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		vm->vcpus[i].stats = &page->vcpu[i];
	if (page != vm->private->own_stats)
		g_clear_pointer(&vm->private->own_stats, g_free);
}

bool vm_create_vcpus(struct vm *vm, GError **err)
{
	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		if (!vm->accel_class->vcpu_create(vm->accel, &vm->vcpus[i], err))
			return false;
		vm->private->n_vcpus_created++;
	}
	return true;
}

void vm_set_boot(struct vm *vm, bool (*boot)(void *opaque, GError **err), void *opaque)
{
	vm->private->boot = boot;
	vm->private->boot_opaque = opaque;
}

bool vm_start(struct vm *vm, bool paused, GError **err)
{
	if (!vm->private->boot(vm->private->boot_opaque, err) || !vm_threads_start(vm, err))
		return false;
	if (paused) {
		for_each_device(vm, device_pause);
		vm->accel_class->pause(vm->accel);
		tell(vm, DOMAIN_PAUSED, DOMAIN_PAUSED_USER, NULL);
		return vm_set_state(vm, VM_PAUSED);
	}
	vm->accel_class->resume(vm->accel);
	timers_resume(vm->timers);
	vm_set_state(vm, VM_RUNNING);
	tell(vm, DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED, NULL);
	vm_threads_release(vm);
	return true;
}

void vm_run(struct vm *vm)
{
	while (vm_state(vm) != VM_STOPPED)
		g_main_context_iteration(vm->context, TRUE);
}

static void free_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->private->n_vcpus_created; i++)
		vm->accel_class->vcpu_destroy(&vm->vcpus[i]);
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		g_clear_error(&vm->vcpus[i].error);
	g_free(vm->vcpus);
}

static void free_private(struct vm_private *p)
{
	g_source_destroy(p->source);
	g_source_unref(p->source);
	g_clear_error(&p->error);
	g_free(p->own_stats);
	g_cond_clear(&p->changed);
	g_mutex_clear(&p->lock);
	g_free(p);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	vm_threads_end(vm);
	while (vm->devices->len)
		g_ptr_array_set_size(vm->devices, (gint)vm->devices->len - 1);
	g_ptr_array_unref(vm->devices);
	free_vcpus(vm);
	if (vm->accel)
		vm->accel_class->destroy(vm->accel);
	g_clear_pointer(&vm->timers, timers_free);
	g_clear_pointer(&vm->mmio, bus_free);
	g_clear_pointer(&vm->pio, bus_free);
	g_clear_pointer(&vm->mem, memory_free);
	free_private(vm->private);
	g_main_context_unref(vm->context);
	g_free(vm->name);
	g_free(vm);
}

void vm_add_device(struct vm *vm, struct device *dev_consume)
{
	g_ptr_array_add(vm->devices, dev_consume);
}

static void set_reboot_instead(struct vm *vm, bool on)
{
	g_mutex_lock(&vm->private->lock);
	vm->private->reboot_instead = on;
	g_mutex_unlock(&vm->private->lock);
}

/* What the power-off will mean is settled before the button: a quick guest is off before this returns. */
static bool press_power_button(struct vm *vm, bool reboot)
{
	bool pressed;

	set_reboot_instead(vm, reboot);
	pressed = pm_power_button(vm->pm);
	if (pressed)
		emit(vm, VM_EVENT_POWERDOWN, false, NULL, 0);
	else
		set_reboot_instead(vm, false);
	return pressed;
}

bool vm_power_button(struct vm *vm)
{
	return press_power_button(vm, false);
}

bool vm_reboot_button(struct vm *vm)
{
	return press_power_button(vm, true);
}

/* --- interrupts --- */

/*
 * The timer's wire goes to pin 0 of the PIC and pin 2 of the I/O APIC (MultiProcessor Specification 1.4 section
 * 3.6.1), so GSI 0 and GSI 2 are the same line. Pin 2 of the PIC is where the second PIC hangs.
 */
static void gsi_set(void *opaque, unsigned gsi, bool level)
{
	struct vm *vm = opaque;
	bool pit = gsi == PIT_PIC_PIN || gsi == PIT_IOAPIC_PIN;

	if (gsi < PIC_PINS)
		i8259_set_irq(vm->pic, pit ? PIT_PIC_PIN : gsi, level);
	ioapic_set_irq(vm->ioapic, pit ? PIT_IOAPIC_PIN : gsi, level);
}

struct irq vm_gsi(struct vm *vm, unsigned gsi)
{
	return (struct irq){ .set = gsi_set, .opaque = vm, .pin = gsi };
}

void vm_msi(struct vm *vm, const struct msi_message *msg)
{
	vm->accel_class->msi(vm->accel, msg);
}

uint8_t vm_pic_ack(struct vm *vm)
{
	return i8259_ack(vm->pic);
}
