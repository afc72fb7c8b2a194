/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/accel-kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/dev/devices.h"

/*
 * Guests on the host's own processor. Local APICs live in the kernel, so HLT, INIT and SIPI never come out here; port
 * and MMIO accesses go straight to the VM's buses.
 *
 * Leaving KVM_RUN: who wants it sets run->immediate_exit, then signals the thread. Whether the thread is in guest
 * mode, about to enter it or on its way out, it comes back with EINTR: the signal ends guest mode, the flag catches
 * the moment before. A kick sets its own mark before the flag, and the vCPU thread clears the flag before it looks at
 * the mark, so a kick may cost one idle round but is never lost. KVM_RUN completes a port or MMIO access before it
 * answers EINTR, so the state is whole whenever vcpu_run() returns KICKED.
 */
#define TSS_ADDR 0xfffbd000u /* three pages below the firmware that Intel processors may need in real mode */
#define IDENTITY_MAP_ADDR 0xfffbc000u

/* --- the VM --- */

static void accel_destroy(struct accel *accel)
{
	struct kvm_accel *kvm = kvm_accel(accel);

	kvm_dirty_stop(accel);
	cpuid_table_free(kvm->cpuid);
	fd_close(&kvm->vm_fd);
	fd_close(&kvm->kvm_fd);
	g_mutex_clear(&kvm->route_lock);
	g_free(kvm);
}

static bool create_vm(struct kvm_accel *kvm, GError **err)
{
	uint64_t identity_map = IDENTITY_MAP_ADDR;
	int run_size = ioctl(kvm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (run_size <= 0)
		return fail_errno(err, "KVM: size of a vCPU");
	kvm->run_size = (size_t)run_size;
	do
		kvm->vm_fd = ioctl(kvm->kvm_fd, KVM_CREATE_VM, 0);
	while (kvm->vm_fd < 0 && errno == EINTR);
	if (kvm->vm_fd < 0)
		return fail_errno(err, "KVM: creating a VM");
	if (ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 ||
	    ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, (unsigned long)TSS_ADDR) < 0)
		return fail_errno(err, "KVM: address of the TSS");
	return kvm_create_irqchip(kvm, err);
}

static struct accel *accel_create(struct vm *vm, const char *options, GError **err)
{
	struct kvm_accel *kvm;

	if (options && *options)
		return fail_null(err, LODGE_ERROR_USAGE, "accelerator kvm has no option '%s'", options);
	kvm = g_new0(struct kvm_accel, 1);
	kvm->base = (struct accel){ .class = &accel_kvm_class, .vm = vm };
	kvm->vm_fd = -1;
	kvm->paused = true; /* until the VM starts */
	g_mutex_init(&kvm->route_lock);
	kvm->kvm_fd = kvm_open(err);
	if (kvm->kvm_fd < 0 || !kvm_install_kick_handler(err) || !create_vm(kvm, err)) {
		accel_destroy(&kvm->base);
		return NULL;
	}
	return &kvm->base;
}

static bool ioeventfd(struct accel *accel, uint64_t mmio_addr, unsigned len, int fd, bool add)
{
	struct kvm_ioeventfd event = {
		.addr = mmio_addr, .len = len, .fd = fd, .flags = add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN
	};

	return ioctl(kvm_accel(accel)->vm_fd, KVM_IOEVENTFD, &event) == 0;
}

/* --- vCPUs --- */

/*
 * What this KVM can do: its supported CPUID, and what it says through capabilities only because it depends on the
 * local APIC's place.
 */
