/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vm-private.h"

#include "core/base/error.h"
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

void vm_pause(struct vm *vm)
{
	if (vm_state(vm) == VM_RUNNING && vm_set_state(vm, VM_PAUSED))
		quiesce(vm);
}

void vm_resume(struct vm *vm)
{
	if (vm_state(vm) == VM_PAUSED && vm_set_state(vm, VM_RUNNING))
		unquiesce(vm);
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

/* The machine as after power-on; a paused one stays paused. */
static void reset(struct vm *vm)
{
	bool running = vm_state(vm) == VM_RUNNING;
	GError *error = NULL;

	if (running)
		quiesce(vm);
	if (!vm->private->boot(vm->private->boot_opaque, &error)) {
		fail_stop(vm, error);
		return;
	}
	if (running)
		unquiesce(vm);
}

void vm_stop(struct vm *vm)
{
	if (!vm_set_state(vm, VM_STOPPED))
		return;
	vm_threads_end(vm);
	timers_pause(vm->timers);
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
	if (vm->no_reboot)
		vm_request_stop(vm, VM_STOP_RESET, reason);
	else
		request(vm, REQUEST_RESET, 0);
}

void vm_request_pause(struct vm *vm)
{
	request(vm, REQUEST_PAUSE, REQUEST_RESUME);
}

void vm_request_resume(struct vm *vm)
{
	request(vm, REQUEST_RESUME, REQUEST_PAUSE);
}

static gboolean carry_out(GSource *source, GSourceFunc fn, gpointer data)
{
	struct vm *vm = ((struct vm_source *)source)->vm;
	struct vm_private *p = vm->private;
	unsigned requests;

	(void)fn;
	(void)data;
	/* Before the bits are taken: a request made after that wakes us again. */
	g_source_set_ready_time(source, -1);
	g_mutex_lock(&p->lock);
	requests = p->requests;
	p->requests = 0;
	g_mutex_unlock(&p->lock);
	if (requests & REQUEST_STOP) {
		vm_stop(vm);
		return G_SOURCE_CONTINUE;
	}
	if (requests & REQUEST_RESET)
		reset(vm);
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
		return vm_set_state(vm, VM_PAUSED);
	}
	vm->accel_class->resume(vm->accel);
	timers_resume(vm->timers);
	vm_set_state(vm, VM_RUNNING);
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

bool vm_power_button(struct vm *vm)
{
	return pm_power_button(vm->pm);
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
