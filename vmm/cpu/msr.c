/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model-specific registers of the software CPU: those with an effect here, the rest by the policy table
 * (vmm/msr-policy.c). Also the PV clock, whose MSRs point to structures in guest memory (KVM's documented paravirtual
 * clock: system time and wall clock areas).
 */
#include "vmm/cpu/msr.h"

#include <string.h>

#include "vmm/cpu/machine.h"
#include "vmm/cpu/seg.h"

#define MSR_TSC 0x10u
#define MSR_APIC_BASE 0x1bu
#define APIC_BASE_X2APIC 0x400u
#define MSR_TSC_ADJUST 0x3bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_FIRST 0x800u
#define MSR_X2APIC_LAST 0x8ffu
#define MSR_EFER 0xc0000080u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KVM_WALL_CLOCK 0x11u
#define MSR_KVM_SYSTEM_TIME 0x12u
#define MSR_KVM_WALL_CLOCK_NEW 0x4b564d00u
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01u

/* ---- PV clock ---- */

struct pv_time {
	uint32_t version; /* odd while being written */
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time; /* ns at tsc_timestamp */
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags; /* bit 0: TSCs of all vCPUs agree */
	uint8_t pad[2];
};

_Static_assert(sizeof(struct pv_time) == 32, "PV clock layout");

struct pv_wall {
	uint32_t version, sec, nsec;
};

/* ns = ((ticks << shift) * mul) >> 32 with mul as large as 32 bits allow. */
static void clock_scale(uint32_t khz, uint32_t *mul, int8_t *shift)
{
	uint64_t hz = (uint64_t)khz * 1000, ns = NS_PER_SEC;
	int s = 0;

	while (ns >= hz) {
		hz <<= 1;
		s++;
	}
	while (ns < hz / 2) {
		hz >>= 1;
		s--;
	}
	*mul = (uint32_t)(((unsigned __int128)ns << 32) / hz);
	*shift = (int8_t)s;
}

/* One anchor for all vCPUs: their clocks must agree to the tick. Taken when the first of them asks. */
static void take_anchor(struct soft_accel *accel, const struct soft_cpu *cpu)
{
	g_mutex_lock(&accel->clock_lock);
	if (!accel->clock_tsc) {
		accel->clock_ns = timers_now(accel->accel.vm->timers);
		accel->clock_tsc = soft_tsc(cpu) - cpu->tsc_offset;
	}
	g_mutex_unlock(&accel->clock_lock);
}

static void write_system_time(struct soft_cpu *cpu)
{
	uint64_t msr = cpu->store->kvmclock_system, gpa = msr & ~UINT64_C(1);
	struct pv_time t = { 0 };
	uint32_t version = 0;

	if (!(msr & 1) || !memory_load32(cpu->vm->mem, gpa, &version))
		return;
	take_anchor(cpu->accel, cpu);
	t.version = (version | 1) + 1;
	t.tsc_timestamp = cpu->accel->clock_tsc + cpu->tsc_offset;
	t.system_time = cpu->accel->clock_ns;
	clock_scale(cpu->accel->tsc_khz, &t.tsc_to_system_mul, &t.tsc_shift);
	t.flags = cpu->tsc_offset == cpu->accel->cpus[0]->tsc_offset;
	if (!memory_store32(cpu->vm->mem, gpa, version | 1))
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!memory_write(cpu->vm->mem, gpa + 4, (uint8_t *)&t + 4, sizeof t - 4))
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!memory_store32(cpu->vm->mem, gpa, t.version))
		return;
}

/* Wall time at the moment guest time was 0. */
static bool write_wall_clock(struct soft_cpu *cpu, uint64_t gpa)
{
	int64_t boot_us = g_get_real_time() - (int64_t)(timers_now(cpu->vm->timers) / NS_PER_US);
	struct pv_wall w = { .version = 2,
			     .sec = (uint32_t)(boot_us / 1000000),
			     .nsec = (uint32_t)(boot_us % 1000000 * 1000) };

	return memory_write(cpu->vm->mem, gpa, &w, sizeof w);
}

void msr_clock_changed(struct soft_cpu *cpu)
{
	write_system_time(cpu);
}

