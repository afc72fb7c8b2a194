/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control-private.h"

#include <string.h>

#include "core/base/error.h"
#include "core/model/lifecycle.h"
#include "vmm/virtio/devices.h"

/* Methods that change whether and how the VM runs, and the events that tell of it. */

static json_t *stop(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	vm_pause(call->vm);
	return json_object();
}

static json_t *cont(struct control_call *call, GError **err)
{
	enum vm_stop held = vm_held(call->vm);

	if (held != VM_STOP_NONE)
		return fail_null(err, LODGE_ERROR_STATE,
				 "the guest has stopped (%s) and is only kept to be looked at: reset it first",
				 vm_stop_name(held));
	if (*control_dump(call->control) && vm_state(call->vm) == VM_PAUSED &&
	    dump_is_active(*control_dump(call->control)))
		return fail_null(err, LODGE_ERROR_STATE,
				 "a memory dump is being written: the guest goes on when it is done");
	vm_resume(call->vm);
	return json_object();
}

static bool check_alive(struct control_call *call, GError **err)
{
	enum vm_state state = vm_state(call->vm);

	return state == VM_RUNNING || fail(err, LODGE_ERROR_STATE, "the guest is %s", vm_state_name(state));
}

/*
 * A guest that has not enabled ACPI never sees the button; QMP's command does not fail then, so neither does this one.
 */
static json_t *powerdown(struct control_call *call, GError **err)
{
	if (!check_alive(call, err))
		return NULL;
	if (!vm_power_button(call->vm))
		control_event(call->control, "POWERDOWN", NULL);
	return json_object();
}

/* The same for people, who want to know when nobody listens. */
static json_t *ask_to_shut_down(struct control_call *call, GError **err)
{
	if (!check_alive(call, err))
		return NULL;
	if (!vm_power_button(call->vm))
		return fail_null(err, LODGE_ERROR_STATE,
				 "the guest has not enabled ACPI, so it cannot be asked to shut down; destroy ends it");
	return json_object();
}

static json_t *reboot(struct control_call *call, GError **err)
{
	if (!check_alive(call, err))
		return NULL;
	if (!vm_reboot_button(call->vm))
		return fail_null(err, LODGE_ERROR_STATE,
				 "the guest has not enabled ACPI, so it cannot be asked to reboot; reset it instead");
	return json_object();
}

static json_t *reset(struct control_call *call, GError **err)
{
	if (*control_dump(call->control) && dump_is_active(*control_dump(call->control)))
		return fail_null(err, LODGE_ERROR_STATE, "a memory dump is being written");
	vm_reset(call->vm);
	return json_object();
}

static json_t *wakeup(G_GNUC_UNUSED struct control_call *call, GError **err)
{
	return fail_null(err, LODGE_ERROR_STATE, "Unable to wake up: guest is not in suspended state");
}

static json_t *quit(struct control_call *call, G_GNUC_UNUSED GError **err)
{
	vm_request_stop(call->vm, VM_STOP_QUIT, "quit command");
	return json_object();
}

static json_t *inject_nmi(struct control_call *call, GError **err)
{
	if (!check_alive(call, err))
		return NULL;
	for (unsigned i = 0; i < call->vm->n_vcpus; i++)
		call->vm->accel_class->nmi(&call->vm->vcpus[i]);
	return json_object();
}

static json_t *balloon(struct control_call *call, GError **err)
{
	struct device *dev = machine_balloon(call->host->machine);
	uint64_t value = control_int(call, "value", 0);

	if (!dev)
		return fail_null(err, LODGE_ERROR_UNSUPPORTED, "No balloon device has been activated");
	if (!value)
		return fail_null(err, LODGE_ERROR_INPUT, "Parameter 'target' expects a size");
	virtio_balloon_set_target(dev, value);
	return json_object();
}

static json_t *balloon_poll(struct control_call *call, GError **err)
{
	struct device *dev = machine_balloon(call->host->machine);

	if (!dev)
		return fail_null(err, LODGE_ERROR_UNSUPPORTED, "No balloon device has been activated");
	virtio_balloon_poll_stats(dev, (unsigned)MIN(control_int(call, "seconds", 0), UINT32_MAX));
	return json_object();
}

