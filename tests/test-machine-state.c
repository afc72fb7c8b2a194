/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <elf.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "console/chardev.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "tests/state-guest.h"
#include "vmm/machine.h"
#include "vmm/pci.h"

/*
 * A whole machine is saved, and another one of the same configuration goes on where it stood: RAM, processors, devices.
 * The guest (tests/state-guest.h) uses every timer and interrupt path, a second processor and a disk, prints a letter
 * at each step, and compares what it gets with what it wants. The machine is paused at one of these letters.
 */
#define RAM (UINT64_C(32) << 20)
#define DISK_SIZE (1u << 20)

/* The guest's serial console: what it said, and what it is to hear. */
struct chardev {
	const struct chardev_client *client;
	void *opaque;
	GMutex lock;
	GString *said;
	struct vm *vm;
	size_t pause_at; /* pauses once so much has been said; 0: never */
	const char *typed;
};

void chardev_set_client(struct chardev *chardev, const struct chardev_client *client, void *opaque)
{
	chardev->client = client;
	chardev->opaque = opaque;
}

void chardev_set_tap(struct chardev *chardev, void (*tap)(void *opaque, const uint8_t *data, size_t len), void *opaque)
{
	(void)chardev;
	(void)tap;
	(void)opaque;
}

void chardev_write(struct chardev *chardev, const uint8_t *data, size_t len)
{
	bool pause;

	g_mutex_lock(&chardev->lock);
	g_string_append_len(chardev->said, (const char *)data, (gssize)len);
	pause = chardev->said->len == chardev->pause_at;
	if (strchr(chardev->said->str, '!'))
		vm_request_stop(chardev->vm, VM_STOP_ERROR, "the guest is not content");
	g_mutex_unlock(&chardev->lock);
	if (pause)
		vm_request_pause(chardev->vm);
}

void chardev_accept_input(struct chardev *chardev)
{
	(void)chardev;
}

/* --- one machine --- */

struct fixture {
	char *folder, *kernel, *disk;
	GMainContext *context;
	struct chardev chardev;
	struct machine *machine;
	struct vm *vm;
};

/* What travels. */
struct saved {
	uint64_t now;
	uint8_t *ram;
	GPtrArray *devices; /* GByteArray, in the order of vm->devices */
	struct x86_cpu_state cpus[2];
};

static void saved_clear(struct saved *saved)
{
	g_free(saved->ram);
	g_ptr_array_unref(saved->devices);
}

static void write_kernel(const char *path)
{
	const size_t code_size = (size_t)(state_guest_end - state_guest);
	struct {
		Elf32_Ehdr eh;
		Elf32_Phdr ph[2];
		uint32_t note[5];
	} head = {
		.eh = { .e_type = ET_EXEC,
			.e_machine = EM_386,
			.e_version = EV_CURRENT,
			.e_entry = STATE_GUEST_BASE,
			.e_phoff = sizeof(Elf32_Ehdr),
			.e_ehsize = sizeof(Elf32_Ehdr),
			.e_phentsize = sizeof(Elf32_Phdr),
			.e_phnum = 2 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = sizeof(head),
			  .p_vaddr = STATE_GUEST_BASE,
			  .p_paddr = STATE_GUEST_BASE,
			  .p_filesz = (Elf32_Word)code_size,
			  .p_memsz = (Elf32_Word)code_size },
			{ .p_type = PT_NOTE,
			  .p_offset = G_STRUCT_OFFSET(typeof(head), note),
			  .p_filesz = sizeof(head.note),
			  .p_memsz = sizeof(head.note) } },
		.note = { 4, 4, 18, 0x006e6558, STATE_GUEST_BASE }, /* "Xen": PHYS32_ENTRY */
	};
	g_autoptr(GByteArray) file = g_byte_array_new();
	g_autoptr(GError) err = NULL;

	memcpy(head.eh.e_ident, ELFMAG, SELFMAG);
	head.eh.e_ident[EI_CLASS] = ELFCLASS32;
	head.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	head.eh.e_ident[EI_VERSION] = EV_CURRENT;
	g_byte_array_append(file, (const uint8_t *)&head, sizeof(head));
	g_byte_array_append(file, state_guest, (guint)code_size);
	g_file_set_contents(path, (const char *)file->data, file->len, &err);
	g_assert_no_error(err);
}

