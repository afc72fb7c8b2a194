/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/machine.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "console/chardev.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/acpi.h"
#include "vmm/block/block.h"
#include "vmm/boot.h"
#include "vmm/cpuid.h"
#include "vmm/dev/devices.h"
#include "vmm/panic-watch.h"
#include "vmm/pci.h"
#include "vmm/virtio/devices.h"

/*
 * Everything that is opened by name is opened once, here. The kernel and the initrd stay open, not mapped: a reset
 * maps them anew, and in between they cost no memory.
 */
#define COM1_BASE 0x3f8
#define COM1_GSI 4u
#define KEYBOARD_GSI 1u
#define RTC_GSI 8u
#define MOUSE_GSI 12u
#define N_GSIS 24u
#define HIGH_WINDOW_ALIGN (UINT64_C(4) << 30)

/* What the guest's entropy device may take from the host: bytes a period in ms. */
#define RNG_BYTES 65536u
#define RNG_PERIOD 100u

#define MAX_DISK_QUEUES 4u

struct boot_file {
	char *path;
	int fd; /* -1: none */
	size_t size;
};

struct mapping {
	uint8_t *data;
	size_t size;
};

struct machine {
	struct vm *vm;
	struct boot_file kernel, initrd;
	char *append;
	uint8_t uuid[16];
	struct i8254 *pit;
	struct rtc *rtc;
	struct device *virtio_console; /* or NULL */
	bool booted;		       /* RAM is not new any more */
	struct panic_watch *panic_watch;
};

static void unmap(struct mapping *mapping)
{
	if (mapping->data)
		munmap(mapping->data, mapping->size);
}

#define auto_mapping __attribute__((cleanup(unmap))) struct mapping

/* --- kernel and initrd --- */

static bool boot_file_open(struct boot_file *file, const char *path, GError **err)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fail_errno(err, "%s: cannot open", path);
	if (!S_ISREG(st.st_mode))
		return fail(err, LODGE_ERROR_INPUT, "%s: not a regular file", path);
	if (st.st_size == 0)
		return fail(err, LODGE_ERROR_INPUT, "%s: the file is empty", path);
	*file = (struct boot_file){ .path = g_strdup(path), .fd = fd_steal(&fd), .size = (size_t)st.st_size };
	return true;
}

static void boot_file_close(struct boot_file *file)
{
	fd_close(&file->fd);
	g_free(file->path);
}

/* A file that has become shorter would raise SIGBUS where it is read. */
static bool boot_file_map(const struct boot_file *file, struct mapping *mapping, GError **err)
{
	struct stat st;
	void *data;

	if (file->fd < 0)
		return true;
	if (fstat(file->fd, &st) || (size_t)st.st_size != file->size)
		return fail(err, LODGE_ERROR_INPUT, "%s: the file has changed since the guest was started", file->path);
	data = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, file->fd, 0);
	if (data == MAP_FAILED)
		return fail_errno(err, "%s: cannot map", file->path);
	*mapping = (struct mapping){ data, file->size };
	return true;
}

static bool load_kernel(struct machine *machine, uint64_t rsdp, struct x86_cpu_state *state, GError **err)
{
	auto_mapping kernel = { 0 };
	auto_mapping initrd = { 0 };
	struct boot_spec spec = {
		.kernel_name = machine->kernel.path,
		.initrd_name = machine->initrd.path,
		.append = machine->append,
		.rsdp = rsdp,
		.acpi_base = ACPI_RSDP_ADDR,
		.acpi_size = ACPI_TABLES_ADDR + ACPI_TABLES_MAX - ACPI_RSDP_ADDR,
	};

	if (!boot_file_map(&machine->kernel, &kernel, err) || !boot_file_map(&machine->initrd, &initrd, err))
		return false;
	spec.kernel = kernel.data;
	spec.kernel_size = kernel.size;
	spec.initrd = initrd.data;
	spec.initrd_size = initrd.size;
	return boot_load(machine->vm->mem, &spec, state, err);
}

/* --- power-on --- */

/* RAM reads as zeros again and its pages go back to the host: a guest after a reset cannot be told from a new one. */
static void discard_ram(struct memory *mem)
{
	size_t n;
	const struct memory_slot *slots = memory_slots(mem, &n);

	for (size_t i = 0; i < n; i++) {
		if (slots[i].readonly)
			continue;
		if (madvise(slots[i].host, slots[i].size, MADV_REMOVE))
			memset(slots[i].host, 0, slots[i].size);
		memory_note_write(mem, slots[i].gpa, slots[i].size);
	}
}

static uint64_t high_window(const struct memory *mem)
{
	return (memory_top(mem) + HIGH_WINDOW_ALIGN - 1) & ~(HIGH_WINDOW_ALIGN - 1);
}

