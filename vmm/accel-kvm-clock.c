/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/accel-kvm.h"

#include <sys/ioctl.h>
#include <x86intrin.h>

/*
 * Guest time stands still with the VM, and until it starts. The TSC runs on in hardware, so on resume the time that
 * has passed is taken off again: through the TSC offset where the kernel shows it (all vCPUs by the same amount, so
 * that they stay in step), otherwise by writing the paused value to all of them, which the kernel takes for a
 * synchronization because the writes come close together. The PV clock is the VM's virtual clock in nanoseconds: it
 * goes on where it stood, or where a loaded state says it was.
 */
#define MSR_TSC 0x10u

static bool tsc_offset(int fd, unsigned long request, uint64_t *offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return ioctl(fd, request, &attr) == 0;
}

static int vcpu_fd(const struct vcpu *vcpu)
{
	const struct kvm_vcpu_data *kv = vcpu->accel_data;

	return kv ? kv->fd : -1;
}

void kvm_pause(struct accel *accel)
{
	struct kvm_accel *kvm = kvm_accel(accel);
	struct kvm_clock_data clock = { 0 };

	if (kvm->paused)
		return;
	kvm->paused = true;
	kvm->state_loaded = false;
	kvm_settle_irqfds(kvm);
	kvm->paused_host_tsc = __rdtsc();
	(void)kvm_read_msr(vcpu_fd(&accel->vm->vcpus[0]), MSR_TSC, &kvm->paused_guest_tsc);
	kvm->paused_clock = ioctl(kvm->vm_fd, KVM_GET_CLOCK, &clock) == 0 ? clock.clock : timers_now(accel->vm->timers);
	/* Tells the guest's watchdog that it was not the guest that slept; a guest without PV clock makes this fail. */
	for (unsigned i = 0; i < accel->vm->n_vcpus; i++)
		(void)ioctl(vcpu_fd(&accel->vm->vcpus[i]), KVM_KVMCLOCK_CTRL, 0);
}

static void rewind_tsc(struct kvm_accel *kvm)
{
	struct vm *vm = kvm->base.vm;
	uint64_t passed = __rdtsc() - kvm->paused_host_tsc;

	for (unsigned i = 0; i < vm->n_vcpus; i++) {
		int fd = vcpu_fd(&vm->vcpus[i]);
		uint64_t offset;

		if (!tsc_offset(fd, KVM_GET_DEVICE_ATTR, &offset)) {
			(void)kvm_write_msr(fd, MSR_TSC, kvm->paused_guest_tsc);
			continue;
		}
		offset -= passed;
		(void)tsc_offset(fd, KVM_SET_DEVICE_ATTR, &offset);
	}
}

void kvm_note_loaded(struct kvm_accel *kvm, uint64_t tsc)
{
	kvm->state_loaded = true;
	kvm->paused_host_tsc = __rdtsc();
	kvm->paused_guest_tsc = tsc;
}

void kvm_resume(struct accel *accel)
{
	struct kvm_accel *kvm = kvm_accel(accel);
	struct kvm_clock_data clock = { 0 };

	if (!kvm->paused)
		return;
	kvm->paused = false;
	rewind_tsc(kvm);
	clock.clock = kvm->state_loaded ? timers_now(accel->vm->timers) : kvm->paused_clock;
	(void)ioctl(kvm->vm_fd, KVM_SET_CLOCK, &clock);
}
