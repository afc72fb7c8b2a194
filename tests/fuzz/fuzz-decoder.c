/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as guest code. Input: u8 mode (bits 1:0 real, 32-bit, 64-bit, 64-bit single-stepping; bit 2: privilege
 * level 3 in 32-bit code; bit 3: exceptions are delivered instead of skipped), then code.
 *
 * Decoding must not depend on what lies behind the instruction, and must say so when it needs more bytes. Then the
 * code runs for a while as the guest's kernel: whatever it does to its machine, the host's side must stand.
 */
#include <setjmp.h>
#include <string.h>

#include "tests/guest.h"
#include "vmm/cpu/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MODE_REAL, MODE_PROTECTED, MODE_LONG, MODE_STEPPING };

#define FLAG_USER 0x04u
#define FLAG_DELIVER 0x08u
#define MAX_CODE 2048u
#define MAX_DECODED 64u
#define MAX_BLOCKS 400u
#define HANDLER (GUEST_CODE + 0x4000u)

/* ---- decoding ---- */

static void check_record(const struct insn *in, unsigned len)
{
	g_assert_nonnull((void *)(uintptr_t)in->fn);
	g_assert_cmpuint(len, <=, ZYDIS_MAX_INSTRUCTION_LENGTH);
	g_assert_cmpuint(in->len, ==, len);
	/* Offsets into struct soft_cpu that ops dereference as 8 bytes. */
	g_assert_cmpuint(in->base, <=, SLOT_4G);
	g_assert_cmpuint(in->index, <=, SLOT_4G);
}

static void decode_everywhere(struct soft_cpu *cpu, const uint8_t *code, size_t size)
{
	struct soft_decoders decoders;
	struct insn whole, part;
	bool end;

	decode_init(&decoders, cpu->features);
	for (size_t at = 0; at < size; at++) {
		size_t room = MIN(size - at, ZYDIS_MAX_INSTRUCTION_LENGTH);
		unsigned len = decode_one(cpu, &decoders, code + at, room, 0, &whole, &end);

		if (!len)
			continue;
		check_record(&whole, len);
		/* What is refused counts as one byte. */
		if (len > 1) {
			g_assert_cmpuint(decode_one(cpu, &decoders, code + at, len - 1, 0, &part, &end), ==, 0);
			g_assert_cmpuint(decode_one(cpu, &decoders, code + at, len, 0, &part, &end), ==, len);
		}
		if (!native_cache_has_room(cpu->native, 4))
			native_cache_reset(cpu->native);
	}
}

/* ---- running ---- */

static void state_protected(struct x86_cpu_state *state, bool user)
{
	const struct x86_segment data = { .limit = UINT32_MAX,
					  .selector = GUEST_DATA | (user ? 3 : 0),
					  .attr = user ? 0xc0f3 : 0xc093 };

	guest_state_long(state);
	for (unsigned i = 0; i < X86_N_SEGS; i++)
		state->seg[i] = data;
	state->seg[X86_CS] = data;
	state->seg[X86_CS].attr = user ? 0xc0fb : 0xc09b;
	state->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE;
	state->cr4 = X86_CR4_OSFXSR;
	state->efer = 0;
}

static void set_state(struct guest *guest, uint8_t mode)
{
	g_autofree struct x86_cpu_state *state = g_new0(struct x86_cpu_state, 1);

	switch (mode & 3) {
	case MODE_REAL:
		guest_state_real(state);
		break;
	case MODE_PROTECTED:
		state_protected(state, mode & FLAG_USER);
		break;
	default:
		guest_state_long(state);
		state->cr4 |= X86_CR4_OSXSAVE | X86_CR4_FSGSBASE | X86_CR4_OSXMMEXCPT;
		state->xcr0 = X86_XCR0_X87 | X86_XCR0_SSE | X86_XCR0_AVX;
		break;
	}
	for (unsigned i = 0; i < X86_N_GPRS; i++)
		if (i != X86_RSP)
			state->gpr[i] = (mode & 3) == MODE_REAL ? 0x1000 * (i + 1) : GUEST_RESULT + 0x101 * i;
	if ((mode & 3) == MODE_STEPPING)
		state->rflags |= X86_FLAG_TF;
	guest_set_state(guest, 0, state);
}

/* Handlers stop the processor. */
static void set_handlers(struct guest *guest)
{
	const uint8_t halt = 0xf4;

	for (unsigned v = 0; v < 256; v++)
		guest_set_gate(guest, v, HANDLER);
	guest_write(guest, HANDLER, &halt, 1);
}

/* The run loop without its events: it must come to an end whatever the code does. */
static void run_blocks(struct soft_cpu *cpu, bool deliver)
{
	volatile unsigned blocks = 0;

	if (_setjmp(cpu->unwind)) {
		cpu->block = NULL;
		cpu->link = NULL;
		cpu->sti_shadow = false;
		if (deliver && blocks++ < MAX_BLOCKS)
			exc_deliver_pending(cpu);
		else
			cpu->rip = soft_ip_mask(cpu, cpu->rip + 1);
		cpu->delivering = false;
	}
	while (blocks++ < MAX_BLOCKS && !cpu->halted && !cpu->shutdown) {
		struct block *b = block_find(cpu);

		/* Repeated instructions look at this after every span. */
		atomic_store(&cpu->exit_request, 1);
		cpu->block = b;
		cpu->block_rip = cpu->rip;
		b->insns[0].fn(cpu, b->insns);
		cpu->block = NULL;
		cpu->link = NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Making a machine takes too long to do it for every input. */
	static struct guest *guest;
	struct soft_cpu *cpu;

	if (size < 2)
		return 0;
	if (!guest)
		guest = guest_new(&accel_soft_class, 1);
	g_assert_nonnull(guest);
	cpu = guest->vcpus[0].accel_data;
	g_assert_true(memory_fill(guest->vm.mem, 0, 0, GUEST_MEMORY));
	guest_build_tables(guest);
	set_handlers(guest);
	set_state(guest, data[0]);
	size = MIN(size - 1, MAX_CODE);
	decode_everywhere(cpu, data + 1, MIN(size, MAX_DECODED));
	blocks_flush(cpu);
	guest_write(guest, GUEST_CODE, data + 1, size);
	run_blocks(cpu, data[0] & FLAG_DELIVER);
	return 0;
}