static bool build_tables(struct machine *machine, uint64_t *rsdp, GError **err)
{
	struct vm *vm = machine->vm;
	struct acpi_spec acpi = {
		.n_cpus = vm->n_vcpus,
		.ecam_base = PCI_ECAM_BASE,
		.ecam_buses = PCI_ECAM_BUSES,
		.pci_mmio32_base = PCI_MMIO32_BASE,
		.pci_mmio32_size = PCI_MMIO32_SIZE,
		.pci_mmio64_base = high_window(vm->mem),
		.pci_mmio64_size = PCI_MMIO64_SIZE,
		.pci_io_base = PCI_IO_BASE,
		.pci_io_size = PCI_IO_SIZE,
		.hpet = true,
		.pvpanic = true,
		.uart0 = true,
	};
	struct smbios_spec smbios = { .memory = memory_size(vm->mem), .n_cpus = vm->n_vcpus };

	for (unsigned i = 0; i < G_N_ELEMENTS(acpi.pci_intx_gsi); i++)
		acpi.pci_intx_gsi[i] = MACHINE_PCI_GSI + i;
	memcpy(smbios.uuid, machine->uuid, sizeof(smbios.uuid));
	return acpi_build(vm->mem, &acpi, rsdp, err) && smbios_build(vm->mem, &smbios, err);
}

static bool set_cpu_states(struct vm *vm, struct x86_cpu_state *first, GError **err)
{
	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		if (i > 0) {
			x86_state_reset(first, vm->vcpus[i].apic_id, false);
			boot_firmware_state(first);
		}
		if (!vm->accel_class->vcpu_set_state(&vm->vcpus[i], first, err))
			return false;
	}
	return true;
}

static bool machine_boot(void *opaque, GError **err)
{
	struct machine *machine = opaque;
	struct vm *vm = machine->vm;
	struct x86_cpu_state state;
	uint64_t rsdp;

	for (guint i = 0; i < vm->devices->len; i++)
		device_reset(g_ptr_array_index(vm->devices, i));
	panic_watch_reset(machine->panic_watch);
	if (machine->booted)
		discard_ram(vm->mem);
	machine->booted = true;
	return build_tables(machine, &rsdp, err) && load_kernel(machine, rsdp, &state, err) &&
	       set_cpu_states(vm, &state, err);
}

/* --- the devices --- */

static void send_message(void *opaque, const struct msi_message *msg)
{
	vm_msi(opaque, msg);
}

static void set_extint(void *opaque, unsigned pin, bool level)
{
	struct vm *vm = opaque;

	(void)pin;
	vm->accel_class->extint(vm->accel, level);
}

/* While the HPET stands in for the old timers they drive nothing. */
static void hpet_takes_over(void *opaque, bool on)
{
	struct machine *machine = opaque;

	i8254_set_legacy_off(machine->pit, on);
	rtc_set_legacy_off(machine->rtc, on);
}

static void add_interrupt_controllers(struct vm *vm)
{
	struct irq out = { .set = set_extint, .opaque = vm };

	vm->pic = i8259_new(vm, vm->pio, &out);
	vm_add_device(vm, i8259_device(vm->pic));
	vm->ioapic = ioapic_new(vm, vm->mmio, send_message, vm);
	vm_add_device(vm, ioapic_device(vm->ioapic));
}

static void add_timers(struct machine *machine)
{
	struct vm *vm = machine->vm;
	struct irq pit = vm_gsi(vm, 0), rtc = vm_gsi(vm, RTC_GSI), gsis[N_GSIS];
	int64_t wall = g_get_real_time() / G_USEC_PER_SEC;
	struct hpet *hpet;
	uint64_t low = memory_low_size(vm->mem);

	for (unsigned i = 0; i < N_GSIS; i++)
		gsis[i] = vm_gsi(vm, i);
	machine->pit = i8254_new(vm, vm->pio, vm->timers, &pit);
	vm_add_device(vm, i8254_device(machine->pit));
	machine->rtc = rtc_new(vm, vm->pio, vm->timers, &rtc, wall, low, memory_size(vm->mem) - low);
	vm_add_device(vm, rtc_device(machine->rtc));
	hpet = hpet_new(vm, vm->mmio, vm->timers, gsis, send_message, hpet_takes_over, machine);
	vm_add_device(vm, hpet_device(hpet));
}

/* serial: where COM1 leads, or NULL. */
static void add_board_devices(struct vm *vm, struct chardev *serial)
{
	struct irq com1 = vm_gsi(vm, COM1_GSI), sci = vm_gsi(vm, PM_SCI_GSI);
	struct irq keyboard = vm_gsi(vm, KEYBOARD_GSI), mouse = vm_gsi(vm, MOUSE_GSI);

	vm_add_device(vm, uart_device(uart_new(vm, vm->pio, COM1_BASE, &com1, serial, "com1")));
	vm_add_device(vm, i8042_new(vm, vm->pio, &keyboard, &mouse));
	vm->pm = pm_new(vm, vm->pio, vm->timers, &sci);
	vm_add_device(vm, pm_device(vm->pm));
	vm_add_device(vm, pvpanic_new(vm, vm->pio));
	vm_add_device(vm, debug_port_new(vm, vm->pio, NULL));
}

