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
#include "vmm/ports.h"
#include "vmm/virtio/devices.h"

/*
 * Everything that is opened by name is opened once, here. The kernel and the initrd stay open, not mapped: a reset
 * maps them anew, and in between they cost no memory.
 */
#define KEYBOARD_GSI 1u
#define RTC_GSI 8u
#define MOUSE_GSI 12u
#define N_GSIS 24u
#define HIGH_WINDOW_ALIGN (UINT64_C(4) << 30)

/* What the guest's entropy device may take from the host: bytes a period in ms. */
#define RNG_BYTES 65536u
#define RNG_PERIOD 100u

#define MAX_DISK_QUEUES 4u

static const struct {
	uint16_t base;
	unsigned gsi;
	const char *id;
} com_rows[VM_CONFIG_MAX_SERIALS] = { { 0x3f8, 4, "com1" },
				      { 0x2f8, 3, "com2" },
				      { 0x3e8, 4, "com3" },
				      { 0x2e8, 3, "com4" } };

/* A line that two serial ports share: high while one of them wants it high. */
struct shared_line {
	GMutex lock;
	struct irq out;
	unsigned levels; /* bit n: port n */
};

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
	struct device *virtio_console;	   /* or NULL; with one port, for the console of `lodge run` */
	struct device *virtio_serial;	   /* or NULL; for ports */
	struct device *balloon, *keyboard; /* or NULL */
	GPtrArray *disks;		   /* struct machine_disk */
	GPtrArray *ports;		   /* struct vm_port, not owned; or NULL */
	struct cpu_model *cpu_model;	   /* changed for this VM, or NULL */
	unsigned uarts;			   /* bit n: COMn+1 is there */
	struct shared_line lines[2];	   /* of even and odd COM ports */
	bool panic_device;
	bool booted; /* RAM is not new any more */
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
		.pvpanic = machine->panic_device,
		.uarts = machine->uarts,
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

/* Seconds since 1970 that the guest's clock is to show now. */
static int64_t rtc_start(const struct vm_config *config)
{
	int64_t now = g_get_real_time() / G_USEC_PER_SEC, local = 0;

	if (config->clock_localtime) {
		g_autoptr(GDateTime) here = g_date_time_new_now_local();

		local = here ? g_date_time_get_utc_offset(here) / G_USEC_PER_SEC : 0;
	}
	return now + local + config->clock_offset;
}