/* ---- read ---- */

bool soft_msr_read(struct soft_cpu *cpu, uint32_t msr, uint64_t *val)
{
	switch (msr) {
	case MSR_TSC:
		*val = soft_tsc(cpu);
		return true;
	case MSR_EFER:
		*val = cpu->efer;
		return true;
	case MSR_FS_BASE:
		*val = cpu->seg[X86_FS].base;
		return true;
	case MSR_GS_BASE:
		*val = cpu->seg[X86_GS].base;
		return true;
	case MSR_APIC_BASE:
	case MSR_TSC_DEADLINE:
	case MSR_X2APIC_FIRST ... MSR_X2APIC_LAST:
		return lapic_msr_read(cpu->lapic, msr, val);
	default:
		return msr_policy_read(cpu->features, cpu->store, msr, val);
	}
}

/* ---- write ---- */

static bool write_efer(struct soft_cpu *cpu, uint64_t val)
{
	uint64_t allowed = X86_EFER_SCE;

	if (cpu_features_has(cpu->features, CPU_FEATURE_LM))
		allowed |= X86_EFER_LME | X86_EFER_LMA;
	if (cpu_features_has(cpu->features, CPU_FEATURE_NX))
		allowed |= X86_EFER_NXE;
	if (val & ~allowed)
		return false;
	if ((val ^ cpu->efer) & X86_EFER_LME && cpu->cr0 & X86_CR0_PG)
		return false;
	cpu->efer = (val & ~(uint64_t)X86_EFER_LMA) | (cpu->efer & X86_EFER_LMA);
	soft_tlb_flush(cpu, true);
	soft_mode_changed(cpu);
	return true;
}

static bool write_base(struct soft_cpu *cpu, enum x86_seg seg, uint64_t val)
{
	if (!soft_canonical(val))
		return false;
	cpu->seg[seg].base = val;
	return true;
}

/* A deadline is an absolute TSC value: when the TSC jumps, its moment has to be computed anew. */
static void rearm_deadline(struct soft_cpu *cpu)
{
	uint64_t deadline;

	if (lapic_msr_read(cpu->lapic, MSR_TSC_DEADLINE, &deadline) && deadline)
		lapic_msr_write(cpu->lapic, MSR_TSC_DEADLINE, deadline);
}

static void set_tsc(struct soft_cpu *cpu, uint64_t val)
{
	uint64_t delta = val - soft_tsc(cpu);

	cpu->tsc_offset += delta;
	cpu->store->tsc_adjust += delta;
	rearm_deadline(cpu);
}

static void set_tsc_adjust(struct soft_cpu *cpu, uint64_t val)
{
	cpu->tsc_offset += val - cpu->store->tsc_adjust;
	cpu->store->tsc_adjust = val;
	rearm_deadline(cpu);
}

bool soft_msr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t val)
{
	switch (msr) {
	case MSR_TSC:
		set_tsc(cpu, val);
		return true;
	case MSR_TSC_ADJUST:
		set_tsc_adjust(cpu, val);
		return true;
	case MSR_EFER:
		return write_efer(cpu, val);
	case MSR_FS_BASE:
		return write_base(cpu, X86_FS, val);
	case MSR_GS_BASE:
		return write_base(cpu, X86_GS, val);
	case MSR_APIC_BASE:
		if (val & APIC_BASE_X2APIC && !cpu_features_has(cpu->features, CPU_FEATURE_X2APIC))
			return false;
		return lapic_msr_write(cpu->lapic, msr, val);
	case MSR_TSC_DEADLINE:
	case MSR_X2APIC_FIRST ... MSR_X2APIC_LAST:
		return lapic_msr_write(cpu->lapic, msr, val);
	default:
		break;
	}
	if (!msr_policy_write(cpu->features, cpu->store, msr, val))
		return false;
	if (msr == MSR_KVM_SYSTEM_TIME || msr == MSR_KVM_SYSTEM_TIME_NEW)
		write_system_time(cpu);
	else if (msr == MSR_KVM_WALL_CLOCK || msr == MSR_KVM_WALL_CLOCK_NEW)
		return write_wall_clock(cpu, val);
	return true;
}
