/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/x86-state.h"

#include <string.h>

#define ATTR_DATA 0x0093u /* present, writable data, accessed */
#define ATTR_CODE 0x009bu /* present, readable code, accessed: the real-mode CS, in the form VM entry wants */
#define ATTR_LDT 0x0082u
#define ATTR_TSS_BUSY 0x008bu

#define APIC_BASE_RESET 0xfee00000u
#define APIC_BASE_ENABLE 0x800u
#define APIC_BASE_BSP 0x100u

/* Registers of the local APIC that are not 0 after reset: SDM volume 3 section 10.4.7.1. */
static const struct {
	uint16_t offset;
	uint32_t value;
} lapic_reset_values[] = {
	{ 0x030, 0x01050014 }, /* version: integrated, LVT entries 0 to 5, EOI broadcast may be suppressed */
	{ 0x0e0, 0xffffffff }, /* destination format: flat */
	{ 0x0f0, 0x000000ff }, /* spurious vector, APIC software-disabled */
	{ 0x320, 0x00010000 }, /* LVT: all masked */
	{ 0x330, 0x00010000 },
	{ 0x340, 0x00010000 },
	{ 0x350, 0x00010000 },
	{ 0x360, 0x00010000 },
	{ 0x370, 0x00010000 },
};

static void lapic_put(uint8_t image[1024], unsigned offset, uint32_t value)
{
	uint8_t *at = image + (offset >> 4) * 4;

	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void reset_lapic(struct x86_cpu_state *state, unsigned apic_id, bool bsp)
{
	state->apic_base = APIC_BASE_RESET | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
	lapic_put(state->lapic, 0x020, apic_id << 24);
	for (unsigned i = 0; i < sizeof(lapic_reset_values) / sizeof(lapic_reset_values[0]); i++)
		lapic_put(state->lapic, lapic_reset_values[i].offset, lapic_reset_values[i].value);
}

static void reset_segments(struct x86_cpu_state *state)
{
	const struct x86_segment data = { .limit = 0xffff, .attr = ATTR_DATA };

	for (unsigned i = 0; i < X86_N_SEGS; i++)
		state->seg[i] = data;
	state->seg[X86_CS] =
		(struct x86_segment){ .base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attr = ATTR_CODE };
	state->ldt = (struct x86_segment){ .limit = 0xffff, .attr = ATTR_LDT };
	state->tr = (struct x86_segment){ .limit = 0xffff, .attr = ATTR_TSS_BUSY };
	state->gdt.limit = 0xffff;
	state->idt.limit = 0xffff;
}

/* The x87 powers up with all registers +0.0 and tagged as zero, not empty: abridged tags are all 1. */
static void reset_fpu(struct x86_cpu_state *state)
{
	state->xcr0 = X86_XCR0_X87;
	state->fx.fcw = 0x0040;
	state->fx.ftw = 0xff;
	state->fx.mxcsr = 0x1f80;
	state->fx.mxcsr_mask = 0xffff;
}

void x86_state_reset(struct x86_cpu_state *state, unsigned apic_id, bool bsp)
{
	memset(state, 0, sizeof(*state));
	state->rip = 0xfff0;
	state->rflags = X86_FLAG_FIXED;
	state->gpr[X86_RDX] = 0x600; /* family 6; the model's own signature is CPUID's */
	state->cr0 = X86_CR0_CD | X86_CR0_NW | X86_CR0_ET;
	state->dr[6] = 0xffff0ff0;
	state->dr[7] = 0x400;
	state->pat = UINT64_C(0x0007040600070406);
	state->misc_enable = 1; /* fast strings */
	state->run_state = bsp ? X86_RUNNING : X86_WAIT_SIPI;
	reset_segments(state);
	reset_fpu(state);
	reset_lapic(state, apic_id, bsp);
}