static void add_timers(struct machine *machine, int64_t wall)
{
	struct vm *vm = machine->vm;
	struct irq pit = vm_gsi(vm, 0), rtc = vm_gsi(vm, RTC_GSI), gsis[N_GSIS];
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

static void shared_line_set(void *opaque, unsigned port, bool level)
{
	struct shared_line *line = opaque;

	g_mutex_lock(&line->lock);
	line->levels = level ? line->levels | 1u << port : line->levels & ~(1u << port);
	irq_set(&line->out, line->levels != 0);
	g_mutex_unlock(&line->lock);
}

static void add_uart(struct machine *machine, unsigned n, struct chardev *chardev)
{
	struct vm *vm = machine->vm;
	struct irq irq = { .set = shared_line_set, .opaque = &machine->lines[n % 2], .pin = n };

	machine->lines[n % 2].out = vm_gsi(vm, com_rows[n].gsi);
	machine->uarts |= 1u << n;
	vm_add_device(vm, uart_device(uart_new(vm, vm->pio, com_rows[n].base, &irq, chardev, com_rows[n].id)));
}

/* COM1 is always there: guests write to it before they look. */
static void add_uarts(struct machine *machine, struct chardev *console)
{
	if (!machine->ports || !vm_ports_at(machine->ports, VM_PORT_SERIAL, 0))
		add_uart(machine, 0, console);
	for (guint i = 0; machine->ports && i < machine->ports->len; i++) {
		const struct vm_port *port = machine->ports->pdata[i];

		if (port->target == VM_PORT_SERIAL)
			add_uart(machine, port->index, port->mux);
	}
}

static void add_board_devices(struct machine *machine)
{
	struct vm *vm = machine->vm;
	struct irq sci = vm_gsi(vm, PM_SCI_GSI);
	struct irq keyboard = vm_gsi(vm, KEYBOARD_GSI), mouse = vm_gsi(vm, MOUSE_GSI);

	machine->keyboard = i8042_new(vm, vm->pio, &keyboard, &mouse);
	vm_add_device(vm, machine->keyboard);
	vm->pm = pm_new(vm, vm->pio, vm->timers, &sci);
	vm_add_device(vm, pm_device(vm->pm));
	if (machine->panic_device)
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

static void machine_disk_free(void *data)
{
	struct machine_disk *disk = data;

	g_free(disk->target);
	g_free(disk->alias);
	g_free(disk);
}

static bool add_disk(struct machine *machine, const struct vm_disk_config *config, unsigned index, GError **err)
{
	struct vm *vm = machine->vm;
	g_autofree char *id = config->alias ? g_strdup(config->alias) : g_strdup_printf("virtio-disk%u", index);
	struct block_node *node = block_open_raw(config->path, config->readonly, err);
	struct machine_disk *disk;
	struct device *dev;

	dev = node ? virtio_blk_new(vm, node, config->serial, MIN(vm->n_vcpus, MAX_DISK_QUEUES), id, err) : NULL;
	if (!dev)
		return false;
	disk = g_new0(struct machine_disk, 1);
	g_ptr_array_add(machine->disks, disk);
	disk->alias = g_steal_pointer(&id);
	disk->target = config->target ? g_strdup(config->target) : g_strdup_printf("vd%c", 'a' + index % 26);
	disk->dev = dev;
	disk->node = node;
	disk->stats = &vm->stats->disk[index];
	g_strlcpy(disk->stats->name, disk->target, sizeof(disk->stats->name));
	disk->stats->capacity = node->size;
	virtio_blk_use_stats(dev, disk->stats);
	vm->stats->n_disks = index + 1;
	return true;
}

static bool add_console(struct machine *machine, struct chardev *console, GError **err)
{
	machine->virtio_console = virtio_console_new(machine->vm, console, "virtio-console0", err);
	return machine->virtio_console != NULL;
}

static void channel_changed(void *opaque, unsigned number, bool open)
{
	struct machine *machine = opaque;

	vm_tell_value(machine->vm, VM_EVENT_PORT, (int64_t)number << 1 | open);
}

/*
 * Consoles have the numbers of their definition, channels come behind all of them, so that number 0 is a console's or
 * nobody's.
 */
static unsigned serial_number(const GPtrArray *ports, const struct vm_port *port)
{
	unsigned first = 1;

	for (guint i = 0; i < ports->len; i++) {
		const struct vm_port *other = ports->pdata[i];

		if (other->target == VM_PORT_CONSOLE)
			first = MAX(first, other->index + 1);
	}
	return port->target == VM_PORT_CONSOLE ? port->index : first + port->index;
}

struct vm_port *machine_serial_port(const struct machine *machine, unsigned number)
{
	for (guint i = 0; machine->ports && i < machine->ports->len; i++) {
		struct vm_port *port = machine->ports->pdata[i];

		if (port->target != VM_PORT_SERIAL && serial_number(machine->ports, port) == number)
			return port;
	}
	return NULL;
}

/* Virtio consoles and channels share one device. */
static bool add_ports(struct machine *machine, GError **err)
{
	for (guint i = 0; machine->ports && i < machine->ports->len; i++) {
		const struct vm_port *port = machine->ports->pdata[i];
		unsigned number = serial_number(machine->ports, port);

		if (port->target == VM_PORT_SERIAL)
			continue;
		if (!machine->virtio_serial)
			machine->virtio_serial = virtio_serial_new(machine->vm, VIRTIO_SERIAL_MAX_PORTS,
								   "virtio-serial0", err);
		if (!machine->virtio_serial)
			return false;
		if (number >= VIRTIO_SERIAL_MAX_PORTS)
			return fail(err, LODGE_ERROR_UNSUPPORTED,
				    "port %s: a VM has at most %u virtio consoles and channels", port->alias,
				    VIRTIO_SERIAL_MAX_PORTS);
		if (!virtio_serial_add_port(machine->virtio_serial, port->mux, number, port->name,
					    port->target == VM_PORT_CONSOLE, err))
			return false;
	}
	if (machine->virtio_serial)
		virtio_serial_set_notify(machine->virtio_serial, channel_changed, machine);
	return true;
}

static bool add_virtio(struct machine *machine, const struct vm_config *config, GError **err)
{
	struct vm *vm = machine->vm;

	if (config->has_rng &&
	    !virtio_rng_new(vm, config->rng_bytes ? (unsigned)MIN(config->rng_bytes, UINT32_MAX) : RNG_BYTES,
			    config->rng_period_ms ? config->rng_period_ms : RNG_PERIOD, "virtio-rng0", err))
		return false;
	if (!config->balloon_memory)
		return true;
	machine->balloon = virtio_balloon_new(vm, config->balloon_memory, "balloon0", err);
	return machine->balloon != NULL;
}

/* The one list of what is on the board, in the order of creation and of reset. */
static bool add_devices(struct machine *machine, const struct vm_config *config, struct chardev *console, GError **err)
{
	struct vm *vm = machine->vm;
	bool virtio = config->console_target == VM_CONSOLE_VIRTIO && console;

	add_interrupt_controllers(vm);
	add_timers(machine, rtc_start(config));
	add_uarts(machine, virtio ? NULL : console);
	add_board_devices(machine);
	if (!add_pci(vm, err))
		return false;
	for (guint i = 0; i < config->disks->len; i++) {
		if (!add_disk(machine, g_ptr_array_index(config->disks, i), i, err))
			return false;
	}
	return add_virtio(machine, config, err) && add_ports(machine, err) &&
	       (!virtio || add_console(machine, console, err));
}

/* --- putting it together --- */

static bool create_accel(struct machine *machine, const struct vm_config *config, const char *options, GError **err)
{
	struct vm *vm = machine->vm;
	unsigned cores = config->sockets ? MAX(config->dies, 1u) * config->cores : 0;

	machine->cpu_model = cpu_model_build(config->cpu, config->cpu_features, cores, config->threads, err);
	if (!machine->cpu_model)
		return false;
	vm->cpu_model = machine->cpu_model;
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

static bool take_uuid(struct machine *machine, const char *text, GError **err)
{
	const char *p = text;

	if (!*text)
		return make_uuid(machine->uuid, err);
	for (size_t i = 0; i < sizeof(machine->uuid); i++, p += 2) {
		if (*p == '-')
			p++;
		machine->uuid[i] = (uint8_t)(g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]));
	}
	return true;
}

static bool open_files(struct machine *machine, const struct vm_config *config, GError **err)
{
	if (!config->kernel)
		return fail(err, LODGE_ERROR_USAGE, "--kernel FILE is required");
	machine->append = g_strdup(config->append);
	return boot_file_open(&machine->kernel, config->kernel, err) &&
	       (!config->initrd || boot_file_open(&machine->initrd, config->initrd, err)) &&
	       take_uuid(machine, config->uuid, err);
}

/* The console that a Linux kernel's last words would be on. */
static void watch_for_panic(struct machine *machine, struct chardev *console)
{
	struct vm_port *port = machine->ports ? vm_ports_find(machine->ports, NULL) : NULL;

	machine->panic_watch = panic_watch_new(machine->vm);
	if (console)
		chardev_set_tap(console, panic_watch_output, machine->panic_watch);
	if (port)
		chardev_set_tap(port->mux, panic_watch_output, machine->panic_watch);
}

struct machine *machine_new(const struct vm_config *config, GMainContext *context, struct chardev *console, char **why,
			    GError **err)
{
	struct machine_host host = { .context = context, .console = console };

	return machine_new_for(config, &host, why, err);
}

struct machine *machine_new_for(const struct vm_config *config, const struct machine_host *host, char **why,
				GError **err)
{
	autoptr(machine) machine = g_new0(struct machine, 1);
	const struct accel_class *accel_class;
	g_autofree char *options = NULL;

	machine->kernel.fd = machine->initrd.fd = -1;
	machine->ports = host->ports;
	machine->panic_device = config->panic_device;
	machine->disks = g_ptr_array_new_with_free_func(machine_disk_free);
	for (size_t i = 0; i < G_N_ELEMENTS(machine->lines); i++)
		g_mutex_init(&machine->lines[i].lock);
	if (!open_files(machine, config, err))
		return NULL;
	accel_class = accel_choose(config->accel, &options, why, err);
	if (!accel_class)
		return NULL;
	machine->vm = vm_new(config->name, config->memory, config->vcpus, host->context, err);
	if (!machine->vm)
		return NULL;
	if (host->stats)
		vm_use_stats(machine->vm, host->stats);
	machine->vm->stats->max_memory = config->memory;
	g_strlcpy(machine->vm->stats->accel, accel_class->name, sizeof(machine->vm->stats->accel));
	machine->vm->accel_class = accel_class;
	machine->vm->no_reboot = config->no_reboot;
	vm_set_boot(machine->vm, machine_boot, machine);
	watch_for_panic(machine, host->console);
	if (!create_accel(machine, config, options, err) || !add_devices(machine, config, host->console, err) ||
	    !vm_create_vcpus(machine->vm, err))
		return NULL;
	return g_steal_pointer(&machine);
}

void machine_free(struct machine *machine)
{
	if (machine->vm)
		vm_stop(machine->vm);
	for (guint i = 0; machine->ports && i < machine->ports->len; i++)
		chardev_set_tap(((struct vm_port *)machine->ports->pdata[i])->mux, NULL, NULL);
	g_clear_pointer(&machine->panic_watch, panic_watch_free);
	vm_free(machine->vm);
	boot_file_close(&machine->kernel);
	boot_file_close(&machine->initrd);
	g_clear_pointer(&machine->cpu_model, cpu_model_free);
	g_clear_pointer(&machine->disks, g_ptr_array_unref);
	for (size_t i = 0; i < G_N_ELEMENTS(machine->lines); i++)
		g_mutex_clear(&machine->lines[i].lock);
	g_free(machine->append);
	g_free(machine);
}

const struct machine_disk *machine_disk(const struct machine *machine, unsigned index)
{
	return index < machine->disks->len ? machine->disks->pdata[index] : NULL;
}

struct device *machine_balloon(const struct machine *machine)
{
	return machine->balloon;
}

struct device *machine_keyboard(const struct machine *machine)
{
	return machine->keyboard;
}

const uint8_t *machine_uuid(const struct machine *machine)
{
	return machine->uuid;
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
