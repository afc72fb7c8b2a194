/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/bus.h"
#include "vmm/dev/devices.h"
#include "vmm/vm.h"

/* The paravirtual panic notifier: reading tells which events the host listens to, writing reports them. */

#define PORT_PVPANIC 0x505u

#define EVENT_PANICKED 0x01u
#define EVENT_CRASH_LOADED 0x02u /* the guest's own crash kernel takes over: let it work */
#define EVENT_SHUTDOWN 0x04u
#define EVENTS (EVENT_PANICKED | EVENT_CRASH_LOADED | EVENT_SHUTDOWN)

static uint64_t pvpanic_read(G_GNUC_UNUSED void *opaque, G_GNUC_UNUSED uint64_t off, G_GNUC_UNUSED unsigned size)
{
	return EVENTS;
}

static void pvpanic_write(void *opaque, G_GNUC_UNUSED uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct device *dev = opaque;

	if (val & EVENT_PANICKED)
		vm_request_stop(dev->vm, VM_STOP_PANIC, "the guest panicked");
	else if (val & EVENT_SHUTDOWN)
		vm_request_stop(dev->vm, VM_STOP_POWEROFF, "the guest powered off");
}

static const struct bus_ops pvpanic_ops = { .read = pvpanic_read, .write = pvpanic_write, .max_size = 1 };

static void pvpanic_destroy(struct device *dev)
{
	device_fini(dev);
	g_free(dev);
}

static const struct device_class pvpanic_class = { .name = "pvpanic", .version = 1, .destroy = pvpanic_destroy };

struct device *pvpanic_new(struct vm *vm, struct bus *pio)
{
	struct device *dev = g_new0(struct device, 1);

	device_init(dev, &pvpanic_class, vm, "pvpanic");
	bus_add(pio, "pvpanic", PORT_PVPANIC, 1, true, &pvpanic_ops, dev, &dev->lock);
	return dev;
}