static bool offered_features(struct kvm_accel *kvm, struct cpu_features *offer, unsigned *phys_bits, GError **err)
{
	g_autofree struct cpuid_leaf *leaves = g_new0(struct cpuid_leaf, KVM_MAX_CPUID);
	size_t n;

	if (!kvm_supported_leaves(kvm->kvm_fd, leaves, &n, err))
		return false;
	cpu_features_from_leaves(offer, leaves, n);
	cpu_features_add(offer, CPU_FEATURE_X2APIC);
	if (ioctl(kvm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
		cpu_features_add(offer, CPU_FEATURE_TSC_DEADLINE);
	*phys_bits = 36;
	for (size_t i = 0; i < n; i++)
		if (leaves[i].function == 0x80000008)
			*phys_bits = leaves[i].eax & 0xff;
	return true;
}

static bool make_cpuid_table(struct kvm_accel *kvm, int vcpu_fd, GError **err)
{
	const struct vm *vm = kvm->base.vm;
	struct cpu_features offer;
	unsigned phys_bits;
	int khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	kvm->tsc_khz = khz > 0 ? (uint32_t)khz : host_tsc_khz();
	if (!offered_features(kvm, &offer, &phys_bits, err))
		return false;
	kvm->cpuid = cpuid_table_new_native(vm->cpu_model ? vm->cpu_model : cpu_model_find(NULL, NULL), &offer,
					    vm->n_vcpus, kvm->tsc_khz, phys_bits, err);
	return kvm->cpuid != NULL;
}

static bool set_cpuid(struct kvm_vcpu_data *kv, GError **err)
{
	g_autofree struct kvm_cpuid2 *cpuid = g_malloc0(sizeof(*cpuid) + CPUID_MAX_LEAVES * sizeof(cpuid->entries[0]));
	const struct cpuid_dynamic dyn = { .apic_id = kv->vcpu->apic_id,
					   .n_cpus = kv->vcpu->vm->n_vcpus,
					   .xcr0 = X86_XCR0_X87 };
	struct cpuid_leaf leaves[CPUID_MAX_LEAVES];

	cpuid->nent = (uint32_t)cpuid_table_leaves(kv->kvm->cpuid, &dyn, leaves, G_N_ELEMENTS(leaves));
	for (uint32_t i = 0; i < cpuid->nent; i++)
		cpuid->entries[i] = (struct kvm_cpuid_entry2){
			.function = leaves[i].function,
			.index = leaves[i].index,
			.flags = leaves[i].has_index ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = leaves[i].eax,
			.ebx = leaves[i].ebx,
			.ecx = leaves[i].ecx,
			.edx = leaves[i].edx,
		};
	if (ioctl(kv->fd, KVM_SET_CPUID2, cpuid) < 0)
		return fail_errno(err, "vCPU %u: KVM refuses the CPUID table", kv->vcpu->index);
	return true;
}

static void vcpu_free(struct kvm_vcpu_data *kv)
{
	if (kv->run)
		munmap(kv->run, kv->kvm->run_size);
	fd_close(&kv->fd);
	g_free(kv);
}

static bool vcpu_init(struct kvm_vcpu_data *kv, GError **err)
{
	struct kvm_accel *kvm = kv->kvm;
	void *run;

	kv->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (unsigned long)kv->vcpu->apic_id);
	if (kv->fd < 0)
		return fail_errno(err, "vCPU %u: KVM cannot create it", kv->vcpu->index);
	run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, kv->fd, 0);
	if (run == MAP_FAILED)
		return fail_errno(err, "vCPU %u: mapping its state", kv->vcpu->index);
	kv->run = run;
	if (!kvm->cpuid && !make_cpuid_table(kvm, kv->fd, err))
		return false;
	if (!set_cpuid(kv, err))
		return false;
	kvm_find_msrs(kv);
	return true;
}

static bool vcpu_create(struct accel *accel, struct vcpu *vcpu, GError **err)
{
	struct kvm_vcpu_data *kv = g_new0(struct kvm_vcpu_data, 1);

	kv->kvm = kvm_accel(accel);
	kv->vcpu = vcpu;
	kv->fd = -1;
	kv->extint_held = kv->extint_queued = -1;
	if (!vcpu_init(kv, err)) {
		vcpu_free(kv);
		return false;
	}
	vcpu->accel_data = kv;
	if (vcpu->index == 0)
		__atomic_store_n(&kv->kvm->bsp, kv, __ATOMIC_RELEASE);
	return true;
}

static void vcpu_destroy(struct vcpu *vcpu)
{
	struct kvm_vcpu_data *kv = g_steal_pointer(&vcpu->accel_data);

	if (!kv)
		return;
	if (kv->kvm->bsp == kv)
		__atomic_store_n(&kv->kvm->bsp, NULL, __ATOMIC_RELEASE);
	vcpu_free(kv);
}