const struct control_method control_run_methods[] = {
	CONTROL_METHOD("stop", "pause the guest", stop),
	CONTROL_METHOD("cont", "let the guest go on", cont),
	CONTROL_METHOD("system_powerdown", "press the power button", powerdown),
	CONTROL_METHOD("system_reset", "press the reset button", reset),
	CONTROL_METHOD("system_wakeup", "wake the guest from sleep", wakeup),
	CONTROL_METHOD("x-lodge-shutdown", "press the power button; an error when the guest does not listen",
		       ask_to_shut_down),
	CONTROL_METHOD("x-lodge-reboot",
		       "press the power button, and start the guest again when it has switched itself off", reboot),
	CONTROL_METHOD("quit", "end the VM at once", quit),
	CONTROL_METHOD("inject-nmi", "raise a non-maskable interrupt on every vCPU", inject_nmi),
	CONTROL_METHOD("balloon", "ask the guest to make do with so many bytes of memory", balloon,
		       { "value", CONTROL_INT, true }),
	CONTROL_METHOD("x-lodge-balloon-poll", "ask the guest for its memory statistics every so many seconds, or once",
		       balloon_poll, { "seconds", CONTROL_INT, true }),
	CONTROL_END,
};

/* --- events --- */

static json_t *shutdown_data(const struct control_host *host, bool guest)
{
	static const char *const reasons[VM_N_STOPS] = {
		[VM_STOP_NONE] = "host-error",		[VM_STOP_POWEROFF] = "guest-shutdown",
		[VM_STOP_RESET] = "guest-reset",	[VM_STOP_QUIT] = "host-qmp-quit",
		[VM_STOP_TRIPLE_FAULT] = "guest-panic", [VM_STOP_PANIC] = "guest-panic",
		[VM_STOP_ERROR] = "host-error",
	};
	const struct vm *vm = machine_vm(host->machine);
	const char *text;
	enum vm_stop why = vm_stop_reason(vm, &text);
	bool signalled = why == VM_STOP_QUIT && g_strcmp0(text, "SIGTERM") == 0;

	return json_pack("{s:b, s:s}", "guest", guest, "reason", signalled ? "host-signal" : reasons[why]);
}

static json_t *port_data(const struct control_host *host, int64_t value)
{
	struct vm_port *port = machine_serial_port(host->machine, (unsigned)(value >> 1));

	if (!port)
		return NULL;
	port->open = value & 1;
	return json_pack("{s:b, s:s}", "open", port->open, "id", port->alias);
}

static json_t *panic_data(const struct vm_event_info *info, bool held)
{
	g_autofree char *text = info->text ? g_utf8_make_valid(info->text, -1) : NULL;
	json_t *data = json_pack("{s:s}", "action", held ? "pause" : "poweroff");

	if (text)
		json_object_set_new(data, "x-lodge-text", json_string(text));
	return data;
}

void control_vm_event(void *opaque, const struct vm_event_info *info)
{
	struct control *control = opaque;
	const struct control_host *host = control_host(control);
	const struct vm *vm = machine_vm(host->machine);

	switch (info->event) {
	case VM_EVENT_PAUSED:
		control_event(control, "STOP", NULL);
		break;
	case VM_EVENT_RESUMED:
		control_event(control, "RESUME", NULL);
		break;
	case VM_EVENT_RESET:
		control_event(control, "RESET",
			      json_pack("{s:b, s:s}", "guest", info->guest, "reason",
					info->guest ? "guest-reset" : "host-qmp-system-reset"));
		break;
	case VM_EVENT_POWERDOWN:
		control_event(control, "POWERDOWN", NULL);
		break;
	case VM_EVENT_PANICKED:
		control_event(control, "GUEST_PANICKED", panic_data(info, vm_held(vm) != VM_STOP_NONE));
		break;
	case VM_EVENT_HELD:
		control_event(control, "STOP", NULL);
		break;
	case VM_EVENT_STOPPED:
		control_event(control, "SHUTDOWN", shutdown_data(host, info->guest));
		break;
	case VM_EVENT_RTC:
		control_event(control, "RTC_CHANGE", json_pack("{s:I}", "offset", (json_int_t)info->value));
		break;
	case VM_EVENT_BALLOON:
		control_event(control, "BALLOON_CHANGE", json_pack("{s:I}", "actual", (json_int_t)info->value));
		break;
	case VM_EVENT_PORT:
		control_event(control, "VSERPORT_CHANGE", port_data(host, info->value));
		break;
	default:
		break;
	}
}
