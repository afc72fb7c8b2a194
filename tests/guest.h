/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_TESTS_GUEST_H
#define LODGE_TESTS_GUEST_H

#include <glib.h>
#include <string.h>

#include "core/base/error.h"
#include "vmm/cpuid.h"
#include "vmm/dev/devices.h"
#include "vmm/vm.h"

/*
 * A machine just big enough for guests of a few dozen instructions, on any accelerator: RAM, buses, PIC, I/O APIC, and
 * a test device.
 *
 *   port 0xe0  byte     text the guest says
 *   port 0xe1  byte     calls the host: guest->on_call(guest, value) on the vCPU's thread
 *   port 0xe4  dword    the guest is done, with this result
 *   port 0xe8  byte     reads '0', '1', '2', ...
 *   0xd0000000          4 KiB of registers in MMIO
 *
 * Memory: page tables at 0x1000 (long mode, 4 GiB one to one in 2 MiB pages), GDT at 0x7000, IDT at 0x8000, code at
 * 0x10000, stack below 0x20000, results at 0x30000. Header-only, for one test program each.
 */
#define GUEST_MEMORY (UINT64_C(4) << 20)
#define GUEST_PML4 0x1000u
#define GUEST_PDPT 0x2000u
#define GUEST_PD 0x3000u
#define GUEST_GDT 0x7000u
#define GUEST_IDT 0x8000u
#define GUEST_CODE 0x10000u
#define GUEST_STACK 0x20000u
#define GUEST_RESULT 0x30000u
#define GUEST_REGS 0xd0000000u
#define GUEST_MAX_CPUS 2u

#define GUEST_CODE64 0x08u /* selectors */
#define GUEST_DATA 0x10u
#define GUEST_CODE32 0x18u

struct guest {
	struct vm vm;
	struct vcpu vcpus[GUEST_MAX_CPUS];
	struct stats_vcpu stats[GUEST_MAX_CPUS];
	GThread *loop_thread; /* runs vm.context, and so the timers */
	gint loop_ends;	      /* atomic */
	GString *said;
	uint8_t next_in;
	bool done, yield; /* why vcpu_run() was left: the first for good, the second until the next guest_run() */
	uint32_t result;
	uint8_t regs[4096];
	unsigned reg_writes;
	void (*on_call)(struct guest *guest, uint8_t val);
	void *opaque; /* the test's own */
};

/* --- the test device --- */

static inline void guest_leave(struct guest *guest)
{
	for (unsigned i = 0; i < guest->vm.n_vcpus; i++)
		guest->vm.accel_class->vcpu_kick(&guest->vm.vcpus[i]);
}

static inline uint64_t guest_port_read(void *opaque, uint64_t off, unsigned size)
{
	struct guest *guest = opaque;

	(void)size;
	return off == 8 ? (uint64_t)('0' + guest->next_in++ % 10) : 0;
}

static inline void guest_port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct guest *guest = opaque;

	if (off == 0 && size == 1)
		g_string_append_c(guest->said, (char)val);
	if (off == 1 && guest->on_call)
		guest->on_call(guest, (uint8_t)val);
	if (off == 4) {
		guest->result = (uint32_t)val;
		guest->done = true;
		guest_leave(guest);
	}
}

static inline uint64_t guest_reg_read(void *opaque, uint64_t off, unsigned size)
{
	struct guest *guest = opaque;
	uint64_t val = 0;

	memcpy(&val, guest->regs + off, size);
	return val;
}

static inline void guest_reg_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct guest *guest = opaque;

	guest->reg_writes++;
	memcpy(guest->regs + off, &val, size);
}

static const struct bus_ops guest_port_ops = { .read = guest_port_read, .write = guest_port_write };
static const struct bus_ops guest_reg_ops = { .read = guest_reg_read, .write = guest_reg_write };

/* --- wiring --- */

static inline void guest_pic_output(void *opaque, unsigned pin, bool level)
{
	struct guest *guest = opaque;

	(void)pin;
	guest->vm.accel_class->extint(guest->vm.accel, level);
}

static inline void guest_send_msi(void *opaque, const struct msi_message *msg)
{
	vm_msi(opaque, msg);
}

static inline gpointer guest_loop(gpointer data)
{
	struct guest *guest = data;

	while (!g_atomic_int_get(&guest->loop_ends))
		g_main_context_iteration(guest->vm.context, TRUE);
	return NULL;
}