void kvm_poke(struct kvm_vcpu_data *kv)
{
	pid_t tid;

	__atomic_store_n(&kv->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	tid = __atomic_load_n(&kv->tid, __ATOMIC_SEQ_CST);
	if (tid)
		syscall(SYS_tgkill, getpid(), tid, KVM_KICK_SIGNAL);
}

static void vcpu_kick(struct vcpu *vcpu)
{
	struct kvm_vcpu_data *kv = vcpu->accel_data;

	__atomic_store_n(&kv->kicked, true, __ATOMIC_SEQ_CST);
	kvm_poke(kv);
}

/* --- exits --- */

static void count(struct kvm_vcpu_data *kv, enum stats_exit why)
{
	stats_add(&kv->vcpu->stats->exits[why], 1);
}

static void handle_pio(struct kvm_vcpu_data *kv)
{
	struct kvm_run *run = kv->run;
	struct bus *pio = kv->vcpu->vm->pio;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	count(kv, STATS_EXIT_PIO);
	/* INS and OUTS come as one exit with count elements for the same port. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, data, run->io.size);
			bus_write(pio, run->io.port, run->io.size, val);
		} else {
			bus_read(pio, run->io.port, run->io.size, &val);
			memcpy(data, &val, run->io.size);
		}
	}
}

static void handle_mmio(struct kvm_vcpu_data *kv)
{
	struct kvm_run *run = kv->run;
	struct bus *mmio = kv->vcpu->vm->mmio;
	uint32_t len = MIN(run->mmio.len, sizeof(run->mmio.data));

	count(kv, STATS_EXIT_MMIO);
	/* An access across a page border may come in odd sizes, which the bus does not have. */
	for (uint32_t done = 0, size; done < len; done += size) {
		uint64_t addr = run->mmio.phys_addr + done, val = 0;

		for (size = 8; size > len - done; size /= 2)
			;
		if (run->mmio.is_write) {
			memcpy(&val, run->mmio.data + done, size);
			bus_write(mmio, addr, size, val);
		} else {
			bus_read(mmio, addr, size, &val);
			memcpy(run->mmio.data + done, &val, size);
		}
	}
}

static uint64_t current_rip(struct kvm_vcpu_data *kv)
{
	struct kvm_regs regs;

	return ioctl(kv->fd, KVM_GET_REGS, &regs) == 0 ? regs.rip : 0;
}

static const char *suberror_text(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "cannot emulate an instruction";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "met an exception inside another";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "failed while delivering an interrupt or exception";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "does not understand the processor's exit reason";
	default:
		return "reports an internal error";
	}
}

/* " (bytes 0f 01 d0)" where the kernel says which instruction it was. */
static void append_instruction(GString *text, const struct kvm_run *run)
{
	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION || run->emulation_failure.ndata < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	g_string_append(text, " (bytes");
	for (unsigned i = 0; i < MIN(run->emulation_failure.insn_size, sizeof(run->emulation_failure.insn_bytes)); i++)
		g_string_append_printf(text, " %02x", run->emulation_failure.insn_bytes[i]);
	g_string_append_c(text, ')');
}

static enum vcpu_exit fail_internal(struct kvm_vcpu_data *kv)
{
	const struct kvm_run *run = kv->run;
	g_autoptr(GString) text = g_string_new(NULL);

	append_instruction(text, run);
	g_clear_error(&kv->vcpu->error);
	fail(&kv->vcpu->error, LODGE_ERROR_SYSTEM,
	     "vCPU %u: KVM %s at guest address 0x%" G_GINT64_MODIFIER "x%s (suberror %u)", kv->vcpu->index,
	     suberror_text(run->internal.suberror), current_rip(kv), text->str, run->internal.suberror);
	return VCPU_EXIT_ERROR;
}

static enum vcpu_exit fail_entry(struct kvm_vcpu_data *kv)
{
	g_clear_error(&kv->vcpu->error);
	fail(&kv->vcpu->error, LODGE_ERROR_SYSTEM,
	     "vCPU %u: the processor refuses to enter the guest at 0x%" G_GINT64_MODIFIER "x (hardware reason 0x%llx)",
	     kv->vcpu->index, current_rip(kv), (unsigned long long)kv->run->fail_entry.hardware_entry_failure_reason);
	return VCPU_EXIT_ERROR;
}