static void set_up(struct fixture *f, gconstpointer data)
{
	g_autoptr(GError) err = NULL;
	g_autofree char *zeros = g_malloc0(DISK_SIZE);

	(void)data;
	f->folder = g_dir_make_tmp("lodge-test-XXXXXX", &err);
	g_assert_no_error(err);
	f->kernel = g_build_filename(f->folder, "kernel", NULL);
	f->disk = g_build_filename(f->folder, "disk", NULL);
	write_kernel(f->kernel);
	g_assert_true(g_file_set_contents(f->disk, zeros, DISK_SIZE, NULL));
	g_mutex_init(&f->chardev.lock);
	f->chardev.said = g_string_new(NULL);
	f->context = g_main_context_new();
}

static void close_machine(struct fixture *f)
{
	g_clear_pointer(&f->machine, machine_free);
	f->vm = f->chardev.vm = NULL;
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	(void)data;
	close_machine(f);
	g_unlink(f->kernel);
	g_unlink(f->disk);
	g_rmdir(f->folder);
	g_free(f->kernel);
	g_free(f->disk);
	g_free(f->folder);
	g_string_free(f->chardev.said, TRUE);
	g_mutex_clear(&f->chardev.lock);
	g_main_context_unref(f->context);
}

/* Booted and paused. False: the host does not offer the accelerator; the test has been skipped. */
static bool open_machine(struct fixture *f, const char *accel)
{
	autoptr(vm_config) config = vm_config_new();
	g_autofree char *disk = g_strconcat(f->disk, ",serial=travels", NULL);
	g_autoptr(GError) err = NULL;

	config->memory = RAM;
	config->vcpus = 2;
	config->kernel = g_strdup(f->kernel);
	g_free(config->accel);
	config->accel = g_strdup(accel);
	g_ptr_array_add(config->disks, vm_disk_config_parse(disk, NULL));
	f->machine = machine_new(config, f->context, &f->chardev, NULL, &err);
	g_assert_no_error(err);
	f->vm = f->chardev.vm = machine_vm(f->machine);
	g_assert_true(vm_start(f->vm, true, &err));
	g_assert_no_error(err);
	return true;
}

static uint32_t config_read(struct fixture *f, unsigned slot, unsigned off)
{
	uint64_t val;

	g_assert_true(bus_read(f->vm->mmio, PCI_ECAM_BASE + (slot << 15) + off, 4, &val));
	return (uint32_t)val;
}

/* Where firmware has put the disk's registers. */
static struct state_disk find_disk(struct fixture *f)
{
	struct state_disk disk = { 0 };

	for (unsigned slot = 1; slot < 32 && !disk.config; slot++) {
		unsigned cap;

		if (config_read(f, slot, 0) != 0x10421af4)
			continue;
		disk.config = (uint32_t)PCI_ECAM_BASE + (slot << 15);
		disk.registers = config_read(f, slot, 0x10) & ~15u;
		disk.msix = config_read(f, slot, 0x14) & ~15u;
		disk.notify = config_read(f, slot, 0x18) & ~15u;
		for (cap = config_read(f, slot, 0x34) & 0xff; (config_read(f, slot, cap) & 0xff) != 0x11;)
			cap = config_read(f, slot, cap) >> 8 & 0xff;
		disk.msix_control = disk.config + cap + 2;
	}
	g_assert_cmphex(disk.config, !=, 0);
	return disk;
}

/* The program can only be written when the machine knows its addresses. */
static void write_program(struct fixture *f)
{
	const struct state_disk disk = find_disk(f);
	g_autoptr(GArray) program = state_program(&disk);

	g_assert_true(memory_write(f->vm->mem, STATE_PROGRAM, program->data, program->len * sizeof(struct state_op)));
	g_assert_true(
		memory_write(f->vm->mem, STATE_AP_CODE, state_guest_ap, (size_t)(state_guest_ap_end - state_guest_ap)));
}

/* Until it is paused or has stopped. */
static void run(struct fixture *f)
{
	g_assert_cmpint(vm_state(f->vm), ==, VM_PAUSED);
	vm_resume(f->vm);
	while (vm_state(f->vm) == VM_RUNNING)
		g_main_context_iteration(f->context, TRUE);
}

static void expect_end(struct fixture *f)
{
	const char *text;
	enum vm_stop why = vm_stop_reason(f->vm, &text);

	g_test_message("%s", f->chardev.said->str);
	g_assert_cmpstr(vm_stop_name(why), ==, vm_stop_name(VM_STOP_POWEROFF));
	g_assert_cmpstr(f->chardev.said->str, ==, STATE_GUEST_SAYS);
}