static inline void guest_write(struct guest *guest, uint64_t gpa, const void *data, size_t len)
{
	g_assert_true(memory_write(guest->vm.mem, gpa, data, len));
}

static inline void guest_write64(struct guest *guest, uint64_t gpa, uint64_t val)
{
	guest_write(guest, gpa, &val, sizeof(val));
}

static inline uint64_t guest_read64(struct guest *guest, uint64_t gpa)
{
	uint64_t val = 0;

	g_assert_true(memory_read(guest->vm.mem, gpa, &val, sizeof(val)));
	return val;
}

static inline void guest_build_tables(struct guest *guest)
{
	guest_write64(guest, GUEST_PML4, GUEST_PDPT | 3);
	for (uint64_t gib = 0; gib < 4; gib++) {
		guest_write64(guest, GUEST_PDPT + gib * 8, (GUEST_PD + gib * 0x1000) | 3);
		/* present, writable, 2 MiB; uncached where there is no RAM */
		for (uint64_t i = 0; i < 512; i++)
			guest_write64(guest, GUEST_PD + gib * 0x1000 + i * 8,
				      gib << 30 | i << 21 | (gib < 3 ? 0x83 : 0x9b));
	}
	guest_write64(guest, GUEST_GDT + GUEST_CODE64, UINT64_C(0x00af9b000000ffff));
	guest_write64(guest, GUEST_GDT + GUEST_DATA, UINT64_C(0x00cf93000000ffff));
	guest_write64(guest, GUEST_GDT + GUEST_CODE32, UINT64_C(0x00cf9b000000ffff));
}

static inline void guest_free(struct guest *guest)
{
	const struct accel_class *class = guest->vm.accel_class;

	if (guest->loop_thread) {
		g_atomic_int_set(&guest->loop_ends, 1);
		g_main_context_wakeup(guest->vm.context);
		g_thread_join(guest->loop_thread);
	}
	for (unsigned i = 0; i < guest->vm.n_vcpus; i++) {
		if (guest->vcpus[i].accel_data)
			class->vcpu_destroy(&guest->vcpus[i]);
		g_clear_error(&guest->vcpus[i].error);
	}
	if (guest->vm.accel)
		class->destroy(guest->vm.accel);
	device_destroy(ioapic_device(guest->vm.ioapic));
	device_destroy(i8259_device(guest->vm.pic));
	bus_free(guest->vm.mmio);
	bus_free(guest->vm.pio);
	timers_free(guest->vm.timers);
	memory_free(guest->vm.mem);
	g_main_context_unref(guest->vm.context);
	g_string_free(guest->said, TRUE);
	g_free(guest->vm.name);
	g_free(guest);
}
DEFINE_AUTOPTR(guest, guest_free)

static inline void guest_create_board(struct guest *guest)
{
	struct irq pic_output = { .set = guest_pic_output, .opaque = guest };
	struct vm *vm = &guest->vm;

	vm->context = g_main_context_new();
	vm->mem = memory_new(GUEST_MEMORY, NULL);
	vm->timers = timers_new(vm->context, NULL);
	g_assert_true(vm->mem && vm->timers);
	vm->pio = bus_new(0x10000);
	vm->mmio = bus_new(UINT64_C(1) << CPUID_SOFT_PHYS_BITS);
	vm->pic = i8259_new(NULL, vm->pio, &pic_output);
	vm->ioapic = ioapic_new(NULL, vm->mmio, guest_send_msi, vm);
	bus_add(vm->pio, "test-device", 0xe0, 16, true, &guest_port_ops, guest, NULL);
	bus_add(vm->mmio, "test-registers", GUEST_REGS, sizeof(guest->regs), true, &guest_reg_ops, guest, NULL);
}

static inline bool guest_create_accel(struct guest *guest, GError **err)
{
	struct vm *vm = &guest->vm;

	vm->accel = vm->accel_class->create(vm, NULL, err);
	if (!vm->accel || !vm->accel_class->set_slots(vm->accel, err))
		return false;
	for (unsigned i = 0; i < vm->n_vcpus; i++)
		if (!vm->accel_class->vcpu_create(vm->accel, &vm->vcpus[i], err))
			return false;
	return true;
}

/*
 * NULL: the host does not offer this accelerator, and the test has been marked as skipped. rom: a page of it at
 * 0xf0000000 (or NULL).
 */
