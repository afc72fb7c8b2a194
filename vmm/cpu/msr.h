/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LODGE_VMM_CPU_MSR_H
#define LODGE_VMM_CPU_MSR_H

struct soft_cpu;

/*
 * Guest time has jumped, or the PV clock area has moved: writes the structures the guest reads. Own thread, or vCPU
 * stopped.
 */
void msr_clock_changed(struct soft_cpu *cpu);

#endif