/* --- saving and loading --- */

static void save(struct fixture *f, struct saved *saved)
{
	struct vm *vm = f->vm;

	g_assert_cmpint(vm_state(vm), ==, VM_PAUSED);
	saved->now = timers_now(vm->timers);
	saved->ram = g_malloc(RAM);
	g_assert_true(memory_read(vm->mem, 0, saved->ram, RAM));
	saved->devices = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
	for (guint i = 0; i < vm->devices->len; i++) {
		GByteArray *section = g_byte_array_new();

		device_save(vm->devices->pdata[i], section);
		g_ptr_array_add(saved->devices, section);
	}
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		vm->accel_class->vcpu_get_state(&vm->vcpus[i], &saved->cpus[i]);
}

static void load(struct fixture *f, const struct saved *saved)
{
	struct vm *vm = f->vm;
	g_autoptr(GError) err = NULL;

	timers_set_now(vm->timers, saved->now);
	g_assert_true(memory_write(vm->mem, 0, saved->ram, RAM));
	g_assert_cmpuint(vm->devices->len, ==, saved->devices->len);
	for (guint i = 0; i < vm->devices->len; i++) {
		const GByteArray *section = saved->devices->pdata[i];
		size_t used = 0;

		device_load(vm->devices->pdata[i], section->data, section->len, &used, &err);
		g_assert_no_error(err);
		g_assert_cmpuint(used, ==, section->len);
	}
	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		vm->accel_class->vcpu_set_state(&vm->vcpus[i], &saved->cpus[i], &err);
		g_assert_no_error(err);
	}
}

/* What was loaded is what is saved again, byte for byte. */
static void assert_same_sections(struct fixture *f, const struct saved *saved)
{
	for (guint i = 0; i < f->vm->devices->len; i++) {
		struct device *dev = f->vm->devices->pdata[i];
		const GByteArray *section = saved->devices->pdata[i];
		g_autoptr(GByteArray) again = g_byte_array_new();

		device_save(dev, again);
		if (again->len != section->len || memcmp(again->data, section->data, again->len))
			g_test_fail_printf("%s is saved differently after it was loaded", dev->id);
	}
}

/* --- tests --- */

static void test_undisturbed(struct fixture *f, gconstpointer accel)
{
	if (!open_machine(f, accel))
		return;
	write_program(f);
	run(f);
	expect_end(f);
}

/* At each letter: the machine is saved and put aside, another one goes on. */
static void test_travel(struct fixture *f, gconstpointer accel)
{
	for (size_t at = 1; at < strlen(STATE_GUEST_SAYS); at++) {
		struct saved saved = { 0 };

		g_string_truncate(f->chardev.said, 0);
		f->chardev.pause_at = at;
		if (!open_machine(f, accel))
			return;
		write_program(f);
		run(f);
		g_assert_cmpint(vm_state(f->vm), ==, VM_PAUSED);
		save(f, &saved);
		close_machine(f);
		f->chardev.pause_at = 0;
		if (!open_machine(f, accel))
			return;
		load(f, &saved);
		assert_same_sections(f, &saved);
		run(f);
		expect_end(f);
		close_machine(f);
		saved_clear(&saved);
	}
}

/* --- sections that are not what they should be --- */

struct hostile {
	struct fixture *f;
	struct saved saved;
};

static void hostile_open(struct hostile *h, struct fixture *f)
{
	h->f = f;
	f->chardev.pause_at = strlen(STATE_GUEST_SAYS) / 2;
	open_machine(f, "soft");
	write_program(f);
	run(f);
	save(f, &h->saved);
	f->chardev.pause_at = 0;
}

/* The section of one device after edit: refused with one sentence that names the device, or (may_pass) taken. */
static void feed(struct hostile *h, guint i, const uint8_t *data, size_t len, bool may_pass)
{
	struct device *dev = h->f->vm->devices->pdata[i];
	const GByteArray *section = h->saved.devices->pdata[i];
	g_autofree uint8_t *exact = g_memdup2(data, len);
	g_autoptr(GError) err = NULL;
	size_t used = 0;

	if (device_load(dev, exact, len, &used, &err)) {
		g_autoptr(GByteArray) again = g_byte_array_new();

		g_assert_no_error(err);
		g_assert_cmpuint(used, <=, len);
		device_resume(dev);
		device_pause(dev);
		device_save(dev, again);
		g_assert_cmpuint(again->len, ==, section->len);
		if (!may_pass)
			g_test_fail_printf("%s: a damaged section of %zu bytes was taken", dev->id, len);
		return;
	}
	g_assert_error(err, LODGE_ERROR, LODGE_ERROR_INPUT);
	if (!strstr(err->message, dev->id))
		g_test_fail_printf("'%s' does not name %s", err->message, dev->id);
	/* "undefined but safe: reset it" */
	device_reset(dev);
}