static inline struct guest *guest_new_with_rom(const struct accel_class *class, unsigned n_cpus, const uint8_t *rom)
{
	autoptr(guest) guest = g_new0(struct guest, 1);
	g_autoptr(GError) err = NULL;

	guest->said = g_string_new(NULL);
	guest->vm.name = g_strdup("test");
	guest->vm.accel_class = class;
	guest->vm.vcpus = guest->vcpus;
	guest->vm.n_vcpus = n_cpus;
	guest->vm.cpu_model = cpu_model_find(NULL, NULL);
	for (unsigned i = 0; i < n_cpus; i++)
		guest->vcpus[i] = (struct vcpu){ .vm = &guest->vm, .index = i, .apic_id = i, .stats = &guest->stats[i] };
	guest_create_board(guest);
	if (rom)
		g_assert_true(memory_add_rom(guest->vm.mem, UINT64_C(0xf0000000), rom, MEMORY_PAGE_SIZE, NULL));
	if (!guest_create_accel(guest, &err)) {
		if (class == &accel_kvm_class && (g_error_matches(err, LODGE_ERROR, LODGE_ERROR_UNSUPPORTED) ||
						  g_error_matches(err, LODGE_ERROR, LODGE_ERROR_DENIED)))
			g_test_skip(err->message);
		else
			g_test_fail_printf("%s", err->message);
		return NULL;
	}
	guest->loop_thread = g_thread_new("loop", guest_loop, guest);
	guest_build_tables(guest);
	return g_steal_pointer(&guest);
}

static inline struct guest *guest_new(const struct accel_class *class, unsigned n_cpus)
{
	return guest_new_with_rom(class, n_cpus, NULL);
}

/* --- starting and running --- */

/* A 64-bit interrupt gate. */
static inline void guest_set_gate(struct guest *guest, unsigned vector, uint64_t handler)
{
	guest_write64(guest, GUEST_IDT + vector * 16,
		      (handler & 0xffff) | GUEST_CODE64 << 16 | UINT64_C(0x8e00) << 32 | (handler & 0xffff0000) << 32);
	guest_write64(guest, GUEST_IDT + vector * 16 + 8, handler >> 32);
}

static inline void guest_state_real(struct x86_cpu_state *state)
{
	const struct x86_segment data = {
		.base = GUEST_CODE, .limit = 0xffff, .selector = GUEST_CODE >> 4, .attr = 0x93
	};

	x86_state_reset(state, 0, true);
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		state->seg[i] = data;
	state->seg[X86_CS].attr = 0x9b;
	state->rip = 0;
	state->gpr[X86_RSP] = GUEST_STACK - GUEST_CODE - 16;
	state->idt = (struct x86_table){ .base = 0, .limit = 0x3ff };
}

static inline void guest_state_long(struct x86_cpu_state *state)
{
	const struct x86_segment data = { .limit = 0xffffffff, .selector = GUEST_DATA, .attr = 0xc093 };

	x86_state_reset(state, 0, true);
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		state->seg[i] = data;
	state->seg[X86_CS] = (struct x86_segment){ .limit = 0xffffffff, .selector = GUEST_CODE64, .attr = 0xa09b };
	state->gdt = (struct x86_table){ .base = GUEST_GDT, .limit = 0x1f };
	state->idt = (struct x86_table){ .base = GUEST_IDT, .limit = 0xfff };
	state->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	state->cr3 = GUEST_PML4;
	state->cr4 = X86_CR4_PAE | X86_CR4_OSFXSR;
	state->efer = X86_EFER_LME | X86_EFER_LMA;
	state->rip = GUEST_CODE;
	state->gpr[X86_RSP] = GUEST_STACK - 16;
}

static inline void guest_set_state(struct guest *guest, unsigned cpu, const struct x86_cpu_state *state)
{
	g_autoptr(GError) err = NULL;

	guest->vm.accel_class->vcpu_set_state(&guest->vcpus[cpu], state, &err);
	g_assert_no_error(err);
}

/* Runs vCPU 0 on this thread until the guest is done, the host called for a break, or the guest cannot go on. */
static inline enum vcpu_exit guest_run(struct guest *guest)
{
	enum vcpu_exit why;

	guest->yield = false;
	guest->vm.accel_class->resume(guest->vm.accel); /* guest time stands still until the VM starts */
	do {
		why = guest->vm.accel_class->vcpu_run(&guest->vcpus[0]);
	} while (why == VCPU_EXIT_KICKED && !guest->done && !guest->yield);
	return why;
}

/* For on_call: makes guest_run() return. */
static inline void guest_break(struct guest *guest)
{
	guest->yield = true;
	guest_leave(guest);
}

#endif
