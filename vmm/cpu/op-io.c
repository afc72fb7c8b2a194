/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IN, OUT, INS, OUTS: permission by IOPL and the TSS bitmap (SDM volume 1 chapter 19), then the VM's port bus. A port
 * access may raise or lower an interrupt line, so the block ends after each of them.
 */
#include "vmm/cpu/native.h"
#include "vmm/cpu/op-string.h"

#define PORT_IN_DX 0x10000u
#define TSS_IO_BASE 0x66u
#define TSS_MIN_LIMIT 0x67u

/* One bit per port, 0 = allowed; the last byte read may be the mandatory byte of ones behind the bitmap. */
static bool bitmap_allows(struct soft_cpu *cpu, const struct insn *in, unsigned port, unsigned size)
{
	uint32_t offset;
	uint64_t bits;

	if (!seg_present(cpu->tr.attr) || seg_type(cpu->tr.attr) != SYS_TSS_BUSY || cpu->tr.limit < TSS_MIN_LIMIT)
		return false;
	offset = (uint32_t)soft_sys_load(cpu, in, cpu->tr.base + TSS_IO_BASE, 2) + port / 8;
	if (offset + 1 > cpu->tr.limit)
		return false;
	bits = soft_sys_load(cpu, in, cpu->tr.base + offset, 2) >> port % 8;
	return !(bits & ((1u << size) - 1));
}

static void check_port(struct soft_cpu *cpu, const struct insn *in, unsigned port, unsigned size)
{
	if (!(cpu->cr0 & X86_CR0_PE) || (!soft_is_v86(cpu) && cpu->cpl <= soft_iopl(cpu)))
		return;
	if (!bitmap_allows(cpu, in, port, size))
		soft_gp(cpu, in, 0);
}

static uint32_t port_read(struct soft_cpu *cpu, unsigned port, unsigned size)
{
	uint64_t val = UINT64_MAX;

	stats_add(&cpu->vcpu->stats->exits[STATS_EXIT_PIO], 1);
	simd_sync(cpu);
	bus_read(cpu->vm->pio, port, size, &val);
	return (uint32_t)val;
}

static void port_write(struct soft_cpu *cpu, unsigned port, unsigned size, uint64_t val)
{
	stats_add(&cpu->vcpu->stats->exits[STATS_EXIT_PIO], 1);
	simd_sync(cpu);
	bus_write(cpu->vm->pio, port, size, val);
}

/* aux: size; aux32: port or PORT_IN_DX. */
static unsigned port_of(struct soft_cpu *cpu, const struct insn *in)
{
	return in->aux32 == PORT_IN_DX ? REG16(cpu, X86_RDX * 8) : in->aux32;
}

static OP(op_in)
{
	unsigned port = port_of(cpu, in);

	check_port(cpu, in, port, in->aux);
	soft_reg_set(cpu, X86_RAX * 8, in->aux, port_read(cpu, port, in->aux));
	return soft_end_here(cpu, in);
}

static OP(op_out)
{
	unsigned port = port_of(cpu, in);

	check_port(cpu, in, port, in->aux);
	port_write(cpu, port, in->aux, soft_reg_get(cpu, X86_RAX * 8, in->aux));
	return soft_end_here(cpu, in);
}

static void ins_element(struct soft_cpu *cpu, const struct insn *in, unsigned port)
{
	uint64_t addr = string_address(cpu, in, X86_RDI, in->aux, ACCESS_WRITE);

	/* The port must not be read when the store is going to fault. */
	soft_probe_write(cpu, in, addr, in->aux);
	soft_store_n(cpu, in, addr, in->aux, port_read(cpu, port, in->aux));
	string_add(cpu, in, X86_RDI, string_step(cpu, in->aux));
}

static void outs_element(struct soft_cpu *cpu, const struct insn *in, unsigned port)
{
	uint64_t addr = string_address(cpu, in, X86_RSI, in->aux, ACCESS_READ);

	port_write(cpu, port, in->aux, soft_load_n(cpu, in, addr, in->aux));
	string_add(cpu, in, X86_RSI, string_step(cpu, in->aux));
}

static struct block *string_io(struct soft_cpu *cpu, const struct insn *in,
			       void (*element)(struct soft_cpu *, const struct insn *, unsigned))
{
	unsigned port = REG16(cpu, X86_RDX * 8);

	check_port(cpu, in, port, in->aux);
	if (!string_repeats(in)) {
		element(cpu, in, port);
		return soft_end_here(cpu, in);
	}
	while (string_get(cpu, in, X86_RCX)) {
		element(cpu, in, port);
		string_add(cpu, in, X86_RCX, -1);
		if (string_get(cpu, in, X86_RCX) && string_must_pause(cpu))
			return soft_end(cpu, in, soft_ip_mask(cpu, INSN_RIP(cpu, in)));
	}
	return soft_end_here(cpu, in);
}

static OP(op_ins)
{
	return string_io(cpu, in, ins_element);
}

static OP(op_outs)
{
	return string_io(cpu, in, outs_element);
}

/* ---- decoding ---- */

static op_fn plain_io(struct decoder *d, struct insn *in, const ZydisDecodedOperand *port,
		      const ZydisDecodedOperand *data, op_fn fn)
{
	d->end = true;
	in->aux = data->size / 8;
	in->aux32 = port->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? port->imm.value.u & 0xff : PORT_IN_DX;
	return fn;
}

static op_fn string_port(struct decoder *d, struct insn *in, unsigned size, op_fn fn)
{
	d->end = true;
	string_decode(d, in);
	in->aux = (uint16_t)size;
	return fn;
}

op_fn decode_io(struct decoder *d, struct insn *in)
{
	switch (d->zi.mnemonic) {
	case ZYDIS_MNEMONIC_IN:
		return plain_io(d, in, &d->op[1], &d->op[0], op_in);
	case ZYDIS_MNEMONIC_OUT:
		return plain_io(d, in, &d->op[0], &d->op[1], op_out);
	case ZYDIS_MNEMONIC_INSB:
		return string_port(d, in, 1, op_ins);
	case ZYDIS_MNEMONIC_INSW:
		return string_port(d, in, 2, op_ins);
	case ZYDIS_MNEMONIC_INSD:
		return string_port(d, in, 4, op_ins);
	case ZYDIS_MNEMONIC_OUTSB:
		return string_port(d, in, 1, op_outs);
	case ZYDIS_MNEMONIC_OUTSW:
		return string_port(d, in, 2, op_outs);
	case ZYDIS_MNEMONIC_OUTSD:
		return string_port(d, in, 4, op_outs);
	default:
		return NULL;
	}
}