static void test_cut_short(struct fixture *f, gconstpointer data)
{
	struct hostile h = { 0 };

	(void)data;
	hostile_open(&h, f);
	for (guint i = 0; i < f->vm->devices->len; i++) {
		const GByteArray *section = h.saved.devices->pdata[i];

		/* Of the long ones not every length: the interesting ones are at the ends. */
		for (guint len = 0; len < section->len; len += len < 200 || section->len - len < 50 ? 1 : 97)
			feed(&h, i, section->data, len, false);
	}
	saved_clear(&h.saved);
}

static void test_wrong_section(struct fixture *f, gconstpointer data)
{
	struct hostile h = { 0 };

	(void)data;
	hostile_open(&h, f);
	for (guint i = 0; i < f->vm->devices->len; i++) {
		const GByteArray *section = h.saved.devices->pdata[i];
		g_autofree uint8_t *longer = g_malloc0(section->len + 1);
		uint32_t length = GUINT32_TO_LE(section->len - 8 + 1);

		/* that of another device */
		for (guint j = 0; j < f->vm->devices->len; j++) {
			const GByteArray *other = h.saved.devices->pdata[j];

			if (j != i)
				feed(&h, i, other->data, other->len, false);
		}
		/* with a byte too many inside */
		memcpy(longer, section->data, section->len);
		memcpy(longer + 4, &length, sizeof(length));
		feed(&h, i, longer, section->len + 1, false);
	}
	saved_clear(&h.saved);
}

/* Lets everything go on for a moment. A guest that did not survive that starts again from what was saved. */
static void run_briefly(struct hostile *h)
{
	struct fixture *f = h->f;

	vm_request_pause(f->vm);
	vm_resume(f->vm);
	while (vm_state(f->vm) == VM_RUNNING)
		g_main_context_iteration(f->context, TRUE);
	if (vm_state(f->vm) == VM_PAUSED)
		return;
	close_machine(f);
	g_string_truncate(f->chardev.said, 0);
	open_machine(f, "soft");
	load(f, &h->saved);
}

/* Every byte of what describes a section, and many of its values: refused or taken, and what was taken can be used. */
static void test_damaged(struct fixture *f, gconstpointer data)
{
	struct hostile h = { 0 };
	unsigned n_changes = g_test_thorough() ? 20000 : 400;

	(void)data;
	hostile_open(&h, f);
	for (guint i = 0; i < f->vm->devices->len; i++) {
		const GByteArray *section = h.saved.devices->pdata[i];
		g_autofree uint8_t *changed = g_memdup2(section->data, section->len);

		for (unsigned n = 0; n < n_changes; n++) {
			guint pos = n < 40 ? n % section->len : (guint)g_test_rand_int_range(0, (gint32)section->len);
			uint8_t bit = n & 1 ? 0xff : (uint8_t)(1u << g_test_rand_int_range(0, 8));

			changed[pos] ^= bit;
			feed(&h, i, changed, section->len, true);
			if (n % 64 == 0)
				run_briefly(&h);
			/* Several changes add up, until the device starts afresh. */
			if (n % 8 == 7)
				memcpy(changed, section->data, section->len);
		}
		run_briefly(&h);
	}
	saved_clear(&h.saved);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/machine-state/soft/undisturbed", struct fixture, "soft", set_up, test_undisturbed, tear_down);
	g_test_add("/machine-state/soft/travel", struct fixture, "soft", set_up, test_travel, tear_down);
	g_test_add("/machine-state/hostile/cut-short", struct fixture, NULL, set_up, test_cut_short, tear_down);
	g_test_add("/machine-state/hostile/wrong-section", struct fixture, NULL, set_up, test_wrong_section, tear_down);
	g_test_add("/machine-state/hostile/damaged", struct fixture, NULL, set_up, test_damaged, tear_down);
	return g_test_run();
}