static bool add_pci(struct vm *vm, GError **err)
{
	struct irq intx[4];
	struct device *isa;

	for (unsigned i = 0; i < G_N_ELEMENTS(intx); i++)
		intx[i] = vm_gsi(vm, MACHINE_PCI_GSI + i);
	vm->pci = pci_bus_new(vm, intx, send_message, vm, high_window(vm->mem));
	vm_add_device(vm, pci_bus_device(vm->pci));
	isa = pci_isa_bridge_new(vm->pci, err);
	if (!isa)
		return false;
	vm_add_device(vm, isa);
	return true;
}

static bool add_disk(struct vm *vm, const struct vm_disk_config *disk, unsigned index, GError **err)
{
	g_autofree char *id = g_strdup_printf("virtio-disk%u", index);
	struct block_node *node = block_open_raw(disk->path, disk->readonly, err);

	return node && virtio_blk_new(vm, node, disk->serial, MIN(vm->n_vcpus, MAX_DISK_QUEUES), id, err);
}

static bool add_console(struct machine *machine, struct chardev *console, GError **err)
{
	machine->virtio_console = virtio_console_new(machine->vm, console, "virtio-console0", err);
	return machine->virtio_console != NULL;
}

/* The one list of what is on the board, in the order of creation and of reset. */
static bool add_devices(struct machine *machine, const struct vm_config *config, struct chardev *console, GError **err)
{
	struct vm *vm = machine->vm;
	bool virtio = config->console_target == VM_CONSOLE_VIRTIO;

	add_interrupt_controllers(vm);
	add_timers(machine);
	add_board_devices(vm, virtio ? NULL : console);
	if (!add_pci(vm, err))
		return false;
	for (guint i = 0; i < config->disks->len; i++) {
		if (!add_disk(vm, g_ptr_array_index(config->disks, i), i, err))
			return false;
	}
	return virtio_rng_new(vm, RNG_BYTES, RNG_PERIOD, "virtio-rng0", err) &&
	       (!virtio || add_console(machine, console, err));
}

/* --- putting it together --- */

static bool create_accel(struct vm *vm, const struct vm_config *config, const char *options, GError **err)
{
	vm->cpu_model = cpu_model_find(config->cpu, err);
	if (!vm->cpu_model)
		return false;
	vm->accel = vm->accel_class->create(vm, options, err);
	return vm->accel && vm->accel_class->set_slots(vm->accel, err);
}

/* A random UUID: RFC 4122 section 4.4. */
static bool make_uuid(uint8_t uuid[16], GError **err)
{
	if (getrandom(uuid, 16, 0) != 16)
		return fail_errno(err, "no random numbers");
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	return true;
}

static bool open_files(struct machine *machine, const struct vm_config *config, GError **err)
{
	if (!config->kernel)
		return fail(err, LODGE_ERROR_USAGE, "--kernel FILE is required");
	machine->append = g_strdup(config->append);
	return boot_file_open(&machine->kernel, config->kernel, err) &&
	       (!config->initrd || boot_file_open(&machine->initrd, config->initrd, err)) &&
	       make_uuid(machine->uuid, err);
}

struct machine *machine_new(const struct vm_config *config, GMainContext *context, struct chardev *console, char **why,
			    GError **err)
{
	autoptr(machine) machine = g_new0(struct machine, 1);
	const struct accel_class *accel_class;
	g_autofree char *options = NULL;

	machine->kernel.fd = machine->initrd.fd = -1;
	if (!open_files(machine, config, err))
		return NULL;
	accel_class = accel_choose(config->accel, &options, why, err);
	if (!accel_class)
		return NULL;
	machine->vm = vm_new(config->name, config->memory, config->vcpus, context, err);
	if (!machine->vm)
		return NULL;
	machine->vm->accel_class = accel_class;
	machine->vm->no_reboot = config->no_reboot;
	vm_set_boot(machine->vm, machine_boot, machine);
	machine->panic_watch = panic_watch_new(machine->vm);
	chardev_set_tap(console, panic_watch_output, machine->panic_watch);
	if (!create_accel(machine->vm, config, options, err) || !add_devices(machine, config, console, err) ||
	    !vm_create_vcpus(machine->vm, err))
		return NULL;
	return g_steal_pointer(&machine);
}

void machine_free(struct machine *machine)
{
	if (machine->vm)
		vm_stop(machine->vm);
	g_clear_pointer(&machine->panic_watch, panic_watch_free);
	vm_free(machine->vm);
	boot_file_close(&machine->kernel);
	boot_file_close(&machine->initrd);
	g_free(machine->append);
	g_free(machine);
}

struct vm *machine_vm(struct machine *machine)
{
	return machine->vm;
}

void machine_resize_console(struct machine *machine, uint16_t cols, uint16_t rows)
{
	if (machine->virtio_console)
		virtio_console_resize(machine->virtio_console, cols, rows);
}

const char *machine_panic(struct machine *machine)
{
	return panic_watch_text(machine->panic_watch);
}