static enum vcpu_exit fail_unknown(struct kvm_vcpu_data *kv)
{
	g_clear_error(&kv->vcpu->error);
	fail(&kv->vcpu->error, LODGE_ERROR_SYSTEM,
	     "vCPU %u: KVM stops for a reason Lodge does not know (%u) at guest address 0x%" G_GINT64_MODIFIER "x",
	     kv->vcpu->index, kv->run->exit_reason, current_rip(kv));
	return VCPU_EXIT_ERROR;
}

/* True: go on. False: *why says what vcpu_run() returns. */
static bool handle_exit(struct kvm_vcpu_data *kv, enum vcpu_exit *why)
{
	switch (kv->run->exit_reason) {
	case KVM_EXIT_IO:
		handle_pio(kv);
		return true;
	case KVM_EXIT_MMIO:
		handle_mmio(kv);
		return true;
	case KVM_EXIT_IOAPIC_EOI:
		count(kv, STATS_EXIT_OTHER);
		ioapic_eoi(kv->vcpu->vm->ioapic, kv->run->eoi.vector);
		return true;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		count(kv, STATS_EXIT_IRQ_WINDOW);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_SHUTDOWN:
		*why = VCPU_EXIT_TRIPLE_FAULT;
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		*why = fail_entry(kv);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		*why = fail_internal(kv);
		return false;
	default:
		*why = fail_unknown(kv);
		return false;
	}
}

/* KVM_RUN came back with an error. True: go on. */
static bool handle_errno(struct kvm_vcpu_data *kv, int saved, enum vcpu_exit *why)
{
	if (saved == EAGAIN) /* a processor that waits for SIPI has got it */
		return true;
	if (saved != EINTR) {
		g_clear_error(&kv->vcpu->error);
		errno = saved;
		fail_errno(&kv->vcpu->error, "vCPU %u: KVM cannot run it", kv->vcpu->index);
		*why = VCPU_EXIT_ERROR;
		return false;
	}
	__atomic_store_n(&kv->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (!__atomic_exchange_n(&kv->kicked, false, __ATOMIC_SEQ_CST))
		return true;
	count(kv, STATS_EXIT_KICK);
	*why = VCPU_EXIT_KICKED;
	return false;
}

static bool run_once(struct kvm_vcpu_data *kv, enum vcpu_exit *why)
{
	int result, saved;

	if (kv->vcpu->index == 0)
		kvm_prepare_extint(kv);
	kv->run->exit_reason = KVM_EXIT_UNKNOWN;
	result = ioctl(kv->fd, KVM_RUN, 0);
	saved = errno;
	/*
	 * Turned away at the door by immediate_exit, the exit reason says nothing, and a queued PIC vector still
	 * waits.
	 */
	if (result == 0 || kv->run->exit_reason == KVM_EXIT_INTR)
		kv->extint_queued = -1;
	return result < 0 ? handle_errno(kv, saved, why) : handle_exit(kv, why);
}

static void enter_thread(struct kvm_vcpu_data *kv)
{
	kvm_accept_kicks();
	__atomic_store_n(&kv->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
}

static enum vcpu_exit vcpu_run(struct vcpu *vcpu)
{
	struct kvm_vcpu_data *kv = vcpu->accel_data;
	enum vcpu_exit why = VCPU_EXIT_KICKED;

	enter_thread(kv);
	while (run_once(kv, &why))
		;
	__atomic_store_n(&kv->tid, 0, __ATOMIC_SEQ_CST);
	return why;
}

const struct accel_class accel_kvm_class = {
	.name = "kvm",
	.probe = kvm_probe,
	.create = accel_create,
	.destroy = accel_destroy,
	.set_slots = kvm_set_slots,
	.vcpu_create = vcpu_create,
	.vcpu_destroy = vcpu_destroy,
	.vcpu_run = vcpu_run,
	.vcpu_kick = vcpu_kick,
	.vcpu_get_state = kvm_get_state,
	.vcpu_set_state = kvm_set_state,
	.msi = kvm_msi,
	.extint = kvm_extint,
	.nmi = kvm_nmi,
	.ioeventfd = ioeventfd,
	.irqfd = kvm_set_irqfd,
	.pause = kvm_pause,
	.resume = kvm_resume,
	.dirty_start = kvm_dirty_start,
	.dirty_harvest = kvm_dirty_harvest,
	.dirty_stop = kvm_dirty_stop,
};
